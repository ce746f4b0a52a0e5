"""Building an engine's state from its canonical bytes (docs/reference/state.md): the way back from a snapshot."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort
from libc.string cimport memcpy
from native.bands cimport bands_draw, bands_stale_pool, open_add
from native.book cimport book_append
from native.canonical cimport (
    CHOICE_HEDGE, CHOICE_MULTI_ASSET, state_account, state_adl_policy, state_asset, state_brackets, state_charged,
    state_collateral, state_drawing, state_fund, state_funding, state_head, state_leg, state_limits, state_order,
    state_position, state_pricing, state_remembered,
)
from native.charging cimport charged_entry
from native.collateral cimport asset_at, holdings_ensure, recount
from native.core cimport (
    ARMED, Account, Asset, Core, Drawing, Funding, Holdings, LINK_ENTRY, LINK_EXIT, NAMED, Order, OrderMore, Position,
    Remembered, Symbol, TIMED, TRIGGER_TYPE, WARNING_LEVELS, account_at, account_more, ensure, know_account, more_at, order_at,
    position_at, slot_of, symbol_at, symbol_of,
)
from native.funds cimport drawing_new, part_of
from native.ledger cimport fund_make_room, orders_counted
from native.listing cimport adopt_symbol, read_brackets, read_policy
from native.memory cimport slab_take
from native.order_index cimport client_index_put, order_index_find, order_index_put
from native.own_orders cimport own_link
from native.policies cimport apply_limits
from native.positions cimport position_ensure
from native.pricing cimport pricing_ensure
from native.remembered cimport remember_new
from native.timers cimport countdown_key, funding_key, timer_add
from native.trailing cimport trail_begin, trail_number
from native.units cimport iabs
from native.waiting cimport arm, triggers_ensure, waiting_link
from native.warnings cimport warnings_restored
from native.wire cimport *

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
    take(reader, &symbol.last_ticks, 8)
    take(reader, &symbol.state, 1)
    if listing.symbol == 0 or listing.symbol > 65535 or not read_brackets(
            listing.brackets, listing.bracket_count, symbol):
        raise ValueError("the state lists a symbol that could not have been listed")
    read_policy(&listing, symbol)
    adopt_symbol(core, symbol)
    core.auctions += symbol.state == SYMBOL_STATE_AUCTION
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

cdef inline Account* named_account(Core* core, uint32_t number) except NULL:
    """An account that the state names."""
    if number == 0 or number > MAX_ACCOUNT:
        raise ValueError(f"the state names account {number}")
    know_account(core, number)
    return account_at(core, number)

cdef inline int read_account(Core* core, Reader* reader) except -1:
    cdef state_account record
    cdef Account* account
    take(reader, &record, sizeof(record))
    account = named_account(core, record.account)
    account.wallet_atoms = record.wallet_atoms
    account.pool.drawn_atoms = record.drawn_atoms
    account.pool.liquidating = record.flags & 1
    account.pool.uncovered = record.flags >> 1
    core.uncovered_pools += account.pool.uncovered
    account_more(core, record.account).stp_group = record.stp_group
    core.stp_groups = core.stp_groups or record.stp_group != 0
    account_more(core, record.account).countdown_ns = record.countdown_ns
    if record.countdown_ns:
        timer_add(core, record.countdown_ns, countdown_key(record.account))
    return 0

cdef inline Position* entry_for(Core* core, uint32_t account, uint32_t number, uint32_t leg) except NULL:
    cdef Position* position
    if symbol_at(core, number) == NULL or account == 0 or account > MAX_ACCOUNT or leg > LEG_SHORT:
        raise ValueError(f"the state names account {account} on symbol {number}, leg {leg}, which is not there")
    position = position_ensure(core, account, number, leg)
    if position == NULL:
        raise MemoryError("no room for another position")
    return position

cdef inline int read_position(Core* core, Reader* reader) except -1:
    cdef state_position record
    cdef Position* position
    cdef Symbol* symbol
    take(reader, &record, sizeof(record))
    position = entry_for(core, record.account, record.symbol, record.leg)
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
        bands_stale_pool(core, position)
    return 0

cdef inline uint32_t read_order(Core* core, Reader* reader, state_order* record) except 0:
    """An order with its record and ids; where it stands is for the caller."""
    cdef Order* order
    cdef OrderMore* more
    cdef uint32_t slot
    take(reader, record, sizeof(state_order))
    slot = slab_take(&core.orders)
    if slot == 0:
        raise MemoryError("no room for another order")
    order = order_at(core, slot)
    more = more_at(core, slot)
    order.order_id = record.order_id
    order.price_ticks = record.price_ticks
    order.open_lots = record.open_lots
    order.filled_lots = record.filled_lots
    order.position = slot_of(core, entry_for(core, record.account, record.symbol, record.leg))
    order.side = record.side & 1
    order.self_trade = record.self_trade
    order.account = record.account
    order.flags = <unsigned short>record.flags
    order_index_put(core, slot, order.order_id)
    if record.client_order_id:
        order.flags |= NAMED
        more.client_order_id = record.client_order_id
        client_index_put(core, slot)
    more.display_lots = record.display_lots
    more.shown_lots = record.shown_lots
    more.expires_ns = record.expires_ns
    more.link_group = record.link_group
    more.link_role = record.link_role
    more.exit_lots = record.exit_lots
    more.time_in_force = record.time_in_force
    more.order_type = record.order_type
    more.trigger_by = record.trigger_by & 1
    more.trigger_ticks = record.trigger_ticks
    more.limit_ticks = record.price_ticks
    more.callback_ticks = record.callback_ticks
    more.callback_ppm = record.callback_ppm
    if record.order_type:
        order.flags |= TRIGGER_TYPE
    if record.expires_ns:
        order.flags |= TIMED
        timer_add(core, record.expires_ns, record.order_id)
    return slot

cdef inline int read_resting(Core* core, Reader* reader) except -1:
    cdef state_order record
    cdef uint32_t slot = read_order(core, reader, &record)
    cdef Order* order = order_at(core, slot)
    cdef Position* position = position_at(core, order.position)
    cdef Symbol* symbol = symbol_of(core, position)
    if not book_append(core, &symbol.sides[order.side], slot, order.price_ticks, order.open_lots):
        raise MemoryError("no memory for a price level")
    own_link(core, position, slot, order.side, order.price_ticks, order.flags)
    orders_counted(symbol, position, order.side, order.price_ticks, order.flags, order.open_lots)
    return 0

# A trailing stop on its way back: its group is found by its best price.
cdef struct Trailer:
    int64_t best_ticks
    uint32_t slot
    int number

cdef inline int read_waiting(Core* core, Reader* reader, Trailer* trailer) except -1:
    """An order that waits; of a trailing stop that watches, `trailer` gets slot and best price."""
    cdef state_order record
    cdef uint32_t slot = read_order(core, reader, &record)
    cdef Position* position = position_at(core, order_at(core, slot).position)
    cdef Symbol* symbol = symbol_of(core, position)
    trailer.slot = 0
    if not triggers_ensure(symbol):
        raise MemoryError("no memory for trigger books")
    waiting_link(core, position, slot)
    if record.armed and record.order_type == ORDER_TYPE_TRAILING_STOP:
        order_at(core, slot).flags |= ARMED
        trailer.slot = slot
        trailer.best_ticks = record.best_ticks
        trailer.number = trail_number(order_at(core, slot), more_at(core, slot))
    elif record.armed:
        arm(core, symbol, slot)
    return 0

cdef inline int by_best(const void* left, const void* right) noexcept nogil:
    """By their trails, in each the best best price first: as they would have stood on the stack."""
    cdef Trailer* a = <Trailer*>left
    cdef Trailer* b = <Trailer*>right
    if a.number != b.number:
        return -1 if a.number < b.number else 1
    if a.best_ticks != b.best_ticks:
        return -1 if (a.best_ticks > b.best_ticks) == (a.number & 2 != 0) else 1
    return -1 if a.slot < b.slot else 1

cdef inline int read_all_waiting(Core* core, Reader* reader, uint32_t count) except -1:
    cdef Trailer* trailers = <Trailer*>malloc((count + 1) * sizeof(Trailer))
    cdef uint32_t i, _i
    cdef uint32_t trailing = 0
    cdef Position* position
    if trailers == NULL:
        raise MemoryError("no memory for the orders that wait")
    try:
        for _i in range(count):
            read_waiting(core, reader, &trailers[trailing])
            if trailers[trailing].slot:
                trailing += 1
        qsort(trailers, trailing, sizeof(Trailer), &by_best)
        for i in range(trailing):
            position = position_at(core, order_at(core, trailers[i].slot).position)
            core.next_trail_serial += 1
            trail_begin(core, &symbol_of(core, position).triggers.trails[trailers[i].number], trailers[i].slot,
                        core.next_trail_serial, trailers[i].best_ticks)
    finally:
        free(trailers)
    return 0

cdef inline uint32_t sibling_at(Core* core, uint32_t slot, uint64_t order_id) noexcept nogil:
    """The slot of this order if it lives and is of the same list; else 0."""
    cdef uint32_t found = order_index_find(core, order_id)
    if found and found != slot and order_at(core, found).flags & ORDER_FLAG_LINKED \
            and more_at(core, found).link_group == more_at(core, slot).link_group:
        return found
    return 0

cdef inline void restore_links(Core* core) noexcept nogil:
    """Finds the siblings of linked orders anew: the orders of a list have consecutive ids."""
    cdef uint32_t slot
    cdef OrderMore* more
    cdef uint64_t place
    for slot in range(1, core.orders.used):        # a new engine has given none back
        if not order_at(core, slot).flags & ORDER_FLAG_LINKED:
            continue
        more = more_at(core, slot)
        place = order_at(core, slot).order_id - more.link_group
        more.siblings[0] = sibling_at(core, slot, more.link_group + (0 if place else 1))
        more.siblings[1] = sibling_at(core, slot, more.link_group + (1 if place == 2 else 2))

cdef inline int read_remembered(Core* core, Reader* reader) except -1:
    cdef state_remembered record
    cdef Remembered* entry
    take(reader, &record, sizeof(record))
    named_account(core, record.account)
    entry = remember_new(core, record.account, record.client_order_id)
    if entry == NULL:
        raise MemoryError("no room for another client order id")
    entry.order_id = record.order_id
    entry.symbol = record.symbol
    entry.leg = record.leg
    entry.side = record.side
    entry.order_type = record.order_type
    entry.price_ticks = record.price_ticks
    entry.qty_lots = record.qty_lots
    entry.trigger_ticks = record.trigger_ticks
    return 0

cdef inline int read_changed_brackets(Core* core, Reader* reader) except -1:
    cdef state_brackets record
    cdef Symbol* symbol
    take(reader, &record, sizeof(record))
    symbol = symbol_at(core, record.symbol)
    if symbol == NULL or not read_brackets(record.brackets, record.bracket_count, symbol):
        raise ValueError(f"the state gives symbol {record.symbol} brackets that it cannot have")
    symbol.initial_margin_ppm = record.initial_margin_ppm
    return 0

cdef inline int read_limits(Core* core, Reader* reader) except -1:
    cdef state_limits record
    cdef Symbol* symbol
    take(reader, &record, sizeof(record))
    symbol = symbol_at(core, record.symbol)
    if symbol == NULL:
        raise ValueError(f"the state caps symbol {record.symbol}, which is not there")
    apply_limits(symbol, record.position_limit_atoms, record.open_interest_limit_atoms,
                 record.oi_scaling_lower_atoms, record.oi_scaling_upper_atoms)
    return 0

cdef inline int read_adl_policy(Core* core, Reader* reader) except -1:
    cdef state_adl_policy record
    take(reader, &record, sizeof(record))
    if symbol_at(core, record.symbol) == NULL:
        raise ValueError(f"the state names symbol {record.symbol}, which is not there")
    symbol_at(core, record.symbol).adl_policy = record.policy
    return 0

cdef inline int read_pricing(Core* core, Reader* reader) except -1:
    cdef state_pricing record
    cdef Symbol* symbol
    take(reader, &record, sizeof(record))
    symbol = symbol_at(core, record.symbol)
    if symbol == NULL or not pricing_ensure(symbol):
        raise ValueError(f"the state has prices of symbol {record.symbol}, which is not there")
    symbol.held = record.held
    symbol.market_last_ticks = record.market_last_ticks
    symbol.pricing.composite = record.composite
    symbol.pricing.max_feeds = record.max_feeds
    symbol.pricing.max_age_ns = record.max_age_ns
    symbol.pricing.ema_ns = record.ema_ns
    symbol.pricing.basis_q20 = record.basis_q20
    symbol.pricing.basis_at_ns = record.basis_at_ns
    take(reader, &symbol.pricing.prices[0], sizeof(symbol.pricing.prices))
    core.composites += record.composite
    return 0

cdef inline uint32_t read_count(Reader* reader) except? 0:
    cdef uint32_t count = 0
    take(reader, &count, 4)
    return count

cdef inline int read_asset(Core* core, Reader* reader) except -1:
    cdef state_asset record
    cdef Asset* asset
    take(reader, &record, sizeof(record))
    if record.asset == 0 or record.asset > MAX_ASSETS or record.unit_parts < 1:
        raise ValueError(f"the state lists asset {record.asset}, which could not have been listed")
    asset = &core.assets[record.asset]
    memcpy(asset.name, record.name, MAX_NAME_BYTES)
    asset.unit_parts = record.unit_parts
    asset.haircut_ppm = record.haircut_ppm
    asset.price_atoms = record.price_atoms
    return 0

cdef inline int read_chooser(Core* core, Reader* reader, int choice) except -1:
    cdef uint32_t number = 0
    cdef Account* account
    take(reader, &number, 4)
    account = named_account(core, number)
    if choice == CHOICE_HEDGE:
        account.hedge = True
    else:
        account.multi_asset = True
    return 0

cdef inline int read_holding(Core* core, Reader* reader) except -1:
    cdef state_collateral record
    cdef Holdings* held
    take(reader, &record, sizeof(record))
    if asset_at(core, record.asset) == NULL or record.account == 0 or record.account > MAX_ACCOUNT:
        raise ValueError(f"the state names account {record.account} with asset {record.asset}, which is not there")
    held = holdings_ensure(core, record.account)
    if held == NULL:
        raise MemoryError("no room for another holder of collateral assets")
    held.parts[record.asset] = record.parts
    core.assets[record.asset].held_parts += record.parts
    recount(core, record.account)
    return 0

cdef inline int read_drawing(Core* core, Reader* reader) except -1:
    cdef state_drawing record
    cdef Drawing* drawing
    cdef int back
    take(reader, &record, sizeof(record))
    if symbol_at(core, record.symbol) == NULL or record.last_part < 0:
        raise ValueError(f"the state has payments of funds for symbol {record.symbol}, which could not have been made")
    drawing = drawing_new(symbol_at(core, record.symbol))
    if drawing == NULL:
        raise MemoryError("no room for another policy of funds")
    drawing.cap_atoms = record.cap_atoms
    drawing.second_fund = record.second_fund
    drawing.second_cap_atoms = record.second_cap_atoms
    drawing.window_ns = record.window_ns
    drawing.window_cap_atoms = record.window_cap_atoms
    drawing.own_paid_atoms = record.own_paid_atoms
    drawing.second_paid_atoms = record.second_paid_atoms
    drawing.last_part = record.last_part
    for back in range(WINDOW_PARTS + 1):
        if back <= record.last_part:
            part_of(drawing, record.last_part - back)[0] = record.parts[back]
    return 0

cdef inline int read_charge(Core* core, Reader* reader) except -1:
    cdef state_charged record
    cdef Account* owner
    cdef Position* entry
    take(reader, &record, sizeof(record))
    owner = named_account(core, record.account)
    if symbol_at(core, record.symbol) == NULL or record.charged_atoms < 1:
        raise ValueError(f"the state charges {record.charged_atoms} atoms to symbol {record.symbol}, which cannot be")
    entry = charged_entry(core, owner, record.symbol)
    if entry == NULL:
        entry = position_ensure(core, record.account, record.symbol, LEG_NET)
    if entry == NULL:
        raise MemoryError("no room for another entry of an account")
    entry.caused_atoms = record.charged_atoms
    owner.owing = True
    return 0

cdef inline int read_funding(Core* core, Reader* reader) except -1:
    cdef state_funding record
    cdef Symbol* symbol
    take(reader, &record, sizeof(record))
    symbol = symbol_at(core, record.symbol)
    if symbol == NULL or symbol.funding != NULL or record.interval_ns < 1 or record.sample_ns < 1:
        raise ValueError(f"the state has a funding policy of symbol {record.symbol}, which could not have been set")
    symbol.funding = <Funding*>calloc(1, sizeof(Funding))
    if symbol.funding == NULL:
        raise MemoryError("no memory for a funding policy")
    symbol.funding.interval_ns = record.interval_ns
    symbol.funding.sample_ns = record.sample_ns
    symbol.funding.interest_ppb = record.interest_ppb
    symbol.funding.clamp_ppb = record.clamp_ppb
    symbol.funding.max_rate_ppb = record.max_rate_ppb
    symbol.funding.impact_notional_atoms = record.impact_notional_atoms
    symbol.funding.next_sample_ns = record.next_sample_ns
    symbol.funding.next_funding_ns = record.next_funding_ns
    symbol.funding.premium_sum_ppb = record.premium_sum_ppb
    symbol.funding.samples = record.samples
    if record.next_sample_ns:
        timer_add(core, record.next_sample_ns, funding_key(record.symbol))

cdef inline int read_warning_levels(Core* core, Reader* reader) except -1:
    cdef uint32_t _i
    cdef uint32_t count = read_count(reader)
    if count > WARNING_LEVELS:
        raise ValueError(f"the state warns at {count} levels; there are at most {WARNING_LEVELS}")
    for _i in range(count):
        core.warning_ppm[_i] = read_count(reader)
    core.warning_count = count
    if count:
        warnings_restored(core)
    return 0

cdef inline int read_auto_margin(Core* core, Reader* reader) except -1:
    cdef state_leg record
    take(reader, &record, sizeof(record))
    entry_for(core, record.account, record.symbol, record.leg).auto_margin = True
    return 0

cdef inline int read_state(Core* core, Reader* reader) except -1:
    cdef state_head head
    cdef uint32_t _i, resting, waiting
    take(reader, &head, sizeof(head))
    if head.magic[:4] != b"PXS3":
        raise ValueError("this is no engine state: it should begin with PXS3")
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
    resting = read_count(reader)
    waiting = read_count(reader)
    for _i in range(resting):
        read_resting(core, reader)
    read_all_waiting(core, reader, waiting)
    restore_links(core)
    for _i in range(read_count(reader)):
        read_remembered(core, reader)
    for _i in range(read_count(reader)):
        read_changed_brackets(core, reader)
    for _i in range(read_count(reader)):
        read_limits(core, reader)
    for _i in range(read_count(reader)):
        read_adl_policy(core, reader)
    for _i in range(read_count(reader)):
        read_pricing(core, reader)
    for _i in range(read_count(reader)):
        read_chooser(core, reader, CHOICE_HEDGE)
    for _i in range(read_count(reader)):
        read_asset(core, reader)
    for _i in range(read_count(reader)):
        read_chooser(core, reader, CHOICE_MULTI_ASSET)
    for _i in range(read_count(reader)):
        read_holding(core, reader)
    for _i in range(read_count(reader)):
        read_drawing(core, reader)
    for _i in range(read_count(reader)):
        read_charge(core, reader)
    for _i in range(read_count(reader)):
        read_funding(core, reader)
    read_warning_levels(core, reader)
    for _i in range(read_count(reader)):
        read_auto_margin(core, reader)
    if reader.left:
        raise ValueError(f"{reader.left} bytes follow the end of the state")
    bands_draw(core)
    return 0
