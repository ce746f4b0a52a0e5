"""The commands and events of the exchange as typed, immutable objects: what Python code handles.

GENERATED from exchange/protocol/{codes,schema}.py by python -m exchange.protocol.generate: edit the table.

Every number is an integer in the unit that its name ends in; codes (``side``, ``reason``) are plain
integers that compare equal to the members of the enums in ``schema``.

>>> PlaceOrder(account=7, symbol=1, side=Side.BUY, price_ticks=100, qty_lots=3).order_type
0
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import msgspec

from exchange.protocol.schema import (
    AdlPolicy,
    BalanceCause,
    BudgetLimit,
    CancelReason,
    ClosingLimit,
    ClosingSize,
    CollateralCause,
    FillRole,
    FundCause,
    Leg,
    LiquidationMode,
    ListMode,
    MarginMode,
    OrderFlag,
    OrderPlace,
    OrderType,
    PositionMode,
    RejectReason,
    SelfTradePrevention,
    Side,
    SymbolState,
    TimeInForce,
    TriggerBy,
)

#: (notional floor in atoms, maintenance ppm, initial ppm); initial 0 reads as the maintenance rate.
Bracket: TypeAlias = tuple[int, int, int]


class OrderEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One order of ``PlaceOrders``: what ``PlaceOrder`` says of an order."""

    symbol: int  # number of the symbol
    side: int  # buy or sell
    order_type: int = 0  # limit, market, or one of those that wait for a trigger
    time_in_force: int = 0  # GTC, IOC, FOK or GTD
    self_trade: int = 0  # self-trade prevention of this order
    flags: int = 0  # sum of order flags
    price_ticks: int = 0  # limit; of a market order the worst price it may have, 0: none
    qty_lots: int = 0  # 1 .. 10^12; 0 with close-position
    client_order_id: int = 0  # the account's own number for the order; 0: none
    display_lots: int = 0  # iceberg: what is shown at a time; 0: all
    expires_ns: int = 0  # GTD: when it is cancelled, nanoseconds since the epoch
    trigger_ticks: int = 0  # stop and take-profit: the price that sets it off
    callback_ticks: int = 0  # trailing stop: its distance from the best price since, in ticks
    callback_ppm: int = 0  # trailing stop: its distance as a share of that price
    trigger_by: int = 0  # what the trigger watches: mark or last trade
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What commands and events have in common: the number of their type in the table."""

    number: ClassVar[int] = 0


class ListSymbol(Message, frozen=True, kw_only=True, gc=False):
    """Lists a perpetual with all numbers of its policy."""

    number: ClassVar[int] = 1
    account: int = 0  # the account that acts; 0 for the operator
    symbol: int  # number of the symbol
    name: str  # up to 16 bytes of UTF-8, for people
    tick_size_e12: int  # price step in quote units x 10^12
    lot_size_e12: int  # quantity step in base units x 10^12
    atoms_per_tick_lot: int  # value of one lot at one tick; an atom is 10^-8 quote units
    initial_margin_ppm: int  # default initial margin rate = 1 / default leverage
    taker_fee_ppm: int = 0  # of the value of a fill
    maker_fee_ppm: int = 0  # of the value of a fill; negative: a rebate
    price_band_ppm: int = -1  # how far from the mark an order may be priced; -1: anywhere
    upnl_weight_ppm: int = 1000000  # weight of positive unrealised profit in what is available
    min_qty_lots: int = 1  # smallest order
    max_qty_lots: int = 1000000000000  # largest order
    min_notional_atoms: int = 0  # smallest order value, reduce-only excepted
    max_open_orders: int = 200  # per account on this symbol
    # bound of gross exposure; over all symbols at most 2^60:
    exposure_limit_atoms: int = 72057594037927936
    fund: int = 0  # insurance fund that deficits are charged to; 0 is the shared one
    slippage_cap_ppm: int = -1  # furthest a liquidation trades from the mark; -1: anywhere
    liquidation_mode: int = 2  # full, fraction or target
    liquidation_fee_ppm: int = 0  # of the value of a liquidation fill, to the fund
    liquidation_fraction_ppm: int = 1000000  # of the position, in mode fraction
    liquidation_buffer_ppm: int = 0  # margin above maintenance that mode target restores
    liquidation_min_notional_atoms: int = 0  # at mark: smaller pieces are not made, nor left
    liquidation_max_notional_atoms: int = -1  # at mark, per order; -1: no bound
    draw_cap_atoms: int = -1  # most that one liquidation may draw from the fund; -1: no bound
    # (notional floor in atoms, maintenance ppm, initial ppm; initial 0: as maintenance):
    brackets: tuple[Bracket, ...]
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class Deposit(Message, frozen=True, kw_only=True, gc=False):
    """Adds money to the account's wallet."""

    number: ClassVar[int] = 2
    account: int = 0  # the account that acts; 0 for the operator
    amount_atoms: int  # above 0
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class Withdraw(Message, frozen=True, kw_only=True, gc=False):
    """Takes money out of the wallet, at most what is withdrawable (ACCT-07)."""

    number: ClassVar[int] = 3
    account: int = 0  # the account that acts; 0 for the operator
    amount_atoms: int  # above 0
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class DepositFund(Message, frozen=True, kw_only=True, gc=False):
    """Adds the operator's money to an insurance fund."""

    number: ClassVar[int] = 4
    account: int = 0  # the account that acts; 0 for the operator
    fund: int  # number of the fund
    amount_atoms: int  # above 0
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class SetMarginMode(Message, frozen=True, kw_only=True, gc=False):
    """Sets mode and initial margin rate of account and symbol, as one step with what is open
    (ACCT-01).
    """

    number: ClassVar[int] = 5
    account: int = 0  # the account that acts; 0 for the operator
    symbol: int  # number of the symbol
    margin_mode: int  # cross or isolated
    initial_margin_ppm: int = 0  # 1,000,000 / leverage rounded up; 0: as it is
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class ChangeIsolatedMargin(Message, frozen=True, kw_only=True, gc=False):
    """Moves money between the wallet and the pool of an isolated position (ACCT-06)."""

    number: ClassVar[int] = 6
    account: int = 0  # the account that acts; 0 for the operator
    symbol: int  # number of the symbol
    change_atoms: int  # positive: to the position; negative: back to the wallet
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class PlaceOrder(Message, frozen=True, kw_only=True, gc=False):
    """Places an order (MATCH-01..06, MATCH-10, MATCH-15)."""

    number: ClassVar[int] = 7
    account: int = 0  # the account that acts; 0 for the operator
    symbol: int  # number of the symbol
    side: int  # buy or sell
    order_type: int = 0  # limit, market, or one of those that wait for a trigger
    time_in_force: int = 0  # GTC, IOC, FOK or GTD
    self_trade: int = 0  # self-trade prevention of this order
    flags: int = 0  # sum of order flags
    price_ticks: int = 0  # limit; of a market order the worst price it may have, 0: none
    qty_lots: int = 0  # 1 .. 10^12; 0 with close-position
    client_order_id: int = 0  # the account's own number for the order; 0: none
    display_lots: int = 0  # iceberg: what is shown at a time; 0: all
    expires_ns: int = 0  # GTD: when it is cancelled, nanoseconds since the epoch
    trigger_ticks: int = 0  # stop and take-profit: the price that sets it off
    callback_ticks: int = 0  # trailing stop: its distance from the best price since, in ticks
    callback_ppm: int = 0  # trailing stop: its distance as a share of that price
    trigger_by: int = 0  # what the trigger watches: mark or last trade
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class CancelOrder(Message, frozen=True, kw_only=True, gc=False):
    """Cancels one order, named by order id or, where that is 0, by client order id."""

    number: ClassVar[int] = 8
    account: int = 0  # the account that acts; 0 for the operator
    order_id: int = 0  # the engine's id, or 0
    client_order_id: int = 0  # the account's own number for the order; 0: none
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class CancelAll(Message, frozen=True, kw_only=True, gc=False):
    """Cancels the account's orders: of one symbol or all, of one side or both."""

    number: ClassVar[int] = 9
    account: int = 0  # the account that acts; 0 for the operator
    symbol: int = 0  # number of the symbol; 0: all
    side: int = 2  # 0 buy, 1 sell, 2 both
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class AmendOrder(Message, frozen=True, kw_only=True, gc=False):
    """Changes one order in one step: price, total quantity, display, expiry, trigger (MATCH-05)."""

    number: ClassVar[int] = 10
    account: int = 0  # the account that acts; 0 for the operator
    order_id: int = 0  # the engine's id, or 0
    client_order_id: int = 0  # the account's own number for the order; 0: none
    price_ticks: int = 0  # new limit; 0: as it is
    qty_lots: int = 0  # new total quantity, what is filled included; 0: as it is
    display_lots: int = 0  # new display quantity of an iceberg; 0: as it is
    expires_ns: int = 0  # new expiry of a GTD order; 0: as it is
    trigger_ticks: int = 0  # new trigger of a waiting stop or take-profit; 0: as it is
    callback_ticks: int = 0  # new distance of a waiting trailing stop; 0: as it is
    callback_ppm: int = 0  # the same as a share of the price; 0: as it is
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class SetMark(Message, frozen=True, kw_only=True, gc=False):
    """Moves the mark price of a symbol (MARK-01) and liquidates whoever is then below
    maintenance.
    """

    number: ClassVar[int] = 11
    account: int = 0  # the account that acts; 0 for the operator
    symbol: int  # number of the symbol
    price_ticks: int  # 1 .. 10^12
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class SettleFunding(Message, frozen=True, kw_only=True, gc=False):
    """Longs pay shorts an amount per lot (FUNDING-01); negative: shorts pay longs."""

    number: ClassVar[int] = 12
    account: int = 0  # the account that acts; 0 for the operator
    symbol: int  # number of the symbol
    payment_atoms_per_lot: int  # whole atoms per lot, rounded down
    payment_fraction_q32: int = 0  # the rest of an atom per lot, in 2^-32
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class AdvanceTime(Message, frozen=True, kw_only=True, gc=False):
    """Lets time pass: what is due expires, and a symbol in auction tells its indication."""

    number: ClassVar[int] = 13
    account: int = 0  # the account that acts; 0 for the operator
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class PlaceOrders(Message, frozen=True, kw_only=True, gc=False):
    """Places up to 64 orders in one command, each on its own or linked (MATCH-14)."""

    number: ClassVar[int] = 14
    account: int = 0  # the account that acts; 0 for the operator
    list_mode: int = 0  # what the orders have to do with each other
    orders: tuple[OrderEntry, ...]  # the orders; fields as in place_order
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class SetSymbolState(Message, frozen=True, kw_only=True, gc=False):
    """Opens, halts, settles a symbol or calls an auction (MATCH-12)."""

    number: ClassVar[int] = 15
    account: int = 0  # the account that acts; 0 for the operator
    symbol: int  # number of the symbol
    state: int  # the state from now on
    price_ticks: int = 0  # settled: the final mark; else 0
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class SetCountdown(Message, frozen=True, kw_only=True, gc=False):
    """Cancels all of the account's orders when the time is up, unless it is set again
    (MATCH-07).
    """

    number: ClassVar[int] = 16
    account: int = 0  # the account that acts; 0 for the operator
    timeout_ms: int = 0  # from the time of this command; 0: no countdown
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class SetStpGroup(Message, frozen=True, kw_only=True, gc=False):
    """Puts an account into a group whose members never trade with each other (MATCH-06)."""

    number: ClassVar[int] = 17
    account: int = 0  # the account that acts; 0 for the operator
    member_account: int  # the account
    stp_group: int = 0  # number of the group; 0: none
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class SetBrackets(Message, frozen=True, kw_only=True, gc=False):
    """Puts another bracket table and default initial margin rate in force, whatever is open
    (MARGIN-03, MARGIN-04).
    """

    number: ClassVar[int] = 18
    account: int = 0  # the account that acts; 0 for the operator
    symbol: int  # number of the symbol
    initial_margin_ppm: int  # default initial margin rate from now on
    brackets: tuple[Bracket, ...]  # as in list_symbol
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class SetRiskLimits(Message, frozen=True, kw_only=True, gc=False):
    """Caps what an account, and what all together may hold of a symbol, and scales initial
    margin with it (MARGIN-11).
    """

    number: ClassVar[int] = 19
    account: int = 0  # the account that acts; 0 for the operator
    symbol: int  # number of the symbol
    # of an account's position with its orders of the side, at mark; -1: none:
    position_limit_atoms: int = -1
    # of all positions with all orders of the side, at mark; -1: none:
    open_interest_limit_atoms: int = -1
    # open interest from which initial margin rates rise; -1: they do not:
    oi_scaling_lower_atoms: int = -1
    oi_scaling_upper_atoms: int = -1  # open interest at which they are 100 %; -1: they do not rise
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class SetMarginWarnings(Message, frozen=True, kw_only=True, gc=False):
    """At which parts of its equity a pool's maintenance margin is warned of, rising; all 0:
    never (MARGIN-10).
    """

    number: ClassVar[int] = 20
    account: int = 0  # the account that acts; 0 for the operator
    # maintenance margin as a part of equity; 0: none, and none behind it:
    first_level_ppm: int = 800000
    second_level_ppm: int = 900000  # above the first; 0: none, and none behind it
    third_level_ppm: int = 0  # above the second; 0: none, nor a fourth
    fourth_level_ppm: int = 0  # above the third; 0: none
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class SetAutoMargin(Message, frozen=True, kw_only=True, gc=False):
    """Whether the wallet adds margin to an isolated position by itself before it would be
    liquidated (ACCT-09).
    """

    number: ClassVar[int] = 21
    account: int = 0  # the account that acts; 0 for the operator
    symbol: int  # number of the symbol
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    enabled: int = 1  # 1: it does; 0: it does not
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class SetAdlPolicy(Message, frozen=True, kw_only=True, gc=False):
    """Chooses how positions of a symbol are auto-deleveraged from now on (ADL-05)."""

    number: ClassVar[int] = 22
    account: int = 0  # the account that acts; 0 for the operator
    symbol: int  # number of the symbol
    policy: int = 0  # who gives how much, at which price
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class SetFundPolicy(Message, frozen=True, kw_only=True, gc=False):
    """Caps what insurance funds pay for a symbol, in total and within a rolling window, and
    names a second fund (FUND-01).
    """

    number: ClassVar[int] = 23
    account: int = 0  # the account that acts; 0 for the operator
    symbol: int  # number of the symbol
    # most that the symbol's own fund pays for it from now on, in total; -1: no bound:
    cap_atoms: int = -1
    second_fund: int = 0  # fund that pays where its own may not
    second_cap_atoms: int = 0  # the same of the second fund; 0: there is none
    window_ns: int = 0  # length of the rolling window, up to 10^17; 0: none
    window_cap_atoms: int = -1  # most that both funds pay for the symbol within it; -1: no bound
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class SetMarkPolicy(Message, frozen=True, kw_only=True, gc=False):
    """From now on the mark of a symbol is computed from prices that are sent (MARK-02), or set
    by hand again.
    """

    number: ClassVar[int] = 25
    account: int = 0  # the account that acts; 0 for the operator
    symbol: int  # number of the symbol
    enabled: int = 1  # 1: composite; 0: set by set_mark
    max_feeds: int = 16  # external feeds there may be, 0 .. 16
    max_age_ns: int = 10000000000  # an older price drops out, 1 .. 10^15
    # time constant of the average distance between mid and index, 0 .. 10^15:
    ema_ns: int = 150000000000
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class SetPrice(Message, frozen=True, kw_only=True, gc=False):
    """A price from outside: the index, or an external feed; the composite mark is computed anew
    (MARK-02).
    """

    number: ClassVar[int] = 26
    account: int = 0  # the account that acts; 0 for the operator
    symbol: int  # number of the symbol
    source: int = 0  # 0: the index; from 1: an external feed
    price_ticks: int  # 1 .. 10^12
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class SetFundingPolicy(Message, frozen=True, kw_only=True, gc=False):
    """From now on the engine computes the funding rate of a symbol and settles it (FUNDING-02),
    or no longer does.
    """

    number: ClassVar[int] = 27
    account: int = 0  # the account that acts; 0 for the operator
    symbol: int  # number of the symbol
    enabled: int = 1  # 1: the engine computes the rate and settles it; 0: settle_funding does
    interval_ns: int = 28800000000000  # settled at each whole multiple of it, 10^6 .. 10^15
    # the premium is measured at each whole multiple of it, 10^6 .. interval, which it divides:
    sample_ns: int = 60000000000
    interest_ppb: int = 100000  # interest for an interval, -10^9 .. 10^9
    clamp_ppb: int = 500000  # how far interest may pull the average premium either way, 0 .. 10^9
    max_rate_ppb: int = 1000000000  # most for an interval either way, 0 .. 10^9
    impact_notional_atoms: int = 1000000000000  # size for which the book is asked, 1 .. 10^18
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class SetPositionMode(Message, frozen=True, kw_only=True, gc=False):
    """One position on each symbol, or a long and a short one beside each other (ACCT-08); with
    nothing open only.
    """

    number: ClassVar[int] = 29
    account: int = 0  # the account that acts; 0 for the operator
    position_mode: int  # one-way or hedge
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class ListAsset(Message, frozen=True, kw_only=True, gc=False):
    """Lists an asset that may back cross positions, or gives a listed one another haircut
    (COLL-01).
    """

    number: ClassVar[int] = 31
    account: int = 0  # the account that acts; 0 for the operator
    asset: int  # number of the collateral asset
    name: str  # up to 16 bytes of UTF-8, for people
    unit_parts: int  # parts in one unit, 10^8 for bitcoin in satoshi; cannot change
    haircut_ppm: int  # of its value, what does not count
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class SetAssetPrice(Message, frozen=True, kw_only=True, gc=False):
    """Moves the price of a collateral asset and checks whoever counts on it (COLL-02)."""

    number: ClassVar[int] = 32
    account: int = 0  # the account that acts; 0 for the operator
    asset: int  # number of the collateral asset
    price_atoms: int  # atoms of the settlement asset for one unit
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class ChangeCollateral(Message, frozen=True, kw_only=True, gc=False):
    """Brings a collateral asset in, or takes it out (COLL-03)."""

    number: ClassVar[int] = 33
    account: int = 0  # the account that acts; 0 for the operator
    asset: int  # number of the collateral asset
    change_parts: int  # positive: in; negative: out
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class SetMultiAsset(Message, frozen=True, kw_only=True, gc=False):
    """Whether the account's collateral assets count for its cross pool (COLL-02)."""

    number: ClassVar[int] = 34
    account: int = 0  # the account that acts; 0 for the operator
    enabled: int  # 1: they count; 0: they only lie there
    sequence: int = 0  # position in the journal, from 1, without gaps
    timestamp_ns: int = 0  # nanoseconds since the epoch, never decreasing


