"""Scenario files: a story in YAML, told to an engine, with what has to come of it.

::

    name: a-long-is-liquidated
    symbols:
      BTC: {tick: 1, lot: 0.01, initial_margin: 0.1, brackets: [[0, 0.05]], liquidation: {mode: full}}
    steps:
    - deposit: {account: a, amount: 100}
    - mark: {symbol: BTC, price: 1000}
    - order: {account: a, symbol: BTC, side: buy, quantity: 1, price: 1000}
    - withdraw: {account: a, amount: 1, reject: insufficient_margin}
    - expect: {available: {a: 0}, open_orders: {a.BTC: 1}}

A step that names ``reject`` has to be refused for exactly that reason and leave the state bit-identical, but for what
its time alone does: orders expire, funding is paid; every other step has to be accepted.  After each step money and
positions are added up from the engine's views, and the `Auditor` has read the events: nobody has to ask for either.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from exchange.audit import Auditor
from exchange.engine import Engine, create_engine
from exchange.errors import ExchangeError, ScenarioError
from exchange.protocol.messages import (
    BalanceChanged,
    Deposit,
    Event,
    FundChanged,
    FundingRate,
    FundingSettled,
    OrderCancelled,
    Rejected,
)
from exchange.protocol.records import decode_events, encode_command, stamp
from exchange.protocol.schema import BalanceCause, CancelReason, FundCause, RejectReason
from exchange.sim.expectations import check_expectation
from exchange.sim.scenario_desk import Desk
from exchange.sim.scenario_file import Scenario, Step, load_scenario, parse_scenario, reject_reason
from exchange.sim.scenario_names import Names
from exchange.sim.scenario_steps import plan_step

__all__ = [
    "Failure",
    "Scenario",
    "ScenarioResult",
    "load_scenario",
    "main_run",
    "parse_scenario",
    "run_scenario",
]


#: A command that is always refused: nothing happens but what is due by its time.
NOTHING = encode_command(Deposit(account=0, amount_atoms=1))


class Failure(msgspec.Struct, frozen=True):
    """Something that did not come as the scenario wants it."""

    step: int  # 0: the listing of the symbols
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"step {self.step} (line {self.line}) {self.kind}: {self.text}"


class ScenarioResult(msgspec.Struct, frozen=True):
    """What came of a scenario: its failures, and everything that was sent and answered."""

    name: str
    engine: str
    failures: tuple[Failure, ...]
    commands: bytes
    events: bytes
    digest: str
    records: tuple[bytes, ...]  # the commands one by one
    step_of: tuple[int, ...]  # of each command the step that sent it; 0: the listing of the symbols
    names: Names

    @property
    def passed(self) -> bool:
        return not self.failures


def run_scenario(scenario: Scenario, engine_kind: str = "native") -> ScenarioResult:
    """Tells the story to a new engine of this kind.

    Raises:
        ScenarioError: a step cannot be read; names file, step and key.
    """
    return _Run(scenario, engine_kind).play()


class _Run:
    """One telling of a scenario: the engine, the clock, and what has been found so far."""

    def __init__(self, scenario: Scenario, engine_kind: str) -> None:
        self.scenario = scenario
        self.engine_kind = engine_kind
        self.engine: Engine = create_engine(engine_kind, proving=True)
        self.names = Names(scenario)
        self.desk = Desk(self.engine, self.names)
        self.auditor = Auditor()
        self.timestamp_ns = 0
        self.paid_in_atoms = 0  # deposits less withdrawals, of accounts and funds
        self.commands: list[bytes] = []
        self.step_of: list[int] = []
        self.events: list[bytes] = []
        self.failures: list[Failure] = []

    def play(self) -> ScenarioResult:
        self._list_symbols()
        for step in self.scenario.steps:
            try:
                self._play_step(step)
            except ScenarioError as error:
                raise ScenarioError(
                    f"{self.scenario.path}: step {step.number} (line {step.line}) {step.kind}: {error}"
                ) from None
            except (
                ExchangeError
            ) as error:  # the engine stopped: nothing that follows can mean anything
                self._fail(step, f"the {self.engine_kind} engine stopped: {error}")
                break
        return ScenarioResult(
            name=self.scenario.name,
            engine=self.engine_kind,
            failures=tuple(self.failures),
            commands=b"".join(self.commands),
            events=b"".join(self.events),
            digest=self.engine.digest(),
            records=tuple(self.commands),
            step_of=tuple(self.step_of),
            names=self.names,
        )

    def _list_symbols(self) -> None:
        listing = Step(number=0, line=1, kind="symbols", body={})
        for policy in self.scenario.symbols.values():
            for command in (policy.to_command(), *policy.policy_commands()):
                self._send(listing, encode_command(command), None)

    def _play_step(self, step: Step) -> None:
        if step.kind == "expect":
            for difference in check_expectation(step.body, self.desk):
                self._fail(step, difference)
            return
        wanted = reject_reason(step.body["reject"]) if "reject" in step.body else None
        self.names.now_ns = self.timestamp_ns + self.scenario.pace_ns
        plan = plan_step(step.kind, step.body, self.names)
        self.timestamp_ns += plan.advance_ns
        for record in plan.records:
            self._send(step, record, wanted)
        for problem in self._sums():
            self._fail(step, problem)

    def _send(self, step: Step, record: bytes, wanted: RejectReason | None) -> None:
        """One command: sent, its result compared with what is wanted, its events read by everyone."""
        self.timestamp_ns += self.scenario.pace_ns
        command = stamp(record, self.engine.sequence + 1, self.timestamp_ns)
        before = self.engine.snapshot() if wanted is not None else b""
        raw = self.engine.apply(command)
        self.commands.append(command)
        self.step_of.append(step.number)
        self.events.append(raw)
        events = decode_events(raw)
        for problem in _result_problems(events, wanted):
            self._fail(step, problem)
        if wanted is not None and self._has_changed(before):
            self._fail(step, "the state changed, though the command has to be rejected")
        self.desk.watch(events)
        self.paid_in_atoms += sum(map(_paid_in, events))
        known = len(self.auditor.violations)
        self.auditor.feed_commands(command)
        self.auditor.feed(raw)
        for violation in self.auditor.violations[known:]:
            self._fail(step, str(violation))

    def _has_changed(self, before: bytes) -> bool:
        """Whether a command did more than its time alone: orders expire also where it is refused."""
        if self.engine.snapshot() == before:
            return False
        twin = create_engine(self.engine_kind, proving=True)
        twin.restore(before, self.engine.sequence - 1, 0)
        twin.apply(stamp(NOTHING, twin.sequence + 1, self.timestamp_ns))
        return twin.snapshot() != self.engine.snapshot()

    def _sums(self) -> Iterable[str]:
        """Money is conserved (I1) and positions sum to zero (I2), added up from the engine's views."""
        money = self.engine.fees_atoms() + sum(self.engine.funds().values())
        open_lots: dict[int, int] = {}
        for account in self.engine.accounts():
            view = self.engine.account(account)
            money += view.wallet_atoms + view.isolated_margin_atoms
            for position in self.engine.positions(account):
                money -= position.entry_value_atoms
                open_lots[position.symbol] = (
                    open_lots.get(position.symbol, 0) + position.position_lots
                )
        if money != self.paid_in_atoms:
            yield f"money is not conserved (I1): {self.paid_in_atoms} atoms were paid in, the views add up to {money}"
        for symbol, lots in open_lots.items():
            if lots:
                yield f"positions of symbol {symbol} sum to {lots} lots, not to zero (I2)"

    def _fail(self, step: Step, text: str) -> None:
        self.failures.append(Failure(step.number, step.line, step.kind, text))


