"""All benchmarks one after the other, each in a process of its own: what `make bench` runs.

    python benchmarks/run.py [--quick] [--json] [--only ratio,latency] [--page docs/performance.md]
    python benchmarks/run.py --only peers --cpptrader FOLDER

A line of JSON for each with --json.  With --page the tables between the marks of a page are drawn anew, so that a page
shows what was measured and not what somebody copied.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import measuring

HERE = Path(__file__).parent
BENCHMARKS = ("ratio", "batches", "latency", "scale", "prices", "growth")
#: Only when named by --only: they need valgrind, other builds or packages, or gigabytes.
OTHERS = (
    "instructions",
    "builds",
    "peers",
    "mark_ticks",
    "market_data",
    "slow_readers",
    "snapshots",
)


def run(
    name: str, quick: bool, rounds: int | None, cpptrader: Path | None = None
) -> measuring.Report:
    """One benchmark; its errors end this run too.  ``cpptrader`` is for the peers alone."""
    command = [sys.executable, str(HERE / f"{name}.py"), "--json"]
    command += ["--quick"] if quick else []
    command += ["--rounds", str(rounds)] if rounds else []
    command += ["--cpptrader", str(cpptrader)] if cpptrader and name == "peers" else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    return measuring.from_json(done.stdout)


def where_and_when() -> str:
    """The line that stands above figures on a page."""
    made = datetime.now(UTC).date().isoformat()
    return f"{made}, {measuring.machine()}, {measuring.tools()}"


def draw(page: str, name: str, text: str) -> str:
    """The page with ``text`` between the marks ``<!-- NAME -->`` and ``<!-- end of NAME -->``."""
    first, last = f"<!-- {name} -->", f"<!-- end of {name} -->"
    if first not in page or last not in page:
        raise SystemExit(f"the page should hold the marks {first} and {last}")
    pattern = re.escape(first) + ".*?" + re.escape(last)
    return re.sub(pattern, lambda _: f"{first}\n\n{text}\n\n{last}", page, flags=re.DOTALL)


def as_section(report: measuring.Report) -> str:
    notes = "".join(f"\n\n{note[0].upper()}{note[1:]}." for note in report.notes)
    return f"{measuring.as_markdown(report.rows)}{notes}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="about a minute instead of ten")
    parser.add_argument("--rounds", type=int, help="rounds in turns (default 5, quick 3)")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each benchmark")
    parser.add_argument(
        "--only", help=f"some of {','.join((*BENCHMARKS, *OTHERS))}, with commas between"
    )
    parser.add_argument("--page", type=Path, help="a page whose tables are drawn anew")
    parser.add_argument(
        "--cpptrader", type=Path, metavar="FOLDER", help="for the peers: a checkout of CppTrader"
    )
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else list(BENCHMARKS)
    unknown = set(chosen) - {*BENCHMARKS, *OTHERS}
    if unknown:
        known = ",".join((*BENCHMARKS, *OTHERS))
        parser.error(f"--only takes some of {known}; not {','.join(unknown)}")
    if not options.json:
        print(f"{where_and_when()}\n", flush=True)
    start = time.monotonic()
    for name in chosen:
        report = run(name, options.quick, options.rounds, options.cpptrader)
        if options.json:
            print(measuring.as_json(name, report), flush=True)
        else:
            measuring.print_report(report)
        if options.page:
            page = draw(options.page.read_text(), name, as_section(report))
            options.page.write_text(draw(page, "machine", where_and_when()))
    if not options.json:
        print(f"{time.monotonic() - start:.0f} seconds; how to read this: benchmarks/README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
