"""Two worlds side by side, as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from exchange.counterfactual.outcome import AccountChange, Difference, Outcome, World
from exchange.counterfactual.tally import Tally
from exchange.explain.source import clock
from exchange.units import from_atoms

#: How a row is read of a world, and whether it is money.
Read = Callable[[World], int]
NAME, COLUMN = 34, 19
WIDEST = 40  # of a value that stands beside another
MOST_REASONS = 12
MOST_EXAMPLES = 5


def as_text(outcome: Outcome, policy: str) -> str:
    """The whole comparison; ``policy`` is the file that it was made with."""
    parts = [
        "\n".join(heading(outcome, policy)),
        "\n".join(table(outcome)),
        "\n".join(refused(outcome)),
        "\n".join(accounts(outcome)),
        "\n".join(parting(outcome)),
        "\n".join(proofs(outcome)),
    ]
    return "\n\n".join(part for part in parts if part)


def heading(outcome: Outcome, policy: str) -> Iterator[str]:
    yield f"{outcome.own.sequence:,} commands in two worlds: as it was, and with {policy}"
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
        (outcome.left_out, "left out"),
    ]
    told = ", ".join(f"{count:,} {what}" for count, what in parts if count)
    if told:
        yield f"  commands: {told}"


# --------------------------------------------------------------------------------------------------- the table


def table(outcome: Outcome) -> Iterator[str]:
    yield row("", "as it was", "changed", "difference")
    for title, rows in sections(outcome):
        shown = [
            line
            for name, read, is_money in rows
            if (line := line_of(outcome, name, read, is_money))
        ]
        if shown:
            yield title
            yield from shown


def line_of(outcome: Outcome, name: str, read: Read, is_money: bool) -> str:
    own, changed = read(outcome.own), read(outcome.changed)
    if not own and not changed:
        return ""
    write = money if is_money else count
    gap = changed - own
    sign = "+" if gap > 0 else ""
    return row(f"  {name}", write(own), write(changed), sign + write(gap) if gap else "")


def row(name: str, *cells: str) -> str:
    return (f"{name:<{NAME}}" + "".join(f"{cell:>{COLUMN}}" for cell in cells)).rstrip()


def sections(outcome: Outcome) -> Iterator[tuple[str, list[tuple[str, Read, bool]]]]:
    """The rows by section: name, how it is read, whether it is money."""
    yield (
        "market",
        [
            ("trades", of(lambda t: t.trades), False),
            ("volume", of(lambda t: t.volume_atoms), True),
            ("trading fees", lambda world: world.fees_atoms, True),
            ("commands refused", of(lambda t: t.rejected), False),
            ("orders that could not be paid", cancelled("insufficient_margin"), False),
        ],
    )
    yield (
        "liquidations",
        [
            ("cross pools", of(lambda t: t.liquidations_cross), False),
            ("isolated pools", of(lambda t: t.liquidations_isolated), False),
            ("left with nothing", of(lambda t: t.ended_whole), False),
            ("healthy again", of(lambda t: t.ended_in_part), False),
            ("pools bankrupt", of(lambda t: t.below_zero), False),
            ("closing fills", of(lambda t: t.book_fills), False),
            ("closed through the book", of(lambda t: t.book_atoms), True),
            *lost_positions(outcome),
        ],
    )
    yield "insurance funds", list(fund_rows(outcome))
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


def of(read: Callable[[Tally], int]) -> Read:
    return lambda world: read(world.tally)


def cancelled(reason: str) -> Read:
    return lambda world: world.tally.cancelled.get(reason, 0)


def lost_positions(outcome: Outcome) -> Iterator[tuple[str, Read, bool]]:
    """Positions that the exchange closed to the last lot, by symbol."""
    for symbol in sorted({*outcome.own.tally.closed, *outcome.changed.tally.closed}):
        name = outcome.names.get(symbol, str(symbol))

        def positions(world: World, symbol: int = symbol) -> int:
            closed = world.tally.closed.get(symbol)
            return closed.positions if closed is not None else 0

        yield f"positions lost in {name}", positions, False


def fund_rows(outcome: Outcome) -> Iterator[tuple[str, Read, bool]]:
    """Every cause by which the funds moved, then what is left; of each fund, if there are several."""
    for cause in dict.fromkeys(
        (*outcome.own.tally.fund_by_cause, *outcome.changed.tally.fund_by_cause)
    ):

        def moved(world: World, cause: str = cause) -> int:
            return world.tally.fund_by_cause.get(cause, 0)

        yield CAUSES.get(cause, cause.replace("_", " ")), moved, True
    funds = sorted({*outcome.own.tally.fund_end, *outcome.changed.tally.fund_end})
    for fund in funds:
        name = "" if len(funds) == 1 else f" of {outcome.fund_names.get(fund, f'fund {fund}')}"

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
            f"{lost.named_nothing:,} cancels and amends named one that the changed world has not"
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


def proofs(outcome: Outcome) -> Iterator[str]:
    own, changed = outcome.own, outcome.changed
    seen = f", as {outcome.snapshots} snapshots of the node say" if outcome.snapshots else ""
    yield f"digest as it was {own.digest} after command {own.sequence}{seen}"
    yield f"digest changed   {changed.digest} after command {changed.sequence}"
    if outcome.verified:
        yield "verified: in both worlds both engines gave the same events, every invariant holds"


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
