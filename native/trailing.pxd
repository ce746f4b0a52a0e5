"""Trailing stops: which of them a new price sets off, without looking at all of them (MATCH-10).

Theory of operation.  A trailing stop goes off when the watched price comes back by its distance from the best price
since it began to watch.  Orders that share a best price form a *group*; a group is a heap by distance, since the shortest
one goes off first.  Groups stand on a stack: orders that began later can only have a best price that is worse or equal, so
the best prices fall from bottom to top, and each group holds the orders of one stretch of time (of serial numbers).  A new
best price merges the groups on top that it beats into one, the smaller heaps into the largest: an order changes its heap
O(log n) times in its life.  `nearest_ticks` bounds every trigger, so a price that sets nothing off costs one comparison.

An order that is gone leaves its node behind; a node counts only while its order waits with that very distance.  When
dead nodes outnumber the live ones, they are swept out.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from native.core cimport (
    ARMED, Core, FAULT_NO_MEMORY, Order, OrderMore, TrailGroup, TrailNode, Trails, TRIGGERED, WAITING,
)
from native.core cimport ensure, more_at, order_at
from native.memory cimport ids_add
from native.order_index cimport order_index_find
from native.units cimport ppm_ceil

# Each of a symbol's eight `trails` has a number: 4 x what it watches + 2 x side + 1 if its distances are ppm.

cdef inline bint trail_sells(int number) noexcept nogil:
    return number & 2

cdef inline bint trail_beats(int number, int64_t a_ticks, int64_t b_ticks) noexcept nogil:
    """Whether price a is at least as good as b: higher for those that sell, lower for those that buy."""
    return a_ticks >= b_ticks if trail_sells(number) else a_ticks <= b_ticks

cdef inline int64_t trail_trigger(int number, int64_t best_ticks, int64_t distance) noexcept nogil:
    """Where an order with this best price and distance goes off; may be below 1, which no price reaches."""
    if number & 1:
        distance = ppm_ceil(best_ticks, distance)
    return best_ticks - distance if trail_sells(number) else best_ticks + distance

# ----------------------------------------------------------------------------------------------- heaps

cdef inline bint node_before(TrailNode* a, TrailNode* b) noexcept nogil:
    if a.distance != b.distance:
        return a.distance < b.distance
    return a.order_id < b.order_id

cdef inline void node_sink(TrailGroup* group, int64_t place, TrailNode node) noexcept nogil:
    """Puts a node at its place in the heap, from a free place downwards."""
    cdef int64_t child = 2 * place + 1
    while child < group.count:
        if child + 1 < group.count and node_before(&group.nodes[child + 1], &group.nodes[child]):
            child += 1
        if not node_before(&group.nodes[child], &node):
            break
        group.nodes[place] = group.nodes[child]
        place = child
        child = 2 * place + 1
    group.nodes[place] = node

cdef inline bint node_push(TrailGroup* group, TrailNode node) noexcept nogil:
    """Adds a node; False without memory."""
    cdef int64_t place = group.count
    cdef TrailNode* grown
    if group.count == group.capacity:
        grown = <TrailNode*>realloc(group.nodes, (2 * group.capacity + 4) * sizeof(TrailNode))
        if grown == NULL:
            return False
        group.nodes = grown
        group.capacity = 2 * group.capacity + 4
    group.count += 1
    while place > 0 and node_before(&node, &group.nodes[(place - 1) // 2]):
        group.nodes[place] = group.nodes[(place - 1) // 2]
        place = (place - 1) // 2
    group.nodes[place] = node
    return True

cdef inline void node_pop(TrailGroup* group) noexcept nogil:
    group.count -= 1
    if group.count > 0:
        node_sink(group, 0, group.nodes[group.count])

# ---------------------------------------------------------------------------------------------- groups

cdef inline int64_t trail_group_of(Trails* trails, uint64_t serial) noexcept nogil:
    """The group that an order with this serial belongs to: the last that does not begin after it."""
    cdef int64_t low = 0
    cdef int64_t high = trails.count - 1
    cdef int64_t middle
    while low < high:
        middle = (low + high + 1) // 2
        if trails.groups[middle].first_serial <= serial:
            low = middle
        else:
            high = middle - 1
    return low

cdef inline void trail_bound(int number, Trails* trails, TrailGroup* group) noexcept nogil:
    """Takes the group's nearest trigger into the bound of all."""
    cdef int64_t trigger
    if group.count == 0:
        return
    trigger = trail_trigger(number, group.best_ticks, group.nodes[0].distance)
    if trails.nearest_ticks == 0 or (trigger > trails.nearest_ticks if trail_sells(number)
                                     else trigger < trails.nearest_ticks):
        trails.nearest_ticks = trigger

cdef inline TrailGroup* trail_group_new(Trails* trails, int64_t best_ticks, uint64_t serial) noexcept nogil:
    """A new group on top of the stack; NULL without memory."""
    cdef TrailGroup* grown
    cdef TrailGroup* group
    if trails.count == trails.capacity:
        grown = <TrailGroup*>realloc(trails.groups, (2 * trails.capacity + 4) * sizeof(TrailGroup))
        if grown == NULL:
            return NULL
        trails.groups = grown
        trails.capacity = 2 * trails.capacity + 4
    group = &trails.groups[trails.count]
    trails.count += 1
    group.best_ticks = best_ticks
    group.first_serial = serial
    group.nodes = NULL
    group.count = 0
    group.capacity = 0
    return group

