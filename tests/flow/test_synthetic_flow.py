"""Recordings of every format, small enough to follow: what is the same is counted, what differs is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from flow_files import AUCTION_DAY, BOOK, COMMANDS, EVENTS, with_line, write

from exchange.flow.opening import end_of_pre_open
from exchange.flow.recording import read_recording
from exchange.flow.venue import Venue
from exchange.protocol.schema import Side


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    return write(tmp_path / "commands.csv.gz", COMMANDS)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return write(tmp_path / "book.csv", BOOK)


# --------------------------------------------------------------------------- command stream and book file


def test_every_row_and_every_execution_in_priority_is_the_same(
    commands: Path, book: Path, replay_l3, engine_kind: str
) -> None:
    code, report = replay_l3(commands, "--orderbook", book, "--engine", engine_kind)
    assert code == 0
    assert (report["rows"], report["rows_matched"], report["levels"]) == (9, 9, 2)
    assert (report["executions"], report["exact_maker_hits"]) == (3, 2)
    assert (report["executions_out_of_priority"], report["exact_out_of_priority"]) == (1, 0)
    assert (report["cancels"], report["cancels_of_another_quantity"]) == (2, 0)
    assert (report["commands"], report["engine_commands"], report["tick"]) == (12, 12, 100)
    assert report["first_difference"] is report["first_missed_execution"] is None
    assert report["ns_per_command"] > 0


@pytest.mark.parametrize(
    "arguments", [["--margin", "off"], ["--accounts", "0"], ["--accounts", "6", "--batch", "1"]]
)
def test_margin_accounts_and_batches_change_no_answer(
    commands: Path, book: Path, replay_l3, arguments: list[str]
) -> None:
    code, report = replay_l3(commands, "--orderbook", book, *arguments)
    assert (code, report["rows_matched"], report["exact_maker_hits"]) == (0, 9, 2)


@pytest.mark.parametrize(
    ("line", "wrong", "told"),
    [
        (
            6,
            "10100,70,10000,30,10200,61,9900,50",
            "row 5 (line 6 of the book file, 500 ns): ask level 2: the file has 61 at 10200, the engine 60 at 10200",
        ),
        (
            9,
            "10200,60,10000,30,10300,1,9900,50",
            "row 8 (line 9 of the book file, 800 ns): ask level 2: the file has 1 at 10300, the engine nothing",
        ),
        (
            4,
            "10100,80,10000,30,10200,60,-9999999999,0",
            "row 3 (line 4 of the book file, 400 ns): bid level 2: the file has nothing, the engine 50 at 9900",
        ),
    ],
)
def test_one_level_that_differs_is_the_only_row_that_is_told(
    commands: Path, tmp_path: Path, replay_l3, line: int, wrong: str, told: str
) -> None:
    book = write(tmp_path / "wrong.csv", with_line(BOOK, line, wrong))
    code, report = replay_l3(commands, "--orderbook", book)
    assert (code, report["rows"], report["rows_matched"]) == (1, 9, 8)
    assert report["first_difference"] == told


def test_an_order_out_of_its_place_in_the_queue_is_a_missed_execution(
    tmp_path: Path, replay_l3
) -> None:
    """Orders 1 and 5 change places: the book's levels are the same, the maker is not."""
    first, last = COMMANDS.splitlines()[1], COMMANDS.splitlines()[5]
    swapped = with_line(with_line(COMMANDS, 2, last), 6, first)
    path = write(tmp_path / "swapped.csv", swapped)
    code, report = replay_l3(path, "--orderbook", write(tmp_path / "book.csv", BOOK))
    assert code == 1
    assert report["rows_matched"] == 2  # then the cancel of order 1 takes another quantity
    assert report["cancels_of_another_quantity"] == 1
    assert report["first_missed_execution"] == (
        "line 7 (200 ns): sell 40 at 100 ticks should hit 40 of order 1, "
        "it hit 30 of order 5 at 100, 10 of order 1 at 100"
    )


def test_without_a_book_file_executions_are_compared_alone(commands: Path, replay_l3) -> None:
    code, report = replay_l3(commands, "--passes", "0")
    assert (code, report["rows"], report["exact_maker_hits"]) == (0, None, 2)
    assert report["ns_per_command"] is None


