"""The demonstration: a real crash day on a real node, a table, a picture, and proof that the books are right.

A node runs in its own process on ports that the system chose; simulated traders reach it over ZeroMQ.  When the day is
over the node is stopped and its journal is all that counts: it is replayed here, audited, measured and drawn.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from exchange.audit import Auditor, differences
from exchange.config import load_config
from exchange.engine import create_engine
from exchange.errors import ExchangeError
from exchange.recovery import journal_folder
from exchange.replay import ReplayDiffers, replay_journal
from exchange.segments import scan
from exchange.sim.market import LEVERAGED, Setup, demo_policy, run_market
from exchange.sim.measure import Run, measure
from exchange.sim.paths import CORNERS, DAYS, MarkPoint, choose_bars, mark_path
from exchange.sim.report import Check, Report, as_text, make_report, write_json
from exchange.sim.venue import NodeVenue

#: What the node of the demonstration is told: no symbols, since the operator lists one, and ports that are free.
NODE_CONFIG = """\
symbols = []
[endpoints]
orders = "tcp://127.0.0.1:*"
market_data = "tcp://127.0.0.1:*"
admin = "tcp://127.0.0.1:*"
[journal]
durability = "interval"
"""
STOP_TIMEOUT_S = 60.0
QUICK_ACCOUNTS = 200
NEEDED = {"matplotlib": "to draw the picture", "tqdm": "to show how far it is"}


class DemoError(ExchangeError):
    """The demonstration cannot run: something is not installed, or the node did not start."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is going to be played."""

    day: str
    setup: Setup
    path: list[MarkPoint]
    calm_steps: int


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """What the node said at the end, and who traded on it."""

    digest: str
    accounts: int
    seconds: float
    clean_stop: bool


def main(argv: Sequence[str]) -> int:
    """Runs the demonstration; the exit code is 1 if a check fails."""
    options = parser().parse_args(argv)
    require_installed()
    plan = make_plan(options)
    options.out.mkdir(parents=True, exist_ok=True)
    with node_folder(options) as folder:
        report = run_demo(plan, folder, verify=options.verify)
    write_json(report, options.out / "report.json")
    from exchange.sim.picture import draw

    draw(report, options.out / "cascade.png")
    print(as_text(report))
    print(f"\n  picture: {options.out / 'cascade.png'}\n  numbers: {options.out / 'report.json'}")
    return 0 if report.holds else 1


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(
        prog="exchange demo",
        description="Replays a real crash day with simulated traders on a real node.",
    )
    arguments.add_argument("--day", choices=tuple(DAYS), default=next(iter(DAYS)))
    arguments.add_argument(
        "--seed", type=whole(0), default=1, help="the same seed gives the same run"
    )
    arguments.add_argument(
        "--accounts", type=whole(2), help="with leverage, half isolated, half cross (default 600)"
    )
    arguments.add_argument(
        "--marks-per-minute", type=whole(CORNERS), help=f"a multiple of {CORNERS} (default 8)"
    )
    arguments.add_argument(
        "--out", type=Path, default=Path("demo-out"), help="folder for the results"
    )
    arguments.add_argument(
        "--quick", action="store_true", help="an hour, fewer accounts, fewer marks"
    )
    arguments.add_argument(
        "--verify", action="store_true", help="let the reference engine replay the journal too"
    )
    arguments.add_argument(
        "--keep-journal", action="store_true", help="leave the node's data in OUT/node"
    )
    return arguments


def whole(least: int) -> Callable[[str], int]:
    """An argument that is a whole number, not below a bound."""

    def read(text: str) -> int:
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(f"wanted {least} or more, got {number}")
        return number

    return read


