"""The mutation check is checked: it finds the places, leaves no place out that it names, and sees what stories see."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / ".ci" / "mutants"
ARGUED = ROOT / "tests" / "mutants"

SOURCE = """
def is_below(equity, maintenance):
    if not maintenance:
        return False
    write(equity)
    return equity + 1 < max(0, ppm_ceil(maintenance, 5))
"""


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOL))


def test_every_place_of_a_function_is_offered(tool: None) -> None:
    import python_changes

    found = [f"{c.was} -> {c.becomes}" for c in python_changes.changes_of(SOURCE)]
    for wanted in (
        "not maintenance -> maintenance",
        "if not maintenance -> never",
        "False -> True",
        "write(equity) -> left out",
        "equity + 1 -> equity - 1",
        "1 -> 2",
        "1 -> 0",
        "ppm_ceil(maintenance, 5) -> ppm_floor(maintenance, 5)",
        "max(0, ppm_ceil(maintenance, 5)) -> min(0, ppm_ceil(maintenance, 5))",
    ):
        assert wanted in found, found
    assert any(change.endswith(" <= max(0, ppm_ceil(maintenance, 5))") for change in found)


def test_a_bound_is_not_moved_to_where_its_comparison_turned_is(tool: None) -> None:
    import python_changes

    for text, wanted in (
        ("x > 0", {"0 -> 1", "x > 0 -> x >= 0"}),
        ("x <= 0", {"0 -> 1", "x <= 0 -> x < 0"}),
        ("1 < x", {"1 -> 2", "1 < x -> 1 <= x"}),
        ("x == 0", {"0 -> 1", "0 -> -1", "x == 0 -> x != 0"}),
    ):
        source = f"def f(x):\n    return {text}\n"
        found = {f"{c.was} -> {c.becomes}" for c in python_changes.changes_of(source)}
        assert found == wanted, text


def test_the_entry_that_noticed_a_change_before_is_asked_first(tool: None) -> None:
    import trial
    from corpus import Entry

    entries = [Entry(name, [], [], {}, "") for name in ("a story", "another", "the one")]
    places = [{5}, {6}, {5}]
    assert trial.order_of(entries, places, 5, "the one", set(), set()) == [2, 0]
    assert trial.order_of(entries, places, 5, "", set(), set()) == [0, 2]


def test_an_entry_that_did_not_notice_a_change_is_not_asked_again(tool: None) -> None:
    import trial
    from corpus import Entry

    entries = [Entry(name, [], [], {}, "") for name in ("a story", "another")]
    passed = {entries[0].digest}
    assert trial.order_of(entries, [{5}, {5}], 5, "", set(), passed) == [1]


def test_a_story_about_a_function_is_asked_before_others(tool: None) -> None:
    import trial
    from corpus import Entry

    entries = [Entry(name, [], [], {}, "") for name in ("of something else", "about it")]
    kin = trial.kin_of(["f", "f", "g"])
    assert trial.order_of(entries, [{0, 2}, {0, 1}], 0, "", kin[0], set()) == [1, 0]


def test_a_changed_module_differs_in_one_place_and_a_counted_one_in_none(tool: None) -> None:
    import python_changes

    space = {"write": lambda x: None, "ppm_ceil": lambda a, b: a * b}
    asked: list[int] = []
    counted = {**space, python_changes.ASKED: asked.append}
    exec(compile(python_changes.counted(SOURCE, 100), "counted", "exec"), counted)
    assert counted["is_below"](9, 2) is False
    assert asked and min(asked) >= 100
    number = next(
        c.number for c in python_changes.changes_of(SOURCE) if c.becomes.startswith("equity + 1 <=")
    )
    changed = dict(space)
    exec(compile(python_changes.changed(SOURCE, number), "changed", "exec"), changed)
    assert changed["is_below"](9, 2) is True
    assert changed["is_below"](10, 2) is False


#: A fresh interpreter, since modules are imported anew with a change in each.
DRIVER = """
import json, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import corpus, reference, trial
from exchange.sim.scenario import load_scenario, run_scenario
path = corpus.SCENARIOS / "adl-02-the-parts-sum-to-the-whole.yaml"
story = run_scenario(load_scenario(path), "native")
entries = [corpus.answer(path.stem, list(story.records), 1)]
rooms = reference.Rooms(["bankruptcy"])
counting = reference.Counting(rooms)
places = trial.reached("reference", entries, counting.take, Path(sys.argv[3]), "these")
again = trial.reached("reference", entries, lambda: set(), Path(sys.argv[3]), "these")
assert again == places, "what was read before is known"
counting.end()
switch = reference.switcher(rooms)
found = {}
for number, (_, change) in enumerate(rooms.changes):
    asked = trial.order_of(entries, places, number, "", set(), set())
    found[change.key] = trial.attempt("reference", entries, asked, number, switch, 60)
print(json.dumps(found))
"""


def test_what_one_story_sees_is_noticed_and_the_rest_is_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DRIVER, str(ROOT), str(TOOL), str(tmp_path / "places")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    by_key = {key: outcome[1] for key, outcome in outcomes.items()}
    rounded = "part_of_value: ceil_div(value * lots, of_lots) -> floor_div(value * lots, of_lots)"
    assert by_key[rounded] == "adl-02-the-parts-sum-to-the-whole"
    # One story does not speak of fractions: nobody reaches that place.
    fraction = next(key for key in by_key if "liquidation_fraction_ppm" in key)
    assert outcomes[fraction][2] == "never reached"
    assert 20 < sum(bool(by) for by in by_key.values()) < len(by_key)


@pytest.mark.parametrize("engine", ["reference", "native"])
def test_every_argument_says_why_and_speaks_of_something_that_is_there(
    engine: str, tool: None
) -> None:
    import python_changes

    groups = tomllib.loads((ARGUED / f"{engine}.toml").read_text("utf-8"))["argument"]
    known: dict[str, str | set[str]] = {}
    for group in groups:
        assert len(group["because"].split()) > 3, group
        for change in group["changes"]:
            module, _, rest = change.partition(".")
            if engine == "native":
                text = known.setdefault(module, (ROOT / f"native/{module}.pxd").read_text("utf-8"))
                line = rest.partition(": ")[2].partition(" :: ")[0]
            else:
                path = ROOT / "exchange" / "reference" / f"{module}.py"
                source = path.read_text("utf-8")
                if module not in known:
                    known[module] = {c.key for c in python_changes.changes_of(source)}
                text, line = known[module], rest
            assert line in text, f"tests/mutants/{engine}.toml: {change}"
