"""What one message costs when it comes alone: p50, p99, p99.9 and maximum of engine.apply with one record, from Python.

    python benchmarks/latency.py [--quick] [--json]

Each message is one call, timed from before the call to after it, so a figure holds the call from Python, the
check of the record, the engine's work and the copy of its events.  Nothing is subtracted; what the clock, a call with
nothing in it and a call with the command that does nothing (`advance_time`) cost stands beside it, taken in the same
rounds.  The core without any call is what benchmarks/batches.py comes near to with 1,024 records a call.

A shared machine takes the core away in the middle of a message.  So each stream runs several times from the same start,
and "least" columns are over the smallest time of each message: what a message costs whenever nobody interferes.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from functools import partial

import measuring
import numpy as np
import workloads

from exchange.bench import core
from exchange.protocol import messages, records

Times = np.ndarray


def clock_alone(count: int) -> Times:
    """What the clock says of nothing at all."""
    now = time.perf_counter_ns
    times = [0] * count
    for i in range(count):
        start = now()
        times[i] = now() - start
    return np.array(times)


def nothing_calls(count: int) -> Times:
    """Batches without a record."""
    return np.array(measuring.timed_calls(core.new_engine(True).apply, [b""] * count))


def idle_calls(commands: list[bytes]) -> Times:
    """The command that does nothing but give its one event."""
    return np.array(measuring.timed_calls(core.new_engine(True).apply, commands))


def workload_calls(prepared: core.Workload, margin: bool, wanted: str) -> Times:
    """Every command of a workload in a call of its own, on a fresh engine."""
    engine = core.fresh_engine(prepared, margin)
    times = np.array(measuring.timed_calls(engine.apply, prepared.batches))
    measuring.check("one record a call", {"digest": engine.digest()}, {"digest": wanted})
    return times


def percentiles(times: Times) -> list[int]:
    return [int(np.percentile(times, p, method="higher")) for p in (50, 99, 99.9, 100)]


def row(what: str, rounds: list[Times], calls: int) -> measuring.Row:
    """Medians over the rounds, and the same of each message's least time."""
    p50, p99, p999, most = (
        int(np.median(column)) for column in zip(*map(percentiles, rounds), strict=True)
    )
    least = percentiles(np.minimum.reduce(rounds))
    return {
        "call": what,
        "calls": calls,
        "p50_ns": p50,
        "p99_ns": p99,
        "p99.9_ns": p999,
        "max_ns": most,
        "least_p50_ns": least[0],
        "least_p99_ns": least[1],
        "least_p99.9_ns": least[2],
        "least_max_ns": least[3],
    }


def measure(options: argparse.Namespace) -> measuring.Report:
    count = 30_000 if options.quick else 200_000
    floor = measuring.Floor()
    idle = core.in_batches([records.encode_command(messages.AdvanceTime())] * count, 0, 1)
    jobs: dict[str, Callable[[], Times]] = {
        "the clock alone": partial(clock_alone, count),
        "no record": partial(nothing_calls, count),
        "advance_time": partial(idle_calls, idle),
    }
    for kind in workloads.SHAPES:
        prepared = core.load_workload(measuring.workload_file(kind, count), 1)
        for margin in (False, True):
            _, digest = core.answer_pass(prepared, margin)
            name = f"{kind}, {'with margin' if margin else 'matching alone'}"
            jobs[name] = partial(workload_calls, prepared, margin, digest)
    before = resource.getrusage(resource.RUSAGE_SELF)
    floors: list[float] = []
    results: dict[str, list[Times]] = {name: [] for name in jobs}
    for _ in range(options.rounds):
        floors.append(floor.run())
        for name, times in measuring.in_turns(1, jobs).items():
            results[name] += times
    after = resource.getrusage(resource.RUSAGE_SELF)
    return measuring.Report(
        title="One message in one call from Python",
        rows=[row(name, times, len(times[0])) for name, times in results.items()],
        floor_ns=float(np.median(floors)),
        notes=[
            f"percentiles: medians of {options.rounds} rounds; least: over each message's least time of the rounds",
            f"the core was taken away {after.ru_nivcsw - before.ru_nivcsw:,} times meanwhile; "
            f"{after.ru_minflt - before.ru_minflt:,} page faults",
        ],
    )


if __name__ == "__main__":
    sys.exit(measuring.main(measure, __doc__))
