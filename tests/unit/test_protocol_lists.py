"""A list of orders is the one thing that makes a record longer: it is read, refused and stepped over like the rest."""

from __future__ import annotations

import importlib
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.protocol import records, schema, wire
from exchange.protocol.layout import LAYOUTS, integer_range
from exchange.protocol.messages import (
    AdvanceTime,
    AmendOrder,
    CancelOrder,
    Command,
    ListMode,
    OrderEntry,
    PlaceOrder,
    PlaceOrders,
    SetCountdown,
    SetSymbolState,
)

native: Any = importlib.import_module("exchange._native.codec")
both_decoders = pytest.mark.parametrize(
    "decode", [native.decode_commands, wire.decode_commands_python], ids=["native", "python"]
)
both_stamps = pytest.mark.parametrize(
    "stamp", [native.stamp, records.stamp_python], ids=["native", "python"]
)
HEAD_BYTES = 26
ORDER_BYTES = 74
I64 = "-9223372036854775808 .. 9223372036854775807"


def entries(count: int) -> tuple[OrderEntry, ...]:
    return tuple(
        OrderEntry(symbol=1, side=i & 1, price_ticks=100 + i, qty_lots=1 + i, trigger_by=i & 1)
        for i in range(count)
    )


def order_list(count: int) -> PlaceOrders:
    return PlaceOrders(account=7, list_mode=ListMode.ALL_OR_NOTHING, orders=entries(count))


def sent(*orders: Any) -> bytes:
    """place_orders of account 9 as msgpack, mode each, with whatever stands for its orders."""
    return msgspec.msgpack.encode([14, 1, 9, 0, list(orders)])


def refusal_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(ValueError, match="wanted") as raised:
        call(*arguments)
    return str(raised.value)


# ----------------------------------------------------------------------------------------------- records


@pytest.mark.parametrize("count", [0, 1, 2, 64])
def test_a_record_is_as_long_as_its_list(count: int) -> None:
    record = records.encode_command(order_list(count))
    assert len(record) == HEAD_BYTES + ORDER_BYTES * count
    number, size = records.START.unpack_from(record)
    assert (number, size, record[25]) == (14, len(record), count)
    assert records.decode_commands(record) == [order_list(count)]


def test_an_order_of_a_list_is_packed_like_the_body_of_place_order() -> None:
    @settings(max_examples=50)
    @given(st.builds(OrderEntry, **{f.name: kind_of(f) for f in schema.ORDER_FIELDS}))
    def is_the_same(order: OrderEntry) -> None:
        alone = PlaceOrder(account=7, **msgspec.structs.asdict(order))
        listed = records.encode_command(PlaceOrders(account=7, orders=(order,)))
        assert listed[HEAD_BYTES:] == records.encode_command(alone)[24:]

    is_the_same()


def kind_of(field: schema.Field) -> st.SearchStrategy[int]:
    return st.integers(*integer_range(field.kind))


def test_sixty_five_orders_are_refused_where_the_command_is_made() -> None:
    said = "place_orders.orders: wanted at most 64 orders, came 65"
    assert refusal_of(records.encode_command, order_list(65)) == said
    assert refusal_of(wire.encode_command_wire, order_list(65), 1) == said


def test_an_order_that_does_not_fit_is_refused_by_its_place_and_field() -> None:
    wrong = (*entries(2), OrderEntry(symbol=1, side=0, qty_lots=1 << 63))
    said = f"place_orders.orders[2].qty_lots: wanted an integer {I64}, came 9223372036854775808"
    assert refusal_of(records.encode_command, PlaceOrders(orders=wrong)) == said
    assert refusal_of(wire.encode_command_wire, PlaceOrders(orders=wrong), 1) == said
    assert refusal_of(records.encode_command, PlaceOrders(list_mode=256, orders=entries(1))) == (
        "place_orders.list_mode: wanted an integer 0 .. 255, came 256"
    )


@pytest.mark.parametrize("count", [65, 255])
def test_a_record_with_a_longer_list_than_is_taken_can_still_be_read(count: int) -> None:
    """No client can send it, but a journal may hold it: the engine says invalid_list, and a reader what it was."""
    size = HEAD_BYTES + ORDER_BYTES * count
    record = struct.pack("<HHIQqBB", 14, size, 7, 1, 1, 0, count) + bytes(ORDER_BYTES * count)
    [command] = records.decode_commands(record)
    assert isinstance(command, PlaceOrders)
    assert command.orders == (OrderEntry(symbol=0, side=0),) * count


