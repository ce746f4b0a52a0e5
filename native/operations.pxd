"""Money, modes, marks and funding: the commands that are not orders (ACCT, MARK, FUNDING).

Each command function returns 0 when it was carried out, or the reject reason, in which case nothing has changed.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, malloc, qsort
from native.auction cimport indicate
from native.bands cimport bands_draw, bands_raised, bands_stale, bands_stale_both, bands_stale_isolated
from native.core cimport (
    Account, Core, FAULT_NO_MEMORY, Position, Symbol, account_at, ensure, know_account, open_position_at, symbol_at,
)
from native.credit cimport credit_forget, credit_forget_all
from native.events cimport event_accepted, event_balance_changed, event_new
from native.legs cimport leg_fits
from native.ledger cimport fund_make_room, fund_move, move_to_pool, note_debt
from native.margin cimport available_with, base_rate, position_initial, removable, unrealised, withdrawable
from native.marks cimport check_holders, check_left
from native.memory cimport slab_has_room
from native.positions cimport position_ensure, position_find
from native.queue cimport pool_check
from native.units cimport div_ceil, div_floor, i128, imax, imin, wide
from native.waiting cimport touch
from native.wire cimport *

cdef inline bint no_account(uint32_t account) noexcept nogil:
    return account == 0 or account > MAX_ACCOUNT

cdef inline bint no_payment(int64_t amount_atoms) noexcept nogil:
    return amount_atoms < 1 or amount_atoms > MAX_AMOUNT_ATOMS

# ----------------------------------------------------------------------------------------- in and out

cdef inline int deposit(Core* core, wire_deposit* c) noexcept nogil:
    if no_account(c.account):
        return REJECT_REASON_INVALID_ACCOUNT
    if no_payment(c.amount_atoms):
        return REJECT_REASON_INVALID_AMOUNT
    if c.amount_atoms > MAX_AMOUNT_ATOMS - core.net_deposits_atoms:
        return REJECT_REASON_VALUE_OUT_OF_RANGE
    event_accepted(core, c.account, COMMAND_DEPOSIT, 0, 0)
    account_at(core, c.account).wallet_atoms += c.amount_atoms
    bands_raised(core, account_at(core, c.account), c.account)
    core.net_deposits_atoms += c.amount_atoms
    know_account(core, c.account)
    event_balance_changed(core, c.account, NULL, BALANCE_CAUSE_DEPOSIT, c.amount_atoms, 0)
    pool_check(core, c.account, NULL)
    return 0

cdef inline int withdraw(Core* core, wire_withdraw* c) noexcept nogil:
    if no_account(c.account):
        return REJECT_REASON_INVALID_ACCOUNT
    if no_payment(c.amount_atoms):
        return REJECT_REASON_INVALID_AMOUNT
    if account_at(core, c.account).pool.liquidating:
        return REJECT_REASON_POOL_LIQUIDATING
    if core.uncovered_pools > 0:
        return REJECT_REASON_WITHDRAWALS_STOPPED
    if c.amount_atoms > withdrawable(core, c.account):
        return REJECT_REASON_INSUFFICIENT_MARGIN
    event_accepted(core, c.account, COMMAND_WITHDRAW, 0, 0)
    account_at(core, c.account).wallet_atoms -= c.amount_atoms
    account_at(core, c.account).credit_atoms -= c.amount_atoms
    bands_stale(core, account_at(core, c.account), c.account)
    core.net_deposits_atoms -= c.amount_atoms
    event_balance_changed(core, c.account, NULL, BALANCE_CAUSE_WITHDRAWAL, -c.amount_atoms, 0)
    return 0

cdef inline int deposit_fund(Core* core, wire_deposit_fund* c) noexcept nogil:
    if no_payment(c.amount_atoms):
        return REJECT_REASON_INVALID_AMOUNT
    if c.amount_atoms > MAX_AMOUNT_ATOMS - core.net_deposits_atoms:
        return REJECT_REASON_VALUE_OUT_OF_RANGE
    if not fund_make_room(core):
        return REJECT_REASON_OUT_OF_CAPACITY
    event_accepted(core, 0, COMMAND_DEPOSIT_FUND, 0, 0)
    core.net_deposits_atoms += c.amount_atoms
    fund_move(core, c.fund, 0, FUND_CAUSE_DEPOSIT, c.amount_atoms)
    return 0

# ------------------------------------------------------------------------------------- mode and margin

cdef inline void change_settings(
    Core* core, Account* owner, Position* position, bint isolated, uint32_t rate_ppm, int64_t margin_change
) noexcept nogil:
    """Puts a position into a mode, at a rate, with money moved to its isolated pool (or back)."""
    credit_forget(owner)
    bands_stale(core, owner, position.account)
    bands_stale_isolated(core, position)
    if position.position_lots != 0 and position.isolated != isolated:
        if isolated:
            owner.cross_positions -= 1
        else:
            owner.cross_positions += 1
    position.isolated = isolated
    position.own_rate_ppm = rate_ppm
    position.margin_atoms += margin_change
    owner.wallet_atoms -= margin_change
    note_debt(core, owner, position.account)

cdef inline int64_t margin_wanted(Symbol* symbol, Position* position, bint isolated, uint32_t rate_ppm) noexcept nogil:
    """What the isolated pool gets (or gives back) when the position changes its mode or rate (ACCT-01)."""
    cdef Position probe
    if not isolated:
        return -position.margin_atoms
    if position.position_lots == 0:
        return 0
    probe = position[0]
    probe.own_rate_ppm = rate_ppm
    return imax(0, position_initial(symbol, &probe) + imax(0, -unrealised(symbol, position)) - position.margin_atoms)

cdef inline int set_margin_mode(Core* core, wire_set_margin_mode* c) noexcept nogil:
    """ACCT-01: one atomic step that leaves every pool at its initial margin, or is refused."""
    cdef Symbol* symbol
    cdef Account* owner
    cdef Position* position
    cdef Position before
    cdef uint32_t rate
    cdef int64_t change = 0
    cdef bint isolated = c.margin_mode == MARGIN_MODE_ISOLATED
    cdef bint busy
    cdef wire_margin_mode_changed* e
    if no_account(c.account):
        return REJECT_REASON_INVALID_ACCOUNT
    symbol = symbol_at(core, c.symbol)
    if symbol == NULL:
        return REJECT_REASON_UNKNOWN_SYMBOL
    if c.margin_mode > MARGIN_MODE_ISOLATED:
        return REJECT_REASON_INVALID_MARGIN_MODE
    if c.initial_margin_ppm > PPM:
        return REJECT_REASON_INVALID_MARGIN_RATE
    if not leg_fits(core, c.account, c.leg):
        return REJECT_REASON_INVALID_LEG
    owner = account_at(core, c.account)
    position = position_find(core, c.account, c.symbol, c.leg)
    busy = position != NULL and (position.position_lots != 0 or position.own_head[0] != 0 or position.own_head[1] != 0)
    if position == NULL and not slab_has_room(&core.positions):
        return REJECT_REASON_OUT_OF_CAPACITY
    if owner.pool.liquidating or owner.pool.heap_place or (
            position != NULL and (position.pool.liquidating or position.pool.heap_place)):   # due funding may queue
        return REJECT_REASON_POOL_LIQUIDATING
    if c.initial_margin_ppm and c.initial_margin_ppm < symbol.brackets[0].initial_ppm:
        return REJECT_REASON_LEVERAGE_TOO_HIGH
    if position == NULL:
        position = position_ensure(core, c.account, c.symbol, c.leg)
    rate = c.initial_margin_ppm if c.initial_margin_ppm else position.own_rate_ppm
    if busy:
        before = position[0]
        change = margin_wanted(symbol, position, isolated, rate)
        change_settings(core, owner, position, isolated, rate, change)
        if not (change == 0 and before.isolated == isolated
                and base_rate(symbol, &before) == base_rate(symbol, position)) \
                and available_with(core, c.account, NULL, False) < 0:
            change_settings(core, owner, position, before.isolated, before.own_rate_ppm, -change)
            return REJECT_REASON_INSUFFICIENT_MARGIN
    else:
        change_settings(core, owner, position, isolated, rate, 0)
    event_accepted(core, c.account, COMMAND_SET_MARGIN_MODE, 0, 0)
    e = <wire_margin_mode_changed*>event_new(
        core, EVENT_MARGIN_MODE_CHANGED, sizeof(wire_margin_mode_changed), c.account)
    e.symbol = c.symbol
    e.leg = <unsigned char>position.leg
    e.margin_mode = c.margin_mode
    e.initial_margin_ppm = <uint32_t>base_rate(symbol, position)
    e.own_rate_ppm = position.own_rate_ppm
    if change:
        event_balance_changed(core, c.account, position, BALANCE_CAUSE_MARGIN_MODE, -change, change)
    pool_check(core, c.account, NULL)
    if position.isolated:
        pool_check(core, c.account, position)
    return 0

cdef inline int change_isolated_margin(Core* core, wire_change_isolated_margin* c) noexcept nogil:
    """ACCT-06: adds from what is available; removes down to initial margin, unrealised profit not counted."""
    cdef Symbol* symbol
    cdef Account* owner
    cdef Position* position
    if no_account(c.account):
        return REJECT_REASON_INVALID_ACCOUNT
    symbol = symbol_at(core, c.symbol)
    if symbol == NULL:
        return REJECT_REASON_UNKNOWN_SYMBOL
    if c.change_atoms == 0 or c.change_atoms > MAX_AMOUNT_ATOMS or c.change_atoms < -MAX_AMOUNT_ATOMS:
        return REJECT_REASON_INVALID_AMOUNT
    if not leg_fits(core, c.account, c.leg):
        return REJECT_REASON_INVALID_LEG
    owner = account_at(core, c.account)
    position = position_find(core, c.account, c.symbol, c.leg)
    if owner.pool.liquidating or (position != NULL and c.change_atoms < 0 and position.pool.liquidating):
        return REJECT_REASON_POOL_LIQUIDATING
    if position == NULL or not position.isolated or position.position_lots == 0:
        return REJECT_REASON_NO_ISOLATED_POSITION
    if c.change_atoms > 0:
        if available_with(core, c.account, NULL, False) < c.change_atoms:
            return REJECT_REASON_INSUFFICIENT_MARGIN
    elif removable(symbol, position) < -c.change_atoms:
        return REJECT_REASON_INSUFFICIENT_MARGIN
    event_accepted(core, c.account, COMMAND_CHANGE_ISOLATED_MARGIN, 0, 0)
    position.margin_atoms += c.change_atoms
    owner.wallet_atoms -= c.change_atoms
    credit_forget(owner)
    bands_stale_both(core, owner, position)
    note_debt(core, owner, c.account)
    event_balance_changed(core, c.account, position, BALANCE_CAUSE_ISOLATED_MARGIN, -c.change_atoms, c.change_atoms)
    pool_check(core, c.account, position)
    return 0

# -------------------------------------------------------------------------------------- mark and funding

cdef inline bint mark_out_of_range(Symbol* symbol, int64_t price_ticks) noexcept nogil:
    """UNITS-01."""
    cdef i128 exposed = wide(symbol.gross_lots + 2 * (symbol.resting_lots[0] + symbol.resting_lots[1]), price_ticks)
    cdef i128 limit = symbol.exposure_limit_atoms
    return exposed > limit or exposed * symbol.m > limit

cdef inline void change_mark(Core* core, Symbol* symbol, int64_t price_ticks) noexcept nogil:
    """The mark moves, and tells it; bands are drawn at the marks that were checked."""
    cdef wire_mark_changed* e = <wire_mark_changed*>event_new(core, EVENT_MARK_CHANGED, sizeof(wire_mark_changed), 0)
    bands_draw(core)
    symbol.mark_ticks = price_ticks
    symbol.room_tick_lots = 0
    credit_forget_all(core)
    e.symbol = symbol.symbol
    e.price_ticks = price_ticks

cdef inline int set_mark(Core* core, wire_set_mark* c) noexcept nogil:
    """MARK-01."""
    cdef Symbol* symbol = symbol_at(core, c.symbol)
    if symbol == NULL:
        return REJECT_REASON_UNKNOWN_SYMBOL
    if c.price_ticks < 1 or c.price_ticks > MAX_PRICE_TICKS:
        return REJECT_REASON_INVALID_PRICE
    if symbol.state == SYMBOL_STATE_SETTLED:
        return REJECT_REASON_SYMBOL_STATE_FORBIDS
    if mark_out_of_range(symbol, c.price_ticks):
        return REJECT_REASON_VALUE_OUT_OF_RANGE
    if symbol.pricing != NULL and symbol.pricing.composite:
        return REJECT_REASON_MARK_IS_COMPOSITE
    event_accepted(core, 0, COMMAND_SET_MARK, 0, 0)
    change_mark(core, symbol, c.price_ticks)
    if symbol.state == SYMBOL_STATE_AUCTION:
        indicate(core, symbol)
    touch(core, symbol)
    check_left(core, symbol)
    return 0

cdef inline int by_holder(const void* left, const void* right) noexcept nogil:
    cdef Position* a = (<Position**>left)[0]
    cdef Position* b = (<Position**>right)[0]
    if a.account != b.account:
        return -1 if a.account < b.account else 1
    return -1 if a.leg < b.leg else 1

cdef inline void pay_funding(Core* core, Symbol* symbol, i128 per_lot_q32) noexcept nogil:
    """FUNDING-01: by account and leg, each position pays or receives; what rounding leaves goes to the fund."""
    cdef Position** holders = <Position**>malloc((symbol.open_count + 1) * sizeof(Position*))
    cdef Position* position
    cdef i128 one = <i128>1 << 32
    cdef int64_t i, payment
    cdef int64_t residue = 0
    if holders == NULL:
        ensure(core, False, FAULT_NO_MEMORY)
        return
    for i in range(symbol.open_count):
        holders[i] = open_position_at(core, symbol, i)
    qsort(holders, symbol.open_count, sizeof(Position*), &by_holder)
    for i in range(symbol.open_count):
        position = holders[i]
        payment = <int64_t>div_ceil(position.position_lots * per_lot_q32, one)
        if payment == 0:
            continue
        residue += payment
        move_to_pool(core, position, -payment)
        event_balance_changed(core, position.account, position, BALANCE_CAUSE_FUNDING,
                              0 if position.isolated else -payment, -payment if position.isolated else 0)
    free(holders)
    fund_move(core, symbol.fund, symbol.symbol, FUND_CAUSE_FUNDING_RESIDUE, residue)

cdef inline void settle_per_lot(Core* core, Symbol* symbol, i128 per_lot_q32) noexcept nogil:
    """FUNDING-01: so much for each lot is told and paid; whoever is then below maintenance joins the queue."""
    cdef wire_funding_settled* e = <wire_funding_settled*>event_new(
        core, EVENT_FUNDING_SETTLED, sizeof(wire_funding_settled), 0)
    e.symbol = symbol.symbol
    e.payment_atoms_per_lot = <int64_t>div_floor(per_lot_q32, <i128>1 << 32)
    e.payment_fraction_q32 = <uint32_t>per_lot_q32
    pay_funding(core, symbol, per_lot_q32)
    check_holders(core, symbol)

cdef inline int settle_funding(Core* core, wire_settle_funding* c) noexcept nogil:
    cdef Symbol* symbol = symbol_at(core, c.symbol)
    cdef i128 per_lot
    cdef i128 most
    if symbol == NULL:
        return REJECT_REASON_UNKNOWN_SYMBOL
    if symbol.state == SYMBOL_STATE_SETTLED:
        return REJECT_REASON_SYMBOL_STATE_FORBIDS
    if symbol.mark_ticks == 0:
        return REJECT_REASON_NO_MARK_PRICE
    per_lot = c.payment_atoms_per_lot
    most = (per_lot if per_lot >= 0 else -per_lot) + 1
    if symbol.gross_lots * most > symbol.exposure_limit_atoms:
        return REJECT_REASON_VALUE_OUT_OF_RANGE
    if not fund_make_room(core):
        return REJECT_REASON_OUT_OF_CAPACITY
    if symbol.funding != NULL:
        return REJECT_REASON_FUNDING_IS_COMPUTED
    event_accepted(core, 0, COMMAND_SETTLE_FUNDING, 0, 0)
    settle_per_lot(core, symbol, per_lot * (<i128>1 << 32) + c.payment_fraction_q32)
    return 0
