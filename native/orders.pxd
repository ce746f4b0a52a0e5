"""Placing and cancelling orders (MATCH-02..04, MATCH-06..09).

Each command function returns 0 when it was carried out, or the reject reason, in which case nothing has changed.
"""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from native.book cimport crosses
from native.checks cimport Placing, check_form, check_order, check_whom, collects, ordinary, ordinary_order
from native.core cimport (
    Core, Order, OrderMore, Position, Symbol, TIMED, TRIGGER_TYPE, account_at, account_more, client_id_of, know_account, more_at,
    order_at, position_at, reducible_lots, symbol_at, symbol_of,
)
from native.events cimport event_accepted, event_new
from native.legs cimport order_of_leg
from native.matching cimport fill_or_kill, match, stp_group_of
from native.order_index cimport client_index_find, order_index_find
from native.order_life cimport (
    Taker, UNFOLLOWED, cancel_own, event_order_waiting, order_cancel, order_forget, order_new, order_rest, taker_cancel,
)
from native.positions cimport position_ensure
from native.remembered cimport Remembered, remember, remembered_find, repeats
from native.timers cimport countdown_key, timer_add
from native.units cimport apart, apart_int, imin, rarely
from native.waiting cimport arm, is_trigger_type, waiting_link
from native.wire cimport *

# --------------------------------------------------------------------------------------------- acting

cdef inline void finish(Core* core, Symbol* symbol, Taker* taker, bint rests) noexcept nogil:
    """After the loop: what is left rests, or is cancelled."""
    if taker.open_lots > 0:
        if not rests:
            taker_cancel(core, taker, CANCEL_REASON_IMMEDIATE_OR_CANCEL)
        elif taker.flags & ORDER_FLAG_REDUCE_ONLY and reducible_lots(taker.position, taker.side) == 0:
            taker_cancel(core, taker, CANCEL_REASON_REDUCE_ONLY)
        else:
            order_rest(core, symbol, taker)
            return
    if taker.slot:
        order_forget(core, taker.slot)

cdef inline void run_fill_or_kill(Core* core, Symbol* symbol, Taker* taker) noexcept nogil:
    """MATCH-03: all or nothing, decided before any fill."""
    cdef int64_t needed = taker.open_lots
    if taker.flags & ORDER_FLAG_REDUCE_ONLY:
        needed = imin(needed, reducible_lots(taker.position, taker.side))
    if not fill_or_kill(core, symbol, taker, needed):
        taker_cancel(core, taker, CANCEL_REASON_FILL_OR_KILL)
        return
    match(core, symbol, taker)
    if taker.open_lots:
        taker_cancel(core, taker, CANCEL_REASON_REDUCE_ONLY)

cdef inline bint may_stay(int time_in_force) noexcept nogil:
    return time_in_force == TIME_IN_FORCE_GTC or time_in_force == TIME_IN_FORCE_GTD

cdef inline apart trade(Core* core, Symbol* symbol, Taker* taker, int time_in_force) noexcept nogil:
    """Sends an order through the loop, by its time in force."""
    if taker.limit_ticks == 0:         # a market order with nothing to trade against
        taker_cancel(core, taker, CANCEL_REASON_FILL_OR_KILL if time_in_force == TIME_IN_FORCE_FOK
                     else CANCEL_REASON_IMMEDIATE_OR_CANCEL)
    elif time_in_force == TIME_IN_FORCE_FOK:
        run_fill_or_kill(core, symbol, taker)
    elif not collects(symbol):
        match(core, symbol, taker)
    finish(core, symbol, taker, may_stay(time_in_force))

cdef inline void act(Core* core, Symbol* symbol, Taker* taker, int time_in_force) noexcept nogil:
    """Lets a checked order act.  One that only rests is never needed in memory: the one that trades is a copy of it."""
    cdef Taker trading
    if may_stay(time_in_force) and not crosses(&symbol.sides[1 - taker.side], taker.limit_ticks):
        finish(core, symbol, taker, True)
        return
    trading = taker[0]
    trade(core, symbol, &trading, time_in_force)

# --------------------------------------------------------------------------------------------- placing

cdef inline void event_entry_accepted(Core* core, uint32_t account, int index, uint64_t order_id,
                                      uint64_t client_order_id) noexcept nogil:
    cdef wire_entry_accepted* e = <wire_entry_accepted*>event_new(
        core, EVENT_ENTRY_ACCEPTED, sizeof(wire_entry_accepted), account)
    e.index = <unsigned char>index
    e.order_id = order_id
    e.client_order_id = client_order_id

cdef inline void event_taken(Core* core, uint32_t account, int index, uint64_t order_id,
                             uint64_t client_order_id) noexcept nogil:
    """The result of an order that was accepted: of a command (index -1), or of an entry of a list."""
    if index < 0:
        event_accepted(core, account, COMMAND_PLACE_ORDER, order_id, client_order_id)
    else:
        event_entry_accepted(core, account, index, order_id, client_order_id)

