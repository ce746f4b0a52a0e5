"""What the owner of a key may do: its role and its accounts.  No I/O.

Without encryption nobody has a key, and everybody at a door has the role of the door, for every account: that is what
``open_permit`` gives.  With encryption a permit belongs to one public key.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from exchange.protocol.schema import COMMAND_BY_NAME


class Role(StrEnum):
    """What a key is for."""

    TRADER = "trader"  # commands and questions of its accounts
    READ_ONLY = "read_only"  # questions and events of its accounts, no command
    ADMIN = "admin"  # everything on the operator's door
    FEED = "feed"  # marks and prices on the operator's door, and nothing else there
    NOBODY = "nobody"  # of a key that was taken out while its owner was connected; never in a file


ORDERS, MARKET_DATA, ADMIN = "orders", "market_data", "admin"

#: Role -> the doors that its key opens.
DOORS: dict[Role, frozenset[str]] = {
    Role.TRADER: frozenset({ORDERS, MARKET_DATA}),
    Role.READ_ONLY: frozenset({ORDERS, MARKET_DATA}),
    Role.ADMIN: frozenset({ADMIN, MARKET_DATA}),
    Role.FEED: frozenset({ADMIN, MARKET_DATA}),
    Role.NOBODY: frozenset(),
}
#: Roles whose keys are bound to accounts; the others see none or all.
ROLES_WITH_ACCOUNTS = frozenset({Role.TRADER, Role.READ_ONLY})
FEED_COMMANDS = frozenset(COMMAND_BY_NAME[name].number for name in ("set_mark", "set_price"))


class Permit(msgspec.Struct, frozen=True):
    """What one key may do.  ``accounts`` is None for whoever may act for every account.

    >>> desk = Permit("desk", Role.TRADER, frozenset({7, 8}))
    >>> desk.may_log_in(7), desk.may_log_in(9), desk.opens("orders"), desk.opens("admin")
    (True, False, True, False)
    """

    name: str
    role: Role
    accounts: frozenset[int] | None = frozenset()

    def opens(self, door: str) -> bool:
        return door in DOORS[self.role]

    def may_log_in(self, account: int) -> bool:
        return self.accounts is None or account in self.accounts

    def may_command(self, number: int) -> bool:
        """Whether the role sends this command at all; which door takes it is the door's rule."""
        match self.role:
            case Role.TRADER | Role.ADMIN:
                return True
            case Role.FEED:
                return number in FEED_COMMANDS
            case _:
                return False

    @property
    def commands_freely(self) -> bool:
        """Whether every command of its door is allowed: such a session needs no look at each."""
        return self.role in (Role.TRADER, Role.ADMIN)

    def may_ask(self, *, is_public: bool) -> bool:
        """Whether the role may ask; ``is_public`` of what every trader may ask without logging in."""
        return self.role is not Role.NOBODY and (is_public or self.role is not Role.FEED)


#: Of a key that is in no list any more.
NOBODY = Permit("nobody", Role.NOBODY)
_OPEN = {
    ORDERS: Permit("everybody", Role.TRADER, None),
    ADMIN: Permit("everybody", Role.ADMIN, None),
}


def open_permit(door: str) -> Permit:
    """What everybody may on a door of a node without keys.

    >>> open_permit("orders").may_log_in(123)
    True
    """
    return _OPEN[door]
