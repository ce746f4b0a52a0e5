"""THE table: each command, event and code of the exchange, with number, fields, units and prose.

Theory of operation.  A *record* is a packed little-endian struct: a fixed header and then the fields of its
type, in the order of this table.  Commands as records are what the journal stores and what an engine applies;
events as records are what an engine returns.  On the wire the same fields travel as one msgpack array.
Everything else is made from this table (and ``codes``, what its small numbers mean) and from nothing else:

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

# Who reads the table finds its codes here as well.
from exchange.protocol.codes import ENUMS as ENUMS
from exchange.protocol.codes import REJECT_PROSE as REJECT_PROSE
from exchange.protocol.codes import AdlPolicy as AdlPolicy
from exchange.protocol.codes import BalanceCause as BalanceCause
from exchange.protocol.codes import BudgetLimit as BudgetLimit
from exchange.protocol.codes import CancelReason as CancelReason
from exchange.protocol.codes import ClosingLimit as ClosingLimit
from exchange.protocol.codes import ClosingSize as ClosingSize
from exchange.protocol.codes import CollateralCause as CollateralCause
from exchange.protocol.codes import FillRole as FillRole
from exchange.protocol.codes import FundCause as FundCause
from exchange.protocol.codes import Leg as Leg
from exchange.protocol.codes import LiquidationMode as LiquidationMode
from exchange.protocol.codes import ListMode as ListMode
from exchange.protocol.codes import MarginMode as MarginMode
from exchange.protocol.codes import OrderFlag as OrderFlag
from exchange.protocol.codes import OrderPlace as OrderPlace
from exchange.protocol.codes import OrderType as OrderType
from exchange.protocol.codes import PositionMode as PositionMode
from exchange.protocol.codes import RejectReason as RejectReason
from exchange.protocol.codes import SelfTradePrevention as SelfTradePrevention
from exchange.protocol.codes import Side as Side
from exchange.protocol.codes import SymbolState as SymbolState
from exchange.protocol.codes import TimeInForce as TimeInForce
from exchange.protocol.codes import TriggerBy as TriggerBy

MAX_FEEDS = 16  # external feeds of a symbol's composite mark (MARK-02)
MAX_ASSETS = 16
MAX_BRACKETS = 16
MAX_LIST_ORDERS = 64
MAX_NAME_BYTES = 16

# ----------------------------------------------------------------------------------------------- fields

#: kind -> (struct format, C type, bytes).  ``brackets`` is an array of MAX_BRACKETS (i64, u32, u32)
#: entries.  ``orders`` is as many bodies of ``place_order`` as the record's order_count says: such a record is
#: as long as it needs to be, and this field is its last.
KINDS: dict[str, tuple[str, str, int]] = {
    "u8": ("B", "uint8_t", 1),
    "u16": ("H", "uint16_t", 2),
    "u32": ("I", "uint32_t", 4),
    "i32": ("i", "int32_t", 4),
    "u64": ("Q", "uint64_t", 8),
    "i64": ("q", "int64_t", 8),
    "name": (f"{MAX_NAME_BYTES}s", "char", MAX_NAME_BYTES),
    "brackets": ("qII" * MAX_BRACKETS, "wire_bracket", 16 * MAX_BRACKETS),
    "orders": ("", "wire_order", 0),
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
        """Bytes of the whole record, header included; of one that ends with a list, without the list."""
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
_LEG = Field("leg", "u8", "which position of the account on the symbol: net, or in hedge mode long or short", Leg, default=0)
_ASSET = Field("asset", "u32", "number of the collateral asset")
_WALLET = Field("wallet_atoms", "i64", "the account's wallet afterwards")
_MARGIN = Field("margin_atoms", "i64", "the isolated pool of account and symbol afterwards (0 in cross mode)")

_MARK_POLICY = (
    Field("enabled", "u8", "1: composite; 0: set by set_mark", default=1),
    Field("max_feeds", "u8", "external feeds there may be, 0 .. 16", default=MAX_FEEDS),
    Field("max_age_ns", "i64", "an older price drops out, 1 .. 10^15", default=10_000_000_000),
    Field("ema_ns", "i64", "time constant of the average distance between mid and index, 0 .. 10^15", default=150_000_000_000),
)

_WARNING_LEVELS = (
    Field("first_level_ppm", "u32", "maintenance margin as a part of equity; 0: none, and none behind it", default=800_000),
    Field("second_level_ppm", "u32", "above the first; 0: none, and none behind it", default=900_000),
    Field("third_level_ppm", "u32", "above the second; 0: none, nor a fourth", default=0),
    Field("fourth_level_ppm", "u32", "above the third; 0: none", default=0),
)

#: What an order is; the body of ``place_order`` and of each entry of ``place_orders``.
ORDER_FIELDS: tuple[Field, ...] = (
    _SYMBOL,
    _SIDE,
    Field("order_type", "u8", "limit, market, or one of those that wait for a trigger", OrderType, default=0),
    Field("time_in_force", "u8", "GTC, IOC, FOK or GTD", TimeInForce, default=0),
    Field("self_trade", "u8", "self-trade prevention of this order", SelfTradePrevention, default=0),
    Field("flags", "u32", "sum of order flags", default=0),
    Field("price_ticks", "i64", "limit; of a market order the worst price it may have, 0: none", default=0),
    Field("qty_lots", "i64", "1 .. 10^12; 0 with close-position", default=0),
    _CLIENT_ORDER_ID,
    Field("display_lots", "i64", "iceberg: what is shown at a time; 0: all", default=0),
    Field("expires_ns", "i64", "GTD: when it is cancelled, nanoseconds since the epoch", default=0),
    Field("trigger_ticks", "i64", "stop and take-profit: the price that sets it off", default=0),
    Field("callback_ticks", "i64", "trailing stop: its distance from the best price since, in ticks", default=0),
    Field("callback_ppm", "u32", "trailing stop: its distance as a share of that price", default=0),
    Field("trigger_by", "u8", "what the trigger watches: mark or last trade", TriggerBy, default=0),
    _LEG,
)
ORDER_FORMAT = "<" + "".join(KINDS[f.kind][0] for f in ORDER_FIELDS)
#: Bytes of one entry of ``place_orders``.
ORDER_BYTES = struct.calcsize(ORDER_FORMAT)

_RISK_LIMITS = (
    Field("position_limit_atoms", "i64", "of an account's position with its orders of the side, at mark; -1: none", default=-1),
    Field("open_interest_limit_atoms", "i64", "of all positions with all orders of the side, at mark; -1: none", default=-1),
    Field("oi_scaling_lower_atoms", "i64", "open interest from which initial margin rates rise; -1: they do not", default=-1),
    Field("oi_scaling_upper_atoms", "i64", "open interest at which they are 100 %; -1: they do not rise", default=-1),
)

_FUND_POLICY = (
    Field("cap_atoms", "i64", "most that the symbol's own fund pays for it from now on, in total; -1: no bound", default=-1),
    Field("second_fund", "u32", "fund that pays where its own may not", default=0),
    Field("second_cap_atoms", "i64", "the same of the second fund; 0: there is none", default=0),
    Field("window_ns", "i64", "length of the rolling window, up to 10^17; 0: none", default=0),
    Field("window_cap_atoms", "i64", "most that both funds pay for the symbol within it; -1: no bound", default=-1),
)

_FUNDING_POLICY = (
    Field("enabled", "u8", "1: the engine computes the rate and settles it; 0: settle_funding does", default=1),
    Field("interval_ns", "i64", "settled at each whole multiple of it, 10^6 .. 10^15", default=28_800_000_000_000),
    Field("sample_ns", "i64", "the premium is measured at each whole multiple of it, 10^6 .. interval, which it divides", default=60_000_000_000),
    Field("interest_ppb", "i64", "interest for an interval, -10^9 .. 10^9", default=100_000),
    Field("clamp_ppb", "i64", "how far interest may pull the average premium either way, 0 .. 10^9", default=500_000),
    Field("max_rate_ppb", "i64", "most for an interval either way, 0 .. 10^9", default=1_000_000_000),
    Field("impact_notional_atoms", "i64", "size for which the book is asked, 1 .. 10^18", default=1_000_000_000_000),
)

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
            _LEG,
        ),
    ),
    Message(
        6,
        "change_isolated_margin",
        "Moves money between the wallet and the pool of an isolated position (ACCT-06).",
        (
            _SYMBOL,
            Field("change_atoms", "i64", "positive: to the position; negative: back to the wallet"),
            _LEG,
        ),
    ),
    Message(7, "place_order", "Places an order (MATCH-01..06, MATCH-10, MATCH-15).", ORDER_FIELDS),
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
        "Changes one order in one step: price, total quantity, display, expiry, trigger (MATCH-05).",
        (
            Field("order_id", "u64", "the engine's id, or 0", default=0),
            _CLIENT_ORDER_ID,
            Field("price_ticks", "i64", "new limit; 0: as it is", default=0),
            Field("qty_lots", "i64", "new total quantity, what is filled included; 0: as it is", default=0),
            Field("display_lots", "i64", "new display quantity of an iceberg; 0: as it is", default=0),
            Field("expires_ns", "i64", "new expiry of a GTD order; 0: as it is", default=0),
            Field("trigger_ticks", "i64", "new trigger of a waiting stop or take-profit; 0: as it is", default=0),
            Field("callback_ticks", "i64", "new distance of a waiting trailing stop; 0: as it is", default=0),
            Field("callback_ppm", "u32", "the same as a share of the price; 0: as it is", default=0),
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
        "Lets time pass: what is due expires, and a symbol in auction tells its indication.",
        (),
        sender="admin",
    ),
    Message(
        14,
        "place_orders",
        "Places up to 64 orders in one command, each on its own or linked (MATCH-14).",
        (
            Field("list_mode", "u8", "what the orders have to do with each other", ListMode, default=0),
            Field("order_count", "u8", "orders in the list, 1 .. 64"),
            Field("orders", "orders", "the orders; fields as in place_order"),
        ),
    ),
    Message(
        15,
        "set_symbol_state",
        "Opens, halts, settles a symbol or calls an auction (MATCH-12).",
        (
            _SYMBOL,
            Field("state", "u8", "the state from now on", SymbolState),
            Field("price_ticks", "i64", "settled: the final mark; else 0", default=0),
        ),
        sender="admin",
    ),
    Message(
        16,
        "set_countdown",
        "Cancels all of the account's orders when the time is up, unless it is set again (MATCH-07).",
        (Field("timeout_ms", "u32", "from the time of this command; 0: no countdown", default=0),),
    ),
    Message(
        17,
        "set_stp_group",
        "Puts an account into a group whose members never trade with each other (MATCH-06).",
        (
            Field("member_account", "u32", "the account"),
            Field("stp_group", "u32", "number of the group; 0: none", default=0),
        ),
        sender="admin",
    ),
    Message(
        18,
        "set_brackets",
        "Puts another bracket table and default initial margin rate in force, whatever is open (MARGIN-03, MARGIN-04).",
        (
            _SYMBOL,
            Field("initial_margin_ppm", "u32", "default initial margin rate from now on"),
            Field("bracket_count", "u8", "brackets used, 1 .. 16"),
            Field("brackets", "brackets", "as in list_symbol"),
        ),
        sender="admin",
    ),
    Message(
        19,
        "set_risk_limits",
        "Caps what an account, and what all together may hold of a symbol, and scales initial margin with it (MARGIN-11).",
        (_SYMBOL, *_RISK_LIMITS),
        sender="admin",
    ),
    Message(
        20,
        "set_margin_warnings",
        "At which parts of its equity a pool's maintenance margin is warned of, rising; all 0: never (MARGIN-10).",
        _WARNING_LEVELS,
        sender="admin",
    ),
    Message(
        21,
        "set_auto_margin",
        "Whether the wallet adds margin to an isolated position by itself before it would be liquidated (ACCT-09).",
        (_SYMBOL, _LEG, Field("enabled", "u8", "1: it does; 0: it does not", default=1)),
    ),
    Message(
        22,
        "set_adl_policy",
        "Chooses how positions of a symbol are auto-deleveraged from now on (ADL-05).",
        (_SYMBOL, Field("policy", "u8", "who gives how much, at which price", AdlPolicy, default=0)),
        sender="admin",
    ),
    Message(
        23,
        "set_fund_policy",
        "Caps what insurance funds pay for a symbol, in total and within a rolling window, and names a second fund (FUND-01).",
        (_SYMBOL, *_FUND_POLICY),
        sender="admin",
    ),
    Message(
        25,
        "set_mark_policy",
        "From now on the mark of a symbol is computed from prices that are sent (MARK-02), or set by hand again.",
        (
            _SYMBOL,
            *_MARK_POLICY,
        ),
        sender="admin",
    ),
    Message(
        26,
        "set_price",
        "A price from outside: the index, or an external feed; the composite mark is computed anew (MARK-02).",
        (
            _SYMBOL,
            Field("source", "u8", "0: the index; from 1: an external feed", default=0),
            Field("price_ticks", "i64", "1 .. 10^12"),
        ),
        sender="admin",
    ),
    Message(
        27,
        "set_funding_policy",
        "From now on the engine computes the funding rate of a symbol and settles it (FUNDING-02), or no longer does.",
        (_SYMBOL, *_FUNDING_POLICY),
        sender="admin",
    ),
    Message(
        29,
        "set_position_mode",
        "One position on each symbol, or a long and a short one beside each other (ACCT-08); with nothing open only.",
        (Field("position_mode", "u8", "one-way or hedge", PositionMode),),
    ),
    Message(
        31,
        "list_asset",
        "Lists an asset that may back cross positions, or gives a listed one another haircut (COLL-01).",
        (
            _ASSET,
            Field("name", "name", "up to 16 bytes of UTF-8, for people"),
            Field("unit_parts", "i64", "parts in one unit, 10^8 for bitcoin in satoshi; cannot change"),
            Field("haircut_ppm", "u32", "of its value, what does not count"),
        ),
        sender="admin",
    ),
    Message(
        32,
        "set_asset_price",
        "Moves the price of a collateral asset and checks whoever counts on it (COLL-02).",
        (_ASSET, Field("price_atoms", "i64", "atoms of the settlement asset for one unit")),
        sender="admin",
    ),
    Message(
        33,
        "change_collateral",
        "Brings a collateral asset in, or takes it out (COLL-03).",
        (_ASSET, Field("change_parts", "i64", "positive: in; negative: out")),
    ),
    Message(
        34,
        "set_multi_asset",
        "Whether the account's collateral assets count for its cross pool (COLL-02).",
        (Field("enabled", "u8", "1: they count; 0: they only lie there"),),
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
            _LEG,
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
            Field("place", "u8", "where it was: the rest of a taker, in the book, or waiting", OrderPlace),
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
            Field("place", "u8", "taker or book", OrderPlace),
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
            Field("role", "u8", "the part played in it", FillRole),
            Field("margin_mode", "u8", "of the position", MarginMode),
            _LEG,
            Field("trade_id", "u64", "rising from 1; 0 in settlement"),
            Field("order_id", "u64", "0 in auto-deleveraging and settlement"),
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
            _LEG,
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
            _LEG,
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
            Field("payment_atoms_per_lot", "i64", "whole atoms per lot, rounded down"),
            Field("payment_fraction_q32", "u32", "the rest of an atom per lot, in 2^-32"),
        ),
        public=True,
    ),
    Message(
        141,
        "margin_mode_changed",
        "Mode and initial margin rate of account and symbol from now on.",
        (
            _SYMBOL,
            _LEG,
            Field("margin_mode", "u8", "cross or isolated", MarginMode),
            Field("initial_margin_ppm", "u32", "in force, the bracket's own floor apart"),
            Field("own_rate_ppm", "u32", "the account's own rate; 0: the symbol's default, and any that follows it"),
        ),
    ),
    Message(
        142,
        "liquidation_started",
        "A collateral pool is below maintenance: its orders are cancelled and only the engine trades for it.",
        (
            Field("symbol", "u32", "the isolated position; 0 for the cross pool"),
            _LEG,
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
            _LEG,
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
            _LEG,
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
            _LEG,
            Field("remaining_lots", "i64", "signed position that is left"),
            Field("shortfall_atoms", "i64", "by which the pool is below zero"),
        ),
        public=True,
    ),
    Message(
        146,
        "order_waiting",
        "An order waits for its trigger, as the fields say now: after it was accepted, amended or armed (MATCH-10).",
        (
            _SYMBOL,
            _SIDE,
            _LEG,
            Field("order_type", "u8", "its type", OrderType),
            Field("trigger_by", "u8", "what it watches", TriggerBy),
            Field("flags", "u32", "sum of order flags"),
            _ORDER_ID,
            _CLIENT_ORDER_ID,
            Field("trigger_ticks", "i64", "where it goes off as things stand"),
            Field("price_ticks", "i64", "limit; of a market type its worst price, 0: none"),
            Field("open_lots", "i64", "quantity; 0: close-position, or an exit whose entry has not filled"),
        ),
    ),
    Message(
        147,
        "order_triggered",
        "The trigger of an order was reached: it acts now.",
        (
            _SYMBOL,
            _SIDE,
            _ORDER_ID,
            _CLIENT_ORDER_ID,
            Field("trigger_ticks", "i64", "the trigger"),
            Field("watched_ticks", "i64", "the mark or last price that reached it"),
            Field("open_lots", "i64", "the quantity it acts with"),
        ),
    ),
    Message(
        148,
        "order_shown",
        "What an iceberg shows in the book from now on; with refreshed 1 it went to the back of its level.",
        (
            _SYMBOL,
            _SIDE,
            Field("refreshed", "u8", "1: a new slice, at the back of the level"),
            _ORDER_ID,
            _CLIENT_ORDER_ID,
            Field("price_ticks", "i64", "limit"),
            Field("shown_lots", "i64", "visible quantity"),
        ),
    ),
    Message(
        149,
        "entry_accepted",
        "The result of one order of a list that was accepted.",
        (Field("index", "u8", "place in the list, from 0"), _ORDER_ID, _CLIENT_ORDER_ID),
    ),
    Message(
        150,
        "entry_rejected",
        "The result of one order of a list that was refused: it changed nothing.",
        (
            Field("index", "u8", "place in the list, from 0"),
            Field("reason", "u16", "why", RejectReason),
            _CLIENT_ORDER_ID,
        ),
    ),
    Message(
        151,
        "symbol_state_changed",
        "The state of a symbol from now on.",
        (_SYMBOL, Field("state", "u8", "its state", SymbolState)),
        public=True,
    ),
    Message(
        152,
        "auction_indicated",
        "What an auction would give at this moment.",
        (
            _SYMBOL,
            Field("price_ticks", "i64", "uncrossing price; 0: nothing would trade"),
            Field("qty_lots", "i64", "what would trade"),
            Field("imbalance_lots", "i64", "what would be left at that price; positive: buys, negative: sells"),
        ),
        public=True,
    ),
    Message(
        153,
        "auction_uncrossed",
        "An auction trades at one price; its fills follow.",
        (
            _SYMBOL,
            Field("price_ticks", "i64", "the one price"),
            Field("qty_lots", "i64", "what can trade at it"),
            Field("imbalance_lots", "i64", "what is left at it; positive: buys, negative: sells"),
        ),
        public=True,
    ),
    Message(
        154,
        "countdown_set",
        "When the account's orders will be cancelled.",
        (Field("expires_ns", "i64", "nanoseconds since the epoch; 0: never"),),
    ),
    Message(
        155,
        "stp_group_set",
        "The group of accounts that an account does not trade with.",
        (Field("stp_group", "u32", "number of the group; 0: none"),),
    ),
    Message(
        156,
        "brackets_changed",
        "A symbol's bracket table and default initial margin rate from now on; whoever is below maintenance by it is liquidated.",
        (
            _SYMBOL,
            Field("initial_margin_ppm", "u32", "default initial margin rate"),
            Field("bracket_count", "u8", "brackets used"),
            Field("brackets", "brackets", "as in set_brackets, with the initial rates that hold"),
        ),
        public=True,
    ),
    Message(
        157,
        "risk_limits_changed",
        "The caps of a symbol, and the scale of its initial margin, from now on.",
        (_SYMBOL, *_RISK_LIMITS),
        public=True,
    ),
    Message(
        158,
        "margin_warning",
        "A pool's maintenance margin has reached a part of its equity that is warned of (MARGIN-10).",
        (
            Field("symbol", "u32", "the isolated position; 0 for the cross pool"),
            _LEG,
            Field("level_ppm", "u32", "the highest level that was reached"),
            Field("equity_atoms", "i64", "of the pool, when the command was done"),
            Field("maintenance_atoms", "i64", "of the pool, when the command was done"),
        ),
    ),
    Message(
        159,
        "margin_warnings_set",
        "What pools are warned of from now on.",
        _WARNING_LEVELS,
        public=True,
    ),
    Message(
        160,
        "adl_policy_set",
        "How positions of a symbol are auto-deleveraged from now on.",
        (_SYMBOL, Field("policy", "u8", "who gives how much, at which price", AdlPolicy)),
        public=True,
    ),
    Message(
        161,
        "adl_ranked",
        "A counterparty's place in an auto-deleveraging and all that it was ranked by; what it gives follows (ADL-01, ADL-05).",
        (
            _SYMBOL,
            _LEG,
            Field("deleveraged_account", "u32", "whose position is closed"),
            Field("deleveraged_leg", "u8", "which of its positions on the symbol", Leg),
            Field("policy", "u8", "the policy that ranks", AdlPolicy),
            Field("trade_id", "u64", "of its fills that follow; 0: it gives no lots"),
            Field("rank", "u32", "its place, from 1"),
            Field("candidates", "u32", "positions on the other side"),
            Field("unrealised_atoms", "i64", "profit or loss of its position"),
            Field("notional_atoms", "i64", "of its position, at mark"),
            Field("entry_value_atoms", "i64", "entry value of its position, without sign"),
            Field("equity_atoms", "i64", "of its pool, as it counts in the score: 1 at least"),
            Field("net_notional_atoms", "i64", "of its pool, long less short, where the policy looks at it; else 0"),
            Field("qty_lots", "i64", "lots that it gives"),
            Field("haircut_atoms", "i64", "what giving costs it against the mark"),
        ),
    ),
    Message(
        162,
        "fund_policy_set",
        "What insurance funds pay for a symbol at most from now on; all that was paid before does not count.",
        (_SYMBOL, *_FUND_POLICY),
        public=True,
    ),
    Message(
        163,
        "deficit_charged",
        "What of a cross pool's deficit is charged to a symbol, as its liquidation is taken up; one for each symbol (FUND-01).",
        (_SYMBOL, Field("charged_atoms", "i64", "what the symbol caused, and nobody has paid yet")),
    ),
    Message(
        164,
        "mark_policy_set",
        "How the mark of a symbol comes about from now on (MARK-02).",
        (
            _SYMBOL,
            *(Field(f.name, f.kind, f.prose) for f in _MARK_POLICY),
        ),
        public=True,
    ),
    Message(
        165,
        "price_set",
        "A price from outside came in (MARK-02).",
        (
            _SYMBOL,
            Field("source", "u8", "0: the index; from 1: an external feed"),
            Field("price_ticks", "i64", "the price"),
        ),
        public=True,
    ),
    Message(
        166,
        "mark_hold_changed",
        "The mark is held where it is, and nothing may be opened, or it is computed again (MARK-03).",
        (
            _SYMBOL,
            Field("held", "u8", "1: held; 0: computed"),
            Field("inputs", "u8", "prices that there are for it, own book and index included"),
        ),
        public=True,
    ),
    Message(
        167,
        "funding_policy_set",
        "How the funding rate of a symbol comes about from now on (FUNDING-02).",
        (
            _SYMBOL,
            *(Field(f.name, f.kind, f.prose) for f in _FUNDING_POLICY),
            Field("next_funding_ns", "i64", "when it is settled next; 0: never"),
        ),
        public=True,
    ),
    Message(
        168,
        "funding_rate",
        "A premium was measured, or an interval is over: the rate that the samples so far come to (FUNDING-02).",
        (
            _SYMBOL,
            Field("final", "u8", "1: the interval is over, and this rate is settled; 0: a sample was taken"),
            Field("clamped", "u8", "1: interest pulls no further than clamp_ppb of the policy"),
            Field("capped", "u8", "1: the rate is held at cap_ppb"),
            Field("samples", "u32", "sample times of the interval that count so far; 0: there is no rate"),
            Field("counted", "u32", "of them those that this sample stands for; final: 0"),
            Field("sample_ppb", "i64", "premium of this sample; final: 0"),
            Field("premium_ppb", "i64", "average premium of the interval so far"),
            Field("interest_ppb", "i64", "interest for an interval"),
            Field("cap_ppb", "i64", "most that the rate may be either way"),
            Field("rate_ppb", "i64", "rate for an interval; positive: longs pay shorts"),
            Field("next_funding_ns", "i64", "when the symbol settles next; 0: never"),
        ),
        public=True,
    ),
    Message(
        169,
        "position_mode_changed",
        "Whether the account has one position on each symbol from now on, or a long and a short one.",
        (Field("position_mode", "u8", "one-way or hedge", PositionMode),),
    ),
    Message(
        171,
        "liquidation_position",
        "A position of a pool whose liquidation is taken up; one for each, by symbol (LIQ-02..05).",
        (
            _SYMBOL,
            _LEG,
            Field("pool_symbol", "u32", "the isolated position; 0 for the cross pool"),
            Field("bracket", "u8", "index of the bracket that its notional is in, from 0"),
            Field("position_lots", "i64", "signed position"),
            Field("entry_value_atoms", "i64", "signed entry value"),
            Field("mark_ticks", "i64", "mark of the symbol"),
            Field("notional_atoms", "i64", "its value at the mark"),
            Field("unrealised_atoms", "i64", "profit or loss at the mark"),
            Field("maintenance_atoms", "i64", "what it needs"),
            Field("share_atoms", "i64", "the part of the pool's equity that stands for it"),
            Field("bankruptcy_value_atoms", "i64", "what it must bring (long) or may cost (short)"),
        ),
    ),
    Message(
        172,
        "liquidation_sized",
        "Why a closing order has this size and this limit, before it is sent (LIQ-04, LIQ-06).",
        (
            _SYMBOL,
            _LEG,
            Field("fund", "u32", "number of the fund"),
            Field("mode", "u8", "full, fraction or target", LiquidationMode),
            Field("sized_by", "u8", "what decided the quantity", ClosingSize),
            Field("limited_by", "u8", "what decided the limit", ClosingLimit),
            Field("position_lots", "i64", "signed position"),
            Field("equity_atoms", "i64", "of the pool"),
            Field("maintenance_atoms", "i64", "of the pool"),
            Field("missing_atoms", "i64", "target: what the pool is short of maintenance and buffer, rounded up"),
            Field("gain_atoms_per_lot", "i64", "target: what closing a lot at the mark brings it nearer, rounded down"),
            Field("asked_lots", "i64", "what the mode alone asks for, at most the position"),
            Field("least_lots", "i64", "lots worth the smallest notional of a piece"),
            Field("most_lots", "i64", "lots worth the largest notional of a piece; 0: no bound"),
            Field("qty_lots", "i64", "quantity"),
            Field("lot_value_atoms", "i64", "bankruptcy value of one lot"),
            Field("budget_atoms", "i64", "what the fund may still pay for this pool in this liquidation"),
            Field("bankruptcy_ticks", "i64", "the limit without the fund"),
            Field("fund_ticks", "i64", "the limit with the fund's budget"),
            Field("cap_ticks", "i64", "the limit of the slippage cap; 0: no cap"),
            Field("price_ticks", "i64", "the limit; 0: no order is sent"),
            Field("budget_by", "u8", "what bounds the budget", BudgetLimit),
            Field("charged", "u32", "number of the symbol that is charged for what is below zero"),
        ),
    ),
    Message(
        173,
        "liquidation_shrunk",
        "The fund cannot bear all lots that a maker would give a closing order (LIQ-07).",
        (
            _SYMBOL,
            _LEG,
            _ORDER_ID,
            Field("price_ticks", "i64", "the maker's price"),
            Field("offered_lots", "i64", "what the maker would give"),
            Field("qty_lots", "i64", "what the fund bears; 0: the order ends"),
            Field("budget_atoms", "i64", "what the fund may still pay"),
            Field("shortfall_atoms", "i64", "what the whole position would be short of bankruptcy at that price; at most 2^63 - 1"),
            Field("budget_by", "u8", "what bounds the budget", BudgetLimit),
            Field("charged", "u32", "number of the symbol that is charged"),
        ),
    ),
    Message(
        174,
        "deficit_shared",
        "A position of a pool below zero: what stands for it, what the fund pays, at what value it is deleveraged (FUND-02).",
        (
            _SYMBOL,
            _LEG,
            Field("fund", "u32", "number of the fund"),
            Field("position_lots", "i64", "signed position"),
            Field("equity_atoms", "i64", "of the pool, below zero"),
            Field("maintenance_atoms", "i64", "of the pool"),
            Field("share_atoms", "i64", "the part of the equity that stands for the position, below zero"),
            Field("budget_atoms", "i64", "what the fund may still pay"),
            Field("paid_atoms", "i64", "what it pays"),
            Field("bankruptcy_value_atoms", "i64", "what the whole position goes for"),
            Field("budget_by", "u8", "what bounds the budget", BudgetLimit),
            Field("charged", "u32", "number of the symbol that is charged"),
        ),
    ),
    Message(
        176,
        "asset_listed",
        "A collateral asset as it counts from now on.",
        (
            _ASSET,
            Field("name", "name", "as listed"),
            Field("unit_parts", "i64", "parts in one unit"),
            Field("haircut_ppm", "u32", "of its value, what does not count"),
        ),
        public=True,
    ),
    Message(
        177,
        "asset_price_changed",
        "The price of a collateral asset moved.",
        (_ASSET, Field("price_atoms", "i64", "atoms for one unit")),
        public=True,
    ),
    Message(
        178,
        "collateral_changed",
        "What the account holds of a collateral asset changed.",
        (
            _ASSET,
            Field("cause", "u8", "why", CollateralCause),
            Field("change_parts", "i64", "signed"),
            Field("parts", "i64", "what is held afterwards"),
        ),
    ),
    Message(
        179,
        "multi_asset_set",
        "Whether the account's collateral assets count from now on.",
        (Field("enabled", "u8", "1: they count"),),
    ),
    Message(
        180,
        "auto_margin_set",
        "Whether the wallet adds margin to an isolated position by itself from now on.",
        (_SYMBOL, _LEG, Field("enabled", "u8", "1: it does")),
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
MAX_TIMEOUT_MS = 86_400_000  # of a countdown
MAX_WINDOW_NS = 10**17  # of a window of fund payments: three years (FUND-01)
WINDOW_PARTS = 16  # in which it moves on
MAX_POLICY_NS = 10**15  # of an age, a time constant or an interval: eleven days and a half (MARK-02, FUNDING-02)
MIN_SAMPLE_NS = 10**6  # between two premium samples (FUNDING-02)
MAX_IMPACT_LEVELS = 1_000  # price levels of a side that a premium sample looks at (FUNDING-02)
PPB = 1_000_000_000
MAX_MARKET_LEVELS = 1_000  # price levels that a market order can reach (MATCH-02)
MAX_FOK_ORDERS = 4_096  # orders that fill or kill looks at (MATCH-03)
REMEMBERED_ORDERS = 128  # client order ids that are remembered of each account (MATCH-08)
MAX_EXPOSURE_ATOMS = 1 << 60  # sum of the symbols' exposure limits: keeps every balance inside int64
PPM = 1_000_000
ASSET_DECIMALS = 8
