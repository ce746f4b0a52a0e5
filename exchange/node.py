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

import time
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
from exchange.gateway.outbox import Outbox, Parcel
from exchange.gateway.publisher import Publication, Publisher
from exchange.gateway.queries import Queries
from exchange.gateway.reception import FULL, Taken, sort_frames
from exchange.gateway.replies import FillHistory, Origins, address_events
from exchange.gateway.server import Frame, Sent, Server
from exchange.gateway.statistics import StatisticsDesk
from exchange.journal import Journal
from exchange.ops import counters as slots
from exchange.ops.desk import OpsDesk, read_node
from exchange.ops.log import Log, silent
from exchange.ops.log_events import (
    DrainBegan,
    JournalCut,
    JournalFailed,
    LaneMissing,
    ListingDiffers,
    NodeReady,
    NodeStopped,
    Replaying,
    SessionGone,
    SessionLost,
    SessionsFull,
    SnapshotPassedOver,
    SnapshotWritten,
)
from exchange.ops.monitor import Phase
from exchange.protocol.records import decode_events, encode_commands
from exchange.recovery import replay, restore_newest, take_engine_snapshot, telling_progress
from exchange.segments import JournalError
from exchange.sequencer import Batch, Sequencer
from exchange.snapshot import write_snapshot

ROUND_BYTES = 256 << 10  # taken from clients in one round of the loop: what one batch can grow to
RETRY_MS = 100
PROBES = 16  # sessions asked whether they are still there when a newcomer finds no room


