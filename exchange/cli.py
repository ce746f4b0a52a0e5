"""The command line: ``exchange COMMAND``; ``exchange --help`` lists them.

What a command needs is imported when it is called, so that ``exchange --help`` answers at once.  An error of the
exchange is one line on standard error and exit code 2; a check that failed (a replay that differs, a scenario, damage
in a journal) is exit code 1.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exchange.errors import ExchangeError

if TYPE_CHECKING:
    from exchange.config import Config
    from exchange.ops.log import Log

OK, FAILED, ERROR = 0, 1, 2

#: Commands with a command line of their own: name -> (module whose main(argv) runs, what it does).
PASSED_ON = {
    "demo": (
        "exchange.sim.demo",
        "a real crash day with bots on a real node: a table and a picture",
    ),
    "explain": (
        "exchange.explain.command_line",
        "why a liquidation went as it did, and every change of an account's money",
    ),
    "funds": (
        "exchange.fund_totals",
        "what each insurance fund paid and earned for each symbol, from a journal",
    ),
    "fuzz": ("exchange.fuzz", "random commands through both engines until they differ"),
    "keys": (
        "exchange.keys_command",
        "makes, lists and takes out the keys that clients come with",
    ),
    "margin": (
        "exchange.calculator",
        "what a position needs and where it is liquidated: the calculator, or a running node asked",
    ),
    "replay-l3": (
        "exchange.flow",
        "recorded order flow of a real venue through the engine, compared with what that venue recorded",
    ),
    "verify": (
        "exchange.verify",
        "whether two builds make the same of a journal, and the first command at which they do not",
    ),
    "compact": (
        "exchange.compact",
        "move what no recovery needs any more out of a journal",
    ),
    "digests": (
        "exchange.digests",
        "digests of a journal at chosen commands: what `verify` asks a build for",
    ),
    "top": ("exchange.ops.top.command_line", "a running node in a terminal: books, rates, funds"),
    "bench": ("exchange.bench", "a workload through the core, or orders over ZeroMQ, timed"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments and arguments[0] in PASSED_ON:
            module, _ = PASSED_ON[arguments[0]]
            return int(importlib.import_module(module).main(arguments[1:]))
        options = build_parser().parse_args(arguments)
        run: Callable[[argparse.Namespace], int] = options.run
        return run(options)
    except (ExchangeError, OSError) as error:
        print(f"exchange: {error}", file=sys.stderr)
        return ERROR
    except KeyboardInterrupt:
        return ERROR


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="exchange", description="A perpetual-futures exchange.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add_serve(commands.add_parser("serve", help="run a node: orders and market data over ZeroMQ"))
    add_replay(
        commands.add_parser("replay", help="replay a journal: its digest and what happened in it")
    )
    add_audit(
        commands.add_parser("audit", help="every invariant of a journal, from its events alone")
    )
    add_inspect(
        commands.add_parser("inspect", help="the segments of a journal, and damage in them")
    )
    add_scenario(commands.add_parser("scenario", help="run scenario files"))
    for name, (_, prose) in PASSED_ON.items():
        commands.add_parser(name, help=prose, add_help=False)
    return parser


# ------------------------------------------------------------------------------------------------- serve


def add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, help="TOML file; without it the defaults hold")
    parser.add_argument("--data", type=Path, help="folder for journal and snapshots")
    parser.add_argument(
        "--durability", choices=("always", "interval", "off"), help="when replies may leave"
    )
    parser.add_argument("--engine", choices=("native", "reference"))
    parser.add_argument(
        "--print-config", action="store_true", help="print the default configuration and stop"
    )
    parser.set_defaults(run=serve)


def serve(options: argparse.Namespace) -> int:
    """Runs a node until SIGTERM or SIGINT: it drains, and at a second one ends.  Nothing acknowledged is lost."""
    from exchange.config import default_text, load_config, override
    from exchange.gateway.security.sockets import raise_file_limit
    from exchange.ops.log import open_log

    if options.print_config:
        print(default_text(), end="")
        return OK
    config = override(load_config(options.config), options.data, options.durability, options.engine)
    raise_file_limit()
    log = open_log(config.logging)
    try:
        return run_node(config, log)
    finally:
        log.close()


def run_node(config: Config, log: Log) -> int:
    from exchange.node import Node

    node = Node(config, log)
    signal.signal(signal.SIGHUP, lambda *_: node.ask_to_reload_keys())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: node.interrupt())
    signal.set_wakeup_fd(node.server.wake_fileno, warn_on_full_buffer=False)
    # What lives now lives to the end: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    print(f"exchange ready: {node.summary()}", flush=True)
    node.run()
    signal.set_wakeup_fd(-1)
    return OK


def say(text: str) -> None:
    print(f"exchange: {text}", file=sys.stderr, flush=True)


# ------------------------------------------------------------------------------------- replay and inspect


def add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "journal",
        type=Path,
        help="folder of a journal, or a node's data folder; for --with also a scenario file",
    )
    parser.add_argument(
        "--verify", action="store_true", help="run the reference engine and the auditor beside it"
    )
    parser.add_argument("--engine", choices=("native", "reference"), default="native")
    parser.add_argument("--json", action="store_true", help="the summary as one line of JSON")
    add_counterfactual(parser)
    parser.set_defaults(run=replay)


def add_counterfactual(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "under another policy, beside the journal's own (docs/counterfactuals.md)"
    )
    group.add_argument(
        "--with",
        dest="policy",
        type=Path,
        action="append",
        default=[],
        metavar="POLICY.toml",
        help="run the same commands under this policy too, and print the outcomes side by side; "
        "several times for several policies",
    )
    group.add_argument("--plot", type=Path, metavar="FILE", help="draw both (.png or .svg)")
    group.add_argument(
        "--top", type=int, default=5, help="accounts named that gained and lost most (default 5)"
    )
    group.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="write the journal of the changed world, for `exchange explain` and `audit`",
    )


def replay(options: argparse.Namespace) -> int:
    """Prints what happened in a journal, or that beside what another policy would have made of it."""
    from exchange.replay import ReplayDiffers, as_json, replay_journal

    try:
        if options.policy:
            from exchange.counterfactual.command_line import compare

            print(compare(options, say))
            return OK
        if options.plot is not None or options.keep is not None:
            raise ExchangeError("--plot and --keep want --with POLICY.toml beside them")
        summary = replay_journal(
            options.journal, engine_kind=options.engine, verify=options.verify, say=say
        )
    except ReplayDiffers as error:
        print(f"exchange: {error}", file=sys.stderr)
        return FAILED
    print(as_json(summary) if options.json else summary.as_text())
    return OK


def add_audit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("journal", type=Path, help="folder of a journal, or a node's data folder")
    parser.add_argument("--engine", choices=("native", "reference"), default="native")
    parser.add_argument("--json", action="store_true", help="the report as one line of JSON")
    parser.set_defaults(run=audit)


def audit(options: argparse.Namespace) -> int:
    """Prints what the auditor found; exit code 1 if it found anything."""
    from exchange.audit_journal import as_json, audit_journal

    report = audit_journal(options.journal, engine_kind=options.engine, say=say)
    print(as_json(report) if options.json else report.as_text())
    return OK if report.passed else FAILED


def add_inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("journal", type=Path, help="folder of a journal, or a node's data folder")
    parser.set_defaults(run=inspect)


def inspect(options: argparse.Namespace) -> int:
    """Prints what every segment holds; exit code 1 if commands that were durable cannot be read."""
    from exchange.recovery import journal_folder
    from exchange.segments import JournalDamaged, scan
    from exchange.segments import inspect as inspect_journal

    folder = journal_folder(options.journal)
    print(
        f"{'segment':<30} {'first':>12} {'last':>12} {'frames':>9} {'used':>13} {'size':>13}  problem"
    )
    for segment in inspect_journal(folder):
        last = segment.next_sequence - 1
        print(
            f"{segment.path.name:<30} {segment.first_sequence:>12} {last:>12} {segment.frame_count:>9} "
            f"{segment.used_bytes:>13} {segment.file_bytes:>13}  {segment.problem or '-'}"
        )
    try:
        for _ in scan(folder):
            pass
    except JournalDamaged as error:
        print(f"damaged: {error}")
        return FAILED
    print("whole: every command that was durable can be read")
    return OK


# ---------------------------------------------------------------------------------------------- scenario


def add_scenario(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    run = actions.add_parser("run", help="run scenario files and print each expectation that fails")
    run.add_argument("files", nargs="+", type=Path, metavar="FILE")
    run.add_argument("--engine", choices=("native", "reference"), default="native")
    run.add_argument("--json", action="store_true")
    run.set_defaults(run=run_scenarios)


def run_scenarios(options: argparse.Namespace) -> int:
    from exchange.sim.scenario import main_run

    return int(main_run(options.files, options.engine, options.json))
