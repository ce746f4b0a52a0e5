"""One command a call, for whoever drives an engine in one process: the record is made and stamped here."""

from __future__ import annotations

from abc import ABC, abstractmethod

from exchange.protocol.messages import AmendOrder, CancelOrder, Command, PlaceOrder
from exchange.protocol.records import encode_command, stamp


class SingleCalls(ABC):
    """What an engine offers beside batches; see `exchange.engine.Engine`."""

    sequence: int

    @abstractmethod
    def apply(self, commands: bytes) -> bytes:
        """Carries out a batch of command records; gives the records of their events."""

    def _apply_one(self, command: Command, timestamp_ns: int) -> bytes:
        return self.apply(stamp(encode_command(command), self.sequence + 1, timestamp_ns))

    def place_order(
        self,
        account: int,
        symbol: int,
        side: int,
        qty_lots: int,
        price_ticks: int = 0,
        order_type: int = 0,
        time_in_force: int = 0,
        flags: int = 0,
        client_order_id: int = 0,
        self_trade: int = 0,
        timestamp_ns: int = 0,
    ) -> bytes:
        """Applies one order as the next command; returns the event records."""
        order = PlaceOrder(
            account=account,
            symbol=symbol,
            side=side,
            qty_lots=qty_lots,
            price_ticks=price_ticks,
            order_type=order_type,
            time_in_force=time_in_force,
            flags=flags,
            client_order_id=client_order_id,
            self_trade=self_trade,
        )
        return self._apply_one(order, timestamp_ns)

    def cancel_order(
        self, account: int, order_id: int, client_order_id: int = 0, timestamp_ns: int = 0
    ) -> bytes:
        """Applies one cancel as the next command; returns the event records."""
        cancel = CancelOrder(account=account, order_id=order_id, client_order_id=client_order_id)
        return self._apply_one(cancel, timestamp_ns)

    def amend_order(
        self,
        account: int,
        order_id: int,
        price_ticks: int = 0,
        qty_lots: int = 0,
        client_order_id: int = 0,
        timestamp_ns: int = 0,
    ) -> bytes:
        """Applies one change of price or quantity as the next command; returns the event records."""
        amend = AmendOrder(
            account=account,
            order_id=order_id,
            price_ticks=price_ticks,
            qty_lots=qty_lots,
            client_order_id=client_order_id,
        )
        return self._apply_one(amend, timestamp_ns)
