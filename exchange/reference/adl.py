"""ADL: who takes over a position that nobody bought, in which order, how many lots, and at what cost.  Pure.

Four policies share one shape.  Everybody on the other side is *ranked*; then a *plan* says for each how many lots it
gives, at which value, and what that costs it against the mark.  Nothing moves here: ``deleveraging`` carries it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from exchange.protocol.schema import AdlPolicy
from exchange.reference.arithmetic import ceil_div
from exchange.reference.bankruptcy import part_of_value
from exchange.reference.margin import equity_atoms, positions_of, unrealised_atoms
from exchange.reference.state import Pool, Position, State

#: The wallet of a stand-in of a pocket venue, and its profit: more than all exposure limits together (UNITS-01).
STAND_IN_ATOMS = 1 << 61

#: Ranks are compared by these, the smallest first; the account decides between equals.
RankKey: TypeAlias = tuple[bool, bool, Fraction, int]


@dataclass(slots=True, eq=False)
class Counterparty:
    """A position on the other side: what it is ranked by, and what the plan asks of it."""

    position: Position
    unrealised: int
    notional: int
    entry_value: int  # without sign
    equity: int  # of its pool
    net_notional: int  # of its pool, long less short; 0 where the policy does not look at it
    lots: int = 0
    value: int = 0  # what the lots are given for
    haircut: int = 0  # what giving costs against the mark

    @property
    def account(self) -> int:
        return self.position.owner.number

    @property
    def score(self) -> Fraction:
        """ADL-01: profit times leverage; of a loss, loss over leverage."""
        equity = max(1, self.equity)
        if self.unrealised > 0:
            return Fraction(self.unrealised * self.notional, self.entry_value * equity)
        return Fraction(self.unrealised * equity, self.entry_value * self.notional)

    def hedges(self, lots: int) -> bool:
        """ADL-05: without so many of its lots the pool's net notional would be further from zero."""
        given = self.position.symbol.notional_atoms(lots) * (1 if self.position.lots > 0 else -1)
        return abs(self.net_notional - given) > abs(self.net_notional)


@dataclass(slots=True, frozen=True)
class Stage:
    """One position that is deleveraged: its size and side, its value V, and what V costs against the mark."""

    position: Position
    value: int

    @property
    def lots(self) -> int:
        return abs(self.position.lots)

    @property
    def is_long(self) -> bool:
        return self.position.lots > 0

    @property
    def cost(self) -> int:
        """What the other side gives up if it takes the whole position at V: 0 or more, as V is for a deficit."""
        at_mark = self.position.symbol.notional_atoms(self.lots)
        return self.value - at_mark if self.is_long else at_mark - self.value

    def value_of(self, done: int, lots: int) -> int:
        """ADL-02: V of some lots after others, so that the parts add up to V."""
        return part_of_value(
            self.value, done + lots, self.lots, is_long=self.is_long
        ) - part_of_value(self.value, done, self.lots, is_long=self.is_long)


# ------------------------------------------------------------------------------------------------ ranking


def net_notional_atoms(state: State, pool: Pool) -> int:
    """ADL-05: the signed notionals of a pool's positions, long less short."""
    return sum(
        p.symbol.notional_atoms(p.lots) * (1 if p.lots > 0 else -1)
        for p in positions_of(state, pool)
    )


def measure(state: State, position: Position) -> Counterparty:
    """What a position is ranked by, as things stand."""
    looks_at_net = position.symbol.adl_policy == AdlPolicy.NET_EXPOSURE_AWARE
    return Counterparty(
        position,
        STAND_IN_ATOMS if position.owner.stands_in else unrealised_atoms(position),
        position.symbol.notional_atoms(position.lots),
        abs(position.entry_value_atoms),
        equity_atoms(state, position.pool),
        net_notional_atoms(state, position.pool) if looks_at_net else 0,
    )


def on_side_of(state: State, position: Position, *, same: bool) -> list[Counterparty]:
    """The positions of the symbol on the same side as this one, or those of others on the other, by account."""
    return [
        measure(state, other)
        for other in position.symbol.positions.values()
        if (other.lots * position.lots > 0) == same and (same or other.owner is not position.owner)
    ]


def rank_key(other: Counterparty, asked_lots: int, most: int) -> RankKey:
    """ADL-01, ADL-05: what the symbol's policy orders by, if so many lots are asked for and it may give so many.

    By equity who would lose the largest part of its position comes first; whoever cannot give comes last.
    """
    policy = other.position.symbol.adl_policy
    if policy == AdlPolicy.PRO_RATA_BY_EQUITY:
        return (
            most == 0,
            False,
            Fraction(most, other.equity) if most else Fraction(0),
            other.account,
        )
    lots = min(asked_lots, abs(other.position.lots))
    is_last = policy == AdlPolicy.NET_EXPOSURE_AWARE and other.hedges(lots)
    return (is_last, other.unrealised <= 0, -other.score, other.account)


