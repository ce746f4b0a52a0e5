"""What is refused, and why: the checks of orders, each function in the order of the reasons' numbers.

Of several reasons the one with the smallest number is given, so the checks stand in that order and the first
that fails decides.  Nothing here changes anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from exchange.protocol.messages import OrderEntry, PlaceOrder
from exchange.protocol.schema import (
    MAX_ACCOUNT,
    MAX_PRICE_TICKS,
    MAX_QTY_LOTS,
    PPM,
    OrderType,
    RejectReason,
    SelfTradePrevention,
    SymbolState,
    TimeInForce,
    TriggerBy,
)
from exchange.reference.caps import cap_of
from exchange.reference.client_ids import is_taken
from exchange.reference.legs import fits_mode
from exchange.reference.margin import Trial, admits, other_lots
from exchange.reference.order import (
    CLOSE_POSITION,
    FOK,
    GTC,
    GTD,
    ICEBERG,
    IOC,
    LIMIT,
    LIMIT_TYPES,
    POST_ONLY,
    REDUCE_ONLY,
    SLIDE,
    TRAILING_STOP,
    TRIGGER_TYPES,
    Order,
)
from exchange.reference.prices import effective_terms, is_in_band, slid_ticks, would_trade
from exchange.reference.state import Position, State, Symbol
from exchange.reference.watching import is_reached, watched_ticks

#: An order as it was given, alone or in a list.
Terms: TypeAlias = PlaceOrder | OrderEntry

#: MATCH-12: the states in which orders rest as they come, without trading.
COLLECTING = (SymbolState.PRE_OPEN, SymbolState.AUCTION)
#: MATCH-12: the states in which orders may be placed and amended.
TRADING = (SymbolState.OPEN, *COLLECTING)


@dataclass(slots=True, frozen=True)
class Beside:
    """What an order of a linked list has beside it: what differs from an order that comes alone (MATCH-14)."""

    is_exit: bool = False
    orders_before: int = 0
    client_ids_before: frozenset[int] = frozenset()


ALONE = Beside()


def is_account(number: int) -> bool:
    return 1 <= number <= MAX_ACCOUNT


def find_order(state: State, account: int, order_id: int, client_order_id: int) -> Order | None:
    """The account's live order with this id or, where that is 0, with this client order id."""
    if order_id:
        order = state.live_order(order_id)
        return order if order and order.account == account else None
    if not client_order_id or account not in state.accounts:
        return None
    orders = state.accounts[account].orders()
    return next((order for order in orders if order.client_order_id == client_order_id), None)


def new_order(state: State, account: int, terms: Terms) -> Order:
    """The order as it would be, still without an order id; its limit has slid where it may (MATCH-04)."""
    price, flags = terms.price_ticks, terms.flags
    if terms.order_type == LIMIT:
        price = slid_ticks(state.symbols[terms.symbol], terms.side, flags, price)
    return Order(
        account=account,
        symbol=terms.symbol,
        leg=terms.leg,
        side=terms.side,
        price_ticks=price,
        open_lots=terms.qty_lots,
        client_order_id=terms.client_order_id,
        order_type=terms.order_type,
        time_in_force=terms.time_in_force,
        self_trade=terms.self_trade,
        flags=flags | (ICEBERG if terms.display_lots else 0),
        display_lots=terms.display_lots,
        expires_ns=terms.expires_ns,
        trigger_by=terms.trigger_by,
        trigger_ticks=terms.trigger_ticks,
        callback_ticks=terms.callback_ticks,
        callback_ppm=terms.callback_ppm,
        armed=terms.order_type in TRIGGER_TYPES,
    )


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


# --------------------------------------------------------------------------------------- form (place order)


def check_form(state: State, account: int, terms: Terms, now_ns: int) -> RejectReason | None:
    """Place order: what can be seen from the order alone."""
    if not is_account(account):
        return RejectReason.INVALID_ACCOUNT
    if terms.symbol not in state.symbols:
        return RejectReason.UNKNOWN_SYMBOL
    if terms.side > 1:
        return RejectReason.INVALID_SIDE
    if terms.order_type > max(OrderType):
        return RejectReason.INVALID_ORDER_TYPE
    if not is_valid_time_in_force(terms):
        return RejectReason.INVALID_TIME_IN_FORCE
    if terms.self_trade > max(SelfTradePrevention):
        return RejectReason.INVALID_SELF_TRADE_PREVENTION
    if not is_valid_flags(terms):
        return RejectReason.INVALID_FLAGS
    lowest = 1 if terms.order_type in LIMIT_TYPES else 0
    if not lowest <= terms.price_ticks <= MAX_PRICE_TICKS:
        return RejectReason.INVALID_PRICE
    if not is_valid_quantity(terms):
        return RejectReason.INVALID_QUANTITY
    if not is_valid_trigger(terms):
        return RejectReason.INVALID_TRIGGER
    if terms.display_lots and not is_valid_display(terms):
        return RejectReason.INVALID_DISPLAY
    if not is_valid_expiry(terms, now_ns):
        return RejectReason.INVALID_EXPIRY
    return None


