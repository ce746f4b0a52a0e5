"""Whatever a client sends: an answer, never a journaled command, never a dead node."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import zmq

from exchange.gateway.connection import TRADERS_DOOR, Commands, Query, Refusal
from exchange.gateway.greeting import Login
from exchange.gateway.sessions import NEXT_STATE, REFUSALS, Input, Session, Sessions, State
from exchange.protocol.messages import BalanceChanged, Deposit, PlaceOrder, SetMark
from exchange.protocol.wire import decode_events_wire, encode_command_wire


class Raw:
    """A DEALER that sends bytes, as a client in any language would."""

    def __init__(self, endpoint: str) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.rcvtimeo = 5000
        self.socket.connect(endpoint)

    def ask(self, *parts: bytes) -> Any:
        self.socket.send_multipart(parts)
        return self.reply()

    def reply(self) -> Any:
        payload = self.socket.recv()
        return msgspec.msgpack.decode(payload) if payload[1] == 0 else decode_events_wire(payload)

    def close(self) -> None:
        self.socket.close()
        self.context.term()


@pytest.fixture
def raw(node) -> Iterator[Raw]:
    client = Raw(node.orders)
    yield client
    client.close()


def control(request_id: int, name: str, **arguments: object) -> bytes:
    return msgspec.msgpack.encode([0, request_id, name, arguments])


def test_the_protocol_by_hand(raw: Raw) -> None:
    """Login, a command, its reply: nothing but msgpack arrays."""
    assert raw.ask(control(1, "login", account=7))[:2] == [0, 1]
    (id_1, accepted), (id_2, changed) = raw.ask(msgspec.msgpack.encode([2, 9, 7, 500]))
    assert (id_1, id_2) == (9, 9)
    assert (accepted.command, changed.wallet_atoms) == (2, 500)


def test_nobody_has_to_wait_for_the_answer_to_a_login(raw: Raw) -> None:
    for account in (7, 8, 9):
        raw.socket.send(control(1, "login", account=account))
        raw.socket.send(encode_command_wire(Deposit(account=account, amount_atoms=account), 2))
    wallets: list[int] = []
    while len(wallets) < 3:
        reply = raw.reply()
        if isinstance(reply[0], tuple):  # events, of one command or of several that shared a batch
            wallets += [
                event.wallet_atoms for _, event in reply if isinstance(event, BalanceChanged)
            ]
    assert wallets == [7, 8, 9]


def test_events_of_another_account_are_nobodys_reply(raw: Raw) -> None:
    """One session, two accounts: what the maker hears of the taker's order carries request id 0."""
    for account in (7, 8):
        raw.ask(control(1, "login", account=account))
        raw.ask(encode_command_wire(Deposit(account=account, amount_atoms=10**12), 2))
    order = {"symbol": 1, "price_ticks": 600_000, "qty_lots": 5}
    raw.ask(encode_command_wire(PlaceOrder(account=7, side=1, **order), 3))
    answered = raw.ask(encode_command_wire(PlaceOrder(account=8, side=0, **order), 4))
    assert [(request_id, event.account) for request_id, event in answered] == [
        (4, 8),
        (0, 7),
        (4, 8),
    ]


