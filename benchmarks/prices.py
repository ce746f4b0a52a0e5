"""What hostile prices cost: placing and cancelling far from the touch, as a ratio to doing so near it.

    python benchmarks/prices.py [--orders 200000]

Each pattern places its orders on one side, one of each account, and cancels them in random order, matching alone; the
book must be empty at the end and have held every order in between.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable

from exchange._native.engine import Engine

from exchange.bench.core import CANCEL, PLACE, SYMBOL, setup_commands
from exchange.protocol import records, schema

PLACE_NUMBER = schema.COMMAND_BY_NAME["place_order"].number
CANCEL_NUMBER = schema.COMMAND_BY_NAME["cancel_order"].number
BATCH = 1024

Pattern = Callable[[random.Random, int], int]

PATTERNS: dict[str, Pattern] = {
    "near": lambda rng, i: 100_000 - rng.randrange(64),
    "a thousand levels": lambda rng, i: 100_000 - rng.randrange(1000),
    "first and last tick": lambda rng, i: 1 if i % 2 else 10**12,
    "anywhere": lambda rng, i: rng.randrange(1, 10**12),
    "one level": lambda rng, i: 100_000,
}


def place(account: int, price_ticks: int) -> bytes:
    return PLACE.pack(
        PLACE_NUMBER, PLACE.size, account, 0, 0, SYMBOL, 0, 0, 0, 0, 0, price_ticks, 1, 0
    )


def cancel(account: int, order_id: int) -> bytes:
    return CANCEL.pack(CANCEL_NUMBER, CANCEL.size, account, 0, 0, order_id, 0)


def timed(engine: Engine, commands: list[bytes]) -> float:
    """Nanoseconds of CPU a command."""
    sequence = engine.sequence
    batches = []
    for at in range(0, len(commands), BATCH):
        part = commands[at : at + BATCH]
        batches.append(records.stamp(b"".join(part), sequence + 1, 1))
        sequence += len(part)
    start = time.process_time_ns()
    for batch in batches:
        engine.apply(batch)
    return (time.process_time_ns() - start) / len(commands)


def measure(pattern: Pattern, orders: int) -> tuple[float, float]:
    """Nanoseconds for placing, and for cancelling."""
    rng = random.Random(1)
    engine = Engine(risk=False)
    engine.apply(setup_commands({1}))
    placing = timed(engine, [place(i, pattern(rng, i)) for i in range(1, orders + 1)])
    assert sum(level.order_count for level in engine.book(SYMBOL).bids) == orders
    ids = list(range(1, orders + 1))
    rng.shuffle(ids)
    cancelling = timed(engine, [cancel(i, i) for i in ids])
    assert not engine.book(SYMBOL).bids
    return placing, cancelling


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=200_000)
    orders = parser.parse_args().orders
    results = {
        name: [measure(pattern, orders) for _ in range(3)] for name, pattern in PATTERNS.items()
    }
    median = {
        name: [statistics.median(column) for column in zip(*runs, strict=True)]
        for name, runs in results.items()
    }
    near = median["near"]
    print(f"{'pattern':22}{'place ns':>10}{'ratio':>8}{'cancel ns':>12}{'ratio':>8}")
    for name, (placing, cancelling) in median.items():
        print(
            f"{name:22}{placing:10.0f}{placing / near[0]:8.2f}"
            f"{cancelling:12.0f}{cancelling / near[1]:8.2f}"
        )


if __name__ == "__main__":
    main()
