"""The composite mark: computed from prices that are sent and from the book, where its policy says so (MARK-02, MARK-03).

Theory of operation.  Prices from outside are kept with the time at which they came.  A mark is computed by the commands
that carry it, `set_price` and `advance_time`, and by no other: so nothing that a trader sends, and no liquidation, moves
it.  What is computed is bounded by the number of feeds; the book gives its two best prices and the last trade.
"""

from libc.stdint cimport int64_t, uint32_t, uint8_t
from libc.stdlib cimport calloc, free
from native.auction cimport indicate
from native.core cimport Core, Pricing, Symbol, symbol_at
from native.events cimport event_accepted, event_new
from native.marks cimport check_left
from native.operations cimport change_mark, mark_out_of_range
from native.units cimport div_floor, i128, imax, imin
from native.waiting cimport touch
from native.wire cimport *

cdef enum:
    BASIS_BITS = 20                    # of the fraction of the average distance
    INDEX = 0                          # the source that is the index

cdef inline bint pricing_ensure(Symbol* symbol) noexcept nogil:
    """Room for what a symbol's prices need; False: there is no memory."""
    if symbol.pricing == NULL:
        symbol.pricing = <Pricing*>calloc(1, sizeof(Pricing))
    return symbol.pricing != NULL

cdef inline void pricing_drop(Core* core, Symbol* symbol) noexcept nogil:
    """Nothing is known of prices any more."""
    if symbol.pricing != NULL:
        core.composites -= symbol.pricing.composite
    free(symbol.pricing)
    symbol.pricing = NULL

# ------------------------------------------------------------------------------------------- the inputs

cdef inline bint is_fresh(Core* core, Pricing* pricing, int source) noexcept nogil:
    """Whether there is a price of a source, and not an old one."""
    return pricing.prices[source].price_ticks != 0 \
        and core.timestamp_ns - pricing.prices[source].received_ns <= pricing.max_age_ns

cdef inline bint has_book(Symbol* symbol) noexcept nogil:
    """Whether the own book says something: it is open, with a bid and an offer."""
    return symbol.state == SYMBOL_STATE_OPEN and symbol.sides[0].best_ticks != 0 and symbol.sides[1].best_ticks != 0

cdef inline int64_t book_price(Symbol* symbol) noexcept nogil:
    """The median of bid, offer and last trade; without a trade the mean of the two, rounded down."""
    cdef int64_t bid = symbol.sides[0].best_ticks
    cdef int64_t ask = symbol.sides[1].best_ticks
    if symbol.market_last_ticks == 0:
        return (bid + ask) // 2
    return imin(imax(symbol.market_last_ticks, bid), ask)

cdef inline void average_basis(Core* core, Symbol* symbol) noexcept nogil:
    """The distance between mid and index joins the average, with the weight of the time since the last one."""
    cdef Pricing* pricing = symbol.pricing
    cdef i128 elapsed = core.timestamp_ns - pricing.basis_at_ns
    cdef int64_t doubled
    if not has_book(symbol):
        return
    doubled = symbol.sides[0].best_ticks + symbol.sides[1].best_ticks - 2 * pricing.prices[INDEX].price_ticks
    if elapsed > 0:
        pricing.basis_q20 += <int64_t>div_floor(
            (doubled * (<int64_t>1 << (BASIS_BITS - 1)) - pricing.basis_q20) * elapsed, elapsed + pricing.ema_ns)
    pricing.basis_at_ns = core.timestamp_ns

cdef inline int64_t index_price(Pricing* pricing) noexcept nogil:
    """The index and the average distance of the mid from it, rounded down to a price."""
    cdef int64_t price = pricing.prices[INDEX].price_ticks + <int64_t>div_floor(
        pricing.basis_q20, <i128>1 << BASIS_BITS)
    return imin(imax(price, 1), MAX_PRICE_TICKS)

cdef inline int add_sorted(int64_t* prices, int count, int64_t price_ticks) noexcept nogil:
    """Puts a price in its place among those that are there; returns how many they are then."""
    cdef int place = count
    while place > 0 and prices[place - 1] > price_ticks:
        prices[place] = prices[place - 1]
        place -= 1
    prices[place] = price_ticks
    return count + 1

cdef inline int gather(Core* core, Symbol* symbol, int64_t* prices) noexcept nogil:
    """The prices that there are, rising; returns how many.  An index that is there joins the average first."""
    cdef Pricing* pricing = symbol.pricing
    cdef int count = 0
    cdef int source
    if is_fresh(core, pricing, INDEX):
        average_basis(core, symbol)
        count = add_sorted(prices, count, index_price(pricing))
    if has_book(symbol):
        count = add_sorted(prices, count, book_price(symbol))
    for source in range(1, pricing.max_feeds + 1):
        if is_fresh(core, pricing, source):
            count = add_sorted(prices, count, pricing.prices[source].price_ticks)
    return count

# --------------------------------------------------------------------------------------------- the mark

cdef inline void hold(Core* core, Symbol* symbol, bint held, int inputs) noexcept nogil:
    """MARK-03: the mark is held from now on, or is no longer; told where that is new."""
    cdef wire_mark_hold_changed* e
    if symbol.held == held:
        return
    symbol.held = held
    e = <wire_mark_hold_changed*>event_new(core, EVENT_MARK_HOLD_CHANGED, sizeof(wire_mark_hold_changed), 0)
    e.symbol = symbol.symbol
    e.held = held
    e.inputs = <uint8_t>inputs

