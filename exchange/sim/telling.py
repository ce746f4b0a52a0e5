"""One event as one line, in the names and decimals of a scenario: what the listings of the docs are made of."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import msgspec

from exchange.protocol.messages import Event
from exchange.protocol.schema import (
    MESSAGE_BY_NUMBER,
    CancelReason,
    FillRole,
    OrderFlag,
    OrderPlace,
    OrderType,
    RejectReason,
    Side,
    SymbolState,
    TriggerBy,
)
from exchange.sim.scenario_names import Names

NAME_WIDTH = 20


def tell(event: Event, names: Names) -> str:
    """The event's name and what it says, without what a reader of the story knows already."""
    name = MESSAGE_BY_NUMBER[event.number].name
    prose = TELLERS.get(name, tell_fields)(event, names)
    return f"{name:<{NAME_WIDTH}} {prose}".rstrip()


# The tellers read the fields of their own event; which event it is stands in the table below.


def tell_accepted(event: Any, names: Names) -> str:
    return f"order {event.order_id}" if event.order_id else ""


def tell_rejected(event: Any, names: Names) -> str:
    return code(RejectReason, event.reason)


def tell_entry_accepted(event: Any, names: Names) -> str:
    return f"entry {event.index} is order {event.order_id}"


def tell_entry_rejected(event: Any, names: Names) -> str:
    return f"entry {event.index}: {code(RejectReason, event.reason)}"


def tell_rested(event: Any, names: Names) -> str:
    return (
        f"{order(event, names)} {lots(event, names, event.open_lots)} "
        f"at {price(event, names, event.price_ticks)}{flags(event)}"
    )


def tell_waiting(event: Any, names: Names) -> str:
    closes = event.flags & OrderFlag.CLOSE_POSITION
    quantity = "all there is" if closes else lots(event, names, event.open_lots)
    limit = f", limit {price(event, names, event.price_ticks)}" if event.price_ticks else ""
    return (
        f"{order(event, names)} {quantity}, {code(OrderType, event.order_type)}, "
        f"at {code(TriggerBy, event.trigger_by)} {price(event, names, event.trigger_ticks)}"
        f"{limit}{flags(event)}"
    )


def tell_triggered(event: Any, names: Names) -> str:
    return (
        f"{order(event, names)} {lots(event, names, event.open_lots)}; "
        f"{price(event, names, event.watched_ticks)} reached {price(event, names, event.trigger_ticks)}"
    )


def tell_shown(event: Any, names: Names) -> str:
    how = "a new slice, at the back" if event.refreshed else "the same slice, smaller"
    return f"order {event.order_id}: {lots(event, names, event.shown_lots)} shown, {how}"


GONE = {
    OrderPlace.TAKER: "not in the book yet",
    OrderPlace.BOOK: "from the book",
    OrderPlace.WAITING: "while it waits",
}


def tell_cancelled(event: Any, names: Names) -> str:
    return (
        f"{order(event, names)} {lots(event, names, event.open_lots)} no more: "
        f"{code(CancelReason, event.reason)}, {GONE[OrderPlace(event.place)]}"
    )


def tell_amended(event: Any, names: Names) -> str:
    place = "keeps its place" if event.kept_priority else "leaves its place"
    before = f"{lots(event, names, event.previous_open_lots)} at {price(event, names, event.previous_price_ticks)}"
    now = f"{lots(event, names, event.open_lots)} at {price(event, names, event.price_ticks)}"
    return f"{order(event, names)} {now}, before {before}; {place}"


def tell_reduced(event: Any, names: Names) -> str:
    return (
        f"order {event.order_id}: {lots(event, names, event.reduced_lots)} taken off without a trade, "
        f"{lots(event, names, event.open_lots)} open"
    )


def tell_fill(event: Any, names: Names) -> str:
    return (
        f"{order(event, names)} {lots(event, names, event.qty_lots)} at {price(event, names, event.price_ticks)} "
        f"as {code(FillRole, event.role)}, {lots(event, names, event.open_lots)} open; "
        f"position {lots(event, names, event.position_lots)}"
    )


def tell_mark(event: Any, names: Names) -> str:
    return price(event, names, event.price_ticks)


def tell_state(event: Any, names: Names) -> str:
    return code(SymbolState, event.state)


def tell_auction(event: Any, names: Names) -> str:
    return (
        f"{lots(event, names, event.qty_lots)} at {price(event, names, event.price_ticks)}, "
        f"imbalance {lots(event, names, event.imbalance_lots)}"
    )


def tell_countdown(event: Any, names: Names) -> str:
    if not event.expires_ns:
        return f"{names.account_name(event.account)}: never"
    return f"{names.account_name(event.account)}: at {Decimal(event.expires_ns) / 10**9:f}s"


def tell_group(event: Any, names: Names) -> str:
    return f"{names.account_name(event.account)} in group {event.stp_group}"


def tell_fields(event: Any, names: Names) -> str:
    """Whatever the table says of it, in its own integers."""
    shown = {
        name: value
        for name, value in msgspec.structs.asdict(event).items()
        if value and name not in ("account", "sequence", "timestamp_ns")
    }
    return ", ".join(f"{name} {value}" for name, value in shown.items())


TELLERS: dict[str, Callable[[Any, Names], str]] = {
    "accepted": tell_accepted,
    "rejected": tell_rejected,
    "entry_accepted": tell_entry_accepted,
    "entry_rejected": tell_entry_rejected,
    "order_rested": tell_rested,
    "order_waiting": tell_waiting,
    "order_triggered": tell_triggered,
    "order_shown": tell_shown,
    "order_cancelled": tell_cancelled,
    "order_amended": tell_amended,
    "order_reduced": tell_reduced,
    "fill": tell_fill,
    "mark_changed": tell_mark,
    "symbol_state_changed": tell_state,
    "auction_indicated": tell_auction,
    "auction_uncrossed": tell_auction,
    "countdown_set": tell_countdown,
    "stp_group_set": tell_group,
}


# ---------------------------------------------------------------------------------------------- parts


def order(event: Any, names: Names) -> str:
    """Which order, whose, and what it does."""
    verb = "buys" if event.side == Side.BUY else "sells"
    return f"order {event.order_id}: {names.account_name(event.account)} {verb}"


def price(event: Any, names: Names, ticks: int) -> str:
    return f"{names.units(names.symbol_name(event.symbol)).ticks_to_price(ticks):f}"


def lots(event: Any, names: Names, count: int) -> str:
    return f"{names.units(names.symbol_name(event.symbol)).lots_to_qty(count):f}"


def flags(event: Any) -> str:
    set_flags = [flag.name.lower() for flag in OrderFlag if event.flags & flag]
    return f" [{', '.join(set_flags)}]" if set_flags else ""


def code(table: Callable[[int], Any], value: int) -> str:
    return cast(str, table(value).name.lower())
