"""What the auditor knows: accounts, positions, orders and funds, as the events so far have told them.

Plain objects and integers.  Nothing here decides anything: the checks do.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from exchange.audit.live_orders import Order, Placed, Waiting
from exchange.protocol.messages import Bracket, ListSymbol
from exchange.protocol.schema import (
    PPM,
    AdlPolicy,
    Leg,
    Side,
    SymbolState,
    TriggerBy,
)

#: (account, symbol, leg); the cross pool is on symbol 0.
PoolKey = tuple[int, int, int]


#: (symbol, leg), of one account.
HoldingKey = tuple[int, int]


def cross_pool(account: int) -> PoolKey:
    return (account, 0, Leg.NET)


class Holding:
    """An account's position, settings and orders on one symbol, in hedge mode of one leg there."""

    __slots__ = (
        "account",
        "auto_margin",
        "entry",
        "isolated",
        "leg",
        "lots",
        "margin",
        "orders",
        "own_rate_ppm",
        "owner",
        "symbol",
        "waiting",
    )

    def __init__(self, owner: Account, symbol: Symbol, leg: int) -> None:
        self.owner = owner
        self.account = owner.number
        self.symbol = symbol
        self.leg = leg
        self.lots = 0
        self.entry = 0
        self.margin = 0
        self.isolated = False
        self.own_rate_ppm = 0  # 0: the symbol's
        self.auto_margin = False  # the wallet adds margin by itself (ACCT-09)
        self.orders: dict[int, Order] = {}
        self.waiting: dict[int, Waiting] = {}

    @property
    def rate_ppm(self) -> int:
        """The initial margin rate in force, the bracket's own floor apart (ACCT-01)."""
        return self.own_rate_ppm or self.symbol.initial_margin_ppm

    @property
    def unrealised(self) -> int:
        """MARGIN-01."""
        return self.lots * self.symbol.mark_value - self.entry

    @property
    def pool(self) -> PoolKey:
        return self.own_pool if self.isolated else cross_pool(self.account)

    @property
    def own_pool(self) -> PoolKey:
        """Its isolated pool."""
        return (self.account, self.symbol.number, self.leg)

    @property
    def place(self) -> str:
        """Where it is, for people."""
        leg = f", {Leg(self.leg).name.lower()}" if self.leg else ""
        return f"account {self.account} on symbol {self.symbol.number}{leg}"


