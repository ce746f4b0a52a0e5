"""What happened in a simulated market, measured from its journal alone.

The journal is replayed into a fresh engine, cut at every mark: what lies between two marks is one step of the day.
Everything in a report - the table, the picture, the checks - comes from the events of this replay and from nothing
that an agent or a node remembers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from exchange.audit import Auditor
from exchange.engine import Engine
from exchange.protocol.messages import (
    BalanceChanged,
    DeficitUncovered,
    Event,
    Fill,
    FundChanged,
    LiquidationEnded,
    LiquidationStarted,
    MarkChanged,
    Rejected,
    SymbolListed,
)
from exchange.protocol.records import decode_events, iter_starts
from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    PPM,
    BalanceCause,
    FillRole,
    FundCause,
    MarginMode,
    Side,
)
from exchange.protocol.views import LevelView
from exchange.sim.paths import MarkPoint

SET_MARK = COMMAND_BY_NAME["set_mark"].number
ORDER_COMMANDS = tuple(COMMAND_BY_NAME[name].number for name in ("place_order", "amend_order"))
DEPTH_WITHIN_PPM = 10_000


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """The market at the end of one step; money in atoms."""

    time_ns: int
    mark_ticks: int
    low_ticks: int  # of the trades of the step; the mark where there was none
    high_ticks: int
    bid_depth_atoms: int  # resting within 1 % of the mark, before the mark moved there
    ask_depth_atoms: int
    fund_atoms: int
    long_atoms: dict[
        int, int
    ]  # margin mode -> notional of the watched accounts' long positions at the mark
    short_atoms: dict[int, int]


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """One fill that closed a liquidated position: through the book, or by auto-deleveraging."""

    time_ns: int
    account: int
    margin_mode: int
    side: int  # of the closing order: a sale closes a long
    notional_atoms: int
    price_ticks: int  # the fill's price; for auto-deleveraging the value over the lots
    by_adl: bool


class FundMove(msgspec.Struct, frozen=True, kw_only=True):
    """A change of an insurance fund."""

    time_ns: int
    cause: int
    change_atoms: int
    balance_atoms: int


class Fate(msgspec.Struct, kw_only=True):
    """What became of one watched account."""

    margin_mode: int = MarginMode.CROSS
    put_in_atoms: int = 0
    left_atoms: int = 0  # at the last mark
    position_lots: int = 0
    liquidations: int = 0

    @property
    def loss_share(self) -> float:
        """Loss as a share of what was put in; negative is a gain."""
        return 1 - self.left_atoms / self.put_in_atoms if self.put_in_atoms else 0.0


class Totals(msgspec.Struct, kw_only=True):
    """Counts and sums of a run."""

    commands: int = 0
    orders: int = 0
    rejected: int = 0
    fills: int = 0
    volume_atoms: int = 0
    liquidations_partial: int = 0  # the pool was healthy again with a position left
    liquidations_full: int = 0
    liquidations_open: int = 0  # not ended at the end of the run
    liquidated_atoms: int = 0  # value closed through the book
    fund_paid_in_atoms: int = 0  # by the operator
    fund_fees_atoms: int = 0
    fund_draws: int = 0
    fund_drawn_atoms: int = 0
    adl_fills: int = 0
    adl_atoms: int = 0  # value closed by auto-deleveraging
    adl_haircut_atoms: int = 0  # by which counterparties got less than the mark
    uncovered_atoms: int = 0

    @property
    def loss_beyond_margin_atoms(self) -> int:
        """What the liquidated lost and could not pay: it fell to the fund, to counterparties, or to nobody yet."""
        return self.fund_drawn_atoms + self.adl_haircut_atoms + self.uncovered_atoms


class Run(msgspec.Struct, kw_only=True):
    """Everything that a report says, in the engine's integers."""

    totals: Totals
    samples: list[Sample]
    closings: list[Closing]
    fund_moves: list[FundMove]
    fates: dict[int, Fate]
    digest: str
    sequence: int


