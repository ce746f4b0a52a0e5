"""What a call costs shared by the records in it, and what handing the events to Python costs of that.

    python benchmarks/batches.py [--quick] [--json]

The same stream in calls of 1 to 1,024 records, margin on.  An engine always writes its events, so there is no engine
without them to compare with.  What can be measured is their copy into the bytes that Python gets: the same numbers of
bytes, call by call, copied out of a warm buffer by a loop of the same kind.  That loop pays for its own calls too, so
`copy` is at most what the copy costs; `events_bytes` is how much is written and copied for a message.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial

import measuring
from ratio import Core

from exchange.bench import core

SIZES = (1, 4, 16, 64, 256, 1024)


def event_sizes(side: Core) -> list[int]:
    """Bytes of events that each call gives."""
    engine = core.fresh_engine(side.prepared, side.margin)
    return [len(engine.apply(batch)) for batch in side.prepared.batches]


def copy_pass(sizes: list[int], messages: int) -> float:
    """Copies as many bytes as the events of each call: nanoseconds a message."""
    view = memoryview(bytes(max(sizes)))
    start = time.process_time_ns()
    for size in sizes:
        view[:size].tobytes()
    return (time.process_time_ns() - start) / messages


def measure(options: argparse.Namespace) -> measuring.Report:
    count = 50_000 if options.quick else 300_000
    floor = measuring.Floor()
    path = measuring.workload_file("mixed", count)
    jobs: dict[str, Callable[[], float]] = {"floor": floor.run}
    bytes_of: dict[int, float] = {}
    for size in SIZES:
        side = Core(path, True, size)
        sizes = event_sizes(side)
        bytes_of[size] = sum(sizes) / count
        jobs[f"engine {size}"] = side.run
        jobs[f"copy {size}"] = partial(copy_pass, sizes, count)
    median = measuring.medians(measuring.in_turns(options.rounds, jobs))
    return measuring.Report(
        title="Records in one call",
        rows=[
            {
                "records_a_call": size,
                "ns_a_message": median[f"engine {size}"],
                "floor_ratio": median[f"engine {size}"] / median["floor"],
                "events_bytes": bytes_of[size],
                "copy_ns": median[f"copy {size}"],
                "copy_share_percent": 100 * median[f"copy {size}"] / median[f"engine {size}"],
            }
            for size in SIZES
        ],
        floor_ns=median["floor"],
        notes=["mixed, margin on; every pass ends with the workload's answers"],
    )


if __name__ == "__main__":
    sys.exit(measuring.main(measure, __doc__))
