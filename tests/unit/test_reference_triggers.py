"""Triggers on the reference engine: what orders watch, when they go off, and what then (MATCH-10)."""

from __future__ import annotations

import pytest
from reference_desk import (
    BUY,
    CLOSE_POSITION,
    FOK,
    GTC,
    GTD,
    LAST,
    MARK,
    POST_ONLY,
    PROFIT,
    PROFIT_LIMIT,
    REDUCE_ONLY,
    SELL,
    SLIDE,
    STOP,
    STOP_LIMIT,
    TRAILING,
    Desk,
    cancelled,
    fills,
    names,
    only,
    waiting,
)

from exchange.protocol import messages as m
from exchange.protocol.schema import OrderPlace, SymbolState


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.list()
    desk.mark(100)
    for account in (1, 2, 3, 4):
        desk.deposit(account, 100_000)
    return desk


def triggered(events: list[object]) -> list[tuple[int, int, int, int]]:
    """(order id, trigger, watched price, lots) of each order that went off."""
    return [
        (e.order_id, e.trigger_ticks, e.watched_ticks, e.open_lots)
        for e in only(events, m.OrderTriggered)
    ]


@pytest.mark.parametrize(
    ("kind", "side", "trigger", "not_yet", "goes"),
    [
        (STOP, SELL, 95, 96, 95),
        (STOP, SELL, 95, 96, 90),
        (STOP, BUY, 105, 104, 105),
        (STOP_LIMIT, SELL, 95, 96, 95),
        (STOP_LIMIT, BUY, 105, 104, 106),
        (PROFIT, SELL, 105, 104, 105),
        (PROFIT, BUY, 95, 96, 95),
        (PROFIT_LIMIT, SELL, 105, 104, 107),
        (PROFIT_LIMIT, BUY, 95, 96, 94),
    ],
)
def test_each_type_goes_off_on_its_side(
    desk: Desk, kind: int, side: int, trigger: int, not_yet: int, goes: int
) -> None:
    price = 100 if kind in (STOP_LIMIT, PROFIT_LIMIT) else 0
    events = desk.waits(1, side, 3, kind, trigger_ticks=trigger, price_ticks=price)
    (waits,) = events
    assert (waits.trigger_ticks, waits.price_ticks, waits.open_lots) == (trigger, price, 3)
    assert names(desk.mark(not_yet)) == ["MarkChanged"]
    events = desk.mark(goes)
    assert triggered(events) == [(1, trigger, goes, 3)]
    if price:
        assert names(events) == ["MarkChanged", "OrderTriggered", "OrderRested"]
        (view,) = desk.engine.open_orders(1)
        # It keeps its type and its trigger (state, part 6).
        assert (view.order_type, view.trigger_ticks, view.waiting, view.armed) == (
            kind,
            trigger,
            False,
            False,
        )
    else:
        assert cancelled(events) == [(1, "immediate_or_cancel", 3)]


def test_stop_sells_to_the_best_bid(desk: Desk) -> None:
    """The example of MATCH-10: long 1, stop at 95; 96 does nothing, 95 sells."""
    desk.trade(1, 2, 1, 100)
    desk.order(3, BUY, 5, 94)
    desk.waits(1, SELL, 1, STOP, trigger_ticks=95, flags=REDUCE_ONLY)
    assert names(desk.mark(96)) == ["MarkChanged"]
    assert names(desk.mark(95)) == ["MarkChanged", "OrderTriggered", "Fill", "Fill"]
    assert desk.holding(1) == (0, 0)


def test_trigger_that_is_reached_already_is_refused(desk: Desk) -> None:
    for kind, side, trigger in ((STOP, SELL, 100), (STOP, BUY, 100), (PROFIT, BUY, 101)):
        refused = waiting(1, side, 1, kind, trigger_ticks=trigger)
        assert desk.refuse(refused) == "trigger_already_true"


