"""What a query answers: pictures of accounts, positions, orders, books and symbols, computed when asked."""

from __future__ import annotations

from itertools import groupby, islice

from exchange.protocol.views import (
    AccountView,
    AssetView,
    BookView,
    CollateralView,
    FundingView,
    LevelView,
    OrderView,
    PositionView,
    PriceView,
    SymbolView,
    fifth_of,
)
from exchange.reference import adl, bankruptcy, margin
from exchange.reference.assets import Asset
from exchange.reference.funding import rate_ppb
from exchange.reference.order import BUY, SELL, Order
from exchange.reference.state import Account, Pool, Position, State, Symbol


def account_view(state: State, number: int) -> AccountView:
    """MARGIN-01..06 of an account and its cross pool; zeros for one that never appeared."""
    account = state.accounts.get(number)
    if account is None:
        return account_view(empty_state(number), number)
    pool = account.cross
    backed = margin.positions_of(state, pool)
    return AccountView(
        account=number,
        wallet_atoms=pool.balance_atoms,
        isolated_margin_atoms=sum(p.isolated.balance_atoms for p in account.positions.values()),
        unrealised_atoms=sum(margin.unrealised_atoms(p) for p in backed),
        equity_atoms=margin.equity_atoms(state, pool),
        maintenance_atoms=margin.maintenance_atoms(state, pool),
        initial_margin_atoms=margin.initial_margin_atoms(account),
        available_atoms=margin.available_atoms(account),
        withdrawable_atoms=margin.withdrawable_atoms(account),
        liquidating=pool.liquidating,
        open_orders=sum(p.order_count for p in account.positions.values()),
        stp_group=account.stp_group,
        countdown_ns=state.countdowns.get(number, 0),
        multi_asset=account.multi_asset,
        position_mode=account.position_mode,
        collateral_atoms=account.counted_atoms,
    )


def empty_state(number: int) -> State:
    """A state with nothing in it but an account that has nothing."""
    state = State()
    state.accounts[number] = Account(number, Pool(number, 0))
    return state


def account_numbers(state: State) -> list[int]:
    """The accounts that are not all default, ascending."""
    return [
        account.number
        for account in state.accounts.values()
        if not account.is_default or account.number in state.countdowns
    ]


def position_views(state: State, number: int) -> list[PositionView]:
    """The account on each symbol where something is set, held or open, by symbol and leg."""
    account = state.accounts.get(number)
    if account is None:
        return []
    return [
        position_view(state, p)
        for p in account.positions.values()
        if not p.is_default or p.order_count or p.auto_margin
    ]


def position_view(state: State, position: Position) -> PositionView:
    """MARGIN-01..05, MARGIN-09 and ADL-04 of one position."""
    place, candidates = adl.place_of(state, position) if position.lots else (0, 0)
    return PositionView(
        account=position.owner.number,
        symbol=position.symbol.number,
        leg=position.leg,
        margin_mode=position.mode,
        initial_margin_ppm=position.rate_ppm,
        position_lots=position.lots,
        entry_value_atoms=position.entry_value_atoms,
        margin_atoms=position.isolated.balance_atoms,
        unrealised_atoms=margin.unrealised_atoms(position),
        initial_margin_atoms=margin.initial_of_position(position),
        maintenance_atoms=margin.maintenance_of_position(position),
        order_margin_atoms=margin.order_margin_atoms(position),
        equity_atoms=margin.equity_atoms(state, position.pool),
        liquidation_price_ticks=margin.liquidation_price_ticks(state, position),
        bankruptcy_price_ticks=bankruptcy.bankruptcy_price_ticks(state, position),
        removable_atoms=margin.removable_atoms(position),
        liquidating=position.pool.liquidating,
        mark_ticks=position.symbol.mark_ticks,
        adl_fifth=fifth_of(place, candidates) if place else 0,
        adl_place=place,
        adl_candidates=candidates,
        auto_margin=position.auto_margin,
    )


