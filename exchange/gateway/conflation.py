"""Conflated topics: the same as top, book and statistics, but at most one message in so many milliseconds.

Theory of operation.  ``book@100.BTC-PERP`` tells the levels that changed since its last message, as they are now; so
whoever reads only it has the book as of each of its messages, and a snapshot taken at any time joins it, as what the
next message tells is more than what came after the snapshot.  A change makes a topic *pending*.  It tells at the end of
the batch if its last message is long enough ago, and else when that time has come, whether another batch comes or not:
the node's loop asks for what is due by the sequencer's clock.  So the first change after a pause is told at once, and
the last one is never kept.  A conflated topic exists once somebody has subscribed to it, by its kind and interval at
least; for who subscribes to everything none is made.
"""

from __future__ import annotations

import sys

from exchange.gateway.feed import CONFLATED_KINDS, INTERVALS_MS, conflated_kind, topic_of
from exchange.gateway.interest import Interest

NEVER_NS = sys.maxsize


class Conflated:
    """One kind of market data of one symbol at one interval."""

    def __init__(self, symbol: int, name: str, kind: str, interval_ms: int) -> None:
        self.symbol = symbol
        self.kind = kind
        self.interval_ms = interval_ms
        self.topic = topic_of(conflated_kind(kind, interval_ms), name).encode()
        self.due_ns = 0  # before this time it tells nothing
        self.prices: tuple[set[int], set[int]] = (set(), set())  # of levels that changed since

    def take_prices(self) -> tuple[set[int], set[int]]:
        prices, self.prices = self.prices, (set(), set())
        return prices


class Conflation:
    """The conflated topics that somebody wants, and those that have something to tell."""

    def __init__(self, interest: Interest | None) -> None:
        self._interest = interest
        self._all: dict[bytes, Conflated] = {}
        self._wanted: dict[tuple[int, str], list[Conflated]] = {}
        self._pending: dict[
            bytes, Conflated
        ] = {}  # in the order in which they came to have something to tell
        self.next_due_ns = NEVER_NS

    def open_market(self, symbol: int, name: str) -> list[bytes]:
        """The topics of a symbol that is listed; returns those that somebody waited for."""
        waited_for = []
        for kind in CONFLATED_KINDS:
            for interval_ms in INTERVALS_MS:
                conflated = Conflated(symbol, name, kind, interval_ms)
                self._all[conflated.topic] = conflated
                least = len(conflated_kind(kind, interval_ms)) + 1
                if self._interest is not None and self._interest.add(conflated.topic, least):
                    self.want(conflated.topic)
                    waited_for.append(conflated.topic)
        return waited_for

    def want(self, topic: bytes) -> bool:
        """Somebody subscribed to this topic for the first time; whether it is a conflated one."""
        if topic not in self._all:
            return False
        conflated = self._all[topic]
        wanted = self._wanted.setdefault((conflated.symbol, conflated.kind), [])
        wanted.append(conflated)
        wanted.sort(key=lambda each: each.interval_ms)
        return True

    def find(self, topic: bytes) -> Conflated | None:
        return self._all.get(topic)

    def change(
        self, symbol: int, kind: str, bids: set[int] | None = None, asks: set[int] | None = None
    ) -> None:
        """Something changed that these topics tell: of a book, the levels at these prices."""
        for conflated in self._wanted.get((symbol, kind), ()):
            for known, changed in zip(conflated.prices, (bids, asks), strict=True):
                known.update(changed or ())
            self._pending[conflated.topic] = conflated
            self.next_due_ns = min(self.next_due_ns, conflated.due_ns)

    def take_due(self, now_ns: int) -> list[Conflated]:
        """Those that tell now; each then keeps quiet for its interval."""
        if now_ns < self.next_due_ns:
            return []
        due = [conflated for conflated in self._pending.values() if now_ns >= conflated.due_ns]
        for conflated in due:
            conflated.due_ns = min(now_ns + conflated.interval_ms * 10**6, NEVER_NS)
            del self._pending[conflated.topic]
        waiting = (conflated.due_ns for conflated in self._pending.values())
        self.next_due_ns = min(waiting, default=NEVER_NS)
        return due