def test_trigger_on_the_last_trade_needs_one(desk: Desk) -> None:
    by_last = waiting(1, SELL, 1, STOP, trigger_ticks=95, trigger_by=LAST)
    assert desk.refuse(by_last) == "no_last_price"
    desk.trade(2, 3, 1, 98)
    assert desk.engine.symbols()[0].last_ticks == 98
    desk.do(by_last)
    assert names(desk.mark(90)) == ["MarkChanged"]  # the mark is not what it watches
    desk.order(2, BUY, 1, 95)
    events = desk.order(3, SELL, 1, 95)
    assert names(events) == ["Fill", "Fill", "OrderTriggered", "OrderCancelled"]
    assert triggered(events) == [(3, 95, 95, 1)]


def test_one_stop_sets_off_the_next(desk: Desk) -> None:
    """Bids at 96, 95, 94: a trade at 96 sets off a stop at 96, which sells at 95 and sets off one at 95."""
    desk.trade(3, 4, 1, 100)
    for price in (96, 95, 94):
        desk.order(2, BUY, 1, price)
    desk.waits(1, SELL, 1, STOP, trigger_ticks=95, trigger_by=LAST)
    desk.waits(1, SELL, 1, STOP, trigger_ticks=96, trigger_by=LAST)
    events = desk.order(3, SELL, 1, 96)
    assert triggered(events) == [(7, 96, 96, 1), (6, 95, 95, 1)]
    assert [f.price_ticks for f in fills(events)] == [96, 96, 95, 95, 94, 94]


def test_who_is_in_the_queue_goes_off_even_if_the_price_is_back(desk: Desk) -> None:
    """Both stops are reached at 96; the first one trades at 99, and the second goes off all the same."""
    desk.trade(3, 4, 1, 100)
    desk.order(2, BUY, 1, 96)
    desk.waits(1, SELL, 1, STOP, trigger_ticks=96, trigger_by=LAST)
    desk.waits(4, BUY, 1, PROFIT, trigger_ticks=96, trigger_by=LAST)
    desk.order(3, SELL, 1, 110)
    desk.order(2, BUY, 1, 95)
    events = desk.order(3, SELL, 1, 96)
    assert [(order, watched) for order, _, watched, _ in triggered(events)] == [(4, 96), (5, 96)]
    assert [f.price_ticks for f in fills(events)][::2] == [96, 95, 110]


def test_reached_together_they_go_by_order_id(desk: Desk) -> None:
    for trigger in (94, 96, 95):
        desk.waits(1, SELL, 1, STOP, trigger_ticks=trigger)
    assert [t[0] for t in triggered(desk.mark(90))] == [1, 2, 3]


def test_trailing_stop_follows_the_mark(desk: Desk) -> None:
    """The example of MATCH-10: 5 ticks below the best of 100, 110, 106; at 105 it goes off."""
    (waits,) = desk.waits(1, SELL, 1, TRAILING, callback_ticks=5)
    assert waits.trigger_ticks == 95
    assert desk.live(1)[1].best_ticks == 100
    for mark in (110, 106):
        assert names(desk.mark(mark)) == ["MarkChanged"]
    assert desk.live(1)[1].best_ticks == 110
    assert triggered(desk.mark(105)) == [(1, 105, 105, 1)]


def test_trailing_stop_by_a_share_rounds_its_distance_up(desk: Desk) -> None:
    """1 % of 150 is 1.5, so 2: a buy that saw 150 goes off at 152."""
    desk.mark(150)
    (waits,) = desk.waits(1, BUY, 1, TRAILING, callback_ppm=10_000)
    assert waits.trigger_ticks == 152
    assert not triggered(desk.mark(151))
    assert triggered(desk.mark(152)) == [(1, 152, 152, 1)]