def require_installed() -> None:
    """Says what is missing before the work is done, not after."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise DemoError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed, needed "
            f"{' and '.join(NEEDED[name] for name in missing)}: pip install {' '.join(missing)}"
        )


def make_plan(options: argparse.Namespace) -> Plan:
    """The day, cut and walked as asked for, and the size of the market."""
    marks_per_minute = options.marks_per_minute or (CORNERS if options.quick else 2 * CORNERS)
    if marks_per_minute % CORNERS:
        raise DemoError(
            f"--marks-per-minute is {marks_per_minute}; wanted a multiple of {CORNERS}, the corners of a bar"
        )
    accounts = options.accounts or (QUICK_ACCOUNTS if options.quick else Setup().leveraged)
    bars, calm_minutes = choose_bars(DAYS[options.day], quick=options.quick)
    units = load_config().symbols[0].units
    return Plan(
        day=options.day,
        setup=Setup.sized(seed=options.seed, leveraged=accounts),
        path=mark_path(bars, units, marks_per_minute // CORNERS),
        calm_steps=calm_minutes * marks_per_minute,
    )


@contextmanager
def node_folder(options: argparse.Namespace) -> Iterator[Path]:
    """Where the node keeps its journal: a folder that is gone afterwards, unless it is to be kept."""
    if not options.keep_journal:
        with tempfile.TemporaryDirectory(prefix="exchange-demo-") as folder:
            yield Path(folder)
        return
    kept: Path = options.out / "node"
    if kept.exists():
        raise DemoError(f"{kept} is there already: remove it, or name another --out")
    kept.mkdir()
    yield kept


def run_demo(plan: Plan, folder: Path, *, verify: bool = False) -> Report:
    """Plays a plan on a node in ``folder``, then measures and checks its journal."""
    played = play(plan, folder)
    print(
        f"traded in {played.seconds:.1f} s; now the journal is replayed and audited",
        file=sys.stderr,
    )
    auditor, engine = Auditor(), create_engine("native")
    run = measure(
        (frame.commands for frame in scan(journal_folder(folder))),
        engine=engine,
        auditor=auditor,
        path=plan.path,
        watched=range(LEVERAGED, LEVERAGED + plan.setup.leveraged),
        symbol=load_config().symbols[0].symbol,
    )
    broken = [str(violation) for violation in auditor.violations] + differences(auditor, engine)
    checks = [
        Check("invariants to the atom, from the events alone", not broken, verdict(broken, run)),
        Check(
            "the journal replays to the node's state",
            run.digest == played.digest,
            f"digest {run.digest}"
            + ("" if run.digest == played.digest else f", the node said {played.digest}"),
        ),
        Check(
            "the node stopped cleanly",
            played.clean_stop,
            "exit code 0" if played.clean_stop else "it did not",
        ),
    ]
    if verify:
        checks.append(verify_journal(folder))
    return make_report(
        day=DAYS[plan.day],
        setup=plan.setup,
        accounts=played.accounts,
        node="a node over ZeroMQ",
        run=run,
        checks=checks,
    )


def verdict(broken: list[str], run: Run) -> str:
    if broken:
        return f"{len(broken)} broken, the first: {broken[0]}"
    return f"nothing broken after any of {run.sequence:,} commands"


def verify_journal(folder: Path) -> Check:
    """The second opinion: the reference engine gives the same events after every batch."""
    what = "the reference engine agrees"
    try:
        summary = replay_journal(folder, verify=True, say=lambda text: print(text, file=sys.stderr))
    except ReplayDiffers as error:
        return Check(what, False, str(error))
    return Check(what, True, f"the same events, digest {summary.digest}")


# ------------------------------------------------------------------------------------------- the node


def play(plan: Plan, folder: Path) -> Played:
    """Starts a node, trades the plan on it, and stops it."""
    from tqdm import tqdm

    policy = demo_policy(load_config().symbols[0])
    began = time.monotonic()
    with running_node(folder) as (node, endpoints):
        venue = NodeVenue(endpoints["orders"], endpoints["admin"])
        with tqdm(total=len(plan.path), desc=plan.day, unit="mark", disable=None) as bar:
            population = run_market(
                venue, policy, plan.setup, plan.path, plan.calm_steps, lambda step: bar.update()
            )
        digest = venue.digest()
        venue.close()
    return Played(
        digest=digest,
        accounts=sum(1 for _ in population.everybody()),
        seconds=time.monotonic() - began,
        clean_stop=node.returncode == 0,
    )


@contextmanager
def running_node(folder: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """`exchange serve` in its own process; stopped by SIGTERM, as an operator would."""
    config = folder / "node.toml"
    config.write_text(NODE_CONFIG)
    with (folder / "node.log").open("w+") as log:
        command = [
            sys.executable,
            "-m",
            "exchange",
            "serve",
            "--config",
            str(config),
            "--data",
            str(folder),
        ]
        node = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert node.stdout is not None, "the node's output is a pipe"
            yield node, read_endpoints(node.stdout.readline(), log)
            node.terminate()
            node.wait(STOP_TIMEOUT_S)
        finally:
            if node.poll() is None:
                node.kill()
                node.wait()
            if node.stdout is not None:
                node.stdout.close()


def read_endpoints(ready: str, log: IO[str]) -> dict[str, str]:
    """The endpoints that a node names when it is ready; what it complained of, if it is not.

    >>> read_endpoints("exchange ready: orders=tcp://127.0.0.1:4711 admin=tcp://127.0.0.1:4712", sys.stderr)
    {'orders': 'tcp://127.0.0.1:4711', 'admin': 'tcp://127.0.0.1:4712'}
    """
    words = ready.split()
    if words[:2] != ["exchange", "ready:"]:
        log.seek(0)
        raise DemoError(f"the node did not start: {log.read().strip() or 'it said nothing'}")
    return dict(word.split("=", 1) for word in words[2:] if "=" in word)
