"""What an order must be to be taken: the checks of form, then those against the state, in the order of their codes.

Nothing here changes anything.  Each function returns 0 or the reject reason.
"""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy
from native.book cimport crosses
from native.caps cimport CAP_NONE, CAP_POSITION, over_cap
from native.core cimport (
    Core, Order, Position, Symbol, account_at, ensure, pool_of, position_at, reducible_lots, symbol_at,
)
from native.credit cimport CREDIT_CHECKED, credit_admits, credit_bears, credit_forget
from native.legs cimport leg_fits
from native.margin cimport admits, loss_at
from native.matching cimport reachable
from native.memory cimport slab_has_room
from native.order_index cimport client_index_find
from native.positions cimport position_find
from native.remembered cimport remembered_find
from native.units cimport apart_int, apart_int64, div_floor, imax, imin, ppm_ceil, rarely, times_overflows, usually, wide
from native.waiting cimport (
    is_limit_type, is_trigger_type, reduces_only, trigger_reached, triggers_ensure, watched_price,
)
from native.wire cimport *

cdef enum:
    FAULT_EXPOSURE = 7

cdef enum:                             # whether a pool bears an order (MARGIN-07)
    REFUSED = 0
    BORNE = 1
    FOLLOWED = 2                       # it does, and its credit follows what the order does (credit.pxd)

# An order on its way into the exchange, with what the checks have found out.
cdef struct Placing:
    Symbol* symbol
    Position* position                 # the account's entry, or the core's `blank`
    int64_t limit_ticks                # after sliding; of a market order its effective limit, 0: nothing to trade
    int64_t reach_lots                 # the lots that count; of a market order those found
    bint followed                      # whether the account's credit counts it (credit.pxd)
    bint exit                          # of an entry: its position is not there yet
    bint named_twice                   # an order of its list has its client order id already
    int64_t orders_before              # of its list, that will count with the account's

# ------------------------------------------------------------------------------------------- prices

cdef inline int64_t band_edge(Symbol* symbol, int side) noexcept nogil:
    """The worst price an order of this side may have (MATCH-09); 0: any."""
    if symbol.price_band_ppm < 0:
        return 0
    if side == SIDE_BUY:
        return <int64_t>div_floor(wide(symbol.mark_ticks, PPM + symbol.price_band_ppm), PPM)
    return ppm_ceil(symbol.mark_ticks, PPM - symbol.price_band_ppm)

cdef inline bint out_of_band(Symbol* symbol, int side, int64_t price_ticks) noexcept nogil:
    cdef int64_t edge = band_edge(symbol, side)
    if symbol.price_band_ppm < 0:
        return False
    return price_ticks > edge if side == SIDE_BUY else price_ticks < edge

cdef inline int64_t market_edge(Symbol* symbol, int side, int64_t worst_ticks) noexcept nogil:
    """How far a market order may go: to the band's edge and to its own worst price (MATCH-02); 0: anywhere."""
    cdef int64_t edge = band_edge(symbol, side)
    if symbol.price_band_ppm < 0 or worst_ticks == 0:
        return worst_ticks if worst_ticks else edge
    return imin(edge, worst_ticks) if side == SIDE_BUY else imax(edge, worst_ticks)

cdef inline int64_t slid(Symbol* symbol, int side, int64_t price_ticks) noexcept nogil:
    """MATCH-04: the best price that does not cross, where this one does; itself where there is none."""
    cdef int64_t best
    if not crosses(&symbol.sides[1 - side], price_ticks):
        return price_ticks
    best = symbol.sides[1 - side].best_ticks + (-1 if side == SIDE_BUY else 1)
    return best if 1 <= best <= MAX_PRICE_TICKS else price_ticks

# ----------------------------------------------------------------------------------------- exposure

