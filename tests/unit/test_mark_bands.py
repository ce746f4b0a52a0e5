"""A mark that passes over the pools inside their bands does what one does that measures them all.

Both ways on one random stream, with more positions than a block and a chunk of bands hold: the same events, the same
state; and the first way measures what it passed over, too, and stops if it should not have.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from exchange._native.engine import Engine
from exchange.bench.core import in_batches, packer
from exchange.protocol import messages, records, schema

DEPOSIT = packer("deposit", "account", "amount_atoms")
WITHDRAW = packer("withdraw", "account", "amount_atoms")
MODE = packer("set_margin_mode", "account", "symbol", "margin_mode", "initial_margin_ppm")
MARGIN = packer("change_isolated_margin", "account", "symbol", "change_atoms")
MARK = packer("set_mark", "symbol", "price_ticks")
FUNDING = packer("settle_funding", "symbol", "payment_atoms_per_lot")
PLACE = packer(
    "place_order", "account", "symbol", "side", "price_ticks", "qty_lots", "time_in_force"
)
STATE = packer("set_symbol_state", "symbol", "state")
LEVELS = packer(
    "set_margin_warnings",
    *("first_level_ppm", "second_level_ppm", "third_level_ppm", "fourth_level_ppm"),
)
IOC = schema.TimeInForce.IOC
MARK_TICKS = 10_000
BATCH = 200
LIQUIDATED = schema.EVENT_BY_NAME["liquidation_started"].number
WARNED = schema.EVENT_BY_NAME["margin_warning"].number
#: Many: levels far from liquidation, close together, and just before it.
WARNING_LEVELS = ((800_000, 900_000, 0, 0), (20_000, 500_000, 800_000, 999_999), (0, 0, 0, 0))


def listing(symbol: int, rng: random.Random) -> messages.ListSymbol:
    """Brackets that a position of a few lots passes through."""
    floor = 100 * MARK_TICKS
    return messages.ListSymbol(
        symbol=symbol,
        name=f"S{symbol}",
        tick_size_e12=10**12,
        lot_size_e12=10**4,
        atoms_per_tick_lot=1,
        initial_margin_ppm=rng.choice((20_000, 100_000)),
        taker_fee_ppm=500,
        maker_fee_ppm=rng.choice((-100, 200)),
        max_open_orders=1_000,
        exposure_limit_atoms=schema.MAX_EXPOSURE_ATOMS // 8,
        liquidation_mode=rng.choice(list(schema.LiquidationMode)),
        brackets=((0, 10_000, 20_000), (floor, 20_000, 40_000), (10 * floor, 900_000, 1_000_000)),
    )


def brackets(symbol: int, rng: random.Random) -> messages.SetBrackets:
    """Another maintenance rate for all that is open."""
    rate = rng.choice((5_000, 10_000, 30_000))
    return messages.SetBrackets(
        symbol=symbol, initial_margin_ppm=100_000, brackets=((0, rate, 2 * rate),)
    )


def pair(rng: random.Random, accounts: int, symbol: int, mark: int) -> Iterator[bytes]:
    """Two accounts that trade near the mark."""
    buyer, seller = rng.randint(1, accounts), rng.randint(1, accounts)
    price, lots = mark + rng.randint(-3, 3), rng.choice((1, 5, 30, 150))
    yield PLACE(buyer, symbol, 0, price, lots, 0)
    yield PLACE(seller, symbol, 1, price, lots, IOC)


def stream(
    seed: int, accounts: int, symbols: int, steps: int, warnings: bool = False
) -> list[bytes]:
    """Money, modes, trades, funding, brackets, perhaps warnings, and falling and rising marks."""
    rng = random.Random(seed)
    marks = dict.fromkeys(range(1, symbols + 1), MARK_TICKS)
    found = [records.encode_commands([listing(symbol, rng)]) for symbol in marks]
    found += [MARK(symbol, mark) for symbol, mark in marks.items()]
    for account in range(1, accounts + 1):
        found.append(DEPOSIT(account, rng.choice((10_000, 100_000, 1_000_000))))
        if rng.random() < 0.4:
            found.append(MODE(account, rng.randint(1, symbols), 1, rng.choice((40_000, 200_000))))
    for _ in range(2 * accounts):
        found += pair(rng, accounts, rng.randint(1, symbols), MARK_TICKS)
    for step in range(steps):
        if warnings and step % 500 == 0:
            found.append(LEVELS(*WARNING_LEVELS[step // 500 % len(WARNING_LEVELS)]))
        symbol, account = rng.randint(1, symbols), rng.randint(1, accounts)
        draw = rng.random()
        if draw < 0.5:
            marks[symbol] = max(1, marks[symbol] * rng.randint(980, 1020) // 1000)
            found.append(MARK(symbol, marks[symbol]))
        elif draw < 0.8:
            found += pair(rng, accounts, symbol, marks[symbol])
        elif draw < 0.84:
            found.append(DEPOSIT(account, rng.randint(1, 50_000)))
        elif draw < 0.88:
            found.append(WITHDRAW(account, rng.randint(1, 50_000)))
        elif draw < 0.92:
            found.append(MODE(account, symbol, rng.randint(0, 1), rng.choice((0, 50_000, 500_000))))
        elif draw < 0.96:
            found.append(MARGIN(account, symbol, rng.randint(-10_000, 10_000)))
        elif draw < 0.97:
            found.append(FUNDING(symbol, rng.randint(-30, 30)))
        elif draw < 0.98:
            found.append(records.encode_commands([brackets(symbol, rng)]))
        else:
            found += [STATE(symbol, schema.SymbolState.AUCTION)]
            found += pair(rng, accounts, symbol, marks[symbol])
            found += [STATE(symbol, schema.SymbolState.OPEN)]
    return found


def liquidations(events: bytes, kind: int = LIQUIDATED) -> int:
    return sum(event.number == kind for event in records.decode_events(events))


@pytest.mark.parametrize(
    ("accounts", "symbols", "steps"), [(40, 3, 3_000), (300, 4, 4_000), (6_000, 1, 600)]
)
def test_bands_do_what_a_scan_does(accounts: int, symbols: int, steps: int) -> None:
    bands, scan = Engine(prove_marks=True), Engine(scan_marks=True)
    started = 0
    for batch in in_batches(stream(accounts, accounts, symbols, steps), 0, BATCH):
        events = bands.apply(batch)
        assert events == scan.apply(batch)
        started += liquidations(events)
    assert bands.digest() == scan.digest()
    assert started > 50


@pytest.mark.parametrize(
    ("accounts", "symbols", "steps"), [(40, 3, 3_000), (300, 4, 3_000), (6_000, 1, 700)]
)
def test_bands_warn_whom_a_scan_warns(accounts: int, symbols: int, steps: int) -> None:
    """MARGIN-10: and the engine that proves its bands stops if a pool was not told what it has reached."""
    bands, scan = Engine(prove_marks=True), Engine(scan_marks=True)
    warned = 0
    for batch in in_batches(stream(accounts, accounts, symbols, steps, True), 0, BATCH):
        events = bands.apply(batch)
        assert events == scan.apply(batch)
        warned += liquidations(events, WARNED)
    assert bands.digest() == scan.digest()
    assert warned > 50


def test_a_restored_state_warns_of_what_was_not_told_yet() -> None:
    commands = stream(7, 300, 3, 3_000, True)
    whole = Engine(prove_marks=True)
    for start in range(0, len(commands), 600):
        part = list(in_batches(commands[start : start + 600], start, BATCH))
        fresh = Engine(prove_marks=True)
        fresh.restore(whole.snapshot(), whole.sequence, whole.timestamp_ns)
        for batch in part:
            assert fresh.apply(batch) == whole.apply(batch)


def test_bands_are_drawn_anew_for_a_restored_state() -> None:
    commands = stream(7, 300, 3, 3_000)
    half = len(commands) // 2
    scan = Engine(scan_marks=True)
    for batch in in_batches(commands[:half], 0, BATCH):
        scan.apply(batch)
    bands = Engine(prove_marks=True)
    bands.restore(scan.snapshot(), scan.sequence, scan.timestamp_ns)
    for batch in in_batches(commands[half:], half, BATCH):
        assert bands.apply(batch) == scan.apply(batch)


def test_a_position_alone_in_its_pool_is_liquidated_at_its_liquidation_price() -> None:
    """Long 10 at 10,000 on an isolated pool of 4,000, maintenance 1 %: 4,000 + 10 (p - 10,000) < 0.1 p, p < 9,697."""
    engine = Engine(prove_marks=True)
    commands = [records.encode_commands([listing(1, random.Random(1))]), MARK(1, MARK_TICKS)]
    commands += [DEPOSIT(1, 10_000), DEPOSIT(2, 1_000_000)]
    commands += [MODE(1, 1, 1, 40_000), PLACE(2, 1, 1, MARK_TICKS, 10, 0)]
    commands += [PLACE(1, 1, 0, MARK_TICKS, 10, IOC)]
    commands += [MARK(1, 9_697), MARK(1, 20_000), MARK(1, 9_697), MARK(1, 9_696)]
    seen = [liquidations(engine.apply(batch)) for batch in in_batches(commands, 0, 1)]
    assert seen == [0] * (len(commands) - 1) + [1]


def test_a_position_alone_in_its_pool_is_warned_at_the_tick() -> None:
    """The same position under a level of 50 %.

    At 9,797 980 of 1,970 are needed; at 9,796 979.6, rounded up 980, of 1,960: just the half.
    """
    engine = Engine(prove_marks=True)
    commands = [records.encode_commands([listing(1, random.Random(1))]), MARK(1, MARK_TICKS)]
    commands += [LEVELS(500_000, 0, 0, 0), DEPOSIT(1, 10_000), DEPOSIT(2, 1_000_000)]
    commands += [MODE(1, 1, 1, 40_000), PLACE(2, 1, 1, MARK_TICKS, 10, 0)]
    commands += [PLACE(1, 1, 0, MARK_TICKS, 10, IOC)]
    commands += [MARK(1, p) for p in (9_797, 9_796, 9_795, 9_796, 9_797, 9_796, 9_797)]
    seen = [liquidations(engine.apply(batch), WARNED) for batch in in_batches(commands, 0, 1)]
    assert seen[-7:] == [0, 1, 0, 0, 0, 1, 0]
    assert not any(seen[:-7])
