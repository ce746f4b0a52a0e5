"""Warnings before a liquidation: a pool's maintenance margin has reached a level of its equity (MARGIN-10).

Theory of operation.  A pool keeps how many levels it was told of.  When a command is done, the pools that it changed - those that
bands.pxd has noted, by fills, marks, money that moved - are measured, by account, symbol and leg; who has reached more levels is
told of the highest, and who has reached fewer will be told again.  So between commands the number is that of the levels which the
pool has reached; of a pool that is liquidated, of all of them.  A mark need not look at anybody else: while levels are set, bands
end where a pool's number changes.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport qsort
from native.bands cimport ISOLATED, NOTED, STALE, bands_stale_pool, isolated_id
from native.core cimport (
    Core, FAULT_NO_MEMORY, PoolState, Position, Symbol, WARNING_LEVELS, account_at, ensure, open_position_at, pool_of,
    position_at, symbol_at,
)
from native.credit cimport CREDIT_CHECKED
from native.events cimport event_accepted, event_new
from native.margin cimport PoolValue, pool_value
from native.memory cimport IdQueue, ids_add, ids_take
from native.positions cimport position_find
from native.queue cimport pool_state
from native.units cimport apart, rarely, wide
from native.wire cimport *

cdef enum:
    FAULT_UNTOLD = 9
    LEG_BITS = 2
    SYMBOL_BITS = 16

# ------------------------------------------------------------------------------------------ what is reached

cdef inline int levels_reached(Core* core, PoolValue* value) noexcept nogil:
    """How many levels a pool's maintenance margin has reached: compared as products, equality counts."""
    cdef int reached = 0
    if value.position_count == 0:
        return 0
    while reached < core.warning_count \
            and wide(value.maintenance_atoms, PPM) >= wide(value.equity_atoms, core.warning_ppm[reached]):
        reached += 1
    return reached

cdef inline int levels_due(Core* core, PoolState* state, Position* isolated, PoolValue* value) noexcept nogil:
    """How many levels a pool has to have been told of when a command is done."""
    if isolated != NULL and not isolated.isolated:
        return 0                       # it backs nothing
    return core.warning_count if state.liquidating else levels_reached(core, value)

cdef inline void event_warning(
    Core* core, uint32_t account, Position* isolated, PoolValue* value, int64_t level_ppm
) noexcept nogil:
    cdef wire_margin_warning* e = <wire_margin_warning*>event_new(
        core, EVENT_MARGIN_WARNING, sizeof(wire_margin_warning), account)
    e.symbol = isolated.symbol if isolated != NULL else 0
    e.leg = <uint8_t>isolated.leg if isolated != NULL else 0
    e.level_ppm = <uint32_t>level_ppm
    e.equity_atoms = value.equity_atoms
    e.maintenance_atoms = value.maintenance_atoms

cdef inline void look_at(Core* core, uint32_t account, Position* isolated) noexcept nogil:
    """Measures a pool that was noted, and tells it the highest level that it has newly reached."""
    cdef PoolState* state = pool_state(core, account, isolated)
    cdef PoolValue value = pool_value(core, account, isolated)
    cdef int due = levels_due(core, state, isolated, &value)
    state.stale &= STALE
    if due > state.warned and not state.liquidating:
        event_warning(core, account, isolated, &value, core.warning_ppm[due - 1])
    if due == state.warned:
        return
    state.warned = <uint8_t>due
    if not state.stale & STALE:        # its bands were drawn for the levels before
        state.stale = STALE
        ensure(core, ids_add(&core.stale, isolated_id(core, isolated) if isolated != NULL else account), FAULT_NO_MEMORY)

# ------------------------------------------------------------------------------------- all that have a position

# How far a walk over the open positions of all symbols has come.
cdef struct OpenWalk:
    uint32_t symbol
    int64_t place

cdef inline OpenWalk all_open() noexcept nogil:
    cdef OpenWalk walk
    walk.symbol, walk.place = 1, 0
    return walk

cdef inline Position* next_open(Core* core, OpenWalk* walk) noexcept nogil:
    """The next open position; NULL: that were all.  A cross pool comes once for each of its positions."""
    cdef Symbol* symbol
    while walk.symbol <= core.highest_symbol:
        symbol = symbol_at(core, walk.symbol)
        if symbol != NULL and walk.place < symbol.open_count:
            walk.place += 1
            return open_position_at(core, symbol, walk.place - 1)
        walk.symbol += 1
        walk.place = 0
    return NULL

cdef inline int holder_due(Core* core, Position* position) noexcept nogil:
    """How many levels the pool of an open position has to have been told of."""
    cdef Position* isolated = position if position.isolated else NULL
    cdef PoolValue value = pool_value(core, position.account, isolated)
    return levels_due(core, pool_of(core, position), isolated, &value)

# ------------------------------------------------------------------------------------- when a command is done

cdef inline uint64_t turn_of(Core* core, uint64_t pool) noexcept nogil:
    """A noted pool as a number that sorts by account, symbol and leg."""
    cdef Position* position
    if not pool >> ISOLATED:
        return pool << (SYMBOL_BITS + LEG_BITS)
    position = position_at(core, <uint32_t>pool)
    return (<uint64_t>position.account << SYMBOL_BITS | position.symbol) << LEG_BITS | position.leg

cdef inline int by_turn(const void* left, const void* right) noexcept nogil:
    cdef uint64_t a = (<uint64_t*>left)[0]
    cdef uint64_t b = (<uint64_t*>right)[0]
    return (a > b) - (a < b)

