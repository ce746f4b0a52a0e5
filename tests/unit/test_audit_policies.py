"""The auditor and what changes while a symbol trades: it passes what the engines do, and notices what they may not."""

from __future__ import annotations

import msgspec
import pytest

from exchange.audit import Auditor, differences
from exchange.engine import ENGINE_KINDS, create_engine
from exchange.protocol import messages as m
from exchange.protocol.messages import Event
from exchange.protocol.records import decode_events, encode_command, stamp

MARGIN = 100_000


def listing() -> m.ListSymbol:
    """One atom a lot and tick, 10x, 5 % maintenance, orders closed whole."""
    return m.ListSymbol(
        symbol=1,
        name="X",
        tick_size_e12=10**8,
        lot_size_e12=10**8,
        atoms_per_tick_lot=1,
        initial_margin_ppm=MARGIN,
        liquidation_mode=0,
        brackets=((0, 50_000, 0),),
    )


def order(account: int, side: int, lots: int, price: int, **more: int) -> m.PlaceOrder:
    return m.PlaceOrder(
        account=account, symbol=1, side=side, qty_lots=lots, price_ticks=price, **more
    )


def opening(*accounts: tuple[int, int]) -> list[m.Command]:
    """A listed symbol at 100, and accounts with money."""
    paid = [m.Deposit(account=number, amount_atoms=amount) for number, amount in accounts]
    return [listing(), m.SetMark(symbol=1, price_ticks=100), *paid]


def stamped(commands: list[m.Command]) -> bytes:
    return stamp(b"".join(map(encode_command, commands)), 1, 0)


def told(commands: list[m.Command], kind: str = "reference") -> list[Event]:
    return decode_events(create_engine(kind).apply(stamped(commands)))


def found(commands: list[m.Command], events: list[Event]) -> set[str]:
    """What the auditor reports of these events."""
    auditor = Auditor()
    auditor.feed_commands(stamped(commands))
    auditor.feed(events)
    auditor.check()
    return {violation.invariant for violation in auditor.violations}


def assert_clean(commands: list[m.Command]) -> None:
    """Both engines tell the same, nothing breaks a rule, and the auditor's books are what the engines show."""
    assert told(commands, "native") == told(commands, "reference")
    for kind in ENGINE_KINDS:
        engine, auditor = create_engine(kind), Auditor()
        auditor.feed_commands(stamped(commands))
        auditor.feed(engine.apply(stamped(commands)))
        auditor.check()
        assert auditor.violations == []
        assert differences(auditor, engine) == []


def changed(events: list[Event], event: Event, **fields: object) -> list[Event]:
    """The stream with one event that says something else."""
    index = events.index(event)
    return [*events[:index], msgspec.structs.replace(event, **fields), *events[index + 1 :]]


def only(events: list[Event], kind: type[Event]) -> Event:
    (event,) = (event for event in events if isinstance(event, kind))
    return event


# ------------------------------------------------------------------------------------------------ brackets

#: 2 is long 10 from 100 on 60, against 1; then brackets double.
TIGHTENED: list[m.Command] = [
    *opening((1, 10_000), (2, 160), (3, 10_000)),
    m.SetMarginMode(account=2, symbol=1, margin_mode=0, initial_margin_ppm=MARGIN),
    order(1, 1, 10, 100),
    order(2, 0, 10, 100),
    order(3, 0, 30, 94),
    m.SetMark(symbol=1, price_ticks=95),
    m.SetBrackets(symbol=1, initial_margin_ppm=300_000, brackets=((0, 200_000, 0),)),
]


def test_a_bracket_table_in_force_passes() -> None:
    assert_clean(TIGHTENED)
    assert any(isinstance(event, m.LiquidationStarted) for event in told(TIGHTENED))


def test_a_table_after_which_nobody_is_liquidated_breaks_i7() -> None:
    events = told(TIGHTENED)
    index = events.index(only(events, m.BracketsChanged))
    assert found(TIGHTENED, events[: index + 1]) == {"I7"}


def test_money_that_moves_with_a_table_breaks_i35() -> None:
    events = told(TIGHTENED)
    index = events.index(only(events, m.BracketsChanged))
    moved = m.BalanceChanged(
        account=2,
        sequence=events[index].sequence,
        symbol=0,
        cause=1,
        wallet_change_atoms=1,
        margin_change_atoms=0,
        wallet_atoms=61,
        margin_atoms=0,
    )
    assert "I35" in found(TIGHTENED, [*events[: index + 1], moved, *events[index + 1 :]])


@pytest.mark.parametrize(
    "brackets",
    [
        (),
        ((1, 50_000, 50_000),),
        ((0, 50_000, 40_000),),
        ((0, 50_000, 50_000), (7, 60_000, 60_000)),
        ((0, 50_000, 50_000), (1_000_000, 40_000, 50_000)),
        ((0, 400_000, 400_000),),
    ],
)
def test_a_table_that_no_listing_may_have_breaks_i21(
    brackets: tuple[m.Bracket, ...],
) -> None:
    events = told(TIGHTENED)
    wrong = changed(events, only(events, m.BracketsChanged), brackets=brackets)
    assert "I21" in found(TIGHTENED, wrong)


