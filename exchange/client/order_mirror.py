"""A copy of a book order by order that keeps itself right: where each order stands in its queue."""

from __future__ import annotations

from collections.abc import Iterable

from sortedcontainers import SortedDict

from exchange.client.mirror import Mirror
from exchange.gateway.feed import (
    OrderAction,
    OrderChange,
    OrdersDelta,
    OrdersSnapshot,
    QueuedOrder,
)
from exchange.protocol.schema import Side
from exchange.protocol.views import LevelView

Queue = dict[int, QueuedOrder]  # by order id; a dict keeps the order in which they came


class OrderMirror(Mirror[OrdersSnapshot, OrdersDelta]):
    """One symbol's resting orders, made of a snapshot and the changes after it.

    No I/O: it says when it needs a snapshot.

    >>> mirror = OrderMirror(1)
    >>> about = {"symbol": 1, "epoch": 1, "engine_sequence": 9}
    >>> mirror.load(OrdersSnapshot(**about, sequence=3, bids=[QueuedOrder(7, 100, 5)], asks=[]))
    >>> joined = OrderChange(OrderAction.ADDED, 8, Side.BUY, 100, 2)
    >>> filled = OrderChange(OrderAction.FILLED, 7, Side.BUY, 100, 1, 4, 77)
    >>> mirror.apply(OrdersDelta(**about, sequence=4, timestamp_ns=0, changes=[joined, filled]))
    >>> mirror.bids
    [QueuedOrder(order_id=7, price_ticks=100, qty_lots=1), QueuedOrder(order_id=8, price_ticks=100, qty_lots=2)]
    >>> mirror.lots_before(8)
    1
    """

    def __init__(self, symbol: int) -> None:
        super().__init__(symbol)
        self._orders: dict[int, tuple[Side, QueuedOrder]] = {}
        self._sides: dict[Side, SortedDict[int, Queue]] = {}
        self._forget()

    def _forget(self) -> None:
        self._orders.clear()
        self._sides = {side: SortedDict() for side in Side}

    def _start_over(self, snapshot: OrdersSnapshot) -> None:
        self._forget()
        for side, orders in ((Side.BUY, snapshot.bids), (Side.SELL, snapshot.asks)):
            for order in orders:
                self._join(side, order)

    def _changes_something(self, delta: OrdersDelta) -> bool:
        return bool(delta.changes)

    def _change(self, delta: OrdersDelta) -> None:
        for change in delta.changes:
            self._carry_over(change)

    def _carry_over(self, change: OrderChange) -> None:
        order = QueuedOrder(change.order_id, change.price_ticks, change.qty_lots)
        side = Side(change.side)
        match change.action:
            case OrderAction.ADDED:
                self._join(side, order)
            case OrderAction.REPLACED:
                self._leave(change.order_id)
                self._join(side, order)
            case _ if change.qty_lots:
                self._orders[change.order_id] = side, order
                self._sides[side][change.price_ticks][change.order_id] = order
            case _:
                self._leave(change.order_id)

    def _join(self, side: Side, order: QueuedOrder) -> None:
        self._orders[order.order_id] = side, order
        self._sides[side].setdefault(order.price_ticks, {})[order.order_id] = order

    def _leave(self, order_id: int) -> None:
        side, order = self._orders.pop(order_id)
        levels = self._sides[side]
        del levels[order.price_ticks][order_id]
        if not levels[order.price_ticks]:
            del levels[order.price_ticks]

    @property
    def bids(self) -> list[QueuedOrder]:
        """Buy orders: best price first, at one price who is first in the queue."""
        return [order for queue in self._queues(Side.BUY) for order in queue.values()]

    @property
    def asks(self) -> list[QueuedOrder]:
        """Sell orders: best price first, at one price who is first in the queue."""
        return [order for queue in self._queues(Side.SELL) for order in queue.values()]

    def levels(self, side: Side) -> list[LevelView]:
        """The same by levels, best price first."""
        found = []
        for queue in self._queues(side):
            orders = list(queue.values())
            lots = sum(order.qty_lots for order in orders)
            found.append(LevelView(orders[0].price_ticks, lots, len(orders)))
        return found

    def order(self, order_id: int) -> QueuedOrder | None:
        """An order as the public sees it; None if it is not in the book."""
        found = self._orders.get(order_id)
        return found[1] if found else None

    def lots_before(self, order_id: int) -> int:
        """What has to trade at the order's price before it does.  KeyError if it is not in the book."""
        side, order = self._orders[order_id]
        lots = 0
        for other in self._sides[side][order.price_ticks].values():
            if other.order_id == order_id:
                break
            lots += other.qty_lots
        return lots

    def _queues(self, side: Side) -> Iterable[Queue]:
        levels = self._sides[side]
        best_first = reversed(levels) if side is Side.BUY else iter(levels)
        return (levels[price] for price in best_first)
