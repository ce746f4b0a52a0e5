"""The rebuilt state beside an engine's views: what an engine shows has to be what its events told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from exchange.audit.deleveraging import place_of
from exchange.audit.live_orders import Order, Waiting
from exchange.audit.requirement import available, maintenance_of_holding, pool_standing
from exchange.audit.state import Account, Holding, State, cross_pool
from exchange.protocol.views import OrderView

if TYPE_CHECKING:
    from exchange.audit.auditor import Auditor
    from exchange.engine import Engine


def differences(auditor: Auditor, engine: Engine) -> list[str]:
    """Everything in which an engine's views differ from the auditor's books (I3, I20), one line each."""
    return list(_differences(auditor.state, engine))


def _differences(state: State, engine: Engine) -> Iterator[str]:
    yield from _compare("fees", state.fees, engine.fees_atoms())
    yield from _compare("funds", {n: b for n, b in state.funds.items() if b}, engine.funds())
    yield from _compare("uncovered", bool(state.uncovered), engine.uncovered())
    known = set(state.accounts)
    yield from _compare("accounts unheard of", set(), set(engine.accounts()) - known)
    for number in sorted(known):
        yield from _compare_account(state, state.accounts[number], engine)
    for view in engine.symbols():
        symbol = state.symbols[view.symbol]
        interest = sum(max(0, holding.lots) for holding in symbol.holders.values())
        wanted = (symbol.state, symbol.mark, symbol.last, interest)
        came = (view.state, view.mark_ticks, view.last_ticks, view.open_interest_lots)
        yield from _compare(
            f"(state, mark, last trade, open interest) of symbol {view.symbol}", wanted, came
        )
        yield from _compare_book(state, view.symbol, engine)


def _compare_account(state: State, account: Account, engine: Engine) -> Iterator[str]:
    view = engine.account(account.number)
    equity, maintenance, _ = pool_standing(state, cross_pool(account.number))
    wanted = (
        account.wallet,
        equity,
        maintenance,
        available(account),
        max(0, min(account.wallet, available(account, weight_ppm=0))),
        cross_pool(account.number) in state.flagged,
        sum(len(h.orders) + len(h.waiting) for h in account.holdings.values()),
        account.stp_group,
        (account.counting, account.counted),
        account.parts,
    )
    came = (
        view.wallet_atoms,
        view.equity_atoms,
        view.maintenance_atoms,
        view.available_atoms,
        view.withdrawable_atoms,
        view.liquidating,
        view.open_orders,
        view.stp_group,
        (view.multi_asset, view.collateral_atoms),
        {held.asset: held.parts for held in engine.collateral(account.number)},
    )
    names = "wallet, equity, maintenance, available, withdrawable, liquidating, open orders, stp group, collateral"
    yield from _compare(f"({names}) of account {account.number}", wanted, came)
    shown = {(view.symbol, view.leg): view for view in engine.positions(account.number)}
    for key, holding in account.holdings.items():
        position = shown.get(key)
        if position is None:
            if (
                holding.lots
                or holding.margin
                or holding.isolated
                or holding.auto_margin
                or holding.orders
                or holding.waiting
            ):
                yield f"position of {holding.place} is not shown"
            continue
        came_position = (
            position.position_lots,
            position.entry_value_atoms,
            position.margin_atoms,
            bool(position.margin_mode),
            position.initial_margin_ppm,
            position.maintenance_atoms,
            position.liquidating,
            position.auto_margin,
            position.adl_place,
            position.adl_candidates,
        )
        yield from _compare(
            f"position of {holding.place}",
            _wanted_position(state, holding),
            came_position,
        )
    yield from _compare_orders(account, engine)


def _wanted_position(state: State, holding: Holding) -> tuple[int | bool, ...]:
    return (
        holding.lots,
        holding.entry,
        holding.margin,
        holding.isolated,
        holding.rate_ppm,
        maintenance_of_holding(holding) if holding.lots else 0,
        holding.pool in state.flagged,
        holding.auto_margin,
        *(place_of(state, holding) if holding.lots else (0, 0)),
    )


#: What of an order is compared: whether it waits, side, price, open and shown lots, client order id, flags; trigger.
Shown = tuple[bool, int, int, int, int, int, int, int]


def _compare_orders(account: Account, engine: Engine) -> Iterator[str]:
    wanted: dict[int, Shown] = {}
    for holding in account.holdings.values():
        wanted |= {order.order_id: _rests(order) for order in holding.orders.values()}
        wanted |= {order.order_id: _waits(order) for order in holding.waiting.values()}
    came = {order.order_id: _shown(order) for order in engine.open_orders(account.number)}
    yield from _compare(f"orders of account {account.number}", wanted, came)


def _rests(order: Order) -> Shown:
    shown = order.shown if order.iceberg else 0
    client = order.client_order_id
    return (False, order.side, order.price, order.open_lots, shown, client, order.flags, 0)


def _waits(order: Waiting) -> Shown:
    trigger = 0 if order.trails else order.trigger
    client = order.client_order_id
    return (True, order.side, order.price, order.open_lots, 0, client, order.flags, trigger)


def _shown(view: OrderView) -> Shown:
    trigger = view.trigger_ticks if view.waiting else 0
    return (
        view.waiting,
        view.side,
        view.price_ticks,
        view.open_lots,
        view.shown_lots,
        view.client_order_id,
        view.flags,
        trigger,
    )


def _compare_book(state: State, number: int, engine: Engine) -> Iterator[str]:
    book = engine.book(number)
    for side, levels in zip(state.symbols[number].sides, (book.bids, book.asks), strict=True):
        wanted = [
            (
                price,
                sum(order.shown for order in side.levels[price].values()),
                len(side.levels[price]),
            )
            for price in sorted(side.levels, key=lambda price: price * side.sign)
        ]
        came = [(level.price_ticks, level.qty_lots, level.order_count) for level in levels]
        yield from _compare(f"book of symbol {number}", wanted, came)


def _compare(what: str, wanted: object, came: object) -> Iterator[str]:
    if wanted != came:
        yield f"{what}: the events add up to {wanted}, the engine shows {came}"
