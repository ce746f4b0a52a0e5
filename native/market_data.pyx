"""Market data from event records, without a Python object per event: the compiled publisher and the last 24 hours.

This is the door between Python and the rooms behind it, which know no Python:

    market_data -> market_feed -> market_statistics -> market_book -> book, block_index, memory; packing, buffer

`Publisher` is what exchange.gateway.publisher.Publisher is, and gives the same bytes; `StatisticsDesk` is that of
exchange.gateway.statistics.  A node uses these two where the core is built.  One thread at a time: the node's loop calls
`publications`, or the functions of `door` without the GIL, and everything else between two batches.
"""

import msgspec

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from native.book cimport book_next_price
from native.canonical cimport state_order
from native.doors cimport CODEC_DOOR, MARKET_DATA_DOOR, codec_door_t, market_data_door_t, publication_t
from native.market_book cimport (
    FAULT_LOTS, FAULT_MEMORY, FAULT_ORDER, FAULT_RECORD, FAULT_SYMBOL, Prices, PublicLevel, PublicOrder, PublicSide,
    level_at, prices_clear, public_level, public_order,
)
from native.market_feed cimport (
    CONFLATED_BOOK, CONFLATED_KINDS, CONFLATED_TOP, INTERVALS, SYMBOL_TOPICS, TOPIC_AUCTION, TOPIC_BOOK, TOPIC_ORDERS,
    TOPIC_STATE, TOPIC_STATISTICS, TOPIC_TOP, Conflated, Feed, Market, Publication, Repeated, Topic, best_level, feed_close,
    feed_due, feed_follow, feed_open, join, market_new, market_of, message_begin, message_end, note_levels, open_state,
    publication_after, publication_at, publication_payload, publication_topic, put_event, put_levels, put_statistics,
    put_top, rest, stamp_now, topic_name,
)
from native.market_statistics cimport (
    Desk, Statistics, desk_close, desk_feed, desk_list, desk_open, desk_pass_time, statistics_of,
)
from native.packing cimport write_array, write_key, write_unsigned
from native.wire cimport MAX_FEEDS, MAX_NAME_BYTES, ORDER_FLAG_ICEBERG, SIDE_BUY, SIDE_SELL

from exchange._native import codec as codec_module
from exchange.errors import CorruptionError
from exchange.gateway import feed as market
from exchange.gateway.resting import orders_part
from exchange.protocol.views import LevelView

FAULTS = {
    FAULT_ORDER: "an event of an order that does not rest, or of one that rests already",
    FAULT_LOTS: "an order came to show less than nothing",
    FAULT_SYMBOL: "an event of a symbol that is not listed, or a symbol that is listed twice",
    FAULT_RECORD: "bytes that are no event record",
}

cdef enum:
    # Below this the work is shorter than getting the GIL back from a busy thread (up to 5 ms) may take.
    NOGIL_BYTES = 16384


def raise_fault(int fault):
    """The error of a feed or desk that stopped."""
    if fault == FAULT_MEMORY:
        raise MemoryError("the system gives no memory for market data")
    raise CorruptionError(f"market data does not follow from the events: {FAULTS[fault]}")


