"""A pocket venue: what one account needs of the exchange to act alone, as canonical bytes (docs/what-if.md).

Theory of operation.  Asking "what if" must cost as much as the account and not as much as the venue.  So the symbols that
are touched, the funds, and the account whole are written as they are; of everybody else only what the account could meet:
the orders at the front of the books.  Each of their owners becomes a *stand-in* that is good for whatever it has offered:
its position there (so that reduce-only orders are what they are), its self-trade group, cross margin, a wallet that
nothing empties and, should a deficit be borne, a profit that is never used up.  One more stand-in, the *world*, in hedge
mode, holds what is missing of the long and of the short side of every symbol.
The result is an ordinary canonical state: an ordinary engine restores it, and applies ordinary commands.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset
from native.book cimport book_level, book_next_price
from native.canonical cimport (
    Writer, all_waiting, leave_count, order_record, position_is_default, put, put_accounts, put_count, put_positions,
    state_account, state_order, state_position, write_after_orders, write_funds, write_head, write_symbols, write_waiting,
)
from native.core cimport (
    AccountMore, BookSide, Core, Order, Position, Symbol, account_at, account_more, order_at, position_at, symbol_at,
)
from native.own_orders cimport own_sort
from native.units cimport iabs
from native.wire cimport LEG_LONG, LEG_SHORT, MAX_ASSETS, MAX_SYMBOL, ORDER_FLAG_REDUCE_ONLY

cdef enum:
    LEAST_ORDERS = 24                  # of others that are copied from each side, be there ever so little to fill
    MOST_ORDERS = 4096                 # of others that are copied from each side
    MOST_LOTS_BITS = 50                # of what is wanted, so that sums of lots stay in range

# A symbol of the pocket, and how much of it the account might trade.
cdef struct Wanted:
    uint32_t symbol
    int64_t lots
    int64_t first_maker                # its stand-ins
    int64_t end_maker
    bint cut[2]                        # the side has more orders, and what was copied may not do

cdef struct Copied:
    uint32_t slot                      # of an order that rests
    uint32_t owner                     # its stand-in's place + 1; 0: the account itself

cdef struct Pocket:
    uint32_t account
    bint liquidity                     # off: no orders of others
    uint8_t* mask                      # by number: whether the symbol is in it
    Wanted* symbols                    # by number
    int64_t symbol_count
    Copied* orders                     # in canonical order
    int64_t order_count
    int64_t order_capacity
    Position** makers                  # what each stand-in holds
    int64_t maker_count
    int64_t maker_capacity

cdef inline int64_t stand_in_wallet() noexcept nogil:
    return <int64_t>1 << 61            # more than all exposure limits together (UNITS-01)

cdef inline uint32_t stand_in(Pocket* pocket, int64_t place) noexcept nogil:
    """The account number of a stand-in: small ones, near each other in memory, without that of the account."""
    return <uint32_t>(place + 1 if place + 1 < pocket.account else place + 2)

cdef inline void pocket_close(Pocket* pocket) noexcept nogil:
    free(pocket.mask)
    free(pocket.symbols)
    free(pocket.orders)
    free(pocket.makers)

# ------------------------------------------------------------------------------------------- which symbols

cdef inline bint has_business(Position* position) noexcept nogil:
    return not position_is_default(position) or position.order_count != 0 or position.caused_atoms != 0 \
        or position.auto_margin

cdef inline int64_t own_lots(Core* core, Position* position) noexcept nogil:
    """What the account itself might trade on a symbol: all its orders, and the whole position."""
    cdef int64_t lots = iabs(position.position_lots)
    cdef uint32_t slot
    cdef int side
    for side in range(2):
        slot = position.own_head[side]
        while slot:
            lots += order_at(core, slot).open_lots
            slot = order_at(core, slot).own_next
    slot = position.waiting_head
    while slot:
        lots += order_at(core, slot).open_lots
        slot = order_at(core, slot).own_next
    return lots

cdef inline Position* own_entry(Core* core, Pocket* pocket, uint32_t symbol, Position* after) noexcept nogil:
    """The account's first entry on a symbol, or the one of another leg that follows; NULL: there is none."""
    cdef uint32_t slot = after.next if after != NULL else account_at(core, pocket.account).first_position
    while slot and position_at(core, slot).symbol < symbol:
        slot = position_at(core, slot).next
    return position_at(core, slot) if slot and position_at(core, slot).symbol == symbol else NULL

