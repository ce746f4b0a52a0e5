"""Market data from event records: books, statistics, and what subscribers are sent, byte for byte as the reference does it.

Theory of operation.  `follow` takes the events of one batch.  Each is carried over into the book of its symbol and into
its statistics; trades and public events are written out as they come.  At the end of the batch every symbol that was
touched tells what changed: its orders, its levels, its top, its statistics, each with the next sequence of its topic.
What is told stands in one buffer, publication behind publication, each a `Publication`, its topic and its payload; the
next batch writes over it.  A topic that nobody wants only counts on.  Conflated topics that have something to tell wait
in a queue, those first that were changed first; exchange/gateway/conflation.py tells what they are.

The reference is exchange/gateway/publisher.py with public_book.py, statistics.py and feed.py.  Nothing here knows
Python; the one thing that does not come in events, how a new symbol's topics are called, is asked of the door.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from native.book cimport book_next_price
from native.buffer cimport buffer_free, buffer_reserve, buffer_t
from native.core cimport BookSide
from native.doors cimport codec_door_t
from native.market_book cimport (
    FAULT_LOTS, FAULT_MEMORY, FAULT_ORDER, FAULT_RECORD, FAULT_SYMBOL, Prices, PublicBooks, PublicLevel, PublicOrder,
    PublicSide, books_close, books_open, level_at, prices_clear, prices_close, prices_merge, prices_sort, public_drop,
    public_find, public_level, public_new, public_order, queue_join, queue_leave, queue_reduce, side_close, side_open,
)
from native.market_statistics cimport (
    Desk, SourcePrice, Statistics, count_trade, desk_list, desk_pass_time, is_print, keep_feeds, move_position, set_funding,
    since_ns, statistics_of,
)
from native.packing cimport (
    write_array, write_bool, write_key, write_map, write_nil, write_signed, write_unsigned,
)
from native.units cimport i128, imin, rarely
from native.wire cimport *

cdef enum:                             # kinds of topics of a symbol, in the order of SYMBOL_KINDS in feed.py
    TOPIC_TOP
    TOPIC_BOOK
    TOPIC_ORDERS
    TOPIC_TRADES
    TOPIC_AUCTION
    TOPIC_STATE
    TOPIC_STATISTICS
    TOPIC_MARK
    TOPIC_FUNDING
    SYMBOL_TOPICS

cdef enum:                             # kinds that there are conflated too, in the order of CONFLATED_KINDS in feed.py
    CONFLATED_TOP
    CONFLATED_BOOK
    CONFLATED_STATISTICS
    CONFLATED_KINDS

cdef enum:                             # what happened to a resting order: OrderAction in feed.py
    ACTION_ADDED = 1
    ACTION_REDUCED
    ACTION_REPLACED
    ACTION_REMOVED
    ACTION_FILLED

cdef extern from *:
    """
    #define MARKET_NEVER_NS INT64_MAX
    """
    const int64_t NEVER_NS "MARKET_NEVER_NS"

cdef enum:
    NOBODY = 2                         # in the place of a side where there is no aggressor: an auction
    MAX_TOPIC_BYTES = 96
    MAX_EVENT_BYTES = 128              # of a public event's record
    EVENT_NUMBERS = 256                # no event has a higher number
    OUT_KEPT = 1 << 24                 # bytes of publications for which the room stays between batches
    LEVEL_BYTES = 1 + 9 + 9 + 5        # of a level, at most
    CHANGE_BYTES = 1 + 1 + 9 + 1 + 9 + 9 + 9 + 9
    HEADER_BYTES = 128                 # of what every message starts with, and its own names
    INTERVALS = 3                      # as in INTERVALS_MS in feed.py
    STATISTICS_BYTES = 512 + (MAX_FEEDS + 1) * 24

cdef struct Publication:               # in the buffer: this, the topic, the payload
    uint32_t topic_bytes
    uint32_t payload_bytes

cdef struct Topic:
    uint64_t sequence                  # of its last message
    bint is_wanted
    uint32_t name_bytes
    uint8_t name[MAX_TOPIC_BYTES]

cdef struct Stamp:                     # of a message: its place in its topic, and in the journal
    uint64_t sequence
    uint64_t engine_sequence
    int64_t timestamp_ns

cdef struct Repeated:                  # the last event of a topic that tells a state, for whoever comes later
    bint is_known
    Stamp stamp
    uint8_t record[MAX_EVENT_BYTES]

cdef struct Level3:                    # a level as it is told: price 0, there is none
    int64_t price_ticks
    int64_t lots
    uint32_t count

cdef struct Conflated:                 # a kind of a symbol at an interval
    Topic topic
    int kind
    uint32_t symbol
    int64_t interval_ns
    int64_t due_ns                     # before this time it tells nothing
    bint is_pending                    # it has something to tell
    Conflated* next_pending
    Prices bids                        # of levels that changed since its last message
    Prices asks

cdef struct Market:
    uint32_t symbol
    uint64_t touched_in                # the last batch that came to it
    PublicSide sides[2]
    Level3 told[2]                     # the top as it was told last
    buffer_t changes                   # of orders, written
    uint32_t change_count
    uint64_t last_removed              # the order that the last change removed, if that is what it did
    size_t last_change_at
    Repeated auction
    Repeated state
    Topic topics[SYMBOL_TOPICS]
    Conflated conflated[CONFLATED_KINDS][INTERVALS]

cdef struct Feed:
    PublicBooks books
    Desk* desk
    const codec_door_t* codec
    void* owner                        # the door, which names the topics of a symbol that is listed
    bint (*name_topics)(void* owner, uint32_t symbol, const char* name) noexcept nogil
    uint64_t epoch
    uint64_t engine_sequence
    int64_t timestamp_ns
    Market** markets                   # by number
    Market** touched                   # by this batch, in the order in which it came to them; there is room for all
    uint32_t market_count
    uint32_t touched_count
    Topic liquidations
    Topic funds
    Conflated* first_pending
    Conflated* last_pending
    int64_t next_due_ns                # of the pending ones; NEVER_NS: there are none
    buffer_t out
    size_t message_at                  # where the message begins that is being written
    uint16_t event_bytes[EVENT_NUMBERS]          # of the events that are followed, by number; 0: it is not
    int fault                          # from then on nothing is followed

# --------------------------------------------------------------------------------------------- begin and end

cdef inline void feed_follow_event(Feed* feed, uint16_t number, size_t size) noexcept nogil:
    feed.event_bytes[number] = <uint16_t>size

cdef inline void feed_follow_events(Feed* feed) noexcept nogil:
    """The events that mean something to the public."""
    feed_follow_event(feed, EVENT_ORDER_RESTED, sizeof(wire_order_rested))
    feed_follow_event(feed, EVENT_ORDER_CANCELLED, sizeof(wire_order_cancelled))
    feed_follow_event(feed, EVENT_ORDER_REDUCED, sizeof(wire_order_reduced))
    feed_follow_event(feed, EVENT_ORDER_AMENDED, sizeof(wire_order_amended))
    feed_follow_event(feed, EVENT_ORDER_SHOWN, sizeof(wire_order_shown))
    feed_follow_event(feed, EVENT_FILL, sizeof(wire_fill))
    feed_follow_event(feed, EVENT_SYMBOL_LISTED, sizeof(wire_symbol_listed))
    feed_follow_event(feed, EVENT_MARK_CHANGED, sizeof(wire_mark_changed))
    feed_follow_event(feed, EVENT_MARK_HOLD_CHANGED, sizeof(wire_mark_hold_changed))
    feed_follow_event(feed, EVENT_PRICE_SET, sizeof(wire_price_set))
    feed_follow_event(feed, EVENT_MARK_POLICY_SET, sizeof(wire_mark_policy_set))
    feed_follow_event(feed, EVENT_FUNDING_POLICY_SET, sizeof(wire_funding_policy_set))
    feed_follow_event(feed, EVENT_FUNDING_RATE, sizeof(wire_funding_rate))
    feed_follow_event(feed, EVENT_FUNDING_SETTLED, sizeof(wire_funding_settled))
    feed_follow_event(feed, EVENT_AUCTION_INDICATED, sizeof(wire_auction_indicated))
    feed_follow_event(feed, EVENT_AUCTION_UNCROSSED, sizeof(wire_auction_uncrossed))
    feed_follow_event(feed, EVENT_SYMBOL_STATE_CHANGED, sizeof(wire_symbol_state_changed))
    feed_follow_event(feed, EVENT_LIQUIDATION_STARTED, sizeof(wire_liquidation_started))
    feed_follow_event(feed, EVENT_LIQUIDATION_ORDER, sizeof(wire_liquidation_order))
    feed_follow_event(feed, EVENT_LIQUIDATION_ENDED, sizeof(wire_liquidation_ended))
    feed_follow_event(feed, EVENT_DEFICIT_UNCOVERED, sizeof(wire_deficit_uncovered))
    feed_follow_event(feed, EVENT_FUND_CHANGED, sizeof(wire_fund_changed))

cdef inline bint feed_open(Feed* feed, Desk* desk, const codec_door_t* codec, uint64_t epoch) noexcept nogil:
    """A feed without symbols, of memory that is all zero; False where the system gives too little."""
    feed.desk = desk
    feed.codec = codec
    feed.epoch = epoch
    feed.books.batch = 1
    feed.next_due_ns = NEVER_NS
    feed.markets = <Market**>calloc(MAX_SYMBOL + 1, sizeof(Market*))
    feed.touched = <Market**>calloc(MAX_SYMBOL + 1, sizeof(Market*))
    feed_follow_events(feed)
    return feed.markets != NULL and feed.touched != NULL and books_open(&feed.books)

cdef inline void market_close(Market* market) noexcept nogil:
    cdef int i
    for i in range(INTERVALS):
        prices_close(&market.conflated[CONFLATED_BOOK][i].bids)
        prices_close(&market.conflated[CONFLATED_BOOK][i].asks)
    side_close(&market.sides[SIDE_BUY])
    side_close(&market.sides[SIDE_SELL])
    buffer_free(&market.changes)
    free(market)

cdef inline void feed_close(Feed* feed) noexcept nogil:
    cdef uint32_t symbol
    for symbol in range(MAX_SYMBOL + 1):
        if feed.markets != NULL and feed.markets[symbol] != NULL:
            market_close(feed.markets[symbol])
    free(feed.markets)
    free(feed.touched)
    books_close(&feed.books)
    buffer_free(&feed.out)

cdef inline Market* market_of(Feed* feed, uint32_t symbol) noexcept nogil:
    """The market of a symbol; NULL where it is not listed."""
    return feed.markets[symbol] if symbol <= MAX_SYMBOL else NULL

cdef inline Market* market_new(Feed* feed, uint32_t symbol) noexcept nogil:
    """A market without topics' names; NULL without memory, or where there is one."""
    cdef Market* market
    cdef int kind, i
    if symbol > MAX_SYMBOL or feed.markets[symbol] != NULL:
        return NULL
    market = <Market*>calloc(1, sizeof(Market))
    if market == NULL:
        return NULL
    market.symbol = symbol
    side_open(&market.sides[SIDE_BUY], 1)
    side_open(&market.sides[SIDE_SELL], -1)
    for kind in range(CONFLATED_KINDS):
        for i in range(INTERVALS):
            market.conflated[kind][i].kind = kind
            market.conflated[kind][i].symbol = symbol
    feed.markets[symbol] = market
    feed.market_count += 1
    return market

