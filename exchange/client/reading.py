"""How the replies of the node are read: events of commands, bodies of questions, many asks together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from exchange.client.errors import RequestRefused
from exchange.client.requests import Ask, Reply
from exchange.errors import Rejected

V = TypeVar("V")


def events_of(reply: Reply) -> list[Any]:
    if isinstance(reply, RequestRefused):
        raise reply
    assert isinstance(reply, list), f"a command is answered with events, this one with {reply!r}"
    return reply


def body_of(reply: Reply) -> dict[str, Any]:
    if isinstance(reply, RequestRefused):
        raise reply
    assert isinstance(reply, dict), f"a question is answered with a map, this one with {reply!r}"
    return reply


def views_of(reply: Reply, key: str | None, kind: type[V]) -> V:
    body = body_of(reply)
    return msgspec.convert(body if key is None else body[key], kind)


def ask_many(asks: Sequence[Ask[V]]) -> Ask[list[V | Rejected]]:
    """Many asks of one command each, sent together; a rejection is a result like others."""

    def read(replies: list[Any]) -> list[V | Rejected]:
        results: list[V | Rejected] = []
        for ask, reply in zip(asks, replies, strict=True):
            try:
                results.append(ask.read([reply]))
            except Rejected as rejected:
                results.append(rejected)
        return results

    return Ask([ask.messages[0] for ask in asks], read)
