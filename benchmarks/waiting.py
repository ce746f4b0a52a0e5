"""What orders that wait cost: a new mark that sets none of them off, and each that goes off, by how many wait.

    python benchmarks/waiting.py [--quick] [--json]

Sell orders of one account each, matching alone.  `stops` have triggers anywhere below the mark.  Trailing stops begin
to watch at falling marks, a hundred at each, so that each hundred has a best price of its own.  Then marks come that
set nothing off: for stops near the first one, for trailing stops back up to it, taking best prices together.  At last
the mark falls to the first tick and all go off into an empty book.  `one by one` are trailing stops with a best price
of their own each, of which every mark sets off one.  The number that went off must be right after every phase.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import measuring
import numpy as np
from prices import Desk
from venue import IOC, TOUCH, count_events, many, stamped

from exchange.bench import core
from exchange.protocol.schema import EVENT_BY_NAME, OrderType

AT_ONE_MARK = 100
KINDS = ("stops", "trailing by ticks", "trailing by ppm")
TRIGGERED = EVENT_BY_NAME["order_triggered"].number


def marks(prices: np.ndarray) -> np.ndarray:
    return many("set_mark", len(prices), symbol=core.SYMBOL, price_ticks=prices)


def placed(kind: str, rng: np.random.Generator, accounts: np.ndarray, falls: int) -> np.ndarray:
    """Sell orders; a trailing distance is longer than the mark falls while they are placed."""
    fields: dict[str, object] = {"order_type": OrderType.STOP_MARKET}
    if kind == "stops":
        fields["trigger_ticks"] = rng.integers(1, TOUCH // 2, len(accounts))
    else:
        fields["order_type"] = OrderType.TRAILING_STOP
        distances = rng.integers(falls + 1, TOUCH - 2 * falls, len(accounts))
        if kind == "trailing by ticks":
            fields["callback_ticks"] = distances
        else:
            fields["callback_ppm"] = np.minimum(
                999_999, 2 + distances * 1_000_000 // (TOUCH - falls)
            )
    return many(
        "place_order",
        len(accounts),
        account=accounts,
        symbol=core.SYMBOL,
        side=1,
        qty_lots=1,
        time_in_force=IOC,
        **fields,
    )


def run_kind(kind: str, orders: int, count: int) -> dict[str, float]:
    """Nanoseconds for placing an order, for a mark that sets nothing off, and for an order that goes off."""
    rng = np.random.default_rng(1)
    desk = Desk()
    falls = orders // AT_ONE_MARK
    spent = {"place": 0.0}
    for n in range(falls):
        first = n * AT_ONE_MARK + 1
        accounts = np.arange(first, first + AT_ONE_MARK)
        spent["place"] += desk.run(placed(kind, rng, accounts, falls)) / falls
        desk.run(marks(np.array([TOUCH - n - 1])))
    if kind == "stops":
        coming = TOUCH + np.arange(count) % 7
    else:
        coming = TOUCH - falls + 1 + np.arange(count) * (falls + 1) // count
    spent["mark"] = desk.run(marks(coming))
    last = stamped(marks(np.array([1])), desk.engine.sequence)
    start = time.process_time_ns()
    events = desk.engine.apply(last)
    spent["off"] = (time.process_time_ns() - start) / orders
    measuring.check(f"{orders:,} {kind}", count_events([events]), {TRIGGERED: orders})
    return spent


def run_one_by_one(orders: int, off: int) -> dict[str, float]:
    """Trailing stops that begin at marks a tick apart: nanoseconds of a mark that sets one of them off."""
    desk = Desk()
    spent = 0.0
    for n in range(orders):
        desk.run(marks(np.array([TOUCH - n])))
        order = many(
            "place_order",
            1,
            account=n + 1,
            symbol=core.SYMBOL,
            side=1,
            order_type=OrderType.TRAILING_STOP,
            callback_ticks=orders,
            qty_lots=1,
            time_in_force=IOC,
        )
        spent += desk.run(order) / orders
    last = stamped(marks(TOUCH - orders - np.arange(off)), desk.engine.sequence)
    start = time.process_time_ns()
    events = desk.engine.apply(last)
    spent_off = (time.process_time_ns() - start) / off
    measuring.check(f"{orders:,} one by one", count_events([events]), {TRIGGERED: off})
    return {"place": spent, "off": spent_off}


def measure(options: argparse.Namespace) -> measuring.Report:
    sizes = (1_000, 10_000, 100_000) if options.quick else (1_000, 10_000, 100_000, 1_000_000)
    floor = measuring.Floor()
    jobs: dict[tuple[str, int], Callable[[], dict[str, float]]] = {
        (kind, orders): partial(run_kind, kind, orders, 5_000) for kind in KINDS for orders in sizes
    }
    for orders in (1_000, 4_000, 16_000):
        jobs["trailing, one by one", orders] = partial(run_one_by_one, orders, 200)
    results = measuring.in_turns(
        options.rounds,
        {
            "floor": lambda: {"floor": floor.run()},
            **{f"{kind}/{orders}": job for (kind, orders), job in jobs.items()},
        },
    )
    rows: list[measuring.Row] = []
    for kind, orders in jobs:
        runs = results[f"{kind}/{orders}"]
        row: measuring.Row = {"waiting": kind, "orders": orders}
        for phase, name in (("place", "place_ns"), ("mark", "mark_ns"), ("off", "goes_off_ns")):
            row[name] = statistics.median(run[phase] for run in runs) if phase in runs[0] else None
        rows.append(row)
    return measuring.Report(
        title="Orders that wait",
        rows=rows,
        floor_ns=statistics.median(run["floor"] for run in results["floor"]),
        notes=[
            "mark: one of 5,000 that set nothing off; goes off: each order of a mark that sets all of them off",
            "one by one: goes off is a mark that sets one off; every order went off once, and none before",
        ],
    )


if __name__ == "__main__":
    sys.exit(measuring.main(measure, __doc__))
