"""All that looks at one node, in one place: counters, log, monitor, the end, and the HTTP server if there is one."""

from __future__ import annotations

import importlib.util
import shutil
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from exchange.config import Config
from exchange.ops.counters import MARK_TIMES, SYMBOLS_COUNTED, Counters, Laps
from exchange.ops.drain import Drain
from exchange.ops.http import Expose, OpsServer
from exchange.ops.log import Log
from exchange.ops.log_events import (
    DiskFull,
    DiskHasRoom,
    MetricsUnavailable,
    ReadingResumed,
    ReadingStopped,
)
from exchange.ops.monitor import Monitor, Reading

if TYPE_CHECKING:
    from exchange.node import Node

NS_PER_MS = 10**6
SEGMENTS_AHEAD = 2  # the spare one that the journal keeps, and the one after it


class OpsDesk:
    """What a node keeps for those who look at it.  The HTTP server, if configured, answers from here on."""

    def __init__(self, config: Config, log: Log, about: Mapping[str, str]) -> None:
        self.counters = Counters()
        self.laps = Laps(self.counters)
        self.monitor = Monitor()
        self.monitor.free_bytes = lambda: shutil.disk_usage(config.data).free
        self.monitor.wanted_bytes = SEGMENTS_AHEAD * config.journal.segment_bytes
        self.drain = Drain(config.drain_seconds)
        self.log = log
        self._reading_stopped_ns = 0
        self._disk_full_ns = 0
        self._server: OpsServer | None = None
        if config.metrics.listen:
            within_s = config.metrics.healthy_within_ms / 1000
            expose = self._exposition(about, within_s)
            self._server = OpsServer(config.metrics.listen, self.monitor, expose, within_s)
            if expose is None:
                log(MetricsUnavailable(listen=self.address))

    def _exposition(self, about: Mapping[str, str], within_s: float) -> Expose | None:
        """What answers a scrape, where the package for it is installed."""
        if importlib.util.find_spec("prometheus_client") is None:
            return None
        from exchange.ops.metrics import NodeCollector, exposition_of

        return exposition_of(NodeCollector(self.counters, self.monitor, about, within_s))

    @property
    def address(self) -> str:
        """host:port of the HTTP server; empty without one."""
        return self._server.address if self._server is not None else ""

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    def replayed(self, sequence: int, last_sequence: int) -> None:
        """How far a recovery got."""
        self.monitor.replayed, self.monitor.replay_until = sequence, last_sequence

    def note_reading(self, reads: bool, held_bytes: int, journal_lag: int) -> None:
        """Logs when the node stops taking from clients, and when it goes on."""
        if reads == (self._reading_stopped_ns == 0):
            return
        now_ns = time.monotonic_ns()
        if reads:
            stopped_ms = (now_ns - self._reading_stopped_ns) // NS_PER_MS
            self.log(ReadingResumed(held_bytes=held_bytes, stopped_ms=stopped_ms))
        else:
            self.log(ReadingStopped(held_bytes=held_bytes, journal_lag=journal_lag))
        self._reading_stopped_ns = 0 if reads else now_ns

    def note_disk(self, problem: str) -> None:
        """Logs when the journal finds no room for its next segment, and when it does again (no ``problem``)."""
        if bool(problem) == (self._disk_full_ns != 0):
            return
        now_ns = time.monotonic_ns()
        free_bytes = self.monitor.room() or 0
        if problem:
            self.log(DiskFull(free_bytes=free_bytes, problem=problem))
        else:
            full_ms = (now_ns - self._disk_full_ns) // NS_PER_MS
            self.log(DiskHasRoom(free_bytes=free_bytes, full_ms=full_ms))
        self._disk_full_ns = now_ns if problem else 0


def read_node(node: Node) -> Reading:
    """How a node stands now.  Called by its loop."""
    counters, journal, engine = node.ops.counters, node.journal, node.engine
    symbols = engine.symbols()
    times = {
        view.symbol: counters[MARK_TIMES + view.symbol]
        for view in symbols
        if view.symbol < SYMBOLS_COUNTED
    }
    return Reading(
        now_ns=node.sequencer.now_ns(),
        sequence=engine.sequence,
        appended_sequence=journal.next_sequence - 1,
        released_sequence=journal.released_up_to,
        durable_sequence=journal.durable_up_to,
        journal_tight=journal.tight,
        held_bytes=node.held_bytes,
        max_held_bytes=node.config.limits.max_held_bytes,
        sessions=node.sessions.count_by_state(),
        sessions_untold=len(node.sessions.to_be_told()),
        sessions_catching_up=node.sessions.count_catching_up,
        remembered_bytes=node.streams.used_bytes,
        max_remembered_bytes=node.config.limits.remembered_bytes,
        connections=node.server.guard.counts(),
        symbols=symbols,
        mark_times_ns={symbol: time_ns for symbol, time_ns in times.items() if time_ns},
        fund_atoms=engine.funds(),
        fees_atoms=engine.fees_atoms(),
        uncovered=engine.uncovered(),
    )
