"""Market data is made of events alone and adds up to the engine's book; a mirror never stays wrong."""

from __future__ import annotations

import random
from itertools import count

import msgspec
import pytest
from market_desk import BTC, Market
from twin import Twin

from exchange.client.book_mirror import BookMirror
from exchange.config import load_config
from exchange.gateway.feed import (
    BookDelta,
    BookSnapshot,
    QueuedOrder,
    Trade,
)
from exchange.protocol.messages import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    Command,
    Deposit,
    FundChanged,
    FundingSettled,
    LiquidationStarted,
    MarkChanged,
    PlaceOrder,
    SetMark,
)
from exchange.protocol.records import decode_events, encode_commands
from exchange.protocol.schema import SelfTradePrevention, Side
from exchange.protocol.views import LevelView

CLIENT_ORDER_IDS = count(1)


def random_commands(rng: random.Random, how_many: int) -> list[Command]:
    """Orders of four accounts around the mark: self-trades of every kind, amends, cancels, liquidations."""
    commands: list[Command] = []
    for _ in range(how_many):
        account, newest = rng.randint(1, 4), next(CLIENT_ORDER_IDS)
        about = {"account": account, "client_order_id": max(1, newest - rng.randint(0, 30))}
        price = 600_000 + rng.randint(-40, 40)
        kind = rng.random()
        if kind < 0.7:
            order = PlaceOrder(
                account=account,
                client_order_id=newest,
                symbol=1,
                side=rng.randint(0, 1),
                order_type=int(rng.random() < 0.1),
                time_in_force=rng.choice([0, 0, 0, 1, 2]),
                self_trade=rng.choice(list(SelfTradePrevention)),
                flags=rng.choice([0, 0, 0, 1, 2]),
                price_ticks=price,
                qty_lots=rng.randint(1, 40),
            )
            if order.order_type == 1:
                order = msgspec.structs.replace(order, price_ticks=0, time_in_force=1, flags=0)
            commands.append(order)
        elif kind < 0.85:
            commands.append(
                AmendOrder(**about, price_ticks=rng.choice([0, price]), qty_lots=rng.randint(0, 40))
            )
        elif kind < 0.95:
            commands.append(CancelOrder(**about))
        elif kind < 0.97:
            commands.append(CancelAll(account=account, symbol=1))
        else:
            commands.append(SetMark(symbol=1, price_ticks=600_000 + rng.randint(-40_000, 40_000)))
    return commands


@pytest.mark.parametrize("seed", range(4))
def test_deltas_add_up_to_the_engines_book(seed: int) -> None:
    rng = random.Random(seed)
    market, mirror = Market(), BookMirror(1)
    market.apply(*(Deposit(account=account, amount_atoms=100 * 10**8) for account in range(1, 5)))
    mirror.load(market.publisher.snapshot(1))
    kinds, wanted = set(), {Trade, BookDelta, MarkChanged, LiquidationStarted}
    for step in range(3000):
        if step >= 600 and wanted <= kinds:
            break
        for update in market.apply(*random_commands(rng, rng.randint(1, 6))):
            kinds.add(type(update))
            if isinstance(update, BookDelta):
                mirror.apply(update)
        book = market.engine.book(1)
        assert (mirror.bids, mirror.asks) == (book.bids, book.asks)
    assert mirror.gaps == 0
    assert wanted <= kinds
    snapshot = market.publisher.snapshot(1, depth=2)
    assert (snapshot.sequence, snapshot.bids, snapshot.asks) == (
        mirror.sequence,
        book.bids[:2],
        book.asks[:2],
    )


def test_a_publisher_that_starts_from_a_recovered_engine_goes_on() -> None:
    market, rng = Market(), random.Random(9)
    market.apply(*(Deposit(account=account, amount_atoms=10**14) for account in range(1, 5)))
    market.apply(*random_commands(rng, 200))
    late = Twin(epoch=2)
    late.load(market.engine, market.engine.sequence)
    market.publisher = late
    market.apply(*random_commands(rng, 200))
    snapshot, book = late.snapshot(1), market.engine.book(1)
    assert (snapshot.bids, snapshot.asks) == (book.bids, book.asks)
    assert snapshot.engine_sequence == market.engine.sequence


# -------------------------------------------------------------------------------------------- the mirror


def level(price_ticks: int, qty_lots: int = 1) -> LevelView:
    return LevelView(price_ticks, qty_lots, int(qty_lots > 0))


def delta(sequence: int, *bids: LevelView, epoch: int = 1) -> BookDelta:
    return BookDelta(
        symbol=1,
        epoch=epoch,
        sequence=sequence,
        engine_sequence=0,
        timestamp_ns=0,
        bids=list(bids),
        asks=[],
    )


def snapshot_at(sequence: int, *bids: LevelView, epoch: int = 1) -> BookSnapshot:
    return BookSnapshot(
        symbol=1, epoch=epoch, sequence=sequence, engine_sequence=0, bids=list(bids), asks=[]
    )


