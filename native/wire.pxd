# GENERATED from exchange/protocol/{codes,schema}.py by python -m exchange.protocol.generate: edit the table
# Records and codes of the table as packed C structs and constants.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from *:
    """
    #define WIRE_PPM ((int64_t)1000000LL)
    #define WIRE_MAX_PRICE_TICKS ((int64_t)1000000000000LL)
    #define WIRE_MAX_QTY_LOTS ((int64_t)1000000000000LL)
    #define WIRE_MAX_AMOUNT_ATOMS ((int64_t)1000000000000000000LL)
    #define WIRE_MAX_TIMEOUT_MS ((int64_t)86400000LL)
    #define WIRE_MAX_EXPOSURE_ATOMS ((int64_t)1152921504606846976LL)
    #define WIRE_MAX_POLICY_NS ((int64_t)1000000000000000LL)
    #define WIRE_MAX_WINDOW_NS ((int64_t)100000000000000000LL)
    #define WIRE_MIN_SAMPLE_NS ((int64_t)1000000LL)
    #define WIRE_MAX_IMPACT_LEVELS ((int64_t)1000LL)
    #define WIRE_PPB ((int64_t)1000000000LL)
    """
    const int64_t PPM "WIRE_PPM"
    const int64_t MAX_PRICE_TICKS "WIRE_MAX_PRICE_TICKS"
    const int64_t MAX_QTY_LOTS "WIRE_MAX_QTY_LOTS"
    const int64_t MAX_AMOUNT_ATOMS "WIRE_MAX_AMOUNT_ATOMS"
    const int64_t MAX_TIMEOUT_MS "WIRE_MAX_TIMEOUT_MS"
    const int64_t MAX_EXPOSURE_ATOMS "WIRE_MAX_EXPOSURE_ATOMS"
    const int64_t MAX_POLICY_NS "WIRE_MAX_POLICY_NS"
    const int64_t MAX_WINDOW_NS "WIRE_MAX_WINDOW_NS"
    const int64_t MIN_SAMPLE_NS "WIRE_MIN_SAMPLE_NS"
    const int64_t MAX_IMPACT_LEVELS "WIRE_MAX_IMPACT_LEVELS"
    const int64_t PPB "WIRE_PPB"

cdef enum:
    MAX_ASSETS = 16
    MAX_BRACKETS = 16
    MAX_LIST_ORDERS = 64
    MAX_NAME_BYTES = 16
    MAX_FEEDS = 16
    WINDOW_PARTS = 16
    MAX_ACCOUNT = 16777215
    MAX_SYMBOL = 65535
    MAX_MARKET_LEVELS = 1000
    MAX_FOK_ORDERS = 4096
    REMEMBERED_ORDERS = 128
    FIRST_EVENT = 128

cdef enum:
    COMMAND_LIST_SYMBOL = 1
    COMMAND_DEPOSIT = 2
    COMMAND_WITHDRAW = 3
    COMMAND_DEPOSIT_FUND = 4
    COMMAND_SET_MARGIN_MODE = 5
    COMMAND_CHANGE_ISOLATED_MARGIN = 6
    COMMAND_PLACE_ORDER = 7
    COMMAND_CANCEL_ORDER = 8
    COMMAND_CANCEL_ALL = 9
    COMMAND_AMEND_ORDER = 10
    COMMAND_SET_MARK = 11
    COMMAND_SETTLE_FUNDING = 12
    COMMAND_ADVANCE_TIME = 13
    COMMAND_PLACE_ORDERS = 14
    COMMAND_SET_SYMBOL_STATE = 15
    COMMAND_SET_COUNTDOWN = 16
    COMMAND_SET_STP_GROUP = 17
    COMMAND_SET_BRACKETS = 18
    COMMAND_SET_RISK_LIMITS = 19
    COMMAND_SET_MARGIN_WARNINGS = 20
    COMMAND_SET_AUTO_MARGIN = 21
    COMMAND_SET_ADL_POLICY = 22
    COMMAND_SET_FUND_POLICY = 23
    COMMAND_SET_MARK_POLICY = 25
    COMMAND_SET_PRICE = 26
    COMMAND_SET_FUNDING_POLICY = 27
    COMMAND_SET_POSITION_MODE = 29
    COMMAND_LIST_ASSET = 31
    COMMAND_SET_ASSET_PRICE = 32
    COMMAND_CHANGE_COLLATERAL = 33
    COMMAND_SET_MULTI_ASSET = 34

