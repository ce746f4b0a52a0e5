"""The liquidation queue: the pools that are below maintenance, nearest to ruin first (LIQ-01).

A binary heap ordered by equity / maintenance.  A pool's place is kept in the pool itself, so that a pool whose value
changes while it waits is measured again and moved: the heap always orders by present values.  It stands in reserved
address space with room for every pool that can wait at once, so it never grows in the middle of a command.
"""

from libc.stdint cimport int64_t, uint32_t
from native.charging cimport note_deficit
from native.core cimport Account, Core, PoolState, Position, QueuedPool, account_at
from native.credit cimport credit_forget, credit_has
from native.margin cimport PoolValue, below_maintenance, pool_value
from native.units cimport apart, i128, rarely, wide

cdef inline PoolState* pool_state(Core* core, uint32_t account, Position* isolated) noexcept nogil:
    return &isolated.pool if isolated != NULL else &account_at(core, account).pool

cdef inline bint queued_before(QueuedPool* a, QueuedPool* b) noexcept nogil:
    """Whether a is liquidated before b: smaller equity / maintenance, then account, symbol, leg."""
    cdef i128 left, right
    if (a.maintenance_atoms == 0) != (b.maintenance_atoms == 0):
        return b.maintenance_atoms == 0
    if a.maintenance_atoms != 0:
        left = wide(a.equity_atoms, b.maintenance_atoms)
        right = wide(b.equity_atoms, a.maintenance_atoms)
        if left != right:
            return left < right
    if a.account_number != b.account_number:
        return a.account_number < b.account_number
    return a.symbol < b.symbol or (a.symbol == b.symbol and a.leg < b.leg)

cdef inline void queue_set(Core* core, int64_t place, QueuedPool* pool) noexcept nogil:
    core.queue[place] = pool[0]
    pool_state(core, pool.account_number, pool.position).heap_place = <uint32_t>(place + 1)

cdef inline void queue_sift(Core* core, int64_t place, QueuedPool* pool) noexcept nogil:
    """Finds the place of a pool, beginning at a free one."""
    cdef int64_t child, parent
    while place > 0:
        parent = (place - 1) // 2
        if not queued_before(pool, &core.queue[parent]):
            break
        queue_set(core, place, &core.queue[parent])
        place = parent
    while True:
        child = 2 * place + 1
        if child >= core.queue_count:
            break
        if child + 1 < core.queue_count and queued_before(&core.queue[child + 1], &core.queue[child]):
            child += 1
        if not queued_before(&core.queue[child], pool):
            break
        queue_set(core, place, &core.queue[child])
        place = child
    queue_set(core, place, pool)

cdef inline apart pool_weigh(Core* core, uint32_t account, Position* isolated) noexcept nogil:
    """Measures a pool; queues it if it is below maintenance or being liquidated, and moves it if it waits already."""
    cdef PoolState* state = pool_state(core, account, isolated)
    cdef PoolValue value = pool_value(core, account, isolated)
    cdef QueuedPool pool
    if not (state.heap_place or state.liquidating or below_maintenance(&value)):
        return
    if isolated == NULL and core.mover and (value.equity_atoms < 0 or account_at(core, account).owing):
        note_deficit(core, account, core.mover)
    pool.equity_atoms = value.equity_atoms
    pool.maintenance_atoms = value.maintenance_atoms
    pool.account = account_at(core, account)
    pool.position = isolated
    pool.account_number = account
    pool.symbol = isolated.symbol if isolated != NULL else 0
    pool.leg = isolated.leg if isolated != NULL else 0
    credit_forget(pool.account)
    if state.heap_place:
        queue_sift(core, state.heap_place - 1, &pool)
        return
    core.queue_count += 1
    queue_sift(core, core.queue_count - 1, &pool)

cdef inline bint cross_pool_is_sound(Core* core, Account* owner) noexcept nogil:
    """Whether a cross pool neither waits nor is liquidated, and surely is at maintenance: it has credit, or no position."""
    return credit_has(core, owner, 0) \
        or (owner.cross_positions == 0 and owner.pool.heap_place == 0 and not owner.pool.liquidating)

cdef inline void pool_check(Core* core, uint32_t account, Position* isolated) noexcept nogil:
    """Queues a pool that is below maintenance or being liquidated; one that waits already is measured anew."""
    if isolated != NULL or rarely(not cross_pool_is_sound(core, account_at(core, account))):
        pool_weigh(core, account, isolated)

cdef inline void position_check(Core* core, Position* position) noexcept nogil:
    """Checks the pool that a position belongs to, and the wallet's pool too where that is another (after a fill)."""
    if rarely(position.isolated):
        pool_weigh(core, position.account, position)
    if rarely(not cross_pool_is_sound(core, account_at(core, position.account))):
        pool_weigh(core, position.account, NULL)

cdef inline QueuedPool queue_pop(Core* core) noexcept nogil:
    """Takes the pool that is liquidated next; the queue must not be empty."""
    cdef QueuedPool first = core.queue[0]
    cdef QueuedPool last
    pool_state(core, first.account_number, first.position).heap_place = 0
    core.queue_count -= 1
    if core.queue_count > 0:
        last = core.queue[core.queue_count]
        queue_sift(core, 0, &last)
    return first
