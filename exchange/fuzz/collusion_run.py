"""Runs worlds with a coalition in them: both engines, the auditor, and the coalition's books."""

from __future__ import annotations

from collections.abc import Sequence

from exchange.fuzz.coalition import Coalition, Take
from exchange.fuzz.collusion import Collusion
from exchange.fuzz.differ import Differ, DifferKind, Failure, Statistics, meaning_of
from exchange.protocol.messages import ListSymbol
from exchange.protocol.records import decode_events


class CollusionDiffer(Differ):
    """The engines side by side, the auditor, and what the coalition got out of it."""

    def __init__(self, engines: Sequence[str], deep_every: int, coalition: Coalition) -> None:
        super().__init__(engines, deep_every)
        self.coalition = coalition

    def audit(self, command: bytes, events: bytes) -> Failure | None:
        failure = super().audit(command, events)
        if failure is not None:
            return failure
        said = meaning_of(command)
        if isinstance(said, ListSymbol):
            self.coalition.listings.setdefault(said.symbol, said)
        wrong = self.coalition.read(decode_events(events))
        if not wrong:
            return None
        return self.failure(f"coalition {wrong[0].split(':')[0]}", "\n".join(wrong))


def run_collusion(
    seed: int,
    count: int,
    engines: Sequence[str],
    deep_every: int,
    statistics: Statistics | None = None,
) -> tuple[list[bytes], Failure | None, Take, DifferKind]:
    """A world with a coalition: its commands, the first failure, what the coalition got, and how to run it again."""
    differ = CollusionDiffer(engines, deep_every, Coalition(()))
    generator = Collusion(seed, differ.state)
    members, sealed = generator.members, generator.sealed
    differ.coalition = Coalition(members, sealed=sealed)

    def again(kinds: Sequence[str], deep: int) -> CollusionDiffer:
        return CollusionDiffer(kinds, deep, Coalition(members, sealed=sealed))

    records: list[bytes] = []
    failure = None
    for _ in range(count):
        record = generator.next_record()
        records.append(record)
        events, failure = differ.step(record)
        if statistics is not None:
            statistics.count(record, events)
        if failure is not None:
            break
    else:
        failure = differ.look_deep()
    if statistics is not None:
        statistics.changes += differ.lives.seen
    return records, failure, differ.coalition.take, again