@pytest.mark.parametrize(
    ("size", "count", "wanted"),
    [(100, 2, 174), (100, 0, 26), (99, 1, 100), (101, 1, 100), (25, 1, 26), (24, 0, 26)],
)
def test_a_record_whose_size_is_not_that_of_its_list_is_refused(
    size: int, count: int, wanted: int
) -> None:
    record = struct.pack("<HHIQqBB", 14, size, 7, 1, 1, 0, count) + bytes(ORDER_BYTES * 2)
    said = f"byte 0: wanted {wanted} bytes of place_orders, came {size}"
    assert refusal_of(records.decode_commands, record[:size]) == said


BATCH: list[Command] = [order_list(3), AdvanceTime(), order_list(0), order_list(64), AdvanceTime()]


@both_stamps
def test_records_of_any_length_are_stamped(stamp: Any) -> None:
    stamped = records.decode_commands(stamp(records.encode_commands(BATCH), 41, 1_000))
    assert [command.sequence for command in stamped] == [41, 42, 43, 44, 45]
    assert stamped == [
        msgspec.structs.replace(command, sequence=41 + i, timestamp_ns=1_000)
        for i, command in enumerate(BATCH)
    ]


def test_records_of_any_length_are_stepped_over() -> None:
    data = records.encode_commands(BATCH)
    assert records.count_records(data) == len(BATCH)
    assert [len(view) for _, view in records.iter_records(data)] == [248, 24, 26, 4762, 24]


# --------------------------------------------------------------------------------------------- the wire


@both_decoders
@pytest.mark.parametrize("count", [0, 1, 15, 16, 64])
def test_a_list_survives_the_wire(decode: Any, count: int) -> None:
    payload = wire.encode_command_wire(order_list(count), 5)
    assert decode(payload) == (records.encode_command(order_list(count)), [5])


@both_decoders
def test_lists_may_follow_each_other_in_one_payload(decode: Any) -> None:
    payload = b"".join(wire.encode_command_wire(command, 5 + i) for i, command in enumerate(BATCH))
    assert decode(payload) == (records.encode_commands(BATCH), [5, 6, 7, 8, 9])


def test_a_large_payload_of_lists_is_read_like_a_small_one() -> None:
    payload = wire.encode_command_wire(order_list(64), 5) * 200
    decoded, request_ids = native.decode_commands(payload)
    assert decoded == records.encode_command(order_list(64)) * 200
    assert request_ids == [5] * 200


