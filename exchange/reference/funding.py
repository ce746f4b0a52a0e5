"""FUNDING-02: the funding rate that the engine computes from premium samples, and settles when an interval ends."""

from __future__ import annotations

from itertools import groupby, islice

from exchange.protocol.messages import SetFundingPolicy
from exchange.protocol.schema import (
    MAX_AMOUNT_ATOMS,
    MAX_IMPACT_LEVELS,
    MAX_POLICY_NS,
    MIN_SAMPLE_NS,
    PPB,
    RejectReason,
    SymbolState,
)
from exchange.reference import ledger
from exchange.reference.arithmetic import ceil_div
from exchange.reference.context import Context
from exchange.reference.operations import check_holders
from exchange.reference.order import BUY, SELL
from exchange.reference.quotes import FundingPolicy
from exchange.reference.state import OPEN, State, Symbol

LATEST_NS = (1 << 63) - 1
Q32 = 1 << 32
CAP_PPB_PER_PPM = 6_000  # six times what initial exceeds maintenance by


def clamp(value: int, most: int) -> int:
    """The value, held between -most and most.

    >>> clamp(7, 5), clamp(-7, 5), clamp(3, 5)
    (5, -5, 3)
    """
    return max(-most, min(value, most))


# ---------------------------------------------------------------------------------------------- the premium


def impact_value(symbol: Symbol, side: int, lots: int) -> int | None:
    """Ticks x lots of so many lots of a side, best first; None: it has not so many within the levels looked at."""
    value: int = 0
    levels = groupby(symbol.book.of_side(side), key=lambda order: order.price_ticks)
    for price, orders in islice(levels, MAX_IMPACT_LEVELS):
        taken: int = min(lots, sum(order.open_lots for order in orders))
        value += taken * price
        lots -= taken
        if not lots:
            return value
    return None


