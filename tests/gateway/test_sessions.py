"""Sessions over real sockets: hello, heartbeats, cancels when somebody is gone, limits, slow readers, storms."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import zmq
from stream_client import StreamClient, is_unbroken

from exchange.protocol.messages import CancelAll, Command, Deposit, OrderCancelled, PlaceOrder
from exchange.protocol.records import decode_commands
from exchange.protocol.schema import Side
from exchange.protocol.wire import decode_numbered_wire

RICH = 10**15


def bid(account: int, **options: int) -> PlaceOrder:
    return PlaceOrder(
        account=account, symbol=1, side=Side.BUY, price_ticks=550_000, qty_lots=1, **options
    )


def with_orders(trader: StreamClient, account: int = 7, **login: object) -> None:
    """Logs in and has three orders in the book."""
    trader.ask(1, "login", account=account, **login)
    trader.send(Deposit(account=account, amount_atoms=RICH), *[bid(account)] * 3)
    trader.ask(2, "get_account", account=account)


def open_orders(node: Any, account: int = 7) -> int:
    return len(node.client(account).open_orders())


def watch_cancels(watcher: StreamClient, count: int) -> None:
    """Reads until so many orders were cancelled; nobody polls."""
    while sum(isinstance(one.event, OrderCancelled) for one in watcher.told) < count:
        assert watcher.read(), "the orders are not cancelled"


def journaled(node: Any) -> list[Command]:
    return [
        command for frame in node.node.journal.scan() for command in decode_commands(frame.commands)
    ]


def test_hello_says_what_the_node_is_and_what_it_allows(start_node, config, stream_client) -> None:
    node = start_node(
        limits=msgspec.structs.replace(config.limits, orders_per_second=50, max_in_flight=9)
    )
    client = stream_client(node.orders)
    answer = client.ask(1, "hello", versions=[1, 2], client="mine/0.1", heartbeat_ms=30_000)
    assert answer["version"] == 1
    assert answer["node"].startswith("exchange/")
    assert answer["heartbeat_ms"] == 30_000
    assert answer["limits"] == {
        "max_message_bytes": 1 << 20,
        "max_commands_per_message": 4096,
        "orders_per_second": 50,
        "orders_burst": 1000,
        "frames_per_second": 0,
        "frames_burst": 1000,
        "max_in_flight": 9,
    }
    refused = client.ask(2, "hello", versions=[2])
    assert (refused["error"], refused["versions"]) == ("unsupported_version", [1])


def test_heartbeats_come_while_the_client_is_heard_and_end_with_it(node, stream_client) -> None:
    client = stream_client(node.orders)
    client.ask(1, "hello", versions=[1], heartbeat_ms=100)
    for request_id in range(2, 5):
        assert "heartbeat" in client.answer(0)
        client.ask(request_id, "ping")
    while "error" not in (body := client.answer(0)):
        pass
    assert body["error"] == "session_lost"
    assert len(node.node.sessions) == 0


# ----------------------------------------------------------------------------------------- cancel on disconnect


def test_logout_cancels_the_orders_of_who_asked_for_it(node, stream_client) -> None:
    client = stream_client(node.orders)
    with_orders(client, cancel_on_disconnect=True)
    watcher = stream_client(node.orders)
    watcher.ask(1, "login", account=7)
    assert client.ask(9, "logout") == {}
    watch_cancels(watcher, 3)
    assert {one.request_id for one in watcher.told} == {0}
    assert [c.account for c in journaled(node) if isinstance(c, CancelAll)] == [7]


def test_orders_of_who_did_not_ask_stay(node, stream_client) -> None:
    client = stream_client(node.orders)
    with_orders(client)
    client.ask(9, "logout")
    assert open_orders(node) == 3


def test_who_is_gone_without_a_word_is_found_and_its_orders_cancelled(node, stream_client) -> None:
    """Nothing is sent to it but the probes."""
    client = stream_client(node.orders)
    with_orders(client, cancel_on_disconnect=True)
    watcher = stream_client(node.orders)
    watcher.ask(1, "login", account=7)
    client.break_off()
    watch_cancels(watcher, 3)
    assert len(node.node.sessions) == 1


def test_who_is_silent_for_three_heartbeats_has_its_orders_cancelled(node, stream_client) -> None:
    client = stream_client(node.orders)
    client.ask(8, "hello", versions=[1], heartbeat_ms=100)
    with_orders(client, cancel_on_disconnect=True)
    client.told.clear()
    watcher = stream_client(node.orders)
    watcher.ask(1, "login", account=7)
    watch_cancels(watcher, 3)


def test_a_client_that_comes_back_has_its_old_orders_cancelled_before_its_login(
    node, stream_client
) -> None:
    """The old connection is still there; no cancel may come later and take the new orders with it."""
    old, new = stream_client(node.orders), stream_client(node.orders)
    with_orders(old, cancel_on_disconnect=True, client=77)
    answer = new.ask(1, "login", account=7, cancel_on_disconnect=True, client=77, after=0)
    new.read_up_to(answer["number"])
    watch_cancels(new, 3)
    assert new.told[-1].number == answer["number"]
    while old.read(200):
        pass
    assert old.answers[-1][1]["error"] == "session_closed"
    new.send(bid(7), first_id=5)
    new.ask(6, "get_account", account=7)
    assert open_orders(node) == 1


def test_a_node_that_stops_cancels_first(start_node, stream_client) -> None:
    running = start_node()
    client = stream_client(running.orders)
    with_orders(client, cancel_on_disconnect=True)
    last = client.told[-1].number
    running.stop()
    watch_cancels(client, 3)
    again = start_node()
    client.break_off(again.orders)
    assert client.ask(1, "login", account=7, after=last)["number"] == last + 4
    assert client.ask(2, "get_open_orders", account=7)["open_orders"] == []


# ----------------------------------------------------------------------------------------------------- limits


def test_more_orders_than_a_session_may_send_are_told_when_to_come_again(
    start_node, config, stream_client
) -> None:
    """One a second, two at once: 150 pass on a free bucket, and are worked off before the next."""
    limits = msgspec.structs.replace(config.limits, orders_per_second=1, orders_burst=2)
    node = start_node(limits=limits)
    client = stream_client(node.orders)
    client.ask(1, "login", account=7)
    client.send(Deposit(account=7, amount_atoms=RICH), *[bid(7)] * 150, first_id=10)
    client.send(bid(7), first_id=2000)
    refused = client.answer(2000)
    assert refused["error"] == "rate_limited"
    assert 140_000 < refused["retry_after_ms"] <= 149_000
    client.send(CancelAll(account=7), first_id=2001)
    watch_cancels(client, 150)


@pytest.fixture
def stuck_disk(monkeypatch) -> Iterator[threading.Event]:
    """A disk that syncs nothing while the event is not set."""
    free = threading.Event()
    free.set()
    monkeypatch.setattr("exchange.disk.sync_data", lambda file: free.wait(20))
    yield free
    free.set()


def test_commands_in_flight_are_bounded_and_pass_again_when_replies_left(
    start_node, config, stream_client, stuck_disk
) -> None:
    node = start_node(limits=msgspec.structs.replace(config.limits, max_in_flight=3))
    client = stream_client(node.orders)
    client.ask(1, "login", account=7)
    stuck_disk.clear()
    client.send(*[Deposit(account=7, amount_atoms=1)] * 3, first_id=10)
    while node.node.engine.sequence < 4 + 3:
        assert not client.read(10)
    held_bytes = node.node.held_bytes
    client.send(Deposit(account=7, amount_atoms=1), first_id=20)
    while node.node.held_bytes == held_bytes:
        assert not client.read(10)
    stuck_disk.set()
    refused = client.answer(20)
    assert refused["error"] == "too_many_in_flight" and refused["retry_after_ms"] > 0
    client.ask(30, "ping")
    client.send(*[Deposit(account=7, amount_atoms=1)] * 3, first_id=40)
    client.read_up_to(12)
    assert is_unbroken(client.told)


def test_an_overloaded_node_refuses_orders_and_takes_cancels(
    start_node, config, stream_client, stuck_disk
) -> None:
    """Replies of 1,000 deposits are some 80 kB: more than half of what may wait, less than the whole."""
    node = start_node(limits=msgspec.structs.replace(config.limits, max_held_bytes=72_000))
    client = stream_client(node.orders)
    client.ask(1, "login", account=7)
    client.send(Deposit(account=7, amount_atoms=RICH), bid(7), first_id=2)
    client.read_up_to(4)
    stuck_disk.clear()
    client.send(*[Deposit(account=7, amount_atoms=1)] * 1000, first_id=10)
    while node.node.held_bytes <= 36_000:
        assert not client.read(10)
    assert node.node.held_bytes < 72_000
    client.send(bid(7), first_id=5000)
    client.send(CancelAll(account=7), first_id=5001)
    while node.node.engine.sequence < 4 + 2 + 1000 + 1:
        assert not client.read(10)
    stuck_disk.set()
    refused = client.answer(5000)
    assert refused["error"] == "overloaded" and refused["retry_after_ms"] > 0
    watch_cancels(client, 1)
    assert is_unbroken(client.told)


def test_who_is_refused_all_the_time_is_muted_and_harms_nobody(node, stream_client) -> None:
    noisy, trader = stream_client(node.orders), stream_client(node.orders)
    noisy.ask(1, "login", account=8)
    for _ in range(3000):
        noisy.socket.send(b"nonsense")
    with_orders(trader)
    while noisy.read(200):
        pass
    errors = [body["error"] for _, body in noisy.answers]
    assert errors[:101] == ["malformed"] * 100 + ["rate_limited"]
    assert noisy.answers[100][1]["retry_after_ms"] == 1000
    assert open_orders(node) == 3


def test_read_only_sessions_hear_everything_and_send_nothing(node, stream_client) -> None:
    viewer, trader = stream_client(node.orders), stream_client(node.orders)
    viewer.ask(1, "login", account=7, read_only=True)
    with_orders(trader)
    viewer.send(CancelAll(account=7), first_id=5)
    assert viewer.answer(5)["error"] == "read_only"
    viewer.read_up_to(trader.told[-1].number)
    assert is_unbroken(viewer.told)
    assert len(viewer.ask(6, "get_open_orders")["open_orders"]) == 3


# ------------------------------------------------------------------------------------------- slow, and many


def test_a_replay_to_a_slow_reader_waits_for_it_and_costs_no_session(
    start_node, config, stream_client
) -> None:
    """20,000 events through a queue of one message at either end."""
    node = start_node(limits=msgspec.structs.replace(config.limits, send_high_water=1))
    trader = node.client(7)
    for _ in range(10):
        trader.send_many([Deposit(account=7, amount_atoms=1)] * 1000)
    slow = stream_client(node.orders)
    slow.socket.close()
    slow.socket = slow.context.socket(zmq.DEALER)
    slow.socket.linger, slow.socket.rcvhwm = 0, 1
    slow.socket.set(zmq.RCVBUF, 4096)
    slow.socket.connect(node.orders)
    slow.control(1, "login", account=7, after=0)
    slow.control(2, "get_account")
    # The trader works on meanwhile: nobody waits for who is slow.
    for _ in range(5):
        trader.deposit("0.00000001")
    slow.read_up_to(20_010)
    assert is_unbroken(slow.told)
    assert slow.answer(1)["missed"] is False
    assert slow.answer(2)["wallet_atoms"] >= 10_000
    assert node.said == []


@pytest.mark.parametrize("keep_ids", [False, True])
def test_two_thousand_clients_that_come_back_at_once_all_get_what_they_missed(
    start_node, config, keep_ids: bool
) -> None:
    """A hundred accounts, twenty sessions each, all gone and back: each gets its account's 40 events once."""
    limits = msgspec.structs.replace(config.limits, max_sessions=3000)
    node = start_node(limits=limits)
    with Storm(node.orders, as_many_as_may_be(2000), keep_ids) as storm:
        for number in range(1, 101):
            client = node.client(number)
            client.send_many([Deposit(account=number, amount_atoms=1)] * 20)
            client.close()
        storm.login(after=0)
        storm.hear(40)
        storm.come_back()
        storm.login(after=15)
        storm.hear(25)
        assert storm.numbers == {tuple(range(16, 41))}
        assert len(node.node.sessions) <= 3000
        trader = node.client(101)
        trader.deposit(1)


