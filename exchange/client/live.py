"""Market data for the sync client: a subscription, and books that follow the market."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import zmq

from exchange.client.book_mirror import BookMirror
from exchange.client.endpoints import no_answer
from exchange.client.errors import ClientTimeout
from exchange.client.market_data import Reception, Update
from exchange.client.mirror import Mirror
from exchange.client.order_mirror import OrderMirror
from exchange.gateway.feed import BookDelta, OrdersDelta, conflated_kind, topic_of
from exchange.keys import ClientKeys, secure

if TYPE_CHECKING:
    from exchange.client.sync import Client

FOREVER_S = 3600.0  # one wait of those who wait without an end
M = TypeVar("M", bound=Mirror[Any, Any])


class MarketData:
    """A subscription: an iterator of updates.  Close it, or use it in a ``with``."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        topics: list[bytes],
        keys: ClientKeys | None = None,
    ) -> None:
        self._reception = Reception(topics)
        self._socket = context.socket(zmq.SUB)
        self._socket.rcvhwm = 100_000
        self._socket.linger = 0
        secure(self._socket, keys)
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

    @property
    def lost(self) -> int:
        """How many messages were published and did not come: who reads too slowly loses some."""
        return self._reception.lost

    def poll(self, timeout_s: float = 0.0) -> list[Update]:
        """What was published since the last time; waits for the first if nothing is there yet."""
        updates: list[Update] = []
        if self._socket.poll(int(timeout_s * 1000)):
            try:
                while True:
                    topic, payload = self._socket.recv_multipart(zmq.DONTWAIT)
                    if (update := self._reception.take(topic, payload)) is not None:
                        updates.append(update)
            except zmq.Again:
                pass
        return updates

    def __iter__(self) -> Iterator[Update]:
        while True:
            yield from self.poll(FOREVER_S)


class Live(Generic[M]):
    """A mirror with its subscription; asks for a snapshot by itself whenever it needs one."""

    def __init__(
        self, client: Client, mirror: M, topic: str, snapshot: Callable[[int], Any]
    ) -> None:
        self._snapshot = snapshot
        self._feed = MarketData(
            client._context, client.market_data_endpoint, [topic.encode()], client.keys
        )
        self.mirror = mirror
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
            if isinstance(update, BookDelta | OrdersDelta):
                self.mirror.apply(update)
        return len(updates)

    def _resnapshot(self) -> None:
        # A snapshot may be older than the delta that showed the gap: the node answers orders and market data apart.
        while self.mirror.needs_snapshot:
            self.mirror.load(self._snapshot(self.mirror.symbol))


class LiveBook(Live[BookMirror]):
    """The levels of a book, kept right."""

    def __init__(self, client: Client, symbol: int, name: str, interval_ms: int = 0) -> None:
        topic = topic_of(conflated_kind("book", interval_ms), name)
        snapshot = partial(client.book, depth=0, interval_ms=interval_ms)
        super().__init__(client, BookMirror(symbol), topic, snapshot)


class LiveOrders(Live[OrderMirror]):
    """The resting orders of a book in their queues, kept right."""

    def __init__(self, client: Client, symbol: int, name: str) -> None:
        super().__init__(client, OrderMirror(symbol), topic_of("orders", name), client.book_orders)