class Accepted(Message, frozen=True, kw_only=True, gc=False):
    """The one result of a command that was carried out; the events that follow say what it did."""

    number: ClassVar[int] = 128
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    timestamp_ns: int  # time of the command
    command: int  # number of the command
    order_id: int  # given by the engine, rising from 1
    client_order_id: int = 0  # the account's own number for the order; 0: none


class Rejected(Message, frozen=True, kw_only=True, gc=False):
    """The one result of a command that was refused: nothing changed."""

    number: ClassVar[int] = 129
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    timestamp_ns: int  # time of the command
    command: int  # number of the command
    reason: int  # why
    client_order_id: int = 0  # the account's own number for the order; 0: none


class OrderRested(Message, frozen=True, kw_only=True, gc=False):
    """An order, or what is left of it, joined the back of its price level."""

    number: ClassVar[int] = 130
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    side: int  # buy or sell
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    flags: int  # sum of order flags
    order_id: int  # given by the engine, rising from 1
    client_order_id: int = 0  # the account's own number for the order; 0: none
    price_ticks: int  # limit
    open_lots: int  # what is left to fill


class OrderCancelled(Message, frozen=True, kw_only=True, gc=False):
    """An order, or what was left of it, is gone."""

    number: ClassVar[int] = 131
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    side: int  # buy or sell
    place: int  # where it was: the rest of a taker, in the book, or waiting
    reason: int  # why
    order_id: int  # given by the engine, rising from 1
    client_order_id: int = 0  # the account's own number for the order; 0: none
    price_ticks: int  # limit; 0 for a market order
    open_lots: int  # what was left to fill


