"""Figures that other exchanges publish for liquidation, deleveraging and order margin, on the reference engine.

One atom is 10^-8 of a quote unit here, as in production; prices, quantities and amounts are in quote units.
"""

from __future__ import annotations

from reference_desk import BUY, SELL, Desk, names, order

from exchange.protocol import messages as m

UNIT = 10**8
FULL = 0


def list_btc(desk: Desk) -> None:
    """Tick 1, lot 0.01, 5x by default, 10 % maintenance, liquidation fee 0.5 %."""
    desk.list(
        tick_size_e12=10**12,
        lot_size_e12=10**10,
        atoms_per_tick_lot=UNIT // 100,
        initial_margin_ppm=200_000,
        brackets=((0, 100_000, 0),),
        slippage_cap_ppm=150_000,
        liquidation_mode=FULL,
        liquidation_fee_ppm=5_000,
    )


def list_eth(desk: Desk, symbol: int = 1, **policy: object) -> None:
    """Tick 1, lot 1, 20 % maintenance, no fee."""
    desk.list(
        symbol,
        **{
            "tick_size_e12": 10**12,
            "lot_size_e12": 10**12,
            "atoms_per_tick_lot": UNIT,
            "initial_margin_ppm": 250_000,
            "brackets": ((0, 200_000, 0),),
            "liquidation_mode": FULL,
        }
        | policy,
    )


def wallet(desk: Desk, account: int) -> float:
    return desk.wallet(account) / UNIT


def test_short_is_closed_through_the_book_and_pays_the_fee() -> None:
    """dYdX v4, TestPlacePerpetualLiquidation_Deleveraging: fee min(0.5 % of 50,000, 499) = 250."""
    carl, dave = 1, 2
    desk = Desk()
    list_btc(desk)
    desk.deposit(carl, 10_499 * UNIT)
    desk.deposit(dave, 90_000 * UNIT)
    desk.mark(40_000)
    desk.trade(dave, carl, 100, 40_000)
    desk.order(dave, SELL, 100, 50_000)
    desk.mark(50_000)
    assert (desk.holding(carl), desk.holding(dave)) == ((0, 0), (0, 0))
    assert (wallet(desk, carl), wallet(desk, dave)) == (249, 100_000)
    assert desk.engine.fund(0) == 250 * UNIT


def test_deleveraging_splits_over_two_counterparties() -> None:
    """dYdX v4, TestOffsetSubaccountPerpetualPosition: half the position at bankruptcy is 27,499.5."""
    carl, first, second = 1, 2, 3
    desk = Desk()
    list_btc(desk)
    desk.deposit(carl, 14_999 * UNIT)
    desk.deposit(first, 70_000 * UNIT)
    desk.deposit(second, 70_000 * UNIT)
    desk.mark(40_000)
    desk.trade(first, carl, 50, 40_000)
    desk.trade(second, carl, 50, 40_000)
    desk.mark(55_000)
    assert [wallet(desk, account) for account in (carl, first, second)] == [0, 77_499.5, 77_499.5]
    assert [desk.holding(account) for account in (carl, first, second)] == [(0, 0)] * 3


def test_fund_covers_two_bankrupt_shorts_exactly() -> None:
    """Vega 0002-STTL case 5: deficits of 400 and 2,600 out of a fund of 3,000."""
    p1, p2, p3, p4, maker = 1, 2, 3, 4, 5
    desk = Desk()
    list_eth(desk, slippage_cap_ppm=50_000)
    desk.do(m.DepositFund(fund=0, amount_atoms=3_000 * UNIT))
    for account, amount in ((p1, 2_000), (p2, 10_000), (p3, 3_000), (p4, 10_000), (maker, 10**8)):
        desk.deposit(account, amount * UNIT)
    desk.mark(100)
    desk.trade(p2, p1, 30, 100)
    desk.trade(p2, p3, 60, 100)
    desk.trade(p4, p3, 10, 100)
    desk.order(maker, SELL, 1_000, 300)
    desk.order(maker, BUY, 1_000, 80)
    desk.mark(180)
    assert [desk.engine.account(a).equity_atoms // UNIT for a in (p1, p2, p3, p4)] == [
        0,
        17_200,
        0,
        10_800,
    ]
    assert desk.engine.fund(0) == 0


