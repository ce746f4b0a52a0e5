"""What every recipe of the fuzzer chooses from: accounts, symbols, orders, prices and quantities that matter.

Chosen blindly, nearly all commands are refused and nothing happens.  So prices lie at the other side's best or at the
mark, triggers just beside what they watch, and quantities are what an account can just bear, or just not.
"""

from __future__ import annotations

from random import Random

import msgspec

from exchange.audit.live_orders import Order, Waiting
from exchange.audit.requirement import available
from exchange.audit.state import Holding, State
from exchange.fuzz.worlds import World, make_world
from exchange.protocol.messages import ListSymbol, PlaceOrder
from exchange.protocol.schema import MAX_PRICE_TICKS, MAX_QTY_LOTS, Leg, Side

#: Each command comes so much later than the one before.
STEP_NS = 1_000_000


def time_of(index: int) -> int:
    """The time of a stream's command, by its place from 0."""
    return (index + 1) * STEP_NS


class Chooser:
    """A stream's chance, its world, and the state that it has led to so far."""

    def __init__(self, seed: int, state: State) -> None:
        self.random = Random(seed)
        self.state = state
        self.world: World = make_world(self.random)
        self.listings = list(self.world.listings)  # those that trade; settled ones are replaced
        self.marks = {
            listing.symbol: mark
            for listing, mark in zip(self.world.listings, self.world.marks, strict=True)
        }
        self.stake_lots = {
            listing.symbol: lots
            for listing, lots in zip(self.world.listings, self.world.lots, strict=True)
        }
        self.client_order_id = 0
        self.made = 0  # commands so far, the one being made included

    @property
    def now_ns(self) -> int:
        """The time that the command being made will have."""
        return time_of(self.made - 1)

    def soon_ns(self) -> int:
        """A time that most streams live to see; now and then one that is over."""
        steps = self.random.choice((1, 1, 2, 3, 5, 8, 13, 30, 100, 1_000))
        if self.random.random() < 0.03:
            steps = self.random.choice((0, -1))
        return max(0, self.now_ns + steps * STEP_NS + self.random.choice((0, 0, 0, 1, -1)))

    # -------------------------------------------------------------------------------- accounts and symbols

    def pick_account(self) -> int:
        random = self.random
        if random.random() < 0.01:
            return random.choice((0, 1 << 24, 4_242))
        return random.choice(self.world.accounts)

    def pick_symbol(self) -> ListSymbol:
        return self.random.choice(self.listings)

    def holding(self, account: int, symbol: int, leg: int = Leg.NET) -> Holding | None:
        owner = self.state.accounts.get(account)
        return owner.holdings.get((symbol, leg)) if owner else None

    def pick_leg(self, account: int) -> Leg:
        """One that the account has in its position mode; now and then another."""
        random, owner = self.random, self.state.accounts.get(account)
        if random.random() < 0.005:
            return random.choice(tuple(Leg))
        if owner is None or not owner.hedge:
            return Leg.NET
        return random.choice((Leg.LONG, Leg.SHORT))

    def pick_side(self, leg: Leg) -> Side:
        """Either; of a leg mostly the one that opens it."""
        if leg == Leg.NET or self.random.random() < 0.15:
            return self.random.choice((Side.BUY, Side.SELL))
        return Side.BUY if leg == Leg.LONG else Side.SELL

    def beside(self, first: PlaceOrder, order: PlaceOrder) -> PlaceOrder:
        """An order of a linked list: nearly always of the leg of the first."""
        if self.random.random() < 0.03:
            return order
        return msgspec.structs.replace(order, leg=first.leg)

    def wallet(self, account: int) -> int:
        owner = self.state.accounts.get(account)
        return owner.wallet if owner else 0

    def pick_order(self) -> Order | Waiting | None:
        """Any of the newest few that rest, or of those that wait."""
        live: dict[int, Order] | dict[int, Waiting] = self.state.orders
        if self.state.waiting and (not live or self.random.random() < 0.35):
            live = self.state.waiting
        if not live:
            return None
        # The newest: cheap to find, and where the action is.
        step = self.random.randrange(min(len(live), 12))
        for order_id in reversed(live):
            if step == 0:
                return live[order_id]
            step -= 1
        return None

    # -------------------------------------------------------------------------------------------- prices

    def mark_of(self, symbol: int) -> int:
        known = self.state.symbols.get(symbol)
        return known.mark if known and known.mark else 1

    def last_of(self, symbol: int) -> int:
        known = self.state.symbols.get(symbol)
        return known.last if known and known.last else self.mark_of(symbol)

    def home_price(self, listing: ListSymbol) -> int:
        """Where the symbol began: what leapt away must not stay there."""
        return self.marks[listing.symbol]

    def price(self, listing: ListSymbol, side: int) -> int:
        """The other side's best, the mark, somewhere near, or somewhere absurd."""
        random = self.random
        mark = self.mark_of(listing.symbol)
        choice = random.random()
        if choice > 0.97:
            return random.choice(
                (1, 2, mark * 2, mark // 2, mark * 10, MAX_PRICE_TICKS, MAX_PRICE_TICKS + 1, 0)
            )
        best = None
        if choice < 0.5 and listing.symbol in self.state.symbols:
            best = self.state.symbols[listing.symbol].sides[1 - side].best()
        if best is not None:
            price = best + random.choice((0, 0, 0, 1, -1))
        else:
            price = self.near(mark, random.choice((10, 50, 200)))
        band = listing.price_band_ppm
        if band >= 0 and random.random() < 0.95:
            price = max(
                mark - mark * band // 1_000_000, min(price, mark + mark * band // 1_000_000)
            )
        return min(MAX_PRICE_TICKS, max(1, price))

    def near(self, price: int, parts: int) -> int:
        """Up to a part of the price away from it, in either direction."""
        spread = max(2, price // parts)
        return price + self.random.randint(-spread, spread)

    # ----------------------------------------------------------------------------------------- quantities

    def held_lots(self, holding: Holding | None, reduce_only: bool) -> int:
        """A quantity measured at the position, to close some, all, or more of it; 0: measured otherwise."""
        if holding and holding.lots and (reduce_only or self.random.random() < 0.25):
            return max(1, abs(holding.lots) * self.random.choice((1, 2, 4, 4, 6, 8, 12)) // 4)
        return 0

    def quantity(self, account: int, listing: ListSymbol, price: int) -> int:
        """What the account can just bear, with the leverage that it has."""
        random = self.random
        if random.random() < 0.01:
            return random.choice((0, -1, MAX_QTY_LOTS, MAX_QTY_LOTS + 1))
        lots = (
            self.bearable_lots(account, listing, price)
            * random.choice((1, 2, 3, 5, 7, 8, 9, 9, 10, 11))
            // 10
        )
        if lots < 1:
            lots = self.stake_lots[listing.symbol] * random.randint(1, 5) // 20
        if random.random() < 0.8:
            lots = max(
                lots, -(-listing.min_notional_atoms // (max(1, price) * listing.atoms_per_tick_lot))
            )
        if random.random() < 0.97:
            lots = max(listing.min_qty_lots, min(lots, listing.max_qty_lots))
        return min(MAX_QTY_LOTS, max(1, lots))

    def bearable_lots(self, account: int, listing: ListSymbol, price: int) -> int:
        """About as many lots as the account's available money opens at this price."""
        owner, symbol = self.state.accounts.get(account), self.state.symbols.get(listing.symbol)
        if owner is None or symbol is None or not symbol.mark:
            return 0
        free = max(0, available(owner))
        holding = owner.holdings.get((listing.symbol, Leg.NET))
        least = holding.rate_ppm if holding else listing.initial_margin_ppm
        lots = 0
        for initial, floor in zip(symbol.initials, symbol.floors, strict=True):
            if lots and lots * symbol.mark_value < floor:
                break
            per_lot = (
                max(price, symbol.mark)
                * symbol.m
                * (max(least, initial) + listing.taker_fee_ppm)
                // 1_000_000
            )
            lots = free // max(1, per_lot + abs(price - symbol.mark) * symbol.m)
        return lots

    def next_client_order_id(self) -> int:
        if self.random.random() < 0.7:
            return 0
        if self.random.random() < 0.1:
            return self.random.randint(1, 5)
        self.client_order_id += 1
        return self.client_order_id
