"""The commands of orders: place, cancel, cancel all, amend - checked by ``admission``, carried out by ``matching``."""

from __future__ import annotations

from exchange.protocol.messages import AmendOrder, CancelAll, CancelOrder, PlaceOrder
from exchange.protocol.schema import CancelReason, RejectReason
from exchange.reference import admission, matching
from exchange.reference.context import Context
from exchange.reference.state import Order

BOTH_SIDES = 2


def place_order(ctx: Context, command: PlaceOrder) -> None:
    """MATCH-01..06: an order enters the book and trades, rests or ends."""
    reason = admission.check_place(ctx.state, command)
    if reason is not None:
        ctx.reject(command.number, command.account, reason, command.client_order_id)
        return
    position = ctx.state.position(command.account, command.symbol)
    limit, reach_lots = admission.effective_terms(position, command)
    order = Order(
        account=command.account,
        symbol=command.symbol,
        side=command.side,
        price_ticks=command.price_ticks,
        open_lots=command.qty_lots,
        order_id=ctx.state.take_order_id(),
        client_order_id=command.client_order_id,
        flags=command.flags,
        self_trade=command.self_trade,
    )
    ctx.accept(command.number, command.account, order)
    taker = matching.Taker(order, limit, command.time_in_force, reach_lots=reach_lots)
    matching.enter(ctx, taker)


def cancel_order(ctx: Context, command: CancelOrder) -> None:
    """MATCH-07: one resting order is cancelled."""
    if not admission.is_account(command.account):
        ctx.reject(
            command.number, command.account, RejectReason.INVALID_ACCOUNT, command.client_order_id
        )
        return
    order = admission.find_order(
        ctx.state, command.account, command.order_id, command.client_order_id
    )
    if order is None:
        ctx.reject(
            command.number, command.account, RejectReason.UNKNOWN_ORDER, command.client_order_id
        )
        return
    ctx.accept(command.number, command.account, order)
    ctx.cancel(order, CancelReason.REQUESTED)


def cancel_all(ctx: Context, command: CancelAll) -> None:
    """MATCH-07: all of the account's orders, of one symbol or all, of one side or both, in canonical order."""
    reason = check_cancel_all(ctx, command)
    if reason is not None:
        ctx.reject(command.number, command.account, reason)
        return
    ctx.accept(command.number, command.account)
    for order in list(ctx.state.account(command.account).orders()):
        if command.symbol in (0, order.symbol) and command.side in (BOTH_SIDES, order.side):
            ctx.cancel(order, CancelReason.CANCEL_ALL)


def check_cancel_all(ctx: Context, command: CancelAll) -> RejectReason | None:
    if not admission.is_account(command.account):
        return RejectReason.INVALID_ACCOUNT
    if command.symbol and command.symbol not in ctx.state.symbols:
        return RejectReason.UNKNOWN_SYMBOL
    if command.side > BOTH_SIDES:
        return RejectReason.INVALID_SIDE
    return None


def amend_order(ctx: Context, command: AmendOrder) -> None:
    """MATCH-05: a smaller quantity keeps its place; anything else goes through the loop again, with its old id."""
    reason = admission.check_amend(ctx.state, command)
    if reason is not None:
        ctx.reject(command.number, command.account, reason, command.client_order_id)
        return
    order = admission.find_order(
        ctx.state, command.account, command.order_id, command.client_order_id
    )
    assert order is not None, command
    price = command.price_ticks or order.price_ticks
    total = command.qty_lots or order.open_lots + order.filled_lots
    kept = admission.keeps_priority(order, price, total)
    previous_price, previous_open = order.price_ticks, order.open_lots
    if not kept:
        ctx.state.unrest(order)
    order.price_ticks, order.open_lots = price, total - order.filled_lots
    ctx.accept(command.number, command.account, order)
    ctx.events.write(
        "order_amended",
        order.account,
        symbol=order.symbol,
        side=order.side,
        kept_priority=kept,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        previous_price_ticks=previous_price,
        previous_open_lots=previous_open,
        price_ticks=order.price_ticks,
        open_lots=order.open_lots,
    )
    if not kept:
        matching.enter(ctx, matching.Taker(order, price))
