"""A trend follower with asyncio: listens to trades and to its own events at the same time.

It buys when three trades in a row were bought, sells when three in a row were sold, and never holds more than a few
positions' worth.  Run ``exchange serve``, somebody to trade with (``examples/market_maker.py``), and this.
"""

import asyncio
import contextlib
import sys
from collections import deque

from exchange import AsyncClient, Fill, Rejected, Side, Trade

ENDPOINT = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5555"
ACCOUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 201
SYMBOL, QUANTITY, MOST_LOTS = "BTC-PERP", "0.01", 50


class Trend:
    """What the bot knows: the last sides that traded, and its own position."""

    def __init__(self) -> None:
        self.sides: deque[int] = deque(maxlen=3)
        self.position_lots = 0

    def wish(self) -> Side | None:
        """The side that three trades in a row took, unless the bot holds enough of it."""
        if len(self.sides) < 3 or len(set(self.sides)) > 1:
            return None
        side = Side(self.sides[0])
        held = self.position_lots if side is Side.BUY else -self.position_lots
        return side if held < MOST_LOTS else None


async def follow_own_events(client: AsyncClient, trend: Trend) -> None:
    async for event in client.events():
        if isinstance(event, Fill):
            trend.position_lots = event.position_lots
            print(
                f"{Side(event.side).name} {event.qty_lots} lots, position now {event.position_lots} lots"
            )


async def follow_trades(client: AsyncClient, trend: Trend) -> None:
    with client.subscribe(trades=SYMBOL) as feed:
        async for trade in feed:
            assert isinstance(trade, Trade)
            trend.sides.append(trade.side)
            side = trend.wish()
            if side is not None:
                await take(client, side, trend)


async def take(client: AsyncClient, side: Side, trend: Trend) -> None:
    try:
        result = await client.market(SYMBOL, side, QUANTITY)
    except Rejected as refused:
        print(f"refused: {refused}")
        return
    trend.sides.clear()  # its own trade is no news
    print(f"{side.name} {result.filled_quantity} at {result.average_price}")


async def main() -> None:
    async with AsyncClient(ENDPOINT, ACCOUNT) as client:
        if not (await client.account()).wallet_atoms:
            await client.deposit(10_000)
        await client.set_leverage(SYMBOL, 10)
        trend = Trend()
        print(f"account {ACCOUNT} follows the trend of {SYMBOL}", flush=True)
        await asyncio.gather(follow_own_events(client, trend), follow_trades(client, trend))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
