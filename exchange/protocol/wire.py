"""msgpack between client and node: the choice of codec, the plain-Python one, and the client's helpers.

Theory of operation.  A message on the wire is one msgpack array ``[type, request_id, account, field...]``
(events: a sequence after the account); any number of them stand one after the other.  In front of the first event of
an account stands its *position*, ``[127, account, number]``: the number of that event in the account's stream, from
which the account's other events of the message count on.  The node turns commands
straight into records and records straight into events: ``native/codec.pyx`` does it without a Python object per
field, and the functions here whose names end in ``_python`` do the same for machines without the compiled
core, for tests, and for reading: both give the same bytes and the same errors.

>>> from exchange.protocol.messages import Deposit
>>> payload = encode_command_wire(Deposit(account=7, amount_atoms=500), request_id=3)
>>> payload.hex()
'94020307cd01f4'
>>> records, request_ids = decode_commands(payload)
>>> request_ids
[3]
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from typing import NoReturn

import msgspec

from exchange.protocol import records as record_form
from exchange.protocol import schema
from exchange.protocol.layout import (
    BRACKET_BYTES,
    BRACKET_KINDS,
    COUNTED,
    LAYOUTS,
    LEADING,
    ORDER_LAYOUT,
    POSITION,
    Fault,
    Item,
    Wanted,
    integer_range,
    place_fields,
    refusal,
    request_id_error,
)
from exchange.protocol.messages import Command, Event, OrderEntry
from exchange.protocol.records import (
    COMMAND_CODECS,
    EVENT_CODECS,
    NATIVE,
    ORDER,
    READ_ORDER,
    Buffer,
    Position,
    RoutedEvent,
    iter_starts,
)
from exchange.protocol.schema import Field

MAX_COMMANDS = 4096
SIZE_OFFSET = 2  # of the size in a record
RESULT_TYPES = (schema.EVENT_BY_NAME["accepted"].number, schema.EVENT_BY_NAME["rejected"].number)
ENCODER = msgspec.msgpack.Encoder()


# ---------------------------------------------------------------------------- the node: which codec


def decode_commands(payload: Buffer, max_commands: int = MAX_COMMANDS) -> tuple[bytes, list[int]]:
    """Command records and request ids of a client's payload, all of it or nothing.

    Raises ValueError that names the byte, what was wanted there and what came.
    """
    if NATIVE is None:
        return decode_commands_python(payload, max_commands)
    return NATIVE.decode_commands(payload, max_commands)


def decode_events(payload: Buffer) -> tuple[bytes, list[int]]:
    """Event records and request ids of a node's payload; errors as in ``decode_commands``."""
    return decode_events_python(payload) if NATIVE is None else NATIVE.decode_events(payload)


def decode_stream(payload: Buffer) -> tuple[bytes, list[int], list[Position]]:
    """The same with the positions between the events, each at the index of the event that follows."""
    return decode_stream_python(payload) if NATIVE is None else NATIVE.decode_stream(payload)


def encode_position(account: int, number: int) -> bytes:
    """The msgpack array that stands in front of an account's first event in a message.

    >>> encode_position(7, 300).hex()
    '937f07cd012c'
    """
    return ENCODER.encode((POSITION, account, number))


def encode_events(records: Buffer, first_sequence: int, request_ids: list[int]) -> bytes:
    """The msgpack arrays of the event records that an engine gave.

    Events of sequence s answer request ``request_ids[s - first_sequence]``, or 0 where there is none or the
    event is of another account than the command was.  Raises ValueError if a record is not an event.
    """
    if NATIVE is None:
        return encode_events_python(records, first_sequence, request_ids)
    return NATIVE.encode_events(records, first_sequence, request_ids)


def encode_event_list(
    records: Buffer, first_sequence: int, request_ids: list[int]
) -> list[RoutedEvent]:
    """The same one by one, as (account, sequence, type, msgpack array): to be routed undecoded."""
    if NATIVE is None:
        return encode_event_list_python(records, first_sequence, request_ids)
    return NATIVE.encode_event_list(records, first_sequence, request_ids)


