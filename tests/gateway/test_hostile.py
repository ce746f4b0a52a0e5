"""Strangers at the ports of a node: whatever they send, an honest client is answered, and exactly as without them.

Attacks and what becomes of them are the table of docs/security.md; it names these tests.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq
from strangers import (
    GREETING,
    PATIENCE_S,
    Dealer,
    Stranger,
    control,
    message,
    port_of,
    ready,
    shake_hands,
    wait_until,
)

from exchange.client import AdminClient, Client
from exchange.config import SecurityConfig
from exchange.gateway.permission import Role
from exchange.gateway.security.guard import ConnectionLimits
from exchange.gateway.security.sockets import RESERVED_FILES, allowed_connections
from exchange.keys import AuthorisedKey, ClientKeys, authorise, new_pair, write_server_keys
from exchange.ops.log_events import FewerConnections, LogEvent

BTC = "BTC-PERP"
HASTY = SecurityConfig(handshake_ms=300, silence_ms=1000)
DEALER = GREETING + ready(b"DEALER")
MIB = 1 << 20


class Honest:
    """A client that trades while others do what they do, and knows what every answer has to be."""

    def __init__(self, node: Any, account: int = 9) -> None:
        self.client: Client = node.client(account, timeout_s=PATIENCE_S)
        self.client.deposit(1000)
        self.rounds = 0

    def trade(self) -> None:
        """One order in, one out; every answer is what it is on an empty exchange."""
        self.rounds += 1
        placed = self.client.limit(BTC, "buy", "0.001", 59_000)
        assert placed.status == "resting"
        assert [order.price_ticks for order in self.client.open_orders()] == [590_000]
        assert len(self.client.cancel_all().cancelled) == 1
        assert self.client.open_orders() == []
        assert self.client.account().wallet_atoms == 1000 * 10**8


@pytest.fixture
def hasty(start_node) -> Any:
    """A node with short patience, so that tests need little."""
    return start_node(security=HASTY)


@pytest.fixture
def strangers() -> Iterator[list[Any]]:
    """Whoever is put in here is closed at the end."""
    came: list[Any] = []
    yield came
    for stranger in came:
        stranger.close()


def memory_bytes(pid: int | None = None) -> int:
    """What a process has of the machine's memory; this one has the node in it."""
    words = ["ps", "-o", "rss=", "-p", str(pid or os.getpid())]
    return 1024 * int(subprocess.run(words, capture_output=True, check=True, text=True).stdout)


# ---------------------------------------------------------------------------------------- bombs in msgpack

U32 = b"\xff\xff\xff\xff"
DEEP = 500_000
BOMBS = {
    "an array that claims 2^32 elements": b"\xdd" + U32,
    "a map that claims 2^32 pairs": b"\xdf" + U32,
    "a text that claims 4 GiB": b"\xdb" + U32,
    "bytes that claim 4 GiB": b"\xc6" + U32,
    "an extension that claims 4 GiB": b"\xc9" + U32 + b"\x01",
    "a control whose name claims 4 GiB": b"\x94\x00\x01\xdb" + U32,
    "a control whose arguments claim 2^32 pairs": b"\x94\x00\x01\xa4ping\xdf" + U32,
    "an argument that claims 2^32 numbers": b"\x94\x00\x01\xa4ping\x81\xa1a\xdd" + U32,
    "a command of 2^32 fields": b"\xdd" + U32 + b"\x02\x01\x07",
    "a list of orders that claims 2^32": b"\x96\x0e\x01\x07\x00\x00\xdd" + U32,
    "arrays half a million deep": b"\x91" * DEEP + b"\x90",
    "maps three hundred thousand deep": b"\x81\xa1a" * 300_000 + b"\x80",
    "an argument half a million deep": b"\x94\x00\x01\xa4ping\x81\xa1a" + b"\x91" * DEEP + b"\x90",
    "a command half a million deep": b"\x94\x02\x01\x07" + b"\x91" * DEEP + b"\x01",
    "a million empty arrays": b"\x90" * 1_000_000,
    "a million nils": b"\xc0" * 1_000_000,
    "a command of -2^63": b"\x94\x02\x01\x07\xd3\x80" + bytes(7),
    "a command of 2^64-1": b"\x94\x02\x01\x07\xcf" + b"\xff" * 8,
    "an account of 2^64-1": b"\x94\x02\x01\xcf" + b"\xff" * 8 + b"\x01",
    "a request id of -1": b"\x94\x02\xff\x07\x01",
    "a type of 2^64-1": b"\x94\xcf" + b"\xff" * 8 + b"\x01\x07\x01",
    "a float that is not a number": b"\x94\x02\x01\x07\xcb\x7f\xf8" + bytes(6),
    "a float without end": b"\x94\x02\x01\x07\xcb\x7f\xf0" + bytes(6),
    "a request id of 2^64-1 in a control": b"\x94\x00\xcf" + b"\xff" * 8 + b"\xa4ping\x80",
    "a login for -2^63": b"\x94\x00\x01\xa5login\x81\xa7account\xd3\x80" + bytes(7),
    "a login for 2^64-1": b"\x94\x00\x01\xa5login\x81\xa7account\xcf" + b"\xff" * 8,
    "steps that claim 2^32 orders": control(
        1, "preview", steps=(b"\x96\x0e\x01\x07\x00\x00\xdd" + U32).hex()
    ),
    "steps that are deep": control(1, "preview", steps=(b"\x91" * 1000).hex()),
    "a depth of 2^63": control(1, "get_book", symbol=1, depth=1 << 63),
    "a limit of 2^63": control(1, "get_fills", limit=1 << 63),
    "ten thousand versions": control(1, "hello", versions=list(range(10_000, 20_000))),
    "a heartbeat of 2^63": control(1, "hello", versions=[1], heartbeat_ms=1 << 63),
}

