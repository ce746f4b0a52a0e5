"""The canonical state: one sequence of bytes for one state, whatever way it came about (docs/reference/state.md).

The digest is taken over it, snapshots store it, and `restore.pxd` builds an engine from it.  Its order is that of
numbers, prices and queues; memory layout, slots and insertion order leave no trace.

A writer may be told to write one account and some symbols only: what a pocket venue is made of (pocket.pxd).  So every
part walks from `next_account` to `next_account`, and passes over symbols that are not `writes_symbol`.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcpy, memset
from native.book cimport book_level, book_next_price
from native.collateral cimport asset_at, holdings_of, holds_any
from native.core cimport (
    Account, AccountMore, ARMED, BookSide, Core, Drawing, FAULT_NO_MEMORY, Holdings, Order, ORDER_FLAGS, OrderMore,
    Position, Remembered, Symbol, TIMED, TRIGGER_TYPE, WAITING, account_at, account_more, client_id_of, ensure,
    known_after, more_at, order_at, position_at, symbol_at, symbol_of,
)
from native.funds cimport part_of
from native.listing cimport brackets_in_force, read_brackets
from native.order_index cimport order_index_find
from native.remembered cimport remembered_at
from native.trailing cimport trail_best, trail_number
from native.triggers cimport by_id
from native.wire cimport *

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
    uint32_t stp_group
    int64_t countdown_ns

cdef packed struct state_position:
    uint32_t account
    uint32_t symbol
    uint8_t leg
    int64_t position_lots
    int64_t entry_value_atoms
    int64_t margin_atoms
    int64_t drawn_atoms
    uint32_t own_rate_ppm
    uint8_t margin_mode
    uint8_t flags

cdef packed struct state_order:
    uint32_t symbol
    uint8_t leg
    uint8_t side
    uint8_t order_type
    uint8_t time_in_force
    uint8_t self_trade
    uint32_t flags
    uint64_t order_id
    uint32_t account
    int64_t price_ticks
    int64_t open_lots
    int64_t filled_lots
    uint64_t client_order_id
    int64_t display_lots
    int64_t shown_lots
    int64_t expires_ns
    uint64_t link_group
    uint8_t link_role
    uint8_t armed
    uint8_t trigger_by
    int64_t trigger_ticks
    int64_t callback_ticks
    uint32_t callback_ppm
    int64_t best_ticks
    int64_t exit_lots

cdef packed struct state_remembered:
    uint32_t account
    uint64_t client_order_id
    uint64_t order_id
    uint32_t symbol
    uint8_t leg
    uint8_t side
    uint8_t order_type
    int64_t price_ticks
    int64_t qty_lots
    int64_t trigger_ticks

cdef packed struct state_brackets:
    uint32_t symbol
    uint32_t initial_margin_ppm
    uint8_t bracket_count
    wire_bracket brackets[MAX_BRACKETS]

cdef packed struct state_limits:
    uint32_t symbol
    int64_t position_limit_atoms
    int64_t open_interest_limit_atoms
    int64_t oi_scaling_lower_atoms
    int64_t oi_scaling_upper_atoms

cdef packed struct state_adl_policy:
    uint32_t symbol
    uint8_t policy

cdef packed struct state_funding:
    uint32_t symbol
    int64_t interval_ns
    int64_t sample_ns
    int64_t interest_ppb
    int64_t clamp_ppb
    int64_t max_rate_ppb
    int64_t impact_notional_atoms
    int64_t next_sample_ns
    int64_t next_funding_ns
    int64_t premium_sum_ppb
    uint32_t samples

cdef packed struct state_pricing:
    uint32_t symbol
    uint8_t composite
    uint8_t max_feeds
    uint8_t held
    int64_t max_age_ns
    int64_t ema_ns
    int64_t basis_q20
    int64_t basis_at_ns
    int64_t market_last_ticks

cdef packed struct state_leg:
    uint32_t account
    uint32_t symbol
    uint8_t leg

cdef packed struct state_asset:
    uint32_t asset
    char name[16]
    int64_t unit_parts
    uint32_t haircut_ppm
    int64_t price_atoms

cdef packed struct state_collateral:
    uint32_t account
    uint32_t asset
    int64_t parts

cdef packed struct state_drawing:
    uint32_t symbol
    int64_t cap_atoms
    uint32_t second_fund
    int64_t second_cap_atoms
    int64_t window_ns
    int64_t window_cap_atoms
    int64_t own_paid_atoms
    int64_t second_paid_atoms
    int64_t last_part
    int64_t parts[WINDOW_PARTS + 1]    # the last one first

cdef packed struct state_charged:
    uint32_t account
    uint32_t symbol
    int64_t charged_atoms

# ------------------------------------------------------------------------------------------- writing

# Where the bytes go; with `to` NULL they are only counted.
cdef struct Writer:
    char* to
    int64_t size
    uint32_t account                   # the only one that is written; 0: all of them
    const uint8_t* symbols             # by number: whether it is written; NULL: all of them

cdef inline uint32_t next_account(Core* core, Writer* writer, uint32_t after) noexcept nogil:
    """The first account after this one that is written, or 0."""
    if writer.account:
        return writer.account if after == 0 else 0
    return known_after(core, after)

cdef inline bint writes_symbol(Writer* writer, uint32_t number) noexcept nogil:
    return writer.symbols == NULL or writer.symbols[number] != 0

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
        if symbol != NULL and writes_symbol(writer, number):
            put(writer, <char*>&symbol.listing + sizeof(wire_command_header),
                sizeof(wire_list_symbol) - sizeof(wire_command_header))
            put(writer, &symbol.mark_ticks, 8)
            put(writer, &symbol.last_ticks, 8)
            put(writer, &symbol.state, 1)
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

cdef inline bint account_is_default(Core* core, uint32_t number) noexcept nogil:
    cdef Account* account = account_at(core, number)
    cdef AccountMore* more = account_more(core, number)
    return account.wallet_atoms == 0 and account.pool.drawn_atoms == 0 \
        and not account.pool.liquidating and not account.pool.uncovered \
        and more.stp_group == 0 and more.countdown_ns == 0

cdef inline uint32_t put_accounts(Core* core, Writer* writer) noexcept nogil:
    cdef uint32_t count = 0
    cdef uint32_t number
    cdef Account* account
    cdef state_account record
    number = next_account(core, writer, 0)
    while number:
        account = account_at(core, number)
        if not account_is_default(core, number):
            record.account = number
            record.wallet_atoms = account.wallet_atoms
            record.drawn_atoms = account.pool.drawn_atoms
            record.flags = account.pool.liquidating + 2 * account.pool.uncovered
            record.stp_group = account_more(core, number).stp_group
            record.countdown_ns = account_more(core, number).countdown_ns
            put(writer, &record, sizeof(record))
            count += 1
        number = next_account(core, writer, number)
    return count

cdef inline void write_accounts(Core* core, Writer* writer) noexcept nogil:
    cdef int64_t place = leave_count(writer)
    put_count(writer, place, put_accounts(core, writer))

cdef inline bint position_is_default(Position* position) noexcept nogil:
    return position.position_lots == 0 and position.margin_atoms == 0 and position.pool.drawn_atoms == 0 \
        and position.own_rate_ppm == 0 and not position.isolated \
        and not position.pool.liquidating and not position.pool.uncovered

cdef inline uint32_t put_positions(Core* core, Writer* writer) noexcept nogil:
    cdef uint32_t count = 0
    cdef uint32_t number, slot
    cdef Position* position
    cdef state_position record
    number = next_account(core, writer, 0)
    while number:
        slot = account_at(core, number).first_position
        while slot:
            position = position_at(core, slot)
            slot = position.next
            if position_is_default(position):
                continue
            record.account = position.account
            record.symbol = position.symbol
            record.leg = <uint8_t>position.leg
            record.position_lots = position.position_lots
            record.entry_value_atoms = position.entry_value_atoms
            record.margin_atoms = position.margin_atoms
            record.drawn_atoms = position.pool.drawn_atoms
            record.own_rate_ppm = position.own_rate_ppm
            record.margin_mode = position.isolated
            record.flags = position.pool.liquidating + 2 * position.pool.uncovered
            put(writer, &record, sizeof(record))
            count += 1
        number = next_account(core, writer, number)
    return count

cdef inline bint has_anything(Core* core, uint32_t number) noexcept nogil:
    """Whether the account is to be seen: money, a position, a setting, an order."""
    cdef Account* account = account_at(core, number)
    cdef uint32_t slot = account.first_position
    if not account_is_default(core, number) or account.multi_asset or account.hedge or holds_any(core, number):
        return True
    while slot:
        if not position_is_default(position_at(core, slot)) or position_at(core, slot).order_count \
                or position_at(core, slot).auto_margin:
            return True
        slot = position_at(core, slot).next
    return False

cdef inline void write_positions(Core* core, Writer* writer) noexcept nogil:
    cdef int64_t place = leave_count(writer)
    put_count(writer, place, put_positions(core, writer))

cdef inline state_order order_record(Core* core, uint32_t slot) noexcept nogil:
    """All of an order; what does not concern it is 0."""
    cdef Order* order = order_at(core, slot)
    cdef OrderMore* more = more_at(core, slot)
    cdef Position* position = position_at(core, order.position)
    cdef bint waits = order.flags & WAITING
    cdef state_order record
    memset(&record, 0, sizeof(record))
    record.symbol = position.symbol
    record.leg = <uint8_t>position.leg
    record.side = order.side
    record.self_trade = order.self_trade
    record.flags = order.flags & ORDER_FLAGS
    record.order_id = order.order_id
    record.account = position.account
    record.price_ticks = more.limit_ticks if waits else order.price_ticks
    record.open_lots = order.open_lots
    record.filled_lots = order.filled_lots
    record.client_order_id = client_id_of(core, slot)
    if order.flags & ORDER_FLAG_ICEBERG:
        record.display_lots = more.display_lots
        record.shown_lots = 0 if waits else more.shown_lots
    if order.flags & TIMED:
        record.time_in_force = TIME_IN_FORCE_GTD
        record.expires_ns = more.expires_ns
    if order.flags & ORDER_FLAG_LINKED:
        record.link_group = more.link_group
        record.link_role = more.link_role
        record.exit_lots = more.exit_lots
    if order.flags & TRIGGER_TYPE:
        record.order_type = more.order_type
        record.time_in_force = more.time_in_force
        record.trigger_by = more.trigger_by
        record.trigger_ticks = more.trigger_ticks
        record.callback_ticks = more.callback_ticks
        record.callback_ppm = more.callback_ppm
        record.armed = order.flags & ARMED != 0
        if record.armed and more.order_type == ORDER_TYPE_TRAILING_STOP:
            record.best_ticks = trail_best(
                core, &symbol_of(core, position).triggers.trails[trail_number(order, more)], slot)
    return record

cdef inline uint32_t write_side(Core* core, Writer* writer, BookSide* side) noexcept nogil:
    cdef int64_t price = side.best_ticks
    cdef uint32_t count = 0
    cdef uint32_t slot
    cdef state_order record
    while price:
        slot = book_level(side, price).head
        while slot:
            record = order_record(core, slot)
            put(writer, &record, sizeof(record))
            count += 1
            slot = order_at(core, slot).next
        price = book_next_price(side, price)
    return count

cdef inline int64_t all_waiting(Core* core, Writer* writer, uint64_t* ids) noexcept nogil:
    """Counts the orders that wait, and writes their ids where `ids` is not NULL."""
    cdef uint32_t account, entry, slot
    cdef int64_t count = 0
    account = next_account(core, writer, 0)
    while account:
        entry = account_at(core, account).first_position
        while entry:
            slot = position_at(core, entry).waiting_head
            while slot:
                if ids != NULL:
                    ids[count] = order_at(core, slot).order_id
                count += 1
                slot = order_at(core, slot).own_next
            entry = position_at(core, entry).next
        account = next_account(core, writer, account)
    return count

cdef inline void write_waiting(Core* core, Writer* writer) noexcept nogil:
    """Those that wait, by order id."""
    cdef int64_t i
    cdef int64_t count = all_waiting(core, writer, NULL)
    cdef uint64_t* ids = <uint64_t*>malloc((count + 1) * sizeof(uint64_t))
    cdef state_order record
    if ids == NULL:
        ensure(core, False, FAULT_NO_MEMORY)
        return
    all_waiting(core, writer, ids)
    qsort(ids, count, sizeof(uint64_t), &by_id)
    for i in range(count):
        record = order_record(core, order_index_find(core, ids[i]))
        put(writer, &record, sizeof(record))
    free(ids)

cdef inline void write_orders(Core* core, Writer* writer) noexcept nogil:
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = 0
    cdef uint32_t number
    cdef uint32_t waiting = <uint32_t>all_waiting(core, writer, NULL)
    cdef Symbol* symbol
    put(writer, &waiting, 4)
    for number in range(1, core.highest_symbol + 1):
        symbol = symbol_at(core, number)
        if symbol != NULL:
            count += write_side(core, writer, &symbol.sides[0])
            count += write_side(core, writer, &symbol.sides[1])
    put_count(writer, place, count)
    write_waiting(core, writer)

cdef inline void write_remembered(Core* core, Writer* writer) noexcept nogil:
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = 0
    cdef uint32_t number, slot
    cdef Remembered* entry
    cdef state_remembered record
    number = next_account(core, writer, 0)
    while number:
        slot = account_more(core, number).oldest if account_more(core, number).remembered else 0
        while slot:
            entry = remembered_at(core, slot)
            record.account = number
            record.client_order_id = entry.client_order_id
            record.order_id = entry.order_id
            record.symbol = entry.symbol
            record.leg = entry.leg
            record.side = entry.side
            record.order_type = entry.order_type
            record.price_ticks = entry.price_ticks
            record.qty_lots = entry.qty_lots
            record.trigger_ticks = entry.trigger_ticks
            put(writer, &record, sizeof(record))
            count += 1
            slot = entry.newer
        number = next_account(core, writer, number)
    put_count(writer, place, count)

cdef inline bint has_listed_brackets(Symbol* symbol) noexcept nogil:
    """Whether the brackets and the rate in force are those of the listing."""
    cdef Symbol listed
    cdef int k
    read_brackets(symbol.listing.brackets, symbol.listing.bracket_count, &listed)
    if symbol.initial_margin_ppm != symbol.listing.initial_margin_ppm or symbol.bracket_count != listed.bracket_count:
        return False
    for k in range(listed.bracket_count):
        if symbol.brackets[k].floor_atoms != listed.brackets[k].floor_atoms \
                or symbol.brackets[k].maintenance_ppm != listed.brackets[k].maintenance_ppm \
                or symbol.brackets[k].initial_ppm != listed.brackets[k].initial_ppm:
            return False
    return True

cdef inline void write_changed_brackets(Core* core, Writer* writer) noexcept nogil:
    """Tables in force that are not those of the listing."""
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = 0
    cdef uint32_t number
    cdef Symbol* symbol
    cdef state_brackets record
    for number in range(1, core.highest_symbol + 1):
        symbol = symbol_at(core, number)
        if symbol == NULL or not writes_symbol(writer, number) or has_listed_brackets(symbol):
            continue
        record.symbol = number
        record.initial_margin_ppm = <uint32_t>symbol.initial_margin_ppm
        record.bracket_count = <uint8_t>symbol.bracket_count
        brackets_in_force(symbol, record.brackets)
        put(writer, &record, sizeof(record))
        count += 1
    put_count(writer, place, count)

cdef inline void write_limits(Core* core, Writer* writer) noexcept nogil:
    """Caps and scales of MARGIN-11, of the symbols that have any."""
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = 0
    cdef uint32_t number
    cdef Symbol* symbol
    cdef state_limits record
    for number in range(1, core.highest_symbol + 1):
        symbol = symbol_at(core, number)
        if symbol == NULL or not writes_symbol(writer, number) or not (symbol.capped or symbol.oi_scaling_upper_atoms >= 0):
            continue
        record.symbol = number
        record.position_limit_atoms = symbol.position_limit_atoms
        record.open_interest_limit_atoms = symbol.open_interest_limit_atoms
        record.oi_scaling_lower_atoms = symbol.oi_scaling_lower_atoms
        record.oi_scaling_upper_atoms = symbol.oi_scaling_upper_atoms
        put(writer, &record, sizeof(record))
        count += 1
    put_count(writer, place, count)

cdef inline void write_adl_policies(Core* core, Writer* writer) noexcept nogil:
    """Part 9: those that are not the default."""
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = 0
    cdef uint32_t number
    cdef Symbol* symbol
    cdef state_adl_policy record
    for number in range(1, core.highest_symbol + 1):
        symbol = symbol_at(core, number)
        if symbol != NULL and writes_symbol(writer, number) and symbol.adl_policy:
            record.symbol = number
            record.policy = symbol.adl_policy
            put(writer, &record, sizeof(record))
            count += 1
    put_count(writer, place, count)

cdef inline void write_pricing(Core* core, Writer* writer) noexcept nogil:
    """How marks come about, of symbols where they are not set by hand."""
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = 0
    cdef uint32_t number
    cdef Symbol* symbol
    cdef state_pricing record
    for number in range(1, core.highest_symbol + 1):
        symbol = symbol_at(core, number)
        if symbol == NULL or not writes_symbol(writer, number) or symbol.pricing == NULL:
            continue
        record.symbol = number
        record.composite = symbol.pricing.composite
        record.max_feeds = symbol.pricing.max_feeds
        record.held = symbol.held
        record.max_age_ns = symbol.pricing.max_age_ns
        record.ema_ns = symbol.pricing.ema_ns
        record.basis_q20 = symbol.pricing.basis_q20
        record.basis_at_ns = symbol.pricing.basis_at_ns
        record.market_last_ticks = symbol.market_last_ticks
        put(writer, &record, sizeof(record))
        put(writer, &symbol.pricing.prices[0], sizeof(symbol.pricing.prices))
        count += 1
    put_count(writer, place, count)

cdef inline void write_fundings(Core* core, Writer* writer) noexcept nogil:
    """How funding rates come about, of symbols whose rate the engine computes; a pocket venue has none."""
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = 0
    cdef uint32_t number
    cdef Symbol* symbol
    cdef state_funding record
    for number in range(1, core.highest_symbol + 1):
        symbol = symbol_at(core, number)
        if symbol == NULL or writer.account or symbol.funding == NULL:
            continue
        record.symbol = number
        record.interval_ns = symbol.funding.interval_ns
        record.sample_ns = symbol.funding.sample_ns
        record.interest_ppb = symbol.funding.interest_ppb
        record.clamp_ppb = symbol.funding.clamp_ppb
        record.max_rate_ppb = symbol.funding.max_rate_ppb
        record.impact_notional_atoms = symbol.funding.impact_notional_atoms
        record.next_sample_ns = symbol.funding.next_sample_ns
        record.next_funding_ns = symbol.funding.next_funding_ns
        record.premium_sum_ppb = symbol.funding.premium_sum_ppb
        record.samples = symbol.funding.samples
        put(writer, &record, sizeof(record))
        count += 1
    put_count(writer, place, count)

cdef inline void write_assets(Core* core, Writer* writer) noexcept nogil:
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = 0
    cdef uint32_t number
    cdef state_asset record
    for number in range(1, MAX_ASSETS + 1):
        if asset_at(core, number) != NULL:
            record.asset = number
            memcpy(record.name, core.assets[number].name, MAX_NAME_BYTES)
            record.unit_parts = core.assets[number].unit_parts
            record.haircut_ppm = core.assets[number].haircut_ppm
            record.price_atoms = core.assets[number].price_atoms
            put(writer, &record, sizeof(record))
            count += 1
    put_count(writer, place, count)

cdef enum:                             # what an account may have chosen for all its symbols
    CHOICE_HEDGE
    CHOICE_MULTI_ASSET

cdef inline void write_choosers(Core* core, Writer* writer, int choice) noexcept nogil:
    """The accounts that have chosen something."""
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = 0
    cdef uint32_t number
    cdef Account* account
    number = next_account(core, writer, 0)
    while number:
        account = account_at(core, number)
        if account.hedge if choice == CHOICE_HEDGE else account.multi_asset:
            put(writer, &number, 4)
            count += 1
        number = next_account(core, writer, number)
    put_count(writer, place, count)

cdef inline void write_holdings(Core* core, Writer* writer) noexcept nogil:
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = 0
    cdef uint32_t number, asset
    cdef Holdings* held
    cdef state_collateral record
    number = next_account(core, writer, 0)
    while number:
        held = holdings_of(core, number)
        for asset in range(1, (MAX_ASSETS if held != NULL else 0) + 1):
            if held.parts[asset]:
                record.account = number
                record.asset = asset
                record.parts = held.parts[asset]
                put(writer, &record, sizeof(record))
                count += 1
        number = next_account(core, writer, number)
    put_count(writer, place, count)

cdef inline void write_drawings(Core* core, Writer* writer) noexcept nogil:
    """What funds may pay for symbols, and have paid, where that is capped."""
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = 0
    cdef uint32_t number
    cdef int back
    cdef Drawing* drawing
    cdef state_drawing record
    for number in range(1, core.highest_symbol + 1):
        if symbol_at(core, number) == NULL or not writes_symbol(writer, number) or symbol_at(core, number).drawing == NULL:
            continue
        drawing = symbol_at(core, number).drawing
        record.symbol = number
        record.cap_atoms = drawing.cap_atoms
        record.second_fund = drawing.second_fund
        record.second_cap_atoms = drawing.second_cap_atoms
        record.window_ns = drawing.window_ns
        record.window_cap_atoms = drawing.window_cap_atoms
        record.own_paid_atoms = drawing.own_paid_atoms
        record.second_paid_atoms = drawing.second_paid_atoms
        record.last_part = drawing.last_part
        for back in range(WINDOW_PARTS + 1):
            record.parts[back] = part_of(drawing, drawing.last_part - back)[0] if back <= drawing.last_part else 0
        put(writer, &record, sizeof(record))
        count += 1
    put_count(writer, place, count)

cdef inline void write_charges(Core* core, Writer* writer) noexcept nogil:
    """What of the deficits of cross pools is charged to symbols."""
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = 0
    cdef uint32_t number = next_account(core, writer, 0)
    cdef uint32_t slot
    cdef Position* entry
    cdef state_charged record
    while number:
        slot = account_at(core, number).first_position if account_at(core, number).owing else 0
        while slot:
            entry = position_at(core, slot)
            slot = entry.next
            if entry.caused_atoms:
                record.account = number
                record.symbol = entry.symbol
                record.charged_atoms = entry.caused_atoms
                put(writer, &record, sizeof(record))
                count += 1
        number = next_account(core, writer, number)
    put_count(writer, place, count)

cdef inline void write_warning_levels(Core* core, Writer* writer) noexcept nogil:
    """The levels of MARGIN-10; which of them a pool was told of follows from the rest of the state."""
    cdef int64_t place = leave_count(writer)
    cdef uint32_t level
    cdef int i
    for i in range(core.warning_count):
        level = <uint32_t>core.warning_ppm[i]
        put(writer, &level, 4)
    put_count(writer, place, core.warning_count)

cdef inline void write_auto_margin(Core* core, Writer* writer) noexcept nogil:
    """Whose wallets add margin by themselves, and where (ACCT-09)."""
    cdef int64_t place = leave_count(writer)
    cdef uint32_t count = 0
    cdef uint32_t slot
    cdef uint32_t number = next_account(core, writer, 0)
    cdef state_leg record
    cdef Position* position
    while number:
        slot = account_at(core, number).first_position
        while slot:
            position = position_at(core, slot)
            slot = position.next
            if position.auto_margin:
                record.account = number
                record.symbol = position.symbol
                record.leg = <uint8_t>position.leg
                put(writer, &record, sizeof(record))
                count += 1
        number = next_account(core, writer, number)
    put_count(writer, place, count)

cdef inline void write_head(Core* core, Writer* writer) noexcept nogil:
    cdef state_head head
    memcpy(head.magic, b"PXS3", 4)
    head.next_order_id = core.next_order_id
    head.next_trade_id = core.next_trade_id
    head.fee_atoms = core.fee_atoms
    head.net_deposits_atoms = core.net_deposits_atoms
    put(writer, &head, sizeof(head))

cdef inline void write_after_orders(Core* core, Writer* writer) noexcept nogil:
    """Part 7 and those that follow: in all of them a writer of one account writes no other."""
    write_remembered(core, writer)
    write_changed_brackets(core, writer)
    write_limits(core, writer)
    write_adl_policies(core, writer)
    write_pricing(core, writer)
    write_choosers(core, writer, CHOICE_HEDGE)
    write_assets(core, writer)
    write_choosers(core, writer, CHOICE_MULTI_ASSET)
    write_holdings(core, writer)
    write_drawings(core, writer)
    write_charges(core, writer)
    write_fundings(core, writer)
    write_warning_levels(core, writer)
    write_auto_margin(core, writer)

cdef inline void write_state(Core* core, Writer* writer) noexcept nogil:
    write_head(core, writer)
    write_symbols(core, writer)
    write_funds(core, writer)
    write_accounts(core, writer)
    write_positions(core, writer)
    write_orders(core, writer)
    write_after_orders(core, writer)
