"""What may be done when, auctions and settlement, on the reference engine (MATCH-12)."""

from __future__ import annotations

import pytest
from reference_desk import (
    BUY,
    GTD,
    IOC,
    ISOLATED,
    POST_ONLY,
    REDUCE_ONLY,
    SELL,
    SLIDE,
    STOP,
    Desk,
    cancelled,
    entry,
    fills,
    names,
    only,
    order,
    place_list,
    waiting,
)

from exchange.protocol import messages as m
from exchange.protocol.schema import FillRole, ListMode, OrderPlace, SymbolState

OPEN, PRE_OPEN, AUCTION, CANCEL_ONLY, HALTED, SETTLED = SymbolState


def new_desk(**policy: int) -> Desk:
    desk = Desk()
    desk.list(**policy)
    desk.mark(100)
    for account in (1, 2, 3, 4):
        desk.deposit(account, 100_000)
    return desk


@pytest.fixture
def desk() -> Desk:
    return new_desk()


def prices(events: list[object], kind: type) -> list[tuple[int, int, int]]:
    return [(e.price_ticks, e.qty_lots, e.imbalance_lots) for e in only(events, kind)]


# ------------------------------------------------------------------------------------ what may be done when


@pytest.mark.parametrize(
    ("state", "rests", "takes", "post_only", "waits", "amends", "cancels"),
    [
        (OPEN, True, True, True, True, True, True),
        (PRE_OPEN, True, False, False, True, True, True),
        (AUCTION, True, False, False, True, True, True),
        (CANCEL_ONLY, False, False, False, False, False, True),
        (HALTED, False, False, False, False, False, False),
    ],
)
def test_states_allow_what_the_table_says(
    desk: Desk,
    state: SymbolState,
    rests: bool,
    takes: bool,
    post_only: bool,
    waits: bool,
    amends: bool,
    cancels: bool,
) -> None:
    desk.order(1, BUY, 2, 90)
    desk.order(1, BUY, 1, 89)
    if state != OPEN:
        desk.state(state)
    for command, allowed in (
        (order(1, BUY, 1, 90), rests),
        (order(1, BUY, 1, 90, time_in_force=IOC), takes),
        (order(1, BUY, 1), takes),
        (order(1, BUY, 1, 90, flags=POST_ONLY), post_only),
        (waiting(1, SELL, 1, STOP, trigger_ticks=95), waits),
        (m.AmendOrder(account=1, order_id=1, qty_lots=1), amends),
        (m.CancelOrder(account=1, order_id=2), cancels),
    ):
        if allowed:
            desk.do(command)
        else:
            assert desk.refuse(command) == "symbol_state_forbids", command


def test_cancel_all_leaves_what_is_halted(desk: Desk) -> None:
    desk.list(2)
    desk.mark(100, symbol=2)
    desk.order(1, BUY, 1, 90)
    desk.order(1, BUY, 1, 90, symbol=2)
    desk.state(HALTED)
    assert cancelled(desk.do(m.CancelAll(account=1))) == [(2, "cancel_all", 1)]
    assert list(desk.live(1)) == [1]


def test_state_changes_that_may_not_be(desk: Desk) -> None:
    def refuse(state: int, price: int = 0, symbol: int = 1) -> str:
        return desk.refuse(m.SetSymbolState(symbol=symbol, state=state, price_ticks=price))

    assert refuse(OPEN, symbol=9) == "unknown_symbol"
    for state, price in ((OPEN, 0), (6, 0), (HALTED, 1), (SETTLED, 0), (SETTLED, 10**12 + 1)):
        assert refuse(state, price) == "invalid_symbol_state"
    desk.list(2)
    assert refuse(AUCTION, symbol=2) == "no_mark_price"


def test_final_mark_stays_inside_the_exposure_limit() -> None:
    """Both sides of a trade of 2 are 4 lots: 250 is 1,000, and no more is allowed."""
    desk = new_desk(exposure_limit_atoms=1_000)
    desk.trade(1, 2, 2, 100)
    too_high = m.SetSymbolState(symbol=1, state=SETTLED, price_ticks=251)
    assert desk.refuse(too_high) == "value_out_of_range"
    desk.state(SETTLED, price=250)


def test_nothing_goes_off_or_trades_while_orders_are_collected(desk: Desk) -> None:
    desk.waits(1, SELL, 1, STOP, trigger_ticks=95)
    desk.state(PRE_OPEN)
    assert names(desk.mark(90)) == ["MarkChanged"]
    assert names(desk.order(2, BUY, 1, 101)) == ["OrderRested"]
    assert names(desk.order(2, SELL, 1, 99)) == ["OrderRested"]  # its own, and it crosses
    assert desk.book() == ([(101, 1)], [(99, 1)])


