"""The commands that end orders or keep them apart: cancel, cancel all, countdown, self-trade prevention groups."""

from __future__ import annotations

from exchange.protocol.messages import CancelAll, CancelOrder, SetCountdown, SetStpGroup
from exchange.protocol.schema import MAX_TIMEOUT_MS, CancelReason, RejectReason, SymbolState
from exchange.reference.admission import find_order, is_account
from exchange.reference.cancelling import cancel, cancel_each
from exchange.reference.context import Context
from exchange.reference.order import Order
from exchange.reference.state import State

BOTH_SIDES = 2
NS_PER_MS = 1_000_000
MAX_TIME_NS = (1 << 63) - 1


def is_halted(state: State, order: Order) -> bool:
    return state.symbols[order.symbol].state == SymbolState.HALTED


def cancel_order(ctx: Context, command: CancelOrder) -> None:
    """MATCH-07: one live order is cancelled."""
    account, client_id = command.account, command.client_order_id
    if not is_account(account):
        ctx.reject(command.number, account, RejectReason.INVALID_ACCOUNT, client_id)
        return
    order = find_order(ctx.state, account, command.order_id, client_id)
    if order is None:
        ctx.reject(command.number, account, RejectReason.UNKNOWN_ORDER, client_id)
        return
    if is_halted(ctx.state, order):
        ctx.reject(command.number, account, RejectReason.SYMBOL_STATE_FORBIDS, client_id)
        return
    ctx.accept_order(command.number, order)
    cancel(ctx, order, CancelReason.REQUESTED)


def cancel_all(ctx: Context, command: CancelAll) -> None:
    """MATCH-07: all of the account's orders, of one symbol or all, of one side or both, in canonical order."""
    reason = check_cancel_all(ctx, command)
    if reason is not None:
        ctx.reject(command.number, command.account, reason)
        return
    ctx.accept(command.number, command.account)
    orders = [
        order
        for order in ctx.state.account(command.account).orders()
        if command.symbol in (0, order.symbol)
        and command.side in (BOTH_SIDES, order.side)
        and not is_halted(ctx.state, order)
    ]
    cancel_each(ctx, orders, CancelReason.CANCEL_ALL)


def check_cancel_all(ctx: Context, command: CancelAll) -> RejectReason | None:
    if not is_account(command.account):
        return RejectReason.INVALID_ACCOUNT
    if command.symbol and command.symbol not in ctx.state.symbols:
        return RejectReason.UNKNOWN_SYMBOL
    if command.side > BOTH_SIDES:
        return RejectReason.INVALID_SIDE
    return None


def set_countdown(ctx: Context, command: SetCountdown) -> None:
    """MATCH-07: unless it is set again in time, the account's orders are cancelled; 0: never."""
    account = command.account
    if not is_account(account):
        ctx.reject(command.number, account, RejectReason.INVALID_ACCOUNT)
        return
    if command.timeout_ms > MAX_TIMEOUT_MS:
        ctx.reject(command.number, account, RejectReason.INVALID_TIMEOUT)
        return
    expires = 0
    ctx.state.countdowns.pop(account, None)
    if command.timeout_ms:
        expires = min(ctx.timestamp_ns + command.timeout_ms * NS_PER_MS, MAX_TIME_NS)
        ctx.state.account(account)
        ctx.state.countdowns[account] = expires
    ctx.accept(command.number, account)
    ctx.events.write("countdown_set", account, expires_ns=expires)


def set_stp_group(ctx: Context, command: SetStpGroup) -> None:
    """MATCH-06: the operator puts an account into a group whose members never trade with each other."""
    member = command.member_account
    if not is_account(member):
        ctx.reject(command.number, 0, RejectReason.INVALID_ACCOUNT)
        return
    ctx.accept(command.number, 0)
    ctx.state.account(member).stp_group = command.stp_group
    ctx.events.write("stp_group_set", member, stp_group=command.stp_group)
