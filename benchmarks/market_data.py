"""What market data costs beside the engine: a batch's events followed, with nobody listening and with somebody.

    python benchmarks/market_data.py [--quick] [--json]

The events of a workload, margin on, in batches of 64 and 256 messages: for a publisher a message is what an order is
for an engine.  `nobody`, `levels` and `everything` say who has subscribed: nobody, somebody to tops and levels, or
somebody to all topics.  The compiled publisher leaves its bytes in a buffer, where the node's loop sends them from; the
readable one makes Python's bytes.  Before anything is timed, both give the same publications for the first batches;
every pass ends with the workload's own book.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import measuring
from ratio import Core

from exchange._native import market_data
from exchange.bench import core
from exchange.gateway import publisher as readable
from exchange.gateway.interest import Interest
from exchange.peek import EVENT_START
from exchange.sequencer import Batch

SUBSCRIPTIONS: dict[str, tuple[bytes, ...]] = {
    "nobody": (),
    "levels": (b"top.", b"book."),
    "everything": (b"",),
}
COMPARED = 200  # batches that both publishers are given
PUBLISHERS = {"compiled": market_data.Publisher, "readable": readable.Publisher}


class Stream:
    """The events of a workload, batch by batch, and a node's engine before it."""

    def __init__(self, kind: str, messages: int, batch: int) -> None:
        self.messages = messages
        self.core = Core(measuring.workload_file(kind, messages), True, batch)
        self.before = core.fresh_engine(self.core.prepared, True)
        engine = core.fresh_engine(self.core.prepared, True)
        self.batches: list[tuple[Batch, bytes]] = []
        for commands in self.core.prepared.batches:
            events = engine.apply(commands)
            told = Batch(engine.sequence, 1, engine.timestamp_ns, b"")
            self.batches.append((told, events))
        self.after = engine
        self.events = sum(count_events(events) for _, events in self.batches)

    def publisher(self, kind: str, who: str) -> Any:
        interest = Interest()
        for prefix in SUBSCRIPTIONS[who]:
            interest.take(b"\x01" + prefix)
        made = PUBLISHERS[kind](1, None, interest)
        made.load(self.before, self.before.sequence, self.before.timestamp_ns)
        return made

    def check(self, publisher: Any) -> None:
        for view in self.after.symbols():
            book, snapshot = self.after.book(view.symbol), publisher.snapshot(view.symbol)
            came = {"bids": snapshot.bids, "asks": snapshot.asks}
            measuring.check("market data", came, {"bids": book.bids, "asks": book.asks})
            statistics = publisher.statistics(view.symbol)
            wanted = {"open_interest_lots": view.open_interest_lots, "last_ticks": view.last_ticks}
            measuring.check(
                "market data", {name: getattr(statistics, name) for name in wanted}, wanted
            )


def count_events(events: bytes) -> int:
    offset = count = 0
    while offset < len(events):
        offset += EVENT_START.unpack_from(events, offset)[1]
        count += 1
    return count


def compare(stream: Stream) -> None:
    """Both publishers give the same bytes, whoever listens."""
    for who in SUBSCRIPTIONS:
        told = {}
        for kind in PUBLISHERS:
            publisher, crc = stream.publisher(kind, who), 0
            for batch, events in stream.batches[:COMPARED]:
                for topic, payload in publisher.publications(batch, events):
                    crc = zlib.crc32(topic + payload, crc)
            told[kind] = crc
        measuring.check(who, told, {"compiled": told["readable"]})


def timed(stream: Stream, kind: str, who: str) -> float:
    """One pass over a stream: nanoseconds a message."""
    publisher = stream.publisher(kind, who)
    follow = publisher.follow if kind == "compiled" else publisher.publications
    start = time.process_time_ns()
    for batch, events in stream.batches:
        follow(batch, events)
    taken = time.process_time_ns() - start
    stream.check(publisher)
    return taken / stream.messages


def measure(options: argparse.Namespace) -> measuring.Report:
    count = 50_000 if options.quick else 300_000
    floor = measuring.Floor()
    jobs: dict[str, Callable[[], float]] = {"floor": floor.run}
    streams = {
        (kind, batch): Stream(kind, count, batch)
        for kind in ("mixed", "moves")
        for batch in (64, 256)
    }
    short = {kind: Stream(kind, count // 10, 64) for kind in ("mixed", "moves")}
    for kind, stream in short.items():
        compare(stream)
        for who in SUBSCRIPTIONS:
            jobs[f"readable {kind} 64 {who}"] = partial(timed, stream, "readable", who)
    for (kind, batch), stream in streams.items():
        jobs[f"engine {kind} {batch}"] = stream.core.run
        for who in SUBSCRIPTIONS:
            jobs[f"compiled {kind} {batch} {who}"] = partial(timed, stream, "compiled", who)
    median = measuring.medians(measuring.in_turns(options.rounds, jobs))
    rows: list[measuring.Row] = []
    for (kind, batch), stream in streams.items():
        engine_ns = median[f"engine {kind} {batch}"]
        for who in SUBSCRIPTIONS:
            compiled_ns = median[f"compiled {kind} {batch} {who}"]
            readable_ns = median.get(f"readable {kind} {batch} {who}")
            rows.append(
                {
                    "workload": kind,
                    "batch": batch,
                    "subscribed": who,
                    "events_a_message": stream.events / stream.messages,
                    "engine_ns": engine_ns,
                    "compiled_ns": compiled_ns,
                    "compiled_ns_an_event": compiled_ns * stream.messages / stream.events,
                    "of_the_engine_percent": 100 * compiled_ns / engine_ns,
                    "readable_ns": readable_ns,
                }
            )
    return measuring.Report(
        title="Market data",
        rows=rows,
        floor_ns=median["floor"],
        notes=[
            "ns a message; the engine's margin is on; readable: the Python publisher, on a tenth of the stream",
            "both publishers give the same bytes; every pass ends with the engine's book and open interest",
        ],
    )


if __name__ == "__main__":
    sys.exit(measuring.main(measure, __doc__))
