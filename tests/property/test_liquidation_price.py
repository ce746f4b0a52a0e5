"""MARGIN-09 and LIQ-05 as shown: the very tick at which the engine steps in, found by walking the mark there.

An account trades several symbols with brackets, against somebody who can bear everything; some of its positions are
isolated, and orders of its own rest.  Its state is restored into new engines, whose marks then walk tick by tick
against each position until a liquidation begins.  Nothing but the engine says where that is.
"""

from __future__ import annotations

from random import Random

import pytest

from exchange.engine import Engine, create_engine
from exchange.protocol import messages as m
from exchange.protocol.messages import Command, Event
from exchange.protocol.records import decode_events, encode_command, stamp
from exchange.protocol.schema import MAX_PRICE_TICKS
from exchange.protocol.views import PositionView

TRADER, RICH = 3, 9
BUY, SELL = 0, 1
WALK = 700  # ticks, at most
SEEDS = range(120)


def send(engine: Engine, command: Command) -> list[Event]:
    record = stamp(encode_command(command), engine.sequence + 1, 0)
    return decode_events(engine.apply(record))


def copy_of(engine: Engine, kind: str) -> Engine:
    other = create_engine(kind)
    other.restore(engine.snapshot(), engine.sequence, engine.timestamp_ns)
    return other


def random_brackets(random: Random) -> tuple[tuple[int, int, int], ...]:
    """Up to five brackets whose edges a position of a few lots crosses."""
    count = random.randint(1, 5)
    rates = sorted(random.randint(1, 300) for _ in range(count))
    edges = sorted(random.sample(range(1, 40), count - 1))
    floors = [0, *(1_000 * edge for edge in edges)]
    return tuple((floor, 1_000 * rate, 0) for floor, rate in zip(floors, rates, strict=True))


def random_account(seed: int) -> Engine:
    """A venue of one to three symbols, and a trader on it with positions and orders."""
    random = Random(seed)
    engine = create_engine("native")
    symbols = range(1, random.randint(1, 3) + 1)
    marks = {symbol: random.randint(20, 200) for symbol in symbols}
    for symbol in symbols:
        brackets = random_brackets(random)
        per_tick_lot = random.randint(1, 7)
        send(
            engine,
            m.ListSymbol(
                symbol=symbol,
                name=f"S{symbol}",
                tick_size_e12=per_tick_lot * 10**8,
                lot_size_e12=10**8,
                atoms_per_tick_lot=per_tick_lot,
                initial_margin_ppm=max(brackets[0][1], random.choice((10_000, 100_000))),
                taker_fee_ppm=random.choice((0, 500)),
                upnl_weight_ppm=random.choice((0, 1_000_000)),
                exposure_limit_atoms=1 << 58,
                brackets=brackets,
            ),
        )
        send(engine, m.SetMark(symbol=symbol, price_ticks=marks[symbol]))
    send(engine, m.Deposit(account=RICH, amount_atoms=10**15))
    send(engine, m.Deposit(account=TRADER, amount_atoms=random.choice((3_000, 20_000, 200_000))))
    is_hedged = seed % 3 == 0
    if is_hedged:
        send(engine, m.SetPositionMode(account=TRADER, position_mode=1))
    for symbol in symbols:
        for leg in (1, 2) if is_hedged else (0,):
            if random.random() < 0.4:
                mode = m.SetMarginMode(account=TRADER, symbol=symbol, margin_mode=1, leg=leg)
                send(engine, mode)
    for _ in range(random.randint(3, 14)):
        symbol, side = random.choice(symbols), random.choice((BUY, SELL))
        price = max(1, marks[symbol] + random.randint(-3, 3))
        lots = random.choice((1, 3, 10, 40))
        order = m.PlaceOrder(symbol=symbol, side=side, price_ticks=price, qty_lots=lots)
        if random.random() < 0.7:
            send(engine, m.PlaceOrder(account=RICH, **fields(order) | {"side": 1 - side}))
        # Most of them open: a long leg is bought, a short one sold.
        leg = (1 + side if random.random() < 0.9 else 2 - side) if is_hedged else 0
        send(engine, m.PlaceOrder(account=TRADER, leg=leg, **fields(order)))
        send(engine, m.CancelAll(account=RICH, symbol=0, side=2))
    for symbol in symbols:  # and the marks are no longer those of the trades
        leap = random.randint(-6, 6)
        send(engine, m.SetMark(symbol=symbol, price_ticks=max(1, marks[symbol] + leap)))
    return engine


def fields(order: m.PlaceOrder) -> dict[str, int]:
    return {name: getattr(order, name) for name in ("symbol", "side", "price_ticks", "qty_lots")}


def held(engine: Engine) -> list[PositionView]:
    return [view for view in engine.positions(TRADER) if view.position_lots]


def begins(events: list[Event], view: PositionView) -> bool:
    """Whether the pool of this position begins to be liquidated."""
    pool = (TRADER, view.symbol, view.leg) if view.margin_mode else (TRADER, 0, 0)
    return any(
        isinstance(event, m.LiquidationStarted) and (event.account, event.symbol, event.leg) == pool
        for event in events
    )


