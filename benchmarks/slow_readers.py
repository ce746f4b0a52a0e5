"""What subscribers that stopped reading cost a node: memory, by the high-water mark and by how many they are.

    python benchmarks/slow_readers.py [--quick] [--json]

A node's own market data socket on loopback TCP, in a process of its own for each row; subscribers that never read; and
far more messages than may wait for one.  The memory is that of the process, less what it took with subscribers and no
messages.  Checked: a reader gets the first messages without a gap, at least as many as may wait, and misses the rest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import measuring
import zmq

from exchange.gateway.server import Bounds, Server

TOPIC = b"trades.BTC-PERP"
PAYLOAD_BYTES = 160  # as a trade's
LEAST = 2  # times as many messages as may wait and the kernel holds
KERNEL_MESSAGES = 100_000  # that a connection may hold beyond the marks


def resident_bytes() -> int:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def one_row(high_water: int, readers: int) -> None:
    """Publishes to readers that do not read, and prints bytes and nanoseconds a message."""
    endpoints = dict.fromkeys(("orders", "market_data", "admin"), "tcp://127.0.0.1:*")
    server = Server(endpoints, Bounds(market_data_high_water=high_water))
    subscriber = subprocess.Popen(
        [sys.executable, __file__, "--readers", server.endpoints["market_data"], str(readers)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    subscribed = 0
    while subscribed < readers:
        subscribed += len(server.receive(1 << 20).subscriptions)
    count = LEAST * (high_water + KERNEL_MESSAGES)
    before, start = resident_bytes(), time.perf_counter_ns()
    for number in range(count):
        server.publish(TOPIC, number.to_bytes(PAYLOAD_BYTES, "big"))
    taken_ns, grown = time.perf_counter_ns() - start, resident_bytes() - before
    said, _ = subscriber.communicate("read\n", timeout=60)
    for line in said.splitlines():
        came = int(line)
        if not high_water <= came < count:
            raise SystemExit(f"a reader got {came} of {count} messages; {high_water} may wait")
    print(grown, taken_ns // count, *said.split())
    server.close()


def stop_reading(endpoint: str, readers: int) -> None:
    """Subscribes, reads nothing until it is told to, and then prints how many came, from 0 on without a gap."""
    context = zmq.Context()
    sockets = [context.socket(zmq.SUB) for _ in range(readers)]
    for each in sockets:
        each.rcvhwm = 1000
        each.connect(endpoint)
        each.subscribe(TOPIC)
    sys.stdin.readline()
    for each in sockets:
        came = 0
        while each.poll(1000):
            _, payload = each.recv_multipart()
            if int.from_bytes(payload, "big") != came:
                break
            came += 1
        print(came)
    context.destroy(linger=0)


def measure(options: argparse.Namespace) -> measuring.Report:
    rows: list[measuring.Row] = []
    for high_water in (1_000, 10_000) if options.quick else (1_000, 10_000, 100_000):
        for readers in (0, 1, 8):
            command = [sys.executable, __file__, "--row", str(high_water), str(readers)]
            done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
            grown, taken_ns, *came = map(int, done.stdout.split())
            rows.append(
                {
                    "high_water": high_water,
                    "stopped_readers": readers,
                    "memory_mb": grown / 1e6,
                    "bytes_a_waiting_message": grown / (high_water * readers) if readers else None,
                    "publish_ns": taken_ns,
                    "came_least": min(came, default=None),
                }
            )
    return measuring.Report(
        title="Subscribers that do not read",
        rows=rows,
        notes=[
            "messages of 160 bytes; came: what a reader still gets, the kernel's part included",
            "every reader gets the first messages without a gap, and misses the rest",
        ],
    )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--row", high_water, readers]:
            one_row(int(high_water), int(readers))
        case ["--readers", endpoint, readers]:
            stop_reading(endpoint, int(readers))
        case _:
            sys.exit(measuring.main(measure, __doc__))
