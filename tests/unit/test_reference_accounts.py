"""What fills, fees and funding do to positions and balances in the reference engine (ACCT, FUNDING)."""

from __future__ import annotations

import pytest
from reference_desk import (
    BUY,
    CROSS,
    ISOLATED,
    REDUCE_ONLY,
    SELL,
    Desk,
    fills,
    names,
    only,
    order,
)

from exchange.protocol import messages as m
from exchange.protocol.schema import BalanceCause, FundCause

RICH = 9  # an account that always has enough


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.list()
    desk.mark(100)
    desk.deposit(RICH, 1_000_000)
    return desk


def with_fees(taker_ppm: int, maker_ppm: int) -> Desk:
    desk = Desk()
    desk.list(taker_fee_ppm=taker_ppm, maker_fee_ppm=maker_ppm)
    desk.mark(100)
    desk.deposit(RICH, 1_000_000)
    return desk


# ------------------------------------------------------------------------------------------- ACCT-03


def test_reducing_releases_its_part_of_the_entry_value_rounded_up(desk: Desk) -> None:
    """ACCT-03: 3 lots cost 302; selling 1 at 110 releases ceil(302 / 3) = 101 and realises 9."""
    desk.deposit(1, 1_000)
    desk.trade(1, RICH, 1, 100)
    desk.trade(1, RICH, 2, 101)
    assert desk.holding(1) == (3, 302)
    maker, taker = desk.trade(RICH, 1, 1, 110)
    assert (maker.realised_atoms, desk.holding(1)) == (9, (2, 201))
    # The short releases ceil(-302 / 3) = -100 and realises -110 + 100 = -10.
    assert (taker.realised_atoms, desk.holding(RICH)) == (-10, (-2, -202))
    assert desk.wallet(1) == 1_009


def test_flip_is_a_full_close_and_an_opening(desk: Desk) -> None:
    """ACCT-03: long 3 for 302, 5 sold at 110: 330 - 302 = 28 realised, then short 2 for -220."""
    desk.deposit(1, 1_000)
    desk.trade(1, RICH, 1, 100)
    desk.trade(1, RICH, 2, 101)
    maker, _ = desk.trade(RICH, 1, 5, 110)
    assert maker.realised_atoms == 28
    assert desk.holding(1) == (-2, -220)


# ------------------------------------------------------------------------------------------- ACCT-04


def test_fee_is_rounded_up_and_a_rebate_never_up() -> None:
    """ACCT-04: 300 at 500 ppm is 0.15, so 1; a rebate of 0.15 is ceil(-0.15) = 0, one of 1.5 is 1."""
    desk = with_fees(taker_ppm=500, maker_ppm=-500)
    desk.deposit(1, 1_000)
    maker, taker = desk.trade(1, RICH, 3, 100)
    assert (maker.fee_atoms, taker.fee_atoms) == (0, 1)
    maker, taker = desk.trade(1, RICH, 30, 100)
    assert (maker.fee_atoms, taker.fee_atoms) == (-1, 2)
    assert desk.engine.fees_atoms() == 2
    assert desk.wallet(1) == 1_000 - 3


def test_fee_of_the_last_close_takes_no_more_than_the_wallet_has() -> None:
    """ACCT-04: a wallet of 60 holds 1,000 at 20x; closing costs a fee of 100, of which 60 are paid."""
    desk = with_fees(taker_ppm=100_000, maker_ppm=0)
    desk.deposit(1, 60)
    desk.do(m.SetMarginMode(account=1, symbol=1, margin_mode=CROSS, initial_margin_ppm=50_000))
    desk.order(1, BUY, 10, 100)
    desk.order(RICH, SELL, 10, 100)  # account 1 is the maker, without fee
    desk.order(RICH, BUY, 10, 100)
    (fill,) = fills(desk.order(1, SELL, 10, 100, flags=REDUCE_ONLY), role=1)
    assert (fill.fee_atoms, fill.wallet_atoms) == (60, 0)
    assert desk.engine.fees_atoms() == 160


def test_fee_of_an_isolated_opening_falls_back_on_its_pool(desk: Desk) -> None:
    """ACCT-04: 40 of the 41 in the wallet become margin; the wallet has 1 of a fee of 4, the pool pays 3."""
    desk = with_fees(taker_ppm=10_000, maker_ppm=0)
    desk.deposit(1, 41)
    desk.isolate(1)
    desk.order(RICH, SELL, 4, 100)
    (fill,) = fills(desk.order(1, BUY, 4, 100), role=1)
    assert (fill.fee_atoms, fill.wallet_atoms, fill.margin_atoms) == (4, 0, 37)


