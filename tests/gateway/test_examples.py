"""The examples run as they are against a node, and do what they say."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BTC = "BTC-PERP"


class Bots:
    """Examples in processes of their own."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.running: list[subprocess.Popen[str]] = []

    def start(self, name: str, account: int, until: str) -> subprocess.Popen[str]:
        """Starts one and waits for the line that it says when it is at work."""
        bot = subprocess.Popen(
            [sys.executable, "-u", str(ROOT / "examples" / name), self.endpoint, str(account)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.running.append(bot)
        assert bot.stdout is not None
        assert until in bot.stdout.readline()
        return bot

    def stop(self) -> None:
        for bot in self.running:
            bot.terminate()
            bot.communicate(timeout=5)


@pytest.fixture
def bots(node) -> Iterator[Bots]:
    started = Bots(node.orders)
    yield started
    started.stop()


def wait_for(condition) -> None:
    deadline = time.monotonic() + 8
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 8 s"
        time.sleep(0.02)


def test_the_simple_bot_buys_below_the_mark_and_sells_higher(node, bots: Bots) -> None:
    bots.start("simple_bot.py", 1, "buys 0.01 at 59990")
    other, watcher = node.client(9), node.client(1)
    other.deposit(10_000)
    assert other.market(BTC, "sell", "0.01").average_price == 59_990
    wait_for(lambda: watcher.open_orders())
    (sale,) = watcher.open_orders()
    assert (sale.side, sale.price_ticks, sale.open_lots) == (1, 600_000, 10)
    other.market(BTC, "buy", "0.01")
    wait_for(lambda: watcher.open_orders())
    assert watcher.positions()[0].position_lots == 0
    assert watcher.open_orders()[0].price_ticks == 599_900


def test_the_simple_bot_is_no_longer_than_it_says() -> None:
    source = (ROOT / "examples" / "simple_bot.py").read_text()
    body = source.split("def main() -> None:\n")[1].split("\n\n\n")[0]
    assert len(body.splitlines()) <= 20


def test_the_market_maker_quotes_both_sides_and_the_trend_follower_follows(
    node, bots: Bots
) -> None:
    bots.start("market_maker.py", 301, "makes a market")
    watcher, trader = node.client(301), node.client(9)
    wait_for(lambda: len(watcher.book(BTC).bids) == len(watcher.book(BTC).asks) == 5)
    bots.start("async_bot.py", 201, "follows the trend")
    trader.deposit(100_000)
    follower = node.client(201)

    def follower_is_long() -> bool:
        trader.market(BTC, "buy", "0.001")
        return any(position.position_lots > 0 for position in follower.positions())

    wait_for(follower_is_long)
