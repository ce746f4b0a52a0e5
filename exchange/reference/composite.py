"""MARK-02, MARK-03: the mark that is computed from prices from outside and from the own book, and its hold."""

from __future__ import annotations

from exchange.protocol.messages import AdvanceTime, SetMarkPolicy, SetPrice
from exchange.protocol.schema import (
    MAX_FEEDS,
    MAX_POLICY_NS,
    MAX_PRICE_TICKS,
    RejectReason,
    SymbolState,
)
from exchange.reference import auction
from exchange.reference.context import Context
from exchange.reference.operations import check_holders, exceeds_exposure_at, move_mark
from exchange.reference.order import BUY, SELL
from exchange.reference.quotes import MarkPolicy, Price
from exchange.reference.state import OPEN, State, Symbol

Q20 = 1 << 20


# ------------------------------------------------------------------------------------------------ the inputs


def best_prices(symbol: Symbol) -> tuple[int, int] | None:
    """Best bid and offer of an open book that has both."""
    bid, ask = symbol.book.best(BUY), symbol.book.best(SELL)
    if symbol.state != OPEN or bid is None or ask is None:
        return None
    return bid.price_ticks, ask.price_ticks


def average_basis(symbol: Symbol, policy: MarkPolicy, now_ns: int) -> None:
    """MARK-02: the distance between mid and index joins the average, weighted by the time since the last one."""
    best = best_prices(symbol)
    if best is None:
        return
    elapsed = now_ns - policy.basis_at_ns
    sample_q20 = (sum(best) - 2 * policy.index.price_ticks) * Q20 // 2
    if elapsed:
        step = (sample_q20 - policy.basis_q20) * elapsed // (elapsed + policy.ema_ns)
        policy.basis_q20 += step
    policy.basis_at_ns = now_ns


def inputs(symbol: Symbol, policy: MarkPolicy, now_ns: int) -> list[int]:
    """MARK-02: the prices of which the mark is the median: index and average distance, own book, feeds."""
    found = []
    if policy.is_fresh(policy.index, now_ns):
        average_basis(symbol, policy, now_ns)
        price = policy.index.price_ticks + policy.basis_q20 // Q20
        found.append(max(1, min(price, MAX_PRICE_TICKS)))
    best = best_prices(symbol)
    if best is not None:
        last = symbol.market_last_ticks
        found.append(median([*best, last] if last else list(best)))
    feeds = policy.prices[1 : policy.max_feeds + 1]
    return found + [feed.price_ticks for feed in feeds if policy.is_fresh(feed, now_ns)]


def median(prices: list[int]) -> int:
    """The middle one; of an even number the mean of the middle two, rounded down.

    >>> median([9, 1, 5]), median([4, 1, 9, 7])
    (5, 5)
    """
    ordered, middle = sorted(prices), len(prices) // 2
    if len(prices) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) // 2


# -------------------------------------------------------------------------------------------------- the mark


def compute_mark(ctx: Context, symbol: Symbol, policy: MarkPolicy) -> bool:
    """MARK-02, MARK-03: the mark moves to the median, or is held; whether it moved."""
    prices = inputs(symbol, policy, ctx.timestamp_ns)
    mark = median(prices) if len(prices) >= 2 else 0
    is_held = not mark or exceeds_exposure_at(symbol, mark)
    hold(ctx, symbol, is_held, len(prices))
    if is_held or mark == symbol.mark_ticks:
        return False
    move_mark(ctx, symbol, mark)
    check_holders(ctx, symbol)
    return True


def hold(ctx: Context, symbol: Symbol, is_held: bool, count: int) -> None:
    """MARK-03: told when it begins and when it ends."""
    if symbol.is_held != is_held:
        symbol.is_held = is_held
        ctx.events.write("mark_hold_changed", 0, symbol=symbol.number, held=is_held, inputs=count)


# ---------------------------------------------------------------------------------------------- the commands


