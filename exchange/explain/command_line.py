"""``exchange explain``: the liquidations of a journal, one of them step by step, or an account's money."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from exchange.errors import ExchangeError
from exchange.explain.cases import Case, find_cases
from exchange.explain.follow import Story, follow
from exchange.explain.source import Names, Source, clock

PROSE = """Tells from a journal why a liquidation went as it did: how the pool came there, which orders were cancelled,
why this position, this size and this limit, what each fill brought, who bore the deficit, and who paid what, proven to
the atom.  Or every change of an account's money with what caused it."""


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns the exit code."""
    options = build_parser().parse_args(argv)
    source = Source.open(options.journal)
    if options.account is not None:
        return explain_account(source, options)
    cases = find_cases(source, tell)
    if options.liquidation is None:
        print(list_cases(source, cases, as_json=options.json))
        return 0
    case = choose(cases, options.liquidation)
    follower = follow(source, case.account, tell, until=case.last_sequence)
    story = next(
        s
        for s in follower.stories
        if s.case.first_sequence == case.first_sequence and s.case.pool == case.pool
    )
    story.case = case
    show_story(story, len(cases), follower.names, options)
    return 0


def tell(text: str) -> None:
    print(f"exchange: {text}", file=sys.stderr, flush=True)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="exchange explain", description=PROSE)
    parser.add_argument(
        "journal", type=Path, help="folder of a journal, a node's data folder, or a scenario file"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--list", action="store_true", help="all liquidations, one a line (the default)"
    )
    what.add_argument("--liquidation", type=int, metavar="N", help="one of them, step by step")
    what.add_argument("--account", metavar="A", help="every change of an account's money")
    parser.add_argument(
        "--json", action="store_true", help="everything in integers: atoms, ticks, lots"
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="with --liquidation: draws equity, maintenance and mark (.png or .svg)",
    )
    return parser


def choose(cases: Sequence[Case], number: int) -> Case:
    """The case of a number; ExchangeError names how many there are, and the nearest."""
    for case in cases:
        if case.number == number:
            return case
    if not cases:
        raise ExchangeError(f"there is no liquidation {number}: the journal has none")
    nearest = sorted(cases, key=lambda case: abs(case.number - number))[:3]
    named = ", ".join(
        f"{case.number} (account {case.account}, {clock(case.started_ns)})"
        for case in sorted(nearest, key=lambda case: case.number)
    )
    raise ExchangeError(
        f"there is no liquidation {number}: there are {len(cases)}, the nearest are {named}"
    )


def list_cases(source: Source, cases: Sequence[Case], *, as_json: bool) -> str:
    from exchange.explain.words import tell_cases

    if as_json:
        return msgspec.json.encode(cases).decode()
    names = Names(source)
    if cases:  # names of symbols are read from the engine at the end
        for engine, step in source.replay(lambda text: None):
            if step.sequence == max(case.first_sequence for case in cases):
                names.learn(engine)
                break
    return tell_cases(cases, names)


def show_story(story: Story, total: int, names: Names, options: argparse.Namespace) -> None:
    from exchange.explain.words import as_json, tell_story

    if options.plot is not None:
        from exchange.explain.picture import draw

        draw(story, names, options.plot)
        tell(f"drawn: {options.plot}")
    if options.json:
        print(msgspec.json.encode(as_json(story, total, names)).decode())
    else:
        print(tell_story(story, total, names))


def explain_account(source: Source, options: argparse.Namespace) -> int:
    from exchange.explain.trail import tell_trail, trail_json

    if options.plot is not None:
        raise ExchangeError("--plot draws a liquidation; wanted --liquidation N with it")
    account = source.account_number(options.account)
    follower = follow(source, account, tell)
    if not follower.rows:
        raise ExchangeError(f"account {account}: nothing in this journal ever moved its money")
    if options.json:
        print(msgspec.json.encode(trail_json(follower)).decode())
    else:
        print(tell_trail(follower))
    return 0
