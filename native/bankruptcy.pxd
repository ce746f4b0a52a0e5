"""What a liquidated position is worth at bankruptcy, and what its closing costs or brings (LIQ-04..08)."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from native.charging cimport Bearing, Claim, bearing_of, claim_of, settle_charge
from native.core cimport Core, PoolState, Position, Symbol, account_at, pool_of, symbol_of
from native.events cimport event_new
from native.funds cimport funds_pay
from native.ledger cimport fund_move, move_to_pool, release_isolated
from native.margin cimport PoolValue, bracket_of, notional, pool_value, position_maintenance
from native.units cimport (
    apart, apart_int64, clamp64, div_ceil, div_floor, i128, iabs, imax, imin, ppm_ceil, share_ceil, share_floor, wide,
)
from native.wire cimport *

# A closing order as it is decided: its lots, its limit, and how both came about (LIQ-04, LIQ-06, LIQ-10).
cdef struct ClosingOrder:
    int64_t missing_atoms
    int64_t gain_atoms_per_lot
    int64_t asked_lots                 # what the mode alone asks for, at most the position
    int64_t least_lots
    int64_t most_lots                  # 0: no bound
    int64_t lots
    int64_t lot_value_atoms
    int64_t budget_atoms
    int64_t bankruptcy_ticks
    int64_t fund_ticks
    int64_t cap_ticks                  # 0: no cap
    int64_t limit_ticks                # 0: there is none
    uint8_t sized_by
    uint8_t limited_by
    uint8_t budget_by
    uint32_t charged                   # the symbol that is charged for what is below zero

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

# --------------------------------------------------------------------------------------- size and limit

cdef inline void ask_target(Symbol* symbol, PoolValue* value, int64_t size, ClosingOrder* order) noexcept nogil:
    """The lots whose closing at mark brings the pool to its buffer above maintenance (LIQ-04, target)."""
    cdef int64_t unit = symbol.mark_ticks * symbol.m
    cdef int64_t b = PPM + symbol.liquidation_buffer_ppm
    cdef int64_t rate = symbol.brackets[bracket_of(symbol, notional(symbol, size))].maintenance_ppm
    cdef i128 gain = wide(unit, b * rate - symbol.liquidation_fee_ppm * PPM)
    cdef i128 missing = wide(b, value.maintenance_atoms) - wide(value.equity_atoms, PPM)
    order.missing_atoms = clamp64(div_ceil(missing, PPM))
    order.gain_atoms_per_lot = <int64_t>div_floor(gain, PPM * PPM)
    if gain <= 0:
        order.lots, order.sized_by = size, CLOSING_SIZE_NO_GAIN
        return
    order.lots, order.sized_by = clamp64(div_ceil(missing * PPM, gain)), CLOSING_SIZE_TARGET

cdef inline void ask(Symbol* symbol, PoolValue* value, int64_t size, ClosingOrder* order) noexcept nogil:
    """LIQ-04: what the mode alone asks for."""
    order.missing_atoms = order.gain_atoms_per_lot = 0
    order.lots, order.sized_by = size, CLOSING_SIZE_FULL
    if value.equity_atoms <= 0:
        order.sized_by = CLOSING_SIZE_EQUITY_GONE
    elif symbol.liquidation_mode == LIQUIDATION_MODE_FRACTION:
        order.lots = <int64_t>div_ceil(wide(size, symbol.liquidation_fraction_ppm), PPM)
        order.sized_by = CLOSING_SIZE_FRACTION
    elif symbol.liquidation_mode == LIQUIDATION_MODE_TARGET:
        ask_target(symbol, value, size, order)

cdef inline void size_closing(
    Symbol* symbol, Position* position, PoolValue* value, ClosingOrder* order
) noexcept nogil:
    """LIQ-04: how many lots the next closing order has, and what decided it."""
    cdef int64_t size = iabs(position.position_lots)
    cdef int64_t unit = symbol.mark_ticks * symbol.m
    cdef int64_t most = symbol.liquidation_max_notional_atoms
    order.least_lots = <int64_t>div_ceil(symbol.liquidation_min_notional_atoms, unit)
    order.most_lots = imax(1, most // unit) if most >= 0 else 0
    ask(symbol, value, size, order)
    order.asked_lots = imin(order.lots, size)
    if value.equity_atoms <= 0:
        return
    if order.lots < order.least_lots:
        order.lots, order.sized_by = order.least_lots, CLOSING_SIZE_LEAST
    if order.lots > size:
        order.lots, order.sized_by = size, CLOSING_SIZE_WHOLE
    if order.lots < size and (size - order.lots) * unit < symbol.liquidation_min_notional_atoms:
        order.lots, order.sized_by = size, CLOSING_SIZE_REST
    if order.most_lots and order.most_lots < order.lots:
        order.lots, order.sized_by = order.most_lots, CLOSING_SIZE_MOST

cdef inline void bear_one_lot(Bearing* bearing, int64_t below_zero, ClosingOrder* order) noexcept nogil:
    """LIQ-06: what funds bear of one lot, of which so much is below zero at the mark."""
    order.charged = bearing.claim.symbol.symbol
    if below_zero > bearing.claim.atoms:
        order.budget_atoms, order.budget_by = bearing.claim.atoms, bearing.claim.limited_by
        return
    order.budget_by = bearing.own_by
    order.budget_atoms = below_zero + (
        imax(0, bearing.own_atoms - below_zero) if bearing.tied else bearing.own_atoms)

cdef inline void limit_closing(
    Core* core, Symbol* symbol, Position* position, int64_t value, ClosingOrder* order
) noexcept nogil:
    """LIQ-06: the worst price the closing order may trade at (0: it may not trade at all), and what decided it."""
    cdef bint is_long = position.position_lots > 0
    cdef i128 one = bankruptcy_part(position, value, 1)
    cdef int64_t cap = symbol.slippage_cap_ppm
    cdef bint capped = False
    cdef Bearing bearing = bearing_of(core, symbol, position)
    cdef int64_t below_zero = <int64_t>one - notional(symbol, 1)
    order.lot_value_atoms = <int64_t>one
    bear_one_lot(&bearing, imax(0, below_zero if is_long else -below_zero), order)
    order.cap_ticks = 0
    order.limited_by = CLOSING_LIMIT_FUND if order.budget_atoms else CLOSING_LIMIT_BANKRUPTCY
    if is_long:
        order.bankruptcy_ticks = clamp64(div_ceil(one, symbol.m))
        order.fund_ticks = clamp64(div_ceil(one - order.budget_atoms, symbol.m))
        order.limit_ticks = imax(1, order.fund_ticks)
    else:
        order.bankruptcy_ticks = clamp64(div_floor(one, symbol.m))
        order.fund_ticks = clamp64(div_floor(one + order.budget_atoms, symbol.m))
        order.limit_ticks = imin(MAX_PRICE_TICKS, order.fund_ticks)
    if order.limit_ticks != order.fund_ticks:
        order.limited_by = CLOSING_LIMIT_PRICE_RANGE
    if cap >= 0:
        if is_long:
            order.cap_ticks = ppm_ceil(symbol.mark_ticks, PPM - cap)
            capped = order.cap_ticks > order.limit_ticks
        else:
            order.cap_ticks = <int64_t>div_floor(wide(symbol.mark_ticks, PPM + cap), PPM)
            capped = order.cap_ticks < order.limit_ticks
    if capped:
        order.limit_ticks, order.limited_by = order.cap_ticks, CLOSING_LIMIT_SLIPPAGE_CAP
    order.limit_ticks = imax(0, order.limit_ticks)

# ----------------------------------------------------------------------------------------------- a fill

# How far funds bear a closing fill: lots, whose budget, and what it is that is short of the whole position.
cdef struct Borne:
    int64_t lots
    int64_t budget_atoms
    i128 shortfall
    uint32_t charged
    uint8_t budget_by

cdef inline Borne borne_lots(Bearing* bearing, Symbol* symbol, int64_t size, i128 below_zero, i128 gap) noexcept nogil:
    """LIQ-07: the most lots that funds bear of a position that would be so much short."""
    cdef Borne borne
    cdef i128 own = gap if bearing.tied else gap - below_zero
    cdef int64_t lots
    borne.lots = size
    if own > 0:
        borne.lots = clamp64(div_floor(wide(bearing.own_atoms, size), own))
        borne.budget_atoms, borne.budget_by = bearing.own_atoms, bearing.own_by
        borne.shortfall, borne.charged = own, symbol.symbol
    if below_zero > 0:
        lots = clamp64(div_floor(wide(bearing.claim.atoms, size), below_zero))
        if own <= 0 or lots < borne.lots:
            borne.lots = lots
            borne.budget_atoms, borne.budget_by = bearing.claim.atoms, bearing.claim.limited_by
            borne.shortfall, borne.charged = below_zero, bearing.claim.symbol.symbol
    return borne

cdef inline apart_int64 affordable_lots(
    Core* core, Symbol* symbol, Position* position, uint64_t order_id, int64_t lots, int64_t price_ticks
) noexcept nogil:
    """LIQ-07: the most lots whose shortfall against bankruptcy funds bear; told where they are fewer."""
    cdef int64_t size = iabs(position.position_lots)
    cdef int64_t share = pool_share(core, symbol, position)
    cdef i128 gap = bankruptcy_value(core, symbol, position, share) - wide(size, price_ticks) * symbol.m
    cdef i128 below_zero = imax(0, -share)
    cdef Bearing bearing
    cdef Borne borne
    cdef wire_liquidation_shrunk* e
    if position.position_lots < 0:                                # the whole position at a price meant for a part of it
        gap = -gap
    if gap <= 0:
        return lots
    bearing = bearing_of(core, symbol, position)
    borne = borne_lots(&bearing, symbol, size, gap if gap < below_zero else below_zero, gap)
    if borne.lots >= lots:
        return lots
    e = <wire_liquidation_shrunk*>event_new(
        core, EVENT_LIQUIDATION_SHRUNK, sizeof(wire_liquidation_shrunk), position.account)
    e.symbol = position.symbol
    e.leg = <unsigned char>position.leg
    e.order_id = order_id
    e.price_ticks = price_ticks
    e.offered_lots = lots
    e.qty_lots = borne.lots
    e.budget_atoms = borne.budget_atoms
    e.shortfall_atoms = clamp64(borne.shortfall)
    e.budget_by = borne.budget_by
    e.charged = borne.charged
    return borne.lots

cdef inline void pay_shortfall(
    Core* core, Symbol* symbol, Position* position, int64_t paid_atoms, int64_t lost_atoms
) noexcept nogil:
    """FUND-01: what a fill lost against the mark is charged to its symbol; the rest was below zero before."""
    cdef PoolState* pool = pool_of(core, position)
    cdef Claim claim = claim_of(core, position)
    move_to_pool(core, position, paid_atoms)
    settle_charge(core, position, claim.symbol, paid_atoms - lost_atoms)
    if claim.symbol == symbol:
        lost_atoms = paid_atoms
    if paid_atoms != lost_atoms:
        funds_pay(core, claim.symbol, pool, FUND_CAUSE_LIQUIDATION_DEFICIT, paid_atoms - lost_atoms)
    if lost_atoms:
        funds_pay(core, symbol, pool, FUND_CAUSE_LIQUIDATION_DEFICIT, lost_atoms)

cdef inline apart settle_liquidation(
    Core* core, Symbol* symbol, Position* position, uint64_t trade_id, int64_t gained_atoms,
    int64_t part_atoms, int64_t value_atoms, int64_t lost_atoms
) noexcept nogil:
    """LIQ-07 after a fill: the fund takes its fee out of what is above bankruptcy, or funds pay what is below it.

    `lost_atoms` is what the fill lost against the mark.
    """
    cdef int64_t fee = 0
    cdef int64_t paid = 0
    cdef wire_liquidation_settled* e
    if gained_atoms >= 0:
        fee = imin(ppm_ceil(value_atoms, symbol.liquidation_fee_ppm), gained_atoms)
        move_to_pool(core, position, -fee)
        fund_move(core, symbol.fund, symbol.symbol, FUND_CAUSE_LIQUIDATION_FEE, fee)
    else:
        paid = -gained_atoms
        pay_shortfall(core, symbol, position, paid, imax(0, imin(paid, lost_atoms)))
    release_isolated(core, position)
    e = <wire_liquidation_settled*>event_new(
        core, EVENT_LIQUIDATION_SETTLED, sizeof(wire_liquidation_settled), position.account)
    e.symbol = position.symbol
    e.leg = <unsigned char>position.leg
    e.fund = symbol.fund
    e.trade_id = trade_id
    e.bankruptcy_value_atoms = part_atoms
    e.liquidation_fee_atoms = fee
    e.fund_paid_atoms = paid
    e.wallet_atoms = account_at(core, position.account).wallet_atoms
    e.margin_atoms = position.margin_atoms
