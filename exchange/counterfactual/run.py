"""Two worlds in one pass over a journal: its own, and the one that a policy makes of the same commands.

Theory of operation.  Both engines read the journal side by side.  The own world takes each frame as it stands.  Then
its commands go to the changed world one by one: translated, so that a cancel finds the order that was meant
(``counterparts``), and rewritten where the policy says so (``rewrite``).  They are collected and applied together; only
a cancel or an amend of an order that is still among them makes them go first.  The results of each command are laid
beside each other, and nothing else is kept: memory is what the two engines hold.

Nobody reacts.  The commands of the changed world are what traders sent in the own one; who would have traded on, or
stopped, had things gone differently, is not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from exchange.counterfactual.compare import Comparer
from exchange.counterfactual.counterparts import (
    NAMED,
    NAMING,
    PLACING,
    ClientId,
    Counterparts,
    Placed,
    placed_orders,
)
from exchange.counterfactual.outcome import (
    AccountChange,
    Accounts,
    Curves,
    Outcome,
    Standing,
    World,
)
from exchange.counterfactual.policy import Policy
from exchange.counterfactual.rewrite import HEADER, Rewriter, client_order_ids
from exchange.counterfactual.survey import Survey
from exchange.counterfactual.tally import ACCEPTED, Follower
from exchange.engine import Engine, create_engine
from exchange.explain.source import Source
from exchange.peek import EVENT_START
from exchange.protocol.layout import COMMAND_HEADER_BYTES
from exchange.protocol.records import STAMP, STAMP_OFFSET, iter_starts
from exchange.recovery import Say
from exchange.replay import ReplayDiffers, Verifier
from exchange.snapshot import SnapshotDamaged, load_snapshot, snapshot_paths
from exchange.units import E12, plain

#: Hears every batch of a world: its name, commands and events.
Listen = Callable[[str, bytes, bytes], None]
OWN, CHANGED = "as it was", "changed"


class Command(msgspec.Struct):
    """A command of the journal, and what came of it in its own world."""

    number: int
    account: int
    sequence: int
    timestamp_ns: int
    record: bytes
    own_events: bytes  # of its frame
    begin: int
    end: int

    @property
    def accepted(self) -> bool:
        return bool(EVENT_START.unpack_from(self.own_events, self.begin)[0] == ACCEPTED)


class Sent(msgspec.Struct):
    """A record on its way to the changed world."""

    record: bytes
    command: Command
    put_in: bool = False  # the journal has no such command
    rewritten: bool = False  # the policy changed it


class Side:
    """An engine with all that reads along."""

    def __init__(self, name: str, engine_kind: str, verify: bool, listen: Listen | None) -> None:
        self.name = name
        self.engine: Engine = create_engine(engine_kind)
        self.follower = Follower()
        self._verifier = Verifier() if verify else None
        self._listen = listen

    def apply(self, commands: bytes) -> tuple[bytes, list[int]]:
        """Events of a batch, and where those of each command begin, with the end behind them."""
        events = self.engine.apply(commands)
        if self._listen is not None:
            self._listen(self.name, commands, events)
        if self._verifier is not None:
            try:
                self._verifier.check(commands, events)
            except ReplayDiffers as error:
                raise ReplayDiffers(f"the world {self.name}: {error}") from None
        return events, [*self.follower.feed(events), len(events)]

    @property
    def brought(self) -> set[int]:
        """Who ever brought something, whether or not anything is left of it."""
        return {*self.follower.paid_in, *(account for account, _ in self.follower.parts_in)}

    def finish(self) -> World:
        if self._verifier is not None:
            self._verifier.check_end(self.engine)
        return World(
            tally=self.follower.finish(),
            sequence=self.engine.sequence,
            digest=self.engine.digest(),
            fees_atoms=self.engine.fees_atoms(),
            withdrawals_stopped=self.engine.uncovered(),
        )


class Worlds:
    """Both worlds, up to some command."""

    def __init__(
        self,
        policy: Policy,
        survey: Survey,
        *,
        engine_kind: str = "native",
        verify: bool = False,
        listen: Listen | None = None,
    ) -> None:
        self.own = Side(OWN, engine_kind, verify, listen)
        self.changed = Side(CHANGED, engine_kind, verify, listen)
        self.counterparts = Counterparts()
        self.comparer = Comparer()
        self.counts: Counter[str] = Counter()
        self._rewriter = Rewriter(policy, survey)
        self._next = 1  # sequence of the changed world
        self._pending: list[Sent] = []
        self._unpaired: set[ClientId] = set()  # under which orders are among them

    def take(self, commands: bytes) -> None:
        """One frame of the journal, through both."""
        events, begins = self.own.apply(commands)
        for index, (number, offset, size) in enumerate(iter_starts(commands)):
            record = commands[offset : offset + size]
            _, _, account, sequence, timestamp_ns = HEADER.unpack_from(record)
            begin, end = begins[index], begins[index + 1]
            self._send(Command(number, account, sequence, timestamp_ns, record, events, begin, end))
        self._flush()
        self.counterparts.forget(self.own.engine, self.changed.engine)

    def _send(self, command: Command) -> None:
        record = command.record
        if command.number in NAMING:
            self._settle_named(command)
            record = self.counterparts.translate(record, command.account)
        rewritten = self._rewriter.rewrite(command.number, record, command.accepted)
        if rewritten is None:
            self._queue(Sent(record, command))
            return
        for extra in rewritten.before:
            self._queue(Sent(extra, command, put_in=True))
        if rewritten.before:
            self._flush()  # whether it was taken decides what is put in next
        if rewritten.record:
            is_other = rewritten.record != record
            self.counts["rewritten"] += is_other
            self._queue(Sent(rewritten.record, command, rewritten=is_other))
        else:
            self.counts["left_out"] += 1
        for extra in rewritten.behind:
            self._queue(Sent(extra, command, put_in=True))

    def _queue(self, sent: Sent) -> None:
        self.counts["put_in"] += sent.put_in
        self._pending.append(sent)
        command = sent.command
        if command.number in PLACING:
            for client_id in client_order_ids(command.number, command.record):
                self._unpaired.add((command.account, client_id))

    def _settle_named(self, command: Command) -> None:
        """What the command names has to be known in the changed world first."""
        order_id, client_id = NAMED.unpack_from(command.record, COMMAND_HEADER_BYTES)
        # A number that nobody was given yet may be given in the changed world by what is still pending.
        if not self.counterparts.knows(order_id) or (command.account, client_id) in self._unpaired:
            self._flush()

    def _flush(self) -> None:
        """Applies what is pending to the changed world, and lays it beside the own one."""
        pending, self._pending = self._pending, []
        self._unpaired.clear()
        if not pending:
            return
        batch = bytearray()
        first = self._next
        for sent in pending:
            at = len(batch) + STAMP_OFFSET
            batch += sent.record
            STAMP.pack_into(batch, at, self._next, sent.command.timestamp_ns)
            self._next += 1
        events, begins = self.changed.apply(bytes(batch))
        for index, sent in enumerate(pending):
            self._lay_beside(sent, events, begins[index], begins[index + 1], first + index)

    def _lay_beside(self, sent: Sent, events: bytes, begin: int, end: int, sequence: int) -> None:
        if sent.put_in:
            if EVENT_START.unpack_from(events, begin)[0] != ACCEPTED:
                self._rewriter.refused(sent.record)
            return
        command = sent.command
        if command.number in PLACING:
            placed = placed_orders(command.number, events, begin, end)
            self.counterparts.pair(command.account, own_orders(command), placed)
        self.comparer.compare(
            command.number,
            command.record,
            (command.own_events, command.begin, command.end),
            (events, begin, end),
            same_command=not sent.rewritten,
            shift=sequence - command.sequence,
        )


def own_orders(command: Command) -> Placed:
    """The orders that a command placed in the own world."""
    return placed_orders(command.number, command.own_events, command.begin, command.end)


# ---------------------------------------------------------------------------------------------- a whole journal


def run(
    source: Source,
    policy: Policy,
    survey: Survey,
    *,
    engine_kind: str = "native",
    verify: bool = False,
    top: int = 5,
    snapshots: Path | None = None,
    say: Say = lambda text: None,
    listen: Listen | None = None,
) -> tuple[Outcome, Curves]:
    """Runs a journal in both worlds.

    ``snapshots``: a folder whose snapshots the own world must come by, with their digests.

    Raises:
        ReplayDiffers: the own world is not the journal's, or ``verify`` found a difference.
    """
    worlds = Worlds(policy, survey, engine_kind=engine_kind, verify=verify, listen=listen)
    digests = snapshot_digests(snapshots)
    seen = 0
    for frame in source.frames(say):
        for piece, last in cut_at(frame.commands, frame.first_sequence, digests):
            worlds.take(piece)
            if last in digests:
                check_digest(worlds.own.engine, digests[last])
                seen += 1
    own, changed = worlds.own.finish(), worlds.changed.finish()
    comparer = worlds.comparer
    outcome = Outcome(
        changes=policy.changes,
        own=own,
        changed=changed,
        rewritten=worlds.counts["rewritten"],
        put_in=worlds.counts["put_in"],
        left_out=worlds.counts["left_out"],
        identical=comparer.first is None
        and own.digest == changed.digest
        and own.sequence == changed.sequence,
        first=comparer.first,
        first_felt=comparer.first_felt,
        refusals=comparer.refusals(),
        examples=comparer.examples,
        orders=worlds.counterparts.lost,
        accounts=compare_accounts(worlds, top),
        verified=verify,
        snapshots=seen,
        names={view.symbol: view.name for view in worlds.own.engine.symbols()},
        tick_sizes={v.symbol: plain(E12 * v.tick_size_e12) for v in worlds.own.engine.symbols()},
        account_names=source.account_names,
        fund_names=source.fund_names,
    )
    return outcome, Curves(worlds.own.follower, worlds.changed.follower)


def snapshot_digests(folder: Path | None) -> dict[int, str]:
    """The digests of a node's snapshots, by sequence; damaged ones are passed over, as a node does."""
    digests = {}
    for path in snapshot_paths(folder) if folder is not None and folder.is_dir() else ():
        try:
            snapshot = load_snapshot(path)
        except SnapshotDamaged:
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


