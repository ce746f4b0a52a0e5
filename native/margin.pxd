"""The margin rules: what a pool is worth, what it needs, and whether it can bear an order (MARGIN-01..09).

Functions of the state: nothing here changes anything that shows (an account's list of own orders may get sorted).  The
pre-trade check, the question put to a maker at its fill, mode changes, withdrawals, liquidation and the shown
liquidation price all come from these; credit.pxd spares the hot path most of the sums.
"""

from libc.stdint cimport int64_t, uint32_t
from native.book cimport crosses
from native.core cimport (
    Account, Core, Order, Position, Symbol, account_at, order_at, position_at, reducible_lots, reduces, sign_of,
    symbol_of,
)
from native.own_orders cimport own_sort
from native.units cimport apart_int64, div_ceil, i128, iabs, imax, imin, ppm_ceil, ppm_floor, rarely, wide
from native.wire cimport MAX_PRICE_TICKS, ORDER_FLAG_REDUCE_ONLY, PPM, SIDE_BUY

# What an order would add, and which resting order it would replace.
cdef struct Extra:
    Position* position
    int side
    int64_t price_ticks
    int64_t lots                       # 0: adds nothing
    uint32_t without                   # slot of the order that is left out; 0: none

cdef enum:
    ROUNDING_ATOMS = 2                 # by so much may the roundings of two legs together hide what falls (MARGIN-09)
    ROUNDING_TICKS = 1000              # over so many prices they are looked at one by one

cdef struct PoolValue:
    int64_t equity_atoms
    int64_t maintenance_atoms
    uint32_t position_count

# ------------------------------------------------------------------------------------------- one position

cdef inline int64_t notional(Symbol* symbol, int64_t lots) noexcept nogil:
    return iabs(lots) * symbol.mark_ticks * symbol.m

cdef inline int64_t unrealised(Symbol* symbol, Position* position) noexcept nogil:
    """uPnL (MARGIN-01)."""
    return position.position_lots * symbol.mark_ticks * symbol.m - position.entry_value_atoms

cdef inline int bracket_of(Symbol* symbol, int64_t notional_atoms) noexcept nogil:
    """The last bracket whose floor is not above the notional (MARGIN-03)."""
    cdef int k = 0
    while k + 1 < symbol.bracket_count and symbol.brackets[k + 1].floor_atoms <= notional_atoms:
        k += 1
    return k

cdef inline int64_t maintenance_of(Symbol* symbol, int64_t notional_atoms) noexcept nogil:
    """MM (MARGIN-03)."""
    cdef int k = bracket_of(symbol, notional_atoms)
    return ppm_ceil(notional_atoms, symbol.brackets[k].maintenance_ppm) - symbol.brackets[k].deduction_atoms

cdef inline int64_t base_rate(Symbol* symbol, Position* position) noexcept nogil:
    """The account's own initial margin rate, or the symbol's."""
    return position.own_rate_ppm if position.own_rate_ppm else symbol.initial_margin_ppm

cdef inline int64_t open_interest(Symbol* symbol) noexcept nogil:
    """What is held of the symbol, at mark: the long side, which is half of all lots (MARGIN-11)."""
    return symbol.gross_lots // 2 * symbol.mark_ticks * symbol.m

cdef inline apart_int64 scaled_rate(Symbol* symbol, int64_t rate_ppm) noexcept nogil:
    """An initial margin rate as open interest raises it: from its own value to 100 %, rounded up (MARGIN-11)."""
    cdef int64_t above = open_interest(symbol) - symbol.oi_scaling_lower_atoms
    cdef int64_t span = symbol.oi_scaling_upper_atoms - symbol.oi_scaling_lower_atoms
    if above <= 0:
        return rate_ppm
    if above >= span:
        return PPM
    return rate_ppm + <int64_t>div_ceil(wide(PPM - rate_ppm, above), span)

cdef inline bint is_scaled(Symbol* symbol) noexcept nogil:
    """Whether the symbol's initial margin rates rise with open interest."""
    return symbol.oi_scaling_upper_atoms > 0

cdef inline int64_t initial_rate(Symbol* symbol, Position* position, int64_t notional_atoms) noexcept nogil:
    """im (MARGIN-04, MARGIN-11)."""
    cdef int64_t rate = imax(
        base_rate(symbol, position), symbol.brackets[bracket_of(symbol, notional_atoms)].initial_ppm)
    return scaled_rate(symbol, rate) if rarely(is_scaled(symbol)) else rate

