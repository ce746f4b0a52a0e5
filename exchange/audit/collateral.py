"""Collateral assets as the events tell them: what they count, and every conversion (COLL-01..04)."""

from __future__ import annotations

from exchange.audit.context import Context
from exchange.audit.requirement import available
from exchange.audit.state import Account, Asset, cross_pool
from exchange.protocol.schema import CollateralCause


class CollateralAudit:
    """Follows holdings and prices, and tests what leaves and what is converted."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.state = context.state
        self.due = 0  # atoms that the conversion just told has to bring
        self.converted: tuple[int, int, int] | None = (
            None  # account, and its last asset's haircut and number
        )

    def on_asset(
        self, account: int, number: int, name: bytes, unit_parts: int, haircut_ppm: int
    ) -> None:
        known = self.state.assets.get(number)
        if known is not None and known.unit_parts != unit_parts:
            self.context.report("COLL-01", f"the unit of asset {number} changes to {unit_parts}")
        price = known.price if known is not None else 0
        asset = known or Asset(number, unit_parts)
        asset.haircut_ppm, asset.price = haircut_ppm, price
        self.state.assets[number] = asset
        self.touch_holders(number)

    def on_price(self, account: int, number: int, price_atoms: int) -> None:
        self.state.assets[number].price = price_atoms
        self.touch_holders(number)

    def touch_holders(self, number: int) -> None:
        for owner in self.state.accounts.values():
            if owner.counting and number in owner.parts:
                self.context.pools.add(cross_pool(owner.number))

    def on_collateral(self, account: int, number: int, cause: int, change: int, parts: int) -> None:
        context, owner, asset = self.context, self.state.account(account), self.state.assets[number]
        had = owner.parts.get(number, 0)
        context.expect("I3", f"asset {number} of account {account}", had + change, parts)
        if parts < 0:
            context.report("COLL-03", f"account {account} holds {parts} parts of asset {number}")
        if cause == CollateralCause.CONVERSION:
            self.check_conversion(owner, asset, -change)
        owner.assets[number] = asset
        owner.parts[number] = parts
        if not parts:
            del owner.parts[number]
        context.pools.add(cross_pool(account))
        if cause == CollateralCause.WITHDRAWAL:
            self.check_withdrawal(owner)

    def check_withdrawal(self, owner: Account) -> None:
        """COLL-03: what is left still covers what is open."""
        if self.state.uncovered:
            self.context.report("ADL-03", f"account {owner.number} takes an asset out meanwhile")
        short = -available(owner, weight_ppm=0)
        if owner.counting and short > 0:
            self.context.report(
                "I18", f"account {owner.number} takes collateral out, {short} atoms are missing"
            )

    def check_conversion(self, owner: Account, asset: Asset, parts: int) -> None:
        """COLL-04: for a debt without a cross position, in order of the haircut, and no part more than it needs."""
        context, debt = self.context, -owner.wallet
        if debt <= 0 or owner.cross or not owner.counting:
            context.report(
                "COLL-04", f"account {owner.number} has assets converted with a debt of {debt}"
            )
        turn = (owner.number, asset.haircut_ppm, asset.number)
        if self.converted is not None and turn < self.converted:
            context.report("COLL-04", f"asset {asset.number} is converted too late, or too early")
        self.converted = turn
        self.due = asset.counted(parts)
        if parts > 1 and asset.counted(parts - 1) >= debt:
            context.report(
                "COLL-04", f"{parts} parts of asset {asset.number} are more than the debt needs"
            )

    def on_multi_asset(self, account: int, enabled: int) -> None:
        owner = self.state.account(account)
        gives_up = owner.counted if not enabled else 0
        owner.counting = bool(enabled)
        self.context.pools.add(cross_pool(account))
        short = -available(owner)
        if gives_up and short > 0:
            self.context.report(
                "I18", f"account {account} stops counting its assets, {short} atoms are missing"
            )

    def on_brought(self, wallet_change: int) -> bool:
        """A conversion's money: what its assets count, to the atom."""
        due, self.due = self.due, 0
        return wallet_change == due > 0

    def finish(self) -> None:
        self.converted = None
        if self.due:
            self.context.report("COLL-04", f"a conversion of {self.due} atoms did not arrive")
            self.due = 0
