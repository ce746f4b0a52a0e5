"""The worlds that the fuzzer makes: symbols, brackets, fees, caps and funds that nobody would choose together."""

from __future__ import annotations

from random import Random

import msgspec

from exchange.protocol.messages import Bracket, ListSymbol
from exchange.protocol.schema import LiquidationMode

#: ppm; bracket k has at least the rates of bracket k - 1.
RATES = (1_000, 4_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 350_000, 1_000_000)
#: So many symbols of a world may be settled and replaced.
MAX_REPLACED = 3


class World(msgspec.Struct, frozen=True):
    """Where a stream of commands plays."""

    listings: tuple[ListSymbol, ...]
    marks: tuple[int, ...]  # where each symbol's mark begins
    accounts: tuple[int, ...]
    stake_atoms: int  # what an account brings, roughly
    lots: tuple[int, ...]  # lots that a stake buys without leverage, per symbol
    calm: float  # how seldom marks leap
    hedge_share: float  # of the accounts, those that begin in hedge mode
    fund_share: float  # of a stake, what a fund is given at a time; 0: funds stay empty


def make_world(random: Random) -> World:
    """A world of one to four symbols and three to fourteen accounts."""
    count = random.choice((1, 1, 2, 2, 3, 4))
    scale = random.choice(("small", "small", "middle", "middle", "huge"))
    stake = {"small": 20_000, "middle": 10**10, "huge": 10**15}[scale] * random.randint(1, 9)
    listings, marks, lots = [], [], []
    for number in range(1, count + 1):
        listing, mark = make_listing(random, number, scale, stake, count)
        listings.append(listing)
        marks.append(mark)
        lots.append(max(1, stake // (mark * listing.atoms_per_tick_lot)))
    first = random.choice((1, 1, 5, 1_000)) if random.random() < 0.98 else (1 << 24) - 20
    return World(
        listings=tuple(listings),
        marks=tuple(marks),
        accounts=tuple(range(first, first + random.randint(3, 14))),
        stake_atoms=stake,
        lots=tuple(lots),
        calm=random.choice((0.5, 0.8, 0.95)),
        hedge_share=random.choice((0.0, 0.0, 0.0, 0.0, 0.4, 1.0)),
        fund_share=random.choice((0.0, 0.001, 0.02, 0.5, 5.0)),
    )


def make_listing(
    random: Random, number: int, scale: str, stake: int, count: int
) -> tuple[ListSymbol, int]:
    """A symbol and the mark that it begins at."""
    mark = {
        "small": random.choice((3, 20, 100, 1_000)),
        "middle": random.choice((50, 10_000, 1_000_000)),
        "huge": random.choice((1, 10**6, 10**11)),
    }[scale]
    lots = random.choice((1, 7, 50, 300, 100_000))  # that a stake buys
    m = min(10**12, max(1, stake // (mark * lots)))
    brackets = make_brackets(random, stake)
    first_initial = brackets[0][2] or brackets[0][1]
    fee = random.choice((0, 0, 200, 500, 1_000, 30_000, 100_000))
    exponent = random.randint(0, 3)
    listing = ListSymbol(
        symbol=number if random.random() < 0.9 else 65_535 - number,
        name=f"S{number}",
        tick_size_e12=m * 10 ** (8 + exponent) if m <= 10**7 else m,
        lot_size_e12=10 ** (8 - exponent) if m <= 10**7 else 10**16,
        atoms_per_tick_lot=m,
        initial_margin_ppm=min(
            1_000_000, max(first_initial, random.choice((10_000, 50_000, 100_000, 333_334)))
        ),
        taker_fee_ppm=fee,
        maker_fee_ppm=random.choice((0, fee, fee // 2, -(fee // 2), -fee)),
        price_band_ppm=random.choice(
            (-1, -1, -1, -1, -1, 50_000, 300_000) if random.random() < 0.97 else (0,)
        ),
        upnl_weight_ppm=random.choice((1_000_000, 1_000_000, 500_000, 1, 0)),
        min_qty_lots=random.choice((1, 1, 1, 2)),
        max_qty_lots=random.choice((10**12, 10**12, 10**12, max(2, 50 * lots))),
        min_notional_atoms=random.choice((0, 0, 0, m * mark, 3 * m * mark)),
        max_open_orders=random.choice((200, 200, 200, 20, 3)),
        # Room for symbols that take the places of settled ones.
        exposure_limit_atoms=min(
            (1 << 60) // (count + MAX_REPLACED), random.choice((1 << 60,) * 9 + (1_000 * stake,))
        ),
        fund=random.choice((0, 0, 0, number)),
        slippage_cap_ppm=random.choice((-1, 0, 20_000, 50_000, 200_000, 999_999)),
        liquidation_mode=random.choice(tuple(LiquidationMode)),
        liquidation_fee_ppm=random.choice((0, 0, 2_000, 5_000, 50_000)),
        liquidation_fraction_ppm=random.choice((1, 100_000, 250_000, 1_000_000)),
        liquidation_buffer_ppm=random.choice((0, 0, 100_000, 1_000_000)),
        liquidation_min_notional_atoms=random.choice((0, 0, m * mark, stake // 10)),
        liquidation_max_notional_atoms=random.choice((-1, -1, -1, stake // 2, 1)),
        draw_cap_atoms=random.choice((-1, -1, -1, 0, stake // 100)),
        brackets=brackets,
    )
    return listing, mark


def make_brackets(random: Random, stake: int) -> tuple[Bracket, ...]:
    """One bracket, or several whose edges a few stakes of notional reach."""
    count = random.choice((1, 1, 2, 3, 5))
    rates = sorted(random.choice(RATES[:-1]) for _ in range(count))
    if random.random() < 0.05:
        rates[-1] = RATES[-1]
    brackets: list[Bracket] = []
    floor = initial = 0
    for rate in rates:
        initial = max(initial, rate, random.choice((0, rate, 2 * rate)))
        initial = min(initial, 1_000_000)
        brackets.append((floor, rate, random.choice((0, initial)) if initial == rate else initial))
        # A floor that every difference of rates divides, so that maintenance amounts are whole.
        step = max(1, stake * random.choice((1, 3, 10)) // 1_000)
        floor += step * 1_000
    return tuple(brackets)
