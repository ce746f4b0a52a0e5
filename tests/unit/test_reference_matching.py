"""The loop of the reference engine: priority, order types, self-trade prevention, amends (MATCH)."""

from __future__ import annotations

import pytest
from reference_desk import (
    BUY,
    FOK,
    IOC,
    ISOLATED,
    POST_ONLY,
    REDUCE_ONLY,
    SELL,
    Desk,
    cancelled,
    fills,
    names,
    only,
    order,
)

from exchange.protocol import messages as m


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.list()
    desk.mark(100)
    for account in (1, 2, 3, 4):
        desk.deposit(account, 100_000)
    return desk


def test_better_price_goes_first_then_the_earlier_order(desk: Desk) -> None:
    desk.order(1, SELL, 5, 102)
    desk.order(2, SELL, 5, 101)
    desk.order(3, SELL, 5, 101)
    events = desk.order(4, BUY, 12, 105)
    taken = [(f.account, f.qty_lots, f.price_ticks) for f in fills(events) if f.role == 0]
    assert taken == [(2, 5, 101), (3, 5, 101), (1, 2, 102)]
    # Maker and taker of a fill share its trade id, and the maker's side comes first.
    assert [(f.role, f.trade_id) for f in fills(events)][:2] == [(0, 1), (1, 1)]


def test_rest_of_a_good_till_cancelled_order_rests(desk: Desk) -> None:
    desk.order(1, SELL, 5, 100)
    events = desk.order(2, BUY, 8, 100)
    assert names(events) == ["Fill", "Fill", "OrderRested"]
    assert desk.engine.book(1).bids[0].qty_lots == 3
    assert desk.engine.book(1).asks == []


def test_ioc_remainder_is_cancelled_not_rested(desk: Desk) -> None:
    desk.order(1, SELL, 5, 100)
    events = desk.order(2, BUY, 8, 100, time_in_force=IOC)
    assert cancelled(events) == [(2, "immediate_or_cancel", 3)]
    assert desk.engine.book(1).bids == []


def test_market_order_stops_at_the_worst_price_it_would_have_reached(desk: Desk) -> None:
    """MATCH-02: 6 lots reach 101, so when the lots at 100 are withdrawn in mid-flight 103 is not touched."""
    desk.order(1, SELL, 4, 100)
    desk.order(2, SELL, 4, 101)
    desk.order(3, SELL, 4, 103)
    # Account 1 is below its initial margin by now, because of a losing position in another symbol.
    desk.list(2)
    desk.mark(100, symbol=2)
    desk.trade(1, 4, 9_000, 100, symbol=2)
    desk.mark(96, symbol=2)
    events = desk.order(4, BUY, 6)
    assert cancelled(events) == [(1, "insufficient_margin", 4), (6, "immediate_or_cancel", 2)]
    assert [(f.account, f.qty_lots) for f in fills(events)] == [(2, 4), (4, 4)]


def test_market_order_without_a_book_is_accepted_and_cancelled(desk: Desk) -> None:
    """MATCH-02: even by somebody without money, for nothing can happen."""
    assert cancelled(desk.order(9, BUY, 10)) == [(1, "immediate_or_cancel", 10)]
    assert cancelled(desk.order(9, BUY, 10, time_in_force=FOK)) == [(2, "fill_or_kill", 10)]


def test_market_order_does_not_look_beyond_the_price_band() -> None:
    desk = Desk()
    desk.list(price_band_ppm=10_000)
    desk.mark(150)  # the highest buy is floor(151.5) = 151
    desk.deposit(1, 10_000)
    desk.deposit(2, 10_000)
    desk.order(1, SELL, 1, 151)
    desk.order(1, SELL, 1, 152)
    assert desk.refuse(order(2, BUY, 1, 152)) == "price_out_of_band"
    events = desk.order(2, BUY, 2)
    assert [f.price_ticks for f in fills(events)] == [151, 151]
    assert cancelled(events) == [(3, "immediate_or_cancel", 1)]


def test_fill_or_kill_is_all_or_nothing(desk: Desk) -> None:
    desk.order(1, SELL, 5, 100)
    desk.order(2, SELL, 5, 101)
    assert cancelled(desk.order(3, BUY, 11, 101, time_in_force=FOK)) == [(3, "fill_or_kill", 11)]
    events = desk.order(3, BUY, 10, 101, time_in_force=FOK)
    assert sum(f.qty_lots for f in fills(events) if f.account == 3) == 10
    assert not cancelled(events)


def test_fill_or_kill_reduce_only_needs_no_more_than_the_position(desk: Desk) -> None:
    desk.trade(1, 2, 3, 100)
    desk.order(3, BUY, 10, 100)
    events = desk.order(1, SELL, 8, 100, time_in_force=FOK, flags=REDUCE_ONLY)
    assert [f.qty_lots for f in fills(events)] == [3, 3]
    assert cancelled(events) == [(4, "reduce_only", 5)]
    assert desk.holding(1) == (0, 0)


