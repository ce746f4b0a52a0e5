"""Reading a journal: its segments and frames, what is a torn tail and what is damage.

The bytes are drawn in the docstring of ``exchange.journal``, which writes them.  Nothing here changes a file.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from exchange.errors import ExchangeError

SEGMENT_HEADER = struct.Struct("<8sIIQQ")
FRAME_HEADER = struct.Struct("<IIIIQQ")
FRAME_TAIL = struct.Struct("<IIQQ")  # the part of the frame header that its checksum covers
NOTE = struct.Struct(
    "<Q16s"
)  # payload of a frame without commands: a sequence and the digest after it
SEGMENT_MAGIC = b"PERPJRNL"
FRAME_MAGIC = 0x314D5246
FRAME_MAGIC_BYTES = FRAME_MAGIC.to_bytes(4, "little")
FORMAT_VERSION = 1
MIN_RECORD_BYTES = 24  # a command record is at least its header
SUFFIX = ".journal"


class JournalError(ExchangeError):
    """The journal cannot be used: in use elsewhere, not writable, or a sync failed."""


class JournalDamaged(JournalError):
    """Commands that had been made durable cannot be read any more."""


class Frame(msgspec.Struct, frozen=True):
    """One durable group of commands: what it holds and where it stands; of no commands: a note (`digest_notes`)."""

    first_sequence: int
    count: int
    commands: bytes
    synced_up_to: int
    path: Path
    offset: int

    @property
    def last_sequence(self) -> int:
        return self.first_sequence + self.count - 1


class Segment(msgspec.Struct, frozen=True):
    """What one segment file turned out to hold; ``problem`` says why reading stopped before its zeros."""

    path: Path
    first_sequence: int
    next_sequence: int
    frame_count: int
    used_bytes: int
    file_bytes: int
    problem: str


# ------------------------------------------------------------------------------------------- bytes, no files


def pack_segment_header(first_sequence: int, file_bytes: int) -> bytes:
    checked = struct.pack("<8sIQQ", SEGMENT_MAGIC, FORMAT_VERSION, first_sequence, file_bytes)
    return SEGMENT_HEADER.pack(
        SEGMENT_MAGIC, FORMAT_VERSION, zlib.crc32(checked), first_sequence, file_bytes
    )


def unpack_segment_header(data: bytes, path: Path) -> tuple[int, int]:
    """First sequence and full size of a segment; refuses what is not a segment of a version that we read."""
    if len(data) < SEGMENT_HEADER.size:
        raise JournalDamaged(
            f"{path}: {len(data)} bytes are too few for a segment header of {SEGMENT_HEADER.size}"
        )
    magic, version, _, first_sequence, file_bytes = SEGMENT_HEADER.unpack_from(data)
    if magic != SEGMENT_MAGIC:
        raise JournalDamaged(
            f"{path}: not a journal segment: wanted the magic {SEGMENT_MAGIC!r} at byte 0, got {magic!r}"
        )
    if version != FORMAT_VERSION:
        raise JournalDamaged(
            f"{path}: journal format {version}, this program reads format {FORMAT_VERSION}"
        )
    if data[: SEGMENT_HEADER.size] != pack_segment_header(first_sequence, file_bytes):
        raise JournalDamaged(
            f"{path}: the segment header (bytes 0 to {SEGMENT_HEADER.size}) fails its checksum"
        )
    return first_sequence, file_bytes


def pack_frame(payload: bytes, count: int, first_sequence: int, synced_up_to: int) -> bytes:
    tail = FRAME_TAIL.pack(len(payload), count, first_sequence, synced_up_to)
    crc = zlib.crc32(payload, zlib.crc32(tail))
    return (
        FRAME_HEADER.pack(FRAME_MAGIC, crc, len(payload), count, first_sequence, synced_up_to)
        + payload
    )


def pack_note(sequence: int, digest: str, next_sequence: int, synced_up_to: int) -> bytes:
    """A frame that says which digest the state had after an earlier command; it holds no commands itself."""
    return pack_frame(NOTE.pack(sequence, bytes.fromhex(digest)), 0, next_sequence, synced_up_to)


def read_frame(data: bytes, offset: int, path: Path) -> Frame | str:
    """The frame at an offset, or in words why there is none; an empty string at the segment's zeros."""
    if offset + FRAME_HEADER.size > len(data):
        return "" if not any(data[offset:]) else "a frame header is cut short"
    magic, crc, length, count, first_sequence, synced_up_to = FRAME_HEADER.unpack_from(data, offset)
    if magic == 0 and not any(data[offset : offset + FRAME_HEADER.size]):
        return ""
    if magic != FRAME_MAGIC:
        return "no frame starts here"
    start = offset + FRAME_HEADER.size
    if start + length > len(data):
        return f"a frame of {length} bytes does not fit into the segment"
    commands = data[start : start + length]
    if zlib.crc32(commands, zlib.crc32(data[offset + 8 : start])) != crc:
        return "a frame fails its checksum"
    return Frame(first_sequence, count, commands, synced_up_to, path, offset)


