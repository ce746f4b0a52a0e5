"""Draws two worlds over one clock: the mark, the insurance funds, what was closed; and who fared how much otherwise.

Colours are those of Okabe and Ito; the world as it was is dashed, the changed one whole.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exchange.counterfactual.outcome import AccountChange, Curves, Outcome, World
from exchange.counterfactual.show import account_name, count
from exchange.counterfactual.tally import Curve, Follower
from exchange.errors import ExchangeError
from exchange.units import from_atoms

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLACK, BLUE, VERMILLION, GREY = "#000000", "#0072B2", "#D55E00", "#8A8A8A"
GREEN = "#009E73"
OWN_STYLE: dict[str, Any] = {"color": BLUE, "linestyle": (0, (5, 2)), "linewidth": 1.6}
CHANGED_STYLE: dict[str, Any] = {"color": VERMILLION, "linestyle": "-", "linewidth": 1.6}
OWN_LABEL, CHANGED_LABEL = "as it was", "changed"
SUFFIXES = (".png", ".svg")
MOST_CHANGES = 6
NS_PER_S = 10**9


def require_drawing(path: Path) -> None:
    """ExchangeError where matplotlib is not there or the file's name says no known format."""
    if path.suffix not in SUFFIXES:
        raise ExchangeError(f"--plot {path}: wanted a name that ends in {' or '.join(SUFFIXES)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise ExchangeError(
            "--plot needs matplotlib; install it with pip install 'perpetual-exchange[demo]'"
        )


