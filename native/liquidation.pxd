"""Liquidation: the queue, the closing orders, and the insurance fund (LIQ, FUND).

Runs after a command, never from within a fill.  A pool is taken from the queue and led through the stages: its orders
are cancelled; its positions are closed through the book, largest maintenance first; if it is then below zero, the fund
pays what it may and the rest of each position is handed to the counterparties that profit most.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from native.auto_margin cimport add_margin
from native.bands cimport bands_stale, bands_stale_isolated
from native.bankruptcy cimport (
    ClosingOrder, bankruptcy_value, limit_closing, pool_share, size_closing, value_of,
)
from native.charging cimport Claim, claim_of, forget_charges, largest_position, note_deficit, settle_charge
from native.core cimport Core, PoolState, Position, QueuedPool, Symbol, pool_of, position_at, symbol_of
from native.deleveraging cimport deleverage
from native.events cimport event_balance_changed, event_new, event_pool
from native.funds cimport funds_pay
from native.ledger cimport move_to_pool
from native.margin cimport PoolValue, below_maintenance, pool_value
from native.matching cimport match
from native.order_life cimport LIQUIDATION, Taker, UNFOLLOWED, cancel_own
from native.queue cimport pool_state, queue_pop
from native.telling cimport tell_charged, tell_closing, tell_position, tell_share
from native.units cimport apart, imax, imin
from native.wire cimport *

# --------------------------------------------------------------------------------- the pool's positions

cdef inline Position* first_entry(Core* core, QueuedPool* pool) noexcept nogil:
    cdef uint32_t slot
    if pool.position != NULL:
        return pool.position
    slot = pool.account.first_position
    return position_at(core, slot) if slot else NULL

cdef inline Position* next_entry(Core* core, QueuedPool* pool, Position* entry) noexcept nogil:
    """The pool's entries by symbol and leg (for a cross pool the isolated ones are passed over by callers)."""
    if pool.position != NULL or entry.next == 0:
        return NULL
    return position_at(core, entry.next)

cdef inline bint in_pool(QueuedPool* pool, Position* entry) noexcept nogil:
    return pool.position != NULL or not entry.isolated

cdef inline void forget_visits(Core* core, QueuedPool* pool) noexcept nogil:
    cdef Position* entry = first_entry(core, pool)
    while entry != NULL:
        entry.visited = False
        entry = next_entry(core, pool, entry)

cdef inline Position* next_position(Core* core, QueuedPool* pool) noexcept nogil:
    """LIQ-03: the position that is closed next: the largest not yet visited; NULL: none."""
    if pool.position == NULL:
        return largest_position(core, pool.account, True)
    return pool.position if pool.position.position_lots != 0 and not pool.position.visited else NULL

cdef inline void tell_positions(Core* core, QueuedPool* pool) noexcept nogil:
    """LIQ-10: the positions of a pool whose liquidation is taken up, by symbol."""
    cdef Position* entry = first_entry(core, pool)
    while entry != NULL:
        if entry.position_lots != 0 and in_pool(pool, entry):
            tell_position(core, symbol_of(core, entry), entry, pool.symbol)
        entry = next_entry(core, pool, entry)

cdef inline void cancel_orders(Core* core, QueuedPool* pool) noexcept nogil:
    """LIQ-02: the pool's orders go first."""
    cdef Position* entry = first_entry(core, pool)
    while entry != NULL:
        if entry.order_count and in_pool(pool, entry):
            cancel_own(core, entry, 2, CANCEL_REASON_LIQUIDATION)
        entry = next_entry(core, pool, entry)

# ----------------------------------------------------------------------------------------- the book stage

cdef inline bint close_through_book(Core* core, Position* position) noexcept nogil:
    """One closing order (LIQ-04..07); whether another for the same position may follow in this round."""
    cdef Symbol* symbol = symbol_of(core, position)
    cdef PoolValue value = value_of(core, position)
    cdef int64_t worth = bankruptcy_value(core, symbol, position, pool_share(core, symbol, position))
    cdef ClosingOrder closing
    cdef Taker taker
    cdef wire_liquidation_order* e
    size_closing(symbol, position, &value, &closing)
    limit_closing(core, symbol, position, worth, &closing)
    tell_closing(core, symbol, position, &value, &closing)
    if symbol.state != SYMBOL_STATE_OPEN or closing.limit_ticks < 1:     # nothing trades there, or at no price: it waits
        return False
    taker.limit_ticks = closing.limit_ticks
    taker.position = position
    taker.slot = 0
    taker.order_id = core.next_order_id
    taker.client_order_id = 0
    taker.shown_ticks = taker.limit_ticks
    taker.open_lots = closing.lots
    taker.filled_lots = 0
    taker.reach_lots = closing.lots
    taker.side = SIDE_SELL if position.position_lots > 0 else SIDE_BUY
    taker.self_trade = SELF_TRADE_PREVENTION_CANCEL_MAKER     # its account may have orders of another leg
    taker.flags = ORDER_FLAG_REDUCE_ONLY
    taker.stp_group = 0
    taker.special = LIQUIDATION | UNFOLLOWED
    core.next_order_id += 1
    e = <wire_liquidation_order*>event_new(
        core, EVENT_LIQUIDATION_ORDER, sizeof(wire_liquidation_order), position.account)
    e.symbol = position.symbol
    e.side = <unsigned char>taker.side
    e.leg = <unsigned char>position.leg
    e.order_id = taker.order_id
    e.price_ticks = taker.limit_ticks
    e.qty_lots = closing.lots
    e.mark_ticks = symbol.mark_ticks
    e.bankruptcy_value_atoms = worth
    e.equity_atoms = value.equity_atoms
    e.maintenance_atoms = value.maintenance_atoms
    match(core, symbol, &taker)
    return (symbol.liquidation_mode == LIQUIDATION_MODE_TARGET and value.equity_atoms > 0
            and closing.sized_by != CLOSING_SIZE_MOST and taker.open_lots == 0)

