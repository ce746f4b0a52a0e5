"""The node: puts the rooms of the exchange together and turns the handle.

    client frames -> server -> reception -> sequencer -> journal (synced by its own thread)
                                               |             |
                                               v             v released
                                            engine ------> outbox -> replies, notices, market data

The loop never waits for the disk: it applies the next batch while the last one is being synced, and the outbox lets
replies and events leave when the journal has released their sequence.  Too much waiting in the outbox stops the
reading from clients, which is how a slow disk reaches those who send.
"""

from __future__ import annotations

from typing import Any

from exchange import __version__
from exchange.bootstrap import missing_commands
from exchange.config import Config
from exchange.engine import create_engine
from exchange.errors import ConfigError
from exchange.gateway.admin import add_admin_queries
from exchange.gateway.connection import (
    SESSION_LOST,
    Door,
    Query,
    Session,
    Sessions,
    State,
    encode_control,
    is_control,
)
from exchange.gateway.lane import Lane, LaneUnavailable
from exchange.gateway.outbox import Outbox
from exchange.gateway.publisher import Publication, Publisher
from exchange.gateway.queries import Queries
from exchange.gateway.reception import FULL, Taken, sort_frames
from exchange.gateway.replies import FillHistory, Origins, address_events
from exchange.gateway.server import Frame, Sent, Server
from exchange.gateway.statistics import StatisticsDesk
from exchange.journal import Journal
from exchange.protocol.records import decode_events, encode_commands
from exchange.recovery import Say, replay, restore_newest, take_engine_snapshot, with_progress
from exchange.sequencer import Batch, Sequencer
from exchange.snapshot import write_snapshot

ROUND_BYTES = 256 << 10  # taken from clients in one round of the loop: what one batch can grow to
RETRY_MS = 100
PROBES = 16  # sessions asked whether they are still there when a newcomer finds no room


