"""``exchange verify``: whether two builds make the same of a journal, and the first command at which they do not.

Theory of operation.  Each build is a process of its own that says the digests of state and events at some points of
the journal (``exchange digests``), both at work at the same time.  Where they differ at a point and agree at the one
before it, the difference is in between, and the next round asks for points there: with 64 points a round, three rounds
find one command in 262,144.  The first build's digests are compared with those that were written down while the
journal was made, too: the snapshots that lie beside it, and the notes inside it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from exchange.digests import Point
from exchange.errors import ExchangeError
from exchange.protocol.records import decode_commands
from exchange.recovery import cut_at, journal_folder
from exchange.segments import digest_notes, last_sequence, scan, segment_paths
from exchange.snapshot import SnapshotDamaged, read_header, snapshot_paths

POINTS = 64  # asked for in a round


class Build(msgspec.Struct, frozen=True):
    """An engine of some installation: how to have it asked."""

    name: str
    python: str
    engine: str
    source: str = (
        ""  # folder that its package `exchange` is imported from; "": what its Python has installed
    )

    def ask(self, journal: Path, *what: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": self.source} if self.source else dict(os.environ)
        if not self.source:
            environment.pop("PYTHONPATH", None)
        # -P: not the package of the folder that one happens to be in.
        command = [self.python, "-P", "-m", "exchange", "digests", str(journal)]
        return subprocess.Popen(
            [*command, "--engine", self.engine, *what],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def answer(self, asked: subprocess.Popen[str]) -> list[str]:
        """The lines that a build answered.  Raises with its own words where it could not."""
        out, errors = asked.communicate()
        if asked.returncode:
            raise ExchangeError(
                f"{self.name} could not replay the journal: {errors.strip()[-500:]}"
            )
        return out.splitlines()


class Verdict(msgspec.Struct, omit_defaults=True):
    """What became of a verification; ``differs_at`` 0: nothing differs."""

    commands: int
    builds: tuple[str, str]
    state: str = ""  # the digest at the end, of the first build
    recorded: int = 0  # digests written down earlier that were compared
    differs_at: int = 0
    command: str = ""
    given: tuple[list[str], list[str]] = ([], [])  # events of that command, of each build
    states: tuple[str, str] = ("", "")  # digests after it, or why there is none
    recorded_wrong: str = ""

    @property
    def same(self) -> bool:
        return not self.differs_at and not self.recorded_wrong

    def as_text(self) -> str:
        first, second = self.builds
        if self.same:
            return (
                f"same: {self.commands} commands, events and state digest {self.state} by {first} and by {second}; "
                f"{self.recorded} digests recorded earlier agree"
            )
        if not self.differs_at:
            return self.recorded_wrong
        lines = [f"differs: first at command {self.differs_at} of {self.commands}: {self.command}"]
        for build, events, state in zip(self.builds, self.given, self.states, strict=True):
            lines += [f"{build}: state {state}", *(f"  {event}" for event in events)]
        return "\n".join([*lines, *filter(None, [self.recorded_wrong])])


def spread(after: int, last: int, count: int = POINTS) -> list[int]:
    """Sequences spread evenly behind ``after``, the last one included.

    >>> spread(0, 10, 4)
    [2, 5, 7, 10]
    >>> spread(7, 9, 4)
    [8, 9]
    """
    return sorted(
        {after + (last - after) * part // count for part in range(1, count + 1)} - {after}
    )


def first_difference(
    ours: Sequence[Point], theirs: Sequence[Point], points: Sequence[int]
) -> int | None:
    """Which of the points is the first at which two builds do not say the same."""
    for index, _ in enumerate(points):
        mine = ours[index] if index < len(ours) else None
        other = theirs[index] if index < len(theirs) else None
        if mine is None or other is None or mine != other or mine.error:
            return index
    return None


class Verification:
    """Two builds over one journal."""

    def __init__(self, folder: Path, builds: tuple[Build, Build], say: Callable[[str], None]):
        self._folder = folder
        self._builds = builds
        self._say = say

    def run(self, recorded: dict[int, str]) -> Verdict:
        last = last_sequence(self._folder)
        names = (self._builds[0].name, self._builds[1].name)
        verdict = Verdict(commands=last, builds=names)
        after, points = 0, sorted({*spread(0, last), *(at for at in recorded if 0 < at <= last)})
        rounds = 0
        while points:
            rounds += 1
            ours, theirs = self._both(points)
            if rounds == 1:
                self._compare_recorded(verdict, ours, recorded)
            index = first_difference(ours, theirs, points)
            if index is None:
                verdict.state = ours[-1].state
                return verdict
            after, last = points[index - 1] if index else after, points[index]
            self._say(f"they differ between commands {after + 1} and {last}")
            if last - after == 1:
                self._tell(verdict, last, (point_at(ours, index), point_at(theirs, index)))
                return verdict
            points = spread(after, last)
        return verdict

    def _both(self, points: list[int]) -> tuple[list[Point], list[Point]]:
        at = ",".join(map(str, points))
        asked = [build.ask(self._folder, "--at", at) for build in self._builds]
        ours, theirs = (
            [msgspec.json.decode(line, type=Point) for line in build.answer(process)]
            for build, process in zip(self._builds, asked, strict=True)
        )
        return ours, theirs

    def _compare_recorded(
        self, verdict: Verdict, ours: list[Point], recorded: dict[int, str]
    ) -> None:
        for point in ours:
            if point.sequence in recorded and not point.error:
                verdict.recorded += 1
                if point.state != recorded[point.sequence] and not verdict.recorded_wrong:
                    verdict.recorded_wrong = (
                        f"recorded: after command {point.sequence} the digest was {recorded[point.sequence]} when the "
                        f"journal was made, {self._builds[0].name} comes to {point.state}"
                    )

    def _tell(self, verdict: Verdict, sequence: int, points: tuple[Point, Point]) -> None:
        verdict.differs_at = sequence
        verdict.command = command_at(self._folder, sequence)
        verdict.states = (
            points[0].state or points[0].error,
            points[1].state or points[1].error,
        )
        first, second = (
            ["(it gave up)"]
            if point.error
            else build.answer(build.ask(self._folder, "--events-of", str(sequence)))
            for build, point in zip(self._builds, points, strict=True)
        )
        verdict.given = (first, second)


def point_at(points: Sequence[Point], index: int) -> Point:
    return points[index] if index < len(points) else Point(0, error="it said no more")


def command_at(folder: Path, sequence: int) -> str:
    """One command of a journal, as text."""
    for frame in cut_at(scan(folder, sequence), (sequence - 1, sequence)):
        if frame.last_sequence == sequence:
            return str(decode_commands(frame.commands)[0])
    return ""


def recorded_digests(path: Path, folder: Path) -> dict[int, str]:
    """Digests that were written down: by the journal's notes, and by the snapshots of the data folder."""
    recorded = dict(digest_notes(folder))
    for snapshot in snapshot_paths(path / "snapshots"):
        try:
            header = read_header(snapshot)
        except SnapshotDamaged:
            continue  # a recovery passes it over, too
        recorded[header.sequence] = header.digest
    return recorded


