"""Liquidation, insurance fund and auto-deleveraging in the reference engine (LIQ, FUND, ADL).

The usual victim is long 100 lots from 100 with a wallet of 1,000.  At a mark of 94 its equity is 400 and its
maintenance 470; its bankruptcy value is 10,000 - 1,000 = 9,000, or 90 a lot.
"""

from __future__ import annotations

from typing import Any

import pytest
from reference_desk import BUY, SELL, Desk, cancelled, fills, names, only, order

from exchange.protocol import messages as m
from exchange.protocol.schema import FillRole, FundCause, LiquidationMode

RICH = 9
FULL, FRACTION, TARGET = LiquidationMode


def victim_desk(**policy: Any) -> Desk:
    desk = Desk()
    desk.list(**policy)
    desk.mark(100)
    desk.deposit(RICH, 1_000_000)
    desk.deposit(1, 1_000)
    desk.trade(1, RICH, 100, 100)
    return desk


# ------------------------------------------------------------------------------------------------ LIQ-04


@pytest.mark.parametrize(
    ("policy", "lots"),
    [
        ({"liquidation_mode": FULL}, 100),
        ({"liquidation_mode": FRACTION, "liquidation_fraction_ppm": 100_000}, 10),
        # 1 % would be 1 lot, 1,000 at 94 are 11.
        (
            {
                "liquidation_mode": FRACTION,
                "liquidation_fraction_ppm": 10_000,
                "liquidation_min_notional_atoms": 1_000,
            },
            11,
        ),
        # (470 - 400) / (94 x 5 %) = 14.9
        ({"liquidation_mode": TARGET}, 15),
        # (1.1 x 470 - 400) / (94 x 5.5 %) = 22.6
        ({"liquidation_mode": TARGET, "liquidation_buffer_ppm": 100_000}, 23),
        # (470 - 400) / (94 x (5 % - 1 %)) = 18.6
        ({"liquidation_mode": TARGET, "liquidation_fee_ppm": 10_000}, 19),
        # Each lot would cost more than its maintenance: all of it.
        ({"liquidation_mode": TARGET, "liquidation_fee_ppm": 60_000}, 100),
        # 15 lots would leave 85 x 94 = 7,990.
        ({"liquidation_mode": TARGET, "liquidation_min_notional_atoms": 8_000}, 100),
        ({"liquidation_mode": FULL, "liquidation_max_notional_atoms": 1_000}, 10),
        ({"liquidation_mode": FULL, "liquidation_max_notional_atoms": 50}, 1),
    ],
)
def test_size_of_a_closing_order(policy: dict[str, int], lots: int) -> None:
    (closing,) = only(victim_desk(**policy).mark(94), m.LiquidationOrder)
    assert closing.qty_lots == lots
    assert (closing.equity_atoms, closing.maintenance_atoms) == (400, 470)
    assert closing.bankruptcy_value_atoms == 9_000


def test_below_zero_everything_is_closed_whatever_the_mode() -> None:
    desk = victim_desk(
        liquidation_mode=FRACTION, liquidation_fraction_ppm=1, liquidation_max_notional_atoms=1
    )
    (closing,) = only(desk.mark(90), m.LiquidationOrder)
    assert (closing.equity_atoms, closing.qty_lots) == (0, 100)


def test_target_restores_maintenance_exactly() -> None:
    """LIQ-04: after 15 lots at 94 the equity of 400 is the maintenance of 85 lots, ceil(399.5)."""
    desk = victim_desk()
    desk.order(RICH, BUY, 100, 94)
    events = desk.mark(94)
    assert names(events) == [
        "MarkChanged",
        "LiquidationStarted",
        "LiquidationPosition",
        "LiquidationSized",
        "LiquidationOrder",
        "Fill",
        "Fill",
        "LiquidationSettled",
        "LiquidationEnded",
    ]
    (ended,) = only(events, m.LiquidationEnded)
    assert (ended.equity_atoms, ended.maintenance_atoms) == (400, 400)
    assert desk.holding(1) == (85, 8_500)


# -------------------------------------------------------------------------------------------- LIQ-05..08


def test_limit_is_the_bankruptcy_price_without_a_fund() -> None:
    desk = victim_desk(liquidation_mode=FULL)
    desk.order(RICH, BUY, 100, 89)
    (closing,) = only(desk.mark(94), m.LiquidationOrder)
    assert closing.price_ticks == 90
    assert desk.holding(1) == (100, 10_000)
    assert desk.engine.account(1).liquidating


def test_limit_stays_inside_the_slippage_cap() -> None:
    """LIQ-06: 2 % below 94 is 92.12, so not below 93."""
    desk = victim_desk(liquidation_mode=FULL, slippage_cap_ppm=20_000)
    (closing,) = only(desk.mark(94), m.LiquidationOrder)
    assert closing.price_ticks == 93


