"""THE table: each command, event and code of the exchange, with number, fields, units and prose.

Theory of operation.  A *record* is a packed little-endian struct: a fixed header and then the fields of its
type, in the order of this table.  Commands as records are what the journal stores and what an engine applies;
events as records are what an engine returns.  On the wire the same fields travel as one msgpack array.
Everything else is made from this table and from nothing else:

* ``native/wire.pxd``, the C structs and enums of the matching core,
* ``exchange/protocol/messages.py``, the typed objects that Python code handles,
* ``exchange/protocol/records.py``, the reader and writer of records (at run time),
* ``docs/reference/messages.md`` and ``docs/reference/codes.md``.

To add a message: add it here, run ``python -m exchange.protocol.generate``, and the compiler and the tests
will name every place that has to learn of it.  Numbers are part of the journal: they are never reused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

MAX_BRACKETS = 16
MAX_NAME_BYTES = 16

# ------------------------------------------------------------------------------------------------ codes


class Side(IntEnum):
    """The side of an order."""

    BUY = 0
    SELL = 1


class OrderType(IntEnum):
    """How an order is priced."""

    LIMIT = 0
    MARKET = 1


class TimeInForce(IntEnum):
    """How long an order lives (MATCH-03)."""

    GTC = 0
    IOC = 1
    FOK = 2


class SelfTradePrevention(IntEnum):
    """What happens when an order would trade with another of its own account (MATCH-06)."""

    CANCEL_TAKER = 0
    CANCEL_MAKER = 1
    CANCEL_BOTH = 2
    DECREMENT = 3


class MarginMode(IntEnum):
    """Which collateral pool backs a position: the account's wallet, or a pool of its own (ACCT-01)."""

    CROSS = 0
    ISOLATED = 1


class LiquidationMode(IntEnum):
    """How much of a position one liquidation order closes (LIQ-04)."""

    FULL = 0
    FRACTION = 1
    TARGET = 2


class FillRole(IntEnum):
    """The part an account played in a fill."""

    MAKER = 0
    TAKER = 1
    LIQUIDATED = 2
    DELEVERAGED = 3
    ADL_COUNTERPARTY = 4


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


class BalanceCause(IntEnum):
    """Why a wallet or an isolated pool changed other than by a fill."""

    DEPOSIT = 1
    WITHDRAWAL = 2
    ISOLATED_MARGIN = 3
    MARGIN_MODE = 4
    FUNDING = 5
    FUND_COVER = 6


class FundCause(IntEnum):
    """Why an insurance fund changed."""

    DEPOSIT = 1
    LIQUIDATION_FEE = 2
    LIQUIDATION_DEFICIT = 3
    DEFICIT_COVER = 4
    FUNDING_RESIDUE = 5


class OrderFlag(IntEnum):
    """Bits of an order's ``flags``; they add up."""

    POST_ONLY = 1
    REDUCE_ONLY = 2


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
    INVALID_AMOUNT = 14
    INVALID_MARGIN_RATE = 15
    INVALID_BRACKETS = 16
    INVALID_POLICY = 17
    VALUE_NOT_WHOLE = 18
    UNKNOWN_ORDER = 19
    NOTHING_TO_AMEND = 20
    NO_MARK_PRICE = 21
    DUPLICATE_CLIENT_ORDER_ID = 22
    QUANTITY_BELOW_FILLED = 23
    QUANTITY_BELOW_MINIMUM = 24
    QUANTITY_ABOVE_MAXIMUM = 25
    NOTIONAL_BELOW_MINIMUM = 26
    PRICE_OUT_OF_BAND = 27
    TOO_MANY_OPEN_ORDERS = 28
    VALUE_OUT_OF_RANGE = 29
    OUT_OF_CAPACITY = 30
    POOL_LIQUIDATING = 31
    REDUCE_ONLY_WOULD_OPEN = 32
    POST_ONLY_WOULD_TAKE = 33
    NO_ISOLATED_POSITION = 34
    LEVERAGE_TOO_HIGH = 35
    WITHDRAWALS_STOPPED = 36
    INSUFFICIENT_MARGIN = 37


