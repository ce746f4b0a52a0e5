"""The formats of recorded flow, told apart by their first line and read into one form: a list of steps.

| format | first line |
|---|---|
| commands | names the columns ``t_ns``, ``cmd``, ``order_id``, ``side``, ``price``, ``qty``, in any order, and where |
| | there are ``row``, ``origin``, ``makers`` |
| events | ``id,timestamp,exchange.timestamp,price,volume,action,direction`` (Bitstamp's live orders) |

A *command* file has ``A`` add, ``X`` cancel, ``R`` reduce by ``qty`` in place, ``M`` replace to price and quantity with
loss of priority, ``T`` immediate-or-cancel.  What a ``T`` must hit stands in ``makers`` (``id:qty id:qty ...``) or,
without that column, is the order that ``order_id`` names, alone and in full.  An *event* file tells what became of
orders: ``created`` is a limit order, ``deleted`` with volume a cancel, ``deleted`` without volume the fill that should
have happened by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from exchange.flow.lines import FlowError, at_line, read_rows, whole_number
from exchange.protocol.schema import MAX_PRICE_TICKS, MAX_QTY_LOTS, Side

COMMAND_COLUMNS = ("t_ns", "cmd", "order_id", "side", "price", "qty")
EVENT_COLUMNS = ["id", "timestamp", "exchange.timestamp", "price", "volume", "action", "direction"]
MESSAGE_CELLS = 6  # of a LOBSTER message file, which has no line of names
#: LOBSTER prices are dollars x 10,000 and trade in cents.
CENT = 100
OUT_OF_PRIORITY = (
    "P"  # origin of executions in which the venue itself did not follow price-time priority
)

SIDES = {
    **dict.fromkeys(("B", "BID", "BUY"), Side.BUY),
    **dict.fromkeys(("S", "A", "ASK", "SELL"), Side.SELL),
}


class Act(StrEnum):
    """What a step does: the first five are orders to the engine, the last is what the record says of one."""

    ADD = "A"
    CANCEL = "X"
    REDUCE = "R"
    REPLACE = "M"
    TAKE = "T"
    FILLED = "F"


ACTS = {act.value: act for act in Act if act is not Act.FILLED}


class Maker(NamedTuple):
    """A resting order that was hit, and for how much."""

    order_id: str
    qty_lots: int


class Step(NamedTuple):
    """One line of a recording."""

    line: int
    row: int  # of the book file, from 0; -1 where the recording has no book
    t_ns: int
    act: Act
    order_id: str
    side: Side
    price_ticks: int
    qty_lots: int
    origin: str
    makers: tuple[Maker, ...]  # of a take: what must be hit, in this order


class Recording(msgspec.Struct, frozen=True):
    """A file of recorded flow: its steps in order, and how its prices become ticks."""

    path: Path
    format: str  # commands or events
    steps: list[Step]
    tick: int  # price of the file (its decimals taken out) = price_ticks x tick
    decimals: int  # of the file's prices
    names_makers: bool = False  # whether a take lists its makers, at whatever prices they stood


def read_recording(path: Path) -> Recording:
    """Reads a recording of any of the formats.

    Raises:
        FlowError: the file is of no known format, or a line is not what its format wants.
    """
    rows = read_rows(path)
    _, names = next(rows, (0, []))
    names = [name.strip() for name in names]
    if names == EVENT_COLUMNS:
        return finish(path, "events", read_events(path, rows))
    if set(COMMAND_COLUMNS) <= set(names):
        recording = finish(path, "commands", read_commands(path, names, rows))
        return msgspec.structs.replace(recording, names_makers="makers" in names)
    raise FlowError(f"{path}, line 1: {what_it_seems_to_be(names)}")


def what_it_seems_to_be(names: list[str]) -> str:
    wanted = (
        f"wanted the names of the columns of a command stream ({','.join(COMMAND_COLUMNS)}, also row, origin, makers) "
        f"or of order events ({','.join(EVENT_COLUMNS)})"
    )
    if len(names) == MESSAGE_CELLS and all(is_number(cell) for cell in names):
        return (
            f"{wanted}, came a LOBSTER message file: orders that were cancelled outside its levels stay in a "
            "book made of it alone, so it has to be turned into a command stream first"
        )
    if names and all(is_number(cell) for cell in names):
        return f"{wanted}, came {len(names)} numbers; a book file goes to --orderbook, after the command stream"
    return f"{wanted}, came {','.join(names)!r}"


def is_number(cell: str) -> bool:
    return cell.strip().lstrip("-").replace(".", "", 1).isdigit()


# --------------------------------------------------------------------------------------- prices to ticks


#: What these acts say of side and price counts; of a cancel or a reduction the order itself tells.
PRICED = (Act.ADD, Act.REPLACE, Act.TAKE)


class Raw(NamedTuple):
    """A line before its price is known to be in ticks: what the scale is turns out at the end of the file."""

    step: Step
    price: str


def finish(path: Path, kind: str, raws: Iterator[Raw]) -> Recording:
    """Finds the scale of the prices - decimals, and cents where all are whole - and turns them into ticks."""
    lines = list(raws)
    if not lines:
        raise FlowError(
            f"{path}: wanted at least one line after the names of the columns, came none"
        )
    decimals = max(len(price.partition(".")[2]) for _, price in lines)
    prices = [
        price_units(path, step.line, price, decimals) if step.act in PRICED else 0
        for step, price in lines
    ]
    in_cents = lines[0].step.row >= 0 and all(price % CENT == 0 for price in prices)
    tick = CENT if in_cents else 1
    steps = []
    for (step, _), price in zip(lines, prices, strict=True):
        if step.act in PRICED and not 1 <= price // tick <= MAX_PRICE_TICKS:
            raise at_line(path, step.line, f"a price of 1 .. 10^12 ticks of {tick}", price)
        steps.append(step._replace(price_ticks=price // tick))
    return Recording(path, kind, steps, tick, decimals)


def price_units(path: Path, line: int, cell: str, decimals: int) -> int:
    whole, _, fraction = cell.partition(".")
    price = whole_number(whole + fraction.ljust(decimals, "0"))
    if price is None or not is_number(cell):
        raise at_line(path, line, "a price", cell)
    return price


def lots(path: Path, line: int, cell: str, act: Act) -> int:
    qty, least = whole_number(cell), 0 if act is Act.CANCEL else 1
    if qty is None or not least <= qty <= MAX_QTY_LOTS:
        raise at_line(path, line, f"a quantity of {least} .. 10^12 for {act.name.lower()}", cell)
    return qty


# ------------------------------------------------------------------------------------ command streams


def read_commands(
    path: Path, names: list[str], rows: Iterator[tuple[int, list[str]]]
) -> Iterator[Raw]:
    """Reads a command stream; its columns are found by their names."""
    at = {name: names.index(name) for name in names}
    last_row = 0
    for line, cells in rows:
        if len(cells) != len(names):
            raise at_line(path, line, f"{len(names)} cells ({','.join(names)})", ",".join(cells))
        act = ACTS.get(cells[at["cmd"]])
        if act is None:
            raise at_line(path, line, f"a command, one of {' '.join(ACTS)}", cells[at["cmd"]])
        row = -1
        if "row" in at:
            row = read_row_number(path, line, cells[at["row"]], last_row)
            last_row = row
        t_ns = whole_number(cells[at["t_ns"]])
        if t_ns is None or t_ns < 0:
            raise at_line(path, line, "t_ns as whole nanoseconds", cells[at["t_ns"]])
        side = SIDES.get(cells[at["side"]].upper())
        if side is None and act in PRICED:
            raise at_line(path, line, "side B or S", cells[at["side"]])
        order_id = cells[at["order_id"]]
        qty_lots = lots(path, line, cells[at["qty"]], act)
        makers: tuple[Maker, ...] = ()
        if act is Act.TAKE:
            makers = (Maker(order_id, qty_lots),)
            if "makers" in at:
                makers = read_makers(path, line, cells[at["makers"]])
        origin = cells[at["origin"]] if "origin" in at else ""
        step = Step(line, row, t_ns, act, order_id, side or Side.BUY, 0, qty_lots, origin, makers)
        yield Raw(step, cells[at["price"]])


def read_row_number(path: Path, line: int, cell: str, last_row: int) -> int:
    row = whole_number(cell)
    if row is None or row < last_row:
        raise at_line(path, line, f"a row of {last_row} or more", cell)
    return row


def read_makers(path: Path, line: int, cell: str) -> tuple[Maker, ...]:
    makers = []
    for part in cell.split():
        order_id, colon, qty = part.rpartition(":")
        qty_lots = whole_number(qty)
        if not colon or qty_lots is None or qty_lots < 1:
            raise at_line(path, line, "makers as id:qty id:qty ...", cell)
        makers.append(Maker(order_id, qty_lots))
    return tuple(makers)


# ------------------------------------------------------------------------------------------- events

DIRECTIONS = {"bid": Side.BUY, "ask": Side.SELL}


def read_events(path: Path, rows: Iterator[tuple[int, list[str]]]) -> Iterator[Raw]:
    """Reads order events: what was ordered, and what the venue says became of it."""
    for line, cells in rows:
        if len(cells) != len(EVENT_COLUMNS):
            raise at_line(path, line, f"{len(EVENT_COLUMNS)} cells", ",".join(cells))
        order_id, t_ms, _, price, volume, action, direction = cells
        received_ms, qty_lots = whole_number(t_ms), whole_number(volume)
        if received_ms is None or received_ms < 0:
            raise at_line(path, line, "a timestamp as whole milliseconds", t_ms)
        if qty_lots is None or qty_lots < 0:
            raise at_line(path, line, "a volume of 0 or more", volume)
        side = DIRECTIONS.get(direction)
        if side is None:
            raise at_line(path, line, "direction bid or ask", direction)
        if action == "created":
            act = Act.ADD
            lots(path, line, volume, act)
        elif action == "deleted":
            act = Act.CANCEL if qty_lots else Act.FILLED
        elif action == "changed":
            continue  # a part of the order was filled: that is the engine's to find out
        else:
            raise at_line(path, line, "action created, changed or deleted", action)
        yield Raw(
            Step(line, -1, received_ms * 1_000_000, act, order_id, side, 0, qty_lots, "", ()), price
        )


# --------------------------------------------------------------------------------------- book files

Level = tuple[int, int]  # price, size; (0, 0) where there is none
NO_PRICE = 9_999_999_999  # of an empty level, positive on the ask side and negative on the bid side


class BookRow(NamedTuple):
    """The best levels after a row, best first, prices as in the file; (0, 0) is a level that is empty."""

    asks: list[Level]
    bids: list[Level]


def read_book_rows(path: Path) -> Iterator[BookRow]:
    """Reads a LOBSTER book file: ask price, ask size, bid price, bid size of the best level, of the next, and so on."""
    width = 0
    for line, cells in read_rows(path):
        width = width or len(cells)
        if len(cells) != width or width % 4:
            raise at_line(
                path,
                line,
                "price and size of each ask and bid, 4 cells a level, as many as in line 1",
                f"{len(cells)} cells",
            )
        try:
            numbers = list(map(int, cells))
        except ValueError:
            wrong = next(cell for cell in cells if whole_number(cell) is None)
            raise at_line(path, line, "whole numbers", wrong) from None
        yield BookRow(
            book_side(numbers[0::4], numbers[1::4]), book_side(numbers[2::4], numbers[3::4])
        )


def book_side(prices: list[int], sizes: list[int]) -> list[Level]:
    return [
        level if level[1] and abs(level[0]) != NO_PRICE else (0, 0)
        for level in zip(prices, sizes, strict=True)
    ]
