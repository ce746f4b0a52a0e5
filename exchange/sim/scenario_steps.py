"""The steps of a scenario as commands: names to numbers, decimals to ticks, lots and atoms.

One function per kind of step turns its keys into commands; the runner then sends them.  Those of orders are in
``scenario_orders``.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

from exchange.errors import ScenarioError, UnitsError
from exchange.protocol.messages import (
    COMMAND_CLASSES,
    AdvanceTime,
    ChangeIsolatedMargin,
    Deposit,
    OrderEntry,
    SetAdlPolicy,
    SetAutoMargin,
    SetBrackets,
    SetMarginMode,
    SetMarginWarnings,
    SetMark,
    SetPositionMode,
    SetRiskLimits,
    SetStpGroup,
    SetSymbolState,
    SettleFunding,
    Withdraw,
)
from exchange.protocol.records import encode_command
from exchange.protocol.schema import (
    ASSET_DECIMALS,
    COMMAND_BY_NAME,
    AdlPolicy,
    MarginMode,
    PositionMode,
    SymbolState,
)
from exchange.sim.scenario_collateral import (
    plan_asset,
    plan_asset_price,
    plan_collateral,
    plan_multi_asset,
)
from exchange.sim.scenario_file import parse_duration_ns, require_keys
from exchange.sim.scenario_funds import plan_fund, plan_fund_policy
from exchange.sim.scenario_names import (
    Body,
    Names,
    Planned,
    flag,
    member,
    one,
    whole,
)
from exchange.sim.scenario_orders import (
    leg_of,
    plan_amend,
    plan_cancel,
    plan_cancel_all,
    plan_countdown,
    plan_order,
    plan_orders,
    plan_trade,
)
from exchange.sim.scenario_prices import plan_funding_policy, plan_mark_policy, plan_price
from exchange.units import leverage_to_ppm, to_atoms, to_decimal, to_ppm

Planner: TypeAlias = Callable[[Body, Names], Planned]


def plan_step(kind: str, body: Body, names: Names) -> Planned:
    """The commands of a step; ScenarioError says which key is wrong."""
    planner = PLANNERS.get(kind)
    if planner is None:
        raise ScenarioError(f"unknown step {kind}; known are {', '.join([*PLANNERS, 'expect'])}")
    try:
        return planner(body, names)
    except UnitsError as error:
        raise ScenarioError(str(error)) from None


def plan_deposit(body: Body, names: Names) -> Planned:
    require_keys(body, ("account", "amount"), ("reject",))
    return one(
        Deposit(account=names.account(body["account"]), amount_atoms=to_atoms(body["amount"]))
    )


def plan_withdraw(body: Body, names: Names) -> Planned:
    require_keys(body, ("account", "amount"), ("reject",))
    return one(
        Withdraw(account=names.account(body["account"]), amount_atoms=to_atoms(body["amount"]))
    )


def plan_mark(body: Body, names: Names) -> Planned:
    require_keys(body, ("symbol", "price"), ("reject",))
    policy = names.symbol(body["symbol"])
    return one(
        SetMark(symbol=policy.symbol, price_ticks=policy.units.price_to_ticks(body["price"]))
    )


def plan_margin_mode(body: Body, names: Names) -> Planned:
    require_keys(
        body, ("account", "symbol", "mode"), ("initial_margin", "leverage", "leg", "reject")
    )
    if "initial_margin" in body and "leverage" in body:
        raise ScenarioError("wanted initial_margin or leverage, came both")
    rate = 0
    if "initial_margin" in body:
        rate = to_ppm(body["initial_margin"])
    elif "leverage" in body:
        rate = leverage_to_ppm(body["leverage"])
    return one(
        SetMarginMode(
            account=names.account(body["account"]),
            symbol=names.symbol(body["symbol"]).symbol,
            margin_mode=member(MarginMode, body["mode"], "mode"),
            initial_margin_ppm=rate,
            leg=leg_of(body),
        )
    )


def plan_position_mode(body: Body, names: Names) -> Planned:
    """One position on a symbol, or a long and a short one."""
    require_keys(body, ("account", "mode"), ("reject",))
    mode = member(PositionMode, body["mode"], "mode")
    return one(SetPositionMode(account=names.account(body["account"]), position_mode=mode))


def plan_isolated_margin(body: Body, names: Names) -> Planned:
    require_keys(body, ("account", "symbol", "change"), ("leg", "reject"))
    return one(
        ChangeIsolatedMargin(
            account=names.account(body["account"]),
            symbol=names.symbol(body["symbol"]).symbol,
            change_atoms=to_atoms(body["change"]),
            leg=leg_of(body),
        )
    )


def plan_auto_margin(body: Body, names: Names) -> Planned:
    """The account says whether its wallet adds margin to an isolated position by itself (ACCT-09)."""
    require_keys(body, ("account", "symbol", "enabled"), ("leg", "reject"))
    return one(
        SetAutoMargin(
            account=names.account(body["account"]),
            symbol=names.symbol(body["symbol"]).symbol,
            leg=leg_of(body),
            enabled=int(flag(body, "enabled")),
        )
    )


def plan_funding(body: Body, names: Names) -> Planned:
    require_keys(body, ("symbol", "per_unit"), ("reject",))
    policy = names.symbol(body["symbol"])
    per_unit = Fraction(to_decimal("per_unit", body["per_unit"]))
    per_lot = per_unit * Fraction(policy.lot_size) * 10**ASSET_DECIMALS * 2**32
    if per_lot.denominator != 1:
        raise ScenarioError(f"per_unit {body['per_unit']} is not a multiple of 2^-32 atoms per lot")
    atoms, fraction = divmod(int(per_lot), 1 << 32)
    return one(
        SettleFunding(
            symbol=policy.symbol, payment_atoms_per_lot=atoms, payment_fraction_q32=fraction
        )
    )


def plan_time(body: Body, names: Names) -> Planned:
    require_keys(body, ("advance",))
    return Planned((encode_command(AdvanceTime()),), parse_duration_ns(body["advance"]))


def plan_state(body: Body, names: Names) -> Planned:
    """The operator opens, halts or settles a symbol, or calls an auction."""
    require_keys(body, ("symbol", "state"), ("price", "reject"))
    policy = names.symbol(body["symbol"])
    price = policy.units.price_to_ticks(body["price"]) if "price" in body else 0
    return one(
        SetSymbolState(
            symbol=policy.symbol,
            state=member(SymbolState, body["state"], "state"),
            price_ticks=price,
        )
    )


def plan_brackets(body: Body, names: Names) -> Planned:
    """The operator puts another bracket table in force; rows and rate as in the symbol's own table."""
    require_keys(body, ("symbol", "initial_margin", "brackets"), ("reject",))
    rows = body["brackets"]
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) in (2, 3) for row in rows
    ):
        raise ScenarioError("brackets: wanted [[floor, maintenance, initial (optional)], ...]")
    return one(
        SetBrackets(
            symbol=names.symbol(body["symbol"]).symbol,
            initial_margin_ppm=to_ppm(body["initial_margin"]),
            brackets=tuple(
                (to_atoms(row[0]), to_ppm(row[1]), to_ppm(row[2]) if len(row) == 3 else 0)
                for row in rows
            ),
        )
    )


