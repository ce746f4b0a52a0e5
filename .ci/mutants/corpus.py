"""What a mutant has to get wrong: all stories of tests/scenarios and seeded streams of the fuzzer, with the answers.

Answers are those of the native engine as it stands; that the reference engine gives the same is what the suite tests.
Compared are the events of every command, byte for byte, what every query shows (after each command of a story, now and
then in a stream), and the digest at the end.
"""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "tests" / "scenarios"
CACHE = ROOT / "build" / "mutants" / "corpus.pickle"
#: Worlds of the fuzzer: seeds, and commands of each.  In tiny ones both sides of a comparison are often equal.
TINY = range(7_001, 7_081)
STREAMS = range(7_001, 7_061)
LENGTH = 300
#: Modules of exchange.protocol that say what a command, an event or a view is.
PROTOCOL = ("codes", "layout", "messages", "preview", "records", "schema", "views")
LOOK_EVERY = 40  # commands of a stream between two looks at all views


class Entry(NamedTuple):
    """A stream of commands with its answers."""

    name: str
    commands: list[bytes]
    answers: list[bytes]  # events of each command
    views: dict[int, bytes]  # command -> hash of all that is shown after it
    state: str  # digest of the engine at the end

    @property
    def digest(self) -> str:
        """Of the commands and their answers."""
        return _digest_of(self.name, self.state, len(self.commands), b"".join(self.commands))


@cache
def _digest_of(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def shown(engine: Any) -> bytes:
    """A hash of everything that an engine shows."""
    from exchange.fuzz.differ import all_views

    packed = msgspec.msgpack.encode(all_views(engine))
    return hashlib.blake2b(packed, digest_size=16).digest()


def answer(name: str, commands: list[bytes], look_every: int) -> Entry:
    """What the native engine makes of a stream."""
    from exchange.engine import create_engine

    engine = create_engine("native")
    answers, views = [], {}
    for index, command in enumerate(commands):
        answers.append(engine.apply(command))
        if (index + 1) % look_every == 0 or index + 1 == len(commands):
            views[index] = shown(engine)
    return Entry(name, commands, answers, views, engine.digest())


def stories() -> Iterator[Entry]:
    from exchange.sim.scenario import load_scenario, run_scenario

    for path in sorted(SCENARIOS.glob("*.yaml")):
        result = run_scenario(load_scenario(path), "native")
        yield answer(path.stem, list(result.records), 1)


def streams() -> Iterator[Entry]:
    from exchange.fuzz.choices import time_of
    from exchange.fuzz.differ import run_generated
    from exchange.fuzz.tiny import TinyGenerator
    from exchange.protocol.records import stamp

    def tiny(seed: int, state: Any) -> Any:
        return TinyGenerator(seed, state).next_record

    for kind, seeds, make in (("tiny", TINY, tiny), ("stream", STREAMS, None)):
        for seed in seeds:
            records, _ = run_generated(seed, LENGTH, ("native",), 1 << 40, make=make)
            commands = [stamp(record, i + 1, time_of(i)) for i, record in enumerate(records)]
            yield answer(f"{kind} {seed}", commands, LOOK_EVERY)


def fingerprint(*paths: Path) -> str:
    """Of some files."""
    found = hashlib.sha256()
    for path in sorted(paths):
        found.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return found.hexdigest()


def of_core() -> list[Path]:
    """engine.pyx and the rooms behind it; the gateway's are no part of it."""
    found = [ROOT / "native" / "engine.pyx"]
    for path in found:
        for name in re.findall(r"(?m)^from native\.(\w+) cimport", path.read_text("utf-8")):
            room = ROOT / "native" / f"{name}.pxd"
            if room not in found:
                found.append(room)
    return found


def of_engines() -> str:
    """Of what is changed, and of what changes it; of the protocol its table is what the engines know."""
    return fingerprint(
        *((ROOT / "exchange" / "reference").glob("*.py")),
        *(ROOT / "exchange" / "protocol" / f"{name}.py" for name in PROTOCOL),
        *of_core(),
        *Path(__file__).parent.glob("*_changes.py"),
    )


def of_corpus() -> str:
    """Of everything that the answers depend on; a fuzzer that has learned more makes no answer wrong."""
    streams = f"{TINY} {STREAMS} {LENGTH} {LOOK_EVERY}"
    return f"{of_engines()} {fingerprint(*SCENARIOS.glob('*.yaml'))} {streams}"


def name_of(entries: Sequence[Entry]) -> str:
    """Short, and another for every other corpus."""
    return _digest_of(*(entry.digest for entry in entries))


def load(*, fresh: bool = False) -> list[Entry]:
    """The corpus, made anew where anything that it depends on has changed."""
    wanted = of_corpus()
    if not fresh and CACHE.exists():
        came, entries = pickle.loads(CACHE.read_bytes())
        if came == wanted:
            return [Entry(*entry) for entry in entries]
    print("making the corpus: stories and streams with their answers", flush=True)
    entries = [*stories(), *streams()]
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    CACHE.write_bytes(pickle.dumps((wanted, [tuple(entry) for entry in entries])))
    return entries


def differs(kind: str, entry: Entry) -> bool:
    """Whether an engine answers an entry in any other way; what it raises is another answer, too.

    Half way it gives way to one that is restored from its state, as after a crash.
    """
    from exchange.engine import create_engine

    try:
        engine = create_engine(kind)
        for index, command in enumerate(entry.commands):
            if index == len(entry.commands) // 2:
                taken = engine.snapshot(), engine.sequence, engine.timestamp_ns
                del engine  # its address space: a process has room for one
                engine = create_engine(kind)
                engine.restore(*taken)
            if engine.apply(command) != entry.answers[index]:
                return True
            wanted = entry.views.get(index)
            if wanted is not None and shown(engine) != wanted:
                return True
        return engine.digest() != entry.state
    except Exception:
        return True
