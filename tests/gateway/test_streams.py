"""The private stream over real sockets: whoever comes back, after whatever, is told every event once and in order."""

from __future__ import annotations

import signal
from pathlib import Path

import msgspec
import pytest
from stream_client import StreamClient, Told, is_unbroken

from exchange.gateway.event_log import Entry, Memory
from exchange.protocol.messages import (
    Accepted,
    BalanceChanged,
    CancelAll,
    Deposit,
    Fill,
    PlaceOrder,
)
from exchange.protocol.schema import Side, TimeInForce

RICH = 10**15
PRICE = 600_000


def order(account: int, side: Side, lots: int, **options: int) -> PlaceOrder:
    return PlaceOrder(
        account=account, symbol=1, side=side, price_ticks=PRICE, qty_lots=lots, **options
    )


def trade_at(endpoint: str, maker: StreamClient, taker: StreamClient) -> None:
    """Both have money, and the maker an order that 400 fills will eat."""
    for client, account in ((maker, 7), (taker, 8)):
        client.ask(1, "login", account=account)
        client.send(Deposit(account=account, amount_atoms=RICH))
    maker.send(order(7, Side.SELL, 400), first_id=2)
    maker.read_up_to(4)


def take(taker: StreamClient, count: int, first_id: int = 10) -> None:
    takes = [order(8, Side.BUY, 1, time_in_force=TimeInForce.IOC) for _ in range(count)]
    taker.send(*takes, first_id=first_id)


def take_all(taker: StreamClient, count: int) -> None:
    """The same, and they are carried out."""
    take(taker, count)
    taker.ask(2, "login", account=8)


def test_positions_count_every_event_of_the_account_whoever_caused_it(node, stream_client) -> None:
    maker, taker = stream_client(node.orders), stream_client(node.orders)
    trade_at(node.orders, maker, taker)
    take(taker, 10)
    number = taker.ask(2, "login", account=8)["number"]
    taker.read_up_to(number)
    assert is_unbroken(taker.told)
    end = maker.ask(3, "login", account=7)["number"]
    maker.read_up_to(end)
    assert is_unbroken(maker.told)
    assert sum(isinstance(one.event, Fill) for one in maker.told) == 10
    assert {one.request_id for one in maker.told} == {0, 1, 2}


def test_a_reconnect_in_the_middle_of_fills_gives_every_event_once_and_in_order(
    node, stream_client
) -> None:
    maker, taker = stream_client(node.orders), stream_client(node.orders)
    trade_at(node.orders, maker, taker)
    for at in range(57):
        take(taker, 4, first_id=10 + 7 * at)
        if at % 3:
            maker.read()
        heard = maker.told
        maker.break_off()
        take(taker, 3, first_id=14 + 7 * at)
        maker.told = []
        answer = maker.ask(
            9, "login", account=7, after=heard[-1].number, epoch=node.node.streams.epoch
        )
        assert answer["missed"] is False
        maker.told = heard + maker.told
    taker.ask(2, "login", account=8)
    maker.read_up_to(node.node.streams.number(7))
    assert is_unbroken(maker.told)
    fills = [one.event for one in maker.told if isinstance(one.event, Fill)]
    assert [fill.open_lots for fill in fills] == list(range(399, 0, -1))


class ForgetfulLog:
    """Drops the fourth event of what is read."""

    def __init__(self, log: Memory) -> None:
        self._log = log

    def read(self, *arguments: int) -> list[Entry]:
        entries = list(self._log.read(*arguments))
        return entries[:3] + entries[4:]


def test_the_check_notices_one_event_that_is_missing_from_a_replay(node, stream_client) -> None:
    """Of the test above: a log that drops one event in a replay does not get past ``is_unbroken``."""
    maker, taker = stream_client(node.orders), stream_client(node.orders)
    trade_at(node.orders, maker, taker)
    take_all(taker, 20)
    node.node.courier._log = ForgetfulLog(node.node.streams)
    end = node.node.streams.number(7)
    before = maker.told[:4]
    maker.break_off()
    maker.told = []
    maker.ask(9, "login", account=7, after=before[-1].number)
    while maker.read(300):
        pass
    heard = before + maker.told
    fills = [one.event.open_lots for one in heard if isinstance(one.event, Fill)]
    assert not (
        is_unbroken(heard) and heard[-1].number == end and fills == list(range(399, 379, -1))
    )


