"""What a preview answers: an account before and after steps that were not taken, and what each step would come to.

Every number is one that a query would show or an event would tell; integers in the unit that their name ends in.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from exchange.protocol.views import AccountView, PositionView

MAX_STEPS = 64  # of one preview
PPM = 1_000_000


class Assumption(StrEnum):
    """What a preview takes for granted; it names those that its answer rests on."""

    MAKERS = "makers"
    MARKS = "marks"
    DEPTH = "depth"
    DEFICIT = "deficit"


ASSUMPTION_PROSE: dict[Assumption, str] = {
    Assumption.MAKERS: "it trades with resting orders of others, who are taken to be good for them and not to react",
    Assumption.MARKS: "a mark moves: what that does to others, their liquidations and triggers, is left out",
    Assumption.DEPTH: "it may trade more than the 4,096 best orders of a side, and the rest of the book is left out",
    Assumption.DEFICIT: "a pool ends below zero: the other side is taken to be able to bear it",
}


class PoolView(msgspec.Struct, frozen=True, kw_only=True):
    """A collateral pool: the cross pool of the account, or the isolated pool of a position."""

    symbol: int  # 0: the cross pool
    leg: int = 0  # of an isolated position (ACCT-08)
    balance_atoms: int  # the wallet, or the isolated margin
    equity_atoms: int
    initial_margin_atoms: int  # of the cross pool with all orders
    maintenance_atoms: int
    available_atoms: int  # for new risk; of an isolated pool what may be taken out
    withdrawable_atoms: int  # out of the account; of an isolated pool into the wallet
    margin_ratio_ppm: int | None  # maintenance / equity, rounded up; none without equity above 0
    liquidating: bool


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where an account stands: the very views of a query, and its pools side by side."""

    account: AccountView
    pools: list[PoolView]  # the cross pool first
    positions: list[PositionView]


class EntryVerdict(msgspec.Struct, frozen=True, array_like=True):
    """What one order of a list would come to."""

    index: int
    order_id: int  # 0: refused
    reason: int  # 0: accepted
    message: str


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """What one step would come to."""

    command: int  # number of the command
    accepted: bool
    reason: int = 0  # a RejectReason; 0: accepted
    message: str = ""  # why not, in words
    order_id: int = 0  # of the order that it is about, as it would be given
    entries: list[EntryVerdict] = []  # of a list of orders
    filled_lots: int = 0  # by the account, as maker and taker
    filled_value_atoms: int = 0
    fees_atoms: int = 0  # negative: rebates
    realised_atoms: int = 0  # before fees
    left_lots: int = 0  # of the order: rests, or waits
    cancel_reason: int = 0  # of the order: why its rest would not stay
    liquidated_pools: list[
        int
    ] = []  # that would begin to be liquidated, by symbol; 0: the cross pool


class PreviewView(msgspec.Struct, frozen=True, kw_only=True):
    """An account before and after some steps.

    ``open`` is where it would stand with the same orders if nobody traded with them; None where nobody would anyway, so
    that it is ``after``, and where a pool would be liquidated.
    """

    account: int
    sequence: int  # of the state that was asked
    timestamp_ns: int
    steps: list[StepView]
    before: Standing
    open: Standing | None
    after: Standing
    fees_atoms: int  # of all steps
    assumes: list[Assumption]


def margin_ratio_ppm(equity_atoms: int, maintenance_atoms: int) -> int | None:
    """Maintenance margin as a share of equity, rounded up; at 1,000,000 the pool is at maintenance (MARGIN-08).

    >>> margin_ratio_ppm(500, 47), margin_ratio_ppm(0, 47), margin_ratio_ppm(500, 0)
    (94000, None, 0)
    """
    if equity_atoms <= 0:
        return 0 if equity_atoms == 0 == maintenance_atoms else None
    return -(-maintenance_atoms * PPM // equity_atoms)
