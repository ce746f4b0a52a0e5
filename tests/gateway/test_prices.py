"""Prices from outside over sockets: what an operator sends, what everybody hears, and what a node makes of its file."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import msgspec
import pytest

from exchange.client import AsyncAdminClient
from exchange.config import load_config
from exchange.errors import Rejected
from exchange.gateway.feed import Statistics
from exchange.protocol.messages import (
    MarkChanged,
    MarkHoldChanged,
    MarkPolicySet,
    PriceSet,
    SetPrice,
)
from exchange.protocol.views import PriceView
from exchange.risk import MarkPolicy

BTC = "BTC-PERP"


def test_a_composite_mark_is_told_to_everybody(node) -> None:
    """MARK-02, MARK-03: policy, prices, hold and mark come on the topic of marks, and stand in the statistics."""
    operator, trader = node.admin_client(), node.client(7)
    trader.deposit(10_000)
    with trader.subscribe(mark=BTC, book=BTC, statistics=BTC) as feed:
        assert feed.poll(5), "the marker of the book says that the subscription is at work"
        operator.set_mark_policy(BTC, max_feeds=2)
        operator.set_price(BTC, 60_100)
        with pytest.raises(Rejected, match="mark_held"):
            trader.limit(BTC, "buy", "0.001", "60000")
        assert trader.statistics(BTC).mark_held
        operator.set_price(BTC, 60_300, source=2)
        updates: list[object] = []
        while MarkChanged not in {type(update) for update in updates}:
            more = feed.poll(5)
            assert more, updates
            updates += [update for update in more if not isinstance(update, Statistics)]
    told = [
        update
        for update in updates
        if isinstance(update, MarkPolicySet | PriceSet | MarkHoldChanged | MarkChanged)
    ]
    assert [type(update) for update in told] == [
        *(MarkPolicySet, PriceSet, MarkHoldChanged),
        *(PriceSet, MarkHoldChanged, MarkChanged),
    ]
    assert told[-1].price_ticks == 602_000
    statistics = trader.statistics(BTC)
    assert (statistics.mark_ticks, statistics.mark_held) == (602_000, False)
    assert [price[:2] for price in map(msgspec.structs.astuple, statistics.prices)] == [
        (0, 601_000),
        (2, 603_000),
    ]
    operator.set_mark_policy(BTC, enabled=0)
    assert trader.statistics(BTC).prices == []
    operator.set_mark(BTC, 60_000)


def test_prices_are_the_operators(node) -> None:
    trader = node.client(7)
    with pytest.raises(Exception, match="wrong_door: set_price is a command of the admin's door"):
        trader.send(SetPrice(symbol=1, price_ticks=1))


def test_prices_over_asyncio(node) -> None:
    async def talk() -> None:
        async with AsyncAdminClient(node.admin) as operator:
            await operator.set_mark_policy(BTC, max_feeds=1)
            await operator.set_price(BTC, 60_000)
            await operator.set_price(BTC, 60_002, source=1)

    asyncio.run(talk())
    assert node.client(7).statistics(BTC).mark_ticks == 600_010


def test_a_node_follows_the_policy_of_its_file_and_keeps_prices_over_a_restart(
    start_node, tmp_path
) -> None:
    """MARK-02: the policy of a symbol comes after its first mark; a restart knows the prices that came."""
    config = load_config()
    symbol = msgspec.structs.replace(
        config.symbols[0], mark=MarkPolicy(max_feeds=1, max_age=Decimal(3600))
    )
    changes = {"symbols": (symbol,), "data": tmp_path / "data"}
    first = start_node(**changes)
    operator = first.admin_client()
    with pytest.raises(Rejected, match="mark_is_composite"):
        operator.set_mark(BTC, 59_000)
    operator.set_price(BTC, 60_000)
    operator.set_price(BTC, 60_010, source=1)
    before = first.client(7).statistics(BTC)
    first.stop()
    after = start_node(**changes).client(7).statistics(BTC)
    assert (after.mark_ticks, after.prices) == (600_050, before.prices)
    assert [type(price) for price in after.prices] == [PriceView, PriceView]
