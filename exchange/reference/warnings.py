"""MARGIN-10: who is told that a pool comes near to liquidation, and when.

A pool keeps how many levels it was told of.  When a command is done every pool is measured: whoever has reached more
levels is told of the highest, and whoever has reached fewer will be told again.  So between commands the number
follows from the rest of the state, and is no part of it.
"""

from __future__ import annotations

from exchange.protocol.messages import SetMarginWarnings
from exchange.protocol.schema import PPM, RejectReason
from exchange.reference import margin
from exchange.reference.context import Context
from exchange.reference.state import Pool, State


def set_margin_warnings(ctx: Context, command: SetMarginWarnings) -> None:
    """MARGIN-10: other levels for all pools, from the end of this command on."""
    state = ctx.state
    levels = read_levels(command)
    if levels is None:
        ctx.reject(command.number, 0, RejectReason.INVALID_POLICY)
        return
    ctx.accept(command.number, 0)
    for pool in state.pools():
        pool.warned = carried_over(pool, state.warning_levels_ppm, levels)
    state.warning_levels_ppm = levels
    ctx.events.write(
        "margin_warnings_set",
        0,
        first_level_ppm=command.first_level_ppm,
        second_level_ppm=command.second_level_ppm,
        third_level_ppm=command.third_level_ppm,
        fourth_level_ppm=command.fourth_level_ppm,
    )


def read_levels(command: SetMarginWarnings) -> tuple[int, ...] | None:
    """MARGIN-10: they rise inside 1 .. 999,999, and none follows a 0; None: they do not."""
    given = (
        command.first_level_ppm,
        command.second_level_ppm,
        command.third_level_ppm,
        command.fourth_level_ppm,
    )
    levels = tuple(level for level in given if level)
    is_in_order = levels == given[: len(levels)] and sorted(set(levels)) == list(levels)
    return levels if is_in_order and max(levels, default=0) < PPM else None


def carried_over(pool: Pool, before: tuple[int, ...], levels: tuple[int, ...]) -> int:
    """MARGIN-10: of the new levels those count as told that are not above one that was told."""
    if pool.liquidating:
        return len(levels)
    if not pool.warned:
        return 0
    return sum(level <= before[pool.warned - 1] for level in levels)


def levels_due(state: State, pool: Pool) -> int:
    """MARGIN-10: how many levels the pool has reached, cross-multiplied; one that is liquidated is past them all."""
    levels = state.warning_levels_ppm
    if pool.liquidating:
        return len(levels)
    if not margin.positions_of(state, pool):
        return 0
    equity, maintenance = margin.equity_atoms(state, pool), margin.maintenance_atoms(state, pool)
    return sum(maintenance * PPM >= equity * level for level in levels)


def warn(ctx: Context) -> None:
    """MARGIN-10: the last events of a command, by account, symbol and leg."""
    state = ctx.state
    if not state.warning_levels_ppm:
        return
    for pool in state.pools():
        due = levels_due(state, pool)
        if due > pool.warned and not pool.liquidating:
            write_warning(ctx, pool, state.warning_levels_ppm[due - 1])
        pool.warned = due


def write_warning(ctx: Context, pool: Pool, level_ppm: int) -> None:
    ctx.events.write(
        "margin_warning",
        pool.account,
        symbol=pool.symbol,
        leg=pool.leg,
        level_ppm=level_ppm,
        equity_atoms=margin.equity_atoms(ctx.state, pool),
        maintenance_atoms=margin.maintenance_atoms(ctx.state, pool),
    )
