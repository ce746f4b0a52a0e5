"""What is due at a time: orders that expire, countdowns that end, premiums that are measured (MATCH-03, MATCH-07, FUNDING-02).

Theory of operation.  A binary heap, the next one first: by time, orders before countdowns, then by order id or account.
Cancelling an order leaves its timer behind; a timer counts only while its order still expires, its countdown still ends, or its
symbol's next premium sample is due, at that very time.  When dead timers outnumber the live ones, the heap is swept: so its size
stays with what is live.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from native.core cimport (
    Core, FAULT_NO_MEMORY, Order, Symbol, TIMED, Timer, account_more, ensure, more_at, order_at, symbol_at,
)
from native.order_index cimport order_index_find

cdef inline uint64_t countdown_key(uint32_t account) noexcept nogil:
    return (<uint64_t>1 << 63) | account

cdef inline uint64_t funding_key(uint32_t symbol) noexcept nogil:
    return (<uint64_t>3 << 62) | symbol

cdef inline bint is_countdown(Timer* timer) noexcept nogil:
    return timer.key >> 62 == 2

cdef inline bint is_funding(Timer* timer) noexcept nogil:
    return timer.key >> 62 == 3

cdef inline bint timer_before(Timer* a, Timer* b) noexcept nogil:
    if a.time_ns != b.time_ns:
        return a.time_ns < b.time_ns
    return a.key < b.key

cdef inline uint32_t timer_order(Core* core, Timer* timer) noexcept nogil:
    """The slot of the order that expires with this timer; 0: none does."""
    cdef uint32_t slot = order_index_find(core, timer.key)
    if slot and order_at(core, slot).flags & TIMED and more_at(core, slot).expires_ns == timer.time_ns:
        return slot
    return 0

cdef inline bint timer_lives(Core* core, Timer* timer) noexcept nogil:
    cdef Symbol* symbol
    if is_countdown(timer):
        return account_more(core, <uint32_t>timer.key).countdown_ns == timer.time_ns
    if is_funding(timer):
        symbol = symbol_at(core, <uint32_t>timer.key)
        return symbol.funding != NULL and symbol.funding.next_sample_ns == timer.time_ns
    return timer_order(core, timer) != 0

cdef inline void timer_sink(Core* core, int64_t place, Timer timer) noexcept nogil:
    cdef int64_t child = 2 * place + 1
    while child < core.timer_count:
        if child + 1 < core.timer_count and timer_before(&core.timers[child + 1], &core.timers[child]):
            child += 1
        if not timer_before(&core.timers[child], &timer):
            break
        core.timers[place] = core.timers[child]
        place = child
        child = 2 * place + 1
    core.timers[place] = timer

cdef inline void timer_rise(Core* core, int64_t place, Timer timer) noexcept nogil:
    while place > 0 and timer_before(&timer, &core.timers[(place - 1) // 2]):
        core.timers[place] = core.timers[(place - 1) // 2]
        place = (place - 1) // 2
    core.timers[place] = timer

cdef inline void timers_sweep(Core* core) noexcept nogil:
    """Throws out what no longer means anything, and orders the rest anew."""
    cdef int64_t i
    cdef int64_t count = core.timer_count
    core.timer_count = 0
    for i in range(count):
        if timer_lives(core, &core.timers[i]):
            core.timer_count += 1
            timer_rise(core, core.timer_count - 1, core.timers[i])

cdef inline void timer_add(Core* core, int64_t time_ns, uint64_t key) noexcept nogil:
    cdef Timer timer
    if core.timer_count > 2 * core.timer_live + 1024:
        timers_sweep(core)
    if <uint64_t>(core.timer_count + 1) * sizeof(Timer) > core.timers_bytes:
        ensure(core, False, FAULT_NO_MEMORY)
        return
    timer.time_ns = time_ns
    timer.key = key
    core.timer_count += 1
    core.timer_live += 1
    timer_rise(core, core.timer_count - 1, timer)

cdef inline bint timer_due(Core* core) noexcept nogil:
    return core.timer_count > 0 and core.timers[0].time_ns <= core.timestamp_ns

cdef inline Timer timer_pop(Core* core) noexcept nogil:
    cdef Timer first = core.timers[0]
    core.timer_count -= 1
    if core.timer_count > 0:
        timer_sink(core, 0, core.timers[core.timer_count])
    return first
