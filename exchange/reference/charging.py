"""FUND-01: which symbol is charged where a pool is below zero, and what its funds and those of a closed symbol bear.

Theory of operation.  A pool gets below zero because a mark moved, or funding was paid: of one symbol.  What it is
short then is charged to that symbol, whatever is closed first, and also when its position is gone.  So much, and not
more, is noted with the account (``Account.charged``) until it is paid or the pool has recovered.  What a closing fill
brings less than the mark is charged to the symbol that is closed.  An isolated pool has but one symbol.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from exchange.protocol.schema import BudgetLimit
from exchange.reference import funds, margin
from exchange.reference.context import Context
from exchange.reference.funds import Budget
from exchange.reference.state import CROSS, Account, Pool, Position, State, Symbol


def note(state: State, account: Account, mover: int = 0) -> None:
    """Notes all that the cross pool is below zero: more of it with the symbol that moved, less of it there first.

    Where no symbol moved - an asset that counts fell - more is noted with the position that is closed first.
    """
    charged, missing = account.charged, deficit_atoms(state, account.cross)
    more = missing - sum(charged.values())
    if more > 0:
        symbol = mover or closed_first(state, account.cross).symbol.number
        charged[symbol] = charged.get(symbol, 0) + more
    elif more < 0:
        for symbol in [mover, *charged] if mover in charged else list(charged):
            less = min(charged.get(symbol, 0), -more)
            more += less
            settle_charge(account, symbol, less)


def deficit_atoms(state: State, pool: Pool) -> int:
    """What a pool with positions is below zero."""
    return max(0, -margin.equity_atoms(state, pool)) if margin.positions_of(state, pool) else 0


def closed_first(state: State, pool: Pool) -> Position:
    """LIQ-03: the position with the largest MM."""
    return max(margin.positions_of(state, pool), key=margin.maintenance_of_position)


def settle_charge(account: Account, symbol: int, atoms: int) -> None:
    """So much less is charged to a symbol."""
    if atoms:
        account.charged[symbol] -= atoms
        if not account.charged[symbol]:
            del account.charged[symbol]


class Claim(NamedTuple):
    """The symbol whose funds are asked for what a pool is below zero, and what they may pay of it."""

    symbol: Symbol
    may_pay: Budget


def claim(ctx: Context, position: Position) -> Claim:
    """Of the symbols that are charged the one whose funds can pay most of it, of equals the smallest."""
    state, pool, now_ns = ctx.state, position.pool, ctx.timestamp_ns
    claims = []
    if position.mode == CROSS:
        for number, atoms in position.owner.charged.items():
            budget = funds.budget(state, state.symbols[number], pool, now_ns)
            charge = Budget(atoms, BudgetLimit.DEFICIT)
            claims.append(Claim(state.symbols[number], min(budget, charge, key=by_atoms)))
    if not claims:
        return Claim(position.symbol, funds.budget(state, position.symbol, pool, now_ns))
    return max(claims, key=lambda found: found.may_pay.atoms)


def by_atoms(budget: Budget) -> int:
    return budget.atoms


@dataclass(slots=True, frozen=True)
class Bearing:
    """What funds bear of a closing order: of what was below zero before, and of what the fill itself loses."""

    claim: Claim
    own: Budget  # of the symbol that is closed
    is_tied: bool  # what the claim takes is lost to the other

    def for_one_lot(self, below_zero: int) -> Budget:
        """LIQ-06: what they bear of one lot, of which so much is below zero at the mark."""
        first = self.claim.may_pay
        if below_zero > first.atoms:
            return first
        own = max(0, self.own.atoms - below_zero) if self.is_tied else self.own.atoms
        return Budget(below_zero + own, self.own.limited_by)

    def lots(self, whole: int, below_zero: int, shortfall: int) -> Borne:
        """LIQ-07: the most lots that they bear of a position that would be so much short."""
        own = shortfall if self.is_tied else shortfall - below_zero
        most = [Borne(self.own.atoms * whole // own, self.own, own, 0)] if own > 0 else []
        if below_zero > 0:
            budget = self.claim.may_pay
            most.append(Borne(budget.atoms * whole // below_zero, budget, below_zero, 1))
        return min(most, key=lambda borne: borne.lots)


class Borne(NamedTuple):
    """A bound of a closing fill: lots, whose budget, and what that is short for the whole position."""

    lots: int
    budget: Budget
    shortfall: int
    of_claim: int


def bearing(ctx: Context, position: Position) -> Bearing:
    """Who bears what of closing a position as things stand."""
    if position.mode == CROSS:
        note(ctx.state, position.owner)
    found = claim(ctx, position)
    symbol = position.symbol
    own = funds.budget(ctx.state, symbol, position.pool, ctx.timestamp_ns)
    is_tied = (
        found.symbol is symbol
        or symbol.draw_cap_atoms >= 0
        or bool(funds_of(found.symbol) & funds_of(symbol))
    )
    return Bearing(found, own, is_tied)


def funds_of(symbol: Symbol) -> set[int]:
    """The funds that pay for a symbol."""
    drawing = symbol.drawing
    if drawing is None or not drawing.policy.second_cap_atoms:
        return {symbol.fund}
    return {symbol.fund, drawing.policy.second_fund}
