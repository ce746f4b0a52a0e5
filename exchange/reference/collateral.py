"""COLL: the commands of collateral assets, and the conversion that settles a wallet's debt at the end of a command."""

from __future__ import annotations

import struct

from exchange.protocol.messages import ChangeCollateral, SetAssetPrice, SetMultiAsset
from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    MAX_AMOUNT_ATOMS,
    MAX_ASSETS,
    PPM,
    BalanceCause,
    CollateralCause,
    RejectReason,
)
from exchange.reference import margin
from exchange.reference.admission import is_account
from exchange.reference.assets import Asset, Holding, gross_value_atoms
from exchange.reference.context import Context
from exchange.reference.state import Account, State

LIST_ASSET = COMMAND_BY_NAME["list_asset"].number
LISTING = struct.Struct("<" + COMMAND_BY_NAME["list_asset"].body_format)

# ---------------------------------------------------------------------------------------- the operator's


def list_asset(ctx: Context, body: bytes) -> None:
    """COLL-01: an asset may back cross positions from now on, or its haircut is another."""
    number, name, unit_parts, haircut_ppm = LISTING.unpack(body)
    assets = ctx.state.assets
    if not may_list(assets.get(number), number, name, unit_parts, haircut_ppm):
        ctx.reject(LIST_ASSET, 0, RejectReason.INVALID_ASSET)
        return
    ctx.accept(LIST_ASSET, 0)
    asset = assets.setdefault(number, Asset(number, name, unit_parts, haircut_ppm))
    asset.name, asset.haircut_ppm = name, haircut_ppm
    ctx.events.write(
        "asset_listed", 0, asset=number, name=name, unit_parts=unit_parts, haircut_ppm=haircut_ppm
    )
    check_holders(ctx, asset)


def may_list(
    listed: Asset | None, number: int, name: bytes, unit_parts: int, haircut_ppm: int
) -> bool:
    """COLL-01: numbers inside their bounds; of a listed asset the unit as it is."""
    return (
        1 <= number <= MAX_ASSETS
        and bool(name[0])
        and 1 <= unit_parts <= MAX_AMOUNT_ATOMS
        and haircut_ppm <= PPM
        and (listed is None or listed.unit_parts == unit_parts)
    )


def set_asset_price(ctx: Context, command: SetAssetPrice) -> None:
    """COLL-02: the price moves, and every cross pool that counts on the asset is checked."""
    reason = check_price(ctx.state, command)
    if reason is not None:
        ctx.reject(command.number, 0, reason)
        return
    asset = ctx.state.assets[command.asset]
    ctx.accept(command.number, 0)
    asset.price_atoms = command.price_atoms
    ctx.events.write("asset_price_changed", 0, asset=asset.number, price_atoms=command.price_atoms)
    check_holders(ctx, asset)


def check_price(state: State, command: SetAssetPrice) -> RejectReason | None:
    """COLL-01: what all hold stays inside the range of money at the new price."""
    if not 1 <= command.price_atoms <= MAX_AMOUNT_ATOMS:
        return RejectReason.INVALID_AMOUNT
    asset = state.assets.get(command.asset)
    if asset is None:
        return RejectReason.UNKNOWN_ASSET
    others = gross_value_atoms(a for a in state.assets.values() if a is not asset)
    worth = asset.held_parts * command.price_atoms // asset.unit_parts
    return RejectReason.VALUE_OUT_OF_RANGE if others + worth > MAX_AMOUNT_ATOMS else None


def check_holders(ctx: Context, asset: Asset) -> None:
    """The cross pool of every account that counts on the asset, by account."""
    for account in ctx.state.accounts.values():
        if account.multi_asset and asset.number in account.holdings:
            ctx.check(account.cross)


# ------------------------------------------------------------------------------------------ the account's


def change_collateral(ctx: Context, command: ChangeCollateral) -> None:
    """COLL-03: an asset comes in, or leaves as far as what counts is not needed."""
    state, change = ctx.state, command.change_parts
    reason = check_change(state, command)
    if reason is not None:
        ctx.reject(command.number, command.account, reason)
        return
    ctx.accept(command.number, command.account)
    account = state.account(command.account)
    cause = CollateralCause.DEPOSIT if change > 0 else CollateralCause.WITHDRAWAL
    move_collateral(ctx, account, state.assets[command.asset], change, cause)
    ctx.check(account.cross)


