"""MATCH-12: the states of a symbol, and settlement, its last."""

from __future__ import annotations

from exchange.protocol.messages import SetSymbolState
from exchange.protocol.schema import (
    MAX_PRICE_TICKS,
    CancelReason,
    FillRole,
    RejectReason,
    SymbolState,
)
from exchange.reference import auction, ledger, liquidation, margin
from exchange.reference.cancelling import cancel_each
from exchange.reference.context import Context
from exchange.reference.operations import check_holders, exceeds_exposure_at, move_mark
from exchange.reference.state import Position, State, Symbol

SETTLED = SymbolState.SETTLED


def set_symbol_state(ctx: Context, command: SetSymbolState) -> None:
    """MATCH-12: the operator opens, halts or settles a symbol, or calls an auction."""
    reason = check_symbol_state(ctx.state, command)
    if reason is not None:
        ctx.reject(command.number, 0, reason)
        return
    ctx.accept(command.number, 0)
    symbol = ctx.state.symbols[command.symbol]
    symbol.state = command.state
    ctx.events.write("symbol_state_changed", 0, symbol=symbol.number, state=symbol.state)
    if symbol.state == SETTLED:
        symbol.composite, symbol.is_held, symbol.funding = None, False, None
        move_mark(ctx, symbol, command.price_ticks)
    if symbol.state == SymbolState.OPEN:
        auction.uncross(ctx, symbol)
        check_holders(ctx, symbol)
    elif symbol.state == SymbolState.AUCTION:
        auction.indicate(ctx, symbol)
    elif symbol.state == SETTLED:
        settle(ctx, symbol)


def check_symbol_state(state: State, command: SetSymbolState) -> RejectReason | None:
    """MATCH-12: the first reason, in order of number, why the symbol may not come into this state."""
    if command.symbol not in state.symbols:
        return RejectReason.UNKNOWN_SYMBOL
    symbol = state.symbols[command.symbol]
    if not may_follow(symbol, command.state) or not is_price_of(command):
        return RejectReason.INVALID_SYMBOL_STATE
    if command.state == SymbolState.AUCTION and not symbol.mark_ticks:
        return RejectReason.NO_MARK_PRICE
    if command.state == SETTLED and exceeds_exposure_at(symbol, command.price_ticks):
        return RejectReason.VALUE_OUT_OF_RANGE
    return None


def may_follow(symbol: Symbol, state: int) -> bool:
    """MATCH-12: a state of the table that is not the present one; after settled there is only settled, once more."""
    if symbol.state == SETTLED:
        return state == SETTLED
    return state <= max(SymbolState) and state != symbol.state


def is_price_of(command: SetSymbolState) -> bool:
    """MATCH-12: the final mark comes with settled, and with nothing else."""
    if command.state == SETTLED:
        return 1 <= command.price_ticks <= MAX_PRICE_TICKS
    return command.price_ticks == 0


# -------------------------------------------------------------------------------------------- settlement


def settle(ctx: Context, symbol: Symbol) -> None:
    """MATCH-12, settlement: orders go, who is below zero is helped, then every position ends at the final mark."""
    waiting = [order for order in ctx.state.waiting.values() if order.symbol == symbol.number]
    cancel_each(ctx, [*symbol.book, *waiting], CancelReason.SYMBOL_SETTLED)
    check_holders(ctx, symbol)
    liquidation.drain(ctx)
    positions = list(symbol.positions.values())
    if any(margin.equity_atoms(ctx.state, position.pool) < 0 for position in positions):
        return
    for position in positions:
        close_at_mark(ctx, position)


def close_at_mark(ctx: Context, position: Position) -> None:
    """MATCH-12, settlement: a position is closed at the final mark, without order, trade or fee."""
    symbol, lots, side = position.symbol, abs(position.lots), position.closing_side
    value = symbol.notional_atoms(lots)
    realised = ledger.settle_forced_close(ctx.state, position, lots, value)
    ledger.return_left_margin(position)
    ledger.write_fill(
        ctx,
        position,
        ledger.Settled(realised),
        role=FillRole.SETTLEMENT,
        side=side,
        trade_id=0,
        qty_lots=lots,
        value_atoms=value,
        price_ticks=symbol.mark_ticks,
    )
    ctx.check_after_fill(position)
