"""FUND and ADL: who pays when a pool is below zero and the book is spent: first the fund, then the other side."""

from __future__ import annotations

from exchange.protocol.schema import AdlPolicy, BalanceCause, FillRole, FundCause
from exchange.reference import adl, charging, funds, ledger, margin, telling
from exchange.reference.adl import Counterparty
from exchange.reference.bankruptcy import bankruptcy_value, share_atoms
from exchange.reference.context import Context
from exchange.reference.matching import cancel_spent_reduce_only
from exchange.reference.state import CROSS, Pool, Position


def cover_deficit(ctx: Context, pool: Pool) -> None:
    """FUND-02: position by position, largest MM first: the fund pays what it may, the other side bears the rest."""
    tried: list[Position] = []
    while margin.equity_atoms(ctx.state, pool) < 0:
        untried = [p for p in margin.positions_of(ctx.state, pool) if p not in tried]
        if not untried:
            return
        position = max(untried, key=margin.maintenance_of_position)
        tried.append(position)
        deleverage(ctx, position, cover_share(ctx, position))


def cover_share(ctx: Context, position: Position) -> int:
    """FUND-02: the funds of the symbols that are charged pay what they may of a position's share; gives V after it."""
    share, paid = share_atoms(ctx.state, position), 0
    if position.mode == CROSS:
        charging.note(ctx.state, position.owner)
    while True:
        charged, may_pay = charging.claim(ctx, position)
        atoms = min(may_pay.atoms, -share - paid)
        value = bankruptcy_value(position, share + paid + atoms)
        told = telling.Shared(charged, share + paid, may_pay, atoms, value)
        telling.write_share(ctx, position, told)
        if not atoms:
            return value
        paid += atoms
        if position.mode == CROSS:
            charging.settle_charge(position.owner, charged.number, atoms)
        funds.pay(ctx, charged, position.pool, atoms, FundCause.DEFICIT_COVER)
        ledger.change_pool_of(ctx, position, atoms, BalanceCause.FUND_COVER)
        if share + paid >= 0 or not charging.claim(ctx, position).may_pay.atoms:
            return value


# ---------------------------------------------------------------------------------------------------- ADL


def deleverage(ctx: Context, position: Position, value: int) -> None:
    """ADL-01, ADL-02, ADL-05: the whole position goes to the other side as the symbol's policy says."""
    others = adl.plan(ctx.state, adl.Stage(position, value))
    at_mark = position.symbol.adl_policy == AdlPolicy.MARK_PRICED
    if at_mark:
        take_haircuts(ctx, position, others)
    for rank, other in enumerate(others, start=1):
        if other.lots:
            if not at_mark:
                write_ranked(ctx, position, other, rank, len(others), ctx.state.next_trade_id)
            deleverage_with(ctx, position, other.position, other.lots, other.value)
    if position.lots:
        report_uncovered(ctx, position)


def take_haircuts(ctx: Context, position: Position, others: list[Counterparty]) -> None:
    """ADL-05, at the mark: what is missing moves from the winners' pools into the pool, before any lot does."""
    trade_id = ctx.state.next_trade_id
    missing = 0
    for rank, other in enumerate(others, start=1):
        if not (other.lots or other.haircut):
            continue
        write_ranked(ctx, position, other, rank, len(others), trade_id if other.lots else 0)
        trade_id += 1 if other.lots else 0
        missing += other.haircut
        if other.haircut:
            ledger.change_pool_of(ctx, other.position, -other.haircut, BalanceCause.HAIRCUT)
            ctx.check(other.position.pool)
    if missing:
        ledger.change_pool_of(ctx, position, missing, BalanceCause.HAIRCUT)


def write_ranked(
    ctx: Context,
    position: Position,
    other: Counterparty,
    rank: int,
    candidates: int,
    trade_id: int,
) -> None:
    """Says a counterparty's place and all that it was ranked by, before its fills."""
    symbol = position.symbol
    ctx.events.write(
        "adl_ranked",
        other.account,
        symbol=symbol.number,
        leg=other.position.leg,
        deleveraged_account=position.owner.number,
        deleveraged_leg=position.leg,
        policy=symbol.adl_policy,
        trade_id=trade_id,
        rank=rank,
        candidates=candidates,
        unrealised_atoms=other.unrealised,
        notional_atoms=other.notional,
        entry_value_atoms=other.entry_value,
        equity_atoms=max(1, other.equity),
        net_notional_atoms=other.net_notional,
        qty_lots=other.lots,
        haircut_atoms=other.haircut,
    )


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
