"""Liquidations explained from journals: the whole text by hand, sums that are the ledger's, errors that help."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exchange.cli import ERROR, OK, main
from exchange.explain.cases import find_cases, has_turns, split_turns
from exchange.explain.follow import Follower, follow
from exchange.explain.source import Source
from exchange.explain.trail import tell_trail, trail_json
from exchange.explain.words import as_json, tell_story
from exchange.fuzz.differ import run_generated, time_of
from exchange.journal import Journal
from exchange.protocol import messages as m
from exchange.protocol.records import decode_events, stamp
from exchange.protocol.schema import BalanceCause, FillRole, FundCause
from exchange.sim.scenario import load_scenario, run_scenario

ROOT = Path(__file__).parents[2]
SCENARIOS = ROOT / "tests" / "scenarios"
TOLD = Path(__file__).parent / "told"
STORIES = sorted(SCENARIOS.glob("*.yaml"))
SEEDS = (*range(300, 314), 412)


def silent(text: str) -> None:
    """Nothing is said."""


def fuzz_source(seed: int, count: int = 700) -> Source:
    """A stream of the fuzzer as a journal."""
    records, failure = run_generated(seed, count, ("native",), count)
    assert failure is None
    stamped = [stamp(record, i + 1, time_of(i)) for i, record in enumerate(records)]
    return Source.of_commands(b"".join(stamped), len(stamped))


# ------------------------------------------------------------------------------------------ the whole text


@pytest.mark.parametrize("path", sorted(TOLD.glob("*.txt")), ids=lambda path: path.stem)
def test_text_is_as_it_was_read_and_checked(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first line of each file is the command; the rest is everything that it prints."""
    command, _, wanted = path.read_text().partition("\n")
    story, *options = command.split()
    assert main(["explain", str(SCENARIOS / story), *options]) == OK
    assert capsys.readouterr().out == wanted


