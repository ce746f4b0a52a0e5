"""Amending an order that rests or waits: one atomic step (MATCH-05).

A smaller quantity keeps its place, anything else of a resting order goes to the back and may trade; an order that
waits goes on waiting.
"""

from libc.stdint cimport int64_t, uint32_t
from native.book cimport book_reduce, crosses
from native.checks cimport bears, collects, out_of_band, over_exposed, slid
from native.core cimport (
    ARMED, Core, LINK_EXIT, ORDER_FLAGS, Order, OrderMore, Position, Symbol, TIMED, WAITING, client_id_of, more_at, order_at,
    position_at, symbol_of,
)
from native.events cimport event_accepted, event_new
from native.ledger cimport orders_counted
from native.matching cimport stp_group_of
from native.order_life cimport Taker, event_order_shown, event_order_waiting, order_leave
from native.orders cimport act, find_order
from native.timers cimport timer_add
from native.trailing cimport trail_group_of, trail_number, trail_put
from native.units cimport imin, wide
from native.waiting cimport arm, disarm, is_limit_type, reduces_only, touch, trigger_reached, watched_price
from native.wire cimport *

# What the order will be.
cdef struct Amended:
    int64_t price_ticks                # slid, where it slides
    int64_t given_ticks                # before that
    int64_t open_lots
    bint price_changes
    bint other_price_given             # before it slid
    bint lots_change
    bint expiry_changes
    bint display_changes
    bint trigger_changes               # trigger or distance

cdef inline Taker taker_from(Core* core, uint32_t slot, int64_t limit_ticks, int64_t open_lots) noexcept nogil:
    """An order that has a record, about to act."""
    cdef Order* order = order_at(core, slot)
    cdef Taker taker
    taker.position = position_at(core, order.position)
    taker.slot = slot
    taker.order_id = order.order_id
    taker.client_order_id = client_id_of(core, slot)
    taker.limit_ticks = limit_ticks
    taker.shown_ticks = limit_ticks
    taker.open_lots = open_lots
    taker.filled_lots = order.filled_lots
    taker.reach_lots = open_lots
    taker.stp_group = stp_group_of(core, taker.position.account)
    taker.side = order.side
    taker.self_trade = order.self_trade
    taker.flags = order.flags
    taker.liquidation = False
    taker.followed = False
    taker.counting = False
    return taker

# ------------------------------------------------------------------------------------------- the checks

cdef inline int check_amend_form(wire_amend_order* c) noexcept nogil:
    """What can be told without the order."""
    if c.account == 0 or c.account > MAX_ACCOUNT:
        return REJECT_REASON_INVALID_ACCOUNT
    if c.price_ticks < 0 or c.price_ticks > MAX_PRICE_TICKS:
        return REJECT_REASON_INVALID_PRICE
    if c.qty_lots < 0 or c.qty_lots > MAX_QTY_LOTS:
        return REJECT_REASON_INVALID_QUANTITY
    if c.trigger_ticks < 0 or c.trigger_ticks > MAX_PRICE_TICKS or c.callback_ticks < 0 \
            or c.callback_ticks > MAX_PRICE_TICKS or c.callback_ppm >= PPM or (c.callback_ticks and c.callback_ppm):
        return REJECT_REASON_INVALID_TRIGGER
    if c.display_lots < 0:
        return REJECT_REASON_INVALID_DISPLAY
    if c.expires_ns < 0:
        return REJECT_REASON_INVALID_EXPIRY
    return 0

cdef inline int64_t total_lots(Core* core, uint32_t slot) noexcept nogil:
    """The quantity of an order, what is filled included; of an exit that waits the one that it was given."""
    cdef Order* order = order_at(core, slot)
    if order.flags & WAITING and order.flags & ORDER_FLAG_LINKED and more_at(core, slot).link_role == LINK_EXIT:
        return more_at(core, slot).exit_lots
    return order.open_lots + order.filled_lots

cdef inline int check_amend_fields(Core* core, uint32_t slot, wire_amend_order* c) noexcept nogil:
    """Whether the order has what is to be changed."""
    cdef Order* order = order_at(core, slot)
    cdef OrderMore* more = more_at(core, slot)
    cdef bint waits = order.flags & WAITING
    cdef bint trails = waits and more.order_type == ORDER_TYPE_TRAILING_STOP
    if c.price_ticks and waits and not is_limit_type(more.order_type):
        return REJECT_REASON_INVALID_PRICE
    if c.qty_lots and waits and (order.flags & ORDER_FLAG_CLOSE_POSITION or (
            order.flags & ORDER_FLAG_LINKED and more.link_role == LINK_EXIT)):
        return REJECT_REASON_INVALID_QUANTITY
    if c.trigger_ticks and (not waits or trails):
        return REJECT_REASON_INVALID_TRIGGER
    if (c.callback_ticks and not (trails and more.callback_ticks)) or (
            c.callback_ppm and not (trails and more.callback_ppm)):
        return REJECT_REASON_INVALID_TRIGGER
    if c.display_lots and (not order.flags & ORDER_FLAG_ICEBERG or c.display_lots > (
            c.qty_lots if c.qty_lots else total_lots(core, slot))):
        return REJECT_REASON_INVALID_DISPLAY
    if c.expires_ns and (not order.flags & TIMED or c.expires_ns <= core.timestamp_ns):
        return REJECT_REASON_INVALID_EXPIRY
    return 0

