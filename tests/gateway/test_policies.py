"""What the operator changes while a venue runs, through both clients."""

from __future__ import annotations

import asyncio

import exchange as m

BTC = "BTC-PERP"


def test_brackets_change_through_both_clients(node) -> None:
    operator = node.admin_client()
    result = operator.set_brackets(BTC, "0.05", [[0, "0.005"], [50_000, "0.01", "0.02"]])
    (changed,) = (event for event in result.events if isinstance(event, m.BracketsChanged))
    assert changed.initial_margin_ppm == 50_000
    assert changed.brackets == ((0, 5_000, 5_000), (5 * 10**12, 10_000, 20_000))

    async def story() -> None:
        async with m.AsyncAdminClient(node.admin) as again:
            told = await again.set_brackets(BTC, "0.1", [[0, "0.02"]])
            assert told.events[-1].brackets == ((0, 20_000, 20_000),)

    asyncio.run(story())
