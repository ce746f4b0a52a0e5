"""Where things are, and what to say when nobody answers there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULT_ORDERS = "tcp://127.0.0.1:5555"
DEFAULT_MARKET_DATA = "tcp://127.0.0.1:5556"
DEFAULT_ADMIN = "tcp://127.0.0.1:5557"
ANYWHERE = ("0.0.0.0", "[::]", "*")


def market_data_endpoint(endpoint: str, about: Mapping[str, Any]) -> str:
    """The market data endpoint that a node names, at the host that we reached it by if it listens everywhere.

    >>> market_data_endpoint("tcp://10.0.0.5:5555", {"endpoints": {"market_data": "tcp://0.0.0.0:5556"}})
    'tcp://10.0.0.5:5556'
    """
    told = str(about["endpoints"]["market_data"])
    scheme, _, address = told.partition("://")
    host, _, port = address.rpartition(":")
    if scheme != "tcp" or host not in ANYWHERE:
        return told
    our_host = endpoint.partition("://")[2].rpartition(":")[0]
    return f"tcp://{our_host}:{port}"


def no_answer(endpoint: str, timeout_s: float, why: str = "") -> str:
    """What a timeout says: what was waited for, and what to look at."""
    return (
        f"no answer from {endpoint} within {timeout_s:g} s{': ' + why if why else ''}. "
        f"Is `exchange serve` running there, and is this its endpoint for this kind of client? "
        f"Where it wants keys, are yours in its list, for this door, and is its public key the one you have?"
    )
