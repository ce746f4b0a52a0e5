"""Other open engines on the same messages, in the same rounds as the floor and the core, answers compared.

    pip install -e ".[peers]"
    python benchmarks/peers.py [--cpptrader FOLDER] [--messages 1000000] [--rounds 5] [--json]

* Liquibook (C++): its order book, compiled here from the headers that its Python package brings, with a few lines
  around it (`peers/liquibook.cpp`).  Matching alone.
* CppTrader (C++): its market manager with order matching enabled, compiled here from its sources, with a few lines
  around it (`peers/cpptrader.cpp`).  Matching alone.  It is in no package: `git clone
  https://github.com/chronoxor/CppTrader` and `gil update` in it (`pip install gil`), and FOLDER is where that is, or
  else the environment's CPPTRADER.  CppCommon is looked for in FOLDER/modules, where gil puts it, and beside FOLDER.
  Its 'optimized' and 'aggressive' managers keep no orders in their levels and do not match; they are not compared.
* bourse (Rust, called from Python): its order book, one call a message and one that sets the time, without which
  orders at one price would overwrite each other.  Matching alone.
* the core in batches of 256 records, matching alone and with margin; and the core called from Python once a message,
  with margin.

The peers keep no accounts, no margin and no journal of events.  An immediate-or-cancel order is, for bourse, an order
and its cancel.  A move keeps what is left of an order and joins the back of the queue at its new price: Liquibook's
replace, CppTrader's MitigateOrder, bourse's modify_order.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import re
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


#: What the driver includes of CppTrader, and of CppCommon.
CPPTRADER_HAS = "source/trader/matching/market_manager.cpp"
CPPCOMMON_HAS = "include/containers/bintree_avl.h"
HOW_TO = (
    "git clone https://github.com/chronoxor/CppTrader, `gil update` in it, and --cpptrader FOLDER"
)


class CppTraderSources:
    """A checkout of CppTrader, and the one of CppCommon that belongs to it."""

    def __init__(self, folder: Path) -> None:
        if not (folder / CPPTRADER_HAS).is_file():
            raise SystemExit(
                f"--cpptrader (or CPPTRADER) should be a checkout of CppTrader, with {CPPTRADER_HAS} in it;"
                f" {folder} is not. {HOW_TO}"
            )
        places = (folder / "modules" / "CppCommon", folder.resolve().parent / "CppCommon")
        common = next((place for place in places if (place / CPPCOMMON_HAS).is_file()), None)
        if common is None:
            raise SystemExit(
                f"CppTrader needs CppCommon, with {CPPCOMMON_HAS} in it; looked for it as"
                f" {' and '.join(map(str, places))}. {HOW_TO}"
            )
        self.folder = folder
        self.roots = (folder / "include", folder / "source", common / "include")
        fmt = (common / "modules/fmt/include", folder / "modules/fmt/include")
        self.includes = (*self.roots, *(place for place in fmt if place.is_dir()))

    def files(self) -> tuple[Path, ...]:
        """All that a compiled driver may have come from."""
        kinds = (".h", ".inl", ".cpp")
        return tuple(
            path for root in self.roots for path in sorted(root.rglob("*")) if path.suffix in kinds
        )

    def version(self) -> str:
        """As its own header tells it."""
        told = re.search(
            r'version\[\] = "([^"]+)"', (self.folder / "include/trader/version.h").read_text()
        )
        return told[1] if told else "of unknown version"

    def program(self) -> Path:
        return measuring.compile_program(
            measuring.HERE / "peers" / "cpptrader.cpp",
            includes=self.includes,
            made_with=self.files(),
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


def compare(
    kind: str, messages: int, rounds: int, cpptrader: CppTraderSources | None
) -> Iterator[measuring.Row]:
    """All of them on one workload, in turns."""
    floor = measuring.Floor(kind, messages)
    peers = {
        "Liquibook": measuring.compile_program(
            measuring.HERE / "peers" / "liquibook.cpp", includes=(liquibook_headers(),)
        )
    }
    if cpptrader:
        peers["CppTrader"] = cpptrader.program()
    jobs: dict[str, tuple[str, Callable[[], float]]] = {
        "floor": ("C++, nothing else", floor.run),
        "core, matching": ("batches", Core(floor.path, False).run),
        "core, margin": ("batches", Core(floor.path, True).run),
        **{
            name: ("C++ calls", measuring.Program(name, program, floor.path).run)
            for name, program in peers.items()
        },
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
    cpptrader = CppTraderSources(options.cpptrader) if options.cpptrader else None
    versions += f", CppTrader {cpptrader.version()}" if cpptrader else ""
    messages = options.messages or (200_000 if options.quick else 1_000_000)
    rows = [
        row
        for kind in workloads.SHAPES
        for row in compare(kind, messages, options.rounds, cpptrader)
    ]
    return measuring.Report(
        title=f"The core beside its peers, {messages:,} messages",
        rows=rows,
        notes=[
            versions,
            *([] if cpptrader else [f"CppTrader is not compared; it takes {HOW_TO}"]),
            "trades, volume, best prices (and resting orders, of all but bourse) are as wanted",
            "the last column: to the core with margin, driven alike (batches for C++, single calls for Python)",
        ],
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, help="(default 1000000, quick 200000)")
    parser.add_argument(
        "--cpptrader",
        type=Path,
        default=os.environ.get("CPPTRADER") or None,
        metavar="FOLDER",
        help="a checkout of CppTrader (default: the environment's CPPTRADER, else it is left out)",
    )


if __name__ == "__main__":
    sys.exit(measuring.main(measure, __doc__, add_arguments))
