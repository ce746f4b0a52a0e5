"""What a liquidated position is worth at bankruptcy, and what its closing costs or brings (LIQ-04..08)."""

from libc.stdint cimport int64_t, uint64_t
from native.core cimport Core, Position, Symbol, account_at, pool_of, symbol_of
from native.events cimport event_new
from native.ledger cimport fund_balance, fund_move, move_to_pool, release_isolated
from native.margin cimport PoolValue, bracket_of, notional, pool_value, position_maintenance
from native.units cimport (
    clamp64, div_ceil, div_floor, i128, iabs, imax, imin, ppm_ceil, share_ceil, share_floor, wide,
)
from native.wire cimport *

cdef inline PoolValue value_of(Core* core, Position* position) noexcept nogil:
    """Equity and maintenance of the pool that the position belongs to."""
    return pool_value(core, position.account, position if position.isolated else NULL)

cdef inline int64_t pool_share(Core* core, Symbol* symbol, Position* position) noexcept nogil:
    """share_i: the part of the pool's equity that stands behind this position (LIQ-05)."""
    cdef PoolValue value = value_of(core, position)
    if value.position_count == 1:
        return value.equity_atoms
    return <int64_t>div_floor(
        wide(value.equity_atoms, position_maintenance(symbol, position)), value.maintenance_atoms)

cdef inline int64_t bankruptcy_value(Core* core, Symbol* symbol, Position* position, int64_t share) noexcept nogil:
    """V: what closing the whole position must bring (long) or may cost (short) to use up its share of the pool."""
    cdef int64_t n = notional(symbol, position.position_lots)
    return n - share if position.position_lots > 0 else n + share

cdef inline int64_t bankruptcy_part(Position* position, int64_t value, int64_t lots) noexcept nogil:
    """The part of V for some lots: rounded towards the fund."""
    cdef int64_t size = iabs(position.position_lots)
    if position.position_lots > 0:
        return share_ceil(value, lots, size)
    return share_floor(value, lots, size)

cdef inline int64_t bankruptcy_price(Core* core, Position* position) noexcept nogil:
    """LIQ-05: the price at which closing the position just uses up its share of the pool; 0: there is none."""
    cdef Symbol* symbol = symbol_of(core, position)
    cdef int64_t value, price
    if position.position_lots == 0:
        return 0
    value = bankruptcy_value(core, symbol, position, pool_share(core, symbol, position))
    value = bankruptcy_part(position, value, 1)
    price = <int64_t>(div_ceil(value, symbol.m) if position.position_lots > 0 else div_floor(value, symbol.m))
    return price if 1 <= price <= MAX_PRICE_TICKS else 0

cdef inline int64_t fund_budget(Core* core, Symbol* symbol, Position* position) noexcept nogil:
    """What the symbol's fund may still pay for this pool in this liquidation (FUND-01)."""
    cdef int64_t balance = fund_balance(core, symbol.fund)
    if symbol.draw_cap_atoms < 0:
        return balance
    return imin(balance, imax(0, symbol.draw_cap_atoms - pool_of(core, position).drawn_atoms))

cdef inline void fund_pays(
    Core* core, Symbol* symbol, Position* position, int cause, int64_t amount_atoms
) noexcept nogil:
    """Moves money from the symbol's fund into the pool."""
    move_to_pool(core, position, amount_atoms)
    pool_of(core, position).drawn_atoms += amount_atoms
    fund_move(core, symbol.fund, symbol.symbol, cause, -amount_atoms)

# --------------------------------------------------------------------------------------- size and limit

cdef inline int64_t target_lots(Symbol* symbol, PoolValue* value, int64_t size) noexcept nogil:
    """The lots whose closing at mark brings the pool to its buffer above maintenance (LIQ-04, target)."""
    cdef int64_t unit = symbol.mark_ticks * symbol.m
    cdef int64_t b = PPM + symbol.liquidation_buffer_ppm
    cdef int64_t rate = symbol.brackets[bracket_of(symbol, notional(symbol, size))].maintenance_ppm
    cdef i128 denominator = wide(unit, b * rate - symbol.liquidation_fee_ppm * PPM)
    if denominator <= 0:
        return size
    return imax(1, clamp64(div_ceil(
        (wide(b, value.maintenance_atoms) - wide(value.equity_atoms, PPM)) * PPM, denominator)))