cdef class StatisticsDesk:
    """The last 24 hours of every symbol, as exchange.gateway.statistics counts them."""

    cdef Desk desk

    def __cinit__(self):
        if not desk_open(&self.desk):
            raise MemoryError

    def __dealloc__(self):
        desk_close(&self.desk)

    def feed(self, const uint8_t[::1] events not None):
        """Counts the trades of replayed events; their time is that of the command before them."""
        cdef int64_t size = events.shape[0]
        if size:
            with nogil:
                desk_feed(&self.desk, &events[0], size)
        if self.desk.fault:
            raise_fault(self.desk.fault)

    def load(self, views, int64_t timestamp_ns):
        """Takes over where the symbols stand in an engine that was recovered."""
        cdef Statistics* statistics
        desk_pass_time(&self.desk, timestamp_ns)
        for view in views:
            statistics = statistics_of(&self.desk, view.symbol)
            if statistics == NULL:
                statistics = desk_list(&self.desk, view.symbol)
            if statistics == NULL:
                raise_fault(self.desk.fault)
            statistics.open_interest_lots = view.open_interest_lots
            statistics.mark_ticks = view.mark_ticks
            statistics.mark_held = view.mark_held
            memset(statistics.prices, 0, sizeof(statistics.prices))
            for price in view.prices:
                if price.source > MAX_FEEDS:
                    raise_fault(FAULT_RECORD)
                statistics.prices[<int>price.source].known = True
                statistics.prices[<int>price.source].price_ticks = price.price_ticks
                statistics.prices[<int>price.source].received_ns = price.received_ns
            memset(&statistics.funding, 0, sizeof(statistics.funding))
            if view.funding is not None:
                statistics.funding.known = True
                statistics.funding.interval_ns = view.funding.interval_ns
                statistics.funding.samples = view.funding.samples
                statistics.funding.premium_ppb = view.funding.premium_ppb
                statistics.funding.rate_ppb = view.funding.rate_ppb
                statistics.funding.next_funding_ns = view.funding.next_funding_ns
            statistics.changed = False


