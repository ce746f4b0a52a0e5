"""Between the loop of a node and whoever looks at it from another thread.

Theory of operation.  An engine answers one thread at a time, so nobody else may ask it.  Who wants to know how the
node stands leaves a wish, wakes the loop and waits for a moment; the loop sees the wish at the end of its round and
takes a ``Reading``.  A node that nobody asks does nothing for this, and a loop that is stuck is found out by not
answering: that is what health means here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import StrEnum

import msgspec

from exchange.protocol.views import SymbolView


class Phase(StrEnum):
    """What a node does, in the order of its life."""

    RECOVERING = "recovering"  # snapshot and journal
    SERVING = "serving"
    DRAINING = "draining"  # orders may be cancelled, none placed
    STOPPING = "stopping"  # what was taken is made durable and told, the last snapshot is written


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How a node stands at one moment, as its own loop says it."""

    now_ns: int  # of the sequencer's clock
    sequence: int
    appended_sequence: int
    released_sequence: int  # replies up to here may leave
    durable_sequence: int
    journal_tight: bool  # the disk has no room for its next segment
    held_bytes: int
    max_held_bytes: int
    sessions: dict[tuple[str, str], int]  # by door and state
    sessions_untold: int  # lost ones that could not be told yet
    sessions_catching_up: int  # that are sent what they missed
    remembered_bytes: int  # of events, for who comes back
    max_remembered_bytes: int
    connections: dict[
        str, int
    ]  # how many there are, and how many could not be, by what became of them
    symbols: list[SymbolView]
    mark_times_ns: dict[int, int]  # by symbol, of marks set since the start
    fund_atoms: dict[int, int]
    fees_atoms: int
    uncovered: bool

    @property
    def journal_lag(self) -> int:
        """Commands that are in the journal and would not survive a crash of the machine yet."""
        return self.appended_sequence - self.durable_sequence

    @property
    def in_flight(self) -> int:
        """Commands whose replies wait for the journal."""
        return self.appended_sequence - self.released_sequence


class Problem(msgspec.Struct, frozen=True):
    """Why a node should not be sent anything."""

    check: str
    message: str


class Monitor:
    """What the other threads know of a node.

    >>> Monitor().problems(within_s=0)[0].check
    'recovered'
    """

    def __init__(self) -> None:
        self.phase = Phase.RECOVERING
        self.journal_failure = ""
        self.replayed = self.replay_until = 0  # sequences, while it recovers
        self.wanted = False  # the loop looks at this at the end of each round
        self.wake: Callable[[], None] = lambda: None
        self.free_bytes: Callable[[], int] | None = None  # where the journal is
        self.wanted_bytes = 0  # that should be free there: what the journal takes next
        self.reading: Reading | None = None  # the last one
        self.read_at_s = 0.0
        self._changed = threading.Condition()
        self._begun = self._done = 0  # readings

    # ---- the loop's side

    def take(self, read: Callable[[], Reading]) -> None:
        """Takes the reading that somebody wants."""
        with self._changed:
            self.wanted = False
            self._begun += 1
            begun = self._begun
        reading = read()
        with self._changed:
            self.reading, self.read_at_s = reading, time.monotonic()
            self._done = begun
            self._changed.notify_all()

    def move(self, phase: Phase) -> None:
        with self._changed:
            self.phase = phase
            self._changed.notify_all()

    # ---- the other threads' side

    @property
    def turns(self) -> bool:
        """Whether there is a loop that can answer."""
        return self.phase in (Phase.SERVING, Phase.DRAINING)

    def ask(self, within_s: float) -> Reading | None:
        """A reading that was begun after this call; None if the loop gave none in time."""
        with self._changed:
            wanted = self._begun + 1
            self.wanted = True
            self.wake()
            self._changed.wait_for(lambda: self._done >= wanted or not self.turns, within_s)
            return self.reading if self._done >= wanted else None

    def room(self) -> int | None:
        """Bytes that are free where the journal is; None where nobody can say."""
        try:
            return None if self.free_bytes is None else self.free_bytes()
        except OSError:
            return None

    def is_alive(self, within_s: float) -> bool:
        """Whether the process does what it should: recover, turn its loop, or end."""
        return not self.turns or self.ask(within_s) is not None

    def problems(self, within_s: float) -> list[Problem]:
        """Why the node cannot be traded on now; empty: it can."""
        if self.phase is Phase.RECOVERING:
            done = f"replayed {self.replayed} of {self.replay_until} commands"
            return [Problem("recovered", f"the journal is being replayed: {done}")]
        if self.journal_failure:
            return [Problem("journal", self.journal_failure)]
        if self.phase is Phase.STOPPING:
            return [Problem("bound", "the node stops: its doors are closed")]
        reading = self.ask(within_s)
        if reading is None:
            return [Problem("loop", f"the loop did not turn within {within_s:g} s")]
        problems = []
        if self.phase is Phase.DRAINING:
            problems.append(Problem("draining", "the node is about to stop and takes no orders"))
        free = self.room()
        if reading.journal_tight or (free is not None and free < self.wanted_bytes):
            wants = f"{free} bytes are free where the journal is, its next segments take"
            problems.append(Problem("disk", f"{wants} {self.wanted_bytes}"))
        if reading.held_bytes >= reading.max_held_bytes:
            waits = f"{reading.held_bytes} bytes wait for the disk, {reading.max_held_bytes} may"
            problems.append(Problem("held_bytes", f"{waits}: nothing is read from clients"))
        return problems