def test_trailing_stop_watches_in_every_state_but_goes_off_when_open(desk: Desk) -> None:
    desk.waits(1, SELL, 1, TRAILING, callback_ticks=5)
    desk.state(SymbolState.HALTED)
    desk.mark(120)
    assert desk.live(1)[1].best_ticks == 120
    assert not triggered(desk.mark(110))
    events = desk.state(SymbolState.OPEN)
    assert triggered(events) == [(1, 115, 110, 1)]
    assert names(events) == ["SymbolStateChanged", "OrderTriggered", "OrderCancelled"]


def test_narrower_trailing_stop_may_go_off_at_once(desk: Desk) -> None:
    desk.waits(1, SELL, 1, TRAILING, callback_ppm=100_000)
    desk.mark(95)
    other_kind = m.AmendOrder(account=1, order_id=1, callback_ticks=5)
    assert desk.refuse(other_kind) == "invalid_trigger"
    events = desk.amend(1, 1, callback_ppm=50_000)  # 5 % of 100 are 5
    assert names(events) == ["OrderWaiting", "OrderTriggered", "OrderCancelled"]
    assert events[0].trigger_ticks == 95


def test_waiting_order_needs_no_margin_and_is_asked_when_it_goes_off(desk: Desk) -> None:
    """10 % of 300,000 is more than anybody here has."""
    desk.order(2, BUY, 5_000, 100)
    desk.waits(1, SELL, 30_000, STOP, trigger_ticks=95)
    desk.waits(9, SELL, 1, STOP_LIMIT, trigger_ticks=95, price_ticks=100)  # without any money
    assert desk.engine.account(1).available_atoms == 100_000
    # Of a market order the 5,000 lots that it finds count: they are worth it. The limit order is not.
    events = desk.mark(95)
    assert cancelled(events) == [(2, "immediate_or_cancel", 25_000), (3, "insufficient_margin", 1)]
    (gone,) = [e for e in only(events, m.OrderCancelled) if e.order_id == 3]
    assert gone.place == OrderPlace.TAKER


def test_what_may_not_be_when_it_goes_off_is_cancelled() -> None:
    desk = Desk()
    desk.list(price_band_ppm=50_000, exposure_limit_atoms=3_000)
    desk.mark(100)
    for account in (1, 2):
        desk.deposit(account, 10_000)
    desk.order(2, BUY, 5, 96)
    limit = {"price_ticks": 96, "trigger_ticks": 98}
    desk.waits(1, SELL, 1, STOP_LIMIT, flags=POST_ONLY, **limit)
    desk.waits(1, SELL, 1, STOP_LIMIT, price_ticks=90, trigger_ticks=98)
    desk.waits(1, SELL, 99, STOP_LIMIT, **limit)
    desk.waits(1, SELL, 1, STOP_LIMIT, flags=POST_ONLY | SLIDE, **limit)
    events = desk.mark(98)  # the band begins at 93.1
    assert cancelled(events) == [
        (2, "post_only", 1),
        (3, "price_out_of_band", 1),
        (4, "value_out_of_range", 99),
    ]
    (rested,) = only(events, m.OrderRested)
    assert (rested.order_id, rested.price_ticks) == (5, 97)


def test_fill_or_kill_is_asked_when_it_goes_off(desk: Desk) -> None:
    desk.order(2, BUY, 2, 95)
    desk.waits(1, SELL, 3, STOP, trigger_ticks=95, time_in_force=FOK)
    desk.waits(1, SELL, 2, STOP, trigger_ticks=95, time_in_force=FOK)
    events = desk.mark(95)
    assert cancelled(events) == [(2, "fill_or_kill", 3)]
    assert [f.order_id for f in fills(events)] == [1, 3]


def test_close_position_closes_what_is_there_when_it_goes_off(desk: Desk) -> None:
    desk.trade(1, 2, 3, 100)
    (waits,) = desk.waits(1, SELL, 0, STOP, trigger_ticks=95, flags=CLOSE_POSITION)
    assert (waits.open_lots, waits.flags) == (0, CLOSE_POSITION)
    desk.trade(1, 2, 4, 100)
    desk.order(3, BUY, 10, 95)
    events = desk.mark(95)
    assert triggered(events) == [(3, 95, 95, 7)]
    assert [f.qty_lots for f in fills(events)] == [7, 7]
    assert desk.holding(1) == (0, 0)


