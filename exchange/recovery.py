"""From what is on disk to a running engine: the newest good snapshot, then the journal from there on."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from exchange.engine import Engine
from exchange.protocol.records import iter_starts
from exchange.segments import Frame, JournalDamaged, segment_paths
from exchange.snapshot import Snapshot, SnapshotDamaged, load_snapshot, snapshot_paths

Say = Callable[[str], None]


class Restored(msgspec.Struct, frozen=True):
    """An engine at the sequence of a snapshot, or an empty one at 0; and what was passed over on the way."""

    engine: Engine
    sequence: int
    warnings: list[str]


def restore_newest(folder: Path, new_engine: Callable[[], Engine]) -> Restored:
    """The engine of the newest snapshot that is whole and gives its own digest back; else an empty one."""
    warnings = []
    for path in snapshot_paths(folder):
        try:
            engine = restore_snapshot(load_snapshot(path), new_engine())
        except (SnapshotDamaged, ValueError) as error:
            warnings.append(
                f"{error}; it is passed over, the journal is replayed from further back instead"
            )
            continue
        return Restored(engine, engine.sequence, warnings)
    return Restored(new_engine(), 0, warnings)


def restore_snapshot(snapshot: Snapshot, engine: Engine) -> Engine:
    engine.restore(snapshot.state, snapshot.sequence, snapshot.timestamp_ns)
    if engine.digest() != snapshot.digest:
        raise SnapshotDamaged(
            f"snapshot at sequence {snapshot.sequence}: the engine that read it has digest {engine.digest()}, "
            f"{snapshot.digest} was written"
        )
    return engine


def take_engine_snapshot(engine: Engine) -> Snapshot:
    return Snapshot(engine.sequence, engine.timestamp_ns, engine.digest(), engine.snapshot())


def replay(
    engine: Engine,
    frames: Iterable[Frame],
    on_batch: Callable[[bytes, bytes], None] = lambda commands, events: None,
) -> int:
    """Applies journal frames to an engine and says how many commands that were; the engine may know the first ones."""
    before = engine.sequence
    for frame in frames:
        if frame.first_sequence > engine.sequence + 1:
            raise JournalDamaged(
                f"{frame.path}: begins with command {frame.first_sequence}, and what there is before it ends with "
                f"{engine.sequence}. Put back the segments before it, or a snapshot of command "
                f"{frame.first_sequence - 1} or later"
            )
        commands = skip_commands(frame.commands, engine.sequence + 1 - frame.first_sequence)
        if commands:
            on_batch(commands, engine.apply(commands))
    return engine.sequence - before


def cut_at(frames: Iterable[Frame], sequences: Iterable[int]) -> Iterator[Frame]:
    """The same frames, cut behind each of these sequences that stands inside one."""
    cuts = sorted(sequences)
    for frame in frames:
        inside = cuts[
            bisect_left(cuts, frame.first_sequence) : bisect_left(cuts, frame.last_sequence)
        ]
        starts = [offset for _, offset, _ in iter_starts(frame.commands)] if inside else []
        first = frame.first_sequence
        for last in [*inside, frame.last_sequence]:
            begin = first - frame.first_sequence
            end = last + 1 - frame.first_sequence
            commands = frame.commands
            if inside:
                commands = commands[starts[begin] : starts[end] if end < len(starts) else None]
            yield msgspec.structs.replace(
                frame, first_sequence=first, count=last + 1 - first, commands=commands
            )
            first = last + 1


def skip_commands(commands: bytes, count: int) -> bytes:
    """A batch without its first commands: a snapshot may stand inside a frame."""
    if count <= 0:
        return commands
    starts = [offset for _, offset, _ in iter_starts(commands)]
    return commands[starts[count] :] if count < len(starts) else b""


def with_progress(
    frames: Iterable[Frame], last_sequence: int, say: Say, every_s: float = 1.0
) -> Iterator[Frame]:
    """Passes frames on and says once a second how far they got; a short replay says nothing."""

    def tell(sequence: int, until: int) -> None:
        say(f"replayed up to command {sequence} of {until} ({100 * sequence // until} %)")

    return telling_progress(frames, last_sequence, tell, every_s)


def telling_progress(
    frames: Iterable[Frame],
    last_sequence: int,
    tell: Callable[[int, int], None],
    every_s: float = 1.0,
) -> Iterator[Frame]:
    """Passes frames on and tells once a second up to which command they got, and of how many."""
    told_at = time.monotonic()
    for frame in frames:
        yield frame
        if time.monotonic() - told_at >= every_s:
            told_at = time.monotonic()
            # A journal may grow while it is read.
            last_sequence = max(last_sequence, frame.last_sequence)
            tell(frame.last_sequence, last_sequence)


def journal_folder(path: Path) -> Path:
    """The journal inside a node's data folder, or the path itself if it is a journal."""
    for folder in (path / "journal", path):
        if segment_paths(folder):
            return folder
    raise FileNotFoundError(
        f"no journal in {path}: wanted a folder with *.journal files, or a data folder that has one"
    )
