"""Amending an order that rests or waits: one atomic step (MATCH-05).

A smaller quantity keeps its place, anything else of a resting order goes to the back and may trade; an order that
waits goes on waiting.
"""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from native.book cimport book_reduce, crosses
from native.checks cimport (
    FOLLOWED, REFUSED, bears, check_caps, collects, may_not_open, out_of_band, outside, over_exposed, slid,
)
from native.core cimport (
    ARMED, Core, LINK_EXIT, Order, OrderMore, Position, Symbol, TIMED, Trails, WAITING, client_id_of, more_at, order_at,
    position_at, symbol_of,
)
from native.events cimport event_accepted, event_new
from native.ledger cimport orders_counted
from native.matching cimport stp_group_of
from native.order_life cimport Taker, UNFOLLOWED, event_order_shown, event_order_waiting, order_leave
from native.orders cimport act, find_order
from native.timers cimport timer_add
from native.trailing cimport trail_group_of, trail_number, trail_put
from native.units cimport apart_int, rarely, wide
from native.waiting cimport arm, disarm, is_limit_type, reduces_only, touch, trigger_reached, watched_price
from native.wire cimport *

# The order as it is, and what it will be.
cdef struct Amended:
    Order* order
    OrderMore* more
    Position* position
    Symbol* symbol
    uint32_t slot
    uint32_t flags                     # the order's, as they are
    uint64_t client_order_id
    int64_t previous_ticks             # of an order that waits: its limit
    int64_t price_ticks                # slid, where it slides
    int64_t given_ticks                # before that
    int64_t open_lots
    bint followed                      # by credit, where it leaves its place (credit.pxd)
    bint price_changes
    bint other_price_given             # before it slid
    bint lots_change
    bint expiry_changes
    bint display_changes
    bint trigger_changes               # trigger or distance

cdef inline Taker taker_from(
    Core* core, Position* position, uint32_t slot, uint32_t flags, uint64_t client_order_id,
    int64_t limit_ticks, int64_t open_lots, bint followed
) noexcept nogil:
    """An order that has a record, about to act."""
    cdef Order* order = order_at(core, slot)
    cdef Taker taker
    taker.position = position
    taker.slot = slot
    taker.order_id = order.order_id
    taker.client_order_id = client_order_id
    taker.limit_ticks = limit_ticks
    taker.shown_ticks = limit_ticks
    taker.open_lots = open_lots
    taker.filled_lots = order.filled_lots
    taker.reach_lots = open_lots
    taker.display_lots = taker.expires_ns = 0
    taker.stp_group = stp_group_of(core, position.account)
    taker.side = order.side
    taker.self_trade = order.self_trade
    taker.flags = <uint16_t>flags
    taker.special = 0 if followed else UNFOLLOWED
    return taker

# ------------------------------------------------------------------------------------------- the checks

cdef inline int check_amend_form(wire_amend_order* c) noexcept nogil:
    """What can be told without the order."""
    if outside(c.account, MAX_ACCOUNT):
        return REJECT_REASON_INVALID_ACCOUNT
    if c.price_ticks and outside(c.price_ticks, MAX_PRICE_TICKS):
        return REJECT_REASON_INVALID_PRICE
    if c.qty_lots and outside(c.qty_lots, MAX_QTY_LOTS):
        return REJECT_REASON_INVALID_QUANTITY
    if c.trigger_ticks < 0 or c.trigger_ticks > MAX_PRICE_TICKS or c.callback_ticks < 0 \
            or c.callback_ticks > MAX_PRICE_TICKS or c.callback_ppm >= PPM or (c.callback_ticks and c.callback_ppm):
        return REJECT_REASON_INVALID_TRIGGER
    if c.display_lots < 0:
        return REJECT_REASON_INVALID_DISPLAY
    if c.expires_ns < 0:
        return REJECT_REASON_INVALID_EXPIRY
    return 0

cdef inline int64_t total_lots(Amended* new) noexcept nogil:
    """The quantity of an order, what is filled included; of an exit that waits the one that it was given."""
    if new.flags & WAITING and new.flags & ORDER_FLAG_LINKED and new.more.link_role == LINK_EXIT:
        return new.more.exit_lots
    return new.order.open_lots + new.order.filled_lots

