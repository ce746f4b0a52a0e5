"""Draws worlds over one clock: the mark, the insurance funds, what was closed; below, who fared how much otherwise.

Of several changed worlds there are bars of what most look for first in place of the accounts.  Colours are those of
Okabe and Ito; the world as it was is dashed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from exchange.counterfactual.outcome import AccountChange, Curves, Outcome, World
from exchange.counterfactual.show import CHANGED, OWN, account_name, count
from exchange.counterfactual.tally import Curve, Follower
from exchange.errors import ExchangeError
from exchange.units import from_atoms

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLACK, BLUE, VERMILLION, GREY = "#000000", "#0072B2", "#D55E00", "#8A8A8A"
GREEN = "#009E73"
OWN_STYLE: dict[str, Any] = {"color": BLUE, "linestyle": (0, (5, 2)), "linewidth": 1.6}
#: Of changed worlds, in turn.
COLOURS = (VERMILLION, GREEN, "#E69F00", "#CC79A7", "#56B4E9")
DASHES: tuple[Any, ...] = ("-", (0, (1, 1)), (0, (3, 1, 1, 1)))
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


def draw(outcomes: Sequence[Outcome], curves: Sequence[Curves], path: Path) -> None:
    """Writes the picture of a comparison."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot

    worlds = drawn_worlds(outcomes, curves)
    figure = pyplot.figure(figsize=(12.5, 14))
    over_time = figure.add_gridspec(
        4, 1, height_ratios=[1.5, 1.5, 1.3, 1.3], hspace=0.09, top=0.88, bottom=0.38
    )
    mark = figure.add_subplot(over_time[0])
    fund, book, adl = (figure.add_subplot(over_time[row], sharex=mark) for row in (1, 2, 3))
    clock = Clock([world.follower for world in worlds])
    draw_mark(mark, outcomes[0], curves[0].own, clock)
    draw_curves(fund, worlds, "fund", clock)
    fund.axhline(0, color=BLACK, linewidth=0.6)
    fund.set_ylabel("what the funds took in\nless what they paid")
    mark_empty(fund, worlds)
    draw_curves(book, worlds, "book", clock)
    book.set_ylabel("liquidated through\nthe book, so far")
    draw_legend(book, worlds)
    draw_curves(adl, worlds, "adl", clock)
    adl.set_ylabel("auto-deleveraged,\nso far")
    for axis in (mark, fund, book, adl):
        clock.dress(axis)
        dress(axis)
    for axis in (mark, fund, book):
        axis.tick_params(labelbottom=False)
    for axis in (fund, book, adl):
        axis.yaxis.set_major_formatter(short)
    adl.set_xlabel(clock.label)
    if len(outcomes) == 1:
        people = figure.add_gridspec(1, 1, top=0.3, bottom=0.08)
        draw_accounts(figure.add_subplot(people[0]), outcomes[0])
    else:
        draw_figures(figure, worlds)
    write_title(figure, outcomes)
    figure.savefig(path, dpi=110, bbox_inches="tight")
    pyplot.close(figure)


class Drawn(msgspec.Struct, frozen=True):
    """A world as it is drawn."""

    name: str
    world: World
    follower: Follower
    style: dict[str, Any]

    @property
    def colour(self) -> str:
        return str(self.style["color"])


def drawn_worlds(outcomes: Sequence[Outcome], curves: Sequence[Curves]) -> list[Drawn]:
    """The world as it was, and the changed ones, each with its line."""
    is_single = len(outcomes) == 1
    drawn = [Drawn(OWN, outcomes[0].own, curves[0].own, OWN_STYLE)]
    for index, (outcome, both) in enumerate(zip(outcomes, curves, strict=True)):
        colour, dashes = COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)]
        style: dict[str, Any] = {"color": colour, "linestyle": dashes, "linewidth": 1.6}
        name = CHANGED if is_single else outcome.policy
        drawn.append(Drawn(name, outcome.changed, both.changed, style))
    return drawn


def write_title(figure: Any, outcomes: Sequence[Outcome]) -> None:
    """What was changed, and what came of it in a line."""
    (outcome, *others) = outcomes
    if others:
        title = f"The same {outcome.own.sequence:,} commands under {len(outcomes)} other policies"
        lines = []
    else:
        title = f"The same {outcome.own.sequence:,} commands under {outcome.policy}"
        lines = [f"{c.where}, {c.key}: {c.was} → {c.now}" for c in outcome.changes]
        if len(lines) > MOST_CHANGES:
            more = len(lines) - MOST_CHANGES + 1
            lines = [*lines[: MOST_CHANGES - 1], f"and {more} more"]
        lines = [line if len(line) < 150 else f"{line[:147]}..." for line in lines]
        lines.append(summary(outcome))
    top = 0.885 + 0.0145 * len(lines)
    figure.suptitle(
        title,
        x=0.07,
        y=top + 0.032,
        ha="left",
        fontsize=15,
        fontweight="bold",
    )
    for row, line in enumerate(lines):
        is_last = row == len(lines) - 1
        colour = BLACK if is_last else "#444444"
        figure.text(0.07, top - 0.0145 * row, line, fontsize=10, color=colour, va="center")


