"""A market maker: quotes both sides around the mark, leans against its position, follows the book.

Each round it replaces its quotes by cancelling and placing, both in as few messages as possible.  With a long position
it quotes lower, to sell; with a short one higher.  Run ``exchange serve`` and this; its quotes are post-only, so they
are filled by others' market orders.
"""

import sys
import time
from decimal import Decimal

from exchange import Client, PlaceOrder, Rejected

ENDPOINT = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5555"
ACCOUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 301
SYMBOL = "BTC-PERP"
LEVELS = 5  # on each side
SPREAD = Decimal("2.0")  # from the middle to the best quote
GAP = Decimal("1.5")  # between quotes
QUANTITY = Decimal("0.02")
LEAN = Decimal("0.05")  # quote units for each lot held
PAUSE_S = 0.2


def quotes(client: Client, middle: Decimal) -> list[PlaceOrder]:
    """The orders of one round, post-only so that they never pay the taker's fee."""
    tick = client.symbols()[SYMBOL].units.tick_size
    middle = (middle / tick).to_integral_value() * tick
    return [
        client.limit_order(
            SYMBOL, side, QUANTITY, middle + sign * (SPREAD + level * GAP), post_only=True
        )
        for side, sign in (("buy", -1), ("sell", 1))
        for level in range(LEVELS)
    ]


def position_lots(client: Client) -> int:
    return sum(position.position_lots for position in client.positions())


def main() -> None:
    with Client(ENDPOINT, ACCOUNT) as client, client.book_mirror(SYMBOL) as live:
        if not client.account().wallet_atoms:
            client.deposit(1_000_000)
        print(f"account {ACCOUNT} makes a market in {SYMBOL}", flush=True)
        while True:
            mark = client.symbols()[SYMBOL].mark
            assert mark is not None, "nobody has set a mark price yet"
            held = position_lots(client)
            client.cancel_all(SYMBOL)
            placed = client.place_many(quotes(client, mark - LEAN * held))
            refused = [result for result in placed if isinstance(result, Rejected)]
            live.update()
            best_bid, best_ask = live.mirror.best_bid, live.mirror.best_ask
            print(
                f"position {held} lots, best bid {best_bid and best_bid.price_ticks}, "
                f"best ask {best_ask and best_ask.price_ticks} ticks, {len(refused)} of {len(placed)} quotes refused",
                flush=True,
            )
            time.sleep(PAUSE_S)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped; its quotes stay in the book until somebody cancels them")
