"""How long trading stops for a snapshot: a forked child that writes it, beside writing it in the loop.

    python benchmarks/snapshots.py [--orders 1000000] [--quick] [--json]

A venue with so many resting orders, a tenth as many accounts, margin on.  In the loop the pause is all of the work: the
state as bytes, their digest, the file and its sync.  With a child it is the fork; while the child writes, the flow of
orders goes on in batches of 256, and what a message costs then is compared with what it cost before, for the pages
that both write to are copied by the system.  Each snapshot is read back and must restore to the digest of its moment.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import measuring
from venue import BATCH, Size, Venue

from exchange.background import BackgroundSnapshot
from exchange.bench import core
from exchange.engine import create_engine
from exchange.recovery import restore_snapshot, take_engine_snapshot
from exchange.snapshot import load_snapshot, write_snapshot

FLOW = 64 * BATCH


T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Milliseconds by the clock, and the result."""
    began = time.perf_counter_ns()
    result = work()
    return (time.perf_counter_ns() - began) / 1e6, result


def restored(path: Path, digest: str) -> float:
    """Milliseconds that it takes to read a snapshot back and restore it; its digest is checked."""
    took_ms, engine = timed(lambda: restore_snapshot(load_snapshot(path), create_engine("native")))
    measuring.check("the restored snapshot", {"digest": engine.digest()}, {"digest": digest})
    return took_ms


def flow_while(venue: Venue, background: BackgroundSnapshot) -> dict[str, float]:
    """Forks, and trades until the child is done: the pause, and nanoseconds a message meanwhile."""
    digest = venue.engine.digest()
    began = time.perf_counter_ns()
    pause_ms, _ = timed(background.start)
    spent: list[int] = []
    finished = None
    while finished is None:
        for batch in core.in_batches(venue.flow(FLOW), venue.engine.sequence, BATCH):
            at = time.perf_counter_ns()
            venue.engine.apply(batch)
            spent.append(time.perf_counter_ns() - at)
        finished = background.poll()
    child_ms = (time.perf_counter_ns() - began) / 1e6
    if finished.path is None:
        raise SystemExit(f"the child wrote no snapshot: {finished.problem}")
    venue.check()
    return {
        "pause_ms": pause_ms,
        "child_ms": child_ms,
        "ns_while": sum(spent) / len(spent) / BATCH,
        "longest_batch_ms": max(spent) / 1e6,
        "restore_ms": restored(finished.path, digest),
        "bytes": finished.path.stat().st_size,
    }


def run_size(orders: int, rounds: int) -> measuring.Row:
    venue = Venue(Size(resting=orders, accounts=max(1000, orders // 10)), margin=True)
    venue.warm_up(FLOW)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def write() -> Path:
            return write_snapshot(folder, take_engine_snapshot(venue.engine))

        before = statistics.median(venue.run(FLOW) for _ in range(rounds))
        in_loop_ms = statistics.median(timed(write)[0] for _ in range(rounds))

        def write_elsewhere() -> Path:
            os.sched_setaffinity(0, range(os.cpu_count() or 1))  # this process is bound to one core
            return write()

        background = BackgroundSnapshot(write_elsewhere)
        runs = [flow_while(venue, background) for _ in range(rounds)]
    median = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return {
        "resting orders": orders,
        "accounts": venue.size.accounts,
        "snapshot MB": round(median["bytes"] / 1e6, 1),
        "pause in the loop, ms": round(in_loop_ms, 1),
        "pause with a child, ms": round(median["pause_ms"], 2),
        "ratio": round(in_loop_ms / median["pause_ms"]),
        "child, ms": round(median["child_ms"]),
        "ns a message before": round(before, 1),
        "ns meanwhile": round(median["ns_while"], 1),
        "longest batch meanwhile, ms": round(median["longest_batch_ms"], 2),
        "restore, ms": round(median["restore_ms"]),
    }


def measure(options: argparse.Namespace) -> measuring.Report:
    largest = options.orders or (100_000 if options.quick else 1_000_000)
    sizes = sorted({10_000, 100_000, largest})
    return measuring.Report(
        title="Snapshots while trading goes on",
        rows=[run_size(size, options.rounds) for size in sizes if size <= largest],
        notes=[
            f"batches of {BATCH} messages; medians of {options.rounds} snapshots of each kind; "
            "every one is restored and compared",
            "before: nanoseconds of CPU a message; meanwhile: nanoseconds by the clock, copied pages included",
        ],
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--orders", type=int, help="(default 1000000, quick 100000)")


if __name__ == "__main__":
    sys.exit(measuring.main(measure, __doc__, add_arguments))