def test_fee_of_an_isolated_reduction_never_takes_from_the_pool(desk: Desk) -> None:
    """ACCT-04: closing at a loss that the pool bears leaves nothing in the wallet: the fee is waived."""
    desk = with_fees(taker_ppm=100_000, maker_ppm=0)
    desk.deposit(1, 75)
    desk.isolate(1)
    desk.order(1, BUY, 4, 100)
    desk.order(RICH, SELL, 4, 100)  # the maker pays no fee: 40 moved, 35 left
    desk.do(m.ChangeIsolatedMargin(account=1, symbol=1, change_atoms=35))
    desk.order(RICH, BUY, 2, 80)
    # 2 of 4 lots at 80: realised -40, share floor(75 / 2) = 37, net -3: the pool bears all of it, 75 - 40 = 35.
    (fill,) = fills(desk.order(1, SELL, 2, 80), role=1)
    assert (fill.realised_atoms, fill.fee_atoms) == (-40, 0)
    assert (fill.wallet_atoms, fill.margin_atoms) == (0, 35)


# ------------------------------------------------------------------------------------------- ACCT-05


def test_isolated_opening_moves_initial_margin(desk: Desk) -> None:
    """ACCT-05: 3 lots at 101 with the mark at 100: ceil(303 / 10) = 31."""
    desk.deposit(1, 100)
    desk.isolate(1)
    desk.trade(1, RICH, 3, 101)
    assert (desk.wallet(1), desk.position(1).margin_atoms) == (69, 31)


def test_isolated_reduction_returns_its_share_and_the_profit(desk: Desk) -> None:
    """ACCT-05: of 30 for 3 lots, 1 lot returns 10 and the 3 it earned."""
    desk.deposit(1, 100)
    desk.isolate(1)
    desk.trade(1, RICH, 3, 100)
    desk.trade(RICH, 1, 1, 103)
    assert (desk.wallet(1), desk.position(1).margin_atoms) == (70 + 13, 20)


def test_isolated_loss_never_touches_the_wallet(desk: Desk) -> None:
    """ACCT-05: the share of 20 does not cover a loss of 25, so the pool pays the 25 and keeps the share."""
    desk.deposit(1, 100)
    desk.isolate(1)
    desk.trade(1, RICH, 3, 100)
    desk.do(m.ChangeIsolatedMargin(account=1, symbol=1, change_atoms=30))
    assert (desk.wallet(1), desk.position(1).margin_atoms) == (40, 60)
    desk.trade(RICH, 1, 1, 75)
    assert (desk.wallet(1), desk.position(1).margin_atoms) == (40, 35)


def test_isolated_close_returns_all_of_the_pool(desk: Desk) -> None:
    desk.deposit(1, 100)
    desk.isolate(1)
    desk.trade(1, RICH, 3, 100)
    desk.trade(RICH, 1, 3, 95)
    assert (desk.wallet(1), desk.position(1).margin_atoms) == (85, 0)


def test_isolated_flip_closes_one_pool_and_opens_another(desk: Desk) -> None:
    """ACCT-05: 30 come back with 30 of profit; then 2 lots at 110 move ceil(220 / 10) = 22."""
    desk.deposit(1, 100)
    desk.isolate(1)
    desk.trade(1, RICH, 3, 100)
    desk.trade(RICH, 1, 5, 110)
    assert desk.holding(1) == (-2, -220)
    assert (desk.wallet(1), desk.position(1).margin_atoms) == (130 - 22, 22)


# ----------------------------------------------------------------------------------- ACCT-01, 06, 07


def test_switching_to_isolated_moves_margin_and_the_loss_so_far(desk: Desk) -> None:
    """ACCT-01: 10 lots from 100 at a mark of 98: 98 of initial margin and 20 of loss."""
    desk.deposit(1, 200)
    desk.trade(1, RICH, 10, 100)
    desk.mark(98)
    events = desk.isolate(1)
    assert names(events) == ["MarginModeChanged", "BalanceChanged"]
    (change,) = only(events, m.BalanceChanged)
    assert (change.cause, change.wallet_change_atoms, change.margin_change_atoms) == (
        BalanceCause.MARGIN_MODE,
        -118,
        118,
    )
    back = m.SetMarginMode(account=1, symbol=1, margin_mode=CROSS)
    (change,) = only(desk.do(back), m.BalanceChanged)
    assert (change.margin_change_atoms, change.wallet_atoms, change.margin_atoms) == (-118, 200, 0)


def test_switching_is_one_step_or_nothing(desk: Desk) -> None:
    desk.deposit(1, 117)
    desk.trade(1, RICH, 10, 100)
    desk.mark(98)
    change = m.SetMarginMode(account=1, symbol=1, margin_mode=ISOLATED)
    assert desk.refuse(change) == "insufficient_margin"
    desk.deposit(1, 1)
    desk.do(change)


def test_own_rate_may_not_be_below_the_first_bracket(desk: Desk) -> None:
    def change(**more: int) -> m.SetMarginMode:
        return m.SetMarginMode(account=1, symbol=1, **{"margin_mode": CROSS} | more)

    assert desk.refuse(change(initial_margin_ppm=49_999)) == "leverage_too_high"
    assert desk.refuse(change(initial_margin_ppm=1_000_001)) == "invalid_margin_rate"
    assert desk.refuse(change(margin_mode=2)) == "invalid_margin_mode"
    (changed,) = desk.do(change(initial_margin_ppm=50_000))
    assert changed.initial_margin_ppm == 50_000
    # 0 keeps the rate.
    assert desk.do(change())[0].initial_margin_ppm == 50_000


