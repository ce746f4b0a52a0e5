"""Policies of a symbol's prices as an operator thinks of them: how its mark comes about (MARK-02).

A policy becomes a command of its own that may come at any time; a symbol without one has its mark set by hand.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NoReturn

import msgspec

from exchange.errors import PolicyError
from exchange.protocol.messages import SetMarkPolicy
from exchange.protocol.schema import MAX_FEEDS, MAX_POLICY_NS

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
