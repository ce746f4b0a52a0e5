"""What a journal lists, read before anything is run: a policy file is checked against it.

Only the commands that carry a policy are applied, in an engine of their own, to learn which of them were taken.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from exchange.counterfactual.keys import CARRIERS
from exchange.engine import create_engine
from exchange.explain.source import Source
from exchange.peek import EVENT_START, event_number
from exchange.protocol.messages import (
    Command,
    DepositFund,
    ListSymbol,
    SetFundingPolicy,
    SetFundPolicy,
    SetMarginWarnings,
    SetMarkPolicy,
)
from exchange.protocol.records import COMMAND_CODECS, STAMP, STAMP_OFFSET, iter_starts
from exchange.protocol.schema import COMMAND_BY_NAME, AdlPolicy, LiquidationMode
from exchange.recovery import Say
from exchange.units import E12, SymbolUnits, from_atoms, from_ppm, plain

LIST_SYMBOL = COMMAND_BY_NAME["list_symbol"].number
SET_MARGIN_WARNINGS = COMMAND_BY_NAME["set_margin_warnings"].number
DEPOSIT_FUND = COMMAND_BY_NAME["deposit_fund"].number
CARRIER_NUMBERS = frozenset(COMMAND_BY_NAME[name].number for name in CARRIERS)
SURVEYED = CARRIER_NUMBERS | {DEPOSIT_FUND, SET_MARGIN_WARNINGS}
ACCEPTED = event_number("accepted")


class Listed(msgspec.Struct):
    """A symbol of the journal: its listing, and what else was set of its policy, in order."""

    listing: ListSymbol
    policies: list[Command] = []

    @property
    def name(self) -> str:
        return self.listing.name

    @property
    def units(self) -> SymbolUnits:
        listing = self.listing
        tick, lot = E12 * listing.tick_size_e12, E12 * listing.lot_size_e12
        return SymbolUnits(tick, lot, listing.name)

    def first(self, number: int) -> Command | None:
        """The first of its policy commands of this number."""
        return next((c for c in self.policies if c.number == number), None)


class Survey(msgspec.Struct):
    """The symbols of a journal by number, and what the operator paid into its funds first."""

    symbols: dict[int, Listed] = {}
    fund_atoms: dict[int, int] = {}
    warnings: SetMarginWarnings | None = None  # the first, where there are some

    def units(self) -> dict[int, SymbolUnits]:
        """The steps of every symbol."""
        return {number: listed.units for number, listed in self.symbols.items()}

    def by_name(self, name: str) -> int | None:
        return next((n for n, listed in self.symbols.items() if listed.name == name), None)

    def fund_numbers(self) -> set[int]:
        """Every fund that a symbol has, or that was paid into."""
        named = {listed.listing.fund for listed in self.symbols.values()}
        for listed in self.symbols.values():
            named |= {c.second_fund for c in listed.policies if isinstance(c, SetFundPolicy)}
        return {0, *self.fund_atoms, *named}


def read_survey(source: Source, say: Say) -> Survey:
    """Reads the policy of a whole journal."""
    survey = Survey()
    engine = create_engine("native")
    for frame in source.frames(say):
        for number, offset, size in iter_starts(frame.commands):
            if number not in SURVEYED:
                continue
            record = bytearray(frame.commands[offset : offset + size])
            _, timestamp_ns = STAMP.unpack_from(record, STAMP_OFFSET)
            STAMP.pack_into(record, STAMP_OFFSET, engine.sequence + 1, timestamp_ns)
            events = engine.apply(bytes(record))
            if EVENT_START.unpack_from(events, 0)[0] == ACCEPTED:
                take(survey, COMMAND_CODECS[number].unpack(record))
    return survey


def take(survey: Survey, command: Any) -> None:
    if isinstance(command, DepositFund):
        survey.fund_atoms.setdefault(command.fund, command.amount_atoms)
    elif isinstance(command, SetMarginWarnings):
        survey.warnings = survey.warnings or command
    elif isinstance(command, ListSymbol):
        survey.symbols[command.symbol] = Listed(command)
    else:
        survey.symbols[command.symbol].policies.append(command)


# ---------------------------------------------------------------------------------- a listing, written by a person


def table_of(listed: Listed) -> dict[str, Any]:
    """A listing as the table of a configuration that gives it.

    >>> from exchange.config import load_config
    >>> policy = load_config().symbols[0]
    >>> table_of(Listed(policy.to_command()))["liquidation"]["mode"]
    'target'
    """
    listing = listed.listing
    units = listed.units
    table: dict[str, Any] = {
        "symbol": listing.symbol,
        "tick": units.tick_size,
        "lot": units.lot_size,
        "initial_margin": from_ppm(listing.initial_margin_ppm),
        "brackets": [bracket_row(*bracket) for bracket in listing.brackets],
        "taker_fee": from_ppm(listing.taker_fee_ppm),
        "maker_fee": from_ppm(listing.maker_fee_ppm),
        "price_band": rate_or_none(listing.price_band_ppm),
        "upnl_weight": from_ppm(listing.upnl_weight_ppm),
        "min_quantity": units.lots_to_qty(listing.min_qty_lots),
        "max_quantity": units.lots_to_qty(listing.max_qty_lots),
        "min_notional": from_atoms(listing.min_notional_atoms),
        "max_open_orders": listing.max_open_orders,
        "exposure_limit": from_atoms(listing.exposure_limit_atoms),
        "fund": listing.fund,
        "slippage_cap": rate_or_none(listing.slippage_cap_ppm),
        "liquidation": without_none(
            mode=LiquidationMode(listing.liquidation_mode).name.lower(),
            fee=from_ppm(listing.liquidation_fee_ppm),
            fraction=from_ppm(listing.liquidation_fraction_ppm),
            buffer=from_ppm(listing.liquidation_buffer_ppm),
            min_notional=from_atoms(listing.liquidation_min_notional_atoms),
            max_notional=amount_or_none(listing.liquidation_max_notional_atoms),
            draw_cap=amount_or_none(listing.draw_cap_atoms),
            adl=AdlPolicy(listed_value(listed, "set_adl_policy", "policy", 0)).name.lower(),
        ),
        **caps_of(listed),
        "mark": mark_of(listed),
        "fund_policy": fund_policy_of(listed),
        "funding": funding_of(listed),
    }
    return without_none(**table)


def caps_of(listed: Listed) -> dict[str, Any]:
    """The caps of MARGIN-11 that were set first, where they were."""

    def cap(field: str) -> Any:
        return amount_or_none(listed_value(listed, "set_risk_limits", field, -1))

    lower, upper = cap("oi_scaling_lower_atoms"), cap("oi_scaling_upper_atoms")
    return {
        "position_limit": cap("position_limit_atoms"),
        "open_interest_limit": cap("open_interest_limit_atoms"),
        "margin_scaling": None if lower is None else [lower, upper],
    }


def mark_of(listed: Listed) -> dict[str, Any] | None:
    """How the composite mark was first made, where there is one; times in seconds."""
    found = next((c for c in listed.policies if isinstance(c, SetMarkPolicy) and c.enabled), None)
    if found is None:
        return None
    return {
        "max_feeds": found.max_feeds,
        "max_age": seconds(found.max_age_ns),
        "ema": seconds(found.ema_ns),
    }


def fund_policy_of(listed: Listed) -> dict[str, Any] | None:
    """What funds were first allowed to pay for the symbol, where that was said (FUND-01)."""
    found = next((c for c in listed.policies if isinstance(c, SetFundPolicy)), None)
    if found is None:
        return None
    has_second = found.second_cap_atoms != 0
    return without_none(
        cap=amount_or_none(found.cap_atoms),
        second_fund=found.second_fund if has_second else None,
        second_cap=amount_or_none(found.second_cap_atoms) if has_second else None,
        window=seconds(found.window_ns) if found.window_ns else None,
        window_cap=amount_or_none(found.window_cap_atoms),
    )


def funding_of(listed: Listed) -> dict[str, Any] | None:
    """How funding was first computed, where it is (FUNDING-02)."""
    found = next(
        (c for c in listed.policies if isinstance(c, SetFundingPolicy) and c.enabled), None
    )
    if found is None:
        return None
    return {
        "interval": seconds(found.interval_ns),
        "sample": seconds(found.sample_ns),
        "interest": from_ppb(found.interest_ppb),
        "clamp": from_ppb(found.clamp_ppb),
        "max_rate": from_ppb(found.max_rate_ppb),
        "impact_notional": from_atoms(found.impact_notional_atoms),
    }


def from_ppb(ppb: int) -> Decimal:
    return plain(Decimal(ppb).scaleb(-9))


def seconds(ns: int) -> Decimal:
    return plain(Decimal(ns).scaleb(-9))


def listed_value(listed: Listed, command: str, field: str, otherwise: int) -> int:
    found = listed.first(COMMAND_BY_NAME[command].number)
    return otherwise if found is None else int(getattr(found, field))


def bracket_row(floor_atoms: int, maintenance_ppm: int, initial_ppm: int) -> list[Any]:
    row = [from_atoms(floor_atoms), from_ppm(maintenance_ppm)]
    return [*row, from_ppm(initial_ppm)] if initial_ppm else row


def rate_or_none(ppm: int) -> Any:
    return None if ppm < 0 else from_ppm(ppm)


def amount_or_none(atoms: int) -> Any:
    return None if atoms < 0 else from_atoms(atoms)


def without_none(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
