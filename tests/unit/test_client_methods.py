"""The two kinds of client are one: the same methods, and the same texts."""

from __future__ import annotations

import inspect

import pytest

from exchange.client import AdminClient, AsyncAdminClient, AsyncClient, Client
from exchange.client.generate import SOURCE, TARGET, generate

PAIRS = [(Client, AsyncClient), (AdminClient, AsyncAdminClient)]


def public(kind: type) -> dict[str, object]:
    return {name: value for name, value in inspect.getmembers(kind) if not name.startswith("_")}


def test_the_sync_methods_are_made_from_the_asyncio_ones() -> None:
    assert TARGET.read_text() == generate(SOURCE.read_text()), (
        "run python -m exchange.client.generate"
    )


@pytest.mark.parametrize(("sync", "aio"), PAIRS)
def test_both_kinds_of_client_have_the_same_methods(sync: type, aio: type) -> None:
    assert public(sync).keys() | {"open"} == public(aio).keys()


@pytest.mark.parametrize(("sync", "aio"), PAIRS)
def test_a_method_takes_the_same_arguments_in_both(sync: type, aio: type) -> None:
    ours, theirs = public(sync), public(aio)
    #: Where waiting is another thing: an endless iterator of one may end, and asyncio opens a mirror.
    apart = {"events", "poll", "close", "book_mirror", "order_mirror", "subscribe"}
    for name in ours.keys() - apart:
        if callable(ours[name]):
            assert str(inspect.signature(ours[name])) == str(inspect.signature(theirs[name])), name
            assert inspect.getdoc(ours[name]) == inspect.getdoc(theirs[name]), name
