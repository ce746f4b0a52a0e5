"""Readers of market data that are too slow, and what they may read instead: over real sockets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
import zmq
from market_desk import BTC

from exchange.client.book_mirror import BookMirror
from exchange.client.market_data import decode_published
from exchange.client.order_mirror import OrderMirror
from exchange.gateway import server
from exchange.gateway.feed import BookDelta, OrdersDelta

HIGH_WATER = 20  # messages that wait for a subscriber at the node
PATIENCE_S = 30
ORDERS = 150  # an account may have 200
ROUNDS = 80
KERNEL_BYTES = 4096  # asked for, for what a connection holds on either side


def fill_book(trader, first: int, orders: int = ORDERS) -> None:
    """Many levels in one batch, which is told in messages of kilobytes."""
    prices = range(50_000 + first % 500, 50_000 + first % 500 + orders)
    trader.place_many([trader.limit_order(BTC, "buy", "0.001", price) for price in prices])


class SlowReader:
    """A subscriber with as little room as the system lets it have, which reads when it is told to."""

    def __init__(self, node, topics: tuple[bytes, ...]) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.rcvhwm, self._socket.rcvbuf, self._socket.linger = 5, KERNEL_BYTES, 0
        self._socket.connect(node.market_data)
        for topic in topics:
            self._socket.subscribe(topic)
        self.levels, self.orders = BookMirror(1), OrderMirror(1)
        self.received = 0

    def read(self, timeout_s: float = 0.0) -> bool:
        """Applies the next message; False: none came."""
        if not self._socket.poll(int(timeout_s * 1000)):
            return False
        topic, payload = self._socket.recv_multipart()
        self.received += 1
        match decode_published(topic, payload):
            case BookDelta() as delta:
                self.levels.apply(delta)
            case OrdersDelta() as changes:
                self.orders.apply(changes)
        return True

    def join(self, client, interval_ms: int = 0) -> None:
        if self.levels.needs_snapshot:
            self.levels.load(client.book(BTC, interval_ms=interval_ms))
        if self.orders.needs_snapshot:
            self.orders.load(client.book_orders(BTC))

    def close(self) -> None:
        self._context.destroy(linger=0)


@pytest.fixture
def slow_reader() -> Iterator[Callable[..., SlowReader]]:
    """Makes readers of a node's market data, and closes them."""
    readers: list[SlowReader] = []

    def make(*arguments: object) -> SlowReader:
        readers.append(SlowReader(*arguments))
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()


class NarrowContext(zmq.Context):
    """Sockets whose connections hold little in the kernel, so that a stopped reader is soon noticed."""

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)
        self.sndbuf = KERNEL_BYTES


def test_a_reader_that_stopped_sees_the_gap_and_joins_again(
    start_node, config, slow_reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = msgspec.structs.replace(config.limits, market_data_high_water=HIGH_WATER)
    with monkeypatch.context() as patch:
        patch.setattr(server.zmq, "Context", NarrowContext)
        node = start_node(limits=limits)
    trader = node.client(7, timeout_s=PATIENCE_S)
    trader.deposit(10_000_000)
    reader = slow_reader(node, (b"book.BTC-PERP", b"orders.BTC-PERP"))
    assert reader.read(PATIENCE_S) and reader.read(PATIENCE_S), (
        "the markers: both subscriptions are at work"
    )
    reader.join(trader)
    with trader.subscribe(book=BTC, orders=BTC) as fast:
        assert fast.poll(PATIENCE_S)
        for first in range(ROUNDS):
            fill_book(trader, first)
            trader.cancel_all(BTC)
            fast.poll()
        assert fast.lost == 0, "who reads loses nothing while another does not"
    while reader.read(0.5):  # what the queues held
        pass
    assert reader.received < 2 * HIGH_WATER + ROUNDS
    fill_book(trader, ROUNDS)
    while reader.read(0.5):
        pass
    assert reader.levels.gaps + reader.orders.gaps > 0
    reader.join(trader)
    trader.limit(BTC, "buy", "0.002", "49000")
    target, queue = trader.book(BTC), trader.book_orders(BTC)
    while (reader.levels.sequence, reader.orders.sequence) != (target.sequence, queue.sequence):
        assert reader.read(PATIENCE_S)
        reader.join(trader)
    assert (reader.levels.bids, reader.levels.asks) == (target.bids, target.asks)
    assert reader.orders.bids == queue.bids


def test_the_last_change_is_told_though_nothing_follows_it(node) -> None:
    """A conflated book that is a second behind: the change that came within it is told when the second is over."""
    trader = node.client(7, timeout_s=PATIENCE_S)
    trader.deposit(100_000)
    with trader.book_mirror(BTC, interval_ms=1000) as live:
        trader.limit(BTC, "buy", "0.001", "59000")
        while not live.mirror.bids:
            assert live.update(PATIENCE_S)
        first_ns = time.monotonic_ns()
        for price in ("59001", "59002", "59003"):
            trader.limit(BTC, "buy", "0.001", price)
        while len(live.mirror.bids) < 4:
            assert live.update(PATIENCE_S)
        assert time.monotonic_ns() - first_ns > 500 * 10**6
        assert (live.mirror.sequence, live.mirror.gaps) == (2, 0)
        assert live.mirror.bids == trader.book(BTC).bids


def test_a_conflated_book_follows_a_busy_one(node) -> None:
    trader = node.client(7, timeout_s=PATIENCE_S)
    trader.deposit(10_000_000)
    with trader.book_mirror(BTC, interval_ms=10) as live:
        for first in range(20):
            fill_book(trader, 7 * first, ORDERS // 3)
            live.update()
            if first % 3 == 2:
                trader.cancel_all(BTC)
        trader.limit(BTC, "buy", "0.002", "49000")
        target = trader.book(BTC)
        while live.mirror.engine_sequence < target.engine_sequence:
            assert live.update(PATIENCE_S)
        assert (live.mirror.bids, live.mirror.asks) == (target.bids, target.asks)
        assert live.mirror.gaps == 0
        assert live.mirror.sequence < trader.book(BTC).sequence


def test_who_subscribes_to_everything_makes_no_conflated_topics(node, slow_reader) -> None:
    trader = node.client(7, timeout_s=PATIENCE_S)
    trader.deposit(100_000)
    everything = slow_reader(node, (b"",))
    price = 59_000
    while not everything._socket.poll(50):  # until the subscription is at work
        trader.limit(BTC, "buy", "0.001", price)
        price += 1
    topics = set()
    while not topics >= {b"book.BTC-PERP", b"top.BTC-PERP"} or everything._socket.poll(200):
        topics.add(everything._socket.recv_multipart()[0])
    assert not any(b"@" in topic for topic in topics)


def test_an_interval_that_there_is_not_is_refused(node) -> None:
    client = node.client(7, timeout_s=PATIENCE_S)
    for wrong in (-1, 50, 10_000):
        try:
            client.book(BTC, interval_ms=wrong)
        except Exception as error:
            assert "interval_ms: wanted one of (10, 100, 1000), or 0" in str(error)
        else:
            raise AssertionError("it is not refused")