def test_fund_pays_what_is_worse_than_bankruptcy_and_the_fill_shrinks_to_it() -> None:
    """LIQ-07: at 88 each lot is 2 short of 90: a fund of 150 bears 75 lots, and not a lot more."""
    desk = victim_desk(liquidation_mode=FULL)
    desk.do(m.DepositFund(fund=0, amount_atoms=150))
    desk.order(RICH, BUY, 100, 88)
    events = desk.mark(94)
    (closing,) = only(events, m.LiquidationOrder)
    assert closing.price_ticks == 1  # 90 - 150 would be below the first tick
    maker, liquidated = fills(events)
    assert (maker.role, liquidated.role, liquidated.qty_lots) == (
        FillRole.MAKER,
        FillRole.LIQUIDATED,
        75,
    )
    assert (liquidated.realised_atoms, liquidated.wallet_atoms) == (-900, 100)
    (moved,) = only(events, m.FundChanged)
    assert (moved.cause, moved.change_atoms) == (FundCause.LIQUIDATION_DEFICIT, -150)
    (settled,) = only(events, m.LiquidationSettled)
    assert (settled.bankruptcy_value_atoms, settled.fund_paid_atoms) == (6_750, 150)
    assert settled.wallet_atoms == 250
    # 25 lots are left with 250 - 150 = 100 of equity, below ceil(117.5).
    view = desk.engine.account(1)
    assert (view.equity_atoms, view.maintenance_atoms, view.liquidating) == (100, 118, True)


def test_draw_cap_bounds_what_one_liquidation_takes() -> None:
    desk = victim_desk(liquidation_mode=FULL, draw_cap_atoms=100)
    desk.do(m.DepositFund(fund=0, amount_atoms=1_000))
    desk.order(RICH, BUY, 200, 88)
    assert fills(desk.mark(94))[1].qty_lots == 50
    # It is still the same liquidation when the mark moves again: nothing more to draw.
    assert not fills(desk.mark(94))
    assert desk.engine.fund(0) == 900


def test_fee_goes_to_the_fund_and_what_is_left_of_an_isolated_pool_to_the_wallet() -> None:
    """LIQ-07, LIQ-08: 1,000 - 600 - fee 94 = 306 come back to a wallet of 500."""
    desk = Desk()
    desk.list(liquidation_mode=FULL, liquidation_fee_ppm=10_000)
    desk.mark(100)
    desk.deposit(RICH, 1_000_000)
    desk.deposit(1, 1_500)
    desk.isolate(1)
    desk.trade(1, RICH, 100, 100)
    desk.order(RICH, BUY, 100, 94)
    events = desk.mark(94)
    liquidated = fills(events, FillRole.LIQUIDATED)[0]
    assert (liquidated.wallet_atoms, liquidated.margin_atoms) == (500, 400)
    (settled,) = only(events, m.LiquidationSettled)
    assert (settled.liquidation_fee_atoms, settled.wallet_atoms, settled.margin_atoms) == (
        94,
        806,
        0,
    )
    assert only(events, m.LiquidationEnded)[0].symbol == 1
    assert desk.engine.fund(0) == 94


def test_liquidation_fee_never_causes_a_deficit() -> None:
    """LIQ-07: at 91 a lot is 1 above bankruptcy: of a fee of 455 for 100 lots only 100 are taken."""
    desk = victim_desk(liquidation_mode=FULL, liquidation_fee_ppm=50_000)
    desk.order(RICH, BUY, 100, 91)
    (settled,) = only(desk.mark(94), m.LiquidationSettled)
    assert (settled.liquidation_fee_atoms, settled.wallet_atoms) == (100, 0)


# -------------------------------------------------------------------------------------------- LIQ-01..03


def test_pool_nearest_to_ruin_goes_first() -> None:
    desk = Desk()
    desk.list(liquidation_mode=FULL)
    desk.mark(100)
    desk.deposit(RICH, 1_000_000)
    for account, money in ((1, 1_010), (2, 1_000), (3, 1_005)):
        desk.deposit(account, money)
        desk.trade(account, RICH, 100, 100)
    events = desk.mark(94)
    assert [event.account for event in only(events, m.LiquidationStarted)] == [2, 3, 1]


