"""MATCH-12: the auction, in which all that trades trades at one price."""

from __future__ import annotations

from typing import NamedTuple

from exchange.protocol.schema import MAX_PRICE_TICKS, CancelReason, FillRole
from exchange.reference import self_trade
from exchange.reference.cancelling import cancel
from exchange.reference.caps import interest_lots
from exchange.reference.context import Context
from exchange.reference.margin import maker_lots
from exchange.reference.matching import follow_fill, settle_order, take_trade
from exchange.reference.order import BUY, SELL, Order
from exchange.reference.prices import crosses
from exchange.reference.state import Symbol


class Uncrossing(NamedTuple):
    """What an auction gives: its price, what trades at it, and what is left (buys positive)."""

    price_ticks: int
    qty_lots: int
    imbalance_lots: int


NOTHING = Uncrossing(0, 0, 0)


# -------------------------------------------------------------------------------------------- the price


def lots_at(symbol: Symbol, price_ticks: int) -> tuple[int, int]:
    """MATCH-12: (B, S), the lots of bids at this price or above, and of offers at it or below."""
    bids = sum(o.open_lots for o in symbol.book.of_side(BUY) if o.price_ticks >= price_ticks)
    offers = sum(o.open_lots for o in symbol.book.of_side(SELL) if o.price_ticks <= price_ticks)
    return bids, offers


def candidates(symbol: Symbol) -> set[int]:
    """The prices among which the best of all prices is.

    B and S change only at the prices of orders, so from one of them to the next all prices are equal but for
    their distance from the mark: the nearest is the mark itself, or the first or the last of them.
    """
    at_orders = {order.price_ticks for order in symbol.book.unsorted()}
    beside = {price + step for price in at_orders for step in (-1, 0, 1)}
    return {price for price in beside | {symbol.mark_ticks} if 1 <= price <= MAX_PRICE_TICKS}


def find_price(symbol: Symbol) -> Uncrossing:
    """MATCH-12: most lots, then the smallest imbalance, then the nearest to the mark, then the lowest price."""
    if not is_crossed(symbol):
        return NOTHING

    def preference(price: int) -> tuple[int, int, int, int]:
        bids, offers = lots_at(symbol, price)
        distance = abs(price - symbol.mark_ticks)
        return (-min(bids, offers), abs(bids - offers), distance, price)

    best = min(candidates(symbol), key=preference)
    bids, offers = lots_at(symbol, best)
    return Uncrossing(best, min(bids, offers), bids - offers)


def is_crossed(symbol: Symbol) -> bool:
    bid, offer = symbol.book.best(BUY), symbol.book.best(SELL)
    return bid is not None and offer is not None and bid.price_ticks >= offer.price_ticks


def indicate(ctx: Context, symbol: Symbol) -> None:
    """MATCH-12: tells what an auction would give at this moment."""
    ctx.events.write("auction_indicated", 0, symbol=symbol.number, **find_price(symbol)._asdict())


# -------------------------------------------------------------------------------------------- the trades


def uncross(ctx: Context, symbol: Symbol) -> None:
    """MATCH-12: one price after the other, until the book is not crossed any more; as a rule the first will do."""
    while is_crossed(symbol):
        found = find_price(symbol)
        ctx.events.write("auction_uncrossed", 0, symbol=symbol.number, **found._asdict())
        trade_at(ctx, symbol, found.price_ticks)


def trade_at(ctx: Context, symbol: Symbol, price_ticks: int) -> None:
    """MATCH-12: the front bid and the front offer trade at the price, again and again, while both reach it."""
    while True:
        buy, sell = symbol.book.best(BUY), symbol.book.best(SELL)
        if buy is None or not crosses(BUY, buy.price_ticks, price_ticks):
            return
        if sell is None or not crosses(SELL, sell.price_ticks, price_ticks):
            return
        if ctx.state.is_own(buy.account, sell.account):
            older, younger = sorted((buy, sell), key=lambda order: order.order_id)
            self_trade.prevent(ctx, younger, older)
        else:
            meet(ctx, buy, sell, price_ticks)


def meet(ctx: Context, buy: Order, sell: Order, price_ticks: int) -> None:
    """MATCH-12, steps 2 to 5: both may be made smaller, the buy first; what is left of the lots trades."""
    lots = min(buy.front_lots, sell.front_lots)
    for order in (buy, sell):
        if order.reduce_only:
            lots = min(lots, ctx.state.position_of(order).reducible_lots(order.side))
            if lots == 0:
                cancel(ctx, order, CancelReason.REDUCE_ONLY)
                return
    for order in (buy, sell):
        lots = maker_lots(ctx.state, order, lots, price_ticks)
        if lots == 0:
            cancel(ctx, order, CancelReason.INSUFFICIENT_MARGIN)
            return
    lots = interest_lots(ctx.state.position_of(buy), ctx.state.position_of(sell), lots)
    if lots == 0:
        younger = max(buy, sell, key=lambda order: order.order_id)
        cancel(ctx, younger, CancelReason.OPEN_INTEREST_LIMIT)
        return
    trade_id = take_trade(ctx, buy, sell, lots, price_ticks)
    ctx.state.symbols[buy.symbol].market_last_ticks = price_ticks
    for order in (buy, sell):
        settle_order(ctx, order, lots, price_ticks, trade_id, FillRole.AUCTION)
    follow_fill(ctx, buy, sell, lots)
