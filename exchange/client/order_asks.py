"""What a client asks of orders: every type, lists and links, amendments and cancellations.  Shared, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar, Unpack

import msgspec

from exchange.client.order_options import (
    FLAGS,
    Changes,
    Listed,
    OrderOptions,
    SymbolLike,
    SymbolNotListed,
    changed_fields,
    entry_of,
    expiry_ns,
    to_code,
)
from exchange.client.reading import ask_many, events_of
from exchange.client.requests import Ask, ask_one
from exchange.client.results import (
    CancelResult,
    CommandResult,
    ListResult,
    OrderResult,
    cancel_result,
    command_result,
    list_result,
    order_result,
)
from exchange.errors import Rejected, UnitsError
from exchange.protocol import messages
from exchange.protocol.messages import AmendOrder, Command, PlaceOrder, PlaceOrders
from exchange.protocol.schema import (
    Leg,
    ListMode,
    OrderType,
    SelfTradePrevention,
    Side,
    TimeInForce,
    TriggerBy,
)
from exchange.protocol.views import SymbolView
from exchange.units import Number, SymbolUnits, to_decimal, to_ppm

C = TypeVar("C", bound=Command)


class OrderAsks:
    """Builds asks about orders for one account.  ``symbols`` is what the node has listed, as last heard."""

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
        ticks = listed.units.price_to_ticks(price)
        return self._order(listed, side, quantity, OrderType.LIMIT, options, price_ticks=ticks)

    def market_order(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number,
        **options: Unpack[OrderOptions],
    ) -> PlaceOrder:
        return self._order(self.listed(symbol), side, quantity, OrderType.MARKET, options)

    def stop_order(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number | None,
        trigger: Number,
        price: Number | None = None,
        **options: Unpack[OrderOptions],
    ) -> PlaceOrder:
        kinds = (OrderType.STOP_MARKET, OrderType.STOP_LIMIT)
        return self._triggered(kinds, symbol, side, quantity, trigger, price, options)

    def take_profit_order(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number | None,
        trigger: Number,
        price: Number | None = None,
        **options: Unpack[OrderOptions],
    ) -> PlaceOrder:
        kinds = (OrderType.TAKE_PROFIT_MARKET, OrderType.TAKE_PROFIT_LIMIT)
        return self._triggered(kinds, symbol, side, quantity, trigger, price, options)

    def _triggered(
        self,
        kinds: tuple[OrderType, OrderType],
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number | None,
        trigger: Number,
        price: Number | None,
        options: OrderOptions,
    ) -> PlaceOrder:
        """The first of the kinds becomes a market order; with a price it is the second."""
        listed = self.listed(symbol)
        fields = {"trigger_ticks": listed.units.price_to_ticks(trigger)}
        if price is not None:
            fields["price_ticks"] = listed.units.price_to_ticks(price)
        kind = kinds[price is not None]
        return self._order(listed, side, quantity, kind, options, **fields)

    def trailing_stop_order(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number | None,
        *,
        callback: Number | None = None,
        callback_rate: Number | None = None,
        **options: Unpack[OrderOptions],
    ) -> PlaceOrder:
        listed = self.listed(symbol)
        fields = {}
        if callback is not None:
            fields["callback_ticks"] = listed.units.price_to_ticks(callback)
        if callback_rate is not None:
            fields["callback_ppm"] = to_ppm(callback_rate)
        return self._order(listed, side, quantity, OrderType.TRAILING_STOP, options, **fields)

    def _order(
        self,
        listed: Listed,
        side: Side | str,
        quantity: Number | None,
        order_type: OrderType,
        options: OrderOptions,
        **fields: int,
    ) -> PlaceOrder:
        if "worst_price" in options:
            fields["price_ticks"] = listed.units.price_to_ticks(options["worst_price"])
        if "display" in options:
            fields["display_lots"] = listed.units.qty_to_lots(options["display"])
        if "expires" in options:
            fields["expires_ns"] = expiry_ns(options["expires"])
        flags = 0
        for name, bits in FLAGS.items():
            flags |= bits if options.get(name) else 0
        default = TimeInForce.IOC
        if order_type in (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT):
            default = TimeInForce.GTD if "expires" in options else TimeInForce.GTC
        self_trade = options.get("self_trade", SelfTradePrevention.CANCEL_TAKER)
        return PlaceOrder(
            account=self.account,
            symbol=listed.view.symbol,
            side=to_code(Side, side),
            order_type=order_type,
            time_in_force=to_code(TimeInForce, options.get("time_in_force", default)),
            self_trade=to_code(SelfTradePrevention, self_trade),
            flags=flags,
            qty_lots=0 if quantity is None else listed.units.qty_to_lots(quantity),
            client_order_id=options.get("client_order_id", 0),
            trigger_by=to_code(TriggerBy, options.get("trigger_by", TriggerBy.MARK)),
            leg=to_code(Leg, options.get("leg", Leg.NET)),
            **fields,
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

    def stop(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number | None,
        trigger: Number,
        price: Number | None = None,
        **options: Unpack[OrderOptions],
    ) -> Ask[OrderResult]:
        return self.place(self.stop_order(symbol, side, quantity, trigger, price, **options))

    def take_profit(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number | None,
        trigger: Number,
        price: Number | None = None,
        **options: Unpack[OrderOptions],
    ) -> Ask[OrderResult]:
        return self.place(self.take_profit_order(symbol, side, quantity, trigger, price, **options))

    def trailing_stop(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number | None,
        callback: Number | None,
        callback_rate: Number | None,
        options: OrderOptions,
    ) -> Ask[OrderResult]:
        return self.place(
            self.trailing_stop_order(
                symbol, side, quantity, callback=callback, callback_rate=callback_rate, **options
            )
        )

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

    def place_orders(self, orders: Iterable[PlaceOrder], mode: ListMode) -> Ask[ListResult]:
        entries = tuple(map(entry_of, orders))
        command = PlaceOrders(account=self.account, list_mode=mode, orders=entries)
        units = [self.listed(entry.symbol).units for entry in entries]
        return ask_one(command, lambda reply: list_result(command, events_of(reply), units))

    # ---- what comes after

    def amend(
        self,
        symbol: SymbolLike,
        order_id: int,
        client_order_id: int,
        changes: Changes,
    ) -> Ask[OrderResult]:
        listed = self.listed(symbol)
        command = AmendOrder(
            account=self.account,
            order_id=order_id,
            client_order_id=client_order_id,
            **changed_fields(changes, listed.units),
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

    def set_countdown(self, timeout_s: Number) -> Ask[CommandResult]:
        """All orders go when the time is up, unless it is set again; 0 takes it back."""
        timeout_ms = to_decimal("timeout_s", timeout_s) * 1000
        if timeout_ms != int(timeout_ms):
            raise UnitsError(f"timeout_s {timeout_s} is not a whole number of milliseconds")
        return self.command(messages.SetCountdown(timeout_ms=int(timeout_ms)))

    def command(self, command: Command) -> Ask[CommandResult]:
        """Any command, in integers; its account is this client's unless it names another."""
        command = self._own(command)
        return ask_one(command, lambda reply: command_result(command, events_of(reply)))

    def _own(self, command: C) -> C:
        if command.account or not self.account:
            return command
        return msgspec.structs.replace(command, account=self.account)
