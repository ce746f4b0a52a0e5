"""``exchange bench gateway``: the way of an order over ZeroMQ, measured beside a bare libzmq echo in the same run.

Theory of operation.  A node and an echo that does nothing (native/echo.pyx) have the same clients, which send the same
bytes and are answered with as many; so what differs is what the exchange costs.  Orders are sent by a generator
in a process of its own (native/load.pyx): at fixed rates, each latency counted from the moment at which the order was
to be sent, whatever held it up; one after the other; and with so many under way that the server is always busy.  In
each round the exchange has its turn and the echo has its turn, and a ratio is the median of the rounds'.

    plan        what is measured, as a table
    orders      the messages that are sent
    worker      the processes: node, echo, load, listeners
    processes   starting, asking and stopping them
    measuring   the turns
    answers     whether what came back was right
    histograms, report, pictures
    soak        a steady rate for long: is anything lost, does anything grow
    ledger      traders (writer) and node killed with -9 under load: what was acknowledged is there, once
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from exchange.errors import ExchangeError

KILLED_WRITERS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``exchange bench gateway``."""
    parser.add_argument("--quick", action="store_true", help="everything, short: about a minute")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--markdown", action="store_true", help="the table of a page")
    parser.add_argument("--out", type=Path, metavar="DIR", help="draw the curves into this folder")
    parser.add_argument(
        "--only",
        default="",
        metavar="NAMES",
        help="settings whose names contain one of these words",
    )
    parser.add_argument(
        "--seconds", type=float, help="of one load in one round (default 1, quick 0.25)"
    )
    parser.add_argument("--rounds", type=int, help="turns of each load (default 3, quick 1)")
    parser.add_argument(
        "--soak",
        type=float,
        metavar="SECONDS",
        help="a steady rate for so long, in place of the table",
    )
    parser.add_argument(
        "--rate", type=int, help="orders a second of a soak (default: half of saturation)"
    )
    parser.add_argument(
        "--kill", type=int, metavar="ROUNDS", help="kill traders and node under load, so many times"
    )
    parser.add_argument(
        "--durability",
        choices=("always", "interval", "off"),
        help="of a soak (default interval) or of --kill (default always)",
    )
    parser.add_argument(
        "--loop",
        default="",
        help="of the node, as [node] loop of its configuration (default: as it starts)",
    )
    parser.add_argument(
        "--fifo",
        action="store_true",
        help="real-time scheduling of servers and load, where it is permitted",
    )


def run(options: argparse.Namespace) -> int:
    """The command: prints the figures; exit code 1 if an answer is wrong."""
    from exchange.bench.gateway.answers import WrongAnswer

    try:
        if options.soak is not None:
            return run_soak(options)
        return measure(options) if options.kill is None else run_kills(options)
    except WrongAnswer as error:
        print(f"wrong answer: {error}", file=sys.stderr)
        return 1


def measure(options: argparse.Namespace) -> int:
    import msgspec

    from exchange.bench.gateway import measuring, pictures, plan, report
    from exchange.bench.gateway.processes import place

    scale = plan.QUICK if options.quick else plan.FULL
    if options.only:
        scale = plan.chosen(scale, options.only.split(","))
    given = {"seconds": options.seconds, "rounds": options.rounds}
    scale = msgspec.structs.replace(scale, **{k: v for k, v in given.items() if v is not None})
    if not scale.settings:
        names = ", ".join(setting.name for setting in plan.SETTINGS)
        raise ExchangeError(f"--only {options.only}: no such setting; there are: {names}")
    placement = place(options.fifo)
    started = time.monotonic()
    results = []
    for each in scale.settings:
        setting = msgspec.structs.replace(each, loop=options.loop)
        with tempfile.TemporaryDirectory(prefix="exchange-bench-") as folder:
            results.append(measuring.measure(setting, scale, placement, Path(folder), say_progress))
    if options.json:
        print(report.as_json(results, placement))
    elif options.markdown:
        print(report.as_markdown(report.as_dict(results, placement)))
    else:
        print(report.as_text(results, placement))
        print(f"{'measured in':<20} {time.monotonic() - started:.0f} s")
    if options.out is not None:
        for path in pictures.draw(results, options.out):
            say_progress(f"drew {path}")
    return 0


def run_soak(options: argparse.Namespace) -> int:
    from exchange.bench.gateway import soak
    from exchange.bench.gateway.processes import place

    with tempfile.TemporaryDirectory(prefix="exchange-bench-") as folder:
        durability = options.durability or "interval"
        placement = place(options.fifo)
        soaked = soak.soak(
            options.soak,
            options.rate,
            durability,
            placement,
            Path(folder),
            say_progress,
            loop=options.loop,
        )
    print(as_json(soaked) if options.json else soak.as_text(soaked))
    if options.out is not None:
        say_progress(f"drew {soak.draw(soaked, options.out)}")
    return 0


def run_kills(options: argparse.Namespace) -> int:
    from exchange.bench.gateway import ledger
    from exchange.bench.gateway.processes import place

    seconds = 1.0 if options.seconds is None else options.seconds
    with tempfile.TemporaryDirectory(prefix="exchange-bench-") as folder:
        trial = ledger.Trial(
            Path(folder),
            KILLED_WRITERS,
            options.durability or "always",
            place(options.fifo),
            seed=1,
            loop=options.loop,
        )
        kills = trial.run(options.kill, seconds, say_progress)
    print(as_json(kills) if options.json else ledger.as_text(kills))
    return 0


def as_json(result: object) -> str:
    import msgspec

    return msgspec.json.encode(result).decode()


def say_progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