def test_amended_order_rests_again_at_once_while_orders_are_collected(desk: Desk) -> None:
    desk.order(1, BUY, 2, 99, flags=POST_ONLY | SLIDE)
    desk.state(PRE_OPEN)
    desk.order(2, SELL, 1, 98)
    events = desk.amend(1, 1, price_ticks=101)
    assert names(events) == ["OrderAmended", "OrderRested"]
    assert events[1].price_ticks == 101
    assert desk.book() == ([(101, 2)], [(98, 1)])


def test_expiry_holds_while_halted(desk: Desk) -> None:
    desk.time_ns = 100
    desk.order(1, BUY, 1, 90, time_in_force=GTD, expires_ns=150)
    desk.state(HALTED)
    desk.time_ns = 150
    assert cancelled(desk.do(m.AdvanceTime())) == [(1, "expired", 1)]


def test_nobody_is_closed_through_a_book_that_is_shut(desk: Desk) -> None:
    """Long 100 at 100 on 1,000: at 94 it is below maintenance, and waits until the book opens."""
    desk.deposit(5, 1_000)
    desk.trade(5, 2, 100, 100)
    desk.order(3, BUY, 100, 95)
    desk.state(HALTED)
    assert names(desk.mark(94)) == [
        *("MarkChanged", "LiquidationStarted", "LiquidationPosition", "LiquidationSized")
    ]
    assert desk.engine.account(5).liquidating
    events = desk.state(OPEN)
    assert names(events)[:4] == [
        *("SymbolStateChanged", "LiquidationPosition", "LiquidationSized", "LiquidationOrder")
    ]
    assert names(events)[-1] == "LiquidationEnded"


# ------------------------------------------------------------------------------------------- the auction


def test_auction_trades_at_one_price() -> None:
    """The example of MATCH-12: bids 2 at 103, 3 at 101; offers 1 at 99, 3 at 101, 2 at 102: 4 at 101."""
    desk = new_desk(taker_fee_ppm=20_000, maker_fee_ppm=10_000)
    desk.state(PRE_OPEN)
    desk.order(1, BUY, 2, 103)
    desk.order(2, BUY, 3, 101)
    desk.order(3, SELL, 1, 99)
    desk.order(4, SELL, 3, 101)
    desk.order(4, SELL, 2, 102)
    assert prices(desk.state(AUCTION), m.AuctionIndicated) == [(101, 4, 1)]
    events = desk.state(OPEN)
    assert prices(events, m.AuctionUncrossed) == [(101, 4, 1)]
    made = [(f.account, f.qty_lots, f.price_ticks, f.fee_atoms) for f in fills(events)]
    assert made == [
        *((1, 1, 101, 2), (3, 1, 101, 2)),  # 1 % of 101, rounded up
        *((1, 1, 101, 2), (4, 1, 101, 2)),
        *((2, 2, 101, 3), (4, 2, 101, 3)),
    ]
    assert {f.role for f in fills(events)} == {FillRole.AUCTION}
    assert [f.trade_id for f in fills(events)] == [1, 1, 2, 2, 3, 3]
    assert desk.book() == ([(101, 1)], [(102, 2)])
    assert desk.engine.symbols()[0].last_ticks == 101


def test_auction_pays_no_rebate() -> None:
    desk = new_desk(taker_fee_ppm=20_000, maker_fee_ppm=-10_000)
    desk.state(PRE_OPEN)
    desk.order(1, BUY, 1, 100)
    desk.order(2, SELL, 1, 100)
    assert [f.fee_atoms for f in fills(desk.state(OPEN))] == [0, 0]


@pytest.mark.parametrize(
    ("bids", "offers", "mark", "price"),
    [
        ([(5, 105)], [(5, 95)], 100, 100),  # all from 95 to 105 are equal: the mark
        ([(5, 105)], [(5, 95)], 90, 95),  # the nearest to the mark
        ([(5, 105)], [(5, 95)], 130, 105),
        ([(5, 105), (1, 95)], [(5, 95)], 90, 96),  # at 95 one lot would be left
        ([(5, 105)], [(5, 95), (1, 105)], 130, 104),
        ([(1, 105), (4, 102)], [(3, 98)], 110, 102),  # 98 .. 102: 3 trade; above 102 only 1
        ([(3, 102)], [(2, 98), (3, 101)], 90, 101),  # 98 .. 100: 2 trade; 101, 102: 3
    ],
)
def test_auction_price(
    bids: list[tuple[int, int]], offers: list[tuple[int, int]], mark: int, price: int
) -> None:
    desk = new_desk()
    desk.state(PRE_OPEN)
    for lots, limit in bids:
        desk.order(1, BUY, lots, limit)
    for lots, limit in offers:
        desk.order(2, SELL, lots, limit)
    desk.mark(mark)
    ((indicated, *_),) = prices(desk.state(AUCTION), m.AuctionIndicated)
    assert indicated == price