cdef enum:
    EVENT_ACCEPTED = 128
    EVENT_REJECTED = 129
    EVENT_ORDER_RESTED = 130
    EVENT_ORDER_CANCELLED = 131
    EVENT_ORDER_AMENDED = 132
    EVENT_ORDER_REDUCED = 133
    EVENT_FILL = 134
    EVENT_LIQUIDATION_SETTLED = 135
    EVENT_BALANCE_CHANGED = 136
    EVENT_FUND_CHANGED = 137
    EVENT_SYMBOL_LISTED = 138
    EVENT_MARK_CHANGED = 139
    EVENT_FUNDING_SETTLED = 140
    EVENT_MARGIN_MODE_CHANGED = 141
    EVENT_LIQUIDATION_STARTED = 142
    EVENT_LIQUIDATION_ORDER = 143
    EVENT_LIQUIDATION_ENDED = 144
    EVENT_DEFICIT_UNCOVERED = 145
    EVENT_ORDER_WAITING = 146
    EVENT_ORDER_TRIGGERED = 147
    EVENT_ORDER_SHOWN = 148
    EVENT_ENTRY_ACCEPTED = 149
    EVENT_ENTRY_REJECTED = 150
    EVENT_SYMBOL_STATE_CHANGED = 151
    EVENT_AUCTION_INDICATED = 152
    EVENT_AUCTION_UNCROSSED = 153
    EVENT_COUNTDOWN_SET = 154
    EVENT_STP_GROUP_SET = 155
    EVENT_BRACKETS_CHANGED = 156
    EVENT_RISK_LIMITS_CHANGED = 157
    EVENT_MARGIN_WARNING = 158
    EVENT_MARGIN_WARNINGS_SET = 159
    EVENT_ADL_POLICY_SET = 160
    EVENT_ADL_RANKED = 161
    EVENT_FUND_POLICY_SET = 162
    EVENT_DEFICIT_CHARGED = 163
    EVENT_MARK_POLICY_SET = 164
    EVENT_PRICE_SET = 165
    EVENT_MARK_HOLD_CHANGED = 166
    EVENT_FUNDING_POLICY_SET = 167
    EVENT_FUNDING_RATE = 168
    EVENT_POSITION_MODE_CHANGED = 169
    EVENT_LIQUIDATION_POSITION = 171
    EVENT_LIQUIDATION_SIZED = 172
    EVENT_LIQUIDATION_SHRUNK = 173
    EVENT_DEFICIT_SHARED = 174
    EVENT_ASSET_LISTED = 176
    EVENT_ASSET_PRICE_CHANGED = 177
    EVENT_COLLATERAL_CHANGED = 178
    EVENT_MULTI_ASSET_SET = 179
    EVENT_AUTO_MARGIN_SET = 180

cdef enum:
    SIDE_BUY = 0
    SIDE_SELL = 1

cdef enum:
    ORDER_TYPE_LIMIT = 0
    ORDER_TYPE_MARKET = 1
    ORDER_TYPE_STOP_MARKET = 2
    ORDER_TYPE_STOP_LIMIT = 3
    ORDER_TYPE_TAKE_PROFIT_MARKET = 4
    ORDER_TYPE_TAKE_PROFIT_LIMIT = 5
    ORDER_TYPE_TRAILING_STOP = 6

cdef enum:
    TRIGGER_BY_MARK = 0
    TRIGGER_BY_LAST = 1

cdef enum:
    TIME_IN_FORCE_GTC = 0
    TIME_IN_FORCE_IOC = 1
    TIME_IN_FORCE_FOK = 2
    TIME_IN_FORCE_GTD = 3

cdef enum:
    LIST_MODE_EACH = 0
    LIST_MODE_ALL_OR_NOTHING = 1
    LIST_MODE_ONE_CANCELS_OTHER = 2
    LIST_MODE_ENTRY_WITH_EXITS = 3

cdef enum:
    SYMBOL_STATE_OPEN = 0
    SYMBOL_STATE_PRE_OPEN = 1
    SYMBOL_STATE_AUCTION = 2
    SYMBOL_STATE_CANCEL_ONLY = 3
    SYMBOL_STATE_HALTED = 4
    SYMBOL_STATE_SETTLED = 5

