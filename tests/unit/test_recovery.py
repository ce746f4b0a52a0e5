"""Small things of the way back from the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.protocol.messages import AdvanceTime
from exchange.protocol.records import count_records, encode_commands
from exchange.recovery import journal_folder, skip_commands, with_progress
from exchange.segments import Frame
from exchange.sequencer import Sequencer


def test_a_long_replay_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds: Iterator[float] = iter([0.0, 0.4, 1.1, 1.1, 1.5, 2.2, 2.2])
    monkeypatch.setattr("time.monotonic", lambda: next(seconds))
    frames = [Frame(first, 10, b"", 0, Path("x"), 32) for first in (1, 11, 21, 31)]
    said: list[str] = []
    assert list(with_progress(frames, 40, said.append)) == frames
    assert said == [
        "replayed up to command 20 of 40 (50 %)",
        "replayed up to command 40 of 40 (100 %)",
    ]


def test_the_first_commands_of_a_batch_can_be_skipped() -> None:
    batch = encode_commands([AdvanceTime(), AdvanceTime(), AdvanceTime()])
    assert [count_records(skip_commands(batch, count)) for count in (-1, 0, 1, 3, 9)] == [
        3,
        3,
        2,
        0,
        0,
    ]


def test_a_journal_is_found_by_its_own_folder_or_the_nodes(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="wanted a folder with"):
        journal_folder(tmp_path)
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / f"{1:020d}.journal").touch()
    assert journal_folder(tmp_path) == journal_folder(tmp_path / "journal") == tmp_path / "journal"


def test_time_never_runs_backwards() -> None:
    clock = iter([100, 90, 120])
    sequencer = Sequencer(timestamp_ns=95, clock=lambda: next(clock))
    batch = encode_commands([AdvanceTime()])
    assert [sequencer.stamp(batch, 1).timestamp_ns for _ in range(3)] == [100, 100, 120]
    assert Sequencer(timestamp_ns=95, clock=lambda: 0).now_ns() == 95