cdef inline int gather_symbols(Core* core, Pocket* pocket, dict lots) except -1:
    """The symbols of `lots` that are listed, and those on which the account holds, set or offers something."""
    cdef Position* position
    cdef uint32_t slot = account_at(core, pocket.account).first_position
    cdef uint32_t number
    cdef Wanted* wanted
    pocket.mask = <uint8_t*>calloc(MAX_SYMBOL + 1, 1)
    if pocket.mask == NULL:
        raise MemoryError("no memory for a pocket venue")
    for asked in lots:
        if 0 <= asked <= MAX_SYMBOL:
            pocket.mask[asked] = symbol_at(core, asked) != NULL
    while slot:
        position = position_at(core, slot)
        if has_business(position):
            pocket.mask[position.symbol] = 1
        slot = position.next
    for number in range(core.highest_symbol + 1):
        pocket.symbol_count += pocket.mask[number]
    pocket.symbols = <Wanted*>calloc(pocket.symbol_count + 1, sizeof(Wanted))
    if pocket.symbols == NULL:
        raise MemoryError("no memory for the symbols of a pocket venue")
    wanted = pocket.symbols
    for number in range(core.highest_symbol + 1):
        if pocket.mask[number]:
            wanted.symbol = number
            wanted.lots = min(lots.get(number, 0) + lots.get(0, 0), <int64_t>1 << MOST_LOTS_BITS)
            position = own_entry(core, pocket, number, NULL)
            while position != NULL:
                wanted.lots += own_lots(core, position)
                position = own_entry(core, pocket, number, position)
            wanted += 1
    return 0

# ------------------------------------------------------------------------------------- which orders, of whom

cdef inline int add_order(Pocket* pocket, uint32_t slot, uint32_t owner) except -1:
    cdef void* grown
    if pocket.order_count == pocket.order_capacity:
        pocket.order_capacity = 2 * pocket.order_capacity + 64
        grown = realloc(pocket.orders, pocket.order_capacity * sizeof(Copied))
        if grown == NULL:
            raise MemoryError("no memory for the orders of a pocket venue")
        pocket.orders = <Copied*>grown
    pocket.orders[pocket.order_count].slot = slot
    pocket.orders[pocket.order_count].owner = owner
    pocket.order_count += 1
    return 0

cdef inline uint32_t maker_place(Pocket* pocket, int64_t first, Position* entry) except 0:
    """The place + 1 of the stand-in for an entry of the symbol whose stand-ins begin at `first`."""
    cdef int64_t i = pocket.maker_count - 1
    cdef void* grown
    while i >= first:                  # neighbours in a book are often of one owner
        if pocket.makers[i] == entry:
            return <uint32_t>(i + 1)
        i -= 1
    if pocket.maker_count == pocket.maker_capacity:
        pocket.maker_capacity = 2 * pocket.maker_capacity + 64
        grown = realloc(pocket.makers, pocket.maker_capacity * sizeof(Position*))
        if grown == NULL:
            raise MemoryError("no memory for the stand-ins of a pocket venue")
        pocket.makers = <Position**>grown
    pocket.makers[pocket.maker_count] = entry
    pocket.maker_count += 1
    return <uint32_t>pocket.maker_count

cdef inline int64_t fillable_lots(Core* core, Pocket* pocket, Order* order) noexcept nogil:
    """What the account can surely take of an order."""
    cdef uint32_t group
    if order.flags & ORDER_FLAG_REDUCE_ONLY:
        return 0
    if core.stp_groups:
        group = account_more(core, order.account).stp_group
        if group != 0 and group == account_more(core, pocket.account).stp_group:
            return 0
    return order.open_lots

