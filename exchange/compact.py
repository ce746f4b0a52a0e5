"""``exchange compact``: moves the segments that no recovery needs any more out of a journal.

What is in every whole snapshot of the data folder need not be replayed to start a node, also where the newest snapshot
should turn out damaged one day.  The segments that hold nothing else go to an archive folder, from where they can be
put back; with ``--delete`` they are gone.  The node must not run meanwhile.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import msgspec

from exchange.disk import Disk
from exchange.errors import ExchangeError
from exchange.journal import FolderLock
from exchange.segments import segment_paths
from exchange.snapshot import SnapshotDamaged, load_snapshot, snapshot_paths


class Compacted(msgspec.Struct, frozen=True):
    """What was moved, or deleted."""

    snapshot_sequence: int  # of the oldest snapshot that is whole: what it holds is needed no more
    segments: tuple[Path, ...]
    first_sequence: int  # that the journal begins with now
    freed_bytes: int


def oldest_whole_snapshot(folder: Path) -> int:
    """The sequence of the oldest snapshot that can be trusted; each is read and checked."""
    sequences = []
    for path in snapshot_paths(folder):
        try:
            sequences.append(load_snapshot(path).sequence)
        except SnapshotDamaged as error:
            raise ExchangeError(
                f"{error}; remove it first: a journal is not made shorter while a snapshot is in doubt"
            ) from None
    if not sequences:
        raise ExchangeError(
            f"{folder}: no snapshot, so the journal is needed whole; a node writes one when it stops"
        )
    return min(sequences)


def removable(segments: Sequence[Path], sequence: int) -> list[Path]:
    """The segments that hold no command behind this one; never the last, which is appended to.

    >>> removable([Path(f"{first:020d}.journal") for first in (1, 101, 201)], 200)[-1].name
    '00000000000000000101.journal'
    """
    return [path for path, following in pairwise(segments) if int(following.stem) <= sequence + 1]


def compact(data: Path, archive: Path | None) -> Compacted:
    """Moves what is not needed to the archive, or deletes it where that is None.

    Raises:
        ExchangeError: a snapshot is missing or damaged.
        JournalError: a node uses the folder.
    """
    folder = data / "journal"
    if not segment_paths(folder):
        raise ExchangeError(f"{data}: wanted a node's data folder, with journal and snapshots")
    lock = FolderLock(folder)
    try:
        sequence = oldest_whole_snapshot(data / "snapshots")
        segments = removable(segment_paths(folder), sequence)
        freed = sum(path.stat().st_size for path in segments)
        # Oldest first: wherever this is stopped, what is left has no hole.
        for path in segments:
            if archive is not None:
                keep(path, archive)
            path.unlink()
            Disk().sync_folder(folder)
        first = int(segment_paths(folder)[0].stem)
        return Compacted(sequence, tuple(segments), first, freed)
    finally:
        lock.release()


def keep(path: Path, archive: Path) -> None:
    """Copies a segment so that it is in the archive, whole and synced, before it goes here."""
    archive.mkdir(parents=True, exist_ok=True)
    kept = archive / path.name
    if kept.exists() and kept.read_bytes() != path.read_bytes():
        raise ExchangeError(f"{kept} is there already and differs from {path}: name another folder")
    disk = Disk()
    disk.write_file(kept, path.read_bytes())
    disk.sync_folder(archive)


def main(argv: Sequence[str]) -> int:
    """``exchange compact DATA``."""
    parser = argparse.ArgumentParser(
        prog="exchange compact",
        description="Moves segments of a journal that every whole snapshot makes unnecessary to an archive.",
    )
    parser.add_argument("data", type=Path, help="a node's data folder; the node must not run")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--archive", type=Path, help="folder to move them to (DATA/archive)")
    where.add_argument("--delete", action="store_true", help="keep nothing")
    options = parser.parse_args(argv)
    archive = None if options.delete else options.archive or options.data / "archive"
    done = compact(options.data, archive)
    what = "deleted" if archive is None else f"moved to {archive}"
    print(
        f"{len(done.segments)} segments, {done.freed_bytes:,} bytes {what}; the oldest snapshot is of command "
        f"{done.snapshot_sequence}, the journal begins with command {done.first_sequence}"
    )
    return 0
