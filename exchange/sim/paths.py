"""The days that are replayed: real prices, minute by minute, and how deep the book was.

A day is a small file of one-minute bars (exchange/data/README.md says from where).  A bar is walked through its
corners: open, low, high, close if it closed above its open, else open, high, low, close.  What a trader of the day
saw every fifteen seconds is roughly that.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from importlib import resources

import msgspec

from exchange.units import SymbolUnits

NS_PER_S = 1_000_000_000
MINUTE_NS = 60 * NS_PER_S
CORNERS = 4


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a day that can be replayed.  Minutes count from the first bar of its file."""

    name: str
    source: str
    calm_until: int  # the minute in which the fall begins
    quick: tuple[int, int]  # the minutes that a quick run takes: from, to


DAYS: dict[str, Day] = {
    "2025-10-10": Day(
        name="2025-10-10",
        source="mark: Binance BTCUSD_PERP; depth: Binance BTCUSDT",
        calm_until=30,
        quick=(18, 74),
    ),
    "2020-03-12": Day(
        name="2020-03-12", source="price: BitMEX XBTUSD", calm_until=16, quick=(0, 52)
    ),
}


class Bar(msgspec.Struct, frozen=True):
    """One minute of a day, in US dollars, and the depth of the book as a share of the usual."""

    start_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    depth_ppm: int

    def corners(self) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """The way through the minute.

        >>> Bar(0, Decimal(5), Decimal(9), Decimal(2), Decimal(7), 1_000_000).corners()
        (Decimal('5'), Decimal('2'), Decimal('9'), Decimal('7'))
        """
        if self.close > self.open:
            return self.open, self.low, self.high, self.close
        return self.open, self.high, self.low, self.close


class MarkPoint(msgspec.Struct, frozen=True):
    """The price at one moment of the replayed day."""

    time_ns: int  # of the day, not of the replay
    price_ticks: int
    depth_ppm: int


def load_bars(day: str) -> list[Bar]:
    """The bars of a shipped day.

    >>> len(load_bars("2025-10-10"))
    110
    """
    if day not in DAYS:
        raise ValueError(f"no day {day!r} is shipped; there are {', '.join(DAYS)}")
    file = resources.files("exchange").joinpath(f"data/day-{day}.csv")
    return [_bar(row) for row in csv.DictReader(file.read_text().splitlines())]


def choose_bars(day: Day, *, quick: bool = False) -> tuple[list[Bar], int]:
    """The bars to replay, and how many minutes of them are calm.

    >>> [len(choose_bars(DAYS["2025-10-10"], quick=quick)[0]) for quick in (False, True)]
    [110, 56]
    """
    bars = load_bars(day.name)
    first, last = day.quick if quick else (0, len(bars))
    return bars[first:last], day.calm_until - first


def mark_path(bars: Sequence[Bar], units: SymbolUnits, parts: int = 1) -> list[MarkPoint]:
    """The marks of these bars; with ``parts`` above 1 the way between two corners is cut into so many.

    >>> units = SymbolUnits(Decimal("0.1"), Decimal("0.001"))
    >>> [point.price_ticks for point in mark_path(load_bars("2025-10-10")[:1], units)]
    [1167187, 1166732, 1167274, 1167237]
    """
    corners = [
        MarkPoint(
            bar.start_ns + index * MINUTE_NS // CORNERS, units.price_to_ticks(price), bar.depth_ppm
        )
        for bar in bars
        for index, price in enumerate(bar.corners())
    ]
    return list(_cut(corners, parts))


def _cut(corners: list[MarkPoint], parts: int) -> Iterator[MarkPoint]:
    for here, there in zip(corners, [*corners[1:], corners[-1]], strict=True):
        for part in range(parts):
            yield MarkPoint(
                here.time_ns + MINUTE_NS // CORNERS * part // parts,
                here.price_ticks + (there.price_ticks - here.price_ticks) * part // parts,
                here.depth_ppm,
            )


def _bar(row: dict[str, str]) -> Bar:
    start = datetime.strptime(row["minute_utc"], "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
    prices = {name: Decimal(row[name]) for name in ("open", "high", "low", "close")}
    return Bar(int(start.timestamp()) * NS_PER_S, **prices, depth_ppm=int(row["depth_ppm"]))
