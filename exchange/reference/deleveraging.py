"""FUND and ADL: who pays when a pool is below zero and the book is spent: first the fund, then the other side."""

from __future__ import annotations

from fractions import Fraction

from exchange.protocol.schema import BalanceCause, FillRole, FundCause
from exchange.reference import ledger, margin, telling
from exchange.reference.bankruptcy import bankruptcy_value, budget_atoms, part_of_value, share_atoms
from exchange.reference.context import Context
from exchange.reference.matching import cancel_spent_reduce_only
from exchange.reference.state import Pool, Position, State


def cover_deficit(ctx: Context, pool: Pool) -> None:
    """FUND-02: position by position, largest MM first: the fund pays what it may, the other side bears the rest."""
    tried: list[Position] = []
    while margin.equity_atoms(ctx.state, pool) < 0:
        untried = [p for p in margin.positions_of(ctx.state, pool) if p not in tried]
        if not untried:
            return
        position = max(untried, key=margin.maintenance_of_position)
        tried.append(position)
        share = share_atoms(ctx.state, position)
        budget = budget_atoms(ctx.state, position)
        paid = max(0, min(budget, -share))
        value = bankruptcy_value(position, share + paid)
        telling.write_share(ctx, position, share=share, budget=budget, paid=paid, value=value)
        if paid > 0:
            pay_from_fund(ctx, position, paid)
        deleverage(ctx, position, value)


def pay_from_fund(ctx: Context, position: Position, paid: int) -> None:
    """FUND-02: the symbol's fund pays into the pool, and the pool has drawn that much more."""
    symbol = position.symbol
    position.pool.drawn_atoms += paid
    ctx.change_fund(symbol.fund, symbol.number, FundCause.DEFICIT_COVER, -paid)
    ledger.change_pool_of(ctx, position, paid, BalanceCause.FUND_COVER)


# ---------------------------------------------------------------------------------------------------- ADL


def ranking(state: State, position: Position) -> list[Position]:
    """ADL-01: the positions of the other side in the order in which they are asked."""
    ranked: list[tuple[bool, Fraction, int, Position]] = []
    for other in position.symbol.positions.values():
        if other.lots * position.lots >= 0:
            continue
        profit = margin.unrealised_atoms(other)
        notional = other.symbol.notional_atoms(other.lots)
        entry = abs(other.entry_value_atoms)
        equity = max(1, margin.equity_atoms(state, other.pool))
        score = (
            Fraction(profit * notional, entry * equity)
            if profit > 0
            else Fraction(profit * equity, entry * notional)
        )
        ranked.append((profit <= 0, -score, other.owner.number, other))
    ranked.sort(key=lambda entry: entry[:3])
    return [entry[3] for entry in ranked]


def deleverage(ctx: Context, position: Position, value: int) -> None:
    """ADL-01, ADL-02: the whole position goes to the other side at V; the parts add up to V exactly."""
    whole, is_long = abs(position.lots), position.lots > 0
    done = 0
    for other in ranking(ctx.state, position):
        if done == whole:
            break
        lots = min(whole - done, abs(other.lots))
        price = part_of_value(value, done + lots, whole, is_long=is_long) - part_of_value(
            value, done, whole, is_long=is_long
        )
        if would_end_below_zero(ctx.state, other, lots, price):
            continue
        deleverage_with(ctx, position, other, lots, price)
        done += lots
    if done < whole:
        report_uncovered(ctx, position)


def would_end_below_zero(state: State, other: Position, lots: int, value: int) -> bool:
    """ADL-01: giving these lots at their price would leave the counterparty's pool with negative equity."""
    at_mark = other.symbol.notional_atoms(lots)
    change = value - at_mark if other.lots > 0 else at_mark - value
    return margin.equity_atoms(state, other.pool) + change < 0


def deleverage_with(
    ctx: Context, position: Position, other: Position, lots: int, value: int
) -> None:
    """ADL-02: one counterparty takes over some lots at an exact value, without order, price or fee."""
    state = ctx.state
    trade_id = state.take_trade_id()
    for taken, role in ((position, FillRole.DELEVERAGED), (other, FillRole.ADL_COUNTERPARTY)):
        side = taken.closing_side
        if role == FillRole.DELEVERAGED:
            realised = ledger.settle_forced_close(state, taken, lots, value)
            ledger.return_left_margin(taken)
        else:
            realised = ledger.settle_counterparty(state, taken, lots, value)
        ledger.write_fill(
            ctx,
            taken,
            ledger.Settled(realised),
            role=role,
            side=side,
            trade_id=trade_id,
            qty_lots=lots,
            value_atoms=value,
        )
    cancel_spent_reduce_only(ctx, other)
    ctx.check_after_fill(other)
    ctx.check_after_fill(position)


def report_uncovered(ctx: Context, position: Position) -> None:
    """ADL-03: nobody is left; below zero, the pool is marked and withdrawals stop."""
    pool = position.pool
    equity = margin.equity_atoms(ctx.state, pool)
    if equity < 0:
        pool.uncovered = True
    ctx.events.write(
        "deficit_uncovered",
        pool.account,
        symbol=position.symbol.number,
        leg=position.leg,
        remaining_lots=position.lots,
        shortfall_atoms=max(0, -equity),
    )
