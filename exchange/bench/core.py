"""``exchange bench core``: a workload file through the native engine, timed, with its answers.

A workload is a file of 32-byte little-endian records ``u8 op, u8 side, u8 tif, u8 0, u32 user, u64 order_id, i64 price,
i64 qty``: op 0 places (tif 0 GTC, 1 IOC), 1 cancels, 2 moves an order to a new price (its remaining quantity goes to
the back of the queue and may trade).  Order ids count the placements from 1, which is how the engine numbers orders, so
the answers can be compared id by id.  A move to the price that an order already has is no amendment to the engine; it
becomes two, through a price far behind the book, with the same result.

The clock is the process's CPU time, around the engine's work alone, events and their hand-over to Python included;
records are prepared before.  Answers come from the events of a pass that is not timed; every timed pass runs on a fresh
engine and must end with the same state digest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exchange.errors import CorruptionError
from exchange.protocol import messages, records, schema


def packer(command: str, *names: str) -> Callable[..., bytes]:
    """A function that packs a command from these fields, in this order; every other field is the table's default.

    >>> deposit = packer("deposit", "account", "amount_atoms")
    >>> records.decode_commands(deposit(7, 500))
    [Deposit(account=7, amount_atoms=500, sequence=0, timestamp_ns=0)]
    """
    message = schema.COMMAND_BY_NAME[command]
    fields = schema.COMMAND_HEADER.fields + message.fields
    layout = struct.Struct("<" + "".join(schema.KINDS[f.kind][0] for f in fields))
    fixed = {"type": message.number, "size": layout.size}
    unknown = set(names) - {f.name for f in fields}
    if unknown:
        raise ValueError(f"{command} has no field {', '.join(sorted(unknown))}")
    values = [
        f.name if f.name in names else repr(fixed.get(f.name, f.default or 0)) for f in fields
    ]
    make: Callable[..., bytes] = eval(
        f"lambda {', '.join(names)}: pack({', '.join(values)})", {"pack": layout.pack}
    )
    return make


RECORD = struct.Struct("<BBBBIQqq")
PLACE = packer(
    "place_order", "account", "symbol", "side", "time_in_force", "price_ticks", "qty_lots"
)
CANCEL = packer("cancel_order", "account", "order_id")
AMEND = packer("amend_order", "account", "order_id", "price_ticks")
EVENT_HEAD = struct.Struct("<HH")
FILL = struct.Struct(
    "<" + schema.EVENT_HEADER.body_format + schema.EVENT_BY_NAME["fill"].body_format
)
FILL_FIELDS = [f.name for f in schema.EVENT_HEADER.fields + schema.EVENT_BY_NAME["fill"].fields]
FILL_NUMBER = schema.EVENT_BY_NAME["fill"].number
REJECTED_NUMBER = schema.EVENT_BY_NAME["rejected"].number

SYMBOL = 1
MARK_TICKS = 100_000
BALANCE_ATOMS = 10**14  # never fails: far above the largest requirement of these workloads
PARKED_TICKS = {0: 1, 1: 10**9}  # far behind the book, by side


@dataclass(frozen=True)
class Workload:
    """Command batches ready to apply, and how many messages of the file they stand for."""

    setup: bytes
    batches: list[bytes]
    messages: int


@dataclass(frozen=True)
class Answers:
    """What a correct engine ends with; the crc is over (maker id, taker id, price, qty) of every trade."""

    trades: int
    volume: int
    resting: int
    best_bid: int | None
    best_ask: int | None
    trades_crc32: int


def listing() -> messages.ListSymbol:
    """A perpetual with fees and five brackets; one atom a tick and lot."""
    return messages.ListSymbol(
        symbol=SYMBOL,
        name="WORKLOAD",
        tick_size_e12=10**12,
        lot_size_e12=10**4,
        atoms_per_tick_lot=1,
        initial_margin_ppm=50_000,
        taker_fee_ppm=500,
        maker_fee_ppm=200,
        max_open_orders=1_000_000,
        exposure_limit_atoms=schema.MAX_EXPOSURE_ATOMS,
        brackets=(
            (0, 4_000, 8_000),
            (50_000_000, 5_000, 10_000),
            (600_000_000, 10_000, 20_000),
            (3_000_000_000, 25_000, 50_000),
            (12_000_000_000, 50_000, 100_000),
        ),
    )


def setup_commands(users: set[int]) -> bytes:
    """Lists the symbol, sets its mark and funds every user."""
    commands: list[messages.Command] = [
        listing(),
        messages.SetMark(symbol=SYMBOL, price_ticks=MARK_TICKS),
    ]
    amount_atoms = min(BALANCE_ATOMS, schema.MAX_AMOUNT_ATOMS // max(1, len(users)))
    commands += [
        messages.Deposit(account=user, amount_atoms=amount_atoms) for user in sorted(users)
    ]
    return records.stamp(records.encode_commands(commands), 1, 1)


def translate(data: bytes) -> Iterator[bytes]:
    """The workload's records as command records, unstamped."""
    price_of: dict[int, int] = {}
    for op, side, tif, _, user, order_id, price, qty in RECORD.iter_unpack(data):
        if op == 0:
            price_of[order_id] = price
            yield PLACE(user, SYMBOL, side, tif, price, qty)
        elif op == 1:
            yield CANCEL(user, order_id)
        else:
            if price_of[order_id] == price:
                yield AMEND(user, order_id, PARKED_TICKS[side])
            price_of[order_id] = price
            yield AMEND(user, order_id, price)


def in_batches(commands: list[bytes], sequence: int, batch: int) -> list[bytes]:
    """The commands stamped to follow ``sequence``, ``batch`` of them in one call."""
    return [
        records.stamp(b"".join(commands[at : at + batch]), sequence + at + 1, 2)
        for at in range(0, len(commands), batch)
    ]


