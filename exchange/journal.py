"""The write-ahead journal: every command the exchange ever took, in order, on disk before anyone hears of it.

Theory of operation.  The journal is a directory of *segments*, files that are written full of zeros (and synced)
before they are used, so that a sync later only has to push the bytes of the commands and no file metadata.  A
segment is a header and then *frames*; a frame is one group of batches that was made durable by one sync:

    segment   <20 digits of its first sequence>.journal, little-endian
              0   8s   magic "PERPJRNL"
              8   u32  format version, 1
              12  u32  crc32 of the other 28 bytes of the header
              16  u64  sequence of the first command
              24  u64  bytes of the file
    frame     0   u32  magic 0x314D5246 ("FRM1"); 0 where the segment has no more frames
              4   u32  crc32 of everything after this field, payload included
              8   u32  bytes of the payload
              12  u32  commands in the payload
              16  u64  sequence of its first command
              24  u64  sequence up to which the journal was synced when this frame was written
              32       payload: command records as the engine applies them (exchange/protocol/schema.py)

*Group commit*: with durability ``always`` a thread of its own takes whatever was appended while the last sync was in
flight, writes it as one frame and syncs it; the engine works on meanwhile, and the node lets replies and events leave
when ``released_up_to`` has reached them.  ``interval`` writes at once and syncs every few milliseconds: a crash of the
process loses nothing, a crash of the machine at most that interval.  ``off`` leaves syncing to the operating system.

*Recovery*: a frame that is not whole is the *torn tail* of a write that was under way; nobody heard of it, and
opening the journal cuts it off.  It is *damage*, and refused with its position, when something proves that it had
been synced: a later frame that says so (its last field), a later segment, or the caller's ``durable_sequence`` (a
snapshot's).  That last field is also why frames lost out of order under ``interval`` still count as a tail.  The very
last frame has no witness; a flipped bit in it reads as a torn tail, and the node warns of what it cut.

*A full disk*: room is taken a segment ahead, so it runs out while there is still a segment to write to.  The journal
is ``tight`` then, which the node tells those who place orders; what has no room at all is refused (``JournalFull``)
before it gets a sequence.  When the disk has room again, the next segment is made, and all is as before.

A sync that failed once may have lost the pages for good, so it is fatal and never tried again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from exchange.disk import Disk
from exchange.segments import (
    FRAME_HEADER,
    SEGMENT_HEADER,
    SUFFIX,
    Frame,
    JournalDamaged,
    JournalError,
    damage,
    end_of,
    pack_frame,
    pack_note,
    pack_segment_header,
    scan,
    scan_segment,
    segment_paths,
    unpack_segment_header,
)

DEFAULT_SEGMENT_BYTES = 32 << 20
MIN_SEGMENT_BYTES = 4096
RETRY_ROOM_S = 0.2  # between two looks whether a full disk has room again
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Durability(StrEnum):
    """When a reply may leave: after its batch is synced, or after it is written."""

    ALWAYS = "always"
    INTERVAL = "interval"
    OFF = "off"


class JournalFull(JournalError):
    """A batch was not taken: the disk has no room for it.  Nothing has changed."""


class FolderLock:
    """Keeps a second node out of a folder for as long as this process lives."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(self._file, 20, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            raise JournalError(
                f"{folder} is in use by process {owner or 'unknown'}: two nodes cannot share a journal. "
                f"Stop that one, or name another folder with --data"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._file)


class Tail(Protocol):
    """Where writing goes on: the segment, and how far the journal has come."""

    file: int
    offset: int
    limit: int  # of the segment
    next_sequence: int
    written_up_to: int
    synced_up_to: int


class PlainTail:
    """The same, for a journal that nobody else writes."""

    __slots__ = ("file", "limit", "next_sequence", "offset", "synced_up_to", "written_up_to")

    def __init__(self) -> None:
        self.file = -1
        self.offset = self.limit = 0
        self.next_sequence = 1
        self.written_up_to = self.synced_up_to = 0


