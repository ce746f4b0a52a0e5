"""A venue of any size: so many resting orders, symbols and accounts, and a flow of messages that keeps it that size.

Theory of operation.  Orders rest on both sides of a touch at 100,000 ticks, at exponential distances whose mean rises
with the square root of the orders on a side, so a deeper book is also a wider one: 10^2 orders stand in some 40 levels,
10^7 in some 50,000.  Of eight messages of the flow three place an order at such a distance, three cancel an order drawn
from all that rest, one places an order inside the spread and one takes exactly that.  So the number of resting orders
stays what it is, and what a correct engine ends with is known without an engine: each symbol's orders and lots, and the
number of fills.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import measuring
import msgspec
import numpy as np

from exchange.bench import core
from exchange.protocol import messages, records, schema

TOUCH = core.MARK_TICKS
IMPROVING = 5  # ticks from the touch: better than all that rests
NEAREST = 10  # ticks from the touch of the best resting order
IOC = int(schema.TimeInForce.IOC)
CHUNK = 1 << 16  # commands in one call while filling
BATCH = 256  # and while measuring


# ------------------------------------------------------------------------------------- many commands at once


def layout(command: str) -> np.dtype[Any]:
    """The record of a command as the table has it; only for those of plain integers."""
    fields = schema.COMMAND_HEADER.fields + schema.COMMAND_BY_NAME[command].fields
    return np.dtype([(f.name, "<" + schema.KINDS[f.kind][0]) for f in fields])


def many(command: str, count: int, **columns: Any) -> np.ndarray:
    """``count`` records of a command; fields that are not named have the table's default."""
    message = schema.COMMAND_BY_NAME[command]
    array = np.zeros(count, layout(command))
    for f in message.fields:
        array[f.name] = f.default or 0
    array["type"], array["size"], array["timestamp_ns"] = message.number, array.itemsize, 2
    for name, values in columns.items():
        array[name] = values
    return array


def stamped(array: np.ndarray, sequence: int) -> bytes:
    """The records as a batch that follows ``sequence``."""
    array["sequence"] = np.arange(sequence + 1, sequence + 1 + len(array))
    return array.tobytes()


def count_events(events: list[bytes]) -> Counter[int]:
    """How many events of each type; a rejection stops the benchmark with what it says."""
    found: Counter[int] = Counter()
    for part in events:
        at, end = 0, len(part)
        while at < end:
            kind, size = core.EVENT_HEAD.unpack_from(part, at)
            if kind == core.REJECTED_NUMBER:
                raise SystemExit(
                    f"the engine rejected: {records.decode_events(part[at : at + size])}"
                )
            found[kind] += 1
            at += size
    return found


def apply_accepted(engine: Any, batch: bytes) -> Counter[int]:
    """Applies a batch of which nothing may be rejected; its events by type."""
    return count_events([engine.apply(batch)])


# --------------------------------------------------------------------------------------------------- a venue


@dataclass(frozen=True)
class Size:
    """How large a venue is; each account trades in ``held`` symbols, each symbol has the same accounts' groups."""

    resting: int
    accounts: int = 1000
    symbols: int = 1
    held: int = 1

    def __post_init__(self) -> None:
        if self.symbols % self.held or self.accounts < 2 * self.groups or self.resting < 8:
            raise ValueError(
                "wanted symbols a multiple of held, two accounts for each group of symbols, and "
                f"eight orders; came {self}"
            )

    @property
    def groups(self) -> int:
        return self.symbols // self.held

    @property
    def mean_distance(self) -> float:
        return 8 + math.sqrt(self.resting / self.symbols / 2)


