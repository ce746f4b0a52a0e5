"""A copy of a book by levels that keeps itself right."""

from __future__ import annotations

from itertools import islice

from sortedcontainers import SortedDict

from exchange.client.mirror import Mirror
from exchange.gateway.feed import BookDelta, BookSnapshot
from exchange.protocol.schema import Side
from exchange.protocol.views import LevelView


class BookMirror(Mirror[BookSnapshot, BookDelta]):
    """One symbol's book, made of a snapshot and the deltas after it.  No I/O: it says when it needs a snapshot.

    >>> mirror = BookMirror(1)
    >>> mirror.needs_snapshot
    True
    >>> level = LevelView(price_ticks=100, qty_lots=5, order_count=1)
    >>> about = {"symbol": 1, "epoch": 1, "engine_sequence": 9}
    >>> mirror.load(BookSnapshot(**about, sequence=3, bids=[level], asks=[]))
    >>> mirror.apply(BookDelta(**about, sequence=4, timestamp_ns=0, bids=[LevelView(101, 2, 1)], asks=[]))
    >>> mirror.best_bid
    LevelView(price_ticks=101, qty_lots=2, order_count=1)
    >>> mirror.apply(BookDelta(**about, sequence=6, timestamp_ns=0, bids=[], asks=[]))
    >>> mirror.needs_snapshot, mirror.gaps
    (True, 1)
    """

    def __init__(self, symbol: int) -> None:
        super().__init__(symbol)
        # Keys are signed so that the best price of either side comes first.
        self._bids: SortedDict[int, LevelView] = SortedDict()
        self._asks: SortedDict[int, LevelView] = SortedDict()

    def _start_over(self, snapshot: BookSnapshot) -> None:
        self._bids = SortedDict((-level.price_ticks, level) for level in snapshot.bids)
        self._asks = SortedDict((level.price_ticks, level) for level in snapshot.asks)

    def _changes_something(self, delta: BookDelta) -> bool:
        return bool(delta.bids or delta.asks)

    def _change(self, delta: BookDelta) -> None:
        for levels, changes, sign in ((self._bids, delta.bids, -1), (self._asks, delta.asks, 1)):
            for level in changes:
                if level.qty_lots:
                    levels[sign * level.price_ticks] = level
                else:
                    levels.pop(sign * level.price_ticks, None)

    @property
    def bids(self) -> list[LevelView]:
        """Buy levels, best price first."""
        return list(self._bids.values())

    @property
    def asks(self) -> list[LevelView]:
        """Sell levels, best price first."""
        return list(self._asks.values())

    def best(self, side: Side, depth: int) -> list[LevelView]:
        """The first ``depth`` levels of a side, best price first."""
        levels = self._bids if side is Side.BUY else self._asks
        return list(islice(levels.values(), depth))

    @property
    def best_bid(self) -> LevelView | None:
        return self._bids.peekitem(0)[1] if self._bids else None

    @property
    def best_ask(self) -> LevelView | None:
        return self._asks.peekitem(0)[1] if self._asks else None
