"""The canonical state: one sequence of bytes for one state, whatever way it came about (docs/reference/state.md).

The digest is taken over it, snapshots store it, and `restore` builds an engine from it.  Its order is that of numbers,
prices and queues; memory layout, slots and insertion order leave no trace.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy
from native.book cimport book_append, book_level, book_next_price
from native.core cimport (
    Account, BookSide, Core, Order, Position, Symbol, account_at, client_id_of, more_at, order_at, position_at,
    position_ensure, slot_of, symbol_at,
)
from native.ledger cimport fund_make_room, open_add, orders_counted
from native.listing cimport adopt_symbol, read_brackets, read_policy
from native.memory cimport slab_take
from native.order_index cimport client_index_put, order_index_put
from native.own_orders cimport own_link
from native.units cimport iabs
from native.wire cimport MAX_ACCOUNT, wire_command_header, wire_list_symbol

cdef packed struct state_head:
    char magic[4]
    uint64_t next_order_id
    uint64_t next_trade_id
    int64_t fee_atoms
    int64_t net_deposits_atoms

cdef packed struct state_fund:
    uint32_t fund
    int64_t balance_atoms

cdef packed struct state_account:
    uint32_t account
    int64_t wallet_atoms
    int64_t drawn_atoms
    uint8_t flags

cdef packed struct state_position:
    uint32_t account
    uint32_t symbol
    int64_t position_lots
    int64_t entry_value_atoms
    int64_t margin_atoms
    int64_t drawn_atoms
    uint32_t own_rate_ppm
    uint8_t margin_mode
    uint8_t flags

cdef packed struct state_order:
    uint32_t symbol
    uint8_t side
    uint8_t self_trade
    uint32_t flags
    uint64_t order_id
    uint32_t account
    int64_t price_ticks
    int64_t open_lots
    int64_t filled_lots
    uint64_t client_order_id

# ------------------------------------------------------------------------------------------- writing

# Where the bytes go; with `to` NULL they are only counted.
cdef struct Writer:
    char* to
    int64_t size

cdef inline void put(Writer* writer, const void* item, int64_t size) noexcept nogil:
    if writer.to != NULL:
        memcpy(writer.to + writer.size, item, size)
    writer.size += size

cdef inline void put_count(Writer* writer, int64_t place, uint32_t count) noexcept nogil:
    """Fills in a count at the place that was left for it."""
    if writer.to != NULL:
        memcpy(writer.to + place, &count, 4)

cdef inline int64_t leave_count(Writer* writer) noexcept nogil:
    cdef uint32_t none = 0
    put(writer, &none, 4)
    return writer.size - 4

cdef inline void write_symbols(Core* core, Writer* writer) noexcept nogil:
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = 0
    cdef uint32_t number
    cdef Symbol* symbol
    for number in range(1, core.highest_symbol + 1):
        symbol = symbol_at(core, number)
        if symbol != NULL:
            put(writer, <char*>&symbol.listing + sizeof(wire_command_header),
                sizeof(wire_list_symbol) - sizeof(wire_command_header))
            put(writer, &symbol.mark_ticks, 8)
            count += 1
    put_count(writer, place, count)

cdef inline void write_funds(Core* core, Writer* writer) noexcept nogil:
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = 0
    cdef int64_t i
    cdef state_fund record
    for i in range(core.fund_count):
        if core.funds[i].balance_atoms != 0:
            record.fund = core.funds[i].fund
            record.balance_atoms = core.funds[i].balance_atoms
            put(writer, &record, sizeof(record))
            count += 1
    put_count(writer, place, count)

cdef inline bint account_is_default(Account* account) noexcept nogil:
    return account.wallet_atoms == 0 and account.pool.drawn_atoms == 0 \
        and not account.pool.liquidating and not account.pool.uncovered

cdef inline void write_accounts(Core* core, Writer* writer) noexcept nogil:
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = 0
    cdef uint32_t number
    cdef Account* account
    cdef state_account record
    for number in range(1, core.highest_account + 1):
        account = account_at(core, number)
        if not account_is_default(account):
            record.account = number
            record.wallet_atoms = account.wallet_atoms
            record.drawn_atoms = account.pool.drawn_atoms
            record.flags = account.pool.liquidating + 2 * account.pool.uncovered
            put(writer, &record, sizeof(record))
            count += 1
    put_count(writer, place, count)

cdef inline bint position_is_default(Position* position) noexcept nogil:
    return position.position_lots == 0 and position.margin_atoms == 0 and position.pool.drawn_atoms == 0 \
        and position.own_rate_ppm == 0 and not position.isolated \
        and not position.pool.liquidating and not position.pool.uncovered

cdef inline void write_positions(Core* core, Writer* writer) noexcept nogil:
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = 0
    cdef uint32_t number, slot
    cdef Position* position
    cdef state_position record
    for number in range(1, core.highest_account + 1):
        slot = account_at(core, number).first_position
        while slot:
            position = position_at(core, slot)
            slot = position.next
            if position_is_default(position):
                continue
            record.account = position.account
            record.symbol = position.symbol
            record.position_lots = position.position_lots
            record.entry_value_atoms = position.entry_value_atoms
            record.margin_atoms = position.margin_atoms
            record.drawn_atoms = position.pool.drawn_atoms
            record.own_rate_ppm = position.own_rate_ppm
            record.margin_mode = position.isolated
            record.flags = position.pool.liquidating + 2 * position.pool.uncovered
            put(writer, &record, sizeof(record))
            count += 1
    put_count(writer, place, count)

cdef inline uint32_t write_side(Core* core, Writer* writer, uint32_t symbol, BookSide* side) noexcept nogil:
    cdef int64_t price = side.best_ticks
    cdef uint32_t count = 0
    cdef uint32_t slot
    cdef Order* order
    cdef state_order record
    record.symbol = symbol
    while price:
        slot = book_level(side, price).head
        while slot:
            order = order_at(core, slot)
            record.side = order.side
            record.self_trade = order.self_trade
            record.flags = order.flags
            record.order_id = order.order_id
            record.account = position_at(core, order.position).account
            record.price_ticks = order.price_ticks
            record.open_lots = order.open_lots
            record.filled_lots = order.filled_lots
            record.client_order_id = client_id_of(core, slot)
            put(writer, &record, sizeof(record))
            count += 1
            slot = order.next
        price = book_next_price(side, price)
    return count

cdef inline void write_orders(Core* core, Writer* writer) noexcept nogil:
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = 0
    cdef uint32_t number
    cdef Symbol* symbol
    for number in range(1, core.highest_symbol + 1):
        symbol = symbol_at(core, number)
        if symbol != NULL:
            count += write_side(core, writer, number, &symbol.sides[0])
            count += write_side(core, writer, number, &symbol.sides[1])
    put_count(writer, place, count)

cdef inline void write_state(Core* core, Writer* writer) noexcept nogil:
    cdef state_head head
    memcpy(head.magic, b"PXS1", 4)
    head.next_order_id = core.next_order_id
    head.next_trade_id = core.next_trade_id
    head.fee_atoms = core.fee_atoms
    head.net_deposits_atoms = core.net_deposits_atoms
    put(writer, &head, sizeof(head))
    write_symbols(core, writer)
    write_funds(core, writer)
    write_accounts(core, writer)
    write_positions(core, writer)
    write_orders(core, writer)

# ------------------------------------------------------------------------------------------- reading

cdef struct Reader:
    const char* at
    int64_t left

cdef inline int take(Reader* reader, void* item, int64_t size) except -1:
    if reader.left < size:
        raise ValueError("the state is cut short")
    memcpy(item, reader.at, size)
    reader.at += size
    reader.left -= size
    return 0

cdef inline int read_symbol(Core* core, Reader* reader) except -1:
    cdef wire_list_symbol listing
    cdef Symbol* symbol = <Symbol*>calloc(1, sizeof(Symbol))
    if symbol == NULL:
        raise MemoryError("no memory for a symbol")
    take(reader, <char*>&listing + sizeof(wire_command_header), sizeof(wire_list_symbol) - sizeof(wire_command_header))
    take(reader, &symbol.mark_ticks, 8)
    if listing.symbol == 0 or listing.symbol > 65535 or not read_brackets(&listing, symbol):
        raise ValueError("the state lists a symbol that could not have been listed")
    read_policy(&listing, symbol)
    adopt_symbol(core, symbol)
    return 0

cdef inline int read_fund(Core* core, Reader* reader) except -1:
    cdef state_fund record
    take(reader, &record, sizeof(record))
    if not fund_make_room(core):
        raise MemoryError("no memory for a fund")
    core.funds[core.fund_count].fund = record.fund
    core.funds[core.fund_count].balance_atoms = record.balance_atoms
    core.fund_count += 1
    return 0

cdef inline int read_account(Core* core, Reader* reader) except -1:
    cdef state_account record
    cdef Account* account
    take(reader, &record, sizeof(record))
    if record.account == 0 or record.account > MAX_ACCOUNT:
        raise ValueError(f"the state names account {record.account}")
    account = account_at(core, record.account)
    account.wallet_atoms = record.wallet_atoms
    account.pool.drawn_atoms = record.drawn_atoms
    account.pool.liquidating = record.flags & 1
    account.pool.uncovered = record.flags >> 1
    core.uncovered_pools += account.pool.uncovered
    core.highest_account = max(core.highest_account, record.account)
    return 0

cdef inline Position* entry_for(Core* core, uint32_t account, uint32_t number) except NULL:
    cdef Position* position
    if symbol_at(core, number) == NULL or account == 0 or account > MAX_ACCOUNT:
        raise ValueError(f"the state names account {account} on symbol {number}, which is not there")
    position = position_ensure(core, account, number)
    if position == NULL:
        raise MemoryError("no room for another position")
    return position

cdef inline int read_position(Core* core, Reader* reader) except -1:
    cdef state_position record
    cdef Position* position
    cdef Symbol* symbol
    take(reader, &record, sizeof(record))
    position = entry_for(core, record.account, record.symbol)
    symbol = symbol_at(core, record.symbol)
    position.isolated = record.margin_mode
    position.own_rate_ppm = record.own_rate_ppm
    position.margin_atoms = record.margin_atoms
    position.pool.drawn_atoms = record.drawn_atoms
    position.pool.liquidating = record.flags & 1
    position.pool.uncovered = record.flags >> 1
    core.uncovered_pools += position.pool.uncovered
    if record.position_lots:
        position.position_lots = record.position_lots
        position.entry_value_atoms = record.entry_value_atoms
        symbol.gross_lots += iabs(record.position_lots)
        symbol.gross_entry_atoms += iabs(record.entry_value_atoms)
        open_add(core, symbol, position)
    return 0

cdef inline int read_order(Core* core, Reader* reader) except -1:
    cdef state_order record
    cdef Position* position
    cdef Order* order
    cdef uint32_t slot
    take(reader, &record, sizeof(record))
    position = entry_for(core, record.account, record.symbol)
    slot = slab_take(&core.orders)
    if slot == 0:
        raise MemoryError("no room for another order")
    order = order_at(core, slot)
    order.order_id = record.order_id
    order.price_ticks = record.price_ticks
    order.open_lots = record.open_lots
    order.filled_lots = record.filled_lots
    order.position = slot_of(core, position)
    order.side = record.side & 1
    order.self_trade = record.self_trade
    order.flags = record.flags
    if not book_append(core, &symbol_at(core, record.symbol).sides[order.side], slot):
        raise MemoryError("no memory for a price level")
    order_index_put(core, slot)
    order.named = record.client_order_id != 0
    if order.named:
        more_at(core, slot).client_order_id = record.client_order_id
        client_index_put(core, slot)
    own_link(core, position, slot)
    orders_counted(symbol_at(core, record.symbol), position, order, order.open_lots)
    return 0

cdef inline uint32_t read_count(Reader* reader) except? 0:
    cdef uint32_t count = 0
    take(reader, &count, 4)
    return count

cdef inline int read_state(Core* core, Reader* reader) except -1:
    cdef state_head head
    cdef uint32_t _i
    take(reader, &head, sizeof(head))
    if head.magic[:4] != b"PXS1":
        raise ValueError("this is no engine state: it should begin with PXS1")
    core.next_order_id = head.next_order_id
    core.next_trade_id = head.next_trade_id
    core.fee_atoms = head.fee_atoms
    core.net_deposits_atoms = head.net_deposits_atoms
    for _i in range(read_count(reader)):
        read_symbol(core, reader)
    for _i in range(read_count(reader)):
        read_fund(core, reader)
    for _i in range(read_count(reader)):
        read_account(core, reader)
    for _i in range(read_count(reader)):
        read_position(core, reader)
    for _i in range(read_count(reader)):
        read_order(core, reader)
    if reader.left:
        raise ValueError(f"{reader.left} bytes follow the end of the state")
    return 0
