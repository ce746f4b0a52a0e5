"""``exchange audit``: a journal's commands through an engine, and every invariant looked at from the events alone.

The journal holds commands; what came of them is their function, so an engine says it again.  The auditor then reads as
any client could: it knows no line of the engine.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from exchange.audit import INVARIANTS, Auditor, Violation, differences
from exchange.engine import create_engine
from exchange.errors import ExchangeError
from exchange.recovery import Say, journal_folder, replay, with_progress
from exchange.segments import Frame, last_sequence, scan, segment_paths


class AuditReport(msgspec.Struct):
    """What an audit of a journal came to."""

    commands: int
    seconds: float
    violations: list[Violation]  # oldest first, at most a thousand
    unlike: list[str]  # where the engine's views are not what the events add up to

    @property
    def passed(self) -> bool:
        return not (self.violations or self.unlike)

    def as_text(self, most: int = 20) -> str:
        """The first violations, how many of each invariant, and one line that says how it ended."""
        lines = [f"{violation}" for violation in self.violations[:most]]
        if len(self.violations) > most:
            lines.append(f"... and {len(self.violations) - most} more")
        statements = {name: i.statement for i in INVARIANTS for name in i.names}
        for name, count in Counter(v.invariant for v in self.violations).most_common():
            lines.append(f"{count:>6} x {name}: {statements.get(name, 'a rule of docs/reference')}")
        lines += [f"I20: {text}" for text in self.unlike[:most]]
        checked = sum(bool(invariant.names) for invariant in INVARIANTS)
        end = (
            f"every one of {checked} invariants holds"
            if self.passed
            else f"{len(self.violations)} violations, {len(self.unlike)} differences of views"
        )
        lines.append(f"{self.commands:,} commands in {self.seconds:.1f} s: {end}")
        return "\n".join(lines)


def audit_journal(
    path: Path, *, engine_kind: str = "native", say: Say = lambda text: None
) -> AuditReport:
    """Audits a journal folder, or the one in a data folder, from its first command.

    Raises:
        JournalDamaged: something in it cannot be read.
        ExchangeError: it does not start at command 1.
    """
    folder = journal_folder(path)
    first = int(segment_paths(folder)[0].stem)
    if first != 1:
        raise ExchangeError(
            f"{folder}: the journal starts at command {first}; an audit wants it from command 1, "
            "where nobody has anything yet"
        )
    engine, auditor = create_engine(engine_kind), Auditor()
    started = time.monotonic()

    def on_batch(commands: bytes, events: bytes) -> None:
        auditor.follow(commands, events)

    frames: Iterable[Frame] = with_progress(scan(folder), last_sequence(folder), say)
    replay(engine, frames, on_batch)
    auditor.check()
    return AuditReport(
        commands=engine.sequence,
        seconds=time.monotonic() - started,
        violations=list(auditor.violations),
        unlike=differences(auditor, engine),
    )


def as_json(report: AuditReport) -> str:
    """The report as one line of JSON."""
    values = {
        "commands": report.commands,
        "seconds": round(report.seconds, 3),
        "passed": report.passed,
        "violations": report.violations,
        "unlike": report.unlike,
    }
    return msgspec.json.encode(values).decode()
