"""What a comparison of two worlds comes to: one object with every number, in the engine's integers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from exchange.counterfactual.counterparts import Lost
from exchange.counterfactual.policy import Change
from exchange.counterfactual.tally import Follower, Tally


class Standing(msgspec.Struct, frozen=True):
    """Where an account ended in one world."""

    equity_atoms: int = 0  # wallet, isolated pools, profits and losses at the last marks, collateral at its last price
    result_atoms: int = 0  # that, less what it brought in and did not take out
    liquidations: int = 0


class AccountChange(msgspec.Struct, frozen=True):
    """An account in both worlds."""

    account: int
    own: Standing
    changed: Standing

    @property
    def gain_atoms(self) -> int:
        """By how much better it came through in the changed world."""
        return self.changed.result_atoms - self.own.result_atoms


class Accounts(msgspec.Struct):
    """Who came through better, and who worse."""

    better: int = 0
    worse: int = 0
    same: int = 0
    better_atoms: int = 0
    worse_atoms: int = 0
    gained_most: list[AccountChange] = []
    lost_most: list[AccountChange] = []


class Refusals(msgspec.Struct, frozen=True, order=True):
    """Commands, or orders of lists, that at least one world refused: how many, with which reasons."""

    command: str
    own: str  # empty: it was taken
    changed: str
    count: int


class Example(msgspec.Struct, frozen=True):
    """One command that one world took and the other refused."""

    sequence: int
    timestamp_ns: int
    account: int
    command: str
    own: str
    changed: str


class Difference(msgspec.Struct, frozen=True):
    """The first command, sent to both worlds, of which different things came."""

    sequence: int
    timestamp_ns: int
    account: int
    command: str
    own: str  # the first event that differs, in words
    changed: str


class World(msgspec.Struct):
    """One world at its end."""

    tally: Tally
    sequence: int
    digest: str
    fees_atoms: int  # trading fees taken, less rebates
    withdrawals_stopped: bool  # by a deficit that is uncovered
    accounts_liquidated: int
    accounts_lost_half: int  # of what they brought in, or more
    accounts_lost_all: int


class Outcome(msgspec.Struct, kw_only=True):
    """Two worlds side by side."""

    policy: str  # what the changed world is called
    changes: list[Change]
    own: World
    changed: World
    rewritten: int  # commands that the policy changed
    put_in: int  # commands that the journal has not
    put_in_refused: int  # of them
    left_out: int  # commands of the journal that were not sent
    identical: bool  # every event and the final state
    first: Difference | None  # that anything differs
    first_felt: (
        Difference | None
    )  # that an account feels: a fill, an order, a balance, a liquidation
    refusals: list[Refusals]
    examples: list[Example]
    orders: Lost
    accounts: Accounts
    verified: bool
    snapshots: int  # whose digests the own world was found to have
    names: dict[int, str] = {}  # of symbols
    tick_sizes: dict[int, Decimal] = {}
    account_names: dict[int, str] = {}
    fund_names: dict[int, str] = {}

    def refused(self, *, own: bool, changed: bool) -> int:
        """Commands refused in these worlds, and only in these."""
        return sum(
            row.count
            for row in self.refusals
            if bool(row.own) == own and bool(row.changed) == changed
        )


class Curves(msgspec.Struct, frozen=True):
    """What the picture is drawn from."""

    own: Follower
    changed: Follower


def as_json(outcome: Outcome) -> str:
    """Every number, in atoms, ticks and lots, as one line."""
    values: dict[str, Any] = msgspec.to_builtins(outcome, str_keys=True)
    for name, world in (("own", outcome.own), ("changed", outcome.changed)):
        tally = world.tally
        values[name]["tally"] |= {
            "liquidations": tally.liquidations,
            "fund_paid_atoms": tally.fund_paid_atoms,
            "fund_fees_atoms": tally.fund_fees_atoms,
            "fund_atoms": tally.fund_atoms,
        }
    return msgspec.json.encode(values).decode()
