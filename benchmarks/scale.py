"""What a message costs on larger venues: by resting orders, accounts, symbols, and what an account has open.

    python benchmarks/scale.py [--axis "accounts"] [--quick] [--json]

One thing grows at a time; the venues of an axis take their turns in every round, with the floor.  venue.py says what
they look like and how their answers are known.  Margin on and off are apart, since margin looks at the account and
matching does not.  `ratio` is to the first row of the axis.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial

import measuring
from venue import Size, Venue

#: axis -> what its venues are; the first is what the others are a ratio to.
AXES: dict[str, dict[int, Size]] = {
    "resting orders": {10**n: Size(resting=10**n, accounts=10**6) for n in range(2, 8)},
    "orders an account": {n: Size(resting=1000 * n, accounts=1000) for n in (1, 10, 100)},
    "accounts": {10**n: Size(resting=1000, accounts=10**n) for n in range(3, 7)},
    "symbols": {n: Size(resting=100_000, accounts=10_000, symbols=n) for n in (1, 10, 100, 1000)},
    "symbols an account": {
        n: Size(resting=4000 * n, accounts=2000, symbols=32, held=n) for n in (1, 2, 4, 8, 16, 32)
    },
}
#: Venues with more resting orders are left out of a quick run.
QUICK = 100_000


def chosen(axis: str, quick: bool) -> dict[int, Size]:
    return {n: size for n, size in AXES[axis].items() if not quick or size.resting <= QUICK}


def measure_axis(axis: str, options: argparse.Namespace) -> tuple[list[measuring.Row], float]:
    """The rows of one axis, and the floor meanwhile."""
    count = 8_000 if options.quick else 40_000
    floor = measuring.Floor()
    sizes = chosen(axis, options.quick)
    venues = {
        (n, margin): Venue(size, margin=margin)
        for n, size in sizes.items()
        for margin in (False, True)
    }
    for v in venues.values():
        v.warm_up(count)
    jobs = {f"{n} {margin}": partial(v.run, count) for (n, margin), v in venues.items()}
    median = measuring.medians(measuring.in_turns(options.rounds, {"floor": floor.run, **jobs}))
    for v in venues.values():
        v.check()
    first = min(sizes)
    rows: list[measuring.Row] = []
    for n, size in sizes.items():
        row: measuring.Row = {
            "axis": axis,
            "of": n,
            "resting": size.resting,
            "levels": venues[n, False].levels(),
        }
        for name, margin in (("matching", False), ("margin", True)):
            row[f"{name}_ns"] = median[f"{n} {margin}"]
            row[f"{name}_ratio"] = median[f"{n} {margin}"] / median[f"{first} {margin}"]
        rows.append(row)
    return rows, median["floor"]


def measure(options: argparse.Namespace) -> measuring.Report:
    rows: list[measuring.Row] = []
    for axis in [options.axis] if options.axis else AXES:
        found, floor_ns = measure_axis(axis, options)
        rows += found
    return measuring.Report(
        title="Larger venues",
        rows=rows,
        floor_ns=floor_ns,
        notes=[
            "ns a message in batches of 256; every symbol's orders and lots, and the number of fills, are as wanted",
            "resting orders: of 1,000,000 accounts; orders an account: of 1,000; accounts: with 1,000 resting orders",
            "symbols: 100,000 orders of 10,000 accounts in one symbol each; symbols an account: of 32, two orders each",
        ],
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--axis", choices=sorted(AXES), help="only this one")


if __name__ == "__main__":
    sys.exit(measuring.main(measure, __doc__, add_arguments))