def test_deltas_that_came_before_the_snapshot_are_put_behind_it() -> None:
    mirror = BookMirror(1)
    for sequence in (4, 5, 6):
        mirror.apply(delta(sequence, level(sequence)))
    mirror.load(snapshot_at(5, level(4), level(5)))
    assert not mirror.needs_snapshot
    assert [bid.price_ticks for bid in mirror.bids] == [6, 5, 4]


def test_a_missing_delta_is_noticed_and_mended_by_a_snapshot() -> None:
    mirror = BookMirror(1)
    mirror.load(snapshot_at(1, level(10)))
    mirror.apply(delta(3, level(12)))
    assert (mirror.needs_snapshot, mirror.gaps) == (True, 1)
    mirror.load(snapshot_at(3, level(10), level(11), level(12)))
    mirror.apply(delta(4, level(10, 0)))
    assert not mirror.needs_snapshot
    assert [bid.price_ticks for bid in mirror.bids] == [12, 11]


def test_a_snapshot_that_is_too_old_leaves_the_mirror_waiting() -> None:
    mirror = BookMirror(1)
    mirror.apply(delta(7, level(12)))
    mirror.load(snapshot_at(5))
    assert mirror.needs_snapshot


def test_old_deltas_and_repeated_markers_change_nothing() -> None:
    mirror = BookMirror(1)
    mirror.load(snapshot_at(5, level(10)))
    mirror.apply(delta(4, level(99)))
    mirror.apply(delta(5))
    assert not mirror.needs_snapshot
    assert [bid.price_ticks for bid in mirror.bids] == [10]


def test_a_marker_ahead_of_the_mirror_shows_the_gap() -> None:
    mirror = BookMirror(1)
    mirror.load(snapshot_at(5, level(10)))
    mirror.apply(delta(6))
    assert mirror.needs_snapshot


def test_another_epoch_starts_over_whatever_its_sequence() -> None:
    mirror = BookMirror(1)
    mirror.load(snapshot_at(5, level(10)))
    mirror.apply(delta(6, level(11), epoch=2))
    assert mirror.needs_snapshot


def test_a_delta_of_another_symbol_is_not_ours() -> None:
    mirror = BookMirror(2)
    mirror.load(msgspec.structs.replace(snapshot_at(5), symbol=2))
    mirror.apply(delta(9))
    assert not mirror.needs_snapshot


# ------------------------------------------------------------------------------------------- over sockets


def test_a_mirror_joins_a_busy_book_and_equals_the_engines(node) -> None:
    trader = node.client(7)
    trader.deposit(1_000_000)
    rng = random.Random(3)

    def trade() -> None:
        orders = []
        for _ in range(50):
            side = rng.choice(list(Side))
            price = 60_000 + rng.randint(1, 30) * (1 if side == Side.SELL else -1)
            orders.append(trader.limit_order(BTC, side, "0.001", price, self_trade="cancel_maker"))
        trader.place_many(orders)
        trader.cancel(trader.open_orders()[0].order_id)

    trade()
    with trader.book_mirror(BTC) as live:
        for _ in range(10):
            trade()
            live.update()
        target = trader.book(BTC)
        while live.mirror.sequence < target.sequence:
            assert live.update(5)
        assert (live.mirror.bids, live.mirror.asks) == (target.bids, target.asks)
        assert live.mirror.gaps == 0


def test_a_lost_delta_is_mended_without_being_asked(node, monkeypatch: pytest.MonkeyPatch) -> None:
    trader = node.client(7)
    trader.deposit(100_000)
    with trader.book_mirror(BTC) as live:
        take, dropped = live.mirror.apply, []

        def lossy(update: BookDelta) -> None:
            if update.bids and not dropped:
                dropped.append(update)
            else:
                take(update)

        monkeypatch.setattr(live.mirror, "apply", lossy)
        trader.limit(BTC, "buy", "0.001", "59000")
        trader.limit(BTC, "buy", "0.002", "59001")
        for _ in range(2):  # the one that is dropped may come alone
            if live.mirror.sequence < 2:
                live.update(5)
        assert [bid.price_ticks for bid in live.mirror.bids] == [590_010, 590_000]
        assert (live.mirror.gaps, len(dropped)) == (1, 1)


def test_a_mirror_survives_a_restart_of_the_node(start_node, config) -> None:
    first = start_node()
    endpoints = msgspec.structs.replace(
        config.endpoints, orders=first.orders, market_data=first.market_data, admin=first.admin
    )
    trader = first.client(7)
    trader.deposit(100_000)
    trader.limit(BTC, "buy", "0.001", "59000")
    live = trader.book_mirror(BTC)
    first._clients.clear()
    first.stop()
    second = start_node(endpoints=endpoints)
    second._clients.append(trader)
    trader.limit(BTC, "buy", "0.001", "59001")
    while len(live.mirror.bids) < 2:
        live.update(5)
    book = trader.book(BTC)
    assert (live.mirror.bids, live.mirror.epoch) == (book.bids, book.epoch)
    live.close()