def replayed(trader: StreamClient, account: int, **arguments: int) -> list[Told]:
    """What a new connection is told after the answer to its login."""
    trader.told = []
    answer = trader.ask(9, "login", account=account, **arguments)
    assert answer["missed"] is False
    trader.read_up_to(answer["number"])
    return trader.told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_numbers_and_events_survive_the_node(serve, stream_client, number: int) -> None:
    """A clean stop has them beside the snapshot, a crash in the journal: the same events under the same numbers."""
    first = serve("--durability", "always")
    maker, taker = stream_client(first.ready["orders"]), stream_client(first.ready["orders"])
    trade_at(first.ready["orders"], maker, taker)
    take_all(taker, 150)
    answer = maker.ask(8, "login", account=7)
    maker.read_up_to(answer["number"])
    told = maker.told
    first.stop(number)
    second = serve()
    maker.break_off(second.ready["orders"])
    again = replayed(maker, 7, after=50, epoch=answer["epoch"])
    assert [(one.number, one.event) for one in again] == [
        (one.number, one.event) for one in told[50:]
    ]
    maker.send(order(7, Side.SELL, 1), first_id=77)
    maker.read_up_to(len(told) + 2)
    assert is_unbroken(told[:50] + maker.told)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_node_that_ends_in_the_middle_of_fills_goes_on_where_it_was(
    serve, stream_client, number: int
) -> None:
    """Whatever of the fills was done is told once, in order: before the end, or after it in the replay."""
    first = serve("--durability", "always")
    maker, taker = stream_client(first.ready["orders"]), stream_client(first.ready["orders"])
    trade_at(first.ready["orders"], maker, taker)
    for at in range(60):
        take(taker, 5, first_id=10 + 5 * at)
    for _ in range(3):
        maker.read()
    first.stop(number)
    while maker.read(100):
        pass
    told, maker.told = maker.told, []
    second = serve()
    maker.break_off(second.ready["orders"])
    answer = maker.ask(9, "login", account=7, after=told[-1].number)
    assert answer["missed"] is False
    if answer["number"] > told[-1].number:
        maker.read_up_to(answer["number"])
    assert is_unbroken(told + maker.told)
    left = [one.event.open_lots for one in told + maker.told if isinstance(one.event, Fill)]
    assert left == list(range(399, 399 - len(left), -1))
    assert left
    (resting,) = maker.ask(10, "get_open_orders", account=7)["open_orders"]
    assert resting["open_lots"] == left[-1]


def test_after_a_crash_and_a_clean_stop_the_epoch_is_the_same(serve, stream_client) -> None:
    epochs = []
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
        node = serve("--durability", "always")
        client = stream_client(node.ready["orders"])
        epochs.append(client.ask(1, "login", account=7)["epoch"])
        client.send(Deposit(account=7, amount_atoms=1))
        client.read()
        node.stop(number)
    assert len(set(epochs)) == 1


def test_without_what_was_remembered_the_epoch_is_another_and_the_client_is_told(
    start_node, stream_client
) -> None:
    running = start_node()
    client = stream_client(running.orders)
    client.ask(1, "login", account=7)
    client.send(Deposit(account=7, amount_atoms=1))
    epoch = client.ask(2, "login", account=7)["epoch"]
    running.stop()
    (streams,) = (running.node.config.data / "snapshots").glob("*.streams")
    streams.write_bytes(streams.read_bytes()[:-1])
    again = start_node()
    assert any("streams_lost" in line for line in again.said)
    client.break_off(again.orders)
    answer = client.ask(3, "login", account=7, after=2, epoch=epoch)
    assert answer["missed"] is True
    assert answer["epoch"] != epoch
    running = again
    running.stop()
    third = start_node()
    client.break_off(third.orders)
    assert client.ask(3, "login", account=7)["epoch"] == answer["epoch"]


def told_before_durable(data: Path) -> Path:
    return data / "told-before-durable"


@pytest.mark.parametrize("has_crashed", [False, True])
def test_who_tells_before_the_disk_has_it_counts_anew_after_a_crash_of_the_machine(
    serve, stream_client, tmp_path: Path, has_crashed: bool
) -> None:
    """A node that is killed loses nothing; a machine that stops may, and its next boot has another name."""
    first = serve("--durability", "interval")
    client = stream_client(first.ready["orders"])
    client.ask(1, "login", account=7)
    client.send(*[Deposit(account=7, amount_atoms=1)] * 5)
    client.read_up_to(10)
    epoch = client.ask(2, "login", account=7)["epoch"]
    first.stop(signal.SIGKILL)
    mark = told_before_durable(tmp_path / "data")
    assert mark.exists()
    if has_crashed:
        mark.write_text("the boot before this one")
    second = serve("--durability", "always")
    assert not mark.exists()
    client.break_off(second.ready["orders"])
    client.told = []
    answer = client.ask(3, "login", account=7, after=4, epoch=epoch)
    assert (answer["missed"], answer["epoch"] != epoch) == (has_crashed, has_crashed)
    second.stop(signal.SIGKILL)
    third = serve("--durability", "always")
    client.break_off(third.ready["orders"])
    assert client.ask(4, "login", account=7, after=4, epoch=answer["epoch"])["missed"] is False


