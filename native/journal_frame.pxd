"""Frames of the journal as C: the bytes that exchange/segments.py packs, with the checksum of zlib.

The checksum goes eight bytes at a time through tables that are made at import.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <errno.h>
    #include <string.h>
    #include <sys/uio.h>

    static uint32_t frame_tables[8][256];

    static void frame_tables_make(void) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t crc = i;
            for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
            frame_tables[0][i] = crc;
        }
        for (int k = 1; k < 8; k++)
            for (uint32_t i = 0; i < 256; i++)
                frame_tables[k][i] = frame_tables[k - 1][i] >> 8 ^ frame_tables[0][frame_tables[k - 1][i] & 0xFF];
    }

    static uint32_t frame_crc(uint32_t crc, const uint8_t* at, size_t size) {
        crc = ~crc;
        for (; size >= 8; size -= 8, at += 8) {
            uint64_t word;
            memcpy(&word, at, 8);
            word ^= crc;
            crc = frame_tables[7][word & 0xFF] ^ frame_tables[6][word >> 8 & 0xFF]
                ^ frame_tables[5][word >> 16 & 0xFF] ^ frame_tables[4][word >> 24 & 0xFF]
                ^ frame_tables[3][word >> 32 & 0xFF] ^ frame_tables[2][word >> 40 & 0xFF]
                ^ frame_tables[1][word >> 48 & 0xFF] ^ frame_tables[0][word >> 56];
        }
        for (; size; size--, at++) crc = crc >> 8 ^ frame_tables[0][(crc ^ *at) & 0xFF];
        return ~crc;
    }

    /* Writes head and payload behind one another, however often a signal interrupts it; 0, or the error of the system. */
    static int frame_pwrite(int file, void* head, size_t head_size, void* payload, size_t size, int64_t offset) {
        struct iovec parts[2] = {{head, head_size}, {payload, size}};
        int first = 0;
        while (first < 2) {
            ssize_t written = pwritev(file, parts + first, 2 - first, offset);
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return errno;
            if (written == 0) return ENOSPC;
            offset += written;
            while (first < 2 && (size_t)written >= parts[first].iov_len) written -= parts[first++].iov_len;
            if (first < 2) {
                parts[first].iov_base = (char*)parts[first].iov_base + written;
                parts[first].iov_len -= written;
            }
        }
        return 0;
    }
    """
    void frame_tables_make() noexcept nogil
    uint32_t frame_crc(uint32_t crc, const uint8_t* at, size_t size) noexcept nogil
    int frame_pwrite(int file, void* head, size_t head_size, void* payload, size_t size, int64_t offset) noexcept nogil

cdef enum:
    FRAME_MAGIC = 0x314D5246
    UNCHECKED_BYTES = 8                # of a frame's head: what its checksum does not cover

cdef packed struct frame_head_t:
    uint32_t magic
    uint32_t crc
    uint32_t payload_bytes
    uint32_t count
    uint64_t first_sequence
    uint64_t synced_up_to

cdef inline frame_head_t frame_head(
    const uint8_t* payload, uint32_t size, uint32_t count, uint64_t first_sequence, uint64_t synced_up_to
) noexcept nogil:
    cdef frame_head_t head
    head.magic = FRAME_MAGIC
    head.payload_bytes = size
    head.count = count
    head.first_sequence = first_sequence
    head.synced_up_to = synced_up_to
    head.crc = frame_crc(0, <const uint8_t*>&head + UNCHECKED_BYTES, sizeof(head) - UNCHECKED_BYTES)
    head.crc = frame_crc(head.crc, payload, size)
    return head
