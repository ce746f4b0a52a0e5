"""Lists and links as their events tell them: who was accepted, and what follows for the others (MATCH-08, MATCH-14)."""

from __future__ import annotations

from collections import deque

from exchange.audit.context import Context, PlacedList
from exchange.audit.live_orders import Placed, Waiting
from exchange.audit.orders import OrderAudit
from exchange.protocol.schema import (
    REMEMBERED_ORDERS,
    CancelReason,
    FillRole,
    ListMode,
    OrderFlag,
    RejectReason,
)

LINKED_MODES = (ListMode.ONE_CANCELS_OTHER, ListMode.ENTRY_WITH_EXITS)
NOT_FILLED_BY = (FillRole.DELEVERAGED, FillRole.ADL_COUNTERPARTY, FillRole.SETTLEMENT)


class Link:
    """Orders of one linked list: their ids in its order, what they asked for, and what happened."""

    __slots__ = ("entry_filled", "fired", "ids", "mode", "terms")

    def __init__(self, mode: int, ids: list[int], terms: tuple[Placed, ...]) -> None:
        self.mode, self.ids, self.terms = mode, ids, terms
        self.entry_filled = 0
        self.fired = 0  # the order that filled (of one-cancels-other) or went off; 0: none yet

    def is_exit(self, order_id: int) -> bool:
        return self.mode == ListMode.ENTRY_WITH_EXITS and order_id != self.ids[0]

    def armed_lots(self, order_id: int) -> int:
        """What of an exit may go off; of a close-position exit this is told by nothing but its arming."""
        terms = self.terms[self.ids.index(order_id)]
        return min(terms.qty_lots, self.entry_filled)


#: What a client order id was accepted for: the order's id, and what a repeat has to say again.
Remembered = tuple[int, tuple[int, ...]]


