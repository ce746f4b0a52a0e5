"""Short streams that hypothesis makes, and makes shorter when they fail: both engines, under the auditor's eyes.

Three accounts, two symbols with small numbers, so that everything meets: prices 1 .. 12, quantities 1 .. 8, money for a
few lots, two brackets, fees, a fund, and marks that leap.
"""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.engine import ENGINE_KINDS, Engine, create_engine
from exchange.fuzz.choices import STEP_NS
from exchange.fuzz.differ import Differ, run_records
from exchange.protocol import messages as m
from exchange.protocol.messages import Command
from exchange.protocol.records import decode_events, encode_command, stamp
from exchange.protocol.schema import LiquidationMode

ACCOUNTS = st.integers(1, 3)
SYMBOLS = st.integers(1, 2)
PRICES = st.integers(1, 12)
LOTS = st.integers(1, 8)
AMOUNTS = st.integers(1, 60)
MONEY = st.lists(st.integers(10, 200), min_size=3, max_size=3)


def listing(
    symbol: int, mode: LiquidationMode, fee_ppm: int, cap_ppm: int, draw_cap: int
) -> m.ListSymbol:
    """One atom a lot and tick; 10 % maintenance, 30 % above a notional of 50."""
    return m.ListSymbol(
        symbol=symbol,
        name=f"S{symbol}",
        tick_size_e12=10**8,
        lot_size_e12=10**8,
        atoms_per_tick_lot=1,
        initial_margin_ppm=200_000,
        taker_fee_ppm=fee_ppm,
        maker_fee_ppm=-(fee_ppm // 2),
        upnl_weight_ppm=500_000 if symbol == 2 else 1_000_000,
        exposure_limit_atoms=1 << 40,
        fund=symbol - 1,
        slippage_cap_ppm=cap_ppm,
        liquidation_mode=mode,
        liquidation_fee_ppm=20_000,
        liquidation_fraction_ppm=400_000,
        draw_cap_atoms=draw_cap,
        brackets=((0, 100_000, 200_000), (50, 300_000, 400_000)),
    )


LISTINGS = st.builds(
    lambda mode, fee, cap, draw: [listing(1, mode, fee, cap, draw), listing(2, mode, fee, -1, -1)],
    st.sampled_from(LiquidationMode),
    st.sampled_from((0, 1_000, 50_000)),
    st.sampled_from((-1, 0, 300_000)),
    st.sampled_from((-1, 0, 3)),
)
CLIENT_IDS = st.sampled_from((*[0] * 8, 1, 2, 3, 4))
#: Commands come a millisecond apart, so these times lie before, within and after a stream.
TIMES = st.integers(1, 120).map(lambda step: step * STEP_NS)
LIMIT: dict[str, st.SearchStrategy[int]] = {
    "symbol": SYMBOLS,
    "side": st.integers(0, 1),
    "time_in_force": st.sampled_from((0, 0, 0, 1, 2)),
    "self_trade": st.integers(0, 3),
    "flags": st.sampled_from((*[0] * 8, 1, 2, 5)),
    "price_ticks": PRICES,
    "qty_lots": LOTS,
    "client_order_id": CLIENT_IDS,
    "display_lots": st.sampled_from((*[0] * 8, 1, 2, 3)),
}
DATED = LIMIT | {"time_in_force": st.just(3), "expires_ns": TIMES}
MARKET: dict[str, st.SearchStrategy[int]] = {
    "symbol": SYMBOLS,
    "side": st.integers(0, 1),
    "order_type": st.just(1),
    "time_in_force": st.integers(1, 2),
    "flags": st.sampled_from((0, 2)),
    "price_ticks": st.sampled_from((0, 0, 0, 5, 7)),
    "qty_lots": LOTS,
}
STOP_MARKET: dict[str, st.SearchStrategy[int]] = {
    "symbol": SYMBOLS,
    "side": st.integers(0, 1),
    "order_type": st.sampled_from((2, 4)),
    "time_in_force": st.integers(1, 2),
    "flags": st.sampled_from((0, 0, 2)),
    "qty_lots": LOTS,
    "trigger_ticks": PRICES,
    "trigger_by": st.integers(0, 1),
    "client_order_id": CLIENT_IDS,
}
STOP_LIMIT = STOP_MARKET | {
    "order_type": st.sampled_from((3, 5)),
    "time_in_force": st.sampled_from((0, 0, 1, 2)),
    "flags": st.sampled_from((0, 0, 1, 2, 5)),
    "price_ticks": PRICES,
}
TRAILING = STOP_MARKET | {
    "order_type": st.just(6),
    "trigger_ticks": st.just(0),
    "callback_ticks": st.integers(1, 4),
}
CLOSING = STOP_MARKET | {"flags": st.just(8), "qty_lots": st.just(0)}
TRIGGERS = (STOP_MARKET, STOP_LIMIT, TRAILING, CLOSING)


def entries(*kinds: dict[str, st.SearchStrategy[int]]) -> st.SearchStrategy[m.OrderEntry]:
    """An order of a list, of one of these kinds."""
    return st.sampled_from(kinds).flatmap(lambda kind: st.builds(m.OrderEntry, **kind))


def placed(*kinds: dict[str, st.SearchStrategy[int]]) -> st.SearchStrategy[Command]:
    return st.sampled_from(kinds).flatmap(
        lambda kind: st.builds(m.PlaceOrder, account=ACCOUNTS, **kind)
    )


def with_exits(
    entry: m.OrderEntry, exits: list[m.OrderEntry], quantity: int
) -> tuple[m.OrderEntry, ...]:
    """An entry, and exits that fit it."""
    fit = [
        msgspec.structs.replace(
            order,
            symbol=entry.symbol,
            side=1 - entry.side,
            flags=8 if order.flags == 8 else 2,
            qty_lots=0 if order.flags == 8 else quantity,
        )
        for order in exits
    ]
    return (msgspec.structs.replace(entry, flags=0), *fit)


def pair(first: m.OrderEntry, second: m.OrderEntry) -> tuple[m.OrderEntry, ...]:
    """Two orders of one symbol, of which one cancels the other."""
    return (first, msgspec.structs.replace(second, symbol=first.symbol))


LISTS: st.SearchStrategy[Command] = st.one_of(
    st.builds(
        m.PlaceOrders,
        account=ACCOUNTS,
        list_mode=st.sampled_from((0, 0, 0, 1, 2, 3)),
        orders=st.lists(entries(LIMIT, MARKET, *TRIGGERS), min_size=1, max_size=4).map(tuple),
    ),
    st.builds(
        m.PlaceOrders,
        account=ACCOUNTS,
        list_mode=st.just(1),
        orders=st.lists(
            entries(LIMIT | {"time_in_force": st.just(0), "flags": st.just(1)}, *TRIGGERS),
            min_size=1,
            max_size=4,
        ).map(tuple),
    ),
    st.builds(
        m.PlaceOrders,
        account=ACCOUNTS,
        list_mode=st.just(2),
        orders=st.builds(
            pair, entries(LIMIT | {"time_in_force": st.just(0)}, *TRIGGERS), entries(*TRIGGERS)
        ),
    ),
    st.builds(
        m.PlaceOrders,
        account=ACCOUNTS,
        list_mode=st.just(3),
        orders=st.builds(
            with_exits,
            entries(LIMIT, LIMIT, STOP_MARKET),
            st.lists(entries(*TRIGGERS), min_size=1, max_size=2),
            LOTS,
        ),
    ),
)
MARKS = st.builds(m.SetMark, symbol=SYMBOLS, price_ticks=PRICES)
OTHERS: st.SearchStrategy[Command] = st.one_of(
    st.builds(m.Deposit, account=ACCOUNTS, amount_atoms=AMOUNTS),
    st.builds(m.Withdraw, account=ACCOUNTS, amount_atoms=AMOUNTS),
    st.builds(m.DepositFund, fund=st.integers(0, 1), amount_atoms=AMOUNTS),
    st.builds(
        m.SetMarginMode,
        account=ACCOUNTS,
        symbol=SYMBOLS,
        margin_mode=st.integers(0, 1),
        initial_margin_ppm=st.sampled_from((0, 200_000, 1_000_000)),
    ),
    st.builds(
        m.ChangeIsolatedMargin, account=ACCOUNTS, symbol=SYMBOLS, change_atoms=st.integers(-20, 20)
    ),
    st.builds(
        m.SettleFunding,
        symbol=SYMBOLS,
        payment_atoms_per_lot=st.integers(-3, 3),
        payment_fraction_q32=st.sampled_from((0, 1 << 31)),
    ),
    st.builds(m.CancelOrder, account=ACCOUNTS, client_order_id=st.integers(1, 4)),
    st.builds(m.CancelAll, account=ACCOUNTS, symbol=st.integers(0, 2), side=st.integers(0, 2)),
    st.builds(
        m.AmendOrder,
        account=ACCOUNTS,
        client_order_id=st.integers(1, 4),
        price_ticks=st.integers(0, 12),
        qty_lots=st.integers(0, 8),
        trigger_ticks=st.sampled_from((0, 0, 3, 5, 7, 9)),
        display_lots=st.sampled_from((0, 0, 0, 1, 2)),
        expires_ns=st.one_of(st.just(0), TIMES),
    ),
    st.builds(m.SetCountdown, account=ACCOUNTS, timeout_ms=st.integers(0, 20)),
    st.builds(m.SetStpGroup, member_account=ACCOUNTS, stp_group=st.integers(0, 1)),
    st.builds(m.SetAdlPolicy, symbol=SYMBOLS, policy=st.integers(0, 4)),
    st.builds(
        m.SetFundPolicy,
        symbol=SYMBOLS,
        cap_atoms=st.integers(-1, 3),
        second_fund=st.integers(0, 2),
        second_cap_atoms=st.sampled_from((0, 0, -1, 2)),
        window_ns=st.sampled_from((0, 0, 1, 5)),
        window_cap_atoms=st.sampled_from((-1, -1, 0, 2)),
    ),
    st.builds(m.AdvanceTime),
)
#: Symbol 2 opens and closes; settled it would be the end of it.
STATES = st.builds(
    m.SetSymbolState, symbol=st.just(2), state=st.sampled_from((0, 0, 0, 0, 1, 2, 3, 4))
) | st.builds(m.SetSymbolState, symbol=st.just(2), state=st.just(5), price_ticks=PRICES)
KINDS: list[st.SearchStrategy[Command]] = [
    *[placed(LIMIT)] * 8,
    placed(MARKET, DATED),
    *[placed(*TRIGGERS)] * 3,
    *[LISTS] * 2,
    *[MARKS] * 3,
    *[OTHERS] * 2,
    STATES,
]
#: At least 30 commands: shorter streams hardly trade, and hypothesis shortens what fails all the same.
STREAMS = st.lists(st.sampled_from(KINDS).flatmap(lambda kind: kind), min_size=30, max_size=80)


def opening(listings: list[m.ListSymbol], money: list[int]) -> list[bytes]:
    """Symbols, marks and deposits, so that the stream can trade."""
    commands: list[Command] = [*listings]
    commands += [m.SetMark(symbol=symbol, price_ticks=6) for symbol in (1, 2)]
    commands += [m.Deposit(account=n, amount_atoms=atoms) for n, atoms in enumerate(money, start=1)]
    return [encode_command(command) for command in commands]


@settings(max_examples=300, deadline=None)
@given(LISTINGS, MONEY, STREAMS)
def test_engines_agree_and_no_rule_is_broken(
    listings: list[m.ListSymbol], money: list[int], stream: list[Command]
) -> None:
    records = opening(listings, money) + [encode_command(command) for command in stream]
    failure = run_records(records, ENGINE_KINDS, 20)
    assert failure is None, f"{failure.kind} at {failure.index}: {failure.detail}"


@settings(max_examples=200, deadline=None)
@given(LISTINGS, STREAMS)
def test_a_rejected_command_changes_nothing(
    listings: list[m.ListSymbol], stream: list[Command]
) -> None:
    """I18: the state is bit-identical, on both engines, but for what expires at that time."""
    differ = Differ(ENGINE_KINDS, 1 << 40)
    for record in opening(listings, [40, 80, 160]):
        differ.step(record)
    for command in stream:
        before = {kind: engine.snapshot() for kind, engine in differ.engines.items()}
        raw, failure = differ.step(encode_command(command))
        assert failure is None, failure.detail
        if isinstance(decode_events(raw)[0], m.Rejected):
            for kind, engine in differ.engines.items():
                after = engine.snapshot()
                assert after == before[kind] or after == later(before[kind], kind, engine)


def later(state: bytes, kind: str, engine: Engine) -> bytes:
    """The state with nothing done to it but the time that an engine has now: what is due expires."""
    twin = create_engine(kind)
    twin.restore(state, engine.sequence - 1, 0)
    twin.apply(stamp(encode_command(m.AdvanceTime()), engine.sequence, engine.timestamp_ns))
    return twin.snapshot()


@settings(max_examples=200, deadline=None)
@given(LISTINGS, STREAMS, st.integers(0, 60))
def test_a_snapshot_and_the_tail_are_the_full_replay(
    listings: list[m.ListSymbol], stream: list[Command], cut: int
) -> None:
    """I31: whoever joins at a snapshot sees the same events and ends in the same state."""
    records = opening(listings, [40, 80, 160]) + [encode_command(command) for command in stream]
    whole, joined = Differ(ENGINE_KINDS, 1 << 40), Differ(ENGINE_KINDS, 1 << 40)
    for index, record in enumerate(records):
        if index == cut:
            assert joined.restore_snapshots() is None
        expected, _ = whole.step(record)
        came, failure = joined.step(record)
        assert failure is None
        assert came == expected
    for kind in ENGINE_KINDS:
        assert whole.engines[kind].digest() == joined.engines[kind].digest()
