"""Several orders in one command on the reference engine: each, all or none, and linked ones (MATCH-14)."""

from __future__ import annotations

from typing import Any

import pytest
from reference_desk import (
    BUY,
    CLOSE_POSITION,
    FOK,
    GTD,
    IOC,
    LAST,
    POST_ONLY,
    PROFIT,
    PROFIT_LIMIT,
    REDUCE_ONLY,
    SELL,
    STOP,
    STOP_LIMIT,
    TRAILING,
    Desk,
    cancelled,
    entry,
    fills,
    names,
    only,
    place_list,
)

from exchange.protocol import messages as m
from exchange.protocol.schema import ListMode, OrderFlag, RejectReason

EACH, ALL, EITHER, EXITS = ListMode


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.list()
    desk.mark(100)
    for account in (1, 2, 3, 4):
        desk.deposit(account, 100_000)
    return desk


def take_profit(lots: int, trigger: int = 110, side: int = SELL, **more: Any) -> m.OrderEntry:
    terms = {"order_type": PROFIT, "trigger_ticks": trigger, "flags": REDUCE_ONLY}
    return entry(side, lots, **terms | more)


def stop_loss(lots: int, trigger: int = 95, side: int = SELL, **more: Any) -> m.OrderEntry:
    terms = {"order_type": STOP, "trigger_ticks": trigger, "flags": REDUCE_ONLY}
    return entry(side, lots, **terms | more)


# ----------------------------------------------------------------------------------------------------- each


def test_each_order_of_a_list_has_its_own_result(desk: Desk) -> None:
    desk.order(2, SELL, 1, 100)
    first, *events = desk.send(
        place_list(
            1,
            EACH,
            entry(BUY, 1, 90, client_order_id=5),
            entry(BUY, 1, 0),
            entry(BUY, 2, 100),
            entry(BUY, 1, 90, client_order_id=5),
        )
    )
    assert (first.order_id, first.client_order_id) == (0, 0)
    assert names(events) == [
        "EntryAccepted",
        "OrderRested",
        "EntryRejected",
        "EntryAccepted",
        "Fill",
        "Fill",
        "OrderRested",
        "EntryAccepted",
    ]
    assert [(e.index, e.order_id) for e in only(events, m.EntryAccepted)] == [
        (0, 2),
        (2, 3),
        (3, 2),
    ]
    (refused,) = only(events, m.EntryRejected)
    assert (refused.index, refused.reason) == (1, RejectReason.INVALID_PRICE)


def test_each_order_sets_off_triggers_before_the_next(desk: Desk) -> None:
    """The first trade at 105 sets off a buy stop, which takes the offer that the second order wanted."""
    desk.trade(3, 4, 1, 100)
    desk.order(2, SELL, 2, 105)
    desk.waits(4, BUY, 1, STOP, trigger_ticks=105, trigger_by=LAST)
    events = desk.do(place_list(1, EACH, entry(BUY, 1, 105), entry(BUY, 1, 105)))
    kinds = names(events)
    assert kinds == [
        *("EntryAccepted", "Fill", "Fill", "OrderTriggered", "Fill", "Fill"),
        *("EntryAccepted", "OrderRested"),
    ]


def test_lists_that_do_not_fit_their_mode(desk: Desk) -> None:
    buy, stop = entry(BUY, 1, 90), stop_loss(1)
    other_symbol = stop_loss(1, symbol=2)
    for mode, orders in (
        (4, [buy]),
        (EACH, []),
        (ALL, [buy]),
        (EITHER, [buy, buy]),
        (EITHER, [stop]),
        (EITHER, [buy, stop, stop]),
        (EITHER, [buy, other_symbol]),
        (EITHER, [entry(BUY, 1, 90, time_in_force=IOC), stop]),
        (EXITS, [buy]),
        (EXITS, [buy, stop, stop, stop]),
        (EXITS, [entry(BUY, 1, 90, flags=REDUCE_ONLY), stop]),
        (EXITS, [buy, stop_loss(1, side=BUY)]),
        (EXITS, [buy, stop_loss(1, flags=0)]),
        (EXITS, [buy, other_symbol]),
        (EXITS, [buy, entry(SELL, 1, 110, flags=REDUCE_ONLY)]),
        (EXITS, [buy, stop_loss(1, order_type=STOP_LIMIT, price=90, time_in_force=GTD)]),
    ):
        assert desk.refuse(place_list(1, mode, *orders)) == "invalid_list", (mode, orders)
    assert desk.refuse(place_list(0, EACH, buy)) == "invalid_account"
    assert desk.refuse(place_list(1, EACH)) == "invalid_list"


