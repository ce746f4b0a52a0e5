"""What is remembered of accounts' events: numbers, the bound, replays, and what is kept on disk."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from exchange.gateway.event_log import ENTRY_BYTES, EventLog, Forgotten, Memory, open_log
from exchange.protocol.messages import Accepted, BalanceChanged, Event, MarkChanged
from exchange.protocol.records import decode_events, encode_event, encode_events

COST = ENTRY_BYTES + 56  # of a balance_changed, 54 bytes


Maker = Callable[[int], Memory]


@pytest.fixture(params=[EventLog, open_log])
def make(request: pytest.FixtureRequest) -> Maker:
    maker: Maker = request.param
    return maker


def changed(account: int, sequence: int) -> BalanceChanged:
    return BalanceChanged(
        account=account,
        sequence=sequence,
        symbol=0,
        leg=0,
        cause=0,
        wallet_change_atoms=1,
        margin_change_atoms=0,
        wallet_atoms=sequence,
        margin_atoms=0,
    )


def feed(log: Memory, *events: Event) -> None:
    log.feed(encode_events(events))


def sequences(
    log: Memory, account: int, number: int, most: int = 100, up_to: int = 1000
) -> list[int]:
    return [entry.sequence for entry in log.read(account, number, most, up_to)]


def test_numbers_are_an_accounts_own_and_events_of_nobody_have_none(make: Maker) -> None:
    log = make(1 << 20)
    feed(log, changed(7, 1), changed(8, 1), changed(7, 2))
    feed(log, MarkChanged(account=0, sequence=3, symbol=1, price_ticks=5), changed(7, 3))
    assert [log.number(account) for account in (7, 8, 9, 0)] == [3, 1, 0, 0]
    assert sequences(log, 7, 2) == [2, 3]
    assert sequences(log, 9, 1) == []


def test_the_oldest_goes_whosever_it_is(make: Maker) -> None:
    """Room for three: of 7, 8, 7, 7 the first 7 is gone, and its account still counts it."""
    assert len(encode_event(changed(7, 1))) == 54
    log = make(3 * COST)
    feed(log, changed(7, 1), changed(8, 2), changed(7, 3), changed(7, 4))
    assert (log.number(7), log.used_bytes) == (3, 3 * COST)
    assert not log.remembers(7, 1)
    assert log.remembers(7, 2) and log.remembers(7, 4) and not log.remembers(7, 5)
    with pytest.raises(Forgotten, match="event 1 of account 7"):
        log.read(7, 1, 10, 1000)
    feed(log, changed(7, 5))
    assert not log.remembers(8, 1) and log.remembers(8, 2)


def test_a_piece_ends_between_two_commands(make: Maker) -> None:
    log = make(1 << 20)
    feed(log, *(changed(7, sequence) for sequence in (1, 1, 2, 2, 2, 3)))
    assert sequences(log, 7, 1, most=1) == [1, 1]
    assert sequences(log, 7, 3, most=2) == [2, 2, 2]
    assert sequences(log, 7, 3, most=3) == [2, 2, 2]
    assert sequences(log, 7, 1, up_to=1) == [1, 1]
    assert sequences(log, 7, 6, up_to=2) == []


def test_only_the_acting_accounts_events_carry_the_request(make: Maker) -> None:
    """Command 10 is account 7's, request 5 of key 99; what it does to 8 is nobody's reply."""
    log = make(1 << 20)
    events = encode_events([changed(7, 10), changed(8, 10), changed(7, 11)])
    log.feed(events, 10, [7, 8], [99, 98], [5, 6])
    assert [(e.key, e.request_id) for e in log.read(7, 1, 10, 11)] == [(99, 5), (0, 0)]
    assert [(e.key, e.request_id) for e in log.read(8, 1, 10, 11)] == [(0, 0)]


def test_the_epoch_is_the_time_of_the_first_command(make: Maker) -> None:
    log = make(1 << 20)
    accepted = Accepted(
        account=7, sequence=1, timestamp_ns=555, command=2, order_id=0, client_order_id=0
    )
    feed(log, accepted, changed(7, 1))
    feed(
        log,
        Accepted(account=7, sequence=2, timestamp_ns=777, command=2, order_id=0, client_order_id=0),
    )
    assert log.epoch == 555


@pytest.mark.parametrize("room", [40, 400])
def test_what_is_kept_on_disk_comes_back_the_same(make: Maker, room: int) -> None:
    noise = random.Random(room)
    log = make(room * COST)
    log.epoch = 42
    for sequence in range(1, 300):
        accounts = [noise.randint(1, 9) for _ in range(noise.randint(1, 3))]
        events = encode_events([changed(account, sequence) for account in accounts])
        log.feed(events, sequence, accounts[:1], [noise.randint(0, 3)], [noise.randint(1, 99)])
    again = make(room * COST)
    again.load(log.dump())
    assert again.dump() == log.dump()
    assert (again.epoch, again.used_bytes) == (42, log.used_bytes)
    for account in range(1, 11):
        assert again.number(account) == log.number(account)
        number = next(n for n in range(1, 1000) if log.remembers(account, n))
        assert not again.remembers(account, number - 1) or number == 1
        assert again.read(account, number, 1000, 1000) == log.read(account, number, 1000, 1000)
    smaller = make(room * COST // 2)
    smaller.load(log.dump())
    assert [smaller.number(account) for account in range(10)] == [
        log.number(account) for account in range(10)
    ]


def test_fills_are_found_without_looking_at_other_events(make: Maker) -> None:
    from exchange.protocol.messages import Fill

    log = make(30 * COST)
    names = [name for name in Fill.__struct_fields__ if name not in ("account", "sequence")]
    for sequence in range(1, 50):
        fill = Fill(account=7, sequence=sequence, **dict.fromkeys(names, 0))
        feed(log, changed(7, sequence), fill)
    sequence_of = [event.sequence for event in decode_events(b"".join(log.fills(7, 3)))]
    assert sequence_of == [47, 48, 49]
    assert 0 < len(log.fills(7, 1000)) < 30
    assert log.fills(8, 5) == []
