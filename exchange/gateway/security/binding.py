"""Where the doors may be: on this machine as they are, elsewhere only with keys, or by force.  No I/O."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from exchange.errors import ConfigError

LOCAL_NAMES = frozenset({"localhost", "lo", "lo0"})
#: Door -> what everybody can do who reaches it, where nobody has a key.
REACHED: dict[str, str] = {
    "orders": "act for every account",
    "market_data": "read the whole market",
    "admin": "operate the exchange",
}


def is_local(endpoint: str) -> bool:
    """Whether only this machine reaches an endpoint.

    >>> [is_local(e) for e in ("tcp://127.0.0.1:5555", "tcp://[::1]:*", "ipc:///run/x", "tcp://0.0.0.0:5555")]
    [True, True, True, False]
    """
    scheme, _, address = endpoint.partition("://")
    if scheme in ("ipc", "inproc"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    if host in LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False  # a name or *, which may be reached from anywhere


def check_binding(
    endpoints: Mapping[str, str], *, has_keys: bool, insecure_bind: bool
) -> list[tuple[str, str]]:
    """Refuses doors that others could walk through; returns those where that was forced, with their endpoints.

    >>> check_binding({"orders": "tcp://127.0.0.1:5555"}, has_keys=False, insecure_bind=False)
    []

    Raises:
        ConfigError: a door is not on loopback, nobody has a key, and nobody insists.
    """
    if has_keys:
        return []
    reached = {name: endpoint for name, endpoint in endpoints.items() if not is_local(endpoint)}
    for name, endpoint in reached.items():
        if not insecure_bind:
            raise ConfigError(
                f"endpoints.{name} is {endpoint}: whoever reaches it could {REACHED[name]}, in the clear. "
                f"Make keys (`exchange keys server FOLDER`) and name them in [security] keys, bind it to "
                f"127.0.0.1, or insist with [security] insecure_bind = true"
            )
    return list(reached.items())
