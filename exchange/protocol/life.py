"""The life of an order as a table: its states, and the events that lead from one to the next.

The table is what events say, not how an engine is built: whoever reads events can follow an order with it.  `Lives`
does, and refuses what the table does not have; the fuzzer follows every order of its streams that way.  The picture and
the page ``docs/reference/order-life.md`` are drawn from it (``life_page``).

The engine's own closing orders (LIQ-06) live within one command and are told by ``liquidation_order`` and their fills
alone; the table leaves them out.

>>> for change in CHANGES:
...     if change.origin is State.SENT:
...         print(change)
sent: accepted -> acting
sent: entry_accepted -> acting
sent: rejected -> refused
sent: entry_rejected -> refused
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from exchange.protocol.messages import (
    Accepted,
    Command,
    EntryAccepted,
    EntryRejected,
    Event,
    Fill,
    LiquidationOrder,
    OrderAmended,
    OrderCancelled,
    OrderReduced,
    OrderRested,
    OrderShown,
    OrderTriggered,
    OrderWaiting,
    PlaceOrders,
    Rejected,
)
from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    MESSAGE_BY_NUMBER,
    CancelReason,
    ListMode,
    OrderPlace,
)


class State(StrEnum):
    """Where an order can be."""

    SENT = "sent"
    ACTING = "acting"
    HELD = "held"
    WAITING = "waiting"
    RESTING = "resting"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REFUSED = "refused"


STATE_PROSE: dict[State, str] = {
    State.SENT: "no event tells of it yet",
    State.ACTING: "at work: it trades, then goes where it belongs; no order is here between two commands",
    State.HELD: "an exit whose entry has not filled anything",
    State.WAITING: "for its trigger, outside the book",
    State.RESTING: "in the book, whole or partly filled",
    State.FILLED: "nothing is left to fill",
    State.CANCELLED: "gone with lots left; the event says why",
    State.REFUSED: "it never was: nothing changed",
}
#: What a cancellation says of where the order was.
PLACE_OF: dict[State, OrderPlace] = {
    State.ACTING: OrderPlace.TAKER,
    State.HELD: OrderPlace.WAITING,
    State.WAITING: OrderPlace.WAITING,
    State.RESTING: OrderPlace.BOOK,
}
ENDS = (State.FILLED, State.CANCELLED, State.REFUSED)


@dataclass(frozen=True)
class Change:
    """One way from a state to the next: the event that tells it, and what of the event decides."""

    origin: State
    event: str
    detail: str  # of a cancellation its reason; else what tells this change from others of the same event
    target: State
    prose: str = ""

    def __str__(self) -> str:
        detail = f"({self.detail})" if self.detail else ""
        return f"{self.origin}: {self.event}{detail} -> {self.target}"


def cancelled(origin: State, *reasons: CancelReason) -> Iterator[Change]:
    for reason in reasons:
        yield Change(origin, "order_cancelled", reason.name.lower(), State.CANCELLED)


PART, LAST = "open_lots > 0", "open_lots = 0"
KEPT, MOVED = "kept_priority 1", "kept_priority 0"
NEW_SLICE, SMALLER = "refreshed 1", "refreshed 0"
TAKEN, OF_AN_EXIT, ARMED, GROWN, AMENDED = "taken", "of an exit", "armed", "grown", "amended"

#: What its account, its pool, its list or its symbol can do to an order that rests or waits.
ANYWHERE = (
    CancelReason.REQUESTED,
    CancelReason.CANCEL_ALL,
    CancelReason.LIQUIDATION,
    CancelReason.COUNTDOWN,
    CancelReason.LINKED,
    CancelReason.SYMBOL_SETTLED,
)

CHANGES: tuple[Change, ...] = (
    Change(State.SENT, "accepted", "", State.ACTING, "it has an order id now"),
    Change(State.SENT, "entry_accepted", "", State.ACTING, "the same, in a list"),
    Change(State.SENT, "rejected", "", State.REFUSED, "the event says why"),
    Change(State.SENT, "entry_rejected", "", State.REFUSED, "the same, in a list"),
    Change(State.ACTING, "fill", PART, State.ACTING, "as taker"),
    Change(State.ACTING, "fill", LAST, State.FILLED, "as taker"),
    Change(State.ACTING, "order_reduced", "", State.ACTING, "self-trade mode decrement"),
    Change(State.ACTING, "order_rested", "", State.RESTING, "what is left joins its level"),
    Change(
        State.ACTING, "order_waiting", TAKEN, State.WAITING, "a trigger type, after it was accepted"
    ),
    Change(State.ACTING, "order_waiting", OF_AN_EXIT, State.HELD, "an exit, after it was accepted"),
    *cancelled(
        State.ACTING,
        CancelReason.IMMEDIATE_OR_CANCEL,
        CancelReason.FILL_OR_KILL,
        CancelReason.SELF_TRADE,
        CancelReason.REDUCE_ONLY,
        CancelReason.INSUFFICIENT_MARGIN,
        CancelReason.POST_ONLY,
        CancelReason.PRICE_OUT_OF_BAND,
        CancelReason.VALUE_OUT_OF_RANGE,
        CancelReason.POSITION_LIMIT,
        CancelReason.OPEN_INTEREST_LIMIT,
        CancelReason.MARK_HELD,
    ),
    Change(State.HELD, "order_waiting", AMENDED, State.HELD, "new fields"),
    Change(State.HELD, "order_waiting", ARMED, State.WAITING, "its entry has filled something"),
    # All else that would cancel it takes its entry first, and that is told as linked.
    *cancelled(State.HELD, CancelReason.REQUESTED, CancelReason.CANCEL_ALL, CancelReason.LINKED),
    Change(State.WAITING, "order_waiting", AMENDED, State.WAITING, "new fields"),
    Change(
        State.WAITING, "order_waiting", GROWN, State.WAITING, "an exit: its entry has filled more"
    ),
    Change(State.WAITING, "order_triggered", "", State.ACTING, "its trigger was reached"),
    *cancelled(State.WAITING, *ANYWHERE, CancelReason.EXPIRED, CancelReason.REDUCE_ONLY),
    Change(State.RESTING, "fill", PART, State.RESTING, "as maker or in an auction"),
    Change(State.RESTING, "fill", LAST, State.FILLED, "as maker or in an auction"),
    Change(State.RESTING, "order_reduced", "", State.RESTING, "self-trade mode decrement"),
    Change(
        State.RESTING,
        "order_shown",
        NEW_SLICE,
        State.RESTING,
        "an iceberg's next slice, at the back",
    ),
    Change(
        State.RESTING, "order_shown", SMALLER, State.RESTING, "an iceberg amended below its slice"
    ),
    Change(State.RESTING, "order_amended", KEPT, State.RESTING, "a smaller quantity"),
    Change(State.RESTING, "order_amended", MOVED, State.ACTING, "a new price or more quantity"),
    *cancelled(
        State.RESTING,
        *ANYWHERE,
        CancelReason.EXPIRED,
        CancelReason.REDUCE_ONLY,
        CancelReason.SELF_TRADE,
        CancelReason.INSUFFICIENT_MARGIN,
        CancelReason.OPEN_INTEREST_LIMIT,
    ),
)
BY_EVENT = {(change.origin, change.event, change.detail): change for change in CHANGES}
assert len(BY_EVENT) == len(CHANGES), "two changes that an event cannot tell apart"

OrderEvent = (
    OrderRested
    | OrderCancelled
    | OrderAmended
    | OrderReduced
    | OrderWaiting
    | OrderTriggered
    | OrderShown
    | Fill
)
PLACE_ORDER, AMEND_ORDER = (COMMAND_BY_NAME[name].number for name in ("place_order", "amend_order"))


class Lives:
    """Follows every order through the events of a stream, from its first command on.

    Needs the commands as well: events do not tell an entry from its exits.
    """

    def __init__(self) -> None:
        self.states: dict[int, State] = {}  # of orders that live, by order id
        self.acting: set[int] = set()
        self.seen: Counter[Change] = Counter()  # how often each change came
        self.exits: set[int] = set()
        self.last_order_id = 0

    def read(self, command: Command | None, events: Sequence[Event]) -> list[str]:
        """What the events of a command did that the table does not have; a command that means nothing is None."""
        amended = 0
        wrong: list[str] = []
        for event in events:
            match event:
                case Accepted(command=number, order_id=order_id):
                    amended = order_id if number == AMEND_ORDER else 0
                    if number == PLACE_ORDER:
                        self.begin(event, order_id)
                case EntryAccepted(order_id=order_id, index=index):
                    if self.begin(event, order_id) and index and is_entry_with_exits(command):
                        self.exits.add(order_id)
                case Rejected(command=number) if number == PLACE_ORDER:
                    self.take(State.SENT, event, "")
                case EntryRejected():
                    self.take(State.SENT, event, "")
                case LiquidationOrder(order_id=order_id):
                    self.last_order_id = max(self.last_order_id, order_id)
                case _ if isinstance(event, OrderEvent):
                    wrong += self.move(event, amended)
        wrong += [
            f"order {order_id} still acts when its command is over" for order_id in self.acting
        ]
        self.acting.clear()
        return wrong

    def begin(self, event: Event, order_id: int) -> bool:
        """An order was accepted; False if it is an earlier one, answered once more (MATCH-08)."""
        if order_id <= self.last_order_id:
            return False
        self.last_order_id = order_id
        self.enter(order_id, self.take(State.SENT, event, "").target)
        return True

    def move(self, event: OrderEvent, amended: int) -> list[str]:
        """An order that lives goes on; the engine's own orders have no life here."""
        origin = self.states.get(event.order_id)
        if origin is None:
            known_as_closing = isinstance(event, Fill)
            return [] if known_as_closing else [f"{event} speaks of an order that does not live"]
        detail = self.detail(origin, event, event.order_id == amended)
        change = BY_EVENT.get((origin, name_of(event), detail))
        if change is None:
            return [
                f"order {event.order_id} is {origin}: {name_of(event)}({detail}) has no place there"
            ]
        self.seen[change] += 1
        self.enter(event.order_id, change.target)
        if isinstance(event, OrderCancelled) and event.place != PLACE_OF[origin]:
            place = OrderPlace(event.place).name.lower()
            return [f"order {event.order_id} is {origin}, and is cancelled with place {place}"]
        return []

    def enter(self, order_id: int, state: State) -> None:
        self.acting.discard(order_id)
        self.states[order_id] = state
        if state is State.ACTING:
            self.acting.add(order_id)
        elif state in ENDS:
            del self.states[order_id]
            self.exits.discard(order_id)

    def take(self, origin: State, event: Event, detail: str) -> Change:
        change = BY_EVENT[origin, name_of(event), detail]
        self.seen[change] += 1
        return change

    def detail(self, origin: State, event: OrderEvent, is_amended: bool) -> str:
        """What of an event decides where its order goes."""
        match event:
            case Fill(open_lots=lots):
                return PART if lots else LAST
            case OrderCancelled(reason=reason):
                return CancelReason(reason).name.lower()
            case OrderAmended(kept_priority=kept):
                return KEPT if kept else MOVED
            case OrderShown(refreshed=refreshed):
                return NEW_SLICE if refreshed else SMALLER
            case OrderWaiting(order_id=order_id):
                if origin is State.ACTING:
                    return OF_AN_EXIT if order_id in self.exits else TAKEN
                if is_amended:
                    return AMENDED
                return ARMED if origin is State.HELD else GROWN
        return ""


def name_of(event: Event) -> str:
    return MESSAGE_BY_NUMBER[event.number].name


def is_entry_with_exits(command: Command | None) -> bool:
    return isinstance(command, PlaceOrders) and command.list_mode == ListMode.ENTRY_WITH_EXITS
