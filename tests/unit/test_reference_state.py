"""Snapshot, restore, digest, sequences and malformed commands of the reference engine."""

from __future__ import annotations

import struct

import pytest
from reference_desk import BUY, REDUCE_ONLY, SELL, Desk, fills, order

from exchange.protocol import messages as m
from exchange.protocol.records import decode_events, encode_command, encode_commands, stamp
from exchange.protocol.schema import RejectReason
from exchange.reference.engine import ReferenceEngine


def busy_desk() -> Desk:
    """Positions in both modes, a pool in liquidation, a fund, several orders at one price."""
    desk = Desk()
    desk.list()
    desk.list(7, fund=3, maker_fee_ppm=-100, taker_fee_ppm=500)
    desk.mark(100)
    desk.mark(50, symbol=7)
    for account in (1, 2, 3):
        desk.deposit(account, 100_000)
    desk.deposit(4, 1_000)
    desk.do(m.DepositFund(fund=3, amount_atoms=77))
    desk.isolate(1, rate=200_000)
    desk.trade(1, 2, 10, 100)
    desk.trade(4, 3, 100, 100)
    desk.trade(3, 1, 20, 50, symbol=7)
    desk.mark(93)
    desk.order(3, SELL, 5, 101)
    desk.order(1, SELL, 5, 101, client_order_id=12, self_trade=3)
    desk.order(2, SELL, 5, 101)
    desk.order(1, SELL, 9, 105, flags=REDUCE_ONLY)
    desk.do(m.AmendOrder(account=3, order_id=8, qty_lots=6))  # to the back
    assert desk.engine.account(4).liquidating
    return desk


def restored(engine: ReferenceEngine) -> ReferenceEngine:
    other = ReferenceEngine()
    other.restore(engine.snapshot(), engine.sequence, engine.timestamp_ns)
    return other


def test_restored_engine_is_the_same() -> None:
    engine = busy_desk().engine
    other = restored(engine)
    assert (other.digest(), other.sequence, other.timestamp_ns) == (
        engine.digest(),
        engine.sequence,
        engine.timestamp_ns,
    )
    assert other.accounts() == engine.accounts() == [1, 2, 3, 4]
    for account in range(1, 6):
        assert other.account(account) == engine.account(account)
        assert other.positions(account) == engine.positions(account)
        assert other.open_orders(account) == engine.open_orders(account)
    assert [other.book(s) for s in (1, 7)] == [engine.book(s) for s in (1, 7)]
    assert (other.funds(), other.fees_atoms()) == (engine.funds(), engine.fees_atoms())
    assert other.symbols() == engine.symbols()


def test_restored_engine_behaves_the_same_down_to_the_queue() -> None:
    desk = busy_desk()
    other = Desk()
    other.engine = restored(desk.engine)
    for command in (
        order(2, BUY, 8, 101, self_trade=1),  # through the queue at 101: 1, own 2, then amended 3
        m.SetMark(symbol=1, price_ticks=120),
        m.SettleFunding(symbol=7, payment_atoms_per_lot=2),
        m.CancelAll(account=1),
        m.SetMark(symbol=1, price_ticks=80),
        order(3, BUY, 1, 80),
    ):
        assert desk.send(command) == other.send(command)
        assert desk.engine.digest() == other.engine.digest()


def test_queue_order_survives() -> None:
    other = Desk()
    other.engine = restored(busy_desk().engine)
    other.deposit(4_000, 100_000)
    taken = fills(other.order(4_000, BUY, 12, 101))
    assert [(f.account, f.qty_lots) for f in taken if f.role == 0] == [(1, 5), (2, 5), (3, 2)]


def test_only_an_empty_engine_restores() -> None:
    engine = busy_desk().engine
    with pytest.raises(ValueError, match="an empty engine was wanted"):
        engine.restore(engine.snapshot(), 1, 1)


def test_damaged_snapshots_are_refused() -> None:
    state = busy_desk().engine.snapshot()
    for damaged, problem in (
        (b"", "cut short"),
        (state[:-1], "cut short"),
        (state + b"\0", "damaged"),
        (b"PXS1" + state[4:], "starts with"),
    ):
        with pytest.raises(ValueError, match=problem):
            ReferenceEngine().restore(damaged, 1, 1)


def test_empty_state_is_this_long() -> None:
    """Magic, two ids, two balances, twenty counts."""
    engine = ReferenceEngine()
    assert engine.snapshot() == struct.pack("<4sQQqq20I", b"PXS3", 1, 1, 0, 0, *[0] * 20)
    assert len(engine.digest()) == 32


def test_asking_leaves_no_trace() -> None:
    engine = busy_desk().engine
    before = engine.digest()
    view = engine.account(123)
    assert (view.wallet_atoms, view.available_atoms, view.liquidating) == (0, 0, False)
    assert engine.positions(123) == engine.open_orders(123) == []
    assert engine.fund(99) == 0
    with pytest.raises(KeyError):
        engine.book(99)
    assert (engine.digest(), engine.accounts()) == (before, [1, 2, 3, 4])


def test_wrong_sequence_is_the_callers_bug_and_nothing_is_applied() -> None:
    engine = ReferenceEngine()
    deposit = encode_command(m.Deposit(account=1, amount_atoms=5))
    batch = stamp(deposit, 1, 1) + stamp(deposit, 3, 1)
    with pytest.raises(ValueError, match="sequence 2 was wanted, 3 came"):
        engine.apply(batch)
    with pytest.raises(ValueError, match="cut short"):
        engine.apply(stamp(deposit, 1, 1)[:-1])
    assert (engine.sequence, engine.accounts()) == (0, [])
    engine.apply(stamp(deposit + deposit, 1, 1))
    assert engine.account(1).wallet_atoms == 10


