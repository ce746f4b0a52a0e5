"""A symbol's policy as an operator thinks of it: decimals, rates as fractions, named liquidation modes.

It is checked when it is made, against the same bounds as the engine's listing (docs/reference/commands.md, Listing),
so that a wrong number is found in the configuration file and not in a reject code; `SymbolPolicy.to_command` then
gives the journaled command that both engines read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NoReturn, TypeAlias

import msgspec

from exchange.errors import PolicyError, UnitsError
from exchange.protocol.messages import (
    Bracket,
    Command,
    ListSymbol,
    SetAdlPolicy,
    SetRiskLimits,
)
from exchange.protocol.schema import (
    MAX_BRACKETS,
    MAX_EXPOSURE_ATOMS,
    MAX_NAME_BYTES,
    MAX_QTY_LOTS,
    MAX_SYMBOL,
    PPM,
    AdlPolicy,
    LiquidationMode,
)
from exchange.risk.funds import FundPolicy
from exchange.risk.prices import FundingPolicy, MarkPolicy
from exchange.units import SymbolUnits, from_atoms, leverage_to_ppm, to_atoms, to_e12, to_ppm

#: What turns a decimal into the engine's integer.
Converter: TypeAlias = Callable[[Decimal], int]

ZERO = Decimal(0)
ONE = Decimal(1)
MAX_FEE = Decimal("0.1")
MAX_BAND = Decimal("0.999999")
MAX_EXPOSURE = from_atoms(MAX_EXPOSURE_ATOMS)
#: 2^60 atoms over all symbols; one symbol of ten by default.
DEFAULT_EXPOSURE_ATOMS = 1 << 56


class BracketPolicy(msgspec.Struct, frozen=True):
    """From this notional on, these margin rates hold (MARGIN-03, MARGIN-04)."""

    floor: Decimal  # notional in quote units
    maintenance: Decimal
    initial: Decimal | None = None  # None: as the maintenance rate


class LiquidationPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How a pool that is below maintenance is closed (LIQ-04..07)."""

    mode: str = "target"  # full, fraction or target
    fee: Decimal = ZERO  # of the value of a liquidation fill, to the fund
    fraction: Decimal = ONE  # of the position, in mode fraction
    buffer: Decimal = ZERO  # margin above maintenance that mode target restores
    min_notional: Decimal = ZERO  # smaller pieces are not made, nor left
    max_notional: Decimal | None = None  # per order; None: no bound
    draw_cap: Decimal | None = None  # most that one liquidation may draw; None: no bound
    adl: str = "queue"  # who is deleveraged how (ADL-05); queue is what a listing begins with


class SymbolPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a listing fixes, in human units.

    >>> policy = SymbolPolicy(symbol=1, name="BTC-PERP", tick_size=Decimal("0.1"), lot_size=Decimal("0.001"),
    ...                       leverage=Decimal(20), brackets=(BracketPolicy(ZERO, Decimal("0.01")),))
    >>> policy.to_command().initial_margin_ppm
    50000

    Raises:
        PolicyError: a number is outside its bounds; says which symbol, field, value and bound.
    """

    symbol: int
    name: str
    tick_size: Decimal
    lot_size: Decimal
    brackets: tuple[BracketPolicy, ...]
    initial_margin: Decimal | None = None  # give this or leverage
    leverage: Decimal | None = None
    taker_fee: Decimal = ZERO
    maker_fee: Decimal = ZERO  # negative: a rebate
    price_band: Decimal | None = None  # None: an order may be priced anywhere
    upnl_weight: Decimal = ONE
    min_quantity: Decimal | None = None  # None: one lot
    max_quantity: Decimal | None = None  # None: as many lots as the engine takes
    min_notional: Decimal = ZERO
    max_open_orders: int = 200
    exposure_limit: Decimal | None = None  # None: 2^56 atoms
    fund: int = 0
    slippage_cap: Decimal | None = None  # None: a liquidation may trade anywhere
    liquidation: LiquidationPolicy = LiquidationPolicy()
    position_limit: Decimal | None = None  # of an account with its orders, at mark; None: no cap
    open_interest_limit: Decimal | None = None  # of all together, likewise
    margin_scaling: tuple[Decimal, Decimal] | None = None  # open interest on which rates rise
    mark: MarkPolicy | None = None  # None: the mark is set by hand
    funds: FundPolicy | None = None  # None: funds pay what a liquidation may draw
    funding: FundingPolicy | None = None  # None: it is settled by hand

    def __post_init__(self) -> None:
        self._check_identity()
        self._check_numbers()
        self._check_brackets()
        self._check_funding()
        if self.initial_margin_ppm < self.bracket_rows()[0][2]:
            self._refuse(
                "initial_margin",
                self.initial_margin_ppm,
                "at least the first bracket's rate, in ppm",
            )

    @property
    def units(self) -> SymbolUnits:
        """The steps, to convert prices and quantities with."""
        return SymbolUnits(self.tick_size, self.lot_size, self.name)

    @property
    def initial_margin_ppm(self) -> int:
        """The default initial margin rate."""
        if self.leverage is not None:
            return self._in("leverage", leverage_to_ppm, self.leverage)
        assert self.initial_margin is not None
        return self._in("initial_margin", to_ppm, self.initial_margin)

    def bracket_rows(self) -> tuple[Bracket, ...]:
        """The brackets as (floor in atoms, maintenance ppm, initial ppm that holds)."""
        return tuple(
            (
                self._in("brackets", to_atoms, b.floor),
                self._in("brackets", to_ppm, b.maintenance),
                self._in("brackets", to_ppm, b.maintenance if b.initial is None else b.initial),
            )
            for b in self.brackets
        )

    def to_command(self) -> ListSymbol:
        """The listing that an operator sends."""
        close = self.liquidation
        return ListSymbol(
            symbol=self.symbol,
            name=self.name,
            tick_size_e12=self._in("tick_size", lambda v: to_e12("tick size", v), self.tick_size),
            lot_size_e12=self._in("lot_size", lambda v: to_e12("lot size", v), self.lot_size),
            atoms_per_tick_lot=self._atoms_per_tick_lot(),
            initial_margin_ppm=self.initial_margin_ppm,
            taker_fee_ppm=self._in("taker_fee", to_ppm, self.taker_fee),
            maker_fee_ppm=self._in("maker_fee", to_ppm, self.maker_fee),
            price_band_ppm=self._optional("price_band", to_ppm, self.price_band),
            upnl_weight_ppm=self._in("upnl_weight", to_ppm, self.upnl_weight),
            min_qty_lots=self._lots("min_quantity", self.min_quantity, 1),
            max_qty_lots=self._lots("max_quantity", self.max_quantity, MAX_QTY_LOTS),
            min_notional_atoms=self._in("min_notional", to_atoms, self.min_notional),
            max_open_orders=self.max_open_orders,
            exposure_limit_atoms=self._exposure_limit_atoms(),
            fund=self.fund,
            slippage_cap_ppm=self._optional("slippage_cap", to_ppm, self.slippage_cap),
            liquidation_mode=LiquidationMode[close.mode.upper()],
            liquidation_fee_ppm=self._in("liquidation.fee", to_ppm, close.fee),
            liquidation_fraction_ppm=self._in("liquidation.fraction", to_ppm, close.fraction),
            liquidation_buffer_ppm=self._in("liquidation.buffer", to_ppm, close.buffer),
            liquidation_min_notional_atoms=self._in(
                "liquidation.min_notional", to_atoms, close.min_notional
            ),
            liquidation_max_notional_atoms=self._optional(
                "liquidation.max_notional", to_atoms, close.max_notional
            ),
            draw_cap_atoms=self._optional("liquidation.draw_cap", to_atoms, close.draw_cap),
            brackets=tuple(
                (floor, maintenance, 0 if bracket.initial is None else initial)
                for bracket, (floor, maintenance, initial) in zip(
                    self.brackets, self.bracket_rows(), strict=True
                )
            ),
        )

    def to_limits(self) -> SetRiskLimits | None:
        """The caps that an operator sends behind the listing; None where there are none (MARGIN-11)."""
        if not any(
            limit is not None
            for limit in (self.position_limit, self.open_interest_limit, self.margin_scaling)
        ):
            return None
        lower, upper = self.margin_scaling or (None, None)
        return SetRiskLimits(
            symbol=self.symbol,
            position_limit_atoms=self._optional("position_limit", to_atoms, self.position_limit),
            open_interest_limit_atoms=self._optional(
                "open_interest_limit", to_atoms, self.open_interest_limit
            ),
            oi_scaling_lower_atoms=self._optional("margin_scaling", to_atoms, lower),
            oi_scaling_upper_atoms=self._optional("margin_scaling", to_atoms, upper),
        )

    def policy_commands(self) -> list[Command]:
        """What an operator sends beside the listing, when the symbol has its first mark: what differs from a listing.

        >>> policy = SymbolPolicy(symbol=1, name="BTC-PERP", tick_size=ONE, lot_size=ONE, leverage=ONE,
        ...                       brackets=(BracketPolicy(ZERO, ONE),),
        ...                       liquidation=LiquidationPolicy(adl="mark_priced"))
        >>> [command.policy.name for command in policy.policy_commands()]
        ['MARK_PRICED']
        """
        commands: list[Command] = []
        adl = AdlPolicy[self.liquidation.adl.upper()]
        if adl:
            commands.append(SetAdlPolicy(symbol=self.symbol, policy=adl))
        limits = self.to_limits()
        if limits is not None:
            commands.append(limits)
        if self.funds is not None:
            commands.append(self.funds.to_command(self.symbol))
        if self.mark is not None:
            commands.append(self.mark.to_command(self.symbol))
        if self.funding is not None:
            commands.append(self.funding.to_command(self.symbol))
        return commands

    # ------------------------------------------------------------------------------------------ checks

    def _check_identity(self) -> None:
        if not 1 <= self.symbol <= MAX_SYMBOL:
            self._refuse("symbol", self.symbol, f"1 .. {MAX_SYMBOL}")
        if not 1 <= len(self.name.encode("utf-8")) <= MAX_NAME_BYTES or "\0" in self.name:
            self._refuse("name", repr(self.name), f"1 .. {MAX_NAME_BYTES} bytes of UTF-8")
        if (self.initial_margin is None) == (self.leverage is None):
            self._refuse(
                "initial_margin", self.initial_margin, "given, or leverage; one of the two"
            )

    def _check_numbers(self) -> None:
        m = self._atoms_per_tick_lot()
        if not 1 <= m <= 10**12:
            self._refuse("tick_size x lot_size", m, "1 .. 10^12 atoms")
        close = self.liquidation
        self._between("taker_fee", self.taker_fee, ZERO, MAX_FEE)
        self._between("maker_fee", self.maker_fee, -self.taker_fee, MAX_FEE)
        self._between("price_band", self.price_band, ZERO, MAX_BAND)
        self._between("slippage_cap", self.slippage_cap, ZERO, MAX_BAND)
        self._between("upnl_weight", self.upnl_weight, ZERO, ONE)
        self._between("min_notional", self.min_notional, ZERO, None)
        self._between("liquidation.fee", close.fee, ZERO, MAX_FEE)
        self._between("liquidation.fraction", close.fraction, Decimal(1) / PPM, ONE)
        self._between("liquidation.buffer", close.buffer, ZERO, ONE)
        self._between("liquidation.min_notional", close.min_notional, ZERO, None)
        self._between("liquidation.max_notional", close.max_notional, Decimal("1e-8"), None)
        self._between("liquidation.draw_cap", close.draw_cap, ZERO, None)
        if close.mode.upper() not in LiquidationMode.__members__:
            self._refuse("liquidation.mode", close.mode, "full, fraction or target")
        self._between("position_limit", self.position_limit, ZERO, MAX_EXPOSURE)
        self._between("open_interest_limit", self.open_interest_limit, ZERO, MAX_EXPOSURE)
        if self.margin_scaling is not None:
            lower, upper = self.margin_scaling
            if not ZERO <= lower < upper <= MAX_EXPOSURE:
                self._refuse("margin_scaling", f"{lower} .. {upper}", "0 or more, then more")
        if close.adl.upper() not in AdlPolicy.__members__:
            known = ", ".join(policy.name.lower() for policy in AdlPolicy)
            self._refuse("liquidation.adl", close.adl, f"one of {known}")
        least = self._lots("min_quantity", self.min_quantity, 1)
        most = self._lots("max_quantity", self.max_quantity, MAX_QTY_LOTS)
        if not 1 <= least <= most <= MAX_QTY_LOTS:
            self._refuse(
                "min_quantity .. max_quantity", f"{least} .. {most}", f"1 .. {MAX_QTY_LOTS} lots"
            )
        if not 1 <= self.max_open_orders < 1 << 32:
            self._refuse("max_open_orders", self.max_open_orders, f"1 .. {(1 << 32) - 1}")
        if not 1 <= self._exposure_limit_atoms() <= MAX_EXPOSURE_ATOMS:
            self._refuse(
                "exposure_limit", self.exposure_limit, f"0.00000001 .. {MAX_EXPOSURE_ATOMS} atoms"
            )
        if not 0 <= self.fund < 1 << 32:
            self._refuse("fund", self.fund, "0 .. 2^32 - 1")
        if self.funds is not None and self.funds.second_fund == self.fund:
            self._refuse("fund_policy.second_fund", self.fund, "another fund than the symbol's own")
        if not 1 <= self.initial_margin_ppm <= PPM:
            self._refuse("initial_margin", self.initial_margin, "above 0, at most 1")

    def _check_brackets(self) -> None:
        rows = self.bracket_rows()
        if not 1 <= len(rows) <= MAX_BRACKETS:
            self._refuse("brackets", len(rows), f"1 .. {MAX_BRACKETS} brackets")
        if rows[0][0] != 0:
            self._refuse(
                "brackets", f"a first floor of {self.brackets[0].floor}", "a first floor of 0"
            )
        for index, (_, maintenance, initial) in enumerate(rows):
            if not 1 <= maintenance <= initial <= PPM:
                self._refuse("brackets", self.brackets[index], "0 < maintenance <= initial <= 1")
        for index in range(1, len(rows)):
            self._check_step(rows[index - 1], rows[index], index)

    def _check_funding(self) -> None:
        """FUNDING-02: what a policy of funding needs beside itself."""
        if self.funding is None:
            return
        if self.mark is None:
            self._refuse("funding", "there without mark", "a composite mark: its index is needed")
        _, maintenance, initial = self.bracket_rows()[0]
        if initial == maintenance:
            wanted = "an initial rate above it: a funding rate is at most six times what is between"
            self._refuse("brackets", f"a first maintenance rate of {maintenance} ppm", wanted)

    def _check_step(self, before: Bracket, after: Bracket, index: int) -> None:
        if after[0] <= before[0] or after[1] < before[1] or after[2] < before[2]:
            self._refuse(
                "brackets",
                self.brackets[index],
                "a floor above, and rates not below, the one before",
            )
        if after[0] * (after[1] - before[1]) % PPM:
            # The maintenance amount has to be whole atoms, or the requirement would jump at the edge.
            self._refuse(
                "brackets",
                self.brackets[index],
                "floor x (rate - rate before) in whole atoms of 10^-8",
            )

    def _between(
        self, field: str, value: Decimal | None, least: Decimal, most: Decimal | None
    ) -> None:
        if value is None:
            return
        if value < least or (most is not None and value > most):
            self._refuse(
                field, value, f"{least} .. {most}" if most is not None else f"{least} or more"
            )

    def _atoms_per_tick_lot(self) -> int:
        try:
            return self.units.atoms_per_tick_lot
        except UnitsError as error:
            raise PolicyError(str(error)) from None

    def _exposure_limit_atoms(self) -> int:
        if self.exposure_limit is None:
            return DEFAULT_EXPOSURE_ATOMS
        return self._in("exposure_limit", to_atoms, self.exposure_limit)

    def _lots(self, field: str, value: Decimal | None, otherwise: int) -> int:
        return otherwise if value is None else self._in(field, self.units.qty_to_lots, value)

    def _optional(self, field: str, convert: Converter, value: Decimal | None) -> int:
        return -1 if value is None else self._in(field, convert, value)

    def _in(self, field: str, convert: Converter, value: Decimal) -> int:
        try:
            return convert(value)
        except UnitsError as error:
            raise PolicyError(f"{self.name}: {field}: {error}") from None

    def _refuse(self, field: str, came: object, wanted: str) -> NoReturn:
        raise PolicyError(f"{self.name or self.symbol}: {field} is {came}; wanted {wanted}")


def total_exposure_atoms(commands: Sequence[ListSymbol]) -> int:
    """The sum of the exposure limits: the exchange refuses a listing that takes it past 2^60 (UNITS-01)."""
    return sum(command.exposure_limit_atoms for command in commands)
