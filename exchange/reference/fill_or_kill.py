"""MATCH-03: whether an order that is filled whole or not at all can be filled, asked before anything is."""

from __future__ import annotations

from exchange.protocol.schema import SelfTradePrevention
from exchange.reference.margin import available_atoms, instant_loss_atoms, maker_lots
from exchange.reference.order import Order
from exchange.reference.prices import crosses
from exchange.reference.state import CROSS, State


def counted_orders(state: State, order: Order, limit_ticks: int) -> set[int] | None:
    """MATCH-03: the orders that fill or kill relies on; None if they do not reach its quantity."""
    wanted = order.open_lots
    if order.reduce_only:
        wanted = min(wanted, state.position_of(order).reducible_lots(order.side))
    count = 0
    counted: set[int] = set()
    accounts: set[int] = set()
    for maker in state.symbols[order.symbol].book.of_side(1 - order.side):
        if count >= wanted or not crosses(order.side, limit_ticks, maker.price_ticks):
            break
        if state.is_own(order.account, maker.account):
            if order.self_trade != SelfTradePrevention.CANCEL_MAKER:
                break
        elif counts(state, maker, is_further=maker.account in accounts):
            count += maker.open_lots
            accounts.add(maker.account)
            counted.add(maker.order_id)
    return counted if count >= wanted else None


def counts(state: State, maker: Order, *, is_further: bool) -> bool:
    """MATCH-03: whether fill or kill can rely on this order, whatever else is filled before it."""
    if maker.reduce_only:
        return False
    position = state.position_of(maker)
    price = maker.price_ticks
    if position.mode == CROSS and available_atoms(position.owner) >= 0:
        loss = instant_loss_atoms(position.symbol, maker.side, maker.open_lots, price)
        return not is_further or loss <= 0
    if is_further or any(other.reduce_only for other in position.orders):
        return False
    return maker_lots(state, maker, maker.open_lots, price) == maker.open_lots
