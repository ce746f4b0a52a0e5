"""The steps of a scenario that are about prices from outside: mark and funding policies, the index and feeds."""

from __future__ import annotations

from exchange.errors import ScenarioError
from exchange.protocol.messages import SetFundingPolicy, SetMarkPolicy, SetPrice
from exchange.sim.scenario_file import parse_duration_ns, require_keys
from exchange.sim.scenario_names import Body, Names, Planned, flag, one, whole
from exchange.units import to_atoms, to_ppb

INDEX = "index"
MARK_KEYS = ("max_feeds", "max_age", "ema")


def plan_mark_policy(body: Body, names: Names) -> Planned:
    """The mark is composite from now on; with ``enabled: false`` it is set by hand again."""
    require_keys(body, ("symbol",), ("enabled", "reject", *MARK_KEYS))
    numbers: dict[str, int] = {}
    if "max_feeds" in body:
        numbers["max_feeds"] = whole(body["max_feeds"], "max_feeds")
    for key, field in (("max_age", "max_age_ns"), ("ema", "ema_ns")):
        if key in body:
            numbers[field] = parse_duration_ns(body[key])
    enabled = flag(body, "enabled") if "enabled" in body else True
    symbol = names.symbol(body["symbol"]).symbol
    return one(SetMarkPolicy(symbol=symbol, enabled=int(enabled), **numbers))


def plan_funding_policy(body: Body, names: Names) -> Planned:
    """The engine computes the funding rate from now on; with ``enabled: false`` it is settled by hand again."""
    durations = {"interval": "interval_ns", "sample": "sample_ns"}
    rates = {"interest": "interest_ppb", "clamp": "clamp_ppb", "max_rate": "max_rate_ppb"}
    require_keys(body, ("symbol",), ("enabled", "reject", "impact", *durations, *rates))
    numbers = {
        field: parse_duration_ns(body[key]) for key, field in durations.items() if key in body
    }
    numbers |= {field: to_ppb(body[key]) for key, field in rates.items() if key in body}
    if "impact" in body:
        numbers["impact_notional_atoms"] = to_atoms(body["impact"])
    enabled = flag(body, "enabled") if "enabled" in body else True
    symbol = names.symbol(body["symbol"]).symbol
    return one(SetFundingPolicy(symbol=symbol, enabled=int(enabled), **numbers))


def plan_price(body: Body, names: Names) -> Planned:
    """A price from outside: the index, or of a feed by its number."""
    require_keys(body, ("symbol", "price"), ("source", "reject"))
    policy = names.symbol(body["symbol"])
    return one(
        SetPrice(
            symbol=policy.symbol,
            source=source_of(body.get("source", INDEX)),
            price_ticks=policy.units.price_to_ticks(body["price"]),
        )
    )


def source_of(value: object) -> int:
    """``index``, or the number of a feed from 1."""
    if value == INDEX:
        return 0
    number = whole(value, "source")
    if number < 1:
        raise ScenarioError(f"source is {number}; wanted {INDEX}, or the number of a feed from 1")
    return number
