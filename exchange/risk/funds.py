"""What insurance funds may pay for a symbol, as an operator thinks of it (FUND-01)."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from exchange.errors import UnitsError
from exchange.protocol.messages import SetFundPolicy
from exchange.protocol.schema import MAX_AMOUNT_ATOMS, MAX_WINDOW_NS
from exchange.risk.prices import refuse, seconds_to_ns
from exchange.units import to_atoms


class FundPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Caps of what funds pay for a symbol, in total and within a rolling window, and a second fund.

    >>> policy = FundPolicy(cap=Decimal(1000), second_fund=0, second_cap=Decimal(50))
    >>> policy.to_command(1).second_cap_atoms
    5000000000

    Raises:
        PolicyError: a number is outside its bounds, or stands without the one that it needs.
    """

    cap: Decimal | None = None  # of the symbol's own fund; None: no bound
    second_fund: int | None = None  # pays where its own may not; None: there is none
    second_cap: Decimal | None = None  # the same of the second fund
    window: Decimal | None = None  # seconds
    window_cap: Decimal | None = None  # of both funds within the window

    def __post_init__(self) -> None:
        if self.second_fund is None and self.second_cap is not None:
            refuse("fund_policy.second_cap", self.second_cap, "a second_fund beside it")
        if self.second_cap == 0:
            refuse("fund_policy.second_cap", 0, "above 0; without a second_fund nothing is paid")
        if (self.window is None) != (self.window_cap is None):
            refuse("fund_policy.window", self.window, "given together with window_cap")
        if self.second_fund is not None and not 0 <= self.second_fund < 1 << 32:
            refuse("fund_policy.second_fund", self.second_fund, "0 .. 2^32 - 1")
        self.to_command(0)

    def to_command(self, symbol: int) -> SetFundPolicy:
        """The command that an operator sends."""
        window = self.window
        return SetFundPolicy(
            symbol=symbol,
            cap_atoms=cap_atoms("fund_policy.cap", self.cap),
            second_fund=self.second_fund or 0,
            second_cap_atoms=0
            if self.second_fund is None
            else cap_atoms("fund_policy.second_cap", self.second_cap),
            window_ns=0
            if window is None
            else seconds_to_ns("fund_policy.window", window, least=1, most=MAX_WINDOW_NS),
            window_cap_atoms=cap_atoms("fund_policy.window_cap", self.window_cap),
        )


def cap_atoms(field: str, cap: Decimal | None) -> int:
    """A cap in atoms; -1: none."""
    if cap is None:
        return -1
    try:
        atoms = to_atoms(cap)
    except UnitsError as error:
        refuse(field, cap, f"whole atoms ({error})")
    if not 0 <= atoms <= MAX_AMOUNT_ATOMS:
        refuse(field, cap, f"0 .. {MAX_AMOUNT_ATOMS} atoms")
    return atoms
