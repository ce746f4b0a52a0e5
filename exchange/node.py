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
from exchange.gateway.admin import add_admin_queries
from exchange.gateway.connection import Door, Query
from exchange.gateway.courier import Courier
from exchange.gateway.event_log import EventLog
from exchange.gateway.outbox import Outbox
from exchange.gateway.publisher import Publisher
from exchange.gateway.queries import Queries
from exchange.gateway.reception import FULL, Taken, sort_frames
from exchange.gateway.replies import Origins, address_events
from exchange.gateway.server import Server
from exchange.gateway.sessions import Session, Sessions
from exchange.gateway.statistics import StatisticsDesk
from exchange.journal import Journal
from exchange.protocol.messages import CancelAll
from exchange.protocol.records import decode_events, encode_commands
from exchange.recovery import Say, replay, restore_newest, take_engine_snapshot, with_progress
from exchange.sequencer import Batch, Sequencer
from exchange.snapshot import SnapshotDamaged, load_streams, write_snapshot

ROUND_BYTES = 256 << 10  # taken from clients in one round of the loop: what one batch can grow to


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
        self.log = EventLog(config.limits.remembered_bytes)
        self.statistics = StatisticsDesk()
        self._recover()
        try:
            self._configure()
            epoch = self.sequencer.now_ns()
            self.publisher = Publisher(epoch, self.statistics)
            self.publisher.load(self.engine, self.engine.sequence, self.engine.timestamp_ns)
            self.sessions = Sessions(config.limits.max_sessions, config.limits.of_sessions())
            self.outbox = Outbox()
            self.queries = Queries(
                self.engine,
                self.publisher,
                self.log,
                self.sessions,
                self._about,
                self.sequencer.now_ns,
                config.limits.max_message_bytes,
            )
            add_admin_queries(self.queries, self)
            self.server = Server(config.endpoints.as_dict(), config.limits.bounds())
            self.courier = Courier(self.server.send, self.sessions, self.log, self.outbox, say)
        except BaseException:
            self.journal.close()
            raise
        self.journal.on_release = self.server.wake

    # ---- the loop

    def run(self) -> None:
        """Take, order, write down, apply, tell - until told to stop."""
        try:
            is_moving = False  # whether a replay goes on at once
            while not self._stopping:
                patience_ms = 0 if is_moving else self.courier.patience_ms()
                arrived = self.server.receive(self._room(), patience_ms)
                for taken in sort_frames(arrived.frames, self.sessions, self._is_overloaded):
                    self._take(taken)
                self._welcome(arrived.subscriptions)
                self.courier.beat(self.engine.sequence)
                self._cancel_for_the_gone()
                self._release()
                is_moving = self.courier.catch_up(self.engine.sequence, self.journal.released_up_to)
            self._finish()
        finally:
            self.server.close()
            self.journal.close()

    def stop(self) -> None:
        """Ends ``run`` after what was taken is done, durable and told.  From any thread, and from a signal handler."""
        self._stopping = True
        self.server.wake()

    def _take(self, taken: Taken) -> None:
        """One round: commands, then what the ends of sessions bring with them, then questions."""
        if taken.count:
            self._carry_out(b"".join(taken.records), taken.origins)
        self._cancel_for_the_gone()
        self._answer(taken)

    def _carry_out(self, records: bytes, origins: Origins) -> None:
        """From commands to events: the way of every batch."""
        batch = self.sequencer.stamp(records, len(origins.request_ids))
        self.journal.append(batch.commands, batch.first_sequence, batch.count)
        events = self.engine.apply(batch.commands)
        self._tell(batch, events, origins)

    def _cancel_for_the_gone(self) -> None:
        """Cancels the orders of accounts whose session ended and had asked for it: commands like all others."""
        accounts = self.sessions.take_cancels()
        if accounts:
            origins = Origins()
            origins.add_own(len(accounts))
            commands = [CancelAll(account=account) for account in accounts]
            self._carry_out(encode_commands(commands), origins)

    def _tell(self, batch: Batch, events: bytes, origins: Origins) -> None:
        """Makes ready what clients and the public hear of a batch; it leaves when the journal releases it."""
        addressed = address_events(batch, events, origins, self.sessions, self.log.number)
        letters = [(session.door, session.peer, payload) for session, payload in addressed]
        self.log.feed(
            events, batch.first_sequence, origins.accounts, origins.keys, origins.request_ids
        )
        publications = self.publisher.publications(batch, events)
        self.outbox.hold(batch.last_sequence, letters, publications, origins.per_session())

    def _answer(self, taken: Taken) -> None:
        """Queries see all commands of their round and of those before; refusals change nothing."""
        for door, peer, refusal in taken.refusals:
            self.outbox.hold(
                self.engine.sequence, [(door, peer, payload) for payload in refusal.encode()]
            )
            if refusal is FULL:
                self.courier.probe(self.engine.sequence)
        for session, query in taken.queries:
            self.outbox.hold(self.engine.sequence, [self._answer_one(session, query)])

    def _answer_one(self, session: Session, query: Query) -> tuple[Door, bytes, bytes]:
        return session.door, session.peer, self.queries.answer(session, query)

    def _welcome(self, subscriptions: list[bytes]) -> None:
        for topic in subscriptions:
            self.outbox.hold(self.engine.sequence, [], self.publisher.join_marker(topic))

    def _release(self) -> None:
        for parcel in self.outbox.release(self.journal.released_up_to):
            for topic, payload in parcel.publications:
                self.server.publish(topic, payload)
            for door, peer, payload in parcel.letters:
                self.courier.deliver(door, peer, payload)
            for session, count in parcel.settled:
                session.allowance.replied(count)

    def _room(self) -> int:
        return ROUND_BYTES if self.outbox.held_bytes < self.config.limits.max_held_bytes else 0

    @property
    def _is_overloaded(self) -> bool:
        """Whether so much waits for the disk that cancels are to come before orders."""
        return self.outbox.held_bytes > self.config.limits.max_held_bytes // 2

    # ---- start and end

    def _recover(self) -> None:
        folder, config = self.config.data, self.config
        restored = restore_newest(folder / "snapshots", lambda: create_engine(config.engine))
        for warning in restored.warnings:
            self._say(f"warning: {warning}")
        self.engine = restored.engine
        self._recall(restored.sequence)
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

    def _recall(self, sequence: int) -> None:
        """What accounts were told up to the snapshot; where that is lost, their events are counted from there on."""
        if not sequence:
            return
        try:
            self.log.load(load_streams(self.config.data / "snapshots", sequence))
        except SnapshotDamaged as error:
            self._say(f"warning: {error}; clients that come back are told to ask for their state")
            self.log.epoch = self.engine.timestamp_ns + sequence

    def _remember(self, commands: bytes, events: bytes) -> None:
        """What a replay tells that is in no snapshot: events of accounts, the trades of the last 24 hours."""
        self.log.feed(events)
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
        events = self.engine.apply(batch.commands)
        missing.check(decode_events(events))
        self.log.feed(events)
        self.journal.flush()

    def _finish(self) -> None:
        """Nothing acknowledged is lost, and nothing carried out stays untold."""
        self.sessions.node_stops()
        self._cancel_for_the_gone()
        self.journal.flush()
        self._release()
        self.take_snapshot()

    # ---- what the operator's door asks

    def take_snapshot(self) -> str:
        """Writes the state of now to disk; the journal is durable up to it first."""
        self.journal.flush()
        folder, snapshot = self.config.data / "snapshots", take_engine_snapshot(self.engine)
        return str(write_snapshot(folder, snapshot, streams=self.log.dump()))

    def summary(self) -> str:
        """What a node says of itself when it is ready, on one line."""
        about = {
            **self.server.endpoints,
            "data": self.config.data,
            "durability": self.config.journal.durability,
            "engine": self.config.engine,
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
            "held_bytes": self.outbox.held_bytes,
            "uncovered": self.engine.uncovered(),
            "data": str(self.config.data),
            **self._about(),
        }

    def _about(self) -> dict[str, Any]:
        return {
            "endpoints": self.server.endpoints,
            "durability": str(self.config.journal.durability),
            "engine": self.config.engine,
            "version": __version__,
        }