cdef inline int64_t initial_of(Symbol* symbol, Position* position, int64_t notional_atoms) noexcept nogil:
    return ppm_ceil(notional_atoms, initial_rate(symbol, position, notional_atoms))

cdef inline int64_t position_initial(Symbol* symbol, Position* position) noexcept nogil:
    """IM of the position alone (MARGIN-04)."""
    if position.position_lots == 0:
        return 0
    return initial_of(symbol, position, notional(symbol, position.position_lots))

cdef inline int64_t position_maintenance(Symbol* symbol, Position* position) noexcept nogil:
    if position.position_lots == 0:
        return 0
    return maintenance_of(symbol, notional(symbol, position.position_lots))

# ------------------------------------------------------------------------------------------- open orders

cdef inline uint32_t next_counted(Core* core, uint32_t slot, uint32_t without) noexcept nogil:
    """This order or the first behind it that counts for margin: not reduce-only, not left out."""
    while slot and (slot == without or order_at(core, slot).flags & ORDER_FLAG_REDUCE_ONLY):
        slot = order_at(core, slot).own_next
    return slot

cdef inline int64_t side_initial(
    Core* core, Symbol* symbol, Position* position, int side, Extra* extra
) noexcept nogil:
    """IM of one side: the position if it is on this side, its orders, and the loss they would start with (MARGIN-05)."""
    cdef bint with_extra = extra != NULL and extra.position == position and extra.side == side and extra.lots > 0
    cdef uint32_t without = extra.without if extra != NULL and extra.position == position else 0
    cdef int64_t lots = position.order_lots[side]
    cdef int64_t rest_value = position.order_value[side]    # ticks x lots
    cdef int64_t mark = symbol.mark_ticks
    cdef int64_t free_lots, price, count, taken, total
    cdef int64_t loss = 0
    cdef uint32_t slot
    cdef Order* order
    cdef bint worse
    if without:
        order = order_at(core, without)
        if order.side == side and not order.flags & ORDER_FLAG_REDUCE_ONLY:
            lots -= order.open_lots
            rest_value -= order.open_lots * order.price_ticks
    if with_extra:
        lots += extra.lots
        rest_value += extra.lots * extra.price_ticks
    if lots == 0:
        return 0
    free_lots = reducible_lots(position, side)
    slot = own_sort(core, position, side)
    # Best first; only the lots that offset the position, and those priced worse than the mark, need a look.
    while True:
        slot = next_counted(core, slot, without)
        if slot:
            order = order_at(core, slot)
            if with_extra and (extra.price_ticks > order.price_ticks if side == SIDE_BUY
                               else extra.price_ticks < order.price_ticks):
                price, count, with_extra = extra.price_ticks, extra.lots, False
            else:
                price, count, slot = order.price_ticks, order.open_lots, order.own_next
        elif with_extra:
            price, count, with_extra = extra.price_ticks, extra.lots, False
        else:
            break
        worse = price > mark if side == SIDE_BUY else price < mark
        if free_lots == 0 and not worse:
            break
        taken = imin(free_lots, count)
        free_lots -= taken
        rest_value -= taken * price
        if worse:
            loss += iabs(price - mark) * count
            if side != SIDE_BUY:
                rest_value += (mark - price) * (count - taken)
    total = rest_value * symbol.m
    if position.position_lots != 0 and not reduces(position, side):
        total += notional(symbol, position.position_lots)
    return initial_of(symbol, position, total) + loss * symbol.m

cdef inline int64_t symbol_initial(Core* core, Symbol* symbol, Position* position, Extra* extra) noexcept nogil:
    """IM(symbol): the worse side, and at least the position's own (MARGIN-05)."""
    cdef int64_t need = position_initial(symbol, position)
    need = imax(need, side_initial(core, symbol, position, 0, extra))
    return imax(need, side_initial(core, symbol, position, 1, extra))

# --------------------------------------------------------------------------------------------- the pools

cdef inline int64_t entry_available(
    Core* core, Symbol* symbol, Position* position, Extra* extra, bint weightless
) noexcept nogil:
    """What one account-symbol entry adds to (or takes from) what is available (MARGIN-06)."""
    cdef int64_t profit
    if position.isolated:
        return position_initial(symbol, position) - symbol_initial(core, symbol, position, extra)
    profit = unrealised(symbol, position)
    if profit > 0:
        profit = 0 if weightless else ppm_floor(profit, symbol.upnl_weight_ppm)
    return profit - symbol_initial(core, symbol, position, extra)

