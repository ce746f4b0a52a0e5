"""What time does, and what is remembered, on the reference engine (MATCH-03, MATCH-07, MATCH-08)."""

from __future__ import annotations

import pytest
from reference_desk import BUY, GTC, GTD, SELL, Desk, cancelled, names, order

from exchange.protocol import messages as m
from exchange.protocol.schema import SymbolState

MS = 1_000_000


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.list()
    desk.mark(100)
    for account in (1, 2, 3):
        desk.deposit(account, 100_000)
    desk.time_ns = 1_000
    return desk


def dated(account: int, expires_ns: int, price: int = 90, **more: int) -> m.PlaceOrder:
    return order(account, BUY, 1, price, time_in_force=GTD, expires_ns=expires_ns, **more)


# ------------------------------------------------------------------------------------------------ expiry


def test_order_expires_at_the_first_command_that_is_not_before_its_time(desk: Desk) -> None:
    desk.do(dated(1, 1_010))
    desk.time_ns = 1_009
    assert desk.do(m.AdvanceTime()) == []
    desk.time_ns = 1_010
    first, gone, *_ = desk.send(order(2, BUY, 1, 95))
    assert isinstance(first, m.Accepted)
    assert cancelled([gone]) == [(1, "expired", 1)]


def test_what_expires_does_not_trade(desk: Desk) -> None:
    desk.do(dated(1, 1_010, price=100))
    desk.time_ns = 1_010
    events = desk.order(2, SELL, 1, 100)
    assert names(events) == ["OrderCancelled", "OrderRested"]


def test_refused_command_tells_what_expired_too(desk: Desk) -> None:
    desk.do(dated(1, 1_010))
    desk.time_ns = 1_010
    events = desk.send(m.Deposit(account=1, amount_atoms=-1))
    assert names(events) == ["Rejected", "OrderCancelled"]


def test_what_is_due_at_once_goes_by_time_then_orders_then_accounts(desk: Desk) -> None:
    desk.time_ns = 2 * MS
    desk.do(dated(1, 3 * MS))  # 1
    desk.do(dated(2, 3 * MS - 1))  # 2
    desk.order(3, BUY, 1, 90)  # 3
    desk.order(2, BUY, 1, 90)  # 4
    desk.do(dated(2, 3 * MS))  # 5
    for account in (3, 2):
        desk.do(m.SetCountdown(account=account, timeout_ms=1))
    desk.time_ns = 5 * MS
    assert [(o, r) for o, r, _ in cancelled(desk.do(m.AdvanceTime()))] == [
        (2, "expired"),
        (1, "expired"),
        (5, "expired"),
        (4, "countdown"),
        (3, "countdown"),
    ]


def test_dates_that_may_not_be(desk: Desk) -> None:
    assert desk.refuse(dated(1, 0)) == "invalid_expiry"
    assert desk.refuse(dated(1, 1_000)) == "invalid_expiry"
    assert (
        desk.refuse(order(1, BUY, 1, 90, time_in_force=GTC, expires_ns=9_999)) == "invalid_expiry"
    )


def test_expiry_is_amended_in_place(desk: Desk) -> None:
    desk.do(dated(1, 1_010))
    assert desk.amend(1, 1, expires_ns=1_020) == []
    desk.time_ns = 1_010
    assert desk.do(m.AdvanceTime()) == []
    too_late = m.AmendOrder(account=1, order_id=1, expires_ns=1_010)
    assert desk.refuse(too_late) == "invalid_expiry"
    desk.order(2, BUY, 1, 80)
    assert desk.refuse(m.AmendOrder(account=2, order_id=2, expires_ns=2_000)) == "invalid_expiry"
    desk.time_ns = 1_020
    assert cancelled(desk.do(m.AdvanceTime())) == [(1, "expired", 1)]


# --------------------------------------------------------------------------------------------- countdown


def test_countdown_cancels_unless_it_is_set_again(desk: Desk) -> None:
    desk.order(1, BUY, 1, 90)
    (told,) = desk.do(m.SetCountdown(account=1, timeout_ms=1))
    assert told.expires_ns == 1_000 + MS
    desk.time_ns += MS - 1
    (told,) = desk.do(m.SetCountdown(account=1, timeout_ms=2))
    desk.time_ns += MS
    assert desk.do(m.AdvanceTime()) == []
    assert desk.engine.account(1).countdown_ns == told.expires_ns
    desk.time_ns += MS
    assert cancelled(desk.do(m.AdvanceTime())) == [(1, "countdown", 1)]
    assert desk.engine.account(1).countdown_ns == 0


