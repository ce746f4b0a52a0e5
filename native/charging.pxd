"""Which symbol is charged where a cross pool is below zero, and what funds bear of closing a position (FUND-01, I13).

Theory of operation.  A pool gets below zero because a mark moved, or funding was paid: of one symbol.  What it is short
then is charged to that symbol, whatever is closed first, and also when its position is gone.  So much, and not more, is
noted in the account's entry on the symbol (`caused_atoms`) until it is paid or the pool has recovered.  What a closing
fill brings less than the mark is charged to the symbol that is closed.  An isolated pool has but one symbol.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from native.core cimport Account, Core, Position, Symbol, account_at, pool_of, position_at, symbol_of
from native.funds cimport fund_budget
from native.margin cimport PoolValue, pool_value, position_maintenance
from native.units cimport apart, imax, imin
from native.wire cimport *

# A symbol whose funds are asked, and what they may pay.
cdef struct Claim:
    Symbol* symbol
    int64_t atoms
    uint8_t limited_by

# What funds bear of a closing order: of what was below zero before, and of what a fill itself loses.
cdef struct Bearing:
    Claim claim
    int64_t own_atoms                  # of the symbol that is closed
    uint8_t own_by
    bint tied                          # what the claim takes is lost to the other

# ------------------------------------------------------------------------------------------- the notes

cdef inline Position* charged_entry(Core* core, Account* owner, uint32_t symbol) noexcept nogil:
    """The account's entry on a symbol that is charged: the one that has the note, or the first; NULL if there is none."""
    cdef uint32_t slot = owner.first_position
    cdef Position* found = NULL
    cdef Position* entry
    while slot:
        entry = position_at(core, slot)
        slot = entry.next
        if entry.symbol == symbol and (found == NULL or entry.caused_atoms):
            found = entry              # a leg that came later may stand before the one with the note
    return found

cdef inline int64_t all_charged(Core* core, Account* owner) noexcept nogil:
    cdef uint32_t slot = owner.first_position if owner.owing else 0
    cdef int64_t total = 0
    while slot:
        total += position_at(core, slot).caused_atoms
        slot = position_at(core, slot).next
    return total

cdef inline Position* largest_position(Core* core, Account* owner, bint unvisited) noexcept nogil:
    """LIQ-03: the cross position with the largest maintenance, ties to the smaller symbol, then leg; NULL: none.

    With `unvisited`, of those that this round of the liquidation has not closed yet.
    """
    cdef uint32_t slot = owner.first_position
    cdef Position* found = NULL
    cdef int64_t most = -1
    cdef int64_t need
    cdef Position* entry
    while slot:
        entry = position_at(core, slot)
        slot = entry.next
        if entry.position_lots != 0 and not entry.isolated and not (unvisited and entry.visited):
            need = position_maintenance(symbol_of(core, entry), entry)
            if need > most:
                found, most = entry, need
    return found

cdef inline int64_t recover(Position* entry, int64_t atoms) noexcept nogil:
    """So much less is charged to a symbol, as far as there is; what is left of it."""
    cdef int64_t less = imin(entry.caused_atoms, atoms)
    entry.caused_atoms -= less
    return atoms - less

cdef inline apart note_deficit(Core* core, uint32_t account, uint32_t mover) noexcept nogil:
    """Notes all that a cross pool is below zero: more of it with the symbol that moved, less of it there first.

    Where no symbol moved - an asset that counts fell - more is noted with the position that is closed first.
    """
    cdef Account* owner = account_at(core, account)
    cdef PoolValue value = pool_value(core, account, NULL)
    cdef int64_t missing = imax(0, -value.equity_atoms) if value.position_count else 0
    cdef int64_t less
    cdef uint32_t slot
    cdef Position* entry
    if missing == 0 and not owner.owing:
        return
    less = all_charged(core, owner) - missing
    entry = charged_entry(core, owner, mover) if mover else NULL
    if less < 0:
        if entry == NULL:
            entry = charged_entry(core, owner, largest_position(core, owner, False).symbol)
        entry.caused_atoms -= less
    elif less > 0:
        if entry != NULL:
            less = recover(entry, less)
        slot = owner.first_position
        while slot and less:
            less = recover(position_at(core, slot), less)
            slot = position_at(core, slot).next
    owner.owing = missing != 0

cdef inline void forget_charges(Core* core, Account* owner) noexcept nogil:
    """The pool's liquidation is over."""
    cdef uint32_t slot = owner.first_position if owner.owing else 0
    while slot:
        position_at(core, slot).caused_atoms = 0
        slot = position_at(core, slot).next
    owner.owing = False

cdef inline void settle_charge(Core* core, Position* position, Symbol* symbol, int64_t atoms) noexcept nogil:
    """Of what is charged to a symbol, so much is paid into the pool of a position."""
    if atoms and not position.isolated:
        charged_entry(core, account_at(core, position.account), symbol.symbol).caused_atoms -= atoms

# ------------------------------------------------------------------------------------------- who bears what

cdef inline Claim claim_of(Core* core, Position* position) noexcept nogil:
    """Of the symbols that are charged the one whose funds can pay most of it, of equals the smallest."""
    cdef Account* owner = account_at(core, position.account)
    cdef uint32_t slot = owner.first_position if owner.owing and not position.isolated else 0
    cdef Claim best, found
    cdef Position* entry
    best.symbol = NULL
    while slot:
        entry = position_at(core, slot)
        slot = entry.next
        if entry.caused_atoms == 0:
            continue
        found.symbol = symbol_of(core, entry)
        found.atoms = fund_budget(core, found.symbol, &owner.pool, &found.limited_by)
        if entry.caused_atoms < found.atoms:
            found.atoms, found.limited_by = entry.caused_atoms, BUDGET_LIMIT_DEFICIT
        if best.symbol == NULL or found.atoms > best.atoms:
            best = found
    if best.symbol == NULL:
        best.symbol = symbol_of(core, position)
        best.atoms = fund_budget(core, best.symbol, pool_of(core, position), &best.limited_by)
    return best

cdef inline bint has_second(Symbol* symbol) noexcept nogil:
    """Whether a second fund stands behind the symbol's own."""
    return symbol.drawing != NULL and symbol.drawing.second_cap_atoms != 0

cdef inline bint pays_for(Symbol* symbol, uint32_t fund) noexcept nogil:
    """Whether a fund is one of a symbol's."""
    return fund == symbol.fund or (has_second(symbol) and fund == symbol.drawing.second_fund)

cdef inline bint share_a_fund(Symbol* a, Symbol* b) noexcept nogil:
    return pays_for(a, b.fund) or (has_second(b) and pays_for(a, b.drawing.second_fund))

cdef inline Bearing bearing_of(Core* core, Symbol* symbol, Position* position) noexcept nogil:
    """Who bears what of closing a position as things stand."""
    cdef Bearing bearing
    if not position.isolated:
        note_deficit(core, position.account, 0)
    bearing.claim = claim_of(core, position)
    bearing.own_atoms = fund_budget(core, symbol, pool_of(core, position), &bearing.own_by)
    bearing.tied = bearing.claim.symbol == symbol or symbol.draw_cap_atoms >= 0 \
        or share_a_fund(bearing.claim.symbol, symbol)
    return bearing
