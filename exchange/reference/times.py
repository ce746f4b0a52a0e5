"""What happens because time has passed: orders that expire, and countdowns that run out."""

from __future__ import annotations

from exchange.protocol.schema import CancelReason
from exchange.reference.cancelling import cancel_each
from exchange.reference.context import Context
from exchange.reference.orders import is_halted
from exchange.reference.state import State

ORDER, COUNTDOWN = 0, 1


def expire(ctx: Context) -> None:
    """MATCH-03, MATCH-07: what is due at the time of the command, before the command acts."""
    for _, kind, number in sorted(due(ctx.state, ctx.timestamp_ns)):
        if kind == COUNTDOWN:
            run_out(ctx, number)
        else:
            order = ctx.state.live_order(number)
            cancel_each(ctx, [order] if order else [], CancelReason.EXPIRED)


def due(state: State, now_ns: int) -> list[tuple[int, int, int]]:
    """(time, order or countdown, order id or account) of all that is due: the order in which it goes."""
    orders = [
        (order.expires_ns, ORDER, order.order_id)
        for order in state.dated.values()
        if order.expires_ns <= now_ns
    ]
    countdowns = [(at, COUNTDOWN, a) for a, at in state.countdowns.items() if at <= now_ns]
    return orders + countdowns


def run_out(ctx: Context, account: int) -> None:
    """MATCH-07: all orders of the account go, but for those of halted symbols, and there is no countdown any more."""
    del ctx.state.countdowns[account]
    orders = ctx.state.account(account).orders()
    cancel_each(ctx, [o for o in orders if not is_halted(ctx.state, o)], CancelReason.COUNTDOWN)