def other_build(against: str) -> Build:
    """The build that ``--against`` names: the reference engine, a Python, or a folder with a built checkout."""
    here = str(Path(__file__).parents[1])
    if against == "reference":
        return Build("the reference engine", sys.executable, "reference", here)
    path = Path(against)
    if path.is_dir() and (path / "exchange" / "__init__.py").exists():
        return Build(f"the build in {against}", sys.executable, "native", str(path.resolve()))
    if path.is_file() and os.access(path, os.X_OK):
        return Build(f"the build of {against}", str(path.absolute()), "native")
    raise ExchangeError(
        f"--against is {against!r}; wanted `reference`, a folder with a built checkout of the exchange, or the "
        f"Python of an environment where another version is installed"
    )


def main(argv: Sequence[str]) -> int:
    """``exchange verify JOURNAL``: exit code 0 if all agree, 1 if not."""
    parser = argparse.ArgumentParser(
        prog="exchange verify",
        description="Whether two builds make the same of a journal; if not, the first command at which they differ.",
    )
    parser.add_argument("journal", type=Path, help="folder of a journal, or a node's data folder")
    parser.add_argument(
        "--against",
        default="reference",
        metavar="BUILD",
        help="`reference` (default): the reference engine of this build; or a folder with another checkout, built; "
        "or the Python of an environment with another version",
    )
    parser.add_argument("--json", action="store_true", help="the verdict as one line of JSON")
    options = parser.parse_args(argv)
    folder = journal_folder(options.journal)
    first = int(segment_paths(folder)[0].stem)
    if first != 1:
        raise ExchangeError(
            f"{folder}: the journal starts at command {first}; a verification wants it from command 1"
        )
    ours = Build("this build", sys.executable, "native", str(Path(__file__).parents[1]))
    verification = Verification(
        folder,
        (ours, other_build(options.against)),
        lambda text: print(f"exchange: {text}", file=sys.stderr, flush=True),
    )
    verdict = verification.run(recorded_digests(options.journal, folder))
    print(msgspec.json.encode(verdict).decode() if options.json else verdict.as_text())
    return 0 if verdict.same else 1
