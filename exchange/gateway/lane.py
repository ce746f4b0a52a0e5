"""The lane's Python half: how the native loop is set up, what it finds when it looks up, and what sessions tell it.

``native/gateway.pyx`` has the other half and says how they share the work.  Here nothing is decided: a frame that is
handed up goes the way that every frame goes in the plain loop.
"""

from __future__ import annotations

import importlib
import secrets
import time
from array import array
from typing import Any, Protocol

import msgspec

from exchange.gateway.admin import ADMIN_DOOR
from exchange.gateway.connection import TRADERS_DOOR, Session, Sessions
from exchange.gateway.outbox import Outbox
from exchange.gateway.server import Frame, Sent, Server
from exchange.protocol.schema import COMMANDS
from exchange.sequencer import Batch, Sequencer

__all__ = ["Lane", "LaneUnavailable", "Standing", "Upstairs"]


class LaneUnavailable(Exception):
    """The native loop cannot be had here; says why."""


class Standing(msgspec.Struct, frozen=True):
    """How things stand in Python, as the lane has to know it after it looked up."""

    last_sequence: int  # that was stamped
    timestamp_ns: int
    released_up_to: int
    oldest_held: int | None  # sequence of the first parcel in Python's outbox
    held_bytes: int
    patience_ms: int | None
    draining: bool  # what may be placed is not the lane's to judge
    stopping: bool


class House(Protocol):
    """The rest of the node, as the lane needs it."""

    sequencer: Sequencer
    outbox: Outbox
    sessions: Sessions
    server: Server

    @property
    def is_stopping(self) -> bool: ...
    @property
    def released_up_to(self) -> int: ...
    def handle(self, frames: list[Frame], since_ns: int) -> None: ...
    def look_up(self) -> None: ...
    def reads(self) -> bool: ...
    def write_down(self, batch: Batch) -> None: ...
    def tell_public(self, batch: Batch, events: bytes) -> None: ...
    def welcome(self, subscriptions: list[bytes]) -> None: ...
    def release(self, up_to: int) -> None: ...
    def was_sent(self, session: Session | None, sent: Sent) -> None: ...
    def patience_ms(self) -> int | None: ...


class Upstairs:
    """What the lane calls; each of these does what the plain loop does at its place."""

    def __init__(self, house: House) -> None:
        self._house = house

    def standing(self) -> Standing:
        house = self._house
        return Standing(
            last_sequence=house.sequencer.last_sequence,
            timestamp_ns=house.sequencer.timestamp_ns,
            released_up_to=house.released_up_to,
            oldest_held=house.outbox.oldest_sequence,
            held_bytes=house.outbox.held_bytes,
            patience_ms=house.patience_ms(),
            draining=house.sessions.draining,
            stopping=house.is_stopping,
        )

    def held(self) -> tuple[int | None, int]:
        """Sequence of the oldest parcel in the outbox, and the bytes in it."""
        return self._house.outbox.oldest_sequence, self._house.outbox.held_bytes

    def handle(self, frames: list[tuple[bool, bytes, bytes | None]], since_ns: int) -> None:
        """Frames (by the admin door?, peer, payload) that are not the lane's."""
        self._house.handle(
            [
                Frame(ADMIN_DOOR if by_admin else TRADERS_DOOR, peer, payload)
                for by_admin, peer, payload in frames
            ],
            since_ns,
        )

    def look_up(self) -> None:
        """What others want of the loop between two rounds."""
        self._house.look_up()

    def note_reading(self) -> None:
        """That clients are read from has changed."""
        self._house.reads()

    def append(self, first_sequence: int, count: int, timestamp_ns: int, commands: bytes) -> int:
        """Journals a stamped batch; returns up to where the journal has released."""
        self._house.sequencer.resume(first_sequence + count - 1, timestamp_ns)
        self._house.write_down(Batch(first_sequence, count, timestamp_ns, commands))
        return self._house.released_up_to

    def tell(self, first_sequence: int, count: int, timestamp_ns: int, events: bytes) -> None:
        """The public, and what is remembered, hear of a batch."""
        self._house.tell_public(Batch(first_sequence, count, timestamp_ns, b""), events)

    def welcome(self, topics: list[bytes]) -> None:
        self._house.welcome(topics)

    def release(self, up_to: int) -> None:
        self._house.release(up_to)

    def undelivered(self, peer: bytes, is_gone: bool) -> None:
        """A letter of events was not taken."""
        session = self._house.sessions.known(TRADERS_DOOR, peer)
        self._house.was_sent(session, Sent.GONE if is_gone else Sent.TOO_SLOW)


class Lane:
    """The native loop of one node.

    Raises LaneUnavailable where the engine is not the native one, where the core is not built, or where libzmq's
    functions cannot be had.
    """

    def __init__(
        self,
        house: House,
        engine: object,
        *,
        counters: array[int],
        max_sessions: int,
        max_commands: int,
        max_held_bytes: int,
        round_bytes: int,
    ) -> None:
        if not hasattr(engine, "door"):
            raise LaneUnavailable("the engine is not the native one")
        clock = house.sequencer.clock
        try:
            native = importlib.import_module("exchange._native.gateway")
            codec = importlib.import_module("exchange._native.codec")
            self._lane: Any = native.Lane(
                engine=engine,
                codec=codec.door(),
                **house.server.handles(),
                upstairs=Upstairs(house),
                counters=counters,
                commands=frozenset(m.number for m in COMMANDS if TRADERS_DOOR.may_send(m.number)),
                max_clients=max_sessions,
                max_orders=max_commands,
                max_held_bytes=max_held_bytes,
                round_bytes=round_bytes,
                seed=secrets.randbits(64),
                clock=None if clock is time.time_ns else clock,
            )
        except ImportError as error:
            raise LaneUnavailable(str(error)) from None
        house.sessions.listener = self

    def run(self) -> None:
        """Serves until the node stops."""
        self._lane.run()

    def release(self) -> None:
        """Lets leave what the journal has released, also of what Python holds."""
        self._lane.release()

    @property
    def held_bytes(self) -> int:
        """Bytes of letters that wait for the journal, besides those of Python's outbox."""
        return int(self._lane.held_bytes)

    # ---- what the sessions tell

    def logged_in(self, session: Session, account: int) -> None:
        if session.door is TRADERS_DOOR:
            self._lane.login(session.peer, account)

    def lost(self, session: Session) -> None:
        if session.door is TRADERS_DOOR:
            self._lane.lost(session.peer)

    def removed(self, session: Session) -> None:
        if session.door is TRADERS_DOOR:
            self._lane.removed(session.peer)
