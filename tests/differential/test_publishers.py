"""The compiled publisher gives the readable one's bytes: every publication and snapshot, after every batch.

The events are those of the fuzzer's worlds and of every scenario, in batches of random length, with and without
subscribers, over restarts too.  `Twin` compares at each call; beside it stands a publisher that makes everything, so
that what is not made for want of a subscriber is known to have been exactly that.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest
from msgspec.structs import asdict
from twin import NATIVE, Twin, TwinDesk

from exchange.audit import Auditor
from exchange.audit.state import State
from exchange.client.book_mirror import BookMirror
from exchange.client.market_data import decode_published
from exchange.engine import Engine, create_engine
from exchange.errors import CorruptionError
from exchange.fuzz.collusion import Collusion
from exchange.fuzz.generator import Generator
from exchange.fuzz.tiny import TinyGenerator
from exchange.gateway.conflation import NEVER_NS
from exchange.gateway.feed import (
    CONFLATED_KINDS,
    INTERVALS_MS,
    BookDelta,
    Statistics,
    TopOfBook,
    conflated_kind,
    topic_of,
)
from exchange.gateway.publisher import Publication
from exchange.gateway.statistics import MOST
from exchange.protocol.messages import (
    Event,
    Fill,
    MarkChanged,
    OrderCancelled,
    OrderReduced,
    OrderRested,
    SymbolListed,
)
from exchange.protocol.records import encode_event, stamp
from exchange.protocol.schema import FillRole, OrderPlace
from exchange.sequencer import Batch
from exchange.sim import scenario as stories

E = TypeVar("E", bound=Event)
START_NS = 1_700_000_000_000_000_000
SCENARIOS = sorted((Path(__file__).parents[1] / "scenarios").rglob("*.yaml"))
PARTS = 6


class Reader:
    """Publishers over the events of one engine: one that makes everything, and one that heeds who subscribed."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.all = Twin(1)
        self.heeding = Twin(1, heeds_interest=True)
        self.told: list[bytes] = []  # events
        self.held: set[bytes] = set()
        self.published = 0
        self.unwanted = 0
        self.conflated = dict.fromkeys(CONFLATED_KINDS, 0)
        self.begin_conflated()

    def begin_conflated(self) -> None:
        """Nobody reads a conflated topic."""
        self.quiet_until_ns: dict[bytes, int] = {}
        self.sequences: dict[bytes, int] = {}
        self.mirrors: dict[bytes, BookMirror] = {}

    def read(self, batch: Batch, events: bytes, engine: Engine | None = None) -> None:
        """One batch: the same from both, and of the heeding one exactly what somebody holds a prefix of."""
        self.told.append(events)
        everything = self.all.publications(batch, events)
        wanted = [p for p in everything if any(p[0].startswith(held) for held in self.held)]
        told = self.heeding.publications(batch, events)
        assert told[: len(wanted)] == wanted
        self.published += len(everything)
        self.unwanted += len(everything) - len(wanted)
        assert self.all.due(NEVER_NS) == []
        self.hear_conflated(told[len(wanted) :], batch.timestamp_ns, engine)
        if self.random.random() < 0.3:
            later_ns = self.random.choice((0, 10**6, 10**8, 2 * 10**9))
            now_ns = min(batch.timestamp_ns + later_ns, NEVER_NS - 1)
            self.hear_conflated(self.heeding.due(now_ns), now_ns, engine)
            assert self.heeding.due(now_ns) == []
            assert self.heeding.next_due_ns > now_ns
        for symbol in (view.symbol for view in (engine.symbols() if engine else ())):
            for question in ("snapshot", "orders_snapshot", "statistics"):
                answer = getattr(self.all, question)(symbol)
                assert getattr(self.heeding, question)(symbol) == answer
            depth = self.random.randint(1, 3)
            assert self.all.snapshot(symbol, depth).bids == self.all.snapshot(symbol).bids[:depth]

    def hear_conflated(self, told: list[Publication], now_ns: int, engine: Engine | None) -> None:
        """A message tells all up to now, and comes no sooner than the interval after the one before."""
        for topic, payload in told:
            kind, interval_ms = topic.partition(b".")[0].decode().split("@")
            assert now_ns >= self.quiet_until_ns.get(topic, 0)
            self.quiet_until_ns[topic] = now_ns + int(interval_ms) * 10**6
            published = decode_published(topic, payload)
            self.conflated[kind] += 1
            assert published.sequence == self.sequences.get(topic, 0) + 1
            self.sequences[topic] = published.sequence
            if isinstance(published, TopOfBook):
                now = self.all.snapshot(published.symbol, 1)
                assert [published.bid] == (now.bids or [None])
                assert [published.ask] == (now.asks or [None])
            elif isinstance(published, Statistics):
                now = self.all.statistics(published.symbol)
                assert {**asdict(published), "sequence": 0} == {**asdict(now), "sequence": 0}
            elif isinstance(published, BookDelta) and engine is not None:
                mirror = self.mirrors[topic]
                mirror.apply(published)
                book = engine.book(published.symbol)
                assert (mirror.bids, mirror.asks) == (book.bids, book.asks)
                assert (mirror.gaps, mirror.needs_snapshot) == (0, False)

    def subscribe_conflated(self, symbol: int) -> None:
        """Somebody comes to a conflated topic, and joins it with a snapshot, wherever its interval stands."""
        kind, interval_ms = self.random.choice(CONFLATED_KINDS), self.random.choice(INTERVALS_MS)
        name = self.all.public_name(symbol)
        topic = topic_of(conflated_kind(kind, interval_ms), name).encode()
        self.heeding.take(b"\x01" + topic)
        ((told, marker),) = self.heeding.join_marker(topic)
        assert told == topic
        assert decode_published(told, marker).sequence == self.sequences.get(topic, 0)
        self.mirrors[topic] = BookMirror(symbol)
        self.mirrors[topic].load(self.heeding.snapshot(symbol, 0, interval_ms))

    def subscribe_somewhere(self, names: list[str]) -> None:
        """Somebody comes; a part of a topic is a prefix that takes in others."""
        kinds = ("top", "book", "orders", "trades", "auction", "state", "statistics", "mark")
        topic = f"{self.random.choice(kinds)}.{self.random.choice(names)}".encode()
        came = self.random.choice(
            [topic, topic, topic, topic[: self.random.randint(3, len(topic))]]
        )
        came = self.random.choice([came, came, came, b"liquidations", b"funds"])
        self.held.add(came)
        self.heeding.take(b"\x01" + came)
        assert self.heeding.join_marker(came) == self.all.join_marker(came)

    def start_anew(self, engine: Engine, epoch: int) -> None:
        """The node stops and recovers: from the engine's state, and what it replays of the journal."""
        desks = (TwinDesk(), TwinDesk())
        since = self.random.randint(0, len(self.told))
        for desk in desks:
            for events in self.told[since:]:
                desk.feed(events)
        self.all = Twin(epoch, desks[0])
        self.heeding = Twin(epoch, desks[1], heeds_interest=True)
        for held in self.held:
            self.heeding.take(b"\x01" + held)
        for twin in (self.all, self.heeding):
            twin.load(engine, engine.sequence, engine.timestamp_ns)
        self.begin_conflated()


