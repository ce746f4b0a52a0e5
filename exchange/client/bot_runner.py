"""Runs a bot on a node: ``await BotRunner(bot, endpoint).run()``, or ``run_bot(bot)`` where there is no loop yet."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Unpack

from exchange.client.aio import AsyncClient
from exchange.client.aio_live import AsyncMarketData
from exchange.client.book_mirror import BookMirror
from exchange.client.bot import Bot
from exchange.client.endpoints import DEFAULT_ORDERS
from exchange.client.errors import EventsMissed, RequestRefused
from exchange.client.market_data import Update
from exchange.client.options import SessionArguments
from exchange.gateway.feed import BookDelta, Trade
from exchange.keys import KeysLike
from exchange.protocol.messages import Command, MarkChanged

MOST_AT_ONCE = 1000  # updates of the market that are looked at before the bot is told


def run_bot(
    bot: Bot,
    endpoint: str = DEFAULT_ORDERS,
    *,
    keys: KeysLike = None,
    server_key: str | None = None,
    **session: Unpack[SessionArguments],
) -> None:
    """Runs a bot until it has finished, or Ctrl-C."""
    runner = BotRunner(bot, endpoint, keys=keys, server_key=server_key, **session)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(runner.run())


class BotRunner:
    """Tells a bot what happens on a node, and sends what it wants."""

    def __init__(
        self,
        bot: Bot,
        endpoint: str = DEFAULT_ORDERS,
        *,
        timeout_s: float = 5.0,
        keys: KeysLike = None,
        server_key: str | None = None,
        **session: Unpack[SessionArguments],
    ) -> None:
        self.bot = bot
        self.client = AsyncClient(
            endpoint,
            bot.account,
            timeout_s=timeout_s,
            keys=keys,
            server_key=server_key,
            **session,
        )
        self._books: dict[int, tuple[str, BookMirror]] = {}
        self._updates: asyncio.Queue[Update] = asyncio.Queue(MOST_AT_ONCE)
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Until the bot has finished; raises what it raises."""
        bot = self.bot
        async with self.client as client:
            listed = await client.symbols()
            bot.learn([symbol.view for symbol in listed.values()])
            await self._load()
            names = bot.symbols
            with client.subscribe(book=names, trades=names, mark=names) as feed:
                for name in names:
                    number = listed[name].view.symbol
                    self._books[number] = name, BookMirror(number)
                client.on_news = self._news.set
                seeing = asyncio.create_task(self._see(feed))
                seeing.add_done_callback(lambda _: self._news.set())
                try:
                    await self._act(bot.start())
                    await self._drive(seeing)
                finally:
                    seeing.cancel()
                    await asyncio.gather(seeing, return_exceptions=True)

    async def _drive(self, seeing: asyncio.Task[None]) -> None:
        """One thing after the other: own events, trades and marks, books, the timer."""
        bot = self.bot
        next_tick = time.monotonic() + bot.timer_s
        joins = self.client.joins
        while True:
            self._news.clear()
            if self.client.joins != joins:
                joins = self.client.joins
                await self._do(bot.come_back(missed=False))
            await self._tell_own_events()
            await self._tell_market()
            now = time.monotonic()
            if bot.timer_s and now >= next_tick and not bot.is_finished:
                next_tick = max(next_tick + bot.timer_s, now)
                await self._do(bot.tick())
            if seeing.done():
                seeing.result()
            if bot.is_finished:
                return
            wait_s = max(0.0, next_tick - time.monotonic()) if bot.timer_s else None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), wait_s)

    async def _tell_own_events(self) -> None:
        while not self.bot.is_finished:
            try:
                events = await self.client.poll()
            except EventsMissed:
                await self._load()
                await self._do(self.bot.come_back(missed=True))
                continue
            if not events:
                return
            for event in events:
                await self._do(self.bot.hear(event))

    async def _tell_market(self) -> None:
        changed: dict[int, None] = {}
        for _ in range(self._updates.qsize()):
            update = self._updates.get_nowait()
            if isinstance(update, Trade) and not self.bot.is_finished:
                await self._act(self.bot.see_trade(self._books[update.symbol][0], update))
            elif isinstance(update, MarkChanged) and not self.bot.is_finished:
                name = self._books[update.symbol][0]
                await self._act(self.bot.see_mark(name, update.price_ticks))
            elif isinstance(update, BookDelta):
                _, mirror = self._books[update.symbol]
                mirror.apply(update)
                while mirror.needs_snapshot:
                    mirror.load(await self.client.book(update.symbol))
                changed[update.symbol] = None
        for symbol in changed:
            if not self.bot.is_finished:
                await self._act(self.bot.see_book(*self._books[symbol]))

    async def _act(self, commands: Sequence[Command]) -> None:
        """Commands, and at once what they came to: the bot shall know of it before it is told more of the market."""
        if commands:
            await self._do(commands)
            await self._tell_own_events()

    async def _do(self, commands: Sequence[Command]) -> None:
        while commands:
            try:
                await self.client.send_many(commands)
                return
            except RequestRefused as refused:
                commands = self.bot.refuse(commands, refused)

    async def _load(self) -> None:
        account, positions = await asyncio.gather(self.client.account(), self.client.positions())
        self.bot.load(account, positions)

    async def _see(self, feed: AsyncMarketData) -> None:
        async for update in feed:
            # A full queue stops the reading: the socket's own queue is the next bound, and then books mend themselves.
            await self._updates.put(update)
            self._news.set()
