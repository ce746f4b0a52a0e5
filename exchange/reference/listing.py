"""Listing a symbol: reads its policy from the record and refuses what would not be safe or exact."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    MAX_BRACKETS,
    MAX_EXPOSURE_ATOMS,
    MAX_QTY_LOTS,
    MAX_SYMBOL,
    PPM,
    LiquidationMode,
    RejectReason,
)
from exchange.reference.state import Bracket, State, Symbol

_MESSAGE = COMMAND_BY_NAME["list_symbol"]
_BODY = struct.Struct("<" + _MESSAGE.body_format)
_NAMES = [field.name for field in _MESSAGE.fields if field.kind != "brackets"]

MAX_FEE_PPM = 100_000
MAX_ATOMS_PER_TICK_LOT = 10**12
#: tick x 10^12 by lot x 10^12 is 10^24 quote units, and an atom is 10^-8 of one.
E12_SQUARED_PER_ATOM = 10**16


class Policy:
    """The numbers of a listing as they were given, by name."""

    def __init__(self, body: bytes) -> None:
        values = _BODY.unpack(body)
        self.body = body
        self.number: dict[str, int] = dict(zip(_NAMES, values[: len(_NAMES)], strict=True))
        self.name: bytes = values[_NAMES.index("name")]
        entries = values[len(_NAMES) :]
        self.entries: list[tuple[int, int, int]] = list(
            zip(entries[0::3], entries[1::3], entries[2::3], strict=True)
        )

    def brackets(self) -> tuple[Bracket, ...] | None:
        """MARGIN-03: the brackets with the amounts that make them continuous; None if they may not be."""
        count = self.number["bracket_count"]
        if not 1 <= count <= MAX_BRACKETS:
            return None
        return make_brackets(self.entries[:count])

    def symbol(self) -> Symbol:
        """The listed symbol; only for a policy that was not refused."""
        brackets = self.brackets()
        assert brackets is not None, self.number
        settings: dict[str, Any] = {
            k: v for k, v in self.number.items() if k not in ("symbol", "name", "bracket_count")
        }
        return Symbol(
            number=self.number["symbol"],
            name=self.name,
            brackets=brackets,
            listing=self.body,
            **settings,
        )


def make_brackets(entries: Sequence[tuple[int, int, int]]) -> tuple[Bracket, ...] | None:
    """MARGIN-03: floors rise from 0, rates do not fall, and each requirement is whole where its bracket begins."""
    brackets: list[Bracket] = []
    for floor, maintenance, given_initial in entries:
        initial = given_initial or maintenance
        if not (1 <= maintenance <= initial <= PPM):
            return None
        deduction = 0
        if not brackets:
            if floor != 0:
                return None
        else:
            last = brackets[-1]
            if floor <= last.floor_atoms:
                return None
            if maintenance < last.maintenance_ppm or initial < last.initial_ppm:
                return None
            step = floor * (maintenance - last.maintenance_ppm)
            if step % PPM:
                return None
            deduction = last.deduction_atoms + step // PPM
        brackets.append(Bracket(floor, maintenance, initial, deduction))
    return tuple(brackets)


def bracket_numbers(brackets: Sequence[Bracket]) -> tuple[int, ...]:
    """The table as records show it: floor, maintenance and initial rate of each, and zeros behind its end."""
    rows = [(b.floor_atoms, b.maintenance_ppm, b.initial_ppm) for b in brackets]
    rows += [(0, 0, 0)] * (MAX_BRACKETS - len(rows))
    return tuple(number for row in rows for number in row)


def check_listing(state: State, policy: Policy) -> RejectReason | None:
    """Listing: the first reason, in order of number, why the symbol may not be listed."""
    number = policy.number
    brackets = policy.brackets()
    if not 1 <= number["symbol"] <= MAX_SYMBOL or not policy.name[0]:
        return RejectReason.INVALID_SYMBOL
    if number["symbol"] in state.symbols:
        return RejectReason.SYMBOL_EXISTS
    if brackets is None:
        return RejectReason.INVALID_BRACKETS
    if not is_valid_policy(number):
        return RejectReason.INVALID_POLICY
    product = number["tick_size_e12"] * number["lot_size_e12"]
    if product != number["atoms_per_tick_lot"] * E12_SQUARED_PER_ATOM:
        return RejectReason.VALUE_NOT_WHOLE
    listed = sum(symbol.exposure_limit_atoms for symbol in state.symbols.values())
    if listed + number["exposure_limit_atoms"] > MAX_EXPOSURE_ATOMS:
        return RejectReason.VALUE_OUT_OF_RANGE
    if number["initial_margin_ppm"] < brackets[0].initial_ppm:
        return RejectReason.LEVERAGE_TOO_HIGH
    return None


def is_valid_policy(number: dict[str, int]) -> bool:
    """Listing: every number is inside its bounds."""
    taker, maker = number["taker_fee_ppm"], number["maker_fee_ppm"]
    return (
        number["tick_size_e12"] >= 1
        and number["lot_size_e12"] >= 1
        and 1 <= number["atoms_per_tick_lot"] <= MAX_ATOMS_PER_TICK_LOT
        and 1 <= number["initial_margin_ppm"] <= PPM
        and 0 <= taker <= MAX_FEE_PPM
        and abs(maker) <= MAX_FEE_PPM
        and taker + maker >= 0
        and -1 <= number["price_band_ppm"] < PPM
        and -1 <= number["slippage_cap_ppm"] < PPM
        and number["upnl_weight_ppm"] <= PPM
        and 1 <= number["min_qty_lots"] <= number["max_qty_lots"] <= MAX_QTY_LOTS
        and number["min_notional_atoms"] >= 0
        and number["max_open_orders"] >= 1
        and 1 <= number["exposure_limit_atoms"] <= MAX_EXPOSURE_ATOMS
        and is_valid_liquidation(number)
    )


def is_valid_liquidation(number: dict[str, int]) -> bool:
    """Listing: the numbers of LIQ-04 and LIQ-06 are inside their bounds."""
    return (
        number["liquidation_mode"] <= max(LiquidationMode)
        and number["liquidation_fee_ppm"] <= MAX_FEE_PPM
        and 1 <= number["liquidation_fraction_ppm"] <= PPM
        and number["liquidation_buffer_ppm"] <= PPM
        and number["liquidation_min_notional_atoms"] >= 0
        and number["liquidation_max_notional_atoms"] >= -1
        and number["liquidation_max_notional_atoms"] != 0
        and number["draw_cap_atoms"] >= -1
    )
