"""The open positions of a symbol, and between which marks their pools need no look (MARGIN-08, MARGIN-10).

Theory of operation.  Equity less maintenance margin of a pool is a sum over its positions, and each term falls with one mark
in one direction alone: of a long when the mark falls, of a short when it rises.  So what a pool has above maintenance - its
*slack* - is divided among its positions by notional, and each gets the mark up to which its term loses no more than its part:
its *band*.  While every mark stays inside, the parts cannot sum to more than the slack, and the pool is at maintenance.  The
band of a position that is alone in its pool ends at most a tick before its liquidation price.

The ends of the bands stand in blocks of 64 beside the slots of the positions, with the outermost of each block, and of each
chunk of 64 blocks, above them.  So a new mark is compared with one pair of numbers for 4,096 positions, and goes down only where
a band ends (marks.pxd); exact arithmetic is for the pools that it finds there.  The upper numbers may be wider than need be:
they are raised when a band comes, and made exact when a mark has looked below them.

Whatever may lower a pool's slack, or flag it, makes its bands *stale*: a fill, a fee, money that leaves, a mode, funding, the
beginning of a liquidation.  A stale pool stands in a list, once; before the next mark moves, its bands are drawn anew.  So a
fill tests one flag.  What raises the slack alone - a deposit - leaves the bands as they are: too narrow costs a look.

Where levels are warned of (MARGIN-10), the slack is what a pool has above the next level, and of a pool that was told of one
bands have another end, in the favourable direction: what maintenance margin is above that level (the *gap*) is divided alike.
Then what raises the slack counts as a change, too, and every pool that changes is noted in a second list, once in a command.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport malloc, realloc
from libc.string cimport memset
from native.core cimport (
    Account, Band, Core, FAULT_NO_MEMORY, OPEN_BLOCK, OPEN_CHUNK, OpenBlock, OpenChunk, OpenChunkEntry, PoolState,
    Position, Symbol, account_at, ensure, open_block, open_slot, position_at, prefetch_position, slot_of, symbol_of,
)
from native.margin cimport PoolValue, bracket_of, cross_value, isolated_value, notional
from native.memory cimport ids_add, ids_take, prefetch
from native.units cimport apart, div_ceil, iabs, imax, imin, ppm_ceil, rarely, wide
from native.wire cimport MAX_PRICE_TICKS, PPM

cdef enum:
    ISOLATED = 32                      # with this bit an id in the list of stale pools is the slot of an isolated entry
    STRIDE = 2                         # stale pools between one link that is asked for and the next
    STALE = 1                          # of `PoolState.stale`: the pool stands in the list of stale pools
    NOTED = 2                          # and where anybody is warned, in that of noted ones; elsewhere it says nothing

cdef extern from *:
    """
    #define BAND_ALWAYS INT64_MAX
    #define BAND_FAR ((int64_t)1 << 61)
    """
    const int64_t ALWAYS "BAND_ALWAYS"     # the end of a band that every mark has left
    const int64_t FAR "BAND_FAR"           # more than any notional

# ------------------------------------------------------------------------------------ the open positions

cdef inline int64_t mirrored(int64_t mark_ticks) noexcept nogil:
    """A mark turned round, so that rising and falling are compared alike: with the greatest of several ends."""
    return MAX_PRICE_TICKS + 1 - mark_ticks

cdef inline void band_set(Symbol* symbol, int64_t place, int64_t falls, int64_t rises) noexcept nogil:
    """Writes the band of an open position, and widens those above it."""
    cdef OpenChunkEntry* entry = &symbol.open_chunks[place // OPEN_CHUNK]
    cdef Band* band = &entry.chunk.bands[place % OPEN_CHUNK // OPEN_BLOCK]
    cdef OpenBlock* block = open_block(symbol, place)
    block.falls[place % OPEN_BLOCK] = falls
    block.rises[place % OPEN_BLOCK] = rises
    band.falls = imax(band.falls, falls)
    band.rises = imax(band.rises, rises)
    entry.band.falls = imax(entry.band.falls, falls)
    entry.band.rises = imax(entry.band.rises, rises)

cdef inline bint open_chunk_new(Symbol* symbol) noexcept nogil:
    """Room for another chunk of open positions; False without memory.  Growth copies the directory of chunks alone."""
    cdef OpenChunk* chunk
    cdef OpenChunkEntry* grown
    cdef int64_t capacity = 2 * symbol.open_chunk_capacity + 4
    if symbol.open_chunk_count == symbol.open_chunk_capacity:
        grown = <OpenChunkEntry*>realloc(symbol.open_chunks, capacity * sizeof(OpenChunkEntry))
        if grown == NULL:
            return False
        symbol.open_chunks = grown
        symbol.open_chunk_capacity = capacity
    chunk = <OpenChunk*>malloc(sizeof(OpenChunk))
    if chunk == NULL:
        return False
    memset(chunk.bands, 0, sizeof(chunk.bands))
    symbol.open_chunks[symbol.open_chunk_count].chunk = chunk
    symbol.open_chunks[symbol.open_chunk_count].band = chunk.bands[0]
    symbol.open_chunk_count += 1
    return True

cdef inline void open_add(Core* core, Symbol* symbol, Position* position) noexcept nogil:
    """Takes in a position that opens; its pool is stale then, so that it has no band yet."""
    cdef int64_t place = symbol.open_count
    if place == symbol.open_chunk_count * OPEN_CHUNK and not open_chunk_new(symbol):
        ensure(core, False, FAULT_NO_MEMORY)
        return
    if place % OPEN_BLOCK == 0:                # the places behind the last position have no bands
        memset(open_block(symbol, place), 0, sizeof(OpenBlock))
    open_slot(symbol, place)[0] = slot_of(core, position)
    symbol.open_count += 1
    position.open_place = <uint32_t>symbol.open_count
    if not position.isolated:
        account_at(core, position.account).cross_positions += 1

cdef inline void open_remove(Core* core, Symbol* symbol, Position* position) noexcept nogil:
    """Takes out a position that is closed; the last one takes its place."""
    cdef int64_t place = <int64_t>position.open_place - 1
    cdef int64_t last = symbol.open_count - 1
    cdef OpenBlock* block = open_block(symbol, last)
    cdef uint32_t moved = block.slots[last % OPEN_BLOCK]
    open_slot(symbol, place)[0] = moved
    position_at(core, moved).open_place = <uint32_t>(place + 1)
    band_set(symbol, place, block.falls[last % OPEN_BLOCK], block.rises[last % OPEN_BLOCK])
    block.falls[last % OPEN_BLOCK] = block.rises[last % OPEN_BLOCK] = 0
    symbol.open_count -= 1
    position.open_place = 0
    if not position.isolated:
        account_at(core, position.account).cross_positions -= 1

# --------------------------------------------------------------------------------------- what is stale

cdef inline uint64_t isolated_id(Core* core, Position* position) noexcept nogil:
    """What an isolated pool is called in the lists; a cross pool's name is its account."""
    return <uint64_t>1 << ISOLATED | slot_of(core, position)

