"""Properties of the requirement itself (I21), read off an engine's views: monotone, ordered, continuous.

An account holds one position; the mark makes its notional whatever is wanted, and the views show what it needs.
"""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.engine import Engine, create_engine
from exchange.protocol import messages as m
from exchange.protocol.messages import Bracket
from exchange.protocol.records import decode_events, encode_command, stamp
from exchange.protocol.views import PositionView

PPM = 1_000_000


@st.composite
def bracket_tables(draw: st.DrawFn) -> tuple[Bracket, ...]:
    """Up to five brackets with rising floors and rates, exact at their edges."""
    count = draw(st.integers(1, 5))
    rates = sorted(draw(st.lists(st.integers(1, 500), min_size=count, max_size=count)))
    initials = sorted(draw(st.lists(st.integers(rates[-1], 1_000), min_size=count, max_size=count)))
    floors = sorted(draw(st.sets(st.integers(1, 10**6), min_size=count - 1, max_size=count - 1)))
    edges = [0, *(floor * 1_000 for floor in floors)]
    rows = zip(edges, rates, initials, strict=True)
    return tuple((floor, rate * 1_000, initial * 1_000) for floor, rate, initial in rows)


class Desk:
    """An engine with one symbol worth one atom per lot and tick, and two accounts with a position of one lot."""

    def __init__(self, kind: str, brackets: tuple[Bracket, ...], initial_ppm: int) -> None:
        self.engine: Engine = create_engine(kind)
        self.do(
            m.ListSymbol(
                symbol=1,
                name="X",
                tick_size_e12=10**8,
                lot_size_e12=10**8,
                atoms_per_tick_lot=1,
                initial_margin_ppm=max(initial_ppm, brackets[0][2]),
                exposure_limit_atoms=1 << 60,
                brackets=brackets,
            )
        )
        for account in (1, 2):
            self.do(m.Deposit(account=account, amount_atoms=10**17))
        self.mark(1)
        self.do(m.PlaceOrder(account=2, symbol=1, side=1, price_ticks=1, qty_lots=1))
        self.do(m.PlaceOrder(account=1, symbol=1, side=0, price_ticks=1, qty_lots=1))

    def do(self, command: m.Command) -> None:
        raw = self.engine.apply(stamp(encode_command(command), self.engine.sequence + 1, 0))
        assert isinstance(decode_events(raw)[0], m.Accepted), decode_events(raw)[0]

    def mark(self, price_ticks: int) -> None:
        self.do(m.SetMark(symbol=1, price_ticks=price_ticks))

    def long(self, notional: int) -> PositionView:
        """The long position at a mark that gives it this notional."""
        self.mark(notional)
        return self.engine.positions(1)[0]


def exact_maintenance(brackets: tuple[Bracket, ...], notional: int) -> Fraction:
    """The requirement as an integral of the marginal rate: no cumulative amounts, no rounding."""
    total = Fraction(0)
    for index, (floor, rate, _) in enumerate(brackets):
        top = brackets[index + 1][0] if index + 1 < len(brackets) else notional
        total += Fraction(max(0, min(notional, top) - floor) * rate, PPM)
    return total


@settings(max_examples=200, deadline=None)
@given(
    bracket_tables(), st.integers(1, PPM), st.lists(st.integers(1, 10**10), min_size=1, max_size=6)
)
def test_maintenance_is_the_integral_of_the_rates(
    brackets: tuple[Bracket, ...], initial_ppm: int, notionals: list[int]
) -> None:
    """MARGIN-03, I21: within one atom, so without a jump at any edge; both engines the same."""
    desks = [Desk(kind, brackets, initial_ppm) for kind in ("native", "reference")]
    edges = [floor + shift for floor, _, _ in brackets[1:] for shift in (-1, 0, 1)]
    for notional in [*notionals, *edges]:
        exact = exact_maintenance(brackets, notional)
        views = [desk.long(notional) for desk in desks]
        assert exact <= views[0].maintenance_atoms < exact + 1
        assert views[0] == views[1]