cdef inline void topic_name(Topic* topic, const char* name, uint32_t size) noexcept nogil:
    topic.name_bytes = size if size < MAX_TOPIC_BYTES else MAX_TOPIC_BYTES
    memcpy(topic.name, name, topic.name_bytes)

cdef inline void note_levels(Market* market) noexcept nogil:
    """Levels are noted where somebody wants to know them."""
    cdef bint is_noted = market.topics[TOPIC_BOOK].is_wanted
    cdef int i
    for i in range(INTERVALS):
        is_noted = is_noted or market.conflated[CONFLATED_BOOK][i].topic.is_wanted
    market.sides[SIDE_BUY].is_noted = is_noted
    market.sides[SIDE_SELL].is_noted = is_noted

# -------------------------------------------------------------------------------------------- writing messages

cdef inline uint8_t* message_begin(Feed* feed, Topic* topic, size_t room, uint32_t fields, Stamp stamp) noexcept nogil:
    """Begins a message of so many fields beside the four that all have, with room for them; NULL without memory."""
    cdef Publication* publication
    cdef uint8_t* to
    if rarely(buffer_reserve(&feed.out, sizeof(Publication) + MAX_TOPIC_BYTES + HEADER_BYTES + room) < 0):
        feed.fault = FAULT_MEMORY
        return NULL
    feed.message_at = feed.out.used
    publication = <Publication*>(feed.out.bytes + feed.out.used)
    publication.topic_bytes = topic.name_bytes
    to = <uint8_t*>publication + sizeof(Publication)
    memcpy(to, topic.name, topic.name_bytes)
    to = write_map(to + topic.name_bytes, 4 + fields)
    to = write_unsigned(write_key(to, b"epoch", 5), feed.epoch)
    to = write_unsigned(write_key(to, b"sequence", 8), stamp.sequence)
    to = write_unsigned(write_key(to, b"engine_sequence", 15), stamp.engine_sequence)
    return write_signed(write_key(to, b"timestamp_ns", 12), stamp.timestamp_ns)

