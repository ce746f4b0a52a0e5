"""What copies of a book have in common: a snapshot, then deltas, then a snapshot again wherever one is missing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import Generic, Protocol, TypeVar

MAX_WAITING = 10_000  # deltas kept while a snapshot is on its way


class Delta(Protocol):
    """The part of a message that says where it belongs."""

    @property
    def symbol(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def sequence(self) -> int: ...
    @property
    def engine_sequence(self) -> int: ...


class Snapshot(Delta, Protocol):
    """A whole as of delta ``sequence``."""


D = TypeVar("D", bound=Delta)
S = TypeVar("S", bound=Snapshot)


class Mirror(ABC, Generic[S, D]):
    """Joins deltas to a snapshot.  No I/O: it says when it needs a snapshot."""

    def __init__(self, symbol: int) -> None:
        self.symbol = symbol
        self.sequence = -1
        self.engine_sequence = 0
        self.epoch = -1
        self.needs_snapshot = True
        self.gaps = 0  # times that deltas were missing
        self._waiting: deque[D] = deque(maxlen=MAX_WAITING)

    def load(self, snapshot: S) -> None:
        """Starts over from a snapshot, and applies the deltas that came while it was on its way."""
        self.epoch, self.sequence = snapshot.epoch, snapshot.sequence
        self.engine_sequence = snapshot.engine_sequence
        self._start_over(snapshot)
        self.needs_snapshot = False
        waiting = list(self._waiting)
        self._waiting.clear()
        for delta in waiting:
            self.apply(delta)

    def apply(self, delta: D) -> None:
        """Takes the next delta; one that does not follow makes the mirror wait for a snapshot."""
        if delta.symbol != self.symbol:
            return
        if self.needs_snapshot:
            self._waiting.append(delta)
        elif delta.epoch == self.epoch and delta.sequence <= self.sequence:
            return  # it is in the snapshot already
        elif (
            delta.epoch == self.epoch
            and delta.sequence == self.sequence + 1
            and self._changes_something(delta)
        ):
            self._change(delta)
            self.sequence, self.engine_sequence = delta.sequence, delta.engine_sequence
        else:
            # A marker ahead of us, a delta too far ahead, or a node that was started anew.
            self.gaps += 1
            self.needs_snapshot = True
            self._waiting.append(delta)

    @abstractmethod
    def _start_over(self, snapshot: S) -> None:
        """Forgets everything but what the snapshot has."""

    @abstractmethod
    def _changes_something(self, delta: D) -> bool:
        """Whether it is a delta, and not the marker that a new subscriber gets."""

    @abstractmethod
    def _change(self, delta: D) -> None:
        """Carries over what changed."""
