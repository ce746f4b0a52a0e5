"""What may be done with a symbol: opening, halting, calling an auction, settling (MATCH-12)."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from native.auction cimport indicate, uncross
from native.bankruptcy cimport value_of
from native.book cimport book_front
from native.core cimport (
    Account, Core, FAULT_NO_MEMORY, Position, Symbol, account_at, ensure, known_after, open_position_at, order_at,
    position_at, symbol_at,
)
from native.credit cimport credit_forget
from native.events cimport event_accepted, event_new
from native.funding cimport funding_drop
from native.ledger cimport Settlement, event_fill, settle_position
from native.liquidation cimport liquidation_drain
from native.marks cimport check_holders
from native.operations cimport by_holder, change_mark, mark_out_of_range
from native.order_index cimport order_index_find
from native.order_life cimport order_cancel
from native.pricing cimport compute_marks, pricing_drop
from native.queue cimport position_check
from native.triggers cimport by_id
from native.units cimport iabs
from native.waiting cimport touch
from native.wire cimport *

# ------------------------------------------------------------------------------------------- settlement

cdef inline int64_t waiting_ids(Core* core, uint32_t number, uint64_t* ids) noexcept nogil:
    """Counts the orders that wait on a symbol, and writes their ids where `ids` is not NULL."""
    cdef uint32_t account, entry, slot
    cdef int64_t count = 0
    cdef Position* position
    account = known_after(core, 0)
    while account:
        entry = account_at(core, account).first_position
        while entry:
            position = position_at(core, entry)
            entry = position.next
            if position.symbol != number:
                continue
            slot = position.waiting_head
            while slot:
                if ids != NULL:
                    ids[count] = order_at(core, slot).order_id
                count += 1
                slot = order_at(core, slot).own_next
        account = known_after(core, account)
    return count

cdef inline void cancel_symbol(Core* core, Symbol* symbol) noexcept nogil:
    """Cancels all orders of a symbol: bids, offers, best first; then those that wait, by order id."""
    cdef int side
    cdef int64_t i, count
    cdef uint64_t* ids
    for side in range(2):
        while symbol.sides[side].best_ticks:
            order_cancel(core, symbol, book_front(&symbol.sides[side]).head, CANCEL_REASON_SYMBOL_SETTLED)
    count = waiting_ids(core, symbol.symbol, NULL)
    ids = <uint64_t*>malloc((count + 1) * sizeof(uint64_t))
    if ids == NULL:
        ensure(core, False, FAULT_NO_MEMORY)
        return
    waiting_ids(core, symbol.symbol, ids)
    qsort(ids, count, sizeof(uint64_t), &by_id)
    for i in range(count):
        if order_index_find(core, ids[i]):     # an entry may have taken its exits with it
            order_cancel(core, symbol, order_index_find(core, ids[i]), CANCEL_REASON_SYMBOL_SETTLED)
    free(ids)

cdef inline bint someone_is_below_zero(Core* core, Symbol* symbol) noexcept nogil:
    cdef int64_t i
    for i in range(symbol.open_count):
        if value_of(core, open_position_at(core, symbol, i)).equity_atoms < 0:
            return True
    return False

cdef inline void close_at_mark(Core* core, Symbol* symbol, Position* position) noexcept nogil:
    cdef int side = SIDE_SELL if position.position_lots > 0 else SIDE_BUY
    cdef int64_t lots = iabs(position.position_lots)
    cdef int64_t value = lots * symbol.mark_ticks * symbol.m
    cdef Account* owner = account_at(core, position.account)
    cdef Settlement settlement
    credit_forget(owner)
    settlement.fee_atoms = 0
    settlement.realised_atoms = settle_position(core, symbol, position, owner, side, lots, value, symbol.mark_ticks, False)
    event_fill(core, position, owner, side, FILL_ROLE_SETTLEMENT, 0, 0, 0, symbol.mark_ticks, lots, value, 0, &settlement)
    position_check(core, position)

cdef inline void close_all_at_mark(Core* core, Symbol* symbol) noexcept nogil:
    """Closes every position of the symbol, by account and leg."""
    cdef int64_t i
    cdef int64_t count = symbol.open_count
    cdef Position** holders = <Position**>malloc((count + 1) * sizeof(Position*))
    if holders == NULL:
        ensure(core, False, FAULT_NO_MEMORY)
        return
    for i in range(count):
        holders[i] = open_position_at(core, symbol, i)
    qsort(holders, count, sizeof(Position*), &by_holder)
    for i in range(count):
        close_at_mark(core, symbol, holders[i])
    free(holders)

cdef inline void settle_symbol(Core* core, Symbol* symbol, int64_t price_ticks) noexcept nogil:
    """All orders go, deficits are covered, positions are closed at the final mark.  No policy of prices outlives it."""
    pricing_drop(core, symbol)
    funding_drop(core, symbol)
    symbol.held = False
    change_mark(core, symbol, price_ticks)
    cancel_symbol(core, symbol)
    check_holders(core, symbol)
    liquidation_drain(core)
    if not someone_is_below_zero(core, symbol):
        close_all_at_mark(core, symbol)

# ------------------------------------------------------------------------------------------- the command

cdef inline int check_state(Core* core, wire_set_symbol_state* c) noexcept nogil:
    cdef Symbol* symbol = symbol_at(core, c.symbol)
    cdef bint settles = c.state == SYMBOL_STATE_SETTLED
    if symbol == NULL:
        return REJECT_REASON_UNKNOWN_SYMBOL
    if c.state > SYMBOL_STATE_SETTLED or (not settles and (
            c.state == symbol.state or symbol.state == SYMBOL_STATE_SETTLED)):
        return REJECT_REASON_INVALID_SYMBOL_STATE
    if not (1 <= c.price_ticks <= MAX_PRICE_TICKS) if settles else (c.price_ticks != 0):
        return REJECT_REASON_INVALID_SYMBOL_STATE
    if c.state == SYMBOL_STATE_AUCTION and symbol.mark_ticks == 0:
        return REJECT_REASON_NO_MARK_PRICE
    if settles and mark_out_of_range(symbol, c.price_ticks):
        return REJECT_REASON_VALUE_OUT_OF_RANGE
    return 0

cdef inline int set_symbol_state(Core* core, wire_set_symbol_state* c) noexcept nogil:
    """MATCH-12."""
    cdef Symbol* symbol = symbol_at(core, c.symbol)
    cdef wire_symbol_state_changed* e
    cdef int reason = check_state(core, c)
    if reason:
        return reason
    core.auctions += (c.state == SYMBOL_STATE_AUCTION) - (symbol.state == SYMBOL_STATE_AUCTION)
    symbol.state = c.state
    event_accepted(core, 0, COMMAND_SET_SYMBOL_STATE, 0, 0)
    e = <wire_symbol_state_changed*>event_new(
        core, EVENT_SYMBOL_STATE_CHANGED, sizeof(wire_symbol_state_changed), 0)
    e.symbol = c.symbol
    e.state = c.state
    if c.state == SYMBOL_STATE_OPEN:
        uncross(core, symbol)
        check_holders(core, symbol)
        touch(core, symbol)
    elif c.state == SYMBOL_STATE_AUCTION:
        indicate(core, symbol)
    elif c.state == SYMBOL_STATE_SETTLED:
        settle_symbol(core, symbol, c.price_ticks)
    return 0

cdef inline int advance_time(Core* core) noexcept nogil:
    """Composite marks are computed anew; symbols in auction tell what it would give."""
    cdef uint32_t number
    cdef Symbol* symbol
    event_accepted(core, 0, COMMAND_ADVANCE_TIME, 0, 0)
    if core.composites:
        compute_marks(core)
    if core.auctions == 0:
        return 0
    for number in range(1, core.highest_symbol + 1):
        symbol = symbol_at(core, number)
        if symbol != NULL and symbol.state == SYMBOL_STATE_AUCTION:
            indicate(core, symbol)
    return 0
