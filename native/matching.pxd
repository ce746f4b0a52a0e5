"""The matching loop: price-time priority, and margin applied at every fill to maker and taker alike (MATCH-01..11).

This is the one place that touches both the book and the ledger.  A fill never starts a liquidation: it settles, tells,
and leaves the pools that it may have hurt in the queue, which is worked off when the command is done.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from native.bankruptcy cimport (
    affordable_lots, bankruptcy_part, bankruptcy_value, pool_share, settle_liquidation,
)
from native.book cimport (
    better, book_append, book_front, book_level, book_next_price, book_reduce, book_remove, crosses,
)
from native.core cimport (
    Account, BookSide, Core, Level, Order, Position, Symbol, account_at, client_id_of, ensure, more_at, order_at,
    position_at, reducible_lots, reduces, slot_of,
)
from native.credit cimport credit_after_fill, credit_after_leaving, credit_bears, credit_forget, credit_has
from native.events cimport event_order_cancelled, event_order_reduced, event_order_rested
from native.ledger cimport (
    FAULT_NO_MEMORY, Settlement, event_fill, orders_counted, pay_fee, payable_fee, settle_position,
)
from native.margin cimport available_with, loss_at, maker_bears
from native.memory cimport prefetch, slab_give, slab_take
from native.order_index cimport (
    client_index_drop, client_index_put, order_index_drop, order_index_find, order_index_put,
)
from native.own_orders cimport own_link, own_sort, own_unlink
from native.queue cimport pool_check, position_check
from native.units cimport imax, imin, ppm_ceil, rarely, usually
from native.wire cimport *

cdef enum:
    COUNTED = 1 << 15                  # flag of an order that a fill-or-kill order relies on, within its command

# The order that is acting.
cdef struct Taker:
    Position* position
    uint32_t slot                      # its record, if it rested before (an amend); 0: none
    uint64_t order_id
    uint64_t client_order_id
    int64_t limit_ticks                # of a market order: the worst price it may reach
    int64_t shown_ticks                # as its events say it: 0 for a market order
    int64_t open_lots
    int64_t filled_lots
    int64_t reach_lots                 # of the open lots, those that can find a maker: of a market order what it counted
    int side
    int self_trade
    uint16_t flags
    bint liquidation                   # the engine's own closing order
    bint followed                      # its account's credit counts it (or it is reduce-only), see credit.pxd

# ------------------------------------------------------------------------------------- resting and leaving

cdef inline uint32_t order_new(Core* core, Taker* taker) noexcept nogil:
    """A record for an order that is about to rest, known by its ids."""
    cdef uint32_t slot = slab_take(&core.orders)
    cdef Order* order = order_at(core, slot)
    ensure(core, slot != 0, FAULT_NO_MEMORY)
    order.order_id = taker.order_id
    order.position = slot_of(core, taker.position)
    order.side = <uint8_t>taker.side
    order.self_trade = <uint8_t>taker.self_trade
    order.flags = taker.flags
    order_index_put(core, slot)
    order.named = taker.client_order_id != 0
    if order.named:
        more_at(core, slot).client_order_id = taker.client_order_id
        client_index_put(core, slot)
    return slot

cdef inline void order_rest(Core* core, Symbol* symbol, Taker* taker) noexcept nogil:
    """What is left of a taker joins the back of its level."""
    cdef uint32_t slot = taker.slot if taker.slot else order_new(core, taker)
    cdef Order* order = order_at(core, slot)
    order.price_ticks = taker.limit_ticks
    order.open_lots = taker.open_lots
    order.filled_lots = taker.filled_lots
    ensure(core, book_append(core, &symbol.sides[taker.side], slot), FAULT_NO_MEMORY)
    own_link(core, taker.position, slot)
    if not taker.followed:
        credit_forget(account_at(core, taker.position.account))
    orders_counted(symbol, taker.position, order, order.open_lots)
    event_order_rested(core, taker.position, order, taker.client_order_id)

cdef inline void order_leave(Core* core, Symbol* symbol, Position* position, uint32_t slot) noexcept nogil:
    """Takes an order out of its queue; its record and its ids stay."""
    cdef Order* order = order_at(core, slot)
    book_remove(core, &symbol.sides[order.side], slot)
    own_unlink(core, position, slot)
    if order.open_lots:
        orders_counted(symbol, position, order, -order.open_lots)
        credit_after_leaving(core, symbol, position, order)

cdef inline void order_forget(Core* core, uint32_t slot) noexcept nogil:
    """Gives back the record of an order that has left its queue."""
    cdef Order* order = order_at(core, slot)
    order_index_drop(core, slot)
    if order.named:
        client_index_drop(core, slot)
    slab_give(&core.orders, slot)

cdef inline void order_remove(Core* core, Symbol* symbol, Position* position, uint32_t slot) noexcept nogil:
    """Takes a resting order out of everything that knows it."""
    order_leave(core, symbol, position, slot)
    order_forget(core, slot)

cdef inline void order_cancel(Core* core, Symbol* symbol, uint32_t slot, int reason) noexcept nogil:
    """Cancels a resting order and tells why."""
    cdef Order* order = order_at(core, slot)
    cdef Position* position = position_at(core, order.position)
    event_order_cancelled(core, position, order.side, True, reason,
                          order.order_id, client_id_of(core, slot), order.price_ticks, order.open_lots)
    order_remove(core, symbol, position, slot)

cdef inline void taker_cancel(Core* core, Taker* taker, int reason) noexcept nogil:
    """Cancels what is left of the taker and tells why."""
    event_order_cancelled(core, taker.position, taker.side, False, reason,
                          taker.order_id, taker.client_order_id, taker.shown_ticks, taker.open_lots)
    taker.open_lots = 0

cdef inline void cancel_useless_reduce_only(Core* core, Symbol* symbol, Position* position) noexcept nogil:
    """MATCH-11: reduce-only orders whose position is gone or has flipped are cancelled."""
    cdef int side
    cdef uint32_t slot, following
    if usually(position.reduce_only_orders == 0):
        return
    for side in range(2):
        if reduces(position, side):
            continue
        slot = own_sort(core, position, side)
        while slot:
            following = order_at(core, slot).own_next
            if order_at(core, slot).flags & ORDER_FLAG_REDUCE_ONLY:
                order_cancel(core, symbol, slot, CANCEL_REASON_REDUCE_ONLY)
            slot = following

# ---------------------------------------------------------------------------------------- self-trade

cdef inline void decrement(Core* core, Symbol* symbol, Taker* taker, uint32_t slot) noexcept nogil:
    """MATCH-06, decrement: both orders lose the smaller open quantity, without a trade."""
    cdef Order* maker = order_at(core, slot)
    cdef int64_t lots = imin(taker.open_lots, maker.open_lots)
    if maker.open_lots == lots:
        order_cancel(core, symbol, slot, CANCEL_REASON_SELF_TRADE)
    else:
        book_reduce(&symbol.sides[maker.side], maker, lots)
        maker.filled_lots += lots
        orders_counted(symbol, taker.position, maker, -lots)
        event_order_reduced(core, taker.position, maker.side, True, maker.order_id, client_id_of(core, slot),
                            maker.price_ticks, lots, maker.open_lots)
    if taker.open_lots == lots:
        taker_cancel(core, taker, CANCEL_REASON_SELF_TRADE)
        return
    taker.open_lots -= lots
    taker.filled_lots += lots
    event_order_reduced(core, taker.position, taker.side, False, taker.order_id, taker.client_order_id,
                        taker.shown_ticks, lots, taker.open_lots)

cdef inline void prevent_self_trade(Core* core, Symbol* symbol, Taker* taker, uint32_t slot) noexcept nogil:
    """MATCH-06: the taker met an order of its own account."""
    if taker.self_trade == SELF_TRADE_PREVENTION_DECREMENT:
        decrement(core, symbol, taker, slot)
        return
    if taker.self_trade != SELF_TRADE_PREVENTION_CANCEL_TAKER:
        order_cancel(core, symbol, slot, CANCEL_REASON_SELF_TRADE)
    if taker.self_trade != SELF_TRADE_PREVENTION_CANCEL_MAKER:
        taker_cancel(core, taker, CANCEL_REASON_SELF_TRADE)

# ----------------------------------------------------------------------------------------------- fills

cdef inline int64_t taker_may_lose(Symbol* symbol, Taker* taker) noexcept nogil:
    """What the rest of a taker's order may still lose against the mark, its last fill being in its position (ACCT-04)."""
    cdef int64_t left = imin(taker.open_lots, taker.reach_lots)
    if taker.flags & ORDER_FLAG_REDUCE_ONLY:
        left = imin(left, reducible_lots(taker.position, taker.side))
    return imax(0, loss_at(symbol, taker.side, left, taker.limit_ticks))

