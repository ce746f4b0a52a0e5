"""What a node counts, as Prometheus metrics.

The collector reads the counters when it is asked and takes a reading of the node's loop for what has to be looked at:
queues, sessions, funds, marks.  It hands the interpreter over between families, so that a loop in Python waits for a
page of metrics in small pieces.  Money is in units of the settlement currency, times are in seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from exchange.gateway.connection import Code
from exchange.ops import counters as slots
from exchange.ops.counters import Counters
from exchange.ops.monitor import Monitor, Phase, Reading
from exchange.protocol.schema import EVENT_BY_NAME, FillRole, RejectReason

ATOMS = 10**8  # in one unit of the settlement currency
NS = 10**9
E12 = 10**12
#: Shown buckets of times: 256 ns .. 17 s.  What is faster or slower counts in the first or the last.
FASTEST_BITS, SLOWEST_BITS = 8, 34
MOST_COMMANDS_BITS = 20  # shown of the sizes of rounds

#: metric -> (slot, what it counts).
PLAIN_COUNTERS = {
    "exchange_frames_received": (slots.COUNT_FRAMES_IN, "Messages taken from clients"),
    "exchange_received_bytes": (slots.COUNT_BYTES_IN, "Bytes of messages taken from clients"),
    "exchange_frames_sent": (slots.COUNT_FRAMES_OUT, "Messages handed to clients' queues"),
    "exchange_sent_bytes": (slots.COUNT_BYTES_OUT, "Bytes sent to clients and subscribers"),
    "exchange_publications": (slots.COUNT_PUBLICATIONS, "Messages of market data"),
    "exchange_sessions_lost": (slots.COUNT_LOST, "Sessions that read too slowly"),
    "exchange_sessions_gone": (slots.COUNT_GONE, "Sessions whose client was no longer there"),
    "exchange_snapshots": (slots.COUNT_SNAPSHOTS, "Snapshots written"),
    "exchange_snapshots_failed": (slots.COUNT_SNAPSHOTS_FAILED, "Snapshots that could not be"),
    "exchange_sessions_muted": (slots.COUNT_MUTINGS, "Times that a session was muted"),
    "exchange_frames_muted": (slots.COUNT_MUTED, "Messages dropped unread of muted sessions"),
}
#: metric -> (slot, what it adds up).
AMOUNT_COUNTERS = {
    "exchange_uncovered_deficit": (
        slots.COUNT_DEFICITS,
        "What pools were below zero when nobody was left to deleverage, each time it was told",
    ),
    "exchange_adl_haircut": (
        slots.COUNT_HAIRCUTS,
        "What auto-deleveraging cost counterparties against the mark",
    ),
}
#: metric -> (its name among the guard's counts, what it counts).
CONNECTION_COUNTERS = {
    "exchange_handshakes_failed": (
        "failed_handshakes",
        "Connections whose greeting was none, too slow or refused",
    ),
    "exchange_handshakes_refused": ("refused_handshakes", "Keys that may not use the door"),
    "exchange_connections_cut": ("cut_connections", "Connections closed by the node"),
}
#: metric -> (its value in a reading, what it is).
GAUGES: dict[str, tuple[Callable[[Reading], float], str]] = {
    "exchange_sequence": (lambda r: r.sequence, "Last command applied"),
    "exchange_journal_durable_sequence": (
        lambda r: r.durable_sequence,
        "Last command that survives a crash of the machine",
    ),
    "exchange_journal_lag_commands": (
        lambda r: r.journal_lag,
        "Commands appended to the journal and not durable yet",
    ),
    "exchange_journal_tight": (
        lambda r: r.journal_tight,
        "1 while the disk has no room for the journal's next segment",
    ),
    "exchange_in_flight_commands": (
        lambda r: r.in_flight,
        "Commands whose replies wait for the journal",
    ),
    "exchange_held_bytes": (lambda r: r.held_bytes, "Bytes of replies that wait for the journal"),
    "exchange_held_bytes_limit": (
        lambda r: r.max_held_bytes,
        "Held bytes at which nothing is read from clients",
    ),
    "exchange_connections": (
        lambda r: r.connections["connections"],
        "Connections of all doors together",
    ),
    "exchange_sessions_untold": (
        lambda r: r.sessions_untold,
        "Lost sessions whose queues have no room to tell them",
    ),
    "exchange_sessions_catching_up": (
        lambda r: r.sessions_catching_up,
        "Sessions that are sent what they missed",
    ),
    "exchange_remembered_bytes": (
        lambda r: r.remembered_bytes,
        "Bytes of events remembered for clients that come back",
    ),
    "exchange_remembered_bytes_limit": (
        lambda r: r.max_remembered_bytes,
        "Remembered bytes at which the oldest are forgotten",
    ),
    "exchange_fees": (lambda r: r.fees_atoms / ATOMS, "Trading fees less rebates"),
    "exchange_uncovered": (
        lambda r: r.uncovered,
        "1 while a deficit is uncovered and withdrawals are stopped",
    ),
}


class NodeCollector(Collector):
    """Metrics of one node."""

    def __init__(
        self, counters: Counters, monitor: Monitor, about: Mapping[str, str], within_s: float = 2.0
    ) -> None:
        self._counters = counters
        self._monitor = monitor
        self._about = dict(about)
        self._within_s = within_s

    def collect(self) -> Iterator[Metric]:
        for family in self._families():
            yield family
            time.sleep(0)  # let the loop in

    def _families(self) -> Iterator[Metric]:
        monitor = self._monitor
        if monitor.turns:
            monitor.ask(self._within_s)
        yield InfoMetricFamily("exchange", "The node", self._about)
        phases = {phase: float(phase is monitor.phase) for phase in Phase}
        yield gauge("exchange_phase", "1: what the node does now", "phase", phases)
        if (free := monitor.room()) is not None:
            prose = "Bytes that are free where the journal is"
            yield GaugeMetricFamily("exchange_journal_free_bytes", prose, value=free)
        yield from self._counted()
        yield from self._histograms()
        if (reading := monitor.reading) is not None:
            age_s = time.monotonic() - monitor.read_at_s
            yield GaugeMetricFamily(
                "exchange_reading_age_seconds",
                "How old the gauges below are: more than an instant, and the loop does not turn",
                value=age_s,
            )
            yield from readings(reading)

    # ---- counters

    def _counted(self) -> Iterator[Metric]:
        counters = self._counters
        by_type = {"commands": False, "events": True}
        for name, engines in by_type.items():
            prose = f"{name.capitalize()} by type".replace("Commands", "Commands carried out")
            yield counter(f"exchange_{name}", prose, "type", counters.messages(engines))
        reasons = {r.name.lower(): counters[slots.COUNT_REJECTS + r] for r in RejectReason}
        yield counter("exchange_rejects", "Commands rejected by the engine", "reason", reasons)
        codes: dict[str, int] = {**dict.fromkeys(map(str, Code), 0), **counters.refusals()}
        yield counter("exchange_refusals", "Requests not taken", "code", codes)
        fills = {r.name.lower(): counters[slots.COUNT_FILLS + r] for r in FillRole}
        yield counter("exchange_fills", "Halves of fills by role", "role", fills)
        values = {
            r.name.lower(): counters.amount_atoms(slots.COUNT_FILL_VALUES + 2 * r) / ATOMS
            for r in FillRole
        }
        yield counter("exchange_fill_value", "Value of fills by role", "role", values)
        started = EVENT_BY_NAME["liquidation_started"].number
        yield CounterMetricFamily(
            "exchange_liquidations", "Liquidations begun", value=counters[started]
        )
        for metric, (slot, prose) in PLAIN_COUNTERS.items():
            yield CounterMetricFamily(metric, prose, value=counters[slot])
        for metric, (slot, prose) in AMOUNT_COUNTERS.items():
            yield CounterMetricFamily(metric, prose, value=counters.amount_atoms(slot) / ATOMS)

    def _histograms(self) -> Iterator[Metric]:
        counters = self._counters
        family = HistogramMetricFamily(
            "exchange_stage_seconds", "What each stage of a round takes", labels=["stage"]
        )
        for stage, slot in slots.STAGES.items():
            bounds = times_of(counters, slot)
            family.add_metric([stage], bounds, counters.sum_of(slot) / NS)
        yield family
        yield HistogramMetricFamily(
            "exchange_journal_sync_seconds",
            "What a sync of the journal takes",
            times_of(counters, slots.SYNC),
            counters.sum_of(slots.SYNC) / NS,
        )
        yield HistogramMetricFamily(
            "exchange_round_commands",
            "Commands in one round",
            cumulated(counters.buckets(slots.ROUND_COMMANDS), 1, MOST_COMMANDS_BITS, scale=1),
            counters.sum_of(slots.ROUND_COMMANDS),
        )


def counter(name: str, prose: str, label: str, values: Mapping[Any, float]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, prose, labels=[label])
    for key, value in values.items():
        family.add_metric([str(key)], value)
    return family


def gauge(name: str, prose: str, label: str, values: Mapping[Any, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, prose, labels=[label])
    for key, value in values.items():
        family.add_metric([str(key)], value)
    return family


def times_of(counters: Counters, slot: int) -> list[tuple[str, float]]:
    return cumulated(counters.buckets(slot), FASTEST_BITS, SLOWEST_BITS, scale=NS)


def cumulated(
    buckets: Iterable[tuple[int, int]], least_bits: int, most_bits: int, scale: int
) -> list[tuple[str, float]]:
    """Counts up to each bound, as Prometheus wants them, the last without a bound.

    >>> cumulated([(0, 0), (1, 2), (3, 1), (7, 4)], 1, 2, scale=1)
    [('1.0', 2), ('3.0', 3), ('+Inf', 7)]
    """
    shown, total = [], 0
    for bits, (bound, count) in enumerate(buckets):
        total += count
        if least_bits <= bits <= most_bits:
            shown.append((repr(bound / scale), total))
    return [*shown, ("+Inf", total)]


# ------------------------------------------------------------------------------------------- of a reading


def readings(reading: Reading) -> Iterator[Metric]:
    """What the loop said of the node."""
    for metric, (value_of, prose) in GAUGES.items():
        yield GaugeMetricFamily(metric, prose, value=float(value_of(reading)))
    for metric, (name, prose) in CONNECTION_COUNTERS.items():
        yield CounterMetricFamily(metric, prose, value=reading.connections[name])
    sessions = GaugeMetricFamily("exchange_sessions", "Sessions", labels=["door", "state"])
    for (door, state), count in reading.sessions.items():
        sessions.add_metric([door, state], count)
    yield sessions
    funds = {fund: atoms / ATOMS for fund, atoms in reading.fund_atoms.items()}
    yield gauge("exchange_fund_balance", "Balance of an insurance fund", "fund", funds)
    yield from symbol_readings(reading)


def symbol_readings(reading: Reading) -> Iterator[Metric]:
    names = {view.symbol: view.name for view in reading.symbols}
    marks = {v.name: v.mark_ticks * v.tick_size_e12 / E12 for v in reading.symbols if v.mark_ticks}
    yield gauge("exchange_mark_price", "Mark of a symbol", "symbol", marks)
    ages = {
        names[symbol]: (reading.now_ns - time_ns) / NS
        for symbol, time_ns in reading.mark_times_ns.items()
        if symbol in names
    }
    prose = "Time since the mark of a symbol came, if one came since the start"
    yield gauge("exchange_mark_age_seconds", prose, "symbol", ages)
    held = {view.name: float(view.mark_held) for view in reading.symbols}
    yield gauge("exchange_mark_held", "1 while a mark is held for want of prices", "symbol", held)
    interest = {
        view.name: view.open_interest_lots * view.lot_size_e12 / E12 for view in reading.symbols
    }
    yield gauge("exchange_open_interest", "Sum of the long positions", "symbol", interest)
    prices = GaugeMetricFamily(
        "exchange_price_age_seconds",
        "Time since a price of a composite mark came; source 0 is the index",
        labels=["symbol", "source"],
    )
    for view in reading.symbols:
        for price in view.prices:
            age_s = (reading.now_ns - price.received_ns) / NS
            prices.add_metric([view.name, str(price.source)], age_s)
    yield prices


def exposition_of(collector: NodeCollector) -> Callable[[str], tuple[bytes, str]]:
    """What answers a scrape: text and its type for what the scraper accepts."""
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)  # memory, processor time and open files of this process

    def expose(accept: str) -> tuple[bytes, str]:
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    return expose