cdef inline apart stale_note(Core* core, PoolState* state, uint64_t pool) noexcept nogil:
    """Puts a pool into the lists in which it does not stand."""
    if not state.stale & STALE:
        ensure(core, ids_add(&core.stale, pool), FAULT_NO_MEMORY)
    if core.warning_count != 0 and not state.stale & NOTED:
        ensure(core, ids_add(&core.noted, pool), FAULT_NO_MEMORY)
    state.stale = STALE | NOTED

cdef inline void bands_stale(Core* core, Account* owner, uint32_t account) noexcept nogil:
    """The slack of a cross pool may have become less."""
    if rarely(owner.pool.stale != STALE | NOTED):
        stale_note(core, &owner.pool, account)

cdef inline void bands_stale_isolated(Core* core, Position* position) noexcept nogil:
    """The slack of an isolated pool may have become less."""
    if position.pool.stale != STALE | NOTED:
        stale_note(core, &position.pool, isolated_id(core, position))

cdef inline void bands_stale_both(Core* core, Account* owner, Position* position) noexcept nogil:
    """The slack of the account's cross pool may have become less, and that of the position's pool if it is another."""
    bands_stale(core, owner, position.account)
    if rarely(position.isolated):
        bands_stale_isolated(core, position)

cdef inline void bands_stale_pool(Core* core, Position* position) noexcept nogil:
    """The slack of the pool that a position belongs to may have become less."""
    if position.isolated:
        bands_stale_isolated(core, position)
    else:
        bands_stale(core, account_at(core, position.account), position.account)

