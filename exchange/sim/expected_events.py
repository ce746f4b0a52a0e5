"""What a scenario expects to have happened since its last expectation: trades, cancellations, auctions."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

from exchange.protocol.messages import (
    Accepted,
    AdlRanked,
    AuctionIndicated,
    AuctionUncrossed,
    DeficitShared,
    DeficitUncovered,
    EntryAccepted,
    EntryRejected,
    Fill,
    FundingRate,
    LiquidationOrder,
    LiquidationPosition,
    LiquidationShrunk,
    LiquidationSized,
    MarginWarning,
    OrderCancelled,
    OrderShown,
    OrderTriggered,
)
from exchange.protocol.schema import (
    MESSAGE_BY_NUMBER,
    CancelReason,
    ClosingLimit,
    ClosingSize,
    FillRole,
    RejectReason,
    Side,
)
from exchange.sim.expected_funds import budgets, charged, fund_changes
from exchange.sim.scenario_desk import Desk
from exchange.units import from_atoms, from_ppb, from_ppm

Value: TypeAlias = Any

#: Who meets in the book or in an auction.
TRADERS = (FillRole.MAKER, FillRole.TAKER, FillRole.LIQUIDATED, FillRole.AUCTION)


def _fills(desk: Desk, *roles: FillRole) -> list[Fill]:
    return [event for event in desk.recent if isinstance(event, Fill) and event.role in roles]


def _trades(desk: Desk) -> Value:
    """[buyer, seller, symbol, quantity, price] of each trade in the book or an auction."""
    trades = []
    fills = _fills(desk, *TRADERS)
    for maker, other in zip(fills[::2], fills[1::2], strict=True):
        buyer, seller = (maker, other) if maker.side == Side.BUY else (other, maker)
        symbol = desk.names.symbol_name(maker.symbol)
        units = desk.names.units(symbol)
        trades.append(
            [
                desk.names.account_name(buyer.account),
                desk.names.account_name(seller.account),
                symbol,
                units.lots_to_qty(maker.qty_lots),
                units.ticks_to_price(maker.price_ticks),
            ]
        )
    return trades


def _deleveraged(desk: Desk) -> Value:
    """[liquidated account, counterparty, symbol, quantity, value] of each auto-deleveraging."""
    parts = []
    fills = _fills(desk, FillRole.DELEVERAGED, FillRole.ADL_COUNTERPARTY)
    for loser, winner in zip(fills[::2], fills[1::2], strict=True):
        symbol = desk.names.symbol_name(loser.symbol)
        parts.append(
            [
                desk.names.account_name(loser.account),
                desk.names.account_name(winner.account),
                symbol,
                desk.names.units(symbol).lots_to_qty(loser.qty_lots),
                from_atoms(loser.value_atoms),
            ]
        )
    return parts


def _ranked(desk: Desk) -> Value:
    """[counterparty, symbol, rank, quantity, haircut] of each place told in an auto-deleveraging."""
    places = []
    for event in desk.recent:
        if isinstance(event, AdlRanked):
            symbol = desk.names.symbol_name(event.symbol)
            quantity = desk.names.units(symbol).lots_to_qty(event.qty_lots)
            places.append(
                [
                    desk.names.account_name(event.account),
                    symbol,
                    Decimal(event.rank),
                    quantity,
                    from_atoms(event.haircut_atoms),
                ]
            )
    return places


def _cancelled(desk: Desk) -> Value:
    """[account, symbol, side, quantity, reason] of each order that left without being filled."""
    return [
        [
            desk.names.account_name(event.account),
            desk.names.symbol_name(event.symbol),
            Side(event.side).name.lower(),
            desk.names.units(desk.names.symbol_name(event.symbol)).lots_to_qty(event.open_lots),
            CancelReason(event.reason).name.lower(),
        ]
        for event in desk.recent
        if isinstance(event, OrderCancelled)
    ]


def _liquidation_orders(desk: Desk) -> Value:
    """[account, symbol, side, quantity, limit] of each order that the engine sent for a pool."""
    orders = []
    for event in desk.recent:
        if isinstance(event, LiquidationOrder):
            symbol = desk.names.symbol_name(event.symbol)
            units = desk.names.units(symbol)
            orders.append(
                [
                    desk.names.account_name(event.account),
                    symbol,
                    Side(event.side).name.lower(),
                    units.lots_to_qty(event.qty_lots),
                    units.ticks_to_price(event.price_ticks),
                ]
            )
    return orders


def _sized(desk: Desk) -> Value:
    """[account, symbol, quantity, what decided it, limit, what decided that] of each closing order that was decided."""
    return [
        [
            desk.names.account_name(event.account),
            desk.names.symbol_name(event.symbol),
            _quantity(desk, event.symbol, event.qty_lots),
            ClosingSize(event.sized_by).name.lower(),
            _price(desk, event.symbol, event.price_ticks),
            ClosingLimit(event.limited_by).name.lower(),
        ]
        for event in desk.recent
        if isinstance(event, LiquidationSized)
    ]


def _shrunk(desk: Desk) -> Value:
    """[account, symbol, price, quantity offered, quantity that the fund bears] where the fund could not bear all."""
    return [
        [
            desk.names.account_name(event.account),
            desk.names.symbol_name(event.symbol),
            _price(desk, event.symbol, event.price_ticks),
            _quantity(desk, event.symbol, event.offered_lots),
            _quantity(desk, event.symbol, event.qty_lots),
        ]
        for event in desk.recent
        if isinstance(event, LiquidationShrunk)
    ]


def _told(desk: Desk) -> Value:
    """[account, symbol, position, share of equity, bankruptcy value] of each position of a pool that is liquidated."""
    return [
        [
            desk.names.account_name(event.account),
            desk.names.symbol_name(event.symbol),
            _quantity(desk, event.symbol, event.position_lots),
            from_atoms(event.share_atoms),
            from_atoms(event.bankruptcy_value_atoms),
        ]
        for event in desk.recent
        if isinstance(event, LiquidationPosition)
    ]


def _shares(desk: Desk) -> Value:
    """[account, symbol, share of the deficit, what the fund pays, bankruptcy value] of each deficit stage."""
    return [
        [
            desk.names.account_name(event.account),
            desk.names.symbol_name(event.symbol),
            from_atoms(event.share_atoms),
            from_atoms(event.paid_atoms),
            from_atoms(event.bankruptcy_value_atoms),
        ]
        for event in desk.recent
        if isinstance(event, DeficitShared)
    ]


def _settled(desk: Desk) -> Value:
    """[account, symbol, side of the close, quantity, value] of each position that a settlement closed."""
    return [
        [*_whose(desk, fill), from_atoms(fill.value_atoms)]
        for fill in _fills(desk, FillRole.SETTLEMENT)
    ]


def _whose(desk: Desk, event: Fill | OrderTriggered | OrderShown) -> list[Value]:
    """[account, symbol, side, quantity] that an event speaks of."""
    symbol = desk.names.symbol_name(event.symbol)
    match event:
        case Fill():
            lots = event.qty_lots
        case OrderTriggered():
            lots = event.open_lots
        case OrderShown():
            lots = event.shown_lots
    return [
        desk.names.account_name(event.account),
        symbol,
        Side(event.side).name.lower(),
        desk.names.units(symbol).lots_to_qty(lots),
    ]


def _triggered(desk: Desk) -> Value:
    """[account, symbol, side, quantity, watched price] of each order that went off."""
    return [
        [*_whose(desk, event), _price(desk, event.symbol, event.watched_ticks)]
        for event in desk.recent
        if isinstance(event, OrderTriggered)
    ]


def _slices(desk: Desk) -> Value:
    """[account, symbol, side, quantity, limit] of each slice that an iceberg began to show."""
    return [
        [*_whose(desk, event), _price(desk, event.symbol, event.price_ticks)]
        for event in desk.recent
        if isinstance(event, OrderShown)
    ]


def _premiums(desk: Desk) -> Value:
    """[symbol, premium, sample times that it counts for] of each premium sample."""
    return [
        [desk.names.symbol_name(e.symbol), from_ppb(e.sample_ppb), Decimal(e.counted)]
        for e in desk.recent
        if isinstance(e, FundingRate) and not e.final
    ]


def _funding_rates(desk: Desk) -> Value:
    """[symbol, samples, average premium, rate, what bound it] of each interval that ended."""
    return [
        [
            desk.names.symbol_name(event.symbol),
            Decimal(event.samples),
            from_ppb(event.premium_ppb),
            from_ppb(event.rate_ppb),
            "cap" if event.capped else "clamp" if event.clamped else "nothing",
        ]
        for event in desk.recent
        if isinstance(event, FundingRate) and event.final
    ]


def _price(desk: Desk, symbol: int, ticks: int) -> Decimal:
    return desk.names.units(desk.names.symbol_name(symbol)).ticks_to_price(ticks)


def _quantity(desk: Desk, symbol: int, lots: int) -> Decimal:
    return desk.names.units(desk.names.symbol_name(symbol)).lots_to_qty(lots)


def _auctions(kind: type[AuctionIndicated | AuctionUncrossed]) -> Callable[[Desk], Value]:
    """[symbol, price, quantity, imbalance] of each auction; price 0 where nothing would trade."""

    def read(desk: Desk) -> Value:
        told = []
        for event in desk.recent:
            if isinstance(event, kind):
                name = desk.names.symbol_name(event.symbol)
                units = desk.names.units(name)
                lots = (event.qty_lots, event.imbalance_lots)
                price = units.ticks_to_price(event.price_ticks)
                told.append([name, price, *map(units.lots_to_qty, lots)])
        return told

    return read


def _entries(desk: Desk) -> Value:
    """For each order of a list: accepted, or the reason why it was refused."""
    return [
        "accepted" if isinstance(event, EntryAccepted) else RejectReason(event.reason).name.lower()
        for event in desk.recent
        if isinstance(event, EntryAccepted | EntryRejected)
    ]


def _answered(desk: Desk) -> Value:
    """The order ids in the results of commands and of the orders of lists, 0 where there is none."""
    return [
        Decimal(event.order_id)
        for event in desk.recent
        if isinstance(event, Accepted | EntryAccepted)
    ]


def _uncovered_pools(desk: Desk) -> Value:
    """[account, symbol, position left, shortfall] of each deficit that nobody covers."""
    return [
        [
            desk.names.account_name(event.account),
            desk.names.symbol_name(event.symbol),
            desk.names.units(desk.names.symbol_name(event.symbol)).lots_to_qty(
                event.remaining_lots
            ),
            from_atoms(event.shortfall_atoms),
        ]
        for event in desk.recent
        if isinstance(event, DeficitUncovered)
    ]


def _warnings(desk: Desk) -> Value:
    """[account, isolated symbol or cross, level, equity, maintenance margin] of each warning."""
    return [
        [
            desk.names.account_name(event.account),
            desk.names.symbol_name(event.symbol) if event.symbol else "cross",
            from_ppm(event.level_ppm),
            from_atoms(event.equity_atoms),
            from_atoms(event.maintenance_atoms),
        ]
        for event in desk.recent
        if isinstance(event, MarginWarning)
    ]


TOTALS: dict[str, Callable[[Desk], Value]] = {
    "fees": lambda desk: from_atoms(desk.engine.fees_atoms()),
    "withdrawals_stopped": lambda desk: desk.engine.uncovered(),
    "trades": _trades,
    "deleveraged": _deleveraged,
    "adl_ranked": _ranked,
    "cancelled": _cancelled,
    "liquidation_orders": _liquidation_orders,
    "told": _told,
    "sized": _sized,
    "shrunk": _shrunk,
    "shares": _shares,
    "budgets": budgets,
    "charged": charged,
    "fund_changes": fund_changes,
    "deficits": _uncovered_pools,
    "warnings": _warnings,
    "triggered": _triggered,
    "slices": _slices,
    "indications": _auctions(AuctionIndicated),
    "auctions": _auctions(AuctionUncrossed),
    "settled": _settled,
    "premiums": _premiums,
    "funding_rates": _funding_rates,
    "entries": _entries,
    "answered": _answered,
    "digest": lambda desk: desk.engine.digest(),
    "events": lambda desk: [MESSAGE_BY_NUMBER[event.number].name for event in desk.recent],
}
