"""What a frame from a client means and whether it may: a session, without any socket in it.

Theory of operation.  A frame is either one *control message*, the msgpack array ``[0, request_id, "name", {args}]``, or
any number of *commands* one after the other (exchange/protocol/wire.py).  A session turns the bytes of a frame into a
``Query``, ``Commands`` or a ``Refusal``; bytes that mean nothing end here, they are answered and never reach the
journal.  A frame is taken whole or refused whole.

The life of a session is the table ``NEXT_STATE``: what is not in it is refused, in the words of ``REFUSALS``.  Which
commands and queries there are at all depends on the *door* that the session came through: traders' or operator's.
A client that reads too slowly loses its session (``Input.OVERFLOW``): it is told so at its next frame, logs in again
and asks for the state of its account.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from enum import Enum, StrEnum, auto
from itertools import islice
from typing import Any, Protocol

import msgspec

from exchange.protocol import wire
from exchange.protocol.records import iter_starts
from exchange.protocol.schema import COMMAND_BY_NAME, MAX_ACCOUNT, MESSAGE_BY_NUMBER

CONTROL = 0
MAX_ACCOUNTS = 10_000  # that one session may be logged in for
PLACE_ORDERS = COMMAND_BY_NAME["place_orders"].number
#: Commands that bring an order into the book, or may make one larger.
PLACING = frozenset(
    COMMAND_BY_NAME[name].number for name in ("place_order", "place_orders", "amend_order")
)
AT_ORDER_COUNT = (
    COMMAND_BY_NAME["place_orders"].size - 1
)  # the last byte in front of a list's orders
ACCOUNT = struct.Struct("<4xI")  # of a record's header, after type and size
#: First bytes of a control message: a small msgpack array, the first thing in it the integer 0.
CONTROL_STARTS = tuple(bytes([0x90 | size, CONTROL]) for size in range(1, 16))
#: Arguments are plain values: nothing nests, so nothing can be too deep to be read.
CONTROL_DECODER = msgspec.msgpack.Decoder(tuple[int, int, str, dict[str, int | str | bool | None]])


class Code(StrEnum):
    """Why the node did not take a request; nothing of it was carried out or journaled."""

    MALFORMED = "malformed"
    NOT_LOGGED_IN = "not_logged_in"
    WRONG_DOOR = "wrong_door"
    UNKNOWN_QUERY = "unknown_query"
    INVALID_ARGUMENTS = "invalid_arguments"
    UNKNOWN_SYMBOL = "unknown_symbol"
    TOO_MANY_SESSIONS = "too_many_sessions"
    SESSION_LOST = "session_lost"
    SESSION_CLOSED = "session_closed"
    DRAINING = "draining"


class State(Enum):
    NEW = auto()  # somebody is there
    ACTIVE = auto()  # logged in for at least one account, or come through the operator's door
    LOST = auto()  # read too slowly: events were dropped
    CLOSED = auto()


class Input(Enum):
    LOGIN = auto()
    LOGOUT = auto()
    PUBLIC_QUERY = auto()
    ACCOUNT_QUERY = auto()
    COMMANDS = auto()
    OVERFLOW = auto()


NEXT_STATE: dict[tuple[State, Input], State] = {
    (State.NEW, Input.LOGIN): State.ACTIVE,
    (State.NEW, Input.LOGOUT): State.CLOSED,
    (State.NEW, Input.PUBLIC_QUERY): State.NEW,
    (State.NEW, Input.OVERFLOW): State.LOST,
    (State.ACTIVE, Input.LOGIN): State.ACTIVE,
    (State.ACTIVE, Input.LOGOUT): State.CLOSED,
    (State.ACTIVE, Input.PUBLIC_QUERY): State.ACTIVE,
    (State.ACTIVE, Input.ACCOUNT_QUERY): State.ACTIVE,
    (State.ACTIVE, Input.COMMANDS): State.ACTIVE,
    (State.ACTIVE, Input.OVERFLOW): State.LOST,
    (State.LOST, Input.LOGIN): State.ACTIVE,
    (State.LOST, Input.LOGOUT): State.CLOSED,
    (State.LOST, Input.OVERFLOW): State.LOST,
}

#: state -> (code, what to do) of an input that the table does not have.
REFUSALS: dict[State, tuple[Code, str]] = {
    State.NEW: (
        Code.NOT_LOGGED_IN,
        'not logged in: send [0, request_id, "login", {"account": n}] first',
    ),
    State.LOST: (
        Code.SESSION_LOST,
        "this session read too slowly and events were dropped: log in again and ask for the state",
    ),
    State.CLOSED: (Code.SESSION_CLOSED, "this session was closed by its logout: connect anew"),
}


class Door(msgspec.Struct, frozen=True):
    """Which commands and queries a socket takes, and whether one has to log in first."""

    name: str
    sender: str  # of the commands taken, as the message table names it
    needs_login: bool
    public_queries: frozenset[str]
    account_queries: frozenset[str]

    def may_send(self, number: int) -> bool:
        return MESSAGE_BY_NUMBER[number].sender == self.sender


PUBLIC_QUERIES = frozenset(
    {
        "ping",
        "get_symbols",
        "get_book",
        "get_book_orders",
        "get_statistics",
        "get_funds",
        "get_assets",
    }
)
ACCOUNT_QUERIES = frozenset(
    {"get_account", "get_positions", "get_collateral", "get_open_orders", "get_fills", "preview"}
)
TRADERS_DOOR = Door("orders", "trader", True, PUBLIC_QUERIES, ACCOUNT_QUERIES)


class Commands(msgspec.Struct, frozen=True):
    """Commands as the engine wants them, still without sequence and time."""

    records: bytes
    request_ids: list[int]
    accounts: list[int]


class Query(msgspec.Struct, frozen=True):
    """A question of state, or login and logout, which are answered by the same way."""

    request_id: int
    name: str
    arguments: dict[str, Any]


class Refusal(msgspec.Struct, frozen=True):
    """Why a frame was not taken; one answer for each request that could be read."""

    request_ids: list[int]
    code: Code
    message: str

    def encode(self) -> list[bytes]:
        body = {"error": self.code, "message": self.message}
        return [encode_control(request_id, body) for request_id in self.request_ids or [0]]


def count_orders(records: bytes) -> int:
    """The work in a message: one for each command, and one for each order of a list."""
    return sum(
        max(1, records[offset + AT_ORDER_COUNT]) if number == PLACE_ORDERS else 1
        for number, offset, _ in iter_starts(records)
    )


def places_orders(records: bytes) -> bool:
    """Whether a message has a command that brings an order into the book, or may make one larger."""
    return any(number in PLACING for number, _, _ in iter_starts(records))


def encode_control(request_id: int, body: object) -> bytes:
    return msgspec.msgpack.encode((CONTROL, request_id, body))


def is_control(payload: bytes) -> bool:
    return payload.startswith(CONTROL_STARTS)


#: What a client that lost its session hears first, when there is room in its queue again.
(SESSION_LOST,) = Refusal([], *REFUSALS[State.LOST]).encode()


class Session:
    """One client's connection, from its first frame to its last.

    >>> session = Session(b"peer", TRADERS_DOOR)
    >>> session.receive(msgspec.msgpack.encode([0, 1, "login", {"account": 7}])).name
    'login'
    >>> session.login(7)
    >>> session.state, session.accounts
    (<State.ACTIVE: 2>, {7})
    """

    def __init__(self, peer: bytes, door: Door, max_commands: int = 4096) -> None:
        self.peer = peer
        self.door = door
        self.state = State.NEW if door.needs_login else State.ACTIVE
        self.accounts: set[int] = set()
        self._max_commands = max_commands

    def receive(self, payload: bytes) -> Commands | Query | Refusal:
        """What one frame asks for, or why it is not taken."""
        if is_control(payload):
            return self._receive_control(payload)
        try:
            records, request_ids = wire.decode_commands(payload, self._max_commands)
        except ValueError as error:
            return Refusal([], Code.MALFORMED, f"not a message of this exchange: {error}")
        if not request_ids:
            return Refusal([], Code.MALFORMED, "wanted at least one command, came an empty message")
        orders = count_orders(records)
        if orders > self._max_commands:
            text = f"wanted at most {self._max_commands} orders in a message, those of lists included, came {orders}"
            return Refusal(request_ids, Code.MALFORMED, f"{text}: send them in several")
        accounts = self._acting_accounts(records)
        refused = self._step(Input.COMMANDS, request_ids) or self._refuse_senders(
            records, request_ids, accounts
        )
        return refused or Commands(records, request_ids, accounts)

    def login(self, account: int) -> None:
        """Events of this account come to this session from now on.  A session may log in for several."""
        self.accounts.add(account)

    def overflow(self) -> None:
        """The client did not take its replies: from here on it hears nothing until it logs in again."""
        self._step(Input.OVERFLOW, [])

    def _acting_accounts(self, records: bytes) -> list[int]:
        """Whose events the replies are: an operator's commands act for no account, whatever their header says."""
        starts = iter_starts(records)
        if not self.door.needs_login:
            return [0 for _ in starts]
        return [ACCOUNT.unpack_from(records, offset)[0] for _, offset, _ in starts]

    def _receive_control(self, payload: bytes) -> Query | Refusal:
        try:
            _, request_id, name, arguments = CONTROL_DECODER.decode(payload)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            wanted = 'wanted one [0, request_id, "name", {args}] and nothing after it'
            return Refusal([], Code.MALFORMED, f"{wanted}: {error}")
        kind = self._kind_of_query(name)
        if kind is None:
            known = ", ".join(
                sorted({"login", "logout"} | self.door.public_queries | self.door.account_queries)
            )
            return Refusal(
                [request_id], Code.UNKNOWN_QUERY, f"no query {name!r:.80} here; there are {known}"
            )
        if kind is Input.LOGIN and (problem := self._login_problem(arguments)):
            return Refusal([request_id], Code.INVALID_ARGUMENTS, problem)
        return self._step(kind, [request_id]) or Query(request_id, name, arguments)

    def _kind_of_query(self, name: str) -> Input | None:
        if name in self.door.account_queries:
            return Input.ACCOUNT_QUERY
        if name in self.door.public_queries:
            return Input.PUBLIC_QUERY
        return {"login": Input.LOGIN, "logout": Input.LOGOUT}.get(name)

    def _step(self, what: Input, request_ids: list[int]) -> Refusal | None:
        """Moves along the table, or says why it cannot."""
        after = NEXT_STATE.get((self.state, what))
        if after is None:
            code, message = REFUSALS[self.state]
            return Refusal(request_ids, code, message)
        self.state = after
        return None

    def _login_problem(self, arguments: dict[str, Any]) -> str:
        account = arguments.get("account")
        if (
            set(arguments) != {"account"}
            or type(account) is not int
            or not 1 <= account <= MAX_ACCOUNT
        ):
            return f'wanted {{"account": 1 .. {MAX_ACCOUNT}}}, got {arguments!s:.80}'
        if len(self.accounts) >= MAX_ACCOUNTS and account not in self.accounts:
            return f"a session logs in for at most {MAX_ACCOUNTS} accounts: connect once more for others"
        return ""

    def _refuse_senders(
        self, records: bytes, request_ids: list[int], accounts: list[int]
    ) -> Refusal | None:
        for number, _, _ in iter_starts(records):
            if not self.door.may_send(number):
                message = MESSAGE_BY_NUMBER[number]
                text = f"{message.name} is a command of the {message.sender}'s door, this is the {self.door.sender}'s"
                return Refusal(request_ids, Code.WRONG_DOOR, text)
        if self.door.needs_login and not self.accounts.issuperset(accounts):
            missing = next(account for account in accounts if account not in self.accounts)
            return Refusal(
                request_ids,
                Code.NOT_LOGGED_IN,
                f"not logged in for account {missing}: log in for it first",
            )
        return None


