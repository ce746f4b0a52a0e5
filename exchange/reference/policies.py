"""What the operator changes of a symbol while it trades: its brackets and rates, its caps."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from exchange.protocol.messages import SetRiskLimits
from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    MAX_EXPOSURE_ATOMS,
    PPM,
    RejectReason,
    SymbolState,
)
from exchange.reference.context import Context
from exchange.reference.listing import bracket_numbers, make_brackets
from exchange.reference.operations import check_holders
from exchange.reference.state import Bracket, Limits, State

SET_BRACKETS = COMMAND_BY_NAME["set_brackets"].number
_BRACKETS = struct.Struct("<" + COMMAND_BY_NAME["set_brackets"].body_format)


@dataclass(slots=True, frozen=True)
class BracketChange:
    """What a set_brackets record asks for; its table is None if it may not be."""

    symbol: int
    initial_margin_ppm: int
    brackets: tuple[Bracket, ...] | None


def read_brackets(body: bytes) -> BracketChange:
    symbol, rate, count, *rows = _BRACKETS.unpack(body)
    entries = list(zip(rows[0::3], rows[1::3], rows[2::3], strict=True))
    table = make_brackets(entries[:count]) if 1 <= count <= len(entries) else None
    return BracketChange(symbol, rate, table)


def set_brackets(ctx: Context, body: bytes) -> None:
    """MARGIN-03: another table at once, for what is open as for what comes; no money moves by it."""
    change = read_brackets(body)
    reason = check_brackets(ctx.state, change)
    if reason is not None:
        ctx.reject(SET_BRACKETS, 0, reason)
        return
    ctx.accept(SET_BRACKETS, 0)
    symbol, brackets = ctx.state.symbols[change.symbol], change.brackets
    assert brackets, change
    symbol.brackets, symbol.initial_margin_ppm = brackets, change.initial_margin_ppm
    ctx.events.write(
        "brackets_changed",
        0,
        symbol=symbol.number,
        initial_margin_ppm=symbol.initial_margin_ppm,
        bracket_count=len(brackets),
        brackets=bracket_numbers(brackets),
    )
    check_holders(ctx, symbol)


def check_brackets(state: State, change: BracketChange) -> RejectReason | None:
    """Listing: what is asked of brackets and rate there."""
    if change.symbol not in state.symbols:
        return RejectReason.UNKNOWN_SYMBOL
    if change.brackets is None:
        return RejectReason.INVALID_BRACKETS
    if not 1 <= change.initial_margin_ppm <= PPM:
        return RejectReason.INVALID_POLICY
    if state.symbols[change.symbol].state == SymbolState.SETTLED:
        return RejectReason.SYMBOL_STATE_FORBIDS
    if change.initial_margin_ppm < change.brackets[0].initial_ppm:
        return RejectReason.LEVERAGE_TOO_HIGH
    return None


# --------------------------------------------------------------------------------------------------- caps


def set_risk_limits(ctx: Context, command: SetRiskLimits) -> None:
    """MARGIN-11: other caps, for what comes; what is open stays."""
    limits = Limits(
        command.position_limit_atoms,
        command.open_interest_limit_atoms,
        command.oi_scaling_lower_atoms,
        command.oi_scaling_upper_atoms,
    )
    reason = check_limits(ctx.state, command.symbol, limits)
    if reason is not None:
        ctx.reject(command.number, 0, reason)
        return
    ctx.accept(command.number, 0)
    ctx.state.symbols[command.symbol].limits = limits
    ctx.events.write(
        "risk_limits_changed",
        0,
        symbol=command.symbol,
        position_limit_atoms=limits.position_atoms,
        open_interest_limit_atoms=limits.open_interest_atoms,
        oi_scaling_lower_atoms=limits.scaling_lower_atoms,
        oi_scaling_upper_atoms=limits.scaling_upper_atoms,
    )


def check_limits(state: State, symbol: int, limits: Limits) -> RejectReason | None:
    """MARGIN-11: every number is a cap or none; a scale has two ends, or there is none."""
    if symbol not in state.symbols:
        return RejectReason.UNKNOWN_SYMBOL
    lower, upper = limits.scaling_lower_atoms, limits.scaling_upper_atoms
    is_scale = (lower, upper) == (-1, -1) or 0 <= lower < upper <= MAX_EXPOSURE_ATOMS
    caps = (limits.position_atoms, limits.open_interest_atoms)
    if not is_scale or not all(-1 <= cap <= MAX_EXPOSURE_ATOMS for cap in caps):
        return RejectReason.INVALID_POLICY
    if state.symbols[symbol].state == SymbolState.SETTLED:
        return RejectReason.SYMBOL_STATE_FORBIDS
    return None
