"""The commands of accounts: deposit, withdraw, margin mode, isolated margin, position mode."""

from __future__ import annotations

from exchange.protocol.messages import (
    ChangeIsolatedMargin,
    Deposit,
    SetAutoMargin,
    SetMarginMode,
    SetPositionMode,
    Withdraw,
)
from exchange.protocol.schema import (
    MAX_AMOUNT_ATOMS,
    PPM,
    BalanceCause,
    PositionMode,
    RejectReason,
)
from exchange.reference import ledger, margin
from exchange.reference.admission import is_account
from exchange.reference.context import Context
from exchange.reference.legs import fits_mode
from exchange.reference.state import ISOLATED, Account, Position, State

# ------------------------------------------------------------------------------------------- the wallet


def deposit(ctx: Context, command: Deposit) -> None:
    """Money comes into the wallet; it may end the liquidation of the cross pool."""
    reason = check_deposit(ctx.state, command)
    if reason is not None:
        ctx.reject(command.number, command.account, reason)
        return
    ctx.accept(command.number, command.account)
    move_wallet(ctx, command.account, command.amount_atoms, BalanceCause.DEPOSIT)
    ctx.check(ctx.state.account(command.account).cross)


def check_deposit(state: State, command: Deposit) -> RejectReason | None:
    if not is_account(command.account):
        return RejectReason.INVALID_ACCOUNT
    return check_money_in(state, command.amount_atoms)


def check_money_in(state: State, amount_atoms: int) -> RejectReason | None:
    """UNITS-01: all deposits less withdrawals stay inside the range of money."""
    if not 1 <= amount_atoms <= MAX_AMOUNT_ATOMS:
        return RejectReason.INVALID_AMOUNT
    if state.deposits_atoms + amount_atoms > MAX_AMOUNT_ATOMS:
        return RejectReason.VALUE_OUT_OF_RANGE
    return None


def withdraw(ctx: Context, command: Withdraw) -> None:
    """ACCT-07: money leaves, at most what is withdrawable."""
    reason = check_withdraw(ctx.state, command)
    if reason is not None:
        ctx.reject(command.number, command.account, reason)
        return
    ctx.accept(command.number, command.account)
    move_wallet(ctx, command.account, -command.amount_atoms, BalanceCause.WITHDRAWAL)


def check_withdraw(state: State, command: Withdraw) -> RejectReason | None:
    if not is_account(command.account):
        return RejectReason.INVALID_ACCOUNT
    if not 1 <= command.amount_atoms <= MAX_AMOUNT_ATOMS:
        return RejectReason.INVALID_AMOUNT
    account = state.account(command.account)
    if account.cross.liquidating:
        return RejectReason.POOL_LIQUIDATING
    if any(pool.uncovered for pool in state.pools()):
        return RejectReason.WITHDRAWALS_STOPPED
    if command.amount_atoms > margin.withdrawable_atoms(account):
        return RejectReason.INSUFFICIENT_MARGIN
    return None


def move_wallet(ctx: Context, account: int, change_atoms: int, cause: BalanceCause) -> None:
    """Money enters or leaves the exchange through a wallet."""
    ctx.state.deposits_atoms += change_atoms
    ctx.state.account(account).cross.balance_atoms += change_atoms
    ctx.write_balance(account, cause, wallet_change=change_atoms)


# -------------------------------------------------------------------------------------------- margin mode


def set_margin_mode(ctx: Context, command: SetMarginMode) -> None:
    """ACCT-01: mode and rate change as one step with what is open, or not at all."""
    state = ctx.state
    reason = check_margin_mode(ctx, command)
    if reason is None and plan_margin_mode(state, command) is None:
        reason = RejectReason.INSUFFICIENT_MARGIN
    if reason is not None:
        ctx.reject(command.number, command.account, reason)
        return
    moved = plan_margin_mode(state, command)
    assert moved is not None, command
    position = state.position(command.account, command.symbol, command.leg)
    position.mode = command.margin_mode
    position.own_rate_ppm = command.initial_margin_ppm or position.own_rate_ppm
    ctx.accept(command.number, command.account)
    ctx.events.write(
        "margin_mode_changed",
        command.account,
        symbol=command.symbol,
        leg=position.leg,
        margin_mode=position.mode,
        initial_margin_ppm=position.rate_ppm,
        own_rate_ppm=position.own_rate_ppm,
    )
    if moved:
        ledger.move_margin(ctx, position, moved, BalanceCause.MARGIN_MODE)
    ctx.check(position.owner.cross)
    ctx.check(position.isolated)


def check_margin_mode(ctx: Context, command: SetMarginMode) -> RejectReason | None:
    """ACCT-01: every reason but the margin itself."""
    state = ctx.state
    if not is_account(command.account):
        return RejectReason.INVALID_ACCOUNT
    if command.symbol not in state.symbols:
        return RejectReason.UNKNOWN_SYMBOL
    if command.margin_mode > ISOLATED:
        return RejectReason.INVALID_MARGIN_MODE
    if command.initial_margin_ppm > PPM:
        return RejectReason.INVALID_MARGIN_RATE
    if not fits_mode(state, command.account, command.leg):
        return RejectReason.INVALID_LEG
    position = state.position(command.account, command.symbol, command.leg)
    pools = (position.owner.cross, position.isolated)
    if any(pool.liquidating or pool.key in ctx.queue for pool in pools):  # due funding may queue
        return RejectReason.POOL_LIQUIDATING
    if 0 < command.initial_margin_ppm < position.symbol.brackets[0].initial_ppm:
        return RejectReason.LEVERAGE_TOO_HIGH
    return None


