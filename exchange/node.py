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
from exchange.boot_mark import BootMark
from exchange.bootstrap import missing_commands
from exchange.config import Config
from exchange.disk import Disk
from exchange.engine import create_engine
from exchange.gateway.admin import add_admin_queries
from exchange.gateway.conflation import NEVER_NS
from exchange.gateway.connection import Code, Door, Query, Refusal, encode_control
from exchange.gateway.courier import Courier
from exchange.gateway.event_log import open_log
from exchange.gateway.interest import Interest
from exchange.gateway.lane import ROUND_BYTES, Lane, open_lane
from exchange.gateway.limits import MUTE_NS, RefuseOrders, disk_full, overloaded
from exchange.gateway.outbox import Outbox, Parcel
from exchange.gateway.publishing import create_desk, create_publisher
from exchange.gateway.queries import NoArguments, Queries, QueryError, read_arguments
from exchange.gateway.reception import FULL, Taken, sort_frames
from exchange.gateway.replies import Origins, address_events
from exchange.gateway.security.binding import check_binding
from exchange.gateway.server import Frame, Server
from exchange.gateway.sessions import Session, Sessions
from exchange.journal import Durability, Journal, JournalFull
from exchange.keys import KeyFileError, Keyring
from exchange.ops import counters as slots
from exchange.ops.desk import OpsDesk, read_node
from exchange.ops.log import Log, silent
from exchange.ops.log_events import (
    DrainBegan,
    InsecureBind,
    JournalCut,
    JournalFailed,
    KeysReloaded,
    KeysUnusable,
    LaneMissing,
    ListingDiffers,
    NodeReady,
    NodeStopped,
    Replaying,
    SessionGone,
    SessionLost,
    SessionMuted,
    SessionsFull,
    SnapshotFailed,
    SnapshotPassedOver,
    SnapshotWritten,
    StreamsLost,
)
from exchange.ops.monitor import Phase
from exchange.protocol.messages import CancelAll
from exchange.protocol.records import decode_events, encode_commands
from exchange.recovery import replay, restore_newest, take_engine_snapshot, telling_progress
from exchange.segments import JournalError
from exchange.sequencer import Batch, Sequencer
from exchange.snapshot import Snapshot, SnapshotDamaged, load_streams
from exchange.snapshot_desk import SnapshotDesk, Written

FULL_WAIT_S = 0.1
ROOM_ASKED_S = 1.0  # between two looks whether a full disk has room again
SNAPSHOT_LOOK_MS = 20  # between two looks whether a snapshot is written
SNAPSHOT_DUE_MS = 1000  # between two looks whether one is due

MAY_BE_LOST = (
    "the machine stopped under a node whose replies left before their commands were on the disk (durability interval "
    "or off): some of what accounts were told may be lost"
)


