"""Which prices meet, and at which price an order counts: crossing, the band, sliding, market orders.  Pure."""

from __future__ import annotations

from exchange.protocol.schema import MAX_PRICE_TICKS
from exchange.reference.order import BUY, POST_ONLY, SLIDE, Order
from exchange.reference.state import OPEN, State, Symbol


def crosses(side: int, limit_ticks: int, opposite_price_ticks: int) -> bool:
    """Whether an order of this side and limit may trade at a price of the other side."""
    if side == BUY:
        return opposite_price_ticks <= limit_ticks
    return 0 < limit_ticks <= opposite_price_ticks


def would_trade(symbol: Symbol, side: int, limit_ticks: int) -> bool:
    """Whether an order of this side and limit would meet the best opposite price."""
    best = symbol.book.best(1 - side)
    return best is not None and crosses(side, limit_ticks, best.price_ticks)


def is_in_band(symbol: Symbol, side: int, price_ticks: int) -> bool:
    """MATCH-09: a buy is not above, a sell not below the price band around the mark."""
    band = symbol.price_band_ppm
    if band < 0:
        return True
    if side == BUY:
        return price_ticks <= symbol.highest_buy_ticks(band)
    return price_ticks >= symbol.lowest_sell_ticks(band)


def slid_ticks(symbol: Symbol, side: int, flags: int, limit_ticks: int) -> int:
    """MATCH-04: the limit of a post-only order that may slide: the best price that does not take.

    Where there is no such price, and for every other order, the limit stays as it is.
    """
    may_slide = flags & POST_ONLY and flags & SLIDE and symbol.state == OPEN
    best = symbol.book.best(1 - side)
    if not may_slide or best is None or not crosses(side, limit_ticks, best.price_ticks):
        return limit_ticks
    slid = best.price_ticks - 1 if side == BUY else best.price_ticks + 1
    return slid if 1 <= slid <= MAX_PRICE_TICKS else limit_ticks


def market_terms(symbol: Symbol, side: int, lots: int, worst_ticks: int) -> tuple[int, int]:
    """MATCH-02: (effective limit, lots found) of a market order: the worst price that it would reach."""
    limit, found = 0, 0
    for order in symbol.book.of_side(1 - side):
        is_too_far = worst_ticks and not crosses(side, worst_ticks, order.price_ticks)
        if found >= lots or is_too_far or not is_in_band(symbol, side, order.price_ticks):
            break
        limit = order.price_ticks
        found += order.open_lots
    return limit, min(found, lots)


def effective_terms(state: State, order: Order) -> tuple[int, int]:
    """MATCH-02: (limit, lots) with which an order counts: its own, or those that a market order would reach."""
    if order.is_limit_type:
        return order.price_ticks, order.open_lots
    lots = order.open_lots
    if order.reduce_only:
        lots = min(lots, state.position_of(order).reducible_lots(order.side))
    symbol = state.symbols[order.symbol]
    return market_terms(symbol, order.side, lots, order.price_ticks)
