"""Two builds over one journal agree, or the first command at which they do not is found."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from exchange.cli import main
from exchange.config import load_config
from exchange.digests import digests
from exchange.engine import create_engine
from exchange.journal import Durability, Journal
from exchange.protocol.messages import Command, Deposit, DepositFund, PlaceOrder, SetMark
from exchange.protocol.records import encode_commands, stamp
from exchange.recovery import cut_at, take_engine_snapshot
from exchange.segments import scan
from exchange.snapshot import write_snapshot
from exchange.verify import spread

ROOT = Path(__file__).parents[2]
ATOMS = 10**8


def trading(count: int) -> list[Command]:
    """A listed symbol, two accounts with money, and orders of which each second one trades."""
    symbol = load_config().symbols[0]
    commands: list[Command] = [
        symbol.to_command(),
        SetMark(symbol=symbol.symbol, price_ticks=600_000),
        DepositFund(fund=0, amount_atoms=1_000 * ATOMS),
        *(Deposit(account=account, amount_atoms=100_000 * ATOMS) for account in (1, 2)),
    ]
    while len(commands) < count:
        number = len(commands)
        commands.append(
            PlaceOrder(
                account=1 + number % 2,
                symbol=symbol.symbol,
                side=number % 2,
                price_ticks=600_000 + (number % 7) * (1 if number % 2 else -1),
                qty_lots=100,
            )
        )
    return commands


def write_journal(folder: Path, commands: list[Command]) -> None:
    """A journal of these commands, seven in a frame."""
    journal = Journal(folder, durability=Durability.ALWAYS, segment_bytes=1 << 16)
    for at in range(0, len(commands), 7):
        part = commands[at : at + 7]
        journal.append(stamp(encode_commands(part), at + 1, 1_000 + at), at + 1, len(part))
        journal.flush()
    journal.close()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    write_journal(tmp_path / "data" / "journal", trading(100))
    return tmp_path / "data"


def test_digests_at_a_point_are_those_of_an_engine_that_stops_there(journal: Path) -> None:
    stopped = create_engine("native")
    told = b""
    for frame in scan(journal / "journal"):
        told += stopped.apply(frame.commands)
        if stopped.sequence == 49:
            break
    at_49, at_52 = digests(create_engine("native"), scan(journal / "journal"), [49, 52, 101])
    assert at_49.state == stopped.digest()
    assert at_49.events == hashlib.blake2b(told, digest_size=16).hexdigest()
    assert (at_49.sequence, at_52.sequence) == (49, 52)
    assert at_52.state != at_49.state


def test_the_two_engines_agree_on_a_journal(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(journal), "--json"]) == 0
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["commands"] == 100
    assert verdict["builds"] == ["this build", "the reference engine"]
    assert (
        verdict["state"]
        == next(digests(create_engine("native"), scan(journal / "journal"), [100])).state
    )


def other_build(folder: Path, change: tuple[str, str]) -> Path:
    """A checkout whose `exchange` refuses, or does otherwise, from some command on: its Python part is a copy."""
    shutil.copytree(
        ROOT / "exchange", folder / "exchange", ignore=shutil.ignore_patterns("__pycache__")
    )
    digests_file = folder / "exchange" / "digests.py"
    text = digests_file.read_text()
    assert text.count(change[0]) == 1
    digests_file.write_text(text.replace(*change))
    return folder


@pytest.mark.parametrize("wrong_from", [1, 6, 64, 77, 100])
def test_the_first_command_that_another_build_takes_otherwise_is_found(
    wrong_from: int, journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = other_build(
        tmp_path / "other",
        (
            "yield Point(point, engine.digest(), told.hexdigest())",
            f"yield Point(point, engine.digest(), 'x' if point >= {wrong_from} else told.hexdigest())",
        ),
    )
    assert main(["verify", str(journal), "--against", str(other), "--json"]) == 1
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["differs_at"] == wrong_from
    assert verdict["command"].startswith("PlaceOrder(" if wrong_from > 5 else "ListSymbol(")


def test_a_build_that_gives_up_is_told_with_its_words(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = other_build(
        tmp_path / "other",
        (
            "            told.update(engine.apply(frame.commands))",
            "            events = engine.apply(frame.commands)\n"
            "            if engine.sequence >= 33:\n"
            "                raise ValueError('no room for command 33')\n"
            "            told.update(events)",
        ),
    )
    assert main(["verify", str(journal), "--against", str(other)]) == 1
    out = capsys.readouterr().out
    assert "first at command 33 of 100" in out
    assert "ValueError: no room for command 33" in out


def test_a_recorded_digest_that_is_not_reached_is_told(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = create_engine("native")
    for frame in scan(journal / "journal"):
        engine.apply(frame.commands)
    snapshot = take_engine_snapshot(engine)
    write_snapshot(journal / "snapshots", snapshot)
    assert main(["verify", str(journal)]) == 0
    assert "1 digests recorded earlier agree" in capsys.readouterr().out

    other = create_engine("native")
    other.apply(
        stamp(encode_commands([*trading(99), Deposit(account=1, amount_atoms=1)]), 1, 1_000)
    )
    (journal / "snapshots" / f"{100:020d}.snapshot").unlink()
    write_snapshot(journal / "snapshots", take_engine_snapshot(other))
    assert main(["verify", str(journal)]) == 1
    assert f"after command 100 the digest was {other.digest()}" in capsys.readouterr().out


def test_another_build_that_is_not_there_is_an_error_that_says_what_is_wanted(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(journal), "--against", "/nowhere"]) == 2
    assert "--against is '/nowhere'; wanted `reference`, a folder" in capsys.readouterr().err


def test_points_are_spread_to_the_last_one() -> None:
    assert spread(0, 262_144)[-1] == 262_144
    assert len(spread(0, 262_144)) == 64
    assert spread(4_096, 4_097) == [4_097]


def test_digests_want_sequences(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["digests", str(journal), "--at", "3,x"]) == 2
    assert "wanted sequences like 100,200,300" in capsys.readouterr().err


def noted(data: Path, digest_at_50: str) -> None:
    """Notes a digest of command 50 and the right one of command 93, which stands inside a frame."""
    at_93 = next(digests(create_engine("native"), scan(data / "journal"), [93])).state
    journal = Journal(data / "journal", segment_bytes=1 << 16)
    journal.note(50, digest_at_50)
    journal.note(93, at_93)
    journal.close()


def test_a_replay_compares_what_was_noted_while_the_journal_was_made(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at_50 = next(digests(create_engine("native"), scan(journal / "journal"), [50])).state
    noted(journal, at_50)
    assert main(["replay", str(journal), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    whole = next(digests(create_engine("native"), scan(journal / "journal"), [100]))
    assert (summary["sequence"], summary["digest"]) == (100, whole.state)


def test_a_replay_that_does_not_come_to_what_was_noted_says_where(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noted(journal, "ab" * 16)
    assert main(["replay", str(journal)]) == 1
    assert "after command 50 the digest is" in capsys.readouterr().err


def test_frames_are_cut_where_it_is_asked(journal: Path) -> None:
    frames = list(scan(journal / "journal"))
    cut = list(cut_at(frames, [7, 9, 10, 100, 500]))
    assert [(f.first_sequence, f.count) for f in cut][:5] == [
        (1, 7),
        (8, 2),
        (10, 1),
        (11, 4),
        (15, 7),
    ]
    assert b"".join(f.commands for f in cut) == b"".join(f.commands for f in frames)
    assert [number for f in cut for number in range(f.first_sequence, f.last_sequence + 1)] == list(
        range(1, 101)
    )
