"""The one place where order and time enter the exchange.

Whatever comes after it is a pure function of the stamped commands: the engine, the journal, a replay next year.  A
command's sequence is its place in the journal, from 1 without gaps; its time is the clock's, and never runs backwards
even where the clock does.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from exchange.protocol.records import stamp


class Batch(msgspec.Struct, frozen=True):
    """Commands that got their sequences and their time together: the unit that is journaled and applied."""

    first_sequence: int
    count: int
    timestamp_ns: int
    commands: bytes

    @property
    def last_sequence(self) -> int:
        return self.first_sequence + self.count - 1


class Sequencer:
    """Gives commands their order and time.

    >>> from exchange.protocol.messages import AdvanceTime
    >>> from exchange.protocol.records import decode_commands, encode_commands
    >>> sequencer = Sequencer(last_sequence=4, timestamp_ns=1_000, clock=lambda: 999)
    >>> batch = sequencer.stamp(encode_commands([AdvanceTime(), AdvanceTime()]), count=2)
    >>> [(command.sequence, command.timestamp_ns) for command in decode_commands(batch.commands)]
    [(5, 1000), (6, 1000)]
    """

    def __init__(
        self, last_sequence: int = 0, timestamp_ns: int = 0, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.last_sequence = last_sequence
        self.timestamp_ns = timestamp_ns
        self.clock = clock

    def resume(self, last_sequence: int, timestamp_ns: int) -> None:
        """Goes on after commands that were stamped elsewhere, by the same rules."""
        self.last_sequence, self.timestamp_ns = last_sequence, timestamp_ns

    def now_ns(self) -> int:
        """The exchange's time: the clock's, but never before a time that was given already."""
        self.timestamp_ns = max(self.timestamp_ns, self.clock())
        return self.timestamp_ns

    def stamp(self, commands: bytes, count: int) -> Batch:
        """The next batch: these commands, one after the other, all at the present time."""
        timestamp_ns = self.now_ns()
        batch = Batch(
            first_sequence=self.last_sequence + 1,
            count=count,
            timestamp_ns=timestamp_ns,
            commands=stamp(commands, self.last_sequence + 1, timestamp_ns),
        )
        self.last_sequence = batch.last_sequence
        return batch
