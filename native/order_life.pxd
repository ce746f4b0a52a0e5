"""How an order comes to rest or to wait, and how it goes (MATCH-07, MATCH-11, MATCH-14, MATCH-15).

An order has a record from the moment when something may have to find it: when it rests, when it waits, or when it is linked to
others.  Whatever ends it - a fill, a cancel, an expiry - ends in `order_forget`, which also tells its list.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from native.book cimport book_append, book_remove
from native.core cimport (
    ARMED, Core, FAULT_NO_MEMORY, LINK_ENTRY, LINK_EXIT, LINK_ONE_CANCELS_OTHER, NAMED, Order, ORDER_FLAGS,
    OrderMore, Position, Symbol, TIMED, TRIGGERED, WAITING, account_at, client_id_of, ensure, more_at, order_at,
    position_at, reduces, slot_of, symbol_of,
)
from native.credit cimport credit_after_leaving, credit_forget
from native.events cimport event_new, event_order_cancelled, event_order_rested
from native.ledger cimport orders_counted
from native.memory cimport slab_give, slab_take
from native.order_index cimport (
    client_index_drop, client_index_put, order_index_drop, order_index_put,
)
from native.own_orders cimport own_link, own_sort, own_unlink
from native.timers cimport timer_add
from native.units cimport apart, imin, rarely
from native.waiting cimport (
    arm, disarm, reduces_only, trigger_now, waiting_leave, waiting_link,
)
from native.wire cimport *

cdef enum:
    UNFOLLOWED = 1                     # its account's credit does not count it, and it is not reduce-only (credit.pxd)
    LIQUIDATION = 2                    # the engine's own closing order
    COUNTING = 4                       # a fill-or-kill order that has counted on its makers

# The order that is acting.
cdef struct Taker:
    Position* position
    uint32_t slot                      # its record, if it has one already: it rested or waited before, or is linked; 0: none
    uint64_t order_id
    uint64_t client_order_id
    int64_t limit_ticks                # of a market order: the worst price it may reach
    int64_t shown_ticks                # as its events say it
    int64_t open_lots
    int64_t filled_lots
    int64_t reach_lots                 # of the open lots, those that can find a maker: of a market order what it counted
    int64_t display_lots               # of an iceberg without a record
    int64_t expires_ns                 # of an order good till a time without a record
    uint32_t stp_group                 # 0: its account alone
    uint16_t flags
    uint8_t side
    uint8_t self_trade
    uint8_t special                    # what is unusual about it: bits of those above

# ----------------------------------------------------------------------------------------------- events

cdef inline void event_order_shown(Core* core, Position* position, uint32_t slot, bint refreshed) noexcept nogil:
    cdef Order* order = order_at(core, slot)
    cdef wire_order_shown* e = <wire_order_shown*>event_new(
        core, EVENT_ORDER_SHOWN, sizeof(wire_order_shown), position.account)
    e.symbol = position.symbol
    e.side = order.side
    e.refreshed = refreshed
    e.order_id = order.order_id
    e.client_order_id = client_id_of(core, slot)
    e.price_ticks = order.price_ticks
    e.shown_lots = more_at(core, slot).shown_lots

cdef inline void event_order_waiting(Core* core, uint32_t slot) noexcept nogil:
    cdef Order* order = order_at(core, slot)
    cdef OrderMore* more = more_at(core, slot)
    cdef Position* position = position_at(core, order.position)
    cdef wire_order_waiting* e = <wire_order_waiting*>event_new(
        core, EVENT_ORDER_WAITING, sizeof(wire_order_waiting), position.account)
    e.symbol = position.symbol
    e.side = order.side
    e.leg = <uint8_t>position.leg
    e.order_type = more.order_type
    e.trigger_by = more.trigger_by
    e.flags = order.flags & ORDER_FLAGS
    e.order_id = order.order_id
    e.client_order_id = client_id_of(core, slot)
    e.trigger_ticks = trigger_now(core, symbol_of(core, position), slot)
    e.price_ticks = more.limit_ticks
    e.open_lots = order.open_lots

# ---------------------------------------------------------------------------------------------- icebergs

cdef inline apart show_slice(Core* core, Position* position, uint32_t slot) noexcept nogil:
    """An iceberg shows its next slice, and tells it (MATCH-15)."""
    cdef OrderMore* more = more_at(core, slot)
    more.shown_lots = imin(more.display_lots, order_at(core, slot).open_lots)
    event_order_shown(core, position, slot, True)

cdef inline apart slice_taken(Core* core, Symbol* symbol, Position* position, uint32_t slot, int64_t lots) noexcept nogil:
    """Lots were taken from an iceberg's slice; when it is used up, the next one goes to the back of the level."""
    cdef Order* order = order_at(core, slot)
    cdef OrderMore* more = more_at(core, slot)
    more.shown_lots -= lots
    if more.shown_lots == 0 and order.open_lots > 0:
        book_remove(core, &symbol.sides[order.side], order, order.price_ticks, order.open_lots)
        ensure(core, book_append(core, &symbol.sides[order.side], slot, order.price_ticks, order.open_lots), FAULT_NO_MEMORY)
        own_unlink(core, position, order, order.side, order.flags)    # the account's list keeps the order of time, too
        own_link(core, position, slot, order.side, order.price_ticks, order.flags)
        show_slice(core, position, slot)