cdef inline void bands_raised(Core* core, Account* owner, uint32_t account) noexcept nogil:
    """The slack of a cross pool has become more: that matters only to who was warned (MARGIN-10)."""
    if rarely(core.warning_count != 0):
        bands_stale(core, owner, account)

cdef inline void stale_forget(Core* core, PoolState* state) noexcept nogil:
    """A pool has left the list of stale ones."""
    state.stale = state.stale & NOTED if rarely(core.warning_count != 0) else 0

# ------------------------------------------------------------------------------------- how far a mark may go

# Below, `level` is the part of its equity that a pool's maintenance margin may reach before the pool is to be looked at, in
# ppm: PPM for liquidation itself.  The slack is floor(equity x level) - maintenance.  All that is rounded is rounded so that a
# band becomes narrower.  The gap is maintenance - ceil(equity x the level that the pool was told of).

cdef inline int64_t value_room(int64_t slack_atoms, int64_t rate_ppm) noexcept nogil:
    """The change of a notional that costs no more than the slack at a rate."""
    cdef int64_t whole
    if rate_ppm == 0:
        return FAR
    whole = slack_atoms // rate_ppm
    if whole >= FAR // PPM:
        return FAR
    return whole * PPM + (slack_atoms - whole * rate_ppm) * PPM // rate_ppm

cdef inline int64_t room_falling(Symbol* symbol, int64_t notional_atoms, int64_t slack_atoms, int64_t level_ppm) noexcept nogil:
    """By how much the notional of a long may fall: each bracket that it falls through gives back at its own rate."""
    cdef int k = bracket_of(symbol, notional_atoms)
    cdef int64_t room = 0
    cdef int64_t rate, edge, cost
    while True:
        rate = level_ppm - symbol.brackets[k].maintenance_ppm
        edge = notional_atoms - room - symbol.brackets[k].floor_atoms
        cost = ppm_ceil(edge, rate)
        if k == 0 or cost > slack_atoms:
            return room + value_room(slack_atoms, rate)
        slack_atoms -= cost
        room += edge
        k -= 1

cdef inline int64_t room_rising(Symbol* symbol, int64_t notional_atoms, int64_t slack_atoms, int64_t level_ppm) noexcept nogil:
    """By how much the notional of a short may rise: each bracket that it rises through asks for its own rate."""
    cdef int k = bracket_of(symbol, notional_atoms)
    cdef int64_t room = 0
    cdef int64_t rate, edge, cost
    while True:
        rate = level_ppm + symbol.brackets[k].maintenance_ppm
        if k + 1 == symbol.bracket_count:
            return room + value_room(slack_atoms, rate)
        edge = symbol.brackets[k + 1].floor_atoms - notional_atoms - room
        cost = ppm_ceil(edge, rate)
        if cost > slack_atoms:
            return room + value_room(slack_atoms, rate)
        slack_atoms -= cost
        room += edge
        k += 1

# How far one position's mark may go: its part of the slack and, of a pool that was warned, of the gap.
cdef struct Room:
    int64_t slack_atoms                # below 0: the pool is to be looked at whatever the mark
    int64_t level_ppm
    int64_t gap_atoms
    int64_t warned_ppm                 # the level that the pool was told of last; 0: none

cdef inline bint needs_look(Symbol* symbol, Room* room) noexcept nogil:
    """Whether every mark is to be looked at.

    Below a level of PPM a mark may cost an atom by rounding in either direction, so every part has to have one.  A
    maintenance rate above a level could bring a long nearer to it while the mark rises; such symbols have no bands.
    """
    cdef int64_t lowest = room.warned_ppm if room.warned_ppm else room.level_ppm
    if room.slack_atoms < (room.level_ppm < PPM) or symbol.brackets[symbol.bracket_count - 1].maintenance_ppm > lowest:
        return True
    return room.warned_ppm != 0 and room.gap_atoms < 1

