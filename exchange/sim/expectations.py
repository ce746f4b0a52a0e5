"""What a scenario expects, compared exactly with what the engine shows.

Amounts, prices and quantities are compared as decimals in human units; a difference says what was wanted and what came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from exchange.errors import ScenarioError
from exchange.protocol.schema import PPM, MarginMode, OrderType, Side, SymbolState
from exchange.protocol.views import OrderView, SymbolView
from exchange.sim.expected_events import TOTALS
from exchange.sim.scenario_desk import Desk
from exchange.units import from_atoms, from_ppb, plain

Value: TypeAlias = Any
Reader: TypeAlias = Callable[[Desk, str], Value]


def check_expectation(body: Mapping[str, Any], desk: Desk) -> list[str]:
    """The differences between what is expected and what is there, one line each; ScenarioError for a wrong key."""
    differences: list[str] = []
    for key, wanted in body.items():
        if key == "note":
            continue
        if key in TOTALS:
            differences.extend(_compare(key, wanted, TOTALS[key](desk)))
        elif key in READERS:
            if not isinstance(wanted, Mapping):
                raise ScenarioError(f"{key}: wanted names and values in braces, came {wanted!r}")
            for name, value in wanted.items():
                differences.extend(
                    _compare(f"{key} of {name}", value, READERS[key](desk, str(name)))
                )
        else:
            known = ", ".join([*READERS, *TOTALS, "note"])
            raise ScenarioError(f"unknown expectation {key}; known are {known}")
    desk.recent.clear()
    return differences


def _compare(what: str, wanted: Value, came: Value) -> list[str]:
    if _same(wanted, came):
        return []
    return [f"{what}: wanted {show(wanted)}, came {show(came)}"]


def _same(wanted: Value, came: Value) -> bool:
    if wanted is None or came is None:
        return wanted == came or (
            wanted == 0 and came is None
        )  # 0 where there is none reads well too
    if isinstance(wanted, list | tuple) and isinstance(came, list | tuple):
        return len(wanted) == len(came) and all(map(_same, wanted, came))
    if isinstance(came, bool) or isinstance(wanted, bool):
        return wanted is came
    if isinstance(came, str):
        return str(wanted) == came  # an account or symbol may be named by a number
    return bool(wanted == came)


def show(value: Value) -> str:
    """A value as the scenario would write it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(show, value))}]"
    return f"{plain(value):f}" if isinstance(value, Decimal) else str(value)


# --------------------------------------------------------------------------------- by account and symbol


def _atoms_of(field: str) -> Reader:
    def read(desk: Desk, key: str) -> Value:
        account, symbol = desk.names.holding(key)
        view = desk.position(account, desk.names.symbol(symbol).symbol, desk.names.leg(key))
        return from_atoms(getattr(view, field)) if view else Decimal(0)

    return read


def _auto_margin(desk: Desk, key: str) -> Value:
    """Whether the wallet adds margin by itself."""
    account, symbol = desk.names.holding(key)
    view = desk.position(account, desk.names.symbol(symbol).symbol, desk.names.leg(key))
    return view.auto_margin if view else False


def _position(desk: Desk, key: str) -> Value:
    account, symbol = desk.names.holding(key)
    view = desk.position(account, desk.names.symbol(symbol).symbol, desk.names.leg(key))
    return desk.names.units(symbol).lots_to_qty(view.position_lots) if view else Decimal(0)


def _shown_price(field: str) -> Reader:
    """A price of a position; none where the view has 0."""

    def read(desk: Desk, key: str) -> Value:
        account, symbol = desk.names.holding(key)
        view = desk.position(account, desk.names.symbol(symbol).symbol, desk.names.leg(key))
        ticks = getattr(view, field) if view else 0
        return desk.names.units(symbol).ticks_to_price(ticks) if ticks else None

    return read


def _adl_place(desk: Desk, key: str) -> Value:
    """[place in the queue, of how many, fifth] of a position (ADL-04); null where there is none."""
    account, symbol = desk.names.holding(key)
    view = desk.position(account, desk.names.symbol(symbol).symbol)
    if view is None or not view.adl_place:
        return None
    return [Decimal(number) for number in (view.adl_place, view.adl_candidates, view.adl_fifth)]


