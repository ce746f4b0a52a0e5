"""Auto-deleveraging as it ought to be, from the rules' own words: who is ranked where, what each gives (ADL-01..05).

Theory of operation.  When a position begins to be deleveraged, the other side stands as the events so far have told.
So the whole plan can be written down at that moment: every counterparty in its turn, its lots, its value, its haircut.
What the engine then does is held against it, turn by turn.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TypeAlias

from exchange.audit.requirement import notional_of, part_of, pool_standing
from exchange.audit.state import Holding, State
from exchange.protocol.schema import AdlPolicy

Key: TypeAlias = tuple[int, int, Fraction, int]


class Turn:
    """A position on the other side: what it is ranked by, and what it has to give."""

    __slots__ = (
        "entry",
        "equity",
        "haircut",
        "holding",
        "lots",
        "net",
        "notional",
        "profit",
        "rank",
        "value",
    )

    def __init__(self, state: State, holding: Holding) -> None:
        self.holding = holding
        self.profit = holding.unrealised
        self.notional = notional_of(holding)
        self.entry = abs(holding.entry)
        self.equity = pool_standing(state, holding.pool)[0]
        self.net = 0
        if holding.symbol.adl_policy == AdlPolicy.NET_EXPOSURE_AWARE:
            self.net = sum(h.lots * h.symbol.mark_value for h in state.pool_holdings(holding.pool))
        self.rank = self.lots = self.value = self.haircut = 0

    @property
    def held(self) -> int:
        return abs(self.holding.lots)

    @property
    def at_stake(self) -> int:
        """What may be taken of its profit."""
        return max(0, min(self.profit, self.equity))

    def by_score(self) -> Key:
        """ADL-01: profit before loss, then the score, then the account."""
        floor = max(1, self.equity)
        top, bottom = (self.notional, floor) if self.profit > 0 else (floor, self.notional)
        return (
            0,
            int(self.profit <= 0),
            -Fraction(self.profit * top, self.entry * bottom),
            self.holding.account,
        )

    def by_exposure(self, asked: int) -> Key:
        """ADL-05: as by score, but whoever would be left with more at risk comes after everybody else."""
        lots = min(asked, self.held) * (1 if self.holding.lots > 0 else -1)
        left = self.net - lots * self.holding.symbol.mark_value
        return (int(abs(left) > abs(self.net)), *self.by_score()[1:])

    def by_part(self, most: int) -> Key:
        """ADL-05: who is held back most, measured at its equity; whoever gives nothing is last."""
        if not most:
            return (1, 0, Fraction(0), self.holding.account)
        return (0, 0, Fraction(most, self.equity), self.holding.account)


def place_of(state: State, holding: Holding) -> tuple[int, int]:
    """ADL-04: (place, candidates) of a position among those of its side, if all of it were asked for."""
    policy = holding.symbol.adl_policy

    def key(turn: Turn) -> Key:
        if policy == AdlPolicy.PRO_RATA_BY_EQUITY:
            return turn.by_part(turn.held if turn.equity > 0 else 0)
        if policy == AdlPolicy.NET_EXPOSURE_AWARE:
            return turn.by_exposure(turn.held)
        return turn.by_score()

    beside = [
        Turn(state, other)
        for other in holding.symbol.holders.values()
        if (other.lots > 0) == (holding.lots > 0)
    ]
    beside.sort(key=key)
    return 1 + [turn.holding for turn in beside].index(holding), len(beside)


class Stage:
    """The deleveraging of one position at V: who has to give what, in which order."""

    def __init__(self, state: State, holding: Holding, value: int) -> None:
        self.holding, self.value = holding, value
        self.whole = abs(holding.lots)
        self.is_long = holding.lots > 0
        at_mark = notional_of(holding)
        self.cost = value - at_mark if self.is_long else at_mark - value
        self.policy = holding.symbol.adl_policy
        self.turns = [
            Turn(state, other)
            for other in holding.symbol.holders.values()
            if (other.lots > 0) != self.is_long and other.owner is not holding.owner
        ]
        self.plan()
        for rank, turn in enumerate(self.turns, start=1):
            turn.rank = rank
        self.candidates = len(self.turns)
        self.ranked = [turn for turn in self.turns if turn.lots or turn.haircut]  # still to be told
        self.givers = [turn for turn in self.turns if turn.lots]  # still to be filled
        self.left = self.whole - sum(turn.lots for turn in self.givers)
        self.missing = sum(turn.haircut for turn in self.turns)  # moved by haircuts, at the mark
        self.telling: Turn | None = None  # the counterparty whose place was told last

    def plan(self) -> None:
        """ADL-05."""
        if self.policy == AdlPolicy.PRO_RATA_BY_EQUITY:
            self.plan_parts()
        elif self.policy == AdlPolicy.MARK_PRICED:
            self.turns.sort(key=Turn.by_score)
            self.plan_at_mark()
        else:
            is_aware = self.policy == AdlPolicy.NET_EXPOSURE_AWARE
            self.turns.sort(key=lambda t: t.by_exposure(self.whole) if is_aware else t.by_score())
            self.plan_in_turn()

    def price(self, turn: Turn, done: int, lots: int) -> None:
        """ADL-02: the part of V for these lots."""
        until, before = (
            part_of(self.value, count, self.whole, is_long=self.is_long)
            for count in (done + lots, done)
        )
        at_mark = lots * turn.holding.symbol.mark_value
        turn.lots, turn.value = lots, until - before
        turn.haircut = turn.value - at_mark if self.is_long else at_mark - turn.value

    def plan_in_turn(self) -> None:
        done = 0
        for turn in self.turns:
            lots = min(self.whole - done, turn.held)
            if not lots:
                return
            self.price(turn, done, lots)
            if turn.equity < turn.haircut:
                turn.lots = turn.value = turn.haircut = 0
            done += turn.lots

    def plan_parts(self) -> None:
        most: dict[Turn, int] = {}
        for turn in self.turns:
            bearable = turn.held
            if self.cost > 0:
                bearable = (turn.equity - 1) * self.whole // self.cost
            most[turn] = min(turn.held, bearable) if turn.equity > 0 else 0
        self.turns.sort(key=lambda turn: turn.by_part(most[turn]))
        able = [turn for turn in self.turns if most[turn]]
        parts = parts_of(self.whole, [most[t] for t in able], [t.equity for t in able])
        done = 0
        for turn, lots in zip(able, parts, strict=True):
            if lots:
                self.price(turn, done, lots)
            done += lots

    def plan_at_mark(self) -> None:
        winners = [turn for turn in self.turns if turn.at_stake]
        winners.sort(key=lambda t: (Fraction(t.at_stake, t.profit), t.holding.account))
        lots = min(self.whole, sum(turn.held for turn in self.turns if turn.equity >= 0))
        stake = sum(turn.at_stake for turn in winners)
        if stake < self.cost:
            lots = min(lots, stake * self.whole // self.cost)
        missing = -(-self.cost * lots // self.whole)
        parts = parts_of(missing, [t.at_stake for t in winners], [t.profit for t in winners])
        for turn, haircut in zip(winners, parts, strict=True):
            turn.haircut = haircut
        for turn in self.turns:
            if turn.equity >= 0:
                turn.lots = min(lots, turn.held)
                turn.value = turn.lots * turn.holding.symbol.mark_value
                lots -= turn.lots


def parts_of(total: int, most: list[int], weights: list[int]) -> list[int]:
    """ADL-05: a total by weight, nobody above its most; rounded up one after the other, so that it is exact."""
    parts, heavy = [], sum(weights)
    for bound, weight in zip(most, weights, strict=True):
        part = min(bound, -(-total * weight // heavy))
        parts.append(part)
        total -= part
        heavy -= weight
    return parts