def advance_time(ctx: Context, command: AdvanceTime) -> None:
    """MARK-02, MATCH-12: prices grow old; then a symbol in auction tells its indication."""
    ctx.accept(command.number, 0)
    for symbol in ctx.state.symbols.values():
        if symbol.composite is not None:
            compute_mark(ctx, symbol, symbol.composite)
    for symbol in ctx.state.symbols.values():
        if symbol.state == SymbolState.AUCTION:
            auction.indicate(ctx, symbol)


def set_price(ctx: Context, command: SetPrice) -> None:
    """MARK-02: a price from outside comes in, and the mark is computed anew."""
    reason = check_price(ctx.state, command)
    if reason is not None:
        ctx.reject(command.number, 0, reason)
        return
    symbol = ctx.state.symbols[command.symbol]
    policy = symbol.composite
    assert policy is not None, command
    ctx.accept(command.number, 0)
    policy.prices[command.source] = Price(command.price_ticks, ctx.timestamp_ns)
    ctx.events.write(
        "price_set",
        0,
        symbol=symbol.number,
        source=command.source,
        price_ticks=command.price_ticks,
    )
    if compute_mark(ctx, symbol, policy) and symbol.state == SymbolState.AUCTION:
        auction.indicate(ctx, symbol)


def check_price(state: State, command: SetPrice) -> RejectReason | None:
    """MARK-02: a price of a source that the symbol's policy has."""
    if command.symbol not in state.symbols:
        return RejectReason.UNKNOWN_SYMBOL
    if not 1 <= command.price_ticks <= MAX_PRICE_TICKS:
        return RejectReason.INVALID_PRICE
    symbol = state.symbols[command.symbol]
    if symbol.state == SymbolState.SETTLED:
        return RejectReason.SYMBOL_STATE_FORBIDS
    if symbol.composite is None or command.source > symbol.composite.max_feeds:
        return RejectReason.UNKNOWN_PRICE_SOURCE
    return None


def set_mark_policy(ctx: Context, command: SetMarkPolicy) -> None:
    """MARK-02: composite from now on, with other numbers, or by hand again."""
    reason = check_mark_policy(ctx.state, command)
    if reason is not None:
        ctx.reject(command.number, 0, reason)
        return
    symbol = ctx.state.symbols[command.symbol]
    ctx.accept(command.number, 0)
    if not command.enabled:
        symbol.composite = None
        write_policy(ctx, symbol)
        hold(ctx, symbol, False, 0)  # who sets the mark by hand answers for it
        return
    if symbol.composite is None:
        symbol.market_last_ticks = 0
        symbol.composite = MarkPolicy(0, 0, 0, basis_at_ns=ctx.timestamp_ns)
    policy = symbol.composite
    policy.max_feeds, policy.max_age_ns = command.max_feeds, command.max_age_ns
    policy.ema_ns = command.ema_ns
    for source in range(command.max_feeds + 1, MAX_FEEDS + 1):
        policy.prices[source] = Price()
    write_policy(ctx, symbol)


def check_mark_policy(state: State, command: SetMarkPolicy) -> RejectReason | None:
    if command.symbol not in state.symbols:
        return RejectReason.UNKNOWN_SYMBOL
    if command.enabled and not (
        command.enabled == 1
        and command.max_feeds <= MAX_FEEDS
        and 1 <= command.max_age_ns <= MAX_POLICY_NS
        and 0 <= command.ema_ns <= MAX_POLICY_NS
    ):
        return RejectReason.INVALID_POLICY
    if state.symbols[command.symbol].state == SymbolState.SETTLED:
        return RejectReason.SYMBOL_STATE_FORBIDS
    return None


def write_policy(ctx: Context, symbol: Symbol) -> None:
    """What holds now; without a policy all its numbers are 0."""
    policy = symbol.composite or MarkPolicy(0, 0, 0)
    ctx.events.write(
        "mark_policy_set",
        0,
        symbol=symbol.number,
        enabled=symbol.composite is not None,
        max_feeds=policy.max_feeds,
        max_age_ns=policy.max_age_ns,
        ema_ns=policy.ema_ns,
    )