cdef inline int gather_side(Core* core, Pocket* pocket, Wanted* wanted, int side) except -1:
    """The front of one side, the account's orders in their places, and those that stand behind it."""
    cdef BookSide* book = &symbol_at(core, wanted.symbol).sides[side]
    cdef int64_t price = book.best_ticks if pocket.liquidity else 0
    cdef int64_t lots = 0
    cdef int64_t count = 0
    cdef int64_t[3] own_count          # in front, by leg
    cdef bint is_full = False
    cdef Position* own
    cdef uint32_t slot, owner
    own_count[:] = [0, 0, 0]
    wanted.cut[side] = False
    while price:
        slot = book_level(book, price).head
        while slot:
            if order_at(core, slot).account == pocket.account:
                owner = 0
                own_count[position_at(core, order_at(core, slot).position).leg] += 1
            elif count >= MOST_ORDERS or (count >= LEAST_ORDERS and lots >= wanted.lots):
                is_full = True
                wanted.cut[side] = lots < wanted.lots
                break
            else:
                owner = maker_place(pocket, wanted.first_maker, position_at(core, order_at(core, slot).position))
                count += 1
                lots += fillable_lots(core, pocket, order_at(core, slot))
            add_order(pocket, slot, owner)
            slot = order_at(core, slot).next
        price = 0 if is_full else book_next_price(book, price)
    own = own_entry(core, pocket, wanted.symbol, NULL)
    while own != NULL:
        slot = own_sort(core, own, side)
        while slot:
            if own_count[own.leg] > 0:     # it stands in front: equals stand in the order of their queue
                own_count[own.leg] -= 1
            else:
                add_order(pocket, slot, 0)
            slot = order_at(core, slot).own_next
        own = own_entry(core, pocket, wanted.symbol, own)
    return 0

cdef inline int gather_orders(Core* core, Pocket* pocket) except -1:
    cdef int64_t i
    cdef int side
    cdef Wanted* wanted
    for i in range(pocket.symbol_count):
        wanted = &pocket.symbols[i]
        wanted.first_maker = pocket.maker_count
        for side in range(2):
            gather_side(core, pocket, wanted, side)
        wanted.end_maker = pocket.maker_count
    return 0

# ------------------------------------------------------------------------------------------------- writing

cdef inline void put_stand_in(Writer* writer, uint32_t number, AccountMore* owner, bint uncovered) noexcept nogil:
    """A stand-in for an owner, or for the world (NULL); its orders go when the owner's would."""
    cdef state_account record
    memset(&record, 0, sizeof(record))
    record.account = number
    record.wallet_atoms = stand_in_wallet()
    record.flags = 2 if uncovered else 0
    if owner != NULL:
        record.stp_group = owner.stp_group
        record.countdown_ns = owner.countdown_ns
    put(writer, &record, sizeof(record))

cdef inline bint others_uncovered(Core* core, Pocket* pocket) noexcept nogil:
    """Whether a deficit of somebody else stops withdrawals (ADL-03)."""
    cdef int64_t own = account_at(core, pocket.account).pool.uncovered
    cdef uint32_t slot = account_at(core, pocket.account).first_position
    while slot:
        own += position_at(core, slot).pool.uncovered
        slot = position_at(core, slot).next
    return core.uncovered_pools > own

cdef inline void write_pocket_accounts(Core* core, Writer* writer, Pocket* pocket) noexcept nogil:
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = put_accounts(core, writer)
    cdef int64_t i
    for i in range(pocket.maker_count):
        put_stand_in(writer, stand_in(pocket, i), account_more(core, pocket.makers[i].account), False)
    put_stand_in(writer, stand_in(pocket, pocket.maker_count), NULL, others_uncovered(core, pocket))
    put_count(writer, place, count + <uint32_t>pocket.maker_count + 1)

cdef inline uint32_t put_held(
    Writer* writer, uint32_t account, uint32_t symbol, uint32_t leg, int64_t lots, int64_t entry_value_atoms
) noexcept nogil:
    """The position of a stand-in; 0 if it has none."""
    cdef state_position record
    if lots == 0:
        return 0
    memset(&record, 0, sizeof(record))
    record.account = account
    record.symbol = symbol
    record.leg = <uint8_t>leg
    record.position_lots = lots
    record.entry_value_atoms = entry_value_atoms
    put(writer, &record, sizeof(record))
    return 1