cdef inline apart prove_told(Core* core) noexcept nogil:
    """Stops the engine if a pool with a position was not told what it should have been, or more."""
    cdef OpenWalk walk = all_open()
    cdef Position* position = next_open(core, &walk)
    while position != NULL:
        ensure(core, holder_due(core, position) == pool_of(core, position).warned, FAULT_UNTOLD)
        position = next_open(core, &walk)

cdef inline apart warn_noted(Core* core) noexcept nogil:
    """Looks at the pools that the command has changed."""
    cdef int64_t i
    cdef uint64_t turn
    cdef uint32_t account, key
    cdef uint64_t* pools = core.noted.ids
    for i in range(core.noted.first, core.noted.end):
        pools[i] = turn_of(core, pools[i])
    qsort(pools + core.noted.first, core.noted.end - core.noted.first, sizeof(uint64_t), &by_turn)
    while core.noted.end != 0:
        turn = ids_take(&core.noted)
        account = <uint32_t>(turn >> (SYMBOL_BITS + LEG_BITS))
        key = <uint32_t>(turn >> LEG_BITS) & ((1 << SYMBOL_BITS) - 1)
        look_at(core, account, position_find(core, account, key, <uint32_t>turn & ((1 << LEG_BITS) - 1)) if key else NULL)
    if CREDIT_CHECKED or rarely(core.prove_marks):
        prove_told(core)

# ----------------------------------------------------------------------------------------------- the levels

cdef inline int read_levels(wire_set_margin_warnings* c, int64_t* levels) noexcept nogil:
    """Counts the levels of a command and writes them; -1: they do not rise inside 1 .. 999,999, or one follows a 0."""
    cdef int64_t[WARNING_LEVELS] given
    cdef int count = 0
    cdef int i
    given[0] = c.first_level_ppm
    given[1] = c.second_level_ppm
    given[2] = c.third_level_ppm
    given[3] = c.fourth_level_ppm
    for i in range(WARNING_LEVELS):
        if given[i] == 0:
            continue
        if count != i or given[i] >= PPM or (i > 0 and given[i] <= given[i - 1]):
            return -1
        levels[i] = given[i]
        count += 1
    return count

cdef inline void unnote(Core* core, IdQueue* pools) noexcept nogil:
    cdef int64_t i
    cdef uint64_t pool
    for i in range(pools.first, pools.end):
        pool = pools.ids[i]
        if pool >> ISOLATED:
            position_at(core, <uint32_t>pool).pool.stale &= STALE
        else:
            account_at(core, <uint32_t>pool).pool.stale &= STALE

cdef inline void note_none(Core* core) noexcept nogil:
    """No pool is noted: while nobody was warned flags said it of stale ones, and funding that was due may have come first."""
    unnote(core, &core.stale)
    unnote(core, &core.noted)
    core.noted.first = core.noted.end = 0

cdef inline uint8_t count_up_to(Core* core, int64_t level_ppm) noexcept nogil:
    """How many levels are not above this one."""
    cdef uint8_t count = 0
    while count < core.warning_count and core.warning_ppm[count] <= level_ppm:
        count += 1
    return count

cdef inline void carry_over(Core* core, PoolState* state, int64_t* before_ppm) noexcept nogil:
    """A pool under other levels: those that are not above one that it was told of count as told."""
    if state.liquidating:
        state.warned = <uint8_t>core.warning_count
    elif state.warned:
        state.warned = count_up_to(core, before_ppm[state.warned - 1])

cdef inline void carry_over_all(Core* core, int64_t* before_ppm) noexcept nogil:
    """Every pool with a position is looked at under the new levels when the command is done."""
    cdef OpenWalk walk = all_open()
    cdef Position* position = next_open(core, &walk)
    while position != NULL:
        if not pool_of(core, position).stale & NOTED:          # it did not come before
            carry_over(core, pool_of(core, position), before_ppm)
            bands_stale_pool(core, position)
        position = next_open(core, &walk)

cdef inline void drop_all(Core* core) noexcept nogil:
    """Nobody is warned any more."""
    cdef OpenWalk walk = all_open()
    cdef Position* position = next_open(core, &walk)
    while position != NULL:
        pool_of(core, position).warned = 0
        position = next_open(core, &walk)

cdef inline int set_margin_warnings(Core* core, wire_set_margin_warnings* c) noexcept nogil:
    """MARGIN-10: other levels for all pools; returns 0, or the reject reason."""
    cdef int64_t[WARNING_LEVELS] levels
    cdef int64_t[WARNING_LEVELS] before
    cdef int count = read_levels(c, levels)
    cdef int i
    cdef wire_margin_warnings_set* e
    if count < 0:
        return REJECT_REASON_INVALID_POLICY
    for i in range(WARNING_LEVELS):
        before[i] = core.warning_ppm[i]
        core.warning_ppm[i] = levels[i] if i < count else 0
    core.warning_count = count
    note_none(core)
    if count:
        carry_over_all(core, before)
    else:
        drop_all(core)
    event_accepted(core, 0, COMMAND_SET_MARGIN_WARNINGS, 0, 0)
    e = <wire_margin_warnings_set*>event_new(core, EVENT_MARGIN_WARNINGS_SET, sizeof(wire_margin_warnings_set), 0)
    e.first_level_ppm = c.first_level_ppm
    e.second_level_ppm = c.second_level_ppm
    e.third_level_ppm = c.third_level_ppm
    e.fourth_level_ppm = c.fourth_level_ppm
    return 0

cdef inline void warnings_restored(Core* core) noexcept nogil:
    """What pools were told of follows from the state: nothing is told."""
    cdef OpenWalk walk = all_open()
    cdef Position* position = next_open(core, &walk)
    note_none(core)
    while position != NULL:
        pool_of(core, position).warned = <uint8_t>holder_due(core, position)
        position = next_open(core, &walk)
