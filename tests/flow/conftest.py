"""The command ``exchange replay-l3`` as a function, and where real recordings lie if there are any."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exchange.cli import main

sys.path.insert(0, str(Path(__file__).parent))  # for flow_files, beside the tests

Replayed = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def replay_l3(capsys) -> Replayed:
    """Runs ``exchange replay-l3 ... --json``; returns the exit code and the report."""

    def run(*arguments: object) -> tuple[int, dict[str, Any]]:
        code = main(["replay-l3", *map(str, arguments), "--json", "--quiet"])
        return code, json.loads(capsys.readouterr().out)

    return run


def recordings() -> Path:
    """The folder of real order-level recordings: EXCHANGE_FLOW_DATA, or shared/data/l3 beside the project."""
    given = os.environ.get("EXCHANGE_FLOW_DATA")
    if given:
        return Path(given)
    beside = (folder / "shared" / "data" / "l3" for folder in Path(__file__).parents)
    return next((folder for folder in beside if folder.is_dir()), Path("no-recordings"))


@pytest.fixture
def recording() -> Callable[[str], Path]:
    """Path of a real recording; the test is skipped where it is absent."""

    def find(name: str) -> Path:
        path = recordings() / name
        if not path.exists():
            pytest.skip(f"{name} is not here: real recordings may not be shipped")
        return path

    return find
