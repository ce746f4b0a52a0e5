"""The guard of the sockets: checks keys, counts connections, and closes those that may not be.

Theory of operation.  Everything here happens in a thread of its own, so that neither a storm of handshakes nor a key
that has to be looked up holds up the loop that trades.  The thread reads

* **ZAP** (ZeroMQ RFC 27): for every connection libzmq asks once, after it has proven that the client owns its key,
  whether this key may use this door.  What is answered as user is the public key; libzmq then puts it on every message
  of that connection (``User-Id``), which no client can forge.  Nodes without keys ask, too: libzmq takes no
  connection of a protocol older than ZMTP 3 where it asks, and so neither HTTP nor noise for a ZMTP 1 client.
* **the monitors** of the doors: which connections came and went.  Who has too many is cut by shutting its socket
  down, which libzmq sees as a client that hung up.

A connection is known by its file descriptor.  The system gives numbers of closed ones out again; so before a connection
is shut down its peer, address and port, is compared with the one that was accepted.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable

import msgspec
import zmq
from zmq.utils import z85

from exchange.gateway.permission import Permission
from exchange.ops.log_events import AcceptFailed, ConnectionCut, KeyRefused, LogEvent

ZAP_ENDPOINT = "inproc://zeromq.zap.01"
ZAP_VERSION = b"1.0"
EVENT = struct.Struct("=HI")
FAILED = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
WATCHED = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_ACCEPT_FAILED | FAILED
LOCAL = "local"  # address of those that come through a file, not the network
KEY_BYTES = 32
MAX_TOPIC_BYTES = 256  # far beyond the name of any topic there is


class ConnectionLimits(msgspec.Struct, frozen=True):
    """How many connections there may be on all doors together; 0: as many as the system allows."""

    total: int = 0
    per_address: int = 0
    subscriptions: int = 0  # on one connection


class Connection:
    """One client's connection, from accept to close."""

    __slots__ = ("address", "door", "is_cut", "peer", "subscription_count", "user")

    def __init__(self, door: str, address: str, peer: object) -> None:
        self.door = door
        self.address = address
        self.peer = peer
        self.user = ""  # known with its first message
        self.subscription_count = 0
        self.is_cut = False


