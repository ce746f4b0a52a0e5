"""A client's session and a node played by hand: connections end anywhere, nothing is lost or done twice."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from exchange.client.core import Core, Phase
from exchange.client.errors import (
    ClientTimeout,
    EventsMissed,
    NotSent,
    OutcomeUnknown,
    RequestRefused,
    RetryLater,
)
from exchange.client.options import SessionOptions, first_request_id
from exchange.client.requests import Ask, Call, Message, Question
from exchange.client.stream import Bookmark
from exchange.gateway.connection import is_control
from exchange.protocol import wire
from exchange.protocol.messages import Accepted, BalanceChanged, CancelAll, Deposit, PlaceOrder
from exchange.protocol.records import decode_commands, encode_events

S_NS = 1_000_000_000
MS_NS = 1_000_000
HEARTBEAT_MS = 1000


class PlayedNode:
    """What a node does with its sessions: numbers events, remembers whose commands they answered, tells them again."""

    def __init__(self) -> None:
        self.told: list[tuple[bytes, int, int, int]] = []  # record, sequence, key, request id
        self.epoch, self.run = 1, 1
        self.remembers_from = 1
        self.refuses: Callable[[Message | str], dict[str, Any] | None] = lambda message: None
        self.sequence = 0
        self.done: list[int] = []  # amounts of the deposits that were carried out
        self.names: list[str] = []  # of the control messages that came
        self.key: int | None = None  # of the session that is logged in

    def connect(self) -> None:
        self.key = None

    def receive(self, payload: bytes) -> list[bytes]:
        """The messages that one message is answered with."""
        if is_control(payload):
            return self.control(*msgspec.msgpack.decode(payload))
        records, request_ids = wire.decode_commands(payload)
        answers: list[bytes] = []
        for command, request_id in zip(decode_commands(records), request_ids, strict=True):
            refused = self.refuses(command)
            if self.key is None:
                refused = {"error": "not_logged_in", "message": "log in first"}
            if refused is not None:
                answers.append(msgspec.msgpack.encode([0, request_id, refused]))
            else:
                answers.append(self.carry_out(command, request_id))
        return answers

    def control(self, zero: int, request_id: int, name: str, arguments: Any) -> list[bytes]:
        self.names.append(name)
        refused = self.refuses(name)
        if refused is not None:
            return [msgspec.msgpack.encode([0, request_id, refused])]
        if name == "hello":
            body = {"version": 1, "heartbeat_ms": arguments["heartbeat_ms"], "run": self.run}
            return [msgspec.msgpack.encode([0, request_id, body])]
        if name != "login":
            return [msgspec.msgpack.encode([0, request_id, {"sequence": self.sequence}])]
        self.key = arguments["client"]
        number = len(self.told)
        after = arguments.get("after", number)
        missed = arguments.get("epoch", self.epoch) != self.epoch or after + 1 < self.remembers_from
        body = {"account": 7, "number": number, "epoch": self.epoch, "missed": missed}
        answers = [msgspec.msgpack.encode([0, request_id, body])]
        replay = [] if missed else self.told[after:]
        for at, (record, sequence, key, replied) in enumerate(replay, start=after + 1):
            event = wire.encode_events(record, sequence, [replied if key == self.key else 0])
            answers.append(wire.encode_position(7, at) + event)
        return answers

    def carry_out(self, command: Any, request_id: int = 0) -> bytes:
        self.sequence += 1
        if isinstance(command, Deposit):
            self.done.append(command.amount_atoms)
        what = {"account": 7, "sequence": self.sequence}
        accepted = Accepted(
            command=command.number, timestamp_ns=1, order_id=0, client_order_id=0, **what
        )
        events = encode_events([accepted])
        position = wire.encode_position(7, len(self.told) + 1)
        self.told.append((events, self.sequence, self.key or 0, request_id))
        return position + wire.encode_events(events, self.sequence, [request_id])

    def happens(self, amount: int = 1) -> bytes:
        """Something happens to the account that it did not ask for."""
        self.sequence += 1
        changed = BalanceChanged(
            account=7, sequence=self.sequence, symbol=0, leg=0, cause=0, wallet_change_atoms=amount,
            margin_change_atoms=0, wallet_atoms=amount, margin_atoms=0,
        )  # fmt: skip
        record = encode_events([changed])
        self.told.append((record, self.sequence, 0, 0))
        return wire.encode_position(7, len(self.told)) + wire.encode_events(
            record, self.sequence, [0]
        )


class Line:
    """A client's core, a played node, and the wire between them, which the test cuts where it likes."""

    def __init__(self, **options: Any) -> None:
        self.node = PlayedNode()
        self.now_ns = S_NS
        chosen = SessionOptions(heartbeat_ms=HEARTBEAT_MS, client=99, **options)
        self.core = Core(chosen, account=7)
        self.way: list[bytes] = []  # from node to client
        self.connect()

    def connect(self) -> None:
        self.way.clear()
        self.node.connect()
        self.core.connected(self.now_ns)
        self.talk()

    def cut(self) -> None:
        """The connection ends: what is under way in either direction is gone."""
        self.way.clear()
        self.core.disconnected(self.now_ns)

    def send(self) -> None:
        """What the client has to send arrives."""
        for payload in self.core.take_outgoing(self.now_ns):
            self.way += self.node.receive(payload)

    def arrive(self) -> None:
        """What the node sent arrives."""
        way, self.way = self.way, []
        for payload in way:
            self.core.receive(payload, self.now_ns)

    def talk(self) -> None:
        self.send()
        while self.way:
            self.arrive()
            self.send()

    def wait(self, ms: int) -> None:
        self.now_ns += ms * MS_NS
        self.core.tick(self.now_ns)

    def ask(self, *messages: Message, seconds: int = 60) -> Call[Any]:
        ask = Ask(messages, list)
        return self.core.submit(ask, self.now_ns, self.now_ns + seconds * S_NS)

    def deposit(self, amount: int = 5) -> Call[Any]:
        return self.ask(Deposit(account=7, amount_atoms=amount))


