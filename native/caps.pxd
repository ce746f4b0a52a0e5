"""Caps on what may be held of a symbol, resting orders counted (MARGIN-11).

A cap is asked when an order is about to act, and costs nothing where there is none.  What it looks at only falls by fills: the
lots that a fill adds to a position it takes from the orders of that side.  So what was admitted cannot pass the cap by trading,
whoever trades first.  In an auction, where resting orders meet at a mark that may be another than theirs, open interest is
looked at once more, fill by fill.
"""

from libc.stdint cimport int64_t
from native.book cimport crosses
from native.core cimport Order, Position, Symbol, reducible_lots, sign_of
from native.units cimport apart_int, apart_int64, imax, imin
from native.wire cimport *

cdef enum:                             # which cap an order would pass
    CAP_NONE = 0
    CAP_POSITION = 1
    CAP_OPEN_INTEREST = 2

cdef inline apart_int over_cap(
    Symbol* symbol, Position* position, int side, int64_t lots, int64_t price_ticks, bint reduce_only, Order* without
) noexcept nogil:
    """The cap that an order of lots would pass, in place of the order `without` (NULL: none).  UNITS-01 bounds the products."""
    cdef int64_t own = position.order_lots[side] + lots
    cdef int64_t all_lots = symbol.resting_lots[side] - symbol.reduce_only_lots[side] + lots
    cdef int64_t lot_atoms = symbol.mark_ticks * symbol.m
    if reduce_only:
        return CAP_NONE
    if without != NULL:
        if lots <= without.open_lots and not crosses(&symbol.sides[1 - side], price_ticks):
            return CAP_NONE            # no more than before, and it only waits
        own -= without.open_lots
        all_lots -= without.open_lots
    if own <= reducible_lots(position, side):
        return CAP_NONE                # it only reduces, whichever of them trades first
    own += imax(0, position.position_lots * sign_of(side))
    if symbol.position_limit_atoms >= 0 and own * lot_atoms > symbol.position_limit_atoms:
        return CAP_POSITION
    if symbol.open_interest_limit_atoms >= 0 \
            and (symbol.gross_lots // 2 + all_lots) * lot_atoms > symbol.open_interest_limit_atoms:
        return CAP_OPEN_INTEREST
    return CAP_NONE

cdef inline apart_int64 interest_lots(Symbol* symbol, Position* buyer, Position* seller, int64_t lots) noexcept nogil:
    """How many of these lots a buyer and a seller may trade without raising open interest above its cap.

    What one of them closes raises nothing, whatever the other does; beyond that each lot raises it by one.
    """
    cdef int64_t room = symbol.open_interest_limit_atoms // (symbol.mark_ticks * symbol.m) - symbol.gross_lots // 2
    return imin(lots, reducible_lots(buyer, SIDE_BUY) + reducible_lots(seller, SIDE_SELL) + imax(0, room))