# ------------------------------------------------------------------------------------- resting and leaving

cdef inline apart order_named(Core* core, uint32_t slot, uint64_t client_order_id) noexcept nogil:
    """A new order is known by its client order id, too."""
    order_at(core, slot).flags |= NAMED
    more_at(core, slot).client_order_id = client_order_id
    client_index_put(core, slot)

cdef inline apart order_timed(Core* core, uint32_t slot, Taker* taker) noexcept nogil:
    """The quantity that a new order shows and the time at which it expires."""
    more_at(core, slot).display_lots = taker.display_lots
    more_at(core, slot).expires_ns = taker.expires_ns
    if taker.flags & TIMED:
        timer_add(core, taker.expires_ns, taker.order_id)

cdef inline uint32_t order_new(Core* core, Taker* taker) noexcept nogil:
    """A record for an order, known by its ids."""
    cdef uint32_t slot = slab_take(&core.orders)
    cdef Order* order = order_at(core, slot)
    ensure(core, slot != 0, FAULT_NO_MEMORY)
    order.order_id = taker.order_id
    order.position = slot_of(core, taker.position)
    order.account = taker.position.account
    order.flags = taker.flags
    order.side = taker.side
    order.self_trade = taker.self_trade
    order_index_put(core, slot, taker.order_id)
    if taker.client_order_id:
        order_named(core, slot, taker.client_order_id)
    if taker.flags & (ORDER_FLAG_ICEBERG | TIMED):
        order_timed(core, slot, taker)
    return slot

cdef inline void order_rest(Core* core, Symbol* symbol, Taker* taker) noexcept nogil:
    """What is left of a taker joins the back of its level."""
    cdef uint32_t slot = taker.slot if taker.slot else order_new(core, taker)
    cdef Order* order = order_at(core, slot)
    cdef Position* position = taker.position
    order.price_ticks = taker.limit_ticks
    order.open_lots = taker.open_lots
    order.filled_lots = taker.filled_lots
    ensure(core, book_append(core, &symbol.sides[taker.side], slot, taker.limit_ticks, taker.open_lots), FAULT_NO_MEMORY)
    own_link(core, position, slot, taker.side, taker.limit_ticks, taker.flags)
    if rarely(taker.special & UNFOLLOWED):
        credit_forget(account_at(core, position.account))
    orders_counted(symbol, position, taker.side, taker.limit_ticks, taker.flags, taker.open_lots)
    event_order_rested(core, position, taker.side, taker.flags, taker.order_id, taker.client_order_id,
                       taker.limit_ticks, taker.open_lots)
    if rarely(taker.flags & ORDER_FLAG_ICEBERG):
        show_slice(core, position, slot)