@pytest.fixture
def line() -> Line:
    return Line()


def test_a_client_says_hello_and_logs_in_before_anything_else(line: Line) -> None:
    line.deposit()
    line.talk()
    assert line.node.names == ["hello", "login"]
    assert line.core.phase is Phase.UP
    assert line.node.key == 99


def test_a_reply_that_was_lost_is_found_in_the_replay(line: Line) -> None:
    call = line.deposit()
    line.send()
    line.cut()
    line.connect()
    assert [type(event) for event in call.result()[0]] == [Accepted]
    assert line.node.done == [5]


def test_what_never_arrived_is_sent_again_and_done_once(line: Line) -> None:
    call = line.deposit()
    assert line.core.take_outgoing(line.now_ns)  # and it is lost on the way
    line.cut()
    line.connect()
    assert call.result()
    assert line.node.done == [5]


def test_what_was_asked_for_without_a_connection_waits_for_one(line: Line) -> None:
    line.cut()
    call = line.deposit()
    assert line.core.take_outgoing(line.now_ns) == []
    line.connect()
    assert call.done
    assert line.node.done == [5]


def test_nothing_is_sent_again_for_a_caller_who_is_gone(line: Line) -> None:
    call = line.deposit()
    line.core.take_outgoing(line.now_ns)
    line.core.expire(call, "no answer.")
    line.cut()
    line.connect()
    assert line.node.done == []


def test_a_timeout_says_whether_anything_was_sent(line: Line) -> None:
    sent = line.deposit()
    line.core.take_outgoing(line.now_ns)
    line.core.expire(sent, "no answer.")
    with pytest.raises(ClientTimeout, match="may have been carried out") as timeout:
        sent.result()
    assert timeout.value.commands == (Deposit(account=7, amount_atoms=5),)
    line.cut()
    unsent = line.deposit()
    line.core.expire(unsent, "no answer.")
    with pytest.raises(NotSent, match="Nothing was sent"):
        unsent.result()


FORGETS = {
    "the node remembers no more": lambda node: setattr(node, "remembers_from", 100),
    "the node counts anew": lambda node: setattr(node, "epoch", 2),
}


@pytest.mark.parametrize("forgets", FORGETS)
def test_what_may_have_been_done_and_must_not_be_done_twice_is_told_as_unknown(
    line: Line, forgets: str
) -> None:
    deposit = line.deposit()
    order = PlaceOrder(account=7, symbol=1, side=0, qty_lots=1, price_ticks=1, client_order_id=4)
    known, cancel = line.ask(order), line.ask(CancelAll(account=7))
    line.core.take_outgoing(line.now_ns)
    line.cut()
    line.node.happens()
    FORGETS[forgets](line.node)
    line.connect()
    with pytest.raises(OutcomeUnknown, match="is not known") as unknown:
        deposit.result()
    assert unknown.value.commands == (Deposit(account=7, amount_atoms=5),)
    assert known.result()  # its client order id acts once, however often it is sent
    assert cancel.result()
    with pytest.raises(EventsMissed):
        line.core.take_own_events()
    assert len(line.core.take_own_events()) == 2  # what came after that


def test_a_node_that_was_started_anew_may_have_forgotten_whose_command_it_was(line: Line) -> None:
    call = line.deposit()
    line.send()
    record, sequence, _, _ = line.node.told[-1]
    line.node.told[-1] = record, sequence, 0, 0  # read from its journal
    line.node.run += 1
    line.cut()
    line.connect()
    with pytest.raises(OutcomeUnknown):
        call.result()
    assert [type(event) for event in line.core.take_own_events()] == [Accepted]


