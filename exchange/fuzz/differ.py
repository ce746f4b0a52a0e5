"""Runs one stream through both engines and the auditor, and says where they part.

Compared after every command: the events, byte for byte, and every order's way with the table of an order's life.  Every
so often: digests, all views of all accounts and
books, the auditor's books beside the views, and a snapshot restored into a new engine, which then goes on in the
old one's place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from exchange.audit import Auditor, differences
from exchange.audit.state import State
from exchange.engine import Engine, create_engine
from exchange.fuzz.choices import time_of
from exchange.protocol.life import CHANGES, Change, Lives
from exchange.protocol.messages import (
    BalanceChanged,
    Command,
    EntryRejected,
    Fill,
    FundChanged,
    OrderCancelled,
    Rejected,
    SymbolStateChanged,
)
from exchange.protocol.pool_life import CHANGES as POOL_CHANGES
from exchange.protocol.pool_life import PoolChange, PoolLives
from exchange.protocol.records import decode_commands, decode_events, stamp
from exchange.protocol.schema import (
    EVENTS,
    MESSAGE_BY_NUMBER,
    BalanceCause,
    CancelReason,
    FillRole,
    FundCause,
    RejectReason,
    SymbolState,
)

ENGINES = ("native", "reference")
#: Events that are counted by what they say.
PARTED = {
    "fill": FillRole,
    "order_cancelled": CancelReason,
    "balance_changed": BalanceCause,
    "fund_changed": FundCause,
    "symbol_state_changed": SymbolState,
}


class Failure(msgspec.Struct, frozen=True):
    """Where a stream goes wrong."""

    kind: str  # what to look for again while shrinking
    index: int  # of the command in the stream
    detail: str


class Statistics:
    """How often each command, reject reason, event and change of an order's state occurred."""

    def __init__(self) -> None:
        self.commands: Counter[str] = Counter()
        self.rejects: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.changes: Counter[Change | PoolChange] = Counter()

    def count(self, record: bytes, events: bytes) -> None:
        number = int.from_bytes(record[:2], "little")
        known = MESSAGE_BY_NUMBER.get(number)
        self.commands[known.name if known else "malformed"] += 1
        for event in decode_events(events):
            name = MESSAGE_BY_NUMBER[event.number].name
            match event:
                case Rejected(reason=reason) | EntryRejected(reason=reason):
                    self.rejects[RejectReason(reason).name.lower()] += 1
                case Fill(role=role):
                    name += ":" + FillRole(role).name.lower()
                case OrderCancelled(reason=reason):
                    name += ":" + CancelReason(reason).name.lower()
                case BalanceChanged(cause=cause):
                    name += ":" + BalanceCause(cause).name.lower()
                case FundChanged(cause=cause):
                    name += ":" + FundCause(cause).name.lower()
                case SymbolStateChanged(state=state):
                    name += ":" + SymbolState(state).name.lower()
            self.events[name] += 1

    def merge(self, other: Statistics) -> None:
        self.commands += other.commands
        self.rejects += other.rejects
        self.events += other.events
        self.changes += other.changes

    def missing(self) -> list[str]:
        """Event types, reject reasons and changes of an order's or a pool's life that did not occur."""
        names = [message.name for message in EVENTS if message.name not in PARTED]
        names += [f"{name}:{code.name.lower()}" for name, codes in PARTED.items() for code in codes]
        reasons = [reason.name.lower() for reason in RejectReason]
        return [
            *(n for n in names if n not in self.events),
            *(r for r in reasons if r not in self.rejects),
            *(str(c) for c in (*CHANGES, *POOL_CHANGES) if c not in self.changes),
        ]


