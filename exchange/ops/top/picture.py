"""What is known of a node, and how fast it changes.  No I/O.

>>> rate = Rate()
>>> rate.take(100, at_s=0.0), rate.take(160, at_s=2.0), rate.take(5, at_s=4.0)
(0.0, 30.0, 0.0)
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any

import msgspec

from exchange.gateway.feed import BookSnapshot, Statistics
from exchange.protocol.messages import DeficitUncovered, Event, LiquidationOrder
from exchange.protocol.views import SymbolView
from exchange.units import E12, EXACT, SymbolUnits, plain

MAX_ROUND_TRIPS = 120  # looked back on
MAX_LIQUIDATIONS = 100


class Rate:
    """How fast a number that only rises does so, between the last two looks; 0 where it was started anew."""

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None
        self.per_s = 0.0

    def take(self, value: float, at_s: float) -> float:
        if self._before is not None and at_s > self._before[1]:
            self.per_s = max(0.0, (value - self._before[0]) / (at_s - self._before[1]))
        self._before = value, at_s
        return self.per_s


class Look(msgspec.Struct, kw_only=True):
    """What one look at a node brought."""

    at_s: float  # of a clock that never goes back
    round_trip_s: float
    ping: dict[str, Any]
    symbols: list[SymbolView]
    books: dict[int, BookSnapshot]
    statistics: dict[int, Statistics]
    funds: dict[int, int]  # number -> balance_atoms
    fees_atoms: int
    uncovered: bool
    status: dict[str, Any] | None  # of the operator's door, if it answers


class Liquidation(msgspec.Struct, frozen=True):
    """A closing order or an uncovered deficit, and when it was."""

    timestamp_ns: int
    event: LiquidationOrder | DeficitUncovered


class Picture:
    """A node as one sees it: the last look, what was heard since, and rates."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.last: Look | None = None
        self.away = ""  # why it does not answer; empty: it does
        self.away_since_s = 0.0
        self.liquidations: deque[Liquidation] = deque(maxlen=MAX_LIQUIDATIONS)
        self.commands = Rate()
        self.trades: dict[int, Rate] = {}
        self._round_trips: deque[float] = deque(maxlen=MAX_ROUND_TRIPS)

    def take(self, look: Look) -> None:
        self.last, self.away = look, ""
        self._round_trips.append(look.round_trip_s)
        self.commands.take(look.ping["sequence"], look.at_s)
        for symbol, statistics in look.statistics.items():
            self.trades.setdefault(symbol, Rate()).take(statistics.trade_count, look.at_s)

    def miss(self, why: str, at_s: float) -> None:
        """The node did not answer."""
        self.away_since_s = self.away_since_s if self.away else at_s
        self._round_trips.clear()
        self.away = why

    def hear(self, timestamp_ns: int, event: Event) -> None:
        """Something came on the stream of liquidations."""
        if isinstance(event, LiquidationOrder | DeficitUncovered):
            self.liquidations.append(Liquidation(timestamp_ns, event))

    def trades_per_s(self, symbol: int) -> float:
        rate = self.trades.get(symbol)
        return 0.0 if rate is None else rate.per_s

    def round_trip_s(self) -> tuple[float, float]:
        """The median of the last ones, and the worst."""
        times = sorted(self._round_trips)
        return (times[len(times) // 2], times[-1]) if times else (0.0, 0.0)

    def view(self, symbol: int) -> SymbolView | None:
        looked = self.last.symbols if self.last else []
        return next((view for view in looked if view.symbol == symbol), None)


def units_of(view: SymbolView) -> SymbolUnits:
    """The steps of a symbol, to say its prices and quantities in."""
    tick, lot = (
        plain(EXACT.multiply(E12, Decimal(step)))
        for step in (view.tick_size_e12, view.lot_size_e12)
    )
    return SymbolUnits(tick, lot, view.name)