def first_liquidating_mark(engine: Engine, view: PositionView) -> int:
    """Walks the mark against the position; the first at which its pool is liquidated, 0 if none was met."""
    step = -1 if view.position_lots > 0 else 1
    mark = view.mark_ticks
    for _ in range(WALK):
        events = send(engine, m.SetMark(symbol=view.symbol, price_ticks=mark))
        assert isinstance(events[0], m.Accepted)
        if begins(events, view):
            return mark
        mark += step
        if mark < 1:
            return 0
    return 0


@pytest.mark.parametrize("seed", SEEDS)
def test_the_shown_price_is_the_first_at_which_the_engine_liquidates(seed: int) -> None:
    """MARGIN-09, in cross and isolated pools, with hedges, brackets and orders; both engines show the same."""
    engine = random_account(seed)
    views = held(engine)
    assert views == held(copy_of(engine, "reference"))
    for view in views:
        shown = view.liquidation_price_ticks
        if view.liquidating:
            assert shown == view.mark_ticks  # it is being liquidated, and still below maintenance
            continue
        walked = first_liquidating_mark(copy_of(engine, "native"), view)
        if abs(shown - view.mark_ticks) < WALK and shown:
            assert walked == shown
            continue
        assert walked == 0
        if view.position_lots < 0:  # far away, or beyond every price
            assert shown == 0 or steps_in(engine, view, shown)


def steps_in(engine: Engine, view: PositionView, price_ticks: int) -> bool:
    """Whether the engine steps in at this mark and not one tick nearer."""
    nearer = price_ticks + (1 if view.position_lots > 0 else -1)
    calm = send(copy_of(engine, "native"), m.SetMark(symbol=view.symbol, price_ticks=nearer))
    there = send(copy_of(engine, "native"), m.SetMark(symbol=view.symbol, price_ticks=price_ticks))
    assert isinstance(calm[0], m.Accepted) and isinstance(there[0], m.Accepted)
    return begins(there, view) and not begins(calm, view)


def test_these_accounts_are_worth_looking_at() -> None:
    """Many shown prices, on both sides, cross and isolated, beside hedges, and some accounts that have none."""
    views = [(seed, view) for seed in SEEDS for view in held(random_account(seed))]
    shown = [view for _, view in views if view.liquidation_price_ticks]
    sides = {(view.position_lots > 0, view.margin_mode) for view in shown}
    assert len(shown) > 50 and sides == {(a, b) for a in (False, True) for b in (0, 1)}
    assert any(view.liquidation_price_ticks == 0 for _, view in views)
    assert any(view.order_margin_atoms for view in shown)
    cross = [(seed, view.position_lots > 0) for seed, view in views if not view.margin_mode]
    assert sum((seed, True) in cross and (seed, False) in cross for seed in SEEDS) > 5
    legs = [(seed, view.symbol) for seed, view in views if view.leg and not view.margin_mode]
    assert sum(legs.count(both) == 2 for both in set(legs)) > 5
    assert all(view.liquidation_price_ticks <= MAX_PRICE_TICKS for view in shown)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_shown_bankruptcy_price_is_the_limit_of_the_closing_order(
    seed: int, engine_kind: str
) -> None:
    """LIQ-05, LIQ-06: with no fund and no cap.  Nobody bids, so after the closing orders all is as they saw it."""
    engine = random_account(seed)
    for view in held(engine):
        if not view.liquidation_price_ticks or view.liquidating:
            continue
        copy = copy_of(engine, engine_kind)
        mark = m.SetMark(symbol=view.symbol, price_ticks=view.liquidation_price_ticks)
        events = send(copy, mark)
        orders = [e for e in events if isinstance(e, m.LiquidationOrder) and e.account == TRADER]
        if any(isinstance(event, m.Fill) for event in events):
            continue  # deleveraged: it was below zero at its first bad mark already
        assert orders
        shown = {(view.symbol, view.leg): view.bankruptcy_price_ticks for view in held(copy)}
        limits = {(order.symbol, order.leg): order.price_ticks for order in orders}
        assert limits.items() <= shown.items()


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_shown_as_removable_is_what_can_be_removed(seed: int, engine_kind: str) -> None:
    """ACCT-06: to the atom."""
    engine = copy_of(random_account(seed), engine_kind)
    for view in held(engine):
        if not view.margin_mode or view.liquidating or engine.account(TRADER).liquidating:
            assert view.margin_mode or not view.removable_atoms
            continue
        much = m.ChangeIsolatedMargin(
            account=TRADER, symbol=view.symbol, change_atoms=-view.removable_atoms - 1, leg=view.leg
        )
        assert isinstance(send(engine, much)[0], m.Rejected)
        if view.removable_atoms:
            right = m.ChangeIsolatedMargin(
                account=TRADER, symbol=view.symbol, change_atoms=-view.removable_atoms, leg=view.leg
            )
            assert isinstance(send(engine, right)[0], m.Accepted)
