"""The matching loop: price-time priority, and margin applied at every fill to maker and taker alike (MATCH-01..11).

This is the one place that touches both the book and the ledger.  A fill never starts a liquidation: it settles, tells,
and leaves the pools that it may have hurt in the queue, which is worked off when the command is done.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from native.bankruptcy cimport (
    affordable_lots, bankruptcy_part, bankruptcy_value, pool_share, settle_liquidation,
)
from native.book cimport better, book_front, book_level, book_next_price, book_reduce, crosses
from native.core cimport (
    Account, BookSide, Core, Level, Order, Position, Symbol, account_at, account_more, client_id_of, is_large, more_at,
    order_at, position_at, prefetch_position, reducible_lots,
)
from native.credit cimport credit_after_fill, credit_bears, credit_forget, credit_has, credit_pays
from native.events cimport event_order_reduced
from native.ledger cimport Settlement, event_fill, orders_counted, pay_fee, payable_fee, settle_position, take_back_rebate
from native.margin cimport available_with, loss_at, maker_bears
from native.memory cimport prefetch
from native.order_life cimport (
    COUNTING, LIQUIDATION, Taker, UNFOLLOWED, cancel_useless_reduce_only, link_filled, link_leave, order_cancel,
    order_remove, slice_taken, taker_cancel,
)
from native.queue cimport pool_check, position_check
from native.units cimport apart, apart_int64, imax, imin, ppm_ceil, rarely, usually
from native.waiting cimport touch
from native.wire cimport *

# ---------------------------------------------------------------------------------------- self-trade

cdef inline uint32_t stp_group_of(Core* core, uint32_t account) noexcept nogil:
    """The group of accounts that an account does not trade with; 0: it alone."""
    return account_more(core, account).stp_group if core.stp_groups else 0

cdef inline bint is_own(Core* core, Taker* taker, uint32_t account) noexcept nogil:
    """Whether a maker's account is the taker's or of its group (MATCH-06)."""
    if account == taker.position.account:
        return core.prevent_self_trade
    return taker.stp_group != 0 and taker.stp_group == account_more(core, account).stp_group

cdef inline int64_t visible_lots(Core* core, uint32_t slot) noexcept nogil:
    """What a resting order has in the queue: all of it, or an iceberg's slice."""
    if rarely(order_at(core, slot).flags & ORDER_FLAG_ICEBERG):
        return more_at(core, slot).shown_lots
    return order_at(core, slot).open_lots

cdef inline bint counted_on(Core* core, Taker* taker, uint32_t slot) noexcept nogil:
    """Whether the taker is a fill-or-kill order that relies on this maker (MATCH-03)."""
    return taker.special & COUNTING and more_at(core, slot).counted_by == taker.order_id

cdef inline void decrement_resting(Core* core, Symbol* symbol, uint32_t slot, int64_t lots) noexcept nogil:
    """Takes lots off a resting order without a trade."""
    cdef Order* order = order_at(core, slot)
    cdef Position* position = position_at(core, order.position)
    if order.open_lots == lots:
        order_cancel(core, symbol, slot, CANCEL_REASON_SELF_TRADE)
        return
    book_reduce(&symbol.sides[order.side], order, lots)
    order.filled_lots += lots
    orders_counted(symbol, position, order.side, order.price_ticks, order.flags, -lots)
    event_order_reduced(core, position, order.side, ORDER_PLACE_BOOK, order.order_id, client_id_of(core, slot),
                        order.price_ticks, lots, order.open_lots)
    if order.flags & ORDER_FLAG_ICEBERG:
        slice_taken(core, symbol, position, slot, lots)

cdef inline void decrement(Core* core, Symbol* symbol, Taker* taker, uint32_t slot) noexcept nogil:
    """MATCH-06, decrement: both orders lose the smaller open quantity, without a trade."""
    cdef int64_t lots = imin(taker.open_lots, visible_lots(core, slot))
    decrement_resting(core, symbol, slot, lots)
    if taker.open_lots == lots:
        taker_cancel(core, taker, CANCEL_REASON_SELF_TRADE)
        return
    taker.open_lots -= lots
    taker.filled_lots += lots
    event_order_reduced(core, taker.position, taker.side, ORDER_PLACE_TAKER, taker.order_id, taker.client_order_id,
                        taker.shown_ticks, lots, taker.open_lots)

