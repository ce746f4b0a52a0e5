"""Human numbers to the engine's integers and back: decimals live here, at the edge, and nowhere else.

Nothing is ever rounded on the way in: a price that is not a multiple of the tick is an error, never a nearby
price.  Floats are refused, because 0.1 is not what a float holds.

>>> btc = SymbolUnits(tick_size=Decimal("0.5"), lot_size=Decimal("0.001"), name="BTC-PERP")
>>> btc.price_to_ticks(Decimal("1003.5"))
2007
>>> btc.price_to_ticks(Decimal("1003.3"))
Traceback (most recent call last):
...
exchange.errors.UnitsError: price 1003.3 is not a multiple of the tick 0.5 (BTC-PERP)
"""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import TypeAlias

import msgspec

from exchange.errors import UnitsError
from exchange.protocol.schema import ASSET_DECIMALS, PPB, PPM

#: What the edge accepts: a text or an integer is as exact as a Decimal.
Number: TypeAlias = Decimal | int | str

ATOM = Decimal(1).scaleb(-ASSET_DECIMALS)
#: Prices and sizes travel as multiples of 10^-12 in a listing.
E12 = Decimal(1).scaleb(-12)
#: Wide enough for every product here; what does not fit raises in place of being rounded.
EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])


class SymbolUnits(msgspec.Struct, frozen=True):
    """The steps of a symbol: converts its prices and quantities, exactly or not at all."""

    tick_size: Decimal
    lot_size: Decimal
    name: str = ""

    def __post_init__(self) -> None:
        for what, step in (("tick size", self.tick_size), ("lot size", self.lot_size)):
            if not isinstance(step, Decimal) or not step.is_finite() or step <= 0:
                raise UnitsError(f"{what} {step} is not a decimal above 0{self._about}")

    @property
    def _about(self) -> str:
        return f" ({self.name})" if self.name else ""

    @property
    def atoms_per_tick_lot(self) -> int:
        """Atoms that one lot is worth per tick; UnitsError if that is not a whole number."""
        value = EXACT.multiply(self.tick_size, self.lot_size)
        what = f"tick {self.tick_size} x lot {self.lot_size} ="
        return _multiple(what, value, ATOM, "the smallest unit", self._about)

    def price_to_ticks(self, price: Number) -> int:
        """A price in ticks."""
        return _multiple("price", price, self.tick_size, "the tick", self._about)

    def ticks_to_price(self, price_ticks: int) -> Decimal:
        """A price in quote units."""
        return EXACT.multiply(self.tick_size, price_ticks)

    def qty_to_lots(self, quantity: Number) -> int:
        """A quantity in lots."""
        return _multiple("quantity", quantity, self.lot_size, "the lot", self._about)

    def lots_to_qty(self, qty_lots: int) -> Decimal:
        """A quantity in base units."""
        return EXACT.multiply(self.lot_size, qty_lots)


def to_atoms(amount: Number) -> int:
    """An amount of the settlement asset in atoms.

    >>> to_atoms("12.5")
    1250000000
    """
    return _multiple("amount", amount, ATOM, "the smallest unit")


def from_atoms(atoms: int) -> Decimal:
    """Atoms as an amount of the settlement asset, without trailing zeros.

    >>> from_atoms(1250000000)
    Decimal('12.5')
    """
    return plain(EXACT.multiply(ATOM, atoms))


def to_ppm(rate: Number) -> int:
    """A rate in parts per million.

    >>> to_ppm("0.0005")
    500
    """
    return _multiple("rate", rate, Decimal(1) / PPM, "one part per million")


def from_ppm(ppm: int) -> Decimal:
    """Parts per million as a rate.

    >>> from_ppm(500)
    Decimal('0.0005')
    """
    return plain(EXACT.divide(Decimal(ppm), Decimal(PPM)))


def to_ppb(rate: Number) -> int:
    """A rate in parts per billion, as funding has it.

    >>> to_ppb("0.0000125")
    12500
    """
    return _multiple("rate", rate, Decimal(1) / PPB, "one part per billion")


def from_ppb(ppb: int) -> Decimal:
    """Parts per billion as a rate.

    >>> from_ppb(12_500)
    Decimal('0.0000125')
    """
    return plain(EXACT.divide(Decimal(ppb), Decimal(PPB)))


def leverage_to_ppm(leverage: Number) -> int:
    """The initial margin rate of a leverage: 1 / leverage, rounded up to whole ppm (MARGIN-04).

    >>> leverage_to_ppm(3)
    333334
    """
    exact = to_decimal("leverage", leverage)
    if exact < 1:
        raise UnitsError(f"leverage {leverage} is below 1")
    numerator, denominator = exact.as_integer_ratio()
    return -(-PPM * denominator // numerator)


def to_e12(what: str, step: Number) -> int:
    """A tick or lot size in multiples of 10^-12, as a listing carries it."""
    return _multiple(what, step, E12, "10^-12")


def to_decimal(what: str, value: Number) -> Decimal:
    """``value`` as a finite Decimal; UnitsError for anything that is not exactly a number."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise UnitsError(
            f"{what} {value!r} is a {type(value).__name__}; use a Decimal, an int or a text"
        )
    try:
        exact = Decimal(value)
    except InvalidOperation:
        raise UnitsError(f"{what} {value!r} is not a number") from None
    if not exact.is_finite():
        raise UnitsError(f"{what} {value} is not a finite number")
    return exact


def plain(value: Decimal) -> Decimal:
    """The same number without trailing zeros and without an exponent where it is whole."""
    short = value.normalize(EXACT)
    return (
        short.quantize(Decimal(1), context=EXACT) if short == short.to_integral_value() else short
    )


def _multiple(what: str, value: Number, step: Decimal, step_name: str, about: str = "") -> int:
    exact = to_decimal(what, value)
    if abs(exact.adjusted() - step.adjusted()) > 40:
        count = Decimal(0) if exact == 0 else None
    else:
        quotient, rest = EXACT.divmod(exact, step)
        count = quotient if rest == 0 else None
    if count is None:
        raise UnitsError(f"{what} {value} is not a multiple of {step_name} {plain(step):f}{about}")
    return int(count)
