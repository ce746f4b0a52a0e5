"""A node whose disk is full takes cancels and answers questions, refuses orders, and goes on when there is room."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import pytest

from exchange.client import Client
from exchange.config import Config
from exchange.disk import FaultyDisk
from exchange.engine import create_engine
from exchange.errors import ExchangeError
from exchange.journal import Durability
from exchange.recovery import replay
from exchange.segments import scan

BTC = "BTC-PERP"
SEGMENT = 1 << 16  # as the configuration of these tests has it


@pytest.fixture(params=[Durability.ALWAYS, Durability.INTERVAL])
def full(start_node, config: Config, request: pytest.FixtureRequest, monkeypatch):
    """A node whose first segment is there and whose second has no room, and its disk."""
    monkeypatch.setattr("exchange.node.ROOM_ASKED_S", 0.05)
    disk = FaultyDisk(room_bytes=SEGMENT)
    journal = msgspec.structs.replace(config.journal, durability=request.param)
    running = start_node(journal=journal, disk=disk)
    wait_until(lambda: running.node.journal.tight)
    yield running, disk
    disk.room_bytes = None


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.01)


def refused(ask: Callable[[], object]) -> str:
    with pytest.raises(ExchangeError) as raised:
        ask()
    return str(raised.value)


def test_orders_are_refused_while_cancels_and_questions_pass(full) -> None:
    running, disk = full
    disk.room_bytes = 10 * SEGMENT
    wait_until(lambda: not running.node.journal.tight)
    client = running.client(7)
    client.deposit(100_000)
    order = client.limit(BTC, "buy", "0.001", "59000")
    assert len(client.open_orders()) == 1

    fill_up(running, disk, client)
    assert "disk_full" in refused(lambda: client.limit(BTC, "buy", "0.001", "58000"))
    client.cancel(order.order_id)
    assert client.open_orders() == []
    assert client.account().wallet_atoms == 100_000 * 10**8

    disk.room_bytes = 10 * SEGMENT
    wait_until(lambda: not running.node.journal.tight)
    assert client.limit(BTC, "buy", "0.001", "58000").order_id > order.order_id
    names = [event.name for event in running.logged]
    assert names.index("disk_has_room") > names.index("disk_full")


def fill_up(running, disk: FaultyDisk, client: Client) -> None:
    """Takes the room away and trades until the next segment is begun, behind which there is none."""
    disk.room_bytes = 0
    while not running.node.journal.tight:
        client.cancel_all(BTC, "sell")
    client.cancel_all(BTC, "sell")  # the loop looks at every batch


def test_what_has_no_room_at_all_is_refused_and_nothing_of_it_is_journaled(full) -> None:
    running, disk = full
    client = running.client(7)
    refusal = ""
    for _ in range(5_000):
        try:
            client.cancel_all(BTC)
        except ExchangeError as error:
            refusal = str(error)
            break
    assert "disk_full" in refusal
    sequence = running.node.engine.sequence
    assert "disk_full" in refused(lambda: client.cancel_all(BTC))
    assert running.node.engine.sequence == sequence
    assert client.account().wallet_atoms == 0  # questions are answered all the time

    disk.room_bytes = 10 * SEGMENT
    wait_until(lambda: not running.node.journal.tight)
    client.deposit(5)
    assert running.node.engine.sequence == sequence + 1
    data, digest = running.node.config.data, running.node.engine.digest()
    running.stop()
    engine = create_engine("native")
    replay(engine, scan(data / "journal"))
    assert (engine.sequence, engine.digest()) == (sequence + 1, digest)


def test_a_node_without_room_for_a_snapshot_trades_on(full) -> None:
    running, disk = full
    disk.room_bytes = 10 * SEGMENT
    wait_until(lambda: not running.node.journal.tight)
    client = running.client(7)
    client.deposit(100_000)
    assert running.admin_client().take_snapshot().endswith(".snapshot")
    assert client.limit(BTC, "buy", "0.001", "59000").order_id