# ------------------------------------------------------------------------------------------- all or nothing


def test_all_or_nothing_takes_all(desk: Desk) -> None:
    events = desk.do(
        place_list(
            1, ALL, entry(BUY, 5, 95, flags=POST_ONLY, display_lots=2), stop_loss(1, 90, flags=0)
        )
    )
    assert names(events) == [
        *("EntryAccepted", "OrderRested", "OrderShown"),
        *("EntryAccepted", "OrderWaiting"),
    ]
    assert list(desk.live(1)) == [1, 2]
    assert not only(events, m.OrderRested)[0].flags & OrderFlag.LINKED


def test_all_or_nothing_takes_none(desk: Desk) -> None:
    """The second would meet the first; the third needs more than there is. Ids and names stay free."""
    bid = entry(BUY, 1, 95, flags=POST_ONLY, client_order_id=5)
    offer = entry(SELL, 1, 95, flags=POST_ONLY, client_order_id=6)
    events = desk.send(place_list(1, ALL, bid, offer))
    assert (events[0].reason, events[0].client_order_id) == (RejectReason.POST_ONLY_WOULD_TAKE, 6)
    half = entry(BUY, 6_000, 100, flags=POST_ONLY)
    assert desk.refuse(place_list(1, ALL, bid, half, half)) == "insufficient_margin"
    assert desk.live(1) == {}
    assert [e.order_id for e in only(desk.do(place_list(1, ALL, bid)), m.EntryAccepted)] == [1]


def test_all_or_nothing_answers_repeats(desk: Desk) -> None:
    bid = entry(BUY, 1, 95, flags=POST_ONLY, client_order_id=5)
    desk.do(place_list(1, ALL, bid))
    events = desk.do(place_list(1, ALL, bid))
    assert [(e.index, e.order_id) for e in events] == [(0, 1)]
    other = entry(BUY, 1, 94, flags=POST_ONLY, client_order_id=6)
    for orders in ((other, bid), (other, other)):
        assert desk.refuse(place_list(1, ALL, *orders)) == "duplicate_client_order_id"


# --------------------------------------------------------------------------------------- one cancels other


def test_fill_of_one_cancels_the_other(desk: Desk) -> None:
    events = desk.do(
        place_list(
            1, EITHER, entry(SELL, 3, 105), entry(SELL, 3, order_type=STOP, trigger_ticks=95)
        )
    )
    assert names(events) == ["EntryAccepted", "EntryAccepted", "OrderWaiting", "OrderRested"]
    assert all(e.flags & OrderFlag.LINKED for e in events[2:])
    assert {v.link_group for v in desk.live(1).values()} == {1}
    events = desk.order(2, BUY, 1, 105)
    assert names(events) == ["Fill", "Fill", "OrderCancelled"]
    assert cancelled(events) == [(2, "linked", 3)]
    assert desk.live(1)[1].open_lots == 2


def test_one_that_goes_off_cancels_the_other(desk: Desk) -> None:
    desk.do(place_list(1, EITHER, stop_loss(3, flags=0), entry(SELL, 3, 105)))
    events = desk.mark(95)
    assert names(events) == ["MarkChanged", "OrderTriggered", "OrderCancelled", "OrderCancelled"]
    assert cancelled(events) == [(2, "linked", 3), (1, "immediate_or_cancel", 3)]