cdef inline int check_amend_fields(Core* core, wire_amend_order* c, Amended* new) noexcept nogil:
    """Whether the order has what is to be changed."""
    cdef OrderMore* more = new.more
    cdef bint waits = new.flags & WAITING
    cdef bint trails = waits and more.order_type == ORDER_TYPE_TRAILING_STOP
    if c.price_ticks and waits and not is_limit_type(more.order_type):
        return REJECT_REASON_INVALID_PRICE
    if c.qty_lots and waits and (new.flags & ORDER_FLAG_CLOSE_POSITION or (
            new.flags & ORDER_FLAG_LINKED and more.link_role == LINK_EXIT)):
        return REJECT_REASON_INVALID_QUANTITY
    if c.trigger_ticks and (not waits or trails):
        return REJECT_REASON_INVALID_TRIGGER
    if (c.callback_ticks and not (trails and more.callback_ticks)) or (
            c.callback_ppm and not (trails and more.callback_ppm)):
        return REJECT_REASON_INVALID_TRIGGER
    if c.display_lots and (not new.flags & ORDER_FLAG_ICEBERG or c.display_lots > (
            c.qty_lots if c.qty_lots else total_lots(new))):
        return REJECT_REASON_INVALID_DISPLAY
    if c.expires_ns and (not new.flags & TIMED or c.expires_ns <= core.timestamp_ns):
        return REJECT_REASON_INVALID_EXPIRY
    return 0

cdef inline void find_changes(wire_amend_order* c, Amended* new) noexcept nogil:
    """What the order will be, and what of it changes."""
    cdef OrderMore* more = new.more
    new.previous_ticks = more.limit_ticks if new.flags & WAITING else new.order.price_ticks
    new.given_ticks = c.price_ticks if c.price_ticks else new.previous_ticks
    new.price_ticks = new.given_ticks
    if c.price_ticks and new.flags & ORDER_FLAG_SLIDE and not new.flags & WAITING and not collects(new.symbol):
        new.price_ticks = slid(new.symbol, new.order.side, c.price_ticks)
    new.open_lots = c.qty_lots - new.order.filled_lots if c.qty_lots else new.order.open_lots
    new.price_changes = new.price_ticks != new.previous_ticks
    new.other_price_given = new.given_ticks != new.previous_ticks
    new.lots_change = new.open_lots != new.order.open_lots
    new.expiry_changes = c.expires_ns != 0 and c.expires_ns != more.expires_ns
    new.display_changes = c.display_lots != 0 and c.display_lots != more.display_lots
    new.trigger_changes = (c.trigger_ticks != 0 and c.trigger_ticks != more.trigger_ticks) or (
        c.callback_ticks != 0 and c.callback_ticks != more.callback_ticks) or (
        c.callback_ppm != 0 and c.callback_ppm != more.callback_ppm)

cdef inline int check_amend_filters(wire_amend_order* c, Amended* new) noexcept nogil:
    """What a new quantity and price must be, resting or waiting (MATCH-09)."""
    cdef Symbol* symbol = new.symbol
    cdef int64_t total = new.open_lots + new.order.filled_lots
    cdef bint waits = new.flags & WAITING
    if not (new.price_changes or new.lots_change or new.expiry_changes or new.display_changes or new.trigger_changes):
        return REJECT_REASON_NOTHING_TO_AMEND
    if c.qty_lots:
        if new.open_lots <= 0:
            return REJECT_REASON_QUANTITY_BELOW_FILLED
        if total < symbol.min_qty_lots:
            return REJECT_REASON_QUANTITY_BELOW_MINIMUM
        if total > symbol.max_qty_lots:
            return REJECT_REASON_QUANTITY_ABOVE_MAXIMUM
    if symbol.min_notional_atoms > 0 and (new.other_price_given or new.lots_change) and not reduces_only(new.flags) \
            and not (waits and not is_limit_type(new.more.order_type)) \
            and wide(total, new.given_ticks) * symbol.m < symbol.min_notional_atoms:
        return REJECT_REASON_NOTIONAL_BELOW_MINIMUM
    if new.other_price_given and not waits and out_of_band(symbol, new.order.side, new.given_ticks):
        return REJECT_REASON_PRICE_OUT_OF_BAND
    return 0

cdef inline bint keeps_place(Amended* new) noexcept nogil:
    return not new.price_changes and new.open_lots <= new.order.open_lots

