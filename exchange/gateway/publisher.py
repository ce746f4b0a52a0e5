"""Market data, made of the engine's events and of nothing else: books by level, trades, marks, liquidations, funds.

Theory of operation.  For every symbol the publisher keeps the two sides of its book as sums per price.  Each event that
puts an order into the book, takes lots off it or takes it out changes one level; at the end of a batch the changed
levels go out as one delta with the next sequence of that symbol.  The answer to ``get_book`` is made here too and not
by the engine: it is the sum of exactly the deltas up to the sequence that it names, so it joins the stream.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from exchange.gateway import feed as market
from exchange.peek import EVENT_START, event_number, field_reader
from exchange.protocol import wire
from exchange.protocol.schema import FillRole, OrderPlace, Side
from exchange.protocol.views import BookView, LevelView, SymbolView
from exchange.sequencer import Batch

Levels = dict[int, list[int]]  # price_ticks -> [qty_lots, order_count]
Publication = tuple[bytes, bytes]  # topic, payload


class BookSource(Protocol):
    """The part of an engine that a publisher starts from after a recovery."""

    def symbols(self) -> list[SymbolView]: ...
    def book(self, symbol: int, depth: int = 0) -> BookView: ...


read_rested = field_reader("order_rested", "symbol", "side", "price_ticks", "open_lots")
read_cancelled = field_reader(
    "order_cancelled", "symbol", "side", "place", "price_ticks", "open_lots"
)
read_reduced = field_reader(
    "order_reduced", "symbol", "side", "place", "price_ticks", "reduced_lots"
)
read_amended = field_reader(
    "order_amended",
    "symbol",
    "side",
    "kept_priority",
    "previous_price_ticks",
    "previous_open_lots",
    "open_lots",
)
read_fill = field_reader(
    "fill", "sequence", "symbol", "side", "role", "trade_id", "price_ticks", "qty_lots", "open_lots"
)
read_listed = field_reader("symbol_listed", "symbol", "name")
read_symbol = field_reader(
    "mark_changed", "symbol"
)  # the symbol stands first in the body of these events

RESTED = event_number("order_rested")
CANCELLED = event_number("order_cancelled")
AMENDED = event_number("order_amended")
REDUCED = event_number("order_reduced")
FILL = event_number("fill")
LISTED = event_number("symbol_listed")
MARK = event_number("mark_changed")
FUNDING = event_number("funding_settled")
#: Public events whose topic is the same for every symbol.
TOPICS: dict[int, str] = {
    event_number("liquidation_started"): market.LIQUIDATIONS_TOPIC,
    event_number("liquidation_order"): market.LIQUIDATIONS_TOPIC,
    event_number("liquidation_ended"): market.LIQUIDATIONS_TOPIC,
    event_number("deficit_uncovered"): market.LIQUIDATIONS_TOPIC,
    event_number("fund_changed"): market.FUNDS_TOPIC,
}


class SymbolBook:
    """One symbol's book by level, and which levels changed since the last delta."""

    def __init__(self, symbol: int, name: str) -> None:
        self.symbol = symbol
        self.name = name
        self.sequence = 0
        self.sides: tuple[Levels, Levels] = ({}, {})
        self.changed: tuple[set[int], set[int]] = (set(), set())

    def change(self, side: int, price_ticks: int, lots: int, orders: int) -> None:
        levels = self.sides[side]
        level = levels.setdefault(price_ticks, [0, 0])
        level[0] += lots
        level[1] += orders
        self.changed[side].add(price_ticks)
        if level[1] == 0:
            assert level[0] == 0, f"{self.name}: {level[0]} lots without an order at {price_ticks}"
            del levels[price_ticks]
        assert level[0] >= 0, f"{self.name}: level {price_ticks} fell to {level[0]} lots"

    def load(self, book: BookView) -> None:
        for side, levels in ((Side.BUY, book.bids), (Side.SELL, book.asks)):
            self.sides[side].update({v.price_ticks: [v.qty_lots, v.order_count] for v in levels})

    def take_delta(self, epoch: int, batch: Batch) -> market.BookDelta | None:
        if not (self.changed[Side.BUY] or self.changed[Side.SELL]):
            return None
        self.sequence += 1
        delta = market.BookDelta(
            symbol=self.symbol,
            epoch=epoch,
            sequence=self.sequence,
            engine_sequence=batch.last_sequence,
            timestamp_ns=batch.timestamp_ns,
            bids=self.level_views(Side.BUY, self.changed[Side.BUY]),
            asks=self.level_views(Side.SELL, self.changed[Side.SELL]),
        )
        self.changed = (set(), set())
        return delta

    def empty_delta(self, epoch: int, engine_sequence: int) -> market.BookDelta:
        return market.BookDelta(
            symbol=self.symbol,
            epoch=epoch,
            sequence=self.sequence,
            engine_sequence=engine_sequence,
            timestamp_ns=0,
            bids=[],
            asks=[],
        )

    def level_views(self, side: Side, prices: Iterable[int], depth: int = 0) -> list[LevelView]:
        """These levels, best first; one that is gone has no lots and no orders."""
        best_first = sorted(prices, reverse=side is Side.BUY)[: depth or None]
        return [LevelView(price, *self.sides[side].get(price, (0, 0))) for price in best_first]


