"""Commands and events as packed records: what the journal stores and what an engine takes and gives.

Theory of operation.  A record is the header of the table and then the fields of its type, little-endian and
without padding; a batch is records one after the other.  ``size`` in the header lets a reader step over what
it does not want to understand.  One ``RecordCodec`` per type, made at import from the table, does the work.
All records of a type have one size, but for ``place_orders``, which is as long as its list.

>>> from exchange.protocol.messages import Deposit
>>> record = encode_command(Deposit(account=7, amount_atoms=500))
>>> decode_commands(stamp(record, sequence=1, timestamp_ns=1_000))
[Deposit(account=7, amount_atoms=500, sequence=1, timestamp_ns=1000)]
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Generic, NoReturn, Protocol, TypeAlias, TypeVar, cast

import msgspec

from exchange.protocol import layout, messages, schema
from exchange.protocol.layout import COUNTED, integer_range
from exchange.protocol.messages import Bracket, Command, Event, OrderEntry, PlaceOrders

Buffer: TypeAlias = bytes | bytearray | memoryview
#: Account, sequence and type of an event, and its msgpack array.
RoutedEvent: TypeAlias = tuple[int, int, int, bytes]
#: Index of the event that follows, account, and that event's number in the account's stream.
Position: TypeAlias = tuple[int, int, int]
M = TypeVar("M", bound=messages.Message)
S = TypeVar("S", bound=msgspec.Struct)

COMMAND_HEADER_BYTES = layout.COMMAND_HEADER_BYTES
EVENT_HEADER_BYTES = layout.EVENT_HEADER_BYTES
START = struct.Struct("<HH")  # type and size: both headers start with them
STAMP = struct.Struct("<Qq")  # sequence and time of a command
STAMP_OFFSET = 8
#: Python passes more keywords than these in a dict, which takes most of a microsecond.
FEW_KEYWORDS = 15


class NativeCodec(Protocol):
    """What the compiled codec can do; ``wire`` and ``stamp`` below say what it means."""

    def stamp(self, commands: Buffer, sequence: int, timestamp_ns: int) -> bytes: ...

    def decode_commands(self, payload: Buffer, max_commands: int) -> tuple[bytes, list[int]]: ...

    def decode_events(self, payload: Buffer) -> tuple[bytes, list[int]]: ...

    def decode_stream(self, payload: Buffer) -> tuple[bytes, list[int], list[Position]]: ...

    def encode_events(
        self, records: Buffer, first_sequence: int, request_ids: list[int]
    ) -> bytes: ...

    def encode_event_list(
        self, records: Buffer, first_sequence: int, request_ids: list[int]
    ) -> list[RoutedEvent]: ...

    def count_batch(
        self, slots: object, commands: Buffer, events: Buffer, timestamp_ns: int
    ) -> None: ...


def load_native() -> NativeCodec | None:
    """The compiled codec, or None where it is not built: everything here works without it, slower."""
    try:
        return cast(NativeCodec, importlib.import_module("exchange._native.codec"))
    except ModuleNotFoundError:
        return None


NATIVE = load_native()


# ------------------------------------------------------------------------------------------- one record


class RecordCodec(Generic[M]):
    """Packs and unpacks the records of one type."""

    def __init__(
        self, message: schema.Message, header: schema.Message, struct_class: type[M]
    ) -> None:
        _, _, *header_fields = header.fields
        self.message = message
        self.fields = (*header_fields, *message.fields)
        body_format = "".join(schema.KINDS[f.kind][0] for f in self.fields)
        self.layout = struct.Struct("<HH" + body_format)
        self.body = struct.Struct("<4x" + body_format)  # the same, stepping over type and size
        self.names = tuple(f.name for f in self.fields if f.name not in COUNTED)
        self.build = keyword_builder(struct_class, self.names)
        self.build_few = keyword_builder(struct_class, self.names[:FEW_KEYWORDS])
        default_of = {field.name: field.default for field in self.fields}
        rest = tuple(default_of[name] for name in self.names[FEW_KEYWORDS:])
        self.rest = () if None in rest else rest
        self.is_plain = all(f.kind not in ("name", "brackets", "orders") for f in self.fields)
        self.read = attrgetter(*self.names)

    def pack(self, value: M, values: Sequence[Any] | None = None) -> bytes:
        """The record of ``value``; ValueError names the field that does not fit.

        ``values`` is what ``read`` gave, if the caller has it.
        """
        raw = (values or self.read(value)) if self.is_plain else self.flatten(value)
        try:
            return self.layout.pack(self.message.number, self.layout.size, *raw)
        except struct.error:
            self.refuse(value)

    def values(self, data: Buffer, offset: int = 0) -> Sequence[Any]:
        """What stands in the record at ``offset``, whose type and size are known to be right."""
        raw = self.body.unpack_from(data, offset)
        return raw if self.is_plain else self.gather(raw)

    def wanted_size(self, data: Buffer, offset: int, size: int) -> int:
        """The size that the record at ``offset``, of ``size`` bytes, has to have."""
        return self.layout.size

    def unpack(self, data: Buffer, offset: int = 0) -> M:
        """The object in the record at ``offset``, whose type and size are known to be right."""
        values = self.values(data, offset)
        if self.rest and values[FEW_KEYWORDS:] == self.rest:
            return self.build_few(*values[:FEW_KEYWORDS])
        return self.build(*values)

    def flatten(self, value: M) -> list[Any]:
        raw: list[Any] = []
        for field in self.fields:
            if field.name in COUNTED:
                raw.append(len(getattr(value, COUNTED[field.name])))
            elif field.kind == "brackets":
                raw.extend(flatten_brackets(getattr(value, field.name)))
            elif field.kind == "name":
                raw.append(encode_name(getattr(value, field.name)))
            elif field.kind != "orders":
                raw.append(getattr(value, field.name))
        return raw

    def gather(self, raw: Sequence[Any]) -> list[Any]:
        values: list[Any] = []
        position = 0
        bracket_count = 0
        for field in self.fields:
            if field.kind == "brackets":
                values.append(gather_brackets(raw[position:], bracket_count))
                position += 3 * schema.MAX_BRACKETS
                continue
            if field.name in COUNTED:
                bracket_count = raw[position]
            elif field.kind == "name":
                values.append(decode_name(raw[position]))
            else:
                values.append(raw[position])
            position += 1
        return values

    def refuse(self, value: M) -> NoReturn:
        """Finds the field that could not be packed."""
        plain = [
            f
            for f in self.fields
            if f.kind not in ("name", "brackets", "orders") and f.name not in COUNTED
        ]
        refuse_integer(value, plain, self.message.name)
        raise ValueError(
            f"{self.message.name}.brackets: wanted floor_atoms of 64 bits and rates of 32 bits without sign, "
            f"came {getattr(value, 'brackets', None)!r}"
        )


class ListCodec(RecordCodec[PlaceOrders]):
    """The same for ``place_orders``, whose records are as long as their lists."""

    def pack(self, value: PlaceOrders, values: Sequence[Any] | None = None) -> bytes:
        count = len(value.orders)
        if count > schema.MAX_LIST_ORDERS:
            raise ValueError(
                f"place_orders.orders: wanted at most {schema.MAX_LIST_ORDERS} orders, came {count}"
            )
        try:
            orders = b"".join(map(pack_order, value.orders))
        except struct.error:
            self.refuse_order(value.orders)
        size = self.layout.size + len(orders)
        try:
            return self.layout.pack(self.message.number, size, *self.flatten(value)) + orders
        except struct.error:
            self.refuse(value)

    def refuse_order(self, orders: Iterable[OrderEntry]) -> NoReturn:
        for index, order in enumerate(orders):
            refuse_integer(order, schema.ORDER_FIELDS, f"place_orders.orders[{index}]")
        raise AssertionError("an order could not be packed, though all its numbers fit")

    def wanted_size(self, data: Buffer, offset: int, size: int) -> int:
        fixed = self.layout.size
        # The count is the last byte in front of the list; a record that is too short has none.
        return fixed + schema.ORDER_BYTES * data[offset + fixed - 1] if size >= fixed else fixed

    def values(self, data: Buffer, offset: int = 0) -> list[Any]:
        *values, count = self.body.unpack_from(data, offset)
        start = offset + self.layout.size
        orders = ORDER.iter_unpack(data[start : start + count * ORDER.size])
        return [*values, tuple(BUILD_ORDER(*order) for order in orders)]


def refuse_integer(value: object, fields: Iterable[schema.Field], path: str) -> None:
    """Raises ValueError with the name of the first of these integers that does not fit, if one does not."""
    for field in fields:
        came = getattr(value, field.name)
        lowest, highest = integer_range(field.kind)
        if not isinstance(came, int) or not lowest <= came <= highest:
            raise ValueError(
                f"{path}.{field.name}: wanted an integer {lowest} .. {highest}, came {came!r}"
            )


def pack_order(order: OrderEntry) -> bytes:
    """The order as one of the list that ends a record; struct.error where a number does not fit."""
    return ORDER.pack(*READ_ORDER(order))


def keyword_builder(struct_class: type[S], names: tuple[str, ...]) -> Callable[..., S]:
    """A function that takes the values in the order of ``names`` and calls the class with keywords.

    Compiled, as namedtuple does it: 1.0 us for a fill where ``cls(**dict(zip(names, values)))`` takes 1.8.
    """
    arguments = ", ".join(names)
    keywords = ", ".join(f"{name}={name}" for name in names)
    builder: Callable[..., S] = eval(
        f"lambda {arguments}: make({keywords})", {"make": struct_class}
    )
    return builder


def encode_name(name: str) -> bytes:
    raw = name.encode("utf-8")
    if len(raw) > schema.MAX_NAME_BYTES or 0 in raw:
        raise ValueError(
            f"wanted a name of at most {schema.MAX_NAME_BYTES} bytes without zero bytes, came {name!r}"
        )
    return raw


def decode_name(raw: bytes) -> str:
    # An engine may be given records that no client could send: a reader of events must survive them.
    return raw.partition(b"\0")[0].decode("utf-8", errors="replace")


def flatten_brackets(brackets: tuple[Bracket, ...]) -> list[int]:
    if len(brackets) > schema.MAX_BRACKETS or any(len(bracket) != 3 for bracket in brackets):
        raise ValueError(
            f"wanted at most {schema.MAX_BRACKETS} brackets of (floor_atoms, maintenance_ppm, initial_ppm), "
            f"came {brackets!r}"
        )
    unused = schema.MAX_BRACKETS - len(brackets)
    return [number for bracket in brackets for number in bracket] + [0] * (3 * unused)


def gather_brackets(raw: Sequence[int], count: int) -> tuple[Bracket, ...]:
    used = min(count, schema.MAX_BRACKETS)
    return tuple((raw[3 * i], raw[3 * i + 1], raw[3 * i + 2]) for i in range(used))


ORDER = struct.Struct(schema.ORDER_FORMAT)
ORDER_NAMES = tuple(field.name for field in schema.ORDER_FIELDS)
READ_ORDER = attrgetter(*ORDER_NAMES)
BUILD_ORDER = keyword_builder(OrderEntry, ORDER_NAMES)


def command_codec(message: schema.Message) -> RecordCodec[Any]:
    has_list = any(field.kind == "orders" for field in message.fields)
    codec_class: type[RecordCodec[Any]] = ListCodec if has_list else RecordCodec
    return codec_class(message, schema.COMMAND_HEADER, messages.COMMAND_CLASSES[message.number])


COMMAND_CODECS: dict[int, RecordCodec[Command]] = {
    m.number: command_codec(m) for m in schema.COMMANDS
}
EVENT_CODECS: dict[int, RecordCodec[Event]] = {
    m.number: RecordCodec(m, schema.EVENT_HEADER, messages.EVENT_CLASSES[m.number])
    for m in schema.EVENTS
}


# -------------------------------------------------------------------------------------------- a batch


def iter_starts(data: Buffer) -> Iterator[tuple[int, int, int]]:
    """Type, offset and size of each record; ValueError where the bytes end within one."""
    offset = 0
    end = len(data)
    while offset < end:
        if end - offset < START.size:
            raise ValueError(
                f"byte {offset}: wanted the start of a record, came {end - offset} bytes"
            )
        number, size = START.unpack_from(data, offset)
        least = EVENT_HEADER_BYTES if number >= schema.FIRST_EVENT else COMMAND_HEADER_BYTES
        if size < least or size > end - offset:
            raise ValueError(
                f"byte {offset}: wanted a whole record of {least} bytes or more, "
                f"came one that says {size} with {end - offset} left"
            )
        yield number, offset, size
        offset += size


def iter_records(data: Buffer) -> Iterator[tuple[int, memoryview]]:
    """Type and bytes of each record, known type or not."""
    view = memoryview(data)
    for number, offset, size in iter_starts(view):
        yield number, view[offset : offset + size]


def count_records(data: Buffer) -> int:
    """How many records the batch holds."""
    return sum(1 for _ in iter_starts(data))


def decode_with(codecs: dict[int, RecordCodec[M]], data: Buffer, kind: str) -> list[M]:
    decoded = []
    for number, offset, size in iter_starts(data):
        codec = codecs.get(number)
        if codec is None:
            wanted = f"{min(codecs)} .. {max(codecs)}"
            raise ValueError(f"byte {offset}: wanted the number of {kind}, {wanted}, came {number}")
        wanted_size = codec.wanted_size(data, offset, size)
        if size != wanted_size:
            name = codec.message.name
            raise ValueError(f"byte {offset}: wanted {wanted_size} bytes of {name}, came {size}")
        decoded.append(codec.unpack(data, offset))
    return decoded


def decode_commands(data: Buffer) -> list[Command]:
    """The commands of a batch; ValueError on anything that is not one."""
    return decode_with(COMMAND_CODECS, data, "a command")


def decode_events(data: Buffer) -> list[Event]:
    """The events that an engine gave; ValueError on anything that is not one."""
    return decode_with(EVENT_CODECS, data, "an event")


def encode_command(command: Command) -> bytes:
    """The record of one command; ValueError names the field that does not fit."""
    return COMMAND_CODECS[command.number].pack(command)


def encode_commands(commands: Iterable[Command]) -> bytes:
    """The batch of these commands, in their order."""
    return b"".join(map(encode_command, commands))


def encode_event(event: Event) -> bytes:
    """The record of one event."""
    return EVENT_CODECS[event.number].pack(event)


def encode_events(events: Iterable[Event]) -> bytes:
    """The records of these events, in their order."""
    return b"".join(map(encode_event, events))


# -------------------------------------------------------------------------------------- the sequencer's


def stamp(commands: Buffer, sequence: int, timestamp_ns: int) -> bytes:
    """The batch with consecutive sequences from ``sequence`` and one time for all: the sequencer's mark."""
    if NATIVE is not None:
        return NATIVE.stamp(commands, sequence, timestamp_ns)
    return stamp_python(commands, sequence, timestamp_ns)


def stamp_python(commands: Buffer, sequence: int, timestamp_ns: int) -> bytes:
    """``stamp`` without the compiled core."""
    stamped = bytearray(commands)
    for index, (number, offset, _) in enumerate(iter_starts(commands)):
        if number >= schema.FIRST_EVENT:
            raise ValueError(f"byte {offset}: wanted a command, came record type {number}")
        STAMP.pack_into(stamped, offset + STAMP_OFFSET, sequence + index, timestamp_ns)
    return bytes(stamped)
