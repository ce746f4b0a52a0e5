"""Liquidation: the queue, the closing orders, the insurance fund, and auto-deleveraging (LIQ, FUND, ADL).

Runs after a command, never from within a fill.  A pool is taken from the queue and led through the stages: its orders
are cancelled; its positions are closed through the book, largest maintenance first; if it is then below zero, the fund
pays what it may and the rest of each position is handed to the counterparties that profit most.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from native.bankruptcy cimport (
    ClosingOrder, bankruptcy_value, fund_budget, fund_pays, limit_closing, pool_share, size_closing, value_of,
)
from native.core cimport (
    Account, Core, PoolState, Position, QueuedPool, Symbol, account_at, ensure, open_position_at, position_at, symbol_of,
)
from native.credit cimport credit_forget
from native.events cimport event_balance_changed, event_new, event_pool
from native.ledger cimport FAULT_NO_MEMORY, Settlement, event_fill, release_isolated, settle_position
from native.margin cimport PoolValue, below_maintenance, notional, pool_value, position_maintenance, unrealised
from native.matching cimport match
from native.order_life cimport LIQUIDATION, Taker, UNFOLLOWED, cancel_own, cancel_useless_reduce_only
from native.queue cimport pool_check, pool_state, position_check, queue_pop
from native.telling cimport tell_closing, tell_position, tell_share
from native.units cimport apart, compare_products, div_ceil, div_floor, iabs, imax, imin, wide
from native.wire cimport *

# A position on the other side, with what ranks it (ADL-01).
cdef struct Counterparty:
    Position* position
    int64_t profit_atoms
    int64_t notional_atoms
    int64_t entry_atoms
    int64_t equity_atoms

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

cdef inline Position* largest_position(Core* core, QueuedPool* pool) noexcept nogil:
    """LIQ-03: the position not yet visited with the largest maintenance, ties to the smaller symbol, then leg; NULL: none."""
    cdef Position* entry = first_entry(core, pool)
    cdef Position* best = NULL
    cdef int64_t most = -1
    cdef int64_t need
    while entry != NULL:
        if entry.position_lots != 0 and not entry.visited and in_pool(pool, entry):
            need = position_maintenance(symbol_of(core, entry), entry)
            if need > most:
                best, most = entry, need
        entry = next_entry(core, pool, entry)
    return best

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
    taker.self_trade = SELF_TRADE_PREVENTION_CANCEL_TAKER
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
        position = largest_position(core, pool)
        if position == NULL:
            return
        position.visited = not close_through_book(core, position)

# ------------------------------------------------------------------------------------ auto-deleveraging

cdef inline int rank(const void* left, const void* right) noexcept nogil:
    """ADL-01: profit and leverage first, compared by cross-multiplication; ties by account."""
    cdef Counterparty* a = <Counterparty*>left
    cdef Counterparty* b = <Counterparty*>right
    cdef int order
    if (a.profit_atoms > 0) != (b.profit_atoms > 0):
        return -1 if a.profit_atoms > 0 else 1
    if a.profit_atoms > 0:
        order = compare_products(
            wide(b.profit_atoms, b.notional_atoms), wide(a.entry_atoms, a.equity_atoms),
            wide(a.profit_atoms, a.notional_atoms), wide(b.entry_atoms, b.equity_atoms))
    else:
        order = compare_products(
            wide(-a.profit_atoms, a.equity_atoms), wide(b.entry_atoms, b.notional_atoms),
            wide(-b.profit_atoms, b.equity_atoms), wide(a.entry_atoms, a.notional_atoms))
    if order:
        return order
    return -1 if a.position.account < b.position.account else 1

cdef inline int64_t counterparties(Core* core, Symbol* symbol, Position* position, Counterparty* ranked) noexcept nogil:
    """Fills in every position on the other side, best rank first; returns how many."""
    cdef int64_t count = 0
    cdef int64_t i
    cdef Position* other
    cdef Counterparty* entry
    cdef PoolValue value
    for i in range(symbol.open_count):
        other = open_position_at(core, symbol, i)
        if (other.position_lots > 0) == (position.position_lots > 0):
            continue
        value = value_of(core, other)
        entry = &ranked[count]
        entry.position = other
        entry.profit_atoms = unrealised(symbol, other)
        entry.notional_atoms = notional(symbol, other.position_lots)
        entry.entry_atoms = iabs(other.entry_value_atoms)
        entry.equity_atoms = imax(1, value.equity_atoms)
        count += 1
    qsort(ranked, count, sizeof(Counterparty), &rank)
    return count

cdef inline int64_t prefix(bint of_long, int64_t worth, int64_t lots, int64_t size) noexcept nogil:
    """ADL-02: the value of the first lots of a position, so that the parts add up to the whole."""
    if of_long:
        return <int64_t>div_ceil(wide(worth, lots), size)
    return <int64_t>div_floor(wide(worth, lots), size)

cdef inline void deleverage_pair(
    Core* core, Symbol* symbol, Position* position, Position* other, int64_t lots, int64_t value
) noexcept nogil:
    """Closes lots of both positions against each other at an exact value."""
    cdef int side = SIDE_SELL if position.position_lots > 0 else SIDE_BUY
    cdef Account* owner = account_at(core, position.account)
    cdef Account* counterparty = account_at(core, other.account)
    cdef uint64_t trade_id = core.next_trade_id
    cdef Settlement settlement
    core.next_trade_id += 1
    credit_forget(owner)
    credit_forget(counterparty)
    settlement.fee_atoms = 0
    settlement.realised_atoms = settle_position(core, symbol, position, owner, side, lots, value, 0, True)
    release_isolated(core, position)
    event_fill(core, position, owner, side, FILL_ROLE_DELEVERAGED, trade_id, 0, 0, 0, lots, value, 0, &settlement)
    settlement.realised_atoms = settle_position(core, symbol, other, counterparty, 1 - side, lots, value, 0, False)
    event_fill(core, other, counterparty, 1 - side, FILL_ROLE_ADL_COUNTERPARTY, trade_id, 0, 0, 0, lots, value, 0,
               &settlement)
    cancel_useless_reduce_only(core, symbol, other)
    position_check(core, other)
    if position.isolated:
        pool_check(core, position.account, NULL)

cdef inline void deleverage(Core* core, Symbol* symbol, Position* position, int64_t worth) noexcept nogil:
    """Hands a position to its counterparties, in the order of their rank (ADL-01, ADL-02)."""
    cdef bint of_long = position.position_lots > 0
    cdef int64_t size = iabs(position.position_lots)
    cdef int64_t done = 0
    cdef int64_t count, i, lots, value, given
    cdef Position* other
    cdef PoolValue other_value
    cdef Counterparty* ranked = <Counterparty*>malloc((symbol.open_count + 1) * sizeof(Counterparty))
    if ranked == NULL:
        ensure(core, False, FAULT_NO_MEMORY)
        return
    count = counterparties(core, symbol, position, ranked)
    for i in range(count):
        if done == size:
            break
        other = ranked[i].position
        lots = imin(size - done, iabs(other.position_lots))
        value = prefix(of_long, worth, done + lots, size) - prefix(of_long, worth, done, size)
        given = lots * symbol.mark_ticks * symbol.m - value
        other_value = value_of(core, other)
        if other_value.equity_atoms + (given if of_long else -given) < 0:
            continue
        deleverage_pair(core, symbol, position, other, lots, value)
        done += lots
    free(ranked)

# ------------------------------------------------------------------------------------ the deficit stage

cdef inline void cover_and_deleverage(Core* core, QueuedPool* pool, Position* position) noexcept nogil:
    """FUND-02 for one position: the fund pays what it may of its share of the deficit, then ADL."""
    cdef Symbol* symbol = symbol_of(core, position)
    cdef int64_t share = pool_share(core, symbol, position)
    cdef int64_t budget = fund_budget(core, symbol, position)
    cdef int64_t paid = imax(0, imin(budget, -share))
    cdef int64_t worth = bankruptcy_value(core, symbol, position, share + paid)
    cdef PoolState* state
    cdef PoolValue value
    cdef wire_deficit_uncovered* e
    tell_share(core, symbol, position, share, budget, paid, worth)
    if paid > 0:
        fund_pays(core, symbol, position, FUND_CAUSE_DEFICIT_COVER, paid)
        event_balance_changed(core, position.account, position, BALANCE_CAUSE_FUND_COVER,
                              0 if position.isolated else paid, paid if position.isolated else 0)
    deleverage(core, symbol, position, worth)
    if position.position_lots == 0:
        return
    value = value_of(core, position)
    state = pool_state(core, pool.account_number, pool.position)
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
        position = largest_position(core, pool)
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
        cancel_orders(core, pool)
        state.liquidating = True
        value = pool_value(core, pool.account_number, pool.position)
        event_pool(core, EVENT_LIQUIDATION_STARTED, pool, value.equity_atoms, value.maintenance_atoms)
    tell_positions(core, pool)
    book_stage(core, pool)
    value = pool_value(core, pool.account_number, pool.position)
    if value.position_count != 0 and value.equity_atoms < 0:
        deficit_stage(core, pool)
    forget_visits(core, pool)
    pool_is_well(core, pool)

cdef inline apart liquidation_drain(Core* core) noexcept nogil:
    """Works off the queue; it ends because every pool that comes back has fewer lots than before."""
    cdef QueuedPool pool
    while core.queue_count > 0:
        pool = queue_pop(core)
        liquidate(core, &pool)
