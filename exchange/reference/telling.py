"""LIQ-10: what a liquidation tells of itself: each position, each size, each limit and each share, as it was decided.

Nothing here decides anything.  What decided hands over what it decided with.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import NamedTuple

from exchange.protocol.schema import ClosingLimit
from exchange.reference import margin
from exchange.reference.bankruptcy import Limit, Size, bankruptcy_value, share_atoms
from exchange.reference.context import Context
from exchange.reference.funds import Budget
from exchange.reference.state import OPEN, Pool, Position, Symbol


def write_positions(ctx: Context, pool: Pool) -> None:
    """LIQ-10: the positions of a pool whose liquidation is taken up, by symbol."""
    for position in margin.positions_of(ctx.state, pool):
        symbol = position.symbol
        notional = symbol.notional_atoms(position.lots)
        share = share_atoms(ctx.state, position)
        ctx.events.write(
            "liquidation_position",
            pool.account,
            symbol=symbol.number,
            leg=position.leg,
            pool_symbol=pool.symbol,
            bracket=symbol.brackets.index(symbol.bracket_of(notional)),
            position_lots=position.lots,
            entry_value_atoms=position.entry_value_atoms,
            mark_ticks=symbol.mark_ticks,
            notional_atoms=notional,
            unrealised_atoms=margin.unrealised_atoms(position),
            maintenance_atoms=margin.maintenance_of_position(position),
            share_atoms=share,
            bankruptcy_value_atoms=bankruptcy_value(position, share),
        )


def write_charged(ctx: Context, pool: Pool) -> None:
    """FUND-01: what of a cross pool's deficit is charged to which symbol, as its liquidation is taken up."""
    if pool.symbol:
        return
    for symbol, atoms in ctx.state.accounts[pool.account].charged.items():
        ctx.events.write("deficit_charged", pool.account, symbol=symbol, charged_atoms=atoms)


def write_sized(
    ctx: Context, position: Position, size: Size, limit: Limit, charged: Symbol
) -> None:
    """LIQ-10: why a closing order has its size and its limit; where nothing trades there is no limit."""
    symbol, pool = position.symbol, position.pool
    told = asdict(limit)
    if symbol.state != OPEN:
        told.update(price_ticks=0, limited_by=ClosingLimit.NO_TRADING)
    ctx.events.write(
        "liquidation_sized",
        pool.account,
        symbol=symbol.number,
        leg=position.leg,
        fund=symbol.fund,
        mode=symbol.liquidation_mode,
        sized_by=size.sized_by,
        position_lots=position.lots,
        equity_atoms=margin.equity_atoms(ctx.state, pool),
        maintenance_atoms=margin.maintenance_atoms(ctx.state, pool),
        missing_atoms=size.missing_atoms,
        gain_atoms_per_lot=size.gain_atoms_per_lot,
        asked_lots=size.asked_lots,
        least_lots=size.least_lots,
        most_lots=size.most_lots,
        qty_lots=size.lots,
        charged=charged.number,
        **told,
    )


def write_shrunk(ctx: Context, position: Position, /, **fields: int) -> None:
    """LIQ-10: the fund bears fewer lots of a closing order than a maker would give."""
    ctx.events.write(
        "liquidation_shrunk",
        position.owner.number,
        symbol=position.symbol.number,
        leg=position.leg,
        **fields,
    )


class Shared(NamedTuple):
    """FUND-02: what stands for a position, whose funds are asked, and what they pay."""

    charged: Symbol
    share: int
    may_pay: Budget
    paid: int
    value: int


def write_share(ctx: Context, position: Position, shared: Shared) -> None:
    """LIQ-10: the deficit stage of one position, before the funds pay."""
    ctx.events.write(
        "deficit_shared",
        position.owner.number,
        symbol=position.symbol.number,
        leg=position.leg,
        fund=shared.charged.fund,
        position_lots=position.lots,
        equity_atoms=margin.equity_atoms(ctx.state, position.pool),
        maintenance_atoms=margin.maintenance_atoms(ctx.state, position.pool),
        share_atoms=shared.share,
        budget_atoms=shared.may_pay.atoms,
        paid_atoms=shared.paid,
        bankruptcy_value_atoms=shared.value,
        budget_by=shared.may_pay.limited_by,
        charged=shared.charged.number,
    )
