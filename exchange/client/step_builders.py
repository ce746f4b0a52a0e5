"""Steps of a preview other than orders: what sync and asyncio clients build without asking anybody."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Unpack

from exchange.client.asks import Changes, SymbolLike
from exchange.client.order_builders import OrderBuilders
from exchange.client.requests import Ask, Question
from exchange.protocol.messages import Command, PlaceOrder
from exchange.protocol.schema import ListMode, MarginMode, Side
from exchange.units import Number, to_decimal


def command_of(ask: Ask[Any]) -> Command:
    """The one command of an ask, which is then not asked."""
    (command,) = ask.messages
    assert not isinstance(command, Question), command
    return command


class StepBuilders(OrderBuilders):
    """The steps of a client, for ``preview``; also good for ``send``, but for the mark."""

    def mark_step(self, symbol: SymbolLike, price: Number) -> Command:
        """What if the mark were there?"""
        return command_of(self._ask.set_mark(symbol, price))

    def deposit_step(self, amount: Number) -> Command:
        """Money comes in."""
        return command_of(self._ask.deposit(amount))

    def withdraw_step(self, amount: Number) -> Command:
        """Money goes out."""
        return command_of(self._ask.withdraw(amount))

    def margin_mode_step(
        self, symbol: SymbolLike, mode: MarginMode | str, leverage: Number | None = None
    ) -> Command:
        """Cross or isolated; without a leverage the rate stays as it is."""
        return command_of(self._ask.set_margin_mode(symbol, mode, leverage))

    def isolated_margin_step(self, symbol: SymbolLike, change: Number) -> Command:
        """Money is moved into the pool of an isolated position; negative: out of it."""
        return command_of(self._ask.change_isolated_margin(symbol, to_decimal("change", change)))

    def amend_step(
        self,
        symbol: SymbolLike,
        order_id: int = 0,
        *,
        client_order_id: int = 0,
        **changes: Unpack[Changes],
    ) -> Command:
        """A new price, total quantity, display, expiry, trigger or distance."""
        return command_of(self._ask.amend(symbol, order_id, client_order_id, changes))

    def cancel_step(self, order_id: int = 0, *, client_order_id: int = 0) -> Command:
        """An order goes."""
        return command_of(self._ask.cancel(order_id, client_order_id=client_order_id))

    def cancel_all_step(
        self, symbol: SymbolLike | None = None, side: Side | str | None = None
    ) -> Command:
        """All orders go, or those of a symbol and a side."""
        return command_of(self._ask.cancel_all(symbol, side))

    def orders_step(self, orders: Iterable[PlaceOrder], mode: ListMode = ListMode.EACH) -> Command:
        """Several orders in one command (MATCH-14)."""
        return command_of(self._ask.place_orders(orders, mode))
