"""A node with keys: who may come in, as what, and what becomes of those who may not."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from exchange.client import AdminClient, AsyncClient, Client, ClientTimeout, RequestRefused
from exchange.config import SecurityConfig
from exchange.gateway.connection import TRADERS_DOOR, Refusal
from exchange.gateway.greeting import Login
from exchange.gateway.permission import NOBODY, Permission, Role
from exchange.gateway.sessions import Sessions
from exchange.keys import (
    AuthorisedKey,
    ClientKeys,
    authorise,
    new_pair,
    read_server_keys,
    revoke,
    write_server_keys,
)
from exchange.protocol.messages import Deposit, PlaceOrder, SetMark, SettleFunding
from exchange.protocol.wire import encode_command_wire

SHORT_S = 0.4


class Keyed:
    """A running node with keys, and keys made for whoever is asked for."""

    def __init__(self, start_node: Callable[..., Any], folder: Path, **security: Any) -> None:
        self.folder = folder
        write_server_keys(folder)
        self.server_key = read_server_keys(folder).public_key
        self.keys: dict[str, ClientKeys] = {}
        for name, role, accounts in (
            ("seven", Role.TRADER, (7,)),
            ("eight", Role.TRADER, (8,)),
            ("both", Role.TRADER, (7, 8)),
            ("reader", Role.READ_ONLY, (7,)),
            ("ops", Role.ADMIN, ()),
            ("feed", Role.FEED, ()),
        ):
            self.add(name, role, accounts)
        self.running = start_node(security=SecurityConfig(keys=folder, **security))
        self.orders, self.admin = self.running.orders, self.running.admin
        self.market_data = self.running.market_data

    def add(self, name: str, role: Role, accounts: tuple[int, ...] = ()) -> ClientKeys:
        public_key, secret_key = new_pair()
        authorise(self.folder, AuthorisedKey(name, public_key, role, accounts))
        self.keys[name] = ClientKeys(public_key, secret_key, self.server_key)
        return self.keys[name]

    def client(self, name: str, account: int = 0, timeout_s: float = 5.0) -> Client:
        return Client(self.orders, account, keys=self.keys[name], timeout_s=timeout_s)

    def operator(self, name: str = "ops", timeout_s: float = 5.0) -> AdminClient:
        return AdminClient(self.admin, keys=self.keys[name], timeout_s=timeout_s)


@pytest.fixture
def keyed(start_node, tmp_path: Path) -> Keyed:
    return Keyed(start_node, tmp_path / "keys")


def dealer(endpoint: str, keys: ClientKeys | None, routing_id: bytes = b"") -> zmq.Socket[bytes]:
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.linger, socket.rcvtimeo = 0, 5000
    if keys is not None:
        keys.connect(socket)
    if routing_id:
        socket.routing_id = routing_id
    socket.connect(endpoint)
    return socket


def ask(socket: zmq.Socket[bytes], name: str, **arguments: object) -> dict[str, Any]:
    socket.send(msgspec.msgpack.encode([0, 1, name, arguments]))
    return msgspec.msgpack.decode(socket.recv())[2]


@pytest.fixture
def opened() -> Iterator[list[zmq.Socket[bytes]]]:
    sockets: list[zmq.Socket[bytes]] = []
    yield sockets
    for socket in sockets:
        socket.close()


# ------------------------------------------------------------------------------------------ who comes in


def test_with_its_key_a_client_trades_as_without(keyed: Keyed) -> None:
    with keyed.client("seven", 7) as seven, keyed.client("eight", 8) as eight:
        seven.deposit(100_000)
        eight.deposit(100_000)
        seven.limit("BTC-PERP", "buy", "0.01", 60_000)
        result = eight.limit("BTC-PERP", "sell", "0.01", 60_000)
        assert [fill.qty_lots for fill in result.fills] == [10]
        assert seven.about["encrypted"] is True


def test_the_asyncio_client_and_market_data_are_encrypted_too(keyed: Keyed) -> None:
    async def trade() -> int:
        async with AsyncClient(keyed.orders, 7, keys=keyed.keys["seven"]) as client:
            await client.deposit(100_000)
            mirror = await client.book_mirror("BTC-PERP")
            await client.limit("BTC-PERP", "buy", "0.01", 59_000)
            await mirror.update()
            mirror.close()
            return len(mirror.mirror.bids)

    assert asyncio.run(trade()) == 1


def test_a_sync_subscription_comes_with_the_clients_key(keyed: Keyed) -> None:
    with keyed.client("reader", 7) as reader, reader.book_mirror("BTC-PERP") as book:
        with keyed.client("eight", 8) as eight:
            eight.deposit(100_000)
            eight.limit("BTC-PERP", "buy", "0.01", 59_000)
            for _ in range(100):
                if book.mirror.bids:
                    break
                book.update(1.0)
        assert len(book.mirror.bids) == 1


def refused(make: Callable[[], object]) -> None:
    with pytest.raises(ClientTimeout, match="are yours in its list"):
        make()


def test_no_key_no_entry(keyed: Keyed) -> None:
    for connect in (Client, AdminClient):
        endpoint = keyed.orders if connect is Client else keyed.admin
        refused(lambda connect=connect, endpoint=endpoint: connect(endpoint, timeout_s=SHORT_S))
    subscriber = zmq.Context.instance().socket(zmq.SUB)
    subscriber.subscribe(b"")
    subscriber.connect(keyed.market_data)
    with keyed.client("seven", 7) as seven:
        seven.deposit(100_000)
        seven.limit("BTC-PERP", "buy", "0.01", 59_000)
        assert subscriber.poll(int(SHORT_S * 1000)) == 0
    subscriber.close()


def test_a_key_that_is_not_in_the_list_does_not_come_in(keyed: Keyed) -> None:
    stranger = ClientKeys(*new_pair(), keyed.server_key)
    refused(lambda: Client(keyed.orders, 7, keys=stranger, timeout_s=SHORT_S))
    assert keyed.running.node.server.guard.refused_handshakes >= 1
    assert any(stranger.public_key in text for text in keyed.running.said)


def test_anothers_public_key_is_of_no_use_without_its_secret(keyed: Keyed) -> None:
    thief = ClientKeys(keyed.keys["seven"].public_key, new_pair()[1], keyed.server_key)
    refused(lambda: Client(keyed.orders, 7, keys=thief, timeout_s=SHORT_S))


def test_a_client_that_knows_another_servers_key_does_not_talk_to_this_one(keyed: Keyed) -> None:
    own = keyed.keys["seven"]
    misled = ClientKeys(own.public_key, own.secret_key, new_pair()[0])
    refused(lambda: Client(keyed.orders, 7, keys=misled, timeout_s=SHORT_S))
    with Client(keyed.orders, 7, keys=misled, server_key=keyed.server_key) as client:
        assert client.account_number == 7


def test_a_key_opens_the_doors_of_its_role_only(keyed: Keyed) -> None:
    for name in ("seven", "reader"):
        refused(lambda name=name: keyed.operator(name, SHORT_S))
    for name in ("ops", "feed"):
        refused(lambda name=name: keyed.client(name, timeout_s=SHORT_S))


# ------------------------------------------------------------------------------------------------ as what


def test_an_account_acts_for_itself_alone(keyed: Keyed) -> None:
    with keyed.client("eight", 8) as eight:
        eight.deposit(1000)
        with pytest.raises(RequestRefused, match="may not log in for account 7") as raised:
            eight.login(7)
        assert raised.value.code == "forbidden"
        assert eight.account_number == 8
        for question in (eight.account, eight.positions, eight.open_orders, eight.fills):
            with pytest.raises(RequestRefused, match="not logged in for account 7"):
                question(account=7)
        for command in (
            Deposit(account=7, amount_atoms=5),
            PlaceOrder(account=7, symbol=1, side=0),
        ):
            with pytest.raises(RequestRefused):
                eight.send(command)
        before = keyed.running.node.engine.sequence
        with pytest.raises(RequestRefused):
            eight.send_many(
                [Deposit(account=8, amount_atoms=5), Deposit(account=7, amount_atoms=5)]
            )
        assert keyed.running.node.engine.sequence == before


def test_a_key_may_be_for_several_accounts(keyed: Keyed) -> None:
    with keyed.client("both", 7) as both:
        both.deposit(1000)
        both.login(8)
        both.deposit(500)
        assert both.account(7).wallet_atoms == 2 * both.account(8).wallet_atoms


def test_read_only_sees_everything_of_its_account_and_changes_nothing(keyed: Keyed) -> None:
    with keyed.client("seven", 7) as seven, keyed.client("reader", 7) as reader:
        seven.deposit(100_000)
        seven.limit("BTC-PERP", "buy", "0.01", 59_000)
        assert len(reader.open_orders()) == 1
        assert next(reader.events(5.0)).account == 7
        before = keyed.running.node.engine.sequence
        for act in (reader.cancel_all, lambda: reader.deposit(1), lambda: reader.withdraw(1)):
            with pytest.raises(RequestRefused) as raised:
                act()
            assert raised.value.code == "forbidden"
        assert keyed.running.node.engine.sequence == before
        with pytest.raises(RequestRefused, match="may not log in for account 8"):
            reader.login(8)


def test_a_feed_sets_marks_and_prices_and_nothing_else(keyed: Keyed) -> None:
    with keyed.operator("feed") as feed:
        feed.set_mark("BTC-PERP", 61_000)
        with pytest.raises(RequestRefused, match="sends set_mark and set_price only"):
            feed.send(SettleFunding(symbol=1, payment_atoms_per_lot=5))
        before = keyed.running.node.engine.sequence
        with pytest.raises(RequestRefused, match="forbidden"):
            feed.deposit_fund(0, 1000)
        with pytest.raises(RequestRefused, match="forbidden"):
            feed.send_many(
                [SetMark(symbol=1, price_ticks=5), SettleFunding(symbol=1, payment_atoms_per_lot=5)]
            )
        for name in ("get_status", "take_snapshot", "reload_keys", "get_account"):
            with pytest.raises(RequestRefused, match="market feed") as raised:
                feed._do(feed._ask.question, name)
            assert raised.value.code == "forbidden"
        assert keyed.running.node.engine.sequence == before


def test_the_operator_needs_its_own_key_and_may_do_all_of_its_door(keyed: Keyed) -> None:
    with keyed.operator() as ops:
        ops.set_mark("BTC-PERP", 61_000)
        assert ops.status()["security"]["connections"] == 1
        assert ops.account(7).wallet_atoms == 0


# ------------------------------------------------------------------------------------------ keys that change


def test_a_key_added_while_the_node_runs_is_good_after_the_reload(keyed: Keyed) -> None:
    keyed.add("nine", Role.TRADER, (9,))
    refused(lambda: keyed.client("nine", 9, SHORT_S))
    with keyed.operator() as ops:
        assert ops.reload_keys() == {"authorised": 7, "revoked": [], "cut": 0}
    with keyed.client("nine", 9) as nine:
        nine.deposit(1)


def until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return true()


def test_a_revoked_key_is_cut_and_does_not_come_back(keyed: Keyed, opened) -> None:
    subscriber = zmq.Context.instance().socket(zmq.SUB)
    opened.append(subscriber)
    keyed.keys["eight"].connect(subscriber)
    subscriber.subscribe(b"book.BTC-PERP")
    subscriber.connect(keyed.market_data)
    assert subscriber.poll(5000)
    trader = dealer(keyed.orders, keyed.keys["eight"])
    opened.append(trader)
    assert "error" not in ask(trader, "login", account=8)
    with keyed.operator() as ops, keyed.client("seven", 7) as seven:
        revoke(keyed.folder, "eight")
        assert ops.reload_keys() == {"authorised": 5, "revoked": ["eight"], "cut": 2}
        guard = keyed.running.node.server.guard
        assert until(lambda: len(guard) == 2)  # the operator and seven are left
        while subscriber.poll(0):
            subscriber.recv_multipart()
        seven.deposit(100_000)
        seven.limit("BTC-PERP", "buy", "0.01", 59_000)
        assert subscriber.poll(int(SHORT_S * 1000)) == 0
        with contextlib.suppress(
            zmq.Again
        ):  # libzmq itself has given up: there is nobody to send to
            trader.send(encode_command_wire(Deposit(account=8, amount_atoms=5), 3), zmq.DONTWAIT)
        assert trader.poll(int(SHORT_S * 1000)) == 0
        assert ops.account(8).wallet_atoms == 0


def test_fewer_accounts_hold_at_once_for_a_session_that_is_there(keyed: Keyed) -> None:
    with keyed.client("both", 7) as both, keyed.operator() as ops:
        both.login(8)
        revoke(keyed.folder, "both")
        key = AuthorisedKey("both", keyed.keys["both"].public_key, Role.TRADER, (8,))
        authorise(keyed.folder, key)
        assert ops.reload_keys()["cut"] == 0
        both.deposit(5)
        with pytest.raises(RequestRefused):
            both.send(Deposit(account=7, amount_atoms=5))
        with pytest.raises(RequestRefused, match="may not log in for account 7"):
            both.login(7)


def test_a_broken_list_changes_nothing_and_is_told(keyed: Keyed) -> None:
    (keyed.folder / "authorised_keys.toml").write_text("[[key]]")
    with keyed.operator() as ops, keyed.client("seven", 7) as seven:
        answer = ops.reload_keys()
        assert "the keys are as before" in answer["problem"]
        seven.deposit(5)


def test_sighup_reads_the_list_again(serve, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    server_key = write_server_keys(folder).public_key
    pair = new_pair()
    config = tmp_path / "secured.toml"
    config.write_text(
        f'[security]\nkeys = "{folder}"\n[endpoints]\norders = "tcp://127.0.0.1:*"\n'
        f'market_data = "tcp://127.0.0.1:*"\nadmin = "tcp://127.0.0.1:*"\n'
    )
    process = serve("--config", str(config))
    authorise(folder, AuthorisedKey("desk", pair[0], Role.TRADER, (7,)))
    process.process.send_signal(signal.SIGHUP)
    keys = ClientKeys(*pair, server_key)
    with Client(process.ready["orders"], 7, keys=keys, timeout_s=10) as client:
        client.deposit(5)
    code, errors = process.stop(signal.SIGTERM)
    assert code == 0
    assert "keys_reloaded" in errors


# ------------------------------------------------------------------------------------- whose session it is


def test_a_routing_id_of_ones_own_choice_is_refused_where_there_are_keys(
    keyed: Keyed, opened
) -> None:
    """Who could choose it could wait for another to leave, take its id, and hear what was meant for that one."""
    for routing_id in (b"x", b"seven", b"x" * 255):
        socket = dealer(keyed.orders, keyed.keys["seven"], routing_id)
        opened.append(socket)
        assert ask(socket, "login", account=7)["error"] == "forbidden"
    assert len(keyed.running.node.sessions) == 0


def test_a_frame_of_another_user_never_meets_the_session_of_the_first() -> None:
    permissions = {
        "A": Permission(Role.TRADER, frozenset({7})),
        "B": Permission(Role.TRADER, frozenset({8})),
    }
    sessions = Sessions(10, permission_of=lambda user: permissions.get(user, NOBODY))
    peer = b"\0\0\0\0\1"
    first = sessions.find(TRADERS_DOOR, peer, "A")
    assert first is not None
    sessions.login(first, Login(7))
    assert sessions.find(TRADERS_DOOR, peer, "A") is first
    second = sessions.find(TRADERS_DOOR, peer, "B")
    assert second is not None
    assert second is not first
    assert (second.accounts, second.permission) == ({}, permissions["B"])
    assert sessions.of_account(7) == []
    command = encode_command_wire(Deposit(account=7, amount_atoms=5), 4)
    assert isinstance(second.receive(command), Refusal)
    third = sessions.find(TRADERS_DOOR, peer, "revoked")
    assert third is not None
    login = msgspec.msgpack.encode([0, 1, "login", {"account": 7}])
    refusals = [third.receive(frame) for frame in (command, login, command)]
    assert [refusal.code for refusal in refusals if isinstance(refusal, Refusal)] == [
        "not_logged_in",
        "forbidden",
        "not_logged_in",
    ]