class Journal:
    """The journal of one node, open for appending.

    Needs: one thread that appends.  ``on_release`` is called from the journal's own thread whenever
    ``released_up_to`` moved or a sync failed; it must only wake somebody up.  ``on_sync`` hears how long each sync
    took, in nanoseconds, from the thread that made it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        durability: Durability = Durability.ALWAYS,
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
        sync_interval_ms: int = 20,
        durable_sequence: int = 0,
        on_release: Callable[[], None] = lambda: None,
        on_sync: Callable[[int], None] = lambda took_ns: None,
        disk: Disk | None = None,
    ) -> None:
        self.folder = folder
        self._disk = disk or Disk()
        self.durability = durability
        self.cut_bytes = 0  # of the torn tail that opening cut off
        self._segment_bytes = max(segment_bytes, MIN_SEGMENT_BYTES)
        self._interval_s = sync_interval_ms / 1000
        self.on_release = on_release
        self.on_sync = on_sync
        self._lock = FolderLock(folder)
        self._segments = SegmentFiles(folder, self._segment_bytes, self._disk)
        self._tail: Tail = PlainTail()
        try:
            self._open_tail(durable_sequence)
        except BaseException:
            self._lock.release()
            raise
        self._changed = threading.Condition()
        self._pending: list[bytes] = []
        self._pending_count = self._pending_bytes = 0
        self._waits_for_room = False
        self._notes: list[tuple[int, str]] = []
        self._tail.written_up_to = self._tail.synced_up_to = self._tail.next_sequence - 1
        self._failure: str = ""
        self._closing = False
        self._thread = threading.Thread(target=self._sync_loop, name="journal-sync", daemon=True)
        self._thread.start()

    # ---- opening

    def _open_tail(self, durable_sequence: int) -> None:
        """Finds the end of the last segment, cuts a torn tail, and makes the first segment of an empty journal."""
        self._segments.discard_unfinished()
        paths = segment_paths(self.folder)
        if not paths:
            if durable_sequence:
                raise JournalDamaged(
                    f"{self.folder}: no journal, but a snapshot says that it reached {durable_sequence}"
                )
            self._tail.next_sequence = 1
            self._tail.file, self._tail.limit = self._segments.create(1, self._segment_bytes)
            self._tail.offset = SEGMENT_HEADER.size
            return
        path = paths[-1]
        data = path.read_bytes()
        frames = list(scan_segment(path, None, 0))
        self._tail.offset = end_of(frames[-1] if frames else None)
        self._tail.next_sequence = frames[-1].last_sequence + 1 if frames else int(path.stem)
        if durable_sequence >= self._tail.next_sequence:
            witness = f"a snapshot says that {durable_sequence} was durable"
            raise damage(
                path, self._tail.offset, self._tail.next_sequence, "the journal ends", witness
            )
        _, self._tail.limit = unpack_segment_header(data, path)
        self._tail.file = self._disk.open(path)
        self._cut_tail(data)
        self._segments.make_spare()

    def _cut_tail(self, data: bytes) -> None:
        """Zeros what stands after the last whole frame, so that it can never be taken for something later.

        A file that was cut short is filled up again; of the missing bytes we know no more than that they are missing.
        """
        tail = data[self._tail.offset :].rstrip(b"\0")
        missing = self._tail.limit - len(data)
        self.cut_bytes = len(tail) + max(missing, 0)
        if self.cut_bytes:
            self._disk.write(self._tail.file, bytes(len(tail)), self._tail.offset)
            self._disk.write(self._tail.file, bytes(max(missing, 0)), len(data))
            self._disk.sync(self._tail.file)

    # ---- appending

    @property
    def next_sequence(self) -> int:
        """What the next command appended will have."""
        return self._tail.next_sequence

    def lend(self, tail: Tail) -> bool:
        """Keeps where writing goes on in ``tail`` from now on, for a loop in C that writes frames of its own.

        It does so in the thread that appends, and only what has room in the segment.  False where nobody else may
        write: with durability ``always`` that is a thread's, and a disk with faults wants to see every write.
        """
        if self.durability is Durability.ALWAYS or type(self._disk) is not Disk:
            return False
        with self._changed:
            for name in PlainTail.__slots__:
                setattr(tail, name, getattr(self._tail, name))
            self._tail = tail
        return True

    def append(self, commands: bytes, first_sequence: int, count: int) -> None:
        """Takes one batch of stamped command records; it has left this process when ``released_up_to`` covers it.

        Raises:
            JournalFull: the disk has no room for it; it was not taken.
        """
        self.check()
        if first_sequence != self._tail.next_sequence or count < 1:
            raise JournalError(
                f"append wants a batch from sequence {self._tail.next_sequence}, got {count} from {first_sequence}"
            )
        if self.tight:
            self._check_room(len(commands))
        if self.durability is Durability.ALWAYS:
            with self._changed:
                self._pending.append(commands)
                self._pending_count += count
                self._pending_bytes += len(commands)
                self._changed.notify_all()
        else:
            self._write_now(commands, count)
        self._tail.next_sequence += count

    def _write_now(self, commands: bytes, count: int) -> None:
        try:
            self._write(commands, count)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise self._full() from None
            self._fail("writing", error)
            self.check()

    def note(self, sequence: int, digest: str) -> None:
        """Notes the digest that the state had after an earlier command; nobody waits for it to be durable."""
        self.check()
        with self._changed:
            self._notes.append((sequence, digest))
            self._changed.notify_all()
        if self.durability is not Durability.ALWAYS:
            self._write_notes()

    @property
    def tight(self) -> bool:
        """Whether the disk had no room for the next segment; what is left of this one is for what must not wait."""
        return self._segments.problem != ""

    @property
    def room_problem(self) -> str:
        """Why the journal is tight; empty while it is not."""
        return self._segments.problem

    def look_for_room(self) -> None:
        """Tries again to make the next segment, in the background; for whoever finds the journal tight."""
        self._segments.make_spare()

    def _check_room(self, size: int) -> None:
        with self._changed:
            wanted = self._tail.offset + self._pending_bytes + size + 2 * FRAME_HEADER.size
        if wanted > self._tail.limit:
            raise self._full()

    def _full(self) -> JournalFull:
        return JournalFull(
            f"the disk of {self.folder} is full ({self._segments.problem}): nothing more is taken until there is room"
        )

    @property
    def released_up_to(self) -> int:
        """The sequence up to which replies and events may leave, by the durability chosen."""
        self.check()
        return (
            self._tail.synced_up_to
            if self.durability is Durability.ALWAYS
            else self._tail.written_up_to
        )

    @property
    def durable_up_to(self) -> int:
        """The sequence up to which commands survive a crash of the machine."""
        return self._tail.synced_up_to

    def check(self) -> None:
        """Raises if a write or sync failed: from then on nothing may be acknowledged any more."""
        if self._failure:
            raise JournalError(self._failure)

    def scan(self, from_sequence: int = 1) -> Iterator[Frame]:
        return scan(self.folder, from_sequence)

    def flush(self) -> None:
        """Returns when everything appended is synced, whatever the durability.

        Raises JournalFull where a part of it waits for room on the disk; nobody was told of that part.
        """
        if self.durability is not Durability.ALWAYS:
            try:
                self._sync_written()
            except OSError as error:
                self._fail("syncing", error)
            self.check()
            return
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._failure
                    or self._waits_for_room
                    or self._tail.synced_up_to + 1 == self._tail.next_sequence
                )
            )
            if self._waits_for_room:
                raise self._full()
        self.check()

    def close(self) -> None:
        """Syncs what is left, stops the thread, gives the folder free."""
        try:
            if not self._failure:
                self.flush()
        finally:
            with self._changed:
                self._closing = True
                self._changed.notify_all()
            self._thread.join()
            self._segments.close()
            self._segments.discard_unfinished()
            os.close(self._tail.file)
            self._lock.release()

    # ---- the thread

    def _sync_loop(self) -> None:
        try:
            if self.durability is Durability.ALWAYS:
                while self._commit_group():
                    self.on_release()
            elif self.durability is Durability.INTERVAL:
                while not self._wait_interval():
                    self._sync_written()
        except Exception as error:  # whatever it was: nobody may wait for a thread that is gone
            self._fail("syncing", error)

    def _commit_group(self) -> bool:
        """Writes and syncs all that was appended meanwhile as one frame; False when closing and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._notes or self._closing)
            group, count = self._pending, self._pending_count
            self._pending, self._pending_count = [], 0
            if not group and not self._notes:
                return False
        if group:
            payload = b"".join(group)
            self._write_patiently(payload, count)
            with self._changed:
                self._pending_bytes -= len(payload)
        self._write_notes()
        self._sync_written()
        return True

    def _write_patiently(self, payload: bytes, count: int) -> None:
        """Writes what was taken already.  A full disk only makes it wait: nobody has been told of it."""
        while True:
            try:
                return self._write(payload, count)
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
            with self._changed:
                self._waits_for_room = True
                self._changed.notify_all()
                if self._changed.wait_for(lambda: self._closing, timeout=RETRY_ROOM_S):
                    raise self._full()
                self._waits_for_room = False

    def _wait_interval(self) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._closing, timeout=self._interval_s)

    def _write(self, payload: bytes, count: int) -> None:
        first = self._tail.written_up_to + 1
        frame = pack_frame(payload, count, first, self._tail.synced_up_to)
        if self._tail.offset + len(frame) > self._tail.limit:
            self._roll(first, len(frame))
            frame = pack_frame(payload, count, first, self._tail.synced_up_to)
        self._disk.write(self._tail.file, frame, self._tail.offset)
        self._tail.offset += len(frame)
        self._tail.written_up_to += count

    def _write_notes(self) -> None:
        """Writes the notes that came meanwhile; one that has no room in the segment is left out."""
        with self._changed:
            notes, self._notes = self._notes, []
        for sequence, digest in notes:
            frame = pack_note(
                sequence, digest, self._tail.written_up_to + 1, self._tail.synced_up_to
            )
            if self._tail.offset + len(frame) <= self._tail.limit:
                self._disk.write(self._tail.file, frame, self._tail.offset)
                self._tail.offset += len(frame)

    def _roll(self, first_sequence: int, frame_bytes: int) -> None:
        """Goes on in a new segment; the old one is synced first, so only the last segment can have a torn tail."""
        self._sync_written()
        wanted = max(self._segment_bytes, SEGMENT_HEADER.size + frame_bytes)
        file, limit = self._segments.create(first_sequence, wanted)
        with self._changed:
            previous, self._tail.file, self._tail.limit = self._tail.file, file, limit
        self._tail.offset = SEGMENT_HEADER.size
        os.close(previous)

    def _sync_written(self) -> None:
        """Syncs what is written; the file is held by a number of its own, since another thread may roll meanwhile."""
        with self._changed:
            target, file = self._tail.written_up_to, os.dup(self._tail.file)
        try:
            if target > self._tail.synced_up_to:
                since_ns = time.perf_counter_ns()
                self._disk.sync_data(file)
                self.on_sync(time.perf_counter_ns() - since_ns)
        finally:
            os.close(file)
        with self._changed:
            self._tail.synced_up_to = max(self._tail.synced_up_to, target)
            self._changed.notify_all()

    def _fail(self, doing: str, error: Exception) -> None:
        with self._changed:
            self._failure = (
                f"{doing} the journal in {self.folder} failed ({error}): what was not yet acknowledged may be lost. "
                f"The node stops; mend the disk and start it again"
            )
            self._changed.notify_all()
        self.on_release()