class OrderAmended(Message, frozen=True, kw_only=True, gc=False):
    """An order has a new price or quantity.  Without kept_priority it left its level;
    order_rested tells when it is back.
    """

    number: ClassVar[int] = 132
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    side: int  # buy or sell
    kept_priority: int  # 1 if it stayed where it was in the queue
    order_id: int  # given by the engine, rising from 1
    client_order_id: int = 0  # the account's own number for the order; 0: none
    previous_price_ticks: int  # limit before
    previous_open_lots: int  # open quantity before
    price_ticks: int  # limit now
    open_lots: int  # open quantity now, before any fill that follows


class OrderReduced(Message, frozen=True, kw_only=True, gc=False):
    """Self-trade prevention took quantity off an order without a trade (MATCH-06, decrement)."""

    number: ClassVar[int] = 133
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    side: int  # buy or sell
    place: int  # taker or book
    order_id: int  # given by the engine, rising from 1
    client_order_id: int = 0  # the account's own number for the order; 0: none
    price_ticks: int  # limit; 0 for a market order
    reduced_lots: int  # what was taken off
    open_lots: int  # what is left, above 0


class Fill(Message, frozen=True, kw_only=True, gc=False):
    """One side of a fill, settled: the maker's comes first, then the other side's with the same
    trade id.
    """

    number: ClassVar[int] = 134
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    side: int  # buy or sell
    role: int  # the part played in it
    margin_mode: int  # of the position
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    trade_id: int  # rising from 1; 0 in settlement
    order_id: int  # 0 in auto-deleveraging and settlement
    client_order_id: int = 0  # the account's own number for the order; 0: none
    price_ticks: int  # the maker's price; 0 in auto-deleveraging
    qty_lots: int  # quantity
    value_atoms: int  # what the buyer pays the seller
    open_lots: int  # what is left of the order
    position_lots: int  # signed position afterwards
    entry_value_atoms: int  # signed entry value afterwards
    realised_atoms: int  # profit or loss realised, before fees
    fee_atoms: int  # trading fee paid; negative: rebate received
    wallet_atoms: int  # the account's wallet afterwards
    margin_atoms: int  # the isolated pool of account and symbol afterwards (0 in cross mode)