class Node:
    """One running exchange over one data folder.

    Building it recovers: snapshot, journal, what the configuration lists and nobody has listed yet; then the sockets
    are bound.  ``run`` serves until ``drain`` or ``stop`` is called, from any thread or signal handler.

    Raises:
        JournalError: the folder is in use, damaged, or the disk failed.
        ConfigError: the engine refuses what the configuration lists.
        BindError: an endpoint is taken.
    """

    def __init__(self, config: Config, log: Log = silent) -> None:
        self.config = config
        self._log = log
        self._stopping = self._hasty = False
        about = {"version": __version__, "engine": config.engine}
        self.ops = OpsDesk(config, log, {**about, "durability": config.journal.durability})
        self.fills = FillHistory(config.limits.fills_per_account)
        self.statistics = StatisticsDesk()
        try:
            self._recover()
            self._open()
        except BaseException:
            self.ops.close()
            raise

    def _open(self) -> None:
        """What comes after the recovery: the listings, and the doors."""
        config = self.config
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
        except BaseException:
            self.journal.close()
            raise
        try:
            self.lane = self._open_lane()
        except BaseException:
            self.server.close()
            self.journal.close()
            raise
        self.journal.on_release = self.ops.monitor.wake = self.server.wake
        self.ops.monitor.move(Phase.SERVING)
        self._log(self._readiness())

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
                counters=self.ops.counters.slots,
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
            self._log(LaneMissing(problem=str(error)))
            return None

    # ---- the loop

    def run(self) -> None:
        """Take, order, write down, apply, tell - until told to stop."""
        try:
            if self.lane is not None:
                self.lane.run()
            while not self._stopping:
                arrived = self.server.receive(
                    ROUND_BYTES if self.reads() else 0, self.patience_ms()
                )
                self.handle(arrived.frames, arrived.since_ns)
                self.welcome(arrived.subscriptions)
                self.release(self.released_up_to)
                self.look_up()
            self.ops.monitor.move(Phase.STOPPING)
            self._finish()
        except JournalError as error:
            self.ops.monitor.journal_failure = str(error)
            self._log(JournalFailed(problem=str(error)))
            raise
        finally:
            self.ops.monitor.move(Phase.STOPPING)
            self.server.close()
            self.journal.close()
            self.ops.close()

    def stop(self) -> None:
        """Ends ``run`` after what was taken is done, durable and told.  From any thread, and from a signal handler."""
        self._stopping = True
        self.server.wake()

    @property
    def is_stopping(self) -> bool:
        return self._stopping

    def handle(self, frames: list[Frame], since_ns: int) -> None:
        """Everything that frames of clients ask for, in their order; they came at ``since_ns``."""
        self._note_arrivals(frames, since_ns)
        taken = sort_frames(frames, self.sessions)
        if taken.count:
            self._carry_out(taken)
        self._answer(taken)

    def drain(self, seconds: int | None = None) -> int:
        """Ends ``run`` gently: for so many seconds nothing is placed and cancels pass.  Asked again it goes on so.

        From any thread, and from a signal handler.  Returns the seconds.
        """
        self.ops.drain.ask(seconds)
        self.server.wake()
        return self.ops.drain.seconds

    def interrupt(self) -> None:
        """What a signal does: the first drains, the next ends at once, with everything told and no snapshot."""
        if self.ops.drain.ask():
            self.server.wake()
        else:
            self._hasty = True
            self.stop()

    def look_up(self) -> None:
        """What others want of the loop, between two rounds."""
        if self.ops.monitor.wanted:
            self.ops.monitor.take(lambda: read_node(self))
        drain = self.ops.drain
        if drain.asked and not drain.begun:
            self._begin_drain()
        if drain.begun and drain.is_over(time.monotonic_ns(), len(self.sessions.logged_in())):
            self._stopping = True

    def _begin_drain(self) -> None:
        traders = self.sessions.logged_in()
        seconds = self.ops.drain.begin(time.monotonic_ns())
        self.sessions.draining = True
        self.ops.monitor.move(Phase.DRAINING)
        self._log(DrainBegan(seconds=seconds, sessions=len(traders)))
        told = encode_control(0, {"draining": seconds})
        for session in traders:
            self._deliver(session.door, session.peer, told)

    def _carry_out(self, taken: Taken) -> None:
        """From commands to events: the way of every batch."""
        laps = self.ops.laps
        batch = self.sequencer.stamp(b"".join(taken.records), taken.count)
        laps.lap(slots.STAGE_DECODE)
        self.write_down(batch)
        laps.lap(slots.STAGE_JOURNAL)
        events = self.engine.apply(batch.commands)
        laps.lap(slots.STAGE_APPLY)
        self._tell(batch, events, taken.origins)
        self.ops.counters.count_batch(batch.commands, events, batch.timestamp_ns)
        laps.lap(slots.STAGE_TELL)

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
            self.ops.counters.refuse(refusal.code)
            self.outbox.hold(
                self.engine.sequence, [(door, peer, payload) for payload in refusal.encode()]
            )
            if refusal is FULL:
                self._log(SessionsFull(door=door.name, sessions=len(self.sessions)))
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
        parcels = self.outbox.release(up_to)
        if parcels:
            self.ops.laps.start(time.perf_counter_ns())
        for parcel in parcels:
            self._note_parcel(parcel)
            for topic, payload in parcel.publications:
                self.server.publish(topic, payload)
            for door, peer, payload in parcel.letters:
                self._deliver(door, peer, payload)
        if parcels:
            self.ops.laps.lap(slots.STAGE_SEND)
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
            self.ops.counters.add(slots.COUNT_GONE)
            self._log(SessionGone(door=session.door.name, peer=session.peer.hex()))
            self.sessions.remove(session)
        elif session.state is not State.LOST:
            self.ops.counters.add(slots.COUNT_LOST)
            accounts = len(session.accounts)
            self._log(
                SessionLost(door=session.door.name, peer=session.peer.hex(), accounts=accounts)
            )
            self.sessions.lose(session)

    def _probe_sessions(self) -> None:
        """Makes room by finding out who left without a word; a client that is there ignores the heartbeat."""
        heartbeat = encode_control(0, {"heartbeat": self.engine.sequence})
        for session in self.sessions.longest_unprobed(PROBES):
            if self.server.send(session.door, session.peer, heartbeat) is Sent.GONE:
                self.sessions.remove(session)

    @property
    def held_bytes(self) -> int:
        """What waits for the journal, in both loops' outboxes."""
        return self.outbox.held_bytes + (self.lane.held_bytes if self.lane is not None else 0)

    def reads(self) -> bool:
        """Whether there is room for more from clients; it is logged when that changes."""
        held_bytes = self.held_bytes
        reads = held_bytes < self.config.limits.max_held_bytes
        self.ops.note_reading(
            reads, held_bytes, self.journal.next_sequence - 1 - self.journal.durable_up_to
        )
        return reads

    def patience_ms(self) -> int | None:
        """How long to wait for something to do: not for ever while somebody's queue is watched, or the end is near."""
        patience_ms = RETRY_MS if self.sessions.to_be_told() else None
        if self.ops.drain.begun:
            remaining_ms = self.ops.drain.remaining_ms(time.monotonic_ns())
            return remaining_ms if patience_ms is None else min(patience_ms, remaining_ms)
        return patience_ms

    def _note_arrivals(self, frames: list[Frame], since_ns: int) -> None:
        """Counts what came, and begins to time what becomes of it."""
        if not frames:
            return
        counters, laps = self.ops.counters, self.ops.laps
        counters.add(slots.COUNT_FRAMES_IN, len(frames))
        counters.add(slots.COUNT_BYTES_IN, sum(len(f.payload or b"") for f in frames))
        laps.start(since_ns)
        laps.lap(slots.STAGE_RECEIVE)

    def _note_parcel(self, parcel: Parcel) -> None:
        counters = self.ops.counters
        counters.add(slots.COUNT_BYTES_OUT, parcel.size)
        counters.add(slots.COUNT_FRAMES_OUT, len(parcel.letters))
        counters.add(slots.COUNT_PUBLICATIONS, len(parcel.publications))

    # ---- start and end

    def _recover(self) -> None:
        folder, config = self.config.data, self.config
        restored = restore_newest(folder / "snapshots", lambda: create_engine(config.engine))
        for warning in restored.warnings:
            self._log(SnapshotPassedOver(problem=warning))
        self.engine = restored.engine
        self.journal = Journal(
            folder / "journal",
            durability=config.journal.durability,
            segment_bytes=config.journal.segment_bytes,
            sync_interval_ms=config.journal.sync_interval_ms,
            durable_sequence=restored.sequence,
            on_sync=lambda took_ns: self.ops.counters.observe(slots.SYNC, took_ns),
        )
        try:
            last = self.journal.next_sequence - 1
            if self.journal.cut_bytes:
                self._log(JournalCut(cut_bytes=self.journal.cut_bytes, last_sequence=last))
            frames = self.journal.scan(restored.sequence + 1)
            frames = telling_progress(frames, last, self._tell_progress)
            replay(self.engine, frames, self._remember)
        except BaseException:
            self.journal.close()
            raise
        self.sequencer = Sequencer(self.engine.sequence, self.engine.timestamp_ns)

    def _tell_progress(self, sequence: int, last_sequence: int) -> None:
        self.ops.replayed(sequence, last_sequence)
        self._log(Replaying(sequence=sequence, last_sequence=last_sequence))

    def _remember(self, commands: bytes, events: bytes) -> None:
        """What a replay tells that is in no snapshot: the last fills, the trades of the last 24 hours."""
        self.fills.feed(events)
        self.statistics.feed(events)

    def _configure(self) -> None:
        """Lists what the configuration has and the journal has not, as commands like all others."""
        missing = missing_commands(self.config, self.engine)
        for note in missing.notes:
            self._log(ListingDiffers(problem=note))
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
        if not self._hasty:
            self.take_snapshot()
        self._log(NodeStopped(sequence=self.engine.sequence, snapshot=not self._hasty))

    # ---- what the operator's door asks

    def take_snapshot(self) -> str:
        """Writes the state of now to disk; the journal is durable up to it first."""
        self.journal.flush()
        since_ns = time.monotonic_ns()
        snapshot = take_engine_snapshot(self.engine)
        path = str(write_snapshot(self.config.data / "snapshots", snapshot))
        took_ms = (time.monotonic_ns() - since_ns) // 10**6
        self._log(SnapshotWritten(path=path, sequence=snapshot.sequence, took_ms=took_ms))
        return path

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

    def _readiness(self) -> NodeReady:
        return NodeReady(
            **self.server.endpoints,
            metrics=self.ops.address,
            data=str(self.config.data),
            durability=str(self.config.journal.durability),
            engine=self.config.engine,
            loop=self.loop,
            sequence=self.engine.sequence,
            digest=self.engine.digest(),
        )

    def status(self) -> dict[str, Any]:
        return {
            "sequence": self.engine.sequence,
            "durable_sequence": self.journal.durable_up_to,
            "timestamp_ns": self.engine.timestamp_ns,
            "digest": self.engine.digest(),
            "sessions": len(self.sessions),
            "held_bytes": self.held_bytes,
            "phase": str(self.ops.monitor.phase),
            "metrics": self.ops.address,
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
