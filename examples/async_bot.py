"""A trend follower: joins in when three trades in a row were on the same side.

It buys when three trades in a row were bought, sells when three in a row were sold, and never holds more than a few
positions' worth.  Run ``exchange serve``, somebody to trade with (``examples/market_maker.py``), and this.
"""

import sys
from collections import deque

from exchange import Bot, Fill, Side, Trade, run_bot
from exchange.protocol.messages import Event, Rejected

ENDPOINT = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5555"
ACCOUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 201
SYMBOL, QUANTITY, MOST_LOTS = "BTC-PERP", "0.01", 50


class TrendFollower(Bot):
    """Knows the last sides that traded; its position is known to every bot."""

    symbols = (SYMBOL,)

    def on_start(self) -> None:
        self.sides: deque[int] = deque(maxlen=3)
        if not self.wallet_atoms:
            self.do(self.deposit_step(10_000))
        self.do(self.margin_mode_step(SYMBOL, "cross", leverage=10))
        print(f"account {self.account} follows the trend of {SYMBOL}", flush=True)

    def on_trade(self, symbol: str, trade: Trade) -> None:
        self.sides.append(trade.side)
        if len(self.sides) < 3 or len(set(self.sides)) > 1:
            return
        side = Side(trade.side)
        if self.held_lots(SYMBOL) * (1 if side is Side.BUY else -1) < MOST_LOTS:
            self.market(SYMBOL, side, QUANTITY)
            self.sides.clear()  # its own trade is no news

    def on_fill(self, fill: Fill) -> None:
        price = self.units(SYMBOL).ticks_to_price(fill.price_ticks)
        print(
            f"{Side(fill.side).name} {fill.qty_lots} lots at {price}, position {self.held_lots(SYMBOL)} lots"
        )

    def on_event(self, event: Event) -> None:
        if isinstance(event, Rejected):
            print(f"refused: reason {event.reason}")


if __name__ == "__main__":
    run_bot(TrendFollower(ACCOUNT), ENDPOINT)
