"""A session's life as a picture and a table, from the code: ``python -m exchange.gateway.session_page``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from exchange.gateway.sessions import NEXT_STATE, REFUSALS, Input, State
from exchange.protocol.diagram import Diagram, Point

DOCS = Path(__file__).parents[2] / "docs" / "reference"
PAGE, PICTURE = DOCS / "protocol.md", DOCS / "session-life.svg"
ORIGIN = "GENERATED from exchange/gateway/sessions.py by python -m exchange.gateway.session_page: edit the table"
BEGIN, END = f"<!-- {ORIGIN} -->", "<!-- end of the table -->"


class Life(StrEnum):
    """The states, as readers call them."""

    NEW = "new"
    ACTIVE = "active"
    LOST = "lost"
    CLOSED = "closed"


PROSE: dict[Life, str] = {
    Life.NEW: "a connection of which something came",
    Life.ACTIVE: "logged in for at least one account; at the operator's door from the first message on",
    Life.LOST: "read too slowly: events were dropped, and none are sent",
    Life.CLOSED: "nothing of it is known any more",
}
INPUTS: dict[Input, str] = {
    Input.HELLO: "hello",
    Input.LOGIN: "login",
    Input.LOGOUT: "logout",
    Input.PUBLIC_QUERY: "public question",
    Input.ACCOUNT_QUERY: "account question",
    Input.COMMANDS: "commands",
    Input.OVERFLOW: "its queue is full",
}
PLACES: dict[Life, Point] = {
    Life.NEW: (150, 120),
    Life.ACTIVE: (620, 120),
    Life.LOST: (620, 400),
    Life.CLOSED: (150, 400),
}
ARROWS: dict[tuple[Life, Life], tuple[tuple[Point, ...], Point]] = {
    (Life.NEW, Life.ACTIVE): (((268, 110), (502, 110)), (385, 110)),
    (Life.NEW, Life.CLOSED): (((110, 190), (110, 346)), (110, 270)),
    (Life.NEW, Life.LOST): (((230, 190), (502, 370)), (330, 258)),
    (Life.ACTIVE, Life.CLOSED): (((530, 190), (268, 370)), (465, 232)),
    (Life.ACTIVE, Life.LOST): (((600, 190), (600, 336)), (590, 290)),
    (Life.LOST, Life.ACTIVE): (((690, 336), (690, 190)), (690, 245)),
    (Life.LOST, Life.CLOSED): (((502, 410), (268, 410)), (385, 410)),
}


def life(state: State) -> Life:
    return Life[state.name]


def changes() -> list[tuple[Life, str, Life]]:
    return [
        (life(origin), INPUTS[what], life(target)) for (origin, what), target in NEXT_STATE.items()
    ]


def render_picture() -> str:
    return Diagram(
        title="The life of a session",
        origin=ORIGIN,
        size=(770, 520),
        prose=PROSE,
        ends=frozenset({Life.CLOSED}),
        changes=changes(),
        places=PLACES,
        arrows=ARROWS,
    ).render()


def render_table() -> str:
    """For each state and input the next state, or how it is refused.

    >>> print(render_table().splitlines()[4])
    | account question | refused: `not_logged_in` | active | refused: `session_lost` | refused: `session_closed` |
    """
    names = [life(state) for state in State]
    rows = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    order = (Input.HELLO, Input.LOGIN, Input.ACCOUNT_QUERY, Input.PUBLIC_QUERY, Input.COMMANDS)
    for what in (*order, Input.LOGOUT, Input.OVERFLOW):
        cells = [cell(state, what) for state in State]
        rows.append(f"| {INPUTS[what]} | {' | '.join(cells)} |")
    return "\n".join(rows)


def cell(state: State, what: Input) -> str:
    after = NEXT_STATE.get((state, what))
    if after is not None:
        return str(life(after))
    return "" if what is Input.OVERFLOW else f"refused: `{REFUSALS[state][0]}`"


def with_table(page: str) -> str:
    """The page with the table of today."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{render_table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
    PICTURE.write_text(render_picture())
