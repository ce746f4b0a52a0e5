"""MARGIN: what a pool is worth, what it must hold, and which order it can bear.  Pure: nothing here moves.

One set of functions serves admission, the asking of makers, liquidation and the views.  A *trial* is an order
thought into, and perhaps one thought out of, the open orders of a position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exchange.protocol.schema import MAX_PRICE_TICKS, PPM
from exchange.reference.arithmetic import ceil_div, ppm_ceil, ppm_floor
from exchange.reference.order import BUY, SELL, Order
from exchange.reference.prices import would_trade
from exchange.reference.state import (
    CROSS,
    ISOLATED,
    Account,
    Pool,
    Position,
    State,
    Symbol,
)


@dataclass(slots=True, frozen=True)
class Trial:
    """What if: an order of so many lots at a limit among the open ones, in place of another (or of none)."""

    position: Position
    side: int
    lots: int
    price_ticks: int
    reduce_only: bool
    removed: Order | None = None


# ------------------------------------------------------------------------------------- pools and positions


def unrealised_atoms(position: Position) -> int:
    """MARGIN-01: profit or loss at the mark, exactly."""
    symbol = position.symbol
    return symbol.value_atoms(position.lots, symbol.mark_ticks) - position.entry_value_atoms


def positions_of(state: State, pool: Pool) -> list[Position]:
    """The open positions that a pool backs, by symbol and leg."""
    owner = state.accounts[pool.account]
    if pool.symbol:
        position = owner.positions[pool.symbol, pool.leg]
        return [position] if position.lots and position.mode == ISOLATED else []
    return [p for p in owner.positions.values() if p.lots and p.mode == CROSS]


def backing_atoms(state: State, pool: Pool) -> int:
    """MARGIN-02: the pool's balance, and for a cross pool what collateral assets count (COLL-02)."""
    if pool.symbol:
        return pool.balance_atoms
    return pool.balance_atoms + state.accounts[pool.account].counted_atoms


def equity_atoms(state: State, pool: Pool) -> int:
    """MARGIN-02: what backs the pool with the unrealised profit of its positions."""
    return backing_atoms(state, pool) + sum(unrealised_atoms(p) for p in positions_of(state, pool))


def maintenance_of_notional(symbol: Symbol, notional_atoms: int) -> int:
    """MARGIN-03: what a position of this size must be backed by, by the symbol's brackets."""
    bracket = symbol.bracket_of(notional_atoms)
    return ppm_ceil(notional_atoms, bracket.maintenance_ppm) - bracket.deduction_atoms


def maintenance_of_position(position: Position) -> int:
    """MARGIN-03 of one position at the mark."""
    return maintenance_of_notional(position.symbol, position.symbol.notional_atoms(position.lots))


def maintenance_atoms(state: State, pool: Pool) -> int:
    """MARGIN-03 of a pool: the sum over its positions."""
    return sum(maintenance_of_position(p) for p in positions_of(state, pool))


def is_below_maintenance(state: State, pool: Pool) -> bool:
    """MARGIN-08: strictly below, and there is a position."""
    positions = positions_of(state, pool)
    if not positions:
        return False
    equity = backing_atoms(state, pool) + sum(unrealised_atoms(p) for p in positions)
    return equity < sum(maintenance_of_position(p) for p in positions)


def initial_ppm(position: Position, notional_atoms: int) -> int:
    """MARGIN-04: im(n), the rate of the account or of the bracket, whichever is higher, as MARGIN-11 scales it."""
    symbol = position.symbol
    return scaled_ppm(symbol, max(position.rate_ppm, symbol.bracket_of(notional_atoms).initial_ppm))


def scaled_ppm(symbol: Symbol, rate_ppm: int) -> int:
    """MARGIN-11: a rate as open interest raises it, from its own value to 100 %, rounded up."""
    lower, upper = symbol.limits.scaling_lower_atoms, symbol.limits.scaling_upper_atoms
    if upper < 0:
        return rate_ppm
    interest = symbol.notional_atoms(symbol.open_interest_lots())
    above = min(max(interest - lower, 0), upper - lower)
    return rate_ppm + ceil_div((PPM - rate_ppm) * above, upper - lower)


