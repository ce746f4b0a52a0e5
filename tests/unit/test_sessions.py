"""The session table: what may be sent when, who hears whom, and what the end of a session brings with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from exchange.gateway.admin import ADMIN_DOOR
from exchange.gateway.connection import TRADERS_DOOR, Code, Commands, Door, Query, Refusal
from exchange.gateway.greeting import Hello, Login
from exchange.gateway.limits import UNBOUNDED, SessionLimits, overloaded
from exchange.gateway.permission import Permission, Role
from exchange.gateway.sessions import SESSION_TAKEN_OVER, Listener, Session, Sessions, State
from exchange.protocol.messages import (
    CancelAll,
    Command,
    Deposit,
    PlaceOrder,
    SetMark,
    SetSymbolState,
)
from exchange.protocol.wire import encode_command_wire

ORDER = PlaceOrder(account=7, symbol=1, side=0, price_ticks=1, qty_lots=1)


def control(name: str, **arguments: object) -> bytes:
    return msgspec.msgpack.encode([0, 5, name, arguments])


def frame(*commands: Command) -> bytes:
    return b"".join(encode_command_wire(command, 9 + i) for i, command in enumerate(commands))


def code_of(asked: Commands | Query | Refusal | None) -> Code:
    assert isinstance(asked, Refusal), asked
    return asked.code


class Registry(Sessions):
    """Sessions with a clock that is set by hand."""

    def __init__(
        self,
        limits: SessionLimits = UNBOUNDED,
        max_sessions: int = 100,
        permission_of: Callable[[str], Permission] | None = None,
    ) -> None:
        self.time_ns = 0
        self.keys = 0
        super().__init__(
            max_sessions,
            limits,
            permission_of=permission_of,
            now_ns=lambda: self.time_ns,
            new_key=self.next_key,
        )

    def next_key(self) -> int:
        self.keys += 1
        return self.keys

    def newcomer(self, peer: bytes, door: Door = TRADERS_DOOR, **login: Any) -> Session:
        session = self.find(door, peer)
        assert session is not None
        if login:
            assert isinstance(self.receive(session, control("login", **login)), Query)
            self.login(session, msgspec.convert(login, Login))
        return session


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"account": 0},
        {"account": 1 << 24},
        {"account": True},
        {"account": 7, "read_only": 1},
        {"account": 7, "after": -1},
        {"account": 7, "after": "5"},
        {"account": 7, "client": -1},
        {"account": 7, "client": 1.5},
        {"account": 7, "loudly": True},
    ],
)
def test_a_login_that_says_something_else_is_refused(arguments: dict[str, object]) -> None:
    refused = Session(b"p", TRADERS_DOOR).receive(
        msgspec.msgpack.encode([0, 5, "login", arguments])
    )
    assert code_of(refused) in (Code.INVALID_ARGUMENTS, Code.MALFORMED)


def test_the_largest_client_key_is_taken() -> None:
    session = Registry().newcomer(b"p", account=7, client=(1 << 64) - 1)
    assert session.key == (1 << 64) - 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"versions": [2, 3]}, Code.UNSUPPORTED_VERSION),
        ({"versions": []}, Code.UNSUPPORTED_VERSION),
        ({}, Code.INVALID_ARGUMENTS),
        ({"versions": 1}, Code.INVALID_ARGUMENTS),
        ({"versions": [1], "heartbeat_ms": 99}, Code.INVALID_ARGUMENTS),
        ({"versions": [1], "heartbeat_ms": 600_001}, Code.INVALID_ARGUMENTS),
        ({"versions": [1], "shout": True}, Code.INVALID_ARGUMENTS),
    ],
)
def test_a_hello_that_cannot_be_is_refused(arguments: dict[str, object], code: Code) -> None:
    refused = Session(b"p", TRADERS_DOOR).receive(
        msgspec.msgpack.encode([0, 5, "hello", arguments])
    )
    assert code_of(refused) is code
    if code is Code.UNSUPPORTED_VERSION and isinstance(refused, Refusal):
        assert refused.details == {"versions": [1]}


@pytest.mark.parametrize("heartbeat_ms", [0, 100, 600_000])
def test_a_hello_may_be_said_in_every_state_before_the_end(heartbeat_ms: int) -> None:
    session = Session(b"p", TRADERS_DOOR)
    hello = control("hello", versions=[1, 7], client="bot/1.0", heartbeat_ms=heartbeat_ms)
    for _ in range(2):
        assert isinstance(session.receive(hello), Query)
        session.receive(control("login", account=7))
    session.overflow()
    assert isinstance(session.receive(hello), Query)
    assert session.state is State.LOST


def test_who_only_looks_may_ask_and_not_send() -> None:
    session = Registry().newcomer(b"p", account=7, read_only=True)
    assert isinstance(session.receive(control("get_positions")), Query)
    assert code_of(session.receive(frame(ORDER))) is Code.READ_ONLY
    assert code_of(session.receive(frame(CancelAll(account=7)))) is Code.READ_ONLY


def test_read_only_is_of_one_account_and_changes_with_the_next_login() -> None:
    sessions = Registry()
    session = sessions.newcomer(b"p", account=7, read_only=True)
    sessions.login(session, Login(8))
    assert isinstance(session.receive(frame(Deposit(account=8, amount_atoms=1))), Commands)
    both = frame(Deposit(account=8, amount_atoms=1), Deposit(account=7, amount_atoms=1))
    assert code_of(session.receive(both)) is Code.READ_ONLY
    sessions.login(session, Login(7))
    assert isinstance(session.receive(both), Commands)
    assert sessions.of_account(7) == [session]


def test_overload_refuses_orders_and_takes_cancels() -> None:
    session = Registry().newcomer(b"p", account=7)
    assert isinstance(session.receive(frame(CancelAll(account=7)), 0, overloaded), Commands)
    assert isinstance(
        session.receive(frame(Deposit(account=7, amount_atoms=1)), 0, overloaded), Commands
    )
    for mixed in (frame(ORDER), frame(CancelAll(account=7), ORDER)):
        refused = session.receive(mixed, 0, overloaded)
        assert code_of(refused) is Code.OVERLOADED
        assert isinstance(refused, Refusal) and refused.details == {"retry_after_ms": 100}


def test_frames_are_limited_whatever_is_in_them_and_orders_by_their_number() -> None:
    limits = SessionLimits(
        frames_per_second=10, frames_burst=3, orders_per_second=1, orders_burst=2
    )
    sessions = Registry(limits)
    session = sessions.newcomer(b"p", account=7)
    assert isinstance(sessions.receive(session, frame(ORDER, ORDER)), Commands)
    refused = sessions.receive(session, frame(ORDER))
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.request_ids) == (Code.RATE_LIMITED, [9])
    assert "orders" in refused.message
    refused = sessions.receive(session, control("ping"))
    assert isinstance(refused, Refusal) and "frames" in refused.message
    sessions.time_ns = 100_000_000
    assert isinstance(sessions.receive(session, frame(CancelAll(account=7))), Commands)


def test_who_is_muted_is_not_read_but_heard() -> None:
    sessions = Registry()
    session = sessions.newcomer(b"p", account=7)
    answers = [sessions.receive(session, b"nonsense") for _ in range(150)]
    assert [code_of(a) for a in answers[:101]] == [Code.MALFORMED] * 100 + [Code.RATE_LIMITED]
    assert answers[101:] == [None] * 49
    sessions.time_ns = 999_999_999
    assert sessions.receive(session, frame(ORDER)) is None
    assert session.heard_ns == sessions.time_ns
    sessions.time_ns = 1_000_000_000
    assert isinstance(sessions.receive(session, frame(ORDER)), Commands)


def test_a_key_says_what_a_peer_may_do_at_all() -> None:
    permissions = {
        "trader": Permission(Role.TRADER, frozenset({7})),
        "viewer": Permission(Role.READ_ONLY, frozenset({7})),
        "feed": Permission(Role.FEED),
    }
    sessions = Registry(permission_of=permissions.__getitem__)
    trader = sessions.find(TRADERS_DOOR, b"t", "trader")
    viewer = sessions.find(TRADERS_DOOR, b"v", "viewer")
    feed = sessions.find(ADMIN_DOOR, b"f", "feed")
    assert trader is not None and viewer is not None and feed is not None
    assert code_of(trader.receive(control("login", account=8))) is Code.FORBIDDEN
    for session in (trader, viewer):
        assert isinstance(session.receive(control("login", account=7)), Query)
        sessions.login(session, Login(7))
    assert isinstance(trader.receive(frame(ORDER)), Commands)
    assert code_of(viewer.receive(frame(CancelAll(account=7)))) is Code.FORBIDDEN
    assert isinstance(feed.receive(frame(SetMark(symbol=1, price_ticks=5))), Commands)
    mixed = frame(SetMark(symbol=1, price_ticks=5), SetSymbolState(symbol=1, state=0))
    assert code_of(feed.receive(mixed)) is Code.FORBIDDEN
    assert code_of(feed.receive(control("take_snapshot"))) is Code.FORBIDDEN
    assert code_of(feed.receive(control("get_account", account=7))) is Code.FORBIDDEN


# ------------------------------------------------------------------------------------------------ how it ends


@pytest.mark.parametrize("how", ["end", "lose"])
def test_the_end_of_a_session_cancels_for_the_accounts_that_asked_for_it(how: str) -> None:
    sessions = Registry()
    session = sessions.newcomer(b"p", account=7, cancel_on_disconnect=True)
    sessions.login(session, Login(8))
    sessions.login(session, Login(9, cancel_on_disconnect=True))
    getattr(sessions, how)(session)
    assert sessions.take_cancels() == [7, 9]
    assert sessions.take_cancels() == []
    assert sessions.of_account(7) == []
    sessions.end(session)
    assert sessions.take_cancels() == []


def test_a_login_anew_can_take_back_the_wish_to_cancel() -> None:
    sessions = Registry()
    session = sessions.newcomer(b"p", account=7, cancel_on_disconnect=True)
    sessions.login(session, Login(7))
    sessions.end(session)
    assert sessions.take_cancels() == []


def test_the_same_client_by_another_connection_takes_over() -> None:
    sessions = Registry()
    old = sessions.newcomer(b"old", account=7, client=99, cancel_on_disconnect=True)
    other = sessions.newcomer(b"other", account=7, client=98)
    new = sessions.newcomer(b"new")
    sessions.make_way(new, Login(7, client=99))
    assert (old.state, other.state) == (State.CLOSED, State.ACTIVE)
    assert sessions.take_cancels() == [7]
    assert sessions.take_last_words() == [(old, SESSION_TAKEN_OVER)]
    sessions.login(new, Login(7, client=99))
    sessions.make_way(new, Login(7, client=99))
    assert new.state is not State.CLOSED


def test_clients_without_a_key_never_take_over() -> None:
    sessions = Registry()
    first = sessions.newcomer(b"1", account=7)
    second = sessions.newcomer(b"2")
    sessions.make_way(second, Login(7))
    assert first.state is State.ACTIVE


def test_a_peer_that_comes_back_after_its_end_is_a_new_session() -> None:
    sessions = Registry()
    before = sessions.newcomer(b"p", account=7)
    sessions.end(before)
    after = sessions.newcomer(b"p")
    assert after is not before and after.key != before.key
    assert code_of(after.receive(frame(ORDER))) is Code.NOT_LOGGED_IN


def test_two_thousand_sessions_come_and_go_and_leave_nothing_behind() -> None:
    sessions = Registry(max_sessions=2000)
    for turn in range(3):
        made = [
            sessions.newcomer(b"%d" % n, account=1 + n % 50, client=1 + n + turn)
            for n in range(2000)
        ]
        assert sessions.is_full and sessions.find(TRADERS_DOOR, b"one more") is None
        assert len(sessions.of_account(1)) == 40
        for session in made:
            sessions.end(session)
    leftovers = (sessions._by_peer, sessions._by_account, sessions._by_client, sessions._changed)
    assert not any(leftovers) and not sessions.is_catching_up


class Diary(Listener):
    def __init__(self) -> None:
        self.lines: list[tuple[object, ...]] = []

    def opened(self, session: Session) -> None:
        self.lines.append(("opened", session.peer))

    def joined(self, session: Session, login: Login) -> None:
        self.lines.append(("joined", session.peer, login.account, login.read_only))

    def left(self, session: Session, account: int) -> None:
        self.lines.append(("left", session.peer, account))

    def lost(self, session: Session) -> None:
        self.lines.append(("lost", session.peer))

    def muted(self, session: Session) -> None:
        self.lines.append(("muted", session.peer))

    def ended(self, session: Session) -> None:
        self.lines.append(("ended", session.peer))


def test_a_listener_hears_of_every_change_in_order() -> None:
    sessions = Registry()
    sessions.listener = diary = Diary()
    session = sessions.newcomer(b"p", account=7)
    sessions.login(session, Login(7, read_only=True))
    sessions.login(session, Login(8), next_number=3)
    assert sessions.of_account(8) == []
    sessions.join(session, 8)
    for _ in range(101):
        sessions.receive(session, b"nonsense")
    sessions.lose(session)
    sessions.end(session)
    assert diary.lines == [
        ("opened", b"p"),
        ("joined", b"p", 7, False),
        ("left", b"p", 7),
        ("joined", b"p", 7, True),
        ("joined", b"p", 8, False),
        ("muted", b"p"),
        ("left", b"p", 7),
        ("left", b"p", 8),
        ("lost", b"p"),
        ("ended", b"p"),
    ]


def test_heartbeats_and_probes_have_the_shorter_interval() -> None:
    sessions = Registry()
    session = sessions.newcomer(b"p", account=7)
    assert (session.send_interval_ns, session.patience_ns) == (0, 0)
    sessions.say_hello(session, Hello([1], heartbeat_ms=5000))
    assert (session.send_interval_ns, session.patience_ns) == (5 * 10**9, 15 * 10**9)
    sessions.login(session, Login(7, cancel_on_disconnect=True))
    assert (session.send_interval_ns, session.patience_ns) == (10**9, 15 * 10**9)
    sessions.say_hello(session, Hello([1], heartbeat_ms=100))
    assert (session.send_interval_ns, session.patience_ns) == (10**8, 3 * 10**8)
    sessions.say_hello(session, Hello([1]))
    assert (session.send_interval_ns, session.patience_ns) == (10**9, 0)
