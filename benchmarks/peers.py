"""Other open engines on the same messages, in the same rounds as the floor and the core, answers compared.

    pip install -e ".[peers]" && python benchmarks/peers.py [--messages 1000000] [--rounds 5] [--json]

* Liquibook (C++): its order book, compiled here from the headers that its Python package brings, with a few lines
  around it (`peers/liquibook.cpp`).  Matching alone.
* bourse (Rust, called from Python): its order book, one call a message and one that sets the time, without which
  orders at one price would overwrite each other.  Matching alone.
* the core in batches of 256 records, matching alone and with margin; and the core called from Python once a message,
  with margin.

The peers keep no accounts, no margin and no journal of events.  An immediate-or-cancel order is, for bourse, an order
and its cancel.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import measuring
import workloads
from ratio import Core

from exchange.bench import core

PEERS = ("liquibook", "bourse")


def version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        raise SystemExit(
            f'{package} is not installed; `pip install -e ".[peers]"` installs what this benchmark compares with'
        ) from None


def liquibook_headers() -> Path:
    """The folder of Liquibook's C++ headers, where its package has put them."""
    for found in importlib.metadata.files("liquibook") or ():
        if found.name == "order_book.h":
            return Path(str(found.locate())).parent.parent
    raise SystemExit(
        "the liquibook package that is installed brings no C++ headers; version 2.0.1 does"
    )


def messages_of(path: Path) -> list[tuple[int, ...]]:
    return list(core.RECORD.iter_unpack(path.read_bytes()))


class Bourse:
    """bourse's order book on one workload, called from Python."""

    def __init__(self, path: Path) -> None:
        self.path, self.messages = path, messages_of(path)
        self.wanted = measuring.wanted_answers(path)

    def run(self) -> float:
        from bourse.core import OrderBook

        book: Any = OrderBook(0, 1)
        set_time, place, cancel, modify = (
            book.set_time,
            book.place_order,
            book.cancel_order,
            book.modify_order,
        )
        start = time.process_time_ns()
        for now, (op, side, tif, _, user, order_id, price, qty) in enumerate(self.messages):
            set_time(now)
            if op == 0:
                placed = place(side == 0, qty, user, price)
                if tif == 1:
                    cancel(placed)
            elif op == 1:
                cancel(order_id - 1)  # it numbers orders from 0
            else:
                modify(order_id - 1, new_price=price)
        spent = time.process_time_ns() - start
        trades = book.get_trades()
        best_bid, best_ask = book.bid_ask()
        came = {
            "trades": len(trades),
            "volume": sum(trade[3] for trade in trades),
            "best_bid": best_bid,
            "best_ask": best_ask,
        }
        measuring.check(f"bourse on {self.path.name}", came, {n: self.wanted[n] for n in came})
        return spent / len(self.messages)


class OneByOne:
    """The core, called from Python once a message, the record packed within the call."""

    def __init__(self, path: Path) -> None:
        self.prepared = core.load_workload(path, 256)
        self.messages = messages_of(path)
        self.digest = core.answer_pass(self.prepared, True)[1]

    def run(self) -> float:
        engine = core.fresh_engine(self.prepared, True)
        place, cancel, amend = engine.place_order, engine.cancel_order, engine.amend_order
        price_of: dict[int, int] = {}
        start = time.process_time_ns()
        for op, side, tif, _, user, order_id, price, qty in self.messages:
            if op == 0:
                price_of[order_id] = price
                place(user, core.SYMBOL, side, qty, price, 0, tif)
            elif op == 1:
                cancel(user, order_id)
            else:
                if price_of[order_id] == price:  # see exchange/bench/core.py
                    amend(user, order_id, core.PARKED_TICKS[side])
                price_of[order_id] = price
                amend(user, order_id, price)
        spent = time.process_time_ns() - start
        measuring.check("one call a message", {"digest": engine.digest()}, {"digest": self.digest})
        return spent / len(self.messages)


def compare(kind: str, messages: int, rounds: int) -> Iterator[measuring.Row]:
    """All of them on one workload, in turns."""
    floor = measuring.Floor(kind, messages)
    liquibook = measuring.compile_program(
        measuring.HERE / "peers" / "liquibook.cpp", includes=(liquibook_headers(),)
    )
    jobs: dict[str, tuple[str, Callable[[], float]]] = {
        "floor": ("C++, nothing else", floor.run),
        "core, matching": ("batches", Core(floor.path, False).run),
        "core, margin": ("batches", Core(floor.path, True).run),
        "Liquibook": ("C++ calls", measuring.Program("Liquibook", liquibook, floor.path).run),
        "core, margin, one by one": ("Python calls", OneByOne(floor.path).run),
        "bourse": ("Python calls", Bourse(floor.path).run),
    }
    median = measuring.medians(
        measuring.in_turns(rounds, {name: run for name, (_, run) in jobs.items()})
    )
    base = {"Python calls": median["core, margin, one by one"]}
    for name, (how, _) in jobs.items():
        yield {
            "workload": kind,
            "engine": name,
            "driven by": how,
            "ns_a_message": median[name],
            "of_the_core_with_margin": median[name] / base.get(how, median["core, margin"]),
        }


def measure(options: argparse.Namespace) -> measuring.Report:
    versions = ", ".join(f"{name} {version_of(name)}" for name in PEERS)
    messages = options.messages or (200_000 if options.quick else 1_000_000)
    rows = [row for kind in workloads.SHAPES for row in compare(kind, messages, options.rounds)]
    return measuring.Report(
        title=f"The core beside its peers, {messages:,} messages",
        rows=rows,
        notes=[
            versions,
            "trades, volume, best prices (and resting orders, of all but bourse) are as wanted",
            "the last column: to the core with margin, driven alike (batches for C++, single calls for Python)",
        ],
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, help="(default 1000000, quick 200000)")


if __name__ == "__main__":
    sys.exit(measuring.main(measure, __doc__, add_arguments))
