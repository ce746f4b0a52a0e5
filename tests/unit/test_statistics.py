"""The 24-hour statistics, by numbers that can be added up by hand."""

from __future__ import annotations

from exchange.gateway.feed import Statistics
from exchange.gateway.statistics import MINUTE_NS, RollingStatistics, StatisticsDesk
from exchange.protocol.messages import Accepted, Event, Fill, Rejected, SymbolListed
from exchange.protocol.records import encode_events
from exchange.protocol.schema import FillRole, Side
from exchange.protocol.views import SymbolView

HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
START_NS = 20_000 * DAY_NS


def figures(rolling: RollingStatistics) -> tuple[int, ...]:
    """Open, high, low, last, volume, turnover, trades."""
    told = rolling.message(epoch=1, sequence=1, engine_sequence=1, timestamp_ns=1)
    return (
        told.open_ticks,
        told.high_ticks,
        told.low_ticks,
        told.last_ticks,
        told.volume_lots,
        told.turnover_atoms,
        told.trade_count,
    )


def trade(rolling: RollingStatistics, at_ns: int, price_ticks: int, qty_lots: int) -> None:
    """A trade of a symbol whose lot is worth 10 atoms a tick."""
    rolling.pass_time(START_NS + at_ns)
    rolling.trade(
        price_ticks=price_ticks, qty_lots=qty_lots, value_atoms=10 * price_ticks * qty_lots
    )


def test_the_window_adds_up() -> None:
    rolling = RollingStatistics(1)
    trade(rolling, 0, 100, 2)
    trade(rolling, 1, 120, 1)
    trade(rolling, HOUR_NS, 90, 3)
    trade(rolling, 2 * HOUR_NS, 110, 4)
    # 2 x 100 + 1 x 120 + 3 x 90 + 4 x 110 = 1,030 ticks, times 10 atoms
    assert figures(rolling) == (100, 120, 90, 110, 10, 10_300, 4)


def test_a_minute_leaves_when_it_is_a_day_old() -> None:
    rolling = RollingStatistics(1)
    trade(rolling, 0, 200, 2)  # the high
    trade(rolling, 30 * MINUTE_NS, 50, 1)  # the low
    trade(rolling, HOUR_NS, 100, 3)
    rolling.pass_time(START_NS + DAY_NS - 1)
    assert figures(rolling) == (200, 200, 50, 100, 6, 10 * (400 + 50 + 300), 3)
    rolling.pass_time(START_NS + DAY_NS)
    assert figures(rolling) == (50, 100, 50, 100, 4, 10 * (50 + 300), 2)
    rolling.pass_time(START_NS + DAY_NS + 31 * MINUTE_NS)
    assert figures(rolling) == (100, 100, 100, 100, 3, 3_000, 1)
    rolling.pass_time(START_NS + 3 * DAY_NS)
    assert figures(rolling) == (0, 0, 0, 100, 0, 0, 0)  # the last price is kept
    trade(rolling, 3 * DAY_NS, 80, 1)
    assert figures(rolling) == (80, 80, 80, 80, 1, 800, 1)


def test_the_high_is_found_again_among_those_that_stay() -> None:
    rolling = RollingStatistics(1)
    for minute, price in enumerate((100, 300, 200, 250, 50)):
        trade(rolling, minute * MINUTE_NS, price, 1)
    assert figures(rolling)[1:3] == (300, 50)
    rolling.pass_time(START_NS + DAY_NS + MINUTE_NS)  # 100 and 300 leave together
    assert figures(rolling)[:3] == (200, 250, 50)


def test_since_says_how_far_back_the_figures_go() -> None:
    rolling = RollingStatistics(1)
    rolling.pass_time(START_NS + 5)
    assert rolling.since_ns == START_NS + 5  # counting began
    rolling.pass_time(START_NS + HOUR_NS)
    assert rolling.since_ns == START_NS + 5
    rolling.pass_time(START_NS + DAY_NS + HOUR_NS + 7)
    assert rolling.since_ns == START_NS + HOUR_NS + MINUTE_NS  # this minute and 1,439 before it


