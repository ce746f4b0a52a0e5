"""A market in rounds: who is in it, and what happens at each step.

A step, in this order: the world's price moves; makers cancel and quote around it; noise traders, trend followers and
leveraged traders act; then the operator sets the mark to the world's price, and whoever is below maintenance is
liquidated into the book that is left.  The mark thus follows the book, as a real one follows the spot price, and
liquidations meet quotes that know of the fall.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from random import Random

import msgspec

from exchange.protocol.messages import Command, Deposit, DepositFund, SetMarginMode, SetMark
from exchange.protocol.schema import MarginMode, Side
from exchange.risk import LiquidationPolicy, SymbolPolicy
from exchange.sim.agents import (
    Bet,
    LeveragedTrader,
    Maker,
    MakerStyle,
    NoiseTrader,
    Terms,
    Trader,
    TrendFollower,
    View,
)
from exchange.sim.paths import MarkPoint
from exchange.sim.venue import Venue
from exchange.units import leverage_to_ppm, to_atoms

FUND = 0
#: Share of the leveraged traders at each leverage; within what the first four brackets of BTCUSDT allow.
LEVERAGES = {3: 0.10, 5: 0.17, 10: 0.28, 20: 0.20, 25: 0.09, 50: 0.10, 100: 0.06}
#: 100x is allowed up to this notional, 50x up to five times as much (bracket 2, bracket 3).
LARGEST_BET = 600_000.0
#: First account of each kind of trader.
MAKERS, NOISE, TREND, LEVERAGED = 1, 101, 301, 1001


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """The size of everything in a market; money in quote units."""

    seed: int = 1
    leveraged: int = 600  # accounts, half of them isolated, half cross
    makers: int = 6
    noise: int = 40
    trend: int = 16
    usual_depth: float = 6_000_000  # of all makers within 1 % of the price, on one side
    noise_notional: float = 4_000
    trend_notional: float = 60_000
    bet_margin: float = 2_500  # median
    fund: int = 120_000  # first deposit of the insurance fund
    early_share: float = 0.6  # of the bets are made before the fall begins
    late_until: float = 0.75  # of the run: the others come after it has begun, and before this

    @staticmethod
    def sized(*, seed: int, leveraged: int) -> Setup:
        """A market for so many leveraged accounts: depth, fund and everybody else in proportion."""
        usual = Setup()
        part = leveraged / usual.leveraged
        return Setup(
            seed=seed,
            leveraged=leveraged - leveraged % 2,
            noise=max(2, round(usual.noise * part)),
            trend=max(2, round(usual.trend * part)),
            usual_depth=usual.usual_depth * part,
            fund=max(1, round(usual.fund * part)),
        )


def demo_policy(policy: SymbolPolicy) -> SymbolPolicy:
    """The default symbol with its real brackets, and a liquidation policy that the book can be seen to bear.

    A pool that is below maintenance is closed down to 1.2 times maintenance, 0.2 % of what is closed goes to the
    fund if the trader still has it, and no liquidation trades further than 5 % from the mark.
    """
    liquidation = LiquidationPolicy(
        mode="target",
        fee=Decimal("0.002"),
        buffer=Decimal("0.2"),
        min_notional=Decimal(500),
    )
    return msgspec.structs.replace(policy, liquidation=liquidation, slippage_cap=Decimal("0.05"))


class Population(msgspec.Struct, frozen=True):
    """Everybody in the market, by kind."""

    makers: list[Maker]
    noise: list[NoiseTrader]
    trend: list[TrendFollower]
    leveraged: list[LeveragedTrader]

    @property
    def desks(self) -> dict[str, Sequence[Trader]]:
        """Who shares a connection."""
        return {
            "makers": self.makers,
            "noise": self.noise,
            "trend": self.trend,
            "leveraged": self.leveraged,
        }

    def everybody(self) -> Iterator[Trader]:
        for agents in self.desks.values():
            yield from agents


def populate(setup: Setup, terms: Terms, steps: int, calm_steps: int) -> Population:
    """Draws everybody of a run from its seed; the first steps of the run are calm."""

    def random(account: int) -> Random:
        return Random(f"{setup.seed}/{account}")

    style = MakerStyle(usual_depth=setup.usual_depth / max(1, setup.makers))
    bets = [
        draw_bet(Random(f"{setup.seed}/bet/{n}"), setup, steps, calm_steps)
        for n in range(setup.leveraged // 2)
    ]
    return Population(
        makers=[Maker(a, terms, random(a), style) for a in range(MAKERS, MAKERS + setup.makers)],
        noise=[
            NoiseTrader(a, terms, random(a), setup.noise_notional)
            for a in range(NOISE, NOISE + setup.noise)
        ],
        trend=[
            TrendFollower(a, terms, random(a), setup.trend_notional)
            for a in range(TREND, TREND + setup.trend)
        ],
        leveraged=[
            LeveragedTrader(account, terms, random(account), bet, mode)
            for n, bet in enumerate(bets)
            for account, mode in twins(n)
        ],
    )


def twins(pair: int) -> tuple[tuple[int, MarginMode], tuple[int, MarginMode]]:
    """The two accounts that make the same bet.  Modes take turns in going first: neither gets the better price."""
    first = LEVERAGED + 2 * pair
    modes = (MarginMode.ISOLATED, MarginMode.CROSS)
    return (first, modes[pair % 2]), (first + 1, modes[1 - pair % 2])


def draw_bet(random: Random, setup: Setup, steps: int, calm_steps: int) -> Bet:
    """When, which way, how much and how far: six of ten are longs, as before most crashes."""
    leverage = random.choices(list(LEVERAGES), list(LEVERAGES.values()))[0]
    margin = min(setup.bet_margin * random.lognormvariate(0, 0.7), 0.9 * LARGEST_BET / leverage)
    early = random.random() < setup.early_share
    return Bet(
        enters_at_step=int(
            random.uniform(2, calm_steps)
            if early
            else random.uniform(calm_steps, steps * setup.late_until)
        ),
        side=Side.BUY if random.random() < 0.6 else Side.SELL,
        leverage=leverage,
        margin=margin,
        put_in=margin * random.uniform(1.3, 3.0),
        takes_profit_at=0.03 * random.lognormvariate(0, 0.6),
    )


# --------------------------------------------------------------------------------------------- the rounds


def open_market(
    venue: Venue, policy: SymbolPolicy, setup: Setup, population: Population, first: MarkPoint
) -> None:
    """Lists the symbol, fills the fund, opens the desks and brings everybody's money."""
    venue.operate(policy.to_command())
    venue.operate(DepositFund(fund=FUND, amount_atoms=to_atoms(setup.fund)))
    venue.operate(SetMark(symbol=policy.symbol, price_ticks=first.price_ticks))
    for desk, agents in population.desks.items():
        venue.open_desk(desk, [agent.account for agent in agents])
        venue.trade(
            desk, [command for agent in agents for command in opening(agent, setup, policy.symbol)]
        )
    venue.hear()