def draw(outcome: Outcome, curves: Curves, path: Path, policy: str) -> None:
    """Writes the picture of a comparison."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot

    figure = pyplot.figure(figsize=(12.5, 14))
    over_time = figure.add_gridspec(
        4, 1, height_ratios=[1.5, 1.5, 1.3, 1.3], hspace=0.09, top=0.88, bottom=0.38
    )
    mark = figure.add_subplot(over_time[0])
    fund, book, adl = (figure.add_subplot(over_time[row], sharex=mark) for row in (1, 2, 3))
    people = figure.add_subplot(figure.add_gridspec(1, 1, top=0.3, bottom=0.08)[0])
    clock = Clock(curves)
    draw_mark(mark, outcome, curves.own, clock)
    draw_pair(fund, curves, "fund", clock)
    fund.axhline(0, color=BLACK, linewidth=0.6)
    fund.set_ylabel("what the funds took in\nless what they paid")
    mark_empty(fund, outcome)
    draw_pair(book, curves, "book", clock)
    book.set_ylabel("liquidated through\nthe book, so far")
    draw_pair(adl, curves, "adl", clock)
    adl.set_ylabel("auto-deleveraged,\nso far")
    for axis in (mark, fund, book, adl):
        clock.dress(axis)
        dress(axis)
    for axis in (mark, fund, book):
        axis.tick_params(labelbottom=False)
    for axis in (fund, book, adl):
        axis.yaxis.set_major_formatter(short)
    adl.set_xlabel(clock.label)
    draw_accounts(people, outcome)
    write_title(figure, outcome, policy)
    figure.savefig(path, dpi=110, bbox_inches="tight")
    pyplot.close(figure)


def write_title(figure: Any, outcome: Outcome, policy: str) -> None:
    """What was changed, and what came of it in a line."""
    lines = [f"{c.where}, {c.key}: {c.was} → {c.now}" for c in outcome.changes]
    if len(lines) > MOST_CHANGES:
        lines = [*lines[: MOST_CHANGES - 1], f"and {len(lines) - MOST_CHANGES + 1} more"]
    lines = [line if len(line) < 150 else f"{line[:147]}..." for line in lines]
    lines.append(summary(outcome))
    top = 0.885 + 0.0145 * len(lines)
    figure.suptitle(
        f"The same {outcome.own.sequence:,} commands under {policy}",
        x=0.07,
        y=top + 0.032,
        ha="left",
        fontsize=15,
        fontweight="bold",
    )
    for row, line in enumerate(lines):
        is_last = row == len(lines) - 1
        figure.text(
            0.07,
            top - 0.0145 * row,
            line,
            fontsize=10,
            color=BLACK if is_last else "#444444",
            va="center",
        )


def summary(outcome: Outcome) -> str:
    """The figures that most look for first."""

    def both(name: str, read: Callable[[World], int], write: Callable[[int], str]) -> str:
        return f"{name} {write(read(outcome.own))} → {write(read(outcome.changed))}"

    return ";  ".join(
        (
            both("liquidations", lambda world: world.tally.liquidations, count),
            both("bankrupt pools", lambda world: world.tally.below_zero, count),
            both("paid by the funds", lambda world: world.tally.fund_paid_atoms, whole),
            both("deleveraged", lambda world: world.tally.adl_atoms, whole),
            both("covered by nobody", lambda world: world.tally.uncovered_atoms, whole),
        )
    )


class Clock:
    """The time axis: the hour of the day where the times are of a calendar, else seconds from the beginning."""

    def __init__(self, curves: Curves) -> None:
        times = [
            time_ns
            for follower in (curves.own, curves.changed)
            for curve in (*follower.curves.values(), *follower.marks.values())
            for time_ns, _ in (*curve.points[:1], *curve.points[-1:])
        ]
        self.first_ns, self.last_ns = min(times, default=0), max(times, default=0)
        self.last_ns = max(self.last_ns, curves.own.time_ns, curves.changed.time_ns)
        begun = datetime.fromtimestamp(self.first_ns // NS_PER_S, UTC)
        self._in_minutes = self.last_ns - self.first_ns > 600 * NS_PER_S
        unit = "minutes" if self._in_minutes else "seconds"
        since = f"{begun:%Y-%m-%d %H:%M:%S} UTC" if begun.year > 1970 else "the beginning"
        self.label = f"{unit} since {since}"

    def __call__(self, time_ns: int) -> float:
        return (time_ns - self.first_ns) / NS_PER_S / (60 if self._in_minutes else 1)

    def dress(self, axis: Axes) -> None:
        end = self(self.last_ns)
        axis.set_xlim(-0.01 * end, 1.01 * end or 1)


# ----------------------------------------------------------------------------------------------- panels


def draw_mark(axis: Axes, outcome: Outcome, own: Follower, clock: Clock) -> None:
    """The mark of the symbol that was traded most."""
    if not own.marks:
        return
    symbol = max(own.marks, key=lambda number: (own.traded[number], -number))
    line: dict[str, Any] = {"color": BLACK, "linewidth": 1.2}
    step_line(axis, own.marks[symbol], clock, outcome.tick_sizes[symbol], line)
    axis.set_ylabel(f"mark of\n{outcome.names[symbol]}")
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def draw_pair(axis: Axes, curves: Curves, name: str, clock: Clock) -> None:
    """One curve of both worlds."""
    for follower, style, label in (
        (curves.own, OWN_STYLE, OWN_LABEL),
        (curves.changed, CHANGED_STYLE, CHANGED_LABEL),
    ):
        curve = follower.curves[name]
        step_line(axis, curve, clock, from_atoms(1), style, label)
    if any(f.curves[name].points for f in (curves.own, curves.changed)):
        axis.legend(loc="upper left", bbox_to_anchor=(0.0, 0.88), fontsize=9, ncols=2)
    else:
        axis.text(0.5, 0.6, "nothing, in both", transform=axis.transAxes, ha="center", color=GREY)
        axis.set_yticks([])


def step_line(
    axis: Axes,
    curve: Curve,
    clock: Clock,
    unit: Decimal,
    style: dict[str, Any],
    label: str | None = None,
) -> None:
    points = curve.until(clock.last_ns)
    if label is not None:
        # What is counted begins at zero, and where there is nothing it stays there: the eye has to find both worlds.
        points = [(clock.first_ns, 0), *(points or [(clock.last_ns, 0)])]
    axis.step(
        [clock(time_ns) for time_ns, _ in points],
        [float(value * unit) for _, value in points],
        where="post",
        label=label,
        **style,
    )


def mark_empty(axis: Axes, outcome: Outcome) -> None:
    """Lines where the funds would be empty, if the panel reaches so far."""
    low, high = axis.get_ylim()
    for world, style, label in (
        (outcome.own, OWN_STYLE, OWN_LABEL),
        (outcome.changed, CHANGED_STYLE, CHANGED_LABEL),
    ):
        paid_in = float(from_atoms(world.tally.fund_by_cause.get("deposit", 0)))
        if low - 0.3 * (high - low) <= -paid_in < 0:
            axis.axhline(-paid_in, color=style["color"], linestyle=":", linewidth=1.2)
            axis.annotate(
                f"empty, {label}",
                (0.0, -paid_in),
                xycoords=("axes fraction", "data"),
                xytext=(6, 3),
                textcoords="offset points",
                fontsize=8.5,
                color=style["color"],
            )


def draw_accounts(axis: Axes, outcome: Outcome) -> None:
    """Bars for the accounts that gained and lost most by the change, with what they made in each world."""
    found = outcome.accounts
    rows: list[AccountChange] = [*found.gained_most, *reversed(found.lost_most)]
    axis.set_title(
        f"accounts: {found.better:,} better by {whole(found.better_atoms)} together, "
        f"{found.worse:,} worse by {whole(found.worse_atoms)}, {found.same:,} the same",
        loc="left",
        fontsize=10,
    )
    dress(axis)
    if not rows:
        axis.set_axis_off()
        return
    places = range(len(rows))
    gains = [float(from_atoms(row.gain_atoms)) for row in rows]
    axis.barh(places, gains, color=[VERMILLION if g < 0 else GREEN for g in gains], height=0.66)
    axis.axvline(0, color=BLACK, linewidth=0.8)
    axis.set_yticks(places, [account_name(outcome, row.account) for row in rows], fontsize=9)
    axis.invert_yaxis()
    axis.xaxis.set_major_formatter(short)
    axis.set_xlabel(
        "what each made more, or lost more, in the changed world; beside the bars what it made in each"
    )
    for place, row, gain in zip(places, rows, gains, strict=True):
        left = gain < 0
        axis.annotate(
            f"{whole(row.own.result_atoms)} → {whole(row.changed.result_atoms)}",
            (gain, place),
            xytext=(-4 if left else 4, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize=8.5,
            color="#444444",
        )
    axis.margins(x=0.16)


# ---------------------------------------------------------------------------------------------- helpers


def dress(axis: Axes) -> None:
    """A quiet grid behind the data, and no box."""
    axis.grid(True, color="#DDDDDD", linewidth=0.6)
    axis.set_axisbelow(True)
    for spine in ("top", "right"):
        axis.spines[spine].set_visible(False)


def whole(atoms: int) -> str:
    """Money in whole units; below ten with its decimals."""
    amount = from_atoms(atoms)
    return f"{amount:,.0f}" if abs(amount) >= 10 or not amount else f"{amount:,.4g}"


def short(value: float, _: object = None) -> str:
    """A number on an axis.

    >>> short(1_500_000), short(-20_000), short(0)
    ('1.5 M', '-20 k', '0')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            unit = 1e3 if letter == "k" else size
            return f"{value / unit:,.4g} {letter}"
    return f"{value:,.6g}"
