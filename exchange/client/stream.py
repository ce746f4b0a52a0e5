"""The private streams of a client's accounts: every event once, in order, whatever happens to the connection.  No I/O.

Theory of operation.  The node numbers the events of an account 1, 2, 3, ...  A stream takes the event that follows the
last one it took, and nothing else: what has a lower number was there already, what has a higher one comes too early
and comes again after the next login, which names the last number taken.  That is also what bounds the memory of a
client whose user does not read: with a full queue the streams take nothing (they are *behind*); when the user has read
what there is, the client logs in again after the last event that it took, and the node tells the rest.
"""

from __future__ import annotations

from collections import deque

import msgspec

from exchange.client.errors import EventsMissed
from exchange.protocol.messages import Event


class Bookmark(msgspec.Struct, frozen=True):
    """How far a client has read.  Keep it (it is JSON with ``msgspec.json``), and give it to the next one.

    ``places`` is, by account, the epoch of the numbers and the number of the last event read.
    """

    client: int
    places: dict[int, tuple[int, int]]


class Stream:
    """One account's: how far it was taken, and how far it was heard."""

    __slots__ = ("epoch", "heard", "is_known", "number", "target")

    def __init__(self, epoch: int = 0, number: int = 0, *, is_known: bool = False) -> None:
        self.epoch = epoch
        self.number = number  # of the last event taken
        self.heard = number  # highest number that came on this connection
        self.target = 0  # number of the last event before the login: up to there it is a replay
        self.is_known = is_known  # whether there is a number to go on from

    @property
    def is_replayed(self) -> bool:
        return self.heard >= self.target


class OwnEvents:
    """The queue of what happened to a client's accounts, and the streams that fill it.

    >>> events = OwnEvents(most=100)
    >>> events.joined(7, {"number": 4, "epoch": 9, "missed": False})
    True
    >>> [events.take(7, number, event) for number, event in ((5, "a"), (5, "a again"), (7, "early"), (6, "b"))]
    [True, False, False, True]
    >>> events.pop_all(), events.places()
    (['a', 'b'], {7: (9, 6)})
    """

    def __init__(self, most: int, places: dict[int, tuple[int, int]] | None = None) -> None:
        self.streams = {
            account: Stream(epoch, number, is_known=True)
            for account, (epoch, number) in (places or {}).items()
        }
        self.is_behind = False
        self._most = most
        self._queue: deque[tuple[int, int, int, Event | EventsMissed]] = deque()
        self._read = dict(places or {})

    def __len__(self) -> int:
        return len(self._queue)

    # ---- what the node says

    def arguments(self, account: int) -> dict[str, int]:
        """What a login says of how far this client is; nothing where it is new."""
        stream = self.streams.get(account)
        if stream is None or not stream.is_known:
            return {}
        return {"after": stream.number, "epoch": stream.epoch}

    def joined(self, account: int, answer: dict[str, object]) -> bool:
        """A login was answered; False where not all that was missed will be told."""
        stream = self.streams.setdefault(account, Stream())
        number, epoch = int(str(answer["number"])), int(str(answer["epoch"]))
        is_whole = not stream.is_known or (epoch == stream.epoch and not answer["missed"])
        if not is_whole:
            why = (
                f"those after {stream.number} up to {number} are not remembered any more"
                if epoch == stream.epoch
                else "the node counts them anew"
            )
            self._queue.append((account, epoch, number, EventsMissed(account, why)))
        if not (stream.is_known and is_whole):
            stream.number = number
            stream.epoch = epoch
            self._read.setdefault(account, (epoch, number))
        stream.is_known = True
        stream.heard, stream.target = stream.number, number
        return is_whole

    def take(self, account: int, number: int, event: Event) -> bool:
        """One event; False if it was there already, or comes again later."""
        stream = self.streams.setdefault(account, Stream())
        stream.heard = max(stream.heard, number)
        if number != stream.number + 1 or self.is_behind:
            return False
        if len(self._queue) >= self._most:
            self.is_behind = True
            return False
        stream.number = number
        self._queue.append((account, stream.epoch, number, event))
        return True

    def has_gap(self, account: int) -> bool:
        """Whether something between what was taken and what is heard did not come."""
        stream = self.streams[account]
        return not self.is_behind and stream.heard > stream.number

    @property
    def is_replayed(self) -> bool:
        return all(stream.is_replayed for stream in self.streams.values())

    # ---- what the user reads

    def pop(self) -> Event:
        """The oldest event; raises EventsMissed in the place of those that are lost."""
        account, epoch, number, event = self._queue.popleft()
        self._read[account] = epoch, number
        if isinstance(event, EventsMissed):
            raise event
        return event

    def pop_all(self) -> list[Event]:
        """All events up to the next loss; raises EventsMissed where that is the first thing."""
        events: list[Event] = []
        while self._queue and not (events and isinstance(self._queue[0][3], EventsMissed)):
            events.append(self.pop())
        return events

    def places(self) -> dict[int, tuple[int, int]]:
        """How far the user has read."""
        return dict(self._read)