class LiquidationSettled(Message, frozen=True, kw_only=True, gc=False):
    """Follows the fill of a liquidated account: what the fill was worth against bankruptcy, and
    who paid (LIQ-07).
    """

    number: ClassVar[int] = 135
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    fund: int  # number of the fund
    trade_id: int  # of the fill
    bankruptcy_value_atoms: int  # of the lots filled
    liquidation_fee_atoms: int  # from the account to the fund
    fund_paid_atoms: int  # from the fund to the account
    wallet_atoms: int  # the account's wallet afterwards
    margin_atoms: int  # the isolated pool of account and symbol afterwards (0 in cross mode)


class BalanceChanged(Message, frozen=True, kw_only=True, gc=False):
    """Money of an account moved other than by a fill."""

    number: ClassVar[int] = 136
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # the position concerned; 0 for the wallet alone
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    cause: int  # why
    wallet_change_atoms: int  # signed
    margin_change_atoms: int  # signed, of the isolated pool
    wallet_atoms: int  # the account's wallet afterwards
    margin_atoms: int  # the isolated pool of account and symbol afterwards (0 in cross mode)


class FundChanged(Message, frozen=True, kw_only=True, gc=False):
    """An insurance fund moved."""

    number: ClassVar[int] = 137
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    fund: int  # number of the fund
    symbol: int  # the symbol charged or credited; 0: none
    cause: int  # why
    change_atoms: int  # signed
    balance_atoms: int  # afterwards, never negative


class SymbolListed(Message, frozen=True, kw_only=True, gc=False):
    """A symbol can be traded as soon as it has a mark."""

    number: ClassVar[int] = 138
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    name: str  # as listed


class MarkChanged(Message, frozen=True, kw_only=True, gc=False):
    """The mark price moved."""

    number: ClassVar[int] = 139
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    price_ticks: int  # new mark


class FundingSettled(Message, frozen=True, kw_only=True, gc=False):
    """Funding was paid; one balance_changed per position follows."""

    number: ClassVar[int] = 140
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    payment_atoms_per_lot: int  # whole atoms per lot, rounded down
    payment_fraction_q32: int  # the rest of an atom per lot, in 2^-32


