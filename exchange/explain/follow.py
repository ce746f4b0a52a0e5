"""Follows one account through a journal: the path of its pools, its liquidations, and every change of its money."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from exchange.engine import Engine
from exchange.explain.books import LIST_SYMBOL, Books, Pool, Standing, pool_of
from exchange.explain.cases import Case, CaseFinder, Turn, decode_step, has_turns, split_turns
from exchange.explain.proof import Before, Sums
from exchange.explain.source import Names, Source, Step
from exchange.peek import EVENT_START, event_number
from exchange.protocol.messages import (
    AssetPriceChanged,
    BalanceChanged,
    BracketsChanged,
    CollateralChanged,
    DeficitShared,
    Event,
    Fill,
    FundingRate,
    FundingSettled,
    LiquidationEnded,
    LiquidationSettled,
    LiquidationSized,
    LiquidationStarted,
    MarginModeChanged,
    MarginWarning,
    MarkChanged,
)
from exchange.protocol.schema import BalanceCause, MarginMode
from exchange.recovery import Say

#: Events that are nobody's and move pools.
MOVES_POOLS = {
    event_number(name) for name in ("mark_changed", "brackets_changed", "asset_price_changed")
}
#: Events of a symbol that are nobody's and move the pools that hold it.
OF_SYMBOLS = (MarkChanged, FundingSettled, BracketsChanged)
#: Events in which the engine says what a pool is worth and needs.
WEIGHING = (LiquidationStarted, LiquidationSized, DeficitShared, LiquidationEnded)
#: Events of an account that move its money, its positions or its flags.
MOVING = (
    Fill,
    BalanceChanged,
    LiquidationSettled,
    CollateralChanged,
    MarginModeChanged,
    LiquidationStarted,
    LiquidationEnded,
)


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A pool at one moment."""

    sequence: int
    timestamp_ns: int
    command: str
    causes: tuple[Event, ...]  # what moved it there
    marks: dict[int, int]  # of the symbols it holds
    equity_atoms: int
    maintenance_atoms: int


class Told(msgspec.Struct, kw_only=True):
    """One turn of a liquidation: its command and its events."""

    sequence: int
    timestamp_ns: int
    command: str
    events: list[Event]
    others: list[Case]  # pools that had their turn in the same command, after this one
    after: Standing


class Story(msgspec.Struct, kw_only=True):
    """A liquidation with everything that is needed to tell it."""

    case: Case
    path: list[Point]  # from when the pool had its first position to the last turn
    turns: list[Told]
    sums: Sums


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One event that moved an account's money, and what it left behind."""

    sequence: int
    timestamp_ns: int
    command: str
    event: Event
    partner: int  # the other side of a deleveraging; 0: none
    rate: FundingRate | None  # of a funding payment, where the engine computed it
    pool: Pool
    wallet_atoms: int
    margin_atoms: int
    position_lots: int
    equity_atoms: int
    maintenance_atoms: int


