"""A changed world: what the commands of a journal become in it, and how its answers compare.

Theory of operation.  The commands of a frame come one by one, each with what the journal's own world made of it.  They
are translated, so that a cancel finds the order that was meant (``counterparts``), rewritten where the policy says so
(``rewrite``), collected and applied together; only a cancel or an amend of what is still among them makes them go
first.  The two results of each command are laid beside each other, and nothing else is kept.
"""

from __future__ import annotations

from collections import Counter

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
from exchange.counterfactual.policy import Policy
from exchange.counterfactual.rewrite import Rewriter, client_order_ids
from exchange.counterfactual.side import Side
from exchange.counterfactual.survey import Survey
from exchange.counterfactual.tally import ACCEPTED
from exchange.peek import EVENT_START
from exchange.protocol.layout import COMMAND_HEADER_BYTES
from exchange.protocol.records import STAMP, STAMP_OFFSET


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


class Branch:
    """One changed world, up to some command of the journal."""

    def __init__(self, side: Side, policy: Policy, survey: Survey) -> None:
        self.side = side
        self.policy = policy
        self.counterparts = Counterparts()
        self.comparer = Comparer(survey.units())
        self.counts: Counter[str] = Counter()
        self._rewriter = Rewriter(policy, survey)
        self._next = 1  # its own sequence
        self._pending: list[Sent] = []
        self._unpaired: set[ClientId] = set()  # under which orders are among them

    def take(self, commands: list[Command], own: Side) -> None:
        """The commands of a frame, with what came of them in the journal's own world."""
        for command in commands:
            self._send(command)
        self._flush()
        self.counterparts.forget(own.engine, self.side.engine)

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
        events, begins = self.side.apply(bytes(batch))
        for index, sent in enumerate(pending):
            self._lay_beside(sent, events, begins[index], begins[index + 1], first + index)

    def _lay_beside(self, sent: Sent, events: bytes, begin: int, end: int, sequence: int) -> None:
        if sent.put_in:
            if EVENT_START.unpack_from(events, begin)[0] != ACCEPTED:
                self.counts["put_in_refused"] += 1
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
