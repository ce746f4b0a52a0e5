"""Who is there, for which account, and whether it may do what a frame asks for.  No I/O.

Theory of operation.  A *session* is what one peer of one door has said of itself: its logins, what it used of its
limits, when it was heard last.  Its life is the table ``NEXT_STATE``: what is not in it is refused, in the words of
``REFUSALS``.  A client that reads too slowly loses its session (``Input.OVERFLOW``): it is told so, logs in again with
the number of the last event that it saw, and gets those after it.

``Sessions`` is the registry, and the only place where a session begins, changes and ends.  A loop that keeps a copy of
it, to take the common frames without coming here, is its ``Listener`` and hears of every change before the next frame
is looked at.  What such a loop does not take comes here, and means the same.

A session that asked for it has the orders of its accounts cancelled when it ends, however it ends.  Ending only notes
the accounts; the node takes them (``take_cancels``) and makes the commands, which are journaled like any other.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from enum import Enum, auto
from itertools import islice

from exchange.gateway.connection import Code, Commands, Door, Query, Refusal, read_frame
from exchange.gateway.greeting import Hello, Login, read_hello, read_login
from exchange.gateway.limits import UNBOUNDED, Allowance, RefuseOrders, SessionLimits, draining
from exchange.gateway.permission import Permission, permission_at

MAX_ACCOUNTS = 10_000  # that one session may be logged in for
MS_NS = 1_000_000
#: How often a session is probed whose end would cancel orders.
PROBE_NS = 1_000_000_000
#: How many times its own interval a client may be silent.
SILENT_HEARTBEATS = 3


class State(Enum):
    NEW = auto()  # somebody is there
    ACTIVE = auto()  # logged in for at least one account, or come through the operator's door
    LOST = auto()  # read too slowly: events were dropped
    CLOSED = auto()


class Input(Enum):
    HELLO = auto()
    LOGIN = auto()
    LOGOUT = auto()
    PUBLIC_QUERY = auto()
    ACCOUNT_QUERY = auto()
    COMMANDS = auto()
    OVERFLOW = auto()


NEXT_STATE: dict[tuple[State, Input], State] = {
    (State.NEW, Input.HELLO): State.NEW,
    (State.NEW, Input.LOGIN): State.ACTIVE,
    (State.NEW, Input.LOGOUT): State.CLOSED,
    (State.NEW, Input.PUBLIC_QUERY): State.NEW,
    (State.NEW, Input.OVERFLOW): State.LOST,
    (State.ACTIVE, Input.HELLO): State.ACTIVE,
    (State.ACTIVE, Input.LOGIN): State.ACTIVE,
    (State.ACTIVE, Input.LOGOUT): State.CLOSED,
    (State.ACTIVE, Input.PUBLIC_QUERY): State.ACTIVE,
    (State.ACTIVE, Input.ACCOUNT_QUERY): State.ACTIVE,
    (State.ACTIVE, Input.COMMANDS): State.ACTIVE,
    (State.ACTIVE, Input.OVERFLOW): State.LOST,
    (State.LOST, Input.HELLO): State.LOST,
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
        "this session read too slowly and events were dropped: log in again, after the last event that you saw",
    ),
    State.CLOSED: (Code.SESSION_CLOSED, "this session was closed by its logout: connect anew"),
}

#: What a client that lost its session hears first, when there is room in its queue again.
(SESSION_LOST,) = Refusal([], *REFUSALS[State.LOST]).encode()
#: What is sent to a client of which nothing was heard, in case that it is there after all.
(SESSION_SILENT,) = Refusal(
    [],
    Code.SESSION_LOST,
    f"nothing came from this session for {SILENT_HEARTBEATS} heartbeats: it is over, say hello and log in again",
).encode()
#: What a session hears whose client logged in by another connection.
(SESSION_TAKEN_OVER,) = Refusal(
    [],
    Code.SESSION_CLOSED,
    "the same client logged in by another connection: this session is over",
).encode()


class Session:
    """One client's connection, from its first frame to its last.

    >>> from exchange.gateway.connection import TRADERS_DOOR, encode_control
    >>> import msgspec
    >>> session = Session(b"peer", TRADERS_DOOR)
    >>> session.receive(msgspec.msgpack.encode([0, 1, "login", {"account": 7}])).name
    'login'
    >>> session.state
    <State.ACTIVE: 2>
    """

    def __init__(
        self,
        peer: bytes,
        door: Door,
        limits: SessionLimits = UNBOUNDED,
        *,
        key: int = 0,
        user: str = "",
        permission: Permission | None = None,
        now_ns: int = 0,
    ) -> None:
        self.peer = peer
        #: The public key that its messages come with; "" without encryption.
        self.user = user
        self.door = door
        self.state = State.NEW if door.needs_login else State.ACTIVE
        self.permission = permission or permission_at(door)
        self.accounts: dict[int, Login] = {}
        #: Replays under way: account -> number of the next event that this session gets of it.
        self.catching_up: dict[int, int] = {}
        self.replay_from = 0  # the answer to the login leaves when the journal has this sequence
        #: What could not be sent while a replay filled the queue.
        self.waiting: deque[bytes] = deque()
        #: By which the events of its commands are known later: the client's own, or one that nobody else has.
        self.key = key
        self.allowance = Allowance(limits if door.needs_login else UNBOUNDED)
        self.heartbeat_ns = 0  # 0: none was asked for
        self.heard_ns = now_ns
        self.sent_ns = now_ns
        self.due_ns = 0  # when somebody looks whether a heartbeat is due; 0: nobody does
        self._max_commands = limits.max_commands

    def receive(
        self,
        payload: bytes,
        now_ns: int = 0,
        refuse_orders: RefuseOrders | None = None,
    ) -> Commands | Query | Refusal:
        """What one frame asks for, or why it is not taken.  ``refuse_orders`` says why no orders are taken now."""
        asked = read_frame(payload, self.door, self._max_commands)
        if isinstance(asked, Refusal):
            return self.allowance.refuse_frame([], now_ns) or asked
        if isinstance(asked, Query):
            refused = self.allowance.refuse_frame([asked.request_id], now_ns)
            return refused or self._refuse_query(asked) or asked
        refused = self.allowance.refuse_frame(asked.request_ids, now_ns)
        return refused or self._refuse_commands(asked, now_ns, refuse_orders) or asked

    def say_hello(self, hello: Hello) -> None:
        self.heartbeat_ns = hello.heartbeat_ms * MS_NS

    def login(self, login: Login) -> None:
        """Events of this account come to this session from now on.  A session may log in for several."""
        self.accounts[login.account] = login
        self.key = login.client or self.key

    def overflow(self) -> None:
        """The client did not take its replies: from here on it hears nothing until it logs in again."""
        self._step(Input.OVERFLOW, [])

    @property
    def cancels_on_disconnect(self) -> bool:
        return any(login.cancel_on_disconnect for login in self.accounts.values())

    @property
    def send_interval_ns(self) -> int:
        """After how long a silence of ours it gets a heartbeat; 0: never."""
        probe_ns = PROBE_NS if self.cancels_on_disconnect else 0
        return min(probe_ns or self.heartbeat_ns, self.heartbeat_ns or probe_ns)

    @property
    def patience_ns(self) -> int:
        """After how long a silence of its own it is gone; 0: never."""
        return SILENT_HEARTBEATS * self.heartbeat_ns

    # ---- what may not be

    def _refuse_query(self, query: Query) -> Refusal | None:
        problem: Hello | Login | Refusal | None = self.permission.refuse_query(query)
        if problem is None and query.name == "hello":
            problem = read_hello(query)
        if problem is None and query.name == "login":
            problem = self._refuse_login(query)
        if isinstance(problem, Refusal):
            return problem
        return self._step(self._kind_of_query(query.name), [query.request_id])

    def _refuse_login(self, query: Query) -> Refusal | None:
        login = read_login(query)
        if isinstance(login, Refusal):
            return login
        if not self.permission.may_log_in(login.account):
            text = f"this key may not log in for account {login.account}"
            return Refusal([query.request_id], Code.FORBIDDEN, text)
        if len(self.accounts) >= MAX_ACCOUNTS and login.account not in self.accounts:
            text = f"a session logs in for at most {MAX_ACCOUNTS} accounts: connect once more for others"
            return Refusal([query.request_id], Code.INVALID_ARGUMENTS, text)
        return None

    def _kind_of_query(self, name: str) -> Input:
        if name in self.door.account_queries:
            return Input.ACCOUNT_QUERY
        if name in self.door.public_queries:
            return Input.PUBLIC_QUERY
        return {"hello": Input.HELLO, "login": Input.LOGIN, "logout": Input.LOGOUT}[name]

    def _refuse_commands(
        self,
        commands: Commands,
        now_ns: int,
        refuse_orders: RefuseOrders | None,
    ) -> Refusal | None:
        return (
            self._step(Input.COMMANDS, commands.request_ids)
            or refuse_senders(self.door, commands)
            or self.permission.refuse_commands(commands)
            or self._refuse_accounts(commands)
            or (refuse_orders(commands.request_ids) if refuse_orders and commands.placed else None)
            or self.allowance.refuse_commands(commands.request_ids, commands.placed, now_ns)
        )

    def _refuse_accounts(self, commands: Commands) -> Refusal | None:
        if not self.door.needs_login:
            return None
        for account in commands.accounts:
            login = self.accounts.get(account)
            if login is None:
                text = f"not logged in for account {account}: log in for it first"
                return Refusal(commands.request_ids, Code.NOT_LOGGED_IN, text)
            if login.read_only:
                text = f"this session is logged in for account {account} to look only: it sends no commands"
                return Refusal(commands.request_ids, Code.READ_ONLY, text)
        return None

    def _step(self, what: Input, request_ids: list[int]) -> Refusal | None:
        """Moves along the table, or says why it cannot."""
        after = NEXT_STATE.get((self.state, what))
        if after is None:
            code, message = REFUSALS[self.state]
            return Refusal(request_ids, code, message)
        self.state = after
        return None


def refuse_senders(door: Door, commands: Commands) -> Refusal | None:
    wrong = [number for number in sorted(commands.numbers) if not door.may_send(number)]
    if not wrong:
        return None
    return Refusal(commands.request_ids, Code.WRONG_DOOR, door.wrong_sender(wrong[0]))


class Listener:
    """What a loop that keeps a copy of the sessions is told, before the next frame is looked at; this one has none."""

    def opened(self, session: Session) -> None:
        """A peer's first frame came."""

    def joined(self, session: Session, login: Login) -> None:
        """From now on the account's events go to the session as they come, and it may send as the login says."""

    def replaying(self, session: Session) -> None:
        """Whatever goes to the session goes by the courier, until it has ``joined`` for all its accounts."""

    def left(self, session: Session, account: int) -> None:
        """The account's events do not go to the session any more, as they come."""

    def lost(self, session: Session) -> None:
        """Nothing but control messages is sent to the session until it logs in again; it left all accounts."""

    def muted(self, session: Session) -> None:
        """Its frames are dropped unread until ``session.allowance.muted_until_ns``."""

    def ended(self, session: Session) -> None:
        """The peer has no session any more."""

    def refresh(self, session: Session) -> None:
        """``heard_ns`` and ``sent_ns`` of the session are about to be looked at."""


