"""What the public hears of a book order by order, of its top, its statistics and its auctions."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
from market_desk import BTC, Market, changes_of, one_symbol, place

from exchange.client.market_data import decode_update
from exchange.gateway.feed import NOBODY, OrdersDelta, Statistics, TopOfBook, Trade
from exchange.gateway.publisher import Publication
from exchange.protocol.messages import (
    AdvanceTime,
    AmendOrder,
    AuctionIndicated,
    AuctionUncrossed,
    CancelAll,
    CancelOrder,
    Command,
    Deposit,
    SetMark,
    SetSymbolState,
    SymbolStateChanged,
)
from exchange.protocol.schema import Side, SymbolState
from exchange.protocol.views import LevelView


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


# ---------------------------------------------------------------------------------- icebergs and auctions


def integers_of(published: list[Publication]) -> set[int]:
    """Every whole number that stands anywhere in these payloads, events included."""
    found: set[int] = set()

    def look(value: object) -> None:
        if isinstance(value, dict):
            look(list(value.values()))
        elif isinstance(value, list):
            for item in value:
                look(item)
        elif isinstance(value, int):
            found.add(value)

    for _, payload in published:
        look(msgspec.msgpack.decode(payload))
    return found


def test_an_iceberg_shows_its_slices_and_never_what_it_hides() -> None:
    market, mirror = one_symbol()
    heard: list[Publication] = []

    def apply(command: Command) -> list[tuple[str, int, int, int]]:
        published = market.published(command)
        heard.extend(published)
        updates = [decode_update(*publication) for publication in published]
        for update in updates:
            if isinstance(update, OrdersDelta):
                mirror.apply(update)
        return changes_of(updates)

    price = 600_000
    # 7,919 lots, 200 shown at a time; behind it an order that shows all of its 100.
    assert apply(place(1, Side.SELL, price, 7_919, display_lots=200)) == [("ADDED", 1, price, 200)]
    assert apply(place(2, Side.SELL, price, 100)) == [("ADDED", 2, price, 100)]
    assert market.publisher.snapshot(1).asks == [LevelView(price, 300, 2)]
    assert apply(place(3, Side.BUY, price, 350)) == [
        ("FILLED", 1, price, 0),
        ("ADDED", 1, price, 200),  # the next slice, behind order 2
        ("FILLED", 2, price, 0),
        ("FILLED", 1, price, 150),
    ]
    assert [(order.order_id, order.qty_lots) for order in mirror.asks] == [(1, 150)]
    smaller = AmendOrder(account=1, order_id=1, qty_lots=250 + 100)  # 250 are filled: 100 left
    assert apply(smaller) == [("REDUCED", 1, price, 100)]
    assert apply(CancelOrder(account=1, order_id=1)) == [("REMOVED", 1, price, 0)]
    hidden = {7_919, 7_919 - 200, 7_919 - 250}
    assert not integers_of(heard) & hidden


def test_an_iceberg_is_shown_by_its_slice_after_a_restart() -> None:
    market, _ = one_symbol()
    market.apply(place(1, Side.SELL, 600_000, 900, display_lots=200))
    market.apply(place(2, Side.BUY, 600_000, 50))
    before = market.publisher.orders_snapshot(1)
    market.start_anew()
    after = market.publisher.orders_snapshot(1)
    assert (after.bids, after.asks) == (before.bids, before.asks)
    assert [order.qty_lots for order in after.asks] == [150]


def test_a_new_subscriber_hears_the_state_that_was_before_the_node_started() -> None:
    market, _ = one_symbol()
    (state,) = market.publisher.join_marker(f"state.{BTC}".encode())
    assert decode_update(*state).state == SymbolState.OPEN
    market.apply(SetSymbolState(symbol=1, state=SymbolState.HALTED))
    for _ in range(2):  # as it was told, and as it is read from the engine's state
        (state,) = market.publisher.join_marker(f"state.{BTC}".encode())
        assert decode_update(*state).state == SymbolState.HALTED
        market.start_anew()


def test_an_auction_is_indicated_and_prints_nobodys_side() -> None:
    market, mirror = one_symbol()

    def apply(*commands: Command) -> list[object]:
        updates = market.apply(*commands)
        for update in updates:
            if isinstance(update, OrdersDelta):
                mirror.apply(update)
        return updates

    (state, *_) = apply(SetSymbolState(symbol=1, state=SymbolState.AUCTION))
    assert isinstance(state, SymbolStateChanged)
    apply(place(1, Side.BUY, 600_300, 5), place(2, Side.SELL, 599_900, 3))
    top = market.publisher.join_marker(f"top.{BTC}".encode())[0]
    assert decode_update(*top).bid.price_ticks == 600_300  # above the offer: nothing is matched yet
    (indicated, *_) = apply(AdvanceTime())
    assert isinstance(indicated, AuctionIndicated)
    # At every price from 599,900 to 600,300 three lots trade and two are left; the mark is 600,000.
    assert (indicated.price_ticks, indicated.qty_lots, indicated.imbalance_lots) == (600_000, 3, 2)
    late = market.publisher.join_marker(f"auction.{BTC}".encode())
    assert [decode_update(*publication) for publication in late] == [indicated]
    updates = apply(SetSymbolState(symbol=1, state=SymbolState.OPEN))
    (trade,) = (update for update in updates if isinstance(update, Trade))
    assert (trade.side, trade.auction, trade.price_ticks, trade.qty_lots) == (
        NOBODY,
        True,
        600_000,
        3,
    )
    assert any(isinstance(update, AuctionUncrossed) for update in updates)
    assert changes_of(updates) == [("FILLED", 1, 600_300, 2), ("FILLED", 2, 599_900, 0)]
    assert [(order.order_id, order.qty_lots) for order in mirror.bids] == [(1, 2)]
    assert mirror.asks == []
    statistics = market.publisher.statistics(1)
    assert (statistics.volume_lots, statistics.trade_count, statistics.open_interest_lots) == (
        3,
        1,
        3,
    )


def test_settlement_is_no_trade_and_leaves_no_open_interest() -> None:
    market, _ = one_symbol()
    market.apply(place(1, Side.BUY, 600_000, 5), place(2, Side.SELL, 600_000, 5))
    settle = SetSymbolState(symbol=1, state=SymbolState.SETTLED, price_ticks=601_000)
    updates = market.apply(settle)
    assert not [update for update in updates if isinstance(update, Trade)]
    (told,) = (update for update in updates if isinstance(update, Statistics))
    assert (told.open_interest_lots, told.mark_ticks, told.volume_lots) == (0, 601_000, 5)
