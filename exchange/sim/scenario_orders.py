"""The steps of a scenario that speak of orders: place, list, amend, cancel, countdown."""

from __future__ import annotations

from typing import Any

from exchange.errors import ScenarioError
from exchange.protocol.messages import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    OrderEntry,
    PlaceOrder,
    PlaceOrders,
    SetCountdown,
)
from exchange.protocol.records import encode_command
from exchange.protocol.schema import (
    Leg,
    ListMode,
    OrderFlag,
    OrderType,
    SelfTradePrevention,
    Side,
    TimeInForce,
    TriggerBy,
)
from exchange.sim.scenario_file import parse_duration_ns, parse_time_ns, require_keys
from exchange.sim.scenario_names import (
    Body,
    Names,
    Planned,
    flag,
    member,
    one,
    whole,
)
from exchange.units import SymbolUnits, to_ppm

LIMIT_TYPES = (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT)
ENTRY_KEYS = (
    "leg",
    "quantity",
    "price",
    "type",
    "time_in_force",
    "expires",
    "post_only",
    "slide",
    "reduce_only",
    "close_position",
    "display",
    "trigger",
    "trigger_by",
    "callback",
    "callback_rate",
    "self_trade",
    "client_order_id",
)
FLAG_KEYS = {
    "post_only": OrderFlag.POST_ONLY,
    "reduce_only": OrderFlag.REDUCE_ONLY,
    "slide": OrderFlag.SLIDE,
    "close_position": OrderFlag.CLOSE_POSITION,
}


def plan_order(body: Body, names: Names) -> Planned:
    """One order."""
    require_keys(body, ("account", "symbol", "side"), (*ENTRY_KEYS, "reject"))
    account = names.account(body["account"])
    return one(PlaceOrder(account=account, **order_fields(body, names, account)))


def plan_orders(body: Body, names: Names) -> Planned:
    """A list of orders in one command; each has the keys of an order, but for the account."""
    require_keys(body, ("account", "orders"), ("mode", "reject"))
    entries = body["orders"]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ScenarioError(
            "orders: wanted a list of orders like [{symbol: BTC, side: buy, ...}, ...]"
        )
    account = names.account(body["account"])
    orders = []
    for entry in entries:
        keys = {str(key): value for key, value in entry.items()}
        require_keys(keys, ("symbol", "side"), ENTRY_KEYS)
        orders.append(OrderEntry(**order_fields(keys, names, account)))
    return one(
        PlaceOrders(
            account=account,
            list_mode=member(ListMode, body.get("mode", "each"), "mode"),
            orders=tuple(orders),
        )
    )


def order_fields(body: Body, names: Names, account: int) -> dict[str, Any]:
    """The order that the keys describe, in the fields of the table."""
    order_type = member(OrderType, body.get("type", "limit"), "type")
    if order_type in LIMIT_TYPES and "price" not in body:
        raise ScenarioError(f"a {order_type.name.lower().replace('_', '-')} order needs a price")
    if "quantity" not in body and not flag(body, "close_position"):
        raise ScenarioError("the key quantity is missing; only close_position goes without")
    units = names.units(body["symbol"])
    client = 0 if "client_order_id" not in body else names.client_order(body["client_order_id"])
    names.order_symbols[account, client] = str(body["symbol"])
    return dict(
        symbol=names.symbol(body["symbol"]).symbol,
        side=member(Side, body["side"], "side"),
        order_type=order_type,
        time_in_force=member(
            TimeInForce, body.get("time_in_force", default_time(order_type, body)), "time_in_force"
        ),
        self_trade=member(
            SelfTradePrevention, body.get("self_trade", "cancel_taker"), "self_trade"
        ),
        flags=sum(bit for key, bit in FLAG_KEYS.items() if flag(body, key)),
        qty_lots=units.qty_to_lots(body.get("quantity", 0)),
        client_order_id=client,
        trigger_by=member(TriggerBy, body.get("trigger_by", "mark"), "trigger_by"),
        leg=leg_of(body),
        **changeable_fields(body, units, names.now_ns),
    )