# ------------------------------------------------------------------------------ the client's helpers


def encode_command_wire(command: Command, request_id: int) -> bytes:
    """The msgpack array of one command; ValueError names the field that does not fit."""
    codec = COMMAND_CODECS[command.number]
    values = codec.read(command)
    # Packing is the fastest check that a node could take the command.
    record = codec.pack(command, values)
    if not 0 <= request_id < 1 << 64:
        raise request_id_error(request_id)
    number = command.number
    if number == PLACE_ORDERS:
        account, _sequence, _timestamp_ns, list_mode, orders = values
        sent = [sent_order(order) for order in orders]
        return ENCODER.encode((number, request_id, account, list_mode, sent))
    end = ENDS[number][len(record.rstrip(b"\0"))]
    return ENCODER.encode((number, request_id, values[0], *values[COMMAND_STAMPS_END:end]))


def sent_order(order: OrderEntry) -> tuple[int, ...]:
    values: tuple[int, ...] = READ_ORDER(order)
    return values[: ORDER_ENDS[len(ORDER.pack(*values).rstrip(b"\0"))]]


def sent_ends(fields: tuple[Field, ...]) -> list[int]:
    """How many of the values have to travel, by the length of their record without the zeros at its end.

    That is up to the last value that is not 0, where 0 is the default of all that follow.  The record tells it
    several times faster than a look at each value does.
    """
    placed = [(f, offset) for f, offset in place_fields(fields) if f.name not in UNREAD]
    least = max(i for i, (field, _) in enumerate(placed, start=1) if field.default != 0)
    offsets = [offset for _, offset in placed]
    size = sum(schema.KINDS[field.kind][2] for field in fields)
    return [max(least, bisect_left(offsets, length)) for length in range(size + 1)]


PLACE_ORDERS = schema.COMMAND_BY_NAME["place_orders"].number
#: Fields of a record that are no values of an object.
UNREAD = {"type", "size", *COUNTED}
#: Behind account, sequence and time, of which only the account travels.
COMMAND_STAMPS_END = 3
ENDS = {m.number: sent_ends(schema.COMMAND_HEADER.fields + m.fields) for m in schema.COMMANDS}
ORDER_ENDS = sent_ends(schema.ORDER_FIELDS)


def decode_events_wire(payload: Buffer) -> list[tuple[int, Event]]:
    """Request id and event of each msgpack array in a node's payload."""
    records, request_ids = decode_events(payload)
    return list(zip(request_ids, record_form.decode_events(records), strict=True))


def decode_numbered_wire(payload: Buffer) -> list[tuple[int, int, Event]]:
    """Request id, number in its account's stream (0: it has none) and event of each array in a node's payload."""
    records, request_ids, positions = decode_stream(payload)
    events = record_form.decode_events(records)
    return list(zip(request_ids, number_events(events, positions), events, strict=True))


def number_events(events: Sequence[Event], positions: Sequence[Position]) -> list[int]:
    """Each event's number: those of an account count on from its position."""
    next_numbers: dict[int, int] = {}
    waiting = deque(positions)
    numbers = []
    for index, event in enumerate(events):
        while waiting and waiting[0][0] == index:
            _, account, number = waiting.popleft()
            next_numbers[account] = number
        number = next_numbers.get(event.account, 0)
        numbers.append(number)
        if number:
            next_numbers[event.account] = number + 1
    return numbers


# --------------------------------------------------------------------- msgpack to records, in Python


