"""The native loop says what the plain loop says: the same traffic through both, compared byte for byte.

Messages may be cut differently, so of each client the events are compared as one string, with the number of each in
its account's stream, and the control messages of each stretch of traffic without regard to their order.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from exchange.config import Config, SnapshotConfig, load_config
from exchange.errors import ConfigError
from exchange.gateway.connection import is_control
from exchange.gateway.lane import Upstairs
from exchange.journal import Durability
from exchange.node import Node
from exchange.protocol import messages as m
from exchange.protocol.records import decode_commands, decode_events
from exchange.protocol.wire import decode_stream, encode_command_wire
from exchange.segments import scan
from exchange.sequencer import Sequencer

MAX_COMMANDS = 100
PONG = 1 << 40  # request ids of the pings that end a stretch
MARK_TICKS = 600_000

Frame = tuple[bytes, ...]
Stretch = tuple[int, list[Frame]]  # who sends, and what


def control(request_id: int, name: str, **arguments: object) -> bytes:
    return msgspec.msgpack.encode([0, request_id, name, arguments])


class Talker:
    """One client of one node, and all that it heard."""

    def __init__(self, context: zmq.Context[Any], endpoint: str, identity: bytes) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.rcvtimeo = 10_000
        if identity:
            self.socket.identity = identity
        self.socket.connect(endpoint)
        self.events = b""
        self.request_ids: list[int] = []
        self.numbers: list[int] = []  # of each event in its account's stream
        self.controls: list[list[bytes]] = []

    def listen(self, number: int) -> None:
        """Takes what comes until the answer to a ping."""
        self.socket.send(control(PONG + number, "ping"))
        heard: list[bytes] = []
        while True:
            payload = self.socket.recv()
            if not is_control(payload):
                self.take(payload)
                continue
            _, request_id, body = msgspec.msgpack.decode(payload)
            if request_id == PONG + number:
                break
            # How far the node is when it answers a login depends on when it looked.
            body.pop("sequence", None)
            heard.append(msgspec.msgpack.encode([request_id, body]))
        self.controls.append(sorted(heard))

    def take(self, payload: bytes) -> None:
        """Events, of which each has its number once the positions in front of them are counted on."""
        records, request_ids, positions = decode_stream(payload)
        self.events += records
        self.request_ids += request_ids
        starts = {(index, account): number for index, account, number in positions}
        following: dict[int, int] = {}
        for index, event in enumerate(decode_events(records)):
            number = starts.get((index, event.account), following.get(event.account, 0))
            following[event.account] = number + 1 if number else 0
            self.numbers.append(number)


class Session:
    """What all clients heard of a node, and what it wrote down."""

    def __init__(self, running: Any, folder: Path, script: Sequence[Stretch], talkers: int) -> None:
        context = zmq.Context()
        clients = [
            Talker(context, running.admin if who == 0 else running.orders, IDENTITIES[who])
            for who in range(talkers)
        ]
        try:
            for number, (who, frames) in enumerate(script):
                for frame in frames:
                    clients[who].socket.send_multipart(frame)
                clients[who].listen(2 * number)
                for other in clients:
                    other.listen(2 * number + 1)
        finally:
            for client in clients:
                client.socket.close()
            context.term()
        self.digest = running.node.engine.digest()
        running.stop()
        self.events = [client.events for client in clients]
        self.request_ids = [client.request_ids for client in clients]
        self.numbers = [client.numbers for client in clients]
        self.controls = [client.controls for client in clients]
        self.commands = b"".join(frame.commands for frame in scan(folder / "journal"))


#: Of the admin's client and the traders'; ZeroMQ chooses the empty ones.
IDENTITIES = [b"", b"", b"a name of 255 bytes".ljust(255, b"."), b"b", b"", b""]


@pytest.fixture
def run_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_node: Callable[..., Any]
) -> Iterator[Callable[..., tuple[Session, Session]]]:
    """Runs a script on a node of each loop.  Time stands still, so that journals are comparable; nobody is muted."""
    monkeypatch.setattr("exchange.gateway.limits.REFUSALS_A_SECOND", 10**9)
    monkeypatch.setattr("exchange.node.Sequencer", partial(Sequencer, clock=lambda: 10**18))

    def run(script: Sequence[Stretch], talkers: int, **changes: Any) -> tuple[Session, Session]:
        sessions = []
        for loop in ("native", "plain"):
            folder = tmp_path / loop
            sessions.append(
                Session(start_node(loop=loop, data=folder, **changes), folder, script, talkers)
            )
        return sessions[0], sessions[1]

    yield run


@pytest.fixture
def loop() -> str:
    """These tests run both themselves."""
    return "native"


def assert_alike(native: Session, plain: Session) -> None:
    assert native.events == plain.events
    assert native.request_ids == plain.request_ids
    assert native.numbers == plain.numbers
    assert native.controls == plain.controls
    assert native.commands == plain.commands
    assert native.digest == plain.digest


# ------------------------------------------------------------------------------------------- random traffic


class Traffic:
    """Random frames of several clients: mostly orders that meet, and everything that is wrong with frames."""

    def __init__(self, seed: int) -> None:
        self.noise = random.Random(seed)
        self.request = 0
        #: Accounts of each client, that of the admin first.  The last two hear the same account, and nothing.
        self.accounts = [[0], [1], [2, 3], [4], [1], []]

    def next_request(self) -> int:
        self.request += 1
        return self.request * self.noise.choice((1, 1, 1, 1 << 20))

    def script(self, stretches: int) -> list[Stretch]:
        return [*self.opening(), *(self.stretch() for _ in range(stretches))]

    def opening(self) -> list[Stretch]:
        script: list[Stretch] = [(0, [self.one(m.SetMark(symbol=1, price_ticks=MARK_TICKS))])]
        for who, accounts in enumerate(self.accounts):
            if accounts == [0] or not accounts:
                continue
            frames = [(control(self.next_request(), "login", account=a),) for a in accounts]
            deposits = [m.Deposit(account=a, amount_atoms=10**15) for a in accounts]
            script.append((who, [*frames, *map(self.one, deposits)]))
        return script

    def stretch(self) -> Stretch:
        who = self.noise.choice((0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5))
        return who, [self.frame(who) for _ in range(self.noise.choice((1, 2, 5, 30, 120)))]

    def one(self, command: m.Command) -> Frame:
        return (encode_command_wire(command, self.next_request()),)

    def frame(self, who: int) -> Frame:
        kind = self.noise.random()
        if kind < 0.75:
            count = self.noise.choice((1, 1, 1, 2, 5, 30))
            return (b"".join(self.one(self.command(who))[0] for _ in range(count)),)
        if kind < 0.80:
            return (control(self.next_request(), self.noise.choice(("get_assets", "nonsense"))),)
        if kind < 0.84:
            return self.one(self.command(who % 3 + 1))  # for accounts that may be another's
        if kind < 0.88:
            return self.one(self.command(0 if who else 1))  # of the other door
        if kind < 0.90:
            return (self.noise.randbytes(self.noise.randrange(40)),)
        if kind < 0.94:
            return (self.broken(self.one(self.command(who))[0]),)
        if kind < 0.96:
            return tuple(self.one(self.command(who))[0] for _ in range(self.noise.choice((2, 3))))
        if kind < 0.98:
            return (b"".join(self.one(self.command(who))[0] for _ in range(MAX_COMMANDS + 1)),)
        return self.one(self.a_list(1 if who == 0 else who, orders=self.noise.randrange(65)))

    def broken(self, payload: bytes) -> bytes:
        """With some bytes changed, or cut short; nothing that could log in or out."""
        changed = bytearray(payload)
        for _ in range(self.noise.randrange(1, 4)):
            changed[self.noise.randrange(1, len(changed))] = self.noise.randrange(256)
        return bytes(changed[: self.noise.choice((len(changed), len(changed) - 1, 3))])

    def command(self, who: int) -> m.Command:
        if who == 0:
            return self.noise.choice((self.a_mark, self.a_funding))()
        account = self.noise.choice(self.accounts[who] or [9])
        order_id = self.noise.randrange(1, 2000)
        match self.noise.randrange(12):
            case 0:
                return m.CancelOrder(account=account, order_id=order_id)
            case 1:
                return m.CancelOrder(account=account, client_order_id=self.noise.randrange(1, 60))
            case 2:
                return m.AmendOrder(account=account, order_id=order_id, price_ticks=self.price())
            case 3:
                return self.noise.choice(
                    (
                        m.CancelAll(account=account),
                        m.Deposit(account=account, amount_atoms=self.noise.randrange(-5, 10**9)),
                        m.Withdraw(account=account, amount_atoms=self.noise.randrange(10**9)),
                        self.a_list(who, orders=3),
                    )
                )
            case _:
                return self.an_order(account)

    def an_order(self, account: int) -> m.PlaceOrder:
        return m.PlaceOrder(
            account=account,
            symbol=self.noise.choice((1, 1, 1, 1, 1, 2)),
            side=self.noise.randrange(2),
            price_ticks=self.price(),
            qty_lots=self.noise.randrange(1, 50),
            time_in_force=self.noise.choice((0, 0, 0, 1, 2)),
            client_order_id=self.noise.choice((0, self.noise.randrange(1, 60))),
        )

    def a_list(self, who: int, *, orders: int) -> m.PlaceOrders:
        account = self.noise.choice(self.accounts[who] or [9])
        entries = tuple(
            m.OrderEntry(symbol=1, side=side, price_ticks=self.price(), qty_lots=1 + side)
            for side in (self.noise.randrange(2) for _ in range(orders))
        )
        return m.PlaceOrders(account=account, list_mode=self.noise.randrange(2), orders=entries)

    def price(self) -> int:
        return MARK_TICKS + self.noise.randrange(-20, 21)

    def a_mark(self) -> m.Command:
        return m.SetMark(symbol=1, price_ticks=MARK_TICKS + self.noise.randrange(-50, 51))

    def a_funding(self) -> m.Command:
        return m.SettleFunding(symbol=1, payment_atoms_per_lot=self.noise.randrange(-9, 10))


@pytest.mark.parametrize("durability", list(Durability))
@pytest.mark.parametrize("seed", range(3))
def test_the_same_traffic_gives_everybody_the_same(
    run_both, config: Config, seed: int, durability: Durability
) -> None:
    traffic = Traffic(100 * seed + len(durability))
    native, plain = run_both(
        traffic.script(25),
        len(traffic.accounts),
        limits=msgspec.structs.replace(config.limits, max_commands_per_message=MAX_COMMANDS),
        journal=msgspec.structs.replace(config.journal, durability=durability),
    )
    assert_alike(native, plain)
    # What is compared is not nothing: everybody who is logged in heard of events, and refusals were spoken.
    assert all(len(events) > 500 for events in native.events[1:5])
    assert native.events[5] == b""
    assert all(0 not in numbers for numbers in native.numbers[1:])
    assert sum(len(heard) for client in native.controls for heard in client) > 20
    assert len(decode_commands(native.commands)) > 200


def test_a_login_in_the_middle_of_a_flood_counts_for_what_follows(run_both) -> None:
    frames: list[Frame] = []
    for account in range(10, 40):
        deposit = encode_command_wire(m.Deposit(account=account, amount_atoms=account), account)
        frames += [
            (deposit,),
            (control(account, "login", account=account),),
            (deposit,),
            (deposit,),
        ]
    native, plain = run_both([(1, frames), (2, frames)], 3)
    assert_alike(native, plain)
    assert len(native.controls[1][0]) == 60  # 30 logins, and 30 refusals


def test_nothing_is_taken_after_a_logout(run_both) -> None:
    deposit = (encode_command_wire(m.Deposit(account=7, amount_atoms=5), 3),)
    script: list[Stretch] = [
        (1, [(control(1, "login", account=7),), deposit]),
        (1, [(control(2, "logout"),)]),
        (1, [deposit]),
        (1, [(control(4, "login", account=7),), deposit]),
    ]
    native, plain = run_both(script, 3)
    # A ping may be refused before the logout that it came with is answered.
    for session in (native, plain):
        session.controls = [
            [sorted(heard for part in c for heard in part)] for c in session.controls
        ]
    assert_alike(native, plain)
    wallets = [c.amount_atoms for c in decode_commands(native.commands) if isinstance(c, m.Deposit)]
    assert wallets == [5, 5]


# ------------------------------------------------------------------------------------------- what stays below


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the lane asked of Python since."""
    calls: list[str] = []

    def watch(name: str) -> None:
        method = getattr(Upstairs, name)

        def called(self: Upstairs, *arguments: Any) -> Any:
            calls.append(name)
            return method(self, *arguments)

        monkeypatch.setattr(Upstairs, name, called)

    for name in ("append", "handle", "handle_limited", "deliver", "undelivered"):
        watch(name)
    return calls