#: What is a message of the exchange after all: the engine rejects it, or there is nothing to tell.
UNDERSTOOD = (
    "a command of -2^63",
    "a limit of 2^63",
    "a depth of 2^63",
    "a request id of 2^64-1 in a control",
)


def hears(node, *texts: str) -> bool:
    """Whether the node says one of these in a while: the guard cuts first, and says so then."""
    ends_at = time.monotonic() + PATIENCE_S
    while not any(text in said for said in node.said for text in texts):
        if time.monotonic() > ends_at:
            return False
        time.sleep(0.01)
    return True


def test_bombs_in_msgpack_are_answered_cost_nothing_and_change_nothing(node, strangers) -> None:
    """Each of them to both doors, between an honest client's requests; memory stays within 64 MiB."""
    honest = Honest(node)
    before = memory_bytes()
    for endpoint in (node.orders, node.admin):
        attacker = Dealer(endpoint)
        strangers.append(attacker)
        if endpoint == node.orders:
            attacker.ask("login", account=7)
        for name, bomb in BOMBS.items():
            (answer,) = attacker.answers_to(bomb)
            if name not in UNDERSTOOD:
                assert b"error" in answer, (name, answer[:200])
        honest.trade()
    assert memory_bytes() - before < 64 * MIB
    assert node.client(7).account().wallet_atoms == 0


EDGES = (
    -(1 << 63),
    -1,
    0,
    1 << 24,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
)
INTEGERS = {
    "hello": ("heartbeat_ms",),
    "login": ("account", "after", "epoch", "client"),
    "get_book": ("symbol", "depth"),
    "get_book_orders": ("symbol",),
    "get_statistics": ("symbol",),
    "get_account": ("account",),
    "get_positions": ("account",),
    "get_collateral": ("account",),
    "get_open_orders": ("account", "symbol"),
    "get_fills": ("account", "limit"),
    "preview": ("account",),
}


@pytest.mark.parametrize("door", ["orders", "admin"])
def test_integers_at_every_edge_are_answered(node, strangers, door: str) -> None:
    """Each whole number of each question at the edges of what msgpack can say: 187 questions, 187 answers."""
    honest = Honest(node)
    for name, arguments in INTEGERS.items():
        for argument in arguments:
            asking = Dealer(getattr(node, door))
            strangers.append(asking)
            asking.ask("login", account=7)
            good = {"hello": {"versions": [1]}, "login": {"account": 7}, "get_fills": {"limit": 1}}
            others = good.get(name, {"symbol": 1} if "symbol" in arguments else {})
            for edge in EDGES:
                frame = control(1, name, **{**others, argument: edge})
                assert len(asking.answers_to(frame)) >= 1, (name, argument, edge)
    honest.trade()


