"""The sockets of a node: two ROUTERs to take commands and queries, a PUB for market data, and a way to wake the loop.

The PUB is an XPUB, which is the same to every subscriber and tells us of new ones.

Everything is bounded.  What a client may send and what waits for it has a high-water mark; whoever does not read its
replies loses its session and not the node its memory; a subscriber that is too slow misses deltas, sees the gap in
their sequence and asks for the book.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import zmq

from exchange.errors import ExchangeError
from exchange.gateway.admin import ADMIN_DOOR
from exchange.gateway.connection import TRADERS_DOOR, Door
from exchange.gateway.courier import Sent
from exchange.gateway.interest import SUBSCRIBED
from exchange.gateway.permission import Permission
from exchange.gateway.security.guard import ConnectionLimits, Guard
from exchange.gateway.security.sockets import SocketLimits, allowed_connections, bound_stranger
from exchange.ops.log_events import LogEvent


class BindError(ExchangeError):
    """An endpoint that cannot be listened on."""


class Bounds(msgspec.Struct, frozen=True):
    """How much may wait in the sockets, in messages, and how large one message may be."""

    max_message_bytes: int = 1 << 20
    receive_high_water: int = 10_000
    send_high_water: int = 100_000
    market_data_high_water: int = 100_000


MAX_SUBSCRIPTIONS = 256  # taken in one round


class Keys(Protocol):
    """The keys of a node, where it has some."""

    def serve(self, bound: zmq.Socket[bytes]) -> None: ...
    def permission_of(self, public_key: str) -> Permission: ...


class Frame(msgspec.Struct, frozen=True):
    """One message that came in: by which door, from whom, and its bytes (None if it had not one part)."""

    door: Door
    peer: bytes
    payload: bytes | None
    user: str = ""  # the public key that it came with; "" without encryption


class Arrivals(msgspec.Struct):
    """What one look at the sockets brought."""

    frames: list[Frame] = []
    subscriptions: list[bytes] = []  # messages that tell of them, for Interest
    since_ns: int = 0  # of time.perf_counter_ns: when the wait for it was over


class Server:
    """Binds at once; ``endpoints`` then says where, also for a port that the system chose (``tcp://127.0.0.1:*``)."""

    def __init__(
        self,
        endpoints: dict[str, str],
        bounds: Bounds,
        *,
        keys: Keys | None = None,
        connections: ConnectionLimits = ConnectionLimits(),  # noqa: B008 (frozen)
        sockets: SocketLimits = SocketLimits(),  # noqa: B008
        log: Callable[[LogEvent], None] = lambda event: None,
    ) -> None:
        self._keys = keys
        self._socket_limits = sockets
        self._context = zmq.Context()
        self.guard = Guard(
            self._context,
            keys.permission_of if keys is not None else None,
            allowed_connections(connections, log),
            log,
        )
        self.endpoints: dict[str, str] = {}
        self._wake_end, self._wake_handle = socket.socketpair()
        for end in (self._wake_end, self._wake_handle):
            end.setblocking(False)
        try:
            self._market_data = self._bind(zmq.XPUB, "market_data", endpoints, bounds)
            self._routers = {
                door.name: (door, self._bind(zmq.ROUTER, door.name, endpoints, bounds))
                for door in (TRADERS_DOOR, ADMIN_DOOR)
            }
        except BaseException:
            self._context.destroy(linger=0)
            self.guard.stop()
            self._close_wakes()
            raise
        self.guard.start()
        always = (self._wake_end, self._market_data)
        routers = tuple(router for _, router in self._routers.values())
        self._pollers = {True: poller_of(*always, *routers), False: poller_of(*always)}

    def _bind(
        self, kind: int, name: str, endpoints: dict[str, str], bounds: Bounds
    ) -> zmq.Socket[bytes]:
        bound = self._context.socket(kind)
        bound.linger = 1000
        bound_stranger(
            bound, bounds.max_message_bytes, self._socket_limits, encrypted=self._keys is not None
        )
        bound.zap_domain = name.encode()
        if self._keys is not None:
            self._keys.serve(bound)
        if kind == zmq.XPUB:
            bound.sndhwm = bounds.market_data_high_water
            # Every subscription is told us, also of a topic that others have already.
            bound.set(zmq.XPUB_VERBOSER, 1)
        else:
            bound.rcvhwm, bound.sndhwm = bounds.receive_high_water, bounds.send_high_water
            # Tell us of a peer that is gone or full instead of dropping what it should get.
            bound.router_mandatory = 1
        self.guard.watch(name, bound)
        try:
            bound.bind(endpoints[name])
        except zmq.ZMQError as error:
            raise BindError(
                f"endpoint {name}: cannot listen on {endpoints[name]}: {error}"
            ) from None
        self.endpoints[name] = bound.getsockopt_string(zmq.LAST_ENDPOINT)
        return bound

    def receive(self, max_bytes: int, timeout_ms: int | None = None) -> Arrivals:
        """What came in since the last time, up to a bound.  Waits for something, or for ``wake``.

        With ``max_bytes`` 0 it takes nothing from clients: what they send then stays in their queues.
        """
        ready = dict(self._pollers[max_bytes > 0].poll(timeout_ms))
        if self._wake_end.fileno() in ready:
            with contextlib.suppress(BlockingIOError):
                while self._wake_end.recv(4096):
                    pass
        arrivals = Arrivals(since_ns=time.perf_counter_ns())
        for door, router in self._routers.values():
            if router in ready:
                drain = drain_router if self._keys is None else self._drain_encrypted
                drain(door, router, max_bytes, arrivals.frames)
        if self._market_data in ready:
            drain_subscriptions(self._market_data, self.guard, arrivals.subscriptions)
        return arrivals

    def _drain_encrypted(
        self, door: Door, router: zmq.Socket[bytes], max_bytes: int, frames: list[Frame]
    ) -> None:
        """The same as ``drain_router`` with the user of every message, which libzmq keeps beside it."""
        while max_bytes > 0:
            try:
                peer, *parts = router.recv_multipart(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return
            user = user_of(peer, self.guard)
            payload = parts[0].bytes if len(parts) == 1 else None
            frames.append(Frame(door, peer.bytes, payload, user))
            max_bytes -= sum(map(len, parts)) + len(peer)

    def wake(self) -> None:
        """Ends a wait.  From any thread, and from a signal handler."""
        # Where the pipe is full it is awake: nobody took the wakes before this one yet.  Where it is closed, so are we.
        with contextlib.suppress(OSError):
            self._wake_handle.send(b"\0")

    def subscriptions(self) -> list[bytes]:
        """What came of subscriptions, for a loop that waits by other means."""
        messages: list[bytes] = []
        drain_subscriptions(self._market_data, self.guard, messages)
        return messages

    def user_at(self, fd: int, user: str) -> str:
        """Notes by which connection a user's message came, for such a loop; "" on a node without keys."""
        if self._keys is None:
            return ""
        self.guard.saw(fd, user)
        return user

    def handles(self) -> dict[str, Any]:
        """The sockets themselves, for a loop that reads and writes them by other means."""
        return {
            "orders": self._routers[TRADERS_DOOR.name][1],
            "admin": self._routers[ADMIN_DOOR.name][1],
            "market_data": self._market_data,
            "wake_fileno": self._wake_end.fileno(),
        }

    @property
    def wake_fileno(self) -> int:
        """For ``signal.set_wakeup_fd``: a signal right before the wait would otherwise be noticed only after it."""
        return self._wake_handle.fileno()

    def send(self, door: Door, peer: bytes, payload: bytes) -> Sent:
        try:
            self._routers[door.name][1].send_multipart((peer, payload), zmq.DONTWAIT)
        except zmq.Again:
            return Sent.TOO_SLOW
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                return Sent.GONE
            raise
        return Sent.TAKEN

    def publish(self, topic: bytes, payload: bytes) -> None:
        self._market_data.send_multipart((topic, payload), zmq.DONTWAIT)

    def close(self) -> None:
        """Closes the doors; what was sent may still leave for a second."""
        doors = (*(router for _, router in self._routers.values()), self._market_data)
        for bound in doors:
            bound.disable_monitor()  # libzmq would wait for somebody to take its events
        self.guard.stop()
        for bound in doors:
            bound.close()
        self._context.term()
        self._close_wakes()

    def _close_wakes(self) -> None:
        self._wake_end.close()
        self._wake_handle.close()


def poller_of(*sockets: zmq.Socket[bytes] | socket.socket) -> zmq.Poller:
    poller = zmq.Poller()
    for polled in sockets:
        poller.register(polled, zmq.POLLIN)
    return poller


def drain_router(
    door: Door, router: zmq.Socket[bytes], max_bytes: int, frames: list[Frame]
) -> None:
    """Takes what clients sent until nothing is left or the bound is reached."""
    while max_bytes > 0:
        try:
            peer, *parts = router.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return
        frames.append(Frame(door, peer, parts[0] if len(parts) == 1 else None))
        max_bytes -= sum(map(len, parts)) + len(peer)


def user_of(frame: zmq.Frame, guard: Guard) -> str:
    """Whose message this is: what ZAP answered for its connection.  A client cannot change it.

    The native loop does the same with ``zmq_msg_gets(message, "User-Id")`` and ``"__fd"``.
    """
    user = str(frame.get("User-Id"))
    guard.saw(int(frame.get("__fd")), user)
    return user


def drain_subscriptions(
    market_data: zmq.Socket[bytes], guard: Guard, messages: list[bytes]
) -> None:
    """Takes who subscribed to what.  Whoever has too many is cut, and what it asked for is not answered."""
    for _ in range(MAX_SUBSCRIPTIONS):
        try:
            frame = market_data.recv(zmq.DONTWAIT, copy=False)
        except zmq.Again:
            return
        try:
            fd = int(frame.get("__fd"))
        except zmq.ZMQError:
            continue  # of one who is gone: libzmq takes its subscriptions back
        if frame.bytes[:1] != SUBSCRIBED:
            guard.unsubscribed(fd)
        elif guard.subscribed(fd, topic_user(frame), len(frame) - 1):
            messages.append(frame.bytes)


def topic_user(frame: zmq.Frame) -> str:
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""  # without encryption
