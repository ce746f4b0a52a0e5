"""Accounts, collateral pools and positions: how a fill is settled and how money moves (ACCT-02..05, UNITS-01).

Every change of a wallet, a pool, a fund or the fee account happens in this room, so that the sums of UNITS-01 and the
conservation of money can be read off one page.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from native.bands cimport bands_stale_both, bands_stale_pool, open_add, open_remove
from native.core cimport (
    Account, Core, FAULT_NO_MEMORY, FundState, Order, Position, Symbol, account_at, ensure, sign_of,
)
from native.credit cimport credit_forget
from native.events cimport event_new
from native.margin cimport cross_equity, initial_rate, notional, unrealised
from native.memory cimport ids_add
from native.units cimport apart, apart_int64, iabs, imax, imin, ppm_ceil, rarely, share_ceil, share_floor, usually
from native.wire cimport *

cdef enum:
    FAULT_NEGATIVE_MARGIN = 3
    FAULT_NEGATIVE_FUND = 4
    FAULT_ENTRY_WITHOUT_POSITION = 5

# What one side of a fill did to its account.
cdef struct Settlement:
    int64_t realised_atoms
    int64_t fee_atoms
    bint sound                         # its cross pool surely is at maintenance: it has credit left (credit.pxd)

# ----------------------------------------------------------------------------------------------- funds

cdef inline FundState* fund_find(Core* core, uint32_t fund) noexcept nogil:
    """The fund's state, or NULL if it never held money (funds are few: a sorted array)."""
    cdef int64_t i
    for i in range(core.fund_count):
        if core.funds[i].fund == fund:
            return &core.funds[i]
    return NULL

cdef inline int64_t fund_balance(Core* core, uint32_t fund) noexcept nogil:
    cdef FundState* state = fund_find(core, fund)
    return state.balance_atoms if state != NULL else 0

cdef inline bint fund_make_room(Core* core) noexcept nogil:
    cdef FundState* grown
    if core.fund_count < core.fund_capacity:
        return True
    grown = <FundState*>realloc(core.funds, (2 * core.fund_capacity + 8) * sizeof(FundState))
    if grown == NULL:
        return False
    core.funds = grown
    core.fund_capacity = 2 * core.fund_capacity + 8
    return True

cdef inline void fund_move(Core* core, uint32_t fund, uint32_t symbol, int cause, int64_t change_atoms) noexcept nogil:
    """Changes a fund and tells of it (FUND-01)."""
    cdef FundState* state
    cdef int64_t i
    cdef wire_fund_changed* e
    if change_atoms == 0:
        return
    state = fund_find(core, fund)
    if state == NULL:
        if not fund_make_room(core):
            ensure(core, False, FAULT_NO_MEMORY)
            return
        i = core.fund_count
        while i > 0 and core.funds[i - 1].fund > fund:
            core.funds[i] = core.funds[i - 1]
            i -= 1
        core.fund_count += 1
        state = &core.funds[i]
        state.fund = fund
        state.balance_atoms = 0
    state.balance_atoms += change_atoms
    ensure(core, state.balance_atoms >= 0, FAULT_NEGATIVE_FUND)
    e = <wire_fund_changed*>event_new(core, EVENT_FUND_CHANGED, sizeof(wire_fund_changed), 0)
    e.fund = fund
    e.symbol = symbol
    e.cause = <unsigned char>cause
    e.change_atoms = change_atoms
    e.balance_atoms = state.balance_atoms

cdef inline void note_debt(Core* core, Account* owner, uint32_t account) noexcept nogil:
    """The wallet may be below zero with no cross position left: assets that count fill it when the command ends (COLL-04)."""
    if rarely(owner.collateral_atoms != 0) and not owner.may_owe:
        owner.may_owe = ids_add(&core.debtors, account)

# ----------------------------------------------------------------------------------------- open orders

cdef inline void orders_counted(
    Symbol* symbol, Position* position, int side, int64_t price_ticks, uint32_t flags, int64_t lots
) noexcept nogil:
    """Adds lots (or takes off, if negative) of a resting order to the sums of its account and symbol."""
    cdef int64_t value = lots * price_ticks
    symbol.resting_lots[side] += lots
    symbol.resting_value_tick_lots += value
    if usually(not flags & ORDER_FLAG_REDUCE_ONLY):
        position.order_lots[side] += lots
        position.order_value[side] += value
    else:
        symbol.reduce_only_lots[side] += lots

