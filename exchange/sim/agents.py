"""The traders of a simulated market: makers, noise traders, trend followers, and people with leverage.

An agent is a `Bot` (exchange/client/bot.py) whose timer is the market's step: it sees a `View` of the market once a
step and answers with commands for its own account; it hears of its own events and of nobody else's, as on a node.  What
it thinks in is floats; what it sends is ticks and lots.  Every agent draws from a generator of its own, seeded by the
run's seed and the agent's account, so that adding one agent does not change what the others do.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from random import Random

import msgspec

from exchange.client.bot import Bot
from exchange.protocol.messages import (
    CancelAll,
    Command,
    Event,
    LiquidationStarted,
    PlaceOrder,
)
from exchange.protocol.schema import (
    MarginMode,
    OrderFlag,
    Side,
    TimeInForce,
)

BP = 1e-4
#: How far from the index a taker goes: anybody, and somebody with leverage who opens.  An order counts with its limit
#: when its margin is checked, so that 100x leaves no room for more.
FAIR_DISTANCE, CLOSE_DISTANCE = 0.01, 0.002


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What everybody can see at a step.  The index is where the world trades; the mark follows it a step later."""

    step: int
    index_ticks: int
    depth: float  # of the world's books, as a share of the usual
    volatility: float  # of the index per step, as a fraction: an average that forgets


class Terms(msgspec.Struct, frozen=True):
    """What an agent has to know of the symbol."""

    symbol: int
    atoms_per_tick_lot: int

    def lots(self, notional: float, price_ticks: int) -> int:
        """So many whole lots are worth about a notional in quote units."""
        return int(notional * 1e8 / (price_ticks * self.atoms_per_tick_lot))

    def notional(self, lots: int, price_ticks: int) -> float:
        """What lots are worth in quote units."""
        return lots * price_ticks * self.atoms_per_tick_lot / 1e8


class Trader(Bot):
    """What all agents have: an account, a generator, a position, and a mind that is asked once a step."""

    def __init__(self, account: int, terms: Terms, random: Random) -> None:
        super().__init__(account)
        self.terms = terms
        self.random = random
        self.view: View | None = None  # of the present step

    @abstractmethod
    def act(self, view: View) -> list[Command]:
        """What the agent does at this step."""

    def step(self, view: View) -> list[Command]:
        """The market's next step."""
        self.view = view
        return self.tick()

    def on_timer(self) -> None:
        assert self.view is not None, "an agent is asked at a step of the market"
        self.do(*self.act(self.view))

    @property
    def position_lots(self) -> int:
        """Its position as the exchange told it, + long."""
        return self.held_lots(self.terms.symbol)

    def take(
        self,
        signed_lots: int,
        view: View,
        distance: float = FAIR_DISTANCE,
        *,
        reduce_only: bool = False,
    ) -> list[Command]:
        """Takes so many lots, + to buy, but not further than a distance from where the world trades."""
        if not signed_lots:
            return []
        worst = distance if signed_lots > 0 else -distance
        return [
            PlaceOrder(
                account=self.account,
                symbol=self.terms.symbol,
                side=Side.BUY if signed_lots > 0 else Side.SELL,
                time_in_force=TimeInForce.IOC,
                flags=OrderFlag.REDUCE_ONLY if reduce_only else 0,
                price_ticks=round(view.index_ticks * (1 + worst)),
                qty_lots=abs(signed_lots),
            )
        ]


class MakerStyle(msgspec.Struct, frozen=True, kw_only=True):
    """How a maker quotes: all shares are of the usual depth."""

    usual_depth: float  # notional of one maker within 1 % of the index on one side, in quote units
    offsets_bp: tuple[float, ...] = (1, 4, 10, 22, 45, 80, 140, 230, 350)
    shares: tuple[float, ...] = (0.05, 0.10, 0.15, 0.20, 0.25, 0.25, 0.25, 0.25, 0.25)
    fear_bp: float = 40.0  # volatility per step at which half of what is quoted is withdrawn
    inventory_limit: float = (
        3.0  # position at which only the reducing side is quoted, in usual depths
    )


