"""The asyncio clients: many requests may be under way at once.

::

    async def main() -> None:
        async with AsyncClient("tcp://127.0.0.1:5555", account=7) as client:
            await client.deposit("1000")
            print(await client.limit("BTC-PERP", "buy", quantity="0.01", price="60000"))
            async for event in client.events():
                print(event)

Their methods stand in ``methods_aio``; here is how an ask gets to the node and back, and in ``core`` everything about
the session.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import zmq
import zmq.asyncio

from exchange.client.aio_live import AsyncLiveBook, AsyncLiveOrders, AsyncMarketData, Sender
from exchange.client.asks import Asks, SymbolLike
from exchange.client.core import Core
from exchange.client.endpoints import DEFAULT_ADMIN, DEFAULT_ORDERS, market_data_endpoint, no_answer
from exchange.client.link import LINGER_MS, prepare
from exchange.client.market_data import Topics, topics_of
from exchange.client.methods_aio import AsyncMethods, AsyncOperatorMethods, AsyncTraderMethods
from exchange.client.options import SessionArguments, SessionOptions, first_request_id
from exchange.client.requests import Ask, Call
from exchange.client.stream import Bookmark
from exchange.keys import KeysLike, read_client_keys, secure
from exchange.protocol.messages import Event

T = TypeVar("T")
S_NS = 1_000_000_000
FULL_S = 0.01  # after which a queue of requests that was full is tried again


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
        **session: Unpack[SessionArguments],
    ) -> None:
        self.keys = read_client_keys(keys, server_key)
        self.endpoint = endpoint
        self.timeout_s = timeout_s
        self.about: dict[str, Any] = {}
        options = SessionOptions(**session)
        self._core = Core(options, account=account, first_request_id=first_request_id(options))
        self._ask = Asks(account)
        self._wake = asyncio.Event()
        self._own_event = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []  # of the present connection
        self._keeper: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        #: Called whenever there is something for ``poll`` to give.
        self.on_news: Callable[[], None] = lambda: None

    async def open(self) -> Self:
        """Connects; raises ClientTimeout when nobody answers."""
        self._context = zmq.asyncio.Context.instance()
        self._connect()
        self._keeper = self._guard(self._keep())
        try:
            self.about = await self._run(self._ask.ping())
            await self._learn_symbols()
        except BaseException:
            await self._stop(linger_ms=0)
            raise
        return self

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
        """Says goodbye and closes the connection.  Orders stay in the book, unless they were to be cancelled."""
        if self._keeper is None:
            return
        with contextlib.suppress(zmq.Again):
            for payload in self._core.goodbye():
                await self._socket.send(payload, zmq.DONTWAIT)
        await self._stop(LINGER_MS)

    async def _stop(self, linger_ms: int) -> None:
        keeper, self._keeper = self._keeper, None
        for task in [*self._tasks, *([keeper] if keeper else [])]:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._disconnect(linger_ms)

    # ---- the way of every request

    async def _run(self, ask: Ask[T]) -> T:
        if self._error is not None:
            raise self._error
        now_ns = time.monotonic_ns()
        call = self._core.submit(ask, now_ns, now_ns + int(self.timeout_s * S_NS))
        await self._flush()
        try:
            await self._await_call(call)
            return call.result()
        finally:
            self._core.abandon(call)

    async def _await_call(self, call: Call[Any]) -> None:
        if call.done:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def finish() -> None:
            if not done.done():
                done.set_result(None)

        call.on_done = finish
        try:
            async with asyncio.timeout(self.timeout_s):
                await done
        except TimeoutError:
            self._core.expire(call, no_answer(self.endpoint, self.timeout_s))

    async def _flush(self) -> bool:
        """Sends what is to be sent; False if not all of it went, because the queue is full."""
        outgoing = self._core.take_outgoing(time.monotonic_ns())
        for sent, payload in enumerate(outgoing):
            try:
                # It goes at once or not at all, so that two who flush never mix their messages.
                await self._socket.send(payload, zmq.DONTWAIT)
            except zmq.Again:
                self._core.put_back(outgoing[sent:])
                self._wake.set()
                return False
        return True

    def _connect(self) -> None:
        self._socket: Sender = self._context.socket(zmq.DEALER)
        prepare(self._socket)
        secure(self._socket, self.keys)
        self._monitor: Sender = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._socket.connect(self.endpoint)
        self._core.connected(time.monotonic_ns())
        self.on_news()
        self._tasks = [
            self._guard(self._read(self._socket)),
            self._guard(self._watch(self._monitor)),
        ]

    def _disconnect(self, linger_ms: int) -> None:
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=linger_ms)

    async def _read(self, socket: Sender) -> None:
        core = self._core
        while True:
            core.receive(await socket.recv(), time.monotonic_ns())
            if core.has_news:
                self._own_event.set()
                self.on_news()
            if core.needs_care:
                self._wake.set()

    async def _watch(self, monitor: Sender) -> None:
        await monitor.recv_multipart()
        self._core.disconnected(time.monotonic_ns())
        self._wake.set()

    async def _keep(self) -> None:
        """Looks after the session: connections, heartbeats, and what could not be sent at once."""
        while True:
            self._wake.clear()
            now_ns = time.monotonic_ns()
            self._core.tick(now_ns)
            if self._core.wants_connection:
                for task in self._tasks:
                    task.cancel()
                self._disconnect(linger_ms=0)
                self._connect()
            if not await self._flush():
                await asyncio.sleep(FULL_S)
                continue
            wake_ns = self._core.next_wake_ns()
            timeout_s = None if wake_ns is None else max(0.0, (wake_ns - now_ns) / S_NS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), timeout_s)

    def _guard(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Whoever waits must hear of a failure here: nobody reads for them any more."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        self._error = error
        for call in list(self._core.calls()):
            self._core.fail(
                call, error if isinstance(error, Exception) else RuntimeError(repr(error))
            )
        self._own_event.set()

    @property
    def joins(self) -> int:
        """How often this client has joined its node: more than once where a connection was lost."""
        return self._core.joins


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
        **session: Unpack[SessionArguments],
    ) -> None:
        super().__init__(
            endpoint,
            account=account,
            timeout_s=timeout_s,
            keys=keys,
            server_key=server_key,
            **session,
        )
        self.market_data_endpoint = market_data or ""

    async def open(self) -> Self:
        """Connects; raises ClientTimeout when nobody answers."""
        await super().open()
        self.market_data_endpoint = self.market_data_endpoint or market_data_endpoint(
            self.endpoint, self.about
        )
        return self

    # ---- own events

    async def poll(self, timeout_s: float = 0.0) -> list[Event]:
        """The account's events since the last time, own commands' included; waits for one if there is none.

        Raises EventsMissed in the place of events that were missed and that the node does not remember any more.
        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._await_news(), timeout_s)
        events = self._core.take_own_events()
        await self._flush()
        return events

    async def events(self) -> AsyncIterator[Event]:
        """The account's events one by one, without an end."""
        while True:
            await self._await_news()
            event = self._core.next_own_event()
            await self._flush()
            yield event

    async def _await_news(self) -> None:
        while not self._core.has_news:
            if self._error is not None:
                raise self._error
            self._own_event.clear()
            await self._own_event.wait()

    def bookmark(self) -> Bookmark:
        """How far the events were read: give it to a later client as ``resume``, and that one goes on from there."""
        return self._core.bookmark()

    # ---- market data

    def subscribe(self, **topics: Unpack[Topics]) -> AsyncMarketData:
        """A stream of market data, e.g. ``subscribe(trades="BTC-PERP", book=["BTC-PERP", "ETH-PERP"], funds=True)``."""
        return AsyncMarketData(
            self._context, self.market_data_endpoint, topics_of(**topics), self.keys
        )

    async def book_mirror(self, symbol: SymbolLike, interval_ms: int = 0) -> AsyncLiveBook:
        """A copy of a symbol's book that follows it; await its ``update`` to let it.

        With ``interval_ms`` (10, 100 or 1000) it changes at most so often: for readers that need not see every change.
        """
        listed = await self._listed(symbol)
        return await AsyncLiveBook(self, listed.view.symbol, listed.view.name, interval_ms).open()

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
        **session: Unpack[SessionArguments],
    ) -> None:
        super().__init__(endpoint, timeout_s=timeout_s, keys=keys, server_key=server_key, **session)