cdef inline apart_int64 exposure_left(Symbol* symbol, int64_t lots, int64_t price_ticks, Order* without) noexcept nogil:
    """What of the symbol's limit another order would leave (UNITS-01), in tick lots of further orders; negative: it passes it."""
    cdef int64_t value, resting, exposed
    if times_overflows(lots, price_ticks, &value) or value > symbol.exposure_limit_atoms:
        return -1
    value += symbol.resting_value_tick_lots      # two sums that are within the limit: no overflow
    resting = lots + symbol.resting_lots[0] + symbol.resting_lots[1]
    if without != NULL:
        value -= without.open_lots * without.price_ticks
        resting -= without.open_lots
    if times_overflows(value, 2 * symbol.m, &value) or value > symbol.exposure_limit_atoms - symbol.gross_entry_atoms:
        return -1
    exposed = 2 * resting + symbol.gross_lots
    if times_overflows(exposed, symbol.mark_ticks, &exposed) or times_overflows(exposed, symbol.m, &exposed) \
            or exposed > symbol.exposure_limit_atoms:
        return -1
    return (symbol.exposure_limit_atoms - imax(value + symbol.gross_entry_atoms, exposed)) // (2 * symbol.m)

cdef inline bint over_exposed(
    Core* core, Symbol* symbol, int64_t lots, int64_t price_ticks, Order* without
) noexcept nogil:
    """UNITS-01: whether another order would let the symbol's exposure pass its limit; takes the room that it needs if not.

    Both sums that the limit bounds, 2 m x resting value + entry values and (2 x resting + held lots) x mark x m, grow by
    2 m x lots x max(price, mark) at most when an order comes, and by nothing else: a fill takes twice from what rests what
    it gives to each side, and a mark ends the room.  So what fits into the room that the last summing left is within the
    limit.  Orders that leave give nothing back; the next summing finds it.
    """
    cdef int64_t value, left
    if usually(not times_overflows(lots, imax(price_ticks, symbol.mark_ticks), &value) and value <= symbol.room_tick_lots):
        symbol.room_tick_lots -= value
        if CREDIT_CHECKED:
            ensure(core, exposure_left(symbol, lots, price_ticks, without) >= 0, FAULT_EXPOSURE)
        return False
    left = exposure_left(symbol, lots, price_ticks, without)
    if left < 0:
        return True
    symbol.room_tick_lots = left if without == NULL else 0     # the order that it would replace may yet stay
    return False

# --------------------------------------------------------------------------------------------- form

cdef inline bint may_rest(wire_order* c) noexcept nogil:
    return is_limit_type(c.order_type) and (
        c.time_in_force == TIME_IN_FORCE_GTC or c.time_in_force == TIME_IN_FORCE_GTD)

cdef inline bint valid_flags(wire_order* c) noexcept nogil:
    cdef uint32_t known = ORDER_FLAG_POST_ONLY | ORDER_FLAG_REDUCE_ONLY | ORDER_FLAG_SLIDE | ORDER_FLAG_CLOSE_POSITION
    if c.flags & ~known:
        return False
    if c.flags & ORDER_FLAG_POST_ONLY and not may_rest(c):
        return False
    if c.flags & ORDER_FLAG_SLIDE and not c.flags & ORDER_FLAG_POST_ONLY:
        return False
    return not c.flags & ORDER_FLAG_CLOSE_POSITION or (
        is_trigger_type(c.order_type) and not is_limit_type(c.order_type))

cdef inline bint valid_trigger(wire_order* c) noexcept nogil:
    if c.order_type == ORDER_TYPE_TRAILING_STOP:
        return c.trigger_ticks == 0 and c.trigger_by <= TRIGGER_BY_LAST \
            and 0 <= c.callback_ticks <= MAX_PRICE_TICKS and c.callback_ppm < PPM \
            and (c.callback_ticks == 0) != (c.callback_ppm == 0)
    if c.callback_ticks or c.callback_ppm:
        return False
    if is_trigger_type(c.order_type):
        return 1 <= c.trigger_ticks <= MAX_PRICE_TICKS and c.trigger_by <= TRIGGER_BY_LAST
    return c.trigger_ticks == 0 and c.trigger_by == 0

