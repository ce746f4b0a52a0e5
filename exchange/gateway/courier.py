"""Brings to clients what is theirs: letters as they are released, replays in pieces, heartbeats; and finds who is gone.

Theory of operation.  Sockets are somebody else's: ``send`` says of each message whether it was taken, whether the
client's queue is full, or whether the client is gone.  A client that is gone has its session ended.  One whose queue is
full when something new happens loses its session: half of its events would mislead it.

A *replay* is different, since it is we who are fast: it goes out in pieces, the next one when the queue takes it, and a
few in each round whoever waits, so that a thousand clients that come back at once delay nobody who trades.  While a
session is catching up on an account it gets none of the account's events as they come; they are in the log and reach it
from there, its own replies among them.  When all that is released was sent, the rest is put into the outbox and the
session joins those who hear everything at once: what comes then stands behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from heapq import heappop, heappush

from exchange.gateway.connection import Door, encode_heartbeat, is_control
from exchange.gateway.event_log import Forgotten, Memory
from exchange.gateway.outbox import Outbox
from exchange.gateway.replies import encode_piece
from exchange.gateway.sessions import SESSION_LOST, SESSION_SILENT, Session, Sessions, State

PIECE_EVENTS = 256  # about: the events of one command stay together
PIECES_A_ROUND = 16
MAX_WAITING = (
    256  # answers that wait behind a replay; a client that asks for more loses its session
)
RETRY_NS = 10_000_000  # after which a full queue is tried again
LOOK_NS = 10_000_000  # heartbeats are this much late at most
PROBES = 16  # sessions asked whether they are still there when a newcomer finds no room
REST = 1 << 62  # all that there is, whatever caused it


class Sent(Enum):
    """What became of a message."""

    TAKEN = auto()
    TOO_SLOW = auto()  # the peer's queue is full
    GONE = auto()  # there is no such peer any more


Send = Callable[[Door, bytes, bytes], Sent]


class Courier:
    """The way from the outbox to the clients, for whatever loop turns the handle."""

    def __init__(
        self,
        send: Send,
        sessions: Sessions,
        log: Memory,
        outbox: Outbox,
        on_gone: Callable[[Session], None] = lambda session: None,
        on_lost: Callable[[Session], None] = lambda session: None,
    ) -> None:
        self._send = send
        self._sessions = sessions
        self._log = log
        self._outbox = outbox
        self._on_gone = on_gone
        self._on_lost = on_lost
        self._due: list[tuple[int, int, Session]] = []  # a heap: when to look at a session again
        self._unread_ns = 0  # until when frames may have waited that nobody looked at
        self._looks = 0  # made so far: orders those that are due at the same time

    # ---- letters

    def deliver(self, door: Door, peer: bytes, payload: bytes) -> None:
        """Sends to one client.  Who lost its session hears nothing more of its events: a part would mislead."""
        session = self._sessions.known(door, peer)
        if session is None:
            self._send(door, peer, payload)
        elif session.state is not State.LOST:
            self._deliver_to(session, payload)
        elif is_control(payload):
            self._send_to(session, payload)

    def _deliver_to(self, session: Session, payload: bytes) -> None:
        if session.catching_up and (session.waiting or not self._can_send(session, payload)):
            session.waiting.append(payload)
            if len(session.waiting) > MAX_WAITING:
                self._lose(session)
        elif not session.catching_up and self._send_to(session, payload) is Sent.TOO_SLOW:
            self._lose(session)

    def _can_send(self, session: Session, payload: bytes) -> bool:
        return self._send_to(session, payload) is not Sent.TOO_SLOW

    def _send_to(self, session: Session, payload: bytes) -> Sent:
        """Sends, and ends the session of a client that is gone."""
        sent = self._send(session.door, session.peer, payload)
        if sent is Sent.TAKEN:
            session.sent_ns = self._sessions.now_ns()
        elif sent is Sent.GONE:
            self._on_gone(session)
            self._sessions.end(session)
        return sent

    def undelivered(self, session: Session, sent: Sent) -> None:
        """A letter that somebody else sent was not taken."""
        if sent is Sent.GONE:
            self._on_gone(session)
            self._sessions.end(session)
        elif sent is Sent.TOO_SLOW and session.state is not State.LOST:
            self._lose(session)

    def _lose(self, session: Session) -> None:
        self._on_lost(session)
        self._sessions.lose(session)

    def _tell_ends(self) -> None:
        """Tells who lost its session or has none any more, as far as there is room in their queues."""
        for session, words in self._sessions.take_last_words():
            self._send(session.door, session.peer, words)
        for session in self._sessions.to_be_told():
            if self._send_to(session, SESSION_LOST) is Sent.TAKEN:
                self._sessions.was_told(session)

    # ---- heartbeats

    def beat(self, sequence: int) -> None:
        """Sends the heartbeats that are due, ends sessions that were silent for too long, tells who lost its own."""
        for session in self._sessions.take_changed():
            self._look_later(session)
        now_ns = self._sessions.now_ns()
        while self._due and self._due[0][0] <= now_ns:
            due_ns, _, session = heappop(self._due)
            if due_ns == session.due_ns and session.state is not State.CLOSED:
                session.due_ns = 0
                self._look_at(session, now_ns, sequence)
        self._tell_ends()

    def note_unread(self) -> None:
        """Not everything that came was read: until now nobody's silence counts."""
        self._unread_ns = self._sessions.now_ns()

    def _silent_since_ns(self, session: Session) -> int:
        return max(session.heard_ns, self._unread_ns)

    def _look_at(self, session: Session, now_ns: int, sequence: int) -> None:
        self._sessions.listener.refresh(session)
        silent_ns = now_ns - self._silent_since_ns(session)
        if session.patience_ns and silent_ns >= session.patience_ns:
            self._on_gone(session)
            self._sessions.end(session, SESSION_SILENT)
            return
        interval_ns = session.send_interval_ns
        if interval_ns and now_ns - session.sent_ns >= interval_ns:
            self._send_to(session, encode_heartbeat(sequence))
            # Where the queue is full this changes nothing: the next thing that it is owed finds it slow.
            session.sent_ns = now_ns
        if session.state is not State.CLOSED:
            self._look_later(session)

    def _look_later(self, session: Session) -> None:
        """Comes back when something may be due; what happens meanwhile only makes it later."""
        due_ns = [
            since_ns + after_ns
            for since_ns, after_ns in (
                (session.sent_ns, session.send_interval_ns),
                (self._silent_since_ns(session), session.patience_ns),
            )
            if after_ns
        ]
        if not due_ns:
            return
        look_ns = -(-min(due_ns) // LOOK_NS) * LOOK_NS
        # What is on the heap stays there: only a look that comes earlier is worth a second entry.
        if not session.due_ns or look_ns < session.due_ns:
            session.due_ns = look_ns
            self._looks += 1
            heappush(self._due, (look_ns, self._looks, session))

    def probe(self, sequence: int) -> None:
        """Makes room by finding out who left without a word; a client that is there ignores the heartbeat."""
        for session in self._sessions.longest_unprobed(PROBES):
            self._send_to(session, encode_heartbeat(sequence))

    # ---- replays

    def catch_up(self, applied: int, released: int) -> bool:
        """Sends the next pieces of replays; whether there is more to send at once.

        ``applied`` is the sequence that the log has, ``released`` the one up to which it may be told.
        """
        is_moving = False
        for session in self._sessions.catching_up(PIECES_A_ROUND):
            is_moving = self._send_piece(session, applied, released) or is_moving
        return is_moving

    def _send_piece(self, session: Session, applied: int, released: int) -> bool:
        account, number = next(iter(session.catching_up.items()))
        if released < session.replay_from:
            return False  # the answer to the login has to leave first
        while session.waiting:
            if not self._can_send(session, session.waiting[0]):
                return False
            if session.waiting:
                session.waiting.popleft()
        if session.catching_up.get(account) != number:
            return True  # it is gone meanwhile
        try:
            entries = self._log.read(account, number, PIECE_EVENTS, released)
            if entries:
                piece = encode_piece(entries, account, number, session.key)
                if self._send_to(session, piece) is Sent.TAKEN:
                    session.catching_up[account] = number + len(entries)
                    return True
                return False
            self._join(session, account, number, applied)
        except Forgotten:  # it read so slowly that what comes next was pushed out of the log
            self._lose(session)
        return True

    def _join(self, session: Session, account: int, number: int, applied: int) -> None:
        """All that may be told was sent; what may not yet goes the way of all letters, and so does what comes."""
        rest = self._log.read(account, number, REST, REST)
        if rest:
            piece = encode_piece(rest, account, number, session.key)
            self._outbox.hold(applied, [(session.door, session.peer, piece)])
        self._sessions.join(session, account)

    def patience_ms(self) -> int | None:
        """How long the loop may wait for something to do; None: for ever."""
        if self._sessions.has_news:
            return 0
        now_ns = self._sessions.now_ns()
        waits = [self._due[0][0] - now_ns] if self._due else []
        if self._sessions.to_be_told() or self._sessions.is_catching_up:
            waits.append(RETRY_NS)
        return max(0, -(-min(waits) // 1_000_000)) if waits else None
