"""The portable wheel against the build that is tuned to this machine's processor, in turns with the floor.

    make wheel native && python benchmarks/builds.py [--quick] [--json]

`make bench-builds` does all three.  The wheel is unpacked into build/wheel and the other build lies in build/native;
each run is a process of its own that imports the core from there.  `wide` counts instructions on registers that not
every processor of the kind has (AVX and wider, by objdump): a portable wheel must have none.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import measuring
import workloads

ROOT = measuring.HERE.parent
BUILDS = {"wheel": "portable wheel", "native": "tuned to this processor"}


def unpack_wheel() -> None:
    """The newest wheel of dist as a tree that can be imported."""
    wheels = sorted((ROOT / "dist").glob("*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        raise SystemExit("dist holds no wheel; `make wheel` makes one")
    target = ROOT / "build" / "wheel"
    shutil.rmtree(target, ignore_errors=True)
    zipfile.ZipFile(wheels[-1]).extractall(target)


def run(build: str, path: Path, margin: bool) -> float:
    """Nanoseconds of CPU a message in a process of its own; a wrong answer ends it."""
    tree = ROOT / "build" / build
    command = [
        sys.executable,
        "-m",
        "exchange",
        "bench",
        "core",
        str(path),
        "--passes",
        "3",
        "--json",
    ]
    done = subprocess.run(
        command + (["--margin"] if margin else []),
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} in {tree} failed:\n{done.stderr}")
    return float(json.loads(done.stdout)["ns_per_message"])


def wide_instructions(build: str) -> int | None:
    """Instructions of the engine that use registers of AVX or wider; None without objdump or on another processor."""
    if shutil.which("objdump") is None or os.uname().machine != "x86_64":
        return None
    [module] = (ROOT / "build" / build / "exchange" / "_native").glob("engine.*.so")
    listing = subprocess.run(
        ["objdump", "-d", str(module)], check=True, capture_output=True, text=True
    )
    return len(re.findall(r"^.*%[yz]mm", listing.stdout, flags=re.MULTILINE))


def measure(options: argparse.Namespace) -> measuring.Report:
    unpack_wheel()
    if not (ROOT / "build" / "native" / "exchange").exists():
        raise SystemExit("build/native is not there; `make native` makes it")
    messages = 50_000 if options.quick else 200_000
    rows: list[measuring.Row] = []
    for kind in workloads.SHAPES:
        floor = measuring.Floor(kind, messages)
        jobs: dict[str, Callable[[], float]] = {"floor": floor.run}
        for build in BUILDS:
            for margin in (False, True):
                jobs[f"{build} {margin}"] = partial(run, build, floor.path, margin)
        median = measuring.medians(measuring.in_turns(options.rounds, jobs))
        for build, prose in BUILDS.items():
            rows.append(
                {
                    "workload": kind,
                    "build": prose,
                    "matching_ns": median[f"{build} False"],
                    "matching_ratio": round(median[f"{build} False"] / median["floor"], 2),
                    "margin_ns": median[f"{build} True"],
                    "margin_ratio": round(median[f"{build} True"] / median["floor"], 2),
                    "wide": wide_instructions(build),
                }
            )
        rows[-1]["floor_ns"] = rows[-2]["floor_ns"] = median["floor"]
    return measuring.Report(
        title="Portable and native build",
        rows=rows,
        notes=[
            "ratios are to the floor, which is always built for this processor; answers are checked"
        ],
    )


if __name__ == "__main__":
    sys.exit(measuring.main(measure, __doc__))
