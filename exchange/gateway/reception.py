"""Sorts what came in: commands for the sequencer, questions, and frames that are answered with what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from exchange.gateway.connection import (
    Code,
    Commands,
    Door,
    Query,
    Refusal,
    Session,
    Sessions,
    places_orders,
)
from exchange.gateway.replies import Origins


class Incoming(Protocol):
    """A frame as the sockets give it."""

    @property
    def door(self) -> Door: ...
    @property
    def peer(self) -> bytes: ...
    @property
    def payload(self) -> bytes | None: ...


class Taken(msgspec.Struct):
    """What one round of frames came to."""

    records: list[bytes] = []
    origins: Origins = msgspec.field(default_factory=Origins)
    queries: list[tuple[Session, Query]] = []
    refusals: list[
        tuple[Door, bytes, Refusal]
    ] = []  # by peer: a newcomer may be refused before it has a session

    @property
    def count(self) -> int:
        return len(self.origins.request_ids)


PARTS = Refusal(
    [],
    Code.MALFORMED,
    "wanted a message of one part (use a DEALER socket), got several or an empty delimiter",
)
FULL = Refusal(
    [], Code.TOO_MANY_SESSIONS, "this node has as many sessions as it may: try again later"
)

#: While the node drains: to who comes anew, and to who places.
CLOSED = Refusal([], Code.DRAINING, "this node is about to stop and takes no new sessions")
NOTHING_PLACED = "this node is about to stop: cancels pass, orders are neither placed nor amended"


def sort_frames(frames: Iterable[Incoming], sessions: Sessions) -> Taken:
    """Hands every frame to its session and collects what it means."""
    taken = Taken()
    for frame in frames:
        session = sessions.find(frame.door, frame.peer)
        if session is None or frame.payload is None:
            missing = CLOSED if sessions.draining else FULL
            taken.refusals.append((frame.door, frame.peer, missing if session is None else PARTS))
            continue
        match refuse_placing(session.receive(frame.payload), session, sessions):
            case Commands() as commands:
                taken.records.append(commands.records)
                taken.origins.add(session, commands)
            case Query() as query:
                if query.name == "login":
                    # At once, and not when it is answered: commands may follow it in the same round.
                    sessions.login(session, query.arguments["account"])
                taken.queries.append((session, query))
            case Refusal() as refusal:
                taken.refusals.append((frame.door, frame.peer, refusal))
    return taken


def refuse_placing(
    meaning: Commands | Query | Refusal, session: Session, sessions: Sessions
) -> Commands | Query | Refusal:
    """What a frame means; while the node drains, a trader's commands that place are refused, the whole frame."""
    if not sessions.draining or not isinstance(meaning, Commands) or not session.door.needs_login:
        return meaning
    if not places_orders(meaning.records):
        return meaning
    return Refusal(meaning.request_ids, Code.DRAINING, NOTHING_PLACED)
