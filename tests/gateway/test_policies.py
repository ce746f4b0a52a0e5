"""What the operator changes while a venue runs, through both clients."""

from __future__ import annotations

import asyncio

import pytest

from exchange.client import AsyncAdminClient, AsyncClient
from exchange.errors import Rejected, UnitsError
from exchange.protocol import messages as m

BTC = "BTC-PERP"


def test_brackets_change_through_both_clients(node) -> None:
    operator = node.admin_client()
    result = operator.set_brackets(BTC, "0.05", [[0, "0.005"], [50_000, "0.01", "0.02"]])
    (changed,) = (event for event in result.events if isinstance(event, m.BracketsChanged))
    assert changed.initial_margin_ppm == 50_000
    assert changed.brackets == ((0, 5_000, 5_000), (5 * 10**12, 10_000, 20_000))

    async def story() -> None:
        async with AsyncAdminClient(node.admin) as again:
            told = await again.set_brackets(BTC, "0.1", [[0, "0.02"]])
            assert told.events[-1].brackets == ((0, 20_000, 20_000),)

    asyncio.run(story())


def test_levels_are_set_through_both_clients_and_warnings_come_to_their_account(node) -> None:
    """Long 0.1 at 60,000 on 330 less a fee of 3: at 57,000 22.8 (0.4 %) is 84 % of an equity of 27."""
    operator = node.admin_client()

    async def story() -> None:
        async with AsyncAdminClient(node.admin) as again:
            told = await again.set_margin_warnings(["0.5", "0.7", "0.8"])
            assert told.events[-1].third_level_ppm == 800_000

    asyncio.run(story())
    told = operator.set_margin_warnings()
    assert told.events[-1] == m.MarginWarningsSet(sequence=told.sequence)
    seller, buyer = node.client(8), node.client(7)
    seller.deposit(100_000)
    buyer.deposit(330)
    seller.limit(BTC, "sell", "0.1", 60_000)
    buyer.limit(BTC, "buy", "0.1", 60_000)
    operator.set_mark(BTC, 57_000)
    (warning,) = (e for e in buyer.events(0.3) if isinstance(e, m.MarginWarning))
    assert (warning.account, warning.symbol, warning.level_ppm) == (7, 0, 800_000)
    assert not [e for e in seller.events(0.1) if isinstance(e, m.MarginWarning)]
    with pytest.raises(Rejected, match="invalid_policy"):
        operator.set_margin_warnings(["0.9", "0.8"])
    with pytest.raises(UnitsError, match="at most 4 warning levels, came 5"):
        operator.set_margin_warnings(["0.1", "0.2", "0.3", "0.4", "0.5"])


def test_margin_is_added_through_both_clients(node) -> None:
    """Long 0.1 isolated at 60,000 on 300; at 57,000 nothing of it is left, and 285 lift it to its initial margin."""
    operator = node.admin_client()
    seller, buyer = node.client(8), node.client(7)
    seller.deposit(100_000)
    buyer.deposit(1_000)
    buyer.set_margin_mode(BTC, "isolated")

    async def story() -> None:
        async with AsyncClient(node.orders, account=7) as again:
            told = await again.set_auto_margin(BTC)
            assert told.events[-1].enabled == 1

    asyncio.run(story())
    assert buyer.set_auto_margin(BTC, False).events[-1].enabled == 0
    buyer.set_auto_margin(BTC)
    seller.limit(BTC, "sell", "0.1", 60_000)
    buyer.limit(BTC, "buy", "0.1", 60_000)
    operator.set_mark(BTC, 57_000)
    (position,) = buyer.positions()
    assert position.auto_margin
    assert position.margin_atoms == 585 * 10**8
    assert position.equity_atoms == position.initial_margin_atoms == 285 * 10**8


def test_caps_are_set_through_both_clients(node) -> None:
    operator = node.admin_client()
    trader = node.client(7)
    trader.deposit(1_000_000)
    operator.set_risk_limits(BTC, position_limit=6_000, margin_scaling=(1, 2))
    trader.limit(BTC, "buy", "0.1", 60_000)
    with pytest.raises(Rejected, match="position_limit"):
        trader.limit(BTC, "buy", "0.001", 60_000)

    async def story() -> None:
        async with AsyncAdminClient(node.admin) as again:
            told = await again.set_risk_limits(BTC, open_interest_limit="0.5")
            assert told.events[-1].open_interest_limit_atoms == 5 * 10**7
            assert told.events[-1].position_limit_atoms == -1

    asyncio.run(story())
    with pytest.raises(Rejected, match="open_interest_limit"):
        trader.limit(BTC, "buy", "0.001", 60_000)


def test_caps_of_funds_are_set_through_both_clients(node) -> None:
    operator = node.admin_client()
    set_event = operator.set_fund_policy(BTC, cap=100, window_s="0.5", window_cap=20).events[-1]
    assert (set_event.cap_atoms, set_event.second_cap_atoms) == (10**10, 0)
    assert (set_event.window_ns, set_event.window_cap_atoms) == (5 * 10**8, 2 * 10**9)

    async def story() -> None:
        async with AsyncAdminClient(node.admin) as again:
            told = await again.set_fund_policy(BTC, second_fund=3)
            assert told.events[-1].second_fund == 3
            assert told.events[-1].second_cap_atoms == -1
            with pytest.raises(Rejected, match="invalid_second_fund"):
                await again.set_fund_policy(BTC, second_cap=5)

    asyncio.run(story())
    with pytest.raises(UnitsError, match="window_s 1E-10 is not a whole number of nanoseconds"):
        operator.set_fund_policy(BTC, window_s="1E-10", window_cap=20)
