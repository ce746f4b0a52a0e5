"""What a run comes to: one object with every number, a table for people and a JSON file for programs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from exchange.protocol.schema import MarginMode
from exchange.sim.market import Setup
from exchange.sim.measure import Fate, Run, Totals
from exchange.sim.paths import NS_PER_S, Day


class ModeOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How the accounts of one margin mode came through; losses as shares of what was put in, a gain below 0."""

    accounts: int
    liquidated: int
    median_loss: float
    worst_loss: float
    median_loss_of_liquidated: float
    put_in_atoms: int
    left_atoms: int

    @property
    def total_loss(self) -> float:
        return 1 - self.left_atoms / self.put_in_atoms if self.put_in_atoms else 0.0


class Check(msgspec.Struct, frozen=True):
    """One thing that has to be so."""

    what: str
    holds: bool
    found: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is told of a run.  ``run`` holds the series behind the picture."""

    day: str
    source: str
    setup: Setup
    accounts: int
    marks: int
    first_ns: int
    last_ns: int
    node: str
    modes: dict[str, ModeOutcome]
    checks: list[Check]
    totals: Totals
    loss_beyond_margin_atoms: int
    run: Run

    @property
    def holds(self) -> bool:
        return all(check.holds for check in self.checks)


def make_report(
    *, day: Day, setup: Setup, accounts: int, node: str, run: Run, checks: Sequence[Check]
) -> Report:
    """Puts a run together with what was asked for and what was checked."""
    fates = run.fates.values()
    return Report(
        day=day.name,
        source=day.source,
        setup=setup,
        accounts=accounts,
        marks=len(run.samples),
        first_ns=run.samples[0].time_ns,
        last_ns=run.samples[-1].time_ns,
        node=node,
        modes={
            mode.name.lower(): outcome(fate for fate in fates if fate.margin_mode == mode)
            for mode in (MarginMode.ISOLATED, MarginMode.CROSS)
        },
        checks=list(checks),
        totals=run.totals,
        loss_beyond_margin_atoms=run.totals.loss_beyond_margin_atoms,
        run=run,
    )


def outcome(fates: Iterable[Fate]) -> ModeOutcome:
    """One mode's accounts as one row of the table."""
    fates = list(fates)
    losses = [fate.loss_share for fate in fates]
    hit = [fate.loss_share for fate in fates if fate.liquidations]
    return ModeOutcome(
        accounts=len(fates),
        liquidated=len(hit),
        median_loss=statistics.median(losses) if losses else 0.0,
        worst_loss=max(losses, default=0.0),
        median_loss_of_liquidated=statistics.median(hit) if hit else 0.0,
        put_in_atoms=sum(fate.put_in_atoms for fate in fates),
        left_atoms=sum(fate.left_atoms for fate in fates),
    )


def write_json(report: Report, path: Path) -> None:
    """All numbers, in the engine's integers: atoms are 10^-8 USDT, ticks are 0.1 USDT."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


# ---------------------------------------------------------------------------------------------- the table


def clock(time_ns: int) -> str:
    """A moment of the replayed day as its traders read it.

    >>> clock(0)
    '00:00'
    """
    return datetime.fromtimestamp(time_ns / NS_PER_S, UTC).strftime("%H:%M")


def money(atoms: int) -> str:
    """Atoms in whole quote units.

    >>> money(123_456_789_000_000)
    '1,234,568'
    """
    return f"{atoms / 1e8:,.0f}"


def share(value: float) -> str:
    """A fraction in per cent; a minus is a gain."""
    return f"{100 * value:.1f} %"


def as_text(report: Report) -> str:
    """The table that a run ends with."""
    parts = [heading(report), happened(report), mode_table(report), check_table(report)]
    return "\n\n".join(parts)


def heading(report: Report) -> str:
    return (
        f"{report.day}, {clock(report.first_ns)} to {clock(report.last_ns)} UTC, seed {report.setup.seed}: "
        f"{report.marks:,} marks, {report.accounts:,} accounts, on {report.node}"
    )


def happened(report: Report) -> str:
    totals, balance = report.totals, report.run.samples[-1].fund_atoms
    liquidations = totals.liquidations_full + totals.liquidations_partial + totals.liquidations_open
    open_ones = f", {totals.liquidations_open} not ended" if totals.liquidations_open else ""
    nobody = (
        f" + {money(totals.uncovered_atoms)} covered by nobody" if totals.uncovered_atoms else ""
    )
    rows = [
        ("orders", f"{totals.orders:,}", f"{totals.rejected:,} commands rejected"),
        ("fills", f"{totals.fills:,}", f"worth {money(totals.volume_atoms)} USDT"),
        (
            "liquidations",
            f"{liquidations:,}",
            f"{totals.liquidations_full:,} full, {totals.liquidations_partial:,} partial{open_ones}; "
            f"{money(totals.liquidated_atoms)} USDT closed through the book",
        ),
        (
            "loss beyond margin",
            money(report.loss_beyond_margin_atoms),
            f"USDT = {money(totals.fund_drawn_atoms)} from the fund + {money(totals.adl_haircut_atoms)} "
            f"from ADL counterparties{nobody}",
        ),
        (
            "fund draws",
            f"{totals.fund_draws:,}",
            f"fund: {money(totals.fund_paid_in_atoms)} paid in + {money(totals.fund_fees_atoms)} liquidation fees "
            f"- {money(totals.fund_drawn_atoms)} drawn = {money(balance)} USDT",
        ),
        (
            "ADL fills",
            f"{totals.adl_fills:,}",
            f"{money(totals.adl_atoms)} USDT closed against winners",
        ),
    ]
    return "\n".join(f"  {name:<20}{number:>12}   {text}" for name, number, text in rows)


def mode_table(report: Report) -> str:
    isolated, cross = report.modes["isolated"], report.modes["cross"]
    readings: list[tuple[str, Callable[[ModeOutcome], str]]] = [
        ("accounts", lambda mode: f"{mode.accounts:,}"),
        ("liquidated", lambda mode: share(mode.liquidated / max(1, mode.accounts))),
        ("median loss", lambda mode: share(mode.median_loss)),
        ("worst loss", lambda mode: share(mode.worst_loss)),
        ("median, liquidated", lambda mode: share(mode.median_loss_of_liquidated)),
        ("all together", lambda mode: share(mode.total_loss)),
    ]
    rows = [("the same bets, twice", "isolated", "cross")]
    rows += [(name, read(isolated), read(cross)) for name, read in readings]
    lines = [f"  {name:<20}{left:>12}{right:>12}" for name, left, right in rows]
    return "\n".join([*lines, "  losses as a share of what was put in; below 0 is a gain"])


def check_table(report: Report) -> str:
    return "\n".join(
        f"  {'holds' if check.holds else 'FAILS'}  {check.what}: {check.found}"
        for check in report.checks
    )
