"""Human numbers to integers and back: exact, or an error that names the number, the step and the symbol."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import Rejected, UnitsError
from exchange.protocol.schema import REJECT_PROSE, RejectReason
from exchange.units import (
    SymbolUnits,
    from_atoms,
    from_ppm,
    leverage_to_ppm,
    to_atoms,
    to_decimal,
    to_e12,
    to_ppm,
)

BTC = SymbolUnits(Decimal("0.5"), Decimal("0.001"), "BTC-PERP")


def test_a_price_between_two_ticks_is_an_error_not_a_neighbour() -> None:
    with pytest.raises(
        UnitsError, match=r"price 1003.3 is not a multiple of the tick 0.5 \(BTC-PERP\)"
    ):
        BTC.price_to_ticks(Decimal("1003.3"))
    with pytest.raises(
        UnitsError, match=r"quantity 0.0015 is not a multiple of the lot 0.001 \(BTC-PERP\)"
    ):
        BTC.qty_to_lots("0.0015")


def test_prices_quantities_and_amounts() -> None:
    assert BTC.price_to_ticks("1003.5") == 2007
    assert BTC.qty_to_lots(2) == 2000
    assert BTC.ticks_to_price(2007) == Decimal("1003.5")
    assert BTC.lots_to_qty(-1500) == Decimal("-1.5")
    assert BTC.atoms_per_tick_lot == 50_000
    assert to_atoms("-0.00000001") == -1
    assert to_ppm("0.000333") == 333
    assert to_e12("tick size", "0.5") == 5 * 10**11
    assert from_ppm(333) == Decimal("0.000333")
    assert str(from_atoms(10**10)) == "100"


def test_a_lot_and_tick_worth_less_than_an_atom_is_an_error() -> None:
    tiny = SymbolUnits(Decimal("0.00001"), Decimal("0.0001"), "TINY")
    with pytest.raises(UnitsError, match="smallest unit"):
        assert tiny.atoms_per_tick_lot


@pytest.mark.parametrize("wrong", (0.1, True, None, "1e", "nan", Decimal("inf"), b"1"))
def test_what_is_no_exact_number_is_refused(wrong: object) -> None:
    with pytest.raises(UnitsError):
        to_decimal("price", wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", (Decimal(0), Decimal(-1), Decimal("nan"), 1))
def test_steps_have_to_be_decimals_above_zero(size: object) -> None:
    with pytest.raises(UnitsError, match="tick size"):
        SymbolUnits(size, Decimal(1))  # type: ignore[arg-type]


def test_numbers_far_apart_are_refused_at_once() -> None:
    with pytest.raises(UnitsError):
        to_atoms("1e-1000000")
    with pytest.raises(UnitsError):
        to_atoms("1e1000000")
    assert to_atoms("0e1000000") == 0


@pytest.mark.parametrize(
    ("leverage", "ppm"),
    ((1, 1_000_000), (3, 333_334), (7, 142_858), ("12.5", 80_000), (125, 8_000)),
)
def test_a_leverage_as_a_rate_is_rounded_up(leverage: int | str, ppm: int) -> None:
    assert leverage_to_ppm(leverage) == ppm


def test_a_leverage_below_one_is_an_error() -> None:
    with pytest.raises(UnitsError, match=r"leverage 0.5 is below 1"):
        leverage_to_ppm("0.5")


@given(st.integers(-(10**18), 10**18))
def test_atoms_there_and_back(atoms: int) -> None:
    assert to_atoms(from_atoms(atoms)) == atoms
    assert to_atoms(str(from_atoms(atoms))) == atoms


@given(st.integers(1, 10**12), st.integers(1, 10**6), st.integers(0, 9))
def test_ticks_there_and_back(ticks: int, step: int, places: int) -> None:
    units = SymbolUnits(Decimal(step).scaleb(-places), Decimal(1))
    assert units.price_to_ticks(units.ticks_to_price(ticks)) == ticks
    assert units.price_to_ticks(f"{units.ticks_to_price(ticks):f}") == ticks


@pytest.mark.parametrize("reason", RejectReason, ids=lambda reason: reason.name.lower())
def test_every_reason_is_an_exception_that_says_it(reason: RejectReason) -> None:
    error = Rejected.of(reason, "PlaceOrder(account=7)")
    assert error.reason is reason
    assert reason.name.lower() in str(error)
    assert REJECT_PROSE[reason] in str(error)
    assert "PlaceOrder(account=7)" in str(error)


def test_reasons_that_one_decides_by_have_classes_of_their_own() -> None:
    for reason, kind in Rejected.classes.items():
        assert type(Rejected.of(reason)) is kind
        assert type(Rejected.of(int(reason))) is kind
    assert type(Rejected.of(RejectReason.INVALID_SIDE)) is Rejected
