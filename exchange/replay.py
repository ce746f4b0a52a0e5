"""Replays a journal from its first command: the digest it ends in, what happened in it, and whether it is right.

A journal is the whole truth about an exchange, so the same commands in a fresh engine give the same events and the same
state.  ``verify`` has the reference engine do the same work beside the native one, compares the events of every batch,
and lets the auditor check the invariants from the events alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from exchange.engine import Engine, create_engine
from exchange.errors import ExchangeError
from exchange.peek import EVENT_START, event_number, field_reader
from exchange.protocol.records import decode_events
from exchange.protocol.schema import FillRole, FundCause, RejectReason
from exchange.recovery import Say, cut_at, journal_folder, replay, with_progress
from exchange.segments import Frame, digest_notes, last_sequence, scan, segment_paths
from exchange.units import from_atoms

ACCEPTED, REJECTED, FILL = (event_number(name) for name in ("accepted", "rejected", "fill"))
FUND_CHANGED, STARTED = event_number("fund_changed"), event_number("liquidation_started")
read_rejected = field_reader("rejected", "reason")
read_fill = field_reader("fill", "role", "value_atoms")
read_fund = field_reader("fund_changed", "cause", "change_atoms")
DRAWS = (FundCause.LIQUIDATION_DEFICIT, FundCause.DEFICIT_COVER)


class ReplayDiffers(ExchangeError):
    """The two engines do not agree on a journal, or an invariant does not hold."""


class Summary(msgspec.Struct):
    """What happened in a journal."""

    sequence: int = 0
    digest: str = ""
    commands: int = 0
    accepted: int = 0
    rejected: dict[str, int] = msgspec.field(default_factory=Counter)  # by reason
    fills: int = 0  # pairs: one for each trade id
    volume_atoms: int = 0  # value of all fills
    liquidations: int = 0
    fund_draws: int = 0
    fund_drawn_atoms: int = 0
    adl_fills: int = 0
    verified: bool = False

    def feed(self, events: bytes) -> None:
        """Counts one batch of events."""
        offset = 0
        while offset < len(events):
            number, size, _, _ = EVENT_START.unpack_from(events, offset)
            if number == ACCEPTED:
                self.accepted += 1
            elif number == REJECTED:
                self.rejected[RejectReason(read_rejected(events, offset)[0]).name.lower()] += 1
            elif number == FILL:
                self._count_fill(*read_fill(events, offset))
            elif number == FUND_CHANGED:
                self._count_fund(*read_fund(events, offset))
            elif number == STARTED:
                self.liquidations += 1
            offset += size
        self.commands = self.accepted + sum(self.rejected.values())

    def _count_fill(self, role: int, value_atoms: int) -> None:
        # Each trade has two halves; the maker's and the counterparty's are the ones not counted.
        if role in (FillRole.TAKER, FillRole.LIQUIDATED, FillRole.DELEVERAGED):
            self.fills += 1
            self.volume_atoms += value_atoms
            self.adl_fills += role == FillRole.DELEVERAGED

    def _count_fund(self, cause: int, change_atoms: int) -> None:
        if cause in DRAWS:
            self.fund_draws += 1
            self.fund_drawn_atoms -= change_atoms

    def as_text(self) -> str:
        reasons = sorted(self.rejected.items(), key=lambda item: (-item[1], item[0]))
        lines = [
            ("digest", self.digest),
            ("sequence", self.sequence),
            ("commands", self.commands),
            ("accepted", self.accepted),
            ("rejected", sum(self.rejected.values())),
            *((f"  {reason}", count) for reason, count in reasons),
            ("fills", self.fills),
            ("volume", from_atoms(self.volume_atoms)),
            ("liquidations", self.liquidations),
            ("fund draws", self.fund_draws),
            ("fund drawn", from_atoms(self.fund_drawn_atoms)),
            ("adl fills", self.adl_fills),
        ]
        if self.verified:
            lines.append(("verified", "both engines gave the same events, every invariant holds"))
        return "\n".join(f"{name:<28} {value}" for name, value in lines)


class Verifier:
    """A second opinion on every batch: the reference engine, and the auditor."""

    def __init__(self) -> None:
        from exchange.audit import Auditor  # a plain replay has no use for it

        self._reference = create_engine("reference")
        self._auditor = Auditor()

    def check(self, commands: bytes, events: bytes) -> None:
        expected = self._reference.apply(commands)
        if events != expected:
            raise ReplayDiffers(first_difference(events, expected))
        self._auditor.feed_commands(commands)
        self._auditor.feed(events)
        if self._auditor.violations:
            raise ReplayDiffers(f"an invariant is broken: {self._auditor.violations[0]}")

    def check_end(self, engine: Engine) -> None:
        self._auditor.check()
        if self._auditor.violations:
            raise ReplayDiffers(f"an invariant is broken: {self._auditor.violations[0]}")
        if engine.digest() != self._reference.digest():
            raise ReplayDiffers(
                f"after command {engine.sequence} the states differ although all events agreed: "
                f"digest {engine.digest()}, the reference engine's is {self._reference.digest()}"
            )


def first_difference(events: bytes, expected: bytes) -> str:
    """The first event on which two engines do not agree, in words."""
    ours, theirs = decode_events(events), decode_events(expected)
    for mine, reference in zip(ours, theirs, strict=False):
        if mine != reference:
            return f"command {reference.sequence}: the engine gave {mine}, the reference engine {reference}"
    longer, who = (
        (ours, "the engine") if len(ours) > len(theirs) else (theirs, "the reference engine")
    )
    extra = longer[min(len(ours), len(theirs))]
    return f"command {extra.sequence}: only {who} gave {extra}"


def replay_journal(
    path: Path, *, engine_kind: str = "native", verify: bool = False, say: Say = lambda text: None
) -> Summary:
    """Replays a journal folder, or the one in a data folder, into a fresh engine.

    Raises:
        JournalDamaged: something in it cannot be read.
        ReplayDiffers: ``verify`` found a difference, or a digest noted in the journal is not reached.
    """
    folder = journal_folder(path)
    first = int(segment_paths(folder)[0].stem)
    if first != 1:
        raise ExchangeError(
            f"{folder}: the journal starts at command {first}; a replay wants it from command 1"
        )
    engine, verifier, summary = (
        create_engine(engine_kind),
        Verifier() if verify else None,
        Summary(),
    )

    noted = dict(digest_notes(folder))

    def on_batch(commands: bytes, events: bytes) -> None:
        summary.feed(events)
        if verifier is not None:
            verifier.check(commands, events)
        if engine.sequence in noted and engine.digest() != noted[engine.sequence]:
            raise ReplayDiffers(
                f"after command {engine.sequence} the digest is {engine.digest()}; when the journal was made it was "
                f"{noted[engine.sequence]}. `exchange verify` finds the first command at which two builds differ"
            )

    frames: Iterable[Frame] = with_progress(scan(folder), last_sequence(folder), say)
    replay(engine, cut_at(frames, noted), on_batch)
    if verifier is not None:
        verifier.check_end(engine)
    summary.verified = verify
    summary.sequence, summary.digest = engine.sequence, engine.digest()
    return summary


def as_json(summary: Summary) -> str:
    values: dict[str, Any] = {**msgspec.structs.asdict(summary), "rejected": dict(summary.rejected)}
    return msgspec.json.encode(values).decode()
