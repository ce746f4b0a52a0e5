"""What happened in one world: counts and sums of its events, and a few curves over time for the picture.

Memory is bounded by accounts, symbols and funds: curves are thinned where they grow long.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from collections.abc import Callable

import msgspec

from exchange.peek import EVENT_START, event_number, field_reader
from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    BalanceCause,
    CancelReason,
    CollateralCause,
    FillRole,
    FundCause,
)

MOST_POINTS = 4096
#: Account, isolated symbol (0: cross), leg.
Pool = tuple[int, int, int]


class Curve:
    """A value over time, thinned to some thousand points however long it grows."""

    def __init__(self) -> None:
        self.points: list[tuple[int, int]] = []
        self._last: tuple[int, int] | None = None
        self._every_ns = 0  # of points nearer than this only the last is kept

    def add(self, time_ns: int, value: int) -> None:
        """The value from this time on."""
        points = self.points
        if points and time_ns - points[-1][0] <= self._every_ns and len(points) > 1:
            points[-1] = (points[-1][0], value)
        else:
            points.append((time_ns, value))
        self._last = (time_ns, value)
        if len(points) >= MOST_POINTS:
            span = points[-1][0] - points[0][0]
            self._every_ns = max(2 * self._every_ns, 2 * span // MOST_POINTS, 1)
            self.points = [points[0], *points[1:-1:2], points[-1]]

    def until(self, time_ns: int) -> list[tuple[int, int]]:
        """All points, and the last value once more at the end."""
        if self._last is None or not self.points:
            return []
        return [*self.points, (max(time_ns, self._last[0]), self._last[1])]


class Closed(msgspec.Struct):
    """What the exchange closed of a symbol's positions, against their owners' will."""

    positions: int = 0  # closed to the last lot
    book_atoms: int = 0  # value closed through the book
    adl_atoms: int = 0  # value closed by auto-deleveraging


class Tally(msgspec.Struct):
    """Counts and sums of one world; money in atoms."""

    commands: int = 0
    accepted: int = 0
    rejected: int = 0
    withdrawals_refused: int = 0
    trades: int = 0  # pairs
    volume_atoms: int = 0
    warnings: int = 0  # of margin
    liquidations_cross: int = 0  # pools taken up
    liquidations_isolated: int = 0
    ended_whole: int = 0  # nothing of the pool was left
    ended_in_part: int = 0  # it was healthy again
    below_zero: int = 0  # liquidations in which the pool could not bear its losses
    book_fills: int = 0
    book_atoms: int = 0
    adl_fills: int = 0
    adl_atoms: int = 0
    adl_haircut_atoms: int = 0
    fund_by_cause: dict[str, int] = {}
    fund_lowest: dict[int, int] = {}  # by fund, after its first payment
    fund_end: dict[int, int] = {}
    uncovered: int = 0  # deficits that nobody covered when they arose
    uncovered_atoms: int = 0  # and still does not at the end
    cancelled: dict[str, int] = {}  # orders, by reason
    closed: dict[int, Closed] = {}  # by symbol
    adl_accounts: int = 0
    adl_counterparties: int = 0

    @property
    def liquidations(self) -> int:
        return self.liquidations_cross + self.liquidations_isolated

    @property
    def fund_paid_atoms(self) -> int:
        """What the funds paid for those who could not."""
        return -sum(self.fund_by_cause.get(cause.name.lower(), 0) for cause in DRAWS)

    @property
    def fund_fees_atoms(self) -> int:
        return self.fund_by_cause.get(FundCause.LIQUIDATION_FEE.name.lower(), 0)

    @property
    def fund_atoms(self) -> int:
        """All funds at the end."""
        return sum(self.fund_end.values())


DRAWS = (FundCause.LIQUIDATION_DEFICIT, FundCause.DEFICIT_COVER)
PAIR_ROLES = (FillRole.TAKER, FillRole.LIQUIDATED, FillRole.DELEVERAGED)
ACCEPTED, REJECTED = event_number("accepted"), event_number("rejected")
RESULTS = (ACCEPTED, REJECTED)
read_rejected = field_reader("rejected", "command")
WITHDRAW = COMMAND_BY_NAME["withdraw"].number
RESULT_TIME = struct.Struct(f"<{EVENT_START.size}xq")
Reader = Callable[[bytes, int], None]


class Follower:
    """Reads the events of one world."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.time_ns = 0  # of the command whose events are read
        #: Account and asset (0: money) -> all that was brought in, and all that was taken out.
        self.brought: dict[tuple[int, int], int] = defaultdict(int)
        self.taken_out: dict[tuple[int, int], int] = defaultdict(int)
        self.sold_collateral = False  # whether a conversion changed a wallet
        self.liquidated: Counter[int] = Counter()  # by account
        self.marks: dict[int, Curve] = defaultdict(Curve)
        self.traded: Counter[int] = Counter()  # value, by symbol
        self.curves = {name: Curve() for name in ("fund", "book", "adl")}
        self._causes: Counter[int] = Counter()
        self._cancelled: Counter[int] = Counter()
        self._open: dict[Pool, bool] = {}  # pools in liquidation: whether they were below zero
        self._uncovered: dict[Pool, int] = {}
        self._adl_accounts: set[int] = set()
        self._counterparties: set[int] = set()
        self._readers: dict[int, Reader] = self._make_readers()

    def feed(self, events: bytes) -> list[int]:
        """Counts a batch of events; returns where the events of each command begin."""
        begins: list[int] = []
        offset, end, readers = 0, len(events), self._readers
        unpack = EVENT_START.unpack_from
        while offset < end:
            number, size, _, _ = unpack(events, offset)
            if number in RESULTS:
                begins.append(offset)
                # Both results begin with the time of the command.
                (self.time_ns,) = RESULT_TIME.unpack_from(events, offset)
                if number == ACCEPTED:
                    self.tally.accepted += 1
                else:
                    self._reject(events, offset)
            else:
                reader = readers.get(number)
                if reader is not None:
                    reader(events, offset)
            offset += size
        return begins

    def finish(self) -> Tally:
        """The sums, as they are at the end."""
        tally = self.tally
        tally.commands = tally.accepted + tally.rejected
        tally.fund_by_cause = {FundCause(c).name.lower(): n for c, n in self._causes.items()}
        tally.cancelled = {CancelReason(c).name.lower(): n for c, n in self._cancelled.items()}
        tally.uncovered_atoms = sum(self._uncovered.values())
        tally.adl_accounts = len(self._adl_accounts)
        tally.adl_counterparties = len(self._counterparties)
        return tally

    # ---- events, one kind each

    def _make_readers(self) -> dict[int, Reader]:
        table: tuple[tuple[str, tuple[str, ...], Callable[..., None]], ...] = (
            (
                "fill",
                ("account", "symbol", "role", "value_atoms", "position_lots"),
                self._fill,
            ),
            ("fund_changed", ("fund", "cause", "change_atoms", "balance_atoms"), self._fund),
            ("margin_warning", ("account",), self._warned),
            ("liquidation_started", ("account", "symbol", "leg", "equity_atoms"), self._started),
            (
                "liquidation_ended",
                ("account", "symbol", "leg", "maintenance_atoms"),
                self._ended,
            ),
            ("liquidation_settled", ("account", "symbol", "leg", "fund_paid_atoms"), self._settled),
            ("deficit_shared", ("account", "symbol", "leg"), self._below_zero),
            ("deficit_uncovered", ("account", "symbol", "leg", "shortfall_atoms"), self._deficit),
            ("adl_ranked", ("account", "qty_lots", "haircut_atoms"), self._ranked),
            ("order_cancelled", ("reason",), self._cancel),
            ("balance_changed", ("account", "cause", "wallet_change_atoms"), self._balance),
            ("collateral_changed", ("account", "asset", "cause", "change_parts"), self._collateral),
            ("mark_changed", ("symbol", "price_ticks"), self._mark),
        )
        return {event_number(name): reading(name, fields, take) for name, fields, take in table}

    def _reject(self, events: bytes, offset: int) -> None:
        self.tally.rejected += 1
        (command,) = read_rejected(events, offset)
        self.tally.withdrawals_refused += command == WITHDRAW

    def _fill(
        self, account: int, symbol: int, role: int, value_atoms: int, position_lots: int
    ) -> None:
        tally = self.tally
        # Each trade has two halves; the maker's and the counterparty's are the ones not counted.
        if role in PAIR_ROLES:
            tally.trades += 1
            tally.volume_atoms += value_atoms
            self.traded[symbol] += value_atoms
        if role not in (FillRole.LIQUIDATED, FillRole.DELEVERAGED):
            return
        closed = tally.closed.setdefault(symbol, Closed())
        closed.positions += position_lots == 0
        if role == FillRole.LIQUIDATED:
            tally.book_fills += 1
            tally.book_atoms += value_atoms
            closed.book_atoms += value_atoms
            self.curves["book"].add(self.time_ns, tally.book_atoms)
        else:
            tally.adl_fills += 1
            tally.adl_atoms += value_atoms
            closed.adl_atoms += value_atoms
            self._adl_accounts.add(account)
            self.curves["adl"].add(self.time_ns, tally.adl_atoms)

    def _fund(self, fund: int, cause: int, change_atoms: int, balance_atoms: int) -> None:
        tally = self.tally
        self._causes[cause] += change_atoms
        tally.fund_end[fund] = balance_atoms
        tally.fund_lowest[fund] = min(tally.fund_lowest.get(fund, balance_atoms), balance_atoms)
        # What the operator paid in is no doing of the market.
        made = sum(tally.fund_end.values()) - self._causes[FundCause.DEPOSIT]
        self.curves["fund"].add(self.time_ns, made)

    def _warned(self, account: int) -> None:
        self.tally.warnings += 1

    def _started(self, account: int, symbol: int, leg: int, equity_atoms: int) -> None:
        if symbol:
            self.tally.liquidations_isolated += 1
        else:
            self.tally.liquidations_cross += 1
        self.liquidated[account] += 1
        self._open[account, symbol, leg] = False
        if equity_atoms < 0:
            self._below_zero(account, symbol, leg)

    def _ended(self, account: int, symbol: int, leg: int, maintenance_atoms: int) -> None:
        self._open.pop((account, symbol, leg), None)
        self._uncovered.pop((account, symbol, leg), None)
        # A pool with nothing left to maintain has no position left.
        if maintenance_atoms:
            self.tally.ended_in_part += 1
        else:
            self.tally.ended_whole += 1

    def _pool_of(self, account: int, symbol: int, leg: int) -> Pool:
        """The pool of a position whose liquidation is under way."""
        isolated = (account, symbol, leg)
        return isolated if isolated in self._open else (account, 0, 0)

    def _settled(self, account: int, symbol: int, leg: int, fund_paid_atoms: int) -> None:
        if fund_paid_atoms:
            self._below_zero(account, symbol, leg)

    def _below_zero(self, account: int, symbol: int, leg: int) -> None:
        pool = self._pool_of(account, symbol, leg)
        if not self._open.get(pool, False):
            self._open[pool] = True
            self.tally.below_zero += 1

    def _deficit(self, account: int, symbol: int, leg: int, shortfall_atoms: int) -> None:
        pool = self._pool_of(account, symbol, leg)
        self.tally.uncovered += pool not in self._uncovered
        self._uncovered[pool] = shortfall_atoms

    def _ranked(self, account: int, qty_lots: int, haircut_atoms: int) -> None:
        if qty_lots:
            self._counterparties.add(account)
            self.tally.adl_haircut_atoms += haircut_atoms

    def _cancel(self, reason: int) -> None:
        self._cancelled[reason] += 1

    def _balance(self, account: int, cause: int, wallet_change_atoms: int) -> None:
        if cause == BalanceCause.DEPOSIT:
            self.brought[account, 0] += wallet_change_atoms
        elif cause == BalanceCause.WITHDRAWAL:
            self.taken_out[account, 0] -= wallet_change_atoms
        elif cause == BalanceCause.CONVERSION:
            self.sold_collateral = True

    def _collateral(self, account: int, asset: int, cause: int, change_parts: int) -> None:
        if cause == CollateralCause.DEPOSIT:
            self.brought[account, asset] += change_parts
        elif cause == CollateralCause.WITHDRAWAL:
            self.taken_out[account, asset] -= change_parts

    def _mark(self, symbol: int, price_ticks: int) -> None:
        self.marks[symbol].add(self.time_ns, price_ticks)


def reading(name: str, fields: tuple[str, ...], take: Callable[..., None]) -> Reader:
    """A function of (events, offset) that reads these fields of an event and hands them on."""
    read = field_reader(name, *fields)

    def reader(events: bytes, offset: int) -> None:
        take(*read(events, offset))

    return reader