def plan_limits(body: Body, names: Names) -> Planned:
    """The operator caps a symbol; what is not named has no cap from then on (MARGIN-11)."""
    require_keys(
        body, ("symbol",), ("position_limit", "open_interest_limit", "margin_scaling", "reject")
    )
    scaling = body.get("margin_scaling", [])
    if not isinstance(scaling, list) or len(scaling) not in (0, 2):
        raise ScenarioError("margin_scaling: wanted [lower open interest, upper open interest]")
    lower, upper = map(to_atoms, scaling) if scaling else (-1, -1)
    caps = ("position_limit", "open_interest_limit")
    position, interest = (to_atoms(body[key]) if key in body else -1 for key in caps)
    return one(
        SetRiskLimits(
            symbol=names.symbol(body["symbol"]).symbol,
            position_limit_atoms=position,
            open_interest_limit_atoms=interest,
            oi_scaling_lower_atoms=lower,
            oi_scaling_upper_atoms=upper,
        )
    )


def plan_margin_warnings(body: Body, names: Names) -> Planned:
    """The operator says at which parts of its equity a pool's maintenance margin is warned of (MARGIN-10)."""
    require_keys(body, ("levels",), ("reject",))
    levels = body["levels"]
    if not isinstance(levels, list) or len(levels) > 4:
        raise ScenarioError("levels: wanted up to four, like [0.8, 0.9]")
    first, second, third, fourth = ([*map(to_ppm, levels), 0, 0, 0, 0])[:4]
    return one(
        SetMarginWarnings(
            first_level_ppm=first,
            second_level_ppm=second,
            third_level_ppm=third,
            fourth_level_ppm=fourth,
        )
    )


