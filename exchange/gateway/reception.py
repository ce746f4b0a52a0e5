"""Sorts what came in: commands for the sequencer, questions, and frames that are answered with what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec

from exchange.gateway.connection import Code, Commands, Door, Query, Refusal
from exchange.gateway.greeting import Login
from exchange.gateway.limits import RefuseOrders
from exchange.gateway.replies import Origins
from exchange.gateway.sessions import Session, Sessions


class Incoming(Protocol):
    """A frame as the sockets give it."""

    @property
    def door(self) -> Door: ...
    @property
    def peer(self) -> bytes: ...
    @property
    def payload(self) -> bytes | None: ...
    @property
    def user(self) -> str: ...


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
CHOSEN_ROUTING_ID = Refusal(
    [],
    Code.FORBIDDEN,
    "wanted a routing id of the node's making: do not set one on your socket, another client could take it over",
)


def is_made_here(peer: bytes) -> bool:
    """Whether a routing id is one that libzmq makes up: nobody gets one of these twice, and nobody can guess it.

    >>> is_made_here(bytes([0, 1, 2, 3, 4])), is_made_here(b"desk7")
    (True, False)
    """
    return len(peer) == 5 and peer[0] == 0


#: While the node drains, to who comes anew.
CLOSED = Refusal([], Code.DRAINING, "this node is about to stop and takes no new sessions")


def sort_frames(
    frames: Iterable[Incoming], sessions: Sessions, pressure: RefuseOrders | None = None
) -> Iterator[Taken]:
    """Hands every frame to its session and collects what it means.

    A login ends a round: what came before it is carried out before, so that it is known which events the session has
    missed and which come; what comes after it may be its commands.
    """
    taken = Taken()
    for frame in frames:
        if frame.user and not is_made_here(frame.peer):
            taken.refusals.append((frame.door, frame.peer, CHOSEN_ROUTING_ID))
            continue
        session = sessions.find(frame.door, frame.peer, frame.user)
        if session is None or frame.payload is None:
            missing = CLOSED if sessions.draining else FULL
            taken.refusals.append((frame.door, frame.peer, missing if session is None else PARTS))
            continue
        match sessions.receive(session, frame.payload, pressure):
            case Commands() as commands:
                taken.records.append(commands.records)
                taken.origins.add(session, commands)
            case Query() as query:
                taken.queries.append((session, query))
                if query.name == "login":
                    sessions.make_way(session, msgspec.convert(query.arguments, Login))
                    yield taken
                    taken = Taken()
            case Refusal() as refusal:
                taken.refusals.append((frame.door, frame.peer, refusal))
    yield taken
