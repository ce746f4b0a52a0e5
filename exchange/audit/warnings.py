"""Warnings before a liquidation, as the events tell them (MARGIN-10): each crossing once, and nothing else."""

from __future__ import annotations

from exchange.audit.context import Context
from exchange.audit.requirement import pool_standing
from exchange.audit.state import PoolKey
from exchange.protocol.schema import EVENT_BY_NAME, PPM

WARNING = EVENT_BY_NAME["margin_warning"].number


class WarningAudit:
    """Keeps how many levels each pool was told of, and compares when a command is over."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.state = context.state
        self.levels: list[int] = []  # ppm, rising
        self.told: dict[PoolKey, int] = {}  # how many of them
        self.now: dict[PoolKey, int] = {}  # the level that this command tells, in the order told

    def on_levels(self, account: int, *levels: int) -> None:
        """Levels rise, and what was told of a level above a new one counts for the new one."""
        given = [level for level in levels if level]
        rises = all(low < high for low, high in zip([0, *given], [*given, PPM], strict=True))
        if not rises or given != list(levels)[: len(given)]:
            self.context.report("MARGIN-10", f"warning levels of {levels}")
        before, self.levels = self.levels, given
        counted = {
            pool: sum(level <= before[told - 1] for level in given)
            for pool, told in self.told.items()
            if told
        }
        self.told = {**counted, **dict.fromkeys(self.state.flagged, len(given))}
        for symbol in self.state.symbols.values():
            self.context.pools.update(holding.pool for holding in symbol.holders.values())

    def before(self, number: int) -> None:
        """Warnings are the last that a command tells."""
        if self.now and number != WARNING:
            self.context.report("MARGIN-10", f"an event of type {number} follows a warning")

    def on_started(self, account: int, symbol: int, leg: int) -> None:
        """That a pool is liquidated stands for all levels."""
        self.told[account, symbol, leg] = len(self.levels)

    def on_warning(
        self, account: int, symbol: int, leg: int, level: int, equity: int, maintenance: int
    ) -> None:
        context, pool = self.context, (account, symbol, leg)
        wanted = pool_standing(self.state, pool)[:2]
        context.expect("I20", f"standing of pool {pool}", wanted, (equity, maintenance))
        if self.now and max(self.now) >= pool:
            context.report("MARGIN-10", f"pool {pool} is warned out of its turn, or twice")
        self.now[pool] = level
        context.pools.add(pool)

    def finish(self) -> None:
        """Who has reached more levels than it was told of is told of the highest, and nobody else."""
        now, self.now = self.now, {}
        if not self.levels:
            for pool in now:
                self.context.report("MARGIN-10", f"pool {pool} is warned of no level")
            return
        for pool in self.context.pools:
            due = self.due(pool)
            is_new = due > self.told.get(pool, 0) and pool not in self.state.flagged
            wanted = self.levels[due - 1] if is_new else 0
            self.context.expect("MARGIN-10", f"warning of pool {pool}", wanted, now.get(pool, 0))
            self.told[pool] = due

    def due(self, pool: PoolKey) -> int:
        """How many levels the pool must have been told of."""
        if pool in self.state.flagged:
            return len(self.levels)
        equity, maintenance, has_position = pool_standing(self.state, pool)
        return has_position * sum(maintenance * PPM >= equity * level for level in self.levels)