class Maker(Trader):
    """Quotes both sides of the index, less when the world's book is thin, the price jumps, or it holds too much.

    Each step it cancels what is left (`withdraw`) and then quotes anew: no maker trades with another's old quote.
    """

    def __init__(self, account: int, terms: Terms, random: Random, style: MakerStyle) -> None:
        super().__init__(account, terms, random)
        self.style = style

    def withdraw(self) -> list[Command]:
        return [CancelAll(account=self.account, symbol=self.terms.symbol)]

    def act(self, view: View) -> list[Command]:
        style = self.style
        fear = view.volatility / (style.fear_bp * BP)
        size = style.usual_depth * view.depth / (1 + fear)
        held = self.terms.notional(self.position_lots, view.index_ticks) / style.usual_depth
        crowding = max(-1.0, min(1.0, held / style.inventory_limit))
        widening = 1 + fear / 2
        orders: list[Command] = []
        for offset_bp, share in zip(style.offsets_bp, style.shares, strict=True):
            # A maker that is long bids less and asks nearer, and the other way round.
            notional = size * share * self.random.uniform(0.8, 1.2)
            away = offset_bp * widening * BP
            orders += self._quote(
                Side.BUY, view.index_ticks, away, notional * (1 - max(0.0, crowding))
            )
            orders += self._quote(
                Side.SELL, view.index_ticks, away, notional * (1 + min(0.0, crowding))
            )
        return orders

    def _quote(self, side: Side, index_ticks: int, away: float, notional: float) -> list[Command]:
        signed_away, outward = (-away, math.floor) if side is Side.BUY else (away, math.ceil)
        price_ticks = outward(index_ticks * (1 + signed_away))
        lots = self.terms.lots(notional, price_ticks)
        if lots < 1:
            return []
        return [
            PlaceOrder(
                account=self.account,
                symbol=self.terms.symbol,
                side=side,
                flags=OrderFlag.POST_ONLY,
                price_ticks=price_ticks,
                qty_lots=lots,
            )
        ]


class NoiseTrader(Trader):
    """Buys and sells without a reason, more when prices move, and drifts back to having nothing."""

    def __init__(self, account: int, terms: Terms, random: Random, typical_notional: float) -> None:
        super().__init__(account, terms, random)
        self.typical_notional = typical_notional
        self.eagerness = random.uniform(0.03, 0.2)

    def act(self, view: View) -> list[Command]:
        if self.random.random() > self.eagerness * (1 + view.volatility / (10 * BP)):
            return []
        notional = self.typical_notional * self.random.lognormvariate(0, 0.8)
        held = self.terms.notional(self.position_lots, view.index_ticks)
        bias = max(-0.4, min(0.4, 0.1 * held / self.typical_notional))
        lots = self.terms.lots(notional, view.index_ticks)
        return self.take(lots if self.random.random() > 0.5 + bias else -lots, view)


class TrendFollower(Trader):
    """Goes with a move that is large enough, and leaves when it has turned by half of that."""

    def __init__(self, account: int, terms: Terms, random: Random, notional: float) -> None:
        super().__init__(account, terms, random)
        self.notional = notional
        self.window_steps = random.choice((8, 12, 20, 32))
        self.threshold = random.uniform(0.004, 0.012)
        self.past: list[int] = []

    def act(self, view: View) -> list[Command]:
        self.past = [*self.past, view.index_ticks][-self.window_steps :]
        move = view.index_ticks / self.past[0] - 1
        direction = (self.position_lots > 0) - (self.position_lots < 0)
        if direction and move * direction < -self.threshold / 2:
            return self.take(-self.position_lots, view, reduce_only=True)
        if not direction and abs(move) > self.threshold:
            lots = self.terms.lots(self.notional, view.index_ticks)
            return self.take(lots if move > 0 else -lots, view)
        return []


#: What was not there at the first try is tried for again.
STEPS_TO_ENTER = 12


class Bet(msgspec.Struct, frozen=True, kw_only=True):
    """What a leveraged trader is going to do: the same bet is made twice, once in each margin mode."""

    enters_at_step: int
    side: Side
    leverage: int
    margin: float  # notional / leverage, in quote units
    put_in: float  # deposited before the bet, in quote units
    takes_profit_at: float  # favourable move of the price, as a fraction

    @property
    def notional(self) -> float:
        return self.margin * self.leverage


class LeveragedTrader(Trader):
    """Opens one position, and holds it until it pays well enough or is liquidated."""

    def __init__(
        self, account: int, terms: Terms, random: Random, bet: Bet, mode: MarginMode
    ) -> None:
        super().__init__(account, terms, random)
        self.bet = bet
        self.mode = mode
        self.entered_at_ticks = 0
        self.out = False  # liquidated, or has taken the profit

    def on_event(self, event: Event) -> None:
        self.out = self.out or isinstance(event, LiquidationStarted)

    def act(self, view: View) -> list[Command]:
        if self.out or view.step < self.bet.enters_at_step:
            return []
        direction = 1 if self.bet.side is Side.BUY else -1
        if view.step < self.bet.enters_at_step + STEPS_TO_ENTER:
            self.entered_at_ticks = self.entered_at_ticks or view.index_ticks
            wanted = self.terms.lots(self.bet.notional, self.entered_at_ticks)
            return self.take(direction * wanted - self.position_lots, view, CLOSE_DISTANCE)
        gain = direction * (view.index_ticks / self.entered_at_ticks - 1)
        if gain < self.bet.takes_profit_at:
            return []
        self.out = True
        return self.take(-self.position_lots, view, reduce_only=True)
