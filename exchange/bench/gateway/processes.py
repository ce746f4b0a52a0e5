"""The processes of a measurement as seen from outside: started, asked, stopped.

Servers have one half of the cores and the load the other, so that neither waits for the other's turn; with one core
they share it.  Nodes listen on loopback alone, on ports that the system chose, over a folder of their own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from exchange import keys
from exchange.bench.gateway import orders
from exchange.client import AdminClient
from exchange.config import SETTINGS
from exchange.errors import ExchangeError
from exchange.gateway.permission import Role

STOP_TIMEOUT_S = 60
NO_BOUNDS: Mapping[str, int] = {}
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
#: Messages in the queue of a socket of the node, and of the echo.  Replies that the disk held back leave all at once.
HIGH_WATER = 200_000
#: Limits on what one session may do would be what is measured; 0 is none.
UNLIMITED = (
    "orders_per_second",
    "orders_burst",
    "frames_per_second",
    "frames_burst",
    "max_in_flight",
)


class WorkerFailed(ExchangeError):
    """A process of the measurement that ended, or did not answer."""


class Placement(msgspec.Struct, frozen=True):
    """Which cores servers and load have, and whether they are scheduled before all others (SCHED_FIFO)."""

    server_cores: Sequence[int] = ()
    load_cores: Sequence[int] = ()
    fifo: bool = False

    def of_server(self) -> dict[str, Any]:
        return {"cores": self.server_cores, "fifo": self.fifo}

    def of_load(self) -> dict[str, Any]:
        return {"cores": self.load_cores, "fifo": self.fifo}

    def __str__(self) -> str:
        if not self.server_cores:
            return "not pinned"
        place = f"server on core {listed(self.server_cores)}, load on {listed(self.load_cores)}"
        return f"{place}, {'SCHED_FIFO' if self.fifo else 'no real-time scheduling'}"


def listed(cores: Sequence[int]) -> str:
    return ",".join(map(str, cores))


def place(fifo: bool) -> Placement:
    """Halves of the cores that this process may use.

    Raises:
        ExchangeError: real-time scheduling was asked for and is not permitted.
    """
    if fifo:
        try_fifo()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        return Placement(fifo=fifo)
    half = len(cores) // 2
    return Placement(cores[:half], cores[half:], fifo)


def try_fifo() -> None:
    policy, param = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        raise ExchangeError(
            "--fifo: real-time scheduling is not permitted here; run as root, raise `ulimit -r`, or leave it out"
        ) from None
    os.sched_setscheduler(0, policy, param)


class Worker:
    """A process with a role, that is asked and answers in lines of JSON."""

    def __init__(self, role: str, settings: dict[str, Any]) -> None:
        self.role = role
        self.process = subprocess.Popen(
            [sys.executable, "-m", "exchange.bench.gateway.worker", role],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.send(settings)

    def send(self, request: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self.failed() from None

    def line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise self.failed()
        return line

    def ask(self, request: dict[str, Any]) -> Any:
        self.send(request)
        return json.loads(self.line())

    def failed(self) -> WorkerFailed:
        return WorkerFailed(f"the {self.role} process ended ({self.process.wait()}): see above")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends it, if it has not ended yet, and waits for that; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise WorkerFailed(f"the {self.role} did not stop in {STOP_TIMEOUT_S} s") from None
        finally:
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()
        return self.process.returncode


# ------------------------------------------------------------------------------------------------ servers

CONFIG = """symbols = []

[journal]
segment_bytes = 134_217_728

[endpoints]
orders = "tcp://127.0.0.1:*"
market_data = "tcp://127.0.0.1:*"
admin = "tcp://127.0.0.1:*"

