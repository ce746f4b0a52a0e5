"""LIQ-04..06: how much a closing order takes, at which limit, and what the position is worth in bankruptcy.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from exchange.protocol.schema import (
    MAX_PRICE_TICKS,
    PPM,
    BudgetLimit,
    ClosingLimit,
    ClosingSize,
    LiquidationMode,
)
from exchange.reference.arithmetic import as_int64, ceil_div, floor_div, ppm_ceil
from exchange.reference.charging import Bearing
from exchange.reference.margin import (
    equity_atoms,
    maintenance_atoms,
    maintenance_of_position,
)
from exchange.reference.state import Pool, Position, State


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


@dataclass(slots=True, frozen=True)
class Size:
    """LIQ-04: the lots of a closing order, and how they came about."""

    lots: int
    sized_by: ClosingSize
    asked_lots: int  # what the mode alone asks for, at most the position
    least_lots: int
    most_lots: int  # 0: no bound
    missing_atoms: int = 0  # mode target alone has these two
    gain_atoms_per_lot: int = 0

    @property
    def was_cut(self) -> bool:
        """Whether max_notional lowered it."""
        return self.sized_by == ClosingSize.MOST


def closing_size(state: State, position: Position, pool: Pool) -> Size:
    """LIQ-04: what the mode asks for, inside what may be closed at once and what may be left."""
    symbol, whole, equity = position.symbol, abs(position.lots), equity_atoms(state, pool)
    unit = symbol.notional_atoms(1)
    least = ceil_div(symbol.liquidation_min_notional_atoms, unit)
    most = symbol.liquidation_max_notional_atoms
    most = max(1, most // unit) if most >= 0 else 0
    wish = Wish(whole, ClosingSize.EQUITY_GONE) if equity <= 0 else wished(state, position, pool)
    lots, sized_by = wish.lots, wish.sized_by
    if equity > 0:
        if lots < least:
            lots, sized_by = least, ClosingSize.LEAST
        if lots > whole:
            lots, sized_by = whole, ClosingSize.WHOLE
        if lots < whole and (whole - lots) * unit < symbol.liquidation_min_notional_atoms:
            lots, sized_by = whole, ClosingSize.REST
        if 0 < most < lots:
            lots, sized_by = most, ClosingSize.MOST
    asked = min(wish.lots, whole)
    return Size(lots, sized_by, asked, least, most, wish.missing_atoms, wish.gain_atoms_per_lot)


@dataclass(slots=True, frozen=True)
class Wish:
    """LIQ-04: what the mode alone asks for."""

    lots: int
    sized_by: ClosingSize
    missing_atoms: int = 0
    gain_atoms_per_lot: int = 0


def wished(state: State, position: Position, pool: Pool) -> Wish:
    """LIQ-04: the lots that the symbol's mode asks for."""
    whole, symbol = abs(position.lots), position.symbol
    match symbol.liquidation_mode:
        case LiquidationMode.FRACTION:
            return Wish(ppm_ceil(whole, symbol.liquidation_fraction_ppm), ClosingSize.FRACTION)
        case LiquidationMode.TARGET:
            return targeted(state, position, pool)
    return Wish(whole, ClosingSize.FULL)


def targeted(state: State, position: Position, pool: Pool) -> Wish:
    """LIQ-04: the fewest lots whose closing at the mark restores maintenance and its buffer."""
    symbol = position.symbol
    buffered = PPM + symbol.liquidation_buffer_ppm
    rate = symbol.bracket_of(symbol.notional_atoms(position.lots)).maintenance_ppm
    gain = symbol.notional_atoms(1) * (buffered * rate - symbol.liquidation_fee_ppm * PPM)
    missing = buffered * maintenance_atoms(state, pool) - equity_atoms(state, pool) * PPM
    told = as_int64(ceil_div(missing, PPM)), floor_div(gain, PPM * PPM)
    if gain <= 0:
        return Wish(abs(position.lots), ClosingSize.NO_GAIN, *told)
    return Wish(ceil_div(missing * PPM, gain), ClosingSize.TARGET, *told)


@dataclass(slots=True, frozen=True)
class Limit:
    """LIQ-06: the limit of a closing order, and how it came about."""

    price_ticks: int  # below 1: there is none
    limited_by: ClosingLimit
    lot_value_atoms: int
    budget_atoms: int
    bankruptcy_ticks: int
    fund_ticks: int
    cap_ticks: int  # 0: no cap
    budget_by: BudgetLimit


def closing_limit(position: Position, value: int, bearing: Bearing) -> Limit:
    """LIQ-06: the worst price that bankruptcy value, what the funds bear, and slippage cap allow."""
    symbol = position.symbol
    m, cap = symbol.atoms_per_tick_lot, symbol.slippage_cap_ppm
    is_long = position.lots > 0
    one = part_of_value(value, 1, abs(position.lots), is_long=is_long)
    below_zero = one - symbol.notional_atoms(1) if is_long else symbol.notional_atoms(1) - one
    may_pay = bearing.for_one_lot(max(0, below_zero))
    budget = may_pay.atoms
    if is_long:
        alone, funded = ceil_div(one, m), ceil_div(one - budget, m)
        price = max(1, funded)
        capped = symbol.lowest_sell_ticks(cap) if cap >= 0 else 0
        is_capped = cap >= 0 and capped > price
    else:
        alone, funded = floor_div(one, m), floor_div(one + budget, m)
        price = min(funded, MAX_PRICE_TICKS)
        capped = symbol.highest_buy_ticks(cap) if cap >= 0 else 0
        is_capped = cap >= 0 and capped < price
    limited_by = ClosingLimit.FUND if budget else ClosingLimit.BANKRUPTCY
    if is_capped:
        price, limited_by = capped, ClosingLimit.SLIPPAGE_CAP
    elif price != funded:
        limited_by = ClosingLimit.PRICE_RANGE
    return Limit(max(0, price), limited_by, one, budget, alone, funded, capped, may_pay.limited_by)
