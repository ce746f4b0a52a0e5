"""How an order leaves without being filled: from the book, from among those that wait, or as the rest of a taker."""

from __future__ import annotations

from collections.abc import Iterable

from exchange.protocol.schema import CancelReason, OrderPlace
from exchange.reference.context import Context
from exchange.reference.order import LinkRole, Order
from exchange.reference.state import State


def cancel(ctx: Context, order: Order, reason: CancelReason, open_lots: int | None = None) -> None:
    """A live order is gone: it leaves the book, or no longer waits."""
    if ctx.state.is_waiting(order):
        ctx.state.unwait(order)
        place = OrderPlace.WAITING
    else:
        ctx.state.unrest(order)
        place = OrderPlace.BOOK
    lots = order.open_lots if open_lots is None else open_lots
    write_cancelled(ctx, order, reason, place, lots)
    let_exits_go(ctx, order)


def cancel_each(ctx: Context, orders: Iterable[Order], reason: CancelReason) -> None:
    """Several orders in their order; one may have gone with another before its turn."""
    for order in list(orders):
        if ctx.state.live_order(order.order_id):
            cancel(ctx, order, reason)


def cancel_taker(ctx: Context, order: Order, reason: CancelReason, open_lots: int) -> None:
    """What is left of an order that is neither in the book nor waiting is gone."""
    write_cancelled(ctx, order, reason, OrderPlace.TAKER, open_lots)
    order.open_lots = 0
    let_exits_go(ctx, order)


def write_cancelled(
    ctx: Context, order: Order, reason: CancelReason, place: OrderPlace, lots: int
) -> None:
    ctx.events.write(
        "order_cancelled",
        order.account,
        symbol=order.symbol,
        side=order.side,
        place=place,
        reason=reason,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        price_ticks=order.price_ticks,
        open_lots=lots,
    )


# ------------------------------------------------------------------------------------------------- MATCH-14


def siblings(state: State, order: Order) -> list[Order]:
    """MATCH-14: the other live orders of a linked list, by order id."""
    if not order.link_group:
        return []
    orders = state.account(order.account).orders()
    found = [o for o in orders if o.link_group == order.link_group and o is not order]
    return sorted(found, key=lambda o: o.order_id)


def let_exits_go(ctx: Context, order: Order) -> None:
    """MATCH-14: where the entry leaves, the exits that it has not armed are cancelled."""
    if order.link_role != LinkRole.ENTRY:
        return
    for exit_order in siblings(ctx.state, order):
        if ctx.state.is_waiting(exit_order) and not exit_order.armed:
            cancel(ctx, exit_order, CancelReason.LINKED)