BAD_FRAMES = {
    "empty": b"",
    "one byte": b"\xc1",
    "text": b"hello exchange",
    "array of nothing": b"\x90",
    "a map": msgspec.msgpack.encode({"type": 7}),
    "unknown command": msgspec.msgpack.encode([77, 1, 7]),
    "an event as a command": msgspec.msgpack.encode([128, 1, 7, 1, 1, 1, 1, 1]),
    "a text for a number": msgspec.msgpack.encode([2, 1, 7, "all"]),
    "a float": msgspec.msgpack.encode([2, 1, 7, 1.5]),
    "out of range": msgspec.msgpack.encode([2, 1, 7, 1 << 63]),
    "too many fields": msgspec.msgpack.encode([2, 1, 7, 1, 1]),
    "cut short": msgspec.msgpack.encode([2, 1, 7, 1 << 40])[:-1],
    "good, then bad": encode_command_wire(Deposit(account=7, amount_atoms=5), 1) + b"\xff",
    "too many commands": encode_command_wire(Deposit(account=7, amount_atoms=5), 1) * 5000,
    "control cut short": control(1, "ping")[:-1],
    "control with a tail": control(1, "ping") + b"\x00",
    "control without arguments": msgspec.msgpack.encode([0, 1, "ping"]),
    "deep": b"\x91" * 2000,
    "a control that is deep": b"\x94\x00\x01\xa4ping\x81\xa1a" + b"\x91" * 200_000 + b"\x90",
    "a control with a map that is a lie": b"\x94\x00\x01\xa4ping\xdf\xff\xff\xff\xff",
    "a query that is no text": b"\x94\x00\x01\xa4\xff\xff\xff\xff\x80",
    "an argument that is no text": b"\x94\x00\x01\xa4ping\x81\xa1\xff\x01",
    "a length that is a lie": b"\xdd\xff\xff\xff\xff",
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_bad_frame_is_answered_and_goes_no_further(node, raw: Raw, name: str) -> None:
    raw.ask(control(1, "login", account=7))
    before = node.node.engine.sequence
    type_number, _, body = raw.ask(BAD_FRAMES[name])
    assert type_number == 0
    assert body["error"] == "malformed", body
    assert body["message"]
    assert raw.ask(control(2, "ping"))[2]["sequence"] == before


def test_a_message_of_several_parts_is_refused(raw: Raw) -> None:
    assert "one part" in raw.ask(b"", control(1, "ping"))[2]["message"]


def test_a_message_above_the_bound_costs_the_connection_and_not_the_node(node, raw: Raw) -> None:
    raw.ask(control(1, "login", account=7))
    raw.socket.send(bytes(2 << 20))
    client = node.client(8)
    client.deposit(1)
    assert node.node.engine.sequence == 5


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (control(3, "get_account"), "not_logged_in"),
        (encode_command_wire(Deposit(account=7, amount_atoms=5), 3), "not_logged_in"),
        (control(3, "get_everything"), "unknown_query"),
        (control(3, "get_status"), "unknown_query"),
        (control(3, "login"), "invalid_arguments"),
        (control(3, "login", account=0), "invalid_arguments"),
        (control(3, "login", account="7"), "invalid_arguments"),
        (control(3, "ping", loudly=True), "invalid_arguments"),
        (control(3, "get_book", symbol="BTC"), "invalid_arguments"),
        (control(3, "get_book", symbol=1, depth=-1), "invalid_arguments"),
        (control(3, "get_book", symbol=99), "unknown_symbol"),
    ],
)
def test_a_request_that_may_not_be_is_refused_by_its_id(raw: Raw, frame: bytes, code: str) -> None:
    _, request_id, body = raw.ask(frame)
    assert (request_id, body["error"]) == (3, code)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (control(3, "get_fills", limit=0), "invalid_arguments"),
        (control(3, "get_positions", account=1 << 24), "invalid_arguments"),
        (control(3, "get_positions", account=8), "not_logged_in"),
        (encode_command_wire(SetMark(symbol=1, price_ticks=1), 3), "wrong_door"),
    ],
)
def test_who_is_logged_in_may_not_everything_either(raw: Raw, frame: bytes, code: str) -> None:
    raw.ask(control(1, "login", account=7))
    _, request_id, body = raw.ask(frame)
    assert (request_id, body["error"]) == (3, code)


def test_random_changes_of_a_control_message_are_answered_too() -> None:
    noise = random.Random(2)
    names = ("login", "get_fills", "get_book", "ping", "get_positions")
    good = [control(3, name, account=7, limit=3, symbol=1, depth=0) for name in names]
    session = Session(b"p", TRADERS_DOOR)
    for _ in range(20_000):
        frame = bytearray(noise.choice(good))
        for _ in range(noise.randint(1, 4)):
            frame[noise.randrange(2, len(frame))] = noise.randrange(256)
        assert isinstance(session.receive(bytes(frame)), Query | Refusal)


