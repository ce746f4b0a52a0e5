"""Draws the cascade of a run: price and liquidations, book depth, insurance fund, open interest, over one clock.

Colours are those of Okabe and Ito, which people with any kind of colour blindness can tell apart; shapes say the
same again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exchange.protocol.schema import FundCause, MarginMode, Side
from exchange.sim.measure import Closing, Run
from exchange.sim.paths import MINUTE_NS
from exchange.sim.report import Report, clock

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#8A8A8A"
TICK = 0.1  # quote units
DAY_NS = 24 * 60 * MINUTE_NS
MILLION = 1e14  # atoms of a million quote units
THOUSAND = 1e11
#: Area of a marker of the largest closing that is drawn to scale, in points squared, and what that is in quote units.
LARGEST_AREA, LARGEST_NOTIONAL = 420.0, 500_000.0
SIZES_SHOWN = (10_000, 100_000, 500_000)
#: By auto-deleveraging, side of the closing order, marker, colour, what it means.
CLOSINGS: tuple[tuple[bool, Side | None, str, str, str], ...] = (
    (False, Side.SELL, "v", VERMILLION, "long liquidated"),
    (False, Side.BUY, "^", BLUE, "short liquidated"),
    (True, None, "D", PURPLE, "auto-deleveraged"),
)
ZOOM_BEFORE_NS, ZOOM_AFTER_NS = 10 * MINUTE_NS, 4 * MINUTE_NS
READING = (
    "Triangles: positions that the engine closed through the book, at the price they got; what their owners could not "
    "pay, the fund paid.",
    "Diamonds: the book was spent, so winners on the other side were closed (ADL); with the fund empty, the loss is "
    "theirs.",
)
DRAWS = (FundCause.LIQUIDATION_DEFICIT, FundCause.DEFICIT_COVER)


def draw(report: Report, path: Path) -> None:
    """Writes the picture of a run as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot

    figure = pyplot.figure(figsize=(12.5, 17))
    grid = figure.add_gridspec(5, 1, height_ratios=[3, 2.4, 1.2, 1.4, 1.7], hspace=0.2)
    price = figure.add_subplot(grid[0])
    zoom = figure.add_subplot(grid[1])
    depth, fund, interest = (figure.add_subplot(grid[row], sharex=price) for row in (2, 3, 4))
    draw_price(price, report.run)
    draw_zoom(zoom, report.run)
    draw_depth(depth, report.run)
    draw_fund(fund, report.run)
    draw_interest(interest, report.run)
    for axis in (price, zoom, depth, fund, interest):
        dress(axis)
    mark_moments((price, zoom, depth, fund, interest), report.run)
    for axis in (price, depth, fund, interest):
        set_clock(axis, every_minutes=10)
        axis.margins(x=0.01)
    interest.set_xlabel(f"{report.day}, time in UTC")
    totals = report.totals
    figure.suptitle(
        f"BTC perpetual, {report.day}, seed {report.setup.seed}: "
        f"{totals.liquidations_full + totals.liquidations_partial:,} liquidations, "
        f"{totals.fund_draws:,} fund draws, {totals.adl_fills:,} ADL fills",
        x=0.07,
        y=0.937,
        ha="left",
        fontsize=15,
        fontweight="bold",
    )
    about = f"{report.accounts:,} simulated accounts on {report.node}; real path ({report.source})"
    for row, line in enumerate((about, *READING)):
        figure.text(0.07, 0.916 - 0.011 * row, line, fontsize=9.5, color="#444444")
    figure.savefig(path, dpi=110, bbox_inches="tight")
    pyplot.close(figure)


def moment(time_ns: int) -> float:
    """A time as matplotlib counts it: in days."""
    return time_ns / DAY_NS


def moments(run: Run) -> list[float]:
    return [moment(sample.time_ns) for sample in run.samples]


# ----------------------------------------------------------------------------------------------- panels


def draw_price(axis: Axes, run: Run) -> None:
    """Mark and trades, and every closing of a liquidated position."""
    draw_prices(axis, run)
    axis.set_ylabel("price, USDT")
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    draw_legend(axis)


def draw_zoom(axis: Axes, run: Run) -> None:
    """The same once more for the minutes around the low, where most of it happens."""
    draw_prices(axis, run)
    low = min(run.samples, key=lambda sample: sample.mark_ticks)
    begin, end = low.time_ns - ZOOM_BEFORE_NS, low.time_ns + ZOOM_AFTER_NS
    near = [sample for sample in run.samples if begin <= sample.time_ns <= end]
    bottom = min(sample.low_ticks for sample in near) * TICK
    top = max(sample.high_ticks for sample in near) * TICK
    axis.set_xlim(moment(begin), moment(end))
    axis.set_ylim(bottom - 0.06 * (top - bottom), top + 0.12 * (top - bottom))
    axis.set_ylabel("the same,\naround the low")
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    set_clock(axis, every_minutes=1)


