"""The operator's door: listings, marks, funding, fund deposits, and a look at the node itself.

It is a socket of its own, so that it can be bound where only the operator gets to.  It takes the operator's commands
and no trader's, answers every query for every account, and four more: ``get_status``, ``take_snapshot``, ``drain``,
and ``reload_keys`` on a node with keys.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from exchange.gateway.connection import ACCOUNT_QUERIES, PUBLIC_QUERIES, Code, Door
from exchange.gateway.queries import Answer, NoArguments, Queries, QueryError, read_arguments
from exchange.gateway.sessions import Session

ADMIN_QUERIES = frozenset({"get_status", "take_snapshot", "drain", "reload_keys"})
MAX_DRAIN_S = 3600
ADMIN_DOOR = Door("admin", "admin", False, PUBLIC_QUERIES | ADMIN_QUERIES, ACCOUNT_QUERIES)


class OfDrain(msgspec.Struct, forbid_unknown_fields=True):
    seconds: int | None = None  # None: as configured


class Operated(Protocol):
    """What the operator's door needs of the node."""

    def status(self) -> dict[str, Any]: ...
    def reload_keys(self) -> dict[str, Any]: ...
    def drain(self, seconds: int | None = None) -> int: ...


def add_admin_queries(queries: Queries, node: Operated) -> None:
    """Teaches the table of queries what only the operator may ask."""

    def get_status(session: Session, arguments: dict[str, Any]) -> Answer:
        read_arguments(NoArguments, arguments)
        return node.status()

    def reload_keys(session: Session, arguments: dict[str, Any]) -> Answer:
        read_arguments(NoArguments, arguments)
        return node.reload_keys()

    queries.add("reload_keys", reload_keys)

    def drain(session: Session, arguments: dict[str, Any]) -> Answer:
        seconds = read_arguments(OfDrain, arguments).seconds
        if seconds is not None and not 0 <= seconds <= MAX_DRAIN_S:
            raise QueryError(
                Code.INVALID_ARGUMENTS, f"seconds: wanted 0 .. {MAX_DRAIN_S}, got {seconds}"
            )
        return {"seconds": node.drain(seconds)}

    queries.add("get_status", get_status)
    queries.add("drain", drain)
