"""What a measurement prints: a table with the floor beside every figure, the headline ratios, or JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import zmq

from exchange.bench.gateway.measuring import Measured, SettingResult, Side
from exchange.bench.gateway.plan import BASE, PING_PONG, SATURATED, at
from exchange.bench.gateway.processes import Placement

COLUMNS = (
    "load",
    "server",
    "p50 us",
    "p99 us",
    "p99.9 us",
    "max us",
    "orders/s",
    "p50 ratio",
    "p99 ratio",
    "rate ratio",
)
QUEUES = "queues"  # in place of a ratio: more was offered than the exchange does
LATE_US = 100  # from here on a generator's own lateness is worth a word


def headline(results: Sequence[SettingResult]) -> dict[str, float]:
    """The figures that are compared from run to run; those whose setting was not measured are left out."""
    of_base = {
        each.load.name: each
        for result in results
        for each in result.measured
        if each.setting.name == BASE
    }
    figures = {}
    if (ping := of_base.get(PING_PONG.name)) is not None:
        figures["rtt_p50_ratio"] = ping.ratio("p50_us")
        figures["rtt_p99_ratio"] = ping.ratio("p99_us")
    if (busy := of_base.get(at(100_000).name)) is not None:
        figures["p50_ratio_at_100k"] = busy.ratio("p50_us")
        figures["p99_ratio_at_100k"] = busy.ratio("p99_us")
    if (saturated := of_base.get(SATURATED.name)) is not None:
        figures["throughput_ratio"] = saturated.throughput_ratio
        figures["orders_per_s"] = saturated.exchange.rate
    return {name: float(f"{value:.4g}") for name, value in figures.items()}


def machine(placement: Placement) -> dict[str, Any]:
    return {
        "processor": processor(),
        "python": platform.python_version(),
        "libzmq": zmq.zmq_version(),
        "placement": str(placement),
    }


def processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            names = [
                line.partition(":")[2].strip() for line in file if line.startswith("model name")
            ]
    except OSError:
        names = []
    return f"{names[0]}, {len(names)} cores" if names else platform.machine()


# ---------------------------------------------------------------------------------------------------- JSON


def as_dict(results: Sequence[SettingResult], placement: Placement) -> dict[str, Any]:
    return {
        **headline(results),
        "machine": machine(placement),
        "settings": [
            {
                **msgspec.to_builtins(result.measured[0].setting),
                "loads": [load_as_dict(each) for each in result.measured],
                "checked": msgspec.to_builtins(result.checked),
                "heard": result.heard,
            }
            for result in results
        ],
    }


def load_as_dict(measured: Measured) -> dict[str, Any]:
    return {
        "load": measured.load.name,
        "keeps_up": measured.keeps_up,
        "echo": side_as_dict(measured.echo),
        "exchange": side_as_dict(measured.exchange),
        "p50_ratio": round(measured.ratio("p50_us"), 3),
        "p99_ratio": round(measured.ratio("p99_us"), 3),
        "throughput_ratio": round(measured.throughput_ratio, 4),
    }


def side_as_dict(side: Side) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(side.latencies.percentiles()),
        "orders_per_s": round(side.rate),
        "lateness_p99_us": side.lateness.percentiles().p99_us,
    }


def as_json(results: Sequence[SettingResult], placement: Placement) -> str:
    return json.dumps(as_dict(results, placement))


# ---------------------------------------------------------------------------------------------------- text


def as_text(results: Sequence[SettingResult], placement: Placement) -> str:
    """The tables of all settings, and the headline at the end."""
    about = machine(placement)
    lines = [f"{about['processor']}; Python {about['python']}, libzmq {about['libzmq']}"]
    lines += [about["placement"], ""]
    for result in results:
        lines += [*setting_lines(result), ""]
    lines += [f"{name:<20} {value:,}" for name, value in headline(results).items()]
    return "\n".join(lines)


def setting_lines(result: SettingResult) -> list[str]:
    setting = result.measured[0].setting
    rows = [COLUMNS, *(row for each in result.measured for row in rows_of(each))]
    checked = result.checked
    told = f"checked: {checked.acknowledged:,} acknowledged once each, in order"
    if checked.fills:
        told += f", {checked.fills:,} trades that conserve lots"
    told += f"; the journal's {checked.sequence:,} commands replay to the node's digest {checked.digest[:8]}"
    lines = [f"{setting.name} ({setting.stream}, durability {setting.durability})"]
    lines += [*aligned(rows), told]
    if result.heard:
        heard = ", ".join(f"{messages:,}" for messages, _, _ in result.heard)
        missed = sum(gaps for _, _, gaps in result.heard)
        lines.append(f"subscribers that read heard {heard} messages and missed {missed:,}")
    late = [each for each in result.measured if max_lateness(each) > LATE_US]
    lines += [
        f"{each.load.name}: the generator itself was late by {max_lateness(each):,.0f} us at p99; that is counted"
        for each in late
    ]
    return lines


def max_lateness(measured: Measured) -> float:
    return max(side.lateness.percentiles().p99_us for side in (measured.echo, measured.exchange))


def rows_of(measured: Measured) -> list[Sequence[str]]:
    latency_ratios = (f"{measured.ratio(field):.2f}" for field in ("p50_us", "p99_us"))
    ratios = (
        *(latency_ratios if measured.keeps_up else (QUEUES, QUEUES)),
        f"{measured.throughput_ratio:.3f}",
    )
    name = measured.load.name
    return [
        (name, "echo", *figures(measured.echo), "", "", ""),
        ("", "exchange", *figures(measured.exchange), *ratios),
    ]


def figures(side: Side) -> tuple[str, ...]:
    taken = side.latencies.percentiles()
    values = (taken.p50_us, taken.p99_us, taken.p999_us, taken.max_us)
    return (*(short(value) for value in values), f"{side.rate:,.0f}")


def short(us: float) -> str:
    return f"{us:,.0f}" if us >= 100 else f"{us:.1f}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as what stands in them, the first two to the left.

    >>> aligned([("load", "server", "us"), ("a", "echo", "12")])
    ['load  server  us', 'a     echo    12']
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


MARKDOWN_COLUMNS = (
    "setting",
    "load",
    "echo p50 / p99 us",
    "exchange p50 / p99 / p99.9 / max us",
    "p50 ratio",
    "p99 ratio",
    "echo a second",
    "exchange a second",
    "rate ratio",
)


def as_markdown(told: Mapping[str, Any]) -> str:
    """One table of all settings, for a page, of what the JSON has."""
    rows = [MARKDOWN_COLUMNS, ("---", "---", *["---:"] * (len(MARKDOWN_COLUMNS) - 2))]
    for setting in told["settings"]:
        for place, load in enumerate(setting["loads"]):
            echo, exchange = load["echo"], load["exchange"]
            rows.append(
                (
                    "" if place else setting["name"],
                    load["load"],
                    slashed(echo, "p50_us", "p99_us"),
                    slashed(exchange, "p50_us", "p99_us", "p999_us", "max_us"),
                    f"{load['p50_ratio']:.2f}" if load["keeps_up"] else QUEUES,
                    f"{load['p99_ratio']:.2f}" if load["keeps_up"] else QUEUES,
                    f"{echo['orders_per_s']:,}",
                    f"{exchange['orders_per_s']:,}",
                    f"{load['throughput_ratio']:.3f}",
                )
            )
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def slashed(side: Mapping[str, float], *names: str) -> str:
    return " / ".join(short(side[name]) for name in names)
