"""From a configuration file to policies: one vocabulary for TOML files and scenario files.

::

    [[symbols]]
    name = "BTC-PERP"
    tick = 0.1
    lot = 0.001
    leverage = 20                                   # or initial_margin = 0.05
    brackets = [[0, 0.004, 0.008], [50_000, 0.005]] # [notional floor, maintenance, initial (optional)]
    taker_fee = 0.0005
    fund = "majors"                                 # "shared" by default
    position_limit = 5_000_000                      # MARGIN-11: of an account with its orders
    open_interest_limit = 200_000_000               # of all together
    margin_scaling = [50_000_000, 150_000_000]      # open interest on which initial margin rises to 100 %
    liquidation = { mode = "target", fee = 0.005, buffer = 0.1 }
    # FUND-01: its own fund pays up to cap in all, then the second one; both at most window_cap in 3600 seconds
    fund_policy = { cap = 100_000, second_fund = "shared", second_cap = 20_000, window = 3600, window_cap = 50_000 }
    mark = { max_feeds = 3, max_age = 10, ema = 150 } # a composite mark (MARK-02), times in seconds
    funding = { interval = 28_800, interest = 0.0001 } # computed and settled by the engine (FUNDING-02)

Numbers have to be exact: read the file with ``tomllib.load(file, parse_float=Decimal)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from exchange.errors import PolicyError, UnitsError
from exchange.protocol.schema import MAX_EXPOSURE_ATOMS
from exchange.risk.funds import FundPolicy
from exchange.risk.policy import (
    BracketPolicy,
    LiquidationPolicy,
    SymbolPolicy,
    total_exposure_atoms,
)
from exchange.risk.prices import FundingPolicy, MarkPolicy
from exchange.units import to_decimal

SHARED_FUND = "shared"

#: Key of the file -> field of the policy, for what is one decimal.
DECIMALS = {
    "tick": "tick_size",
    "lot": "lot_size",
    "initial_margin": "initial_margin",
    "leverage": "leverage",
    "taker_fee": "taker_fee",
    "maker_fee": "maker_fee",
    "price_band": "price_band",
    "upnl_weight": "upnl_weight",
    "min_quantity": "min_quantity",
    "max_quantity": "max_quantity",
    "min_notional": "min_notional",
    "exposure_limit": "exposure_limit",
    "slippage_cap": "slippage_cap",
    "position_limit": "position_limit",
    "open_interest_limit": "open_interest_limit",
}
SYMBOL_KEYS = (
    "name",
    "symbol",
    *DECIMALS,
    "max_open_orders",
    "brackets",
    "fund",
    "liquidation",
    "mark",
    "funding",
    "margin_scaling",
    "fund_policy",
)
LIQUIDATION_DECIMALS = ("fee", "fraction", "buffer", "min_notional", "max_notional", "draw_cap")
MARK_KEYS = ("max_feeds", "max_age", "ema")
FUND_DECIMALS = ("cap", "second_cap", "window", "window_cap")
FUNDING_KEYS = ("interval", "sample", "interest", "clamp", "max_rate", "impact_notional")
LIQUIDATION_NAMES = ("mode", "adl")
LIQUIDATION_KEYS = (*LIQUIDATION_NAMES, *LIQUIDATION_DECIMALS)
REQUIRED = ("tick", "lot", "brackets")


class FundNumbers:
    """Numbers of the insurance funds by name: ``shared`` is 0, others count from 1 as they appear.

    >>> funds = FundNumbers()
    >>> funds.number("thin"), funds.number("shared"), funds.number("thin")
    (1, 0, 1)
    """

    def __init__(self) -> None:
        self.by_name = {SHARED_FUND: 0}

    def number(self, name: str) -> int:
        """The fund's number; a new name gets the next one."""
        return self.by_name.setdefault(name, len(self.by_name))

    def name(self, number: int) -> str:
        """The name of a number given before; KeyError if it was not."""
        return {n: name for name, n in self.by_name.items()}[number]