class Publisher:
    """Turns batches of events into what subscribers see.  No sockets: it gives topics and payloads."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.books: dict[int, SymbolBook] = {}
        self._engine_sequence = 0
        self._encoder = msgspec.msgpack.Encoder()

    def load(self, engine: BookSource, sequence: int) -> None:
        """Starts from the books of an engine that was recovered up to ``sequence``."""
        self._engine_sequence = sequence
        for view in engine.symbols():
            self.books[view.symbol] = SymbolBook(view.symbol, view.name)
            self.books[view.symbol].load(engine.book(view.symbol))

    def publications(self, batch: Batch, events: bytes) -> list[Publication]:
        """What the events of one batch mean to the public: trades and public events in order, then book deltas."""
        self._engine_sequence = batch.last_sequence
        published: list[Publication] = []
        offset = 0
        while offset < len(events):
            number, size, _, _ = EVENT_START.unpack_from(events, offset)
            self._follow_book(number, events, offset)
            if number == FILL:
                self._publish_trade(batch, events, offset, published)
            elif topic := self._topic(number, events, offset):
                published.append(
                    (topic.encode(), wire.encode_events(events[offset : offset + size], 0, []))
                )
            offset += size
        for book in self.books.values():
            if delta := book.take_delta(self.epoch, batch):
                published.append(
                    (market.book_topic(book.name).encode(), self._encoder.encode(delta))
                )
        return published

    def join_marker(self, subscription: bytes) -> list[Publication]:
        """What a new subscriber of a book gets first: a delta that changes nothing and names the last sequence.

        It proves that the subscription is at work, so a snapshot asked for after it misses nothing.
        """
        return [
            (
                market.book_topic(book.name).encode(),
                self._encoder.encode(book.empty_delta(self.epoch, self._engine_sequence)),
            )
            for book in self.books.values()
            if subscription == market.book_topic(book.name).encode()
        ]

    def snapshot(self, symbol: int, depth: int = 0) -> market.BookSnapshot:
        """The book as of its last delta, to join the stream with.  KeyError on a symbol that is not listed."""
        book = self.books[symbol]
        return market.BookSnapshot(
            symbol=symbol,
            epoch=self.epoch,
            sequence=book.sequence,
            engine_sequence=self._engine_sequence,
            bids=book.level_views(Side.BUY, book.sides[Side.BUY], depth),
            asks=book.level_views(Side.SELL, book.sides[Side.SELL], depth),
        )

    def _follow_book(self, number: int, events: bytes, offset: int) -> None:
        """Carries one event over into the levels; the events that do not touch the book do nothing."""
        if number == RESTED:
            symbol, side, price, open_lots = read_rested(events, offset)
            self.books[symbol].change(side, price, open_lots, 1)
        elif number == FILL:
            _, symbol, side, role, _, price, lots, open_lots = read_fill(events, offset)
            if role == FillRole.MAKER:
                self.books[symbol].change(side, price, -lots, 0 if open_lots else -1)
        elif number == CANCELLED:
            symbol, side, place, price, open_lots = read_cancelled(events, offset)
            if place == OrderPlace.BOOK:
                self.books[symbol].change(side, price, -open_lots, -1)
        elif number == AMENDED:
            symbol, side, kept, price, previous_lots, open_lots = read_amended(events, offset)
            # Without its priority it is out of the book for now: an order_rested tells when it is back.
            lots, orders = (open_lots - previous_lots, 0) if kept else (-previous_lots, -1)
            self.books[symbol].change(side, price, lots, orders)
        elif number == REDUCED:
            symbol, side, place, price, reduced_lots = read_reduced(events, offset)
            if place == OrderPlace.BOOK:
                self.books[symbol].change(side, price, -reduced_lots, 0)
        elif number == LISTED:
            symbol, name = read_listed(events, offset)
            self.books[symbol] = SymbolBook(symbol, name.rstrip(b"\0").decode("utf-8", "replace"))

    def _publish_trade(
        self, batch: Batch, events: bytes, offset: int, published: list[Publication]
    ) -> None:
        """One print per trade, made of the taker's half.  Auto-deleveraging has no price and is not a trade print."""
        sequence, symbol, side, role, trade_id, price, lots, _ = read_fill(events, offset)
        if role not in (FillRole.TAKER, FillRole.LIQUIDATED):
            return
        trade = market.Trade(
            symbol=symbol,
            trade_id=trade_id,
            engine_sequence=sequence,
            timestamp_ns=batch.timestamp_ns,
            side=side,
            price_ticks=price,
            qty_lots=lots,
            liquidation=role == FillRole.LIQUIDATED,
        )
        published.append(
            (market.trades_topic(self.books[symbol].name).encode(), self._encoder.encode(trade))
        )

    def _topic(self, number: int, events: bytes, offset: int) -> str | None:
        if number == MARK:
            return market.mark_topic(self.books[read_symbol(events, offset)[0]].name)
        if number == FUNDING:
            return market.funding_topic(self.books[read_symbol(events, offset)[0]].name)
        return TOPICS.get(number)