def deposits(running: Any, count: int) -> list[Any]:
    """Sends so many deposits one by one, and takes their replies."""
    replies = []
    with zmq.Context() as context:
        client = Talker(context, running.orders, b"")
        client.socket.send(control(1, "login", account=7))
        client.socket.recv()
        for request_id in range(2, 2 + count):
            deposit = m.Deposit(account=7, amount_atoms=request_id)
            client.socket.send(encode_command_wire(deposit, request_id))
            replies.append(client.socket.recv())
        client.socket.close()
    return replies


@pytest.mark.parametrize(
    ("durability", "asked"),
    [(Durability.OFF, []), (Durability.INTERVAL, []), (Durability.ALWAYS, ["append"] * 50)],
)
def test_a_round_of_common_frames_needs_no_python(
    start_node, config: Config, looked_up: list[str], durability: Durability, asked: list[str]
) -> None:
    journal = msgspec.structs.replace(config.journal, durability=durability, segment_bytes=1 << 20)
    running = start_node(journal=journal)
    assert len(deposits(running, 50)) == 50
    assert looked_up == ["handle", *asked]  # the login's, and what the journal is handed
    running.stop()
    assert sum(frame.count for frame in scan(config.data / "journal")) == 4 + 50


@pytest.mark.parametrize("every_commands", [0, 1_000_000])
def test_where_nothing_is_due_nobody_looks_up(
    start_node, config: Config, monkeypatch: pytest.MonkeyPatch, every_commands: int
) -> None:
    looks: list[int] = []
    look_up = Node.look_up
    monkeypatch.setattr(Node, "look_up", lambda node: (looks.append(1), look_up(node))[1])
    journal = msgspec.structs.replace(config.journal, durability=Durability.OFF)
    running = start_node(journal=journal, snapshots=SnapshotConfig(every_commands=every_commands))
    assert running.node.loop == "native"
    assert len(deposits(running, 200)) == 200
    # After the login, and once a second where a snapshot may be due: not once for each of 200 rounds.
    assert len(looks) < 20