@pytest.mark.parametrize("forgets", [*FORGETS, "another run"])
def test_a_connection_that_ends_in_the_middle_of_a_join_clears_no_doubt(
    line: Line, forgets: str
) -> None:
    call = line.deposit()
    line.send()
    record, sequence, _, _ = line.node.told[-1]
    line.node.told[-1] = record, sequence, 0, 0
    FORGETS.get(forgets, lambda node: setattr(node, "run", 2))(line.node)
    line.cut()
    line.node.connect()
    line.core.connected(line.now_ns)
    line.send()
    line.arrive()  # the answer to the hello, and no more
    line.send()
    if forgets != "another run":
        line.core.receive(line.way[0], line.now_ns)  # and that to the login
    line.cut()
    line.connect()
    with pytest.raises(OutcomeUnknown):
        call.result()
    assert line.node.done == [5]


@pytest.mark.parametrize("seed", range(60))
def test_wherever_connections_end_every_event_comes_once_and_every_deposit_is_made_once(
    seed: int,
) -> None:
    chance = random.Random(seed)
    line = Line(max_own_events=chance.choice((3, 1000)))
    calls: list[Call[Any]] = []
    read: list[Any] = []
    for step in range(200):
        match chance.randrange(8):
            case 0:
                line.cut()
                if chance.random() < 0.5:
                    line.core.connected(
                        line.now_ns
                    )  # and cut again before anything is said, perhaps
                    line.node.connect()
            case 1 | 2:
                calls.append(line.deposit(step))
            case 3:
                line.way.append(line.node.happens(step)) if line.node.key else line.node.happens(
                    step
                )
            case 4 | 5:
                line.send()
            case 6:
                line.arrive()
            case 7:
                read += line.core.take_own_events()
        if line.core.phase is Phase.DOWN and chance.random() < 0.3:
            line.connect()
    line.connect()
    while line.core.has_news:
        read += line.core.take_own_events()
        line.talk()
    assert all(call.done and call.error is None for call in calls)
    assert sorted(line.node.done) == sorted(call.ask.messages[0].amount_atoms for call in calls)
    assert [event.sequence for event in read] == list(range(1, line.node.sequence + 1))


def test_who_does_not_read_is_bounded_and_hears_all_of_it_later() -> None:
    line = Line(max_own_events=10)
    for amount in range(1, 101):
        line.way.append(line.node.happens(amount))
        line.arrive()
    assert len(line.core.events) == 10
    call = line.deposit()
    line.talk()
    assert call.done, "requests are answered all the same"
    amounts: list[int] = []
    while line.core.has_news:
        amounts += [getattr(e, "wallet_atoms", 0) for e in line.core.take_own_events()]
        line.talk()
    assert amounts == [*range(1, 101), 0]


def test_a_bookmark_goes_on_where_the_user_stopped_reading(line: Line) -> None:
    for amount in range(1, 6):
        line.way.append(line.node.happens(amount))
    line.arrive()
    assert [line.core.next_own_event().wallet_atoms for _ in range(2)] == [1, 2]
    kept = msgspec.json.encode(line.core.bookmark())
    line.core = Core(SessionOptions(resume=msgspec.json.decode(kept, type=Bookmark)), account=7)
    line.connect()
    assert [event.wallet_atoms for event in line.core.take_own_events()] == [3, 4, 5]
    assert line.node.key == 99
    assert first_request_id(line.core.options) > 1 << 40, "an id is never used again under one key"


def test_a_client_that_says_nothing_for_a_heartbeat_pings(line: Line) -> None:
    line.wait(HEARTBEAT_MS - 1)
    assert line.core.take_outgoing(line.now_ns) == []
    assert line.core.next_wake_ns() == line.now_ns + MS_NS
    line.wait(1)
    line.talk()
    assert line.node.names[-1] == "ping"


def test_a_connection_that_is_silent_for_three_heartbeats_is_given_up(line: Line) -> None:
    for _ in range(3):
        line.wait(HEARTBEAT_MS)
        assert line.core.take_outgoing(line.now_ns)
    line.wait(1)
    assert not line.core.wants_connection, "a moment later, as others may come back, too"
    line.wait(20)
    assert line.core.wants_connection


