"""The processes of a measurement, each pinned to its cores: the node, the bare echo, the load, the listeners.

``python -m exchange.bench.gateway.worker ROLE`` reads its settings as a line of JSON; each further line is a request
and gets a line of JSON as its answer.  They end with their standard input, so that none is left behind.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import zmq

from exchange import keys
from exchange._native.echo import serve as serve_echo
from exchange._native.listen import listen
from exchange._native.load import Load
from exchange.bench.gateway import orders
from exchange.errors import ExchangeError
from exchange.gateway.connection import is_control
from exchange.protocol import messages, wire

Answer = dict[str, Any]
SETUP_TIMEOUT_MS = 20_000
QUEUE = 100_000  # messages that may wait in a socket
#: How an acceptance begins, behind the head of its array; and where its request id follows.
ACCEPTED_START = b"\xcc\x80"
RESULT_START = ACCEPTED_START + b"\xce"


class SetupFailed(ExchangeError):
    """A node that does not answer, or not as it should, before anything is measured."""


def requests() -> Iterator[Answer]:
    """What is asked, line by line."""
    for line in sys.stdin:
        yield json.loads(line)


def answer(body: object) -> None:
    print(json.dumps(body), flush=True)


def take_place(settings: Answer) -> None:
    """Pins this process, and all threads that it starts from now on."""
    if settings.get("cores") and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, settings["cores"])
    if settings.get("fifo"):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


# --------------------------------------------------------------------------------------------- the servers


def end_with_input() -> None:
    """Whoever started this process is gone when its standard input ends: then it ends, too."""

    def wait() -> None:
        while sys.stdin.readline():
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def run_node(settings: Answer) -> int:
    """``exchange serve`` in this process, until SIGTERM."""
    from exchange.cli import main

    end_with_input()
    return main(["serve", *settings["arguments"]])


def run_echo(settings: Answer) -> int:
    """The bare echo; it is ended by SIGTERM."""
    end_with_input()
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.linger = 0
        router.rcvhwm = router.sndhwm = settings["high_water"]
        if "server_keys" in settings:
            keys.read_server_keys(Path(settings["server_keys"])).serve(router)
        router.bind("tcp://127.0.0.1:*")
        answer({"orders": router.getsockopt_string(zmq.LAST_ENDPOINT)})
        shapes = [
            (number, size, bytes.fromhex(reply), id_at)
            for number, size, reply, id_at in settings["shapes"]
        ]
        serve_echo(router, shapes)
    return 0


# ------------------------------------------------------------------------------------------------ the load


class Clients:
    """Sockets that are logged in, with money on their accounts, and the tapes that they play."""

    def __init__(self, settings: Answer) -> None:
        self._context = zmq.Context()
        self.stream = settings["stream"]
        self.batch = settings["batch"]
        self._salt = int.from_bytes(os.urandom(4), "big")
        self.sockets = [self._connect(settings) for _ in range(settings["clients"])]
        if settings["is_exchange"]:
            for client, socket in enumerate(self.sockets):
                self._log_in(socket, orders.accounts_of(client, self.stream), settings["deposit"])
        tapes = [self._tape(client, settings) for client in range(len(self.sockets))]
        self.messages = len(tapes[0])  # of one playing
        self.load = Load(self.sockets, tapes, orders.FIRST_ID, self.batch)

    def _connect(self, settings: Answer) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = QUEUE
        keys.secure(socket, keys.read_client_keys(settings.get("keys")))
        socket.connect(settings["orders"])
        return socket

    def _log_in(self, socket: zmq.Socket[bytes], accounts: list[int], deposit_atoms: int) -> None:
        """Logs in for the accounts and funds them; what the answers are made of is read and thrown away."""
        for account in accounts:
            socket.send(msgspec.msgpack.encode((0, account, "login", {"account": account})))
            self._expect(socket)
            if deposit_atoms:
                deposit = messages.Deposit(account=account, amount_atoms=deposit_atoms)
                socket.send(wire.encode_command_wire(deposit, account))
                if ACCEPTED_START not in self._expect(socket):
                    raise SetupFailed(f"the node did not take a deposit for account {account}")

    def _expect(self, socket: zmq.Socket[bytes]) -> bytes:
        """The next message of the node that is neither a heartbeat nor a refusal."""
        while socket.poll(SETUP_TIMEOUT_MS):
            payload = socket.recv()
            body = msgspec.msgpack.decode(payload)[2] if is_control(payload) else {}
            if "error" in body:
                raise SetupFailed(f"the node refuses to be measured: {body}")
            if "heartbeat" not in body:
                return payload
        raise SetupFailed(f"the node answered nothing for {SETUP_TIMEOUT_MS} ms")

    def _tape(self, client: int, settings: Answer) -> orders.Tape:
        accounts = orders.accounts_of(client, self.stream)
        if self.stream == "mixed":
            return orders.tape(orders.mixed_commands(Path(settings["file"])), self.batch)
        if self.stream == "trades":
            commands = orders.trades(accounts, self._salt)
        else:
            commands = orders.quotes(accounts[0], self._salt)
        return orders.tape(orders.in_cycles(commands, self.batch), self.batch)

    def run(self, **arguments: Any) -> Answer:
        keep = arguments.get("keep")
        result: Answer = self.load.run(**arguments)
        result["control"] = result["control"].decode("latin-1")
        result["answered_per_second"] = result["answered"] * 1e9 / max(result["elapsed_ns"], 1)
        result["per_second"] = result["measured"] * 1e9 / max(result["measured_ns"], 1)
        if keep:
            with open(str(keep), "wb") as file:
                file.write(self.load.kept_events())
        return result

    def probe(self) -> list[list[Any]]:
        """How the node answers a placement and a cancel: the command's number and size, reply, where its id stands."""
        account = orders.accounts_of(0, self.stream)[0]
        shapes: dict[int, list[Any]] = {}
        first_id = 1 << 31
        for command in orders.quotes(account, first_id):
            data, patches = orders.message([command])
            sent = bytearray(data)
            for at, add in patches:
                sent[at : at + 4] = (first_id + add).to_bytes(4, "big")
            self.sockets[0].send(bytes(sent))
            reply = self._expect(self.sockets[0])
            id_at = reply.index(RESULT_START + first_id.to_bytes(4, "big")) + len(RESULT_START)
            shapes[command.number] = [command.number, len(data), reply.hex(), id_at]
            first_id += 1
        return list(shapes.values())


