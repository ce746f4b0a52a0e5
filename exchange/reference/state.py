"""What the exchange keeps: symbols, accounts, collateral pools, positions and orders - and no totals.

Theory of operation.  A collateral pool is a balance and the positions that it backs.  An account has a cross
pool, whose balance is its wallet; each of its positions has an isolated pool beside it, whose balance is 0
while the position is in cross mode.  ``Position.pool`` is the one place that decides which of the two counts,
so that the rules need not ask for the mode.

Everything is held in sorted containers, so that walking is always in the order that the rules name: accounts
and symbols by number, orders that rest by side, best price first, then time in the queue, orders that wait for
their trigger by order id.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from exchange.protocol.schema import PPM, AdlPolicy, Leg, MarginMode, PositionMode, SymbolState
from exchange.reference.assets import Asset, Holding
from exchange.reference.containers import SortedDict
from exchange.reference.drawing import Drawing
from exchange.reference.order import BUY, GTD, SELL, Order, Orders
from exchange.reference.quotes import FundingPolicy, MarkPolicy

NET = int(Leg.NET)
CROSS = int(MarginMode.CROSS)
ISOLATED = int(MarginMode.ISOLATED)
OPEN = int(SymbolState.OPEN)
QUEUE = int(AdlPolicy.QUEUE)

#: (account, symbol, leg) of a collateral pool; the cross pool of an account is on symbol 0.
PoolKey = tuple[int, int, int]


@dataclass(slots=True, frozen=True)
class Bracket:
    """A maintenance bracket: what holds from its notional floor on (MARGIN-03)."""

    floor_atoms: int
    maintenance_ppm: int
    initial_ppm: int
    deduction_atoms: int  # cum: makes the requirement continuous at the floor


class Limits(NamedTuple):
    """Caps of a symbol, and where its initial margin rises with open interest (MARGIN-11); -1: none, nowhere."""

    position_atoms: int = -1
    open_interest_atoms: int = -1
    scaling_lower_atoms: int = -1
    scaling_upper_atoms: int = -1


NO_LIMITS = Limits()


@dataclass(slots=True, eq=False)
class Symbol:
    """A listed perpetual: its policy in force, its state and prices, its book and its open positions."""

    number: int
    name: bytes
    tick_size_e12: int
    lot_size_e12: int
    atoms_per_tick_lot: int
    initial_margin_ppm: int
    taker_fee_ppm: int
    maker_fee_ppm: int
    price_band_ppm: int
    upnl_weight_ppm: int
    min_qty_lots: int
    max_qty_lots: int
    min_notional_atoms: int
    max_open_orders: int
    exposure_limit_atoms: int
    fund: int
    slippage_cap_ppm: int
    liquidation_mode: int
    liquidation_fee_ppm: int
    liquidation_fraction_ppm: int
    liquidation_buffer_ppm: int
    liquidation_min_notional_atoms: int
    liquidation_max_notional_atoms: int
    draw_cap_atoms: int
    brackets: tuple[Bracket, ...]
    listing: bytes  # body of the list_symbol record, as given
    mark_ticks: int = 0  # 0: none yet
    last_ticks: int = 0  # the last trade (MATCH-10); 0: none yet
    market_last_ticks: int = 0  # the last one that no liquidation made (MARK-02)
    composite: MarkPolicy | None = None  # None: the mark is set by hand
    is_held: bool = False  # the mark is held: nothing may be opened (MARK-03)
    funding: FundingPolicy | None = None  # None: settled by hand
    state: int = OPEN
    limits: Limits = NO_LIMITS
    drawing: Drawing | None = None  # of funds, where that is capped (FUND-01)
    adl_policy: int = QUEUE
    book: Orders = field(default_factory=Orders)
    positions: SortedDict[tuple[int, int], Position] = field(
        default_factory=SortedDict
    )  # open ones, by account, then leg

    def bracket_of(self, notional_atoms: int) -> Bracket:
        """The last bracket whose floor is not above the notional (MARGIN-03)."""
        after = bisect_right(self.brackets, notional_atoms, key=lambda b: b.floor_atoms)
        return self.brackets[after - 1]

    def open_interest_lots(self) -> int:
        """MARGIN-11: the lots that are held, of which each has a long and a short side."""
        return sum(abs(position.lots) for position in dict.values(self.positions)) // 2

    def value_atoms(self, lots: int, price_ticks: int) -> int:
        """What so many lots are worth at a price, exactly."""
        return lots * price_ticks * self.atoms_per_tick_lot

    def notional_atoms(self, lots: int) -> int:
        """What so many lots, of either sign, are worth at the mark."""
        return abs(lots) * self.mark_ticks * self.atoms_per_tick_lot

    def highest_buy_ticks(self, band_ppm: int) -> int:
        """The price that a buy may not be above (MATCH-09, LIQ-06)."""
        return self.mark_ticks * (PPM + band_ppm) // PPM

    def lowest_sell_ticks(self, band_ppm: int) -> int:
        """The price that a sell may not be below (MATCH-09, LIQ-06)."""
        return -(-self.mark_ticks * (PPM - band_ppm) // PPM)


@dataclass(slots=True, eq=False)
class Pool:
    """A collateral pool: symbol 0 is the cross pool of the account, else the isolated pool of that symbol and leg."""

    account: int
    symbol: int
    leg: int = NET
    balance_atoms: int = 0
    drawn_atoms: int = 0  # taken from funds in the present liquidation
    liquidating: bool = False
    uncovered: bool = False
    warned: int = 0  # levels that it was told of (MARGIN-10)

    @property
    def key(self) -> PoolKey:
        return (self.account, self.symbol, self.leg)

    @property
    def flags(self) -> int:
        return self.liquidating + 2 * self.uncovered


@dataclass(slots=True, eq=False)
class Position:
    """An account on a symbol, in hedge mode one leg of it: signed lots and entry value (ACCT-02), settings, orders."""

    owner: Account
    symbol: Symbol
    leg: int
    isolated: Pool
    lots: int = 0
    entry_value_atoms: int = 0
    own_rate_ppm: int = 0  # initial margin rate of the account's own; 0: the symbol's
    mode: int = CROSS
    auto_margin: bool = False  # the wallet adds margin by itself (ACCT-09)
    orders: Orders = field(default_factory=Orders)  # those that rest
    waiting: SortedDict[int, Order] = field(default_factory=SortedDict)  # by order id

    @property
    def pool(self) -> Pool:
        """The collateral pool that backs this position."""
        return self.isolated if self.mode == ISOLATED else self.owner.cross

    @property
    def rate_ppm(self) -> int:
        """The initial margin rate in force, the bracket's own floor apart (ACCT-01)."""
        return self.own_rate_ppm or self.symbol.initial_margin_ppm

    @property
    def closing_side(self) -> int:
        """The side of an order that reduces the position; meaningless while there is none."""
        return SELL if self.lots > 0 else BUY

    def reducible_lots(self, side: int) -> int:
        """How many lots an order of this side could take off the position."""
        return abs(self.lots) if self.lots and side == self.closing_side else 0

    @property
    def order_count(self) -> int:
        """The orders that rest or wait here (MATCH-09)."""
        return len(self.orders) + len(self.waiting)

    @property
    def is_default(self) -> bool:
        """Whether nothing was ever set or left here."""
        pool = self.isolated
        return not (
            self.lots
            or self.entry_value_atoms
            or pool.balance_atoms
            or pool.drawn_atoms
            or pool.flags
            or self.own_rate_ppm
            or self.mode
        )


