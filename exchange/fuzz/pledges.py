"""What accounts have pledged in collateral assets, told by events alone: what else stands behind a debt."""

from __future__ import annotations

from collections import defaultdict

from exchange.protocol.messages import (
    AssetListed,
    AssetPriceChanged,
    CollateralChanged,
    Event,
    MultiAssetSet,
)
from exchange.protocol.schema import PPM


class Pledges:
    """The assets, who holds how much of them, and whose count (COLL-02)."""

    def __init__(self) -> None:
        self.assets: dict[int, AssetListed] = {}
        self.prices: dict[int, int] = {}  # atoms for one unit
        self.parts: defaultdict[int, dict[int, int]] = defaultdict(dict)  # account -> asset -> held
        self.counting: set[int] = set()

    def take_note(self, event: Event) -> None:
        match event:
            case AssetListed():
                self.assets[event.asset] = event
            case AssetPriceChanged():
                self.prices[event.asset] = event.price_atoms
            case CollateralChanged():
                self.parts[event.account][event.asset] = event.parts
            case MultiAssetSet(enabled=1):
                self.counting.add(event.account)
            case MultiAssetSet():
                self.counting.discard(event.account)

    def of(self, account: int) -> int:
        """Atoms that the account's assets count for; 0 where it has not asked for that."""
        if account not in self.counting:
            return 0
        return sum(self.counted(asset, parts) for asset, parts in self.parts[account].items())

    def counted(self, asset: int, parts: int) -> int:
        listed = self.assets[asset]
        value = parts * self.prices.get(asset, 0) // listed.unit_parts
        return value * (PPM - listed.haircut_ppm) // PPM
