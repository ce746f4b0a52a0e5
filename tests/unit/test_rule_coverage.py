"""Every rule of docs/reference and every reason of rejection is told by a story or by a named test.

A story names its rules under ``rules`` and its reasons in the steps that are refused; a test names them in its name or
docstring.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from exchange.protocol.schema import RejectReason
from exchange.sim.scenario import load_scenario

ROOT = Path(__file__).parents[2]
STORIES = [load_scenario(path) for path in sorted((ROOT / "tests" / "scenarios").glob("*.yaml"))]

FAMILIES = ("UNITS", "MATCH", "ACCT", "MARGIN", "LIQ", "FUND", "ADL", "FUNDING", "MARK", "COLL")
RULE = re.compile(rf"\b(?:{'|'.join(FAMILIES)})-\d\d[a-z]?\b")

#: Told by tests/unit/test_rejections.py alone: it takes a machine without memory.
WITHOUT_STORY = {RejectReason.OUT_OF_CAPACITY}


def documented_rules() -> list[str]:
    """The ids in the reference pages, sorted."""
    pages = sorted((ROOT / "docs" / "reference").glob("*.md"))
    return sorted({rule for page in pages for rule in RULE.findall(page.read_text("utf-8"))})


def named_in_tests() -> str:
    """Names and docstrings of all tests under tests/, in one text."""
    named = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                named.append(f"{node.name}\n{ast.get_docstring(node) or ''}")
    return "\n".join(named)


STORY_RULES = {rule for story in STORIES for rule in story.rules}
STORY_REASONS = {
    str(step.body["reject"]) for story in STORIES for step in story.steps if "reject" in step.body
}
TEST_TEXT = named_in_tests()
TEST_RULES = set(RULE.findall(TEST_TEXT))


@pytest.mark.parametrize("rule", documented_rules())
def test_rule_is_told(rule: str) -> None:
    assert rule in STORY_RULES | TEST_RULES, (
        f"no story with rules: [{rule}], and no test that names it"
    )


@pytest.mark.parametrize("reason", RejectReason, ids=lambda reason: reason.name.lower())
def test_reason_is_told(reason: RejectReason) -> None:
    if reason in WITHOUT_STORY:
        assert reason.name in TEST_TEXT
    else:
        assert reason.name.lower() in STORY_REASONS, (
            f"no story has a step with reject: {reason.name.lower()}"
        )


@pytest.mark.parametrize(
    "reason", sorted(set(RejectReason) - WITHOUT_STORY), ids=lambda reason: reason.name.lower()
)
def test_reason_has_a_story_of_its_name(reason: RejectReason) -> None:
    wanted = f"reject-{reason.name.lower().replace('_', '-')}"
    story = next((story for story in STORIES if story.name == wanted), None)
    assert story is not None, f"no story {wanted}.yaml"
    assert any(step.body.get("reject") == reason.name.lower() for step in story.steps)


def test_stories_name_rules_that_there_are() -> None:
    """A rule that neither a page of docs/reference nor the code names is a typing error."""
    sources = [*(ROOT / "native").glob("*.px?"), *(ROOT / "exchange").rglob("*.py")]
    known = {rule for path in sources for rule in RULE.findall(path.read_text("utf-8"))}
    known.update(documented_rules())
    unknown = {story.name: unknown for story in STORIES if (unknown := set(story.rules) - known)}
    assert not unknown


def test_the_pages_have_the_rules_that_are_looked_for() -> None:
    rules = documented_rules()
    assert len(rules) >= 40
    for family in FAMILIES:
        assert any(rule.startswith(f"{family}-") for rule in rules), family