class Sessions:
    """All sessions, by peer and by the account that they are logged in for."""

    def __init__(
        self,
        max_sessions: int,
        limits: SessionLimits = UNBOUNDED,
        *,
        permission_of: Callable[[str], Permission] | None = None,
        now_ns: Callable[[], int] = time.monotonic_ns,
        new_key: Callable[[], int] = lambda: secrets.randbits(64) or 1,
    ) -> None:
        self.limits = limits
        self.now_ns = now_ns
        self._permission_of = permission_of  # of a public key; None: nobody has one
        self.listener = Listener()
        self.on_muted: Callable[[Session], None] = lambda session: None
        self.on_dropped: Callable[[], None] = lambda: None  # a frame of a muted session, unread
        self.draining = False  # the node is about to stop: no newcomers, nothing is placed
        self._max_sessions = max_sessions
        self._new_key = new_key
        self._by_peer: dict[tuple[str, bytes], Session] = {}
        #: Who gets the events of an account as they come, in the order of their logins.
        self._by_account: dict[int, dict[Session, None]] = {}
        self._by_client: dict[int, dict[Session, None]] = {}
        self._untold: dict[Session, None] = {}
        self._catching_up: dict[Session, None] = {}
        self._to_cancel: dict[int, None] = {}
        self._last_words: list[tuple[Session, bytes]] = []
        self._changed: dict[Session, None] = {}

    def __len__(self) -> int:
        return len(self._by_peer)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_peer.values()))

    @property
    def is_full(self) -> bool:
        return len(self._by_peer) >= self._max_sessions

    def find(self, door: Door, peer: bytes, user: str = "") -> Session | None:
        """The session of a peer, made at its first frame; None when there are as many as may be.

        A session is bound to the user that it began with.  A frame of another user under the same routing id can only
        come by another connection, made after the first one ended: the old session is over, and a new one begins.
        While the node drains, only its operator may come anew.
        """
        session = self._by_peer.get((door.name, peer))
        if session is not None and session.user != user:
            self.end(session)
            session = None
        is_closed = self.is_full or (self.draining and door.needs_login)
        if session is None and not is_closed:
            session = self._by_peer[door.name, peer] = Session(
                peer,
                door,
                self.limits,
                key=self._new_key(),
                user=user,
                permission=None if self._permission_of is None else self._permission_of(user),
                now_ns=self.now_ns(),
            )
            self.listener.opened(session)
        return session

    def permissions_changed(self) -> None:
        """Ends every session whose key may something else now; it logs in again for what it may.

        It is not told: it hears at its next request that it is not logged in, after all replies that it is owed.
        """
        permission_of = self._permission_of
        for session in self:
            if permission_of is not None and permission_of(session.user) != session.permission:
                self.end(session)

    def known(self, door: Door, peer: bytes) -> Session | None:
        return self._by_peer.get((door.name, peer))

    def logged_in(self) -> list[Session]:
        """Who trades: the sessions that are logged in for an account."""
        return [session for session in self if session.accounts]

    def count_by_state(self) -> dict[tuple[str, str], int]:
        """How many sessions there are, by door and state."""
        return Counter((s.door.name, s.state.name.lower()) for s in self)

    def receive(
        self, session: Session, payload: bytes, pressure: RefuseOrders | None = None
    ) -> Commands | Query | Refusal | None:
        """What a frame of this session asks for, or why it is not taken; None where nobody looks at it.

        Under ``pressure`` no orders are placed or amended, and it says why.
        """
        now_ns = session.heard_ns = self.now_ns()
        if session.allowance.is_muted(now_ns):
            self.on_dropped()
            return None
        refuse_orders = draining if self.draining else pressure
        asked = session.receive(payload, now_ns, refuse_orders)
        if not isinstance(asked, Refusal):
            return asked
        refusal = session.allowance.count_refusal(asked, now_ns)
        if session.allowance.is_muted(now_ns):
            self.listener.muted(session)
            self.on_muted(session)
        return refusal

    # ---- beginnings

    def say_hello(self, session: Session, hello: Hello) -> None:
        session.say_hello(hello)
        self._changed[session] = None

    def make_way(self, session: Session, login: Login) -> None:
        """Before a client logs in anew, its session by another connection ends: nobody will come back to that."""
        for other in list(self._by_client.get(login.client, ())):
            theirs = other.accounts.get(login.account)
            if other is not session and theirs is not None and theirs.client == login.client:
                self.end(other, SESSION_TAKEN_OVER)

    def login(self, session: Session, login: Login, next_number: int | None = None) -> None:
        """Logs in.  With a number the session first gets the events from there on, and then ``join``s."""
        self._leave(session, login.account)
        before = session.accounts.get(login.account)
        session.login(login)
        if before is not None and before.client != login.client:
            self._forget_client(session, before.client)
        if login.client:
            self._by_client.setdefault(login.client, {})[session] = None
        self._untold.pop(session, None)
        self._changed[session] = None
        if next_number is None:
            self.join(session, login.account)
        else:
            session.catching_up[login.account] = next_number
            self._catching_up[session] = None
            self.listener.replaying(session)

    def join(self, session: Session, account: int) -> None:
        """The session has all events of the account up to now, and gets the next ones as they come."""
        self._forget_replay(session, account)
        self._by_account.setdefault(account, {})[session] = None
        self.listener.joined(session, session.accounts[account])

    def of_account(self, account: int) -> list[Session]:
        return list(self._by_account.get(account, ()))

    # ---- ends

    def lose(self, session: Session) -> None:
        """The peer reads too slowly: nothing is sent to it until it logs in again."""
        self._forget_accounts(session)
        session.overflow()
        session.waiting.clear()
        self._untold[session] = None
        self.listener.lost(session)

    def to_be_told(self) -> list[Session]:
        """Who lost its session and could not be told yet, because its queue was full."""
        return list(self._untold)

    def was_told(self, session: Session) -> None:
        self._untold.pop(session, None)

    def end(self, session: Session, last_words: bytes = b"") -> None:
        """The peer is gone, or said goodbye, or its time is up."""
        if self._by_peer.pop((session.door.name, session.peer), None) is None:
            return
        if last_words:
            self._last_words.append((session, last_words))
        self._untold.pop(session, None)
        self._changed.pop(session, None)
        self._forget_accounts(session)
        session.state = State.CLOSED
        self.listener.ended(session)

    def node_stops(self) -> None:
        """All sessions are about to end: what that cancels is cancelled while they can still be told."""
        for session in self:
            for login in session.accounts.values():
                if login.cancel_on_disconnect:
                    self._to_cancel[login.account] = None

    def take_cancels(self) -> list[int]:
        """The accounts whose orders are to be cancelled, because a session ended that had asked for it."""
        accounts = list(self._to_cancel)
        self._to_cancel.clear()
        return accounts

    def put_back_cancels(self, accounts: list[int]) -> None:
        """They could not be carried out now."""
        self._to_cancel.update(dict.fromkeys(accounts))

    def take_last_words(self) -> list[tuple[Session, bytes]]:
        """What sessions that ended are still told, if they are there."""
        words, self._last_words = self._last_words, []
        return words

    def _forget_accounts(self, session: Session) -> None:
        logins = list(session.accounts.values())
        session.accounts.clear()
        for login in logins:
            self._leave(session, login.account)
            if login.cancel_on_disconnect:
                self._to_cancel[login.account] = None
        for client in {login.client for login in logins}:
            self._forget_client(session, client)

    def _forget_client(self, session: Session, client: int) -> None:
        sessions = self._by_client.get(client)
        if sessions is None or any(login.client == client for login in session.accounts.values()):
            return
        sessions.pop(session, None)
        if not sessions:
            del self._by_client[client]

    def _leave(self, session: Session, account: int) -> None:
        self._forget_replay(session, account)
        sessions = self._by_account.get(account, {})
        if session not in sessions:
            return
        del sessions[session]
        if not sessions:
            del self._by_account[account]
        self.listener.left(session, account)

    def _forget_replay(self, session: Session, account: int) -> None:
        session.catching_up.pop(account, None)
        if not session.catching_up:
            self._catching_up.pop(session, None)

    @property
    def has_news(self) -> bool:
        """Whether a session began or ended, and what that brings with it was not done yet."""
        return bool(self._to_cancel or self._last_words or self._changed)

    # ---- whose turn it is

    def catching_up(self, count: int) -> list[Session]:
        """A few sessions that get a replay, others every time."""
        sessions = list(islice(self._catching_up, count))
        for session in sessions:
            self._catching_up[session] = self._catching_up.pop(session)
        return sessions

    @property
    def count_catching_up(self) -> int:
        """How many sessions are sent what they missed."""
        return len(self._catching_up)

    @property
    def is_catching_up(self) -> bool:
        return bool(self._catching_up)

    def take_changed(self) -> list[Session]:
        """Sessions whose heartbeats may be due at another time than before."""
        sessions = list(self._changed)
        self._changed.clear()
        return sessions

    def longest_unprobed(self, count: int) -> list[Session]:
        """A few sessions, others every time: their turn comes again after all others had theirs."""
        keys = list(islice(self._by_peer, count))
        for key in keys:
            self._by_peer[key] = self._by_peer.pop(key)
        return [self._by_peer[key] for key in keys]
