"""The flags of ``exchange margin``, and what is asked of whom."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from exchange.calculator.asking import ask_node
from exchange.calculator.show import Priced, Symbols, as_json, as_table
from exchange.calculator.situation import Situation, load_situation, rows, situation_of
from exchange.calculator.venue import ACCOUNT, engine_of, mark_command, order_command
from exchange.errors import ConfigError
from exchange.protocol.messages import Command
from exchange.protocol.preview import PreviewView
from exchange.whatif import preview

OK = 0
EXAMPLE = 'wanted "SYMBOL buy|sell SIZE [PRICE]", like "BTC-PERP buy 0.1 59000"'


def main(argv: Sequence[str]) -> int:
    """Runs the calculator; what was given wrongly is an ExchangeError, one line for people."""
    options = parser().parse_args(argv)
    orders = [order_table(text) for text in options.order]
    marks = dict(mark_of(text) for text in options.then_mark)
    if options.connect:
        told, texts, symbols = ask_node(options.connect, options.account, orders, marks)
    else:
        tables = with_flags(load_situation(options.file), options, orders)
        told, texts, symbols = calculate(situation_of(tables), marks)
    print(as_json(told, texts, symbols) if options.json else as_table(told, texts, symbols))
    return OK


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="exchange margin",
        description="What a position needs and where it is liquidated, by the rules of the exchange.",
    )
    made.add_argument("file", nargs="?", type=Path, help="a situation in TOML or JSON")
    made.add_argument("--symbol", default="BTC-PERP", help="of the position (BTC-PERP)")
    made.add_argument("--side", choices=("long", "short"), help="of the position")
    made.add_argument("--size", help="of the position, in base units")
    made.add_argument("--entry", help="its average entry price")
    made.add_argument("--mode", choices=("cross", "isolated"), default="cross")
    made.add_argument("--leverage", help="else the symbol's")
    made.add_argument("--margin", help="of an isolated position; else what opening it sets aside")
    made.add_argument("--wallet", help="before isolated margins are set aside")
    made.add_argument(
        "--mark", action="append", default=[], metavar="[SYMBOL=]PRICE", help="else the entry"
    )
    made.add_argument("--symbols", type=Path, help="policies, as in a node's configuration")
    made.add_argument(
        "--order",
        action="append",
        default=[],
        metavar='"SYMBOL SIDE SIZE [PRICE]"',
        help="placed then",
    )
    made.add_argument(
        "--then-mark",
        action="append",
        default=[],
        metavar="SYMBOL=PRICE",
        help="what if it moves there",
    )
    made.add_argument("--connect", metavar="ENDPOINT", help="ask a running node about an account")
    made.add_argument("--account", type=int, default=0, help="for --connect")
    made.add_argument("--json", action="store_true", help="the answer as JSON; numbers are texts")
    return made


def with_flags(
    tables: Mapping[str, Any], options: argparse.Namespace, orders: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The situation of the file with what the flags say."""
    merged = {**tables, "orders": [*rows(tables, "orders"), *orders]}
    if options.wallet is not None:
        merged["wallet"] = options.wallet
    if options.symbols is not None:
        merged["symbols"] = symbols_of(options.symbols)
    if options.side or options.size or options.entry:
        merged["positions"] = [*rows(tables, "positions"), position_table(options)]
    marks = dict(mark_of(text, options.symbol) for text in options.mark)
    if marks:
        merged["marks"] = {**tables.get("marks", {}), **marks}
    if not merged.get("positions") and not merged["orders"]:
        raise ConfigError(
            "nothing to calculate: give --side, --size and --entry, a file with positions, or --connect"
        )
    return merged


def symbols_of(path: Path) -> Any:
    """The symbols of a configuration; the rest of it does not matter here."""
    try:
        tables = tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as TOML: {error}") from None
    if "symbols" not in tables:
        raise ConfigError(f"{path}: no symbols in it; wanted [[symbols]]")
    return tables["symbols"]


def position_table(options: argparse.Namespace) -> dict[str, Any]:
    missing = [name for name in ("side", "size", "entry") if getattr(options, name) is None]
    if missing:
        raise ConfigError(f"--{missing[0]} is missing; a position has --side, --size and --entry")
    fields = ("symbol", "side", "size", "entry", "mode", "leverage", "margin")
    return {name: value for name in fields if (value := getattr(options, name)) is not None}


def order_table(text: str) -> dict[str, Any]:
    """ "SYMBOL buy|sell SIZE [PRICE]" as the table of an order."""
    words = text.split()
    if len(words) not in (3, 4):
        raise ConfigError(f"order {text!r}; {EXAMPLE}")
    return dict(zip(("symbol", "side", "size", "price"), words, strict=False))


def mark_of(text: str, symbol: str = "") -> tuple[str, str]:
    name, equals, price = text.rpartition("=")
    if not (equals or symbol):
        raise ConfigError(f"mark {text!r}; wanted SYMBOL=PRICE, like BTC-PERP=58000")
    return name or symbol, price


def calculate(
    situation: Situation, then_marks: Mapping[str, str]
) -> tuple[PreviewView, list[str], Symbols]:
    """The situation in an engine of its own, its orders and marks tried there."""
    engine = engine_of(situation)
    steps: list[Command] = []
    texts: list[str] = []
    for order in situation.orders:
        if order.price is None:
            raise ConfigError(
                f"order of {order.symbol}: price is missing; only a node has a market to ask"
            )
        steps.append(order_command(order, situation.policy(order.symbol)))
        texts.append(f"{order.side} {order.size:f} {order.symbol} at {order.price:f}")
    for name, price in then_marks.items():
        steps.append(mark_command(situation.policy(name), Decimal(price)))
        texts.append(f"{name} at {price}")
    symbols = {
        policy.symbol: Priced(policy.name, policy.units, policy.to_command().taker_fee_ppm)
        for policy in situation.symbols
    }
    return preview(engine, ACCOUNT, steps), texts, symbols
