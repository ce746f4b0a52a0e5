"""The coalition's books object to each thing that they are kept for, told by events made for the purpose."""

from __future__ import annotations

import msgspec
import pytest

from exchange.fuzz.coalition import Coalition
from exchange.protocol.messages import (
    BalanceChanged,
    Event,
    Fill,
    FundChanged,
    LiquidationSettled,
    LiquidationStarted,
    ListSymbol,
    MarkChanged,
    OrderRested,
)
from exchange.protocol.schema import BalanceCause, FillRole, FundCause, Side

MEMBER, STRANGER = 1, 2
LISTING = ListSymbol(
    symbol=1,
    name="S1",
    tick_size_e12=10**8,
    lot_size_e12=10**8,
    atoms_per_tick_lot=1,
    initial_margin_ppm=100_000,
    draw_cap_atoms=5,
    brackets=((0, 50_000, 0),),
)


def books(*, sealed: bool = False) -> Coalition:
    """Account 1 against the rest, each with 100 atoms; one symbol, its mark at 10."""
    coalition = Coalition([MEMBER], sealed=sealed)
    coalition.listings[1] = LISTING
    opening = [moved(MEMBER, 100, 100), moved(STRANGER, 100, 100)]
    assert coalition.read([*opening, MarkChanged(symbol=1, price_ticks=10)]) == []
    return coalition


def moved(
    account: int, change: int, wallet: int, cause: BalanceCause = BalanceCause.DEPOSIT
) -> BalanceChanged:
    return BalanceChanged(
        account=account,
        symbol=0,
        cause=cause,
        wallet_change_atoms=change,
        margin_change_atoms=0,
        wallet_atoms=wallet,
        margin_atoms=0,
    )


def fill(account: int, side: Side, price: int = 10, fee: int = 0, order_id: int = 0) -> Fill:
    """One lot, opened by an account with 100 atoms."""
    sign = 1 if side is Side.BUY else -1
    return Fill(
        account=account,
        symbol=1,
        side=side,
        role=FillRole.MAKER,
        margin_mode=0,
        trade_id=1,
        order_id=order_id,
        price_ticks=price,
        qty_lots=1,
        value_atoms=price,
        open_lots=0,
        position_lots=sign,
        entry_value_atoms=sign * price,
        realised_atoms=0,
        fee_atoms=fee,
        wallet_atoms=100 - fee,
        margin_atoms=0,
    )


def settled(paid: int) -> LiquidationSettled:
    return LiquidationSettled(
        account=MEMBER,
        symbol=1,
        fund=0,
        trade_id=1,
        bankruptcy_value_atoms=0,
        liquidation_fee_atoms=0,
        fund_paid_atoms=paid,
        wallet_atoms=100 + paid,
        margin_atoms=0,
    )


def test_an_honest_trade_is_in_order() -> None:
    trade: list[Event] = [fill(STRANGER, Side.SELL, fee=1), fill(MEMBER, Side.BUY, fee=1)]
    assert books().read(trade) == []


WRONG: dict[str, list[Event]] = {
    "C1": [moved(MEMBER, 5, 104)],
    "C2": [moved(STRANGER, -1, 99, BalanceCause.FUNDING)],
    "C3": [
        OrderRested(
            account=STRANGER, symbol=1, side=0, flags=0, order_id=7, price_ticks=10, open_lots=1
        ),
        fill(STRANGER, Side.BUY, price=11, order_id=7),
    ],
    "C4": [
        LiquidationStarted(account=MEMBER, symbol=0, equity_atoms=0, maintenance_atoms=1),
        settled(6),
    ],
    "C5": [fill(STRANGER, Side.SELL, price=500), fill(MEMBER, Side.BUY, price=500)],
    "C6": [moved(MEMBER, -101, -1, BalanceCause.WITHDRAWAL)],
    "C7": [fill(STRANGER, Side.SELL, fee=1), fill(MEMBER, Side.BUY, fee=-2)],
}


@pytest.mark.parametrize("name", WRONG)
def test_what_may_not_be_is_named(name: str) -> None:
    found = books().read(WRONG[name])
    assert name in {text.split(":")[0] for text in found}, found


def test_a_fund_below_zero_is_c4() -> None:
    change = FundChanged(
        fund=0, symbol=1, cause=FundCause.DEFICIT_COVER, change_atoms=-1, balance_atoms=-1
    )
    assert books().read([change]) == ["C4: fund 0 is at -1"]


def test_what_a_liquidation_drew_is_added_up_to_its_end() -> None:
    """C4: twice 3 atoms are more than 5, whoever the payments were for."""
    coalition = books()
    start = LiquidationStarted(account=MEMBER, symbol=0, equity_atoms=0, maintenance_atoms=1)
    assert coalition.read([start, settled(3)]) == []
    again = msgspec.structs.replace(settled(3), wallet_atoms=106)
    assert coalition.read([again]) == ["C4: pool (1, 0) drew 6, at most 5 may be"]


def test_in_a_sealed_world_nobody_else_trades_or_loses() -> None:
    """C8"""
    trade: list[Event] = [fill(STRANGER, Side.SELL, price=8), fill(MEMBER, Side.BUY, price=8)]
    found = books(sealed=True).read(trade)
    assert found == [
        "C8: account 2 trades in a sealed world",
        "C8: the others lost 2 in a sealed world",
    ]
