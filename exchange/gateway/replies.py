"""Whose each event is: the reply of a command goes to the session that sent it, the rest to whoever is logged in.

Each command's result event, and then every event of the account that acted, is the *reply*: it carries the request id
and stays together in one message, in order.  Events of other accounts (a maker's fill, a liquidation), and those of the
acting account on its other sessions, are *notices*: the same arrays with request id 0.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import msgspec

from exchange.gateway.connection import Commands, Session, State
from exchange.peek import EVENT_START, event_number
from exchange.protocol import wire
from exchange.protocol.records import RoutedEvent, decode_events
from exchange.sequencer import Batch

FILL = event_number("fill")


class Origins(msgspec.Struct):
    """Who sent the commands of a batch: for each command, in order, its session, request id and account."""

    sessions: list[Session] = []
    request_ids: list[int] = []
    accounts: list[int] = []

    def add(self, session: Session, commands: Commands) -> None:
        self.sessions.extend([session] * len(commands.request_ids))
        self.request_ids.extend(commands.request_ids)
        self.accounts.extend(commands.accounts)


class Directory(Protocol):
    """What address_events needs of the sessions: who is logged in for an account."""

    def of_account(self, account: int) -> Sequence[Session]: ...


def address_events(
    batch: Batch, events: bytes, origins: Origins, logged_in: Directory
) -> list[tuple[Session, bytes]]:
    """The message that each session gets of a batch, every event in its place."""
    mail: dict[Session, list[bytes]] = {}
    as_notices: list[RoutedEvent] = []
    routed = wire.encode_event_list(events, batch.first_sequence, origins.request_ids)
    for position, (account, sequence, _, event) in enumerate(routed):
        index = sequence - batch.first_sequence
        sender = origins.sessions[index]
        is_reply = account == origins.accounts[index]
        if is_reply:
            mail.setdefault(sender, []).append(event)
        for session in logged_in.of_account(account):
            if not is_reply:
                mail.setdefault(session, []).append(event)
            elif session is not sender:
                as_notices = as_notices or wire.encode_event_list(events, 0, [])
                mail.setdefault(session, []).append(as_notices[position][3])
    return [
        (session, b"".join(letter))
        for session, letter in mail.items()
        if session.state is not State.LOST
    ]


class FillHistory:
    """The last fills of each account, as the engine told them; older ones are in the journal."""

    def __init__(self, fills_per_account: int) -> None:
        self._size = fills_per_account
        self._rings: dict[int, deque[bytes]] = {}

    def feed(self, events: bytes) -> None:
        offset = 0
        while offset < len(events):
            number, size, account, _ = EVENT_START.unpack_from(events, offset)
            if number == FILL:
                ring = self._rings.get(account)
                if ring is None:
                    ring = self._rings[account] = deque(maxlen=self._size)
                ring.append(events[offset : offset + size])
            offset += size

    def last(self, account: int, limit: int) -> list[msgspec.Struct]:
        """The newest fills of an account, oldest first."""
        ring = self._rings.get(account, ())
        return list(decode_events(b"".join(list(ring)[-limit:])))