def fuzz(make: Callable[[int, State], Generator], seed: int, commands: int) -> Reader:
    """A world of the fuzzer, read in batches of random length, with comings and restarts."""
    random = Random(seed)
    engine, auditor, reader = create_engine("native"), Auditor(), Reader(random)
    generator = make(seed, auditor.state)
    waiting: list[tuple[bytes, bytes]] = []
    step_ns = random.choice((1, 10**6, 7 * 10**9, 600 * 10**9))
    for _ in range(commands):
        sequence = engine.sequence + 1
        command = stamp(generator.next_record(), sequence, START_NS + sequence * step_ns)
        events = engine.apply(command)
        auditor.feed_commands(command)
        auditor.feed(events)
        waiting.append((command, events))
        if random.random() < 0.5:
            continue
        first = sequence - len(waiting) + 1
        records, told = (b"".join(part) for part in zip(*waiting, strict=True))
        views = engine.symbols()
        batch = Batch(first, len(waiting), engine.timestamp_ns, records)
        reader.read(batch, told, engine)
        waiting.clear()
        if views and random.random() < 0.05:
            reader.subscribe_somewhere([reader.all.public_name(view.symbol) for view in views])
        if views and random.random() < 0.1:
            reader.subscribe_conflated(random.choice(views).symbol)
        if random.random() < 0.01:
            reader.start_anew(engine, epoch=1 + sequence)
    return reader


