"""What is written can be read again: objects, records and msgpack, natively and in plain Python alike."""

from __future__ import annotations

import importlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.protocol import records, schema, wire
from exchange.protocol.layout import BRACKET_KINDS, COUNTED, integer_range
from exchange.protocol.messages import (
    COMMAND_CLASSES,
    EVENT_CLASSES,
    Accepted,
    AdvanceTime,
    Command,
    Deposit,
    Event,
    Fill,
    FundChanged,
    MarkChanged,
    Message,
    OrderEntry,
    PlaceOrder,
    PlaceOrders,
    Rejected,
)

native: Any = importlib.import_module("exchange._native.codec")
REQUEST_IDS = st.integers(0, (1 << 64) - 1)


def integers(kind: str) -> st.SearchStrategy[int]:
    """Integers of the kind, its extremes and small numbers often."""
    lowest, highest = integer_range(kind)
    return st.one_of(
        st.sampled_from([lowest, highest]),
        st.integers(max(lowest, -200), min(highest, 200)),
        st.integers(lowest, highest),
    )


NAMES = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
    max_size=schema.MAX_NAME_BYTES,
).filter(lambda name: len(name.encode()) <= schema.MAX_NAME_BYTES)
BRACKETS = st.lists(
    st.tuples(*(integers(kind) for kind in BRACKET_KINDS)), max_size=schema.MAX_BRACKETS
).map(tuple)
ORDERS = st.lists(
    st.builds(OrderEntry, **{f.name: integers(f.kind) for f in schema.ORDER_FIELDS}), max_size=4
).map(tuple)


def values_of(field: schema.Field) -> st.SearchStrategy[Any]:
    match field.kind:
        case "name":
            return NAMES
        case "brackets":
            return BRACKETS
        case "orders":
            return ORDERS
        case kind:
            return integers(kind)


def messages_of(message: schema.Message) -> st.SearchStrategy[Any]:
    """Objects of the message's class; sequence and time of commands are left 0, as a client leaves them."""
    is_event = message.number >= schema.FIRST_EVENT
    struct_class = (EVENT_CLASSES if is_event else COMMAND_CLASSES)[message.number]
    fields = {f.name: values_of(f) for f in message.fields if f.name not in COUNTED}
    header = {"account": integers("u32")} | ({"sequence": integers("u64")} if is_event else {})
    return st.builds(struct_class, **header, **fields)


commands = st.one_of([messages_of(m) for m in schema.COMMANDS])
events = st.one_of([messages_of(m) for m in schema.EVENTS])
each_command = pytest.mark.parametrize("message", schema.COMMANDS, ids=lambda m: m.name)
each_event = pytest.mark.parametrize("message", schema.EVENTS, ids=lambda m: m.name)


# ---------------------------------------------------------------------------------------------- records


def list_bytes(command: Command) -> int:
    return schema.ORDER_BYTES * len(command.orders) if isinstance(command, PlaceOrders) else 0


@each_command
def test_a_command_survives_being_a_record(message: schema.Message) -> None:
    @settings(max_examples=25)
    @given(messages_of(message), integers("u64"), integers("i64"))
    def survives(command: Command, sequence: int, timestamp_ns: int) -> None:
        record = records.encode_command(command)
        assert len(record) == message.size + list_bytes(command)
        assert records.decode_commands(record) == [command]
        stamped = msgspec.structs.replace(command, sequence=sequence, timestamp_ns=timestamp_ns)
        assert records.decode_commands(records.encode_command(stamped)) == [stamped]

    survives()


@each_event
def test_an_event_survives_being_a_record(message: schema.Message) -> None:
    @settings(max_examples=25)
    @given(messages_of(message))
    def survives(event: Event) -> None:
        record = records.encode_event(event)
        assert len(record) == message.size
        assert records.decode_events(record) == [event]

    survives()


@settings(max_examples=50)
@given(st.lists(commands, max_size=8))
def test_a_batch_is_its_records_one_after_the_other(batch: list[Command]) -> None:
    data = records.encode_commands(batch)
    assert records.decode_commands(data) == batch
    assert records.count_records(data) == len(batch)
    parts = list(records.iter_records(data))
    assert [number for number, _ in parts] == [command.number for command in batch]
    assert b"".join(view for _, view in parts) == data


@pytest.mark.parametrize("stamp", [native.stamp, records.stamp_python, records.stamp])
def test_a_stamped_batch_has_consecutive_sequences_and_one_time(stamp: Any) -> None:
    batch = records.encode_commands(
        [Deposit(account=7, amount_atoms=5), AdvanceTime(), AdvanceTime()]
    )
    stamped = records.decode_commands(stamp(batch, 41, 1_000))
    assert [command.sequence for command in stamped] == [41, 42, 43]
    assert {command.timestamp_ns for command in stamped} == {1_000}
    assert stamped[0] == Deposit(account=7, amount_atoms=5, sequence=41, timestamp_ns=1_000)


