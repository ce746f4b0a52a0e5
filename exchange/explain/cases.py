"""The liquidations of a journal: each from the moment that its pool is flagged to the moment that it is let go.

A liquidation may take several *turns*: a pool that could not be closed stays flagged and is taken up again when its
mark moves.  The engine works off one pool at a time, so the events of a turn stand together.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from exchange.explain.books import Pool
from exchange.explain.source import Source, Step
from exchange.peek import EVENT_START, event_number
from exchange.protocol.messages import (
    Accepted,
    BalanceChanged,
    CollateralChanged,
    DeficitUncovered,
    EntryAccepted,
    EntryRejected,
    Event,
    Fill,
    LiquidationEnded,
    LiquidationOrder,
    LiquidationPosition,
    LiquidationSettled,
    LiquidationStarted,
    MarginWarning,
    OrderCancelled,
    OrderTriggered,
    Rejected,
)
from exchange.protocol.records import decode_events
from exchange.protocol.schema import BalanceCause, CancelReason, FillRole
from exchange.recovery import Say

TELLING = {event_number(name) for name in ("liquidation_started", "liquidation_position")}
TELLING.add(event_number("liquidation_ended"))
OF_LIQUIDATIONS = (FillRole.LIQUIDATED, FillRole.DELEVERAGED)
OF_OTHERS = (FillRole.TAKER, FillRole.AUCTION, FillRole.SETTLEMENT)


class Turn(msgspec.Struct):
    """The events of one pool's turn, and where the first stands among the events of the command."""

    pool: Pool
    first: int
    events: list[Event]

    @property
    def is_over(self) -> bool:
        return isinstance(self.events[-1], LiquidationEnded)


def has_turns(events: bytes) -> bool:
    """Whether a command's events tell of a liquidation at all."""
    offset = 0
    while offset < len(events):
        number, size, _, _ = EVENT_START.unpack_from(events, offset)
        if number in TELLING:
            return True
        offset += size
    return False


def split_turns(events: Sequence[Event]) -> list[Turn]:
    """The turns in the events of one command, in order."""
    turns: list[Turn] = []
    current: Turn | None = None
    cancelled: list[Event] = []  # orders of a pool that is about to be flagged
    for index, event in enumerate(events):
        match event:
            case OrderCancelled(reason=CancelReason.LIQUIDATION):
                current = None
                cancelled.append(event)
                continue
            case OrderCancelled(reason=CancelReason.LINKED) if cancelled:
                cancelled.append(event)  # by one of those
                continue
            case LiquidationStarted():
                pool = Pool(event.account, event.symbol, event.leg)
                current = Turn(pool, index - len(cancelled), [*cancelled, event])
                turns.append(current)
            case LiquidationPosition():
                pool = Pool(event.account, event.pool_symbol, event.leg if event.pool_symbol else 0)
                if current is None or not is_opening(current, pool):
                    current = Turn(pool, index, [])
                    turns.append(current)
                current.events.append(event)
            case LiquidationEnded():
                pool = Pool(event.account, event.symbol, event.leg)
                if current is None or current.pool != pool:
                    current = Turn(pool, index, [])
                    turns.append(current)
                current.events.append(event)
                current = None
            case Accepted() | Rejected() | EntryAccepted() | EntryRejected() | OrderTriggered():
                current = None
            case MarginWarning():
                current = None  # the command is done
            case Fill(role=role) if role in OF_OTHERS:
                current = None
            case BalanceChanged(cause=BalanceCause.AUTO_MARGIN):
                current = None  # another pool has its turn, and is lifted
            case CollateralChanged() | BalanceChanged(cause=BalanceCause.CONVERSION):
                current = None  # assets are sold when all liquidations are over
            case _ if current is not None:
                current.events.append(event)
        cancelled = []
    return turns


def is_opening(turn: Turn, pool: Pool) -> bool:
    """Whether a turn is this pool's, and has told no more than its beginning and its positions."""
    return turn.pool == pool and isinstance(
        turn.events[-1], LiquidationStarted | LiquidationPosition
    )


