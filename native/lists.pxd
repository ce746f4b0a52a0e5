"""Several orders in one command: each on its own, all or none, or linked to each other (MATCH-14)."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from native.checks cimport Placing, check_form, check_order, may_rest
from native.core cimport (
    ARMED, Core, LINK_ENTRY, LINK_EXIT, LINK_ONE_CANCELS_OTHER, Order, OrderMore, Symbol, more_at, order_at, position_at,
    symbol_of,
)
from native.events cimport event_accepted, event_new
from native.legs cimport list_of_legs, names_leg
from native.liquidation cimport liquidation_drain
from native.order_index cimport order_index_find
from native.order_life cimport Taker, event_order_waiting, order_cancel, order_new
from native.orders cimport act, event_entry_accepted, new_taker, new_waiting, place_any, repeated, start
from native.remembered cimport remember, remembered_find
from native.triggers cimport triggers_drain
from native.waiting cimport arm, is_trigger_type, reduces_only
from native.wire cimport *

# ------------------------------------------------------------------------------------------- the shape

cdef inline bint waits(wire_order* c) noexcept nogil:
    """Of a trigger type: one of the table, for the shape is looked at before the form."""
    return is_trigger_type(c.order_type) and c.order_type <= ORDER_TYPE_TRAILING_STOP

cdef inline bint fits_one_cancels_other(wire_order* first, int count) noexcept nogil:
    cdef wire_order* second = first + 1
    if count != 2 or first.symbol != second.symbol or first.leg != second.leg:
        return False
    return (waits(first) or waits(second)) and (waits(first) or may_rest(first)) and (waits(second) or may_rest(second))

cdef inline bint fits_entry_with_exits(wire_order* entry, int count) noexcept nogil:
    cdef wire_order* leaving
    cdef int i
    if count < 2 or count > 3 or reduces_only(entry.flags):
        return False
    for i in range(1, count):
        leaving = entry + i
        if leaving.symbol != entry.symbol or leaving.leg != entry.leg or leaving.side + entry.side != 1 or not waits(leaving) \
                or not reduces_only(leaving.flags) or leaving.time_in_force == TIME_IN_FORCE_GTD:
            return False
    return True

cdef inline bint fits_all_or_nothing(wire_order* first, int count) noexcept nogil:
    cdef int i
    for i in range(count):
        if not waits(&first[i]) and not first[i].flags & ORDER_FLAG_POST_ONLY:
            return False
    return True

cdef inline bint fits(wire_place_orders* c) noexcept nogil:
    if c.order_count < 1 or c.order_count > MAX_LIST_ORDERS:
        return False
    if c.list_mode == LIST_MODE_ALL_OR_NOTHING:
        return fits_all_or_nothing(&c.orders[0], c.order_count)
    if c.list_mode == LIST_MODE_ONE_CANCELS_OTHER:
        return fits_one_cancels_other(&c.orders[0], c.order_count)
    if c.list_mode == LIST_MODE_ENTRY_WITH_EXITS:
        return fits_entry_with_exits(&c.orders[0], c.order_count)
    return c.list_mode == LIST_MODE_EACH

# ----------------------------------------------------------------------------------------- each its own

cdef inline void place_each(Core* core, wire_place_orders* c) noexcept nogil:
    """Like one command after the other."""
    cdef int i, reason
    cdef wire_entry_rejected* e
    event_accepted(core, c.account, COMMAND_PLACE_ORDERS, 0, 0)
    for i in range(c.order_count):
        reason = place_any(core, c.account, &c.orders[i], i)
        if reason:
            e = <wire_entry_rejected*>event_new(
                core, EVENT_ENTRY_REJECTED, sizeof(wire_entry_rejected), c.account)
            e.index = <unsigned char>i
            e.reason = <unsigned short>reason
            e.client_order_id = c.orders[i].client_order_id
        liquidation_drain(core)
        triggers_drain(core)

# ---------------------------------------------------------------------------------------- all together

cdef inline bint names_twice(wire_place_orders* c, int i) noexcept nogil:
    """Whether an order before this one has its client order id."""
    cdef int j
    if c.orders[i].client_order_id:
        for j in range(i):
            if c.orders[j].client_order_id == c.orders[i].client_order_id:
                return True
    return False

cdef inline int check_together(Core* core, wire_place_orders* c, int i, Placing* placing) noexcept nogil:
    """All that is asked of an order of a list that is taken as a whole."""
    cdef int reason = check_form(core, c.account, &c.orders[i])
    placing.named_twice = names_twice(c, i)
    return reason if reason else check_order(core, c.account, &c.orders[i], placing)

cdef inline bint all_repeated(Core* core, wire_place_orders* c) noexcept nogil:
    """Whether the whole list is one that was accepted before; it is then answered as it was (MATCH-08)."""
    cdef int i
    for i in range(c.order_count):
        if names_twice(c, i) or check_form(core, c.account, &c.orders[i]) \
                or repeated(core, c.account, &c.orders[i]) == NULL:
            return False
    event_accepted(core, c.account, COMMAND_PLACE_ORDERS, 0, 0)
    for i in range(c.order_count):
        event_entry_accepted(core, c.account, i, repeated(core, c.account, &c.orders[i]).order_id,
                             c.orders[i].client_order_id)
    return True

cdef inline void remember_list(Core* core, wire_place_orders* c, uint64_t first_id) noexcept nogil:
    cdef int i
    for i in range(c.order_count):
        if c.orders[i].client_order_id:
            remember(core, c.account, &c.orders[i], first_id + i)

cdef inline int place_all_or_nothing(Core* core, wire_place_orders* c, int* refused) noexcept nogil:
    """One after the other rests or waits; if one is refused, those before it leave again, and no trace of them stays."""
    cdef Placing placing
    cdef Taker taker
    cdef uint64_t first_id = core.next_order_id
    cdef char* events_before = core.events_at
    cdef int64_t beginning_before = core.beginning.end
    cdef int i
    cdef int reason = 0
    cdef uint32_t slot
    event_accepted(core, c.account, COMMAND_PLACE_ORDERS, 0, 0)
    for i in range(c.order_count):
        placing.exit = False
        placing.orders_before = 0
        reason = check_together(core, c, i, &placing)
        if reason:
            refused[0] = i
            break
        new_taker(core, &c.orders[i], &placing, &taker)
        event_entry_accepted(core, c.account, i, taker.order_id, taker.client_order_id)
        start(core, &c.orders[i], &placing, &taker)
    if reason == 0:
        remember_list(core, c, first_id)
        return 0
    while core.next_order_id > first_id:
        core.next_order_id -= 1
        slot = order_index_find(core, core.next_order_id)
        order_cancel(core, symbol_of(core, position_at(core, order_at(core, slot).position)), slot, CANCEL_REASON_LINKED)
    core.beginning.end = beginning_before
    core.events_at = events_before
    return reason

# -------------------------------------------------------------------------------------------- linked

cdef inline void link(Core* core, uint32_t* slots, int count, int mode, wire_place_orders* c) noexcept nogil:
    """Makes siblings of the orders of a list."""
    cdef OrderMore* more
    cdef int i
    for i in range(count):
        more = more_at(core, slots[i])
        more.link_group = order_at(core, slots[0]).order_id
        more.link_role = LINK_ONE_CANCELS_OTHER
        more.exit_lots = 0
        if mode == LIST_MODE_ENTRY_WITH_EXITS:
            more.link_role = LINK_EXIT if i else LINK_ENTRY
            more.exit_lots = c.orders[i].qty_lots if i else 0
        more.siblings[0] = slots[0] if i else slots[1]
        more.siblings[1] = 0
        if count == 3:
            more.siblings[1] = slots[2] if i < 2 else slots[1]

cdef inline int place_linked(Core* core, wire_place_orders* c, int* refused) noexcept nogil:
    """All are checked, then all are taken, then those with a trigger wait, then the one without acts."""
    cdef Placing placing[3]
    cdef Taker takers[3]
    cdef uint32_t slots[3]
    cdef bint exits = c.list_mode == LIST_MODE_ENTRY_WITH_EXITS
    cdef uint64_t first_id = core.next_order_id
    cdef int i, reason
    for i in range(c.order_count):
        placing[i].exit = exits and i > 0
        placing[i].orders_before = i
        reason = check_together(core, c, i, &placing[i])
        if reason:
            refused[0] = i
            return reason
    event_accepted(core, c.account, COMMAND_PLACE_ORDERS, 0, 0)
    for i in range(c.order_count):
        new_taker(core, &c.orders[i], &placing[i], &takers[i])
        takers[i].flags |= ORDER_FLAG_LINKED
        event_entry_accepted(core, c.account, i, takers[i].order_id, takers[i].client_order_id)
    remember_list(core, c, first_id)
    for i in range(c.order_count):
        if is_trigger_type(c.orders[i].order_type):
            slots[i] = new_waiting(core, &c.orders[i], &takers[i])
        else:
            slots[i] = order_new(core, &takers[i])
            takers[i].slot = slots[i]
        if placing[i].exit:
            order_at(core, slots[i]).open_lots = 0
    link(core, slots, c.order_count, c.list_mode, c)
    for i in range(c.order_count):
        if is_trigger_type(c.orders[i].order_type):
            if not placing[i].exit:
                arm(core, placing[i].symbol, slots[i])
            event_order_waiting(core, slots[i])
    for i in range(c.order_count):
        if not is_trigger_type(c.orders[i].order_type):
            act(core, placing[i].symbol, &takers[i], c.orders[i].time_in_force)
    return 0

# ------------------------------------------------------------------------------------------ the command

cdef inline int place_fitting(Core* core, wire_place_orders* c, int* refused) noexcept nogil:
    """A list of an account, its orders as they count."""
    if not fits(c):
        return REJECT_REASON_INVALID_LIST
    if c.list_mode == LIST_MODE_EACH:
        place_each(core, c)
        return 0
    if all_repeated(core, c):
        return 0
    if c.list_mode == LIST_MODE_ALL_OR_NOTHING:
        return place_all_or_nothing(core, c, refused)
    return place_linked(core, c, refused)

cdef inline int place_orders(Core* core, wire_place_orders* c, int* refused) noexcept nogil:
    """MATCH-14; `refused` gets the place of the order that a refusal is about, -1 for none."""
    cdef wire_place_orders known
    refused[0] = -1
    if c.account == 0 or c.account > MAX_ACCOUNT:
        return REJECT_REASON_INVALID_ACCOUNT
    if not names_leg(c):
        return place_fitting(core, c, refused)
    list_of_legs(c, &known)
    return place_fitting(core, &known, refused)