def initial_of_notional(position: Position, notional_atoms: int) -> int:
    """MARGIN-04: what opening this much on the position's account and symbol needs, rounded up."""
    return ppm_ceil(notional_atoms, initial_ppm(position, notional_atoms))


def initial_of_position(position: Position) -> int:
    """MARGIN-04: IM of the position at the mark."""
    return initial_of_notional(position, position.symbol.notional_atoms(position.lots))


# --------------------------------------------------------------------------------------------- open orders


def open_lots_by_price(position: Position, side: int, trial: Trial | None) -> list[tuple[int, int]]:
    """(limit, open lots) of the orders of a side, reduce-only ones left out, best price first."""
    removed = trial.removed if trial else None
    found = [
        (order.price_ticks, order.open_lots)
        for order in position.orders.of_side(side)
        if not order.reduce_only and order is not removed
    ]
    if trial and trial.side == side and not trial.reduce_only:
        found.append((trial.price_ticks, trial.lots))
        # Among equal limits it makes no difference which lots come first.
        found.sort(key=lambda entry: entry[0], reverse=side == BUY)
    return found


def side_initial_atoms(
    position: Position, side: int, orders: Iterable[tuple[int, int]], mark_ticks: int
) -> int:
    """MARGIN-05: what the orders of one side ask for, filled beside the position, and what they would lose at once."""
    symbol = position.symbol
    free = position.reducible_lots(side)
    rest_value = 0  # in ticks x lots
    loss_value = 0
    for price, lots in orders:
        rest = max(0, lots - free)
        free -= lots - rest
        if side == BUY:
            rest_value += rest * price
            loss_value += lots * max(0, price - mark_ticks)
        else:
            rest_value += rest * max(price, mark_ticks)
            loss_value += lots * max(0, mark_ticks - price)
    on_this_side = position.lots > 0 if side == BUY else position.lots < 0
    total = rest_value * symbol.atoms_per_tick_lot
    if on_this_side:
        total += symbol.notional_atoms(position.lots)
    return initial_of_notional(position, total) + loss_value * symbol.atoms_per_tick_lot


def symbol_initial_atoms(position: Position, trial: Trial | None = None) -> int:
    """MARGIN-05: IM(symbol), the worse side of the open orders and at least the position's own."""
    needed = initial_of_position(position)
    if trial is None and not len(position.orders):
        return needed
    for side in (BUY, SELL):
        orders = open_lots_by_price(position, side, trial)
        if orders:
            mark = position.symbol.mark_ticks
            needed = max(needed, side_initial_atoms(position, side, orders, mark))
    return needed


def order_margin_atoms(position: Position, trial: Trial | None = None) -> int:
    """MARGIN-05: what the open orders ask for beyond the position."""
    return symbol_initial_atoms(position, trial) - initial_of_position(position)


def available_atoms(
    account: Account, trial: Trial | None = None, *, weigh_profit: bool = True
) -> int:
    """MARGIN-06: what the wallet has free for new risk; without weighing, no unrealised profit counts (ACCT-07)."""
    total = account.cross.balance_atoms + account.counted_atoms
    for position in account.positions.values():
        tried = trial if trial and trial.position is position else None
        if position.mode == ISOLATED:
            total -= order_margin_atoms(position, tried)
            continue
        profit = unrealised_atoms(position)
        if profit > 0:
            profit = ppm_floor(profit, position.symbol.upnl_weight_ppm) if weigh_profit else 0
        total += profit - symbol_initial_atoms(position, tried)
    return total


def initial_margin_atoms(account: Account) -> int:
    """MARGIN-06: the requirements that are taken off what is available."""
    return sum(
        order_margin_atoms(p) if p.mode == ISOLATED else symbol_initial_atoms(p)
        for p in account.positions.values()
    )


def withdrawable_atoms(account: Account) -> int:
    """ACCT-07: unrealised profit never leaves."""
    return max(0, min(account.cross.balance_atoms, available_atoms(account, weigh_profit=False)))


def removable_atoms(position: Position) -> int:
    """ACCT-06: what may be taken out of an isolated pool: initial margin stays, unrealised profit does not count.

    In cross mode, and without a position, there is nothing in it.
    """
    balance = position.isolated.balance_atoms
    loss = min(0, unrealised_atoms(position))
    return max(0, min(balance, balance + loss - initial_of_position(position)))


