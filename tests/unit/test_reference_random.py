"""Random streams of all commands through the reference engine: what must hold after each, whatever comes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from reference_streams import Stream

from exchange.protocol import messages as m
from exchange.protocol.records import decode_events, encode_command, stamp
from exchange.protocol.schema import OrderPlace, SymbolState
from exchange.reference import margin, times, watching
from exchange.reference.engine import ReferenceEngine
from exchange.reference.order import LinkRole
from exchange.reference.state import State

COMMANDS = 90


def send(engine: ReferenceEngine, command: Any, now_ns: int) -> list[Any]:
    return decode_events(engine.apply(stamp(encode_command(command), engine.sequence + 1, now_ns)))


def state_of(engine: ReferenceEngine) -> State:
    return engine._ctx.state


@pytest.mark.parametrize("seed", range(40))
def test_whatever_comes_the_exchange_is_sound_after_every_command(seed: int) -> None:
    engine, twin = ReferenceEngine(), ReferenceEngine()
    stream = Stream(seed, state_of(engine))
    for command in stream.opening():
        (result, *_) = send(engine, command, stream.now_ns)
        assert isinstance(result, m.Accepted), result
    for step in range(COMMANDS):
        command = stream.next()
        before, is_due = engine.digest(), bool(times.due(state_of(engine), stream.now_ns))
        events = send(engine, command, stream.now_ns)
        check_events(state_of(engine), events)
        if isinstance(events[0], m.Rejected) and not is_due:
            assert engine.digest() == before, command
        check_money(state_of(engine))
        check_orders(state_of(engine))
        if step == COMMANDS // 2:
            twin.restore(engine.snapshot(), engine.sequence, engine.timestamp_ns)
        elif step > COMMANDS // 2:
            assert send(twin, command, stream.now_ns) == events
        if step >= COMMANDS // 2:
            assert twin.snapshot() == engine.snapshot()
            assert [twin.open_orders(a) for a in (1, 2)] == [engine.open_orders(a) for a in (1, 2)]


def check_events(state: State, events: list[Any]) -> None:
    """One result, the first; trades have two sides, and never within a group."""
    assert [isinstance(e, m.Accepted | m.Rejected) for e in events] == [True] + [False] * (
        len(events) - 1
    )
    fills = [e for e in events if isinstance(e, m.Fill) and e.trade_id]
    for one, other in zip(fills[::2], fills[1::2], strict=True):
        assert (one.trade_id, one.qty_lots, one.value_atoms) == (
            other.trade_id,
            other.qty_lots,
            other.value_atoms,
        )
        assert one.side != other.side
        assert one.account != other.account
    for event in events:
        if isinstance(event, m.OrderCancelled) and event.place != OrderPlace.TAKER:
            assert state.live_order(event.order_id) is None


def check_money(state: State) -> None:
    """What was paid in is in wallets, pools, funds and the fee account, and positions sum to nothing."""
    lots: Counter[int] = Counter()
    total = state.fees_atoms + sum(state.funds.values())
    for account in state.accounts.values():
        total += account.cross.balance_atoms
        for position in account.positions.values():
            total += position.isolated.balance_atoms - position.entry_value_atoms
            lots[position.symbol.number] += position.lots
            assert position.mode or not position.isolated.balance_atoms
    assert total == state.deposits_atoms
    assert not any(lots.values())


def check_orders(state: State) -> None:
    """Orders are where they belong, and nothing that should have happened has not."""
    for symbol in state.symbols.values():
        bid, offer = symbol.book.best(0), symbol.book.best(1)
        if symbol.state == SymbolState.OPEN and bid and offer:
            assert bid.price_ticks < offer.price_ticks
        if symbol.state == SymbolState.SETTLED:
            assert not len(symbol.book)
    assert not set(state.orders) & set(state.waiting)
    for order in [*state.orders.values(), *state.waiting.values()]:
        position, waits = state.position_of(order), state.is_waiting(order)
        assert not position.pool.liquidating
        assert order.account in state.accounts
        assert waits or (order.rests and order.open_lots > 0 and not order.armed)
        if order.is_iceberg and not waits:
            assert 0 < order.shown_lots <= order.open_lots
        if waits and order.link_role == LinkRole.EXIT and not order.closes_position:
            assert order.armed == (order.open_lots > 0)
            assert order.open_lots <= order.given_lots
        if waits and order.armed and order.reduce_only and order.link_role != LinkRole.EXIT:
            assert position.reducible_lots(order.side)
        if waits and order.armed and position.symbol.state == SymbolState.OPEN:
            assert not watching.is_reached(position.symbol, order)
    for pool in state.pools():
        assert pool.liquidating or not margin.is_below_maintenance(state, pool), pool