def may_rest(terms: Terms) -> bool:
    """MATCH-03: what is left of such an order rests."""
    return terms.order_type in LIMIT_TYPES and terms.time_in_force in (GTC, GTD)


def is_valid_time_in_force(terms: Terms) -> bool:
    """MATCH-03: a type without limit does not rest."""
    if terms.order_type in LIMIT_TYPES:
        return terms.time_in_force <= max(TimeInForce)
    return terms.time_in_force in (IOC, FOK)


def is_valid_flags(terms: Terms) -> bool:
    """MATCH-04, MATCH-10: flags of the table, on orders that they fit."""
    flags = terms.flags
    if flags & ~(POST_ONLY | REDUCE_ONLY | SLIDE | CLOSE_POSITION):
        return False
    if flags & POST_ONLY and not may_rest(terms):
        return False
    if flags & SLIDE and not flags & POST_ONLY:
        return False
    return not flags & CLOSE_POSITION or terms.order_type in TRIGGER_TYPES - LIMIT_TYPES


def is_valid_quantity(terms: Terms) -> bool:
    """MATCH-10: close-position has none."""
    if terms.flags & CLOSE_POSITION:
        return terms.qty_lots == 0
    return 1 <= terms.qty_lots <= MAX_QTY_LOTS


def is_valid_trigger(terms: Terms) -> bool:
    """MATCH-10, form: exactly the trigger fields that the type needs."""
    trigger, ticks, ppm = terms.trigger_ticks, terms.callback_ticks, terms.callback_ppm
    if terms.order_type not in TRIGGER_TYPES:
        return (trigger, ticks, ppm, terms.trigger_by) == (0, 0, 0, 0)
    if terms.trigger_by > max(TriggerBy):
        return False
    if terms.order_type != TRAILING_STOP:
        return 1 <= trigger <= MAX_PRICE_TICKS and (ticks, ppm) == (0, 0)
    in_ticks = 1 <= ticks <= MAX_PRICE_TICKS and ppm == 0
    as_a_share = ticks == 0 and 1 <= ppm < PPM
    return trigger == 0 and (in_ticks or as_a_share)


def is_valid_display(terms: Terms) -> bool:
    """MATCH-15: an iceberg rests, and shows a part of its quantity or all of it."""
    return may_rest(terms) and 1 <= terms.display_lots <= terms.qty_lots


def is_valid_expiry(terms: Terms, now_ns: int) -> bool:
    """MATCH-03: good till a date that is still to come, or without date."""
    if terms.time_in_force == GTD:
        return terms.expires_ns > now_ns
    return terms.expires_ns == 0


# ---------------------------------------------------------------------------------- all else (place order)


def check_place(
    state: State, account: int, terms: Terms, beside: Beside = ALONE
) -> RejectReason | None:
    """Place order, after its form and MATCH-08: the symbol's state and filters, then what it would risk."""
    if not fits_mode(state, account, terms.leg):  # without a leg there is nothing to be asked
        return RejectReason.INVALID_LEG
    position = state.position(account, terms.symbol, terms.leg)
    return (
        check_state(position.symbol, terms)
        or check_prices(position.symbol, terms)
        or check_filters(position, terms, beside)
        or check_risk(state, position, new_order(state, account, terms), beside)
    )


def check_state(symbol: Symbol, terms: Terms) -> RejectReason | None:
    """MATCH-12: what the state of the symbol lets in."""
    if symbol.state not in TRADING:
        return RejectReason.SYMBOL_STATE_FORBIDS
    waits = terms.order_type in TRIGGER_TYPES
    is_plain = may_rest(terms) and not terms.flags & POST_ONLY
    if symbol.state in COLLECTING and not waits and not is_plain:
        return RejectReason.SYMBOL_STATE_FORBIDS
    return None


def check_prices(symbol: Symbol, terms: Terms) -> RejectReason | None:
    """Place order, MATCH-10: the prices that the order needs are there."""
    if not symbol.mark_ticks:
        return RejectReason.NO_MARK_PRICE
    if terms.trigger_by == TriggerBy.LAST and not symbol.last_ticks:
        return RejectReason.NO_LAST_PRICE
    return None