class Follower:
    """Reads commands in order and keeps what belongs to one account.

    Attributes:
        stories: the account's liquidations, in the order in which they began.
        rows: every event that moved its money, with what it left; and its warnings (MARGIN-10).
    """

    def __init__(self, account: int, names: Names) -> None:
        self.account = account
        self.names = names
        self.books = Books()
        names.assets = self.books.assets
        self.finder = CaseFinder()
        self.stories: list[Story] = []
        self.rows: list[Row] = []
        self._open: dict[Pool, Story] = {}
        self._paths: dict[Pool, list[Point]] = {}  # by pool of the account
        self._has_collateral = False
        #: What the engine knows more of a pool than the books.
        self._offsets: dict[Pool, Standing] = {}

    def feed(self, engine: Engine, step: Step) -> None:
        """One command with its events."""
        if (
            step.number == LIST_SYMBOL
            and step.events
            and len(engine.symbols()) > len(self.books.symbols)
        ):
            self.books.list_symbol(step.record)
            self.names.learn(engine)
        turns = has_turns(step.events)
        if not turns and not self._concerns(step.events):
            self.books.feed_raw(step.events)
            return
        events = decode_step(step)
        self._read(engine, step, events, split_turns(events) if turns else [])
        self._note_pools(engine, step, events)

    def _concerns(self, events: bytes) -> bool:
        """Whether an event is the account's, or moves the mark of something that it holds."""
        offset = 0
        while offset < len(events):
            number, size, account, _ = EVENT_START.unpack_from(events, offset)
            if account == self.account or (number in MOVES_POOLS and self._paths):
                return True
            offset += size
        return False

    # -------------------------------------------------------------------------------- one command

    def _read(
        self, engine: Engine, step: Step, events: Sequence[Event], turns: Sequence[Turn]
    ) -> None:
        """Feeds the books event by event, so that every row and every turn sees them as they were."""
        cases = self.finder.feed(step.sequence, step.timestamp_ns, turns)
        starting = {
            turn.first: (turn, case, cases[index + 1 :])
            for index, (turn, case) in enumerate(zip(turns, cases, strict=True))
            if case.account == self.account
        }
        story: Story | None = None
        before: Before | None = None
        left = 0
        for index, event in enumerate(events):
            if index in starting:
                turn, case, others = starting[index]
                story = self._story_of(case, step, events[: turn.first])
                others = [other for other in others if other.pool != case.pool]
                story.turns.append(self._told(step, turn, others))
                before, left = story.sums.begin(turn.events, self.books), len(turn.events)
            self.books.feed(event)
            self._weigh(event, story)
            if story is not None and before is not None:
                story.sums.add(event, self.books)
                left -= 1
                if left == 0:
                    story.sums.finish(before, self.books)
                    story.turns[-1].after = self._standing(story.case.pool)
                    self._close(story)
                    story = before = None
            self._add_row(step, events, index)

    def _weigh(self, event: Event, story: Story | None) -> None:
        """Where the engine says what a pool is worth, that holds."""
        if isinstance(event, CollateralChanged) and event.account == self.account:
            self._has_collateral = True
        if story is None or event.account != self.account or not isinstance(event, WEIGHING):
            return
        said = Standing(event.equity_atoms, event.maintenance_atoms)
        self._offsets[story.case.pool] = said.less(self.books.standing(story.case.pool))

    def _told(self, step: Step, turn: Turn, others: list[Case]) -> Told:
        return Told(
            sequence=step.sequence,
            timestamp_ns=step.timestamp_ns,
            command=step.command,
            events=turn.events,
            others=others,
            after=Standing(0, 0),
        )

    def _story_of(self, case: Case, step: Step, events: Sequence[Event]) -> Story:
        story = self._open.get(case.pool)
        held = {h.symbol for h in self.books.positions(case.pool)}
        if story is not None:
            if held:
                causes = self._causes(events, case.pool, held)
                self._note_point(step, case.pool, causes, self._standing(case.pool), held)
            return story
        standing = Standing(case.equity_atoms, case.maintenance_atoms)
        self._note_point(step, case.pool, self._causes(events, case.pool, held), standing, held)
        story = Story(
            case=case, path=list(self._paths[case.pool]), turns=[], sums=Sums(case.account)
        )
        self._open[case.pool] = story
        self.stories.append(story)
        return story

    def _close(self, story: Story) -> None:
        if isinstance(story.turns[-1].events[-1], LiquidationEnded):
            del self._open[story.case.pool]

    # ------------------------------------------------------------------------------- pools and rows

    def _standing(self, pool: Pool) -> Standing:
        """A pool as the books say it, with what the engine said more of it after the last command."""
        standing = self.books.standing(pool)
        offset = self._offsets.get(pool)
        return standing if offset is None else standing.plus(offset)

    def _note_pools(self, engine: Engine, step: Step, events: Sequence[Event]) -> None:
        """After a command: what each pool of the account is worth and needs, as the engine says it."""
        for pool in self._pools():
            standing = engine_standing(engine, pool)
            books = self.books.standing(pool)
            self._offsets[pool] = standing.less(books)
            self._weigh_last_row(step, pool, standing)
            held = {h.symbol for h in self.books.positions(pool)}
            if not held:
                if pool not in self._open:
                    self._paths.pop(pool, None)
                continue
            causes = self._causes(events, pool, held)
            if causes:
                self._note_point(step, pool, causes, standing, held)

    def _weigh_last_row(self, step: Step, pool: Pool, standing: Standing) -> None:
        """What a command leaves of a pool is what the engine says."""
        for index in range(len(self.rows) - 1, -1, -1):
            row = self.rows[index]
            if row.sequence != step.sequence:
                return
            if row.pool == pool:
                self.rows[index] = msgspec.structs.replace(
                    row,
                    equity_atoms=standing.equity_atoms,
                    maintenance_atoms=standing.maintenance_atoms,
                )
                return

    def _causes(self, events: Sequence[Event], pool: Pool, held: set[int]) -> tuple[Event, ...]:
        """What moved a pool that holds these symbols."""
        return tuple(
            e
            for e in events
            if (isinstance(e, MOVING) and may_move(e, pool))
            or (isinstance(e, OF_SYMBOLS) and e.symbol in held)
            or (isinstance(e, FundingRate) and e.final and e.symbol in held)
            or (isinstance(e, AssetPriceChanged) and self._has_collateral)
        )

    def _note_point(
        self,
        step: Step,
        pool: Pool,
        causes: tuple[Event, ...],
        standing: Standing,
        held: set[int],
    ) -> None:
        point = Point(
            sequence=step.sequence,
            timestamp_ns=step.timestamp_ns,
            command=step.command,
            causes=causes,
            marks={symbol: self.books.symbols[symbol].mark for symbol in sorted(held)},
            equity_atoms=standing.equity_atoms,
            maintenance_atoms=standing.maintenance_atoms,
        )
        self._paths.setdefault(pool, []).append(point)
        story = self._open.get(pool)
        if story is not None:
            story.path.append(point)

    def _pools(self) -> list[Pool]:
        """The pools in which the account has, or just had, something."""
        owned = self.books.holdings.get(self.account, {}).values()
        return sorted(
            {Pool(self.account), *self._paths, *(pool_of(self.account, h) for h in owned)}
        )

    def _add_row(self, step: Step, events: Sequence[Event], index: int) -> None:
        event = events[index]
        if event.account != self.account or not isinstance(event, (*MOVING, MarginWarning)):
            return
        symbol = getattr(event, "symbol", 0)
        leg = getattr(event, "leg", 0)
        holding = self.books.holding(self.account, symbol, leg) if symbol else None
        pool = pool_of(self.account, holding) if holding else Pool(self.account)
        standing = self._standing(pool)
        self.rows.append(
            Row(
                sequence=step.sequence,
                timestamp_ns=step.timestamp_ns,
                command=step.command,
                event=event,
                partner=partner_of(events, index),
                rate=rate_of(events, index),
                pool=pool,
                wallet_atoms=self.books.wallets.get(self.account, 0),
                margin_atoms=holding.margin_atoms if holding else 0,
                position_lots=holding.lots if holding else 0,
                equity_atoms=standing.equity_atoms,
                maintenance_atoms=standing.maintenance_atoms,
            )
        )


