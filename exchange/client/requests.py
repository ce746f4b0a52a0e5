"""What a method of a client wants, and how it goes: asks, their requests, the bytes that they become.  No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from exchange.client.errors import RequestRefused
from exchange.gateway.connection import CONTROL
from exchange.protocol import wire
from exchange.protocol.messages import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    Command,
    Event,
    PlaceOrder,
    PlaceOrders,
    SetAutoMargin,
    SetCountdown,
    SetMarginMode,
    SetMultiAsset,
    SetPositionMode,
)

T = TypeVar("T")
ORDERS_IN_A_MESSAGE = 1000  # well below what a node takes in one


class Question(msgspec.Struct, frozen=True):
    """A control message without its request id."""

    name: str
    arguments: dict[str, Any]


Message = Command | Question
Events = Sequence[Event]
Reply = Events | dict[str, Any] | RequestRefused


class Ask(msgspec.Struct, Generic[T], frozen=True):
    """Messages to send together, and what their replies mean."""

    messages: Sequence[Message]
    read: Callable[[list[Any]], T]


def ask_one(message: Message, read: Callable[[Any], T]) -> Ask[T]:
    return Ask((message,), lambda replies: read(replies[0]))


class Request:
    """One message of a call, from its first sending to its answer."""

    __slots__ = ("call", "id", "message", "reply", "run", "sent_at_join")

    def __init__(self, request_id: int, message: Message, call: Call[Any]) -> None:
        self.id = request_id
        self.message = message
        self.call = call
        self.reply: Reply | None = None
        self.run: object = None  # of the node that it was sent to
        self.sent_at_join = (
            0  # how often this client had joined the node when it was sent; 0: not under way
        )


class Call(Generic[T]):
    """An ask under way.  ``on_done`` is called once, when there is a result or an error."""

    def __init__(self, ask: Ask[T], deadline_ns: int) -> None:
        self.ask = ask
        self.deadline_ns = deadline_ns
        self.requests: list[Request] = []
        self.missing = len(ask.messages)
        self.error: Exception | None = None
        self.again_ns = 0  # what a limit refused is sent again then
        self.on_done: Callable[[], None] = lambda: None

    @property
    def done(self) -> bool:
        return self.error is not None or not self.missing

    @property
    def commands(self) -> list[Command]:
        """Those without an answer."""
        open_requests = [request for request in self.requests if request.reply is None]
        return [r.message for r in open_requests if not isinstance(r.message, Question)]

    @property
    def was_sent(self) -> bool:
        return any(request.sent_at_join for request in self.requests if request.reply is None)

    def result(self) -> T:
        """What the replies come to; raises what they or the node have against it."""
        if self.error is not None:
            raise self.error
        assert not self.missing, (
            f"a result is there when all replies are, {self.missing} are missing"
        )
        return self.ask.read([request.reply for request in self.requests])


def encode_requests(requests: Iterable[Request]) -> list[bytes]:
    """Payloads of requests in order: commands share messages, every question is one of its own."""
    batches: list[list[bytes]] = []
    room = 0  # for orders in the last batch
    for request in requests:
        message = request.message
        if isinstance(message, Question):
            batches.append([encode_question(request.id, message.name, message.arguments)])
            room = 0
            continue
        weight = max(1, len(message.orders)) if isinstance(message, PlaceOrders) else 1
        if weight > room:
            batches.append([])
            room = ORDERS_IN_A_MESSAGE
        room -= weight
        batches[-1].append(wire.encode_command_wire(message, request.id))
    return [b"".join(batch) for batch in batches]


def encode_question(request_id: int, name: str, arguments: dict[str, Any]) -> bytes:
    return msgspec.msgpack.encode((CONTROL, request_id, name, arguments))


#: Commands that leave the same state where they are carried out twice.
SETTING = (
    CancelAll,
    CancelOrder,
    SetAutoMargin,
    SetCountdown,
    SetMarginMode,
    SetMultiAsset,
    SetPositionMode,
)
#: Commands that a limit of orders holds up; others pass.
PLACING = (AmendOrder, PlaceOrder, PlaceOrders)


def may_be_repeated(message: Message) -> bool:
    """Whether it does no harm to send this again, where nobody knows if it was carried out.

    Orders with a client order id act once (MATCH-08); an order without one would be a second order.

    >>> may_be_repeated(CancelAll(account=7)), may_be_repeated(PlaceOrder(symbol=1, side=0, qty_lots=5, price_ticks=9))
    (True, False)
    """
    match message:
        case Question():
            return True
        case PlaceOrder(client_order_id=number):
            return number != 0
        case PlaceOrders(orders=orders):
            return all(order.client_order_id for order in orders)
        case _:
            return isinstance(message, SETTING)


def account_of(message: Message) -> int:
    """Whose matter it is; 0: nobody's."""
    if isinstance(message, Question):
        account = message.arguments.get("account", 0)
        return account if isinstance(account, int) else 0
    return message.account
