"""The codes of the table: what the small numbers in commands and events mean.

Numbers are part of the journal: they are never reused.  ``schema`` has all names of this module, too.
"""

from __future__ import annotations

from enum import IntEnum


class Side(IntEnum):
    """The side of an order."""

    BUY = 0
    SELL = 1


class OrderType(IntEnum):
    """How an order is priced."""

    LIMIT = 0
    MARKET = 1
    STOP_MARKET = 2
    STOP_LIMIT = 3
    TAKE_PROFIT_MARKET = 4
    TAKE_PROFIT_LIMIT = 5
    TRAILING_STOP = 6


class TriggerBy(IntEnum):
    """The price that a trigger watches (MATCH-10)."""

    MARK = 0
    LAST = 1


class TimeInForce(IntEnum):
    """How long an order lives (MATCH-03)."""

    GTC = 0
    IOC = 1
    FOK = 2
    GTD = 3


class ListMode(IntEnum):
    """What the orders of one list have to do with each other (MATCH-14)."""

    EACH = 0
    ALL_OR_NOTHING = 1
    ONE_CANCELS_OTHER = 2
    ENTRY_WITH_EXITS = 3


class SymbolState(IntEnum):
    """What may be done with a symbol (MATCH-12)."""

    OPEN = 0
    PRE_OPEN = 1
    AUCTION = 2
    CANCEL_ONLY = 3
    HALTED = 4
    SETTLED = 5


class OrderPlace(IntEnum):
    """Where an order was when it left: the rest of a taker, in the book, or waiting for its trigger."""

    TAKER = 0
    BOOK = 1
    WAITING = 2


class SelfTradePrevention(IntEnum):
    """What happens when an order would trade with another of its own account (MATCH-06)."""

    CANCEL_TAKER = 0
    CANCEL_MAKER = 1
    CANCEL_BOTH = 2
    DECREMENT = 3


class PositionMode(IntEnum):
    """Whether an account has one position on a symbol, or a long and a short one beside each other (ACCT-08)."""

    ONE_WAY = 0
    HEDGE = 1


class Leg(IntEnum):
    """Which position of an account on a symbol: the one of one-way mode, the long or the short one of hedge mode (ACCT-08)."""

    NET = 0
    LONG = 1
    SHORT = 2


class MarginMode(IntEnum):
    """Which collateral pool backs a position: the account's wallet, or a pool of its own (ACCT-01)."""

    CROSS = 0
    ISOLATED = 1


class LiquidationMode(IntEnum):
    """How much of a position one liquidation order closes (LIQ-04)."""

    FULL = 0
    FRACTION = 1
    TARGET = 2


class AdlPolicy(IntEnum):
    """Who gives how much where a position is auto-deleveraged, and at which price (ADL-05)."""

    QUEUE = 0
    PRO_RATA_BY_EQUITY = 1
    NET_EXPOSURE_AWARE = 2
    MARK_PRICED = 3


class ClosingSize(IntEnum):
    """What decided how many lots a closing order has (LIQ-04)."""

    EQUITY_GONE = 1
    FULL = 2
    FRACTION = 3
    TARGET = 4
    NO_GAIN = 5
    LEAST = 6
    WHOLE = 7
    REST = 8
    MOST = 9


class ClosingLimit(IntEnum):
    """What decided the limit of a closing order (LIQ-06)."""

    NO_TRADING = 0
    BANKRUPTCY = 1
    FUND = 2
    SLIPPAGE_CAP = 3
    PRICE_RANGE = 4


class BudgetLimit(IntEnum):
    """What bounds what the funds may pay for a liquidation (FUND-01)."""

    HOLDINGS = 0
    SYMBOL_CAP = 1
    DRAW_CAP = 2
    WINDOW_CAP = 3
    DEFICIT = 4


class FillRole(IntEnum):
    """The part an account played in a fill."""

    MAKER = 0
    TAKER = 1
    LIQUIDATED = 2
    DELEVERAGED = 3
    ADL_COUNTERPARTY = 4
    AUCTION = 5
    SETTLEMENT = 6


