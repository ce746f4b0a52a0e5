"""Beginning and end of a core: the address space that it grows into, and giving everything back."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from native.block_index cimport index_close
from native.book cimport NARROW_BLOCK
from native.core cimport (
    Account, AccountMore, Block, Core, Holdings, Order, OrderMore, Position, QueuedPool, Remembered, Symbol, Timer,
)
from native.events cimport EVENTS_MARGIN
from native.memory cimport ids_close, ids_open, memory_release, memory_reserve, slab_close, slab_open
from native.order_index cimport buckets_close, buckets_open
from native.waiting cimport triggers_close
from native.wire cimport MAX_ACCOUNT, MAX_SYMBOL

cdef enum:
    MOST_HALVINGS = 8                  # of the address space asked for, where a system gives less
    FIRST_BUCKETS = 1 << 12            # of each index

cdef inline void release_growing(Core* core) noexcept nogil:
    slab_close(&core.orders)
    slab_close(&core.orders_more)
    slab_close(&core.positions)
    slab_close(&core.remembered)
    slab_close(&core.holdings)
    slab_close(&core.narrow_blocks)
    buckets_close(&core.order_index)
    buckets_close(&core.client_index)
    buckets_close(&core.position_index)
    buckets_close(&core.remembered_index)
    ids_close(&core.triggered)
    ids_close(&core.beginning)
    ids_close(&core.stale)
    ids_close(&core.noted)
    ids_close(&core.debtors)
    memory_release(core.timers, core.timers_bytes)
    memory_release(core.queue, core.queue_bytes)
    memory_release(core.events, core.events_bytes)
    core.timers = NULL
    core.queue = NULL
    core.events = NULL

cdef inline bint reserve_growing(Core* core) noexcept nogil:
    """Reserves room for what grows: 2^28 orders, 2^26 positions, 16 GiB of events, ... or an even fraction of all that."""
    cdef int halvings
    cdef uint64_t orders, positions
    for halvings in range(MOST_HALVINGS + 1):
        orders = (<uint64_t>1 << 28) >> halvings
        positions = (<uint64_t>1 << 26) >> halvings
        core.events_bytes = (<uint64_t>1 << 34) >> halvings
        core.events = <char*>memory_reserve(core.events_bytes)
        core.queue_bytes = 2 * positions * sizeof(QueuedPool)      # of each entry its own pool, and its account's
        core.queue = <QueuedPool*>memory_reserve(core.queue_bytes)
        core.timers_bytes = 3 * orders * sizeof(Timer)             # of each order its timer, and the dead ones
        core.timers = <Timer*>memory_reserve(core.timers_bytes)
        if slab_open(&core.orders, sizeof(Order), orders) \
                and slab_open(&core.orders_more, sizeof(OrderMore), orders) \
                and slab_open(&core.positions, sizeof(Position), positions) \
                and slab_open(&core.remembered, sizeof(Remembered), orders) \
                and slab_open(&core.holdings, sizeof(Holdings), (MAX_ACCOUNT + 1) >> halvings) \
                and slab_open(&core.narrow_blocks, NARROW_BLOCK, orders) \
                and buckets_open(&core.order_index, FIRST_BUCKETS, 2 * orders) \
                and buckets_open(&core.client_index, FIRST_BUCKETS, orders) \
                and buckets_open(&core.position_index, FIRST_BUCKETS, positions) \
                and buckets_open(&core.remembered_index, FIRST_BUCKETS, orders) \
                and ids_open(&core.triggered, orders) and ids_open(&core.beginning, orders) \
                and ids_open(&core.stale, MAX_ACCOUNT + 1 + positions) \
                and ids_open(&core.noted, MAX_ACCOUNT + 1 + positions) and ids_open(&core.debtors, MAX_ACCOUNT + 1) \
                and core.events != NULL and core.queue != NULL and core.timers != NULL:
            core.events_full = core.events + core.events_bytes - EVENTS_MARGIN
            return True
        release_growing(core)
    return False

cdef inline bint core_open(Core* core) noexcept nogil:
    """An empty core; False if the system gives too little address space."""
    memset(core, 0, sizeof(Core))
    core.credit_epoch = 1
    core.next_order_id = 1
    core.next_trade_id = 1
    core.accounts_bytes = (<uint64_t>MAX_ACCOUNT + 1) * sizeof(Account)
    core.accounts = <char*>memory_reserve(core.accounts_bytes)
    core.accounts_more_bytes = (<uint64_t>MAX_ACCOUNT + 1) * sizeof(AccountMore)
    core.accounts_more = <char*>memory_reserve(core.accounts_more_bytes)
    core.known_bytes = (MAX_ACCOUNT + 1) // 8
    core.known = <uint64_t*>memory_reserve(core.known_bytes)
    core.holders_bytes = (MAX_ACCOUNT + 1) // 8
    core.holders = <uint64_t*>memory_reserve(core.holders_bytes)
    core.symbols = <Symbol**>calloc(MAX_SYMBOL + 1, sizeof(Symbol*))
    return core.accounts != NULL and core.accounts_more != NULL and core.known != NULL and core.holders != NULL \
        and core.symbols != NULL and reserve_growing(core)

cdef inline void close_symbol(Symbol* symbol) noexcept nogil:
    cdef int64_t i
    index_close(&symbol.sides[0])
    index_close(&symbol.sides[1])
    triggers_close(symbol)
    for i in range(symbol.open_chunk_count):
        free(symbol.open_chunks[i].chunk)
    free(symbol.open_chunks)
    free(symbol.pricing)
    free(symbol.drawing)
    free(symbol.funding)
    free(symbol)

cdef inline void core_close(Core* core) noexcept nogil:
    cdef uint32_t number
    cdef Block* block
    if core.symbols != NULL:
        for number in range(core.highest_symbol + 1):
            if core.symbols[number] != NULL:
                close_symbol(core.symbols[number])
    while core.free_blocks != NULL:
        block = core.free_blocks
        core.free_blocks = block.next_free
        free(block)
    free(core.symbols)
    free(core.funds)
    release_growing(core)
    memory_release(core.accounts, core.accounts_bytes)
    memory_release(core.accounts_more, core.accounts_more_bytes)
    memory_release(core.known, core.known_bytes)
    memory_release(core.holders, core.holders_bytes)