def _result_problems(events: Sequence[Event], wanted: RejectReason | None) -> Iterable[str]:
    result = events[0] if events else None
    if isinstance(result, Rejected):
        came = RejectReason(result.reason)
        if wanted is None:
            yield f"wanted accepted, came rejected: {came.name.lower()}"
        elif came is not wanted:
            yield f"wanted rejected: {wanted.name.lower()}, came rejected: {came.name.lower()}"
        effects = sum(not is_by_time(event) for event in events[1:])
        is_paid = any(isinstance(event, FundingSettled) for event in events)
        if effects and not is_paid:  # who pays what was due may be liquidated
            yield f"a rejected command has {effects} further events"
    elif wanted is not None:
        yield f"wanted rejected: {wanted.name.lower()}, came accepted"


def is_by_time(event: Event) -> bool:
    """Whether time alone brings this: an order expires, a countdown runs out, with who is linked to them; a premium."""
    if isinstance(event, FundingRate):
        return True
    return isinstance(event, OrderCancelled) and event.reason in (
        CancelReason.EXPIRED,
        CancelReason.COUNTDOWN,
        CancelReason.LINKED,
    )


def _paid_in(event: Event) -> int:
    if isinstance(event, BalanceChanged) and event.cause in (
        BalanceCause.DEPOSIT,
        BalanceCause.WITHDRAWAL,
        BalanceCause.CONVERSION,
    ):
        return event.wallet_change_atoms
    if isinstance(event, FundChanged) and event.cause == FundCause.DEPOSIT:
        return event.change_atoms
    return 0


# ------------------------------------------------------------------------------------------ command line


def main_run(files: Sequence[str | Path], engine: str = "native", as_json: bool = False) -> int:
    """Runs scenario files and prints one line each, with the details of what failed.

    Returns the exit code: 0 if all passed, 1 if an expectation failed, 2 if a file cannot be read.
    """
    code = 0
    reports = []
    for path in files:
        try:
            result = run_scenario(load_scenario(path), engine)
        except ScenarioError as error:
            code = 2
            reports.append(
                {"file": str(path), "passed": False, "error": str(error), "failures": []}
            )
            if not as_json:
                print(f"ERROR {error}", file=sys.stderr)
            continue
        code = code if result.passed else max(code, 1)
        reports.append(_report(path, result))
        if not as_json:
            print(f"{'ok   ' if result.passed else 'FAIL '} {path}")
            for failure in result.failures:
                print(f"      {failure}")
    if as_json:
        print(json.dumps(reports, indent=2))
    return code


def _report(path: str | Path, result: ScenarioResult) -> dict[str, object]:
    return {
        "file": str(path),
        "name": result.name,
        "engine": result.engine,
        "passed": result.passed,
        "digest": result.digest,
        "failures": [msgspec.to_builtins(failure) for failure in result.failures],
    }
