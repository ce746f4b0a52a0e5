"""Snapshots: the engine's whole state at one sequence, so that a start need not replay the journal from its beginning.

A snapshot is a convenience and never the truth: the journal is.  One that is damaged is passed over, with a warning,
for the one before it, or for a replay of everything.  The file, little-endian, ``<20 digits>.snapshot``:

    0   8s   magic "PERPSNAP"
    8   u32  format version, 1
    12  u32  crc32 of everything after this field
    16  u64  sequence of the last command that is in it
    24  i64  time of that command, nanoseconds
    32  16s  BLAKE2b-128 of the state: the engine's digest
    48  u64  bytes of the state
    56       the state, as the engine gives it (docs/reference/state.md)

Beside it, ``<20 digits>.streams`` has what the node knows of the accounts' event streams at that sequence: how far each
was counted, and the last events (exchange/gateway/event_log.py).  Without it a node starts all the same and says that
it counts anew.

    0   8s   magic "PERPSTRM"
    8   u32  format version, 1
    12  u32  crc32 of everything after this field
    16  u64  sequence of the snapshot
    24  u64  bytes that follow
    32       what the event log gave
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path

import msgspec

from exchange.disk import Disk
from exchange.errors import ExchangeError

HEADER = struct.Struct("<8sIIQq16sQ")
CHECKED_FROM = 16
MAGIC = b"PERPSNAP"
FORMAT_VERSION = 1
SUFFIX = ".snapshot"
STREAMS_HEADER = struct.Struct("<8sIIQQ")
STREAMS_MAGIC = b"PERPSTRM"
STREAMS_SUFFIX = ".streams"


class SnapshotDamaged(ExchangeError):
    """A snapshot file that is not what was written."""


class Snapshot(msgspec.Struct, frozen=True):
    """The state of an engine after one command."""

    sequence: int
    timestamp_ns: int
    digest: str
    state: bytes


def state_digest(state: bytes) -> str:
    """The digest that every engine gives for this state."""
    return hashlib.blake2b(state, digest_size=16).hexdigest()


def snapshot_paths(folder: Path) -> list[Path]:
    """The snapshots of a folder, newest first."""
    return sorted(
        (path for path in folder.glob("*" + SUFFIX) if path.stem.isdecimal()), reverse=True
    )


def write_snapshot(
    folder: Path,
    snapshot: Snapshot,
    keep: int = 2,
    streams: bytes | None = None,
    disk: Disk | None = None,
) -> Path:
    """Writes a snapshot so that it is there whole or not at all, and removes all but the newest few.

    ``streams`` goes into the file beside it, first: where the snapshot is, that is too.
    """
    disk = disk or Disk()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{snapshot.sequence:020d}{SUFFIX}"
    if streams is not None:
        packed = pack_streams(snapshot.sequence, streams)
        disk.write_file(path.with_suffix(STREAMS_SUFFIX), packed)
    disk.write_file(path, pack_snapshot(snapshot))
    disk.sync_folder(folder)
    prune_snapshots(folder, keep)
    return path


def prune_snapshots(folder: Path, keep: int) -> None:
    """Removes all but the newest few, with what stands beside them."""
    for old in snapshot_paths(folder)[keep:]:
        old.unlink()
        old.with_suffix(STREAMS_SUFFIX).unlink(missing_ok=True)


def pack_streams(sequence: int, streams: bytes) -> bytes:
    rest = struct.pack("<QQ", sequence, len(streams))
    crc = zlib.crc32(streams, zlib.crc32(rest))
    return struct.pack("<8sII", STREAMS_MAGIC, FORMAT_VERSION, crc) + rest + streams


def load_streams(folder: Path, sequence: int) -> bytes:
    """What stands beside the snapshot at this sequence, verified.

    Raises:
        SnapshotDamaged: it is not there, or is not what was written.
    """
    path = folder / f"{sequence:020d}{STREAMS_SUFFIX}"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SnapshotDamaged(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) < STREAMS_HEADER.size:
        wanted = f"a header of {STREAMS_HEADER.size}"
        raise SnapshotDamaged(f"{path}: {len(data)} bytes are too few for {wanted}")
    magic, version, crc, of_sequence, size = STREAMS_HEADER.unpack_from(data)
    if (magic, version) != (STREAMS_MAGIC, FORMAT_VERSION):
        wanted = f"{STREAMS_MAGIC!r} of version {FORMAT_VERSION}"
        raise SnapshotDamaged(f"{path}: wanted {wanted}, got {magic!r} of version {version}")
    streams = data[STREAMS_HEADER.size :]
    if zlib.crc32(data[CHECKED_FROM:]) != crc or (of_sequence, size) != (sequence, len(streams)):
        raise SnapshotDamaged(f"{path}: it is not what was written beside this snapshot")
    return streams


def pack_snapshot(snapshot: Snapshot) -> bytes:
    size = len(snapshot.state)
    rest = struct.pack(
        "<Qq16sQ", snapshot.sequence, snapshot.timestamp_ns, bytes.fromhex(snapshot.digest), size
    )
    crc = zlib.crc32(snapshot.state, zlib.crc32(rest))
    return struct.pack("<8sII", MAGIC, FORMAT_VERSION, crc) + rest + snapshot.state


class SnapshotHeader(msgspec.Struct, frozen=True):
    """What a snapshot file says of itself, its state not read."""

    checksum: int
    sequence: int
    timestamp_ns: int
    digest: str
    state_bytes: int


def read_header(path: Path) -> SnapshotHeader:
    """Reads the head of a snapshot file: magic and version are checked, the state is not looked at."""
    try:
        with path.open("rb") as file:
            return unpack_header(file.read(HEADER.size), path)
    except OSError as error:
        raise SnapshotDamaged(f"{path}: cannot be read: {error.strerror}") from error


def unpack_header(data: bytes, path: Path) -> SnapshotHeader:
    if len(data) < HEADER.size:
        raise SnapshotDamaged(
            f"{path}: {len(data)} bytes are too few for a snapshot header of {HEADER.size}"
        )
    magic, version, crc, sequence, timestamp_ns, digest, size = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise SnapshotDamaged(
            f"{path}: not a snapshot: wanted the magic {MAGIC!r} at byte 0, got {magic!r}"
        )
    if version != FORMAT_VERSION:
        raise SnapshotDamaged(
            f"{path}: snapshot format {version}, this program reads format {FORMAT_VERSION}"
        )
    return SnapshotHeader(crc, sequence, timestamp_ns, digest.hex(), size)


def load_snapshot(path: Path) -> Snapshot:
    """Reads and verifies one snapshot file: magic, version, length, checksum, and the digest of its state."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SnapshotDamaged(f"{path}: cannot be read: {error.strerror}") from error
    header = unpack_header(data, path)
    state = data[HEADER.size :]
    if header.state_bytes != len(state):
        raise SnapshotDamaged(
            f"{path}: {header.state_bytes} bytes of state were written, {len(state)} are there"
        )
    if zlib.crc32(data[CHECKED_FROM:]) != header.checksum:
        raise SnapshotDamaged(f"{path}: the checksum fails")
    if state_digest(state) != header.digest:
        raise SnapshotDamaged(
            f"{path}: the state has digest {state_digest(state)}, {header.digest} was written"
        )
    return Snapshot(header.sequence, header.timestamp_ns, header.digest, state)
