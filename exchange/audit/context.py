"""What all checks share: the rebuilt state, the command being read, and what was found wrong."""

from __future__ import annotations

import msgspec

from exchange.audit.live_orders import Placed
from exchange.audit.state import Account, Holding, PoolKey, State, cross_pool
from exchange.protocol.messages import AmendOrder
from exchange.protocol.schema import SymbolState


class Violation(msgspec.Struct, frozen=True):
    """A rule that was broken: which, by which command, and how."""

    invariant: str  # I1 .. I34, or the id of the rule
    sequence: int
    text: str

    def __str__(self) -> str:
        return f"{self.invariant} broken by command {self.sequence}: {self.text}"


class PlacedList(msgspec.Struct, frozen=True):
    """What a place_orders command asked for."""

    mode: int
    orders: tuple[Placed, ...]


#: What is known of a command beyond its events.
Wanted = Placed | PlacedList | AmendOrder


class Context:
    """The command that is being read, and everything known before it."""

    #: Beyond this many violations nothing new is learned.
    most_violations = 1000

    def __init__(self) -> None:
        self.state = State()
        self.violations: list[Violation] = []
        self.sequence = 0
        self.command = 0  # number of the command's type, once its result was read
        self.actor = 0
        self.now_ns = 0
        self.wanted: Wanted | None = None  # where commands are fed
        self.acting: Placed | None = None  # the order that acts at this moment, where it is known
        self.is_engine_acting = False  # whether the engine trades at this moment, for a pool
        self.is_repeat = False  # whether the command was answered with the result of an earlier one
        self.pools: set[PoolKey] = set()  # to be tested when the command ends
        self.symbols: set[int] = set()
        self.orders_touched: set[Holding] = set()
        self.watched: set[int] = set()  # symbols whose triggers are to be looked at
        self.liquidating = False  # whether the engine has begun to liquidate in this command

    def report(self, invariant: str, text: str) -> None:
        if len(self.violations) < self.most_violations:
            self.violations.append(Violation(invariant, self.sequence, text))

    def expect(self, invariant: str, what: str, wanted: object, came: object) -> bool:
        """Reports a difference; True if there is none."""
        if wanted == came:
            return True
        self.report(invariant, f"{what}: wanted {wanted}, came {came}")
        return False

    def begin(self, sequence: int) -> None:
        """A new command: nothing is touched yet."""
        self.sequence = sequence
        self.command = 0
        self.actor = 0
        self.pools.clear()
        self.symbols.clear()
        self.orders_touched.clear()
        self.watched.clear()
        self.liquidating = False
        self.acting = None
        self.is_engine_acting = False
        self.is_repeat = False

    def expect_state(self, number: int, states: tuple[SymbolState, ...], what: str) -> None:
        """MATCH-12: this may be done in these states only."""
        state = self.state.symbols[number].state
        if state not in states:
            name = SymbolState(state).name.lower()
            self.report("MATCH-12", f"{what}, though symbol {number} is {name}")

    def touch_wallet(self, owner: Account) -> None:
        self.pools.add(cross_pool(owner.number))

    def touch(self, holding: Holding) -> None:
        """Position, margin or orders of a holding moved."""
        self.orders_touched.add(holding)
        self.touch_pools(holding)

    def touch_pools(self, holding: Holding) -> None:
        """Money of a holding moved, and nothing else of it."""
        self.symbols.add(holding.symbol.number)
        self.pools.update((cross_pool(holding.account), holding.pool))
