"""The auditor is tested too: it passes what engines answer, and notices when any number of it is another.

A stream of events is taken from an engine; then one field of one event is changed, an event is left out, doubled or
exchanged with its neighbour, and the auditor has to say so.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from exchange.audit import Auditor, differences
from exchange.engine import create_engine
from exchange.errors import ProtocolError
from exchange.fuzz.differ import run_generated
from exchange.protocol import messages as m
from exchange.protocol.messages import Event
from exchange.protocol.records import decode_events, encode_command, stamp
from exchange.protocol.schema import (
    EVENT_BY_NAME,
    AdlPolicy,
    BalanceCause,
    CancelReason,
    FillRole,
)
from exchange.sim.scenario import parse_scenario, run_scenario

STORY = """
name: audited
symbols:
  X: {tick: 1, lot: 1, initial_margin: 0.1, brackets: [[0, 0.05]], taker_fee: 0.001, maker_fee: 0.0005,
      slippage_cap: 0.3, fund: own, liquidation: {mode: full, fee: 0.01}}
steps:
- fund: {name: own, amount: 5}
- deposit: {account: a, amount: 100}
- deposit: {account: i, amount: 200}
- deposit: {account: m, amount: 10000}
- deposit: {account: w, amount: 10000}
- mark: {symbol: X, price: 100}
- margin_mode: {account: i, symbol: X, mode: isolated}
- trade: {buyer: a, seller: m, symbol: X, quantity: 5, price: 100}
- trade: {buyer: i, seller: m, symbol: X, quantity: 10, price: 100}
- order: {account: w, symbol: X, side: buy, quantity: 4, price: 91, client_order_id: 1}
- order: {account: w, symbol: X, side: buy, quantity: 2, price: 91, client_order_id: 2}
- order: {account: w, symbol: X, side: buy, quantity: 2, price: 87}
- amend: {account: w, client_order_id: 1, quantity: 3}
- order: {account: w, symbol: X, side: sell, quantity: 1, price: 91, self_trade: decrement}
- isolated_margin: {account: i, symbol: X, change: 2}
- withdraw: {account: w, amount: 1}
- funding: {symbol: X, per_unit: 0.30000001}
- order: {account: m, symbol: X, side: sell, quantity: 1, price: 120, reduce_only: false}
- cancel_all: {account: m}
- mark: {symbol: X, price: 91}
- order: {account: w, symbol: X, side: buy, quantity: 2, price: 88}
- mark: {symbol: X, price: 77}
"""


#: Triggers, slices, lists, links, expiry, a countdown, groups, an auction and a settlement.
SECOND_STORY = """
name: audited too
symbols:
  X: {tick: 1, lot: 1, initial_margin: 0.1, brackets: [[0, 0.05]], taker_fee: 0.001, maker_fee: 0.0005}
steps:
- deposit: {account: a, amount: 10000}
- deposit: {account: b, amount: 10000}
- deposit: {account: c, amount: 10000}
- mark: {symbol: X, price: 100}
- stp_group: {account: a, group: 1}
- order: {account: a, symbol: X, side: sell, quantity: 5, price: 101, display: 2, client_order_id: 1}
- order: {account: b, symbol: X, side: sell, quantity: 1, price: 101}
- order: {account: c, symbol: X, side: buy, quantity: 4, price: 101}
- amend: {account: a, client_order_id: 1, quantity: 4}
- amend: {account: a, client_order_id: 1, display: 1}
- orders: {account: c, mode: entry_with_exits, orders: [{symbol: X, side: buy, quantity: 3, price: 100},
    {symbol: X, side: sell, type: take_profit_market, trigger: 110, quantity: 3, reduce_only: true},
    {symbol: X, side: sell, type: trailing_stop, callback_rate: 0.05, quantity: 3, reduce_only: true}]}
- order: {account: b, symbol: X, side: sell, quantity: 1, price: 100}
- orders: {account: b, mode: one_cancels_other, orders: [{symbol: X, side: buy, quantity: 9, price: 96},
    {symbol: X, side: buy, type: stop_limit, trigger: 106, price: 107, quantity: 2}]}
- orders: {account: b, orders: [{symbol: X, side: buy, quantity: 1, price: 90, client_order_id: 9},
    {symbol: X, side: buy, quantity: 0, price: 90}, {symbol: X, side: buy, quantity: 1, price: 90, client_order_id: 9}]}
