"""``exchange replay-l3``: recorded order flow through the engine, compared with the recorded book and makers."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from exchange.engine import ENGINE_KINDS
from exchange.protocol.schema import MAX_ACCOUNT

PROSE = """Feeds a recorded command stream through an engine with unlimited credit, and says how much of
the record comes out again: every level of every row of the book file, and the makers of every execution.
Exit code 1: a row or an execution that has to be the same is not."""


def main(argv: list[str]) -> int:
    """Runs the command and returns the exit code."""
    from exchange.flow.replay import Options, replay_recording

    arguments = build_parser().parse_args(argv)
    if arguments.passes is None:
        arguments.passes = 5 if arguments.engine == "native" else 1
    options = Options(
        engine=arguments.engine,
        margin=arguments.margin == "on",
        accounts=arguments.accounts,
        passes=arguments.passes,
        batch=arguments.batch,
        open_at_ns=arguments.open_at_ns,
        auction=arguments.auction,
    )
    say = (lambda text: None) if arguments.quiet else tell
    report = replay_recording(arguments.commands, arguments.orderbook, options, say)
    print(report.as_json() if arguments.json else report.as_text())
    return 0 if report.is_as_recorded else 1


def tell(text: str) -> None:
    print(f"exchange: {text}", file=sys.stderr, flush=True)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="exchange replay-l3", description=PROSE)
    parser.add_argument(
        "commands",
        type=Path,
        help="command stream (LOBSTER or CME columns) or order events (Bitstamp), .csv or .csv.gz",
    )
    parser.add_argument("--orderbook", type=Path, help="the book after each row, to compare with")
    parser.add_argument("--json", action="store_true", help="the report as one line of JSON")
    parser.add_argument("--engine", choices=ENGINE_KINDS, default="native")
    parser.add_argument(
        "--margin",
        choices=("on", "off"),
        default="on",
        help="off: the native engine matches alone, without balances and fees",
    )
    parser.add_argument(
        "--accounts",
        type=account_count,
        default=64,
        help="accounts that share the orders, an even number; 0: one for each order (default 64)",
    )
    parser.add_argument(
        "--open-at-ns",
        type=int,
        help="orders up to and including this time are collected without matching (default: detected)",
    )
    parser.add_argument(
        "--auction",
        action="store_true",
        help="let the engine's own auction trade at the opening, and compare it with the recorded one",
    )
    parser.add_argument(
        "--passes", type=count, help="timed passes on fresh engines (default 5; reference engine 1)"
    )
    parser.add_argument(
        "--batch", type=at_least_one, default=256, help="commands in one timed call"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    return parser


def count(text: str) -> int:
    return bounded(text, 0, "0 or more")


def at_least_one(text: str) -> int:
    return bounded(text, 1, "1 or more")


def account_count(text: str) -> int:
    number = bounded(text, 0, f"an even number up to {MAX_ACCOUNT - 1}")
    if number % 2 or number >= MAX_ACCOUNT:
        raise argparse.ArgumentTypeError(
            f"wanted an even number up to {MAX_ACCOUNT - 1} (buyers and sellers are apart), came {text}"
        )
    return number


def bounded(text: str, least: int, wanted: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"wanted {wanted}, came {text!r}")
    return number
