"""Writes from the message table what must not be written twice: C structs, Python Structs and reference pages.

    python -m exchange.protocol.generate            # writes the files that are out of date
    python -m exchange.protocol.generate --check    # writes nothing; exit status 1 if any is out of date

Each ``render_*`` function is pure: table in, text of one file out.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from pathlib import Path

from exchange.protocol import schema
from exchange.protocol.layout import COUNTED
from exchange.protocol.life_page import render_order_life_md, render_order_life_svg
from exchange.protocol.pool_page import render_pool_life_md, render_pool_life_svg
from exchange.protocol.schema import Field, Message
from exchange.protocol.views_page import render_views_md

ROOT = Path(__file__).resolve().parents[2]
ORIGIN = (
    "GENERATED from exchange/protocol/{codes,schema}.py by python -m exchange.protocol.generate: "
    "edit the table"
)
LINE_LENGTH = 100

#: Bounds that the core multiplies with: C integers of 64 bits.
WIDE_BOUNDS = (
    "PPM",
    "MAX_PRICE_TICKS",
    "MAX_QTY_LOTS",
    "MAX_AMOUNT_ATOMS",
    "MAX_TIMEOUT_MS",
    "MAX_EXPOSURE_ATOMS",
    "MAX_POLICY_NS",
    "MAX_WINDOW_NS",
    "MIN_SAMPLE_NS",
    "MAX_IMPACT_LEVELS",
    "PPB",
)
#: Bounds that may be the length of a C array.
NARROW_BOUNDS = (
    "MAX_ASSETS",
    "MAX_BRACKETS",
    "MAX_LIST_ORDERS",
    "MAX_NAME_BYTES",
    "MAX_FEEDS",
    "WINDOW_PARTS",
    "MAX_ACCOUNT",
    "MAX_SYMBOL",
    "MAX_MARKET_LEVELS",
    "MAX_FOK_ORDERS",
    "REMEMBERED_ORDERS",
    "FIRST_EVENT",
)


def upper_snake(class_name: str) -> str:
    """The constant prefix of an enum class.

    >>> upper_snake("RejectReason")
    'REJECT_REASON'
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "_", class_name).upper()


# ------------------------------------------------------------------------------------- native/wire.pxd