cdef inline apart prevent_self_trade(Core* core, Symbol* symbol, Taker* taker, uint32_t slot) noexcept nogil:
    """MATCH-06: the taker met an order of its own."""
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
    Core* core, Symbol* symbol, Position* position, int side, int64_t fee_atoms, bint reduce_only, Taker* taker
) noexcept nogil:
    """Takes the fee of a fill, or pays the rebate (ACCT-04); returns what was paid.  `taker` is NULL for a maker.

    Credit holds what the rest of an order may lose already, but for a reduce-only one (credit.pxd).
    """
    cdef Account* owner = account_at(core, position.account)
    cdef int64_t kept = taker_may_lose(symbol, taker) if taker != NULL else 0
    cdef int64_t fee = fee_atoms
    if fee > 0 and not credit_has(core, owner, fee + (kept if reduce_only else 0)):
        fee = payable_fee(core, symbol, position, side, fee, kept)
    pay_fee(core, owner, fee)
    return fee

cdef inline apart_int64 settle_fee(
    Core* core, Symbol* symbol, Position* position, int side, int64_t lots, int64_t price_ticks,
    int64_t fee_atoms, bint reduce_only, Taker* taker
) noexcept nogil:
    """What a fill means for credit, and its fee, where credit does not cover both; returns the fee that was paid."""
    credit_after_fill(account_at(core, position.account), symbol, position, side, lots, price_ticks, reduce_only)
    if taker != NULL and taker.special & LIQUIDATION:
        return 0
    return charge_fee(core, symbol, position, side, fee_atoms, reduce_only, taker)

cdef inline Settlement settle(
    Core* core, Symbol* symbol, Position* position, Account* owner, int side, int64_t lots, int64_t price_ticks,
    int64_t value_atoms, int64_t fee_ppm, bint reduce_only, Taker* taker
) noexcept nogil:
    """One side of a fill: position, realised profit, margin, fee (ACCT-03..05).  `taker` is NULL for the maker's side."""
    cdef bint liquidated = taker != NULL and taker.special & LIQUIDATION
    cdef Settlement settlement
    settlement.realised_atoms = settlement.fee_atoms = 0
    settlement.sound = not core.risk
    if core.risk:
        settlement.realised_atoms = settle_position(
            core, symbol, position, owner, side, lots, value_atoms, price_ticks, liquidated)
        settlement.fee_atoms = ppm_ceil(value_atoms, fee_ppm)
        settlement.sound = not (position.isolated or reduce_only or liquidated) \
            and credit_pays(core, owner, settlement.fee_atoms)
        if usually(settlement.sound):
            pay_fee(core, owner, settlement.fee_atoms)
        else:
            settlement.fee_atoms = settle_fee(
                core, symbol, position, side, lots, price_ticks, settlement.fee_atoms, reduce_only, taker)
    return settlement

cdef inline apart_int64 bearable(
    Core* core, Symbol* symbol, Position* position, Order* maker, int64_t lots
) noexcept nogil:
    """MARGIN-07b: how many of these lots a maker's pool can bear, by credit where that shows it."""
    cdef bint reduce_only = maker.flags & ORDER_FLAG_REDUCE_ONLY
    if not position.isolated and credit_bears(
            core, position.account, imax(0, loss_at(symbol, maker.side, lots, maker.price_ticks)) if reduce_only else 0):
        return lots
    return maker_bears(core, symbol, position, maker.side, lots, maker.price_ticks, reduce_only)

cdef inline bint surely_bears(Core* core, Position* position, Account* owner, Order* maker) noexcept nogil:
    """MARGIN-07b: whether a maker's pool is known to bear whatever it fills: it has credit, and credit counts the order."""
    return not (position.isolated or maker.flags & ORDER_FLAG_REDUCE_ONLY) and credit_has(core, owner, 0)

cdef inline void prefetch_front(Core* core, BookSide* side) noexcept nogil:
    """Asks for what the next fill on this side will touch: the maker's account and position, and the order behind it.

    The maker's own record was asked for when it stood behind the front.
    """
    cdef Order* front
    if rarely(is_large(core)) and side.best_ticks:
        front = order_at(core, book_front(side).head)
        prefetch(account_at(core, front.account))
        prefetch_position(position_at(core, front.position))
        prefetch(order_at(core, front.next))

