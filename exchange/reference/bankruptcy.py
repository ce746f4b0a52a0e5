"""LIQ-04..06: how much a closing order takes, at which limit, and what the position is worth in bankruptcy.  Pure."""

from __future__ import annotations

from exchange.protocol.schema import MAX_PRICE_TICKS, PPM, LiquidationMode
from exchange.reference.arithmetic import ceil_div, floor_div, ppm_ceil
from exchange.reference.margin import (
    equity_atoms,
    maintenance_atoms,
    maintenance_of_position,
)
from exchange.reference.state import Pool, Position, State, fund_balance


def share_atoms(state: State, position: Position) -> int:
    """LIQ-05: the part of the pool's equity that stands for this position, by maintenance margin, rounded down."""
    pool = position.pool
    return floor_div(
        equity_atoms(state, pool) * maintenance_of_position(position),
        maintenance_atoms(state, pool),
    )


def bankruptcy_value(position: Position, share: int) -> int:
    """LIQ-05: V, what the position must bring (long) or may cost (short) for its share to be just used up."""
    notional = position.symbol.notional_atoms(position.lots)
    return notional - share if position.lots > 0 else notional + share


def part_of_value(value: int, lots: int, of_lots: int, *, is_long: bool) -> int:
    """LIQ-05, ADL-02: the part of V for some of the lots, rounded towards the fund."""
    return ceil_div(value * lots, of_lots) if is_long else floor_div(value * lots, of_lots)


def bankruptcy_price_ticks(state: State, position: Position) -> int:
    """LIQ-05: the price at which closing the whole position just uses up its share of the pool; 0: there is none.

    It is the limit that LIQ-06 gives a closing order of the whole position where no fund helps.
    """
    if not position.lots:
        return 0
    size, m = abs(position.lots), position.symbol.atoms_per_tick_lot
    value = bankruptcy_value(position, share_atoms(state, position))
    one = part_of_value(value, 1, size, is_long=position.lots > 0)
    price = ceil_div(one, m) if position.lots > 0 else floor_div(one, m)
    return price if 1 <= price <= MAX_PRICE_TICKS else 0


def budget_atoms(state: State, position: Position) -> int:
    """LIQ-06: what the symbol's fund may still pay for this pool in this liquidation; never below 0."""
    budget = fund_balance(state, position.symbol.fund)
    cap = position.symbol.draw_cap_atoms
    if cap >= 0:
        budget = min(budget, cap - position.pool.drawn_atoms)
    return max(0, budget)


def closing_lots(state: State, position: Position, pool: Pool) -> tuple[int, bool]:
    """LIQ-04: (lots of the closing order, whether max_notional cut it)."""
    whole, equity, symbol = abs(position.lots), equity_atoms(state, pool), position.symbol
    if equity <= 0:
        return whole, False
    lots = whole
    if symbol.liquidation_mode == LiquidationMode.FRACTION:
        lots = max(ppm_ceil(whole, symbol.liquidation_fraction_ppm), smallest_lots(position))
    elif symbol.liquidation_mode == LiquidationMode.TARGET:
        lots = target_lots(state, position, pool)
    lots = min(lots, whole)
    if symbol.notional_atoms(whole - lots) < symbol.liquidation_min_notional_atoms:
        lots = whole
    if symbol.liquidation_max_notional_atoms < 0:
        return lots, False
    most = max(1, symbol.liquidation_max_notional_atoms // symbol.notional_atoms(1))
    return min(lots, most), most < lots


def smallest_lots(position: Position) -> int:
    """LIQ-04: the lots that are worth the smallest notional of a closing order."""
    symbol = position.symbol
    return ceil_div(symbol.liquidation_min_notional_atoms, symbol.notional_atoms(1))


def target_lots(state: State, position: Position, pool: Pool) -> int:
    """LIQ-04: the fewest lots whose closing at the mark restores maintenance and its buffer."""
    symbol = position.symbol
    buffered = PPM + symbol.liquidation_buffer_ppm
    rate = symbol.bracket_of(symbol.notional_atoms(position.lots)).maintenance_ppm
    gain = symbol.notional_atoms(1) * (buffered * rate - symbol.liquidation_fee_ppm * PPM)
    if gain <= 0:
        return abs(position.lots)
    missing = buffered * maintenance_atoms(state, pool) - equity_atoms(state, pool) * PPM
    return max(1, ceil_div(missing * PPM, gain), smallest_lots(position))


def closing_limit_ticks(state: State, position: Position, value: int) -> int:
    """LIQ-06: the worst price that bankruptcy value, fund and slippage cap allow; 0: there is none."""
    symbol = position.symbol
    m, cap, budget = (
        symbol.atoms_per_tick_lot,
        symbol.slippage_cap_ppm,
        budget_atoms(state, position),
    )
    is_long = position.lots > 0
    one = part_of_value(value, 1, abs(position.lots), is_long=is_long)
    if is_long:
        limit = max(1, ceil_div(one - budget, m))
        return max(limit, symbol.lowest_sell_ticks(cap)) if cap >= 0 else limit
    limit = min(floor_div(one + budget, m), MAX_PRICE_TICKS)
    if cap >= 0:
        limit = min(limit, symbol.highest_buy_ticks(cap))
    return max(0, limit)
