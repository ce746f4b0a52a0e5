"""The auction: one price at which most trades, then everything that crosses trades at it (MATCH-12)."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from native.book cimport book_front, book_level, book_next_price
from native.caps cimport interest_lots
from native.core cimport (
    Account, BookSide, Core, FAULT_NO_MEMORY, Order, Position, Symbol, account_at, account_more, client_id_of,
    ensure, order_at, position_at, reducible_lots,
)
from native.events cimport event_new
from native.ledger cimport Settlement, event_fill, orders_counted
from native.margin cimport maker_bears
from native.matching cimport decrement_resting, follow_fill, print_trade, settle, stp_group_of, visible_lots
from native.order_life cimport cancel_useless_reduce_only, order_cancel, slice_taken
from native.queue cimport position_check
from native.units cimport iabs, imax, imin
from native.wire cimport *

# The price of an auction, what trades at it, and what is left at it (buys positive).  All 0: nothing would trade.
cdef struct Uncrossing:
    int64_t price_ticks
    int64_t qty_lots
    int64_t imbalance_lots

cdef struct LevelSum:
    int64_t price_ticks
    int64_t lots

# --------------------------------------------------------------------------------------- finding the price

cdef inline bint crossed(Symbol* symbol) noexcept nogil:
    return symbol.sides[1].best_ticks != 0 and symbol.sides[0].best_ticks >= symbol.sides[1].best_ticks

cdef inline int64_t crossing_levels(BookSide* bids, int64_t lowest_ticks, LevelSum* levels) noexcept nogil:
    """Counts the bid levels from the best down to a price, and writes them where `levels` is not NULL."""
    cdef int64_t price = bids.best_ticks
    cdef int64_t count = 0
    while price and price >= lowest_ticks:
        if levels != NULL:
            levels[count].price_ticks = price
            levels[count].lots = book_level(bids, price).lots
        count += 1
        price = book_next_price(bids, price)
    return count

cdef inline int64_t nearest_in(int64_t low, int64_t high, int64_t wanted) noexcept nogil:
    return imin(imax(wanted, low), high)

cdef inline bint is_better(Uncrossing* a, Uncrossing* b, int64_t mark_ticks) noexcept nogil:
    """Whether price a is to be preferred: more trades, less is left, nearer to the mark, lower."""
    if a.qty_lots != b.qty_lots:
        return a.qty_lots > b.qty_lots
    if iabs(a.imbalance_lots) != iabs(b.imbalance_lots):
        return iabs(a.imbalance_lots) < iabs(b.imbalance_lots)
    if iabs(a.price_ticks - mark_ticks) != iabs(b.price_ticks - mark_ticks):
        return iabs(a.price_ticks - mark_ticks) < iabs(b.price_ticks - mark_ticks)
    return a.price_ticks < b.price_ticks

cdef inline Uncrossing find_uncrossing(Core* core, Symbol* symbol) noexcept nogil:
    """Walks up from the best offer to the best bid, from one price at which something changes to the next."""
    cdef Uncrossing best, here
    cdef BookSide* bids = &symbol.sides[0]
    cdef BookSide* asks = &symbol.sides[1]
    cdef int64_t low = asks.best_ticks
    cdef int64_t ask = asks.best_ticks     # the next offer that is not counted yet
    cdef int64_t bid_lots = 0
    cdef int64_t ask_lots = 0
    cdef int64_t high, i, count
    cdef LevelSum* levels
    best.price_ticks = best.qty_lots = best.imbalance_lots = 0
    if not crossed(symbol):
        return best
    count = crossing_levels(bids, low, NULL)
    levels = <LevelSum*>malloc(count * sizeof(LevelSum))
    if levels == NULL:
        ensure(core, False, FAULT_NO_MEMORY)
        return best
    crossing_levels(bids, low, levels)
    for i in range(count):
        bid_lots += levels[i].lots
    i = count - 1                          # the lowest bid that is still counted
    while low <= bids.best_ticks:
        while ask and ask <= low:
            ask_lots += book_level(asks, ask).lots
            ask = book_next_price(asks, ask)
        while levels[i].price_ticks < low:
            bid_lots -= levels[i].lots
            i -= 1
        high = imin(levels[i].price_ticks, ask - 1 if ask else levels[i].price_ticks)
        here.price_ticks = nearest_in(low, high, symbol.mark_ticks)
        here.qty_lots = imin(bid_lots, ask_lots)
        here.imbalance_lots = bid_lots - ask_lots
        if best.qty_lots == 0 or is_better(&here, &best, symbol.mark_ticks):
            best = here
        low = high + 1
    free(levels)
    return best

cdef inline void event_auction(Core* core, Symbol* symbol, int kind, Uncrossing* found) noexcept nogil:
    """auction_indicated or auction_uncrossed: their records are alike."""
    cdef wire_auction_indicated* e = <wire_auction_indicated*>event_new(
        core, <unsigned short>kind, sizeof(wire_auction_indicated), 0)
    e.symbol = symbol.symbol
    e.price_ticks = found.price_ticks
    e.qty_lots = found.qty_lots
    e.imbalance_lots = found.imbalance_lots

cdef inline void indicate(Core* core, Symbol* symbol) noexcept nogil:
    """Tells what the auction would give now."""
    cdef Uncrossing found = find_uncrossing(core, symbol)
    event_auction(core, symbol, EVENT_AUCTION_INDICATED, &found)

# ------------------------------------------------------------------------------------------- trading at it

cdef inline bint are_own(Core* core, Position* a, Position* b) noexcept nogil:
    """Whether two orders belong to one account or group (MATCH-06)."""
    cdef uint32_t group = stp_group_of(core, a.account)
    return (a.account == b.account and core.prevent_self_trade) or (
        group != 0 and group == account_more(core, b.account).stp_group)

cdef inline void prevent_own_auction(Core* core, Symbol* symbol, uint32_t buy, uint32_t sell) noexcept nogil:
    """MATCH-06 between two resting orders: the younger counts as the taker."""
    cdef uint32_t older = buy
    cdef uint32_t younger = sell
    cdef int mode
    cdef int64_t lots
    if order_at(core, buy).order_id > order_at(core, sell).order_id:
        older, younger = sell, buy
    mode = order_at(core, younger).self_trade
    if mode == SELF_TRADE_PREVENTION_DECREMENT:
        lots = imin(visible_lots(core, older), visible_lots(core, younger))
        decrement_resting(core, symbol, older, lots)
        decrement_resting(core, symbol, younger, lots)
        return
    if mode != SELF_TRADE_PREVENTION_CANCEL_TAKER:
        order_cancel(core, symbol, older, CANCEL_REASON_SELF_TRADE)
    if mode != SELF_TRADE_PREVENTION_CANCEL_MAKER:
        order_cancel(core, symbol, younger, CANCEL_REASON_SELF_TRADE)

cdef inline int64_t auction_lots(Core* core, Symbol* symbol, uint32_t slot, int64_t lots, int64_t price_ticks) noexcept nogil:
    """How many of these lots an order can trade; where it is none the order is cancelled (MATCH-11, MARGIN-07b)."""
    cdef Order* order = order_at(core, slot)
    cdef Position* position = position_at(core, order.position)
    cdef bint reduce_only = order.flags & ORDER_FLAG_REDUCE_ONLY
    if reduce_only:
        lots = imin(lots, reducible_lots(position, order.side))
        if lots == 0:
            order_cancel(core, symbol, slot, CANCEL_REASON_REDUCE_ONLY)
            return 0
    if core.risk:
        lots = maker_bears(core, symbol, position, order.side, lots, price_ticks, reduce_only)
        if lots == 0:
            order_cancel(core, symbol, slot, CANCEL_REASON_INSUFFICIENT_MARGIN)
    return lots

cdef inline int64_t auction_interest(Core* core, Symbol* symbol, uint32_t buy, uint32_t sell, int64_t lots) noexcept nogil:
    """How many of these lots open interest has room for; where it is none the younger order is cancelled (MARGIN-11)."""
    cdef uint32_t younger = buy if order_at(core, buy).order_id > order_at(core, sell).order_id else sell
    lots = interest_lots(symbol, position_at(core, order_at(core, buy).position),
                         position_at(core, order_at(core, sell).position), lots)
    if lots == 0:
        order_cancel(core, symbol, younger, CANCEL_REASON_OPEN_INTEREST_LIMIT)
    return lots

cdef inline void auction_settle(
    Core* core, Symbol* symbol, uint32_t slot, int64_t lots, int64_t price_ticks, uint64_t trade_id
) noexcept nogil:
    """One side of an auction's fill; an auction pays no rebate."""
    cdef Order* order = order_at(core, slot)
    cdef Position* position = position_at(core, order.position)
    cdef int64_t value = lots * price_ticks * symbol.m
    cdef Account* owner = account_at(core, position.account)
    cdef Settlement settlement
    book_front(&symbol.sides[order.side]).lots -= lots
    order.open_lots -= lots
    order.filled_lots += lots
    orders_counted(symbol, position, order.side, order.price_ticks, order.flags, -lots)
    settlement = settle(core, symbol, position, owner, order.side, lots, price_ticks, value,
                        imax(0, symbol.maker_fee_ppm),
                        order.flags & ORDER_FLAG_REDUCE_ONLY, NULL)
    event_fill(core, position, owner, order.side, FILL_ROLE_AUCTION, trade_id, order.order_id, client_id_of(core, slot),
               price_ticks, lots, value, order.open_lots, &settlement)