class Recorder:
    """Follows the events of a replay, step by step."""

    def __init__(
        self,
        engine: Engine,
        auditor: Auditor,
        path: Sequence[MarkPoint],
        watched: Iterable[int],
        symbol: int,
    ) -> None:
        self._engine = engine
        self._auditor = auditor
        self._path = path
        self._symbol = symbol
        self._step = -1  # the mark that opens the market comes before the first step
        self._mark_ticks = 0
        self._value_per_tick_lot = 0
        self._fund_atoms = 0
        self._traded: list[int] = []
        self._uncovered: dict[tuple[int, int], int] = {}
        self._open_pools: set[tuple[int, int, int]] = set()
        self.totals = Totals()
        self.samples: list[Sample] = []
        self.closings: list[Closing] = []
        self.fund_moves: list[FundMove] = []
        self.fates = {account: Fate() for account in watched}

    @property
    def _point(self) -> MarkPoint:
        """Where the day is; what follows the last mark counts as of then."""
        return self._path[min(max(0, self._step), len(self._path) - 1)]

    def feed(self, batch: bytes) -> None:
        """Applies one batch of stamped commands."""
        for piece, is_mark in cut_at_marks(batch):
            depth = self._depth() if is_mark else (0, 0)
            events = decode_events(self._engine.apply(piece))
            self._auditor.feed_commands(piece)
            self._auditor.feed(events)
            for number, _, _ in iter_starts(piece):
                self.totals.commands += 1
                self.totals.orders += number in ORDER_COMMANDS
            for event in events:
                self._take(event)
            if is_mark:
                self._end_step(depth)

    def finish(self) -> Run:
        """What is left to everybody, and the verdicts that only the end can give."""
        self._auditor.check()
        self.totals.liquidations_open = len(self._open_pools)
        self.totals.uncovered_atoms = sum(self._uncovered.values())
        for account, fate in self.fates.items():
            positions = self._engine.positions(account)
            fate.left_atoms = self._engine.account(account).wallet_atoms + sum(
                position.margin_atoms + position.unrealised_atoms for position in positions
            )
            fate.margin_mode = positions[0].margin_mode if positions else fate.margin_mode
        return Run(
            totals=self.totals,
            samples=self.samples,
            closings=self.closings,
            fund_moves=self.fund_moves,
            fates=self.fates,
            digest=self._engine.digest(),
            sequence=self._engine.sequence,
        )

    # ---- events

    def _take(self, event: Event) -> None:
        match event:
            case Fill():
                self._take_fill(event)
            case Rejected():
                self.totals.rejected += 1
            case SymbolListed(symbol=self._symbol):
                self._learn_symbol()
            case MarkChanged():
                self._mark_ticks = event.price_ticks
            case FundChanged():
                self._take_fund(event)
            case BalanceChanged(cause=BalanceCause.DEPOSIT):
                if event.account in self.fates:
                    self.fates[event.account].put_in_atoms += event.wallet_change_atoms
            case LiquidationStarted():
                self._open_pools.add((event.account, event.symbol, event.leg))
                if event.account in self.fates:
                    self.fates[event.account].liquidations += 1
            case LiquidationEnded():
                self._take_end(event)
            case DeficitUncovered():
                self._uncovered[event.account, event.symbol] = event.shortfall_atoms
            case _:
                pass

    def _learn_symbol(self) -> None:
        views = {view.symbol: view for view in self._engine.symbols()}
        self._value_per_tick_lot = views[self._symbol].atoms_per_tick_lot

    def _take_fill(self, fill: Fill) -> None:
        if fill.account in self.fates:
            self.fates[fill.account].position_lots = fill.position_lots
            self.fates[fill.account].margin_mode = fill.margin_mode
        if fill.price_ticks:
            self._traded.append(fill.price_ticks)
        totals = self.totals
        if fill.role in (FillRole.TAKER, FillRole.LIQUIDATED):
            totals.fills += 1
            totals.volume_atoms += fill.value_atoms
        elif fill.role == FillRole.ADL_COUNTERPARTY:
            at_mark = fill.qty_lots * self._mark_ticks * self._value_per_tick_lot
            gets = fill.value_atoms if fill.side == Side.SELL else -fill.value_atoms
            should = at_mark if fill.side == Side.SELL else -at_mark
            totals.adl_haircut_atoms += should - gets
        if fill.role in (FillRole.LIQUIDATED, FillRole.DELEVERAGED):
            self._take_closing(fill)

    def _take_closing(self, fill: Fill) -> None:
        by_adl = fill.role == FillRole.DELEVERAGED
        if by_adl:
            self.totals.adl_fills += 1
            self.totals.adl_atoms += fill.value_atoms
        else:
            self.totals.liquidated_atoms += fill.value_atoms
        self.closings.append(
            Closing(
                time_ns=self._point.time_ns,
                account=fill.account,
                margin_mode=fill.margin_mode,
                side=fill.side,
                notional_atoms=fill.value_atoms,
                price_ticks=fill.price_ticks
                or fill.value_atoms // (fill.qty_lots * self._value_per_tick_lot),
                by_adl=by_adl,
            )
        )

    def _take_fund(self, event: FundChanged) -> None:
        self._fund_atoms = event.balance_atoms
        totals = self.totals
        if event.cause == FundCause.DEPOSIT:
            totals.fund_paid_in_atoms += event.change_atoms
        elif event.cause == FundCause.LIQUIDATION_FEE:
            totals.fund_fees_atoms += event.change_atoms
        elif event.cause in (FundCause.LIQUIDATION_DEFICIT, FundCause.DEFICIT_COVER):
            totals.fund_draws += 1
            totals.fund_drawn_atoms -= event.change_atoms
        self.fund_moves.append(
            FundMove(
                time_ns=self._point.time_ns,
                cause=event.cause,
                change_atoms=event.change_atoms,
                balance_atoms=event.balance_atoms,
            )
        )

    def _take_end(self, event: LiquidationEnded) -> None:
        self._open_pools.discard((event.account, event.symbol, event.leg))
        self._uncovered.pop((event.account, event.symbol or self._symbol), None)
        # A pool with nothing left to maintain has no position left.
        if event.maintenance_atoms:
            self.totals.liquidations_partial += 1
        else:
            self.totals.liquidations_full += 1

    # ---- steps

    def _depth(self) -> tuple[int, int]:
        """What rests within 1 % of the price of this step, on each side, when its mark comes."""
        book = self._engine.book(self._symbol)
        price_ticks = self._point.price_ticks

        def within(levels: Iterable[LevelView]) -> int:
            near = [
                x
                for x in levels
                if abs(x.price_ticks - price_ticks) * PPM <= price_ticks * DEPTH_WITHIN_PPM
            ]
            return sum(x.price_ticks * x.qty_lots for x in near) * self._value_per_tick_lot

        return within(book.bids), within(book.asks)

    def _end_step(self, depth: tuple[int, int]) -> None:
        if self._step >= 0:
            notional = self._mark_ticks * self._value_per_tick_lot
            long_atoms = dict.fromkeys((0, 1), 0)
            short_atoms = dict.fromkeys((0, 1), 0)
            for fate in self.fates.values():
                side = long_atoms if fate.position_lots > 0 else short_atoms
                side[fate.margin_mode] += abs(fate.position_lots) * notional
            traded = self._traded or [self._mark_ticks]
            self.samples.append(
                Sample(
                    time_ns=self._point.time_ns,
                    mark_ticks=self._mark_ticks,
                    low_ticks=min(traded),
                    high_ticks=max(traded),
                    bid_depth_atoms=depth[0],
                    ask_depth_atoms=depth[1],
                    fund_atoms=self._fund_atoms,
                    long_atoms=long_atoms,
                    short_atoms=short_atoms,
                )
            )
        self._traded = []
        self._step += 1


def cut_at_marks(batch: bytes) -> Iterator[tuple[bytes, bool]]:
    """The batch in pieces: every set_mark alone, and what lies between.  Says of each piece whether it is a mark."""
    begin = 0
    for number, offset, size in iter_starts(batch):
        if number != SET_MARK:
            continue
        if offset > begin:
            yield batch[begin:offset], False
        begin = offset + size
        yield batch[offset:begin], True
    if begin < len(batch):
        yield batch[begin:], False


def measure(
    batches: Iterable[bytes],
    *,
    engine: Engine,
    auditor: Auditor,
    path: Sequence[MarkPoint],
    watched: Iterable[int],
    symbol: int,
) -> Run:
    """Replays a journal's batches of commands into an empty engine and says what happened."""
    recorder = Recorder(engine, auditor, path, watched, symbol)
    for batch in batches:
        recorder.feed(batch)
    return recorder.finish()