cdef inline bint outside(int64_t value, int64_t most) noexcept nogil:
    """Whether a value is not in 1 .. most."""
    return <uint64_t>value - 1 >= <uint64_t>most

cdef inline bint ordinary(wire_order* c) noexcept nogil:
    """Whether it is a limit order of good form without flags and extras that rests or not: a look at all at once."""
    cdef uint64_t kind
    cdef uint16_t last
    memcpy(&kind, &c.side, sizeof(kind))     # a record lies at any address
    memcpy(&last, &c.trigger_by, sizeof(last))     # and the leg
    return not (kind & ~<uint64_t>0x03010001
                | c.display_lots | c.expires_ns | c.trigger_ticks | c.callback_ticks | c.callback_ppm | last) \
        and not (outside(c.price_ticks, MAX_PRICE_TICKS) or outside(c.qty_lots, MAX_QTY_LOTS))

cdef inline wire_order ordinary_order(wire_order* c) noexcept nogil:
    """The same order, of which the compiler knows what `ordinary` found."""
    cdef wire_order known
    known.symbol = c.symbol
    known.side = c.side & 1
    known.order_type = ORDER_TYPE_LIMIT
    known.time_in_force = c.time_in_force & 1
    known.self_trade = c.self_trade
    known.flags = 0
    known.price_ticks = c.price_ticks
    known.qty_lots = c.qty_lots
    known.client_order_id = c.client_order_id
    known.display_lots = known.expires_ns = known.trigger_ticks = known.callback_ticks = 0
    known.callback_ppm = known.trigger_by = known.leg = 0
    return known

cdef inline int check_kind(wire_order* c) noexcept nogil:
    """Side, type, time in force, self-trade prevention and flags."""
    if c.side > SIDE_SELL:
        return REJECT_REASON_INVALID_SIDE
    if c.order_type > ORDER_TYPE_TRAILING_STOP:
        return REJECT_REASON_INVALID_ORDER_TYPE
    if c.time_in_force > TIME_IN_FORCE_GTD or (
            not is_limit_type(c.order_type) and c.time_in_force != TIME_IN_FORCE_IOC
            and c.time_in_force != TIME_IN_FORCE_FOK):
        return REJECT_REASON_INVALID_TIME_IN_FORCE
    if c.self_trade > SELF_TRADE_PREVENTION_DECREMENT:
        return REJECT_REASON_INVALID_SELF_TRADE_PREVENTION
    return 0 if valid_flags(c) else REJECT_REASON_INVALID_FLAGS

cdef inline int check_amounts(Core* core, wire_order* c) noexcept nogil:
    """Price, quantity, trigger, display quantity and expiry."""
    if c.price_ticks > MAX_PRICE_TICKS or c.price_ticks < (1 if is_limit_type(c.order_type) else 0):
        return REJECT_REASON_INVALID_PRICE
    if c.qty_lots > MAX_QTY_LOTS or c.qty_lots < 0 or (c.qty_lots == 0) != (
            c.flags & ORDER_FLAG_CLOSE_POSITION != 0):
        return REJECT_REASON_INVALID_QUANTITY
    if not valid_trigger(c):
        return REJECT_REASON_INVALID_TRIGGER
    if c.display_lots and (c.display_lots < 1 or c.display_lots > c.qty_lots or not may_rest(c)):
        return REJECT_REASON_INVALID_DISPLAY
    if (c.expires_ns <= core.timestamp_ns) if c.time_in_force == TIME_IN_FORCE_GTD else (c.expires_ns != 0):
        return REJECT_REASON_INVALID_EXPIRY
    return 0

