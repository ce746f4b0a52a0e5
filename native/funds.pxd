"""Insurance funds: how much they may pay for a symbol, and who of them pays first (FUND-01).

Nobody else asks how much a fund may pay: limits of closing orders, their shrinking and the deficit stage all ask
`fund_budget`, and every payment goes through `funds_pay`.  Most symbols have no policy: then their own fund pays, and
nothing is counted.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from native.core cimport Core, Drawing, PoolState, Symbol, symbol_at
from native.events cimport event_accepted, event_new
from native.ledger cimport fund_balance, fund_move
from native.units cimport div_ceil, imax, imin
from native.wire cimport *

# What the own fund of a symbol and its second one may pay.
cdef struct Rooms:
    int64_t held_atoms                 # both together
    int64_t own_atoms
    int64_t second_atoms

cdef inline Rooms rooms_of(Core* core, Symbol* symbol) noexcept nogil:
    """What the funds hold, and what their caps leave of it."""
    cdef Drawing* drawing = symbol.drawing
    cdef Rooms rooms
    rooms.own_atoms = rooms.held_atoms = fund_balance(core, symbol.fund)
    rooms.second_atoms = 0
    if drawing == NULL:
        return rooms
    if drawing.second_cap_atoms != 0:
        rooms.second_atoms = fund_balance(core, drawing.second_fund)
        rooms.held_atoms += rooms.second_atoms
    if drawing.cap_atoms >= 0:
        rooms.own_atoms = imin(rooms.own_atoms, drawing.cap_atoms - drawing.own_paid_atoms)
    if drawing.second_cap_atoms >= 0:
        rooms.second_atoms = imin(rooms.second_atoms, drawing.second_cap_atoms - drawing.second_paid_atoms)
    return rooms

# ------------------------------------------------------------------------------------------- the window

cdef inline int64_t part_at(Drawing* drawing, int64_t now_ns) noexcept nogil:
    """The number of the part of the window that a time is in: parts stand still, and the window moves over them."""
    return now_ns // <int64_t>div_ceil(drawing.window_ns, WINDOW_PARTS)

cdef inline int64_t* part_of(Drawing* drawing, int64_t part) noexcept nogil:
    """Where the payments of a part stand: a ring of the last one and the sixteen before it."""
    return &drawing.parts[part % (WINDOW_PARTS + 1)]

cdef inline int64_t paid_in_window(Drawing* drawing, int64_t now_ns) noexcept nogil:
    """What was paid in the part that is now and the sixteen before it."""
    cdef int64_t first = imax(0, part_at(drawing, now_ns) - WINDOW_PARTS)
    cdef int64_t part
    cdef int64_t paid = 0
    for part in range(imax(first, drawing.last_part - WINDOW_PARTS), drawing.last_part + 1):
        paid += part_of(drawing, part)[0]
    return paid

cdef inline void note_payment(Drawing* drawing, int64_t own_atoms, int64_t second_atoms, int64_t now_ns) noexcept nogil:
    """Counts a payment; parts that the window has left are emptied on the way."""
    cdef int64_t now, part
    drawing.own_paid_atoms += own_atoms
    drawing.second_paid_atoms += second_atoms
    if drawing.window_ns == 0:
        return
    now = part_at(drawing, now_ns)
    for part in range(imax(drawing.last_part + 1, now - WINDOW_PARTS), now + 1):
        part_of(drawing, part)[0] = 0
    drawing.last_part = now
    part_of(drawing, now)[0] += own_atoms + second_atoms

# ------------------------------------------------------------------------------------------- the budget

cdef inline int64_t fund_budget(Core* core, Symbol* symbol, PoolState* pool, uint8_t* limited_by) noexcept nogil:
    """LIQ-06: what the funds of a symbol may still pay for a pool in this liquidation, and what bounds it."""
    cdef Rooms rooms = rooms_of(core, symbol)
    cdef int64_t budget = rooms.held_atoms
    cdef int64_t room = rooms.own_atoms + rooms.second_atoms
    limited_by[0] = BUDGET_LIMIT_HOLDINGS
    if room < budget:
        budget, limited_by[0] = room, BUDGET_LIMIT_SYMBOL_CAP
    if symbol.draw_cap_atoms >= 0:
        room = imax(0, symbol.draw_cap_atoms - pool.drawn_atoms)
        if room < budget:
            budget, limited_by[0] = room, BUDGET_LIMIT_DRAW_CAP
    if symbol.drawing != NULL and symbol.drawing.window_ns != 0:
        room = imax(0, symbol.drawing.window_cap_atoms - paid_in_window(symbol.drawing, core.timestamp_ns))
        if room < budget:
            budget, limited_by[0] = room, BUDGET_LIMIT_WINDOW_CAP
    return budget

cdef inline void funds_pay(Core* core, Symbol* symbol, PoolState* pool, int cause, int64_t amount_atoms) noexcept nogil:
    """FUND-01: the symbol's own fund pays first, the second one what is left; the pool has drawn that much more."""
    cdef int64_t own = imin(amount_atoms, rooms_of(core, symbol).own_atoms)
    pool.drawn_atoms += amount_atoms
    if symbol.drawing != NULL:
        note_payment(symbol.drawing, own, amount_atoms - own, core.timestamp_ns)
    fund_move(core, symbol.fund, symbol.symbol, cause, -own)
    if amount_atoms != own:
        fund_move(core, symbol.drawing.second_fund, symbol.symbol, cause, own - amount_atoms)

