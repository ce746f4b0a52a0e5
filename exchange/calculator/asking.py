"""A running node is asked instead: the same answer about a real account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exchange.calculator.show import Priced, Symbols
from exchange.client import Client
from exchange.errors import ConfigError
from exchange.protocol.messages import Command
from exchange.protocol.preview import PreviewView


def ask_node(
    endpoint: str, account: int, orders: Sequence[Mapping[str, Any]], marks: Mapping[str, str]
) -> tuple[PreviewView, list[str], Symbols]:
    """Where the account stands there, and what the orders and marks would come to."""
    if account < 1:
        raise ConfigError("--account is missing; wanted the number of the account to ask about")
    with Client(endpoint, account) as client:
        steps: list[Command] = []
        texts: list[str] = []
        for order in orders:
            name, side, size = order["symbol"], order["side"], order["size"]
            if "price" in order:
                steps.append(client.limit_order(name, side, size, order["price"]))
                texts.append(f"{side} {size} {name} at {order['price']}")
            else:
                steps.append(client.market_order(name, side, size))
                texts.append(f"{side} {size} {name} at the market")
        for name, price in marks.items():
            steps.append(client.mark_step(name, price))
            texts.append(f"{name} at {price}")
        told = client.preview(steps)
        listed = client.symbols().values()
    symbols = {
        symbol.view.symbol: Priced(symbol.view.name, symbol.units, None) for symbol in listed
    }
    return told, texts, symbols
