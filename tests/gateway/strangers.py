"""What talks to a node's ports without any library: bytes, half handshakes, ZMTP written by hand."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import msgspec
import zmq

#: Signature, version 3.1, mechanism NULL, not a server.
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01NULL" + bytes(16) + bytes(32)
PATIENCE_S = 30.0  # a guard against hanging: nothing is measured by it


def port_of(endpoint: str) -> int:
    return int(endpoint.rpartition(":")[2])


def ready(kind: bytes, identity: bytes | None = None) -> bytes:
    """The READY command of a client of that kind."""
    body = b"\x05READY" + _property(b"Socket-Type", kind)
    if identity is not None:
        body += _property(b"Identity", identity)
    size = bytes((len(body),)) if len(body) < 256 else struct.pack(">Q", len(body))
    return (b"\x04" if len(body) < 256 else b"\x06") + size + body


def _property(name: bytes, value: bytes) -> bytes:
    return bytes((len(name),)) + name + struct.pack(">I", len(value)) + value


def message(payload: bytes) -> bytes:
    """A message of one frame."""
    if len(payload) < 256:
        return b"\x00" + bytes((len(payload),)) + payload
    return b"\x02" + struct.pack(">Q", len(payload)) + payload


def control(request_id: int, name: str, **arguments: object) -> bytes:
    return msgspec.msgpack.encode([0, request_id, name, arguments])


class Stranger:
    """A TCP connection to a door."""

    def __init__(self, endpoint: str, first: bytes = b"") -> None:
        self.tcp = socket.create_connection(("127.0.0.1", port_of(endpoint)), PATIENCE_S)
        self.send(first)

    def send(self, data: bytes) -> bool:
        """False where the node has hung up."""
        try:
            self.tcp.sendall(data)
        except OSError:
            return False
        return True

    def hears(self, wanted: bytes) -> bool:
        """Reads until these bytes came; False where the node hung up before."""
        heard = b""
        while wanted not in heard:
            more = self.tcp.recv(65536)
            if not more:
                return False
            heard += more
        return True

    def is_cut(self) -> bool:
        """Waits until the node hangs up; False where it does not."""
        deadline = time.monotonic() + PATIENCE_S
        try:
            while time.monotonic() < deadline:
                if not self.tcp.recv(65536):
                    return True
        except TimeoutError:
            return False
        except OSError:
            return True
        return False

    def is_there(self) -> bool:
        """Whether the node has not hung up yet."""
        self.tcp.setblocking(False)
        try:
            while self.tcp.recv(65536):
                pass
            return False
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self.tcp.settimeout(PATIENCE_S)

    def close(self) -> None:
        self.tcp.close()


class Dealer:
    """A DEALER without a client around it."""

    def __init__(self, endpoint: str, routing_id: bytes = b"") -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger, self.socket.rcvtimeo = 0, int(PATIENCE_S * 1000)
        self.socket.sndhwm = self.socket.rcvhwm = 0
        if routing_id:
            self.socket.routing_id = routing_id
        self.socket.connect(endpoint)

    def ask(self, name: str, **arguments: object) -> Any:
        self.socket.send(control(1, name, **arguments))
        return self.answer()

    def answer(self) -> Any:
        """The body of the next control message."""
        while True:
            payload = self.socket.recv()
            if payload[1] == 0:
                return msgspec.msgpack.decode(payload)[2]

    def answers_to(self, frame: bytes) -> list[bytes]:
        """Everything that comes until a ping behind the frame is answered."""
        self.socket.send(frame)
        self.socket.send(control(77, "ping"))
        answers: list[bytes] = []
        while not answers or not answers[-1].startswith(b"\x93\x00\x4d"):
            answers.append(self.socket.recv())
        return answers[:-1]

    def close(self) -> None:
        self.socket.close()
        self.context.term()


def shake_hands(endpoint: str, kind: bytes) -> Stranger:
    """A stranger that is through its handshake: what it sends from here on are messages."""
    stranger = Stranger(endpoint, GREETING + ready(kind))
    assert stranger.hears(b"READY")
    return stranger


def wait_until(true: Callable[[], bool]) -> bool:
    """Whether it becomes true at all."""
    deadline = time.monotonic() + PATIENCE_S
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return true()
