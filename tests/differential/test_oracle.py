"""The oracle is tested too: one rounding or comparison turned round in the reference engine, and the fuzzer notices.

What the two engines do differently is seen by comparing; what a single engine does wrong has to be seen by the auditor
alone, which a running exchange has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from exchange.engine import ENGINE_KINDS
from exchange.fuzz.differ import Failure, run_generated
from exchange.protocol.schema import BudgetLimit, FillRole
from exchange.reference import (
    adl,
    admission,
    auction,
    bankruptcy,
    charging,
    client_ids,
    funds,
    ledger,
    links,
    liquidation,
    margin,
    matching,
    times,
    triggers,
    watching,
)
from exchange.reference.arithmetic import ceil_div, floor_div, ppm_floor
from exchange.reference.context import Context
from exchange.reference.drawing import Drawing
from exchange.reference.order import Order
from exchange.reference.resting import write_shown
from exchange.reference.state import State, Symbol

Mutation = tuple[Any, str, Callable[..., Any]]

due, look = times.due, triggers.look


def is_passed(symbol: Symbol, order: Order) -> bool:
    """A trigger that the price has to pass, not to reach."""
    watched, trigger = watching.watched_ticks(symbol, order), watching.trigger_ticks(symbol, order)
    return watched < trigger if watching.goes_off_below(order) else watched > trigger


def look_backwards(ctx: Context, queue: list[Any]) -> None:
    """Those that join go off in the wrong order."""
    look(ctx, queue)
    queue.reverse()


def refresh_in_place(ctx: Context, order: Order) -> None:
    """A new slice that keeps its place in the queue."""
    order.shown_lots = min(order.display_lots, order.open_lots)
    write_shown(ctx, order, refreshed=True)


def arm_whole(ctx: Context, exit_order: Order, lots: int) -> None:
    exit_order.armed = True
    exit_order.open_lots = exit_order.given_lots
    links.write_waiting(ctx, exit_order)


def most_lots_alone(symbol: Symbol) -> auction.Uncrossing:
    """The lowest of the prices where most lots trade, whatever is left over."""
    if not auction.is_crossed(symbol):
        return auction.NOTHING
    _, price = min((-min(auction.lots_at(symbol, p)), p) for p in auction.candidates(symbol))
    bids, offers = auction.lots_at(symbol, price)
    return auction.Uncrossing(price, min(bids, offers), bids - offers)


#: One change each: where, what, and what stands there instead.
MUTATIONS: dict[str, Mutation] = {
    "requirements rounded down": (margin, "ppm_ceil", ppm_floor),
    "fees rounded down": (ledger, "ppm_ceil", ppm_floor),
    "released entry value rounded down": (ledger, "ceil_div", floor_div),
    "bankruptcy part of a long rounded down": (bankruptcy, "ceil_div", floor_div),
    "share of equity rounded up": (bankruptcy, "floor_div", ceil_div),
    "liquidation fee rounded down": (liquidation, "ppm_ceil", ppm_floor),
    "liquidated at equality": (
        margin,
        "is_below_maintenance",
        lambda state, pool: (
            bool(margin.positions_of(state, pool))
            and margin.equity_atoms(state, pool) <= margin.maintenance_atoms(state, pool)
        ),
    ),
    "best pool first": (
        liquidation,
        "is_nearer_to_ruin",
        lambda e_a, mm_a, e_b, mm_b: (
            mm_a > mm_b if not (mm_a and mm_b) else e_a * mm_b > e_b * mm_a
        ),
    ),
    "makers not asked again": (matching, "maker_lots", lambda state, maker, lots, price: lots),
    "nobody skipped in ADL": (adl, "would_end_below_zero", lambda *_: False),
    "lots shared out rounded down": (adl, "ceil_div", floor_div),
    "the fund has no cap": (
        funds,
        "budget",
        lambda state, symbol, *_: funds.Budget(
            sum(funds.rooms(state, symbol)), BudgetLimit.SYMBOL_CAP
        ),
    ),
    "a symbol draws without a cap": (funds, "rooms", funds.holdings),
    "who is closed is charged": (
        charging,
        "claim",
        lambda ctx, position: charging.Claim(
            position.symbol,
            funds.budget(ctx.state, position.symbol, position.pool, ctx.timestamp_ns),
        ),
    ),
    "nothing was paid before": (Drawing, "in_window", lambda self, now_ns: 0),
    "isolated margin stays when all is closed": (
        ledger,
        "return_left_margin",
        lambda position: None,
    ),
    "crosses one tick further": (
        matching,
        "crosses",
        lambda side, limit, price: limit + 1 >= price if side == 0 else limit - 1 <= price,
    ),
    "every order admitted": (admission, "admits", lambda state, trial: True),
    "triggers are passed, not reached": (triggers, "is_reached", is_passed),
    "true triggers wait": (admission, "is_reached_at_entry", lambda symbol, order: False),
    "trailing distances rounded down": (watching, "ppm_ceil", ppm_floor),
    "who came last goes off first": (triggers, "look", look_backwards),
    "siblings live on": (links, "cancel_siblings", lambda ctx, order: None),
    "exits are armed whole": (links, "arm", arm_whole),
    "groups trade with each other": (State, "is_own", lambda self, one, other: one == other),
    "orders expire too late": (times, "due", lambda state, now_ns: due(state, now_ns - 1)),
    "a new slice keeps its place": (matching, "refresh", refresh_in_place),
    "auctions leave what they like": (auction, "find_price", most_lots_alone),
    "auctions take the taker's fee": (
        matching,
        "fee_ppm",
        lambda position, role: (
            position.symbol.maker_fee_ppm
            if role == FillRole.MAKER
            else position.symbol.taker_fee_ppm
        ),
    ),
    "rebates are paid whatever was paid": (
        ledger,
        "most_rebate",
        lambda fee, paid: fee,
    ),
    "states forbid nothing": (admission, "check_state", lambda symbol, terms: None),
    "client order ids are forgotten": (client_ids, "remembered", lambda account, number: None),
    "post-only orders take": (admission, "would_trade", lambda symbol, side, limit: False),
}
#: Choices that break no invariant whichever way they are made: only a second engine can object.
NEEDS_BOTH = {"best pool first", "crosses one tick further"}
WORLDS = range(1, 25)


def first_failure(engines: tuple[str, ...], *, crashes: bool = True) -> Failure | None:
    """The first failure; without ``crashes`` worlds are left out where an engine's own assert came first."""
    for seed in WORLDS:
        _, failure = run_generated(seed, 600, engines, 1_000)
        if failure is not None and (crashes or not failure.kind.startswith("crash")):
            return failure
    return None


@pytest.mark.parametrize("name", MUTATIONS)
def test_engines_that_part_are_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*MUTATIONS[name])
    failure = first_failure(ENGINE_KINDS)
    assert failure is not None, f"{name}: nobody noticed"


@pytest.mark.parametrize("name", sorted(MUTATIONS.keys() - NEEDS_BOTH))
def test_an_engine_alone_is_noticed_by_the_auditor(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*MUTATIONS[name])
    failure = first_failure(("reference",), crashes=False)
    assert failure is not None, f"{name}: the auditor did not notice"
    assert failure.kind.startswith("violation"), failure