# ------------------------------------------------------------------------------------------ the command

cdef inline bint is_cap(int64_t atoms) noexcept nogil:
    """A bound; -1: none."""
    return -1 <= atoms <= MAX_AMOUNT_ATOMS

cdef inline int check_fund_policy(Core* core, wire_set_fund_policy* c) noexcept nogil:
    cdef Symbol* symbol = symbol_at(core, c.symbol)
    if symbol == NULL:
        return REJECT_REASON_UNKNOWN_SYMBOL
    if not (is_cap(c.cap_atoms) and is_cap(c.second_cap_atoms) and is_cap(c.window_cap_atoms)):
        return REJECT_REASON_INVALID_POLICY
    if not (0 <= c.window_ns <= MAX_WINDOW_NS) or (c.window_ns != 0) != (c.window_cap_atoms >= 0):
        return REJECT_REASON_INVALID_WINDOW
    if c.second_fund == symbol.fund if c.second_cap_atoms != 0 else c.second_fund != 0:
        return REJECT_REASON_INVALID_SECOND_FUND
    return 0

cdef inline Drawing* drawing_new(Symbol* symbol) noexcept nogil:
    """A policy of which nothing was paid yet; NULL: there is no memory."""
    cdef Drawing* drawing = <Drawing*>calloc(1, sizeof(Drawing))
    if drawing != NULL:
        free(symbol.drawing)
        symbol.drawing = drawing
    return drawing

cdef inline bint apply_fund_policy(Symbol* symbol, wire_set_fund_policy* c) noexcept nogil:
    """The caps from now on; without any nothing is counted.  False: there is no memory."""
    cdef Drawing* drawing
    if c.cap_atoms == -1 and c.second_cap_atoms == 0 and c.window_ns == 0:
        free(symbol.drawing)
        symbol.drawing = NULL
        return True
    drawing = drawing_new(symbol)
    if drawing == NULL:
        return False
    drawing.cap_atoms = c.cap_atoms
    drawing.second_fund = c.second_fund
    drawing.second_cap_atoms = c.second_cap_atoms
    drawing.window_ns = c.window_ns
    drawing.window_cap_atoms = c.window_cap_atoms
    return True

cdef inline int set_fund_policy(Core* core, wire_set_fund_policy* c) noexcept nogil:
    """FUND-01: other caps from now on, whatever the symbol's state; what was paid before does not count."""
    cdef wire_fund_policy_set* e
    cdef int reason = check_fund_policy(core, c)
    if reason:
        return reason
    if not apply_fund_policy(symbol_at(core, c.symbol), c):
        return REJECT_REASON_OUT_OF_CAPACITY
    event_accepted(core, 0, COMMAND_SET_FUND_POLICY, 0, 0)
    e = <wire_fund_policy_set*>event_new(core, EVENT_FUND_POLICY_SET, sizeof(wire_fund_policy_set), 0)
    e.symbol = c.symbol
    e.cap_atoms = c.cap_atoms
    e.second_fund = c.second_fund
    e.second_cap_atoms = c.second_cap_atoms
    e.window_ns = c.window_ns
    e.window_cap_atoms = c.window_cap_atoms
    return 0