[limits]
"""


def limits() -> dict[str, int]:
    """The limits of a measured node: those that bound its memory, none on what a session may do."""
    chosen = {"send_high_water": HIGH_WATER, "receive_high_water": HIGH_WATER}
    return chosen | {name: 0 for name in UNLIMITED if name in SETTINGS["limits"]}


class KeyFiles(msgspec.Struct, frozen=True):
    """Where the keys of an encrypted node are, and of its clients."""

    folder: Path
    trader: Path
    operator: Path


def write_keys(folder: Path, accounts: Sequence[int]) -> KeyFiles:
    """New keys for a node, for a trader of these accounts, and for the operator."""
    server = keys.write_server_keys(folder)
    paths = {}
    for role, may in ((Role.TRADER, tuple(accounts)), (Role.ADMIN, ())):
        paths[role] = folder / keys.CLIENTS_FOLDER / f"{role}.toml"
        client = keys.write_client_keys(
            paths[role], server.public_key, f"the {role} of a measurement"
        )
        keys.authorise(folder, keys.AuthorisedKey(str(role), client.public_key, role, may))
    return KeyFiles(folder, paths[Role.TRADER], paths[Role.ADMIN])


class Node(Worker):
    """``exchange serve`` over ``folder``, the symbol listed if nobody did it before; ``bounds`` are its own limits."""

    def __init__(
        self,
        folder: Path,
        durability: str,
        placement: Placement,
        *,
        key_files: KeyFiles | None = None,
        loop: str = "",
        bounds: Mapping[str, int] = NO_BOUNDS,
    ) -> None:
        self.folder = folder
        self.key_files = key_files
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "node.toml"
        text = CONFIG + "".join(f"{name} = {n}\n" for name, n in {**limits(), **bounds}.items())
        if loop:
            text += f'[node]\nloop = "{loop}"\n'
        if key_files is not None:
            text += f'[security]\nkeys = "{key_files.folder}"\n'
        config.write_text(text)
        arguments = ["--config", str(config), "--data", str(folder / "data")]
        settings = {"arguments": [*arguments, "--durability", durability], **placement.of_server()}
        super().__init__("node", settings)
        ready = self.line()
        if not ready.startswith("exchange ready: "):
            raise WorkerFailed(f"the node said {ready!r} in place of its endpoints")
        self.ready = dict(word.split("=", 1) for word in ready.split()[2:])
        operator = None if key_files is None else key_files.operator
        self.admin = AdminClient(self.ready["admin"], timeout_s=30, keys=operator)
        if int(self.ready["sequence"]) == 0 or not self.admin.symbols():
            self.admin.send_many(orders.setup())

    def endpoints(self) -> dict[str, Any]:
        found: dict[str, Any] = {name: self.ready[name] for name in ("orders", "market_data")}
        if self.key_files is not None:
            found["keys"] = str(self.key_files.trader)
        return found

    def resident_bytes(self) -> int:
        """Memory of the process, as the system counts it."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * PAGE_BYTES

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.admin.close()
        return super().stop(number)


class Echo(Worker):
    """The bare libzmq server; ``shapes`` are the replies that it gives."""

    def __init__(
        self, shapes: list[list[Any]], placement: Placement, key_files: KeyFiles | None = None
    ) -> None:
        settings: dict[str, Any] = {"shapes": shapes, "high_water": HIGH_WATER}
        if key_files is not None:
            settings["server_keys"] = str(key_files.folder)
        super().__init__("echo", {**settings, **placement.of_server()})
        self._endpoints: dict[str, Any] = json.loads(self.line())
        if key_files is not None:
            self._endpoints["keys"] = str(key_files.trader)

    def endpoints(self) -> dict[str, Any]:
        return self._endpoints


class Load(Worker):
    """Clients of one server, ready to play."""

    def __init__(self, server: Node | Echo, placement: Placement, **settings: Any) -> None:
        is_exchange = isinstance(server, Node)
        settings = {**server.endpoints(), **settings, **placement.of_load()}
        super().__init__("load", {"is_exchange": is_exchange, **settings})
        self.messages = int(json.loads(self.line())["messages"])  # of a client's tape

    def run(self, **arguments: Any) -> dict[str, Any]:
        return dict(self.ask({"what": "run", **arguments}))

    def probe(self) -> list[list[Any]]:
        return list(self.ask({"what": "probe"}))


class Listeners(Worker):
    """Subscribers to all market data of a node."""

    def __init__(self, node: Node, reading: int, stalled: int, placement: Placement) -> None:
        settings = {**node.endpoints(), "reading": reading, "stalled": stalled}
        super().__init__("listeners", {**settings, "cores": placement.load_cores})
        self.line()

    def counts(self) -> list[list[int]]:
        """Ends the listening: messages, bytes and gaps of each that read."""
        return list(self.ask({})["heard"])


@contextmanager
def stopping(*workers: Worker) -> Iterator[None]:
    """Stops these at the end, whatever happened."""
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()
