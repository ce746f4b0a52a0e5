"""The page and the picture of an order's life, drawn from its table.

What is said here is where a box stands and which way an arrow takes; everything written is the table's.
"""

from __future__ import annotations

from collections.abc import Iterator

from exchange.protocol.diagram import Diagram, Point
from exchange.protocol.life import CHANGES, ENDS, STATE_PROSE, Change, State

ORIGIN = "GENERATED from exchange/protocol/life.py by python -m exchange.protocol.generate: edit the table"

#: The middle of each state's box.
PLACES: dict[State, Point] = {
    State.REFUSED: (540, 70),
    State.HELD: (140, 225),
    State.SENT: (540, 225),
    State.FILLED: (940, 225),
    State.WAITING: (140, 430),
    State.ACTING: (540, 430),
    State.RESTING: (940, 430),
    State.CANCELLED: (540, 645),
}
#: The corners of each arrow, and the middle of its label.
ARROWS: dict[tuple[State, State], tuple[tuple[Point, ...], Point]] = {
    (State.SENT, State.REFUSED): (((540, 171), (540, 124)), (540, 148)),
    (State.SENT, State.ACTING): (((540, 279), (540, 376)), (540, 328)),
    (State.ACTING, State.HELD): (((440, 376), (258, 262)), (345, 318)),
    (State.ACTING, State.WAITING): (((422, 452), (258, 452)), (340, 452)),
    (State.ACTING, State.RESTING): (((658, 452), (822, 452)), (740, 452)),
    (State.ACTING, State.FILLED): (((640, 376), (822, 262)), (735, 318)),
    (State.ACTING, State.CANCELLED): (((540, 484), (540, 591)), (540, 538)),
    (State.HELD, State.WAITING): (((140, 279), (140, 376)), (140, 328)),
    (State.HELD, State.CANCELLED): (((22, 225), (10, 225), (10, 660), (422, 660)), (200, 660)),
    (State.WAITING, State.ACTING): (((258, 412), (422, 412)), (340, 412)),
    (State.WAITING, State.CANCELLED): (((200, 484), (422, 615)), (300, 543)),
    (State.RESTING, State.ACTING): (((822, 412), (658, 412)), (740, 412)),
    (State.RESTING, State.FILLED): (((940, 376), (940, 279)), (940, 328)),
    (State.RESTING, State.CANCELLED): (((880, 484), (658, 615)), (780, 543)),
}


def diagram() -> Diagram[State]:
    """The picture: a box for a state, an arrow for all changes between two states."""
    return Diagram(
        title="The life of an order",
        origin=ORIGIN,
        size=(1080, 720),
        prose=STATE_PROSE,
        ends=frozenset(ENDS),
        changes=[(change.origin, change.event, change.target) for change in CHANGES],
        places=PLACES,
        arrows=ARROWS,
        joined=frozenset({State.SENT}),
    )


def render_order_life_svg() -> str:
    return diagram().render()


# ------------------------------------------------------------------------------------------------ page

INTRODUCTION = """\
What can become of an order, and which event tells it. Whoever reads events, from the first on, can follow every order
with these tables and no rule. `exchange/protocol/life.py` is the table, and the fuzzer follows every order of its
streams with it.

![States of an order and the events between them](order-life.svg)

* *Acting* lasts no longer than one command: an order that was just accepted, whose trigger was just reached, or that
  left its place for a new price.
* A partly filled order is not in a state of its own: `open_lots` of its last event says what is left.
* A repeated client order id (MATCH-08) is answered with the id of the order that it repeats; nothing becomes of that
  order.
* The engine's closing orders (LIQ-06) are told by `liquidation_order` and their fills, and are not in the tables.
"""

AFTER_CHANGES = """\
`order_waiting` stands for five changes. *Taken* and *of an exit*: after the order's result. *Armed* and *grown*: after
a fill of its entry. *Amended*: as the answer to `amend_order`.
"""

BEFORE_CANCELLATIONS = """\
`order_cancelled` says why, and in `place` where the order was: *taker* while it acts, *waiting* while it is held or
waits, *book* while it rests.
"""


def render_order_life_md() -> str:
    """The page: states, changes, and why an order can be cancelled in which state."""
    return "\n".join(
        [
            "# The life of an order",
            "",
            f"<!-- {ORIGIN} -->",
            "",
            INTRODUCTION,
            "## States",
            "",
            "| state | |",
            "|---|---|",
            *(f"| {state} | {STATE_PROSE[state]} |" for state in State),
            "",
            "## Changes",
            "",
            "| state | event | which | next state | |",
            "|---|---|---|---|---|",
            *(md_change(change) for change in CHANGES if change.target is not State.CANCELLED),
            "",
            AFTER_CHANGES,
            "## Cancellations",
            "",
            BEFORE_CANCELLATIONS,
            *md_cancellations(),
            "",
        ]
    )


def md_change(change: Change) -> str:
    detail = (
        change.detail
        if " " not in change.detail or change.detail == "of an exit"
        else f"`{change.detail}`"
    )
    return f"| {change.origin} | `{change.event}` | {detail} | {change.target} | {change.prose} |"


def md_cancellations() -> Iterator[str]:
    gone = {(c.detail, c.origin) for c in CHANGES if c.target is State.CANCELLED}
    origins = [state for state in State if any(state is origin for _, origin in gone)]
    yield f"| reason | {' | '.join(origins)} |"
    yield "|---" * (len(origins) + 1) + "|"
    for reason in dict.fromkeys(c.detail for c in CHANGES if c.target is State.CANCELLED):
        marks = " | ".join("yes" if (reason, origin) in gone else "" for origin in origins)
        yield f"| `{reason}` | {marks} |"