cdef inline int check_replacing(Core* core, Amended* new) noexcept nogil:
    """What is asked of a resting order that leaves its place."""
    cdef int side = new.order.side
    cdef int borne, capped
    if over_exposed(core, new.symbol, new.open_lots, new.price_ticks, new.order):
        return REJECT_REASON_VALUE_OUT_OF_RANGE
    if new.flags & ORDER_FLAG_POST_ONLY and new.price_changes and not collects(new.symbol) \
            and crosses(&new.symbol.sides[1 - side], new.price_ticks):
        return REJECT_REASON_POST_ONLY_WOULD_TAKE
    borne = bears(core, new.symbol, new.position, side, new.open_lots, new.price_ticks,
                  new.flags & ORDER_FLAG_REDUCE_ONLY, new.slot)
    new.followed = borne == FOLLOWED
    if borne == REFUSED:
        return REJECT_REASON_INSUFFICIENT_MARGIN
    if rarely(new.symbol.capped):
        capped = check_caps(core, new.symbol, new.position, side, new.open_lots, new.price_ticks,
                            new.flags & ORDER_FLAG_REDUCE_ONLY, new.order)
        if capped:
            return capped
    if rarely(new.symbol.held) and may_not_open(new.symbol, new.position, side, new.open_lots, new.flags, new.order):
        return REJECT_REASON_MARK_HELD
    return 0

cdef inline bint trigger_is_reached(wire_amend_order* c, Amended* new) noexcept nogil:
    """Whether the new trigger of an order that waits would set it off at once."""
    return new.trigger_changes and c.trigger_ticks != 0 and trigger_reached(
        new.more.order_type, new.order.side, c.trigger_ticks, watched_price(new.symbol, new.more.trigger_by))

# ------------------------------------------------------------------------------------------ the effects

cdef inline void event_amended(Core* core, bint kept, Amended* new) noexcept nogil:
    cdef Order* order = new.order
    cdef wire_order_amended* e = <wire_order_amended*>event_new(
        core, EVENT_ORDER_AMENDED, sizeof(wire_order_amended), new.position.account)
    e.symbol = new.position.symbol
    e.side = order.side
    e.kept_priority = kept
    e.order_id = order.order_id
    e.client_order_id = new.client_order_id
    e.previous_price_ticks = order.price_ticks
    e.previous_open_lots = order.open_lots
    e.price_ticks = new.price_ticks
    e.open_lots = new.open_lots

cdef inline void amend_times(Core* core, wire_amend_order* c, Amended* new) noexcept nogil:
    """Display quantity and expiry: they count from the next slice, and from now on."""
    if new.display_changes:
        new.more.display_lots = c.display_lots
    if new.expiry_changes:
        new.more.expires_ns = c.expires_ns
        core.timer_live -= 1
        timer_add(core, c.expires_ns, new.order.order_id)

cdef inline void amend_in_place(Core* core, Amended* new) noexcept nogil:
    """A resting order stays where it is, with fewer lots or as many."""
    cdef Order* order = new.order
    if not new.lots_change:
        return
    event_amended(core, True, new)
    orders_counted(new.symbol, new.position, order.side, order.price_ticks, new.flags, new.open_lots - order.open_lots)
    book_reduce(&new.symbol.sides[order.side], order, order.open_lots - new.open_lots)
    if new.flags & ORDER_FLAG_ICEBERG and new.more.shown_lots > order.open_lots:
        new.more.shown_lots = order.open_lots
        event_order_shown(core, new.position, new.slot, False)

cdef inline void replace_order(Core* core, Amended* new) noexcept nogil:
    """Takes the order out of its queue, and sends it through the loop as a taker with its own id."""
    cdef Taker taker = taker_from(core, new.position, new.slot, new.flags, new.client_order_id,
                                  new.price_ticks, new.open_lots, new.followed)
    event_amended(core, False, new)
    order_leave(core, new.symbol, new.position, new.order, new.flags)
    act(core, new.symbol, &taker, TIME_IN_FORCE_GTC)

cdef inline void amend_trailing(Core* core, wire_amend_order* c, Amended* new) noexcept nogil:
    """A new distance, with the best price that the order has."""
    cdef OrderMore* more = new.more
    cdef int number = trail_number(new.order, more)
    cdef Trails* trails
    more.callback_ticks = c.callback_ticks
    more.callback_ppm = c.callback_ppm
    if new.order.flags & ARMED:
        trails = &new.symbol.triggers.trails[number]
        trails.live -= 1
        trail_put(core, number, trails, &trails.groups[trail_group_of(trails, more.trail_serial)], new.slot)

