"""ACCT and FUNDING: what a fill, a fee and a funding payment do to positions and balances."""

from __future__ import annotations

from dataclasses import dataclass

from exchange.protocol.schema import BalanceCause, FundCause
from exchange.reference.arithmetic import ceil_div, ppm_ceil
from exchange.reference.context import Context
from exchange.reference.margin import initial_ppm, unrealised_atoms
from exchange.reference.order import BUY
from exchange.reference.state import CROSS, ISOLATED, Account, Position, State, Symbol


@dataclass(slots=True, frozen=True)
class Settled:
    """What one side of a fill came to."""

    realised_atoms: int
    fee_atoms: int = 0


def sign_of(side: int) -> int:
    return 1 if side == BUY else -1


# -------------------------------------------------------------------------------------- positions (ACCT-03)


def enlarge(state: State, position: Position, side: int, lots: int, value_atoms: int) -> None:
    """ACCT-03: lots of the position's own side join it at what they cost."""
    sign = sign_of(side)
    state.move_position(
        position, position.lots + sign * lots, position.entry_value_atoms + sign * value_atoms
    )


def reduce(state: State, position: Position, side: int, lots: int, value_atoms: int) -> int:
    """ACCT-03: lots leave the position at a value, with their part of the entry value; gives what is realised."""
    released = ceil_div(position.entry_value_atoms * lots, abs(position.lots))
    realised = -sign_of(side) * value_atoms - released
    state.move_position(
        position, position.lots + sign_of(side) * lots, position.entry_value_atoms - released
    )
    return realised


# ------------------------------------------------------------------------------------------ fills (ACCT-04, 05)


def book_fill(state: State, position: Position, side: int, lots: int, price_ticks: int) -> int:
    """ACCT-03, ACCT-05: a fill of maker or taker before its fee: position and margin; gives what is realised."""
    lots_before = position.lots
    closed = min(lots, position.reducible_lots(side))
    opened = lots - closed
    realised = 0
    if closed:
        closed_value = position.symbol.value_atoms(closed, price_ticks)
        realised = reduce(state, position, side, closed, closed_value)
    opened_value = position.symbol.value_atoms(opened, price_ticks)
    if opened:
        enlarge(state, position, side, opened, opened_value)

    if closed:
        book_realised(position, closed, abs(lots_before), realised)
    if opened and position.mode == ISOLATED:
        book_isolated_opening(position, opened_value)
    return realised


def pay_fill_fee(
    state: State,
    position: Position,
    side: int,
    value_atoms: int,
    fee_ppm: int,
    *,
    kept_atoms: int,
    most_rebate_atoms: int,
) -> int:
    """ACCT-04: the fee of a fill that is booked; what was paid, below 0 what was got."""
    fee = most_rebate(ppm_ceil(value_atoms, fee_ppm), most_rebate_atoms)
    return charge_fee(state, position, side, fee, kept_atoms)


def most_rebate(fee: int, paid_atoms: int) -> int:
    """ACCT-04: a fee as it is; of a rebate (a fee below 0) at most what the taker of the trade paid."""
    return max(fee, -paid_atoms)


def book_realised(position: Position, closed: int, of_lots: int, realised: int) -> None:
    """ACCT-05: realised profit goes to the wallet; from isolated mode with the same share of the pool."""
    wallet, margin = position.owner.cross, position.isolated
    if position.mode == CROSS:
        wallet.balance_atoms += realised
    elif closed == of_lots:
        wallet.balance_atoms += margin.balance_atoms + realised
        margin.balance_atoms = 0
    else:
        share = margin.balance_atoms * closed // of_lots
        if share + realised >= 0:
            wallet.balance_atoms += share + realised
            margin.balance_atoms -= share
        else:
            margin.balance_atoms += realised


def book_isolated_opening(position: Position, opened_value: int) -> None:
    """ACCT-05: the initial margin of what was opened moves from the wallet into the isolated pool."""
    wallet = position.owner.cross
    notional = position.symbol.notional_atoms(position.lots)
    want = ppm_ceil(opened_value, initial_ppm(position, notional))
    moved = min(want, max(0, cross_worth_atoms(position.owner)))
    wallet.balance_atoms -= moved
    position.isolated.balance_atoms += moved


def cross_worth_atoms(account: Account) -> int:
    """Q of ACCT-04: the equity of the account's cross pool."""
    return (
        account.cross.balance_atoms
        + account.counted_atoms
        + sum(unrealised_atoms(p) for p in account.positions.values() if p.lots and p.mode == CROSS)
    )