def test_order_margin_is_that_of_the_worse_side() -> None:
    """Vega 0019-MCAL-042: 30 % of the sells; what offsets the position is free."""
    trader, maker = 1, 2
    desk = Desk()
    list_eth(desk, initial_margin_ppm=300_000)
    desk.deposit(trader, 48_050 * UNIT)
    desk.deposit(maker, 10**8 * UNIT)
    desk.mark(15_900)
    desk.isolate(trader, rate=300_000)

    def order_margin() -> int:
        return desk.position(trader).order_margin_atoms // UNIT

    desk.order(trader, SELL, 2, 15_910)
    desk.order(trader, SELL, 1, 15_920)
    assert order_margin() == 14_322
    desk.do(m.CancelAll(account=trader, symbol=1))
    desk.order(trader, SELL, 4, 15_900)
    desk.order(trader, SELL, 1, 15_920)
    assert order_margin() == 23_856
    desk.order(maker, BUY, 1, 15_900)
    assert (order_margin(), desk.position(trader).margin_atoms) == (19_086, 4_770 * UNIT)
    desk.order(trader, BUY, 1, 15_800)
    desk.order(trader, BUY, 2, 15_800)
    assert order_margin() == 19_086


def test_isolated_loss_spares_the_cross_pool() -> None:
    """Drift, unhealthy_isolated_perp_doesnt_cause_cross_margin_liquidation: the loss is the 15 allocated."""
    user, maker, isolated, crossed = 1, 2, 1, 2
    desk = Desk()
    for symbol in (isolated, crossed):
        list_eth(
            desk,
            symbol,
            lot_size_e12=10**10,
            atoms_per_tick_lot=UNIT // 100,
            initial_margin_ppm=100_000,
            brackets=((0, 50_000, 0),),
            slippage_cap_ppm=50_000,
        )
        desk.mark(150, symbol=symbol)
    desk.do(m.DepositFund(fund=0, amount_atoms=100 * UNIT))
    desk.deposit(user, 115 * UNIT)
    desk.deposit(maker, 100_000 * UNIT)
    desk.isolate(user, isolated, rate=100_000)
    desk.trade(user, maker, 100, 150, symbol=isolated)
    desk.trade(user, maker, 100, 150, symbol=crossed)
    desk.order(maker, BUY, 100, 99, symbol=isolated)
    events = desk.mark(100, symbol=isolated)
    assert names(events)[-1] == "LiquidationEnded"
    assert (desk.holding(user, isolated)[0], desk.holding(user, crossed)[0]) == (0, 100)
    assert wallet(desk, user) == 100
    assert desk.engine.fund(0) == 64 * UNIT
    assert not desk.engine.account(user).liquidating


def test_refused_order_leaves_the_book_as_it_was() -> None:
    """Vega 0019-MCAL-205: the rest of the wallet does not cover a second order."""
    trader, maker = 1, 2
    desk = Desk()
    list_eth(desk, lot_size_e12=10**10, atoms_per_tick_lot=UNIT // 100, initial_margin_ppm=300_000)
    desk.deposit(trader, 5_000 * UNIT)
    desk.deposit(maker, 10**8 * UNIT)
    desk.mark(15_800)
    desk.isolate(trader, rate=300_000)
    desk.order(maker, SELL, 600, 15_802)
    desk.order(trader, BUY, 100, 15_500)
    assert desk.refuse(order(trader, BUY, 50, 15_802)) == "insufficient_margin"
    assert desk.engine.account(trader).available_atoms == 350 * UNIT
