"""Worlds of few atoms through both engines, under the auditor's eyes: where equal is equal, and an atom is much."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exchange.audit.state import State
from exchange.engine import ENGINE_KINDS
from exchange.fuzz.differ import Statistics, run_generated
from exchange.fuzz.tiny import TinyGenerator

COMMANDS = 400
PARTS = range(1, 5)
WORLDS_PER_PART = 8


def tiny(seed: int, state: State) -> Callable[[], bytes]:
    return TinyGenerator(seed, state).next_record


@pytest.mark.parametrize("part", PARTS)
def test_engines_agree_to_the_atom(part: int) -> None:
    statistics = Statistics()
    for seed in range(500 * part, 500 * part + WORLDS_PER_PART):
        _, failure = run_generated(seed, COMMANDS, ENGINE_KINDS, 100, statistics, make=tiny)
        assert failure is None, f"tiny world {seed}: {failure}"
    for name in ("fill:taker", "fill:liquidated", "fill:deleveraged"):
        assert statistics.events[name] > 0, name
