"""Orders that wait, hide and belong together, at a real node over real sockets: results first, then what follows."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from exchange import SymbolPolicy, SymbolState
from exchange.client import AsyncAdminClient, AsyncClient, Client, RequestRefused
from exchange.client.results import OrderStatus
from exchange.errors import (
    InsufficientMargin,
    Rejected,
    SymbolStateForbids,
    TriggerAlreadyTrue,
    UnitsError,
    UnknownOrder,
)
from exchange.gateway.connection import TRADERS_DOOR, Commands, Refusal
from exchange.gateway.greeting import Login
from exchange.gateway.sessions import Session
from exchange.protocol import messages as m
from exchange.protocol import wire
from exchange.protocol.schema import CancelReason, OrderFlag, RejectReason
from exchange.risk.policy import BracketPolicy

BTC = "BTC-PERP"
HOUR = timedelta(hours=1)


def rich(node, *accounts: int) -> list[Client]:
    clients = [node.client(account) for account in accounts]
    for client in clients:
        client.deposit(1_000_000)
    return clients


def heard(client: Client, kind: type[m.Event]) -> list[m.Event]:
    """The events of this kind in the first batch that has some; those before it are passed over."""
    found: list[m.Event] = []
    while not found:
        batch = client.poll(5)
        assert batch, f"no {kind.__name__} came"
        found = [event for event in batch if type(event) is kind]
    return found


def test_a_stop_waits_and_its_owner_hears_when_it_goes_off(node) -> None:
    trader, maker = rich(node, 7, 8)
    operator = node.admin_client()
    placed = trader.stop(BTC, "sell", "0.1", 59_000, client_order_id=5)
    assert (placed.status, placed.open_lots) == (OrderStatus.WAITING, 100)
    (order,) = trader.open_orders(BTC)
    assert (order.waiting, order.armed, order.trigger_ticks) == (True, True, 590_000)
    maker.limit(BTC, "buy", "0.1", 58_900)
    trader.poll()
    operator.set_mark(BTC, 59_000)
    events = trader.poll(5)
    assert [type(event) for event in events] == [m.OrderTriggered, m.Fill]
    assert isinstance(events[0], m.OrderTriggered)
    assert (events[0].watched_ticks, events[0].client_order_id) == (590_000, 5)
    assert trader.open_orders() == []


def test_every_type_with_a_trigger(node) -> None:
    trader, maker = rich(node, 7, 8)
    maker.limit(BTC, "sell", "0.1", 60_000)
    trader.limit(BTC, "buy", "0.1", 60_000)
    results = [
        trader.stop(BTC, "sell", "0.1", 59_000, 58_900),
        trader.take_profit(BTC, "sell", "0.1", 61_000, reduce_only=True),
        trader.take_profit(BTC, "sell", "0.1", 61_000, 61_500, expires=HOUR),
        trader.trailing_stop(BTC, "sell", None, callback=500, close_position=True),
        trader.trailing_stop(BTC, "sell", "0.1", callback_rate="0.05", trigger_by="last"),
        trader.stop(BTC, "sell", "0.1", 59_000, worst_price=58_000, time_in_force="fok"),
    ]
    assert {result.status for result in results} == {OrderStatus.WAITING}
    kinds = [order.order_type for order in trader.open_orders()]
    assert kinds == [3, 4, 5, 6, 6, 2]
    with pytest.raises(TriggerAlreadyTrue):
        trader.stop(BTC, "sell", "0.1", 60_000)
    with pytest.raises(Rejected, match="invalid_trigger"):
        trader.trailing_stop(BTC, "sell", "0.1")


def test_an_iceberg_shows_a_slice_and_market_data_no_more(node) -> None:
    """MATCH-13, MATCH-15: the public sees slices, the owner all of it."""
    maker, taker = rich(node, 7, 8)
    placed = maker.limit(BTC, "sell", "2", 60_000, display="0.5")
    assert (placed.status, placed.open_lots) == (OrderStatus.RESTING, 2000)
    assert [level.qty_lots for level in taker.book(BTC).asks] == [500]
    mirror = taker.book_mirror(BTC)
    assert taker.limit(BTC, "buy", "0.7", 60_000).filled_quantity == Decimal("0.7")
    mirror.update(5)
    assert [level.qty_lots for level in mirror.mirror.asks] == [300]
    (order,) = maker.open_orders()
    assert (order.open_lots, order.shown_lots, order.display_lots) == (1300, 300, 500)
    changed = maker.amend(BTC, placed.order_id, display=1)
    assert changed.status is OrderStatus.RESTING
    assert maker.open_orders()[0].display_lots == 1000
    mirror.close()


def test_orders_expire_and_a_countdown_cancels(start_node) -> None:
    """What is due goes with the next command, whoever sends it."""
    node = start_node()
    trader, other = rich(node, 7, 8)
    trader.limit(BTC, "buy", "0.1", 50_000, expires=timedelta(seconds=1))
    trader.limit(BTC, "buy", "0.1", 50_000, expires=datetime.now(UTC) + HOUR, client_order_id=2)
    assert len(trader.open_orders()) == 2
    trader.poll()
    gone: list[m.Event] = []
    while not gone:
        other.deposit(1)
        gone = [event for event in trader.poll(0.05) if isinstance(event, m.OrderCancelled)]
    assert [event.reason for event in gone] == [CancelReason.EXPIRED]
    moment = datetime.now(UTC) + 2 * HOUR
    trader.amend(BTC, client_order_id=2, expires=moment)
    (order,) = trader.open_orders()
    assert order.expires_ns == int(moment.timestamp()) * 10**9 + moment.microsecond * 1000
    trader.set_countdown("0.5")
    assert trader.account().countdown_ns > 0
    trader.poll()
    gone = []
    while not gone:
        other.deposit(1)
        gone = [event for event in trader.poll(0.05) if isinstance(event, m.OrderCancelled)]
    assert [event.reason for event in gone] == [CancelReason.COUNTDOWN]
    with pytest.raises(UnitsError, match="milliseconds"):
        trader.set_countdown("0.0001")
    with pytest.raises(UnitsError, match="time zone"):
        trader.limit(BTC, "buy", "0.1", 50_000, expires=datetime(2030, 1, 1))


def test_slide_repeats_and_an_amendment_of_every_field(node) -> None:
    trader, maker = rich(node, 7, 8)
    maker.limit(BTC, "sell", "1", 60_000)
    slid = trader.limit(BTC, "buy", "0.1", 61_000, slide=True, client_order_id=1)
    assert slid.status is OrderStatus.RESTING
    assert trader.open_orders()[0].price_ticks == 599_999
    again = trader.limit(BTC, "buy", "0.1", 61_000, slide=True, client_order_id=1)
    assert (again.status, again.order_id) == (OrderStatus.REPEATED, slid.order_id)
    stop = trader.stop(BTC, "sell", "0.1", 59_000, 58_000)
    amended = trader.amend(BTC, stop.order_id, trigger=58_500, price=58_400, quantity="0.2")
    assert (amended.status, amended.open_lots) == (OrderStatus.WAITING, 200)
    trailing = trader.trailing_stop(BTC, "sell", "0.1", callback=100)
    assert trader.amend(BTC, trailing.order_id, callback=200).status is OrderStatus.WAITING
    rate = trader.trailing_stop(BTC, "sell", "0.1", callback_rate="0.01")
    assert trader.amend(BTC, rate.order_id, callback_rate="0.02").status is OrderStatus.WAITING


def test_a_list_has_a_result_for_each_order_in_one_reply(node) -> None:
    trader, maker = rich(node, 7, 8)
    maker.limit(BTC, "sell", "0.1", 60_000)
    result = trader.place_orders(
        [
            trader.limit_order(BTC, "buy", "0.2", 60_000, client_order_id=1),
            trader.limit_order(BTC, "buy", "900", 60_000, client_order_id=2),
            trader.stop_order(BTC, "buy", "0.1", 61_000),
            trader.limit_order(BTC, "buy", "0.2", 60_000, client_order_id=1),
        ]
    )
    first, second, third, fourth = result.entries
    assert isinstance(second, InsufficientMargin)
    assert "entry 1" in str(second)
    assert not isinstance(first, Rejected)
    assert (first.status, first.open_lots, first.filled_lots) == (OrderStatus.RESTING, 100, 100)
    assert not isinstance(third, Rejected)
    assert third.status is OrderStatus.WAITING
    assert not isinstance(fourth, Rejected)
    assert (fourth.status, fourth.order_id) == (OrderStatus.REPEATED, first.order_id)
    assert isinstance(result.events[0], m.Accepted)
    assert result.order_ids == [first.order_id, third.order_id, first.order_id]
    assert [fill.account for fill in heard(maker, m.Fill)] == [8]


def test_all_or_nothing_raises_the_reason_of_the_first_that_may_not_be(node) -> None:
    (trader,) = rich(node, 7)
    orders = [
        trader.limit_order(BTC, "buy", "1", 50_000, post_only=True),
        trader.limit_order(BTC, "buy", "900", 50_000, post_only=True),
    ]
    with pytest.raises(InsufficientMargin):
        trader.place_orders(orders, all_or_nothing=True)
    assert trader.open_orders() == []
    done = trader.place_orders(orders[:1], all_or_nothing=True)
    assert [entry.status for entry in done.entries] == [OrderStatus.RESTING]
    with pytest.raises(Rejected) as caught:
        trader.place_orders([])
    assert caught.value.reason is RejectReason.INVALID_LIST


def test_linked_orders(node) -> None:
    trader, maker = rich(node, 7, 8)
    pair = trader.one_cancels_other(
        trader.limit_order(BTC, "buy", "0.1", 59_000), trader.stop_order(BTC, "buy", "0.1", 61_000)
    )
    assert [entry.status for entry in pair.entries] == [OrderStatus.RESTING, OrderStatus.WAITING]
    assert {order.flags & OrderFlag.LINKED for order in trader.open_orders()} == {32}
    trader.poll()
    maker.limit(BTC, "sell", "0.05", 59_000)
    (gone,) = heard(trader, m.OrderCancelled)
    assert isinstance(gone, m.OrderCancelled)
    assert (gone.order_id, gone.reason) == (pair.order_ids[1], CancelReason.LINKED)
    maker.limit(BTC, "sell", "1", 60_000)
    opened = trader.entry_with_exits(
        trader.market_order(BTC, "buy", "0.3"),
        trader.take_profit_order(BTC, "sell", "0.3", 63_000, reduce_only=True),
        trader.stop_order(BTC, "sell", None, 58_000, close_position=True),
    )
    assert [entry.status.value for entry in opened.entries] == ["filled", "waiting", "waiting"]
    assert [order.armed for order in trader.open_orders() if order.waiting] == [True, True]


def test_the_operator_halts_calls_an_auction_and_settles(node) -> None:
    trader, maker = rich(node, 7, 8)
    operator = node.admin_client()
    operator.set_symbol_state(BTC, "auction")
    maker.limit(BTC, "sell", "1", 59_000)
    trader.limit(BTC, "buy", "2", 61_000)
    with pytest.raises(SymbolStateForbids):
        trader.market(BTC, "buy", "1")
    indicated = operator.advance_time().events
    assert [type(event) for event in indicated] == [m.Accepted, m.AuctionIndicated]
    assert trader.symbols()[BTC].view.state == SymbolState.AUCTION
    opened = operator.set_symbol_state(BTC, SymbolState.OPEN).events
    assert [type(event) for event in opened][:3] == [
        m.Accepted,
        m.SymbolStateChanged,
        m.AuctionUncrossed,
    ]
    (fill,) = heard(trader, m.Fill)
    assert isinstance(fill, m.Fill)
    # The bid of 61,000 and the offer of 59,000 trade 1 anywhere between them: at the mark.
    assert (fill.price_ticks, fill.qty_lots) == (600_000, 1000)
    assert trader.symbols()[BTC].view.last_ticks == 600_000
    operator.set_symbol_state(BTC, "settled", 60_500)
    assert trader.positions() == []
    with pytest.raises(SymbolStateForbids):
        trader.limit(BTC, "buy", "1", 60_000)


def test_accounts_of_one_group_do_not_trade(node) -> None:
    one, other = rich(node, 7, 8)
    operator = node.admin_client()
    operator.set_stp_group(7, 3)
    operator.set_stp_group(8, 3)
    assert [event.stp_group for event in heard(one, m.StpGroupSet)] == [3]
    assert other.account().stp_group == 3
    one.limit(BTC, "sell", "1", 60_000)
    refused = other.limit(BTC, "buy", "1", 60_000)
    assert (refused.status, refused.cancel_reason) == (
        OrderStatus.CANCELLED,
        CancelReason.SELF_TRADE,
    )


def test_a_position_shows_its_place_in_the_queue(node) -> None:
    """ADL-04, through the gateway."""
    one, other = rich(node, 7, 8)
    operator = node.admin_client()
    operator.set_adl_policy(BTC, "pro_rata_by_equity")
    one.limit(BTC, "sell", "1", 60_000)
    other.limit(BTC, "buy", "1", 60_000)
    (position,) = one.positions()
    assert (position.adl_place, position.adl_candidates, position.adl_fifth) == (1, 1, 5)


def test_each_door_takes_its_own_commands(node) -> None:
    (trader,) = rich(node, 7)
    operator = node.admin_client()
    with pytest.raises(RequestRefused, match="wrong_door"):
        trader.send(m.SetSymbolState(symbol=1, state=4))
    with pytest.raises(RequestRefused, match="wrong_door"):
        trader.send(m.SetStpGroup(member_account=7, stp_group=1))
    with pytest.raises(RequestRefused, match="wrong_door"):
        operator.send(m.SetCountdown(account=7, timeout_ms=1))
    with pytest.raises(RequestRefused, match="wrong_door"):
        operator.send(m.PlaceOrders(account=7, orders=()))
    stranger = m.PlaceOrders(account=8, orders=())
    with pytest.raises(RequestRefused, match="not_logged_in"):
        trader.send(stranger)


def test_a_message_holds_so_many_orders_those_of_lists_included(node) -> None:
    """A client sends many lists in several messages; one that does not is told so."""
    (trader,) = rich(node, 7)
    order = m.OrderEntry(symbol=1, side=0, price_ticks=1, qty_lots=1)
    lists = [m.PlaceOrders(account=7, orders=(order,) * 64) for _ in range(70)]
    assert len(trader.send_many(lists)) == 70
    frame = b"".join(wire.encode_command_wire(command, at + 1) for at, command in enumerate(lists))
    session = Session(b"peer", TRADERS_DOOR)
    session.receive(msgspec.msgpack.encode([0, 1, "login", {"account": 7}]))
    session.login(Login(7))
    refused = session.receive(frame)
    assert isinstance(refused, Refusal)
    assert "at most 4096 orders in a message" in refused.message
    assert "came 4480" in refused.message
    taken = session.receive(wire.encode_command_wire(lists[0], 1))
    assert isinstance(taken, Commands)


def test_the_asyncio_client_has_the_same_methods(node) -> None:
    async def story() -> None:
        async with (
            AsyncClient(node.orders, account=7) as trader,
            AsyncClient(node.orders, account=8) as maker,
            AsyncAdminClient(node.admin) as operator,
        ):
            await asyncio.gather(trader.deposit(1_000_000), maker.deposit(1_000_000))
            await maker.limit(BTC, "sell", "1", 60_000, display="0.1")
            await maker.limit(BTC, "buy", "1", 57_000)
            opened = await trader.entry_with_exits(
                trader.limit_order(BTC, "buy", "0.3", 60_000, expires=HOUR),
                trader.stop_order(BTC, "sell", "0.3", 59_000, reduce_only=True),
            )
            assert [entry.status.value for entry in opened.entries] == ["filled", "waiting"]
            waits = await trader.trailing_stop(BTC, "buy", "0.1", callback_rate="0.01")
            await trader.amend(BTC, waits.order_id, callback_rate="0.02")
            await trader.take_profit(BTC, "sell", "0.1", 70_000)
            await trader.stop(BTC, "buy", "0.1", 70_000, trigger_by="last")
            pair = await trader.one_cancels_other(
                trader.take_profit_order(BTC, "sell", "0.1", 80_000),
                trader.trailing_stop_order(BTC, "sell", "0.1", callback=30_000),
            )
            assert len(pair.order_ids) == 2
            many = await trader.place_orders([trader.market_order(BTC, "buy", "0.1")])
            assert [entry.status for entry in many.entries] == [OrderStatus.FILLED]
            await trader.set_countdown(3600)
            await operator.set_stp_group(7, 1)
            await operator.set_adl_policy(BTC, "mark_priced")
            await operator.set_mark(BTC, 59_000)
            fills = await trader.fills()
            assert [fill.price_ticks for fill in fills][-1] == 570_000
            await operator.set_symbol_state(BTC, "halted")
            with pytest.raises(SymbolStateForbids):
                await trader.cancel(waits.order_id)
            assert (await trader.account()).open_orders == 5

    asyncio.run(story())


def test_replies_stay_whole_whatever_expires_in_between(node) -> None:
    """A result is the first event of its command also where an order expires with it, and of a rejection too."""
    (trader,) = rich(node, 7)
    trader.limit(BTC, "buy", "0.1", 50_000, expires=timedelta(seconds=1))
    events: list[m.Event] = []
    while not events or not isinstance(events[-1], m.OrderCancelled):
        with pytest.raises(UnknownOrder):
            trader.cancel(999_999)
        events += trader.poll()
    result, expired = events[-2:]
    assert isinstance(result, m.Rejected)
    assert result.sequence == expired.sequence


def test_a_new_symbol_opens_with_an_auction(node) -> None:
    """Listed open, it is taken to pre-open before it has a mark; an auction needs one to be near to."""
    operator = node.admin_client()
    policy = SymbolPolicy(
        symbol=9,
        name="NEW",
        tick_size=Decimal(1),
        lot_size=Decimal(1),
        initial_margin=Decimal("0.1"),
        brackets=(BracketPolicy(Decimal(0), Decimal("0.05")),),
        exposure_limit=Decimal(1_000_000),
    )
    operator.list_symbol(policy.to_command())
    operator.set_symbol_state("NEW", "pre_open")
    with pytest.raises(Rejected, match="no_mark_price"):
        operator.set_symbol_state("NEW", "auction")
    operator.set_mark("NEW", 100)
    buyer, seller = rich(node, 7, 8)
    buyer.limit("NEW", "buy", "3", 105)
    seller.limit("NEW", "sell", "2", 95)
    operator.set_symbol_state("NEW", "open")
    assert operator.symbols()["NEW"].view.last_ticks == 100
