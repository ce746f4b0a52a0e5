"""What a journal comes to at chosen commands: the digest of the state there, and one of all events up to there.

``exchange digests`` is what ``exchange verify`` has each of two builds say; it is a command of its own so that the
other build can be another installation of the exchange, older or newer, started with its own Python.  Its output is one
JSON object a line: ``{"sequence": ..., "state": ..., "events": ...}``, and ``{"sequence": ..., "error": ...}`` at the
point in front of which the engine gave up, which is then the last line.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from exchange.engine import ENGINE_KINDS, Engine, create_engine
from exchange.errors import ExchangeError
from exchange.protocol.records import decode_events
from exchange.recovery import cut_at, journal_folder
from exchange.segments import Frame, scan


class Point(msgspec.Struct, omit_defaults=True):
    """A journal after one command: digests as hexadecimal, or why there are none."""

    sequence: int
    state: str = ""  # the engine's digest
    events: str = ""  # BLAKE2b-128 of all event records up to here
    error: str = ""


def digests(engine: Engine, frames: Iterable[Frame], points: Iterable[int]) -> Iterator[Point]:
    """Replays frames and stops at each of the points; one behind the journal's end is left out.

    Points at or before the engine's present sequence are left out too.
    """
    told = hashlib.blake2b(digest_size=16)
    wanted = {point for point in points if point > engine.sequence}
    if not wanted:
        return
    for frame in cut_at(frames, wanted):
        try:
            told.update(engine.apply(frame.commands))
        except (ExchangeError, ValueError, MemoryError) as error:
            yield Point(min(wanted), error=f"{type(error).__name__}: {error}")
            return
        point = engine.sequence
        if point in wanted:
            wanted.remove(point)
            yield Point(point, engine.digest(), told.hexdigest())
        if not wanted:
            return


def events_of(engine: Engine, frames: Iterable[Frame], sequence: int) -> list[str]:
    """The events of one command, as text; the engine replays up to it."""
    for frame in cut_at(frames, (sequence - 1, sequence)):
        events = engine.apply(frame.commands)
        if engine.sequence == sequence:
            return [str(event) for event in decode_events(events)]
    return []


def main(argv: Sequence[str]) -> int:
    """``exchange digests JOURNAL --at N,N,...`` or ``--events-of N``."""
    parser = argparse.ArgumentParser(
        prog="exchange digests", description="Digests of a journal at chosen commands."
    )
    parser.add_argument("journal", type=Path, help="folder of a journal, or a node's data folder")
    parser.add_argument("--engine", choices=ENGINE_KINDS, default="native")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--at", metavar="N,N,...", help="sequences of commands, rising")
    what.add_argument("--events-of", type=int, metavar="N", help="the events of one command")
    options = parser.parse_args(argv)
    engine = create_engine(options.engine)
    frames = scan(journal_folder(options.journal))
    if options.events_of is not None:
        for event in events_of(engine, frames, options.events_of):
            print(event)
        return 0
    try:
        points = [int(point) for point in options.at.split(",")]
    except ValueError:
        raise ExchangeError(
            f"--at: wanted sequences like 100,200,300, got {options.at!r:.80}"
        ) from None
    for point in digests(engine, frames, points):
        print(msgspec.json.encode(point).decode(), flush=True)
    return 0
