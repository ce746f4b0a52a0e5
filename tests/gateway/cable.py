"""A cable between a client and a node that a test can cut, clog, and plug in elsewhere."""

from __future__ import annotations

import contextlib
import select
import socket
import threading


class Cable:
    """Forwards TCP connections to whatever ``endpoint`` is at the moment."""

    def __init__(self, endpoint: str) -> None:
        self.plug_in(endpoint)
        self.is_clogged = False  # takes everything and passes nothing on: a connection that is dead without a word
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._wake, self._awake = socket.socketpair()
        self._stopping = False
        self._cutting = threading.Event()
        self._was_cut = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def plug_in(self, endpoint: str) -> None:
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        self._target = host, int(port)

    def cut(self) -> None:
        """Ends all connections; new ones may be made at once."""
        self._was_cut.clear()
        self._cutting.set()
        self._wake.send(b"x")
        assert self._was_cut.wait(5)

    def close(self) -> None:
        self._stopping = True
        self._wake.send(b"x")
        self._thread.join(5)
        for end in (self._listener, self._wake, self._awake):
            end.close()

    def _run(self) -> None:
        while not self._stopping:
            ready, _, _ = select.select([self._listener, self._awake, *self._pairs], [], [])
            for end in ready:
                if end is self._listener:
                    self._accept()
                elif end is self._awake:
                    end.recv(100)
                elif end in self._pairs:
                    self._forward(end)
            if self._cutting.is_set():
                self._cutting.clear()
                self._end_all()
                self._was_cut.set()
        self._end_all()

    def _accept(self) -> None:
        ours, _ = self._listener.accept()
        try:
            theirs = socket.create_connection(self._target)
        except OSError:
            ours.close()
            return
        self._pairs[ours], self._pairs[theirs] = theirs, ours

    def _forward(self, end: socket.socket) -> None:
        other = self._pairs[end]
        try:
            data = end.recv(1 << 16)
            if data and not self.is_clogged:
                other.sendall(data)
        except OSError:
            data = b""
        if not data:
            self._end(end)

    def _end(self, end: socket.socket) -> None:
        other = self._pairs.pop(end)
        self._pairs.pop(other, None)
        for one in (end, other):
            with contextlib.suppress(OSError):
                one.close()

    def _end_all(self) -> None:
        while self._pairs:
            self._end(next(iter(self._pairs)))
