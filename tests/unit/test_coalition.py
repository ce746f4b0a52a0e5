"""The coalition's books object to each thing that they are kept for, told by events made for the purpose."""

from __future__ import annotations

import msgspec
import pytest

from exchange.fuzz.coalition import Coalition
from exchange.protocol.messages import (
    Accepted,
    AssetListed,
    AssetPriceChanged,
    BalanceChanged,
    CollateralChanged,
    Event,
    Fill,
    FundChanged,
    FundPolicySet,
    LiquidationSettled,
    LiquidationStarted,
    ListSymbol,
    MarkChanged,
    MultiAssetSet,
    OrderRested,
)
from exchange.protocol.schema import BalanceCause, CollateralCause, FillRole, FundCause, Leg, Side

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
    coalition.funds[0] = 9
    paid = FundChanged(
        fund=0, symbol=1, cause=FundCause.LIQUIDATION_DEFICIT, change_atoms=-3, balance_atoms=0
    )
    start = LiquidationStarted(account=MEMBER, symbol=0, equity_atoms=0, maintenance_atoms=1)
    assert coalition.read([start, paid, settled(3)]) == []
    again = msgspec.structs.replace(settled(3), wallet_atoms=106)
    assert coalition.read([paid, again]) == ["C4: pool (1, 0) drew 6, at most 5 may be"]
    more = msgspec.structs.replace(settled(2), wallet_atoms=108)
    assert "C4: what funds paid to account 1: explained 3, came 2" in coalition.read([paid, more])


def test_in_a_sealed_world_nobody_else_trades_or_loses() -> None:
    """C8"""
    trade: list[Event] = [fill(STRANGER, Side.SELL, price=8), fill(MEMBER, Side.BUY, price=8)]
    found = books(sealed=True).read(trade)
    assert found == [
        "C8: account 2 trades in a sealed world",
        "C8: the others lost 2 in a sealed world",
    ]


#: The member loses 490 at once and has 100: its money alone is 390 short.
OUT_OF_REACH: list[Event] = [
    fill(STRANGER, Side.SELL, price=500),
    fill(MEMBER, Side.BUY, price=500),
]


def pledge(owner: int, parts: int) -> list[Event]:
    """Parts of an asset of which four are a unit of 400 atoms; half of their value counts."""
    return [
        AssetListed(asset=1, name="A1", unit_parts=4, haircut_ppm=500_000),
        AssetPriceChanged(asset=1, price_atoms=400),
        MultiAssetSet(account=owner, enabled=1),
        CollateralChanged(
            account=owner,
            asset=1,
            cause=CollateralCause.DEPOSIT,
            change_parts=parts,
            parts=parts,
        ),
    ]


def test_an_asset_stands_for_the_debt_of_its_owner() -> None:
    """C5: eight parts count for 400 atoms, and 390 are short."""
    coalition = books()
    assert coalition.read([*pledge(MEMBER, 8), *OUT_OF_REACH]) == []


@pytest.mark.parametrize(
    ("pledged", "short"),
    [
        pytest.param(pledge(MEMBER, 7), -40, id="seven parts count for 350 atoms"),
        pytest.param(
            [*pledge(MEMBER, 8), MultiAssetSet(account=MEMBER, enabled=0)],
            -390,
            id="the owner has not asked for it",
        ),
        pytest.param(
            [*pledge(MEMBER, 8), AssetPriceChanged(asset=1, price_atoms=300)],
            -90,
            id="its price fell to 300",
        ),
        pytest.param(pledge(STRANGER, 8), -390, id="it is somebody else's"),
    ],
)
def test_an_asset_stands_for_no_more_than_it_counts_for(pledged: list[Event], short: int) -> None:
    found = books().read([*pledged, *OUT_OF_REACH])
    assert f"C5: the coalition is worth {short}, and nothing is uncovered" in found


def test_an_asset_of_another_member_stands_for_nothing() -> None:
    """C5: account 3 has no debt, so what it pledged is its own."""
    coalition = books()
    coalition.members = frozenset({MEMBER, 3})
    found = coalition.read([*pledge(3, 8), moved(3, 1, 1), *OUT_OF_REACH])
    assert "C5: the coalition is worth -389, and nothing is uncovered" in found


def test_money_made_of_an_asset_is_brought_and_not_won() -> None:
    """C2, C8: the stranger has no position, and nobody lost the 7 atoms that its asset turned into."""
    coalition = books(sealed=True)
    assert coalition.read([moved(STRANGER, 7, 107, BalanceCause.CONVERSION)]) == []
    assert coalition.purses[STRANGER].paid_in == 107


def test_both_legs_of_a_symbol_are_kept_apart() -> None:
    """C1: in hedge mode the sale opens a short leg and leaves the long one alone."""
    coalition = books()
    replace = msgspec.structs.replace
    long = replace(fill(MEMBER, Side.BUY), leg=Leg.LONG)
    short = replace(fill(MEMBER, Side.SELL), leg=Leg.SHORT)
    assert coalition.read([fill(STRANGER, Side.SELL), long]) == []
    assert (
        coalition.read(
            [replace(fill(STRANGER, Side.BUY), position_lots=0, entry_value_atoms=0), short]
        )
        == []
    )
    assert dict(coalition.purses[MEMBER].lots) == {(1, Leg.LONG): 1, (1, Leg.SHORT): -1}


def test_c4_a_symbol_costs_its_funds_no_more_than_its_caps() -> None:
    """Its own fund in total, the second one in total, and both in the window."""

    def paid(fund: int, atoms: int) -> FundChanged:
        return FundChanged(
            fund=fund,
            symbol=1,
            cause=FundCause.DEFICIT_COVER,
            change_atoms=-atoms,
            balance_atoms=0,
        )

    def at(ns: int) -> Accepted:
        return Accepted(timestamp_ns=ns, command=11, order_id=0, client_order_id=0)

    coalition = books()
    coalition.funds.update({0: 100, 7: 100})
    policy = FundPolicySet(
        symbol=1,
        cap_atoms=10,
        second_fund=7,
        second_cap_atoms=20,
        window_ns=100,
        window_cap_atoms=12,
    )
    assert coalition.read([policy, at(5), paid(0, 10), paid(7, 2)]) == []
    assert "window of 12" in "".join(coalition.read([at(104), paid(7, 1)]))
    assert coalition.read([at(204), paid(7, 12)]) == []
    assert "at most 10 may be" in "".join(coalition.read([at(400), paid(0, 1)]))
    assert "at most 20 may be" in "".join(coalition.read([at(600), paid(7, 6)]))
    assert coalition.read([policy, at(601), paid(0, 10)]) == []
