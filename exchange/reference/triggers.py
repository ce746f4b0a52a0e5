"""MATCH-10: the triggers of orders that wait: looked at when a command is done, and how an order goes off."""

from __future__ import annotations

from dataclasses import dataclass

from exchange.protocol.schema import CancelReason
from exchange.reference import liquidation
from exchange.reference.admission import has_margin, is_beyond_exposure, takes_to_open
from exchange.reference.cancelling import cancel_taker
from exchange.reference.caps import cap_of
from exchange.reference.context import Context
from exchange.reference.links import after_going_off
from exchange.reference.order import POST_ONLY, TRAILING_STOP, Order
from exchange.reference.placing import enter_or_rest
from exchange.reference.prices import is_in_band, slid_ticks, would_trade
from exchange.reference.state import OPEN
from exchange.reference.watching import best_with, is_reached, trigger_ticks, watched_ticks


@dataclass(slots=True, frozen=True)
class Triggered:
    """An order whose trigger was reached: by which price, and where the trigger was then."""

    order: Order
    trigger_ticks: int
    watched_ticks: int


def settle_down(ctx: Context) -> None:
    """Order of work: the liquidation queue until it is empty, then triggers, each with its liquidation queue."""
    queue: list[Triggered] = []
    liquidation.drain(ctx)
    while True:
        look(ctx, queue)
        queue = [triggered for triggered in queue if ctx.state.is_waiting(triggered.order)]
        if not queue:
            return
        go_off(ctx, queue.pop(0))
        liquidation.drain(ctx)


def look(ctx: Context, queue: list[Triggered]) -> None:
    """MATCH-10: trailing stops take the watched price; what is reached in an open symbol joins the queue, by order id.

    All orders that wait are looked at: those of symbols that were not touched would go off before.
    """
    queued = {triggered.order.order_id for triggered in queue}
    for order in ctx.state.waiting.values():
        if not order.armed:
            continue
        symbol = ctx.state.symbols[order.symbol]
        watched = watched_ticks(symbol, order)
        if order.order_type == TRAILING_STOP:
            order.best_ticks = best_with(order, watched)
        if symbol.state == OPEN and order.order_id not in queued and is_reached(symbol, order):
            queue.append(Triggered(order, trigger_ticks(symbol, order), watched))


def go_off(ctx: Context, triggered: Triggered) -> None:
    """MATCH-10, going off: an order no longer waits, its siblings go, and it acts like a new order if it may."""
    order, state = triggered.order, ctx.state
    state.unwait(order)
    order.armed, order.best_ticks = False, 0
    if order.closes_position:
        order.open_lots = state.position_of(order).reducible_lots(order.side)
    write_triggered(ctx, triggered)
    after_going_off(ctx, order)
    reason = what_forbids(ctx, order)
    if reason is not None:
        cancel_taker(ctx, order, reason, order.open_lots)
        return
    enter_or_rest(ctx, order)


def what_forbids(ctx: Context, order: Order) -> CancelReason | None:
    """MATCH-10: what is asked of an order that goes off, in the order of the page; a limit slides here (MATCH-04)."""
    state, symbol = ctx.state, ctx.state.symbols[order.symbol]
    if order.reduce_only and not state.position_of(order).reducible_lots(order.side):
        return CancelReason.REDUCE_ONLY
    if order.is_limit_type and not is_in_band(symbol, order.side, order.price_ticks):
        return CancelReason.PRICE_OUT_OF_BAND
    if order.flags & POST_ONLY:
        order.price_ticks = slid_ticks(symbol, order.side, order.flags, order.price_ticks)
        if would_trade(symbol, order.side, order.price_ticks):
            return CancelReason.POST_ONLY
    if is_beyond_exposure(state, order):
        return CancelReason.VALUE_OUT_OF_RANGE
    if not has_margin(state, order):
        return CancelReason.INSUFFICIENT_MARGIN
    cap = cap_of(state, order)
    if cap:
        return cap.cancel
    if takes_to_open(state, order):
        return CancelReason.MARK_HELD
    return None


def write_triggered(ctx: Context, triggered: Triggered) -> None:
    order = triggered.order
    ctx.events.write(
        "order_triggered",
        order.account,
        symbol=order.symbol,
        side=order.side,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        trigger_ticks=triggered.trigger_ticks,
        watched_ticks=triggered.watched_ticks,
        open_lots=order.open_lots,
    )
