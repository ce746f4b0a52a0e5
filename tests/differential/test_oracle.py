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
from exchange.reference import (
    admission,
    bankruptcy,
    deleveraging,
    ledger,
    liquidation,
    margin,
    matching,
)
from exchange.reference.arithmetic import ceil_div, floor_div, ppm_floor

Mutation = tuple[Any, str, Callable[..., Any]]

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
    "makers not asked again": (matching, "maker_lots", lambda state, maker, lots: lots),
    "nobody skipped in ADL": (deleveraging, "would_end_below_zero", lambda *_: False),
    "the fund has no cap": (
        bankruptcy,
        "budget_atoms",
        lambda state, position: bankruptcy.fund_balance(state, position.symbol.fund),
    ),
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
}
#: Choices that break no invariant whichever way they are made: only a second engine can object.
NEEDS_BOTH = {"best pool first", "crosses one tick further"}
WORLDS = range(1, 25)


def first_failure(engines: tuple[str, ...]) -> Failure | None:
    for seed in WORLDS:
        _, failure = run_generated(seed, 600, engines, 1_000)
        if failure is not None:
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
    failure = first_failure(("reference",))
    assert failure is not None, f"{name}: the auditor did not notice"
    assert failure.kind.startswith("violation"), failure