cdef inline void amend_waiting(Core* core, wire_amend_order* c, Amended* new) noexcept nogil:
    """An order that waits goes on waiting, with its new fields."""
    cdef OrderMore* more = new.more
    cdef bint moves = new.flags & ARMED and more.order_type != ORDER_TYPE_TRAILING_STOP
    if moves:
        disarm(core, new.symbol, new.slot)
    new.order.open_lots = new.open_lots
    more.limit_ticks = new.price_ticks
    if c.trigger_ticks:
        more.trigger_ticks = c.trigger_ticks
    if moves:
        arm(core, new.symbol, new.slot)
    elif new.trigger_changes and more.order_type == ORDER_TYPE_TRAILING_STOP:
        amend_trailing(core, c, new)
    touch(core, new.symbol)
    event_order_waiting(core, new.slot)

# ------------------------------------------------------------------------------------------ the command

cdef inline int amend_found(Core* core, wire_amend_order* c, uint32_t slot, uint32_t flags) noexcept nogil:
    """Checks what a well-formed command asks of an order with these flags, and does it."""
    cdef Amended new
    cdef bint kept
    cdef int reason
    new.slot = slot
    new.flags = flags
    new.order = order_at(core, slot)
    new.more = more_at(core, slot)
    new.position = position_at(core, new.order.position)
    new.symbol = symbol_of(core, new.position)
    new.client_order_id = client_id_of(core, slot)
    if new.symbol.state != SYMBOL_STATE_OPEN and not collects(new.symbol):
        return REJECT_REASON_SYMBOL_STATE_FORBIDS
    reason = check_amend_fields(core, c, &new)
    if reason:
        return reason
    find_changes(c, &new)
    reason = check_amend_filters(c, &new)
    if reason:
        return reason
    kept = keeps_place(&new)
    if flags & WAITING:
        if trigger_is_reached(c, &new):
            return REJECT_REASON_TRIGGER_ALREADY_TRUE
    elif not kept:
        reason = check_replacing(core, &new)
        if reason:
            return reason
    event_accepted(core, c.account, COMMAND_AMEND_ORDER, new.order.order_id, new.client_order_id)
    amend_times(core, c, &new)
    if flags & WAITING:
        amend_waiting(core, c, &new)
    elif kept:
        amend_in_place(core, &new)
    else:
        replace_order(core, &new)
    return 0

cdef inline apart_int amend_any(Core* core, wire_amend_order* c) noexcept nogil:
    """MATCH-05, of any order."""
    cdef uint32_t slot
    cdef int reason = check_amend_form(c)
    if reason:
        return reason
    slot = find_order(core, c.account, c.order_id, c.client_order_id)
    return amend_found(core, c, slot, order_at(core, slot).flags) if slot else REJECT_REASON_UNKNOWN_ORDER

cdef inline wire_amend_order price_and_quantity(wire_amend_order* c) noexcept nogil:
    """The same command, of which the compiler knows that it changes nothing else."""
    cdef wire_amend_order known
    known.account = c.account
    known.order_id = c.order_id
    known.client_order_id = c.client_order_id
    known.price_ticks = c.price_ticks
    known.qty_lots = c.qty_lots
    known.display_lots = known.expires_ns = known.trigger_ticks = known.callback_ticks = 0
    known.callback_ppm = 0
    return known

cdef inline int amend_order(Core* core, wire_amend_order* c) noexcept nogil:
    """MATCH-05.  As with placing, the rules are there twice: for any order, and for those without flags and extras."""
    cdef wire_amend_order known
    cdef uint32_t slot
    cdef int reason
    if rarely(c.display_lots | c.expires_ns | c.trigger_ticks | c.callback_ticks | c.callback_ppm):
        return amend_any(core, c)
    known = price_and_quantity(c)
    reason = check_amend_form(&known)
    if reason:
        return reason
    slot = find_order(core, known.account, known.order_id, known.client_order_id)
    if slot == 0:
        return REJECT_REASON_UNKNOWN_ORDER
    if rarely(order_at(core, slot).flags):
        return amend_any(core, c)
    return amend_found(core, &known, slot, 0)
