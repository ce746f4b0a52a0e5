"""The operator's door: listings, marks, funding, fund deposits, and a look at the node itself.

It is a socket of its own, so that it can be bound where only the operator gets to.  It takes the operator's commands
and no trader's, answers every query for every account, and two more: ``get_status`` and ``take_snapshot``.
"""

from __future__ import annotations

from typing import Any, Protocol

from exchange.gateway.connection import ACCOUNT_QUERIES, PUBLIC_QUERIES, Door
from exchange.gateway.queries import Answer, NoArguments, Queries, read_arguments
from exchange.gateway.sessions import Session

ADMIN_QUERIES = frozenset({"get_status", "take_snapshot"})
ADMIN_DOOR = Door("admin", "admin", False, PUBLIC_QUERIES | ADMIN_QUERIES, ACCOUNT_QUERIES)


class Operated(Protocol):
    """What the operator's door needs of the node."""

    def status(self) -> dict[str, Any]: ...
    def take_snapshot(self) -> str: ...


def add_admin_queries(queries: Queries, node: Operated) -> None:
    """Teaches the table of queries what only the operator may ask."""

    def get_status(session: Session, arguments: dict[str, Any]) -> Answer:
        read_arguments(NoArguments, arguments)
        return node.status()

    def take_snapshot(session: Session, arguments: dict[str, Any]) -> Answer:
        read_arguments(NoArguments, arguments)
        return {"path": node.take_snapshot()}

    queries.add("get_status", get_status)
    queries.add("take_snapshot", take_snapshot)
