"""Market data is made of events alone and adds up to the engine's book; a mirror never stays wrong."""

from __future__ import annotations

import json
import random
from itertools import count
from pathlib import Path

import msgspec
import pytest

from exchange.bootstrap import missing_commands
from exchange.client.book_mirror import BookMirror
from exchange.client.market_data import decode_update
from exchange.client.order_mirror import OrderMirror
from exchange.config import load_config
from exchange.engine import Engine, create_engine
from exchange.gateway.feed import (
    BookDelta,
    BookSnapshot,
    OrderAction,
    OrdersDelta,
    QueuedOrder,
    Statistics,
    TopOfBook,
    Trade,
)
from exchange.gateway.publisher import Publication, Publisher
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
from exchange.sequencer import Sequencer

BTC = "BTC-PERP"


class Market:
    """An engine, and a publisher that sees only its events."""

    def __init__(self) -> None:
        self.engine: Engine = create_engine("native")
        self.publisher = Publisher(epoch=1)
        self.sequencer = Sequencer(clock=lambda: 1)
        self.apply(*missing_commands(load_config(), self.engine).commands)

    def published(self, *commands: Command) -> list[Publication]:
        batch = self.sequencer.stamp(encode_commands(commands), len(commands))
        return self.publisher.publications(batch, self.engine.apply(batch.commands))

    def apply(self, *commands: Command) -> list[object]:
        return [decode_update(topic, payload) for topic, payload in self.published(*commands)]


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
    late = Publisher(epoch=2)
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
        while live.mirror.sequence < 2:
            assert live.update(5)
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
        assert feed.poll(5)
        admin.set_mark("BTC-PERP2", 5)
        admin.set_mark(BTC, 60_001)
        (update,) = feed.poll(5)
        assert isinstance(update, MarkChanged)
        assert update.symbol == 1


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


# ---------------------------------------------------------------------- order by order, and what changed


def one_symbol() -> tuple[Market, OrderMirror]:
    """A market with money in it, and a subscriber's copy of its orders."""
    market, mirror = Market(), OrderMirror(1)
    market.apply(*(Deposit(account=account, amount_atoms=10**14) for account in (1, 2, 3)))
    mirror.load(market.publisher.orders_snapshot(1))
    return market, mirror


def place(account: int, side: Side, price_ticks: int, qty_lots: int, **more: int) -> PlaceOrder:
    return PlaceOrder(
        account=account,
        symbol=1,
        side=side,
        price_ticks=price_ticks,
        qty_lots=qty_lots,
        self_trade=SelfTradePrevention.DECREMENT,
        **more,
    )


def changes_of(updates: list[object]) -> list[tuple[str, int, int, int]]:
    """Action, order id, price and what the order shows afterwards."""
    (delta,) = (update for update in updates if isinstance(update, OrdersDelta))
    return [
        (OrderAction(c.action).name, c.order_id, c.price_ticks, c.qty_lots) for c in delta.changes
    ]


def test_what_happens_to_orders_has_a_name_each() -> None:
    market, mirror = one_symbol()

    def apply(command: Command) -> list[tuple[str, int, int, int]]:
        updates = market.apply(command)
        for update in updates:
            if isinstance(update, OrdersDelta):
                mirror.apply(update)
        return changes_of(updates)

    buy, sell = Side.BUY, Side.SELL
    assert apply(place(1, buy, 599_000, 5)) == [("ADDED", 1, 599_000, 5)]
    assert apply(place(2, buy, 599_000, 4)) == [("ADDED", 2, 599_000, 4)]
    smaller = AmendOrder(account=1, order_id=1, qty_lots=3)
    assert apply(smaller) == [("REDUCED", 1, 599_000, 3)]
    assert mirror.lots_before(2) == 3
    larger = AmendOrder(account=1, order_id=1, qty_lots=6)
    assert apply(larger) == [("REPLACED", 1, 599_000, 6)]  # behind order 2
    assert mirror.lots_before(1) == 4
    dearer = AmendOrder(account=1, order_id=1, price_ticks=599_100)
    assert apply(dearer) == [("REPLACED", 1, 599_100, 6)]
    own = place(1, sell, 599_100, 2)  # meets its own bid: both lose 2, nothing trades
    assert apply(own) == [("REDUCED", 1, 599_100, 4)]
    taker = place(3, sell, 599_000, 5)
    assert apply(taker) == [("FILLED", 1, 599_100, 0), ("FILLED", 2, 599_000, 3)]
    assert apply(place(3, sell, 600_000, 2)) == [("ADDED", 5, 600_000, 2)]
    crossing = AmendOrder(account=3, order_id=5, price_ticks=599_000, qty_lots=9)
    assert apply(crossing) == [  # it leaves, trades, and rests with what is left
        ("REMOVED", 5, 600_000, 0),
        ("FILLED", 2, 599_000, 0),
        ("ADDED", 5, 599_000, 6),
    ]
    assert apply(CancelOrder(account=3, order_id=5)) == [("REMOVED", 5, 599_000, 0)]
    assert mirror.bids == mirror.asks == []


