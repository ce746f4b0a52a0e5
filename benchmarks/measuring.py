"""What the benchmarks share: a core of one's own, the floor in turns with every figure, tables.

Theory of operation.  A benchmark is a function that takes the options and returns a `Report`: rows of figures with what
was checked.  `main` pins the process to one core, hands over a `Floor` - the plain C++ book of floor.cpp on one
workload, run once in each round - and prints the rows as a table, as JSON or as Markdown.  Times of a shared machine
drift by a third within minutes; a figure is therefore printed beside what the floor cost in the same rounds.

The compiled floor and the workload files are kept in build/bench, named after what they were made from.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import inspect
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import workloads

HERE = Path(__file__).parent
KEPT = HERE.parent / "build" / "bench"
#: What the floor and the core must agree on with the workload's own answers.
FLOOR_ANSWERS = ("trades", "volume", "resting", "best_bid", "best_ask")
#: As fast as the machine can; and what every machine of its kind, and valgrind, understands.
NATIVE, PORTABLE = ("-O3", "-march=native"), ("-O3",)

Row = dict[str, object]
K = TypeVar("K")
T = TypeVar("T")


# --------------------------------------------------------------------------------- the machine and the clock


def pin() -> int | None:
    """Keeps this process, and what it starts, on one core; None where a system does not offer that."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    chosen = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {chosen})
    return chosen


def machine() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def c_compiler() -> str:
    """The first line that the C compiler says of itself."""
    command = (os.environ.get("CC") or "cc").split()
    try:
        says = subprocess.run([*command, "--version"], capture_output=True, text=True).stdout
    except OSError:
        says = ""
    return says.splitlines()[0] if says else command[0]


def cython_version() -> str:
    """The version of Cython here, which is what the core was built with."""
    return importlib.metadata.version("cython")


def tools() -> str:
    """The versions that a figure depends on."""
    return f"Python {platform.python_version()}, Cython {cython_version()}, {c_compiler()}"


def timed_batches(engine: Any, batches: list[bytes]) -> int:
    """Nanoseconds of CPU that the batches take; the events are dropped, as memory to be used again."""
    apply = engine.apply
    start = time.process_time_ns()
    for batch in batches:
        apply(batch)
    return time.process_time_ns() - start


def timed_calls(apply: Callable[[bytes], object], calls: list[bytes]) -> list[int]:
    """Nanoseconds of each call."""
    now = time.perf_counter_ns
    times = [0] * len(calls)
    for i, call in enumerate(calls):
        start = now()
        apply(call)
        times[i] = now() - start
    return times


