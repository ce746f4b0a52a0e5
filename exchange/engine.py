"""The engine as Python sees it: a pure function over batches of commands, in two implementations.

``native`` is the Cython core; ``reference`` is the specification that runs.  They give the same event bytes and the
same digests, so everything else in the package is written against the `Engine` protocol and never imports either.
This is the only module that imports the compiled core.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

from exchange.errors import BuildError, SequenceError
from exchange.protocol.messages import Command
from exchange.protocol.preview import PreviewView
from exchange.protocol.views import (
    AccountView,
    AssetView,
    BookView,
    CollateralView,
    OrderView,
    PositionView,
    SymbolView,
)

__all__ = ["ENGINE_KINDS", "Engine", "SequenceError", "create_engine"]

ENGINE_KINDS = ("native", "reference")


class Engine(Protocol):
    """What an engine does: `apply` batches, tell its state, and answer queries."""

    @property
    def sequence(self) -> int:
        """Sequence number of the last command applied; 0 at start."""

    @property
    def timestamp_ns(self) -> int:
        """Time of the last command, in nanoseconds since the epoch."""

    def apply(self, commands: bytes) -> bytes:
        """Applies a batch of stamped command records; returns event records.

        Raises SequenceError, with nothing applied, where a record is cut short or out of sequence.
        """

    def place_order(
        self,
        account: int,
        symbol: int,
        side: int,
        qty_lots: int,
        price_ticks: int = 0,
        order_type: int = 0,
        time_in_force: int = 0,
        flags: int = 0,
        client_order_id: int = 0,
        self_trade: int = 0,
        timestamp_ns: int = 0,
    ) -> bytes:
        """Applies one order as the next command; returns event records.

        For simulations in one process: no record is left for a journal.  The other fields of an order are those of its
        default; `apply` takes all.  A time below the last command's counts as that.
        """

    def cancel_order(
        self, account: int, order_id: int, client_order_id: int = 0, timestamp_ns: int = 0
    ) -> bytes:
        """Applies one cancel as the next command, like `place_order`."""

    def amend_order(
        self,
        account: int,
        order_id: int,
        price_ticks: int = 0,
        qty_lots: int = 0,
        client_order_id: int = 0,
        timestamp_ns: int = 0,
    ) -> bytes:
        """Applies one change of price or quantity as the next command, like `place_order`."""

    def snapshot(self) -> bytes:
        """The canonical state (docs/reference/state.md)."""

    def digest(self) -> str:
        """BLAKE2b-128 of the canonical state, in hex."""

    def restore(self, state: bytes, sequence: int, timestamp_ns: int) -> None:
        """Takes over a state that `snapshot` gave; only on a new engine."""

    def pocket(
        self, account: int, lots: dict[int, int], *, liquidity: bool = True
    ) -> tuple[Self, list[tuple[int, int]]]:
        """A small engine in which the account can act alone, and sides (symbol, side) of books that are cut short.

        ``lots``: symbol -> how much may be traded of it beyond the account's own orders and position; 0: of each.
        Without ``liquidity`` nobody else has an order.  docs/what-if.md tells what is in it.
        """

    def preview(self, account: int, steps: Sequence[Command], timestamp_ns: int = 0) -> PreviewView:
        """Where the account would stand after these steps, and what each would come to (``exchange.whatif``)."""

    def account(self, account: int) -> AccountView:
        """The account and its cross pool; zeros for one that never appeared."""

    def accounts(self) -> list[int]:
        """Numbers of the accounts that have something, ascending."""

    def positions(self, account: int) -> list[PositionView]:
        """The account's positions, settings, and symbols with resting orders, by symbol."""

    def open_orders(self, account: int) -> list[OrderView]:
        """The account's resting orders: by symbol, buys first, best price first."""

    def book(self, symbol: int, depth: int = 0) -> BookView:
        """The symbol's levels, best first; depth 0: all.  Raises KeyError for a symbol that is not listed."""

    def collateral(self, account: int) -> list[CollateralView]:
        """What the account holds of collateral assets, by asset."""

    def assets(self) -> list[AssetView]:
        """The listed collateral assets, by number."""

    def symbols(self) -> list[SymbolView]:
        """The listed symbols by number."""

    def fund(self, fund: int) -> int:
        """Balance of an insurance fund in atoms."""

    def funds(self) -> dict[int, int]:
        """Balances of the funds that hold money, by number."""

    def fees_atoms(self) -> int:
        """Trading fees taken in, less rebates paid."""

    def uncovered(self) -> bool:
        """Whether a deficit is uncovered, so that withdrawals are stopped (ADL-03)."""


def create_engine(kind: str = "native", *, margin: bool = True, proving: bool = False) -> Engine:
    """A new, empty engine.  Without ``margin`` it matches alone - no balances, positions or fees - for measuring.

    With ``proving`` the native engine measures, after every mark, the pools too that it would pass over, and stops
    if one of them is below maintenance; the reference engine always measures all.

    >>> create_engine("reference").sequence
    0

    Raises:
        ValueError: the kind is neither native nor reference, or the reference engine should do without margin.
        BuildError: the native core is not built.
    """
    if kind == "reference" and not margin:
        raise ValueError(
            "the reference engine always applies margin; only the native one can match alone"
        )
    if kind == "reference":
        from exchange.reference.engine import ReferenceEngine

        return ReferenceEngine()
    if kind != "native":
        raise ValueError(f"the engine is one of {', '.join(ENGINE_KINDS)}; this is {kind!r}")
    try:
        from exchange._native.engine import Engine as NativeEngine
    except ImportError as error:
        raise BuildError(
            f"the native core cannot be loaded ({error}); build it with `make build` or `pip install -e .`"
        ) from error
    engine: Engine = NativeEngine(risk=margin, prove_marks=proving)
    return engine
