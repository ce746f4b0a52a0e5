"""Every story of tests/scenarios, told to both engines: what it expects comes, and the engines answer alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from exchange.engine import ENGINE_KINDS
from exchange.sim.scenario import ScenarioResult, load_scenario, run_scenario

SCENARIOS = Path(__file__).parent.parent / "scenarios"
FILES = sorted(SCENARIOS.glob("*.yaml"))

results: dict[tuple[str, str], ScenarioResult] = {}


def told(path: Path, kind: str) -> ScenarioResult:
    """The story's result, told once to an engine of this kind for all tests of this module."""
    key = (path.name, kind)
    if key not in results:
        results[key] = run_scenario(load_scenario(path), kind)
    return results[key]


@pytest.mark.parametrize("kind", ENGINE_KINDS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_story_comes_out_as_told(path: Path, kind: str) -> None:
    result = told(path, kind)
    assert result.passed, "\n".join(map(str, result.failures))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_engines_answer_a_story_with_the_same_bytes(path: Path) -> None:
    native, reference = (told(path, kind) for kind in ENGINE_KINDS)
    assert native.commands == reference.commands
    assert native.events == reference.events
    assert native.digest == reference.digest


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_story_has_the_name_of_its_file_and_says_what_it_tests(path: Path) -> None:
    scenario = load_scenario(path)
    text = path.read_text(encoding="utf-8")
    assert scenario.name == path.stem
    assert "\ntests:" in text
    assert scenario.steps
    for wanted in ("expect:", "reject:"):
        if wanted in text:
            return
    pytest.fail("the story expects nothing: wanted a step expect, or one that names reject")


def test_stories_are_there() -> None:
    assert len(FILES) > 100


def test_every_case_that_lies_beside_the_project_is_told_here() -> None:
    """Other exchanges' published cases, where their folder is there, word for word."""
    beside = (folder / "shared" / "scenarios" for folder in Path(__file__).parents)
    for folder in beside:
        for path in folder.glob("*.yaml"):
            assert (SCENARIOS / path.name).read_text("utf-8") == path.read_text("utf-8"), path.name
