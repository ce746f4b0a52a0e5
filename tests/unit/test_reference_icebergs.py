"""Orders that hide a part, slide, or stay apart by groups, on the reference engine (MATCH-04, MATCH-06, MATCH-15)."""

from __future__ import annotations

import pytest
from reference_desk import (
    BUY,
    FOK,
    IOC,
    LIMIT_TYPES,
    POST_ONLY,
    PROFIT_LIMIT,
    SELL,
    SLIDE,
    STOP,
    Desk,
    cancelled,
    fills,
    names,
    only,
    order,
    waiting,
)

from exchange.protocol import messages as m
from exchange.protocol.schema import OrderFlag


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.list()
    desk.mark(100)
    for account in (1, 2, 3, 4):
        desk.deposit(account, 100_000)
    return desk


def shown(events: list[object]) -> list[tuple[int, int, int]]:
    """(order id, lots shown, whether it is a new slice) of each."""
    return [(e.order_id, e.shown_lots, e.refreshed) for e in only(events, m.OrderShown)]


def test_iceberg_trades_slice_by_slice(desk: Desk) -> None:
    """The example of MATCH-15: 5 at 100 showing 2, behind it 1; a buy of 4 takes 2, 1, 1."""
    events = desk.order(1, SELL, 5, 100, display_lots=2)
    assert names(events) == ["OrderRested", "OrderShown"]
    assert (events[0].open_lots, events[0].flags) == (5, OrderFlag.ICEBERG)
    assert shown(events) == [(1, 2, 1)]
    desk.order(2, SELL, 1, 100)
    assert desk.book()[1] == [(100, 3)]
    events = desk.order(3, BUY, 4, 100)
    assert [(f.account, f.qty_lots, f.open_lots) for f in fills(events) if f.role == 0] == [
        (1, 2, 3),
        (2, 1, 0),
        (1, 1, 2),
    ]
    assert shown(events) == [(1, 2, 1)]
    view = desk.live(1)[1]
    assert (view.open_lots, view.shown_lots, view.display_lots) == (2, 1, 2)
    assert names(events)[:3] == ["Fill", "Fill", "OrderShown"]


def test_last_slice_is_what_is_left(desk: Desk) -> None:
    desk.order(1, SELL, 3, 100, display_lots=2)
    assert shown(desk.order(2, BUY, 2, 100)) == [(1, 1, 1)]
    assert shown(desk.order(2, BUY, 1, 100)) == []
    assert desk.book() == ([], [])


def test_iceberg_takes_with_all_its_lots_and_rests_with_a_slice(desk: Desk) -> None:
    desk.order(1, SELL, 3, 100)
    events = desk.order(2, BUY, 8, 100, display_lots=4)
    assert [f.qty_lots for f in fills(events)] == [3, 3]
    assert (only(events, m.OrderRested)[0].open_lots, shown(events)) == (5, [(2, 4, 1)])


def test_hidden_lots_count_for_fill_or_kill_and_for_market_orders(desk: Desk) -> None:
    desk.order(1, SELL, 9, 100, display_lots=1)
    desk.order(1, SELL, 9, 105)
    assert not cancelled(desk.order(2, BUY, 6, 100, time_in_force=FOK))
    events = desk.order(3, BUY, 4)  # 3 at 100 are left, so it reaches 105
    assert [f.price_ticks for f in fills(events)][::2] == [100, 100, 100, 105]


def test_display_that_may_not_be(desk: Desk) -> None:
    for refused in (
        order(1, BUY, 5, 90, display_lots=6),
        order(1, BUY, 5, 90, display_lots=-1),
        order(1, BUY, 5, 90, display_lots=2, time_in_force=IOC),
        order(1, BUY, 5, display_lots=2),
        waiting(1, SELL, 5, STOP, trigger_ticks=95, display_lots=1),
    ):
        assert desk.refuse(refused) == "invalid_display"
    assert PROFIT_LIMIT in LIMIT_TYPES
    desk.waits(1, SELL, 5, PROFIT_LIMIT, trigger_ticks=105, price_ticks=105, display_lots=1)
    assert shown(desk.mark(105)) == [(1, 1, 1)]


def test_amends_of_an_iceberg(desk: Desk) -> None:
    desk.order(1, SELL, 9, 100, display_lots=4)
    desk.order(2, SELL, 1, 100)
    assert desk.amend(1, 1, display_lots=2) == []  # counts from the next slice on
    assert names(desk.amend(1, 1, qty_lots=8)) == ["OrderAmended"]  # it still shows 4
    events = desk.amend(1, 1, qty_lots=3)
    assert names(events) == ["OrderAmended", "OrderShown"]
    assert shown(events) == [(1, 3, 0)]
    taken = fills(desk.order(3, BUY, 3, 100))
    assert [(f.account, f.qty_lots) for f in taken][::2] == [(1, 3)]
    desk.order(1, SELL, 9, 101, display_lots=4)
    events = desk.amend(1, 4, qty_lots=10, display_lots=5)
    assert names(events) == ["OrderAmended", "OrderRested", "OrderShown"]
    assert shown(events) == [(4, 5, 1)]
    too_much = m.AmendOrder(account=1, order_id=4, display_lots=11)
    assert desk.refuse(too_much) == "invalid_display"
    assert desk.refuse(m.AmendOrder(account=2, order_id=2, display_lots=1)) == "invalid_display"


