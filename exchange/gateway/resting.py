"""The resting orders of an engine in the order of their queues, read from its canonical state.

An engine answers with levels, or with the orders of one account; who stands before whom in a queue is told by the state
alone (docs/reference/state.md, part 6).  A node reads it once, when it starts; from then on the events tell.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from exchange.protocol.schema import COMMAND_BY_NAME, COMMAND_HEADER

ICEBERG = 16  # the order flag
HEAD = struct.Struct("<4sQQqq")
COUNT = struct.Struct("<I")
LISTING_BYTES = COMMAND_BY_NAME["list_symbol"].size - struct.calcsize(
    "<" + COMMAND_HEADER.body_format
)
FUND_BYTES = struct.calcsize("<Iq")
POSITION_BYTES = struct.calcsize("<IIqqqqIBB")


class RestingOrder(NamedTuple):
    """An order in the book; ``shown_lots`` is what the public may know of its open lots."""

    symbol: int
    side: int
    order_id: int
    price_ticks: int
    shown_lots: int
    iceberg: bool


class Layout(NamedTuple):
    """Sizes and the order record of one form of the state."""

    symbol_bytes: int
    account_bytes: int
    order: struct.Struct  # of one order, but the fields that are read
    counts: int  # of orders: those that rest, and those that wait


LAYOUTS = {
    b"PXS1": Layout(LISTING_BYTES + 8, struct.calcsize("<IqqB"), struct.Struct("<IBBIQ4xqq16x"), 1),
    b"PXS2": Layout(
        LISTING_BYTES + 17,
        struct.calcsize("<IqqBIq"),
        struct.Struct("<IB3xIQ4xqq8x8x8xq8x8x3x8x8x4x8x8x"),
        2,
    ),
}


def resting_orders(state: bytes) -> Iterator[RestingOrder]:
    """By symbol, buys then sells, best price first, then time in the queue.

    Raises:
        ValueError: the state is of another form than the ones known here.
    """
    magic = state[:4]
    if magic not in LAYOUTS:
        known = ", ".join(str(name) for name in LAYOUTS)
        raise ValueError(f"a canonical state starts with one of {known}, this one with {magic!r}")
    layout, offset = LAYOUTS[magic], HEAD.size
    for size in (layout.symbol_bytes, FUND_BYTES, layout.account_bytes, POSITION_BYTES):
        (count,) = COUNT.unpack_from(state, offset)
        offset += COUNT.size + count * size
    (count,) = COUNT.unpack_from(state, offset)
    offset += COUNT.size * layout.counts
    for _ in range(count):
        yield read_order(layout, state, offset)
        offset += layout.order.size


def read_order(layout: Layout, state: bytes, offset: int) -> RestingOrder:
    symbol, side, *rest = layout.order.unpack_from(state, offset)
    if layout.counts == 1:
        _, flags, order_id, price_ticks, open_lots = rest
        shown_lots = 0
    else:
        flags, order_id, price_ticks, open_lots, shown_lots = rest
    iceberg = bool(flags & ICEBERG)
    return RestingOrder(
        symbol, side, order_id, price_ticks, shown_lots if iceberg else open_lots, iceberg
    )