cdef class Publisher:
    """Turns batches of events into what subscribers see: exchange.gateway.publisher.Publisher, compiled."""

    cdef readonly uint64_t epoch
    cdef readonly object interest
    cdef Feed feed
    cdef StatisticsDesk desk
    cdef object codec
    cdef dict names          # symbol -> the name that its topics have
    cdef dict topics         # of symbols: topic -> (symbol, kind)
    cdef dict conflated      # topic -> (symbol, kind, number of the interval)
    cdef market_data_door_t c_door

    def __cinit__(self, uint64_t epoch, StatisticsDesk statistics=None, interest=None):
        self.epoch = epoch
        self.desk = StatisticsDesk() if statistics is None else statistics
        self.interest = interest
        self.codec = codec_module.door()
        self.names = {}
        self.topics = {}
        self.conflated = {}
        if len(market.CONFLATED_KINDS) != CONFLATED_KINDS or len(market.INTERVALS_MS) != INTERVALS:
            raise ImportError("the conflated topics of feed.py need other constants in native/market_feed.pxd")
        self.feed.owner = <void*>self
        self.feed.name_topics = name_topics
        if not feed_open(
            &self.feed, &self.desk.desk, <codec_door_t*>PyCapsule_GetPointer(self.codec, CODEC_DOOR), epoch
        ):
            raise MemoryError("the system does not reserve the address space that market data grows into")
        self.name_topic(&self.feed.liquidations, market.LIQUIDATIONS_TOPIC.encode())
        self.name_topic(&self.feed.funds, market.FUNDS_TOPIC.encode())
        if interest is not None:
            interest.listener = self.want

    def __dealloc__(self):
        feed_close(&self.feed)

    # ------------------------------------------------------------------------------------------------ topics

    cdef int name_topic(self, Topic* topic, bytes name) except -1:
        topic_name(topic, name, <uint32_t>len(name))
        topic.is_wanted = self.interest is None or self.interest.add(name)
        return 0

    cdef int name_market(self, Market* listed, str name) except -1:
        """Topics go by name; where another symbol has the same, the number is added."""
        cdef int kind
        while name in self.names.values():
            name = f"{name}#{listed.symbol}"
        self.names[listed.symbol] = name
        for kind in range(SYMBOL_TOPICS):
            topic = market.topic_of(market.SYMBOL_KINDS[kind], name).encode()
            self.topics[topic] = (listed.symbol, kind)
            self.name_topic(&listed.topics[kind], topic)
        for kind in range(CONFLATED_KINDS):
            for i in range(INTERVALS):
                self.name_conflated(&listed.conflated[kind][i], name, market.INTERVALS_MS[i])
        note_levels(listed)
        return 0

    cdef int name_conflated(self, Conflated* conflated, str name, int64_t interval_ms) except -1:
        """A conflated topic is there for those who name its kind and interval at least."""
        kind = market.conflated_kind(market.CONFLATED_KINDS[conflated.kind], interval_ms)
        topic = market.topic_of(kind, name).encode()
        self.conflated[topic] = (conflated.symbol, conflated.kind, market.INTERVALS_MS.index(interval_ms))
        topic_name(&conflated.topic, topic, <uint32_t>len(topic))
        conflated.interval_ns = interval_ms * 1_000_000
        conflated.topic.is_wanted = self.interest is not None and self.interest.add(topic, len(kind) + 1)
        return 0

    cdef Conflated* find_conflated(self, bytes topic) except? NULL:
        """The conflated topic of this name; NULL: there is none."""
        place = self.conflated.get(topic)
        if place is None:
            return NULL
        return &self.listed(place[0]).conflated[<int>place[1]][<int>place[2]]

    def want(self, bytes topic not None):
        """Messages of a topic are made from now on, and no longer only counted."""
        cdef Conflated* conflated = self.find_conflated(topic)
        cdef Market* listed
        if conflated != NULL:
            conflated.topic.is_wanted = True
            note_levels(self.listed(conflated.symbol))
        elif topic in self.topics:
            symbol, kind = self.topics[topic]
            listed = self.listed(symbol)
            listed.topics[<int>kind].is_wanted = True
            note_levels(listed)
        elif topic == market.LIQUIDATIONS_TOPIC.encode():
            self.feed.liquidations.is_wanted = True
        else:
            self.feed.funds.is_wanted = True

    cdef Market* listed(self, uint32_t symbol) except NULL:
        cdef Market* found = market_of(&self.feed, symbol)
        if found == NULL:
            raise KeyError(symbol)
        return found

    # --------------------------------------------------------------------------------------------- the stream

    def load(self, engine, uint64_t sequence, int64_t timestamp_ns=0):
        """Starts from the books of an engine that was recovered up to ``sequence``."""
        cdef Market* listed
        cdef bytes state = engine.snapshot()
        cdef const state_order* order
        cdef uint32_t slot
        cdef bint is_iceberg
        cdef int side
        self.feed.engine_sequence = sequence
        self.feed.timestamp_ns = timestamp_ns
        views = engine.symbols()
        for view in views:
            listed = market_new(&self.feed, view.symbol)
            if listed == NULL:
                raise_fault(FAULT_SYMBOL)
            self.name_market(listed, view.name)
            open_state(&self.feed, listed, view.state)
        self.desk.load(views, timestamp_ns)
        offset, count = orders_part(state)
        order = <const state_order*>(<const char*>state + <int64_t>offset)
        for _ in range(count):
            is_iceberg = (order.flags & ORDER_FLAG_ICEBERG) != 0
            listed = self.listed(order.symbol)
            slot = rest(&self.feed, listed, order.order_id, order.side, order.price_ticks, is_iceberg)
            if slot:
                join(&self.feed, listed, slot, order.shown_lots if is_iceberg else order.open_lots)
            order += 1
        for view in views:
            listed = self.listed(view.symbol)
            listed.change_count = 0
            listed.changes.used = 0
            listed.last_removed = 0
            for side in range(2):
                listed.sides[side].is_changed = False
                prices_clear(&listed.sides[side].changed)
                listed.told[side] = best_level(&self.feed, &listed.sides[side])
        self.check()

    cdef int check(self) except -1:
        cdef int fault = self.feed.fault or self.feed.books.fault or self.feed.desk.fault
        if fault:
            raise_fault(fault)
        return 0

    def publications(self, batch, const uint8_t[::1] events not None):
        """What one batch means to the public: trades and public events in order, then what changed by symbol."""
        self.follow(batch, events)
        return self.taken()

    def follow(self, batch, const uint8_t[::1] events not None):
        """As ``publications``, but what it means stays where compiled modules read it; returns the bytes that it takes."""
        cdef int64_t size = events.shape[0]
        cdef const uint8_t* at = &events[0] if size else NULL
        cdef uint64_t last_sequence = batch.last_sequence
        cdef int64_t timestamp_ns = batch.timestamp_ns
        if size > NOGIL_BYTES:
            with nogil:
                feed_follow(&self.feed, at, size, last_sequence, timestamp_ns)
        else:
            feed_follow(&self.feed, at, size, last_sequence, timestamp_ns)
        self.check()
        return self.feed.out.used

    def due(self, int64_t now_ns):
        """What conflated topics have to tell at this time."""
        feed_due(&self.feed, now_ns)
        self.check()
        return self.taken()

    @property
    def next_due_ns(self):
        """When a conflated topic has something to tell; a time that never comes: none has."""
        return self.feed.next_due_ns

    cdef list taken(self):
        """The publications that stand in the buffer, as topics and payloads."""
        cdef list publications = []
        cdef Publication* publication
        cdef size_t at = 0
        while True:
            publication = publication_at(&self.feed, at)
            if publication == NULL:
                return publications
            publications.append((
                PyBytes_FromStringAndSize(<char*>publication_topic(publication), publication.topic_bytes),
                PyBytes_FromStringAndSize(<char*>publication_payload(publication), publication.payload_bytes),
            ))
            at = publication_after(at, publication)

    def door(self):
        """The functions in C, for compiled modules (native/doors.pxd), while this publisher lives."""
        self.c_door.feed = &self.feed
        self.c_door.follow = door_follow
        self.c_door.next = door_next
        self.c_door.next_due_ns = door_next_due_ns
        return PyCapsule_New(&self.c_door, MARKET_DATA_DOOR, NULL)

    # ------------------------------------------------------------------------------ joining, and snapshots

    def join_marker(self, bytes subscription not None):
        """What a new subscriber gets first: the present state of a topic, with the sequence of its last message.

        It proves that the subscription is at work, so a snapshot asked for after it misses nothing.
        """
        cdef Conflated* conflated = self.find_conflated(subscription)
        cdef Market* listed
        cdef int kind
        self.feed.out.used = 0
        if conflated != NULL:
            kind = TOPIC_BOOK if conflated.kind == CONFLATED_BOOK else \
                TOPIC_TOP if conflated.kind == CONFLATED_TOP else TOPIC_STATISTICS
            self.put_present_state(self.listed(conflated.symbol), kind, &conflated.topic)
        elif subscription in self.topics:
            symbol, kind = self.topics[subscription]
            listed = self.listed(symbol)
            self.put_present_state(listed, kind, &listed.topics[kind])
        self.check()
        return self.taken()

    cdef int put_present_state(self, Market* listed, int kind, Topic* topic) except -1:
        cdef uint8_t* to
        cdef Repeated* repeated = &listed.auction if kind == TOPIC_AUCTION else &listed.state
        cdef Prices none
        memset(&none, 0, sizeof(none))
        if kind == TOPIC_BOOK:
            put_levels(&self.feed, listed, topic, &none, &none)
        elif kind == TOPIC_ORDERS:
            to = message_begin(&self.feed, topic, 64, 2, stamp_now(&self.feed, topic))
            if to != NULL:
                to = write_unsigned(write_key(to, b"symbol", 6), listed.symbol)
                message_end(&self.feed, write_array(write_key(to, b"changes", 7), 0))
        elif kind == TOPIC_TOP:
            put_top(&self.feed, listed, topic)
        elif kind == TOPIC_STATISTICS:
            put_statistics(&self.feed, topic, statistics_of(&self.desk.desk, listed.symbol))
        elif (kind == TOPIC_AUCTION or kind == TOPIC_STATE) and repeated.is_known:
            put_event(&self.feed, topic, repeated.record, repeated.stamp)
        return 0

    def public_name(self, uint32_t symbol):
        """The name that the symbol's topics have."""
        return self.names[symbol]

    def snapshot(self, uint32_t symbol, int64_t depth=0, int64_t interval_ms=0):
        """The levels as of now, to join the stream with: after the last message of ``book``, or of that interval's.

        KeyError on a symbol that is not listed.
        """
        cdef Market* listed = self.listed(symbol)
        cdef int i
        cdef uint64_t sequence = 0 if interval_ms else listed.topics[TOPIC_BOOK].sequence
        for i in range(INTERVALS):
            if market.INTERVALS_MS[i] == interval_ms:
                sequence = listed.conflated[CONFLATED_BOOK][i].topic.sequence
        return market.BookSnapshot(
            symbol=symbol,
            epoch=self.epoch,
            sequence=sequence,
            engine_sequence=self.feed.engine_sequence,
            bids=self.levels(&listed.sides[SIDE_BUY], depth),
            asks=self.levels(&listed.sides[SIDE_SELL], depth),
        )

    cdef list levels(self, PublicSide* side, int64_t depth):
        """The levels of a side, best first; depth 0: all."""
        cdef list levels = []
        cdef int64_t price = side.side.best_ticks
        cdef PublicLevel* level
        while price and (depth == 0 or len(levels) < depth):
            level = public_level(&self.feed.books, level_at(side, price))
            levels.append(LevelView(price, level.lots, level.count))
            price = book_next_price(&side.side, price)
        return levels

    def orders_snapshot(self, uint32_t symbol):
        """The orders as of their last delta, queue by queue.  KeyError on a symbol that is not listed."""
        cdef Market* listed = self.listed(symbol)
        return market.OrdersSnapshot(
            symbol=symbol,
            epoch=self.epoch,
            sequence=listed.topics[TOPIC_ORDERS].sequence,
            engine_sequence=self.feed.engine_sequence,
            bids=self.queue(&listed.sides[SIDE_BUY]),
            asks=self.queue(&listed.sides[SIDE_SELL]),
        )

    cdef list queue(self, PublicSide* side):
        """The orders of a side: best price first, at one price who is first in the queue."""
        cdef list orders = []
        cdef int64_t price = side.side.best_ticks
        cdef uint32_t slot
        cdef PublicOrder* order
        while price:
            slot = public_level(&self.feed.books, level_at(side, price)).head
            while slot:
                order = public_order(&self.feed.books, slot)
                orders.append(market.QueuedOrder(order.order_id, price, order.lots))
                slot = order.next
            price = book_next_price(&side.side, price)
        return orders

    def statistics(self, uint32_t symbol):
        """The statistics as of now.  KeyError on a symbol that is not listed."""
        cdef Market* listed = self.listed(symbol)
        self.feed.out.used = 0
        put_statistics(&self.feed, &listed.topics[TOPIC_STATISTICS], statistics_of(&self.desk.desk, symbol))
        self.check()
        ((_, payload),) = self.taken()
        return STATISTICS.decode(payload)


