"""The engines on the workloads: matching alone, margin on every message and fill, and the reference beside them."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.bench import core
from exchange.engine import create_engine
from exchange.protocol import messages, records


@pytest.mark.parametrize("margin", [False, True], ids=["matching", "margin"])
def test_native_core(benchmark: Any, workload: core.Workload, margin: bool) -> None:
    """Divide the time by 100,000 messages."""

    def fresh() -> tuple[tuple[Any], dict[str, Any]]:
        return (core.fresh_engine(workload, margin),), {}

    def run(engine: Any) -> None:
        for batch in workload.batches:
            engine.apply(batch)

    benchmark.pedantic(run, setup=fresh, rounds=7)


@pytest.mark.parametrize("kind", ["native", "reference"])
def test_one_order_a_call(benchmark: Any, kind: str) -> None:
    """What one order costs a caller from Python that does not batch: build, stamp, apply; never trades."""
    engine = create_engine(kind)
    engine.apply(core.setup_commands({1}))

    def one() -> None:
        order = messages.PlaceOrder(
            account=1, symbol=core.SYMBOL, side=0, price_ticks=90_000, qty_lots=1
        )
        placed = records.stamp(records.encode_command(order), engine.sequence + 1, 1)
        engine.apply(placed)
        engine.apply(
            records.stamp(
                records.encode_command(messages.CancelAll(account=1)), engine.sequence + 1, 1
            )
        )

    benchmark(one)
    assert engine.open_orders(1) == []
    assert engine.account(1).open_orders == 0
