"""The last 24 hours of a symbol: open, high, low, last, volume, turnover, trades, open interest, mark.

Theory of operation.  Trades are gathered by minutes of the sequencer's time.  The window is the present minute and the
1,439 before it; sums are kept while minutes come and go, the high and the low are looked for again only when the minute
that held them leaves, so a trade costs the same however many there were.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from exchange.gateway import feed as market
from exchange.peek import EVENT_START, event_number, field_reader
from exchange.protocol.schema import FillRole, Side
from exchange.protocol.views import FundingView, PriceView, SymbolView

read_accepted = field_reader("accepted", "timestamp_ns")
read_rejected = field_reader("rejected", "timestamp_ns")
read_fill = field_reader("fill", "symbol", "side", "role", "price_ticks", "qty_lots", "value_atoms")
read_listed = field_reader("symbol_listed", "symbol")
ACCEPTED, REJECTED = map(event_number, ("accepted", "rejected"))
FILL, LISTED = map(event_number, ("fill", "symbol_listed"))
MINUTE_NS = 60 * 10**9
WINDOW_MINUTES = 24 * 60
MOST = (1 << 64) - 1  # that a message can say; a day's sum may be more


class Minute:
    """The trades of one minute."""

    __slots__ = ("high", "low", "number", "open", "trades", "turnover_atoms", "volume_lots")

    def __init__(self, number: int, price_ticks: int) -> None:
        self.number = number  # minutes since the epoch
        self.open = self.high = self.low = price_ticks
        self.volume_lots = self.turnover_atoms = self.trades = 0


class RollingStatistics:
    """Counts what happens to one symbol.

    >>> rolling = RollingStatistics(1)
    >>> rolling.pass_time(10 * MINUTE_NS)
    >>> rolling.trade(price_ticks=100, qty_lots=2, value_atoms=200)
    >>> rolling.trade(price_ticks=90, qty_lots=1, value_atoms=90)
    >>> (rolling.open_ticks, rolling.high_ticks, rolling.low_ticks, rolling.last_ticks, rolling.volume_lots)
    (100, 100, 90, 90, 3)
    >>> rolling.pass_time((10 + WINDOW_MINUTES) * MINUTE_NS)
    >>> (rolling.high_ticks, rolling.last_ticks, rolling.volume_lots)
    (0, 90, 0)
    """

    def __init__(self, symbol: int) -> None:
        self.symbol = symbol
        self.changed = False
        self.last_ticks = 0
        self.mark_ticks = 0
        self.mark_held = False
        self.prices: dict[int, PriceView] = {}  # by source
        self.funding: FundingView | None = None  # the rate so far
        self.open_interest_lots = 0
        self.high_ticks = 0
        self.low_ticks = 0
        self.volume_lots = 0
        self.turnover_atoms = 0
        self.trade_count = 0
        self._counting_since_ns = -1  # when the first time was told
        self._minute = 0
        self._minutes: deque[Minute] = deque()

    @property
    def open_ticks(self) -> int:
        """Price of the first trade in the window; 0: there is none."""
        return self._minutes[0].open if self._minutes else 0

    @property
    def since_ns(self) -> int:
        """Where the window begins: at the start of a minute, or where counting began if that is later."""
        start_ns = (self._minute - WINDOW_MINUTES + 1) * MINUTE_NS
        return max(start_ns, self._counting_since_ns, 0)

    def pass_time(self, timestamp_ns: int) -> None:
        """Lets the minutes that are too old leave the window."""
        if self._counting_since_ns < 0:
            self._counting_since_ns = timestamp_ns
        minute = timestamp_ns // MINUTE_NS
        if minute == self._minute:
            return
        self._minute = minute
        oldest = minute - WINDOW_MINUTES + 1
        if self._minutes and self._minutes[0].number < oldest:
            self._drop_before(oldest)

    def trade(self, *, price_ticks: int, qty_lots: int, value_atoms: int) -> None:
        """Counts one trade, at the time that was last told."""
        if not self._minutes or self._minutes[-1].number != self._minute:
            self._minutes.append(Minute(self._minute, price_ticks))
        minute = self._minutes[-1]
        minute.high = max(minute.high, price_ticks)
        minute.low = min(minute.low, price_ticks)
        minute.volume_lots += qty_lots
        minute.turnover_atoms += value_atoms
        minute.trades += 1
        self.high_ticks = max(self.high_ticks, price_ticks)
        self.low_ticks = min(self.low_ticks or price_ticks, price_ticks)
        self.last_ticks = price_ticks
        self.volume_lots += qty_lots
        self.turnover_atoms += value_atoms
        self.trade_count += 1
        self.changed = True

    def move_position(self, side: int, qty_lots: int, position_lots: int) -> None:
        """Half of a fill: somebody who bought or sold so much now has this signed position."""
        before_lots = position_lots - (qty_lots if side == Side.BUY else -qty_lots)
        change_lots = max(position_lots, 0) - max(before_lots, 0)
        self.open_interest_lots += change_lots
        self.changed = True

    def move_mark(self, price_ticks: int) -> None:
        self.mark_ticks = price_ticks
        self.changed = True

    def set_price(self, price: PriceView) -> None:
        self.prices[price.source] = price
        self.changed = True

    def keep_feeds(self, max_feeds: int) -> None:
        """What a mark policy leaves of the prices from outside; -1: none, the mark is set by hand."""
        self.prices = {s: price for s, price in self.prices.items() if s <= max_feeds}
        self.changed = True

    def set_funding(self, funding: FundingView | None) -> None:
        self.funding = funding
        self.changed = True

    def hold_mark(self, held: bool) -> None:
        self.mark_held = held
        self.changed = True

    def _drop_before(self, oldest: int) -> None:
        left_high = left_low = False
        while self._minutes and self._minutes[0].number < oldest:
            minute = self._minutes.popleft()
            self.volume_lots -= minute.volume_lots
            self.turnover_atoms -= minute.turnover_atoms
            self.trade_count -= minute.trades
            left_high = left_high or minute.high == self.high_ticks
            left_low = left_low or minute.low == self.low_ticks
        if left_high:
            self.high_ticks = max((m.high for m in self._minutes), default=0)
        if left_low:
            self.low_ticks = min((m.low for m in self._minutes), default=0)
        self.changed = True

    def message(
        self, *, epoch: int, sequence: int, engine_sequence: int, timestamp_ns: int
    ) -> market.Statistics:
        """What subscribers are told."""
        return market.Statistics(
            epoch=epoch,
            sequence=sequence,
            engine_sequence=engine_sequence,
            timestamp_ns=timestamp_ns,
            symbol=self.symbol,
            since_ns=self.since_ns,
            open_ticks=self.open_ticks,
            high_ticks=self.high_ticks,
            low_ticks=self.low_ticks,
            last_ticks=self.last_ticks,
            volume_lots=min(self.volume_lots, MOST),
            turnover_atoms=min(self.turnover_atoms, MOST),
            trade_count=self.trade_count,
            open_interest_lots=self.open_interest_lots,
            mark_ticks=self.mark_ticks,
            mark_held=self.mark_held,
            prices=[self.prices[source] for source in sorted(self.prices)],
            funding=self.funding,
        )


class StatisticsDesk:
    """The statistics of every symbol.

    A node gives it the events that it replays when it starts, so that the window goes on over a restart as far back as
    the journal was read; open interest and mark are then the engine's.
    """

    def __init__(self) -> None:
        self._symbols: dict[int, RollingStatistics] = {}
        self._minute = -1
        self._timestamp_ns = 0

    def __getitem__(self, symbol: int) -> RollingStatistics:
        return self._symbols[symbol]

    def list_symbol(self, symbol: int) -> None:
        self._symbols[symbol] = RollingStatistics(symbol)
        self._symbols[symbol].pass_time(self._timestamp_ns)

    def load(self, views: Iterable[SymbolView], timestamp_ns: int) -> None:
        """Takes over where the symbols stand in an engine that was recovered."""
        self.pass_time(timestamp_ns)
        for view in views:
            if view.symbol not in self._symbols:
                self.list_symbol(view.symbol)
            statistics = self._symbols[view.symbol]
            statistics.open_interest_lots = view.open_interest_lots
            statistics.mark_ticks = view.mark_ticks
            statistics.mark_held = view.mark_held
            statistics.prices = {price.source: price for price in view.prices}
            statistics.funding = view.funding
            statistics.changed = False

    def pass_time(self, timestamp_ns: int) -> list[int]:
        """Moves every window to this time; returns the symbols whose figures changed by that."""
        self._timestamp_ns = timestamp_ns
        minute = timestamp_ns // MINUTE_NS
        if minute == self._minute:
            return []
        self._minute = minute
        for statistics in self._symbols.values():
            statistics.pass_time(timestamp_ns)
        return [symbol for symbol, statistics in self._symbols.items() if statistics.changed]

    def take_changed(self, symbol: int) -> bool:
        """Whether there is something new to tell of a symbol."""
        statistics = self._symbols[symbol]
        changed, statistics.changed = statistics.changed, False
        return changed

    def feed(self, events: bytes) -> None:
        """Counts the trades of replayed events; their time is that of the command before them."""
        offset = 0
        while offset < len(events):
            number, size, _, _ = EVENT_START.unpack_from(events, offset)
            if number == ACCEPTED:
                self.pass_time(read_accepted(events, offset)[0])
            elif (
                number == REJECTED
            ):  # behind it may be trades, of liquidations by funding that is due
                self.pass_time(read_rejected(events, offset)[0])
            elif number == LISTED:
                self.list_symbol(read_listed(events, offset)[0])
            elif number == FILL:
                self._feed_fill(*read_fill(events, offset))
            offset += size

    def _feed_fill(
        self, symbol: int, side: int, role: int, price: int, lots: int, value: int
    ) -> None:
        if symbol not in self._symbols:  # listed before the snapshot that the replay began at
            self.list_symbol(symbol)
        if is_print(role, side):
            self._symbols[symbol].trade(price_ticks=price, qty_lots=lots, value_atoms=value)


def is_print(role: int, side: int) -> bool:
    """Whether this half of a fill stands for a trade: the taker's, or the buy of an auction.

    Auto-deleveraging and settlement have no price that anybody traded at.
    """
    return role in (FillRole.TAKER, FillRole.LIQUIDATED) or (
        role == FillRole.AUCTION and side == Side.BUY
    )
