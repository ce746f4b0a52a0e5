"""docs/defects-of-others.md: every test that it names is there, and every story about a defect is on it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "defects-of-others.md").read_text("utf-8")
STORIES = {path.stem for path in (ROOT / "tests" / "scenarios").glob("*.yaml")}
NAMED = set(re.findall(r"`([a-z0-9][\w./-]*)`", PAGE))


def test_what_the_page_names_is_there() -> None:
    for name in NAMED:
        assert name in STORIES or (ROOT / name).exists(), name


def test_every_story_about_a_defect_is_on_the_page() -> None:
    told = {story for story in STORIES if story.startswith(("defect-", "peer-"))}
    assert told <= NAMED


def test_every_line_of_margin_and_liquidation_has_a_test() -> None:
    rows = [row for row in PAGE.splitlines() if row.startswith("| ") and "---" not in row]
    assert len(rows) > 40
    for row in rows:
        last = row.rstrip(" |").rsplit("|", 1)[-1]
        assert last.strip() == "test" or "`" in last or "](" in last, row
