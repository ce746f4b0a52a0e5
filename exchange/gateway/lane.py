"""The lane's Python half: how the native loop is set up, what it finds when it looks up, and what sessions tell it.

``native/gateway.pyx`` has the other half and says how they share the work.  Here nothing is decided: a frame that is
handed up goes the way that every frame goes in the plain loop.
"""

from __future__ import annotations

import importlib
import secrets
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from exchange.errors import ConfigError
from exchange.gateway.admin import ADMIN_DOOR
from exchange.gateway.connection import PLACING, TRADERS_DOOR
from exchange.gateway.courier import Courier, Sent
from exchange.gateway.greeting import Login
from exchange.gateway.limits import Rate
from exchange.gateway.outbox import Outbox
from exchange.gateway.permission import Role
from exchange.gateway.server import Frame, Server
from exchange.gateway.sessions import Listener, Session, Sessions, State
from exchange.protocol.schema import COMMANDS
from exchange.sequencer import Batch, Sequencer

ROUND_BYTES = 256 << 10  # taken from clients in one round of a loop: what one batch can grow to


#: A frame that is handed up: by the admin door?, peer, payload, number of its connection, and its user.
Above = tuple[bool, bytes, bytes | None, int, str]


#: A peer, until when its orders and its frames are worked off, and its commands whose replies have not left.
Used = tuple[bytes, int, int, int]


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
    takes_nothing: bool  # what may be taken is not the lane's to judge
    stopping: bool


class House(Protocol):
    """The rest of the node, as the lane needs it."""

    config: Any
    ops: Any
    journal: Any
    engine: Any
    publisher: Any
    streams: Any
    sequencer: Sequencer
    outbox: Outbox
    courier: Courier
    sessions: Sessions
    server: Server

    @property
    def is_stopping(self) -> bool: ...
    @property
    def released_up_to(self) -> int: ...
    def handle(self, frames: list[Frame], since_ns: int) -> None: ...
    def welcome(self, subscriptions: list[bytes]) -> None: ...
    def tend(self) -> None: ...
    def tell_due(self) -> None: ...
    def look_up(self) -> None: ...
    def reads(self) -> bool: ...
    def write_down(self, batch: Batch) -> None: ...
    def release(self, up_to: int) -> None: ...
    def patience_ms(self) -> int | None: ...


class Upstairs:
    """What the lane calls; each of these does what the plain loop does at its place."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.tend = house.tend
        self.tell_due = house.tell_due
        self.look_up = house.look_up
        self.release = house.release
        self.note_reading = house.reads
        self.note_unread = house.courier.note_unread

    def standing(self) -> Standing:
        house = self._house
        return Standing(
            last_sequence=house.sequencer.last_sequence,
            timestamp_ns=house.sequencer.timestamp_ns,
            released_up_to=house.released_up_to,
            oldest_held=house.outbox.oldest_sequence,
            held_bytes=house.outbox.held_bytes,
            patience_ms=house.patience_ms(),
            takes_nothing=self._takes_nothing(),
            stopping=house.is_stopping,
        )

    def handle_limited(self, frames: list[Above], since_ns: int, used: list[Used]) -> list[Used]:
        """The same where sessions have limits: what senders used of them in the lane, and what they did after this."""
        sessions = self._house.sessions
        lent = [(sessions.known(TRADERS_DOOR, peer), in_flight) for peer, _, _, in_flight in used]
        for (session, in_flight), (_, orders_ns, frames_ns, _) in zip(lent, used, strict=True):
            if session is not None:
                session.allowance.orders.taken_up_to_ns = orders_ns
                session.allowance.frames.taken_up_to_ns = frames_ns
                session.allowance.in_flight += in_flight
        self.handle(frames, since_ns)
        for session, in_flight in lent:
            if session is not None:
                session.allowance.in_flight -= in_flight
        return [
            (
                session.peer,
                session.allowance.orders.taken_up_to_ns,
                session.allowance.frames.taken_up_to_ns,
                session.allowance.in_flight,
            )
            for peer in {peer for by_admin, peer, *_ in frames if not by_admin}
            if (session := sessions.known(TRADERS_DOOR, peer)) is not None
        ]

    def handle(self, frames: list[Above], since_ns: int) -> None:
        """Frames that are not the lane's."""
        doors, user_at = (TRADERS_DOOR, ADMIN_DOOR), self._house.server.user_at
        self._house.handle(
            [
                Frame(doors[by_admin], peer, payload, user_at(fd, user))
                for by_admin, peer, payload, fd, user in frames
            ],
            since_ns,
        )

    def welcome(self) -> None:
        self._house.welcome(self._house.server.subscriptions())

    def _takes_nothing(self) -> bool:
        """Whether what may be taken depends on more than the lane knows: then every frame is judged here."""
        house = self._house
        return house.sessions.draining or house.journal.tight

    def resume(self, last_sequence: int, timestamp_ns: int) -> None:
        """What the lane has stamped up to."""
        self._house.sequencer.resume(last_sequence, timestamp_ns)

    def append(
        self, first_sequence: int, count: int, timestamp_ns: int, commands: bytes
    ) -> tuple[int, bool]:
        """Journals a stamped batch; returns up to where the journal has released, and whether nothing may be taken."""
        self._house.write_down(Batch(first_sequence, count, timestamp_ns, commands))
        return self._house.released_up_to, self._takes_nothing()

    def deliver(self, peer: bytes, payload: bytes) -> None:
        """A letter of events to a session that is owed a replay first."""
        self._house.courier.deliver(TRADERS_DOOR, peer, payload)

    def undelivered(self, peer: bytes, is_gone: bool) -> None:
        """A letter of events was not taken."""
        session = self._house.sessions.known(TRADERS_DOOR, peer)
        if session is not None:
            self._house.courier.undelivered(session, Sent.GONE if is_gone else Sent.TOO_SLOW)

    def fail(self, events: bytes, last_sequence: int, timestamp_ns: int) -> None:
        """Raises what the engine or the publisher has to say of itself, if there is something."""
        self._house.engine.apply(b"")
        self._house.publisher.publications(Batch(last_sequence, 1, timestamp_ns, b""), events)