cdef enum:
    ORDER_PLACE_TAKER = 0
    ORDER_PLACE_BOOK = 1
    ORDER_PLACE_WAITING = 2

cdef enum:
    SELF_TRADE_PREVENTION_CANCEL_TAKER = 0
    SELF_TRADE_PREVENTION_CANCEL_MAKER = 1
    SELF_TRADE_PREVENTION_CANCEL_BOTH = 2
    SELF_TRADE_PREVENTION_DECREMENT = 3

cdef enum:
    POSITION_MODE_ONE_WAY = 0
    POSITION_MODE_HEDGE = 1

cdef enum:
    LEG_NET = 0
    LEG_LONG = 1
    LEG_SHORT = 2

cdef enum:
    MARGIN_MODE_CROSS = 0
    MARGIN_MODE_ISOLATED = 1

cdef enum:
    LIQUIDATION_MODE_FULL = 0
    LIQUIDATION_MODE_FRACTION = 1
    LIQUIDATION_MODE_TARGET = 2

cdef enum:
    ADL_POLICY_QUEUE = 0
    ADL_POLICY_PRO_RATA_BY_EQUITY = 1
    ADL_POLICY_NET_EXPOSURE_AWARE = 2
    ADL_POLICY_MARK_PRICED = 3

cdef enum:
    CLOSING_SIZE_EQUITY_GONE = 1
    CLOSING_SIZE_FULL = 2
    CLOSING_SIZE_FRACTION = 3
    CLOSING_SIZE_TARGET = 4
    CLOSING_SIZE_NO_GAIN = 5
    CLOSING_SIZE_LEAST = 6
    CLOSING_SIZE_WHOLE = 7
    CLOSING_SIZE_REST = 8
    CLOSING_SIZE_MOST = 9

cdef enum:
    CLOSING_LIMIT_NO_TRADING = 0
    CLOSING_LIMIT_BANKRUPTCY = 1
    CLOSING_LIMIT_FUND = 2
    CLOSING_LIMIT_SLIPPAGE_CAP = 3
    CLOSING_LIMIT_PRICE_RANGE = 4

cdef enum:
    BUDGET_LIMIT_HOLDINGS = 0
    BUDGET_LIMIT_SYMBOL_CAP = 1
    BUDGET_LIMIT_DRAW_CAP = 2
    BUDGET_LIMIT_WINDOW_CAP = 3
    BUDGET_LIMIT_DEFICIT = 4

cdef enum:
    FILL_ROLE_MAKER = 0
    FILL_ROLE_TAKER = 1
    FILL_ROLE_LIQUIDATED = 2
    FILL_ROLE_DELEVERAGED = 3
    FILL_ROLE_ADL_COUNTERPARTY = 4
    FILL_ROLE_AUCTION = 5
    FILL_ROLE_SETTLEMENT = 6

cdef enum:
    CANCEL_REASON_REQUESTED = 1
    CANCEL_REASON_CANCEL_ALL = 2
    CANCEL_REASON_IMMEDIATE_OR_CANCEL = 3
    CANCEL_REASON_FILL_OR_KILL = 4
    CANCEL_REASON_SELF_TRADE = 5
    CANCEL_REASON_REDUCE_ONLY = 6
    CANCEL_REASON_INSUFFICIENT_MARGIN = 7
    CANCEL_REASON_LIQUIDATION = 8
    CANCEL_REASON_EXPIRED = 9
    CANCEL_REASON_COUNTDOWN = 10
    CANCEL_REASON_LINKED = 11
    CANCEL_REASON_POST_ONLY = 12
    CANCEL_REASON_PRICE_OUT_OF_BAND = 13
    CANCEL_REASON_VALUE_OUT_OF_RANGE = 14
    CANCEL_REASON_SYMBOL_SETTLED = 15
    CANCEL_REASON_POSITION_LIMIT = 16
    CANCEL_REASON_OPEN_INTEREST_LIMIT = 17
    CANCEL_REASON_MARK_HELD = 19

