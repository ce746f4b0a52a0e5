"""Books as the public sees them: what each order shows, the levels and queues that come of it, and what a batch changed.

Theory of operation.  The orders of all symbols stand in one slab and are found by their ids, as in the core
(order_index.pxd).  An order that shows something is linked into the queue of its *level*, which counts its lots and
orders; an iceberg between two slices shows nothing and stands in none.  A side finds the level of a price through blocks
of 64 prices that the core's own index keeps in order (block_index.pxd, book.pxd), so no step is linear in the book.  A
level remembers the batch that changed it last: at its first change in a batch its price is noted, so that what a batch
changed is a short list.  What the reference for it is, line by line: exchange/gateway/public_book.py.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, qsort, realloc

from native.block_index cimport index_close, index_insert, index_remove
from native.book cimport NO_KEY, block_find, book_next_price, cache_block
from native.core cimport BLOCK_CACHE, Block, BookSide, Buckets
from native.memory cimport Slab, slab_at, slab_close, slab_give, slab_open, slab_take
from native.order_index cimport bucket_added, bucket_of, buckets_close, buckets_open
from native.units cimport apart, rarely

cdef enum:
    FIRST_ORDER_BUCKETS = 1 << 12
    MOST_ORDERS = 1 << 28
    FEWEST_ORDERS = 1 << 20            # room for fewer is no use: the system is asked no further
    MERGED_UNSORTED = 64               # prices that a list may grow by beyond twice its length before it is sorted again

cdef enum:                             # what can go wrong; the feed then tells nothing more
    FAULT_MEMORY = 1
    FAULT_ORDER = 2                    # an event of an order that does not rest, or of one that rests already
    FAULT_LOTS = 3                     # an order came to show less than nothing
    FAULT_SYMBOL = 4                   # an event of a symbol that is not listed
    FAULT_RECORD = 5                   # bytes that are no event record

cdef struct PublicOrder:
    uint32_t next                      # behind it at its level; of a free slot, the next free one
    uint32_t previous
    uint32_t index_next                # behind it in its bucket
    uint32_t level                     # slot of its level; 0: it shows nothing
    uint64_t order_id
    int64_t price_ticks
    int64_t lots                       # what it shows
    uint32_t symbol
    uint8_t side
    uint8_t iceberg

cdef struct PublicLevel:
    uint32_t head                      # front of the queue; of a free slot, the next free one
    uint32_t tail
    int64_t price_ticks
    int64_t lots
    uint32_t count                     # of its orders
    uint64_t changed_in                # the last batch that changed it

cdef struct LevelBlock:                # begins as a Block of the core does, which is all that the index looks at
    int64_t key
    uint64_t occupied
    int64_t mask                       # 0: it goes with its slab
    Block* next_free
    uint32_t levels[64]                # slots

cdef struct Prices:                    # a list of prices
    int64_t* ticks
    int64_t count
    int64_t room
    int64_t sorted_count               # what was left of it when it was sorted last

cdef struct PublicSide:
    BookSide side
    bint is_changed                    # by this batch
    bint is_noted                      # somebody wants to know where
    Prices changed                     # there; a price whose level came and went may stand twice

cdef struct PublicBooks:               # what the books of all symbols share
    Slab orders
    Slab levels
    Slab blocks
    Buckets index                      # order id -> slot
    uint64_t batch                     # counts batches, from 1
    int fault

# ------------------------------------------------------------------------------------------ lists of prices

cdef inline bint prices_add(Prices* prices, int64_t price_ticks) noexcept nogil:
    """Notes a price; False without memory."""
    cdef int64_t room = 2 * prices.room + 16
    cdef void* moved
    if prices.count == prices.room:
        moved = realloc(prices.ticks, room * sizeof(int64_t))
        if moved == NULL:
            return False
        prices.ticks = <int64_t*>moved
        prices.room = room
    prices.ticks[prices.count] = price_ticks
    prices.count += 1
    return True

cdef inline void prices_close(Prices* prices) noexcept nogil:
    free(prices.ticks)
    prices.ticks = NULL

cdef inline int rising(const void* a, const void* b) noexcept nogil:
    cdef int64_t x = (<const int64_t*>a)[0]
    cdef int64_t y = (<const int64_t*>b)[0]
    return (x > y) - (x < y)

cdef inline void prices_sort(Prices* prices) noexcept nogil:
    """Puts the prices in rising order, each once."""
    cdef int64_t* ticks = prices.ticks
    cdef int64_t i, place, price
    if prices.count > 24:
        qsort(ticks, prices.count, sizeof(int64_t), &rising)
    else:
        for i in range(1, prices.count):
            price = ticks[i]
            place = i
            while place > 0 and ticks[place - 1] > price:
                ticks[place] = ticks[place - 1]
                place -= 1
            ticks[place] = price
    place = 0
    for i in range(prices.count):
        if place == 0 or ticks[i] != ticks[place - 1]:
            ticks[place] = ticks[i]
            place += 1
    prices.count = place
    prices.sorted_count = place

cdef inline bint prices_merge(Prices* prices, const Prices* more) noexcept nogil:
    """Notes these prices too; False without memory.  Never much longer than the prices in it are."""
    cdef int64_t i
    for i in range(more.count):
        if not prices_add(prices, more.ticks[i]):
            return False
    if prices.count > 2 * prices.sorted_count + MERGED_UNSORTED:
        prices_sort(prices)
    return True

cdef inline void prices_clear(Prices* prices) noexcept nogil:
    prices.count = 0
    prices.sorted_count = 0

# ---------------------------------------------------------------------------------------------- begin and end

cdef inline void books_close(PublicBooks* books) noexcept nogil:
    slab_close(&books.orders)
    slab_close(&books.levels)
    slab_close(&books.blocks)
    buckets_close(&books.index)

cdef inline bint books_open(PublicBooks* books) noexcept nogil:
    """Reserves address space for as many orders as the core may hold, or for what the system gives; False: for too few."""
    cdef uint64_t orders = MOST_ORDERS
    while orders >= FEWEST_ORDERS:
        if slab_open(&books.orders, sizeof(PublicOrder), orders) \
                and slab_open(&books.levels, sizeof(PublicLevel), orders) \
                and slab_open(&books.blocks, sizeof(LevelBlock), orders) \
                and buckets_open(&books.index, FIRST_ORDER_BUCKETS, 2 * orders):
            return True
        books_close(books)
        orders //= 2
    return False

cdef inline void side_open(PublicSide* public, int64_t sign) noexcept nogil:
    public.side.sign = sign

cdef inline void side_close(PublicSide* public) noexcept nogil:
    index_close(&public.side)
    prices_close(&public.changed)

cdef inline PublicOrder* public_order(PublicBooks* books, uint32_t slot) noexcept nogil:
    return <PublicOrder*>slab_at(&books.orders, slot)

cdef inline PublicLevel* public_level(PublicBooks* books, uint32_t slot) noexcept nogil:
    return <PublicLevel*>slab_at(&books.levels, slot)

# --------------------------------------------------------------------------------------- finding an order

cdef inline uint32_t public_find(PublicBooks* books, uint64_t order_id) noexcept nogil:
    """The slot of an order, or 0."""
    cdef uint32_t slot = bucket_of(&books.index, order_id)[0]
    while slot and public_order(books, slot).order_id != order_id:
        slot = public_order(books, slot).index_next
    return slot

cdef inline apart public_split(PublicBooks* books) noexcept nogil:
    """Splits the next bucket, as the core does it."""
    cdef uint64_t bit = books.index.mask + 1
    cdef uint32_t* kept = &books.index.heads[books.index.count - bit]
    cdef uint32_t* moved = &books.index.heads[books.index.count]
    cdef uint32_t slot = kept[0]
    cdef PublicOrder* order
    if not bucket_added(&books.index):
        return
    while slot:
        order = public_order(books, slot)
        if order.order_id & bit:
            moved[0] = slot
            moved = &order.index_next
        else:
            kept[0] = slot
            kept = &order.index_next
        slot = order.index_next
    kept[0] = 0
    moved[0] = 0

cdef inline uint32_t public_new(PublicBooks* books, uint64_t order_id) noexcept nogil:
    """The slot of an order that was not there; 0 without memory."""
    cdef uint32_t slot = slab_take(&books.orders)
    cdef uint32_t* head
    if rarely(slot == 0):
        return 0
    books.index.items += 1
    if rarely(2 * books.index.items > books.index.count):
        public_split(books)
        public_split(books)
    head = bucket_of(&books.index, order_id)
    public_order(books, slot).order_id = order_id
    public_order(books, slot).index_next = head[0]
    head[0] = slot
    return slot

cdef inline void public_drop(PublicBooks* books, uint32_t slot) noexcept nogil:
    """Forgets an order that stands in no queue."""
    cdef uint32_t* link = bucket_of(&books.index, public_order(books, slot).order_id)
    while link[0] != slot:
        link = &public_order(books, link[0]).index_next
    link[0] = public_order(books, slot).index_next
    books.index.items -= 1
    slab_give(&books.orders, slot)

# --------------------------------------------------------------------------------------------- the levels

cdef inline uint32_t* level_place(Block* block, int64_t price_ticks) noexcept nogil:
    return &(<LevelBlock*>block).levels[price_ticks & 63]

cdef inline uint32_t level_at(PublicSide* public, int64_t price_ticks) noexcept nogil:
    """The slot of the level at a price; 0: nobody shows anything there."""
    cdef Block* block = block_find(&public.side, price_ticks >> 6)
    return level_place(block, price_ticks)[0] if block != NULL else 0

cdef inline Block* public_block(PublicBooks* books, PublicSide* public, int64_t key) noexcept nogil:
    """A new block of the side; NULL without memory."""
    cdef uint32_t slot = slab_take(&books.blocks)
    cdef LevelBlock* block = <LevelBlock*>slab_at(&books.blocks, slot)
    if slot == 0:
        return NULL
    block.key = key                    # the rest is zero: it is new, or was emptied
    block.occupied = 0
    if not index_insert(&public.side, <Block*>block):
        slab_give(&books.blocks, slot)
        return NULL
    cache_block(&public.side, <Block*>block)
    return <Block*>block

cdef inline uint32_t level_new(PublicBooks* books, PublicSide* public, Block* block, int64_t price_ticks) noexcept nogil:
    """A level where there was none; 0 without memory."""
    cdef BookSide* side = &public.side
    cdef uint32_t slot
    cdef PublicLevel* level
    if block == NULL:
        block = public_block(books, public, price_ticks >> 6)
        if block == NULL:
            return 0
    slot = slab_take(&books.levels)
    if slot == 0:
        return 0
    level = public_level(books, slot)
    level.head = level.tail = 0
    level.price_ticks = price_ticks
    level.lots = 0
    level.count = 0
    level.changed_in = 0
    level_place(block, price_ticks)[0] = slot
    block.occupied |= <uint64_t>1 << (price_ticks & 63)
    if side.best_ticks == 0 or (price_ticks - side.best_ticks) * side.sign > 0:
        side.best_ticks = price_ticks
        side.best_block = block
    return slot

cdef inline apart level_gone(PublicBooks* books, PublicSide* public, uint32_t slot) noexcept nogil:
    """Takes an empty level out of its side."""
    cdef int64_t price_ticks = public_level(books, slot).price_ticks
    cdef BookSide* side = &public.side
    cdef Block* block = block_find(side, price_ticks >> 6)
    level_place(block, price_ticks)[0] = 0
    block.occupied &= ~(<uint64_t>1 << (price_ticks & 63))
    slab_give(&books.levels, slot)
    if price_ticks == side.best_ticks:
        side.best_ticks = book_next_price(side, price_ticks)
        side.best_block = block_find(side, side.best_ticks >> 6) if side.best_ticks else NULL
    if block.occupied == 0:
        index_remove(side, block.key)
        if side.cache[block.key & (BLOCK_CACHE - 1)].key == block.key:
            side.cache[block.key & (BLOCK_CACHE - 1)].key = NO_KEY
        block.key = 0
        slab_give(&books.blocks, <uint32_t>((<char*>block - books.blocks.base) // <int64_t>sizeof(LevelBlock)))

cdef inline void level_changed(PublicBooks* books, PublicSide* public, PublicLevel* level) noexcept nogil:
    """Notes a level's first change in this batch."""
    public.is_changed = True
    if level.changed_in == books.batch or not public.is_noted:
        return
    level.changed_in = books.batch
    if not prices_add(&public.changed, level.price_ticks):
        books.fault = FAULT_MEMORY

