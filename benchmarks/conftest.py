"""Workloads for the benchmarks, made once a run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import workloads

from exchange.bench import core

MESSAGES = 100_000


@pytest.fixture(scope="session", params=sorted(workloads.SHAPES))
def workload(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> core.Workload:
    """A workload whose answers the core gives with and without margin."""
    path = tmp_path_factory.mktemp("workload") / f"{request.param}.bin"
    wanted = workloads.write(request.param, MESSAGES, 1, path)
    prepared = core.load_workload(path, 256)
    for margin in (False, True):
        answers, _ = core.answer_pass(prepared, margin)
        assert {name: wanted[name] for name in wanted if hasattr(answers, name)} == {
            name: getattr(answers, name) for name in wanted if hasattr(answers, name)
        }
    return prepared