cdef inline void message_end(Feed* feed, uint8_t* end) noexcept nogil:
    cdef Publication* publication = <Publication*>(feed.out.bytes + feed.message_at)
    publication.payload_bytes = <uint32_t>(
        end - <uint8_t*>publication - sizeof(Publication) - publication.topic_bytes)
    # Publications begin at multiples of eight bytes, as a Publication is read where it stands.
    feed.out.used = (<size_t>(end - feed.out.bytes) + 7) & ~<size_t>7

cdef inline Publication* publication_at(Feed* feed, size_t at) noexcept nogil:
    """The publication that begins here, from 0 on; NULL: there is none."""
    return <Publication*>(feed.out.bytes + at) if at < feed.out.used else NULL

cdef inline uint8_t* publication_topic(Publication* publication) noexcept nogil:
    return <uint8_t*>publication + sizeof(Publication)

cdef inline uint8_t* publication_payload(Publication* publication) noexcept nogil:
    return <uint8_t*>publication + sizeof(Publication) + publication.topic_bytes

cdef inline size_t publication_after(size_t at, const Publication* publication) noexcept nogil:
    """Where the next one begins."""
    return (at + sizeof(Publication) + publication.topic_bytes + publication.payload_bytes + 7) & ~<size_t>7

cdef inline Stamp stamp_now(Feed* feed, Topic* topic) noexcept nogil:
    cdef Stamp stamp
    stamp.sequence = topic.sequence
    stamp.engine_sequence = feed.engine_sequence
    stamp.timestamp_ns = feed.timestamp_ns
    return stamp

cdef inline void put_event(Feed* feed, Topic* topic, const uint8_t* record, Stamp stamp) noexcept nogil:
    """A public event as it is; whose it is stays between the exchange and its owner."""
    cdef uint8_t nobodys[MAX_EVENT_BYTES]
    cdef uint8_t* to = message_begin(feed, topic, feed.codec.event_room, 1, stamp)
    if to == NULL:
        return
    memcpy(nobodys, record, (<const wire_event_header*>record).size)
    (<wire_event_header*>nobodys).account = 0
    message_end(feed, feed.codec.write_event(write_key(to, b"event", 5), nobodys, 0))

cdef inline void publish_event(Feed* feed, Topic* topic, const uint8_t* record) noexcept nogil:
    topic.sequence += 1
    if topic.is_wanted:
        put_event(feed, topic, record, stamp_now(feed, topic))

cdef inline void publish_state(Feed* feed, Topic* topic, Repeated* repeated, const uint8_t* record) noexcept nogil:
    """An event that tells a state: whoever comes later hears it then."""
    publish_event(feed, topic, record)
    repeated.is_known = True
    repeated.stamp = stamp_now(feed, topic)
    memcpy(repeated.record, record, (<const wire_event_header*>record).size)

cdef inline void open_state(Feed* feed, Market* market, uint8_t state) noexcept nogil:
    """What a new subscriber hears of a symbol's state before it has changed for the first time."""
    cdef wire_symbol_state_changed* event = <wire_symbol_state_changed*>market.state.record
    memset(event, 0, sizeof(wire_symbol_state_changed))
    event.type = EVENT_SYMBOL_STATE_CHANGED
    event.size = sizeof(wire_symbol_state_changed)
    event.sequence = feed.engine_sequence
    event.symbol = market.symbol
    event.state = state
    market.state.is_known = True
    market.state.stamp = stamp_now(feed, &market.topics[TOPIC_STATE])

# ------------------------------------------------------------------------------------------------- conflation

