"""What the calculator is asked about: a wallet, positions, orders and marks, from flags or from a file.

::

    wallet = 5_000                       # before the margins of isolated positions are set aside
    [marks]
    BTC-PERP = 59_000                    # else: the entry of the position, else the mark of the defaults
    [[positions]]
    symbol = "BTC-PERP"
    side = "long"
    size = 0.5
    entry = 60_000
    mode = "isolated"                    # or cross, as by default
    leverage = 20                        # else the symbol's
    margin = 1_600                       # of an isolated position; else what opening it at its entry sets aside
    [[orders]]
    symbol = "BTC-PERP"
    side = "buy"
    size = 0.1
    price = 58_000
    [[symbols]]                          # policies as in the configuration of a node; else its defaults
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from exchange.config import load_config
from exchange.errors import ConfigError, UnitsError
from exchange.risk import SymbolPolicy, load_policy
from exchange.units import to_decimal

SIDES = ("long", "short")
ORDER_SIDES = ("buy", "sell")
MODES = ("cross", "isolated")
SECTIONS = ("wallet", "marks", "positions", "orders", "symbols")


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A position as people write it."""

    symbol: str
    side: str
    size: Decimal
    entry: Decimal
    mode: str = "cross"
    leverage: Decimal | None = None
    margin: Decimal | None = None  # isolated; None: what opening it at its entry sets aside


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """An order as people write it: a limit, or what is found at the market."""

    symbol: str
    side: str
    size: Decimal
    price: Decimal | None = None
    reduce_only: bool = False


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """All that margin depends on."""

    wallet: Decimal
    symbols: tuple[SymbolPolicy, ...]
    marks: Mapping[str, Decimal]
    positions: tuple[Held, ...] = ()
    orders: tuple[Offered, ...] = ()

    def policy(self, name: str) -> SymbolPolicy:
        """The policy of a symbol; ConfigError names those there are."""
        for policy in self.symbols:
            if policy.name == name:
                return policy
        known = ", ".join(policy.name for policy in self.symbols)
        raise ConfigError(f"symbol {name!r} is not known; there are {known}")


def default_marks(symbols: Sequence[SymbolPolicy]) -> dict[str, Decimal]:
    """The marks of the default configuration, of the symbols that it has, too."""
    config = load_config()
    return {
        policy.name: policy.units.ticks_to_price(config.mark_ticks[policy.symbol])
        for policy in config.symbols
        if policy in symbols and policy.symbol in config.mark_ticks
    }


def load_situation(path: Path | None) -> dict[str, Any]:
    """The tables of a situation file, TOML or JSON, numbers exact; without a file none."""
    if path is None:
        return {}
    try:
        text = path.read_text("utf-8")
        if path.suffix == ".json":
            tables = json.loads(text, parse_float=Decimal)
        else:
            tables = tomllib.loads(text, parse_float=Decimal)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: neither TOML nor JSON: {error}") from None
    if not isinstance(tables, dict):
        raise ConfigError(f"{path}: wanted a table with {', '.join(SECTIONS)}")
    unknown = [key for key in tables if key not in SECTIONS]
    if unknown:
        raise ConfigError(f"{path}: unknown key {unknown[0]}; there are {', '.join(SECTIONS)}")
    return tables


def situation_of(tables: Mapping[str, Any]) -> Situation:
    """A situation of its tables; what is wrong is a ConfigError that says where, what came and what was wanted."""
    symbols = tuple(load_policy(tables)) if "symbols" in tables else load_config().symbols
    positions = tuple(
        held(table, f"positions[{i}]") for i, table in enumerate(rows(tables, "positions"))
    )
    orders = tuple(offered(table, f"orders[{i}]") for i, table in enumerate(rows(tables, "orders")))
    entries = {position.symbol: position.entry for position in positions}
    given = table_of(tables.get("marks", {}), "marks")
    marks = {name: number(value, f"marks.{name}") for name, value in given.items()}
    situation = Situation(
        wallet=number(tables.get("wallet", 0), "wallet"),
        symbols=symbols,
        marks=default_marks(symbols) | entries | marks,
        positions=positions,
        orders=orders,
    )
    for name in (*marks, *entries, *(order.symbol for order in orders)):
        situation.policy(name)
    twice = [p.symbol for i, p in enumerate(positions) if p.symbol in entries_before(positions, i)]
    if twice:
        raise ConfigError(f"positions: {twice[0]} is there twice; one position a symbol is held")
    return situation


def entries_before(positions: Sequence[Held], index: int) -> set[str]:
    return {position.symbol for position in positions[:index]}


def held(table: Any, where: str) -> Held:
    fields = known_fields(table, Held, where)
    return Held(
        symbol=name_of(fields, where),
        side=one_of(fields.get("side"), SIDES, f"{where}.side"),
        size=positive(fields.get("size"), f"{where}.size"),
        entry=positive(fields.get("entry"), f"{where}.entry"),
        mode=one_of(fields.get("mode", "cross"), MODES, f"{where}.mode"),
        leverage=optional(fields.get("leverage"), f"{where}.leverage"),
        margin=optional(fields.get("margin"), f"{where}.margin"),
    )


def offered(table: Any, where: str) -> Offered:
    fields = known_fields(table, Offered, where)
    return Offered(
        symbol=name_of(fields, where),
        side=one_of(fields.get("side"), ORDER_SIDES, f"{where}.side"),
        size=positive(fields.get("size"), f"{where}.size"),
        price=optional(fields.get("price"), f"{where}.price"),
        reduce_only=bool(fields.get("reduce_only", False)),
    )


# ------------------------------------------------------------------------------------------- what was written


def rows(tables: Mapping[str, Any], key: str) -> Sequence[Any]:
    found = tables.get(key, [])
    if not isinstance(found, list):
        raise ConfigError(f"{key} is {found!r}; wanted an array of tables [[{key}]]")
    return found


def table_of(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} is {value!r}; wanted a table")
    return value


def known_fields(table: Any, kind: type[msgspec.Struct], where: str) -> Mapping[str, Any]:
    fields = table_of(table, where)
    unknown = [key for key in fields if key not in kind.__struct_fields__]
    if unknown:
        known = ", ".join(kind.__struct_fields__)
        raise ConfigError(f"{where}: unknown key {unknown[0]}; there are {known}")
    return fields


def name_of(fields: Mapping[str, Any], where: str) -> str:
    name = fields.get("symbol")
    if not isinstance(name, str):
        raise ConfigError(f'{where}.symbol is {name!r}; wanted a name like "BTC-PERP"')
    return name


def one_of(value: Any, names: Sequence[str], where: str) -> str:
    if value not in names:
        raise ConfigError(f"{where} is {value!r}; wanted {' or '.join(names)}")
    return str(value)


def number(value: Any, where: str) -> Decimal:
    try:
        return to_decimal(where, value)
    except UnitsError as error:
        raise ConfigError(str(error)) from None


def positive(value: Any, where: str) -> Decimal:
    if value is None:
        raise ConfigError(f"{where} is missing; wanted a number above 0")
    exact = number(value, where)
    if exact <= 0:
        raise ConfigError(f"{where} is {value}; wanted a number above 0")
    return exact


def optional(value: Any, where: str) -> Decimal | None:
    return None if value is None else positive(value, where)