cdef inline int64_t adverse_ticks(Symbol* symbol, int64_t lots, Room* room) noexcept nogil:
    """How far the mark may go against a position.  Maintenance is rounded up, so it may cost an atom more than by its rates."""
    cdef int64_t unit = iabs(lots) * symbol.m
    cdef int64_t slack = imax(0, room.slack_atoms - 1)
    if lots > 0:
        return room_falling(symbol, unit * symbol.mark_ticks, slack, room.level_ppm) // unit
    return room_rising(symbol, unit * symbol.mark_ticks, slack, room.level_ppm) // unit

cdef inline int64_t favourable_ticks(Symbol* symbol, int64_t lots, Room* room) noexcept nogil:
    """How far it may go for the position: the rate at which the gap closes is never above that of the present bracket."""
    cdef int64_t unit = iabs(lots) * symbol.m
    cdef int64_t rate = symbol.brackets[bracket_of(symbol, unit * symbol.mark_ticks)].maintenance_ppm
    return value_room(room.gap_atoms - 1, room.warned_ppm - rate if lots > 0 else room.warned_ppm + rate) // unit

cdef inline void band_draw(Symbol* symbol, Position* position, Room* room) noexcept nogil:
    """Gives a position the band in which its term loses no more than this slack, and wins no more than this gap."""
    cdef int64_t mark = symbol.mark_ticks
    cdef int64_t place = <int64_t>position.open_place - 1
    cdef int64_t lots = position.position_lots
    cdef int64_t falls = 0
    cdef int64_t rises = 0
    if needs_look(symbol, room):
        band_set(symbol, place, ALWAYS, 0)
        return
    if lots > 0 or room.warned_ppm:
        falls = imax(0, mark - 1 - (adverse_ticks(symbol, lots, room) if lots > 0 else favourable_ticks(symbol, lots, room)))
    if lots < 0 or room.warned_ppm:
        rises = imax(0, mirrored(
            mark + 1 + (adverse_ticks(symbol, lots, room) if lots < 0 else favourable_ticks(symbol, lots, room))))
    band_set(symbol, place, falls, rises)

