"""What the operator changes of a symbol while it trades: its brackets and rates (MARGIN-03, MARGIN-04), its caps (MARGIN-11).

Each command function returns 0 when it was carried out, or the reject reason, in which case nothing has changed.
"""

from libc.stdint cimport int64_t, uint8_t
from native.core cimport Core, Symbol, symbol_at
from native.credit cimport credit_forget_all
from native.events cimport event_accepted, event_new
from native.listing cimport brackets_in_force, read_brackets, within
from native.marks cimport check_holders
from native.wire cimport *

cdef inline int check_brackets(Core* core, wire_set_brackets* c, Symbol* draft) noexcept nogil:
    """The checks of a listing, of brackets and rate; `draft` gets the new table."""
    cdef Symbol* symbol = symbol_at(core, c.symbol)
    if symbol == NULL:
        return REJECT_REASON_UNKNOWN_SYMBOL
    if not read_brackets(c.brackets, c.bracket_count, draft):
        return REJECT_REASON_INVALID_BRACKETS
    if not within(c.initial_margin_ppm, 1, PPM):
        return REJECT_REASON_INVALID_POLICY
    if symbol.state == SYMBOL_STATE_SETTLED:
        return REJECT_REASON_SYMBOL_STATE_FORBIDS
    if c.initial_margin_ppm < draft.brackets[0].initial_ppm:
        return REJECT_REASON_LEVERAGE_TOO_HIGH
    return 0

cdef inline int set_brackets(Core* core, wire_set_brackets* c) noexcept nogil:
    """MARGIN-03: another table at once, for what is open as for what comes; no money moves by it."""
    cdef Symbol draft
    cdef Symbol* symbol
    cdef int reason = check_brackets(core, c, &draft)
    cdef wire_brackets_changed* e
    if reason:
        return reason
    symbol = symbol_at(core, c.symbol)
    read_brackets(c.brackets, c.bracket_count, symbol)
    symbol.initial_margin_ppm = c.initial_margin_ppm
    credit_forget_all(core)            # measured with other rates
    event_accepted(core, 0, COMMAND_SET_BRACKETS, 0, 0)
    e = <wire_brackets_changed*>event_new(core, EVENT_BRACKETS_CHANGED, sizeof(wire_brackets_changed), 0)
    e.symbol = c.symbol
    e.initial_margin_ppm = c.initial_margin_ppm
    e.bracket_count = c.bracket_count
    brackets_in_force(symbol, e.brackets)
    check_holders(core, symbol)
    return 0

# ------------------------------------------------------------------------------------------------- caps

cdef inline bint is_limit(int64_t atoms) noexcept nogil:
    """A bound of MARGIN-11; -1: none."""
    return within(atoms, -1, MAX_EXPOSURE_ATOMS)

cdef inline bint is_scale(int64_t lower_atoms, int64_t upper_atoms) noexcept nogil:
    """Where initial margin rises with open interest; both -1: nowhere."""
    if lower_atoms == -1 and upper_atoms == -1:
        return True
    return 0 <= lower_atoms < upper_atoms <= MAX_EXPOSURE_ATOMS

cdef inline void apply_limits(Symbol* symbol, int64_t position_atoms, int64_t interest_atoms,
                              int64_t lower_atoms, int64_t upper_atoms) noexcept nogil:
    symbol.position_limit_atoms = position_atoms
    symbol.open_interest_limit_atoms = interest_atoms
    symbol.oi_scaling_lower_atoms = lower_atoms
    symbol.oi_scaling_upper_atoms = upper_atoms
    symbol.capped = position_atoms >= 0 or interest_atoms >= 0

cdef inline int set_risk_limits(Core* core, wire_set_risk_limits* c) noexcept nogil:
    """MARGIN-11: other caps, for what comes; what is open stays."""
    cdef Symbol* symbol = symbol_at(core, c.symbol)
    cdef wire_risk_limits_changed* e
    if symbol == NULL:
        return REJECT_REASON_UNKNOWN_SYMBOL
    if not (is_limit(c.position_limit_atoms) and is_limit(c.open_interest_limit_atoms)
            and is_scale(c.oi_scaling_lower_atoms, c.oi_scaling_upper_atoms)):
        return REJECT_REASON_INVALID_POLICY
    if symbol.state == SYMBOL_STATE_SETTLED:
        return REJECT_REASON_SYMBOL_STATE_FORBIDS
    apply_limits(symbol, c.position_limit_atoms, c.open_interest_limit_atoms,
                 c.oi_scaling_lower_atoms, c.oi_scaling_upper_atoms)
    credit_forget_all(core)            # measured with other rates
    event_accepted(core, 0, COMMAND_SET_RISK_LIMITS, 0, 0)
    e = <wire_risk_limits_changed*>event_new(core, EVENT_RISK_LIMITS_CHANGED, sizeof(wire_risk_limits_changed), 0)
    e.symbol = c.symbol
    e.position_limit_atoms = c.position_limit_atoms
    e.open_interest_limit_atoms = c.open_interest_limit_atoms
    e.oi_scaling_lower_atoms = c.oi_scaling_lower_atoms
    e.oi_scaling_upper_atoms = c.oi_scaling_upper_atoms
    return 0