class MarginModeChanged(Message, frozen=True, kw_only=True, gc=False):
    """Mode and initial margin rate of account and symbol from now on."""

    number: ClassVar[int] = 141
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    margin_mode: int  # cross or isolated
    initial_margin_ppm: int  # in force, the bracket's own floor apart
    own_rate_ppm: int  # the account's own rate; 0: the symbol's default, and any that follows it


class LiquidationStarted(Message, frozen=True, kw_only=True, gc=False):
    """A collateral pool is below maintenance: its orders are cancelled and only the engine
    trades for it.
    """

    number: ClassVar[int] = 142
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # the isolated position; 0 for the cross pool
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    equity_atoms: int  # of the pool
    maintenance_atoms: int  # of the pool


class LiquidationOrder(Message, frozen=True, kw_only=True, gc=False):
    """The engine sends an order for a pool that it liquidates (LIQ-04..06)."""

    number: ClassVar[int] = 143
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    side: int  # buy or sell
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    order_id: int  # given by the engine, rising from 1
    price_ticks: int  # limit
    qty_lots: int  # quantity
    mark_ticks: int  # mark of the symbol
    bankruptcy_value_atoms: int  # of the whole position
    equity_atoms: int  # of the pool
    maintenance_atoms: int  # of the pool


class LiquidationEnded(Message, frozen=True, kw_only=True, gc=False):
    """The pool is at or above maintenance again, or has no position left."""

    number: ClassVar[int] = 144
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # the isolated position; 0 for the cross pool
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    equity_atoms: int  # of the pool
    maintenance_atoms: int  # of the pool


class DeficitUncovered(Message, frozen=True, kw_only=True, gc=False):
    """Nobody is left to deleverage against (ADL-03): withdrawals stop until the pool is no
    longer below zero.
    """

    number: ClassVar[int] = 145
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    remaining_lots: int  # signed position that is left
    shortfall_atoms: int  # by which the pool is below zero


class OrderWaiting(Message, frozen=True, kw_only=True, gc=False):
    """An order waits for its trigger, as the fields say now: after it was accepted, amended or
    armed (MATCH-10).
    """

    number: ClassVar[int] = 146
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    side: int  # buy or sell
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    order_type: int  # its type
    trigger_by: int  # what it watches
    flags: int  # sum of order flags
    order_id: int  # given by the engine, rising from 1
    client_order_id: int = 0  # the account's own number for the order; 0: none
    trigger_ticks: int  # where it goes off as things stand
    price_ticks: int  # limit; of a market type its worst price, 0: none
    open_lots: int  # quantity; 0: close-position, or an exit whose entry has not filled


class OrderTriggered(Message, frozen=True, kw_only=True, gc=False):
    """The trigger of an order was reached: it acts now."""

    number: ClassVar[int] = 147
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    side: int  # buy or sell
    order_id: int  # given by the engine, rising from 1
    client_order_id: int = 0  # the account's own number for the order; 0: none
    trigger_ticks: int  # the trigger
    watched_ticks: int  # the mark or last price that reached it
    open_lots: int  # the quantity it acts with


class OrderShown(Message, frozen=True, kw_only=True, gc=False):
    """What an iceberg shows in the book from now on; with refreshed 1 it went to the back of its
    level.
    """

    number: ClassVar[int] = 148
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    side: int  # buy or sell
    refreshed: int  # 1: a new slice, at the back of the level
    order_id: int  # given by the engine, rising from 1
    client_order_id: int = 0  # the account's own number for the order; 0: none
    price_ticks: int  # limit
    shown_lots: int  # visible quantity


class EntryAccepted(Message, frozen=True, kw_only=True, gc=False):
    """The result of one order of a list that was accepted."""

    number: ClassVar[int] = 149
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    index: int  # place in the list, from 0
    order_id: int  # given by the engine, rising from 1
    client_order_id: int = 0  # the account's own number for the order; 0: none


class EntryRejected(Message, frozen=True, kw_only=True, gc=False):
    """The result of one order of a list that was refused: it changed nothing."""

    number: ClassVar[int] = 150
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    index: int  # place in the list, from 0
    reason: int  # why
    client_order_id: int = 0  # the account's own number for the order; 0: none


class SymbolStateChanged(Message, frozen=True, kw_only=True, gc=False):
    """The state of a symbol from now on."""

    number: ClassVar[int] = 151
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    state: int  # its state


class AuctionIndicated(Message, frozen=True, kw_only=True, gc=False):
    """What an auction would give at this moment."""

    number: ClassVar[int] = 152
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    price_ticks: int  # uncrossing price; 0: nothing would trade
    qty_lots: int  # what would trade
    imbalance_lots: int  # what would be left at that price; positive: buys, negative: sells


class AuctionUncrossed(Message, frozen=True, kw_only=True, gc=False):
    """An auction trades at one price; its fills follow."""

    number: ClassVar[int] = 153
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    price_ticks: int  # the one price
    qty_lots: int  # what can trade at it
    imbalance_lots: int  # what is left at it; positive: buys, negative: sells


class CountdownSet(Message, frozen=True, kw_only=True, gc=False):
    """When the account's orders will be cancelled."""

    number: ClassVar[int] = 154
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    expires_ns: int  # nanoseconds since the epoch; 0: never


class StpGroupSet(Message, frozen=True, kw_only=True, gc=False):
    """The group of accounts that an account does not trade with."""

    number: ClassVar[int] = 155
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    stp_group: int  # number of the group; 0: none


class BracketsChanged(Message, frozen=True, kw_only=True, gc=False):
    """A symbol's bracket table and default initial margin rate from now on; whoever is below
    maintenance by it is liquidated.
    """

    number: ClassVar[int] = 156
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    initial_margin_ppm: int  # default initial margin rate
    brackets: tuple[Bracket, ...]  # as in set_brackets, with the initial rates that hold


class RiskLimitsChanged(Message, frozen=True, kw_only=True, gc=False):
    """The caps of a symbol, and the scale of its initial margin, from now on."""

    number: ClassVar[int] = 157
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    # of an account's position with its orders of the side, at mark; -1: none:
    position_limit_atoms: int = -1
    # of all positions with all orders of the side, at mark; -1: none:
    open_interest_limit_atoms: int = -1
    # open interest from which initial margin rates rise; -1: they do not:
    oi_scaling_lower_atoms: int = -1
    oi_scaling_upper_atoms: int = -1  # open interest at which they are 100 %; -1: they do not rise


