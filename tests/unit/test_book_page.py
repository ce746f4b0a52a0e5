"""The page about the book: its sizes are those of the structs, its arithmetic is right."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-the-book-works.md").read_text(encoding="utf-8")
CORE = (ROOT / "native" / "core.pxd").read_text(encoding="utf-8")
STRUCT = re.compile(r"^cdef struct (\w+):.*\n((?:    .*\n|\n(?=    ))+)", re.MULTILINE)
FIELD = re.compile(r"^    (\w+)(\*{0,2}) (\w+)(?:\[(\d+)\])?", re.MULTILINE)
SIZES = re.findall(r"^\| `(\w+)` \| (\d+) \|", PAGE, re.MULTILINE)
PRICES = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)


def read_structs(text: str) -> dict[str, type[ctypes.Structure]]:
    """The structs of a room as C lays them out, by name."""
    found: dict[str, type[ctypes.Structure]] = {}
    for name, body in STRUCT.findall(text):
        fields = []
        for kind, stars, field, length in FIELD.findall(body):
            if stars:
                c_type: type = ctypes.c_void_p
            elif kind in found:
                c_type = found[kind]
            else:
                c_type = getattr(ctypes, "c_" + kind.removesuffix("_t"), None) or {
                    "bint": ctypes.c_int
                }.get(kind)
            if c_type is None:  # a struct of another room: what holds it is not asked for
                break
            fields.append((field, c_type * int(length) if length else c_type))
        else:
            found[name] = type(name, (ctypes.Structure,), {"_fields_": fields})
    return found


STRUCTS = read_structs(CORE)


@pytest.mark.parametrize(("name", "bytes_told"), SIZES)
def test_the_page_tells_the_size_of(name: str, bytes_told: str) -> None:
    assert ctypes.sizeof(STRUCTS[name]) == int(bytes_told)


def test_the_page_tells_sizes_and_prices() -> None:
    assert {"Order", "OrderMore", "Level", "Block", "Leaf", "Branch"} <= {name for name, _ in SIZES}
    assert len(PRICES) == 4


def test_a_struct_is_as_large_as_c_makes_it() -> None:
    text = (
        "cdef struct A:\n    int32_t a   # four, and four unused\n    int64_t b\n    uint8_t c[3]\n"
    )
    assert ctypes.sizeof(read_structs(text)["A"]) == 24


@pytest.mark.parametrize(("price", "block", "bit"), PRICES)
def test_the_block_and_bit_of(price: str, block: str, bit: str) -> None:
    assert divmod(int(price), 64) == (int(block), int(bit))
