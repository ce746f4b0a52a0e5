"""Finding an order: by the engine's order id, and by an account's own client order id.

Both are open-addressing tables with backward-shift deletion, so they hold no tombstones and do not degrade however
many ids have come and gone.  Order ids are sequential, so they hash to themselves: neighbours in time are neighbours in memory, and
two live orders collide only when their ids lie a whole table apart.  Client ids are mixed, since clients choose them.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from native.core cimport ClientIndex, Core, Order, OrderIndex, order_at, position_at

cdef inline uint64_t client_hash(uint32_t account, uint64_t client_order_id) noexcept nogil:
    cdef uint64_t h = (client_order_id ^ <uint64_t>account * 0x9E3779B97F4A7C15ULL) * 0xBF58476D1CE4E5B9ULL
    h = (h ^ (h >> 31)) * 0x94D049BB133111EBULL
    return h ^ (h >> 29)

# ------------------------------------------------------------------------------------------- order ids

cdef inline int order_index_open(OrderIndex* index, uint64_t capacity) except -1:
    index.keys = <uint64_t*>calloc(capacity, sizeof(uint64_t))
    index.slots = <uint32_t*>calloc(capacity, sizeof(uint32_t))
    if index.keys == NULL or index.slots == NULL:
        raise MemoryError("no memory for the order index")
    index.mask = capacity - 1
    index.count = 0
    return 0

cdef inline void order_index_close(OrderIndex* index) noexcept nogil:
    free(index.keys)
    free(index.slots)

cdef inline uint32_t order_index_find(OrderIndex* index, uint64_t order_id) noexcept nogil:
    """The slot of a live order, or 0."""
    cdef uint64_t i = order_id & index.mask
    while index.keys[i] != order_id:
        if index.keys[i] == 0:
            return 0
        i = (i + 1) & index.mask
    return index.slots[i]

cdef inline void order_index_put(OrderIndex* index, uint64_t order_id, uint32_t slot) noexcept nogil:
    cdef uint64_t i = order_id & index.mask
    while index.keys[i]:
        i = (i + 1) & index.mask
    index.keys[i] = order_id
    index.slots[i] = slot
    index.count += 1

cdef inline void order_index_drop(OrderIndex* index, uint64_t order_id) noexcept nogil:
    cdef uint64_t i = order_id & index.mask
    cdef uint64_t j, home
    while index.keys[i] != order_id:
        i = (i + 1) & index.mask
    j = i
    while True:
        j = (j + 1) & index.mask
        if index.keys[j] == 0:
            break
        home = index.keys[j] & index.mask
        if ((j - home) & index.mask) >= ((j - i) & index.mask):
            index.keys[i] = index.keys[j]
            index.slots[i] = index.slots[j]
            i = j
    index.keys[i] = 0
    index.count -= 1

cdef inline bint order_index_make_room(OrderIndex* index) noexcept nogil:
    """Keeps the table at most a quarter full; False if there is no memory for a larger one."""
    return 4 * index.count < index.mask or order_index_grow(index)

cdef inline bint order_index_grow(OrderIndex* index) noexcept nogil:
    """Moves to a table of twice the size; False if there is no memory for it."""
    cdef OrderIndex larger
    cdef uint64_t i
    larger.mask = 2 * index.mask + 1
    larger.count = 0
    larger.keys = <uint64_t*>calloc(larger.mask + 1, sizeof(uint64_t))
    larger.slots = <uint32_t*>calloc(larger.mask + 1, sizeof(uint32_t))
    if larger.keys == NULL or larger.slots == NULL:
        free(larger.keys)
        free(larger.slots)
        return False
    for i in range(index.mask + 1):
        if index.keys[i]:
            order_index_put(&larger, index.keys[i], index.slots[i])
    order_index_close(index)
    index[0] = larger
    return True

# ------------------------------------------------------------------------------------- client order ids

cdef inline int client_index_open(ClientIndex* index, uint64_t capacity) except -1:
    index.slots = <uint32_t*>calloc(capacity, sizeof(uint32_t))
    if index.slots == NULL:
        raise MemoryError("no memory for the client order index")
    index.mask = capacity - 1
    index.count = 0
    return 0

cdef inline uint64_t client_home(Core* core, uint32_t slot, uint64_t mask) noexcept nogil:
    cdef Order* order = order_at(core, slot)
    return client_hash(position_at(core, order.position).account, order.client_order_id) & mask

cdef inline uint32_t client_index_find(Core* core, uint32_t account, uint64_t client_order_id) noexcept nogil:
    """The slot of the account's live order with this client order id, or 0."""
    cdef ClientIndex* index = &core.client_index
    cdef uint64_t i = client_hash(account, client_order_id) & index.mask
    cdef Order* order
    while index.slots[i]:
        order = order_at(core, index.slots[i])
        if order.client_order_id == client_order_id and position_at(core, order.position).account == account:
            return index.slots[i]
        i = (i + 1) & index.mask
    return 0

cdef inline void client_index_put(Core* core, ClientIndex* index, uint32_t slot) noexcept nogil:
    cdef uint64_t i = client_home(core, slot, index.mask)
    while index.slots[i]:
        i = (i + 1) & index.mask
    index.slots[i] = slot
    index.count += 1

cdef inline void client_index_drop(Core* core, uint32_t slot) noexcept nogil:
    """Forgets an order; its record must still be whole."""
    cdef ClientIndex* index = &core.client_index
    cdef uint64_t i = client_home(core, slot, index.mask)
    cdef uint64_t j, home
    while index.slots[i] != slot:
        i = (i + 1) & index.mask
    j = i
    while True:
        j = (j + 1) & index.mask
        if index.slots[j] == 0:
            break
        home = client_home(core, index.slots[j], index.mask)
        if ((j - home) & index.mask) >= ((j - i) & index.mask):
            index.slots[i] = index.slots[j]
            i = j
    index.slots[i] = 0
    index.count -= 1

cdef inline bint client_index_make_room(Core* core) noexcept nogil:
    cdef ClientIndex* index = &core.client_index
    cdef ClientIndex larger
    cdef uint64_t i
    if 2 * index.count < index.mask:
        return True
    larger.mask = 2 * index.mask + 1
    larger.count = 0
    larger.slots = <uint32_t*>calloc(larger.mask + 1, sizeof(uint32_t))
    if larger.slots == NULL:
        return False
    for i in range(index.mask + 1):
        if index.slots[i]:
            client_index_put(core, &larger, index.slots[i])
    free(index.slots)
    index[0] = larger
    return True
