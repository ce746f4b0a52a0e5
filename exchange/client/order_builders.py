"""Orders to be placed later, together or in lists: what sync and asyncio clients build without asking anybody."""

from __future__ import annotations

from typing import Unpack

from exchange.client.asks import Asks, OrderOptions, SymbolLike
from exchange.protocol.messages import PlaceOrder
from exchange.protocol.schema import Side
from exchange.units import Number


class OrderBuilders:
    """The orders of a client, for ``place``, ``place_many``, ``place_orders`` and the linked lists."""

    _ask: Asks

    def limit_order(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number,
        price: Number,
        **options: Unpack[OrderOptions],
    ) -> PlaceOrder:
        """A limit order."""
        return self._ask.limit_order(symbol, side, quantity, price, **options)

    def market_order(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number,
        **options: Unpack[OrderOptions],
    ) -> PlaceOrder:
        """A market order."""
        return self._ask.market_order(symbol, side, quantity, **options)

    def stop_order(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number | None,
        trigger: Number,
        price: Number | None = None,
        **options: Unpack[OrderOptions],
    ) -> PlaceOrder:
        """Waits until the mark (or last trade) reaches the trigger on the losing side."""
        return self._ask.stop_order(symbol, side, quantity, trigger, price, **options)

    def take_profit_order(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number | None,
        trigger: Number,
        price: Number | None = None,
        **options: Unpack[OrderOptions],
    ) -> PlaceOrder:
        """Waits until the mark (or last trade) reaches the trigger on the winning side."""
        return self._ask.take_profit_order(symbol, side, quantity, trigger, price, **options)

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
        """A stop that follows the best price at a distance, or at a share of that price."""
        return self._ask.trailing_stop_order(
            symbol, side, quantity, callback=callback, callback_rate=callback_rate, **options
        )
