"""The options of the node's sockets that bound what a stranger can do, each with its reason."""

from __future__ import annotations

import resource
from collections.abc import Callable

import msgspec
import zmq

from exchange.gateway.security.guard import ConnectionLimits
from exchange.ops.log_events import FewerConnections, LogEvent

#: What CURVE adds to a message: command name, nonce, authentication, flags (ZeroMQ RFC 26).
CURVE_OVERHEAD_BYTES = 33
#: Of a message to the market data door, which takes subscriptions alone: the longest handshake fits.
MAX_SUBSCRIPTION_BYTES = 2048
BACKLOG = 4096  # as many as the system lets wait (somaxconn); the default of 100 is less than one reconnect storm
RESERVED_FILES = (
    256  # of those that may be open: journal, snapshots, libzmq itself, what is just being refused
)


class SocketLimits(msgspec.Struct, frozen=True):
    """How long a connection may take to say something."""

    handshake_ms: int = 5_000
    silence_ms: int = 40_000


def bound_stranger(
    bound: zmq.Socket[bytes], max_message_bytes: int, limits: SocketLimits, *, encrypted: bool
) -> None:
    """Sets them on a socket that is not bound yet."""
    # Looked at before memory is taken; whoever announces more is cut.
    bytes_most = MAX_SUBSCRIPTION_BYTES if bound.type == zmq.XPUB else max_message_bytes
    bound.maxmsgsize = bytes_most + (CURVE_OVERHEAD_BYTES if encrypted else 0)
    # Who has not said all of its greeting and key by then is cut: half-open connections, a byte a second.
    bound.handshake_ivl = limits.handshake_ms
    # A ping where nothing came for a while.  A whole message in time, or the connection is cut: pulled plugs, and who
    # sends a message byte by byte.  Four of ten parts, so that a ping is asked once more before the end.
    ping_ms = max(1, limits.silence_ms * 4 // 10)
    bound.set(zmq.HEARTBEAT_IVL, ping_ms)
    bound.set(zmq.HEARTBEAT_TIMEOUT, max(1, limits.silence_ms - ping_ms))
    # What we send and nobody acknowledges: given up as early, not after the system's quarter of an hour.
    bound.set(zmq.TCP_MAXRT, limits.silence_ms)
    # Pings keep connections of themselves; the system's probes find a peer that vanished during its handshake.
    bound.tcp_keepalive = 1
    bound.tcp_keepalive_idle = max(1, limits.silence_ms // 1000)
    bound.backlog = BACKLOG


def raise_file_limit() -> None:
    """Lets this process have as many files, and so connections, as the system allows it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def allowed_connections(
    wanted: ConnectionLimits, log: Callable[[LogEvent], None]
) -> ConnectionLimits:
    """The limits, lowered to what the system has files for: a journal that cannot open its next one stops the node."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = max(1, files - RESERVED_FILES)
    if files == resource.RLIM_INFINITY or 0 < wanted.total <= room:
        return wanted
    if wanted.total:
        log(FewerConnections(files=files, wanted=wanted.total, allowed=room))
    return msgspec.structs.replace(wanted, total=room)
