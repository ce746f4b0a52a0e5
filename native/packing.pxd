"""Writing msgpack: each value in its shortest form, as every common library writes it; the caller has made the room."""

from libc.stdint cimport INT32_MIN, UINT32_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef inline uint8_t* write_big_endian(uint8_t* to, uint8_t head, uint64_t bits, int size) noexcept nogil:
    cdef int i
    to[0] = head
    for i in range(size):
        to[1 + i] = <uint8_t>(bits >> 8 * (size - 1 - i))
    return to + 1 + size

cdef inline uint8_t* write_unsigned(uint8_t* to, uint64_t value) noexcept nogil:
    if value <= 0x7F:
        to[0] = <uint8_t>value
        return to + 1
    if value <= 0xFF:
        return write_big_endian(to, 0xCC, value, 1)
    if value <= 0xFFFF:
        return write_big_endian(to, 0xCD, value, 2)
    if value <= UINT32_MAX:
        return write_big_endian(to, 0xCE, value, 4)
    return write_big_endian(to, 0xCF, value, 8)

cdef inline uint8_t* write_signed(uint8_t* to, int64_t value) noexcept nogil:
    cdef uint64_t bits = <uint64_t>value
    if value >= 0:
        return write_unsigned(to, bits)
    if value >= -0x20:
        to[0] = <uint8_t>bits
        return to + 1
    if value >= -0x80:
        return write_big_endian(to, 0xD0, bits, 1)
    if value >= -0x8000:
        return write_big_endian(to, 0xD1, bits, 2)
    if value >= INT32_MIN:
        return write_big_endian(to, 0xD2, bits, 4)
    return write_big_endian(to, 0xD3, bits, 8)

cdef inline uint8_t* write_bool(uint8_t* to, bint value) noexcept nogil:
    to[0] = 0xC3 if value else 0xC2
    return to + 1

cdef inline uint8_t* write_nil(uint8_t* to) noexcept nogil:
    to[0] = 0xC0
    return to + 1

cdef inline uint8_t* write_array(uint8_t* to, uint64_t count) noexcept nogil:
    """The head of an array; its elements follow."""
    if count <= 0x0F:
        to[0] = <uint8_t>(0x90 | count)
        return to + 1
    if count <= 0xFFFF:
        return write_big_endian(to, 0xDC, count, 2)
    return write_big_endian(to, 0xDD, count, 4)

cdef inline uint8_t* write_map(uint8_t* to, uint32_t count) noexcept nogil:
    """The head of a map of at most 65,535 entries; keys and values follow."""
    if count <= 0x0F:
        to[0] = <uint8_t>(0x80 | count)
        return to + 1
    return write_big_endian(to, 0xDE, count, 2)

cdef inline uint8_t* write_key(uint8_t* to, const char* text, size_t size) noexcept nogil:
    """A string of at most 31 bytes."""
    to[0] = <uint8_t>(0xA0 | size)
    memcpy(to + 1, text, size)
    return to + 1 + size
