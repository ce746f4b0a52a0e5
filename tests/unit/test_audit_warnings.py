"""The auditor, warnings (MARGIN-10) and added margin (ACCT-09): it passes engines, and notices what is not."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from exchange.audit import Auditor
from exchange.engine import ENGINE_KINDS
from exchange.protocol import messages as m
from exchange.protocol.messages import Event
from exchange.protocol.records import decode_events
from exchange.protocol.schema import BalanceCause
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


#: a and b are long 10 at 100 on pools of 100; a adds 54 at 94, b has not asked.
ADDED = """
name: added
symbols:
  X: {tick: 1, lot: 1, initial_margin: 0.1, brackets: [[0, 0.05]]}
steps:
- deposit: {account: a, amount: 200}
- deposit: {account: b, amount: 200}
- deposit: {account: m, amount: 100000}
- mark: {symbol: X, price: 100}
- margin_mode: {account: a, symbol: X, mode: isolated}
- margin_mode: {account: b, symbol: X, mode: isolated}
- auto_margin: {account: a, symbol: X, enabled: true}
- trade: {buyer: a, seller: m, symbol: X, quantity: 10, price: 100}
- trade: {buyer: b, seller: m, symbol: X, quantity: 10, price: 100}
- mark: {symbol: X, price: 94}
"""


def named_of_added(change: int, kind: str = "reference", **asked: int) -> set[str]:
    """What is reported if so much more was added, or the choice was another."""
    result = run_scenario(parse_scenario(ADDED), kind)
    events = list(decode_events(result.events))
    for index, event in enumerate(events):
        if isinstance(event, m.AutoMarginSet):
            events = changed(events, index, **asked)
        elif isinstance(event, m.BalanceChanged) and event.cause == BalanceCause.AUTO_MARGIN:
            moved = {
                "wallet_change_atoms": event.wallet_change_atoms - change,
                "margin_change_atoms": event.margin_change_atoms + change,
                "wallet_atoms": event.wallet_atoms - change,
                "margin_atoms": event.margin_atoms + change,
            }
            events = changed(events, index, **moved)
    auditor = Auditor()
    auditor.follow(result.commands, events)
    auditor.check()
    return {violation.invariant for violation in auditor.violations}


@pytest.mark.parametrize("kind", ENGINE_KINDS)
def test_margin_that_is_added_is_found_right(kind: str) -> None:
    assert named_of_added(0, kind) == set()


@pytest.mark.parametrize("change", [1, -1, -47 * 10**8, 60 * 10**8])
def test_too_much_or_too_little_is_named(change: int) -> None:
    assert "ACCT-09" in named_of_added(change)


def test_margin_that_nobody_asked_for_is_named() -> None:
    assert named_of_added(0, enabled=0) == {"ACCT-09"}
