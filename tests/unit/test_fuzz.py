"""The fuzzer's own parts: streams repeat, what fails is made small, and a stream can be written as a scenario file."""

from __future__ import annotations

from pathlib import Path

import pytest

from exchange.engine import create_engine
from exchange.fuzz import main
from exchange.fuzz.choices import time_of
from exchange.fuzz.command import reject_names, shrink_failure
from exchange.fuzz.differ import run_generated, run_records
from exchange.fuzz.shrink import shrink, simplify
from exchange.fuzz.write import write_scenario
from exchange.protocol import messages as m
from exchange.protocol.records import decode_commands, encode_command, stamp
from exchange.reference import ledger
from exchange.reference.arithmetic import ppm_floor
from exchange.sim.scenario import load_scenario, main_run, parse_scenario, run_scenario


def test_the_same_seed_makes_the_same_stream_whichever_engine_answers() -> None:
    first, _ = run_generated(5, 300, ("native",))
    second, _ = run_generated(5, 300, ("reference",))
    other, _ = run_generated(6, 300, ("native",))
    assert first == second
    assert first != other


def test_shrinking_keeps_what_is_needed_in_its_order() -> None:
    records = [bytes([n]) for n in range(100)]

    def fails(kept: object) -> bool:
        assert isinstance(kept, list)
        return {b"\x07", b"\x32", b"\x5a"} <= set(kept)

    assert shrink(records, fails) == [b"\x07", b"\x32", b"\x5a"]


def test_numbers_are_rounded_where_it_fails_all_the_same() -> None:
    records = [encode_command(m.Deposit(account=1, amount_atoms=69_847))]

    def fails(kept: object) -> bool:
        assert isinstance(kept, list)
        (command,) = decode_commands(kept[0])
        return isinstance(command, m.Deposit) and command.amount_atoms >= 60_500

    (simple,) = decode_commands(simplify(records, fails)[0])
    assert isinstance(simple, m.Deposit)
    assert simple.amount_atoms == 69_000


@pytest.mark.parametrize("seed", range(20, 40))
def test_a_stream_written_as_a_scenario_tells_the_same_story(seed: int) -> None:
    """Commands become steps and come back as the same commands: events, reasons and digest are those of the stream."""
    records, failure = run_generated(seed, 250, ("reference",))
    assert failure is None
    engine = create_engine("reference")
    for sequence, record in enumerate(records, start=1):
        engine.apply(stamp(record, sequence, time_of(sequence - 1)))
    text = write_scenario("stream", "as it was", records, reject_names(records, "reference"), seed)
    result = run_scenario(parse_scenario(text), "reference")
    assert result.failures == ()
    assert result.digest == engine.digest()


def test_a_wrong_rule_becomes_a_small_scenario_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fees rounded down in one engine: the file passes on the right one, and shows the difference."""
    monkeypatch.setattr(ledger, "ppm_ceil", ppm_floor)
    code = main(["--seed", "3", "--commands", "2000", "--world", "500", "--out", str(tmp_path)])
    assert code == 1
    told = capsys.readouterr().out
    assert "FAILED at command" in told
    assert "--world-seed" in told
    (path,) = tmp_path.glob("*.yaml")
    scenario = load_scenario(path)
    assert len(scenario.steps) <= 20
    assert main_run([path], "native") == 0
    commands = run_scenario(scenario, "native").events
    assert commands != run_scenario(scenario, "reference").events


def test_shrinking_finds_the_same_kind_of_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "ppm_ceil", ppm_floor)
    engines = ("reference",)
    failure = None
    seed = 0
    while failure is None:
        seed += 1
        records, failure = run_generated(seed, 400, engines)
    small, again = shrink_failure(records[: failure.index + 1], failure, engines)
    assert again.kind == failure.kind
    assert len(small) < len(records)
    for index in range(len(small)):
        without = small[:index] + small[index + 1 :]
        found = run_records(without, engines, 1 << 40)
        assert found is None or found.kind != failure.kind, "a command could still be left out"


def test_a_clean_run_says_what_occurred(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "2", "--commands", "600", "--world", "300", "--engines", "native"]) == 0
    told = capsys.readouterr().out
    assert "600 commands" in told
    assert "0 failures; engines native, seed 2" in told
    assert "did not occur:" in told
    assert "events:" not in told


def test_statistics_are_told_where_they_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--seed", "2", "--commands", "300", "--world", "300", "--engines", "reference"]
    assert main([*command, "--stats"]) == 0
    told = capsys.readouterr().out
    for heading in ("commands:", "reasons:", "events:", "did not occur:", "place_orders"):
        assert heading in told


@pytest.mark.parametrize("wrong", (["--engines", "fast"], ["--commands", "0"], ["--world", "-1"]))
def test_wrong_arguments_say_what_is_wanted(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(wrong)
    assert stopped.value.code == 2
    assert "wanted" in capsys.readouterr().err
