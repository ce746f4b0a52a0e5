"""A recording and an engine side by side: applies each step, compares each row of the book and each execution.

Theory of operation.  Two passes over the same commands.  The first goes step by step, keeps for every order of the
recording the engine's order, and compares as it goes; it also writes down each command record that it sent.  The timed
passes apply those records again, in batches, to fresh engines, and must end in the same state.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path

import msgspec

from exchange.engine import create_engine
from exchange.errors import CorruptionError
from exchange.flow.lines import FlowError
from exchange.flow.opening import end_of_pre_open
from exchange.flow.recording import (
    OUT_OF_PRIORITY,
    Act,
    BookRow,
    Level,
    Recording,
    Step,
    read_book_rows,
    read_recording,
)
from exchange.flow.report import Report
from exchange.flow.venue import Order, Outcome, Venue
from exchange.protocol.schema import Side, SymbolState

Say = Callable[[str], None]
CHECK_EVERY = 1000  # steps between two looks at the engine's own book
SAY_EVERY_S = 2.0


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to replay."""

    engine: str = "native"
    margin: bool = True
    accounts: int = 64
    passes: int = 5
    batch: int = 256
    open_at_ns: int | None = None  # None: detected
    auction: bool = (
        False  # the engine's own, in place of what the recording takes out when it opens
    )


