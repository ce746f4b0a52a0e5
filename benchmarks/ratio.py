"""The core as a ratio to the floor: both on the same workload, in turns, in one run, answers compared.

    python benchmarks/ratio.py [--messages 1000000] [--rounds 5] [--json]

Compiles `floor.cpp` with the C++ compiler of the machine (CXX, else g++, else c++), makes the two workloads, and in
each round runs the floor, the core matching alone, and the core with margin on every message and fill.  Times on a
shared machine drift; the ratio of two medians taken in turns does not, much.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import workloads

from exchange.bench import core

HERE = Path(__file__).parent
ANSWERS = ("trades", "volume", "resting", "best_bid", "best_ask")


def compile_floor(folder: Path) -> Path:
    """The floor as a program."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        raise SystemExit("the floor needs a C++ compiler (g++ or c++, or CXX=...); none was found")
    program = folder / "floor"
    subprocess.run(
        [
            compiler,
            "-O3",
            "-march=native",
            "-std=c++17",
            str(HERE / "floor.cpp"),
            "-o",
            str(program),
        ],
        check=True,
    )
    return program


def run_floor(program: Path, workload: Path) -> dict[str, float]:
    """One pass of the floor: its time and answers."""
    done = subprocess.run(
        [str(program), str(workload), "1"], check=True, capture_output=True, text=True
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def compare(
    program: Path, kind: str, messages: int, rounds: int, folder: Path
) -> dict[str, object]:
    """Floor and core on one workload, in turns."""
    path = folder / f"{kind}.bin"
    wanted = workloads.write(kind, messages, 1, path)
    times: dict[str, list[float]] = {"floor": [], "matching": [], "margin": []}
    prepared = core.load_workload(path, 256)
    for margin in (False, True):
        answers, _ = core.answer_pass(prepared, margin)
        for name in (*ANSWERS, "trades_crc32"):
            if getattr(answers, name) != wanted[name]:
                raise SystemExit(
                    f"{kind}: {name} should be {wanted[name]}, the core says {getattr(answers, name)}"
                )
    for _ in range(rounds):
        floor = run_floor(program, path)
        for name in ANSWERS:
            if floor[name] != wanted[name]:
                raise SystemExit(
                    f"{kind}: {name} should be {wanted[name]}, the floor says {floor[name]}"
                )
        times["floor"].append(floor["ns_per_message"])
        times["matching"].append(core.run_pass(prepared, False)[0])
        times["margin"].append(core.run_pass(prepared, True)[0])
    median = {name: statistics.median(values) for name, values in times.items()}
    return {
        "workload": kind,
        "messages": messages,
        "rounds": rounds,
        "floor_ns": round(median["floor"], 1),
        "matching_ns": round(median["matching"], 1),
        "margin_ns": round(median["margin"], 1),
        "matching_ratio": round(median["matching"] / median["floor"], 2),
        "margin_ratio": round(median["margin"] / median["floor"], 2),
        "trades_crc32": wanted["trades_crc32"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one line of JSON for each workload")
    options = parser.parse_args()
    if not options.json:
        print("workload   floor ns   matching ns (ratio)   with margin ns (ratio)   answers")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = compile_floor(folder)
        for kind in workloads.SHAPES:
            result = compare(program, kind, options.messages, options.rounds, folder)
            if options.json:
                print(json.dumps(result))
            else:
                print(
                    f"{kind:8} {result['floor_ns']:10} {result['matching_ns']:12} ({result['matching_ratio']}x)"
                    f" {result['margin_ns']:14} ({result['margin_ratio']}x)   equal, crc {result['trades_crc32']}"
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
