"""Previews over ZeroMQ: both clients, both doors, and what is refused."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import msgspec
import pytest

from exchange.cli import main
from exchange.client import AsyncClient, RequestRefused
from exchange.client.results import OrderResult
from exchange.protocol.messages import DepositFund
from exchange.protocol.preview import Assumption
from exchange.protocol.schema import RejectReason
from exchange.risk import load_policy

LISTING = {
    "symbols": {
        "TEST": {
            "symbol": 77,
            "tick": Decimal("0.5"),
            "lot": Decimal("0.001"),
            "leverage": Decimal(10),
            "brackets": [[Decimal(0), Decimal("0.05")]],
            "taker_fee": Decimal("0.001"),
        }
    }
}


@pytest.fixture
def market(node):
    """A mark of 100, somebody who offers 2 there, and a trader with 1,000."""
    admin = node.admin_client()
    (policy,) = load_policy(LISTING)
    admin.list_symbol(policy.to_command())
    admin.set_mark("TEST", 100)
    seller, trader = node.client(1), node.client(2)
    seller.deposit(1_000)
    trader.deposit(1_000)
    seller.limit("TEST", "sell", 2, 100)
    return node, admin, trader


def test_a_trader_asks_and_then_does_it(market) -> None:
    _, _, trader = market
    order = trader.limit_order("TEST", "buy", 3, 100)
    told = trader.preview([order])
    assert trader.account().open_orders == 0 and trader.fills() == []
    result = trader.place(order)
    assert isinstance(result, OrderResult)
    (step,) = told.steps
    assert (step.order_id, step.filled_lots) == (result.order_id, result.filled_lots)
    assert told.after.account == trader.account()
    (shown,), (real,) = told.after.positions, trader.positions()
    assert (shown.entry_value_atoms, shown.equity_atoms) == (
        real.entry_value_atoms,
        real.equity_atoms,
    )
    assert shown.initial_margin_atoms == real.initial_margin_atoms > 0
    assert told.assumes == [Assumption.MAKERS]


def test_every_kind_of_step_can_be_built(market) -> None:
    _, _, trader = market
    placed = trader.limit("TEST", "buy", 1, 90)
    told = trader.preview(
        [
            trader.deposit_step(500),
            trader.margin_mode_step("TEST", "isolated", leverage=5),
            trader.market_order("TEST", "buy", 2),
            trader.isolated_margin_step("TEST", 10),
            trader.amend_step("TEST", placed.order_id, price=80),
            trader.cancel_step(placed.order_id),
            trader.orders_step([trader.limit_order("TEST", "buy", 1, 70)]),
            trader.cancel_all_step("TEST"),
            trader.mark_step("TEST", 95),
            trader.withdraw_step(100),
            trader.withdraw_step(10_000),
        ]
    )
    assert [step.accepted for step in told.steps] == [True] * 10 + [False]
    assert told.steps[-1].reason == RejectReason.INSUFFICIENT_MARGIN
    assert [pool.symbol for pool in told.after.pools] == [0, 77]
    assert told.after.account.open_orders == 0


def test_the_operator_may_ask_about_everybody(market) -> None:
    _, admin, trader = market
    assert admin.preview(account=2).before.account == trader.account()


def test_asyncio_asks_alike(market) -> None:
    node, _, trader = market

    async def ask():
        async with AsyncClient(node.orders, account=2) as client:
            return await client.preview([client.limit_order("TEST", "buy", 3, 100)])

    told = asyncio.run(ask())
    assert msgspec.structs.replace(told, timestamp_ns=0) == msgspec.structs.replace(
        trader.preview([trader.limit_order("TEST", "buy", 3, 100)]), timestamp_ns=0
    )


def test_what_cannot_be_tried_is_refused(market) -> None:
    _, _, trader = market
    with pytest.raises(RequestRefused, match="deposit_fund cannot be tried"):
        trader.preview([DepositFund(fund=0, amount_atoms=1)])
    with pytest.raises(RequestRefused, match="not logged in for account 1"):
        trader.preview(account=1)
    with pytest.raises(RequestRefused, match="commands"):
        trader.preview([trader.deposit_step(1)] * 65)


def test_the_calculator_asks_a_node(market, capsys: pytest.CaptureFixture[str]) -> None:
    node, _, trader = market
    trader.market("TEST", "buy", 1)
    arguments = ["margin", "--connect", node.orders, "--account", "2"]
    assert (
        main(
            [
                *arguments,
                "--order",
                "TEST buy 1 100",
                "--order",
                "TEST sell 1",
                "--then-mark",
                "TEST=95",
                "--json",
            ]
        )
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert [step["accepted"] for step in found["steps"]] == [True, True, True]
    (position,) = found["now"]["positions"]
    assert (position["size"], position["mark"], position["initial_margin"]) == ("1", "100", "10")
    assert position["fee_opened_as_taker"] is None  # a node does not tell its fees
    assert Decimal(found["fees"]) == Decimal("0.1")
    assert main(arguments) == 0
    assert "liquidation price" in capsys.readouterr().out