class Reader:
    """Reads one wanted value after the other and raises ValueError at the byte of a wrong one."""

    def __init__(self, payload: bytes, events: bool) -> None:
        self.payload = payload
        self.position = 0
        self.events = events  # whether events are wanted, rather than commands
        self.number = 0  # of the message that is being read,
        self.item = 0  # which of its items,
        self.entry = 0  # and which order of a list

    def refuse(self, wanted: Wanted, position: int, part: int = 0) -> NoReturn:
        fault = Fault(wanted, position, self.number, self.item, part, self.events, self.entry)
        raise refusal(self.payload, fault)

    def integer(self, wanted: Wanted, kind: str, part: int = 0) -> int:
        start = self.position
        lowest, highest = integer_range(kind)
        value = self.any_integer()
        if value is None or not lowest <= value <= highest:
            self.refuse(wanted, start, part)
        return value

    def any_integer(self) -> int | None:
        head = self.head()
        if head <= 0x7F or head >= 0xE0:
            self.position += 1
            return head if head <= 0x7F else head - 0x100
        if 0xCC <= head <= 0xD3:
            return self.number_after_head(1 << (head & 3), signed=head >= 0xD0)
        return None

    def array(self, wanted: Wanted, least: int, most: int) -> int:
        """The length of an array."""
        start = self.position
        length = self.length(range(0x90, 0xA0), {0xDC: 2, 0xDD: 4})
        if length is None or not least <= length <= most:
            self.refuse(wanted, start)
        return length

    def name(self) -> bytes:
        start = self.position
        length = self.length(range(0xA0, 0xC0), {0xD9: 1, 0xDA: 2, 0xDB: 4})
        if length is None or length > schema.MAX_NAME_BYTES:
            self.refuse(Wanted.NAME, start)
        raw = self.payload[self.position : self.position + length]
        self.position += length
        if len(raw) < length or 0 in raw or not is_text(raw):
            self.refuse(Wanted.NAME, start)
        return raw

    def length(self, short: range, long: dict[int, int]) -> int | None:
        """The length of an array or string: in the head itself, or in the bytes that follow it."""
        head = self.head()
        if head in short:
            self.position += 1
            return head - short.start
        return self.number_after_head(long[head], signed=False) if head in long else None

    def head(self) -> int:
        # msgpack never uses 0xC1: at the end of the message comes none of the wanted values.
        return self.payload[self.position] if self.position < len(self.payload) else 0xC1

    def number_after_head(self, size: int, *, signed: bool) -> int | None:
        raw = self.payload[self.position + 1 : self.position + 1 + size]
        if len(raw) < size:
            return None
        self.position += 1 + size
        return int.from_bytes(raw, "big", signed=signed)