cdef inline int64_t charge_fee(
    Core* core, Symbol* symbol, Position* position, int side, int64_t value_atoms, int64_t fee_ppm,
    bint reduce_only, Taker* taker
) noexcept nogil:
    """Takes the fee of a fill, or pays the rebate (ACCT-04); returns what was paid.  `taker` is NULL for a maker.

    Credit holds what the rest of an order may lose already, but for a reduce-only one (credit.pxd).
    """
    cdef Account* owner = account_at(core, position.account)
    cdef int64_t fee = ppm_ceil(value_atoms, fee_ppm)
    cdef int64_t kept = taker_may_lose(symbol, taker) if rarely(reduce_only and taker != NULL) else 0
    if rarely(fee > 0 and not credit_has(core, owner, fee + kept)):
        fee = payable_fee(core, symbol, position, side, fee,
                          taker_may_lose(symbol, taker) if taker != NULL else 0)
    pay_fee(core, owner, fee)
    return fee

cdef inline Settlement settle(
    Core* core, Symbol* symbol, Position* position, int side, int64_t lots, int64_t price_ticks,
    int64_t value_atoms, int64_t fee_ppm, bint reduce_only, Taker* taker
) noexcept nogil:
    """One side of a fill: position, realised profit, margin, fee (ACCT-03..05).  `taker` is NULL for the maker's side."""
    cdef bint liquidated = taker != NULL and taker.liquidation
    cdef Settlement settlement
    settlement.realised_atoms = 0
    settlement.fee_atoms = 0
    if core.risk:
        settlement.realised_atoms = settle_position(
            core, symbol, position, side, lots, value_atoms, price_ticks, liquidated)
        credit_after_fill(account_at(core, position.account), symbol, position, side, lots, price_ticks, reduce_only)
        if usually(not liquidated):
            settlement.fee_atoms = charge_fee(
                core, symbol, position, side, value_atoms, fee_ppm, reduce_only, taker)
    return settlement

