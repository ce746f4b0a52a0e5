"""Market data for the asyncio client: a subscription, and a book that follows the market."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

import zmq
import zmq.asyncio

from exchange.client.book_mirror import BookMirror
from exchange.client.core import ClientTimeout
from exchange.client.endpoints import no_answer
from exchange.client.market_data import Update, decode_update
from exchange.gateway.feed import BookDelta, book_topic

if TYPE_CHECKING:
    from exchange.client.aio import AsyncClient

Sender: TypeAlias = zmq.asyncio.Socket


class AsyncMarketData:
    """A subscription: an async iterator of updates.  Close it, or use it in a ``with``."""

    def __init__(self, context: zmq.asyncio.Context, endpoint: str, topics: list[bytes]) -> None:
        self._topics = frozenset(topics)
        self._socket: Sender = context.socket(zmq.SUB)
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

    async def next(self) -> Update:
        """The next update, however long it takes."""
        while True:
            topic, payload = await self._socket.recv_multipart()
            # ZeroMQ filters by prefix: "book.BTC" also lets "book.BTC2" through.
            if topic in self._topics:
                return decode_update(topic, payload)

    async def __aiter__(self) -> AsyncIterator[Update]:
        while True:
            yield await self.next()


class AsyncLiveBook:
    """A book mirror with its subscription; asks for a snapshot by itself whenever it needs one."""

    def __init__(self, client: AsyncClient, symbol: int, name: str) -> None:
        self._client = client
        self._feed = AsyncMarketData(
            client._context, client.market_data_endpoint, [book_topic(name).encode()]
        )
        self.mirror = BookMirror(symbol)

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
        if isinstance(update, BookDelta):
            self.mirror.apply(update)

    async def _resnapshot(self) -> None:
        while self.mirror.needs_snapshot:
            self.mirror.load(await self._client.book(self.mirror.symbol))
