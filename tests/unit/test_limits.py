"""What a session may ask for, with numbers that can be redone by hand."""

from __future__ import annotations

from exchange.gateway.connection import Code, Refusal
from exchange.gateway.limits import SECOND_NS, Allowance, Rate, SessionLimits

MS = 1_000_000


def test_a_burst_passes_at_once_and_then_one_every_interval() -> None:
    """100 a second with a burst of 3: three now, the fourth 10 ms later, not a nanosecond before."""
    rate = Rate(100, 3)
    assert [rate.take(1, 0) for _ in range(4)] == [0, 0, 0, 10 * MS]
    assert rate.take(1, 10 * MS - 1) == 1
    assert rate.take(1, 10 * MS) == 0
    assert rate.take(1, 10 * MS) == 10 * MS


def test_a_pause_gives_back_the_burst_and_no_more() -> None:
    rate = Rate(100, 3)
    rate.take(3, 0)
    assert [rate.take(1, 60 * SECOND_NS) for _ in range(4)] == [0, 0, 0, 10 * MS]


def test_several_are_taken_together_or_not_at_all() -> None:
    """Burst 5, two taken: four more have to wait until 6 would fit, which is one interval; three fit."""
    rate = Rate(10, 5)
    assert rate.take(2, 0) == 0
    assert rate.take(4, 0) == 100 * MS
    assert rate.take(3, 0) == 0


def test_what_is_larger_than_the_burst_waits_until_nothing_is_owed_and_is_worked_off() -> None:
    """Burst 2 at 10 a second: 7 pass on a free bucket, and the next one comes 0.7 s - 0.1 s later."""
    rate = Rate(10, 2)
    assert rate.take(7, 0) == 0
    assert rate.take(1, 0) == 600 * MS
    assert rate.take(7, 600 * MS) == 100 * MS
    assert rate.take(7, 700 * MS) == 0


def test_over_a_minute_no_more_than_rate_and_burst_passes() -> None:
    rate = Rate(50, 10)
    passed = sum(rate.take(1, step * MS) == 0 for step in range(60_001))
    assert passed == 50 * 60 + 10


def test_a_rate_that_does_not_divide_the_second_is_never_exceeded() -> None:
    """3 a second: one every 333,333,334 ns."""
    rate = Rate(3, 1)
    assert rate.take(1, 0) == 0
    assert rate.take(1, 0) == 333_333_334


def test_no_rate_is_no_bound() -> None:
    rate = Rate(0, 5)
    assert all(rate.take(1000, 0) == 0 for _ in range(100))


def test_retry_after_is_rounded_up_to_the_millisecond() -> None:
    allowance = Allowance(SessionLimits(orders_per_second=3, orders_burst=1))
    assert allowance.refuse_commands([1], 1, 0) is None
    refused = allowance.refuse_commands([2], 1, 0)
    assert refused is not None
    assert (refused.code, refused.details) == (Code.RATE_LIMITED, {"retry_after_ms": 334})
    assert allowance.refuse_commands([2], 1, 334 * MS) is None


def test_cancels_are_no_orders_and_what_is_refused_counts_for_nothing() -> None:
    allowance = Allowance(SessionLimits(orders_per_second=1, orders_burst=1))
    assert allowance.refuse_commands([1], 1, 0) is None
    assert allowance.refuse_commands([2], 0, 0) is None
    assert allowance.refuse_commands([3], 1, 0) is not None
    assert allowance.in_flight == 2


def test_commands_in_flight_are_bounded_until_their_replies_left() -> None:
    allowance = Allowance(SessionLimits(max_in_flight=3))
    assert allowance.refuse_commands([1, 2], 2, 0) is None
    refused = allowance.refuse_commands([3, 4], 0, 0)
    assert refused is not None
    assert refused.code is Code.TOO_MANY_IN_FLIGHT
    assert refused.details["retry_after_ms"] > 0
    assert allowance.refuse_commands([3], 0, 0) is None
    allowance.replied(2)
    assert allowance.refuse_commands([4, 5], 0, 0) is None


def test_who_is_refused_more_than_100_times_in_a_second_is_muted_for_a_second() -> None:
    allowance = Allowance(SessionLimits())
    refusal = Refusal([5], Code.MALFORMED, "no")
    for step in range(100):
        assert allowance.count_refusal(refusal, step * MS) is refusal
    assert not allowance.is_muted(99 * MS)
    last = allowance.count_refusal(refusal, 100 * MS)
    assert (last.code, last.details) == (Code.RATE_LIMITED, {"retry_after_ms": 1000})
    assert allowance.is_muted(100 * MS) and allowance.is_muted(1100 * MS - 1)
    assert not allowance.is_muted(1100 * MS)
    assert allowance.count_refusal(refusal, 1100 * MS) is refusal


def test_100_refusals_every_second_are_still_answered() -> None:
    allowance = Allowance(SessionLimits())
    refusal = Refusal([5], Code.MALFORMED, "no")
    for second in range(5):
        for step in range(100):
            assert allowance.count_refusal(refusal, second * SECOND_NS + step) is refusal