cdef inline void order_leave(
    Core* core, Symbol* symbol, Position* position, Order* order, uint32_t flags
) noexcept nogil:
    """Takes an order with these flags out of its queue; its record and its ids stay."""
    cdef int side = order.side
    cdef int64_t price = order.price_ticks
    cdef int64_t lots = order.open_lots
    book_remove(core, &symbol.sides[side], order, price, lots)
    own_unlink(core, position, order, side, flags)
    if lots:
        orders_counted(symbol, position, side, price, flags, -lots)
        credit_after_leaving(core, symbol, position, side, price, flags, lots)

cdef inline void order_forget(Core* core, uint32_t slot) noexcept nogil:
    """Gives back the record of an order that has ended."""
    cdef Order* order = order_at(core, slot)
    if rarely(order.flags & (ORDER_FLAG_LINKED | TIMED)):
        if order.flags & ORDER_FLAG_LINKED:
            link_leave(core, slot)
        if order.flags & TIMED:
            core.timer_live -= 1
    order_index_drop(core, slot)
    if order.flags & NAMED:
        client_index_drop(core, slot)
    slab_give(&core.orders, slot)

cdef inline void order_remove(Core* core, Symbol* symbol, Position* position, uint32_t slot) noexcept nogil:
    """Takes a resting order out of everything that knows it."""
    order_leave(core, symbol, position, order_at(core, slot), order_at(core, slot).flags)
    order_forget(core, slot)

cdef inline apart waiting_cancel(Core* core, Symbol* symbol, uint32_t slot, int reason) noexcept nogil:
    """Cancels an order that waits and tells why."""
    cdef Order* order = order_at(core, slot)
    cdef Position* position = position_at(core, order.position)
    event_order_cancelled(core, position, order.side, ORDER_PLACE_WAITING, reason, order.order_id,
                          client_id_of(core, slot), more_at(core, slot).limit_ticks, order.open_lots)
    waiting_leave(core, symbol, position, slot)
    order_forget(core, slot)

cdef inline apart order_cancel(Core* core, Symbol* symbol, uint32_t slot, int reason) noexcept nogil:
    """Cancels an order that rests or waits and tells why."""
    cdef Order* order = order_at(core, slot)
    cdef Position* position
    if rarely(order.flags & WAITING):
        waiting_cancel(core, symbol, slot, reason)
        return
    position = position_at(core, order.position)
    event_order_cancelled(core, position, order.side, ORDER_PLACE_BOOK, reason,
                          order.order_id, client_id_of(core, slot), order.price_ticks, order.open_lots)
    order_remove(core, symbol, position, slot)

cdef inline void taker_cancel(Core* core, Taker* taker, int reason) noexcept nogil:
    """Cancels what is left of the taker and tells why."""
    event_order_cancelled(core, taker.position, taker.side, ORDER_PLACE_TAKER, reason,
                          taker.order_id, taker.client_order_id, taker.shown_ticks, taker.open_lots)
    taker.open_lots = 0

cdef inline apart cancel_own(Core* core, Position* position, int side, int reason) noexcept nogil:
    """Cancels an account's orders of a symbol, of one side or (side 2) both, in canonical order (MATCH-07)."""
    cdef Symbol* symbol = symbol_of(core, position)
    cdef uint32_t kept = 0
    cdef uint32_t slot
    cdef int of
    for of in range(2):
        while (side == 2 or side == of) and own_sort(core, position, of):
            order_cancel(core, symbol, position.own_head[of], reason)
    slot = position.waiting_head
    while slot:                        # behind the last one that is kept: an entry takes other orders with it
        if side == 2 or side == order_at(core, slot).side:
            order_cancel(core, symbol, slot, reason)
        else:
            kept = slot
        slot = order_at(core, kept).own_next if kept else position.waiting_head

