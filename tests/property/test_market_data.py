"""A subscriber's copies are the engine's book, whatever happens: at every sequence, from wherever he joins.

The streams are the fuzzer's and hypothesis's.  After every batch the copy by levels, the copy order by order (each
order in its place in the queue), the top and the open interest are compared with the engine; what the engine itself has
is read from its state and its queries, never from events.
"""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_streams import LISTINGS, MONEY, STREAMS, opening
from twin import Twin

from exchange.audit import Auditor
from exchange.client.book_mirror import BookMirror
from exchange.client.market_data import Reception, decode_published, topics_of
from exchange.client.mirror import Mirror
from exchange.client.order_mirror import OrderMirror
from exchange.engine import Engine, create_engine
from exchange.fuzz.generator import Generator
from exchange.gateway.feed import (
    BookDelta,
    OrdersDelta,
    QueuedOrder,
    Statistics,
    TopOfBook,
    Trade,
)
from exchange.gateway.publisher import Publication
from exchange.gateway.resting import resting_orders
from exchange.protocol.messages import Command
from exchange.protocol.records import encode_command, stamp
from exchange.protocol.schema import Side
from exchange.sequencer import Batch

START_NS = 1_700_000_000_000_000_000
STEP_NS = 7_000_000_000  # so that minutes pass within a stream


class Venue:
    """An engine, and a publisher that sees only its events."""

    def __init__(self, engine_kind: str) -> None:
        self.engine: Engine = create_engine(engine_kind)
        self.publisher = Twin(epoch=1)
        self._records: list[bytes] = []
        self._events: list[bytes] = []

    def apply(self, record: bytes) -> tuple[bytes, bytes]:
        """One command; what it means to the public is told with the next ``publish``."""
        sequence = self.engine.sequence + 1
        command = stamp(record, sequence, START_NS + sequence * STEP_NS)
        events = self.engine.apply(command)
        self._records.append(command)
        self._events.append(events)
        return command, events

    def publish(self) -> list[Publication]:
        first = self.engine.sequence - len(self._records) + 1
        batch = Batch(first, len(self._records), self.engine.timestamp_ns, b"".join(self._records))
        published = self.publisher.publications(batch, b"".join(self._events))
        self._records, self._events = [], []
        return published

    def start_anew(self, epoch: int) -> None:
        """The node stops and recovers: the publisher knows nothing but the engine's state."""
        self.publisher = Twin(epoch)
        self.publisher.load(self.engine, self.engine.sequence, self.engine.timestamp_ns)

    def queue(self, symbol: int, side: Side) -> list[QueuedOrder]:
        """The orders that rest, as the engine's state has them, hidden lots left out."""
        return [
            QueuedOrder(order.order_id, order.price_ticks, order.shown_lots)
            for order in resting_orders(self.engine.snapshot())
            if (order.symbol, order.side) == (symbol, side)
        ]


class Subscriber:
    """Copies of one symbol, made of a snapshot and of what is published after it."""

    def __init__(self, venue: Venue, symbol: int) -> None:
        self.symbol, name = symbol, venue.publisher.public_name(symbol)
        self.levels, self.orders = BookMirror(symbol), OrderMirror(symbol)
        self.levels.load(venue.publisher.snapshot(symbol))
        self.orders.load(venue.publisher.orders_snapshot(symbol))
        topics = topics_of(top=name, book=name, orders=name, trades=name, statistics=name)
        self.reception = Reception(topics)
        self.top: TopOfBook | None = None
        self.statistics = venue.publisher.statistics(symbol)
        self.trades: list[Trade] = []
        for topic in topics:
            self.hear(venue.publisher.join_marker(topic))

    def hear(self, published: list[Publication]) -> None:
        for topic, payload in published:
            match self.reception.take(topic, payload):
                case BookDelta() as delta:
                    self.levels.apply(delta)
                case OrdersDelta() as changes:
                    self.orders.apply(changes)
                case TopOfBook() as top:
                    self.top = top
                case Statistics() as statistics:
                    self.statistics = statistics
                case Trade() as trade:
                    self.trades.append(trade)

    def check(self, venue: Venue) -> None:
        book = venue.engine.book(self.symbol)
        assert (self.levels.bids, self.levels.asks) == (book.bids, book.asks)
        assert (self.orders.levels(Side.BUY), self.orders.levels(Side.SELL)) == (
            book.bids,
            book.asks,
        )
        assert self.orders.bids == venue.queue(self.symbol, Side.BUY)
        assert self.orders.asks == venue.queue(self.symbol, Side.SELL)
        assert self.top is not None
        assert (self.top.bid, self.top.ask) == (
            book.bids[0] if book.bids else None,
            book.asks[0] if book.asks else None,
        )
        (view,) = (v for v in venue.engine.symbols() if v.symbol == self.symbol)
        assert self.statistics.open_interest_lots == view.open_interest_lots
        assert self.statistics.mark_ticks == view.mark_ticks
        mirrors: tuple[Mirror, ...] = (self.levels, self.orders)
        for mirror in mirrors:
            assert (mirror.gaps, mirror.needs_snapshot) == (0, False)
        assert self.reception.lost == 0


