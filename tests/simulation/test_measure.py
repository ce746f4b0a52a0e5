"""What a run is measured to be, on stories small enough to check by hand.

One symbol: tick 1, lot 1, maintenance 5 %, liquidation fee 1 %.  Account 1 is long 10 lots at 100 with 100 of its
own, account 2 is its counterparty, account 3 makes the book.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from exchange.audit import Auditor
from exchange.engine import create_engine
from exchange.protocol.messages import (
    Command,
    Deposit,
    DepositFund,
    PlaceOrder,
    SetMarginMode,
    SetMark,
)
from exchange.protocol.records import encode_commands, stamp
from exchange.protocol.schema import FundCause, MarginMode, Side
from exchange.risk import BracketPolicy, LiquidationPolicy, SymbolPolicy
from exchange.sim.measure import Run, cut_at_marks, measure
from exchange.sim.paths import MarkPoint

ATOMS = 10**8
POLICY = SymbolPolicy(
    symbol=1,
    name="TEST",
    tick_size=Decimal(1),
    lot_size=Decimal(1),
    initial_margin=Decimal("0.1"),
    brackets=(BracketPolicy(Decimal(0), Decimal("0.05"), Decimal("0.1")),),
    liquidation=LiquidationPolicy(mode="full", fee=Decimal("0.01")),
)


def limit(account: int, side: Side, lots: int, price: int) -> PlaceOrder:
    return PlaceOrder(account=account, symbol=1, side=side, price_ticks=price, qty_lots=lots)


def mark(price: int) -> SetMark:
    return SetMark(symbol=1, price_ticks=price)


def opening(fund: int) -> list[Command]:
    return [
        POLICY.to_command(),
        DepositFund(fund=0, amount_atoms=fund * ATOMS),
        mark(100),
        Deposit(account=1, amount_atoms=150 * ATOMS),
        *(Deposit(account=account, amount_atoms=1_000 * ATOMS) for account in (2, 3)),
        SetMarginMode(account=1, symbol=1, margin_mode=MarginMode.ISOLATED),
        limit(2, Side.SELL, 10, 100),
        limit(1, Side.BUY, 10, 100),
        mark(100),
    ]


def run_story(commands: Iterable[Command], marks: list[int]) -> Run:
    path = [MarkPoint(60 * 10**9 * step, price, 1_000_000) for step, price in enumerate(marks)]
    auditor = Auditor()
    run = measure(
        [stamp(encode_commands(commands), 1, 1)],
        engine=create_engine("native"),
        auditor=auditor,
        path=path,
        watched=[1, 2],
        symbol=1,
    )
    assert not auditor.violations
    return run


def test_a_liquidation_through_the_book_pays_its_fee_to_the_fund() -> None:
    run = run_story([*opening(500), limit(3, Side.BUY, 10, 94), mark(94)], [100, 94])
    totals = run.totals
    # Equity 100 - 60 = 40 is below 5 % of 940; all 10 are sold at 94 and 1 % of 940 goes to the fund.
    assert (totals.liquidations_full, totals.liquidations_partial, totals.liquidations_open) == (
        1,
        0,
        0,
    )
    assert totals.liquidated_atoms == 940 * ATOMS
    assert totals.fund_fees_atoms == 9.4 * ATOMS
    assert (totals.fund_draws, totals.loss_beyond_margin_atoms) == (0, 0)
    assert run.samples[-1].fund_atoms == 509.4 * ATOMS
    (closing,) = run.closings
    assert (closing.account, closing.side, closing.price_ticks, closing.by_adl) == (
        1,
        Side.SELL,
        94,
        False,
    )
    # Put in 150, lost 60 and a fee of 9.4.
    assert run.fates[1].loss_share * 150 == 69.4
    assert run.fates[1].margin_mode == MarginMode.ISOLATED


def test_a_loss_beyond_margin_is_drawn_from_the_fund() -> None:
    run = run_story([*opening(500), limit(3, Side.BUY, 10, 88), mark(88)], [100, 88])
    totals = run.totals
    # The pool of 100 can bear a price of 90; at 88 the fund pays 2 for each of the 10.
    assert totals.fund_draws == 1
    assert totals.fund_drawn_atoms == totals.loss_beyond_margin_atoms == 20 * ATOMS
    assert [move.cause for move in run.fund_moves] == [
        FundCause.DEPOSIT,
        FundCause.LIQUIDATION_DEFICIT,
    ]
    # Isolated: what was not margin is still there.
    assert run.fates[1].left_atoms == 50 * ATOMS


def test_without_book_and_fund_a_winner_is_deleveraged_and_bears_the_loss() -> None:
    run = run_story([*opening(5), mark(88)], [100, 88])
    totals = run.totals
    # Nobody bids.  The deficit at 88 is 20: the fund has 5, and the short is closed 15 worse than the mark.
    assert (totals.adl_fills, totals.adl_haircut_atoms, totals.fund_drawn_atoms) == (
        1,
        15 * ATOMS,
        5 * ATOMS,
    )
    assert totals.loss_beyond_margin_atoms == 20 * ATOMS
    assert run.closings[0].by_adl
    assert run.fates[2].left_atoms == (1_000 + 120 - 15) * ATOMS
    assert run.samples[-1].fund_atoms == 0


def test_samples_tell_depth_trades_and_interest_of_their_step() -> None:
    run = run_story(
        [
            *opening(500),
            limit(3, Side.BUY, 4, 99),
            limit(3, Side.BUY, 6, 97),
            limit(3, Side.SELL, 5, 100),
            mark(99),
        ],
        [100, 99],
    )
    first, last = run.samples
    assert (first.low_ticks, first.high_ticks) == (100, 100)
    # 99 is within 1 % of 99, 97 is not; the ask of 100 is just outside.
    assert (last.bid_depth_atoms, last.ask_depth_atoms) == (4 * 99 * ATOMS, 0)
    assert last.long_atoms == {MarginMode.CROSS: 0, MarginMode.ISOLATED: 990 * ATOMS}
    assert last.short_atoms == {MarginMode.CROSS: 990 * ATOMS, MarginMode.ISOLATED: 0}
    assert (last.low_ticks, last.high_ticks) == (99, 99)


def test_orders_and_rejections_are_counted() -> None:
    run = run_story([*opening(500), limit(1, Side.BUY, 1_000, 100), mark(100)], [100, 100])
    assert (run.totals.orders, run.totals.rejected, run.totals.fills) == (3, 1, 1)
    assert run.totals.commands == run.sequence == 12


def test_a_batch_is_cut_at_its_marks() -> None:
    commands = [
        Deposit(account=1, amount_atoms=1),
        mark(1),
        mark(2),
        Deposit(account=1, amount_atoms=1),
    ]
    batch = stamp(encode_commands(commands), 1, 1)
    pieces = list(cut_at_marks(batch))
    assert [is_mark for _, is_mark in pieces] == [False, True, True, False]
    assert b"".join(piece for piece, _ in pieces) == batch
