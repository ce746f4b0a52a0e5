"""What a liquidation tells of itself: each position, size, limit and share, as it was decided (LIQ-10).

Nothing here decides anything: what decided hands over what it decided with.
"""

from libc.stdint cimport int64_t, uint32_t
from native.bankruptcy cimport ClosingOrder, bankruptcy_value, pool_share, value_of
from native.charging cimport Claim
from native.core cimport Account, Core, Position, Symbol, position_at
from native.events cimport event_new
from native.margin cimport PoolValue, bracket_of, notional, position_maintenance, unrealised
from native.wire cimport *

cdef inline void tell_position(Core* core, Symbol* symbol, Position* position, uint32_t pool_symbol) noexcept nogil:
    """A position of a pool whose liquidation is taken up; pool_symbol 0: it is the cross pool."""
    cdef wire_liquidation_position* e = <wire_liquidation_position*>event_new(
        core, EVENT_LIQUIDATION_POSITION, sizeof(wire_liquidation_position), position.account)
    e.symbol = position.symbol
    e.leg = <unsigned char>position.leg
    e.pool_symbol = pool_symbol
    e.position_lots = position.position_lots
    e.entry_value_atoms = position.entry_value_atoms
    e.mark_ticks = symbol.mark_ticks
    e.notional_atoms = notional(symbol, position.position_lots)
    e.bracket = <unsigned char>bracket_of(symbol, e.notional_atoms)
    e.unrealised_atoms = unrealised(symbol, position)
    e.maintenance_atoms = position_maintenance(symbol, position)
    e.share_atoms = pool_share(core, symbol, position)
    e.bankruptcy_value_atoms = bankruptcy_value(core, symbol, position, e.share_atoms)

cdef inline void tell_charged(Core* core, Account* owner, uint32_t account) noexcept nogil:
    """FUND-01: what of a cross pool's deficit is charged to which symbol, as its liquidation is taken up."""
    cdef uint32_t slot = owner.first_position if owner.owing else 0
    cdef Position* entry
    cdef wire_deficit_charged* e
    while slot:
        entry = position_at(core, slot)
        slot = entry.next
        if entry.caused_atoms:
            e = <wire_deficit_charged*>event_new(core, EVENT_DEFICIT_CHARGED, sizeof(wire_deficit_charged), account)
            e.symbol = entry.symbol
            e.charged_atoms = entry.caused_atoms

cdef inline void tell_closing(
    Core* core, Symbol* symbol, Position* position, PoolValue* value, ClosingOrder* closing
) noexcept nogil:
    """Why a closing order has its size and its limit; where nothing trades there is no limit."""
    cdef bint trades = symbol.state == SYMBOL_STATE_OPEN
    cdef wire_liquidation_sized* e = <wire_liquidation_sized*>event_new(
        core, EVENT_LIQUIDATION_SIZED, sizeof(wire_liquidation_sized), position.account)
    e.symbol = position.symbol
    e.leg = <unsigned char>position.leg
    e.fund = symbol.fund
    e.mode = <unsigned char>symbol.liquidation_mode
    e.sized_by = closing.sized_by
    e.limited_by = closing.limited_by if trades else <unsigned char>CLOSING_LIMIT_NO_TRADING
    e.position_lots = position.position_lots
    e.equity_atoms = value.equity_atoms
    e.maintenance_atoms = value.maintenance_atoms
    e.missing_atoms = closing.missing_atoms
    e.gain_atoms_per_lot = closing.gain_atoms_per_lot
    e.asked_lots = closing.asked_lots
    e.least_lots = closing.least_lots
    e.most_lots = closing.most_lots
    e.qty_lots = closing.lots
    e.lot_value_atoms = closing.lot_value_atoms
    e.budget_atoms = closing.budget_atoms
    e.bankruptcy_ticks = closing.bankruptcy_ticks
    e.fund_ticks = closing.fund_ticks
    e.cap_ticks = closing.cap_ticks
    e.price_ticks = closing.limit_ticks if trades else 0
    e.budget_by = closing.budget_by
    e.charged = closing.charged

cdef inline void tell_share(
    Core* core, Symbol* symbol, Position* position, int64_t share, Claim* claim, int64_t paid, int64_t worth
) noexcept nogil:
    """The deficit stage of one position, before the fund pays (FUND-02)."""
    cdef PoolValue value = value_of(core, position)
    cdef wire_deficit_shared* e = <wire_deficit_shared*>event_new(
        core, EVENT_DEFICIT_SHARED, sizeof(wire_deficit_shared), position.account)
    e.symbol = position.symbol
    e.leg = <unsigned char>position.leg
    e.fund = claim.symbol.fund
    e.position_lots = position.position_lots
    e.equity_atoms = value.equity_atoms
    e.maintenance_atoms = value.maintenance_atoms
    e.share_atoms = share
    e.budget_atoms = claim.atoms
    e.paid_atoms = paid
    e.bankruptcy_value_atoms = worth
    e.budget_by = claim.limited_by
    e.charged = claim.symbol.symbol
