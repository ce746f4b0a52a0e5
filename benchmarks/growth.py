"""The longest that one message takes while a book grows to ten million resting orders.

    python benchmarks/growth.py [--orders 10000000] [--quick] [--json]

Every order is one call, timed; margin on.  The same stream runs several times into fresh engines.  What makes message
number n slow in every run is the engine's own (a table that is moved, memory that is asked for); what makes it slow
in one run is the machine's (the core was given to somebody else).  So a pause of the engine is a message whose *least*
time over the runs is above a millisecond; pauses of single runs are counted beside it.  What the first touch of a page
costs is measured in the same run.
"""

from __future__ import annotations

import argparse
import mmap
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import measuring
import numpy as np
from venue import Size, Venue, layout

PAUSE_NS = 1_000_000
Times = np.ndarray


def memory_bytes() -> int:
    """What this process holds in memory; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


class Growing:
    """Takes the batches of a venue's filling record by record and notes how long each took."""

    def __init__(self, orders: int) -> None:
        self.times: Times = np.full(orders, 0, np.uint32)  # touched now, not while growing
        self.taken = 0

    def take(self, engine: Any, batch: bytes) -> None:
        size = layout("place_order").itemsize
        records = [batch[at : at + size] for at in range(0, len(batch), size)]
        spent = measuring.timed_calls(engine.apply, records)
        self.times[self.taken : self.taken + len(records)] = spent
        self.taken += len(records)


def grow(orders: int) -> tuple[Times, int]:
    """One run: nanoseconds of each order, and bytes of memory for each resting order."""
    growing = Growing(orders)
    size = Size(resting=orders, accounts=max(1000, orders // 10))
    bytes_before: list[int] = []

    def take(engine: Any, batch: bytes) -> None:
        if not bytes_before:
            bytes_before.append(memory_bytes())
        growing.take(engine, batch)

    made = Venue(size, margin=True, take=take, cancellable=0)  # checks that every order rests
    return growing.times, (memory_bytes() - bytes_before[0]) // int(made.orders.sum())


def first_touches(pages: int = 16_384) -> Times:
    """Nanoseconds of each first write to a page of fresh memory, the clock included."""
    with mmap.mmap(-1, pages * mmap.PAGESIZE) as fresh:
        now = time.perf_counter_ns
        times = [0] * pages
        for i in range(pages):
            start = now()
            fresh[i * mmap.PAGESIZE] = 1
            times[i] = now() - start
    return np.array(times)


def row(first: int, last: int, runs: list[Times]) -> measuring.Row:
    """The orders from ``first`` to ``last``, by all runs."""
    parts = [times[first - 1 : last] for times in runs]
    least = np.minimum.reduce(parts)
    return {
        "orders": f"{first:,} to {last:,}",
        "p50_ns": int(np.median([np.median(part) for part in parts])),
        "p99.99_us": float(np.median([np.percentile(part, 99.99) for part in parts])) / 1000,
        "max_us": float(np.median([part.max() for part in parts])) / 1000,
        "pauses_of_a_run": int(np.median([(part > PAUSE_NS).sum() for part in parts])),
        "least_p99.99_us": float(np.percentile(least, 99.99)) / 1000,
        "least_max_us": int(least.max()) / 1000,
        "pauses_of_every_run": int((least > PAUSE_NS).sum()),
    }


def ranges(orders: int) -> list[tuple[int, int]]:
    """Decades of the number of orders: 1 to 10,000, then ten times as many each."""
    found, first, last = [], 1, 10_000
    while first <= orders:
        found.append((first, min(last, orders)))
        first, last = last + 1, last * 10
    return found


def measure(options: argparse.Namespace) -> measuring.Report:
    orders = options.orders or (300_000 if options.quick else 10_000_000)
    floor = measuring.Floor()
    runs: list[Times] = []
    floors: list[float] = []
    bytes_an_order: list[int] = []
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(3):
        floors.append(floor.run())
        times, size = grow(orders)
        runs.append(times)
        bytes_an_order.append(size)
    after = resource.getrusage(resource.RUSAGE_SELF)
    touches = first_touches()
    least = np.minimum.reduce(runs)
    pauses = [
        f"order {i + 1:,} takes {least[i] / 1e6:.1f} ms in every run"
        for i in np.flatnonzero(least > PAUSE_NS)
    ]
    return measuring.Report(
        title=f"One message while the book grows to {orders:,} resting orders",
        rows=[row(first, last, runs) for first, last in ranges(orders)],
        floor_ns=float(np.median(floors)),
        notes=[
            "a pause is a message above 1 ms; least: over each message's least time of 3 runs",
            *(pauses or ["no order takes above 1 ms in every run"]),
            f"memory for a resting order, with all else that grows: {bytes_an_order[0]} bytes (ten orders an account)",
            f"in a run {(after.ru_minflt - before.ru_minflt) // 3:,} page faults, setting up included, and the core "
            f"taken away {(after.ru_nivcsw - before.ru_nivcsw) // 3:,} times; the first touch of a page takes "
            f"{np.median(touches):,.0f} ns, at most {touches.max() / 1000:,.0f} us",
        ],
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--orders", type=int, help="(default 10000000, quick 300000)")


if __name__ == "__main__":
    sys.exit(measuring.main(measure, __doc__, add_arguments))