cdef inline Amended amended(Core* core, Symbol* symbol, uint32_t slot, wire_amend_order* c) noexcept nogil:
    """What the order will be, and what of it changes."""
    cdef Order* order = order_at(core, slot)
    cdef OrderMore* more = more_at(core, slot)
    cdef Amended result
    cdef int64_t price = more.limit_ticks if order.flags & WAITING else order.price_ticks
    result.given_ticks = c.price_ticks if c.price_ticks else price
    result.price_ticks = result.given_ticks
    if c.price_ticks and order.flags & ORDER_FLAG_SLIDE and not order.flags & WAITING and not collects(symbol):
        result.price_ticks = slid(symbol, order.side, c.price_ticks)
    result.open_lots = c.qty_lots - order.filled_lots if c.qty_lots else order.open_lots
    result.price_changes = result.price_ticks != price
    result.other_price_given = result.given_ticks != price
    result.lots_change = result.open_lots != order.open_lots
    result.expiry_changes = c.expires_ns != 0 and c.expires_ns != more.expires_ns
    result.display_changes = c.display_lots != 0 and c.display_lots != more.display_lots
    result.trigger_changes = (c.trigger_ticks != 0 and c.trigger_ticks != more.trigger_ticks) or (
        c.callback_ticks != 0 and c.callback_ticks != more.callback_ticks) or (
        c.callback_ppm != 0 and c.callback_ppm != more.callback_ppm)
    return result

cdef inline int check_amend_filters(
    Core* core, Symbol* symbol, uint32_t slot, wire_amend_order* c, Amended* new
) noexcept nogil:
    """What a new quantity and price must be, resting or waiting (MATCH-09)."""
    cdef Order* order = order_at(core, slot)
    cdef int64_t total = new.open_lots + order.filled_lots
    cdef bint waits = order.flags & WAITING
    if not (new.price_changes or new.lots_change or new.expiry_changes or new.display_changes or new.trigger_changes):
        return REJECT_REASON_NOTHING_TO_AMEND
    if new.open_lots <= 0 and c.qty_lots:
        return REJECT_REASON_QUANTITY_BELOW_FILLED
    if c.qty_lots and total < symbol.min_qty_lots:
        return REJECT_REASON_QUANTITY_BELOW_MINIMUM
    if c.qty_lots and total > symbol.max_qty_lots:
        return REJECT_REASON_QUANTITY_ABOVE_MAXIMUM
    if (new.other_price_given or new.lots_change) and not reduces_only(order.flags) \
            and not (waits and not is_limit_type(more_at(core, slot).order_type)) \
            and wide(total, new.given_ticks) * symbol.m < symbol.min_notional_atoms:
        return REJECT_REASON_NOTIONAL_BELOW_MINIMUM
    if new.other_price_given and not waits and out_of_band(symbol, order.side, new.given_ticks):
        return REJECT_REASON_PRICE_OUT_OF_BAND
    return 0

cdef inline bint keeps_place(Core* core, uint32_t slot, Amended* new) noexcept nogil:
    return not new.price_changes and new.open_lots <= order_at(core, slot).open_lots

cdef inline int check_replacing(
    Core* core, Symbol* symbol, uint32_t slot, Amended* new, bint* followed
) noexcept nogil:
    """What is asked of a resting order that leaves its place."""
    cdef Order* order = order_at(core, slot)
    if over_exposed(symbol, new.open_lots, new.price_ticks, order):
        return REJECT_REASON_VALUE_OUT_OF_RANGE
    if new.price_changes and order.flags & ORDER_FLAG_POST_ONLY and not collects(symbol) \
            and crosses(&symbol.sides[1 - order.side], new.price_ticks):
        return REJECT_REASON_POST_ONLY_WOULD_TAKE
    if core.risk and not bears(core, symbol, position_at(core, order.position), order.side, new.open_lots, new.price_ticks,
                               order.flags & ORDER_FLAG_REDUCE_ONLY, slot, followed):
        return REJECT_REASON_INSUFFICIENT_MARGIN
    return 0

# ------------------------------------------------------------------------------------------ the effects

cdef inline void event_amended(Core* core, uint32_t slot, bint kept, Amended* new) noexcept nogil:
    cdef Order* order = order_at(core, slot)
    cdef Position* position = position_at(core, order.position)
    cdef wire_order_amended* e = <wire_order_amended*>event_new(
        core, EVENT_ORDER_AMENDED, sizeof(wire_order_amended), position.account)
    e.symbol = position.symbol
    e.side = order.side
    e.kept_priority = kept
    e.order_id = order.order_id
    e.client_order_id = client_id_of(core, slot)
    e.previous_price_ticks = order.price_ticks
    e.previous_open_lots = order.open_lots
    e.price_ticks = new.price_ticks
    e.open_lots = new.open_lots

