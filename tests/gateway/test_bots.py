"""Bots on a node: they hear everything in order, and act on what they know."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from cable import Cable

from exchange import BookMirror, Bot, Fill, Trade
from exchange.client.bot_runner import BotRunner
from exchange.protocol.messages import Accepted, Event, OrderRested

BTC = "BTC-PERP"


class Taker(Bot):
    """Bids, and when it is filled, offers what it got; ends when that is filled, too."""

    symbols = (BTC,)

    def __init__(self, account: int) -> None:
        super().__init__(account)
        self.told: list[str] = []

    def on_start(self) -> None:
        self.do(self.deposit_step(10_000))
        self.limit(BTC, "buy", "0.01", 59_990)

    def on_event(self, event: Event) -> None:
        if isinstance(event, Accepted | OrderRested | Fill):
            self.told.append(type(event).__name__)

    def on_fill(self, fill: Fill) -> None:
        self.told.append(f"holds {self.held_lots(BTC)}")
        if self.held_lots(BTC):
            self.limit(BTC, "sell", "0.01", 60_010)
        else:
            self.finish()

    def on_trade(self, symbol: str, trade: Trade) -> None:
        self.told.append(f"trade of {trade.qty_lots} at {trade.price_ticks}")

    def on_reconnect(self, missed: bool) -> None:
        self.told.append(f"reconnect {missed}")


def test_a_bot_buys_and_sells_and_finishes(node) -> None:
    async def story() -> list[str]:
        bot = Taker(7)
        running = asyncio.create_task(BotRunner(bot, node.orders).run())
        other = node.client(9)
        other.deposit(10_000)
        while not other.book(BTC).bids:
            await asyncio.sleep(0.01)
        other.market(BTC, "sell", "0.01")
        while not other.book(BTC).asks:
            await asyncio.sleep(0.01)
        other.market(BTC, "buy", "0.01")
        await asyncio.wait_for(running, 10)
        return [line for line in bot.told if not line.startswith("trade")]

    assert asyncio.run(story()) == [
        *("Accepted", "Accepted", "OrderRested"),  # a deposit and a bid
        *("Fill", "holds 10", "Accepted", "OrderRested"),
        *("Fill", "holds 0"),
    ]


def test_a_bot_whose_cable_is_cut_is_told_and_goes_on(node) -> None:
    cable = Cable(node.orders)

    async def story() -> list[str]:
        bot = Taker(7)
        running = asyncio.create_task(BotRunner(bot, cable.endpoint, timeout_s=20).run())
        other = node.client(9)
        other.deposit(10_000)
        while not other.book(BTC).bids:
            await asyncio.sleep(0.01)
        cable.cut()
        other.market(BTC, "sell", "0.01")
        while not other.book(BTC).asks:
            await asyncio.sleep(0.01)
        other.market(BTC, "buy", "0.01")
        await asyncio.wait_for(running, 20)
        return bot.told

    told = asyncio.run(story())
    cable.close()
    assert "reconnect False" in told
    assert [line for line in told if line.startswith("holds")] == ["holds 10", "holds 0"]


class Watcher(Bot):
    """Follows book and mark until the mark has moved and the book has a bid."""

    symbols = (BTC,)
    timer_s = 0.01

    def __init__(self) -> None:
        super().__init__(8)
        self.seen: dict[str, Any] = {}

    def on_book(self, symbol: str, book: BookMirror) -> None:
        if book.best_bid is not None:
            self.seen["bid"] = book.best_bid.price_ticks

    def on_mark(self, symbol: str, price: Decimal) -> None:
        self.seen["mark"] = price

    def on_timer(self) -> None:
        if len(self.seen) == 2:
            self.finish()


def test_a_bot_follows_book_and_mark(node) -> None:
    async def story() -> Watcher:
        watcher = Watcher()
        running = asyncio.create_task(BotRunner(watcher, node.orders).run())
        client, operator = node.client(7), node.admin_client()
        client.deposit(10_000)
        client.limit(BTC, "buy", "0.01", 59_990)
        for price in range(60_001, 60_400):
            operator.set_mark(BTC, price)
            await asyncio.sleep(0.02)
            if running.done():
                break
        await asyncio.wait_for(running, 10)
        return watcher

    watcher = asyncio.run(story())
    assert watcher.seen["bid"] == 599_900
    assert watcher.mark(BTC) == watcher.seen["mark"] > 60_000
