"""Which pools a new mark brings into the liquidation queue, or under the eyes of MARGIN-10 (MARGIN-08, MARK-01).

`check_holders` looks at every pool with a position in the symbol; `check_left` at those whose band the mark has left, which is the
same (bands.pxd says why), in a time that does not grow with the pools that stay inside.  A build with EXCHANGE_CHECKED, and an
engine that is asked to prove it, measure all the others after every mark.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from native.bands cimport ISOLATED, bands_draw, bands_stale_pool, draw_pool, mirrored, stale_take
from native.core cimport (
    OPEN_BLOCK, OPEN_CHUNK, Band, Core, OpenBlock, OpenChunk, PoolState, Position, Symbol, ensure, open_block,
    open_position_at, pool_of, position_at,
)
from native.credit cimport CREDIT_CHECKED
from native.margin cimport PoolValue, below_maintenance, pool_value
from native.queue cimport pool_check
from native.units cimport apart, imax, lowest_bit, rarely

cdef enum:
    FAULT_PASSED_OVER = 8

cdef inline void check_all(Core* core, Symbol* symbol) noexcept nogil:
    """Every pool with a position in the symbol is checked (the queue puts them in order)."""
    cdef int64_t i
    cdef Position* position
    for i in range(symbol.open_count):
        position = open_position_at(core, symbol, i)
        pool_check(core, position.account, position if position.isolated else NULL)

cdef inline void check_stale(Core* core) noexcept nogil:
    """Checks the stale pools, and draws their bands anew at the present marks."""
    cdef uint64_t pool = stale_take(core)
    cdef Position* position
    while pool:
        if pool >> ISOLATED:
            position = position_at(core, <uint32_t>pool)
            pool_check(core, position.account, position)
        else:
            pool_check(core, <uint32_t>pool, NULL)
        draw_pool(core, pool)
        pool = stale_take(core)

cdef inline void check_holders(Core* core, Symbol* symbol) noexcept nogil:
    """Checks every pool with a position in the symbol, and draws their bands anew."""
    cdef int64_t i
    core.mover = symbol.symbol
    check_all(core, symbol)
    core.mover = 0
    for i in range(symbol.open_count):
        bands_stale_pool(core, open_position_at(core, symbol, i))
    bands_draw(core)

cdef inline bint is_left(Band* band, int64_t mark_ticks) noexcept nogil:
    """Whether a mark is outside a band, or outside one of several."""
    return (band.falls >= mark_ticks) | (band.rises >= mirrored(mark_ticks))

cdef inline uint64_t left_of(OpenBlock* block, int64_t mark_ticks) noexcept nogil:
    """Which positions of a block have bands that the mark is outside of: bit i for the i-th."""
    cdef int64_t mirror = mirrored(mark_ticks)
    cdef uint64_t left = 0
    cdef int i
    for i in range(OPEN_BLOCK):
        left |= <uint64_t>((block.falls[i] >= mark_ticks) | (block.rises[i] >= mirror)) << i
    return left

cdef inline apart block_left(Core* core, OpenBlock* block, Band* band, int64_t mark_ticks) noexcept nogil:
    """Notes the pools of a block whose bands are left, and finds the band of the others."""
    cdef uint64_t left = left_of(block, mark_ticks)
    cdef int i
    while left:
        i = lowest_bit(left)
        left &= left - 1
        block.falls[i] = block.rises[i] = 0    # until it is drawn anew
        bands_stale_pool(core, position_at(core, block.slots[i]))
    band.falls = band.rises = 0
    for i in range(OPEN_BLOCK):
        band.falls = imax(band.falls, block.falls[i])
        band.rises = imax(band.rises, block.rises[i])

cdef inline apart chunk_left(Core* core, OpenChunk* chunk, Band* band, int64_t mark_ticks) noexcept nogil:
    """The same for a chunk and its blocks."""
    cdef int i
    for i in range(OPEN_CHUNK // OPEN_BLOCK):
        if is_left(&chunk.bands[i], mark_ticks):
            block_left(core, &chunk.blocks[i], &chunk.bands[i], mark_ticks)
    band.falls = band.rises = 0
    for i in range(OPEN_CHUNK // OPEN_BLOCK):
        band.falls = imax(band.falls, chunk.bands[i].falls)
        band.rises = imax(band.rises, chunk.bands[i].rises)

cdef inline bint is_passed_over(Core* core, Position* position) noexcept nogil:
    """Whether a pool should wait for liquidation and does not, or waits with a value that it no longer has."""
    cdef PoolValue value = pool_value(core, position.account, position if position.isolated else NULL)
    cdef PoolState* state = pool_of(core, position)
    if state.heap_place == 0:
        return state.liquidating or below_maintenance(&value)
    return core.queue[state.heap_place - 1].equity_atoms != value.equity_atoms \
        or core.queue[state.heap_place - 1].maintenance_atoms != value.maintenance_atoms

cdef inline apart prove(Core* core, Symbol* symbol) noexcept nogil:
    """Stops the engine if a pool was passed over, or a band is outside of the one above it."""
    cdef int64_t i
    cdef Band* block
    cdef Band* chunk
    for i in range(symbol.open_count):
        block = &symbol.open_chunks[i // OPEN_CHUNK].chunk.bands[i % OPEN_CHUNK // OPEN_BLOCK]
        chunk = &symbol.open_chunks[i // OPEN_CHUNK].band
        ensure(core, open_block(symbol, i).falls[i % OPEN_BLOCK] <= block.falls <= chunk.falls, FAULT_PASSED_OVER)
        ensure(core, open_block(symbol, i).rises[i % OPEN_BLOCK] <= block.rises <= chunk.rises, FAULT_PASSED_OVER)
        ensure(core, not is_passed_over(core, open_position_at(core, symbol, i)), FAULT_PASSED_OVER)

cdef inline void check_left(Core* core, Symbol* symbol) noexcept nogil:
    """After a new mark: every pool that `check_holders` would queue is queued."""
    cdef int64_t i
    if rarely(core.scan_marks):
        core.mover = symbol.symbol
        check_all(core, symbol)
        core.mover = 0
        for i in range(symbol.open_count if core.warning_count else 0):
            bands_stale_pool(core, open_position_at(core, symbol, i))
        return
    for i in range(symbol.open_chunk_count):
        if rarely(is_left(&symbol.open_chunks[i].band, symbol.mark_ticks)):
            chunk_left(core, symbol.open_chunks[i].chunk, &symbol.open_chunks[i].band, symbol.mark_ticks)
    core.mover = symbol.symbol             # what is below zero by this mark is charged to it (charging.pxd)
    check_stale(core)
    core.mover = 0
    if CREDIT_CHECKED or rarely(core.prove_marks):
        prove(core, symbol)