- order: {account: b, symbol: X, side: buy, quantity: 1, price: 90, client_order_id: 9}
- order: {account: a, symbol: X, side: sell, type: stop_market, trigger: 97, trigger_by: last, quantity: 1}
- mark: {symbol: X, price: 104}
- mark: {symbol: X, price: 98}
- order: {account: a, symbol: X, side: buy, quantity: 1, price: 80, expires: 5s, client_order_id: 2}
- order: {account: a, symbol: X, side: buy, quantity: 1, price: 81, client_order_id: 3}
- countdown: {account: a, timeout: 5s}
- time: {advance: 5s}
- state: {symbol: X, state: auction}
- order: {account: a, symbol: X, side: buy, quantity: 2, price: 103}
- order: {account: b, symbol: X, side: sell, quantity: 3, price: 99}
- mark: {symbol: X, price: 100}
- state: {symbol: X, state: open}
- order: {account: c, symbol: X, side: sell, type: stop_market, trigger: 90, close_position: true}
- state: {symbol: X, state: settled, price: 103}
"""


#: Deleveraging by each policy in turn, the last at the mark.
THIRD_STORY = """
name: audited deleveraging
symbols:
  X: {tick: 1, lot: 1, initial_margin: 0.1, brackets: [[0, 0.05]], liquidation: {mode: full}}
  Y: {tick: 1, lot: 1, initial_margin: 0.1, brackets: [[0, 0.05]]}
