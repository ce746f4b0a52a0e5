"""Whose each event is: the reply of a command goes to the session that sent it, the rest to whoever is logged in.

Each command's result event, and then every event of the account that acted, is the *reply*: it carries the request id
and stays together in one message, in order.  Events of other accounts (a maker's fill, a liquidation), and those of the
acting account on its other sessions, are *notices*: the same arrays with request id 0.

In front of an account's first event in a message stands its position, ``[127, account, number]``: where in the
account's stream the message goes on.  A session that still gets a replay of an account gets its events from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from exchange.gateway.connection import Commands
from exchange.gateway.event_log import Entry
from exchange.gateway.sessions import Session, State
from exchange.protocol import wire
from exchange.protocol.records import RoutedEvent
from exchange.sequencer import Batch


class Origins(msgspec.Struct):
    """Who sent the commands of a batch: for each command, in order, its session, request id and account."""

    sessions: list[Session | None] = []  # None: the node itself
    request_ids: list[int] = []
    accounts: list[int] = []  # 0: all its events are notices
    keys: list[int] = []  # of the session when the command came

    def add(self, session: Session, commands: Commands) -> None:
        count = len(commands.request_ids)
        self.sessions.extend([session] * count)
        self.keys.extend([session.key] * count)
        self.request_ids.extend(commands.request_ids)
        self.accounts.extend(commands.accounts)

    def add_own(self, count: int) -> None:
        """Commands that the node makes: nobody asked for them, everybody concerned hears of them."""
        self.sessions.extend([None] * count)
        for numbers in (self.keys, self.request_ids, self.accounts):
            numbers.extend([0] * count)

    def per_session(self) -> list[tuple[Session, int]]:
        """How many commands each session sent."""
        counts = Counter(self.sessions)
        return [(session, count) for session, count in counts.items() if session is not None]


class Directory(Protocol):
    """What address_events needs of the sessions: who is logged in for an account."""

    def of_account(self, account: int) -> Sequence[Session]: ...


class Letters:
    """What the sessions get of one batch, as it is written."""

    def __init__(self, number: Callable[[int], int]) -> None:
        self._number = number  # of the last event of an account before this batch
        self._parts: dict[Session, list[bytes]] = {}
        self._accounts: set[tuple[Session, int]] = set()

    def add(self, session: Session, account: int, event: bytes) -> None:
        parts = self._parts.setdefault(session, [])
        if account in session.accounts and (session, account) not in self._accounts:
            self._accounts.add((session, account))
            parts.append(wire.encode_position(account, self._number(account) + 1))
        parts.append(event)

    def sealed(self) -> list[tuple[Session, bytes]]:
        return [
            (session, b"".join(parts))
            for session, parts in self._parts.items()
            if session.state is not State.LOST
        ]


def address_events(
    batch: Batch,
    events: bytes,
    origins: Origins,
    logged_in: Directory,
    number: Callable[[int], int],
) -> list[tuple[Session, bytes]]:
    """The message that each session gets of a batch, every event in its place.

    ``number`` gives the number of an account's last event before the batch.
    """
    letters = Letters(number)
    as_notices: list[RoutedEvent] = []
    routed = wire.encode_event_list(events, batch.first_sequence, origins.request_ids)
    for position, (account, sequence, _, event) in enumerate(routed):
        index = sequence - batch.first_sequence
        sender = origins.sessions[index]
        is_reply = sender is not None and account == origins.accounts[index]
        if is_reply and sender is not None and account not in sender.catching_up:
            letters.add(sender, account, event)
        for session in logged_in.of_account(account):
            if not is_reply:
                letters.add(session, account, event)
            elif session is not sender:
                as_notices = as_notices or wire.encode_event_list(events, 0, [])
                letters.add(session, account, as_notices[position][3])
    return letters.sealed()


def encode_piece(entries: Sequence[Entry], account: int, number: int, key: int) -> bytes:
    """A piece of a replay: its position, and the events; replies to who has this key carry their request ids."""
    parts = [wire.encode_position(account, number)]
    start = 0
    while start < len(entries):
        end = end_of_run(entries, start, key)
        run = b"".join(entry.record for entry in entries[start:end])
        request_id = entries[start].request_id if entries[start].key == key else 0
        parts.append(wire.encode_events(run, entries[start].sequence, [request_id]))
        start = end
    return b"".join(parts)


def end_of_run(entries: Sequence[Entry], start: int, key: int) -> int:
    """Where the events end that can be encoded together: those of one command, or notices without any of a command."""
    first = entries[start]
    is_reply = first.key == key and key != 0
    end = start + 1
    while end < len(entries):
        entry = entries[end]
        same = (
            entry.key == key and entry.sequence == first.sequence if is_reply else entry.key != key
        )
        if not same:
            break
        end += 1
    return end
