"""Which publisher a node has: the compiled one where the core is built, else the readable one.

Both take the same events and give the same bytes (tests/differential/test_publishers.py), so a node does not know which
one it has.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import Any, Protocol

from exchange.gateway import feed as market
from exchange.gateway.interest import Interest
from exchange.gateway.publisher import BookSource, Publication, Publisher
from exchange.gateway.statistics import StatisticsDesk
from exchange.protocol.views import SymbolView
from exchange.sequencer import Batch


class Desk(Protocol):
    """The last 24 hours of every symbol, counted from replayed events until a publisher goes on with them."""

    def feed(self, events: bytes) -> None: ...
    def load(self, views: Iterable[SymbolView], timestamp_ns: int) -> None: ...


class MarketPublisher(Protocol):
    """Turns batches of events into topics and payloads; ``exchange.gateway.publisher`` says what each call means."""

    @property
    def epoch(self) -> int: ...
    def load(self, engine: BookSource, sequence: int, timestamp_ns: int = 0) -> None: ...
    def publications(self, batch: Batch, events: bytes) -> list[Publication]: ...
    def due(self, now_ns: int) -> list[Publication]: ...
    @property
    def next_due_ns(self) -> int: ...
    def join_marker(self, subscription: bytes) -> list[Publication]: ...
    def public_name(self, symbol: int) -> str: ...
    def snapshot(
        self, symbol: int, depth: int = 0, interval_ms: int = 0
    ) -> market.BookSnapshot: ...
    def orders_snapshot(self, symbol: int) -> market.OrdersSnapshot: ...
    def statistics(self, symbol: int) -> market.Statistics: ...


def native_market_data() -> ModuleType | None:
    """The compiled publisher and desk, or None where they are not built."""
    try:
        return importlib.import_module("exchange._native.market_data")
    except ModuleNotFoundError:
        return None


def create_desk() -> Desk:
    """Counts the last 24 hours; for ``create_publisher``."""
    native: Any = native_market_data()
    desk: Desk = StatisticsDesk() if native is None else native.StatisticsDesk()
    return desk


def create_publisher(
    epoch: int, desk: Desk | None = None, interest: Interest | None = None
) -> MarketPublisher:
    """A publisher that goes on with what the desk has counted; without ``interest`` everything is made."""
    native: Any = native_market_data()
    chosen: Any = Publisher if native is None else native.Publisher
    publisher: MarketPublisher = chosen(epoch, desk, interest)
    return publisher