cdef enum:
    BALANCE_CAUSE_DEPOSIT = 1
    BALANCE_CAUSE_WITHDRAWAL = 2
    BALANCE_CAUSE_ISOLATED_MARGIN = 3
    BALANCE_CAUSE_MARGIN_MODE = 4
    BALANCE_CAUSE_FUNDING = 5
    BALANCE_CAUSE_FUND_COVER = 6
    BALANCE_CAUSE_AUTO_MARGIN = 7
    BALANCE_CAUSE_HAIRCUT = 8
    BALANCE_CAUSE_CONVERSION = 9

cdef enum:
    FUND_CAUSE_DEPOSIT = 1
    FUND_CAUSE_LIQUIDATION_FEE = 2
    FUND_CAUSE_LIQUIDATION_DEFICIT = 3
    FUND_CAUSE_DEFICIT_COVER = 4
    FUND_CAUSE_FUNDING_RESIDUE = 5

cdef enum:
    COLLATERAL_CAUSE_DEPOSIT = 1
    COLLATERAL_CAUSE_WITHDRAWAL = 2
    COLLATERAL_CAUSE_CONVERSION = 3

cdef enum:
    ORDER_FLAG_POST_ONLY = 1
    ORDER_FLAG_REDUCE_ONLY = 2
    ORDER_FLAG_SLIDE = 4
    ORDER_FLAG_CLOSE_POSITION = 8
    ORDER_FLAG_ICEBERG = 16
    ORDER_FLAG_LINKED = 32

cdef enum:
    REJECT_REASON_MALFORMED_COMMAND = 1
    REJECT_REASON_INVALID_ACCOUNT = 2
    REJECT_REASON_INVALID_SYMBOL = 3
    REJECT_REASON_UNKNOWN_SYMBOL = 4
    REJECT_REASON_SYMBOL_EXISTS = 5
    REJECT_REASON_INVALID_SIDE = 6
    REJECT_REASON_INVALID_ORDER_TYPE = 7
    REJECT_REASON_INVALID_TIME_IN_FORCE = 8
    REJECT_REASON_INVALID_SELF_TRADE_PREVENTION = 9
    REJECT_REASON_INVALID_FLAGS = 10
    REJECT_REASON_INVALID_MARGIN_MODE = 11
    REJECT_REASON_INVALID_PRICE = 12
    REJECT_REASON_INVALID_QUANTITY = 13
    REJECT_REASON_INVALID_TRIGGER = 14
    REJECT_REASON_INVALID_DISPLAY = 15
    REJECT_REASON_INVALID_EXPIRY = 16
    REJECT_REASON_INVALID_LIST = 17
    REJECT_REASON_INVALID_AMOUNT = 18
    REJECT_REASON_INVALID_MARGIN_RATE = 19
    REJECT_REASON_INVALID_SYMBOL_STATE = 20
    REJECT_REASON_INVALID_TIMEOUT = 21
    REJECT_REASON_INVALID_BRACKETS = 22
    REJECT_REASON_INVALID_POLICY = 23
    REJECT_REASON_VALUE_NOT_WHOLE = 24
    REJECT_REASON_UNKNOWN_ORDER = 25
    REJECT_REASON_SYMBOL_STATE_FORBIDS = 26
    REJECT_REASON_NOTHING_TO_AMEND = 27
    REJECT_REASON_NO_MARK_PRICE = 28
    REJECT_REASON_NO_LAST_PRICE = 29
    REJECT_REASON_DUPLICATE_CLIENT_ORDER_ID = 30
    REJECT_REASON_QUANTITY_BELOW_FILLED = 31
    REJECT_REASON_QUANTITY_BELOW_MINIMUM = 32
    REJECT_REASON_QUANTITY_ABOVE_MAXIMUM = 33
    REJECT_REASON_NOTIONAL_BELOW_MINIMUM = 34
    REJECT_REASON_PRICE_OUT_OF_BAND = 35
    REJECT_REASON_TOO_MANY_OPEN_ORDERS = 36
    REJECT_REASON_VALUE_OUT_OF_RANGE = 37
    REJECT_REASON_OUT_OF_CAPACITY = 38
    REJECT_REASON_POOL_LIQUIDATING = 39
    REJECT_REASON_REDUCE_ONLY_WOULD_OPEN = 40
    REJECT_REASON_TRIGGER_ALREADY_TRUE = 41
    REJECT_REASON_POST_ONLY_WOULD_TAKE = 42
    REJECT_REASON_NO_ISOLATED_POSITION = 43
    REJECT_REASON_LEVERAGE_TOO_HIGH = 44
    REJECT_REASON_WITHDRAWALS_STOPPED = 45
    REJECT_REASON_INSUFFICIENT_MARGIN = 46
    REJECT_REASON_POSITION_LIMIT = 47
    REJECT_REASON_OPEN_INTEREST_LIMIT = 48
    REJECT_REASON_INVALID_ADL_POLICY = 51
    REJECT_REASON_MARK_HELD = 53
    REJECT_REASON_MARK_IS_COMPOSITE = 54
    REJECT_REASON_UNKNOWN_PRICE_SOURCE = 55
    REJECT_REASON_INVALID_LEG = 56
    REJECT_REASON_INVALID_POSITION_MODE = 57
    REJECT_REASON_POSITION_MODE_IN_USE = 58
    REJECT_REASON_INVALID_ASSET = 60
    REJECT_REASON_UNKNOWN_ASSET = 61
    REJECT_REASON_INSUFFICIENT_COLLATERAL = 62
    REJECT_REASON_INVALID_WINDOW = 63
    REJECT_REASON_INVALID_SECOND_FUND = 64
    REJECT_REASON_FUNDING_IS_COMPUTED = 66

