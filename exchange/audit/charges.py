"""Which symbol is charged for what a cross pool is below zero (FUND-01; I13), held to what marks did.

What a symbol is charged grows by no more than what its own mark or funding cost the pool in the same command, and all
charges of a pool add up to what it is below zero.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from exchange.audit.context import Context
from exchange.audit.funds import budget_of
from exchange.audit.requirement import pool_standing
from exchange.audit.state import Account, Holding, Symbol, cross_pool
from exchange.protocol.schema import BudgetLimit


class Claim(NamedTuple):
    """Whose funds are asked, what they may pay, and what bounds that."""

    symbol: Symbol
    atoms: int
    limited_by: BudgetLimit


class ChargeAudit:
    """Follows what is charged to whom."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.state = context.state
        #: What moves of a symbol cost an account's cross pool in this command: (account, symbol) -> atoms.
        self.falls: Counter[tuple[int, int]] = Counter()
        self.told: dict[int, dict[int, int]] = {}  # by account: not compared yet
        self.known: set[int] = set()  # accounts whose charges were told in this command

    def on_mark(self, symbol: Symbol, change: int) -> None:
        """The value of a lot has changed."""
        for holding in symbol.holders.values():
            if not holding.isolated:
                self.falls[holding.account, symbol.number] -= holding.lots * change

    def on_funding(self, holding: Holding, change: int) -> None:
        """Funding was paid from a pool."""
        if not holding.isolated:
            self.falls[holding.account, holding.symbol.number] -= change

    def on_charged(self, account: int, symbol: int, atoms: int) -> None:
        """A liquidation is taken up, and tells what is charged to a symbol."""
        self.told.setdefault(account, {})[symbol] = atoms

    def ask(self, holding: Holding) -> None:
        """Funds are about to be asked for the pool of a position: its charges are what it is below zero."""
        if holding.isolated:
            return
        owner = holding.owner
        equity, _, has_position = pool_standing(self.state, cross_pool(owner.number))
        missing = max(0, -equity) if has_position else 0
        told = self.told.pop(owner.number, None)
        if told is not None:
            self.take_over(owner, told, missing)
        more = sum(owner.charged.values()) - missing
        if more < 0 or (missing and owner.number not in self.known):
            self.context.report(
                "I13",
                f"{-more} atoms that account {owner.number} is below zero are charged to nobody",
            )
        for symbol in sorted(owner.charged):
            less = max(0, min(owner.charged[symbol], more))
            more -= less
            self.settle(owner, symbol, less)

    def take_over(self, owner: Account, told: dict[int, int], missing: int) -> None:
        """I13: nobody is charged more than its own move cost, and all together what is missing."""
        context, number = self.context, owner.number
        self.known.add(number)
        context.expect("I13", f"what is charged for account {number}", missing, sum(told.values()))
        for symbol, atoms in told.items():
            most = owner.charged.get(symbol, 0) + max(0, self.falls.pop((number, symbol), 0))
            if atoms > most and not owner.counting:  # an asset that fell is nobody's move
                context.report(
                    "I13",
                    f"symbol {symbol} is charged {atoms} for account {number}, and has cost it {most}",
                )
        owner.charged = dict(told)

    @staticmethod
    def settle(owner: Account, symbol: int, atoms: int) -> None:
        """So much less is charged to a symbol."""
        if atoms:
            left = owner.charged.pop(symbol, 0) - atoms
            if left > 0:
                owner.charged[symbol] = left

    def claim(self, holding: Holding) -> Claim:
        """The symbol whose funds can pay most of what is charged to it; of equals the smallest."""
        context = self.context
        found = []
        for number, atoms in sorted(holding.owner.charged.items()):
            if holding.isolated:
                break
            symbol = self.state.symbols[number]
            budget, limited_by = budget_of(context, symbol, holding.pool)
            if atoms < budget:
                budget, limited_by = atoms, BudgetLimit.DEFICIT
            found.append(Claim(symbol, budget, limited_by))
        if not found:
            return Claim(holding.symbol, *budget_of(context, holding.symbol, holding.pool))
        return max(found, key=lambda claim: claim.atoms)

    def on_ended(self, account: int, symbol: int) -> None:
        if not symbol:
            self.state.accounts[account].charged = {}

    def begin(self) -> None:
        """A new command."""
        self.falls.clear()
        self.told.clear()
        self.known.clear()


def funds_of(symbol: Symbol) -> set[int]:
    """The funds that pay for a symbol."""
    second = {symbol.caps.second_fund} if symbol.caps.second_cap else set()
    return {symbol.policy.fund, *second}


class Bearing(NamedTuple):
    """What funds bear of closing a position: claim, the closed symbol's budget, whether one takes from the other."""

    claim: Claim
    own: int
    own_by: BudgetLimit
    tied: bool

    def of_one_lot(self, below_zero: int) -> tuple[int, BudgetLimit]:
        """LIQ-06."""
        if below_zero > self.claim.atoms:
            return self.claim.atoms, self.claim.limited_by
        if self.tied:
            return max(self.own, below_zero), self.own_by
        return below_zero + self.own, self.own_by

    def of_a_fill(self, whole: int, below_zero: int, short: int, symbol: int) -> tuple[int, ...]:
        """LIQ-07: (lots, budget, shortfall, what bounds the budget, the symbol charged) of what bears least."""
        bounds = []
        own_short = short if self.tied else short - below_zero
        if own_short > 0:
            bounds.append((self.own * whole // own_short, self.own, own_short, self.own_by, symbol))
        if below_zero > 0:
            lots = self.claim.atoms * whole // below_zero
            charged = self.claim.symbol.number
            bounds.append((lots, self.claim.atoms, below_zero, self.claim.limited_by, charged))
        return min(bounds, key=lambda bound: bound[0])


def bearing_of(charges: ChargeAudit, holding: Holding) -> Bearing:
    """Who bears what of closing a position as things stand."""
    charges.ask(holding)
    claim, symbol = charges.claim(holding), holding.symbol
    own, own_by = budget_of(charges.context, symbol, holding.pool)
    tied = claim.symbol is symbol or symbol.policy.draw_cap_atoms >= 0
    return Bearing(claim, own, own_by, tied or bool(funds_of(claim.symbol) & funds_of(symbol)))