cdef inline void trail_merge(Core* core, TrailGroup* kept, TrailGroup* other) noexcept nogil:
    """Moves all nodes of the upper group to the lower one, the fewer to the more."""
    cdef TrailGroup swap
    cdef int64_t i
    if other.count > kept.count:
        swap = kept[0]
        kept.nodes, kept.count, kept.capacity = other.nodes, other.count, other.capacity
        other.nodes, other.count, other.capacity = swap.nodes, swap.count, swap.capacity
    for i in range(other.count):
        ensure(core, node_push(kept, other.nodes[i]), FAULT_NO_MEMORY)
    free(other.nodes)

cdef inline void trails_watch(Core* core, int number, Trails* trails, int64_t watched_ticks) noexcept nogil:
    """Takes a new price into the best prices."""
    cdef TrailGroup* top
    if trails.count == 0 or not trail_beats(number, watched_ticks, trails.groups[trails.count - 1].best_ticks):
        return
    while trails.count > 1 and trail_beats(number, watched_ticks, trails.groups[trails.count - 2].best_ticks):
        trail_merge(core, &trails.groups[trails.count - 2], &trails.groups[trails.count - 1])
        trails.count -= 1
    top = &trails.groups[trails.count - 1]
    top.best_ticks = watched_ticks
    trail_bound(number, trails, top)

# ---------------------------------------------------------------------------------------------- orders

cdef inline int64_t trail_distance(OrderMore* more) noexcept nogil:
    return more.callback_ppm if more.callback_ppm else more.callback_ticks

cdef inline int trail_number(Order* order, OrderMore* more) noexcept nogil:
    return 4 * more.trigger_by + 2 * order.side + (1 if more.callback_ppm else 0)

cdef inline uint32_t trail_slot(Core* core, int number, TrailNode* node) noexcept nogil:
    """The slot of the order that a node stands for, or 0 if it no longer does."""
    cdef uint32_t slot = order_index_find(core, node.order_id)
    cdef Order* order
    if slot == 0:
        return 0
    order = order_at(core, slot)
    if not order.flags & WAITING or not order.flags & ARMED or order.flags & TRIGGERED \
            or trail_number(order, more_at(core, slot)) != number \
            or trail_distance(more_at(core, slot)) != node.distance:
        return 0
    return slot

cdef inline void trails_sweep(Core* core, int number, Trails* trails) noexcept nogil:
    """Throws out dead nodes, and groups that are left empty."""
    cdef int64_t i, j, count
    cdef int64_t kept = 0
    cdef TrailGroup* group
    trails.nodes = 0
    for i in range(trails.count):
        group = &trails.groups[i]
        count = group.count
        group.count = 0
        for j in range(count):
            if trail_slot(core, number, &group.nodes[j]):
                node_push(group, group.nodes[j])       # never beyond what is read
        if group.count == 0:
            free(group.nodes)
            continue
        trails.nodes += group.count
        trails.groups[kept] = group[0]
        kept += 1
    trails.count = kept

cdef inline void trail_put(Core* core, int number, Trails* trails, TrailGroup* group, uint32_t slot) noexcept nogil:
    """Adds an order to the heap of a group."""
    cdef TrailNode node
    node.distance = trail_distance(more_at(core, slot))
    node.order_id = order_at(core, slot).order_id
    ensure(core, group != NULL and node_push(group, node), FAULT_NO_MEMORY)
    trails.nodes += 1
    trails.live += 1
    trail_bound(number, trails, group)

cdef inline void trail_begin(Core* core, Trails* trails, uint32_t slot, uint64_t serial, int64_t best_ticks) noexcept nogil:
    """An order begins to watch, with this best price; those that watch already have better ones, or the same."""
    cdef int number = trail_number(order_at(core, slot), more_at(core, slot))
    cdef TrailGroup* group
    if trails.nodes > 2 * trails.live + 64:
        trails_sweep(core, number, trails)
    more_at(core, slot).trail_serial = serial
    group = &trails.groups[trails.count - 1] if trails.count > 0 else NULL
    if group == NULL or group.best_ticks != best_ticks:
        group = trail_group_new(trails, best_ticks, serial)
    trail_put(core, number, trails, group, slot)

cdef inline int64_t trail_best(Core* core, Trails* trails, uint32_t slot) noexcept nogil:
    """The best price that an order has watched."""
    return trails.groups[trail_group_of(trails, more_at(core, slot).trail_serial)].best_ticks

cdef inline void trails_collect(Core* core, int number, Trails* trails, int64_t watched_ticks) noexcept nogil:
    """Moves the orders that this price sets off to the triggered queue, and drops groups that are left empty."""
    cdef TrailGroup* group
    cdef uint32_t slot
    cdef int64_t i
    cdef int64_t kept = 0
    if trails.nearest_ticks == 0 or not trail_beats(number, trails.nearest_ticks, watched_ticks):
        return
    trails.nearest_ticks = 0
    for i in range(trails.count):
        group = &trails.groups[i]
        while group.count > 0:
            slot = trail_slot(core, number, &group.nodes[0])
            if slot:
                if not trail_beats(number, trail_trigger(number, group.best_ticks, group.nodes[0].distance),
                                   watched_ticks):
                    break
                order_at(core, slot).flags |= TRIGGERED
                more_at(core, slot).watched_ticks = watched_ticks
                more_at(core, slot).trigger_ticks = trail_trigger(
                    number, group.best_ticks, group.nodes[0].distance)
                trails.live -= 1
                ensure(core, ids_add(&core.triggered, group.nodes[0].order_id), FAULT_NO_MEMORY)
            node_pop(group)
            trails.nodes -= 1
        if group.count == 0:
            free(group.nodes)
            continue
        trail_bound(number, trails, group)
        trails.groups[kept] = group[0]
        kept += 1
    trails.count = kept

cdef inline void trails_close(Trails* trails) noexcept nogil:
    cdef int64_t i
    for i in range(trails.count):
        free(trails.groups[i].nodes)
    free(trails.groups)
