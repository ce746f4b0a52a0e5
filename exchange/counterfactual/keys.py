"""THE table of what a policy file may change: each key, and the fields of the commands that carry it.

A key is named as in a venue's own configuration (``exchange.risk.load``), which also turns it into those fields; so a
key that a configuration learns of needs one line here, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from exchange.protocol.schema import COMMAND_BY_NAME


class Key(msgspec.Struct, frozen=True):
    """Where a key of a symbol's table is found in commands."""

    carriers: tuple[tuple[str, str], ...]  # (command, field)
    may_be_none: bool = False  # "none" takes the bound away
    replaces: str = ""  # the key that says the same in another way


def carried(*carriers: str, may_be_none: bool = False, replaces: str = "") -> Key:
    """A key by the fields that carry it, each as ``command.field``."""
    pairs = []
    for carrier in carriers:
        command, _, field = carrier.partition(".")
        assert field in {f.name for f in COMMAND_BY_NAME[command].fields}, carrier
        pairs.append((command, field))
    return Key(tuple(pairs), may_be_none, replaces)


KEYS: Mapping[str, Key] = {
    "initial_margin": carried(
        "list_symbol.initial_margin_ppm", "set_brackets.initial_margin_ppm", replaces="leverage"
    ),
    "leverage": carried(
        "list_symbol.initial_margin_ppm",
        "set_brackets.initial_margin_ppm",
        replaces="initial_margin",
    ),
    "brackets": carried("list_symbol.brackets", "set_brackets.brackets"),
    "taker_fee": carried("list_symbol.taker_fee_ppm"),
    "maker_fee": carried("list_symbol.maker_fee_ppm"),
    "price_band": carried("list_symbol.price_band_ppm", may_be_none=True),
    "upnl_weight": carried("list_symbol.upnl_weight_ppm"),
    "min_quantity": carried("list_symbol.min_qty_lots"),
    "max_quantity": carried("list_symbol.max_qty_lots"),
    "min_notional": carried("list_symbol.min_notional_atoms"),
    "max_open_orders": carried("list_symbol.max_open_orders"),
    "exposure_limit": carried("list_symbol.exposure_limit_atoms"),
    "fund": carried("list_symbol.fund"),
    "slippage_cap": carried("list_symbol.slippage_cap_ppm", may_be_none=True),
    "liquidation.mode": carried("list_symbol.liquidation_mode"),
    "liquidation.fee": carried("list_symbol.liquidation_fee_ppm"),
    "liquidation.fraction": carried("list_symbol.liquidation_fraction_ppm"),
    "liquidation.buffer": carried("list_symbol.liquidation_buffer_ppm"),
    "liquidation.min_notional": carried("list_symbol.liquidation_min_notional_atoms"),
    "liquidation.max_notional": carried(
        "list_symbol.liquidation_max_notional_atoms", may_be_none=True
    ),
    "liquidation.draw_cap": carried("list_symbol.draw_cap_atoms", may_be_none=True),
    "liquidation.adl": carried("set_adl_policy.policy"),
    "position_limit": carried("set_risk_limits.position_limit_atoms", may_be_none=True),
    "open_interest_limit": carried("set_risk_limits.open_interest_limit_atoms", may_be_none=True),
    "margin_scaling": carried(
        "set_risk_limits.oi_scaling_lower_atoms",
        "set_risk_limits.oi_scaling_upper_atoms",
        may_be_none=True,
    ),
    "fund_policy.cap": carried("set_fund_policy.cap_atoms", may_be_none=True),
    "fund_policy.second_fund": carried(
        "set_fund_policy.second_fund", "set_fund_policy.second_cap_atoms", may_be_none=True
    ),
    "fund_policy.second_cap": carried("set_fund_policy.second_cap_atoms", may_be_none=True),
    "fund_policy.window": carried(
        "set_fund_policy.window_ns", "set_fund_policy.window_cap_atoms", may_be_none=True
    ),
    "fund_policy.window_cap": carried(
        "set_fund_policy.window_ns", "set_fund_policy.window_cap_atoms", may_be_none=True
    ),
    "mark.max_feeds": carried("set_mark_policy.max_feeds"),
    "mark.max_age": carried("set_mark_policy.max_age_ns"),
    "mark.ema": carried("set_mark_policy.ema_ns"),
    "funding.interval": carried("set_funding_policy.interval_ns"),
    "funding.sample": carried("set_funding_policy.sample_ns"),
    "funding.interest": carried("set_funding_policy.interest_ppb"),
    "funding.clamp": carried("set_funding_policy.clamp_ppb"),
    "funding.max_rate": carried("set_funding_policy.max_rate_ppb"),
    "funding.impact_notional": carried("set_funding_policy.impact_notional_atoms"),
}

#: Commands that are only changed where a journal has them, and what to do where it has none; all others that carry a
#: given key are also sent behind the listing.
ONLY_CHANGED: Mapping[str, str] = {
    "set_brackets": "",
    "set_mark_policy": "its mark is set by hand, and there are no prices to compute it from; leave mark out",
    "set_funding_policy": "its funding is settled by hand, and whoever did it would go on; leave funding out",
}
#: Keys of a configuration that the journal's orders are written in.
FIXED = ("name", "symbol", "tick", "lot")
#: Keys of a symbol's table that only a policy file has.
OWN_KEYS = ("margin_mode", "margin_accounts")
#: Inner tables that hold each other up: with the one the other is needed.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "mark": ("mark", "funding"),
    "funding": ("funding",),
    "fund_policy": ("fund_policy",),
}
#: Keys that name a fund.
FUND_KEYS = ("fund", "fund_policy.second_fund")
#: The commands that carry keys.
CARRIERS: tuple[str, ...] = tuple(
    dict.fromkeys(command for key in KEYS.values() for command, _ in key.carriers)
)
NONE = "none"