def test_orders_of_the_pool_are_cancelled_before_it_is_flagged() -> None:
    desk = victim_desk(liquidation_mode=FULL)
    desk.list(2)
    desk.mark(100, symbol=2)
    desk.deposit(1, 100)
    desk.do(m.SetMarginMode(account=1, symbol=2, margin_mode=1))
    desk.order(1, SELL, 10, 120)
    desk.order(1, SELL, 10, 110)
    desk.order(1, BUY, 1, 90, symbol=2)  # of another pool
    events = desk.mark(93)
    assert cancelled(events) == [(4, "liquidation", 10), (3, "liquidation", 10)]
    assert names(events)[:4] == [
        "MarkChanged",
        "OrderCancelled",
        "OrderCancelled",
        "LiquidationStarted",
    ]
    assert [o.order_id for o in desk.engine.open_orders(1)] == [5]
    assert desk.refuse(order(1, SELL, 1, 93)) == "pool_liquidating"
    # A pool that is flagged already is looked at again, without being announced again.
    assert names(desk.mark(93)) == [
        *("MarkChanged", "LiquidationPosition", "LiquidationSized", "LiquidationOrder")
    ]
    assert "LiquidationEnded" in names(desk.deposit(1, 1_000))


def test_position_with_the_largest_maintenance_goes_first() -> None:
    desk = victim_desk(liquidation_mode=FULL)
    desk.list(2, liquidation_mode=FULL)
    desk.mark(100, symbol=2)
    desk.deposit(1, 1_200)
    desk.trade(1, RICH, 120, 100, symbol=2)
    assert [event.symbol for event in only(desk.mark(86), m.LiquidationOrder)] == [2, 1]


def test_each_position_gets_one_order_except_in_target_mode() -> None:
    """LIQ-02: a fraction is closed once a turn; its own fill does not bring the pool back."""
    desk = victim_desk(liquidation_mode=FRACTION, liquidation_fraction_ppm=100_000)
    desk.order(RICH, BUY, 100, 94)
    assert [event.qty_lots for event in only(desk.mark(94), m.LiquidationOrder)] == [10]
    assert desk.holding(1) == (90, 9_000)


def test_isolated_fill_can_bring_the_cross_pool_below_maintenance() -> None:
    """Step 5: of 140 a fill of 400 moves 40 into its pool and 20 to the fees: 80 are left for the 100 needed."""
    desk = Desk()
    desk.list(1, taker_fee_ppm=50_000)
    desk.list(2, brackets=((0, 100_000, 0),))
    desk.mark(100, symbol=1)
    desk.mark(100, symbol=2)
    desk.deposit(RICH, 1_000_000)
    desk.deposit(1, 140)
    desk.isolate(1, symbol=1)
    desk.trade(1, RICH, 10, 100, symbol=2)
    desk.order(RICH, SELL, 4, 100)
    events = desk.order(1, BUY, 4, 100)
    (started,) = only(events, m.LiquidationStarted)
    assert (started.account, started.symbol) == (1, 0)
    assert (started.equity_atoms, started.maintenance_atoms) == (80, 100)


# ----------------------------------------------------------------------------------- FUND-02, ADL-01..03


def deficit_desk(fund: int = 0) -> Desk:
    """Short 3 from 100 with 50; 2 lots are account 3's, 1 lot is account 2's."""
    desk = Desk()
    desk.list()
    desk.mark(100)
    desk.deposit(1, 50)
    desk.deposit(2, 1_000)
    desk.deposit(3, 1_000)
    desk.trade(2, 1, 1, 100)
    desk.trade(3, 1, 2, 100)
    if fund:
        desk.do(m.DepositFund(fund=0, amount_atoms=fund))
    return desk


def test_deleveraging_parts_add_up_to_the_bankruptcy_value() -> None:
    """ADL-02: V = 350 for 3 lots: 2 lots at floor(700 / 3) = 233, the last at 350 - 233 = 117."""
    desk = deficit_desk()
    events = desk.mark(120)
    given = [
        (f.account, f.role, f.qty_lots, f.value_atoms, f.realised_atoms) for f in fills(events)
    ]
    # Account 3 has the higher score: 40 x 240 / (200 x 1,040) against 20 x 120 / (100 x 1,020).
    assert given == [
        (1, FillRole.DELEVERAGED, 2, 233, -33),
        (3, FillRole.ADL_COUNTERPARTY, 2, 233, 33),
        (1, FillRole.DELEVERAGED, 1, 117, -17),
        (2, FillRole.ADL_COUNTERPARTY, 1, 117, 17),
    ]
    assert [(f.price_ticks, f.order_id, f.open_lots) for f in fills(events)] == [(0, 0, 0)] * 4
    assert [f.trade_id for f in fills(events)] == [3, 3, 4, 4]
    assert [desk.wallet(account) for account in (1, 2, 3)] == [0, 1_017, 1_033]
    assert names(events)[-1] == "LiquidationEnded"


