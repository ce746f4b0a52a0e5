"""The command line: what it prints, and one clear line with exit code 2 for what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exchange.bootstrap import missing_commands
from exchange.cli import main
from exchange.config import default_text, load_config
from exchange.engine import create_engine
from exchange.journal import MIN_SEGMENT_BYTES, Journal
from exchange.protocol.messages import Command, Deposit, PlaceOrder, SetMarginMode, SetMark
from exchange.protocol.records import encode_commands
from exchange.segments import segment_paths
from exchange.sequencer import Sequencer


def order(account: int, side: int, price_ticks: int, qty_lots: int) -> PlaceOrder:
    return PlaceOrder(
        account=account, symbol=1, side=side, price_ticks=price_ticks, qty_lots=qty_lots
    )


STORY: list[Command] = [
    Deposit(account=1, amount_atoms=10**14),
    Deposit(account=2, amount_atoms=1000 * 10**8),
    SetMarginMode(account=2, symbol=1, margin_mode=0, initial_margin_ppm=10_000),
    order(1, 1, 600_000, 1000),
    order(2, 0, 600_000, 1000),
    order(2, 0, 600_000, 1_000_000),  # insufficient margin
    order(1, 0, 585_000, 1000),
    SetMark(symbol=1, price_ticks=588_000),
]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A data folder in which somebody was liquidated, in segments as small as may be."""
    engine, sequencer = create_engine("reference"), Sequencer(clock=lambda: 1)
    written = Journal(tmp_path / "data" / "journal", segment_bytes=MIN_SEGMENT_BYTES)
    for command in [*missing_commands(load_config(), engine).commands, *STORY]:
        batch = sequencer.stamp(encode_commands([command]), 1)
        written.append(batch.commands, batch.first_sequence, 1)
        written.flush()
        engine.apply(batch.commands)
    written.close()
    (tmp_path / "digest").write_text(engine.digest())
    return tmp_path / "data"


@pytest.mark.parametrize("arguments", [[], ["--verify"], ["--engine", "reference"]])
def test_replay_tells_the_digest_and_what_happened(
    journal: Path, capsys, arguments: list[str]
) -> None:
    assert main(["replay", str(journal), "--json", *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["digest"] == (journal.parent / "digest").read_text()
    assert (told["sequence"], told["commands"], told["accepted"]) == (12, 12, 11)
    assert told["rejected"] == {"insufficient_margin": 1}
    assert (told["fills"], told["liquidations"]) == (2, 1)
    assert told["volume_atoms"] == (60_000 + 58_500) * 10**8
    assert told["fund_draws"] == 1
    assert told["verified"] is ("--verify" in arguments)


def test_replay_in_words(journal: Path, capsys) -> None:
    assert main(["replay", str(journal / "journal")]) == 0
    told = capsys.readouterr().out
    assert "  insufficient_margin" in told
    assert "volume                       118500" in told


def test_replay_tells_where_the_engines_differ(
    journal: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    from exchange.reference.engine import ReferenceEngine

    honest = ReferenceEngine.apply

    def wrong(self: ReferenceEngine, commands: bytes) -> bytes:
        events = honest(self, commands)
        return events[:-1] + bytes([events[-1] ^ 1]) if self.sequence == 5 else events

    monkeypatch.setattr(ReferenceEngine, "apply", wrong)
    assert main(["replay", str(journal), "--verify"]) == 1
    assert "command 5: the engine gave" in capsys.readouterr().err


def test_audit_says_that_every_invariant_holds(journal: Path, capsys) -> None:
    assert main(["audit", str(journal)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("12 commands in ")
    assert told.endswith("invariants holds\n")
    assert main(["audit", str(journal), "--engine", "reference", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True


def test_audit_names_what_is_broken(journal: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that takes an atom more than each fee."""
    from exchange.reference import ledger

    honest = ledger.most_rebate
    monkeypatch.setattr(ledger, "most_rebate", lambda fee, paid: honest(fee, paid) + 1)
    assert main(["audit", str(journal), "--engine", "reference"]) == 1
    told = capsys.readouterr().out
    assert "I3 broken by command" in told
    assert "x I3: each change of a balance has one event" in told


def test_inspect_prints_segments_and_says_that_all_is_there(journal: Path, capsys) -> None:
    assert main(["inspect", str(journal)]) == 0
    told = capsys.readouterr().out
    assert f"{1:020d}.journal" in told
    assert "whole: every command that was durable can be read" in told


def test_inspect_and_replay_point_at_damage(journal: Path, capsys) -> None:
    path = segment_paths(journal / "journal")[0]
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    assert main(["inspect", str(journal)]) == 1
    assert "damaged: " in capsys.readouterr().out
    assert main(["replay", str(journal)]) == 2
    assert "at byte 32, where command 1 should be" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay", "/nonexistent"],
        ["inspect", "/nonexistent"],
        ["serve", "--config", "/nonexistent.toml"],
        ["serve", "--data", "/proc/nowhere"],
    ],
)
def test_an_error_is_one_line_and_exit_code_2(arguments: list[str], capsys) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("exchange: ")
    assert error.count("\n") == 1


def test_the_default_configuration_can_be_printed(capsys) -> None:
    assert main(["serve", "--print-config"]) == 0
    assert capsys.readouterr().out == default_text()


def test_help_lists_every_command(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert all(
        name in told
        for name in ("serve", "replay", "audit", "inspect", "scenario", "demo", "fuzz", "bench")
    )
