"""Streams of orders with the answers of a plain price-time book: what the core and the gateway are measured on.

`mixed` looks like a crypto venue: mostly new orders and cancels near the touch, some moves and sweeps, about 5,000
orders resting.  `moves` looks like quoting: four messages of five move an order, 1,000 orders resting in
a wide book.  The record is described in `exchange/bench/core.py`; beside FILE stands FILE.json with what a correct
engine ends with.  The book here is the plainest that is right; no engine of this project takes part.
"""

from __future__ import annotations

import json
import random
import struct
import sys
import zlib
from pathlib import Path

from sortedcontainers import SortedDict

RECORD = struct.Struct("<BBBBIQqq")
USERS = 1000
NEW, CANCEL, MOVE = 0, 1, 2
GTC, IOC = 0, 1


class Shape:
    """What a workload draws from: how often which message, how wide the book, how many orders."""

    def __init__(
        self, weights: tuple[float, float, float], resting: int, spread: float, drift: float
    ) -> None:
        self.weights, self.resting, self.spread, self.drift = weights, resting, spread, drift


SHAPES = {
    "mixed": Shape(weights=(0.50, 0.42, 0.03), resting=5000, spread=8, drift=0.02),
    "moves": Shape(weights=(0.09, 0.06, 0.82), resting=1000, spread=200, drift=0.002),
}


class PlainBook:
    """Price-time priority in sorted dictionaries."""

    def __init__(self) -> None:
        self.sides = (SortedDict(), SortedDict())  # price -> {order id: None}, oldest first
        self.orders: dict[int, list[int]] = {}  # order id -> [side, price, qty, user]
        self.trades = self.volume = self.crc = 0

    def best(self, side: int) -> int | None:
        levels = self.sides[side]
        return None if not levels else levels.peekitem(-1 if side == 0 else 0)[0]

    def submit(
        self, order_id: int, side: int, price: int, qty: int, user: int, rests: bool
    ) -> None:
        other = 1 - side
        while qty:
            best = self.best(other)
            if best is None or (best > price if side == 0 else best < price):
                break
            maker_id = next(iter(self.sides[other][best]))
            maker = self.orders[maker_id]
            lots = min(qty, maker[2])
            self.trades += 1
            self.volume += lots
            self.crc = zlib.crc32(struct.pack("<QQqq", maker_id, order_id, best, lots), self.crc)
            qty -= lots
            maker[2] -= lots
            if not maker[2]:
                self.remove(maker_id)
        if qty and rests:
            self.orders[order_id] = [side, price, qty, user]
            self.sides[side].setdefault(price, {})[order_id] = None

    def remove(self, order_id: int) -> list[int]:
        order = self.orders.pop(order_id)
        level = self.sides[order[0]][order[1]]
        del level[order_id]
        if not level:
            del self.sides[order[0]][order[1]]
        return order


class Picker:
    """Draws a live order, all equally likely."""

    def __init__(self, rng: random.Random, book: PlainBook) -> None:
        self.rng, self.book, self.ids = rng, book, list[int]()

    def draw(self) -> int:
        while True:
            place = self.rng.randrange(len(self.ids))
            order_id = self.ids[place]
            if order_id in self.book.orders:
                return order_id
            self.ids[place] = self.ids[-1]
            self.ids.pop()


def make(kind: str, count: int, seed: int) -> tuple[bytes, dict[str, object]]:
    """The records of a workload and its answers."""
    shape, rng, book = SHAPES[kind], random.Random(f"{kind}-{seed}"), PlainBook()
    picker = Picker(rng, book)
    out = bytearray()
    middle, next_id = 100_000, 1
    new_below = shape.weights[0]
    cancel_below = new_below + shape.weights[1]
    move_below = cancel_below + shape.weights[2]

    def price_for(side: int, crossing: float) -> int:
        away = 1 + int(rng.expovariate(1 / shape.spread))
        if rng.random() < crossing:
            away = -rng.randrange(3)
        return middle - away if side == 0 else middle + away

    for _ in range(count):
        if rng.random() < shape.drift:
            middle += rng.choice((-1, 1))
        draw = rng.random() if len(book.orders) >= shape.resting else 0.0
        side, user, qty = rng.getrandbits(1), rng.randrange(1, USERS + 1), rng.randrange(1, 100)
        if draw < new_below:
            price = price_for(side, 0.10 if kind == "mixed" else 0.0)
            out += RECORD.pack(NEW, side, GTC, 0, user, next_id, price, qty)
            book.submit(next_id, side, price, qty, user, rests=True)
            picker.ids.append(next_id)
            next_id += 1
        elif draw < cancel_below:
            order_id = picker.draw()
            side, _, _, user = book.remove(order_id)
            out += RECORD.pack(CANCEL, side, GTC, 0, user, order_id, 0, 0)
        elif draw < move_below:
            order_id = picker.draw()
            side, _, qty, user = book.remove(order_id)
            price = price_for(side, 0.0 if kind == "mixed" else 0.03)
            out += RECORD.pack(MOVE, side, GTC, 0, user, order_id, price, 0)
            book.submit(order_id, side, price, qty, user, rests=True)
        else:
            price = middle + 20 if side == 0 else middle - 20
            out += RECORD.pack(NEW, side, IOC, 0, user, next_id, price, qty * 4)
            book.submit(next_id, side, price, qty * 4, user, rests=False)
            next_id += 1
    answers: dict[str, object] = {
        "kind": kind,
        "seed": seed,
        "messages": count,
        "trades": book.trades,
        "volume": book.volume,
        "resting": len(book.orders),
        "best_bid": book.best(0),
        "best_ask": book.best(1),
        "trades_crc32": book.crc,
    }
    return bytes(out), answers


def write(kind: str, count: int, seed: int, path: Path) -> dict[str, object]:
    """Writes FILE and FILE.json."""
    data, answers = make(kind, count, seed)
    path.write_bytes(data)
    path.with_name(path.name + ".json").write_text(json.dumps(answers, indent=1) + "\n")
    return answers


def main(arguments: list[str]) -> int:
    if len(arguments) != 4 or arguments[0] not in SHAPES:
        print("usage: workloads.py mixed|moves COUNT SEED FILE", file=sys.stderr)
        return 2
    kind, count, seed, path = arguments
    print(json.dumps(write(kind, int(count), int(seed), Path(path))))
    return 0
