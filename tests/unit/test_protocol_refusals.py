"""Bytes that mean nothing are refused with the byte, what was wanted and what came, and never do harm."""

from __future__ import annotations

import importlib
import random
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from exchange.protocol import records, schema, wire
from exchange.protocol.messages import (
    Accepted,
    AdvanceTime,
    CancelOrder,
    Command,
    Deposit,
    ListSymbol,
    OrderEntry,
    PlaceOrder,
    PlaceOrders,
    SymbolListed,
)

native: Any = importlib.import_module("exchange._native.codec")

COMMAND_RANGE = f"{schema.COMMANDS[0].number} .. {schema.COMMANDS[-1].number}"
EVENT_RANGE = f"{schema.EVENTS[0].number} .. {schema.EVENTS[-1].number}"

both_decoders = pytest.mark.parametrize(
    "decode", [native.decode_commands, wire.decode_commands_python], ids=["native", "python"]
)
both_encoders = pytest.mark.parametrize(
    "encode",
    [
        native.encode_events,
        wire.encode_events_python,
        native.encode_event_list,
        wire.encode_event_list_python,
    ],
    ids=["native", "python", "native_list", "python_list"],
)

LISTING = ListSymbol(
    symbol=1,
    name="BTC-PERP",
    tick_size_e12=10**11,
    lot_size_e12=10**9,
    atoms_per_tick_lot=10**4,
    initial_margin_ppm=50_000,
    brackets=((0, 5_000, 0), (10**12, 10_000, 20_000)),
)
ORDER = PlaceOrder(
    account=7, symbol=1, side=0, price_ticks=1_000_000, qty_lots=300, client_order_id=1 << 40
)
SOME_COMMANDS: list[Command] = [
    LISTING,
    ORDER,
    Deposit(account=9, amount_atoms=-(10**18)),
    CancelOrder(account=1 << 24, order_id=(1 << 64) - 1),
    PlaceOrders(
        account=7,
        list_mode=3,
        orders=(
            OrderEntry(symbol=1, side=0, price_ticks=1_000_000, qty_lots=300),
            OrderEntry(symbol=1, side=1, order_type=2, trigger_ticks=900_000, trigger_by=1),
        ),
    ),
    AdvanceTime(),
]