#: What most look for first: its name, how it is read, and how it is written.
FIGURES: tuple[tuple[str, Callable[[World], int], bool], ...] = (
    ("liquidations", lambda world: world.tally.liquidations, False),
    ("bankrupt pools", lambda world: world.tally.below_zero, False),
    ("paid by the funds", lambda world: world.tally.fund_paid_atoms, True),
    ("deleveraged", lambda world: world.tally.adl_atoms, True),
    ("covered by nobody", lambda world: world.tally.uncovered_atoms, True),
)


def summary(outcome: Outcome) -> str:
    """These figures of two worlds in a line."""
    parts = []
    for name, read, is_money in FIGURES:
        write = whole if is_money else count
        parts.append(f"{name} {write(read(outcome.own))} → {write(read(outcome.changed))}")
    return ";  ".join(parts)


def draw_figures(figure: Any, worlds: Sequence[Drawn]) -> None:
    """The same of several worlds: a row of bars for each, with what differs in all of them left out."""
    told = [row for row in FIGURES if any(row[1](drawn.world) for drawn in worlds)]
    grid = figure.add_gridspec(1, max(1, len(told)), top=0.29, bottom=0.08, wspace=0.12)
    for column, (name, read, is_money) in enumerate(told):
        axis = figure.add_subplot(grid[column])
        places = range(len(worlds))
        values = [read(drawn.world) for drawn in worlds]
        lengths = [float(from_atoms(v)) if is_money else float(v) for v in values]
        axis.barh(places, lengths, color=[drawn.colour for drawn in worlds], height=0.66)
        for place, value, length in zip(places, values, lengths, strict=True):
            axis.annotate(
                (whole if is_money else count)(value),
                (length, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8.5,
            )
        axis.set_title(name, loc="left", fontsize=10)
        axis.set_yticks(places, [drawn.name for drawn in worlds] if column == 0 else [])
        axis.invert_yaxis()
        axis.set_xlim(0, 1.5 * max(lengths))
        axis.set_xticks([])
        for spine in ("top", "right", "bottom"):
            axis.spines[spine].set_visible(False)


class Clock:
    """The time axis: the hour of the day where the times are of a calendar, else seconds from the beginning."""

    def __init__(self, followers: Sequence[Follower]) -> None:
        times = [
            time_ns
            for follower in followers
            for curve in (*follower.curves.values(), *follower.marks.values())
            for time_ns, _ in (*curve.points[:1], *curve.points[-1:])
        ]
        self.first_ns, self.last_ns = min(times, default=0), max(times, default=0)
        self.last_ns = max(self.last_ns, *(follower.time_ns for follower in followers))
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


def draw_curves(axis: Axes, worlds: Sequence[Drawn], name: str, clock: Clock) -> None:
    """One curve of every world; the world as it was on top, since its dashes let the others through."""
    for drawn in (*worlds[1:], worlds[0]):
        curve = drawn.follower.curves[name]
        step_line(axis, curve, clock, from_atoms(1), drawn.style, drawn.name)
    if not any(drawn.follower.curves[name].points for drawn in worlds):
        axis.text(0.5, 0.6, "nothing, in all", transform=axis.transAxes, ha="center", color=GREY)
        axis.set_yticks([])


def draw_legend(axis: Axes, worlds: Sequence[Drawn]) -> None:
    """One for all panels, where curves begin low and leave room above; the world as it was first."""
    handles, labels = axis.get_legend_handles_labels()
    axis.legend(
        [handles[-1], *handles[:-1]],
        [labels[-1], *labels[:-1]],
        loc="upper left",
        fontsize=9,
        ncols=2 if len(worlds) < 3 else 1,
    )


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


def mark_empty(axis: Axes, worlds: Sequence[Drawn]) -> None:
    """Lines where the funds would be empty, if the panel reaches so far."""
    low, high = axis.get_ylim()
    marked: list[float] = []
    for drawn in worlds:
        paid_in = float(from_atoms(drawn.world.tally.fund_by_cause.get("deposit", 0)))
        if paid_in in marked or not low - 0.3 * (high - low) <= -paid_in < 0:
            continue
        marked.append(paid_in)
        axis.axhline(-paid_in, color=drawn.colour, linestyle=":", linewidth=1.2)
        axis.annotate(
            f"empty, {drawn.name}",
            (0.0, -paid_in),
            xycoords=("axes fraction", "data"),
            xytext=(6, 3),
            textcoords="offset points",
            fontsize=8.5,
            color=drawn.colour,
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
