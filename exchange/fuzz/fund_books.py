"""What funds have paid for each symbol, from the events alone, against what they may."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from exchange.protocol.messages import FundChanged, FundPolicySet


class FundBooks:
    """Adds up what funds pay for symbols since their policies were set."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.policies: dict[int, FundPolicySet] = {}
        self.paid: dict[int, Counter[int]] = defaultdict(Counter)  # symbol -> fund -> in total
        self.payments: dict[int, list[tuple[int, int]]] = defaultdict(list)  # when, and how much

    def on_policy(self, event: FundPolicySet) -> None:
        """Everything is counted anew."""
        self.policies[event.symbol] = event
        self.paid.pop(event.symbol, None)
        self.payments.pop(event.symbol, None)

    def on_change(self, event: FundChanged) -> Iterator[str]:
        """What a payment breaks."""
        policy = self.policies.get(event.symbol)
        if event.change_atoms >= 0 or policy is None:
            return
        paid, payments = self.paid[event.symbol], self.payments[event.symbol]
        paid[event.fund] -= event.change_atoms
        payments.append((self.now_ns, -event.change_atoms))
        is_second = policy.second_cap_atoms != 0 and event.fund == policy.second_fund
        cap = policy.second_cap_atoms if is_second else policy.cap_atoms
        if 0 <= cap < paid[event.fund]:
            yield f"fund {event.fund} paid {paid[event.fund]} for symbol {event.symbol}, at most {cap} may be"
        if not policy.window_ns:
            return
        payments[:] = [entry for entry in payments if entry[0] > self.now_ns - policy.window_ns]
        within = sum(atoms for _, atoms in payments)
        if within > policy.window_cap_atoms:
            yield f"{within} were paid for symbol {event.symbol} in a window of {policy.window_cap_atoms}"