@pytest.mark.parametrize("seed", range(12))
def test_copies_are_the_book_whenever_one_joins(seed: int) -> None:
    """The fuzzer's worlds: liquidations, auto-deleveraging, self-trades of every kind, amends of every kind."""
    random = Random(seed)
    venue, auditor = Venue("native"), Auditor()
    generator = Generator(4_100 + seed, auditor.state)
    subscribers: list[Subscriber] = []
    checks = 0
    for index in range(900):
        command, events = venue.apply(generator.next_record())
        auditor.feed_commands(command)
        auditor.feed(events)
        if random.random() < 0.4:
            continue  # the next command shares its batch
        published = venue.publish()
        for subscriber in subscribers:
            subscriber.hear(published)
            subscriber.check(venue)
            checks += bool(subscriber.levels.bids and subscriber.levels.asks)
        if random.random() < 0.05 and index > 30:
            view = random.choice(venue.engine.symbols())
            subscribers.append(Subscriber(venue, view.symbol))
            subscribers = subscribers[-4:]
    assert checks > 50


@settings(max_examples=150, deadline=None)
@given(LISTINGS, MONEY, STREAMS, st.integers(1, 60), st.integers(1, 60))
def test_a_stream_joined_anywhere_and_over_a_restart(
    listings: list, money: list[int], stream: list[Command], join: int, restart: int
) -> None:
    venue = Venue("native")
    subscribers: list[Subscriber] = []
    for record in opening(listings, money):
        venue.apply(record)
    venue.publish()
    for index, command in enumerate(stream):
        if index == restart:
            venue.start_anew(epoch=2)
            subscribers = [Subscriber(venue, symbol) for symbol in (1, 2)]
        if index == join:
            subscribers.append(Subscriber(venue, 1))
        venue.apply(encode_command(command))
        published = venue.publish()
        for subscriber in subscribers:
            subscriber.hear(published)
            subscriber.check(venue)


def test_every_topic_counts_its_messages_from_one(engine_kind: str) -> None:
    venue, auditor = Venue(engine_kind), Auditor()
    generator = Generator(77, auditor.state)
    last: dict[bytes, int] = {}
    kinds = set()
    for _ in range(300):
        command, events = venue.apply(generator.next_record())
        auditor.feed_commands(command)
        auditor.feed(events)
        for topic, payload in venue.publish():
            published = decode_published(topic, payload)
            assert published.sequence == last.get(topic, 0) + 1
            assert published.engine_sequence == venue.engine.sequence
            last[topic] = published.sequence
            kinds.add(topic.partition(b".")[0])
    assert {b"top", b"book", b"orders", b"trades", b"statistics", b"mark"} <= kinds


def test_the_public_hears_of_no_account() -> None:
    """Of everything that is published, the only accounts that events name are 0, and no shape has a field for one."""
    venue, auditor = Venue("native"), Auditor()
    generator = Generator(4_001, auditor.state)
    public_events = 0
    for _ in range(900):
        command, events = venue.apply(generator.next_record())
        auditor.feed_commands(command)
        auditor.feed(events)
        for _topic, payload in venue.publish():
            message = msgspec.msgpack.decode(payload)
            assert not {name for name in message if "account" in name}
            if event := message.get("event"):
                public_events += 1
                assert event[2] == 0
    assert public_events > 50