def run_load(settings: Answer) -> int:
    """Logs in, then plays as it is asked to."""
    clients = Clients(settings)
    gc.collect()
    gc.freeze()
    answer({"messages": clients.messages})
    for request in requests():
        match request.pop("what"):
            case "run":
                answer(clients.run(**request))
            case "probe":
                answer(clients.probe())
    return 0


# ------------------------------------------------------------------------------------------- the listeners


def run_listeners(settings: Answer) -> int:
    """Subscribers to everything: some that read, and some that never do."""
    with zmq.Context() as context:
        reading = [subscriber(context, settings, QUEUE) for _ in range(settings["reading"])]
        stalled = [subscriber(context, settings, 1) for _ in range(settings["stalled"])]
        answer({"ready": True})
        counts = listen(reading, lambda: bool(select.select([sys.stdin], [], [], 0)[0]))
        answer({"heard": counts})
        for socket in reading + stalled:
            socket.close(linger=0)
    return 0


def subscriber(
    context: zmq.Context[zmq.Socket[bytes]], settings: Answer, high_water: int
) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.SUB)
    socket.rcvhwm = high_water
    keys.secure(socket, keys.read_client_keys(settings.get("keys")))
    socket.connect(settings["market_data"])
    socket.subscribe(b"")
    return socket


def run_writer(settings: Answer) -> int:
    """A trader with a ledger, to be killed."""
    from exchange.bench.gateway.writer import write

    end_with_input()
    return write(settings)


ROLES: dict[str, Callable[[Answer], int]] = {
    "writer": run_writer,
    "node": run_node,
    "echo": run_echo,
    "load": run_load,
    "listeners": run_listeners,
}


def main(argv: list[str]) -> int:
    settings = next(requests())
    take_place(settings)
    with suppress(KeyboardInterrupt):
        return ROLES[argv[0]](settings)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