@pytest.mark.parametrize("stamp", [native.stamp, records.stamp_python])
def test_stamping_leaves_the_given_bytes_alone(stamp: Any) -> None:
    batch = records.encode_command(AdvanceTime())
    before = bytes(bytearray(batch))
    assert stamp(batch, 41, 1_000) != batch
    assert batch == before


# ---------------------------------------------------------------------------------- commands as msgpack


@each_command
def test_a_command_survives_the_wire_and_both_codecs_read_the_same(message: schema.Message) -> None:
    @settings(max_examples=25)
    @given(messages_of(message), REQUEST_IDS)
    def survives(command: Command, request_id: int) -> None:
        payload = wire.encode_command_wire(command, request_id)
        decoded, request_ids = native.decode_commands(payload)
        assert (decoded, request_ids) == wire.decode_commands_python(payload)
        assert request_ids == [request_id]
        assert records.decode_commands(decoded) == [command]

    survives()


@settings(max_examples=50)
@given(st.lists(st.tuples(commands, REQUEST_IDS), max_size=6))
def test_commands_may_follow_each_other_in_one_payload(sent: list[tuple[Command, int]]) -> None:
    payload = b"".join(
        wire.encode_command_wire(command, request_id) for command, request_id in sent
    )
    for decode in (native.decode_commands, wire.decode_commands_python):
        decoded, request_ids = decode(payload)
        assert records.decode_commands(decoded) == [command for command, _ in sent]
        assert request_ids == [request_id for _, request_id in sent]


@pytest.mark.parametrize("decode", [native.decode_commands, wire.decode_commands_python])
def test_trailing_fields_that_are_left_out_take_their_defaults(decode: Any) -> None:
    payload = msgspec.msgpack.encode([7, 1, 9, 2, 1])  # place_order: symbol 2, sell, nothing more
    decoded, _ = decode(payload)
    assert records.decode_commands(decoded) == [PlaceOrder(account=9, symbol=2, side=1)]


@pytest.mark.parametrize("decode", [native.decode_commands, wire.decode_commands_python])
@pytest.mark.parametrize("number", [0, 5, 127, 128, 255, 256, 65_535, 65_536, (1 << 32) - 1])
def test_integers_are_read_in_every_length_that_msgpack_has(decode: Any, number: int) -> None:
    for head, size in (
        (0xCC, 1),
        (0xCD, 2),
        (0xCE, 4),
        (0xCF, 8),
        (0xD0, 1),
        (0xD1, 2),
        (0xD2, 4),
        (0xD3, 8),
    ):
        if number < 1 << (8 * size - (head >= 0xD0)):
            payload = bytes([0x94, 2, 3, 9, head]) + number.to_bytes(size, "big")
            decoded, _ = decode(payload)
            assert records.decode_commands(decoded) == [Deposit(account=9, amount_atoms=number)]


@pytest.mark.parametrize("decode", [native.decode_commands, wire.decode_commands_python])
@pytest.mark.parametrize("buffer", [bytes, bytearray, memoryview])
def test_a_payload_may_be_any_kind_of_bytes(decode: Any, buffer: Any) -> None:
    payload = wire.encode_command_wire(AdvanceTime(), 4)
    assert decode(buffer(payload)) == (records.encode_command(AdvanceTime()), [4])


def test_a_large_payload_is_read_like_a_small_one() -> None:
    orders = [
        PlaceOrder(account=i, symbol=1, side=i & 1, price_ticks=i * i, qty_lots=i)
        for i in range(3_000)
    ]
    payload = b"".join(wire.encode_command_wire(order, order.account) for order in orders)
    decoded, request_ids = native.decode_commands(payload)
    assert decoded == records.encode_commands(orders)
    assert request_ids == list(range(3_000))


# ------------------------------------------------------------------------------------ events as msgpack


@each_event
def test_an_event_survives_the_wire_and_both_codecs_write_the_same(message: schema.Message) -> None:
    @settings(max_examples=25)
    @given(messages_of(message), REQUEST_IDS)
    def survives(event: Event, request_id: int) -> None:
        record = records.encode_event(event)
        payload = native.encode_events(record, event.sequence, [request_id])
        assert payload == wire.encode_events_python(record, event.sequence, [request_id])
        assert wire.decode_events_wire(payload) == [(request_id, event)]
        assert native.decode_events(payload) == wire.decode_events_python(payload)

    survives()