cdef packed struct wire_bracket:
    int64_t floor_atoms
    uint32_t maintenance_ppm
    uint32_t initial_ppm

# What an order is: all that follows the header in place_order, and each entry of place_orders.
cdef packed struct wire_order:
    uint32_t symbol
    uint8_t side
    uint8_t order_type
    uint8_t time_in_force
    uint8_t self_trade
    uint32_t flags
    int64_t price_ticks
    int64_t qty_lots
    uint64_t client_order_id
    int64_t display_lots
    int64_t expires_ns
    int64_t trigger_ticks
    int64_t callback_ticks
    uint32_t callback_ppm
    uint8_t trigger_by
    uint8_t leg

cdef packed struct wire_command_header:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns

cdef packed struct wire_event_header:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence

cdef packed struct wire_list_symbol:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t symbol
    char name[MAX_NAME_BYTES]
    int64_t tick_size_e12
    int64_t lot_size_e12
    int64_t atoms_per_tick_lot
    uint32_t initial_margin_ppm
    int32_t taker_fee_ppm
    int32_t maker_fee_ppm
    int32_t price_band_ppm
    uint32_t upnl_weight_ppm
    int64_t min_qty_lots
    int64_t max_qty_lots
    int64_t min_notional_atoms
    uint32_t max_open_orders
    int64_t exposure_limit_atoms
    uint32_t fund
    int32_t slippage_cap_ppm
    uint8_t liquidation_mode
    uint32_t liquidation_fee_ppm
    uint32_t liquidation_fraction_ppm
    uint32_t liquidation_buffer_ppm
    int64_t liquidation_min_notional_atoms
    int64_t liquidation_max_notional_atoms
    int64_t draw_cap_atoms
    uint8_t bracket_count
    wire_bracket brackets[MAX_BRACKETS]

cdef packed struct wire_deposit:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    int64_t amount_atoms

cdef packed struct wire_withdraw:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    int64_t amount_atoms

cdef packed struct wire_deposit_fund:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t fund
    int64_t amount_atoms

cdef packed struct wire_set_margin_mode:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t symbol
    uint8_t margin_mode
    uint32_t initial_margin_ppm
    uint8_t leg

cdef packed struct wire_change_isolated_margin:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t symbol
    int64_t change_atoms
    uint8_t leg

cdef packed struct wire_place_order:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t symbol
    uint8_t side
    uint8_t order_type
    uint8_t time_in_force
    uint8_t self_trade
    uint32_t flags
    int64_t price_ticks
    int64_t qty_lots
    uint64_t client_order_id
    int64_t display_lots
    int64_t expires_ns
    int64_t trigger_ticks
    int64_t callback_ticks
    uint32_t callback_ppm
    uint8_t trigger_by
    uint8_t leg

cdef packed struct wire_cancel_order:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint64_t order_id
    uint64_t client_order_id

cdef packed struct wire_cancel_all:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t symbol
    uint8_t side