def leg_of(body: Body) -> int:
    """The leg that a step is about: long or short in hedge mode (ACCT-08)."""
    return member(Leg, body.get("leg", "net"), "leg")


def default_time(order_type: OrderType, body: Body) -> str:
    """What an order says that does not name its time in force."""
    if order_type not in LIMIT_TYPES:
        return "ioc"
    return "gtd" if "expires" in body else "gtc"


def changeable_fields(body: Body, units: SymbolUnits, now_ns: int) -> dict[str, Any]:
    """The fields that an order and an amendment write alike; a key that is not there is 0."""
    fields: dict[str, Any] = {
        name: units.price_to_ticks(body[key])
        for key, name in (
            ("price", "price_ticks"),
            ("trigger", "trigger_ticks"),
            ("callback", "callback_ticks"),
        )
        if key in body
    }
    if "display" in body:
        fields["display_lots"] = units.qty_to_lots(body["display"])
    if "expires" in body:
        fields["expires_ns"] = parse_time_ns(body["expires"], now_ns)
    if "callback_rate" in body:
        fields["callback_ppm"] = to_ppm(body["callback_rate"])
    return fields


def plan_trade(body: Body, names: Names) -> Planned:
    """Two orders that meet."""
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


AMEND_KEYS = (
    "price",
    "quantity",
    "display",
    "expires",
    "trigger",
    "callback",
    "callback_rate",
)


def plan_amend(body: Body, names: Names) -> Planned:
    """New fields of one order; what is not named stays."""
    require_keys(
        body, ("account",), ("client_order_id", "order_id", "symbol", *AMEND_KEYS, "reject")
    )
    order_id, client = order_name(body, names)
    account = names.account(body["account"])
    # An amend names an order, not a symbol: the order tells which steps its numbers have.
    symbol = body.get("symbol", names.order_symbols.get((account, client)))
    if symbol is None and len(names.symbols) != 1:
        raise ScenarioError("this order was not placed by client_order_id; name its symbol here")
    units = names.units(next(iter(names.symbols)) if symbol is None else symbol)
    return one(
        AmendOrder(
            account=account,
            order_id=order_id,
            client_order_id=client,
            qty_lots=units.qty_to_lots(body["quantity"]) if "quantity" in body else 0,
            **changeable_fields(body, units, names.now_ns),
        )
    )


def plan_cancel(body: Body, names: Names) -> Planned:
    """One order goes."""
    require_keys(body, ("account",), ("client_order_id", "order_id", "symbol", "reject"))
    order_id, client = order_name(body, names)
    return one(
        CancelOrder(
            account=names.account(body["account"]), order_id=order_id, client_order_id=client
        )
    )


def order_name(body: Body, names: Names) -> tuple[int, int]:
    """(order id, client order id), one of them 0."""
    if ("client_order_id" in body) == ("order_id" in body):
        raise ScenarioError(
            "an order is named by client_order_id or by order_id; wanted one of the two"
        )
    if "order_id" in body:
        return whole(body["order_id"], "order_id"), 0
    return 0, names.client_order(body["client_order_id"])


def plan_cancel_all(body: Body, names: Names) -> Planned:
    """All of an account's orders go, or those of one symbol or side."""
    require_keys(body, ("account",), ("symbol", "side", "reject"))
    return one(
        CancelAll(
            account=names.account(body["account"]),
            symbol=names.symbol(body["symbol"]).symbol if "symbol" in body else 0,
            side=member(Side, body["side"], "side") if "side" in body else 2,
        )
    )


def plan_countdown(body: Body, names: Names) -> Planned:
    """All of an account's orders go when the time is up, unless it is set again; ``never`` takes it back."""
    require_keys(body, ("account", "timeout"), ("reject",))
    timeout_ns = 0 if body["timeout"] == "never" else parse_duration_ns(body["timeout"])
    if timeout_ns % 10**6:
        raise ScenarioError(f"the timeout {body['timeout']} is not a whole number of milliseconds")
    return one(SetCountdown(account=names.account(body["account"]), timeout_ms=timeout_ns // 10**6))
