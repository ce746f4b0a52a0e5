"""Nodes to talk to: in a thread of the test, or in a process of their own that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exchange.client import AdminClient, Client
from exchange.config import Config, Endpoints, JournalConfig, load_config
from exchange.disk import Disk
from exchange.journal import Durability
from exchange.node import Node
from exchange.ops.log_events import Level, LogEvent

sys.path.insert(0, str(Path(__file__).parent))  # for market_desk, beside the tests
sys.path.insert(0, str(Path(__file__).parents[1]))  # for twin

from stream_client import StreamClient

ANY_PORT = Endpoints(*["tcp://127.0.0.1:*"] * 3)
ANY_PORT_TOML = '[endpoints]\norders = "tcp://127.0.0.1:*"\nmarket_data = "tcp://127.0.0.1:*"\nadmin = "tcp://127.0.0.1:*"\n'


class RunningNode:
    """A node whose loop turns in a thread; what it raises there is raised by ``stop``."""

    def __init__(self, config: Config, disk: Disk | None = None) -> None:
        self.logged: list[LogEvent] = []
        self.node = Node(config, self.logged.append, disk)
        self.orders = self.node.server.endpoints["orders"]
        self.admin = self.node.server.endpoints["admin"]
        self.market_data = self.node.server.endpoints["market_data"]
        self.error: BaseException | None = None
        self._clients: list[Client | AdminClient] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def said(self) -> list[str]:
        """What it warned of."""
        return [event.text() for event in self.logged if event.level >= Level.WARNING]

    def _run(self) -> None:
        try:
            self.node.run()
        except BaseException as error:
            self.error = error

    def client(self, account: int, **options: Any) -> Client:
        client = Client(self.orders, account, **options)
        self._clients.append(client)
        return client

    def admin_client(self) -> AdminClient:
        client = AdminClient(self.admin)
        self._clients.append(client)
        return client

    def stop(self) -> None:
        for client in self._clients:
            client.close()
        self.node.stop()
        self._thread.join(10)
        assert not self._thread.is_alive(), "the node does not stop"
        if self.error is not None:
            raise self.error


NodeStarter = Callable[..., RunningNode]


@pytest.fixture(params=["native", "plain"])
def loop(request: pytest.FixtureRequest) -> str:
    """Whatever a node does, it does with both loops."""
    return str(request.param)


@pytest.fixture
def config(tmp_path: Path, loop: str) -> Config:
    """The default configuration on free ports, in a folder of the test, with small segments."""
    return msgspec.structs.replace(
        load_config(),
        loop=loop,
        data=tmp_path / "data",
        endpoints=ANY_PORT,
        journal=JournalConfig(Durability.ALWAYS, sync_interval_ms=5, segment_bytes=1 << 16),
    )


@pytest.fixture
def start_node(config: Config) -> Iterator[NodeStarter]:
    """Starts nodes in threads: ``start_node(limits=...)`` changes the configuration, ``disk=`` what it writes to."""
    running: list[RunningNode] = []

    def start(*, disk: Disk | None = None, **changes: object) -> RunningNode:
        if changes.get("engine") == "reference":
            changes.setdefault("loop", "plain")
        running.append(RunningNode(msgspec.structs.replace(config, **changes), disk))
        return running[-1]

    yield start
    for node in running:
        if node._thread.is_alive():
            node.stop()


@pytest.fixture
def node(start_node: NodeStarter) -> RunningNode:
    return start_node()


@pytest.fixture
def stream_client() -> Iterator[Callable[..., StreamClient]]:
    made: list[StreamClient] = []

    def make(endpoint: str, **options: bytes) -> StreamClient:
        made.append(StreamClient(endpoint, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


class ServeProcess:
    """``exchange serve`` in a process of its own."""

    def __init__(self, data: Path, *arguments: str) -> None:
        config_file = data.with_suffix(".toml")
        config_file.write_text(ANY_PORT_TOML)
        command = [sys.executable, "-m", "exchange", "serve", "--config", str(config_file)]
        self.process = subprocess.Popen(
            [*command, "--data", str(data), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("exchange ready: "), self.stop(signal.SIGKILL)
        self.ready = dict(word.split("=", 1) for word in line.split()[2:])

    def stop(self, number: int) -> tuple[int, str]:
        """Sends a signal; returns exit code and standard error."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=10)
        return self.process.returncode, errors


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., ServeProcess]]:
    """Starts ``exchange serve`` over one data folder of the test, again and again if need be."""
    started: list[ServeProcess] = []

    def start(*arguments: str) -> ServeProcess:
        started.append(ServeProcess(tmp_path / "data", *arguments))
        return started[-1]

    yield start
    for process in started:
        process.stop(signal.SIGKILL)