steps:
- deposit: {account: l, amount: 40}
- deposit: {account: s, amount: 1000}
- deposit: {account: t, amount: 500}
- deposit: {account: v, amount: 10000}
- mark: {symbol: X, price: 100}
- mark: {symbol: Y, price: 100}
- trade: {buyer: v, seller: s, symbol: X, quantity: 6, price: 100}
- trade: {buyer: v, seller: t, symbol: X, quantity: 6, price: 100}
- trade: {buyer: s, seller: v, symbol: Y, quantity: 6, price: 100}
- trade: {buyer: l, seller: v, symbol: X, quantity: 4, price: 100}
- mark: {symbol: X, price: 80}
- deposit: {account: l, amount: 40}
- adl_policy: {symbol: X, policy: pro_rata_by_equity}
- trade: {buyer: l, seller: v, symbol: X, quantity: 4, price: 80}
- mark: {symbol: X, price: 60}
- deposit: {account: l, amount: 40}
- adl_policy: {symbol: X, policy: net_exposure_aware}
- trade: {buyer: l, seller: v, symbol: X, quantity: 2, price: 60}
- mark: {symbol: X, price: 35}
- deposit: {account: l, amount: 10}
- adl_policy: {symbol: X, policy: mark_priced}
- trade: {buyer: l, seller: v, symbol: X, quantity: 2, price: 35}
- mark: {symbol: X, price: 20}
"""


@pytest.fixture(scope="module")
def third_story() -> tuple[bytes, list[Event]]:
    """Commands and events of a story in which every policy deleverages."""
    result = run_scenario(parse_scenario(THIRD_STORY), "reference")
    assert result.passed, result.failures
    events = decode_events(result.events)
    assert {e.policy for e in events if isinstance(e, m.AdlRanked)} == set(AdlPolicy)
    return result.commands, events


@pytest.fixture(scope="module")
def second_story() -> tuple[bytes, list[Event]]:
    """Commands and events of a story with whatever else an order may do."""
    result = run_scenario(parse_scenario(SECOND_STORY), "reference")
    assert result.passed, result.failures
    events = decode_events(result.events)
    kinds = {type(event) for event in events}
    assert {m.OrderTriggered, m.OrderShown, m.EntryRejected, m.AuctionUncrossed} <= kinds
    reasons = {event.reason for event in events if isinstance(event, m.OrderCancelled)}
    assert {CancelReason.LINKED, CancelReason.EXPIRED, CancelReason.COUNTDOWN} <= reasons
    return result.commands, events


@pytest.fixture(scope="module")
def story() -> tuple[bytes, list[Event]]:
    """Commands and events of a story with fills, fees, funding, liquidation, fund payments and ADL."""
    result = run_scenario(parse_scenario(STORY), "reference")
    assert result.passed, result.failures
    events = decode_events(result.events)
    roles = {event.role for event in events if isinstance(event, m.Fill)}
    assert roles == set(FillRole) - {FillRole.AUCTION, FillRole.SETTLEMENT}
    return result.commands, events


def audit(commands: bytes, events: Iterable[Event]) -> Auditor:
    auditor = Auditor()
    auditor.feed_commands(commands)
    auditor.feed(events)
    auditor.check()
    return auditor


def test_what_an_engine_answers_breaks_nothing(
    story: tuple[bytes, list[Event]],
    second_story: tuple[bytes, list[Event]],
    third_story: tuple[bytes, list[Event]],
) -> None:
    for commands, events in (story, second_story, third_story):
        assert audit(commands, events).violations == []


#: What each event says that a rule speaks of.
MONEY = {
    m.Fill: (
        "value_atoms",
        "position_lots",
        "entry_value_atoms",
        "realised_atoms",
        "fee_atoms",
        "wallet_atoms",
    )
    + ("margin_atoms", "qty_lots", "price_ticks", "trade_id", "account"),
    m.LiquidationSettled: (
        "bankruptcy_value_atoms",
        "liquidation_fee_atoms",
        "fund_paid_atoms",
        "wallet_atoms",
    )
    + ("margin_atoms", "fund", "trade_id", "account"),
    m.BalanceChanged: (
        "wallet_change_atoms",
        "margin_change_atoms",
        "wallet_atoms",
        "margin_atoms",
        "account",
    ),
    m.FundChanged: ("change_atoms", "balance_atoms", "fund"),
    m.LiquidationStarted: ("equity_atoms", "maintenance_atoms", "account"),
    m.LiquidationEnded: ("equity_atoms", "maintenance_atoms"),
    m.LiquidationOrder: (
        "bankruptcy_value_atoms",
        "equity_atoms",
        "maintenance_atoms",
        "mark_ticks",
    ),
    m.LiquidationPosition: tuple(f.name for f in EVENT_BY_NAME["liquidation_position"].fields),
    m.LiquidationSized: tuple(
        f.name for f in EVENT_BY_NAME["liquidation_sized"].fields if f.name != "symbol"
    ),
    m.LiquidationShrunk: ("qty_lots", "price_ticks", "budget_atoms", "shortfall_atoms"),
    m.DeficitShared: tuple(
        f.name for f in EVENT_BY_NAME["deficit_shared"].fields if f.name != "symbol"
    ),
    m.OrderCancelled: ("open_lots",),
    m.OrderRested: ("account",),
    m.OrderReduced: ("open_lots", "reduced_lots"),
    m.OrderAmended: ("previous_open_lots", "previous_price_ticks"),
}


@pytest.mark.parametrize("kind", MONEY, ids=lambda kind: kind.__name__)
def test_a_changed_number_is_noticed(kind: type[Event], story: tuple[bytes, list[Event]]) -> None:
    """Each such event of the story, each of its fields that a rule speaks of, one more than it was."""
    commands, events = story
    found = [index for index, event in enumerate(events) if type(event) is kind]
    assert found
    for index in found:
        for name in MONEY[kind]:
            value = getattr(events[index], name)
            changed = msgspec.structs.replace(events[index], **{name: value + 1})
            auditor = audit(commands, [*events[:index], changed, *events[index + 1 :]])
            assert auditor.violations, f"{name} of {events[index]} may be {value + 1}"


#: The same of the second story: what belongs to triggers, slices, lists and states.
WORDS = {
    m.OrderWaiting: ("order_id", "open_lots", "account"),
    m.OrderTriggered: ("order_id", "trigger_ticks", "watched_ticks", "open_lots", "account"),
    m.OrderShown: ("order_id", "price_ticks", "shown_lots"),
    m.EntryAccepted: ("index", "order_id"),
    m.EntryRejected: ("index",),
    m.AuctionIndicated: ("price_ticks", "qty_lots", "imbalance_lots"),
    m.AuctionUncrossed: ("price_ticks", "qty_lots", "imbalance_lots"),
    m.CountdownSet: ("expires_ns", "account"),
    m.OrderCancelled: ("order_id", "open_lots"),
    m.OrderRested: ("order_id", "open_lots"),
    m.Fill: ("value_atoms", "realised_atoms", "fee_atoms", "qty_lots", "price_ticks", "order_id"),
}


@pytest.mark.parametrize("kind", WORDS, ids=lambda kind: kind.__name__)
def test_a_changed_word_is_noticed(
    kind: type[Event], second_story: tuple[bytes, list[Event]]
) -> None:
    commands, events = second_story
    found = [index for index, event in enumerate(events) if type(event) is kind]
    assert found
    for index in found:
        for name in WORDS[kind]:
            value = getattr(events[index], name)
            changed = replaced(events, index, **{name: value + 1})
            assert audit(commands, changed).violations, f"{name} of {events[index]}, one more"


def test_a_changed_place_is_noticed(third_story: tuple[bytes, list[Event]]) -> None:
    """ADL-05: whatever a counterparty was ranked by, what it gives, and what it pays, under each policy."""
    commands, events = third_story
    for index, event in enumerate(events):
        if isinstance(event, m.AdlRanked):
            names = [n for n in event.__struct_fields__ if n not in ("sequence", "trade_id")]
            changed = [
                msgspec.structs.replace(event, **{name: getattr(event, name) + 1}) for name in names
            ]
            changed.append(msgspec.structs.replace(event, trade_id=0 if event.trade_id else 1))
        elif isinstance(event, m.BalanceChanged) and event.cause == BalanceCause.HAIRCUT:
            paid = event.wallet_change_atoms
            changed = [msgspec.structs.replace(event, wallet_change_atoms=paid + 1)]
        else:
            continue
        for other in changed:
            found = audit(commands, [*events[:index], other, *events[index + 1 :]]).violations
            assert found, f"{other} passes in place of {event}"
        assert audit(commands, events[:index] + events[index + 1 :]).violations, event


def test_a_missing_word_is_noticed(second_story: tuple[bytes, list[Event]]) -> None:
    """Triggers, slices, lists, links, times and auctions: nothing of them can be left out."""
    commands, events = second_story
    for index, event in enumerate(events):
        if not isinstance(event, WORTHY):
            continue
        auditor = audit(commands, events[:index] + events[index + 1 :])
        assert auditor.violations, f"nobody misses {event}"


#: All but orders that nobody speaks of again, and what has another event for it.
WORTHY = (
    m.OrderWaiting,
    m.OrderTriggered,
    m.OrderShown,
    m.EntryAccepted,
    m.EntryRejected,
    m.SymbolStateChanged,
    m.AuctionIndicated,
    m.AuctionUncrossed,
    m.CountdownSet,
    m.OrderCancelled,
    m.OrderRested,
    m.Fill,
)


def test_a_missing_event_is_noticed(story: tuple[bytes, list[Event]]) -> None:
    """But for orders that nobody speaks of again, and the acceptance of what has its own event."""
    commands, events = story
    for index, event in enumerate(events):
        if isinstance(event, m.Accepted | m.Rejected | m.SymbolListed | m.MarginModeChanged):
            continue
        if isinstance(event, m.FundingSettled | m.OrderCancelled | m.OrderReduced | m.MarkChanged):
            continue
        if isinstance(event, m.LiquidationShrunk) and event.qty_lots:
            continue  # a maker may give fewer lots on its own account, too
        auditor = audit(commands, events[:index] + events[index + 1 :])
        assert auditor.violations, f"nobody misses {event}"


def test_a_missing_command_is_noticed(story: tuple[bytes, list[Event]]) -> None:
    commands, events = story
    last = events[-1].sequence
    rest = [event for event in events if event.sequence != last - 3]
    assert "I30" in {violation.invariant for violation in audit(commands, rest).violations}


def invariants(commands: bytes, events: Iterable[Event]) -> set[str]:
    return {violation.invariant for violation in audit(commands, events).violations}


def replaced(events: list[Event], index: int, /, **changes: object) -> list[Event]:
    return [
        *events[:index],
        msgspec.structs.replace(events[index], **changes),
        *events[index + 1 :],
    ]


def find(events: list[Event], kind: type[Event], **wanted: object) -> int:
    """The first event of this kind and these values."""
    for index, event in enumerate(events):
        if type(event) is kind and all(
            getattr(event, name) == value for name, value in wanted.items()
        ):
            return index
    raise AssertionError(f"the story has no {kind.__name__} with {wanted}")


def test_money_out_of_nowhere_breaks_i1(story: tuple[bytes, list[Event]]) -> None:
    commands, events = story
    index = find(events, m.Fill, role=FillRole.TAKER)
    fill = events[index]
    assert isinstance(fill, m.Fill)
    assert "I1" in invariants(commands, replaced(events, index, wallet_atoms=fill.wallet_atoms + 1))


def test_a_fund_that_pays_less_breaks_i9(story: tuple[bytes, list[Event]]) -> None:
    commands, events = story
    index = next(
        i for i, e in enumerate(events) if isinstance(e, m.LiquidationSettled) and e.fund_paid_atoms
    )
    settled = events[index]
    assert isinstance(settled, m.LiquidationSettled)
    changed = replaced(events, index, fund_paid_atoms=settled.fund_paid_atoms - 1)
    assert "I9" in invariants(commands, changed)


def test_a_pool_that_nobody_liquidates_breaks_i7(story: tuple[bytes, list[Event]]) -> None:
    commands, events = story
    started = find(events, m.LiquidationStarted)
    sequence = events[started].sequence
    head = [
        event
        for event in events[:started]
        if not isinstance(event, m.OrderCancelled) or event.sequence != sequence
    ]
    assert "I7" in invariants(commands, head)


def test_a_trade_out_of_turn_breaks_match_01(story: tuple[bytes, list[Event]]) -> None:
    """Two makers at one price, first come first served: exchanged, the auditor objects."""
    commands, events = story
    rests = [
        i
        for i, e in enumerate(events)
        if isinstance(e, m.OrderRested) and e.price_ticks == 91 and e.client_order_id
    ]
    first, second = rests[0], rests[1]
    exchanged = replaced(events, first, order_id=events[second].order_id)  # type: ignore[union-attr]
    exchanged = replaced(exchanged, second, order_id=events[first].order_id)  # type: ignore[union-attr]
    assert "MATCH-01" in invariants(commands, exchanged)


def test_a_trade_with_oneself_breaks_i27(story: tuple[bytes, list[Event]]) -> None:
    commands, events = story
    index = find(events, m.Fill, role=FillRole.TAKER)
    maker = events[index - 1]
    assert "I27" in invariants(commands, replaced(events, index, account=maker.account))


def test_an_event_after_a_rejection_breaks_i18(story: tuple[bytes, list[Event]]) -> None:
    commands, events = story
    index = find(events, m.BalanceChanged, cause=BalanceCause.WITHDRAWAL)
    accepted = events[index - 1]
    assert isinstance(accepted, m.Accepted)
    refused = m.Rejected(
        account=accepted.account,
        sequence=accepted.sequence,
        timestamp_ns=0,
        command=accepted.command,
        reason=37,
    )
    assert "I18" in invariants(commands, [*events[: index - 1], refused, *events[index:]])


def test_a_withdrawal_of_too_much_breaks_i18(story: tuple[bytes, list[Event]]) -> None:
    """ACCT-07: account a has 100, and a position that needs 50."""
    commands, events = story
    index = find(events, m.Fill, account=1, role=FillRole.TAKER)
    fill = events[index]
    assert isinstance(fill, m.Fill)
    gone = m.BalanceChanged(
        account=1,
        sequence=fill.sequence,
        symbol=0,
        cause=BalanceCause.WITHDRAWAL,
        wallet_change_atoms=-fill.wallet_atoms,
        margin_change_atoms=0,
        wallet_atoms=0,
        margin_atoms=0,
    )
    assert "I18" in invariants(commands, [*events[: index + 1], gone])


def test_a_symbol_without_its_command_is_refused(story: tuple[bytes, list[Event]]) -> None:
    _, events = story
    with pytest.raises(ProtocolError, match="feed_commands"):
        Auditor().feed(events)


def test_bytes_that_are_no_events_are_refused() -> None:
    with pytest.raises(ProtocolError, match="type 2"):
        Auditor().feed(encode_command(m.Deposit(account=1, amount_atoms=1)))


def test_an_engine_that_shows_something_else_is_noticed() -> None:
    engine, other = create_engine("reference"), create_engine("reference")
    auditor = Auditor()
    for amount in (5, 6):
        engine_events = engine.apply(
            stamp(encode_command(m.Deposit(account=1, amount_atoms=amount)), engine.sequence + 1, 0)
        )
        auditor.feed(engine_events)
    other.apply(stamp(encode_command(m.Deposit(account=1, amount_atoms=5)), 1, 0))
    assert differences(auditor, engine) == []
    assert differences(auditor, other)


def test_events_alone_are_enough_but_for_the_policies() -> None:
    """A client that never saw a command but the listings audits the same stream."""
    records, failure = run_generated(11, 400, ("reference",))
    assert failure is None
    engine, auditor = create_engine("reference"), Auditor()
    for sequence, record in enumerate(records, start=1):
        command = stamp(record, sequence, sequence)
        if record[:2] == b"\x01\x00":
            auditor.feed_commands(command)
        auditor.feed(engine.apply(command))
    auditor.check()
    assert auditor.violations == []