def test_fill_or_kill_counts_one_order_of_an_isolated_maker(desk: Desk) -> None:
    """MATCH-03: what an isolated pool can bear after its first fill is not known before it."""
    desk.isolate(1)
    desk.order(1, SELL, 5, 100)
    desk.order(1, SELL, 5, 101)
    assert cancelled(desk.order(2, BUY, 6, 101, time_in_force=FOK)) == [(3, "fill_or_kill", 6)]
    assert len(fills(desk.order(2, BUY, 5, 101, time_in_force=FOK))) == 2
    # In cross mode, with enough available, both count.
    desk.order(3, SELL, 5, 101)
    desk.order(3, SELL, 5, 101)
    assert not cancelled(desk.order(2, BUY, 11, 101, time_in_force=FOK))


def test_fill_or_kill_does_not_rely_on_reduce_only_makers(desk: Desk) -> None:
    """MATCH-03: 3 lots could be reduced by account 1, but only the 5 of account 3 are sure."""
    desk.trade(1, 2, 3, 100)
    desk.order(1, SELL, 3, 100, flags=REDUCE_ONLY)
    desk.order(3, SELL, 5, 101)
    assert cancelled(desk.order(4, BUY, 6, 101, time_in_force=FOK)) == [(5, "fill_or_kill", 6)]
    # With 5 wanted it trades, in order of price: 3 from account 1 and 2 from account 3.
    taken = fills(desk.order(4, BUY, 5, 101, time_in_force=FOK))
    assert [(f.account, f.qty_lots) for f in taken if f.role == 0] == [(1, 3), (3, 2)]


@pytest.mark.parametrize(
    ("mode", "gone", "left"),
    [
        (0, [(2, "self_trade", 7)], (5, 0)),  # cancel taker
        (1, [(1, "self_trade", 5)], (0, 7)),  # cancel maker: the taker rests
        (2, [(1, "self_trade", 5), (2, "self_trade", 7)], (0, 0)),  # cancel both
        (3, [(1, "self_trade", 5)], (0, 2)),  # decrement: 5 off both
    ],
)
def test_self_trade_prevention(
    desk: Desk, mode: int, gone: list[tuple[int, str, int]], left: tuple[int, int]
) -> None:
    desk.order(1, SELL, 5, 100)
    events = desk.order(1, BUY, 7, 100, self_trade=mode)
    assert cancelled(events) == gone
    assert not fills(events)
    book = desk.engine.book(1)
    assert (sum(a.qty_lots for a in book.asks), sum(b.qty_lots for b in book.bids)) == left


def test_decrement_counts_as_filled_for_amends(desk: Desk) -> None:
    desk.order(1, SELL, 7, 100)
    events = desk.order(1, BUY, 5, 100, self_trade=3)
    (reduced,) = only(events, m.OrderReduced)
    assert (reduced.place, reduced.reduced_lots, reduced.open_lots) == (m.OrderPlace.BOOK, 5, 2)
    assert cancelled(events) == [(2, "self_trade", 5)]
    (view,) = desk.engine.open_orders(1)
    assert (view.open_lots, view.filled_lots) == (2, 5)
    refused = m.AmendOrder(account=1, order_id=1, qty_lots=5)
    assert desk.refuse(refused) == "quantity_below_filled"


def test_reduce_only_orders_go_when_the_position_is_gone(desk: Desk) -> None:
    desk.trade(1, 2, 3, 100)
    desk.order(1, SELL, 3, 110, flags=REDUCE_ONLY)
    desk.order(1, SELL, 3, 105, flags=REDUCE_ONLY)
    desk.order(2, BUY, 3, 99)
    events = desk.order(1, SELL, 3, 99)
    # Canonical order: best price first.
    assert cancelled(events) == [(4, "reduce_only", 3), (3, "reduce_only", 3)]
    assert names(events) == ["Fill", "Fill", "OrderCancelled", "OrderCancelled"]


def test_reduce_only_maker_is_clipped_to_its_position(desk: Desk) -> None:
    desk.trade(1, 2, 3, 100)
    desk.order(1, SELL, 8, 101, flags=REDUCE_ONLY)
    events = desk.order(3, BUY, 8, 101)
    assert [f.qty_lots for f in fills(events)] == [3, 3]
    assert cancelled(events) == [(3, "reduce_only", 5)]
    assert only(events, m.OrderRested)[0].open_lots == 5