def test_one_that_trades_at_once_cancels_the_other_at_its_first_fill(desk: Desk) -> None:
    desk.order(2, BUY, 1, 105)
    desk.order(2, BUY, 1, 104)
    events = desk.do(place_list(1, EITHER, entry(SELL, 3, 104), stop_loss(3, flags=0)))
    assert names(events)[2:] == [
        *("OrderWaiting", "Fill", "Fill", "OrderCancelled", "Fill", "Fill", "OrderRested"),
    ]


def test_cancelling_one_leaves_the_other(desk: Desk) -> None:
    desk.do(place_list(1, EITHER, entry(SELL, 3, 105), stop_loss(3, flags=0)))
    assert cancelled(desk.do(m.CancelOrder(account=1, order_id=1))) == [(1, "requested", 3)]
    assert list(desk.live(1)) == [2]


# ---------------------------------------------------------------------------------------- entry with exits


def test_entry_arms_its_exits(desk: Desk) -> None:
    """The example of MATCH-14: of a buy of 3 at 100 one lot trades; at 95 the stop sells it, all else goes."""
    events = desk.do(place_list(1, EXITS, entry(BUY, 3, 100), take_profit(3), stop_loss(3)))
    assert names(events) == [
        *("EntryAccepted", "EntryAccepted", "EntryAccepted"),
        *("OrderWaiting", "OrderWaiting", "OrderRested"),
    ]
    assert [e.open_lots for e in only(events, m.OrderWaiting)] == [0, 0]
    assert [(v.armed, v.waiting, v.link_role) for v in desk.live(1).values()] == [
        (False, False, 2),
        (False, True, 3),
        (False, True, 3),
    ]
    events = desk.order(2, SELL, 1, 100)
    assert [(e.order_id, e.open_lots) for e in only(events, m.OrderWaiting)] == [(2, 1), (3, 1)]
    assert names(events) == ["Fill", "Fill", "OrderWaiting", "OrderWaiting"]
    desk.order(4, BUY, 5, 95)
    events = desk.mark(95)
    assert names(events)[1:4] == ["OrderTriggered", "OrderCancelled", "OrderCancelled"]
    assert cancelled(events) == [(2, "linked", 1), (1, "linked", 2)]
    assert [(f.account, f.qty_lots) for f in fills(events)] == [(4, 1), (1, 1)]
    assert desk.holding(1) == (0, 0)


def test_exits_that_are_not_armed_do_not_go_off(desk: Desk) -> None:
    desk.do(place_list(1, EXITS, entry(BUY, 3, 90), take_profit(3), stop_loss(3)))
    assert names(desk.mark(95)) == ["MarkChanged"]
    # Filled at a mark of 95 the stop is armed, and goes off at once.
    events = desk.order(2, SELL, 3, 90)
    assert [e.order_id for e in only(events, m.OrderTriggered)] == [3]


def test_exits_are_armed_up_to_their_own_quantity(desk: Desk) -> None:
    desk.do(place_list(1, EXITS, entry(BUY, 5, 100), take_profit(3), stop_loss(9)))
    for lots, armed in ((2, [(2, 2), (3, 2)]), (2, [(2, 3), (3, 4)]), (1, [(3, 5)])):
        events = desk.order(2, SELL, lots, 100)
        assert [(e.order_id, e.open_lots) for e in only(events, m.OrderWaiting)] == armed
    assert list(desk.live(1)) == [2, 3]


def test_close_position_exit_is_armed_by_the_first_fill(desk: Desk) -> None:
    closes = stop_loss(0, flags=CLOSE_POSITION)
    desk.do(place_list(1, EXITS, entry(BUY, 5, 100), closes))
    assert [e.open_lots for e in only(desk.order(2, SELL, 2, 100), m.OrderWaiting)] == [0]
    assert names(desk.order(2, SELL, 3, 100)) == ["Fill", "Fill"]
    desk.order(3, BUY, 9, 95)
    events = desk.mark(95)
    assert [f.qty_lots for f in fills(events)] == [5, 5]


