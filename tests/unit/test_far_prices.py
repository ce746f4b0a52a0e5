"""Prices far apart, next to each other, and both: what a dict and a sort say of a book, the engine says too."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from exchange.bench import core
from exchange.engine import Engine
from exchange.protocol import messages, records
from exchange.protocol.schema import Side, TimeInForce

ACCOUNTS = 40
#: Bids stand below the middle and asks above it.
MIDDLE = 500_000_000
FAR = 100_000


class Venue:
    """A native engine with one symbol and unlimited credit, and what its book should be."""

    def __init__(self, spacing: int) -> None:
        self.engine: Engine = core.new_engine(False)
        self.spacing = spacing
        self.resting: dict[int, tuple[int, int, int]] = {}  # order id: account, side, price
        self.engine.apply(core.setup_commands({1}))

    def send(self, command: messages.Command) -> list[messages.Event]:
        stamped = records.stamp(records.encode_command(command), self.engine.sequence + 1, 1)
        return records.decode_events(self.engine.apply(stamped))

    def place(self, rng: random.Random) -> None:
        """An order at one of three thousand prices of its side, of which three stand in one block."""
        side, account = rng.choice(tuple(Side)), rng.randint(1, ACCOUNTS)
        away = 1 + rng.randrange(1_000) * self.spacing + rng.choice((0, 1, 40))
        price = MIDDLE - away if side == Side.BUY else MIDDLE + away
        order = messages.PlaceOrder(
            account=account, symbol=core.SYMBOL, side=side, price_ticks=price, qty_lots=1
        )
        accepted = self.send(order)[0]
        assert isinstance(accepted, messages.Accepted)
        self.resting[accepted.order_id] = (account, side, price)

    def cancel(self, rng: random.Random) -> None:
        order_id = rng.choice(list(self.resting))
        account, _, _ = self.resting.pop(order_id)
        events = self.send(messages.CancelOrder(account=account, order_id=order_id))
        assert [type(event) for event in events] == [messages.Accepted, messages.OrderCancelled]

    def take(self, rng: random.Random) -> None:
        """A lot from the best price of a side, which is the first of those that came there."""
        side = rng.choice(tuple(Side))
        order = messages.PlaceOrder(
            account=ACCOUNTS + 1,
            symbol=core.SYMBOL,
            side=side,
            price_ticks=1 if side == Side.SELL else 2 * MIDDLE,
            qty_lots=1,
            time_in_force=TimeInForce.IOC,
        )
        others = [(id_, p) for id_, (_, s, p) in self.resting.items() if s != side]
        filled = [e for e in self.send(order) if isinstance(e, messages.Fill)]
        if not others:
            assert not filled
            return
        sign = 1 if side == Side.BUY else -1
        wanted = min(others, key=lambda other: (sign * other[1], other[0]))
        assert (filled[0].order_id, filled[0].price_ticks) == wanted
        del self.resting[wanted[0]]

    def check(self) -> None:
        """Every level of both sides, best first."""
        book = self.engine.book(core.SYMBOL)
        for side, levels in ((Side.BUY, book.bids), (Side.SELL, book.asks)):
            lots = Counter(price for _, s, price in self.resting.values() if s == side)
            wanted = sorted(lots.items(), reverse=side == Side.BUY)
            assert [(level.price_ticks, level.qty_lots) for level in levels] == wanted


@pytest.mark.parametrize("spacing", [FAR, 64, 43])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_book_is_what_was_placed(spacing: int, seed: int) -> None:
    """It grows to two thousand prices, so that nodes of the index are halved on every height, and shrinks to none."""
    rng = random.Random(seed)
    venue = Venue(spacing)
    for step in range(4_000):
        venue.place(rng)
        if rng.random() < 0.3:
            rng.choice((venue.cancel, venue.take))(rng)
        if step % 200 == 0:
            venue.check()
    venue.check()
    assert len({price for _, _, price in venue.resting.values()}) > 1_500
    step = 0
    while venue.resting:
        rng.choice((venue.cancel, venue.cancel, venue.take))(rng)
        if step % 200 == 0:
            venue.check()
        step += 1
    venue.check()


def test_ten_thousand_prices_in_a_row_come_and_go_from_either_end() -> None:
    for far_first in (False, True):
        venue = Venue(FAR)
        ids = []
        for number in range(10_000):
            place = 10_000 - number if far_first else number
            order = messages.PlaceOrder(
                account=1,
                symbol=core.SYMBOL,
                side=Side.BUY,
                price_ticks=1 + place * FAR,
                qty_lots=1,
            )
            ids.append(venue.send(order)[0].order_id)
            venue.resting[ids[-1]] = (1, Side.BUY, 1 + place * FAR)
        venue.check()
        for order_id in ids:
            venue.send(messages.CancelOrder(account=1, order_id=order_id))
            del venue.resting[order_id]
        venue.check()