def test_countdown_of_nothing_is_none(desk: Desk) -> None:
    desk.order(1, BUY, 1, 90)
    desk.do(m.SetCountdown(account=1, timeout_ms=1))
    (told,) = desk.do(m.SetCountdown(account=1))
    assert told.expires_ns == 0
    desk.time_ns += 10 * MS
    assert desk.do(m.AdvanceTime()) == []
    assert desk.refuse(m.SetCountdown(account=1, timeout_ms=86_400_001)) == "invalid_timeout"
    assert desk.refuse(m.SetCountdown(account=0, timeout_ms=86_400_001)) == "invalid_account"


def test_countdown_leaves_what_is_halted(desk: Desk) -> None:
    desk.order(1, BUY, 1, 90)
    desk.do(m.SetCountdown(account=1, timeout_ms=1))
    desk.state(SymbolState.HALTED)
    desk.time_ns += MS
    assert desk.do(m.AdvanceTime()) == []
    assert (list(desk.live(1)), desk.engine.account(1).countdown_ns) == ([1], 0)


def test_account_with_a_countdown_is_in_the_state(desk: Desk) -> None:
    assert desk.engine.accounts() == [1, 2, 3]
    desk.do(m.SetCountdown(account=9, timeout_ms=1))
    assert desk.engine.accounts() == [1, 2, 3, 9]
    desk.do(m.SetCountdown(account=9))
    assert desk.engine.accounts() == [1, 2, 3]


# --------------------------------------------------------------------------------------- client order ids


def test_order_that_is_sent_again_is_answered_and_does_nothing(desk: Desk) -> None:
    first = order(1, BUY, 1, 90, client_order_id=5)
    desk.do(first)
    before = desk.engine.digest()
    (answer,) = desk.send(first)
    assert (answer.order_id, answer.client_order_id) == (1, 5)
    assert desk.engine.digest() == before
    desk.do(m.CancelOrder(account=1, order_id=1))
    assert [e.order_id for e in desk.send(first)] == [1]
    assert desk.live(1) == {}


def test_other_content_is_a_duplicate(desk: Desk) -> None:
    desk.order(1, BUY, 1, 90, client_order_id=5)
    for other in (
        order(1, SELL, 1, 110, client_order_id=5),
        order(1, BUY, 2, 90, client_order_id=5),
        order(1, BUY, 1, 91, client_order_id=5),
    ):
        assert desk.refuse(other) == "duplicate_client_order_id"
    # Only what is named in MATCH-08 is content.
    (answer,) = desk.send(order(1, BUY, 1, 90, client_order_id=5, self_trade=2))
    assert answer.order_id == 1


def test_repeat_is_answered_before_anything_but_its_form_is_asked(desk: Desk) -> None:
    first = order(1, BUY, 1, 90, client_order_id=5)
    desk.do(first)
    desk.state(SymbolState.HALTED)
    assert len(desk.send(first)) == 1 and isinstance(desk.send(first)[0], m.Accepted)
    assert desk.refuse(order(1, BUY, 0, 90, client_order_id=5)) == "invalid_quantity"


def test_last_128_ids_are_remembered(desk: Desk) -> None:
    desk.order(1, BUY, 1, 90, client_order_id=1)
    desk.order(1, BUY, 1, 90, client_order_id=2)
    desk.do(m.CancelOrder(account=1, order_id=1))
    for client_id in range(3, 129):
        desk.order(1, BUY, 1, 90, client_order_id=client_id)
    desk.order(2, BUY, 1, 80, client_order_id=999)  # others do not count
    assert len(desk.send(order(1, BUY, 1, 90, client_order_id=1))) == 1
    desk.order(1, BUY, 1, 90, client_order_id=129)  # 1 is forgotten
    desk.order(1, BUY, 1, 90, client_order_id=1)  # 2 is forgotten, but it lives
    assert desk.refuse(order(1, BUY, 1, 90, client_order_id=2)) == "duplicate_client_order_id"
    desk.do(m.CancelOrder(account=1, client_order_id=2))
    desk.order(1, BUY, 1, 90, client_order_id=2)
