"""Bots at a real node over real sockets: orders, fills, margin, queries, errors."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from exchange.client import (
    AsyncAdminClient,
    AsyncClient,
    ClientTimeout,
    NotLoggedIn,
    SymbolNotListed,
)
from exchange.client.results import OrderStatus
from exchange.errors import (
    DuplicateClientOrderId,
    InsufficientMargin,
    LeverageTooHigh,
    PostOnlyWouldTake,
    Rejected,
    UnitsError,
    UnknownOrder,
)
from exchange.protocol.messages import (
    Deposit,
    Fill,
    LiquidationStarted,
    OrderCancelled,
    PlaceOrder,
    SetMark,
)
from exchange.protocol.schema import CancelReason, FillRole, MarginMode, RejectReason, Side

BTC = "BTC-PERP"
ATOM = 10**8


def test_two_clients_trade_and_both_hear_of_it(node) -> None:
    maker, taker = node.client(7), node.client(8)
    maker.deposit("100000")
    taker.deposit("100000")
    resting = maker.limit(BTC, "sell", "0.5", "60000", client_order_id=11)
    assert (resting.status, resting.open_lots, resting.fills) == (OrderStatus.RESTING, 500, ())
    maker.poll()
    bought = taker.market(BTC, "buy", "0.2")
    assert bought.status is OrderStatus.FILLED
    assert (bought.filled_quantity, bought.average_price) == (Decimal("0.2"), Decimal(60000))
    (heard,) = [event for event in maker.poll(5) if isinstance(event, Fill)]
    assert (heard.role, heard.qty_lots, heard.client_order_id) == (FillRole.MAKER, 200, 11)
    assert heard.trade_id == bought.fills[0].trade_id
    assert [fill.trade_id for fill in maker.fills()] == [heard.trade_id]


def test_queries_show_account_positions_and_orders(node) -> None:
    maker, taker = node.client(7), node.client(8)
    maker.deposit(1000)
    taker.deposit(1000)
    maker.limit(BTC, Side.SELL, "0.01", "60000")
    taker.limit(BTC, Side.BUY, "0.004", "60000")
    (order,) = maker.open_orders(BTC)
    assert (order.open_lots, order.filled_lots, order.price_ticks) == (6, 4, 600_000)
    (position,) = taker.positions()
    assert (position.position_lots, position.entry_value_atoms) == (4, 240 * ATOM)
    # 1000 less the taker fee of 0.0005 x 240.
    assert taker.account().wallet_atoms == 1000 * ATOM - 12 * ATOM // 100
    assert maker.symbols()[BTC].view.open_interest_lots == 4
    assert maker.funds().funds == {0: 1_000_000 * ATOM}
    assert [(level.price_ticks, level.qty_lots) for level in maker.book(BTC).asks] == [(600_000, 6)]


def test_the_life_of_an_order_amend_cancel_cancel_all(node) -> None:
    client = node.client(7)
    client.deposit(100_000)
    first = client.limit(BTC, "buy", "0.1", "59000", client_order_id=1)
    kept = client.amend(BTC, first.order_id, quantity="0.05")
    assert (kept.status, kept.open_lots) == (OrderStatus.RESTING, 50)
    moved = client.amend(BTC, client_order_id=1, price="59001", quantity="0.2")
    assert (moved.order_id, moved.status, moved.open_lots) == (
        first.order_id,
        OrderStatus.RESTING,
        200,
    )
    (gone,) = client.cancel(first.order_id).cancelled
    assert (gone.order_id, gone.reason) == (first.order_id, CancelReason.REQUESTED)
    for price in ("58000", "58001", "58002"):
        client.limit(BTC, "buy", "0.001", price)
    assert len(client.cancel_all(BTC, "buy").cancelled) == 3
    assert client.open_orders() == []


def test_an_order_that_cannot_rest_says_what_became_of_the_rest(node) -> None:
    client = node.client(7)
    client.deposit(100_000)
    nothing = client.market(BTC, "buy", "0.1")
    assert (nothing.status, nothing.cancel_reason) == (
        OrderStatus.CANCELLED,
        CancelReason.IMMEDIATE_OR_CANCEL,
    )
    killed = client.limit(BTC, "buy", "0.1", "60000", time_in_force="fok")
    assert killed.cancel_reason is CancelReason.FILL_OR_KILL
    assert killed.average_price is None


def test_rejections_are_exceptions_with_their_reason(node) -> None:
    client = node.client(7)
    with pytest.raises(InsufficientMargin) as caught:
        client.limit(BTC, "buy", "1", "60000")
    assert caught.value.reason is RejectReason.INSUFFICIENT_MARGIN
    assert "PlaceOrder(account=7" in str(caught.value)
    client.deposit(10_000)
    client.limit(BTC, "sell", "0.001", "60000", client_order_id=5)
    with pytest.raises(DuplicateClientOrderId):
        client.limit(BTC, "sell", "0.002", "60000", client_order_id=5)
    with pytest.raises(PostOnlyWouldTake):
        client.limit(BTC, "buy", "0.001", "60000", post_only=True)
    with pytest.raises(UnknownOrder):
        client.cancel(999)
    with pytest.raises(LeverageTooHigh):
        client.set_leverage(BTC, 1000)
    with pytest.raises(Rejected, match="price_out_of_band"):
        client.limit(BTC, "buy", "0.001", "90000")


def test_numbers_that_are_not_exact_never_leave_the_client(node) -> None:
    client = node.client(7)
    with pytest.raises(
        UnitsError, match=r"price 60000\.05 is not a multiple of the tick 0\.1 \(BTC-PERP\)"
    ):
        client.limit(BTC, "buy", "0.001", "60000.05")
    with pytest.raises(UnitsError, match="float"):
        client.limit(BTC, "buy", 0.001, "60000")
    with pytest.raises(UnitsError, match="wanted one of 'buy', 'sell' for Side, got 'long'"):
        client.limit(BTC, "long", "0.001", "60000")
    with pytest.raises(
        SymbolNotListed, match="symbol 'ETH-PERP' is not listed; there are BTC-PERP"
    ):
        client.limit("ETH-PERP", "buy", "1", "1")
    assert node.node.engine.sequence == 4


def test_leverage_margin_mode_and_isolated_margin(node) -> None:
    client, other = node.client(7), node.client(8)
    client.deposit(1000)
    other.deposit(1000)
    client.set_margin_mode(BTC, "isolated", leverage=10)
    client.set_leverage(BTC, 5)
    other.limit(BTC, "sell", "0.01", "60000")
    client.market(BTC, "buy", "0.01")
    (position,) = client.positions()
    assert (position.margin_mode, position.initial_margin_ppm) == (MarginMode.ISOLATED, 200_000)
    assert position.margin_atoms == 120 * ATOM
    client.add_isolated_margin(BTC, 30)
    client.remove_isolated_margin(BTC, "10")
    assert client.positions()[0].margin_atoms == 140 * ATOM
    client.withdraw(100)
    with pytest.raises(InsufficientMargin):
        client.withdraw(1000)


def test_many_orders_in_one_message_each_with_its_own_fate(node) -> None:
    client = node.client(7)
    client.deposit(1000)
    orders = [
        client.limit_order(BTC, "buy", "0.001", price) for price in ("50000", "90000", "52000")
    ]
    first, refused, third = client.place_many(orders)
    assert first.status is third.status is OrderStatus.RESTING
    assert isinstance(refused, Rejected)
    assert refused.reason is RejectReason.PRICE_OUT_OF_BAND
    many = client.place_many(
        [client.limit_order(BTC, "buy", "0.001", "51000", time_in_force="ioc")] * 2500
    )
    assert len({result.order_id for result in many}) == 2500
    assert client.place_many([]) == []


def test_many_commands_of_any_kind_in_one_message(node) -> None:
    client = node.client(7)
    client.login(8)
    placed = PlaceOrder(account=8, symbol=1, side=Side.BUY, price_ticks=500_000, qty_lots=1)
    done = client.send_many(
        [Deposit(account=8, amount_atoms=10**12), placed, Deposit(amount_atoms=-1)]
    )
    assert [getattr(result, "sequence", None) for result in done] == [5, 6, None]
    assert isinstance(done[2], Rejected)
    assert done[2].reason is RejectReason.INVALID_AMOUNT


def test_a_mark_move_liquidates_and_the_owner_hears_of_it(node) -> None:
    whale, victim, admin = node.client(7), node.client(8), node.admin_client()
    whale.deposit(1_000_000)
    victim.deposit(1000)
    victim.set_leverage(BTC, 100)
    whale.limit(BTC, "sell", "1", "60000")
    victim.market(BTC, "buy", "1")
    whale.limit(BTC, "buy", "2", "59500")
    victim.poll()
    admin.set_mark(BTC, 59000)
    events = victim.poll(5)
    assert any(isinstance(event, LiquidationStarted) for event in events)
    assert any(isinstance(event, Fill) and event.role == FillRole.LIQUIDATED for event in events)


def test_operator_commands_and_traders_commands_have_their_own_doors(node) -> None:
    client, admin = node.client(7), node.admin_client()
    with pytest.raises(Exception, match="wrong_door: set_mark is a command of the admin's door"):
        client.send(SetMark(symbol=1, price_ticks=1))
    with pytest.raises(Exception, match="wrong_door: deposit is a command of the trader's door"):
        admin.send(Deposit(account=7, amount_atoms=1))
    admin.deposit_fund(3, "12.5")
    assert admin.funds().funds[3] == 1250000000
    admin.settle_funding(BTC, "0.001")
    admin.advance_time()
    status = admin.status()
    assert status["sequence"] == status["durable_sequence"] == node.node.engine.sequence
    assert status["digest"] == node.node.engine.digest()
    assert Path(admin.take_snapshot()).exists()


def test_an_account_is_only_for_those_who_are_logged_in_for_it(node) -> None:
    client = node.client(7)
    with pytest.raises(NotLoggedIn):
        client.send(Deposit(account=8, amount_atoms=1))
    with pytest.raises(NotLoggedIn):
        client.account(8)
    client.login(8)
    client.send(Deposit(account=8, amount_atoms=5))
    assert client.account().wallet_atoms == 5


def test_a_second_session_of_the_account_hears_everything(node) -> None:
    trading, watching = node.client(7), node.client(7)
    trading.deposit(1000)
    order = trading.limit(BTC, "buy", "0.001", "59000")
    trading.cancel(order.order_id)
    heard: list[object] = []
    while not any(isinstance(event, OrderCancelled) for event in heard):
        batch = watching.poll(5)
        assert batch
        heard += batch
    assert heard == trading.poll()


def test_nobody_at_the_endpoint_is_a_timeout_that_says_what_to_look_at() -> None:
    from exchange.client import Client

    with pytest.raises(ClientTimeout, match="Is `exchange serve` running there"):
        Client("tcp://127.0.0.1:9", account=1, timeout_s=0.2)


def test_the_asyncio_client_does_the_same(node) -> None:
    async def story() -> None:
        async with (
            AsyncClient(node.orders, 7) as maker,
            AsyncClient(node.orders, 8) as taker,
            AsyncAdminClient(node.admin) as admin,
        ):
            await asyncio.gather(maker.deposit(100_000), taker.deposit(100_000))
            mirror = await maker.book_mirror(BTC)
            trades = maker.subscribe(trades=BTC, mark=BTC)
            prices = [str(60_000 + step) for step in range(20)]
            resting = await asyncio.gather(
                *(maker.limit(BTC, "sell", "0.01", price) for price in prices)
            )
            assert {result.status for result in resting} == {OrderStatus.RESTING}
            with pytest.raises(InsufficientMargin):
                await taker.limit(BTC, "buy", "1000", "60000")
            taken = await taker.market(BTC, "buy", "0.015")
            assert [fill.price_ticks for fill in taken.fills] == [600_000, 600_010]
            while mirror.mirror.best_ask is None or mirror.mirror.best_ask.price_ticks != 600_010:
                await mirror.update()
            assert mirror.mirror.asks == (await maker.book(BTC)).asks
            stream = maker.events()
            while not isinstance(await anext(stream), Fill):
                pass
            assert [trade.qty_lots for trade in [await trades.next(), await trades.next()]] == [
                10,
                5,
            ]
            await admin.set_mark(BTC, 60_001)
            await taker.set_leverage(BTC, 50)
            assert (await taker.positions())[0].initial_margin_ppm == 20_000
            assert await maker.poll(0.01) is not None
            mirror.close()
            trades.close()

    asyncio.run(story())


def test_orders_in_ticks_and_lots(node) -> None:
    client = node.client(7)
    client.deposit(1000)
    result = client.place(PlaceOrder(symbol=1, side=Side.BUY, price_ticks=599_999, qty_lots=3))
    assert (result.account, result.open_lots) == (7, 3)


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_the_best_price_of_the_book_follows(node, side: str) -> None:
    client = node.client(7)
    client.deposit(100_000)
    with client.book_mirror(BTC) as live:
        client.limit(BTC, side, "0.01", "60000")
        assert live.update(5)
        best = live.mirror.best_bid if side == "buy" else live.mirror.best_ask
        assert best is not None
        assert (best.price_ticks, best.qty_lots, best.order_count) == (600_000, 10, 1)
