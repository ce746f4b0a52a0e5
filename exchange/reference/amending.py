"""MATCH-05: one order is changed in one step: price, total quantity, display, expiry, trigger."""

from __future__ import annotations

from dataclasses import dataclass

from exchange.protocol.messages import AmendOrder
from exchange.protocol.schema import MAX_PRICE_TICKS, MAX_QTY_LOTS, PPM, RejectReason
from exchange.reference.admission import (
    TRADING,
    exceeds_exposure,
    find_order,
    is_account,
    would_open,
)
from exchange.reference.caps import cap_passed
from exchange.reference.context import Context
from exchange.reference.links import write_waiting
from exchange.reference.margin import Trial, admits
from exchange.reference.order import (
    GTD,
    POST_ONLY,
    STOPS,
    TAKE_PROFITS,
    TRAILING_STOP,
    LinkRole,
    Order,
)
from exchange.reference.placing import enter_or_rest
from exchange.reference.prices import is_in_band, slid_ticks, would_trade
from exchange.reference.resting import cut_slice
from exchange.reference.state import OPEN, State
from exchange.reference.watching import is_reached


@dataclass(slots=True, frozen=True)
class Terms:
    """What can be changed of an order; a field of 0 in the command leaves it as it was."""

    price_ticks: int
    total_lots: int
    display_lots: int
    expires_ns: int
    trigger_ticks: int
    callback_ticks: int
    callback_ppm: int


def present_terms(state: State, order: Order) -> Terms:
    """The order as it is; the quantity of an exit that waits is the one that it was given (MATCH-14)."""
    is_waiting_exit = state.is_waiting(order) and order.link_role == LinkRole.EXIT
    return Terms(
        price_ticks=order.price_ticks,
        total_lots=order.given_lots if is_waiting_exit else order.total_lots,
        display_lots=order.display_lots,
        expires_ns=order.expires_ns,
        trigger_ticks=order.trigger_ticks,
        callback_ticks=order.callback_ticks,
        callback_ppm=order.callback_ppm,
    )


def amended_terms(state: State, order: Order, command: AmendOrder) -> Terms:
    """The order as it would be; of an order that rests the limit may slide (MATCH-04)."""
    now = present_terms(state, order)
    price = command.price_ticks or now.price_ticks
    if price != now.price_ticks and not state.is_waiting(order):
        price = slid_ticks(state.symbols[order.symbol], order.side, order.flags, price)
    return Terms(
        price_ticks=price,
        total_lots=command.qty_lots or now.total_lots,
        display_lots=command.display_lots or now.display_lots,
        expires_ns=command.expires_ns or now.expires_ns,
        trigger_ticks=command.trigger_ticks or now.trigger_ticks,
        callback_ticks=command.callback_ticks or now.callback_ticks,
        callback_ppm=command.callback_ppm or now.callback_ppm,
    )


# ------------------------------------------------------------------------------------------------ checks


def check_amend(state: State, command: AmendOrder, now_ns: int) -> RejectReason | None:
    """MATCH-05: the first reason, in the order of the page, why the order may not be amended."""
    reason = check_form(command)
    if reason is not None:
        return reason
    order = find_order(state, command.account, command.order_id, command.client_order_id)
    if order is None:
        return RejectReason.UNKNOWN_ORDER
    if state.symbols[order.symbol].state not in TRADING:
        return RejectReason.SYMBOL_STATE_FORBIDS
    after = amended_terms(state, order, command)
    return (
        check_fit(state, order, command, after, now_ns)
        or check_filters(state, order, command, after)
        or check_risk(state, order, after)
    )