cdef inline Remembered* repeated(Core* core, uint32_t account, wire_order* c) noexcept nogil:
    """MATCH-08: what is remembered of the very same order, or NULL."""
    cdef Remembered* first
    if c.client_order_id == 0:
        return NULL
    first = remembered_find(core, account, c.client_order_id)
    return first if first != NULL and repeats(first, c) else NULL

cdef inline Position* position_begin(Core* core) noexcept nogil:
    """The entry that the core's blank one stood for."""
    cdef Position* position = position_ensure(core, core.blank.account, core.blank.symbol, core.blank.leg)
    if core.blank.charge_q31:          # what was measured with the order counted in
        position.charge_q31 = core.blank.charge_q31
        position.room_atoms = core.blank.room_atoms
    return position

cdef inline void new_taker(Core* core, wire_order* c, Placing* placing, Taker* taker) noexcept nogil:
    """An accepted order, with its id, before it does anything."""
    if rarely(placing.position == &core.blank):
        placing.position = position_begin(core)
    taker.position = placing.position
    taker.slot = 0
    taker.order_id = core.next_order_id
    taker.client_order_id = c.client_order_id
    taker.limit_ticks = placing.limit_ticks
    taker.shown_ticks = c.price_ticks if c.order_type == ORDER_TYPE_MARKET else placing.limit_ticks
    taker.open_lots = c.qty_lots
    taker.filled_lots = 0
    taker.reach_lots = placing.reach_lots
    taker.display_lots = c.display_lots
    taker.expires_ns = c.expires_ns
    taker.stp_group = stp_group_of(core, placing.position.account)
    taker.side = c.side
    taker.self_trade = c.self_trade
    taker.flags = <uint16_t>c.flags
    taker.special = 0 if placing.followed else UNFOLLOWED
    if c.display_lots:
        taker.flags |= ORDER_FLAG_ICEBERG
    if c.expires_ns:
        taker.flags |= TIMED
    core.next_order_id += 1

cdef inline uint32_t new_waiting(Core* core, wire_order* c, Taker* taker) noexcept nogil:
    """A record for an order that waits; not armed yet."""
    cdef OrderMore* more
    taker.flags |= TRIGGER_TYPE
    taker.slot = order_new(core, taker)
    order_at(core, taker.slot).open_lots = taker.open_lots
    order_at(core, taker.slot).filled_lots = 0
    more = more_at(core, taker.slot)
    more.order_type = c.order_type
    more.trigger_by = c.trigger_by
    more.time_in_force = c.time_in_force
    more.trigger_ticks = c.trigger_ticks
    more.limit_ticks = c.price_ticks
    more.callback_ticks = c.callback_ticks
    more.callback_ppm = c.callback_ppm
    more.trail_serial = 0
    waiting_link(core, taker.position, taker.slot)
    return taker.slot

cdef inline void start(Core* core, wire_order* c, Placing* placing, Taker* taker) noexcept nogil:
    """An accepted order begins to wait, or acts."""
    if is_trigger_type(c.order_type):
        arm(core, placing.symbol, new_waiting(core, c, taker))
        event_order_waiting(core, taker.slot)
    else:
        act(core, placing.symbol, taker, c.time_in_force)

cdef inline int take(Core* core, uint32_t account, wire_order* c, int index) noexcept nogil:
    """An order of good form is checked against the state, and acts or waits."""
    cdef Placing placing
    cdef Taker taker
    cdef Remembered* first = repeated(core, account, c)
    cdef int reason
    if first != NULL:
        event_taken(core, account, index, first.order_id, c.client_order_id)
        return 0
    placing.exit = False
    placing.named_twice = False
    placing.orders_before = 0
    reason = check_order(core, account, c, &placing)
    if reason:
        return reason
    new_taker(core, c, &placing, &taker)
    if c.client_order_id:
        remember(core, account, c, taker.order_id)
    event_taken(core, account, index, taker.order_id, c.client_order_id)
    start(core, c, &placing, &taker)
    return 0

cdef inline apart_int place_any(Core* core, uint32_t account, wire_order* c, int index) noexcept nogil:
    """Places one order, of a command (index -1) or of a list."""
    cdef wire_order known
    cdef int reason
    if c.leg:
        known = order_of_leg(c)
        c = &known
    reason = check_form(core, account, c)
    return reason if reason else take(core, account, c, index)

cdef inline int place_order(Core* core, wire_place_order* command) noexcept nogil:
    """Places the order of a command.

    The rules are there twice for the processor: for any order, and for ordinary ones without all that these never need.
    """
    cdef wire_order* c = <wire_order*>&command.symbol
    cdef wire_order known
    cdef int reason
    if rarely(not ordinary(c)):
        return place_any(core, command.account, c, -1)
    known = ordinary_order(c)
    reason = check_whom(core, command.account, &known)
    return reason if reason else take(core, command.account, &known, -1)