# ------------------------------------------------------------------------------------------ settling fills

cdef inline int64_t wallet_pays(Core* core, uint32_t account, int64_t want_atoms, int64_t kept_atoms) noexcept nogil:
    """What the wallet gives of a payment: as much as the cross pool is worth beyond what it must keep (ACCT-04, ACCT-05)."""
    return imin(want_atoms, imax(0, cross_equity(core, account) - kept_atoms))

cdef inline int64_t reduce_position(
    Core* core, Symbol* symbol, Position* position, Account* owner, int side, int64_t lots, int64_t value_atoms, bint liquidated
) noexcept nogil:
    """Closes lots of a position (ACCT-03, ACCT-05); returns the realised profit or loss."""
    cdef int64_t size = iabs(position.position_lots)
    cdef int64_t released = share_ceil(position.entry_value_atoms, lots, size)
    cdef int64_t realised = -value_atoms * sign_of(side) - released
    cdef int64_t share, net
    symbol.gross_lots -= lots
    symbol.gross_entry_atoms -= iabs(released)          # a part of the entry value, of its sign
    position.entry_value_atoms -= released
    position.position_lots += lots * sign_of(side)
    if usually(not position.isolated):
        owner.wallet_atoms += realised
    elif liquidated:
        position.margin_atoms += realised
    elif lots == size:
        note_debt(core, owner, position.account)       # the fee is still to come
        owner.wallet_atoms += position.margin_atoms + realised
        ensure(core, position.margin_atoms + realised >= 0, FAULT_NEGATIVE_MARGIN)
        position.margin_atoms = 0
    else:
        note_debt(core, owner, position.account)
        share = share_floor(position.margin_atoms, lots, size)
        net = share + realised
        if net >= 0:
            owner.wallet_atoms += net
            position.margin_atoms -= share
        else:
            position.margin_atoms += realised
    if rarely(position.position_lots == 0):
        ensure(core, position.entry_value_atoms == 0, FAULT_ENTRY_WITHOUT_POSITION)
        open_remove(core, symbol, position)
        if not position.isolated:
            note_debt(core, owner, position.account)
    return realised

cdef inline void open_position(
    Core* core, Symbol* symbol, Position* position, Account* owner, int side, int64_t lots, int64_t value_atoms
) noexcept nogil:
    """Opens or enlarges a position (ACCT-03, ACCT-05)."""
    cdef int64_t want, moved
    symbol.gross_lots += lots
    symbol.gross_entry_atoms += value_atoms
    if rarely(position.position_lots == 0):
        open_add(core, symbol, position)
    position.position_lots += lots * sign_of(side)
    position.entry_value_atoms += value_atoms * sign_of(side)
    if rarely(position.isolated):
        want = ppm_ceil(value_atoms, initial_rate(symbol, position, notional(symbol, position.position_lots)))
        moved = wallet_pays(core, position.account, want, 0)
        owner.wallet_atoms -= moved
        position.margin_atoms += moved
        note_debt(core, owner, position.account)

cdef inline int64_t payable_fee(
    Core* core, Symbol* symbol, Position* position, int side, int64_t fee_atoms, int64_t kept_atoms
) noexcept nogil:
    """What of a trading fee can be paid without a deficit (ACCT-04), once an isolated pool that just grew has given what
    the wallet could not.  `kept_atoms` is what the rest of the order may still lose against the mark.
    """
    cdef int64_t paid = wallet_pays(core, position.account, fee_atoms, 0 if position.isolated else kept_atoms)
    cdef int64_t from_pool
    if paid < fee_atoms and position.isolated and (
            position.position_lots > 0 if side == SIDE_BUY else position.position_lots < 0):
        from_pool = imin(fee_atoms - paid, imax(0, position.margin_atoms + unrealised(symbol, position) - kept_atoms))
        position.margin_atoms -= from_pool
        account_at(core, position.account).wallet_atoms += from_pool
        paid += from_pool
    return paid

