"""The steps of a scenario that are about insurance funds: money for them, and what they may pay."""

from __future__ import annotations

from exchange.protocol.messages import DepositFund, SetFundPolicy
from exchange.sim.scenario_file import parse_duration_ns, require_keys
from exchange.sim.scenario_names import Body, Names, Planned, one
from exchange.units import to_atoms

POLICY_KEYS = ("cap", "second_fund", "second_cap", "window", "window_cap")


def plan_fund(body: Body, names: Names) -> Planned:
    require_keys(body, ("name", "amount"), ("reject",))
    return one(DepositFund(fund=names.fund(body["name"]), amount_atoms=to_atoms(body["amount"])))


def plan_fund_policy(body: Body, names: Names) -> Planned:
    """The operator caps what funds pay for a symbol; what is not named has no cap from then on (FUND-01)."""
    require_keys(body, ("symbol",), ("reject", *POLICY_KEYS))
    has_second = "second_fund" in body
    return one(
        SetFundPolicy(
            symbol=names.symbol(body["symbol"]).symbol,
            cap_atoms=cap_of(body, "cap"),
            second_fund=names.fund(body["second_fund"]) if has_second else 0,
            second_cap_atoms=cap_of(body, "second_cap") if has_second else 0,
            window_ns=parse_duration_ns(body["window"]) if "window" in body else 0,
            window_cap_atoms=cap_of(body, "window_cap"),
        )
    )


def cap_of(body: Body, key: str) -> int:
    return to_atoms(body[key]) if key in body else -1