def proven_durable(data: bytes, offset: int, expected: int, path: Path) -> int:
    """The highest sequence that a whole frame after an unreadable place says was synced; 0 if there is none.

    A payload is bytes that clients chose, so a frame found by its magic must also be possible: it cannot be further
    ahead than there was room for commands in between.
    """
    proven = 0
    furthest = expected + len(data) // MIN_RECORD_BYTES
    at = data.find(FRAME_MAGIC_BYTES, offset + 1)
    while at >= 0:
        frame = read_frame(data, at, path)
        if isinstance(frame, Frame) and frame.synced_up_to < frame.first_sequence <= furthest:
            proven = max(proven, frame.synced_up_to)
        at = data.find(FRAME_MAGIC_BYTES, at + 1)
    return proven


# ------------------------------------------------------------------------------------------ reading a folder


def segment_paths(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*" + SUFFIX) if path.stem.isdecimal())


def read_frames(path: Path, data: bytes, expected: int) -> Iterator[Frame | str]:
    """The frames of one segment in order; a last item that is a string says why it ended before its zeros."""
    offset = SEGMENT_HEADER.size
    while True:
        frame = read_frame(data, offset, path)
        if isinstance(frame, Frame) and frame.first_sequence != expected:
            frame = f"a frame starts with sequence {frame.first_sequence} where {expected} should follow"
        yield frame
        if isinstance(frame, str):
            return
        expected = frame.last_sequence + 1
        offset = frame.offset + FRAME_HEADER.size + len(frame.commands)


def inspect(folder: Path) -> list[Segment]:
    """What every segment of a journal holds; never changes anything and never raises for damage inside a segment."""
    found = []
    for path in segment_paths(folder):
        data = path.read_bytes()
        try:
            first_sequence, _ = unpack_segment_header(data, path)
        except JournalDamaged as error:
            found.append(Segment(path, int(path.stem), int(path.stem), 0, 0, len(data), str(error)))
            continue
        frames = list(read_frames(path, data, first_sequence))
        problem = str(frames.pop())
        last = frames[-1] if frames else None
        found.append(
            Segment(
                path=path,
                first_sequence=first_sequence,
                next_sequence=last.last_sequence + 1 if isinstance(last, Frame) else first_sequence,
                frame_count=len(frames),
                used_bytes=end_of(last),
                file_bytes=len(data),
                problem=problem,
            )
        )
    return found


def last_sequence(folder: Path) -> int:
    """The last command of a journal; 0 for an empty one."""
    paths = segment_paths(folder)
    if not paths:
        return 0
    *_, last = (None, *scan_segment(paths[-1], None, 0))
    return int(paths[-1].stem) - 1 if last is None else last.last_sequence


def scan(folder: Path, from_sequence: int = 1) -> Iterator[Frame]:
    """All frames that hold commands from a sequence on, in order, without the notes between them.

    A torn tail ends the scan, damage raises.

    The first frame may start before ``from_sequence``.  Reading needs no lock: a node may be appending meanwhile.
    """
    paths = segment_paths(folder)
    following = [int(path.stem) for path in paths[1:]]
    for path, ends_before in zip(paths, [*following, None], strict=True):
        if ends_before is not None and ends_before <= from_sequence:
            continue
        frames = scan_segment(path, ends_before, from_sequence)
        yield from (frame for frame in frames if frame.count)


def digest_notes(folder: Path) -> Iterator[tuple[int, str]]:
    """The digests that a node noted in its journal: sequence of a command, and the state's digest after it."""
    paths = segment_paths(folder)
    following = [int(path.stem) for path in paths[1:]]
    for path, ends_before in zip(paths, [*following, None], strict=True):
        for frame in scan_segment(path, ends_before, 0):
            if not frame.count:
                sequence, digest = NOTE.unpack(frame.commands)
                yield sequence, digest.hex()


def scan_segment(path: Path, ends_before: int | None, from_sequence: int) -> Iterator[Frame]:
    """The frames of one segment, notes included."""
    data = path.read_bytes()
    expected, _ = unpack_segment_header(data, path)
    if expected != int(path.stem):
        raise JournalDamaged(
            f"{path}: the header says first sequence {expected}, the name says {int(path.stem)}"
        )
    offset = SEGMENT_HEADER.size
    for frame in read_frames(path, data, expected):
        if isinstance(frame, str):
            _judge_end(path, data, offset, expected, frame, ends_before)
            return
        expected, offset = frame.last_sequence + 1, end_of(frame)
        if frame.last_sequence >= from_sequence:
            yield frame


def _judge_end(
    path: Path, data: bytes, offset: int, expected: int, problem: str, ends_before: int | None
) -> None:
    """Raises if what ends a segment is damage; returns if it is its zeros or a torn tail."""
    if ends_before is not None and expected != ends_before:
        raise damage(
            path,
            offset,
            expected,
            problem or "the segment ends",
            f"the next segment starts at {ends_before}",
        )
    if ends_before is None and problem:
        proven = proven_durable(data, offset, expected, path)
        if proven >= expected:
            raise damage(
                path, offset, expected, problem, f"a later frame says that {proven} was synced"
            )


def damage(path: Path, offset: int, expected: int, problem: str, witness: str) -> JournalDamaged:
    return JournalDamaged(
        f"{path}: {problem} at byte {offset}, where command {expected} should be, and {witness}. "
        f"Nothing was changed. Restore the file from a copy, or look at it with `exchange inspect`"
    )


def end_of(frame: Frame | str | None) -> int:
    if not isinstance(frame, Frame):
        return SEGMENT_HEADER.size
    return frame.offset + FRAME_HEADER.size + len(frame.commands)