class CancelReason(IntEnum):
    """Why an order left without being filled."""

    REQUESTED = 1
    CANCEL_ALL = 2
    IMMEDIATE_OR_CANCEL = 3
    FILL_OR_KILL = 4
    SELF_TRADE = 5
    REDUCE_ONLY = 6
    INSUFFICIENT_MARGIN = 7
    LIQUIDATION = 8
    EXPIRED = 9
    COUNTDOWN = 10
    LINKED = 11
    POST_ONLY = 12
    PRICE_OUT_OF_BAND = 13
    VALUE_OUT_OF_RANGE = 14
    SYMBOL_SETTLED = 15
    POSITION_LIMIT = 16
    OPEN_INTEREST_LIMIT = 17
    MARK_HELD = 19


class BalanceCause(IntEnum):
    """Why a wallet or an isolated pool changed other than by a fill."""

    DEPOSIT = 1
    WITHDRAWAL = 2
    ISOLATED_MARGIN = 3
    MARGIN_MODE = 4
    FUNDING = 5
    FUND_COVER = 6
    AUTO_MARGIN = 7
    HAIRCUT = 8
    CONVERSION = 9


class FundCause(IntEnum):
    """Why an insurance fund changed."""

    DEPOSIT = 1
    LIQUIDATION_FEE = 2
    LIQUIDATION_DEFICIT = 3
    DEFICIT_COVER = 4
    FUNDING_RESIDUE = 5


class CollateralCause(IntEnum):
    """Why an account's holding of a collateral asset changed."""

    DEPOSIT = 1
    WITHDRAWAL = 2
    CONVERSION = 3


class OrderFlag(IntEnum):
    """Bits of an order's ``flags``; they add up.  The engine itself sets iceberg and linked, and only it."""

    POST_ONLY = 1
    REDUCE_ONLY = 2
    SLIDE = 4
    CLOSE_POSITION = 8
    ICEBERG = 16
    LINKED = 32


class RejectReason(IntEnum):
    """Why a command was refused.  The number is the precedence: of several reasons the smallest is given."""

    MALFORMED_COMMAND = 1
    INVALID_ACCOUNT = 2
    INVALID_SYMBOL = 3
    UNKNOWN_SYMBOL = 4
    SYMBOL_EXISTS = 5
    INVALID_SIDE = 6
    INVALID_ORDER_TYPE = 7
    INVALID_TIME_IN_FORCE = 8
    INVALID_SELF_TRADE_PREVENTION = 9
    INVALID_FLAGS = 10
    INVALID_MARGIN_MODE = 11
    INVALID_PRICE = 12
    INVALID_QUANTITY = 13
    INVALID_TRIGGER = 14
    INVALID_DISPLAY = 15
    INVALID_EXPIRY = 16
    INVALID_LIST = 17
    INVALID_AMOUNT = 18
    INVALID_MARGIN_RATE = 19
    INVALID_SYMBOL_STATE = 20
    INVALID_TIMEOUT = 21
    INVALID_BRACKETS = 22
    INVALID_POLICY = 23
    VALUE_NOT_WHOLE = 24
    UNKNOWN_ORDER = 25
    SYMBOL_STATE_FORBIDS = 26
    NOTHING_TO_AMEND = 27
    NO_MARK_PRICE = 28
    NO_LAST_PRICE = 29
    DUPLICATE_CLIENT_ORDER_ID = 30
    QUANTITY_BELOW_FILLED = 31
    QUANTITY_BELOW_MINIMUM = 32
    QUANTITY_ABOVE_MAXIMUM = 33
    NOTIONAL_BELOW_MINIMUM = 34
    PRICE_OUT_OF_BAND = 35
    TOO_MANY_OPEN_ORDERS = 36
    VALUE_OUT_OF_RANGE = 37
    OUT_OF_CAPACITY = 38
    POOL_LIQUIDATING = 39
    REDUCE_ONLY_WOULD_OPEN = 40
    TRIGGER_ALREADY_TRUE = 41
    POST_ONLY_WOULD_TAKE = 42
    NO_ISOLATED_POSITION = 43
    LEVERAGE_TOO_HIGH = 44
    WITHDRAWALS_STOPPED = 45
    INSUFFICIENT_MARGIN = 46
    POSITION_LIMIT = 47
    OPEN_INTEREST_LIMIT = 48
    INVALID_ADL_POLICY = 51
    MARK_HELD = 53
    MARK_IS_COMPOSITE = 54
    UNKNOWN_PRICE_SOURCE = 55
    INVALID_LEG = 56
    INVALID_POSITION_MODE = 57
    POSITION_MODE_IN_USE = 58
    INVALID_ASSET = 60
    UNKNOWN_ASSET = 61
    INSUFFICIENT_COLLATERAL = 62
    INVALID_WINDOW = 63
    INVALID_SECOND_FUND = 64
    FUNDING_IS_COMPUTED = 66