class Listener(Protocol):
    """Who mirrors the sessions is told of each change, right after it."""

    def logged_in(self, session: Session, account: int) -> None: ...
    def lost(self, session: Session) -> None: ...
    def removed(self, session: Session) -> None: ...


class Sessions:
    """All sessions, by peer and by the account that they are logged in for."""

    def __init__(self, max_sessions: int, max_commands: int) -> None:
        self._max_sessions = max_sessions
        self._max_commands = max_commands
        self._by_peer: dict[tuple[str, bytes], Session] = {}
        self._by_account: dict[int, list[Session]] = {}
        self._untold: set[Session] = set()
        self.listener: Listener | None = None
        self.draining = False  # the node is about to stop: no newcomers, nothing is placed

    def __len__(self) -> int:
        return len(self._by_peer)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_peer.values()))

    @property
    def is_full(self) -> bool:
        return len(self._by_peer) >= self._max_sessions

    def find(self, door: Door, peer: bytes) -> Session | None:
        """The session of a peer, made at its first frame; None when there are as many as may be.

        While the node drains, only its operator may come anew.
        """
        session = self._by_peer.get((door.name, peer))
        closed = self.is_full or (self.draining and door.needs_login)
        if session is None and not closed:
            session = self._by_peer[door.name, peer] = Session(peer, door, self._max_commands)
        return session

    def login(self, session: Session, account: int) -> None:
        if account not in session.accounts:
            session.login(account)
            self._by_account.setdefault(account, []).append(session)
        if self.listener is not None:
            self.listener.logged_in(session, account)

    def of_account(self, account: int) -> list[Session]:
        return self._by_account.get(account, [])

    def lose(self, session: Session) -> None:
        """The peer reads too slowly: nothing is sent to it until it logs in again."""
        session.overflow()
        self._forget_accounts(session)
        self._untold.add(session)
        if self.listener is not None:
            self.listener.lost(session)

    def logged_in(self) -> list[Session]:
        """Who trades: the sessions that are logged in for an account."""
        return [session for session in self if session.accounts]

    def count_by_state(self) -> dict[tuple[str, str], int]:
        """How many sessions there are, by door and state."""
        return Counter((s.door.name, s.state.name.lower()) for s in self)

    def to_be_told(self) -> list[Session]:
        """Who lost its session and could not be told yet, because its queue was full."""
        return list(self._untold)

    def was_told(self, session: Session) -> None:
        self._untold.discard(session)

    def known(self, door: Door, peer: bytes) -> Session | None:
        return self._by_peer.get((door.name, peer))

    def longest_unprobed(self, count: int) -> list[Session]:
        """A few sessions, others every time: their turn comes again after all others had theirs."""
        keys = list(islice(self._by_peer, count))
        for key in keys:
            self._by_peer[key] = self._by_peer.pop(key)
        return [self._by_peer[key] for key in keys]

    def remove(self, session: Session) -> None:
        """The peer is gone, or said goodbye."""
        self._by_peer.pop((session.door.name, session.peer), None)
        self._untold.discard(session)
        self._forget_accounts(session)
        if self.listener is not None:
            self.listener.removed(session)

    def _forget_accounts(self, session: Session) -> None:
        for account in session.accounts:
            self._by_account[account].remove(session)
            if not self._by_account[account]:
                del self._by_account[account]
        session.accounts.clear()
