"""The fuzzer's command line: worlds one after the other, statistics, and a scenario file for what fails."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from exchange.engine import ENGINE_KINDS, create_engine
from exchange.fuzz.choices import time_of
from exchange.fuzz.coalition import Take
from exchange.fuzz.collusion_run import run_collusion
from exchange.fuzz.differ import (
    ENGINES,
    DifferKind,
    Failure,
    Statistics,
    run_generated,
    run_records,
)
from exchange.fuzz.shrink import shrink, simplify
from exchange.fuzz.write import write_scenario
from exchange.protocol.messages import Rejected
from exchange.protocol.records import decode_events, stamp
from exchange.protocol.schema import RejectReason

#: Seeds of worlds are this far apart, so that no two runs share one by accident.
SEED_STEP = 1_000_003
#: Where nobody watches a terminal, progress is a line from time to time.
QUIET_SECONDS = 60
END = "" if sys.stderr.isatty() else "\n"


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="exchange fuzz", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=1, help="the same seed makes the same streams (default 1)"
    )
    parser.add_argument("--world-seed", type=int, help="only the world that a failure named")
    parser.add_argument(
        "--commands", type=int, default=100_000, help="how many in all (default 100,000)"
    )
    parser.add_argument(
        "--world", type=int, default=1_000, help="commands per world (default 1,000)"
    )
    parser.add_argument(
        "--engines",
        default=",".join(ENGINES),
        help="native,reference or one of them: then only the auditor judges",
    )
    parser.add_argument(
        "--deep", type=int, default=100, help="digests, views and restores every so many commands"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("fuzz-failures"), help="folder for scenario files"
    )
    parser.add_argument(
        "--keep-going", action="store_true", help="do not stop at the first failure"
    )
    parser.add_argument(
        "--stats", action="store_true", help="say how often each command, reason and event occurred"
    )
    parser.add_argument(
        "--collusion",
        action="store_true",
        help="some accounts work together against the exchange, and their gains are reckoned up",
    )
    args = parser.parse_args(argv)
    args.engines = tuple(args.engines.split(","))
    for kind in args.engines:
        if kind not in ENGINE_KINDS:
            parser.error(f"--engines is {kind}; wanted {' or '.join(ENGINE_KINDS)}")
    for name in ("commands", "world", "deep"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} is {getattr(args, name)}; wanted 1 or more")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzzes, prints statistics; exit code 1 if anything failed."""
    args = parse(argv)
    statistics = Statistics()
    started = time.monotonic()
    shown = started
    total = Take()
    done = failures = 0
    worlds = range(-(-args.commands // args.world)) if args.world_seed is None else range(1)
    for world in worlds:
        seed = args.seed * SEED_STEP + world if args.world_seed is None else args.world_seed
        count = min(args.world, args.commands - done)
        again: DifferKind | None = None
        if args.collusion:
            records, failure, take, again = run_collusion(
                seed, count, args.engines, args.deep, statistics if args.stats else None
            )
            total.add(take)
        else:
            records, failure = run_generated(seed, count, args.engines, args.deep, statistics)
        done += len(records)
        if failure is not None:
            failures += 1
            report_failure(args, seed, records, failure, again)
            if not args.keep_going:
                break
        elif sys.stderr.isatty() or time.monotonic() - shown > QUIET_SECONDS:
            shown = time.monotonic()
            rate = done / (shown - started)
            text = f"{done:,} of {args.commands:,} commands, {rate:,.0f} a second"
            print(
                f"\r{text}" if sys.stderr.isatty() else text, end=END, file=sys.stderr, flush=True
            )
    if args.collusion:
        print_take(total, done, time.monotonic() - started)
    if args.stats or not args.collusion:
        print_statistics(statistics, done, time.monotonic() - started, in_full=args.stats)
    print(f"{failures} failures; engines {' and '.join(args.engines)}, seed {args.seed}")
    return 1 if failures else 0


def print_take(take: Take, done: int, seconds: float) -> None:
    """What all coalitions together got, and through which door."""
    print(f"\n{done:,} commands in {seconds:.1f} s, {done / max(seconds, 1e-9):,.0f} a second")
    for name in take.__struct_fields__:
        print(f"  {getattr(take, name):>28,}  {name.replace('_', ' ')}")


def report_failure(
    args: argparse.Namespace,
    seed: int,
    records: list[bytes],
    failure: Failure,
    make_differ: DifferKind | None = None,
) -> None:
    """Prints what failed, shrinks it, and writes the scenario file."""
    print(
        f"\nFAILED at command {failure.index} of world seed {seed}: {failure.kind}\n{failure.detail}"
    )
    small, again = shrink_failure(records[: failure.index + 1], failure, args.engines, make_differ)
    name = f"fuzz-{seed}"
    rejects = reject_names(small, args.engines[-1])
    text = write_scenario(
        name, f"{again.kind}: {again.detail.splitlines()[0]}", small, rejects, seed
    )
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    print(f"shrunk to {len(small)} commands: {again.kind}\n{again.detail}")
    option = " --collusion" if args.collusion else ""
    print(f"repeat: python -m exchange.fuzz{option} --world-seed {seed} --world {args.world}")
    print(f"scenario: {path}")


def shrink_failure(
    records: Sequence[bytes],
    failure: Failure,
    engines: Sequence[str],
    make_differ: DifferKind | None = None,
) -> tuple[list[bytes], Failure]:
    """The fewest commands that fail in the same way, and that failure."""
    # Events are compared at every command anyhow; whatever else failed is looked for at every command too.
    is_deep = failure.kind in ("digests", "views", "auditor's books") or failure.kind.startswith(
        "restored"
    )
    deep_every = 1 if is_deep else 1 << 40

    def fails(kept: Sequence[bytes]) -> bool:
        found = run_records(kept, engines, deep_every, make_differ=make_differ)
        return found is not None and found.kind == failure.kind

    small: list[bytes] = []
    simpler = list(records)
    # With smaller numbers other commands may be left out, too.
    while small != simpler and fails(simpler):
        small = simpler
        simpler = simplify(shrink(small, fails), fails)
    again = run_records(simpler, engines, deep_every, make_differ=make_differ)
    return simpler, again or failure


def reject_names(records: Sequence[bytes], kind: str) -> list[str | None]:
    """Why an engine refuses each command; None where it accepts, or stops."""
    engine = create_engine(kind)
    names: list[str | None] = []
    for index, record in enumerate(records):
        try:
            result = decode_events(engine.apply(stamp(record, index + 1, time_of(index))))[0]
        except Exception:
            names += [None] * (len(records) - len(names))
            break
        names.append(
            RejectReason(result.reason).name.lower() if isinstance(result, Rejected) else None
        )
    return names


def print_statistics(
    statistics: Statistics, done: int, seconds: float, *, in_full: bool = False
) -> None:
    """What occurred how often: a stream in which nothing happens would prove nothing."""
    print(f"\n{done:,} commands in {seconds:.1f} s")
    refused = statistics.events["rejected"]
    print(f"accepted {done - refused:,}, refused {refused:,}")
    tables = (
        ("commands", statistics.commands),
        ("reasons", statistics.rejects),
        ("events", statistics.events),
    )
    for title, counter in tables if in_full else ():
        total = max(1, sum(counter.values()))
        print(f"{title}:")
        for name, count in counter.most_common():
            print(f"  {count:>9,}  {100 * count / total:5.1f} %  {name}")
    missing = statistics.missing()
    print(f"did not occur: {', '.join(missing) if missing else 'nothing'}")
