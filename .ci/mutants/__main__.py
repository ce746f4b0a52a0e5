"""Flips one comparison, rounding, sign, bound or guard of the risk code after the other: does anybody notice?

    python .ci/mutants                                     both engines, all modules of risk
    python .ci/mutants --engine reference --module margin  one module
    python .ci/mutants --seconds 600                       stop after ten minutes; the next call goes on from there

What has to notice is the corpus: every story of tests/scenarios and 140 streams of the fuzzer, with the
answers that the engines give today.  Printed are the changes that nobody noticed, with file and line, but for those
that tests/mutants/*.toml argues to change nothing.  Outcomes are kept in build/mutants; where only stories are new,
only what nobody noticed is tried again.  Exit code 1 if one is left, or if an argument is no longer needed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
import corpus
import reference
import survivors
import trial
from corpus import ROOT
from trial import CUT_SHORT, SECONDS, Outcome

BUILD = ROOT / "build" / "mutants"
#: The modules where a wrong sign costs somebody money.
REFERENCE = (
    *("accounts", "adl", "admission", "arithmetic", "assets", "bankruptcy", "caps", "charging"),
    *("collateral", "composite", "context", "deleveraging", "drawing", "funding", "funds"),
    *("ledger", "legs", "liquidation", "margin", "operations", "policies", "prices", "state"),
    *("states", "telling", "warnings"),
)
NATIVE = (
    *("auto_margin", "bands", "bankruptcy", "caps", "charging", "collateral", "credit"),
    *("deleveraging", "funding", "funds", "ledger", "legs", "liquidation", "margin", "marks"),
    *("operations", "policies", "pricing", "queue", "states", "telling", "units", "warnings"),
)


class Place(NamedTuple):
    """A change as it is reported."""

    name: str  # as in tests/mutants/*.toml
    where: str  # file:line
    what: str


class Subject(NamedTuple):
    """An engine whose changes are tried."""

    engine: str
    places: list[Place]
    #: A change, who is asked first, for how long, who need not be asked again.
    attempt: Callable[[int, str, float, Collection[str]], Outcome]
    close: Callable[[], None]


# ------------------------------------------------------------------------------------------- the two engines


def open_reference(modules: Sequence[str], entries: list[corpus.Entry]) -> Subject:
    rooms = reference.Rooms(modules)
    counting = reference.Counting(rooms)
    places = trial.reached(
        "reference",
        entries,
        counting.take,
        BUILD / "reference.reached.pickle",
        f"{corpus.of_engines()} {' '.join(modules)}",
    )
    counting.end()
    trial.prove_quiet("reference", entries)
    switch = reference.switcher(rooms)
    kin = trial.kin_of([f"{name}.{change.function}" for name, change in rooms.changes])

    def attempt(number: int, hint: str, seconds: float, passed: Collection[str]) -> Outcome:
        asked = trial.order_of(entries, places, number, hint, kin[number], passed)
        return trial.attempt("reference", entries, asked, number, switch, seconds)

    found = [
        Place(
            f"{name}.{change.key}",
            f"exchange/reference/{name}.py:{change.line}",
            f"{change.was} -> {change.becomes}",
        )
        for name, change in rooms.changes
    ]
    return Subject("reference", found, attempt, lambda: None)


def build_native(rooms: Sequence[str]) -> Path:
    """The copy of the tree whose core has all changes of the rooms, built where something is newer."""
    tree = BUILD / "tree"
    wanted = f"{corpus.of_engines()} {' '.join(rooms)}"
    stamp = tree / "stamp"
    if stamp.exists() and stamp.read_text() == wanted:
        return tree
    print("building the core with all changes in it", flush=True)
    shutil.rmtree(tree, ignore_errors=True)
    for folder in ("exchange", "native"):
        shutil.copytree(
            ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("*.so", "__pycache__")
        )
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tree / name)
    command = [sys.executable, str(Path(__file__).parent / "native_build.py"), ",".join(rooms)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(
            f"{done.stdout[-2000:]}{done.stderr[-6000:]}\nThe core with changes failed."
        )
    stamp.write_text(wanted)
    return tree


def open_native(rooms: Sequence[str], entries: list[corpus.Entry]) -> Subject:
    tree = build_native(rooms)
    worker = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "native_worker.py"), str(corpus.CACHE)],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin is not None and worker.stdout is not None
    if worker.stdout.readline().strip() != '"ready"':
        raise SystemExit("The core with no change on does not answer as it should.")

    def attempt(number: int, hint: str, seconds: float, passed: Collection[str]) -> Outcome:
        asked = json.dumps([number, hint, seconds, list(passed)])
        worker.stdin.write(f"{asked}\n")  # type: ignore[union-attr]
        worker.stdin.flush()  # type: ignore[union-attr]
        return Outcome(*json.loads(worker.stdout.readline()))  # type: ignore[union-attr]

    def close() -> None:
        worker.stdin.close()  # type: ignore[union-attr]
        worker.wait()

    found = []
    for _, room, line, column, function, text, becomes, place in json.loads(
        (tree / "changes.json").read_text()
    ):
        suffix = f" ({place})" if place > 1 else ""
        found.append(
            Place(
                f"{room}.{function}: {text} :: {becomes}{suffix}",
                f"native/{room}.pxd:{line}:{column}",
                f"{text} :: {becomes}{suffix}",
            )
        )
    return Subject("native", found, attempt, close)


# ------------------------------------------------------------------------------------------------ a whole run


class Known(NamedTuple):
    """What earlier calls found with these engines."""

    #: What was noticed stays so; what was not, only with the same entries.
    outcomes: dict[str, Outcome]
    passed: dict[str, list[str]]  # of what was not noticed: the entries that did not


def known_of(path: Path, corpora: dict[str, list[str]], now: str) -> Known:
    first, *lines = path.read_text("utf-8").splitlines() if path.exists() else [""]
    known = Known({}, {})
    if first != corpus.of_engines():
        return known
    for name, outcome, entries in map(json.loads, lines):
        if outcome[1] or (entries == now and outcome[2] != CUT_SHORT):
            known.outcomes[name] = Outcome(*outcome)
        elif outcome[2] != CUT_SHORT and entries in corpora:
            known.passed[name] = corpora[entries]
    return known


def kept_corpora(entries: Sequence[corpus.Entry]) -> tuple[dict[str, list[str]], str]:
    """The entries of every corpus that was tried, by its name, and the name of this one."""
    kept = BUILD / "corpora.json"
    corpora: dict[str, list[str]] = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    now = corpus.name_of(entries)
    corpora[now] = [entry.digest for entry in entries]
    kept.write_text(json.dumps(corpora), encoding="utf-8")
    return corpora, now


def hints_of(path: Path) -> dict[str, str]:
    """Who noticed each change in whatever tree it was tried last: asked first, so that the rest need not be."""
    kept = path.with_suffix(".hints")
    hints: dict[str, str] = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    if path.exists():
        for name, outcome, _ in map(json.loads, path.read_text("utf-8").splitlines()[1:]):
            hints[name] = outcome[1]
    kept.write_text(json.dumps(hints), encoding="utf-8")
    return hints


def run(
    subject: Subject, entries: Sequence[corpus.Entry], seconds: float, each: float
) -> dict[str, Outcome]:
    """Tries every change that has no outcome yet, until time is up."""
    path = BUILD / f"{subject.engine}.jsonl"
    corpora, now = kept_corpora(entries)
    outcomes, passed = known_of(path, corpora, now)
    hints = hints_of(path)
    if not outcomes and not passed:
        path.write_text(f"{corpus.of_engines()}\n", encoding="utf-8")
    end = time.monotonic() + seconds
    left = [n for n, place in enumerate(subject.places) if place.name not in outcomes]
    if len(left) < len(subject.places):
        print(f"{len(subject.places) - len(left):,} outcomes are known from before")
    with path.open("a", encoding="utf-8") as file:
        for done, number in enumerate(progress(left, subject, outcomes)):
            if time.monotonic() > end:
                print(f"\ntime is up: {len(left) - done:,} changes are left for the next call")
                break
            name = subject.places[number].name
            hint, but = hints.get(name, ""), passed.get(name, ())
            outcomes[name] = subject.attempt(number, hint, each, but)
            file.write(json.dumps([name, outcomes[name], now]) + "\n")
            file.flush()
    return outcomes


def progress(left: list[int], subject: Subject, outcomes: dict[str, Outcome]) -> Iterator[int]:
    started = time.monotonic()
    for done, number in enumerate(left):
        if done % (10 if sys.stderr.isatty() else 200) == 0:
            alive = sum(not outcome.noticed_by for outcome in outcomes.values())
            rate = (time.monotonic() - started) / done if done else 0.0
            print(
                f"{subject.engine}: {done:,} of {len(left):,} changes, {alive} unnoticed, "
                f"about {rate * (len(left) - done):,.0f} s left",
                end="\r" if sys.stderr.isatty() else "\n",
                file=sys.stderr,
                flush=True,
            )
        yield number


def report(subject: Subject, outcomes: dict[str, Outcome], offered: set[str]) -> bool:
    """Prints what came of it; whether nothing is left to do."""
    tried = [place for place in subject.places if place.name in outcomes]
    unnoticed = [place for place in tried if not outcomes[place.name].noticed_by]
    arguments = survivors.argued(subject.engine)
    left = [place for place in unnoticed if place.name not in arguments]
    by_story = sum(
        bool(outcomes[p.name].noticed_by)
        and not outcomes[p.name].noticed_by.startswith(("stream ", "tiny "))
        for p in tried
    )
    for place in left:
        print(f"{place.where}: {place.what}  [{outcomes[place.name].how}]")
    names = {place.name for place in tried}
    alive = {place.name for place in unnoticed}
    stale = [
        name for name in arguments if (name in names and name not in alive) or name not in offered
    ]
    for name in stale:
        print(f"tests/mutants/{subject.engine}.toml: no longer unnoticed, or gone: {name}")
    print(
        f"{subject.engine}: {len(tried):,} of {len(subject.places):,} changes tried; "
        f"{len(tried) - len(unnoticed):,} noticed ({by_story:,} by a story), {len(unnoticed)} not, "
        f"of which {len(unnoticed) - len(left)} are argued and {len(left)} are left"
    )
    return not left and not stale


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", choices=("reference", "native"), help="only this one")
    parser.add_argument("--module", action="append", help="only this module (may be repeated)")
    parser.add_argument(
        "--left", action="store_true", help="do not try again what is argued to change nothing"
    )
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="stop after so long; per engine"
    )
    parser.add_argument(
        "--each",
        type=float,
        default=SECONDS,
        help="seconds of processor time for one change; what that cuts short is tried again by the next call",
    )
    return parser.parse_args()


def main() -> int:
    options = parse()
    BUILD.mkdir(parents=True, exist_ok=True)
    entries = corpus.load()
    print(f"{len(entries)} entries, {sum(len(e.commands) for e in entries):,} commands", flush=True)
    is_well = True
    for engine, opened, default in (
        ("reference", open_reference, REFERENCE),
        ("native", open_native, NATIVE),
    ):
        if options.engine not in (None, engine):
            continue
        whole = opened(default, entries)
        modules = options.module or default
        subject = chosen(whole, {p.name for p in whole.places if p.name.split(".")[0] in modules})
        if options.left:
            arguments = survivors.argued(engine)
            subject = chosen(subject, {p.name for p in subject.places if p.name not in arguments})
        outcomes = run(subject, entries, options.seconds, options.each)
        is_well = report(subject, outcomes, {place.name for place in whole.places}) and is_well
        whole.close()
    return 0 if is_well else 1


def chosen(subject: Subject, names: set[str]) -> Subject:
    """The same engine with some of its changes."""
    numbers = [n for n, place in enumerate(subject.places) if place.name in names]
    return subject._replace(
        places=[subject.places[n] for n in numbers],
        attempt=lambda at, *how: subject.attempt(numbers[at], *how),
    )


if __name__ == "__main__":
    sys.exit(main())
