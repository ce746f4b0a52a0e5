"""MATCH: the loop in which a taker meets the book, and both sides of each fill are margined and settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from exchange.protocol.schema import CancelReason, FillRole
from exchange.reference import ledger, links, self_trade
from exchange.reference.cancelling import cancel, cancel_each, cancel_taker, siblings
from exchange.reference.context import Context
from exchange.reference.fill_or_kill import counted_orders
from exchange.reference.margin import instant_loss_atoms, maker_lots
from exchange.reference.order import FOK, LinkRole, Order
from exchange.reference.prices import crosses
from exchange.reference.resting import refresh, rest
from exchange.reference.state import Position


class Closing(Protocol):
    """What makes a taker the closing order of a liquidation: the engine's, not the account's."""

    def affordable_lots(self, lots: int, price_ticks: int) -> int:
        """LIQ-07: how many of these lots the fund's budget can bear at this price."""

    def settle(
        self, ctx: Context, taker: Order, lots: int, price_ticks: int, trade_id: int
    ) -> None:
        """LIQ-07: books the liquidated side of a fill and writes its events."""


@dataclass(slots=True)
class Taker:
    """An order on its way through the book."""

    order: Order
    limit_ticks: int  # effective limit; 0: a market order that found nothing
    closing: Closing | None = None
    reach_lots: int | None = None  # of a market order: the lots it counted, less those filled
    counted: set[int] = field(default_factory=set)  # orders that fill or kill relies on


# ------------------------------------------------------------------------------------------------ the loop


def enter(ctx: Context, taker: Taker) -> None:
    """MATCH-03: an accepted order enters the book: fill-or-kill asks first, then the loop, then the rest."""
    order = taker.order
    if order.time_in_force == FOK:
        counted = counted_orders(ctx.state, order, taker.limit_ticks)
        if counted is None:
            cancel_taker(ctx, order, CancelReason.FILL_OR_KILL, order.open_lots)
            return
        taker.counted = counted
    match(ctx, taker)
    finish(ctx, taker)


def match(ctx: Context, taker: Taker) -> None:
    """MATCH-01: price-time priority, fills at the maker's price, until nothing crosses or nothing is left."""
    order = taker.order
    book = ctx.state.symbols[order.symbol].book
    while order.open_lots > 0:
        maker = book.best(1 - order.side)
        if maker is None or not crosses(order.side, taker.limit_ticks, maker.price_ticks):
            return
        if is_own(ctx, taker, maker):
            self_trade.prevent(ctx, order, maker)
        elif not meet(ctx, taker, maker):
            return


def is_own(ctx: Context, taker: Taker, maker: Order) -> bool:
    """MATCH-06; a closing order has no group, but may meet orders of its account's other leg (LIQ-06)."""
    if taker.closing is not None:
        return taker.order.account == maker.account
    return ctx.state.is_own(taker.order.account, maker.account)


def meet(ctx: Context, taker: Taker, maker: Order) -> bool:
    """Steps 2 to 5 of the loop with one maker; False if the taker goes no further."""
    order = taker.order
    lots = min(order.open_lots, maker.front_lots)
    if order.reduce_only:
        lots = min(lots, ctx.state.position_of(order).reducible_lots(order.side))
        if lots == 0:
            cancel_rest(ctx, taker, CancelReason.REDUCE_ONLY)
            return False
    if maker.reduce_only:
        lots = min(lots, ctx.state.position_of(maker).reducible_lots(maker.side))
        if lots == 0:
            cancel(ctx, maker, CancelReason.REDUCE_ONLY)
            return True
    if maker.order_id not in taker.counted:
        lots = maker_lots(ctx.state, maker, lots, maker.price_ticks)
        if lots == 0:
            cancel(ctx, maker, CancelReason.INSUFFICIENT_MARGIN)
            return True
    if taker.closing is not None:
        lots = taker.closing.affordable_lots(lots, maker.price_ticks)
        if lots == 0:
            return False
    fill(ctx, taker, maker, lots)
    return True


def fill(ctx: Context, taker: Taker, maker: Order, lots: int) -> None:
    """Step 5 of the loop: both sides are settled, the maker's is told first, and then what follows from it.

    The taker pays its fee before the maker, which may get back what the taker paid and no more (ACCT-04).
    """
    order, price = taker.order, maker.price_ticks
    trade_id = take_trade(ctx, maker, order, lots, price)
    if taker.closing is not None:
        settle_order(ctx, maker, lots, price, trade_id, FillRole.MAKER)
        taker.closing.settle(ctx, order, lots, price, trade_id)
    else:
        ctx.state.symbols[order.symbol].market_last_ticks = price
        kept = may_still_lose(taker, ctx.state.position_of(order), lots)
        got = book_side(ctx, maker, lots, price)
        taken = book_side(ctx, order, lots, price)
        paid = pay_side(ctx, order, lots, price, FillRole.TAKER, kept_atoms=kept)
        fee = pay_side(ctx, maker, lots, price, FillRole.MAKER, most_rebate_atoms=paid)
        write_side(ctx, maker, ledger.Settled(got, fee), lots, price, trade_id, FillRole.MAKER)
        write_side(ctx, order, ledger.Settled(taken, paid), lots, price, trade_id, FillRole.TAKER)
    follow_fill(ctx, maker, order, lots)


def take_trade(ctx: Context, first: Order, second: Order, lots: int, price_ticks: int) -> int:
    """A trade takes lots off two orders, and is the last one of its symbol; gives its number."""
    for order in (first, second):
        order.open_lots -= lots
        order.filled_lots += lots
        if is_resting(ctx, order) and order.is_iceberg:
            order.shown_lots -= lots
    ctx.state.symbols[first.symbol].last_ticks = price_ticks
    return ctx.state.take_trade_id()