def check_change(state: State, command: ChangeCollateral) -> RejectReason | None:
    change = command.change_parts
    if not is_account(command.account):
        return RejectReason.INVALID_ACCOUNT
    if not 1 <= abs(change) <= MAX_AMOUNT_ATOMS:
        return RejectReason.INVALID_AMOUNT
    account = state.account(command.account)
    if change < 0 and account.cross.liquidating:
        return RejectReason.POOL_LIQUIDATING
    if change < 0 and any(pool.uncovered for pool in state.pools()):
        return RejectReason.WITHDRAWALS_STOPPED
    asset = state.assets.get(command.asset)
    if asset is None:
        return RejectReason.UNKNOWN_ASSET
    if change > 0:
        return check_bringing(state, asset, change)
    return check_taking(account, asset, -change)


def check_taking(account: Account, asset: Asset, parts: int) -> RejectReason | None:
    """COLL-03: what is left leaves what is available, unrealised profit not counted, at 0 or above."""
    holding = account.holdings.get(asset.number)
    if holding is None or holding.parts < parts:
        return RejectReason.INSUFFICIENT_COLLATERAL
    if not account.multi_asset:
        return None
    holding.parts -= parts  # looked at as it would be, and put back
    left = margin.available_atoms(account, weigh_profit=False)
    holding.parts += parts
    return RejectReason.INSUFFICIENT_MARGIN if left < 0 else None


def check_bringing(state: State, asset: Asset, parts: int) -> RejectReason | None:
    """COLL-01: what all hold of the asset, and what all assets are worth, stays inside the range of money."""
    if asset.held_parts + parts > MAX_AMOUNT_ATOMS:
        return RejectReason.VALUE_OUT_OF_RANGE
    others = gross_value_atoms(a for a in state.assets.values() if a is not asset)
    worth = asset.value_atoms(asset.held_parts + parts)
    return RejectReason.VALUE_OUT_OF_RANGE if others + worth > MAX_AMOUNT_ATOMS else None


def move_collateral(
    ctx: Context, account: Account, asset: Asset, change: int, cause: CollateralCause
) -> None:
    """An account holds more or less of an asset, and hears of it."""
    holding = account.holdings.setdefault(asset.number, Holding(asset))
    holding.parts += change
    asset.held_parts += change
    if not holding.parts:
        del account.holdings[asset.number]
    ctx.events.write(
        "collateral_changed",
        account.number,
        asset=asset.number,
        cause=cause,
        change_parts=change,
        parts=holding.parts,
    )


def set_multi_asset(ctx: Context, command: SetMultiAsset) -> None:
    """COLL-02: the account's assets count from now on, or no longer, if it can do without them."""
    state = ctx.state
    reason = check_multi_asset(state, command)
    if reason is not None:
        ctx.reject(command.number, command.account, reason)
        return
    account = state.account(command.account)
    account.multi_asset = bool(command.enabled)
    ctx.accept(command.number, command.account)
    ctx.events.write("multi_asset_set", account.number, enabled=command.enabled)
    ctx.check(account.cross)


def check_multi_asset(state: State, command: SetMultiAsset) -> RejectReason | None:
    if not is_account(command.account):
        return RejectReason.INVALID_ACCOUNT
    if command.enabled > 1:
        return RejectReason.INVALID_MARGIN_MODE
    account = state.account(command.account)
    if account.cross.liquidating:
        return RejectReason.POOL_LIQUIDATING
    lost = account.counted_atoms if not command.enabled else 0
    if lost and margin.available_atoms(account) - lost < 0:
        return RejectReason.INSUFFICIENT_MARGIN
    return None


# --------------------------------------------------------------------------------------------- conversion


def settle_debts(ctx: Context) -> None:
    """COLL-04: at the end of a command, a wallet below zero with no cross position left is filled from its assets."""
    if not ctx.state.assets:
        return
    for account in ctx.state.accounts.values():
        owes = account.cross.balance_atoms < 0 and account.counted_atoms
        if owes and not margin.positions_of(ctx.state, account.cross):
            settle_debt(ctx, account)


def settle_debt(ctx: Context, account: Account) -> None:
    """COLL-04: the smallest haircut first, ties by number; the operator takes the asset for what it counts."""
    holdings = sorted(
        account.holdings.values(), key=lambda held: (held.asset.haircut_ppm, held.asset.number)
    )
    for held in holdings:
        debt = -account.cross.balance_atoms
        if debt <= 0:
            return
        if not held.counted_atoms:
            continue
        parts = held.asset.parts_for(debt, held.parts)
        counted = held.asset.counted_atoms(parts)
        move_collateral(ctx, account, held.asset, -parts, CollateralCause.CONVERSION)
        ctx.state.deposits_atoms += counted
        account.cross.balance_atoms += counted
        ctx.write_balance(account.number, BalanceCause.CONVERSION, wallet_change=counted)
