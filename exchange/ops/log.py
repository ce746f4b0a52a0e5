"""Where a node's log goes: lines for people or JSON, on standard error or into a file, never in the loop's way.

Theory of operation.  The loop hands an event over and goes on; a thread of its own makes the line and writes it.  In
between is a queue with a bound: where the terminal or the disk stands still, events are dropped and counted, and so
are more than ``EVENTS_PER_SECOND`` of one kind, so that a client cannot fill a disk by being refused.  The next line
that gets through says how many were dropped.

With structlog (the extra ``ops``) its processors and renderers make the lines; without it the same lines are made
here, without colours.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from exchange.ops.log_events import Level, LogEvent

Log = Callable[[LogEvent], None]
#: An event as it is written: time, level, name and fields.
Entry = dict[str, Any]
MAX_WAITING = 10_000
EVENTS_PER_SECOND = 50  # of one kind
CLOSE_S = 2.0  # for what still waits at the end


class LogConfig(msgspec.Struct, frozen=True):
    """``[logging]`` of the configuration."""

    format: str = "text"  # or "json"
    level: str = "info"
    file: str = ""  # empty: standard error


class Sink(Protocol):
    """Where lines are written to."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class LogFile:
    """A file that may be moved away while it is written to: what comes then goes into a new one of its name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open()

    def _open(self) -> None:
        self._file = self._path.open("a", encoding="utf-8")

    def write(self, text: str, /) -> None:
        if self._file.closed or not self._is_there():
            self._file.close()
            self._open()
        self._file.write(text)

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def silent(event: LogEvent) -> None:
    """The log of a node that nobody listens to."""


def timestamp(time_s: float) -> str:
    """UTC with microseconds.

    >>> timestamp(0.25)
    '1970-01-01T00:00:00.250000Z'
    """
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


class LogWriter:
    """Takes events from any thread and writes them in a thread of its own."""

    def __init__(self, level: Level, render: Callable[[Entry], str], to: Sink) -> None:
        self._level = level
        self._render = render
        self._to = to
        self._waiting: deque[tuple[float, LogEvent]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._dropped = 0
        self._second = 0
        self._counts: dict[str, int] = {}  # of this second, by name
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def __call__(self, event: LogEvent) -> None:
        """Logs an event; never waits."""
        if event.level < self._level:
            return
        now_s = time.time()
        with self._changed:
            if (
                self._closing
                or len(self._waiting) >= MAX_WAITING
                or self._is_too_often(event, now_s)
            ):
                self._dropped += 1
                return
            self._waiting.append((now_s, event))
            self._changed.notify()

    def _is_too_often(self, event: LogEvent, now_s: float) -> bool:
        if int(now_s) != self._second:
            self._second = int(now_s)
            self._counts.clear()
        count = self._counts[event.name] = self._counts.get(event.name, 0) + 1
        return count > EVENTS_PER_SECOND

    def close(self) -> None:
        """Writes what waits, for a while at most."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(CLOSE_S)
        if self._to is not sys.stderr and not self._thread.is_alive():
            self._to.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                taken, dropped = list(self._waiting), self._dropped
                self._waiting.clear()
                self._dropped = 0
                if not taken and not dropped:
                    return
            self._write(taken, dropped)

    def _write(self, taken: list[tuple[float, LogEvent]], dropped: int) -> None:
        lines = [self._render(entry_of(time_s, event)) for time_s, event in taken]
        if dropped:
            entry = {"timestamp": timestamp(time.time()), "level": "warning"}
            lines.append(self._render({**entry, "event": "log_dropped", "events": dropped}))
        try:
            self._to.write("".join(line + "\n" for line in lines))
            self._to.flush()
        except (OSError, ValueError):
            # A terminal that was closed, a disk that is full: the exchange goes on, and its metrics say how it is.
            pass


def entry_of(time_s: float, event: LogEvent) -> Entry:
    entry = {"timestamp": timestamp(time_s), "level": event.level.name.lower()}
    return {**entry, "event": event.name, **event.fields()}


# ---------------------------------------------------------------------------------------------- formats


def render_json(entry: Mapping[str, Any]) -> str:
    """One line of JSON.

    >>> render_json({"level": "info", "event": "node_ready", "sequence": 5})
    '{"level":"info","event":"node_ready","sequence":5}'
    """
    return msgspec.json.encode(entry).decode()


def render_text(entry: Mapping[str, Any]) -> str:
    """One line for people, where structlog is not installed.

    >>> render_text({"timestamp": "1970-01-01T00:00:00Z", "level": "info", "event": "node_ready", "sequence": 5})
    '1970-01-01T00:00:00Z [info] node_ready sequence=5'
    """
    start = f"{entry['timestamp']} [{entry['level']}] {entry['event']}"
    named = [(key, value) for key, value in entry.items() if key not in ENTRY_START]
    return " ".join([start, *(f"{key}={value}" for key, value in named)])


ENTRY_START = ("timestamp", "level", "event")


def renderer_of(form: str, colours: bool) -> Callable[[Entry], str]:
    """The renderer of a format: structlog's, or ours where it is not installed."""
    try:
        structlog = importlib.import_module("structlog")
    except ImportError:
        return render_json if form == "json" else render_text
    if form == "json":
        renderer = structlog.processors.JSONRenderer(
            serializer=lambda entry, **_: render_json(entry)
        )
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=colours, sort_keys=False)
    return lambda entry: str(renderer(None, "", dict(entry)))


def open_log(config: LogConfig) -> LogWriter:
    """The log as configured.

    Raises:
        OSError: the file cannot be written.
    """
    level = Level[config.level.upper()]
    if config.file:
        return LogWriter(
            level, renderer_of(config.format, colours=False), LogFile(Path(config.file))
        )
    return LogWriter(level, renderer_of(config.format, sys.stderr.isatty()), sys.stderr)