def is_text(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def read_message(reader: Reader) -> tuple[bytes, int]:
    """Record and request id of the message that starts here."""
    start = reader.position
    length = reader.array(Wanted.MESSAGE, 1, (1 << 32) - 1)
    number_start = reader.position
    number = reader.any_integer()
    if number not in LAYOUTS or (number >= schema.FIRST_EVENT) != reader.events:
        reader.refuse(Wanted.NUMBER, number_start)
    layout = LAYOUTS[number]
    reader.number = number
    if not LEADING + layout.required <= length <= LEADING + len(layout.items):
        reader.refuse(Wanted.LENGTH, start)
    request_id = reader.integer(Wanted.REQUEST_ID, "u64")
    record = bytearray(layout.template)
    for reader.item, item in enumerate(layout.items[: length - LEADING]):
        read_item(reader, item, record)
    return bytes(record), request_id


def read_item(reader: Reader, item: Item, record: bytearray) -> None:
    if item.kind == "name":
        raw = reader.name()
        record[item.offset : item.offset + len(raw)] = raw
    elif item.kind == "brackets":
        read_brackets(reader, item, record)
    elif item.kind == "orders":
        read_orders(reader, item, record)
    else:
        value = reader.integer(Wanted.INTEGER, item.kind)
        struct.pack_into("<" + schema.KINDS[item.kind][0], record, item.offset, value)


def read_brackets(reader: Reader, item: Item, record: bytearray) -> None:
    count = reader.array(Wanted.BRACKETS, 0, schema.MAX_BRACKETS)
    record[item.count_offset] = count
    for index in range(count):
        reader.array(Wanted.BRACKET, 3, 3)
        numbers = [
            reader.integer(Wanted.BRACKET_INTEGER, kind, part)
            for part, kind in enumerate(BRACKET_KINDS)
        ]
        struct.pack_into("<qII", record, item.offset + BRACKET_BYTES * index, *numbers)


def read_orders(reader: Reader, item: Item, record: bytearray) -> None:
    count = reader.array(Wanted.ORDERS, 0, schema.MAX_LIST_ORDERS)
    record[item.count_offset] = count
    for reader.entry in range(count):
        record += read_order(reader)
    struct.pack_into("<H", record, SIZE_OFFSET, len(record))


def read_order(reader: Reader) -> bytearray:
    length = reader.array(Wanted.ORDER, ORDER_LAYOUT.required, len(ORDER_LAYOUT.items))
    order = bytearray(ORDER_LAYOUT.template)
    for part, item in enumerate(ORDER_LAYOUT.items[:length]):
        value = reader.integer(Wanted.ORDER_INTEGER, item.kind, part)
        struct.pack_into("<" + schema.KINDS[item.kind][0], order, item.offset, value)
    return order


POSITION_START = bytes([0x93, POSITION])


def read_position(reader: Reader, index: int) -> Position:
    start = reader.position
    reader.position += len(POSITION_START)
    values = []
    for kind in ("u32", "u64"):
        lowest, highest = integer_range(kind)
        value = reader.any_integer()
        if value is None or not lowest <= value <= highest:
            reader.refuse(Wanted.POSITION, start)
        values.append(value)
    return index, values[0], values[1]


def decode_python(reader: Reader, most: int | None) -> tuple[bytes, list[int], list[Position]]:
    records: list[bytes] = []
    request_ids: list[int] = []
    positions: list[Position] = []
    while reader.position < len(reader.payload):
        if reader.events and reader.payload.startswith(POSITION_START, reader.position):
            positions.append(read_position(reader, len(records)))
            continue
        if most is not None and len(records) >= most:
            reader.refuse(Wanted.END, reader.position)
        record, request_id = read_message(reader)
        records.append(record)
        request_ids.append(request_id)
    return b"".join(records), request_ids, positions


def decode_commands_python(
    payload: Buffer, max_commands: int = MAX_COMMANDS
) -> tuple[bytes, list[int]]:
    """``decode_commands`` without the compiled core."""
    records, request_ids, _ = decode_python(Reader(bytes(payload), events=False), max_commands)
    return records, request_ids


def decode_events_python(payload: Buffer) -> tuple[bytes, list[int]]:
    """``decode_events`` without the compiled core."""
    records, request_ids, _ = decode_stream_python(payload)
    return records, request_ids


def decode_stream_python(payload: Buffer) -> tuple[bytes, list[int], list[Position]]:
    """``decode_stream`` without the compiled core."""
    return decode_python(Reader(bytes(payload), events=True), None)


# --------------------------------------------------------------------- records to msgpack, in Python


def encode_event_list_python(
    records: Buffer, first_sequence: int, request_ids: list[int]
) -> list[RoutedEvent]:
    """``encode_event_list`` without the compiled core."""
    for request_id in request_ids:
        if not 0 <= request_id < 1 << 64:
            raise request_id_error(request_id)
    record_form.decode_events(records)  # for its errors: all or nothing is encoded
    events: list[RoutedEvent] = []
    actor_sequence, actor = -1, 0  # of the last result event: whose command it was
    for number, offset, _ in iter_starts(records):
        account, sequence, *fields = EVENT_CODECS[number].values(records, offset)
        if number in RESULT_TYPES:
            actor_sequence, actor = sequence, account
        index = sequence - first_sequence
        is_foreign = sequence == actor_sequence and account != actor
        is_reply = 0 <= index < len(request_ids) and not is_foreign
        request_id = request_ids[index] if is_reply else 0
        wire = ENCODER.encode((number, request_id, account, sequence, *fields))
        events.append((account, sequence, number, wire))
    return events


def encode_events_python(records: Buffer, first_sequence: int, request_ids: list[int]) -> bytes:
    """``encode_events`` without the compiled core."""
    routed = encode_event_list_python(records, first_sequence, request_ids)
    return b"".join(wire for _, _, _, wire in routed)
