"""The page of what questions are answered with: every view and its fields, with the comments of their definition."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator

import msgspec

from exchange.protocol import views

ORIGIN = "GENERATED from exchange/protocol/views.py by python -m exchange.protocol.generate: edit the definitions"
INTRODUCTION = """\
What questions are answered with ([protocol](protocol.md#questions)). A view is a msgpack map with the fields below by
name; one that is said to be an array comes as an array in their order. All numbers are integers in the unit that the
name ends in. New fields may come in later versions: read by name, and ignore what you do not know.
"""
#: Which question has it, and where in the answer.
ASKED_BY = {
    "AccountView": "`get_account`: the answer itself",
    "PositionView": "`get_positions`: each of `positions`",
    "OrderView": "`get_open_orders`: each of `open_orders`",
    "CollateralView": "`get_collateral`: each of `collateral`",
    "AssetView": "`get_assets`: each of `assets`",
    "LevelView": "`get_book`: each of `bids` and `asks`",
    "SymbolView": "`get_symbols`: each of `symbols`",
    "PriceView": "each of `prices` of a symbol",
    "FundingView": "`funding` of a symbol",
}
COMMENT = re.compile(r"^\s+(\w+): [^#]+# (.+)$")


def comments_of(view: type) -> dict[str, str]:
    """What stands behind each field in its definition.

    >>> comments_of(views.PriceView)
    {'source': '0: the index; from 1: an external feed'}
    """
    found = (COMMENT.match(line) for line in inspect.getsource(view).splitlines())
    return {match[1]: match[2] for match in found if match is not None}


def kind_of(field: msgspec.structs.FieldInfo) -> str:
    """How a field travels."""
    kind = (
        field.type
        if isinstance(field.type, str)
        else getattr(field.type, "__name__", str(field.type))
    )
    names = {"int": "integer", "bool": "boolean", "str": "string"}
    return names.get(kind, "array" if "list" in str(field.type) else "map or nil")


def sections() -> Iterator[str]:
    for name, asked_by in ASKED_BY.items():
        view = getattr(views, name)
        comments = comments_of(view)
        array = " An array." if view.__struct_config__.array_like else ""
        (prose, *_) = ast.get_docstring(ast.parse(inspect.getsource(view)).body[0]).split("\n\n")  # type: ignore[arg-type, union-attr]
        yield f"## {name}\n\n{asked_by}. {prose}{array}\n\n| field | | |\n|---|---|---|"
        yield "\n".join(
            f"| `{field.name}` | {kind_of(field)} | {comments.get(field.name, '')} |"
            for field in msgspec.structs.fields(view)
        )
        yield ""


def render_views_md() -> str:
    """The page."""
    return "\n".join(["# Views", "", f"<!-- {ORIGIN} -->", "", INTRODUCTION, *sections()])