# --------------------------------------------------------------------------------------------- the queues

cdef inline void queue_join(PublicBooks* books, PublicSide* public, uint32_t slot, int64_t lots) noexcept nogil:
    """Puts an order, which shows so much from now on, at the back of its level."""
    cdef PublicOrder* order = public_order(books, slot)
    cdef Block* block = block_find(&public.side, order.price_ticks >> 6)
    cdef uint32_t at = level_place(block, order.price_ticks)[0] if block != NULL else 0
    cdef PublicLevel* level
    if at == 0:
        at = level_new(books, public, block, order.price_ticks)
        if at == 0:
            books.fault = FAULT_MEMORY
            return
    level = public_level(books, at)
    order.lots = lots
    order.level = at
    order.next = 0
    order.previous = level.tail
    if level.tail:
        public_order(books, level.tail).next = slot
    else:
        level.head = slot
    level.tail = slot
    level.lots += lots
    level.count += 1
    level_changed(books, public, level)

cdef inline void queue_leave(PublicBooks* books, PublicSide* public, uint32_t slot) noexcept nogil:
    """Takes an order, with all that it shows, out of its queue."""
    cdef PublicOrder* order = public_order(books, slot)
    cdef PublicLevel* level = public_level(books, order.level)
    if order.next:
        public_order(books, order.next).previous = order.previous
    else:
        level.tail = order.previous
    if order.previous:
        public_order(books, order.previous).next = order.next
    else:
        level.head = order.next
    level.lots -= order.lots
    level.count -= 1
    level_changed(books, public, level)
    if level.count == 0:
        if level.lots != 0:
            books.fault = FAULT_LOTS
        level_gone(books, public, order.level)
    order.lots = 0
    order.level = 0

cdef inline void queue_reduce(PublicBooks* books, PublicSide* public, uint32_t slot, int64_t lots) noexcept nogil:
    """Takes lots off an order that keeps its place, unless nothing is left."""
    cdef PublicOrder* order = public_order(books, slot)
    cdef PublicLevel* level
    if rarely(lots > order.lots or order.level == 0):
        books.fault = FAULT_LOTS
        return
    if lots == order.lots:
        queue_leave(books, public, slot)
        return
    level = public_level(books, order.level)
    order.lots -= lots
    level.lots -= lots
    level_changed(books, public, level)
