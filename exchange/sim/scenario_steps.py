"""The steps of a scenario as commands: names to numbers, decimals to ticks, lots and atoms.

One function per kind of step turns its keys into commands; the runner then sends them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any, TypeAlias, TypeVar

import msgspec

from exchange.errors import ScenarioError, UnitsError
from exchange.protocol.messages import (
    COMMAND_CLASSES,
    AdvanceTime,
    AmendOrder,
    CancelAll,
    CancelOrder,
    ChangeIsolatedMargin,
    Command,
    Deposit,
    DepositFund,
    PlaceOrder,
    SetMarginMode,
    SetMark,
    SettleFunding,
    Withdraw,
)
from exchange.protocol.records import encode_command
from exchange.protocol.schema import (
    ASSET_DECIMALS,
    COMMAND_BY_NAME,
    MarginMode,
    OrderFlag,
    OrderType,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from exchange.risk.policy import SymbolPolicy
from exchange.sim.scenario_file import Scenario, require_keys
from exchange.units import SymbolUnits, leverage_to_ppm, to_atoms, to_decimal, to_ppm

#: Texts as client order ids get numbers from here on; numbers stand for themselves.
TEXT_CLIENT_ORDER_IDS = 1 << 40
NS = {
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86400 * 10**9,
}
E = TypeVar("E", bound=IntEnum)


class Names:
    """Numbers of accounts, symbols, funds and client orders by the names that a scenario gives them."""

    def __init__(self, scenario: Scenario) -> None:
        self.symbols: dict[str, SymbolPolicy] = scenario.symbols
        self.symbol_names = {policy.symbol: name for name, policy in scenario.symbols.items()}
        self.funds = dict(scenario.funds)
        self.accounts = dict(scenario.accounts)
        self.account_names = {number: name for name, number in self.accounts.items()}
        self.client_orders: dict[str, int] = {}
        self.order_symbols: dict[tuple[int, int], str] = {}  # by account and client order id

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
        """``account.symbol`` taken apart; either may have dots of its own."""
        for symbol in sorted(self.symbols, key=len, reverse=True):
            if key.endswith("." + symbol):
                return self.account(key[: -len(symbol) - 1]), symbol
        raise ScenarioError(
            f"wanted account.symbol with a symbol of {', '.join(self.symbols)}, came {key}"
        )

    def fund(self, name: object) -> int:
        """The fund's number; a new name gets the next free one."""
        return self.funds.setdefault(self._text(name, "fund"), max(self.funds.values()) + 1)

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


class Planned(msgspec.Struct, frozen=True):
    """What a step sends: records, without sequence and time, and how far time goes on before them."""

    records: tuple[bytes, ...]
    advance_ns: int = 0


Body: TypeAlias = Mapping[str, Any]
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


def plan_fund(body: Body, names: Names) -> Planned:
    require_keys(body, ("name", "amount"), ("reject",))
    return _one(DepositFund(fund=names.fund(body["name"]), amount_atoms=to_atoms(body["amount"])))


def plan_deposit(body: Body, names: Names) -> Planned:
    require_keys(body, ("account", "amount"), ("reject",))
    return _one(
        Deposit(account=names.account(body["account"]), amount_atoms=to_atoms(body["amount"]))
    )


def plan_withdraw(body: Body, names: Names) -> Planned:
    require_keys(body, ("account", "amount"), ("reject",))
    return _one(
        Withdraw(account=names.account(body["account"]), amount_atoms=to_atoms(body["amount"]))
    )


def plan_mark(body: Body, names: Names) -> Planned:
    require_keys(body, ("symbol", "price"), ("reject",))
    policy = names.symbol(body["symbol"])
    return _one(
        SetMark(symbol=policy.symbol, price_ticks=policy.units.price_to_ticks(body["price"]))
    )


ORDER_KEYS = (
    "price",
    "type",
    "time_in_force",
    "post_only",
    "reduce_only",
    "self_trade",
    "client_order_id",
    "reject",
)


def plan_order(body: Body, names: Names) -> Planned:
    require_keys(body, ("account", "symbol", "side", "quantity"), ORDER_KEYS)
    order_type = _member(OrderType, body.get("type", "limit"), "type")
    if order_type is OrderType.LIMIT and "price" not in body:
        raise ScenarioError("a limit order needs a price")
    default = "ioc" if order_type is OrderType.MARKET else "gtc"
    policy = names.symbol(body["symbol"])
    flags = OrderFlag.POST_ONLY * _flag(body, "post_only") + OrderFlag.REDUCE_ONLY * _flag(
        body, "reduce_only"
    )
    account = names.account(body["account"])
    client = 0 if "client_order_id" not in body else names.client_order(body["client_order_id"])
    names.order_symbols[account, client] = str(body["symbol"])
    return _one(
        PlaceOrder(
            account=account,
            symbol=policy.symbol,
            side=_member(Side, body["side"], "side"),
            order_type=order_type,
            time_in_force=_member(TimeInForce, body.get("time_in_force", default), "time_in_force"),
            self_trade=_member(
                SelfTradePrevention, body.get("self_trade", "cancel_taker"), "self_trade"
            ),
            flags=flags,
            price_ticks=policy.units.price_to_ticks(body["price"]) if "price" in body else 0,
            qty_lots=policy.units.qty_to_lots(body["quantity"]),
            client_order_id=client,
        )
    )