def place_of(state: State, position: Position) -> tuple[int, int]:
    """ADL-04: (place, from 1, of how many) of a position, should all of the other side have to be closed."""
    beside = on_side_of(state, position, same=True)

    def key(other: Counterparty) -> RankKey:
        lots = abs(other.position.lots)
        return rank_key(other, lots, lots if other.equity > 0 else 0)

    own = next(key(other) for other in beside if other.position is position)
    return 1 + sum(key(other) < own for other in beside), len(beside)


# ----------------------------------------------------------------------------------------------- the plans


def plan(state: State, stage: Stage) -> list[Counterparty]:
    """ADL-05: everybody on the other side by rank, with what each gives; lots that nobody gives are left over."""
    others = on_side_of(state, stage.position, same=False)
    policy = stage.position.symbol.adl_policy
    if policy == AdlPolicy.PRO_RATA_BY_EQUITY:
        return give_by_equity(stage, others)
    others.sort(key=lambda other: rank_key(other, stage.lots, 0))
    if policy == AdlPolicy.MARK_PRICED:
        give_at_mark(stage, others)
    else:
        give_in_turn(stage, others)
    return others


def give(stage: Stage, other: Counterparty, done: int, lots: int) -> None:
    """ADL-02: so many lots after others, at their part of V."""
    other.lots, other.value = lots, stage.value_of(done, lots)
    at_mark = stage.position.symbol.notional_atoms(lots)
    other.haircut = other.value - at_mark if stage.is_long else at_mark - other.value


def give_in_turn(stage: Stage, ranked: list[Counterparty]) -> None:
    """ADL-01: each gives all it has, as long as lots are left; whoever would end below zero is passed over."""
    done = 0
    for other in ranked:
        lots = min(stage.lots - done, abs(other.position.lots))
        give(stage, other, done, lots)
        if would_end_below_zero(other):
            other.lots = other.value = other.haircut = 0
        done += other.lots


def would_end_below_zero(other: Counterparty) -> bool:
    """ADL-01: what it is to give is more than its pool is worth."""
    return other.equity < other.haircut


def give_by_equity(stage: Stage, others: list[Counterparty]) -> list[Counterparty]:
    """ADL-05: lots in proportion to equity, nobody more than it has or can bear."""
    most = {other: bearable_lots(stage, other) for other in others}
    ranked = sorted(others, key=lambda other: rank_key(other, stage.lots, most[other]))
    able = [other for other in ranked if most[other]]
    done = 0
    parts = share_out(stage.lots, [(most[other], other.equity) for other in able])
    for other, lots in zip(able, parts, strict=True):
        give(stage, other, done, lots)
        done += lots
    return ranked


def bearable_lots(stage: Stage, other: Counterparty) -> int:
    """ADL-05: lots that a pool surely bears at V; one atom is kept back, because the parts of V are rounded."""
    if other.equity <= 0:
        return 0
    lots = abs(other.position.lots)
    return min(lots, (other.equity - 1) * stage.lots // stage.cost) if stage.cost > 0 else lots


def share_out(total: int, claims: list[tuple[int, int]]) -> list[int]:
    """ADL-05: a total by (most, weight), the smallest most / weight first, each rounded up; gives what each gets.

    In this order whoever is held back by its most comes before all who are not, so one walk is exact.

    >>> share_out(10, [(1, 5), (9, 5), (90, 5)])
    [1, 5, 4]
    """
    weights = sum(weight for _, weight in claims)
    parts = []
    for most, weight in claims:
        part = min(most, ceil_div(total * weight, weights))
        total, weights = total - part, weights - weight
        parts.append(part)
    return parts


def give_at_mark(stage: Stage, ranked: list[Counterparty]) -> None:
    """ADL-05: lots at the mark, in turn; what is missing is taken from everybody's profit, pro rata to it.

    Only as many lots as those profits pay for.
    """
    winners = [other for other in ranked if profit_at_stake(other)]
    winners.sort(key=lambda w: (Fraction(profit_at_stake(w), w.unrealised), w.account))
    able = [other for other in ranked if other.equity >= 0]
    lots = min(stage.lots, sum(abs(other.position.lots) for other in able))
    if stage.cost > 0:
        lots = min(lots, sum(map(profit_at_stake, winners)) * stage.lots // stage.cost)
    missing = ceil_div(stage.cost * lots, stage.lots)
    claims = [(profit_at_stake(winner), winner.unrealised) for winner in winners]
    for winner, haircut in zip(winners, share_out(missing, claims), strict=True):
        winner.haircut = haircut
    for other in able:
        other.lots = min(lots, abs(other.position.lots))
        other.value = other.position.symbol.notional_atoms(other.lots)
        lots -= other.lots


def profit_at_stake(other: Counterparty) -> int:
    """ADL-05: what can be taken of a winner's profit without its pool falling below zero."""
    return max(0, min(other.unrealised, other.equity))
