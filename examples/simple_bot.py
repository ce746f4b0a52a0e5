"""A bot in twenty lines: buys a little below the mark, sells what it got a little higher, and starts over.

Run ``exchange serve`` in one terminal and ``python examples/simple_bot.py`` in another; endpoint and account may be
given (``... simple_bot.py tcp://127.0.0.1:5555 2``).  It trades when somebody sells to it and buys from it:
docs/start.md does so from a shell.  Ctrl-C ends it.
"""

import sys

from exchange import Client, Fill, Side

ENDPOINT = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5555"
ACCOUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 1
SYMBOL, QUANTITY, STEP = "BTC-PERP", "0.01", 10


def main() -> None:
    with Client(ENDPOINT, ACCOUNT) as client:
        if not client.account().wallet_atoms:
            client.deposit(10_000)
        client.cancel_all(SYMBOL)
        listed = client.symbols()[SYMBOL]
        assert listed.mark is not None, "nobody has set a mark price yet"
        order = client.limit(SYMBOL, "buy", QUANTITY, listed.mark - STEP)
        print(
            f"account {ACCOUNT} buys {QUANTITY} at {listed.mark - STEP}: order {order.order_id} {order.status}"
        )
        for event in client.events():
            if isinstance(event, Fill) and event.open_lots == 0:
                price = listed.units.ticks_to_price(event.price_ticks)
                print(
                    f"{Side(event.side).name} of {QUANTITY} filled at {price}, position {event.position_lots} lots"
                )
                if event.side == Side.BUY:
                    client.limit(SYMBOL, "sell", QUANTITY, price + STEP)
                else:
                    client.limit(SYMBOL, "buy", QUANTITY, price - STEP)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("stopped; the orders stay in the book")
