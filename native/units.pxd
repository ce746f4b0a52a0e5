"""Exact arithmetic of the exchange: rates, quotients with a named direction, 128-bit products.

Nothing here rounds without its name saying which way.  Divisions by a constant million compile to a
multiplication, so a rate costs about three nanoseconds; true 128-bit divisions are kept off the hot path.
"""

from libc.stdint cimport int64_t, uint64_t

cdef extern from *:
    """
    typedef __int128 i128;
    typedef unsigned __int128 u128;
    #define EXCHANGE_USUALLY(condition) __builtin_expect(!!(condition), 1)
    #define EXCHANGE_RARELY(condition) __builtin_expect(!!(condition), 0)
    #define EXCHANGE_APART(result) __attribute__((noinline)) result
    """
    ctypedef long long i128
    ctypedef unsigned long long u128
    # what the compiler keeps on the straight path, and what it moves out of it
    bint usually "EXCHANGE_USUALLY" (bint condition) noexcept nogil
    bint rarely "EXCHANGE_RARELY" (bint condition) noexcept nogil
    # places in a word that is not 0
    int lowest_bit "__builtin_ctzll" (unsigned long long word) noexcept nogil
    int leading_zeros "__builtin_clzll" (unsigned long long word) noexcept nogil
    # results of functions that stay apart from those that call them, whose straight path then stays short
    ctypedef void apart "EXCHANGE_APART(void)"
    ctypedef int apart_int "EXCHANGE_APART(int)"
    ctypedef int64_t apart_int64 "EXCHANGE_APART(int64_t)"
    ctypedef void* apart_pointer "EXCHANGE_APART(void*)"
    bint times_overflows "__builtin_mul_overflow" (int64_t a, int64_t b, int64_t* product) noexcept nogil
    bint plus_overflows "__builtin_add_overflow" (int64_t a, int64_t b, int64_t* sum) noexcept nogil

cdef inline int64_t imin(int64_t a, int64_t b) noexcept nogil:
    return a if a < b else b

cdef inline int64_t imax(int64_t a, int64_t b) noexcept nogil:
    return a if a > b else b

cdef inline int64_t iabs(int64_t a) noexcept nogil:
    return a if a >= 0 else -a

cdef inline i128 wide(int64_t a, int64_t b) noexcept nogil:
    """a x b without overflow."""
    cdef i128 x = a
    cdef i128 y = b
    return x * y

cdef inline int64_t ppm_ceil(int64_t value, int64_t rate_ppm) noexcept nogil:
    """ceil(value x rate / 10^6) for value >= 0 and any rate up to 10^6 either way."""
    cdef int64_t product, whole
    if usually(not times_overflows(value, rate_ppm, &product)) and usually(product >= 0):
        return <int64_t>((<uint64_t>product + 999999) // 1000000)
    whole = value // 1000000
    cdef int64_t part = (value - whole * 1000000) * rate_ppm
    if part > 0:
        part += 999999
    return whole * rate_ppm + part // 1000000

cdef inline int64_t ppm_floor(int64_t value, int64_t rate_ppm) noexcept nogil:
    """floor(value x rate / 10^6) for value and rate >= 0."""
    cdef int64_t whole = value // 1000000
    return whole * rate_ppm + (value - whole * 1000000) * rate_ppm // 1000000

cdef inline i128 div_ceil(i128 a, i128 b) noexcept nogil:
    """ceil(a / b) for b > 0."""
    cdef i128 q = a // b
    if a > 0 and q * b != a:
        q += 1
    return q

cdef inline i128 div_floor(i128 a, i128 b) noexcept nogil:
    """floor(a / b) for b > 0."""
    cdef i128 q = a // b
    if a < 0 and q * b != a:
        q -= 1
    return q

cdef inline int64_t share_ceil(int64_t total, int64_t part, int64_t whole) noexcept nogil:
    """ceil(total x part / whole) for 0 <= part <= whole, whole > 0."""
    cdef int64_t product, quotient
    if part == whole:
        return total
    if rarely(times_overflows(total, part, &product)):
        return <int64_t>div_ceil(wide(total, part), whole)
    quotient = product // whole          # towards zero: already up for a product below it
    return quotient + (product > 0 and quotient * whole != product)

cdef inline int64_t share_floor(int64_t total, int64_t part, int64_t whole) noexcept nogil:
    """floor(total x part / whole) for 0 <= part <= whole, whole > 0."""
    if part == whole:
        return total
    return <int64_t>div_floor(wide(total, part), whole)

cdef inline int64_t clamp64(i128 a) noexcept nogil:
    """a, or the most that an int64 can say (sizes and limits only, never money); below 0 they are bounded."""
    cdef i128 top = 0x7fffffffffffffffLL
    return <int64_t>(a if a < top else top)

cdef inline void mul_wide(u128 a, u128 b, u128* high, u128* low) noexcept nogil:
    """The 256-bit product of two 128-bit numbers, for comparing scores without division."""
    cdef u128 mask = 0xffffffffffffffffULL
    cdef u128 a0 = a & mask
    cdef u128 a1 = a >> 64
    cdef u128 b0 = b & mask
    cdef u128 b1 = b >> 64
    cdef u128 p00 = a0 * b0
    cdef u128 p01 = a0 * b1
    cdef u128 p10 = a1 * b0
    cdef u128 middle = (p00 >> 64) + (p01 & mask) + (p10 & mask)
    low[0] = (p00 & mask) | (middle << 64)
    high[0] = a1 * b1 + (p01 >> 64) + (p10 >> 64) + (middle >> 64)

cdef inline int compare_products(u128 a, u128 b, u128 c, u128 d) noexcept nogil:
    """The sign of a x b - c x d."""
    cdef u128 high1, low1, high2, low2
    mul_wide(a, b, &high1, &low1)
    mul_wide(c, d, &high2, &low2)
    if high1 != high2:
        return 1 if high1 > high2 else -1
    if low1 != low2:
        return 1 if low1 > low2 else -1
    return 0
