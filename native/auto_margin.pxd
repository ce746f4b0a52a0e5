"""Margin that is added by itself, before an isolated position would be liquidated (ACCT-09)."""

from libc.stdint cimport int64_t, uint8_t
from native.bands cimport bands_stale_both
from native.core cimport Account, Core, Position, Symbol, account_at, symbol_at, symbol_of
from native.credit cimport credit_forget
from native.events cimport event_accepted, event_balance_changed, event_new
from native.legs cimport leg_fits
from native.margin cimport PoolValue, isolated_value, position_initial, withdrawable
from native.memory cimport slab_has_room
from native.positions cimport position_ensure, position_find
from native.queue cimport pool_check
from native.units cimport imin
from native.wire cimport *

cdef inline int set_auto_margin(Core* core, wire_set_auto_margin* c) noexcept nogil:
    """ACCT-09: from now on, or no longer; no money moves by it."""
    cdef Position* position
    cdef wire_auto_margin_set* e
    if c.account == 0 or c.account > MAX_ACCOUNT:
        return REJECT_REASON_INVALID_ACCOUNT
    if symbol_at(core, c.symbol) == NULL:
        return REJECT_REASON_UNKNOWN_SYMBOL
    if c.enabled > 1:
        return REJECT_REASON_INVALID_MARGIN_MODE
    if not leg_fits(core, c.account, c.leg):
        return REJECT_REASON_INVALID_LEG
    position = position_find(core, c.account, c.symbol, c.leg)
    if position == NULL and not slab_has_room(&core.positions):
        return REJECT_REASON_OUT_OF_CAPACITY
    position = position_ensure(core, c.account, c.symbol, c.leg)
    position.auto_margin = c.enabled
    event_accepted(core, c.account, COMMAND_SET_AUTO_MARGIN, 0, 0)
    e = <wire_auto_margin_set*>event_new(core, EVENT_AUTO_MARGIN_SET, sizeof(wire_auto_margin_set), c.account)
    e.symbol = c.symbol
    e.leg = <uint8_t>position.leg
    e.enabled = c.enabled
    return 0

cdef inline bint add_margin(Core* core, Position* position) noexcept nogil:
    """ACCT-09: lifts an isolated pool that is below maintenance towards its initial margin; False: it cannot be lifted.

    What is withdrawable is money in the wallet that the cross pool does not need, whatever profit it has.
    """
    cdef Account* owner = account_at(core, position.account)
    cdef Symbol* symbol = symbol_of(core, position)
    cdef PoolValue value = isolated_value(core, position)
    cdef int64_t moved
    if not position.auto_margin or owner.pool.liquidating:
        return False
    moved = imin(position_initial(symbol, position) - value.equity_atoms, withdrawable(core, position.account))
    if moved < value.maintenance_atoms - value.equity_atoms:
        return False
    position.margin_atoms += moved
    owner.wallet_atoms -= moved
    credit_forget(owner)
    bands_stale_both(core, owner, position)
    event_balance_changed(core, position.account, position, BALANCE_CAUSE_AUTO_MARGIN, -moved, moved)
    pool_check(core, position.account, NULL)       # if it waits, it does so with what it is worth now
    return True