cdef inline int64_t bearable(Core* core, Symbol* symbol, Position* position, Order* maker, int64_t lots) noexcept nogil:
    """MARGIN-07b: how many of these lots a maker's pool can bear, by credit where that shows it."""
    cdef bint reduce_only = maker.flags & ORDER_FLAG_REDUCE_ONLY
    if usually(not position.isolated and credit_bears(
            core, position.account,
            imax(0, loss_at(symbol, maker.side, lots, maker.price_ticks)) if rarely(reduce_only) else 0)):
        return lots
    return maker_bears(core, symbol, position, maker.side, lots, maker.price_ticks, reduce_only)

cdef inline void prefetch_front(Core* core, BookSide* side) noexcept nogil:
    """Asks for what the next fill on this side will touch: the maker's position, and the order behind it.

    The maker's own record was asked for when it stood behind the front.
    """
    cdef Order* front
    if side.best_ticks:
        front = order_at(core, book_front(side).head)
        prefetch(position_at(core, front.position))
        prefetch(<char*>position_at(core, front.position) + 64)
        prefetch(order_at(core, front.next))

cdef inline void fill(
    Core* core, Symbol* symbol, Taker* taker, Level* level, Order* maker, Position* maker_position, int64_t lots
) noexcept nogil:
    """Trades lots at the maker's price: settles the maker, then the taker, and checks both pools."""
    cdef uint32_t slot = level.head
    cdef int64_t price = maker.price_ticks
    cdef int64_t value = lots * price * symbol.m
    cdef uint64_t trade_id = core.next_trade_id
    cdef int64_t part = 0
    cdef Settlement settlement
    core.next_trade_id += 1
    level.lots -= lots
    maker.open_lots -= lots
    maker.filled_lots += lots
    orders_counted(symbol, maker_position, maker, -lots)
    settlement = settle(core, symbol, maker_position, maker.side, lots, price, value, symbol.maker_fee_ppm,
                        maker.flags & ORDER_FLAG_REDUCE_ONLY, NULL)
    event_fill(core, maker_position, maker.side, FILL_ROLE_MAKER, trade_id, maker.order_id,
               client_id_of(core, slot), price, lots, value, maker.open_lots, &settlement)
    if rarely(taker.liquidation):
        part = bankruptcy_part(taker.position, bankruptcy_value(
            core, symbol, taker.position, pool_share(core, symbol, taker.position)), lots)
    taker.open_lots -= lots
    taker.filled_lots += lots
    taker.reach_lots -= lots
    if not taker.followed:
        credit_forget(account_at(core, taker.position.account))
    settlement = settle(core, symbol, taker.position, taker.side, lots, price, value, symbol.taker_fee_ppm,
                        taker.flags & ORDER_FLAG_REDUCE_ONLY, taker)
    event_fill(core, taker.position, taker.side, FILL_ROLE_LIQUIDATED if taker.liquidation else FILL_ROLE_TAKER,
               trade_id, taker.order_id, taker.client_order_id, price, lots, value, taker.open_lots, &settlement)
    if rarely(taker.liquidation):
        settle_liquidation(core, symbol, taker.position, trade_id,
                           part - value if taker.side == SIDE_BUY else value - part, part, value)
    if maker.open_lots == 0:
        order_remove(core, symbol, maker_position, slot)
        prefetch_front(core, &symbol.sides[1 - taker.side])
    if core.risk:
        cancel_useless_reduce_only(core, symbol, maker_position)
        cancel_useless_reduce_only(core, symbol, taker.position)
        position_check(core, maker_position)
        if not taker.liquidation:
            position_check(core, taker.position)
        elif taker.position.isolated:
            pool_check(core, taker.position.account, NULL)

