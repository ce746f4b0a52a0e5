"""Listing a symbol: every number of its policy is checked before it can be traded (UNITS-01, MARGIN-03)."""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy, memset
from native.core cimport Core, Symbol, symbol_at
from native.events cimport event_accepted, event_new
from native.units cimport i128, wide
from native.wire cimport *

cdef inline bint within(int64_t value, int64_t low, int64_t high) noexcept nogil:
    return low <= value <= high

cdef inline bint read_brackets(wire_bracket* rows, int count, Symbol* symbol) noexcept nogil:
    """Fills in the bracket table with its deductions; False if it is not one (MARGIN-03)."""
    cdef int k
    cdef int64_t floor, rate, initial
    cdef i128 step
    if not within(count, 1, MAX_BRACKETS):
        return False
    symbol.bracket_count = count
    for k in range(symbol.bracket_count):
        floor = rows[k].floor_atoms
        rate = rows[k].maintenance_ppm
        initial = rows[k].initial_ppm if rows[k].initial_ppm else rate
        if not (within(rate, 1, PPM) and within(initial, rate, PPM)):
            return False
        symbol.brackets[k].floor_atoms = floor
        symbol.brackets[k].maintenance_ppm = rate
        symbol.brackets[k].initial_ppm = initial
        symbol.brackets[k].deduction_atoms = 0
        if k == 0:
            if floor != 0:
                return False
            continue
        if floor <= symbol.brackets[k - 1].floor_atoms or rate < symbol.brackets[k - 1].maintenance_ppm \
                or initial < symbol.brackets[k - 1].initial_ppm:
            return False
        step = wide(floor, rate - symbol.brackets[k - 1].maintenance_ppm)
        if step % PPM != 0:
            return False
        symbol.brackets[k].deduction_atoms = symbol.brackets[k - 1].deduction_atoms + <int64_t>(step // PPM)
    return True

cdef inline void brackets_in_force(Symbol* symbol, wire_bracket* rows) noexcept nogil:
    """The bracket table as records show it: with the initial rates that hold, and zeros behind its end."""
    cdef int k
    memset(rows, 0, MAX_BRACKETS * sizeof(wire_bracket))
    for k in range(symbol.bracket_count):
        rows[k].floor_atoms = symbol.brackets[k].floor_atoms
        rows[k].maintenance_ppm = <uint32_t>symbol.brackets[k].maintenance_ppm
        rows[k].initial_ppm = <uint32_t>symbol.brackets[k].initial_ppm

cdef inline bint valid_policy(wire_list_symbol* c) noexcept nogil:
    return (c.tick_size_e12 >= 1 and c.lot_size_e12 >= 1 and within(c.atoms_per_tick_lot, 1, 1000000000000)
            and within(c.initial_margin_ppm, 1, PPM)
            and within(c.taker_fee_ppm, 0, 100000) and within(c.maker_fee_ppm, -100000, 100000)
            and <int64_t>c.taker_fee_ppm + c.maker_fee_ppm >= 0
            and within(c.price_band_ppm, -1, 999999) and within(c.slippage_cap_ppm, -1, 999999)
            and within(c.upnl_weight_ppm, 0, PPM)
            and 1 <= c.min_qty_lots <= c.max_qty_lots <= MAX_QTY_LOTS
            and c.min_notional_atoms >= 0 and c.max_open_orders >= 1
            and within(c.exposure_limit_atoms, 1, MAX_EXPOSURE_ATOMS)
            and c.liquidation_mode <= LIQUIDATION_MODE_TARGET
            and within(c.liquidation_fee_ppm, 0, 100000)
            and within(c.liquidation_fraction_ppm, 1, PPM) and within(c.liquidation_buffer_ppm, 0, PPM)
            and c.liquidation_min_notional_atoms >= 0
            and c.liquidation_max_notional_atoms >= -1 and c.liquidation_max_notional_atoms != 0
            and c.draw_cap_atoms >= -1)

cdef inline int check_listing(Core* core, wire_list_symbol* c, Symbol* symbol) noexcept nogil:
    if not within(c.symbol, 1, MAX_SYMBOL) or c.name[0] == 0:
        return REJECT_REASON_INVALID_SYMBOL
    if symbol_at(core, c.symbol) != NULL:
        return REJECT_REASON_SYMBOL_EXISTS
    if not read_brackets(c.brackets, c.bracket_count, symbol):
        return REJECT_REASON_INVALID_BRACKETS
    if not valid_policy(c):
        return REJECT_REASON_INVALID_POLICY
    if wide(c.tick_size_e12, c.lot_size_e12) != wide(c.atoms_per_tick_lot, 10000000000000000):
        return REJECT_REASON_VALUE_NOT_WHOLE
    if c.exposure_limit_atoms > MAX_EXPOSURE_ATOMS - core.exposure_limits_atoms:
        return REJECT_REASON_VALUE_OUT_OF_RANGE
    if c.initial_margin_ppm < symbol.brackets[0].initial_ppm:
        return REJECT_REASON_LEVERAGE_TOO_HIGH
    return 0

cdef inline void read_policy(wire_list_symbol* c, Symbol* symbol) noexcept nogil:
    symbol.listing = c[0]
    symbol.symbol = c.symbol
    symbol.m = c.atoms_per_tick_lot
    symbol.sides[0].sign = 1
    symbol.sides[1].sign = -1
    symbol.exposure_limit_atoms = c.exposure_limit_atoms
    symbol.initial_margin_ppm = c.initial_margin_ppm
    symbol.taker_fee_ppm = c.taker_fee_ppm
    symbol.maker_fee_ppm = c.maker_fee_ppm
    symbol.upnl_weight_ppm = c.upnl_weight_ppm
    symbol.price_band_ppm = c.price_band_ppm
    symbol.min_qty_lots = c.min_qty_lots
    symbol.max_qty_lots = c.max_qty_lots
    symbol.min_notional_atoms = c.min_notional_atoms
    symbol.max_open_orders = c.max_open_orders
    symbol.slippage_cap_ppm = c.slippage_cap_ppm
    symbol.fund = c.fund
    symbol.liquidation_mode = c.liquidation_mode
    symbol.liquidation_fee_ppm = c.liquidation_fee_ppm
    symbol.liquidation_fraction_ppm = c.liquidation_fraction_ppm
    symbol.liquidation_buffer_ppm = c.liquidation_buffer_ppm
    symbol.liquidation_min_notional_atoms = c.liquidation_min_notional_atoms
    symbol.liquidation_max_notional_atoms = c.liquidation_max_notional_atoms
    symbol.draw_cap_atoms = c.draw_cap_atoms
    symbol.position_limit_atoms = symbol.open_interest_limit_atoms = -1
    symbol.oi_scaling_lower_atoms = symbol.oi_scaling_upper_atoms = -1

cdef inline void adopt_symbol(Core* core, Symbol* symbol) noexcept nogil:
    core.symbols[symbol.symbol] = symbol
    core.exposure_limits_atoms += symbol.exposure_limit_atoms
    if symbol.symbol > core.highest_symbol:
        core.highest_symbol = symbol.symbol

cdef inline int list_symbol(Core* core, wire_list_symbol* c) noexcept nogil:
    cdef Symbol draft
    cdef Symbol* symbol
    cdef int reason = check_listing(core, c, &draft)
    cdef wire_symbol_listed* e
    if reason:
        return reason
    symbol = <Symbol*>calloc(1, sizeof(Symbol))
    if symbol == NULL:
        return REJECT_REASON_OUT_OF_CAPACITY
    read_brackets(c.brackets, c.bracket_count, symbol)
    read_policy(c, symbol)
    adopt_symbol(core, symbol)
    event_accepted(core, 0, COMMAND_LIST_SYMBOL, 0, 0)
    e = <wire_symbol_listed*>event_new(core, EVENT_SYMBOL_LISTED, sizeof(wire_symbol_listed), 0)
    e.symbol = c.symbol
    memcpy(e.name, c.name, MAX_NAME_BYTES)
    return 0