class Guard:
    """Checks and counts from ``start`` to ``stop``.

    Args:
        permission_of: what a public key may; None on a node without keys, where everybody may come.
        log: told of everybody who was refused or cut; it never waits.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        permission_of: Callable[[str], Permission] | None,
        limits: ConnectionLimits,
        log: Callable[[LogEvent], None],
    ) -> None:
        self._permission_of = permission_of
        self._limits = limits
        self._log = log
        self._connections: dict[int, Connection] = {}
        self._per_address: Counter[str] = Counter()
        self.refused_handshakes = 0  # keys that may not use a door
        self.failed_handshakes = 0  # for whatever reason: those, timeouts, bytes that are no ZMTP
        self.cut_connections = 0
        self._zap = context.socket(zmq.ROUTER)
        self._zap.linger = 0
        self._zap.bind(ZAP_ENDPOINT)
        self._context = context
        self._monitors: dict[zmq.Socket[bytes], str] = {}
        self._wake_end, self._wake_handle = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="guard", daemon=True)

    # ---- before and after

    def watch(self, door: str, bound: zmq.Socket[bytes]) -> None:
        """Follows a door's connections; call it before the socket is bound and before ``start``."""
        endpoint = f"inproc://monitor.{door}"
        bound.monitor(endpoint, WATCHED)
        monitor = self._context.socket(zmq.PAIR)
        monitor.linger = 0
        # Without a bound: libzmq's own thread would wait where events are not taken.
        monitor.rcvhwm = 0
        monitor.connect(endpoint)
        self._monitors[monitor] = door

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; closing the sockets that it watched comes after it."""
        if self._thread.is_alive():
            self._wake_handle.send(b"\0")
            self._thread.join()
        for bound in (self._zap, *self._monitors):
            bound.close()
        for end in (self._wake_end, self._wake_handle):
            end.close()

    # ---- what the loop asks of it

    def __len__(self) -> int:
        return len(self._connections)

    def saw(self, fd: int, user: str) -> Connection | None:
        """The connection that a message came by, as the message's metadata name it (``__fd``, ``User-Id``)."""
        connection = self._connections.get(fd)
        if connection is not None and user:
            connection.user = user
        return connection

    def subscribed(self, fd: int, user: str, topic_bytes: int) -> bool:
        """Counts a subscription; False, and the connection is cut, where it has too many or asks for nonsense."""
        connection = self.saw(fd, user)
        if connection is None:
            return False  # it is gone already
        connection.subscription_count += 1
        most = self._limits.subscriptions
        if topic_bytes <= MAX_TOPIC_BYTES and not 0 < most < connection.subscription_count:
            return True
        self._cut(fd, connection, f"more than {most} subscriptions, or a topic that cannot be")
        return False

    def unsubscribed(self, fd: int) -> None:
        connection = self._connections.get(fd)
        if connection is not None and connection.subscription_count:
            connection.subscription_count -= 1

    def counts(self) -> dict[str, int]:
        """For the operator: how many are connected, and how many could not be."""
        return {
            "connections": len(self._connections),
            "failed_handshakes": self.failed_handshakes,
            "refused_handshakes": self.refused_handshakes,
            "cut_connections": self.cut_connections,
        }

    def cut_revoked(self) -> int:
        """Closes the connections of those whose key may no longer use their door; returns how many."""
        count = 0
        for fd, connection in list(self._connections.items()):
            if connection.user and self._permission_of is not None:
                permission = self._permission_of(connection.user)
                if not permission.opens(connection.door):
                    self._cut(fd, connection, "its key was taken out")
                    count += 1
        return count

    # ---- the thread

    def _run(self) -> None:
        poller = zmq.Poller()
        for polled in (self._wake_end, self._zap, *self._monitors):
            poller.register(polled, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if self._wake_end.fileno() in ready:
                return
            self._follow_all()
            if self._zap in ready:
                self._answer()

    def _answer(self) -> None:
        """Answers everything that libzmq has asked so far."""
        with contextlib.suppress(zmq.Again):
            while True:
                request = self._zap.recv_multipart(zmq.DONTWAIT)
                # libzmq told of the connection before it asked: so it is known before its first message.
                self._follow_all()
                if len(request) < 8:
                    continue  # nobody but libzmq is there to ask
                route, _, _, request_id, domain, address = request[:6]
                code, text, user = self._check(domain.decode(), address.decode(), request[7:])
                reply = (route, b"", ZAP_VERSION, request_id, code, text, user.encode(), b"")
                self._zap.send_multipart(reply, zmq.DONTWAIT)

    def _check(self, door: str, address: str, credentials: list[bytes]) -> tuple[bytes, bytes, str]:
        """The code of RFC 27, what is wrong, and the user."""
        mechanism, *proof = credentials
        if self._permission_of is None:
            return (b"200", b"OK", "") if mechanism == b"NULL" else (b"400", b"no keys here", "")
        if mechanism != b"CURVE" or len(proof) != 1 or len(proof[0]) != KEY_BYTES:
            return b"400", b"wanted CURVE", ""
        user = z85.encode(proof[0]).decode()
        permission = self._permission_of(user)
        if permission.opens(door):
            return b"200", b"OK", user
        self.refused_handshakes += 1
        self._log(KeyRefused(door=door, address=address, key=user, role=permission.role))
        return b"400", b"this key may not use this door", ""

    def _follow_all(self) -> None:
        for monitor, door in self._monitors.items():
            self._follow(door, monitor)

    def _follow(self, door: str, monitor: zmq.Socket[bytes]) -> None:
        with contextlib.suppress(zmq.Again):
            while True:
                event, fd = EVENT.unpack(monitor.recv_multipart(zmq.DONTWAIT)[0])
                if event == zmq.EVENT_ACCEPTED:
                    self._accepted(door, fd)
                elif event == zmq.EVENT_DISCONNECTED:
                    self._disconnected(door, fd)
                elif event & FAILED:
                    self.failed_handshakes += 1
                else:
                    self._log(AcceptFailed(door=door, problem=os.strerror(fd)))

    def _accepted(self, door: str, fd: int) -> None:
        # Where the number was another door's, that one's farewell is still in its monitor.
        self._forget(fd)
        try:
            with socket.socket(fileno=os.dup(fd)) as same:
                peer = same.getpeername()
        except OSError:
            return  # it is gone already
        address = peer[0] if isinstance(peer, tuple) else LOCAL
        connection = self._connections[fd] = Connection(door, address, peer)
        self._per_address[address] += 1
        most, most_of_one = self._limits.total, self._limits.per_address
        if 0 < most < len(self._connections):
            self._cut(fd, connection, f"{most} connections are there")
        elif 0 < most_of_one < self._per_address[address] and address != LOCAL:
            self._cut(fd, connection, f"{most_of_one} connections of that address are there")

    def _disconnected(self, door: str, fd: int) -> None:
        connection = self._connections.get(fd)
        if connection is not None and connection.door == door:
            self._forget(fd)

    def _forget(self, fd: int) -> None:
        connection = self._connections.pop(fd, None)
        if connection is not None:
            self._per_address[connection.address] -= 1
            if not self._per_address[connection.address]:
                del self._per_address[connection.address]

    def _cut(self, fd: int, connection: Connection, why: str) -> None:
        """Hangs up, from any thread: libzmq notices and cleans up."""
        if connection.is_cut:
            return
        connection.is_cut = True
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as same:
            if same.getpeername() == connection.peer:
                same.shutdown(socket.SHUT_RDWR)
        self.cut_connections += 1
        self._log(ConnectionCut(door=connection.door, address=connection.address, reason=why))
