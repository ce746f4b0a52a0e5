"""Asks a node how it stands and listens to its liquidations; a node that is away is asked again until it is back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import zmq

from exchange.client.endpoints import market_data_endpoint
from exchange.client.market_data import decode_published, update_of
from exchange.gateway.connection import CONTROL
from exchange.gateway.feed import LIQUIDATIONS_TOPIC, BookSnapshot, Statistics
from exchange.keys import ClientKeys, secure
from exchange.ops.top.picture import Look, Picture
from exchange.protocol.views import SymbolView

ANSWER_S = 1.0  # longer than that, and the node is away
RETRY_ADMIN_S = 10.0  # the operator's door is not asked all the time where it does not answer
LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")
LOGOUT = msgspec.msgpack.encode((CONTROL, 1, "logout", {}))
Question = tuple[str, dict[str, int]]
Answer = dict[str, Any]


class Away(Exception):
    """Nobody answers, or the node does not take the question; says why."""


class Line:
    """A connection to one door, for questions alone."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, keys: ClientKeys | None
    ) -> None:
        self._context = context
        self._endpoint = endpoint
        self._keys = keys
        self._socket: zmq.Socket[bytes] | None = None

    def ask(self, questions: Sequence[Question], within_s: float = ANSWER_S) -> list[Answer]:
        """The answers, in the order of the questions.

        Raises:
            Away: one of them did not come, or is a refusal.
        """
        try:
            return self._ask(questions, time.monotonic() + within_s)
        except BaseException:
            # What is answered later would be taken for an answer to the next questions.
            self.close(linger_ms=0)
            raise

    def _ask(self, questions: Sequence[Question], deadline_s: float) -> list[Answer]:
        socket = self._open()
        for request_id, (name, arguments) in enumerate(questions, 1):
            control = (CONTROL, request_id, name, arguments)
            try:
                socket.send(msgspec.msgpack.encode(control), zmq.DONTWAIT)
            except (
                zmq.Again
            ):  # nobody to send it to: the node closed the connection, for want of a key perhaps
                raise Away(f"no answer from {self._endpoint}") from None
        answers: dict[int, Answer] = {}
        while len(answers) < len(questions):
            remaining_ms = int((deadline_s - time.monotonic()) * 1000)
            if remaining_ms <= 0 or not socket.poll(remaining_ms):
                raise Away(f"no answer from {self._endpoint}")
            _, request_id, body = msgspec.msgpack.decode(
                socket.recv(), type=tuple[int, int, Answer]
            )
            if "error" in body:
                raise Away(f"{body['error']}: {body.get('message', '')}")
            if request_id:  # 0: a heartbeat, or that it is about to stop
                answers[request_id] = body
        return [answers[request_id] for request_id in range(1, len(questions) + 1)]

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def _open(self) -> zmq.Socket[bytes]:
        if self._socket is None:
            self._socket = self._context.socket(zmq.DEALER)
            self._socket.linger = 0
            secure(self._socket, self._keys)
            self._socket.connect(self._endpoint)
        return self._socket

    def close(self, linger_ms: int = 200) -> None:
        """Says goodbye, so that the node need not find out."""
        if self._socket is not None:
            if self._socket.poll(0, zmq.POLLOUT):
                self._socket.send(LOGOUT, zmq.DONTWAIT)
            self._socket.close(linger_ms)
            self._socket = None