cdef inline void book_stage(Core* core, QueuedPool* pool) noexcept nogil:
    cdef PoolValue value
    cdef Position* position
    forget_visits(core, pool)
    while True:
        value = pool_value(core, pool.account_number, pool.position)
        if not below_maintenance(&value):
            return
        position = next_position(core, pool)
        if position == NULL:
            return
        position.visited = not close_through_book(core, position)

# ------------------------------------------------------------------------------------ the deficit stage

cdef inline int64_t cover_share(Core* core, Symbol* symbol, Position* position) noexcept nogil:
    """FUND-02: the funds of the symbols that are charged pay what they may of a position's share; gives V after it."""
    cdef int64_t share = pool_share(core, symbol, position)
    cdef int64_t paid, worth
    cdef Claim claim
    if not position.isolated:
        note_deficit(core, position.account, 0)
    while True:
        claim = claim_of(core, position)
        paid = imin(claim.atoms, -share)
        worth = bankruptcy_value(core, symbol, position, share + paid)
        tell_share(core, symbol, position, share, &claim, paid, worth)
        if paid == 0:
            return worth
        move_to_pool(core, position, paid)
        settle_charge(core, position, claim.symbol, paid)
        funds_pay(core, claim.symbol, pool_of(core, position), FUND_CAUSE_DEFICIT_COVER, paid)
        event_balance_changed(core, position.account, position, BALANCE_CAUSE_FUND_COVER,
                              0 if position.isolated else paid, paid if position.isolated else 0)
        share += paid
        if share >= 0 or claim_of(core, position).atoms == 0:
            return worth

cdef inline void cover_and_deleverage(Core* core, QueuedPool* pool, Position* position) noexcept nogil:
    """FUND-02 for one position: funds pay what they may of its share of the deficit, then ADL."""
    cdef Symbol* symbol = symbol_of(core, position)
    cdef PoolState* state = pool_state(core, pool.account_number, pool.position)
    cdef int64_t worth = cover_share(core, symbol, position)
    cdef PoolValue value
    cdef wire_deficit_uncovered* e
    deleverage(core, symbol, position, worth)
    if position.position_lots == 0:
        return
    value = value_of(core, position)
    if value.equity_atoms < 0 and not state.uncovered:
        state.uncovered = True
        core.uncovered_pools += 1
    e = <wire_deficit_uncovered*>event_new(
        core, EVENT_DEFICIT_UNCOVERED, sizeof(wire_deficit_uncovered), position.account)
    e.symbol = position.symbol
    e.leg = <unsigned char>position.leg
    e.remaining_lots = position.position_lots
    e.shortfall_atoms = imax(0, -value.equity_atoms)

cdef inline void deficit_stage(Core* core, QueuedPool* pool) noexcept nogil:
    cdef PoolValue value
    cdef Position* position
    forget_visits(core, pool)
    while True:
        value = pool_value(core, pool.account_number, pool.position)
        if value.position_count == 0 or value.equity_atoms >= 0:
            return
        position = next_position(core, pool)
        if position == NULL:
            return
        position.visited = True
        cover_and_deleverage(core, pool, position)

# ------------------------------------------------------------------------------------------------ a pool

cdef inline bint pool_is_well(Core* core, QueuedPool* pool) noexcept nogil:
    """Whether the pool is at maintenance; if it was flagged, its liquidation ends here (LIQ-02)."""
    cdef PoolState* state = pool_state(core, pool.account_number, pool.position)
    cdef PoolValue value = pool_value(core, pool.account_number, pool.position)
    if below_maintenance(&value):
        return False
    if pool.position == NULL:
        forget_charges(core, pool.account)
    if state.liquidating:
        if state.uncovered:
            core.uncovered_pools -= 1
        state.liquidating = False
        state.uncovered = False
        state.drawn_atoms = 0
        event_pool(core, EVENT_LIQUIDATION_ENDED, pool, value.equity_atoms, value.maintenance_atoms)
    return True

cdef inline void liquidate(Core* core, QueuedPool* pool) noexcept nogil:
    """Leads one pool through the stages."""
    cdef PoolState* state = pool_state(core, pool.account_number, pool.position)
    cdef PoolValue value
    if pool_is_well(core, pool):
        return
    if not state.liquidating:
        if pool.position != NULL and add_margin(core, pool.position):
            return
        cancel_orders(core, pool)
        state.liquidating = True
        state.warned = <uint8_t>core.warning_count     # that it is liquidated says more than any of them
        if pool.position != NULL:
            bands_stale_isolated(core, pool.position)
        else:
            bands_stale(core, pool.account, pool.account_number)
        value = pool_value(core, pool.account_number, pool.position)
        event_pool(core, EVENT_LIQUIDATION_STARTED, pool, value.equity_atoms, value.maintenance_atoms)
    tell_positions(core, pool)
    if pool.position == NULL:
        note_deficit(core, pool.account_number, 0)
        tell_charged(core, pool.account, pool.account_number)
    book_stage(core, pool)
    deficit_stage(core, pool)
    if not pool_is_well(core, pool) and pool.position == NULL:
        note_deficit(core, pool.account_number, 0)

cdef inline apart liquidation_drain(Core* core) noexcept nogil:
    """Works off the queue; it ends because every pool that comes back has fewer lots than before."""
    cdef QueuedPool pool
    while core.queue_count > 0:
        pool = queue_pop(core)
        liquidate(core, &pool)
