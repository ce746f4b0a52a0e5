"""Placing, cancelling and amending orders: the checks in the order of their codes, then the loop (MATCH-02..09).

Each command function returns 0 when it was carried out, or the reject reason, in which case nothing has changed.
"""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from native.book cimport book_reduce, crosses
from native.core cimport (
    Core, Order, Position, Symbol, account_at, client_id_of, order_at, pool_of, position_at, position_ensure,
    position_find, reducible_lots, symbol_at, symbol_of,
)
from native.events cimport event_accepted, event_new
from native.ledger cimport orders_counted
from native.credit cimport credit_admits, credit_bears
from native.margin cimport admits, loss_at
from native.matching cimport (
    Taker, fill_or_kill, match, order_cancel, order_forget, order_leave, order_rest, reachable, taker_cancel,
)
from native.memory cimport slab_has_room
from native.order_index cimport client_index_find, order_index_find
from native.own_orders cimport own_sort
from native.units cimport div_floor, imax, imin, ppm_ceil, rarely, times_overflows, usually, wide
from native.wire cimport *

# ------------------------------------------------------------------------------------------- the checks

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

cdef inline bint over_exposed(Symbol* symbol, int64_t lots, int64_t price_ticks, Order* without) noexcept nogil:
    """UNITS-01: whether another order would let the symbol's exposure pass its limit."""
    cdef int64_t value, resting, exposed
    if rarely(times_overflows(lots, price_ticks, &value) or value > symbol.exposure_limit_atoms):
        return True
    value += symbol.resting_value_tick_lots      # two sums that are within the limit: no overflow
    resting = lots + symbol.resting_lots
    if without != NULL:
        value -= without.open_lots * without.price_ticks
        resting -= without.open_lots
    if rarely(times_overflows(value, 2 * symbol.m, &value)
              or value > symbol.exposure_limit_atoms - symbol.gross_entry_atoms):
        return True
    exposed = 2 * resting + symbol.gross_lots
    return rarely(times_overflows(exposed, symbol.mark_ticks, &exposed) or times_overflows(exposed, symbol.m, &exposed)
                  or exposed > symbol.exposure_limit_atoms)

cdef inline bint valid_flags(wire_place_order* c) noexcept nogil:
    if c.flags & ~<uint32_t>(ORDER_FLAG_POST_ONLY | ORDER_FLAG_REDUCE_ONLY):
        return False
    return not c.flags & ORDER_FLAG_POST_ONLY or (
        c.order_type == ORDER_TYPE_LIMIT and c.time_in_force == TIME_IN_FORCE_GTC)

cdef inline bint ordinary(wire_place_order* c) noexcept nogil:
    """Whether side, type, time in force, self-trade prevention and flags are those of a limit order without flags that
    rests or not: one look at eight bytes in place of seven.
    """
    return not (<uint64_t*>&c.side)[0] & ~<uint64_t>0x03010001

cdef inline int check_kind(wire_place_order* c) noexcept nogil:
    """Side, type, time in force, self-trade prevention and flags."""
    if c.side > SIDE_SELL:
        return REJECT_REASON_INVALID_SIDE
    if c.order_type > ORDER_TYPE_MARKET:
        return REJECT_REASON_INVALID_ORDER_TYPE
    if c.time_in_force > TIME_IN_FORCE_FOK or (
            c.order_type == ORDER_TYPE_MARKET and c.time_in_force == TIME_IN_FORCE_GTC):
        return REJECT_REASON_INVALID_TIME_IN_FORCE
    if c.self_trade > SELF_TRADE_PREVENTION_DECREMENT:
        return REJECT_REASON_INVALID_SELF_TRADE_PREVENTION
    return 0 if valid_flags(c) else REJECT_REASON_INVALID_FLAGS

cdef inline bint outside(int64_t value, int64_t most) noexcept nogil:
    """Whether a value is not in 1 .. most."""
    return <uint64_t>(value - 1) >= <uint64_t>most

