"""Every queue of a node has a bound: what stands still makes others wait or miss, and nothing acknowledged is lost."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
import zmq

from exchange.config import SETTINGS
from exchange.gateway.feed import Trade
from exchange.ops.counters import COUNT_PUBLICATIONS
from exchange.ops.metrics import NodeCollector
from exchange.protocol.messages import Accepted, Deposit
from exchange.protocol.wire import decode_events_wire, encode_command_wire

BTC = "BTC-PERP"
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
#: The rows of the table of queues.
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| .*`test_\w+`", line)]


def test_every_limit_is_in_the_table_of_queues() -> None:
    assert not [name for name in SETTINGS["limits"] if f"`{name}`" not in "\n".join(ROWS)]


def test_every_test_that_the_table_names_is_there() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", "\n".join(ROWS)))
    assert len(named) >= 8
    assert not [name for name in named if f"def {name}(" not in tests]


def metric_families(node: Any) -> set[str]:
    collector = NodeCollector(node.node.ops.counters, node.node.ops.monitor, {})
    return {family.name for family in collector.collect()}


def test_the_page_and_the_node_have_the_same_metrics(node) -> None:
    families = metric_families(node)
    named = set(re.findall(r"`(exchange_\w+)`", PAGE))
    assert not named - families - {f"{name}_total" for name in families}
    assert not [name for name in families - {"exchange"} if f"`{name}" not in PAGE]


@pytest.mark.parametrize("file", ["dashboard.json", "alerts.yaml"])
def test_what_is_watched_is_there(node, file: str) -> None:
    text = (ROOT / "docs" / "monitoring" / file).read_text()
    if file.endswith("json"):
        panels = json.loads(text)["panels"]
        expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    else:
        rules = yaml.safe_load(text)["groups"][0]["rules"]
        expressions = [rule["expr"] for rule in rules]
        assert all(rule["annotations"]["summary"] for rule in rules)
    families = metric_families(node)
    there = {f"{name}{end}" for name in families for end in ("", "_total", "_bucket")}
    named = set(re.findall(r"\bexchange_\w+", "\n".join(expressions)))
    assert len(named) >= 10
    assert not named - there


# ------------------------------------------------------------------------------------- a disk that stalls


class Disk:
    """A disk whose syncs take as long as one wants."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.syncs = 0

    def sync(self, file: int) -> None:
        self.syncs += 1
        assert self.free.wait(60)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    slow = Disk()
    monkeypatch.setattr("exchange.disk.sync_data", slow.sync)
    yield slow
    slow.free.set()


def connect(endpoint: str, account: int, high_water: int = 100_000) -> zmq.Socket[bytes]:
    """A client that only sends and receives bytes, logged in."""
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.linger, socket.rcvtimeo = 0, 20_000
    socket.sndhwm, socket.rcvhwm = high_water, 100_000
    socket.connect(endpoint)
    socket.send(msgspec.msgpack.encode([0, 1, "login", {"account": account}]))
    socket.recv()
    return socket


def deposits(first: int, count: int) -> bytes:
    commands = [Deposit(account=7, amount_atoms=1)] * count
    return b"".join(encode_command_wire(c, first + i) for i, c in enumerate(commands))


def answered(socket: zmq.Socket[bytes], count: int) -> list[int]:
    """Request ids of the results that come, in their order, until so many are there."""
    ids: list[int] = []
    while len(ids) < count:
        pairs = decode_events_wire(socket.recv())
        ids += [request_id for request_id, event in pairs if isinstance(event, Accepted)]
    return ids


def events_named(node: Any, name: str) -> list[Any]:
    return [event for event in node.logged if event.name == name]


def wait_for(condition: Any) -> None:
    for _ in range(2000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it does not come")


def test_a_stalled_disk_stops_the_reading_and_nothing_is_lost(
    start_node, config, disk: Disk
) -> None:
    limit = 20_000
    node = start_node(limits=msgspec.structs.replace(config.limits, max_held_bytes=limit))
    socket = connect(node.orders, 7)
    disk.free.clear()
    for number in range(100):
        socket.send(deposits(1 + 100 * number, 100))
        if number % 10 == 9:
            threading.Event().wait(0.005)  # so that it takes more than one round
    wait_for(lambda: events_named(node, "reading_stopped"))
    exchange = node.node
    assert exchange.held_bytes >= limit
    # One round may go over the bound by what it took; after that nothing comes in.
    assert socket.poll(200) == 0
    held, sequence = exchange.held_bytes, node.node.engine.sequence
    socket.send(deposits(10_001, 1))
    threading.Event().wait(0.2)
    assert (exchange.held_bytes, node.node.engine.sequence) == (held, sequence)
    disk.free.set()
    assert answered(socket, 10_001) == list(range(1, 10_002))
    wait_for(lambda: events_named(node, "reading_resumed"))
    (resumed,) = events_named(node, "reading_resumed")[:1]
    assert resumed.held_bytes < limit
    assert resumed.stopped_ms >= 200
    assert exchange.held_bytes == 0
    socket.close()


def test_a_client_of_a_stalled_node_runs_into_its_own_bound(start_node, config, disk: Disk) -> None:
    """What nobody reads waits in the sockets up to their marks, and then at the client that sends it."""
    limits = msgspec.structs.replace(config.limits, max_held_bytes=1024, receive_high_water=2)
    node = start_node(limits=limits)
    socket = connect(node.orders, 7, high_water=2)
    disk.free.clear()
    message = deposits(1, 4000)
    sent = 0
    with pytest.raises(zmq.Again):
        while sent < 10_000:
            if not socket.poll(500, zmq.POLLOUT):
                raise zmq.Again
            socket.send(message, zmq.DONTWAIT)
            sent += 1
    assert sent > 2
    disk.free.set()
    assert len(answered(socket, 4000 * sent)) == 4000 * sent
    assert node.node.engine.sequence == 4 + 4000 * sent
    socket.close()


def test_a_subscriber_that_does_not_read_misses_some_and_sees_the_gap(start_node, config) -> None:
    limits = msgspec.structs.replace(config.limits, market_data_high_water=1)
    node = start_node(limits=limits)
    slow = zmq.Context.instance().socket(zmq.SUB)
    slow.linger, slow.rcvtimeo, slow.rcvhwm = 0, 5000, 1
    slow.set(zmq.RCVBUF, 4096)
    slow.connect(node.market_data)
    slow.subscribe(f"trades.{BTC}")
    maker, taker = node.client(7), node.client(8)
    maker.deposit(10**9)
    taker.deposit(10**9)
    orders = [taker.limit_order(BTC, "buy", "0.001", "60000", time_in_force="ioc")] * 1000
    last: Trade | None = None
    missed = 0
    for _ in range(60):
        maker.limit(BTC, "sell", "1", "60000")
        taker.place_many(orders)
        if node.node.ops.counters[COUNT_PUBLICATIONS] > 40_000:
            break
    while slow.poll(500):
        _, payload = slow.recv_multipart()
        trade = msgspec.msgpack.decode(payload, type=Trade)
        missed += trade.sequence - last.sequence - 1 if last else 0
        last = trade
    assert last is not None
    assert missed > 0
    assert taker.statistics(BTC).trade_count >= last.trade_id
    slow.close()
