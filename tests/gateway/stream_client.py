"""A trader that keeps books of what it was told: every event once, in order, by the numbers of its account's stream."""

from __future__ import annotations

from typing import Any

import msgspec
import zmq

from exchange.protocol.messages import Command, Event
from exchange.protocol.wire import decode_numbered_wire, encode_command_wire


class Told(msgspec.Struct, frozen=True):
    """One event as it came."""

    number: int
    request_id: int
    event: Event


class StreamClient:
    """A DEALER that says what it is told to say and writes down what comes; it can break off and come back."""

    def __init__(self, endpoint: str, identity: bytes = b"") -> None:
        self.endpoint = endpoint
        self.told: list[Told] = []
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.context = zmq.Context()
        self.connect(identity)

    def connect(self, identity: bytes = b"") -> None:
        self.socket = self.context.socket(zmq.DEALER)
        if identity:
            self.socket.setsockopt(zmq.IDENTITY, identity)
        self.socket.linger = 0
        self.socket.connect(self.endpoint)

    def break_off(self, endpoint: str = "") -> None:
        """The connection is gone without a word, and what was under way with it."""
        self.socket.close(linger=0)
        self.endpoint = endpoint or self.endpoint
        self.connect()

    def send(self, *commands: Command, first_id: int = 1) -> None:
        encoded = [encode_command_wire(command, first_id + i) for i, command in enumerate(commands)]
        self.socket.send(b"".join(encoded))

    def control(self, request_id: int, name: str, **arguments: object) -> None:
        self.socket.send(msgspec.msgpack.encode([0, request_id, name, arguments]))

    def ask(self, request_id: int, name: str, **arguments: object) -> dict[str, Any]:
        """Sends a question and reads until its answer is there; events on the way are written down."""
        self.control(request_id, name, **arguments)
        return self.answer(request_id)

    def answer(self, request_id: int) -> dict[str, Any]:
        while True:
            for at, (answered, body) in enumerate(self.answers):
                if answered == request_id:
                    del self.answers[at]
                    return body
            assert self.read(), f"no answer to request {request_id}"

    def read(self, timeout_ms: int = 5000) -> bool:
        """Takes in one message; False where none comes."""
        if not self.socket.poll(timeout_ms):
            return False
        payload = self.socket.recv()
        if payload[1] == 0:
            _, request_id, body = msgspec.msgpack.decode(payload)
            self.answers.append((request_id, body))
        else:
            self.told += [
                Told(number, request_id, event)
                for request_id, number, event in decode_numbered_wire(payload)
            ]
        return True

    def read_up_to(self, number: int) -> None:
        while self.last < number:
            assert self.read(), f"wanted event {number}, came {self.last} as the last"

    @property
    def last(self) -> int:
        return self.told[-1].number if self.told else 0

    def close(self) -> None:
        self.socket.close(linger=0)
        self.context.term()


def is_unbroken(told: list[Told]) -> bool:
    """Whether every event came once and in order."""
    return bool(told) and [one.number for one in told] == list(range(1, len(told) + 1))
