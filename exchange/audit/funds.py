"""What funds pay for a symbol, and what they may pay (FUND-01; I12): counted from the events of the funds."""

from __future__ import annotations

from exchange.audit.context import Context
from exchange.audit.state import FundCaps, PoolKey, State, Symbol
from exchange.protocol.schema import WINDOW_PARTS, BudgetLimit

UNCAPPED = FundCaps()


def rooms(state: State, symbol: Symbol) -> tuple[int, int, int]:
    """(what both funds hold, what the own one may pay by its cap, what the second one may)."""
    caps = symbol.caps
    own = held = state.funds.get(symbol.policy.fund, 0)
    second = state.funds.get(caps.second_fund, 0) if caps.second_cap else 0
    held += second
    if caps.cap >= 0:
        own = min(own, caps.cap - symbol.paid[0])
    if caps.second_cap >= 0:
        second = min(second, caps.second_cap - symbol.paid[1])
    return held, own, second


def in_window(symbol: Symbol, now_ns: int) -> int:
    """What was paid in the part of the window that is now and the sixteen before it."""
    length = -(-symbol.caps.window_ns // WINDOW_PARTS)
    first = (now_ns // length - WINDOW_PARTS) * length
    return sum(atoms for at_ns, atoms in symbol.payments if at_ns >= first)


def budget_of(context: Context, symbol: Symbol, pool: PoolKey) -> tuple[int, BudgetLimit]:
    """LIQ-06: what the funds of a symbol may still pay for a pool, and what bounds that."""
    state = context.state
    held, own, second = rooms(state, symbol)
    drawn, cap = state.drawn.get(pool, 0), symbol.policy.draw_cap_atoms
    found = [(held, BudgetLimit.HOLDINGS), (own + second, BudgetLimit.SYMBOL_CAP)]
    if cap >= 0:
        found.append((max(0, cap - drawn), BudgetLimit.DRAW_CAP))
    if symbol.caps.window_ns:
        left = symbol.caps.window_cap - in_window(symbol, context.now_ns)
        found.append((max(0, left), BudgetLimit.WINDOW_CAP))
    return min(found, key=lambda bound: bound[0])


class FundAudit:
    """Follows the policies of funds, and every payment beside them."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.state = context.state

    def on_policy(self, account: int, number: int, *caps: int) -> None:
        """FUND-01: other caps; what was paid before does not count."""
        symbol = self.state.symbols[number]
        symbol.caps = FundCaps(*caps)
        symbol.paid, symbol.payments = [0, 0], []
        names_own = symbol.caps.second_fund == symbol.policy.fund
        if names_own if symbol.caps.second_cap else symbol.caps.second_fund:
            self.context.report("FUND-01", f"symbol {number} has a second fund that cannot pay")
        if (symbol.caps.window_ns > 0) != (symbol.caps.window_cap >= 0):
            self.context.report(
                "FUND-01", f"symbol {number} has a window without a cap, or a cap without one"
            )

    def on_payment(self, fund: int, number: int, atoms: int) -> None:
        """I12, I13: a fund that has paid for a symbol is one of its two, in their order, within every cap."""
        context, symbol = self.context, self.state.symbols[number]
        caps, policy = symbol.caps, symbol.policy
        is_second = caps.second_cap != 0 and fund == caps.second_fund
        if not is_second:
            context.expect("I13", "the fund charged", policy.fund, fund)
        elif rooms(self.state, symbol)[1] > 0:
            context.report(
                "I13", f"fund {fund} pays for symbol {number} before fund {policy.fund} is spent"
            )
        if symbol.caps == UNCAPPED:
            return
        symbol.paid[is_second] += atoms
        for paid, cap in zip(symbol.paid, (caps.cap, caps.second_cap), strict=True):
            if 0 <= cap < paid:
                context.report(
                    "I12", f"for symbol {number} a fund has paid {paid} atoms of at most {cap}"
                )
        if caps.window_ns:
            self.check_window(symbol, atoms)

    def check_window(self, symbol: Symbol, atoms: int) -> None:
        """I12: within any stretch of time as long as the window, no more than its cap."""
        now_ns, caps = self.context.now_ns, symbol.caps
        symbol.payments.append((now_ns, atoms))
        within = sum(paid for at_ns, paid in symbol.payments if at_ns > now_ns - caps.window_ns)
        if within > caps.window_cap:
            self.context.report(
                "I12",
                f"for symbol {symbol.number} funds have paid {within} atoms within {caps.window_ns} ns, "
                f"at most {caps.window_cap} may be",
            )
        oldest = now_ns - 2 * caps.window_ns - WINDOW_PARTS
        symbol.payments = [entry for entry in symbol.payments if entry[0] > oldest]