class Node:
    """One running exchange over one data folder.

    Building it recovers: snapshot, journal, what the configuration lists and nobody has listed yet; then the sockets
    are bound.  ``run`` serves until ``drain`` or ``stop`` is called, from any thread or signal handler.

    Raises:
        JournalError: the folder is in use, damaged, or the disk failed.
        ConfigError: the engine refuses what the configuration lists, or a door stands open to the network.
        BindError: an endpoint is taken.
        KeyFileError: a key file is missing, broken, or others may read it.
    """

    def __init__(self, config: Config, log: Log = silent, disk: Disk | None = None) -> None:
        self.config = config
        self._disk = disk or Disk()
        self._room_asked_at = 0.0
        self._log = log
        self._stopping = self._hasty = self._reload_wanted = False
        self._is_moving = False  # whether a replay goes on at once
        self._open_keys()
        about = {"version": __version__, "engine": config.engine}
        self.ops = OpsDesk(config, log, {**about, "durability": config.journal.durability})
        self.streams = open_log(config.limits.remembered_bytes)
        self.statistics = create_desk()
        try:
            self._recover()
            self._open()
        except BaseException:
            self.ops.close()
            raise

    def _open_keys(self) -> None:
        """Who may come in, before anything else: a node that stands open by mistake does not start at all."""
        security = self.config.security
        self.keyring = None if security.keys is None else Keyring(security.keys)
        reached = check_binding(
            self.config.endpoints.as_dict(),
            has_keys=self.keyring is not None,
            insecure_bind=security.insecure_bind,
        )
        for door, endpoint in reached:
            self._log(InsecureBind(door=door, endpoint=endpoint))

    def _open(self) -> None:
        """What comes after the recovery: the listings, and the doors."""
        config = self.config
        try:
            self._configure()
            self._mark_boot()
            epoch = self.sequencer.now_ns()
            self.interest = Interest()
            self.publisher = create_publisher(epoch, self.statistics, self.interest)
            self.publisher.load(self.engine, self.engine.sequence, self.engine.timestamp_ns)
            self.sessions = Sessions(
                config.limits.max_sessions,
                config.limits.of_sessions(),
                permission_of=None if self.keyring is None else self.keyring.permission_of,
            )
            self.sessions.on_muted = self._note_muted
            self.sessions.on_dropped = lambda: self.ops.counters.add(slots.COUNT_MUTED)
            self.outbox = Outbox()
            self.queries = Queries(
                self.engine,
                self.publisher,
                self.streams,
                self.sessions,
                self._about,
                self.sequencer.now_ns,
                config.limits.max_message_bytes,
            )
            add_admin_queries(self.queries, self)
            self.server = Server(
                config.endpoints.as_dict(),
                config.limits.bounds(),
                keys=self.keyring,
                connections=config.security.connection_limits(config.limits.max_message_bytes),
                sockets=config.security.socket_limits(),
                log=self._log,
            )
            self.courier = Courier(
                self.server.send,
                self.sessions,
                self.streams,
                self.outbox,
                self._note_gone,
                self._note_lost,
            )
        except BaseException:
            self.journal.close()
            raise
        try:
            self.lane: Lane | None = None
            self.lane = open_lane(self, config.loop, self._note_missing)
        except BaseException:
            self.server.close()
            self.journal.close()
            raise
        self.journal.on_release = self.ops.monitor.wake = self.server.wake
        self.ops.monitor.move(Phase.SERVING)
        self._log(self._readiness())

    # ---- the loop

    def run(self) -> None:
        """Take, order, write down, apply, tell - until told to stop."""
        try:
            if self.lane is not None:
                self.lane.run()
            while not self._stopping:
                arrived = self.server.receive(ROUND_BYTES if self.reads() else 0, self._wait_ms())
                self.handle(arrived.frames, arrived.since_ns)
                self.welcome(arrived.subscriptions)
                self.tell_due()
                self.tend()
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

    def ask_to_reload_keys(self) -> None:
        """Has the loop read the list of keys again.  From any thread, and from a signal handler."""
        self._reload_wanted = True
        self.server.wake()

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

    @property
    def is_stopping(self) -> bool:
        return self._stopping

    def handle(self, frames: list[Frame], since_ns: int) -> None:
        """Everything that frames of clients ask for, in their order; they came at ``since_ns``."""
        self._note_arrivals(frames, since_ns)
        for taken in sort_frames(frames, self.sessions, self._pressure):
            self._take(taken)

    def tend(self) -> None:
        """What sessions need without asking: heartbeats, an end, and what ends bring with them."""
        self.courier.beat(self.engine.sequence)
        self._cancel_for_the_gone()

    def look_up(self) -> None:
        """What can wait until the end of a round: replays, and what others want of the loop."""
        if self._reload_wanted:
            self._reload_wanted = False
            self.reload_keys()
        self._is_moving = self.courier.catch_up(self.engine.sequence, self.released_up_to)
        self.snapshots.look(self.engine.sequence)
        self._look_for_room()
        if self.ops.monitor.wanted:
            self.ops.monitor.take(lambda: read_node(self))
        drain = self.ops.drain
        if drain.asked and not drain.begun:
            self._begin_drain()
        if drain.begun and drain.is_over(time.monotonic_ns(), len(self.sessions.logged_in())):
            self._stopping = True

    def _look_for_room(self) -> None:
        """Tries once a second to make the journal's next segment, where the disk was full."""
        self.ops.note_disk(self.journal.room_problem)
        if self.journal.tight and time.monotonic() - self._room_asked_at >= ROOM_ASKED_S:
            self._room_asked_at = time.monotonic()
            self.journal.look_for_room()

    def _begin_drain(self) -> None:
        traders = self.sessions.logged_in()
        seconds = self.ops.drain.begin(time.monotonic_ns())
        self.sessions.draining = True
        self.ops.monitor.move(Phase.DRAINING)
        self._log(DrainBegan(seconds=seconds, sessions=len(traders)))
        told = encode_control(0, {"draining": seconds})
        for session in traders:
            self.courier.deliver(session.door, session.peer, told)

    def _take(self, taken: Taken) -> None:
        """One round: commands, then what the ends of sessions bring with them, then questions."""
        if taken.count:
            try:
                self._carry_out(b"".join(taken.records), taken.origins)
            except JournalFull:
                self._refuse(taken.origins)
        self._cancel_for_the_gone()
        self._answer(taken)

    def _cancel_for_the_gone(self) -> None:
        """Cancels the orders of accounts whose session ended and had asked for it: commands like all others."""
        accounts = self.sessions.take_cancels()
        if accounts:
            origins = Origins()
            origins.add_own(len(accounts))
            commands = [CancelAll(account=account) for account in accounts]
            try:
                self._carry_out(encode_commands(commands), origins)
            except JournalFull:
                self.sessions.put_back_cancels(accounts)  # they go when there is room

    def _carry_out(self, records: bytes, origins: Origins) -> None:
        """From commands to events: the way of every batch.

        Raises JournalFull where the disk has no room for it; nothing has changed then.
        """
        laps = self.ops.laps
        batch = self.sequencer.stamp(records, len(origins.request_ids))
        laps.lap(slots.STAGE_DECODE)
        try:
            self.journal.append(batch.commands, batch.first_sequence, batch.count)
        except JournalFull:
            self.sequencer.resume(batch.first_sequence - 1, batch.timestamp_ns)
            raise
        laps.lap(slots.STAGE_JOURNAL)
        events = self.engine.apply(batch.commands)
        laps.lap(slots.STAGE_APPLY)
        self._tell(batch, events, origins)
        self.ops.counters.count_batch(batch.commands, events, batch.timestamp_ns)
        laps.lap(slots.STAGE_TELL)

    def _refuse(self, origins: Origins) -> None:
        """Answers a round that had no room on the disk: one refusal for each request."""
        for session, request_id in zip(origins.sessions, origins.request_ids, strict=True):
            if session is not None:
                refusal = disk_full([request_id])
                self.ops.counters.refuse(refusal.code)
                self._hold_refusal(session.door, session.peer, refusal)
        for session, count in origins.per_session():
            session.allowance.replied(count)

    def write_down(self, batch: Batch) -> None:
        """Journals what has been taken already; where the disk has become full since, it waits for room."""
        while True:
            try:
                return self.journal.append(batch.commands, batch.first_sequence, batch.count)
            except JournalFull:
                if self._stopping:
                    raise
            self.journal.look_for_room()
            time.sleep(FULL_WAIT_S)

    def _tell(self, batch: Batch, events: bytes, origins: Origins) -> None:
        """Makes ready what clients and the public hear of a batch; it leaves when the journal releases it."""
        addressed = address_events(batch, events, origins, self.sessions, self.streams.number)
        letters = [(session.door, session.peer, payload) for session, payload in addressed]
        self.streams.feed(
            events, batch.first_sequence, origins.accounts, origins.keys, origins.request_ids
        )
        publications = self.publisher.publications(batch, events)
        self.outbox.hold(batch.last_sequence, letters, publications, origins.per_session())

    def _answer(self, taken: Taken) -> None:
        """Queries see all commands of their round and of those before; refusals change nothing."""
        for door, peer, refusal in taken.refusals:
            self.ops.counters.refuse(refusal.code)
            self._hold_refusal(door, peer, refusal)
            if refusal is FULL:
                self._log(SessionsFull(door=door.name, sessions=len(self.sessions)))
                self.courier.probe(self.engine.sequence)
        for session, query in taken.queries:
            if query.name == "take_snapshot":
                self._have_snapshot(session, query)
            else:
                self.outbox.hold(self.engine.sequence, [self._answer_one(session, query)])

    def _hold_refusal(self, door: Door, peer: bytes, refusal: Refusal) -> None:
        letters = [(door, peer, payload) for payload in refusal.encode()]
        self.outbox.hold(self.engine.sequence, letters)

    def _answer_one(self, session: Session, query: Query) -> tuple[Door, bytes, bytes]:
        return session.door, session.peer, self.queries.answer(session, query)

    def _have_snapshot(self, session: Session, query: Query) -> None:
        """Answers when the snapshot is there; trading goes on until then."""

        def answer(written: Written) -> None:
            if written.path is None:
                refuse(Code.SNAPSHOT_FAILED, f"no snapshot: {written.problem}")
            else:
                payload = encode_control(query.request_id, {"path": str(written.path)})
                self.outbox.hold(self.engine.sequence, [(session.door, session.peer, payload)])
            self.server.wake()

        def refuse(code: Code, message: str) -> None:
            refusal = Refusal([query.request_id], code, message)
            self._hold_refusal(session.door, session.peer, refusal)

        try:
            read_arguments(NoArguments, query.arguments)
        except QueryError as error:
            refuse(error.code, error.message)
            return
        self.snapshots.ask(answer)

    def welcome(self, subscriptions: list[bytes]) -> None:
        for message in subscriptions:
            if (topic := self.interest.take(message)) is not None:
                self.outbox.hold(self.engine.sequence, [], self.publisher.join_marker(topic))

    def tell_due(self) -> None:
        """What conflated topics have kept back for long enough."""
        now_ns = self.sequencer.now_ns()
        if now_ns >= self.publisher.next_due_ns:
            self.outbox.hold(self.engine.sequence, [], self.publisher.due(now_ns))

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
                self.courier.deliver(door, peer, payload)
            for session, count in parcel.settled:
                session.allowance.replied(count)
        if parcels:
            self.ops.laps.lap(slots.STAGE_SEND)

    def _note_missing(self, problem: str) -> None:
        self._log(LaneMissing(problem=problem))

    def _note_muted(self, session: Session) -> None:
        self.ops.counters.add(slots.COUNT_MUTINGS)
        self._log(
            SessionMuted(door=session.door.name, peer=session.peer.hex(), seconds=MUTE_NS // 10**9)
        )

    def _note_gone(self, session: Session) -> None:
        self.ops.counters.add(slots.COUNT_GONE)
        self._log(SessionGone(door=session.door.name, peer=session.peer.hex()))

    def _note_lost(self, session: Session) -> None:
        self.ops.counters.add(slots.COUNT_LOST)
        accounts = len(session.accounts)
        self._log(SessionLost(door=session.door.name, peer=session.peer.hex(), accounts=accounts))

    @property
    def _pressure(self) -> RefuseOrders | None:
        """Why cancels are to come before orders: the disk is full, or so much waits for it."""
        if self.journal.tight:
            return disk_full
        return overloaded if self.held_bytes > self.config.limits.max_held_bytes // 2 else None

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
        if not reads:
            self.courier.note_unread()
        return reads

    def patience_ms(self) -> int | None:
        """How long to wait for something to do: not for ever where heartbeats are due, or the end is near."""
        if self._is_moving:
            return 0
        waits = [self.courier.patience_ms()]
        if self.snapshots.busy:
            waits.append(SNAPSHOT_LOOK_MS)
        elif self.config.snapshots.every_commands:
            waits.append(SNAPSHOT_DUE_MS)
        if self.journal.tight:
            waits.append(int(ROOM_ASKED_S * 1000))
        if self.ops.drain.begun:
            waits.append(self.ops.drain.remaining_ms(time.monotonic_ns()))
        return soonest(*waits)

    def _wait_ms(self) -> int | None:
        """How long the plain loop waits: not for longer than a conflated topic keeps something back."""
        patience_ms = self.patience_ms()
        if self.publisher.next_due_ns == NEVER_NS:
            return patience_ms
        due_in_ns = self.publisher.next_due_ns - self.sequencer.now_ns()
        return soonest(patience_ms, max(0, due_in_ns // 10**6 + 1))

    def _note_arrivals(self, frames: list[Frame], since_ns: int) -> None:
        """Counts what came, and begins to time what becomes of it."""
        counters, laps = self.ops.counters, self.ops.laps
        laps.start(since_ns)  # also where nothing came: the end of a session may bring commands
        if frames:
            counters.add(slots.COUNT_FRAMES_IN, len(frames))
            size = sum(len(f.payload or b"") for f in frames)
            counters.add(slots.COUNT_BYTES_IN, size)
            if size + sum(len(f.peer) for f in frames) >= ROUND_BYTES:
                self.courier.note_unread()
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
        self._recall(restored.sequence)
        self.journal = Journal(
            folder / "journal",
            durability=config.journal.durability,
            segment_bytes=config.journal.segment_bytes,
            sync_interval_ms=config.journal.sync_interval_ms,
            durable_sequence=restored.sequence,
            on_sync=lambda took_ns: self.ops.counters.observe(slots.SYNC, took_ns),
            disk=self._disk,
        )
        try:
            last = self.journal.next_sequence - 1
            if self.journal.cut_bytes:
                self._log(JournalCut(cut_bytes=self.journal.cut_bytes, last_sequence=last))
            frames = self.journal.scan(restored.sequence + 1)
            frames = telling_progress(frames, last, self._tell_progress)
            replay(self.engine, frames, self._remember)
            self.snapshots = SnapshotDesk(
                folder / "snapshots",
                self.journal,
                self._state,
                every_commands=config.snapshots.every_commands,
                keep=config.snapshots.keep,
                told=self._note_snapshot,
            )
        except BaseException:
            self.journal.close()
            raise
        self.sequencer = Sequencer(self.engine.sequence, self.engine.timestamp_ns)

    def _tell_progress(self, sequence: int, last_sequence: int) -> None:
        self.ops.replayed(sequence, last_sequence)
        self._log(Replaying(sequence=sequence, last_sequence=last_sequence))

    def _recall(self, sequence: int) -> None:
        """What accounts were told up to the snapshot; where that is lost, their events are counted from there on."""
        if not sequence:
            return
        try:
            self.streams.load(load_streams(self.config.data / "snapshots", sequence))
        except (SnapshotDamaged, ValueError) as error:
            self._log(StreamsLost(problem=str(error)))
            self.streams.epoch = self.engine.timestamp_ns + sequence

    def _mark_boot(self) -> None:
        """Counts events anew where those of commands that are lost may have been told."""
        mark = BootMark(self.config.data)
        if mark.is_of_another_boot:
            self._log(StreamsLost(problem=MAY_BE_LOST))
            self.streams.epoch = self.sequencer.now_ns() + self.engine.sequence
            if self.snapshots.write_now().path is None:
                return  # the mark has to stay until the new count is on the disk
        if self.config.journal.durability is Durability.ALWAYS:
            mark.take_away()
        else:
            mark.leave()

    def _remember(self, commands: bytes, events: bytes) -> None:
        """What a replay tells that is in no snapshot: events of accounts, the trades of the last 24 hours."""
        self.streams.feed(events)
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
        events = self.engine.apply(batch.commands)
        missing.check(decode_events(events))
        self.streams.feed(events)
        self.journal.flush()

    def _finish(self) -> None:
        """Nothing acknowledged is lost, and nothing carried out stays untold."""
        self.sessions.node_stops()
        self._cancel_for_the_gone()
        self.journal.flush()
        BootMark(self.config.data).take_away()
        if self.lane is not None:
            self.lane.release()
        self.release(self.released_up_to)
        if not self._hasty:
            self.take_snapshot()
        self.snapshots.close()
        self._log(NodeStopped(sequence=self.engine.sequence, snapshot=not self._hasty))

    # ---- what the operator's door asks

    def take_snapshot(self) -> str:
        """Writes the state of now to disk, in the loop; the journal is durable up to it first."""
        return str(self.snapshots.write_now().path)

    def _state(self) -> tuple[Snapshot, bytes]:
        return take_engine_snapshot(self.engine), self.streams.dump()

    def _note_snapshot(self, written: Written) -> None:
        if written.path is None:
            self.ops.counters.add(slots.COUNT_SNAPSHOTS_FAILED)
            self._log(SnapshotFailed(problem=written.problem, sequence=written.sequence))
            return
        self.ops.counters.add(slots.COUNT_SNAPSHOTS)
        path, took_ms = str(written.path), written.took_ms
        self._log(SnapshotWritten(path=path, sequence=written.sequence, took_ms=took_ms))

    @property
    def loop(self) -> str:
        """Which loop turns: native or plain."""
        return "plain" if self.lane is None else "native"

    def reload_keys(self) -> dict[str, Any]:
        """Reads the list of keys again.  Who is no longer in it is cut, who may less now may less at once."""
        if self.keyring is None:
            return {"problem": "this node has no keys: [security] keys names no folder"}
        try:
            revoked = self.keyring.reload()
        except KeyFileError as error:
            self._log(KeysUnusable(problem=str(error)))
            return {"problem": f"{error}; the keys are as before", "authorised": len(self.keyring)}
        self.sessions.permissions_changed()
        cut = self.server.guard.cut_revoked()
        self._log(KeysReloaded(authorised=len(self.keyring), revoked=", ".join(revoked), cut=cut))
        return {"authorised": len(self.keyring), "revoked": revoked, "cut": cut}

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
            "security": self.server.guard.counts(),
            **self._about(),
        }

    def _about(self) -> dict[str, Any]:
        return {
            "endpoints": self.server.endpoints,
            "durability": str(self.config.journal.durability),
            "engine": self.config.engine,
            "loop": self.loop,
            "version": __version__,
            "encrypted": self.keyring is not None,
        }


def soonest(*waits_ms: int | None) -> int | None:
    """The shortest of some waits; None is one for ever."""
    return min((wait_ms for wait_ms in waits_ms if wait_ms is not None), default=None)
