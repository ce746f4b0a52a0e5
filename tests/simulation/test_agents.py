"""What simulated traders do, one at a time."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from exchange.protocol.messages import CancelAll, Fill, LiquidationStarted, PlaceOrder
from exchange.protocol.schema import FillRole, MarginMode, OrderFlag, Side, TimeInForce
from exchange.sim.agents import (
    Bet,
    LeveragedTrader,
    Maker,
    MakerStyle,
    NoiseTrader,
    Terms,
    TrendFollower,
    View,
)
from exchange.sim.market import LEVERAGED, LEVERAGES, Population, Setup, hear, populate

TERMS = Terms(symbol=1, atoms_per_tick_lot=10_000)  # tick 0.1, lot 0.001
CALM = View(step=0, index_ticks=1_000_000, depth=1.0, volatility=0.0)


def at(**changes: float) -> View:
    return msgspec.structs.replace(CALM, **changes)


def filled(account: int, position_lots: int) -> Fill:
    """The fill that leaves an account with a position; what else it says does not matter here."""
    return Fill(
        account=account,
        symbol=1,
        side=Side.BUY,
        role=FillRole.TAKER,
        margin_mode=MarginMode.CROSS,
        trade_id=1,
        order_id=1,
        price_ticks=1_000_000,
        qty_lots=abs(position_lots),
        value_atoms=1,
        open_lots=0,
        position_lots=position_lots,
        entry_value_atoms=0,
        realised_atoms=0,
        fee_atoms=0,
        wallet_atoms=0,
        margin_atoms=0,
    )


def quoted(orders: list[PlaceOrder], side: Side) -> float:
    return sum(TERMS.notional(o.qty_lots, o.price_ticks) for o in orders if o.side == side)


@pytest.fixture
def maker() -> Maker:
    return Maker(1, TERMS, Random(1), MakerStyle(usual_depth=1_000_000))


def test_maker_quotes_post_only_around_the_index(maker: Maker) -> None:
    orders = maker.act(CALM)
    assert all(o.flags == OrderFlag.POST_ONLY and o.account == 1 for o in orders)
    assert all((o.price_ticks < 1_000_000) == (o.side == Side.BUY) for o in orders)
    within = [o for o in orders if abs(o.price_ticks - 1_000_000) <= 10_000]
    assert 800_000 < quoted(within, Side.BUY) < 1_200_000


def test_maker_withdraws_when_the_worlds_book_is_thin(maker: Maker) -> None:
    assert quoted(maker.act(at(depth=0.25)), Side.BUY) < 0.4 * quoted(maker.act(CALM), Side.BUY)


def test_maker_withdraws_and_widens_when_prices_jump(maker: Maker) -> None:
    calm, wild = maker.act(CALM), maker.act(at(volatility=0.004))
    assert quoted(wild, Side.SELL) < 0.7 * quoted(calm, Side.SELL)
    assert min(o.price_ticks for o in wild) < min(o.price_ticks for o in calm)


def test_maker_that_holds_too_much_quotes_only_the_other_side(maker: Maker) -> None:
    maker.hear(filled(1, TERMS.lots(5_000_000, 1_000_000)))
    orders = maker.act(CALM)
    assert quoted(orders, Side.BUY) == 0
    assert quoted(orders, Side.SELL) > 0


def test_maker_cancels_before_it_quotes(maker: Maker) -> None:
    assert maker.withdraw() == [CancelAll(account=1, symbol=1)]


def test_noise_trader_drifts_back_to_nothing() -> None:
    trader = NoiseTrader(2, TERMS, Random(2), typical_notional=5_000)
    trader.hear(filled(2, TERMS.lots(50_000, 1_000_000)))
    sides = [order.side for _ in range(2_000) for order in trader.act(CALM)]
    assert 0.85 < sides.count(Side.SELL) / len(sides) < 0.95


def test_trend_follower_sells_a_fall_and_leaves_when_it_turns() -> None:
    trader = TrendFollower(3, TERMS, Random(3), notional=10_000)
    assert trader.act(CALM) == []
    (entry,) = trader.act(at(index_ticks=980_000))
    assert (entry.side, entry.time_in_force, entry.flags) == (Side.SELL, TimeInForce.IOC, 0)
    trader.hear(filled(3, -entry.qty_lots))
    assert trader.act(at(index_ticks=975_000)) == []
    (leave,) = trader.act(at(index_ticks=1_010_000))
    assert (leave.side, leave.qty_lots) == (Side.BUY, entry.qty_lots)
    assert leave.flags == OrderFlag.REDUCE_ONLY


BET = Bet(
    enters_at_step=5, side=Side.BUY, leverage=20, margin=1_000, put_in=2_000, takes_profit_at=0.03
)


@pytest.fixture
def trader() -> LeveragedTrader:
    return LeveragedTrader(4, TERMS, Random(4), BET, MarginMode.ISOLATED)


def test_leveraged_trader_opens_at_its_step_what_its_margin_times_leverage_buys(
    trader: LeveragedTrader,
) -> None:
    assert trader.act(at(step=4)) == []
    (order,) = trader.act(at(step=5))
    assert (order.side, order.qty_lots) == (Side.BUY, TERMS.lots(20_000, 1_000_000))


def test_leveraged_trader_tries_again_for_what_was_not_there(trader: LeveragedTrader) -> None:
    (order,) = trader.act(at(step=5))
    trader.hear(filled(4, order.qty_lots - 7))
    (again,) = trader.act(at(step=6))
    assert again.qty_lots == 7


def test_leveraged_trader_takes_profit_once(trader: LeveragedTrader) -> None:
    trader.act(at(step=5))
    trader.hear(filled(4, 200))
    assert trader.act(at(step=30, index_ticks=1_029_000)) == []
    (leave,) = trader.act(at(step=31, index_ticks=1_031_000))
    assert (leave.side, leave.qty_lots, leave.flags) == (Side.SELL, 200, OrderFlag.REDUCE_ONLY)
    assert trader.act(at(step=32, index_ticks=1_031_000)) == []


def test_leveraged_trader_does_nothing_once_liquidated(trader: LeveragedTrader) -> None:
    (order,) = trader.act(at(step=5))
    trader.hear(filled(4, order.qty_lots - 7))
    trader.hear(LiquidationStarted(account=4, symbol=1, equity_atoms=1, maintenance_atoms=2))
    assert trader.act(at(step=6)) == []


def test_twins_make_the_same_bet_in_both_modes() -> None:
    traders = populate(Setup(leveraged=40), TERMS, steps=100, calm_steps=30).leveraged
    assert [trader.account for trader in traders] == list(range(LEVERAGED, LEVERAGED + 40))
    for one, other in zip(traders[::2], traders[1::2], strict=True):
        assert one.bet == other.bet
        assert {one.mode, other.mode} == {MarginMode.CROSS, MarginMode.ISOLATED}
        assert one.bet.leverage in LEVERAGES
        assert one.bet.notional <= 0.9 * 600_000 + 1


def test_one_more_account_does_not_change_the_others() -> None:
    few = populate(Setup(leveraged=10), TERMS, steps=100, calm_steps=30)
    more = populate(Setup(leveraged=12, noise=50), TERMS, steps=100, calm_steps=30)
    assert [t.bet for t in few.leveraged] == [t.bet for t in more.leveraged][:10]
    assert few.noise[0].eagerness == more.noise[0].eagerness


class Recorder:
    """A venue that has one event to tell, and writes down what is traded."""

    def __init__(self, event: Fill) -> None:
        self.events, self.traded = [event], []

    def hear(self) -> list[Fill]:
        events, self.events = self.events, []
        return events

    def trade(self, desk: str, commands: list[object]) -> None:
        self.traded += [(desk, command) for command in commands]


class Hedger(Maker):
    """Cancels everything as soon as it is filled."""

    def on_fill(self, fill: Fill) -> None:
        self.do(CancelAll(symbol=fill.symbol))


def test_what_an_agent_wants_when_it_hears_something_is_carried_out_by_its_desk() -> None:
    hedger = Hedger(1, TERMS, Random(1), MakerStyle(usual_depth=1_000_000))
    population = Population(makers=[hedger], noise=[], trend=[], leveraged=[])
    venue = Recorder(filled(1, 5))
    hear(venue, population, {1: hedger})
    assert venue.traded == [("makers", CancelAll(account=1, symbol=1))]
    assert hedger.position_lots == 5
