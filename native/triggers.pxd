"""Triggers going off, one after the other, and what is due by time (MATCH-03, MATCH-07, MATCH-10).

Runs when a command and its liquidations are done: the orders that the new prices set off join a queue by order id; the first goes
off like a new order, its liquidations are worked off, and the prices are looked at again.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport qsort
from libc.string cimport memcpy
from native.amend cimport taker_from
from native.book cimport crosses
from native.checks cimport (
    FOLLOWED, REFUSED, bears, check_caps, market_edge, may_not_open, out_of_band, over_exposed, slid,
)
from native.core cimport (
    ARMED, Core, Order, OrderMore, Position, Symbol, TRIGGERED, Timer, WAITING, account_more, more_at, order_at,
    position_at, reducible_lots, symbol_of,
)
from native.events cimport event_new
from native.funding cimport pass_funding
from native.liquidation cimport liquidation_drain
from native.matching cimport reachable
from native.memory cimport ids_take
from native.order_index cimport order_index_find
from native.order_life cimport Taker, UNFOLLOWED, client_id_of, link_triggered, order_cancel, order_forget, taker_cancel
from native.orders cimport act, cancel_account
from native.timers cimport is_countdown, is_funding, timer_due, timer_order, timer_pop
from native.units cimport apart, imin, rarely
from native.waiting cimport (
    begin_trailing, collect, is_limit_type, reduces_only, waiting_leave, watch,
)
from native.wire cimport *

# ------------------------------------------------------------------------------------------ going off

cdef inline void event_order_triggered(Core* core, Symbol* symbol, uint32_t slot) noexcept nogil:
    cdef Order* order = order_at(core, slot)
    cdef OrderMore* more = more_at(core, slot)
    cdef wire_order_triggered* e = <wire_order_triggered*>event_new(
        core, EVENT_ORDER_TRIGGERED, sizeof(wire_order_triggered), position_at(core, order.position).account)
    e.symbol = symbol.symbol
    e.side = order.side
    e.order_id = order.order_id
    e.client_order_id = client_id_of(core, slot)
    e.trigger_ticks = more.trigger_ticks
    e.watched_ticks = more.watched_ticks
    e.open_lots = order.open_lots

cdef inline void find_triggered_limit(Symbol* symbol, Taker* taker, bint limited) noexcept nogil:
    """The limit that counts: of a market type what it would reach, of one that slides where it slides to."""
    cdef int64_t lots = taker.open_lots
    if not limited:
        if taker.flags & ORDER_FLAG_REDUCE_ONLY:
            lots = imin(lots, reducible_lots(taker.position, taker.side))
        taker.reach_lots = reachable(symbol, taker.side, market_edge(symbol, taker.side, taker.shown_ticks),
                                     lots, &taker.limit_ticks)
    elif taker.flags & ORDER_FLAG_SLIDE:
        taker.limit_ticks = slid(symbol, taker.side, taker.limit_ticks)
        taker.shown_ticks = taker.limit_ticks

cdef inline int refuse_capped(Core* core, Symbol* symbol, Taker* taker) noexcept nogil:
    """MARGIN-11, of an order that goes off."""
    cdef int reason = check_caps(core, symbol, taker.position, taker.side, taker.reach_lots, taker.limit_ticks,
                                 taker.flags & ORDER_FLAG_REDUCE_ONLY, NULL)
    if reason == 0:
        return 0
    return CANCEL_REASON_POSITION_LIMIT if reason == REJECT_REASON_POSITION_LIMIT else CANCEL_REASON_OPEN_INTEREST_LIMIT

cdef inline int refuse_triggered(Core* core, Symbol* symbol, Taker* taker, bint limited) noexcept nogil:
    """Why an order that goes off cannot act (the table of MATCH-10); 0: it can."""
    cdef int borne, reason
    if taker.flags & ORDER_FLAG_REDUCE_ONLY and reducible_lots(taker.position, taker.side) == 0:
        return CANCEL_REASON_REDUCE_ONLY
    if limited and out_of_band(symbol, taker.side, taker.limit_ticks):
        return CANCEL_REASON_PRICE_OUT_OF_BAND
    find_triggered_limit(symbol, taker, limited)
    if taker.flags & ORDER_FLAG_POST_ONLY and crosses(&symbol.sides[1 - taker.side], taker.limit_ticks):
        return CANCEL_REASON_POST_ONLY
    if taker.reach_lots == 0:
        return 0
    if over_exposed(core, symbol, taker.reach_lots, taker.limit_ticks, NULL):
        return CANCEL_REASON_VALUE_OUT_OF_RANGE
    borne = bears(core, symbol, taker.position, taker.side, taker.reach_lots, taker.limit_ticks,
                  taker.flags & ORDER_FLAG_REDUCE_ONLY, 0)
    taker.special = 0 if borne == FOLLOWED else UNFOLLOWED
    if borne == REFUSED:
        return CANCEL_REASON_INSUFFICIENT_MARGIN
    if rarely(symbol.capped):
        reason = refuse_capped(core, symbol, taker)
        if reason:
            return reason
    if symbol.held and may_not_open(symbol, taker.position, taker.side, taker.reach_lots, taker.flags, NULL):
        return CANCEL_REASON_MARK_HELD
    return 0

cdef inline void go_off(Core* core, uint32_t slot) noexcept nogil:
    """An order whose trigger was reached stops waiting and acts (MATCH-10)."""
    cdef Order* order = order_at(core, slot)
    cdef OrderMore* more = more_at(core, slot)
    cdef Position* position = position_at(core, order.position)
    cdef Symbol* symbol = symbol_of(core, position)
    cdef bint limited = is_limit_type(more.order_type)
    cdef Taker taker
    cdef int reason
    waiting_leave(core, symbol, position, slot)
    if order.flags & ORDER_FLAG_CLOSE_POSITION:
        order.open_lots = reducible_lots(position, order.side)
    event_order_triggered(core, symbol, slot)
    if order.flags & ORDER_FLAG_LINKED:
        link_triggered(core, slot)
    taker = taker_from(
        core, position, slot, order.flags | (ORDER_FLAG_REDUCE_ONLY if reduces_only(order.flags) else 0),
        client_id_of(core, slot), more.limit_ticks, order.open_lots, False)
    reason = refuse_triggered(core, symbol, &taker, limited)
    if reason:
        taker_cancel(core, &taker, reason)
        order_forget(core, slot)
    else:
        act(core, symbol, &taker, more.time_in_force)

# ------------------------------------------------------------------------------------- after a command

cdef inline int by_id(const void* left, const void* right) noexcept nogil:
    cdef uint64_t a = (<uint64_t*>left)[0]
    cdef uint64_t b = (<uint64_t*>right)[0]
    return -1 if a < b else 1

cdef inline void look_at_triggers(Core* core) noexcept nogil:
    """What the touched symbols' prices set off joins the triggered queue, by order id."""
    cdef int64_t before
    cdef Symbol* symbol = core.touched
    while symbol != NULL:
        watch(core, symbol)
        symbol = symbol.next_touched
    begin_trailing(core)
    before = core.triggered.end
    while core.touched != NULL:
        symbol = core.touched
        core.touched = symbol.next_touched
        symbol.touched = False
        if symbol.state == SYMBOL_STATE_OPEN:
            collect(core, symbol)
    qsort(&core.triggered.ids[before], core.triggered.end - before, sizeof(uint64_t), &by_id)