cdef inline uint32_t put_stand_ins(Core* core, Writer* writer, Pocket* pocket, Wanted* wanted) noexcept nogil:
    """What the stand-ins of a symbol hold; the world has the rest of both sides, so that each of them is whole."""
    cdef Symbol* symbol = symbol_at(core, wanted.symbol)
    cdef uint32_t world = stand_in(pocket, pocket.maker_count)
    cdef Position* entry = own_entry(core, pocket, wanted.symbol, NULL)
    cdef int64_t[2] left                # long, short
    cdef uint32_t count = 0
    cdef int64_t i
    left[0] = left[1] = symbol.gross_lots // 2
    while entry != NULL:
        left[entry.position_lots < 0] -= iabs(entry.position_lots)
        entry = own_entry(core, pocket, wanted.symbol, entry)
    for i in range(wanted.first_maker, wanted.end_maker):
        entry = pocket.makers[i]
        left[entry.position_lots < 0] -= iabs(entry.position_lots)
        count += put_held(
            writer, stand_in(pocket, i), symbol.symbol, entry.leg, entry.position_lots, entry.entry_value_atoms)
    count += put_held(writer, world, symbol.symbol, LEG_LONG, left[0], left[0] * symbol.mark_ticks * symbol.m)
    return count + put_held(writer, world, symbol.symbol, LEG_SHORT, -left[1], -left[1] * symbol.mark_ticks * symbol.m)

cdef inline void write_pocket_positions(Core* core, Writer* writer, Pocket* pocket) noexcept nogil:
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = put_positions(core, writer)
    cdef int64_t i
    for i in range(pocket.symbol_count):
        count += put_stand_ins(core, writer, pocket, &pocket.symbols[i])
    put_count(writer, place, count)

cdef inline void write_pocket_orders(Core* core, Writer* writer, Pocket* pocket) noexcept nogil:
    cdef uint32_t count = <uint32_t>pocket.order_count
    cdef uint32_t waiting = <uint32_t>all_waiting(core, writer, NULL)
    cdef int64_t i
    cdef state_order record
    put(writer, &count, 4)
    put(writer, &waiting, 4)
    for i in range(pocket.order_count):
        record = order_record(core, pocket.orders[i].slot)
        if pocket.orders[i].owner:
            record.account = stand_in(pocket, pocket.orders[i].owner - 1)
            record.client_order_id = 0
        put(writer, &record, sizeof(record))
    write_waiting(core, writer)

cdef inline void write_pocket(Core* core, Writer* writer, Pocket* pocket) noexcept nogil:
    """The canonical state of the pocket venue."""
    write_head(core, writer)
    write_symbols(core, writer)
    write_funds(core, writer)
    write_pocket_accounts(core, writer, pocket)
    write_pocket_positions(core, writer, pocket)
    write_pocket_orders(core, writer, pocket)
    write_after_orders(core, writer)

cdef inline void carry_totals(Core* core, Core* into, Pocket* pocket) noexcept nogil:
    """UNITS-01, MARGIN-11 and COLL-01 ask about all that is held and open: the sums are those of the whole venue.

    And a stand-in is in the position mode of whom it stands for, the world in hedge mode, and all can bear a deficit.
    """
    cdef int64_t i
    cdef uint32_t number
    cdef Symbol* symbol
    cdef Symbol* copy
    for i in range(pocket.symbol_count):
        symbol = symbol_at(core, pocket.symbols[i].symbol)
        copy = symbol_at(into, pocket.symbols[i].symbol)
        copy.gross_lots = symbol.gross_lots
        copy.gross_entry_atoms = symbol.gross_entry_atoms
        if pocket.liquidity:
            copy.resting_lots = symbol.resting_lots
            copy.reduce_only_lots = symbol.reduce_only_lots
            copy.resting_value_tick_lots = symbol.resting_value_tick_lots
    for i in range(pocket.maker_count):
        account_at(into, stand_in(pocket, i)).hedge = account_at(core, pocket.makers[i].account).hedge
    account_at(into, stand_in(pocket, pocket.maker_count)).hedge = True
    into.others_bear = True
    for number in range(1, MAX_ASSETS + 1):
        into.assets[number].held_parts = core.assets[number].held_parts
