"""What a scenario expects, compared exactly with what the engine shows.

Amounts, prices and quantities are compared as decimals in human units; a difference says what was wanted and what came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from exchange.engine import Engine
from exchange.errors import ScenarioError
from exchange.protocol.messages import (
    DeficitUncovered,
    Event,
    Fill,
    LiquidationOrder,
    OrderCancelled,
)
from exchange.protocol.schema import (
    MESSAGE_BY_NUMBER,
    CancelReason,
    FillRole,
    MarginMode,
    Side,
)
from exchange.protocol.views import PositionView
from exchange.sim.scenario_steps import Names
from exchange.units import from_atoms, plain

Value: TypeAlias = Any
Reader: TypeAlias = Callable[["Desk", str], Value]


class Desk:
    """What expectations are read from: the engine, the names, and the events since the last expectation."""

    def __init__(self, engine: Engine, names: Names) -> None:
        self.engine = engine
        self.names = names
        self.realised: dict[tuple[int, int], int] = {}  # by account and symbol, since the start
        self.recent: list[Event] = []

    def watch(self, events: list[Event]) -> None:
        """Takes note of the events of a step."""
        for event in events:
            if isinstance(event, Fill):
                key = (event.account, event.symbol)
                self.realised[key] = self.realised.get(key, 0) + event.realised_atoms
        self.recent.extend(events)

    def position(self, account: int, symbol: int) -> PositionView | None:
        """The engine's picture of account and symbol; None where there is nothing."""
        views = self.engine.positions(account)
        return next((view for view in views if view.symbol == symbol), None)

    def isolated_flags(self, account: int) -> list[bool]:
        views = self.engine.positions(account)
        return [view.liquidating for view in views if view.margin_mode == MarginMode.ISOLATED]


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
        view = desk.position(account, desk.names.symbol(symbol).symbol)
        return from_atoms(getattr(view, field)) if view else Decimal(0)

    return read


def _position(desk: Desk, key: str) -> Value:
    account, symbol = desk.names.holding(key)
    view = desk.position(account, desk.names.symbol(symbol).symbol)
    return desk.names.units(symbol).lots_to_qty(view.position_lots) if view else Decimal(0)


def _liquidation_price(desk: Desk, key: str) -> Value:
    account, symbol = desk.names.holding(key)
    view = desk.position(account, desk.names.symbol(symbol).symbol)
    if view is None or view.liquidation_price_ticks == 0:
        return None
    return desk.names.units(symbol).ticks_to_price(view.liquidation_price_ticks)


def _realised(desk: Desk, key: str) -> Value:
    account, symbol = desk.names.holding(key)
    return from_atoms(desk.realised.get((account, desk.names.symbol(symbol).symbol), 0))


def _mode(desk: Desk, key: str) -> Value:
    account, symbol = desk.names.holding(key)
    view = desk.position(account, desk.names.symbol(symbol).symbol)
    return MarginMode(view.margin_mode if view else MarginMode.CROSS).name.lower()


def _open_orders(desk: Desk, key: str) -> Value:
    return Decimal(len(_orders(desk, key)))


def _orders(desk: Desk, key: str) -> Value:
    account, symbol = desk.names.holding(key)
    policy = desk.names.symbol(symbol)
    return [
        [
            Side(order.side).name.lower(),
            policy.units.lots_to_qty(order.open_lots),
            policy.units.ticks_to_price(order.price_ticks),
        ]
        for order in desk.engine.open_orders(account)
        if order.symbol == policy.symbol
    ]


# ---------------------------------------------------------------------------------------- by account


def _account_atoms(field: str) -> Reader:
    return lambda desk, key: from_atoms(
        getattr(desk.engine.account(desk.names.account(key)), field)
    )


def _cash(desk: Desk, key: str) -> Value:
    account = desk.names.account(key)
    view = desk.engine.account(account)
    entries = sum(position.entry_value_atoms for position in desk.engine.positions(account))
    return from_atoms(view.wallet_atoms + view.isolated_margin_atoms - entries)


def _liquidating(desk: Desk, key: str) -> Value:
    """Of an account: whether its cross pool or any isolated pool is; of account.symbol: whether that pool is."""
    if any(key.endswith("." + symbol) for symbol in desk.names.symbols):
        account, symbol = desk.names.holding(key)
        view = desk.position(account, desk.names.symbol(symbol).symbol)
        return view.liquidating if view else False
    account = desk.names.account(key)
    return desk.engine.account(account).liquidating or any(desk.isolated_flags(account))


# ---------------------------------------------------------------------------------- by symbol and fund


def _best(desk: Desk, key: str) -> Value:
    policy = desk.names.symbol(key)
    book = desk.engine.book(policy.symbol, 1)
    tops = [levels[0].price_ticks if levels else None for levels in (book.bids, book.asks)]
    return [None if ticks is None else policy.units.ticks_to_price(ticks) for ticks in tops]