def charge_fee(state: State, position: Position, side: int, fee: int, kept_atoms: int) -> int:
    """ACCT-04: takes the fee (negative: gives the rebate) and says what was paid; a fee never causes a deficit.

    ``kept_atoms`` is what the rest of a taker's order may still lose against the mark.
    """
    wallet, margin = position.owner.cross, position.isolated
    from_margin = 0
    if fee > 0:
        wanted = fee
        in_cross = position.mode == CROSS
        fee = min(fee, max(0, cross_worth_atoms(position.owner) - (kept_atoms if in_cross else 0)))
        has_opened = position.lots > 0 if side == BUY else position.lots < 0
        if not in_cross and has_opened:
            worth = margin.balance_atoms + unrealised_atoms(position) - kept_atoms
            from_margin = min(wanted - fee, max(0, worth))
    wallet.balance_atoms -= fee
    margin.balance_atoms -= from_margin
    state.fees_atoms += fee + from_margin
    return fee + from_margin


# -------------------------------------------------------------------------------- closed by the engine (LIQ-07)


def settle_forced_close(state: State, position: Position, lots: int, value_atoms: int) -> int:
    """LIQ-07: the liquidated side of a fill: the pool takes what is realised, no share returns, no trading fee."""
    realised = reduce(state, position, position.closing_side, lots, value_atoms)
    position.pool.balance_atoms += realised
    return realised


def return_left_margin(position: Position) -> None:
    """LIQ-08: what an isolated pool has left when its position is gone goes to the wallet."""
    if position.mode == ISOLATED and not position.lots:
        position.owner.cross.balance_atoms += position.isolated.balance_atoms
        position.isolated.balance_atoms = 0


def settle_counterparty(state: State, position: Position, lots: int, value_atoms: int) -> int:
    """ADL-02: the counterparty's side: ACCT-03 and ACCT-05 at an exact value, without fee."""
    lots_before = abs(position.lots)
    realised = reduce(state, position, position.closing_side, lots, value_atoms)
    book_realised(position, lots, lots_before, realised)
    return realised


# ------------------------------------------------------------------------------------------------- moving money


def move_margin(ctx: Context, position: Position, change_atoms: int, cause: BalanceCause) -> None:
    """Moves money from the wallet into the isolated pool (negative: back) and says so."""
    position.owner.cross.balance_atoms -= change_atoms
    position.isolated.balance_atoms += change_atoms
    ctx.write_balance(
        position.owner.number,
        cause,
        position=position,
        wallet_change=-change_atoms,
        margin_change=change_atoms,
    )


def change_pool_of(
    ctx: Context, position: Position, change_atoms: int, cause: BalanceCause
) -> None:
    """Changes the balance of the pool that backs a position, and says so."""
    position.pool.balance_atoms += change_atoms
    is_isolated = position.mode == ISOLATED
    ctx.write_balance(
        position.owner.number,
        cause,
        position=position,
        wallet_change=0 if is_isolated else change_atoms,
        margin_change=change_atoms if is_isolated else 0,
    )


def settle_funding(ctx: Context, symbol: Symbol, rate_q32: int) -> None:
    """FUNDING-01: each position pays, rounded up, from its pool; what rounding leaves goes to the fund."""
    paid = 0
    for position in list(symbol.positions.values()):
        payment = ceil_div(position.lots * rate_q32, 1 << 32)
        if payment:
            change_pool_of(ctx, position, -payment, BalanceCause.FUNDING)
            paid += payment
    if paid:
        ctx.change_fund(symbol.fund, symbol.number, FundCause.FUNDING_RESIDUE, paid)


# ----------------------------------------------------------------------------------------------------- events


def write_fill(
    ctx: Context,
    position: Position,
    settled: Settled,
    *,
    role: int,
    side: int,
    trade_id: int,
    qty_lots: int,
    value_atoms: int,
    order_id: int = 0,
    client_order_id: int = 0,
    price_ticks: int = 0,
    open_lots: int = 0,
) -> None:
    """Says what one side of a fill came to; the position has moved already."""
    ctx.events.write(
        "fill",
        position.owner.number,
        symbol=position.symbol.number,
        side=side,
        role=role,
        margin_mode=position.mode,
        leg=position.leg,
        trade_id=trade_id,
        order_id=order_id,
        client_order_id=client_order_id,
        price_ticks=price_ticks,
        qty_lots=qty_lots,
        value_atoms=value_atoms,
        open_lots=open_lots,
        position_lots=position.lots,
        entry_value_atoms=position.entry_value_atoms,
        realised_atoms=settled.realised_atoms,
        fee_atoms=settled.fee_atoms,
        wallet_atoms=position.owner.cross.balance_atoms,
        margin_atoms=position.isolated.balance_atoms,
    )