# ------------------------------------------------------------------------------------ garbage on the ports

NOISE = random.Random(5)
GARBAGE = {
    "nothing": b"",
    "one byte": b"\xff",
    "noise": NOISE.randbytes(5000),
    "noise that begins as ZMTP": b"\xff" + NOISE.randbytes(5000),
    "HTTP": b"GET / HTTP/1.1\r\nHost: exchange\r\nUser-Agent: curious\r\n\r\n" * 3,
    "a TLS hello": bytes.fromhex("16030100c8010000c40303") + NOISE.randbytes(200),
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "half a greeting": GREETING[:30],
    "a greeting and nothing": GREETING,
    "a greeting of CURVE": GREETING.replace(b"NULL\0", b"CURVE"),
    "a greeting of an unknown mechanism": GREETING.replace(b"NULL", b"EVIL"),
    "ZMTP 1": b"\x01\x00" + b"\x05\x00ping",
    "ZMTP 2": b"\xff" + bytes(7) + b"\x01\x7f" + b"\x01\x05\x00\x00",
    "a READY that claims 4 GiB": GREETING + b"\x06" + struct.pack(">Q", 1 << 32),
    "a READY of a kind that is none": GREETING + ready(b"SOMETHING"),
    "a READY cut short": GREETING + ready(b"DEALER")[:-3],
    "properties that lie": GREETING + b"\x04\x0a\x05READY\xff\xff\xff\xff",
    "an unknown command": GREETING + b"\x04\x05\x04EVIL",
    "an ERROR": GREETING + b"\x04\x08\x05ERROR\x01x",
}


@pytest.mark.parametrize("door", ["orders", "admin", "market_data"])
def test_garbage_on_a_port_is_hung_up_on(hasty, strangers, door: str) -> None:
    """HTTP, TLS, noise, old and half handshakes at every door: all closed, and trading goes on."""
    honest = Honest(hasty)
    endpoint = getattr(hasty, door)
    strangers += [Stranger(endpoint, data) for data in GARBAGE.values()]
    honest.trade()
    alive = [name for name, one in zip(GARBAGE, strangers, strict=True) if not one.is_cut()]
    assert not alive
    honest.trade()
    assert wait_until(lambda: len(hasty.node.server.guard) == 1)


def test_half_open_connections_are_closed(hasty, strangers) -> None:
    """Three hundred that connect and say nothing."""
    honest = Honest(hasty)
    strangers += [Stranger(hasty.orders) for _ in range(300)]
    honest.trade()
    assert all(stranger.is_cut() for stranger in strangers)
    assert wait_until(lambda: hasty.node.server.guard.failed_handshakes >= 300)
    honest.trade()


def drip(stranger: Stranger, data: bytes, pause_s: float) -> int:
    """Sends byte by byte until the node hangs up; how many it took."""
    for count, byte in enumerate(data):
        if not stranger.is_there() or not stranger.send(bytes((byte,))):
            return count
        time.sleep(pause_s)
    return len(data)


def test_a_byte_at_a_time_in_the_greeting(hasty, strangers) -> None:
    """Slow-loris: twenty greetings that would take 6 s each; all are cut, and nobody else notices."""
    honest = Honest(hasty)
    strangers += [Stranger(hasty.orders) for _ in range(20)]
    taken: list[int] = []
    drips = [
        threading.Thread(target=lambda one=one: taken.append(drip(one, GREETING, 0.1)))
        for one in strangers
    ]
    for thread in drips:
        thread.start()
    while any(thread.is_alive() for thread in drips):
        honest.trade()
    assert len(taken) == 20
    assert max(taken) < len(GREETING)


def test_a_byte_at_a_time_in_a_frame(hasty, strangers) -> None:
    """Slow-loris inside a message: no whole message within silence_ms, whatever trickles, and it is cut."""
    honest = Honest(hasty)
    half = DEALER + b"\x02" + struct.pack(">Q", 100_000)
    strangers += [Stranger(hasty.orders, half) for _ in range(20)]
    taken: list[int] = []
    drips = [
        threading.Thread(target=lambda one=one: taken.append(drip(one, bytes(1000), 0.1)))
        for one in strangers
    ]
    for thread in drips:
        thread.start()
    while any(thread.is_alive() for thread in drips):
        honest.trade()
    assert len(taken) == 20
    assert max(taken) < 1000