cdef packed struct wire_amend_order:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint64_t order_id
    uint64_t client_order_id
    int64_t price_ticks
    int64_t qty_lots
    int64_t display_lots
    int64_t expires_ns
    int64_t trigger_ticks
    int64_t callback_ticks
    uint32_t callback_ppm

cdef packed struct wire_set_mark:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t symbol
    int64_t price_ticks

cdef packed struct wire_settle_funding:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t symbol
    int64_t payment_atoms_per_lot
    uint32_t payment_fraction_q32

cdef packed struct wire_advance_time:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns

# place_orders without its list, and with the longest.  A record ends with its last order: of
# orders there is what order_count says, so the struct is never copied as a whole.
cdef packed struct wire_place_orders_head:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint8_t list_mode
    uint8_t order_count

cdef packed struct wire_place_orders:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint8_t list_mode
    uint8_t order_count
    wire_order orders[MAX_LIST_ORDERS]

cdef packed struct wire_set_symbol_state:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t symbol
    uint8_t state
    int64_t price_ticks

cdef packed struct wire_set_countdown:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t timeout_ms

cdef packed struct wire_set_stp_group:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t member_account
    uint32_t stp_group

cdef packed struct wire_set_brackets:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t symbol
    uint32_t initial_margin_ppm
    uint8_t bracket_count
    wire_bracket brackets[MAX_BRACKETS]

cdef packed struct wire_set_risk_limits:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t symbol
    int64_t position_limit_atoms
    int64_t open_interest_limit_atoms
    int64_t oi_scaling_lower_atoms
    int64_t oi_scaling_upper_atoms

cdef packed struct wire_set_margin_warnings:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t first_level_ppm
    uint32_t second_level_ppm
    uint32_t third_level_ppm
    uint32_t fourth_level_ppm

cdef packed struct wire_set_auto_margin:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t symbol
    uint8_t leg
    uint8_t enabled

cdef packed struct wire_set_adl_policy:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t symbol
    uint8_t policy

cdef packed struct wire_set_fund_policy:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t symbol
    int64_t cap_atoms
    uint32_t second_fund
    int64_t second_cap_atoms
    int64_t window_ns
    int64_t window_cap_atoms

cdef packed struct wire_set_mark_policy:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t symbol
    uint8_t enabled
    uint8_t max_feeds
    int64_t max_age_ns
    int64_t ema_ns

cdef packed struct wire_set_price:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t symbol
    uint8_t source
    int64_t price_ticks

cdef packed struct wire_set_funding_policy:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t symbol
    uint8_t enabled
    int64_t interval_ns
    int64_t sample_ns
    int64_t interest_ppb
    int64_t clamp_ppb
    int64_t max_rate_ppb
    int64_t impact_notional_atoms

cdef packed struct wire_set_position_mode:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint8_t position_mode

cdef packed struct wire_list_asset:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t asset
    char name[MAX_NAME_BYTES]
    int64_t unit_parts
    uint32_t haircut_ppm

cdef packed struct wire_set_asset_price:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t asset
    int64_t price_atoms

cdef packed struct wire_change_collateral:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint32_t asset
    int64_t change_parts

cdef packed struct wire_set_multi_asset:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint8_t enabled

cdef packed struct wire_accepted:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint16_t command
    uint64_t order_id
    uint64_t client_order_id

cdef packed struct wire_rejected:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t timestamp_ns
    uint16_t command
    uint16_t reason
    uint64_t client_order_id

cdef packed struct wire_order_rested:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t side
    uint8_t leg
    uint32_t flags
    uint64_t order_id
    uint64_t client_order_id
    int64_t price_ticks
    int64_t open_lots

cdef packed struct wire_order_cancelled:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t side
    uint8_t place
    uint8_t reason
    uint64_t order_id
    uint64_t client_order_id
    int64_t price_ticks
    int64_t open_lots

cdef packed struct wire_order_amended:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t side
    uint8_t kept_priority
    uint64_t order_id
    uint64_t client_order_id
    int64_t previous_price_ticks
    int64_t previous_open_lots
    int64_t price_ticks
    int64_t open_lots

cdef packed struct wire_order_reduced:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t side
    uint8_t place
    uint64_t order_id
    uint64_t client_order_id
    int64_t price_ticks
    int64_t reduced_lots
    int64_t open_lots

