"""Pages whose stories an engine tells: the events under each step are what it answered.

::

    python -m exchange.sim.pages docs/order-types.md            # writes the events anew
    python -m exchange.sim.pages docs/order-types.md --check    # writes nothing; status 1 if a page is out of date

A page has blocks of YAML.  The first with ``symbols:`` is the market: the head of a scenario and its opening steps.
Every block that begins with a step is a story in that market, on an engine of its own; ``#`` lines in it are the events
of the step above them.  Such a block, pasted under the market, is a scenario file.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from exchange.errors import ScenarioError
from exchange.protocol.records import decode_events
from exchange.sim.scenario import parse_scenario, run_scenario
from exchange.sim.scenario_names import Names
from exchange.sim.telling import tell

BLOCK = re.compile(r"(?<=^```yaml\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)
MARK = "#   "


def tell_page(text: str, engine_kind: str = "native", path: str = "page") -> str:
    """The page with the events that an engine of this kind gives now.

    Raises:
        ScenarioError: a story cannot be read, or does not come out as its expectations say.
    """
    market = next((b for b in BLOCK.findall(text) if re.search("^symbols:", b, re.MULTILINE)), None)
    if market is None:
        raise ScenarioError(f"{path}: wanted a block of yaml with symbols:, the market of the page")

    def told(block: re.Match[str]) -> str:
        if not block.group().startswith("- "):
            return block.group()
        line = text.count("\n", 0, block.start()) + 1
        return tell_story(market, block.group(), engine_kind, f"{path}: story in line {line}")

    return BLOCK.sub(told, text)


def tell_story(market: str, story: str, engine_kind: str, path: str) -> str:
    """One story with its events."""
    steps = "".join(line for line in story.splitlines(keepends=True) if not line.startswith("#"))
    scenario = parse_scenario(market + steps, path)
    result = run_scenario(scenario, engine_kind)
    if not result.passed:
        raise ScenarioError("\n".join(f"{path}: {failure}" for failure in result.failures))
    head = market.count("\n")
    lines: list[str] = steps.splitlines()
    after: dict[int, list[str]] = {}  # the line of the story behind which events stand
    starts = [step.line - 1 - head for step in scenario.steps]
    ends = [*starts[1:], len(lines)]
    for step, event_lines in events_by_step(result.events, result.step_of, result.names):
        if step > 0 and starts[step - 1] >= 0:
            after.setdefault(ends[step - 1], []).extend(event_lines)
    out: list[str] = []
    for number, line in enumerate([*lines, ""]):
        out += after.get(number, [])
        out.append(line)
    return "\n".join(out)


def events_by_step(
    events: bytes, step_of: Sequence[int], names: Names
) -> Iterator[tuple[int, list[str]]]:
    """Each event as lines of a page, with the step that caused it."""
    for event in decode_events(events):
        yield step_of[event.sequence - 1], [MARK + tell(event, names)]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m exchange.sim.pages", description=__doc__)
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if out of date")
    options = parser.parse_args(arguments)
    outdated = 0
    for page in options.pages:
        text = page.read_text(encoding="utf-8")
        try:
            told = tell_page(text, path=str(page))
        except ScenarioError as error:
            print(f"ERROR {error}", file=sys.stderr)
            return 2
        if told != text:
            outdated += 1
            print(f"{page}: {'out of date' if options.check else 'written'}")
            if not options.check:
                page.write_text(told, encoding="utf-8")
    return 1 if options.check and outdated else 0


if __name__ == "__main__":
    raise SystemExit(main())
