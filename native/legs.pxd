"""Hedge mode: an account that has a long and a short position on a symbol, each a leg of its own (ACCT-08).

Theory of operation.  A leg is an entry like any other (positions.pxd), so margin, funding and liquidation do not know of it.
What makes it a leg is that no order can turn it around: an order against it is reduce-only, whether it says so or not.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memcpy
from native.core cimport Core, Position, account_at, know_account, position_at
from native.events cimport event_accepted, event_new
from native.wire cimport *

cdef inline bint closes_leg(wire_order* c) noexcept nogil:
    """Whether an order of a long leg sells, or one of a short leg buys."""
    return (c.leg == LEG_LONG and c.side == SIDE_SELL) or (c.leg == LEG_SHORT and c.side == SIDE_BUY)

cdef inline wire_order order_of_leg(wire_order* c) noexcept nogil:
    """The order as it counts: one against its leg is reduce-only."""
    cdef wire_order known = c[0]
    if closes_leg(c):
        known.flags |= ORDER_FLAG_REDUCE_ONLY
    return known

cdef inline bint names_leg(wire_place_orders* c) noexcept nogil:
    """Whether an order of a list that is not too long is of a leg."""
    cdef int i
    for i in range(c.order_count if c.order_count <= MAX_LIST_ORDERS else 0):
        if c.orders[i].leg:
            return True
    return False

cdef inline void list_of_legs(wire_place_orders* c, wire_place_orders* known) noexcept nogil:
    """A copy of a list, its orders as they count."""
    cdef int i
    memcpy(known, c, sizeof(wire_place_orders_head))
    for i in range(c.order_count):
        known.orders[i] = order_of_leg(&c.orders[i])

cdef inline bint leg_fits(Core* core, uint32_t account, uint32_t leg) noexcept nogil:
    """Whether the account has this leg in its position mode."""
    if account_at(core, account).hedge:
        return leg == LEG_LONG or leg == LEG_SHORT
    return leg == LEG_NET

cdef inline bint has_business(Core* core, uint32_t account) noexcept nogil:
    """Whether the account has a position or an order anywhere."""
    cdef uint32_t slot = account_at(core, account).first_position
    cdef Position* position
    while slot:
        position = position_at(core, slot)
        if position.position_lots != 0 or position.order_count:
            return True
        slot = position.next
    return False

cdef inline int set_position_mode(Core* core, wire_set_position_mode* c) noexcept nogil:
    cdef wire_position_mode_changed* e
    if c.account == 0 or c.account > MAX_ACCOUNT:
        return REJECT_REASON_INVALID_ACCOUNT
    if c.position_mode > POSITION_MODE_HEDGE:
        return REJECT_REASON_INVALID_POSITION_MODE
    if c.position_mode != account_at(core, c.account).hedge and has_business(core, c.account):
        return REJECT_REASON_POSITION_MODE_IN_USE
    account_at(core, c.account).hedge = c.position_mode
    know_account(core, c.account)
    event_accepted(core, c.account, COMMAND_SET_POSITION_MODE, 0, 0)
    e = <wire_position_mode_changed*>event_new(
        core, EVENT_POSITION_MODE_CHANGED, sizeof(wire_position_mode_changed), c.account)
    e.position_mode = c.position_mode
    return 0
