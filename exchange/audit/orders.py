"""Orders as their events tell them: price-time priority, an uncrossed book, caps on what is open."""

from __future__ import annotations

from exchange.audit.context import Context
from exchange.audit.state import Holding, Order
from exchange.protocol.schema import OrderFlag, OrderPlace, Side


class OrderAudit:
    """Follows every order from its rest to its end."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.state = context.state
        #: Orders that left their level for a new price or quantity and may come back within the command.
        self.moving: dict[int, Order] = {}
        #: Lots of the order that acts, which have to be filled, taken off, cancelled or rested: none vanishes.
        self.floating: dict[int, int] = {}

    def on_rested(
        self,
        account: int,
        symbol: int,
        side: int,
        flags: int,
        order_id: int,
        client_order_id: int,
        price: int,
        open_lots: int,
    ) -> None:
        context, holding = self.context, self.state.holding(account, symbol)
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
        self.check_client_id(holding, client_order_id)
        if open_lots <= 0:
            context.report("MATCH-01", f"order {order_id} rests with {open_lots} lots")
            return
        self.check_uncrossed(order)
        self.state.add_order(order, open_lots)
        count = len(holding.orders)
        if count > holding.symbol.policy.max_open_orders:
            context.report("I34", f"account {account} has {count} open orders on symbol {symbol}")
        if holding.pool in self.state.flagged:
            context.report(
                "I7", f"order {order_id} rests for a pool that is being liquidated: {holding.pool}"
            )
        context.touch(holding)

    def check_client_id(self, holding: Holding, client_order_id: int) -> None:
        if not client_order_id:
            return
        for other in holding.owner.holdings.values():
            for order in other.orders.values():
                if order.client_order_id == client_order_id:
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
        side: int,
        place: int,
        reason: int,
        order_id: int,
        client_order_id: int,
        price: int,
        open_lots: int,
    ) -> None:
        if place != OrderPlace.BOOK:
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
            if price != previous_price or not 0 < open_lots < previous_open:
                self.context.report(
                    "MATCH-05", f"order {order_id} kept its priority with more than less quantity"
                )
            self.state.set_open(order, open_lots)
        else:
            self.state.set_open(order, 0)
            self.moving[order_id] = order
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
            self.state.set_open(order, open_lots)
            self.context.touch(order.holding)

    def fill_maker(
        self, holding: Holding, side: int, order_id: int, price: int, lots: int, open_lots: int
    ) -> None:
        """A resting order trades: it has to be the first of the best price, at its own price (MATCH-01)."""
        order = self.known(order_id, holding.account, price)
        if order is None:
            return
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

    def known(self, order_id: int, account: int, price: int) -> Order | None:
        """The resting order, if the event speaks of one that is known with this owner and price."""
        order = self.state.orders.get(order_id)
        if order is None or order.account != account or order.price != price:
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
        flagged = self.state.flagged
        for holding in self.context.orders_touched:
            if holding.orders and holding.pool in flagged:
                self.context.report("I7", f"the liquidating pool {holding.pool} has open orders")
            for order in holding.orders.values():
                if order.flags & OrderFlag.REDUCE_ONLY and not self.could_reduce(order):
                    self.context.report(
                        "MATCH-11",
                        f"reduce-only order {order.order_id} rests without a position that it could reduce",
                    )

    def could_reduce(self, order: Order) -> bool:
        lots = order.holding.lots
        return lots < 0 if order.side == Side.BUY else lots > 0
