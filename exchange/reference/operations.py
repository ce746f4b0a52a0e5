"""The commands of the operator: list a symbol, fill a fund, move a mark, settle funding.

They carry no account.
"""

from __future__ import annotations

from exchange.protocol.messages import DepositFund, SetAdlPolicy, SetMark, SettleFunding
from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    MAX_PRICE_TICKS,
    AdlPolicy,
    FundCause,
    RejectReason,
    SymbolState,
)
from exchange.reference import auction, charging, ledger
from exchange.reference.accounts import check_money_in
from exchange.reference.context import Context
from exchange.reference.listing import Policy, check_listing
from exchange.reference.state import CROSS, State, Symbol

LIST_SYMBOL = COMMAND_BY_NAME["list_symbol"].number


def list_symbol(ctx: Context, body: bytes) -> None:
    """Listing: a perpetual with all numbers of its policy."""
    policy = Policy(body)
    reason = check_listing(ctx.state, policy)
    if reason is not None:
        ctx.reject(LIST_SYMBOL, 0, reason)
        return
    symbol = policy.symbol()
    ctx.state.symbols[symbol.number] = symbol
    ctx.accept(LIST_SYMBOL, 0)
    ctx.events.write("symbol_listed", 0, symbol=symbol.number, name=symbol.name)


def deposit_fund(ctx: Context, command: DepositFund) -> None:
    """FUND-01: the operator's money comes into an insurance fund."""
    reason = check_money_in(ctx.state, command.amount_atoms)
    if reason is not None:
        ctx.reject(command.number, 0, reason)
        return
    ctx.accept(command.number, 0)
    ctx.state.deposits_atoms += command.amount_atoms
    ctx.change_fund(command.fund, 0, FundCause.DEPOSIT, command.amount_atoms)


def set_adl_policy(ctx: Context, command: SetAdlPolicy) -> None:
    """ADL-05: how positions of the symbol are deleveraged from now on."""
    symbol = ctx.state.symbols.get(command.symbol)
    if symbol is None:
        ctx.reject(command.number, 0, RejectReason.UNKNOWN_SYMBOL)
    elif command.policy > max(AdlPolicy):
        ctx.reject(command.number, 0, RejectReason.INVALID_ADL_POLICY)
    else:
        ctx.accept(command.number, 0)
        symbol.adl_policy = command.policy
        ctx.events.write("adl_policy_set", 0, symbol=symbol.number, policy=symbol.adl_policy)


def set_mark(ctx: Context, command: SetMark) -> None:
    """MARK-01: the mark moves by command only; then every pool with a position in the symbol is checked."""
    reason = check_mark(ctx.state, command)
    if reason is not None:
        ctx.reject(command.number, 0, reason)
        return
    symbol = ctx.state.symbols[command.symbol]
    ctx.accept(command.number, 0)
    move_mark(ctx, symbol, command.price_ticks)
    if symbol.state == SymbolState.AUCTION:
        auction.indicate(ctx, symbol)
    check_holders(ctx, symbol)


def move_mark(ctx: Context, symbol: Symbol, price_ticks: int) -> None:
    symbol.mark_ticks = price_ticks
    ctx.events.write("mark_changed", 0, symbol=symbol.number, price_ticks=price_ticks)


def check_mark(state: State, command: SetMark) -> RejectReason | None:
    """UNITS-01: what is held and what is open stays inside the exposure limit at the new mark."""
    if command.symbol not in state.symbols:
        return RejectReason.UNKNOWN_SYMBOL
    if not 1 <= command.price_ticks <= MAX_PRICE_TICKS:
        return RejectReason.INVALID_PRICE
    symbol = state.symbols[command.symbol]
    if symbol.state == SymbolState.SETTLED:
        return RejectReason.SYMBOL_STATE_FORBIDS
    if exceeds_exposure_at(symbol, command.price_ticks):
        return RejectReason.VALUE_OUT_OF_RANGE
    if symbol.composite is not None:
        return RejectReason.MARK_IS_COMPOSITE
    return None


def exceeds_exposure_at(symbol: Symbol, price_ticks: int) -> bool:
    """UNITS-01: what is held and what is open would be beyond the exposure limit at this mark."""
    lots = gross_lots(symbol) + 2 * sum(order.open_lots for order in symbol.book.unsorted())
    return symbol.value_atoms(lots, price_ticks) > symbol.exposure_limit_atoms


def settle_funding(ctx: Context, command: SettleFunding) -> None:
    """FUNDING-01: longs pay shorts an amount per lot, or the other way round."""
    reason = check_funding(ctx.state, command)
    if reason is not None:
        ctx.reject(command.number, 0, reason)
        return
    symbol = ctx.state.symbols[command.symbol]
    ctx.accept(command.number, 0)
    ctx.events.write(
        "funding_settled",
        0,
        symbol=symbol.number,
        payment_atoms_per_lot=command.payment_atoms_per_lot,
        payment_fraction_q32=command.payment_fraction_q32,
    )
    rate_q32 = (command.payment_atoms_per_lot << 32) + command.payment_fraction_q32
    ledger.settle_funding(ctx, symbol, rate_q32)
    check_holders(ctx, symbol)


def check_funding(state: State, command: SettleFunding) -> RejectReason | None:
    """UNITS-01: what all positions together pay stays inside the exposure limit."""
    if command.symbol not in state.symbols:
        return RejectReason.UNKNOWN_SYMBOL
    symbol = state.symbols[command.symbol]
    if symbol.state == SymbolState.SETTLED:
        return RejectReason.SYMBOL_STATE_FORBIDS
    if not symbol.mark_ticks:
        return RejectReason.NO_MARK_PRICE
    if gross_lots(symbol) * (abs(command.payment_atoms_per_lot) + 1) > symbol.exposure_limit_atoms:
        return RejectReason.VALUE_OUT_OF_RANGE
    if symbol.funding is not None:
        return RejectReason.FUNDING_IS_COMPUTED
    return None


def gross_lots(symbol: Symbol) -> int:
    """UNITS-01: G, the lots of all positions, longs and shorts."""
    return sum(abs(position.lots) for position in symbol.positions.values())


def check_holders(ctx: Context, symbol: Symbol) -> None:
    """Checks the pool of every position in the symbol, by account; what is below zero by its move is charged to it."""
    for position in symbol.positions.values():
        ctx.check(position.pool)
        if position.mode == CROSS:
            charging.note(ctx.state, position.owner, symbol.number)