def refusal_of(call: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(ValueError, match="wanted") as raised:
        call(*arguments)
    return str(raised.value)


def packed(*elements: Any) -> bytes:
    return msgspec.msgpack.encode(list(elements))


def listing_with(**changes: Any) -> bytes:
    """The listing as msgpack, with fields that its class would not take."""
    names = [
        f.name for f in schema.COMMAND_BY_NAME["list_symbol"].fields if f.name != "bracket_count"
    ]
    fields = msgspec.structs.asdict(LISTING) | changes
    return packed(1, 5, 0, *(fields[name] for name in names))


# ----------------------------------------------------------------------------------------- what is said


DEPOSIT_RANGE = "-9223372036854775808 .. 9223372036854775807"
NAME_WANTED = "list_symbol.name, a string of at most 16 bytes of UTF-8 without zero bytes"
WIRE_REFUSALS = {
    "a payload that is no array": (
        b"\x05",
        "byte 0: wanted the array of a command: [type, request_id, account, ...], came the integer 5",
    ),
    "an empty array": (
        packed(),
        "byte 0: wanted the array of a command: [type, request_id, account, ...], came an array of 0",
    ),
    "an array head that is cut short": (
        b"\xdc\x00",
        "byte 0: wanted the array of a command: [type, request_id, account, ...], "
        "came an array that is cut short",
    ),
    "an unknown type": (
        packed(99, 1, 1),
        f"byte 1: wanted the type of a command, {COMMAND_RANGE}, came the integer 99",
    ),
    "a negative type": (
        packed(-1, 1, 1),
        f"byte 1: wanted the type of a command, {COMMAND_RANGE}, came the integer -1",
    ),
    "a type beyond 16 bits": (
        packed(65_538, 1, 1, 5),
        f"byte 1: wanted the type of a command, {COMMAND_RANGE}, came the integer 65538",
    ),
    "an event": (
        packed(139, 1, 0, 4, 1, 100),
        f"byte 1: wanted the type of a command, {COMMAND_RANGE}, came the integer 139",
    ),
    "too few elements": (
        packed(2, 1, 9),
        "byte 0: wanted 4 elements of deposit, came an array of 3",
    ),
    "too many elements": (
        packed(2, 1, 9, 5, 5),
        "byte 0: wanted 4 elements of deposit, came an array of 5",
    ),
    "a wrong number of elements, some optional": (
        packed(7, 1, 9, 1),
        "byte 0: wanted 5 .. 19 elements of place_order, came an array of 4",
    ),
    "a negative request id": (
        packed(2, -1, 9, 5),
        "byte 2: wanted request_id, 0 .. 18446744073709551615, came the integer -1",
    ),
    "an account beyond 32 bits": (
        packed(2, 1, 1 << 32, 5),
        "byte 3: wanted deposit.account, 0 .. 4294967295, came the integer 4294967296",
    ),
    "a float": (
        packed(2, 1, 9, 1.5),
        f"byte 4: wanted deposit.amount_atoms, {DEPOSIT_RANGE}, came a float",
    ),
    "a string": (
        packed(2, 1, 9, "five"),
        f"byte 4: wanted deposit.amount_atoms, {DEPOSIT_RANGE}, came a string of 4",
    ),
    "nil": (
        packed(2, 1, 9, None),
        f"byte 4: wanted deposit.amount_atoms, {DEPOSIT_RANGE}, came nil",
    ),
    "a boolean": (
        packed(2, 1, 9, True),
        f"byte 4: wanted deposit.amount_atoms, {DEPOSIT_RANGE}, came true",
    ),
    "binary data": (
        packed(2, 1, 9, b"abc"),
        f"byte 4: wanted deposit.amount_atoms, {DEPOSIT_RANGE}, came binary data of 3",
    ),
    "a map": (
        packed(2, 1, 9, {1: 2}),
        f"byte 4: wanted deposit.amount_atoms, {DEPOSIT_RANGE}, came a map of 1",
    ),
    "an extension": (
        packed(2, 1, 9, msgspec.msgpack.Ext(1, b"x")),
        f"byte 4: wanted deposit.amount_atoms, {DEPOSIT_RANGE}, came an extension",
    ),
    "an integer above its field": (
        packed(2, 1, 9, 1 << 63),
        f"byte 4: wanted deposit.amount_atoms, {DEPOSIT_RANGE}, came the integer 9223372036854775808",
    ),
    "an integer below its field": (
        packed(7, 1, 9, 1, -1),
        "byte 5: wanted place_order.side, 0 .. 255, came the integer -1",
    ),
    "an integer that is cut short": (
        packed(2, 1, 9, 1 << 40)[:-1],
        f"byte 4: wanted deposit.amount_atoms, {DEPOSIT_RANGE}, came an integer that is cut short",
    ),
    "a message that ends early": (
        packed(2, 1, 9, 5)[:-1],
        f"byte 4: wanted deposit.amount_atoms, {DEPOSIT_RANGE}, came the end of the message",
    ),
    "a second message that is wrong": (
        packed(13, 1, 0) + b"\xc1",
        "byte 4: wanted the array of a command: [type, request_id, account, ...], "
        "came the byte 0xc1, which msgpack does not use",
    ),
    "a name that is too long": (
        listing_with(name="x" * 17),
        f"byte 7: wanted {NAME_WANTED}, came a string of 17",
    ),
    "a name with a zero byte": (
        listing_with(name="a\0b"),
        f"byte 7: wanted {NAME_WANTED}, came a string of 3",
    ),
    "a name that is no text": (
        listing_with(name="xx").replace(b"\xa2xx", b"\xa2\xff\xfe"),
        f"byte 7: wanted {NAME_WANTED}, came a string of 2",
    ),
    "a name that is a number": (
        listing_with(name=5),
        f"byte 7: wanted {NAME_WANTED}, came the integer 5",
    ),
}


@both_decoders
@pytest.mark.parametrize("what", WIRE_REFUSALS)
def test_refusal_names_the_byte_and_what_was_wanted_and_what_came(decode: Any, what: str) -> None:
    payload, said = WIRE_REFUSALS[what]
    assert refusal_of(decode, payload) == said


BRACKET_REFUSALS = {
    "seventeen brackets": (
        [(0, 1, 1)] * 17,
        "wanted list_symbol.brackets, an array of at most 16 brackets, came an array of 17",
    ),
    "brackets that are no array": (
        5,
        "wanted list_symbol.brackets, an array of at most 16 brackets, came the integer 5",
    ),
    "a bracket of two": (
        [(0, 1)],
        "wanted a bracket of list_symbol, [floor_atoms, maintenance_ppm, initial_ppm], came an array of 2",
    ),
    "a bracket that is no array": (
        [7],
        "wanted a bracket of list_symbol, [floor_atoms, maintenance_ppm, initial_ppm], came the integer 7",
    ),
    "a rate below zero": (
        [(0, 1, 1), (5, -1, 1)],
        "wanted maintenance_ppm of a bracket of list_symbol, 0 .. 4294967295, came the integer -1",
    ),
    "a floor beyond 64 bits": (
        [(1 << 63, 1, 1)],
        f"wanted floor_atoms of a bracket of list_symbol, {DEPOSIT_RANGE}, came the integer 9223372036854775808",
    ),
    "a rate that is nested deeper": (
        [(0, 1, [[[1]]])],
        "wanted initial_ppm of a bracket of list_symbol, 0 .. 4294967295, came an array of 1",
    ),
}


@both_decoders
@pytest.mark.parametrize("what", BRACKET_REFUSALS)
def test_refusal_of_a_bracket_names_its_part(decode: Any, what: str) -> None:
    brackets, said = BRACKET_REFUSALS[what]
    assert refusal_of(decode, listing_with(brackets=brackets)).endswith(said)


@both_decoders
def test_a_payload_of_more_commands_than_are_taken_is_refused_whole(decode: Any) -> None:
    payload = packed(13, 1, 0) * 3
    assert len(decode(payload, 3)[1]) == 3
    assert refusal_of(decode, payload, 2) == (
        "byte 8: wanted the end of the message: it holds as many commands as are taken at once, "
        "came an array of 3"
    )


def test_events_are_refused_in_the_words_of_events() -> None:
    said = f"byte 1: wanted the type of an event, {EVENT_RANGE}, came the integer 2"
    assert refusal_of(native.decode_events, packed(2, 1, 9, 5)) == said
    assert refusal_of(wire.decode_events_python, packed(2, 1, 9, 5)) == said


@both_decoders
def test_no_trailing_field_of_an_event_may_be_left_out(decode: Any) -> None:
    decode_events = (
        native.decode_events if decode == native.decode_commands else wire.decode_events_python
    )
    payload = packed(128, 1, 9, 4, 1, 7, 0)  # accepted without its client order id
    assert (
        refusal_of(decode_events, payload)
        == "byte 0: wanted 8 elements of accepted, came an array of 7"
    )


# ------------------------------------------------------------------------------------------ hostile bytes

BOMBS = {
    "arrays in arrays": b"\x91" * 100_000,
    "arrays where a number is wanted": b"\x94\x02\x01\x09" + b"\x91" * 100_000,
    "brackets in brackets": listing_with(brackets=[])[:-1] + b"\x91" * 100_000,
    "an array of four billion": b"\xdd\xff\xff\xff\xff" + b"\x0d" * 1_000,
    "a name of four billion bytes": listing_with(name="")[:7]
    + b"\xdb\xff\xff\xff\xff"
    + b"x" * 1_000,
    "four billion brackets": listing_with(brackets=[])[:-1]
    + b"\xdd\xff\xff\xff\xff"
    + b"\x93\x00\x00\x00" * 99,
    "orders in orders": b"\x95\x0e\x01\x09\x00\x91" + b"\x92" * 100_000,
    "sixty-four orders of which none is whole": b"\x95\x0e\x01\x09\x00\xdc\x00\x40" + b"\x9f" * 99,
    "maps in maps": b"\x81" * 100_000,
}


@both_decoders
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_without_memory_or_depth(decode: Any, bomb: str) -> None:
    tracemalloc.start()
    try:
        refusal_of(decode, BOMBS[bomb])
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def mutate(payload: bytes, chance: random.Random) -> bytes:
    """The payload with a few bytes changed, put in, left out or cut off."""
    mutated = bytearray(payload)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(mutated) + 1)
        match chance.randrange(4):
            case 0:
                mutated[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                mutated[at:at] = chance.choice(
                    [b"\xc0", b"\xdd", b"\xcf", b"\x93", b"\xd3\xff", b"\xa5"]
                )
            case 2:
                del mutated[at : at + chance.randint(1, 3)]
            case _:
                del mutated[max(at, 1) :]
    return bytes(mutated)


def outcome(call: Callable[..., Any], *arguments: Any) -> Any:
    """What the call gives, or what it says when it refuses; anything but ValueError fails the test."""
    try:
        return call(*arguments)
    except ValueError as refusal:
        return str(refusal)


@pytest.mark.parametrize("seed", range(5))
def test_both_codecs_agree_on_hostile_bytes_in_result_and_in_refusal(seed: int) -> None:
    chance = random.Random(seed)
    refused = 0
    for _ in range(1_500):
        sent = chance.choices(SOME_COMMANDS, k=chance.randint(1, 3))
        payload = mutate(
            b"".join(wire.encode_command_wire(c, chance.getrandbits(20)) for c in sent), chance
        )
        result = outcome(native.decode_commands, payload)
        assert result == outcome(wire.decode_commands_python, payload), payload.hex()
        refused += isinstance(result, str)
    assert 200 < refused < 1_500  # some mutations leave a payload that still means something


def test_both_codecs_agree_on_random_bytes() -> None:
    chance = random.Random(1)
    for _ in range(3_000):
        payload = bytes([0x90 + chance.randrange(16), chance.randrange(16)]) + chance.randbytes(12)
        assert outcome(native.decode_commands, payload) == outcome(
            wire.decode_commands_python, payload
        )
        assert outcome(native.decode_events, payload) == outcome(wire.decode_events_python, payload)


@pytest.mark.parametrize("command", SOME_COMMANDS, ids=lambda c: type(c).__name__)
def test_every_shortened_payload_is_refused_by_both(command: Command) -> None:
    payload = wire.encode_command_wire(command, 1 << 33)
    for end in range(1, len(payload)):
        said = refusal_of(native.decode_commands, payload[:end])
        assert said == refusal_of(wire.decode_commands_python, payload[:end])


def test_both_codecs_agree_on_broken_event_records() -> None:
    chance = random.Random(3)
    for _ in range(2_000):
        data = mutate(ACCEPTED + LISTED, chance)
        result = outcome(native.encode_event_list, data, 1, [5])
        assert result == outcome(wire.encode_event_list_python, data, 1, [5])
        assert outcome(native.encode_events, data, 1, [5]) == (
            result if isinstance(result, str) else b"".join(payload for *_, payload in result)
        )


def test_what_a_node_takes_it_can_always_turn_into_objects() -> None:
    """A decoded record is a valid record, whatever a client sent."""
    chance = random.Random(7)
    for _ in range(2_000):
        payload = mutate(wire.encode_command_wire(LISTING, 5), chance)
        decoded = outcome(native.decode_commands, payload)
        if not isinstance(decoded, str):
            assert records.encode_commands(records.decode_commands(decoded[0])) == decoded[0]


# ------------------------------------------------------------------------------------- records, refused

ACCEPTED = records.encode_event(
    Accepted(account=7, sequence=1, timestamp_ns=1, command=2, order_id=0, client_order_id=0)
)
LISTED = records.encode_event(SymbolListed(sequence=1, symbol=1, name="BTC"))
BROKEN_EVENTS = {
    "a command": (
        records.encode_command(AdvanceTime()),
        f"byte 0: wanted the number of an event, {EVENT_RANGE}",
    ),
    "an unknown number": (
        b"\xff\x00\x10\x00" + bytes(12),
        f"byte 0: wanted the number of an event, {EVENT_RANGE}",
    ),
    "an unknown number of no size": (
        b"\xff\x00\x00\x00" + bytes(12),
        "byte 0: wanted a whole record of 16 bytes or more",
    ),
    "a number beyond 8 bits": (
        b"\xff\x7f\x10\x00" + bytes(12),
        "byte 0: wanted the number of an event",
    ),
    "a record that is cut short": (
        ACCEPTED + LISTED[:-1],
        "byte 42: wanted a whole record of 16 bytes or more",
    ),
    "a few bytes": (ACCEPTED + b"\x80", "byte 42: wanted the start of a record, came 1 bytes"),
    "a size of nothing": (
        b"\x80\x00\x00\x00" + bytes(40),
        "byte 0: wanted a whole record of 16 bytes or more",
    ),
    "the size of another event": (
        b"\x80\x00" + LISTED[2:],
        "byte 0: wanted 42 bytes of accepted, came 36",
    ),
}


@both_encoders
@pytest.mark.parametrize("what", BROKEN_EVENTS)
def test_what_is_no_event_record_is_not_encoded(encode: Any, what: str) -> None:
    data, said = BROKEN_EVENTS[what]
    assert refusal_of(encode, data, 1, []).startswith(said)


@both_encoders
@pytest.mark.parametrize("request_id", [-1, 1 << 64])
def test_a_request_id_beyond_64_bits_is_refused(encode: Any, request_id: int) -> None:
    assert refusal_of(encode, ACCEPTED, 1, [request_id]) == (
        f"wanted request ids 0 .. 18446744073709551615, came {request_id}"
    )


@pytest.mark.parametrize("stamp", [native.stamp, records.stamp_python], ids=["native", "python"])
@pytest.mark.parametrize(
    "broken", [ACCEPTED, b"\x0d", b"\x0d\x00\x10\x00" + bytes(20), b"\x0d\x00\xff\xff" + bytes(20)]
)
def test_only_whole_commands_are_stamped(stamp: Any, broken: bytes) -> None:
    whole = records.encode_command(AdvanceTime())
    assert refusal_of(stamp, whole + broken, 1, 1).startswith("byte 24: wanted ")


def test_records_of_unknown_or_wrongly_sized_commands_are_refused_by_name() -> None:
    unknown = b"\x63\x00\x18\x00" + bytes(20)
    assert refusal_of(records.decode_commands, unknown) == (
        f"byte 0: wanted the number of a command, {COMMAND_RANGE}, came 99"
    )
    bare_deposit = b"\x02\x00\x18\x00" + bytes(20)
    assert (
        refusal_of(records.decode_commands, bare_deposit)
        == "byte 0: wanted 32 bytes of deposit, came 24"
    )
    assert [number for number, _ in records.iter_records(unknown + bare_deposit)] == [99, 2]


@pytest.mark.parametrize(
    "encode", [records.encode_command, lambda command: wire.encode_command_wire(command, 1)]
)
def test_a_value_that_does_not_fit_is_refused_where_the_command_is_made(encode: Any) -> None:
    assert refusal_of(encode, Deposit(account=7, amount_atoms=1 << 63)) == (
        f"deposit.amount_atoms: wanted an integer {DEPOSIT_RANGE}, came 9223372036854775808"
    )
    half: Any = 0.5
    assert refusal_of(encode, PlaceOrder(symbol=1, side=half)) == (
        "place_order.side: wanted an integer 0 .. 255, came 0.5"
    )
    assert refusal_of(encode, msgspec.structs.replace(LISTING, symbol=-1)).startswith(
        "list_symbol.symbol: wanted"
    )


@pytest.mark.parametrize("name", ["x" * 17, "é" * 9, "a\0b"])
def test_a_name_that_does_not_fit_is_refused(name: str) -> None:
    said = refusal_of(records.encode_command, msgspec.structs.replace(LISTING, name=name))
    assert said == f"wanted a name of at most 16 bytes without zero bytes, came {name!r}"


@pytest.mark.parametrize(
    "brackets", [((0, 1, 1),) * 17, ((0, 1),), ((0, -1, 1),), ((1 << 63, 1, 1),)]
)
def test_brackets_that_do_not_fit_are_refused(brackets: Any) -> None:
    assert "bracket" in refusal_of(
        records.encode_command, msgspec.structs.replace(LISTING, brackets=brackets)
    )