cdef inline void conflate(Feed* feed, Market* market, int kind) noexcept nogil:
    """Something changed that the conflated topics of this kind tell; of the book, the levels that the batch changed."""
    cdef Conflated* conflated
    cdef int i
    for i in range(INTERVALS):
        conflated = &market.conflated[kind][i]
        if not conflated.topic.is_wanted:
            continue
        if kind == CONFLATED_BOOK and not (
            prices_merge(&conflated.bids, &market.sides[SIDE_BUY].changed)
            and prices_merge(&conflated.asks, &market.sides[SIDE_SELL].changed)
        ):
            feed.fault = FAULT_MEMORY
        if not conflated.is_pending:
            conflated.is_pending = True
            conflated.next_pending = NULL
            if feed.last_pending != NULL:
                feed.last_pending.next_pending = conflated
            else:
                feed.first_pending = conflated
            feed.last_pending = conflated
        feed.next_due_ns = imin(feed.next_due_ns, conflated.due_ns)

cdef inline void publish_conflated(Feed* feed, Conflated* conflated) noexcept nogil:
    """All that changed since the last message of this topic, as it is now."""
    cdef Market* market = market_of(feed, conflated.symbol)
    conflated.topic.sequence += 1
    if conflated.kind == CONFLATED_BOOK:
        prices_sort(&conflated.bids)
        prices_sort(&conflated.asks)
        put_levels(feed, market, &conflated.topic, &conflated.bids, &conflated.asks)
        prices_clear(&conflated.bids)
        prices_clear(&conflated.asks)
    elif conflated.kind == CONFLATED_TOP:
        put_top(feed, market, &conflated.topic)
    else:
        put_statistics(feed, &conflated.topic, statistics_of(feed.desk, conflated.symbol))

cdef inline void tell_due(Feed* feed, int64_t now_ns) noexcept nogil:
    """What conflated topics have to tell at this time; each then keeps quiet for its interval."""
    cdef Conflated** link = &feed.first_pending
    cdef Conflated* conflated
    if now_ns < feed.next_due_ns:
        return
    feed.next_due_ns = NEVER_NS
    feed.last_pending = NULL
    while link[0] != NULL:
        conflated = link[0]
        if now_ns >= conflated.due_ns:
            link[0] = conflated.next_pending
            conflated.is_pending = False
            conflated.due_ns = now_ns + imin(conflated.interval_ns, NEVER_NS - now_ns)
            publish_conflated(feed, conflated)
        else:
            feed.next_due_ns = imin(feed.next_due_ns, conflated.due_ns)
            feed.last_pending = conflated
            link = &conflated.next_pending

# ------------------------------------------------------------------------------------------------ what changed

cdef inline uint8_t* write_level(uint8_t* to, int64_t price_ticks, int64_t lots, uint32_t count) noexcept nogil:
    to[0] = 0x93
    return write_unsigned(write_signed(write_signed(to + 1, price_ticks), lots), count)

cdef inline uint8_t* write_changed(
    PublicBooks* books, PublicSide* public, const Prices* changed, uint8_t* to
) noexcept nogil:
    """The levels at these prices, which are sorted, best first, as they are now; one without lots is gone."""
    cdef int64_t count = changed.count
    cdef int64_t i, price
    cdef uint32_t slot
    to = write_array(to, count)
    for i in range(count):
        price = changed.ticks[count - 1 - i if public.side.sign > 0 else i]
        slot = level_at(public, price)
        if slot:
            to = write_level(to, price, public_level(books, slot).lots, public_level(books, slot).count)
        else:
            to = write_level(to, price, 0, 0)
    return to

cdef inline void publish_orders(Feed* feed, Market* market) noexcept nogil:
    cdef Topic* topic = &market.topics[TOPIC_ORDERS]
    cdef uint8_t* to
    topic.sequence += 1
    if topic.is_wanted:
        to = message_begin(feed, topic, market.changes.used + 16, 2, stamp_now(feed, topic))
        if to != NULL:
            to = write_unsigned(write_key(to, b"symbol", 6), market.symbol)
            to = write_array(write_key(to, b"changes", 7), market.change_count)
            memcpy(to, market.changes.bytes, market.changes.used)
            message_end(feed, to + market.changes.used)
    market.change_count = 0
    market.changes.used = 0
    market.last_removed = 0

cdef inline void put_levels(
    Feed* feed, Market* market, Topic* topic, const Prices* bids, const Prices* asks
) noexcept nogil:
    """The levels at these prices, which are sorted."""
    cdef size_t room = (bids.count + asks.count) * LEVEL_BYTES
    cdef uint8_t* to = message_begin(feed, topic, room + 16, 3, stamp_now(feed, topic))
    if to == NULL:
        return
    to = write_unsigned(write_key(to, b"symbol", 6), market.symbol)
    to = write_changed(&feed.books, &market.sides[SIDE_BUY], bids, write_key(to, b"bids", 4))
    to = write_changed(&feed.books, &market.sides[SIDE_SELL], asks, write_key(to, b"asks", 4))
    message_end(feed, to)

cdef inline void publish_levels(Feed* feed, Market* market) noexcept nogil:
    cdef Topic* topic = &market.topics[TOPIC_BOOK]
    cdef Prices* bids = &market.sides[SIDE_BUY].changed
    cdef Prices* asks = &market.sides[SIDE_SELL].changed
    topic.sequence += 1
    prices_sort(bids)
    prices_sort(asks)
    if topic.is_wanted:
        put_levels(feed, market, topic, bids, asks)
    conflate(feed, market, CONFLATED_BOOK)
    prices_clear(bids)
    prices_clear(asks)
    market.sides[SIDE_BUY].is_changed = False
    market.sides[SIDE_SELL].is_changed = False

cdef inline Level3 best_level(Feed* feed, PublicSide* public) noexcept nogil:
    cdef Level3 best
    cdef PublicLevel* level
    memset(&best, 0, sizeof(best))
    if public.side.best_ticks:
        level = public_level(&feed.books, level_at(public, public.side.best_ticks))
        best.price_ticks = level.price_ticks
        best.lots = level.lots
        best.count = level.count
    return best