class MarginWarning(Message, frozen=True, kw_only=True, gc=False):
    """A pool's maintenance margin has reached a part of its equity that is warned of
    (MARGIN-10).
    """

    number: ClassVar[int] = 158
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # the isolated position; 0 for the cross pool
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    level_ppm: int  # the highest level that was reached
    equity_atoms: int  # of the pool, when the command was done
    maintenance_atoms: int  # of the pool, when the command was done


class MarginWarningsSet(Message, frozen=True, kw_only=True, gc=False):
    """What pools are warned of from now on."""

    number: ClassVar[int] = 159
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    # maintenance margin as a part of equity; 0: none, and none behind it:
    first_level_ppm: int = 800000
    second_level_ppm: int = 900000  # above the first; 0: none, and none behind it
    third_level_ppm: int = 0  # above the second; 0: none, nor a fourth
    fourth_level_ppm: int = 0  # above the third; 0: none


class AdlPolicySet(Message, frozen=True, kw_only=True, gc=False):
    """How positions of a symbol are auto-deleveraged from now on."""

    number: ClassVar[int] = 160
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    policy: int  # who gives how much, at which price


class AdlRanked(Message, frozen=True, kw_only=True, gc=False):
    """A counterparty's place in an auto-deleveraging and all that it was ranked by; what it
    gives follows (ADL-01, ADL-05).
    """

    number: ClassVar[int] = 161
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    deleveraged_account: int  # whose position is closed
    deleveraged_leg: int  # which of its positions on the symbol
    policy: int  # the policy that ranks
    trade_id: int  # of its fills that follow; 0: it gives no lots
    rank: int  # its place, from 1
    candidates: int  # positions on the other side
    unrealised_atoms: int  # profit or loss of its position
    notional_atoms: int  # of its position, at mark
    entry_value_atoms: int  # entry value of its position, without sign
    equity_atoms: int  # of its pool, as it counts in the score: 1 at least
    net_notional_atoms: int  # of its pool, long less short, where the policy looks at it; else 0
    qty_lots: int  # lots that it gives
    haircut_atoms: int  # what giving costs it against the mark


class FundPolicySet(Message, frozen=True, kw_only=True, gc=False):
    """What insurance funds pay for a symbol at most from now on; all that was paid before does
    not count.
    """

    number: ClassVar[int] = 162
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    # most that the symbol's own fund pays for it from now on, in total; -1: no bound:
    cap_atoms: int = -1
    second_fund: int = 0  # fund that pays where its own may not
    second_cap_atoms: int = 0  # the same of the second fund; 0: there is none
    window_ns: int = 0  # length of the rolling window, up to 10^17; 0: none
    window_cap_atoms: int = -1  # most that both funds pay for the symbol within it; -1: no bound


class DeficitCharged(Message, frozen=True, kw_only=True, gc=False):
    """What of a cross pool's deficit is charged to a symbol, as its liquidation is taken up; one
    for each symbol (FUND-01).
    """

    number: ClassVar[int] = 163
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    charged_atoms: int  # what the symbol caused, and nobody has paid yet


class MarkPolicySet(Message, frozen=True, kw_only=True, gc=False):
    """How the mark of a symbol comes about from now on (MARK-02)."""

    number: ClassVar[int] = 164
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    enabled: int  # 1: composite; 0: set by set_mark
    max_feeds: int  # external feeds there may be, 0 .. 16
    max_age_ns: int  # an older price drops out, 1 .. 10^15
    ema_ns: int  # time constant of the average distance between mid and index, 0 .. 10^15


class PriceSet(Message, frozen=True, kw_only=True, gc=False):
    """A price from outside came in (MARK-02)."""

    number: ClassVar[int] = 165
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    source: int  # 0: the index; from 1: an external feed
    price_ticks: int  # the price


class MarkHoldChanged(Message, frozen=True, kw_only=True, gc=False):
    """The mark is held where it is, and nothing may be opened, or it is computed again
    (MARK-03).
    """

    number: ClassVar[int] = 166
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    held: int  # 1: held; 0: computed
    inputs: int  # prices that there are for it, own book and index included


class FundingPolicySet(Message, frozen=True, kw_only=True, gc=False):
    """How the funding rate of a symbol comes about from now on (FUNDING-02)."""

    number: ClassVar[int] = 167
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    enabled: int  # 1: the engine computes the rate and settles it; 0: settle_funding does
    interval_ns: int  # settled at each whole multiple of it, 10^6 .. 10^15
    # the premium is measured at each whole multiple of it, 10^6 .. interval, which it divides:
    sample_ns: int
    interest_ppb: int  # interest for an interval, -10^9 .. 10^9
    clamp_ppb: int  # how far interest may pull the average premium either way, 0 .. 10^9
    max_rate_ppb: int  # most for an interval either way, 0 .. 10^9
    impact_notional_atoms: int  # size for which the book is asked, 1 .. 10^18
    next_funding_ns: int  # when it is settled next; 0: never


class FundingRate(Message, frozen=True, kw_only=True, gc=False):
    """A premium was measured, or an interval is over: the rate that the samples so far come to
    (FUNDING-02).
    """

    number: ClassVar[int] = 168
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    final: int  # 1: the interval is over, and this rate is settled; 0: a sample was taken
    clamped: int  # 1: interest pulls no further than clamp_ppb of the policy
    capped: int  # 1: the rate is held at cap_ppb
    samples: int  # sample times of the interval that count so far; 0: there is no rate
    counted: int  # of them those that this sample stands for; final: 0
    sample_ppb: int  # premium of this sample; final: 0
    premium_ppb: int  # average premium of the interval so far
    interest_ppb: int  # interest for an interval
    cap_ppb: int  # most that the rate may be either way
    rate_ppb: int  # rate for an interval; positive: longs pay shorts
    next_funding_ns: int  # when the symbol settles next; 0: never


class PositionModeChanged(Message, frozen=True, kw_only=True, gc=False):
    """Whether the account has one position on each symbol from now on, or a long and a short
    one.
    """

    number: ClassVar[int] = 169
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    position_mode: int  # one-way or hedge