def plan_trade(body: Body, names: Names) -> Planned:
    require_keys(body, ("buyer", "seller", "symbol", "quantity", "price"))
    policy = names.symbol(body["symbol"])
    price_ticks = policy.units.price_to_ticks(body["price"])
    qty_lots = policy.units.qty_to_lots(body["quantity"])
    sell, buy = (
        PlaceOrder(
            account=names.account(body[who]),
            symbol=policy.symbol,
            side=side,
            price_ticks=price_ticks,
            qty_lots=qty_lots,
        )
        for who, side in (("seller", Side.SELL), ("buyer", Side.BUY))
    )
    return Planned((encode_command(sell), encode_command(buy)))


def plan_amend(body: Body, names: Names) -> Planned:
    require_keys(
        body, ("account",), ("client_order_id", "order_id", "symbol", "price", "quantity", "reject")
    )
    order_id, client = _order_name(body, names)
    account = names.account(body["account"])
    # An amend names an order, not a symbol: the order tells which steps its numbers have.
    symbol = body.get("symbol", names.order_symbols.get((account, client)))
    if symbol is None and len(names.symbols) != 1:
        raise ScenarioError("this order was not placed by client_order_id; name its symbol here")
    units = names.units(next(iter(names.symbols)) if symbol is None else symbol)
    return _one(
        AmendOrder(
            account=account,
            order_id=order_id,
            client_order_id=client,
            price_ticks=units.price_to_ticks(body["price"]) if "price" in body else 0,
            qty_lots=units.qty_to_lots(body["quantity"]) if "quantity" in body else 0,
        )
    )


def plan_cancel(body: Body, names: Names) -> Planned:
    require_keys(body, ("account",), ("client_order_id", "order_id", "symbol", "reject"))
    order_id, client = _order_name(body, names)
    return _one(
        CancelOrder(
            account=names.account(body["account"]), order_id=order_id, client_order_id=client
        )
    )


def _order_name(body: Body, names: Names) -> tuple[int, int]:
    if ("client_order_id" in body) == ("order_id" in body):
        raise ScenarioError(
            "an order is named by client_order_id or by order_id; wanted one of the two"
        )
    if "order_id" in body:
        return _whole(body["order_id"], "order_id"), 0
    return 0, names.client_order(body["client_order_id"])


def plan_cancel_all(body: Body, names: Names) -> Planned:
    require_keys(body, ("account",), ("symbol", "side", "reject"))
    return _one(
        CancelAll(
            account=names.account(body["account"]),
            symbol=names.symbol(body["symbol"]).symbol if "symbol" in body else 0,
            side=_member(Side, body["side"], "side") if "side" in body else 2,
        )
    )


def plan_margin_mode(body: Body, names: Names) -> Planned:
    require_keys(body, ("account", "symbol", "mode"), ("initial_margin", "leverage", "reject"))
    if "initial_margin" in body and "leverage" in body:
        raise ScenarioError("wanted initial_margin or leverage, came both")
    rate = 0
    if "initial_margin" in body:
        rate = to_ppm(body["initial_margin"])
    elif "leverage" in body:
        rate = leverage_to_ppm(body["leverage"])
    return _one(
        SetMarginMode(
            account=names.account(body["account"]),
            symbol=names.symbol(body["symbol"]).symbol,
            margin_mode=_member(MarginMode, body["mode"], "mode"),
            initial_margin_ppm=rate,
        )
    )


def plan_isolated_margin(body: Body, names: Names) -> Planned:
    require_keys(body, ("account", "symbol", "change"), ("reject",))
    return _one(
        ChangeIsolatedMargin(
            account=names.account(body["account"]),
            symbol=names.symbol(body["symbol"]).symbol,
            change_atoms=to_atoms(body["change"]),
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
    return _one(
        SettleFunding(
            symbol=policy.symbol, payment_atoms_per_lot=atoms, payment_fraction_q32=fraction
        )
    )


def plan_time(body: Body, names: Names) -> Planned:
    require_keys(body, ("advance",))
    return Planned((encode_command(AdvanceTime()),), parse_duration_ns(body["advance"]))


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
        return _one(struct(**values))
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
        return tuple(tuple(_whole(number, key) for number in row) for row in value)
    return _whole(value, key)


PLANNERS: dict[str, Planner] = {
    "fund": plan_fund,
    "deposit": plan_deposit,
    "withdraw": plan_withdraw,
    "mark": plan_mark,
    "order": plan_order,
    "trade": plan_trade,
    "amend": plan_amend,
    "cancel": plan_cancel,
    "cancel_all": plan_cancel_all,
    "margin_mode": plan_margin_mode,
    "isolated_margin": plan_isolated_margin,
    "funding": plan_funding,
    "time": plan_time,
    "raw": plan_raw,
}


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


def _one(command: Command) -> Planned:
    try:
        return Planned((encode_command(command),))
    except ValueError as error:
        raise ScenarioError(str(error)) from None


def _member(table: type[E], value: object, key: str) -> E:
    name = str(value).replace("-", "_").upper()
    if name not in table.__members__:
        known = ", ".join(member.lower() for member in table.__members__)
        raise ScenarioError(f"{key} is {value}; this exchange has {known}")
    return table[name]


def _flag(body: Body, key: str) -> bool:
    value = body.get(key, False)
    if not isinstance(value, bool):
        raise ScenarioError(f"{key} is {value}; wanted true or false")
    return value


def _whole(value: object, key: str) -> int:
    if not isinstance(value, Decimal) or value != int(value):
        raise ScenarioError(f"{key} is {value!r}; wanted a whole number")
    return int(value)
