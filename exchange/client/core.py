"""The session of a client with its node, over as many connections as it takes.  No I/O, and no clock.

Theory of operation.  Whoever runs a ``Core`` (the sync client, the asyncio client) gives it a connection, what comes by
it, and the time; takes what is to be sent, and asks when it wants to be called again.  Everything else is decided here.

*Joining.*  On each new connection the core says hello and logs in for its accounts, after the last event that it took.
The node answers with the number of the account's last event, and tells those in between.  When all of them are here,
the core knows of every request that was under way when the connection was lost: a command that was carried out has its
events among those told, with its request id, because the node remembers whose command they answered (the client's key
is the same on every connection).  What is not among them was not done, and never will be: the login ended the session
of the earlier connection.  It is sent again if its caller still waits for it.  Where the node does not remember - it
missed something, was started anew, or is the operator's door, which has no numbers - what may be repeated is sent
again, and the caller of anything else gets ``OutcomeUnknown``.

*Staying.*  Any frame counts as a sign of life, on both sides.  A core that sent nothing for one heartbeat sends a
``ping``; one that heard nothing for three gives the connection up; one that was not called for so long that the node
has given *it* up, logs in again before it sends anything else.

*Reading.*  Events go into a bounded queue; see ``stream``.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from itertools import groupby
from typing import Any, TypeVar

import msgspec

from exchange.client.errors import (
    ClientTimeout,
    NotLoggedIn,
    NotSent,
    OutcomeUnknown,
    RequestRefused,
    RetryLater,
    SessionLost,
    refusal,
)
from exchange.client.options import SessionOptions
from exchange.client.requests import (
    PLACING,
    Ask,
    Call,
    Message,
    Question,
    Reply,
    Request,
    account_of,
    encode_question,
    encode_requests,
    may_be_repeated,
)
from exchange.client.stream import Bookmark, OwnEvents
from exchange.gateway.connection import is_control
from exchange.protocol import wire
from exchange.protocol.messages import Event

T = TypeVar("T")
MS_NS = 1_000_000
VERSIONS = [1]  # of the wire that we speak
SILENT_HEARTBEATS = 3  # after so many intervals without a frame a session is over
PATIENCE_NS, LEAST_PATIENCE_NS = 5_000_000_000, 1_000_000_000  # with a node that answers no hello
FIRST_WAIT_NS, MOST_WAIT_NS = 20_000_000, 2_000_000_000  # before another connection is made
LOST_NS = 100_000_000  # after which a session that was lost while it began is begun again
FULL_NS = 1_000_000_000  # after which a node that took no more sessions is asked again
PASSING = frozenset({"too_many_sessions", "draining"})  # refusals that a later hello need not meet


class Phase(Enum):
    DOWN = auto()  # without a connection
    JOINING = auto()  # hello, logins and replays are under way: requests wait
    UP = auto()
    OVER = auto()  # the node refused the session: nothing is sent any more


class Core:
    """The state of one client.

    >>> core = Core(SessionOptions(heartbeat_ms=0))
    >>> core.connected(now_ns=0)
    >>> [msgspec.msgpack.decode(payload)[2] for payload in core.take_outgoing()]
    ['hello']
    >>> core.receive(msgspec.msgpack.encode([0, 1, {"version": 1}]), now_ns=1)
    >>> call = core.submit(Ask((Question("ping", {}),), lambda replies: replies[0]), now_ns=2, deadline_ns=9)
    >>> msgspec.msgpack.decode(core.take_outgoing()[0])
    [0, 2, 'ping', {}]
    >>> core.receive(msgspec.msgpack.encode([0, 2, {"sequence": 5}]), now_ns=3)
    >>> call.result()
    {'sequence': 5}
    """

    def __init__(
        self,
        options: SessionOptions,
        *,
        account: int = 0,
        first_request_id: int = 1,
    ) -> None:
        resume = options.resume
        self.options = options
        self.key = (resume.client if resume else 0) or options.client or secrets.randbits(63) + 1
        self.events = OwnEvents(options.max_own_events, resume.places if resume else None)
        self.node: dict[str, Any] = {}  # what it answered to our hello
        self.joins = 0  # how often this client joined its node
        self.phase = Phase.DOWN
        self.wants_connection = True
        self._accounts: dict[int, None] = dict.fromkeys([account] if account else ())
        self._requests: dict[int, Request] = {}
        self._waiting: list[Request] = []  # to be sent when it may be
        self._outgoing: list[bytes] = []
        self._next_request_id = first_request_id
        self._hello_id = 0
        self._logins: dict[int, int] = {}  # request id -> account
        self._in_doubt: set[int] = (
            set()
        )  # accounts whose replays since the last settling did not tell all
        self._over: RequestRefused | None = None
        self._sent_ns = self._heard_ns = self._now_ns = 0
        self._join_by_ns = 0
        self._connect_at_ns = 0
        self._failures = 0  # connections in a row that came to nothing

    # ---------------------------------------------------------------- the connection

    def connected(self, now_ns: int) -> None:
        """There is a new connection; nothing of an earlier one will come any more."""
        self.wants_connection = False
        self._outgoing.clear()
        self._heard_ns = self._sent_ns = now_ns
        self._join(now_ns)

    def disconnected(self, now_ns: int) -> None:
        """The connection is gone: another one is wanted, soon, and later each time that it comes to nothing."""
        if self.phase in (Phase.DOWN, Phase.OVER):
            return
        self._failures = 0 if self.phase is Phase.UP else self._failures + 1
        most_ns = min(FIRST_WAIT_NS << self._failures, MOST_WAIT_NS)
        # Not all clients of a node that comes back shall be there in the same moment.
        self._connect_later(now_ns + most_ns // 2 + secrets.randbelow(most_ns // 2))

    def _connect_later(self, at_ns: int) -> None:
        self.phase = Phase.DOWN
        self._connect_at_ns = at_ns

    def _join(self, now_ns: int) -> None:
        """Says hello; when that is answered it logs in for all accounts, after the last event of each."""
        self.phase = Phase.JOINING
        self.joins += 1
        silent_ns = SILENT_HEARTBEATS * self._heartbeat_ns or PATIENCE_NS
        self._join_by_ns = now_ns + max(LEAST_PATIENCE_NS, min(silent_ns, PATIENCE_NS))
        self._hello_id = self._take_id()
        hello = {
            "versions": VERSIONS,
            "client": self.options.name,
            "heartbeat_ms": self.options.heartbeat_ms,
        }
        self._outgoing.append(encode_question(self._hello_id, "hello", hello))
        self._logins.clear()

    def _login(self, account: int) -> None:
        request_id = self._take_id()
        self._logins[request_id] = account
        arguments = self._login_arguments({"account": account})
        self._outgoing.append(encode_question(request_id, "login", arguments))

    def _login_arguments(self, arguments: dict[str, Any]) -> dict[str, Any]:
        account, options = int(arguments["account"]), self.options
        said = {"account": account, "client": self.key, **self.events.arguments(account)}
        if options.read_only:
            said["read_only"] = True
        if options.cancel_on_disconnect:
            said["cancel_on_disconnect"] = True
        return said

    def _joined(self, account: int, answer: dict[str, Any]) -> None:
        """An answer to a login: how far the account is, and whether all that was missed will be told."""
        self._accounts[account] = None
        if not self.events.joined(account, answer):
            self._in_doubt.add(account)

    def _finish_join(self, now_ns: int) -> None:
        if self.phase is not Phase.JOINING or self._hello_id or self._logins:
            return
        if self.events.is_replayed:
            self.phase = Phase.UP
            self._settle()
            self._send_waiting(now_ns)

    # ------------------------------------------------------------------ requests

    def submit(self, ask: Ask[T], now_ns: int, deadline_ns: int) -> Call[T]:
        """Begins what a caller wants; it is sent at once if the session is up, else as soon as it is."""
        call = Call(ask, deadline_ns)
        for message in ask.messages:
            request = Request(self._take_id(), message, call)
            call.requests.append(request)
            self._requests[request.id] = request
        if self._over is not None:
            self.fail(call, self._over)
            return call
        self._waiting += call.requests
        if self._was_away(now_ns):
            self._join(now_ns)
        self._send_waiting(now_ns)
        return call

    def expire(self, call: Call[Any], why: str) -> None:
        """The caller does not wait any longer; events of what was sent still come to the stream of own events."""
        if call.was_sent:
            advice = "A command that was sent may have been carried out: look at open_orders() and fills()"
            error = ClientTimeout(f"{why} {advice} before sending it again", call.commands)
        else:
            error = NotSent(f"{why} Nothing was sent", call.commands)
        self.fail(call, error)

    def abandon(self, call: Call[Any]) -> None:
        """Nobody waits for this any more."""
        for request in call.requests:
            self._requests.pop(request.id, None)

    def fail(self, call: Call[Any], error: Exception) -> None:
        """Ends a call with an error."""
        self.abandon(call)
        if not call.done:
            call.error = error
            call.on_done()

    def _send_waiting(self, now_ns: int) -> None:
        """Sends what waits and may go, in order.  While a limit holds a call up, what places orders stays behind it."""
        if self.phase is not Phase.UP:
            return
        ready: list[Request] = []
        kept: list[Request] = []
        is_held = False
        for request in self._waiting:
            if request.id not in self._requests:
                continue  # its caller is gone
            waits = request.call.again_ns > now_ns
            is_held = is_held or waits
            if waits or (is_held and isinstance(request.message, PLACING)):
                kept.append(request)
            else:
                ready.append(request)
        self._waiting = kept
        for request in ready:
            request.sent_at_join = self.joins
            request.run = self._run
            request.message = self._as_sent(request.message)
        # Each call in messages of its own: a message is refused whole, and no caller shall suffer for another.
        for _, requests in groupby(ready, key=lambda request: id(request.call)):
            self._outgoing += encode_requests(requests)

    def _as_sent(self, message: Message) -> Message:
        """A login tells how far we are, at the moment at which it leaves."""
        if isinstance(message, Question) and message.name == "login":
            return Question("login", self._login_arguments(message.arguments))
        return message

    def _settle(self) -> None:
        """All that was missed has been told: what of earlier connections was not answered by it was not done."""
        again: list[Request] = []
        in_doubt = self._in_doubt | {0}  # the operator's door numbers no events
        self._in_doubt = set()
        for request in self._under_way():
            if request.sent_at_join == self.joins:
                continue
            # A node that was started anew may have read from its journal what it does not know to be ours.
            is_known = request.run == self._run and account_of(request.message) not in in_doubt
            if is_known or may_be_repeated(request.message):
                request.sent_at_join = 0
                again.append(request)
            else:
                commands = request.call.commands
                text = f"the connection was lost; whether {commands} were carried out is not known"
                self.fail(request.call, OutcomeUnknown(text, commands))
        self._waiting = sorted(again + self._waiting, key=lambda request: request.id)

    @property
    def _run(self) -> object:
        """Which run of the node we are talking to."""
        return self.node.get("run")

    def _under_way(self) -> list[Request]:
        return [r for r in self._requests.values() if r.sent_at_join and r.reply is None]

    def _take_id(self) -> int:
        self._next_request_id += 1
        return self._next_request_id - 1

    # ------------------------------------------------------------- what the node says

    def receive(self, payload: bytes, now_ns: int) -> None:
        """Takes in one message of the node."""
        self._heard_ns = self._now_ns = now_ns
        if is_control(payload):
            _, request_id, body = msgspec.msgpack.decode(
                payload, type=tuple[int, int, dict[str, Any]]
            )
            self._receive_control(request_id, body, now_ns)
        else:
            self._receive_events(payload)
        self._finish_join(now_ns)

    def _receive_events(self, payload: bytes) -> None:
        replies: dict[int, list[Event]] = {}
        gaps: set[int] = set()
        for request_id, number, event in wire.decode_numbered_wire(payload):
            if request_id:
                replies.setdefault(request_id, []).append(event)
            if number and not self.events.take(event.account, number, event):
                gaps.add(event.account)
        for request_id, events in replies.items():
            if request_id in self._requests:
                self._answer(self._requests[request_id], events)
        gaps -= set(self._logins.values())  # what follows their login is on its way
        if self.phase is Phase.UP and any(self.events.has_gap(account) for account in gaps):
            self.disconnected(self._now_ns)  # it cannot be: what is missing is asked for anew

    def _receive_control(self, request_id: int, body: dict[str, Any], now_ns: int) -> None:
        refused = refusal(body) if "error" in body else None
        if request_id == 0:
            if refused is not None:
                self._notice(refused, now_ns)
        elif request_id == self._hello_id or request_id in self._logins:
            self._receive_join(request_id, body, refused, now_ns)
        elif (request := self._requests.get(request_id)) is not None:
            if refused is None:
                if isinstance(request.message, Question) and request.message.name == "login":
                    self._joined(account_of(request.message), body)
                self._answer(request, body)
            else:
                self._refused(request, refused, now_ns)

    def _receive_join(
        self, request_id: int, body: dict[str, Any], refused: RequestRefused | None, now_ns: int
    ) -> None:
        if isinstance(refused, RetryLater):
            self._connect_later(now_ns + refused.retry_after_ms * MS_NS)
        elif refused is not None and request_id in self._logins and len(self._accounts) > 1:
            # Our key may not act for this account any more: we go on without it.
            self._accounts.pop(self._logins.pop(request_id), None)
        elif refused is not None:
            self._not_now(refused, now_ns)
        elif request_id == self._hello_id:
            self._hello_id = 0
            self.node = body
            self.events.is_behind = False
            for account in self._accounts:
                self._login(account)
        else:
            self._joined(self._logins.pop(request_id), body)

    def _answer(self, request: Request, reply: Reply) -> None:
        if request.reply is not None:
            return
        request.reply = reply
        del self._requests[request.id]
        call = request.call
        call.missing -= 1
        if not call.missing and call.error is None:
            call.on_done()

    def _refused(self, request: Request, refused: RequestRefused, now_ns: int) -> None:
        """Nothing was done: it is sent again where that helps, or the caller hears why not."""
        call = request.call
        if isinstance(refused, RetryLater) and self.options.retry:
            again_ns = now_ns + refused.retry_after_ms * MS_NS
            if again_ns < call.deadline_ns:
                call.again_ns = max(call.again_ns, again_ns)
                self._wait_again(request)
                return
        # A message is refused whole, perhaps for the account of another command in it.
        is_ours = all(account_of(sent.message) in self._accounts for sent in call.requests)
        ended = (isinstance(refused, NotLoggedIn) and is_ours) or isinstance(refused, SessionLost)
        if ended and (self.phase is not Phase.UP or request.sent_at_join == self.joins):
            # The session ended without a word: the node was started anew, or did not hear of us for too long.
            self._wait_again(request)
            if self.phase is Phase.UP:
                self._join(now_ns)
            return
        self._answer(request, refused)

    def _wait_again(self, request: Request) -> None:
        request.sent_at_join = 0
        place = next((i for i, w in enumerate(self._waiting) if w.id > request.id), None)
        self._waiting.insert(len(self._waiting) if place is None else place, request)

    def _notice(self, refused: RequestRefused, now_ns: int) -> None:
        """A refusal that answers nothing that it could name."""
        if isinstance(refused, SessionLost):
            if self.phase is Phase.UP:
                self._join(now_ns)
            elif self.phase is Phase.JOINING:
                self._connect_later(now_ns + LOST_NS)
        elif refused.code == "session_closed" or self.phase is Phase.JOINING:
            self._not_now(refused, now_ns)
        else:
            # It could not even read a request id: whoever waits gets no other answer.
            for request in self._under_way():
                self._answer(request, refused)

    def _not_now(self, refused: RequestRefused, now_ns: int) -> None:
        """A session could not begin: it is tried again where that is the node's state and not our fault."""
        if refused.code in PASSING and self.node:
            self._connect_later(now_ns + FULL_NS)
        else:
            self._end(refused)

    def _end(self, refused: RequestRefused) -> None:
        """The node does not want this session, and would not want the next one either."""
        self.phase = Phase.OVER
        self._over = refused
        for call in {id(r.call): r.call for r in self._requests.values()}.values():
            self.fail(call, refused)

    # ------------------------------------------------------------------------ time

    @property
    def _heartbeat_ns(self) -> int:
        return self.options.heartbeat_ms * MS_NS

    def _was_away(self, now_ns: int) -> bool:
        """Whether we were silent for so long that the node takes our session as over."""
        silent_ns = SILENT_HEARTBEATS * self._heartbeat_ns
        return self.phase is Phase.UP and 0 < silent_ns < now_ns - self._sent_ns

    def tick(self, now_ns: int) -> None:
        """What time brings: a ping, a login after a long absence, the end of a connection that is silent."""
        self._now_ns = now_ns
        if self.phase is Phase.DOWN and now_ns >= self._connect_at_ns:
            self.wants_connection = True
        if self.phase is Phase.JOINING and now_ns >= self._join_by_ns:
            self.disconnected(now_ns)
        if self.phase is not Phase.UP:
            return
        if self._was_away(now_ns):
            self._join(now_ns)
        elif (
            self._heartbeat_ns and now_ns - self._heard_ns > SILENT_HEARTBEATS * self._heartbeat_ns
        ):
            self.disconnected(now_ns)
        elif self._heartbeat_ns and now_ns - self._sent_ns >= self._heartbeat_ns:
            self._outgoing.append(encode_question(self._take_id(), "ping", {}))
        self._send_waiting(now_ns)

    def next_wake_ns(self) -> int | None:
        """When ``tick`` has something to do, at the latest; None: never by itself."""
        times: list[int] = []
        if self.phase is Phase.DOWN:
            times.append(self._connect_at_ns)
        if self.phase is Phase.JOINING:
            times.append(self._join_by_ns)
        if self.phase is Phase.UP:
            if self._heartbeat_ns:
                times.append(self._sent_ns + self._heartbeat_ns)
            again = (request.call.again_ns for request in self._waiting)
            times += [at_ns for at_ns in again if at_ns > self._now_ns]
        return min(times, default=None)

    def take_outgoing(self, now_ns: int = 0) -> list[bytes]:
        """What is to be sent now, in order."""
        outgoing, self._outgoing = self._outgoing, []
        if outgoing:
            self._sent_ns = max(self._sent_ns, now_ns)
        return outgoing

    def put_back(self, payloads: list[bytes]) -> None:
        """What was taken and could not be sent yet."""
        self._outgoing = payloads + self._outgoing

    @property
    def needs_care(self) -> bool:
        """Whether there is something to do before more comes or time passes."""
        return bool(self._outgoing or self._waiting) or self.wants_connection

    # ------------------------------------------------------------------ own events

    @property
    def has_news(self) -> bool:
        """Whether there is an event to read, or a loss of some."""
        return len(self.events) > 0

    def take_own_events(self) -> list[Event]:
        """The events since the last time; raises EventsMissed, once, where some are lost for good."""
        events = self.events.pop_all()
        self._catch_up()
        return events

    def next_own_event(self) -> Event:
        """The oldest event that was not read."""
        event = self.events.pop()
        self._catch_up()
        return event

    def _catch_up(self) -> None:
        """There is room again for events that were let go by, because nobody read: they are told once more."""
        if self.events.is_behind and not self.events and self.phase is Phase.UP:
            self.events.is_behind = False
            for account in self._accounts:
                self._login(account)

    def bookmark(self) -> Bookmark:
        """How far the user has read."""
        return Bookmark(self.key, self.events.places())

    # -------------------------------------------------------------------- the rest

    def goodbye(self) -> Iterable[bytes]:
        """What a client says when it goes."""
        if self.phase in (Phase.UP, Phase.JOINING):
            yield encode_question(self._take_id(), "logout", {})

    def calls(self) -> Iterator[Call[Any]]:
        """Those that somebody waits for."""
        seen: set[int] = set()
        for request in self._requests.values():
            if id(request.call) not in seen:
                seen.add(id(request.call))
                yield request.call