class LiquidationPosition(Message, frozen=True, kw_only=True, gc=False):
    """A position of a pool whose liquidation is taken up; one for each, by symbol (LIQ-02..05)."""

    number: ClassVar[int] = 171
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    pool_symbol: int  # the isolated position; 0 for the cross pool
    bracket: int  # index of the bracket that its notional is in, from 0
    position_lots: int  # signed position
    entry_value_atoms: int  # signed entry value
    mark_ticks: int  # mark of the symbol
    notional_atoms: int  # its value at the mark
    unrealised_atoms: int  # profit or loss at the mark
    maintenance_atoms: int  # what it needs
    share_atoms: int  # the part of the pool's equity that stands for it
    bankruptcy_value_atoms: int  # what it must bring (long) or may cost (short)


class LiquidationSized(Message, frozen=True, kw_only=True, gc=False):
    """Why a closing order has this size and this limit, before it is sent (LIQ-04, LIQ-06)."""

    number: ClassVar[int] = 172
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    fund: int  # number of the fund
    mode: int  # full, fraction or target
    sized_by: int  # what decided the quantity
    limited_by: int  # what decided the limit
    position_lots: int  # signed position
    equity_atoms: int  # of the pool
    maintenance_atoms: int  # of the pool
    missing_atoms: int  # target: what the pool is short of maintenance and buffer, rounded up
    gain_atoms_per_lot: int  # target: what closing a lot at the mark brings it nearer, rounded down
    asked_lots: int  # what the mode alone asks for, at most the position
    least_lots: int  # lots worth the smallest notional of a piece
    most_lots: int  # lots worth the largest notional of a piece; 0: no bound
    qty_lots: int  # quantity
    lot_value_atoms: int  # bankruptcy value of one lot
    budget_atoms: int  # what the fund may still pay for this pool in this liquidation
    bankruptcy_ticks: int  # the limit without the fund
    fund_ticks: int  # the limit with the fund's budget
    cap_ticks: int  # the limit of the slippage cap; 0: no cap
    price_ticks: int  # the limit; 0: no order is sent
    budget_by: int  # what bounds the budget
    charged: int  # number of the symbol that is charged for what is below zero


class LiquidationShrunk(Message, frozen=True, kw_only=True, gc=False):
    """The fund cannot bear all lots that a maker would give a closing order (LIQ-07)."""

    number: ClassVar[int] = 173
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    order_id: int  # given by the engine, rising from 1
    price_ticks: int  # the maker's price
    offered_lots: int  # what the maker would give
    qty_lots: int  # what the fund bears; 0: the order ends
    budget_atoms: int  # what the fund may still pay
    # what the whole position would be short of bankruptcy at that price; at most 2^63 - 1:
    shortfall_atoms: int
    budget_by: int  # what bounds the budget
    charged: int  # number of the symbol that is charged


class DeficitShared(Message, frozen=True, kw_only=True, gc=False):
    """A position of a pool below zero: what stands for it, what the fund pays, at what value it
    is deleveraged (FUND-02).
    """

    number: ClassVar[int] = 174
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    fund: int  # number of the fund
    position_lots: int  # signed position
    equity_atoms: int  # of the pool, below zero
    maintenance_atoms: int  # of the pool
    share_atoms: int  # the part of the equity that stands for the position, below zero
    budget_atoms: int  # what the fund may still pay
    paid_atoms: int  # what it pays
    bankruptcy_value_atoms: int  # what the whole position goes for
    budget_by: int  # what bounds the budget
    charged: int  # number of the symbol that is charged


class AssetListed(Message, frozen=True, kw_only=True, gc=False):
    """A collateral asset as it counts from now on."""

    number: ClassVar[int] = 176
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    asset: int  # number of the collateral asset
    name: str  # as listed
    unit_parts: int  # parts in one unit
    haircut_ppm: int  # of its value, what does not count


class AssetPriceChanged(Message, frozen=True, kw_only=True, gc=False):
    """The price of a collateral asset moved."""

    number: ClassVar[int] = 177
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    asset: int  # number of the collateral asset
    price_atoms: int  # atoms for one unit


class CollateralChanged(Message, frozen=True, kw_only=True, gc=False):
    """What the account holds of a collateral asset changed."""

    number: ClassVar[int] = 178
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    asset: int  # number of the collateral asset
    cause: int  # why
    change_parts: int  # signed
    parts: int  # what is held afterwards


class MultiAssetSet(Message, frozen=True, kw_only=True, gc=False):
    """Whether the account's collateral assets count from now on."""

    number: ClassVar[int] = 179
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    enabled: int  # 1: they count


class AutoMarginSet(Message, frozen=True, kw_only=True, gc=False):
    """Whether the wallet adds margin to an isolated position by itself from now on."""

    number: ClassVar[int] = 180
    account: int = 0  # whose event it is; 0 where it is nobody's
    sequence: int = 0  # the command that caused it
    symbol: int  # number of the symbol
    leg: int = 0  # which position of the account on the symbol: net, or in hedge mode long or short
    enabled: int  # 1: it does


Command: TypeAlias = (
    ListSymbol
    | Deposit
    | Withdraw
    | DepositFund
    | SetMarginMode
    | ChangeIsolatedMargin
    | PlaceOrder
    | CancelOrder
    | CancelAll
    | AmendOrder
    | SetMark
    | SettleFunding
    | AdvanceTime
    | PlaceOrders
    | SetSymbolState
    | SetCountdown
    | SetStpGroup
    | SetBrackets
    | SetRiskLimits
    | SetMarginWarnings
    | SetAutoMargin
    | SetAdlPolicy
    | SetFundPolicy
    | SetMarkPolicy
    | SetPrice
    | SetFundingPolicy
    | SetPositionMode
    | ListAsset
    | SetAssetPrice
    | ChangeCollateral
    | SetMultiAsset
)


