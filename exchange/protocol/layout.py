"""Where each value of a wire message stands in its record, and what to say when a message cannot be read.

Both codecs of ``wire``, the compiled one and the plain one, take their knowledge from here, so that they agree
on every byte and on every error.  A message on the wire is ``[type, request_id, item...]``; the items are the
account, for events the sequence, and then the fields of the table without those that only records need.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from exchange.protocol import schema
from exchange.protocol.schema import Field, Message

COMMAND_HEADER_BYTES = struct.calcsize("<" + schema.COMMAND_HEADER.body_format)
EVENT_HEADER_BYTES = struct.calcsize("<" + schema.EVENT_HEADER.body_format)
#: Fields that only records have: how much of another field is used.
COUNTED = {"bracket_count": "brackets", "order_count": "orders"}
#: The kinds of the three numbers of a bracket.
BRACKET_KINDS = ("i64", "u32", "u32")
BRACKET_BYTES = schema.KINDS["brackets"][2] // schema.MAX_BRACKETS
#: Array elements before the items: type and request id.
LEADING = 2
#: First element of a position, [127, account, number]: between the commands and the events of the table.
POSITION = schema.FIRST_EVENT - 1


def integer_range(kind: str) -> tuple[int, int]:
    """The least and the greatest value of an integer kind of the table.

    >>> integer_range("u8")
    (0, 255)
    """
    bits = 8 * schema.KINDS[kind][2]
    return (0, (1 << bits) - 1) if kind.startswith("u") else (-(1 << bits - 1), (1 << bits - 1) - 1)


@dataclass(frozen=True)
class Item:
    """One element of a wire message after type and request id, or of an order in a list."""

    name: str
    kind: str
    offset: int  # in the record, or in the order
    count_offset: int = -1  # of the record's own count of what is used (brackets, orders)


@dataclass(frozen=True)
class Layout:
    """A message on the wire and as a record; or an order in a list of them."""

    message: Message
    items: tuple[Item, ...]
    required: int  # the items up to here have no default and must be sent
    template: (
        bytes  # the record with every default in it and zeros elsewhere (of a list: none of it)
    )


def make_layout(message: Message, header: Message) -> Layout:
    is_command = message.number < schema.FIRST_EVENT
    placed = place_fields(header.fields + message.fields)
    offsets = {field.name: offset for field, offset in placed}
    # A client does not send what the sequencer gives: only the account of a command's header travels.
    carried = {"account"} if is_command else {"account", "sequence"}
    unsent = {f.name for f in header.fields} - carried | COUNTED.keys()
    sent = [(field, offset) for field, offset in placed if field.name not in unsent]
    count_offsets = {of: offsets[name] for name, of in COUNTED.items() if name in offsets}
    return Layout(
        message=message,
        items=tuple(
            Item(field.name, field.kind, offset, count_offsets.get(field.name, -1))
            for field, offset in sent
        ),
        required=required_items([f for f, _ in sent]) if is_command else len(sent),
        template=make_template(message, placed),
    )


def place_fields(fields: tuple[Field, ...]) -> list[tuple[Field, int]]:
    placed = []
    offset = 0
    for field in fields:
        placed.append((field, offset))
        offset += schema.KINDS[field.kind][2]
    return placed


def required_items(fields: list[Field]) -> int:
    return max(i for i, field in enumerate(fields, start=1) if field.default is None)


def make_template(message: Message, placed: list[tuple[Field, int]]) -> bytes:
    record = bytearray(message.size)
    struct.pack_into("<HH", record, 0, message.number, message.size)
    pack_defaults(record, placed)
    return bytes(record)


def pack_defaults(record: bytearray, placed: list[tuple[Field, int]]) -> None:
    for field, offset in placed:
        if isinstance(field.default, int):
            struct.pack_into("<" + schema.KINDS[field.kind][0], record, offset, field.default)


def make_order_layout() -> Layout:
    placed = place_fields(schema.ORDER_FIELDS)
    template = bytearray(schema.ORDER_BYTES)
    pack_defaults(template, placed)
    return Layout(
        message=schema.COMMAND_BY_NAME["place_orders"],
        items=tuple(Item(field.name, field.kind, offset) for field, offset in placed),
        required=required_items(list(schema.ORDER_FIELDS)),
        template=bytes(template),
    )


LAYOUTS: dict[int, Layout] = {
    **{m.number: make_layout(m, schema.COMMAND_HEADER) for m in schema.COMMANDS},
    **{m.number: make_layout(m, schema.EVENT_HEADER) for m in schema.EVENTS},
}
#: An order in the list of ``place_orders``: its elements, and the bytes that it is in the record.
ORDER_LAYOUT = make_order_layout()


# ---------------------------------------------------------------------------------------------- errors


class Wanted(IntEnum):
    """What a decoder wanted at the byte where it gave up."""

    MESSAGE = 1
    NUMBER = 2
    LENGTH = 3
    REQUEST_ID = 4
    INTEGER = 5
    NAME = 6
    BRACKETS = 7
    BRACKET = 8
    BRACKET_INTEGER = 9
    END = 10
    ORDERS = 11
    ORDER = 12
    ORDER_INTEGER = 13
    POSITION = 14


@dataclass(frozen=True)
class Fault:
    """Why and where a wire message cannot be read."""

    wanted: Wanted
    position: int
    number: int = 0  # the message's, once it is known
    item: int = 0
    part: int = 0  # of a bracket or of an order
    events: bool = False  # whether events were wanted
    entry: int = 0  # which order of a list


def refusal(payload: bytes, fault: Fault) -> ValueError:
    """The error for a payload that cannot be read: the byte, what was wanted there and what came.

    >>> refusal(bytes([0x94, 2, 9, 1, 0xC0]), Fault(Wanted.INTEGER, 4, number=2, item=1))
    ValueError('byte 4: wanted deposit.amount_atoms, -9223372036854775808 .. 9223372036854775807, came nil')
    """
    came = describe_value(payload, fault.position)
    return ValueError(f"byte {fault.position}: wanted {describe_wanted(fault)}, came {came}")


def request_id_error(came: object) -> ValueError:
    return ValueError(f"wanted request ids {describe_range('u64')}, came {came!r}")


def describe_wanted(fault: Fault) -> str:
    kind = "event" if fault.events else "command"
    match fault.wanted:
        case Wanted.MESSAGE:
            return f"the array of {'an' if fault.events else 'a'} {kind}: [type, request_id, account, ...]"
        case Wanted.NUMBER:
            numbers = [n for n in LAYOUTS if (n >= schema.FIRST_EVENT) == fault.events]
            return f"the type of {'an' if fault.events else 'a'} {kind}, {min(numbers)} .. {max(numbers)}"
        case Wanted.REQUEST_ID:
            return f"request_id, {describe_range('u64')}"
        case Wanted.POSITION:
            return f"a position, [{POSITION}, account, number]"
        case Wanted.END:
            return f"the end of the message: it holds as many {kind}s as are taken at once"
        case _:
            return describe_wanted_item(fault)


def describe_wanted_item(fault: Fault) -> str:
    layout = LAYOUTS[fault.number]
    name = layout.message.name
    if fault.wanted is Wanted.LENGTH:
        least, most = LEADING + layout.required, LEADING + len(layout.items)
        return f"{least if least == most else f'{least} .. {most}'} elements of {name}"
    item = layout.items[fault.item]
    match fault.wanted:
        case Wanted.INTEGER:
            return f"{name}.{item.name}, {describe_range(item.kind)}"
        case Wanted.NAME:
            return (
                f"{name}.{item.name}, a string of at most {schema.MAX_NAME_BYTES} bytes of UTF-8 "
                "without zero bytes"
            )
        case Wanted.BRACKETS:
            return f"{name}.{item.name}, an array of at most {schema.MAX_BRACKETS} brackets"
        case Wanted.BRACKET:
            return f"a bracket of {name}, [floor_atoms, maintenance_ppm, initial_ppm]"
        case Wanted.ORDERS:
            return f"{name}.{item.name}, an array of at most {schema.MAX_LIST_ORDERS} orders"
        case Wanted.ORDER:
            least, most = ORDER_LAYOUT.required, len(ORDER_LAYOUT.items)
            return f"{name}.{item.name}[{fault.entry}], an array of {least} .. {most} elements"
        case Wanted.ORDER_INTEGER:
            part_of = ORDER_LAYOUT.items[fault.part]
            return (
                f"{name}.{item.name}[{fault.entry}].{part_of.name}, {describe_range(part_of.kind)}"
            )
        case _:
            part = ("floor_atoms", "maintenance_ppm", "initial_ppm")[fault.part]
            return f"{part} of a bracket of {name}, {describe_range(BRACKET_KINDS[fault.part])}"


def describe_range(kind: str) -> str:
    lowest, highest = integer_range(kind)
    return f"{lowest} .. {highest}"


def describe_value(payload: bytes, position: int) -> str:
    """What the msgpack value at ``position`` is, for an error message."""
    if position >= len(payload):
        return "the end of the message"
    head = payload[position]
    if head <= 0x7F or head >= 0xE0:
        return f"the integer {head if head <= 0x7F else head - 0x100}"
    if 0xCC <= head <= 0xD3:
        size = 1 << (head & 3)
        raw = payload[position + 1 : position + 1 + size]
        value = int.from_bytes(raw, "big", signed=head >= 0xD0)
        return f"the integer {value}" if len(raw) == size else "an integer that is cut short"
    if head <= 0xBF:
        return describe_sized(head)
    if head in SIZED_HEADS:
        what, size = SIZED_HEADS[head]
        raw = payload[position + 1 : position + 1 + size]
        length = int.from_bytes(raw, "big")
        return f"{what} of {length}" if len(raw) == size else f"{what} that is cut short"
    return OTHER_HEADS.get(head, "an extension")


def describe_sized(head: int) -> str:
    if head <= 0x8F:
        return f"a map of {head & 0x0F}"
    return f"an array of {head & 0x0F}" if head <= 0x9F else f"a string of {head & 0x1F}"


SIZED_HEADS = {
    0xC4: ("binary data", 1),
    0xC5: ("binary data", 2),
    0xC6: ("binary data", 4),
    0xD9: ("a string", 1),
    0xDA: ("a string", 2),
    0xDB: ("a string", 4),
    0xDC: ("an array", 2),
    0xDD: ("an array", 4),
    0xDE: ("a map", 2),
    0xDF: ("a map", 4),
}
OTHER_HEADS = {
    0xC0: "nil",
    0xC1: "the byte 0xc1, which msgpack does not use",
    0xC2: "false",
    0xC3: "true",
    0xCA: "a float",
    0xCB: "a float",
}