def render_wire_pxd() -> str:
    """The wire definitions of the matching core, for ``from native.wire cimport ...``."""
    blocks = [
        [
            f"# {ORIGIN}",
            "# Records and codes of the table as packed C structs and constants.",
            "",
            "from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t",
        ],
        c_wide_bounds(),
        c_enum([(name, getattr(schema, name)) for name in NARROW_BOUNDS]),
        c_enum([(f"COMMAND_{m.name.upper()}", m.number) for m in schema.COMMANDS]),
        c_enum([(f"EVENT_{m.name.upper()}", m.number) for m in schema.EVENTS]),
        *(c_enum(c_code(enum)) for enum in schema.ENUMS),
        [
            "cdef packed struct wire_bracket:",
            "    int64_t floor_atoms",
            "    uint32_t maintenance_ppm",
            "    uint32_t initial_ppm",
        ],
        [
            "# What an order is: all that follows the header in place_order, and each entry of place_orders.",
            *c_struct("order", schema.ORDER_FIELDS),
        ],
        c_struct("command_header", schema.COMMAND_HEADER.fields),
        c_struct("event_header", schema.EVENT_HEADER.fields),
        *(block for m in schema.COMMANDS for block in c_command(m)),
        *(c_struct(m.name, schema.EVENT_HEADER.fields + m.fields) for m in schema.EVENTS),
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def c_wide_bounds() -> list[str]:
    # A Cython enum is a C int; these do not fit one, or overflow one as soon as they are multiplied.
    return [
        "cdef extern from *:",
        '    """',
        *(f"    #define WIRE_{name} ((int64_t){getattr(schema, name)}LL)" for name in WIDE_BOUNDS),
        '    """',
        *(f'    const int64_t {name} "WIRE_{name}"' for name in WIDE_BOUNDS),
    ]


def c_code(enum: type[IntEnum]) -> list[tuple[str, int]]:
    return [(f"{upper_snake(enum.__name__)}_{member.name}", member.value) for member in enum]


def c_enum(members: Iterable[tuple[str, int]]) -> list[str]:
    return ["cdef enum:", *(f"    {name} = {value}" for name, value in members)]


def c_command(message: Message) -> list[list[str]]:
    """The struct of a command; where it ends with a list, also that of the part in front of the list."""
    fields = schema.COMMAND_HEADER.fields + message.fields
    if not has_orders(message):
        return [c_struct(message.name, fields)]
    return [
        [
            f"# {message.name} without its list, and with the longest.  A record ends with its last order: of",
            f"# {fields[-1].name} there is what order_count says, so the struct is never copied as a whole.",
            *c_struct(f"{message.name}_head", fields[:-1]),
        ],
        c_struct(message.name, fields),
    ]


def c_struct(name: str, fields: Iterable[Field]) -> list[str]:
    return [f"cdef packed struct wire_{name}:", *(f"    {c_field(f)}" for f in fields)]


C_LENGTHS = {
    "name": "[MAX_NAME_BYTES]",
    "brackets": "[MAX_BRACKETS]",
    "orders": "[MAX_LIST_ORDERS]",
}


def c_field(field: Field) -> str:
    return f"{schema.KINDS[field.kind][1]} {field.name}{C_LENGTHS.get(field.kind, '')}"


# ----------------------------------------------------------------------- exchange/protocol/messages.py

MESSAGES_HEAD = '''\
"""The commands and events of the exchange as typed, immutable objects: what Python code handles.

{origin}.

Every number is an integer in the unit that its name ends in; codes (``side``, ``reason``) are plain
integers that compare equal to the members of the enums in ``schema``.

>>> PlaceOrder(account=7, symbol=1, side=Side.BUY, price_ticks=100, qty_lots=3).order_type
0
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import msgspec

from exchange.protocol.schema import (
{enums}
)

#: (notional floor in atoms, maintenance ppm, initial ppm); initial 0 reads as the maintenance rate.
Bracket: TypeAlias = tuple[int, int, int]


class OrderEntry(msgspec.Struct, {options}):
    """One order of ``PlaceOrders``: what ``PlaceOrder`` says of an order."""

{order_fields}


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What commands and events have in common: the number of their type in the table."""

    number: ClassVar[int] = 0
'''

PYTHON_TYPES = {
    "name": "str",
    "brackets": "tuple[Bracket, ...]",
    "orders": "tuple[OrderEntry, ...]",
}
STRUCT_OPTIONS = "frozen=True, kw_only=True, gc=False"


def render_messages_py() -> str:
    """One frozen Struct per command and event."""
    blocks = [
        MESSAGES_HEAD.format(
            origin=ORIGIN,
            enums="\n".join(f"    {name}," for name in sorted(e.__name__ for e in schema.ENUMS)),
            options=STRUCT_OPTIONS,
            order_fields="\n".join(map(python_field, schema.ORDER_FIELDS)),
        ),
        *(python_struct(m, command_fields(m)) for m in schema.COMMANDS),
        *(python_struct(m, event_fields(m)) for m in schema.EVENTS),
        python_union("Command", schema.COMMANDS),
        python_union("Event", schema.EVENTS),
        python_exports(),
    ]
    return "\n\n".join(blocks)


def command_fields(message: Message) -> list[Field]:
    """Account first, then the table's fields, then what only the sequencer fills in."""
    _, _, account, *stamps = schema.COMMAND_HEADER.fields
    return [
        zero_default(account),
        *(f for f in message.fields if f.name not in COUNTED),
        *(zero_default(f) for f in stamps),
    ]


def event_fields(message: Message) -> list[Field]:
    _, _, account, sequence = schema.EVENT_HEADER.fields
    fields = [f for f in message.fields if f.name not in COUNTED]
    return [zero_default(account), zero_default(sequence), *fields]


def zero_default(field: Field) -> Field:
    return Field(field.name, field.kind, field.prose, default=0)


def python_struct(message: Message, fields: Iterable[Field]) -> str:
    return "\n".join(
        [
            f"class {message.class_name}(Message, {STRUCT_OPTIONS}):",
            *python_docstring(message.prose),
            "",
            f"    number: ClassVar[int] = {message.number}",
            *(python_field(f) for f in fields),
            "",
        ]
    )


def python_docstring(prose: str) -> list[str]:
    if len(prose) + 10 <= LINE_LENGTH:
        return [f'    """{prose}"""']
    lines = textwrap.wrap('"""' + prose, LINE_LENGTH - 7)
    return [*(f"    {line}" for line in lines), '    """']


def python_field(field: Field) -> str:
    declaration = f"    {field.name}: {PYTHON_TYPES.get(field.kind, 'int')}"
    if field.default is not None:
        declaration += f" = {field.default!r}"
    beside = f"{declaration}  # {field.prose}"
    return beside if len(beside) <= LINE_LENGTH else f"    # {field.prose}:\n{declaration}"


def python_union(name: str, messages: Sequence[Message]) -> str:
    first, *others = (m.class_name for m in messages)
    return "\n".join(
        [f"{name}: TypeAlias = (", f"    {first}", *(f"    | {o}" for o in others), ")", ""]
    )


def python_exports() -> str:
    messages = schema.COMMANDS + schema.EVENTS
    names = [m.class_name for m in messages] + [e.__name__ for e in schema.ENUMS]
    return "\n".join(
        [
            *python_class_table("COMMAND_CLASSES", "Command", schema.COMMANDS),
            *python_class_table("EVENT_CLASSES", "Event", schema.EVENTS),
            "",
            "__all__ = [",
            *(f'    "{n}",' for n in sorted([*names, *EXTRA_EXPORTS], key=constants_first)),
            "]",
            "",
        ]
    )


def constants_first(name: str) -> tuple[bool, str]:
    return not name.isupper(), name


EXTRA_EXPORTS = (
    "Bracket",
    "Command",
    "COMMAND_CLASSES",
    "Event",
    "EVENT_CLASSES",
    "Message",
    "OrderEntry",
)


def python_class_table(name: str, union: str, messages: Sequence[Message]) -> list[str]:
    return [
        f"{name}: dict[int, type[{union}]] = {{",
        *(f"    {m.number}: {m.class_name}," for m in messages),
        "}",
    ]


# ------------------------------------------------------------------------------------- reference pages

MESSAGES_INTRODUCTION = f"""\
All numbers are integers in the unit that the name ends in: `_ticks` and `_lots` in steps of the symbol,
`_atoms` in 10^-8 of the settlement asset, `_ppm` in millionths, `_ns` in nanoseconds.

**On the wire** a command is one msgpack array `[type, request_id, account, field...]`, an event one array
`[type, request_id, account, sequence, field...]`, with the fields in the order of the tables below. Any
number of arrays may stand one after the other in one ZeroMQ message. Trailing fields that equal their
default may be left out of a command. `name` is a string of at most {schema.MAX_NAME_BYTES} bytes of UTF-8
without zero bytes, `brackets` an array of at most {schema.MAX_BRACKETS} arrays of three integers;
`bracket_count` is its length and does not travel. `orders` is an array of at most {schema.MAX_LIST_ORDERS}
arrays, each with the fields of `place_order` from `symbol` on, of which again trailing ones may be left out;
`order_count` is its length and does not travel. The `request_id` is the client's own number (64 bits,
unsigned); in an event that answers no command of the account it concerns, it is 0.

**In the journal** a command is a packed little-endian record: the header and then its fields. In a record
`orders` is as long as `order_count` says, {schema.ORDER_BYTES} bytes an order; all other records have one size.
"""

CODES_INTRODUCTION = """\
Numbers are part of the journal and are never reused. Scenario files, the command line and error messages
use the names as they are written here.
"""


def render_messages_md() -> str:
    """The page of all commands and events."""
    return "\n".join(
        [
            "# Messages",
            "",
            f"<!-- {ORIGIN} -->",
            "",
            MESSAGES_INTRODUCTION,
            "## Headers of records",
            "",
            *md_message(schema.COMMAND_HEADER, "Command header", schema.COMMAND_HEADER.prose),
            *md_message(schema.EVENT_HEADER, "Event header", schema.EVENT_HEADER.prose),
            "## Commands",
            "",
            *(
                line
                for m in schema.COMMANDS
                for line in md_message(m, md_title(m), md_command_prose(m))
            ),
            "## Events",
            "",
            *(
                line
                for m in schema.EVENTS
                for line in md_message(m, md_title(m), md_event_prose(m))
            ),
        ]
    )


def md_title(message: Message) -> str:
    return f"{message.number} {message.name}"


def md_command_prose(message: Message) -> str:
    sender = "the operator (admin socket)" if message.sender == "admin" else "a trader"
    more = f" and {schema.ORDER_BYTES} more for each order" if has_orders(message) else ""
    return f"{message.prose} Sent by {sender}; {message.size} bytes{more} as a record."


def has_orders(message: Message) -> bool:
    return any(field.kind == "orders" for field in message.fields)


def md_event_prose(message: Message) -> str:
    audience = "Public" if message.public else "Seen by its account"
    return f"{message.prose} {audience}; {message.size} bytes as a record."


def md_message(message: Message, title: str, prose: str) -> list[str]:
    if not message.fields:
        return [f"### {title}", "", f"{prose} No fields.", ""]
    return [
        f"### {title}",
        "",
        prose,
        "",
        "| field | type | default | meaning |",
        "|---|---|---|---|",
        *(
            f"| `{f.name}` | {f.kind} | {md_default(f)} | {f.prose}{md_enum(f)} |"
            for f in message.fields
        ),
        "",
    ]


def md_default(field: Field) -> str:
    if field.default is None:
        return ""
    return f"{field.default:,}" if isinstance(field.default, int) else str(field.default)


def md_enum(field: Field) -> str:
    return f" ([codes](codes.md#{field.enum.__name__.lower()}))" if field.enum else ""


def render_codes_md() -> str:
    """The page of all codes."""
    return "\n".join(
        [
            "# Codes",
            "",
            f"<!-- {ORIGIN} -->",
            "",
            CODES_INTRODUCTION,
            *(line for enum in schema.ENUMS for line in md_code(enum)),
        ]
    )


def md_code(enum: type[IntEnum]) -> list[str]:
    with_prose = enum is schema.RejectReason
    return [
        f"## {enum.__name__}",
        "",
        " ".join((enum.__doc__ or "").split()),
        "",
        "| number | name | meaning |" if with_prose else "| number | name |",
        "|---|---|---|" if with_prose else "|---|---|",
        *(md_code_row(member, with_prose) for member in enum),
        "",
    ]


def md_code_row(member: IntEnum, with_prose: bool) -> str:
    row = f"| {member.value} | `{member.name.lower()}` |"
    return f"{row} {schema.REJECT_PROSE[schema.RejectReason(member)]} |" if with_prose else row


# -------------------------------------------------------------------------------------------- the files

FILES: dict[str, Callable[[], str]] = {
    "native/wire.pxd": render_wire_pxd,
    "exchange/protocol/messages.py": render_messages_py,
    "docs/reference/messages.md": render_messages_md,
    "docs/reference/codes.md": render_codes_md,
    "docs/reference/order-life.md": render_order_life_md,
    "docs/reference/order-life.svg": render_order_life_svg,
    "docs/reference/views.md": render_views_md,
    "docs/reference/pool-life.md": render_pool_life_md,
    "docs/reference/pool-life.svg": render_pool_life_svg,
}


def outdated(root: Path = ROOT) -> list[str]:
    """The generated files under ``root`` that do not say what the table says."""
    return [name for name, render in FILES.items() if not is_current(root / name, render())]


def is_current(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def write(names: Iterable[str], root: Path = ROOT) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(FILES[name](), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m exchange.protocol.generate", description=__doc__
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; status 1 if a file is out of date"
    )
    options = parser.parse_args(arguments)
    names = outdated()
    for name in names:
        print(
            f"{name}: {'out of date, run python -m exchange.protocol.generate' if options.check else 'written'}"
        )
    if options.check:
        return 1 if names else 0
    write(names)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
