"""The page and the picture of a pool's life, drawn from its table."""

from __future__ import annotations

from exchange.protocol.diagram import Diagram, Point
from exchange.protocol.pool_life import CHANGES, STAGE_PROSE, PoolChange, Stage

ORIGIN = "GENERATED from exchange/protocol/pool_life.py by python -m exchange.protocol.generate: edit the table"

#: The middle of each stage's box.
PLACES: dict[Stage, Point] = {
    Stage.SOUND: (150, 110),
    Stage.LIQUIDATED: (150, 400),
    Stage.SHORT: (600, 400),
    Stage.UNCOVERED: (600, 110),
}
#: The corners of each arrow, and the middle of its label.
ARROWS: dict[tuple[Stage, Stage], tuple[tuple[Point, ...], Point]] = {
    (Stage.SOUND, Stage.LIQUIDATED): (((90, 164), (90, 315)), (90, 240)),
    (Stage.LIQUIDATED, Stage.SOUND): (((220, 315), (220, 164)), (220, 240)),
    (Stage.LIQUIDATED, Stage.SHORT): (((268, 425), (482, 425)), (375, 425)),
    (Stage.SHORT, Stage.LIQUIDATED): (((482, 380), (268, 380)), (375, 380)),
    (Stage.SHORT, Stage.UNCOVERED): (((600, 346), (600, 204)), (600, 270)),
    (Stage.SHORT, Stage.SOUND): (((500, 346), (268, 150)), (385, 250)),
    (Stage.UNCOVERED, Stage.SOUND): (((482, 100), (268, 100)), (375, 100)),
}


def diagram() -> Diagram[Stage]:
    """The picture: a box for a stage, an arrow for all changes between two stages."""
    return Diagram(
        title="The life of a collateral pool",
        origin=ORIGIN,
        size=(740, 510),
        prose=STAGE_PROSE,
        ends=frozenset(),
        changes=[(change.origin, change.event, change.target) for change in CHANGES],
        places=PLACES,
        arrows=ARROWS,
    )


def render_pool_life_svg() -> str:
    return diagram().render()


INTRODUCTION = """\
What can become of a collateral pool (an account's cross pool, or an isolated position's), and which event tells it.
Whoever reads events, from the first on, can follow every pool with this table. `exchange/protocol/pool_life.py` is the
table, and the fuzzer follows every pool of its streams with it. The rules are those of [liquidation](liquidation.md).

![Stages of a pool and the events between them](pool-life.svg)

* The engine works on one pool at a time: `liquidation_started`, `liquidation_position` and `liquidation_ended` say on
  which.
* Payments, funding and fills move what a pool is worth; they do not change its stage by themselves.
"""


def render_pool_life_md() -> str:
    """The page: stages and changes."""
    return "\n".join(
        [
            "# The life of a pool",
            "",
            f"<!-- {ORIGIN} -->",
            "",
            INTRODUCTION,
            "## Stages",
            "",
            "| stage | |",
            "|---|---|",
            *(f"| {stage} | {prose} |" for stage, prose in STAGE_PROSE.items()),
            "",
            "## Changes",
            "",
            "| stage | event | which | next stage | |",
            "|---|---|---|---|---|",
            *map(md_change, CHANGES),
            "",
        ]
    )


def md_change(change: PoolChange) -> str:
    detail = f"`{change.detail}`" if change.detail else ""
    return f"| {change.origin} | `{change.event}` | {detail} | {change.target} | {change.prose} |"
