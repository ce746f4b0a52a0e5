"""The last 24 hours of each symbol, as exchange/gateway/statistics.py counts them.

Theory of operation.  Trades are gathered by minutes of the sequencer's time; the window is the present minute and the
1,439 before it.  Sums are kept while minutes come and go; high and low are looked for again only when the minute that
held them leaves.  Sums of lots and of money are kept in 128 bits, as the sum of a day's trades may pass 64.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memmove, memset

from native.market_book cimport FAULT_MEMORY, FAULT_RECORD
from native.units cimport i128, imax, imin
from native.wire cimport (
    EVENT_ACCEPTED, EVENT_FILL, EVENT_REJECTED, EVENT_SYMBOL_LISTED, FILL_ROLE_AUCTION, FILL_ROLE_LIQUIDATED,
    FILL_ROLE_TAKER, MAX_FEEDS, MAX_SYMBOL, SIDE_BUY, wire_accepted, wire_event_header, wire_fill, wire_rejected,
    wire_symbol_listed,
)

cdef extern from *:
    """
    #define MARKET_MINUTE_NS ((int64_t)60000000000LL)
    """
    const int64_t MINUTE_NS "MARKET_MINUTE_NS"

cdef enum:
    WINDOW_MINUTES = 24 * 60

cdef struct Minute:                    # the trades of one minute
    int64_t number                     # minutes since the epoch
    int64_t open_ticks
    int64_t high_ticks
    int64_t low_ticks
    int64_t trades
    i128 volume_lots
    i128 turnover_atoms

cdef struct SourcePrice:               # of a composite mark: the index or a feed, as it came last
    bint known
    int64_t price_ticks
    int64_t received_ns

cdef struct FundingSoFar:
    bint known                         # else it is settled by hand
    int64_t interval_ns
    int64_t samples
    int64_t premium_ppb
    int64_t rate_ppb
    int64_t next_funding_ns

cdef struct Statistics:
    uint32_t symbol
    bint changed
    bint mark_held
    int64_t last_ticks
    int64_t mark_ticks
    int64_t open_interest_lots
    int64_t high_ticks
    int64_t low_ticks
    int64_t trade_count
    i128 volume_lots
    i128 turnover_atoms
    int64_t counting_since_ns          # when the first time was told; -1: none was
    int64_t minute
    Minute* minutes                    # oldest first, from `first` on
    int64_t first
    int64_t count
    int64_t room
    FundingSoFar funding
    SourcePrice prices[MAX_FEEDS + 1]

cdef struct Desk:                      # the statistics of every symbol
    Statistics** by_symbol             # by number
    Statistics** listed                # in the order in which they came
    uint32_t count
    uint32_t room
    int64_t minute
    int64_t timestamp_ns
    int fault

# ---------------------------------------------------------------------------------------------- the window

cdef inline int64_t minute_of(int64_t timestamp_ns) noexcept nogil:
    """The minute that a time is in, rounded down also below 0."""
    return timestamp_ns // MINUTE_NS - (timestamp_ns % MINUTE_NS < 0)

cdef inline int64_t since_ns(const Statistics* statistics) noexcept nogil:
    """Where the window begins: at the start of a minute, or where counting began if that is later."""
    cdef int64_t start_ns = (statistics.minute - WINDOW_MINUTES + 1) * MINUTE_NS
    return imax(imax(start_ns, statistics.counting_since_ns), 0)

cdef inline void drop_minutes(Statistics* statistics, int64_t oldest) noexcept nogil:
    """Lets the minutes before this one leave."""
    cdef bint left_high = False
    cdef bint left_low = False
    cdef Minute* minute
    cdef int64_t i
    while statistics.count and statistics.minutes[statistics.first].number < oldest:
        minute = &statistics.minutes[statistics.first]
        statistics.volume_lots -= minute.volume_lots
        statistics.turnover_atoms -= minute.turnover_atoms
        statistics.trade_count -= minute.trades
        left_high = left_high or minute.high_ticks == statistics.high_ticks
        left_low = left_low or minute.low_ticks == statistics.low_ticks
        statistics.first += 1
        statistics.count -= 1
    minute = statistics.minutes + statistics.first
    if left_high:
        statistics.high_ticks = 0
        for i in range(statistics.count):
            statistics.high_ticks = imax(statistics.high_ticks, minute[i].high_ticks)
    if left_low:
        statistics.low_ticks = minute[0].low_ticks if statistics.count else 0
        for i in range(1, statistics.count):
            statistics.low_ticks = imin(statistics.low_ticks, minute[i].low_ticks)
    statistics.changed = True

cdef inline void statistics_pass_time(Statistics* statistics, int64_t timestamp_ns) noexcept nogil:
    """Lets the minutes that are too old leave the window."""
    cdef int64_t oldest
    if statistics.counting_since_ns < 0:
        statistics.counting_since_ns = timestamp_ns
    if minute_of(timestamp_ns) == statistics.minute:
        return
    statistics.minute = minute_of(timestamp_ns)
    oldest = statistics.minute - WINDOW_MINUTES + 1
    if statistics.count and statistics.minutes[statistics.first].number < oldest:
        drop_minutes(statistics, oldest)

cdef inline Minute* minute_new(Statistics* statistics, int64_t price_ticks) noexcept nogil:
    """The present minute, of which this is the first trade; NULL without memory."""
    cdef int64_t room = 2 * statistics.room + 8
    cdef void* moved
    cdef Minute* minute
    if statistics.first + statistics.count == statistics.room:
        if statistics.first > statistics.count:        # half of it is free in front, so each is moved seldom
            memmove(statistics.minutes, statistics.minutes + statistics.first, statistics.count * sizeof(Minute))
            statistics.first = 0
        else:
            moved = realloc(statistics.minutes, room * sizeof(Minute))
            if moved == NULL:
                return NULL
            statistics.minutes = <Minute*>moved
            statistics.room = room
    minute = &statistics.minutes[statistics.first + statistics.count]
    statistics.count += 1
    memset(minute, 0, sizeof(Minute))
    minute.number = statistics.minute
    minute.open_ticks = minute.high_ticks = minute.low_ticks = price_ticks
    return minute

cdef inline bint count_trade(
    Statistics* statistics, int64_t price_ticks, int64_t qty_lots, int64_t value_atoms
) noexcept nogil:
    """Counts one trade, at the time that was last told; False without memory."""
    cdef Minute* minute = NULL
    if statistics.count:
        minute = &statistics.minutes[statistics.first + statistics.count - 1]
    if minute == NULL or minute.number != statistics.minute:
        minute = minute_new(statistics, price_ticks)
        if minute == NULL:
            return False
    minute.high_ticks = imax(minute.high_ticks, price_ticks)
    minute.low_ticks = imin(minute.low_ticks, price_ticks)
    minute.volume_lots += qty_lots
    minute.turnover_atoms += value_atoms
    minute.trades += 1
    statistics.high_ticks = imax(statistics.high_ticks, price_ticks)
    statistics.low_ticks = imin(statistics.low_ticks if statistics.low_ticks else price_ticks, price_ticks)
    statistics.last_ticks = price_ticks
    statistics.volume_lots += qty_lots
    statistics.turnover_atoms += value_atoms
    statistics.trade_count += 1
    statistics.changed = True
    return True

cdef inline void move_position(Statistics* statistics, uint8_t side, int64_t qty_lots, int64_t position_lots) noexcept nogil:
    """Half of a fill: somebody who bought or sold so much now has this signed position."""
    cdef int64_t before_lots = position_lots - (qty_lots if side == SIDE_BUY else -qty_lots)
    statistics.open_interest_lots += imax(position_lots, 0) - imax(before_lots, 0)
    statistics.changed = True

cdef inline void keep_feeds(Statistics* statistics, int max_feeds) noexcept nogil:
    """What a mark policy leaves of the prices from outside; -1: none, the mark is set by hand."""
    cdef int source
    for source in range(max_feeds + 1, MAX_FEEDS + 1):
        statistics.prices[source].known = False
    statistics.changed = True

cdef inline void set_funding(Statistics* statistics, bint known, int64_t interval_ns, int64_t next_funding_ns) noexcept nogil:
    """An interval of which nothing is known yet, or that there is none."""
    memset(&statistics.funding, 0, sizeof(FundingSoFar))
    statistics.funding.known = known
    statistics.funding.interval_ns = interval_ns
    statistics.funding.next_funding_ns = next_funding_ns
    statistics.changed = True

cdef inline bint is_print(uint8_t role, uint8_t side) noexcept nogil:
    """Whether this half of a fill stands for a trade: the taker's, or the buy of an auction."""
    return role == FILL_ROLE_TAKER or role == FILL_ROLE_LIQUIDATED or (role == FILL_ROLE_AUCTION and side == SIDE_BUY)

