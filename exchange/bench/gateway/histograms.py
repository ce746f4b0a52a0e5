"""Latencies as HDR histograms: percentiles, and the curves of a picture.

The generator counts in the same buckets (native/histogram.pxd), so nothing is lost on the way here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from exchange.errors import ExchangeError

HIGHEST_NS = 3_600_000_000_000
DIGITS = 3
Pairs = Iterable[tuple[int, int]]  # nanoseconds, how many
#: Up to which percentiles a curve is drawn: each is half as far from all as the one before.
HALVINGS = 24


class Percentiles(msgspec.Struct, frozen=True):
    """In microseconds, of so many orders."""

    count: int
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float


def new_histogram() -> Any:
    try:
        from hdrh.histogram import HdrHistogram
    except ImportError:
        raise ExchangeError(
            'the gateway is measured with hdrhistogram: pip install "perpetual-exchange[bench]"'
        ) from None
    return HdrHistogram(1, HIGHEST_NS, DIGITS)


class Latencies:
    """What one or several runs took.

    >>> latencies = Latencies([(1_000, 98), (50_000, 2)])
    >>> latencies.percentiles()
    Percentiles(count=100, p50_us=1.0, p99_us=50.0, p999_us=50.0, max_us=50.0)
    """

    def __init__(self, pairs: Pairs = ()) -> None:
        self._histogram = new_histogram()
        self.add(pairs)

    def add(self, pairs: Pairs) -> None:
        for value_ns, count in pairs:
            self._histogram.record_value(max(1, value_ns), count)

    def at(self, percentile: float) -> float:
        """In microseconds."""
        return float(self._histogram.get_value_at_percentile(percentile)) / 1000

    def percentiles(self) -> Percentiles:
        return Percentiles(
            count=self._histogram.get_total_count(),
            p50_us=lowest(self.at(50)),
            p99_us=lowest(self.at(99)),
            p999_us=lowest(self.at(99.9)),
            max_us=lowest(self._histogram.get_max_value() / 1000),
        )

    def curve(self) -> Iterator[tuple[float, float]]:
        """Percentile and microseconds, closer and closer to the largest."""
        count = self._histogram.get_total_count()
        for step in range(4 * HALVINGS):
            outside = 0.5 ** (step / 4)
            if count * outside < 1:
                break
            yield 100 * (1 - outside), self.at(100 * (1 - outside))


def lowest(us: float) -> float:
    """A value of a histogram without the digits that it does not have.

    >>> lowest(50.015)
    50.0
    """
    return float(f"{us:.{DIGITS}g}")