cdef inline void print_trade(Core* core, Symbol* symbol, int64_t price_ticks, bint liquidation) noexcept nogil:
    """The last trade, which triggers may watch; a liquidation's does not count for the mark (LIQ-09, MARK-02)."""
    symbol.last_ticks = price_ticks
    if usually(not liquidation):
        symbol.market_last_ticks = price_ticks
    if rarely(symbol.triggers != NULL):
        touch(core, symbol)

cdef inline void follow_fill(Core* core, Symbol* symbol, Position* position, uint32_t slot, int64_t lots) noexcept nogil:
    """What a fill means for a resting order and its siblings: if nothing is left of it, it leaves."""
    cdef Order* order = order_at(core, slot)
    if rarely(order.flags & ORDER_FLAG_LINKED):
        link_filled(core, slot, lots)
    if order.open_lots == 0:
        order_remove(core, symbol, position, slot)
        prefetch_front(core, &symbol.sides[order.side])

cdef inline void follow_taker_fill(Core* core, Taker* taker, int64_t lots) noexcept nogil:
    """The same for the taker, which is in no queue."""
    if rarely(taker.flags & ORDER_FLAG_LINKED):
        link_filled(core, taker.slot, lots)
        if taker.open_lots == 0:
            link_leave(core, taker.slot)

cdef inline apart check_pools(Core* core, Position* maker_position, Taker* taker) noexcept nogil:
    """MARGIN-08, after a fill: a pool that it left below maintenance joins the queue."""
    position_check(core, maker_position)
    if not taker.special & LIQUIDATION:
        position_check(core, taker.position)
    elif taker.position.isolated:
        pool_check(core, taker.position.account, NULL)

cdef inline apart_int64 bankrupt_part(Core* core, Symbol* symbol, Taker* taker, int64_t lots) noexcept nogil:
    """What lots of a position that is liquidated are worth at bankruptcy (LIQ-05)."""
    return bankruptcy_part(taker.position, bankruptcy_value(
        core, symbol, taker.position, pool_share(core, symbol, taker.position)), lots)

cdef inline void fill(
    Core* core, Symbol* symbol, Taker* taker, Level* level, Order* maker, Position* maker_position, int64_t lots
) noexcept nogil:
    """Trades lots at the maker's price: settles the maker, then the taker, and checks both pools."""
    cdef uint32_t slot = level.head
    cdef int64_t price = maker.price_ticks
    cdef int64_t value = lots * price * symbol.m
    cdef uint64_t trade_id = core.next_trade_id
    cdef Position* position = taker.position
    cdef Account* maker_owner = account_at(core, maker.account)
    cdef Account* owner = account_at(core, position.account)
    cdef int side = taker.side
    cdef int64_t part = 0
    cdef Settlement given, taken
    cdef wire_fill* told
    core.next_trade_id += 1
    level.lots -= lots
    maker.open_lots -= lots
    maker.filled_lots += lots
    orders_counted(symbol, maker_position, 1 - side, price, maker.flags, -lots)
    given = settle(core, symbol, maker_position, maker_owner, 1 - side, lots, price, value, symbol.maker_fee_ppm,
                   maker.flags & ORDER_FLAG_REDUCE_ONLY, NULL)
    told = <wire_fill*>core.events_at
    event_fill(core, maker_position, maker_owner, 1 - side, FILL_ROLE_MAKER, trade_id, maker.order_id,
               client_id_of(core, slot), price, lots, value, maker.open_lots, &given)
    if rarely(taker.special & LIQUIDATION):
        part = bankrupt_part(core, symbol, taker, lots)
    if rarely(taker.special & UNFOLLOWED):
        credit_forget(owner)
    taker.open_lots -= lots
    taker.filled_lots += lots
    taker.reach_lots -= lots
    taken = settle(core, symbol, position, owner, side, lots, price, value, symbol.taker_fee_ppm,
                   taker.flags & ORDER_FLAG_REDUCE_ONLY, taker)
    if rarely(given.fee_atoms + taken.fee_atoms < 0):
        take_back_rebate(core, maker_owner, told, &given, taken.fee_atoms)
    event_fill(core, position, owner, side, FILL_ROLE_LIQUIDATED if taker.special & LIQUIDATION else FILL_ROLE_TAKER,
               trade_id, taker.order_id, taker.client_order_id, price, lots, value, taker.open_lots, &taken)
    if rarely(taker.special & LIQUIDATION):
        settle_liquidation(
            core, symbol, position, trade_id, part - value if side == SIDE_BUY else value - part, part, value,
            (lots * symbol.mark_ticks * symbol.m - value) * (1 if side == SIDE_SELL else -1))
    print_trade(core, symbol, price, taker.special & LIQUIDATION)
    if rarely(maker.flags & ORDER_FLAG_ICEBERG):
        slice_taken(core, symbol, maker_position, slot, lots)
    follow_fill(core, symbol, maker_position, slot, lots)
    follow_taker_fill(core, taker, lots)
    if core.risk:
        cancel_useless_reduce_only(core, symbol, maker_position)
        cancel_useless_reduce_only(core, symbol, position)
    if rarely(not (given.sound and taken.sound)):
        check_pools(core, maker_position, taker)

