"""What encryption costs on a round trip: the same orders at two nodes, one with keys, in turns within one run.

    python benchmarks/curve.py [--rounds 20] [--json]

Every order is answered and rests, or nothing is printed.  The ratio is what counts; microseconds are the machine's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from exchange.client import Client
from exchange.gateway.permission import Role
from exchange.keys import AuthorisedKey, ClientKeys, authorise, new_pair, write_server_keys

ORDERS_A_ROUND = 200
ACCOUNT = 7
ENDPOINTS = "".join(
    f'{door} = "tcp://127.0.0.1:*"\n' for door in ("orders", "market_data", "admin")
)


def start(folder: Path, keys: Path | None) -> tuple[subprocess.Popen[str], str]:
    """A node over a folder of its own; returns it and its orders' door."""
    folder.mkdir()
    security = "" if keys is None else f'[security]\nkeys = "{keys}"\n'
    config = folder / "node.toml"
    config.write_text(f"[endpoints]\n{ENDPOINTS}{security}")
    words = ["-m", "exchange", "serve", "--config", str(config), "--data", str(folder / "data")]
    process = subprocess.Popen(
        [sys.executable, *words, "--durability", "off"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    ready = dict(word.split("=", 1) for word in process.stdout.readline().split()[2:])
    return process, ready["orders"]


def round_trips_ns(client: Client) -> list[int]:
    """One order at a time, each answered before the next."""
    times = []
    for _ in range(ORDERS_A_ROUND):
        since_ns = time.perf_counter_ns()
        result = client.limit("BTC-PERP", "buy", "0.001", 59_000)
        times.append(time.perf_counter_ns() - since_ns)
        assert result.status == "resting", result
    assert len(client.cancel_all().cancelled) == ORDERS_A_ROUND
    return times


def measure(rounds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pair, server_key = new_pair(), write_server_keys(folder / "keys").public_key
        authorise(folder / "keys", AuthorisedKey("bench", pair[0], Role.TRADER, (ACCOUNT,)))
        plain, plain_door = start(folder / "plain", None)
        curve, curve_door = start(folder / "curve", folder / "keys")
        try:
            keys = ClientKeys(*pair, server_key)
            with Client(plain_door, ACCOUNT) as one, Client(curve_door, ACCOUNT, keys=keys) as two:
                times: dict[str, list[int]] = {"plain": [], "curve": []}
                for client in (one, two):
                    client.deposit(1_000_000)
                    round_trips_ns(client)  # warm
                for _ in range(rounds):
                    times["plain"] += round_trips_ns(one)
                    times["curve"] += round_trips_ns(two)
        finally:
            for process in (plain, curve):
                process.terminate()
                process.wait(10)
    p50 = {kind: statistics.median(taken) / 1000 for kind, taken in times.items()}
    return {
        "plain_us_p50": round(p50["plain"], 1),
        "curve_us_p50": round(p50["curve"], 1),
        "rtt_p50_ratio": round(p50["curve"] / p50["plain"], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help=f"of {ORDERS_A_ROUND} orders each")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options.rounds)
    if options.json:
        print(json.dumps(result))
    else:
        print(*(f"{name} {value}" for name, value in result.items()), sep="\n")


if __name__ == "__main__":
    main()