class Case(msgspec.Struct, kw_only=True):
    """One liquidation in a line: whose, when, and what came of it."""

    number: int  # from 1, by the order in which they began
    account: int
    symbol: int  # of the isolated position; 0: the cross pool
    leg: int
    first_sequence: int
    started_ns: int
    equity_atoms: int  # when it began
    maintenance_atoms: int
    last_sequence: int = 0  # 0: it is not over
    ended_ns: int = 0
    turns: int = 0
    closing_orders: int = 0
    closed_lots: int = 0  # through the book
    deleveraged_lots: int = 0
    balance_change_atoms: int = 0  # of the pool: realised, fees, what the fund paid
    liquidation_fee_atoms: int = 0
    fund_paid_atoms: int = 0
    haircut_atoms: int = 0  # paid into the pool out of the profits of others (ADL-05)
    uncovered_atoms: int = 0

    @property
    def pool(self) -> Pool:
        return Pool(self.account, self.symbol, self.leg)

    @property
    def used_adl(self) -> bool:
        return self.deleveraged_lots > 0

    def take(self, turn: Turn) -> None:
        """Counts what came of one more turn."""
        self.turns += 1
        for event in turn.events:
            if event.account != self.account:
                continue
            match event:
                case LiquidationOrder():
                    self.closing_orders += 1
                case Fill(role=role) if role in OF_LIQUIDATIONS:
                    self.balance_change_atoms += event.realised_atoms
                    if role == FillRole.LIQUIDATED:
                        self.closed_lots += event.qty_lots
                    else:
                        self.deleveraged_lots += event.qty_lots
                case LiquidationSettled():
                    self.liquidation_fee_atoms += event.liquidation_fee_atoms
                    self.fund_paid_atoms += event.fund_paid_atoms
                    self.balance_change_atoms += event.fund_paid_atoms - event.liquidation_fee_atoms
                case BalanceChanged(cause=BalanceCause.FUND_COVER):
                    change = event.wallet_change_atoms + event.margin_change_atoms
                    self.fund_paid_atoms += change
                    self.balance_change_atoms += change
                case BalanceChanged(cause=BalanceCause.HAIRCUT):
                    change = event.wallet_change_atoms + event.margin_change_atoms
                    self.haircut_atoms += change
                    self.balance_change_atoms += change
                case DeficitUncovered():
                    self.uncovered_atoms = event.shortfall_atoms


class CaseFinder:
    """Reads the events of commands in order and keeps the liquidations."""

    def __init__(self) -> None:
        self.cases: list[Case] = []
        self._open: dict[Pool, Case] = {}

    def feed(self, sequence: int, timestamp_ns: int, turns: Sequence[Turn]) -> list[Case]:
        """The turns of one command; gives the case of each."""
        return [self._take(sequence, timestamp_ns, turn) for turn in turns]

    def _take(self, sequence: int, timestamp_ns: int, turn: Turn) -> Case:
        case = self._open.get(turn.pool)
        if case is None:
            started = next(e for e in turn.events if isinstance(e, LiquidationStarted))
            case = Case(
                number=len(self.cases) + 1,
                account=turn.pool.account,
                symbol=turn.pool.symbol,
                leg=turn.pool.leg,
                first_sequence=sequence,
                started_ns=timestamp_ns,
                equity_atoms=started.equity_atoms,
                maintenance_atoms=started.maintenance_atoms,
            )
            self.cases.append(case)
            self._open[turn.pool] = case
        case.take(turn)
        if turn.is_over:
            case.last_sequence, case.ended_ns = sequence, timestamp_ns
            del self._open[turn.pool]
        return case


def find_cases(source: Source, say: Say) -> list[Case]:
    """All liquidations of a journal, by the order in which they began."""
    finder = CaseFinder()
    for _, step in source.replay(say):
        if has_turns(step.events):
            finder.feed(step.sequence, step.timestamp_ns, split_turns(decode_step(step)))
    return finder.cases


def decode_step(step: Step) -> list[Event]:
    return list(decode_events(step.events))
