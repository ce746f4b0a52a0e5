"""Where a pre-open ends, when nobody says so.

Before the opening a venue collects orders without matching them, so its book crosses itself; the opening auction
takes out what trades and leaves a book that does not cross.  Following a recording up to its first execution
without matching, the last moment at which the book was crossed is therefore the end of the pre-open.
"""

from __future__ import annotations

from sortedcontainers import SortedDict

from exchange.flow.recording import Act, Recording, Step
from exchange.protocol.schema import Side


class CollectedBook:
    """Orders by price, never matched: only whether they cross is asked."""

    def __init__(self) -> None:
        self._orders: dict[str, Step] = {}
        # Order counts by price; bids with their sign turned, so that the best price comes first on both sides.
        self._sides: tuple[SortedDict[int, int], SortedDict[int, int]] = (
            SortedDict(),
            SortedDict(),
        )

    def follow(self, step: Step) -> None:
        """Carries one step over; reductions are not needed to know what crosses unless they take all."""
        if step.act is Act.REDUCE:
            order = self._orders.get(step.order_id)
            if order is None or order.qty_lots > step.qty_lots:
                if order is not None:
                    left = order.qty_lots - step.qty_lots
                    self._orders[step.order_id] = order._replace(qty_lots=left)
                return
        self._take_out(step.order_id)
        if step.act in (Act.ADD, Act.REPLACE):
            self._orders[step.order_id] = step
            levels, key = self._level(step)
            levels[key] = levels.get(key, 0) + 1

    def _take_out(self, order_id: str) -> None:
        if order := self._orders.pop(order_id, None):
            levels, key = self._level(order)
            levels[key] -= 1
            if not levels[key]:
                del levels[key]

    def _level(self, step: Step) -> tuple[SortedDict[int, int], int]:
        return self._sides[
            step.side
        ], -step.price_ticks if step.side is Side.BUY else step.price_ticks

    @property
    def crossed(self) -> bool:
        bids, asks = self._sides
        return bool(bids and asks and -bids.peekitem(0)[0] >= asks.peekitem(0)[0])


def end_of_pre_open(recording: Recording) -> int | None:
    """Time of the last step that left or found the book crossed before the first execution; None: there is no pre-open.

    A recording without executions tells nothing about when its venue began to match, so it has none either.
    """
    book, end = CollectedBook(), None
    for step in recording.steps:
        if step.act is Act.TAKE:
            return end
        was_crossed = book.crossed
        book.follow(step)
        if was_crossed or book.crossed:
            end = step.t_ns
    return None