REJECT_PROSE: dict[RejectReason, str] = {
    RejectReason.MALFORMED_COMMAND: "the record's type or size is not one of this table",
    RejectReason.INVALID_ACCOUNT: "the account number is 0 or above 16,777,215",
    RejectReason.INVALID_SYMBOL: "the symbol number is 0 or above 65,535, or its name is empty",
    RejectReason.UNKNOWN_SYMBOL: "no symbol with this number is listed",
    RejectReason.SYMBOL_EXISTS: "a symbol with this number is already listed",
    RejectReason.INVALID_SIDE: "the side is neither buy nor sell (for cancel_all: nor both)",
    RejectReason.INVALID_ORDER_TYPE: "the order type is not one of the table",
    RejectReason.INVALID_TIME_IN_FORCE: "unknown time in force, or GTC or GTD on a market order",
    RejectReason.INVALID_SELF_TRADE_PREVENTION: "the self-trade prevention mode is not one of the table",
    RejectReason.INVALID_FLAGS: "an unknown flag, or one that does not fit type and time in force",
    RejectReason.INVALID_MARGIN_MODE: "the margin mode is neither cross nor isolated",
    RejectReason.INVALID_PRICE: "the price is outside 1 .. 10^12 ticks (of a market order, where 0 means none: 0 .. 10^12)",
    RejectReason.INVALID_QUANTITY: "the quantity is outside 1 .. 10^12 lots, or given with close-position",
    RejectReason.INVALID_TRIGGER: "trigger fields on an order without trigger, or not those that its type needs",
    RejectReason.INVALID_DISPLAY: "the display quantity is negative, above the quantity, or on an order that cannot rest",
    RejectReason.INVALID_EXPIRY: "GTD without a time that is still to come, or a time without GTD",
    RejectReason.INVALID_LIST: "the list is empty, longer than 64, or its orders do not fit its mode",
    RejectReason.INVALID_AMOUNT: "the amount is zero or negative where it must be positive, or beyond 10^18 atoms",
    RejectReason.INVALID_MARGIN_RATE: "the initial margin rate is outside 0 .. 1,000,000 ppm",
    RejectReason.INVALID_SYMBOL_STATE: "the state is not one of the table, is the present one, or cannot follow it; or its price does not fit",
    RejectReason.INVALID_TIMEOUT: "the timeout is outside 0 .. 86,400,000 ms",
    RejectReason.INVALID_BRACKETS: "brackets must start at 0, rise in floor and rates, and be exact at their edges",
    RejectReason.INVALID_POLICY: "a number of the policy is outside its bounds",
    RejectReason.VALUE_NOT_WHOLE: "tick size x lot size is not atoms_per_tick_lot atoms",
    RejectReason.UNKNOWN_ORDER: "the account has no live order with this order id or client order id",
    RejectReason.SYMBOL_STATE_FORBIDS: "the state of the symbol does not allow this",
    RejectReason.NOTHING_TO_AMEND: "nothing of the order would change",
    RejectReason.NO_MARK_PRICE: "the symbol has no mark price yet",
    RejectReason.NO_LAST_PRICE: "the symbol has not traded yet, and the trigger watches the last trade",
    RejectReason.DUPLICATE_CLIENT_ORDER_ID: "another order of the account has this client order id, or had it lately",
    RejectReason.QUANTITY_BELOW_FILLED: "the new total quantity is not above what is already filled",
    RejectReason.QUANTITY_BELOW_MINIMUM: "the quantity is below the symbol's minimum",
    RejectReason.QUANTITY_ABOVE_MAXIMUM: "the quantity is above the symbol's maximum",
    RejectReason.NOTIONAL_BELOW_MINIMUM: "the order's value is below the symbol's minimum notional",
    RejectReason.PRICE_OUT_OF_BAND: "a buy above, or a sell below, the price band around the mark",
    RejectReason.TOO_MANY_OPEN_ORDERS: "the account has the symbol's maximum of open orders",
    RejectReason.VALUE_OUT_OF_RANGE: "the symbol's exposure limit, or the range of money, would be exceeded",
    RejectReason.OUT_OF_CAPACITY: "the engine has no room for another order, account or symbol",
    RejectReason.POOL_LIQUIDATING: "the collateral pool is being liquidated: only the engine trades for it",
    RejectReason.REDUCE_ONLY_WOULD_OPEN: "there is no position on the other side that the order could reduce",
    RejectReason.TRIGGER_ALREADY_TRUE: "the watched price is at or beyond the trigger already",
    RejectReason.POST_ONLY_WOULD_TAKE: "the order would trade at once",
    RejectReason.NO_ISOLATED_POSITION: "there is no isolated position whose margin could be changed",
    RejectReason.LEVERAGE_TOO_HIGH: "the initial margin rate is below what the first bracket allows",
    RejectReason.WITHDRAWALS_STOPPED: "a deficit is uncovered: nobody withdraws until it is",
    RejectReason.INSUFFICIENT_MARGIN: "the collateral pool would end below its initial margin",
    RejectReason.POSITION_LIMIT: "position and open orders of the side would be worth more than an account may have",
    RejectReason.OPEN_INTEREST_LIMIT: "all positions and open orders of the side would be worth more than the symbol may have",
    RejectReason.INVALID_ADL_POLICY: "the deleveraging policy is not one of the table",
    RejectReason.MARK_HELD: "the mark is held for want of prices: an order may reduce, or be post-only, but not take to open",
    RejectReason.MARK_IS_COMPOSITE: "the mark is computed from prices: set_price moves it, or switch its policy off",
    RejectReason.UNKNOWN_PRICE_SOURCE: "the symbol's mark is not composite, or its policy has no source of this number",
    RejectReason.INVALID_LEG: "the leg is not one of the table, or does not fit the account's position mode",
    RejectReason.INVALID_POSITION_MODE: "the position mode is neither one-way nor hedge",
    RejectReason.POSITION_MODE_IN_USE: "the account has a position or an order, and so keeps its position mode",
    RejectReason.INVALID_ASSET: "the asset number is outside 1 .. 16, its name empty, its unit or haircut outside bounds, or its unit another than listed",
    RejectReason.UNKNOWN_ASSET: "no collateral asset with this number is listed",
    RejectReason.INSUFFICIENT_COLLATERAL: "the account does not hold so much of the asset",
    RejectReason.INVALID_WINDOW: "the window is outside 0 .. 10^17 ns, or one of window and its cap is given without the other",
    RejectReason.INVALID_SECOND_FUND: "the second fund is the symbol's own, or may pay nothing",
    RejectReason.FUNDING_IS_COMPUTED: "the engine computes the funding rate and settles it: switch its policy off to settle by hand",
}

ENUMS: tuple[type[IntEnum], ...] = (
    Side,
    OrderType,
    TriggerBy,
    TimeInForce,
    ListMode,
    SymbolState,
    OrderPlace,
    SelfTradePrevention,
    PositionMode,
    Leg,
    MarginMode,
    LiquidationMode,
    AdlPolicy,
    ClosingSize,
    ClosingLimit,
    BudgetLimit,
    FillRole,
    CancelReason,
    BalanceCause,
    FundCause,
    CollateralCause,
    OrderFlag,
    RejectReason,
)
