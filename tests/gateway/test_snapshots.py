"""Snapshots are written while trading goes on, noted in the journal, and start a node again."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import pytest

from exchange.client import RequestRefused
from exchange.config import SnapshotConfig
from exchange.engine import create_engine
from exchange.journal import Durability
from exchange.recovery import restore_snapshot
from exchange.segments import digest_notes
from exchange.snapshot import load_snapshot, load_streams, snapshot_paths

BTC = "BTC-PERP"


def finish(running, count: int) -> list[Path]:
    """Waits until just so many snapshots are there: for a moment there is one too many."""
    folder = running.node.config.data / "snapshots"
    end = time.monotonic() + 20
    while len(snapshot_paths(folder)) != count:
        assert time.monotonic() < end, running.said
        time.sleep(0.01)
    return snapshot_paths(folder)


@pytest.mark.parametrize("durability", list(Durability))
def test_one_is_written_after_every_so_many_commands_and_the_newest_are_kept(
    start_node, config, durability: Durability, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.node.SNAPSHOT_DUE_MS", 5)
    running = start_node(
        snapshots=SnapshotConfig(every_commands=50, keep=2),
        journal=msgspec.structs.replace(config.journal, durability=durability),
    )
    client, folder = running.client(7), running.node.config.data / "snapshots"
    seen: set[str] = set()
    end = time.monotonic() + 60
    while len(seen) < 4:
        assert time.monotonic() < end, running.said
        client.deposit(1)
        seen |= {path.name for path in snapshot_paths(folder)}
    paths = finish(running, 2)
    assert len(paths) == 2
    sequences = [int(path.stem) for path in paths]
    assert sequences[0] - sequences[1] >= 50
    notes = dict(digest_notes(running.node.config.data / "journal"))
    for path in paths:
        snapshot = load_snapshot(path)
        assert restore_snapshot(snapshot, create_engine("native")).sequence == int(path.stem)
        assert load_streams(path.parent, snapshot.sequence)
    assert load_snapshot(paths[1]).digest == notes[sequences[1]]


def test_the_operator_is_answered_when_it_is_there(start_node) -> None:
    running = start_node()
    running.client(7).deposit(1000)
    sequence, digest = running.node.engine.sequence, running.node.engine.digest()
    path = Path(running.admin_client().take_snapshot())
    snapshot = load_snapshot(path)
    assert path.parent == running.node.config.data / "snapshots"
    assert (snapshot.sequence, snapshot.digest) == (sequence, digest)
    assert not list((path.parent / "unfinished").glob("*.snapshot"))


def test_what_kept_it_from_being_written_is_told_and_trading_goes_on(
    start_node, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start_node()
    client = running.client(7)
    client.deposit(1000)
    with monkeypatch.context() as patched:
        patched.setattr("exchange.background.os.nice", lambda by: 1 / 0)
        with pytest.raises(RequestRefused, match="no snapshot"):
            running.admin_client().take_snapshot()
    assert any("snapshot" in said for said in running.said)
    client.deposit(1000)
    assert running.admin_client().take_snapshot()


def test_a_node_stops_while_one_is_being_written(
    start_node, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start_node(snapshots=SnapshotConfig(every_commands=5))
    monkeypatch.setattr("exchange.background.os.nice", lambda by: time.sleep(60))
    client = running.client(7)
    for _ in range(20):
        client.deposit(1)
    assert running.node.snapshots.busy
    began = time.monotonic()
    running.stop()
    assert time.monotonic() - began < 30
    (path,) = snapshot_paths(running.node.config.data / "snapshots")
    assert load_snapshot(path).sequence == running.node.engine.sequence


def test_what_an_unfinished_one_left_is_swept_away_at_the_next_start(start_node, config) -> None:
    left = config.data / "snapshots" / "unfinished" / "00000000000000000009.snapshot"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half of it")
    running = start_node()
    assert not left.exists()
    assert os.listdir(left.parent.parent) == []
    running.client(7).deposit(5)