def _mark(desk: Desk, key: str) -> Value:
    policy = desk.names.symbol(key)
    view = next(view for view in desk.engine.symbols() if view.symbol == policy.symbol)
    return policy.units.ticks_to_price(view.mark_ticks) if view.mark_ticks else None


def _open_interest(desk: Desk, key: str) -> Value:
    policy = desk.names.symbol(key)
    view = next(view for view in desk.engine.symbols() if view.symbol == policy.symbol)
    return policy.units.lots_to_qty(view.open_interest_lots)


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
    "liquidation_price": _liquidation_price,
    "mode": _mode,
    "open_orders": _open_orders,
    "orders": _orders,
    "wallets": _account_atoms("wallet_atoms"),
    "cash": _cash,
    "equity": _account_atoms("equity_atoms"),
    "maintenance": _account_atoms("maintenance_atoms"),
    "initial_margin": _account_atoms("initial_margin_atoms"),
    "available": _account_atoms("available_atoms"),
    "withdrawable": _account_atoms("withdrawable_atoms"),
    "liquidating": _liquidating,
    "best": _best,
    "marks": _mark,
    "open_interest": _open_interest,
    "levels": _levels,
    "funds": lambda desk, key: from_atoms(desk.engine.fund(desk.names.fund(key))),
}

# --------------------------------------------------------------------------------- since the last expect


def _trades(desk: Desk) -> Value:
    """[buyer, seller, symbol, quantity, price] of each trade in the book."""
    trades = []
    fills = [event for event in desk.recent if isinstance(event, Fill) and event.price_ticks > 0]
    for maker, other in zip(fills[::2], fills[1::2], strict=True):
        buyer, seller = (maker, other) if maker.side == Side.BUY else (other, maker)
        symbol = desk.names.symbol_name(maker.symbol)
        units = desk.names.units(symbol)
        trades.append(
            [
                desk.names.account_name(buyer.account),
                desk.names.account_name(seller.account),
                symbol,
                units.lots_to_qty(maker.qty_lots),
                units.ticks_to_price(maker.price_ticks),
            ]
        )
    return trades


def _deleveraged(desk: Desk) -> Value:
    """[liquidated account, counterparty, symbol, quantity, value] of each auto-deleveraging."""
    parts = []
    fills = [event for event in desk.recent if isinstance(event, Fill) and event.price_ticks == 0]
    for loser, winner in zip(fills[::2], fills[1::2], strict=True):
        assert (loser.role, winner.role) == (FillRole.DELEVERAGED, FillRole.ADL_COUNTERPARTY)
        symbol = desk.names.symbol_name(loser.symbol)
        parts.append(
            [
                desk.names.account_name(loser.account),
                desk.names.account_name(winner.account),
                symbol,
                desk.names.units(symbol).lots_to_qty(loser.qty_lots),
                from_atoms(loser.value_atoms),
            ]
        )
    return parts


def _cancelled(desk: Desk) -> Value:
    """[account, symbol, side, quantity, reason] of each order that left without being filled."""
    return [
        [
            desk.names.account_name(event.account),
            desk.names.symbol_name(event.symbol),
            Side(event.side).name.lower(),
            desk.names.units(desk.names.symbol_name(event.symbol)).lots_to_qty(event.open_lots),
            CancelReason(event.reason).name.lower(),
        ]
        for event in desk.recent
        if isinstance(event, OrderCancelled)
    ]


def _liquidation_orders(desk: Desk) -> Value:
    """[account, symbol, side, quantity, limit] of each order that the engine sent for a pool."""
    orders = []
    for event in desk.recent:
        if isinstance(event, LiquidationOrder):
            symbol = desk.names.symbol_name(event.symbol)
            units = desk.names.units(symbol)
            orders.append(
                [
                    desk.names.account_name(event.account),
                    symbol,
                    Side(event.side).name.lower(),
                    units.lots_to_qty(event.qty_lots),
                    units.ticks_to_price(event.price_ticks),
                ]
            )
    return orders


def _uncovered_pools(desk: Desk) -> Value:
    """[account, symbol, position left, shortfall] of each deficit that nobody covers."""
    return [
        [
            desk.names.account_name(event.account),
            desk.names.symbol_name(event.symbol),
            desk.names.units(desk.names.symbol_name(event.symbol)).lots_to_qty(
                event.remaining_lots
            ),
            from_atoms(event.shortfall_atoms),
        ]
        for event in desk.recent
        if isinstance(event, DeficitUncovered)
    ]


TOTALS: dict[str, Callable[[Desk], Value]] = {
    "fees": lambda desk: from_atoms(desk.engine.fees_atoms()),
    "withdrawals_stopped": lambda desk: desk.engine.uncovered(),
    "trades": _trades,
    "deleveraged": _deleveraged,
    "cancelled": _cancelled,
    "liquidation_orders": _liquidation_orders,
    "deficits": _uncovered_pools,
    "digest": lambda desk: desk.engine.digest(),
    "events": lambda desk: [MESSAGE_BY_NUMBER[event.number].name for event in desk.recent],
}