class Replay:
    """One comparing pass over a recording."""

    def __init__(
        self, recording: Recording, report: Report, venue: Venue, own_auction: bool = False
    ) -> None:
        self.report = report
        self.venue = venue
        self._recording = recording
        self._orders: dict[str, Order] = {}  # by the recording's id: the last that had it
        self._open_at_ns = report.open_at_ns  # None once it is open
        self._own_auction = own_auction
        self._left_in_auction: list[Step] = []
        if self._open_at_ns is not None:
            venue.set_state(SymbolState.PRE_OPEN, 0)
        self._known_difference: tuple[BookRow, int, str | None] | None = None
        self._carry_out: dict[Act, Callable[[Step], None]] = {
            Act.ADD: self._add,
            Act.CANCEL: self._cancel,
            Act.REDUCE: self._reduce,
            Act.REPLACE: self._replace,
            Act.TAKE: self._take,
            Act.FILLED: self._reported,
        }

    # ---------------------------------------------------------------------------------------- the pass

    def run(self, book_rows: Iterator[BookRow] | None, say: Say) -> None:
        """Carries out every step; with a book file, compares the book after each of its rows."""
        steps = with_progress(self._recording.steps, say)
        if book_rows is None:
            for step in steps:
                self._step(step)
        else:
            self._run_by_rows(steps, book_rows)
        self._open()
        self.venue.check_mirror()

    def _run_by_rows(self, steps: Iterator[Step], book_rows: Iterator[BookRow]) -> None:
        report, step = self.report, next(steps, None)
        report.rows = report.rows_matched = 0
        for row, book_row in enumerate(book_rows):
            report.levels = len(book_row.asks)
            t_ns = step.t_ns if step is not None else 0
            while step is not None and step.row <= row:
                t_ns = step.t_ns
                self._step(step)
                step = next(steps, None)
            report.rows += 1
            difference = self._difference(book_row)
            if difference is None:
                report.rows_matched += 1
            elif report.first_difference is None:
                report.first_difference = (
                    f"row {row} (line {row + 1} of the book file, {t_ns} ns): {difference}"
                )
        if step is not None:
            raise FlowError(
                f"{self._recording.path}, line {step.line}: wanted a row of the book file for each row, "
                f"came row {step.row} where the book file ends after {report.rows} rows; do the two belong together?"
            )

    def _step(self, step: Step) -> None:
        report = self.report
        if step.act is not Act.FILLED:
            report.commands += 1
        if self._open_at_ns is not None:
            if step.t_ns > self._open_at_ns:
                self._open()
            elif not self._may_be_collected(step):
                return
        self._carry_out[step.act](step)
        if report.commands % CHECK_EVERY == 0:
            self.venue.check_mirror()

    # ---------------------------------------------------------------------------------------- the steps

    def _add(self, step: Step) -> None:
        known = self._orders.get(step.order_id)
        if known is not None and known.live:
            # An iceberg that shows its next slice while the engine has not filled the last one.
            self._replace(step)
            return
        self._enter(step)

    def _enter(self, step: Step) -> None:
        order, outcome = self.venue.add(
            step.order_id, step.side, step.price_ticks, step.qty_lots, step.t_ns
        )
        self._orders[step.order_id] = order
        self.report.adds_that_traded += bool(outcome.hits)

    def _cancel(self, step: Step) -> None:
        if (order := self._order_of(step)) is None:
            return
        report, outcome = self.report, self.venue.cancel(order, step.t_ns)
        report.cancels += 1
        report.cancels_of_filled_orders += bool(outcome.reason)
        if not outcome.reason and outcome.cancelled_lots != step.qty_lots:
            report.cancels_of_another_quantity += 1

    def _reduce(self, step: Step) -> None:
        order = self._order_of(step)
        if order is not None and order.live:
            self.venue.reduce(order, step.qty_lots, step.t_ns)

    def _replace(self, step: Step) -> None:
        self.report.replaces += 1
        order = self._order_of(step)
        if order is None or not order.live:
            # The venue says that it stands there now: the book is nearer to the venue's with it than without.
            self.report.replaces_of_filled_orders += order is not None
            self._enter(step)
            return
        order, outcome = self.venue.replace(order, step.price_ticks, step.qty_lots, step.t_ns)
        self._orders[step.order_id] = order
        self.report.adds_that_traded += bool(outcome.hits)

    def _take(self, step: Step) -> None:
        report = self.report
        outcome = self.venue.take(step.side, step.price_ticks, step.qty_lots, step.t_ns)
        makers = tuple(hit.maker for hit in outcome.hits)
        exact = makers == step.makers
        if not self._recording.names_makers:
            exact = exact and outcome.hits[0].price_ticks == step.price_ticks
        report.executions += 1
        report.executions_filled += sum(maker.qty_lots for maker in makers) == step.qty_lots
        report.exact_maker_hits += exact
        report.same_makers += sorted(makers) == sorted(step.makers)
        if step.origin == OUT_OF_PRIORITY:
            report.executions_out_of_priority += 1
            report.exact_out_of_priority += exact
        elif not exact and report.first_missed_execution is None:
            report.first_missed_execution = describe_miss(step, outcome)

    def _reported(self, step: Step) -> None:
        """The venue says that the order is filled; what the engine has left of it is a ghost and goes."""
        order = self._orders.get(step.order_id)
        if order is None:
            return
        report = self.report
        report.orders_reported_filled = (report.orders_reported_filled or 0) + 1
        filled = order.open_lots == 0
        report.orders_filled_as_reported = (report.orders_filled_as_reported or 0) + filled
        if not filled:
            self.venue.cancel(order, step.t_ns)

    def _order_of(self, step: Step) -> Order | None:
        order = self._orders.get(step.order_id)
        self.report.unknown_orders += order is None
        return order

    # --------------------------------------------------------------------------------------- the opening

    def _may_be_collected(self, step: Step) -> bool:
        """Whether the engine gets a step of the pre-open; what the venue's auction takes out, its own auction finds."""
        if step.act is Act.TAKE:
            raise FlowError(
                f"{self._recording.path}, line {step.line}: wanted no executions in the pre-open, which ends at "
                f"{self._open_at_ns} ns, came one at {step.t_ns} ns; set --open-at-ns before it"
            )
        leaves = step.act in (Act.CANCEL, Act.REDUCE) and step.t_ns == self._open_at_ns
        if self._own_auction and leaves:
            self._left_in_auction.append(step)
            return False
        return True

    def _open(self) -> None:
        """The engine opens; where its book still crosses itself, that is an auction."""
        if self._open_at_ns is None:
            return
        t_ns, self._open_at_ns = self._open_at_ns, None
        book = self.venue.mirror
        self.report.orders_collected = sum(level.order_count for level in book.bids + book.asks)
        outcome = self.venue.set_state(SymbolState.OPEN, t_ns)
        if outcome.auction_ticks:
            self.report.auction_ticks = outcome.auction_ticks
            self.report.auction_lots = sum(fill.qty_lots for fill in outcome.auction_fills) // 2
        if self._own_auction:
            self._compare_auction(outcome)

    def _compare_auction(self, outcome: Outcome) -> None:
        """The engine's auction beside the venue's; then whoever left there leaves here, too."""
        report, filled = self.report, Counter[str]()
        for fill in outcome.auction_fills:
            filled[fill.order_id] += fill.qty_lots
        recorded, lots = Counter[str](), {Side.BUY: 0, Side.SELL: 0}
        for step in self._left_in_auction:
            recorded[step.order_id] += step.qty_lots
            order = self._order_of(step)
            if order is not None:
                lots[order.side] += step.qty_lots
                left = recorded[step.order_id] - filled[step.order_id]
                if left > 0 and order.live:
                    self.venue.reduce(order, left, step.t_ns)
        report.auction_lots_recorded = min(lots.values())
        report.auction_orders_recorded = len(recorded)
        report.auction_orders_as_recorded = sum(
            filled[name] == qty_lots for name, qty_lots in recorded.items()
        )

    # ------------------------------------------------------------------------------------------ the rows

    def _difference(self, row: BookRow) -> str | None:
        """How the book differs from a row, in words; None if it does not."""
        mirror = self.venue.mirror
        known = self._known_difference
        if known is not None and known[0] == row and known[1] == mirror.sequence:
            return known[2]  # neither moved
        tick, depth = self._recording.tick, len(row.asks)
        difference = None
        for name, side, wanted in (("ask", Side.SELL, row.asks), ("bid", Side.BUY, row.bids)):
            came = [(view.price_ticks * tick, view.qty_lots) for view in mirror.best(side, depth)]
            came += [(0, 0)] * (depth - len(came))
            if difference is None and came != wanted:
                difference = describe_levels(name, wanted, came)
        self._known_difference = row, mirror.sequence, difference
        return difference


