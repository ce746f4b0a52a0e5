"""What came of a command: typed results, made of the events of its reply."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

import msgspec

from exchange.client.requests import Events
from exchange.errors import Rejected
from exchange.protocol.messages import (
    Accepted,
    AmendOrder,
    Command,
    EntryAccepted,
    EntryRejected,
    Event,
    Fill,
    OrderAmended,
    OrderCancelled,
    OrderReduced,
    OrderRested,
    OrderTriggered,
    OrderWaiting,
    PlaceOrder,
    PlaceOrders,
)
from exchange.protocol.messages import Rejected as RejectedEvent
from exchange.protocol.schema import CancelReason
from exchange.units import SymbolUnits


class OrderStatus(StrEnum):
    """Where an order stands after the command."""

    RESTING = "resting"  # in the book, perhaps after fills
    WAITING = "waiting"  # for its trigger
    FILLED = "filled"  # nothing is left
    CANCELLED = "cancelled"  # what was left is gone; cancel_reason says why
    REPEATED = (
        "repeated"  # it was accepted before, under the same client order id: nothing happened now
    )


class OrderResult(msgspec.Struct, frozen=True, kw_only=True):
    """An order after it was placed or amended: what it traded at once, and where the rest is."""

    account: int
    symbol: int
    order_id: int
    client_order_id: int
    sequence: int
    timestamp_ns: int
    status: OrderStatus
    open_lots: int  # still in the book, or waiting; 0 if nothing of it was told
    filled_lots: int  # by this command
    cancel_reason: CancelReason | None
    fills: tuple[Fill, ...]  # of this order, by this command
    events: tuple[Event, ...]  # the whole reply; of an order of a list what follows its own result
    filled_quantity: Decimal
    average_price: Decimal | None  # of the fills; None without any


class CommandResult(msgspec.Struct, frozen=True, kw_only=True):
    """A command that was carried out, and all events of the account that it caused."""

    sequence: int
    timestamp_ns: int
    events: tuple[Event, ...]


class CancelResult(CommandResult, frozen=True, kw_only=True):
    """What a cancel took out of the book."""

    cancelled: tuple[OrderCancelled, ...]


class ListResult(CommandResult, frozen=True, kw_only=True):
    """The orders of a list, each with its own result; one that was refused is a rejection (returned, not raised)."""

    entries: tuple[OrderResult | Rejected, ...]

    @property
    def order_ids(self) -> list[int]:
        """The ids of those that were accepted."""
        return [entry.order_id for entry in self.entries if isinstance(entry, OrderResult)]


def accepted_of(command: Command, reply: Events) -> Accepted:
    """The result event of a command; raises Rejected, or the class of its reason, if it was refused."""
    result = reply[0]
    if isinstance(result, RejectedEvent):
        raise Rejected.of(result.reason, describe(command))
    assert isinstance(result, Accepted), (
        f"a reply starts with accepted or rejected, this one with {result}"
    )
    return result


def describe(command: Command) -> str:
    """A command as one reads it: its name and the fields that say something."""
    fields = ", ".join(
        f"{name}={len(value) if isinstance(value, tuple) else value}"
        for name in command.__struct_fields__
        if name not in ("sequence", "timestamp_ns") and (value := getattr(command, name)) != 0
    )
    return f"{type(command).__name__}({fields})"


def command_result(command: Command, reply: Events) -> CommandResult:
    accepted = accepted_of(command, reply)
    return CommandResult(
        sequence=accepted.sequence, timestamp_ns=accepted.timestamp_ns, events=tuple(reply)
    )


def cancel_result(command: Command, reply: Events) -> CancelResult:
    accepted = accepted_of(command, reply)
    cancelled = tuple(event for event in reply if isinstance(event, OrderCancelled))
    return CancelResult(
        sequence=accepted.sequence,
        timestamp_ns=accepted.timestamp_ns,
        events=tuple(reply),
        cancelled=cancelled,
    )


def order_result(
    command: PlaceOrder | AmendOrder, reply: Events, symbol: int, units: SymbolUnits
) -> OrderResult:
    """One order through the events of its reply."""
    accepted = accepted_of(command, reply)
    untold = OrderStatus.REPEATED if isinstance(command, PlaceOrder) else OrderStatus.RESTING
    return follow(accepted, accepted, reply, symbol, units, untold)


def list_result(command: PlaceOrders, reply: Events, units: Sequence[SymbolUnits]) -> ListResult:
    """Every order of a list through the events of their reply."""
    accepted = accepted_of(command, reply)
    entries: list[OrderResult | Rejected] = []
    for position, event in enumerate(reply):
        if isinstance(event, EntryAccepted):
            symbol, steps = command.orders[event.index].symbol, units[event.index]
            # What follows it: a repeat must not be told what the order that it repeats did before.
            rest = reply[position:]
            entries.append(follow(accepted, event, rest, symbol, steps, OrderStatus.REPEATED))
        elif isinstance(event, EntryRejected):
            about = f"entry {event.index} of {describe(command)}"
            entries.append(Rejected.of(event.reason, about))
    return ListResult(
        sequence=accepted.sequence,
        timestamp_ns=accepted.timestamp_ns,
        events=tuple(reply),
        entries=tuple(entries),
    )


def follow(
    accepted: Accepted,
    result: Accepted | EntryAccepted,
    reply: Events,
    symbol: int,
    units: SymbolUnits,
    untold: OrderStatus,
) -> OrderResult:
    """Follows one order through events of a reply; ``untold``: where it is if none of them speaks of it."""
    status, open_lots, reason = untold, 0, None
    fills: list[Fill] = []
    for event in reply:
        match event:
            case Fill(order_id=result.order_id):
                # As the taker; or as a maker too, where the order rested and a liquidation then took it.
                fills.append(event)
                open_lots = event.open_lots
                is_resting = status is OrderStatus.RESTING and open_lots > 0
                status = status if is_resting else OrderStatus.FILLED
            case OrderReduced(order_id=result.order_id):
                open_lots = event.open_lots
            case OrderRested(order_id=result.order_id):
                open_lots, status = event.open_lots, OrderStatus.RESTING
            case OrderWaiting(order_id=result.order_id):
                open_lots, status = event.open_lots, OrderStatus.WAITING
            case OrderTriggered(order_id=result.order_id):
                open_lots, status = event.open_lots, OrderStatus.FILLED
            case OrderAmended(order_id=result.order_id):
                open_lots = event.open_lots
                status = OrderStatus.RESTING if event.kept_priority else OrderStatus.FILLED
            case OrderCancelled(order_id=result.order_id):
                open_lots, reason = 0, CancelReason(event.reason)
                status = OrderStatus.CANCELLED
    filled_lots = sum(fill.qty_lots for fill in fills)
    return OrderResult(
        account=accepted.account,
        symbol=symbol,
        order_id=result.order_id,
        client_order_id=result.client_order_id,
        sequence=accepted.sequence,
        timestamp_ns=accepted.timestamp_ns,
        status=status,
        open_lots=open_lots,
        filled_lots=filled_lots,
        cancel_reason=reason,
        fills=tuple(fills),
        events=tuple(reply),
        filled_quantity=units.lots_to_qty(filled_lots),
        average_price=average_price(fills, filled_lots, units),
    )


def average_price(fills: list[Fill], filled_lots: int, units: SymbolUnits) -> Decimal | None:
    if not filled_lots:
        return None
    return (
        units.ticks_to_price(1)
        * sum(fill.price_ticks * fill.qty_lots for fill in fills)
        / filled_lots
    )
