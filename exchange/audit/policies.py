"""What the operator changes while a symbol trades, as its events tell it (I35)."""

from __future__ import annotations

from itertools import pairwise

from exchange.audit.context import Context
from exchange.protocol.schema import COMMAND_BY_NAME, EVENT_BY_NAME, PPM

SET_BRACKETS = COMMAND_BY_NAME["set_brackets"].number
#: Events of money that moves.
MOVES = {EVENT_BY_NAME[name].number for name in ("fill", "balance_changed", "fund_changed")}


class PolicyAudit:
    """Follows the bracket tables: each is one that a listing may have, and none moves money by itself."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.state = context.state

    def before(self, number: int) -> None:
        """I35: money moves by what follows from a table, a liquidation, and by nothing before it."""
        context = self.context
        if context.command == SET_BRACKETS and number in MOVES and not context.liquidating:
            context.report("I35", f"an event of type {number} moves money with the bracket table")

    def on_brackets(
        self, account: int, number: int, initial_margin_ppm: int, count: int, *numbers: int
    ) -> None:
        """I35: the table holds at once, so every holder's pool is looked at when the command is over."""
        context, symbol = self.context, self.state.symbols[number]
        rows = list(zip(numbers[0::3], numbers[1::3], numbers[2::3], strict=True))[:count]
        if not rows or rows[0][0] != 0 or not rows[0][2] <= initial_margin_ppm <= PPM:
            context.report("MARGIN-03", f"brackets {rows} at {initial_margin_ppm} ppm")
            return
        for (floor, rate, initial), (above, higher, initial_above) in pairwise(rows):
            rises = floor < above and rate <= higher and initial <= initial_above
            if not rises or above * (higher - rate) % PPM:
                context.report("MARGIN-03", f"bracket {above} does not follow on bracket {floor}")
        if any(not 1 <= rate <= initial <= PPM for _, rate, initial in rows):
            context.report("MARGIN-03", f"the rates of brackets {rows}")
        symbol.set_brackets(initial_margin_ppm, rows)
        context.symbols.add(number)
        context.pools.update(holding.pool for holding in symbol.holders.values())
