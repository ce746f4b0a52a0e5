"""When a node writes snapshots, and what follows when one is written.

Theory of operation.  A forked child writes into the folder ``unfinished`` (exchange/background.py), while trading goes
on.  When it is done and the journal is durable up to the snapshot's sequence, the files get their place, older ones go,
and the digest is noted in the journal: a snapshot that is there proves that the journal was, up to it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from exchange.background import BackgroundSnapshot, Finished
from exchange.disk import Disk
from exchange.journal import Durability, Journal
from exchange.snapshot import (
    STREAMS_SUFFIX,
    Snapshot,
    prune_snapshots,
    read_header,
    write_snapshot,
)

UNFINISHED = "unfinished"


class Written(msgspec.Struct, frozen=True):
    """What became of a snapshot: its place, or why there is none."""

    path: Path | None
    sequence: int
    took_ms: int
    problem: str = ""


Told = Callable[[Written], None]


class SnapshotDesk:
    """The snapshots of one node.

    ``take`` gives the state of now and what accounts were told; ``every_commands`` 0: only who asks gets one.
    """

    def __init__(
        self,
        folder: Path,
        journal: Journal,
        take: Callable[[], tuple[Snapshot, bytes]],
        *,
        every_commands: int,
        keep: int,
        told: Told,
    ) -> None:
        self._folder = folder
        self._journal = journal
        self._take = take
        self._every = every_commands
        self._keep = keep
        self._told = told
        self._askers: list[Told] = []
        self._next: list[Told] = []  # who asked while one was being written
        self._background = BackgroundSnapshot(self._write_unfinished)
        self._began_ns = 0
        self._sequence = journal.next_sequence - 1  # of the last one begun
        self._finished: Finished | None = None  # and waits for the journal
        shutil.rmtree(folder / UNFINISHED, ignore_errors=True)

    @property
    def busy(self) -> bool:
        """Whether one is being written, or waits for the journal."""
        return self._background.busy or self._finished is not None

    def ask(self, asker: Told) -> None:
        """Has a snapshot of now written; the asker is told when it is there."""
        if self.busy:
            self._next.append(asker)
        else:
            self._askers.append(asker)
            self._begin()

    def look(self, sequence: int) -> None:
        """What a round of the loop does for it: begins one that is due, places one that is finished."""
        if self._background.busy:
            self._finished = self._background.poll()
        if self._finished is not None:
            self._place(self._finished)
        elif not self.busy and self._every and sequence - self._sequence >= self._every:
            self._begin()

    def write_now(self) -> Written:
        """Writes one in the loop itself: for the end of a node."""
        self._background.abandon()
        self._journal.flush()
        began_ns = time.monotonic_ns()
        snapshot, streams = self._take()
        path = write_snapshot(self._folder, snapshot, keep=self._keep, streams=streams)
        self._journal.note(snapshot.sequence, snapshot.digest)
        written = Written(path, snapshot.sequence, (time.monotonic_ns() - began_ns) // 10**6)
        self._told(written)
        return written

    def close(self) -> None:
        """Ends a child that still writes; what it wrote is of no use."""
        self._background.abandon()

    def _begin(self) -> None:
        self._began_ns = time.monotonic_ns()
        self._sequence = self._journal.next_sequence - 1
        try:
            self._background.start()
        except OSError as error:
            self._end(None, f"{type(error).__name__}: {error}")

    def _write_unfinished(self) -> Path:
        snapshot, streams = self._take()
        return write_snapshot(self._folder / UNFINISHED, snapshot, streams=streams)

    def _place(self, finished: Finished) -> None:
        if finished.path is None:
            self._end(None, finished.problem)
            return
        if self._journal.durable_up_to < self._sequence:
            if self._journal.durability is not Durability.OFF:
                return  # the journal's own thread is at it
            self._journal.flush()
        path = self._folder / finished.path.name
        disk = Disk()
        # The one beside it first: where the snapshot is, that is too.
        for name in (finished.path.with_suffix(STREAMS_SUFFIX).name, finished.path.name):
            disk.rename(finished.path.parent / name, self._folder / name)
        disk.sync_folder(self._folder)
        prune_snapshots(self._folder, self._keep)
        self._journal.note(self._sequence, read_header(path).digest)
        self._end(path, "")

    def _end(self, path: Path | None, problem: str) -> None:
        self._finished = None
        took_ms = (time.monotonic_ns() - self._began_ns) // 10**6
        written = Written(path, self._sequence, took_ms, problem)
        askers, self._askers, self._next = self._askers, self._next, []
        self._told(written)
        for asker in askers:
            asker(written)
        if self._askers:
            self._begin()