def premium_ppb(symbol: Symbol, index_ticks: int, notional_atoms: int) -> int:
    """The impact bid's distance above the index, less the impact offer's below it, as a part of the index."""
    lots = ceil_div(notional_atoms, index_ticks * symbol.atoms_per_tick_lot)
    at_index = lots * index_ticks
    premium = 0
    for side, sign in ((BUY, 1), (SELL, -1)):
        value = impact_value(symbol, side, lots)
        if value is not None:
            premium += sign * (max(0, sign * (value - at_index)) * PPB // at_index)
    return clamp(premium, PPB)


# ------------------------------------------------------------------------------------------------- the rate


def cap_ppb(symbol: Symbol, funding: FundingPolicy) -> int:
    """The largest rate either way: the policy's, and six times the gap between the margins of the first bracket."""
    first = symbol.brackets[0]
    gap_ppm = first.initial_ppm - first.maintenance_ppm
    return min(funding.max_rate_ppb, CAP_PPB_PER_PPM * gap_ppm)


def uncapped_ppb(funding: FundingPolicy) -> int:
    """The average premium, pulled towards the interest."""
    premium = funding.premium_ppb
    return premium + clamp(funding.interest_ppb - premium, funding.clamp_ppb)


def rate_ppb(symbol: Symbol, funding: FundingPolicy) -> int:
    """The rate that the samples so far come to; 0 without any."""
    return clamp(uncapped_ppb(funding), cap_ppb(symbol, funding)) if funding.samples else 0


# --------------------------------------------------------------------------------------- samples, intervals


def next_multiple(now_ns: int, step_ns: int) -> int:
    """The first whole multiple after a time; 0: there is none that a time could be.

    >>> next_multiple(0, 10), next_multiple(10, 10), next_multiple(19, 10), next_multiple(LATEST_NS, 10)
    (10, 20, 20, 0)
    """
    following = (now_ns // step_ns + 1) * step_ns
    return following if following <= LATEST_NS else 0


def pass_funding(ctx: Context) -> None:
    """What the time of the command makes due, by symbol: samples, the end of an interval, samples of the next one."""
    for symbol in ctx.state.symbols.values():
        funding = symbol.funding
        if funding is None:
            continue
        now = ctx.timestamp_ns
        if funding.next_funding_ns and funding.next_funding_ns <= now:
            take_sample(ctx, symbol, funding, funding.next_funding_ns)
            end_interval(ctx, symbol, funding)
        if funding.next_sample_ns and funding.next_sample_ns <= now:
            take_sample(ctx, symbol, funding, now)
            funding.next_sample_ns = next_multiple(now, funding.sample_ns)


def take_sample(ctx: Context, symbol: Symbol, funding: FundingPolicy, until_ns: int) -> None:
    """One look at book and index, which counts for each sample time from the next one up to this time."""
    policy, now = symbol.composite, ctx.timestamp_ns
    if policy is None or not policy.is_fresh(policy.index, now) or symbol.state != OPEN:
        return
    sample = premium_ppb(symbol, policy.index.price_ticks, funding.impact_notional_atoms)
    counted = (until_ns - funding.next_sample_ns) // funding.sample_ns + 1
    funding.premium_sum_ppb += sample * counted
    funding.samples += counted
    write_rate(ctx, symbol, funding, sample_ppb=sample, counted=counted)


def end_interval(ctx: Context, symbol: Symbol, funding: FundingPolicy) -> None:
    """The rate is told and settled; the interval of the command's time begins, and those between are passed over."""
    rate, now = rate_ppb(symbol, funding), ctx.timestamp_ns
    funding.next_funding_ns = next_multiple(now, funding.interval_ns)
    write_rate(ctx, symbol, funding, is_final=True)
    if funding.samples and symbol.positions:
        settle(ctx, symbol, rate)
    funding.premium_sum_ppb = funding.samples = 0
    begin = now // funding.interval_ns * funding.interval_ns
    funding.next_sample_ns = next_multiple(begin, funding.sample_ns)


def settle(ctx: Context, symbol: Symbol, rate: int) -> None:
    """FUNDING-01 at a rate of the value at the mark, per lot to 2^-32 of an atom, rounded towards zero."""
    per_lot_q32 = symbol.notional_atoms(1) * Q32 * abs(rate) // PPB
    if rate < 0:
        per_lot_q32 = -per_lot_q32
    ctx.events.write(
        "funding_settled",
        0,
        symbol=symbol.number,
        payment_atoms_per_lot=per_lot_q32 // Q32,
        payment_fraction_q32=per_lot_q32 % Q32,
    )
    ledger.settle_funding(ctx, symbol, per_lot_q32)
    check_holders(ctx, symbol)


def write_rate(
    ctx: Context,
    symbol: Symbol,
    funding: FundingPolicy,
    *,
    sample_ppb: int = 0,
    counted: int = 0,
    is_final: bool = False,
) -> None:
    """The rate so far, and what made it."""
    premium, cap, has_rate = funding.premium_ppb, cap_ppb(symbol, funding), bool(funding.samples)
    ctx.events.write(
        "funding_rate",
        0,
        symbol=symbol.number,
        final=is_final,
        clamped=has_rate and abs(funding.interest_ppb - premium) > funding.clamp_ppb,
        capped=has_rate and abs(uncapped_ppb(funding)) > cap,
        samples=funding.samples,
        counted=counted,
        sample_ppb=sample_ppb,
        premium_ppb=premium,
        interest_ppb=funding.interest_ppb,
        cap_ppb=cap,
        rate_ppb=rate_ppb(symbol, funding),
        next_funding_ns=funding.next_funding_ns,
    )


# ----------------------------------------------------------------------------------------------- the command


def set_funding_policy(ctx: Context, command: SetFundingPolicy) -> None:
    """FUNDING-02: the engine settles from now on, or no longer does; a policy that is set begins anew."""
    reason = check_funding_policy(ctx.state, command)
    if reason is not None:
        ctx.reject(command.number, 0, reason)
        return
    symbol = ctx.state.symbols[command.symbol]
    ctx.accept(command.number, 0)
    symbol.funding = new_policy(ctx, command) if command.enabled else None
    write_policy(ctx, symbol)


def new_policy(ctx: Context, command: SetFundingPolicy) -> FundingPolicy:
    return FundingPolicy(
        interval_ns=command.interval_ns,
        sample_ns=command.sample_ns,
        interest_ppb=command.interest_ppb,
        clamp_ppb=command.clamp_ppb,
        max_rate_ppb=command.max_rate_ppb,
        impact_notional_atoms=command.impact_notional_atoms,
        next_sample_ns=next_multiple(ctx.timestamp_ns, command.sample_ns),
        next_funding_ns=next_multiple(ctx.timestamp_ns, command.interval_ns),
    )


def check_funding_policy(state: State, command: SetFundingPolicy) -> RejectReason | None:
    """FUNDING-02: its numbers, and an index to measure the premium from."""
    if command.symbol not in state.symbols:
        return RejectReason.UNKNOWN_SYMBOL
    if command.enabled and not is_valid(command):
        return RejectReason.INVALID_POLICY
    symbol = state.symbols[command.symbol]
    if symbol.state == SymbolState.SETTLED:
        return RejectReason.SYMBOL_STATE_FORBIDS
    if command.enabled and symbol.composite is None:
        return RejectReason.UNKNOWN_PRICE_SOURCE
    return None


def is_valid(command: SetFundingPolicy) -> bool:
    """The bounds of the page."""
    return (
        command.enabled == 1
        and MIN_SAMPLE_NS <= command.sample_ns <= command.interval_ns <= MAX_POLICY_NS
        and command.interval_ns % command.sample_ns == 0
        and -PPB <= command.interest_ppb <= PPB
        and 0 <= command.clamp_ppb <= PPB
        and 0 <= command.max_rate_ppb <= PPB
        and 1 <= command.impact_notional_atoms <= MAX_AMOUNT_ATOMS
    )


def write_policy(ctx: Context, symbol: Symbol) -> None:
    """What holds now; without a policy all its numbers are 0."""
    funding = symbol.funding or FundingPolicy(0, 0, 0, 0, 0, 0)
    ctx.events.write(
        "funding_policy_set",
        0,
        symbol=symbol.number,
        enabled=symbol.funding is not None,
        interval_ns=funding.interval_ns,
        sample_ns=funding.sample_ns,
        interest_ppb=funding.interest_ppb,
        clamp_ppb=funding.clamp_ppb,
        max_rate_ppb=funding.max_rate_ppb,
        impact_notional_atoms=funding.impact_notional_atoms,
        next_funding_ns=funding.next_funding_ns,
    )
