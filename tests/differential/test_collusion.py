"""Accounts that work together against the exchange: both engines, the auditor and the coalition's books."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from exchange.engine import ENGINE_KINDS
from exchange.fuzz.coalition import Take
from exchange.fuzz.collusion import Collusion
from exchange.fuzz.collusion_run import CollusionDiffer, run_collusion
from exchange.fuzz.differ import Failure
from exchange.protocol.records import decode_events
from exchange.protocol.schema import BudgetLimit
from exchange.reference import accounts, funds, margin
from exchange.reference.drawing import Drawing
from exchange.reference.margin import available_atoms
from exchange.reference.state import Account, State, Symbol

WORLD = 500
PARTS = range(1, 5)
WORLDS_PER_PART = 6


@cache
def run_part(part: int) -> tuple[Take, int, Failure | None]:
    total = Take()
    for seed in range(2_000 * part, 2_000 * part + WORLDS_PER_PART):
        _, failure, take, _ = run_collusion(seed, WORLD, ENGINE_KINDS, 100)
        total.add(take)
        if failure is not None:
            return total, seed, failure
    return total, seed, None


@pytest.mark.parametrize("part", PARTS)
def test_a_coalition_gets_nothing_that_is_not_given(part: int) -> None:
    _, seed, failure = run_part(part)
    assert failure is None, (
        f"world {seed}, command {failure.index}: {failure.kind}\n{failure.detail}\n"
        f"shrink it: python -m exchange.fuzz --collusion --world-seed {seed} --world {WORLD}"
    )


def test_the_coalitions_did_what_they_came_for() -> None:
    total = Take()
    for part in PARTS:
        total.add(run_part(part)[0])
    for name in total.__struct_fields__:
        # Fees may come out below zero: makers get rebates from what others pay.
        assert getattr(total, name) != 0, f"no coalition has any {name}"


def wishful(account: Account) -> int:
    """Unrealised profit leaves, and so does what orders and positions need."""
    return max(0, account.cross.balance_atoms)


def what_funds_may_by_symbol(state: State, symbol: Symbol, *_: object) -> funds.Budget:
    """The cap of a liquidation is forgotten."""
    return funds.Budget(sum(funds.rooms(state, symbol)), BudgetLimit.SYMBOL_CAP)


#: A hole each, and what the books say of it: where, what, what stands there instead.
HOLES: dict[str, tuple[Any, str, Callable[..., Any], set[str]]] = {
    "margin leaves with the wallet": (margin, "withdrawable_atoms", wishful, {"C5", "C6"}),
    "a liquidation draws without a cap": (funds, "budget", what_funds_may_by_symbol, {"C4"}),
    "a symbol draws without a cap": (funds, "rooms", funds.holdings, {"C4"}),
    "nothing was paid before": (Drawing, "in_window", lambda self, now_ns: 0, {"C4"}),
    "unrealised profit leaves twice": (
        margin,
        "withdrawable_atoms",
        lambda account: max(0, 2 * available_atoms(account)),
        {"C5", "C6"},
    ),
}


@pytest.mark.parametrize("hole", HOLES)
def test_the_books_alone_notice_a_hole(hole: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the auditor: what the coalition's books are for, they see by themselves."""
    where, name, instead, wanted = HOLES[hole]
    monkeypatch.setattr(where, name, instead)
    if where is margin:
        monkeypatch.setattr(accounts.margin, name, instead)
    monkeypatch.setattr(CollusionDiffer, "audit", only_books)
    found: set[str] = set()
    for seed in range(1, 300):
        _, failure, _, _ = run_collusion(seed, 300, ("reference",), 1 << 40)
        if failure is not None and failure.kind.startswith("coalition"):
            found.add(failure.kind.split()[-1])
            if found & wanted:
                return
    pytest.fail(f"{hole}: wanted one of {sorted(wanted)}, came {sorted(found)}")


audit = CollusionDiffer.audit


def only_books(differ: CollusionDiffer, command: bytes, events: bytes) -> Failure | None:
    """The auditor reads along, so that the plays know the state, but says nothing."""
    differ.auditor.violations.clear()
    failure = audit(differ, command, events)
    if failure is None or not failure.kind.startswith("violation"):
        return failure
    wrong = differ.coalition.read(decode_events(events))
    return differ.failure(f"coalition {wrong[0][:2]}", wrong[0]) if wrong else None


def test_the_coalition_is_part_of_the_world() -> None:
    """The same seed has the same members, so that a failure can be made again."""
    from exchange.audit.state import State

    one, two = Collusion(5, State()), Collusion(5, State())
    assert (one.members, one.sealed) == (two.members, two.sealed)
    assert not set(one.members) & set(one.strangers)