def test_fund_pays_before_anybody_is_deleveraged() -> None:
    """FUND-02: of a deficit of 10 the fund pays 4; V = 360 - 6 = 354."""
    desk = deficit_desk(fund=4)
    events = desk.mark(120)
    (moved,) = only(events, m.FundChanged)
    (covered,) = only(events, m.BalanceChanged)
    assert (moved.cause, moved.change_atoms, covered.wallet_change_atoms) == (
        FundCause.DEFICIT_COVER,
        -4,
        4,
    )
    assert [f.value_atoms for f in fills(events, FillRole.DELEVERAGED)] == [236, 118]
    assert desk.wallet(1) == 0


def test_fund_that_covers_all_transfers_the_position_at_the_mark() -> None:
    desk = deficit_desk(fund=100)
    events = desk.mark(120)
    assert [f.value_atoms for f in fills(events, FillRole.DELEVERAGED)] == [240, 120]
    assert (desk.engine.fund(0), desk.wallet(1)) == (90, 0)


def test_losers_are_asked_after_winners() -> None:
    """ADL-01: account 3 holds 1 lot from 100, account 2 holds 2 lots from 130; V = 350 for 3 lots."""
    desk = Desk()
    desk.list()
    desk.mark(100)
    for account, money in ((1, 50), (2, 1_000), (3, 1_000)):
        desk.deposit(account, money)
    desk.trade(3, 1, 3, 100)
    desk.trade(2, 3, 2, 130)
    asked = fills(desk.mark(120), FillRole.ADL_COUNTERPARTY)
    assert [(f.account, f.value_atoms, f.realised_atoms) for f in asked] == [
        (3, 116, 16),
        (2, 234, -26),
    ]


def uncovered_desk() -> Desk:
    """Account 1 is short 3 of symbol 1 and long 10 of symbol 2; its only counterparty in 1 has 15 left."""
    desk = Desk()
    desk.list(1)
    desk.list(2)
    desk.mark(100, symbol=1)
    desk.mark(100, symbol=2)
    desk.deposit(1, 130)
    desk.deposit(2, 30)
    desk.deposit(RICH, 10_000)
    desk.trade(2, 1, 3, 100, symbol=1)
    desk.trade(1, RICH, 10, 100, symbol=2)
    desk.mark(95, symbol=1)
    return desk


def test_nobody_is_deleveraged_below_zero() -> None:
    """ADL-01, ADL-03: equity 130 + 15 - 210 = -65; symbol 2 takes floor(-65 x 40 / 55) = -48 of it.

    The 17 that are left would cost account 2 more than the 15 that it has.
    """
    desk = uncovered_desk()
    events = desk.mark(79, symbol=2)
    (deleveraged,) = fills(events, FillRole.DELEVERAGED)
    assert (deleveraged.symbol, deleveraged.value_atoms) == (2, 790 + 48)
    (report,) = only(events, m.DeficitUncovered)
    assert (report.symbol, report.remaining_lots, report.shortfall_atoms) == (1, -3, 17)
    assert desk.engine.uncovered()
    assert desk.engine.account(1).liquidating


def test_withdrawals_stop_until_the_deficit_is_covered() -> None:
    desk = uncovered_desk()
    desk.mark(79, symbol=2)
    withdrawal = m.Withdraw(account=RICH, amount_atoms=1)
    assert desk.refuse(withdrawal) == "withdrawals_stopped"
    assert desk.refuse(m.Withdraw(account=1, amount_atoms=1)) == "pool_liquidating"
    desk.deposit(1, 31)  # 14 of equity, still below the 15 of maintenance
    assert desk.engine.uncovered()
    assert names(desk.deposit(1, 1)) == ["BalanceChanged", "LiquidationEnded"]
    assert not desk.engine.uncovered()
    desk.do(withdrawal)


def test_counterparty_keeps_its_isolated_share() -> None:
    """ADL-02, ACCT-05: account 3's pool of 20 comes back with its profit of 33."""
    desk = Desk()
    desk.list()
    desk.mark(100)
    desk.deposit(1, 50)
    desk.deposit(2, 1_000)
    desk.deposit(3, 1_000)
    desk.isolate(3)
    desk.trade(2, 1, 1, 100)
    desk.trade(3, 1, 2, 100)
    events = desk.mark(120)
    first = fills(events, FillRole.ADL_COUNTERPARTY)[0]
    assert (first.account, first.wallet_atoms, first.margin_atoms) == (3, 1_033, 0)


def test_reduce_only_orders_of_a_counterparty_go_with_its_position() -> None:
    desk = deficit_desk()
    desk.order(3, SELL, 2, 150, flags=2)
    events = desk.mark(120)
    assert cancelled(events) == [(5, "reduce_only", 2)]