def test_an_order_travels_up_to_its_last_field_that_is_not_the_default() -> None:
    orders = (
        OrderEntry(symbol=1, side=0),
        OrderEntry(symbol=1, side=1, price_ticks=100, qty_lots=5),
        OrderEntry(symbol=0, side=0, trigger_by=1),
    )
    payload = wire.encode_command_wire(PlaceOrders(account=9, orders=orders), 3)
    assert msgspec.msgpack.decode(payload) == [
        *(14, 3, 9, 0),
        [[1, 0], [1, 1, 0, 0, 0, 0, 100, 5], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
    ]


@both_decoders
def test_fields_that_an_order_leaves_out_take_their_defaults(decode: Any) -> None:
    decoded, _ = decode(sent([1, 0], [2, 1, 1, 1, 0, 2, 0, 5]))
    assert records.decode_commands(decoded) == [
        PlaceOrders(
            account=9,
            orders=(
                OrderEntry(symbol=1, side=0),
                OrderEntry(symbol=2, side=1, order_type=1, time_in_force=1, flags=2, qty_lots=5),
            ),
        )
    ]


WIRE_REFUSALS = {
    "sixty-five orders": (
        sent(*[[1, 0]] * 65),
        "byte 5: wanted place_orders.orders, an array of at most 64 orders, came an array of 65",
    ),
    "four billion orders": (
        sent()[:-1] + b"\xdd\xff\xff\xff\xff" + b"\x92\x01\x00" * 1_000,
        "byte 5: wanted place_orders.orders, an array of at most 64 orders, came an array of 4294967295",
    ),
    "orders that are no array": (
        msgspec.msgpack.encode([14, 1, 9, 0, 5]),
        "byte 5: wanted place_orders.orders, an array of at most 64 orders, came the integer 5",
    ),
    "no orders at all": (
        msgspec.msgpack.encode([14, 1, 9, 0]),
        "byte 0: wanted 5 elements of place_orders, came an array of 4",
    ),
    "a count, which does not travel": (
        msgspec.msgpack.encode([14, 1, 9, 0, 1, [[1, 0]]]),
        "byte 0: wanted 5 elements of place_orders, came an array of 6",
    ),
    "an order that is no array": (
        sent([1, 0], 7),
        "byte 9: wanted place_orders.orders[1], an array of 2 .. 16 elements, came the integer 7",
    ),
    "an order of one": (
        sent([1, 0], [1, 0], [1]),
        "byte 12: wanted place_orders.orders[2], an array of 2 .. 16 elements, came an array of 1",
    ),
    "an order of seventeen": (
        sent([1, 0], [0] * 17),
        "byte 9: wanted place_orders.orders[1], an array of 2 .. 16 elements, came an array of 17",
    ),
    "an order that ends early": (
        sent([1, 0], [1, 0])[:-1],
        "byte 11: wanted place_orders.orders[1].side, 0 .. 255, came the end of the message",
    ),
    "a list that ends early": (
        sent([1, 0], [1, 0])[:-3],
        "byte 9: wanted place_orders.orders[1], an array of 2 .. 16 elements, came the end of the message",
    ),
    "a price that is a float": (
        sent([1, 0, 0, 0, 0, 0, 1.5]),
        f"byte 13: wanted place_orders.orders[0].price_ticks, {I64}, came a float",
    ),
    "a side below zero": (
        sent([1, -1]),
        "byte 8: wanted place_orders.orders[0].side, 0 .. 255, came the integer -1",
    ),
    "an order in an order": (
        sent([[1, 0], 0]),
        "byte 7: wanted place_orders.orders[0].symbol, 0 .. 4294967295, came an array of 2",
    ),
}


@both_decoders
@pytest.mark.parametrize("what", WIRE_REFUSALS)
def test_refusal_of_a_list_names_the_byte_and_the_order_and_its_field(
    decode: Any, what: str
) -> None:
    payload, said = WIRE_REFUSALS[what]
    assert refusal_of(decode, payload) == said


@both_decoders
def test_a_list_that_is_refused_leaves_nothing_of_the_payload(decode: Any) -> None:
    good = wire.encode_command_wire(order_list(64), 5)
    wrong, said = WIRE_REFUSALS["a side below zero"]
    at = len(good) + int(said.split()[1].rstrip(":"))
    assert refusal_of(decode, good + wrong).startswith(f"byte {at}: wanted ")


# ------------------------------------------------------------------------- what commands need not say


@pytest.mark.parametrize(
    ("command", "elements"),
    [
        (PlaceOrder(account=9, symbol=1, side=0), [7, 3, 9, 1, 0]),
        (
            PlaceOrder(account=9, symbol=1, side=1, price_ticks=100, qty_lots=300),
            [7, 3, 9, 1, 1, 0, 0, 0, 0, 100, 300],
        ),
        (
            PlaceOrder(account=9, symbol=0, side=0, trigger_by=1),
            [7, 3, 9, *[0] * 14, 1],
        ),
        (CancelOrder(account=9), [8, 3, 9]),
        (AmendOrder(account=9, order_id=256), [10, 3, 9, 256]),
        (AmendOrder(account=9, callback_ppm=1), [10, 3, 9, *[0] * 8, 1]),
        (SetCountdown(account=9), [16, 3, 9]),
        (SetSymbolState(symbol=1, state=0), [15, 3, 0, 1, 0]),
        (AdvanceTime(), [13, 3, 0]),
    ],
)
def test_a_client_sends_no_trailing_field_that_is_the_default(
    command: Command, elements: list[int]
) -> None:
    assert msgspec.msgpack.decode(wire.encode_command_wire(command, 3)) == elements


@pytest.mark.parametrize("message", schema.COMMANDS, ids=lambda m: m.name)
def test_only_zeros_are_left_out_and_only_where_zero_is_the_default(
    message: schema.Message,
) -> None:
    """The shortest message that a client may send holds every field up to the last that zero would change."""
    least = wire.ENDS[message.number][0]
    fields = [*schema.COMMAND_HEADER.fields[2:], *message.fields]
    read = [field for field in fields if field.name not in wire.UNREAD]
    assert all(field.default == 0 for field in read[least:])
    assert least >= LAYOUTS[message.number].required + 2  # sequence and time do not travel
