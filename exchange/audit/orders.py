"""Orders as their events tell them: price-time priority, an uncrossed book, caps on what is open."""

from __future__ import annotations

from collections.abc import Iterator

from exchange.audit.context import Context
from exchange.audit.legs import LegAudit
from exchange.audit.live_orders import Order, Waiting
from exchange.audit.state import Holding, HoldingKey
from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    CancelReason,
    OrderFlag,
    OrderPlace,
    Side,
    SymbolState,
)

PLACING = {COMMAND_BY_NAME[name].number for name in ("place_order", "place_orders")}
COLLECTS = (SymbolState.PRE_OPEN, SymbolState.AUCTION)
RESTS = (SymbolState.OPEN, *COLLECTS)
#: Cancellations that a halted symbol does not know.
ASKED_FOR = (CancelReason.REQUESTED, CancelReason.CANCEL_ALL, CancelReason.COUNTDOWN)
NOT_HALTED = tuple(state for state in SymbolState if state != SymbolState.HALTED)


class OrderAudit:
    """Follows every order from its rest to its end."""

    def __init__(self, context: Context, legs: LegAudit) -> None:
        self.context = context
        self.state = context.state
        self.legs = legs
        #: Orders that left their level for a new price or quantity and may come back within the command.
        self.moving: dict[int, Order] = {}
        #: Those of them that ask for no more lots than before.
        self.no_larger: set[int] = set()
        #: Lots of the order that acts, which have to be filled, taken off, cancelled or rested: none vanishes.
        self.floating: dict[int, int] = {}
        #: Where the last order of a group of cancellations stood, by account, symbol, leg and reason.
        self.last_cancelled: dict[tuple[int, int, int, int], tuple[int, ...]] = {}

    def on_rested(
        self,
        account: int,
        symbol: int,
        side: int,
        leg: int,
        flags: int,
        order_id: int,
        client_order_id: int,
        price: int,
        open_lots: int,
    ) -> None:
        context, holding = self.context, self.state.holding(account, symbol, leg)
        self.land(order_id, open_lots)
        order = self.moving.pop(order_id, None)
        if order is not None:
            context.expect(
                "MATCH-05", f"the flags of order {order_id} after its amendment", order.flags, flags
            )
            order.price = price
        elif order_id in self.state.orders:
            context.report("MATCH-01", f"order {order_id} rests twice")
            return
        else:
            order = Order(holding, side, order_id, client_order_id, price, flags)
        if open_lots <= 0:
            context.report("MATCH-01", f"order {order_id} rests with {open_lots} lots")
            return
        self.check_new(order)
        self.check_resting(order)
        self.state.add_order(order, open_lots)
        self.check_caps(order)
        if order.iceberg:
            order.shown = 0  # order_shown follows, and tells the slice
        self.check_count(holding)
        context.touch(holding)

    def check_new(self, order: Order | Waiting) -> None:
        """What has to hold for an order that joins those of its account."""
        holding = order.holding
        if holding.pool in self.state.flagged:
            self.context.report(
                "I7",
                f"order {order.order_id} joins a pool that is being liquidated: {holding.pool}",
            )
        self.legs.check_order(holding, order.side, order.flags)
        self.check_client_id(holding, order.client_order_id)

    def check_count(self, holding: Holding) -> None:
        there = [h for h in holding.owner.holdings.values() if h.symbol is holding.symbol]
        count = sum(len(h.orders) + len(h.waiting) for h in there)
        if count > holding.symbol.policy.max_open_orders:
            self.context.report(
                "I34",
                f"account {holding.account} has {count} open orders on symbol {holding.symbol.number}",
            )

    def check_caps(self, order: Order) -> None:
        """I34, MARGIN-11: what rests is counted, if it may open anything at all."""
        holding, symbol = order.holding, order.holding.symbol
        limits = symbol.limits
        if order.reduce_only or order.order_id in self.no_larger:
            return
        own = sum(
            other.open_lots
            for other in holding.orders.values()
            if other.side == order.side and not other.reduce_only
        )
        on_side = holding.lots if order.side == Side.BUY else -holding.lots
        if own <= -on_side:
            return  # all of them only reduce
        held = (max(0, on_side) + own) * symbol.mark_value
        if 0 <= limits.position < held:
            self.context.report(
                "I34",
                f"account {order.account} may come to hold {held} atoms of symbol {symbol.number}, "
                f"at most {limits.position}",
            )
        interest = (symbol.interest + symbol.opening[order.side]) * symbol.mark_value
        if 0 <= limits.interest < interest:
            self.context.report(
                "I34",
                f"open interest of symbol {symbol.number} may come to {interest} atoms, at most {limits.interest}",
            )

    def check_resting(self, order: Order) -> None:
        """Where an order may rest, and that an open book is never crossed (MATCH-01, MATCH-12)."""
        context, symbol = self.context, order.holding.symbol
        context.expect_state(symbol.number, RESTS, f"order {order.order_id} rests")
        if symbol.is_open:
            self.check_uncrossed(order)
        elif order.flags & OrderFlag.POST_ONLY and context.command in PLACING:
            context.report(
                "MATCH-12", f"post-only order {order.order_id} rests where orders are collected"
            )

    def check_client_id(self, holding: Holding, client_order_id: int) -> None:
        if not client_order_id:
            return
        if any(
            order.client_order_id == client_order_id for order in all_orders(holding.owner.holdings)
        ):
            self.context.report(
                "MATCH-08",
                f"client order id {client_order_id} of account {holding.account} is live twice",
            )

    def check_uncrossed(self, order: Order) -> None:
        best = order.holding.symbol.sides[1 - order.side].best()
        if best is None:
            return
        if order.price >= best if order.side == Side.BUY else order.price <= best:
            self.context.report(
                "MATCH-01",
                f"order {order.order_id} rests at {order.price}, across the other side's {best}",
            )

    def on_cancelled(
        self,
        account: int,
        symbol: int,
        place: int,
        reason: int,
        order_id: int,
        price: int,
        open_lots: int,
    ) -> None:
        """An order leaves the book, or is the rest of a taker."""
        if reason in ASKED_FOR:
            self.context.expect_state(symbol, NOT_HALTED, f"order {order_id} is cancelled")
        if place == OrderPlace.TAKER:
            self.land(order_id, open_lots)
            moved = self.moving.pop(order_id, None)
            if moved is None and order_id in self.state.orders:
                self.context.report(
                    "MATCH-07", f"order {order_id} is cancelled as a taker, though it rests"
                )
            return
        order = self.known(order_id, account, price)
        if order is None:
            return
        self.context.expect(
            "MATCH-07", f"open lots of cancelled order {order_id}", order.open_lots, open_lots
        )
        self.state.set_open(order, 0)
        self.context.touch(order.holding)

    def check_turn(self, order: Order | Waiting, reason: int) -> None:
        """Where several are cancelled: bids before offers, best price first, then time; then those that wait."""
        if reason == CancelReason.SYMBOL_SETTLED:
            key = (0, order.holding.symbol.number, 0, reason)
        else:
            key = (*order.holding.own_pool, reason)
        if isinstance(order, Waiting):
            rank: tuple[int, ...] = (1, order.order_id)
        else:
            price = -order.price if order.side == Side.BUY else order.price
            rank = (0, order.side, price, order.turn)
        if rank < self.last_cancelled.get(key, rank):
            self.context.report("MATCH-07", f"order {order.order_id} is cancelled out of its turn")
        self.last_cancelled[key] = rank

    def on_amended(
        self,
        account: int,
        symbol: int,
        side: int,
        kept_priority: int,
        order_id: int,
        client_order_id: int,
        previous_price: int,
        previous_open: int,
        price: int,
        open_lots: int,
    ) -> None:
        order = self.known(order_id, account, previous_price)
        if order is None:
            return
        self.context.expect(
            "MATCH-05", f"open lots of order {order_id} before", order.open_lots, previous_open
        )
        if kept_priority:
            context = self.context
            context.expect_state(symbol, RESTS, f"order {order_id} is amended")
            if price != previous_price or not 0 < open_lots < previous_open:
                self.context.report(
                    "MATCH-05", f"order {order_id} kept its priority with more than less quantity"
                )
            self.state.set_open(order, open_lots)
        else:
            self.state.set_open(order, 0)
            self.moving[order_id] = order
            if open_lots <= previous_open:
                self.no_larger.add(order_id)
            self.floating[order_id] = open_lots
        self.context.touch(order.holding)

    def on_reduced(
        self,
        account: int,
        symbol: int,
        side: int,
        place: int,
        order_id: int,
        client_order_id: int,
        price: int,
        reduced_lots: int,
        open_lots: int,
    ) -> None:
        if place != OrderPlace.BOOK:
            self.float_down(order_id, reduced_lots, open_lots)
            return
        order = self.known(order_id, account, price)
        if order is not None:
            self.context.expect(
                "MATCH-06",
                f"lots left of order {order_id}",
                order.open_lots - reduced_lots,
                open_lots,
            )
            self.take_shown(order, reduced_lots)
            self.state.set_open(order, open_lots)
            self.context.touch(order.holding)

    def take_shown(self, order: Order, lots: int) -> None:
        """MATCH-15: what a fill or a decrement takes, it takes from the slice."""
        if not order.iceberg:
            return
        if lots > order.shown:
            self.context.report(
                "MATCH-15",
                f"{lots} lots of iceberg {order.order_id} go, and {order.shown} are shown",
            )
        order.shown = max(0, order.shown - lots)

    def on_shown(
        self,
        account: int,
        symbol: int,
        side: int,
        refreshed: int,
        order_id: int,
        client_order_id: int,
        price: int,
        shown_lots: int,
    ) -> None:
        """An iceberg shows its next slice, or less of the present one."""
        order = self.known(order_id, account, price)
        if order is None:
            return
        if not order.iceberg or not 0 < shown_lots <= order.open_lots:
            self.context.report(
                "MATCH-15", f"order {order_id} shows {shown_lots} of {order.open_lots} lots"
            )
        terms = self.state.terms.get(order_id)
        if refreshed:
            self.context.expect("MATCH-15", f"what order {order_id} still shows", 0, order.shown)
            if terms is not None:
                wanted = min(terms.display_lots, order.open_lots)
                self.context.expect("MATCH-15", f"slice of order {order_id}", wanted, shown_lots)
        elif not shown_lots < order.shown:
            self.context.report(
                "MATCH-15", f"order {order_id} shows {shown_lots}, no less than {order.shown}"
            )
        self.state.show(order, shown_lots, refreshed=bool(refreshed))
        self.context.touch(order.holding)

    def fill_resting(
        self, order: Order, holding: Holding, side: int, lots: int, open_lots: int
    ) -> None:
        """A resting order trades: it has to be the first of the best price (MATCH-01)."""
        order_id = order.order_id
        front = holding.symbol.sides[side].front()
        if front is not order:
            came_first = None if front is None else front.order_id
            self.context.report(
                "MATCH-01", f"order {order_id} trades though order {came_first} comes first"
            )
        self.context.expect(
            "MATCH-01", f"open lots of order {order_id}", order.open_lots - lots, open_lots
        )
        if order.reduce_only and holding.lots * (1 if side == Side.SELL else -1) < lots:
            self.context.report(
                "I10",
                f"reduce-only order {order_id} trades {lots} lots against a position of {holding.lots}",
            )
        self.take_shown(order, lots)
        self.state.set_open(order, max(0, open_lots))

    def float_down(self, order_id: int, lots: int, open_lots: int) -> None:
        """The acting order has traded or lost some of its lots."""
        if order_id in self.floating:
            self.context.expect(
                "MATCH-01",
                f"lots left of order {order_id}",
                self.floating[order_id] - lots,
                open_lots,
            )
            self.floating[order_id] = open_lots

    def land(self, order_id: int, open_lots: int) -> None:
        """What is left of the acting order rests or is cancelled: all of it."""
        left = self.floating.pop(order_id, open_lots)
        self.context.expect("MATCH-01", f"lots left of order {order_id}", left, open_lots)

    def known(self, order_id: int, account: int, price: int | None) -> Order | None:
        """The resting order, if the event speaks of one that is known with this owner and price (None: any)."""
        order = self.state.orders.get(order_id)
        if order is None or order.account != account or price not in (None, order.price):
            self.context.report(
                "MATCH-01",
                f"no order {order_id} of account {account} rests at {price}, though an event says so",
            )
            return None
        return order

    def finish(self) -> None:
        """The command is over: amended orders are somewhere, and what rests still may."""
        for order_id, lots in self.floating.items():
            self.context.expect("MATCH-01", f"lots of order {order_id} that went nowhere", 0, lots)
        self.floating.clear()
        self.moving.clear()
        self.no_larger.clear()
        self.last_cancelled.clear()
        flagged = self.state.flagged
        for holding in self.context.orders_touched:
            if (holding.orders or holding.waiting) and holding.pool in flagged:
                self.context.report("I7", f"the liquidating pool {holding.pool} has open orders")
            for order in holding.orders.values():
                self.check_order(order)
            for waiting in holding.waiting.values():
                self.check_waiting(waiting)

    def check_order(self, order: Order) -> None:
        if order.reduce_only and not self.could_reduce(order):
            self.context.report(
                "MATCH-11",
                f"reduce-only order {order.order_id} rests without a position that it could reduce",
            )
        if not 0 < order.shown <= order.open_lots:
            self.context.report(
                "MATCH-15",
                f"order {order.order_id} shows {order.shown} of {order.open_lots} lots",
            )

    def check_waiting(self, order: Waiting) -> None:
        """Exits may be armed against a position that is smaller, or another: their entry has just begun to fill."""
        if order.closes and not order.flags & OrderFlag.LINKED and not self.could_reduce(order):
            self.context.report(
                "MATCH-11",
                f"reduce-only order {order.order_id} waits without a position that it could reduce",
            )

    def could_reduce(self, order: Order | Waiting) -> bool:
        lots = order.holding.lots
        return lots < 0 if order.side == Side.BUY else lots > 0


def all_orders(holdings: dict[HoldingKey, Holding]) -> Iterator[Order | Waiting]:
    """Every live order of an account."""
    for holding in holdings.values():
        yield from holding.orders.values()
        yield from holding.waiting.values()
