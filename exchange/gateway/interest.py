"""Which topics somebody may be listening to: of the others no message need be made.

Theory of operation.  ZeroMQ filters by prefix, and the market data socket tells of each subscription.  A topic is
wanted from the first one whose prefix it begins with, and then for good: that a subscription has ended is not believed,
as any peer can send the end of one that it never had, and would silence a topic for everybody.  Making a message for
nobody harms nobody.  What is remembered for symbols that are yet to be listed is bounded; beyond that whatever they
tell is taken for wanted.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator

MAX_PREFIXES = 1 << 16
MAX_PREFIX_BYTES = 128  # no topic is longer
SUBSCRIBED = b"\x01"  # how a message of the socket begins that tells of a subscription


class Interest:
    """Follows the subscriptions, and tells its ``listener`` of each topic that is wanted from now on.

    >>> interest = Interest()
    >>> interest.listener = print
    >>> interest.add(b"top.A"), interest.add(b"top.AB"), interest.add(b"book.A")
    (False, False, False)
    >>> interest.take(b"\\x01top.A")
    b'top.A'
    b'top.AB'
    b'top.A'
    >>> interest.wants(b"top.AB"), interest.wants(b"book.A")
    (True, False)
    """

    def __init__(self) -> None:
        self.listener: Callable[[bytes], object] = lambda topic: None
        self._topics: list[bytes] = []  # sorted, so that those of a prefix are neighbours
        self._least: dict[bytes, int] = {}  # shorter prefixes do not count
        self._wanted: set[bytes] = set()
        self._prefixes: set[bytes] = set()
        self._overflowed = False

    def add(self, topic: bytes, least: int = 0) -> bool:
        """One more topic; whether somebody wants it already.  Prefixes shorter than ``least`` do not count for it."""
        insort(self._topics, topic)
        self._least[topic] = least
        prefixes = (topic[:size] for size in range(least, len(topic) + 1))
        if not self._prefixes.isdisjoint(prefixes) or (self._overflowed and least == 0):
            self._wanted.add(topic)
        return topic in self._wanted

    def wants(self, topic: bytes) -> bool:
        return topic in self._wanted

    def take(self, message: bytes) -> bytes | None:
        """A message of the market data socket; returns what was subscribed to, if it tells of that."""
        if message[:1] != SUBSCRIBED:
            return None
        prefix = message[1:]
        if prefix not in self._prefixes and len(prefix) <= MAX_PREFIX_BYTES:
            self._subscribe(prefix)
        return prefix

    def _subscribe(self, prefix: bytes) -> None:
        if len(self._prefixes) < MAX_PREFIXES:
            self._prefixes.add(prefix)
        else:
            self._overflowed = True
        for topic in self._beginning_with(prefix):
            if topic not in self._wanted and len(prefix) >= self._least[topic]:
                self._wanted.add(topic)
                self.listener(topic)

    def _beginning_with(self, prefix: bytes) -> Iterator[bytes]:
        for at in range(bisect_left(self._topics, prefix), len(self._topics)):
            if not self._topics[at].startswith(prefix):
                return
            yield self._topics[at]
