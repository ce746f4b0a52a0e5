"""``exchange top``: the screen, the keys, and one frame for pipes."""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from exchange.client.endpoints import DEFAULT_ORDERS
from exchange.errors import ExchangeError
from exchange.keys import read_client_keys
from exchange.ops.top.watch import Watch

if TYPE_CHECKING:
    from rich.console import Console

ENDS = set(b"qQ")
ONCE_BETWEEN_S = 0.5  # between the two looks that rates are made of


class TopError(ExchangeError):
    """The view cannot be shown."""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="exchange top", description="A running node in a terminal; q or Ctrl-C ends it."
    )
    parser.add_argument("--endpoint", default=DEFAULT_ORDERS, help="orders door of the node")
    parser.add_argument(
        "--admin",
        help="operator's door, for sessions and journal lag; without it the one that the node names, if that is "
        'on this machine; "none": not asked',
    )
    parser.add_argument("--keys", type=Path, help="key file, where the node has keys")
    parser.add_argument("--admin-keys", type=Path, help="key file of an operator, for its door")
    parser.add_argument(
        "--symbol", action="append", default=[], metavar="NAME", help="only this one; several times"
    )
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two looks")
    parser.add_argument("--once", action="store_true", help="print one frame and end")
    return parser


def main(argv: Sequence[str]) -> int:
    """Shows the node until a key ends it; exit code 1 if ``--once`` finds nobody."""
    options = build_parser().parse_args(argv)
    try:
        from rich.console import Console
    except ImportError:
        raise TopError(
            "exchange top needs rich, which is not installed: pip install 'perpetual-exchange[ops]'"
        ) from None
    if not 0.1 <= options.interval <= 3600:
        raise TopError(f"--interval is {options.interval:g}; wanted 0.1 .. 3600 seconds")
    console = Console(highlight=False)
    admin = "" if options.admin == "none" else options.admin
    watch = Watch(
        options.endpoint,
        admin,
        only=options.symbol,
        shown=8,
        depth=60,
        keys=read_client_keys(options.keys),
        admin_keys=read_client_keys(options.admin_keys),
    )
    try:
        return (
            print_once(watch, console) if options.once else follow(watch, console, options.interval)
        )
    finally:
        watch.close()


def print_once(watch: Watch, console: Console) -> int:
    from rich.console import Group

    from exchange.ops.top.frame import frame

    there = watch.look()
    if there:
        time.sleep(ONCE_BETWEEN_S)
        there = watch.look()
    height = console.height if console.is_terminal else 24
    console.print(Group(*frame(watch.picture, console.width, height - 1)))
    return 0 if there else 1


def follow(watch: Watch, console: Console, interval_s: float) -> int:
    """Draws a frame for each look, until it is ended."""
    from rich.console import Group
    from rich.live import Live

    from exchange.ops.top.frame import frame

    # A shell has what it starts in the background ignore Ctrl-C, and so do all that this starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def draw() -> Group:
        return Group(*frame(watch.picture, console.width, console.height))

    with (
        single_keys(sys.stdin) as keys,
        Live(console=console, screen=True, auto_refresh=False, get_renderable=draw) as live,
        contextlib.suppress(KeyboardInterrupt),
    ):
        while True:
            looked_s = time.monotonic()
            watch.look()
            live.refresh()
            if keys_end_it(keys, looked_s + interval_s):
                break
    return 0


@contextlib.contextmanager
def single_keys(stdin: TextIO) -> Iterator[TextIO | None]:
    """Keys as they are pressed, without being shown; nothing where there is no keyboard."""
    if not stdin.isatty():
        yield None
        return
    import termios
    import tty

    before = termios.tcgetattr(stdin)
    try:
        tty.setcbreak(stdin)
        yield stdin
    finally:
        termios.tcsetattr(stdin, termios.TCSADRAIN, before)


def keys_end_it(keys: TextIO | None, until_s: float) -> bool:
    """Waits until then, or for a q; looks for one in any case."""
    while True:
        remaining_s = until_s - time.monotonic()
        ready, _, _ = select.select([keys] if keys else [], [], [], max(0.0, remaining_s))
        # Past the buffer of the text, which would hide from select what it has taken in already.
        if keys is not None and ready and ENDS & set(os.read(keys.fileno(), 64) or b"q"):
            return True
        if remaining_s <= 0:
            return False