def _realised(desk: Desk, key: str) -> Value:
    account, symbol = desk.names.holding(key)
    return from_atoms(desk.realised.get((account, desk.names.symbol(symbol).symbol), 0))


def _mode(desk: Desk, key: str) -> Value:
    account, symbol = desk.names.holding(key)
    view = desk.position(account, desk.names.symbol(symbol).symbol, desk.names.leg(key))
    return MarginMode(view.margin_mode if view else MarginMode.CROSS).name.lower()


def _open_orders(desk: Desk, key: str) -> Value:
    return Decimal(len(_orders_of(desk, key)))


def _orders_of(desk: Desk, key: str) -> list[OrderView]:
    """All live orders of account, symbol and leg, those that rest and those that wait."""
    account, symbol = desk.names.holding(key)
    place = (desk.names.symbol(symbol).symbol, desk.names.leg(key))
    return [o for o in desk.engine.open_orders(account) if (o.symbol, o.leg) == place]


def _orders(desk: Desk, key: str) -> Value:
    """[side, open quantity, limit] of each order that rests."""
    units = desk.names.units(desk.names.holding(key)[1])
    return [
        [
            Side(order.side).name.lower(),
            units.lots_to_qty(order.open_lots),
            units.ticks_to_price(order.price_ticks),
        ]
        for order in _orders_of(desk, key)
        if not order.waiting
    ]


def _waiting(desk: Desk, key: str) -> Value:
    """[side, type, quantity, trigger] of each order that waits; a trailing stop's trigger as things stand."""
    units = desk.names.units(desk.names.holding(key)[1])
    return [
        [
            Side(order.side).name.lower(),
            OrderType(order.order_type).name.lower(),
            units.lots_to_qty(order.open_lots),
            units.ticks_to_price(goes_off_at(order)) if goes_off_at(order) else None,
        ]
        for order in _orders_of(desk, key)
        if order.waiting
    ]