# -------------------------------------------------------------------------------------------- cancelling

cdef inline uint32_t find_order(Core* core, uint32_t account, uint64_t order_id, uint64_t client_order_id) noexcept nogil:
    """The slot of the account's live order with this id, or else this client id; 0: none."""
    cdef uint32_t slot
    if order_id:
        slot = order_index_find(core, order_id)
        if slot and position_at(core, order_at(core, slot).position).account == account:
            return slot
        return 0
    return client_index_find(core, account, client_order_id) if client_order_id else 0

cdef inline int cancel_order(Core* core, wire_cancel_order* c) noexcept nogil:
    cdef uint32_t slot
    cdef Order* order
    cdef Symbol* symbol
    if c.account == 0 or c.account > MAX_ACCOUNT:
        return REJECT_REASON_INVALID_ACCOUNT
    slot = find_order(core, c.account, c.order_id, c.client_order_id)
    if slot == 0:
        return REJECT_REASON_UNKNOWN_ORDER
    order = order_at(core, slot)
    symbol = symbol_of(core, position_at(core, order.position))
    if symbol.state == SYMBOL_STATE_HALTED:
        return REJECT_REASON_SYMBOL_STATE_FORBIDS
    event_accepted(core, c.account, COMMAND_CANCEL_ORDER, order.order_id, client_id_of(core, slot))
    order_cancel(core, symbol, slot, CANCEL_REASON_REQUESTED)
    return 0

cdef inline void cancel_account(Core* core, uint32_t account, uint32_t number, int side, int reason) noexcept nogil:
    """Cancels an account's orders, of one symbol or all (0), those of halted symbols excepted (MATCH-07)."""
    cdef uint32_t entry = account_at(core, account).first_position
    cdef Position* position
    while entry:
        position = position_at(core, entry)
        if position.order_count and (number == 0 or number == position.symbol) \
                and symbol_of(core, position).state != SYMBOL_STATE_HALTED:
            cancel_own(core, position, side, reason)
        entry = position.next

cdef inline int cancel_all(Core* core, wire_cancel_all* c) noexcept nogil:
    """MATCH-07."""
    if c.account == 0 or c.account > MAX_ACCOUNT:
        return REJECT_REASON_INVALID_ACCOUNT
    if c.symbol and symbol_at(core, c.symbol) == NULL:
        return REJECT_REASON_UNKNOWN_SYMBOL
    if c.side > 2:
        return REJECT_REASON_INVALID_SIDE
    event_accepted(core, c.account, COMMAND_CANCEL_ALL, 0, 0)
    cancel_account(core, c.account, c.symbol, c.side, CANCEL_REASON_CANCEL_ALL)
    return 0

cdef enum:
    MAX_TIME_NS = 0x7fffffffffffffff

cdef inline int set_countdown(Core* core, wire_set_countdown* c) noexcept nogil:
    """MATCH-07: the dead man's switch."""
    cdef wire_countdown_set* e
    cdef int64_t* countdown
    if c.account == 0 or c.account > MAX_ACCOUNT:
        return REJECT_REASON_INVALID_ACCOUNT
    if c.timeout_ms > MAX_TIMEOUT_MS:
        return REJECT_REASON_INVALID_TIMEOUT
    countdown = &account_more(core, c.account).countdown_ns
    if countdown[0]:
        core.timer_live -= 1
    countdown[0] = <int64_t>c.timeout_ms * 1000000
    if c.timeout_ms:
        countdown[0] += imin(core.timestamp_ns, MAX_TIME_NS - countdown[0])
    if countdown[0]:
        timer_add(core, countdown[0], countdown_key(c.account))
    know_account(core, c.account)
    event_accepted(core, c.account, COMMAND_SET_COUNTDOWN, 0, 0)
    e = <wire_countdown_set*>event_new(core, EVENT_COUNTDOWN_SET, sizeof(wire_countdown_set), c.account)
    e.expires_ns = countdown[0]
    return 0

cdef inline int set_stp_group(Core* core, wire_set_stp_group* c) noexcept nogil:
    """MATCH-06: accounts of one group never trade with each other."""
    cdef wire_stp_group_set* e
    if c.member_account == 0 or c.member_account > MAX_ACCOUNT:
        return REJECT_REASON_INVALID_ACCOUNT
    account_more(core, c.member_account).stp_group = c.stp_group
    core.stp_groups = core.stp_groups or c.stp_group != 0
    know_account(core, c.member_account)
    event_accepted(core, 0, COMMAND_SET_STP_GROUP, 0, 0)
    e = <wire_stp_group_set*>event_new(core, EVENT_STP_GROUP_SET, sizeof(wire_stp_group_set), c.member_account)
    e.stp_group = c.stp_group
    return 0
