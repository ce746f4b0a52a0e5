"""The page and the picture of an order's life, drawn from its table.

What is said here is where a box stands and which way an arrow takes; everything written is the table's.  The picture
has a background of its own and a second set of colours for readers with a dark screen.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from html import escape

from exchange.protocol.life import CHANGES, ENDS, STATE_PROSE, Change, State

ORIGIN = "GENERATED from exchange/protocol/life.py by python -m exchange.protocol.generate: edit the table"
WIDTH, HEIGHT = 1080, 720
BOX_WIDTH, BOX_HEIGHT = 236, 108
LINE = 17
Point = tuple[int, int]

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

STYLE = """\
    .paper { fill: #ffffff }
    .box { fill: #f3f5f8; stroke: #57606a; stroke-width: 1.2 }
    .end { fill: #ffffff; stroke: #57606a; stroke-width: 1.2; stroke-dasharray: 5 3 }
    .arrow { fill: none; stroke: #57606a; stroke-width: 1.4 }
    .tip { fill: #57606a }
    text { font-family: sans-serif; font-size: 13px; text-anchor: middle; fill: #1f2328 }
    .name { font-size: 16px; font-weight: bold }
    .small { font-size: 12px; fill: #424a53 }
    @media (prefers-color-scheme: dark) {
      .paper { fill: #0d1117 }
      .box { fill: #1c2128; stroke: #8d96a0 }
      .end { fill: #0d1117; stroke: #8d96a0 }
      .arrow { stroke: #8d96a0 }
      .tip { fill: #8d96a0 }
      text { fill: #e6edf3 }
      .small { fill: #b1bac4 }
    }"""


def render_order_life_svg() -> str:
    """The picture: a box for a state, an arrow for all changes between two states."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
            f'viewBox="0 0 {WIDTH} {HEIGHT}">',
            f"  <!-- {ORIGIN} -->",
            "  <title>The life of an order</title>",
            f"  <style>\n{STYLE}\n  </style>",
            '  <defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
            'orient="auto"><path class="tip" d="M0,0 L10,5 L0,10 z"/></marker></defs>',
            f'  <rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>',
            *(line for pair in ways() for line in draw_arrow(*pair)),
            *(line for state in State for line in draw_box(state)),
            "</svg>",
            "",
        ]
    )


def ways() -> list[tuple[State, State]]:
    """From where to where anything leads, in the order of the table."""
    pairs = ((change.origin, change.target) for change in CHANGES if change.origin != change.target)
    return list(dict.fromkeys(pairs))


def event_names(origin: State, target: State) -> list[str]:
    names = (c.event for c in CHANGES if (c.origin, c.target) == (origin, target))
    return list(dict.fromkeys(names))


def draw_arrow(origin: State, target: State) -> Iterator[str]:
    corners, (x, y) = ARROWS[origin, target]
    path = " L".join(f"{a},{b}" for a, b in corners)
    yield f'  <path class="arrow" marker-end="url(#tip)" d="M{path}"/>'
    names = event_names(origin, target)
    if origin is State.SENT:
        names = [" / ".join(names)]
    width = 8 + 7 * max(map(len, names))
    height = LINE * len(names)
    yield (
        f'  <rect class="paper" x="{x - width // 2}" y="{y - height // 2}" width="{width}" '
        f'height="{height}"/>'
    )
    for number, name in enumerate(names):
        yield f'  <text x="{x}" y="{y - height // 2 + LINE * number + 13}">{escape(name)}</text>'


def draw_box(state: State) -> Iterator[str]:
    x, y = PLACES[state]
    kind = "end" if state in ENDS else "box"
    yield (
        f'  <rect class="{kind}" x="{x - BOX_WIDTH // 2}" y="{y - BOX_HEIGHT // 2}" width="{BOX_WIDTH}" '
        f'height="{BOX_HEIGHT}" rx="8"/>'
    )
    lines = textwrap.wrap(STATE_PROSE[state], 34)
    stays = event_names(state, state)
    if stays:
        lines += textwrap.wrap("stays with " + ", ".join(stays), 34)
    top = y - LINE * (len(lines) + 1) // 2
    yield f'  <text class="name" x="{x}" y="{top + 13}">{state}</text>'
    for number, line in enumerate(lines, start=1):
        yield f'  <text class="small" x="{x}" y="{top + 14 + LINE * number}">{escape(line)}</text>'


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
