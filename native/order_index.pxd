"""Finding an order: by the engine's order id, and by an account's own client order id.

Theory of operation.  Both are hash tables of chains that run through the order records, in reserved address space,
and grow by *linear hashing*: an insertion that makes the table too full splits one bucket into two, the next bucket in
turn, so growth is spread evenly over insertions and nothing is ever moved at once.  Removing an order closes its chain;
there are no tombstones, so the cost does not depend on how many ids have come and gone.  The tables do not shrink.

Order ids are sequential, so they hash to themselves: neighbours in time are neighbours in memory, and two live orders
share a bucket only when their ids lie a whole table apart.  Client ids are mixed, since clients choose them.
"""

from libc.stdint cimport uint32_t, uint64_t
from native.core cimport Buckets, Core, Order, more_at, order_at, position_at
from native.memory cimport memory_release, memory_reserve
from native.units cimport apart, rarely

# ---------------------------------------------------------------------------------------------- buckets

cdef inline bint buckets_open(Buckets* buckets, uint64_t count, uint64_t capacity) noexcept nogil:
    """Begins with `count` empty buckets (a power of two) and room for `capacity`; False if the system does not give it."""
    buckets.bytes_reserved = capacity * sizeof(uint32_t)
    buckets.heads = <uint32_t*>memory_reserve(buckets.bytes_reserved)
    buckets.capacity = capacity
    buckets.count = count
    buckets.mask = count - 1
    buckets.items = 0
    return buckets.heads != NULL

cdef inline void buckets_close(Buckets* buckets) noexcept nogil:
    memory_release(buckets.heads, buckets.bytes_reserved)
    buckets.heads = NULL

cdef inline uint32_t* bucket_of(Buckets* buckets, uint64_t hash) noexcept nogil:
    """The head of the chain of this hash: by one bit more than the mask has, where that bucket is there already."""
    cdef uint64_t at = hash & (2 * buckets.mask + 1)
    return &buckets.heads[at if at < buckets.count else at & buckets.mask]

cdef inline bint bucket_added(Buckets* buckets) noexcept nogil:
    """Counts one more bucket in; False if there is no room for it (chains then get longer, and that is all)."""
    if buckets.count == buckets.capacity:
        return False
    buckets.count += 1
    if buckets.count == 2 * (buckets.mask + 1):
        buckets.mask = 2 * buckets.mask + 1
    return True

# ------------------------------------------------------------------------------------------- order ids

cdef inline uint32_t order_index_find(Core* core, uint64_t order_id) noexcept nogil:
    """The slot of a live order, or 0."""
    cdef uint32_t slot = bucket_of(&core.order_index, order_id)[0]
    while slot and order_at(core, slot).order_id != order_id:
        slot = order_at(core, slot).index_next
    return slot

cdef inline apart order_index_split(Core* core) noexcept nogil:
    """Splits the next bucket: what has the higher bit moves to the new one, in its order."""
    cdef uint64_t bit = core.order_index.mask + 1
    cdef uint32_t* kept = &core.order_index.heads[core.order_index.count - bit]
    cdef uint32_t* moved = &core.order_index.heads[core.order_index.count]
    cdef uint32_t slot = kept[0]
    cdef Order* order
    if not bucket_added(&core.order_index):
        return
    while slot:
        order = order_at(core, slot)
        if order.order_id & bit:
            moved[0] = slot
            moved = &order.index_next
        else:
            kept[0] = slot
            kept = &order.index_next
        slot = order.index_next
    kept[0] = 0
    moved[0] = 0

cdef inline void order_index_put(Core* core, uint32_t slot, uint64_t order_id) noexcept nogil:
    """Adds an order; the table is kept at most half full, so that a chain is rarely longer than one."""
    cdef uint32_t* head
    core.order_index.items += 1
    if rarely(2 * core.order_index.items > core.order_index.count):
        order_index_split(core)
        order_index_split(core)
    head = bucket_of(&core.order_index, order_id)
    order_at(core, slot).index_next = head[0]
    head[0] = slot

cdef inline void order_index_drop(Core* core, uint32_t slot) noexcept nogil:
    """Forgets an order; its record must still be whole."""
    cdef Order* order = order_at(core, slot)
    cdef uint32_t* link = bucket_of(&core.order_index, order.order_id)
    while link[0] != slot:
        link = &order_at(core, link[0]).index_next
    link[0] = order.index_next
    core.order_index.items -= 1

# ------------------------------------------------------------------------------------- client order ids

cdef inline uint64_t client_hash(uint32_t account, uint64_t client_order_id) noexcept nogil:
    cdef uint64_t h = (client_order_id ^ <uint64_t>account * 0x9E3779B97F4A7C15ULL) * 0xBF58476D1CE4E5B9ULL
    h = (h ^ (h >> 31)) * 0x94D049BB133111EBULL
    return h ^ (h >> 29)

cdef inline uint64_t client_hash_of(Core* core, uint32_t slot) noexcept nogil:
    return client_hash(position_at(core, order_at(core, slot).position).account, more_at(core, slot).client_order_id)

cdef inline uint32_t client_index_find(Core* core, uint32_t account, uint64_t client_order_id) noexcept nogil:
    """The slot of the account's live order with this client order id, or 0."""
    cdef uint32_t slot = bucket_of(&core.client_index, client_hash(account, client_order_id))[0]
    while slot and not (more_at(core, slot).client_order_id == client_order_id
                        and position_at(core, order_at(core, slot).position).account == account):
        slot = more_at(core, slot).client_next
    return slot

cdef inline apart client_index_split(Core* core) noexcept nogil:
    """As `order_index_split`."""
    cdef uint64_t bit = core.client_index.mask + 1
    cdef uint32_t* kept = &core.client_index.heads[core.client_index.count - bit]
    cdef uint32_t* moved = &core.client_index.heads[core.client_index.count]
    cdef uint32_t slot = kept[0]
    if not bucket_added(&core.client_index):
        return
    while slot:
        if client_hash_of(core, slot) & bit:
            moved[0] = slot
            moved = &more_at(core, slot).client_next
        else:
            kept[0] = slot
            kept = &more_at(core, slot).client_next
        slot = more_at(core, slot).client_next
    kept[0] = 0
    moved[0] = 0

cdef inline void client_index_put(Core* core, uint32_t slot) noexcept nogil:
    """Adds an order that has a client order id; the table is kept at most full."""
    cdef uint32_t* head
    core.client_index.items += 1
    if rarely(core.client_index.items > core.client_index.count):
        client_index_split(core)
    head = bucket_of(&core.client_index, client_hash_of(core, slot))
    more_at(core, slot).client_next = head[0]
    head[0] = slot

cdef inline void client_index_drop(Core* core, uint32_t slot) noexcept nogil:
    """Forgets an order; its records must still be whole."""
    cdef uint32_t* link = bucket_of(&core.client_index, client_hash_of(core, slot))
    while link[0] != slot:
        link = &more_at(core, link[0]).client_next
    link[0] = more_at(core, slot).client_next
    core.client_index.items -= 1