cdef inline int check_whom(Core* core, uint32_t account, wire_order* c) noexcept nogil:
    """Account and symbol."""
    if outside(account, MAX_ACCOUNT):
        return REJECT_REASON_INVALID_ACCOUNT
    return REJECT_REASON_UNKNOWN_SYMBOL if symbol_at(core, c.symbol) == NULL else 0

cdef inline int check_form(Core* core, uint32_t account, wire_order* c) noexcept nogil:
    """What can be told without the state, but for the symbol."""
    cdef int reason = check_whom(core, account, c)
    if reason == 0:
        reason = check_kind(c)
    return reason if reason else check_amounts(core, c)

# ----------------------------------------------------------------------------------------- the state

cdef inline bint collects(Symbol* symbol) noexcept nogil:
    """Whether orders rest as they come and nothing matches (MATCH-12)."""
    return symbol.state == SYMBOL_STATE_PRE_OPEN or symbol.state == SYMBOL_STATE_AUCTION

cdef inline bint state_allows(Symbol* symbol, wire_order* c) noexcept nogil:
    if symbol.state == SYMBOL_STATE_OPEN:
        return True
    return collects(symbol) and (is_trigger_type(c.order_type)
                                 or (may_rest(c) and not c.flags & ORDER_FLAG_POST_ONLY))

cdef inline int check_filters(
    Symbol* symbol, int64_t qty_lots, int64_t price_ticks, bint reduce_only
) noexcept nogil:
    """MATCH-09: quantity and notional."""
    if qty_lots < symbol.min_qty_lots:
        return REJECT_REASON_QUANTITY_BELOW_MINIMUM
    if qty_lots > symbol.max_qty_lots:
        return REJECT_REASON_QUANTITY_ABOVE_MAXIMUM
    if symbol.min_notional_atoms > 0 and not reduce_only \
            and wide(qty_lots, price_ticks) * symbol.m < symbol.min_notional_atoms:
        return REJECT_REASON_NOTIONAL_BELOW_MINIMUM
    return 0

cdef inline void find_entry(Core* core, uint32_t account, wire_order* c, Placing* placing) noexcept nogil:
    """The symbol, and the account's entry on it.  Nothing of a rejected command remains, so a new entry waits for acceptance.

    Orders that are taken together are of one symbol: the blank entry keeps what the first one was measured with.
    """
    placing.symbol = symbol_at(core, c.symbol)
    placing.position = position_find(core, account, c.symbol, c.leg)
    if rarely(placing.position == NULL):
        if placing.orders_before == 0:
            core.blank = position_at(core, 0)[0]
            core.blank.account = account
            core.blank.symbol = <uint16_t>c.symbol
            core.blank.leg = c.leg
        placing.position = &core.blank

cdef inline void find_limit(wire_order* c, Placing* placing) noexcept nogil:
    """The limit and the lots that count: of a market order what it would reach, of one that slides where it slides to."""
    cdef Symbol* symbol = placing.symbol
    placing.limit_ticks = c.price_ticks
    placing.reach_lots = c.qty_lots
    if c.order_type == ORDER_TYPE_MARKET:
        if c.flags & ORDER_FLAG_REDUCE_ONLY:
            placing.reach_lots = imin(placing.reach_lots, reducible_lots(placing.position, c.side))
        placing.reach_lots = reachable(symbol, c.side, market_edge(symbol, c.side, c.price_ticks),
                                       placing.reach_lots, &placing.limit_ticks)
    elif c.flags & ORDER_FLAG_SLIDE and c.order_type == ORDER_TYPE_LIMIT:
        placing.limit_ticks = slid(symbol, c.side, c.price_ticks)

cdef inline int check_waiting(wire_order* c, Placing* placing) noexcept nogil:
    """What is asked of an order with a trigger, at the end: the rest is asked when it goes off (MATCH-10)."""
    if placing.exit:
        return 0
    if reduces_only(c.flags) and reducible_lots(placing.position, c.side) == 0:
        return REJECT_REASON_REDUCE_ONLY_WOULD_OPEN
    if c.order_type != ORDER_TYPE_TRAILING_STOP and trigger_reached(
            c.order_type, c.side, c.trigger_ticks, watched_price(placing.symbol, c.trigger_by)):
        return REJECT_REASON_TRIGGER_ALREADY_TRUE
    return 0