# ------------------------------------------------------------------------------------------- too large


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_a_message_above_the_bound_closes_its_connection_alone(
    start_node, config, tmp_path: Path, encrypted: bool
) -> None:
    """Exactly the bound is answered, one byte more closes the connection that it came by, and no other."""
    bound = 4096
    keys = None
    security = SecurityConfig()
    if encrypted:
        pair, server = new_pair(), write_server_keys(tmp_path / "keys").public_key
        authorise(tmp_path / "keys", AuthorisedKey("seven", pair[0], Role.TRADER, (7,)))
        keys = ClientKeys(*pair, server)
        security = SecurityConfig(keys=tmp_path / "keys")
    limits = msgspec.structs.replace(config.limits, max_message_bytes=bound)
    node = start_node(security=security, limits=limits)
    with contextlib.ExitStack() as stack:
        context = stack.enter_context(zmq.Context())
        sockets = []
        for _ in range(2):
            dealer = stack.enter_context(context.socket(zmq.DEALER))
            dealer.linger, dealer.rcvtimeo = 0, int(PATIENCE_S * 1000)
            if keys is not None:
                keys.connect(dealer)
            dealer.connect(node.orders)
            dealer.send(control(1, "ping"))
            dealer.recv()
            sockets.append(dealer)
        large, other = sockets
        large.send(bytes(bound))
        assert msgspec.msgpack.decode(large.recv())[2]["error"] == "malformed"
        guard = node.node.server.guard
        before = set(map(id, guard._connections.values()))
        large.send(bytes(bound + 1))
        assert wait_until(lambda: len(before & set(map(id, guard._connections.values()))) == 1)
        other.send(control(2, "ping"))
        assert "sequence" in msgspec.msgpack.decode(other.recv())[2]


def test_a_length_is_looked_at_before_memory_is_taken(hasty, strangers) -> None:
    """Two hundred frames that claim 1 TiB, and two hundred that claim the bound and send a byte: no memory."""
    honest = Honest(hasty)
    before = memory_bytes()
    strangers += [
        Stranger(hasty.orders, DEALER + b"\x02" + struct.pack(">Q", size) + b"x")
        for size in [1 << 40] * 200 + [MIB] * 200
    ]
    assert all(stranger.is_cut() for stranger in strangers)
    assert memory_bytes() - before < 64 * MIB
    honest.trade()


# -------------------------------------------------------------------------------------------- too many


def test_connections_of_one_address_are_counted(start_node, strangers) -> None:
    """Five may come; the sixth is closed at once, and there is room again when one leaves."""
    node = start_node(security=SecurityConfig(max_connections_per_address=5))
    honest = Honest(node)
    strangers += [Stranger(node.orders, DEALER) for _ in range(4)]
    guard = node.node.server.guard
    assert wait_until(lambda: len(guard) == 5)
    sixth = Stranger(node.orders, DEALER)
    assert sixth.is_cut()
    sixth.close()
    assert all(stranger.is_there() for stranger in strangers)
    assert hears(node, "connections of that address")
    honest.trade()
    strangers[0].close()
    assert wait_until(lambda: len(guard) == 4)
    seventh = Stranger(node.orders, DEALER)
    strangers.append(seventh)
    assert wait_until(lambda: len(guard) == 5)
    assert seventh.is_there()


def test_connections_of_all_doors_are_counted_together(start_node, strangers) -> None:
    node = start_node(security=SecurityConfig(max_connections=4))
    honest = Honest(node)
    strangers += [
        Stranger(node.market_data, GREETING + ready(b"SUB")),
        Stranger(node.admin, DEALER),
        Stranger(node.orders, DEALER),
    ]
    assert wait_until(lambda: len(node.node.server.guard) == 4)
    for endpoint in (node.orders, node.admin, node.market_data):
        refused = Stranger(endpoint, GREETING)
        assert refused.is_cut()
        refused.close()
    honest.trade()