def engine_standing(engine: Engine, pool: Pool) -> Standing:
    """Equity and maintenance of a pool, as the engine answers it."""
    if not pool.symbol:
        view = engine.account(pool.account)
        return Standing(view.equity_atoms, view.maintenance_atoms)
    for position in engine.positions(pool.account):
        is_it = (position.symbol, position.leg) == (pool.symbol, pool.leg)
        if is_it and position.margin_mode == MarginMode.ISOLATED:
            return Standing(position.equity_atoms, position.maintenance_atoms)
    return Standing(0, 0)


def rate_of(events: Sequence[Event], index: int) -> FundingRate | None:
    """The computed rate that a payment of funding follows from (FUNDING-02)."""
    paid = events[index]
    if not isinstance(paid, BalanceChanged) or paid.cause != BalanceCause.FUNDING:
        return None
    rates = (e for e in reversed(events[:index]) if isinstance(e, FundingRate) and e.final)
    return next((rate for rate in rates if rate.symbol == paid.symbol), None)


def may_move(event: Event, pool: Pool) -> bool:
    """Whether an event moves a pool: the cross pool any of the account, an isolated one those of its position."""
    if event.account != pool.account or not pool.symbol:
        return event.account == pool.account
    return (getattr(event, "symbol", 0), getattr(event, "leg", 0)) == (pool.symbol, pool.leg)


def partner_of(events: Sequence[Event], index: int) -> int:
    """The account on the other side of a fill: the two have one trade id and stand side by side."""
    event = events[index]
    if not isinstance(event, Fill):
        return 0
    for other in (*events[max(0, index - 1) : index], *events[index + 1 : index + 2]):
        if isinstance(other, Fill) and other.trade_id == event.trade_id:
            return other.account
    return 0


def follow(source: Source, account: int, say: Say, until: int = 0) -> Follower:
    """Follows an account through a whole journal, or up to and including a command."""
    follower = Follower(account, Names(source))
    for engine, step in source.replay(say):
        follower.feed(engine, step)
        if step.sequence == until:
            break
    return follower