cdef inline uint8_t* write_best(uint8_t* to, const Level3* best) noexcept nogil:
    return write_level(to, best.price_ticks, best.lots, best.count) if best.price_ticks else write_nil(to)

cdef inline void put_top(Feed* feed, Market* market, Topic* topic) noexcept nogil:
    cdef uint8_t* to = message_begin(feed, topic, 2 * LEVEL_BYTES + 16, 3, stamp_now(feed, topic))
    if to == NULL:
        return
    to = write_unsigned(write_key(to, b"symbol", 6), market.symbol)
    to = write_best(write_key(to, b"bid", 3), &market.told[SIDE_BUY])
    message_end(feed, write_best(write_key(to, b"ask", 3), &market.told[SIDE_SELL]))

cdef inline bint is_level(const Level3* a, const Level3* b) noexcept nogil:
    return a.price_ticks == b.price_ticks and a.lots == b.lots and a.count == b.count

cdef inline void publish_top(Feed* feed, Market* market) noexcept nogil:
    """The best levels, if they are others than were told."""
    cdef Topic* topic = &market.topics[TOPIC_TOP]
    cdef Level3 bid = best_level(feed, &market.sides[SIDE_BUY])
    cdef Level3 ask = best_level(feed, &market.sides[SIDE_SELL])
    if is_level(&bid, &market.told[SIDE_BUY]) and is_level(&ask, &market.told[SIDE_SELL]):
        return
    market.told[SIDE_BUY] = bid
    market.told[SIDE_SELL] = ask
    topic.sequence += 1
    if topic.is_wanted:
        put_top(feed, market, topic)
    conflate(feed, market, CONFLATED_TOP)

cdef inline uint64_t most(i128 sum) noexcept nogil:
    """A sum, or the most that a message can say."""
    cdef i128 top = 0xFFFFFFFFFFFFFFFFULL
    return <uint64_t>(sum if sum < top else top)

cdef inline uint8_t* write_prices(uint8_t* to, const Statistics* statistics) noexcept nogil:
    cdef int source
    cdef int count = 0
    cdef const SourcePrice* price
    for source in range(MAX_FEEDS + 1):
        count += statistics.prices[source].known
    to = write_array(to, count)
    for source in range(MAX_FEEDS + 1):
        price = &statistics.prices[source]
        if price.known:
            to = write_signed(write_unsigned(write_array(to, 3), source), price.price_ticks)
            to = write_signed(to, price.received_ns)
    return to

cdef inline uint8_t* write_funding(uint8_t* to, const Statistics* statistics) noexcept nogil:
    if not statistics.funding.known:
        return write_nil(to)
    to = write_map(to, 5)
    to = write_signed(write_key(to, b"interval_ns", 11), statistics.funding.interval_ns)
    to = write_signed(write_key(to, b"samples", 7), statistics.funding.samples)
    to = write_signed(write_key(to, b"premium_ppb", 11), statistics.funding.premium_ppb)
    to = write_signed(write_key(to, b"rate_ppb", 8), statistics.funding.rate_ppb)
    return write_signed(write_key(to, b"next_funding_ns", 15), statistics.funding.next_funding_ns)

cdef inline void put_statistics(Feed* feed, Topic* topic, const Statistics* statistics) noexcept nogil:
    cdef uint8_t* to = message_begin(feed, topic, STATISTICS_BYTES, 14, stamp_now(feed, topic))
    cdef int64_t open_ticks = 0
    if to == NULL:
        return
    if statistics.count:
        open_ticks = statistics.minutes[statistics.first].open_ticks
    to = write_unsigned(write_key(to, b"symbol", 6), statistics.symbol)
    to = write_signed(write_key(to, b"since_ns", 8), since_ns(statistics))
    to = write_signed(write_key(to, b"open_ticks", 10), open_ticks)
    to = write_signed(write_key(to, b"high_ticks", 10), statistics.high_ticks)
    to = write_signed(write_key(to, b"low_ticks", 9), statistics.low_ticks)
    to = write_signed(write_key(to, b"last_ticks", 10), statistics.last_ticks)
    to = write_unsigned(write_key(to, b"volume_lots", 11), most(statistics.volume_lots))
    to = write_unsigned(write_key(to, b"turnover_atoms", 14), most(statistics.turnover_atoms))
    to = write_signed(write_key(to, b"trade_count", 11), statistics.trade_count)
    to = write_signed(write_key(to, b"open_interest_lots", 18), statistics.open_interest_lots)
    to = write_signed(write_key(to, b"mark_ticks", 10), statistics.mark_ticks)
    to = write_bool(write_key(to, b"mark_held", 9), statistics.mark_held)
    to = write_prices(write_key(to, b"prices", 6), statistics)
    message_end(feed, write_funding(write_key(to, b"funding", 7), statistics))

cdef inline void publish_statistics(Feed* feed, Market* market) noexcept nogil:
    """The statistics, if anything of them changed."""
    cdef Topic* topic = &market.topics[TOPIC_STATISTICS]
    cdef Statistics* statistics = statistics_of(feed.desk, market.symbol)
    if not statistics.changed:
        return
    statistics.changed = False
    topic.sequence += 1
    if topic.is_wanted:
        put_statistics(feed, topic, statistics)
    conflate(feed, market, CONFLATED_STATISTICS)

cdef inline void publish_changes(Feed* feed, Market* market) noexcept nogil:
    """What the batch changed of a symbol."""
    if market.change_count:
        publish_orders(feed, market)
    if market.sides[SIDE_BUY].is_changed or market.sides[SIDE_SELL].is_changed:
        publish_levels(feed, market)
    publish_top(feed, market)
    publish_statistics(feed, market)

# ------------------------------------------------------------------------------------------- what events change

cdef inline void touch(Feed* feed, Market* market) noexcept nogil:
    if market.touched_in != feed.books.batch:
        market.touched_in = feed.books.batch
        feed.touched[feed.touched_count] = market
        feed.touched_count += 1