def test_entry_that_leaves_takes_what_is_not_armed(desk: Desk) -> None:
    desk.do(place_list(1, EXITS, entry(BUY, 3, 100), take_profit(3), stop_loss(3)))
    events = desk.do(m.CancelOrder(account=1, order_id=1))
    assert cancelled(events) == [(1, "requested", 3), (2, "linked", 0), (3, "linked", 0)]
    # An entry that finds nothing leaves at once.
    market = entry(BUY, 3, order_type=1)
    events = desk.do(place_list(1, EXITS, market, stop_loss(3)))
    assert cancelled(events) == [(4, "immediate_or_cancel", 3), (5, "linked", 0)]
    kills = entry(BUY, 3, 100, time_in_force=FOK)
    events = desk.do(place_list(1, EXITS, kills, stop_loss(3)))
    assert cancelled(events) == [(6, "fill_or_kill", 3), (7, "linked", 0)]


def test_entry_that_leaves_keeps_what_is_armed(desk: Desk) -> None:
    desk.do(place_list(1, EXITS, entry(BUY, 3, 100), take_profit(3), stop_loss(3)))
    desk.order(2, SELL, 1, 100)
    assert cancelled(desk.do(m.CancelOrder(account=1, order_id=1))) == [(1, "requested", 2)]
    assert [v.open_lots for v in desk.live(1).values()] == [1, 1]


def test_decrement_of_an_entry_is_no_fill(desk: Desk) -> None:
    desk.do(place_list(1, EXITS, entry(BUY, 3, 100), stop_loss(3)))
    events = desk.order(1, SELL, 3, 100, self_trade=3)
    assert cancelled(events) == [(1, "self_trade", 3), (2, "linked", 0), (3, "self_trade", 3)]


def test_exit_that_is_armed_while_the_position_ends_goes(desk: Desk) -> None:
    """Short 3, an entry buys 3: the exits are armed, and there is nothing that they could reduce."""
    desk.trade(2, 1, 3, 100)
    desk.do(place_list(1, EXITS, entry(BUY, 3, 100), stop_loss(3)))
    events = desk.order(4, SELL, 3, 100)
    assert names(events) == ["Fill", "Fill", "OrderWaiting", "OrderCancelled"]
    assert cancelled(events) == [(4, "reduce_only", 3)]


def test_exit_whose_entry_still_buys_stays_without_a_position(desk: Desk) -> None:
    """Short 3, an entry buys 5: after 3 there is nothing to reduce, but 2 more are to come."""
    desk.trade(2, 1, 3, 100)
    desk.do(place_list(1, EXITS, entry(BUY, 5, 100), stop_loss(5)))
    assert not cancelled(desk.order(4, SELL, 3, 100))
    assert not cancelled(desk.order(4, SELL, 2, 100))
    assert (desk.holding(1)[0], desk.live(1)[4].open_lots) == (2, 5)


def test_trailing_exit_begins_to_watch_when_it_is_armed(desk: Desk) -> None:
    trailing = stop_loss(3, trigger=0, order_type=TRAILING, callback_ticks=5)
    desk.do(place_list(1, EXITS, entry(BUY, 3, 100), trailing))
    desk.mark(120)
    assert desk.live(1)[2].best_ticks == 0
    desk.mark(108)
    events = desk.order(2, SELL, 1, 100)
    assert [e.trigger_ticks for e in only(events, m.OrderWaiting)] == [103]
    assert desk.live(1)[2].best_ticks == 108


def test_exit_in_the_queue_goes_off_though_it_is_armed_with_more(desk: Desk) -> None:
    """At a mark of 89 a buy trades at 103, which reaches the exit; before its turn a stop sells to the entry at 99."""
    profit = take_profit(2, 103, trigger_by=LAST)
    desk.trade(3, 4, 1, 99)
    desk.do(place_list(1, EXITS, entry(BUY, 2, 99), profit))  # 3, 4
    desk.order(4, SELL, 1, 99)
    desk.order(4, SELL, 1, 103)
    desk.waits(3, BUY, 1, PROFIT, trigger_ticks=90)  # 7
    desk.waits(2, SELL, 1, STOP, trigger_ticks=90)  # 8
    events = desk.mark(89)
    assert [(e.order_id, e.watched_ticks, e.open_lots) for e in only(events, m.OrderTriggered)] == [
        (7, 89, 1),
        (8, 89, 1),
        (4, 103, 2),
    ]


