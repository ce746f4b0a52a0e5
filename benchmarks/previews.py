"""What a preview costs, by the size of the venue: it should cost as much as the account, not as the venue.

    python benchmarks/previews.py [--quick] [--json]

One account in the middle of the venue holds three positions and an order; it asks about a limit order that rests, a
market order that fills, and a mark.  Each answer is compared with what the same command then really does, and the
venue's digest must be what it was.
"""

from __future__ import annotations

import argparse
import sys
import time
from random import Random
from statistics import median

import measuring

from exchange.engine import Engine, create_engine
from exchange.protocol import messages as m
from exchange.protocol.records import encode_commands, stamp
from exchange.whatif import preview, standing, unranked

SYMBOLS = range(1, 5)
MARK = 10_000
QUESTIONS: dict[str, m.Command] = {
    "limit": m.PlaceOrder(symbol=1, side=0, price_ticks=9_000, qty_lots=10),
    "market": m.PlaceOrder(symbol=1, side=0, order_type=1, time_in_force=1, qty_lots=100),
    "mark": m.SetMark(symbol=1, price_ticks=9_990),
}


def send(engine: Engine, *commands: m.Command) -> None:
    engine.apply(stamp(encode_commands(commands), engine.sequence + 1, engine.sequence))


def listing(symbol: int) -> m.ListSymbol:
    return m.ListSymbol(
        symbol=symbol,
        name=f"S{symbol}",
        tick_size_e12=10**8,
        lot_size_e12=10**8,
        atoms_per_tick_lot=1,
        initial_margin_ppm=100_000,
        taker_fee_ppm=500,
        exposure_limit_atoms=1 << 57,
        brackets=((0, 50_000, 0), (10**6, 100_000, 0)),
    )


def venue(accounts: int) -> tuple[Engine, int]:
    """Everybody has placed one order around the mark; and the account that asks."""
    engine, random = create_engine(), Random(1)
    send(engine, *map(listing, SYMBOLS))
    send(engine, *(m.SetMark(symbol=symbol, price_ticks=MARK) for symbol in SYMBOLS))
    for first in range(1, accounts + 1, 10_000):
        group = range(first, min(first + 10_000, accounts + 1))
        send(engine, *(m.Deposit(account=account, amount_atoms=10**7) for account in group))
        orders = [
            m.PlaceOrder(
                account=account,
                symbol=random.choice(SYMBOLS),
                side=random.randint(0, 1),
                price_ticks=MARK + random.randint(-300, 300),
                qty_lots=random.randint(1, 50),
            )
            for account in group
        ]
        send(engine, *orders)
    asking = accounts * 7 // 9
    for symbol in (1, 2, 3):
        order = m.PlaceOrder(
            account=asking, symbol=symbol, side=0, price_ticks=MARK + 300, qty_lots=20
        )
        send(engine, order)
    send(engine, m.PlaceOrder(account=asking, symbol=1, side=0, price_ticks=9_000, qty_lots=20))
    return engine, asking


def check(engine: Engine, account: int, accounts: int) -> None:
    """Each answer is what the command then does, and asking changes nothing."""
    for name, question in QUESTIONS.items():
        copy = create_engine()
        copy.restore(engine.snapshot(), engine.sequence, engine.timestamp_ns)
        digest = copy.digest()
        told = preview(copy, account, [question])
        measuring.check(f"{name} of {accounts}", {"digest": copy.digest()}, {"digest": digest})
        owner = question if isinstance(question, m.SetMark) else with_account(question, account)
        send(copy, owner)
        came = {"after": unranked(standing(copy, account)), "accepted": told.steps[0].accepted}
        measuring.check(f"{name} of {accounts}", came, {"after": told.after, "accepted": True})


def with_account(command: m.Command, account: int) -> m.Command:
    fields = {name: getattr(command, name) for name in command.__struct_fields__}
    return type(command)(**fields | {"account": account})


def timed_us(engine: Engine, account: int, question: m.Command, count: int) -> float:
    """The median of so many previews, in microseconds."""
    times = []
    for _ in range(count):
        start = time.perf_counter_ns()
        preview(engine, account, [question])
        times.append(time.perf_counter_ns() - start)
    return median(times) / 1000


def measure(options: argparse.Namespace) -> measuring.Report:
    count = 50 if options.quick else 500
    rows: list[measuring.Row] = []
    for accounts in (1_000, 100_000) if options.quick else (1_000, 100_000, 1_000_000):
        engine, account = venue(accounts)
        check(engine, account, accounts)
        row: measuring.Row = {"accounts": accounts}
        for name, question in QUESTIONS.items():
            row[f"{name}_us"] = timed_us(engine, account, question, count)
        rows.append(row)
    return measuring.Report(
        title="Previews",
        rows=rows,
        notes=["us of one preview: a limit order that rests, a market order of 100 lots, a mark"],
    )


if __name__ == "__main__":
    sys.exit(measuring.main(measure, __doc__))
