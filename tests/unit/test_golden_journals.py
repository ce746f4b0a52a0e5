"""Journals of earlier releases come to the digests that they came to then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exchange.cli import main
from exchange.digests import digests
from exchange.engine import create_engine
from exchange.protocol.records import iter_starts
from exchange.protocol.schema import COMMANDS
from exchange.segments import digest_notes, scan

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("journal-*"))


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("folder", GOLDEN, ids=lambda path: path.name)
def test_an_old_journal_comes_to_its_digests(folder: Path, engine: str) -> None:
    written = json.loads((folder / "digests.json").read_text())
    points = [point["sequence"] for point in written]
    found = digests(create_engine(engine), scan(folder / "journal"), points)
    assert [
        {"sequence": point.sequence, "state": point.state, "events": point.events}
        for point in found
    ] == written


@pytest.mark.parametrize("folder", GOLDEN, ids=lambda path: path.name)
def test_an_old_journal_agrees_with_what_was_noted_in_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = dict(digest_notes(folder / "journal"))
    assert len(notes) >= 10
    assert main(["verify", str(folder)]) == 0
    assert f"{len(notes)} digests recorded earlier agree" in capsys.readouterr().out


def test_the_first_format_is_kept_with_every_command_of_its_time() -> None:
    numbers = {
        number
        for frame in scan(GOLDEN[0] / "journal")
        for number, _, _ in iter_starts(frame.commands)
    }
    # Commands that came later are in no journal of that time.
    assert numbers == {command.number for command in COMMANDS if command.number in numbers}
    assert len(numbers) == 31
