"""An account's own resting orders of one symbol and side: a list in time, sorted by price when somebody asks.

Theory of operation.  Placing and cancelling need the list's ends and nothing else, so an order joins at the tail in
constant time.  Margin's exact walk, mass cancels and views want the best price first: they call `own_sort`, a stable
merge sort on the links themselves, after which equals still stand in the order of time.  A list whose orders came in
falling order of quality is known to be sorted and costs nothing.  `own_best_ticks` is a bound: no order of the side has
a better price; sorting makes it exact.
"""

from libc.stdint cimport int64_t, uint32_t
from native.core cimport Core, Order, Position, order_at, sign_of
from native.units cimport rarely
from native.wire cimport ORDER_FLAG_REDUCE_ONLY

cdef inline bint nearer(int side, int64_t a_ticks, int64_t b_ticks) noexcept nogil:
    """Whether price a is better than b for an order of this side to meet the market."""
    return (a_ticks - b_ticks) * sign_of(side) > 0

cdef inline void own_link(
    Core* core, Position* position, uint32_t slot, int side, int64_t price_ticks, uint32_t flags
) noexcept nogil:
    """Puts a resting order of this side, price and flags behind the account's others of its side."""
    cdef Order* order = order_at(core, slot)
    cdef uint32_t last = position.own_tail[side]
    cdef Order* before = order_at(core, last)
    position.own_tail[side] = slot
    position.order_count += 1
    order.own_next = 0
    order.own_previous = last
    if rarely(flags & ORDER_FLAG_REDUCE_ONLY):
        position.reduce_only_orders += 1
    if last:
        before.own_next = slot
        if nearer(side, price_ticks, before.price_ticks):
            position.own_sorted[side] = False
            if nearer(side, price_ticks, position.own_best_ticks[side]):
                position.own_best_ticks[side] = price_ticks
    else:
        position.own_head[side] = slot
        position.own_sorted[side] = True
        position.own_best_ticks[side] = price_ticks

cdef inline void own_unlink(Core* core, Position* position, Order* order, int side, uint32_t flags) noexcept nogil:
    cdef uint32_t following = order.own_next
    cdef uint32_t last = order.own_previous
    position.order_count -= 1
    if rarely(flags & ORDER_FLAG_REDUCE_ONLY):
        position.reduce_only_orders -= 1
    if following:
        order_at(core, following).own_previous = last
    else:
        position.own_tail[side] = last
    if last:
        order_at(core, last).own_next = following
    else:
        position.own_head[side] = following
        if following and position.own_sorted[side]:
            position.own_best_ticks[side] = order_at(core, following).price_ticks

# --------------------------------------------------------------------------------------------- sorting

cdef inline uint32_t own_cut_run(Core* core, int side, uint32_t slot) noexcept nogil:
    """Cuts the list behind the run of falling quality that begins here; returns what follows (0: nothing)."""
    cdef Order* order = order_at(core, slot)
    cdef uint32_t following = order.own_next
    while following and not nearer(side, order_at(core, following).price_ticks, order.price_ticks):
        order = order_at(core, following)
        following = order.own_next
    order.own_next = 0
    return following

cdef inline uint32_t* own_merge(Core* core, int side, uint32_t older, uint32_t newer, uint32_t* end) noexcept nogil:
    """Writes two runs to the end of a list as one, equals by age; returns the list's new end."""
    while older or newer:
        if older == 0 or (newer and nearer(side, order_at(core, newer).price_ticks, order_at(core, older).price_ticks)):
            end[0] = newer
            end = &order_at(core, newer).own_next
            newer = end[0]
        else:
            end[0] = older
            end = &order_at(core, older).own_next
            older = end[0]
    return end

cdef inline void own_merge_all(Core* core, Position* position, int side) noexcept nogil:
    """Merges neighbouring runs, pass by pass, until one is left."""
    cdef uint32_t older, newer, rest
    cdef uint32_t* end
    cdef int64_t runs = 2
    while runs > 1:
        runs = 0
        rest = position.own_head[side]
        end = &position.own_head[side]
        while rest:
            older = rest
            newer = own_cut_run(core, side, older)
            rest = own_cut_run(core, side, newer) if newer else 0
            end = own_merge(core, side, older, newer, end)
            runs += 1
        end[0] = 0

cdef inline uint32_t own_sort(Core* core, Position* position, int side) noexcept nogil:
    """Puts the account's orders of a side best first, equals oldest first; returns the first (0: none)."""
    cdef uint32_t before = 0
    cdef uint32_t slot
    if position.own_head[side] == 0 or position.own_sorted[side]:
        return position.own_head[side]
    own_merge_all(core, position, side)
    slot = position.own_head[side]
    position.own_best_ticks[side] = order_at(core, slot).price_ticks
    position.own_sorted[side] = True
    while slot:
        order_at(core, slot).own_previous = before
        before = slot
        slot = order_at(core, slot).own_next
    position.own_tail[side] = before
    return position.own_head[side]