class Watch:
    """Looks at one node, again and again.

    ``admin`` is the operator's door: None for the one that the node names, where that is on this machine; empty for
    none.  Where the node has keys, each door wants those of a role of its own.

    Of ``shown`` symbols, those of ``only`` or the first ones, books and statistics are asked for.
    """

    def __init__(
        self,
        endpoint: str,
        admin: str | None = None,
        *,
        only: Sequence[str] = (),
        shown: int = 4,
        depth: int = 20,
        keys: ClientKeys | None = None,
        admin_keys: ClientKeys | None = None,
    ) -> None:
        self.picture = Picture(endpoint)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._keys, self._admin_keys = keys, admin_keys
        self._orders = Line(self._context, endpoint, keys)
        self._admin_endpoint = admin
        self._admin: Line | None = None
        self._admin_not_before_s = 0.0
        self._only = tuple(only)
        self._shown, self._depth = shown, depth
        self._feed: zmq.Socket[bytes] | None = None
        self._feed_endpoint = ""

    def close(self) -> None:
        self._orders.close()
        if self._admin is not None:
            self._admin.close()
        if self._feed is not None:
            self._feed.close(linger=0)
        self._context.term()

    def look(self) -> bool:
        """Takes one look; False where the node is away, which the picture says too."""
        try:
            look = self._look()
        except (Away, zmq.ZMQError, msgspec.MsgspecError) as error:
            self.picture.miss(str(error), time.monotonic())
            return False
        self.picture.take(look)
        self._listen(look.ping)
        return True

    def _look(self) -> Look:
        if not self._orders.is_open:
            self._orders.ask([("ping", {})])  # connecting is no part of a round trip
        sent_s = time.perf_counter()
        (ping,) = self._orders.ask([("ping", {})])
        round_trip_s = time.perf_counter() - sent_s
        listed, funds = self._orders.ask([("get_symbols", {}), ("get_funds", {})])
        symbols = msgspec.convert(listed["symbols"], list[SymbolView])
        chosen = [view.symbol for view in self._choose(symbols)]
        of_symbol = [{"symbol": symbol} for symbol in chosen]
        answers = self._orders.ask(
            [
                *(("get_book", {**symbol, "depth": self._depth}) for symbol in of_symbol),
                *(("get_statistics", symbol) for symbol in of_symbol),
            ]
        )
        books = msgspec.convert(answers[: len(chosen)], list[BookSnapshot])
        statistics = msgspec.convert(answers[len(chosen) :], list[Statistics])
        return Look(
            at_s=time.monotonic(),
            round_trip_s=round_trip_s,
            ping=ping,
            symbols=symbols,
            books={book.symbol: book for book in books},
            statistics={figures.symbol: figures for figures in statistics},
            funds=dict(funds["funds"]),
            fees_atoms=funds["fees_atoms"],
            uncovered=funds["uncovered"],
            status=self._status(ping),
        )

    def _choose(self, symbols: Sequence[SymbolView]) -> list[SymbolView]:
        chosen = [view for view in symbols if not self._only or view.name in self._only]
        return chosen[: self._shown]

    def _status(self, ping: Mapping[str, Any]) -> Answer | None:
        """What the operator's door says, if it lets us in."""
        endpoint = self._admin_endpoint
        if endpoint is None:
            # Without keys for it there is no use in knocking at a door that wants some.
            closed = self._keys is not None and self._admin_keys is None
            endpoint = "" if closed else local_admin(ping)
        if not endpoint:
            return None
        if self._admin is None:
            self._admin = Line(self._context, endpoint, self._admin_keys)
        if time.monotonic() < self._admin_not_before_s:
            return None
        try:
            return self._admin.ask([("get_status", {})])[0]
        except Away:
            self._admin_not_before_s = time.monotonic() + RETRY_ADMIN_S
            return None

    def _listen(self, ping: Mapping[str, Any]) -> None:
        """Takes in what was published since the last look; the node may have another port after a restart."""
        endpoint = market_data_endpoint(self.picture.endpoint, ping)
        if self._feed is None or endpoint != self._feed_endpoint:
            if self._feed is not None:
                self._feed.close(linger=0)
            self._feed, self._feed_endpoint = self._context.socket(zmq.SUB), endpoint
            secure(self._feed, self._keys)
            self._feed.connect(endpoint)
            self._feed.subscribe(LIQUIDATIONS_TOPIC)
        while self._feed.poll(0):
            topic, payload = self._feed.recv_multipart()
            published = decode_published(topic, payload)
            self.picture.hear(published.timestamp_ns, update_of(published))  # type: ignore[arg-type]


def local_admin(ping: Mapping[str, Any]) -> str:
    """The operator's door that a node names, if it is on this machine; else none.

    >>> local_admin({"endpoints": {"admin": "tcp://127.0.0.1:5557"}})
    'tcp://127.0.0.1:5557'
    >>> local_admin({"endpoints": {"admin": "tcp://10.0.0.1:5557"}})
    ''
    """
    endpoint = str(ping["endpoints"].get("admin", ""))
    scheme, _, address = endpoint.partition("://")
    host, _, _ = address.rpartition(":")
    return endpoint if scheme == "ipc" or host in LOCAL_HOSTS else ""
