"""The synchronous clients: every method sends, waits for the reply and returns it.

::

    with Client("tcp://127.0.0.1:5555", account=7) as client:
        client.deposit("1000")
        result = client.limit("BTC-PERP", "buy", quantity="0.01", price="60000")
        print(result.status, result.fills)

A client belongs to one thread.  Methods raise ``Rejected`` (the engine refused, with its reason), ``RequestRefused``
(the node did not take the request), ``UnitsError`` (a number that is not a whole tick, lot or atom) or
``ClientTimeout``.  They stand in ``methods_sync``; here is how an ask gets to the node and back.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar, Unpack

import zmq

from exchange.client.asks import Asks, SymbolLike
from exchange.client.core import Ask, ClientTimeout, Core, NotLoggedIn, Question
from exchange.client.endpoints import DEFAULT_ADMIN, DEFAULT_ORDERS, market_data_endpoint, no_answer
from exchange.client.live import FOREVER_S, LiveBook, LiveOrders, MarketData
from exchange.client.market_data import Topics, topics_of
from exchange.client.methods_sync import Methods, OperatorMethods, TraderMethods
from exchange.keys import KeysLike, read_client_keys, secure
from exchange.protocol.messages import Event

T = TypeVar("T")


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
    ) -> None:
        self.keys = read_client_keys(keys, server_key)
        self.endpoint = endpoint
        self.timeout_s = timeout_s
        self._core = Core()
        self._ask = Asks(account)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 500
        self._socket.sndhwm = self._socket.rcvhwm = 100_000
        secure(self._socket, self.keys)
        try:
            self._socket.connect(endpoint)
            self.about = self._run(self._ask.ping())
            self._learn_symbols()
        except BaseException:
            self._socket.close(linger=0)
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
        """Says goodbye and closes the connection.  Orders stay in the book."""
        if self._socket.closed:
            return
        _, payloads = self._core.send(Ask((Question("logout", {}),), list))
        self._send(payloads)
        self._socket.close()

    # ---- the way of every request

    def _run(self, ask: Ask[T]) -> T:
        try:
            return self._exchange(ask)
        except NotLoggedIn:
            if not self._ask.account:
                raise
            # The node was started anew and refused the request, so it can be sent again.
            self._exchange(self._ask.login(self._ask.account))
            return self._exchange(ask)

    def _exchange(self, ask: Ask[T]) -> T:
        ids, payloads = self._core.send(ask)
        try:
            self._send(payloads)
            self._await_replies(ids)
        except BaseException:
            self._core.abandon(ids)
            raise
        return ask.read(self._core.take_replies(ids))

    def _send(self, payloads: Iterable[bytes]) -> None:
        try:
            for payload in payloads:
                self._socket.send(payload, zmq.DONTWAIT)
        except zmq.Again:
            raise ClientTimeout(
                no_answer(self.endpoint, 0.0, "its queue of requests is full")
            ) from None

    def _await_replies(self, ids: list[int]) -> None:
        deadline = time.monotonic() + self.timeout_s
        while not self._core.has_replies(ids):
            if not self._receive(deadline - time.monotonic()):
                raise ClientTimeout(no_answer(self.endpoint, self.timeout_s))

    def _receive(self, timeout_s: float) -> bool:
        """Takes in everything that is there, waiting for the first message; False if none came."""
        if self._drain():
            return True
        return bool(self._socket.poll(max(0, int(timeout_s * 1000)))) and self._drain()

    def _drain(self) -> bool:
        taken = False
        try:
            while True:
                self._core.receive(self._socket.recv(zmq.DONTWAIT))
                taken = True
        except zmq.Again:
            return taken


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
    ) -> None:
        super().__init__(
            endpoint, account=account, timeout_s=timeout_s, keys=keys, server_key=server_key
        )
        self.market_data_endpoint = market_data or market_data_endpoint(endpoint, self.about)
        if account:
            self.login(account)

    # ---- own events

    def poll(self, timeout_s: float = 0.0) -> list[Event]:
        """The account's events since the last time, own commands' included; waits for one if there is none."""
        if not self._core.has_news:
            deadline = time.monotonic() + timeout_s
            while self._receive(deadline - time.monotonic()) and not self._core.has_news:
                pass
        else:
            self._receive(0)
        return self._core.take_own_events()

    def events(self, timeout_s: float | None = None) -> Iterator[Event]:
        """The account's events one by one; ends when none came for ``timeout_s``, never without it."""
        while True:
            batch = self.poll(FOREVER_S if timeout_s is None else timeout_s)
            if not batch and timeout_s is not None:
                return
            yield from batch

    # ---- market data

    def subscribe(self, **topics: Unpack[Topics]) -> MarketData:
        """A stream of market data, e.g. ``subscribe(trades="BTC-PERP", book=["BTC-PERP", "ETH-PERP"], funds=True)``."""
        return MarketData(self._context, self.market_data_endpoint, topics_of(**topics), self.keys)

    def book_mirror(self, symbol: SymbolLike) -> LiveBook:
        """A copy of a symbol's book that follows it; call its ``update`` to let it."""
        listed = self._listed(symbol)
        return LiveBook(self, listed.view.symbol, listed.view.name)

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
    ) -> None:
        super().__init__(endpoint, timeout_s=timeout_s, keys=keys, server_key=server_key)
