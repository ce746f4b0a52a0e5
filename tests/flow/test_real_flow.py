"""Whole days of real venues: every row of the book, every maker that a price-time book can find.

The files may not be shipped; where they are absent these tests are skipped.  The figures are those of a plain
price-time book over the same files.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from exchange.engine import ENGINE_KINDS

LOBSTER = "lobster_{}_2012-06-21_{}_{}.csv.gz"


@pytest.mark.parametrize(
    ("stock", "levels", "rows", "executions", "exact", "margin"),
    [
        ("GOOG", 10, 147_916, 7_765, 7_757, "on"),
        ("GOOG", 10, 147_916, 7_765, 7_757, "off"),
        ("AMZN", 5, 155_935, 8_974, 8_935, "on"),
        ("AAPL", 1, 118_497, 23_658, 23_622, "on"),
    ],
)
def test_a_day_of_nasdaq_is_reproduced_row_by_row(
    recording,
    replay_l3,
    stock: str,
    levels: int,
    rows: int,
    executions: int,
    exact: int,
    margin: str,
) -> None:
    commands = recording(LOBSTER.format(stock, "commands", levels))
    book = recording(LOBSTER.format(stock, "orderbook", levels))
    code, report = replay_l3(commands, "--orderbook", book, "--passes", 1, "--margin", margin)
    assert (code, report["levels"]) == (0, levels)
    assert (report["rows"], report["rows_matched"]) == (rows, rows)
    assert (report["executions"], report["exact_maker_hits"]) == (executions, exact)
    assert report["executions_out_of_priority"] == executions - exact
    assert report["cancels_of_filled_orders"] == report["cancels_of_another_quantity"] == 0


def test_both_engines_reproduce_a_morning(recording, replay_l3, tmp_path: Path) -> None:
    """The first 6,000 rows: the reference engine would need half a minute for the day."""
    rows = 6_000
    commands = first_rows(recording(LOBSTER.format("GOOG", "commands", 10)), tmp_path, rows)
    book = first_rows(recording(LOBSTER.format("GOOG", "orderbook", 10)), tmp_path, rows)
    reports = []
    for engine in ENGINE_KINDS:
        code, report = replay_l3(commands, "--orderbook", book, "--engine", engine)
        assert (code, report["rows_matched"]) == (0, rows)
        reports.append((report["digest"], report["exact_maker_hits"]))
    assert reports[0] == reports[1]
    assert reports[0][1] > 200


def first_rows(path: Path, folder: Path, rows: int) -> Path:
    """The lines of a command or book file up to a row, in a file that is not gzipped."""
    lines = gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)
    if lines[0].startswith("row,"):
        last = next(n for n, line in enumerate(lines) if line.split(",")[0] == str(rows))
    else:
        last = rows
    cut = folder / path.stem
    cut.write_text("".join(lines[:last]))
    return cut


def test_bitstamps_events_are_filled_as_far_as_they_can_be_known(recording, replay_l3) -> None:
    code, report = replay_l3(recording("bitstamp_BTCUSD_2015-05-01_l3.csv.gz"), "--passes", 1)
    assert code == 0
    assert (report["orders_reported_filled"], report["orders_filled_as_reported"]) == (557, 523)
    assert (report["cancels"], report["cancels_of_filled_orders"]) == (24_174, 24)
    assert report["adds_that_traded"] == 348


def test_a_day_of_futures_with_an_auction(recording, replay_l3) -> None:
    """Icebergs trade more than they show, so not every maker can be found."""
    code, report = replay_l3(recording("cme_ESH4_2023-12-25_commands.csv.gz"), "--passes", 1)
    assert code == 0
    assert (report["open_at_ns"], report["open_at_was"]) == (1_703_545_200_000_000_000, "detected")
    assert report["executions"] == 2_898
    assert report["exact_maker_hits"] / report["executions"] > 0.94
    assert report["same_makers"] / report["executions"] > 0.95
