"""Clients whose connections end at any moment, on nodes that die: nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from cable import Cable

from exchange.client import (
    AdminClient,
    AsyncClient,
    Client,
    NotSent,
    OutcomeUnknown,
    RequestRefused,
)
from exchange.errors import ExchangeError
from exchange.protocol.messages import BalanceChanged, Event, OrderCancelled, OrderRested

BTC = "BTC-PERP"
HEARTBEAT_MS = 100


@pytest.fixture
def cable(node) -> Iterator[Cable]:
    laid = Cable(node.orders)
    yield laid
    laid.close()


class Scissors:
    """Cuts a cable every few milliseconds, from a thread, until it is told to stop."""

    def __init__(self, cable: Cable, seed: int) -> None:
        self._cable, self._random = cable, random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.cuts = 0

    def _run(self) -> None:
        while not self._stop.wait(self._random.uniform(0.01, 0.08)):
            self._cable.cut()
            self.cuts += 1

    def __enter__(self) -> Scissors:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()


def rested(events: list[Event]) -> list[int]:
    return [event.order_id for event in events if isinstance(event, OrderRested)]


def until_quiet(client: Client) -> list[Event]:
    """Its events until none came for a while."""
    return list(client.events(timeout_s=0.3))


@pytest.mark.parametrize("seed", range(3))
def test_orders_placed_while_the_cable_is_cut_are_placed_once(
    node, cable: Cable, seed: int
) -> None:
    client = Client(cable.endpoint, 7, timeout_s=20)
    client.deposit(1_000_000)
    with Scissors(cable, seed) as scissors:
        while scissors.cuts < 8:
            placed = [client.limit(BTC, "buy", "0.001", "50000").order_id for _ in range(20)]
            client.cancel_all(BTC)
            assert len(set(placed)) == 20
    ledger = [client.limit(BTC, "buy", "0.001", "50000").order_id for _ in range(3)]
    assert [order.order_id for order in client.open_orders()] == ledger
    assert client.joins > 1
    numbers = client.bookmark().places[7]
    heard = client.poll()
    assert client.bookmark().places[7][1] - numbers[1] == len(heard)
    assert len(rested(heard)) == len(set(rested(heard))) == max(rested(heard))
    client.close()


def test_an_asyncio_client_with_many_requests_under_way_does_each_once(node, cable: Cable) -> None:
    async def story() -> None:
        async with AsyncClient(cable.endpoint, 7, timeout_s=20) as client:
            deposits = [1, 2, 3, 5, 7] * 200
            with Scissors(cable, 4) as scissors:
                done = 0
                while scissors.cuts < 8 and done < len(deposits):
                    some = deposits[done : done + 20]
                    await asyncio.gather(*map(client.deposit, some))
                    done += len(some)
            assert (await client.account()).wallet_atoms == sum(deposits[:done]) * 10**8
            changes = [event for event in await client.poll() if isinstance(event, BalanceChanged)]
            assert [event.wallet_change_atoms // 10**8 for event in changes] != []
            assert (
                sum(event.wallet_change_atoms for event in changes) == sum(deposits[:done]) * 10**8
            )
            assert changes[-1].wallet_atoms == sum(deposits[:done]) * 10**8
            assert client.joins > 1

    asyncio.run(story())


def test_a_sync_client_that_stayed_away_hears_everything_afterwards(node) -> None:
    away = Client(node.orders, 7, heartbeat_ms=HEARTBEAT_MS)
    other = node.client(7)
    time.sleep(6 * HEARTBEAT_MS / 1000)
    other.deposit(5)
    assert len(node.node.sessions) == 1, "the node has given it up"
    assert [type(event).__name__ for event in away.poll(2)] == ["Accepted", "BalanceChanged"]
    away.deposit(6)
    assert away.account().wallet_atoms == 11 * 10**8
    away.close()


def test_a_sync_client_that_polls_keeps_its_session(node) -> None:
    client = Client(node.orders, 7, heartbeat_ms=HEARTBEAT_MS)
    assert client.poll(8 * HEARTBEAT_MS / 1000) == []
    assert client.joins == 1
    assert len(node.node.sessions) == 1
    client.close()


def test_a_connection_that_is_dead_without_a_word_is_noticed(node, cable: Cable) -> None:
    async def story() -> None:
        async with AsyncClient(cable.endpoint, 7, heartbeat_ms=HEARTBEAT_MS) as client:
            await client.deposit(1)
            cable.is_clogged = True
            waiting = asyncio.create_task(client.deposit(2))
            await asyncio.sleep(3.5 * HEARTBEAT_MS / 1000)
            cable.is_clogged = False
            await waiting
            assert (await client.account()).wallet_atoms == 3 * 10**8
            assert client.joins > 1

    asyncio.run(story())


def test_orders_of_who_asked_for_it_are_cancelled_when_its_connection_ends(
    node, cable: Cable
) -> None:
    client = Client(cable.endpoint, 7, cancel_on_disconnect=True)
    watcher = node.client(7)
    client.deposit(1_000_000)
    client.limit(BTC, "buy", "0.001", "50000")
    cable.cut()
    deadline = time.monotonic() + 8
    while watcher.open_orders():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert any(isinstance(event, OrderCancelled) for event in until_quiet(client))
    client.close()


def test_a_session_that_only_looks_sends_no_commands(node) -> None:
    client = Client(node.orders, 7, read_only=True)
    with pytest.raises(RequestRefused, match="read_only"):
        client.deposit(1)
    node.client(7).deposit(1)
    assert client.poll(5)
    client.close()


def test_a_second_client_of_the_same_key_takes_the_session_over(node) -> None:
    first = Client(node.orders, 7, client=99)
    second = Client(node.orders, 7, client=99)
    second.deposit(1)
    with pytest.raises(RequestRefused, match="another connection"):
        first.deposit(1)
    first.close()
    second.close()


def test_a_bookmark_outlives_the_process(node) -> None:
    with Client(node.orders, 7) as first:
        first.deposit(1)
        first.poll()
        kept = first.bookmark()
    node.client(7).deposit(2)
    with Client(node.orders, 7, resume=kept) as second:
        (_, changed) = second.poll(5)
        assert changed.wallet_change_atoms == 2 * 10**8


class Killer:
    """Kills a node with -9 and starts it again on its data, so many times, while others go on."""

    def __init__(self, serve, times: int) -> None:
        self._serve, self._times = serve, times
        self._running = serve("--durability", "always")
        self.cable = Cable(self._running.ready["orders"])
        self._thread = threading.Thread(target=self._run)
        self.is_at_work = True

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.join()
        self.cable.close()

    def _run(self) -> None:
        for _ in range(self._times):
            time.sleep(0.1)
            self._running.stop(signal.SIGKILL)
            self._running = self._serve("--durability", "always")
            self.cable.plug_in(self._running.ready["orders"])
        self.is_at_work = False


def test_a_node_that_dies_and_comes_back_under_load_with_a_ledger_of_acknowledgements(
    serve,
) -> None:
    """kill -9 again and again: what was acknowledged is there, what was not is there once, not at all, or told."""
    with Killer(serve, times=3) as killer:
        client = Client(killer.cable.endpoint, 7, timeout_s=20, max_own_events=50)
        events: list[Event] = []
        acknowledged = unknown = 0
        while killer.is_at_work:
            try:
                client.deposit(1)
                acknowledged += 1
            except OutcomeUnknown:
                unknown += 1
            if acknowledged % 100 == 0:  # it reads too seldom for its queue of 50
                events += client.poll()
        wallet = client.account().wallet_atoms // 10**8
        assert acknowledged <= wallet <= acknowledged + unknown
        events += until_quiet(client)
        told = [e.wallet_atoms // 10**8 for e in events if isinstance(e, BalanceChanged)]
        assert told == list(range(1, wallet + 1)), "every event once, over all deaths"
        assert client.joins >= 4
        client.close()


def test_what_never_got_a_connection_says_that_nothing_happened() -> None:
    with pytest.raises(NotSent, match="Nothing was sent"):
        Client("tcp://127.0.0.1:9", account=1, timeout_s=0.2)


def test_an_operators_command_is_never_sent_twice(node) -> None:
    """The operator's door numbers no events: what was under way when the connection ended is not known."""
    cable = Cable(node.admin)
    with AdminClient(cable.endpoint) as admin:
        admin.deposit_fund(0, 1)
        cable.is_clogged = True
        cutter = threading.Timer(0.3, lambda: (cable.cut(), setattr(cable, "is_clogged", False)))
        cutter.start()
        with pytest.raises(OutcomeUnknown) as unknown:
            admin.deposit_fund(0, 2)
        assert [command.amount_atoms for command in unknown.value.commands] == [2 * 10**8]
        assert admin.funds().funds[0] == 1_000_001 * 10**8
        assert isinstance(unknown.value, ExchangeError)
        cutter.join()
    cable.close()