cdef packed struct wire_fill:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t side
    uint8_t role
    uint8_t margin_mode
    uint8_t leg
    uint64_t trade_id
    uint64_t order_id
    uint64_t client_order_id
    int64_t price_ticks
    int64_t qty_lots
    int64_t value_atoms
    int64_t open_lots
    int64_t position_lots
    int64_t entry_value_atoms
    int64_t realised_atoms
    int64_t fee_atoms
    int64_t wallet_atoms
    int64_t margin_atoms

cdef packed struct wire_liquidation_settled:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t leg
    uint32_t fund
    uint64_t trade_id
    int64_t bankruptcy_value_atoms
    int64_t liquidation_fee_atoms
    int64_t fund_paid_atoms
    int64_t wallet_atoms
    int64_t margin_atoms

cdef packed struct wire_balance_changed:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t leg
    uint8_t cause
    int64_t wallet_change_atoms
    int64_t margin_change_atoms
    int64_t wallet_atoms
    int64_t margin_atoms

cdef packed struct wire_fund_changed:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t fund
    uint32_t symbol
    uint8_t cause
    int64_t change_atoms
    int64_t balance_atoms

cdef packed struct wire_symbol_listed:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    char name[MAX_NAME_BYTES]

cdef packed struct wire_mark_changed:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    int64_t price_ticks

cdef packed struct wire_funding_settled:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    int64_t payment_atoms_per_lot
    uint32_t payment_fraction_q32

cdef packed struct wire_margin_mode_changed:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t leg
    uint8_t margin_mode
    uint32_t initial_margin_ppm
    uint32_t own_rate_ppm

cdef packed struct wire_liquidation_started:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t leg
    int64_t equity_atoms
    int64_t maintenance_atoms

cdef packed struct wire_liquidation_order:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t side
    uint8_t leg
    uint64_t order_id
    int64_t price_ticks
    int64_t qty_lots
    int64_t mark_ticks
    int64_t bankruptcy_value_atoms
    int64_t equity_atoms
    int64_t maintenance_atoms

cdef packed struct wire_liquidation_ended:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t leg
    int64_t equity_atoms
    int64_t maintenance_atoms

cdef packed struct wire_deficit_uncovered:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t leg
    int64_t remaining_lots
    int64_t shortfall_atoms

cdef packed struct wire_order_waiting:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t side
    uint8_t leg
    uint8_t order_type
    uint8_t trigger_by
    uint32_t flags
    uint64_t order_id
    uint64_t client_order_id
    int64_t trigger_ticks
    int64_t price_ticks
    int64_t open_lots

cdef packed struct wire_order_triggered:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t side
    uint64_t order_id
    uint64_t client_order_id
    int64_t trigger_ticks
    int64_t watched_ticks
    int64_t open_lots

cdef packed struct wire_order_shown:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t side
    uint8_t refreshed
    uint64_t order_id
    uint64_t client_order_id
    int64_t price_ticks
    int64_t shown_lots

cdef packed struct wire_entry_accepted:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint8_t index
    uint64_t order_id
    uint64_t client_order_id

cdef packed struct wire_entry_rejected:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint8_t index
    uint16_t reason
    uint64_t client_order_id

cdef packed struct wire_symbol_state_changed:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t state

cdef packed struct wire_auction_indicated:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    int64_t price_ticks
    int64_t qty_lots
    int64_t imbalance_lots

cdef packed struct wire_auction_uncrossed:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    int64_t price_ticks
    int64_t qty_lots
    int64_t imbalance_lots

cdef packed struct wire_countdown_set:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    int64_t expires_ns

cdef packed struct wire_stp_group_set:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t stp_group

cdef packed struct wire_brackets_changed:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint32_t initial_margin_ppm
    uint8_t bracket_count
    wire_bracket brackets[MAX_BRACKETS]

cdef packed struct wire_risk_limits_changed:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    int64_t position_limit_atoms
    int64_t open_interest_limit_atoms
    int64_t oi_scaling_lower_atoms
    int64_t oi_scaling_upper_atoms

cdef packed struct wire_margin_warning:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t leg
    uint32_t level_ppm
    int64_t equity_atoms
    int64_t maintenance_atoms

