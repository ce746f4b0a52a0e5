"""The life of a collateral pool as a table: when it is liquidated, and the events that lead from stage to stage.

Like the life of an order (``life``) it is what events say, and whoever reads events can follow every pool with it.
`PoolLives` does, and refuses what the table does not have; the fuzzer follows every pool of its streams that way.  The
picture ``docs/reference/pool-life.svg`` is drawn from it.

The engine works on one pool at a time (LIQ-01): which one is said by the events that begin its turn.

>>> for change in CHANGES:
...     if change.origin is Stage.SOUND:
...         print(change)
sound: liquidation_started -> liquidated
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from exchange.protocol.messages import (
    DeficitCharged,
    DeficitShared,
    DeficitUncovered,
    Event,
    LiquidationEnded,
    LiquidationOrder,
    LiquidationPosition,
    LiquidationSettled,
    LiquidationShrunk,
    LiquidationSized,
    LiquidationStarted,
)
from exchange.protocol.schema import MESSAGE_BY_NUMBER

#: (account, symbol, leg); symbol and leg 0 are the cross pool.
PoolKey = tuple[int, int, int]


class Stage(StrEnum):
    """Where a pool can be."""

    SOUND = "sound"
    LIQUIDATED = "liquidated"
    SHORT = "short"
    UNCOVERED = "uncovered"


STAGE_PROSE: dict[Stage, str] = {
    Stage.SOUND: "at or above maintenance, or without a position: its owner trades",
    Stage.LIQUIDATED: "its orders are gone, and only the engine trades for it, in the book",
    Stage.SHORT: "below zero with the book spent: the fund pays, the other side takes over",
    Stage.UNCOVERED: "below zero, and nobody is left to take over: withdrawals stop",
}


@dataclass(frozen=True)
class PoolChange:
    """One way from a stage to the next, and the event that tells it."""

    origin: Stage
    event: str
    target: Stage
    prose: str = ""
    detail: str = ""  # what tells this change from others of the same event

    def __str__(self) -> str:
        detail = f"({self.detail})" if self.detail else ""
        return f"{self.origin}: {self.event}{detail} -> {self.target}"


OWING, EVEN = "shortfall_atoms > 0", "shortfall_atoms = 0"


CHANGES: tuple[PoolChange, ...] = (
    PoolChange(
        Stage.SOUND, "liquidation_started", Stage.LIQUIDATED, "equity is below maintenance (LIQ-02)"
    ),
    PoolChange(
        Stage.LIQUIDATED, "liquidation_position", Stage.LIQUIDATED, "its turn begins: what it holds"
    ),
    PoolChange(
        Stage.LIQUIDATED, "deficit_charged", Stage.LIQUIDATED, "whose move made it short (FUND-01)"
    ),
    PoolChange(
        Stage.LIQUIDATED, "liquidation_sized", Stage.LIQUIDATED, "why so much, at this limit"
    ),
    PoolChange(Stage.LIQUIDATED, "liquidation_order", Stage.LIQUIDATED, "a closing order (LIQ-06)"),
    PoolChange(
        Stage.LIQUIDATED, "liquidation_shrunk", Stage.LIQUIDATED, "a fill that the fund bounds"
    ),
    PoolChange(Stage.LIQUIDATED, "liquidation_settled", Stage.LIQUIDATED, "a fill (LIQ-07)"),
    PoolChange(
        Stage.LIQUIDATED, "liquidation_ended", Stage.SOUND, "at maintenance, or nothing is left"
    ),
    PoolChange(Stage.LIQUIDATED, "deficit_shared", Stage.SHORT, "the deficit stage (FUND-02)"),
    PoolChange(Stage.SHORT, "deficit_shared", Stage.SHORT, "the next position"),
    PoolChange(Stage.SHORT, "liquidation_position", Stage.LIQUIDATED, "another turn, later"),
    PoolChange(
        Stage.SHORT,
        "deficit_uncovered",
        Stage.UNCOVERED,
        "nobody is left to take over (ADL-03)",
        OWING,
    ),
    PoolChange(
        Stage.SHORT,
        "deficit_uncovered",
        Stage.SHORT,
        "the same, but the fund has paid it all",
        EVEN,
    ),
    PoolChange(Stage.SHORT, "liquidation_ended", Stage.SOUND, "covered"),
    PoolChange(Stage.UNCOVERED, "liquidation_position", Stage.UNCOVERED, "another turn, later"),
    PoolChange(Stage.UNCOVERED, "deficit_charged", Stage.UNCOVERED),
    PoolChange(Stage.UNCOVERED, "liquidation_sized", Stage.UNCOVERED),
    PoolChange(Stage.UNCOVERED, "liquidation_order", Stage.UNCOVERED),
    PoolChange(Stage.UNCOVERED, "liquidation_shrunk", Stage.UNCOVERED),
    PoolChange(Stage.UNCOVERED, "liquidation_settled", Stage.UNCOVERED),
    PoolChange(Stage.UNCOVERED, "deficit_shared", Stage.UNCOVERED),
    PoolChange(Stage.UNCOVERED, "deficit_uncovered", Stage.UNCOVERED, "still nobody", OWING),
    PoolChange(Stage.UNCOVERED, "deficit_uncovered", Stage.UNCOVERED, "still nobody", EVEN),
    PoolChange(
        Stage.UNCOVERED, "liquidation_ended", Stage.SOUND, "a payment, a mark or a fill covered it"
    ),
)
BY_EVENT = {(change.origin, change.event, change.detail): change for change in CHANGES}
assert len(BY_EVENT) == len(CHANGES), "two changes that an event cannot tell apart"

PoolEvent = (
    LiquidationStarted
    | LiquidationPosition
    | DeficitCharged
    | LiquidationSized
    | LiquidationOrder
    | LiquidationShrunk
    | LiquidationSettled
    | DeficitShared
    | DeficitUncovered
    | LiquidationEnded
)


class PoolLives:
    """Follows every pool through the events of a stream, from its first command on."""

    def __init__(self) -> None:
        self.stages: dict[PoolKey, Stage] = {}  # of pools that are not sound
        self.turn: PoolKey = (0, 0, 0)  # the pool that the engine works on
        self.seen: Counter[PoolChange] = Counter()

    def read(self, events: Iterable[Event]) -> list[str]:
        """What the events did that the table does not have."""
        return [
            wrong for event in events if isinstance(event, PoolEvent) for wrong in self.move(event)
        ]

    def move(self, event: PoolEvent) -> list[str]:
        match event:
            case LiquidationStarted() | LiquidationEnded():
                self.turn = (event.account, event.symbol, event.leg)
            case LiquidationPosition():
                leg = event.leg if event.pool_symbol else 0
                self.turn = (event.account, event.pool_symbol, leg)
            case _ if event.account != self.turn[0]:
                return [f"{event} is not of account {self.turn[0]}, whose turn it is"]
        name = MESSAGE_BY_NUMBER[event.number].name
        origin = self.stages.get(self.turn, Stage.SOUND)
        detail = ""
        if isinstance(event, DeficitUncovered):
            detail = OWING if event.shortfall_atoms else EVEN
        change = BY_EVENT.get((origin, name, detail))
        if change is None:
            return [f"pool {self.turn} is {origin}: {name} has no place there"]
        self.seen[change] += 1
        if change.target is Stage.SOUND:
            del self.stages[self.turn]
        else:
            self.stages[self.turn] = change.target
        return []
