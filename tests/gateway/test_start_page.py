"""The code of pages of docs/ runs against a node, statement by statement, and gives what its comments say."""

from __future__ import annotations

import ast
import doctest
import re
from pathlib import Path

import pytest

import exchange

DOCS = Path(__file__).parents[2] / "docs"
#: page -> how many lines of each of its blocks are compared with their comments.
COMPARED = {"start.md": (0, 5), "what-if.md": (8, 4), "clients.md": (3, 3, 2, 3)}


def blocks(page: str) -> list[str]:
    """The blocks of code that begin anew, with their imports."""
    text = (DOCS / page).read_text("utf-8")
    found = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    return [block for block in found if block.startswith("from exchange import")]


BLOCKS = [
    pytest.param(block, count, id=f"{page}-{number}")
    for page, counts in COMPARED.items()
    for number, (block, count) in enumerate(zip(blocks(page), counts, strict=True))
]


def literal(line: str) -> ast.Expression | None:
    """The literal in a line's comment, which its code gives; None where the comment is prose, or there is none."""
    code, _, comment = line.rpartition("  # ")
    try:
        value = ast.parse(comment.strip(), mode="eval")
        ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return None
    return value if isinstance(ast.parse(code).body[0], ast.Expr) else None


def statements(block: str) -> list[str]:
    """The source of each statement, with the comment that follows it on its last line."""
    lines = block.splitlines()
    return [
        "\n".join(lines[node.lineno - 1 : node.end_lineno])
        for node in ast.parse(block).body
        if node.col_offset == 0
    ]


@pytest.mark.parametrize(("block", "count"), BLOCKS)
def test_the_code_of_the_page_does_what_it_says(
    node, block: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        exchange, "Client", lambda account, **session: node.client(account, **session)
    )
    monkeypatch.setattr(exchange, "AdminClient", node.admin_client)
    names: dict[str, object] = {}
    compared = 0
    for statement in statements(block):
        wanted = literal(statement)
        if wanted is None:
            exec(statement, names)
        else:
            compared += 1
            assert eval(statement, names) == ast.literal_eval(wanted), statement
    assert compared == count


def test_the_page_has_code() -> None:
    assert "entry_with_exits" in blocks("start.md")[1]


def test_the_examples_without_a_node_do_what_they_say() -> None:
    failed, tried = doctest.testfile(str(DOCS / "what-if.md"), module_relative=False)
    assert not failed and tried > 3
