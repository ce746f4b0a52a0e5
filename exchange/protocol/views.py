"""What a query of the engine answers: read-only pictures of accounts, positions, orders, books and symbols.

Every field is an integer in the unit that its name ends in.  Both engines answer with these same objects, and
the gateway sends them as msgpack maps, so that a client in any language can read them by name.
"""

from __future__ import annotations

import msgspec


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """An account and its cross pool (MARGIN-01..06)."""

    account: int
    wallet_atoms: int
    isolated_margin_atoms: int  # sum of the isolated pools
    unrealised_atoms: int  # of the cross positions
    equity_atoms: int  # of the cross pool
    maintenance_atoms: int  # of the cross pool
    initial_margin_atoms: int  # cross symbols with their orders, and order margins of isolated symbols
    available_atoms: int
    withdrawable_atoms: int
    liquidating: bool  # the cross pool
    open_orders: int
    stp_group: int = 0  # self-trade prevention group; 0: none
    countdown_ns: int = 0  # when its orders are cancelled; 0: never
    position_mode: int = 0  # one-way or hedge (ACCT-08)
    multi_asset: bool = False  # whether its collateral assets count
    collateral_atoms: int = 0  # what they count for the cross pool


class PositionView(msgspec.Struct, frozen=True, kw_only=True):
    """A position, or the settings of an account on a symbol where there is none."""

    account: int
    symbol: int
    leg: int
    margin_mode: int
    initial_margin_ppm: int  # rate in force before the bracket's own floor
    position_lots: int
    entry_value_atoms: int
    margin_atoms: int  # isolated pool; 0 in cross mode
    unrealised_atoms: int
    initial_margin_atoms: int  # of the position alone
    maintenance_atoms: int  # of the position alone
    order_margin_atoms: int
    equity_atoms: int  # of its pool
    liquidation_price_ticks: int  # 0: none
    bankruptcy_price_ticks: int = 0  # 0: none
    removable_atoms: int = 0  # what may be taken out of its isolated pool; 0 in cross mode
    liquidating: bool  # its pool
    mark_ticks: int
    adl_fifth: int = 0  # 5: among the next to be deleveraged, to 1 (ADL-04); 0: no position
    adl_place: int = 0  # exact place in that queue, from 1
    adl_candidates: int = 0  # how many positions are on its side
    auto_margin: bool = False  # the wallet adds margin by itself (ACCT-09)


def fifth_of(place: int, candidates: int) -> int:
    """ADL-04: the lights of a position at this place of its queue, from 5, next to be deleveraged, to 1.

    >>> [fifth_of(place, 10) for place in (1, 2, 3, 10)], fifth_of(1, 1)
    ([5, 5, 4, 1], 5)
    """
    return 5 - 5 * (place - 1) // candidates


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order that rests, or that waits for its trigger."""

    account: int
    symbol: int
    leg: int
    order_id: int
    client_order_id: int
    side: int
    flags: int
    self_trade: int
    price_ticks: int
    open_lots: int  # of an exit that waits: what is armed
    filled_lots: int
    order_type: int = 0
    time_in_force: int = 0
    display_lots: int = 0  # iceberg: what is shown at a time; 0: all
    shown_lots: int = 0  # iceberg: what is shown now
    expires_ns: int = 0  # 0: never
    trigger_by: int = 0
    trigger_ticks: int = 0  # 0: none; kept when it has gone off
    callback_ticks: int = 0
    callback_ppm: int = 0
    best_ticks: int = 0  # trailing stop that waits: best price since it began to watch
    waiting: bool = False  # for its trigger
    armed: bool = False  # it waits and may go off: an exit only when its entry has filled
    link_group: int = 0  # order id of the first of its list; 0: not linked
    link_role: int = 0  # 0 none, 1 one-cancels-other, 2 entry, 3 exit


class CollateralView(msgspec.Struct, frozen=True, kw_only=True):
    """What an account holds of a collateral asset, and what that counts where its assets count (COLL-02)."""

    account: int
    asset: int
    parts: int
    counted_atoms: int


class AssetView(msgspec.Struct, frozen=True, kw_only=True):
    """A collateral asset: its unit, haircut and price."""

    asset: int
    name: str
    unit_parts: int
    haircut_ppm: int
    price_atoms: int  # of one unit; 0: none yet
    held_parts: int  # by all accounts


class LevelView(msgspec.Struct, frozen=True, array_like=True):
    """A price level: what its orders show (of icebergs the slices), and how many they are."""

    price_ticks: int
    qty_lots: int
    order_count: int


class BookView(msgspec.Struct, frozen=True, kw_only=True):
    """The book of a symbol, best prices first."""

    symbol: int
    bids: list[LevelView]
    asks: list[LevelView]


class PriceView(msgspec.Struct, frozen=True, array_like=True):
    """A price from outside, as it came last (MARK-02)."""

    source: int  # 0: the index; from 1: an external feed
    price_ticks: int
    received_ns: int


class FundingView(msgspec.Struct, frozen=True, kw_only=True):
    """The funding rate that the engine computes (FUNDING-02), as the samples of the interval so far say it."""

    interval_ns: int
    samples: int  # sample times that count so far; 0: there is no rate yet
    premium_ppb: int  # their average premium
    rate_ppb: int  # what would be settled; positive: longs pay shorts
    next_funding_ns: int  # when it is settled; 0: never


class SymbolView(msgspec.Struct, frozen=True, kw_only=True):
    """A listed symbol: its number, name, steps, state and open interest.  The full policy is its ListSymbol."""

    symbol: int
    name: str
    tick_size_e12: int
    lot_size_e12: int
    atoms_per_tick_lot: int
    mark_ticks: int  # 0: none yet
    open_interest_lots: int  # sum of the long positions
    fund: int
    state: int = 0
    last_ticks: int = 0  # price of the last trade; 0: none yet
    prices: list[PriceView] = []  # of a composite mark: the index and the feeds as they came last
    mark_held: bool = False  # for want of prices: nothing may be opened (MARK-03)
    funding: FundingView | None = None  # None: settled by hand