cdef inline bint credit_shows(
    Core* core, Symbol* symbol, Position* position, int side, int64_t lots, int64_t price_ticks, bint reduce_only
) noexcept nogil:
    """MARGIN-07, by credit: whether it shows that the pool can bear an order, which it then follows."""
    return not (reduce_only or position.isolated) and credit_admits(core, symbol, position, side, lots, price_ticks)

cdef inline apart_int bears_exactly(
    Core* core, Symbol* symbol, Position* position, int side, int64_t lots, int64_t price_ticks,
    bint reduce_only, uint32_t without
) noexcept nogil:
    """MARGIN-07 where `credit_shows` did not decide; credit does not follow the order then, unless it is reduce-only."""
    if reduce_only and not position.isolated and credit_bears(core, position.account, imax(0, loss_at(
            symbol, side, imin(lots, reducible_lots(position, side)), price_ticks))):
        return FOLLOWED
    if not admits(core, symbol, position, side, lots, price_ticks, reduce_only, without):
        return REFUSED
    return FOLLOWED if reduce_only else BORNE

cdef inline int bears(
    Core* core, Symbol* symbol, Position* position, int side, int64_t lots, int64_t price_ticks,
    bint reduce_only, uint32_t without
) noexcept nogil:
    """MARGIN-07, by credit where that shows it, else by the exact sum."""
    if not core.risk or usually(credit_shows(core, symbol, position, side, lots, price_ticks, reduce_only)):
        return FOLLOWED
    return bears_exactly(core, symbol, position, side, lots, price_ticks, reduce_only, without)

cdef inline apart_int check_caps(
    Core* core, Symbol* symbol, Position* position, int side, int64_t lots, int64_t price_ticks, bint reduce_only, Order* without
) noexcept nogil:
    """MARGIN-11, of an order that the pool bears."""
    cdef int cap = over_cap(symbol, position, side, lots, price_ticks, reduce_only, without)
    if cap == CAP_NONE:
        return 0
    credit_forget(account_at(core, position.account))      # it has charged the order
    return REJECT_REASON_POSITION_LIMIT if cap == CAP_POSITION else REJECT_REASON_OPEN_INTEREST_LIMIT

cdef inline apart_int may_not_open(
    Symbol* symbol, Position* position, int side, int64_t lots, uint32_t flags, Order* without
) noexcept nogil:
    """MARK-03: whether an order would take to open while the mark is held, in place of the order `without`."""
    cdef int64_t others = position.order_lots[side]
    if flags & (ORDER_FLAG_REDUCE_ONLY | ORDER_FLAG_POST_ONLY) or symbol.state != SYMBOL_STATE_OPEN:
        return False
    if without != NULL:
        others -= without.open_lots    # it is not reduce-only, for what replaces it is not
    return others + lots > reducible_lots(position, side)

cdef inline int check_acting(Core* core, wire_order* c, Placing* placing) noexcept nogil:
    """What is asked of an order that acts at once, at the end."""
    cdef Symbol* symbol = placing.symbol
    cdef Position* position = placing.position
    cdef bint reduce_only = c.flags & ORDER_FLAG_REDUCE_ONLY
    cdef int borne, capped
    if reduce_only and reducible_lots(position, c.side) == 0:
        return REJECT_REASON_REDUCE_ONLY_WOULD_OPEN
    if c.flags & ORDER_FLAG_POST_ONLY and crosses(&symbol.sides[1 - c.side], placing.limit_ticks):
        return REJECT_REASON_POST_ONLY_WOULD_TAKE
    if placing.reach_lots > 0:
        borne = bears(core, symbol, position, c.side, placing.reach_lots, placing.limit_ticks, reduce_only, 0)
        if borne == REFUSED:
            return REJECT_REASON_INSUFFICIENT_MARGIN
        if rarely(symbol.capped):
            capped = check_caps(core, symbol, position, c.side, placing.reach_lots, placing.limit_ticks, reduce_only, NULL)
            if capped:
                return capped
        if rarely(symbol.held) and may_not_open(symbol, position, c.side, placing.reach_lots, c.flags, NULL):
            return REJECT_REASON_MARK_HELD
        placing.followed = borne == FOLLOWED
    return 0