def test_a_fill_of_a_resting_order_names_its_trade() -> None:
    market, _ = one_symbol()
    market.apply(place(1, Side.BUY, 599_000, 5))
    updates = market.apply(place(2, Side.SELL, 599_000, 2))
    (trade,) = (update for update in updates if isinstance(update, Trade))
    (delta,) = (update for update in updates if isinstance(update, OrdersDelta))
    (change,) = delta.changes
    assert (change.order_id, change.fill_lots, change.qty_lots) == (1, 2, 3)
    assert change.trade_id == trade.trade_id
    assert (trade.side, trade.auction, trade.liquidation) == (Side.SELL, False, False)


def test_the_top_is_told_when_it_changes_and_only_then() -> None:
    market, _ = one_symbol()

    def tops(command: Command) -> list[TopOfBook]:
        return [update for update in market.apply(command) if isinstance(update, TopOfBook)]

    (first,) = tops(place(1, Side.BUY, 599_000, 5))
    assert (first.bid, first.ask) == (LevelView(599_000, 5, 1), None)
    assert tops(place(1, Side.BUY, 598_000, 5)) == []
    (second,) = tops(place(2, Side.SELL, 600_100, 1))
    assert (second.bid, second.ask) == (LevelView(599_000, 5, 1), LevelView(600_100, 1, 1))
    assert second.sequence == first.sequence + 1
    (third,) = tops(CancelAll(account=1, symbol=1))
    assert third.bid is None


def test_a_new_subscriber_hears_the_present_state_first() -> None:
    market, _ = one_symbol()
    market.apply(place(1, Side.BUY, 599_000, 5), SetMark(symbol=1, price_ticks=600_001))
    heard = {
        kind: [
            decode_update(*publication)
            for publication in market.publisher.join_marker(f"{kind}.{BTC}".encode())
        ]
        for kind in ("top", "book", "orders", "statistics", "mark", "trades")
    }
    (top,), (book,), (orders,) = heard["top"], heard["book"], heard["orders"]
    assert top.bid == LevelView(599_000, 5, 1)
    assert (book.bids, book.asks, orders.changes) == ([], [], [])
    assert book.sequence == market.publisher.snapshot(1).sequence == 1
    assert orders.sequence == market.publisher.orders_snapshot(1).sequence == 1
    assert [update.mark_ticks for update in heard["statistics"]] == [600_001]
    assert heard["mark"] == []  # the statistics tell it
    assert heard["trades"] == []
    assert market.publisher.join_marker(b"top.OTHER") == []


def test_statistics_are_told_with_the_trades_that_change_them() -> None:
    market, _ = one_symbol()
    market.apply(place(1, Side.BUY, 599_000, 5))
    updates = market.apply(place(2, Side.SELL, 599_000, 2), place(2, Side.SELL, 598_000, 1))
    (told,) = (update for update in updates if isinstance(update, Statistics))
    assert (told.volume_lots, told.trade_count, told.last_ticks) == (3, 2, 599_000)
    assert (told.open_interest_lots, told.mark_ticks) == (3, 600_000)
    (symbol,) = market.engine.symbols()
    assert told.turnover_atoms == 3 * 599_000 * symbol.atoms_per_tick_lot
    assert market.publisher.statistics(1) == told


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
        admin.set_mark(BTC, 60_001)
        assert feed.poll(5)
        node.node.publisher._sequences[b"mark.BTC-PERP"] += 3  # as if three had been dropped
        admin.set_mark(BTC, 60_002)
        assert feed.poll(5)
        assert feed.lost == 3


PAGE = Path(__file__).parents[2] / "docs" / "reference" / "market-data.md"


def test_the_listing_on_the_page_is_what_is_published() -> None:
    market = Market()
    market.apply(*(Deposit(account=account, amount_atoms=10**13) for account in (7, 8)))
    told: list[str] = []
    for command in (
        place(7, Side.BUY, 599_900, 5),
        place(8, Side.BUY, 599_900, 3),
        AmendOrder(account=7, order_id=1, qty_lots=8),
        msgspec.structs.replace(place(8, Side.SELL, 599_900, 4), self_trade=1),
    ):
        for topic, payload in market.published(command):
            message = msgspec.msgpack.decode(payload)
            for left_out in ("epoch", "engine_sequence", "timestamp_ns"):
                del message[left_out]
            if told:
                del message["symbol"]
            told.append(f"{topic.partition(b'.')[0].decode():<11} {json.dumps(message)}")
    block = PAGE.read_text().split("```")[-2]
    assert [line for line in block.splitlines() if line] == told
