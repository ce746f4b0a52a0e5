"""No client makes the exchange walk a whole book: the bounds of MATCH-02 and MATCH-03, on both engines."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exchange.engine import Engine, create_engine
from exchange.protocol import messages, records
from exchange.protocol.schema import (
    MAX_FOK_ORDERS,
    MAX_MARKET_LEVELS,
    CancelReason,
    OrderType,
    Side,
    TimeInForce,
)

BIDS = 1
OFFERS = 2  # and each further offer from the next account
Send = Callable[..., list[messages.Event]]


@pytest.fixture(params=["native", "reference"])
def send(request: pytest.FixtureRequest) -> Send:
    """Sends commands to an engine with one symbol, mark 1,000, and a rich account; gives the events."""
    engine: Engine = create_engine(request.param)

    def apply(*commands: messages.Command) -> list[messages.Event]:
        stamped = records.stamp(records.encode_commands(commands), engine.sequence + 1, 1)
        return records.decode_events(engine.apply(stamped))

    apply(
        messages.ListSymbol(
            symbol=1,
            name="WALK",
            tick_size_e12=10**12,
            lot_size_e12=10**4,
            atoms_per_tick_lot=1,
            initial_margin_ppm=100_000,
            max_open_orders=1_000_000,
            brackets=((0, 50_000, 0),),
        ),
        messages.SetMark(symbol=1, price_ticks=1_000),
        messages.Deposit(account=BIDS, amount_atoms=10**12),
    )
    return apply


def offer(send: Send, prices: list[int]) -> None:
    """One lot at each of these prices, each of an account of its own."""
    for account, price_ticks in enumerate(prices, OFFERS):
        send(
            messages.Deposit(account=account, amount_atoms=10**6),
            messages.PlaceOrder(
                account=account, symbol=1, side=Side.SELL, price_ticks=price_ticks, qty_lots=1
            ),
        )


def bought(events: list[messages.Event]) -> int:
    return sum(e.qty_lots for e in events if isinstance(e, messages.Fill) and e.account == BIDS)


def test_a_market_order_reaches_a_thousand_levels_and_no_further(send: Send) -> None:
    offer(send, [1_000 + level for level in range(MAX_MARKET_LEVELS + 1)])
    order = messages.PlaceOrder(
        account=BIDS,
        symbol=1,
        side=Side.BUY,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.IOC,
        qty_lots=MAX_MARKET_LEVELS + 1,
    )
    events = send(order)
    assert bought(events) == 1_000
    assert events[-1].reason == CancelReason.IMMEDIATE_OR_CANCEL
    assert events[-1].open_lots == 1


@pytest.mark.parametrize(("lots", "filled"), [(MAX_FOK_ORDERS, 4_096), (MAX_FOK_ORDERS + 1, 0)])
def test_fill_or_kill_looks_at_4096_orders_and_no_more(send: Send, lots: int, filled: int) -> None:
    offer(send, [1_000] * (MAX_FOK_ORDERS + 1))
    order = messages.PlaceOrder(
        account=BIDS,
        symbol=1,
        side=Side.BUY,
        time_in_force=TimeInForce.FOK,
        price_ticks=1_000,
        qty_lots=lots,
    )
    assert bought(send(order)) == filled