class Differ:
    """The engines side by side, with the auditor over the first one's events."""

    def __init__(self, engines: Sequence[str] = ENGINES, deep_every: int = 50) -> None:
        self.kinds = tuple(engines)
        self.engines: dict[str, Engine] = {
            kind: create_engine(kind, proving=True) for kind in engines
        }
        self.auditor = Auditor()
        self.lives = Lives()
        self.pool_lives = PoolLives()
        self.deep_every = deep_every
        self.index = -1

    @property
    def state(self) -> State:
        return self.auditor.state

    def step(self, record: bytes) -> tuple[bytes, Failure | None]:
        """Applies one command everywhere; the events of the first engine, and what went wrong."""
        self.index += 1
        command = stamp(record, self.index + 1, time_of(self.index))
        answers: dict[str, bytes] = {}
        for kind, engine in self.engines.items():
            try:
                answers[kind] = engine.apply(command)
            except Exception as error:
                return b"", self.failure(f"crash of {kind}", f"{type(error).__name__}: {error}")
        first = answers[self.kinds[0]]
        for kind, answer in answers.items():
            if answer != first:
                return first, self.failure(
                    "events", describe_difference(self.kinds[0], first, kind, answer)
                )
        failure = self.audit(command, first) or self.follow(command, first)
        if failure is None and (self.index + 1) % self.deep_every == 0:
            failure = self.look_deep()
        return first, failure

    def audit(self, command: bytes, events: bytes) -> Failure | None:
        known = len(self.auditor.violations)
        self.auditor.feed_commands(command)
        self.auditor.feed(events)
        found = self.auditor.violations[known:]
        if not found:
            return None
        return self.failure(f"violation of {found[0].invariant}", "\n".join(map(str, found)))

    def follow(self, command: bytes, events: bytes) -> Failure | None:
        """Every order and every pool goes on as the table of its life says."""
        told = decode_events(events)
        wrong = self.lives.read(meaning_of(command), told)
        if wrong:
            return self.failure("an order's life", "\n".join(wrong))
        wrong = self.pool_lives.read(told)
        return self.failure("a pool's life", "\n".join(wrong)) if wrong else None

    def look_deep(self) -> Failure | None:
        """Digests, views, the auditor's full check, and a restored snapshot."""
        for look in (
            self.compare_digests,
            self.compare_views,
            self.compare_books,
            self.restore_snapshots,
        ):
            failure = look()
            if failure is not None:
                return failure
        return None

    def compare_digests(self) -> Failure | None:
        digests = {kind: engine.digest() for kind, engine in self.engines.items()}
        if len(set(digests.values())) > 1:
            return self.failure("digests", str(digests))
        return None

    def compare_views(self) -> Failure | None:
        seen = {kind: all_views(engine) for kind, engine in self.engines.items()}
        first = seen[self.kinds[0]]
        for kind, views in seen.items():
            for ours, theirs in zip(first, views, strict=False):
                if ours != theirs:
                    return self.failure("views", f"{self.kinds[0]}: {ours}\n{kind}: {theirs}")
            if len(first) != len(views):
                return self.failure(
                    "views", f"{len(first)} views of {self.kinds[0]}, {len(views)} of {kind}"
                )
        return None

    def compare_books(self) -> Failure | None:
        known = len(self.auditor.violations)
        self.auditor.check()
        found = [str(violation) for violation in self.auditor.violations[known:]]
        found += differences(self.auditor, self.engines[self.kinds[0]])
        return self.failure("auditor's books", "\n".join(found)) if found else None

    def restore_snapshots(self) -> Failure | None:
        """I31: the state taken over by a new engine is the same state, and the stream goes on with it."""
        for kind, engine in self.engines.items():
            fresh = create_engine(kind, proving=True)
            fresh.restore(engine.snapshot(), engine.sequence, engine.timestamp_ns)
            if fresh.digest() != engine.digest() or all_views(fresh) != all_views(engine):
                return self.failure(f"restored snapshot of {kind}", "the restored state differs")
            self.engines[kind] = fresh
        return None

    def failure(self, kind: str, detail: str) -> Failure:
        return Failure(kind, self.index, detail)


def meaning_of(command: bytes) -> Command | None:
    """The command that a record says; None if it says none."""
    try:
        return decode_commands(command)[0]
    except ValueError:
        return None


def all_views(engine: Engine) -> list[object]:
    """Everything that an engine shows."""
    views: list[object] = [
        engine.accounts(),
        engine.funds(),
        engine.fees_atoms(),
        engine.uncovered(),
    ]
    for account in engine.accounts():
        views += [engine.account(account), engine.positions(account), engine.open_orders(account)]
    for symbol in engine.symbols():
        views += [symbol, engine.book(symbol.symbol), engine.book(symbol.symbol, 2)]
    return views


def describe_difference(kind: str, events: bytes, other_kind: str, other: bytes) -> str:
    """Both answers, event by event, from the first that differs."""
    ours, theirs = decode_events(events), decode_events(other)
    same = 0
    while same < min(len(ours), len(theirs)) and ours[same] == theirs[same]:
        same += 1
    lines = [f"{same} events are the same; then"]
    for name, rest in ((kind, ours[same:]), (other_kind, theirs[same:])):
        lines += [f"  {name}: {event}" for event in rest[:4]] or [f"  {name}: nothing"]
    return "\n".join(lines)


#: Makes what runs the engines side by side: `Differ`, or one with another judge beside the auditor.
DifferKind = Callable[[Sequence[str], int], Differ]


def run_records(
    records: Sequence[bytes],
    engines: Sequence[str],
    deep_every: int,
    statistics: Statistics | None = None,
    make_differ: DifferKind | None = None,
) -> Failure | None:
    """Runs a stream that is there already; its first failure."""
    differ = (make_differ or Differ)(engines, deep_every)
    for record in records:
        events, failure = differ.step(record)
        if statistics is not None:
            statistics.count(record, events)
        if failure is not None:
            return failure
    if statistics is not None:
        statistics.changes.update(differ.lives.seen)
        statistics.changes.update(differ.pool_lives.seen)
    return differ.look_deep()


def run_generated(
    seed: int,
    count: int,
    engines: Sequence[str] = ENGINES,
    deep_every: int = 50,
    statistics: Statistics | None = None,
    make: Callable[[int, State], Callable[[], bytes]] | None = None,
) -> tuple[list[bytes], Failure | None]:
    """Makes a stream and runs it: the commands so far, and the first failure."""
    from exchange.fuzz.generator import Generator

    differ = Differ(engines, deep_every)
    next_record = make(seed, differ.state) if make else Generator(seed, differ.state).next_record
    records: list[bytes] = []
    for _ in range(count):
        record = next_record()
        records.append(record)
        events, failure = differ.step(record)
        if statistics is not None:
            statistics.count(record, events)
        if failure is not None:
            return records, failure
    if statistics is not None:
        statistics.changes.update(differ.lives.seen)
        statistics.changes.update(differ.pool_lives.seen)
    return records, differ.look_deep()
