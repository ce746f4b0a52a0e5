"""What a node logs: each event a name that stays, its level, and typed fields.

The name is the class's in small letters; docs/operations.md lists them all.  Numbers and texts only, so that every
format can carry them.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any, ClassVar

import msgspec


class Level(IntEnum):
    """How much an event matters; the numbers are those of Python's logging."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class LogEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to the node."""

    name: ClassVar[str] = "log_event"
    level: ClassVar[Level] = Level.INFO

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def fields(self) -> dict[str, Any]:
        return msgspec.structs.asdict(self)

    def text(self) -> str:
        """One line for people.

        >>> SnapshotWritten(path="7.snapshot", sequence=7, took_ms=3).text()
        'snapshot_written: the state is on disk: path=7.snapshot sequence=7 took_ms=3'
        """
        said = " ".join(f"{name}={value}" for name, value in self.fields().items())
        return f"{self.name}: {self.about()}" + (f": {said}" if said else "")

    @classmethod
    def about(cls) -> str:
        """What the event means, in words."""
        first = (cls.__doc__ or "").strip().split("\n")[0].rstrip(".")
        return first[:1].lower() + first[1:]


# ------------------------------------------------------------------------------------------ start and end


class Replaying(LogEvent, frozen=True, kw_only=True):
    """A start replays the journal; told once a second."""

    sequence: int
    last_sequence: int


class SnapshotPassedOver(LogEvent, frozen=True, kw_only=True):
    """A snapshot cannot be used, and is passed over: the journal is replayed from further back instead."""

    level: ClassVar[Level] = Level.WARNING
    problem: str


class StreamsLost(LogEvent, frozen=True, kw_only=True):
    """What stood beside the snapshot is lost: events are counted anew, and clients that come back are told so."""

    level: ClassVar[Level] = Level.WARNING
    problem: str


class JournalCut(LogEvent, frozen=True, kw_only=True):
    """The journal ended in bytes of a write that was under way; they are cut off, nobody had heard of it."""

    level: ClassVar[Level] = Level.WARNING
    cut_bytes: int
    last_sequence: int  # that the journal goes on after


class ListingDiffers(LogEvent, frozen=True, kw_only=True):
    """The configuration and the journal say different things, and the journal holds."""

    level: ClassVar[Level] = Level.WARNING
    problem: str


class NodeReady(LogEvent, frozen=True, kw_only=True):
    """The node is recovered and bound, and serves."""

    orders: str
    market_data: str
    admin: str
    metrics: str  # empty: off
    data: str
    durability: str
    engine: str
    loop: str
    sequence: int
    digest: str


class LaneMissing(LogEvent, frozen=True, kw_only=True):
    """The compiled loop cannot be had here, and the plain one serves, which is slower."""

    level: ClassVar[Level] = Level.WARNING
    problem: str


class MetricsUnavailable(LogEvent, frozen=True, kw_only=True):
    """Health is told over HTTP, metrics are not: prometheus_client is not installed (the extra "ops")."""

    level: ClassVar[Level] = Level.WARNING
    listen: str


class DrainBegan(LogEvent, frozen=True, kw_only=True):
    """The node is about to stop: nothing is placed any more, cancels pass."""

    seconds: int
    sessions: int


class SnapshotWritten(LogEvent, frozen=True, kw_only=True):
    """The state is on disk."""

    path: str
    sequence: int
    took_ms: int


class DiskFull(LogEvent, frozen=True, kw_only=True):
    """The disk has no room for the journal's next segment: orders are refused, cancels pass while there is room."""

    level: ClassVar[Level] = Level.ERROR
    free_bytes: int
    problem: str


class DiskHasRoom(LogEvent, frozen=True, kw_only=True):
    """The disk has room for the journal again, and orders are taken."""

    free_bytes: int
    full_ms: int


class SnapshotFailed(LogEvent, frozen=True, kw_only=True):
    """A snapshot could not be written; trading goes on, and the journal has everything."""

    level: ClassVar[Level] = Level.ERROR
    problem: str
    sequence: int


class NodeStopped(LogEvent, frozen=True, kw_only=True):
    """The node ended as it should: all that was taken is durable and told."""

    sequence: int
    snapshot: bool


class JournalFailed(LogEvent, frozen=True, kw_only=True):
    """Writing or syncing the journal failed, and the node stops."""

    level: ClassVar[Level] = Level.ERROR
    problem: str


# ---------------------------------------------------------------------------------------------- sessions


class SessionLost(LogEvent, frozen=True, kw_only=True):
    """A client reads too slowly: its session is lost until it logs in again."""

    level: ClassVar[Level] = Level.WARNING
    door: str
    peer: str
    accounts: int  # it was logged in for


class SessionGone(LogEvent, frozen=True, kw_only=True):
    """A client is no longer there, and its session is over."""

    level: ClassVar[Level] = Level.DEBUG
    door: str
    peer: str


class SessionMuted(LogEvent, frozen=True, kw_only=True):
    """A client goes on sending what is refused: its frames are dropped unread for a while."""

    level: ClassVar[Level] = Level.WARNING
    door: str
    peer: str
    seconds: int


class SessionsFull(LogEvent, frozen=True, kw_only=True):
    """A newcomer found no room: there are as many sessions as there may be."""

    level: ClassVar[Level] = Level.WARNING
    door: str
    sessions: int


class ReadingStopped(LogEvent, frozen=True, kw_only=True):
    """So much waits for the disk that nothing is read from clients."""

    level: ClassVar[Level] = Level.WARNING
    held_bytes: int
    journal_lag: int  # commands appended that are not durable yet


class ReadingResumed(LogEvent, frozen=True, kw_only=True):
    """The disk caught up, and clients are read from again."""

    held_bytes: int
    stopped_ms: int


# ---------------------------------------------------------------------------------------------- security


class InsecureBind(LogEvent, frozen=True, kw_only=True):
    """INSECURE: a door is open to the network without encryption and keys, as the configuration insists."""

    level: ClassVar[Level] = Level.WARNING
    door: str
    endpoint: str


class FewerConnections(LogEvent, frozen=True, kw_only=True):
    """The system allows fewer open files than the configuration wants connections (ulimit -n)."""

    level: ClassVar[Level] = Level.WARNING
    files: int
    wanted: int
    allowed: int


class KeyRefused(LogEvent, frozen=True, kw_only=True):
    """Somebody came with a key that may not use the door."""

    level: ClassVar[Level] = Level.WARNING
    door: str
    address: str
    key: str  # the public one
    role: str


class ConnectionCut(LogEvent, frozen=True, kw_only=True):
    """A connection was closed by the node: too many, or what it does may not be."""

    level: ClassVar[Level] = Level.WARNING
    door: str
    address: str
    reason: str


class AcceptFailed(LogEvent, frozen=True, kw_only=True):
    """A connection could not be taken."""

    level: ClassVar[Level] = Level.ERROR
    door: str
    problem: str


class KeysReloaded(LogEvent, frozen=True, kw_only=True):
    """The list of keys was read again."""

    authorised: int
    revoked: str  # names that are no longer in it
    cut: int  # connections of theirs


class KeysUnusable(LogEvent, frozen=True, kw_only=True):
    """The list of keys could not be read, and the one before stays in force."""

    level: ClassVar[Level] = Level.WARNING
    problem: str
