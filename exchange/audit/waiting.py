"""Orders that wait for a trigger, as their events tell them: what sets them off, and in which order (MATCH-10).

Theory of operation.  Whenever the engine looks at triggers, the auditor looks too: of the symbols that were touched it
collects whose trigger is reached, by order id, behind those that it collected before.  Whatever goes off has to be the
first of them that still lives, and when a command is over none may be left.
"""

from __future__ import annotations

import heapq
from collections import deque

from exchange.audit.context import Context
from exchange.audit.lists import ListAudit
from exchange.audit.live_orders import Waiting
from exchange.audit.orders import OrderAudit
from exchange.audit.requirement import ceil_ppm
from exchange.audit.state import Symbol
from exchange.protocol.schema import OrderFlag, Side, SymbolState, TriggerBy

TAKES_TRIGGERS = (SymbolState.OPEN, SymbolState.PRE_OPEN, SymbolState.AUCTION)


class WaitingAudit:
    """Follows every order from its wait to its end or its trigger."""

    def __init__(self, context: Context, orders: OrderAudit, lists: ListAudit) -> None:
        self.context = context
        self.state = context.state
        self.orders = orders
        self.lists = lists
        self.reached: deque[int] = deque()  # the triggered queue
        #: Last prices that stood when triggers were looked at in this command, and are others now.
        self.seen_last: set[tuple[int, int]] = set()
        self.unlooked: set[int] = set()  # symbols whose last price is newer than the last look
        self.has_triggered = False  # whether something went off in this command

    # ----------------------------------------------------------------------------------- begin and change

    def on_waiting(
        self,
        account: int,
        symbol: int,
        side: int,
        leg: int,
        order_type: int,
        trigger_by: int,
        flags: int,
        order_id: int,
        client_order_id: int,
        trigger: int,
        price: int,
        open_lots: int,
    ) -> None:
        order = self.state.waiting.get(order_id)
        kind = (account, symbol, leg, side, order_type, trigger_by, flags, client_order_id)
        if order is None:
            holding = self.state.holding(account, symbol, leg)
            order = Waiting(holding, side, order_id, client_order_id, order_type, trigger_by, flags)
            order.trigger, order.price, order.open_lots = trigger, price, open_lots
            self.begin(order)
        else:
            self.change(order, kind, trigger, price, open_lots)
        self.state.watch(order)
        self.context.watched.add(symbol)
        self.context.touch(order.holding)

    def begin(self, order: Waiting) -> None:
        """An order that was just accepted begins to wait."""
        context, holding = self.context, order.holding
        order.armed = not self.lists.is_exit(order.order_id)
        number = holding.symbol.number
        context.expect_state(number, TAKES_TRIGGERS, f"order {order.order_id} begins to wait")
        given = self.orders.floating.pop(order.order_id, None)
        if given is not None:
            wanted = given if order.armed and not order.flags & OrderFlag.CLOSE_POSITION else 0
            context.expect(
                "MATCH-10", f"open lots of order {order.order_id}", wanted, order.open_lots
            )
        if order.order_id in self.state.orders:
            context.report("MATCH-10", f"order {order.order_id} rests and waits")
        watched = holding.symbol.watched(order.trigger_by)
        is_checked = order.armed and not order.trails and not self.lists.is_unknown(order)
        if is_checked and order.is_reached(watched, order.trigger):
            context.report(
                "MATCH-10",
                f"order {order.order_id} waits for {order.trigger}, which {watched} has reached already",
            )
        self.orders.check_new(order)
        self.state.add_waiting(order)
        self.orders.check_count(holding)

    def change(
        self, order: Waiting, kind: tuple[int, ...], trigger: int, price: int, open_lots: int
    ) -> None:
        """An order that waits was amended, or an exit was armed."""
        was = (
            *order.holding.own_pool,
            *(order.side, order.order_type),
            *(order.trigger_by, order.flags, order.client_order_id),
        )
        self.context.expect(
            "MATCH-10", f"what order {order.order_id} is, that waits already", was, kind
        )
        order.trigger, order.price, order.open_lots = trigger, price, open_lots
        order.armed = order.armed or self.lists.is_armed(order.order_id)

    def on_cancelled(self, order_id: int, account: int, reason: int, open_lots: int) -> None:
        """An order that waits is cancelled."""
        order = self.state.waiting.get(order_id)
        if order is None or order.account != account:
            self.context.report("MATCH-07", f"no order {order_id} of account {account} waits")
            return
        self.context.expect(
            "MATCH-07", f"open lots of cancelled order {order_id}", order.open_lots, open_lots
        )
        self.state.remove_waiting(order)
        self.context.touch(order.holding)

    # ------------------------------------------------------------------------------------------- triggers

    def on_last(self, symbol: Symbol, price: int) -> None:
        """A trade in the book or an auction: the price that some triggers watch."""
        self.context.watched.add(symbol.number)
        if symbol.last == price:
            return
        if symbol.number not in self.unlooked:
            self.seen_last.add((symbol.number, symbol.last))
        symbol.last = price
        self.unlooked.add(symbol.number)

    def trigger_of(self, order: Waiting) -> int | None:
        """Where the order goes off as things stand; None: only its command tells, and that was not fed."""
        if not order.trails:
            return order.trigger
        terms = self.state.terms.get(order.order_id)
        if terms is None or not order.best:
            return None
        distance = terms.callback_ticks or ceil_ppm(order.best, terms.callback_ppm)
        return order.best + (distance if order.side == Side.BUY else -distance)

    def look(self) -> None:
        """What the engine does at this moment, too: trailing stops follow, and who is reached joins the queue."""
        self.unlooked.clear()
        joined: list[int] = []
        for number in self.context.watched:
            symbol = self.state.symbols[number]
            for order in symbol.trailing.values():
                self.follow(order)
            if symbol.is_open:
                joined += self.reached_orders(symbol)
        self.context.watched.clear()
        self.reached.extend(sorted(joined))

    def follow(self, order: Waiting) -> None:
        watched = order.holding.symbol.watched(order.trigger_by)
        if order.armed and watched:
            better = min if order.side == Side.BUY else max
            order.best = better(order.best or watched, watched)

    def reached_orders(self, symbol: Symbol) -> list[int]:
        """Orders of a symbol whose trigger is reached and that are not in the queue yet."""
        found = []
        for (trigger_by, rises), heap in symbol.triggers.items():
            watched = symbol.watched(trigger_by)
            while heap and heap[0][0] <= (watched if rises else -watched):
                trigger, order_id = heapq.heappop(heap)
                order = self.state.waiting.get(order_id)
                if order is not None and order.trigger == abs(trigger):
                    found.append(order)
        for order in symbol.trailing.values():
            moved = self.trigger_of(order)
            if moved is not None and order.is_reached(symbol.watched(order.trigger_by), moved):
                found.append(order)
        joined = [order for order in found if order.armed and not order.joined]
        for order in joined:
            watched = symbol.watched(order.trigger_by)
            order.joined = (watched, self.trigger_of(order) or 0)
        return [order.order_id for order in joined if not self.lists.is_unknown(order)]

    def next_reached(self) -> int | None:
        """The first of the queue that still lives."""
        while self.reached:
            if self.reached[0] in self.state.waiting:
                return self.reached[0]
            self.reached.popleft()
        return None

    def on_triggered(
        self,
        account: int,
        symbol: int,
        side: int,
        order_id: int,
        client_order_id: int,
        trigger: int,
        watched: int,
        open_lots: int,
    ) -> None:
        context = self.context
        self.look()
        self.has_triggered = True
        order = self.state.waiting.get(order_id)
        if order is None or order.account != account:
            context.report("MATCH-10", f"order {order_id} goes off, though it does not wait")
            return
        if self.is_followed(order):
            context.expect("MATCH-10", "the order that goes off", self.next_reached(), order_id)
        self.check_trigger(order, trigger, watched)
        context.expect_state(symbol, (SymbolState.OPEN,), f"order {order_id} goes off")
        lots = order.holding.lots
        if order.flags & OrderFlag.CLOSE_POSITION:
            wanted = max(0, lots if side == Side.SELL else -lots)
        else:
            wanted = order.open_lots
        context.expect("MATCH-10", f"lots of order {order_id} that goes off", wanted, open_lots)
        self.state.remove_waiting(order)
        context.touch(order.holding)
        self.orders.floating[order_id] = open_lots
        context.acting = self.state.terms.get(order_id)
        context.is_engine_acting = False
        self.lists.on_triggered(order_id)

    def is_followed(self, order: Waiting) -> bool:
        """Whether the auditor knows when this order has to go off."""
        if self.lists.is_unknown(order):
            return False
        return not order.trails or order.order_id in self.state.terms

    def check_trigger(self, order: Waiting, trigger: int, watched: int) -> None:
        """The price that set it off was watched at a look, and reaches the trigger."""
        context, symbol = self.context, order.holding.symbol
        known = {symbol.watched(order.trigger_by)}
        if order.trigger_by == TriggerBy.LAST:
            known |= {last for number, last in self.seen_last if number == symbol.number}
        if watched not in known:
            context.report(
                "MATCH-10", f"order {order.order_id} is set off by {watched}, of {sorted(known)}"
            )
        if not order.is_reached(watched, trigger):
            context.report(
                "MATCH-10", f"order {order.order_id} goes off at {watched}, before {trigger}"
            )
        if order.joined is not None:
            what = f"(watched, trigger) that sets off order {order.order_id}"
            context.expect("MATCH-10", what, order.joined, (watched, trigger))

    def settle(self) -> None:
        """Nothing more goes off: nothing may be left that should."""
        if self.context.watched or self.reached:
            self.look()
        left = self.next_reached()
        if left is not None:
            self.context.report("MATCH-10", f"the trigger of order {left} is reached, and it waits")
            self.reached.clear()

    def finish(self) -> None:
        self.settle()
        self.has_triggered = False
        self.seen_last.clear()
        self.unlooked.clear()
