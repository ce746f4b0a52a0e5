"""``/metrics``, ``/healthz`` and ``/readyz`` over HTTP, in threads of their own that the loop never waits for.

As much of HTTP as a scraper or a load balancer speaks, and nothing that grows: a request has ``MAX_REQUEST_BYTES`` and
``DEADLINE_S`` for all of it, ``MAX_CONNECTIONS`` are served at a time, others wait to be accepted.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus

import msgspec

from exchange.errors import ExchangeError
from exchange.ops.monitor import Monitor

MAX_REQUEST_BYTES = 8192
MAX_CONNECTIONS = 8
DEADLINE_S = 5.0
CLOSE_S = (
    1.0  # for the thread that accepts; it holds nothing that the end of the process would lose
)
JSON = "application/json"
#: Text of the metrics, and its type, for what a scraper accepts.
Expose = Callable[[str], tuple[bytes, str]]


class MetricsBindError(ExchangeError):
    """The address for metrics and health cannot be listened on."""


class Response(msgspec.Struct, frozen=True):
    """What is answered."""

    status: HTTPStatus
    content_type: str
    body: bytes


class BadRequest(Exception):
    """Bytes that are no request, or come too slowly."""


class OpsServer:
    """Listens at once; ``address`` then says where, also for port 0 or ``*``.

    Raises:
        MetricsBindError: the address is taken or is none.
    """

    def __init__(
        self, listen: str, monitor: Monitor, expose: Expose | None, within_s: float = 2.0
    ) -> None:
        host, _, port = listen.rpartition(":")
        try:
            self._socket = socket.create_server((host.strip("[]"), int(port.replace("*", "0"))))
        except OSError as error:
            raise MetricsBindError(
                f"metrics.listen: cannot listen on {listen}: {error.strerror}"
            ) from None
        self.address = "{}:{}".format(*self._socket.getsockname()[:2])
        self._monitor = monitor
        self._expose = expose
        self._within_s = within_s
        self._room = threading.Semaphore(MAX_CONNECTIONS)
        self._thread = threading.Thread(target=self._accept, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        # A thread that waits in accept does not notice that its socket was closed; it notices the end of it.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(CLOSE_S)

    def _accept(self) -> None:
        while True:
            self._room.acquire()
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError):
                try:
                    response = self._respond(*read_request(connection))
                except BadRequest as error:
                    response = as_json(HTTPStatus.BAD_REQUEST, {"error": f"{error}"})
                connection.settimeout(DEADLINE_S)
                connection.sendall(encode_response(response))
        finally:
            self._room.release()

    def _respond(self, method: str, path: str, accept: str) -> Response:
        if method not in ("GET", "HEAD"):
            return as_json(HTTPStatus.METHOD_NOT_ALLOWED, {"error": f"wanted GET, came {method}"})
        match path.partition("?")[0]:
            case "/metrics":
                response = self._metrics(accept)
            case "/healthz":
                response = self._health()
            case "/readyz":
                response = self._readiness()
            case _:
                there = "/metrics, /healthz, /readyz"
                response = as_json(HTTPStatus.NOT_FOUND, {"error": f"there are {there}"})
        return msgspec.structs.replace(response, body=b"") if method == "HEAD" else response

    def _metrics(self, accept: str) -> Response:
        if self._expose is None:
            missing = "prometheus_client is not installed: pip install 'perpetual-exchange[ops]'"
            return as_json(HTTPStatus.NOT_IMPLEMENTED, {"error": missing})
        body, content_type = self._expose(accept)
        return Response(HTTPStatus.OK, content_type, body)

    def _health(self) -> Response:
        begun_s = time.monotonic()
        healthy = self._monitor.is_alive(self._within_s)
        answered_ms = round((time.monotonic() - begun_s) * 1000, 3)
        body = {"healthy": healthy, "phase": self._monitor.phase, "answered_ms": answered_ms}
        return as_json(HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE, body)

    def _readiness(self) -> Response:
        problems = self._monitor.problems(self._within_s)
        body = {"ready": not problems, "phase": self._monitor.phase, "problems": problems}
        return as_json(HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK, body)


def read_request(connection: socket.socket) -> tuple[str, str, str]:
    """Method, path and what is accepted, of a request that comes whole and in time."""
    deadline_s = time.monotonic() + DEADLINE_S
    head = b""
    while b"\r\n\r\n" not in head:
        remaining_s = deadline_s - time.monotonic()
        if remaining_s <= 0 or len(head) > MAX_REQUEST_BYTES:
            raise BadRequest(
                f"wanted a request of {MAX_REQUEST_BYTES} bytes within {DEADLINE_S:g} s"
            )
        connection.settimeout(remaining_s)
        try:
            came = connection.recv(4096)
        except TimeoutError:
            continue
        if not came:
            raise BadRequest("the request ended in its middle")
        head += came
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest("wanted METHOD PATH HTTP/1.x")
    fields = dict(line.lower().split(":", 1) for line in lines if ":" in line)
    return words[0], words[1], fields.get("accept", "").strip()


def as_json(status: HTTPStatus, body: object) -> Response:
    return Response(status, JSON, msgspec.json.encode(body) + b"\n")


def encode_response(response: Response) -> bytes:
    fields = (
        f"HTTP/1.1 {response.status.value} {response.status.phrase}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        "Connection: close",
    )
    return "\r\n".join((*fields, "", "")).encode() + response.body
