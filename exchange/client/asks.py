"""What every method of a client asks of the node, and how its reply is read.  Shared by sync and asyncio, no I/O.

People write quantities, prices and amounts as decimals (``"0.25"``, ``Decimal``, int); here they become lots, ticks
and atoms, exactly or not at all.  Floats are refused: 0.1 is not a tenth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypedDict, TypeVar, Unpack

import msgspec

from exchange.client.core import Ask, Question, Reply, RequestRefused, ask_one
from exchange.client.results import (
    CancelResult,
    CommandResult,
    OrderResult,
    cancel_result,
    command_result,
    order_result,
)
from exchange.errors import ExchangeError, Rejected, UnitsError
from exchange.gateway.feed import BookSnapshot, OrdersSnapshot, Statistics
from exchange.protocol import messages
from exchange.protocol.messages import AmendOrder, Command, Fill, ListSymbol, PlaceOrder
from exchange.protocol.schema import (
    MarginMode,
    OrderFlag,
    OrderType,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from exchange.protocol.views import AccountView, OrderView, PositionView, SymbolView
from exchange.units import Number, SymbolUnits, leverage_to_ppm, to_atoms, to_decimal

SymbolLike = str | int  # name or number
V = TypeVar("V")
C = TypeVar("C", bound=Command)
E = TypeVar("E", Side, TimeInForce, SelfTradePrevention, MarginMode)
Q32 = 1 << 32


class SymbolNotListed(ExchangeError):
    """No listed symbol has this name or number."""


class OrderOptions(TypedDict, total=False):
    """What else an order can say."""

    time_in_force: TimeInForce | str  # "gtc" (limit), "ioc" (market), "fok"
    post_only: bool
    reduce_only: bool
    self_trade: (
        SelfTradePrevention | str
    )  # "cancel_taker", "cancel_maker", "cancel_both", "decrement"
    client_order_id: int


class Listed(msgspec.Struct, frozen=True):
    """A listed symbol and its steps in decimals."""

    view: SymbolView
    units: SymbolUnits

    @property
    def mark(self) -> Decimal | None:
        """The mark price when this was asked for; None if there is none yet."""
        return self.units.ticks_to_price(self.view.mark_ticks) if self.view.mark_ticks else None


class Funds(msgspec.Struct, frozen=True):
    """What the exchange itself holds."""

    funds: dict[int, int]  # number -> balance_atoms
    fees_atoms: int
    uncovered: bool


def to_code(kind: type[E], value: E | str | int) -> E:
    """A code by its name or number.

    >>> to_code(Side, "buy")
    <Side.BUY: 0>
    """
    try:
        return kind[value.upper()] if isinstance(value, str) else kind(value)
    except (KeyError, ValueError):
        names = ", ".join(repr(member.name.lower()) for member in kind)
        raise UnitsError(f"wanted one of {names} for {kind.__name__}, got {value!r}") from None


class Asks:
    """Builds asks for one account.  ``symbols`` is what the node has listed, as last heard."""

    def __init__(self, account: int = 0) -> None:
        self.account = account
        self.symbols: Mapping[str, Listed] = {}
        self._by_number: Mapping[int, Listed] = {}

    # ---- symbols

    def learn_symbols(self, views: Sequence[SymbolView]) -> None:
        scale = Decimal(10) ** 12
        listed = [
            Listed(v, SymbolUnits(v.tick_size_e12 / scale, v.lot_size_e12 / scale, v.name))
            for v in views
        ]
        self.symbols = {symbol.view.name: symbol for symbol in listed}
        self._by_number = {symbol.view.symbol: symbol for symbol in listed}

    def listed(self, symbol: SymbolLike) -> Listed:
        found = self.symbols.get(symbol) if isinstance(symbol, str) else self._by_number.get(symbol)
        if found is None:
            raise SymbolNotListed(
                f"symbol {symbol!r} is not listed; there are {', '.join(self.symbols) or 'none'}"
            )
        return found

    def number_of(self, symbol: SymbolLike) -> int:
        return symbol if isinstance(symbol, int) else self.listed(symbol).view.symbol

    # ---- orders

    def limit_order(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number,
        price: Number,
        **options: Unpack[OrderOptions],
    ) -> PlaceOrder:
        listed = self.listed(symbol)
        price_ticks = listed.units.price_to_ticks(price)
        return self._order(
            listed, side, quantity, OrderType.LIMIT, price_ticks, TimeInForce.GTC, options
        )

    def market_order(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number,
        **options: Unpack[OrderOptions],
    ) -> PlaceOrder:
        return self._order(
            self.listed(symbol), side, quantity, OrderType.MARKET, 0, TimeInForce.IOC, options
        )

    def _order(
        self,
        listed: Listed,
        side: Side | str,
        quantity: Number,
        order_type: OrderType,
        price_ticks: int,
        time_in_force: TimeInForce,
        options: OrderOptions,
    ) -> PlaceOrder:
        post_only, reduce_only = options.get("post_only"), options.get("reduce_only")
        flags = (OrderFlag.POST_ONLY if post_only else 0) + (
            OrderFlag.REDUCE_ONLY if reduce_only else 0
        )
        return PlaceOrder(
            account=self.account,
            symbol=listed.view.symbol,
            side=to_code(Side, side),
            order_type=order_type,
            time_in_force=to_code(TimeInForce, options.get("time_in_force", time_in_force)),
            self_trade=to_code(
                SelfTradePrevention, options.get("self_trade", SelfTradePrevention.CANCEL_TAKER)
            ),
            flags=flags,
            price_ticks=price_ticks,
            qty_lots=listed.units.qty_to_lots(quantity),
            client_order_id=options.get("client_order_id", 0),
        )

    def limit(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number,
        price: Number,
        **options: Unpack[OrderOptions],
    ) -> Ask[OrderResult]:
        return self.place(self.limit_order(symbol, side, quantity, price, **options))

    def market(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number,
        **options: Unpack[OrderOptions],
    ) -> Ask[OrderResult]:
        return self.place(self.market_order(symbol, side, quantity, **options))

    def place(self, order: PlaceOrder) -> Ask[OrderResult]:
        order = self._own(order)
        units = self.listed(order.symbol).units
        return ask_one(
            order, lambda reply: order_result(order, events_of(reply), order.symbol, units)
        )

    def place_many(self, orders: Iterable[PlaceOrder]) -> Ask[list[OrderResult | Rejected]]:
        return ask_many([self.place(order) for order in orders])

    def send_many(self, commands: Iterable[Command]) -> Ask[list[CommandResult | Rejected]]:
        return ask_many([self.command(command) for command in commands])

    def amend(
        self,
        symbol: SymbolLike,
        order_id: int = 0,
        *,
        client_order_id: int = 0,
        price: Number | None = None,
        quantity: Number | None = None,
    ) -> Ask[OrderResult]:
        listed = self.listed(symbol)
        command = AmendOrder(
            account=self.account,
            order_id=order_id,
            client_order_id=client_order_id,
            price_ticks=0 if price is None else listed.units.price_to_ticks(price),
            qty_lots=0 if quantity is None else listed.units.qty_to_lots(quantity),
        )
        return ask_one(
            command, lambda r: order_result(command, events_of(r), listed.view.symbol, listed.units)
        )

    def cancel(self, order_id: int = 0, *, client_order_id: int = 0) -> Ask[CancelResult]:
        command = messages.CancelOrder(
            account=self.account, order_id=order_id, client_order_id=client_order_id
        )
        return ask_one(command, lambda reply: cancel_result(command, events_of(reply)))

    def cancel_all(
        self, symbol: SymbolLike | None = None, side: Side | str | None = None
    ) -> Ask[CancelResult]:
        command = messages.CancelAll(
            account=self.account,
            symbol=0 if symbol is None else self.number_of(symbol),
            side=2 if side is None else to_code(Side, side),
        )
        return ask_one(command, lambda reply: cancel_result(command, events_of(reply)))

    # ---- money and margin

    def deposit(self, amount: Number) -> Ask[CommandResult]:
        return self.command(messages.Deposit(amount_atoms=to_atoms(amount)))

    def withdraw(self, amount: Number) -> Ask[CommandResult]:
        return self.command(messages.Withdraw(amount_atoms=to_atoms(amount)))

    def set_margin_mode(
        self, symbol: SymbolLike, mode: MarginMode | str, leverage: Number | None = None
    ) -> Ask[CommandResult]:
        return self.command(
            messages.SetMarginMode(
                symbol=self.number_of(symbol),
                margin_mode=to_code(MarginMode, mode),
                initial_margin_ppm=0 if leverage is None else leverage_to_ppm(leverage),
            )
        )

    def change_isolated_margin(self, symbol: SymbolLike, change: Decimal) -> Ask[CommandResult]:
        number = self.number_of(symbol)
        return self.command(
            messages.ChangeIsolatedMargin(symbol=number, change_atoms=to_atoms(change))
        )

    def command(self, command: Command) -> Ask[CommandResult]:
        """Any command, in integers; its account is this client's unless it names another."""
        command = self._own(command)
        return ask_one(command, lambda reply: command_result(command, events_of(reply)))

    def _own(self, command: C) -> C:
        if command.account or not self.account:
            return command
        return msgspec.structs.replace(command, account=self.account)

    # ---- questions

    def login(self, account: int) -> Ask[dict[str, Any]]:
        return ask_one(Question("login", {"account": account}), body_of)

    def ping(self) -> Ask[dict[str, Any]]:
        return ask_one(Question("ping", {}), body_of)

    def get_symbols(self) -> Ask[Sequence[SymbolView]]:
        return ask_one(
            Question("get_symbols", {}), lambda reply: views_of(reply, "symbols", list[SymbolView])
        )

    def get_account(self, account: int) -> Ask[AccountView]:
        return ask_one(
            Question("get_account", {"account": account}),
            lambda reply: views_of(reply, None, AccountView),
        )

    def get_positions(self, account: int) -> Ask[list[PositionView]]:
        question = Question("get_positions", {"account": account})
        return ask_one(question, lambda reply: views_of(reply, "positions", list[PositionView]))

    def get_open_orders(
        self, account: int, symbol: SymbolLike | None = None
    ) -> Ask[list[OrderView]]:
        number = 0 if symbol is None else self.number_of(symbol)
        question = Question("get_open_orders", {"account": account, "symbol": number})
        return ask_one(question, lambda reply: views_of(reply, "open_orders", list[OrderView]))

    def get_fills(self, account: int, limit: int) -> Ask[list[Fill]]:
        question = Question("get_fills", {"account": account, "limit": limit})
        return ask_one(question, lambda reply: views_of(reply, "fills", list[Fill]))

    def get_book(self, symbol: SymbolLike, depth: int = 0) -> Ask[BookSnapshot]:
        question = Question("get_book", {"symbol": self.number_of(symbol), "depth": depth})
        return ask_one(question, lambda reply: views_of(reply, None, BookSnapshot))

    def get_book_orders(self, symbol: SymbolLike) -> Ask[OrdersSnapshot]:
        question = Question("get_book_orders", {"symbol": self.number_of(symbol)})
        return ask_one(question, lambda reply: views_of(reply, None, OrdersSnapshot))

    def get_statistics(self, symbol: SymbolLike) -> Ask[Statistics]:
        question = Question("get_statistics", {"symbol": self.number_of(symbol)})
        return ask_one(question, lambda reply: views_of(reply, None, Statistics))

    def get_funds(self) -> Ask[Funds]:
        def read(reply: Reply) -> Funds:
            body = body_of(reply)
            return Funds(dict(body["funds"]), body["fees_atoms"], body["uncovered"])

        return ask_one(Question("get_funds", {}), read)

    # ---- the operator's

    def list_symbol(self, listing: ListSymbol) -> Ask[CommandResult]:
        return self.command(listing)

    def set_mark(self, symbol: SymbolLike, price: Number) -> Ask[CommandResult]:
        listed = self.listed(symbol)
        ticks = listed.units.price_to_ticks(price)
        return self.command(messages.SetMark(symbol=listed.view.symbol, price_ticks=ticks))

    def settle_funding(self, symbol: SymbolLike, per_unit: Number) -> Ask[CommandResult]:
        """Longs pay ``per_unit`` for each unit of the base asset; what is below 2^-32 atom a lot is rounded down."""
        listed = self.listed(symbol)
        per_lot = to_decimal("per_unit", per_unit) * listed.units.lot_size
        numerator, denominator = (per_lot * 10**8).as_integer_ratio()
        atoms, fraction = divmod(numerator * Q32 // denominator, Q32)
        return self.command(
            messages.SettleFunding(
                symbol=listed.view.symbol,
                payment_atoms_per_lot=atoms,
                payment_fraction_q32=fraction,
            )
        )

    def deposit_fund(self, fund: int, amount: Number) -> Ask[CommandResult]:
        return self.command(messages.DepositFund(fund=fund, amount_atoms=to_atoms(amount)))

    def advance_time(self) -> Ask[CommandResult]:
        return self.command(messages.AdvanceTime())

    def question(self, name: str) -> Ask[dict[str, Any]]:
        return ask_one(Question(name, {}), body_of)


# ------------------------------------------------------------------------------------- reading replies


def events_of(reply: Reply) -> list[Any]:
    if isinstance(reply, RequestRefused):
        raise reply
    assert isinstance(reply, list), f"a command is answered with events, this one with {reply!r}"
    return reply


def body_of(reply: Reply) -> dict[str, Any]:
    if isinstance(reply, RequestRefused):
        raise reply
    assert isinstance(reply, dict), f"a question is answered with a map, this one with {reply!r}"
    return reply


def views_of(reply: Reply, key: str | None, kind: type[V]) -> V:
    body = body_of(reply)
    return msgspec.convert(body if key is None else body[key], kind)


def ask_many(asks: Sequence[Ask[V]]) -> Ask[list[V | Rejected]]:
    """Many asks of one command each, sent together; a rejection is a result like others."""

    def read(replies: list[Any]) -> list[V | Rejected]:
        results: list[V | Rejected] = []
        for ask, reply in zip(asks, replies, strict=True):
            try:
                results.append(ask.read([reply]))
            except Rejected as rejected:
                results.append(rejected)
        return results

    return Ask([ask.messages[0] for ask in asks], read)
