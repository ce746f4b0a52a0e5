"""The log: the same events for people and as JSON, with structlog and without, and never in the loop's way."""

from __future__ import annotations

import io
import json
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from exchange.ops import log_events
from exchange.ops.log import (
    EVENTS_PER_SECOND,
    MAX_WAITING,
    LogConfig,
    LogFile,
    LogWriter,
    open_log,
    render_json,
    renderer_of,
)
from exchange.ops.log_events import Level, LogEvent, SessionLost, SnapshotWritten

EVENTS = [
    kind
    for kind in vars(log_events).values()
    if isinstance(kind, type) and issubclass(kind, LogEvent) and kind is not LogEvent
]
PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
LOST = SessionLost(door="orders", peer="00ab", accounts=2)


def without_structlog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "structlog", None)


@pytest.mark.parametrize("installed", [True, False])
def test_json_is_one_object_a_line_with_typed_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    if not installed:
        without_structlog(monkeypatch)
    path = tmp_path / "node.log"
    log = open_log(LogConfig(format="json", file=str(path)))
    log(LOST)
    log(SnapshotWritten(path="x", sequence=7, took_ms=3))
    log.close()
    first, second = map(json.loads, path.read_text().splitlines())
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "level": "warning",
        "event": "session_lost",
        "door": "orders",
        "peer": "00ab",
        "accounts": 2,
    }
    assert (second["level"], second["sequence"], second["took_ms"]) == ("info", 7, 3)


@pytest.mark.parametrize("installed", [True, False])
def test_text_is_for_people(monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    if not installed:
        without_structlog(monkeypatch)
    to = io.StringIO()
    log = LogWriter(Level.INFO, renderer_of("text", colours=False), to)
    log(LOST)
    log._thread.join(0.2)
    assert "session_lost" in to.getvalue()
    assert "warning" in to.getvalue()
    assert "door=orders peer=00ab accounts=2" in to.getvalue()
    log.close()


def test_what_is_below_the_level_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    log = open_log(LogConfig(format="json", level="warning", file=str(path)))
    log(SnapshotWritten(path="x", sequence=7, took_ms=3))
    log(LOST)
    log.close()
    assert path.read_text().count("\n") == 1


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    log = LogFile(path)
    log.write("first\n")
    log.flush()
    path.rename(tmp_path / "node.log.1")
    log.write("second\n")
    log.close()
    assert (path.read_text(), (tmp_path / "node.log.1").read_text()) == ("second\n", "first\n")


class Stuck(io.StringIO):
    """A terminal that takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on, self.taken = threading.Event(), threading.Event()
        self.text = ""

    def write(self, text: str) -> int:
        self.taken.set()
        assert self.go_on.wait(10)
        self.text += text
        return len(text)

    def close(self) -> None:
        pass


def test_a_terminal_that_stands_still_stops_nobody_and_what_was_dropped_is_told() -> None:
    to = Stuck()
    log = LogWriter(Level.INFO, render_json, to)
    log(LOST)
    assert to.taken.wait(10)
    for number in range(MAX_WAITING + 100):
        # Of many kinds, so that it is the queue that is full and not one kind that comes too often.
        kind = msgspec.defstruct(f"Kind{number}", [("n", int)], bases=(LogEvent,), frozen=True)
        log(kind(n=number))
    to.go_on.set()
    log.close()
    lines = list(map(json.loads, to.text.splitlines()))
    assert len(lines) == 1 + MAX_WAITING + 1
    assert (lines[-1]["event"], lines[-1]["events"]) == ("log_dropped", 100)


def test_one_kind_of_event_cannot_fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.ops.log.time.time", lambda: 1000.5)
    to = Stuck()
    to.go_on.set()
    log = LogWriter(Level.INFO, render_json, to)
    for _ in range(EVENTS_PER_SECOND + 30):
        log(LOST)
    log(SnapshotWritten(path="x", sequence=7, took_ms=3))
    log.close()
    lines = list(map(json.loads, to.text.splitlines()))
    names = [line["event"] for line in lines]
    assert names.count("session_lost") == EVENTS_PER_SECOND
    assert names.count("snapshot_written") == 1
    assert sum(line["events"] for line in lines if line["event"] == "log_dropped") == 30


def test_a_disk_that_is_full_is_no_reason_to_stop() -> None:
    class Full(Stuck):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    log = LogWriter(Level.INFO, render_json, Full())
    log(LOST)
    log.close()
    assert not log._thread.is_alive()


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_and_its_fields_are_on_the_page(kind: type[LogEvent]) -> None:
    row = next((line for line in PAGE.splitlines() if line.startswith(f"| `{kind.name}`")), "")
    assert row, f"{kind.name} is not in docs/operations.md"
    assert kind.level.name.lower() in row
    missing = [f.name for f in msgspec.structs.fields(kind) if f"`{f.name}`" not in row]
    assert not missing
