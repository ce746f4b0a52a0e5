"""A snapshot is whole and verified, or it is passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from exchange.snapshot import (
    Snapshot,
    SnapshotDamaged,
    load_snapshot,
    newest_snapshot,
    snapshot_paths,
    state_digest,
    write_snapshot,
)


def make_snapshot(sequence: int, state: bytes = b"PXS1 some state") -> Snapshot:
    return Snapshot(sequence, 1_700_000_000_000_000_000 + sequence, state_digest(state), state)


def test_a_snapshot_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    snapshot = make_snapshot(7)
    assert load_snapshot(write_snapshot(tmp_path, snapshot)) == snapshot


def test_the_newest_is_found_and_old_ones_go(tmp_path: Path) -> None:
    for sequence in (5, 10, 200):
        write_snapshot(tmp_path, make_snapshot(sequence))
    newest, warnings = newest_snapshot(tmp_path)
    assert newest == make_snapshot(200)
    assert warnings == []
    assert [int(path.stem) for path in snapshot_paths(tmp_path)] == [200, 10]


def test_no_snapshot_is_no_warning(tmp_path: Path) -> None:
    assert newest_snapshot(tmp_path / "nothing") == (None, [])


def test_a_damaged_one_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    write_snapshot(tmp_path, make_snapshot(5))
    path = write_snapshot(tmp_path, make_snapshot(9))
    path.write_bytes(path.read_bytes()[:-3])
    newest, warnings = newest_snapshot(tmp_path)
    assert newest == make_snapshot(5)
    assert len(warnings) == 1
    assert "15 bytes of state were written, 12 are there" in warnings[0]


def test_every_flipped_bit_and_every_cut_is_noticed(tmp_path: Path) -> None:
    path = write_snapshot(tmp_path, make_snapshot(5))
    whole = path.read_bytes()
    for at in range(len(whole)):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << (at % 8)
        path.write_bytes(flipped)
        with pytest.raises(SnapshotDamaged):
            load_snapshot(path)
        path.write_bytes(whole[:at])
        with pytest.raises(SnapshotDamaged):
            load_snapshot(path)


def test_a_state_that_does_not_have_its_digest_is_refused(tmp_path: Path) -> None:
    wrong = Snapshot(3, 4, state_digest(b"another state"), b"this state")
    with pytest.raises(SnapshotDamaged, match="the state has digest"):
        load_snapshot(write_snapshot(tmp_path, wrong))
