"""Where a rounding goes: the few divisions of the exchange, on unbounded integers.

``ceil`` and ``floor`` are those of the real numbers, for negative arguments too.  Divisors are above zero.
"""

from __future__ import annotations

from exchange.protocol.schema import PPM

INT64_MAX = 2**63 - 1


def ceil_div(numerator: int, divisor: int) -> int:
    """The smallest whole number not below the quotient.

    >>> ceil_div(3, 2), ceil_div(-3, 2)
    (2, -1)
    """
    return -(-numerator // divisor)


def floor_div(numerator: int, divisor: int) -> int:
    """The largest whole number not above the quotient.

    >>> floor_div(3, 2), floor_div(-3, 2)
    (1, -2)
    """
    return numerator // divisor


def as_int64(number: int) -> int:
    """What an event says of a number that only explains a decision, and may lie beyond 64 bits: the largest there is.

    >>> as_int64(2**80) == 2**63 - 1, as_int64(-7)
    (True, -7)
    """
    return min(number, INT64_MAX)


def ppm_ceil(amount: int, rate_ppm: int) -> int:
    """What a rate takes of an amount, rounded up: requirements, fees and deficits.

    >>> ppm_ceil(1_000_001, 500_000), ppm_ceil(1_000_001, -500_000)
    (500001, -500000)
    """
    return -(-amount * rate_ppm // PPM)


def ppm_floor(amount: int, rate_ppm: int) -> int:
    """What a rate leaves of an amount, rounded down: what may be used.

    >>> ppm_floor(1_000_001, 500_000)
    500000
    """
    return amount * rate_ppm // PPM
