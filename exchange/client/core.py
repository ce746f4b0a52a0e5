"""What the sync and the asyncio client have in common: requests, replies, own events.  No I/O.

Theory of operation.  An ``Ask`` is what a method of a client wants: the messages to send and how to read the replies.
``Core`` gives them request ids and makes one payload of them; it takes in whatever comes from the node, keeps the
replies that somebody waits for, and puts every event of the account, asked for or not, into the stream of own events.
The node keeps all events of one command's reply in one message, so a reply is there whole or not at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any, Generic, TypeVar

import msgspec

from exchange.errors import ExchangeError
from exchange.gateway.connection import CONTROL, Code, is_control
from exchange.protocol import wire
from exchange.protocol.messages import Command, Event, PlaceOrders

T = TypeVar("T")
MAX_OWN_EVENTS = 100_000
ORDERS_IN_A_MESSAGE = 1000  # well below what a node takes in one


class ClientTimeout(ExchangeError):
    """The node did not answer in time.  A command that was sent may have been carried out all the same."""


class RequestRefused(ExchangeError):
    """The node did not take a request: its bytes, arguments, or the session were not right.  Nothing happened."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class NotLoggedIn(RequestRefused):
    """The session is not logged in for the account: it is new, or the node was started anew."""


class SessionLost(RequestRefused):
    """The client read too slowly and the node dropped events: log in again and ask for the state of the account."""


class Question(msgspec.Struct, frozen=True):
    """A control message without its request id."""

    name: str
    arguments: dict[str, Any]


Events = Sequence[Event]
Reply = Events | dict[str, Any] | RequestRefused


class Ask(msgspec.Struct, Generic[T], frozen=True):
    """Messages to send together, and what their replies mean."""

    messages: Sequence[Command | Question]
    read: Callable[[list[Any]], T]


def ask_one(message: Command | Question, read: Callable[[Any], T]) -> Ask[T]:
    return Ask((message,), lambda replies: read(replies[0]))


class Core:
    """The state of one client's connection.

    >>> core = Core()
    >>> ids, payloads = core.send(ask_one(Question("ping", {}), dict))
    >>> core.receive(msgspec.msgpack.encode([0, ids[0], {"sequence": 5}]))
    >>> core.has_replies(ids), core.take_replies(ids)
    (True, [{'sequence': 5}])
    """

    def __init__(self, max_own_events: int = MAX_OWN_EVENTS) -> None:
        self.own_events: deque[Event] = deque(maxlen=max_own_events)
        self.own_events_dropped = 0  # because nobody read the stream
        self._next_request_id = 1
        self._replies: dict[int, Reply | None] = {}  # of requests that somebody waits for
        self._lost: SessionLost | None = None
        self.on_reply: Callable[[int], None] = lambda request_id: None

    def send(self, ask: Ask[Any]) -> tuple[list[int], list[bytes]]:
        """Request ids and payloads of an ask: its commands share messages, every question is one."""
        ids: list[int] = []
        batches: list[list[bytes]] = []
        questions: list[bytes] = []
        room = 0  # for orders in the last batch
        for message in ask.messages:
            request_id = self._next_request_id
            self._next_request_id += 1
            if isinstance(message, Question):
                control = (CONTROL, request_id, message.name, message.arguments)
                questions.append(msgspec.msgpack.encode(control))
            else:
                weight = max(1, len(message.orders)) if isinstance(message, PlaceOrders) else 1
                if weight > room:
                    batches.append([])
                    room = ORDERS_IN_A_MESSAGE
                room -= weight
                batches[-1].append(wire.encode_command_wire(message, request_id))
            ids.append(request_id)
        self._replies.update(dict.fromkeys(ids))
        return ids, [*map(b"".join, batches), *questions]

    def receive(self, payload: bytes) -> None:
        """Takes in one message of the node."""
        if is_control(payload):
            _, request_id, body = msgspec.msgpack.decode(
                payload, type=tuple[int, int, dict[str, Any]]
            )
            self._receive_control(request_id, body)
            return
        for request_id, answered in groupby(
            wire.decode_events_wire(payload), key=lambda pair: pair[0]
        ):
            self._receive_events(request_id, [event for _, event in answered])

    def _receive_control(self, request_id: int, body: dict[str, Any]) -> None:
        reply: Reply = refusal(body) if "error" in body else body
        if request_id in self._replies:
            self._keep(request_id, reply)
        elif request_id == 0 and isinstance(reply, RequestRefused):
            # It could not even read a request id, or dropped what it owed us: whoever waits gets no other answer.
            self._lost = reply if isinstance(reply, SessionLost) else self._lost
            for waiting in [waiting for waiting, before in self._replies.items() if before is None]:
                self._keep(waiting, reply)

    def _keep(self, request_id: int, reply: Reply) -> None:
        self._replies[request_id] = reply
        self.on_reply(request_id)

    def _receive_events(self, request_id: int, events: list[Event]) -> None:
        if request_id in self._replies:
            before = self._replies[request_id]
            self._keep(request_id, [*before, *events] if isinstance(before, list) else events)
        overflow = len(self.own_events) + len(events) - (self.own_events.maxlen or 0)
        self.own_events_dropped += max(overflow, 0)
        self.own_events.extend(events)

    def has_replies(self, ids: Iterable[int]) -> bool:
        return all(self._replies[request_id] is not None for request_id in ids)

    def take_replies(self, ids: Iterable[int]) -> list[Reply]:
        return [reply for request_id in ids if (reply := self._replies.pop(request_id)) is not None]

    def abandon(self, ids: Iterable[int]) -> None:
        """Nobody waits for these any more; their events still reach the stream of own events."""
        for request_id in ids:
            self._replies.pop(request_id, None)

    @property
    def has_news(self) -> bool:
        """Whether take_own_events has something to give or to raise."""
        return bool(self.own_events) or self._lost is not None

    def take_own_events(self) -> list[Event]:
        """The events since the last time; raises SessionLost, once, where the node had to drop some."""
        if self._lost is not None and not self.own_events:
            lost, self._lost = self._lost, None
            raise lost
        events = list(self.own_events)
        self.own_events.clear()
        return events


REFUSED_BY_CODE: dict[str, type[RequestRefused]] = {
    Code.NOT_LOGGED_IN: NotLoggedIn,
    Code.SESSION_LOST: SessionLost,
}


def refusal(body: dict[str, Any]) -> RequestRefused:
    code, message = str(body["error"]), str(body.get("message", ""))
    return REFUSED_BY_CODE.get(code, RequestRefused)(code, message)