class Asset:
    """A collateral asset (COLL-01)."""

    __slots__ = ("haircut_ppm", "number", "price", "unit_parts")

    def __init__(self, number: int, unit_parts: int) -> None:
        self.number = number
        self.unit_parts = unit_parts
        self.haircut_ppm = 0
        self.price = 0  # of one unit

    def counted(self, parts: int) -> int:
        """COLL-02: the value rounded down, and what the haircut leaves of it rounded down."""
        worth = parts * self.price // self.unit_parts
        return worth - -(-worth * self.haircut_ppm // PPM)


class Account:
    """A wallet and the holdings of its owner."""

    __slots__ = (
        "assets",
        "charged",
        "countdown_ns",
        "counting",
        "cross",
        "hedge",
        "holdings",
        "number",
        "parts",
        "stp_group",
        "wallet",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.wallet = 0
        self.holdings: dict[HoldingKey, Holding] = {}
        self.cross: dict[HoldingKey, Holding] = {}  # those with a position in cross mode
        self.hedge = False  # whether it is in hedge mode
        self.stp_group = 0
        self.countdown_ns = 0  # when its orders are cancelled; 0: never
        self.parts: dict[int, int] = {}  # of each collateral asset; none is 0
        self.assets: dict[int, Asset] = {}  # those that it ever held
        self.charged: dict[int, int] = {}  # by symbol: of what the cross pool is below zero
        self.counting = False  # whether they count for the cross pool

    @property
    def counted(self) -> int:
        """COLL-02: what the assets count."""
        if not (self.counting and self.parts):
            return 0
        return sum(self.assets[number].counted(parts) for number, parts in self.parts.items())

    def is_own(self, other: Account) -> bool:
        """MATCH-06: the same account, or one of its group."""
        return self is other or 0 != self.stp_group == other.stp_group


class BookSide:
    """One side of a book: levels of orders in the order of their arrival, and the best price."""

    __slots__ = ("heap", "levels", "sign")

    def __init__(self, side: int) -> None:
        self.sign = -1 if side == Side.BUY else 1  # the heap's smallest is the best price
        self.levels: dict[int, dict[int, Order]] = {}
        self.heap: list[int] = []

    def best(self) -> int | None:
        """The best price; None where there is no order."""
        while self.heap:
            price = self.heap[0] * self.sign
            if price in self.levels:
                return price
            heapq.heappop(self.heap)
        return None

    def front(self) -> Order | None:
        """The order that is first in time at the best price."""
        price = self.best()
        return None if price is None else next(iter(self.levels[price].values()))

    def add(self, order: Order) -> None:
        level = self.levels.get(order.price)
        if level is None:
            level = self.levels[order.price] = {}
            heapq.heappush(self.heap, order.price * self.sign)
        level[order.order_id] = order

    def to_the_back(self, order: Order) -> None:
        """A new slice: the order is the last of its level."""
        level = self.levels[order.price]
        level[order.order_id] = level.pop(order.order_id)

    def remove(self, order: Order) -> None:
        level = self.levels[order.price]
        del level[order.order_id]
        if not level:
            del self.levels[order.price]


class Limits(NamedTuple):
    """Caps in atoms at mark, and where initial margin rises with open interest (MARGIN-11); -1: none."""

    position: int = -1
    interest: int = -1
    lower: int = -1
    upper: int = -1


class FundCaps(NamedTuple):
    """What funds may pay for a symbol (FUND-01), in the order of fund_policy_set."""

    cap: int = -1
    second_fund: int = 0
    second_cap: int = 0
    window_ns: int = 0
    window_cap: int = -1


class Composite:
    """What a composite mark is made of: the policy's numbers, prices from outside, the average distance (MARK-02)."""

    __slots__ = ("basis", "basis_at_ns", "ema_ns", "max_age_ns", "max_feeds", "prices")

    def __init__(self, now_ns: int) -> None:
        self.max_feeds = self.max_age_ns = self.ema_ns = 0
        self.prices: dict[int, tuple[int, int]] = {}  # by source: price, and when it came
        self.basis = 0  # ticks x 2^20
        self.basis_at_ns = now_ns

    def average(self, sample: int, now_ns: int) -> None:
        """A sample counts with the time since the last one, beside the time constant."""
        elapsed = now_ns - self.basis_at_ns
        whole = elapsed + self.ema_ns
        if elapsed:
            # basis x ema_ns / whole + sample x elapsed / whole, as one quotient that is rounded down
            self.basis = (self.basis * self.ema_ns + sample * elapsed) // whole
        self.basis_at_ns = now_ns


class Funding:
    """A funding policy's numbers, when it is looked at next, and what the interval has brought (FUNDING-02)."""

    __slots__ = (
        "cap",
        "clamp",
        "interest",
        "interval",
        "next_funding",
        "next_sample",
        "notional",
        "sample",
        "samples",
        "total",
    )

    def __init__(self, numbers: Sequence[int]) -> None:
        self.interval, self.sample, self.interest, self.clamp, self.cap, self.notional = numbers
        self.next_sample = self.next_funding = 0  # 0: never
        self.total = self.samples = 0  # of the premiums, and sample times that count


class Symbol:
    """A listed symbol: its policy, mark, book, holders and the sums over them."""

    __slots__ = (
        "adl_policy",
        "caps",
        "composite",
        "cums",
        "floors",
        "funding",
        "gross_entry",
        "gross_lots",
        "holders",
        "initial_margin_ppm",
        "initials",
        "is_held",
        "last",
        "limits",
        "m",
        "mark",
        "mark_value",
        "market_last",
        "net_lots",
        "number",
        "open_lots",
        "open_value",
        "opening",
        "paid",
        "payments",
        "policy",
        "rates",
        "sides",
        "state",
        "trailing",
        "triggers",
        "waiting_count",
    )

    def __init__(self, policy: ListSymbol) -> None:
        self.policy = policy
        self.number = policy.symbol
        self.m = policy.atoms_per_tick_lot
        self.mark = 0
        self.mark_value = 0  # atoms of one lot at the mark
        self.holders: dict[tuple[int, int], Holding] = {}  # by account and leg, with a position
        self.net_lots = self.gross_lots = self.gross_entry = 0
        self.open_lots = self.open_value = 0  # of resting orders; the value in ticks x lots
        self.opening = [0, 0]  # of resting orders that are not reduce-only, by side
        self.limits = Limits()
        self.caps = FundCaps()
        self.paid = [0, 0]  # by its own fund and by the second one, since the caps were set
        self.payments: list[
            tuple[int, int]
        ] = []  # those that the window may still count: when, and what
        self.sides = (BookSide(Side.BUY), BookSide(Side.SELL))
        self.state = SymbolState.OPEN
        self.adl_policy = AdlPolicy.QUEUE
        self.last = 0  # price of the last trade
        self.market_last = 0  # of the last one that no liquidation made
        self.composite: Composite | None = None  # None: the mark is set by hand
        self.is_held = False
        self.funding: Funding | None = None  # None: settled by hand
        self.waiting_count = 0
        self.trailing: dict[int, Waiting] = {}
        #: Heaps of (trigger, order id), by what is watched and whether a rising price sets them off; those that fall
        #: are negative.  Entries of orders that are gone or changed are passed over when they come up.
        self.triggers: dict[tuple[int, bool], list[tuple[int, int]]] = {}
        self.set_brackets(policy.initial_margin_ppm, policy.brackets)

    def set_brackets(self, initial_margin_ppm: int, brackets: Sequence[Bracket]) -> None:
        """The bracket table and the default rate that are in force from now on."""
        self.initial_margin_ppm = initial_margin_ppm
        self.floors = [floor for floor, _, _ in brackets]
        self.rates = [rate for _, rate, _ in brackets]
        self.initials = [initial or rate for _, rate, initial in brackets]
        self.cums = [0]
        for k in range(1, len(self.floors)):
            step = self.floors[k] * (self.rates[k] - self.rates[k - 1])
            self.cums.append(self.cums[-1] + step // 1_000_000)

    def watched(self, trigger_by: int) -> int:
        """The price that a trigger watches."""
        return self.last if trigger_by == TriggerBy.LAST else self.mark

    @property
    def is_open(self) -> bool:
        return self.state == SymbolState.OPEN

    @property
    def interest(self) -> int:
        """Open interest in lots: half of all that is held."""
        return self.gross_lots // 2


class State:
    """Everything that the events so far add up to."""

    def __init__(self) -> None:
        self.accounts: dict[int, Account] = {}
        self.symbols: dict[int, Symbol] = {}
        self.orders: dict[int, Order] = {}
        self.waiting: dict[int, Waiting] = {}
        self.terms: dict[int, Placed] = {}  # of live orders, where commands are fed
        self.last_order_id = 0
        self.last_turn = 0
        self.assets: dict[int, Asset] = {}
        self.funds: dict[int, int] = {}
        self.fees = 0
        self.paid_in = 0  # deposits less withdrawals, funds included
        self.money = 0  # sum of W + M - E + funds + fees
        self.flagged: set[PoolKey] = set()
        self.uncovered: set[PoolKey] = set()
        self.drawn: dict[PoolKey, int] = {}

    def account(self, number: int) -> Account:
        found = self.accounts.get(number)
        if found is None:
            found = self.accounts[number] = Account(number)
        return found

    def holding(self, account: int, symbol: int, leg: int) -> Holding:
        owner = self.account(account)
        found = owner.holdings.get((symbol, leg))
        if found is None:
            found = owner.holdings[symbol, leg] = Holding(owner, self.symbols[symbol], leg)
        return found

    def set_position(self, holding: Holding, lots: int, entry: int) -> None:
        """Moves a position and every sum that it is part of."""
        symbol = holding.symbol
        symbol.net_lots += lots - holding.lots
        symbol.gross_lots += abs(lots) - abs(holding.lots)
        symbol.gross_entry += abs(entry) - abs(holding.entry)
        self.money -= entry - holding.entry
        holding.lots = lots
        holding.entry = entry
        if lots:
            symbol.holders[holding.account, holding.leg] = holding
        else:
            symbol.holders.pop((holding.account, holding.leg), None)
        self.sort_holding(holding)

    def sort_holding(self, holding: Holding) -> None:
        """Puts a holding among its owner's cross positions, or takes it out."""
        if holding.lots and not holding.isolated:
            holding.owner.cross[holding.symbol.number, holding.leg] = holding
        else:
            holding.owner.cross.pop((holding.symbol.number, holding.leg), None)

    def set_money(self, holding: Holding | None, owner: Account, wallet: int, margin: int) -> None:
        """Sets wallet and, where a holding is concerned, its isolated margin."""
        self.money += wallet - owner.wallet
        owner.wallet = wallet
        if holding is not None:
            self.money += margin - holding.margin
            holding.margin = margin

    def pool_holdings(self, pool: PoolKey) -> Iterator[Holding]:
        """The positions that a pool backs."""
        account, number, leg = pool
        owner = self.accounts[account]
        if number == 0:
            yield from owner.cross.values()
        elif (number, leg) in owner.holdings:
            holding = owner.holdings[number, leg]
            if holding.isolated and holding.lots:
                yield holding

    def add_order(self, order: Order, open_lots: int) -> None:
        order.open_lots = order.shown = open_lots
        self.last_turn += 1
        order.turn = self.last_turn
        symbol = order.holding.symbol
        self.orders[order.order_id] = order
        order.holding.orders[order.order_id] = order
        symbol.sides[order.side].add(order)
        symbol.open_lots += open_lots
        symbol.open_value += open_lots * order.price
        if not order.reduce_only:
            symbol.opening[order.side] += open_lots

    def set_open(self, order: Order, open_lots: int) -> None:
        """A new open quantity; at 0 the order is gone.  What an iceberg shows has events of its own."""
        symbol = order.holding.symbol
        change = open_lots - order.open_lots
        symbol.open_lots += change
        symbol.open_value += change * order.price
        if not order.reduce_only:
            symbol.opening[order.side] += change
        order.open_lots = open_lots
        if not order.iceberg:
            order.shown = open_lots
        if open_lots == 0:
            del self.orders[order.order_id]
            del order.holding.orders[order.order_id]
            symbol.sides[order.side].remove(order)

    def show(self, order: Order, shown_lots: int, *, refreshed: bool) -> None:
        """What an iceberg shows from now on."""
        order.shown = shown_lots
        if refreshed:
            self.last_turn += 1
            order.turn = self.last_turn
            order.holding.symbol.sides[order.side].to_the_back(order)

    def add_waiting(self, order: Waiting) -> None:
        symbol = order.holding.symbol
        self.waiting[order.order_id] = order
        order.holding.waiting[order.order_id] = order
        symbol.waiting_count += 1
        if order.trails:
            symbol.trailing[order.order_id] = order

    def watch(self, order: Waiting) -> None:
        """Puts the trigger of a waiting order, as it is now, among those that are looked at."""
        if order.trails:
            return
        key = (order.trigger_by, order.rises)
        heap = order.holding.symbol.triggers.setdefault(key, [])
        heapq.heappush(heap, (order.trigger if order.rises else -order.trigger, order.order_id))

    def remove_waiting(self, order: Waiting) -> None:
        del self.waiting[order.order_id]
        del order.holding.waiting[order.order_id]
        order.holding.symbol.trailing.pop(order.order_id, None)
        order.holding.symbol.waiting_count -= 1

    def forget_terms(self) -> None:
        """Now and then: what orders asked for that are gone is not needed any more."""
        if len(self.terms) > 1_000 + 2 * (len(self.orders) + len(self.waiting)):
            live = self.orders.keys() | self.waiting.keys()
            self.terms = {number: self.terms[number] for number in self.terms if number in live}
