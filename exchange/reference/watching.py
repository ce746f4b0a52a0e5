"""MATCH-10: which price a trigger watches, where it goes off, and whether it is reached.  Pure."""

from __future__ import annotations

from exchange.protocol.schema import TriggerBy
from exchange.reference.arithmetic import ppm_ceil
from exchange.reference.order import SELL, STOPS, TRAILING_STOP, Order
from exchange.reference.state import Symbol


def watched_ticks(symbol: Symbol, order: Order) -> int:
    """MATCH-10: the mark or the last trade, as it stands; 0: there is none."""
    return symbol.last_ticks if order.trigger_by == TriggerBy.LAST else symbol.mark_ticks


def goes_off_below(order: Order) -> bool:
    """MATCH-10: whether the trigger is reached by falling to it; otherwise by rising."""
    falls_for_a_sell = order.order_type in STOPS or order.order_type == TRAILING_STOP
    return falls_for_a_sell == (order.side == SELL)


def best_with(order: Order, watched: int) -> int:
    """MATCH-10: the best price of a trailing stop with this one watched: highest for a sell, lowest for a buy."""
    if not order.best_ticks:
        return watched
    return max(order.best_ticks, watched) if order.side == SELL else min(order.best_ticks, watched)


def trailing_trigger(order: Order, best: int) -> int:
    """MATCH-10: where a trailing stop goes off for a best price: at its distance from it."""
    distance = order.callback_ticks or ppm_ceil(best, order.callback_ppm)
    return best - distance if order.side == SELL else best + distance


def trigger_ticks(symbol: Symbol, order: Order) -> int:
    """MATCH-10: where the order goes off as things stand."""
    if order.order_type != TRAILING_STOP:
        return order.trigger_ticks
    return trailing_trigger(order, best_with(order, watched_ticks(symbol, order)))


def is_reached(symbol: Symbol, order: Order) -> bool:
    """MATCH-10: the watched price is at the trigger or beyond it."""
    watched, trigger = watched_ticks(symbol, order), trigger_ticks(symbol, order)
    return watched <= trigger if goes_off_below(order) else watched >= trigger
