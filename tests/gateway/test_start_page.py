"""The code of docs/start.md runs against a node, line by line, and gives what its comments say."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import exchange

PAGE = (Path(__file__).parents[2] / "docs" / "start.md").read_text("utf-8")
BLOCKS = [
    block
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    if "from exchange import" in block
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


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_code_of_the_page_does_what_it_says(
    node, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "Client", lambda account: node.client(account))
    monkeypatch.setattr(exchange, "AdminClient", node.admin_client)
    names: dict[str, object] = {}
    compared = 0
    for line in BLOCKS[number].splitlines():
        wanted = literal(line)
        if wanted is None:
            exec(line, names)
        else:
            compared += 1
            assert eval(line, names) == ast.literal_eval(wanted), line
    assert compared == (0, 5)[number]


def test_the_page_has_code() -> None:
    assert len(BLOCKS) == 2
    assert "entry_with_exits" in BLOCKS[1]
