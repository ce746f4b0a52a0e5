"""The message table keeps its promises, and everything drawn from it is up to date."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exchange.protocol import generate, layout, messages, schema
from exchange.protocol.records import COMMAND_CODECS, EVENT_CODECS, RecordCodec
from exchange.reference.events import EventWriter

ALL_MESSAGES = schema.COMMANDS + schema.EVENTS
CODECS: dict[int, RecordCodec[Any]] = {**COMMAND_CODECS, **EVENT_CODECS}
WIRE_PXD = (generate.ROOT / "native" / "wire.pxd").read_text(encoding="utf-8")
C_SIZES = {
    "uint8_t": 1,
    "uint16_t": 2,
    "uint32_t": 4,
    "int32_t": 4,
    "uint64_t": 8,
    "int64_t": 8,
    "char": 1,
    "wire_bracket": 16,
    "wire_order": 74,
}

LIST_BYTES = schema.MAX_LIST_ORDERS * schema.ORDER_BYTES


def by_name(message: schema.Message) -> str:
    return message.name


def fields_in_c(name: str) -> list[tuple[str, str, int]]:
    """Type, name and length of each field of the C struct, read from the generated text."""
    block = re.search(rf"cdef packed struct wire_{name}:\n((?:    .+\n)+)", WIRE_PXD)
    assert block is not None, f"wire_{name} is missing"
    fields = re.findall(r"    (\w+) (\w+)(?:\[(\w+)\])?\n", block.group(1))
    return [
        (c_type, name, getattr(schema, length) if length else 1) for c_type, name, length in fields
    ]


def size_in_c(name: str) -> int:
    return sum(C_SIZES[c_type] * length for c_type, _, length in fields_in_c(name))


def test_generated_files_say_what_the_table_says() -> None:
    assert generate.outdated() == []


def test_check_fails_on_an_outdated_file_and_writing_mends_it(tmp_path: Path) -> None:
    generate.write(generate.FILES, tmp_path)
    assert generate.outdated(tmp_path) == []
    (tmp_path / "native" / "wire.pxd").write_text("cdef struct old: pass\n", encoding="utf-8")
    assert generate.outdated(tmp_path) == ["native/wire.pxd"]
    generate.write(["native/wire.pxd"], tmp_path)
    assert generate.outdated(tmp_path) == []


def test_check_of_the_command_line_is_quiet_and_succeeds_when_all_is_current(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert generate.main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_no_two_messages_share_a_number_or_a_name() -> None:
    assert len({m.number for m in ALL_MESSAGES}) == len(ALL_MESSAGES)
    assert len({m.name for m in ALL_MESSAGES}) == len(ALL_MESSAGES)


def test_commands_are_numbered_below_the_first_event_and_events_from_it() -> None:
    assert all(0 < m.number < schema.FIRST_EVENT for m in schema.COMMANDS)
    assert all(schema.FIRST_EVENT <= m.number < 256 for m in schema.EVENTS)


@pytest.mark.parametrize("enum", schema.ENUMS, ids=lambda enum: enum.__name__)
def test_no_two_members_of_a_code_share_a_number(enum: type[IntEnum]) -> None:
    assert len(enum.__members__) == len(list(enum))
    assert (enum.__doc__ or "").strip()


def test_reject_reasons_stand_in_the_order_of_their_numbers_since_that_is_the_precedence() -> None:
    numbers = [reason.value for reason in schema.RejectReason]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1


@pytest.mark.parametrize("reason", schema.RejectReason, ids=lambda reason: reason.name.lower())
def test_every_reject_reason_is_explained_in_the_table_and_on_the_codes_page(
    reason: schema.RejectReason,
) -> None:
    prose = schema.REJECT_PROSE[reason]
    assert len(prose.split()) >= 3
    assert f"| {reason.value} | `{reason.name.lower()}` | {prose} |" in generate.render_codes_md()


@pytest.mark.parametrize("message", ALL_MESSAGES, ids=by_name)
def test_every_message_and_field_is_explained_on_the_messages_page(message: schema.Message) -> None:
    page = generate.render_messages_md()
    assert message.prose in page
    assert all(f.prose and f"| `{f.name}` | {f.kind} |" in page for f in message.fields)


@pytest.mark.parametrize("message", ALL_MESSAGES, ids=by_name)
def test_size_is_the_same_in_table_c_struct_record_and_template(message: schema.Message) -> None:
    in_c = size_in_c(message.name) - (LIST_BYTES if message.name == "place_orders" else 0)
    in_record = CODECS[message.number].layout.size
    in_template = len(layout.LAYOUTS[message.number].template)
    assert in_c == in_record == in_template == message.size


@pytest.mark.parametrize("message", ALL_MESSAGES, ids=by_name)
def test_c_struct_has_the_header_and_then_the_fields_in_the_order_of_the_table(
    message: schema.Message,
) -> None:
    is_event = message.number >= schema.FIRST_EVENT
    header = schema.EVENT_HEADER if is_event else schema.COMMAND_HEADER
    wanted = [(schema.KINDS[f.kind][1], f.name) for f in header.fields + message.fields]
    assert [(c_type, name) for c_type, name, _ in fields_in_c(message.name)] == wanted


def test_an_order_of_a_list_is_in_c_what_follows_the_header_in_place_order() -> None:
    header = len(schema.COMMAND_HEADER.fields)
    assert fields_in_c("order") == fields_in_c("place_order")[header:]
    assert size_in_c("order") == C_SIZES["wire_order"] == schema.ORDER_BYTES


def test_a_list_of_orders_ends_its_record_and_its_count_stands_right_in_front_of_it() -> None:
    *head, orders = fields_in_c("place_orders")
    assert orders == ("wire_order", "orders", schema.MAX_LIST_ORDERS)
    assert head[-1] == ("uint8_t", "order_count", 1)
    assert fields_in_c("place_orders_head") == head


@pytest.mark.parametrize("message", schema.EVENTS, ids=by_name)
def test_the_reference_engine_writes_an_event_as_its_record(message: schema.Message) -> None:
    values: dict[str, Any] = {f.name: i for i, f in enumerate(message.fields, 1)}
    for field in message.fields:
        if field.kind == "name":
            values[field.name] = b"BTC"
        elif field.kind == "brackets":
            values |= {field.name: tuple(range(3 * schema.MAX_BRACKETS)), "bracket_count": 16}
    writer = EventWriter()
    writer.sequence = 9
    writer.write(message.name, 7, **values)
    as_object = {n: v.decode() if isinstance(v, bytes) else v for n, v in values.items()}
    if "brackets" in as_object:
        numbers = iter(as_object["brackets"])
        as_object["brackets"] = tuple(zip(numbers, numbers, numbers, strict=True))
        del as_object["bracket_count"]
    event = messages.EVENT_CLASSES[message.number](account=7, sequence=9, **as_object)
    assert writer.take() == EVENT_CODECS[message.number].pack(event)


@pytest.mark.parametrize("message", ALL_MESSAGES, ids=by_name)
def test_typed_class_carries_number_prose_and_defaults_of_the_table(
    message: schema.Message,
) -> None:
    struct_class = {**messages.COMMAND_CLASSES, **messages.EVENT_CLASSES}[message.number]
    assert struct_class.__name__ == message.class_name
    assert struct_class.number == message.number
    assert " ".join((struct_class.__doc__ or "").split()) == " ".join(message.prose.split())
    fields = {f.name: f for f in msgspec.structs.fields(struct_class)}
    assert next(iter(fields)) == "account"
    for field in message.fields:
        if field.name not in layout.COUNTED:
            assert fields[field.name].required == (field.default is None)


def test_exposure_limits_and_deposits_stay_inside_64_bits_together() -> None:
    assert schema.MAX_EXPOSURE_ATOMS + schema.MAX_AMOUNT_ATOMS < 1 << 63