def test_close_position_goes_with_its_position(desk: Desk) -> None:
    desk.trade(1, 2, 3, 100)
    desk.waits(1, SELL, 0, STOP, trigger_ticks=95, flags=CLOSE_POSITION)
    desk.waits(1, SELL, 3, PROFIT, trigger_ticks=105, flags=REDUCE_ONLY)
    desk.order(1, SELL, 3, 110, flags=REDUCE_ONLY)
    desk.order(2, BUY, 3, 100)
    events = desk.order(1, SELL, 3, 100)
    # Canonical order: what rests, then what waits, by order id.
    assert [(order, reason) for order, reason, _ in cancelled(events)] == [
        (5, "reduce_only"),
        (3, "reduce_only"),
        (4, "reduce_only"),
    ]
    places = [e.place for e in only(events, m.OrderCancelled)]
    assert places == [OrderPlace.BOOK, OrderPlace.WAITING, OrderPlace.WAITING]


def test_reduce_only_without_a_position_is_cancelled_when_it_goes_off(desk: Desk) -> None:
    """The first stop of two takes the position away: 3 are sold, and nothing is left for the second."""
    desk.trade(1, 2, 3, 100)
    desk.order(3, BUY, 10, 90)
    for _ in range(2):
        desk.waits(1, SELL, 3, STOP, trigger_ticks=95, flags=REDUCE_ONLY)
    events = desk.mark(95)
    assert triggered(events) == [(4, 95, 95, 3)]
    assert cancelled(events) == [(5, "reduce_only", 3)]
    no_position = waiting(4, SELL, 1, STOP, trigger_ticks=90, flags=REDUCE_ONLY)
    assert desk.refuse(no_position) == "reduce_only_would_open"


@pytest.mark.parametrize(
    ("kind", "more", "reason"),
    [
        (STOP, {}, "invalid_trigger"),
        (STOP, {"trigger_ticks": 10**12 + 1}, "invalid_trigger"),
        (STOP, {"trigger_ticks": 95, "callback_ticks": 1}, "invalid_trigger"),
        (STOP, {"trigger_ticks": 95, "trigger_by": 2}, "invalid_trigger"),
        (TRAILING, {}, "invalid_trigger"),
        (TRAILING, {"callback_ticks": 1, "callback_ppm": 1}, "invalid_trigger"),
        (TRAILING, {"callback_ppm": 1_000_000}, "invalid_trigger"),
        (TRAILING, {"callback_ticks": 1, "trigger_ticks": 95}, "invalid_trigger"),
        (STOP, {"trigger_ticks": 95, "time_in_force": GTC}, "invalid_time_in_force"),
        (STOP, {"trigger_ticks": 95, "flags": CLOSE_POSITION}, "invalid_quantity"),
        (STOP_LIMIT, {"trigger_ticks": 95, "flags": CLOSE_POSITION}, "invalid_flags"),
        (STOP_LIMIT, {"trigger_ticks": 95}, "invalid_price"),
        (STOP, {"trigger_ticks": 95, "flags": SLIDE}, "invalid_flags"),
        (0, {"price_ticks": 90, "trigger_by": LAST}, "invalid_trigger"),
        (0, {"price_ticks": 90, "flags": CLOSE_POSITION}, "invalid_flags"),
    ],
)
def test_trigger_fields_fit_the_type(
    desk: Desk, kind: int, more: dict[str, int], reason: str
) -> None:
    assert desk.refuse(waiting(1, SELL, 1, kind, **more)) == reason