cdef inline void tell_change(
    Feed* feed, Market* market, const PublicOrder* order, int action, int64_t fill_lots, uint64_t trade_id
) noexcept nogil:
    """Level 3: one thing that happened to one order.  One that left and joins with nothing between was replaced."""
    cdef uint8_t* to
    if action == ACTION_ADDED and market.last_removed == order.order_id:
        action = ACTION_REPLACED
        market.changes.used = market.last_change_at
    else:
        market.change_count += 1
    market.last_removed = order.order_id if action == ACTION_REMOVED else 0
    market.last_change_at = market.changes.used
    if not market.topics[TOPIC_ORDERS].is_wanted:
        return
    if rarely(buffer_reserve(&market.changes, CHANGE_BYTES) < 0):
        feed.fault = FAULT_MEMORY
        return
    to = market.changes.bytes + market.changes.used
    to[0] = 0x97
    to[1] = <uint8_t>action
    to = write_unsigned(to + 2, order.order_id)
    to[0] = order.side
    to = write_signed(write_signed(to + 1, order.price_ticks), order.lots)
    to = write_unsigned(write_signed(to, fill_lots), trade_id)
    market.changes.used = to - market.changes.bytes

cdef inline void join(Feed* feed, Market* market, uint32_t slot, int64_t lots) noexcept nogil:
    """An order, which shows so much from now on, joins the back of its level."""
    cdef PublicOrder* order = public_order(&feed.books, slot)
    queue_join(&feed.books, &market.sides[order.side], slot, lots)
    tell_change(feed, market, order, ACTION_ADDED, 0, 0)

cdef inline void leave(Feed* feed, Market* market, uint32_t slot) noexcept nogil:
    """An order leaves its level, if it stands in one."""
    cdef PublicOrder* order = public_order(&feed.books, slot)
    if order.level == 0:
        return
    queue_leave(&feed.books, &market.sides[order.side], slot)
    tell_change(feed, market, order, ACTION_REMOVED, 0, 0)

cdef inline void take_off(
    Feed* feed, Market* market, uint32_t slot, int64_t lots, int action, uint64_t trade_id
) noexcept nogil:
    """An order shows so much less, in its place if anything is left."""
    cdef PublicOrder* order = public_order(&feed.books, slot)
    if lots == 0:
        return
    queue_reduce(&feed.books, &market.sides[order.side], slot, lots)
    if order.lots == 0 and action == ACTION_REDUCED:
        action = ACTION_REMOVED
    tell_change(feed, market, order, action, lots if trade_id else 0, trade_id)

cdef inline uint32_t resting(Feed* feed, Market* market, uint64_t order_id) noexcept nogil:
    """The slot of an order of this market; 0, and a fault, where there is none."""
    cdef uint32_t slot = public_find(&feed.books, order_id)
    if rarely(slot == 0 or public_order(&feed.books, slot).symbol != market.symbol):
        feed.fault = FAULT_ORDER
        return 0
    return slot

cdef inline uint32_t rest(
    Feed* feed, Market* market, uint64_t order_id, uint8_t side, int64_t price_ticks, bint is_iceberg
) noexcept nogil:
    """The slot of an order that comes to rest, and shows nothing yet; 0, and a fault, where that cannot be."""
    cdef uint32_t slot
    cdef PublicOrder* order
    if rarely(public_find(&feed.books, order_id) or side > SIDE_SELL):
        feed.fault = FAULT_ORDER
        return 0
    slot = public_new(&feed.books, order_id)
    if rarely(slot == 0):
        feed.fault = FAULT_MEMORY
        return 0
    order = public_order(&feed.books, slot)
    order.symbol = market.symbol
    order.side = side
    order.price_ticks = price_ticks
    order.iceberg = is_iceberg
    order.lots = 0
    order.level = 0
    return slot

cdef inline void forget(Feed* feed, Market* market, uint64_t order_id) noexcept nogil:
    """A resting order is gone, with all that it showed."""
    cdef uint32_t slot = resting(feed, market, order_id)
    if slot:
        leave(feed, market, slot)
        public_drop(&feed.books, slot)

cdef inline void follow_rested(Feed* feed, Market* market, const wire_order_rested* event) noexcept nogil:
    cdef bint is_iceberg = (event.flags & ORDER_FLAG_ICEBERG) != 0
    cdef uint32_t slot = rest(feed, market, event.order_id, event.side, event.price_ticks, is_iceberg)
    if slot and not is_iceberg:        # what an iceberg shows is told by order_shown, which follows
        join(feed, market, slot, event.open_lots)

cdef inline void follow_shown(Feed* feed, Market* market, const wire_order_shown* event) noexcept nogil:
    """An iceberg shows a new slice at the back of its level, or less of its slice where it stands."""
    cdef uint32_t slot = resting(feed, market, event.order_id)
    if slot == 0:
        return
    if event.refreshed:
        leave(feed, market, slot)
        join(feed, market, slot, event.shown_lots)
    else:
        take_off(feed, market, slot, public_order(&feed.books, slot).lots - event.shown_lots, ACTION_REDUCED, 0)

cdef inline void follow_reduced(Feed* feed, Market* market, const wire_order_reduced* event) noexcept nogil:
    cdef uint32_t slot = resting(feed, market, event.order_id)
    if slot:
        take_off(feed, market, slot, event.reduced_lots, ACTION_REDUCED, 0)

cdef inline void follow_amended(Feed* feed, Market* market, const wire_order_amended* event) noexcept nogil:
    """It is smaller now, in its place; or out of the book for now: order_rested tells when it is back."""
    cdef uint32_t slot
    cdef PublicOrder* order
    if not event.kept_priority:
        forget(feed, market, event.order_id)
        return
    slot = resting(feed, market, event.order_id)
    order = public_order(&feed.books, slot)
    if slot and not order.iceberg:
        take_off(feed, market, slot, order.lots - event.open_lots, ACTION_REDUCED, 0)

