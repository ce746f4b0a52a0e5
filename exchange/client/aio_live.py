"""Market data for the asyncio client: a subscription, and books that follow the market."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypeVar

import zmq
import zmq.asyncio

from exchange.client.book_mirror import BookMirror
from exchange.client.endpoints import no_answer
from exchange.client.errors import ClientTimeout
from exchange.client.market_data import Reception, Update
from exchange.client.mirror import Mirror
from exchange.client.order_mirror import OrderMirror
from exchange.gateway.feed import BookDelta, OrdersDelta, conflated_kind, topic_of
from exchange.keys import ClientKeys, secure

if TYPE_CHECKING:
    from exchange.client.aio import AsyncClient

Sender: TypeAlias = zmq.asyncio.Socket
M = TypeVar("M", bound=Mirror[Any, Any])


class AsyncMarketData:
    """A subscription: an async iterator of updates.  Close it, or use it in a ``with``."""

    def __init__(
        self,
        context: zmq.asyncio.Context,
        endpoint: str,
        topics: list[bytes],
        keys: ClientKeys | None = None,
    ) -> None:
        self._reception = Reception(topics)
        self._socket: Sender = context.socket(zmq.SUB)
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

    async def next(self) -> Update:
        """The next update, however long it takes."""
        while True:
            topic, payload = await self._socket.recv_multipart()
            if (update := self._reception.take(topic, payload)) is not None:
                return update

    async def __aiter__(self) -> AsyncIterator[Update]:
        while True:
            yield await self.next()


class AsyncLive(Generic[M]):
    """A mirror with its subscription; asks for a snapshot by itself whenever it needs one."""

    def __init__(
        self,
        client: AsyncClient,
        mirror: M,
        topic: str,
        snapshot: Callable[[int], Awaitable[Any]],
    ) -> None:
        self._client = client
        self._snapshot = snapshot
        self._feed = AsyncMarketData(
            client._context, client.market_data_endpoint, [topic.encode()], client.keys
        )
        self.mirror = mirror

    async def open(self) -> Self:
        try:
            await asyncio.wait_for(self._take(), self._client.timeout_s)
            await self._resnapshot()
        except TimeoutError:
            self.close()
            endpoint, timeout_s = self._client.market_data_endpoint, self._client.timeout_s
            raise ClientTimeout(no_answer(endpoint, timeout_s, "no market data came")) from None
        return self

    def close(self) -> None:
        self._feed.close()

    async def update(self) -> None:
        """Waits for the next delta and applies it."""
        await self._take()
        await self._resnapshot()

    async def _take(self) -> None:
        update = await self._feed.next()
        if isinstance(update, BookDelta | OrdersDelta):
            self.mirror.apply(update)

    async def _resnapshot(self) -> None:
        while self.mirror.needs_snapshot:
            self.mirror.load(await self._snapshot(self.mirror.symbol))


class AsyncLiveBook(AsyncLive[BookMirror]):
    """The levels of a book, kept right."""

    def __init__(self, client: AsyncClient, symbol: int, name: str, interval_ms: int = 0) -> None:
        topic = topic_of(conflated_kind("book", interval_ms), name)
        snapshot = partial(client.book, depth=0, interval_ms=interval_ms)
        super().__init__(client, BookMirror(symbol), topic, snapshot)


class AsyncLiveOrders(AsyncLive[OrderMirror]):
    """The resting orders of a book in their queues, kept right."""

    def __init__(self, client: AsyncClient, symbol: int, name: str) -> None:
        super().__init__(client, OrderMirror(symbol), topic_of("orders", name), client.book_orders)
