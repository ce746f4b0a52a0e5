"""An order, whether it rests in the book, waits for its trigger or is on its way, and the queues that hold orders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import chain

from exchange.protocol.schema import OrderFlag, OrderType, Side, TimeInForce
from exchange.reference.containers import SortedDict

BUY = int(Side.BUY)
SELL = int(Side.SELL)

POST_ONLY = int(OrderFlag.POST_ONLY)
REDUCE_ONLY = int(OrderFlag.REDUCE_ONLY)
SLIDE = int(OrderFlag.SLIDE)
CLOSE_POSITION = int(OrderFlag.CLOSE_POSITION)
ICEBERG = int(OrderFlag.ICEBERG)
LINKED = int(OrderFlag.LINKED)

LIMIT = int(OrderType.LIMIT)
MARKET = int(OrderType.MARKET)
TRAILING_STOP = int(OrderType.TRAILING_STOP)
#: Types that have a limit (once they are triggered), and so may rest.
LIMIT_TYPES = frozenset(
    map(int, (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT))
)
STOPS = frozenset(map(int, (OrderType.STOP_MARKET, OrderType.STOP_LIMIT)))
TAKE_PROFITS = frozenset(map(int, (OrderType.TAKE_PROFIT_MARKET, OrderType.TAKE_PROFIT_LIMIT)))
#: Types that wait for a trigger.
TRIGGER_TYPES = STOPS | TAKE_PROFITS | {TRAILING_STOP}

GTC = int(TimeInForce.GTC)
IOC = int(TimeInForce.IOC)
FOK = int(TimeInForce.FOK)
GTD = int(TimeInForce.GTD)


class LinkRole(IntEnum):
    """The part of an order in its linked list (MATCH-14), as the canonical state numbers it."""

    NONE = 0
    ONE_CANCELS_OTHER = 1
    ENTRY = 2
    EXIT = 3


#: Where an order stands among those of its side: smaller is better.  (price, turned around for buys; turn)
Rank = tuple[int, int]


@dataclass(slots=True, eq=False)
class Order:
    """An order: resting, waiting for its trigger, or on its way through the book as a taker."""

    account: int
    symbol: int
    leg: int
    side: int
    price_ticks: int  # limit; of a market type the worst price it may have, 0: none
    open_lots: int  # of an exit that waits: what is armed
    order_id: int = 0
    client_order_id: int = 0
    order_type: int = LIMIT
    time_in_force: int = GTC
    self_trade: int = 0
    flags: int = 0
    filled_lots: int = 0  # filled, or taken off by self-trade prevention
    display_lots: int = 0  # of an iceberg: its slice
    shown_lots: int = 0  # of an iceberg that rests: what is left of the slice
    expires_ns: int = 0  # GTD
    trigger_by: int = 0
    trigger_ticks: int = 0
    callback_ticks: int = 0
    callback_ppm: int = 0
    best_ticks: int = 0  # of a trailing stop: the best price that it watched; 0: none yet
    armed: bool = False  # it waits and may go off
    link_group: int = 0  # order id of the first of its linked list
    link_role: int = LinkRole.NONE
    given_lots: int = 0  # of an exit: its quantity as given
    turn: int = 0  # rises with each order that joins a queue

    @property
    def reduce_only(self) -> bool:
        """It may only bring a position nearer to 0; so does one that closes the position (MATCH-11)."""
        return bool(self.flags & (REDUCE_ONLY | CLOSE_POSITION))

    @property
    def closes_position(self) -> bool:
        return bool(self.flags & CLOSE_POSITION)

    @property
    def is_limit_type(self) -> bool:
        return self.order_type in LIMIT_TYPES

    @property
    def is_iceberg(self) -> bool:
        return self.display_lots > 0

    @property
    def rests(self) -> bool:
        """What is left of it joins the book (MATCH-03)."""
        return self.is_limit_type and self.time_in_force in (GTC, GTD)

    @property
    def front_lots(self) -> int:
        """What can be taken in its turn: all that is open, of an iceberg what it shows (MATCH-15)."""
        return self.shown_lots if self.is_iceberg else self.open_lots

    @property
    def total_lots(self) -> int:
        """Its quantity with what is filled (MATCH-05)."""
        return self.open_lots + self.filled_lots

    @property
    def rank(self) -> Rank:
        """Best price first, then time in the queue (MATCH-01)."""
        return (-self.price_ticks if self.side == BUY else self.price_ticks, self.turn)


class Orders:
    """Resting orders of both sides, best price first: of a symbol (the book), or of one account on it."""

    __slots__ = ("sides",)

    def __init__(self) -> None:
        self.sides: tuple[SortedDict[Rank, Order], SortedDict[Rank, Order]] = (
            SortedDict(),
            SortedDict(),
        )

    def add(self, order: Order) -> None:
        self.sides[order.side][order.rank] = order

    def remove(self, order: Order) -> None:
        del self.sides[order.side][order.rank]

    def best(self, side: int) -> Order | None:
        """The order that is first in turn on a side."""
        orders = self.sides[side]
        return orders.peekitem(0)[1] if orders else None

    def of_side(self, side: int) -> Iterator[Order]:
        """The orders of a side, best price first, then time in the queue."""
        orders = self.sides[side]
        return map(orders.__getitem__, orders)

    def __iter__(self) -> Iterator[Order]:
        """Canonical order: buys before sells, best price first, then time in the queue."""
        return chain(self.of_side(BUY), self.of_side(SELL))

    def unsorted(self) -> Iterator[Order]:
        """The orders of both sides in no order that means anything: for sums, five times as fast."""
        return chain(dict.values(self.sides[BUY]), dict.values(self.sides[SELL]))

    def __len__(self) -> int:
        return len(self.sides[BUY]) + len(self.sides[SELL])
