"""Orders as the auditor knows them: what they asked for, those that rest, and those that wait for a trigger."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exchange.protocol.schema import ORDER_FIELDS, OrderFlag, OrderType, Side

if TYPE_CHECKING:
    from exchange.audit.state import Holding


class Placed(NamedTuple):
    """What an order asked for and its events do not tell; in the order of the table."""

    symbol: int
    side: int
    order_type: int
    time_in_force: int
    self_trade: int
    flags: int
    price_ticks: int
    qty_lots: int
    client_order_id: int
    display_lots: int
    expires_ns: int
    trigger_ticks: int
    callback_ticks: int
    callback_ppm: int
    trigger_by: int
    leg: int = 0

    @property
    def waits(self) -> bool:
        return self.order_type not in (OrderType.LIMIT, OrderType.MARKET)

    @property
    def content(self) -> tuple[int, ...]:
        """What a repeat has to say again (MATCH-08)."""
        return (
            self.symbol,
            self.leg,
            self.side,
            self.order_type,
            self.price_ticks,
            self.qty_lots,
            self.trigger_ticks,
        )


assert Placed._fields == tuple(field.name for field in ORDER_FIELDS)


class Order:
    """A resting order."""

    __slots__ = (
        "account",
        "client_order_id",
        "flags",
        "holding",
        "open_lots",
        "order_id",
        "price",
        "shown",
        "side",
        "turn",
    )

    def __init__(
        self,
        holding: Holding,
        side: int,
        order_id: int,
        client_order_id: int,
        price: int,
        flags: int,
    ) -> None:
        self.holding = holding
        self.account = holding.account
        self.side = side
        self.order_id = order_id
        self.client_order_id = client_order_id
        self.price = price
        self.flags = flags
        self.open_lots = 0
        self.shown = 0  # what stands in the queue: of an iceberg its slice, else all
        self.turn = 0  # rises with each order that joins the back of a level

    @property
    def reduce_only(self) -> bool:
        return bool(self.flags & OrderFlag.REDUCE_ONLY)

    @property
    def iceberg(self) -> bool:
        return bool(self.flags & OrderFlag.ICEBERG)


class Waiting:
    """An order that waits for its trigger."""

    __slots__ = (
        "account",
        "armed",
        "best",
        "client_order_id",
        "flags",
        "holding",
        "joined",
        "open_lots",
        "order_id",
        "order_type",
        "price",
        "side",
        "trigger",
        "trigger_by",
    )

    def __init__(
        self,
        holding: Holding,
        side: int,
        order_id: int,
        client_order_id: int,
        order_type: int,
        trigger_by: int,
        flags: int,
    ) -> None:
        self.holding = holding
        self.account = holding.account
        self.side = side
        self.order_id = order_id
        self.client_order_id = client_order_id
        self.order_type = order_type
        self.trigger_by = trigger_by
        self.flags = flags
        self.trigger = self.price = self.open_lots = 0
        self.armed = True  # an exit only when its entry has filled
        self.best = 0  # trailing: the best price that it watched; 0: it has not begun to
        self.joined: tuple[int, int] | None = (
            None  # (watched, trigger) when its trigger was reached
        )

    @property
    def closes(self) -> bool:
        """Whether it only reduces a position."""
        return bool(self.flags & (OrderFlag.REDUCE_ONLY | OrderFlag.CLOSE_POSITION))

    @property
    def trails(self) -> bool:
        return self.order_type == OrderType.TRAILING_STOP

    @property
    def rises(self) -> bool:
        """Whether a rising price sets it off (MATCH-10)."""
        is_profit = self.order_type in (OrderType.TAKE_PROFIT_MARKET, OrderType.TAKE_PROFIT_LIMIT)
        return (self.side == Side.BUY) != is_profit

    def is_reached(self, watched: int, trigger: int) -> bool:
        return watched >= trigger if self.rises else watched <= trigger