class ListAudit:
    """Follows the orders of lists, and the client order ids that are remembered."""

    def __init__(self, context: Context, orders: OrderAudit) -> None:
        self.context = context
        self.state = context.state
        self.orders = orders
        self.links: dict[int, Link] = {}  # by order id
        self.touched: dict[int, Link] = {}  # links with an event in this command, by their first id
        self.entries: list[int] = []  # ids of the entries accepted so far in this command
        self.told = 0  # entries that had their result
        self.remembered: dict[int, dict[int, Remembered]] = {}  # by account, oldest first
        self.windows: dict[int, deque[int]] = {}

    # -------------------------------------------------------------------------------------------- results

    def on_result(self, account: int, order_id: int, terms: Placed | None) -> None:
        """An order was accepted: with an id of its own, or with that of the order that it repeats."""
        context, state = self.context, self.state
        if order_id <= state.last_order_id:
            context.is_repeat = True
            self.check_repeat(account, order_id, terms)
            return
        state.last_order_id = order_id
        context.is_engine_acting = False
        if terms is None:
            context.acting = None
            return
        if not terms.waits:
            context.acting = terms
        state.terms[order_id] = terms
        self.orders.floating[order_id] = terms.qty_lots
        if terms.client_order_id:
            self.remember(account, order_id, terms)

    def check_repeat(self, account: int, order_id: int, terms: Placed | None) -> None:
        if terms is None:
            return
        known = self.remembered.get(account, {}).get(terms.client_order_id)
        if known != (order_id, terms.content):
            self.context.report(
                "MATCH-08",
                f"client order id {terms.client_order_id} is answered with order {order_id}, known is {known}",
            )

    def remember(self, account: int, order_id: int, terms: Placed) -> None:
        """MATCH-08: the last so many client order ids of an account are taken."""
        known = self.remembered.setdefault(account, {})
        window = self.windows.setdefault(account, deque())
        client = terms.client_order_id
        if client in known:
            self.context.report(
                "MATCH-08", f"client order id {client} of account {account} is taken twice"
            )
            window.remove(client)
        known[client] = (order_id, terms.content)
        window.append(client)
        if len(window) > REMEMBERED_ORDERS:
            del known[window.popleft()]

    def on_entry_accepted(
        self, account: int, index: int, order_id: int, client_order_id: int
    ) -> None:
        terms = self.next_entry(index)
        was_repeat = self.context.is_repeat
        self.context.is_repeat = False
        self.on_result(account, order_id, terms)
        if not self.context.is_repeat:
            self.entries.append(order_id)
        wanted = self.context.wanted
        self.context.is_repeat = was_repeat or self.context.is_repeat
        if not isinstance(wanted, PlacedList):
            return
        if wanted.mode in LINKED_MODES and len(self.entries) == len(wanted.orders):
            link = Link(wanted.mode, self.entries, wanted.orders)
            self.links.update(dict.fromkeys(self.entries, link))
            self.touched[link.ids[0]] = link

    def on_entry_rejected(
        self, account: int, index: int, reason: int, client_order_id: int
    ) -> None:
        self.next_entry(index)
        self.context.acting = None
        wanted = self.context.wanted
        if isinstance(wanted, PlacedList) and wanted.mode != ListMode.EACH:
            name = RejectReason(reason).name.lower()
            self.context.report(
                "MATCH-14", f"entry {index} of an accepted list is refused alone: {name}"
            )

    def next_entry(self, index: int) -> Placed | None:
        """What the entry asked for; entries have their results in turn."""
        self.context.expect("MATCH-14", "the next entry of the list", self.told, index)
        self.told += 1
        wanted = self.context.wanted
        if isinstance(wanted, PlacedList) and index < len(wanted.orders):
            return wanted.orders[index]
        return None

    # ---------------------------------------------------------------------------------------------- links

    def is_unknown(self, order: Waiting) -> bool:
        """Whether its part in a list decides, and the list was not fed."""
        return bool(order.flags & OrderFlag.LINKED) and order.order_id not in self.links

    def is_exit(self, order_id: int) -> bool:
        link = self.links.get(order_id)
        return link is not None and link.is_exit(order_id)

    def is_armed(self, order_id: int) -> bool:
        link = self.links.get(order_id)
        return link is None or not link.is_exit(order_id) or link.entry_filled > 0

    def on_fill(self, order_id: int, lots: int, role: int) -> None:
        link = self.links.get(order_id)
        if link is None or role in NOT_FILLED_BY:
            return
        self.touched[link.ids[0]] = link
        if link.mode == ListMode.ONE_CANCELS_OTHER:
            link.fired = link.fired or order_id
        elif order_id == link.ids[0]:
            link.entry_filled += lots

    def on_triggered(self, order_id: int) -> None:
        link = self.links.get(order_id)
        if link is None:
            return
        self.touched[link.ids[0]] = link
        if link.is_exit(order_id) and not link.entry_filled:
            self.context.report("MATCH-14", f"exit {order_id} goes off before its entry fills")
        if link.mode == ListMode.ONE_CANCELS_OTHER or link.is_exit(order_id):
            link.fired = link.fired or order_id

    def on_cancelled(self, order_id: int, reason: int) -> None:
        """An order leaves; as a sibling it needs something that happened to another of its list."""
        link = self.links.get(order_id)
        if link is None:
            return
        self.touched[link.ids[0]] = link
        if reason != CancelReason.LINKED:
            return
        fired_other = link.fired and link.fired != order_id
        left_alone = (
            link.is_exit(order_id) and not link.entry_filled and not self.lives(link.ids[0])
        )
        if not fired_other and not left_alone:
            self.context.report("MATCH-14", f"order {order_id} is cancelled as linked, to nothing")

    def lives(self, order_id: int) -> bool:
        return (
            order_id in self.state.orders
            or order_id in self.state.waiting
            or self.orders.floating.get(order_id, 0) > 0
        )

    def check_link(self, link: Link) -> None:
        """What holds between commands: who filled or went off is alone, and exits are armed by what filled."""
        for order_id in link.ids:
            lives = self.lives(order_id)
            if lives and link.fired not in (0, order_id):
                self.context.report(
                    "MATCH-14", f"order {order_id} lives on beside order {link.fired} of its list"
                )
            if not lives or not link.is_exit(order_id) or link.fired == order_id:
                continue
            if not link.entry_filled and not self.lives(link.ids[0]):
                self.context.report("MATCH-14", f"exit {order_id} lives without an entry")
            self.check_arming(link, order_id)
        if not any(map(self.lives, link.ids)):
            for order_id in link.ids:
                del self.links[order_id]

    def check_arming(self, link: Link, order_id: int) -> None:
        order = self.state.waiting.get(order_id)
        if order is None:
            return
        self.context.expect(
            "MATCH-14",
            f"whether exit {order_id} is armed",
            link.entry_filled > 0,
            order.armed,
        )
        wanted = link.armed_lots(order_id)
        self.context.expect("MATCH-14", f"armed lots of exit {order_id}", wanted, order.open_lots)

    def finish(self) -> None:
        context, wanted = self.context, self.context.wanted
        if isinstance(wanted, PlacedList) and self.is_list_accepted():
            context.expect("MATCH-14", "entries with a result", len(wanted.orders), self.told)
        for link in self.touched.values():
            self.check_link(link)
        self.touched.clear()
        self.entries = []
        self.told = 0

    def is_list_accepted(self) -> bool:
        return self.context.command > 0
