"""Orders live as the table of their life says: no change comes that it does not have, and each that it has comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from exchange.fuzz.differ import meaning_of
from exchange.protocol import life_page
from exchange.protocol import messages as m
from exchange.protocol.life import BY_EVENT, CHANGES, ENDS, STATE_PROSE, Change, Lives, State
from exchange.protocol.records import decode_events
from exchange.protocol.schema import COMMAND_BY_NAME, EVENT_BY_NAME, CancelReason, OrderPlace
from exchange.sim.scenario import load_scenario, run_scenario

FILES = sorted((Path(__file__).parents[1] / "scenarios").glob("*.yaml"))
CANCELLATIONS = [change for change in CHANGES if change.target is State.CANCELLED]


def commands_of(path: Path) -> Iterator[tuple[m.Command | None, list[m.Event]]]:
    """Every command of a story with its events."""
    result = run_scenario(load_scenario(path))
    by_sequence: dict[int, list[m.Event]] = {}
    for event in decode_events(result.events):
        by_sequence.setdefault(event.sequence, []).append(event)
    for sequence, record in enumerate(result.records, start=1):
        yield meaning_of(record), by_sequence[sequence]


@cache
def live_through(path: Path) -> tuple[list[str], Counter[Change]]:
    """What a story does that the table does not have, and how often each change came."""
    lives = Lives()
    wrong = [text for command, events in commands_of(path) for text in lives.read(command, events)]
    return wrong, lives.seen


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_orders_of_a_story_live_as_the_table_says(path: Path) -> None:
    wrong, _ = live_through(path)
    assert not wrong


def test_every_change_of_the_table_comes_in_a_story() -> None:
    seen = sum((live_through(path)[1] for path in FILES), Counter[Change]())
    assert not [str(change) for change in CHANGES if change not in seen]


def test_all_states_are_told_and_reached() -> None:
    assert STATE_PROSE.keys() == set(State)
    assert {change.target for change in CHANGES} == set(State) - {State.SENT}
    assert {change.origin for change in CHANGES} == set(State) - set(ENDS)


def test_the_table_speaks_of_events_and_reasons_that_exist() -> None:
    assert {change.event for change in CHANGES} <= EVENT_BY_NAME.keys()
    reasons = {reason.name.lower() for reason in CancelReason}
    assert {change.detail for change in CANCELLATIONS} == reasons


PLACED = COMMAND_BY_NAME["place_order"].number


def accepted(order_id: int) -> m.Accepted:
    return m.Accepted(timestamp_ns=0, command=PLACED, order_id=order_id)


def rested(order_id: int) -> m.OrderRested:
    return m.OrderRested(symbol=1, side=0, flags=0, order_id=order_id, price_ticks=9, open_lots=1)


def triggered(order_id: int) -> m.OrderTriggered:
    return m.OrderTriggered(
        symbol=1, side=0, order_id=order_id, trigger_ticks=9, watched_ticks=9, open_lots=1
    )


def cancelled(order_id: int, place: OrderPlace) -> m.OrderCancelled:
    return m.OrderCancelled(
        symbol=1,
        side=0,
        place=place,
        reason=CancelReason.REQUESTED,
        order_id=order_id,
        price_ticks=9,
        open_lots=1,
    )


def test_a_cancellation_says_where_the_order_was() -> None:
    assert Lives().read(None, [accepted(1), rested(1), cancelled(1, OrderPlace.BOOK)]) == []
    (wrong,) = Lives().read(None, [accepted(1), rested(1), cancelled(1, OrderPlace.WAITING)])
    assert wrong == "order 1 is resting, and is cancelled with place waiting"


def test_an_order_that_goes_nowhere_is_told() -> None:
    assert Lives().read(None, [accepted(1)]) == ["order 1 still acts when its command is over"]


def test_what_the_table_does_not_have_is_told() -> None:
    lives = Lives()
    assert lives.read(None, [accepted(1), rested(1)]) == []
    (wrong,) = lives.read(None, [triggered(1)])
    assert wrong.startswith("order 1 is resting: order_triggered")


def test_an_order_that_nobody_placed_is_told() -> None:
    (wrong,) = Lives().read(None, [rested(1)])
    assert wrong.endswith("speaks of an order that does not live")


def test_a_repeat_begins_no_second_life() -> None:
    lives = Lives()
    assert lives.read(None, [accepted(1), rested(1)]) == []
    assert lives.read(None, [accepted(1)]) == []
    assert lives.states == {1: State.RESTING}


def test_the_picture_has_a_place_for_every_state_and_a_way_for_every_change() -> None:
    picture = life_page.render_order_life_svg()
    assert life_page.PLACES.keys() == set(State)
    assert life_page.ARROWS.keys() == set(life_page.diagram().ways())
    assert all(f">{state}</text>" in picture for state in State)
    assert len(BY_EVENT) == len(CHANGES)