cdef inline void amend_times(Core* core, uint32_t slot, wire_amend_order* c, Amended* new) noexcept nogil:
    """Display quantity and expiry: they count from the next slice, and from now on."""
    cdef OrderMore* more = more_at(core, slot)
    if new.display_changes:
        more.display_lots = c.display_lots
    if new.expiry_changes:
        more.expires_ns = c.expires_ns
        core.timer_live -= 1
        timer_add(core, c.expires_ns, order_at(core, slot).order_id)

cdef inline void amend_in_place(Core* core, Symbol* symbol, uint32_t slot, Amended* new) noexcept nogil:
    """A resting order stays where it is, with fewer lots or as many."""
    cdef Order* order = order_at(core, slot)
    cdef OrderMore* more = more_at(core, slot)
    cdef Position* position = position_at(core, order.position)
    if not new.lots_change:
        return
    event_amended(core, slot, True, new)
    orders_counted(symbol, position, order, new.open_lots - order.open_lots)
    book_reduce(&symbol.sides[order.side], order, order.open_lots - new.open_lots)
    if order.flags & ORDER_FLAG_ICEBERG and more.shown_lots > order.open_lots:
        more.shown_lots = order.open_lots
        event_order_shown(core, position, slot, False)

cdef inline void replace_order(Core* core, Symbol* symbol, uint32_t slot, Amended* new, bint followed) noexcept nogil:
    """Takes the order out of its queue, and sends it through the loop as a taker with its own id."""
    cdef Taker taker = taker_from(core, slot, new.price_ticks, new.open_lots)
    taker.followed = followed
    event_amended(core, slot, False, new)
    order_leave(core, symbol, taker.position, slot)
    act(core, symbol, &taker, TIME_IN_FORCE_GTC)

cdef inline void amend_trailing(Core* core, Symbol* symbol, uint32_t slot, wire_amend_order* c) noexcept nogil:
    """A new distance, with the best price that the order has."""
    cdef OrderMore* more = more_at(core, slot)
    cdef int number = trail_number(order_at(core, slot), more)
    more.callback_ticks = c.callback_ticks
    more.callback_ppm = c.callback_ppm
    if order_at(core, slot).flags & ARMED:
        symbol.triggers.trails[number].live -= 1
        trail_put(core, number, &symbol.triggers.trails[number], &symbol.triggers.trails[number].groups[
            trail_group_of(&symbol.triggers.trails[number], more.trail_serial)], slot)

cdef inline void amend_waiting(Core* core, Symbol* symbol, uint32_t slot, wire_amend_order* c, Amended* new) noexcept nogil:
    """An order that waits goes on waiting, with its new fields."""
    cdef Order* order = order_at(core, slot)
    cdef OrderMore* more = more_at(core, slot)
    cdef bint moves = order.flags & ARMED and more.order_type != ORDER_TYPE_TRAILING_STOP
    if moves:
        disarm(core, symbol, slot)
    order.open_lots = new.open_lots
    more.limit_ticks = new.price_ticks
    if c.trigger_ticks:
        more.trigger_ticks = c.trigger_ticks
    if moves:
        arm(core, symbol, slot)
    elif new.trigger_changes and more.order_type == ORDER_TYPE_TRAILING_STOP:
        amend_trailing(core, symbol, slot, c)
    touch(core, symbol)
    event_order_waiting(core, slot)

cdef inline int amend_order(Core* core, wire_amend_order* c) noexcept nogil:
    """MATCH-05."""
    cdef uint32_t slot
    cdef Order* order
    cdef Symbol* symbol
    cdef Amended new
    cdef bint waits
    cdef bint followed = not core.risk
    cdef int reason = check_amend_form(c)
    if reason:
        return reason
    slot = find_order(core, c.account, c.order_id, c.client_order_id)
    if slot == 0:
        return REJECT_REASON_UNKNOWN_ORDER
    order = order_at(core, slot)
    symbol = symbol_of(core, position_at(core, order.position))
    waits = order.flags & WAITING
    if symbol.state != SYMBOL_STATE_OPEN and not collects(symbol):
        return REJECT_REASON_SYMBOL_STATE_FORBIDS
    reason = check_amend_fields(core, slot, c)
    if reason:
        return reason
    new = amended(core, symbol, slot, c)
    reason = check_amend_filters(core, symbol, slot, c, &new)
    if reason:
        return reason
    if waits:
        if c.trigger_ticks and new.trigger_changes and trigger_reached(
                more_at(core, slot).order_type, order.side, c.trigger_ticks,
                watched_price(symbol, more_at(core, slot).trigger_by)):
            return REJECT_REASON_TRIGGER_ALREADY_TRUE
    elif not keeps_place(core, slot, &new):
        reason = check_replacing(core, symbol, slot, &new, &followed)
        if reason:
            return reason
    event_accepted(core, c.account, COMMAND_AMEND_ORDER, order.order_id, client_id_of(core, slot))
    amend_times(core, slot, c, &new)
    if waits:
        amend_waiting(core, symbol, slot, c, &new)
    elif keeps_place(core, slot, &new):
        amend_in_place(core, symbol, slot, &new)
    else:
        replace_order(core, symbol, slot, &new, followed)
    return 0