cdef inline void pay_fee(Core* core, Account* owner, int64_t fee_atoms) noexcept nogil:
    """Takes a trading fee from the wallet, or pays the rebate (ACCT-04)."""
    owner.wallet_atoms -= fee_atoms
    owner.credit_atoms -= fee_atoms
    core.fee_atoms += fee_atoms

cdef inline apart take_back_rebate(
    Core* core, Account* owner, wire_fill* told, Settlement* given, int64_t taker_fee_atoms
) noexcept nogil:
    """A rebate is at most what the taker of the trade paid (ACCT-04): the rest goes back, also in the event that told it."""
    cdef int64_t unpaid = -(given.fee_atoms + taker_fee_atoms)
    pay_fee(core, owner, unpaid)
    given.fee_atoms += unpaid
    given.sound = False
    told.fee_atoms = given.fee_atoms
    told.wallet_atoms = owner.wallet_atoms

cdef inline apart_int64 flip_position(
    Core* core, Symbol* symbol, Position* position, Account* owner, int side, int64_t lots,
    int64_t value_atoms, int64_t price_ticks, bint liquidated
) noexcept nogil:
    """Closes the whole position and opens the rest of the lots on the other side."""
    cdef int64_t size = iabs(position.position_lots)
    cdef int64_t closing_value = size * price_ticks * symbol.m
    cdef int64_t realised = reduce_position(core, symbol, position, owner, side, size, closing_value, liquidated)
    open_position(core, symbol, position, owner, side, lots - size, value_atoms - closing_value)
    return realised

cdef inline int64_t settle_position(
    Core* core, Symbol* symbol, Position* position, Account* owner, int side, int64_t lots,
    int64_t value_atoms, int64_t price_ticks, bint liquidated
) noexcept nogil:
    """Applies a fill's lots and value to a position: reduces, opens, or both for a flip; returns what was realised."""
    cdef int64_t closable = -position.position_lots * sign_of(side)
    bands_stale_both(core, owner, position)
    if closable <= 0:
        open_position(core, symbol, position, owner, side, lots, value_atoms)
        return 0
    if usually(lots <= closable):
        return reduce_position(core, symbol, position, owner, side, lots, value_atoms, liquidated)
    return flip_position(core, symbol, position, owner, side, lots, value_atoms, price_ticks, liquidated)

cdef inline void release_isolated(Core* core, Position* position) noexcept nogil:
    """LIQ-08: what an isolated pool has left when its position is gone returns to the wallet."""
    if position.isolated and position.position_lots == 0:
        ensure(core, position.margin_atoms >= 0, FAULT_NEGATIVE_MARGIN)
        account_at(core, position.account).wallet_atoms += position.margin_atoms
        position.margin_atoms = 0

cdef inline void move_to_pool(Core* core, Position* position, int64_t change_atoms) noexcept nogil:
    """Adds money to (or takes it from) the pool that a position belongs to."""
    credit_forget(account_at(core, position.account))
    bands_stale_pool(core, position)
    if position.isolated:
        position.margin_atoms += change_atoms
    else:
        account_at(core, position.account).wallet_atoms += change_atoms

cdef inline void event_fill(
    Core* core, Position* position, Account* owner, int side, int role,
    uint64_t trade_id, uint64_t order_id, uint64_t client_order_id,
    int64_t price_ticks, int64_t lots, int64_t value_atoms, int64_t open_lots, Settlement* settlement
) noexcept nogil:
    cdef wire_fill* e = <wire_fill*>event_new(core, EVENT_FILL, sizeof(wire_fill), position.account)
    e.symbol = position.symbol
    e.side = <unsigned char>side
    e.role = <unsigned char>role
    e.margin_mode = position.isolated
    e.leg = <unsigned char>position.leg
    e.trade_id = trade_id
    e.order_id = order_id
    e.client_order_id = client_order_id
    e.price_ticks = price_ticks
    e.qty_lots = lots
    e.value_atoms = value_atoms
    e.open_lots = open_lots
    e.position_lots = position.position_lots
    e.entry_value_atoms = position.entry_value_atoms
    e.realised_atoms = settlement.realised_atoms
    e.fee_atoms = settlement.fee_atoms
    e.wallet_atoms = owner.wallet_atoms
    e.margin_atoms = position.margin_atoms