def test_the_files_that_the_system_allows_bound_the_connections(start_node) -> None:
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    logged: list[LogEvent] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, most))
    try:
        wanted = ConnectionLimits(total=10_000, per_address=7, subscriptions=8)
        allowed = allowed_connections(wanted, logged.append)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    assert allowed == ConnectionLimits(1000 - RESERVED_FILES, 7, 8)
    assert logged == [FewerConnections(files=1000, wanted=10_000, allowed=1000 - RESERVED_FILES)]


CONNECTIONS_TOML = """
[security]
max_connections = 0
max_connections_per_address = 0
handshake_ms = 60_000
silence_ms = 600_000
[limits]
max_sessions = 20_000
[endpoints]
orders = "tcp://127.0.0.1:*"
market_data = "tcp://127.0.0.1:*"
admin = "tcp://127.0.0.1:*"
"""
WANTED_CONNECTIONS = 10_000
BYTES_OF_A_CONNECTION = 100_000  # measured: about a third of it


def test_ten_thousand_connections(serve, tmp_path: Path) -> None:
    """As many as the system lets two processes have, each with a session that was answered; memory is bounded."""
    config = tmp_path / "many.toml"
    config.write_text(CONNECTIONS_TOML)
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    count = min(WANTED_CONNECTIONS, most - 1000)
    process = serve("--config", str(config))
    endpoint = process.ready["orders"]
    strangers: list[Stranger] = []
    try:
        with Client(endpoint, 9, timeout_s=PATIENCE_S) as honest:
            before = memory_bytes(process.process.pid)
            ping = message(control(1, "ping"))
            while len(strangers) < count:
                room = min(500, count - len(strangers))
                wave = [Stranger(endpoint, DEALER) for _ in range(room)]
                strangers += wave
                for stranger in wave:
                    assert stranger.hears(b"READY")
                    stranger.send(ping)
                assert all(stranger.hears(b"sequence") for stranger in wave)
                honest.deposit(1)
            with AdminClient(process.ready["admin"], timeout_s=PATIENCE_S) as operator:
                assert operator.status()["security"]["connections"] == count + 2
                assert operator.status()["sessions"] == count + 2
            assert honest.account().wallet_atoms == -(-count // 500) * 10**8
            each = (memory_bytes(process.process.pid) - before) / count
            assert each < BYTES_OF_A_CONNECTION
    finally:
        for stranger in strangers:
            stranger.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))


# -------------------------------------------------------------------------------------- floods, and who pays


def test_a_flood_of_bad_frames_harms_its_sender_alone(node, strangers) -> None:
    """Fifty thousand frames of noise by one client: every request of another is answered as ever."""
    honest = Honest(node)
    attacker = Dealer(node.orders)
    strangers.append(attacker)
    attacker.ask("ping")
    before = node.node.engine.sequence
    noise = random.Random(3)
    frames = [noise.randbytes(noise.randrange(1, 200)) for _ in range(500)]
    sent = 0
    while sent < 50_000:
        for frame in frames:
            attacker.socket.send(frame, zmq.DONTWAIT)
        sent += len(frames)
        if sent % 5000 == 0:
            honest.trade()
    honest.trade()
    assert honest.rounds == 11
    assert node.node.engine.sequence == before + 2 * honest.rounds


def test_a_message_without_an_end_is_cut(node, strangers) -> None:
    """Parts that say that more come, up to ten million: the connection is cut long before."""
    honest = Honest(node)
    attacker = shake_hands(node.orders, b"DEALER")
    strangers.append(attacker)
    attacker.tcp.settimeout(1)  # what was cut may simply take nothing any more
    before = memory_bytes()
    part = b"\x01\x64" + bytes(100)
    sent = 0
    while sent < 10_000_000 and attacker.send(part * 1000):
        sent += 1000
    assert sent < 10_000_000
    assert memory_bytes() - before < 1024 * MIB
    assert hears(node, "owed no answer")
    honest.trade()


