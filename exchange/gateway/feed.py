"""What the market data socket publishes: topics, and the shape of what follows them.

A message is two frames, topic and payload.  Book deltas and trades are msgpack maps, the Structs below; the public
events (mark, funding, liquidations, funds) are the same msgpack arrays as on the order connection:
``[type, 0, account, sequence, field...]``.

| topic | payload |
|---|---|
| ``book.<SYMBOL>`` | BookDelta |
| ``trades.<SYMBOL>`` | Trade |
| ``mark.<SYMBOL>`` | mark_changed |
| ``funding.<SYMBOL>`` | funding_settled |
| ``liquidations`` | liquidation_started, liquidation_order, liquidation_ended, deficit_uncovered |
| ``funds`` | fund_changed |

*Keeping a book*: subscribe and wait for the first message, which for a new subscriber is a delta that changes nothing
and names the last sequence; then ask for ``get_book``, and apply the deltas whose sequence is above the answer's.  Each
delta's sequence is one above the one before; a gap, or another epoch (the node was started anew), means: ask again.
"""

from __future__ import annotations

import msgspec

from exchange.protocol.views import LevelView


class BookDelta(msgspec.Struct, frozen=True, kw_only=True):
    """The levels of a book that changed, with what they hold now; a level with qty_lots 0 is gone."""

    symbol: int
    epoch: int  # of the node's run: sequences of different epochs do not compare
    sequence: int  # of this symbol's deltas, without gaps
    engine_sequence: int  # the command up to which the delta tells
    timestamp_ns: int
    bids: list[LevelView]
    asks: list[LevelView]


class BookSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A whole book as of delta ``sequence``, best prices first."""

    symbol: int
    epoch: int
    sequence: int
    engine_sequence: int
    bids: list[LevelView]
    asks: list[LevelView]


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """The public print of a fill.  ``side`` is the taker's; in a liquidation the taker is the engine."""

    symbol: int
    trade_id: int
    engine_sequence: int
    timestamp_ns: int
    side: int
    price_ticks: int
    qty_lots: int
    liquidation: bool


def book_topic(symbol_name: str) -> str:
    return f"book.{symbol_name}"


def trades_topic(symbol_name: str) -> str:
    return f"trades.{symbol_name}"


def mark_topic(symbol_name: str) -> str:
    return f"mark.{symbol_name}"


def funding_topic(symbol_name: str) -> str:
    return f"funding.{symbol_name}"


LIQUIDATIONS_TOPIC = "liquidations"
FUNDS_TOPIC = "funds"
