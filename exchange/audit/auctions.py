"""Symbol states, auctions and settlements as their events tell them (MATCH-12)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate, pairwise

from exchange.audit.context import Context
from exchange.audit.live_orders import Order
from exchange.audit.state import BookSide, Holding, Symbol
from exchange.protocol.schema import COMMAND_BY_NAME, MAX_PRICE_TICKS, Side, SymbolState

SET_STATE = COMMAND_BY_NAME["set_symbol_state"].number
SET_MARK = COMMAND_BY_NAME["set_mark"].number
SET_PRICE = COMMAND_BY_NAME["set_price"].number
ADVANCE_TIME = COMMAND_BY_NAME["advance_time"].number

#: (price, lots, imbalance); price 0: nothing would trade.
Outcome = tuple[int, int, int]


class AuctionAudit:
    """Follows the states of symbols, and what each of them brings."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.state = context.state
        self.uncrossing: tuple[int, int] | None = None  # (symbol, price) of the auction under way
        self.opened: set[int] = set()  # symbols that this command opened
        self.indicated: list[int] = []
        self.in_auction: set[int] = set()
        self.marked = 0  # the symbol whose mark this command moved
        self.called = 0  # the symbol that this command put into auction
        self.last_settled = (0, 0)  # account and leg of the last position that was settled
        self.settling = 0

    def on_state(self, account: int, number: int, state: int) -> None:
        context, symbol = self.context, self.state.symbols[number]
        if context.command != SET_STATE:
            context.report("MATCH-12", f"symbol {number} changes its state by itself")
        if symbol.state == state != SymbolState.SETTLED:
            context.report("MATCH-12", f"symbol {number} is given the state that it has")
        if symbol.state == SymbolState.SETTLED != state:
            context.report("MATCH-12", f"symbol {number} was settled, and goes on")
        symbol.state = SymbolState(state)
        self.in_auction.discard(number)
        if state == SymbolState.AUCTION:
            self.in_auction.add(number)
            self.called = number
        if symbol.is_open:
            self.opened.add(number)
            context.watched.add(number)
        context.symbols.add(number)
        context.pools.update(holding.pool for holding in symbol.holders.values())

    def on_mark(self, number: int) -> None:
        self.marked = number
        if self.context.command == SET_MARK:
            states = tuple(state for state in SymbolState if state != SymbolState.SETTLED)
            self.context.expect_state(number, states, f"the mark of symbol {number} moves")

    def on_indicated(self, account: int, number: int, price: int, lots: int, over: int) -> None:
        self.context.expect_state(number, (SymbolState.AUCTION,), "an auction is indicated")
        self.expect_outcome(number, (price, lots, over))
        self.indicated.append(number)

    def on_uncrossed(self, account: int, number: int, price: int, lots: int, over: int) -> None:
        context = self.context
        if number not in self.opened:
            context.report("MATCH-12", f"symbol {number} uncrosses without being opened")
        self.expect_outcome(number, (price, lots, over))
        self.uncrossing = (number, price)

    def expect_outcome(self, number: int, came: Outcome) -> None:
        wanted = outcome(self.state.symbols[number])
        self.context.expect(
            "MATCH-12", f"(price, lots, imbalance) of symbol {number}", wanted, came
        )

    def check_fill(self, order: Order, price: int, lots: int) -> None:
        """At the one price, nobody worse than his limit, in the order of price and time."""
        context, symbol = self.context, order.holding.symbol
        if self.uncrossing != (symbol.number, price):
            context.report(
                "MATCH-12", f"order {order.order_id} trades at {price} in {self.uncrossing}"
            )
        if order.price < price if order.side == Side.BUY else order.price > price:
            context.report(
                "MATCH-12", f"order {order.order_id} with limit {order.price} trades at {price}"
            )

    def on_settlement(self, holding: Holding, position: int) -> None:
        """One position after the other is closed, by account and leg."""
        symbol, place = holding.symbol, (holding.account, holding.leg)
        number = symbol.number
        if symbol.state != SymbolState.SETTLED or self.context.command != SET_STATE:
            self.context.report("MATCH-12", f"a position of symbol {number} is settled")
        if place <= self.last_settled or position:
            self.context.report("MATCH-12", f"{place} is settled after {self.last_settled}")
        self.last_settled, self.settling = place, number

    def finish(self) -> None:
        context = self.context
        for number in self.opened:
            bids, asks = (side.best() for side in self.state.symbols[number].sides)
            if bids is not None and asks is not None and bids >= asks:
                context.report("MATCH-12", f"symbol {number} is open and crossed: {bids} {asks}")
        if self.settling and self.state.symbols[self.settling].holders:
            context.report("MATCH-12", f"symbol {self.settling} is settled in part")
        self.check_indications()
        for number in context.symbols:
            symbol = self.state.symbols[number]
            if symbol.state == SymbolState.SETTLED and (symbol.open_lots or symbol.waiting_count):
                context.report("MATCH-12", f"symbol {number} is settled and has orders")
        self.uncrossing = None
        self.opened.clear()
        self.indicated = []
        self.marked = self.called = self.settling = 0
        self.last_settled = (0, 0)

    def check_indications(self) -> None:
        """Calling an auction, each mark and each step of time tell what it would give."""
        command = self.context.command
        if command == ADVANCE_TIME:
            wanted = sorted(self.in_auction)
        elif command in (SET_MARK, SET_PRICE):
            wanted = [self.marked] if self.marked in self.in_auction else []
        elif command == SET_STATE:
            wanted = [self.called] if self.called else []
        else:
            wanted = []
        self.context.expect("MATCH-12", "indications of symbols", wanted, self.indicated)


def outcome(symbol: Symbol) -> Outcome:
    """What an auction gives: most lots, then least left over, then nearest to the mark, then lower.

    What is bid and offered changes at the prices of orders only, so each of them and the ranges between them are
    looked at, and of a range the price that is nearest to the mark.
    """
    bids, asks = (levels(side) for side in symbol.sides)
    best: tuple[int, int, int, int, int] | None = None
    for low, high in ranges(sorted({price for price, _ in (*bids, *asks)})):
        bought = at_or_above(bids, low)
        sold = at_or_below(asks, low)
        price = min(max(symbol.mark, low), high)
        over = bought - sold
        key = (-min(bought, sold), abs(over), abs(price - symbol.mark), price, over)
        best = key if best is None else min(best, key)
    if best is None or best[0] == 0:
        return (0, 0, 0)
    return (best[3], -best[0], best[4])


def levels(side: BookSide) -> list[tuple[int, int]]:
    """(price, all lots up to it) of a side, rising; hidden lots count."""
    prices = sorted(side.levels)
    lots = (sum(order.open_lots for order in side.levels[price].values()) for price in prices)
    return list(zip(prices, accumulate(lots), strict=True))


def at_or_below(summed: list[tuple[int, int]], price: int) -> int:
    index = bisect_right(summed, price, key=lambda level: level[0])
    return summed[index - 1][1] if index else 0


def at_or_above(summed: list[tuple[int, int]], price: int) -> int:
    index = bisect_left(summed, price, key=lambda level: level[0])
    below = summed[index - 1][1] if index else 0
    return (summed[-1][1] if summed else 0) - below


def ranges(prices: list[int]) -> Iterator[tuple[int, int]]:
    """Each price alone, and each gap between two of them."""
    for price, after in pairwise((*prices, MAX_PRICE_TICKS + 1)):
        yield price, price
        if after - price > 1:
            yield price + 1, after - 1
