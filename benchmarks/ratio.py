"""The core as a ratio to the floor: both on the same workload, in turns, in one run, answers compared.

    python benchmarks/ratio.py [--messages 1000000] [--rounds 5] [--json]

Compiles `floor.cpp` with the C++ compiler of the machine (CXX, else g++, else c++), makes the two workloads, and in
each round runs the floor, the core matching alone, and the core with margin on every message and fill.  Times on a
shared machine drift; the ratio of two medians taken in turns does not, much.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

import measuring
import workloads

from exchange.bench import core

BATCH = 256


class Core:
    """The core on one workload, matching alone or with margin, once it gave the workload's answers."""

    def __init__(self, path: Path, margin: bool, batch: int = BATCH) -> None:
        self.margin, self.prepared = margin, core.load_workload(path, batch)
        answers, self.digest = core.answer_pass(self.prepared, margin)
        came, wanted = asdict(answers), measuring.wanted_answers(path)
        measuring.check(
            f"the core on {path.name}, margin {margin}", came, {name: wanted[name] for name in came}
        )

    def run(self) -> float:
        """One timed pass on a fresh engine, which must end in the same state: nanoseconds a message."""
        spent, engine = core.run_pass(self.prepared, self.margin)
        measuring.check("a timed pass", {"digest": engine.digest()}, {"digest": self.digest})
        return spent


def compare(kind: str, messages: int, rounds: int) -> measuring.Row:
    """Floor and core on one workload, in turns."""
    floor = measuring.Floor(kind, messages)
    median = measuring.medians(
        measuring.in_turns(
            rounds,
            {
                "floor": floor.run,
                "matching": Core(floor.path, False).run,
                "margin": Core(floor.path, True).run,
            },
        )
    )
    return {
        "workload": kind,
        "messages": messages,
        "floor_ns": median["floor"],
        "matching_ns": median["matching"],
        "matching_ratio": round(median["matching"] / median["floor"], 2),
        "margin_ns": median["margin"],
        "margin_ratio": round(median["margin"] / median["floor"], 2),
        "trades_crc32": str(measuring.wanted_answers(floor.path)["trades_crc32"]),
    }


def measure(options: argparse.Namespace) -> measuring.Report:
    messages = options.messages or (200_000 if options.quick else 1_000_000)
    rows = [compare(kind, messages, options.rounds) for kind in workloads.SHAPES]
    return measuring.Report(
        title="Time as a ratio to the floor",
        rows=rows,
        floor_ns=float(str(rows[0]["floor_ns"])),
        notes=["trades, volume, resting orders, best prices and every trade are as wanted"],
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, help="(default 1000000, quick 200000)")


if __name__ == "__main__":
    sys.exit(measuring.main(measure, __doc__, add_arguments))