def test_waiting_orders_count_as_open_orders() -> None:
    desk = Desk()
    desk.list(max_open_orders=2)
    desk.mark(100)
    desk.deposit(1, 1_000)
    desk.order(1, BUY, 1, 90)
    desk.waits(1, SELL, 1, STOP, trigger_ticks=95)
    assert desk.refuse(waiting(1, SELL, 1, STOP, trigger_ticks=94)) == "too_many_open_orders"
    assert desk.engine.account(1).open_orders == 2


def test_waiting_orders_are_cancelled_like_others(desk: Desk) -> None:
    desk.waits(1, SELL, 4, STOP, trigger_ticks=95, client_order_id=7)
    desk.waits(1, SELL, 5, STOP_LIMIT, trigger_ticks=95, price_ticks=90)
    desk.order(1, BUY, 1, 90)
    (gone,) = desk.do(m.CancelOrder(account=1, client_order_id=7))
    assert (gone.order_id, gone.place, gone.open_lots) == (1, OrderPlace.WAITING, 4)
    assert cancelled(desk.do(m.CancelAll(account=1))) == [
        (3, "cancel_all", 1),
        (2, "cancel_all", 5),
    ]


def test_liquidation_cancels_what_waits_too(desk: Desk) -> None:
    """Long 1,000 at 100 on 10,020: below 5 % of the value once the mark is at 94."""
    desk.deposit(5, 10_020)
    desk.trade(5, 2, 1_000, 100)
    desk.waits(5, SELL, 10, STOP, trigger_ticks=90)
    desk.order(5, BUY, 1, 80)
    events = desk.mark(94)
    assert cancelled(events) == [(4, "liquidation", 1), (3, "liquidation", 10)]
    assert names(events)[:4] == [
        "MarkChanged",
        "OrderCancelled",
        "OrderCancelled",
        "LiquidationStarted",
    ]


def test_liquidations_come_before_triggers(desk: Desk) -> None:
    """A price that liquidates 5 also sets off a stop of 1: the liquidation has the book first."""
    desk.deposit(5, 1_000)
    desk.trade(5, 2, 100, 100)
    desk.order(3, BUY, 100, 95)
    desk.waits(1, SELL, 100, STOP, trigger_ticks=94)
    events = desk.mark(94)
    kinds = names(events)
    assert kinds.index("LiquidationOrder") < kinds.index("OrderTriggered")


def test_amends_of_an_order_that_waits(desk: Desk) -> None:
    desk.waits(1, SELL, 4, STOP, trigger_ticks=95)
    (waits,) = desk.amend(1, 1, trigger_ticks=90, qty_lots=2)
    assert (waits.trigger_ticks, waits.open_lots) == (90, 2)

    def refuse(order_id: int, **change: int) -> str:
        return desk.refuse(m.AmendOrder(account=1, order_id=order_id, **change))

    assert refuse(1, trigger_ticks=100) == "trigger_already_true"
    assert refuse(1, trigger_ticks=90) == "nothing_to_amend"
    assert refuse(1, price_ticks=90) == "invalid_price"
    assert refuse(1, callback_ticks=1) == "invalid_trigger"
    assert refuse(1, callback_ticks=1, callback_ppm=1) == "invalid_trigger"
    desk.order(1, BUY, 1, 90)
    assert refuse(2, trigger_ticks=90) == "invalid_trigger"
    desk.trade(1, 2, 1, 100)
    desk.waits(1, SELL, 0, STOP, trigger_ticks=95, flags=CLOSE_POSITION)
    assert refuse(5, qty_lots=1) == "invalid_quantity"


def test_good_till_date_waits_no_longer(desk: Desk) -> None:
    desk.time_ns = 1_000
    limit = {"price_ticks": 90, "time_in_force": GTD, "expires_ns": 1_005}
    desk.waits(1, SELL, 1, STOP_LIMIT, trigger_ticks=95, trigger_by=MARK, **limit)
    desk.time_ns = 1_005
    events = desk.mark(95)  # it expires before the mark moves
    assert names(events) == ["OrderCancelled", "MarkChanged"]
    assert cancelled(events) == [(1, "expired", 1)]