def test_a_journal_on_disk_tells_what_its_scenario_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the names of accounts are not in a journal."""
    scenario = SCENARIOS / "liq-10-every-step-is-told.yaml"
    result = run_scenario(load_scenario(scenario))
    journal = Journal(tmp_path / "journal")
    journal.append(result.commands, 1, len(result.records))
    journal.close()
    assert main(["explain", str(tmp_path), "--liquidation", "1", "--json"]) == OK
    from_disk = json.loads(capsys.readouterr().out)
    assert main(["explain", str(scenario), "--liquidation", "1", "--json"]) == OK
    assert json.loads(capsys.readouterr().out) == from_disk
    assert main(["explain", str(tmp_path), "--liquidation", "1"]) == OK
    assert "account 1 (liquidated)" in capsys.readouterr().out


def test_json_has_every_number_in_integers(capsys: pytest.CaptureFixture[str]) -> None:
    scenario = SCENARIOS / "liq-10-every-step-is-told.yaml"
    assert main(["explain", str(scenario), "--liquidation", "1", "--json"]) == OK
    told = json.loads(capsys.readouterr().out)
    assert told["sum_atoms"] == 0
    assert told["proven_turns"] == len(told["turns"]) == 2
    (first, second) = told["turns"]
    assert [event["event"] for event in first["events"]] == [
        *("liquidation_started", "liquidation_position", "liquidation_sized", "liquidation_order")
    ]
    assert first["after"] == {"equity_atoms": 400 * 10**8, "maintenance_atoms": 470 * 10**8}
    assert second["events"][-1]["event"] == "liquidation_ended"
    changes = {part["number"]: part["change_atoms"] for part in told["who_paid_what"][:2]}
    assert changes == {1: 100 * 10**8, 2: -50 * 10**8}
    assert [point["equity_atoms"] // 10**8 for point in told["path"]] == [1000, 400, 400, -100]


def test_list_is_one_line_for_each_liquidation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(SCENARIOS / "liq-01-the-worst-pool-first.yaml")]) == OK
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["no", "began", "command", "account"]
    assert [line.split()[3] for line in lines] == ["b", "a"]


def test_a_journal_without_liquidations_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    story = str(SCENARIOS / "margin-07-exactly-enough.yaml")
    assert main(["explain", story]) == OK
    assert capsys.readouterr().out == "no liquidation in this journal\n"
    assert main(["explain", story, "--liquidation", "1"]) == ERROR
    assert "there is no liquidation 1: the journal has none" in capsys.readouterr().err


def test_a_number_that_there_is_not_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    story = str(SCENARIOS / "liq-01-the-worst-pool-first.yaml")
    assert main(["explain", story, "--liquidation", "7"]) == ERROR
    said = capsys.readouterr().err
    assert "there is no liquidation 7: there are 2, the nearest are 1 (account 2" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--account", "nobody"], "there is no such account; wanted a number, or one of a, b, w"),
        (["--account", "77"], "nothing in this journal ever moved its money"),
        (["--account", "a", "--plot", "x.png"], "wanted --liquidation N with it"),
        (["--liquidation", "1", "--plot", "x.gif"], "wanted a name that ends in .png or .svg"),
    ],
)
def test_errors_say_what_was_wanted(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(SCENARIOS / "liq-01-the-worst-pool-first.yaml"), *options]) == ERROR
    assert said in capsys.readouterr().err


def test_a_picture_is_drawn_of_each_kind(tmp_path: Path) -> None:
    story = str(SCENARIOS / "liq-10-every-step-is-told.yaml")
    for suffix, begins in ((".png", b"\x89PNG"), (".svg", b"<?xml")):
        path = tmp_path / f"drawn{suffix}"
        assert main(["explain", story, "--liquidation", "1", "--plot", str(path)]) == OK
        assert path.read_bytes().startswith(begins)


# ------------------------------------------------------------------------------------ sums are the ledger's


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_every_liquidation_of_every_scenario_is_proven(path: Path) -> None:
    """Who paid what sums to zero atoms, and to what the balances changed by: CorruptionError if not."""
    source = Source.open(path)
    cases = find_cases(source, silent)
    told = 0
    for account in sorted({case.account for case in cases}):
        follower = follow(source, account, silent)
        assert tell_trail(follower)
        for story in follower.stories:
            assert story.sums.total_atoms == 0
            assert story.sums.proven_turns == len(story.turns) == story.case.turns
        told += len(follower.stories)
    assert told == len(cases)


@pytest.mark.parametrize("seed", SEEDS)
def test_sums_are_those_of_the_ledger_in_random_journals(seed: int) -> None:
    """Of every account that is liquidated; and what funds got and paid over all liquidations together."""
    source = fuzz_source(seed)
    cases = find_cases(source, silent)
    for account in sorted({case.account for case in cases}):
        follower = follow(source, account, silent)
        assert [story.case for story in follower.stories] == [
            case for case in cases if case.account == account
        ]
        for story in follower.stories:
            assert story.sums.total_atoms == 0
            assert story.sums.proven_turns == len(story.turns)
            assert tell_story(story, len(cases), follower.names)
            json.dumps(as_json(story, len(cases), follower.names))
        json.dumps(trail_json(follower))
        check_rows(source, follower)
    check_funds(
        source, sum(c.liquidation_fee_atoms for c in cases), sum(c.fund_paid_atoms for c in cases)
    )


def check_rows(source: Source, follower: Follower) -> None:
    """After each command the last row of a pool has wallet, equity and maintenance as the engine says them."""
    last = {row.sequence: row for row in follower.rows}
    last_cross = {row.sequence: row for row in follower.rows if row.pool.symbol == 0}
    for engine, step in source.replay(silent):
        if step.sequence not in last:
            continue
        view = engine.account(follower.account)
        assert last[step.sequence].wallet_atoms == view.wallet_atoms
        row = last_cross.get(step.sequence)
        if row is not None:
            assert (row.equity_atoms, row.maintenance_atoms) == (
                view.equity_atoms,
                view.maintenance_atoms,
            )


def check_funds(source: Source, fees: int, paid: int) -> None:
    """All fees and payments of funds belong to liquidations that were found."""
    moved = dict.fromkeys(FundCause, 0)
    covered = 0
    for _, step in source.replay(silent):
        for event in decode_events(step.events):
            if isinstance(event, m.FundChanged):
                moved[FundCause(event.cause)] += event.change_atoms
            elif isinstance(event, m.BalanceChanged) and event.cause == BalanceCause.FUND_COVER:
                covered += event.wallet_change_atoms + event.margin_change_atoms
    assert moved[FundCause.LIQUIDATION_FEE] == fees
    assert -moved[FundCause.LIQUIDATION_DEFICIT] - moved[FundCause.DEFICIT_COVER] == paid
    assert -moved[FundCause.DEFICIT_COVER] == covered


def test_turns_hold_every_event_of_a_liquidation_and_no_other() -> None:
    """In random journals: each fill of a closing order or a deleveraging is in exactly one turn, its pool's."""
    found = 0
    for seed in SEEDS:
        for _, step in fuzz_source(seed).replay(silent):
            events = list(decode_events(step.events))
            turns = split_turns(events)
            assert bool(turns) == has_turns(step.events)
            held = [event for turn in turns for event in turn.events]
            for turn in turns:
                assert events[turn.first : turn.first + len(turn.events)] == turn.events
            forced = [e for e in events if isinstance(e, m.Fill) and is_forced(e)]
            assert [e for e in held if isinstance(e, m.Fill) and is_forced(e)] == forced
            for turn in turns:
                owners = {e.account for e in turn.events if isinstance(e, m.Fill) and is_forced(e)}
                assert owners <= {turn.pool.account}
            found += len(forced)
    assert found > 200


def is_forced(fill: m.Fill) -> bool:
    return fill.role in (FillRole.LIQUIDATED, FillRole.DELEVERAGED)
