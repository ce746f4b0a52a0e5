"""What hostile orders cost: far prices, deep levels, mass cancels, as a ratio to the same messages near the touch.

    python benchmarks/prices.py [--orders 1000000] [--quick] [--json]

Every shape fills a book with bids, one of each account; then some are cancelled, the same are placed again, and as many
orders of one lot take what is best; matching alone, all shapes with the same number of orders, in turns.  The book must
hold what was counted after every step.  `near the touch` is 64 neighbouring prices, drawn at random and cancelled in
random order; the others differ from it in what their name says.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import measuring
import numpy as np
from venue import IOC, TOUCH, many, stamped

from exchange.bench import core

BATCH = 1024
LAST_TICK = 10**12
Numbers = np.ndarray
Draw = Callable[[np.random.Generator, int], Numbers]


def at_random(rng: np.random.Generator, ids: Numbers) -> Numbers:
    return rng.permutation(ids)


def from_the_middle(rng: np.random.Generator, ids: Numbers) -> Numbers:
    """The middle one, then its neighbours, outwards."""
    middle = len(ids) // 2
    return ids[np.argsort(np.abs(np.arange(len(ids)) - middle), kind="stable")]


@dataclass(frozen=True)
class Shape:
    """Which prices, in which order they are cancelled, and which orders of others stand meanwhile."""

    prices: Draw
    cancels: Callable[[np.random.Generator, Numbers], Numbers] = at_random
    standing: tuple[tuple[int, int], ...] = ()  # (side, price)


def near(rng: np.random.Generator, n: int) -> Numbers:
    return TOUCH - rng.integers(0, 64, n)


SHAPES = {
    "near the touch": Shape(near),
    "near, others at the first and last tick": Shape(near, standing=((0, 1), (1, LAST_TICK))),
    "a thousand levels": Shape(lambda rng, n: TOUCH - rng.integers(0, 1000, n)),
    "a level for each order, neighbours": Shape(lambda rng, n: rng.permutation(n) + 1),
    "a level for each order, far apart": Shape(lambda rng, n: 1 + rng.permutation(n) * (LAST_TICK // n - 1)),
    "first and last tick, alternating": Shape(lambda rng, n: np.where(np.arange(n) % 2, 1, LAST_TICK)),
    "anywhere": Shape(lambda rng, n: rng.integers(1, LAST_TICK, n)),
    "one level": Shape(lambda rng, n: np.full(n, TOUCH)),
    "one level, cancelled from its middle": Shape(lambda rng, n: np.full(n, TOUCH), from_the_middle),
}  # fmt: skip


class Desk:
    """An engine that matches alone, and how many commands it has taken."""

    def __init__(self) -> None:
        self.engine = core.new_engine(False)
        self.engine.apply(core.setup_commands({1}))

    def run(self, array: Numbers) -> float:
        """Nanoseconds of CPU a command."""
        data, size = stamped(array, self.engine.sequence), array.itemsize * BATCH
        batches = [data[at : at + size] for at in range(0, len(data), size)]
        return measuring.timed_batches(self.engine, batches) / len(array)

    def check(self, when: str, bids: int) -> None:
        levels = self.engine.book(core.SYMBOL).bids
        measuring.check(when, {"bids": sum(x.order_count for x in levels)}, {"bids": bids})


def place(prices: Numbers, accounts: Numbers, **more: object) -> Numbers:
    return many(
        "place_order",
        len(prices),
        account=accounts,
        symbol=core.SYMBOL,
        price_ticks=prices,
        qty_lots=1,
        **more,
    )


def run_shape(shape: Shape, orders: int, touched: int) -> dict[str, float]:
    """Nanoseconds for cancelling, placing and taking an order of a full book."""
    rng = np.random.default_rng(1)
    desk = Desk()
    for side, price in shape.standing:
        desk.run(place(np.array([price]), np.array([orders + 1]), side=side))
    others = len(shape.standing)
    bids = orders + sum(side == 0 for side, _ in shape.standing)
    prices, accounts = shape.prices(rng, orders), np.arange(1, orders + 1)
    desk.run(place(prices, accounts))
    desk.check("after filling", bids)
    gone = shape.cancels(rng, accounts)[
        :touched
    ]  # order ids follow the standing orders', as placed
    spent = {
        "cancel": desk.run(many("cancel_order", touched, account=gone, order_id=gone + others))
    }
    desk.check("after cancelling", bids - touched)
    spent["place"] = desk.run(place(prices[gone - 1], gone))
    desk.check("after placing", bids)
    takers = rng.integers(1, orders + 1, touched)
    spent["take"] = desk.run(place(np.ones(touched), takers, side=1, time_in_force=IOC))
    desk.check("after taking", bids - touched)
    return spent


def run_flicker(orders: int) -> dict[str, float]:
    """A new best price that is gone at once, the next best being at the first tick: per message."""
    desk = Desk()
    desk.run(place(np.array([1]), np.array([1])))
    pairs = orders // 2
    ids = np.arange(2, pairs + 2)
    far = place(np.random.default_rng(1).integers(2, LAST_TICK, pairs), ids)
    back = many("cancel_order", pairs, account=ids, order_id=ids)
    batches = []
    for i in range(pairs):
        batches += [far[i : i + 1].tobytes(), back[i : i + 1].tobytes()]
    stream = core.in_batches(batches, desk.engine.sequence, BATCH)
    spent = measuring.timed_batches(desk.engine, stream) / (2 * pairs)
    desk.check("after the last cancel", 1)
    return {"place": spent, "cancel": spent}


def run_mass_cancel(orders: int, each: int) -> dict[str, float]:
    """cancel_all of accounts with so many orders each: nanoseconds an order that is cancelled."""
    rng = np.random.default_rng(1)
    desk = Desk()
    accounts = max(1, orders // each)
    # Rising prices: each order is the best of its account when it comes.
    prices = np.sort(TOUCH - rng.integers(0, 1000, (accounts, each)), axis=1).T.ravel()
    owner = np.tile(np.arange(1, accounts + 1), each)
    placing = desk.run(place(prices, owner))
    desk.check("after placing", accounts * each)
    order = rng.permutation(np.arange(1, accounts + 1))
    spent = desk.run(many("cancel_all", accounts, account=order, side=2)) / each
    desk.check("after cancelling all", 0)
    return {"place": placing, "cancel": spent}


def measure(options: argparse.Namespace) -> measuring.Report:
    orders = options.orders or (100_000 if options.quick else 1_000_000)
    touched = min(orders, 5_000 if options.quick else 20_000)
    floor = measuring.Floor()
    jobs: dict[str, Callable[[], dict[str, float]]] = {
        "floor": lambda: {"floor": floor.run()},
        **{name: partial(run_shape, shape, orders, touched) for name, shape in SHAPES.items()},
        "flicker": partial(run_flicker, touched),
        **{
            f"cancel_all of {n} orders": partial(run_mass_cancel, orders, n)
            for n in (10, 100, 1000)
        },
    }
    median = {
        name: {phase: statistics.median(r[phase] for r in runs) for phase in runs[0]}
        for name, runs in measuring.in_turns(options.rounds, jobs).items()
    }
    floor_ns = median.pop("floor")["floor"]
    base = median["near the touch"]
    rows: list[measuring.Row] = []
    for name, spent in median.items():
        row: measuring.Row = {"shape": name}
        for phase in ("cancel", "place", "take"):
            row[f"{phase}_ns"] = spent.get(phase)
            row[f"{phase}_ratio"] = spent[phase] / base[phase] if phase in spent else None
        rows.append(row)
    return measuring.Report(
        title=f"Hostile shapes in a book of {orders:,} orders",
        rows=rows,
        floor_ns=floor_ns,
        notes=[
            f"{touched:,} messages of each kind on a full book, ratios to near the touch; "
            "the book is as wanted after every step",
            "flicker: a best price far above an order at the first tick comes and goes, so both columns are the mean",
            "cancel_all: ns an order that it cancels",
        ],
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--orders", type=int, help="(default 1000000, quick 100000)")


if __name__ == "__main__":
    sys.exit(measuring.main(measure, __doc__, add_arguments))
