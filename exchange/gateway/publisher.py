"""Market data, made of the engine's events and of nothing else.

Theory of operation.  Each event of a batch is carried over into the book of its symbol, as the public sees it, and
into its statistics; trades and public events go out as they come.  At the end of the batch every symbol that was
touched tells what changed: its orders, its levels, its top, its statistics, each with the next sequence of its topic.
Snapshots are made here too and not by the engine: a snapshot is the sum of exactly the deltas up to the sequence that
it names, so it joins the stream.

Where it is told who subscribed (interest.py), messages of topics that nobody wants are not made; their sequences count
on as if they were.  A node with the compiled core uses native/market_data.pyx in the place of this, which gives the
same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from exchange.gateway import feed as market
from exchange.gateway.conflation import Conflated, Conflation
from exchange.gateway.interest import Interest
from exchange.gateway.public_book import PublicBook
from exchange.gateway.resting import resting_orders
from exchange.gateway.statistics import StatisticsDesk, is_print
from exchange.peek import EVENT_START, event_number, field_reader
from exchange.protocol import wire
from exchange.protocol.messages import Event, SymbolStateChanged
from exchange.protocol.records import encode_event
from exchange.protocol.schema import (
    EVENT_HEADER,
    FillRole,
    OrderFlag,
    OrderPlace,
    Side,
    SymbolState,
)
from exchange.protocol.views import FundingView, LevelView, PriceView, SymbolView
from exchange.sequencer import Batch

Publication = tuple[bytes, bytes]  # topic, payload
Top = tuple[LevelView | None, LevelView | None]
Prices = tuple[set[int], set[int]]  # of bids and of offers


class BookSource(Protocol):
    """The part of an engine that a publisher starts from after a recovery."""

    def symbols(self) -> list[SymbolView]: ...
    def snapshot(self) -> bytes: ...


read_rested = field_reader(
    "order_rested", "symbol", "side", "flags", "order_id", "price_ticks", "open_lots"
)
read_cancelled = field_reader("order_cancelled", "symbol", "place", "order_id")
read_reduced = field_reader("order_reduced", "symbol", "place", "order_id", "reduced_lots")
read_amended = field_reader("order_amended", "symbol", "kept_priority", "order_id", "open_lots")
read_shown = field_reader("order_shown", "symbol", "refreshed", "order_id", "shown_lots")
read_fill = field_reader(
    "fill",
    "sequence",
    "symbol",
    "side",
    "role",
    "trade_id",
    "order_id",
    "price_ticks",
    "qty_lots",
    "value_atoms",
    "open_lots",
    "position_lots",
)
read_listed = field_reader("symbol_listed", "symbol", "name")
read_mark = field_reader("mark_changed", "symbol", "price_ticks")
read_held = field_reader("mark_hold_changed", "symbol", "held")
read_price = field_reader("price_set", "symbol", "source", "price_ticks")
read_policy = field_reader("mark_policy_set", "symbol", "enabled", "max_feeds")
read_funding = field_reader(
    "funding_policy_set", "symbol", "enabled", "interval_ns", "next_funding_ns"
)
read_rate = field_reader(
    "funding_rate", "symbol", "final", "samples", "premium_ppb", "rate_ppb", "next_funding_ns"
)
read_state = field_reader("symbol_state_changed", "symbol", "state")
#: The start of every public event that is told of one symbol.
SYMBOL_START = struct.Struct("<" + EVENT_HEADER.body_format + "I")

RESTED = event_number("order_rested")
CANCELLED = event_number("order_cancelled")
AMENDED = event_number("order_amended")
SHOWN = event_number("order_shown")
REDUCED = event_number("order_reduced")
FILL = event_number("fill")
LISTED = event_number("symbol_listed")
MARK = event_number("mark_changed")
HELD = event_number("mark_hold_changed")
PRICE = event_number("price_set")
POLICY = event_number("mark_policy_set")
FUNDING_POLICY = event_number("funding_policy_set")
FUNDING_RATE = event_number("funding_rate")
STATE = event_number("symbol_state_changed")

#: Public events that are told of one symbol: number -> kind of the topic.
SYMBOL_EVENTS: dict[int, str] = {
    MARK: "mark",
    HELD: "mark",
    PRICE: "mark",
    POLICY: "mark",
    FUNDING_POLICY: "funding",
    FUNDING_RATE: "funding",
    event_number("funding_settled"): "funding",
    event_number("auction_indicated"): "auction",
    event_number("auction_uncrossed"): "auction",
    STATE: "state",
}
#: Public events whose topic is the same for every symbol.
TOPICS: dict[int, str] = {
    event_number("liquidation_started"): market.LIQUIDATIONS_TOPIC,
    event_number("liquidation_order"): market.LIQUIDATIONS_TOPIC,
    event_number("liquidation_ended"): market.LIQUIDATIONS_TOPIC,
    event_number("deficit_uncovered"): market.LIQUIDATIONS_TOPIC,
    event_number("fund_changed"): market.FUNDS_TOPIC,
}
#: Kinds whose last message is repeated to a new subscriber: each tells a state, not a change.
REPEATED = ("auction", "state")


def no_samples(interval_ns: int, next_funding_ns: int) -> FundingView:
    """An interval of which nothing is known yet."""
    return FundingView(
        interval_ns=interval_ns,
        samples=0,
        premium_ppb=0,
        rate_ppb=0,
        next_funding_ns=next_funding_ns,
    )


class Market:
    """What is known of one symbol, and what subscribers were told last."""

    def __init__(self, symbol: int, name: str) -> None:
        self.book = PublicBook(symbol, name)
        self.topics = {kind: market.topic_of(kind, name).encode() for kind in market.SYMBOL_KINDS}
        self.top: Top = (None, None)


class Publisher:
    """Turns batches of events into what subscribers see.  No sockets: it gives topics and payloads."""

    def __init__(
        self,
        epoch: int,
        statistics: StatisticsDesk | None = None,
        interest: Interest | None = None,
    ) -> None:
        self.epoch = epoch
        self.interest = interest  # None: everything is wanted
        self._wanted: set[bytes] = set()
        self._conflation = Conflation(interest)
        self._statistics = statistics or StatisticsDesk()
        self._markets: dict[int, Market] = {}
        self._sequences: dict[bytes, int] = {}
        self._repeated: dict[bytes, market.PublicEvent] = {}  # last of the kinds that tell a state
        self._engine_sequence = 0
        self._timestamp_ns = 0
        self._touched: dict[int, None] = {}  # symbols, in the order in which the batch came to them
        self._published: list[Publication] = []
        self._encoder = msgspec.msgpack.Encoder()
        self._follow: dict[int, Callable[[bytes, int], None]] = {
            **dict.fromkeys(SYMBOL_EVENTS, self._publish_of_symbol),
            **dict.fromkeys(TOPICS, self._publish_general),
            RESTED: self._rested,
            CANCELLED: self._cancelled,
            REDUCED: self._reduced,
            AMENDED: self._amended,
            SHOWN: self._shown,
            FILL: self._filled,
            LISTED: self._listed,
            MARK: self._marked,
            HELD: self._held,
            PRICE: self._priced,
            POLICY: self._policy_set,
            FUNDING_POLICY: self._funding_policy_set,
            FUNDING_RATE: self._rated,
            STATE: self._state_changed,
        }
        if interest is not None:
            interest.listener = self.want
        for topic in (market.LIQUIDATIONS_TOPIC, market.FUNDS_TOPIC):
            self._open_topic(topic.encode())

    def load(self, engine: BookSource, sequence: int, timestamp_ns: int = 0) -> None:
        """Starts from the books of an engine that was recovered up to ``sequence``."""
        self._engine_sequence, self._timestamp_ns = sequence, timestamp_ns
        views = engine.symbols()
        for view in views:
            self._open_market(view.symbol, view.name, view.state)
        self._statistics.load(views, timestamp_ns)
        for order in resting_orders(engine.snapshot()):
            book = self._markets[order.symbol].book
            book.rested(
                order.order_id, order.side, order.price_ticks, order.shown_lots, order.iceberg
            )
            if order.iceberg:
                book.shown(order.order_id, order.shown_lots, refreshed=True)
        for listed in self._markets.values():
            listed.book.forget_changes()
            listed.top = (listed.book.best_bid, listed.book.best_ask)

    def _open_topic(self, topic: bytes) -> None:
        if self.interest is None or self.interest.add(topic):
            self.want(topic)

    def want(self, topic: bytes) -> None:
        """Messages of a topic are made from now on, and no longer only counted."""
        self._conflation.want(topic)
        self._wanted.add(topic)

    # ---------------------------------------------------------------------------------------- the stream

    def publications(self, batch: Batch, events: bytes) -> list[Publication]:
        """What one batch means to the public: trades and public events in order, then what changed by symbol."""
        self._engine_sequence, self._timestamp_ns = batch.last_sequence, batch.timestamp_ns
        for symbol in self._statistics.pass_time(batch.timestamp_ns):
            self._touched[symbol] = None
        offset = 0
        while offset < len(events):
            number, size, _, _ = EVENT_START.unpack_from(events, offset)
            if follow := self._follow.get(number):
                follow(events, offset)
            offset += size
        for symbol in self._touched:
            self._publish_changes(symbol, self._markets[symbol])
        self._touched.clear()
        return self.due(batch.timestamp_ns)

    def due(self, now_ns: int) -> list[Publication]:
        """What conflated topics have to tell at this time; behind what a batch meant, where it ends one."""
        for conflated in self._conflation.take_due(now_ns):
            self._publish_conflated(conflated)
        published, self._published = self._published, []
        return published

    @property
    def next_due_ns(self) -> int:
        """When a conflated topic has something to tell; a time that never comes: none has."""
        return self._conflation.next_due_ns

    def _header(self, topic: bytes) -> dict[str, int]:
        """The four fields that every message starts with; takes the next sequence of the topic."""
        sequence = self._sequences.get(topic, 0) + 1
        self._sequences[topic] = sequence
        return self._header_of(sequence)

    def _header_of(self, sequence: int) -> dict[str, int]:
        return {
            "epoch": self.epoch,
            "sequence": sequence,
            "engine_sequence": self._engine_sequence,
            "timestamp_ns": self._timestamp_ns,
        }

    def _put(self, topic: bytes, message: market.Published) -> None:
        if topic in self._wanted:
            self._published.append((topic, self._encoder.encode(message)))

    def _publish_of_symbol(self, events: bytes, offset: int) -> None:
        number, *_, symbol = SYMBOL_START.unpack_from(events, offset)
        kind = SYMBOL_EVENTS[number]
        topic = self._markets[symbol].topics[kind]
        message = self._publish_event(topic, events, offset)
        if kind in REPEATED:
            self._repeated[topic] = message

    def _publish_general(self, events: bytes, offset: int) -> None:
        number, *_ = EVENT_START.unpack_from(events, offset)
        self._publish_event(TOPICS[number].encode(), events, offset)

    def _publish_event(self, topic: bytes, events: bytes, offset: int) -> market.PublicEvent:
        """A public event as it is; whose it is stays between the exchange and its owner."""
        event = wire.encode_events(without_account(events, offset), 0, [])
        message = market.PublicEvent(**self._header(topic), event=msgspec.Raw(event))
        self._put(topic, message)
        return message

    def _publish_changes(self, symbol: int, listed: Market) -> None:
        book, topics = listed.book, listed.topics
        if changes := book.take_changes():
            topic = topics["orders"]
            self._put(
                topic, market.OrdersDelta(**self._header(topic), symbol=symbol, changes=changes)
            )
        prices = book.take_changed()
        if any(prices):
            self._publish_levels(topics["book"], listed, prices)
            self._conflation.change(symbol, "book", *prices)
        top = (book.best_bid, book.best_ask)
        if top != listed.top:
            listed.top = top
            self._put(topics["top"], self._top_message(symbol, top, self._header(topics["top"])))
            self._conflation.change(symbol, "top")
        if self._statistics.take_changed(symbol):
            topic = topics["statistics"]
            self._put(topic, self._statistics[symbol].message(**self._header(topic)))
            self._conflation.change(symbol, "statistics")

    def _publish_levels(self, topic: bytes, listed: Market, prices: Prices) -> None:
        header = self._header(topic)
        bids, asks = listed.book.levels_at(*prices)
        symbol = listed.book.symbol
        self._put(topic, market.BookDelta(**header, symbol=symbol, bids=bids, asks=asks))

    def _publish_conflated(self, conflated: Conflated) -> None:
        """All that changed since the last message of this topic, as it is now."""
        symbol, topic = conflated.symbol, conflated.topic
        listed = self._markets[symbol]
        match conflated.kind:
            case "book":
                self._publish_levels(topic, listed, conflated.take_prices())
            case "top":
                self._put(topic, self._top_message(symbol, listed.top, self._header(topic)))
            case _:
                self._put(topic, self._statistics[symbol].message(**self._header(topic)))

    def _top_message(self, symbol: int, top: Top, header: dict[str, int]) -> market.TopOfBook:
        bid, ask = top
        return market.TopOfBook(**header, symbol=symbol, bid=bid, ask=ask)

    # ---------------------------------------------------------------------------------------- the events

    def _book(self, symbol: int) -> PublicBook:
        self._touched[symbol] = None
        return self._markets[symbol].book

    def _rested(self, events: bytes, offset: int) -> None:
        symbol, side, flags, order_id, price_ticks, open_lots = read_rested(events, offset)
        self._book(symbol).rested(
            order_id, side, price_ticks, open_lots, bool(flags & OrderFlag.ICEBERG)
        )

    def _shown(self, events: bytes, offset: int) -> None:
        symbol, refreshed, order_id, shown_lots = read_shown(events, offset)
        self._book(symbol).shown(order_id, shown_lots, bool(refreshed))

    def _cancelled(self, events: bytes, offset: int) -> None:
        symbol, place, order_id = read_cancelled(events, offset)
        if place == OrderPlace.BOOK:
            self._book(symbol).cancelled(order_id)

    def _reduced(self, events: bytes, offset: int) -> None:
        symbol, place, order_id, reduced_lots = read_reduced(events, offset)
        if place == OrderPlace.BOOK:
            self._book(symbol).reduced(order_id, reduced_lots)

    def _amended(self, events: bytes, offset: int) -> None:
        symbol, kept_priority, order_id, open_lots = read_amended(events, offset)
        self._book(symbol).amended(order_id, bool(kept_priority), open_lots)

    def _filled(self, events: bytes, offset: int) -> None:
        (
            sequence,
            symbol,
            side,
            role,
            trade_id,
            order_id,
            price,
            lots,
            value,
            open_lots,
            position,
        ) = read_fill(events, offset)
        self._touched[symbol] = None
        statistics = self._statistics[symbol]
        statistics.move_position(side, lots, position)
        if role in (FillRole.MAKER, FillRole.AUCTION):
            self._book(symbol).filled(order_id, lots, open_lots, trade_id)
        if is_print(role, side):
            statistics.trade(price_ticks=price, qty_lots=lots, value_atoms=value)
            topic = self._markets[symbol].topics["trades"]
            header = {**self._header(topic), "engine_sequence": sequence}
            trade = market.Trade(
                **header,
                symbol=symbol,
                trade_id=trade_id,
                side=market.NOBODY if role == FillRole.AUCTION else side,
                price_ticks=price,
                qty_lots=lots,
                liquidation=role == FillRole.LIQUIDATED,
                auction=role == FillRole.AUCTION,
            )
            self._put(topic, trade)

    def _listed(self, events: bytes, offset: int) -> None:
        symbol, name = read_listed(events, offset)
        open_from_now = SymbolState.OPEN  # as every symbol is listed
        self._open_market(symbol, name.rstrip(b"\0").decode("utf-8", "replace"), open_from_now)
        self._statistics.list_symbol(symbol)

    def _open_market(self, symbol: int, name: str, state: int) -> None:
        """Topics go by name; where another symbol has the same, the number is added."""
        while any(other.book.name == name for other in self._markets.values()):
            name = f"{name}#{symbol}"
        self._markets[symbol] = Market(symbol, name)
        for topic in self._markets[symbol].topics.values():
            self._open_topic(topic)
        self._wanted.update(self._conflation.open_market(symbol, name))
        now = SymbolStateChanged(sequence=self._engine_sequence, symbol=symbol, state=state)
        self._remember(symbol, "state", now)

    def _remember(self, symbol: int, kind: str, event: Event) -> None:
        """What a new subscriber hears of a state before it has changed for the first time."""
        wired = msgspec.Raw(wire.encode_events(encode_event(event), 0, []))
        message = market.PublicEvent(**self._header_of(0), event=wired)
        self._repeated[self._markets[symbol].topics[kind]] = message

    def _marked(self, events: bytes, offset: int) -> None:
        symbol, price_ticks = read_mark(events, offset)
        self._statistics[symbol].move_mark(price_ticks)
        self._touched[symbol] = None
        self._publish_of_symbol(events, offset)

    def _held(self, events: bytes, offset: int) -> None:
        symbol, held = read_held(events, offset)
        self._statistics[symbol].hold_mark(bool(held))
        self._touched[symbol] = None
        self._publish_of_symbol(events, offset)

    def _priced(self, events: bytes, offset: int) -> None:
        symbol, source, price_ticks = read_price(events, offset)
        self._statistics[symbol].set_price(PriceView(source, price_ticks, self._timestamp_ns))
        self._touched[symbol] = None
        self._publish_of_symbol(events, offset)

    def _policy_set(self, events: bytes, offset: int) -> None:
        symbol, enabled, max_feeds = read_policy(events, offset)
        self._statistics[symbol].keep_feeds(max_feeds if enabled else -1)
        self._touched[symbol] = None
        self._publish_of_symbol(events, offset)

    def _funding_policy_set(self, events: bytes, offset: int) -> None:
        symbol, enabled, interval_ns, next_funding_ns = read_funding(events, offset)
        funding = no_samples(interval_ns, next_funding_ns) if enabled else None
        self._statistics[symbol].set_funding(funding)
        self._touched[symbol] = None
        self._publish_of_symbol(events, offset)

    def _rated(self, events: bytes, offset: int) -> None:
        """The rate so far; when an interval is over, nothing is known of the next one."""
        symbol, final, samples, premium_ppb, rate_ppb, next_ns = read_rate(events, offset)
        statistics = self._statistics[symbol]
        if statistics.funding is not None:
            funding = no_samples(statistics.funding.interval_ns, next_ns)
            if not final:
                funding = msgspec.structs.replace(
                    funding, samples=samples, premium_ppb=premium_ppb, rate_ppb=rate_ppb
                )
            statistics.set_funding(funding)
        self._touched[symbol] = None
        self._publish_of_symbol(events, offset)

    def _state_changed(self, events: bytes, offset: int) -> None:
        symbol, state = read_state(events, offset)
        if state == SymbolState.SETTLED:  # no policy of prices outlives it
            self._statistics[symbol].keep_feeds(-1)
            self._statistics[symbol].hold_mark(False)
            self._statistics[symbol].set_funding(None)
            self._touched[symbol] = None
        self._publish_of_symbol(events, offset)

    # ------------------------------------------------------------------------------ joining, and snapshots

    def join_marker(self, subscription: bytes) -> list[Publication]:
        """What a new subscriber gets first: the present state of a topic, with the sequence of its last message.

        It proves that the subscription is at work, so a snapshot asked for after it misses nothing.
        """
        if (conflated := self._conflation.find(subscription)) is not None:
            listed = self._markets[conflated.symbol]
            return self._present_state(conflated.symbol, listed, conflated.kind, subscription)
        for symbol, listed in self._markets.items():
            for kind, topic in listed.topics.items():
                if topic == subscription:
                    return self._present_state(symbol, listed, kind, topic)
        return []

    def _present_state(
        self, symbol: int, listed: Market, kind: str, topic: bytes
    ) -> list[Publication]:
        header: dict[str, Any] = self._header_of(self._sequences.get(topic, 0))
        match kind:
            case "book":
                message: market.Published = market.BookDelta(
                    **header, symbol=symbol, bids=[], asks=[]
                )
            case "orders":
                message = market.OrdersDelta(**header, symbol=symbol, changes=[])
            case "top":
                message = self._top_message(symbol, listed.top, header)
            case "statistics":
                message = self._statistics[symbol].message(**header)
            case _ if topic in self._repeated:
                message = self._repeated[topic]
            case _:
                return []
        return [(topic, self._encoder.encode(message))]

    def public_name(self, symbol: int) -> str:
        """The name that the symbol's topics have."""
        return self._markets[symbol].book.name

    def snapshot(self, symbol: int, depth: int = 0, interval_ms: int = 0) -> market.BookSnapshot:
        """The levels as of now, to join the stream with: after the last message of ``book``, or of that interval's.

        KeyError on a symbol that is not listed.
        """
        listed = self._markets[symbol]
        kind = market.conflated_kind("book", interval_ms)
        topic = market.topic_of(kind, listed.book.name).encode()
        return market.BookSnapshot(
            symbol=symbol,
            epoch=self.epoch,
            sequence=self._sequences.get(topic, 0),
            engine_sequence=self._engine_sequence,
            bids=listed.book.levels(Side.BUY, depth),
            asks=listed.book.levels(Side.SELL, depth),
        )

    def orders_snapshot(self, symbol: int) -> market.OrdersSnapshot:
        """The orders as of their last delta, queue by queue.  KeyError on a symbol that is not listed."""
        listed = self._markets[symbol]
        return market.OrdersSnapshot(
            symbol=symbol,
            epoch=self.epoch,
            sequence=self._sequences.get(listed.topics["orders"], 0),
            engine_sequence=self._engine_sequence,
            bids=listed.book.queue(Side.BUY),
            asks=listed.book.queue(Side.SELL),
        )

    def statistics(self, symbol: int) -> market.Statistics:
        """The statistics as of now.  KeyError on a symbol that is not listed."""
        topic = self._markets[symbol].topics["statistics"]
        return self._statistics[symbol].message(**self._header_of(self._sequences.get(topic, 0)))


ACCOUNT_OFFSET = 4  # in the header of an event, after type and size
assert [f.name for f in EVENT_HEADER.fields][:3] == ["type", "size", "account"]


def without_account(events: bytes, offset: int) -> bytes:
    """The record of an event at ``offset``, as if it were nobody's."""
    _, size, _, _ = EVENT_START.unpack_from(events, offset)
    rest = offset + ACCOUNT_OFFSET + 4
    return events[offset : offset + ACCOUNT_OFFSET] + bytes(4) + events[rest : offset + size]