class Venue:
    """An engine with resting orders, and the flow that keeps their number.

    ``take`` applies the batches of resting orders; growth.py times them there.  The flow cancels some ``cancellable``
    of them, and its own.
    """

    def __init__(
        self,
        size: Size,
        *,
        margin: bool,
        seed: int = 1,
        take: Callable[[Any, bytes], object] = apply_accepted,
        cancellable: int = 1 << 18,
    ) -> None:
        self.size = size
        self.engine = core.new_engine(margin)
        self.random = np.random.default_rng(seed)
        self.draw = random.Random(seed)
        self.orders = np.zeros(size.symbols + 1, np.int64)
        self.lots = np.zeros(size.symbols + 1, np.int64)
        self.live: list[tuple[int, int, int, int]] = []  # order id, account, symbol, lots
        self.cancellable = cancellable
        self.fills = 0
        self.set_up()
        for chunk in self.fill():
            take(self.engine, chunk)
        self.next_id = size.resting + 1
        self.check()

    def set_up(self) -> None:
        """Lists the symbols, sets their marks and funds the accounts."""
        size = self.size
        exposure = schema.MAX_EXPOSURE_ATOMS // size.symbols
        numbers = range(1, size.symbols + 1)
        commands: list[messages.Command] = [
            msgspec.structs.replace(core.listing(), symbol=s, exposure_limit_atoms=exposure)
            for s in numbers
        ]
        commands += [messages.SetMark(symbol=s, price_ticks=TOUCH) for s in numbers]
        batch = records.stamp(records.encode_commands(commands), 1, 1)
        apply_accepted(self.engine, batch)
        amount = min(core.BALANCE_ATOMS, schema.MAX_AMOUNT_ATOMS // size.accounts)
        money = many(
            "deposit", size.accounts, account=np.arange(1, size.accounts + 1), amount_atoms=amount
        )
        for at in range(0, len(money), CHUNK):
            batch = stamped(money[at : at + CHUNK], self.engine.sequence)
            apply_accepted(self.engine, batch)

    def fill(self) -> Iterator[bytes]:
        """The resting orders, in batches; what stands is counted as they are made."""
        size, rng = self.size, self.random
        for first in range(0, size.resting, CHUNK):
            count = min(CHUNK, size.resting - first)
            account = rng.integers(1, size.accounts + 1, count)
            symbol = self.symbol_of(account, rng.integers(0, size.held, count))
            side = rng.integers(0, 2, count)
            away = NEAREST + rng.exponential(size.mean_distance, count).astype(np.int64)
            price = TOUCH + np.where(side == 0, -1, 1) * np.minimum(away, TOUCH - 1)
            lots = rng.integers(1, 100, count)
            np.add.at(self.orders, symbol, 1)
            np.add.at(self.lots, symbol, lots)
            ids = np.arange(first + 1, first + 1 + count)
            kept = np.flatnonzero(rng.random(count) * size.resting < self.cancellable)
            self.live += zip(
                *(column[kept].tolist() for column in (ids, account, symbol, lots)), strict=True
            )
            yield stamped(
                many(
                    "place_order",
                    count,
                    account=account,
                    symbol=symbol,
                    side=side,
                    price_ticks=price,
                    qty_lots=lots,
                ),
                self.engine.sequence,
            )

    def symbol_of(self, account: Any, which: Any) -> Any:
        """The symbol of an account that ``which`` of 0 .. held - 1 names."""
        return (account % self.size.groups) * self.size.held + which + 1

    def order(self) -> tuple[int, int, int, int]:
        """Account, symbol, side and lots of a new order."""
        account = self.draw.randrange(1, self.size.accounts + 1)
        symbol = self.symbol_of(account, self.draw.randrange(self.size.held))
        return account, symbol, self.draw.getrandbits(1), self.draw.randrange(1, 100)

    def other(self, account: int) -> int:
        """Another account that trades in the same symbols."""
        step = self.draw.randrange(1, self.size.accounts // self.size.groups)
        found = account + step * self.size.groups
        limit = self.size.accounts - self.size.accounts % self.size.groups
        return (
            found
            if found <= limit
            else found - limit
            if account <= limit
            else account - self.size.groups
        )

    def flow(self, count: int) -> list[bytes]:
        """``count`` messages, eight by eight; what they leave is counted as they are made."""
        commands: list[bytes] = []
        while len(commands) < count:
            for _ in range(3):
                commands.append(self.cancel())
                commands.append(self.place())
            commands += self.trade()
        return commands

    def place(self) -> bytes:
        account, symbol, side, lots = self.order()
        away = NEAREST + min(int(self.draw.expovariate(1 / self.size.mean_distance)), TOUCH // 2)
        self.live.append((self.next_id, account, symbol, lots))
        self.next_id += 1
        self.orders[symbol] += 1
        self.lots[symbol] += lots
        return core.PLACE(
            account, symbol, side, 0, TOUCH - away if side == 0 else TOUCH + away, lots
        )

    def cancel(self) -> bytes:
        at = self.draw.randrange(len(self.live))
        order_id, account, symbol, lots = self.live[at]
        self.live[at] = self.live[-1]
        self.live.pop()
        self.orders[symbol] -= 1
        self.lots[symbol] -= lots
        return core.CANCEL(account, order_id)

    def trade(self) -> tuple[bytes, bytes]:
        account, symbol, side, lots = self.order()
        price = TOUCH - IMPROVING if side == 0 else TOUCH + IMPROVING
        self.next_id += 2
        self.fills += 1
        maker = core.PLACE(account, symbol, side, 0, price, lots)
        return maker, core.PLACE(self.other(account), symbol, 1 - side, IOC, price, lots)

    def warm_up(self, count: int) -> None:
        """Messages of the flow that are not timed; their fills are counted."""
        fills = self.fills
        batches = core.in_batches(self.flow(count), self.engine.sequence, BATCH)
        found = count_events([self.engine.apply(batch) for batch in batches])
        wanted = {core.FILL_NUMBER: 2 * (self.fills - fills)}  # one event for each of the two
        measuring.check("the flow", found, wanted)

    def run(self, count: int) -> float:
        """Times messages of the flow: nanoseconds of CPU each.

        The events are not looked at: a fill that fails leaves an order in the book, for `check` to find.
        """
        commands = self.flow(count)
        batches = core.in_batches(commands, self.engine.sequence, BATCH)
        return measuring.timed_batches(self.engine, batches) / len(commands)

    def check(self) -> None:
        """The engine's books hold what was counted."""
        for symbol in range(1, self.size.symbols + 1):
            book = self.engine.book(symbol)
            levels = [*book.bids, *book.asks]
            came = {
                "orders": sum(x.order_count for x in levels),
                "lots": sum(x.qty_lots for x in levels),
            }
            wanted = {"orders": int(self.orders[symbol]), "lots": int(self.lots[symbol])}
            measuring.check(f"symbol {symbol}", came, wanted)

    def levels(self) -> int:
        """Price levels over all symbols."""
        books = [self.engine.book(s) for s in range(1, self.size.symbols + 1)]
        return sum(len(book.bids) + len(book.asks) for book in books)
