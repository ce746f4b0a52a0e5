"""What time alone does: orders expire, countdowns run out - in front of everything else, and never late (MATCH-03)."""

from __future__ import annotations

import heapq

from exchange.audit.context import Context
from exchange.audit.state import Account
from exchange.protocol.schema import CancelReason, SymbolState

BY_TIME = (CancelReason.EXPIRED, CancelReason.COUNTDOWN)
ORDER, COUNTDOWN = 0, 1


class ExpiryAudit:
    """Keeps what will be due, and compares it with what goes."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.state = context.state
        self.coming: list[tuple[int, int, int]] = []  # heap of (time, kind, order id or account)
        self.due: list[tuple[int, int, int]] = []  # of this command, in its order
        self.is_first = False  # whether nothing but what is due was told yet

    def schedule_order(self, order_id: int, expires_ns: int) -> None:
        if expires_ns:
            heapq.heappush(self.coming, (expires_ns, ORDER, order_id))

    def on_countdown(self, account: int, expires_ns: int) -> None:
        self.state.account(account).countdown_ns = expires_ns
        if expires_ns:
            heapq.heappush(self.coming, (expires_ns, COUNTDOWN, account))

    def begin(self, now_ns: int) -> None:
        """A command comes at this time: what is due by now has to go before it acts."""
        self.is_first = True
        self.due = []
        while self.coming and self.coming[0][0] <= now_ns:
            self.due.append(heapq.heappop(self.coming))

    def is_by_time(self, reason: int) -> bool:
        """Whether a cancellation may be one of those that time alone does."""
        return self.is_first and (reason in BY_TIME or reason == CancelReason.LINKED)

    def on_cancelled(self, account: int, order_id: int, reason: int) -> None:
        """Before the order is taken out of the books."""
        if reason not in BY_TIME:
            return
        if not self.is_first:
            self.context.report("MATCH-03", f"order {order_id} expires after the command acted")
        self.skip_done()
        if reason == CancelReason.EXPIRED:
            if self.due and self.due[0][1:] == (ORDER, order_id):
                self.due.pop(0)
            elif order_id in self.state.terms:
                self.context.report(
                    "MATCH-03", f"order {order_id} expires out of its turn: {self.due[:1]}"
                )
        elif not self.due or self.due[0][1:] != (COUNTDOWN, account):
            self.context.report(
                "MATCH-07",
                f"order {order_id} of account {account} is counted down: {self.due[:1]}",
            )

    def skip_done(self) -> None:
        """Leaves out what is gone already, was set anew, or has nothing to cancel."""
        while self.due and not self.is_still_due(*self.due[0]):
            time_ns, kind, number = self.due.pop(0)
            if kind == COUNTDOWN:
                owner = self.state.account(number)
                if owner.countdown_ns == time_ns:
                    owner.countdown_ns = 0

    def is_still_due(self, time_ns: int, kind: int, number: int) -> bool:
        if kind == ORDER:
            terms = self.state.terms.get(number)
            lives = number in self.state.orders or number in self.state.waiting
            return lives and terms is not None and terms.expires_ns == time_ns
        owner = self.state.account(number)
        return owner.countdown_ns == time_ns and has_cancellable(owner)

    def settle(self) -> None:
        """Something else happens now: nothing that is due may be left."""
        if not self.is_first:
            return
        self.is_first = False
        self.skip_done()
        for time_ns, kind, number in self.due:
            if self.is_still_due(time_ns, kind, number):
                what = f"order {number}" if kind == ORDER else f"the countdown of account {number}"
                self.context.report("MATCH-03", f"{what} was due at {time_ns} and is not told")
        self.due = []


def has_cancellable(owner: Account) -> bool:
    """Whether the account has orders, those of halted symbols apart."""
    return any(
        (holding.orders or holding.waiting) and holding.symbol.state != SymbolState.HALTED
        for holding in owner.holdings.values()
    )
