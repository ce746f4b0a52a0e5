"""One connection of a client: a DEALER socket, and a look at whether somebody is at the other end.

A DEALER connects again by itself, and then is nobody's session: a client has to know.  ZeroMQ tells it by a *monitor*,
a second socket that says when a connection ended.  A client then takes a new DEALER, so that nothing of the old
connection is left: neither what waits to be sent nor what came in part.
"""

from __future__ import annotations

import zmq
import zmq.asyncio

from exchange.keys import ClientKeys, secure

HIGH_WATER = 100_000
RECONNECT_MS, MAX_RECONNECT_MS = 50, 2_000
LINGER_MS = 500  # for what was said last


def prepare(dealer: zmq.Socket[bytes] | zmq.asyncio.Socket) -> None:
    """What every DEALER of a client has."""
    dealer.linger = LINGER_MS
    dealer.sndhwm = dealer.rcvhwm = HIGH_WATER
    dealer.reconnect_ivl, dealer.reconnect_ivl_max = RECONNECT_MS, MAX_RECONNECT_MS


class Link:
    """A connection, for one thread."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, keys: ClientKeys | None = None
    ) -> None:
        self.socket = context.socket(zmq.DEALER)
        prepare(self.socket)
        secure(self.socket, keys)
        self._monitor = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._poller = zmq.Poller()
        self._poller.register(self.socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        try:
            self.socket.connect(endpoint)
        except BaseException:
            self.close(linger_ms=0)
            raise

    def send(self, payloads: list[bytes]) -> list[bytes]:
        """Sends in order; what does not go now, because the queue is full, is given back."""
        for sent, payload in enumerate(payloads):
            try:
                self.socket.send(payload, zmq.DONTWAIT)
            except zmq.Again:
                return payloads[sent:]
        return []

    def receive(self) -> bytes | None:
        """The next message, if one is there."""
        try:
            return self.socket.recv(zmq.DONTWAIT)
        except zmq.Again:
            return None

    def wait(self, timeout_ms: int) -> None:
        """Until something comes, or the connection ends."""
        self._poller.poll(timeout_ms)

    def has_ended(self) -> bool:
        """Whether the connection was there and is gone."""
        try:
            self._monitor.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return False
        return True

    def close(self, linger_ms: int) -> None:
        self.socket.disable_monitor()
        self._monitor.close(linger=0)
        self.socket.close(linger=linger_ms)
