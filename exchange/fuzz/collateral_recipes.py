"""The fuzzer's collateral assets: listed, priced, brought, counted on, taken out again, and crashing."""

from __future__ import annotations

from exchange.audit.requirement import available
from exchange.fuzz.order_recipes import OrderRecipes
from exchange.protocol.messages import (
    ChangeCollateral,
    Command,
    ListAsset,
    SetAssetPrice,
    SetMultiAsset,
)
from exchange.protocol.schema import MAX_AMOUNT_ATOMS, PPM

HAIRCUTS = (0, 50_000, 50_000, 200_000, 500_000, PPM)


class CollateralRecipes(OrderRecipes):
    """One method for each kind of command about collateral assets; a stake buys about ten units of each."""

    def list_asset(self) -> Command:
        """A new asset, or another haircut of one that there is."""
        random = self.random
        number = random.choice((1, 1, 2, 3))
        known = self.state.assets.get(number)
        unit = (
            known.unit_parts if known and random.random() < 0.95 else random.choice((1, 7, 10**4))
        )
        return ListAsset(
            asset=number,
            name=f"A{number}",
            unit_parts=unit,
            haircut_ppm=random.choice(HAIRCUTS),
        )

    def asset_price(self) -> Command:
        random = self.random
        number = self.pick_asset()
        known = self.state.assets.get(number)
        start = max(1, self.world.stake_atoms // 10)
        price = start
        if known is not None and known.price and random.random() < 0.8:
            price = known.price * random.choice((300, 700, 900, 990, 1_010, 1_100, 1_500)) // 1_000
        return SetAssetPrice(asset=number, price_atoms=max(1, min(price, 100 * start)))

    def change_collateral(self) -> Command:
        """Brings some, or takes out: all, a part, or just what is not needed, and a part more."""
        random = self.random
        account, number = self.pick_account(), self.pick_asset()
        known, owner = self.state.assets.get(number), self.state.accounts.get(account)
        unit = known.unit_parts if known else 1
        held = owner.parts.get(number, 0) if owner else 0
        if owner is None or known is None or not held or random.random() < 0.5:
            change = max(1, unit * random.choice((1, 5, 20, 60)) // random.choice((1, 3)))
        else:
            worth = max(1, known.counted(held))
            spare = max(0, available(owner, weight_ppm=0))
            just = min(held, held * spare // worth)
            change = -random.choice((held, max(1, held // 3), just, just + 1, held + 1))
        limit = MAX_AMOUNT_ATOMS
        return ChangeCollateral(
            account=account, asset=number, change_parts=max(-limit, min(change, limit)) or 1
        )

    def multi_asset(self) -> Command:
        return SetMultiAsset(
            account=self.pick_account(), enabled=self.random.choice((1, 1, 1, 1, 0, 0, 2))
        )

    def pick_asset(self) -> int:
        return self.random.choice((1, 1, 1, 2, 3, 4))