WORLDS: dict[str, Callable[[int, State], Generator]] = {
    "worlds": Generator,
    "worlds of few atoms": TinyGenerator,
    "conspirators": Collusion,
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("worlds", WORLDS)
def test_the_fuzzers_worlds_give_the_same_bytes(worlds: str, seed: int) -> None:
    reader = fuzz(WORLDS[worlds], 8_200 + seed, 500)
    assert reader.published > 100
    assert reader.unwanted > 10
    assert sum(reader.conflated.values()) > 10


@pytest.mark.parametrize("part", range(PARTS))
def test_every_scenario_gives_the_same_bytes(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[Engine, bytes, bytes]] = []

    def recording(kind: str, **options: bool) -> Engine:
        engine = create_engine(kind, **options)

        class Recorded:
            def __getattr__(self, name: str) -> object:
                return getattr(engine, name)

            def apply(self, commands: bytes) -> bytes:
                events = engine.apply(commands)
                told.append((engine, commands, events))
                return events

        return Recorded()

    monkeypatch.setattr(stories, "create_engine", recording)
    published = 0
    for path in SCENARIOS[part::PARTS]:
        told.clear()
        stories.run_scenario(stories.load_scenario(path))
        reader = Reader(Random(str(path)))
        sequence = 0
        engine = told[0][0]  # others are asked what would have been
        for commands, events in [entry[1:] for entry in told if entry[0] is engine]:
            sequence += 1
            when = int.from_bytes(commands[16:24], "little", signed=True)
            reader.read(Batch(sequence, 1, when, commands), events)
        reader.read(Batch(sequence + 1, 1, when, b""), b"", engine)
        for view in engine.symbols():
            book = engine.book(view.symbol)
            snapshot = reader.all.snapshot(view.symbol)
            assert (snapshot.bids, snapshot.asks) == (book.bids, book.asks)
        published += reader.published
    assert published > 500


# ------------------------------------------------------------------------------------------- single cases


def apply(twin: Twin, *events: Event, timestamp_ns: int = START_NS) -> list[Publication]:
    """Events as an engine would tell them, in one batch."""
    records = b"".join(map(encode_event, events))
    return twin.publications(Batch(1, 1, timestamp_ns, b""), records)


def event(kind: type[E], **about: int) -> E:
    """An event of symbol 1 and account 7; what is not named is 0."""
    zeros = dict.fromkeys(kind.__struct_fields__, 0)
    return kind(**{**zeros, "symbol": 1, "account": 7, "sequence": 1, **about})


def rested(order_id: int, side: int, price_ticks: int, lots: int = 1) -> OrderRested:
    about = {"order_id": order_id, "side": side, "price_ticks": price_ticks, "open_lots": lots}
    return event(OrderRested, **about)


def cancelled(order_id: int) -> OrderCancelled:
    return event(OrderCancelled, place=OrderPlace.BOOK, order_id=order_id)


def fill(**about: int) -> Fill:
    return event(Fill, role=FillRole.TAKER, trade_id=9, **about)


def listed(*names: str) -> Twin:
    twin = Twin(1)
    apply(twin, *(SymbolListed(symbol=n, name=name) for n, name in enumerate(names, 1)))
    return twin


def test_prices_as_far_apart_as_can_be() -> None:
    """A lone level at each power of ten, levels as neighbours, and all of them gone again, in random order."""
    twin, random = listed("S"), Random(5)
    prices = [10**power for power in range(13)] + [64 * 10**6 + tick for tick in range(130)]
    orders: dict[int, int] = {}
    for order_id in range(1, 3_000):
        if orders and random.random() < 0.48:
            gone = random.choice(list(orders))
            del orders[gone]
            apply(twin, cancelled(gone))
        else:
            orders[order_id] = random.choice(prices)
            apply(twin, rested(order_id, order_id % 2, orders[order_id], random.randint(1, 9)))
        twin.snapshot(1)
    for order_id in orders:
        apply(twin, cancelled(order_id))
        twin.snapshot(1, depth=2)
    assert twin.snapshot(1).bids == twin.orders_snapshot(1).asks == []


def test_a_batch_that_changes_thousands_of_levels() -> None:
    twin, random = listed("S"), Random(6)
    prices = random.sample(range(1, 10**6), 3_000)
    orders = [rested(n, n % 2, price) for n, price in enumerate(prices, 1)]
    published = apply(twin, *orders, *(cancelled(n) for n in range(1, 3_000, 3)))
    assert [topic for topic, _ in published] == [b"orders.S", b"book.S", b"top.S"]
    assert len(twin.snapshot(1).bids) == 1_000


def test_a_second_of_thousands_of_levels_is_one_message() -> None:
    twin, random = Twin(1, heeds_interest=True), Random(8)
    twin.take(b"\x01book@1000.")
    apply(twin, event(SymbolListed, name="S"))
    mirror = BookMirror(1)
    mirror.load(twin.snapshot(1, 0, 1000))
    first = apply(twin, rested(1, 0, 7))
    assert [topic for topic, _ in first] == [b"book@1000.S"], "the first after a pause, at once"
    for order_id in range(2, 3_000):
        later_ns = START_NS + order_id * 300_000
        told = apply(twin, rested(order_id, 0, random.randint(1, 5_000)), timestamp_ns=later_ns)
        told += apply(twin, cancelled(order_id - 1), timestamp_ns=later_ns)
        assert told == []
    assert twin.next_due_ns == START_NS + 10**9
    assert twin.due(START_NS + 10**9 - 1) == []
    (second,) = twin.due(START_NS + 10**9)
    for topic, payload in (*first, second):
        mirror.apply(decode_published(topic, payload))
    assert (mirror.bids, mirror.gaps) == (twin.snapshot(1).bids, 0)
    assert len(mirror.bids) == 1
    assert twin.due(NEVER_NS - 1) == []


def test_two_symbols_of_one_name_have_topics_of_their_own() -> None:
    twin = listed("A", "A#3", "A", "A", "\N{DOLLAR SIGN}")
    names = [twin.public_name(symbol) for symbol in range(1, 6)]
    assert names == ["A", "A#3", "A#3#3", "A#4", "$"]
    for name in names:
        assert twin.join_marker(f"state.{name}".encode())
    assert twin.join_marker(b"auction.A") == twin.join_marker(b"top.B") == []
    with pytest.raises(KeyError):
        twin.snapshot(6)


def test_a_name_that_is_no_text_is_published_all_the_same() -> None:
    twin = Twin(1)
    record = encode_event(SymbolListed(symbol=1, name="ab")).replace(b"ab", b"\xff\xc3")
    twin.publications(Batch(1, 1, START_NS, b""), record)
    (marker,) = twin.join_marker("top.\ufffd\ufffd".encode())
    assert marker[0] == "top.\ufffd\ufffd".encode()


def test_sums_that_no_message_can_say_are_told_as_the_most_it_can() -> None:
    twin = listed("S")
    for _ in range(20):
        apply(twin, fill(price_ticks=10**12, qty_lots=1 << 61, value_atoms=1 << 62))
    statistics = twin.statistics(1)
    assert (statistics.volume_lots, statistics.turnover_atoms) == (MOST, MOST)
    apply(twin, timestamp_ns=START_NS + 2 * 24 * 3600 * 10**9)
    assert (twin.statistics(1).turnover_atoms, twin.statistics(1).last_ticks) == (0, 10**12)


def test_a_day_of_trades_leaves_minute_by_minute() -> None:
    twin, random, now_ns = listed("S"), Random(7), START_NS
    for _ in range(4_000):
        now_ns += random.choice((1, 10**9, 45 * 10**9, 90 * 10**9, 3600 * 10**9))
        price = random.randint(1, 50)
        apply(
            twin,
            fill(price_ticks=price, qty_lots=1, value_atoms=price),
            timestamp_ns=now_ns,
        )
        twin.statistics(1)


BROKEN: dict[str, list[Event]] = {
    "rests already": [rested(1, 0, 5), rested(1, 0, 5)],
    "does not rest": [cancelled(1)],
    "less than nothing": [
        rested(1, 0, 5),
        event(OrderReduced, place=OrderPlace.BOOK, order_id=1, reduced_lots=2),
    ],
    "not listed": [event(MarkChanged, symbol=2)],
    "listed twice": [SymbolListed(symbol=1, name="S")],
}


@pytest.mark.parametrize("case", BROKEN)
def test_events_that_do_not_follow_stop_the_compiled_publisher(case: str) -> None:
    publisher = NATIVE.Publisher(1)
    listing = encode_event(SymbolListed(symbol=1, name="S"))
    batch = Batch(1, 1, START_NS, b"")
    publisher.publications(batch, listing)
    records = b"".join(map(encode_event, BROKEN[case]))
    with pytest.raises(CorruptionError, match=case.split()[-1]):
        publisher.publications(batch, records)
    with pytest.raises(CorruptionError):
        publisher.publications(batch, b"")


@pytest.mark.parametrize("cut", range(1, 58))
def test_half_an_event_is_refused(cut: int) -> None:
    publisher = NATIVE.Publisher(1)
    with pytest.raises(CorruptionError, match="no event record"):
        publisher.publications(Batch(1, 1, 0, b""), encode_event(rested(1, 0, 5))[:-cut])
    desk = NATIVE.StatisticsDesk()
    with pytest.raises(CorruptionError, match="no event record"):
        desk.feed(encode_event(rested(1, 0, 5))[:-cut])
