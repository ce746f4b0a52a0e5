"""Which order of the changed world is the counterpart of an order of the journal's own world.

An engine numbers orders as it takes them.  Once one world takes an order that the other refuses, or liquidates where
the other does not, the same order has another number in each, and a cancel that names a number would hit a stranger's.
So the numbers are translated: two orders are counterparts if the same command placed them (of a list: the same entry
of the same command).

* An order named by its number is the counterpart of that order.  One without counterpart, because the changed world
  refused it, is named by a number that no order has: the command is refused as ``unknown_order``.
* An order named by a client order id is the last that the account placed under it in the journal's own world; the
  command goes as it is if that is what the id leads to in the changed world too, else to nothing.  An id under which
  the own world never took an order leads to whatever the changed world has under it.

What is known of orders that both worlds have done with is forgotten from time to time, so that memory is bounded by
the orders that live.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

import msgspec

from exchange.counterfactual.rewrite import PLACE_ORDER, PLACE_ORDERS
from exchange.engine import Engine
from exchange.peek import EVENT_START, event_number, field_reader
from exchange.protocol.layout import COMMAND_HEADER_BYTES
from exchange.protocol.schema import COMMAND_BY_NAME

PLACING = frozenset((PLACE_ORDER, PLACE_ORDERS))
CANCEL_ORDER = COMMAND_BY_NAME["cancel_order"].number
AMEND_ORDER = COMMAND_BY_NAME["amend_order"].number
NAMING = frozenset((CANCEL_ORDER, AMEND_ORDER))
#: Order id and client order id, with which both commands that name an order begin.
NAMED = struct.Struct("<QQ")
ORDER_ID = struct.Struct("<Q")
#: No engine ever counts so far.
NO_ORDER = (1 << 64) - 1
#: Counterparts that are kept before the first look at which of them live.
FIRST_LIMIT = 1 << 16

ACCEPTED, ENTRY_ACCEPTED = event_number("accepted"), event_number("entry_accepted")
read_accepted = field_reader("accepted", "order_id", "client_order_id")
read_entry = field_reader("entry_accepted", "index", "order_id", "client_order_id")

#: Of one command: index in its list -> order id and client order id.
Placed = dict[int, tuple[int, int]]
#: An account and one of its client order ids.
ClientId = tuple[int, int]


class Lost(msgspec.Struct):
    """What did not pass from one world into the other."""

    only_own: int = 0  # orders that the changed world refused
    only_changed: int = 0  # orders that only the changed world took
    named_nothing: int = 0  # cancels and amends of an order that has no counterpart


class Counterparts:
    """Orders of both worlds, by the command that placed them."""

    def __init__(self) -> None:
        self._changed_of: dict[int, int] = {}  # own order id -> the changed world's, 0: refused
        self._own_holder: dict[ClientId, int] = {}
        self._changed_holder: dict[ClientId, int] = {}
        self._alike = True  # all orders so far have the same number in both worlds
        self._limit = FIRST_LIMIT
        self.lost = Lost()

    def pair(self, account: int, own: Placed, changed: Placed) -> None:
        """Takes note of what one command placed in each world."""
        if own != changed:
            self._alike = False
        for index, (own_id, client_id) in own.items():
            changed_id, _ = changed.get(index, (0, 0))
            # A client order id sent again gives the first order again: what that is stays known.
            if not self._changed_of.get(own_id):
                self._changed_of[own_id] = changed_id
            self.lost.only_own += not changed_id
            if client_id:
                self._own_holder[account, client_id] = own_id
        for index, (changed_id, client_id) in changed.items():
            self.lost.only_changed += index not in own
            if client_id:
                self._changed_holder[account, client_id] = changed_id

    def knows(self, order_id: int) -> bool:
        """Whether the number is one of the journal's own world; 0 names nothing."""
        return order_id == 0 or order_id in self._changed_of

    def translate(self, record: bytes, account: int) -> bytes:
        """A cancel or an amend, so that it names in the changed world what was meant."""
        order_id, client_id = NAMED.unpack_from(record, COMMAND_HEADER_BYTES)
        if order_id:
            return self._translate_id(record, order_id)
        own_id = self._own_holder.get((account, client_id), 0) if client_id else 0
        if not own_id:
            return record
        changed_id = self._changed_of.get(own_id, 0)
        if changed_id and self._changed_holder.get((account, client_id)) == changed_id:
            return record
        self.lost.named_nothing += 1
        return naming(record, NO_ORDER)

    def _translate_id(self, record: bytes, order_id: int) -> bytes:
        if order_id not in self._changed_of:
            # Forgotten, since both worlds are done with it, or never given: it must not hit another.
            return record if self._alike else naming(record, NO_ORDER)
        changed_id = self._changed_of[order_id]
        if changed_id == order_id:
            return record
        self.lost.named_nothing += not changed_id
        return naming(record, changed_id or NO_ORDER)

    def forget(self, own: Engine, changed: Engine) -> None:
        """Drops what neither world has any more, if there is much of it."""
        if len(self._changed_of) + len(self._changed_holder) < self._limit:
            return
        living_own, living_changed = living_orders(own), living_orders(changed)
        self._changed_of = {
            own_id: changed_id
            for own_id, changed_id in self._changed_of.items()
            if own_id in living_own or changed_id in living_changed
        }
        kept = {
            key
            for key, own_id in self._own_holder.items()
            if own_id in self._changed_of or self._changed_holder.get(key) in living_changed
        }
        self._own_holder = {key: self._own_holder[key] for key in kept}
        self._changed_holder = {
            key: changed_id
            for key, changed_id in self._changed_holder.items()
            if key in kept or changed_id in living_changed
        }
        size = len(self._changed_of) + len(self._changed_holder)
        self._limit = max(FIRST_LIMIT, 4 * size)


def naming(record: bytes, order_id: int) -> bytes:
    """A cancel or an amend that names another order."""
    at = COMMAND_HEADER_BYTES
    return record[:at] + ORDER_ID.pack(order_id) + record[at + ORDER_ID.size :]


def living_orders(engine: Engine) -> set[int]:
    """The orders of everybody that rest or wait."""
    accounts: Iterable[int] = engine.accounts()
    return {order.order_id for account in accounts for order in engine.open_orders(account)}


def placed_orders(number: int, events: bytes, begin: int, end: int) -> Placed:
    """The orders that a command placed, from its events."""
    if EVENT_START.unpack_from(events, begin)[0] != ACCEPTED:
        return {}
    if number == PLACE_ORDER:
        return {0: read_accepted(events, begin)}
    placed: Placed = {}
    while begin < end:
        kind, size, _, _ = EVENT_START.unpack_from(events, begin)
        if kind == ENTRY_ACCEPTED:
            index, order_id, client_id = read_entry(events, begin)
            placed[index] = (order_id, client_id)
        begin += size
    return placed
