"""How much one session may ask for: orders and frames a second, commands in flight; and who is muted.

Theory of operation.  A rate with a burst is the *generic cell rate algorithm* in integer nanoseconds: one number says
at which time all that was taken so far would have been taken at the steady rate.  Taking one more moves it by
``1 s / rate``; what would move it further than the burst allows beyond the present has to wait, and how long is known
exactly.  Nothing has to run in between, and a session costs three integers.

Whoever is refused all the time costs more than whoever works: a session that is refused more than 100 times within a
second is told so once, and for the second after that its frames are dropped unread.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from exchange.gateway.connection import Code, Refusal

SECOND_NS = 1_000_000_000
MS_NS = 1_000_000
REFUSALS_A_SECOND = 100
MUTE_NS = SECOND_NS
#: When to come back where nobody can know it: replies leave with the disk, an overload ends when it ends.
IN_FLIGHT_RETRY_MS = 10
OVERLOAD_RETRY_MS = 100
DISK_RETRY_MS = 1000

#: Makes of the request ids of a message that has orders in it why they are not taken now.
RefuseOrders = Callable[[list[int]], Refusal]


class SessionLimits(msgspec.Struct, frozen=True):
    """What bounds each session; 0: not bounded."""

    max_commands: int = 4096  # in one message, each order of a list counted
    orders_per_second: int = 0
    orders_burst: int = 0
    frames_per_second: int = 0
    frames_burst: int = 0
    max_in_flight: int = 0


UNBOUNDED = SessionLimits()


class Rate:
    """So many a second, and so many at once after a pause.

    >>> rate = Rate(per_second=10, burst=2)
    >>> [rate.take(1, now_ns=0) for _ in range(3)]
    [0, 0, 100000000]
    >>> rate.take(1, now_ns=100_000_000)
    0

    What is larger than the burst passes when nothing else was taken lately, and is worked off before the next:

    >>> rate.take(5, now_ns=10 * SECOND_NS), rate.take(1, now_ns=10 * SECOND_NS)
    (0, 400000000)
    """

    def __init__(self, per_second: int, burst: int) -> None:
        self.interval_ns = -(-SECOND_NS // per_second) if per_second else 0
        self.room_ns = self.interval_ns * max(burst, 1)
        self.taken_up_to_ns = 0

    def take(self, count: int, now_ns: int) -> int:
        """0 if it was taken; else nothing was, and after so many nanoseconds it would be."""
        start_ns = max(self.taken_up_to_ns, now_ns)
        end_ns = start_ns + count * self.interval_ns
        wait_ns = end_ns - now_ns - max(self.room_ns, count * self.interval_ns)
        if wait_ns > 0:
            return wait_ns
        self.taken_up_to_ns = end_ns
        return 0


class Allowance:
    """What one session has used of its limits.  Times are of a clock that never runs backwards."""

    def __init__(self, limits: SessionLimits) -> None:
        self.orders = Rate(limits.orders_per_second, limits.orders_burst)
        self.frames = Rate(limits.frames_per_second, limits.frames_burst)
        self.max_in_flight = limits.max_in_flight
        self.in_flight = 0  # commands whose replies have not left
        self.muted_until_ns = 0
        self._refusals = 0
        self._refusals_since_ns = 0

    def is_muted(self, now_ns: int) -> bool:
        return now_ns < self.muted_until_ns

    def refuse_frame(self, request_ids: list[int], now_ns: int) -> Refusal | None:
        """Takes one frame, or says when it may come."""
        return too_fast(request_ids, "frames", self.frames.take(1, now_ns))

    def refuse_commands(self, request_ids: list[int], placed: int, now_ns: int) -> Refusal | None:
        """Takes commands, of which so many orders count, or says when they may come."""
        count = len(request_ids)
        if self.max_in_flight and self.in_flight + count > self.max_in_flight:
            text = f"wanted at most {self.max_in_flight} commands whose replies have not left"
            text = f"{text}, there are {self.in_flight} and {count} came"
            return Refusal(
                request_ids, Code.TOO_MANY_IN_FLIGHT, text, {"retry_after_ms": IN_FLIGHT_RETRY_MS}
            )
        refused = too_fast(request_ids, "orders", self.orders.take(placed, now_ns) if placed else 0)
        if refused is None:
            self.in_flight += count
        return refused

    def replied(self, count: int) -> None:
        """The replies of so many commands left."""
        self.in_flight -= count

    def count_refusal(self, refusal: Refusal, now_ns: int) -> Refusal:
        """The refusal to send: this one, or the last one for a while."""
        if now_ns - self._refusals_since_ns >= SECOND_NS:
            self._refusals_since_ns, self._refusals = now_ns, 0
        self._refusals += 1
        if self._refusals <= REFUSALS_A_SECOND:
            return refusal
        self.muted_until_ns = now_ns + MUTE_NS
        text = f"refused more than {REFUSALS_A_SECOND} times within a second"
        return Refusal(
            refusal.request_ids,
            Code.RATE_LIMITED,
            f"{text}: nothing of this session is read for {MUTE_NS // MS_NS} ms. Last: {refusal.message}",
            {"retry_after_ms": MUTE_NS // MS_NS},
        )


def too_fast(request_ids: list[int], what: str, wait_ns: int) -> Refusal | None:
    if not wait_ns:
        return None
    wait_ms = -(-wait_ns // MS_NS)
    text = f"more {what} than this session may send: come again in {wait_ms} ms"
    return Refusal(request_ids, Code.RATE_LIMITED, text, {"retry_after_ms": wait_ms})


def draining(request_ids: list[int]) -> Refusal:
    text = "this node is about to stop: cancels pass, orders are neither placed nor amended"
    return Refusal(request_ids, Code.DRAINING, text)


def disk_full(request_ids: list[int]) -> Refusal:
    text = (
        "the disk of the node is full: it takes cancels while there is room for them, and no orders"
    )
    return Refusal(request_ids, Code.DISK_FULL, text, {"retry_after_ms": DISK_RETRY_MS})


def overloaded(request_ids: list[int]) -> Refusal:
    text = "the node has more to do than it gets done: it takes cancels now, and no orders"
    return Refusal(request_ids, Code.OVERLOADED, text, {"retry_after_ms": OVERLOAD_RETRY_MS})