cdef inline void match(Core* core, Symbol* symbol, Taker* taker) noexcept nogil:
    """Trades the taker against the other side of the book until it is filled, stopped or no longer crosses."""
    cdef BookSide* opposite = &symbol.sides[1 - taker.side]
    cdef Level* level
    cdef Position* maker_position
    cdef Order* maker
    cdef uint32_t slot
    cdef int64_t lots
    while taker.open_lots > 0 and crosses(opposite, taker.limit_ticks):
        level = book_front(opposite)
        slot = level.head
        maker = order_at(core, slot)
        maker_position = position_at(core, maker.position)
        if maker_position == taker.position:
            if core.prevent_self_trade:
                prevent_self_trade(core, symbol, taker, slot)
                continue
            taker.followed = False     # measuring the maker would lose sight of what the taker still has to do
        lots = imin(taker.open_lots, maker.open_lots)
        if rarely(taker.flags & ORDER_FLAG_REDUCE_ONLY):
            lots = imin(lots, reducible_lots(taker.position, taker.side))
            if lots == 0:
                taker_cancel(core, taker, CANCEL_REASON_REDUCE_ONLY)
                break
        if rarely(maker.flags & ORDER_FLAG_REDUCE_ONLY):
            lots = imin(lots, reducible_lots(maker_position, maker.side))
            if lots == 0:
                order_cancel(core, symbol, slot, CANCEL_REASON_REDUCE_ONLY)
                continue
        if core.risk and not maker.flags & COUNTED:     # the maker's world may have changed since it placed its order
            lots = bearable(core, symbol, maker_position, maker, lots)
            if rarely(lots == 0):
                order_cancel(core, symbol, slot, CANCEL_REASON_INSUFFICIENT_MARGIN)
                continue
        if rarely(taker.liquidation):
            lots = affordable_lots(core, symbol, taker.position, lots, maker.price_ticks)
            if lots == 0:
                break
        fill(core, symbol, taker, level, maker, maker_position, lots)

