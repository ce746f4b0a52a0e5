"""Market data for the sync client: a subscription, and a book that follows the market."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

import zmq

from exchange.client.book_mirror import BookMirror
from exchange.client.core import ClientTimeout
from exchange.client.endpoints import no_answer
from exchange.client.market_data import Update, decode_update
from exchange.gateway.feed import BookDelta, book_topic

if TYPE_CHECKING:
    from exchange.client.sync import Client

FOREVER_S = 3600.0  # one wait of those who wait without an end


class MarketData:
    """A subscription: an iterator of updates.  Close it, or use it in a ``with``."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, topics: list[bytes]
    ) -> None:
        self._topics = frozenset(topics)
        self._socket = context.socket(zmq.SUB)
        self._socket.rcvhwm = 100_000
        self._socket.linger = 0
        self._socket.connect(endpoint)
        for topic in topics:
            self._socket.subscribe(topic)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def poll(self, timeout_s: float = 0.0) -> list[Update]:
        """What was published since the last time; waits for the first if nothing is there yet."""
        updates: list[Update] = []
        if self._socket.poll(int(timeout_s * 1000)):
            try:
                while True:
                    topic, payload = self._socket.recv_multipart(zmq.DONTWAIT)
                    # ZeroMQ filters by prefix: "book.BTC" also lets "book.BTC2" through.
                    if topic in self._topics:
                        updates.append(decode_update(topic, payload))
            except zmq.Again:
                pass
        return updates

    def __iter__(self) -> Iterator[Update]:
        while True:
            yield from self.poll(FOREVER_S)


class LiveBook:
    """A book mirror with its subscription; asks for a snapshot by itself whenever it needs one."""

    def __init__(self, client: Client, symbol: int, name: str) -> None:
        self._client = client
        self._feed = MarketData(
            client._context, client.market_data_endpoint, [book_topic(name).encode()]
        )
        self.mirror = BookMirror(symbol)
        if not self._take(self._feed.poll(client.timeout_s)):
            self.close()
            raise ClientTimeout(
                no_answer(client.market_data_endpoint, client.timeout_s, "no market data came")
            )
        self._resnapshot()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._feed.close()

    def update(self, timeout_s: float = 0.0) -> bool:
        """Applies what was published; waits for the first delta if none is there.  True if the book changed."""
        before = (self.mirror.epoch, self.mirror.sequence)
        self._take(self._feed.poll(timeout_s))
        self._resnapshot()
        return (self.mirror.epoch, self.mirror.sequence) != before

    def _take(self, updates: list[Update]) -> int:
        for update in updates:
            if isinstance(update, BookDelta):
                self.mirror.apply(update)
        return len(updates)

    def _resnapshot(self) -> None:
        # A snapshot may be older than the delta that showed the gap: the node answers orders and market data apart.
        while self.mirror.needs_snapshot:
            self.mirror.load(self._client.book(self.mirror.symbol))