cdef inline void publish_trade(Feed* feed, Market* market, const wire_fill* fill) noexcept nogil:
    """The public print of a fill, which tells up to its own command."""
    cdef Topic* topic = &market.topics[TOPIC_TRADES]
    cdef Stamp stamp
    cdef uint8_t* to
    cdef bint in_auction = fill.role == FILL_ROLE_AUCTION
    topic.sequence += 1
    if not topic.is_wanted:
        return
    stamp = stamp_now(feed, topic)
    stamp.engine_sequence = fill.sequence
    to = message_begin(feed, topic, HEADER_BYTES, 7, stamp)
    if to == NULL:
        return
    to = write_unsigned(write_key(to, b"symbol", 6), market.symbol)
    to = write_unsigned(write_key(to, b"trade_id", 8), fill.trade_id)
    to = write_unsigned(write_key(to, b"side", 4), NOBODY if in_auction else fill.side)
    to = write_signed(write_key(to, b"price_ticks", 11), fill.price_ticks)
    to = write_signed(write_key(to, b"qty_lots", 8), fill.qty_lots)
    to = write_bool(write_key(to, b"liquidation", 11), fill.role == FILL_ROLE_LIQUIDATED)
    message_end(feed, write_bool(write_key(to, b"auction", 7), in_auction))

cdef inline void follow_fill(Feed* feed, Market* market, const wire_fill* fill) noexcept nogil:
    cdef Statistics* statistics = statistics_of(feed.desk, market.symbol)
    cdef uint32_t slot
    move_position(statistics, fill.side, fill.qty_lots, fill.position_lots)
    if fill.role == FILL_ROLE_MAKER or fill.role == FILL_ROLE_AUCTION:
        slot = resting(feed, market, fill.order_id)
        if slot == 0:
            return
        take_off(feed, market, slot, fill.qty_lots, ACTION_FILLED, fill.trade_id)
        if fill.open_lots == 0:
            if public_order(&feed.books, slot).lots:
                feed.fault = FAULT_LOTS
                return
            public_drop(&feed.books, slot)
    if is_print(fill.role, fill.side):
        if not count_trade(statistics, fill.price_ticks, fill.qty_lots, fill.value_atoms):
            feed.fault = FAULT_MEMORY
        publish_trade(feed, market, fill)

cdef inline void follow_price(Feed* feed, Market* market, const wire_price_set* event) noexcept nogil:
    cdef Statistics* statistics = statistics_of(feed.desk, market.symbol)
    cdef SourcePrice* price
    if event.source > MAX_FEEDS:
        feed.fault = FAULT_RECORD
        return
    price = &statistics.prices[event.source]
    price.known = True
    price.price_ticks = event.price_ticks
    price.received_ns = feed.timestamp_ns
    statistics.changed = True

cdef inline void follow_rate(Feed* feed, Market* market, const wire_funding_rate* event) noexcept nogil:
    """The rate so far; when an interval is over, nothing is known of the next one."""
    cdef Statistics* statistics = statistics_of(feed.desk, market.symbol)
    if not statistics.funding.known:
        return
    set_funding(statistics, True, statistics.funding.interval_ns, event.next_funding_ns)
    if not event.final:
        statistics.funding.samples = event.samples
        statistics.funding.premium_ppb = event.premium_ppb
        statistics.funding.rate_ppb = event.rate_ppb

cdef inline void follow_state(Feed* feed, Market* market, const wire_symbol_state_changed* event) noexcept nogil:
    cdef Statistics* statistics = statistics_of(feed.desk, market.symbol)
    if event.state == SYMBOL_STATE_SETTLED:            # no policy of prices outlives it
        keep_feeds(statistics, -1)
        statistics.mark_held = False
        set_funding(statistics, False, 0, 0)
        touch(feed, market)
    publish_state(feed, &market.topics[TOPIC_STATE], &market.state, <const uint8_t*>event)

cdef inline void follow_mark_event(Feed* feed, Market* market, const uint8_t* record) noexcept nogil:
    """What is told on the topic of the mark."""
    cdef Statistics* statistics = statistics_of(feed.desk, market.symbol)
    cdef uint16_t kind = (<const wire_event_header*>record).type
    cdef const wire_mark_policy_set* policy
    touch(feed, market)
    statistics.changed = True
    if kind == EVENT_MARK_CHANGED:
        statistics.mark_ticks = (<const wire_mark_changed*>record).price_ticks
    elif kind == EVENT_MARK_HOLD_CHANGED:
        statistics.mark_held = (<const wire_mark_hold_changed*>record).held != 0
    elif kind == EVENT_PRICE_SET:
        follow_price(feed, market, <const wire_price_set*>record)
    else:
        policy = <const wire_mark_policy_set*>record
        keep_feeds(statistics, policy.max_feeds if policy.enabled else -1)
    publish_event(feed, &market.topics[TOPIC_MARK], record)

cdef inline void follow_funding_event(Feed* feed, Market* market, const uint8_t* record) noexcept nogil:
    """What is told on the topic of funding."""
    cdef Statistics* statistics = statistics_of(feed.desk, market.symbol)
    cdef uint16_t kind = (<const wire_event_header*>record).type
    cdef const wire_funding_policy_set* policy
    if kind == EVENT_FUNDING_POLICY_SET:
        policy = <const wire_funding_policy_set*>record
        touch(feed, market)
        if policy.enabled:
            set_funding(statistics, True, policy.interval_ns, policy.next_funding_ns)
        else:
            set_funding(statistics, False, 0, 0)
    elif kind == EVENT_FUNDING_RATE:
        touch(feed, market)
        follow_rate(feed, market, <const wire_funding_rate*>record)
    publish_event(feed, &market.topics[TOPIC_FUNDING], record)