REJECT_PROSE: dict[RejectReason, str] = {
    RejectReason.MALFORMED_COMMAND: "the record's type or size is not one of this table",
    RejectReason.INVALID_ACCOUNT: "the account number is 0 or above 16,777,215",
    RejectReason.INVALID_SYMBOL: "the symbol number is 0 or above 65,535, or its name is empty",
    RejectReason.UNKNOWN_SYMBOL: "no symbol with this number is listed",
    RejectReason.SYMBOL_EXISTS: "a symbol with this number is already listed",
    RejectReason.INVALID_SIDE: "the side is neither buy nor sell (for cancel_all: nor both)",
    RejectReason.INVALID_ORDER_TYPE: "the order type is not one of the table",
    RejectReason.INVALID_TIME_IN_FORCE: "unknown time in force, or GTC on a market order",
    RejectReason.INVALID_SELF_TRADE_PREVENTION: "the self-trade prevention mode is not one of the table",
    RejectReason.INVALID_FLAGS: "an unknown flag, or post-only on an order that cannot rest",
    RejectReason.INVALID_MARGIN_MODE: "the margin mode is neither cross nor isolated",
    RejectReason.INVALID_PRICE: "the price is outside 1 .. 10^12 ticks, or a market order names a price",
    RejectReason.INVALID_QUANTITY: "the quantity is outside 1 .. 10^12 lots",
    RejectReason.INVALID_AMOUNT: "the amount is zero or negative where it must be positive, or beyond 10^18 atoms",
    RejectReason.INVALID_MARGIN_RATE: "the initial margin rate is outside 0 .. 1,000,000 ppm",
    RejectReason.INVALID_BRACKETS: "brackets must start at 0, rise in floor and rates, and be exact at their edges",
    RejectReason.INVALID_POLICY: "a number of the listing is outside its bounds",
    RejectReason.VALUE_NOT_WHOLE: "tick size x lot size is not atoms_per_tick_lot atoms",
    RejectReason.UNKNOWN_ORDER: "the account has no live order with this order id or client order id",
    RejectReason.NOTHING_TO_AMEND: "neither the price nor the quantity would change",
    RejectReason.NO_MARK_PRICE: "the symbol has no mark price yet",
    RejectReason.DUPLICATE_CLIENT_ORDER_ID: "the account has a live order with this client order id",
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
    RejectReason.POST_ONLY_WOULD_TAKE: "the order would trade at once",
    RejectReason.NO_ISOLATED_POSITION: "there is no isolated position whose margin could be changed",
    RejectReason.LEVERAGE_TOO_HIGH: "the initial margin rate is below what the first bracket allows",
    RejectReason.WITHDRAWALS_STOPPED: "a deficit is uncovered: nobody withdraws until it is",
    RejectReason.INSUFFICIENT_MARGIN: "the collateral pool would end below its initial margin",
}

ENUMS: tuple[type[IntEnum], ...] = (
    Side,
    OrderType,
    TimeInForce,
    SelfTradePrevention,
    MarginMode,
    LiquidationMode,
    FillRole,
    CancelReason,
    BalanceCause,
    FundCause,
    OrderFlag,
    RejectReason,
)

# ----------------------------------------------------------------------------------------------- fields

#: kind -> (struct format, C type, bytes).  ``brackets`` is an array of MAX_BRACKETS (i64, u32, u32) entries.
KINDS: dict[str, tuple[str, str, int]] = {
    "u8": ("B", "uint8_t", 1),
    "u16": ("H", "uint16_t", 2),
    "u32": ("I", "uint32_t", 4),
    "i32": ("i", "int32_t", 4),
    "u64": ("Q", "uint64_t", 8),
    "i64": ("q", "int64_t", 8),
    "name": (f"{MAX_NAME_BYTES}s", "char", MAX_NAME_BYTES),
    "brackets": ("qII" * MAX_BRACKETS, "wire_bracket", 16 * MAX_BRACKETS),
}


@dataclass(frozen=True)
class Field:
    """One field of a record.  ``enum`` names the code table that its values come from."""

    name: str
    kind: str
    prose: str
    enum: type[IntEnum] | None = None
    default: object = None


@dataclass(frozen=True)
class Message:
    """A command or an event: its number, name, fields after the header, and what a trader should know of it."""

    number: int
    name: str
    prose: str
    fields: tuple[Field, ...]
    sender: str = "trader"  # who may send it (commands): trader, or admin
    public: bool = False  # whether everyone may see it (events)

    @property
    def class_name(self) -> str:
        return "".join(part.capitalize() for part in self.name.split("_"))

    @property
    def body_format(self) -> str:
        return "".join(KINDS[f.kind][0] for f in self.fields)

    @property
    def size(self) -> int:
        """Bytes of the whole record, header included."""
        header = COMMAND_HEADER if self.number < FIRST_EVENT else EVENT_HEADER
        return struct.calcsize("<" + header.body_format + self.body_format)


