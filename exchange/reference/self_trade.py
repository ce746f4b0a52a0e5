"""MATCH-06: an order never trades with one of its own account, nor of its group."""

from __future__ import annotations

from exchange.protocol.schema import CancelReason, OrderPlace, SelfTradePrevention
from exchange.reference.cancelling import cancel, cancel_taker
from exchange.reference.context import Context
from exchange.reference.order import Order
from exchange.reference.resting import refresh

MAKER_GOES = (SelfTradePrevention.CANCEL_MAKER, SelfTradePrevention.CANCEL_BOTH)
TAKER_GOES = (SelfTradePrevention.CANCEL_TAKER, SelfTradePrevention.CANCEL_BOTH)


def prevent(ctx: Context, taker: Order, maker: Order) -> None:
    """MATCH-06: the taker's mode says which of the two gives way; in an auction both of them rest."""
    mode = taker.self_trade
    taker_rests = is_resting(ctx, taker)
    if mode == SelfTradePrevention.DECREMENT:
        lots = min(taker.front_lots if taker_rests else taker.open_lots, maker.front_lots)
        take_off(ctx, maker, lots)
        take_off(ctx, taker, lots)
        return
    if mode in MAKER_GOES:
        cancel(ctx, maker, CancelReason.SELF_TRADE)
    if mode in TAKER_GOES and taker_rests:
        cancel(ctx, taker, CancelReason.SELF_TRADE)
    elif mode in TAKER_GOES:
        cancel_taker(ctx, taker, CancelReason.SELF_TRADE, taker.open_lots)


def is_resting(ctx: Context, order: Order) -> bool:
    return order.order_id in ctx.state.orders


def take_off(ctx: Context, order: Order, lots: int) -> None:
    """MATCH-06, decrement: an order loses lots without a trade; with none left it is cancelled."""
    rests = is_resting(ctx, order)
    order.open_lots -= lots
    order.filled_lots += lots
    if rests and order.is_iceberg:
        order.shown_lots -= lots
    if order.open_lots == 0 and rests:
        cancel(ctx, order, CancelReason.SELF_TRADE, open_lots=lots)
    elif order.open_lots == 0:
        cancel_taker(ctx, order, CancelReason.SELF_TRADE, lots)
    else:
        write_reduced(ctx, order, lots, OrderPlace.BOOK if rests else OrderPlace.TAKER)
        if rests and order.front_lots == 0:
            refresh(ctx, order)


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