def draw_prices(axis: Axes, run: Run) -> None:
    """The lines and the triangles of the price panel: a triangle is as large as what it closed."""
    times = moments(run)
    axis.vlines(
        times,
        [sample.low_ticks * TICK for sample in run.samples],
        [sample.high_ticks * TICK for sample in run.samples],
        color=SKY,
        linewidth=1.6,
        label="range of trades",
    )
    axis.plot(
        times,
        [sample.mark_ticks * TICK for sample in run.samples],
        color=BLACK,
        linewidth=1.1,
        label="mark",
    )
    closings = group_closings(run.closings)
    for by_adl, side, marker, colour, label in CLOSINGS:
        chosen = (c for c in closings if c.by_adl == by_adl and side in (None, c.side))
        scatter(axis, list(chosen), marker, colour, label)


def draw_legend(axis: Axes) -> None:
    """Colours and shapes, and what size a triangle of a known value has."""
    handles, labels = axis.get_legend_handles_labels()
    for notional in SIZES_SHOWN:
        handles.append(axis.scatter([], [], s=area(notional), color=GREY, alpha=0.6, linewidth=0))
        labels.append(f"{notional:,} USDT")
    axis.legend(
        handles, labels, loc="lower left", fontsize=9, frameon=True, ncols=2, labelspacing=0.9
    )


def draw_depth(axis: Axes, run: Run) -> None:
    """How much rests within 1 % of the price on each side, when the mark comes."""
    times = moments(run)
    for what, values, colour, style in (
        ("bids", [sample.bid_depth_atoms / MILLION for sample in run.samples], BLUE, "-"),
        ("asks", [sample.ask_depth_atoms / MILLION for sample in run.samples], ORANGE, "--"),
    ):
        axis.plot(times, values, style, color=colour, linewidth=1.2, label=what)
    axis.set_ylim(bottom=0)
    axis.set_ylabel("depth within 1 %,\nmillion USDT")
    axis.legend(loc="upper right", fontsize=9, ncols=2)


def draw_fund(axis: Axes, run: Run) -> None:
    """The balance, what was drawn from it each minute, and the minutes in which winners were deleveraged."""
    times = moments(run)
    balances = [sample.fund_atoms / THOUSAND for sample in run.samples]
    axis.fill_between(times, balances, step="post", color=GREEN, alpha=0.25, linewidth=0)
    axis.step(times, balances, where="post", color=GREEN, linewidth=1.3, label="insurance fund")
    draws = by_minute((m.time_ns, -m.change_atoms) for m in run.fund_moves if m.cause in DRAWS)
    bars(axis, draws, -1, VERMILLION, "drawn, per minute")
    deleveraged = by_minute((c.time_ns, c.notional_atoms) for c in run.closings if c.by_adl)
    lowest = -max([*draws.values(), max(balances) * THOUSAND / 4]) / THOUSAND
    if deleveraged:
        draw_adl_row(axis, deleveraged, lowest * 1.4)
    axis.axhline(0, color=BLACK, linewidth=0.6)
    axis.set_ylabel("insurance fund,\nthousand USDT")
    axis.legend(loc="upper left", fontsize=9, ncols=3)
    axis.set_ylim(lowest * 1.9, max(balances) * 1.6)