def test_an_account_with_a_rate_of_its_own_keeps_it() -> None:
    """The own rate of 2 is the default of that moment; the default doubles, and the own rate stays."""
    commands = [
        *TIGHTENED[:-1],
        m.SetBrackets(symbol=1, initial_margin_ppm=2 * MARGIN, brackets=((0, 50_000, 0),)),
    ]
    for kind in ENGINE_KINDS:
        engine = create_engine(kind)
        engine.apply(stamped(commands))
        rates = {n: engine.positions(n)[0].initial_margin_ppm for n in (1, 2)}
        assert rates == {1: 2 * MARGIN, 2: MARGIN}


def test_a_table_outlives_a_snapshot_and_the_listed_one_leaves_no_trace() -> None:
    back = m.SetBrackets(symbol=1, initial_margin_ppm=MARGIN, brackets=((0, 50_000, 50_000),))
    for kind in ENGINE_KINDS:
        engine = create_engine(kind)
        engine.apply(stamped(opening((1, 100))))
        before = engine.digest()
        records = stamp(encode_command(TIGHTENED[-1]), engine.sequence + 1, 0)
        engine.apply(records)
        changed_digest = engine.digest()
        for other in ENGINE_KINDS:
            copy = create_engine(other)
            copy.restore(engine.snapshot(), engine.sequence, 0)
            assert copy.digest() == changed_digest != before
            copy.apply(stamp(encode_command(back), copy.sequence + 1, 0))
            assert copy.digest() == before


# ---------------------------------------------------------------------------------------------------- caps

#: 1 bids 6 and 4, and 2 sells 10 into them: all that 1,000 atoms of open interest and position have room for.
CAPPED: list[m.Command] = [
    *opening((1, 10_000), (2, 10_000), (3, 10_000)),
    m.SetRiskLimits(symbol=1, position_limit_atoms=1_000, open_interest_limit_atoms=1_000),
    order(1, 0, 6, 100),
    order(1, 0, 4, 99),
    order(2, 1, 10, 99),
    order(1, 1, 10, 101),
    m.AmendOrder(account=1, order_id=4, price_ticks=102),
]


def test_orders_inside_their_caps_pass() -> None:
    assert_clean(CAPPED)


@pytest.mark.parametrize("cap", ["position_limit_atoms", "open_interest_limit_atoms"])
def test_orders_that_rest_above_a_cap_break_i34(cap: str) -> None:
    events = told(CAPPED)
    wrong = changed(events, only(events, m.RiskLimitsChanged), **{cap: 999})
    assert "I34" in found(CAPPED, wrong)


def test_fills_that_raise_open_interest_above_its_cap_break_i34() -> None:
    events = told(CAPPED)
    caps = only(events, m.RiskLimitsChanged)
    later = changed(events, caps, position_limit_atoms=-1, open_interest_limit_atoms=-1)
    first_fill = next(i for i, e in enumerate(later) if isinstance(e, m.Fill))
    before = msgspec.structs.replace(
        caps, sequence=later[first_fill].sequence, open_interest_limit_atoms=999
    )
    assert "I34" in found(CAPPED, [*later[:first_fill], before, *later[first_fill:]])


def test_caps_and_scales_outlive_a_snapshot() -> None:
    caps = m.SetRiskLimits(
        symbol=1, position_limit_atoms=5, oi_scaling_lower_atoms=0, oi_scaling_upper_atoms=9
    )
    for kind in ENGINE_KINDS:
        engine = create_engine(kind)
        engine.apply(stamped([*opening((1, 100)), caps]))
        for other in ENGINE_KINDS:
            copy = create_engine(other)
            copy.restore(engine.snapshot(), engine.sequence, 0)
            assert copy.digest() == engine.digest()
            copy.apply(stamp(encode_command(m.SetRiskLimits(symbol=1)), copy.sequence + 1, 0))
            empty = create_engine(kind)
            empty.apply(stamped(opening((1, 100))))
            assert copy.digest() == empty.digest()


def test_the_scaled_rate_never_falls_below_its_own_and_ends_at_100_percent() -> None:
    """Open interest grows lot by lot on a scale that no lot divides: the requirement rises with it, up to all of it."""
    commands = [
        *opening((1, 10_000), (2, 10_000)),
        m.SetRiskLimits(symbol=1, oi_scaling_lower_atoms=333, oi_scaling_upper_atoms=1_777),
    ]
    for kind in ENGINE_KINDS:
        engine = create_engine(kind)
        engine.apply(stamped(commands))
        rates = []
        for lots in range(1, 20):
            for command in (order(1, 1, 1, 100), order(2, 0, 1, 100)):
                engine.apply(stamp(encode_command(command), engine.sequence + 1, 0))
            needed = engine.positions(2)[0].initial_margin_atoms
            over = min(max(100 * lots - 333, 0), 1_444)
            rate = MARGIN + -(-900_000 * over // 1_444)
            assert needed == -(-100 * lots * rate // 1_000_000)
            rates.append(rate)
        assert rates[0] == MARGIN
        assert rates[-1] == 1_000_000