class Remembered(NamedTuple):
    """What an accepted order is known by, should it be sent once more (MATCH-08); prices and lots as given."""

    client_order_id: int
    order_id: int
    symbol: int
    leg: int
    side: int
    order_type: int
    price_ticks: int
    qty_lots: int
    trigger_ticks: int


@dataclass(slots=True, eq=False)
class Account:
    """An account: its cross pool, whose balance is the wallet, and its positions by symbol, then leg."""

    number: int
    cross: Pool
    positions: SortedDict[tuple[int, int], Position] = field(default_factory=SortedDict)
    position_mode: PositionMode = PositionMode.ONE_WAY  # ACCT-08
    stp_group: int = 0  # 0: none (MATCH-06)
    remembered: list[Remembered] = field(default_factory=list)  # the last ones, oldest first
    charged: SortedDict[int, int] = field(
        default_factory=SortedDict
    )  # by symbol: what of the cross pool's deficit it caused, unpaid (FUND-01)
    multi_asset: bool = False  # whether its collateral assets count (COLL-02)
    holdings: SortedDict[int, Holding] = field(
        default_factory=SortedDict
    )  # by asset; none is empty
    stands_in: bool = False  # in a pocket venue, for somebody who is good for everything

    @property
    def counted_atoms(self) -> int:
        """COLL-02: what the account's collateral assets count for its cross pool."""
        if not self.multi_asset:
            return 0
        return sum(holding.counted_atoms for holding in self.holdings.values())

    def orders(self) -> list[Order]:
        """MATCH-07, canonical order of the live orders: of each symbol and leg what rests, then what waits."""
        return [
            order
            for position in self.positions.values()
            for order in (*position.orders, *position.waiting.values())
        ]

    def order_count(self, symbol: Symbol) -> int:
        """Its orders on a symbol, those of all legs (MATCH-09)."""
        return sum(p.order_count for p in self.positions.values() if p.symbol is symbol)

    @property
    def is_default(self) -> bool:
        pool = self.cross
        return not (
            pool.balance_atoms
            or pool.drawn_atoms
            or pool.flags
            or self.stp_group
            or self.position_mode
            or self.multi_asset
            or self.holdings
            or any(
                not p.is_default or p.order_count or p.auto_margin for p in self.positions.values()
            )
        )


