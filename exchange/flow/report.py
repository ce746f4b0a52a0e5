"""What a replay of recorded flow found: counts, the first difference in words, and how long the engine took."""

from __future__ import annotations

from typing import Any

import msgspec


class Report(msgspec.Struct):
    """Counts of one replay.  None stands for what the recording says nothing about."""

    recording: str
    format: str
    engine: str
    margin: bool
    accounts: int
    tick: int
    commands: int = 0  # lines of the recording that are orders to the venue
    # The book after each row.
    levels: int | None = None
    rows: int | None = None
    rows_matched: int | None = None
    # Executions and whom they hit.
    executions: int = 0
    exact_maker_hits: int = 0  # exactly the recorded makers, in order, for the recorded quantities
    same_makers: int = 0  # the same makers and quantities in whatever order
    executions_filled: int = 0  # in full
    executions_out_of_priority: int = (
        0  # recorded where the venue did not follow price-time priority
    )
    exact_out_of_priority: int = 0
    adds_that_traded: int = 0
    # Where recording and engine part.
    cancels: int = 0
    cancels_of_filled_orders: int = 0
    cancels_of_another_quantity: int = 0
    replaces: int = 0
    replaces_of_filled_orders: int = 0
    unknown_orders: int = 0  # commands about orders that never entered
    orders_reported_filled: int | None = None
    orders_filled_as_reported: int | None = None
    # The pre-open.
    open_at_ns: int | None = None
    open_at_was: str | None = None  # given or detected
    orders_collected: int | None = None  # that rested when it opened
    auction_ticks: int | None = None  # price of the engine's own auction
    auction_lots: int | None = None
    auction_lots_recorded: int | None = (
        None  # what left the book when the venue opened, the smaller side
    )
    auction_orders_recorded: int | None = None  # orders that left then
    auction_orders_as_recorded: int | None = None  # and that the engine filled for exactly as much
    # Where they differ for the first time.
    first_difference: str | None = None
    first_missed_execution: str | None = None
    # The clock.
    engine_commands: int = 0
    passes: int = 0
    batch: int = 0
    ns_per_command: float | None = None
    ns_per_command_min: float | None = None
    ns_per_command_max: float | None = None
    digest: str = ""

    @property
    def required_exact(self) -> int:
        """Executions that a price-time book has to reproduce exactly, where the recording promises that it can."""
        return self.executions - self.executions_out_of_priority

    @property
    def is_as_recorded(self) -> bool:
        """Whether every row is the book's and, with rows, every execution in priority is exact.

        Only recordings with rows are made so that a right engine gives all of it; of the others the counts are read.
        """
        if self.rows is None:
            return True
        exact = self.exact_maker_hits - self.exact_out_of_priority
        return self.rows_matched == self.rows and exact == self.required_exact

    def as_json(self) -> str:
        return msgspec.json.encode(self).decode()

    def as_text(self) -> str:
        lines: list[tuple[str, Any]] = [
            ("recording", f"{self.recording} ({self.format}, tick {self.tick})"),
            (
                "engine",
                f"{self.engine}, margin {'on' if self.margin else 'off'}, {self.accounts} accounts",
            ),
            ("commands", self.commands),
        ]
        if self.open_at_ns is not None:
            lines += [
                ("pre-open until", f"{self.open_at_ns} ns ({self.open_at_was})"),
                ("orders collected", self.orders_collected),
            ]
        if self.auction_lots is not None:
            lines += [("auction", f"{self.auction_lots} lots at {self.auction_ticks} ticks")]
        if self.auction_orders_recorded is not None:
            as_recorded = share(self.auction_orders_as_recorded, self.auction_orders_recorded)
            lines += [
                ("  recorded", f"{self.auction_lots_recorded} lots"),
                ("  orders as recorded", f"{as_recorded} of {self.auction_orders_recorded}"),
            ]
        if self.rows is not None:
            lines += [
                ("rows", self.rows),
                ("rows_matched", f"{share(self.rows_matched, self.rows)}, {self.levels} levels"),
            ]
        if self.executions:
            lines += self._execution_lines()
        if self.orders_reported_filled is not None:
            lines += [
                ("orders reported filled", self.orders_reported_filled),
                (
                    "  filled by the engine",
                    share(self.orders_filled_as_reported, self.orders_reported_filled),
                ),
            ]
        lines += [
            ("adds that traded", self.adds_that_traded),
            ("cancels", self.cancels),
            ("  of filled orders", self.cancels_of_filled_orders),
            ("  of another quantity", self.cancels_of_another_quantity),
            ("replaces", self.replaces),
            ("  of filled orders", self.replaces_of_filled_orders),
            ("of unknown orders", self.unknown_orders),
        ]
        if self.ns_per_command is not None:
            lines.append(
                (
                    "ns_per_command",
                    f"{self.ns_per_command} (median of {self.passes}: {self.ns_per_command_min} .. "
                    f"{self.ns_per_command_max}; {self.engine_commands} engine commands, {self.batch} a call)",
                )
            )
        lines += [
            ("digest", self.digest),
            ("first difference", self.first_difference or "none"),
            ("first missed execution", self.first_missed_execution or "none"),
        ]
        return "\n".join(f"{name:<26} {value}" for name, value in lines)

    def _execution_lines(self) -> list[tuple[str, Any]]:
        lines: list[tuple[str, Any]] = [
            ("executions", self.executions),
            ("  exact_maker_hits", share(self.exact_maker_hits, self.executions)),
            ("  same makers", share(self.same_makers, self.executions)),
            ("  filled in full", share(self.executions_filled, self.executions)),
        ]
        if self.executions_out_of_priority:
            lines.append(
                (
                    "  out of priority",
                    f"{self.executions_out_of_priority} at the venue itself, {self.exact_out_of_priority} exact",
                )
            )
        return lines


def share(part: int | None, whole: int) -> str:
    """A count with its share of the whole."""
    count = part or 0
    return f"{count} ({100 * count / whole:.2f} %)" if whole else f"{count}"
