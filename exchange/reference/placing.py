"""The orders of accounts, placed: one alone (place_order), and what each of a list (place_orders) has in common."""

from __future__ import annotations

from exchange.protocol.messages import PlaceOrder
from exchange.reference.admission import Terms, check_form, check_place, new_order
from exchange.reference.client_ids import remember, repeated
from exchange.reference.context import Context
from exchange.reference.legs import as_it_counts
from exchange.reference.links import write_waiting
from exchange.reference.matching import Taker, enter
from exchange.reference.order import TRIGGER_TYPES, Order
from exchange.reference.prices import effective_terms
from exchange.reference.resting import rest
from exchange.reference.state import OPEN


def place_order(ctx: Context, command: PlaceOrder) -> None:
    """MATCH-01..06, MATCH-10: an order trades, rests, waits or ends."""
    account, command = command.account, as_it_counts(command)
    reason = check_form(ctx.state, account, command, ctx.timestamp_ns)
    if reason is None:
        known = repeated(ctx.state, account, command)
        if known is not None:
            ctx.accept(
                command.number,
                account,
                order_id=known.order_id,
                client_order_id=known.client_order_id,
            )
            return
        reason = check_place(ctx.state, account, command)
    if reason is not None:
        ctx.reject(command.number, account, reason, command.client_order_id)
        return
    order = take_in(ctx, account, command)
    ctx.accept_order(command.number, order)
    act(ctx, order)


def take_in(ctx: Context, account: int, terms: Terms) -> Order:
    """An order that was admitted gets its order id, and its client order id is remembered (MATCH-08)."""
    order = new_order(ctx.state, account, terms)
    order.order_id = ctx.state.take_order_id()
    remember(ctx.state, order, terms)
    return order


def act(ctx: Context, order: Order) -> None:
    """What an accepted order does at first: it waits, trades, or rests where orders are collected."""
    if order.order_type in TRIGGER_TYPES:
        ctx.state.wait(order)
        write_waiting(ctx, order)
    else:
        enter_or_rest(ctx, order)


def enter_or_rest(ctx: Context, order: Order) -> None:
    """MATCH-12: an order goes through the loop; in a symbol that collects orders it rests at once."""
    if ctx.state.symbols[order.symbol].state != OPEN:
        rest(ctx, order)
        return
    limit, lots = effective_terms(ctx.state, order)
    # A limit order has no reach of its own: its open lots are all that it may still trade.
    enter(ctx, Taker(order, limit, reach_lots=None if order.is_limit_type else lots))