cdef inline void follow_listed(Feed* feed, const wire_symbol_listed* event) noexcept nogil:
    """A symbol is listed, open from now on, as every symbol is."""
    cdef Market* market = market_new(feed, event.symbol)
    if market == NULL:
        feed.fault = FAULT_SYMBOL
        return
    if not feed.name_topics(feed.owner, event.symbol, event.name) or desk_list(feed.desk, event.symbol) == NULL:
        feed.fault = FAULT_MEMORY
        return
    open_state(feed, market, SYMBOL_STATE_OPEN)

cdef inline void follow_of_symbol(Feed* feed, uint16_t kind, const uint8_t* record) noexcept nogil:
    """An event of one symbol; the symbol is the first field of each."""
    cdef Market* market = market_of(feed, (<const wire_mark_changed*>record).symbol)
    if rarely(market == NULL):
        feed.fault = FAULT_SYMBOL
        return
    if kind == EVENT_FILL:
        touch(feed, market)
        follow_fill(feed, market, <const wire_fill*>record)
    elif kind == EVENT_ORDER_RESTED:
        touch(feed, market)
        follow_rested(feed, market, <const wire_order_rested*>record)
    elif kind == EVENT_ORDER_CANCELLED:
        if (<const wire_order_cancelled*>record).place == ORDER_PLACE_BOOK:
            touch(feed, market)
            forget(feed, market, (<const wire_order_cancelled*>record).order_id)
    elif kind == EVENT_ORDER_AMENDED:
        touch(feed, market)
        follow_amended(feed, market, <const wire_order_amended*>record)
    elif kind == EVENT_ORDER_REDUCED:
        if (<const wire_order_reduced*>record).place == ORDER_PLACE_BOOK:
            touch(feed, market)
            follow_reduced(feed, market, <const wire_order_reduced*>record)
    elif kind == EVENT_ORDER_SHOWN:
        touch(feed, market)
        follow_shown(feed, market, <const wire_order_shown*>record)
    elif kind == EVENT_AUCTION_INDICATED or kind == EVENT_AUCTION_UNCROSSED:
        publish_state(feed, &market.topics[TOPIC_AUCTION], &market.auction, record)
    elif kind == EVENT_SYMBOL_STATE_CHANGED:
        follow_state(feed, market, <const wire_symbol_state_changed*>record)
    elif kind == EVENT_FUNDING_SETTLED or kind == EVENT_FUNDING_POLICY_SET or kind == EVENT_FUNDING_RATE:
        follow_funding_event(feed, market, record)
    else:
        follow_mark_event(feed, market, record)

cdef inline void follow_event(Feed* feed, uint16_t kind, const uint8_t* record) noexcept nogil:
    if kind == EVENT_SYMBOL_LISTED:
        follow_listed(feed, <const wire_symbol_listed*>record)
    elif kind == EVENT_FUND_CHANGED:
        publish_event(feed, &feed.funds, record)
    elif kind == EVENT_LIQUIDATION_STARTED or kind == EVENT_LIQUIDATION_ORDER or kind == EVENT_LIQUIDATION_ENDED \
            or kind == EVENT_DEFICIT_UNCOVERED:
        publish_event(feed, &feed.liquidations, record)
    else:
        follow_of_symbol(feed, kind, record)

# ----------------------------------------------------------------------------------------------------- a batch

cdef inline void pass_time(Feed* feed, int64_t timestamp_ns) noexcept nogil:
    """Lets old minutes leave the statistics; what changed by that is told."""
    cdef uint32_t i
    cdef Market* market
    if not desk_pass_time(feed.desk, timestamp_ns):
        return
    for i in range(feed.desk.count):
        if feed.desk.listed[i].changed:
            market = market_of(feed, feed.desk.listed[i].symbol)
            if market == NULL:
                feed.fault = FAULT_SYMBOL
                return
            touch(feed, market)

cdef inline int feed_follow(
    Feed* feed, const uint8_t* events, int64_t size, uint64_t last_sequence, int64_t timestamp_ns
) noexcept nogil:
    """Takes the events of one batch: of commands up to `last_sequence`, at this time.

    What it means to the public stands in `out` until the next batch; `publication_at(feed, 0)` is the first.  Returns
    0, or what went wrong, and then the feed is of no use any more.
    """
    cdef const uint8_t* at = events
    cdef const uint8_t* end = events + size
    cdef const wire_event_header* header
    cdef uint32_t i
    if feed.out.room > OUT_KEPT:
        buffer_free(&feed.out)
    feed.out.used = 0
    if feed.fault:
        return feed.fault
    feed.engine_sequence = last_sequence
    feed.timestamp_ns = timestamp_ns
    feed.touched_count = 0
    feed.books.batch += 1
    pass_time(feed, timestamp_ns)
    while at < end:
        header = <const wire_event_header*>at
        if rarely(end - at < <int64_t>sizeof(wire_event_header) or header.size < sizeof(wire_event_header)
                  or header.size > end - at):
            feed.fault = FAULT_RECORD
            break
        if header.type < EVENT_NUMBERS and feed.event_bytes[header.type]:
            if rarely(header.size != feed.event_bytes[header.type]):
                feed.fault = FAULT_RECORD
                break
            follow_event(feed, header.type, at)
        at += header.size
    if feed.books.fault:
        feed.fault = feed.books.fault
    if feed.fault == 0:
        for i in range(feed.touched_count):
            publish_changes(feed, feed.touched[i])
        tell_due(feed, timestamp_ns)
    return feed.fault

cdef inline int feed_due(Feed* feed, int64_t now_ns) noexcept nogil:
    """What conflated topics have to tell between two batches stands in `out`, in the place of what the last one meant."""
    feed.out.used = 0
    if feed.fault == 0:
        tell_due(feed, now_ns)
    return feed.fault
