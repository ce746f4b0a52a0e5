"""What a symbol keeps of its policies of prices and funding: what the operator said, and what has come in since."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from exchange.protocol.schema import MAX_FEEDS

INDEX = 0  # the source that is the index


class Price(NamedTuple):
    """A price from outside, and when it came; 0: none."""

    price_ticks: int = 0
    received_ns: int = 0


@dataclass(slots=True, eq=False)
class MarkPolicy:
    """MARK-02: how a composite mark is made, and of what."""

    max_feeds: int
    max_age_ns: int
    ema_ns: int  # time constant
    basis_q20: int = 0  # average distance of the mid from the index, in ticks x 2^20
    basis_at_ns: int = 0  # when it was averaged last
    prices: list[Price] = field(default_factory=lambda: [Price()] * (MAX_FEEDS + 1))

    @property
    def index(self) -> Price:
        return self.prices[INDEX]

    def is_fresh(self, price: Price, now_ns: int) -> bool:
        """A price that is older than the policy's age drops out."""
        return price.price_ticks > 0 and now_ns - price.received_ns <= self.max_age_ns


@dataclass(slots=True, eq=False)
class FundingPolicy:
    """FUNDING-02: how a funding rate is computed, and what the interval has brought so far."""

    interval_ns: int
    sample_ns: int
    interest_ppb: int
    clamp_ppb: int
    max_rate_ppb: int
    impact_notional_atoms: int
    next_sample_ns: int = 0  # 0: never
    next_funding_ns: int = 0  # 0: never
    premium_sum_ppb: int = 0
    samples: int = 0  # sample times that count

    @property
    def premium_ppb(self) -> int:
        """The average premium so far, rounded towards zero; 0 without a sample."""
        average = abs(self.premium_sum_ppb) // self.samples if self.samples else 0
        return average if self.premium_sum_ppb >= 0 else -average