def check_form(command: AmendOrder) -> RejectReason | None:
    """MATCH-05: what can be seen from the command alone."""
    if not is_account(command.account):
        return RejectReason.INVALID_ACCOUNT
    if not 0 <= command.price_ticks <= MAX_PRICE_TICKS:
        return RejectReason.INVALID_PRICE
    if not 0 <= command.qty_lots <= MAX_QTY_LOTS:
        return RejectReason.INVALID_QUANTITY
    if not (
        0 <= command.trigger_ticks <= MAX_PRICE_TICKS
        and 0 <= command.callback_ticks <= MAX_PRICE_TICKS
        and command.callback_ppm < PPM
        and not (command.callback_ticks and command.callback_ppm)
    ):
        return RejectReason.INVALID_TRIGGER
    if command.display_lots < 0:
        return RejectReason.INVALID_DISPLAY
    if command.expires_ns < 0:
        return RejectReason.INVALID_EXPIRY
    return None


def check_fit(
    state: State, order: Order, command: AmendOrder, after: Terms, now_ns: int
) -> RejectReason | None:
    """MATCH-05: fields that this order does not have, or that would not change it."""
    waits = state.is_waiting(order)
    if command.price_ticks and waits and not order.is_limit_type:
        return RejectReason.INVALID_PRICE
    is_waiting_exit = waits and order.link_role == LinkRole.EXIT
    if command.qty_lots and (order.closes_position or is_waiting_exit):
        return RejectReason.INVALID_QUANTITY
    if command.trigger_ticks and not (waits and order.order_type in STOPS | TAKE_PROFITS):
        return RejectReason.INVALID_TRIGGER
    trails = waits and order.order_type == TRAILING_STOP
    if command.callback_ticks and not (trails and order.callback_ticks):
        return RejectReason.INVALID_TRIGGER
    if command.callback_ppm and not (trails and order.callback_ppm):
        return RejectReason.INVALID_TRIGGER
    if command.display_lots and (not order.is_iceberg or command.display_lots > after.total_lots):
        return RejectReason.INVALID_DISPLAY
    if command.expires_ns and (order.time_in_force != GTD or command.expires_ns <= now_ns):
        return RejectReason.INVALID_EXPIRY
    if after == present_terms(state, order):
        return RejectReason.NOTHING_TO_AMEND
    return None


def check_filters(
    state: State, order: Order, command: AmendOrder, after: Terms
) -> RejectReason | None:
    """MATCH-05, MATCH-09: what the symbol allows, at the price that was given, before it slides (MATCH-04)."""
    symbol, now, waits = state.symbols[order.symbol], present_terms(state, order), state.is_waiting
    quantity, price = command.qty_lots, command.price_ticks or order.price_ticks
    if 0 < quantity <= order.filled_lots:
        return RejectReason.QUANTITY_BELOW_FILLED
    if 0 < quantity < symbol.min_qty_lots:
        return RejectReason.QUANTITY_BELOW_MINIMUM
    if quantity > symbol.max_qty_lots:
        return RejectReason.QUANTITY_ABOVE_MAXIMUM
    price_changes, quantity_changes = price != now.price_ticks, after.total_lots != now.total_lots
    if (
        (price_changes or quantity_changes)
        and not order.reduce_only
        and order.is_limit_type
        and symbol.value_atoms(after.total_lots, price) < symbol.min_notional_atoms
    ):
        return RejectReason.NOTIONAL_BELOW_MINIMUM
    if price_changes and not waits(order) and not is_in_band(symbol, order.side, price):
        return RejectReason.PRICE_OUT_OF_BAND
    return None


def keeps_priority(order: Order, after: Terms) -> bool:
    """MATCH-05: at the same price, a quantity that does not grow stays where it is in the queue."""
    return after.price_ticks == order.price_ticks and after.total_lots <= order.total_lots


