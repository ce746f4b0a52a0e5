"""Price levels and their FIFO queues.  The book knows no accounts.

Theory of operation.  A side is made of *blocks*: 64 neighbouring prices with one bitmap word that says which of them
have orders.  Blocks that hold orders stand in a sorted index of chunks (a B-tree of two heights: binary search over
chunks, binary search within one), and the blocks used lately in a direct-mapped cache, so that an order near the
touch reaches its level in three loads.  The best price is kept; when its level empties, the next one is a bit scan
within the block, or the end of the index.  No price pattern makes any step linear: a lone order far away costs a
block (about one kilobyte) and two binary searches.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memmove
from native.core cimport Block, BookSide, Chunk, ChunkEntry, Core, Level, Order, order_at
from native.core cimport BLOCK_CACHE, CHUNK_BLOCKS
from native.units cimport leading_zeros, lowest_bit, rarely, usually

# ------------------------------------------------------------------------------------- index of blocks

cdef inline int64_t index_chunk_for(BookSide* side, int64_t key) noexcept nogil:
    """The last chunk that begins at or before key, or 0.  The directory says where each begins: no chunk is touched."""
    cdef int64_t low = 0
    cdef int64_t high = side.chunk_count - 1
    cdef int64_t middle
    while low < high:
        middle = (low + high + 1) // 2
        if side.chunks[middle].from_key <= key:
            low = middle
        else:
            high = middle - 1
    return low

cdef inline int32_t chunk_place(Chunk* chunk, int64_t key) noexcept nogil:
    """How many keys of the chunk are below key."""
    cdef int32_t low = 0
    cdef int32_t high = chunk.count
    cdef int32_t middle
    while low < high:
        middle = (low + high) // 2
        if chunk.keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low

cdef inline Chunk* index_insert_chunk(BookSide* side, int64_t place, int64_t from_key) noexcept nogil:
    """A new empty chunk at this place of the index, for keys from this one on; NULL without memory."""
    cdef Chunk* chunk = <Chunk*>malloc(sizeof(Chunk))
    cdef ChunkEntry* grown
    cdef int64_t capacity
    if chunk == NULL:
        return NULL
    if side.chunk_count == side.chunk_capacity:
        capacity = 2 * side.chunk_capacity + 4
        grown = <ChunkEntry*>realloc(side.chunks, capacity * sizeof(ChunkEntry))
        if grown == NULL:
            free(chunk)
            return NULL
        side.chunks = grown
        side.chunk_capacity = capacity
    memmove(&side.chunks[place + 1], &side.chunks[place], (side.chunk_count - place) * sizeof(ChunkEntry))
    side.chunks[place].from_key = from_key
    side.chunks[place].chunk = chunk
    side.chunk_count += 1
    chunk.count = 0
    return chunk

cdef inline bint index_insert(BookSide* side, Block* block) noexcept nogil:
    """Puts a block into the sorted index; False without memory."""
    cdef int64_t at
    cdef int32_t place, half
    cdef Chunk* chunk
    cdef Chunk* upper
    if side.chunk_count == 0 and index_insert_chunk(side, 0, block.key) == NULL:
        return False
    at = index_chunk_for(side, block.key)
    chunk = side.chunks[at].chunk
    if chunk.count == CHUNK_BLOCKS:
        half = CHUNK_BLOCKS // 2
        upper = index_insert_chunk(side, at + 1, chunk.keys[half])
        if upper == NULL:
            return False
        upper.count = chunk.count - half
        memmove(upper.keys, &chunk.keys[half], upper.count * sizeof(int64_t))
        memmove(upper.blocks, &chunk.blocks[half], upper.count * sizeof(Block*))
        chunk.count = half
        if block.key >= upper.keys[0]:
            chunk = upper
    if block.key < side.chunks[at].from_key:       # below all that there is
        side.chunks[at].from_key = block.key
    place = chunk_place(chunk, block.key)
    memmove(&chunk.keys[place + 1], &chunk.keys[place], (chunk.count - place) * sizeof(int64_t))
    memmove(&chunk.blocks[place + 1], &chunk.blocks[place], (chunk.count - place) * sizeof(Block*))
    chunk.keys[place] = block.key
    chunk.blocks[place] = block
    chunk.count += 1
    side.block_count += 1
    return True

cdef inline void index_remove(BookSide* side, int64_t key) noexcept nogil:
    cdef int64_t at = index_chunk_for(side, key)
    cdef Chunk* chunk = side.chunks[at].chunk
    cdef int32_t place = chunk_place(chunk, key)
    chunk.count -= 1
    side.block_count -= 1
    memmove(&chunk.keys[place], &chunk.keys[place + 1], (chunk.count - place) * sizeof(int64_t))
    memmove(&chunk.blocks[place], &chunk.blocks[place + 1], (chunk.count - place) * sizeof(Block*))
    if chunk.count == 0:
        free(chunk)
        side.chunk_count -= 1
        memmove(&side.chunks[at], &side.chunks[at + 1], (side.chunk_count - at) * sizeof(ChunkEntry))

cdef inline Block* index_find(BookSide* side, int64_t key) noexcept nogil:
    cdef Chunk* chunk
    cdef int32_t place
    if side.chunk_count == 0:
        return NULL
    chunk = side.chunks[index_chunk_for(side, key)].chunk
    place = chunk_place(chunk, key)
    return chunk.blocks[place] if place < chunk.count and chunk.keys[place] == key else NULL

cdef inline Block* index_after(BookSide* side, int64_t key) noexcept nogil:
    """The next block behind this key as seen from the touch (lower for bids, higher for asks), or NULL."""
    cdef int64_t at
    cdef int32_t place
    cdef Chunk* chunk
    if side.chunk_count == 0:
        return NULL
    at = index_chunk_for(side, key)
    chunk = side.chunks[at].chunk
    if side.sign > 0:
        place = chunk_place(chunk, key) - 1
        if place < 0:
            at -= 1
            if at < 0:
                return NULL
            chunk = side.chunks[at].chunk
            place = chunk.count - 1
        return chunk.blocks[place]
    place = chunk_place(chunk, key + 1)
    if place >= chunk.count:
        at += 1
        if at >= side.chunk_count:
            return NULL
        chunk = side.chunks[at].chunk
        place = 0
    return chunk.blocks[place]

# ---------------------------------------------------------------------------------------------- blocks

cdef inline Block* block_find(BookSide* side, int64_t key) noexcept nogil:
    cdef Block* block = side.cache[key & (BLOCK_CACHE - 1)]
    if usually(block != NULL and block.key == key):
        return block
    block = index_find(side, key)
    if block != NULL:
        side.cache[key & (BLOCK_CACHE - 1)] = block
    return block

cdef inline Block* block_new(Core* core, BookSide* side, int64_t key) noexcept nogil:
    """An empty block in the index; NULL without memory."""
    cdef Block* block = core.free_blocks
    if block != NULL:
        core.free_blocks = block.next_free
    else:
        block = <Block*>calloc(1, sizeof(Block))
        if block == NULL:
            return NULL
    block.key = key
    if not index_insert(side, block):
        block.next_free = core.free_blocks
        core.free_blocks = block
        return NULL
    side.cache[key & (BLOCK_CACHE - 1)] = block
    return block

cdef inline void block_release(Core* core, BookSide* side, Block* block) noexcept nogil:
    index_remove(side, block.key)
    if side.cache[block.key & (BLOCK_CACHE - 1)] == block:
        side.cache[block.key & (BLOCK_CACHE - 1)] = NULL
    block.next_free = core.free_blocks
    core.free_blocks = block

cdef inline int block_best(BookSide* side, Block* block) noexcept nogil:
    """The best occupied level of a block."""
    return 63 - leading_zeros(block.occupied) if side.sign > 0 else lowest_bit(block.occupied)

cdef inline void side_find_best(BookSide* side) noexcept nogil:
    """The best price anew, from the near end of the index."""
    cdef Chunk* chunk
    cdef Block* block
    if side.chunk_count == 0:
        side.best_ticks = 0
        side.best_block = NULL
        return
    if side.sign > 0:
        chunk = side.chunks[side.chunk_count - 1].chunk
        block = chunk.blocks[chunk.count - 1]
    else:
        block = side.chunks[0].chunk.blocks[0]
    side.best_block = block
    side.best_ticks = block.key * 64 + block_best(side, block)

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
    return &side.best_block.levels[side.best_ticks & 63]

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
    if rarely(block == NULL):
        block = block_new(core, side, price_ticks >> 6)
        if block == NULL:
            return False
    level = &block.levels[price_ticks & 63]
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
    cdef Level* level = &block.levels[price_ticks & 63]
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
    block.levels[order.price_ticks & 63].lots -= lots
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
    return &block_find(side, price_ticks >> 6).levels[price_ticks & 63]

cdef inline void side_close(BookSide* side) noexcept nogil:
    cdef int64_t i
    cdef int32_t j
    for i in range(side.chunk_count):
        for j in range(side.chunks[i].chunk.count):
            free(side.chunks[i].chunk.blocks[j])
        free(side.chunks[i].chunk)
    free(side.chunks)
