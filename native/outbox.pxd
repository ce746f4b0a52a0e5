"""What waits until the journal has released its batch: letters to clients, and what the public is told.

A queue in the order of the journal.  Where it is empty it begins anew at its front; where half of it is, what waits moves
there, so that it stays as small as what has to wait at a time.
"""

from cpython.mem cimport PyMem_RawFree
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy
from native.buffer cimport buffer_free, buffer_reserve, buffer_t
from native.doors cimport publication_t
from native.mail cimport client_t, grown

cdef struct held_t:
    uint64_t sequence                  # of the last command of its batch
    uint64_t commands                  # whose replies are in it
    client_t* client                   # NULL: it is for the public, one publication_head_t with its bytes after the other
    buffer_t letter

cdef struct outbox_t:                  # held[first] .. held[end - 1]
    held_t* held
    uint32_t first
    uint32_t end
    uint32_t room
    uint64_t bytes

cdef struct publication_head_t:
    uint32_t topic_bytes
    uint32_t payload_bytes

cdef inline void outbox_close(outbox_t* outbox) noexcept nogil:
    while outbox.first < outbox.end:
        buffer_free(&outbox.held[outbox.first].letter)
        outbox.first += 1
    PyMem_RawFree(outbox.held)

cdef inline bint outbox_is_empty(outbox_t* outbox) noexcept nogil:
    return outbox.first == outbox.end

cdef inline bint outbox_add(outbox_t* outbox, held_t held) noexcept nogil:
    """Takes a letter over, at the end of the queue; False without memory, then it is still the caller's."""
    cdef void* moved = grown(outbox.held, &outbox.room, outbox.end, sizeof(held_t))
    if moved == NULL:
        return False
    outbox.held = <held_t*>moved
    outbox.held[outbox.end] = held
    outbox.end += 1
    outbox.bytes += held.letter.used
    return True

cdef inline bint outbox_has(outbox_t* outbox, uint64_t up_to) noexcept nogil:
    """Whether the oldest is of this sequence or before it."""
    return outbox.first < outbox.end and outbox.held[outbox.first].sequence <= up_to

cdef inline uint64_t outbox_oldest(outbox_t* outbox) noexcept nogil:
    """The sequence of the oldest; there has to be one."""
    return outbox.held[outbox.first].sequence

cdef inline held_t outbox_take(outbox_t* outbox) noexcept nogil:
    """Hands the oldest over; there has to be one."""
    cdef held_t held = outbox.held[outbox.first]
    outbox.first += 1
    outbox.bytes -= held.letter.used
    return held

cdef inline void outbox_settle(outbox_t* outbox) noexcept nogil:
    """After some were taken: what waits moves to the front where that is due."""
    if outbox.first == outbox.end:
        outbox.first = outbox.end = 0
    elif 2 * outbox.first > outbox.room:
        memcpy(outbox.held, outbox.held + outbox.first, (outbox.end - outbox.first) * sizeof(held_t))
        outbox.end -= outbox.first
        outbox.first = 0

# ------------------------------------------------------------------------------------------ publications in a letter

cdef inline bint publication_add(buffer_t* held, const publication_t* publication) noexcept nogil:
    """Writes a publication behind others; False without memory."""
    cdef publication_head_t head
    if buffer_reserve(held, sizeof(head) + publication.topic_bytes + publication.payload_bytes) < 0:
        return False
    head.topic_bytes = publication.topic_bytes
    head.payload_bytes = publication.payload_bytes
    memcpy(held.bytes + held.used, &head, sizeof(head))
    memcpy(held.bytes + held.used + sizeof(head), publication.topic, head.topic_bytes)
    memcpy(held.bytes + held.used + sizeof(head) + head.topic_bytes, publication.payload, head.payload_bytes)
    held.used += sizeof(head) + head.topic_bytes + head.payload_bytes
    return True

cdef inline bint publication_next(const buffer_t* held, size_t* at, publication_t* publication) noexcept nogil:
    """Reads the next publication; False where there is none any more."""
    cdef publication_head_t head
    if at[0] >= held.used:
        return False
    memcpy(&head, held.bytes + at[0], sizeof(head))
    publication.topic_bytes = head.topic_bytes
    publication.payload_bytes = head.payload_bytes
    publication.topic = held.bytes + at[0] + sizeof(head)
    publication.payload = publication.topic + head.topic_bytes
    at[0] += sizeof(head) + head.topic_bytes + head.payload_bytes
    return True
