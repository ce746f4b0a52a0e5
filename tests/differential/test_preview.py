"""A preview is what would really come: random states and commands, tried first and then carried out.

The fuzzer's streams run through both engines.  Every so often the next command is tried before it is carried out: both
engines must give the same preview and be left as they were, and the verdict, the fills, the fees and the account's
numbers must be those that the command then really has.  The numbers may differ only where others react, which a preview
leaves out and says so.
"""

from __future__ import annotations

from collections import Counter
from random import Random

from exchange.engine import Engine
from exchange.fuzz.choices import time_of
from exchange.fuzz.differ import Differ
from exchange.fuzz.generator import Generator
from exchange.protocol import messages as m
from exchange.protocol.messages import Command, Event
from exchange.protocol.preview import Assumption, PreviewView
from exchange.protocol.records import decode_commands, decode_events
from exchange.protocol.schema import (
    MESSAGE_BY_NUMBER,
    AdlPolicy,
    CancelReason,
    FillRole,
    RejectReason,
)
from exchange.protocol.views import PositionView
from exchange.whatif import preview, standing, step_view, unranked

COMMANDS = 500
SEEDS = range(8)
CRASHES = (2, 19, 20, 23)
#: What others did because of the command, other than meeting it in the book.
REACTIONS = (
    m.OrderTriggered,
    m.LiquidationStarted,
    m.LiquidationOrder,
    m.LiquidationEnded,
    m.DeficitUncovered,
)


def may_be_tried(command: Command) -> bool:
    sender = MESSAGE_BY_NUMBER[command.number].sender
    return sender == "trader" or isinstance(command, m.SetMark)


def others_react(events: list[Event], account: int) -> bool:
    """Whether somebody else did more than be traded with, or could not."""
    for event in events:
        if isinstance(
            event, m.DeficitUncovered | m.FundingSettled
        ):  # a pocket has no funding policy
            return True
        if event.account in (0, account):
            continue
        if isinstance(event, REACTIONS):
            return True
        if isinstance(event, m.Fill) and event.role == FillRole.LIQUIDATED:
            return True
        if isinstance(event, m.OrderCancelled) and event.reason == CancelReason.INSUFFICIENT_MARGIN:
            return True
    return False


def makers_were_asked(events: list[Event], account: int) -> bool:
    """A fill-or-kill order was killed: it asks its makers first, and one may not have been good for its order."""
    return any(
        isinstance(event, m.OrderCancelled)
        and event.account == account
        and event.reason == CancelReason.FILL_OR_KILL
        for event in events
    )


