"""A market maker: quotes both sides around the mark, leans against its position, follows the book.

Five times a second it replaces its quotes by cancelling and placing, all in one message.  With a long position it
quotes lower, to sell; with a short one higher.  Run ``exchange serve`` and this; its quotes are post-only, so they are
filled by others' market orders.  When its connection is gone for good, the node cancels what it quotes.
"""

import sys
from decimal import Decimal

from exchange import BookMirror, Bot, run_bot
from exchange.protocol.messages import Event, Rejected

ENDPOINT = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5555"
ACCOUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 301
SYMBOL = "BTC-PERP"
LEVELS = 5  # on each side
SPREAD = Decimal("2.0")  # from the middle to the best quote
GAP = Decimal("1.5")  # between quotes
QUANTITY = Decimal("0.02")
LEAN = Decimal("0.05")  # quote units for each lot held


class MarketMaker(Bot):
    """Quotes around the mark, and tells how the book looks then."""

    symbols = (SYMBOL,)
    timer_s = 0.2

    def on_start(self) -> None:
        assert self.mark(SYMBOL) is not None, "nobody has set a mark price yet"
        self.refused = 0
        if not self.wallet_atoms:
            self.do(self.deposit_step(1_000_000))
        print(f"account {self.account} makes a market in {SYMBOL}", flush=True)

    def on_timer(self) -> None:
        tick = self.units(SYMBOL).tick_size
        mark = self.mark(SYMBOL) or Decimal(0)
        middle = (mark - LEAN * self.held_lots(SYMBOL)) // tick * tick
        self.cancel_all(SYMBOL)
        for side, sign in (("buy", -1), ("sell", 1)):
            for level in range(LEVELS):
                price = middle + sign * (SPREAD + level * GAP)
                self.limit(SYMBOL, side, QUANTITY, price, post_only=True)

    def on_book(self, symbol: str, book: BookMirror) -> None:
        bid, ask = book.best_bid, book.best_ask
        if bid is not None and ask is not None:
            print(
                f"position {self.held_lots(SYMBOL)} lots, best bid {bid.price_ticks}, "
                f"best ask {ask.price_ticks} ticks, "
                f"{self.refused} quotes refused so far",
                flush=True,
            )

    def on_event(self, event: Event) -> None:
        self.refused += isinstance(event, Rejected)


if __name__ == "__main__":
    run_bot(MarketMaker(ACCOUNT), ENDPOINT, cancel_on_disconnect=True)
