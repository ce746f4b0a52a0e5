"""MATCH-14: what a fill or a trigger of one order of a linked list does to the others."""

from __future__ import annotations

from exchange.protocol.schema import CancelReason
from exchange.reference.cancelling import cancel, siblings
from exchange.reference.context import Context
from exchange.reference.order import LinkRole, Order
from exchange.reference.watching import trigger_ticks


def after_fill(ctx: Context, order: Order, lots: int) -> None:
    """MATCH-14: a fill cancels the other of a pair; a fill of an entry arms its exits."""
    if order.link_role == LinkRole.ONE_CANCELS_OTHER:
        cancel_siblings(ctx, order)
    elif order.link_role == LinkRole.ENTRY:
        for exit_order in siblings(ctx.state, order):
            arm(ctx, exit_order, lots)


def arm(ctx: Context, exit_order: Order, lots: int) -> None:
    """MATCH-14: an exit may go off with so many lots more, up to its own quantity; it says so if that is news."""
    armed_before, open_before = exit_order.armed, exit_order.open_lots
    exit_order.armed = True
    if not exit_order.closes_position:
        exit_order.open_lots = min(open_before + lots, exit_order.given_lots)
    if (armed_before, open_before) != (True, exit_order.open_lots):
        write_waiting(ctx, exit_order)


def after_going_off(ctx: Context, order: Order) -> None:
    """MATCH-14: one of a pair cancels the other; an exit the other exit, then what is left of the entry."""
    if order.link_role in (LinkRole.ONE_CANCELS_OTHER, LinkRole.EXIT):
        cancel_siblings(ctx, order)


def cancel_siblings(ctx: Context, order: Order) -> None:
    """MATCH-14: exits before the entry, otherwise by order id."""
    others = siblings(ctx.state, order)
    for other in sorted(others, key=lambda o: o.link_role == LinkRole.ENTRY):
        cancel(ctx, other, CancelReason.LINKED)


def write_waiting(ctx: Context, order: Order) -> None:
    """MATCH-10: says that an order waits, as its fields are now."""
    ctx.events.write(
        "order_waiting",
        order.account,
        symbol=order.symbol,
        side=order.side,
        leg=order.leg,
        order_type=order.order_type,
        trigger_by=order.trigger_by,
        flags=order.flags,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        trigger_ticks=trigger_ticks(ctx.state.symbols[order.symbol], order),
        price_ticks=order.price_ticks,
        open_lots=order.open_lots,
    )