class SegmentFiles:
    """Makes segment files full of zeros, one ahead of need in a thread of its own."""

    def __init__(self, folder: Path, segment_bytes: int, disk: Disk) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._disk = disk
        self._spare = folder / "spare.tmp"
        self._maker: threading.Thread | None = None
        self._at_work = threading.Lock()  # on the spare
        self.problem = ""  # why there is no segment ahead of need

    def discard_unfinished(self) -> None:
        self._spare.unlink(missing_ok=True)

    def create(self, first_sequence: int, file_bytes: int) -> tuple[int, int]:
        """A segment ready to be written to: its file and its size.  It gets its name only when it is whole."""
        self.close()
        path = self._folder / f"{first_sequence:020d}{SUFFIX}"
        with self._at_work:
            if file_bytes != self._segment_bytes or not self._spare.exists():
                self._fill_spare(file_bytes)
            file = self._disk.open(self._spare)
            try:
                self._disk.write(file, pack_segment_header(first_sequence, file_bytes), 0)
                self._disk.sync(file)
                self._disk.rename(self._spare, path)
                self._disk.sync_folder(self._folder)
            except BaseException:
                os.close(file)
                raise
        self.make_spare()
        return file, file_bytes

    def make_spare(self) -> None:
        """Begins to make the next segment, if there is none and nobody is at it."""
        if self._maker is not None and self._maker.is_alive():
            return
        self._maker = threading.Thread(target=self._make_spare, name="journal-spare", daemon=True)
        self._maker.start()

    def _make_spare(self) -> None:
        with self._at_work, contextlib.suppress(OSError):
            # A failure is not fatal: there is a segment to write to, and a roll makes its own if there is room by then.
            if not self._spare.exists():
                self._fill_spare(self._segment_bytes)

    def _fill_spare(self, file_bytes: int) -> None:
        """Makes the file of a segment, or leaves none."""
        try:
            file = self._disk.open(self._spare, create=True)
            try:
                zeros = bytes(1 << 20)
                for offset in range(0, file_bytes, len(zeros)):
                    self._disk.write(file, zeros[: file_bytes - offset], offset)
                self._disk.sync(file)
            finally:
                os.close(file)
        except OSError as error:
            self.problem = str(error)
            self._spare.unlink(missing_ok=True)
            raise
        self.problem = ""

    def close(self) -> None:
        if self._maker is not None:
            self._maker.join()
            self._maker = None