@settings(max_examples=50)
@given(st.lists(events, max_size=8), integers("u64"), st.lists(REQUEST_IDS, max_size=4))
def test_both_codecs_agree_on_any_batch_of_events(
    batch: list[Event], first_sequence: int, request_ids: list[int]
) -> None:
    data = records.encode_events(batch)
    routed = native.encode_event_list(data, first_sequence, request_ids)
    assert routed == wire.encode_event_list_python(data, first_sequence, request_ids)
    assert native.encode_events(data, first_sequence, request_ids) == b"".join(r[3] for r in routed)
    assert [r[:3] for r in routed] == [(e.account, e.sequence, e.number) for e in batch]


def as_arrays(value: object) -> object:
    """A value as msgpack reads it back: tuples are arrays."""
    return list(map(as_arrays, value)) if isinstance(value, tuple) else value


@each_event
def test_an_event_array_is_plain_msgpack_in_the_order_of_the_table(message: schema.Message) -> None:
    @settings(max_examples=5)
    @given(messages_of(message))
    def is_plain(event: Event) -> None:
        payload = native.encode_events(records.encode_event(event), event.sequence, [77])
        names = [f.name for f in message.fields if f.name not in COUNTED]
        fields = [as_arrays(getattr(event, name)) for name in names]
        assert msgspec.msgpack.decode(payload) == [
            event.number,
            77,
            event.account,
            event.sequence,
            *fields,
        ]
        assert payload == msgspec.msgpack.encode(msgspec.msgpack.decode(payload))

    is_plain()


encoders = pytest.mark.parametrize(
    "encode", [native.encode_event_list, wire.encode_event_list_python]
)


def fill(account: int, sequence: int) -> Fill:
    return msgspec.convert(
        dict.fromkeys(Fill.__struct_fields__, 1) | {"account": account, "sequence": sequence}, Fill
    )


def request_ids_of(
    encode: Any, batch: list[Message], first_sequence: int, request_ids: list[int]
) -> list[int]:
    data = b"".join(records.EVENT_CODECS[event.number].pack(event) for event in batch)  # type: ignore[arg-type]
    payload = b"".join(wire_bytes for *_, wire_bytes in encode(data, first_sequence, request_ids))
    return [request_id for request_id, _ in wire.decode_events_wire(payload)]


def accepted(account: int, sequence: int) -> Accepted:
    return Accepted(
        account=account, sequence=sequence, timestamp_ns=1, command=7, order_id=1, client_order_id=0
    )


@encoders
def test_events_answer_the_request_of_their_sequence(encode: Any) -> None:
    batch: list[Message] = [accepted(7, 11), fill(7, 11), accepted(8, 12)]
    assert request_ids_of(encode, batch, 11, [501, 502]) == [501, 501, 502]


@encoders
def test_events_of_another_account_answer_no_request(encode: Any) -> None:
    """The maker's client must not take the fill for the reply to a request of its own with that number."""
    batch: list[Message] = [accepted(7, 11), fill(9, 11), fill(7, 11)]
    assert request_ids_of(encode, batch, 11, [501]) == [501, 0, 501]


@encoders
def test_events_of_nobody_answer_only_the_operator(encode: Any) -> None:
    mark = MarkChanged(sequence=11, symbol=1, price_ticks=5)
    fund = FundChanged(sequence=12, fund=0, symbol=1, cause=2, change_atoms=1, balance_atoms=1)
    batch: list[Message] = [accepted(0, 11), mark, accepted(7, 12), fund]
    assert request_ids_of(encode, batch, 11, [501, 502]) == [501, 501, 502, 0]


@encoders
def test_a_rejection_answers_its_request(encode: Any) -> None:
    batch: list[Message] = [
        Rejected(account=7, sequence=11, timestamp_ns=1, command=7, reason=37, client_order_id=0)
    ]
    assert request_ids_of(encode, batch, 11, [501]) == [501]


@encoders
def test_events_outside_the_known_requests_say_zero(encode: Any) -> None:
    batch: list[Message] = [accepted(7, 10), accepted(7, 11), accepted(7, 12)]
    assert request_ids_of(encode, batch, 11, [501]) == [0, 501, 0]


@encoders
def test_a_name_of_broken_bytes_reaches_the_receiver_as_readable_text(encode: Any) -> None:
    record = bytearray(records.encode_event(records.EVENT_CODECS[138].build(7, 1, 5, "x" * 16)))
    record[-16:] = b"\xff" * 16
    [(_, _, _, payload)] = encode(bytes(record), 1, [])
    assert msgspec.msgpack.decode(payload)[-1] == "\N{REPLACEMENT CHARACTER}" * 16