def has_business(position: Position) -> bool:
    """Whether the account has a position or orders on the symbol."""
    return bool(position.lots or len(position.orders))


def plan_margin_mode(state: State, command: SetMarginMode) -> int | None:
    """ACCT-01: what would move from the wallet into the isolated pool; None if the change may not be.

    The change is made, looked at and taken back, so that the margin is that of the one place that computes it.
    """
    position = state.position(command.account, command.symbol, command.leg)
    if not has_business(position):
        return 0
    wallet, pool = position.owner.cross, position.isolated
    before = (position.mode, position.own_rate_ppm, wallet.balance_atoms)
    rate_before = position.rate_ppm
    position.mode = command.margin_mode
    position.own_rate_ppm = command.initial_margin_ppm or position.own_rate_ppm
    if position.mode == ISOLATED:
        target = margin.initial_of_position(position) + max(0, -margin.unrealised_atoms(position))
        moved = max(0, target - pool.balance_atoms)
    else:
        moved = -pool.balance_atoms
    wallet.balance_atoms -= moved  # what a pool has does not count for what is available
    is_same = position.mode == before[0] and position.rate_ppm == rate_before and moved == 0
    is_admitted = is_same or margin.available_atoms(position.owner) >= 0
    position.mode, position.own_rate_ppm, wallet.balance_atoms = before
    return moved if is_admitted else None


# ---------------------------------------------------------------------------------------- isolated margin


def change_isolated_margin(ctx: Context, command: ChangeIsolatedMargin) -> None:
    """ACCT-06: money moves between the wallet and the pool of an isolated position."""
    reason = check_isolated_margin(ctx.state, command)
    if reason is not None:
        ctx.reject(command.number, command.account, reason)
        return
    ctx.accept(command.number, command.account)
    position = ctx.state.position(command.account, command.symbol, command.leg)
    ledger.move_margin(ctx, position, command.change_atoms, BalanceCause.ISOLATED_MARGIN)
    ctx.check(position.isolated)


def check_isolated_margin(state: State, command: ChangeIsolatedMargin) -> RejectReason | None:
    """ACCT-06: adding needs what is available, removing leaves initial margin without unrealised profit."""
    change = command.change_atoms
    if not is_account(command.account):
        return RejectReason.INVALID_ACCOUNT
    if command.symbol not in state.symbols:
        return RejectReason.UNKNOWN_SYMBOL
    if not 1 <= abs(change) <= MAX_AMOUNT_ATOMS:
        return RejectReason.INVALID_AMOUNT
    if not fits_mode(state, command.account, command.leg):
        return RejectReason.INVALID_LEG
    position = state.position(command.account, command.symbol, command.leg)
    if position.owner.cross.liquidating or (change < 0 and position.isolated.liquidating):
        return RejectReason.POOL_LIQUIDATING
    if position.mode != ISOLATED or not position.lots:
        return RejectReason.NO_ISOLATED_POSITION
    if change > 0:
        is_covered = margin.available_atoms(position.owner) >= change
    else:
        is_covered = margin.removable_atoms(position) >= -change
    return None if is_covered else RejectReason.INSUFFICIENT_MARGIN


# --------------------------------------------------------------------------------------------- auto margin


def set_auto_margin(ctx: Context, command: SetAutoMargin) -> None:
    """ACCT-09: the wallet adds margin by itself from now on, or no longer."""
    reason = check_auto_margin(ctx.state, command)
    if reason is not None:
        ctx.reject(command.number, command.account, reason)
        return
    position = ctx.state.position(command.account, command.symbol, command.leg)
    position.auto_margin = bool(command.enabled)
    ctx.accept(command.number, command.account)
    ctx.events.write(
        "auto_margin_set",
        command.account,
        symbol=command.symbol,
        leg=position.leg,
        enabled=command.enabled,
    )


def check_auto_margin(state: State, command: SetAutoMargin) -> RejectReason | None:
    if not is_account(command.account):
        return RejectReason.INVALID_ACCOUNT
    if command.symbol not in state.symbols:
        return RejectReason.UNKNOWN_SYMBOL
    if command.enabled > 1:
        return RejectReason.INVALID_MARGIN_MODE
    return None if fits_mode(state, command.account, command.leg) else RejectReason.INVALID_LEG


# ------------------------------------------------------------------------------------------- position mode


def set_position_mode(ctx: Context, command: SetPositionMode) -> None:
    """ACCT-08: the mode changes where nothing is open."""
    reason = check_position_mode(ctx.state, command)
    if reason is not None:
        ctx.reject(command.number, command.account, reason)
        return
    account = ctx.state.account(command.account)
    account.position_mode = PositionMode(command.position_mode)
    ctx.accept(command.number, command.account)
    ctx.events.write("position_mode_changed", command.account, position_mode=account.position_mode)


def check_position_mode(state: State, command: SetPositionMode) -> RejectReason | None:
    if not is_account(command.account):
        return RejectReason.INVALID_ACCOUNT
    if command.position_mode > max(PositionMode):
        return RejectReason.INVALID_POSITION_MODE
    account = state.account(command.account)
    if command.position_mode != account.position_mode and has_something_open(account):
        return RejectReason.POSITION_MODE_IN_USE
    return None


def has_something_open(account: Account) -> bool:
    return any(p.lots or p.order_count for p in account.positions.values())
