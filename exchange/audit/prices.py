"""Marks as their events tell them: who may move one, what a composite mark comes to, and when it is held (MARK-01..03).

Theory of operation.  A composite mark is computed when `set_price` has told its price, and when `advance_time` begins
to act.  What the engine has to tell then is computed from the book and the prices that the events have told so far,
and is compared with what it tells, in order.
"""

from __future__ import annotations

from collections import deque

from exchange.audit.context import Context
from exchange.audit.state import Composite, Holding, Symbol
from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    MAX_PRICE_TICKS,
    SymbolState,
)

SET_MARK, SET_STATE, SET_PRICE, SET_POLICY, ADVANCE_TIME = (
    COMMAND_BY_NAME[name].number
    for name in ("set_mark", "set_symbol_state", "set_price", "set_mark_policy", "advance_time")
)
INDEX = 0
UNIT = 1 << 20  # of the average distance

#: What is told: a hold (held, inputs), or a mark (price), of a symbol.
Told = tuple[str, int, int, int]


class PriceAudit:
    """Computes composite marks anew."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.state = context.state
        self.expected: deque[Told] = deque()
        self.has_passed = False  # whether what time does to marks was looked at in this command

    # -------------------------------------------------------------------------------------------- events

    def on_policy(
        self, account: int, number: int, enabled: int, max_feeds: int, max_age_ns: int, ema_ns: int
    ) -> None:
        context, symbol = self.context, self.state.symbols[number]
        context.expect("MARK-02", "the command of a mark policy", SET_POLICY, context.command)
        if symbol.state == SymbolState.SETTLED:
            context.report("MARK-02", f"symbol {number} is settled and gets a mark policy")
        if not enabled:
            symbol.composite = None
            if symbol.is_held:
                self.expected.append(("hold", number, 0, 0))
            return
        if symbol.composite is None:
            symbol.composite = Composite(context.now_ns)
            symbol.market_last = 0
        composite = symbol.composite
        composite.max_feeds, composite.max_age_ns, composite.ema_ns = max_feeds, max_age_ns, ema_ns
        kept = composite.prices.items()
        composite.prices = {source: price for source, price in kept if source <= max_feeds}

    def on_price(self, account: int, number: int, source: int, price: int) -> None:
        context, symbol = self.context, self.state.symbols[number]
        context.expect("MARK-02", "the command of a price", SET_PRICE, context.command)
        composite = symbol.composite
        if composite is None or source > composite.max_feeds:
            context.report("MARK-02", f"symbol {number} takes a price of source {source}")
            return
        composite.prices[source] = (price, context.now_ns)
        self.compute(symbol, composite)

    def on_hold(self, account: int, number: int, held: int, inputs: int) -> None:
        self.take(("hold", number, held, inputs))
        self.state.symbols[number].is_held = bool(held)

    def on_mark(self, symbol: Symbol, price: int) -> None:
        """Before the mark moves."""
        command = self.context.command
        if command == SET_STATE and symbol.state == SymbolState.SETTLED:
            symbol.composite, symbol.is_held, symbol.funding = None, False, None
        elif symbol.composite is not None:
            self.take(("mark", symbol.number, price, 0))
        elif command != SET_MARK:
            self.context.report(
                "MARK-01", f"the mark of symbol {symbol.number} moves by command {command}"
            )

    def on_taker(self, holding: Holding, lots_before: int) -> None:
        """MARK-03: a taker's fill, settled."""
        if holding.symbol.is_held and not abs(holding.lots) < abs(lots_before):
            self.context.report(
                "MARK-03",
                f"account {holding.account} opens in symbol {holding.symbol.number}, whose mark is held",
            )

    # ------------------------------------------------------------------------------------- what is expected

    def pass_time(self) -> None:
        """A command begins to act: `advance_time` computes every composite mark, by symbol."""
        if self.has_passed or self.context.command != ADVANCE_TIME:
            return
        self.has_passed = True
        for number in sorted(self.state.symbols):
            symbol = self.state.symbols[number]
            if symbol.composite is not None:
                self.compute(symbol, symbol.composite)

    def compute(self, symbol: Symbol, composite: Composite) -> None:
        """What is told of the mark now."""
        prices = sorted(self.inputs(symbol, composite))
        price = 0
        if len(prices) >= 2:
            price = (prices[(len(prices) - 1) // 2] + prices[len(prices) // 2]) // 2
        exposed = (symbol.gross_lots + 2 * symbol.open_lots) * price * symbol.m
        held = price == 0 or exposed > symbol.policy.exposure_limit_atoms
        if held != symbol.is_held:
            self.expected.append(("hold", symbol.number, int(held), len(prices)))
        if not held and price != symbol.mark:
            self.expected.append(("mark", symbol.number, price, 0))

    def inputs(self, symbol: Symbol, composite: Composite) -> list[int]:
        now = self.context.now_ns
        fresh = {
            source: price
            for source, (price, at) in composite.prices.items()
            if at >= now - composite.max_age_ns
        }
        bid, ask = (side.best() for side in symbol.sides)
        prices = [price for source, price in fresh.items() if source != INDEX]
        is_quoted = symbol.is_open and bid is not None and ask is not None
        if INDEX in fresh:
            if is_quoted:
                composite.average(((bid or 0) + (ask or 0) - 2 * fresh[INDEX]) * UNIT // 2, now)
            with_basis = fresh[INDEX] + composite.basis // UNIT
            prices.append(min(max(with_basis, 1), MAX_PRICE_TICKS))
        if is_quoted:
            last = symbol.market_last
            prices.append(
                sorted((bid or 0, ask or 0, last))[1] if last else ((bid or 0) + (ask or 0)) // 2
            )
        return prices

    def take(self, told: Told) -> None:
        wanted = self.expected.popleft() if self.expected else None
        self.context.expect("MARK-02", "what is told of a mark", wanted, told)

    def finish(self) -> None:
        self.pass_time()
        for told in self.expected:
            self.context.report("MARK-02", f"{told} of a symbol is not told")
        self.expected.clear()
        self.has_passed = False
