"""Worlds side by side, as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from exchange.counterfactual.outcome import AccountChange, Difference, Outcome, World
from exchange.counterfactual.tally import Tally
from exchange.explain.source import clock
from exchange.units import from_atoms

OWN, CHANGED = "as it was", "changed"
#: How a row is read of a world, and whether it is money.
Read = Callable[[World], int]
NAME, COLUMN = 34, 19
WIDEST = 40  # of a value that stands beside another
MOST_REASONS = 12
MOST_EXAMPLES = 5


def as_text(outcomes: Sequence[Outcome]) -> str:
    """The whole comparison: one table of all worlds, then each changed one by itself."""
    (first, *others) = outcomes
    parts = [f"{first.own.sequence:,} commands, as it was and {named(outcomes)}"]
    if not others:
        parts[0] += "\n" + "\n".join(heading(first))
    parts.append("\n".join(table(outcomes)))
    for outcome in outcomes:
        sections = (refused, accounts, parting)
        told = ["\n".join(section(outcome)) for section in sections]
        if others:
            told.insert(0, "\n".join((f"== {outcome.policy}", *heading(outcome))))
        parts += told
    parts.append("\n".join(proofs(outcomes)))
    return "\n\n".join(part for part in parts if part)


def named(outcomes: Sequence[Outcome]) -> str:
    """The changed worlds by name."""
    (first, *others) = outcomes
    return f"under {first.policy}" if not others else f"under {len(outcomes)} other policies"


def heading(outcome: Outcome) -> Iterator[str]:
    """What is changed, in the file and in the commands."""
    if not outcome.changes:
        yield "  nothing is changed"
    where = max((len(change.where) for change in outcome.changes), default=0)
    key = max((len(change.key) for change in outcome.changes), default=0)
    for change in outcome.changes:
        head = f"  {change.where:<{where}}  {change.key:<{key}}"
        if len(change.was) + len(change.now) > 2 * WIDEST:
            yield f"{head}  {change.was}"
            yield f"{'':<{len(head)}}  -> {change.now}"
        else:
            yield f"{head}  {change.was} -> {change.now}"
    parts = [
        (outcome.rewritten, "changed by it"),
        (outcome.put_in, "put in"),
        (outcome.put_in_refused, "of them refused"),
        (outcome.left_out, "left out"),
    ]
    told = ", ".join(f"{count:,} {what}" for count, what in parts if count)
    if told:
        yield f"  commands: {told}"


# --------------------------------------------------------------------------------------------------- the table


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """All worlds beside each other; of two their difference, too."""
    names = [CHANGED] if len(outcomes) == 1 else [short(o.policy) for o in outcomes]
    yield row("", OWN, *names, *(["difference"] if len(outcomes) == 1 else []))
    for title, rows in sections(outcomes):
        shown = [
            line
            for name, read, is_money in rows
            if (line := line_of(outcomes, name, read, is_money))
        ]
        if shown:
            yield title
            yield from shown


def line_of(outcomes: Sequence[Outcome], name: str, read: Read, is_money: bool) -> str:
    """One row; empty where every world has nothing."""
    values = [read(outcomes[0].own), *(read(outcome.changed) for outcome in outcomes)]
    if not any(values):
        return ""
    write = money if is_money else count
    cells = [write(value) for value in values]
    if len(outcomes) == 1:
        gap = values[1] - values[0]
        cells.append(("+" if gap > 0 else "") + write(gap) if gap else "")
    return row(f"  {name}", *cells)


def row(name: str, *cells: str) -> str:
    return (f"{name:<{NAME}}" + "".join(f"{cell:>{COLUMN}}" for cell in cells)).rstrip()


def short(name: str) -> str:
    """A name that fits a column."""
    return name if len(name) < COLUMN - 1 else f"{name[: COLUMN - 4]}.."


def sections(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[tuple[str, Read, bool]]]]:
    """The rows by section: name, how it is read, whether it is money."""
    yield (
        "market",
        [
            ("trades", of(lambda t: t.trades), False),
            ("volume", of(lambda t: t.volume_atoms), True),
            ("trading fees", lambda world: world.fees_atoms, True),
            ("commands refused", of(lambda t: t.rejected), False),
            ("withdrawals refused", of(lambda t: t.withdrawals_refused), False),
            ("orders that could not be paid", cancelled("insufficient_margin"), False),
        ],
    )
    yield (
        "liquidations",
        [
            ("warnings of margin", of(lambda t: t.warnings), False),
            ("cross pools", of(lambda t: t.liquidations_cross), False),
            ("isolated pools", of(lambda t: t.liquidations_isolated), False),
            ("left with nothing", of(lambda t: t.ended_whole), False),
            ("healthy again", of(lambda t: t.ended_in_part), False),
            ("pools bankrupt", of(lambda t: t.below_zero), False),
            ("closing fills", of(lambda t: t.book_fills), False),
            ("closed through the book", of(lambda t: t.book_atoms), True),
            *lost_positions(outcomes),
        ],
    )
    yield "insurance funds", list(fund_rows(outcomes))
    yield (
        "auto-deleveraging",
        [
            ("fills", of(lambda t: t.adl_fills), False),
            ("closed against the other side", of(lambda t: t.adl_atoms), True),
            ("what that cost the other side", of(lambda t: t.adl_haircut_atoms), True),
            ("accounts deleveraged", of(lambda t: t.adl_accounts), False),
            ("accounts that gave", of(lambda t: t.adl_counterparties), False),
        ],
    )
    yield (
        "deficits that nobody covers",
        [
            ("arose", of(lambda t: t.uncovered), False),
            ("open at the end", of(lambda t: t.uncovered_atoms), True),
        ],
    )
    yield (
        "accounts",
        [
            ("liquidated", lambda world: world.accounts_liquidated, False),
            ("lost half of what they brought", lambda world: world.accounts_lost_half, False),
            ("lost all of it, or more", lambda world: world.accounts_lost_all, False),
        ],
    )


def of(read: Callable[[Tally], int]) -> Read:
    return lambda world: read(world.tally)


def cancelled(reason: str) -> Read:
    return lambda world: world.tally.cancelled.get(reason, 0)


def tallies(outcomes: Sequence[Outcome]) -> list[Tally]:
    return [outcomes[0].own.tally, *(outcome.changed.tally for outcome in outcomes)]


def lost_positions(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, Read, bool]]:
    """Positions that the exchange closed to the last lot, by symbol."""
    for symbol in sorted({symbol for tally in tallies(outcomes) for symbol in tally.closed}):
        name = outcomes[0].names.get(symbol, str(symbol))

        def positions(world: World, symbol: int = symbol) -> int:
            closed = world.tally.closed.get(symbol)
            return closed.positions if closed is not None else 0

        yield f"positions lost in {name}", positions, False


def fund_rows(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, Read, bool]]:
    """Every cause by which the funds moved, then what is left; of each fund, if there are several."""
    for cause in dict.fromkeys(c for tally in tallies(outcomes) for c in tally.fund_by_cause):

        def moved(world: World, cause: str = cause) -> int:
            return world.tally.fund_by_cause.get(cause, 0)

        yield CAUSES.get(cause, cause.replace("_", " ")), moved, True
    funds = sorted({fund for tally in tallies(outcomes) for fund in tally.fund_end})
    names = outcomes[0].fund_names
    for fund in funds:
        name = "" if len(funds) == 1 else f" of {names.get(fund, f'fund {fund}')}"

        def lowest(world: World, fund: int = fund) -> int:
            return world.tally.fund_lowest.get(fund, 0)

        def end(world: World, fund: int = fund) -> int:
            return world.tally.fund_end.get(fund, 0)

        yield f"lowest balance{name}", lowest, True
        yield f"balance at the end{name}", end, True


CAUSES = {
    "deposit": "paid in by the operator",
    "liquidation_fee": "liquidation fees",
    "liquidation_deficit": "paid for closings below bankruptcy",
    "deficit_cover": "paid for deficits",
    "funding_residue": "rest of funding",
}


# ------------------------------------------------------------------------------------- who was refused what


def refused(outcome: Outcome) -> Iterator[str]:
    only_own, only_changed = (
        outcome.refused(own=True, changed=False),
        outcome.refused(own=False, changed=True),
    )
    both = outcome.refused(own=True, changed=True)
    if not (only_own or only_changed or both):
        return
    yield (
        f"refused: {only_own:,} as it was alone, {only_changed:,} in the changed world alone, "
        f"{both:,} in both"
    )
    rows = [r for r in outcome.refusals if r.own != r.changed]
    if rows:
        yield f"  {'command':<24}{'as it was':<30}{'changed':<30}{'count':>8}"
    for r in rows[:MOST_REASONS]:
        yield f"  {r.command:<24}{r.own or 'taken':<30}{r.changed or 'taken':<30}{r.count:>8,}"
    if len(rows) > MOST_REASONS:
        yield f"  and {len(rows) - MOST_REASONS} kinds more (--json has all)"
    for example in outcome.examples[:MOST_EXAMPLES]:
        who = account_name(outcome, example.account)
        yield (
            f"  command {example.sequence} ({example.command}) of {who}: "
            f"{example.own or 'taken'} -> {example.changed or 'taken'}"
        )
    lost = outcome.orders
    if lost.only_own or lost.only_changed or lost.named_nothing:
        yield (
            f"  orders in one world alone: {lost.only_own:,} as it was, {lost.only_changed:,} changed; "
            f"{lost.named_nothing:,} cancels and amends named one that the changed world never took"
        )


# ------------------------------------------------------------------------------------------------- accounts


def account_name(outcome: Outcome, account: int) -> str:
    if account == 0:
        return "the operator"
    return outcome.account_names.get(account, f"account {account}")


def accounts(outcome: Outcome) -> Iterator[str]:
    found = outcome.accounts
    yield (
        f"accounts: {found.better:,} better by {money(found.better_atoms)} together, "
        f"{found.worse:,} worse by {money(found.worse_atoms)}, {found.same:,} the same"
    )
    if not (found.gained_most or found.lost_most):
        return
    yield f"  {'what each made or lost':<26}{'as it was':>19}{'changed':>19}{'difference':>19}  liquidated"
    for change in found.gained_most:
        yield account_line(outcome, change)
    if found.gained_most and found.lost_most:
        yield "  ..."
    for change in reversed(found.lost_most):
        yield account_line(outcome, change)


def account_line(outcome: Outcome, change: AccountChange) -> str:
    gain = change.gain_atoms
    times = f"{change.own.liquidations} -> {change.changed.liquidations}"
    return (
        f"  {account_name(outcome, change.account):<26}{money(change.own.result_atoms):>19}"
        f"{money(change.changed.result_atoms):>19}{('+' if gain > 0 else '') + money(gain):>19}  {times}"
    )


# ------------------------------------------------------------------------------------------ where they part


def parting(outcome: Outcome) -> Iterator[str]:
    if outcome.identical:
        yield "the two worlds are the same: every event, and the state at the end"
        return
    if outcome.first is None:
        yield "no command that both worlds were sent had another outcome; the states differ by the policy"
        return
    yield from part("the first command of which something else came", outcome.first, outcome)
    if outcome.first_felt is not None and outcome.first_felt != outcome.first:
        yield from part("the first that an account feels", outcome.first_felt, outcome)
    elif outcome.first_felt is None:
        yield "no account feels any of it"


def part(title: str, difference: Difference, outcome: Outcome) -> Iterator[str]:
    who = account_name(outcome, difference.account)
    yield (
        f"{title}: command {difference.sequence} ({difference.command} of {who}), "
        f"{clock(difference.timestamp_ns)}"
    )
    yield f"  as it was: {difference.own}"
    yield f"  changed:   {difference.changed}"


def proofs(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The digests, and what has looked at the worlds beside the engine."""
    own = outcomes[0].own
    seen = (
        f", as the node's snapshots say ({outcomes[0].snapshots})" if outcomes[0].snapshots else ""
    )
    width = max(len(OWN), *(len(outcome.policy) for outcome in outcomes))
    yield f"digest {OWN:<{width}} {own.digest} after command {own.sequence}{seen}"
    for outcome in outcomes:
        changed = outcome.changed
        yield f"digest {outcome.policy:<{width}} {changed.digest} after command {changed.sequence}"
    if outcomes[0].verified:
        yield "verified: in every world both engines gave the same events, every invariant holds"


# -------------------------------------------------------------------------------------------------- numbers


def count(number: int) -> str:
    return f"{number:,}"


def money(atoms: int) -> str:
    """Money to the hundredth of a unit; smaller amounts whole, so that nothing looks like nothing.

    >>> money(123_456_789_000), money(-1), money(0)
    ('1,234.57', '-0.00000001', '0')
    """
    if 0 < abs(atoms) < 1_000_000:
        return f"{from_atoms(atoms):f}"
    text = f"{from_atoms(atoms):,.2f}"
    return text.rstrip("0").rstrip(".") if text.endswith(".00") else text
