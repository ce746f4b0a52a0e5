"""What ``import exchange`` offers is there, complete, and costs nothing until it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import exchange


@pytest.mark.parametrize("name", exchange.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(exchange, name) is not None
    assert name in dir(exchange)


def test_the_lazy_names_are_those_that_type_checkers_see() -> None:
    tree = ast.parse(Path(exchange.__file__).read_text())
    seen = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("exchange.")
        for alias in node.names
    }
    assert seen == exchange._MODULE_OF
    assert sorted([*seen, "__version__"]) == exchange.__all__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Exchange'"):
        exchange.Exchange  # noqa: B018


def test_importing_the_package_imports_none_of_its_rooms() -> None:
    code = "import sys, exchange; print([name for name in sys.modules if name.startswith('exchange.')])"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(exchange.__file__).parents[1],
    )
    assert ran.stdout.strip() == "[]"
