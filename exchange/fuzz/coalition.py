"""What a coalition of accounts can get out of the exchange, reckoned from first principles: the second judge.

The auditor asks whether each event follows its rule.  This one knows no rule of margin or liquidation.  It keeps the
books of a theft: who brought how much, who took how much away, and by which door it went from whom to whom.

====  ==============================================================================================
C1    an account's money changes by what its events say and by nothing else: fills at their value, fees, funding,
      payments of funds, its own deposits and withdrawals, assets of its own that were turned into money
C2    who is not of the coalition, has no position and no order that fills, keeps his money to the atom
C3    who is not of the coalition trades at his limit or better
C4    funds pay a pool at most the draw cap of the symbol charged, from the start of a liquidation to its end, and
      for a symbol at most its caps, in total and within any stretch of time as long as its window
C5    the coalition never leaves its debts behind: together its accounts are worth at least nothing, with what
      assets stand for a debt of their owner, unless a deficit is uncovered and withdrawals have stopped
C6    what the coalition took out, less what it brought, is at most what the others lost, what the funds paid, and
      the debts that its own assets stand for
C7    trading fees never run out: every rebate is paid from the fee of its trade
C8    in a sealed world, where nobody else trades, nobody else loses anything
====  ==============================================================================================
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

import msgspec

from exchange.fuzz.fund_books import FundBooks
from exchange.fuzz.pledges import Pledges
from exchange.protocol.messages import (
    Accepted,
    BalanceChanged,
    DeficitUncovered,
    Event,
    Fill,
    FundChanged,
    FundPolicySet,
    LiquidationEnded,
    LiquidationSettled,
    LiquidationStarted,
    ListSymbol,
    MarkChanged,
    OrderAmended,
    OrderRested,
    Rejected,
)
from exchange.protocol.schema import BalanceCause, FillRole, Side

#: Fills of orders: the others are the engine's, at prices that no limit speaks of.
BY_ORDER = (FillRole.MAKER, FillRole.TAKER, FillRole.AUCTION)

#: What an account brings or takes by itself: money, and assets that become money.
OWN_FLOW = (BalanceCause.DEPOSIT, BalanceCause.WITHDRAWAL, BalanceCause.CONVERSION)

#: A position: symbol, and its leg in hedge mode.
Place = tuple[int, int]
#: A pool in liquidation: account, symbol and leg; symbol 0 is the cross pool.
Pool = tuple[int, int, int]


class Purse:
    """What an account has, told by its events alone."""

    __slots__ = ("entries", "lots", "margins", "paid_in", "wallet")

    def __init__(self) -> None:
        self.wallet = 0
        self.paid_in = 0  # deposits and converted assets, less withdrawals
        self.margins: dict[Place, int] = defaultdict(int)
        self.entries: dict[Place, int] = defaultdict(int)
        self.lots: dict[Place, int] = defaultdict(int)

    @property
    def money(self) -> int:
        """Wallet and margins, less what the positions cost: what a trade at value v changes by v exactly."""
        return self.wallet + sum(self.margins.values()) - sum(self.entries.values())


class Take(msgspec.Struct):
    """What a coalition got, and through which door."""

    from_funds: int = 0
    fees: int = 0  # trading fees paid, less rebates
    liquidation_fees: int = 0
    withdrawn: int = 0
    deposited: int = 0
    liquidations: int = 0  # that ended
    deleveraged_others: int = 0  # fills by which others' positions were reduced

    def add(self, other: Take) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Coalition:
    """Keeps the books of every account; `read` says what is wrong after each command."""

    def __init__(self, members: Iterable[int], *, sealed: bool = False) -> None:
        self.members = frozenset(members)
        self.sealed = sealed
        self.purses: dict[int, Purse] = defaultdict(Purse)
        self.listings: dict[int, ListSymbol] = {}
        self.marks: dict[int, int] = {}
        self.limits: dict[int, tuple[int, int]] = {}  # order -> side, limit
        self.pledges = Pledges()
        self.fund_books = FundBooks()
        self.drawn: Counter[Pool] = Counter()
        self.flagged: set[Pool] = set()
        self.uncovered: set[Pool] = set()
        self.funds: Counter[int] = Counter()
        self.payments: list[
            tuple[int, int]
        ] = []  # of funds: for which symbol, and how much; into a pool that is told next
        self.fees = self.paid_by_funds = 0
        self.take = Take()
        self.wrong: list[str] = []

    # ------------------------------------------------------------------------------------------- reading

    def read(self, events: Iterable[Event]) -> list[str]:
        """What the events of one command did to everybody; what of it may not be."""
        self.wrong = []
        moved: set[int] = set()
        filled: set[int] = set()
        paid: Counter[int] = Counter()  # account -> what its events explain
        before: dict[int, int] = {}
        idle: set[int] = set()
        for event in events:
            account = event.account
            if isinstance(event, Fill | BalanceChanged | LiquidationSettled):
                if account not in moved:
                    moved.add(account)
                    purse = self.purses[account]
                    before[account] = purse.money
                    if not any(purse.lots.values()):
                        idle.add(account)
                paid[account] += self.explain(event)
                if isinstance(event, Fill):
                    filled.add(account)
            else:
                self.take_note(event)
        for account in moved:
            change = self.purses[account].money - before[account]
            self.expect("C1", f"money of account {account}", paid[account], change)
            if account in idle - filled - self.members:
                own = self.purses[account]
                if change and change != own_flow(events, account):
                    self.wrong.append(
                        f"C2: account {account} without a position has {change} ({own})"
                    )
        if moved:
            self.judge()
        return self.wrong

    def explain(self, event: Fill | BalanceChanged | LiquidationSettled) -> int:
        """By how much an event says that the account's money changes; its new balances are taken over."""
        purse = self.purses[event.account]
        match event:
            case Fill():
                return self.on_fill(event, purse)
            case LiquidationSettled():
                self.set_balances(purse, event)
                if event.account in self.members:
                    self.take.liquidation_fees += event.liquidation_fee_atoms
                self.on_paid(event, event.fund_paid_atoms)
                return event.fund_paid_atoms - event.liquidation_fee_atoms
        self.set_balances(purse, event)
        change = event.wallet_change_atoms + event.margin_change_atoms
        if event.cause == BalanceCause.FUND_COVER:
            self.on_paid(event, change)
        if event.cause in OWN_FLOW:
            purse.paid_in += change
            if event.account in self.members:
                self.take.deposited += max(0, change)
                self.take.withdrawn += max(0, -change)
        return change

    @staticmethod
    def set_balances(purse: Purse, event: Fill | BalanceChanged | LiquidationSettled) -> None:
        purse.wallet = event.wallet_atoms
        if event.symbol:
            purse.margins[event.symbol, event.leg] = event.margin_atoms

    def on_fill(self, fill: Fill, purse: Purse) -> int:
        sign = 1 if fill.side == Side.BUY else -1
        place = (fill.symbol, fill.leg)
        lots = purse.lots[place] + sign * fill.qty_lots
        self.expect("C1", f"lots of account {fill.account}", lots, fill.position_lots)
        purse.lots[place] = fill.position_lots
        purse.entries[place] = fill.entry_value_atoms
        self.set_balances(purse, fill)
        self.fees += fill.fee_atoms
        if fill.account in self.members:
            self.take.fees += fill.fee_atoms
        else:
            self.on_stranger(fill, sign)
        return -sign * fill.value_atoms - fill.fee_atoms

    def on_stranger(self, fill: Fill, sign: int) -> None:
        """C3, C8: somebody who is not of the coalition."""
        if fill.role == FillRole.ADL_COUNTERPARTY:
            self.take.deleveraged_others += 1
        limit = self.limits.get(fill.order_id)
        if fill.role in BY_ORDER and limit is not None and sign * (fill.price_ticks - limit[1]) > 0:
            self.wrong.append(f"C3: a limit of {limit[1]} traded at {fill.price_ticks}")
        if self.sealed:
            self.wrong.append(f"C8: account {fill.account} trades in a sealed world")

    def take_note(self, event: Event) -> None:
        match event:
            case MarkChanged():
                self.marks[event.symbol] = event.price_ticks
            case OrderRested():
                self.limits[event.order_id] = (event.side, event.price_ticks)
            case OrderAmended():
                self.limits[event.order_id] = (event.side, event.price_ticks)
            case (
                Accepted() | Rejected()
            ):  # funding that is due may liquidate where a command is refused
                self.fund_books.now_ns = event.timestamp_ns
            case FundPolicySet():
                self.fund_books.on_policy(event)
            case FundChanged():
                self.on_fund(event)
            case LiquidationStarted():
                self.flagged.add((event.account, event.symbol, event.leg))
            case LiquidationEnded():
                pool = (event.account, event.symbol, event.leg)
                self.flagged.discard(pool)
                self.drawn.pop(pool, None)
                self.uncovered.discard(pool)
                self.take.liquidations += event.account in self.members
            case DeficitUncovered() if event.shortfall_atoms:
                self.uncovered.add(self.pool_of(event))
            case _:
                self.pledges.take_note(event)

    def pool_of(self, event: BalanceChanged | LiquidationSettled | DeficitUncovered) -> Pool:
        """The pool that is being liquidated for the position of an event."""
        isolated = (event.account, event.symbol, event.leg)
        return isolated if isolated in self.flagged else (event.account, 0, 0)

    def on_paid(self, event: BalanceChanged | LiquidationSettled, paid: int) -> None:
        """C4: funds have paid into a pool, each payment for the symbol that it is charged to."""
        pool, payments = self.pool_of(event), self.payments
        self.payments = []
        self.expect(
            "C4", f"what funds paid to account {event.account}", sum(a for _, a in payments), paid
        )
        for symbol, atoms in payments:
            cap = self.listings[symbol].draw_cap_atoms
            self.drawn[pool] += atoms
            if 0 <= cap < self.drawn[pool]:
                self.wrong.append(
                    f"C4: pool {pool[:2]} drew {self.drawn[pool]}, at most {cap} may be"
                )
        self.paid_by_funds += paid
        if event.account in self.members:
            self.take.from_funds += paid

    def on_fund(self, event: FundChanged) -> None:
        self.funds[event.fund] += event.change_atoms
        if event.change_atoms < 0:
            self.payments.append((event.symbol, -event.change_atoms))
        if self.funds[event.fund] < 0:
            self.wrong.append(f"C4: fund {event.fund} is at {self.funds[event.fund]}")
        self.wrong += [f"C4: {text}" for text in self.fund_books.on_change(event)]

    # ------------------------------------------------------------------------------------------- judging

    def expect(self, name: str, what: str, wanted: int, came: int) -> None:
        if wanted != came:
            self.wrong.append(f"{name}: {what}: explained {wanted}, came {came}")

    def worth(self, account: int) -> int:
        """Everything that an account has, at the marks."""
        purse = self.purses[account]
        value = sum(
            lots * self.marks.get(symbol, 0) * self.listings[symbol].atoms_per_tick_lot
            for (symbol, _), lots in purse.lots.items()
            if lots
        )
        return purse.money + value

    def judge(self) -> None:
        """C5 .. C8, when a command is over."""
        worths = {account: self.worth(account) for account in self.purses}
        mine = {member: worths[member] for member in self.members if member in worths}
        # Assets stand for the debt of their owner and for nobody else's.
        pledged = sum(
            min(-worth, self.pledges.of(member)) for member, worth in mine.items() if worth < 0
        )
        together = sum(mine.values()) + pledged
        if together < 0 and not self.uncovered:
            self.wrong.append(f"C5: the coalition is worth {together}, and nothing is uncovered")
        lost = sum(
            purse.paid_in - worths[account]
            for account, purse in self.purses.items()
            if account not in self.members
        )
        taken = self.take.withdrawn - self.take.deposited
        if not self.uncovered and taken > lost + self.paid_by_funds + pledged:
            self.wrong.append(
                f"C6: the coalition took {taken}; the others lost {lost}, funds paid {self.paid_by_funds}, "
                f"its assets stand for {pledged}"
            )
        if self.fees < 0:
            self.wrong.append(f"C7: rebates have cost {-self.fees} more than fees brought")
        if self.sealed and lost:
            self.wrong.append(f"C8: the others lost {lost} in a sealed world")


def own_flow(events: Iterable[Event], account: int) -> int:
    """What an account brought or took by itself in a command."""
    return sum(
        event.wallet_change_atoms + event.margin_change_atoms
        for event in events
        if isinstance(event, BalanceChanged)
        and event.account == account
        and event.cause in OWN_FLOW
    )