def test_open_interest_is_the_sum_of_the_longs() -> None:
    rolling = RollingStatistics(1)

    def fill(buyer_after: int, seller_after: int, lots: int) -> int:
        rolling.move_position(Side.SELL, lots, seller_after)
        rolling.move_position(Side.BUY, lots, buyer_after)
        return rolling.open_interest_lots

    assert fill(buyer_after=5, seller_after=-5, lots=5) == 5  # both open
    assert fill(buyer_after=2, seller_after=3, lots=2) == 5  # the long hands 2 over
    assert (
        fill(buyer_after=-1, seller_after=1, lots=2) == 3
    )  # the long has 1, another closes 2 of -3
    assert (
        fill(buyer_after=3, seller_after=-3, lots=4) == 5
    )  # a short of 1 turns long 3; a long of 1 short 3


def half(role: FillRole, side: Side, price_ticks: int, qty_lots: int, trade_id: int) -> Fill:
    return Fill(
        account=1,
        sequence=2,
        symbol=1,
        side=side,
        role=role,
        margin_mode=0,
        trade_id=trade_id,
        order_id=1,
        client_order_id=0,
        price_ticks=price_ticks,
        qty_lots=qty_lots,
        value_atoms=price_ticks * qty_lots,
        open_lots=0,
        position_lots=0,
        entry_value_atoms=0,
        realised_atoms=0,
        fee_atoms=0,
        wallet_atoms=0,
        margin_atoms=0,
    )


def accepted(at_ns: int) -> Accepted:
    return Accepted(
        account=0,
        sequence=1,
        timestamp_ns=START_NS + at_ns,
        command=7,
        order_id=0,
        client_order_id=0,
    )


def test_replayed_events_are_counted_at_their_commands_time() -> None:
    desk = StatisticsDesk()
    events: list[Event] = [
        accepted(0),
        SymbolListed(account=0, sequence=1, symbol=1, name="BTC"),
        half(FillRole.MAKER, Side.SELL, 100, 2, 1),
        half(FillRole.TAKER, Side.BUY, 100, 2, 1),
        accepted(HOUR_NS),
        half(FillRole.MAKER, Side.BUY, 90, 1, 2),
        half(FillRole.LIQUIDATED, Side.SELL, 90, 1, 2),
        half(FillRole.DELEVERAGED, Side.SELL, 0, 7, 3),  # no trade: it has no price
        half(FillRole.ADL_COUNTERPARTY, Side.BUY, 0, 7, 3),
    ]
    desk.feed(encode_events(events))
    view = SymbolView(
        symbol=1,
        name="BTC",
        tick_size_e12=1,
        lot_size_e12=1,
        atoms_per_tick_lot=1,
        mark_ticks=95,
        open_interest_lots=12,
        fund=0,
    )
    desk.load([view], START_NS + HOUR_NS)
    told: Statistics = desk[1].message(epoch=1, sequence=1, engine_sequence=1, timestamp_ns=1)
    assert (told.open_ticks, told.last_ticks, told.volume_lots, told.trade_count) == (100, 90, 3, 2)
    assert (told.open_interest_lots, told.mark_ticks, told.since_ns) == (12, 95, START_NS)
    assert desk.pass_time(START_NS + DAY_NS) == [1]
    assert desk.take_changed(1)
    assert not desk.take_changed(1)
    assert figures(desk[1])[:5] == (90, 90, 90, 90, 1)


def test_a_trade_behind_a_refused_command_is_counted_at_its_time() -> None:
    """FUNDING-02: funding that was due may liquidate somebody, whatever became of the command."""
    desk = StatisticsDesk()
    refused = Rejected(sequence=2, timestamp_ns=START_NS + DAY_NS, command=7, reason=12)
    events: list[Event] = [
        accepted(0),
        SymbolListed(account=0, sequence=1, symbol=1, name="BTC"),
        half(FillRole.TAKER, Side.BUY, 100, 2, 1),
        refused,
        half(FillRole.LIQUIDATED, Side.SELL, 90, 1, 2),
    ]
    desk.feed(encode_events(events))
    assert figures(desk[1])[:5] == (90, 90, 90, 90, 1)
