"""The helpers of the benchmarks: streams whose answers are known, tables, pages, and that a wrong answer is noticed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import compare
import growth
import instructions
import mark_ticks
import measuring
import numpy as np
import prices
import pytest
import run as all_benchmarks
import venue
import waiting

from exchange.bench import core
from exchange.protocol import messages, records


def test_a_packer_fills_the_other_fields_from_the_table() -> None:
    [order] = records.decode_commands(core.PLACE(7, 1, 0, 1, 500, 3))
    assert order == messages.PlaceOrder(
        account=7, symbol=1, side=0, time_in_force=1, price_ticks=500, qty_lots=3
    )


def test_a_packer_refuses_a_field_that_the_table_does_not_have() -> None:
    with pytest.raises(ValueError, match="place_order has no field colour"):
        core.packer("place_order", "account", "colour")


def test_many_records_are_the_records_that_one_by_one_would_be() -> None:
    array = venue.many("cancel_order", 3, account=np.array([1, 2, 3]), order_id=9)
    one_by_one = b"".join(core.CANCEL(account, 9) for account in (1, 2, 3))
    assert venue.stamped(array, 4) == records.stamp(one_by_one, 5, 2)


@pytest.mark.parametrize("margin", [False, True])
@pytest.mark.parametrize(
    "size",
    [
        venue.Size(resting=8, accounts=2),
        venue.Size(resting=500, accounts=20),
        venue.Size(resting=500, accounts=30, symbols=6, held=2),
        venue.Size(resting=300, accounts=41, symbols=20, held=1),
    ],
    ids=str,
)
def test_a_venue_keeps_its_size(size: venue.Size, margin: bool) -> None:
    made = venue.Venue(size, margin=margin)
    made.warm_up(400)
    made.run(400)
    made.check()
    assert made.orders.sum() == size.resting
    assert len(made.live) == size.resting


def test_both_sides_of_a_trade_are_accounts_of_its_symbol() -> None:
    size = venue.Size(resting=8, accounts=41, symbols=20, held=2)
    made = venue.Venue(size, margin=False)
    for account in range(1, size.accounts + 1):
        other = made.other(account)
        assert other != account
        assert 1 <= other <= size.accounts
        assert made.symbol_of(other, 0) == made.symbol_of(account, 0)


def test_a_venue_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="symbols a multiple of held"):
        venue.Size(resting=100, symbols=10, held=3)


def test_a_venue_notices_an_order_that_was_not_counted() -> None:
    made = venue.Venue(venue.Size(resting=8, accounts=2), margin=False)
    made.orders[1] += 1
    with pytest.raises(SystemExit, match="orders should be 9; it is 8"):
        made.check()


def test_a_rejection_stops_a_benchmark() -> None:
    engine = core.new_engine(False)
    events = engine.apply(records.stamp(core.CANCEL(1, 99), 1, 1))
    with pytest.raises(SystemExit, match="rejected"):
        venue.count_events([events])


@pytest.mark.parametrize("name", prices.SHAPES)
def test_hostile_shapes_end_with_the_book_that_was_counted(name: str) -> None:
    spent = prices.run_shape(prices.SHAPES[name], 200, 50)
    assert set(spent) == {"cancel", "place", "take"}


def test_cancels_from_the_middle_go_outwards() -> None:
    order = prices.from_the_middle(np.random.default_rng(1), np.arange(1, 6))
    assert order.tolist() == [3, 2, 4, 1, 5]


def test_mass_cancels_and_flicker_end_with_the_book_that_was_counted() -> None:
    assert set(prices.run_mass_cancel(100, 10)) == {"place", "cancel"}
    assert set(prices.run_flicker(50)) == {"place", "cancel"}


@pytest.mark.parametrize("case", mark_ticks.cases((40,)), ids=str)
def test_marks_by_bands_and_by_scan_give_the_same(case: mark_ticks.Case) -> None:
    assert mark_ticks.run_case(case, 40, 1)["positions"] == 40


@pytest.mark.parametrize("kind", waiting.KINDS)
def test_all_that_wait_go_off_once(kind: str) -> None:
    assert set(waiting.run_kind(kind, 1_000, 50)) == {"place", "mark", "off"}


def test_trailing_stops_go_off_one_by_one() -> None:
    assert set(waiting.run_one_by_one(50, 20)) == {"place", "off"}


def test_every_job_takes_part_in_every_round_in_turns() -> None:
    calls: list[str] = []
    jobs = {name: (lambda name=name: calls.append(name) or len(calls)) for name in "ab"}
    assert measuring.in_turns(2, jobs) == {"a": [1, 3], "b": [2, 4]}
    assert calls == ["a", "b", "a", "b"]


def test_a_wrong_answer_stops_a_benchmark() -> None:
    with pytest.raises(SystemExit, match="book: trades should be 2; it is 3"):
        measuring.check("book", {"trades": 3, "volume": 1}, {"trades": 2})


def test_a_workload_file_is_made_once_and_holds_its_answers(tmp_path: Path) -> None:
    path = measuring.workload_file("mixed", 500, folder=tmp_path)
    assert path.stat().st_size == 500 * core.RECORD.size
    made = path.stat().st_mtime_ns
    assert measuring.workload_file("mixed", 500, folder=tmp_path).stat().st_mtime_ns == made
    prepared = core.load_workload(path, 16)
    answers, _ = core.answer_pass(prepared, True)
    assert answers.trades == measuring.wanted_answers(path)["trades"]


ROOT = Path(__file__).parents[2]
REPORT = measuring.Report(
    title="A title",
    rows=[
        {"what": "first", "calls": 1000, "p50_ns": 12.345},
        {"what": "second", "calls": 7, "p50_ns": None},
    ],
    floor_ns=20.0,
    notes=["a note"],
)


def test_a_table_lines_texts_up_to_the_left_and_figures_to_the_right() -> None:
    assert measuring.as_table(REPORT.rows).splitlines() == [
        "what    calls  p50 ns",
        "first   1,000   12.35",
        "second      7       -",
    ]


def test_a_report_comes_back_from_its_line_of_json() -> None:
    line = measuring.as_json("example", REPORT)
    assert json.loads(line)["benchmark"] == "example"
    assert measuring.from_json(line) == REPORT


def test_a_page_is_drawn_anew_between_its_marks_only() -> None:
    page = "before\n<!-- ratio -->\nold\n<!-- end of ratio -->\nafter\n"
    drawn = all_benchmarks.draw(page, "ratio", all_benchmarks.as_section(REPORT))
    assert drawn.startswith(
        "before\n<!-- ratio -->\n\n| what | calls | p50 ns |\n| --- | ---: | ---: |"
    )
    assert drawn.endswith("\n\nA note.\n\n<!-- end of ratio -->\nafter\n")
    assert "old" not in drawn


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(SystemExit, match="<!-- ratio -->"):
        all_benchmarks.draw("nothing", "ratio", "text")


def test_the_performance_page_has_a_place_for_every_table() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    for name in ("machine", *all_benchmarks.BENCHMARKS, *all_benchmarks.OTHERS):
        assert all_benchmarks.draw(page, name, "x") != page


def test_every_benchmark_that_is_listed_is_there() -> None:
    for name in (*all_benchmarks.BENCHMARKS, *all_benchmarks.OTHERS):
        assert (ROOT / "benchmarks" / f"{name}.py").exists()


def record(**numbers: float) -> compare.Record:
    return {
        "date": "2026-01-01T00:00:00+00:00",
        "commit": "0123456789ab",
        "machine": "one",
        "numbers": {name.replace("_", " "): value for name, value in numbers.items()},
    }


def test_numbers_are_better_or_worse_only_beyond_what_they_vary_by() -> None:
    before = record(ratio_a=2.0, ratio_b=2.0, ratio_c=2.0, instructions_a=1000.0, ratio_gone=1.0)
    now = record(ratio_a=1.9, ratio_b=2.05, ratio_c=2.1, instructions_a=1006.0, ratio_new=1.0)
    verdicts = {row["number"]: row["verdict"] for row in compare.compare(before, now)}
    assert verdicts == {
        "ratio a": "better",
        "ratio b": "same",
        "ratio c": "worse",
        "instructions a": "worse",
        "ratio gone": "not measured",
        "ratio new": "new",
    }


def test_another_machine_is_said() -> None:
    other = {**record(), "machine": "two"}
    assert compare.differences(record(), other) == ["machine was one, is two"]


def test_committed_records_can_be_read() -> None:
    for line in compare.HISTORY.read_text().splitlines():
        read = json.loads(line)
        assert {"date", "commit", "machine", "python", "cython", "compiler"} <= read.keys()
        assert all(name.split()[0] in compare.NOISE for name in read["numbers"])


def test_without_valgrind_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "is_there", lambda: False)
    with pytest.raises(SystemExit, match="apt-get install valgrind"):
        instructions.measure(argparse.Namespace(quick=True))


def test_the_orders_of_a_growing_book_are_told_by_decades() -> None:
    assert growth.ranges(250_000) == [(1, 10_000), (10_001, 100_000), (100_001, 250_000)]


def test_a_pause_of_one_run_is_not_one_of_the_engine() -> None:
    quiet = np.array([100, 100, 2_000_000, 100])
    busy = np.array([100, 3_000_000, 4_000_000, 100])
    row = growth.row(1, 4, [quiet, busy, quiet])
    assert row["pauses_of_every_run"] == 1
    assert row["least_max_us"] == 2000.0


def test_a_growing_book_is_timed_order_by_order() -> None:
    times, _ = growth.grow(2_000)
    assert len(times) == 2_000
    assert times.min() > 0
