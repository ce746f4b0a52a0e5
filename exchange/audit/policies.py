"""What the operator changes while a symbol trades, as its events tell it (I34, I35)."""

from __future__ import annotations

from collections.abc import Sequence

from exchange.audit.brackets import bracket_problems
from exchange.audit.context import Context
from exchange.audit.state import Limits
from exchange.protocol.schema import COMMAND_BY_NAME, EVENT_BY_NAME, BalanceCause

SET_BRACKETS = COMMAND_BY_NAME["set_brackets"].number
BALANCE = EVENT_BY_NAME["balance_changed"].number
AT_CAUSE = [field.name for field in EVENT_BY_NAME["balance_changed"].fields].index("cause")
#: Events of money that moves.
MOVES = {EVENT_BY_NAME[name].number for name in ("fill", "balance_changed", "fund_changed")}


class PolicyAudit:
    """Follows tables and caps: a table is one that a listing may have, and none of them moves money by itself."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.state = context.state

    def before(self, number: int, fields: Sequence[int]) -> None:
        """I35: money moves by what follows from a table, a liquidation, and by nothing before it."""
        context = self.context
        if number == BALANCE and fields[AT_CAUSE] == BalanceCause.AUTO_MARGIN:
            context.liquidating = True  # instead of a liquidation (ACCT-09)
        if context.command == SET_BRACKETS and number in MOVES and not context.liquidating:
            context.report("I35", f"an event of type {number} moves money with the bracket table")

    def on_brackets(
        self, account: int, number: int, initial_margin_ppm: int, count: int, *numbers: int
    ) -> None:
        """I35: the table holds at once, so every holder's pool is looked at when the command is over."""
        context, symbol = self.context, self.state.symbols[number]
        rows = list(zip(numbers[0::3], numbers[1::3], numbers[2::3], strict=True))[:count]
        for problem in bracket_problems(rows, initial_margin_ppm):
            context.report("I21", f"symbol {number}: {problem}")
        if not rows:
            return
        symbol.set_brackets(initial_margin_ppm, rows)
        context.symbols.add(number)
        context.pools.update(holding.pool for holding in symbol.holders.values())

    def on_limits(self, account: int, number: int, *atoms: int) -> None:
        """MARGIN-11: what orders are measured by from now on."""
        limits = Limits(*atoms)
        has_scale = 0 <= limits.lower < limits.upper
        if not has_scale and limits[2:] != (-1, -1):
            self.context.report("MARGIN-11", f"a scale of {limits.lower} .. {limits.upper} atoms")
            return
        self.state.symbols[number].limits = limits