def goes_off_at(order: OrderView) -> int:
    """The price that sets a waiting order off (MATCH-10); 0: an exit that trails and is not armed."""
    if order.order_type != OrderType.TRAILING_STOP:
        return order.trigger_ticks
    if not order.best_ticks:
        return 0
    distance = order.callback_ticks or -(-order.best_ticks * order.callback_ppm // PPM)
    return order.best_ticks + (distance if order.side == Side.BUY else -distance)


def _shown(desk: Desk, key: str) -> Value:
    """[side, shown quantity, limit] of each iceberg in the book."""
    units = desk.names.units(desk.names.holding(key)[1])
    return [
        [
            Side(order.side).name.lower(),
            units.lots_to_qty(order.shown_lots),
            units.ticks_to_price(order.price_ticks),
        ]
        for order in _orders_of(desk, key)
        if order.shown_lots
    ]


# ---------------------------------------------------------------------------------------- by account


def _account_atoms(field: str) -> Reader:
    return lambda desk, key: from_atoms(
        getattr(desk.engine.account(desk.names.account(key)), field)
    )


def _assets(desk: Desk, key: str) -> Value:
    """Units that an account holds of a collateral asset."""
    account, asset = desk.names.asset_holding(key)
    number, parts = desk.names.asset(asset)
    held = {view.asset: view.parts for view in desk.engine.collateral(account)}
    return Decimal(held.get(number, 0)) / parts


def _cash(desk: Desk, key: str) -> Value:
    account = desk.names.account(key)
    view = desk.engine.account(account)
    entries = sum(position.entry_value_atoms for position in desk.engine.positions(account))
    return from_atoms(view.wallet_atoms + view.isolated_margin_atoms - entries)


def _liquidating(desk: Desk, key: str) -> Value:
    """Of an account: whether its cross pool or any isolated pool is; of account.symbol: whether that pool is."""
    if any(key.endswith("." + symbol) for symbol in desk.names.symbols):
        account, symbol = desk.names.holding(key)
        view = desk.position(account, desk.names.symbol(symbol).symbol, desk.names.leg(key))
        return view.liquidating if view else False
    account = desk.names.account(key)
    return desk.engine.account(account).liquidating or any(desk.isolated_flags(account))


# ---------------------------------------------------------------------------------- by symbol and fund


def _best(desk: Desk, key: str) -> Value:
    policy = desk.names.symbol(key)
    book = desk.engine.book(policy.symbol, 1)
    tops = [levels[0].price_ticks if levels else None for levels in (book.bids, book.asks)]
    return [None if ticks is None else policy.units.ticks_to_price(ticks) for ticks in tops]


def _symbol_view(desk: Desk, key: str) -> SymbolView:
    number = desk.names.symbol(key).symbol
    return next(view for view in desk.engine.symbols() if view.symbol == number)


def _price_of(field: str) -> Reader:
    """A price of a symbol; null where there is none yet."""

    def read(desk: Desk, key: str) -> Value:
        ticks = getattr(_symbol_view(desk, key), field)
        return desk.names.units(key).ticks_to_price(ticks) if ticks else None

    return read


def _prices(desk: Desk, key: str) -> Value:
    """[source, price] of each price from outside; source 0 is the index."""
    to_price = desk.names.units(key).ticks_to_price
    return [[p.source, to_price(p.price_ticks)] for p in _symbol_view(desk, key).prices]


def _funding(desk: Desk, key: str) -> Value:
    """[samples, average premium, rate, seconds of the next settlement] of the interval so far; null: by hand."""
    view = _symbol_view(desk, key).funding
    if view is None:
        return None
    rates = map(from_ppb, (view.premium_ppb, view.rate_ppb))
    return [Decimal(view.samples), *rates, Decimal(view.next_funding_ns).scaleb(-9)]


def _state(desk: Desk, key: str) -> Value:
    return SymbolState(_symbol_view(desk, key).state).name.lower()


def _open_interest(desk: Desk, key: str) -> Value:
    return desk.names.units(key).lots_to_qty(_symbol_view(desk, key).open_interest_lots)


def _countdown(desk: Desk, key: str) -> Value:
    """Seconds since the start of the story; null for none."""
    ns = desk.engine.account(desk.names.account(key)).countdown_ns
    return Decimal(ns).scaleb(-9) if ns else None


def _levels(desk: Desk, key: str) -> Value:
    policy = desk.names.symbol(key)
    book = desk.engine.book(policy.symbol)
    return [
        [
            [
                policy.units.ticks_to_price(level.price_ticks),
                policy.units.lots_to_qty(level.qty_lots),
            ]
            for level in levels
        ]
        for levels in (book.bids, book.asks)
    ]


READERS: dict[str, Reader] = {
    "positions": _position,
    "isolated_margin": _atoms_of("margin_atoms"),
    "isolated_equity": _atoms_of("equity_atoms"),
    "isolated_maintenance": _atoms_of("maintenance_atoms"),
    "unrealised": _atoms_of("unrealised_atoms"),
    "realised": _realised,
    "order_margin": _atoms_of("order_margin_atoms"),
    "position_margin": _atoms_of("initial_margin_atoms"),
    "position_maintenance": _atoms_of("maintenance_atoms"),
    "entry_value": _atoms_of("entry_value_atoms"),
    "adl_places": _adl_place,
    "liquidation_price": _shown_price("liquidation_price_ticks"),
    "bankruptcy_price": _shown_price("bankruptcy_price_ticks"),
    "auto_margin": _auto_margin,
    "removable": _atoms_of("removable_atoms"),
    "mode": _mode,
    "open_orders": _open_orders,
    "orders": _orders,
    "waiting": _waiting,
    "shown": _shown,
    "wallets": _account_atoms("wallet_atoms"),
    "cash": _cash,
    "equity": _account_atoms("equity_atoms"),
    "maintenance": _account_atoms("maintenance_atoms"),
    "initial_margin": _account_atoms("initial_margin_atoms"),
    "available": _account_atoms("available_atoms"),
    "withdrawable": _account_atoms("withdrawable_atoms"),
    "collateral": _account_atoms("collateral_atoms"),
    "assets": _assets,
    "liquidating": _liquidating,
    "countdowns": _countdown,
    "stp_groups": lambda desk, key: Decimal(desk.engine.account(desk.names.account(key)).stp_group),
    "best": _best,
    "marks": _price_of("mark_ticks"),
    "last": _price_of("last_ticks"),
    "prices": _prices,
    "held": lambda desk, key: _symbol_view(desk, key).mark_held,
    "funding": _funding,
    "states": _state,
    "open_interest": _open_interest,
    "levels": _levels,
    "funds": lambda desk, key: from_atoms(desk.engine.fund(desk.names.fund(key))),
}
