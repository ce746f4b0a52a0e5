"""Every invariant can fail: a stream of events is spoiled for each, and the auditor names it.

The streams are those of two stories that break nothing.  What is spoiled may break more than the one invariant; that
one has to be among what is named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest

from exchange.audit import INVARIANTS, Auditor
from exchange.audit.invariants import by_number
from exchange.protocol import messages as m
from exchange.protocol.messages import Event, ListSymbol
from exchange.protocol.records import decode_commands, decode_events, encode_command, iter_records
from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    BalanceCause,
    CancelReason,
    FillRole,
    FundCause,
    SymbolState,
)
from exchange.sim.scenario import parse_scenario, run_scenario

ROOT = Path(__file__).parents[2]
SYMBOL = """
symbols:
  X: {tick: 1, lot: 1, initial_margin: 0.1, brackets: [[0, 0.05]], taker_fee: 0.001, maker_fee: 0.0005,
      slippage_cap: 0.3, fund: own, liquidation: {mode: full, fee: 0.01}}
"""
#: a is cross, i isolated, m sells to both, w buys, from s too; at 91 both are liquidated, at 77 what is left goes to m.
LIQUIDATED = f"""
name: liquidated
{SYMBOL}
steps:
- fund: {{name: own, amount: 5}}
- deposit: {{account: a, amount: 100}}
- deposit: {{account: i, amount: 200}}
- deposit: {{account: m, amount: 10000}}
- deposit: {{account: w, amount: 10000}}
- deposit: {{account: s, amount: 10000}}
- mark: {{symbol: X, price: 100}}
- trade: {{buyer: w, seller: s, symbol: X, quantity: 8, price: 100}}
- margin_mode: {{account: i, symbol: X, mode: isolated}}
- trade: {{buyer: a, seller: m, symbol: X, quantity: 5, price: 100}}
- trade: {{buyer: i, seller: m, symbol: X, quantity: 10, price: 100}}
- order: {{account: w, symbol: X, side: buy, quantity: 4, price: 91, client_order_id: 1}}
- order: {{account: w, symbol: X, side: buy, quantity: 2, price: 91, client_order_id: 2}}
- order: {{account: w, symbol: X, side: buy, quantity: 2, price: 87}}
- isolated_margin: {{account: i, symbol: X, change: 2}}
- withdraw: {{account: w, amount: 1}}
- funding: {{symbol: X, per_unit: 0.300000005}}
- mark: {{symbol: X, price: 91}}
- mark: {{symbol: X, price: 77}}
"""
#: Rests, acts once, expires, trades; then levels to be warned of, and another bracket table.
ORDERS = f"""
name: orders
{SYMBOL}
steps:
- deposit: {{account: a, amount: 10000}}
- deposit: {{account: b, amount: 10000}}
- mark: {{symbol: X, price: 100}}
- order: {{account: a, symbol: X, side: buy, quantity: 1, price: 90, client_order_id: 9}}
- order: {{account: a, symbol: X, side: buy, quantity: 1, price: 90, client_order_id: 9}}
- order: {{account: a, symbol: X, side: buy, quantity: 1, price: 95, expires: 5s}}
- time: {{advance: 5s}}
- trade: {{buyer: a, seller: b, symbol: X, quantity: 1, price: 100}}
- margin_warnings: {{levels: [0.001]}}
- brackets: {{symbol: X, initial_margin: 0.2, brackets: [[0, 0.1]]}}
"""

CROSS, ISOLATED, MAKER, WATCHER, SECOND = 1, 2, 3, 4, 5
Events = list[Event]


@cache
def told(story: str) -> tuple[bytes, tuple[Event, ...]]:
    result = run_scenario(parse_scenario(story), "reference")
    assert result.passed, result.failures
    return result.commands, tuple(decode_events(result.events))


def named(commands: bytes, events: Events) -> set[str]:
    auditor = Auditor()
    auditor.follow(commands, events)
    auditor.check()
    return {violation.invariant for violation in auditor.violations}


# ------------------------------------------------------------------------------------- how streams are spoiled


def find(events: Events, kind: type[Event], **wanted: object) -> int:
    for index, event in enumerate(events):
        if type(event) is kind and all(getattr(event, k) == v for k, v in wanted.items()):
            return index
    raise AssertionError(f"the story has no {kind.__name__} with {wanted}")


def changed(events: Events, index: int, /, **changes: object) -> Events:
    other = msgspec.structs.replace(events[index], **changes)
    return [*events[:index], other, *events[index + 1 :]]


def more(events: Events, index: int, /, **by: int) -> Events:
    """Fields of an event, so much more than they were."""
    event = events[index]
    return changed(events, index, **{k: getattr(event, k) + v for k, v in by.items()})


def without(events: Events, index: int) -> Events:
    return [*events[:index], *events[index + 1 :]]


def accepted(events: Events, account: int, command: str) -> m.Accepted:
    """The result of one more command, after all that came."""
    number = COMMAND_BY_NAME[command].number
    sequence = events[-1].sequence + 1
    return m.Accepted(
        account=account, sequence=sequence, timestamp_ns=0, command=number, order_id=0
    )


def before(events: Events, kind: type[Event], **wanted: object) -> Events:
    """The whole commands before the one with this event."""
    sequence = events[find(events, kind, **wanted)].sequence
    return [event for event in events if event.sequence < sequence]


def withdrawn(events: Events, account: int, amount: int, left: int) -> Events:
    result = accepted(events, account, "withdraw")
    change = m.BalanceChanged(
        account=account,
        sequence=result.sequence,
        symbol=0,
        cause=BalanceCause.WITHDRAWAL,
        wallet_change_atoms=-amount,
        margin_change_atoms=0,
        wallet_atoms=left,
        margin_atoms=0,
    )
    return [*events, result, change]


def traded(events: Events, buyer: int, seller: int, lots: int, price: int, mode: int) -> Events:
    """One more trade; what it makes of balances is not told well, which is not what it is for."""
    result = accepted(events, buyer, "place_order")
    fill = events[find(events, m.Fill, role=FillRole.TAKER)]
    assert isinstance(fill, m.Fill)
    last = max(event.trade_id for event in events if isinstance(event, m.Fill))
    halves = [
        msgspec.structs.replace(
            fill,
            account=account,
            sequence=result.sequence,
            side=side,
            role=role,
            margin_mode=mode if account == ISOLATED else 0,
            trade_id=last + 1,
            price_ticks=price,
            qty_lots=lots,
            value_atoms=lots * price * ATOMS,
            open_lots=0,
        )
        for account, side, role in (
            (seller, 1, FillRole.MAKER if mode == 0 else FillRole.TAKER),
            (buyer, 0, FillRole.TAKER if mode == 0 else FillRole.MAKER),
        )
    ]
    return [*events, result, *halves]


ATOMS = 10**8  # of one lot and tick


def ruined(events: Events) -> Events:
    """Up to where a pool below zero is flagged, and nothing more."""
    index = next(
        i
        for i, e in enumerate(events)
        if isinstance(e, m.LiquidationStarted) and e.equity_atoms < 0
    )
    return events[: index + 1]


def unflagged(events: Events) -> Events:
    """A mark that leaves a pool below maintenance, and nobody who does anything about it."""
    index = find(events, m.LiquidationStarted)
    sequence = events[index].sequence
    return [
        event
        for event in events[:index]
        if not isinstance(event, m.OrderCancelled) or event.sequence != sequence
    ]


def paid(events: Events) -> int:
    return next(
        i for i, e in enumerate(events) if isinstance(e, m.LiquidationSettled) and e.fund_paid_atoms
    )


def charged(events: Events) -> int:
    return next(
        i
        for i, e in enumerate(events)
        if isinstance(e, m.LiquidationSettled) and e.liquidation_fee_atoms
    )


def unasked(events: Events) -> Events:
    """Deleveraged without a closing order in that command."""
    given = events[find(events, m.Fill, role=FillRole.DELEVERAGED)]
    return [
        event
        for event in events
        if not (isinstance(event, m.LiquidationOrder) and event.sequence == given.sequence)
    ]


def refused(events: Events) -> Events:
    """A withdrawal that was rejected, and moves money all the same."""
    index = find(events, m.BalanceChanged, cause=BalanceCause.WITHDRAWAL)
    result = events[index - 1]
    assert isinstance(result, m.Accepted)
    rejected = m.Rejected(
        account=result.account,
        sequence=result.sequence,
        timestamp_ns=result.timestamp_ns,
        command=result.command,
        reason=37,
    )
    return [*events[: index - 1], rejected, *events[index:]]


def short_of_margin(events: Events) -> Events:
    """At 89 account a needs 44.5 to open and has less; it buys one more."""
    calm = before(events, m.MarkChanged, price_ticks=91)
    result = accepted(calm, 0, "set_mark")
    mark = m.MarkChanged(sequence=result.sequence, symbol=1, price_ticks=89)
    return traded([*calm, result, mark], CROSS, WATCHER, 1, 89, 0)


def swapped_turns(events: Events) -> Events:
    """Two makers at one price, each with the other's order id."""
    rests = [
        i for i, e in enumerate(events) if isinstance(e, m.OrderRested) and e.price_ticks == 91
    ]
    first, second = (events[i] for i in rests)
    assert isinstance(first, m.OrderRested) and isinstance(second, m.OrderRested)
    other = changed(events, rests[0], order_id=second.order_id)
    return changed(other, rests[1], order_id=first.order_id)


