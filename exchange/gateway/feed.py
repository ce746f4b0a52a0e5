"""What the market data socket publishes: topics, and the shape of what follows them.

A message is two frames, topic and payload.  A payload is a msgpack map that starts with the same four fields whatever
the topic is: ``epoch`` of the node's run, ``sequence`` of the topic, ``engine_sequence`` and ``timestamp_ns`` of the
command up to which it tells.  The sequence of a topic rises by one with each of its messages, from 1.

| topic | payload | in short |
|---|---|---|
| ``top.<SYMBOL>`` | TopOfBook | best bid and offer, whenever one changes |
| ``book.<SYMBOL>`` | BookDelta | level 2: the levels that changed |
| ``orders.<SYMBOL>`` | OrdersDelta | level 3: what happened to each resting order |
| ``trades.<SYMBOL>`` | Trade | prints |
| ``auction.<SYMBOL>`` | PublicEvent | auction_indicated, auction_uncrossed |
| ``state.<SYMBOL>`` | PublicEvent | symbol_state_changed |
| ``statistics.<SYMBOL>`` | Statistics | the last 24 hours, open interest, mark |
| ``mark.<SYMBOL>`` | PublicEvent | mark_changed, mark_hold_changed, price_set, mark_policy_set |
| ``funding.<SYMBOL>`` | PublicEvent | funding_settled, funding_rate, funding_policy_set |
| ``top@100.<SYMBOL>``, ``book@100.``, ``statistics@100.`` | as without | at most one in 100 ms; 10 and 1000 too |
| ``liquidations`` | PublicEvent | liquidation_started, liquidation_order, liquidation_ended, deficit_uncovered |
| ``funds`` | PublicEvent | fund_changed |

*Joining*: subscribe and wait for the first message, which for a new subscriber tells the present state: of ``book`` and
``orders`` a delta that changes nothing and repeats the last sequence, of ``top``, ``statistics``, ``state`` and
``auction`` the last message.  Then ask for the snapshot (``get_book``, ``get_book_orders``) and apply the deltas whose
sequence is above the answer's, each one above the one before; a gap, or another epoch, means: ask again.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

import msgspec

from exchange.protocol.views import FundingView, LevelView, PriceView

NOBODY = 2  # in the place of a side where there is no aggressor: an auction


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What every message starts with."""

    kind: ClassVar[str] = ""  # the topic, its symbol left out

    epoch: int  # of the node's run: sequences of different epochs do not compare
    sequence: int  # of this topic, without gaps
    engine_sequence: int  # the command up to which it tells
    timestamp_ns: int  # of that command


class TopOfBook(Published, frozen=True, kw_only=True):
    """The best level of either side; None where a side is empty."""

    kind: ClassVar[str] = "top"

    symbol: int
    bid: LevelView | None
    ask: LevelView | None


class BookDelta(Published, frozen=True, kw_only=True):
    """The levels of a book that changed, with what they hold now; a level with qty_lots 0 is gone."""

    kind: ClassVar[str] = "book"

    symbol: int
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


class OrderAction(IntEnum):
    """What happened to a resting order."""

    ADDED = 1  # it joined the back of its level
    REDUCED = 2  # it shows less, in its place
    REPLACED = 3  # it left its place and joined the back of the level that is named now
    REMOVED = 4  # it is gone without a trade
    FILLED = 5  # it traded; with qty_lots 0 it is gone


class OrderChange(msgspec.Struct, frozen=True, array_like=True):
    """One thing that happened to one resting order.  Whose it is stays private, and so does what it hides."""

    action: OrderAction
    order_id: int
    side: int
    price_ticks: int
    qty_lots: int  # what it shows afterwards; 0: it is gone
    fill_lots: int = 0  # what it traded
    trade_id: int = 0  # of the trade


class OrdersDelta(Published, frozen=True, kw_only=True):
    """What happened to the resting orders of a book, in order."""

    kind: ClassVar[str] = "orders"

    symbol: int
    changes: list[OrderChange]


class QueuedOrder(msgspec.Struct, frozen=True, array_like=True):
    """A resting order as the public sees it."""

    order_id: int
    price_ticks: int
    qty_lots: int  # what it shows


class OrdersSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All resting orders as of delta ``sequence``: best prices first, at one price who is first in the queue."""

    symbol: int
    epoch: int
    sequence: int
    engine_sequence: int
    bids: list[QueuedOrder]
    asks: list[QueuedOrder]


class Trade(Published, frozen=True, kw_only=True):
    """The public print of a fill."""

    kind: ClassVar[str] = "trades"

    symbol: int
    trade_id: int
    side: int  # the taker's, in a liquidation the engine's; 2 in an auction: nobody's
    price_ticks: int
    qty_lots: int
    liquidation: bool
    auction: bool = False


class Statistics(Published, frozen=True, kw_only=True):
    """The last 24 hours by minutes of the sequencer's time, and where the symbol stands.  A price of 0 is none."""

    kind: ClassVar[str] = "statistics"

    symbol: int
    since_ns: int  # what came before is not counted: 24 hours ago, or when the node began to count
    open_ticks: int  # first trade of the window
    high_ticks: int
    low_ticks: int
    last_ticks: int  # last trade, however old
    volume_lots: int
    turnover_atoms: int
    trade_count: int
    open_interest_lots: int  # sum of the long positions
    mark_ticks: int
    mark_held: bool = False  # for want of prices: nothing may be opened
    prices: list[
        PriceView
    ] = []  # of a composite mark: index and feeds, [source, price_ticks, received_ns]
    funding: FundingView | None = (
        None  # the rate so far and when it is settled; None: settled by hand
    )


class PublicEvent(Published, frozen=True, kw_only=True):
    """An event that everyone may see, as an array like those of the order connection.

    ``[type, 0, 0, sequence, field...]``: whose it is stays private.
    """

    event: msgspec.Raw


def topic_of(kind: str, symbol_name: str) -> str:
    """The topic of a kind of market data of one symbol."""
    return f"{kind}.{symbol_name}"


def conflated_kind(kind: str, interval_ms: int) -> str:
    """How a topic begins that tells at most once in so many milliseconds; 0: that tells everything.

    >>> topic_of(conflated_kind("book", 100), "BTC-PERP")
    'book@100.BTC-PERP'
    """
    return f"{kind}@{interval_ms}" if interval_ms else kind


def kind_of(topic: str) -> str:
    """What kind of market data a topic carries, conflated or not.

    >>> kind_of("book@100.BTC-PERP"), kind_of("top.BTC-PERP"), kind_of("funds")
    ('book', 'top', 'funds')
    """
    return topic.partition(".")[0].partition("@")[0]


#: Kinds whose topic names a symbol, in the order of the docs.
SYMBOL_KINDS = (
    "top",
    "book",
    "orders",
    "trades",
    "auction",
    "state",
    "statistics",
    "mark",
    "funding",
)
#: Kinds that there are conflated too, and how far apart the messages of those topics are at least.
CONFLATED_KINDS = ("top", "book", "statistics")
INTERVALS_MS = (10, 100, 1000)
LIQUIDATIONS_TOPIC = "liquidations"
FUNDS_TOPIC = "funds"