#: Events are numbered from here, commands below it.
FIRST_EVENT = 128

COMMAND_HEADER = Message(
    0,
    "command_header",
    "What every command record starts with.  Sequence and time are given by the sequencer; "
    "a client leaves them 0.",
    (
        Field("type", "u16", "number of the command"),
        Field("size", "u16", "bytes of the record, header included"),
        Field("account", "u32", "the account that acts; 0 for the operator"),
        Field("sequence", "u64", "position in the journal, from 1, without gaps"),
        Field("timestamp_ns", "i64", "nanoseconds since the epoch, never decreasing"),
    ),
)

EVENT_HEADER = Message(
    0,
    "event_header",
    "What every event record starts with.",
    (
        Field("type", "u16", "number of the event"),
        Field("size", "u16", "bytes of the record, header included"),
        Field("account", "u32", "whose event it is; 0 where it is nobody's"),
        Field("sequence", "u64", "the command that caused it"),
    ),
)

_SYMBOL = Field("symbol", "u32", "number of the symbol")
_ORDER_ID = Field("order_id", "u64", "given by the engine, rising from 1")
_CLIENT_ORDER_ID = Field("client_order_id", "u64", "the account's own number for the order; 0: none", default=0)
_SIDE = Field("side", "u8", "buy or sell", Side)
_WALLET = Field("wallet_atoms", "i64", "the account's wallet afterwards")
_MARGIN = Field("margin_atoms", "i64", "the isolated pool of account and symbol afterwards (0 in cross mode)")

# --------------------------------------------------------------------------------------------- commands