def test_decrement_takes_a_slice_at_a_time(desk: Desk) -> None:
    """5 showing 2 against 3 of its own: 2 off both, a new slice of 2, 1 off both."""
    desk.order(1, SELL, 5, 100, display_lots=2)
    events = desk.order(1, BUY, 3, 100, self_trade=3)
    assert names(events) == [
        "OrderReduced",
        "OrderShown",
        "OrderReduced",
        "OrderReduced",
        "OrderCancelled",
    ]
    assert cancelled(events) == [(2, "self_trade", 1)]
    view = desk.live(1)[1]
    assert (view.open_lots, view.shown_lots, view.filled_lots) == (2, 1, 3)


# ------------------------------------------------------------------------------------------------- sliding


def test_post_only_slides_to_the_best_price_that_does_not_take(desk: Desk) -> None:
    desk.order(1, SELL, 1, 101)
    desk.order(1, BUY, 1, 98)
    (rested,) = desk.order(2, BUY, 1, 105, flags=POST_ONLY | SLIDE)
    assert rested.price_ticks == 100
    (rested,) = desk.order(2, SELL, 1, 97, flags=POST_ONLY | SLIDE)
    assert rested.price_ticks == 101
    (rested,) = desk.order(2, BUY, 1, 90, flags=POST_ONLY | SLIDE)  # it does not cross: as given
    assert rested.price_ticks == 90


def test_post_only_that_cannot_slide_is_refused(desk: Desk) -> None:
    desk.order(1, SELL, 1, 1)
    slides = order(2, BUY, 1, 5, flags=POST_ONLY | SLIDE)
    assert desk.refuse(slides) == "post_only_would_take"


def test_amended_price_slides_and_may_be_the_present_one(desk: Desk) -> None:
    desk.order(1, SELL, 1, 101)
    desk.order(2, BUY, 3, 99, flags=POST_ONLY | SLIDE)
    events = desk.amend(2, 2, price_ticks=110)
    assert [(e.price_ticks, e.open_lots) for e in events] == [(100, 3), (100, 3)]
    again = m.AmendOrder(account=2, order_id=2, price_ticks=110)
    assert desk.refuse(again) == "nothing_to_amend"
    (amended,) = desk.amend(2, 2, price_ticks=110, qty_lots=2)
    assert (amended.kept_priority, amended.price_ticks, amended.open_lots) == (1, 100, 2)


def test_band_takes_the_price_that_was_given() -> None:
    desk = Desk()
    desk.list(price_band_ppm=50_000)
    desk.mark(100)
    desk.deposit(1, 1_000)
    desk.deposit(2, 1_000)
    desk.order(1, SELL, 1, 101)
    slides = order(2, BUY, 1, 106, flags=POST_ONLY | SLIDE)
    assert desk.refuse(slides) == "price_out_of_band"


# -------------------------------------------------------------------------------------------------- groups


def test_accounts_of_one_group_do_not_trade_with_each_other(desk: Desk) -> None:
    for account in (1, 2):
        (told,) = desk.do(m.SetStpGroup(member_account=account, stp_group=7))
        assert (told.account, told.stp_group) == (account, 7)
    assert desk.engine.account(1).stp_group == 7
    desk.order(1, SELL, 5, 100)
    desk.order(3, SELL, 5, 100)
    events = desk.order(2, BUY, 5, 100, self_trade=1)  # the maker goes
    assert cancelled(events) == [(1, "self_trade", 5)]
    assert only(events, m.OrderCancelled)[0].account == 1
    assert [f.account for f in fills(events)] == [3, 2]


def test_fill_or_kill_does_not_count_the_own_group(desk: Desk) -> None:
    for account in (1, 2):
        desk.do(m.SetStpGroup(member_account=account, stp_group=7))
    desk.order(1, SELL, 5, 100)
    desk.order(3, SELL, 5, 101)
    kills = {"time_in_force": FOK}
    assert cancelled(desk.order(2, BUY, 5, 101, **kills)) == [(3, "fill_or_kill", 5)]
    events = desk.order(2, BUY, 5, 101, self_trade=1, **kills)
    assert [f.account for f in fills(events)] == [3, 2]


def test_group_that_was_left_does_not_count(desk: Desk) -> None:
    desk.do(m.SetStpGroup(member_account=1, stp_group=7))
    desk.do(m.SetStpGroup(member_account=2, stp_group=7))
    desk.do(m.SetStpGroup(member_account=2))
    desk.order(1, SELL, 5, 100)
    assert len(fills(desk.order(2, BUY, 5, 100))) == 2
    assert desk.refuse(m.SetStpGroup(member_account=0, stp_group=1)) == "invalid_account"


def test_liquidation_trades_with_the_own_group_too(desk: Desk) -> None:
    """The closing order is the engine's: an account of the group buys what must be sold."""
    for account in (2, 5):
        desk.do(m.SetStpGroup(member_account=account, stp_group=7))
    desk.deposit(5, 1_000)
    desk.trade(5, 3, 100, 100)
    desk.order(2, BUY, 100, 95)
    events = desk.mark(94)
    assert [f.account for f in fills(events)][:2] == [2, 5]
