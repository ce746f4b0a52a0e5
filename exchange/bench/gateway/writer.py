"""A trader that may be killed at any moment: what it sent and what was acknowledged stands in its ledger at once.

A line of the ledger is ``S number`` (about to be sent, under this client order id) or ``A number order_id``.  A
writer that starts over a ledger sends again what was not acknowledged, under the same ids, and then goes on; the node
does nothing twice (MATCH-08), so in the end every number has one order.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import zmq

from exchange.bench import core
from exchange.bench.gateway import orders
from exchange.gateway.connection import is_control
from exchange.protocol import messages, schema, wire

WINDOW = 32  # below what the node remembers of client order ids for each account
LEVELS = 500
ANSWER_TIMEOUT_MS = 60_000


class Ledger:
    """Numbers sent and acknowledged, on disk as they happen."""

    def __init__(self, path: Path) -> None:
        self.acknowledged: dict[int, int] = {}  # number -> order id
        self.sent: set[int] = set()
        for line in read_lines(path):
            kind, *numbers = line.split()
            if kind == "S":
                self.sent.add(int(numbers[0]))
            else:
                self.acknowledged[int(numbers[0])] = int(numbers[1])
        # A process that is killed leaves what it wrote: the system has it.  Only the machine may not stop.
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def will_send(self, number: int) -> None:
        if number not in self.sent:
            self.sent.add(number)
            os.write(self._file, f"S {number}\n".encode())

    def was_acknowledged(self, number: int, order_id: int) -> None:
        self.acknowledged[number] = order_id
        os.write(self._file, f"A {number} {order_id}\n".encode())

    def open_numbers(self) -> list[int]:
        return sorted(self.sent - self.acknowledged.keys())

    def close(self) -> None:
        os.close(self._file)


def read_lines(path: Path) -> list[str]:
    """The whole lines of a ledger: of one that was cut off nobody knows."""
    if not path.exists():
        return []
    text = path.read_text()
    return text[: text.rfind("\n") + 1].splitlines()


def resting_order(account: int, number: int) -> messages.PlaceOrder:
    """A bid of its own that nobody reaches."""
    return messages.PlaceOrder(
        account=account,
        symbol=core.SYMBOL,
        side=schema.Side.BUY,
        price_ticks=core.MARK_TICKS - orders.FAR_TICKS - number % LEVELS,
        qty_lots=1 + number % 9,
        client_order_id=number,
    )


def write(settings: dict[str, Any]) -> int:
    """Sends until it is killed; ends by itself after ``numbers`` orders, or when the node answers no more."""
    account, ledger = settings["account"], Ledger(Path(settings["ledger"]))
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(settings["orders"])
        log_in(socket, account, funded=bool(ledger.sent))
        under_way: deque[int] = deque()
        for number in numbers(ledger, settings["numbers"]):
            ledger.will_send(number)
            order = resting_order(account, number)
            socket.send(wire.encode_command_wire(order, orders.FIRST_ID + number))
            under_way.append(number)
            while len(under_way) >= WINDOW and not read(socket, ledger, under_way):
                return 1
        while under_way:
            if not read(socket, ledger, under_way):
                return 1
    ledger.close()
    return 0


def numbers(ledger: Ledger, most: int) -> Iterator[int]:
    """What is to be sent: what nobody knows of first, then what comes after all before."""
    yield from ledger.open_numbers()
    yield from range(max(ledger.sent, default=0) + 1, most + 1)


def log_in(socket: zmq.Socket[bytes], account: int, *, funded: bool) -> None:
    socket.send(msgspec.msgpack.encode((0, 1, "login", {"account": account})))
    receive(socket)
    if not funded:
        deposit = messages.Deposit(account=account, amount_atoms=core.BALANCE_ATOMS)
        socket.send(wire.encode_command_wire(deposit, 2))
        receive(socket)


def receive(socket: zmq.Socket[bytes]) -> bytes:
    deadline = time.monotonic() + ANSWER_TIMEOUT_MS / 1000
    while socket.poll(max(0, int(1000 * (deadline - time.monotonic())))):
        payload = socket.recv()
        if not is_control(payload):
            return payload
        body = msgspec.msgpack.decode(payload)[2]
        if "error" in body:
            raise AssertionError(f"the node refuses: {body}")
        if "heartbeat" not in body:
            return payload
    raise TimeoutError("the node does not answer")


def read(socket: zmq.Socket[bytes], ledger: Ledger, under_way: deque[int]) -> bool:
    """Takes one message of results; False where the node is gone."""
    try:
        payload = receive(socket)
    except TimeoutError:
        return False
    for request_id, event in wire.decode_events_wire(payload):
        if isinstance(event, messages.Accepted) and request_id:
            number = request_id - orders.FIRST_ID
            assert number == under_way.popleft(), "results come in the order of their requests"
            ledger.was_acknowledged(number, event.order_id)
        elif isinstance(event, messages.Rejected):
            raise AssertionError(f"an order was rejected: {event}")
    return True