# ----------------------------------------------------------------------------------------- may this order be


def instant_loss_atoms(symbol: Symbol, side: int, lots: int, price_ticks: int) -> int:
    """MARGIN-07: loss(k, p), what a fill at this price loses against the mark; negative: a gain."""
    ticks = price_ticks - symbol.mark_ticks if side == BUY else symbol.mark_ticks - price_ticks
    return symbol.value_atoms(lots, ticks)


def improves(state: State, position: Position, side: int, lots: int, price_ticks: int) -> bool:
    """MARGIN-07: improves(pool, k, p) - closing so many lots leaves the pool solvent and no nearer to liquidation."""
    symbol, pool = position.symbol, position.pool
    equity, maintenance = equity_atoms(state, pool), maintenance_atoms(state, pool)
    equity_after = equity - instant_loss_atoms(symbol, side, lots, price_ticks)
    if position.mode == CROSS:
        equity_after -= ppm_ceil(symbol.value_atoms(lots, price_ticks), symbol.taker_fee_ppm)
    left = symbol.notional_atoms(abs(position.lots) - lots)
    maintenance_after = (
        maintenance - maintenance_of_position(position) + maintenance_of_notional(symbol, left)
    )
    return equity_after >= 0 and equity_after * maintenance >= equity * maintenance_after


def pool_bears(state: State, position: Position, side: int, lots: int, price_ticks: int) -> bool:
    """MARGIN-07: an isolated pool bears closing so many lots: initial margin is left, or it improves."""
    symbol = position.symbol
    equity_after = equity_atoms(state, position.isolated) - instant_loss_atoms(
        symbol, side, lots, price_ticks
    )
    left = symbol.notional_atoms(abs(position.lots) - lots)
    return equity_after >= initial_of_notional(position, left) or improves(
        state, position, side, lots, price_ticks
    )


def stands_at_once(
    state: State, position: Position, side: int, lots: int, opened_lots: int, price_ticks: int
) -> bool:
    """MARGIN-07: an isolated position would not be below maintenance as soon as these lots are opened."""
    symbol = position.symbol
    flips = opened_lots < lots
    base = 0 if flips else equity_atoms(state, position.isolated)
    after = position.lots + (lots if side == BUY else -lots)
    notional = symbol.notional_atoms(after)
    margin = ppm_ceil(symbol.value_atoms(opened_lots, price_ticks), initial_ppm(position, notional))
    loss = max(0, instant_loss_atoms(symbol, side, opened_lots, price_ticks))
    return base + margin - loss >= maintenance_of_notional(symbol, notional)


def other_lots(trial: Trial) -> int:
    """Open lots of the account's other orders on the trial's side, reduce-only ones left out (MARGIN-07, pure)."""
    return sum(
        order.open_lots
        for order in trial.position.orders.of_side(trial.side)
        if not order.reduce_only and order is not trial.removed
    )


def available_for(trial: Trial) -> int:
    """MARGIN-07, MATCH-05: what is available with the order among the open ones.

    An amend that does not lower it, and would not trade, counts it as 0 at least: who is short of margin may still
    step back.
    """
    position = trial.position
    available = available_atoms(position.owner, trial)
    if trial.removed is None or would_trade(position.symbol, trial.side, trial.price_ticks):
        return available
    return max(available, 0) if available >= available_atoms(position.owner) else available


def admits(state: State, trial: Trial) -> bool:
    """MARGIN-07: the order may be: what is available covers it, or it can only make the pool safer."""
    position, side, price = trial.position, trial.side, trial.price_ticks
    reducible = position.reducible_lots(side)
    lots = min(trial.lots, reducible) if trial.reduce_only else trial.lots
    pure = other_lots(trial) + lots <= reducible
    if position.mode == ISOLATED:
        return admits_isolated(state, trial, lots, pure)
    if trial.reduce_only:
        loss = max(0, instant_loss_atoms(position.symbol, side, lots, price))
        if available_for(trial) - loss >= 0:
            return True
    elif available_for(trial) >= 0:
        return True
    return (pure or trial.reduce_only) and improves(state, position, side, lots, price)


