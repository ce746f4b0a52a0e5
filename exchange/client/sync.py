"""The synchronous clients: every method sends, waits for the reply and returns it.

::

    with Client("tcp://127.0.0.1:5555", account=7) as client:
        client.deposit("1000")
        result = client.limit("BTC-PERP", "buy", quantity="0.01", price="60000")
        print(result.status, result.fills)

A client belongs to one thread, and needs no other: it looks after its session whenever it is called.  Methods raise
``Rejected`` (the engine refused, with its reason), ``UnitsError`` (a number that is not a whole tick, lot or atom), or
what ``exchange.client.errors`` draws.  They stand in ``methods_sync``; here is how an ask gets to the node and back,
and in ``core`` everything about the session.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, TypeVar, Unpack

import zmq

from exchange.client.asks import Asks, SymbolLike
from exchange.client.core import Core
from exchange.client.endpoints import DEFAULT_ADMIN, DEFAULT_ORDERS, market_data_endpoint, no_answer
from exchange.client.link import LINGER_MS, Link
from exchange.client.live import FOREVER_S, LiveBook, LiveOrders, MarketData
from exchange.client.market_data import Topics, topics_of
from exchange.client.methods_sync import Methods, OperatorMethods, TraderMethods
from exchange.client.options import SessionArguments, SessionOptions, first_request_id
from exchange.client.requests import Ask
from exchange.client.stream import Bookmark
from exchange.keys import KeysLike, read_client_keys
from exchange.protocol.messages import Event

T = TypeVar("T")
S_NS = 1_000_000_000
FULL_MS = 10  # after which a queue of requests that was full is tried again


class BaseClient(Methods):
    """A connection to one door of a node: what traders' and operator's clients share."""

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
        options = SessionOptions(**session)
        self._core = Core(options, account=account, first_request_id=first_request_id(options))
        self._ask = Asks(account)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self._link = self._connect()
        self._is_closed = False
        try:
            self.about = self._run(self._ask.ping())
            self._learn_symbols()
        except BaseException:
            self._close(linger_ms=0)
            raise

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
        """Says goodbye and closes the connection.  Orders stay in the book, unless they were to be cancelled."""
        if not self._is_closed:
            self._link.send(list(self._core.goodbye()))
            self._close(LINGER_MS)

    def _close(self, linger_ms: int) -> None:
        self._is_closed = True
        self._link.close(linger_ms)

    # ---- the way of every request

    def _run(self, ask: Ask[T]) -> T:
        self._drain()  # what came since the last call, so that we know how the session stands
        now_ns = time.monotonic_ns()
        deadline_ns = now_ns + int(self.timeout_s * S_NS)
        call = self._core.submit(ask, now_ns, deadline_ns)
        try:
            if not self._turn_until(lambda: call.done, deadline_ns):
                self._core.expire(call, no_answer(self.endpoint, self.timeout_s))
            return call.result()
        finally:
            self._core.abandon(call)

    def _turn_until(self, is_done: Callable[[], bool], deadline_ns: int) -> bool:
        """Turns the handle until something is done, or the time is up."""
        while True:
            now_ns = time.monotonic_ns()
            has_sent_all = self._look_after(now_ns)
            if is_done():
                return True
            if now_ns >= deadline_ns:
                return False
            wake_ns = min(self._core.next_wake_ns() or deadline_ns, deadline_ns)
            wait_ms = max(0, -(-(wake_ns - now_ns) // 1_000_000))
            self._link.wait(wait_ms if has_sent_all else min(wait_ms, FULL_MS))
            self._drain()

    def _look_after(self, now_ns: int) -> bool:
        """Everything but waiting: a new connection where one is wanted, heartbeats, and what is to be sent."""
        self._core.tick(now_ns)
        if self._core.wants_connection:
            self._link.close(linger_ms=0)
            self._link = self._connect()
        unsent = self._link.send(self._core.take_outgoing(now_ns))
        self._core.put_back(unsent)
        return not unsent

    def _connect(self) -> Link:
        link = Link(self._context, self.endpoint, self.keys)
        self._core.connected(time.monotonic_ns())
        return link

    def _drain(self) -> None:
        """Takes in everything that is there."""
        while (payload := self._link.receive()) is not None:
            self._core.receive(payload, time.monotonic_ns())
        if self._link.has_ended():
            self._core.disconnected(time.monotonic_ns())

    @property
    def joins(self) -> int:
        """How often this client has joined its node: more than once where a connection was lost."""
        return self._core.joins


class Client(TraderMethods, BaseClient):
    """A trader's client: one account on one connection.

    Raises ClientTimeout at once when nobody answers at the endpoint.
    """

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
        self.market_data_endpoint = market_data or market_data_endpoint(endpoint, self.about)

    # ---- own events

    def poll(self, timeout_s: float = 0.0) -> list[Event]:
        """The account's events since the last time, own commands' included; waits for one if there is none.

        Raises EventsMissed in the place of events that were missed and that the node does not remember any more.
        """
        self._await_news(timeout_s)
        return self._core.take_own_events()

    def events(self, timeout_s: float | None = None) -> Iterator[Event]:
        """The account's events one by one; ends when none came for ``timeout_s``, never without it."""
        while self._await_news(FOREVER_S if timeout_s is None else timeout_s) or timeout_s is None:
            while self._core.has_news:
                yield self._core.next_own_event()

    def _await_news(self, timeout_s: float) -> bool:
        self._drain()
        deadline_ns = time.monotonic_ns() + int(timeout_s * S_NS)
        return self._turn_until(lambda: self._core.has_news, deadline_ns)

    def bookmark(self) -> Bookmark:
        """How far the events were read: give it to a later client as ``resume``, and that one goes on from there."""
        return self._core.bookmark()

    # ---- market data

    def subscribe(self, **topics: Unpack[Topics]) -> MarketData:
        """A stream of market data, e.g. ``subscribe(trades="BTC-PERP", book=["BTC-PERP", "ETH-PERP"], funds=True)``."""
        return MarketData(self._context, self.market_data_endpoint, topics_of(**topics), self.keys)

    def book_mirror(self, symbol: SymbolLike, interval_ms: int = 0) -> LiveBook:
        """A copy of a symbol's book that follows it; call its ``update`` to let it.

        With ``interval_ms`` (10, 100 or 1000) it changes at most so often: for readers that need not see every change.
        """
        listed = self._listed(symbol)
        return LiveBook(self, listed.view.symbol, listed.view.name, interval_ms)

    def order_mirror(self, symbol: SymbolLike) -> LiveOrders:
        """A copy of a symbol's resting orders that follows them; call its ``update`` to let it."""
        listed = self._listed(symbol)
        return LiveOrders(self, listed.view.symbol, listed.view.name)


class AdminClient(OperatorMethods, BaseClient):
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