cdef inline bint compute_mark(Core* core, Symbol* symbol) noexcept nogil:
    """MARK-02: the median of what there is; True if the mark moved."""
    cdef int64_t[MAX_FEEDS + 2] prices
    cdef int count = gather(core, symbol, prices)
    cdef int64_t price = 0
    if count >= 2:
        price = (prices[(count - 1) // 2] + prices[count // 2]) // 2
    if price == 0 or mark_out_of_range(symbol, price):
        hold(core, symbol, True, count)
        return False
    hold(core, symbol, False, count)
    if price == symbol.mark_ticks:
        return False
    change_mark(core, symbol, price)
    touch(core, symbol)
    check_left(core, symbol)
    return True

cdef inline void compute_marks(Core* core) noexcept nogil:
    """Time has passed: prices may have grown old."""
    cdef uint32_t number
    cdef Symbol* symbol
    for number in range(1, core.highest_symbol + 1):
        symbol = symbol_at(core, number)
        if symbol != NULL and symbol.pricing != NULL and symbol.pricing.composite:
            compute_mark(core, symbol)

# ------------------------------------------------------------------------------------------ the commands

cdef inline bint valid_mark_policy(wire_set_mark_policy* c) noexcept nogil:
    if c.enabled == 0:
        return True
    return c.enabled == 1 and c.max_feeds <= MAX_FEEDS and 1 <= c.max_age_ns <= MAX_POLICY_NS \
        and 0 <= c.ema_ns <= MAX_POLICY_NS

cdef inline void event_mark_policy(Core* core, Symbol* symbol) noexcept nogil:
    """What holds now; without a policy all its numbers are 0."""
    cdef wire_mark_policy_set* e = <wire_mark_policy_set*>event_new(
        core, EVENT_MARK_POLICY_SET, sizeof(wire_mark_policy_set), 0)
    cdef Pricing* pricing = symbol.pricing
    e.symbol = symbol.symbol
    e.enabled = pricing != NULL
    e.max_feeds = pricing.max_feeds if pricing != NULL else 0
    e.max_age_ns = pricing.max_age_ns if pricing != NULL else 0
    e.ema_ns = pricing.ema_ns if pricing != NULL else 0

cdef inline void begin_pricing(Core* core, Symbol* symbol) noexcept nogil:
    """The mark was set by hand so far: nothing is known of prices, and the average begins at 0."""
    core.composites += 1
    symbol.pricing.composite = True
    symbol.pricing.basis_at_ns = core.timestamp_ns
    symbol.market_last_ticks = 0

cdef inline void forget_feeds(Pricing* pricing, int from_source) noexcept nogil:
    cdef int source
    for source in range(from_source, MAX_FEEDS + 1):
        pricing.prices[source].price_ticks = pricing.prices[source].received_ns = 0

cdef inline int set_mark_policy(Core* core, wire_set_mark_policy* c) noexcept nogil:
    """MARK-02: what was received stays where the policy only changes."""
    cdef Symbol* symbol = symbol_at(core, c.symbol)
    if symbol == NULL:
        return REJECT_REASON_UNKNOWN_SYMBOL
    if not valid_mark_policy(c):
        return REJECT_REASON_INVALID_POLICY
    if symbol.state == SYMBOL_STATE_SETTLED:
        return REJECT_REASON_SYMBOL_STATE_FORBIDS
    if c.enabled and not pricing_ensure(symbol):
        return REJECT_REASON_OUT_OF_CAPACITY
    event_accepted(core, 0, COMMAND_SET_MARK_POLICY, 0, 0)
    if c.enabled:
        if not symbol.pricing.composite:
            begin_pricing(core, symbol)
        symbol.pricing.max_feeds = c.max_feeds
        symbol.pricing.max_age_ns = c.max_age_ns
        symbol.pricing.ema_ns = c.ema_ns
        forget_feeds(symbol.pricing, c.max_feeds + 1)
        event_mark_policy(core, symbol)
    else:
        pricing_drop(core, symbol)
        event_mark_policy(core, symbol)
        hold(core, symbol, False, 0)   # who sets the mark by hand answers for it
    return 0

cdef inline int set_price(Core* core, wire_set_price* c) noexcept nogil:
    """MARK-02: a price from outside comes in, and the mark is computed anew."""
    cdef Symbol* symbol = symbol_at(core, c.symbol)
    cdef wire_price_set* e
    if symbol == NULL:
        return REJECT_REASON_UNKNOWN_SYMBOL
    if c.price_ticks < 1 or c.price_ticks > MAX_PRICE_TICKS:
        return REJECT_REASON_INVALID_PRICE
    if symbol.state == SYMBOL_STATE_SETTLED:
        return REJECT_REASON_SYMBOL_STATE_FORBIDS
    if symbol.pricing == NULL or not symbol.pricing.composite or c.source > symbol.pricing.max_feeds:
        return REJECT_REASON_UNKNOWN_PRICE_SOURCE
    event_accepted(core, 0, COMMAND_SET_PRICE, 0, 0)
    symbol.pricing.prices[c.source].price_ticks = c.price_ticks
    symbol.pricing.prices[c.source].received_ns = core.timestamp_ns
    e = <wire_price_set*>event_new(core, EVENT_PRICE_SET, sizeof(wire_price_set), 0)
    e.symbol = c.symbol
    e.source = c.source
    e.price_ticks = c.price_ticks
    if compute_mark(core, symbol) and symbol.state == SYMBOL_STATE_AUCTION:
        indicate(core, symbol)
    return 0
