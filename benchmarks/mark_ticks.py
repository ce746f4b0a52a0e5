"""What a new mark costs, by how many positions are open: by bands, and by a scan that measures every pool.

    python benchmarks/mark_ticks.py [--quick] [--json]

Every account has a position in each of its symbols, half of them long: one isolated pool, or a cross pool of one or of
four positions.  `far` are 20 percent and more from liquidation, `near` 0.6 to 4 percent.  `walking`: the marks of all
symbols take turns in steps of up to 0.05 percent and stay within 0.5 percent of where they began, so nobody is
liquidated.  `trading` is the same with a hundred trades between two marks, whose time is part of the tick's.
`parting`: half of the marks rise by 4 percent and the others fall by as much, so bands are left, and nobody is
liquidated because the positions of a pool offset each other.  `falling`: all marks fall by 2 percent, and who is
liquidated finds a buyer.

Both ways run in turns on copies of one venue, in one process, and must give the same events and the same state.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

import measuring
import msgspec
import numpy as np
from venue import CHUNK, IOC, TOUCH, apply_accepted, many, stamped

from exchange.bench import core
from exchange.protocol import messages, records, schema
from exchange.protocol.schema import MarginMode

KINDS = {"isolated": 1, "cross": 1, "cross of 4": 4}
RATES = {"far": (220_000, 1_000_000), "near": (10_000, 40_000)}  # margin of a position, ppm
TRADES = 100  # between two marks
Numbers = np.ndarray


@dataclass(frozen=True)
class Case:
    """A venue, and what happens to it."""

    kind: str
    distance: str
    positions: int  # of a symbol, which are as many as the accounts
    way: str = "walking"

    @property
    def symbols(self) -> int:
        return KINDS[self.kind]


def new_engine(*, scan: bool) -> Any:
    from exchange._native.engine import Engine

    return Engine(scan_marks=scan)


def run(engine: Any, array: Numbers) -> None:
    """Commands of which none may be rejected."""
    for at in range(0, len(array), CHUNK):
        apply_accepted(engine, stamped(array[at : at + CHUNK], engine.sequence))


def orders(accounts: Numbers, symbol: int, lots: Numbers, **more: object) -> Numbers:
    return many(
        "place_order",
        len(accounts),
        account=accounts,
        symbol=symbol,
        price_ticks=TOUCH,
        qty_lots=lots,
        **more,
    )


def set_up(case: Case) -> Any:
    """A venue in which odd accounts are long and even ones short, at the mark, without fees."""
    rng = np.random.default_rng(1)
    engine = new_engine(scan=False)
    numbers = range(1, case.symbols + 1)
    listing = msgspec.structs.replace(
        core.listing(),
        taker_fee_ppm=0,
        maker_fee_ppm=0,
        initial_margin_ppm=8_000,
        exposure_limit_atoms=schema.MAX_EXPOSURE_ATOMS // case.symbols,
    )
    commands: list[messages.Command] = [
        msgspec.structs.replace(listing, symbol=symbol) for symbol in numbers
    ]
    commands += [messages.SetMark(symbol=symbol, price_ticks=TOUCH) for symbol in numbers]
    apply_accepted(engine, records.stamp(records.encode_commands(commands), 1, 1))
    accounts = np.arange(1, case.positions + 1)
    lots = np.repeat(rng.integers(1, 400, case.positions // 2), 2)
    rates = rng.integers(*RATES[case.distance], case.positions)
    value = lots * TOUCH * case.symbols
    alone = case.kind == "isolated"
    money = 2 * value if alone else value * rates // 1_000_000
    run(engine, many("deposit", case.positions, account=accounts, amount_atoms=money))
    if alone:
        mode = {"margin_mode": MarginMode.ISOLATED, "initial_margin_ppm": rates}
        run(engine, many("set_margin_mode", case.positions, account=accounts, symbol=1, **mode))
    for symbol in numbers:
        for at in range(0, case.positions, CHUNK):
            owners, sizes = accounts[at : at + CHUNK], lots[at : at + CHUNK]
            run(engine, orders(owners[0::2], symbol, sizes[0::2], side=0))
            run(engine, orders(owners[1::2], symbol, sizes[1::2], side=1, time_in_force=IOC))
    # Nobody trades with it: the accounts of `trading`, which are rich.
    rich = many("deposit", 2 * TRADES, account=case.positions + 1 + np.arange(2 * TRADES))
    rich["amount_atoms"] = 10**13
    run(engine, rich)
    if case.way == "falling":  # who is liquidated finds a buyer
        for symbol in numbers:
            everything = lots.sum(keepdims=True)
            run(engine, orders(rich["account"][symbol - 1 : symbol], symbol, everything))
    check_positions(case, engine)
    return engine


def check_positions(case: Case, engine: Any) -> None:
    """Positions at both ends of the accounts are open, and as far from liquidation as wanted."""
    for account in (1, case.positions):
        views = engine.positions(account)
        nearest = min(abs(view.liquidation_price_ticks - TOUCH) / TOUCH for view in views)
        came = {"positions": len(views), "far": nearest > 0.2}
        wanted = {"positions": case.symbols, "far": case.distance == "far"}
        measuring.check(f"account {account} of {case}", came, wanted)


def marks_of(case: Case, ticks: int) -> Numbers:
    """Where the marks go."""
    steps = np.arange(1, ticks + 1)
    if case.way == "falling":
        return TOUCH - steps * (TOUCH // 50) // ticks
    if case.way == "parting":
        return TOUCH + np.where(steps % 2, -1, 1) * (steps * (TOUCH // 25) // ticks)
    rng = np.random.default_rng(2)
    width = TOUCH // 200
    walk = np.cumsum(rng.integers(-TOUCH // 2000, TOUCH // 2000 + 1, ticks))
    return TOUCH + np.abs((walk + width) % (4 * width) - 2 * width) - width  # folded into the width


def stream(case: Case, ticks: int, sequence: int) -> bytes:
    """The marks, and what comes between them, as one batch."""
    prices = marks_of(case, ticks)
    turns = np.arange(ticks) % case.symbols + 1
    marks = many("set_mark", ticks, symbol=turns, price_ticks=prices)
    if case.way != "trading":
        return stamped(marks, sequence)
    makers = case.positions + 1 + np.arange(TRADES)
    between = np.empty(2 * TRADES, orders(makers, 1, np.ones(TRADES)).dtype)
    parts: list[bytes] = []
    for tick in range(ticks):
        side = tick % 2  # what one tick opens the next one closes
        between[0::2] = orders(makers, 1, np.ones(TRADES), side=side)
        between[1::2] = orders(
            makers + TRADES, 1, np.ones(TRADES), side=1 - side, time_in_force=IOC
        )
        parts.append(stamped(between, sequence))
        parts.append(stamped(marks[tick : tick + 1], sequence + 2 * TRADES))
        sequence += 2 * TRADES + 1
    return b"".join(parts)


def run_case(case: Case, ticks: int, rounds: int) -> measuring.Row:
    """Both ways on the same marks, in turns."""
    made = set_up(case)
    state, sequence, timestamp_ns = made.snapshot(), made.sequence, made.timestamp_ns
    del made
    engines = {"bands": new_engine(scan=False), "scan": new_engine(scan=True)}
    for engine in engines.values():
        engine.restore(state, sequence, timestamp_ns)
    del state
    spent: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(1 if case.way in ("falling", "parting") else rounds):
        answers = []
        for name, engine in engines.items():
            batch = stream(case, ticks, engine.sequence)
            start = time.process_time_ns()
            events = engine.apply(batch)
            spent[name].append((time.process_time_ns() - start) / ticks)
            answers.append(events)
        measuring.check(f"the events of {case}", {"bands": answers[0]}, {"bands": answers[1]})
    digests = {name: engine.digest() for name, engine in engines.items()}
    measuring.check(f"the state of {case}", digests, {"bands": digests["scan"]})
    bands, scan = (statistics.median(spent[name]) for name in ("bands", "scan"))
    return {
        "pools": case.kind,
        "marks": f"{case.distance}, {case.way}",
        "positions": case.positions,
        "ticks": ticks,
        "scan_us": scan / 1000,
        "bands_us": bands / 1000,
        "scan_ns_a_position": scan / case.positions,
        "bands_ns_a_position": bands / case.positions,
        "ratio": scan / bands,
    }


def cases(sizes: tuple[int, ...]) -> list[Case]:
    """What is measured; ``sizes`` are numbers of positions on a symbol."""
    some = sizes[:3]
    found = [Case(kind, "near", n) for kind in KINDS for n in sizes]
    found += [Case(kind, "far", some[-1]) for kind in KINDS]
    found += [Case("isolated", "near", some[-1], "trading")]
    found += [Case("cross", "near", n, "trading") for n in some]
    found += [Case("cross of 4", "near", n, "parting") for n in some]
    return found + [Case(kind, "near", some[-1], "falling") for kind in KINDS]


def measure(options: argparse.Namespace) -> measuring.Report:
    sizes = (1_000, 10_000, 100_000) if options.quick else (1_000, 10_000, 100_000, 1_000_000)
    floor = measuring.Floor()
    floors, rows = [], []
    for case in cases(sizes):
        floors.append(floor.run())
        rows.append(
            run_case(case, min(1000, max(40, 20_000_000 // case.positions)), options.rounds)
        )
    return measuring.Report(
        title="Mark ticks",
        rows=rows,
        floor_ns=statistics.median(floors),
        notes=["both ways gave the same events and the same state"],
    )


if __name__ == "__main__":
    sys.exit(measuring.main(measure, __doc__))