def opening(agent: Trader, setup: Setup, symbol: int) -> list[Command]:
    """What an account starts with: its money, and for a leveraged one its mode and leverage."""
    if not isinstance(agent, LeveragedTrader):
        amount = {
            Maker: 8 * setup.usual_depth / max(1, setup.makers),
            NoiseTrader: 10 * setup.noise_notional,
        }
        money = amount.get(type(agent), setup.trend_notional / 2)
        return [Deposit(account=agent.account, amount_atoms=to_atoms(round(money)))]
    bet = agent.bet
    return [
        Deposit(account=agent.account, amount_atoms=round(bet.put_in * 1e8)),
        SetMarginMode(
            account=agent.account,
            symbol=symbol,
            margin_mode=agent.mode,
            initial_margin_ppm=leverage_to_ppm(bet.leverage),
        ),
    ]


def run_market(
    venue: Venue,
    policy: SymbolPolicy,
    setup: Setup,
    path: Sequence[MarkPoint],
    calm_steps: int,
    progress: Callable[[int], None] = lambda step: None,
) -> Population:
    """Trades a whole path, calm at first; ``progress`` hears of every step that is done."""
    terms = Terms(policy.symbol, policy.to_command().atoms_per_tick_lot)
    population = populate(setup, terms, len(path), calm_steps)
    open_market(venue, policy, setup, population, path[0])
    everybody = {agent.account: agent for agent in population.everybody()}
    volatility = 0.0
    for step, point in enumerate(path):
        move = abs(point.price_ticks / path[max(0, step - 1)].price_ticks - 1)
        # What moves now frightens at once; what has moved is forgotten over some minutes.
        volatility = max(move * 0.5, volatility * 0.93 + move * 0.07)
        play_step(venue, population, step, point, policy.symbol, volatility)
        hear(venue, population, everybody)
        progress(step)
    return population


def hear(venue: Venue, population: Population, everybody: Mapping[int, Trader]) -> None:
    """Tells everybody what happened to them; what they do about it is carried out before the next step."""
    wishes: dict[int, list[Command]] = {}
    for event in venue.hear():
        wishes.setdefault(event.account, []).extend(everybody[event.account].hear(event))
    for desk, agents in population.desks.items():
        commands = [c for agent in agents for c in wishes.get(agent.account, ())]
        venue.trade(desk, commands)


def play_step(
    venue: Venue,
    population: Population,
    step: int,
    point: MarkPoint,
    symbol: int,
    volatility: float,
) -> None:
    """One round: makers, takers, mark."""
    view = View(
        step=step,
        index_ticks=point.price_ticks,
        depth=point.depth_ppm / 1e6,
        volatility=volatility,
    )
    venue.trade("makers", [command for maker in population.makers for command in maker.withdraw()])
    for desk, agents in population.desks.items():
        venue.trade(desk, [command for agent in agents for command in agent.step(view)])
    venue.operate(SetMark(symbol=symbol, price_ticks=point.price_ticks))
