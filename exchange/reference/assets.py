"""COLL: what collateral assets are worth, and how much of one settles a debt.  Pure: nothing here moves.

The settlement asset stays the unit of account.  A collateral asset counts for a cross pool with its value less a
haircut, where the account has asked for it; nothing is borrowed and no interest runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exchange.protocol.schema import PPM
from exchange.reference.arithmetic import ceil_div


@dataclass(slots=True, eq=False)
class Asset:
    """A listed collateral asset (COLL-01); its price is of one unit, which has so many parts."""

    number: int
    name: bytes
    unit_parts: int
    haircut_ppm: int
    price_atoms: int = 0  # 0: none yet
    held_parts: int = 0  # by all accounts

    def value_atoms(self, parts: int) -> int:
        """COLL-02: what parts are worth, haircut apart, rounded down."""
        return parts * self.price_atoms // self.unit_parts

    def counted_atoms(self, parts: int) -> int:
        """COLL-02: what parts count for, rounded down twice: their value, and what the haircut leaves of it."""
        return self.value_atoms(parts) * (PPM - self.haircut_ppm) // PPM

    def parts_for(self, debt_atoms: int, most_parts: int) -> int:
        """COLL-04: the fewest parts, of so many, that count for the debt; all of them if they do not reach it."""
        if self.counted_atoms(most_parts) < debt_atoms:
            return most_parts
        value = ceil_div(debt_atoms * PPM, PPM - self.haircut_ppm)
        return ceil_div(value * self.unit_parts, self.price_atoms)


@dataclass(slots=True, eq=False)
class Holding:
    """What an account holds of one asset."""

    asset: Asset
    parts: int = 0

    @property
    def counted_atoms(self) -> int:
        return self.asset.counted_atoms(self.parts)


def gross_value_atoms(assets: Iterable[Asset]) -> int:
    """COLL-01: what all accounts together hold, at present prices and without haircut."""
    return sum(asset.value_atoms(asset.held_parts) for asset in assets)
