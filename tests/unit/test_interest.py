"""A topic is made from when somebody may be listening to it, and no peer can silence it for others."""

from __future__ import annotations

from random import Random

import pytest

from exchange.gateway import interest as room
from exchange.gateway.interest import Interest

TOPICS = [b"top.A", b"top.AB", b"book.A", b"book@100.A", b"funds"]
LEAST = {b"book@100.A": len(b"book@100.")}


def following() -> tuple[Interest, list[bytes]]:
    """An interest, and the topics that it has told of."""
    interest, told = Interest(), []
    interest.listener = told.append
    for topic in TOPICS:
        assert not interest.add(topic, LEAST.get(topic, 0))
    return interest, told


def test_a_prefix_wants_all_topics_that_begin_with_it() -> None:
    interest, told = following()
    assert interest.take(b"\x01top.A") == b"top.A"
    assert told == [b"top.A", b"top.AB"]
    assert interest.take(b"\x01") == b""
    assert sorted(told) == sorted(set(TOPICS) - LEAST.keys())


def test_a_topic_that_needs_a_longer_prefix_is_not_wanted_by_a_short_one() -> None:
    interest, told = following()
    interest.take(b"\x01book@100")
    assert not told
    interest.take(b"\x01book@100.")
    assert told == [b"book@100.A"]


def test_a_topic_that_comes_later_is_wanted_by_who_waited_for_it() -> None:
    interest, _ = following()
    interest.take(b"\x01book.C")
    assert interest.add(b"book.C")
    assert not interest.add(b"book.D")


@pytest.mark.parametrize("message", [b"", b"\x02top.A", b"top.A", b"\x00top.A", b"\x00"])
def test_what_tells_of_no_subscription_changes_nothing(message: bytes) -> None:
    """The end of one neither: whoever sends it need not have had it."""
    interest, told = following()
    interest.take(b"\x01top.A")
    assert interest.take(message) is None
    assert told == [topic for topic in TOPICS if interest.wants(topic)] == [b"top.A", b"top.AB"]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_PREFIXES", 10)
    interest, told = following()
    for number in range(20):
        interest.take(b"\x01" + bytes(1_000) + b"%d" % number)
        interest.take(b"\x01book.X%d" % number)
    assert sum(map(len, interest._prefixes)) < 100
    interest.take(b"\x01top.A")
    assert told == [b"top.A", b"top.AB"], "a subscription beyond the bound counts for what there is"
    assert interest.add(b"top.Z"), "and what is listed later is wanted, as somebody may wait for it"
    assert not interest.add(b"book@100.Z", least=9)


def test_a_topic_is_wanted_once_a_prefix_of_it_was_subscribed_to() -> None:
    random = Random(3)
    for _ in range(300):
        interest, told = following()
        held = set()
        for _ in range(random.randint(1, 6)):
            topic = random.choice(TOPICS)
            held.add(topic[: random.randint(1, len(topic))])
        for prefix in held:
            interest.take(b"\x01" + prefix)
        for topic in TOPICS:
            wanted = any(
                topic.startswith(prefix) and len(prefix) >= LEAST.get(topic, 0) for prefix in held
            )
            assert interest.wants(topic) == wanted
            assert told.count(topic) == wanted
