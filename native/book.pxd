"""Price levels and their FIFO queues.  The book knows no accounts.

Theory of operation.  A side is made of *blocks*: 64 neighbouring prices with one bitmap word that says which of them
have orders.  Blocks that hold orders stand in an index by price (block_index.pxd), and those used lately in a
direct-mapped cache, so that an order near the touch reaches its level in three loads.  The best price is kept; when
its level empties, the next one is a bit scan within the block, or the end of the index.  No price pattern makes any
step linear: a lone price far away costs a *narrow* block, one line of the cache, and a way through the index; the
second price of a block makes it wide, a kilobyte.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memset
from native.block_index cimport index_after, index_find, index_insert, index_nearest, index_remove, index_replace
from native.core cimport BLOCK_CACHE, Block, BookSide, CachedBlock, Core, Level, Order, order_at
from native.memory cimport slab_at, slab_give, slab_take
from native.units cimport apart, apart_pointer, leading_zeros, lowest_bit, rarely, usually

cdef enum:
    NO_KEY = -1                        # in a place of the cache; it begins with key 0 and no block, which is as true
    NARROW_BLOCK = 64                  # bytes of a block up to its first level, and no less than a line of the cache

# ---------------------------------------------------------------------------------------------- blocks

cdef inline void cache_block(BookSide* side, Block* block) noexcept nogil:
    cdef CachedBlock* cached = &side.cache[block.key & (BLOCK_CACHE - 1)]
    cached.key = block.key
    cached.block = block

cdef inline apart_pointer block_look_up(BookSide* side, int64_t key) noexcept nogil:
    """The block from the index, put into the cache; NULL if there is none."""
    cdef Block* block = index_find(side, key)
    if block != NULL:
        cache_block(side, block)
    return block

cdef inline Block* block_find(BookSide* side, int64_t key) noexcept nogil:
    cdef CachedBlock* cached = &side.cache[key & (BLOCK_CACHE - 1)]
    if usually(cached.key == key):
        return cached.block
    return <Block*>block_look_up(side, key)

cdef inline void block_give(Core* core, Block* block) noexcept nogil:
    """Gives back the memory of an empty block."""
    if block.mask:
        block.next_free = core.free_blocks
        core.free_blocks = block
    else:
        slab_give(&core.narrow_blocks, <uint32_t>((<char*>block - core.narrow_blocks.base) // NARROW_BLOCK))

cdef inline Block* block_new(Core* core, BookSide* side, int64_t key) noexcept nogil:
    """An empty narrow block in the index; NULL without memory."""
    cdef uint32_t slot = slab_take(&core.narrow_blocks)
    cdef Block* block = <Block*>slab_at(&core.narrow_blocks, slot)
    if slot == 0:
        return NULL
    block.key = key
    if not index_insert(side, block):
        block_give(core, block)
        return NULL
    cache_block(side, block)
    return block

cdef inline Block* block_widen(Core* core, BookSide* side, Block* narrow) noexcept nogil:
    """A wide block in the place of a narrow one that gets a second price; NULL without memory."""
    cdef Block* block = core.free_blocks
    if block != NULL:
        core.free_blocks = block.next_free
    else:
        block = <Block*>calloc(1, sizeof(Block))
        if block == NULL:
            return NULL
    block.key = narrow.key
    block.occupied = narrow.occupied
    block.mask = 63
    block.levels[lowest_bit(narrow.occupied)] = narrow.levels[0]
    index_replace(side, block)
    cache_block(side, block)
    if side.best_block == narrow:
        side.best_block = block
    memset(narrow, 0, NARROW_BLOCK)
    block_give(core, narrow)
    return block

cdef inline apart_pointer block_fit(Core* core, BookSide* side, Block* block, int64_t price_ticks) noexcept nogil:
    """A block where this price has a level, in the place of none, or of a narrow one; NULL without memory."""
    return block_new(core, side, price_ticks >> 6) if block == NULL else block_widen(core, side, block)

cdef inline apart block_release(Core* core, BookSide* side, Block* block) noexcept nogil:
    index_remove(side, block.key)
    if side.cache[block.key & (BLOCK_CACHE - 1)].block == block:
        side.cache[block.key & (BLOCK_CACHE - 1)].key = NO_KEY
    block_give(core, block)

cdef inline Level* level_of(Block* block, int64_t price_ticks) noexcept nogil:
    return &block.levels[price_ticks & block.mask]

cdef inline int block_best(BookSide* side, Block* block) noexcept nogil:
    """The best occupied level of a block."""
    return 63 - leading_zeros(block.occupied) if side.sign > 0 else lowest_bit(block.occupied)

cdef inline void side_find_best(BookSide* side) noexcept nogil:
    """The best price anew, from the near end of the index."""
    cdef Block* block = index_nearest(side)
    side.best_block = block
    side.best_ticks = block.key * 64 + block_best(side, block) if block != NULL else 0

cdef inline void level_emptied(Core* core, BookSide* side, Block* block, int64_t price_ticks) noexcept nogil:
    """Clears a level's bit, gives an empty block back, and finds the next best price if it was the best."""
    block.occupied &= ~(<uint64_t>1 << (price_ticks & 63))
    if rarely(block.occupied == 0):
        block_release(core, side, block)
        if block == side.best_block:
            side_find_best(side)
    elif price_ticks == side.best_ticks:
        side.best_ticks = block.key * 64 + block_best(side, block)

