"""Reading scenario files: YAML in which every number is exact and every key is known.

YAML's own number types would pass through binary floats, and would read ``1:30`` or ``010`` as something else;
here a number is the decimal that one reads, and ``yes``, ``no``, ``on`` and ``off`` are texts like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import yaml

from exchange.errors import PolicyError, ScenarioError
from exchange.protocol.schema import MAX_ACCOUNT, MAX_EXPOSURE_ATOMS, RejectReason
from exchange.risk.load import SHARED_FUND, SYMBOL_KEYS, FundNumbers, symbol_policy
from exchange.risk.policy import SymbolPolicy
from exchange.units import from_atoms

#: Symbols of a scenario may hold this many open orders an account, unless they say otherwise.
OPEN_ORDERS = 10_000

NS = {
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86400 * 10**9,
}

FREE_KEYS = ("name", "source", "tests", "note", "differs", "rules", "seed")
TOP_KEYS = (*FREE_KEYS, "symbols", "accounts", "funds", "pace", "steps")


class Step(msgspec.Struct, frozen=True):
    """One step of a scenario: its kind, its keys, and where it stands in the file."""

    number: int  # from 1
    line: int  # of the file, from 1
    kind: str
    body: dict[str, Any]


class Scenario(msgspec.Struct, frozen=True):
    """A story on an empty exchange."""

    name: str
    path: str
    symbols: dict[str, SymbolPolicy]
    accounts: dict[str, int]  # numbers that the file fixes; others count on as they appear
    funds: dict[str, int]
    steps: tuple[Step, ...]
    rules: tuple[str, ...]
    pace_ns: int = 0  # how much later each command comes than the one before it


class ExactLoader(yaml.SafeLoader):
    """YAML with decimals for numbers and true and false for flags; duplicate keys are errors."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}  # type: ignore[misc]


def _construct_number(loader: ExactLoader, node: yaml.ScalarNode) -> Decimal:
    return Decimal(str(node.value).replace("_", ""))