# ------------------------------------------------------------------------------------------------ the desk

cdef inline bint desk_open(Desk* desk) noexcept nogil:
    """Nobody is listed; False without memory."""
    memset(desk, 0, sizeof(Desk))
    desk.minute = -1
    desk.by_symbol = <Statistics**>calloc(MAX_SYMBOL + 1, sizeof(Statistics*))
    return desk.by_symbol != NULL

cdef inline void desk_close(Desk* desk) noexcept nogil:
    cdef uint32_t i
    for i in range(desk.count):
        free(desk.listed[i].minutes)
        free(desk.listed[i])
    free(desk.listed)
    free(desk.by_symbol)

cdef inline Statistics* statistics_of(Desk* desk, uint32_t symbol) noexcept nogil:
    """The statistics of a symbol; NULL where it is not listed."""
    return desk.by_symbol[symbol] if symbol <= MAX_SYMBOL else NULL

cdef inline Statistics* desk_list(Desk* desk, uint32_t symbol) noexcept nogil:
    """Begins to count a symbol, anew if it was counted already; NULL without memory."""
    cdef uint32_t room = 2 * desk.room + 8
    cdef Statistics* statistics = statistics_of(desk, symbol)
    cdef void* moved
    if symbol > MAX_SYMBOL:
        desk.fault = FAULT_RECORD
        return NULL
    if statistics == NULL:
        if desk.count == desk.room:
            moved = realloc(desk.listed, room * sizeof(Statistics*))
            if moved == NULL:
                desk.fault = FAULT_MEMORY
                return NULL
            desk.listed = <Statistics**>moved
            desk.room = room
        statistics = <Statistics*>calloc(1, sizeof(Statistics))
        if statistics == NULL:
            desk.fault = FAULT_MEMORY
            return NULL
        desk.by_symbol[symbol] = desk.listed[desk.count] = statistics
        desk.count += 1
    free(statistics.minutes)
    memset(statistics, 0, sizeof(Statistics))
    statistics.symbol = symbol
    statistics.counting_since_ns = -1
    statistics_pass_time(statistics, desk.timestamp_ns)
    return statistics

