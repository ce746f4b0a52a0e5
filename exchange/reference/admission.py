"""What is refused, and why: the checks of orders, each function in the order of the reasons' numbers.

Of several reasons the one with the smallest number is given, so the checks stand in that order and the first
that fails decides.  Nothing here changes anything.
"""

from __future__ import annotations

from exchange.protocol.messages import AmendOrder, PlaceOrder
from exchange.protocol.schema import (
    MAX_ACCOUNT,
    MAX_PRICE_TICKS,
    MAX_QTY_LOTS,
    OrderType,
    RejectReason,
    SelfTradePrevention,
    TimeInForce,
)
from exchange.reference.margin import Trial, admits, would_trade
from exchange.reference.matching import is_in_band, market_limit
from exchange.reference.state import POST_ONLY, REDUCE_ONLY, Order, Position, State, Symbol

LIMIT = int(OrderType.LIMIT)
MARKET = int(OrderType.MARKET)
GTC = int(TimeInForce.GTC)


def is_account(number: int) -> bool:
    return 1 <= number <= MAX_ACCOUNT


def find_order(state: State, account: int, order_id: int, client_order_id: int) -> Order | None:
    """The account's resting order with this id or, where that is 0, with this client order id."""
    if order_id:
        order = state.orders.get(order_id)
        return order if order and order.account == account else None
    if not client_order_id or account not in state.accounts:
        return None
    orders = state.accounts[account].orders()
    return next((order for order in orders if order.client_order_id == client_order_id), None)


def exceeds_exposure(
    symbol: Symbol, lots: int, price_ticks: int, removed: Order | None = None
) -> bool:
    """UNITS-01: whether an order would take the symbol past its exposure limit, at its limit or at the mark."""
    gross_lots = entry_atoms = 0
    for position in dict.values(symbol.positions):  # in any order: only sums
        gross_lots += abs(position.lots)
        entry_atoms += abs(position.entry_value_atoms)
    open_lots = open_value = 0  # the value in ticks x lots
    for order in symbol.book.unsorted():
        if order is not removed:
            open_lots += order.open_lots
            open_value += order.open_lots * order.price_ticks
    m, limit = symbol.atoms_per_tick_lot, symbol.exposure_limit_atoms
    return (
        entry_atoms + 2 * (open_value + lots * price_ticks) * m > limit
        or (gross_lots + 2 * (open_lots + lots)) * symbol.mark_ticks * m > limit
    )


# ---------------------------------------------------------------------------------------------- place order


def check_place(state: State, command: PlaceOrder) -> RejectReason | None:
    """Place order, checks: its form, the symbol's filters, then what it would risk."""
    reason = check_place_form(state, command)
    if reason is not None:
        return reason
    position = state.position(command.account, command.symbol)
    return check_place_filters(position, command) or check_place_risk(state, position, command)


def check_place_form(state: State, command: PlaceOrder) -> RejectReason | None:
    """Place order: what can be seen from the command alone."""
    is_market = command.order_type == MARKET
    if not is_account(command.account):
        return RejectReason.INVALID_ACCOUNT
    if command.symbol not in state.symbols:
        return RejectReason.UNKNOWN_SYMBOL
    if command.side > 1:
        return RejectReason.INVALID_SIDE
    if command.order_type > MARKET:
        return RejectReason.INVALID_ORDER_TYPE
    if command.time_in_force > TimeInForce.FOK or (is_market and command.time_in_force == GTC):
        return RejectReason.INVALID_TIME_IN_FORCE
    if command.self_trade > SelfTradePrevention.DECREMENT:
        return RejectReason.INVALID_SELF_TRADE_PREVENTION
    can_rest = not is_market and command.time_in_force == GTC
    if command.flags & ~(POST_ONLY | REDUCE_ONLY) or (command.flags & POST_ONLY and not can_rest):
        return RejectReason.INVALID_FLAGS
    lowest, highest = (0, 0) if is_market else (1, MAX_PRICE_TICKS)
    if not lowest <= command.price_ticks <= highest:
        return RejectReason.INVALID_PRICE
    if not 1 <= command.qty_lots <= MAX_QTY_LOTS:
        return RejectReason.INVALID_QUANTITY
    return None


def check_place_filters(position: Position, command: PlaceOrder) -> RejectReason | None:
    """MATCH-08, MATCH-09: what the symbol and the account's open orders allow."""
    symbol, lots = position.symbol, command.qty_lots
    if not symbol.mark_ticks:
        return RejectReason.NO_MARK_PRICE
    if command.client_order_id and any(
        order.client_order_id == command.client_order_id for order in position.owner.orders()
    ):
        return RejectReason.DUPLICATE_CLIENT_ORDER_ID
    if lots < symbol.min_qty_lots:
        return RejectReason.QUANTITY_BELOW_MINIMUM
    if lots > symbol.max_qty_lots:
        return RejectReason.QUANTITY_ABOVE_MAXIMUM
    price = command.price_ticks or symbol.mark_ticks
    if (
        not command.flags & REDUCE_ONLY
        and symbol.value_atoms(lots, price) < symbol.min_notional_atoms
    ):
        return RejectReason.NOTIONAL_BELOW_MINIMUM
    if command.order_type == LIMIT and not is_in_band(symbol, command.side, command.price_ticks):
        return RejectReason.PRICE_OUT_OF_BAND
    if command.time_in_force == GTC and len(position.orders) >= symbol.max_open_orders:
        return RejectReason.TOO_MANY_OPEN_ORDERS
    return None