# ------------------------------------------------------------------------------------ before any fill

cdef inline int64_t reachable(
    Symbol* symbol, int side, int64_t edge_ticks, int64_t lots, int64_t* worst_ticks
) noexcept nogil:
    """MATCH-02: the lots (at most `lots`) that stand up to a price (0: any), and the last price that is needed for them."""
    cdef BookSide* opposite = &symbol.sides[1 - side]
    cdef int64_t price = opposite.best_ticks
    cdef int64_t found = 0
    worst_ticks[0] = 0
    while price and found < lots and not (edge_ticks and better(opposite, edge_ticks, price)):
        found += book_level(opposite, price).lots
        worst_ticks[0] = price
        price = book_next_price(opposite, price)
    return imin(found, lots)

cdef inline bint counts(Core* core, Symbol* symbol, Position* position, Order* maker) noexcept nogil:
    """Whether a maker can surely give its open lots to a fill-or-kill order, whatever else fills before it (MATCH-03)."""
    if maker.flags & ORDER_FLAG_REDUCE_ONLY:
        return False
    if not core.risk:
        return True
    if not position.isolated and available_with(core, position.account, NULL, False) >= 0:
        return not position.visited or loss_at(symbol, maker.side, maker.open_lots, maker.price_ticks) <= 0
    return not position.visited and position.reduce_only_orders == 0 and maker_bears(
        core, symbol, position, maker.side, maker.open_lots, maker.price_ticks, False) == maker.open_lots

cdef inline bint count_makers(
    Core* core, Symbol* symbol, Taker* taker, int64_t needed, uint32_t* last
) noexcept nogil:
    """Marks the orders that a fill-or-kill order can rely on, and names the last; whether they reach what it needs."""
    cdef BookSide* opposite = &symbol.sides[1 - taker.side]
    cdef int64_t price = opposite.best_ticks
    cdef int64_t count = 0
    cdef Position* position
    cdef uint32_t slot
    cdef Order* maker
    last[0] = 0
    while price and not better(opposite, taker.limit_ticks, price):
        slot = book_level(opposite, price).head
        while slot and count < needed:
            maker = order_at(core, slot)
            position = position_at(core, maker.position)
            if position == taker.position and core.prevent_self_trade:
                if taker.self_trade != SELF_TRADE_PREVENTION_CANCEL_MAKER:
                    return False
            elif counts(core, symbol, position, maker):
                count += maker.open_lots
                maker.flags |= COUNTED
                position.visited = True
                last[0] = slot
            slot = maker.next
        if count >= needed:
            return True
        price = book_next_price(opposite, price)
    return False

cdef inline void forget_counted(Core* core, Symbol* symbol, Taker* taker, uint16_t marks, uint32_t last) noexcept nogil:
    """Takes the marks off again: from the best order to the last that was counted, and no further."""
    cdef BookSide* opposite = &symbol.sides[1 - taker.side]
    cdef int64_t price = opposite.best_ticks
    cdef uint32_t slot
    while price:
        slot = book_level(opposite, price).head
        while slot:
            order_at(core, slot).flags &= ~marks
            position_at(core, order_at(core, slot).position).visited = False
            if slot == last:
                return
            slot = order_at(core, slot).next
        price = book_next_price(opposite, price)

cdef inline bint fill_or_kill(Core* core, Symbol* symbol, Taker* taker, int64_t needed) noexcept nogil:
    """MATCH-03: all or nothing, decided before any fill; False if it was nothing."""
    cdef uint32_t last
    cdef uint64_t last_id
    cdef bint enough = count_makers(core, symbol, taker, needed, &last)
    if last == 0:
        return False
    last_id = order_at(core, last).order_id
    forget_counted(core, symbol, taker, 0 if enough else COUNTED, last)
    if enough:
        match(core, symbol, taker)
        # Makers fill in the order in which they were counted: if the last is gone, all of them are.
        if order_index_find(core, last_id) == last:
            forget_counted(core, symbol, taker, COUNTED, last)
    return enough
