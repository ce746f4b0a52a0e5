"""MATCH: the loop in which a taker meets the book, and both sides of each fill are margined and settled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from exchange.protocol.schema import (
    CancelReason,
    FillRole,
    OrderPlace,
    SelfTradePrevention,
    TimeInForce,
)
from exchange.reference import ledger
from exchange.reference.context import Context
from exchange.reference.margin import available_atoms, instant_loss_atoms, maker_lots
from exchange.reference.state import BUY, CROSS, Order, Position, State, Symbol

GTC = int(TimeInForce.GTC)
FOK = int(TimeInForce.FOK)


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
    time_in_force: int = GTC
    closing: Closing | None = None
    reach_lots: int | None = None  # of a market order: the lots it counted, less those filled
    counted: set[int] = field(default_factory=set)  # orders that fill or kill relies on


def crosses(side: int, limit_ticks: int, opposite_price_ticks: int) -> bool:
    """Whether an order of this side and limit may trade at a price of the other side."""
    if side == BUY:
        return opposite_price_ticks <= limit_ticks
    return 0 < limit_ticks <= opposite_price_ticks


def market_limit(symbol: Symbol, side: int, lots: int) -> tuple[int, int]:
    """MATCH-02: (effective limit, lots found) of a market order: the worst price that it would reach."""
    limit, found = 0, 0
    band = symbol.price_band_ppm
    for order in symbol.book.of_side(1 - side):
        if found >= lots or (band >= 0 and not is_in_band(symbol, side, order.price_ticks)):
            break
        limit = order.price_ticks
        found += order.open_lots
    return limit, min(found, lots)


def is_in_band(symbol: Symbol, side: int, price_ticks: int) -> bool:
    """MATCH-09: a buy is not above, a sell not below the price band around the mark."""
    band = symbol.price_band_ppm
    if band < 0:
        return True
    if side == BUY:
        return price_ticks <= symbol.highest_buy_ticks(band)
    return price_ticks >= symbol.lowest_sell_ticks(band)


# ------------------------------------------------------------------------------------------------ the loop


def enter(ctx: Context, taker: Taker) -> None:
    """MATCH-03: an accepted order enters the book: fill-or-kill asks first, then the loop, then the rest."""
    order = taker.order
    if taker.time_in_force == FOK and not can_fill_whole(ctx.state, taker):
        ctx.write_cancelled(order, CancelReason.FILL_OR_KILL, order.open_lots, OrderPlace.TAKER)
        return
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
        if maker.account == order.account:
            prevent_self_trade(ctx, taker, maker)
        elif not meet(ctx, taker, maker):
            return


def meet(ctx: Context, taker: Taker, maker: Order) -> bool:
    """Steps 2 to 5 of the loop with one maker; False if the taker goes no further."""
    order = taker.order
    lots = min(order.open_lots, maker.open_lots)
    if order.reduce_only:
        lots = min(lots, ctx.state.position_of(order).reducible_lots(order.side))
        if lots == 0:
            cancel_rest(ctx, taker, CancelReason.REDUCE_ONLY)
            return False
    if maker.reduce_only:
        lots = min(lots, ctx.state.position_of(maker).reducible_lots(maker.side))
        if lots == 0:
            ctx.cancel(maker, CancelReason.REDUCE_ONLY)
            return True
    if maker.order_id not in taker.counted:
        lots = maker_lots(ctx.state, maker, lots)
        if lots == 0:
            ctx.cancel(maker, CancelReason.INSUFFICIENT_MARGIN)
            return True
    if taker.closing is not None:
        lots = taker.closing.affordable_lots(lots, maker.price_ticks)
        if lots == 0:
            return False
    fill(ctx, taker, maker, lots)
    return True


def fill(ctx: Context, taker: Taker, maker: Order, lots: int) -> None:
    """Step 5 of the loop: the maker is settled, then the taker; orders that lost their sense go; pools are checked."""
    state, order = ctx.state, taker.order
    maker_position, taker_position = state.position_of(maker), state.position_of(order)
    maker_before, taker_before = maker_position.lots, taker_position.lots
    price = maker.price_ticks
    trade_id = state.take_trade_id()
    maker.open_lots -= lots
    maker.filled_lots += lots
    order.open_lots -= lots
    order.filled_lots += lots

    settle_order(ctx, maker, lots, price, trade_id, FillRole.MAKER, kept_atoms=0)
    if taker.closing is not None:
        taker.closing.settle(ctx, order, lots, price, trade_id)
    else:
        kept = may_still_lose(taker, taker_position, lots)
        settle_order(ctx, order, lots, price, trade_id, FillRole.TAKER, kept_atoms=kept)
    if maker.open_lots == 0:
        state.unrest(maker)
    cancel_spent_reduce_only(ctx, maker_position, maker_before)
    cancel_spent_reduce_only(ctx, taker_position, taker_before)
    ctx.check_after_fill(maker_position)
    ctx.check_after_fill(taker_position)


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
    ctx: Context,
    order: Order,
    lots: int,
    price_ticks: int,
    trade_id: int,
    role: FillRole,
    *,
    kept_atoms: int,
) -> None:
    """ACCT-03..05 for one side of a fill, and its event."""
    position = ctx.state.position_of(order)
    symbol = position.symbol
    fee_ppm = symbol.maker_fee_ppm if role == FillRole.MAKER else symbol.taker_fee_ppm
    settled = ledger.settle_fill(
        ctx.state, position, order.side, lots, price_ticks, fee_ppm, kept_atoms
    )
    ledger.write_fill(
        ctx,
        position,
        settled,
        role=role,
        side=order.side,
        trade_id=trade_id,
        qty_lots=lots,
        value_atoms=symbol.value_atoms(lots, price_ticks),
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        price_ticks=price_ticks,
        open_lots=order.open_lots,
    )


def cancel_spent_reduce_only(ctx: Context, position: Position, lots_before: int) -> None:
    """MATCH-11: when a position is gone or has flipped, its reduce-only orders that cannot reduce it are cancelled."""
    if position.lots * lots_before > 0:
        return
    for order in list(position.orders):
        if order.reduce_only and not position.reducible_lots(order.side):
            ctx.cancel(order, CancelReason.REDUCE_ONLY)


def cancel_rest(ctx: Context, taker: Taker, reason: CancelReason) -> None:
    """What is left of a taker is cancelled; what is left of a closing order just ends."""
    order = taker.order
    if taker.closing is None:
        ctx.write_cancelled(order, reason, order.open_lots, OrderPlace.TAKER)
    order.open_lots = 0


def finish(ctx: Context, taker: Taker) -> None:
    """After the loop: the rest of a good-till-cancelled order rests, that of any other is cancelled."""
    order = taker.order
    if order.open_lots == 0:
        return
    if taker.time_in_force == FOK:
        # Only a reduce-only order can have reached what it had to and still have a rest.
        assert order.reduce_only, order
        cancel_rest(ctx, taker, CancelReason.REDUCE_ONLY)
    elif taker.time_in_force != GTC:
        cancel_rest(ctx, taker, CancelReason.IMMEDIATE_OR_CANCEL)
    elif order.reduce_only and not ctx.state.position_of(order).reducible_lots(order.side):
        cancel_rest(ctx, taker, CancelReason.REDUCE_ONLY)
    else:
        rest(ctx, order)


def rest(ctx: Context, order: Order) -> None:
    ctx.state.rest(order)
    ctx.events.write(
        "order_rested",
        order.account,
        symbol=order.symbol,
        side=order.side,
        flags=order.flags,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        price_ticks=order.price_ticks,
        open_lots=order.open_lots,
    )


# ------------------------------------------------------------------------------------ self-trade, fill or kill


def prevent_self_trade(ctx: Context, taker: Taker, maker: Order) -> None:
    """MATCH-06: an order never trades with its own account; the taker's mode says which of the two gives way."""
    mode = taker.order.self_trade
    if mode == SelfTradePrevention.DECREMENT:
        decrement(ctx, taker.order, maker)
        return
    if mode in (SelfTradePrevention.CANCEL_MAKER, SelfTradePrevention.CANCEL_BOTH):
        ctx.cancel(maker, CancelReason.SELF_TRADE)
    if mode in (SelfTradePrevention.CANCEL_TAKER, SelfTradePrevention.CANCEL_BOTH):
        cancel_rest(ctx, taker, CancelReason.SELF_TRADE)