def in_turns(rounds: int, jobs: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """The results of each job, one a round; all jobs take part in every round."""
    results: dict[str, list[T]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            results[name].append(job())
    return results


def medians(results: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in results.items()}


# ------------------------------------------------------------------------------------ workloads and the floor


def checksum(*parts: bytes) -> str:
    return f"{zlib.crc32(b'/'.join(parts)):08x}"


def workload_file(kind: str, messages: int, seed: int = 1, folder: Path = KEPT) -> Path:
    """A workload with its answers beside it; made when it is not there yet."""
    made_by = checksum(Path(inspect.getfile(workloads.write)).read_bytes())
    path = folder / f"{kind}-{messages}-{seed}-{made_by}.bin"
    if not answers_file(path).exists():
        folder.mkdir(parents=True, exist_ok=True)
        workloads.write(kind, messages, seed, path)
    return path


def answers_file(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def wanted_answers(path: Path) -> dict[str, int]:
    """What a correct engine ends the workload with."""
    answers: dict[str, int] = json.loads(answers_file(path).read_text())
    return answers


def check(what: str, came: Mapping[K, object], wanted: Mapping[K, object]) -> None:
    """Stops the benchmark at the first answer that is not as wanted."""
    for name, value in wanted.items():
        if came[name] != value:
            raise SystemExit(f"{what}: {name} should be {value}; it is {came[name]}")


def compiler() -> str:
    """The C++ compiler: CXX, else g++, else c++."""
    found = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++")
    if found is None:
        raise SystemExit("the floor needs a C++ compiler (g++ or c++, or CXX=...); none was found")
    return found


def compile_program(
    source: Path,
    flags: tuple[str, ...] = NATIVE,
    folder: Path = KEPT,
    includes: tuple[Path, ...] = (),
    made_with: tuple[Path, ...] = (),
) -> Path:
    """A C++ program of the benchmarks; made when it is not there yet from this source and ``made_with``."""
    command = [compiler(), *flags, "-std=c++17", f"-I{HERE}", *(f"-I{path}" for path in includes)]
    made_of = (
        source.read_bytes(),
        (HERE / "workload.hpp").read_bytes(),
        *(path.read_bytes() for path in made_with),
        " ".join(command).encode(),
    )
    program = folder / f"{source.stem}-{checksum(*made_of)}"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([*command, str(source), "-o", str(program)], check=True)
    return program


def compile_floor(flags: tuple[str, ...] = NATIVE, folder: Path = KEPT) -> Path:
    """The floor as a program."""
    return compile_program(HERE / "floor.cpp", flags, folder)


class Program:
    """A compiled book on one workload: the floor, or a peer."""

    def __init__(self, name: str, program: Path, path: Path) -> None:
        self.name, self.program, self.path = name, program, path
        self.wanted = {name: wanted_answers(path)[name] for name in FLOOR_ANSWERS}

    def run(self) -> float:
        """One pass in a process of its own: nanoseconds of CPU a message; the answers are checked."""
        done = subprocess.run(
            [str(self.program), str(self.path), "1"], check=True, capture_output=True, text=True
        )
        result = json.loads(done.stdout)
        check(f"{self.name} on {self.path.name}", result, self.wanted)
        return float(result["ns_per_message"])


class Floor(Program):
    """The plain C++ book on one workload."""

    def __init__(self, kind: str = "mixed", messages: int = 200_000) -> None:
        super().__init__("the floor", compile_floor(), workload_file(kind, messages))


# -------------------------------------------------------------------------------------------------- reports


@dataclass(frozen=True)
class Report:
    """Figures of one benchmark.  Rows have the same keys; a unit stands in the key."""

    title: str
    rows: list[Row]
    floor_ns: float | None = None
    notes: list[str] = field(default_factory=list)


def show(value: object) -> str:
    """A figure as people read it: thousands apart, no more digits than mean something."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "-" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return (
        f"{value:,.0f}"
        if abs(value) >= 1000
        else f"{value:.1f}"
        if abs(value) >= 20
        else f"{value:.2f}"
    )


def cells(rows: list[Row]) -> list[list[str]]:
    heads = [name.replace("_", " ") for name in rows[0]]
    return [heads, *([show(value) for value in row.values()] for row in rows)]


def as_table(rows: list[Row]) -> str:
    """Columns for a terminal: texts to the left, figures to the right."""
    grid = cells(rows)
    widths = [max(len(line[i]) for line in grid) for i in range(len(grid[0]))]
    left = [isinstance(value, str) for value in rows[0].values()]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if is_text else cell.rjust(width)
            for cell, width, is_text in zip(line, widths, left, strict=True)
        ).rstrip()
        for line in grid
    )


def as_markdown(rows: list[Row]) -> str:
    """The same for a page."""
    head, *body = cells(rows)
    rule = ["---" if isinstance(value, str) else "---:" for value in rows[0].values()]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *body))


def as_json(name: str, report: Report) -> str:
    """One line, for machines."""
    return json.dumps(
        {
            "benchmark": name,
            "title": report.title,
            "floor_ns": report.floor_ns and round(report.floor_ns, 2),
            "rows": report.rows,
            "notes": report.notes,
        }
    )


def from_json(line: str) -> Report:
    read = json.loads(line)
    return Report(
        title=read["title"], rows=read["rows"], floor_ns=read["floor_ns"], notes=read["notes"]
    )


def print_report(report: Report) -> None:
    print(report.title, end="")
    if report.floor_ns:
        print(f"  (floor on mixed, same rounds: {report.floor_ns:.1f} ns a message)", end="")
    print("\n")
    print(as_table(report.rows))
    for note in report.notes:
        print(f"  {note}")
    print(flush=True)


def main(
    measure: Callable[[argparse.Namespace], Report],
    prose: str,
    add_arguments: Callable[[argparse.ArgumentParser], object] = lambda parser: None,
) -> int:
    """The command line of a benchmark."""
    parser = argparse.ArgumentParser(
        description=prose, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller streams, fewer rounds")
    parser.add_argument("--rounds", type=int, help="rounds in turns (default 5, quick 3)")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    add_arguments(parser)
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 5)
    pin()
    gc.disable()  # a prepared stream is many thousand objects, which a collection would walk; none is in a cycle
    report = measure(options)
    if options.json:
        print(as_json(Path(sys.argv[0]).stem, report))
    else:
        print_report(report)
    return 0
