"""Requirements, admission and liquidation prices of the reference engine (MARGIN)."""

from __future__ import annotations

import pytest
from reference_desk import BUY, ISOLATED, REDUCE_ONLY, SELL, Desk, names, order

from exchange.protocol import messages as m
from exchange.reference.margin import maintenance_of_notional
from exchange.reference.state import Bracket

RICH = 9


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.list()
    desk.mark(100)
    desk.deposit(RICH, 1_000_000)
    return desk


# ----------------------------------------------------------------------------------- MARGIN-03, 04


def test_maintenance_is_continuous_at_a_bracket_edge() -> None:
    """MARGIN-03: 5 % to 1,000, then 10 %, less 1,000 x 5 % = 50."""
    desk = Desk()
    desk.list(brackets=((0, 50_000, 0), (1_000, 100_000, 0)))
    symbol = desk.engine._ctx.state.symbols[1]
    assert symbol.brackets[1] == Bracket(1_000, 100_000, 100_000, 50)
    assert [maintenance_of_notional(symbol, n) for n in (0, 1, 999, 1_000, 1_001, 2_000)] == [
        0,
        1,
        50,
        50,
        51,
        150,
    ]


def test_initial_margin_follows_own_rate_or_the_brackets(desk: Desk) -> None:
    """MARGIN-04: the bracket asks for 20 % from 1,000 on, the account chose 15 %."""
    desk.list(2, brackets=((0, 50_000, 100_000), (1_000, 50_000, 200_000)))
    desk.mark(100, symbol=2)
    desk.deposit(1, 1_000)
    desk.do(m.SetMarginMode(account=1, symbol=2, margin_mode=0, initial_margin_ppm=150_000))
    desk.trade(1, RICH, 9, 100, symbol=2)
    assert desk.position(1, 2).initial_margin_atoms == 135
    desk.trade(1, RICH, 1, 100, symbol=2)
    assert desk.position(1, 2).initial_margin_atoms == 200


# --------------------------------------------------------------------------------------- MARGIN-05


def test_orders_that_offset_the_position_are_free(desk: Desk) -> None:
    """MARGIN-05: long 2 at 100 needs 20; selling 1 at 100 and 2 at 110 leaves 1 at 110, which needs 11 < 20."""
    desk.deposit(1, 1_000)
    desk.trade(1, RICH, 2, 100)
    desk.order(1, SELL, 2, 110)
    desk.order(1, SELL, 1, 100)
    assert desk.position(1).order_margin_atoms == 0
    # Two more at 120: 110 + 240 = 350 need 35, which is 15 more than the position does.
    desk.order(1, SELL, 2, 120)
    assert desk.position(1).order_margin_atoms == 15


def test_orders_of_the_same_side_join_the_position_and_pay_their_instant_loss(desk: Desk) -> None:
    """MARGIN-05: 200 held + 105 ordered need ceil(30.5) = 31, and 5 are lost at once: 36, or 16 more than 20."""
    desk.deposit(1, 1_000)
    desk.trade(1, RICH, 2, 100)
    desk.order(1, BUY, 1, 105)
    assert desk.position(1).order_margin_atoms == 16


def test_sells_count_at_the_mark_at_least(desk: Desk) -> None:
    """MARGIN-05: a sell of 1 at 95 with the mark at 100 needs 10 and loses 5."""
    desk.deposit(1, 1_000)
    desk.order(1, SELL, 1, 95)
    assert desk.position(1).order_margin_atoms == 15


def test_reduce_only_orders_ask_for_nothing(desk: Desk) -> None:
    desk.deposit(1, 20)
    desk.trade(1, RICH, 2, 100)
    desk.order(1, SELL, 2, 120, flags=REDUCE_ONLY)
    assert desk.position(1).order_margin_atoms == 0
    assert desk.engine.account(1).available_atoms == 0


def test_profit_counts_by_its_weight(desk: Desk) -> None:
    """MARGIN-06: 7 of profit at half weight are 3, rounded down; a loss counts whole."""
    desk.list(2, upnl_weight_ppm=500_000)
    desk.mark(100, symbol=2)
    desk.deposit(1, 100)
    desk.trade(1, RICH, 1, 100, symbol=2)
    desk.mark(107, symbol=2)
    assert desk.engine.account(1).available_atoms == 100 + 3 - 11
    desk.mark(93, symbol=2)
    assert desk.engine.account(1).available_atoms == 100 - 7 - 10


# --------------------------------------------------------------------------------------- MARGIN-07


def test_order_is_admitted_up_to_the_last_atom(desk: Desk) -> None:
    desk.deposit(1, 99)
    assert desk.refuse(order(1, BUY, 10, 100)) == "insufficient_margin"
    desk.deposit(1, 1)
    desk.order(1, BUY, 10, 100)