STATISTICS = msgspec.msgpack.Decoder(market.Statistics)


cdef bint name_topics(void* owner, uint32_t symbol, const char* name) noexcept with gil:
    cdef Publisher publisher = <Publisher>owner
    try:
        # Only a record that no client can send holds broken text.
        text = (<bytes>name[:MAX_NAME_BYTES]).rstrip(b"\0").decode("utf-8", "replace")
        publisher.name_market(market_of(&publisher.feed, symbol), text)
    except MemoryError:
        return False
    return True


cdef int door_follow(
    void* feed, const uint8_t* events, int64_t size, uint64_t last_sequence, int64_t timestamp_ns
) noexcept nogil:
    return feed_follow(<Feed*>feed, events, size, last_sequence, timestamp_ns)


cdef int64_t door_next_due_ns(void* feed) noexcept nogil:
    return (<Feed*>feed).next_due_ns


cdef bint door_next(void* feed, size_t* at, publication_t* publication) noexcept nogil:
    cdef Publication* found = publication_at(<Feed*>feed, at[0])
    if found == NULL:
        return False
    publication.topic = publication_topic(found)
    publication.topic_bytes = found.topic_bytes
    publication.payload = publication_payload(found)
    publication.payload_bytes = found.payload_bytes
    at[0] = publication_after(at[0], found)
    return True
