"""Latencies counted in the buckets of an HDR histogram of three digits: constant memory, an addition for a value.

Values below 2,048 have a bucket each; from there on every doubling has 1,024.  The layout is that of HdrHistogram with a
lowest value of 1, so the lowest value of a bucket lands in the same bucket there.
"""

from libc.stdint cimport uint64_t
from libc.string cimport memset

cdef enum:
    HALF = 1024
    DOUBLINGS = 32                       # beyond the first 2,048 values: up to an hour in nanoseconds
    BUCKETS = (DOUBLINGS + 2) * HALF

cdef extern from * nogil:
    int leading_zeros "__builtin_clzll" (unsigned long long value)

cdef struct Histogram:
    uint64_t counts[BUCKETS]

cdef inline void histogram_clear(Histogram* histogram) noexcept nogil:
    memset(histogram, 0, sizeof(Histogram))

cdef inline void histogram_add(Histogram* histogram, uint64_t value) noexcept nogil:
    cdef int shift = 0
    cdef uint64_t bucket
    if value >= 2 * HALF:
        shift = 53 - leading_zeros(value)
    bucket = shift * HALF + (value >> shift)
    histogram.counts[bucket if bucket < BUCKETS else BUCKETS - 1] += 1

cdef inline uint64_t histogram_value(int bucket) noexcept nogil:
    """The lowest value that a bucket counts."""
    cdef int shift = bucket // HALF - 1 if bucket >= 2 * HALF else 0
    return <uint64_t>(bucket - shift * HALF) << shift

cdef inline list histogram_pairs(Histogram* histogram):
    """(lowest value, how many) of each bucket that counted any, in their order."""
    cdef int bucket
    return [(histogram_value(bucket), histogram.counts[bucket]) for bucket in range(BUCKETS) if histogram.counts[bucket]]