def decrement(ctx: Context, order: Order, maker: Order) -> None:
    """MATCH-06: both orders lose the smaller open quantity, without a trade."""
    lots = min(order.open_lots, maker.open_lots)
    for side_of_it, place in ((maker, OrderPlace.BOOK), (order, OrderPlace.TAKER)):
        side_of_it.open_lots -= lots
        side_of_it.filled_lots += lots
        if side_of_it.open_lots:
            write_reduced(ctx, side_of_it, lots, place)
        elif place == OrderPlace.BOOK:
            ctx.cancel(side_of_it, CancelReason.SELF_TRADE, open_lots=lots)
        else:
            ctx.write_cancelled(side_of_it, CancelReason.SELF_TRADE, lots, OrderPlace.TAKER)


def write_reduced(ctx: Context, order: Order, lots: int, place: OrderPlace) -> None:
    ctx.events.write(
        "order_reduced",
        order.account,
        symbol=order.symbol,
        side=order.side,
        place=place,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        price_ticks=order.price_ticks,
        reduced_lots=lots,
        open_lots=order.open_lots,
    )


def can_fill_whole(state: State, taker: Taker) -> bool:
    """MATCH-03: fill or kill is decided before anything is filled; notes the orders that it relies on."""
    order = taker.order
    wanted = order.open_lots
    if order.reduce_only:
        wanted = min(wanted, state.position_of(order).reducible_lots(order.side))
    count = 0
    accounts: set[int] = set()
    for maker in state.symbols[order.symbol].book.of_side(1 - order.side):
        if count >= wanted or not crosses(order.side, taker.limit_ticks, maker.price_ticks):
            break
        if maker.account == order.account:
            if order.self_trade != SelfTradePrevention.CANCEL_MAKER:
                break
        elif counts(state, maker, maker.account in accounts):
            count += maker.open_lots
            accounts.add(maker.account)
            taker.counted.add(maker.order_id)
    return count >= wanted


def counts(state: State, maker: Order, is_further: bool) -> bool:
    """MATCH-03: whether fill or kill can rely on this order, whatever else is filled before it."""
    if maker.reduce_only:
        return False
    position = state.position_of(maker)
    if position.mode == CROSS and available_atoms(position.owner) >= 0:
        loss = instant_loss_atoms(position.symbol, maker.side, maker.open_lots, maker.price_ticks)
        return not is_further or loss <= 0
    if is_further or any(other.reduce_only for other in position.orders):
        return False
    return maker_lots(state, maker, maker.open_lots) == maker.open_lots