class Node:
    """One running exchange over one data folder.

    Building it recovers: snapshot, journal, what the configuration lists and nobody has listed yet; then the sockets
    are bound.  ``run`` serves until ``stop`` is called, from any thread or signal handler.

    Raises:
        JournalError: the folder is in use, damaged, or the disk failed.
        ConfigError: the engine refuses what the configuration lists.
        BindError: an endpoint is taken.
    """

    def __init__(self, config: Config, say: Say = lambda text: None) -> None:
        self.config = config
        self._say = say
        self._stopping = False
        self.fills = FillHistory(config.limits.fills_per_account)
        self.statistics = StatisticsDesk()
        self._recover()
        try:
            self._configure()
            epoch = self.sequencer.now_ns()
            self.publisher = Publisher(epoch, self.statistics)
            self.publisher.load(self.engine, self.engine.sequence, self.engine.timestamp_ns)
            self.sessions = Sessions(
                config.limits.max_sessions, config.limits.max_commands_per_message
            )
            self.outbox = Outbox()
            self.queries = Queries(
                self.engine,
                self.publisher,
                self.fills,
                self.sessions,
                self._about,
                self.sequencer.now_ns,
            )
            add_admin_queries(self.queries, self)
            self.server = Server(config.endpoints.as_dict(), config.limits.bounds())
            self.lane = self._open_lane()
        except BaseException:
            self.journal.close()
            raise
        self.journal.on_release = self.server.wake

    # ---- the loop

    def run(self) -> None:
        """Take, order, write down, apply, tell - until told to stop."""
        try:
            if self.lane is not None:
                self.lane.run()
            while not self._stopping:
                arrived = self.server.receive(self._room(), self.patience_ms())
                self.handle(arrived.frames)
                self.welcome(arrived.subscriptions)
                self.release(self.released_up_to)
            self._finish()
        finally:
            self.server.close()
            self.journal.close()

    def stop(self) -> None:
        """Ends ``run`` after what was taken is done, durable and told.  From any thread, and from a signal handler."""
        self._stopping = True
        self.server.wake()

    @property
    def is_stopping(self) -> bool:
        return self._stopping

    def handle(self, frames: list[Frame]) -> None:
        """Everything that frames of clients ask for, in their order."""
        taken = sort_frames(frames, self.sessions)
        if taken.count:
            self._carry_out(taken)
        self._answer(taken)

    def _carry_out(self, taken: Taken) -> None:
        """From commands to events: the way of every batch."""
        batch = self.sequencer.stamp(b"".join(taken.records), taken.count)
        self.write_down(batch)
        events = self.engine.apply(batch.commands)
        self._tell(batch, events, taken.origins)

    def write_down(self, batch: Batch) -> None:
        self.journal.append(batch.commands, batch.first_sequence, batch.count)

    def _tell(self, batch: Batch, events: bytes, origins: Origins) -> None:
        """Makes ready what clients and the public hear of a batch; it leaves when the journal releases it."""
        letters = [
            (session.door, session.peer, payload)
            for session, payload in address_events(batch, events, origins, self.sessions)
        ]
        self.outbox.hold(batch.last_sequence, letters, self._publications(batch, events))

    def tell_public(self, batch: Batch, events: bytes) -> None:
        """Makes ready what the public hears of a batch whose letters are held elsewhere."""
        if publications := self._publications(batch, events):
            self.outbox.hold(batch.last_sequence, [], publications)

    def _publications(self, batch: Batch, events: bytes) -> list[Publication]:
        self.fills.feed(events)
        return self.publisher.publications(batch, events)

    def _answer(self, taken: Taken) -> None:
        """Queries see all commands of their round and of those before; refusals change nothing."""
        for door, peer, refusal in taken.refusals:
            self.outbox.hold(
                self.engine.sequence, [(door, peer, payload) for payload in refusal.encode()]
            )
            if refusal is FULL:
                self._probe_sessions()
        for session, query in taken.queries:
            self.outbox.hold(self.engine.sequence, [self._answer_one(session, query)])

    def _answer_one(self, session: Session, query: Query) -> tuple[Door, bytes, bytes]:
        return session.door, session.peer, self.queries.answer(session, query)

    def welcome(self, subscriptions: list[bytes]) -> None:
        for topic in subscriptions:
            self.outbox.hold(self.engine.sequence, [], self.publisher.join_marker(topic))

    @property
    def released_up_to(self) -> int:
        """The last command whose events may leave.  Raises JournalError if the disk failed."""
        return self.journal.released_up_to

    def release(self, up_to: int) -> None:
        """Sends what waited for the journal to come up to a sequence."""
        for parcel in self.outbox.release(up_to):
            for topic, payload in parcel.publications:
                self.server.publish(topic, payload)
            for door, peer, payload in parcel.letters:
                self._deliver(door, peer, payload)
        for session in self.sessions.to_be_told():
            if self.server.send(session.door, session.peer, SESSION_LOST) is Sent.TAKEN:
                self.sessions.was_told(session)

    def _deliver(self, door: Door, peer: bytes, payload: bytes) -> None:
        """Sends to one client.  Who lost its session hears nothing more of its events: a part would mislead."""
        session = self.sessions.known(door, peer)
        if session is not None and session.state is State.LOST and not is_control(payload):
            return
        self.was_sent(session, self.server.send(door, peer, payload))

    def was_sent(self, session: Session | None, sent: Sent) -> None:
        """What follows for a session from what became of a message to it."""
        if session is None or sent is Sent.TAKEN:
            return
        if sent is Sent.GONE:
            self.sessions.remove(session)
        elif session.state is not State.LOST:
            name = session.peer.hex()
            self._say(f"session {name} reads too slowly: it is lost until it logs in again")
            self.sessions.lose(session)

    def _probe_sessions(self) -> None:
        """Makes room by finding out who left without a word; a client that is there ignores the heartbeat."""
        heartbeat = encode_control(0, {"heartbeat": self.engine.sequence})
        for session in self.sessions.longest_unprobed(PROBES):
            if self.server.send(session.door, session.peer, heartbeat) is Sent.GONE:
                self.sessions.remove(session)

    def _room(self) -> int:
        return ROUND_BYTES if self.outbox.held_bytes < self.config.limits.max_held_bytes else 0

    def patience_ms(self) -> int | None:
        """How long to wait for something to do: not for ever while somebody's queue is watched for room."""
        return RETRY_MS if self.sessions.to_be_told() else None

    # ---- start and end

    def _recover(self) -> None:
        folder, config = self.config.data, self.config
        restored = restore_newest(folder / "snapshots", lambda: create_engine(config.engine))
        for warning in restored.warnings:
            self._say(f"warning: {warning}")
        self.engine = restored.engine
        self.journal = Journal(
            folder / "journal",
            durability=config.journal.durability,
            segment_bytes=config.journal.segment_bytes,
            sync_interval_ms=config.journal.sync_interval_ms,
            durable_sequence=restored.sequence,
        )
        try:
            if self.journal.cut_bytes:
                self._say(
                    f"warning: the journal ended in {self.journal.cut_bytes} bytes of a write that was under way; they "
                    f"are cut off, it goes on after command {self.journal.next_sequence - 1}"
                )
            frames = self.journal.scan(restored.sequence + 1)
            frames = with_progress(frames, self.journal.next_sequence - 1, self._say)
            replay(self.engine, frames, self._remember)
        except BaseException:
            self.journal.close()
            raise
        self.sequencer = Sequencer(self.engine.sequence, self.engine.timestamp_ns)

    def _remember(self, commands: bytes, events: bytes) -> None:
        """What a replay tells that is in no snapshot: the last fills, the trades of the last 24 hours."""
        self.fills.feed(events)
        self.statistics.feed(events)

    def _configure(self) -> None:
        """Lists what the configuration has and the journal has not, as commands like all others."""
        missing = missing_commands(self.config, self.engine)
        for note in missing.notes:
            self._say(f"warning: {note}")
        if not missing.commands:
            return
        batch = self.sequencer.stamp(encode_commands(missing.commands), len(missing.commands))
        self.journal.append(batch.commands, batch.first_sequence, batch.count)
        missing.check(decode_events(self.engine.apply(batch.commands)))
        self.journal.flush()

    def _finish(self) -> None:
        """Nothing acknowledged is lost, and nothing carried out stays untold."""
        self.journal.flush()
        if self.lane is not None:
            self.lane.release()
        self.release(self.released_up_to)
        self.take_snapshot()

    def _open_lane(self) -> Lane | None:
        """The native loop, where the configuration wants it and the machine has it."""
        limits = self.config.limits
        if self.config.loop == "plain" or (
            self.config.loop == "auto" and self.config.engine != "native"
        ):
            return None
        try:
            return Lane(
                self,
                self.engine,
                max_sessions=limits.max_sessions,
                max_commands=limits.max_commands_per_message,
                max_held_bytes=limits.max_held_bytes,
                round_bytes=ROUND_BYTES,
            )
        except LaneUnavailable as error:
            if self.config.loop == "native":
                raise ConfigError(
                    f'node.loop is "native", and there is no native loop: {error}; wanted "auto" or "plain"'
                ) from None
            self._say(f"warning: {error}: serving with the plain loop, which is slower")
            return None

    # ---- what the operator's door asks

    def take_snapshot(self) -> str:
        """Writes the state of now to disk; the journal is durable up to it first."""
        self.journal.flush()
        return str(
            write_snapshot(self.config.data / "snapshots", take_engine_snapshot(self.engine))
        )

    @property
    def loop(self) -> str:
        """Which loop turns: native or plain."""
        return "plain" if self.lane is None else "native"

    def summary(self) -> str:
        """What a node says of itself when it is ready, on one line."""
        about = {
            **self.server.endpoints,
            "data": self.config.data,
            "durability": self.config.journal.durability,
            "engine": self.config.engine,
            "loop": self.loop,
            "sequence": self.engine.sequence,
            "digest": self.engine.digest(),
        }
        return " ".join(f"{name}={value}" for name, value in about.items())

    def status(self) -> dict[str, Any]:
        return {
            "sequence": self.engine.sequence,
            "durable_sequence": self.journal.durable_up_to,
            "timestamp_ns": self.engine.timestamp_ns,
            "digest": self.engine.digest(),
            "sessions": len(self.sessions),
            "held_bytes": self.outbox.held_bytes + (self.lane.held_bytes if self.lane else 0),
            "uncovered": self.engine.uncovered(),
            "data": str(self.config.data),
            **self._about(),
        }

    def _about(self) -> dict[str, Any]:
        return {
            "endpoints": self.server.endpoints,
            "durability": str(self.config.journal.durability),
            "engine": self.config.engine,
            "loop": self.loop,
            "version": __version__,
        }
