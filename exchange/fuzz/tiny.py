"""Worlds of few atoms: an atom a lot and tick, prices around ten, money for a few lots.

In large numbers two sides of a comparison are hardly ever equal, and a rounding is an atom of millions.  Here equity is
exactly maintenance, a profit exactly zero, a part exactly the whole, all the time.

>>> from exchange.audit.state import State
>>> world = TinyGenerator(7, State()).world
>>> max(world.marks) <= 25, {listing.atoms_per_tick_lot for listing in world.listings}
(True, {1})
"""

from __future__ import annotations

from random import Random

from exchange.audit.state import State
from exchange.fuzz.generator import Generator
from exchange.fuzz.worlds import World
from exchange.protocol.messages import Bracket, ListSymbol
from exchange.protocol.schema import LiquidationMode

#: Pairs of rates, to hold and to open, in ppm.
RATES = (
    (100_000, 200_000),
    (50_000, 100_000),
    (200_000, 200_000),
    (1, 500_000),
    (333_333, 400_000),
)


class TinyGenerator(Generator):
    """The fuzzer's commands in a world where everything is small."""

    def __init__(self, seed: int, state: State) -> None:
        super().__init__(seed, state)
        self.world = make_tiny_world(self.random)
        self.listings = list(self.world.listings)
        numbers = [listing.symbol for listing in self.listings]
        self.marks = dict(zip(numbers, self.world.marks, strict=True))
        self.stake_lots = dict(zip(numbers, self.world.lots, strict=True))
        self.coming = self.make_opening()


def make_tiny_world(random: Random) -> World:
    """One or two symbols, four to seven accounts, at most 200 atoms for most of them."""
    count = random.choice((1, 2, 2))
    marks = [random.choice((5, 10, 10, 20, 25)) for _ in range(count)]
    stake = random.choice((20, 50, 100, 200))
    return World(
        listings=tuple(tiny_listing(random, number) for number in range(1, count + 1)),
        marks=tuple(marks),
        accounts=tuple(range(1, random.randint(5, 8))),
        stake_atoms=stake,
        lots=tuple(max(1, stake // mark) for mark in marks),
        calm=random.choice((0.5, 0.8)),
        fund_share=random.choice((0.0, 0.1, 0.5)),
        hedge_share=random.choice((0.0, 0.0, 0.5)),
    )


def tiny_listing(random: Random, number: int) -> ListSymbol:
    """A symbol with one bracket or two, whose edge a few lots reach."""
    hold, to_open = random.choice(RATES)
    brackets: tuple[Bracket, ...] = ((0, hold, to_open),)
    if random.random() < 0.4 and hold % 50_000 == 0:
        brackets = (*brackets, (60, hold + 100_000, min(1_000_000, to_open + 200_000)))
    taker = random.choice((0, 0, 20_000, 100_000))
    return ListSymbol(
        symbol=number,
        name=f"S{number}",
        tick_size_e12=10**8,
        lot_size_e12=10**8,
        atoms_per_tick_lot=1,
        initial_margin_ppm=to_open,
        taker_fee_ppm=taker,
        maker_fee_ppm=random.choice((0, taker, -(taker // 2))),
        upnl_weight_ppm=random.choice((1_000_000, 500_000, 0)),
        exposure_limit_atoms=random.choice((1 << 40, 1 << 40, 3_000)),
        fund=random.choice((0, number)),
        slippage_cap_ppm=random.choice((-1, -1, 0, 200_000)),
        liquidation_mode=random.choice(tuple(LiquidationMode)),
        liquidation_fee_ppm=random.choice((0, 20_000, 100_000)),
        liquidation_fraction_ppm=random.choice((250_000, 500_000)),
        liquidation_buffer_ppm=random.choice((0, 100_000)),
        liquidation_min_notional_atoms=random.choice((0, 0, 20)),
        liquidation_max_notional_atoms=random.choice((-1, -1, 30)),
        draw_cap_atoms=random.choice((-1, 0, 3)),
        brackets=brackets,
    )
