"""The auditor and computed funding rates: whatever is told wrongly, late or not at all is noticed (FUNDING-02)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from exchange.audit import Auditor
from exchange.engine import create_engine
from exchange.protocol import messages as m
from exchange.protocol.messages import Event
from exchange.protocol.records import decode_events, encode_command, stamp

SECOND = 10**9
BUY, SELL = 0, 1


def order(account: int, side: int, lots: int, price: int) -> m.PlaceOrder:
    return m.PlaceOrder(account=account, symbol=1, side=side, qty_lots=lots, price_ticks=price)


#: A long and a short of 10 at 1,000; two lots are bid at 1,010; an index of 1,000; two samples, then a third that ends
#: the interval in front of a deposit.
COMMANDS: list[tuple[int, m.Command]] = [
    (
        0,
        m.ListSymbol(
            symbol=1,
            name="X",
            tick_size_e12=10**8,
            lot_size_e12=10**8,
            atoms_per_tick_lot=1,
            initial_margin_ppm=200_000,
            brackets=((0, 50_000, 100_000),),
        ),
    ),
    (0, m.SetMark(symbol=1, price_ticks=1_000)),
    (0, m.Deposit(account=1, amount_atoms=10**6)),
    (0, m.Deposit(account=2, amount_atoms=10**6)),
    (0, order(2, SELL, 10, 1_000)),
    (0, order(1, BUY, 10, 1_000)),
    (0, order(1, BUY, 2, 1_010)),
    (0, m.SetMarkPolicy(symbol=1, max_feeds=0, max_age_ns=100 * SECOND)),
    (0, m.SetPrice(symbol=1, price_ticks=1_000)),
    (
        0,
        m.SetFundingPolicy(
            symbol=1, interval_ns=3 * SECOND, sample_ns=SECOND, impact_notional_atoms=2_000
        ),
    ),
    (SECOND, m.AdvanceTime()),
    (2 * SECOND, m.AdvanceTime()),
    (3 * SECOND, m.Deposit(account=1, amount_atoms=1)),
]


def stamped(commands: list[tuple[int, m.Command]]) -> bytes:
    return b"".join(
        stamp(encode_command(command), sequence, now_ns)
        for sequence, (now_ns, command) in enumerate(commands, start=1)
    )


def told(commands: list[tuple[int, m.Command]] = COMMANDS) -> list[Event]:
    return decode_events(create_engine("native").apply(stamped(commands)))


def found(events: list[Event], commands: list[tuple[int, m.Command]] = COMMANDS) -> set[str]:
    auditor = Auditor()
    auditor.feed_commands(stamped(commands))
    auditor.feed(events)
    return {violation.invariant for violation in auditor.violations}


def rates(events: list[Event]) -> list[m.FundingRate]:
    return [event for event in events if isinstance(event, m.FundingRate)]


def without(events: list[Event], *gone: Event) -> list[Event]:
    return [event for event in events if event not in gone]


def with_other(events: list[Event], event: Event, **fields: int) -> list[Event]:
    return [msgspec.structs.replace(e, **fields) if e is event else e for e in events]


def test_what_the_engine_tells_is_right() -> None:
    events = told()
    assert found(events) == set()
    assert [(r.final, r.samples, r.rate_ppb) for r in rates(events)] == [
        (0, 1, 9_500_000),
        (0, 2, 9_500_000),
        (0, 3, 9_500_000),
        (1, 3, 9_500_000),
    ]


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize(
    "field",
    [
        *("clamped", "capped", "samples", "counted", "sample_ppb", "premium_ppb"),
        *("interest_ppb", "cap_ppb", "rate_ppb", "next_funding_ns"),
    ],
)
def test_each_number_of_a_rate_counts(field: str, place: int) -> None:
    events = told()
    rate = rates(events)[place]
    wrong = with_other(events, rate, **{field: getattr(rate, field) ^ 1})
    assert "FUNDING-02" in found(wrong)


@pytest.mark.parametrize("place", range(4))
def test_a_rate_that_is_not_told_is_missed(place: int) -> None:
    events = told()
    assert "FUNDING-02" in found(without(events, rates(events)[place]))


def payments(events: list[Event]) -> list[Event]:
    return [e for e in events if isinstance(e, m.BalanceChanged) and e.cause == 5]


FALSE: dict[str, tuple[Callable[[list[Event]], list[Event]], str]] = {
    "another payment per lot": (
        lambda e: with_other(
            e, next(x for x in e if isinstance(x, m.FundingSettled)), payment_fraction_q32=1
        ),
        "FUNDING-02",
    ),
    "no settlement": (
        lambda e: without(e, *[x for x in e if isinstance(x, m.FundingSettled)], *payments(e)),
        "FUNDING-02",
    ),
    "somebody does not pay": (lambda e: without(e, payments(e)[0]), "FUNDING-01"),
    "a premium behind the command's own event": (
        lambda e: [*without(e, *rates(e)[2:]), *rates(e)[2:]],
        "FUNDING-02",
    ),
    "another first settlement": (
        lambda e: with_other(
            e, next(x for x in e if isinstance(x, m.FundingPolicySet)), next_funding_ns=1
        ),
        "FUNDING-02",
    ),
    "a policy by another command": (
        lambda e: [
            *e,
            msgspec.structs.replace(
                next(x for x in e if isinstance(x, m.FundingPolicySet)), sequence=13
            ),
        ],
        "FUNDING-02",
    ),
}


@pytest.mark.parametrize("name", FALSE)
def test_what_is_wrong_is_noticed(name: str) -> None:
    change, rule = FALSE[name]
    events = told()
    wrong = change(events)
    assert wrong != events
    assert rule in found(wrong)


def test_a_policy_needs_an_index_and_a_symbol_that_trades() -> None:
    events = told()
    policy = next(e for e in events if isinstance(e, m.MarkPolicySet))
    without_index = with_other(events, policy, enabled=0)
    assert "FUNDING-02" in found(without_index)
    state = m.SymbolStateChanged(sequence=policy.sequence, symbol=1, state=5)
    assert "FUNDING-02" in found(
        [*events[: events.index(policy)], policy, state, *events[events.index(policy) + 1 :]]
    )


def test_a_settlement_by_hand_beside_a_policy_is_noticed() -> None:
    commands = [*COMMANDS, (3 * SECOND, m.SettleFunding(symbol=1, payment_atoms_per_lot=0))]
    events = told(commands)
    assert isinstance(events[-1], m.Rejected)
    refused = events.pop()
    accepted = m.Accepted(
        sequence=refused.sequence,
        timestamp_ns=3 * SECOND,
        command=12,
        order_id=0,
        client_order_id=0,
    )
    settled = m.FundingSettled(
        sequence=refused.sequence, symbol=1, payment_atoms_per_lot=0, payment_fraction_q32=0
    )
    assert "FUNDING-02" in found([*events, accepted, settled], commands)


def test_a_refused_command_may_pay_and_still_do_nothing_itself() -> None:
    """What was due is paid in front of it; anything else of a refused command is a violation, where nothing was due."""
    refused = m.Deposit(account=1, amount_atoms=0)
    paid = [*COMMANDS[:-1], (3 * SECOND, refused)]
    events = told(paid)
    assert [type(e).__name__ for e in events[-6:]] == [
        *("Rejected", "FundingRate", "FundingRate", "FundingSettled"),
        *("BalanceChanged", "BalanceChanged"),
    ]
    assert found(events, paid) == set()
    early = [*COMMANDS[:-1], (2 * SECOND, refused)]
    moved = msgspec.structs.replace(payments(events)[0], sequence=13)
    assert "I18" in found([*told(early), moved], early)