def load_policy(config: Mapping[str, Any], funds: FundNumbers | None = None) -> list[SymbolPolicy]:
    """The policies under ``symbols`` of a configuration: an array of tables, or tables by name.

    Symbols without a number count from 1 in the order of the file.

    Raises:
        PolicyError: names symbol, field, value and bound.
    """
    funds = FundNumbers() if funds is None else funds
    policies: list[SymbolPolicy] = []
    for number, (name, table) in enumerate(symbol_tables(config.get("symbols", ())), start=1):
        policies.append(symbol_policy(name, table, number, funds))
    numbers = [str(policy.symbol) for policy in policies]
    names = [policy.name for policy in policies]
    for what, values in (("symbol number", numbers), ("symbol name", names)):
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise PolicyError(f"{what} {', '.join(twice)} is used twice; each symbol needs its own")
    total = total_exposure_atoms([policy.to_command() for policy in policies])
    if total > MAX_EXPOSURE_ATOMS:
        raise PolicyError(
            f"the exposure limits of all symbols sum to {total} atoms; wanted at most {MAX_EXPOSURE_ATOMS}: "
            "set exposure_limit lower on some"
        )
    return policies


def symbol_policy(
    name: str, table: Mapping[str, Any], number: int, funds: FundNumbers
) -> SymbolPolicy:
    """One symbol's table as a policy; ``number`` where the table names none."""
    require_known(table, SYMBOL_KEYS, name)
    missing = [key for key in REQUIRED if key not in table]
    if missing:
        raise PolicyError(
            f"{name}: {', '.join(missing)} is missing; wanted at least {', '.join(REQUIRED)}"
        )
    fields: dict[str, Any] = {
        field: _decimal(table[key], key, name) for key, field in DECIMALS.items() if key in table
    }
    if "max_open_orders" in table:
        fields["max_open_orders"] = _integer(table["max_open_orders"], "max_open_orders", name)
    if "margin_scaling" in table:
        fields["margin_scaling"] = _scaling(table["margin_scaling"], name)
    return SymbolPolicy(
        symbol=_integer(table.get("symbol", number), "symbol", name),
        name=name,
        brackets=_brackets(table["brackets"], name),
        fund=_fund(table.get("fund", SHARED_FUND), "fund", name, funds),
        liquidation=_liquidation(table.get("liquidation", {}), name),
        mark=_mark(table["mark"], name) if "mark" in table else None,
        funds=_fund_policy(table["fund_policy"], name, funds) if "fund_policy" in table else None,
        funding=_funding(table["funding"], name) if "funding" in table else None,
        **fields,
    )


def require_known(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """PolicyError for a key that nobody reads: a typing error in a risk policy must not pass silently."""
    known = tuple(known)
    unknown = [str(key) for key in table if key not in known]
    if unknown:
        raise PolicyError(
            f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(known)}"
        )


def symbol_tables(symbols: Any) -> list[tuple[str, Mapping[str, Any]]]:
    if isinstance(symbols, Mapping):
        tables = [(str(name), table) for name, table in symbols.items()]
    elif isinstance(symbols, list | tuple):
        tables = [(_name(table, index), table) for index, table in enumerate(symbols, start=1)]
    else:
        raise PolicyError(f"symbols is {symbols!r}; wanted an array of tables, or tables by name")
    for name, table in tables:
        if not isinstance(table, Mapping):
            raise PolicyError(
                f"{name}: {table!r} is no table; wanted {{tick = ..., lot = ..., ...}}"
            )
    return tables


def _name(table: Any, index: int) -> str:
    if not isinstance(table, Mapping) or not isinstance(table.get("name"), str):
        raise PolicyError(f'symbol {index} of the file has no name; wanted name = "BTC-PERP"')
    return str(table["name"])


def _brackets(rows: Any, where: str) -> tuple[BracketPolicy, ...]:
    wanted = "[[notional floor, maintenance, initial (optional)], ...]"
    if not isinstance(rows, list | tuple) or not rows:
        raise PolicyError(f"{where}: brackets is {rows!r}; wanted {wanted}")
    brackets = []
    for row in rows:
        if not isinstance(row, list | tuple) or len(row) not in (2, 3):
            raise PolicyError(f"{where}: bracket {row!r}; wanted {wanted}")
        numbers = [_decimal(value, "brackets", where) for value in row]
        brackets.append(BracketPolicy(*numbers))
    return tuple(brackets)