def test_every_public_topic_has_its_messages(node) -> None:
    whale, victim, admin = node.client(7), node.client(8), node.admin_client()
    names = {"book": BTC, "trades": BTC, "mark": BTC, "funding": BTC}
    with whale.subscribe(**names, liquidations=True, funds=True) as feed:
        assert feed.poll(5), "the marker of the book says that the subscription is at work"
        whale.deposit(1_000_000)
        victim.deposit(1000)
        victim.set_leverage(BTC, 100)
        whale.limit(BTC, "sell", "1", "60000")
        victim.market(BTC, "buy", "1")
        whale.limit(BTC, "buy", "2", "59500")
        admin.settle_funding(BTC, "0.001")
        admin.deposit_fund(0, 1)
        admin.set_mark(BTC, 59_000)
        updates: list[object] = []
        wanted = {BookDelta, Trade, MarkChanged, FundingSettled, FundChanged, LiquidationStarted}
        while not wanted <= {type(update) for update in updates}:
            more = feed.poll(5)
            assert more, f"missing {wanted - {type(update) for update in updates}}"
            updates += more
    trades = [update for update in updates if isinstance(update, Trade)]
    assert (trades[0].side, trades[0].price_ticks, trades[0].qty_lots) == (Side.BUY, 600_000, 1000)
    assert [trade.liquidation for trade in trades] == [False, True]


def test_a_topic_that_only_begins_alike_is_not_delivered(node) -> None:
    admin, client = node.admin_client(), node.client(7)
    listing = load_config().symbols[0]
    longer = msgspec.structs.replace(
        listing, symbol=2, name="BTC-PERP2", exposure_limit=None
    ).to_command()
    admin.list_symbol(longer)
    with client.subscribe(mark=BTC, book=BTC) as feed:
        updates = feed.poll(5)
        admin.set_mark("BTC-PERP2", 5)
        admin.set_mark(BTC, 60_001)
        while not any(getattr(update, "price_ticks", 0) == 600_010 for update in updates):
            more = feed.poll(5)
            assert more
            updates += more
    assert {update.symbol for update in updates} == {1}


def test_events_that_the_publisher_reads_are_the_tables() -> None:
    """The readers step over fields by the table: a rested order read both ways is the same."""
    market = Market()
    market.apply(Deposit(account=1, amount_atoms=10**13))
    batch = market.sequencer.stamp(
        encode_commands([PlaceOrder(account=1, symbol=1, side=1, price_ticks=600_000, qty_lots=7)]),
        1,
    )
    events = market.engine.apply(batch.commands)
    (rested,) = decode_events(events)[1:]
    market.publisher.publications(batch, events)
    snapshot = market.publisher.orders_snapshot(1)
    assert snapshot.asks == [QueuedOrder(rested.order_id, rested.price_ticks, rested.open_lots)]


def test_a_copy_of_the_orders_over_sockets(node) -> None:
    trader = node.client(7)
    trader.deposit(1_000_000)
    first = trader.limit(BTC, "buy", "0.001", "59000")
    with trader.order_mirror(BTC) as live:
        second = trader.limit(BTC, "buy", "0.002", "59000")
        trader.amend(BTC, first.order_id, quantity="0.003")
        target = trader.book_orders(BTC)
        while live.mirror.sequence < target.sequence:
            assert live.update(5)
        assert (live.mirror.bids, live.mirror.asks) == (target.bids, target.asks)
        assert [order.order_id for order in live.mirror.bids] == [second.order_id, first.order_id]
        assert live.mirror.gaps == 0
    statistics = trader.statistics(BTC)
    assert (statistics.mark_ticks, statistics.trade_count) == (600_000, 0)


def test_the_last_day_goes_on_over_a_restart(start_node) -> None:
    first = start_node()
    maker, taker = first.client(7), first.client(8)
    for client in (maker, taker):
        client.deposit(100_000)
    maker.limit(BTC, "buy", "0.005", "59000")
    taker.market(BTC, "sell", "0.002")
    before = taker.statistics(BTC)
    first.node.take_snapshot = lambda: ""  # it dies without one: the journal has the trades
    first.stop()
    after = start_node().client(9).statistics(BTC)
    assert after.epoch > before.epoch
    names = ("open_ticks", "last_ticks", "volume_lots", "turnover_atoms", "open_interest_lots")
    assert [getattr(after, n) for n in names] == [getattr(before, n) for n in names]
    assert (after.volume_lots, after.open_interest_lots) == (2, 2)


def test_a_subscription_counts_what_it_lost(node) -> None:
    admin, client = node.admin_client(), node.client(7)
    with client.subscribe(mark=BTC, book=BTC) as feed:
        assert feed.poll(5)
        for price, lost in ((60_001, 0), (60_002, 3)):
            admin.set_mark(BTC, price)
            assert feed.poll(5)
            assert feed.lost == lost
            for dropped in (59_001, 59_002, 59_003):
                admin.set_mark(BTC, dropped)
                topic, _ = feed._socket.recv_multipart()  # as if it had not come
                assert topic == b"mark.BTC-PERP"