def test_smaller_quantity_keeps_its_place(desk: Desk) -> None:
    desk.order(1, SELL, 5, 100)
    desk.order(2, SELL, 5, 100)
    (amended,) = desk.do(m.AmendOrder(account=1, order_id=1, qty_lots=4))
    assert (amended.kept_priority, amended.previous_open_lots, amended.open_lots) == (1, 5, 4)
    assert fills(desk.order(3, BUY, 1, 100))[0].account == 1


def test_larger_quantity_goes_to_the_back(desk: Desk) -> None:
    desk.order(1, SELL, 5, 100, client_order_id=77)
    desk.order(2, SELL, 5, 100)
    events = desk.do(m.AmendOrder(account=1, client_order_id=77, qty_lots=6))
    assert names(events) == ["OrderAmended", "OrderRested"]
    assert only(events, m.OrderRested)[0].order_id == 1
    assert fills(desk.order(3, BUY, 1, 100))[0].account == 2


def test_amended_price_may_trade_at_once(desk: Desk) -> None:
    desk.order(1, SELL, 2, 100)
    desk.order(2, BUY, 5, 95)
    events = desk.do(m.AmendOrder(account=2, order_id=2, price_ticks=100))
    assert names(events) == ["OrderAmended", "Fill", "Fill", "OrderRested"]
    assert [f.role for f in fills(events)] == [0, 1]
    assert desk.engine.open_orders(2)[0].filled_lots == 2


def test_amends_that_may_not_be(desk: Desk) -> None:
    desk.order(1, SELL, 5, 101, flags=POST_ONLY)
    desk.order(2, BUY, 5, 99)

    def amend(**change: int) -> str:
        return desk.refuse(m.AmendOrder(account=1, order_id=1, **change))

    assert amend() == "nothing_to_amend"
    assert amend(price_ticks=101, qty_lots=5) == "nothing_to_amend"
    assert amend(price_ticks=99) == "post_only_would_take"
    assert amend(price_ticks=-1, qty_lots=-1) == "invalid_price"
    assert amend(qty_lots=10**13) == "invalid_quantity"
    assert amend(qty_lots=10**9) == "insufficient_margin"
    assert desk.refuse(m.AmendOrder(account=2, order_id=1, qty_lots=1)) == "unknown_order"


def test_cancel_all_goes_in_canonical_order(desk: Desk) -> None:
    """By symbol, buys before sells, best price first, then time."""
    desk.list(2)
    desk.mark(100, symbol=2)
    desk.order(1, SELL, 1, 110)
    desk.order(1, BUY, 1, 90)
    desk.order(1, BUY, 1, 95, symbol=2)
    desk.order(1, BUY, 1, 95)
    desk.order(1, BUY, 1, 95)
    desk.order(2, BUY, 1, 95)
    events = desk.do(m.CancelAll(account=1))
    assert [event.order_id for event in events] == [4, 5, 2, 1, 3]
    assert [o.account for s in (1, 2) for o in desk.engine.open_orders(s)] == [2]


def test_cancel_by_client_order_id_is_for_the_owner_alone(desk: Desk) -> None:
    desk.order(1, SELL, 1, 110, client_order_id=5)
    desk.order(1, SELL, 1, 110)
    assert desk.refuse(m.CancelOrder(account=2, client_order_id=5)) == "unknown_order"
    assert desk.refuse(m.CancelOrder(account=1)) == "unknown_order"
    assert desk.refuse(order(1, BUY, 1, 90, client_order_id=5)) == "duplicate_client_order_id"
    assert cancelled(desk.do(m.CancelOrder(account=1, client_order_id=5))) == [(1, "requested", 1)]
    # It is remembered beyond the life of its order (MATCH-08).
    assert desk.refuse(order(1, BUY, 1, 90, client_order_id=5)) == "duplicate_client_order_id"


def test_of_several_reasons_the_smallest_number_is_given(desk: Desk) -> None:
    def place(**change: int) -> str:
        wrong = {
            "account": 0,
            "symbol": 9,
            "side": 2,
            "order_type": 7,
            "time_in_force": 4,
            "self_trade": 4,
            "flags": 64,
            "price_ticks": 0,
            "qty_lots": 0,
            "trigger_ticks": 5,
            "display_lots": -1,
            "expires_ns": 5,
        }
        return desk.refuse(m.PlaceOrder(**wrong | change))

    right: dict[str, int] = {}
    for name, value, reason in (
        ("account", 1, "invalid_account"),
        ("symbol", 1, "unknown_symbol"),
        ("side", 0, "invalid_side"),
        ("order_type", 0, "invalid_order_type"),
        ("time_in_force", 0, "invalid_time_in_force"),
        ("self_trade", 0, "invalid_self_trade_prevention"),
        ("flags", 0, "invalid_flags"),
        ("price_ticks", 100, "invalid_price"),
        ("qty_lots", 1, "invalid_quantity"),
        ("trigger_ticks", 0, "invalid_trigger"),
        ("display_lots", 0, "invalid_display"),
    ):
        assert place(**right) == reason
        right[name] = value
    assert place(**right) == "invalid_expiry"


