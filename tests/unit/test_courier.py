"""Letters, heartbeats and replays with a clock and queues that are set by hand."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from exchange.gateway.connection import TRADERS_DOOR, Door, encode_control, is_control
from exchange.gateway.courier import MAX_WAITING, PIECE_EVENTS, PIECES_A_ROUND, Courier, Sent
from exchange.gateway.event_log import EventLog
from exchange.gateway.greeting import Hello, Login
from exchange.gateway.outbox import Outbox
from exchange.gateway.sessions import Session, Sessions, State
from exchange.protocol.messages import StpGroupSet
from exchange.protocol.records import encode_events
from exchange.protocol.wire import decode_numbered_wire

MS = 1_000_000


class Post:
    """A courier with queues that take as much as they have room for, and everything around it."""

    def __init__(self, remembered_bytes: int = 1 << 24) -> None:
        self.now_ns = 0
        self.gone: set[bytes] = set()
        self.room: dict[bytes, int] = {}
        self.sent: list[tuple[bytes, bytes]] = []
        self.sessions = Sessions(10_000, now_ns=lambda: self.now_ns)
        self.log = EventLog(remembered_bytes)
        self.outbox = Outbox()
        self.courier = Courier(self.send, self.sessions, self.log, self.outbox)
        self.sequence = 0

    def send(self, door: Door, peer: bytes, payload: bytes) -> Sent:
        if peer in self.gone:
            return Sent.GONE
        if self.room.get(peer, 1) <= 0:
            return Sent.TOO_SLOW
        if peer in self.room:
            self.room[peer] -= 1
        self.sent.append((peer, payload))
        return Sent.TAKEN

    def session(self, peer: bytes, heartbeat_ms: int = 0, **login: object) -> Session:
        session = self.sessions.find(TRADERS_DOOR, peer)
        assert session is not None
        session.state = State.ACTIVE
        if heartbeat_ms:
            self.sessions.say_hello(session, Hello([1], heartbeat_ms=heartbeat_ms))
        if login:
            self.sessions.login(session, msgspec.convert(login, Login))
        return session

    def happen(self, account: int, count: int) -> None:
        """So many commands with one event each."""
        for _ in range(count):
            self.sequence += 1
            event = StpGroupSet(account=account, sequence=self.sequence, stp_group=1)
            self.log.feed(encode_events([event]))

    def beat_at(self, ms: int) -> list[tuple[bytes, bytes]]:
        self.now_ns = ms * MS
        self.sent.clear()
        self.courier.beat(5)
        return list(self.sent)

    def deliver_held(self) -> None:
        for parcel in self.outbox.release(self.sequence):
            for door, peer, payload in parcel.letters:
                self.courier.deliver(door, peer, payload)

    def catch_up(self) -> None:
        while self.courier.catch_up(self.sequence, self.sequence):
            pass
        self.deliver_held()

    def numbers(self, peer: bytes) -> list[int]:
        return numbers_in(payload for to, payload in self.sent if to == peer)


def numbers_in(payloads: Iterable[bytes]) -> list[int]:
    events = [payload for payload in payloads if not is_control(payload)]
    return [number for payload in events for _, number, _ in decode_numbered_wire(payload)]


HEARTBEAT = (b"p", encode_control(0, {"heartbeat": 5}))


def test_a_heartbeat_comes_when_nothing_else_was_sent_for_so_long() -> None:
    post = Post()
    session = post.session(b"p", heartbeat_ms=1000)
    assert post.beat_at(990) == []
    assert post.beat_at(1000) == [HEARTBEAT]
    session.heard_ns = post.now_ns
    post.now_ns = 1500 * MS
    post.courier.deliver(TRADERS_DOOR, b"p", encode_control(9, {}))
    assert post.beat_at(2490) == []
    assert post.beat_at(2500) == [HEARTBEAT]


def test_a_session_that_is_silent_for_three_heartbeats_is_over_and_told_so() -> None:
    post = Post()
    session = post.session(b"p", heartbeat_ms=1000, account=7, cancel_on_disconnect=True)
    session.heard_ns = 500 * MS
    assert [len(post.beat_at(ms)) for ms in (1000, 2000, 3000)] == [1, 1, 1]
    assert post.sessions.take_cancels() == []
    ((_, words),) = post.beat_at(3500)
    assert msgspec.msgpack.decode(words)[2]["error"] == "session_lost"
    assert session.state is State.CLOSED
    assert post.sessions.take_cancels() == [7]
    assert post.beat_at(9000) == []


def test_nobodys_silence_counts_while_nobody_reads() -> None:
    """The node stopped reading until 5.0 s: three heartbeats of a second are over at 8.0 s, and not before."""
    post = Post()
    session = post.session(b"p", heartbeat_ms=1000, account=7)
    for ms in range(1000, 5001, 500):
        post.beat_at(ms)
        post.courier.note_unread()
    for ms in range(5500, 8000, 500):
        post.beat_at(ms)
    assert session.state is State.ACTIVE
    post.beat_at(8000)
    assert session.state is State.CLOSED


def test_who_wants_no_heartbeats_gets_none_and_may_be_silent_for_ever() -> None:
    post = Post()
    session = post.session(b"p", account=7)
    assert post.beat_at(10**9) == []
    assert session.state is State.ACTIVE
    assert post.courier.patience_ms() is None


def test_whose_end_would_cancel_orders_is_probed_every_second() -> None:
    post = Post()
    session = post.session(b"p", account=7, cancel_on_disconnect=True)
    assert [len(post.beat_at(ms)) for ms in (999, 1000, 1999, 2000)] == [0, 1, 0, 1]
    post.gone.add(b"p")
    assert post.beat_at(3000) == []
    assert session.state is State.CLOSED
    assert post.sessions.take_cancels() == [7]


def test_the_loop_waits_until_the_next_heartbeat_and_no_longer() -> None:
    post = Post()
    post.session(b"p", heartbeat_ms=1000)
    post.session(b"q", heartbeat_ms=400)
    post.beat_at(0)
    assert post.courier.patience_ms() == 400
    post.beat_at(390)
    assert post.courier.patience_ms() == 10


def test_hellos_without_end_leave_few_things_to_look_at() -> None:
    post = Post()
    session = post.session(b"p")
    for turn in range(10_000):
        post.sessions.say_hello(session, Hello([1], heartbeat_ms=600_000 - turn % 7))
        post.courier.beat(5)
    assert len(post.courier._due) < 10


# ------------------------------------------------------------------------------------------------- replays


def test_a_replay_goes_out_in_pieces_and_then_the_session_joins() -> None:
    post = Post()
    session = post.session(b"p")
    post.happen(7, 600)
    post.sessions.login(session, Login(7), next_number=101)
    for sent in (PIECE_EVENTS, 500):
        assert post.courier.catch_up(post.sequence, post.sequence)
        assert post.numbers(b"p") == list(range(101, 101 + sent))
        assert post.sessions.of_account(7) == []
    post.catch_up()
    assert post.sessions.of_account(7) == [session]


def test_what_may_not_be_told_yet_comes_through_the_outbox_before_what_happens_next() -> None:
    post = Post()
    session = post.session(b"p")
    post.happen(7, 10)
    post.sessions.login(session, Login(7), next_number=3)
    while post.courier.catch_up(applied=10, released=6):
        pass
    assert post.numbers(b"p") == [3, 4, 5, 6]
    assert post.sessions.of_account(7) == [session]
    assert [parcel.sequence for parcel in post.outbox.release(9)] == []
    post.deliver_held()
    assert post.numbers(b"p") == list(range(3, 11))


def test_the_answer_to_the_login_leaves_before_the_replay() -> None:
    post = Post()
    session = post.session(b"p")
    post.happen(7, 5)
    session.replay_from = 5
    post.sessions.login(session, Login(7), next_number=1)
    assert not post.courier.catch_up(applied=5, released=4)
    assert post.sent == []


def test_a_replay_is_no_faster_than_the_client_reads_and_answers_wait_behind_it() -> None:
    post = Post()
    session = post.session(b"p")
    post.happen(7, 1000)
    post.sessions.login(session, Login(7), next_number=1)
    post.room[b"p"] = 1
    post.catch_up()
    assert post.numbers(b"p") == list(range(1, 257))
    answer = encode_control(9, {"late": True})
    post.courier.deliver(TRADERS_DOOR, b"p", answer)
    for _ in range(5):
        post.room[b"p"] = 1
        post.catch_up()
    assert session.state is State.ACTIVE
    assert post.numbers(b"p") == list(range(1, 1001))
    assert [payload for _, payload in post.sent].index(answer) == 1


def test_answers_that_wait_behind_a_replay_are_bounded() -> None:
    post = Post()
    session = post.session(b"p")
    post.happen(7, 1000)
    post.sessions.login(session, Login(7), next_number=1)
    post.room[b"p"] = 0
    for _ in range(MAX_WAITING):
        post.courier.deliver(TRADERS_DOOR, b"p", encode_control(9, {}))
    assert session.state is State.ACTIVE
    post.courier.deliver(TRADERS_DOOR, b"p", encode_control(9, {}))
    assert session.state is State.LOST
    assert not session.waiting and not post.sessions.is_catching_up


def test_a_replay_that_is_overtaken_by_the_bound_costs_the_session() -> None:
    """Room for some 800 events; the client reads none while 2,000 more happen."""
    post = Post(remembered_bytes=50_000)
    session = post.session(b"p")
    post.happen(7, 600)
    post.sessions.login(session, Login(7), next_number=1)
    post.room[b"p"] = 1
    post.catch_up()
    post.happen(7, 2000)
    post.room[b"p"] = 1
    post.catch_up()
    assert session.state is State.LOST


def test_a_thousand_replays_take_turns() -> None:
    """Each round sends few pieces; after enough rounds everybody has all."""
    post = Post()
    post.happen(7, 300)
    sessions = [post.session(b"%d" % n) for n in range(1000)]
    for session in sessions:
        post.sessions.login(session, Login(7), next_number=1)
    post.courier.catch_up(post.sequence, post.sequence)
    assert len(post.sent) == PIECES_A_ROUND
    assert len({peer for peer, _ in post.sent}) == PIECES_A_ROUND
    post.catch_up()
    assert all(post.numbers(session.peer) == list(range(1, 301)) for session in sessions[::97])
    assert len(post.sessions.of_account(7)) == 1000


@pytest.mark.parametrize("loses", [True, False])
def test_a_full_queue_costs_the_session_of_who_is_live(loses: bool) -> None:
    post = Post()
    session = post.session(b"p", account=7)
    post.room[b"p"] = 0 if loses else 1
    post.courier.deliver(TRADERS_DOOR, b"p", encode_control(9, {}))
    assert (session.state is State.LOST) == loses
    post.room[b"p"] = 1
    post.courier.beat(5)
    assert len(post.sent) == 1
    assert post.sessions.to_be_told() == []
