"""What all steps of a scenario share: the names of the file, and values as people write them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import IntEnum
from typing import Any, TypeAlias, TypeVar

import msgspec

from exchange.errors import ScenarioError
from exchange.protocol.messages import Command
from exchange.protocol.records import encode_command
from exchange.protocol.schema import Leg
from exchange.risk.policy import SymbolPolicy
from exchange.sim.scenario_file import Scenario
from exchange.units import SymbolUnits

#: Texts as client order ids get numbers from here on; numbers stand for themselves.
TEXT_CLIENT_ORDER_IDS = 1 << 40
E = TypeVar("E", bound=IntEnum)

Body: TypeAlias = Mapping[str, Any]


class Planned(msgspec.Struct, frozen=True):
    """What a step sends: records, without sequence and time, and how far time goes on before them."""

    records: tuple[bytes, ...]
    advance_ns: int = 0


#: How a key ends that names a leg of an account in hedge mode (ACCT-08).
LEG_ENDINGS = {Leg.NET: "", Leg.LONG: ".long", Leg.SHORT: ".short"}


class Names:
    """Numbers of accounts, symbols, funds and client orders by the names that a scenario gives them."""

    def __init__(self, scenario: Scenario) -> None:
        self.symbols: dict[str, SymbolPolicy] = scenario.symbols
        self.symbol_names = {policy.symbol: name for name, policy in scenario.symbols.items()}
        self.funds = dict(scenario.funds)
        self.accounts = dict(scenario.accounts)
        self.account_names = {number: name for name, number in self.accounts.items()}
        self.assets: dict[str, tuple[int, int]] = {}  # number and parts of a unit, as listed
        self.client_orders: dict[str, int] = {}
        self.order_symbols: dict[tuple[int, int], str] = {}  # by account and client order id
        self.now_ns = 0  # the time that the next command will have

    def account(self, name: object) -> int:
        """The account's number; a new name gets the next free one."""
        text = self._text(name, "account")
        if text not in self.accounts:
            number = max(self.account_names, default=0) + 1
            self.accounts[text] = number
            self.account_names[number] = text
        return self.accounts[text]

    def account_name(self, number: int) -> str:
        return self.account_names.get(number, str(number))

    def symbol(self, name: object) -> SymbolPolicy:
        """The policy of a symbol of the file."""
        text = str(name)
        if text not in self.symbols:
            raise ScenarioError(f"unknown symbol {text}; known are {', '.join(self.symbols)}")
        return self.symbols[text]

    def symbol_name(self, number: int) -> str:
        """The file's name of a symbol; one that a raw step listed has none."""
        if number not in self.symbol_names:
            raise ScenarioError(f"symbol {number} has no name in this file; list it under symbols")
        return self.symbol_names[number]

    def units(self, name: object) -> SymbolUnits:
        return self.symbol(name).units

    def holding(self, key: str) -> tuple[int, str]:
        """``account.symbol`` or ``account.symbol.leg`` taken apart; account and symbol may have dots of their own."""
        key = key.removesuffix(LEG_ENDINGS[self.leg(key)])
        for symbol in sorted(self.symbols, key=len, reverse=True):
            if key.endswith("." + symbol):
                return self.account(key[: -len(symbol) - 1]), symbol
        raise ScenarioError(
            f"wanted account.symbol with a symbol of {', '.join(self.symbols)}, came {key}"
        )

    def leg(self, key: str) -> Leg:
        """The leg that ``account.symbol.leg`` ends with; net where it names none."""
        return next((leg for leg, end in LEG_ENDINGS.items() if end and key.endswith(end)), Leg.NET)

    def asset(self, name: object) -> tuple[int, int]:
        """Number and parts of a unit of a collateral asset that a step has listed."""
        text = self._text(name, "asset")
        if text not in self.assets:
            known = ", ".join(self.assets) or "none; an asset step lists one"
            raise ScenarioError(f"unknown asset {text}; known are {known}")
        return self.assets[text]

    def asset_holding(self, key: str) -> tuple[int, str]:
        """``account.asset`` taken apart."""
        account, _, asset = key.rpartition(".")
        self.asset(asset)
        return self.account(account), asset

    def fund(self, name: object) -> int:
        """The fund's number; a new name gets the next free one."""
        return self.funds.setdefault(self._text(name, "fund"), max(self.funds.values()) + 1)

    def fund_name(self, number: int) -> str:
        """The name of a fund; its number where it has none."""
        names = {fund: name for name, fund in self.funds.items()}
        return names.get(number, str(number))

    def client_order(self, value: object) -> int:
        """A number as it is; a text gets a number of its own."""
        if isinstance(value, Decimal):
            if value != int(value) or not 0 < value < TEXT_CLIENT_ORDER_IDS:
                raise ScenarioError(
                    f"client_order_id {value}: wanted 1 .. {TEXT_CLIENT_ORDER_IDS - 1}, or a text"
                )
            return int(value)
        text = self._text(value, "client_order_id")
        return self.client_orders.setdefault(text, TEXT_CLIENT_ORDER_IDS + len(self.client_orders))

    @staticmethod
    def _text(value: object, what: str) -> str:
        if not isinstance(value, str | Decimal):
            raise ScenarioError(f"wanted the name of {what}, came {value!r}")
        return str(value)


def one(command: Command) -> Planned:
    """A step of one command."""
    try:
        return Planned((encode_command(command),))
    except ValueError as error:
        raise ScenarioError(str(error)) from None


# ------------------------------------------------------------------------------------------------- values


def member(table: type[E], value: object, key: str) -> E:
    """A code by its name."""
    name = str(value).replace("-", "_").upper()
    if name not in table.__members__:
        known = ", ".join(member.lower() for member in table.__members__)
        raise ScenarioError(f"{key} is {value}; this exchange has {known}")
    return table[name]


def flag(body: Body, key: str) -> bool:
    """true or false; a key that is not there is false."""
    value = body.get(key, False)
    if not isinstance(value, bool):
        raise ScenarioError(f"{key} is {value}; wanted true or false")
    return value


def whole(value: object, key: str) -> int:
    """A whole number."""
    if not isinstance(value, Decimal) or value != int(value):
        raise ScenarioError(f"{key} is {value!r}; wanted a whole number")
    return int(value)