def test_indications_are_told_by_marks_and_time(desk: Desk) -> None:
    assert prices(desk.state(AUCTION), m.AuctionIndicated) == [(0, 0, 0)]
    assert names(desk.order(1, BUY, 3, 105)) == ["OrderRested"]
    desk.order(2, SELL, 2, 95)
    assert prices(desk.do(m.AdvanceTime()), m.AuctionIndicated) == [(100, 2, 1)]
    events = desk.mark(98)
    assert names(events) == ["MarkChanged", "AuctionIndicated"]
    assert prices(events, m.AuctionIndicated) == [(98, 2, 1)]


def test_hidden_lots_trade_slice_by_slice_in_an_auction(desk: Desk) -> None:
    desk.state(PRE_OPEN)
    desk.order(1, BUY, 5, 100, display_lots=2)
    desk.order(2, BUY, 1, 100)
    desk.order(3, SELL, 6, 100)
    events = desk.state(OPEN)
    assert prices(events, m.AuctionUncrossed) == [(100, 6, 0)]
    assert [(f.account, f.qty_lots) for f in fills(events)][::2] == [(1, 2), (2, 1), (1, 2), (1, 1)]


@pytest.mark.parametrize(
    ("mode", "gone"),
    [
        (0, [(2, "self_trade", 3)]),  # the younger counts as the taker
        (1, [(1, "self_trade", 5)]),
        (2, [(1, "self_trade", 5), (2, "self_trade", 3)]),
        (3, [(2, "self_trade", 3)]),  # 3 off both
    ],
)
def test_own_orders_do_not_trade_in_an_auction(
    desk: Desk, mode: int, gone: list[tuple[int, str, int]]
) -> None:
    desk.state(PRE_OPEN)
    desk.order(1, SELL, 5, 99)
    desk.order(1, BUY, 3, 101, self_trade=mode)
    events = desk.state(OPEN)
    assert cancelled(events) == gone
    assert {e.place for e in only(events, m.OrderCancelled)} == {OrderPlace.BOOK}
    assert not fills(events)


def test_auction_finds_a_new_price_when_orders_were_cancelled(desk: Desk) -> None:
    """2 lots of account 1 would trade with its own; once its offer is gone, the book still crosses at 99."""
    desk.state(PRE_OPEN)
    desk.order(1, SELL, 2, 95, self_trade=1)
    desk.order(1, BUY, 2, 105, self_trade=1)
    desk.order(2, SELL, 1, 104)
    events = desk.state(OPEN)
    assert prices(events, m.AuctionUncrossed) == [(100, 2, 0), (104, 1, 1)]
    assert cancelled(events) == [(1, "self_trade", 2)]
    assert [f.price_ticks for f in fills(events)] == [104, 104]


def test_auction_asks_both_sides_for_margin(desk: Desk) -> None:
    """Account 5 loses on a position of 1,000 what it had: its bid has nothing to stand on."""
    desk.list(2)
    desk.mark(100, symbol=2)
    desk.deposit(5, 12_000)
    desk.trade(5, 4, 1_000, 100, symbol=2)
    desk.state(PRE_OPEN)
    desk.order(5, BUY, 10, 101)
    desk.order(1, BUY, 4, 101)
    desk.order(2, SELL, 5, 99)
    desk.mark(97, symbol=2)
    events = desk.state(OPEN)
    assert cancelled(events) == [(3, "insufficient_margin", 10)]
    assert [(f.account, f.qty_lots) for f in fills(events)] == [(1, 4), (2, 4)]


def test_auction_shrinks_what_only_reduces(desk: Desk) -> None:
    desk.trade(1, 2, 3, 100)
    desk.state(PRE_OPEN)
    desk.order(1, SELL, 8, 99, flags=REDUCE_ONLY)
    desk.order(3, BUY, 8, 101)
    events = desk.state(OPEN)
    assert [(f.account, f.qty_lots) for f in fills(events)] == [(3, 3), (1, 3)]
    assert cancelled(events) == [(3, "reduce_only", 5)]


def test_auction_arms_exits_and_sets_off_triggers(desk: Desk) -> None:
    desk.waits(4, SELL, 1, STOP, trigger_ticks=95)
    desk.state(PRE_OPEN)
    stop = entry(SELL, 3, order_type=STOP, trigger_ticks=90, flags=REDUCE_ONLY)
    desk.do(place_list(1, ListMode.ENTRY_WITH_EXITS, entry(BUY, 3, 101), stop))
    desk.order(2, SELL, 3, 99)
    desk.mark(95)
    events = desk.state(OPEN)
    assert names(events) == [
        *("SymbolStateChanged", "AuctionUncrossed", "Fill", "Fill", "OrderWaiting"),
        *("OrderTriggered", "OrderCancelled"),
    ]