def mark_in_liquidation(events: Events) -> Events:
    index = find(events, m.LiquidationStarted)
    mark = m.MarkChanged(sequence=events[index].sequence, symbol=1, price_ticks=91)
    return [*events[: index + 1], mark, *events[index + 1 :]]


def halted(events: Events) -> Events:
    index = find(events, m.Fill, role=FillRole.MAKER)
    state = m.SymbolStateChanged(
        sequence=events[index].sequence,
        symbol=1,
        state=SymbolState.HALTED,
    )
    return [*events[:index], state, *events[index:]]


def repeated(events: Events) -> Events:
    """The second order with client order id 9 rests, too."""
    rested = events[find(events, m.OrderRested, client_order_id=9)]
    index = next(
        i
        for i, e in enumerate(events)
        if isinstance(e, m.Accepted) and e.client_order_id == 9 and e.sequence > rested.sequence
    )
    again = msgspec.structs.replace(rested, sequence=events[index].sequence)
    return [*events[: index + 1], again, *events[index + 1 :]]


def moved_with_the_table(events: Events) -> Events:
    """The last command sets brackets; money moves with it."""
    change = events[find(events, m.BalanceChanged)]
    return [*events, msgspec.structs.replace(change, sequence=events[-1].sequence)]


def uncovered(events: Events) -> Events:
    """A pool below zero whom nobody could take over, and then somebody who withdraws."""
    kept = ruined(events)
    pool = kept[-1]
    assert isinstance(pool, m.LiquidationStarted)
    holding = 1
    left = m.DeficitUncovered(
        account=pool.account,
        sequence=pool.sequence,
        symbol=holding,
        remaining_lots=1,
        shortfall_atoms=-pool.equity_atoms,
    )
    return withdrawn([*kept, left], WATCHER, 1, 1)


