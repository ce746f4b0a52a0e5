"""One symbol's book as the public sees it: order by order, level by level, and what changed since it was last told.

Theory of operation.  Each event that puts an order into the book, takes lots off it or takes it out changes one
order.  The changes themselves are level 3; the levels that they touched are level 2; the best of them is the top.  Of
an iceberg only the slice stands here: what it hides is in no structure of this module, so it cannot leave by any door.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sortedcontainers import SortedDict

from exchange.gateway.feed import OrderAction, OrderChange, QueuedOrder
from exchange.protocol.schema import Side
from exchange.protocol.views import LevelView


class Shown:
    """A resting order; ``lots`` is what it shows, 0 between two slices of an iceberg."""

    __slots__ = ("iceberg", "lots", "price_ticks", "side")

    def __init__(self, side: int, price_ticks: int, iceberg: bool) -> None:
        self.side = side
        self.price_ticks = price_ticks
        self.iceberg = iceberg
        self.lots = 0


class Level:
    """A price: its orders in the order of the queue, and what they show together."""

    __slots__ = ("lots", "queue")

    def __init__(self) -> None:
        self.lots = 0
        self.queue: dict[int, Shown] = {}  # by order id; a dict keeps the order in which they came


class PublicBook:
    """Follows the events of one symbol's orders."""

    def __init__(self, symbol: int, name: str) -> None:
        self.symbol = symbol
        self.name = name
        self._orders: dict[int, Shown] = {}
        self._sides: tuple[SortedDict[int, Level], SortedDict[int, Level]] = (
            SortedDict(),
            SortedDict(),
        )
        self._changed: tuple[set[int], set[int]] = (set(), set())
        self._changes: list[OrderChange] = []

    # ---------------------------------------------------------------------------------------- the events

    def rested(
        self, order_id: int, side: int, price_ticks: int, open_lots: int, iceberg: bool
    ) -> None:
        """An order joined the back of its level; what an iceberg shows is told by ``shown``, which follows."""
        assert order_id not in self._orders, f"{self.name}: order {order_id} rests already"
        order = self._orders[order_id] = Shown(side, price_ticks, iceberg)
        if not iceberg:
            self._join(order_id, order, open_lots)

    def shown(self, order_id: int, shown_lots: int, refreshed: bool) -> None:
        """An iceberg shows a new slice at the back of its level, or less of its slice where it stands."""
        order = self._orders[order_id]
        if not refreshed:
            self._take_off(order_id, order, order.lots - shown_lots, OrderAction.REDUCED)
            return
        if order.lots:
            self._leave(order_id, order)
        self._join(order_id, order, shown_lots)

    def filled(self, order_id: int, qty_lots: int, open_lots: int, trade_id: int) -> None:
        """A resting order traded; with nothing open it is gone."""
        order = self._orders[order_id]
        self._take_off(order_id, order, qty_lots, OrderAction.FILLED, trade_id)
        if open_lots == 0:
            assert order.lots == 0, f"{self.name}: filled order {order_id} still shows {order.lots}"
            del self._orders[order_id]

    def reduced(self, order_id: int, reduced_lots: int) -> None:
        """Self-trade prevention took lots off a resting order."""
        self._take_off(order_id, self._orders[order_id], reduced_lots, OrderAction.REDUCED)

    def amended(self, order_id: int, kept_priority: bool, open_lots: int) -> None:
        """It is smaller now, in its place; or out of the book for now: ``rested`` tells when it is back."""
        order = self._orders[order_id]
        if not kept_priority:
            self.cancelled(order_id)
        elif not order.iceberg:
            # What an iceberg shows is told by ``shown``, if that changes at all.
            self._take_off(order_id, order, order.lots - open_lots, OrderAction.REDUCED)

    def cancelled(self, order_id: int) -> None:
        """A resting order is gone, with all that it showed."""
        order = self._orders.pop(order_id)
        if order.lots:
            self._leave(order_id, order)

    # ---------------------------------------------------------------------------------------- the queues

    def _join(self, order_id: int, order: Shown, lots: int) -> None:
        order.lots = lots
        levels = self._sides[order.side]
        level = levels.get(order.price_ticks)
        if level is None:
            level = levels[order.price_ticks] = Level()
        level.queue[order_id] = order
        level.lots += lots
        self._changed[order.side].add(order.price_ticks)
        self._tell_joined(order_id, order)

    def _tell_joined(self, order_id: int, order: Shown) -> None:
        """An order that left and joined without anything between was replaced."""
        action = OrderAction.ADDED
        if self._changes:
            last = self._changes[-1]
            if last.order_id == order_id and last.action == OrderAction.REMOVED:
                self._changes.pop()
                action = OrderAction.REPLACED
        self._changes.append(
            OrderChange(action, order_id, order.side, order.price_ticks, order.lots)
        )

    def _leave(self, order_id: int, order: Shown) -> None:
        self._unqueue(order_id, order, order.lots)
        order.lots = 0
        self._changes.append(
            OrderChange(OrderAction.REMOVED, order_id, order.side, order.price_ticks, 0)
        )

    def _take_off(
        self, order_id: int, order: Shown, lots: int, action: OrderAction, trade_id: int = 0
    ) -> None:
        if lots == 0:
            return
        order.lots -= lots
        assert order.lots >= 0, f"{self.name}: order {order_id} fell to {order.lots} lots"
        if order.lots:
            self._sides[order.side][order.price_ticks].lots -= lots
            self._changed[order.side].add(order.price_ticks)
        else:
            self._unqueue(order_id, order, lots)
            if action is OrderAction.REDUCED:
                action = OrderAction.REMOVED
        fill_lots = lots if trade_id else 0
        self._changes.append(
            OrderChange(
                action, order_id, order.side, order.price_ticks, order.lots, fill_lots, trade_id
            )
        )

    def _unqueue(self, order_id: int, order: Shown, lots: int) -> None:
        levels = self._sides[order.side]
        level = levels[order.price_ticks]
        del level.queue[order_id]
        level.lots -= lots
        if not level.queue:
            assert level.lots == 0, f"{self.name}: {level.lots} lots without an order"
            del levels[order.price_ticks]
        self._changed[order.side].add(order.price_ticks)

    # ------------------------------------------------------------------------------------- what is told

    def take_changes(self) -> list[OrderChange]:
        """Level 3: what happened to the orders since the last time."""
        changes, self._changes = self._changes, []
        return changes

    def take_changed(self) -> tuple[set[int], set[int]]:
        """Level 2: the prices of bids and offers that changed since the last time."""
        changed, self._changed = self._changed, (set(), set())
        return changed

    def levels_at(
        self, bids: Iterable[int], asks: Iterable[int]
    ) -> tuple[list[LevelView], list[LevelView]]:
        """The levels at these prices, best first; one without lots is gone."""
        return self._views(Side.BUY, bids), self._views(Side.SELL, asks)

    def forget_changes(self) -> None:
        """What the book was loaded with is no news."""
        self.take_changes()
        self.take_changed()

    @property
    def best_bid(self) -> LevelView | None:
        bids = self._sides[Side.BUY]
        return self._view(*bids.peekitem(-1)) if bids else None

    @property
    def best_ask(self) -> LevelView | None:
        asks = self._sides[Side.SELL]
        return self._view(*asks.peekitem(0)) if asks else None

    def levels(self, side: Side, depth: int = 0) -> list[LevelView]:
        """The levels of a side, best first; depth 0: all."""
        return [self._view(price, self._sides[side][price]) for price in self._prices(side, depth)]

    def queue(self, side: Side) -> list[QueuedOrder]:
        """The orders of a side: best price first, at one price who is first in the queue."""
        return [
            QueuedOrder(order_id, price, order.lots)
            for price in self._prices(side, 0)
            for order_id, order in self._sides[side][price].queue.items()
        ]

    def _prices(self, side: Side, depth: int) -> Iterator[int]:
        levels = self._sides[side]
        best_first = reversed(levels) if side is Side.BUY else iter(levels)
        return (price for _, price in zip(range(depth or len(levels)), best_first, strict=False))

    def _views(self, side: Side, prices: Iterable[int]) -> list[LevelView]:
        best_first = sorted(prices, reverse=side is Side.BUY)
        return [self._view(price, self._sides[side].get(price)) for price in best_first]

    def _view(self, price_ticks: int, level: Level | None) -> LevelView:
        if level is None:
            return LevelView(price_ticks, 0, 0)
        return LevelView(price_ticks, level.lots, len(level.queue))
