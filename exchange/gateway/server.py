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

import msgspec
import zmq

from exchange.errors import ExchangeError
from exchange.gateway.admin import ADMIN_DOOR
from exchange.gateway.connection import TRADERS_DOOR, Door
from exchange.gateway.courier import Sent


class BindError(ExchangeError):
    """An endpoint that cannot be listened on."""


class Bounds(msgspec.Struct, frozen=True):
    """How much may wait in the sockets, in messages, and how large one message may be."""

    max_message_bytes: int = 1 << 20
    receive_high_water: int = 10_000
    send_high_water: int = 10_000
    market_data_high_water: int = 100_000


MAX_SUBSCRIPTIONS = 256  # taken in one round


class Frame(msgspec.Struct, frozen=True):
    """One message that came in: by which door, from whom, and its bytes (None if it had not one part)."""

    door: Door
    peer: bytes
    payload: bytes | None


class Arrivals(msgspec.Struct):
    """What one look at the sockets brought."""

    frames: list[Frame] = []
    subscriptions: list[bytes] = []  # messages that tell of them, for Interest
    since_ns: int = 0  # of time.perf_counter_ns: when the wait for it was over


class Server:
    """Binds at once; ``endpoints`` then says where, also for a port that the system chose (``tcp://127.0.0.1:*``)."""

    def __init__(self, endpoints: dict[str, str], bounds: Bounds) -> None:
        self._context = zmq.Context()
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
            self._close_wakes()
            raise
        always = (self._wake_end, self._market_data)
        routers = tuple(router for _, router in self._routers.values())
        self._pollers = {True: poller_of(*always, *routers), False: poller_of(*always)}

    def _bind(
        self, kind: int, name: str, endpoints: dict[str, str], bounds: Bounds
    ) -> zmq.Socket[bytes]:
        bound = self._context.socket(kind)
        bound.linger = 1000
        bound.maxmsgsize = bounds.max_message_bytes
        if kind == zmq.XPUB:
            bound.sndhwm = bounds.market_data_high_water
            # Every subscription is told us, also of a topic that others have already.
            bound.set(zmq.XPUB_VERBOSE, 1)
        else:
            bound.rcvhwm, bound.sndhwm = bounds.receive_high_water, bounds.send_high_water
            # Tell us of a peer that is gone or full instead of dropping what it should get.
            bound.router_mandatory = 1
            bound.set(zmq.HEARTBEAT_IVL, 10_000)
            bound.set(zmq.HEARTBEAT_TIMEOUT, 60_000)
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
                drain_router(door, router, max_bytes, arrivals.frames)
        if self._market_data in ready:
            drain_subscriptions(self._market_data, arrivals.subscriptions)
        return arrivals

    def wake(self) -> None:
        """Ends a wait.  From any thread, and from a signal handler."""
        # Where the pipe is full it is awake: nobody took the wakes before this one yet.  Where it is closed, so are we.
        with contextlib.suppress(OSError):
            self._wake_handle.send(b"\0")

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
        for bound in (*(router for _, router in self._routers.values()), self._market_data):
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


def drain_subscriptions(market_data: zmq.Socket[bytes], messages: list[bytes]) -> None:
    for _ in range(MAX_SUBSCRIPTIONS):
        try:
            messages.append(market_data.recv(zmq.DONTWAIT))
        except zmq.Again:
            return