cdef inline int check_form(Core* core, wire_place_order* c) noexcept nogil:
    """What can be told from the command alone, and whether its symbol can be traded."""
    cdef Symbol* symbol
    cdef int reason
    if outside(c.account, MAX_ACCOUNT):
        return REJECT_REASON_INVALID_ACCOUNT
    symbol = symbol_at(core, c.symbol)
    if symbol == NULL:
        return REJECT_REASON_UNKNOWN_SYMBOL
    if rarely(not ordinary(c)):
        reason = check_kind(c)
        if reason:
            return reason
    if c.order_type == ORDER_TYPE_MARKET:
        if c.price_ticks != 0:
            return REJECT_REASON_INVALID_PRICE
    elif outside(c.price_ticks, MAX_PRICE_TICKS):
        return REJECT_REASON_INVALID_PRICE
    if outside(c.qty_lots, MAX_QTY_LOTS):
        return REJECT_REASON_INVALID_QUANTITY
    if symbol.mark_ticks == 0:
        return REJECT_REASON_NO_MARK_PRICE
    return 0

cdef inline int check_filters(
    Symbol* symbol, int side, int64_t qty_lots, int64_t price_ticks, bint reduce_only
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

cdef inline bint credit_shows(
    Core* core, Symbol* symbol, Position* position, int side, int64_t lots, int64_t price_ticks, bint reduce_only
) noexcept nogil:
    """MARGIN-07, by credit: whether it shows that the pool can bear an order, which it then follows."""
    return not (reduce_only or position.isolated) and credit_admits(core, symbol, position, side, lots, price_ticks)

cdef inline bint bears(
    Core* core, Symbol* symbol, Position* position, int side, int64_t lots, int64_t price_ticks,
    bint reduce_only, uint32_t without, bint* followed
) noexcept nogil:
    """MARGIN-07 where `credit_shows` did not decide; credit does not follow the order then, unless it is reduce-only."""
    followed[0] = reduce_only
    if reduce_only and not position.isolated and credit_bears(core, position.account, imax(0, loss_at(
            symbol, side, imin(lots, reducible_lots(position, side)), price_ticks))):
        return True
    return admits(core, symbol, position, side, lots, price_ticks, reduce_only, without)

cdef inline int check_order(
    Core* core, Symbol* symbol, Position* position, wire_place_order* c, int64_t lots, int64_t limit_ticks, bint* followed
) noexcept nogil:
    """The checks against the state, for the lots and the limit that count (of a market order: what it would reach)."""
    cdef bint reduce_only = c.flags & ORDER_FLAG_REDUCE_ONLY
    cdef int reason
    if c.client_order_id and client_index_find(core, c.account, c.client_order_id):
        return REJECT_REASON_DUPLICATE_CLIENT_ORDER_ID
    reason = check_filters(symbol, c.side, c.qty_lots,
                           c.price_ticks if c.price_ticks else symbol.mark_ticks, reduce_only)
    if reason:
        return reason
    if c.order_type == ORDER_TYPE_LIMIT and out_of_band(symbol, c.side, limit_ticks):
        return REJECT_REASON_PRICE_OUT_OF_BAND
    if c.time_in_force == TIME_IN_FORCE_GTC and position.order_count >= symbol.max_open_orders:
        return REJECT_REASON_TOO_MANY_OPEN_ORDERS
    if lots > 0 and over_exposed(symbol, lots, limit_ticks, NULL):
        return REJECT_REASON_VALUE_OUT_OF_RANGE
    if rarely(not (slab_has_room(&core.orders) and slab_has_room(&core.positions))):
        return REJECT_REASON_OUT_OF_CAPACITY
    if rarely(pool_of(core, position).liquidating):
        return REJECT_REASON_POOL_LIQUIDATING
    if reduce_only and reducible_lots(position, c.side) == 0:
        return REJECT_REASON_REDUCE_ONLY_WOULD_OPEN
    if c.flags & ORDER_FLAG_POST_ONLY and crosses(&symbol.sides[1 - c.side], limit_ticks):
        return REJECT_REASON_POST_ONLY_WOULD_TAKE
    followed[0] = True
    if core.risk and lots > 0 \
            and rarely(not credit_shows(core, symbol, position, c.side, lots, limit_ticks, reduce_only)) \
            and not bears(core, symbol, position, c.side, lots, limit_ticks, reduce_only, 0, followed):
        return REJECT_REASON_INSUFFICIENT_MARGIN
    return 0

# --------------------------------------------------------------------------------------------- placing

cdef inline void finish(Core* core, Symbol* symbol, Taker* taker, bint rests) noexcept nogil:
    """After the loop: what is left rests, or is cancelled."""
    if taker.open_lots > 0:
        if not rests:
            taker_cancel(core, taker, CANCEL_REASON_IMMEDIATE_OR_CANCEL)
        elif taker.flags & ORDER_FLAG_REDUCE_ONLY and reducible_lots(taker.position, taker.side) == 0:
            taker_cancel(core, taker, CANCEL_REASON_REDUCE_ONLY)
        else:
            order_rest(core, symbol, taker)
            return
    if taker.slot:
        order_forget(core, taker.slot)

cdef inline void run_fill_or_kill(Core* core, Symbol* symbol, Taker* taker) noexcept nogil:
    """MATCH-03: all or nothing, decided before any fill."""
    cdef int64_t needed = taker.open_lots
    if taker.flags & ORDER_FLAG_REDUCE_ONLY:
        needed = imin(needed, reducible_lots(taker.position, taker.side))
    if not fill_or_kill(core, symbol, taker, needed):
        taker_cancel(core, taker, CANCEL_REASON_FILL_OR_KILL)
    elif taker.open_lots:
        taker_cancel(core, taker, CANCEL_REASON_REDUCE_ONLY)

cdef inline int place_order(Core* core, wire_place_order* c) noexcept nogil:
    cdef Symbol* symbol
    cdef Position* position
    cdef Position blank
    cdef Taker taker
    cdef int64_t lots = c.qty_lots
    cdef int64_t limit = c.price_ticks
    cdef bint followed = True
    cdef int reason = check_form(core, c)
    if reason:
        return reason
    symbol = symbol_at(core, c.symbol)
    position = position_find(core, c.account, c.symbol)
    if position == NULL:      # nothing of a rejected command remains, so the entry is made only when it is accepted
        blank = position_at(core, 0)[0]
        blank.account = c.account
        blank.symbol = c.symbol
        position = &blank
    if c.order_type == ORDER_TYPE_MARKET:
        if c.flags & ORDER_FLAG_REDUCE_ONLY:
            lots = imin(lots, reducible_lots(position, c.side))
        lots = reachable(symbol, c.side, band_edge(symbol, c.side), lots, &limit)
    reason = check_order(core, symbol, position, c, lots, limit, &followed)
    if reason:
        return reason
    if position == &blank:
        position = position_ensure(core, c.account, c.symbol)
        position.charge_q31 = blank.charge_q31
        position.room_atoms = blank.room_atoms
    taker.followed = followed
    taker.position = position
    taker.slot = 0
    taker.order_id = core.next_order_id
    taker.client_order_id = c.client_order_id
    taker.limit_ticks = limit
    taker.shown_ticks = c.price_ticks
    taker.open_lots = c.qty_lots
    taker.filled_lots = 0
    taker.reach_lots = lots
    taker.side = c.side
    taker.self_trade = c.self_trade
    taker.flags = <uint16_t>c.flags
    taker.liquidation = False
    core.next_order_id += 1
    event_accepted(core, c.account, COMMAND_PLACE_ORDER, taker.order_id, c.client_order_id)
    if limit == 0:            # a market order with nothing to trade against
        taker_cancel(core, &taker, CANCEL_REASON_FILL_OR_KILL if c.time_in_force == TIME_IN_FORCE_FOK
                     else CANCEL_REASON_IMMEDIATE_OR_CANCEL)
    elif c.time_in_force == TIME_IN_FORCE_FOK:
        run_fill_or_kill(core, symbol, &taker)
    else:
        if crosses(&symbol.sides[1 - taker.side], limit):
            match(core, symbol, &taker)
        finish(core, symbol, &taker, c.time_in_force == TIME_IN_FORCE_GTC)
    return 0

# -------------------------------------------------------------------------------------------- cancelling

cdef inline uint32_t find_order(Core* core, uint32_t account, uint64_t order_id, uint64_t client_order_id) noexcept nogil:
    """The slot of the account's live order with this id, or else this client id; 0: none."""
    cdef uint32_t slot
    if order_id:
        slot = order_index_find(core, order_id)
        if slot and position_at(core, order_at(core, slot).position).account == account:
            return slot
        return 0
    return client_index_find(core, account, client_order_id) if client_order_id else 0

cdef inline int cancel_order(Core* core, wire_cancel_order* c) noexcept nogil:
    cdef uint32_t slot
    cdef Order* order
    if c.account == 0 or c.account > MAX_ACCOUNT:
        return REJECT_REASON_INVALID_ACCOUNT
    slot = find_order(core, c.account, c.order_id, c.client_order_id)
    if slot == 0:
        return REJECT_REASON_UNKNOWN_ORDER
    order = order_at(core, slot)
    event_accepted(core, c.account, COMMAND_CANCEL_ORDER, order.order_id, client_id_of(core, slot))
    order_cancel(core, symbol_of(core, position_at(core, order.position)), slot, CANCEL_REASON_REQUESTED)
    return 0

cdef inline int cancel_all(Core* core, wire_cancel_all* c) noexcept nogil:
    """MATCH-07, in canonical order: by symbol, buys first, best price first."""
    cdef uint32_t entry
    cdef Position* position
    cdef int side
    if c.account == 0 or c.account > MAX_ACCOUNT:
        return REJECT_REASON_INVALID_ACCOUNT
    if c.symbol and symbol_at(core, c.symbol) == NULL:
        return REJECT_REASON_UNKNOWN_SYMBOL
    if c.side > 2:
        return REJECT_REASON_INVALID_SIDE
    event_accepted(core, c.account, COMMAND_CANCEL_ALL, 0, 0)
    entry = account_at(core, c.account).first_position
    while entry:
        position = position_at(core, entry)
        if c.symbol == 0 or c.symbol == position.symbol:
            for side in range(2):
                while c.side != 1 - side and own_sort(core, position, side):
                    order_cancel(core, symbol_of(core, position), position.own_head[side],
                                 CANCEL_REASON_CANCEL_ALL)
        entry = position.next
    return 0

# ---------------------------------------------------------------------------------------------- amending

cdef inline void event_amended(
    Core* core, Position* position, uint32_t slot, bint kept, int64_t price_ticks, int64_t open_lots
) noexcept nogil:
    cdef Order* order = order_at(core, slot)
    cdef wire_order_amended* e = <wire_order_amended*>event_new(
        core, EVENT_ORDER_AMENDED, sizeof(wire_order_amended), position.account)
    e.symbol = position.symbol
    e.side = order.side
    e.kept_priority = kept
    e.order_id = order.order_id
    e.client_order_id = client_id_of(core, slot)
    e.previous_price_ticks = order.price_ticks
    e.previous_open_lots = order.open_lots
    e.price_ticks = price_ticks
    e.open_lots = open_lots

cdef inline int check_amend(
    Core* core, Symbol* symbol, Position* position, uint32_t slot, wire_amend_order* c, int64_t price, int64_t open_lots,
    bint* followed
) noexcept nogil:
    cdef Order* order = order_at(core, slot)
    cdef bint reduce_only = order.flags & ORDER_FLAG_REDUCE_ONLY
    cdef int64_t total = open_lots + order.filled_lots
    if price == order.price_ticks and total == order.open_lots + order.filled_lots:
        return REJECT_REASON_NOTHING_TO_AMEND
    if open_lots <= 0:
        return REJECT_REASON_QUANTITY_BELOW_FILLED
    if c.qty_lots and total < symbol.min_qty_lots:
        return REJECT_REASON_QUANTITY_BELOW_MINIMUM
    if c.qty_lots and total > symbol.max_qty_lots:
        return REJECT_REASON_QUANTITY_ABOVE_MAXIMUM
    if symbol.min_notional_atoms > 0 and not reduce_only and wide(total, price) * symbol.m < symbol.min_notional_atoms:
        return REJECT_REASON_NOTIONAL_BELOW_MINIMUM
    if price != order.price_ticks and out_of_band(symbol, order.side, price):
        return REJECT_REASON_PRICE_OUT_OF_BAND
    if price == order.price_ticks and open_lots < order.open_lots:
        return 0
    if over_exposed(symbol, open_lots, price, order):
        return REJECT_REASON_VALUE_OUT_OF_RANGE
    if price != order.price_ticks and order.flags & ORDER_FLAG_POST_ONLY \
            and crosses(&symbol.sides[1 - order.side], price):
        return REJECT_REASON_POST_ONLY_WOULD_TAKE
    followed[0] = True
    if core.risk and rarely(not credit_shows(core, symbol, position, order.side, open_lots, price, reduce_only)) \
            and not bears(core, symbol, position, order.side, open_lots, price, reduce_only, slot, followed):
        return REJECT_REASON_INSUFFICIENT_MARGIN
    return 0

cdef inline void replace_order(Core* core, Symbol* symbol, Position* position, uint32_t slot,
                               int64_t price, int64_t open_lots, bint followed) noexcept nogil:
    """Takes the order out of its queue, and sends it through the loop as a taker with its own id."""
    cdef Order* order = order_at(core, slot)
    cdef Taker taker
    taker.position = position
    taker.slot = slot
    taker.order_id = order.order_id
    taker.client_order_id = client_id_of(core, slot)
    taker.limit_ticks = price
    taker.shown_ticks = price
    taker.open_lots = open_lots
    taker.filled_lots = order.filled_lots
    taker.reach_lots = open_lots
    taker.followed = followed
    taker.side = order.side
    taker.self_trade = order.self_trade
    taker.flags = order.flags
    taker.liquidation = False
    event_amended(core, position, slot, False, price, open_lots)
    order_leave(core, symbol, position, slot)
    if crosses(&symbol.sides[1 - taker.side], price):
        match(core, symbol, &taker)
    finish(core, symbol, &taker, True)

cdef inline int amend_order(Core* core, wire_amend_order* c) noexcept nogil:
    """MATCH-05: one atomic step; a smaller quantity keeps its place, anything else goes to the back and may trade."""
    cdef uint32_t slot
    cdef Order* order
    cdef Position* position
    cdef Symbol* symbol
    cdef int64_t price, open_lots
    cdef bint followed = True
    cdef int reason
    if c.account == 0 or c.account > MAX_ACCOUNT:
        return REJECT_REASON_INVALID_ACCOUNT
    if c.price_ticks < 0 or c.price_ticks > MAX_PRICE_TICKS:
        return REJECT_REASON_INVALID_PRICE
    if c.qty_lots < 0 or c.qty_lots > MAX_QTY_LOTS:
        return REJECT_REASON_INVALID_QUANTITY
    slot = find_order(core, c.account, c.order_id, c.client_order_id)
    if slot == 0:
        return REJECT_REASON_UNKNOWN_ORDER
    order = order_at(core, slot)
    position = position_at(core, order.position)
    symbol = symbol_of(core, position)
    price = c.price_ticks if c.price_ticks else order.price_ticks
    open_lots = c.qty_lots - order.filled_lots if c.qty_lots else order.open_lots
    reason = check_amend(core, symbol, position, slot, c, price, open_lots, &followed)
    if reason:
        return reason
    event_accepted(core, c.account, COMMAND_AMEND_ORDER, order.order_id, client_id_of(core, slot))
    if price != order.price_ticks or open_lots > order.open_lots:
        replace_order(core, symbol, position, slot, price, open_lots, followed)
        return 0
    event_amended(core, position, slot, True, price, open_lots)
    orders_counted(symbol, position, order, open_lots - order.open_lots)
    book_reduce(&symbol.sides[order.side], order, order.open_lots - open_lots)
    return 0
