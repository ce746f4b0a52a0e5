"""What an order and an amendment can say in human words, and how it becomes ticks, lots and times.  No I/O."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypedDict, TypeVar

import msgspec

from exchange.errors import ExchangeError, UnitsError
from exchange.protocol.messages import OrderEntry, PlaceOrder
from exchange.protocol.schema import (
    AdlPolicy,
    Leg,
    MarginMode,
    OrderFlag,
    PositionMode,
    SelfTradePrevention,
    Side,
    SymbolState,
    TimeInForce,
    TriggerBy,
)
from exchange.protocol.views import SymbolView
from exchange.units import Number, SymbolUnits, to_ppm

SymbolLike = str | int  # name or number
#: When an order expires: a moment, or so long from now; an int is nanoseconds since the epoch.
Expiry = datetime | timedelta | int
E = TypeVar(
    "E",
    Side,
    TimeInForce,
    SelfTradePrevention,
    MarginMode,
    TriggerBy,
    SymbolState,
    Leg,
    PositionMode,
    AdlPolicy,
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SymbolNotListed(ExchangeError):
    """No listed symbol has this name or number."""


class OrderOptions(TypedDict, total=False):
    """What else an order can say."""

    time_in_force: TimeInForce | str  # "gtc" (limit), "ioc" (market), "fok", "gtd"
    expires: Expiry  # good till then
    post_only: bool
    slide: bool  # post-only, one tick beside the best opposite price where it would take
    reduce_only: bool
    leg: Leg | str  # in hedge mode "long" or "short"; an order against its leg only reduces it
    close_position: bool  # all there is when it goes off; then without a quantity
    display: Number  # an iceberg shows so much at a time
    worst_price: Number  # of a market type
    trigger_by: TriggerBy | str  # "mark", "last"
    self_trade: (
        SelfTradePrevention | str
    )  # "cancel_taker", "cancel_maker", "cancel_both", "decrement"
    client_order_id: int


class Changes(TypedDict, total=False):
    """What an amendment can change."""

    price: Number
    quantity: Number  # the total, what is filled included
    display: Number
    expires: Expiry
    trigger: Number
    callback: Number
    callback_rate: Number


FLAGS = {
    "post_only": OrderFlag.POST_ONLY,
    "reduce_only": OrderFlag.REDUCE_ONLY,
    "slide": OrderFlag.POST_ONLY | OrderFlag.SLIDE,
    "close_position": OrderFlag.CLOSE_POSITION,
}


class Listed(msgspec.Struct, frozen=True):
    """A listed symbol and its steps in decimals."""

    view: SymbolView
    units: SymbolUnits

    @property
    def mark(self) -> Decimal | None:
        """The mark price when this was asked for; None if there is none yet."""
        return self.units.ticks_to_price(self.view.mark_ticks) if self.view.mark_ticks else None


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


def expiry_ns(expires: Expiry) -> int:
    """Nanoseconds since the epoch.

    >>> expiry_ns(datetime(1970, 1, 1, 0, 1, tzinfo=UTC))
    60000000000
    """
    if isinstance(expires, datetime):
        if expires.tzinfo is None:
            raise UnitsError(f"expires {expires} has no time zone; wanted one, like datetime.UTC")
        return (expires - EPOCH) // timedelta(microseconds=1) * 1000
    if isinstance(expires, timedelta):
        return time.time_ns() + expires // timedelta(microseconds=1) * 1000
    return expires


ENTRY_FIELDS = OrderEntry.__struct_fields__


def entry_of(order: PlaceOrder) -> OrderEntry:
    """An order as an order of a list, which has the account of its list."""
    return OrderEntry(**{name: getattr(order, name) for name in ENTRY_FIELDS})


def changed_fields(changes: Changes, units: SymbolUnits) -> dict[str, int]:
    """The fields of an amendment; what is not named stays."""
    fields: dict[str, int] = {}
    if "price" in changes:
        fields["price_ticks"] = units.price_to_ticks(changes["price"])
    if "quantity" in changes:
        fields["qty_lots"] = units.qty_to_lots(changes["quantity"])
    if "display" in changes:
        fields["display_lots"] = units.qty_to_lots(changes["display"])
    if "expires" in changes:
        fields["expires_ns"] = expiry_ns(changes["expires"])
    if "trigger" in changes:
        fields["trigger_ticks"] = units.price_to_ticks(changes["trigger"])
    if "callback" in changes:
        fields["callback_ticks"] = units.price_to_ticks(changes["callback"])
    if "callback_rate" in changes:
        fields["callback_ppm"] = to_ppm(changes["callback_rate"])
    return fields
