"""Credit: what an account surely has available, kept from command to command so that it need not be summed (MARGIN-06).

Theory of operation.  Let a *measure* of an account be

    wallet + sum over entries of [ min(0, uPnL) if cross ] - ceil(T x rate) - L,

with T the notional of the position and of all its resting orders at the worse of limit and mark, on both sides, nothing
offsetting anything; L what those orders would lose against the mark; rate not below the one that T calls for.  It is
never above what is available: MARGIN-05 takes the worse side where this adds both, and frees lots where this does not.
`Account.credit_atoms` is kept at or below the measure by following what moves it:

- *An order is admitted*: T grows by lots x max(limit, mark), L by its loss.  As ceil(a + b) <= ceil(a) + ceil(b), the
  measure falls by at most `order_charge`, as long as T stays inside the bracket that the rate is from (`room_atoms`).
- *It trades or rests*: T and L counted it already, and lots x mark of a position are no more than the order was counted
  with.  Wallet + uPnL change by (mark - price) x lots, a loss that L held; realising part of a profit may round by one
  atom (share_ceil).  So a fill costs its fee and one atom; a reduce-only order, which T and L leave out, its loss too.
- *It leaves*: T and L fall by what it counted; the charge is given back, rounded down.
- *Anything else* (a mark, funding, a mode) makes it unknown: `Core.credit_epoch` moves on for all accounts, or the
  account's own epoch is forgotten.  It stays unknown while the cross pool waits for liquidation or is liquidated.

An account with an entry on a symbol whose rates rise with open interest (MARGIN-11) has no credit: any fill of anybody could
take it.  Unknown or too small credit is measured anew, and where that does not decide either, the exact sum does.  Credit >= 0
says more than that an order is admitted.  Initial margin is not below maintenance (listing.pxd), and equity is not
below wallet + sum of min(0, uPnL); so a cross pool with credit is not below maintenance, and can pay a fee up to it.

A build with EXCHANGE_CHECKED (the debug build) compares credit with the exact sum at every use.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from native.core cimport Account, Core, Position, Symbol, account_at, ensure, position_at, sign_of, symbol_of
from native.margin cimport available_with, base_rate, bracket_of, is_scaled, unrealised
from native.units cimport apart_int, iabs, imax, imin, ppm_ceil, rarely, u128, usually, wide
from native.wire cimport MAX_EXPOSURE_ATOMS, ORDER_FLAG_REDUCE_ONLY, PPM

cdef extern from *:
    """
    #ifdef EXCHANGE_CHECKED
    #define CREDIT_CHECKED 1
    #else
    #define CREDIT_CHECKED 0
    #endif
    #define CREDIT_NO_EDGE ((int64_t)1 << 61)
    """
    const bint CREDIT_CHECKED
    const int64_t NO_EDGE "CREDIT_NO_EDGE"   # room where no bracket asks for more than the account's own rate

cdef enum:
    FAULT_CREDIT = 6

# --------------------------------------------------------------------------------------- what is known

cdef inline void credit_forget(Account* owner) noexcept nogil:
    """Something changed that credit does not follow."""
    owner.credit_epoch = 0

cdef inline void credit_forget_all(Core* core) noexcept nogil:
    core.credit_epoch += 1

cdef inline void credit_verify(Core* core, Account* owner) noexcept nogil:
    """In a checked build: stops the engine if what is known is not true."""
    if CREDIT_CHECKED:
        ensure(core, owner.credit_atoms <= available_with(
            core, <uint32_t>(owner - <Account*>core.accounts), NULL, False), FAULT_CREDIT)

cdef inline bint credit_known(Core* core, Account* owner) noexcept nogil:
    return owner.credit_epoch == core.credit_epoch

cdef inline bint credit_has(Core* core, Account* owner, int64_t atoms) noexcept nogil:
    """Whether it is known that so much is available."""
    if not (credit_known(core, owner) and owner.credit_atoms >= atoms):
        return False
    credit_verify(core, owner)
    return True

cdef inline bint credit_pays(Core* core, Account* owner, int64_t fee_atoms) noexcept nogil:
    """A fill of an order that was counted: takes its fee and the atom of rounding, if so much is known to be available."""
    if not credit_has(core, owner, fee_atoms + 1):
        return False
    owner.credit_atoms -= 1            # and the fee as it is paid
    return True

# ---------------------------------------------------------------------------------------------- measuring

cdef inline int64_t entry_measure(Symbol* symbol, Position* position, int64_t extra_atoms) noexcept nogil:
    """Not less than ceil(T x rate) + L of an entry, with T grown by `extra_atoms`; notes its rate, and the room it leaves.

    The orders are not walked: each of a side stands no further from the mark than the best of them.
    """
    cdef int64_t mark = symbol.mark_ticks
    cdef int64_t above = imax(0, position.own_best_ticks[0] - mark) if position.order_lots[0] else 0
    cdef int64_t below = imax(0, mark - position.own_best_ticks[1])
    cdef int64_t loss, total, rate
    cdef int k
    if wide(above, position.order_lots[0]) * symbol.m > MAX_EXPOSURE_ATOMS:
        return MAX_EXPOSURE_ATOMS          # one order far above the mark says too little of the others
    loss = above * position.order_lots[0] + below * position.order_lots[1]
    total = extra_atoms + symbol.m * (
        (iabs(position.position_lots) + position.order_lots[0]) * mark + position.order_value[1] + loss)
    k = bracket_of(symbol, total)
    rate = imax(base_rate(symbol, position), symbol.brackets[k].initial_ppm)
    while k + 1 < symbol.bracket_count and symbol.brackets[k + 1].initial_ppm <= rate:
        k += 1
    position.room_atoms = symbol.brackets[k + 1].floor_atoms - total if k + 1 < symbol.bracket_count else NO_EDGE
    position.charge_q31 = <uint32_t>(((rate << 31) + PPM - 1) // PPM)
    return ppm_ceil(total, rate) + loss * symbol.m

cdef inline apart_int credit_measure(
    Core* core, uint32_t account, Position* changed, int64_t extra_atoms, int64_t loss_atoms
) noexcept nogil:
    """Measures an account, with an order on `changed` (NULL: none) counted in; False, and unknown, if it falls below 0.

    `changed` need not be among the account's entries yet.
    """
    cdef Account* owner = account_at(core, account)
    cdef int64_t spare = owner.wallet_atoms + owner.collateral_atoms - loss_atoms
    cdef uint32_t slot = owner.first_position
    cdef Position* position
    cdef Symbol* symbol
    cdef bint seen = changed == NULL
    credit_forget(owner)
    if owner.pool.heap_place or owner.pool.liquidating:
        return False
    while slot and spare >= 0:         # every term takes something, so the sum cannot pass int64 either
        position = position_at(core, slot)
        symbol = symbol_of(core, position)
        if is_scaled(symbol):          # each fill may raise the rates of all
            return False
        if not position.isolated:
            spare += imin(0, unrealised(symbol, position))
        if position == changed:
            seen = True
            spare -= entry_measure(symbol, position, extra_atoms)
        else:
            spare -= entry_measure(symbol, position, 0)
        slot = position.next
    if not seen and is_scaled(symbol_of(core, changed)):
        return False
    if not seen and spare >= 0:
        spare -= entry_measure(symbol_of(core, changed), changed, extra_atoms)
    if spare < 0:
        return False
    owner.credit_atoms = spare
    owner.credit_epoch = core.credit_epoch
    return True

# ---------------------------------------------------------------------------------------------- following

cdef inline int64_t counted_atoms(Symbol* symbol, int64_t lots, int64_t price_ticks) noexcept nogil:
    """What an order adds to T."""
    return lots * symbol.m * imax(price_ticks, symbol.mark_ticks)

cdef inline int64_t lost_atoms(Symbol* symbol, int side, int64_t lots, int64_t price_ticks) noexcept nogil:
    """What an order adds to L."""
    return lots * symbol.m * imax(0, (price_ticks - symbol.mark_ticks) * sign_of(side))

cdef inline int64_t rate_part(int64_t value_atoms, uint32_t rate_q31) noexcept nogil:
    """value x rate, rounded down, for values below 2^62: the high half of a product, shifted beforehand."""
    return <int64_t>((<u128>(2 * <uint64_t>value_atoms) * (<uint64_t>rate_q31 << 32)) >> 64)

cdef inline bint credit_admits(
    Core* core, Symbol* symbol, Position* position, int side, int64_t lots, int64_t price_ticks
) noexcept nogil:
    """Charges an order that is not reduce-only; False, and nothing charged, if credit does not show that it can be borne."""
    cdef Account* owner = account_at(core, position.account)
    cdef int64_t counted = counted_atoms(symbol, lots, price_ticks)
    cdef int64_t loss = lost_atoms(symbol, side, lots, price_ticks)
    cdef int64_t charge = rate_part(counted, position.charge_q31) + 1 + loss      # charge_q31 is rounded up
    if usually(counted < position.room_atoms and credit_has(core, owner, charge)):
        position.room_atoms -= counted
        owner.credit_atoms -= charge
        return True
    return credit_measure(core, position.account, position, counted, loss)

cdef inline bint credit_bears(Core* core, uint32_t account, int64_t loss_atoms) noexcept nogil:
    """Whether credit, measured if need be, shows that so much is available."""
    cdef Account* owner = account_at(core, account)
    return usually(credit_has(core, owner, loss_atoms)) or (
        credit_measure(core, account, NULL, 0, 0) and credit_has(core, owner, loss_atoms))

cdef inline void credit_after_fill(
    Account* owner, Symbol* symbol, Position* position, int side, int64_t lots, int64_t price_ticks, bint reduce_only
) noexcept nogil:
    """A fill of an order that was counted, or of a reduce-only one, before its fee."""
    owner.credit_atoms -= 1            # nothing is lost where it is not known
    if rarely(position.isolated):
        credit_forget(owner)
    elif rarely(reduce_only):
        owner.credit_atoms -= lost_atoms(symbol, side, lots, price_ticks)

cdef inline void credit_after_leaving(
    Core* core, Symbol* symbol, Position* position, int side, int64_t price_ticks, uint32_t flags, int64_t lots
) noexcept nogil:
    """Gives back what a resting order was charged, rounded down."""
    cdef Account* owner = account_at(core, position.account)
    cdef int64_t counted
    if flags & ORDER_FLAG_REDUCE_ONLY or not credit_known(core, owner):
        return
    counted = counted_atoms(symbol, lots, price_ticks)
    position.room_atoms += counted
    owner.credit_atoms += rate_part(counted, position.charge_q31 - 1) + lost_atoms(symbol, side, lots, price_ticks)