def test_a_clean_end_leaves_no_mark(serve, stream_client, tmp_path: Path) -> None:
    node = serve("--durability", "off")
    assert told_before_durable(tmp_path / "data").exists()
    node.stop(signal.SIGTERM)
    assert not told_before_durable(tmp_path / "data").exists()


def test_a_client_that_keeps_its_routing_id_comes_back_too(node, stream_client) -> None:
    """While the old connection is not taken down yet, nobody hears the new one: it tries again."""
    client = stream_client(node.orders, identity=b"desk7")
    client.ask(1, "login", account=7)
    client.send(*[Deposit(account=7, amount_atoms=1)] * 20)
    client.read_up_to(40)
    for _ in range(100):
        client.socket.close(linger=0)
        client.connect(b"desk7")
        client.told = []
        client.control(2, "login", account=7, after=15)
        if client.read(200):
            break
    client.read_up_to(40)
    assert client.answer(2)["missed"] is False
    assert [one.number for one in client.told] == list(range(16, 41))
    client.send(Deposit(account=7, amount_atoms=1), first_id=50)
    client.read_up_to(42)
    assert client.told[-1].request_id == 50


def test_a_replay_tells_the_same_client_which_requests_were_done(node, stream_client) -> None:
    """The reply never came: the replay carries the request id, for this client and for nobody else."""
    client = stream_client(node.orders)
    client.ask(1, "login", account=7, client=12345)
    client.send(Deposit(account=7, amount_atoms=RICH), CancelAll(account=7), first_id=41)
    other = stream_client(node.orders)
    while other.ask(1, "login", account=7)["number"] < 3:
        pass
    client.break_off()
    mine = replayed(client, 7, after=0, client=12345)
    assert [(one.request_id, type(one.event)) for one in mine] == [
        (41, Accepted),
        (41, BalanceChanged),
        (42, Accepted),
    ]
    assert {one.request_id for one in replayed(other, 7, after=0, client=999)} == {0}
    nobody = stream_client(node.orders)
    assert {one.request_id for one in replayed(nobody, 7, after=0)} == {0}


def test_commands_that_are_sent_during_a_replay_get_their_replies(node, stream_client) -> None:
    client = stream_client(node.orders)
    client.ask(1, "login", account=7)
    for _ in range(10):
        client.send(*[Deposit(account=7, amount_atoms=1)] * 500)
    client.read_up_to(10_000)
    client.break_off()
    client.told = []
    client.control(1, "login", account=7, after=0)
    client.send(Deposit(account=7, amount_atoms=5), first_id=88)
    client.control(2, "get_account")
    client.read_up_to(10_002)
    assert is_unbroken(client.told)
    assert [one.request_id for one in client.told[-3:]] == [0, 88, 88]
    assert client.answer(2)["wallet_atoms"] == 5005


def test_a_login_that_is_behind_what_is_remembered_is_told_so(
    start_node, config, stream_client
) -> None:
    """64 KiB hold some 600 deposits of two events; the first of 2,000 are gone."""
    node = start_node(limits=msgspec.structs.replace(config.limits, remembered_bytes=1 << 16))
    client = stream_client(node.orders)
    client.ask(1, "login", account=7)
    client.send(*[Deposit(account=7, amount_atoms=1)] * 2000)
    client.read_up_to(4000)
    client.break_off()
    assert client.ask(2, "login", account=7, after=5)["missed"] is True
    assert client.ask(3, "login", account=7, after=4001)["missed"] is True
    client.told = []
    answer = client.ask(4, "login", account=7, after=3900)
    client.read_up_to(4000)
    assert (answer["missed"], [one.number for one in client.told]) == (
        False,
        list(range(3901, 4001)),
    )


def test_two_sessions_of_an_account_both_hear_all_of_it(node, stream_client) -> None:
    """One sees its replies as replies, the other the same events as notices; the numbers are the same."""
    first, second = stream_client(node.orders), stream_client(node.orders)
    for client in (first, second):
        client.ask(1, "login", account=7)
    first.send(Deposit(account=7, amount_atoms=5), first_id=3)
    second.read_up_to(2)
    second.send(Deposit(account=7, amount_atoms=5), first_id=4)
    for client, own in ((first, [3, 3, 0, 0]), (second, [0, 0, 4, 4])):
        client.read_up_to(4)
        assert is_unbroken(client.told)
        assert [one.request_id for one in client.told] == own