cdef inline bint desk_pass_time(Desk* desk, int64_t timestamp_ns) noexcept nogil:
    """Moves every window to this time; whether a minute passed, so that figures may have changed."""
    cdef uint32_t i
    desk.timestamp_ns = timestamp_ns
    if minute_of(timestamp_ns) == desk.minute:
        return False
    desk.minute = minute_of(timestamp_ns)
    for i in range(desk.count):
        statistics_pass_time(desk.listed[i], timestamp_ns)
    return True

cdef inline void desk_feed_fill(Desk* desk, const wire_fill* fill) noexcept nogil:
    cdef Statistics* statistics = statistics_of(desk, fill.symbol)
    if statistics == NULL:             # listed before the snapshot that the replay began at
        statistics = desk_list(desk, fill.symbol)
        if statistics == NULL:
            return
    if is_print(fill.role, fill.side) and not count_trade(
        statistics, fill.price_ticks, fill.qty_lots, fill.value_atoms
    ):
        desk.fault = FAULT_MEMORY

cdef inline void desk_feed(Desk* desk, const uint8_t* at, int64_t size) noexcept nogil:
    """Counts the trades of replayed events; their time is that of the command before them."""
    cdef const uint8_t* end = at + size
    cdef const wire_event_header* header
    while at < end and desk.fault == 0:
        header = <const wire_event_header*>at
        if end - at < <int64_t>sizeof(wire_event_header) or header.size < sizeof(wire_event_header) \
                or header.size > end - at:
            desk.fault = FAULT_RECORD
        elif header.type == EVENT_ACCEPTED:
            desk_pass_time(desk, (<const wire_accepted*>at).timestamp_ns)
        elif header.type == EVENT_REJECTED:            # behind it may be trades, of liquidations by funding that is due
            desk_pass_time(desk, (<const wire_rejected*>at).timestamp_ns)
        elif header.type == EVENT_SYMBOL_LISTED:
            desk_list(desk, (<const wire_symbol_listed*>at).symbol)
        elif header.type == EVENT_FILL:
            desk_feed_fill(desk, <const wire_fill*>at)
        at += header.size