@settings(max_examples=200, deadline=None)
@given(
    bracket_tables(), st.integers(1, PPM), st.lists(st.integers(1, 10**10), min_size=2, max_size=8)
)
def test_requirements_rise_with_the_notional_and_initial_is_above_maintenance(
    brackets: tuple[Bracket, ...], initial_ppm: int, notionals: list[int]
) -> None:
    """MARGIN-03, MARGIN-04, I21."""
    desk = Desk("native", brackets, initial_ppm)
    before = (0, 0)
    for notional in sorted(
        notionals + [floor + s for floor, _, _ in brackets[1:] for s in (-1, 0)]
    ):
        view = desk.long(notional)
        assert view.initial_margin_atoms >= view.maintenance_atoms >= 1
        assert view.maintenance_atoms >= before[0]
        assert view.initial_margin_atoms >= before[1]
        before = (view.maintenance_atoms, view.initial_margin_atoms)


@settings(max_examples=200, deadline=None)
@given(
    bracket_tables(),
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(1, 2_000), st.integers(1, 50)),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 2_000),
)
def test_another_order_never_frees_margin(
    brackets: tuple[Bracket, ...], orders: list[tuple[int, int, int]], mark: int
) -> None:
    """MARGIN-05, MARGIN-06: each further order leaves as much or less available, and cancelling gives it back."""
    desk = Desk("native", brackets, 1)
    desk.mark(mark)
    whole = seen = desk.engine.account(1).available_atoms
    open_prices: tuple[list[int], list[int]] = ([], [])
    for side, price, lots in orders:
        others = open_prices[1 - side]
        if any(price >= other if side == 0 else price <= other for other in others):
            continue  # it would meet an order of its own
        open_prices[side].append(price)
        desk.do(m.PlaceOrder(account=1, symbol=1, side=side, price_ticks=price, qty_lots=lots))
        now = desk.engine.account(1).available_atoms
        assert now <= seen
        seen = now
    assert desk.engine.account(1).open_orders == sum(map(len, open_prices))
    desk.do(m.CancelAll(account=1))
    assert desk.engine.account(1).available_atoms == whole


@settings(max_examples=200, deadline=None)
@given(
    bracket_tables(),
    st.integers(2, 3_000),
    st.integers(1, 40),
    st.booleans(),
    st.booleans(),
    st.integers(0, 300),
)
def test_the_liquidation_price_is_the_first_that_liquidates(
    brackets: tuple[Bracket, ...], mark: int, lots: int, is_long: bool, isolated: bool, spare: int
) -> None:
    """MARGIN-09: one tick before it nothing happens, at it the liquidation begins."""
    desk = Desk("native", brackets, 1)
    desk.mark(mark)
    trader, other = 5, 6
    needed = mark * lots * brackets[-1][2] // PPM + lots + 1
    desk.do(m.Deposit(account=trader, amount_atoms=needed + spare))
    desk.do(m.Deposit(account=other, amount_atoms=10**16))
    if isolated:
        desk.do(m.SetMarginMode(account=trader, symbol=1, margin_mode=1))
    side = 0 if is_long else 1
    desk.do(m.PlaceOrder(account=other, symbol=1, side=1 - side, price_ticks=mark, qty_lots=lots))
    desk.do(m.PlaceOrder(account=trader, symbol=1, side=side, price_ticks=mark, qty_lots=lots))
    (view,) = desk.engine.positions(trader)
    price = view.liquidation_price_ticks
    if price == 0:
        assert is_long  # only a long can be backed down to the last tick
        desk.mark(1)
        assert not desk.engine.positions(trader)[0].liquidating
        return
    assert (price < mark) == is_long or price == mark
    if price != mark:
        step = 1 if is_long else -1
        desk.mark(price + step)
        assert not began(desk, price + step, trader)
    assert began(desk, price, trader)


def began(desk: Desk, price_ticks: int, account: int) -> bool:
    """Whether the mark begins a liquidation of the account."""
    raw = desk.engine.apply(
        stamp(
            encode_command(m.SetMark(symbol=1, price_ticks=price_ticks)),
            desk.engine.sequence + 1,
            0,
        )
    )
    return any(
        isinstance(e, m.LiquidationStarted) and e.account == account for e in decode_events(raw)
    )
