"""What a pool is worth and must hold (MARGIN-01..06), from the rules' own words: pure functions over the state."""

from __future__ import annotations

from bisect import bisect_right

from exchange.audit.state import Account, Holding, PoolKey, State, Symbol
from exchange.protocol.schema import PPM, Side

#: An order thought into a holding: side, limit, lots.
Extra = tuple[Holding, int, int, int]


def ceil_ppm(value: int, rate_ppm: int) -> int:
    """value x rate, rounded up."""
    return -(-value * rate_ppm // PPM)


def maintenance_of(symbol: Symbol, notional: int) -> int:
    """MARGIN-03."""
    k = bisect_right(symbol.floors, notional) - 1
    return max(0, ceil_ppm(notional, symbol.rates[k]) - symbol.cums[k])


def initial_rate(holding: Holding, notional: int) -> int:
    """MARGIN-04: im(n)."""
    symbol = holding.symbol
    k = bisect_right(symbol.floors, notional) - 1
    rate = max(holding.rate_ppm, symbol.initials[k])
    return scaled(symbol, rate) if symbol.limits.upper >= 0 else rate


def scaled(symbol: Symbol, rate_ppm: int) -> int:
    """MARGIN-11: a rate rises to 100 % as open interest goes from the scale's lower end to its upper one."""
    _, _, lower, upper = symbol.limits
    interest = symbol.interest * symbol.mark_value
    if interest <= lower:
        return rate_ppm
    if interest >= upper:
        return PPM
    return rate_ppm - (rate_ppm - PPM) * (interest - lower) // (upper - lower)


def initial_of(holding: Holding, notional: int) -> int:
    """MARGIN-04: what a position of this notional needs."""
    return ceil_ppm(notional, initial_rate(holding, notional))


def notional_of(holding: Holding) -> int:
    return abs(holding.lots) * holding.symbol.mark_value


def maintenance_of_holding(holding: Holding) -> int:
    return maintenance_of(holding.symbol, notional_of(holding))


def pool_standing(state: State, pool: PoolKey) -> tuple[int, int, bool]:
    """(equity, maintenance, whether it has a position) of a pool (MARGIN-02, MARGIN-03)."""
    account, number, leg = pool
    owner = state.accounts[account]
    maintenance = 0
    if number:
        holding = owner.holdings[number, leg]
        if not holding.lots or not holding.isolated:
            return holding.margin, 0, False
        return holding.margin + holding.unrealised, maintenance_of_holding(holding), True
    equity = owner.wallet + owner.counted
    for holding in owner.cross.values():
        equity += holding.unrealised
        maintenance += maintenance_of_holding(holding)
    return equity, maintenance, bool(owner.cross)


def share_of(state: State, holding: Holding, equity: int) -> int:
    """LIQ-05: the part of the pool's equity that stands for one position."""
    total = sum(map(maintenance_of_holding, state.pool_holdings(holding.pool)))
    return equity * maintenance_of_holding(holding) // total if total else equity


def bankruptcy_value(holding: Holding, share: int) -> int:
    """LIQ-05: V of a position whose share of the pool's equity is this."""
    return notional_of(holding) + (-share if holding.lots > 0 else share)


def part_of(value: int, lots: int, whole: int, *, is_long: bool) -> int:
    """LIQ-05, ADL-02: V of some of the lots, rounded towards the fund."""
    return -(-value * lots // whole) if is_long else value * lots // whole


def side_initial(holding: Holding, side: int, orders: list[tuple[int, int]]) -> int:
    """MARGIN-05 of one side; ``orders`` are (limit, lots)."""
    if not orders:
        return 0
    is_buy = side == Side.BUY
    mark = holding.symbol.mark
    own = holding.lots if is_buy else -holding.lots  # above 0: the position is on this side
    free = max(0, -own)
    rest_value = loss_value = 0
    for price, lots in sorted(orders, reverse=is_buy):
        rest = max(0, lots - free)
        free -= lots - rest
        rest_value += rest * (price if is_buy else max(price, mark))
        loss_value += lots * max(0, price - mark if is_buy else mark - price)
    total = max(0, own) * holding.symbol.mark_value + rest_value * holding.symbol.m
    return initial_of(holding, total) + loss_value * holding.symbol.m


def symbol_initial(holding: Holding, extra: Extra | None = None) -> tuple[int, int]:
    """(IM of the symbol, IM of the position alone) (MARGIN-04, MARGIN-05)."""
    alone = initial_of(holding, notional_of(holding)) if holding.lots else 0
    sides: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    for order in holding.orders.values():
        if not order.reduce_only:
            sides[order.side].append((order.price, order.open_lots))
    if extra is not None and extra[0] is holding:
        sides[extra[1]].append((extra[2], extra[3]))
    both = (side_initial(holding, side, orders) for side, orders in enumerate(sides))
    return max(alone, *both), alone


def available(owner: Account, extra: Extra | None = None, weight_ppm: int | None = None) -> int:
    """MARGIN-06; with ``weight_ppm`` in place of the symbols' weights of positive unrealised profit."""
    total = owner.wallet + owner.counted
    for holding in owner.holdings.values():
        if not holding.lots and not holding.orders and (extra is None or extra[0] is not holding):
            continue
        initial, alone = symbol_initial(holding, extra)
        if holding.isolated:
            total -= initial - alone
            continue
        unrealised = holding.unrealised
        if unrealised > 0:
            weight = holding.symbol.policy.upnl_weight_ppm if weight_ppm is None else weight_ppm
            unrealised = unrealised * weight // PPM
        total += unrealised - initial
    return total
