"""A snapshot is whole and verified, or it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from exchange.snapshot import (
    Snapshot,
    SnapshotDamaged,
    load_snapshot,
    snapshot_paths,
    state_digest,
    write_snapshot,
)


def make_snapshot(sequence: int, state: bytes = b"PXS1 some state") -> Snapshot:
    return Snapshot(sequence, 1_700_000_000_000_000_000 + sequence, state_digest(state), state)


def test_a_snapshot_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    snapshot = make_snapshot(7)
    assert load_snapshot(write_snapshot(tmp_path, snapshot)) == snapshot


def test_only_the_newest_few_are_kept(tmp_path: Path) -> None:
    for sequence in (5, 10, 200):
        write_snapshot(tmp_path, make_snapshot(sequence))
    assert [int(path.stem) for path in snapshot_paths(tmp_path)] == [200, 10]
    assert snapshot_paths(tmp_path / "nothing") == []


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