def compare_accounts(worlds: Worlds, top: int) -> Accounts:
    """Every account in both worlds, the ``top`` that gained and lost most by name."""
    numbers = sorted(
        {
            n
            for side in (worlds.own, worlds.changed)
            for n in (*side.engine.accounts(), *side.brought)
        }
    )
    found = Accounts()
    changes = []
    for account in numbers:
        change = AccountChange(
            account, standing(worlds.own, account), standing(worlds.changed, account)
        )
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


def standing(side: Side, account: int) -> Standing:
    """Where an account ended; collateral that came in or went out counts at its last price."""
    engine, follower = side.engine, side.follower
    view = engine.account(account)
    equity = view.wallet_atoms + sum(
        position.margin_atoms + position.unrealised_atoms for position in engine.positions(account)
    )
    brought = follower.paid_in.get(account, 0)
    assets = {asset.asset: asset for asset in engine.assets()} if follower.parts_in else {}
    held = {h.asset: h.parts for h in engine.collateral(account)} if assets else {}
    for number, asset in assets.items():
        worth = asset.price_atoms, asset.unit_parts
        equity += worth_of(held.get(number, 0), *worth)
        brought += worth_of(follower.parts_in.get((account, number), 0), *worth)
    return Standing(equity, equity - brought, follower.liquidated[account])


def worth_of(parts: int, price_atoms: int, unit_parts: int) -> int:
    return parts * price_atoms // unit_parts