COMMANDS: tuple[Message, ...] = (
    Message(
        1,
        "list_symbol",
        "Lists a perpetual with all numbers of its policy.",
        (
            _SYMBOL,
            Field("name", "name", "up to 16 bytes of UTF-8, for people"),
            Field("tick_size_e12", "i64", "price step in quote units x 10^12"),
            Field("lot_size_e12", "i64", "quantity step in base units x 10^12"),
            Field("atoms_per_tick_lot", "i64", "value of one lot at one tick; an atom is 10^-8 quote units"),
            Field("initial_margin_ppm", "u32", "default initial margin rate = 1 / default leverage"),
            Field("taker_fee_ppm", "i32", "of the value of a fill", default=0),
            Field("maker_fee_ppm", "i32", "of the value of a fill; negative: a rebate", default=0),
            Field("price_band_ppm", "i32", "how far from the mark an order may be priced; -1: anywhere", default=-1),
            Field("upnl_weight_ppm", "u32", "weight of positive unrealised profit in what is available", default=1_000_000),
            Field("min_qty_lots", "i64", "smallest order", default=1),
            Field("max_qty_lots", "i64", "largest order", default=1_000_000_000_000),
            Field("min_notional_atoms", "i64", "smallest order value, reduce-only excepted", default=0),
            Field("max_open_orders", "u32", "per account on this symbol", default=200),
            Field("exposure_limit_atoms", "i64", "bound of gross exposure; over all symbols at most 2^60", default=1 << 56),
            Field("fund", "u32", "insurance fund that deficits are charged to; 0 is the shared one", default=0),
            Field("slippage_cap_ppm", "i32", "furthest a liquidation trades from the mark; -1: anywhere", default=-1),
            Field("liquidation_mode", "u8", "full, fraction or target", LiquidationMode, default=2),
            Field("liquidation_fee_ppm", "u32", "of the value of a liquidation fill, to the fund", default=0),
            Field("liquidation_fraction_ppm", "u32", "of the position, in mode fraction", default=1_000_000),
            Field("liquidation_buffer_ppm", "u32", "margin above maintenance that mode target restores", default=0),
            Field("liquidation_min_notional_atoms", "i64", "at mark: smaller pieces are not made, nor left", default=0),
            Field("liquidation_max_notional_atoms", "i64", "at mark, per order; -1: no bound", default=-1),
            Field("draw_cap_atoms", "i64", "most that one liquidation may draw from the fund; -1: no bound", default=-1),
            Field("bracket_count", "u8", "brackets used, 1 .. 16"),
            Field("brackets", "brackets", "(notional floor in atoms, maintenance ppm, initial ppm; initial 0: as maintenance)"),
        ),
        sender="admin",
    ),
    Message(
        2,
        "deposit",
        "Adds money to the account's wallet.",
        (Field("amount_atoms", "i64", "above 0"),),
    ),
    Message(
        3,
        "withdraw",
        "Takes money out of the wallet, at most what is withdrawable (ACCT-07).",
        (Field("amount_atoms", "i64", "above 0"),),
    ),
    Message(
        4,
        "deposit_fund",
        "Adds the operator's money to an insurance fund.",
        (Field("fund", "u32", "number of the fund"), Field("amount_atoms", "i64", "above 0")),
        sender="admin",
    ),
    Message(
        5,
        "set_margin_mode",
        "Sets mode and initial margin rate of account and symbol, as one step with what is open (ACCT-01).",
        (
            _SYMBOL,
            Field("margin_mode", "u8", "cross or isolated", MarginMode),
            Field("initial_margin_ppm", "u32", "1,000,000 / leverage rounded up; 0: as it is", default=0),
        ),
    ),
    Message(
        6,
        "change_isolated_margin",
        "Moves money between the wallet and the pool of an isolated position (ACCT-06).",
        (_SYMBOL, Field("change_atoms", "i64", "positive: to the position; negative: back to the wallet")),
    ),
    Message(
        7,
        "place_order",
        "Places an order (MATCH-01..06).",
        (
            _SYMBOL,
            _SIDE,
            Field("order_type", "u8", "limit or market", OrderType, default=0),
            Field("time_in_force", "u8", "GTC, IOC or FOK", TimeInForce, default=0),
            Field("self_trade", "u8", "self-trade prevention of this order", SelfTradePrevention, default=0),
            Field("flags", "u32", "sum of order flags", default=0),
            Field("price_ticks", "i64", "limit; 0 for a market order", default=0),
            Field("qty_lots", "i64", "1 .. 10^12", default=0),
            _CLIENT_ORDER_ID,
        ),
    ),
    Message(
        8,
        "cancel_order",
        "Cancels one order, named by order id or, where that is 0, by client order id.",
        (Field("order_id", "u64", "the engine's id, or 0", default=0), _CLIENT_ORDER_ID),
    ),
    Message(
        9,
        "cancel_all",
        "Cancels the account's orders: of one symbol or all, of one side or both.",
        (
            Field("symbol", "u32", "number of the symbol; 0: all", default=0),
            Field("side", "u8", "0 buy, 1 sell, 2 both", default=2),
        ),
    ),
    Message(
        10,
        "amend_order",
        "Changes price or total quantity of one order in one step (MATCH-05).",
        (
            Field("order_id", "u64", "the engine's id, or 0", default=0),
            _CLIENT_ORDER_ID,
            Field("price_ticks", "i64", "new limit; 0: as it is", default=0),
            Field("qty_lots", "i64", "new total quantity, what is filled included; 0: as it is", default=0),
        ),
    ),
    Message(
        11,
        "set_mark",
        "Moves the mark price of a symbol (MARK-01) and liquidates whoever is then below maintenance.",
        (_SYMBOL, Field("price_ticks", "i64", "1 .. 10^12")),
        sender="admin",
    ),
    Message(
        12,
        "settle_funding",
        "Longs pay shorts an amount per lot (FUNDING-01); negative: shorts pay longs.",
        (
            _SYMBOL,
            Field("payment_atoms_per_lot", "i64", "whole atoms per lot, rounded down"),
            Field("payment_fraction_q32", "u32", "the rest of an atom per lot, in 2^-32", default=0),
        ),
        sender="admin",
    ),
    Message(
        13,
        "advance_time",
        "Does nothing but let time pass.",
        (),
        sender="admin",
    ),
)

# ----------------------------------------------------------------------------------------------- events