cdef inline int64_t available_with(Core* core, uint32_t account, Extra* extra, bint weightless) noexcept nogil:
    """What is available to the account, with an order added or left out (MARGIN-06)."""
    cdef Account* owner = account_at(core, account)
    cdef int64_t total = owner.wallet_atoms + owner.collateral_atoms
    cdef uint32_t slot = owner.first_position
    cdef Position* position
    cdef bint seen = extra == NULL or extra.position == NULL
    while slot:
        position = position_at(core, slot)
        total += entry_available(core, symbol_of(core, position), position, extra, weightless)
        if not seen and position == extra.position:
            seen = True
        slot = position.next
    if not seen:     # an entry that is not the account's yet
        total += entry_available(core, symbol_of(core, extra.position), extra.position, extra, weightless)
    return total

cdef inline int64_t cross_equity(Core* core, uint32_t account) noexcept nogil:
    """Equity of the cross pool (MARGIN-02)."""
    cdef Account* owner = account_at(core, account)
    cdef int64_t equity = owner.wallet_atoms + owner.collateral_atoms
    cdef uint32_t slot = owner.first_position
    cdef uint32_t left = owner.cross_positions
    cdef Position* position
    while left:
        position = position_at(core, slot)
        if position.position_lots != 0 and not position.isolated:
            equity += unrealised(symbol_of(core, position), position)
            left -= 1
        slot = position.next
    return equity

cdef inline PoolValue cross_value(Core* core, uint32_t account) noexcept nogil:
    """Equity and maintenance of the cross pool (MARGIN-02, MARGIN-03)."""
    cdef Account* owner = account_at(core, account)
    cdef PoolValue value
    cdef uint32_t slot = owner.first_position
    cdef Position* position
    cdef Symbol* symbol
    value.equity_atoms = owner.wallet_atoms + owner.collateral_atoms
    value.maintenance_atoms = 0
    value.position_count = owner.cross_positions
    if value.position_count == 0:
        return value
    while slot:
        position = position_at(core, slot)
        if position.position_lots != 0 and not position.isolated:
            symbol = symbol_of(core, position)
            value.equity_atoms += unrealised(symbol, position)
            value.maintenance_atoms += position_maintenance(symbol, position)
        slot = position.next
    return value

cdef inline PoolValue isolated_value(Core* core, Position* position) noexcept nogil:
    """Equity and maintenance of an isolated pool."""
    cdef PoolValue value
    cdef Symbol* symbol = symbol_of(core, position)
    value.equity_atoms = position.margin_atoms
    value.maintenance_atoms = 0
    value.position_count = 0
    if position.position_lots != 0:
        value.equity_atoms += unrealised(symbol, position)
        value.maintenance_atoms = position_maintenance(symbol, position)
        value.position_count = 1
    return value

cdef inline PoolValue pool_value(Core* core, uint32_t account, Position* isolated) noexcept nogil:
    return isolated_value(core, isolated) if isolated != NULL else cross_value(core, account)

cdef inline bint below_maintenance(PoolValue* value) noexcept nogil:
    """MARGIN-08: strict, by exact comparison."""
    return value.position_count != 0 and value.equity_atoms < value.maintenance_atoms

# ------------------------------------------------------------------------------------------ can it bear it?

cdef inline int64_t loss_at(Symbol* symbol, int side, int64_t lots, int64_t price_ticks) noexcept nogil:
    """What trading lots at a price loses against the mark; negative: gains."""
    cdef int64_t distance = price_ticks - symbol.mark_ticks
    return distance * sign_of(side) * lots * symbol.m

cdef inline bint improves(
    Core* core, Symbol* symbol, Position* position, int side, int64_t lots, int64_t price_ticks
) noexcept nogil:
    """Whether reducing the position by lots at a price leaves its pool solvent and no nearer to maintenance (MARGIN-07)."""
    cdef PoolValue value = pool_value(core, position.account, position if position.isolated else NULL)
    cdef int64_t equity = value.equity_atoms - loss_at(symbol, side, lots, price_ticks)
    cdef int64_t maintenance = value.maintenance_atoms - position_maintenance(symbol, position) \
        + maintenance_of(symbol, notional(symbol, iabs(position.position_lots) - lots))
    if not position.isolated:
        equity -= ppm_ceil(lots * price_ticks * symbol.m, symbol.taker_fee_ppm)
    return equity >= 0 and wide(equity, value.maintenance_atoms) >= wide(value.equity_atoms, maintenance)

