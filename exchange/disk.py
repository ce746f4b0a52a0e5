"""The few things that the journal and the snapshots want of the disk, in one object, so that a test can have it fail.

``Disk`` does them; ``FaultyDisk`` does them until a fault is due.  Reading is not among them: what is read is checked.
"""

from __future__ import annotations

import errno
import os
import threading
from enum import StrEnum
from pathlib import Path

import msgspec

from exchange.errors import ExchangeError

sync_data = getattr(os, "fdatasync", os.fsync)


class Disk:
    """The disk as the system has it.  Every method raises OSError where that does."""

    def open(self, path: Path, *, create: bool = False) -> int:
        """Opens a file to be written to; with ``create`` an empty one."""
        return os.open(path, os.O_RDWR | (os.O_CREAT | os.O_TRUNC if create else 0), 0o644)

    def write(self, file: int, data: bytes | memoryview, offset: int) -> None:
        """Writes all of it: a signal or a full disk may leave one system call half done."""
        view = memoryview(data)
        while view:
            written = self.write_some(file, view, offset)
            view, offset = view[written:], offset + written

    def write_some(self, file: int, data: memoryview, offset: int) -> int:
        return os.pwrite(file, data, offset)

    def sync_data(self, file: int) -> None:
        """Makes what was written to a file durable, if its size stayed the same."""
        sync_data(file)

    def sync(self, file: int) -> None:
        """Makes a file durable, its size included."""
        os.fsync(file)

    def write_file(self, path: Path, data: bytes) -> None:
        """Gives a file its name when all of it is on the disk; where that fails nothing is left of it.

        The name itself is durable after ``sync_folder``.
        """
        unfinished = path.with_suffix(".tmp")
        file = self.open(unfinished, create=True)
        try:
            self.write(file, data, 0)
            self.sync(file)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        finally:
            os.close(file)
        self.rename(unfinished, path)

    def rename(self, old: Path, new: Path) -> None:
        old.rename(new)

    def sync_folder(self, folder: Path) -> None:
        """Makes the names in a folder durable."""
        file = os.open(folder, os.O_RDONLY)
        try:
            self.sync(file)
        finally:
            os.close(file)


class FaultKind(StrEnum):
    """What goes wrong."""

    SYNC_FAILS = "sync_fails"  # EIO, once
    WRITE_FAILS = "write_fails"  # EIO, once, before anything is written
    WRITE_IS_SHORT = "write_is_short"  # half of it is written, the caller has to go on
    WRITE_IS_TORN = "write_is_torn"  # half of it is written, then the process is killed


class Fault(msgspec.Struct, frozen=True):
    """One fault: the ``after``-th write or sync of this process, counted from 1, goes wrong.

    >>> Fault.parse("sync_fails:3")
    Fault(kind=<FaultKind.SYNC_FAILS: 'sync_fails'>, after=3)
    """

    kind: FaultKind
    after: int

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Reads KIND:N."""
        kind, _, after = text.partition(":")
        if kind not in list(FaultKind) or not after.isdecimal() or int(after) < 1:
            raise ExchangeError(
                f"fault {text!r:.80}: wanted KIND:N with N 1 or more and one of {', '.join(FaultKind)}"
            )
        return cls(FaultKind(kind), int(after))


class FaultyDisk(Disk):
    """A disk with faults at given writes and syncs, and with room for no more than so many bytes of new files.

    ``room_bytes`` may be changed while it is used; files that are overwritten need no room.
    """

    def __init__(self, faults: tuple[Fault, ...] = (), room_bytes: int | None = None) -> None:
        self.room_bytes = room_bytes
        self._faults = {(fault.kind, fault.after) for fault in faults}
        self._writes = self._syncs = 0
        self._lock = threading.Lock()

    def write_some(self, file: int, data: memoryview, offset: int) -> int:
        with self._lock:
            self._writes += 1
            now = {kind for kind, after in self._faults if after == self._writes}
            self._take_room(file, offset + len(data))
        if FaultKind.WRITE_FAILS in now:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if FaultKind.WRITE_IS_TORN in now:
            super().write_some(file, data[: len(data) // 2], offset)
            os.kill(os.getpid(), 9)
        if FaultKind.WRITE_IS_SHORT in now:
            return super().write_some(file, data[: max(1, len(data) // 2)], offset)
        return super().write_some(file, data, offset)

    def sync_data(self, file: int) -> None:
        self._count_sync()
        super().sync_data(file)

    def sync(self, file: int) -> None:
        self._count_sync()
        super().sync(file)

    def _count_sync(self) -> None:
        with self._lock:
            self._syncs += 1
            fails = (FaultKind.SYNC_FAILS, self._syncs) in self._faults
        if fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _take_room(self, file: int, end: int) -> None:
        growth = max(0, end - os.fstat(file).st_size)
        if self.room_bytes is None or not growth:
            return
        if growth > self.room_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room_bytes -= growth