def as_many_as_may_be(count: int) -> int:
    """Fewer where the system allows this process fewer files: a client and its connection are four here, twice."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return min(count, (most - 500) // 8)


class Storm:
    """Thousands of DEALERs that do all the same."""

    def __init__(self, endpoint: str, count: int, keep_ids: bool) -> None:
        self.endpoint = endpoint
        self.count = count
        self.keep_ids = keep_ids
        self.sockets: list[zmq.Socket[bytes]] = []
        self.numbers: set[tuple[int, ...]] = set()
        self.connect()

    def __enter__(self) -> Storm:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def connect(self) -> None:
        self.context = zmq.Context()
        self.context.max_sockets = 2 * self.count + 100
        self.sockets = [self.one(number) for number in range(self.count)]

    def one(self, number: int) -> zmq.Socket[bytes]:
        socket = self.context.socket(zmq.DEALER)
        socket.linger = 0
        if self.keep_ids:
            socket.setsockopt(zmq.IDENTITY, b"desk%d" % number)
        socket.connect(self.endpoint)
        return socket

    def close(self) -> None:
        for socket in self.sockets:
            socket.close(linger=0)
        self.sockets.clear()
        self.context.term()  # when this returns, all their connections are closed

    def come_back(self) -> None:
        self.close()
        self.connect()

    def login(self, after: int) -> None:
        self.after = after
        for number in range(self.count):
            self.login_one(number)

    def login_one(self, number: int) -> None:
        arguments = {"account": 1 + number % 100, "after": self.after, "client": 1 + number}
        self.sockets[number].send(msgspec.msgpack.encode([0, 1, "login", arguments]))

    def hear(self, count: int) -> None:
        """Reads until everybody has so many events; whom nobody hears connects once more.

        That is who keeps its routing id, while its old connection is still there.
        """
        heard: list[list[int]] = [[] for _ in self.sockets]
        for _ in range(50):
            self.read(heard)
            if all(len(numbers) >= count for numbers in heard):
                self.numbers = {tuple(numbers) for numbers in heard}
                return
            unheard = [number for number, numbers in enumerate(heard) if not numbers]
            for number in unheard if self.keep_ids else []:
                self.sockets[number].close(linger=0)
                self.sockets[number] = self.one(number)
                self.login_one(number)
        raise AssertionError("some of these clients hear nothing, or a part of what is theirs")

    def read(self, heard: list[list[int]]) -> None:
        """Takes in what comes, until nothing came for a second."""
        poller = zmq.Poller()
        places = {}
        for number, socket in enumerate(self.sockets):
            poller.register(socket, zmq.POLLIN)
            places[socket] = number
        while ready := poller.poll(1000):
            for socket, _ in ready:
                payload = socket.recv()
                if payload[1] == 0:
                    (body,) = msgspec.msgpack.decode(payload)[2:]
                    assert body.get("missed") is False, body
                else:
                    heard[places[socket]] += [at for _, at, _ in decode_numbered_wire(payload)]
