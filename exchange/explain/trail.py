"""An account's money, event by event: what moved it, by which command, and what was left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exchange.explain.books import Pool
from exchange.explain.causes import describe
from exchange.explain.follow import Follower, Row, Story
from exchange.explain.source import Names, clock, money, plain, ratio
from exchange.explain.tables import table
from exchange.explain.words import as_json, tell_story
from exchange.protocol.messages import LiquidationEnded
from exchange.protocol.schema import MESSAGE_BY_NUMBER, FillRole

HEADS = ["command", "time", "by", "symbol", "wallet", "margin", "position", "equity", "maintenance"]
HEADS += ["equity/maint.", "what moved it"]
LEFT = (1, 2, 3, 10)


def tell_trail(follower: Follower) -> str:
    return "\n".join(trail_lines(follower))


def trail_lines(follower: Follower) -> Iterator[str]:
    """The table of all changes, with the liquidations told where they happened."""
    names = follower.names
    yield f"Every change of the money of {names.account(follower.account)}"
    yield "=" * 78
    yield "Wallet, margin and position are those after the event; equity and maintenance are of the pool"
    yield "that it concerns. [ACCT-03..06, MARGIN-02, MARGIN-03]"
    yield ""
    cells = [row_cells(row, names) for row in follower.rows]
    head, *lines = table(HEADS, cells, left=LEFT)
    yield head
    waiting = list(follower.stories)
    for row, line in zip(follower.rows, lines, strict=True):
        yield line
        if isinstance(row.event, LiquidationEnded):
            yield from told(waiting, row.pool, follower)
    for story in list(waiting):
        yield from told(waiting, story.case.pool, follower)


def told(waiting: list[Story], pool: Pool, follower: Follower) -> Iterator[str]:
    """The next liquidation of a pool, set in; it is then told."""
    story = next((s for s in waiting if s.case.pool == pool), None)
    if story is None:
        return
    waiting.remove(story)
    yield ""
    for line in tell_story(story, len(follower.finder.cases), follower.names).split("\n"):
        yield f"    | {line}".rstrip()
    yield ""


def row_cells(row: Row, names: Names) -> list[str]:
    symbol, leg = getattr(row.event, "symbol", 0), getattr(row.event, "leg", 0)
    return [
        str(row.sequence),
        clock(row.timestamp_ns),
        row.command,
        names.position(symbol, leg) if symbol else "-",
        money(row.wallet_atoms),
        money(row.margin_atoms),
        names.quantity(symbol, row.position_lots) if symbol else "-",
        money(row.equity_atoms),
        money(row.maintenance_atoms),
        ratio(row.equity_atoms, row.maintenance_atoms),
        what_moved(row, names),
    ]


def what_moved(row: Row, names: Names) -> str:
    phrase = describe(row.event, names)
    if row.rate is not None:
        return f"{phrase}; {describe(row.rate, names)}"
    role: Any = getattr(row.event, "role", None)
    if role == FillRole.ADL_COUNTERPARTY:
        return f"{phrase}, against the liquidation of {names.account(row.partner)}"
    if role == FillRole.DELEVERAGED:
        return f"{phrase}, with {names.account(row.partner)}"
    return phrase


def trail_json(follower: Follower) -> dict[str, Any]:
    """The same in integers."""
    total = len(follower.finder.cases)
    return {
        "account": follower.account,
        "rows": [
            {
                **plain(row),
                "event": {"event": MESSAGE_BY_NUMBER[row.event.number].name, **plain(row.event)},
            }
            for row in follower.rows
        ],
        "liquidations": [as_json(story, total, follower.names) for story in follower.stories],
    }