cdef inline apart triggers_drain(Core* core) noexcept nogil:
    """Lets go off what there is, until nothing more does."""
    cdef uint64_t order_id
    cdef uint32_t slot
    while core.fault == 0:
        look_at_triggers(core)
        order_id = ids_take(&core.triggered)
        if order_id == 0:
            return
        slot = order_index_find(core, order_id)
        if slot and order_at(core, slot).flags & TRIGGERED:
            go_off(core, slot)
            liquidation_drain(core)

# ------------------------------------------------------------------------------------- before a command

cdef inline apart expire(Core* core) noexcept nogil:
    """Orders whose time has come are cancelled, and all orders of accounts whose countdown has ended; then funding is paid."""
    cdef Timer timer
    cdef uint32_t slot
    cdef bint has_sample = False
    while timer_due(core):
        timer = timer_pop(core)
        if is_funding(&timer):
            has_sample = True
            continue
        if is_countdown(&timer):
            if account_more(core, <uint32_t>timer.key).countdown_ns == timer.time_ns:
                account_more(core, <uint32_t>timer.key).countdown_ns = 0
                core.timer_live -= 1
                cancel_account(core, <uint32_t>timer.key, 0, 2, CANCEL_REASON_COUNTDOWN)
            continue
        slot = timer_order(core, &timer)
        if slot:
            order_cancel(core, symbol_of(core, position_at(core, order_at(core, slot).position)), slot,
                         CANCEL_REASON_EXPIRED)
    if has_sample:
        pass_funding(core)
