"""The auditor and what funds pay: it passes what the engines do, and notices payments beyond a cap or out of turn."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from exchange.audit import Auditor
from exchange.cli import main
from exchange.engine import ENGINE_KINDS, create_engine
from exchange.journal import Journal
from exchange.protocol import messages as m
from exchange.protocol.messages import Event
from exchange.protocol.records import decode_events, encode_command, iter_records, stamp
from exchange.protocol.schema import FundCause
from exchange.reference.canonical import DRAWING
from exchange.sim.scenario import load_scenario, run_scenario

STORIES = Path(__file__).parents[1] / "scenarios"
CAPPED = "fund-01-a-symbol-costs-its-fund-no-more-than-its-cap.yaml"
WINDOW = "fund-01-a-window-moves-on-in-sixteenths.yaml"
SECOND = "fund-01-a-second-fund-pays-what-its-own-may-not.yaml"
CHARGED = "fund-01-a-loss-is-charged-to-the-symbol-that-made-it.yaml"
SPLIT = "fund-01-a-fills-own-loss-is-charged-to-its-symbol.yaml"
GONE = "fund-01-a-loss-stays-with-its-symbol-when-its-position-is-gone.yaml"


def told(story: str) -> tuple[bytes, list[Event]]:
    """Commands and events of a story."""
    result = run_scenario(load_scenario(STORIES / story), "reference")
    assert result.passed, result.failures
    return result.commands, decode_events(result.events)


def found(commands: bytes, events: list[Event]) -> set[str]:
    """What the auditor reports of these events."""
    auditor = Auditor()
    auditor.feed_commands(commands)
    auditor.feed(events)
    auditor.check()
    return {violation.invariant for violation in auditor.violations}


def changed(events: list[Event], event: Event, **fields: object) -> list[Event]:
    """The stream with one event that says something else."""
    index = events.index(event)
    return [*events[:index], msgspec.structs.replace(event, **fields), *events[index + 1 :]]


def of_policy(events: list[Event]) -> m.FundPolicySet:
    """The first policy of a story."""
    return next(event for event in events if isinstance(event, m.FundPolicySet))


@pytest.mark.parametrize("story", [CAPPED, WINDOW, SECOND, CHARGED, SPLIT, GONE])
def test_what_an_engine_answers_breaks_nothing(story: str) -> None:
    assert found(*told(story)) == set()


@pytest.mark.parametrize(
    ("story", "lower"),
    [
        (CAPPED, {"cap_atoms": 10**9}),
        (WINDOW, {"window_cap_atoms": 10**9}),
        (SECOND, {"cap_atoms": 10**9}),
        (SECOND, {"second_cap_atoms": 10**9}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_payments_above_a_cap_break_i12(story: str, lower: dict[str, int]) -> None:
    commands, events = told(story)
    assert "I12" in found(commands, changed(events, of_policy(events), **lower))


def test_a_longer_window_was_overdrawn() -> None:
    commands, events = told(WINDOW)
    longer = changed(events, of_policy(events), window_ns=32 * 10**9)
    assert "I12" in found(commands, longer)


def test_a_second_fund_that_pays_first_breaks_i13() -> None:
    commands, events = told(SECOND)
    more = changed(events, of_policy(events), cap_atoms=25 * 10**8)
    assert "I13" in found(commands, more)


def test_a_fund_that_the_policy_does_not_name_breaks_i13() -> None:
    commands, events = told(SECOND)
    other = changed(events, of_policy(events), second_fund=9)
    assert "I13" in found(commands, other)


@pytest.mark.parametrize("field", ["budget_atoms", "budget_by"])
@pytest.mark.parametrize("kind", [m.LiquidationSized, m.DeficitShared])
def test_a_budget_that_is_told_otherwise_is_noticed(kind: type[Event], field: str) -> None:
    commands, events = told(CAPPED)
    event = next(event for event in events if isinstance(event, kind))
    wrong = changed(events, event, **{field: getattr(event, field) + 1})
    assert found(commands, wrong) & {"LIQ-10", "FUND-02"}


def test_what_stands_for_a_fee_goes_to_the_own_fund() -> None:
    commands, events = told("liq-07-the-fee-takes-only-what-is-above-bankruptcy.yaml")
    fee = next(
        e for e in events if isinstance(e, m.FundChanged) and e.cause == FundCause.LIQUIDATION_FEE
    )
    assert "I13" in found(commands, changed(events, fee, fund=9))


@pytest.mark.parametrize("story", [CHARGED, SPLIT, GONE])
def test_a_symbol_that_did_not_move_is_not_charged(story: str) -> None:
    """I13: the note is told for another symbol, or for more than the move cost."""
    commands, events = told(story)
    notes = [event for event in events if isinstance(event, m.DeficitCharged)]
    for note in notes:
        other = changed(events, note, symbol=3 - note.symbol)
        assert "I13" in found(commands, other)
        more = changed(events, note, charged_atoms=note.charged_atoms + 1)
        assert "I13" in found(commands, more)
    without = [event for event in events if event not in notes]
    assert "I13" in found(commands, without)


@pytest.mark.parametrize("story", [CHARGED, SPLIT, GONE])
def test_a_payment_for_another_symbol_breaks_i13(story: str) -> None:
    commands, events = told(story)
    for event in events:
        if isinstance(event, m.FundChanged) and event.change_atoms < 0:
            wrong = changed(events, event, symbol=3 - event.symbol)
            assert "I13" in found(commands, wrong)


def test_notes_outlive_a_snapshot() -> None:
    """FUND-01: who is charged while a deficit is uncovered is known to an engine that was restored."""
    commands, events = told(GONE)
    late = next(e for e in events if isinstance(e, m.FundChanged) and e.fund == 2)
    records = [bytes(record) for _, record in iter_records(commands)]
    before, after = records[: late.sequence - 1], records[late.sequence - 1 :]
    for kind in ENGINE_KINDS:
        engine = create_engine(kind)
        engine.apply(b"".join(before))
        for other in ENGINE_KINDS:
            copy = create_engine(other)
            copy.restore(engine.snapshot(), engine.sequence, engine.timestamp_ns)
            assert copy.snapshot() == engine.snapshot()
            wanted = [event for event in events if event.sequence >= late.sequence]
            assert decode_events(copy.apply(b"".join(after))) == wanted


def test_policies_and_payments_outlive_a_snapshot() -> None:
    """FUND-01: in the middle of a window, between two engines; and without a policy no trace is left."""
    for story in (CAPPED, WINDOW, SECOND):
        commands, _ = told(story)
        for kind in ENGINE_KINDS:
            engine = create_engine(kind)
            engine.apply(commands)
            for other in ENGINE_KINDS:
                copy = create_engine(other)
                copy.restore(engine.snapshot(), engine.sequence, engine.timestamp_ns)
                assert copy.snapshot() == engine.snapshot()
                free = encode_command(m.SetFundPolicy(symbol=1))
                copy.apply(stamp(free, copy.sequence + 1, engine.timestamp_ns))
                assert len(engine.snapshot()) - len(copy.snapshot()) == DRAWING.size


def test_what_funds_paid_and_earned_is_added_up_by_symbol(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`exchange funds`: the sums of a journal, as a table and as JSON."""
    commands, _ = told(SPLIT)
    journal = Journal(tmp_path / "journal")
    journal.append(commands, 1, len(list(iter_records(commands))))
    journal.close()
    assert main(["funds", str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    paid = {(row["fund"], row["symbol"]): row["paid_atoms"] for row in rows}
    assert paid == {(1, 0): 0, (1, 1): 20 * 10**8, (2, 0): 0, (2, 2): 10 * 10**8}
    assert main(["funds", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["100", "-20", "80", "10", "-10", "0"]
