"""Finding the entry of an account on a symbol, in hedge mode of one leg there.

Theory of operation.  An account's entries form a list by symbol and leg, for whoever asks about all of them.  Most accounts
trade one symbol, so the first of the list is looked at first; the others, and only they, are in a hash table that grows like
the order index (order_index.pxd).  So an account on a thousand symbols places an order as fast as one on two.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy
from native.core cimport Core, Position, account_at, know_account, position_at
from native.memory cimport slab_take
from native.order_index cimport bucket_added, bucket_of, client_hash

cdef inline uint32_t key_of(uint32_t symbol, uint32_t leg) noexcept nogil:
    """Symbol and leg as one number."""
    return symbol | leg << 16

cdef inline uint32_t position_key(Position* position) noexcept nogil:
    """The same of an entry, read at once."""
    cdef uint32_t key
    memcpy(&key, &position.symbol, sizeof(key))
    return key

cdef inline Position* position_find(Core* core, uint32_t account, uint32_t symbol, uint32_t leg) noexcept nogil:
    """The entry of account, symbol (one that is listed) and leg, or NULL."""
    cdef uint32_t key = key_of(symbol, leg)
    cdef uint32_t slot = account_at(core, account).first_position
    cdef Position* position
    if slot == 0:
        return NULL
    position = position_at(core, slot)
    if position_key(position) == key:
        return position
    if position.next == 0:
        return NULL
    slot = bucket_of(&core.position_index, client_hash(account, key))[0]
    while slot:
        position = position_at(core, slot)
        if position_key(position) == key and position.account == account:
            return position
        slot = position.index_next
    return NULL

cdef inline uint64_t position_hash(Position* position) noexcept nogil:
    return client_hash(position.account, position_key(position))

cdef inline void position_index_split(Core* core) noexcept nogil:
    """As `order_index_split`."""
    cdef uint64_t bit = core.position_index.mask + 1
    cdef uint32_t* kept = &core.position_index.heads[core.position_index.count - bit]
    cdef uint32_t* moved = &core.position_index.heads[core.position_index.count]
    cdef uint32_t slot = kept[0]
    cdef Position* position
    if not bucket_added(&core.position_index):
        return
    while slot:
        position = position_at(core, slot)
        if position_hash(position) & bit:
            moved[0] = slot
            moved = &position.index_next
        else:
            kept[0] = slot
            kept = &position.index_next
        slot = position.index_next
    kept[0] = 0
    moved[0] = 0

cdef inline void position_index_put(Core* core, uint32_t slot) noexcept nogil:
    cdef Position* position = position_at(core, slot)
    cdef uint32_t* head
    core.position_index.items += 1
    if core.position_index.items > core.position_index.count:
        position_index_split(core)
    head = bucket_of(&core.position_index, position_hash(position))
    position.index_next = head[0]
    head[0] = slot

cdef inline bint stands_before(Position* position, uint32_t symbol, uint32_t leg) noexcept nogil:
    """Whether an entry comes before symbol and leg."""
    return position.symbol < symbol or (position.symbol == symbol and position.leg < leg)

cdef inline Position* position_ensure(Core* core, uint32_t account, uint32_t symbol, uint32_t leg) noexcept nogil:
    """The entry of account, symbol and leg, made if there is none; NULL if there is no room."""
    cdef Position* position = position_find(core, account, symbol, leg)
    cdef uint32_t* link = &account_at(core, account).first_position
    cdef uint32_t slot
    if position != NULL:
        return position
    slot = slab_take(&core.positions)
    if slot == 0:
        return NULL
    while link[0] and stands_before(position_at(core, link[0]), symbol, leg):
        link = &position_at(core, link[0]).next
    position = position_at(core, slot)
    position.account = account
    position.symbol = <uint16_t>symbol
    position.leg = <uint16_t>leg
    position.next = link[0]
    if link != &account_at(core, account).first_position:
        position_index_put(core, slot)
    elif link[0]:
        position_index_put(core, link[0])
    link[0] = slot
    know_account(core, account)
    return position
