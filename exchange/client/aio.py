"""The asyncio clients: many requests may be under way at once.

::

    async def main() -> None:
        async with AsyncClient("tcp://127.0.0.1:5555", account=7) as client:
            await client.deposit("1000")
            print(await client.limit("BTC-PERP", "buy", quantity="0.01", price="60000"))
            async for event in client.events():
                print(event)

Their methods stand in ``methods_aio``; here is how an ask gets to the node and back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import zmq
import zmq.asyncio

from exchange.client.aio_live import AsyncLiveBook, AsyncLiveOrders, AsyncMarketData, Sender
from exchange.client.asks import Asks, SymbolLike
from exchange.client.core import Ask, ClientTimeout, Core, NotLoggedIn, Question
from exchange.client.endpoints import DEFAULT_ADMIN, DEFAULT_ORDERS, market_data_endpoint, no_answer
from exchange.client.market_data import Topics, topics_of
from exchange.client.methods_aio import AsyncMethods, AsyncOperatorMethods, AsyncTraderMethods
from exchange.keys import KeysLike, read_client_keys, secure
from exchange.protocol.messages import Event

T = TypeVar("T")


class Waiter:
    """Who waits for the replies of one ask: done when none is missing."""

    def __init__(self, ids: Iterable[int]) -> None:
        self.missing = set(ids)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self.missing:
            self.done.set_result(None)

    def arrived(self, request_id: int) -> None:
        self.missing.discard(request_id)
        if not self.missing and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class AsyncBaseClient(AsyncMethods):
    """A connection to one door of a node.  Open it with ``async with`` or ``await client.open()``."""

    def __init__(
        self,
        endpoint: str,
        *,
        account: int = 0,
        timeout_s: float = 5.0,
        keys: KeysLike = None,
        server_key: str | None = None,
    ) -> None:
        self.keys = read_client_keys(keys, server_key)
        self.endpoint = endpoint
        self.timeout_s = timeout_s
        self.about: dict[str, Any] = {}
        self._core = Core()
        self._core.on_reply = self._reply_arrived
        self._ask = Asks(account)
        self._waiters: dict[int, Waiter] = {}
        self._own_event = asyncio.Event()

    async def open(self) -> Self:
        """Connects; raises ClientTimeout when nobody answers."""
        self._context = zmq.asyncio.Context.instance()
        self._socket: Sender = self._context.socket(zmq.DEALER)
        self._socket.linger = 500
        self._socket.sndhwm = self._socket.rcvhwm = 100_000
        secure(self._socket, self.keys)
        self._socket.connect(self.endpoint)
        self._reader = asyncio.create_task(self._read())
        try:
            self.about = await self._run(self._ask.ping())
            await self._learn_symbols()
            await self._opened()
        except BaseException:
            await self._stop(linger=0)
            raise
        return self

    async def _opened(self) -> None:
        """What else a kind of client does when it is connected."""

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Says goodbye and closes the connection.  Orders stay in the book."""
        if self._socket.closed:
            return
        _, payloads = self._core.send(Ask((Question("logout", {}),), list))
        await self._send(payloads)
        await self._stop(linger=500)

    async def _stop(self, linger: int) -> None:
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        self._socket.close(linger=linger)

    # ---- the way of every request

    async def _read(self) -> None:
        try:
            while True:
                self._core.receive(await self._socket.recv())
                if self._core.has_news:
                    self._own_event.set()
        except Exception as error:
            # Whoever waits must hear of it: nobody reads for them any more.
            for waiter in set(self._waiters.values()):
                waiter.fail(error)
            raise

    def _reply_arrived(self, request_id: int) -> None:
        waiter = self._waiters.pop(request_id, None)
        if waiter is not None:
            waiter.arrived(request_id)

    async def _run(self, ask: Ask[T]) -> T:
        try:
            return await self._exchange(ask)
        except NotLoggedIn:
            if not self._ask.account:
                raise
            # The node was started anew and refused the request, so it can be sent again.
            await self._exchange(self._ask.login(self._ask.account))
            return await self._exchange(ask)

    async def _exchange(self, ask: Ask[T]) -> T:
        ids, payloads = self._core.send(ask)
        waiter = Waiter(ids)
        self._waiters.update(dict.fromkeys(ids, waiter))
        try:
            await self._send(payloads)
            await asyncio.wait_for(waiter.done, self.timeout_s)
        except BaseException as error:
            self._core.abandon(ids)
            for request_id in ids:
                self._waiters.pop(request_id, None)
            if isinstance(error, TimeoutError):
                raise ClientTimeout(no_answer(self.endpoint, self.timeout_s)) from None
            raise
        return ask.read(self._core.take_replies(ids))

    async def _send(self, payloads: Iterable[bytes]) -> None:
        for payload in payloads:
            await self._socket.send(payload)


class AsyncClient(AsyncTraderMethods, AsyncBaseClient):
    """A trader's client: one account on one connection."""

    def __init__(
        self,
        endpoint: str = DEFAULT_ORDERS,
        account: int = 0,
        *,
        market_data: str | None = None,
        timeout_s: float = 5.0,
        keys: KeysLike = None,
        server_key: str | None = None,
    ) -> None:
        super().__init__(
            endpoint, account=account, timeout_s=timeout_s, keys=keys, server_key=server_key
        )
        self.market_data_endpoint = market_data or ""

    async def _opened(self) -> None:
        self.market_data_endpoint = self.market_data_endpoint or market_data_endpoint(
            self.endpoint, self.about
        )
        if self.account_number:
            await self.login(self.account_number)

    # ---- own events

    async def poll(self, timeout_s: float = 0.0) -> list[Event]:
        """The account's events since the last time, own commands' included; waits for one if there is none."""
        if not self._core.has_news:
            self._own_event.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._own_event.wait(), timeout_s)
        return self._core.take_own_events()

    async def events(self) -> AsyncIterator[Event]:
        """The account's events one by one, without an end."""
        while True:
            self._own_event.clear()
            for event in self._core.take_own_events():
                yield event
            await self._own_event.wait()

    # ---- market data

    def subscribe(self, **topics: Unpack[Topics]) -> AsyncMarketData:
        """A stream of market data, e.g. ``subscribe(trades="BTC-PERP", book=["BTC-PERP", "ETH-PERP"], funds=True)``."""
        return AsyncMarketData(
            self._context, self.market_data_endpoint, topics_of(**topics), self.keys
        )

    async def book_mirror(self, symbol: SymbolLike) -> AsyncLiveBook:
        """A copy of a symbol's book that follows it; await its ``update`` to let it."""
        listed = await self._listed(symbol)
        return await AsyncLiveBook(self, listed.view.symbol, listed.view.name).open()

    async def order_mirror(self, symbol: SymbolLike) -> AsyncLiveOrders:
        """A copy of a symbol's resting orders that follows them; await its ``update`` to let it."""
        listed = await self._listed(symbol)
        return await AsyncLiveOrders(self, listed.view.symbol, listed.view.name).open()


class AsyncAdminClient(AsyncOperatorMethods, AsyncBaseClient):
    """The operator's client: listings, marks, states of symbols, funding, funds."""

    def __init__(
        self,
        endpoint: str = DEFAULT_ADMIN,
        *,
        timeout_s: float = 5.0,
        keys: KeysLike = None,
        server_key: str | None = None,
    ) -> None:
        super().__init__(endpoint, timeout_s=timeout_s, keys=keys, server_key=server_key)
