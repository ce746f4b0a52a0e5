"""What a peer may do at all, whatever it logs in for: by its role, and by the accounts that are its own.

Who a peer is, is not said here: without keys everybody at a door has the role of the door and every account; with keys
a permission belongs to one public key (exchange/keys.py).
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from exchange.gateway.connection import Code, Commands, Door, Query, Refusal
from exchange.protocol.schema import COMMAND_BY_NAME


class Role(StrEnum):
    TRADER = "trader"
    READ_ONLY = "read_only"  # sees an account, and sends no commands
    ADMIN = "admin"
    FEED = "feed"  # sends marks and prices to the operator's door, and nothing else
    NOBODY = "nobody"  # of a key that is in no list; never in a list itself


FEED_COMMANDS = frozenset(COMMAND_BY_NAME[name].number for name in ("set_mark", "set_price"))
FEED_QUERIES = frozenset({"hello", "logout", "ping", "get_symbols"})
ROLES_OF_DOORS = {
    "orders": frozenset({Role.TRADER, Role.READ_ONLY}),
    "admin": frozenset({Role.ADMIN, Role.FEED}),
    "market_data": frozenset({Role.TRADER, Role.READ_ONLY, Role.ADMIN, Role.FEED}),
}
#: Roles whose keys are bound to accounts; an admin sees all, a feed none.
ROLES_WITH_ACCOUNTS = frozenset({Role.TRADER, Role.READ_ONLY})


NO_KEY = "this key is not in the list of those that may come in"


class Permission(msgspec.Struct, frozen=True):
    """A role, and the accounts that it is for (None: all).

    >>> permission = Permission(Role.TRADER, frozenset({7}))
    >>> permission.may_log_in(7), permission.may_log_in(8)
    (True, False)
    """

    role: Role
    accounts: frozenset[int] | None = None

    def opens(self, door: str) -> bool:
        """Whether the role may come in by a door at all.

        >>> Permission(Role.TRADER).opens("orders"), Permission(Role.TRADER).opens("admin")
        (True, False)
        """
        return self.role in ROLES_OF_DOORS[door]

    def may_log_in(self, account: int) -> bool:
        return self.accounts is None or account in self.accounts

    def refuse_commands(self, commands: Commands) -> Refusal | None:
        if self.role is Role.NOBODY:
            return Refusal(commands.request_ids, Code.FORBIDDEN, NO_KEY)
        if self.role is Role.READ_ONLY:
            text = "this key is for looking only: it sends no commands"
            return Refusal(commands.request_ids, Code.FORBIDDEN, text)
        if self.role is Role.FEED and not commands.numbers <= FEED_COMMANDS:
            text = "this key is a market feed's: it sends set_mark and set_price only"
            return Refusal(commands.request_ids, Code.FORBIDDEN, text)
        return None

    def refuse_query(self, query: Query) -> Refusal | None:
        if self.role is Role.NOBODY:
            return Refusal([query.request_id], Code.FORBIDDEN, NO_KEY)
        if self.role is Role.FEED and query.name not in FEED_QUERIES:
            there_are = ", ".join(sorted(FEED_QUERIES))
            text = f"this key is a market feed's: it may ask {there_are}"
            return Refusal([query.request_id], Code.FORBIDDEN, text)
        return None


#: Of a key that is not in the list, or not any more.
NOBODY = Permission(Role.NOBODY, frozenset())


def permission_at(door: Door) -> Permission:
    """What everybody may do at a door that knows nobody."""
    return Permission(Role.TRADER if door.needs_login else Role.ADMIN)
