"""Computed funding rates on both engines: long pauses, edges of every number, depth, and rates that venues recorded."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from exchange.audit import Auditor, differences
from exchange.engine import ENGINE_KINDS, Engine, create_engine
from exchange.protocol import messages as m
from exchange.protocol.records import decode_events, encode_command, stamp
from exchange.protocol.schema import MAX_IMPACT_LEVELS

SECOND = 10**9
INDEX = 10**9  # ticks, so that a tick is a part per billion of it
BUY, SELL = 0, 1
LONG, SHORT, QUOTER = 1, 2, 3
LAST_NS = 2**63 - 1
POST_ONLY = 1
RECORDED = [
    folder / "shared" / "data" / "perp" / "funding_8h_BTC_ETH_2020_2023.csv.gz"
    for folder in Path(__file__).parents
]


class Desk:
    """An engine with an auditor beside it, and a clock."""

    def __init__(self, kind: str) -> None:
        self.engine: Engine = create_engine(kind)
        self.auditor = Auditor()
        self.now_ns = 0

    def send(self, *commands: m.Command) -> list[m.Event]:
        raw = b"".join(map(encode_command, commands))
        stamped = stamp(raw, self.engine.sequence + 1, self.now_ns)
        told = self.engine.apply(stamped)
        self.auditor.feed_commands(stamped)
        self.auditor.feed(told)
        assert self.auditor.violations == []
        return decode_events(told)

    def at(self, now_ns: int, *commands: m.Command) -> list[m.Event]:
        self.now_ns = now_ns
        return self.send(*(commands or (m.AdvanceTime(),)))

    def open(self, index: int = INDEX, m_atoms: int = 1, **policy: int) -> None:
        """A symbol with a composite mark, a long and a short of one lot, and a funding policy."""
        self.send(
            m.ListSymbol(
                symbol=1,
                name="X",
                tick_size_e12=10**6,
                lot_size_e12=m_atoms * 10**10,
                atoms_per_tick_lot=m_atoms,
                initial_margin_ppm=1_000_000,
                exposure_limit_atoms=1 << 60,
                max_open_orders=2_000,
                brackets=((0, 50_000, 1_000_000),),
            ),
            m.SetMark(symbol=1, price_ticks=index),
            *(m.Deposit(account=n, amount_atoms=3 * 10**17) for n in (LONG, SHORT, QUOTER)),
            order(SHORT, SELL, 1, index),
            order(LONG, BUY, 1, index),
            m.SetMarkPolicy(symbol=1, max_feeds=0, max_age_ns=10**15, ema_ns=10**15),
            m.SetPrice(symbol=1, price_ticks=index),
            m.SetFundingPolicy(symbol=1, **policy),
        )

    def wallets(self) -> tuple[int, int]:
        views = (self.engine.account(number) for number in (LONG, SHORT))
        first, second = (view.wallet_atoms - 3 * 10**17 for view in views)
        return first, second


def order(account: int, side: int, lots: int, price: int, flags: int = 0) -> m.PlaceOrder:
    return m.PlaceOrder(
        account=account, symbol=1, side=side, qty_lots=lots, price_ticks=price, flags=flags
    )


def rates(events: list[m.Event], final: int = 1) -> list[m.FundingRate]:
    return [e for e in events if isinstance(e, m.FundingRate) and e.final == final]


@pytest.fixture(params=ENGINE_KINDS)
def desk(request: pytest.FixtureRequest) -> Desk:
    return Desk(request.param)


# ------------------------------------------------------------------------------------------------- pauses


def test_a_pause_of_millions_of_samples_is_one_look(desk: Desk) -> None:
    """Eleven days in samples of a millisecond are 10^9 of them, and one event."""
    desk.open(interval_ns=10**15, sample_ns=10**6, impact_notional_atoms=INDEX)
    desk.send(order(QUOTER, BUY, 1, INDEX + 2_000_000, POST_ONLY))
    events = desk.at(10**15)
    (sample,) = rates(events, final=0)
    assert (sample.counted, sample.samples, sample.sample_ppb) == (10**9, 10**9, 2_000_000)
    (rate,) = rates(events)
    assert (rate.premium_ppb, rate.rate_ppb, rate.clamped) == (2_000_000, 1_500_000, 1)
    assert desk.wallets() == (-1_500_000, 1_500_000)


def test_intervals_passed_over_are_not_settled(desk: Desk) -> None:
    """From 0 to the middle of a late second: the first second is settled, the present one begins with 5 samples."""
    desk.open(interval_ns=SECOND, sample_ns=SECOND // 10, impact_notional_atoms=INDEX)
    desk.send(order(QUOTER, BUY, 1, INDEX + 2_000_000, POST_ONLY))
    events = desk.at(987_654 * SECOND + SECOND // 2)
    assert [(e.final, e.samples, e.counted) for e in events if isinstance(e, m.FundingRate)] == [
        (0, 10, 10),
        (1, 10, 0),
        (0, 5, 5),
    ]
    assert desk.wallets() == (-1_500_000, 1_500_000)
    assert rates(events)[0].next_funding_ns == 987_655 * SECOND


def test_time_may_end(desk: Desk) -> None:
    """Nothing is due beyond the last time there is, whatever the grid; an interval that ends there is settled."""
    desk.open(interval_ns=SECOND, sample_ns=SECOND, impact_notional_atoms=INDEX)
    desk.at(LAST_NS - SECOND, m.SetPrice(symbol=1, price_ticks=INDEX))
    (rate,) = rates(desk.at(LAST_NS))
    assert (rate.samples, rate.next_funding_ns) == (1, 0)
    assert rates(desk.at(LAST_NS)) == []
    (*_, told) = desk.send(m.SetFundingPolicy(symbol=1))
    assert isinstance(told, m.FundingPolicySet)
    assert told.next_funding_ns == 0
    assert desk.send(m.AdvanceTime())[1:] == []
    fresh = create_engine("native")
    fresh.restore(desk.engine.snapshot(), desk.engine.sequence, LAST_NS)
    assert fresh.digest() == desk.engine.digest()


# ------------------------------------------------------------------------------------------------ numbers


def test_a_premium_is_at_most_the_whole(desk: Desk) -> None:
    """An index of one tick and a bid of 10^9: the sample is 100 %, the rate is what the cap leaves of it."""
    desk.open(
        index=1, interval_ns=SECOND, sample_ns=SECOND, impact_notional_atoms=10, max_rate_ppb=10**9
    )
    desk.send(order(QUOTER, BUY, 10, 10**9, POST_ONLY))
    events = desk.at(SECOND)
    assert [e.sample_ppb for e in rates(events, final=0)] == [10**9]
    (rate,) = rates(events)
    assert (rate.rate_ppb, rate.cap_ppb, rate.capped) == (999_500_000, 10**9, 0)


def test_a_discount_is_less_than_the_whole(desk: Desk) -> None:
    desk.open(index=10**12, interval_ns=SECOND, sample_ns=SECOND, impact_notional_atoms=10**12)
    desk.send(order(QUOTER, SELL, 1, 1, POST_ONLY))
    (sample,) = rates(desk.at(SECOND), final=0)
    assert sample.sample_ppb == -(10**9 * (10**12 - 1) // 10**12) == -999_999_999


def test_an_impact_that_nothing_can_fill_is_no_premium(desk: Desk) -> None:
    desk.open(interval_ns=SECOND, sample_ns=SECOND, impact_notional_atoms=10**18)
    desk.send(order(QUOTER, BUY, 10, 2 * INDEX, POST_ONLY))
    (rate,) = rates(desk.at(SECOND))
    assert (rate.premium_ppb, rate.rate_ppb) == (0, 100_000)


@pytest.mark.parametrize("lots", [MAX_IMPACT_LEVELS, MAX_IMPACT_LEVELS + 1])
def test_a_thousand_levels_are_looked_at(desk: Desk, lots: int) -> None:
    """Bids of one lot from 1,000 above the index down, a tick apart: 1,000 of them are 500.5 above on average."""
    desk.open(interval_ns=SECOND, sample_ns=SECOND, impact_notional_atoms=lots * INDEX)
    prices = [INDEX + MAX_IMPACT_LEVELS - place for place in range(MAX_IMPACT_LEVELS + 1)]
    desk.send(*(order(QUOTER, BUY, 1, price, POST_ONLY) for price in prices))
    (sample,) = rates(desk.at(SECOND), final=0)
    assert sample.sample_ppb == (500 if lots == MAX_IMPACT_LEVELS else 0)


def test_a_payment_is_exact_to_the_fraction_of_an_atom(desk: Desk) -> None:
    """7 atoms a lot at -1 ppb are -30.06 / 2^32 and become -30; the short pays an atom, and the fund has it."""
    desk.open(
        index=7,
        interval_ns=SECOND,
        sample_ns=SECOND,
        interest_ppb=-1,
        impact_notional_atoms=1,
    )
    events = desk.at(SECOND)
    (settled,) = (e for e in events if isinstance(e, m.FundingSettled))
    assert (settled.payment_atoms_per_lot, settled.payment_fraction_q32) == (-1, 2**32 - 30)
    assert desk.wallets() == (0, -1)
    assert desk.engine.fund(0) == 1


def test_a_snapshot_in_the_middle_of_an_interval_goes_on(desk: Desk) -> None:
    desk.open(interval_ns=4 * SECOND, sample_ns=SECOND, impact_notional_atoms=INDEX)
    desk.send(order(QUOTER, BUY, 1, INDEX + 2_000_000, POST_ONLY))
    desk.at(2 * SECOND)
    for kind in ENGINE_KINDS:
        twin = create_engine(kind)
        twin.restore(desk.engine.snapshot(), desk.engine.sequence, desk.now_ns)
        assert twin.symbols() == desk.engine.symbols()
        record = stamp(encode_command(m.AdvanceTime()), twin.sequence + 1, 4 * SECOND)
        (rate,) = rates(decode_events(twin.apply(record)))
        assert (rate.samples, rate.rate_ppb) == (4, 1_500_000)
    assert differences(desk.auditor, desk.engine) == []


# ------------------------------------------------------------------------------------------------- recorded


def recorded_rates() -> Iterator[int]:
    """What Binance and Bybit settled on BTCUSDT and ETHUSDT in 2020 to 2023, in ppb."""
    path = next((path for path in RECORDED if path.exists()), None)
    if path is None:
        pytest.skip("recorded rates are not beside this project")
    with gzip.open(path, "rt") as lines:
        for row in csv.DictReader(lines):
            ppb = Decimal(row["funding_rate"]).scaleb(9)
            assert ppb == int(ppb), "a recorded rate is finer than a part per billion"
            yield int(ppb)


def premium_behind(rate_ppb: int) -> int:
    """An average premium that makes this rate, at interest 0.01 % and clamp 0.05 %."""
    if rate_ppb == 100_000:
        return 0
    return rate_ppb + (500_000 if rate_ppb > 100_000 else -500_000)


@pytest.mark.parametrize(("kind", "every"), [("native", 5), ("reference", 50)])
def test_recorded_rates_come_out_of_the_formula_to_the_last_digit(kind: str, every: int) -> None:
    """A book with the premium that must have stood behind a settlement gives the recorded rate."""
    desk = Desk(kind)
    desk.open(interval_ns=SECOND, sample_ns=SECOND, impact_notional_atoms=INDEX)
    wanted = list(recorded_rates())
    flat = sum(rate == 100_000 for rate in wanted)
    assert 0.40 < flat / len(wanted) < 0.49, "between 41 % and 48 % were the interest itself"
    for turn, rate in enumerate(wanted[::every], start=1):
        premium = premium_behind(rate)
        side = BUY if premium >= 0 else SELL
        desk.send(m.CancelAll(account=QUOTER), order(QUOTER, side, 1, INDEX + premium, POST_ONLY))
        (told,) = rates(desk.at(turn * SECOND, m.SetPrice(symbol=1, price_ticks=INDEX)))
        assert (told.premium_ppb, told.rate_ppb) == (premium, rate)