cdef packed struct wire_margin_warnings_set:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t first_level_ppm
    uint32_t second_level_ppm
    uint32_t third_level_ppm
    uint32_t fourth_level_ppm

cdef packed struct wire_adl_policy_set:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t policy

cdef packed struct wire_adl_ranked:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t leg
    uint32_t deleveraged_account
    uint8_t deleveraged_leg
    uint8_t policy
    uint64_t trade_id
    uint32_t rank
    uint32_t candidates
    int64_t unrealised_atoms
    int64_t notional_atoms
    int64_t entry_value_atoms
    int64_t equity_atoms
    int64_t net_notional_atoms
    int64_t qty_lots
    int64_t haircut_atoms

cdef packed struct wire_fund_policy_set:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    int64_t cap_atoms
    uint32_t second_fund
    int64_t second_cap_atoms
    int64_t window_ns
    int64_t window_cap_atoms

cdef packed struct wire_deficit_charged:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    int64_t charged_atoms

cdef packed struct wire_mark_policy_set:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t enabled
    uint8_t max_feeds
    int64_t max_age_ns
    int64_t ema_ns

cdef packed struct wire_price_set:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t source
    int64_t price_ticks

cdef packed struct wire_mark_hold_changed:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t held
    uint8_t inputs

cdef packed struct wire_funding_policy_set:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t enabled
    int64_t interval_ns
    int64_t sample_ns
    int64_t interest_ppb
    int64_t clamp_ppb
    int64_t max_rate_ppb
    int64_t impact_notional_atoms
    int64_t next_funding_ns

cdef packed struct wire_funding_rate:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t final
    uint8_t clamped
    uint8_t capped
    uint32_t samples
    uint32_t counted
    int64_t sample_ppb
    int64_t premium_ppb
    int64_t interest_ppb
    int64_t cap_ppb
    int64_t rate_ppb
    int64_t next_funding_ns

cdef packed struct wire_position_mode_changed:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint8_t position_mode

cdef packed struct wire_liquidation_position:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t leg
    uint32_t pool_symbol
    uint8_t bracket
    int64_t position_lots
    int64_t entry_value_atoms
    int64_t mark_ticks
    int64_t notional_atoms
    int64_t unrealised_atoms
    int64_t maintenance_atoms
    int64_t share_atoms
    int64_t bankruptcy_value_atoms

cdef packed struct wire_liquidation_sized:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t leg
    uint32_t fund
    uint8_t mode
    uint8_t sized_by
    uint8_t limited_by
    int64_t position_lots
    int64_t equity_atoms
    int64_t maintenance_atoms
    int64_t missing_atoms
    int64_t gain_atoms_per_lot
    int64_t asked_lots
    int64_t least_lots
    int64_t most_lots
    int64_t qty_lots
    int64_t lot_value_atoms
    int64_t budget_atoms
    int64_t bankruptcy_ticks
    int64_t fund_ticks
    int64_t cap_ticks
    int64_t price_ticks
    uint8_t budget_by
    uint32_t charged

cdef packed struct wire_liquidation_shrunk:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t leg
    uint64_t order_id
    int64_t price_ticks
    int64_t offered_lots
    int64_t qty_lots
    int64_t budget_atoms
    int64_t shortfall_atoms
    uint8_t budget_by
    uint32_t charged

cdef packed struct wire_deficit_shared:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t leg
    uint32_t fund
    int64_t position_lots
    int64_t equity_atoms
    int64_t maintenance_atoms
    int64_t share_atoms
    int64_t budget_atoms
    int64_t paid_atoms
    int64_t bankruptcy_value_atoms
    uint8_t budget_by
    uint32_t charged

cdef packed struct wire_asset_listed:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t asset
    char name[MAX_NAME_BYTES]
    int64_t unit_parts
    uint32_t haircut_ppm

cdef packed struct wire_asset_price_changed:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t asset
    int64_t price_atoms

cdef packed struct wire_collateral_changed:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t asset
    uint8_t cause
    int64_t change_parts
    int64_t parts

cdef packed struct wire_multi_asset_set:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint8_t enabled

cdef packed struct wire_auto_margin_set:
    uint16_t type
    uint16_t size
    uint32_t account
    uint64_t sequence
    uint32_t symbol
    uint8_t leg
    uint8_t enabled
