"""MATCH-08: an account's own numbers for its orders, and what is answered when one is sent again."""

from __future__ import annotations

from exchange.protocol.messages import OrderEntry, PlaceOrder
from exchange.protocol.schema import REMEMBERED_ORDERS
from exchange.reference.order import Order
from exchange.reference.state import Account, Remembered, State


def remembered(account: Account, client_order_id: int) -> Remembered | None:
    """What was accepted under this number among the last ones."""
    return next((r for r in account.remembered if r.client_order_id == client_order_id), None)


def repeated(state: State, account: int, terms: PlaceOrder | OrderEntry) -> Remembered | None:
    """MATCH-08: the order that was accepted with this number and this content, if it is remembered."""
    if not terms.client_order_id or account not in state.accounts:
        return None
    found = remembered(state.accounts[account], terms.client_order_id)
    return found if found == remember_as(terms, found.order_id if found else 0) else None


def is_taken(account: Account, client_order_id: int) -> bool:
    """MATCH-08: the number is remembered, or of a live order that no longer is."""
    if remembered(account, client_order_id):
        return True
    return any(order.client_order_id == client_order_id for order in account.orders())


def remember_as(terms: PlaceOrder | OrderEntry, order_id: int) -> Remembered:
    return Remembered(
        client_order_id=terms.client_order_id,
        order_id=order_id,
        symbol=terms.symbol,
        leg=terms.leg,
        side=terms.side,
        order_type=terms.order_type,
        price_ticks=terms.price_ticks,
        qty_lots=terms.qty_lots,
        trigger_ticks=terms.trigger_ticks,
    )


def remember(state: State, order: Order, terms: PlaceOrder | OrderEntry) -> None:
    """MATCH-08: an accepted order that has a number is remembered; the oldest is forgotten."""
    if terms.client_order_id:
        account = state.account(order.account)
        account.remembered = [*account.remembered, remember_as(terms, order.order_id)]
        del account.remembered[:-REMEMBERED_ORDERS]