EVENTS: tuple[Message, ...] = (
    Message(
        128,
        "accepted",
        "The one result of a command that was carried out; the events that follow say what it did.",
        (
            Field("timestamp_ns", "i64", "time of the command"),
            Field("command", "u16", "number of the command"),
            _ORDER_ID,
            _CLIENT_ORDER_ID,
        ),
    ),
    Message(
        129,
        "rejected",
        "The one result of a command that was refused: nothing changed.",
        (
            Field("timestamp_ns", "i64", "time of the command"),
            Field("command", "u16", "number of the command"),
            Field("reason", "u16", "why", RejectReason),
            _CLIENT_ORDER_ID,
        ),
    ),
    Message(
        130,
        "order_rested",
        "An order, or what is left of it, joined the back of its price level.",
        (
            _SYMBOL,
            _SIDE,
            Field("flags", "u32", "sum of order flags"),
            _ORDER_ID,
            _CLIENT_ORDER_ID,
            Field("price_ticks", "i64", "limit"),
            Field("open_lots", "i64", "what is left to fill"),
        ),
    ),
    Message(
        131,
        "order_cancelled",
        "An order, or what was left of it, is gone.",
        (
            _SYMBOL,
            _SIDE,
            Field("resting", "u8", "1 if it stood in the book, 0 if it was the rest of a taker"),
            Field("reason", "u8", "why", CancelReason),
            _ORDER_ID,
            _CLIENT_ORDER_ID,
            Field("price_ticks", "i64", "limit; 0 for a market order"),
            Field("open_lots", "i64", "what was left to fill"),
        ),
    ),
    Message(
        132,
        "order_amended",
        "An order has a new price or quantity.  Without kept_priority it left its level; order_rested tells when it is back.",
        (
            _SYMBOL,
            _SIDE,
            Field("kept_priority", "u8", "1 if it stayed where it was in the queue"),
            _ORDER_ID,
            _CLIENT_ORDER_ID,
            Field("previous_price_ticks", "i64", "limit before"),
            Field("previous_open_lots", "i64", "open quantity before"),
            Field("price_ticks", "i64", "limit now"),
            Field("open_lots", "i64", "open quantity now, before any fill that follows"),
        ),
    ),
    Message(
        133,
        "order_reduced",
        "Self-trade prevention took quantity off an order without a trade (MATCH-06, decrement).",
        (
            _SYMBOL,
            _SIDE,
            Field("resting", "u8", "1 if it stands in the book, 0 if it is the taker"),
            _ORDER_ID,
            _CLIENT_ORDER_ID,
            Field("price_ticks", "i64", "limit; 0 for a market order"),
            Field("reduced_lots", "i64", "what was taken off"),
            Field("open_lots", "i64", "what is left, above 0"),
        ),
    ),
    Message(
        134,
        "fill",
        "One side of a fill, settled: the maker's comes first, then the other side's with the same trade id.",
        (
            _SYMBOL,
            _SIDE,
            Field("role", "u8", "maker, taker, liquidated, deleveraged or adl_counterparty", FillRole),
            Field("margin_mode", "u8", "of the position", MarginMode),
            Field("trade_id", "u64", "rising from 1"),
            Field("order_id", "u64", "0 in auto-deleveraging"),
            _CLIENT_ORDER_ID,
            Field("price_ticks", "i64", "the maker's price; 0 in auto-deleveraging"),
            Field("qty_lots", "i64", "quantity"),
            Field("value_atoms", "i64", "what the buyer pays the seller"),
            Field("open_lots", "i64", "what is left of the order"),
            Field("position_lots", "i64", "signed position afterwards"),
            Field("entry_value_atoms", "i64", "signed entry value afterwards"),
            Field("realised_atoms", "i64", "profit or loss realised, before fees"),
            Field("fee_atoms", "i64", "trading fee paid; negative: rebate received"),
            _WALLET,
            _MARGIN,
        ),
    ),
    Message(
        135,
        "liquidation_settled",
        "Follows the fill of a liquidated account: what the fill was worth against bankruptcy, and who paid (LIQ-07).",
        (
            _SYMBOL,
            Field("fund", "u32", "number of the fund"),
            Field("trade_id", "u64", "of the fill"),
            Field("bankruptcy_value_atoms", "i64", "of the lots filled"),
            Field("liquidation_fee_atoms", "i64", "from the account to the fund"),
            Field("fund_paid_atoms", "i64", "from the fund to the account"),
            _WALLET,
            _MARGIN,
        ),
    ),
    Message(
        136,
        "balance_changed",
        "Money of an account moved other than by a fill.",
        (
            Field("symbol", "u32", "the position concerned; 0 for the wallet alone"),
            Field("cause", "u8", "why", BalanceCause),
            Field("wallet_change_atoms", "i64", "signed"),
            Field("margin_change_atoms", "i64", "signed, of the isolated pool"),
            _WALLET,
            _MARGIN,
        ),
    ),
    Message(
        137,
        "fund_changed",
        "An insurance fund moved.",
        (
            Field("fund", "u32", "number of the fund"),
            Field("symbol", "u32", "the symbol charged or credited; 0: none"),
            Field("cause", "u8", "why", FundCause),
            Field("change_atoms", "i64", "signed"),
            Field("balance_atoms", "i64", "afterwards, never negative"),
        ),
        public=True,
    ),
    Message(
        138,
        "symbol_listed",
        "A symbol can be traded as soon as it has a mark.",
        (_SYMBOL, Field("name", "name", "as listed")),
        public=True,
    ),
    Message(
        139,
        "mark_changed",
        "The mark price moved.",
        (_SYMBOL, Field("price_ticks", "i64", "new mark")),
        public=True,
    ),
    Message(
        140,
        "funding_settled",
        "Funding was paid; one balance_changed per position follows.",
        (
            _SYMBOL,
            Field("payment_atoms_per_lot", "i64", "as commanded"),
            Field("payment_fraction_q32", "u32", "as commanded"),
        ),
        public=True,
    ),
    Message(
        141,
        "margin_mode_changed",
        "Mode and initial margin rate of account and symbol from now on.",
        (
            _SYMBOL,
            Field("margin_mode", "u8", "cross or isolated", MarginMode),
            Field("initial_margin_ppm", "u32", "in force, the bracket's own floor apart"),
        ),
    ),
    Message(
        142,
        "liquidation_started",
        "A collateral pool is below maintenance: its orders are cancelled and only the engine trades for it.",
        (
            Field("symbol", "u32", "the isolated position; 0 for the cross pool"),
            Field("equity_atoms", "i64", "of the pool"),
            Field("maintenance_atoms", "i64", "of the pool"),
        ),
        public=True,
    ),
    Message(
        143,
        "liquidation_order",
        "The engine sends an order for a pool that it liquidates (LIQ-04..06).",
        (
            _SYMBOL,
            _SIDE,
            _ORDER_ID,
            Field("price_ticks", "i64", "limit"),
            Field("qty_lots", "i64", "quantity"),
            Field("mark_ticks", "i64", "mark of the symbol"),
            Field("bankruptcy_value_atoms", "i64", "of the whole position"),
            Field("equity_atoms", "i64", "of the pool"),
            Field("maintenance_atoms", "i64", "of the pool"),
        ),
        public=True,
    ),
    Message(
        144,
        "liquidation_ended",
        "The pool is at or above maintenance again, or has no position left.",
        (
            Field("symbol", "u32", "the isolated position; 0 for the cross pool"),
            Field("equity_atoms", "i64", "of the pool"),
            Field("maintenance_atoms", "i64", "of the pool"),
        ),
        public=True,
    ),
    Message(
        145,
        "deficit_uncovered",
        "Nobody is left to deleverage against (ADL-03): withdrawals stop until the pool is no longer below zero.",
        (
            _SYMBOL,
            Field("remaining_lots", "i64", "signed position that is left"),
            Field("shortfall_atoms", "i64", "by which the pool is below zero"),
        ),
        public=True,
    ),
)

COMMAND_BY_NAME: dict[str, Message] = {m.name: m for m in COMMANDS}
EVENT_BY_NAME: dict[str, Message] = {m.name: m for m in EVENTS}
MESSAGE_BY_NUMBER: dict[int, Message] = {m.number: m for m in COMMANDS + EVENTS}

# ----------------------------------------------------------------------------------------------- bounds

MAX_ACCOUNT = (1 << 24) - 1
MAX_SYMBOL = (1 << 16) - 1
MAX_PRICE_TICKS = 10**12
MAX_QTY_LOTS = 10**12
MAX_AMOUNT_ATOMS = 10**18  # of one payment, and of all deposits less withdrawals
MAX_EXPOSURE_ATOMS = 1 << 60  # sum of the symbols' exposure limits: keeps every balance inside int64
PPM = 1_000_000
ASSET_DECIMALS = 8