def check_risk(state: State, order: Order, after: Terms) -> RejectReason | None:
    """MATCH-05: what the amended order would risk, with the old one taken out, or that it comes too late."""
    if state.is_waiting(order):
        return check_trigger(state, order, after)
    if keeps_priority(order, after):
        return None
    position = state.position_of(order)
    symbol, side, price = position.symbol, order.side, after.price_ticks
    lots = after.total_lots - order.filled_lots
    if exceeds_exposure(symbol, lots, price, removed=order):
        return RejectReason.VALUE_OUT_OF_RANGE
    if (
        order.flags & POST_ONLY
        and price != order.price_ticks
        and symbol.state == OPEN
        and would_trade(symbol, side, price)
    ):
        return RejectReason.POST_ONLY_WOULD_TAKE
    trial = Trial(position, side, lots, price, order.reduce_only, removed=order)
    if not admits(state, trial):
        return RejectReason.INSUFFICIENT_MARGIN
    cap = cap_passed(trial)
    if cap:
        return cap.reject
    is_forbidden = symbol.is_held and would_open(trial, order.flags)
    return RejectReason.MARK_HELD if is_forbidden else None


def check_trigger(state: State, order: Order, after: Terms) -> RejectReason | None:
    """MATCH-05: a new trigger is not one that is reached already; a trailing stop is never asked."""
    if after.trigger_ticks == order.trigger_ticks:
        return None
    before = order.trigger_ticks
    order.trigger_ticks = after.trigger_ticks
    reached = is_reached(state.symbols[order.symbol], order)
    order.trigger_ticks = before
    return RejectReason.TRIGGER_ALREADY_TRUE if reached else None


# ------------------------------------------------------------------------------------------------ effect


def amend_order(ctx: Context, command: AmendOrder) -> None:
    """MATCH-05: a smaller quantity keeps its place; a new price goes through the loop again, with the old id."""
    state = ctx.state
    reason = check_amend(state, command, ctx.timestamp_ns)
    if reason is not None:
        ctx.reject(command.number, command.account, reason, command.client_order_id)
        return
    order = find_order(state, command.account, command.order_id, command.client_order_id)
    assert order is not None, command
    after = amended_terms(state, order, command)
    ctx.accept_order(command.number, order)
    if state.is_waiting(order):
        amend_waiting(ctx, order, after)
    elif keeps_priority(order, after):
        amend_in_place(ctx, order, after)
    else:
        amend_and_enter(ctx, order, after)


def amend_waiting(ctx: Context, order: Order, after: Terms) -> None:
    """MATCH-05: an order that waits keeps its place among those that do, a trailing stop its best price."""
    order.price_ticks = after.price_ticks
    if order.link_role != LinkRole.EXIT:
        order.open_lots = after.total_lots
    order.display_lots, order.expires_ns = after.display_lots, after.expires_ns
    order.trigger_ticks = after.trigger_ticks
    order.callback_ticks, order.callback_ppm = after.callback_ticks, after.callback_ppm
    write_waiting(ctx, order)


def amend_in_place(ctx: Context, order: Order, after: Terms) -> None:
    """MATCH-05: neither price nor place changes; a new display quantity counts from the next slice on."""
    previous_open = order.open_lots
    order.open_lots = after.total_lots - order.filled_lots
    order.display_lots, order.expires_ns = after.display_lots, after.expires_ns
    if order.open_lots != previous_open:
        write_amended(ctx, order, order.price_ticks, previous_open, kept_priority=True)
    if order.is_iceberg:
        cut_slice(ctx, order)


def amend_and_enter(ctx: Context, order: Order, after: Terms) -> None:
    """MATCH-05: with a new price or more lots it leaves the book and comes as a taker."""
    previous_price, previous_open = order.price_ticks, order.open_lots
    ctx.state.unrest(order)
    order.price_ticks, order.open_lots = after.price_ticks, after.total_lots - order.filled_lots
    order.display_lots, order.expires_ns = after.display_lots, after.expires_ns
    write_amended(ctx, order, previous_price, previous_open, kept_priority=False)
    enter_or_rest(ctx, order)


def write_amended(
    ctx: Context, order: Order, previous_price: int, previous_open: int, *, kept_priority: bool
) -> None:
    ctx.events.write(
        "order_amended",
        order.account,
        symbol=order.symbol,
        side=order.side,
        kept_priority=kept_priority,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        previous_price_ticks=previous_price,
        previous_open_lots=previous_open,
        price_ticks=order.price_ticks,
        open_lots=order.open_lots,
    )