class State:
    """Everything that the exchange remembers from one command to the next."""

    def __init__(self) -> None:
        self.symbols: SortedDict[int, Symbol] = SortedDict()
        self.assets: SortedDict[int, Asset] = SortedDict()
        self.accounts: SortedDict[int, Account] = SortedDict()
        self.orders: dict[int, Order] = {}  # resting, by order id
        self.waiting: SortedDict[int, Order] = SortedDict()  # for their trigger, by order id
        self.dated: dict[int, Order] = {}  # those of both that are good till a date
        self.countdowns: dict[int, int] = {}  # account -> when its orders are cancelled (MATCH-07)
        self.funds: dict[int, int] = {}
        self.fees_atoms = 0
        self.deposits_atoms = 0  # less withdrawals; funds included
        self.warning_levels_ppm: tuple[int, ...] = ()  # rising (MARGIN-10)
        self.next_order_id = 1
        self.next_trade_id = 1
        self.next_turn = 1

    def account(self, number: int) -> Account:
        """An account needs no opening: one that never appeared has nothing."""
        found: Account | None = self.accounts.get(number)
        if found is None:
            found = self.accounts[number] = Account(number, Pool(number, 0))
        return found

    def position(self, account: int, symbol: int, leg: int) -> Position:
        """The account on the symbol; with no position and the default settings if it never traded there."""
        owner = self.account(account)
        found: Position | None = owner.positions.get((symbol, leg))
        if found is None:
            found = Position(owner, self.symbols[symbol], leg, Pool(account, symbol, leg))
            owner.positions[symbol, leg] = found
        return found

    def position_of(self, order: Order) -> Position:
        return self.position(order.account, order.symbol, order.leg)

    def pools(self) -> Iterator[Pool]:
        """Every pool, by account, the cross pool first."""
        for account in self.accounts.values():
            yield account.cross
            for position in account.positions.values():
                yield position.isolated

    def take_order_id(self) -> int:
        self.next_order_id += 1
        return self.next_order_id - 1

    def take_trade_id(self) -> int:
        self.next_trade_id += 1
        return self.next_trade_id - 1

    def rest(self, order: Order) -> None:
        """Puts an order at the back of its price level; an iceberg shows its next slice there (MATCH-15)."""
        order.turn = self.next_turn
        self.next_turn += 1
        order.shown_lots = min(order.display_lots, order.open_lots)
        self.orders[order.order_id] = order
        self.symbols[order.symbol].book.add(order)
        self.position_of(order).orders.add(order)
        if order.time_in_force == GTD:
            self.dated[order.order_id] = order

    def unrest(self, order: Order) -> None:
        """Takes a resting order out of its level."""
        del self.orders[order.order_id]
        self.symbols[order.symbol].book.remove(order)
        self.position_of(order).orders.remove(order)
        self.dated.pop(order.order_id, None)

    def wait(self, order: Order) -> None:
        """Puts an order beside the book, where it waits for its trigger (MATCH-10)."""
        self.waiting[order.order_id] = order
        self.position_of(order).waiting[order.order_id] = order
        if order.time_in_force == GTD:
            self.dated[order.order_id] = order

    def unwait(self, order: Order) -> None:
        """Takes an order from among those that wait."""
        del self.waiting[order.order_id]
        del self.position_of(order).waiting[order.order_id]
        self.dated.pop(order.order_id, None)

    def is_waiting(self, order: Order) -> bool:
        return order.order_id in self.waiting

    def live_order(self, order_id: int) -> Order | None:
        """The order with this id that rests or waits."""
        return self.orders.get(order_id) or self.waiting.get(order_id)

    def is_own(self, account: int, other: int) -> bool:
        """MATCH-06: the same account, or two of one group: they never trade with each other."""
        if account == other:
            return True
        group = self.account(account).stp_group
        return bool(group) and group == self.account(other).stp_group

    def move_position(self, position: Position, lots: int, entry_value_atoms: int) -> None:
        """Sets what an account holds of a symbol, and keeps the symbol's list of open positions true."""
        position.lots = lots
        position.entry_value_atoms = entry_value_atoms
        key = (position.owner.number, position.leg)
        if lots:
            position.symbol.positions[key] = position
        else:
            position.symbol.positions.pop(key, None)

    def change_fund(self, fund: int, change_atoms: int) -> int:
        """Moves an insurance fund and says what it holds then; it is never negative (FUND-01)."""
        balance = self.funds.get(fund, 0) + change_atoms
        assert balance >= 0, (fund, balance)
        self.funds[fund] = balance
        return balance


def fund_balance(state: State, fund: int) -> int:
    """What an insurance fund holds (FUND-01)."""
    return state.funds.get(fund, 0)