def test_time_never_goes_back() -> None:
    engine = ReferenceEngine()
    times = []
    for sequence, timestamp in ((1, 50), (2, 40), (3, 60)):
        batch = stamp(encode_command(m.AdvanceTime()), sequence, timestamp)
        times.append(decode_events(engine.apply(batch))[0].timestamp_ns)
    assert (times, engine.timestamp_ns) == ([50, 50, 60], 60)


def test_malformed_commands_are_rejected_and_the_next_is_applied() -> None:
    engine = ReferenceEngine()
    unknown = struct.pack("<HHIQq", 99, 25, 5, 1, 0) + b"x"
    too_long = struct.pack("<HHIQq", 2, 40, 6, 2, 0) + bytes(16)
    operators = struct.pack("<HHIQq", 11, 25, 7, 3, 0) + b"x"
    good = stamp(encode_command(m.Deposit(account=1, amount_atoms=5)), 4, 0)
    first, second, third, *rest = decode_events(engine.apply(unknown + too_long + operators + good))
    assert [(e.reason, e.command, e.account) for e in (first, second, third)] == [
        (RejectReason.MALFORMED_COMMAND, 99, 5),
        (RejectReason.MALFORMED_COMMAND, 2, 6),
        (RejectReason.MALFORMED_COMMAND, 11, 0),
    ]
    assert isinstance(rest[0], m.Accepted) and engine.sequence == 4


def test_same_commands_in_one_batch_or_many_give_the_same_bytes() -> None:
    commands = [
        m.AdvanceTime(),
        m.Deposit(account=1, amount_atoms=100),
        m.Withdraw(account=1, amount_atoms=30),
        m.Withdraw(account=1, amount_atoms=100),
        m.DepositFund(fund=4, amount_atoms=9),
    ]
    whole, single = ReferenceEngine(), ReferenceEngine()
    together = whole.apply(stamp(encode_commands(commands), 1, 8))
    alone = [
        single.apply(stamp(encode_command(command), sequence, 8))
        for sequence, command in enumerate(commands, start=1)
    ]
    assert together == b"".join(alone)
    assert whole.digest() == single.digest()


# ------------------------------------------------------------------------------------------------- listing


GOOD = m.ListSymbol(
    symbol=1,
    name="BTC",
    tick_size_e12=10**8,
    lot_size_e12=10**8,
    atoms_per_tick_lot=1,
    initial_margin_ppm=100_000,
    brackets=((0, 50_000, 0),),
)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"symbol": 0}, "invalid_symbol"),
        ({"symbol": 65_536}, "invalid_symbol"),
        ({"name": ""}, "invalid_symbol"),
        ({"brackets": ()}, "invalid_brackets"),
        ({"brackets": ((1, 50_000, 0),)}, "invalid_brackets"),
        ({"brackets": ((0, 0, 0),)}, "invalid_brackets"),
        ({"brackets": ((0, 50_000, 49_999),)}, "invalid_brackets"),
        ({"brackets": ((0, 50_000, 0), (0, 60_000, 0))}, "invalid_brackets"),
        ({"brackets": ((0, 50_000, 0), (1_000, 49_999, 60_000))}, "invalid_brackets"),
        ({"brackets": ((0, 50_000, 80_000), (1_000, 60_000, 70_000))}, "invalid_brackets"),
        ({"brackets": ((0, 50_000, 0), (1_001, 60_000, 0))}, "invalid_brackets"),
        ({"initial_margin_ppm": 0}, "invalid_policy"),
        ({"tick_size_e12": 0}, "invalid_policy"),
        ({"atoms_per_tick_lot": 10**12 + 1}, "invalid_policy"),
        ({"taker_fee_ppm": 100_001}, "invalid_policy"),
        ({"taker_fee_ppm": -1, "maker_fee_ppm": 1}, "invalid_policy"),
        ({"taker_fee_ppm": 100, "maker_fee_ppm": -101}, "invalid_policy"),
        ({"price_band_ppm": 1_000_000}, "invalid_policy"),
        ({"slippage_cap_ppm": -2}, "invalid_policy"),
        ({"upnl_weight_ppm": 1_000_001}, "invalid_policy"),
        ({"min_qty_lots": 5, "max_qty_lots": 4}, "invalid_policy"),
        ({"max_open_orders": 0}, "invalid_policy"),
        ({"exposure_limit_atoms": 0}, "invalid_policy"),
        ({"liquidation_mode": 3}, "invalid_policy"),
        ({"liquidation_fraction_ppm": 0}, "invalid_policy"),
        ({"liquidation_max_notional_atoms": 0}, "invalid_policy"),
        ({"draw_cap_atoms": -2}, "invalid_policy"),
        ({"atoms_per_tick_lot": 2}, "value_not_whole"),
        ({"initial_margin_ppm": 49_999}, "leverage_too_high"),
        ({"exposure_limit_atoms": 1 << 60, "initial_margin_ppm": 1}, "value_out_of_range"),
    ],
)
def test_listing_that_may_not_be(change: dict[str, object], reason: str) -> None:
    desk = Desk()
    desk.list(2)  # its exposure limit leaves less than 2^60
    fields = {name: getattr(GOOD, name) for name in GOOD.__struct_fields__}
    assert desk.refuse(m.ListSymbol(**fields | change)) == reason


def test_symbol_is_listed_once() -> None:
    desk = Desk()
    (listed,) = desk.do(GOOD)
    assert listed == m.SymbolListed(account=0, sequence=1, symbol=1, name="BTC")
    assert desk.refuse(GOOD) == "symbol_exists"
    assert desk.refuse(m.SetMark(symbol=1, price_ticks=0)) == "invalid_price"
    assert desk.refuse(m.SetMark(symbol=2, price_ticks=0)) == "unknown_symbol"