def _scaling(row: Any, where: str) -> tuple[Decimal, Decimal]:
    if not isinstance(row, list | tuple) or len(row) != 2:
        raise PolicyError(
            f"{where}: margin_scaling is {row!r}; wanted [open interest where rates begin to rise, and end]"
        )
    lower, upper = (_decimal(value, "margin_scaling", where) for value in row)
    return lower, upper


def _liquidation(table: Any, where: str) -> LiquidationPolicy:
    if not isinstance(table, Mapping):
        raise PolicyError(
            f'{where}: liquidation is {table!r}; wanted {{mode = "target", fee = 0.005}}'
        )
    require_known(table, LIQUIDATION_KEYS, f"{where}: liquidation")
    fields: dict[str, Any] = {
        key: _decimal(table[key], f"liquidation.{key}", where)
        for key in LIQUIDATION_DECIMALS
        if key in table
    }
    fields |= {key: str(table[key]) for key in LIQUIDATION_NAMES if key in table}
    return LiquidationPolicy(**fields)


def _mark(table: Any, where: str) -> MarkPolicy:
    if not isinstance(table, Mapping):
        raise PolicyError(f"{where}: mark is {table!r}; wanted {{max_feeds = 3, max_age = 10}}")
    require_known(table, MARK_KEYS, f"{where}: mark")
    fields: dict[str, Any] = {
        key: _decimal(table[key], f"mark.{key}", where)
        for key in ("max_age", "ema")
        if key in table
    }
    if "max_feeds" in table:
        fields["max_feeds"] = _integer(table["max_feeds"], "mark.max_feeds", where)
    try:
        return MarkPolicy(**fields)
    except PolicyError as error:
        raise PolicyError(f"{where}: {error}") from None


def _fund(value: Any, field: str, where: str, funds: FundNumbers) -> int:
    """A fund by name, or by number."""
    return funds.number(value) if isinstance(value, str) else _integer(value, field, where)


def _fund_policy(table: Any, where: str, funds: FundNumbers) -> FundPolicy:
    if not isinstance(table, Mapping):
        raise PolicyError(f"{where}: fund_policy is {table!r}; wanted {{cap = 1000}}")
    require_known(table, (*FUND_DECIMALS, "second_fund"), f"{where}: fund_policy")
    fields: dict[str, Any] = {
        key: _decimal(table[key], f"fund_policy.{key}", where)
        for key in FUND_DECIMALS
        if key in table
    }
    if "second_fund" in table:
        fields["second_fund"] = _fund(table["second_fund"], "fund_policy.second_fund", where, funds)
    try:
        return FundPolicy(**fields)
    except PolicyError as error:
        raise PolicyError(f"{where}: {error}") from None


def _funding(table: Any, where: str) -> FundingPolicy:
    if not isinstance(table, Mapping):
        raise PolicyError(
            f"{where}: funding is {table!r}; wanted {{interval = 28800, interest = 0.0001}}"
        )
    require_known(table, FUNDING_KEYS, f"{where}: funding")
    try:
        return FundingPolicy(
            **{key: _decimal(table[key], f"funding.{key}", where) for key in table}
        )
    except PolicyError as error:
        raise PolicyError(f"{where}: {error}") from None


def _decimal(value: Any, field: str, where: str) -> Decimal:
    if isinstance(value, float):
        raise PolicyError(
            f"{where}: {field} is the float {value}; read the file with tomllib.load(file, parse_float=Decimal)"
        )
    try:
        return to_decimal(field, value)
    except UnitsError as error:
        raise PolicyError(f"{where}: {error}") from None


def _integer(value: Any, field: str, where: str) -> int:
    number = _decimal(value, field, where)
    if number != int(number):
        raise PolicyError(f"{where}: {field} is {value}; wanted a whole number")
    return int(number)