def admits_isolated(state: State, trial: Trial, lots: int, pure: bool) -> bool:
    """MARGIN-07, isolated: the pool bears what is closed, the wallet what is opened, and that stands at once."""
    position, side, price = trial.position, trial.side, trial.price_ticks
    closed = min(lots, position.reducible_lots(side))
    opened = lots - closed
    if closed and not pool_bears(state, position, side, closed, price):
        return False
    if not trial.reduce_only and not pure and available_for(trial) < 0:
        return False
    return not opened or stands_at_once(state, position, side, lots, opened, price)


def maker_lots(state: State, maker: Order, lots: int, price: int) -> int:
    """MARGIN-07b: how many of these lots the pool of an order that rests can bear at a price, now."""
    position, side = state.position_of(maker), maker.side
    closed = min(lots, position.reducible_lots(side))
    if position.mode == ISOLATED:
        if closed and not pool_bears(state, position, side, closed, price):
            return 0
        opened = lots - closed
        if opened and (
            available_atoms(position.owner) < 0
            or not stands_at_once(state, position, side, lots, opened, price)
        ):
            return closed
        return lots
    slack = available_atoms(position.owner)
    if maker.reduce_only:
        slack -= max(0, instant_loss_atoms(position.symbol, side, lots, price))
    if slack >= 0:
        return lots
    return closed if improves(state, position, side, closed, price) else 0


# ---------------------------------------------------------------------------------------- liquidation price


#: By so much may the roundings of two legs together hide that what is spared falls, and over so many prices they are
#: looked at one by one.
ROUNDING_ATOMS, ROUNDING_TICKS = 2, 1_000


def liquidation_price_ticks(state: State, position: Position) -> int:
    """MARGIN-09: the first price, going against the position, at which its pool is below maintenance; 0: none."""
    if not position.lots:
        return 0
    symbol = position.symbol
    pool = position.pool
    backed = positions_of(state, pool)
    moved = [p for p in backed if p.symbol is symbol]  # in hedge mode perhaps both legs
    others = [p for p in backed if p.symbol is not symbol]
    fixed = backing_atoms(state, pool) - sum(p.entry_value_atoms for p in moved)
    fixed += sum(unrealised_atoms(p) - maintenance_of_position(p) for p in others)

    def spare(price: int) -> int:
        """Equity less maintenance with the mark at this price."""
        values = [symbol.value_atoms(p.lots, price) for p in moved]
        return fixed + sum(v - maintenance_of_notional(symbol, abs(v)) for v in values)

    return first_below(spare, symbol.mark_ticks, -1 if position.lots > 0 else 1)


def first_below(spare: Callable[[int], int], mark: int, step: int) -> int:
    """MARGIN-09: the first price from the mark on, step by step, at which what is spared is below 0.

    But for roundings it is concave in the price: from the mark on it falls below nothing once at most.
    """
    if spare(mark) < 0:
        return mark
    last = 1 if step < 0 else MAX_PRICE_TICKS
    safe = mark
    for safe in range(mark + step, clipped(mark + step * ROUNDING_TICKS) + step, step):
        left = spare(safe)
        if left < 0:
            return safe
        if left >= ROUNDING_ATOMS:
            break
    if safe == last:
        return 0
    below = bisected(spare, safe, last) if spare(last) < 0 else last
    return nearest_below(spare, below, step, mark)


def clipped(price_ticks: int) -> int:
    """The price, or the nearest that there is."""
    return min(max(price_ticks, 1), MAX_PRICE_TICKS)


def bisected(spare: Callable[[int], int], safe: int, below: int) -> int:
    """A price that is below, beside one that is not."""
    while abs(safe - below) > 1:
        middle = (safe + below) // 2
        if spare(middle) < 0:
            below = middle
        else:
            safe = middle
    return below


def nearest_below(spare: Callable[[int], int], price: int, step: int, mark: int) -> int:
    """The price nearest to the mark that is below, walking back to it while roundings could decide; 0: none."""
    found = 0
    for _ in range(ROUNDING_TICKS):
        left = spare(price)
        if left < 0:
            found = price
        elif left >= ROUNDING_ATOMS:
            break
        price -= step
        if price == mark:
            break
    return found