def test_market_orders_never_rest(desk: Desk) -> None:
    assert desk.refuse(order(1, BUY, 1, time_in_force=0)) == "invalid_time_in_force"
    assert desk.refuse(order(1, BUY, 1, flags=POST_ONLY)) == "invalid_flags"
    assert desk.refuse(order(1, BUY, 1, 100, time_in_force=IOC, flags=POST_ONLY)) == "invalid_flags"
    too_high = order(1, BUY, 1, 10**12 + 1, order_type=1, time_in_force=IOC)
    assert desk.refuse(too_high) == "invalid_price"


def test_market_order_goes_no_further_than_its_worst_price(desk: Desk) -> None:
    """MATCH-02: 2 at 100 and 2 at 103 are offered; with 102 as worst price 103 is not reached."""
    desk.order(1, SELL, 2, 100)
    desk.order(2, SELL, 2, 103)
    events = desk.order(3, BUY, 4, 102, order_type=1, time_in_force=IOC)
    assert [f.price_ticks for f in fills(events)] == [100, 100]
    assert cancelled(events) == [(3, "immediate_or_cancel", 2)]
    assert only(events, m.OrderCancelled)[0].price_ticks == 102


def test_filters_have_their_own_reasons() -> None:
    desk = Desk()
    desk.list(min_qty_lots=2, max_qty_lots=50, min_notional_atoms=500, max_open_orders=2)
    assert desk.refuse(order(1, BUY, 5, 100)) == "no_mark_price"
    desk.mark(100)
    desk.deposit(1, 10_000)
    assert desk.refuse(order(1, BUY, 1, 100)) == "quantity_below_minimum"
    assert desk.refuse(order(1, BUY, 51, 100)) == "quantity_above_maximum"
    assert desk.refuse(order(1, BUY, 4, 100)) == "notional_below_minimum"
    assert desk.refuse(order(1, BUY, 4)) == "notional_below_minimum"
    desk.order(1, BUY, 5, 100)
    desk.order(1, BUY, 5, 100)
    assert desk.refuse(order(1, BUY, 5, 100)) == "too_many_open_orders"
    assert desk.refuse(order(1, SELL, 5, 100, flags=REDUCE_ONLY)) == "too_many_open_orders"
    desk.do(m.CancelAll(account=1))
    assert desk.refuse(order(1, SELL, 5, 100, flags=REDUCE_ONLY)) == "reduce_only_would_open"


def test_exposure_counts_positions_once_and_orders_twice() -> None:
    """UNITS-01: 2 x (5 x 100 + 4 x 100) = 1,800; a limit of 1,799 refuses the fourth lot."""
    desk = Desk()
    desk.list(exposure_limit_atoms=1_799)
    desk.mark(100)
    desk.deposit(1, 10_000)
    desk.order(1, BUY, 5, 100)
    assert desk.refuse(order(1, BUY, 4, 100)) == "value_out_of_range"
    # At the mark too: (2 x (5 + 1)) x 150 = 1,800, though the order itself is cheap.
    desk.mark(150)
    assert desk.refuse(order(1, BUY, 1, 1)) == "value_out_of_range"
    # A mark is refused as well: 2 x 5 x 180 = 1,800.
    assert desk.refuse(m.SetMark(symbol=1, price_ticks=180)) == "value_out_of_range"
    desk.mark(179)


def test_maker_that_cannot_bear_its_fill_is_dropped(desk: Desk) -> None:
    """MARGIN-07b: the mark has moved since the maker was admitted, and its wallet no longer covers the fill."""
    desk.deposit(5, 100)
    desk.order(5, SELL, 8, 100)  # asks for 80 of 100
    desk.mark(110)  # sells count at the mark, plus the loss: 88 + 80 > 100
    events = desk.order(1, BUY, 8, 110)
    assert cancelled(events) == [(1, "insufficient_margin", 8)]
    assert only(events, m.OrderRested)[0].open_lots == 8


def test_post_only_is_refused_when_it_would_take(desk: Desk) -> None:
    desk.order(1, SELL, 1, 100)
    assert desk.refuse(order(2, BUY, 1, 100, flags=POST_ONLY)) == "post_only_would_take"
    assert names(desk.order(2, BUY, 1, 99, flags=POST_ONLY)) == ["OrderRested"]


def test_isolated_fill_says_its_mode(desk: Desk) -> None:
    desk.isolate(1)
    maker, taker = desk.trade(1, 2, 3, 100)
    assert (maker.margin_mode, taker.margin_mode, taker.margin_atoms) == (0, ISOLATED, 30)
