"""The curves of a measurement: latency by percentile, and latency by rate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exchange.bench.gateway.measuring import Measured, SettingResult
from exchange.bench.gateway.plan import BASE, PING_PONG
from exchange.errors import ExchangeError

ECHO_COLOR, EXCHANGE_COLOR = "#888888", "#1f5fa8"
NINES = (0, 50, 90, 99, 99.9, 99.99, 99.999)
DPI = 130


def draw(results: Sequence[SettingResult], folder: Path) -> list[Path]:
    """Writes the pictures of the base setting; none where it was not measured."""
    measured = [each for result in results for each in result.measured if each.setting.name == BASE]
    if not measured:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "gateway-percentiles.png", folder / "gateway-rates.png"]
    draw_percentiles(measured, paths[0])
    draw_rates(measured, paths[1])
    return paths


def new_figure(**options: Any) -> tuple[Any, Any]:
    try:
        import matplotlib
    except ImportError:
        raise ExchangeError(
            'pictures are drawn with matplotlib: pip install "perpetual-exchange[bench]"'
        ) from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(layout="constrained", **options)
    return figure, axes


def draw_percentiles(measured: Sequence[Measured], path: Path) -> None:
    """HDR curves: an order in so many takes at least so long."""
    shown = [each for each in measured if each.load.orders_per_second or each.load == PING_PONG]
    figure, all_axes = new_figure(
        ncols=len(shown), figsize=(3.4 * len(shown), 4), sharey=True, squeeze=False
    )
    for axes, each in zip(all_axes[0], shown, strict=True):
        for side, name, color in sides(each):
            curve = list(side.latencies.curve())
            axes.plot(
                [1 / (1 - percentile / 100) for percentile, _ in curve],
                [us for _, us in curve],
                color=color,
                label=name,
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        shown_nines = [nine for nine in NINES if 1 / (1 - nine / 100) <= axes.get_xlim()[1]]
        axes.set_xticks([1 / (1 - nine / 100) for nine in shown_nines])
        axes.set_xticklabels([f"{nine:g}" for nine in shown_nines], rotation=45)
        axes.minorticks_off()
        axes.set_title(each.load.name, fontsize=10)
        axes.set_xlabel("percentile")
        axes.grid(alpha=0.3)
    all_axes[0][0].set_ylabel("latency from the intended time, us")
    all_axes[0][0].legend(frameon=False)
    save(figure, path)


def draw_rates(measured: Sequence[Measured], path: Path) -> None:
    """What a rate costs: p50 and p99 over the orders that were answered in a second."""
    figure, axes = new_figure(figsize=(7, 4.5))
    open_loops = [each for each in measured if each.load.orders_per_second]
    saturated = [
        each for each in measured if not each.load.orders_per_second and each.load != PING_PONG
    ]
    for field, style in (("p50_us", "-"), ("p99_us", "--")):
        for place, (name, color) in enumerate((("echo", ECHO_COLOR), ("exchange", EXCHANGE_COLOR))):
            of_name = [sides(each)[place][0] for each in open_loops]
            axes.plot(
                [each.load.orders_per_second for each in open_loops],
                [getattr(side.latencies.percentiles(), field) for side in of_name],
                style,
                marker="o",
                color=color,
                label=f"{name} {field[:-3]}",
            )
    for each in saturated:
        for side, name, color in sides(each):
            axes.axvline(side.rate, color=color, linewidth=1)
            axes.annotate(
                f" {name}: {side.rate:,.0f}/s saturated",
                (side.rate, 0.02),
                xycoords=("data", "axes fraction"),
                rotation=90,
                color=color,
                fontsize=8,
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("orders a second")
    axes.set_ylabel("latency from the intended time, us")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    save(figure, path)


def sides(measured: Measured) -> tuple[tuple[Any, str, str], tuple[Any, str, str]]:
    return (
        (measured.echo, "bare libzmq echo", ECHO_COLOR),
        (measured.exchange, "exchange", EXCHANGE_COLOR),
    )


def save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot

    figure.savefig(path, dpi=DPI)
    pyplot.close(figure)