cdef inline apart cancel_reduce_only(Core* core, Symbol* symbol, Position* position) noexcept nogil:
    """Cancels the reduce-only orders that would not reduce the position."""
    cdef int side
    cdef uint32_t slot, following
    for side in range(2):
        if reduces(position, side):
            continue
        slot = own_sort(core, position, side)
        while slot:
            following = order_at(core, slot).own_next
            if order_at(core, slot).flags & ORDER_FLAG_REDUCE_ONLY:
                order_cancel(core, symbol, slot, CANCEL_REASON_REDUCE_ONLY)
            slot = following
    slot = position.waiting_head
    while slot:
        following = order_at(core, slot).own_next
        if reduces_only(order_at(core, slot).flags) and order_at(core, slot).flags & ARMED \
                and not reduces(position, order_at(core, slot).side) and not entry_lives(core, slot):
            waiting_cancel(core, symbol, slot, CANCEL_REASON_REDUCE_ONLY)
        slot = following

cdef inline void cancel_useless_reduce_only(Core* core, Symbol* symbol, Position* position) noexcept nogil:
    """MATCH-11: reduce-only orders whose position is gone or has flipped are cancelled."""
    if rarely(position.reduce_only_orders):
        cancel_reduce_only(core, symbol, position)

# ----------------------------------------------------------------------------------------- linked orders

cdef inline apart link_cancel(Core* core, uint32_t slot) noexcept nogil:
    """Cancels a sibling, if there still is one."""
    if slot:
        order_cancel(core, symbol_of(core, position_at(core, order_at(core, slot).position)), slot, CANCEL_REASON_LINKED)

cdef inline apart link_leave(Core* core, uint32_t slot) noexcept nogil:
    """An order of a list has ended; an entry takes with it the exits that it never armed (MATCH-14)."""
    cdef OrderMore* more = more_at(core, slot)
    cdef OrderMore* sibling
    cdef int i, j
    for i in range(2):
        if more.siblings[i]:
            sibling = more_at(core, more.siblings[i])
            for j in range(2):
                if sibling.siblings[j] == slot:
                    sibling.siblings[j] = 0
    if more.link_role == LINK_ENTRY:
        for i in range(2):
            if more.siblings[i] and order_at(core, more.siblings[i]).flags & (WAITING | ARMED) == WAITING:
                link_cancel(core, more.siblings[i])
    more.siblings[0] = more.siblings[1] = 0

cdef inline bint entry_lives(Core* core, uint32_t slot) noexcept nogil:
    """Whether this is an exit whose entry may still fill."""
    cdef OrderMore* more = more_at(core, slot)
    return order_at(core, slot).flags & ORDER_FLAG_LINKED and more.link_role == LINK_EXIT and more.siblings[0] != 0

cdef inline apart exit_armed(Core* core, uint32_t slot, int64_t lots) noexcept nogil:
    """The entry has filled lots: an exit waits for as many more, up to its own quantity."""
    cdef Order* order = order_at(core, slot)
    cdef Symbol* symbol = symbol_of(core, position_at(core, order.position))
    cdef bint fixed = more_at(core, slot).order_type != ORDER_TYPE_TRAILING_STOP
    cdef bint whole = order.flags & ORDER_FLAG_CLOSE_POSITION
    if order.flags & ARMED and (whole or order.open_lots == more_at(core, slot).exit_lots):
        return
    if order.flags & ARMED and fixed and not order.flags & TRIGGERED:
        disarm(core, symbol, slot)
    if not whole:
        order.open_lots = imin(order.open_lots + lots, more_at(core, slot).exit_lots)
    if not order.flags & ARMED:
        arm(core, symbol, slot)
    event_order_waiting(core, slot)

cdef inline apart link_filled(Core* core, uint32_t slot, int64_t lots) noexcept nogil:
    """An order of a list has filled lots (MATCH-14)."""
    cdef OrderMore* more = more_at(core, slot)
    cdef int i
    if more.link_role == LINK_ONE_CANCELS_OTHER:
        link_cancel(core, more.siblings[0])
    elif more.link_role == LINK_ENTRY:
        for i in range(2):
            if more.siblings[i]:
                exit_armed(core, more.siblings[i], lots)

cdef inline apart link_triggered(Core* core, uint32_t slot) noexcept nogil:
    """An order of a list goes off (MATCH-14): the other exit, then the entry; or the other of two."""
    cdef OrderMore* more = more_at(core, slot)
    if more.link_role != LINK_ENTRY:
        link_cancel(core, more.siblings[1])
        link_cancel(core, more.siblings[0])
