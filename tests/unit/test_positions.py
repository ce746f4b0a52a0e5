"""Positions on the wire: where a message goes on in an account's stream, read alike by both codecs."""

from __future__ import annotations

import random

import pytest

from exchange.protocol import wire
from exchange.protocol.messages import StpGroupSet
from exchange.protocol.records import NATIVE, encode_events

DECODERS = [wire.decode_stream_python] + ([NATIVE.decode_stream] if NATIVE is not None else [])


def event(account: int, sequence: int) -> bytes:
    return wire.encode_events(
        encode_events([StpGroupSet(account=account, sequence=sequence, stp_group=1)]), 1, []
    )


PAYLOAD = (
    wire.encode_position(7, 41)
    + event(7, 1)
    + wire.encode_position(8, 1 << 40)
    + event(8, 1)
    + event(7, 2)
    + event(9, 2)
)


@pytest.mark.parametrize("decode", DECODERS)
def test_positions_come_with_the_index_of_the_event_that_follows(decode) -> None:
    records, request_ids, positions = decode(PAYLOAD)
    assert positions == [(0, 7, 41), (1, 8, 1 << 40)]
    assert request_ids == [0, 0, 0, 0]
    assert wire.decode_events(PAYLOAD) == (records, request_ids)


def test_events_of_an_account_count_on_from_its_position() -> None:
    numbers = [number for _, number, _ in wire.decode_numbered_wire(PAYLOAD)]
    assert numbers == [41, 1 << 40, 42, 0]


def test_who_does_not_care_for_positions_reads_the_events_alone() -> None:
    assert [e.account for _, e in wire.decode_events_wire(PAYLOAD)] == [7, 8, 7, 9]


BAD = {
    "cut short": b"\x93\x7f",
    "without a number": b"\x93\x7f\x07",
    "a text for a number": b"\x93\x7f\x07\xa11",
    "below zero": b"\x93\x7f\x07\xff",
    "an account that is too large": b"\x93\x7f\xcf" + b"\x01" * 8 + b"\x01",
    "two elements": b"\x92\x7f\x07",
    "four elements": b"\x94\x7f\x07\x01\x01",
}


@pytest.mark.parametrize("name", BAD)
def test_a_position_that_is_none_is_refused_in_the_same_words(name: str) -> None:
    messages = set()
    for decode in DECODERS:
        with pytest.raises(ValueError, match="byte ") as error:
            decode(event(7, 1) + BAD[name])
        messages.add(str(error.value))
    assert len(messages) == 1


def test_no_client_may_send_one() -> None:
    with pytest.raises(ValueError, match="wanted the type of a command"):
        wire.decode_commands(wire.encode_position(7, 1))


def test_random_changes_are_read_alike() -> None:
    noise = random.Random(7)
    for _ in range(3000):
        payload = bytearray(PAYLOAD)
        for _ in range(noise.randint(1, 3)):
            payload[noise.randrange(len(payload))] = noise.randrange(256)
        outcomes = []
        for decode in DECODERS:
            try:
                outcomes.append(decode(bytes(payload)))
            except ValueError as error:
                outcomes.append(str(error))
        assert all(outcome == outcomes[0] for outcome in outcomes)