cdef inline Room pool_room(Core* core, PoolValue* value, PoolState* state) noexcept nogil:
    """What a pool has above the next level, or above maintenance, and is above the level that it was told of last."""
    cdef Room room
    cdef int told = state.warned
    room.slack_atoms = -1
    room.level_ppm = PPM
    room.gap_atoms = room.warned_ppm = 0
    if state.liquidating or value.equity_atoms < value.maintenance_atoms:
        return room
    if told < core.warning_count:      # a level is reached where the two are equal, so an atom is kept
        room.level_ppm = core.warning_ppm[told]
        room.slack_atoms = <int64_t>(wide(value.equity_atoms, room.level_ppm) // PPM) - value.maintenance_atoms - 1
    else:
        room.slack_atoms = value.equity_atoms - value.maintenance_atoms
    if told:
        room.warned_ppm = core.warning_ppm[told - 1]
        room.gap_atoms = value.maintenance_atoms - <int64_t>div_ceil(wide(value.equity_atoms, room.warned_ppm), PPM)
    return room

# --------------------------------------------------------------------------------------- drawing them anew

cdef inline void draw_isolated(Core* core, Position* position) noexcept nogil:
    cdef PoolValue value
    cdef Room room
    stale_forget(core, &position.pool)
    if position.position_lots == 0 or not position.isolated:
        return
    value = isolated_value(core, position)
    room = pool_room(core, &value, &position.pool)
    band_draw(symbol_of(core, position), position, &room)

cdef inline int64_t cross_notional(Core* core, Account* owner) noexcept nogil:
    """Sum of the notionals of an account's cross positions."""
    cdef uint32_t left = owner.cross_positions
    cdef uint32_t slot = owner.first_position
    cdef int64_t total = 0
    cdef Position* position
    while left:
        position = position_at(core, slot)
        if position.position_lots != 0 and not position.isolated:
            total += notional(symbol_of(core, position), position.position_lots)
            left -= 1
        slot = position.next
    return total

cdef inline int64_t part_of(int64_t atoms, int64_t notional_atoms, int64_t total_atoms) noexcept nogil:
    """A position's part of a pool's slack or gap; below 0 it stays below."""
    return <int64_t>(wide(atoms, notional_atoms) // total_atoms) if atoms > 0 else atoms

cdef inline void draw_cross(Core* core, uint32_t account) noexcept nogil:
    """Divides the slack of a cross pool among its positions, and the gap."""
    cdef Account* owner = account_at(core, account)
    cdef uint32_t left = owner.cross_positions
    cdef uint32_t slot = owner.first_position
    cdef bint alone = left == 1
    cdef int64_t total, one
    cdef Position* position
    cdef Symbol* symbol
    cdef PoolValue value
    cdef Room whole, part
    stale_forget(core, &owner.pool)
    if left == 0:
        return
    value = cross_value(core, account)
    whole = part = pool_room(core, &value, &owner.pool)
    total = 0 if alone else cross_notional(core, owner)
    while left:
        position = position_at(core, slot)
        if position.position_lots != 0 and not position.isolated:
            symbol = symbol_of(core, position)
            if not alone:
                one = notional(symbol, position.position_lots)
                part.slack_atoms = part_of(whole.slack_atoms, one, total)
                part.gap_atoms = part_of(whole.gap_atoms, one, total)
            band_draw(symbol, position, &part)
            left -= 1
        slot = position.next

cdef inline void prefetch_end(Core* core, uint32_t slot) noexcept nogil:
    """Asks for where the band of an entry's position stands."""
    cdef Position* position = position_at(core, slot)
    cdef int64_t place = <int64_t>position.open_place - 1
    cdef OpenBlock* block
    if place >= 0:
        block = open_block(symbol_of(core, position), place)
        prefetch(&block.falls[place % OPEN_BLOCK])
        prefetch(&block.rises[place % OPEN_BLOCK])

cdef inline void prefetch_entry(Core* core, uint32_t slot) noexcept nogil:
    """Asks for all of an entry."""
    prefetch_position(position_at(core, slot))
    prefetch(&position_at(core, slot).open_place)

cdef inline void stale_ahead(Core* core) noexcept nogil:
    """Asks for what the next stale pools will touch: the account, its first entry, the next one, and where their bands stand."""
    cdef uint64_t* pools = core.stale.ids + core.stale.first
    cdef uint64_t far = pools[4 * STRIDE]
    cdef uint64_t near = pools[3 * STRIDE]
    if far >> ISOLATED:
        prefetch_entry(core, <uint32_t>far)
    else:
        prefetch(account_at(core, <uint32_t>far))
    if not near >> ISOLATED:
        prefetch_entry(core, account_at(core, <uint32_t>near).first_position)
    near = pools[2 * STRIDE]
    if near >> ISOLATED:
        prefetch_end(core, <uint32_t>near)
    else:
        prefetch_end(core, account_at(core, <uint32_t>near).first_position)
        prefetch_entry(core, position_at(core, account_at(core, <uint32_t>near).first_position).next)
    near = pools[STRIDE]
    if not near >> ISOLATED:
        prefetch_end(core, position_at(core, account_at(core, <uint32_t>near).first_position).next)

cdef inline uint64_t stale_take(Core* core) noexcept nogil:
    """The next of the stale pools; 0: there is none."""
    if core.stale.first + 4 * STRIDE < core.stale.end:
        stale_ahead(core)
    return ids_take(&core.stale)

cdef inline void draw_pool(Core* core, uint64_t pool) noexcept nogil:
    if pool >> ISOLATED:
        draw_isolated(core, position_at(core, <uint32_t>pool))
    else:
        draw_cross(core, <uint32_t>pool)

cdef inline apart bands_draw(Core* core) noexcept nogil:
    """Draws the bands of all stale pools anew, at the present marks."""
    cdef uint64_t pool
    if rarely(core.scan_marks):        # nobody asks for them
        return
    pool = stale_take(core)
    while pool:
        draw_pool(core, pool)
        pool = stale_take(core)