def load_workload(path: Path, batch: int) -> Workload:
    """Reads a workload file and prepares its batches."""
    data = path.read_bytes()
    if not data or len(data) % RECORD.size:
        raise ValueError(
            f"{path} should hold whole records of {RECORD.size} bytes; it holds {len(data)} bytes"
        )
    users = {RECORD.unpack_from(data, at)[4] for at in range(0, len(data), RECORD.size)}
    setup = setup_commands(users)
    batches = in_batches(list(translate(data)), records.count_records(setup), batch)
    return Workload(setup, batches, len(data) // RECORD.size)


def run_pass(workload: Workload, margin: bool) -> tuple[float, Any]:
    """One timed pass on a fresh engine: nanoseconds of CPU a message, and the engine as it ended."""
    engine = fresh_engine(workload, margin)
    apply = engine.apply
    start = time.process_time_ns()
    for batch in workload.batches:
        apply(batch)
    spent = time.process_time_ns() - start
    return spent / workload.messages, engine


def new_engine(margin: bool) -> Any:
    """An empty native engine: with margin, or matching alone."""
    from exchange._native.engine import Engine

    return Engine(risk=margin, prevent_self_trade=False)


def fresh_engine(workload: Workload, margin: bool) -> Any:
    """A native engine with the symbol listed and the users funded."""
    engine = new_engine(margin)
    read_answers([engine.apply(workload.setup)], engine)  # raises where a deposit was refused
    return engine


def answer_pass(workload: Workload, margin: bool) -> tuple[Answers, str]:
    """One pass that is not timed: the answers from its events and its book, and the digest of its end."""
    engine = fresh_engine(workload, margin)
    events = [engine.apply(batch) for batch in workload.batches]
    return read_answers(events, engine), engine.digest()


def read_answers(events: list[bytes], engine: Any) -> Answers:
    """Counts trades from the events and reads the final book from the engine."""
    crc = trades = volume = 0
    at_role, at_order, at_price, at_qty, at_trade = (
        FILL_FIELDS.index(n) for n in ("role", "order_id", "price_ticks", "qty_lots", "trade_id")
    )
    maker: tuple[int, ...] = ()
    for part in events:
        at = 0
        while at < len(part):
            kind, size = EVENT_HEAD.unpack_from(part, at)
            if kind == FILL_NUMBER:
                fill = FILL.unpack_from(part, at)
                if fill[at_role] == schema.FillRole.MAKER:
                    maker = fill
                else:
                    assert maker[at_trade] == fill[at_trade], (
                        "the two sides of a fill stand together"
                    )
                    trades += 1
                    volume += fill[at_qty]
                    crc = zlib.crc32(
                        struct.pack(
                            "<QQqq", maker[at_order], fill[at_order], fill[at_price], fill[at_qty]
                        ),
                        crc,
                    )
            elif kind == REJECTED_NUMBER:
                refused = records.decode_events(part[at : at + size])[0]
                raise ValueError(f"the engine rejected a command of the workload: {refused}")
            at += size
    book = engine.book(SYMBOL)
    return Answers(
        trades=trades,
        volume=volume,
        resting=sum(level.order_count for level in book.bids + book.asks),
        best_bid=book.bids[0].price_ticks if book.bids else None,
        best_ask=book.asks[0].price_ticks if book.asks else None,
        trades_crc32=crc,
    )


def measure(path: Path, *, margin: bool, passes: int = 7, batch: int = 256) -> dict[str, object]:
    """Runs a workload several times; the median time, the spread, and the answers."""
    workload = load_workload(path, batch)
    answers, digest = answer_pass(workload, margin)
    times = []
    for _ in range(passes):
        spent, engine = run_pass(workload, margin)
        times.append(spent)
        if engine.digest() != digest:
            raise CorruptionError("two passes over one workload ended in different states")
    return {
        "workload": path.name,
        "margin": margin,
        "messages": workload.messages,
        "batch": batch,
        "passes": passes,
        "ns_per_message": round(statistics.median(times), 2),
        "ns_per_message_min": round(min(times), 2),
        "ns_per_message_max": round(max(times), 2),
        "trades": answers.trades,
        "volume": answers.volume,
        "resting": answers.resting,
        "best_bid": answers.best_bid,
        "best_ask": answers.best_ask,
        "trades_crc32": answers.trades_crc32,
    }


def compare(result: dict[str, object], path: Path) -> list[str]:
    """What differs from the answers beside the workload (FILE.json), if they are there."""
    beside = path.with_name(path.name + ".json")
    if not beside.exists():
        return []
    wanted = json.loads(beside.read_text())
    names = ("trades", "volume", "resting", "best_bid", "best_ask", "trades_crc32")
    return [
        f"{n}: wanted {wanted[n]}, came {result[n]}"
        for n in names
        if n in wanted and wanted[n] != result[n]
    ]


def run(args: argparse.Namespace) -> int:
    """The command: prints the figures; exit code 1 if an answer is wrong."""
    path = Path(args.workload)
    result = measure(path, margin=args.margin, passes=args.passes, batch=args.batch)
    wrong = compare(result, path)
    if args.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:20} {value}")
    for line in wrong:
        print(f"wrong answer: {line}", file=sys.stderr)
    return 1 if wrong else 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``exchange bench core``."""
    parser.add_argument("workload", help="file of 32-byte records (see benchmarks/README.md)")
    parser.add_argument(
        "--margin", action="store_true", help="balances, brackets and fees; margin on every fill"
    )
    parser.add_argument("--passes", type=int, default=7, help="passes on fresh engines (default 7)")
    parser.add_argument("--batch", type=int, default=256, help="commands in one call (default 256)")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
