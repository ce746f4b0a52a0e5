"""A liquidation as text that a trader can follow who has never seen the code: every step, every number, every rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from exchange.explain.cases import Case
from exchange.explain.causes import describe_all
from exchange.explain.follow import Point, Story, Told
from exchange.explain.proof import Account, Item, Part, Sums
from exchange.explain.source import Names, clock, money, plain, ratio
from exchange.explain.steps import tell_turn
from exchange.explain.tables import fold, table

#: Lines of a path that are shown: the first ones, and the last ones before the liquidation.
FIRST_POINTS, LAST_POINTS = 2, 10


def tell_cases(cases: Sequence[Case], names: Names) -> str:
    """All liquidations of a journal, one a line."""
    if not cases:
        return "no liquidation in this journal"
    rows = [
        [
            str(case.number),
            clock(case.started_ns),
            str(case.first_sequence),
            names.account(case.account),
            names.pool(case.symbol, case.leg),
            money(case.equity_atoms),
            money(case.maintenance_atoms),
            money(max(0, -case.balance_change_atoms)),
            money(case.fund_paid_atoms),
            money(case.liquidation_fee_atoms),
            "yes" if case.used_adl else "no",
            str(case.turns),
            end_of(case),
        ]
        for case in cases
    ]
    heads = ["no", "began", "command", "account", "pool", "equity", "maintenance", "lost"]
    heads += ["fund paid", "fund got", "ADL", "turns", "how it ended"]
    return "\n".join(table(heads, rows, left=(1, 3, 4, 10, 12)))


def end_of(case: Case) -> str:
    """How a liquidation ended, in a word or two."""
    if not case.last_sequence:
        return "uncovered" if case.uncovered_atoms else "not over"
    return "over" if case.last_sequence == case.first_sequence else f"over at {case.last_sequence}"


def tell_story(story: Story, total: int, names: Names) -> str:
    """One liquidation from how it came there to who paid what."""
    lines = (folded for line in story_lines(story, total, names) for folded in fold(line))
    return "\n".join(lines)


def story_lines(story: Story, total: int, names: Names) -> Iterator[str]:
    case = story.case
    what = f"{names.account(case.account)}, {names.pool(case.symbol, case.leg)} pool"
    yield f"Liquidation {case.number} of {total}: {what}"
    yield "=" * 78
    first = story.turns[0]
    yield f"It began at {clock(first.timestamp_ns)} with command {first.sequence} ({first.command})."
    if not case.last_sequence:
        yield "It is not over: the pool is still flagged at the end of what was read."
    elif len(story.turns) > 1:
        last = story.turns[-1]
        yield (
            f"It was over at {clock(last.timestamp_ns)} with command {last.sequence} "
            f"({last.command}), in turn {len(story.turns)}."
        )
    yield ""
    yield from path_lines(story, names)
    before: Told | None = None
    for number, turn in enumerate(story.turns, start=1):
        yield ""
        yield from turn_lines(story, number, turn, before, names)
        before = turn
    yield ""
    yield from closing_lines(story, names)


# ------------------------------------------------------------------------------------------------- the path


def path_lines(story: Story, names: Names) -> Iterator[str]:
    """Marks, equity and maintenance of the pool from its first position to its liquidation."""
    began = story.case.first_sequence
    points = [point for point in story.path if point.sequence <= began]
    start = next(i for i, p in enumerate(points) if p.sequence == began)
    points = points[: start + 1]
    yield "How it came there                                    MARGIN-02, MARGIN-03, MARGIN-08"
    left_out = len(points) - FIRST_POINTS - LAST_POINTS
    shown = points
    if left_out > 1:
        shown = [*points[:FIRST_POINTS], *points[-LAST_POINTS:]]
    symbols = sorted({symbol for point in shown for symbol in point.marks})
    rows = [point_row(point, symbols, names) for point in shown]
    heads = ["command", "time", *(f"mark {names.symbol(s)}" for s in symbols)]
    heads += ["equity", "maintenance", "equity/maint.", "what moved it"]
    lines = table(heads, rows, left=(1, len(heads) - 1))
    if left_out > 1:
        lowest = min(points[:-1], key=lambda p: p.equity_atoms - p.maintenance_atoms)
        spare = money(lowest.equity_atoms - lowest.maintenance_atoms)
        lines.insert(
            1 + FIRST_POINTS,
            f"... {left_out} more moments (--json has all); at the nearest to maintenance {spare} were to spare",
        )
    yield from ("  " + line for line in lines)
    yield "  Equity is the pool's balance and the profit or loss of its positions at the mark. Below"
    yield "  maintenance, that is below 1 in the last column but one, the engine steps in."


def point_row(point: Point, symbols: Sequence[int], names: Names) -> list[str]:
    return [
        str(point.sequence),
        clock(point.timestamp_ns),
        *(names.price(s, point.marks[s]) if s in point.marks else "-" for s in symbols),
        money(point.equity_atoms),
        money(point.maintenance_atoms),
        ratio(point.equity_atoms, point.maintenance_atoms),
        describe_all(point.causes, names) or point.command,
    ]


# ------------------------------------------------------------------------------------------------- a turn


def turn_lines(
    story: Story, number: int, turn: Told, before: Told | None, names: Names
) -> Iterator[str]:
    title = f"Turn {number}: command {turn.sequence} ({turn.command}), {clock(turn.timestamp_ns)}"
    yield title
    yield "-" * len(title)
    if before is not None:
        yield from between_lines(story, before, turn, names)
    yield from tell_turn(turn, story.case, names)


def between_lines(story: Story, before: Told, turn: Told, names: Names) -> Iterator[str]:
    """What happened to a flagged pool between two turns."""
    left = before.after
    yield (
        f"  The pool was left flagged with equity {money(left.equity_atoms)} over maintenance "
        f"{money(left.maintenance_atoms)}."
    )
    points = [p for p in story.path if before.sequence < p.sequence <= turn.sequence]
    this = next((i for i, p in enumerate(points) if p.sequence == turn.sequence), len(points))
    for point in points[: this + 1]:
        why = describe_all(point.causes, names) or point.command
        yield (
            f"  Command {point.sequence}, {clock(point.timestamp_ns)}: {why}: then equity "
            f"{money(point.equity_atoms)} over {money(point.maintenance_atoms)}."
        )


# ------------------------------------------------------------------------------------------- who paid what


PART_NAMES = {
    Part.LIQUIDATED: "liquidated",
    Part.MAKER: "maker",
    Part.COUNTERPARTY: "deleveraged",
    Part.OTHER: "also",
}


def closing_lines(story: Story, names: Names) -> Iterator[str]:
    """The closing table: who paid what, at the mark, and the proof."""
    sums = story.sums
    yield "Who paid what, at the mark                                        LIQ-07, FUND-02, ADL-02"
    items = [item for item in Item if any(item in a.items for a in sums.by_who.values())]
    rows = []
    for (part, number), account in sorted(sums.by_who.items(), key=lambda entry: order_of(entry)):
        rows.append(
            [who(part, number, names), *(money(account.items.get(i, 0)) for i in items)]
            + [money(account.change_atoms)]
        )
    totals = [sum(a.items.get(i, 0) for a in sums.by_who.values()) for i in items]
    rows.append(["sum", *map(money, totals), money(sums.total_atoms)])
    heads = ["who", *(item.value for item in items), "change"]
    if sums.by_who:
        yield from ("  " + line for line in table(heads, rows, left=(0,), ruled=True))
    else:
        yield "  Nothing changed hands."
    yield from proof_lines(story, sums, names)


def order_of(entry: tuple[tuple[Part, int], Account]) -> tuple[int, int]:
    part, number = entry[0]
    return (list(Part).index(part), number)


def who(part: Part, number: int, names: Names) -> str:
    if part == Part.FUND:
        return names.fund(number)
    if part == Part.FEES:
        return "fee account"
    return f"{names.account(number)} ({PART_NAMES[part]})"


def proof_lines(story: Story, sums: Sums, names: Names) -> Iterator[str]:
    case, last = story.case, story.turns[-1]
    turns = "in the turn" if sums.proven_turns == 1 else f"in each of the {sums.proven_turns} turns"
    yield (
        f"  Proof: the changes sum to {sums.total_atoms} atoms; and each is, to the atom, what balances and "
        f"positions changed by {turns}, by the figures that the events left behind."
    )
    lost = -case.balance_change_atoms
    verb = "lost" if lost >= 0 else "gained"
    others = ""
    if case.haircut_atoms:
        others = f", plus {money(case.haircut_atoms)} out of the profits of others"
    yield (
        f"  The pool's balance {verb} {money(abs(lost))}: what was realised, less {money(case.liquidation_fee_atoms)} "
        f"to the fund, plus {money(case.fund_paid_atoms)} from it{others}."
    )
    after = last.after
    if case.last_sequence:
        yield f"  Left in the pool: {money(after.equity_atoms)} over {money(after.maintenance_atoms)}."
    else:
        yield f"  Not over: equity {money(after.equity_atoms)} over {money(after.maintenance_atoms)}."


def as_json(story: Story, total: int, names: Names) -> dict[str, Any]:
    """The whole story in integers: atoms, ticks, lots."""
    from exchange.protocol.schema import MESSAGE_BY_NUMBER

    def told(event: Any) -> dict[str, Any]:
        return {"event": MESSAGE_BY_NUMBER[event.number].name, **plain(event)}

    return {
        "liquidation": plain(story.case),
        "of": total,
        "symbols": {
            str(number): {
                "name": units.name,
                "tick_size": str(units.tick_size),
                "lot_size": str(units.lot_size),
            }
            for number, units in names.symbols.items()
        },
        "path": [
            {**plain(point), "causes": [told(event) for event in point.causes]}
            for point in story.path
        ],
        "turns": [
            {
                "sequence": turn.sequence,
                "timestamp_ns": turn.timestamp_ns,
                "command": turn.command,
                "after": plain(turn.after),
                "pools_after_it": [
                    {"number": other.number, **plain(other.pool)} for other in turn.others
                ],
                "events": [told(event) for event in turn.events],
            }
            for turn in story.turns
        ],
        "who_paid_what": [
            {
                "part": part.value,
                "number": number,
                "change_atoms": account.change_atoms,
                "items_atoms": {item.value: atoms for item, atoms in account.items.items()},
                "lots": {str(symbol): lots for symbol, lots in account.lots.items()},
            }
            for (part, number), account in story.sums.by_who.items()
        ],
        "sum_atoms": story.sums.total_atoms,
        "proven_turns": story.sums.proven_turns,
    }
