"""Policies of a symbol's prices as an operator thinks of them: how its mark and its funding rate come about.

A policy becomes a command of its own that may come at any time (MARK-02, FUNDING-02).  Of a symbol without one the
mark is set, and funding settled, by hand.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NoReturn

import msgspec

from exchange.errors import PolicyError, UnitsError
from exchange.protocol.messages import SetFundingPolicy, SetMarkPolicy
from exchange.protocol.schema import (
    MAX_AMOUNT_ATOMS,
    MAX_FEEDS,
    MAX_POLICY_NS,
    MIN_SAMPLE_NS,
    PPB,
)
from exchange.units import from_atoms, to_atoms, to_ppb

NS = 10**9


class MarkPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How a composite mark is made; times in seconds.

    >>> MarkPolicy(max_age=Decimal(5)).to_command(1).max_age_ns
    5000000000

    Raises:
        PolicyError: a number is outside its bounds; says which field, value and bound.
    """

    max_feeds: int = MAX_FEEDS  # external feeds there may be
    max_age: Decimal = Decimal(10)  # an older price drops out
    ema: Decimal = Decimal(150)  # time constant of the average distance between mid and index

    def __post_init__(self) -> None:
        if not 0 <= self.max_feeds <= MAX_FEEDS:
            refuse("mark.max_feeds", self.max_feeds, f"0 .. {MAX_FEEDS}")
        seconds_to_ns("mark.max_age", self.max_age, least=1)
        seconds_to_ns("mark.ema", self.ema, least=0)

    def to_command(self, symbol: int) -> SetMarkPolicy:
        """The command that an operator sends."""
        return SetMarkPolicy(
            symbol=symbol,
            max_feeds=self.max_feeds,
            max_age_ns=seconds_to_ns("mark.max_age", self.max_age, least=1),
            ema_ns=seconds_to_ns("mark.ema", self.ema, least=0),
        )


class FundingPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How a funding rate is computed; times in seconds, rates as fractions, for an interval.

    >>> FundingPolicy(interval=Decimal(3600), interest=Decimal("0.0000125")).to_command(1).interest_ppb
    12500

    Raises:
        PolicyError: a number is outside its bounds; says which field, value and bound.
    """

    interval: Decimal = Decimal(
        28_800
    )  # settled at each whole multiple of it: 00:00, 08:00, 16:00 UTC
    sample: Decimal = Decimal(60)  # how often the premium is measured
    interest: Decimal = Decimal("0.0001")
    clamp: Decimal = Decimal("0.0005")  # how far interest pulls the average premium
    max_rate: Decimal = Decimal(1)  # most either way, beside six times initial less maintenance
    impact_notional: Decimal = Decimal(10_000)  # size for which the book is asked

    def __post_init__(self) -> None:
        command = self.to_command(0)
        if command.interval_ns % command.sample_ns:
            refuse(
                "funding.sample", f"{self.sample} s", f"a part of the interval, {self.interval} s"
            )

    def to_command(self, symbol: int) -> SetFundingPolicy:
        """The command that an operator sends."""
        return SetFundingPolicy(
            symbol=symbol,
            interval_ns=seconds_to_ns("funding.interval", self.interval, least=MIN_SAMPLE_NS),
            sample_ns=seconds_to_ns("funding.sample", self.sample, least=MIN_SAMPLE_NS),
            interest_ppb=rate_to_ppb("funding.interest", self.interest, least=-PPB),
            clamp_ppb=rate_to_ppb("funding.clamp", self.clamp, least=0),
            max_rate_ppb=rate_to_ppb("funding.max_rate", self.max_rate, least=0),
            impact_notional_atoms=self._impact_atoms(),
        )

    def _impact_atoms(self) -> int:
        try:
            atoms = to_atoms(self.impact_notional)
        except UnitsError as error:
            raise PolicyError(f"funding.impact_notional: {error}") from None
        if not 1 <= atoms <= MAX_AMOUNT_ATOMS:
            wanted = f"{from_atoms(1):f} .. {from_atoms(MAX_AMOUNT_ATOMS):f}"
            refuse("funding.impact_notional", self.impact_notional, wanted)
        return atoms


def rate_to_ppb(field: str, rate: Decimal, *, least: int) -> int:
    """A rate in parts per billion, at most the whole.

    >>> rate_to_ppb("funding.clamp", Decimal("0.0005"), least=0)
    500000
    """
    try:
        ppb = to_ppb(rate)
    except UnitsError as error:
        raise PolicyError(f"{field}: {error}") from None
    if not least <= ppb <= PPB:
        refuse(field, rate, f"{least // PPB} .. 1")
    return ppb


def seconds_to_ns(field: str, seconds: Decimal, *, least: int, most: int = MAX_POLICY_NS) -> int:
    """Seconds in the engine's nanoseconds, exactly.

    >>> seconds_to_ns("mark.ema", Decimal("0.5"), least=0)
    500000000
    """
    ns = seconds * NS
    if ns != int(ns) or not least <= ns <= most:
        refuse(field, f"{seconds} s", f"whole nanoseconds, {least} .. {most}")
    return int(ns)


def refuse(field: str, came: object, wanted: str) -> NoReturn:
    raise PolicyError(f"{field} is {came}; wanted {wanted}")