def test_the_report_in_words(commands: Path, book: Path, capsys) -> None:
    from exchange.cli import main

    assert main(["replay-l3", str(commands), "--orderbook", str(book), "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "rows_matched               9 (100.00 %), 2 levels" in told
    assert "exact_maker_hits         2 (66.67 %)" in told
    assert "first difference           none" in told


def test_prices_that_are_no_whole_cents_are_ticks_as_they_are(tmp_path: Path, replay_l3) -> None:
    path = write(tmp_path / "odd.csv", with_line(COMMANDS, 3, "0,100,A,2,B,9901,50,S"))
    book = write(tmp_path / "book.csv", BOOK.replace("9900", "9901"))
    code, report = replay_l3(path, "--orderbook", book)
    assert (code, report["tick"], report["rows_matched"]) == (0, 1, 9)


# ------------------------------------------------------------------- replaces, makers, pre-open, icebergs


def test_a_day_with_an_auction(tmp_path: Path, replay_l3, engine_kind: str) -> None:
    path = write(tmp_path / "day.csv", AUCTION_DAY)
    code, report = replay_l3(path, "--engine", engine_kind)
    assert code == 0
    assert (report["open_at_ns"], report["open_at_was"]) == (20, "detected")
    assert report["orders_collected"] == 2  # b1 and a1: the auction's orders left by themselves
    assert report["auction_lots"] is None  # so that there is nothing left to trade at the opening
    assert (report["executions"], report["executions_filled"]) == (6, 6)
    assert (report["exact_maker_hits"], report["same_makers"]) == (4, 5)
    assert report["first_missed_execution"] == (
        "line 22 (62 ns): buy 2 at 105 ticks should hit 1 of order c2, 1 of order c1, "
        "it hit 1 of order c1 at 105, 1 of order c2 at 105"
    )
    assert (report["replaces"], report["replaces_of_filled_orders"]) == (4, 1)
    assert (report["cancels"], report["cancels_of_filled_orders"]) == (4, 0)
    assert report["cancels_of_another_quantity"] == 0
    assert (report["unknown_orders"], report["adds_that_traded"]) == (1, 0)


def test_the_engines_own_auction_trades_what_the_recorded_one_did(
    tmp_path: Path, replay_l3, engine_kind: str
) -> None:
    """Bids 3 at 103 and 6 at 101, offers 3 at 101 and 5 at 102: from 101 up to 103 three lots trade.

    At 102 bids of 3 meet offers of 8; at 101 bids of 9 meet offers of 3; at 103 bids of 3 meet 8.  The imbalance is
    5, 6 and 5, and the mark, the price of the first order, is 100: 102 is nearer.
    """
    path = write(tmp_path / "day.csv", AUCTION_DAY)
    code, report = replay_l3(path, "--auction", "--engine", engine_kind)
    assert code == 0
    assert report["orders_collected"] == 4
    assert (report["auction_ticks"], report["auction_lots"]) == (102, 3)
    assert report["auction_lots_recorded"] == 3
    assert (report["auction_orders_recorded"], report["auction_orders_as_recorded"]) == (2, 2)
    assert (report["exact_maker_hits"], report["cancels"]) == (4, 2)


def test_the_end_of_the_pre_open_can_be_given(tmp_path: Path, replay_l3) -> None:
    path = write(tmp_path / "day.csv", AUCTION_DAY)
    _, detected = replay_l3(path)
    code, given = replay_l3(path, "--open-at-ns", 29)
    assert (code, given["open_at_was"], given["exact_maker_hits"]) == (0, "given", 4)
    assert given["digest"] == detected["digest"]


def test_matching_from_the_start_is_another_market(tmp_path: Path, replay_l3) -> None:
    """Without collecting, what crossed before the opening trades at once."""
    path = write(tmp_path / "day.csv", AUCTION_DAY)
    _, report = replay_l3(path, "--open-at-ns", 0)
    assert report["adds_that_traded"] > 0
    assert report["cancels_of_filled_orders"] > 0


def test_a_book_that_never_crosses_has_no_pre_open(tmp_path: Path) -> None:
    recording = read_recording(write(tmp_path / "commands.csv", COMMANDS))
    assert end_of_pre_open(recording) is None


def test_a_cross_after_the_first_execution_is_no_pre_open(tmp_path: Path) -> None:
    text = COMMANDS + "9,900,A,7,B,10200,5,M\n"
    assert end_of_pre_open(read_recording(write(tmp_path / "commands.csv", text))) is None


def test_a_replace_at_the_same_price_goes_to_the_back_of_the_queue(engine_kind: str) -> None:
    venue = Venue(engine_kind, margin=True, accounts=2, mark_ticks=100)
    first, _ = venue.add("first", Side.BUY, 100, 5, 1)
    venue.add("second", Side.BUY, 100, 5, 2)
    first, _ = venue.replace(first, 100, 5, 3)
    outcome = venue.take(Side.SELL, 100, 7, 4)
    assert [(hit.maker.order_id, hit.maker.qty_lots) for hit in outcome.hits] == [
        ("second", 5),
        ("first", 2),
    ]
    venue.reduce(first, 2, 5)
    assert (first.open_lots, first.live) == (1, True)
    venue.replace(first, 101, 4, 6)
    assert venue.mirror.best(Side.BUY, 2)[0].qty_lots == 4
    venue.check_mirror()


def test_a_reduction_keeps_the_place_in_the_queue(engine_kind: str) -> None:
    venue = Venue(engine_kind, margin=True, accounts=4, mark_ticks=100)
    first, _ = venue.add("first", Side.SELL, 100, 5, 1)
    venue.add("second", Side.SELL, 100, 5, 2)
    venue.reduce(first, 4, 3)
    outcome = venue.take(Side.BUY, 100, 2, 4)
    assert [hit.maker.order_id for hit in outcome.hits] == ["first", "second"]


# -------------------------------------------------------------------------------------------- order events


def test_order_events_are_orders_and_expected_fills(
    tmp_path: Path, replay_l3, engine_kind: str
) -> None:
    path = write(tmp_path / "events.csv.gz", EVENTS)
    code, report = replay_l3(path, "--engine", engine_kind)
    assert (code, report["format"]) == (0, "events")
    assert (report["orders_reported_filled"], report["orders_filled_as_reported"]) == (2, 1)
    assert (report["cancels"], report["cancels_of_filled_orders"]) == (2, 0)
    # Order 5 finds nobody: what the venue reports as filled is gone, whoever filled it.
    assert report["adds_that_traded"] == 1
    assert report["unknown_orders"] == 1
    assert report["executions"] == 0


def test_prices_with_decimals_are_whole_ticks(tmp_path: Path) -> None:
    recording = read_recording(write(tmp_path / "events.csv", EVENTS))
    assert recording.decimals == 2
    assert [step.price_ticks for step in recording.steps[:3]] == [1050, 1050, 0]


# ----------------------------------------------------------------------------------------------- wrong files


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: wanted the names of the columns of a command stream"),
        ("a,b\n1,2\n", "came 'a,b'"),
        ("34200.01,4,15818974,4,5794000,1\n", "came a LOBSTER message file"),
        (BOOK, "came 8 numbers; a book file goes to --orderbook"),
        (COMMANDS.splitlines()[0], "wanted at least one line after the names"),
        (
            with_line(COMMANDS, 3, "0,100,Z,2,B,9900,50,S"),
            "line 3: wanted a command, one of A X R M T",
        ),
        (with_line(COMMANDS, 3, "0,100,A,2,B,9900"), "line 3: wanted 8 cells"),
        (with_line(COMMANDS, 3, "0,100,A,2,N,9900,50,S"), "line 3: wanted side B or S, came 'N'"),
        (with_line(COMMANDS, 3, "0,100,A,2,B,x,50,S"), "line 3: wanted a price, came 'x'"),
        (
            with_line(COMMANDS, 3, "0,100,A,2,B,0,50,S"),
            "line 3: wanted a price of 1 .. 10^12 ticks",
        ),
        (with_line(COMMANDS, 3, "0,100,A,2,B,9900,0,S"), "line 3: wanted a quantity of 1 .. 10^12"),
        (
            with_line(COMMANDS, 3, "0,1.5,A,2,B,9900,50,S"),
            "line 3: wanted t_ns as whole nanoseconds",
        ),
        (
            with_line(COMMANDS, 8, "0,300,X,1,B,10000,60,M"),
            "line 8: wanted a row of 1 or more, came '0'",
        ),
        (with_line(AUCTION_DAY, 11, "31,T,t1,S,101,7,M,b1"), "line 11: wanted makers as id:qty"),
        (with_line(EVENTS, 4, "1,1002,999,10.5,40,amended,bid"), "line 4: wanted action created"),
        (
            with_line(EVENTS, 4, "1,1002,999,10.5,40,changed,up"),
            "line 4: wanted direction bid or ask",
        ),
        (
            with_line(EVENTS, 4, "1,1002,999,10.5,-4,changed,bid"),
            "line 4: wanted a volume of 0 or more",
        ),
    ],
)
def test_a_wrong_line_is_told_with_its_number(tmp_path: Path, capsys, text: str, told: str) -> None:
    assert_error(["replay-l3", str(write(tmp_path / "file.csv", text))], capsys, told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            with_line(BOOK, 2, "10100,80,10000,90"),
            "line 2: wanted price and size of each ask and bid",
        ),
        (
            with_line(BOOK, 2, "10100,80,10000,90,x,60,9900,50"),
            "line 2: wanted whole numbers, came 'x'",
        ),
        ("".join(BOOK.splitlines(keepends=True)[:5]), "line 10: wanted a row of the book file"),
    ],
)
def test_a_wrong_book_file_is_told(
    commands: Path, tmp_path: Path, capsys, text: str, told: str
) -> None:
    book = write(tmp_path / "wrong.csv", text)
    assert_error(["replay-l3", str(commands), "--orderbook", str(book)], capsys, told)


def test_a_file_cut_short_is_told(commands: Path, capsys) -> None:
    commands.write_bytes(commands.read_bytes()[:-20])
    assert_error(["replay-l3", str(commands)], capsys, "cannot be read to its end")


def test_a_recording_without_rows_has_no_book_file(tmp_path: Path, book: Path, capsys) -> None:
    path = write(tmp_path / "events.csv", EVENTS)
    assert_error(["replay-l3", str(path), "--orderbook", str(book)], capsys, "wanted a column row")


def test_no_execution_comes_before_the_opening(tmp_path: Path, capsys) -> None:
    path = write(tmp_path / "day.csv", AUCTION_DAY)
    told = "line 11: wanted no executions in the pre-open, which ends at 50 ns, came one at 31 ns"
    assert_error(["replay-l3", str(path), "--open-at-ns", "50"], capsys, told)


def assert_error(arguments: list[str], capsys, told: str) -> None:
    from exchange.cli import main

    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("exchange: ")
    assert error.count("\n") == 1
    assert told in error
