"""Funding rates as events tell them: each premium, each average, what bound it, and what is paid (FUNDING-02).

Theory of operation.  What time makes due is told behind what expires and in front of all else.  So at the first event
of another kind all of it is worked out from the books, prices and policies that the events have told, and then
compared with what is told, in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from heapq import nlargest, nsmallest

from exchange.audit.context import Context
from exchange.audit.state import BookSide, Funding, Symbol
from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    EVENT_BY_NAME,
    MAX_IMPACT_LEVELS,
    PPB,
    BalanceCause,
    FundCause,
    Side,
    SymbolState,
)

SET_POLICY = COMMAND_BY_NAME["set_funding_policy"].number
RATE, SETTLED, BALANCE, FUND = (
    EVENT_BY_NAME[name].number
    for name in ("funding_rate", "funding_settled", "balance_changed", "fund_changed")
)
#: Where an event that pays funding has its cause, and which.
CAUSES = {BALANCE: BalanceCause.FUNDING, FUND: FundCause.FUNDING_RESIDUE}
AT_CAUSE = {
    number: [field.name for field in EVENT_BY_NAME[name].fields].index("cause")
    for number, name in ((BALANCE, "balance_changed"), (FUND, "fund_changed"))
}
INDEX = 0
LAST_NS = 2**63 - 1
Q32 = 1 << 32


def told_of(symbol: Symbol, funding: Funding, final: int, counted: int, premium: int) -> list[int]:
    """The fields of a funding_rate event as things stand."""
    average = int(Fraction(funding.total, funding.samples or 1))
    pull = funding.interest - average
    bounded = average + sorted((-funding.clamp, pull, funding.clamp))[1]
    cap = min(funding.cap, 6_000 * (symbol.initials[0] - symbol.rates[0]))
    has_rate = funding.samples > 0
    rate = sorted((-cap, bounded, cap))[1] if has_rate else 0
    is_clamped, is_capped = abs(pull) > funding.clamp, abs(bounded) > cap
    told = [symbol.number, final, int(has_rate and is_clamped), int(has_rate and is_capped)]
    told += [funding.samples, counted, premium, average, funding.interest, cap, rate]
    return [*told, funding.next_funding]


def multiple_after(now_ns: int, step_ns: int) -> int:
    """The next time on a grid from 0; 0: time ends before."""
    after = now_ns - now_ns % step_ns + step_ns
    return after if after <= LAST_NS else 0


def worth_of(side: BookSide, lots: int, best: Sequence[int]) -> int | None:
    """Ticks x lots for so many lots of a side at these prices, best first; None: there are fewer."""
    worth = 0
    for price in best:
        given = min(lots, sum(order.open_lots for order in side.levels[price].values()))
        worth += given * price
        lots -= given
        if lots == 0:
            return worth
    return None


def premium_of(symbol: Symbol, index: int, notional: int) -> int:
    """How far the book is from the index for lots of this value, in ppb towards 0, at most the whole."""
    lots = -(-notional // (index * symbol.m))
    bids, asks = symbol.sides[Side.BUY], symbol.sides[Side.SELL]
    bid = worth_of(bids, lots, nlargest(MAX_IMPACT_LEVELS, bids.levels))
    ask = worth_of(asks, lots, nsmallest(MAX_IMPACT_LEVELS, asks.levels))
    flat = lots * index
    above = max(0, bid - flat) if bid is not None else 0
    below = max(0, flat - ask) if ask is not None else 0
    premium = int(Fraction(above, flat) * PPB) - int(Fraction(below, flat) * PPB)
    return max(-PPB, min(premium, PPB))


class FundingAudit:
    """Works out anew what every interval comes to."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.state = context.state
        self.expected: deque[tuple[int, ...]] = deque()  # type of the event, then its fields
        self.is_first = False  # whether nothing but what is due was told yet
        self.is_known = False  # whether what is due was worked out
        self.is_paying = False  # whether payments of what is due are told now
        self.has_settled = False  # whether this command has paid funding that was due

    # -------------------------------------------------------------------------------- frame of a command

    def begin(self) -> None:
        """A command comes: funding that is due by its time has to be told before it acts."""
        self.is_first = True
        self.is_known = self.is_paying = self.has_settled = False

    def is_due(self, number: int, fields: Sequence[int]) -> bool:
        """Whether this event may be one that time alone has caused."""
        if not self.is_first:
            return number == RATE
        if number == RATE:
            self.is_paying = False
            return True
        if number == SETTLED:
            self.work_out()
            self.is_paying = bool(self.expected) and self.expected[0][:2] == (SETTLED, fields[0])
            return self.is_paying
        return self.is_paying and number in CAUSES and fields[AT_CAUSE[number]] == CAUSES[number]

    def settle(self) -> None:
        """Something else happens now: nothing that is due may be left."""
        if not self.is_first:
            return
        self.work_out()
        self.is_first = self.is_paying = False
        for number, *fields in self.expected:
            self.context.report(
                "FUNDING-02", f"an event of type {number} with {fields} was due and is not told"
            )
        self.expected.clear()

    # -------------------------------------------------------------------------------------------- events

    def on_policy(self, account: int, number: int, enabled: int, *numbers: int) -> None:
        context, symbol = self.context, self.state.symbols[number]
        context.expect("FUNDING-02", "the command of a funding policy", SET_POLICY, context.command)
        if symbol.state == SymbolState.SETTLED:
            context.report("FUNDING-02", f"symbol {number} is settled and gets a funding policy")
        if not enabled:
            symbol.funding = None
            return
        if symbol.composite is None:
            context.report("FUNDING-02", f"symbol {number} has no index for a funding policy")
        *policy, told = numbers
        symbol.funding = funding = Funding(policy)
        funding.next_sample = multiple_after(context.now_ns, funding.sample)
        funding.next_funding = wanted = multiple_after(context.now_ns, funding.interval)
        context.expect("FUNDING-02", f"first settlement of symbol {number}", wanted, told)

    def on_rate(self, account: int, *fields: int) -> None:
        if not self.is_first:
            self.context.report("FUNDING-02", "a premium is measured after the command acted")
            return
        self.work_out()
        self.take((RATE, *fields))

    def on_settled(self, symbol: int, atoms_per_lot: int, fraction_q32: int) -> None:
        """A payment that is due, or by command: which is only for symbols without a policy."""
        if self.is_paying:
            self.has_settled = True
            self.take((SETTLED, symbol, atoms_per_lot, fraction_q32))
        elif self.state.symbols[symbol].funding is not None:
            self.context.report("FUNDING-02", f"symbol {symbol} is settled out of its turn")

    def take(self, came: tuple[int, ...]) -> None:
        wanted = self.expected.popleft() if self.expected else None
        self.context.expect("FUNDING-02", "what is told of funding", wanted, came)

    # ------------------------------------------------------------------------------------- what is expected

    def work_out(self) -> None:
        """By symbol: samples, the end of an interval, samples of the next one."""
        if self.is_known:
            return
        self.is_known = True
        now = self.context.now_ns
        for number in sorted(self.state.symbols):
            symbol = self.state.symbols[number]
            funding = symbol.funding
            if funding is None or not 0 < funding.next_sample <= now:
                continue
            if 0 < funding.next_funding <= now:
                self.measure(symbol, funding, funding.next_funding)
                self.close(symbol, funding)
            if 0 < funding.next_sample <= now:
                self.measure(symbol, funding, now)
                funding.next_sample = multiple_after(now, funding.sample)

    def measure(self, symbol: Symbol, funding: Funding, until_ns: int) -> None:
        """A look at the book stands for all sample times up to then; without a fresh index there is none."""
        price, at = (0, 0)
        if symbol.composite is not None:
            price, at = symbol.composite.prices.get(INDEX, (0, 0))
        if not price or symbol.composite is None or not symbol.is_open:
            return
        if self.context.now_ns > at + symbol.composite.max_age_ns:
            return
        counted = len(range(funding.next_sample, until_ns + 1, funding.sample))
        premium = premium_of(symbol, price, funding.notional)
        funding.total += premium * counted
        funding.samples += counted
        self.expected.append((RATE, *told_of(symbol, funding, 0, counted, premium)))

    def close(self, symbol: Symbol, funding: Funding) -> None:
        """The rate of the interval, and what a lot pays by it."""
        now = self.context.now_ns
        funding.next_funding = multiple_after(now, funding.interval)
        told = told_of(symbol, funding, 1, 0, 0)
        self.expected.append((RATE, *told))
        if funding.samples and symbol.holders:
            per_lot = int(Fraction(symbol.mark_value * told[-2] * Q32, PPB))
            self.expected.append((SETTLED, symbol.number, *divmod(per_lot, Q32)))
        funding.total = funding.samples = 0
        begun = now - now % funding.interval
        funding.next_sample = begun + funding.sample if begun + funding.sample <= LAST_NS else 0