def draw_adl_row(axis: Axes, deleveraged: dict[int, int], height: float) -> None:
    """Under the balance, a diamond for each minute with auto-deleveraging, as large as what was closed."""
    axis.scatter(
        [middle(minute) for minute in deleveraged],
        [height] * len(deleveraged),
        s=[max(16.0, min(1.6, value / MILLION) * 110) for value in deleveraged.values()],
        marker="D",
        color=PURPLE,
        edgecolor=BLACK,
        linewidth=0.5,
        label="minute with ADL",
        zorder=3,
    )
    axis.annotate(
        f"ADL: {sum(deleveraged.values()) / MILLION:.2f} million USDT closed against winners",
        (middle(min(deleveraged)), height),
        xytext=(-14, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=9,
    )


def draw_interest(axis: Axes, run: Run) -> None:
    """The leveraged accounts' positions by margin mode: longs upwards, shorts downwards."""
    times = moments(run)
    iso, cross = int(MarginMode.ISOLATED), int(MarginMode.CROSS)
    for sign, side, hatch in ((1, "long_atoms", ""), (-1, "short_atoms", "....")):
        base = [0.0] * len(times)
        for mode, colour, name in ((iso, ORANGE, "isolated"), (cross, BLUE, "cross")):
            values = [sign * getattr(sample, side)[mode] / MILLION for sample in run.samples]
            top = [low + value for low, value in zip(base, values, strict=True)]
            axis.fill_between(
                times,
                base,
                top,
                color=colour,
                alpha=0.75 if sign > 0 else 0.45,
                linewidth=0.4,
                edgecolor="white",
                hatch=hatch,
                label=f"{name} {'longs' if sign > 0 else 'shorts'}",
            )
            base = top
    axis.axhline(0, color=BLACK, linewidth=0.6)
    axis.set_ylabel("open interest of the\nleveraged, million USDT")
    axis.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    low, high = axis.get_ylim()
    axis.set_ylim(low, high + 0.28 * (high - low))
    axis.legend(loc="upper left", fontsize=9, ncols=4)


def mark_moments(axes: Iterable[Axes], run: Run) -> None:
    """Lines through all panels at what a reader looks for: the low, and the fund running dry."""
    low = min(run.samples, key=lambda sample: sample.mark_ticks)
    notes = [(low.time_ns, f"low {low.mark_ticks * TICK:,.0f}", GREY)]
    richest = max(sample.fund_atoms for sample in run.samples)
    empty = next((s for s in run.samples if s.fund_atoms < richest / 100), None)
    if empty is not None:
        notes.append((empty.time_ns, "fund empty", GREEN))
    for index, axis in enumerate(axes):
        for time_ns, text, colour in notes:
            axis.axvline(moment(time_ns), color=colour, linestyle=":", linewidth=1.2)
            if index < 2:
                left = text == "fund empty"
                axis.annotate(
                    f"{text} {clock(time_ns)}",
                    (moment(time_ns), 1.0),
                    xycoords=("data", "axes fraction"),
                    xytext=(-5 if left else 5, -4),
                    textcoords="offset points",
                    ha="right" if left else "left",
                    va="top",
                    fontsize=10,
                )


# ---------------------------------------------------------------------------------------------- helpers


def dress(axis: Axes) -> None:
    """A quiet grid behind the data, and no box."""
    axis.grid(True, color="#DDDDDD", linewidth=0.6)
    axis.set_axisbelow(True)
    for spine in ("top", "right"):
        axis.spines[spine].set_visible(False)


def set_clock(axis: Axes, every_minutes: int) -> None:
    """Labels of the time axis, in UTC."""
    import matplotlib.dates

    dates: Any = matplotlib.dates  # which comes without annotations
    axis.xaxis.set_major_locator(dates.MinuteLocator(byminute=range(0, 60, every_minutes)))
    axis.xaxis.set_major_formatter(dates.DateFormatter("%H:%M", tz=UTC))


def group_closings(closings: Iterable[Closing]) -> list[Closing]:
    """One closing for each account, moment and way: an order that met five makers is one liquidation."""
    groups: dict[tuple[int, int, int, bool], list[Closing]] = defaultdict(list)
    for closing in closings:
        groups[closing.time_ns, closing.account, closing.side, closing.by_adl].append(closing)
    return [
        Closing(
            time_ns=time_ns,
            account=account,
            margin_mode=group[0].margin_mode,
            side=side,
            notional_atoms=sum(c.notional_atoms for c in group),
            price_ticks=sum(c.price_ticks * c.notional_atoms for c in group)
            // max(1, sum(c.notional_atoms for c in group)),
            by_adl=by_adl,
        )
        for (time_ns, account, side, by_adl), group in groups.items()
    ]


def area(notional: float) -> float:
    return max(9.0, min(1.5, notional / LARGEST_NOTIONAL) * LARGEST_AREA)


def scatter(axis: Axes, closings: list[Closing], marker: str, colour: str, label: str) -> None:
    """Large ones first, so that small ones stay visible; nothing, and no legend, where there are none."""
    if not closings:
        return
    shown = sorted(closings, key=lambda closing: -closing.notional_atoms)
    axis.scatter(
        [moment(closing.time_ns) for closing in shown],
        [closing.price_ticks * TICK for closing in shown],
        s=[area(closing.notional_atoms / 1e8) for closing in shown],
        marker=marker,
        color=colour,
        alpha=0.6,
        edgecolor=BLACK,
        linewidth=0.4,
        label=label,
        zorder=3,
    )


def by_minute(moves: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Sums by minute of the day."""
    sums: dict[int, int] = defaultdict(int)
    for time_ns, atoms in moves:
        sums[time_ns // MINUTE_NS] += atoms
    return dict(sums)


def middle(minute: int) -> float:
    return moment(minute * MINUTE_NS + MINUTE_NS // 2)


def bars(axis: Axes, sums: dict[int, int], sign: int, colour: str, label: str) -> None:
    options: dict[str, Any] = {
        "width": moment(MINUTE_NS) * 0.8,
        "color": colour,
        "label": label,
        "zorder": 3,
    }
    axis.bar([middle(m) for m in sums], [sign * v / THOUSAND for v in sums.values()], **options)
