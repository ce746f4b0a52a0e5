"""Measurements that check their answers: ``exchange bench core``, ``exchange bench gateway``."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def main(argv: list[str]) -> int:
    """Runs a benchmark by name; returns the exit code."""
    from exchange.bench import core, gateway

    parser = argparse.ArgumentParser(prog="exchange bench", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    core.add_arguments(
        kinds.add_parser("core", help="a workload file through the native engine, timed")
    )
    gateway.add_arguments(
        kinds.add_parser("gateway", help="orders over ZeroMQ, beside a bare libzmq echo")
    )
    options = parser.parse_args(argv)
    run: Callable[[argparse.Namespace], int] = {"core": core.run, "gateway": gateway.run}[
        options.kind
    ]
    return run(options)
