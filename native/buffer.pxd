"""Bytes that grow: an array on the C heap that is doubled where it is too small."""

from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from libc.stdint cimport uint8_t

cdef struct buffer_t:
    uint8_t* bytes
    size_t used
    size_t room

cdef inline int buffer_reserve(buffer_t* buffer, size_t extra) noexcept nogil:
    """Makes room for ``extra`` more bytes; -1 where there is no memory."""
    cdef size_t room = buffer.room
    cdef void* moved
    if buffer.used + extra <= room:
        return 0
    while room < buffer.used + extra:
        room = 2 * room if room else 1024
    moved = PyMem_RawRealloc(buffer.bytes, room)
    if moved == NULL:
        return -1
    buffer.bytes = <uint8_t*>moved
    buffer.room = room
    return 0

cdef inline void buffer_free(buffer_t* buffer) noexcept nogil:
    PyMem_RawFree(buffer.bytes)
    buffer.bytes = NULL
    buffer.used = buffer.room = 0