cdef inline bint isolated_bears_reduction(
    Core* core, Symbol* symbol, Position* position, int side, int64_t lots, int64_t price_ticks
) noexcept nogil:
    """Whether an isolated pool can close lots at a price: at its initial margin after, or improved by it (MARGIN-07)."""
    cdef int64_t left = iabs(position.position_lots) - lots
    cdef int64_t equity = position.margin_atoms + unrealised(symbol, position) - loss_at(symbol, side, lots, price_ticks)
    if equity >= initial_of(symbol, position, notional(symbol, left)):
        return True
    return improves(core, symbol, position, side, lots, price_ticks)

cdef inline bint isolated_bears_opening(
    Symbol* symbol, Position* position, int side, int64_t opened, int64_t reduced, int64_t price_ticks
) noexcept nogil:
    """Whether what an isolated position opens would not be below maintenance at once (MARGIN-07)."""
    cdef int64_t base = 0
    cdef int64_t size = opened
    cdef int64_t n
    if reduced == 0:
        base = position.margin_atoms + unrealised(symbol, position)
        size += iabs(position.position_lots)
    n = notional(symbol, size)
    base += ppm_ceil(opened * price_ticks * symbol.m, initial_rate(symbol, position, n))
    base -= imax(0, loss_at(symbol, side, opened, price_ticks))
    return base >= maintenance_of(symbol, n)

cdef inline bint admits(
    Core* core, Symbol* symbol, Position* position, int side, int64_t lots, int64_t price_ticks,
    bint reduce_only, uint32_t without
) noexcept nogil:
    """MARGIN-07: whether the pool can bear an order of lots at a limit (in place of the order `without`)."""
    cdef Extra extra
    cdef int64_t free_lots = reducible_lots(position, side)
    cdef int64_t others = position.order_lots[side]
    cdef int64_t reduced, opened, spare
    cdef bint pure
    cdef Order* old
    if without:
        old = order_at(core, without)
        if not old.flags & ORDER_FLAG_REDUCE_ONLY:
            others -= old.open_lots
    if reduce_only:
        lots = imin(lots, free_lots)
    pure = others + lots <= free_lots
    extra.position = position
    extra.side = side
    extra.price_ticks = price_ticks
    extra.lots = 0 if reduce_only else lots
    extra.without = without
    spare = available_with(core, position.account, &extra, False)
    if without and spare < 0 and spare >= available_with(core, position.account, NULL, False) \
            and not crosses(&symbol.sides[1 - side], price_ticks):
        spare = 0                  # an amend that needs no more than before, and only waits
    if not position.isolated:
        if reduce_only:
            spare -= imax(0, loss_at(symbol, side, lots, price_ticks))
        if spare >= 0:
            return True
        return (pure or reduce_only) and improves(core, symbol, position, side, lots, price_ticks)
    reduced = imin(lots, free_lots)
    opened = lots - reduced
    if reduced > 0 and not isolated_bears_reduction(core, symbol, position, side, reduced, price_ticks):
        return False
    if not (reduce_only or pure) and spare < 0:
        return False
    return opened == 0 or isolated_bears_opening(symbol, position, side, opened, reduced, price_ticks)

cdef inline int64_t maker_bears(
    Core* core, Symbol* symbol, Position* position, int side, int64_t lots, int64_t price_ticks, bint reduce_only
) noexcept nogil:
    """MARGIN-07b: how many of these lots a maker's pool can bear at its own price."""
    cdef int64_t spare
    cdef int64_t reduced = imin(lots, reducible_lots(position, side))
    cdef int64_t opened = lots - reduced
    if not position.isolated:
        spare = available_with(core, position.account, NULL, False)
        if reduce_only:
            spare -= imax(0, loss_at(symbol, side, lots, price_ticks))
        if spare >= 0:
            return lots
        return reduced if improves(core, symbol, position, side, reduced, price_ticks) else 0
    if reduced > 0 and not isolated_bears_reduction(core, symbol, position, side, reduced, price_ticks):
        return 0
    if opened > 0 and (available_with(core, position.account, NULL, False) < 0
                       or not isolated_bears_opening(symbol, position, side, opened, reduced, price_ticks)):
        return reduced
    return lots

cdef inline int64_t withdrawable(Core* core, uint32_t account) noexcept nogil:
    """ACCT-07: unrealised profit never leaves."""
    return imax(0, imin(account_at(core, account).wallet_atoms, available_with(core, account, NULL, True)))

cdef inline int64_t removable(Symbol* symbol, Position* position) noexcept nogil:
    """ACCT-06: what may be taken out of an isolated pool: initial margin stays, unrealised profit does not count.

    In cross mode, and without a position, there is nothing in it.
    """
    cdef int64_t spare = position.margin_atoms + imin(0, unrealised(symbol, position)) - position_initial(symbol, position)
    return imax(0, imin(position.margin_atoms, spare))