class Trial:
    """One stream, some of whose commands are tried before they are carried out."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.differ = Differ(deep_every=10**9)
        self.generator = Generator(seed, self.differ.state)
        self.counts: Counter[str] = Counter()

    def run(self, commands: int) -> None:
        for index in range(commands):
            record = self.generator.next_record()
            command = self.readable(record)
            if command is None or self.random.random() > 0.25:
                self.carry_out(record)
                continue
            account = command.account
            if isinstance(command, m.SetMark):
                account = self.random.choice(self.generator.world.accounts)
            self.compare(command, account, self.tried(command, account, index), record)

    def readable(self, record: bytes) -> Command | None:
        """The command, if it is one that can be tried, of an account that there can be."""
        try:
            (command,) = decode_commands(record)
        except ValueError:
            return None
        is_account = 1 <= command.account < 1 << 24 or isinstance(command, m.SetMark)
        return command if may_be_tried(command) and is_account else None

    def carry_out(self, record: bytes) -> list[Event]:
        events, failure = self.differ.step(record)
        assert failure is None, failure
        return decode_events(events)

    def tried(self, command: Command, account: int, index: int) -> PreviewView:
        """The preview, the same on both engines, which are left as they were."""
        views = []
        for engine in self.differ.engines.values():
            digest = engine.digest()
            views.append(preview(engine, account, [command], time_of(index)))
            assert engine.digest() == digest
        assert views[0] == views[1]
        return views[0]

    def compare(self, command: Command, account: int, told: PreviewView, record: bytes) -> None:
        engine = self.differ.engines["native"]
        assert told.before == unranked(standing(engine, account))
        events = self.carry_out(record)
        real = step_view(command, account, events)
        if real.reason == RejectReason.MARK_IS_COMPOSITE:
            return  # what if it were there, all the same
        assert (told.steps[0].accepted, told.steps[0].reason) == (real.accepted, real.reason), (
            command
        )
        self.counts["accepted" if real.accepted else "rejected"] += 1
        if others_react(events, account) or makers_were_asked(events, account):
            self.counts["others react"] += 1
            return
        assert told.steps[0] == real, command
        assert told.after == unranked(standing(engine, account)), command
        self.counts["equal"] += 1
        self.counts["traded"] += bool(real.filled_lots)
        self.counts["liquidated"] += bool(real.liquidated_pools)


def test_what_is_told_before_is_what_comes() -> None:
    counts: Counter[str] = Counter()
    for seed in SEEDS:
        trial = Trial(seed)
        trial.run(COMMANDS)
        counts += trial.counts
    tried = counts["accepted"] + counts["rejected"]
    assert counts["equal"] > 0.9 * tried > 500
    assert counts["traded"] > 30 and counts["rejected"] > 100


def test_of_a_crash_both_engines_tell_the_same() -> None:
    """Marks far away: pools end below zero, in hedge mode too, and under every policy of deleveraging (ADL-05)."""
    deficits: Counter[int] = Counter()
    for seed in CRASHES:
        trial, policies = Trial(seed), Counter[int]()
        for _ in range(COMMANDS):
            for event in trial.carry_out(trial.generator.next_record()):
                if isinstance(event, m.AdlPolicySet):
                    policies[event.symbol] = event.policy
        native = trial.differ.engines["native"]
        for view in [view for account in native.accounts() for view in native.positions(account)]:
            for percent in (20, 60, 150, 400):
                if tell_alike(trial, view, max(1, view.mark_ticks * percent // 100)):
                    deficits[policies[view.symbol]] += 1
    assert set(deficits) == set(AdlPolicy) and deficits.total() > 10, deficits


def tell_alike(trial: Trial, view: PositionView, price_ticks: int) -> bool:
    """Both engines tell the same of the mark there; whether a deficit is borne."""
    mark = m.SetMark(symbol=view.symbol, price_ticks=price_ticks)
    native, reference = (preview(e, view.account, [mark]) for e in trial.differ.engines.values())
    assert native == reference, (view, mark)
    return Assumption.DEFICIT in native.assumes


def test_the_shown_liquidation_price_is_exact_in_every_world() -> None:
    """MARGIN-09: alone in its pocket venue, a pool is liquidated at the shown mark and not a tick before."""
    reached = 0
    for seed in SEEDS:
        trial = Trial(seed)
        for _ in range(COMMANDS):
            trial.carry_out(trial.generator.next_record())
        for engine in trial.differ.engines.values():
            for account in engine.accounts():
                for view in engine.positions(account):
                    if (
                        view.liquidation_price_ticks
                        and not view.liquidating
                        and not view.auto_margin  # it may be lifted there (ACCT-09)
                    ):
                        reached += check_first_bad_mark(engine, view)
    assert reached > 10


def check_first_bad_mark(engine: Engine, view: PositionView) -> bool:
    """Whether the mark may go there (UNITS-01); the pool is liquidated there, and not one tick nearer."""
    price = view.liquidation_price_ticks
    nearer = price + (1 if view.position_lots > 0 else -1)
    pool = view.symbol if view.margin_mode else 0
    at, before = (
        preview(engine, view.account, [m.SetMark(symbol=view.symbol, price_ticks=mark)]).steps[0]
        for mark in (price, nearer)
    )
    if not at.accepted:
        return False
    assert pool in at.liquidated_pools, view
    assert price == view.mark_ticks or pool not in before.liquidated_pools, view
    return True