Event: TypeAlias = (
    Accepted
    | Rejected
    | OrderRested
    | OrderCancelled
    | OrderAmended
    | OrderReduced
    | Fill
    | LiquidationSettled
    | BalanceChanged
    | FundChanged
    | SymbolListed
    | MarkChanged
    | FundingSettled
    | MarginModeChanged
    | LiquidationStarted
    | LiquidationOrder
    | LiquidationEnded
    | DeficitUncovered
    | OrderWaiting
    | OrderTriggered
    | OrderShown
    | EntryAccepted
    | EntryRejected
    | SymbolStateChanged
    | AuctionIndicated
    | AuctionUncrossed
    | CountdownSet
    | StpGroupSet
    | BracketsChanged
    | RiskLimitsChanged
    | MarginWarning
    | MarginWarningsSet
    | AdlPolicySet
    | AdlRanked
    | FundPolicySet
    | DeficitCharged
    | MarkPolicySet
    | PriceSet
    | MarkHoldChanged
    | FundingPolicySet
    | FundingRate
    | PositionModeChanged
    | LiquidationPosition
    | LiquidationSized
    | LiquidationShrunk
    | DeficitShared
    | AssetListed
    | AssetPriceChanged
    | CollateralChanged
    | MultiAssetSet
    | AutoMarginSet
)


COMMAND_CLASSES: dict[int, type[Command]] = {
    1: ListSymbol,
    2: Deposit,
    3: Withdraw,
    4: DepositFund,
    5: SetMarginMode,
    6: ChangeIsolatedMargin,
    7: PlaceOrder,
    8: CancelOrder,
    9: CancelAll,
    10: AmendOrder,
    11: SetMark,
    12: SettleFunding,
    13: AdvanceTime,
    14: PlaceOrders,
    15: SetSymbolState,
    16: SetCountdown,
    17: SetStpGroup,
    18: SetBrackets,
    19: SetRiskLimits,
    20: SetMarginWarnings,
    21: SetAutoMargin,
    22: SetAdlPolicy,
    23: SetFundPolicy,
    25: SetMarkPolicy,
    26: SetPrice,
    27: SetFundingPolicy,
    29: SetPositionMode,
    31: ListAsset,
    32: SetAssetPrice,
    33: ChangeCollateral,
    34: SetMultiAsset,
}
EVENT_CLASSES: dict[int, type[Event]] = {
    128: Accepted,
    129: Rejected,
    130: OrderRested,
    131: OrderCancelled,
    132: OrderAmended,
    133: OrderReduced,
    134: Fill,
    135: LiquidationSettled,
    136: BalanceChanged,
    137: FundChanged,
    138: SymbolListed,
    139: MarkChanged,
    140: FundingSettled,
    141: MarginModeChanged,
    142: LiquidationStarted,
    143: LiquidationOrder,
    144: LiquidationEnded,
    145: DeficitUncovered,
    146: OrderWaiting,
    147: OrderTriggered,
    148: OrderShown,
    149: EntryAccepted,
    150: EntryRejected,
    151: SymbolStateChanged,
    152: AuctionIndicated,
    153: AuctionUncrossed,
    154: CountdownSet,
    155: StpGroupSet,
    156: BracketsChanged,
    157: RiskLimitsChanged,
    158: MarginWarning,
    159: MarginWarningsSet,
    160: AdlPolicySet,
    161: AdlRanked,
    162: FundPolicySet,
    163: DeficitCharged,
    164: MarkPolicySet,
    165: PriceSet,
    166: MarkHoldChanged,
    167: FundingPolicySet,
    168: FundingRate,
    169: PositionModeChanged,
    171: LiquidationPosition,
    172: LiquidationSized,
    173: LiquidationShrunk,
    174: DeficitShared,
    176: AssetListed,
    177: AssetPriceChanged,
    178: CollateralChanged,
    179: MultiAssetSet,
    180: AutoMarginSet,
}

__all__ = [
    "COMMAND_CLASSES",
    "EVENT_CLASSES",
    "Accepted",
    "AdlPolicy",
    "AdlPolicySet",
    "AdlRanked",
    "AdvanceTime",
    "AmendOrder",
    "AssetListed",
    "AssetPriceChanged",
    "AuctionIndicated",
    "AuctionUncrossed",
    "AutoMarginSet",
    "BalanceCause",
    "BalanceChanged",
    "Bracket",
    "BracketsChanged",
    "BudgetLimit",
    "CancelAll",
    "CancelOrder",
    "CancelReason",
    "ChangeCollateral",
    "ChangeIsolatedMargin",
    "ClosingLimit",
    "ClosingSize",
    "CollateralCause",
    "CollateralChanged",
    "Command",
    "CountdownSet",
    "DeficitCharged",
    "DeficitShared",
    "DeficitUncovered",
    "Deposit",
    "DepositFund",
    "EntryAccepted",
    "EntryRejected",
    "Event",
    "Fill",
    "FillRole",
    "FundCause",
    "FundChanged",
    "FundPolicySet",
    "FundingPolicySet",
    "FundingRate",
    "FundingSettled",
    "Leg",
    "LiquidationEnded",
    "LiquidationMode",
    "LiquidationOrder",
    "LiquidationPosition",
    "LiquidationSettled",
    "LiquidationShrunk",
    "LiquidationSized",
    "LiquidationStarted",
    "ListAsset",
    "ListMode",
    "ListSymbol",
    "MarginMode",
    "MarginModeChanged",
    "MarginWarning",
    "MarginWarningsSet",
    "MarkChanged",
    "MarkHoldChanged",
    "MarkPolicySet",
    "Message",
    "MultiAssetSet",
    "OrderAmended",
    "OrderCancelled",
    "OrderEntry",
    "OrderFlag",
    "OrderPlace",
    "OrderReduced",
    "OrderRested",
    "OrderShown",
    "OrderTriggered",
    "OrderType",
    "OrderWaiting",
    "PlaceOrder",
    "PlaceOrders",
    "PositionMode",
    "PositionModeChanged",
    "PriceSet",
    "RejectReason",
    "Rejected",
    "RiskLimitsChanged",
    "SelfTradePrevention",
    "SetAdlPolicy",
    "SetAssetPrice",
    "SetAutoMargin",
    "SetBrackets",
    "SetCountdown",
    "SetFundPolicy",
    "SetFundingPolicy",
    "SetMarginMode",
    "SetMarginWarnings",
    "SetMark",
    "SetMarkPolicy",
    "SetMultiAsset",
    "SetPositionMode",
    "SetPrice",
    "SetRiskLimits",
    "SetStpGroup",
    "SetSymbolState",
    "SettleFunding",
    "Side",
    "StpGroupSet",
    "SymbolListed",
    "SymbolState",
    "SymbolStateChanged",
    "TimeInForce",
    "TriggerBy",
    "Withdraw",
]
