"""The event log in Python and the one in C: the same numbers, pieces, fills and bytes on disk, whatever happens."""

from __future__ import annotations

import random

import pytest

from exchange.gateway.event_log import Entry, EventLog, Forgotten, Memory, open_log
from exchange.protocol.messages import (
    Accepted,
    BalanceChanged,
    Event,
    Fill,
    MarkChanged,
    StpGroupSet,
)
from exchange.protocol.records import encode_events

ALL = 1 << 62


def fill(account: int, sequence: int) -> Fill:
    names = [name for name in Fill.__struct_fields__ if name not in ("account", "sequence")]
    return Fill(account=account, sequence=sequence, **dict.fromkeys(names, 0))


def some_event(noise: random.Random, account: int, sequence: int) -> Event:
    match noise.randrange(5):
        case 0:
            return fill(account, sequence)
        case 1:
            return StpGroupSet(account=account, sequence=sequence, stp_group=1)
        case 2:
            return MarkChanged(account=0, sequence=sequence, symbol=1, price_ticks=5)
        case 3:
            return Accepted(
                account=account,
                sequence=sequence,
                timestamp_ns=sequence,
                command=2,
                order_id=0,
                client_order_id=0,
            )
        case _:
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


def some_batch(
    noise: random.Random, accounts: int, sequence: int
) -> tuple[bytes, int, list[int], list[int], list[int]]:
    """A few commands, each with the events of the account that acted and of others."""
    count = noise.randint(1, 4)
    actors = [noise.randint(1, accounts) for _ in range(count)]
    events = []
    for at, actor in enumerate(actors):
        for _ in range(noise.choice((1, 2, 3, 40))):
            account = actor if noise.random() < 0.6 else noise.randint(1, accounts)
            events.append(some_event(noise, account, sequence + at))
    keys = [noise.randint(0, 1 << 63) for _ in actors]
    return encode_events(events), sequence, actors, keys, [noise.randint(0, 99) for _ in actors]


def piece(log: Memory, account: int, number: int, most: int, up_to: int) -> list[Entry] | str:
    try:
        return list(log.read(account, number, most, up_to))
    except Forgotten:
        return "forgotten"


def compare(
    noise: random.Random, logs: tuple[Memory, Memory], accounts: int, sequence: int
) -> None:
    plain, compiled = logs
    assert (plain.epoch, plain.used_bytes) == (compiled.epoch, compiled.used_bytes)
    for _ in range(20):
        account = noise.randint(0, accounts + 1)
        last = plain.number(account)
        assert compiled.number(account) == last
        number = noise.choice(
            (last, last + 1, last + 2, noise.randint(0, last + 1), max(last - 70, 0))
        )
        assert compiled.remembers(account, number) == plain.remembers(account, number)
        most = noise.choice((1, 2, 17, 256, 5000, ALL))
        up_to = noise.choice((ALL, max(sequence - noise.randint(0, 30), 0)))
        expected = piece(plain, account, number, most, up_to)
        assert piece(compiled, account, number, most, up_to) == expected
        limit = noise.choice((1, 3, 1000))
        assert compiled.fills(account, limit) == plain.fills(account, limit)


@pytest.mark.parametrize(
    ("seed", "most_bytes", "accounts", "batches"),
    [
        (1, 1 << 20, 3, 1500),  # all is remembered, and far links are made
        (2, 40_000, 3, 1500),  # the ring goes round many times
        (3, 1_003, 2, 400),  # nothing but the last few
        (4, 200, 5, 400),
        (5, 60, 3, 200),  # smaller than any event
        (6, 300_001, 400, 800),
    ],
)
def test_both_logs_agree_on_random_streams(
    seed: int, most_bytes: int, accounts: int, batches: int
) -> None:
    noise = random.Random(seed)
    logs: tuple[Memory, Memory] = (EventLog(most_bytes), open_log(most_bytes))
    sequence = 1
    for step in range(batches):
        batch = some_batch(noise, accounts, sequence)
        sequence += len(batch[2])
        for log in logs:
            log.feed(*batch)
        if step % 20 == 0:
            compare(noise, logs, accounts, sequence)
        if step % 300 == 299:
            kept = logs[0].dump()
            assert logs[1].dump() == kept
            logs = (EventLog(most_bytes), open_log(most_bytes))
            for log in logs:
                log.load(kept)
    compare(noise, logs, accounts, sequence)


def test_every_event_of_a_long_stream_is_found() -> None:
    """10,000 events of one account among those of others: more than two far links, each number asked for."""
    log = open_log(1 << 24)
    for sequence in range(1, 10_001):
        events = [StpGroupSet(account=7, sequence=sequence, stp_group=1)]
        events += [StpGroupSet(account=8, sequence=sequence, stp_group=1)] * (sequence % 3)
        log.feed(encode_events(events))
    for number in range(1, 10_001):
        (entry,) = log.read(7, number, 1, ALL)
        assert entry.sequence == number


def test_what_is_no_event_log_is_refused() -> None:
    log = open_log(1 << 16)
    log.feed(encode_events([StpGroupSet(account=7, sequence=1, stp_group=1)]))
    kept = log.dump()
    for wrong in (b"", kept[:10], kept[:20], kept[:-1], kept + b"\x00"):
        with pytest.raises(Exception, match=r"wanted|requires"):
            open_log(1 << 16).load(wrong)