class Lane(Listener):
    """The native loop of one node.

    Raises LaneUnavailable where the engine is not the native one, where the core is not built, or where libzmq's
    functions cannot be had.
    """

    def __init__(self, house: House) -> None:
        for part in (house.engine, house.publisher):
            if not hasattr(part, "door"):
                raise LaneUnavailable(f"{type(part).__name__} is not the compiled one")
        if not hasattr(house.streams, "address"):
            raise LaneUnavailable("the event log is not the compiled one")
        clock, limits = house.sequencer.clock, house.config.limits
        try:
            native = importlib.import_module("exchange._native.gateway")
            codec = importlib.import_module("exchange._native.codec")
            self._lane: Any = native.Lane(
                engine=house.engine,
                codec=codec.door(),
                publisher=house.publisher,
                streams=house.streams,
                **house.server.handles(),
                upstairs=Upstairs(house),
                counters=house.ops.counters.slots,
                commands=frozenset(m.number for m in COMMANDS if TRADERS_DOOR.may_send(m.number)),
                placing=PLACING,
                order_rate=shape_of(limits.orders_per_second, limits.orders_burst),
                frame_rate=shape_of(limits.frames_per_second, limits.frames_burst),
                max_in_flight=limits.max_in_flight,
                max_clients=limits.max_sessions,
                max_orders=limits.max_commands_per_message,
                max_held_bytes=limits.max_held_bytes,
                round_bytes=ROUND_BYTES,
                seed=secrets.randbits(64),
                clock=None if clock is time.time_ns else clock,
            )
        except ImportError as error:
            raise LaneUnavailable(str(error)) from None
        self._lane.writes_journal = house.journal.lend(self._lane.tail)
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

    def opened(self, session: Session) -> None:
        if session.door is TRADERS_DOOR:
            self._lane.opened(session.peer)

    def joined(self, session: Session, login: Login) -> None:
        if session.door is TRADERS_DOOR:
            may_send = session.permission.role is Role.TRADER and not login.read_only
            self._lane.joined(session.peer, login.account, may_send)
            self._note(session)

    def replaying(self, session: Session) -> None:
        self._note(session)

    def left(self, session: Session, account: int) -> None:
        if session.door is TRADERS_DOOR:
            self._lane.left(session.peer, account)
            self._note(session)

    def lost(self, session: Session) -> None:
        self._note(session)

    def muted(self, session: Session) -> None:
        self._note(session)

    def ended(self, session: Session) -> None:
        if session.door is TRADERS_DOOR:
            self._lane.ended(session.peer)

    def refresh(self, session: Session) -> None:
        if session.door is TRADERS_DOOR:
            heard_ns, sent_ns = self._lane.times_of(session.peer)
            session.heard_ns = max(session.heard_ns, heard_ns)
            session.sent_ns = max(session.sent_ns, sent_ns)

    def _note(self, session: Session) -> None:
        """How the session stands; it is the same for all its accounts."""
        if session.door is TRADERS_DOOR:
            self._lane.note(
                session.peer,
                may_command=session.state is State.ACTIVE and not session.catching_up,
                is_lost=session.state is State.LOST,
                by_courier=bool(session.catching_up),
                key=session.key,
                muted_until_ns=session.allowance.muted_until_ns,
            )


def shape_of(per_second: int, burst: int) -> tuple[int, int]:
    """A rate as the lane counts it: what one takes, and how far ahead may be taken."""
    rate = Rate(per_second, burst)
    return rate.interval_ns, rate.room_ns


def open_lane(house: House, loop: str, on_missing: Callable[[str], None]) -> Lane | None:
    """The native loop, where the configuration wants it (``loop``: auto, native or plain) and the machine has it.

    Raises ConfigError where it has to be native and cannot.
    """
    if loop == "plain" or (loop == "auto" and house.config.engine != "native"):
        return None
    try:
        return Lane(house)
    except LaneUnavailable as error:
        if loop == "native":
            text = f'node.loop is "native", and there is no native loop: {error}; wanted "auto" or "plain"'
            raise ConfigError(text) from None
        on_missing(str(error))
        return None