def test_random_bytes_never_kill_the_node(node) -> None:
    """Frames of noise, and good frames with a few bytes changed, then business as usual."""
    noise = random.Random(1)
    good = encode_command_wire(
        PlaceOrder(account=7, symbol=1, side=0, price_ticks=1, qty_lots=1), 1
    )
    client = Raw(node.orders)
    client.ask(control(1, "login", account=7))
    for _ in range(300):
        frame = bytearray(good if noise.random() < 0.7 else noise.randbytes(noise.randrange(60)))
        for _ in range(noise.randrange(4)):
            if frame:
                frame[noise.randrange(len(frame))] = noise.randrange(256)
        client.socket.send(bytes(frame))
    client.close()
    trader = node.client(9)
    trader.deposit(1)
    assert trader.account().wallet_atoms == 10**8


# --------------------------------------------------------------------------------------- the session itself


def test_every_pair_of_state_and_input_has_an_answer() -> None:
    for state in State:
        for what in Input:
            assert (state, what) in NEXT_STATE or state in REFUSALS


def test_a_session_moves_along_its_table() -> None:
    session = Session(b"p", TRADERS_DOOR)
    command = encode_command_wire(Deposit(account=7, amount_atoms=5), 4)
    assert isinstance(session.receive(control(1, "ping")), Query)
    refused = session.receive(command)
    assert isinstance(refused, Refusal)
    assert (refused.request_ids, refused.code) == ([4], "not_logged_in")
    session.receive(control(2, "login", account=7))
    session.login(Login(7))
    taken = session.receive(command)
    assert isinstance(taken, Commands)
    assert (taken.request_ids, taken.accounts) == ([4], [7])
    session.overflow()
    assert isinstance(session.receive(command), Refusal)
    assert isinstance(session.receive(control(3, "ping")), Refusal)
    assert isinstance(session.receive(control(3, "login", account=7)), Query)
    assert session.state is State.ACTIVE


def test_sessions_are_bounded_and_probed_in_turn() -> None:
    sessions = Sessions(max_sessions=3)
    made = [sessions.find(TRADERS_DOOR, bytes([peer])) for peer in range(3)]
    assert None not in made
    assert sessions.find(TRADERS_DOOR, b"\x09") is None
    assert sessions.find(TRADERS_DOOR, b"\x00") is made[0]
    assert sessions.longest_unprobed(2) == made[:2]
    assert sessions.longest_unprobed(2) == [made[2], made[0]]
    sessions.login(made[0], Login(7))
    sessions.end(made[0])
    assert sessions.of_account(7) == []
    assert sessions.find(TRADERS_DOOR, b"\x09") is not None


def test_a_full_node_makes_room_when_somebody_left(start_node, config) -> None:
    node = start_node(limits=msgspec.structs.replace(config.limits, max_sessions=2))
    staying, leaving, newcomer = Raw(node.orders), Raw(node.orders), Raw(node.orders)
    try:
        for client in (staying, leaving):
            client.ask(control(1, "login", account=7))
        assert newcomer.ask(control(1, "ping"))[2]["error"] == "too_many_sessions"
        leaving.close()
        for _ in range(200):
            if "error" not in newcomer.ask(control(2, "ping"))[2]:
                break
        assert "error" not in newcomer.ask(control(3, "ping"))[2]
    finally:
        staying.close()
        newcomer.close()


def test_who_reads_too_slowly_loses_its_session_and_is_told(start_node, config) -> None:
    node = start_node(limits=msgspec.structs.replace(config.limits, send_high_water=1))
    slow = Raw(node.orders)
    slow.socket.close()
    slow.socket = slow.context.socket(zmq.DEALER)
    slow.socket.linger, slow.socket.rcvtimeo = 0, 5000
    slow.socket.rcvhwm = 1
    slow.socket.set(zmq.RCVBUF, 4096)
    slow.socket.connect(node.orders)
    trader = node.client(7)
    try:
        slow.ask(control(1, "login", account=7))
        trader.deposit(1_000_000)
        orders = [
            trader.limit_order("BTC-PERP", "buy", "0.001", "51000", time_in_force="ioc")
        ] * 1000
        for _ in range(60):
            trader.place_many(orders)
            if node.said:
                break
        assert "reads too slowly" in node.said[0]
        last: Any = None
        while not (isinstance(last, list) and last[0] == 0):
            last = slow.reply()
        assert last[2]["error"] == "session_lost"
        assert slow.ask(control(5, "get_account"))[2]["error"] == "session_lost"
        assert "sequence" in slow.ask(control(6, "login", account=7))[2]
    finally:
        slow.close()
