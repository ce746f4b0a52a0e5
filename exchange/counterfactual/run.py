"""A journal in its own world, and in those that policies make of the same commands, in one pass.

Every engine reads the journal side by side: the own world takes each frame as it stands, and then each changed world
takes its commands (``branch``).  Memory is what the engines hold.

Nobody reacts.  The commands of a changed world are what traders sent in the own one; who would have traded on, or
stopped, had things gone differently, is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from exchange.counterfactual.branch import Branch, Command
from exchange.counterfactual.outcome import (
    AccountChange,
    Accounts,
    Curves,
    Outcome,
    Standing,
    World,
)
from exchange.counterfactual.policy import Policy
from exchange.counterfactual.rewrite import HEADER
from exchange.counterfactual.side import OWN, Listen, Side
from exchange.counterfactual.survey import Survey
from exchange.engine import Engine, create_engine
from exchange.explain.source import Source
from exchange.protocol.records import iter_starts
from exchange.recovery import Say, restore_snapshot
from exchange.replay import ReplayDiffers
from exchange.snapshot import SnapshotDamaged, load_snapshot, snapshot_paths
from exchange.units import E12, plain


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How a journal is read."""

    engine_kind: str = "native"
    verify: bool = False  # the reference engine and the auditor read along in every world
    top: int = 5  # accounts named that gained and lost most
    snapshots: Path | None = None  # a folder of snapshots whose digests the own world must have


class Worlds:
    """The own world and the changed ones, by name, up to some command."""

    def __init__(
        self,
        policies: Mapping[str, Policy],
        survey: Survey,
        reading: Reading,
        listen: Listen | None = None,
    ) -> None:
        def side(name: str) -> Side:
            return Side(name, reading.engine_kind, reading.verify, listen)

        self.own = side(OWN)
        self.branches = [Branch(side(name), policy, survey) for name, policy in policies.items()]

    def take(self, commands: bytes) -> None:
        """One frame of the journal, through all of them."""
        events, begins = self.own.apply(commands)
        taken = []
        for index, (number, offset, size) in enumerate(iter_starts(commands)):
            record = commands[offset : offset + size]
            _, _, account, sequence, timestamp_ns = HEADER.unpack_from(record)
            bounds = begins[index], begins[index + 1]
            taken.append(Command(number, account, sequence, timestamp_ns, record, events, *bounds))
        for branch in self.branches:
            branch.take(taken, self.own)


def run(
    source: Source,
    policies: Mapping[str, Policy],
    survey: Survey,
    reading: Reading | None = None,
    *,
    say: Say = lambda text: None,
    listen: Listen | None = None,
) -> list[tuple[Outcome, Curves]]:
    """Runs a journal under policies, named by the keys; an outcome for each.

    Raises:
        ReplayDiffers: the own world is not the journal's, or a second opinion differs.
    """
    reading = reading or Reading()
    worlds = Worlds(policies, survey, reading, listen)
    digests = snapshot_digests(reading.snapshots)
    seen = 0
    for frame in source.frames(say):
        for piece, last in cut_at(frame.commands, frame.first_sequence, digests):
            worlds.take(piece)
            if last in digests:
                check_digest(worlds.own.engine, digests[last])
                seen += 1
    own = worlds.own.finish()
    return [
        (
            outcome_of(worlds.own, own, branch, reading, seen, source),
            Curves(worlds.own.follower, branch.side.follower),
        )
        for branch in worlds.branches
    ]


def outcome_of(
    own_side: Side, own: World, branch: Branch, reading: Reading, snapshots: int, source: Source
) -> Outcome:
    """What one changed world comes to, beside the own one."""
    changed = branch.side.finish()
    comparer = branch.comparer
    symbols = own_side.engine.symbols()
    return Outcome(
        policy=branch.side.name,
        changes=branch.policy.changes,
        own=own,
        changed=changed,
        rewritten=branch.counts["rewritten"],
        put_in=branch.counts["put_in"],
        put_in_refused=branch.counts["put_in_refused"],
        left_out=branch.counts["left_out"],
        identical=comparer.first is None
        and own.digest == changed.digest
        and own.sequence == changed.sequence,
        first=comparer.first,
        first_felt=comparer.first_felt,
        refusals=comparer.refusals(),
        examples=comparer.examples,
        orders=branch.counterparts.lost,
        accounts=compare_accounts(own_side, branch.side, reading.top),
        verified=reading.verify,
        snapshots=snapshots,
        names={view.symbol: view.name for view in symbols},
        tick_sizes={view.symbol: plain(E12 * view.tick_size_e12) for view in symbols},
        account_names=source.account_names,
        fund_names=source.fund_names,
    )


def snapshot_digests(folder: Path | None) -> dict[int, str]:
    """The digests of a node's snapshots, by sequence.

    One that is damaged, or of a version that wrote its state otherwise, is passed over, as a node does.
    """
    digests = {}
    for path in snapshot_paths(folder) if folder is not None and folder.is_dir() else ():
        try:
            snapshot = load_snapshot(path)
            restore_snapshot(snapshot, create_engine("native"))
        except (SnapshotDamaged, ValueError):
            continue
        digests[snapshot.sequence] = snapshot.digest
    return digests


def cut_at(
    commands: bytes, first_sequence: int, digests: dict[int, str]
) -> Iterator[tuple[bytes, int]]:
    """A frame in pieces that end where a snapshot was taken, each with its last sequence."""
    begin, sequence, end = 0, first_sequence - 1, 0
    if digests:
        for _, offset, size in iter_starts(commands):
            sequence, end = sequence + 1, offset + size
            if sequence in digests:
                yield commands[begin:end], sequence
                begin = end
    if begin < len(commands):
        yield commands[begin:], sequence


def check_digest(engine: Engine, digest: str) -> None:
    if engine.digest() != digest:
        raise ReplayDiffers(
            f"after command {engine.sequence} the world as it was has digest {engine.digest()}, "
            f"the journal's snapshot has {digest}"
        )


# ------------------------------------------------------------------------------------------------ accounts


def compare_accounts(own: Side, changed: Side, top: int) -> Accounts:
    """Every account in both worlds, the ``top`` that gained and lost most by name."""
    found = Accounts()
    changes = []
    for account in sorted({*own.standings, *changed.standings}):
        before = own.standings.get(account, Standing())
        change = AccountChange(account, before, changed.standings.get(account, Standing()))
        gain = change.gain_atoms
        found.better += gain > 0
        found.worse += gain < 0
        found.same += gain == 0
        found.better_atoms += max(0, gain)
        found.worse_atoms += max(0, -gain)
        if gain:
            changes.append(change)
    changes.sort(key=lambda change: (-change.gain_atoms, change.account))
    found.gained_most = [change for change in changes[:top] if change.gain_atoms > 0]
    found.lost_most = [change for change in changes[::-1][:top] if change.gain_atoms < 0]
    return found
