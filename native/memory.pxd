"""Growing arrays that never move: a slab reserves address space once and the machine fills it page by page.

Theory of operation.  A slab is one anonymous mapping, reserved without being paid for; a page costs memory when
it is first touched.  So a slab grows without copying, pointers into it stay valid, and the slots of a slab are
32-bit indices (index 0 is never given out and means *none*).  Released slots form a LIFO list through the first
four bytes of each, so the slot that is warm in the cache is the next one to be used.
Where the system refuses the reservation, the engine asks for half of everything, and so on (engine.pyx): it is then just
smaller, and a command that needs more room is rejected with out_of_capacity.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <sys/mman.h>
    #include <string.h>
    #ifndef MAP_NORESERVE
    #define MAP_NORESERVE 0
    #endif
    static void* memory_reserve(size_t bytes) {
        void* p = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        return p == MAP_FAILED ? 0 : p;
    }
    static void memory_release(void* p, size_t bytes) { if (p) munmap(p, bytes); }
    /* gcc takes a function that only prefetches for one without effect and drops its calls; the empty asm is its effect. */
    static inline void memory_prefetch(const void* p) { __builtin_prefetch(p); __asm__ volatile ("" : : "r"(p)); }
    static void memory_forget(void* p, size_t bytes) { madvise(p, bytes, MADV_DONTNEED); }
    """
    void* memory_reserve(size_t size) noexcept nogil
    void memory_release(void* p, size_t size) noexcept nogil
    void memory_forget(void* p, size_t size) noexcept nogil
    void prefetch "memory_prefetch" (const void* p) noexcept nogil

cdef struct Slab:
    char* base
    uint64_t bytes_reserved
    uint32_t item_bytes
    uint32_t capacity      # slots, 0 included
    uint32_t used          # slots ever given out, 0 included
    uint32_t free_head     # LIFO list of released slots; 0: none

cdef inline bint slab_open(Slab* slab, uint32_t item_bytes, uint64_t capacity) noexcept nogil:
    """Reserves room for `capacity` items; False if the system does not give it."""
    slab.base = <char*>memory_reserve(capacity * item_bytes)
    slab.bytes_reserved = capacity * item_bytes
    slab.item_bytes = item_bytes
    slab.capacity = <uint32_t>capacity
    slab.used = 1
    slab.free_head = 0
    return slab.base != NULL

cdef inline void slab_close(Slab* slab) noexcept nogil:
    memory_release(slab.base, slab.bytes_reserved)
    slab.base = NULL

cdef inline void* slab_at(Slab* slab, uint32_t slot) noexcept nogil:
    return slab.base + <uint64_t>slot * slab.item_bytes

cdef inline uint32_t slab_take(Slab* slab) noexcept nogil:
    """A free slot, its bytes as they were left (zero if it is new); 0 if the slab is full."""
    cdef uint32_t slot = slab.free_head
    if slot:
        slab.free_head = (<uint32_t*>slab_at(slab, slot))[0]
        return slot
    if slab.used >= slab.capacity:
        return 0
    slot = slab.used
    slab.used += 1
    return slot

cdef inline bint slab_has_room(Slab* slab) noexcept nogil:
    return slab.free_head != 0 or slab.used < slab.capacity

cdef inline void slab_give(Slab* slab, uint32_t slot) noexcept nogil:
    (<uint32_t*>slab_at(slab, slot))[0] = slab.free_head
    slab.free_head = slot

# ------------------------------------------------------------------------------------------ a queue of ids

cdef struct IdQueue:       # first in, first out; its room is won back whenever it is empty
    uint64_t* ids
    uint64_t bytes_reserved
    int64_t first
    int64_t end

cdef inline bint ids_open(IdQueue* queue, uint64_t capacity) noexcept nogil:
    """Reserves room for `capacity` ids between two moments at which it is empty; False if the system does not give it."""
    queue.bytes_reserved = capacity * sizeof(uint64_t)
    queue.ids = <uint64_t*>memory_reserve(queue.bytes_reserved)
    queue.first = 0
    queue.end = 0
    return queue.ids != NULL

cdef inline void ids_close(IdQueue* queue) noexcept nogil:
    memory_release(queue.ids, queue.bytes_reserved)
    queue.ids = NULL

cdef inline bint ids_add(IdQueue* queue, uint64_t id) noexcept nogil:
    """Adds an id; False if there is no room."""
    if <uint64_t>(queue.end + 1) * sizeof(uint64_t) > queue.bytes_reserved:
        return False
    queue.ids[queue.end] = id
    queue.end += 1
    return True

cdef inline uint64_t ids_take(IdQueue* queue) noexcept nogil:
    """Takes the first id; 0 if there is none."""
    cdef uint64_t id
    if queue.first == queue.end:
        return 0
    id = queue.ids[queue.first]
    queue.first += 1
    if queue.first == queue.end:
        queue.first = 0
        queue.end = 0
    return id