def test_subscriptions_by_the_million_are_cut_short(start_node, strangers) -> None:
    """A million topics of one subscriber: cut after the bound, memory stays, others get their market data."""
    node = start_node(security=SecurityConfig(max_subscriptions=1000))
    honest = Honest(node)
    with honest.client.subscribe(trades=BTC, book=BTC) as feed:
        assert feed.poll(PATIENCE_S)
        before = memory_bytes()
        attacker = shake_hands(node.market_data, b"SUB")
        strangers.append(attacker)
        for start in range(0, 1_000_000, 10_000):
            topics = (b"\x01t%07d" % number for number in range(start, start + 10_000))
            if not attacker.send(b"".join(map(message, topics))):
                break
        assert attacker.is_cut()
        # What was on its way is taken in before it is counted; 57 to 150 MB were seen.
        assert memory_bytes() - before < 512 * MIB
        # Either bound may be the first that is seen to be passed.
        assert hears(node, "subscriptions", "owed no answer")
        honest.trade()
        assert feed.poll(PATIENCE_S)


def test_a_topic_that_cannot_be_costs_the_connection(node, strangers) -> None:
    """A topic of 1 KiB is not kept as a tree a thousand deep; one of 1 MiB is not even read."""
    honest = Honest(node)
    for size in (1000, MIB):
        attacker = shake_hands(node.market_data, b"SUB")
        strangers.append(attacker)
        attacker.send(message(b"\x01" + bytes(size)))
        assert attacker.is_cut()
    honest.trade()


# --------------------------------------------------------------------------------------------- routing ids


def test_empty_and_longest_routing_ids_are_served(node) -> None:
    for routing_id in (b"", b"x", b"\x01" * 255):
        dealer = Dealer(node.orders, routing_id)
        assert "error" not in dealer.ask("login", account=7)
        dealer.close()


def test_a_routing_id_that_is_taken_is_not_taken_over(node) -> None:
    """While its first owner is there, libzmq takes nothing from a second one, and gives it nothing."""
    first = Dealer(node.orders, b"desk")
    assert first.ask("login", account=7)["account"] == 7
    second = Dealer(node.orders, b"desk")
    second.socket.rcvtimeo = 300
    second.socket.send(control(1, "login", account=8))
    with pytest.raises(zmq.Again):
        second.socket.recv()
    assert "sequence" in first.ask("ping")
    assert [set(session.accounts) for session in node.node.sessions] == [{7}]
    first.close()
    second.close()


# ----------------------------------------------------------------------------------------- replayed bytes


class Wiretap:
    """Stands between a client and a node, notes what the client sends, and can say it again."""

    def __init__(self, endpoint: str) -> None:
        self._to = ("127.0.0.1", port_of(endpoint))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.chunks: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        self._client, _ = self._listener.accept()
        self.upstream = socket.create_connection(self._to)
        back = threading.Thread(target=self._pipe, args=(self.upstream, self._client, []))
        back.start()
        self._pipe(self._client, self.upstream, self.chunks)
        back.join()

    @staticmethod
    def _pipe(source: socket.socket, sink: socket.socket, noted: list[bytes]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                noted.append(data)
                sink.sendall(data)

    def close(self) -> None:
        for end in (self._client, self.upstream):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for end in (self._client, self.upstream, self._listener):
            end.close()


def test_replayed_frames_are_not_taken_a_second_time(start_node, tmp_path: Path) -> None:
    """Who listens on the line and repeats a deposit, at once or by a connection of its own, deposits nothing."""
    folder = tmp_path / "keys"
    pair, server = new_pair(), write_server_keys(folder).public_key
    authorise(folder, AuthorisedKey("seven", pair[0], Role.TRADER, (7,)))
    node = start_node(security=SecurityConfig(keys=folder))
    wiretap = Wiretap(node.orders)
    client = Client(wiretap.endpoint, 7, keys=ClientKeys(*pair, server), timeout_s=PATIENCE_S)
    noted = len(wiretap.chunks)
    client.deposit(5)
    deposit = b"".join(wiretap.chunks[noted:])
    assert b"deposit" not in deposit
    assert client.account().wallet_atoms == 5 * 10**8
    before = node.node.engine.sequence
    guard = node.node.server.guard
    wiretap.upstream.sendall(deposit)  # the same bytes in the same connection
    assert wait_until(lambda: len(guard) == 0)
    stranger = Stranger(
        node.orders, b"".join(wiretap.chunks)
    )  # the whole conversation in a new one
    assert stranger.is_cut()
    stranger.close()
    assert node.node.engine.sequence == before
    client.close()
    wiretap.close()
