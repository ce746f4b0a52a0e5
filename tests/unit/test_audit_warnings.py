"""The auditor and warnings (MARGIN-10): it passes what engines tell, and notices one too many, too few or elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from exchange.audit import Auditor
from exchange.engine import ENGINE_KINDS
from exchange.protocol import messages as m
from exchange.protocol.messages import Event
from exchange.protocol.records import decode_events
from exchange.sim.scenario import parse_scenario, run_scenario

#: Long 10 at 100 on 100 each; 80 % at 96, 95 % at 95, 69 % at 97; at 94 both are liquidated, and nobody buys.
STORY = """
name: warned
symbols:
  X: {tick: 1, lot: 1, initial_margin: 0.1, brackets: [[0, 0.05]]}
steps:
- margin_warnings: {levels: [0.8, 0.9]}
- deposit: {account: a, amount: 100}
- deposit: {account: b, amount: 100}
- deposit: {account: m, amount: 100000}
- mark: {symbol: X, price: 100}
- trade: {buyer: a, seller: m, symbol: X, quantity: 10, price: 100}
- trade: {buyer: b, seller: m, symbol: X, quantity: 10, price: 100}
- mark: {symbol: X, price: 96}
- mark: {symbol: X, price: 95}
- mark: {symbol: X, price: 97}
- mark: {symbol: X, price: 95}
- margin_warnings: {levels: [0.7, 0.9, 0.95]}
- mark: {symbol: X, price: 94}
"""
Events = list[Event]
Spoil = Callable[[Events, int], Events]


def named(spoil: Spoil, kind: str = "reference") -> set[str]:
    """What is reported of the story with its first warning spoiled."""
    result = run_scenario(parse_scenario(STORY), kind)
    events = list(decode_events(result.events))
    index = next(i for i, event in enumerate(events) if isinstance(event, m.MarginWarning))
    auditor = Auditor()
    auditor.follow(result.commands, spoil(events, index))
    auditor.check()
    return {violation.invariant for violation in auditor.violations}


def changed(events: Events, index: int, **changes: object) -> Events:
    return [
        *events[:index],
        msgspec.structs.replace(events[index], **changes),
        *events[index + 1 :],
    ]


def levels(events: Events) -> int:
    return next(i for i, event in enumerate(events) if isinstance(event, m.MarginWarningsSet))


@pytest.mark.parametrize("kind", ENGINE_KINDS)
def test_what_the_engines_tell_is_found_right(kind: str) -> None:
    assert named(lambda events, index: events, kind) == set()


SPOILED: dict[str, tuple[str, Spoil]] = {
    "one too few": ("MARGIN-10", lambda e, i: [*e[:i], *e[i + 1 :]]),
    "told twice": ("MARGIN-10", lambda e, i: [*e[:i], e[i], *e[i:]]),
    "another level": ("MARGIN-10", lambda e, i: changed(e, i, level_ppm=900_000)),
    "another account": ("MARGIN-10", lambda e, i: changed(e, i, account=3)),
    "out of turn": ("MARGIN-10", lambda e, i: [*e[:i], e[i + 1], e[i], *e[i + 2 :]]),
    "before the mark": ("MARGIN-10", lambda e, i: [*e[: i - 1], e[i], e[i - 1], *e[i + 1 :]]),
    "another equity": ("I20", lambda e, i: changed(e, i, equity_atoms=1)),
    "levels that fall": ("MARGIN-10", lambda e, i: changed(e, levels(e), second_level_ppm=1)),
    "no levels": (
        "MARGIN-10",
        lambda e, i: changed(e, levels(e), first_level_ppm=0, second_level_ppm=0),
    ),
}


@pytest.mark.parametrize("what", SPOILED)
def test_what_is_wrong_is_named(what: str) -> None:
    name, spoil = SPOILED[what]
    assert name in named(spoil)