cdef inline bint has_room(Core* core, Symbol* symbol, wire_order* c, bint waits) noexcept nogil:
    return slab_has_room(&core.orders) and slab_has_room(&core.positions) \
        and (not c.client_order_id or slab_has_room(&core.remembered)) and (not waits or triggers_ensure(symbol))

cdef inline int64_t orders_there(Core* core, uint32_t account, wire_order* c, Placing* placing) noexcept nogil:
    """The account's orders on the symbol, those of the other leg included (MATCH-09)."""
    cdef int64_t count = placing.position.order_count + placing.orders_before
    cdef Position* other
    if rarely(c.leg != LEG_NET):
        other = position_find(core, account, c.symbol, LEG_LONG + LEG_SHORT - c.leg)
        if other != NULL:
            count += other.order_count
    return count

cdef inline int check_order(Core* core, uint32_t account, wire_order* c, Placing* placing) noexcept nogil:
    """The checks against the state; `placing` gets what they find."""
    cdef Symbol* symbol
    cdef bint waits = is_trigger_type(c.order_type)
    cdef int reason
    placing.followed = True            # an order that waits counts for nothing
    if rarely(not leg_fits(core, account, c.leg)):     # without a leg there is nothing to be asked
        return REJECT_REASON_INVALID_LEG
    find_entry(core, account, c, placing)
    symbol = placing.symbol
    if rarely(not state_allows(symbol, c)):
        return REJECT_REASON_SYMBOL_STATE_FORBIDS
    if symbol.mark_ticks == 0:
        return REJECT_REASON_NO_MARK_PRICE
    if rarely(waits) and watched_price(symbol, c.trigger_by) == 0:
        return REJECT_REASON_NO_LAST_PRICE
    if c.client_order_id and (placing.named_twice or remembered_find(core, account, c.client_order_id) != NULL
                              or client_index_find(core, account, c.client_order_id)):
        return REJECT_REASON_DUPLICATE_CLIENT_ORDER_ID
    if not c.flags & ORDER_FLAG_CLOSE_POSITION:
        reason = check_filters(
            symbol, c.qty_lots,
            c.price_ticks if c.price_ticks else (c.trigger_ticks if c.trigger_ticks else symbol.mark_ticks),
            c.flags & ORDER_FLAG_REDUCE_ONLY)
        if reason:
            return reason
    if c.order_type == ORDER_TYPE_LIMIT and out_of_band(symbol, c.side, c.price_ticks):
        return REJECT_REASON_PRICE_OUT_OF_BAND
    if orders_there(core, account, c, placing) >= symbol.max_open_orders and (waits or may_rest(c)):
        return REJECT_REASON_TOO_MANY_OPEN_ORDERS
    find_limit(c, placing)
    if not waits and placing.reach_lots > 0 and over_exposed(core, symbol, placing.reach_lots, placing.limit_ticks, NULL):
        return REJECT_REASON_VALUE_OUT_OF_RANGE
    if rarely(not has_room(core, symbol, c, waits)):
        return REJECT_REASON_OUT_OF_CAPACITY
    if rarely(pool_of(core, placing.position).liquidating):
        return REJECT_REASON_POOL_LIQUIDATING
    return check_waiting(c, placing) if waits else check_acting(core, c, placing)
