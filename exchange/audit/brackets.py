"""I21: what brackets ask rises with size, joins at their edges, and is less to hold than to open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from exchange.protocol.messages import Bracket
from exchange.protocol.schema import PPM


def bracket_problems(brackets: Sequence[Bracket], initial_margin_ppm: int) -> Iterator[str]:
    """What is wrong with a table of (floor, maintenance rate, initial rate or 0) and a default rate, a sentence each.

    >>> list(bracket_problems([(0, 50_000, 0), (7, 60_000, 0)], 100_000))
    ['the requirement jumps at 7: the step is not a whole number of atoms']
    """
    rows = [(floor, rate, initial or rate) for floor, rate, initial in brackets]
    if not rows or rows[0][0] != 0:
        yield f"the first of the brackets {rows} does not begin at 0"
        return
    for (floor, rate, initial), (above, higher, initial_above) in pairwise(rows):
        if above <= floor:
            yield f"a bracket at {above} follows one at {floor}"
        if higher < rate or initial_above < initial:
            yield f"the bracket at {above} asks less than the one before"
        if above * (higher - rate) % PPM:
            yield f"the requirement jumps at {above}: the step is not a whole number of atoms"
    for floor, rate, initial in rows:
        if not 1 <= rate <= initial <= PPM:
            yield f"the bracket at {floor} asks {rate} ppm to hold and {initial} to open"
    if not rows[0][2] <= initial_margin_ppm <= PPM:
        yield f"the default rate of {initial_margin_ppm} ppm is not one that the first bracket allows"