# ---------------------------------------------------------------------------------------------- orders

cdef inline Level* book_front(BookSide* side) noexcept nogil:
    """The best level; the side must not be empty."""
    return level_of(side.best_block, side.best_ticks)

cdef inline bint crosses(BookSide* opposite, int64_t limit_ticks) noexcept nogil:
    """Whether an order with this limit would trade against this side's best price."""
    if opposite.best_ticks == 0:
        return False
    return (opposite.best_ticks - limit_ticks) * opposite.sign >= 0

cdef inline bint better(BookSide* side, int64_t a_ticks, int64_t b_ticks) noexcept nogil:
    """Whether price a is nearer to the touch than b, on this side."""
    return (a_ticks - b_ticks) * side.sign > 0

cdef inline bint book_append(Core* core, BookSide* side, uint32_t slot, int64_t price_ticks, int64_t lots) noexcept nogil:
    """Puts an order of this price and quantity at the back of its level; False without memory."""
    cdef Order* order = order_at(core, slot)
    cdef Block* block = block_find(side, price_ticks >> 6)
    cdef Level* level
    cdef uint32_t last
    if rarely(block == NULL or (block.mask == 0 and block.occupied != <uint64_t>1 << (price_ticks & 63))):
        block = <Block*>block_fit(core, side, block, price_ticks)
        if block == NULL:
            return False
    level = level_of(block, price_ticks)
    last = level.tail
    order.next = 0
    order.previous = last
    level.tail = slot
    level.lots += lots
    if last:
        order_at(core, last).next = slot
    else:
        level.head = slot
        block.occupied |= <uint64_t>1 << (price_ticks & 63)
        if side.best_ticks == 0 or better(side, price_ticks, side.best_ticks):
            side.best_ticks = price_ticks
            side.best_block = block
    return True

cdef inline void book_remove(Core* core, BookSide* side, Order* order, int64_t price_ticks, int64_t lots) noexcept nogil:
    """Takes an order of this price and quantity out of its level, wherever it stands in the queue."""
    cdef Block* block = block_find(side, price_ticks >> 6)
    cdef Level* level = level_of(block, price_ticks)
    cdef uint32_t following = order.next
    cdef uint32_t before = order.previous
    level.lots -= lots
    if following:
        order_at(core, following).previous = before
    else:
        level.tail = before
    if before:
        order_at(core, before).next = following
    else:
        level.head = following
        if following == 0:
            level_emptied(core, side, block, price_ticks)

cdef inline void book_reduce(BookSide* side, Order* order, int64_t lots) noexcept nogil:
    """Takes lots off an order that keeps its place."""
    cdef Block* block = block_find(side, order.price_ticks >> 6)
    level_of(block, order.price_ticks).lots -= lots
    order.open_lots -= lots

cdef inline int64_t book_next_price(BookSide* side, int64_t price_ticks) noexcept nogil:
    """The next occupied price behind this one as seen from the touch; 0: none."""
    cdef Block* block = block_find(side, price_ticks >> 6)
    cdef uint64_t rest
    cdef int bit = price_ticks & 63
    if block != NULL:
        if side.sign > 0:
            rest = block.occupied & ((<uint64_t>1 << bit) - 1)
            if rest:
                return block.key * 64 + 63 - leading_zeros(rest)
        else:
            rest = block.occupied & ~((<uint64_t>2 << bit) - 1)
            if rest:
                return block.key * 64 + lowest_bit(rest)
    block = index_after(side, price_ticks >> 6)
    return block.key * 64 + block_best(side, block) if block != NULL else 0

cdef inline Level* book_level(BookSide* side, int64_t price_ticks) noexcept nogil:
    """The level at an occupied price."""
    return level_of(block_find(side, price_ticks >> 6), price_ticks)
