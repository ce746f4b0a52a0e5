"""FUND-01: which funds pay for a symbol, how much at most, and who pays first.

Nobody else asks how much a fund may pay: limits of closing orders, their shrinking and the deficit stage all ask
``budget``, and all payments go through ``pay``.
"""

from __future__ import annotations

from typing import NamedTuple

from exchange.protocol.messages import SetFundPolicy
from exchange.protocol.schema import (
    MAX_AMOUNT_ATOMS,
    MAX_WINDOW_NS,
    BudgetLimit,
    FundCause,
    RejectReason,
)
from exchange.reference.context import Context
from exchange.reference.drawing import NO_POLICY, Drawing, FundPolicy
from exchange.reference.state import Pool, State, Symbol, fund_balance


class Budget(NamedTuple):
    """What may still be paid, and what bounds it."""

    atoms: int
    limited_by: BudgetLimit


def budget(state: State, symbol: Symbol, pool: Pool, now_ns: int) -> Budget:
    """LIQ-06: what the funds of a symbol may still pay for a pool in this liquidation; never below 0."""
    bounds = [
        Budget(sum(holdings(state, symbol)), BudgetLimit.HOLDINGS),
        Budget(sum(rooms(state, symbol)), BudgetLimit.SYMBOL_CAP),
    ]
    if symbol.draw_cap_atoms >= 0:
        left = symbol.draw_cap_atoms - pool.drawn_atoms
        bounds.append(Budget(max(0, left), BudgetLimit.DRAW_CAP))
    drawing = symbol.drawing
    if drawing is not None and drawing.policy.window_ns:
        left = drawing.policy.window_cap_atoms - drawing.in_window(now_ns)
        bounds.append(Budget(max(0, left), BudgetLimit.WINDOW_CAP))
    return min(bounds, key=lambda bound: bound.atoms)  # of equals the first


def holdings(state: State, symbol: Symbol) -> tuple[int, int]:
    """What the symbol's own fund and its second one hold."""
    own = fund_balance(state, symbol.fund)
    drawing = symbol.drawing
    if drawing is None or not drawing.policy.second_cap_atoms:
        return own, 0
    return own, fund_balance(state, drawing.policy.second_fund)


def rooms(state: State, symbol: Symbol) -> tuple[int, int]:
    """What each of them may pay by its cap, the first one first."""
    own, second = holdings(state, symbol)
    drawing = symbol.drawing
    if drawing is None:
        return own, second
    policy = drawing.policy
    if policy.cap_atoms >= 0:
        own = min(own, policy.cap_atoms - drawing.own_atoms)
    if policy.second_cap_atoms >= 0:
        second = min(second, policy.second_cap_atoms - drawing.second_atoms)
    return own, second


def pay(ctx: Context, symbol: Symbol, pool: Pool, atoms: int, cause: FundCause) -> None:
    """FUND-01: the symbol's own fund pays first, the second one what is left; the pool has drawn that much more."""
    own = min(atoms, rooms(ctx.state, symbol)[0])
    second = atoms - own
    pool.drawn_atoms += atoms
    drawing = symbol.drawing
    if drawing is not None:
        drawing.note(own, second, ctx.timestamp_ns)
    if own:
        ctx.change_fund(symbol.fund, symbol.number, cause, -own)
    if second:
        assert drawing is not None, (symbol.number, atoms)
        ctx.change_fund(drawing.policy.second_fund, symbol.number, cause, -second)


# ------------------------------------------------------------------------------------------- the command


def set_fund_policy(ctx: Context, command: SetFundPolicy) -> None:
    """FUND-01: other caps from now on, whatever the symbol's state; what was paid before does not count."""
    policy = FundPolicy(
        command.cap_atoms,
        command.second_fund,
        command.second_cap_atoms,
        command.window_ns,
        command.window_cap_atoms,
    )
    reason = check_policy(ctx.state, command.symbol, policy)
    if reason is not None:
        ctx.reject(command.number, 0, reason)
        return
    ctx.accept(command.number, 0)
    ctx.state.symbols[command.symbol].drawing = None if policy == NO_POLICY else Drawing(policy)
    ctx.events.write("fund_policy_set", 0, symbol=command.symbol, **policy._asdict())


def check_policy(state: State, number: int, policy: FundPolicy) -> RejectReason | None:
    """FUND-01: every number is a cap or none; a window has a cap; a second fund is another, and may pay."""
    if number not in state.symbols:
        return RejectReason.UNKNOWN_SYMBOL
    caps = (policy.cap_atoms, policy.second_cap_atoms, policy.window_cap_atoms)
    if not all(-1 <= cap <= MAX_AMOUNT_ATOMS for cap in caps):
        return RejectReason.INVALID_POLICY
    has_window, has_cap = policy.window_ns != 0, policy.window_cap_atoms >= 0
    if not 0 <= policy.window_ns <= MAX_WINDOW_NS or has_window != has_cap:
        return RejectReason.INVALID_WINDOW
    is_own = policy.second_fund == state.symbols[number].fund
    if is_own if policy.second_cap_atoms else policy.second_fund:
        return RejectReason.INVALID_SECOND_FUND
    return None
