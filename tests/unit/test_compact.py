"""A journal made shorter still starts a node, and nothing that could be needed goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from exchange.cli import main
from exchange.compact import compact
from exchange.engine import create_engine
from exchange.errors import ExchangeError
from exchange.journal import MIN_SEGMENT_BYTES, Durability, Journal, JournalError
from exchange.protocol.messages import Deposit
from exchange.protocol.records import encode_commands, stamp
from exchange.recovery import replay, restore_newest, take_engine_snapshot
from exchange.segments import JournalDamaged, scan, segment_paths
from exchange.snapshot import snapshot_paths, write_snapshot

#: A deposit's record has 32 bytes, a frame of one 64: a segment of 4096 has room for 63 behind its head.
PER_SEGMENT = (MIN_SEGMENT_BYTES - 32) // 64


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two hundred deposits, with snapshots after the 130th and the 190th."""
    journal = Journal(
        tmp_path / "journal", durability=Durability.OFF, segment_bytes=MIN_SEGMENT_BYTES
    )
    engine = create_engine("native")
    for sequence in range(1, 201):
        command = stamp(encode_commands([Deposit(account=1, amount_atoms=sequence)]), sequence, 1)
        journal.append(command, sequence, 1)
        engine.apply(command)
        if sequence in (130, 190):
            write_snapshot(tmp_path / "snapshots", take_engine_snapshot(engine))
    journal.close()
    return tmp_path


def firsts(folder: Path) -> list[int]:
    return [int(path.stem) for path in segment_paths(folder)]


def recovered(data: Path) -> tuple[int, str]:
    restored = restore_newest(data / "snapshots", lambda: create_engine("native"))
    replay(restored.engine, scan(data / "journal", restored.sequence + 1))
    return restored.engine.sequence, restored.engine.digest()


def test_what_the_oldest_snapshot_holds_goes_to_the_archive_and_the_node_starts_as_before(
    data: Path,
) -> None:
    before = recovered(data)
    assert firsts(data / "journal") == [1 + PER_SEGMENT * n for n in range(4)] == [1, 64, 127, 190]
    done = compact(data, data / "archive")
    # The segment from 127 on holds 131 .. 189 too, which the snapshot after 130 has not.
    assert firsts(data / "archive") == [1, 64]
    assert firsts(data / "journal") == [127, 190]
    assert (done.snapshot_sequence, done.first_sequence) == (130, 127)
    assert done.freed_bytes == 2 * MIN_SEGMENT_BYTES
    assert recovered(data) == before


def test_the_older_snapshot_still_starts_a_node_when_the_newer_one_is_damaged(data: Path) -> None:
    before = recovered(data)
    compact(data, None)
    assert not (data / "archive").exists()
    newest = snapshot_paths(data / "snapshots")[0]
    newest.write_bytes(newest.read_bytes()[:-1] + b"\xff")
    assert recovered(data) == before


def test_the_archive_put_back_gives_the_whole_journal(data: Path) -> None:
    whole = [frame.commands for frame in scan(data / "journal")]
    compact(data, data / "archive")
    for path in segment_paths(data / "archive"):
        path.rename(data / "journal" / path.name)
    assert [frame.commands for frame in scan(data / "journal")] == whole


def test_it_can_be_asked_again(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compact", str(data)]) == 0
    assert "2 segments, 8,192 bytes moved" in capsys.readouterr().out
    assert main(["compact", str(data)]) == 0
    assert "0 segments, 0 bytes moved" in capsys.readouterr().out


def test_without_a_snapshot_the_journal_is_needed_whole(data: Path) -> None:
    for path in snapshot_paths(data / "snapshots"):
        path.unlink()
    with pytest.raises(ExchangeError, match="no snapshot, so the journal is needed whole"):
        compact(data, None)
    assert len(firsts(data / "journal")) == 4


def test_a_snapshot_in_doubt_stops_it(data: Path) -> None:
    oldest = snapshot_paths(data / "snapshots")[-1]
    oldest.write_bytes(oldest.read_bytes()[:-1])
    with pytest.raises(ExchangeError, match="remove it first"):
        compact(data, None)
    assert len(firsts(data / "journal")) == 4


def test_a_running_node_is_left_alone(data: Path) -> None:
    journal = Journal(data / "journal", durability=Durability.OFF)
    try:
        with pytest.raises(JournalError, match="in use by process"):
            compact(data, None)
    finally:
        journal.close()


def test_a_journal_that_begins_behind_what_there_is_is_refused_in_words(data: Path) -> None:
    compact(data, None)
    for path in snapshot_paths(data / "snapshots"):
        path.unlink()
    with pytest.raises(
        JournalDamaged, match="begins with command 127, and what there is before it ends with 0"
    ):
        recovered(data)


def test_an_archive_that_holds_something_else_is_not_overwritten(data: Path) -> None:
    (data / "archive").mkdir()
    (data / "archive" / f"{1:020d}.journal").write_bytes(b"another node's")
    with pytest.raises(ExchangeError, match="differs"):
        compact(data, data / "archive")
    assert len(firsts(data / "journal")) == 4
