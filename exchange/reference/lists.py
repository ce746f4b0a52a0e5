"""MATCH-14: several orders in one command, each for itself, all or none, or linked with each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from exchange.protocol.messages import OrderEntry, PlaceOrders
from exchange.protocol.schema import MAX_LIST_ORDERS, ListMode, RejectReason
from exchange.reference.admission import (
    Beside,
    check_form,
    check_place,
    is_account,
    may_rest,
)
from exchange.reference.client_ids import repeated
from exchange.reference.context import Context
from exchange.reference.legs import as_it_counts
from exchange.reference.links import write_waiting
from exchange.reference.order import (
    CLOSE_POSITION,
    GTD,
    LIMIT,
    LINKED,
    POST_ONLY,
    REDUCE_ONLY,
    TRIGGER_TYPES,
    LinkRole,
    Order,
)
from exchange.reference.placing import act, enter_or_rest, take_in
from exchange.reference.resting import write_rested
from exchange.reference.triggers import settle_down

Entries = Sequence[OrderEntry]


class Refused(NamedTuple):
    """Why an order of a list may not be, and the client order id by which it is told."""

    reason: RejectReason
    client_order_id: int


def place_orders(ctx: Context, command: PlaceOrders) -> None:
    """MATCH-14: a list of orders, as its mode says."""
    entries = tuple(map(as_it_counts, command.orders))
    command = msgspec.structs.replace(command, orders=entries)
    if not is_account(command.account):
        ctx.reject(command.number, command.account, RejectReason.INVALID_ACCOUNT)
    elif not fits(command.list_mode, command.orders):
        ctx.reject(command.number, command.account, RejectReason.INVALID_LIST)
    elif command.list_mode == ListMode.EACH:
        place_each(ctx, command)
    elif command.list_mode == ListMode.ALL_OR_NOTHING:
        place_all_or_nothing(ctx, command)
    else:
        place_linked(ctx, command)


# ---------------------------------------------------------------------------------------- what fits the mode


def fits(mode: int, orders: Entries) -> bool:
    """MATCH-14: the count and the mode are of the table, and the orders fit the mode."""
    if mode > max(ListMode) or not 1 <= len(orders) <= MAX_LIST_ORDERS:
        return False
    if mode == ListMode.ALL_OR_NOTHING:
        return all(order.flags & POST_ONLY or waits(order) for order in orders)
    if mode == ListMode.ONE_CANCELS_OTHER:
        return fits_one_cancels_other(orders)
    if mode == ListMode.ENTRY_WITH_EXITS:
        return fits_entry_with_exits(orders)
    return True


def waits(order: OrderEntry) -> bool:
    return order.order_type in TRIGGER_TYPES


def fits_one_cancels_other(orders: Entries) -> bool:
    """MATCH-14: two of one symbol and leg; what does not wait is a limit order that rests, and one waits."""
    return (
        len(orders) == 2
        and orders[0].symbol == orders[1].symbol
        and orders[0].leg == orders[1].leg
        and all(waits(o) or (o.order_type == LIMIT and may_rest(o)) for o in orders)
        and any(map(waits, orders))
    )


def fits_entry_with_exits(orders: Entries) -> bool:
    """MATCH-14: an order that may open, and one or two of the other side that wait and only reduce."""
    entry, *exits = orders
    return (
        1 <= len(exits) <= 2
        and not entry.flags & (REDUCE_ONLY | CLOSE_POSITION)
        and all(
            waits(order)
            and (order.symbol, order.leg) == (entry.symbol, entry.leg)
            and {order.side, entry.side} == {0, 1}
            and order.flags & (REDUCE_ONLY | CLOSE_POSITION)
            and order.time_in_force != GTD
            for order in exits
        )
    )


# ------------------------------------------------------------------------------------------------- results


def write_entry_accepted(
    ctx: Context, account: int, index: int, order_id: int, client_order_id: int
) -> None:
    ctx.events.write(
        "entry_accepted", account, index=index, order_id=order_id, client_order_id=client_order_id
    )


def answers_repeats(ctx: Context, command: PlaceOrders) -> bool:
    """MATCH-08, MATCH-14: a list whose orders were all accepted before is answered, and nothing else happens.

    Where only some were, their client order ids are taken, and the checks refuse them.
    """
    account = command.account
    known = [
        repeated(ctx.state, account, terms)
        for terms in command.orders
        if check_form(ctx.state, account, terms, ctx.timestamp_ns) is None
    ]
    answers = [repeat for repeat in known if repeat is not None]
    ids = {repeat.client_order_id for repeat in answers}
    if len(ids) < len(command.orders):  # two equal ones were never accepted together
        return False
    ctx.accept(command.number, account)
    for index, repeat in enumerate(answers):
        write_entry_accepted(ctx, account, index, repeat.order_id, repeat.client_order_id)
    return True


# --------------------------------------------------------------------------------------------------- each


def place_each(ctx: Context, command: PlaceOrders) -> None:
    """MATCH-14: one order after the other, as if each were a command."""
    ctx.accept(command.number, command.account)
    for index, terms in enumerate(command.orders):
        place_one(ctx, command.account, index, terms)
        settle_down(ctx)


def place_one(ctx: Context, account: int, index: int, terms: OrderEntry) -> None:
    client_id = terms.client_order_id
    reason = check_form(ctx.state, account, terms, ctx.timestamp_ns)
    if reason is None:
        known = repeated(ctx.state, account, terms)
        if known is not None:
            write_entry_accepted(ctx, account, index, known.order_id, client_id)
            return
        reason = check_place(ctx.state, account, terms)
    if reason is not None:
        ctx.events.write(
            "entry_rejected", account, index=index, reason=reason, client_order_id=client_id
        )
        return
    order = take_in(ctx, account, terms)
    write_entry_accepted(ctx, account, index, order.order_id, client_id)
    act(ctx, order)


# -------------------------------------------------------------------------------------------- all or nothing


def place_all_or_nothing(ctx: Context, command: PlaceOrders) -> None:
    """MATCH-14: each order rests or waits with those before it in place; if one is refused, none is there."""
    account, state = command.account, ctx.state
    if answers_repeats(ctx, command):
        return
    before = state.next_order_id, state.next_turn, state.account(account).remembered
    placed: list[Order] = []
    for terms in command.orders:
        reason = check_form(state, account, terms, ctx.timestamp_ns) or check_place(
            state, account, terms
        )
        if reason is not None:
            take_back(ctx, placed)
            state.next_order_id, state.next_turn, state.account(account).remembered = before
            ctx.reject(command.number, account, reason, terms.client_order_id)
            return
        order = take_in(ctx, account, terms)
        placed.append(order)
        if waits(terms):
            state.wait(order)
        else:
            state.rest(order)
    ctx.accept(command.number, account)
    for index, order in enumerate(placed):
        write_entry_accepted(ctx, account, index, order.order_id, order.client_order_id)
        if state.is_waiting(order):
            write_waiting(ctx, order)
        else:
            write_rested(ctx, order)


def take_back(ctx: Context, orders: list[Order]) -> None:
    """Nothing has changed: orders that were put in place are taken out, and nobody hears of them."""
    for order in orders:
        if ctx.state.is_waiting(order):
            ctx.state.unwait(order)
        else:
            ctx.state.unrest(order)


# ------------------------------------------------------------------------------------------------- linked


def place_linked(ctx: Context, command: PlaceOrders) -> None:
    """MATCH-14: all are checked, then all are accepted and wait, and then the one that does not wait acts."""
    account, entries = command.account, command.orders
    if answers_repeats(ctx, command):
        return
    refused = check_linked(ctx, command)
    if refused is not None:
        ctx.reject(command.number, account, refused.reason, refused.client_order_id)
        return
    ctx.accept(command.number, account)
    orders = [take_in(ctx, account, terms) for terms in entries]
    for index, order in enumerate(orders):
        link(order, orders[0].order_id, role_of(command.list_mode, index))
        write_entry_accepted(ctx, account, index, order.order_id, order.client_order_id)
    for order in orders:
        if order.order_type in TRIGGER_TYPES:
            ctx.state.wait(order)
            write_waiting(ctx, order)
    for order in orders:
        if order.order_type not in TRIGGER_TYPES:
            enter_or_rest(ctx, order)


def role_of(mode: int, index: int) -> LinkRole:
    """MATCH-14: the part of an order by its place in the list."""
    if mode == ListMode.ONE_CANCELS_OTHER:
        return LinkRole.ONE_CANCELS_OTHER
    return LinkRole.EXIT if index else LinkRole.ENTRY


def link(order: Order, group: int, role: LinkRole) -> None:
    """MATCH-14: an order becomes part of a linked list; an exit is not armed yet."""
    order.link_group, order.link_role = group, role
    order.flags |= LINKED
    if role == LinkRole.EXIT:
        order.given_lots, order.open_lots, order.armed = order.open_lots, 0, False


def check_linked(ctx: Context, command: PlaceOrders) -> Refused | None:
    """MATCH-14: the first order of the list that is refused, each checked as if it came alone."""
    account = command.account
    for index, terms in enumerate(command.orders):
        before = command.orders[:index]
        beside = Beside(
            is_exit=role_of(command.list_mode, index) == LinkRole.EXIT,
            orders_before=len(before),
            client_ids_before=frozenset(o.client_order_id for o in before if o.client_order_id),
        )
        reason = check_form(ctx.state, account, terms, ctx.timestamp_ns) or check_place(
            ctx.state, account, terms, beside
        )
        if reason is not None:
            return Refused(reason, terms.client_order_id)
    return None
