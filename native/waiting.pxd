"""Orders that wait for a price: where they stand until it is reached (MATCH-10).

Theory of operation.  A waiting order stands in one list of its account and symbol, by order id, and in one structure of its
symbol, by what sets it off.  Stops and take-profits stand in *trigger books*: the same blocks of prices as the order book, one
for triggers that are reached by a falling price and one for those reached by a rising one, of the mark and of the last trade.
So a new price finds what it sets off at the best level, and pays for nothing else.  Trailing stops have a room of their own
(trailing.pxd).  An exit that is not armed stands in its account's list alone.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from native.block_index cimport index_close
from native.book cimport book_append, book_front, book_remove, crosses
from native.core cimport (
    ARMED, BookSide, Core, FAULT_NO_MEMORY, Order, OrderMore, Position, Symbol, Trails, TRIGGERED, Triggers, WAITING,
    ensure, more_at, order_at, position_at,
)
from native.memory cimport ids_add, ids_take
from native.order_index cimport order_index_find
from native.trailing cimport (
    trail_beats, trail_begin, trail_best, trail_number, trail_trigger, trails_close, trails_collect, trails_watch,
)
from native.units cimport ppm_ceil
from native.wire cimport *

cdef inline bint reduces_only(uint32_t flags) noexcept nogil:
    return flags & (ORDER_FLAG_REDUCE_ONLY | ORDER_FLAG_CLOSE_POSITION)

cdef inline bint is_trigger_type(int order_type) noexcept nogil:
    return order_type > ORDER_TYPE_MARKET

cdef inline bint is_limit_type(int order_type) noexcept nogil:
    return order_type == ORDER_TYPE_LIMIT or order_type == ORDER_TYPE_STOP_LIMIT \
        or order_type == ORDER_TYPE_TAKE_PROFIT_LIMIT

# -------------------------------------------------------------------------------------------- conditions

cdef inline int64_t watched_price(Symbol* symbol, int trigger_by) noexcept nogil:
    return symbol.last_ticks if trigger_by == TRIGGER_BY_LAST else symbol.mark_ticks

cdef inline bint goes_off_falling(int order_type, int side) noexcept nogil:
    """Whether a stop or take-profit is reached by a falling price."""
    return (order_type == ORDER_TYPE_STOP_MARKET or order_type == ORDER_TYPE_STOP_LIMIT) == (side == SIDE_SELL)

cdef inline bint trigger_reached(int order_type, int side, int64_t trigger_ticks, int64_t watched_ticks) noexcept nogil:
    return watched_ticks <= trigger_ticks if goes_off_falling(order_type, side) else watched_ticks >= trigger_ticks

cdef inline int64_t trigger_now(Core* core, Symbol* symbol, uint32_t slot) noexcept nogil:
    """Where an order goes off as things stand, or went off if its turn is still to come.

    Of a trailing stop that has not watched yet: from the present price.
    """
    cdef Order* order = order_at(core, slot)
    cdef OrderMore* more = more_at(core, slot)
    cdef int number
    cdef int64_t best
    if more.order_type != ORDER_TYPE_TRAILING_STOP or order.flags & TRIGGERED:
        return more.trigger_ticks
    number = trail_number(order, more)
    best = watched_price(symbol, more.trigger_by)
    if more.trail_serial and not trail_beats(
            number, best, trail_best(core, &symbol.triggers.trails[number], slot)):
        best = trail_best(core, &symbol.triggers.trails[number], slot)
    return trail_trigger(number, best, more.callback_ppm if more.callback_ppm else more.callback_ticks)

# ------------------------------------------------------------------------------------- the symbol's structure

cdef inline bint triggers_ensure(Symbol* symbol) noexcept nogil:
    """Makes the trigger books of a symbol; False without memory."""
    cdef int by
    if symbol.triggers == NULL:
        symbol.triggers = <Triggers*>calloc(1, sizeof(Triggers))
        if symbol.triggers == NULL:
            return False
        for by in range(2):
            symbol.triggers.falling[by].sign = 1
            symbol.triggers.rising[by].sign = -1
    return True

cdef inline void triggers_close(Symbol* symbol) noexcept nogil:
    cdef int i
    if symbol.triggers == NULL:
        return
    for i in range(2):
        index_close(&symbol.triggers.falling[i])
        index_close(&symbol.triggers.rising[i])
    for i in range(8):
        trails_close(&symbol.triggers.trails[i])
    free(symbol.triggers)

cdef inline BookSide* trigger_book(Symbol* symbol, Order* order, OrderMore* more) noexcept nogil:
    if goes_off_falling(more.order_type, order.side):
        return &symbol.triggers.falling[more.trigger_by]
    return &symbol.triggers.rising[more.trigger_by]

cdef inline void touch(Core* core, Symbol* symbol) noexcept nogil:
    """Notes that the triggers of a symbol are to be looked at."""
    if symbol.triggers != NULL and not symbol.touched:
        symbol.touched = True
        symbol.next_touched = core.touched
        core.touched = symbol

cdef inline void arm(Core* core, Symbol* symbol, uint32_t slot) noexcept nogil:
    """Puts an order that waits where its trigger is watched."""
    cdef Order* order = order_at(core, slot)
    cdef OrderMore* more = more_at(core, slot)
    order.flags |= ARMED
    touch(core, symbol)
    if more.order_type == ORDER_TYPE_TRAILING_STOP:
        more.trail_serial = 0
        ensure(core, ids_add(&core.beginning, order.order_id), FAULT_NO_MEMORY)
        return
    order.price_ticks = more.trigger_ticks
    ensure(core, book_append(core, trigger_book(symbol, order, more), slot, order.price_ticks, order.open_lots),
           FAULT_NO_MEMORY)

cdef inline void disarm(Core* core, Symbol* symbol, uint32_t slot) noexcept nogil:
    """Takes an order out of where its trigger is watched."""
    cdef Order* order = order_at(core, slot)
    cdef OrderMore* more = more_at(core, slot)
    if order.flags & ARMED and not order.flags & TRIGGERED:
        if more.order_type != ORDER_TYPE_TRAILING_STOP:
            book_remove(core, trigger_book(symbol, order, more), order, order.price_ticks, order.open_lots)
        elif more.trail_serial:
            symbol.triggers.trails[trail_number(order, more)].live -= 1
    order.flags &= ~(ARMED | TRIGGERED)

# ------------------------------------------------------------------------------------------- the own list

cdef inline void waiting_link(Core* core, Position* position, uint32_t slot) noexcept nogil:
    """Puts an order behind the account's others that wait: order ids rise."""
    cdef Order* order = order_at(core, slot)
    order.flags |= WAITING
    order.own_next = 0
    order.own_previous = position.waiting_tail
    if position.waiting_tail:
        order_at(core, position.waiting_tail).own_next = slot
    else:
        position.waiting_head = slot
    position.waiting_tail = slot
    position.order_count += 1
    if reduces_only(order.flags):
        position.waiting_reduce_only += 1
        position.reduce_only_orders += 1