def test_connections_that_come_to_nothing_are_tried_less_and_less_often() -> None:
    core, now_ns, waits_ms = Core(SessionOptions()), 0, []
    for _ in range(10):
        core.connected(now_ns)
        core.disconnected(now_ns)
        wake_ns = core.next_wake_ns()
        assert wake_ns is not None
        waits_ms.append((wake_ns - now_ns) // MS_NS)
        now_ns = wake_ns
        core.tick(now_ns)
        assert core.wants_connection
    assert 20 <= waits_ms[0] <= 40
    assert all(1000 <= wait_ms <= 2000 for wait_ms in waits_ms[-3:])


def test_who_stayed_away_for_long_logs_in_again_before_anything_else(line: Line) -> None:
    line.node.happens()  # which it does not hear of
    line.node.key = None  # the node has given it up
    line.now_ns += 10 * HEARTBEAT_MS * MS_NS
    call = line.deposit()
    line.talk()
    assert call.done
    assert line.node.names == ["hello", "login"] * 2
    assert [event.sequence for event in line.core.take_own_events()] == [1, 2]


def test_a_session_that_ended_without_a_word_is_begun_again(line: Line) -> None:
    line.node.key = None
    call = line.deposit()
    line.talk()
    assert call.result()
    assert line.node.done == [5]
    assert line.core.joins == 2


def limited(kind: type, times: int) -> Callable[[Any], dict[str, Any] | None]:
    left = [times]

    def refuses(message: Any) -> dict[str, Any] | None:
        if not isinstance(message, kind) or not left[0]:
            return None
        left[0] -= 1
        return {"error": "rate_limited", "message": "too fast", "retry_after_ms": 20}

    return refuses


def test_what_a_limit_refused_is_sent_again_when_it_may_be(line: Line) -> None:
    line.node.refuses = limited(Deposit, 2)
    call = line.deposit()
    line.talk()
    for _ in range(2):
        line.wait(19)
        assert line.core.take_outgoing(line.now_ns) == []
        assert line.core.next_wake_ns() == line.now_ns + MS_NS
        line.wait(1)
        line.talk()
    assert call.result()
    assert line.node.done == [5]


def test_a_cancel_does_not_wait_behind_an_order_that_a_limit_holds_up(line: Line) -> None:
    line.node.refuses = limited(PlaceOrder, 1)
    order = PlaceOrder(account=7, symbol=1, side=0, qty_lots=1, price_ticks=1)
    first = line.ask(order)
    line.talk()
    second, cancel = line.ask(order), line.ask(CancelAll(account=7))
    line.talk()
    assert (first.done, second.done, cancel.done) == (False, False, True)
    line.wait(20)
    line.talk()
    assert first.done
    assert second.done


def test_a_limit_is_told_to_who_would_not_wait() -> None:
    line = Line(retry=False)
    line.node.refuses = limited(Deposit, 1)
    call = line.deposit()
    line.talk()
    (reply,) = call.result()
    assert isinstance(reply, RetryLater)
    assert reply.retry_after_ms == 20


def test_a_client_whose_key_is_used_elsewhere_stops(line: Line) -> None:
    waiting = line.deposit()
    notice = {"error": "session_closed", "message": "the same client logged in elsewhere"}
    line.core.receive(msgspec.msgpack.encode([0, 0, notice]), line.now_ns)
    for call in (waiting, line.deposit()):
        with pytest.raises(RequestRefused, match="logged in elsewhere"):
            call.result()
    line.core.disconnected(line.now_ns)
    line.wait(1000)
    assert not line.core.wants_connection


def test_a_node_without_a_common_version_is_the_end() -> None:
    line = Line.__new__(Line)
    line.node, line.now_ns, line.way = PlayedNode(), S_NS, []
    line.node.refuses = lambda message: (
        {"error": "unsupported_version", "message": "this node speaks [2]", "versions": [2]}
        if message == "hello"
        else None
    )
    line.core = Core(SessionOptions(), account=7)
    line.connect()
    with pytest.raises(RequestRefused, match="unsupported_version"):
        line.deposit().result()


def test_a_question_needs_no_account(line: Line) -> None:
    call = line.ask(Question("ping", {}))
    line.talk()
    assert call.result() == [{"sequence": 0}]


def test_a_command_that_was_refused_for_another_ones_account_is_not_sent_alone(line: Line) -> None:
    stranger = Deposit(account=8, amount_atoms=1)
    call = line.ask(Deposit(account=7, amount_atoms=5), stranger)
    (payload,) = line.core.take_outgoing(line.now_ns)
    _, request_ids = wire.decode_commands(payload)
    for request_id in request_ids:
        refused = {"error": "not_logged_in", "message": "not logged in for account 8"}
        line.core.receive(msgspec.msgpack.encode([0, request_id, refused]), line.now_ns)
    assert [type(reply).__name__ for reply in call.result()] == ["NotLoggedIn"] * 2
    line.talk()
    assert line.node.done == []


def test_calls_do_not_share_messages(line: Line) -> None:
    line.cut()
    calls = [line.deposit(), line.deposit()]
    line.node.connect()
    line.core.connected(line.now_ns)
    line.send()
    line.arrive()
    line.send()
    line.arrive()
    assert len(line.core.take_outgoing(line.now_ns)) == len(calls)
