"""``exchange bench gateway --soak SECONDS``: a steady rate for long; does anything grow, is lost or comes twice?

Half of what the node does when it is saturated, or ``--rate``, of orders that rest, are cancelled and trade, from
several clients, with a subscriber to all market data, who may miss some where he has no time to read.  Memory is read
after each slice of the run.  What it may grow to is bounded, but not at once full: a soak therefore remembers less of
the past than a node does by default, and the slope is that of the second half.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from exchange.bench.gateway import answers, pictures
from exchange.bench.gateway.answers import Checked
from exchange.bench.gateway.histograms import Latencies, Percentiles
from exchange.bench.gateway.measuring import DEPOSIT_ATOMS, SHORTEST_NAP_NS
from exchange.bench.gateway.plan import IN_FLIGHT
from exchange.bench.gateway.processes import Listeners, Load, Node, Placement, stopping
from exchange.config import SETTINGS

Say = Callable[[str], None]
CLIENTS = 4
SLICES = 12  # at least
LONGEST_SLICE_S = 10.0
REMEMBERED_BYTES = 32 << 20
SATURATION_MS = 3000


class Sample(msgspec.Struct, frozen=True):
    """The node after a slice."""

    seconds: float
    resident_bytes: int
    p99_us: float


class Soaked(msgspec.Struct):
    """What a soak found; anything lost, doubled or out of its place would have ended it."""

    seconds: float
    orders_per_second: int
    durability: str
    heard: int  # messages of market data, by a subscriber
    missed: int  # and those that its queue had no room for, told by the gaps of their topics
    latency: Percentiles
    slope_bytes_per_minute: int  # over the second half
    checked: Checked
    samples: list[Sample]


class Soak:
    """A node under a steady rate."""

    def __init__(self, node: Node, load: Load, placement: Placement) -> None:
        self._node = node
        self._load = load
        self._nap = {"shortest_nap_ns": SHORTEST_NAP_NS[placement.fifo]}
        self._before = node.admin.status()["sequence"]
        self.latencies = Latencies()
        self.answered = self.fills = 0
        self.samples: list[Sample] = []

    def play(self, **arguments: Any) -> dict[str, Any]:
        """One run, which must be answered as it should."""
        result = self._load.run(**self._nap, **arguments)
        answers.check_run("soak", result, of_exchange=True)
        answers.check_accepted("soak", result)
        self.answered += result["answered"]
        self.fills += result["fills"] // 2
        return result

    def half_of_saturation(self) -> int:
        result = self.play(in_flight=IN_FLIGHT, milliseconds=SATURATION_MS, warmup=1000)
        return max(1000, int(result["per_second"] / 2))

    def slices(self, seconds: float, rate: int, say: Say) -> None:
        """The whole time, slice by slice; between two of them the queues run empty."""
        started = time.monotonic()
        length = min(LONGEST_SLICE_S, seconds / SLICES)
        while (passed := time.monotonic() - started) < seconds:
            count = max(100, int(rate * min(length, seconds - passed)))
            result = self.play(per_second=rate, messages=count)
            self.latencies.add(result["latencies_ns"])
            p99_us = Latencies(result["latencies_ns"]).percentiles().p99_us
            passed = time.monotonic() - started
            self.samples.append(Sample(passed, self._node.resident_bytes(), p99_us))
            memory = mebibytes(self.samples[-1])
            say(
                f"{passed:,.0f} s: {self.answered:,} orders, p99 {p99_us:,.0f} us, {memory:,.1f} MiB"
            )

    def end(self, data: Path) -> Checked:
        status = self._node.admin.status()
        self._load.stop()
        self._node.stop()
        checked = answers.check_journal("soak", data, status, self._before + self.answered)
        checked.acknowledged, checked.fills = self.answered, self.fills
        return checked


def mebibytes(sample: Sample) -> float:
    return sample.resident_bytes / (1 << 20)


def soak(
    seconds: float,
    rate: int | None,
    durability: str,
    placement: Placement,
    folder: Path,
    say: Say,
    *,
    loop: str = "",
) -> Soaked:
    """Raises WrongAnswer for anything lost, doubled or out of its place."""
    bounds = {"remembered_bytes": REMEMBERED_BYTES}
    bounds = {name: value for name, value in bounds.items() if name in SETTINGS["limits"]}
    settings = {"stream": "trades", "batch": 1, "clients": CLIENTS, "deposit": DEPOSIT_ATOMS}
    with ExitStack() as stack:
        node = Node(folder, durability, placement, loop=loop, bounds=bounds)
        stack.enter_context(stopping(node))
        load = Load(node, placement, **settings)
        stack.enter_context(stopping(load))
        listeners = Listeners(node, 1, 0, placement)
        stack.enter_context(stopping(listeners))
        run = Soak(node, load, placement)
        if rate is None:
            rate = run.half_of_saturation()
            say(f"half of saturation: {rate:,} orders a second")
        run.slices(seconds, rate, say)
        ((heard, _, missed),) = listeners.counts()
        checked = run.end(folder / "data")
    return Soaked(
        seconds=run.samples[-1].seconds,
        orders_per_second=rate,
        durability=durability,
        heard=heard,
        missed=missed,
        latency=run.latencies.percentiles(),
        slope_bytes_per_minute=slope(run.samples[len(run.samples) // 2 :]),
        checked=checked,
        samples=run.samples,
    )


def slope(samples: Sequence[Sample]) -> int:
    """Bytes that memory grew by in a minute: the straight line that fits best.

    >>> slope([Sample(0, 100, 1), Sample(30, 200, 1), Sample(60, 300, 1)])
    200
    """
    if len(samples) < 2:
        return 0
    middle_s = sum(sample.seconds for sample in samples) / len(samples)
    middle_bytes = sum(sample.resident_bytes for sample in samples) / len(samples)
    spread = sum((sample.seconds - middle_s) ** 2 for sample in samples)
    together = sum(
        (sample.seconds - middle_s) * (sample.resident_bytes - middle_bytes) for sample in samples
    )
    return round(60 * together / spread) if spread else 0


def as_text(soaked: Soaked) -> str:
    taken = soaked.latency
    first, last = soaked.samples[len(soaked.samples) // 2], soaked.samples[-1]
    return "\n".join(
        [
            f"{soaked.seconds:,.0f} s at {soaked.orders_per_second:,} orders a second, durability {soaked.durability}",
            f"latency us           p50 {taken.p50_us:,.0f}, p99 {taken.p99_us:,.0f}, p99.9 {taken.p999_us:,.0f}, "
            f"max {taken.max_us:,.0f}",
            f"acknowledged         {soaked.checked.acknowledged:,} once each and in order; 0 lost, 0 doubled",
            f"trades               {soaked.checked.fills:,}, lots conserved",
            f"market data          {soaked.heard:,} messages heard, {soaked.missed:,} missed",
            f"memory               {mebibytes(first):,.1f} MiB in the middle, {mebibytes(last):,.1f} MiB at the end; "
            f"{soaked.slope_bytes_per_minute:+,} bytes a minute over the second half",
            f"journal              {soaked.checked.sequence:,} commands replay to the node's digest "
            f"{soaked.checked.digest[:8]}",
        ]
    )


def draw(soaked: Soaked, folder: Path) -> Path:
    """Memory and p99 over time."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "gateway-soak.png"
    figure, (above, below) = pictures.new_figure(nrows=2, figsize=(8, 5), sharex=True)
    minutes = [sample.seconds / 60 for sample in soaked.samples]
    above.plot(
        minutes, [mebibytes(sample) for sample in soaked.samples], color=pictures.EXCHANGE_COLOR
    )
    above.set_ylabel("memory of the node, MiB")
    above.set_ylim(bottom=0)
    below.plot(minutes, [sample.p99_us for sample in soaked.samples], color=pictures.EXCHANGE_COLOR)
    below.set_ylabel("p99 of a slice, us")
    below.set_yscale("log")
    below.set_xlabel(f"minutes at {soaked.orders_per_second:,} orders a second")
    for axes in (above, below):
        axes.grid(alpha=0.3)
    pictures.save(figure, path)
    return path