def test_entry_that_waits_acts_when_it_goes_off(desk: Desk) -> None:
    breakout = entry(BUY, 3, order_type=STOP, trigger_ticks=105)
    events = desk.do(place_list(1, EXITS, breakout, stop_loss(3)))
    assert names(events)[2:] == ["OrderWaiting", "OrderWaiting"]
    desk.order(2, SELL, 3, 106)
    events = desk.mark(105)
    assert names(events) == ["MarkChanged", "OrderTriggered", "Fill", "Fill", "OrderWaiting"]
    assert desk.live(1)[2].open_lots == 3


def test_exit_with_a_limit_rests_when_it_goes_off(desk: Desk) -> None:
    profit = take_profit(3, order_type=PROFIT_LIMIT, price=111, time_in_force=0)
    desk.do(place_list(1, EXITS, entry(BUY, 2, 100), profit, stop_loss(3)))
    desk.order(2, SELL, 2, 100)
    events = desk.mark(110)
    assert cancelled(events) == [(3, "linked", 2)]
    (rested,) = only(events, m.OrderRested)
    assert (rested.order_id, rested.open_lots) == (2, 2)


def test_exits_are_amended_but_for_their_quantity(desk: Desk) -> None:
    desk.do(place_list(1, EXITS, entry(BUY, 3, 100), take_profit(3), stop_loss(3)))
    refused = m.AmendOrder(account=1, order_id=3, qty_lots=1)
    assert desk.refuse(refused) == "invalid_quantity"
    (waits,) = desk.amend(1, 3, trigger_ticks=96)
    assert (waits.trigger_ticks, waits.open_lots) == (96, 0)
    desk.amend(1, 1, qty_lots=5)
    assert [e.open_lots for e in only(desk.order(2, SELL, 5, 100), m.OrderWaiting)] == [3, 3]


def test_linked_list_is_refused_as_a_whole(desk: Desk) -> None:
    def refused(*orders: m.OrderEntry) -> tuple[str, int]:
        before = desk.engine.digest()
        (event,) = desk.send(place_list(1, EXITS, *orders))
        assert desk.engine.digest() == before
        return RejectReason(event.reason).name.lower(), event.client_order_id

    buy = entry(BUY, 1, 100, client_order_id=1)
    assert refused(buy, stop_loss(0, client_order_id=2)) == ("invalid_quantity", 2)
    assert refused(buy, stop_loss(1, client_order_id=1)) == ("duplicate_client_order_id", 1)
    by_last = stop_loss(1, trigger_by=LAST, client_order_id=2)
    assert refused(buy, by_last) == ("no_last_price", 2)
    too_large = entry(BUY, 20_000, 100, client_order_id=3)
    assert refused(too_large, stop_loss(1)) == ("insufficient_margin", 3)
    # Of exits it is asked neither whether there is a position nor whether the trigger is reached.
    desk.do(place_list(1, EXITS, entry(BUY, 1, 90), stop_loss(1, 105)))


def test_linked_list_sent_again_is_answered(desk: Desk) -> None:
    orders = entry(BUY, 1, 90, client_order_id=1), stop_loss(1, client_order_id=2)
    desk.do(place_list(1, EXITS, *orders))
    before = desk.engine.digest()
    events = desk.do(place_list(1, EXITS, *orders))
    assert [(e.index, e.order_id) for e in events] == [(0, 1), (1, 2)]
    assert desk.engine.digest() == before
    changed = place_list(1, EXITS, orders[0], stop_loss(1, client_order_id=3))
    assert desk.refuse(changed) == "duplicate_client_order_id"


def test_orders_of_the_list_count_as_open_orders() -> None:
    desk = Desk()
    desk.list(max_open_orders=2)
    desk.mark(100)
    desk.deposit(1, 1_000)
    too_many = place_list(1, EXITS, entry(BUY, 1, 90), take_profit(1), stop_loss(1))
    assert desk.refuse(too_many) == "too_many_open_orders"
    desk.do(place_list(1, EXITS, entry(BUY, 1, 90), stop_loss(1)))
