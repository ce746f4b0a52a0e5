"""Warnings before a liquidation as an operator thinks of them: parts of a pool's equity (MARGIN-10)."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from exchange.errors import PolicyError
from exchange.protocol.messages import SetMarginWarnings
from exchange.units import to_ppm

MOST_LEVELS = 4


class WarningPolicy(msgspec.Struct, frozen=True):
    """The levels of maintenance margin in equity that accounts are warned of; none: nobody is.

    >>> command = WarningPolicy((Decimal("0.8"), Decimal("0.9"))).to_command()
    >>> command.first_level_ppm, command.second_level_ppm, command.third_level_ppm
    (800000, 900000, 0)

    Raises:
        PolicyError: there are more than four, or they do not rise inside 0 .. 1, both left out.
    """

    levels: tuple[Decimal, ...] = ()

    def __post_init__(self) -> None:
        in_order = all(
            low < high for low, high in zip((Decimal(0), *self.levels), self.levels, strict=False)
        )
        if not in_order or len(self.levels) > MOST_LEVELS or max(self.levels, default=0) >= 1:
            shown = ", ".join(map(str, self.levels))
            raise PolicyError(
                f"warnings.levels is [{shown}]; wanted up to {MOST_LEVELS} that rise between 0 and 1"
            )

    def to_command(self) -> SetMarginWarnings:
        """The command that an operator sends.

        Raises:
            UnitsError: a level is not a whole number of parts per million.
        """
        first, second, third, fourth = (*map(to_ppm, self.levels), 0, 0, 0, 0)[:MOST_LEVELS]
        return SetMarginWarnings(
            first_level_ppm=first,
            second_level_ppm=second,
            third_level_ppm=third,
            fourth_level_ppm=fourth,
        )