def check_filters(position: Position, terms: Terms, beside: Beside) -> RejectReason | None:
    """MATCH-08, MATCH-09: what the symbol and the account's other orders allow."""
    symbol, client_id = position.symbol, terms.client_order_id
    if client_id and (is_taken(position.owner, client_id) or client_id in beside.client_ids_before):
        return RejectReason.DUPLICATE_CLIENT_ORDER_ID
    if not terms.flags & CLOSE_POSITION:
        if terms.qty_lots < symbol.min_qty_lots:
            return RejectReason.QUANTITY_BELOW_MINIMUM
        if terms.qty_lots > symbol.max_qty_lots:
            return RejectReason.QUANTITY_ABOVE_MAXIMUM
        price = terms.price_ticks or terms.trigger_ticks or symbol.mark_ticks
        value = symbol.value_atoms(terms.qty_lots, price)
        if not terms.flags & REDUCE_ONLY and value < symbol.min_notional_atoms:
            return RejectReason.NOTIONAL_BELOW_MINIMUM
    if terms.order_type == LIMIT and not is_in_band(symbol, terms.side, terms.price_ticks):
        return RejectReason.PRICE_OUT_OF_BAND
    is_counted = may_rest(terms) or terms.order_type in TRIGGER_TYPES
    count = position.owner.order_count(symbol) + beside.orders_before
    if is_counted and count >= symbol.max_open_orders:
        return RejectReason.TOO_MANY_OPEN_ORDERS
    return None


def check_risk(
    state: State, position: Position, order: Order, beside: Beside
) -> RejectReason | None:
    """UNITS-01, MATCH-04, MATCH-10, MATCH-11, MARGIN-07, MARGIN-11: what it would risk, or that it comes too late."""
    symbol = position.symbol
    waits = order.order_type in TRIGGER_TYPES
    if not waits and is_beyond_exposure(state, order):
        return RejectReason.VALUE_OUT_OF_RANGE
    if position.pool.liquidating:
        return RejectReason.POOL_LIQUIDATING
    if not beside.is_exit:
        if order.reduce_only and not position.reducible_lots(order.side):
            return RejectReason.REDUCE_ONLY_WOULD_OPEN
        if waits and is_reached_at_entry(symbol, order):
            return RejectReason.TRIGGER_ALREADY_TRUE
    if waits:
        return None
    if order.flags & POST_ONLY and would_trade(symbol, order.side, order.price_ticks):
        return RejectReason.POST_ONLY_WOULD_TAKE
    if not has_margin(state, order):
        return RejectReason.INSUFFICIENT_MARGIN
    cap = cap_of(state, order)
    if cap:
        return cap.reject
    return RejectReason.MARK_HELD if takes_to_open(state, order) else None


def takes_to_open(state: State, order: Order) -> bool:
    """MARK-03 of an order that is about to act while the mark is held; one with nothing to trade is not asked."""
    position = state.position_of(order)
    if not position.symbol.is_held:
        return False
    limit, lots = effective_terms(state, order)
    return bool(lots) and would_open(
        Trial(position, order.side, lots, limit, order.reduce_only), order.flags
    )


def would_open(trial: Trial, flags: int) -> bool:
    """MARK-03: in an open symbol an order takes to open, unless it is post-only or all of it can only reduce."""
    position = trial.position
    if trial.reduce_only or flags & POST_ONLY or position.symbol.state != SymbolState.OPEN:
        return False
    return other_lots(trial) + trial.lots > position.reducible_lots(trial.side)


def is_reached_at_entry(symbol: Symbol, order: Order) -> bool:
    """MATCH-10: a trailing stop never is: it has yet to watch."""
    assert watched_ticks(symbol, order), order
    return order.order_type != TRAILING_STOP and is_reached(symbol, order)


def is_beyond_exposure(state: State, order: Order) -> bool:
    """UNITS-01 of an order that is about to act; one with nothing to trade is not asked (MATCH-02)."""
    limit, lots = effective_terms(state, order)
    return bool(lots) and exceeds_exposure(state.symbols[order.symbol], lots, limit)


def has_margin(state: State, order: Order) -> bool:
    """MARGIN-07 of an order that is about to act; one with nothing to trade is not asked (MATCH-02)."""
    limit, lots = effective_terms(state, order)
    position = state.position_of(order)
    return not lots or admits(state, Trial(position, order.side, lots, limit, order.reduce_only))