def _construct_mapping(loader: ExactLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        key = str(key_node.value)
        if key in seen and key != "<<":
            raise yaml.MarkedYAMLError(
                problem=f"the key {key!r} is given twice", problem_mark=key_node.start_mark
            )
        seen.add(key)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_NUMBER = re.compile(r"[-+]?(\d[\d_]*)(\.\d*)?([eE][-+]?\d+)?$")
for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:float", _NUMBER, "-+0123456789"),
    ("tag:yaml.org,2002:bool", re.compile(r"(?:true|True|false|False)$"), "tTfF"),
    ("tag:yaml.org,2002:null", re.compile(r"(?:~|null|Null|)$"), ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:merge", re.compile(r"<<$"), "<"),
):
    ExactLoader.add_implicit_resolver(_tag, _pattern, list(_first))
ExactLoader.add_constructor("tag:yaml.org,2002:float", _construct_number)
ExactLoader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


def load_scenario(path: str | Path) -> Scenario:
    """Reads a scenario file.

    Raises:
        ScenarioError: in one line, the file, the step or line, and what was wanted.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from None
    return parse_scenario(text, str(path))


def parse_scenario(text: str, path: str = "scenario") -> Scenario:
    """The scenario in a text; ``path`` is for messages."""
    loader = ExactLoader(text)
    try:
        node = loader.get_single_node()
        top = _read_top(loader, node, path)
        steps = _read_steps(loader, _child(node, "steps"), path)
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path}: {_one_line(error)}") from None
    finally:
        loader.dispose()
    return _build(top, steps, path)


def _read_top(loader: ExactLoader, node: yaml.Node | None, path: str) -> dict[str, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise ScenarioError(f"{path}: wanted a mapping with {', '.join(TOP_KEYS)}")
    top: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        if key not in TOP_KEYS:
            raise ScenarioError(
                f"{path}: line {_line(key_node)}: unknown key {key}; known are {', '.join(TOP_KEYS)}"
            )
        if key in top:
            raise ScenarioError(f"{path}: line {_line(key_node)}: the key {key} is given twice")
        top[key] = None if key == "steps" else loader.construct_object(value_node, deep=True)
    return top


def _child(node: yaml.Node | None, wanted: str) -> yaml.Node | None:
    assert isinstance(node, yaml.MappingNode)
    return next((value for key, value in node.value if key.value == wanted), None)


def _read_steps(loader: ExactLoader, node: yaml.Node | None, path: str) -> tuple[Step, ...]:
    if not isinstance(node, yaml.SequenceNode):
        raise ScenarioError(
            f"{path}: wanted steps: a list of steps like - deposit: {{account: a, amount: 100}}"
        )
    steps = []
    for number, step_node in enumerate(node.value, start=1):
        where = f"{path}: step {number} (line {_line(step_node)})"
        content = loader.construct_object(step_node, deep=True)
        if not isinstance(content, dict) or len(content) != 1:
            raise ScenarioError(
                f"{where}: wanted one kind and its keys, like deposit: {{account: a, amount: 100}}"
            )
        ((kind, body),) = content.items()
        if not isinstance(body, dict) or not all(isinstance(key, str | Decimal) for key in body):
            raise ScenarioError(f"{where}: {kind}: wanted keys in braces, came {body!r}")
        steps.append(
            Step(number, _line(step_node), str(kind), {str(key): v for key, v in body.items()})
        )
    return tuple(steps)


def _build(top: Mapping[str, Any], steps: tuple[Step, ...], path: str) -> Scenario:
    tables = top.get("symbols") or {}
    if not isinstance(tables, dict):
        raise ScenarioError(
            f"{path}: symbols: wanted BTC: {{tick: 1, lot: 0.01, ...}}, came {tables!r}"
        )
    funds = FundNumbers()
    funds.by_name.update(_numbers(top.get("funds"), "funds", 0, (1 << 32) - 1, path))
    try:
        symbols = _build_symbols(tables, funds)
    except PolicyError as error:
        raise ScenarioError(f"{path}: symbols: {error}") from None
    rules = top.get("rules") or []
    return Scenario(
        name=str(top.get("name", Path(path).stem)),
        path=path,
        symbols=symbols,
        accounts=_numbers(top.get("accounts"), "accounts", 1, MAX_ACCOUNT, path),
        funds=funds.by_name,
        steps=steps,
        rules=tuple(str(rule) for rule in (rules if isinstance(rules, list) else [rules])),
        pace_ns=_pace(top.get("pace", "0s"), path),
    )


def _pace(value: Any, path: str) -> int:
    try:
        return parse_duration_ns(value)
    except ScenarioError as error:
        raise ScenarioError(f"{path}: pace: {error}") from None


def _build_symbols(tables: Mapping[Any, Any], funds: FundNumbers) -> dict[str, SymbolPolicy]:
    # What a scenario does not speak of must not stand in its way: no band, as much exposure as fits.
    share = from_atoms(MAX_EXPOSURE_ATOMS // max(1, len(tables)))
    symbols = {}
    for number, (key, table) in enumerate(tables.items(), start=1):
        name = str(key)
        if not isinstance(table, dict):
            raise PolicyError(f"{name}: wanted {{tick: 1, lot: 0.01, ...}}, came {table!r}")
        filled = {"max_open_orders": OPEN_ORDERS, "exposure_limit": share, **table}
        if "fund" in table:
            filled["fund"] = str(table["fund"])
        if "initial_margin" not in table and "leverage" not in table:
            raise PolicyError(
                f"{name}: wanted initial_margin or leverage; known keys are {', '.join(SYMBOL_KEYS)}"
            )
        symbols[name] = symbol_policy(name, filled, number, funds)
    return symbols


def _numbers(table: Any, what: str, least: int, most: int, path: str) -> dict[str, int]:
    numbers = {}
    for name, number in (
        (table or {}).items() if isinstance(table, dict | None) else [(what, table)]
    ):
        if not isinstance(number, Decimal) or number != int(number) or not least <= number <= most:
            raise ScenarioError(
                f"{path}: {what}: wanted a number {least} .. {most} for {name}, came {number!r}"
            )
        numbers[str(name)] = int(number)
    if len(set(numbers.values())) < len(numbers) or (
        what == "funds" and numbers.get(SHARED_FUND, 0) != 0
    ):
        raise ScenarioError(
            f"{path}: {what}: each name needs a number of its own ({SHARED_FUND} is fund 0)"
        )
    return numbers


def parse_duration_ns(value: object) -> int:
    """Nanoseconds of a duration.

    >>> parse_duration_ns("1.5ms")
    1500000
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", str(value))
    if match is None or match[2] not in NS:
        raise ScenarioError(f"wanted a duration like 60s, with {', '.join(NS)}; came {value}")
    exact = Decimal(match[1]) * NS[match[2]]
    if exact != int(exact):
        raise ScenarioError(f"the duration {value} is not a whole number of nanoseconds")
    return int(exact)


def parse_time_ns(value: object, now_ns: int) -> int:
    """A moment: a duration counts from now, ``at`` a duration from the start of the story.

    >>> parse_time_ns("60s", now_ns=5 * 10**9), parse_time_ns("at 60s", now_ns=5 * 10**9)
    (65000000000, 60000000000)
    """
    text = str(value).strip()
    if text.startswith("at "):
        return parse_duration_ns(text[3:])
    return now_ns + parse_duration_ns(text)


def reject_reason(name: object) -> RejectReason:
    """The reason that a step names; ScenarioError lists those there are."""
    try:
        return RejectReason[str(name).upper()]
    except KeyError:
        known = ", ".join(reason.name.lower() for reason in RejectReason)
        raise ScenarioError(f"unknown reject reason {name}; known are {known}") from None


def require_keys(
    body: Mapping[str, Any], required: Iterable[str], optional: Iterable[str] = ()
) -> None:
    """ScenarioError for a key that is missing or unknown."""
    known = (*required, *optional, "note")
    for key in body:
        if key not in known:
            raise ScenarioError(f"unknown key {key}; known are {', '.join(known)}")
    missing = [key for key in required if key not in body]
    if missing:
        raise ScenarioError(
            f"the key {', '.join(missing)} is missing; known are {', '.join(known)}"
        )


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return where + " ".join(str(problem).split())