cdef inline void waiting_unlink(Core* core, Position* position, uint32_t slot) noexcept nogil:
    cdef Order* order = order_at(core, slot)
    if order.own_previous:
        order_at(core, order.own_previous).own_next = order.own_next
    else:
        position.waiting_head = order.own_next
    if order.own_next:
        order_at(core, order.own_next).own_previous = order.own_previous
    else:
        position.waiting_tail = order.own_previous
    position.order_count -= 1
    if reduces_only(order.flags):
        position.waiting_reduce_only -= 1
        position.reduce_only_orders -= 1
    order.flags &= ~WAITING

cdef inline void waiting_leave(Core* core, Symbol* symbol, Position* position, uint32_t slot) noexcept nogil:
    """An order no longer waits."""
    disarm(core, symbol, slot)
    waiting_unlink(core, position, slot)

# ---------------------------------------------------------------------------------- what a price sets off

cdef inline void book_collect(Core* core, BookSide* side, int64_t watched_ticks) noexcept nogil:
    """Moves the orders of a trigger book that a price reaches to the triggered queue."""
    cdef uint32_t slot
    cdef Order* order
    while crosses(side, watched_ticks):
        slot = book_front(side).head
        order = order_at(core, slot)
        book_remove(core, side, order, order.price_ticks, order.open_lots)
        order.flags |= TRIGGERED
        more_at(core, slot).watched_ticks = watched_ticks
        ensure(core, ids_add(&core.triggered, order.order_id), FAULT_NO_MEMORY)

cdef inline void watch(Core* core, Symbol* symbol) noexcept nogil:
    """Trailing stops take the present prices into their best ones; no order goes off by it."""
    cdef int number
    cdef int64_t price
    for number in range(8):
        price = watched_price(symbol, number // 4)
        if price:
            trails_watch(core, number, &symbol.triggers.trails[number], price)

cdef inline void collect(Core* core, Symbol* symbol) noexcept nogil:
    """Moves all orders of a symbol that the present prices set off to the triggered queue, in no order."""
    cdef int by, number
    cdef int64_t price
    for by in range(2):
        price = watched_price(symbol, by)
        if price == 0:
            continue
        book_collect(core, &symbol.triggers.falling[by], price)
        book_collect(core, &symbol.triggers.rising[by], price)
        for number in range(4 * by, 4 * by + 4):
            trails_collect(core, number, &symbol.triggers.trails[number], price)

cdef inline void begin_trailing(Core* core) noexcept nogil:
    """Trailing stops that were placed or armed since the last look begin to watch, after all others have."""
    cdef uint64_t order_id
    cdef uint32_t slot
    cdef Order* order
    cdef OrderMore* more
    cdef Symbol* symbol
    while True:
        order_id = ids_take(&core.beginning)
        if order_id == 0:
            return
        slot = order_index_find(core, order_id)
        if slot == 0 or not order_at(core, slot).flags & ARMED or more_at(core, slot).trail_serial:
            continue
        order = order_at(core, slot)
        more = more_at(core, slot)
        symbol = core.symbols[position_at(core, order.position).symbol]
        core.next_trail_serial += 1
        trail_begin(core, &symbol.triggers.trails[trail_number(order, more)], slot, core.next_trail_serial,
                    watched_price(symbol, more.trigger_by))
