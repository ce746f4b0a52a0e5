"""What is ready to leave and waits for the disk: nothing is told before the journal has it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from exchange.gateway.connection import Door
from exchange.gateway.publisher import Publication
from exchange.gateway.sessions import Session

Letter = tuple[Door, bytes, bytes]  # door, peer, payload
Settled = tuple[
    Session, int
]  # so many commands of a session have their replies in what leaves together


class Parcel(msgspec.Struct, frozen=True):
    """What leaves together, once the journal has released ``sequence``."""

    sequence: int
    letters: Sequence[Letter]
    publications: Sequence[Publication]
    settled: Sequence[Settled]
    size: int


class Outbox:
    """A queue in the order of the journal.

    >>> outbox = Outbox()
    >>> outbox.hold(5, [], [(b"mark.BTC", b"...")])
    >>> [parcel.sequence for parcel in outbox.release(4)], [parcel.sequence for parcel in outbox.release(5)]
    ([], [5])
    """

    def __init__(self) -> None:
        self._parcels: deque[Parcel] = deque()
        self.held_bytes = 0

    def hold(
        self,
        sequence: int,
        letters: Sequence[Letter],
        publications: Sequence[Publication] = (),
        settled: Sequence[Settled] = (),
    ) -> None:
        size = sum(len(payload) for _, _, payload in letters) + sum(
            len(payload) for _, payload in publications
        )
        self._parcels.append(Parcel(sequence, letters, publications, settled, size))
        self.held_bytes += size

    @property
    def oldest_sequence(self) -> int | None:
        """What the journal has to reach before the next parcel may leave."""
        return self._parcels[0].sequence if self._parcels else None

    def release(self, up_to: int) -> list[Parcel]:
        """Takes out what may leave now, oldest first."""
        released = []
        while self._parcels and self._parcels[0].sequence <= up_to:
            released.append(self._parcels.popleft())
            self.held_bytes -= released[-1].size
        return released