def is_resting(ctx: Context, order: Order) -> bool:
    return order.order_id in ctx.state.orders


def may_still_lose(taker: Taker, position: Position, lots: int) -> int:
    """ACCT-04: what the rest of a taker's order may lose against the mark, once so many lots are filled."""
    order = taker.order
    left = order.open_lots
    if taker.reach_lots is not None:
        taker.reach_lots -= lots
        left = min(left, taker.reach_lots)
    if order.reduce_only:
        left = min(left, position.reducible_lots(order.side) - lots)
    return max(0, instant_loss_atoms(position.symbol, order.side, left, taker.limit_ticks))


def settle_order(
    ctx: Context, order: Order, lots: int, price_ticks: int, trade_id: int, role: FillRole
) -> None:
    """ACCT-03..05 for one side of a fill, and its event; where nobody paid, as in an auction, there is no rebate."""
    realised = book_side(ctx, order, lots, price_ticks)
    fee = pay_side(ctx, order, lots, price_ticks, role)
    write_side(ctx, order, ledger.Settled(realised, fee), lots, price_ticks, trade_id, role)


def book_side(ctx: Context, order: Order, lots: int, price_ticks: int) -> int:
    """ACCT-03, ACCT-05 for one side of a fill; what it realises."""
    position = ctx.state.position_of(order)
    return ledger.book_fill(ctx.state, position, order.side, lots, price_ticks)


def pay_side(
    ctx: Context,
    order: Order,
    lots: int,
    price_ticks: int,
    role: FillRole,
    *,
    kept_atoms: int = 0,
    most_rebate_atoms: int = 0,
) -> int:
    """ACCT-04 for one side of a fill that is booked."""
    position = ctx.state.position_of(order)
    return ledger.pay_fill_fee(
        ctx.state,
        position,
        order.side,
        position.symbol.value_atoms(lots, price_ticks),
        fee_ppm(position, role),
        kept_atoms=kept_atoms,
        most_rebate_atoms=most_rebate_atoms,
    )


def write_side(
    ctx: Context,
    order: Order,
    settled: ledger.Settled,
    lots: int,
    price_ticks: int,
    trade_id: int,
    role: FillRole,
) -> None:
    """The event of a side that is settled."""
    position = ctx.state.position_of(order)
    ledger.write_fill(
        ctx,
        position,
        settled,
        role=role,
        side=order.side,
        trade_id=trade_id,
        qty_lots=lots,
        value_atoms=position.symbol.value_atoms(lots, price_ticks),
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        price_ticks=price_ticks,
        open_lots=order.open_lots,
    )


def fee_ppm(position: Position, role: FillRole) -> int:
    """ACCT-04, MATCH-12: makers and takers pay their own rates; in an auction both pay the maker's."""
    symbol = position.symbol
    return symbol.taker_fee_ppm if role == FillRole.TAKER else symbol.maker_fee_ppm


def follow_fill(ctx: Context, first: Order, second: Order, lots: int) -> None:
    """Step 5 of the loop, once both sides are settled: the book, links, orders that lost their sense, pools."""
    both = (first, second)
    for order in both:
        leave_or_refresh(ctx, order)
    for order in both:
        links.after_fill(ctx, order, lots)
    for order in both:
        cancel_spent_reduce_only(ctx, ctx.state.position_of(order), both)
    for order in both:
        ctx.check_after_fill(ctx.state.position_of(order))


def leave_or_refresh(ctx: Context, order: Order) -> None:
    """Step 5.2 of the loop: an order that rests and is filled leaves, an iceberg shows its next slice."""
    if not is_resting(ctx, order):
        return
    if order.open_lots == 0:
        ctx.state.unrest(order)
    elif order.front_lots == 0:
        refresh(ctx, order)


def cancel_spent_reduce_only(
    ctx: Context, position: Position, acting: Sequence[Order] = ()
) -> None:
    """MATCH-11: reduce-only orders that cannot reduce the position as it is are cancelled."""
    waiting = [
        order
        for order in position.waiting.values()
        if order.armed and not entry_lives(ctx, order, acting)
    ]
    spent = [
        order
        for order in [*position.orders, *waiting]
        if order.reduce_only and not position.reducible_lots(order.side)
    ]
    cancel_each(ctx, spent, CancelReason.REDUCE_ONLY)


def entry_lives(ctx: Context, order: Order, acting: Sequence[Order]) -> bool:
    """MATCH-14: an exit whose entry has lots left: in the book, waiting, or acting at this moment."""
    if order.link_role != LinkRole.EXIT:
        return False
    others = [*siblings(ctx.state, order), *acting]
    return any(
        o.link_role == LinkRole.ENTRY and o.link_group == order.link_group and o.open_lots > 0
        for o in others
    )


def cancel_rest(ctx: Context, taker: Taker, reason: CancelReason) -> None:
    """What is left of a taker is cancelled; what is left of a closing order just ends."""
    order = taker.order
    if taker.closing is None:
        cancel_taker(ctx, order, reason, order.open_lots)
    order.open_lots = 0


def finish(ctx: Context, taker: Taker) -> None:
    """After the loop: what is left rests, or is cancelled."""
    order = taker.order
    if order.open_lots == 0:
        return
    if order.time_in_force == FOK:
        # Only a reduce-only order can have reached what it had to and still have a rest.
        assert order.reduce_only, order
        cancel_rest(ctx, taker, CancelReason.REDUCE_ONLY)
    elif not order.rests:
        cancel_rest(ctx, taker, CancelReason.IMMEDIATE_OR_CANCEL)
    elif order.reduce_only and not ctx.state.position_of(order).reducible_lots(order.side):
        cancel_rest(ctx, taker, CancelReason.REDUCE_ONLY)
    else:
        rest(ctx, order)
