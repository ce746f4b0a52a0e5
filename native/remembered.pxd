"""Client order ids that were accepted lately, so that an order sent twice acts once (MATCH-08).

Each account's ids form a list, oldest first, of at most REMEMBERED_ORDERS; a hash table over all of them finds one.  It grows like
the order index (order_index.pxd).
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from native.core cimport AccountMore, Core, FAULT_NO_MEMORY, Remembered, account_more, ensure
from native.memory cimport slab_at, slab_give, slab_take
from native.order_index cimport bucket_added, bucket_of, client_hash
from native.wire cimport REMEMBERED_ORDERS, wire_order

cdef inline Remembered* remembered_at(Core* core, uint32_t slot) noexcept nogil:
    return <Remembered*>slab_at(&core.remembered, slot)

cdef inline uint64_t remembered_hash(Remembered* entry) noexcept nogil:
    return client_hash(entry.account, entry.client_order_id)

cdef inline Remembered* remembered_find(Core* core, uint32_t account, uint64_t client_order_id) noexcept nogil:
    """What is remembered of this id, or NULL."""
    cdef uint32_t slot = bucket_of(&core.remembered_index, client_hash(account, client_order_id))[0]
    cdef Remembered* entry
    while slot:
        entry = remembered_at(core, slot)
        if entry.client_order_id == client_order_id and entry.account == account:
            return entry
        slot = entry.index_next
    return NULL

cdef inline bint repeats(Remembered* entry, wire_order* order) noexcept nogil:
    """Whether an order is the one that is remembered, sent again."""
    return entry.symbol == order.symbol and entry.leg == order.leg and entry.side == order.side \
        and entry.order_type == order.order_type \
        and entry.price_ticks == order.price_ticks and entry.qty_lots == order.qty_lots \
        and entry.trigger_ticks == order.trigger_ticks

cdef inline void remembered_split(Core* core) noexcept nogil:
    """As `order_index_split`."""
    cdef uint64_t bit = core.remembered_index.mask + 1
    cdef uint32_t* kept = &core.remembered_index.heads[core.remembered_index.count - bit]
    cdef uint32_t* moved = &core.remembered_index.heads[core.remembered_index.count]
    cdef uint32_t slot = kept[0]
    cdef Remembered* entry
    if not bucket_added(&core.remembered_index):
        return
    while slot:
        entry = remembered_at(core, slot)
        if remembered_hash(entry) & bit:
            moved[0] = slot
            moved = &entry.index_next
        else:
            kept[0] = slot
            kept = &entry.index_next
        slot = entry.index_next
    kept[0] = 0
    moved[0] = 0

cdef inline void forget_oldest(Core* core, AccountMore* owner) noexcept nogil:
    cdef uint32_t slot = owner.oldest
    cdef Remembered* entry = remembered_at(core, slot)
    cdef uint32_t* link = bucket_of(&core.remembered_index, remembered_hash(entry))
    while link[0] != slot:
        link = &remembered_at(core, link[0]).index_next
    link[0] = entry.index_next
    core.remembered_index.items -= 1
    owner.oldest = entry.newer
    owner.remembered -= 1
    slab_give(&core.remembered, slot)

cdef inline Remembered* remember_new(Core* core, uint32_t account, uint64_t client_order_id) noexcept nogil:
    """A record at the young end of the account's list, found by its id; NULL without memory."""
    cdef AccountMore* owner = account_more(core, account)
    cdef uint32_t slot
    cdef uint32_t* head
    cdef Remembered* entry
    if owner.remembered == REMEMBERED_ORDERS:
        forget_oldest(core, owner)
    slot = slab_take(&core.remembered)
    if slot == 0:
        return NULL
    entry = remembered_at(core, slot)
    entry.newer = 0
    entry.account = account
    entry.client_order_id = client_order_id
    if owner.remembered:
        remembered_at(core, owner.newest).newer = slot
    else:
        owner.oldest = slot
    owner.newest = slot
    owner.remembered += 1
    core.remembered_index.items += 1
    if core.remembered_index.items > core.remembered_index.count:
        remembered_split(core)
    head = bucket_of(&core.remembered_index, remembered_hash(entry))
    entry.index_next = head[0]
    head[0] = slot
    return entry

cdef inline void remember(Core* core, uint32_t account, wire_order* order, uint64_t order_id) noexcept nogil:
    """Notes that an order was accepted."""
    cdef Remembered* entry = remember_new(core, account, order.client_order_id)
    if entry == NULL:
        ensure(core, False, FAULT_NO_MEMORY)
        return
    entry.order_id = order_id
    entry.symbol = order.symbol
    entry.price_ticks = order.price_ticks
    entry.qty_lots = order.qty_lots
    entry.trigger_ticks = order.trigger_ticks
    entry.side = order.side
    entry.leg = order.leg
    entry.order_type = order.order_type
