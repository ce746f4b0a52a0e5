"""What moved an account's money, in a few words: one event at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exchange.explain.source import Names, money, percent
from exchange.protocol.messages import (
    AssetPriceChanged,
    BalanceChanged,
    BracketsChanged,
    CollateralChanged,
    Event,
    Fill,
    FundingRate,
    FundingSettled,
    LiquidationEnded,
    LiquidationSettled,
    LiquidationStarted,
    MarginModeChanged,
    MarginWarning,
    MarkChanged,
)
from exchange.protocol.schema import BalanceCause, CollateralCause, FillRole, MarginMode, Side
from exchange.units import from_ppm
from exchange.units import plain as plain_number

ROLES = {
    FillRole.MAKER: "",
    FillRole.TAKER: "",
    FillRole.AUCTION: " in an auction",
    FillRole.SETTLEMENT: " by the symbol's settlement",
    FillRole.LIQUIDATED: " by the engine's closing order",
    FillRole.DELEVERAGED: " by auto-deleveraging",
    FillRole.ADL_COUNTERPARTY: " by auto-deleveraging",
}


def describe_all(events: Sequence[Event], names: Names) -> str:
    """What a command did to an account, its fills on one side of a symbol taken together."""
    fills: dict[tuple[int, int, int, int], list[Fill]] = {}
    for event in events:
        if isinstance(event, Fill):
            fills.setdefault((event.symbol, event.leg, event.side, event.role), []).append(event)
    phrases = []
    for event in events:
        if not isinstance(event, Fill):
            phrases.append(describe(event, names))
            continue
        group = fills.pop((event.symbol, event.leg, event.side, event.role), None)
        if group is not None:
            phrases.append(describe_fills(group, names))
    return "; ".join(filter(None, phrases))


def describe_fills(fills: Sequence[Fill], names: Names) -> str:
    """Fills of one side of a symbol, in one phrase."""
    first, last = fills[0], fills[-1]
    if len(fills) == 1:
        return describe_fill(first, names)
    verb = "bought" if first.side == Side.BUY else "sold"
    symbol = first.symbol
    quantity = names.quantity(symbol, sum(fill.qty_lots for fill in fills))
    prices = [names.price(symbol, fill.price_ticks) for fill in (first, last)]
    fee = sum(fill.fee_atoms for fill in fills)
    between = " .. ".join(dict.fromkeys(prices))
    at = f"at {between}" if first.price_ticks else f"for {money(sum(f.value_atoms for f in fills))}"
    return (
        f"{verb} {quantity} {names.position(symbol, first.leg)} in {len(fills)} fills {at}"
        f"{ROLES[FillRole(first.role)]}{f', fees {money(fee)}' if fee else ''}"
    )


def describe(event: Event, names: Names) -> str:
    """One event as a phrase; an empty one where another event says it already."""
    match event:
        case MarkChanged():
            return (
                f"mark {names.symbol(event.symbol)} {names.price(event.symbol, event.price_ticks)}"
            )
        case Fill():
            return describe_fill(event, names)
        case BalanceChanged():
            return describe_balance(event, names)
        case LiquidationSettled():
            return describe_settled(event)
        case FundingSettled():
            return ""  # the balance says how much
        case FundingRate():
            return describe_rate(event, names)
        case CollateralChanged():
            return describe_collateral(event, names)
        case AssetPriceChanged():
            return f"price of {names.asset(event.asset)} {money(event.price_atoms)}"
        case BracketsChanged():
            return f"new brackets of {names.symbol(event.symbol)}"
        case MarginModeChanged():
            return f"{MarginMode(event.margin_mode).name.lower()} margin on {names.position(event.symbol, event.leg)}"
        case LiquidationStarted():
            return f"liquidation of the {names.pool(event.symbol, event.leg)} pool begins"
        case LiquidationEnded():
            return f"liquidation of the {names.pool(event.symbol, event.leg)} pool is over"
        case MarginWarning():
            return describe_warning(event, names)
    return type(event).__name__


def describe_warning(event: MarginWarning, names: Names) -> str:
    level = f"{plain_number(from_ppm(event.level_ppm) * 100):f} %"
    return (
        f"warning: the {names.pool(event.symbol, event.leg)} pool's maintenance has reached {level}"
    )


def describe_fill(event: Fill, names: Names) -> str:
    verb = "bought" if event.side == Side.BUY else "sold"
    quantity = (
        f"{names.quantity(event.symbol, event.qty_lots)} {names.position(event.symbol, event.leg)}"
    )
    # Deleveraging has an exact value, and no price.
    price = (
        f"at {names.price(event.symbol, event.price_ticks)}"
        if event.price_ticks
        else f"for {money(event.value_atoms)}"
    )
    fee = f", fee {money(event.fee_atoms)}" if event.fee_atoms else ""
    return f"{verb} {quantity} {price}{ROLES[FillRole(event.role)]}{fee}"


def describe_collateral(event: CollateralChanged, names: Names) -> str:
    cause = CollateralCause(event.cause).name.lower().replace("_", " ")
    return f"{cause} {names.parts(event.asset, event.change_parts)} {names.asset(event.asset)}"


def describe_rate(event: FundingRate, names: Names) -> str:
    """The rate of an interval that is over, and what made it (FUNDING-02)."""
    if not event.samples:
        return f"no funding rate of {names.symbol(event.symbol)}: no sample"
    bound = ", by its clamp" if event.clamped else ""
    cap = f", held by the cap of {percent(event.cap_ppb)}" if event.capped else ""
    return (
        f"funding rate of {names.symbol(event.symbol)} {percent(event.rate_ppb)}: premium "
        f"{percent(event.premium_ppb)} on average of {event.samples}, pulled towards interest "
        f"{percent(event.interest_ppb)}{bound}{cap}"
    )


def describe_settled(event: LiquidationSettled) -> str:
    if event.fund_paid_atoms:
        return f"{money(event.fund_paid_atoms)} from the fund, below bankruptcy"
    if event.liquidation_fee_atoms:
        return f"liquidation fee {money(event.liquidation_fee_atoms)}"
    return "nothing to the fund"


def describe_balance(event: BalanceChanged, names: Names) -> str:
    moved: Any = event.wallet_change_atoms or event.margin_change_atoms
    cause = BalanceCause(event.cause)
    where = f" on {names.position(event.symbol, event.leg)}" if event.symbol else ""
    match cause:
        case BalanceCause.FUNDING:
            return f"funding{where} {money(moved)}"
        case BalanceCause.AUTO_MARGIN:
            where = names.position(event.symbol, event.leg)
            return f"{money(event.margin_change_atoms)} into the pool of {where}, by itself"
        case BalanceCause.ISOLATED_MARGIN | BalanceCause.MARGIN_MODE:
            return f"{money(event.margin_change_atoms)} into the pool of {names.position(event.symbol, event.leg)}"
        case BalanceCause.FUND_COVER:
            return f"{money(moved)} from the fund for the deficit{where}"
    return f"{cause.name.lower().replace('_', ' ')} {money(abs(moved))}{where}"