def test_isolated_margin_leaves_down_to_initial_margin_without_profit(desk: Desk) -> None:
    """ACCT-06: 3 lots at a mark of 110 need 33; the profit of 30 does not count, of 60 at most 27 leave."""
    desk.deposit(1, 100)
    desk.isolate(1)
    no_position = m.ChangeIsolatedMargin(account=1, symbol=1, change_atoms=1)
    assert desk.refuse(no_position) == "no_isolated_position"
    desk.trade(1, RICH, 3, 100)
    too_much = m.ChangeIsolatedMargin(account=1, symbol=1, change_atoms=71)
    assert desk.refuse(too_much) == "insufficient_margin"
    desk.do(m.ChangeIsolatedMargin(account=1, symbol=1, change_atoms=30))
    desk.mark(110)
    out = m.ChangeIsolatedMargin(account=1, symbol=1, change_atoms=-28)
    assert desk.refuse(out) == "insufficient_margin"
    desk.do(m.ChangeIsolatedMargin(account=1, symbol=1, change_atoms=-27))
    assert (desk.wallet(1), desk.position(1).margin_atoms) == (67, 33)


def test_unrealised_profit_never_leaves(desk: Desk) -> None:
    """ACCT-07: W 200, 10 lots at 120 need 120; with the profit of 200 available is 280, withdrawable is 80."""
    desk.deposit(1, 200)
    desk.trade(1, RICH, 10, 100)
    desk.mark(120)
    view = desk.engine.account(1)
    assert (view.available_atoms, view.withdrawable_atoms) == (280, 80)
    assert desk.refuse(m.Withdraw(account=1, amount_atoms=81)) == "insufficient_margin"
    desk.do(m.Withdraw(account=1, amount_atoms=80))


def test_money_has_a_range(desk: Desk) -> None:
    assert desk.refuse(m.Deposit(account=1, amount_atoms=0)) == "invalid_amount"
    assert desk.refuse(m.Deposit(account=1, amount_atoms=10**18 + 1)) == "invalid_amount"
    # A million is there already.
    assert desk.refuse(m.Deposit(account=1, amount_atoms=10**18)) == "value_out_of_range"
    fund = m.DepositFund(fund=0, amount_atoms=10**18 - 1_000_000)
    assert only(desk.do(fund), m.FundChanged)[0].balance_atoms == 10**18 - 1_000_000
    assert desk.refuse(m.DepositFund(fund=0, amount_atoms=1)) == "value_out_of_range"
    assert desk.refuse(m.Deposit(account=1 << 24, amount_atoms=0)) == "invalid_account"


# --------------------------------------------------------------------------------------- FUNDING-01


def test_payer_rounds_up_receiver_down_and_the_fund_keeps_the_rest(desk: Desk) -> None:
    """FUNDING-01: 1.5 per lot: long 3 pays ceil(4.5) = 5, short 1 gets 1, short 2 gets 3; 1 is left."""
    for account in (1, 2, 3):
        desk.deposit(account, 1_000)
    desk.isolate(1)
    desk.trade(1, 2, 1, 100)
    desk.trade(1, 3, 2, 100)
    settle = m.SettleFunding(symbol=1, payment_atoms_per_lot=1, payment_fraction_q32=1 << 31)
    first, *paid, residue = desk.do(settle)
    assert isinstance(first, m.FundingSettled)
    assert [(e.account, e.wallet_change_atoms, e.margin_change_atoms) for e in paid] == [
        (1, 0, -5),
        (2, 1, 0),
        (3, 3, 0),
    ]
    assert (residue.cause, residue.change_atoms) == (FundCause.FUNDING_RESIDUE, 1)
    assert desk.engine.funds() == {0: 1}


def test_negative_funding_is_paid_by_shorts(desk: Desk) -> None:
    """FUNDING-01: -1 + 1/2 = -0.5 per lot: short 3 pays ceil(1.5) = 2, long 3 gets 1."""
    desk.deposit(1, 1_000)
    desk.trade(1, RICH, 3, 100)
    settle = m.SettleFunding(symbol=1, payment_atoms_per_lot=-1, payment_fraction_q32=1 << 31)
    _, long, short, residue = desk.do(settle)
    assert (long.wallet_change_atoms, short.wallet_change_atoms) == (1, -2)
    assert residue.change_atoms == 1


def test_funding_needs_a_mark_and_stays_in_range() -> None:
    desk = Desk()
    desk.list(exposure_limit_atoms=1_000)
    settle = m.SettleFunding(symbol=1, payment_atoms_per_lot=250)
    assert desk.refuse(settle) == "no_mark_price"
    desk.mark(100)
    desk.deposit(1, 1_000)
    desk.deposit(2, 1_000)
    desk.trade(1, 2, 2, 100)  # G = 4, and 4 x 251 is more than 1,000
    assert desk.refuse(settle) == "value_out_of_range"
    assert desk.refuse(m.SettleFunding(symbol=2, payment_atoms_per_lot=1)) == "unknown_symbol"
    assert desk.refuse(order(1, BUY, 1, 100, symbol=2)) == "unknown_symbol"