Spoil = Callable[[Events], Events]
#: Invariant -> story, and what is done to its events.
SPOILED: dict[str, tuple[str, Spoil]] = {
    "I1": (LIQUIDATED, lambda e: more(e, find(e, m.Fill, role=FillRole.TAKER), wallet_atoms=1)),
    "I2": (LIQUIDATED, lambda e: more(e, find(e, m.Fill, role=FillRole.TAKER), position_lots=1)),
    "I3": (
        LIQUIDATED,
        lambda e: more(
            e, find(e, m.BalanceChanged, cause=BalanceCause.ISOLATED_MARGIN), wallet_atoms=1
        ),
    ),
    "I4": (LIQUIDATED, lambda e: withdrawn(e, 99, 1, -1)),
    "I5": (
        LIQUIDATED,
        lambda e: traded(before(e, m.MarkChanged, price_ticks=91), WATCHER, ISOLATED, 10, 70, 1),
    ),
    "I6": (
        LIQUIDATED,
        lambda e: more(
            e,
            find(e, m.BalanceChanged, cause=BalanceCause.ISOLATED_MARGIN),
            margin_change_atoms=1,
            margin_atoms=1,
        ),
    ),
    "I7": (LIQUIDATED, unflagged),
    "I8": (LIQUIDATED, ruined),
    "I9": (LIQUIDATED, lambda e: more(e, paid(e), fund_paid_atoms=-1)),
    "I10": (LIQUIDATED, lambda e: more(e, find(e, m.LiquidationOrder), qty_lots=100)),
    "I11": (LIQUIDATED, lambda e: more(e, charged(e), liquidation_fee_atoms=1)),
    "I12": (
        LIQUIDATED,
        lambda e: changed(
            e, find(e, m.FundChanged, cause=FundCause.LIQUIDATION_DEFICIT), balance_atoms=-1
        ),
    ),
    "I13": (
        LIQUIDATED,
        lambda e: more(e, find(e, m.FundChanged, cause=FundCause.LIQUIDATION_FEE), symbol=1),
    ),
    "I14": (LIQUIDATED, unasked),
    "I15": (
        LIQUIDATED,
        lambda e: more(e, find(e, m.Fill, role=FillRole.DELEVERAGED), value_atoms=1),
    ),
    "I16": (
        LIQUIDATED,
        lambda e: changed(e, find(e, m.Fill, role=FillRole.ADL_COUNTERPARTY), account=SECOND),
    ),
    "I17": (
        LIQUIDATED,
        lambda e: more(
            e,
            find(e, m.BalanceChanged, cause=BalanceCause.FUNDING),
            wallet_change_atoms=-1,
            wallet_atoms=-1,
        ),
    ),
    "I18": (LIQUIDATED, refused),
    "I19": (LIQUIDATED, short_of_margin),
    "I20": (LIQUIDATED, lambda e: more(e, find(e, m.LiquidationStarted), equity_atoms=1)),
    "I22": (
        LIQUIDATED,
        lambda e: changed(e, find(e, m.Fill, role=FillRole.MAKER), fee_atoms=-(10**12)),
    ),
    "I23": (LIQUIDATED, mark_in_liquidation),
    "I24": (LIQUIDATED, swapped_turns),
    "I25": (ORDERS, halted),
    "I27": (
        LIQUIDATED,
        lambda e: changed(e, find(e, m.Fill, role=FillRole.TAKER), account=SECOND),
    ),
    "I28": (ORDERS, repeated),
    "I29": (
        LIQUIDATED,
        lambda e: more(
            e,
            find(e, m.FundChanged, cause=FundCause.FUNDING_RESIDUE),
            change_atoms=1,
            balance_atoms=1,
        ),
    ),
    "I30": (LIQUIDATED, lambda e: [event for event in e if event.sequence != 9]),
    "I32": (
        LIQUIDATED,
        lambda e: [
            *e[: find(e, m.LiquidationStarted)],
            e[find(e, m.LiquidationStarted)],
            *e[find(e, m.LiquidationStarted) :],
        ],
    ),
    "I33": (LIQUIDATED, uncovered),
    "I34": (ORDERS, lambda e: changed(e, find(e, m.OrderRested), open_lots=1 << 60)),
    "I26": (
        ORDERS,
        lambda e: without(e, find(e, m.OrderCancelled, reason=CancelReason.EXPIRED)),
    ),
    "I35": (ORDERS, moved_with_the_table),
    "I36": (LIQUIDATED, lambda e: more(e, find(e, m.LiquidationOrder), bankruptcy_value_atoms=1)),
    "I39": (
        LIQUIDATED,
        lambda e: changed(
            e,
            find(e, m.BalanceChanged, cause=BalanceCause.ISOLATED_MARGIN),
            cause=BalanceCause.AUTO_MARGIN,
        ),
    ),
    "I38": (ORDERS, lambda e: without(e, find(e, m.MarginWarning))),
}


