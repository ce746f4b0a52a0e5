"""One change at a time against the corpus: in a forked process each, so that nothing of it is left.

Theory of operation.  First the corpus runs once on an engine that is as it is but writes down which changes each entry
*asks for*, that is, whose place it reaches.  A change that nobody reaches survives without a run; for all others
only the entries that reach it are run, stories first, until one of them answers otherwise.  A process that dies,
that needs too long or too much memory, has noticed it, too.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import corpus
from corpus import Entry

SECONDS = 300  # of processor time that a change may take for its whole share of the corpus
ENTRY = {"native": 5, "reference": 15}  # of them for one entry: a change that needs more has no end
MEMORY = 6 << 30
KILLED, SURVIVED, CRASHED, LATE = range(4)
CUT_SHORT = "same answers as far as there was time"


class Outcome(NamedTuple):
    """What became of a change: which entry noticed it ('' if none), and how."""

    number: int
    noticed_by: str
    how: str
    reached_by: int  # entries


def reached(
    kind: str, entries: Sequence[Entry], take: Callable[[], set[int]], kept: Path, changes: str
) -> list[set[int]]:
    """Of each entry the changes that it reaches; ``take`` gives what was asked for since it was last called.

    Entries that were read before, with the same ``changes``, are known from the file ``kept``.
    """
    known = _known_places(kept, changes)
    found = []
    take()
    for number, entry in enumerate(entries):
        if entry.digest not in known:
            if corpus.differs(kind, entry):
                raise SystemExit(f"{entry.name}: the engine without any change answers otherwise")
            known[entry.digest] = take()
        found.append(known[entry.digest])
        if sys.stderr.isatty():
            print(f"\rreading the corpus: {number + 1} of {len(entries)}", end="", file=sys.stderr)
    kept.write_bytes(pickle.dumps((changes, known)))
    return found


def _known_places(kept: Path, changes: str) -> dict[str, set[int]]:
    if kept.exists():
        came, known = pickle.loads(kept.read_bytes())
        if came == changes:
            return dict(known)
    return {}


def prove_quiet(kind: str, entries: Sequence[Entry]) -> None:
    """Stops a run in which a process would notice something where nothing is changed."""
    outcome = attempt(kind, entries, range(min(3, len(entries))), -1, lambda _: None, SECONDS)
    if outcome.noticed_by:
        raise SystemExit(f"{outcome.noticed_by}: noticed ({outcome.how}) where nothing is changed")


def order_of(
    entries: Sequence[Entry],
    places: Sequence[set[int]],
    change: int,
    hint: str,
    kin: set[int],
    passed: Collection[str],
) -> list[int]:
    """The entries that reach a change: the one that noticed it in an earlier tree, then stories, then streams.

    Of stories those come first that reach most changes of the same function (``kin``): they are about it.  Entries that
    did not notice it before (``passed``, by digest) will not now.
    """
    found = [
        number
        for number, place in enumerate(places)
        if change in place and entries[number].digest not in passed
    ]

    def rank(number: int) -> tuple[bool, bool, int, int]:
        is_stream = len(entries[number].commands) > 200
        return entries[number].name != hint, is_stream, -len(places[number] & kin), number

    return sorted(found, key=rank)


def kin_of(functions: Sequence[str]) -> list[set[int]]:
    """For each change those of the same function."""
    members: dict[str, set[int]] = {}
    for number, function in enumerate(functions):
        members.setdefault(function, set()).add(number)
    return [members[function] for function in functions]


def attempt(
    kind: str,
    entries: Sequence[Entry],
    asked: Sequence[int],
    change: int,
    switch: Callable[[int], None],
    seconds: float,
) -> Outcome:
    """Runs the entries in a child process where ``switch`` has put the change into effect, for so long."""
    if not asked:
        return Outcome(change, "", "never reached", 0)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _run_child(kind, entries, asked, change, switch, seconds, writing)
    os.close(writing)
    last = _last_word(reading)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == KILLED:
        return Outcome(change, entries[last].name, "other answers", len(asked))
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == SURVIVED:
        return Outcome(change, "", "same answers", len(asked))
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == LATE:
        return Outcome(change, "", CUT_SHORT, len(asked))
    by = entries[last].name if last >= 0 else "the start"
    how = "no end" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF else "crash"
    return Outcome(change, by, how, len(asked))


def _run_child(
    kind: str,
    entries: Sequence[Entry],
    asked: Sequence[int],
    change: int,
    switch: Callable[[int], None],
    seconds: float,
    writing: int,
) -> None:
    status = CRASHED
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 2)
        switch(change)
        status = SURVIVED
        for number in asked:
            os.write(writing, number.to_bytes(4, "little"))
            signal.setitimer(signal.ITIMER_PROF, ENTRY[kind])  # not by the clock of a busy machine
            if corpus.differs(kind, entries[number]):
                status = KILLED
                break
            if time.process_time() > seconds:
                status = LATE
                break
    except BaseException:
        status = CRASHED
    finally:
        os._exit(status)


def _last_word(reading: int) -> int:
    """The last entry that the child began; -1 if none."""
    said = b""
    while part := os.read(reading, 1 << 16):
        said = (said + part)[-4096:]
    os.close(reading)
    return int.from_bytes(said[-4:], "little") if said else -1