def order_views(state: State, number: int) -> list[OrderView]:
    """The account's live orders in canonical order."""
    account = state.accounts.get(number)
    return [order_view(state, order) for order in account.orders()] if account else []


def order_view(state: State, order: Order) -> OrderView:
    return OrderView(
        account=order.account,
        symbol=order.symbol,
        leg=order.leg,
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        side=order.side,
        flags=order.flags,
        self_trade=order.self_trade,
        price_ticks=order.price_ticks,
        open_lots=order.open_lots,
        filled_lots=order.filled_lots,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        display_lots=order.display_lots,
        shown_lots=order.shown_lots,
        expires_ns=order.expires_ns,
        trigger_by=order.trigger_by,
        trigger_ticks=order.trigger_ticks,
        callback_ticks=order.callback_ticks,
        callback_ppm=order.callback_ppm,
        best_ticks=order.best_ticks,
        waiting=state.is_waiting(order),
        armed=order.armed,
        link_group=order.link_group,
        link_role=order.link_role,
    )


def collateral_views(state: State, number: int) -> list[CollateralView]:
    """COLL-02: what an account holds of collateral assets, by asset, and what it counts if it counts."""
    account = state.accounts.get(number)
    return [
        CollateralView(
            account=number,
            asset=held.asset.number,
            parts=held.parts,
            counted_atoms=held.counted_atoms,
        )
        for held in (account.holdings.values() if account else ())
    ]


def asset_view(asset: Asset) -> AssetView:
    return AssetView(
        asset=asset.number,
        name=asset.name.partition(b"\0")[0].decode("utf-8", "replace"),
        unit_parts=asset.unit_parts,
        haircut_ppm=asset.haircut_ppm,
        price_atoms=asset.price_atoms,
        held_parts=asset.held_parts,
    )


def book_view(symbol: Symbol, depth: int) -> BookView:
    """The price levels of a symbol, best first; depth 0 means all."""
    return BookView(
        symbol=symbol.number,
        bids=level_views(symbol, BUY, depth),
        asks=level_views(symbol, SELL, depth),
    )


def level_views(symbol: Symbol, side: int, depth: int) -> list[LevelView]:
    """What the orders of one side show, summed by price."""
    levels = groupby(symbol.book.of_side(side), key=lambda order: order.price_ticks)
    views = []
    for price, group in islice(levels, depth or None):
        lots = [order.front_lots for order in group]
        views.append(LevelView(price_ticks=price, qty_lots=sum(lots), order_count=len(lots)))
    return views


def price_views(symbol: Symbol) -> list[PriceView]:
    """MARK-02: the prices from outside that came, by source."""
    prices = symbol.composite.prices if symbol.composite else []
    return [PriceView(source, *price) for source, price in enumerate(prices) if price.price_ticks]


def symbol_view(symbol: Symbol) -> SymbolView:
    """A symbol, its steps, its state, its prices and its open interest."""
    return SymbolView(
        symbol=symbol.number,
        name=symbol.name.partition(b"\0")[0].decode("utf-8", "replace"),
        tick_size_e12=symbol.tick_size_e12,
        lot_size_e12=symbol.lot_size_e12,
        atoms_per_tick_lot=symbol.atoms_per_tick_lot,
        mark_ticks=symbol.mark_ticks,
        open_interest_lots=sum(max(0, p.lots) for p in symbol.positions.values()),
        fund=symbol.fund,
        state=symbol.state,
        last_ticks=symbol.last_ticks,
        prices=price_views(symbol),
        mark_held=symbol.is_held,
        funding=funding_view(symbol),
    )


def funding_view(symbol: Symbol) -> FundingView | None:
    """The rate so far (FUNDING-02)."""
    funding = symbol.funding
    if funding is None:
        return None
    return FundingView(
        interval_ns=funding.interval_ns,
        samples=funding.samples,
        premium_ppb=funding.premium_ppb,
        rate_ppb=rate_ppb(symbol, funding),
        next_funding_ns=funding.next_funding_ns,
    )