def test_what_sessions_may_send_is_counted_without_python(
    start_node, config: Config, looked_up: list[str]
) -> None:
    limits = msgspec.structs.replace(
        config.limits,
        frames_per_second=1,
        frames_burst=31,
        orders_per_second=1,
        max_in_flight=10,
    )
    journal = msgspec.structs.replace(config.journal, durability=Durability.OFF)
    replies = deposits(start_node(limits=limits, journal=journal), 100)
    # A login and 30 deposits are the burst; of what comes after it most is refused, and that is Python's.
    refused = [place for place, reply in enumerate(replies) if is_control(reply)]
    assert min(refused) >= 30
    assert looked_up.count("handle_limited") == 1 + len(refused)
    assert msgspec.msgpack.decode(replies[refused[0]])[2]["error"] == "rate_limited"


# ------------------------------------------------------------------------------------------- which loop


def test_the_reference_engine_is_served_by_the_plain_loop(config: Config, start_node) -> None:
    assert start_node(engine="reference", loop="auto").node.loop == "plain"


def test_a_node_says_which_loop_it_has(start_node) -> None:
    assert start_node(loop="auto").node.loop == "native"


def test_a_native_loop_that_cannot_be_had_is_an_error_where_it_was_asked_for(
    config: Config,
) -> None:
    with pytest.raises(
        ConfigError, match=r"node\.loop is \"native\".*ReferenceEngine is not the compiled one"
    ):
        Node(msgspec.structs.replace(config, engine="reference", loop="native"))


def test_without_libzmqs_functions_the_plain_loop_serves_and_it_is_logged(
    start_node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zmq.zmq_version_info", lambda: (4, 1, 0))
    running = start_node(loop="auto")
    assert running.node.loop == "plain"
    assert "lane_missing" in " ".join(event.name for event in running.logged)
    running.client(7).deposit(1)


def test_the_default_configuration_takes_the_native_loop_where_it_can() -> None:
    assert load_config().loop == "auto"
