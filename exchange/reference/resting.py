"""MATCH-15: how an order joins its level, and what an iceberg shows there."""

from __future__ import annotations

from exchange.reference.context import Context
from exchange.reference.order import Order


def rest(ctx: Context, order: Order) -> None:
    """MATCH-03: what is left of an order joins the back of its level; an iceberg shows its first slice."""
    ctx.state.rest(order)
    write_rested(ctx, order)


def write_rested(ctx: Context, order: Order) -> None:
    ctx.events.write(
        "order_rested",
        order.account,
        symbol=order.symbol,
        side=order.side,
        leg=order.leg,
        flags=order.flags,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        price_ticks=order.price_ticks,
        open_lots=order.open_lots,
    )
    if order.is_iceberg:
        write_shown(ctx, order, refreshed=True)


def refresh(ctx: Context, order: Order) -> None:
    """MATCH-15: the slice of an iceberg is used up: the next one goes to the back of the level."""
    ctx.state.unrest(order)
    ctx.state.rest(order)
    write_shown(ctx, order, refreshed=True)


def cut_slice(ctx: Context, order: Order) -> None:
    """MATCH-05: an iceberg that was made smaller shows at most what is open, in its place."""
    if order.shown_lots > order.open_lots:
        order.shown_lots = order.open_lots
        write_shown(ctx, order, refreshed=False)


def write_shown(ctx: Context, order: Order, *, refreshed: bool) -> None:
    ctx.events.write(
        "order_shown",
        order.account,
        symbol=order.symbol,
        side=order.side,
        refreshed=refreshed,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        price_ticks=order.price_ticks,
        shown_lots=order.shown_lots,
    )
