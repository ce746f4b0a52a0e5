"""Draws a liquidation: mark and closing prices above, equity against maintenance below, with every turn marked."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exchange.errors import ExchangeError
from exchange.explain.follow import Story, Told
from exchange.explain.source import Names, clock
from exchange.protocol.messages import Fill
from exchange.protocol.schema import FillRole
from exchange.units import from_atoms

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colours of Okabe and Ito, as in the picture of the demonstration.
BLACK, BLUE, VERMILLION, PURPLE, GREY = "#000000", "#0072B2", "#D55E00", "#CC79A7", "#8A8A8A"
SUFFIXES = (".png", ".svg")
#: Fill role, marker, colour, what it means.
FILLS = (
    (FillRole.LIQUIDATED, "v", VERMILLION, "closed through the book"),
    (FillRole.DELEVERAGED, "D", PURPLE, "auto-deleveraged"),
)


def draw(story: Story, names: Names, path: Path) -> None:
    """Writes the picture; ExchangeError where matplotlib is not there or the file's name says no known format."""
    if path.suffix not in SUFFIXES:
        raise ExchangeError(f"--plot {path}: wanted a name that ends in {' or '.join(SUFFIXES)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise ExchangeError(
            "--plot needs matplotlib; install it with pip install 'perpetual-exchange[demo]'"
        )
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot

    figure, (above, below) = pyplot.subplots(2, 1, sharex=True, figsize=(11, 7.5))
    clock_of = Clock(story)
    draw_prices(above, story, names, clock_of)
    draw_standing(below, story, clock_of)
    for axis in (above, below):
        mark_turns(axis, story, clock_of)
        axis.margins(x=0.04)
        axis.grid(True, color="#DDDDDD", linewidth=0.6)
        for spine in ("top", "right"):
            axis.spines[spine].set_visible(False)
        axis.legend(loc="best", fontsize=9)
    below.set_xlabel(clock_of.label)
    case = story.case
    figure.suptitle(
        f"Liquidation {case.number}: {names.account(case.account)}, {names.pool(case.symbol, case.leg)} pool, "
        f"{clock(case.started_ns)}",
        x=0.07,
        ha="left",
        fontsize=13,
        fontweight="bold",
    )
    figure.savefig(path, dpi=110, bbox_inches="tight")
    pyplot.close(figure)


class Clock:
    """Where a moment stands: by seconds around the beginning, or by commands where time stands still."""

    def __init__(self, story: Story) -> None:
        self._zero_ns = story.case.started_ns
        times = {point.timestamp_ns for point in story.path}
        self._by_time = len(times) > 1
        self.label = "seconds from the beginning of the liquidation" if self._by_time else "command"

    def __call__(self, sequence: int, timestamp_ns: int) -> float:
        return (timestamp_ns - self._zero_ns) / 1e9 if self._by_time else float(sequence)


def draw_prices(axis: Axes, story: Story, names: Names, clock_of: Clock) -> None:
    """The mark of the symbol that most was closed of, and the prices of what was closed."""
    fills = [(turn, event) for turn in story.turns for event in own_fills(turn, story)]
    symbols = [event.symbol for _, event in fills] or [s for p in story.path for s in p.marks]
    if not symbols:
        return
    symbol = max(set(symbols), key=symbols.count)
    units = names.symbols[symbol]
    points = [point for point in story.path if symbol in point.marks]
    axis.step(
        [clock_of(p.sequence, p.timestamp_ns) for p in points],
        [float(units.ticks_to_price(p.marks[symbol])) for p in points],
        where="post",
        color=BLACK,
        label=f"mark of {names.symbol(symbol)}",
    )
    for role, marker, colour, label in FILLS:
        chosen = [(t, e) for t, e in fills if e.role == role and e.symbol == symbol]
        if chosen:
            axis.scatter(
                [clock_of(t.sequence, t.timestamp_ns) for t, _ in chosen],
                [price_of(e, names) for _, e in chosen],
                marker=marker,
                color=colour,
                edgecolor=BLACK,
                linewidth=0.4,
                label=label,
                zorder=3,
            )
    axis.set_ylabel(f"price of {names.symbol(symbol)}")


def draw_standing(axis: Axes, story: Story, clock_of: Clock) -> None:
    """Equity, maintenance, and zero: below the one it is liquidated, below the other somebody else pays."""
    times = [clock_of(p.sequence, p.timestamp_ns) for p in story.path]
    equity = [float(from_atoms(p.equity_atoms)) for p in story.path]
    maintenance = [float(from_atoms(p.maintenance_atoms)) for p in story.path]
    last = story.turns[-1]
    times.append(clock_of(last.sequence, last.timestamp_ns))
    equity.append(float(from_atoms(last.after.equity_atoms)))
    maintenance.append(float(from_atoms(last.after.maintenance_atoms)))
    axis.step(times, equity, where="post", color=BLUE, label="equity")
    axis.step(
        times, maintenance, where="post", color=VERMILLION, linestyle="--", label="maintenance"
    )
    axis.axhline(0, color=BLACK, linewidth=0.6)
    axis.set_ylabel("of the pool")


def mark_turns(axis: Axes, story: Story, clock_of: Clock) -> None:
    for number, turn in enumerate(story.turns, start=1):
        at = clock_of(turn.sequence, turn.timestamp_ns)
        axis.axvline(at, color=GREY, linestyle=":", linewidth=1.2)
        axis.annotate(
            f"turn {number}",
            (at, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-4, -4),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=8,
        )


def own_fills(turn: Told, story: Story) -> Sequence[Fill]:
    """The fills that closed something of the pool."""
    roles = (FillRole.LIQUIDATED, FillRole.DELEVERAGED)
    return [
        e
        for e in turn.events
        if isinstance(e, Fill) and e.account == story.case.account and e.role in roles
    ]


def price_of(fill: Fill, names: Names) -> float:
    """The price of a fill; of a deleveraging, what its value comes to."""
    units = names.symbols[fill.symbol]
    if fill.price_ticks:
        return float(units.ticks_to_price(fill.price_ticks))
    return float(from_atoms(fill.value_atoms) / units.lots_to_qty(fill.qty_lots))
