"""The resting orders of an engine in the order of their queues, read from its canonical state.

An engine answers with levels, or with the orders of one account; who stands before whom in a queue is told by the state
alone (docs/reference/state.md, part 6).  A node reads it once, when it starts; from then on the events tell.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from exchange.protocol.schema import COMMAND_BY_NAME, COMMAND_HEADER, OrderFlag

MAGIC = b"PXS3"
HEAD = struct.Struct("<4sQQqq")
COUNT = struct.Struct("<I")
COUNTS = struct.Struct("<II")  # of orders: those that rest, those that wait
LISTING_BYTES = COMMAND_BY_NAME["list_symbol"].size - struct.calcsize(
    "<" + COMMAND_HEADER.body_format
)


class RestingOrder(NamedTuple):
    """An order in the book; ``shown_lots`` is what the public may know of its open lots."""

    symbol: int
    side: int
    order_id: int
    price_ticks: int
    shown_lots: int
    iceberg: bool


#: Bytes of an entry of parts 2 to 5: symbols, funds, accounts, accounts on symbols.
ENTRY_BYTES = (
    LISTING_BYTES + struct.calcsize("<qqB"),
    struct.calcsize("<Iq"),
    struct.calcsize("<IqqBIq"),
    struct.calcsize("<IIBqqqqIBB"),
)
#: Of an order: symbol, side, flags, order id, limit, open and shown lots; the rest is stepped over.
ORDER = struct.Struct("<IxB3xIQ4xqq8x8x8xq8x8x3x8x8x4x8x8x")


def orders_part(state: bytes) -> tuple[int, int]:
    """Where the orders that rest begin in a state, and how many they are.

    Raises:
        ValueError: the state is of another form than the ones known here.
    """
    if state[:4] != MAGIC:
        raise ValueError(f"a canonical state starts with {MAGIC!r}, this one with {state[:4]!r}")
    offset = HEAD.size
    for size in ENTRY_BYTES:
        (entries,) = COUNT.unpack_from(state, offset)
        offset += COUNT.size + entries * size
    (resting, _waiting) = COUNTS.unpack_from(state, offset)
    return offset + COUNTS.size, resting


def resting_orders(state: bytes) -> Iterator[RestingOrder]:
    """By symbol, buys then sells, best price first, then time in the queue.

    Raises:
        ValueError: the state is of another form than the ones known here.
    """
    offset, resting = orders_part(state)
    for at in range(offset, offset + resting * ORDER.size, ORDER.size):
        symbol, side, flags, order_id, price_ticks, open_lots, shown = ORDER.unpack_from(state, at)
        iceberg = bool(flags & OrderFlag.ICEBERG)
        yield RestingOrder(
            symbol, side, order_id, price_ticks, shown if iceberg else open_lots, iceberg
        )
