"""Previews by hand: what each kind of step comes to, what is assumed, and what cannot be tried."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.engine import Engine
from exchange.protocol import messages as m
from exchange.protocol.preview import Assumption
from exchange.protocol.records import decode_events, encode_command, stamp
from exchange.protocol.schema import OrderType, RejectReason
from exchange.whatif import preview, standing, unranked

BUY, SELL = 0, 1
TRADER, OTHER = 70_000, 9


def do(engine: Engine, *commands: m.Command) -> None:
    for command in commands:
        events = decode_events(engine.apply(stamp(encode_command(command), engine.sequence + 1, 0)))
        assert isinstance(events[0], m.Accepted), (command, events)


def listing(symbol: int = 1, **policy: Any) -> m.ListSymbol:
    """One atom a lot and tick, 10 % initial and 5 % maintenance margin, 1 % for takers."""
    return m.ListSymbol(
        symbol=symbol,
        name=f"S{symbol}",
        tick_size_e12=10**8,
        lot_size_e12=10**8,
        atoms_per_tick_lot=1,
        **{
            "initial_margin_ppm": 100_000,
            "taker_fee_ppm": 10_000,
            "exposure_limit_atoms": 1 << 50,
            "brackets": ((0, 50_000, 0),),
        }
        | policy,
    )


def order(side: int, lots: int, price: int = 0, **more: int) -> m.PlaceOrder:
    kind = {} if price else {"order_type": OrderType.MARKET, "time_in_force": 1}
    return m.PlaceOrder(
        **{"symbol": 1, "side": side, "qty_lots": lots, "price_ticks": price} | kind | more
    )


@pytest.fixture
def desk(engine: Engine) -> Engine:
    """Mark 100; the trader has 1,000 and nothing else, and another offers 5 at 100 and 5 at 102."""
    do(engine, listing(), m.SetMark(symbol=1, price_ticks=100))
    do(engine, m.Deposit(account=TRADER, amount_atoms=1_000))
    do(engine, m.Deposit(account=OTHER, amount_atoms=1_000_000))
    do(engine, order(SELL, 5, 100, account=OTHER), order(SELL, 5, 102, account=OTHER))
    return engine


def test_an_order_has_two_figures_as_it_is_open_and_after_what_fills_now(desk: Engine) -> None:
    told = desk.preview(TRADER, [order(BUY, 8, 100)])
    (step,) = told.steps
    assert (step.accepted, step.filled_lots, step.left_lots, step.fees_atoms) == (True, 5, 3, 5)
    assert told.open is not None
    assert told.open.account.initial_margin_atoms == 80  # 8 at 100, open
    assert told.open.account.available_atoms == 920
    assert told.after.account.initial_margin_atoms == 80  # 5 held, 3 open
    assert told.after.account.available_atoms == 915  # and the fee is paid
    assert (told.before.account.available_atoms, told.fees_atoms) == (1_000, 5)
    assert told.assumes == [Assumption.MAKERS]


def test_without_a_fill_there_is_one_figure(desk: Engine) -> None:
    told = desk.preview(TRADER, [order(BUY, 8, 99)])
    assert told.open is None and told.assumes == []
    assert told.after.account.available_atoms == 1_000 - 80  # 8 x 99 at 10 %, rounded up


def test_steps_build_on_each_other(desk: Engine) -> None:
    told = desk.preview(
        TRADER,
        [
            m.SetMarginMode(symbol=1, margin_mode=1, initial_margin_ppm=200_000),
            order(BUY, 5, 100),
            m.ChangeIsolatedMargin(symbol=1, change_atoms=50),
            m.SetMark(symbol=1, price_ticks=90),
            m.Withdraw(amount_atoms=800),
        ],
    )
    assert [step.accepted for step in told.steps] == [True] * 5
    cross, isolated = told.after.pools
    assert (cross.symbol, cross.balance_atoms) == (0, 1_000 - 100 - 5 - 50 - 800)
    assert (isolated.balance_atoms, isolated.equity_atoms) == (150, 100)  # 50 lost at 90
    assert isolated.maintenance_atoms == 23 and isolated.margin_ratio_ppm == 230_000
    assert isolated.available_atoms == 150 - 50 - 90  # 90: 20 % of 450
    (position,) = told.after.positions
    assert position.liquidation_price_ticks == 73  # 150 + 5 (p - 100) < 0.05 x 5 p, p < 73.7
    assert position.bankruptcy_price_ticks == 70
    assert told.assumes == [Assumption.MAKERS, Assumption.MARKS]


def test_a_step_that_would_be_refused_says_why_and_the_others_go_on(desk: Engine) -> None:
    told = desk.preview(TRADER, [order(BUY, 101, 100), m.Withdraw(amount_atoms=1_000)])
    first, second = told.steps
    assert (first.accepted, first.reason) == (False, RejectReason.INSUFFICIENT_MARGIN)
    assert first.message == "the collateral pool would end below its initial margin"
    assert second.accepted and told.after.account.wallet_atoms == 0


def test_what_if_the_mark_were_there(desk: Engine) -> None:
    do(desk, order(BUY, 10, 102, account=TRADER))
    (view,) = desk.positions(TRADER)
    price = view.liquidation_price_ticks
    calm, bad = (
        desk.preview(TRADER, [m.SetMark(symbol=1, price_ticks=mark)]) for mark in (price + 1, price)
    )
    assert calm.steps[0].liquidated_pools == [] and calm.after.positions[0].position_lots == 10
    assert bad.steps[0].liquidated_pools == [0] and Assumption.MARKS in bad.assumes
    assert desk.account(TRADER).liquidating is False


def test_orders_amended_cancelled_and_in_lists(desk: Engine) -> None:
    do(desk, order(BUY, 4, 90, account=TRADER, client_order_id=5))
    (own,) = desk.open_orders(TRADER)
    amend, cancel = (
        m.AmendOrder(order_id=own.order_id, qty_lots=6),
        m.CancelOrder(client_order_id=5),
    )
    told = desk.preview(TRADER, [amend, cancel, cancel])
    assert [step.accepted for step in told.steps] == [True, True, False]
    assert told.steps[0].left_lots == 6 and told.steps[0].order_id == own.order_id
    assert told.steps[2].reason == RejectReason.UNKNOWN_ORDER
    assert told.after.account.open_orders == 0
    entries = tuple(
        m.OrderEntry(symbol=1, side=BUY, price_ticks=95, qty_lots=lots) for lots in (1, 10**6)
    )
    (step,) = desk.preview(TRADER, [m.PlaceOrders(orders=entries)]).steps
    verdicts = [(entry.index, entry.reason) for entry in step.entries]
    assert verdicts == [(0, 0), (1, RejectReason.INSUFFICIENT_MARGIN)]


def test_a_deep_sweep_is_exact_and_a_deeper_one_says_so(engine: Engine) -> None:
    """Many makers, some of them reduce-only or of the trader's own group, which a sweep passes over."""
    do(engine, listing(), m.SetMark(symbol=1, price_ticks=1_000))
    do(engine, m.Deposit(account=TRADER, amount_atoms=10**9))
    for maker in range(1, 61):
        do(engine, m.Deposit(account=maker, amount_atoms=10**8))
        lots = 3 + maker % 4
        do(engine, order(SELL, lots, 1_000 + maker // 3, account=maker, display_lots=maker % 3))
    do(engine, m.SetStpGroup(member_account=5, stp_group=1))
    do(engine, m.SetStpGroup(member_account=TRADER, stp_group=1))
    sweep = order(BUY, 200, account=TRADER, self_trade=1)
    told = engine.preview(TRADER, [sweep])
    do(engine, sweep)
    assert told.after == unranked(standing(engine, TRADER))
    assert told.steps[0].filled_lots == 200


def test_more_than_the_copied_orders_is_said() -> None:
    """Only the native engine copies a part of the book: 4,096 orders of a side."""
    from exchange.engine import create_engine

    engine = create_engine("native")
    do(engine, listing(max_open_orders=10_000), m.SetMark(symbol=1, price_ticks=100))
    do(engine, m.Deposit(account=OTHER, amount_atoms=10**9))
    do(engine, m.Deposit(account=TRADER, amount_atoms=10**9))
    for _ in range(4_100):
        do(engine, order(SELL, 1, 100, account=OTHER))
    fits, deeper = (engine.preview(TRADER, [order(BUY, lots, 100)]) for lots in (4_096, 4_100))
    assert fits.steps[0].filled_lots == 4_096 and fits.assumes == [Assumption.MAKERS]
    assert deeper.steps[0].filled_lots == 4_096
    assert deeper.assumes == [Assumption.MAKERS, Assumption.DEPTH]


def test_bounds_of_the_whole_venue_hold_in_a_preview(engine: Engine) -> None:
    """UNITS-01: others' orders count, wherever they are, and those of the other side."""
    do(engine, listing(exposure_limit_atoms=10_000), m.SetMark(symbol=1, price_ticks=100))
    do(engine, m.Deposit(account=TRADER, amount_atoms=10_000))
    for maker in range(1, 41):
        do(engine, m.Deposit(account=maker, amount_atoms=1_000))
        do(engine, order(BUY, 1, 100 - maker, account=maker))
    (fits, beyond) = (engine.preview(TRADER, [order(BUY, lots, 50)]).steps[0] for lots in (10, 11))
    assert fits.accepted
    assert beyond.reason == RejectReason.VALUE_OUT_OF_RANGE


def test_somebody_elses_deficit_stops_withdrawals_in_a_preview(engine: Engine) -> None:
    """ADL-03: as in adl-03-a-deficit-that-nobody-covers.yaml; the trader has nothing to do with it."""
    do(engine, *(listing(symbol, taker_fee_ppm=0) for symbol in (1, 2)))
    do(engine, *(m.SetMark(symbol=symbol, price_ticks=100) for symbol in (1, 2)))
    for account, amount in ((TRADER, 100), (1, 200), (2, 50), (3, 1_000), (4, 100_000)):
        do(engine, m.Deposit(account=account, amount_atoms=amount))
    for seller, symbol, lots in ((2, 1, 5), (3, 1, 5), (4, 2, 10)):
        do(engine, order(SELL, lots, 100, account=seller, symbol=symbol))
        do(engine, order(BUY, lots, 100, account=1, symbol=symbol))
    do(engine, m.SetMark(symbol=2, price_ticks=60))
    assert engine.uncovered()
    (step,) = engine.preview(TRADER, [m.Withdraw(amount_atoms=1)]).steps
    assert step.reason == RejectReason.WITHDRAWALS_STOPPED


def test_time_passes_where_it_is_said(desk: Engine) -> None:
    do(desk, order(BUY, 4, 90, account=TRADER, time_in_force=3, expires_ns=50))
    assert desk.preview(TRADER, [m.Deposit(amount_atoms=1)]).after.account.open_orders == 1
    assert desk.preview(TRADER, [m.Deposit(amount_atoms=1)], 50).after.account.open_orders == 0


def test_a_preview_without_steps_is_where_the_account_stands(desk: Engine) -> None:
    told = desk.preview(OTHER, [])
    assert told.before == told.after and told.steps == []
    assert told.before.account == desk.account(OTHER)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([m.DepositFund(fund=0, amount_atoms=1)], "deposit_fund cannot be tried"),
        ([m.Deposit(account=8, amount_atoms=1)], "a step is of account 8"),
        ([m.Deposit(amount_atoms=1)] * 65, "at most 64 steps"),
    ],
)
def test_what_cannot_be_tried(desk: Engine, steps: list[m.Command], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        preview(desk, TRADER, steps)


def test_an_account_that_cannot_be(desk: Engine) -> None:
    with pytest.raises(KeyError):
        desk.preview(0, [])


def test_a_composite_mark_can_be_thought_elsewhere(desk: Engine) -> None:
    """MARK-02, MARK-03: the real one stays composite, and held."""
    do(desk, m.SetMarkPolicy(symbol=1), order(BUY, 1, 90, account=TRADER))
    told = desk.preview(TRADER, [order(BUY, 5, 102), m.SetMark(symbol=1, price_ticks=95)])
    assert told.steps[1].accepted and told.after.positions[0].mark_ticks == 95
    (real,) = desk.symbols()
    assert real.mark_ticks == 100
