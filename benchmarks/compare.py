"""Ratios and instruction counts against the last committed record: what became better, what worse.

    python benchmarks/compare.py [--quick] [--record] [--json]

`benchmarks/history.ndjson` holds one record a line.  --record appends the new one, to be committed with the change
that it measures.  A number never makes this fail; a wrong answer does.  Counts are compared to half a percent, ratios
to three percent, which is what they vary by without a reason.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import instructions
import measuring
import ratio
import workloads

HERE = Path(__file__).parent
HISTORY = HERE / "history.ndjson"
MESSAGES = 300_000
#: Kind of number -> by how many percent it varies without a reason.
NOISE = {"ratio": 3.0, "instructions": 0.5}

Record = dict[str, Any]


def git(*arguments: str) -> str:
    """What git says; empty where there is no git or no repository."""
    try:
        done = subprocess.run(["git", "-C", str(HERE), *arguments], capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def last_record() -> Record | None:
    """The last committed record; outside of a repository the last of the file."""
    text = git("show", "HEAD:./history.ndjson")
    if not text and not git("rev-parse", "HEAD") and HISTORY.exists():
        text = HISTORY.read_text()
    lines = text.splitlines()
    return json.loads(lines[-1]) if lines else None


def take_record(quick: bool, rounds: int) -> Record:
    """Measures: what is compared, and what it was measured on."""
    numbers: dict[str, float] = {}
    crc: dict[str, str] = {}
    for kind in workloads.SHAPES:
        row = ratio.compare(kind, MESSAGES, rounds)
        for name in ("matching", "margin"):
            numbers[f"ratio {kind} {name}"] = float(str(row[f"{name}_ratio"]))
        crc[kind] = str(row["trades_crc32"])
    if instructions.is_there():
        for kind in workloads.SHAPES:
            sizes = instructions.QUICK_SIZES if quick else instructions.SIZES
            row = instructions.count_workload(kind, sizes)
            for name in ("floor", "matching", "margin"):
                numbers[f"instructions {kind} {name}"] = float(str(row[name]))
    dirty = "+changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git("rev-parse", "--short=12", "HEAD") + dirty,
        "machine": measuring.machine(),
        "python": platform.python_version(),
        "cython": measuring.cython_version(),
        "compiler": measuring.c_compiler(),
        "messages": MESSAGES,
        "trades_crc32": crc,
        "numbers": numbers,
    }


def compare(before: Record, now: Record) -> list[measuring.Row]:
    """A row for each number that either has; smaller is better for all of them."""
    rows: list[measuring.Row] = []
    for name in sorted(before["numbers"].keys() | now["numbers"].keys()):
        was, came = before["numbers"].get(name), now["numbers"].get(name)
        row: measuring.Row = {"number": name, "before": was, "now": came, "change_percent": None}
        if was is None or came is None:
            verdict = "new" if was is None else "not measured"
        else:
            change = 100 * (came / was - 1)
            row["change_percent"] = round(change, 2)
            noise = NOISE[name.split()[0]]
            verdict = "same" if abs(change) <= noise else "worse" if change > 0 else "better"
        rows.append({**row, "verdict": verdict})
    return rows


def differences(before: Record, now: Record) -> list[str]:
    """What else than the code is not as it was, so that numbers may not be comparable."""
    names = ("machine", "python", "cython", "compiler", "messages", "trades_crc32")
    return [
        f"{name} was {before[name]}, is {now[name]}"
        for name in names
        if before.get(name) != now.get(name)
    ]


def measure(options: argparse.Namespace) -> measuring.Report:
    before = last_record()
    now = take_record(options.quick, options.rounds)
    if options.record:
        with HISTORY.open("a") as file:
            file.write(json.dumps(now) + "\n")
    notes = [] if instructions.is_there() else ["instructions are not counted: no valgrind here"]
    if before is None:
        notes.append("no record is committed yet: nothing to compare with (--record makes one)")
        before = {**now, "numbers": {}}
    notes += differences(before, now)
    return measuring.Report(
        title=f"Now, against {before['date'][:10]}, commit {before['commit']}",
        rows=compare(before, now),
        notes=notes,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--record", action="store_true", help="append the new record to the history"
    )


if __name__ == "__main__":
    sys.exit(measuring.main(measure, __doc__, add_arguments))