def test_below_initial_margin_closing_is_still_admitted(desk: Desk) -> None:
    """MARGIN-07: equity 60 of 10 lots at 94 is below the 94 of initial margin; risk may only fall."""
    desk.deposit(1, 120)
    desk.trade(1, RICH, 10, 100)
    desk.mark(94)
    assert desk.engine.account(1).available_atoms == 60 - 94
    assert desk.refuse(order(1, BUY, 1, 94)) == "insufficient_margin"
    # Pure: 60 x 47 >= 60 x 43, and the rest of the lots is not more than the position.
    desk.order(1, SELL, 1, 94)
    # 10 more would be 11 lots against a position of 10.
    assert desk.refuse(order(1, SELL, 10, 94)) == "insufficient_margin"
    # At 80 a lot loses 14: 46 x 47 = 2,162 < 60 x 43 = 2,580 - the pool would be nearer to liquidation.
    assert desk.refuse(order(1, SELL, 1, 80)) == "insufficient_margin"
    assert desk.refuse(order(1, SELL, 1, 80, flags=REDUCE_ONLY)) == "insufficient_margin"
    desk.order(1, SELL, 9, 94)


def test_isolated_pool_must_bear_what_it_closes(desk: Desk) -> None:
    """MARGIN-07: M 30 for 3 lots. At 85 one lot loses 15: 15 is below the 20 that 2 lots need."""
    desk.deposit(1, 1_000)
    desk.isolate(1)
    desk.trade(1, RICH, 3, 100)
    assert desk.refuse(order(1, SELL, 1, 85)) == "insufficient_margin"
    # At 90 it loses 10, and 20 are what 2 lots need.
    desk.order(1, SELL, 1, 90)


def test_isolated_opening_must_stand_at_once(desk: Desk) -> None:
    """MARGIN-07: 1 lot bought at 106 brings ceil(10.6) = 11, loses 6, and 5 are just its maintenance."""
    desk.deposit(1, 1_000)
    desk.isolate(1)
    desk.order(1, BUY, 1, 106)
    # At 107: 11 - 7 = 4 < 5.
    assert desk.refuse(order(1, BUY, 1, 107)) == "insufficient_margin"


def test_market_order_is_margined_for_the_lots_it_finds(desk: Desk) -> None:
    """MATCH-02: 50 wanted, 10 found at 100: 100 of margin are enough."""
    desk.deposit(1, 100)
    desk.order(RICH, SELL, 10, 100)
    assert names(desk.order(1, BUY, 50)) == ["Fill", "Fill", "OrderCancelled"]
    assert desk.holding(1) == (10, 1_000)


def test_amend_is_admitted_if_available_does_not_fall(desk: Desk) -> None:
    """MATCH-05: below initial margin a lower bid is still allowed, a higher one is not."""
    desk.deposit(1, 150)
    desk.trade(1, RICH, 10, 100)
    desk.order(1, BUY, 2, 100)
    desk.mark(95)
    assert desk.engine.account(1).available_atoms < 0
    higher = m.AmendOrder(account=1, order_id=3, price_ticks=101)
    assert desk.refuse(higher) == "insufficient_margin"
    desk.do(m.AmendOrder(account=1, order_id=3, price_ticks=90))


def test_amend_waives_nothing_but_what_is_available(desk: Desk) -> None:
    """MATCH-05: a lower offer leaves available as it was, and still the isolated pool must bear it."""
    desk.deposit(1, 1_000)
    desk.isolate(1)
    desk.trade(1, RICH, 3, 100)
    desk.order(1, SELL, 1, 90)  # loses 10 of 30: 20 are what 2 lots need
    lower = m.AmendOrder(account=1, order_id=3, price_ticks=85)
    assert desk.refuse(lower) == "insufficient_margin"
    reducing = desk.order(1, SELL, 1, 95, flags=REDUCE_ONLY)[0].order_id
    worse = m.AmendOrder(account=1, order_id=reducing, price_ticks=85)
    assert desk.refuse(worse) == "insufficient_margin"


# --------------------------------------------------------------------------------------- MARGIN-09


def test_liquidation_price_is_the_first_that_liquidates(desk: Desk) -> None:
    """MARGIN-09: 10 lots from 100 with 100: at 94 equity 40 < 47; at 95 equity 50 >= 47.5, rounded up 48."""
    desk.deposit(1, 100)
    desk.trade(1, RICH, 10, 100)
    assert desk.position(1).liquidation_price_ticks == 94
    assert desk.position(RICH).liquidation_price_ticks == 95_334
    desk.mark(95)
    assert not desk.engine.account(1).liquidating
    desk.mark(94)
    assert desk.engine.account(1).liquidating
    # There is nobody to close with, so it stays: the price is the mark itself.
    assert desk.position(1).liquidation_price_ticks == 94


def test_position_that_is_fully_paid_has_no_liquidation_price(desk: Desk) -> None:
    desk.deposit(1, 100_000)
    desk.isolate(1, rate=1_000_000)
    desk.trade(1, RICH, 1, 100)
    desk.do(m.ChangeIsolatedMargin(account=1, symbol=1, change_atoms=100))
    view = desk.position(1)
    assert (view.margin_mode, view.liquidation_price_ticks) == (ISOLATED, 0)


def test_maintenance_test_is_strict(desk: Desk) -> None:
    """MARGIN-08: 20 lots at 95 with 195: equity 95 is exactly the maintenance of 95."""
    desk.deposit(1, 200)
    desk.trade(1, RICH, 20, 100)
    desk.do(m.SettleFunding(symbol=1, payment_atoms_per_lot=0, payment_fraction_q32=1 << 30))
    assert desk.wallet(1) == 195
    desk.mark(95)
    view = desk.engine.account(1)
    assert (view.equity_atoms, view.maintenance_atoms, view.liquidating) == (95, 95, False)