cdef inline int64_t liquidation_lots(
    Symbol* symbol, Position* position, PoolValue* value, bint* cut
) noexcept nogil:
    """LIQ-04: how many lots the next closing order has; `cut` tells whether the notional bound lowered it."""
    cdef int64_t size = iabs(position.position_lots)
    cdef int64_t unit = symbol.mark_ticks * symbol.m
    cdef int64_t lots = size
    cdef int64_t bound
    cut[0] = False
    if value.equity_atoms <= 0:
        return size
    if symbol.liquidation_mode == LIQUIDATION_MODE_FRACTION:
        lots = <int64_t>div_ceil(wide(size, symbol.liquidation_fraction_ppm), PPM)
    elif symbol.liquidation_mode == LIQUIDATION_MODE_TARGET:
        lots = target_lots(symbol, value, size)
    lots = imax(lots, <int64_t>div_ceil(symbol.liquidation_min_notional_atoms, unit))
    lots = imin(lots, size)
    if lots < size and (size - lots) * unit < symbol.liquidation_min_notional_atoms:
        lots = size
    if symbol.liquidation_max_notional_atoms >= 0:
        bound = imax(1, symbol.liquidation_max_notional_atoms // unit)
        cut[0] = bound < lots
        lots = imin(lots, bound)
    return lots

cdef inline int64_t liquidation_limit(
    Core* core, Symbol* symbol, Position* position, int64_t value
) noexcept nogil:
    """LIQ-06: the worst price the closing order may trade at; 0: it may not trade at all."""
    cdef i128 one = bankruptcy_part(position, value, 1)
    cdef i128 budget = fund_budget(core, symbol, position)
    cdef int64_t limit
    if position.position_lots > 0:
        limit = imax(1, clamp64(div_ceil(one - budget, symbol.m)))
        if symbol.slippage_cap_ppm >= 0:
            limit = imax(limit, ppm_ceil(symbol.mark_ticks, PPM - symbol.slippage_cap_ppm))
        return limit
    limit = imin(MAX_PRICE_TICKS, clamp64(div_floor(one + budget, symbol.m)))
    if symbol.slippage_cap_ppm >= 0:
        limit = imin(limit, <int64_t>div_floor(wide(symbol.mark_ticks, PPM + symbol.slippage_cap_ppm), PPM))
    return imax(0, limit)

# ----------------------------------------------------------------------------------------------- a fill

cdef inline int64_t affordable_lots(
    Core* core, Symbol* symbol, Position* position, int64_t lots, int64_t price_ticks
) noexcept nogil:
    """LIQ-07: the most lots whose shortfall against bankruptcy the fund can pay."""
    cdef int64_t size = iabs(position.position_lots)
    cdef int64_t value = bankruptcy_value(core, symbol, position, pool_share(core, symbol, position))
    cdef i128 gap = value - wide(size, price_ticks) * symbol.m    # the whole position at a price meant for a part of it
    if position.position_lots < 0:
        gap = -gap
    if gap <= 0:
        return lots
    return imin(lots, clamp64(div_floor(wide(fund_budget(core, symbol, position), size), gap)))

cdef inline void settle_liquidation(
    Core* core, Symbol* symbol, Position* position, uint64_t trade_id, int64_t gained_atoms,
    int64_t part_atoms, int64_t value_atoms
) noexcept nogil:
    """LIQ-07 after a fill: the fund takes its fee out of what is above bankruptcy, or pays what is below it."""
    cdef int64_t fee = 0
    cdef int64_t paid = 0
    cdef wire_liquidation_settled* e
    if gained_atoms >= 0:
        fee = imin(ppm_ceil(value_atoms, symbol.liquidation_fee_ppm), gained_atoms)
        move_to_pool(core, position, -fee)
        fund_move(core, symbol.fund, symbol.symbol, FUND_CAUSE_LIQUIDATION_FEE, fee)
    else:
        paid = -gained_atoms
        fund_pays(core, symbol, position, FUND_CAUSE_LIQUIDATION_DEFICIT, paid)
    release_isolated(core, position)
    e = <wire_liquidation_settled*>event_new(
        core, EVENT_LIQUIDATION_SETTLED, sizeof(wire_liquidation_settled), position.account)
    e.symbol = position.symbol
    e.fund = symbol.fund
    e.trade_id = trade_id
    e.bankruptcy_value_atoms = part_atoms
    e.liquidation_fee_atoms = fee
    e.fund_paid_atoms = paid
    e.wallet_atoms = account_at(core, position.account).wallet_atoms
    e.margin_atoms = position.margin_atoms