# ------------------------------------------------------------------------------------- liquidation price

# A pool as the mark of one symbol moves: what does not move with it, and the lots that do; in hedge mode of both legs.
cdef struct Moving:
    Symbol* symbol
    int64_t lots[2]                    # signed; the second is 0 but for a cross pool with both legs
    i128 fixed_atoms                   # equity less maintenance of all else, at a mark of nothing

cdef inline i128 maintenance_at(Symbol* symbol, i128 n) noexcept nogil:
    """MM of a notional that may be beyond every mark that could be set (MARGIN-03)."""
    cdef int k = 0
    while k + 1 < symbol.bracket_count and symbol.brackets[k + 1].floor_atoms <= n:
        k += 1
    return (n * symbol.brackets[k].maintenance_ppm + (PPM - 1)) // PPM - symbol.brackets[k].deduction_atoms

cdef inline i128 spare_at(Moving* moving, int64_t mark_ticks) noexcept nogil:
    """Equity less maintenance of the pool with the symbol's mark at this price; negative: below maintenance (MARGIN-08)."""
    cdef i128 spare = moving.fixed_atoms
    cdef i128 value
    cdef int i
    for i in range(2):
        if moving.lots[i] != 0:
            value = wide(moving.lots[i], moving.symbol.m) * mark_ticks
            spare += value - maintenance_at(moving.symbol, value if value > 0 else -value)
    return spare

cdef inline Moving moving_with(Core* core, Position* position) noexcept nogil:
    """The position's pool, as its symbol's mark moves it."""
    cdef PoolValue value = pool_value(core, position.account, position if position.isolated else NULL)
    cdef Moving moving
    cdef Position* other
    cdef uint32_t slot = account_at(core, position.account).first_position
    moving.symbol = symbol_of(core, position)
    moving.lots[0] = position.position_lots
    moving.lots[1] = 0
    while slot and not position.isolated:
        other = position_at(core, slot)
        if other != position and other.symbol == position.symbol and not other.isolated and other.position_lots != 0:
            moving.lots[1] = other.position_lots
        slot = other.next
    moving.fixed_atoms = 0
    moving.fixed_atoms = <i128>value.equity_atoms - value.maintenance_atoms - spare_at(
        &moving, moving.symbol.mark_ticks)
    return moving

cdef inline int64_t first_below_from(Moving* moving, int64_t price, int64_t step, int64_t* safe) noexcept nogil:
    """Walks on from a price while roundings could decide; the first price that is below, 0: none.  `safe`: where it ended."""
    cdef i128 spare
    cdef int _i
    for _i in range(ROUNDING_TICKS):
        if price + step < 1 or price + step > MAX_PRICE_TICKS:
            break
        price += step
        spare = spare_at(moving, price)
        if spare < 0:
            return price
        if spare >= ROUNDING_ATOMS:
            break
    safe[0] = price
    return 0

cdef inline int64_t nearest_below_from(Moving* moving, int64_t price, int64_t step, int64_t mark) noexcept nogil:
    """The price nearest to the mark that is below, walking back to it while roundings could decide; 0: none."""
    cdef int64_t found = 0
    cdef i128 spare
    cdef int _i
    for _i in range(ROUNDING_TICKS):
        spare = spare_at(moving, price)
        if spare < 0:
            found = price
        elif spare >= ROUNDING_ATOMS:
            break
        price -= step
        if price == mark:
            break
    return found

cdef inline int64_t liquidation_price(Core* core, Position* position) noexcept nogil:
    """MARGIN-09: the first adverse price at which the pool is below maintenance; 0: none.

    But for roundings what is spared is concave in the price: from the mark on it falls below nothing once at most.
    """
    cdef Moving moving
    cdef int64_t mark, good, bad, middle, found
    cdef int64_t step = -1 if position.position_lots > 0 else 1
    if position.position_lots == 0 or symbol_of(core, position).mark_ticks == 0:
        return 0
    moving = moving_with(core, position)
    mark = moving.symbol.mark_ticks
    if spare_at(&moving, mark) < 0:
        return mark
    found = first_below_from(&moving, mark, step, &good)
    bad = 1 if position.position_lots > 0 else MAX_PRICE_TICKS
    if found or good == bad:
        return found
    if spare_at(&moving, bad) < 0:
        while iabs(good - bad) > 1:
            middle = good + (bad - good) // 2
            if spare_at(&moving, middle) < 0:
                bad = middle
            else:
                good = middle
    return nearest_below_from(&moving, bad, step, mark)
