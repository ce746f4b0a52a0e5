"""Instructions per message, counted by callgrind: the same on a quiet machine and on a busy one.

    python benchmarks/instructions.py [--quick] [--json]

Two streams, one the beginning of the other, run under valgrind; the difference of the two counts, divided by the
difference of their messages, holds neither the start of Python nor the setting up of the engine nor the filling of
the book.  Of the core only what happens inside Engine.apply is counted, the copy of the events to Python included.
The floor is counted the same way, two passes less one, built without -march=native, which valgrind may not know.

What a processor does in one instruction differs: a division, a cache miss and a mispredicted branch count as one here.
"""

from __future__ import annotations

import argparse
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import measuring
import workloads

from exchange.bench import core

SIZES = (20_000, 60_000)
QUICK_SIZES = (10_000, 20_000)
APPLY = "__pyx_pw_*_6Engine_*apply"
CHILD = """
import pickle, sys
from exchange.bench import core
with open(sys.argv[1], "rb") as file:
    workload = pickle.load(file)
core.run_pass(workload, sys.argv[2] == "margin")
"""
#: A copy by `rep movsb` is one instruction to a processor and one for each byte to callgrind: have glibc use loops.
TUNED = {"GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=1000000000", "PYTHONHASHSEED": "0"}


def is_there() -> bool:
    """Whether valgrind can be run."""
    return shutil.which("valgrind") is not None


def collected(command: list[str], *options: str) -> int:
    """Instructions of a command under callgrind."""
    with tempfile.TemporaryDirectory() as folder:
        callgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", *options]
        done = subprocess.run(
            [*callgrind, *command], env={**os.environ, **TUNED}, capture_output=True, text=True
        )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None:
        raise SystemExit(f"{' '.join(callgrind + command)} failed:\n{done.stderr}{done.stdout}")
    return int(found[1])


def core_instructions(path: Path, margin: bool) -> int:
    """Instructions inside Engine.apply for a workload, the setting up included."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "workload"
        prepared.write_bytes(pickle.dumps(core.load_workload(path, 256)))
        command = [sys.executable, "-c", CHILD, str(prepared), "margin" if margin else "matching"]
        count = collected(command, f"--toggle-collect={APPLY}")
    if count == 0:
        raise SystemExit(
            f"callgrind saw no function named {APPLY}; is the core built without symbols?"
        )
    return count


def floor_instructions(path: Path) -> int:
    """Instructions of one pass of the floor over a workload."""
    program = str(measuring.compile_floor(measuring.PORTABLE))
    return collected([program, str(path), "2"]) - collected([program, str(path), "1"])


def count_workload(kind: str, sizes: tuple[int, int]) -> measuring.Row:
    """Instructions per message of floor and core on one workload."""
    few, many = (measuring.workload_file(kind, size) for size in sizes)
    messages = sizes[1] - sizes[0]
    floor = (floor_instructions(many) - floor_instructions(few)) / messages
    counts = [
        (core_instructions(many, margin) - core_instructions(few, margin)) / messages
        for margin in (False, True)
    ]
    return {
        "workload": kind,
        "messages": messages,
        "floor": round(floor, 1),
        "matching": round(counts[0], 1),
        "matching_ratio": round(counts[0] / floor, 2),
        "margin": round(counts[1], 1),
        "margin_ratio": round(counts[1] / floor, 2),
    }


def measure(options: argparse.Namespace) -> measuring.Report:
    if not is_there():
        raise SystemExit(
            "instructions are counted by valgrind, which is not installed (Debian, Ubuntu: apt-get install valgrind)"
        )
    sizes = QUICK_SIZES if options.quick else SIZES
    return measuring.Report(
        title="Instructions a message",
        rows=[count_workload(kind, sizes) for kind in workloads.SHAPES],
        notes=[
            f"callgrind, the messages after the first {sizes[0]:,}; the copy of the events to Python included"
        ],
    )


if __name__ == "__main__":
    sys.exit(measuring.main(measure, __doc__))