def test_entry_that_must_act_at_once_waits_for_no_opening(desk: Desk) -> None:
    desk.state(PRE_OPEN)
    stop = entry(SELL, 3, order_type=STOP, trigger_ticks=90, flags=REDUCE_ONLY)
    market = place_list(1, ListMode.ENTRY_WITH_EXITS, entry(BUY, 3, order_type=1), stop)
    assert desk.refuse(market) == "symbol_state_forbids"


# ------------------------------------------------------------------------------------------- settlement


def test_settlement_closes_all_at_the_final_mark(desk: Desk) -> None:
    """The example of MATCH-12: long 2 from 100 against short 2, settled at 110."""
    desk.trade(1, 2, 2, 100)
    desk.order(3, SELL, 1, 120)
    desk.order(3, BUY, 1, 90)
    desk.order(3, BUY, 1, 91)
    desk.waits(3, SELL, 1, STOP, trigger_ticks=80)
    events = desk.state(SETTLED, price=110)
    assert names(events) == [
        *("SymbolStateChanged", "MarkChanged"),
        *(["OrderCancelled"] * 4),
        *("Fill", "Fill"),
    ]
    assert [order_id for order_id, _, _ in cancelled(events)] == [5, 4, 3, 6]
    assert {reason for _, reason, _ in cancelled(events)} == {"symbol_settled"}
    one, other = fills(events)
    assert (one.account, one.side, one.qty_lots, one.realised_atoms) == (1, SELL, 2, 20)
    assert (other.account, other.side, other.qty_lots, other.realised_atoms) == (2, BUY, 2, -20)
    assert (one.role, one.trade_id, one.order_id) == (FillRole.SETTLEMENT, 0, 0)
    assert (one.price_ticks, one.value_atoms, one.fee_atoms) == (110, 220, 0)
    assert [desk.wallet(a) for a in (1, 2)] == [100_020, 99_980]


def test_settled_symbol_is_at_its_end(desk: Desk) -> None:
    desk.state(SETTLED, price=110)
    assert desk.refuse(order(1, BUY, 1, 100)) == "symbol_state_forbids"
    assert desk.refuse(m.SetMark(symbol=1, price_ticks=100)) == "symbol_state_forbids"
    funding = m.SettleFunding(symbol=1, payment_atoms_per_lot=1)
    assert desk.refuse(funding) == "symbol_state_forbids"
    assert desk.refuse(m.SetSymbolState(symbol=1, state=OPEN)) == "invalid_symbol_state"
    assert names(desk.state(SETTLED, price=111)) == ["SymbolStateChanged", "MarkChanged"]


def test_settled_isolated_pool_returns_to_the_wallet(desk: Desk) -> None:
    desk.isolate(1)
    desk.trade(1, 2, 10, 100)
    assert desk.position(1).margin_mode == ISOLATED
    (fill, _) = fills(desk.state(SETTLED, price=95))
    assert (fill.wallet_atoms, fill.margin_atoms) == (99_950, 0)


def test_settlement_ends_liquidations(desk: Desk) -> None:
    """Below maintenance but above zero at 92: nobody can close it but the settlement."""
    desk.deposit(5, 1_000)
    desk.trade(5, 2, 100, 100)
    events = desk.state(SETTLED, price=92)
    assert names(events) == [
        *("SymbolStateChanged", "MarkChanged", "LiquidationStarted"),
        *("LiquidationPosition", "LiquidationSized"),
        *("Fill", "Fill", "LiquidationEnded"),
    ]
    assert desk.wallet(5) == 200


def test_settlement_waits_for_an_uncovered_deficit() -> None:
    """ADL-03: 5 is long 10 in each on 200; with B at 60 it is 200 below zero, and for A nobody can bear it."""
    desk = Desk()
    desk.list(1)
    desk.list(2)
    for symbol in (1, 2):
        desk.mark(100, symbol=symbol)
    for account, amount in ((5, 200), (2, 120), (3, 1_000)):
        desk.deposit(account, amount)
    desk.trade(5, 2, 10, 100, symbol=1)
    desk.trade(5, 3, 10, 100, symbol=2)
    events = desk.mark(60, symbol=2)
    (uncovered,) = only(events, m.DeficitUncovered)
    assert uncovered.symbol == 1
    settled = desk.state(SETTLED, symbol=1, price=100)
    assert not fills(settled)
    assert desk.holding(5)[0] != 0
    desk.deposit(5, 1_000)
    again = desk.state(SETTLED, symbol=1, price=101)
    assert names(again)[:2] == ["SymbolStateChanged", "MarkChanged"]
    assert {f.price_ticks for f in fills(again)} == {101}
    assert len(fills(again)) == 2
    assert desk.holding(5)[0] == 0