@pytest.mark.parametrize("story", [LIQUIDATED, ORDERS], ids=["liquidated", "orders"])
def test_an_unspoiled_stream_breaks_nothing(story: str) -> None:
    commands, events = told(story)
    assert named(commands, list(events)) == set()


@pytest.mark.parametrize("number", SPOILED)
def test_a_spoiled_stream_is_named(number: str) -> None:
    story, spoil = SPOILED[number]
    commands, events = told(story)
    found = named(commands, spoil(list(events)))
    assert found & set(by_number(number).names), f"{number}: came {sorted(found)}"


def spoiled_listings(commands: bytes, **changes: object) -> Iterator[bytes]:
    for _, record in iter_records(commands):
        (command,) = decode_commands(bytes(record))
        if isinstance(command, ListSymbol):
            yield encode_command(msgspec.structs.replace(command, **changes))
        else:
            yield bytes(record)


@pytest.mark.parametrize(
    "changes",
    [
        {"brackets": ((1, 50_000, 0),)},
        {"brackets": ((0, 50_000, 0), (0, 60_000, 0))},
        {"brackets": ((0, 50_000, 0), (1_000_000, 40_000, 0))},
        {"brackets": ((0, 50_000, 0), (7, 60_000, 0))},
        {"brackets": ((0, 50_000, 40_000),)},
        {"initial_margin_ppm": 40_000},
    ],
    ids=["beginning", "order", "falling", "jumping", "held for more", "default too low"],
)
def test_a_policy_that_may_not_be_breaks_i21(changes: dict[str, object]) -> None:
    commands, events = told(ORDERS)
    assert "I21" in named(b"".join(spoiled_listings(commands, **changes)), list(events))


