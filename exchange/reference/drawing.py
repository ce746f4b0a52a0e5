"""FUND-01: what a symbol keeps of its funds: how much they may pay for it, and what they have paid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from exchange.protocol.schema import WINDOW_PARTS
from exchange.reference.arithmetic import ceil_div


class FundPolicy(NamedTuple):
    """What the funds pay for a symbol at most; the numbers of set_fund_policy."""

    cap_atoms: int = -1
    second_fund: int = 0
    second_cap_atoms: int = 0
    window_ns: int = 0
    window_cap_atoms: int = -1


NO_POLICY = FundPolicy()


@dataclass(slots=True)
class Drawing:
    """A symbol's policy and what was paid for it since."""

    policy: FundPolicy
    own_atoms: int = 0  # paid by its own fund
    second_atoms: int = 0  # by the second one
    last_part: int = 0  # when something was paid last, in parts of the window
    parts: dict[int, int] = field(default_factory=dict)  # what was paid in each part

    def part_of(self, now_ns: int) -> int:
        """The number of a part of the window: parts stand still, and the window moves over them."""
        return now_ns // ceil_div(self.policy.window_ns, WINDOW_PARTS)

    def in_window(self, now_ns: int) -> int:
        """What was paid in the part that is now and the sixteen before it, so in the window for sure."""
        first = self.part_of(now_ns) - WINDOW_PARTS
        return sum(paid for part, paid in self.parts.items() if part >= first)

    def note(self, own: int, second: int, now_ns: int) -> None:
        """Something was paid."""
        self.own_atoms += own
        self.second_atoms += second
        if self.policy.window_ns:
            part = self.last_part = self.part_of(now_ns)
            self.parts[part] = self.parts.get(part, 0) + own + second
            self.parts = {p: paid for p, paid in self.parts.items() if p >= part - WINDOW_PARTS}