def effective_terms(position: Position, command: PlaceOrder) -> tuple[int, int]:
    """MATCH-02: (limit, lots) with which an order counts: its own, or those that a market order would reach."""
    if command.order_type == LIMIT:
        return command.price_ticks, command.qty_lots
    lots = command.qty_lots
    if command.flags & REDUCE_ONLY:
        lots = min(lots, position.reducible_lots(command.side))
    return market_limit(position.symbol, command.side, lots)


def check_place_risk(state: State, position: Position, command: PlaceOrder) -> RejectReason | None:
    """UNITS-01, MATCH-04, MATCH-11, MARGIN-07: what the order would risk."""
    symbol, side = position.symbol, command.side
    reduce_only = bool(command.flags & REDUCE_ONLY)
    limit, lots = effective_terms(position, command)
    if lots and exceeds_exposure(symbol, lots, limit):
        return RejectReason.VALUE_OUT_OF_RANGE
    if position.pool.liquidating:
        return RejectReason.POOL_LIQUIDATING
    if reduce_only and not position.reducible_lots(side):
        return RejectReason.REDUCE_ONLY_WOULD_OPEN
    if command.flags & POST_ONLY and would_trade(symbol, side, limit):
        return RejectReason.POST_ONLY_WOULD_TAKE
    if lots and not admits(state, Trial(position, side, lots, limit, reduce_only)):
        return RejectReason.INSUFFICIENT_MARGIN
    return None


# ---------------------------------------------------------------------------------------------- amend order


def check_amend(state: State, command: AmendOrder) -> RejectReason | None:
    """MATCH-05: the first reason, in order of number, why the order may not be amended."""
    new_price, new_total = command.price_ticks, command.qty_lots
    if not is_account(command.account):
        return RejectReason.INVALID_ACCOUNT
    if not 0 <= new_price <= MAX_PRICE_TICKS:
        return RejectReason.INVALID_PRICE
    if not 0 <= new_total <= MAX_QTY_LOTS:
        return RejectReason.INVALID_QUANTITY
    order = find_order(state, command.account, command.order_id, command.client_order_id)
    if order is None:
        return RejectReason.UNKNOWN_ORDER
    total = order.open_lots + order.filled_lots
    price = new_price or order.price_ticks
    if price == order.price_ticks and new_total in (0, total):
        return RejectReason.NOTHING_TO_AMEND
    return check_amend_filters(state, order, price, new_total) or check_amend_risk(
        state, order, price, new_total or total
    )


def check_amend_filters(
    state: State, order: Order, price_ticks: int, new_total: int
) -> RejectReason | None:
    """MATCH-05, MATCH-09: what the symbol allows; new_total is 0 where it stays."""
    symbol = state.symbols[order.symbol]
    total = new_total or order.open_lots + order.filled_lots
    if total <= order.filled_lots:
        return RejectReason.QUANTITY_BELOW_FILLED
    if new_total and new_total < symbol.min_qty_lots:
        return RejectReason.QUANTITY_BELOW_MINIMUM
    if new_total and new_total > symbol.max_qty_lots:
        return RejectReason.QUANTITY_ABOVE_MAXIMUM
    if not order.reduce_only and symbol.value_atoms(total, price_ticks) < symbol.min_notional_atoms:
        return RejectReason.NOTIONAL_BELOW_MINIMUM
    if price_ticks != order.price_ticks and not is_in_band(symbol, order.side, price_ticks):
        return RejectReason.PRICE_OUT_OF_BAND
    return None


def keeps_priority(order: Order, price_ticks: int, total_lots: int) -> bool:
    """MATCH-05: at the same price, a smaller quantity stays where it is in the queue."""
    return price_ticks == order.price_ticks and total_lots < order.open_lots + order.filled_lots


def check_amend_risk(
    state: State, order: Order, price_ticks: int, total_lots: int
) -> RejectReason | None:
    """MATCH-05: what the amended order would risk, with the old one taken out."""
    if keeps_priority(order, price_ticks, total_lots):
        return None
    position = state.position_of(order)
    lots = total_lots - order.filled_lots
    if exceeds_exposure(position.symbol, lots, price_ticks, removed=order):
        return RejectReason.VALUE_OUT_OF_RANGE
    if (
        order.flags & POST_ONLY
        and price_ticks != order.price_ticks
        and would_trade(position.symbol, order.side, price_ticks)
    ):
        return RejectReason.POST_ONLY_WOULD_TAKE
    trial = Trial(position, order.side, lots, price_ticks, order.reduce_only, removed=order)
    if not admits(state, trial):
        return RejectReason.INSUFFICIENT_MARGIN
    return None
