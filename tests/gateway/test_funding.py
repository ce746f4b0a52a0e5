"""A computed funding rate over sockets: what an operator sets, what everybody hears, and what a restart keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest

from exchange.client import AsyncAdminClient
from exchange.config import load_config
from exchange.gateway.feed import Statistics
from exchange.protocol.messages import FundingPolicySet, FundingRate, SetFundingPolicy
from exchange.risk import FundingPolicy, MarkPolicy

BTC = "BTC-PERP"
MS = 10**6
MOST_TURNS = 100_000  # each takes some time of the node's


def pass_time_until(operator, is_there: Callable[[], bool]) -> None:
    """Lets the engine look at the time until something is there."""
    for _ in range(MOST_TURNS):
        if is_there():
            return
        operator.advance_time()
    pytest.fail(f"it is not there after {MOST_TURNS} turns")


def next_time(trader) -> int:
    return trader.statistics(BTC).funding.next_funding_ns


def test_a_computed_rate_is_told_to_everybody(node) -> None:
    """FUNDING-02: policy and samples come on the topic of funding; rate and next time stand in the statistics."""
    operator, trader = node.admin_client(), node.client(7)
    trader.deposit(100_000)
    trader.limit(BTC, "buy", "1", "60600", post_only=True)
    with trader.subscribe(funding=BTC, book=BTC) as feed:
        assert feed.poll(5), "the marker of the book says that the subscription is at work"
        operator.set_mark_policy(BTC, max_feeds=0, max_age_ns=10**15)
        operator.set_price(BTC, 60_000)
        operator.set_funding_policy(BTC, interval_ns=10**13, sample_ns=10**7)
        updates: list[object] = []
        while FundingRate not in {type(update) for update in updates}:
            operator.advance_time()
            updates += feed.poll(0.05)
    (policy,) = (update for update in updates if isinstance(update, FundingPolicySet))
    rate = next(update for update in updates if isinstance(update, FundingRate))
    assert policy.next_funding_ns % 10**13 == 0
    assert (rate.sample_ppb, rate.premium_ppb, rate.rate_ppb) == (10_000_000, 10_000_000, 9_500_000)
    shown = trader.statistics(BTC).funding
    assert shown.samples >= rate.samples
    assert (shown.rate_ppb, shown.next_funding_ns) == (9_500_000, policy.next_funding_ns)
    operator.set_funding_policy(BTC, enabled=0)
    assert trader.statistics(BTC).funding is None


def test_an_interval_that_ends_is_settled_and_told(node) -> None:
    """FUNDING-02: behind a final rate the statistics begin anew."""
    operator, trader = node.admin_client(), node.client(7)
    operator.set_mark_policy(BTC, max_feeds=0, max_age_ns=10**15)
    operator.set_price(BTC, 60_000)
    operator.set_funding_policy(BTC, interval_ns=50 * MS, sample_ns=50 * MS)
    first = trader.statistics(BTC).funding
    pass_time_until(operator, lambda: next_time(trader) != first.next_funding_ns)
    again = trader.statistics(BTC).funding
    assert again.next_funding_ns % (50 * MS) == 0
    assert again.samples == 0


def test_a_funding_policy_is_the_operators(node) -> None:
    trader = node.client(7)
    said = "wrong_door: set_funding_policy is a command of the admin's door"
    with pytest.raises(Exception, match=said):
        trader.send(SetFundingPolicy(symbol=1))


def test_a_funding_policy_over_asyncio(node) -> None:
    async def talk() -> None:
        async with AsyncAdminClient(node.admin) as operator:
            await operator.set_mark_policy(BTC, max_feeds=1)
            await operator.set_funding_policy(BTC, interest_ppb=0)

    asyncio.run(talk())
    assert node.client(7).statistics(BTC).funding.interval_ns == 8 * 3600 * 10**9


def test_a_node_follows_the_policy_of_its_file_and_keeps_samples_over_a_restart(
    start_node, tmp_path
) -> None:
    config = load_config()
    symbol = msgspec.structs.replace(
        config.symbols[0],
        mark=MarkPolicy(max_feeds=0, max_age=Decimal(3600)),
        funding=FundingPolicy(interval=Decimal(100_000), sample=Decimal("0.01")),
    )
    changes = {"symbols": (symbol,), "data": tmp_path / "data"}
    first = start_node(**changes)
    operator = first.admin_client()
    operator.set_price(BTC, 60_000)
    trader = first.client(7)
    pass_time_until(operator, lambda: trader.statistics(BTC).funding.samples > 0)
    before: Statistics = trader.statistics(BTC)
    first.stop()
    after = start_node(**changes).client(7).statistics(BTC)
    assert after.funding == before.funding