cdef inline apart match(Core* core, Symbol* symbol, Taker* taker) noexcept nogil:
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
        if rarely(is_own(core, taker, maker.account)):
            prevent_self_trade(core, symbol, taker, slot)
            continue
        if rarely(maker.account == taker.position.account):
            taker.special |= UNFOLLOWED    # measuring the maker would lose sight of what the taker still has to do
        lots = imin(taker.open_lots, visible_lots(core, slot))
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
        if core.risk and rarely(not surely_bears(
                core, maker_position, account_at(core, maker.account), maker)) and not counted_on(core, taker, slot):
            # the maker's world may have changed since it placed its order
            lots = bearable(core, symbol, maker_position, maker, lots)
            if lots == 0:
                order_cancel(core, symbol, slot, CANCEL_REASON_INSUFFICIENT_MARGIN)
                continue
        if rarely(taker.special & LIQUIDATION):
            lots = affordable_lots(core, symbol, taker.position, taker.order_id, lots, maker.price_ticks)
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
    cdef int levels = 0
    worst_ticks[0] = 0
    while price and found < lots and levels < MAX_MARKET_LEVELS and not (edge_ticks and better(opposite, edge_ticks, price)):
        found += book_level(opposite, price).lots
        worst_ticks[0] = price
        levels += 1
        price = book_next_price(opposite, price)
    return imin(found, lots)

cdef inline bint counts(Core* core, Symbol* symbol, Taker* taker, Position* position, Order* maker) noexcept nogil:
    """Whether a maker can surely give its open lots to a fill-or-kill order, whatever else fills before it (MATCH-03)."""
    cdef bint before = position.counted_by == taker.order_id
    if maker.flags & ORDER_FLAG_REDUCE_ONLY:
        return False
    if not core.risk:
        return True
    if not position.isolated and available_with(core, position.account, NULL, False) >= 0:
        return not before or loss_at(symbol, maker.side, maker.open_lots, maker.price_ticks) <= 0
    return not before and position.reduce_only_orders == position.waiting_reduce_only and maker_bears(
        core, symbol, position, maker.side, maker.open_lots, maker.price_ticks, False) == maker.open_lots

cdef inline bint fill_or_kill(Core* core, Symbol* symbol, Taker* taker, int64_t needed) noexcept nogil:
    """MATCH-03: whether all can be filled; the orders that this relies on are marked with the taker's id."""
    cdef BookSide* opposite = &symbol.sides[1 - taker.side]
    cdef int64_t price = opposite.best_ticks
    cdef int64_t count = 0
    cdef int looked_at = 0
    cdef Position* position
    cdef uint32_t slot
    cdef Order* maker
    taker.special |= COUNTING
    while price and not better(opposite, taker.limit_ticks, price):
        slot = book_level(opposite, price).head
        while slot and count < needed:
            if looked_at == MAX_FOK_ORDERS:
                return False
            looked_at += 1
            maker = order_at(core, slot)
            position = position_at(core, maker.position)
            if is_own(core, taker, maker.account):
                if taker.self_trade != SELF_TRADE_PREVENTION_CANCEL_MAKER:
                    return False
            elif counts(core, symbol, taker, position, maker):
                count += maker.open_lots
                more_at(core, slot).counted_by = taker.order_id
                position.counted_by = taker.order_id
            slot = maker.next
        if count >= needed:
            return True
        price = book_next_price(opposite, price)
    return False
