"""Measurements that check their answers: ``exchange bench core``."""

from __future__ import annotations

import argparse


def main(argv: list[str]) -> int:
    """Runs a benchmark by name; returns the exit code."""
    from exchange.bench import core

    parser = argparse.ArgumentParser(prog="exchange bench", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    core.add_arguments(
        kinds.add_parser("core", help="a workload file through the native engine, timed")
    )
    return core.run(parser.parse_args(argv))
