"""The shipped days: complete, on the tick, and as steep as they were."""

from __future__ import annotations

from itertools import pairwise

import pytest

from exchange.config import load_config
from exchange.sim.paths import DAYS, MINUTE_NS, choose_bars, load_bars, mark_path

UNITS = load_config().symbols[0].units


@pytest.mark.parametrize("day", DAYS)
def test_every_minute_is_there_and_its_prices_are_in_order(day: str) -> None:
    bars = load_bars(day)
    assert len(bars) == 110
    assert {after.start_ns - before.start_ns for before, after in pairwise(bars)} == {MINUTE_NS}
    assert all(bar.low <= min(bar.close, bar.high) for bar in bars)
    assert all(bar.depth_ppm > 0 for bar in bars)


def test_the_low_of_2025_10_10_is_the_recorded_one() -> None:
    assert str(min(bar.low for bar in load_bars("2025-10-10"))) == "102497.5"
    assert min(bar.depth_ppm for bar in load_bars("2025-10-10")) < 300_000


def test_a_day_that_is_not_shipped_is_refused_with_those_that_are() -> None:
    with pytest.raises(
        ValueError, match="no day '2021-05-19' is shipped; there are 2025-10-10, 2020-03-12"
    ):
        load_bars("2021-05-19")


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_finer_paths_go_through_the_same_corners(parts: int) -> None:
    bars = load_bars("2025-10-10")[:20]
    coarse, fine = mark_path(bars, UNITS), mark_path(bars, UNITS, parts)
    assert fine[::parts] == coarse
    assert len(fine) == parts * len(coarse)
    times = [point.time_ns for point in fine]
    assert times == sorted(set(times))


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("day", DAYS)
def test_calm_minutes_are_calm_and_the_low_comes_after_them(day: str, quick: bool) -> None:
    bars, calm = choose_bars(DAYS[day], quick=quick)
    start = bars[0].open
    assert all(abs(bar.low / start - 1) < 0.02 for bar in bars[:calm])
    assert min(bar.low for bar in bars) < start * 9 / 10