cdef inline void auction_fill(
    Core* core, Symbol* symbol, uint32_t buy, uint32_t sell, int64_t lots, int64_t price_ticks
) noexcept nogil:
    cdef Position* buyer = position_at(core, order_at(core, buy).position)
    cdef Position* seller = position_at(core, order_at(core, sell).position)
    cdef uint64_t trade_id = core.next_trade_id
    core.next_trade_id += 1
    auction_settle(core, symbol, buy, lots, price_ticks, trade_id)
    auction_settle(core, symbol, sell, lots, price_ticks, trade_id)
    print_trade(core, symbol, price_ticks, False)
    if order_at(core, buy).flags & ORDER_FLAG_ICEBERG:
        slice_taken(core, symbol, buyer, buy, lots)
    if order_at(core, sell).flags & ORDER_FLAG_ICEBERG:
        slice_taken(core, symbol, seller, sell, lots)
    follow_fill(core, symbol, buyer, buy, lots)
    follow_fill(core, symbol, seller, sell, lots)
    if core.risk:
        cancel_useless_reduce_only(core, symbol, buyer)
        cancel_useless_reduce_only(core, symbol, seller)
        position_check(core, buyer)
        position_check(core, seller)

cdef inline void uncross_at(Core* core, Symbol* symbol, int64_t price_ticks) noexcept nogil:
    """Front bid against front offer, while both accept the price."""
    cdef uint32_t buy, sell
    cdef int64_t lots
    while symbol.sides[0].best_ticks >= price_ticks and 0 < symbol.sides[1].best_ticks <= price_ticks:
        buy = book_front(&symbol.sides[0]).head
        sell = book_front(&symbol.sides[1]).head
        if are_own(core, position_at(core, order_at(core, buy).position), position_at(core, order_at(core, sell).position)):
            prevent_own_auction(core, symbol, buy, sell)
            continue
        lots = imin(visible_lots(core, buy), visible_lots(core, sell))
        lots = auction_lots(core, symbol, buy, lots, price_ticks)
        if lots:
            lots = auction_lots(core, symbol, sell, lots, price_ticks)
        if lots and symbol.open_interest_limit_atoms >= 0:
            lots = auction_interest(core, symbol, buy, sell, lots)
        if lots:
            auction_fill(core, symbol, buy, sell, lots, price_ticks)

cdef inline void uncross(Core* core, Symbol* symbol) noexcept nogil:
    """The auction; again, if orders that were cancelled on the way leave the book crossed."""
    cdef Uncrossing found
    while crossed(symbol) and core.fault == 0:
        found = find_uncrossing(core, symbol)
        event_auction(core, symbol, EVENT_AUCTION_UNCROSSED, &found)
        uncross_at(core, symbol, found.price_ticks)