def plan_stp_group(body: Body, names: Names) -> Planned:
    """The operator puts an account into a group that does not trade with itself; 0 takes it out."""
    require_keys(body, ("account", "group"), ("reject",))
    return one(
        SetStpGroup(
            member_account=names.account(body["account"]),
            stp_group=whole(body["group"], "group"),
        )
    )


def plan_adl_policy(body: Body, names: Names) -> Planned:
    """The operator says how positions of a symbol are deleveraged from now on."""
    require_keys(body, ("symbol", "policy"), ("reject",))
    return one(
        SetAdlPolicy(
            symbol=names.symbol(body["symbol"]).symbol,
            policy=member(AdlPolicy, body["policy"], "policy"),
        )
    )


def plan_raw(body: Body, names: Names) -> Planned:
    """A command in the table's own names and integers, or as bytes: what the other steps cannot say."""
    if "bytes" in body:
        require_keys(body, ("bytes",), ("reject",))
        try:
            return Planned((bytes.fromhex(str(body["bytes"])),))
        except ValueError:
            raise ScenarioError(
                f"bytes: wanted hexadecimal digits, came {body['bytes']!r}"
            ) from None
    message = COMMAND_BY_NAME.get(str(body.get("command")))
    if message is None:
        raise ScenarioError(f"wanted command: one of {', '.join(COMMAND_BY_NAME)}; or bytes")
    struct = COMMAND_CLASSES[message.number]
    fields = [name for name in struct.__struct_fields__ if name not in ("sequence", "timestamp_ns")]
    require_keys(body, ("command",), ("reject", *fields))
    values: dict[str, Any] = {}
    for key in fields:
        if key in body:
            values[key] = _raw_value(key, body[key])
    try:
        return one(struct(**values))
    except (TypeError, ValueError) as error:
        raise ScenarioError(f"{message.name}: {error}") from None


def _raw_value(key: str, value: object) -> object:
    if key == "name":
        return str(value)
    if key == "brackets":
        if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
            raise ScenarioError(
                "brackets: wanted [[floor_atoms, maintenance_ppm, initial_ppm], ...]"
            )
        return tuple(tuple(whole(number, key) for number in row) for row in value)
    if key == "orders":
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            raise ScenarioError("orders: wanted [{symbol: 1, side: 0, ...}, ...]")
        return tuple(
            OrderEntry(**{str(name): whole(number, str(name)) for name, number in row.items()})
            for row in value
        )
    return whole(value, key)


PLANNERS: dict[str, Planner] = {
    "fund": plan_fund,
    "deposit": plan_deposit,
    "withdraw": plan_withdraw,
    "mark": plan_mark,
    "order": plan_order,
    "orders": plan_orders,
    "trade": plan_trade,
    "amend": plan_amend,
    "cancel": plan_cancel,
    "cancel_all": plan_cancel_all,
    "countdown": plan_countdown,
    "mark_policy": plan_mark_policy,
    "funding_policy": plan_funding_policy,
    "price": plan_price,
    "margin_mode": plan_margin_mode,
    "isolated_margin": plan_isolated_margin,
    "auto_margin": plan_auto_margin,
    "position_mode": plan_position_mode,
    "funding": plan_funding,
    "state": plan_state,
    "stp_group": plan_stp_group,
    "adl_policy": plan_adl_policy,
    "brackets": plan_brackets,
    "limits": plan_limits,
    "margin_warnings": plan_margin_warnings,
    "fund_policy": plan_fund_policy,
    "asset": plan_asset,
    "asset_price": plan_asset_price,
    "collateral": plan_collateral,
    "multi_asset": plan_multi_asset,
    "time": plan_time,
    "raw": plan_raw,
}
