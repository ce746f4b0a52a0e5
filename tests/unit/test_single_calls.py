"""One command a call is the same as a batch of one record: events, digest and sequence, on both engines."""

from __future__ import annotations

from random import Random

import pytest

from exchange.engine import ENGINE_KINDS, Engine, create_engine
from exchange.protocol import messages as m
from exchange.protocol.records import decode_events, encode_command, encode_commands, stamp

SETUP = encode_commands(
    [
        m.ListSymbol(
            symbol=1,
            name="S",
            tick_size_e12=10**8,
            lot_size_e12=10**8,
            atoms_per_tick_lot=1,
            initial_margin_ppm=100_000,
            brackets=((0, 50_000, 0),),
        ),
        m.SetMark(symbol=1, price_ticks=100),
        *[m.Deposit(account=account, amount_atoms=10_000) for account in (1, 2, 3)],
    ]
)


def commands_of(seed: int) -> list[m.PlaceOrder | m.CancelOrder | m.AmendOrder]:
    random = Random(seed)
    found: list[m.PlaceOrder | m.CancelOrder | m.AmendOrder] = []
    for number in range(1, 600):
        # About a third of the commands are orders that are accepted, so these ids are of late ones.
        account, order_id = random.randint(1, 3), max(1, number // 3 - random.randint(0, 20))
        kind = random.random()
        if kind < 0.6:
            order_type = int(random.random() < 0.2)
            found.append(
                m.PlaceOrder(
                    account=account,
                    symbol=1,
                    side=random.randint(0, 1),
                    qty_lots=random.randint(0, 9),
                    price_ticks=0 if order_type else random.randint(95, 105),
                    order_type=order_type,
                    time_in_force=order_type or random.choice((0, 0, 1, 2)),
                    flags=random.choice((0, 0, 1, 2)),
                    client_order_id=number if random.random() < 0.3 else 0,
                    self_trade=random.randint(0, 3),
                )
            )
        elif kind < 0.8:
            found.append(m.CancelOrder(account=account, order_id=order_id))
        else:
            found.append(
                m.AmendOrder(
                    account=account,
                    order_id=order_id,
                    price_ticks=random.randint(95, 105),
                    qty_lots=random.randint(0, 9),
                )
            )
    return found


def new_engine(kind: str) -> Engine:
    engine = create_engine(kind)
    engine.apply(stamp(SETUP, 1, 1))
    return engine


def call(engine: Engine, command: m.Command, timestamp_ns: int) -> bytes:
    match command:
        case m.PlaceOrder():
            return engine.place_order(
                command.account,
                command.symbol,
                command.side,
                command.qty_lots,
                command.price_ticks,
                command.order_type,
                command.time_in_force,
                command.flags,
                command.client_order_id,
                command.self_trade,
                timestamp_ns,
            )
        case m.CancelOrder():
            return engine.cancel_order(command.account, command.order_id, timestamp_ns=timestamp_ns)
        case m.AmendOrder():
            return engine.amend_order(
                command.account,
                command.order_id,
                command.price_ticks,
                command.qty_lots,
                timestamp_ns=timestamp_ns,
            )
    raise AssertionError(command)


@pytest.mark.parametrize("kind", ENGINE_KINDS)
def test_a_call_is_a_batch_of_one(kind: str) -> None:
    seen = set()
    for seed in range(5):
        singly, in_batches = new_engine(kind), new_engine(kind)
        for index, command in enumerate(commands_of(seed)):
            time = 10 + index
            came = call(singly, command, time)
            record = stamp(encode_command(command), in_batches.sequence + 1, time)
            assert came == in_batches.apply(record)
            assert (singly.sequence, singly.timestamp_ns) == (in_batches.sequence, time)
            seen |= {type(event) for event in decode_events(came)}
        assert singly.digest() == in_batches.digest()
    assert {m.Fill, m.OrderRested, m.OrderCancelled, m.OrderAmended, m.Rejected} <= seen


@pytest.mark.parametrize("kind", ENGINE_KINDS)
def test_time_does_not_go_back_where_none_is_given(kind: str) -> None:
    engine = new_engine(kind)
    engine.place_order(1, 1, 0, 1, 99, timestamp_ns=50)
    (accepted, _) = decode_events(engine.cancel_order(1, 1))
    assert isinstance(accepted, m.Accepted)
    assert (accepted.timestamp_ns, engine.timestamp_ns) == (50, 50)


@pytest.mark.parametrize("kind", ENGINE_KINDS)
def test_a_number_that_no_record_holds_is_refused_before_anything_happens(kind: str) -> None:
    engine = new_engine(kind)
    digest, sequence = engine.digest(), engine.sequence
    with pytest.raises((OverflowError, ValueError)):
        engine.place_order(1, 1, 0, 1 << 63, 99)
    assert (engine.digest(), engine.sequence) == (digest, sequence)