def describe_levels(name: str, wanted: list[Level], came: list[Level]) -> str:
    level = next(i for i, (a, b) in enumerate(zip_longest(wanted, came)) if a != b)
    return f"{name} level {level + 1}: the file has {level_text(wanted[level])}, the engine {level_text(came[level])}"


def level_text(level: Level) -> str:
    price, size = level
    return f"{size} at {price}" if size else "nothing"


def describe_miss(step: Step, outcome: Outcome) -> str:
    wanted = ", ".join(f"{maker.qty_lots} of order {maker.order_id}" for maker in step.makers)
    came = ", ".join(
        f"{hit.maker.qty_lots} of order {hit.maker.order_id} at {hit.price_ticks}"
        for hit in outcome.hits
    )
    return (
        f"line {step.line} ({step.t_ns} ns): {step.side.name.lower()} {step.qty_lots} at {step.price_ticks} "
        f"ticks should hit {wanted or 'nobody'}, it hit {came or 'nobody'}"
    )


def with_progress(steps: list[Step], say: Say) -> Iterator[Step]:
    """Passes steps on and says every few seconds how far they got; a short replay says nothing."""
    spoken_at = time.monotonic()
    for count, step in enumerate(steps):
        if count % 1024 == 0 and time.monotonic() - spoken_at >= SAY_EVERY_S:
            spoken_at = time.monotonic()
            say(f"line {count} of {len(steps)} ({100 * count // len(steps)} %)")
        yield step


# -------------------------------------------------------------------------------------------- the clock


def time_pass(venue: Venue, options: Options, batches: list[bytes]) -> int:
    """Nanoseconds of CPU that a fresh engine takes for the batches; it must end in the venue's state."""
    engine = create_engine(options.engine, margin=options.margin)
    engine.apply(venue.opening)
    apply = engine.apply
    start = time.process_time_ns()
    for batch in batches:
        apply(batch)
    spent = time.process_time_ns() - start
    if engine.digest() != venue.engine.digest():
        raise CorruptionError("the same commands in batches ended in another state than one by one")
    return spent


def measure(venue: Venue, report: Report, options: Options, say: Say) -> None:
    """Times the engine alone over the commands that the comparing pass sent."""
    records = venue.records
    batches = [
        b"".join(records[at : at + options.batch]) for at in range(0, len(records), options.batch)
    ]
    report.engine_commands, report.batch, report.passes = (
        len(records),
        options.batch,
        options.passes,
    )
    times = []
    for number in range(1, options.passes + 1):
        times.append(time_pass(venue, options, batches) / max(1, report.commands))
        if sum(times) * report.commands > SAY_EVERY_S * 1e9:
            say(f"timed pass {number} of {options.passes}")
    if times:
        report.ns_per_command = round(statistics.median(times), 1)
        report.ns_per_command_min, report.ns_per_command_max = (
            round(min(times), 1),
            round(max(times), 1),
        )


def replay_recording(
    path: Path, orderbook: Path | None, options: Options, say: Say = lambda text: None
) -> Report:
    """Replays a recording, compares it with its book file if there is one, and times the engine.

    Raises:
        FlowError: a file is not what it should be, or the two do not belong together.
    """
    recording = read_recording(path)
    if orderbook is not None and recording.steps[0].row < 0:
        raise FlowError(
            f"{path}: wanted a column row, which says to which row of {orderbook} a line belongs, came none; "
            "leave out --orderbook"
        )
    accounts = options.accounts or 2 * len(recording.steps)  # 0: an account for each order
    report = Report(
        recording=path.name,
        format=recording.format,
        engine=options.engine,
        margin=options.margin,
        accounts=accounts,
        tick=recording.tick,
    )
    find_opening(recording, report, options)
    mark_ticks = next((s.price_ticks for s in recording.steps if s.act is Act.ADD), 1)
    venue = Venue(options.engine, margin=options.margin, accounts=accounts, mark_ticks=mark_ticks)
    rows = read_book_rows(orderbook) if orderbook is not None else None
    Replay(recording, report, venue, options.auction).run(rows, say)
    report.digest = venue.engine.digest()
    measure(venue, report, options, say)
    return report


def find_opening(recording: Recording, report: Report, options: Options) -> None:
    given = options.open_at_ns
    report.open_at_ns = given if given is not None else end_of_pre_open(recording)
    if report.open_at_ns is not None:
        report.open_at_was = "given" if given is not None else "detected"
