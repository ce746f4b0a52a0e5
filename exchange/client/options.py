"""What a client asks of its sessions."""

from __future__ import annotations

import time
from typing import TypedDict

import msgspec

from exchange.client.stream import Bookmark


class SessionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks of its sessions, the same on every connection."""

    read_only: bool = False  # looks on: no commands
    cancel_on_disconnect: bool = (
        False  # the node cancels the account's orders when the session ends
    )
    heartbeat_ms: int = 5_000  # 0: none, and nobody notices a connection that is silently dead
    client: int = (
        0  # the key that the node knows this client by, over its reconnects; 0: one is drawn
    )
    name: str = "exchange-python"  # for the operator's logs
    max_own_events: int = 100_000  # kept for a user who does not read
    retry: bool = True  # what a limit refused is sent again when it may be, within its timeout
    resume: Bookmark | None = None  # where an earlier client of this key stopped reading


class SessionArguments(TypedDict, total=False):
    """The same as arguments of a client."""

    read_only: bool
    cancel_on_disconnect: bool
    heartbeat_ms: int
    client: int
    name: str
    max_own_events: int
    retry: bool
    resume: Bookmark | None


def first_request_id(options: SessionOptions) -> int:
    """Request ids are never used twice under one key: a key that may be older than this process starts by the clock."""
    return time.time_ns() // 1000 if options.client or options.resume else 1