def test_every_invariant_is_spoiled_here_or_says_who_checks_it() -> None:
    numbers = [invariant.number for invariant in INVARIANTS]
    assert numbers == [f"I{n}" for n in range(1, len(numbers) + 1)]
    elsewhere = {invariant.number for invariant in INVARIANTS if not invariant.names}
    assert elsewhere == {"I31", "I37"}
    assert SPOILED.keys() | elsewhere | {"I21"} == set(numbers)


def test_every_number_that_is_reported_is_in_the_table() -> None:
    modules = (ROOT / "exchange" / "audit").glob("*.py")
    reported = {name for p in modules for name in re.findall(r'"(I\d+)"', p.read_text("utf-8"))}
    assert reported <= {name for invariant in INVARIANTS for name in invariant.names}


def test_names_are_reported_somewhere() -> None:
    """A name that no module of the auditor reports would be a line that promises nothing."""
    modules = [p for p in (ROOT / "exchange/audit").glob("*.py") if p.stem != "invariants"]
    sources = "".join(path.read_text("utf-8") for path in modules)
    for invariant in INVARIANTS:
        for name in invariant.names:
            assert f'"{name}"' in sources, name


def test_the_page_has_the_table() -> None:
    page = (ROOT / "docs" / "audit.md").read_text("utf-8")
    for invariant in INVARIANTS:
        assert f"| {invariant.number} | {invariant.statement} |" in page, invariant.number
