"""Every reason of rejection, on both engines: the command, the reason, and which of several reasons is given.

Each chain starts with a command in which everything is wrong and repairs one fault after the other: the reasons come
in the order of their numbers, and at the end the command is accepted.  One lot at one tick is worth one atom here.
"""

from __future__ import annotations

import struct
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from exchange.engine import ENGINE_KINDS, Engine, create_engine
from exchange.protocol import messages as m
from exchange.protocol.records import decode_events, encode_command
from exchange.protocol.schema import RejectReason as R

BUY, SELL = 0, 1
IOC = 1
CROSS, ISOLATED = 0, 1
POST_ONLY, REDUCE_ONLY = 1, 2

PLAIN, UNMARKED, BOUNDED, HEDGE, CRASHED, HALTED, QUIET, SETTLED = 1, 2, 3, 4, 5, 6, 7, 8  # symbols
CAPPED = 11
COMPOSITE = 20  # a symbol whose mark is held; the engine settles its funding
FUNDED = 21  # the same without a mark
MAKER, RICH, BIDDER, FLAGGED, POOR, UNCOVERED, SKIPPED, ALONE = 1, 2, 3, 5, 6, 7, 8, 10  # accounts
MAKER_ORDER, HALTED_ORDER = 13, 16  # the order ids that MAKER's bids get in `WORLD`
STOP_MARKET = 2


def listing(symbol: int, **policy: Any) -> m.ListSymbol:
    """One atom a lot and tick, 10x, 5 % maintenance, orders closed whole."""
    plain: dict[str, Any] = {
        "name": f"S{symbol}",
        "tick_size_e12": 10**8,
        "lot_size_e12": 10**8,
        "atoms_per_tick_lot": 1,
        "initial_margin_ppm": 100_000,
        "exposure_limit_atoms": 10**12,
        "liquidation_mode": 0,
        "brackets": ((0, 50_000, 0),),
    }
    return m.ListSymbol(symbol=symbol, **plain | policy)


def order(account: int, symbol: int, side: int, lots: int, price: int, **more: Any) -> m.PlaceOrder:
    return m.PlaceOrder(
        account=account, symbol=symbol, side=side, qty_lots=lots, price_ticks=price, **more
    )


def trade(buyer: int, seller: int, symbol: int, lots: int) -> list[m.Command]:
    return [order(seller, symbol, SELL, lots, 100), order(buyer, symbol, BUY, lots, 100)]


def mark(symbol: int, price: int) -> m.SetMark:
    return m.SetMark(symbol=symbol, price_ticks=price)


#: MAKER has a post-only bid of 30 at 95 of which 10 are filled, beside an offer of 25 at 105, and a bid in a symbol
#: that is halted; QUIET never traded; FLAGGED is being liquidated; UNCOVERED has a deficit that nobody pays; ALONE has
#: an isolated position.
WORLD: list[m.Command] = [
    listing(PLAIN),
    listing(UNMARKED),
    listing(
        BOUNDED,
        price_band_ppm=100_000,
        min_qty_lots=20,
        max_qty_lots=100,
        min_notional_atoms=2_300,
        max_open_orders=1,
        exposure_limit_atoms=28_000,
    ),
    listing(HEDGE),
    listing(CRASHED),
    listing(HALTED),
    listing(QUIET),
    listing(SETTLED),
    *[mark(symbol, 100) for symbol in (PLAIN, BOUNDED, HEDGE, CRASHED, HALTED, QUIET)],
    m.Deposit(account=MAKER, amount_atoms=286),
    m.Deposit(account=RICH, amount_atoms=10**6),
    m.Deposit(account=BIDDER, amount_atoms=10**6),
    m.Deposit(account=FLAGGED, amount_atoms=100),
    m.Deposit(account=UNCOVERED, amount_atoms=110),
    m.Deposit(account=SKIPPED, amount_atoms=20),
    m.Deposit(account=ALONE, amount_atoms=200),
    m.SetMarginMode(account=ALONE, symbol=HEDGE, margin_mode=ISOLATED),
    *trade(FLAGGED, RICH, PLAIN, 10),  # orders 1, 2
    mark(PLAIN, 94),  # nobody buys; the closing order took id 3
    *trade(UNCOVERED, SKIPPED, HEDGE, 1),  # 4, 5
    *trade(UNCOVERED, RICH, CRASHED, 10),  # 6, 7
    mark(CRASHED, 50),  # two closing orders: 8, 9
    *trade(ALONE, RICH, HEDGE, 1),  # 10, 11
    order(BIDDER, BOUNDED, BUY, 30, 96),  # 12, filled below
    order(MAKER, BOUNDED, BUY, 30, 95, flags=POST_ONLY, client_order_id=7),  # 13
    order(RICH, BOUNDED, SELL, 40, 95, time_in_force=IOC),
    order(RICH, BOUNDED, SELL, 25, 105),
    order(MAKER, HALTED, BUY, 1, 1),  # 16, for an atom of margin
    m.SetSymbolState(symbol=HALTED, state=4),
    m.SetSymbolState(symbol=SETTLED, state=5, price_ticks=100),
    listing(CAPPED),
    mark(CAPPED, 100),
    m.SetRiskLimits(symbol=CAPPED, position_limit_atoms=500, open_interest_limit_atoms=300),
    listing(COMPOSITE),
    mark(COMPOSITE, 100),
    m.SetMarkPolicy(symbol=COMPOSITE, max_feeds=1),
    m.SetPrice(symbol=COMPOSITE, price_ticks=100),
    listing(FUNDED),
    m.SetMarkPolicy(symbol=FUNDED, max_feeds=1),
    m.SetFundingPolicy(symbol=COMPOSITE),
    m.SetFundingPolicy(symbol=FUNDED),
    m.ListAsset(asset=1, name="A", unit_parts=10, haircut_ppm=0),
    m.SetAssetPrice(asset=1, price_atoms=10**17),
    m.ChangeCollateral(account=SKIPPED, asset=1, change_parts=20),
]

Chain = tuple[m.Command, list[tuple[R, dict[str, Any]]]]

CHAINS: dict[str, Chain] = {
    "list_symbol": (
        listing(
            0,
            brackets=((1, 50_000, 0),),
            initial_margin_ppm=0,
            atoms_per_tick_lot=2,
            exposure_limit_atoms=1 << 60,
        ),
        [
            (R.INVALID_SYMBOL, {"symbol": PLAIN}),
            (R.SYMBOL_EXISTS, {"symbol": 9}),
            (R.INVALID_BRACKETS, {"brackets": ((0, 50_000, 80_000),)}),
            (R.INVALID_POLICY, {"initial_margin_ppm": 79_999}),
            (R.VALUE_NOT_WHOLE, {"atoms_per_tick_lot": 1}),
            (R.VALUE_OUT_OF_RANGE, {"exposure_limit_atoms": 1}),
            (R.LEVERAGE_TOO_HIGH, {"initial_margin_ppm": 80_000}),
        ],
    ),
    "deposit": (
        m.Deposit(account=0, amount_atoms=0),
        [
            (R.INVALID_ACCOUNT, {"account": POOR}),
            (R.INVALID_AMOUNT, {"amount_atoms": 10**18}),
            (R.VALUE_OUT_OF_RANGE, {"amount_atoms": 1}),
        ],
    ),
    "deposit_fund": (
        m.DepositFund(fund=3, amount_atoms=-1),
        [
            (R.INVALID_AMOUNT, {"amount_atoms": 10**18}),
            (R.VALUE_OUT_OF_RANGE, {"amount_atoms": 1}),
        ],
    ),
    "set_margin_mode": (
        m.SetMarginMode(account=0, symbol=99, margin_mode=2, initial_margin_ppm=1_000_001),
        [
            (R.INVALID_ACCOUNT, {"account": FLAGGED}),
            (R.UNKNOWN_SYMBOL, {"symbol": BOUNDED}),
            (R.INVALID_MARGIN_MODE, {"margin_mode": ISOLATED}),
            (R.INVALID_MARGIN_RATE, {"initial_margin_ppm": 1}),
            (R.POOL_LIQUIDATING, {"account": MAKER}),
            (R.LEVERAGE_TOO_HIGH, {"initial_margin_ppm": 1_000_000}),
            (R.INSUFFICIENT_MARGIN, {"margin_mode": CROSS, "initial_margin_ppm": 100_000}),
        ],
    ),
    "change_isolated_margin": (
        m.ChangeIsolatedMargin(account=0, symbol=99, change_atoms=0),
        [
            (R.INVALID_ACCOUNT, {"account": FLAGGED}),
            (R.UNKNOWN_SYMBOL, {"symbol": HEDGE}),
            (R.INVALID_AMOUNT, {"change_atoms": 10**6}),
            (R.POOL_LIQUIDATING, {"account": RICH}),
            (R.NO_ISOLATED_POSITION, {"account": ALONE}),
            (R.INSUFFICIENT_MARGIN, {"change_atoms": 190}),
        ],
    ),
    "place_order": (
        m.PlaceOrder(
            account=0,
            symbol=99,
            side=2,
            order_type=7,
            time_in_force=4,
            self_trade=4,
            flags=64,
            price_ticks=0,
            qty_lots=0,
            client_order_id=7,
            display_lots=-1,
            expires_ns=1,
            trigger_ticks=90,
        ),
        [
            (R.INVALID_ACCOUNT, {"account": MAKER}),
            (R.UNKNOWN_SYMBOL, {"symbol": HALTED}),
            (R.INVALID_SIDE, {"side": BUY}),
            (R.INVALID_ORDER_TYPE, {"order_type": 0}),
            (R.INVALID_TIME_IN_FORCE, {"time_in_force": 0}),
            (R.INVALID_SELF_TRADE_PREVENTION, {"self_trade": 0}),
            (R.INVALID_FLAGS, {"flags": POST_ONLY}),
            (R.INVALID_PRICE, {"price_ticks": 112}),
            (R.INVALID_QUANTITY, {"qty_lots": 1}),
            (R.INVALID_TRIGGER, {"trigger_ticks": 0}),
            (R.INVALID_DISPLAY, {"display_lots": 0}),
            (R.INVALID_EXPIRY, {"expires_ns": 0}),
            (R.SYMBOL_STATE_FORBIDS, {"symbol": UNMARKED}),
            (R.NO_MARK_PRICE, {"symbol": BOUNDED}),
            (R.DUPLICATE_CLIENT_ORDER_ID, {"client_order_id": 8}),
            (R.QUANTITY_BELOW_MINIMUM, {"qty_lots": 1_000}),
            (R.QUANTITY_ABOVE_MAXIMUM, {"qty_lots": 20}),
            (R.NOTIONAL_BELOW_MINIMUM, {"qty_lots": 100, "flags": POST_ONLY | REDUCE_ONLY}),
            (R.PRICE_OUT_OF_BAND, {"price_ticks": 105}),
            (R.TOO_MANY_OPEN_ORDERS, {"account": FLAGGED}),
            (R.VALUE_OUT_OF_RANGE, {"qty_lots": 30}),
            (R.POOL_LIQUIDATING, {"account": POOR}),
            (R.REDUCE_ONLY_WOULD_OPEN, {"flags": POST_ONLY}),
            (R.POST_ONLY_WOULD_TAKE, {"flags": 0}),
            (R.INSUFFICIENT_MARGIN, {"account": BIDDER}),
        ],
    ),
    "place_order under caps": (
        order(POOR, CAPPED, BUY, 6, 100),
        [
            (R.INSUFFICIENT_MARGIN, {"account": RICH}),
            (R.POSITION_LIMIT, {"qty_lots": 5}),
            (R.OPEN_INTEREST_LIMIT, {"qty_lots": 3}),
        ],
    ),
    "place_order with a trigger": (
        m.PlaceOrder(
            account=MAKER,
            symbol=QUIET,
            side=SELL,
            order_type=STOP_MARKET,
            time_in_force=IOC,
            qty_lots=1,
            client_order_id=7,
            trigger_ticks=95,
            trigger_by=1,
        ),
        [
            (R.NO_LAST_PRICE, {"symbol": BOUNDED}),
            (R.DUPLICATE_CLIENT_ORDER_ID, {"client_order_id": 8}),
            (R.QUANTITY_BELOW_MINIMUM, {"qty_lots": 1_000}),
            (R.QUANTITY_ABOVE_MAXIMUM, {"qty_lots": 20}),
            (R.NOTIONAL_BELOW_MINIMUM, {"qty_lots": 30}),
            (R.TOO_MANY_OPEN_ORDERS, {"account": FLAGGED, "flags": REDUCE_ONLY}),
            (R.POOL_LIQUIDATING, {"account": POOR}),
            (R.REDUCE_ONLY_WOULD_OPEN, {"flags": 0}),
            (R.TRIGGER_ALREADY_TRUE, {"trigger_ticks": 94}),  # BOUNDED traded at 95
        ],
    ),
    "place_orders": (
        m.PlaceOrders(
            account=0,
            list_mode=4,
            orders=(
                m.OrderEntry(
                    symbol=BOUNDED, side=BUY, flags=POST_ONLY, price_ticks=90, qty_lots=30
                ),
            ),
        ),
        [
            (R.INVALID_ACCOUNT, {"account": POOR}),
            (R.INVALID_LIST, {"list_mode": 1}),
            (R.INSUFFICIENT_MARGIN, {"account": BIDDER}),
        ],
    ),
    "set_position_mode": (
        m.SetPositionMode(account=0, position_mode=2),
        [
            (R.INVALID_ACCOUNT, {"account": MAKER}),
            (R.INVALID_POSITION_MODE, {"position_mode": 1}),
            (R.POSITION_MODE_IN_USE, {"account": 4_242}),
        ],
    ),
    "set_countdown": (
        m.SetCountdown(account=0, timeout_ms=86_400_001),
        [(R.INVALID_ACCOUNT, {"account": MAKER}), (R.INVALID_TIMEOUT, {"timeout_ms": 86_400_000})],
    ),
    "set_stp_group": (
        m.SetStpGroup(member_account=1 << 24, stp_group=1),
        [(R.INVALID_ACCOUNT, {"member_account": (1 << 24) - 1})],
    ),
    "set_adl_policy": (
        m.SetAdlPolicy(symbol=99, policy=4),
        [(R.UNKNOWN_SYMBOL, {"symbol": BOUNDED}), (R.INVALID_ADL_POLICY, {"policy": 3})],
    ),
    "set_symbol_state": (
        m.SetSymbolState(symbol=99, state=6),
        [
            (R.UNKNOWN_SYMBOL, {"symbol": UNMARKED}),
            (R.INVALID_SYMBOL_STATE, {"state": 2}),
            (R.NO_MARK_PRICE, {"symbol": BOUNDED}),
        ],
    ),
    "set_symbol_state to settled": (
        m.SetSymbolState(symbol=99, state=5),
        [
            (R.UNKNOWN_SYMBOL, {"symbol": BOUNDED}),
            (R.INVALID_SYMBOL_STATE, {"price_ticks": 1_000}),
            (R.VALUE_OUT_OF_RANGE, {"price_ticks": 101}),
        ],
    ),
    "set_brackets": (
        m.SetBrackets(symbol=99, initial_margin_ppm=0, brackets=((0, 50_000, 40_000),)),
        [
            (R.UNKNOWN_SYMBOL, {"symbol": SETTLED}),
            (R.INVALID_BRACKETS, {"brackets": ((0, 50_000, 80_000),)}),
            (R.INVALID_POLICY, {"initial_margin_ppm": 79_999}),
            (R.SYMBOL_STATE_FORBIDS, {"symbol": QUIET}),
            (R.LEVERAGE_TOO_HIGH, {"initial_margin_ppm": 80_000}),
        ],
    ),
    "set_risk_limits": (
        m.SetRiskLimits(symbol=99, position_limit_atoms=-2, oi_scaling_upper_atoms=0),
        [
            (R.UNKNOWN_SYMBOL, {"symbol": SETTLED}),
            (R.INVALID_POLICY, {"position_limit_atoms": 1 << 60, "oi_scaling_upper_atoms": -1}),
            (R.SYMBOL_STATE_FORBIDS, {"symbol": QUIET}),
        ],
    ),
    "set_fund_policy": (
        m.SetFundPolicy(symbol=99, cap_atoms=-2, window_ns=10**17 + 1, second_cap_atoms=1),
        [
            (R.UNKNOWN_SYMBOL, {"symbol": BOUNDED}),
            (R.INVALID_POLICY, {"cap_atoms": 10**18}),
            (R.INVALID_WINDOW, {"window_ns": 10**17, "window_cap_atoms": 10**18}),
            (R.INVALID_SECOND_FUND, {"second_fund": 1}),
        ],
    ),
    "set_fund_policy without a second fund": (
        m.SetFundPolicy(symbol=BOUNDED, second_fund=1, window_ns=-1, window_cap_atoms=0),
        [(R.INVALID_WINDOW, {"window_ns": 0, "window_cap_atoms": -1})]
        + [(R.INVALID_SECOND_FUND, {"second_fund": 0})],
    ),
    "set_auto_margin": (
        m.SetAutoMargin(account=0, symbol=99, enabled=2, leg=1),
        [
            (R.INVALID_ACCOUNT, {"account": MAKER}),
            (R.UNKNOWN_SYMBOL, {"symbol": BOUNDED}),
            (R.INVALID_MARGIN_MODE, {"enabled": 1}),
            (R.INVALID_LEG, {"leg": 0}),
        ],
    ),
    "set_margin_warnings": (
        m.SetMarginWarnings(first_level_ppm=900_000, second_level_ppm=900_000),
        [(R.INVALID_POLICY, {"second_level_ppm": 999_999})],
    ),
    "cancel_order": (
        m.CancelOrder(account=0, order_id=HALTED_ORDER),
        [
            (R.INVALID_ACCOUNT, {"account": RICH}),
            (R.UNKNOWN_ORDER, {"account": MAKER}),
            (R.SYMBOL_STATE_FORBIDS, {"order_id": MAKER_ORDER}),
        ],
    ),
    "cancel_all": (
        m.CancelAll(account=0, symbol=99, side=3),
        [
            (R.INVALID_ACCOUNT, {"account": MAKER}),
            (R.UNKNOWN_SYMBOL, {"symbol": 0}),
            (R.INVALID_SIDE, {"side": 2}),
        ],
    ),
    "amend_order": (
        m.AmendOrder(
            account=0,
            order_id=999,
            price_ticks=-1,
            qty_lots=-1,
            trigger_ticks=-1,
            display_lots=-1,
            expires_ns=-1,
        ),
        [
            (R.INVALID_ACCOUNT, {"account": MAKER}),
            (R.INVALID_PRICE, {"price_ticks": 95}),
            (R.INVALID_QUANTITY, {"qty_lots": 30}),
            (R.INVALID_TRIGGER, {"trigger_ticks": 0}),
            (R.INVALID_DISPLAY, {"display_lots": 0}),
            (R.INVALID_EXPIRY, {"expires_ns": 0}),
            (R.UNKNOWN_ORDER, {"order_id": HALTED_ORDER}),
            (R.SYMBOL_STATE_FORBIDS, {"order_id": MAKER_ORDER}),
            (R.NOTHING_TO_AMEND, {"price_ticks": 111, "qty_lots": 10}),
            (R.QUANTITY_BELOW_FILLED, {"qty_lots": 15}),
            (R.QUANTITY_BELOW_MINIMUM, {"qty_lots": 1_000}),
            (R.QUANTITY_ABOVE_MAXIMUM, {"qty_lots": 20}),
            (R.NOTIONAL_BELOW_MINIMUM, {"qty_lots": 100}),
            (R.PRICE_OUT_OF_BAND, {"price_ticks": 105}),
            (R.VALUE_OUT_OF_RANGE, {"qty_lots": 30}),
            (R.POST_ONLY_WOULD_TAKE, {"price_ticks": 104}),
            (R.INSUFFICIENT_MARGIN, {"price_ticks": 94}),
        ],
    ),
    "set_mark": (
        mark(99, 0),
        [
            (R.UNKNOWN_SYMBOL, {"symbol": SETTLED}),
            (R.INVALID_PRICE, {"price_ticks": 1_000}),
            (R.SYMBOL_STATE_FORBIDS, {"symbol": BOUNDED}),
            (R.VALUE_OUT_OF_RANGE, {"price_ticks": 101}),
        ],
    ),
    "set_mark of a composite mark": (
        mark(COMPOSITE, 0),
        [
            (R.INVALID_PRICE, {"price_ticks": 1}),
            (R.MARK_IS_COMPOSITE, {"symbol": PLAIN}),
        ],
    ),
    "set_mark_policy": (
        m.SetMarkPolicy(symbol=99, enabled=2),
        [
            (R.UNKNOWN_SYMBOL, {"symbol": SETTLED}),
            (R.INVALID_POLICY, {"enabled": 1}),
            (R.SYMBOL_STATE_FORBIDS, {"symbol": PLAIN}),
        ],
    ),
    "set_price": (
        m.SetPrice(symbol=99, source=1, price_ticks=0),
        [
            (R.UNKNOWN_SYMBOL, {"symbol": SETTLED}),
            (R.INVALID_PRICE, {"price_ticks": 100}),
            (R.SYMBOL_STATE_FORBIDS, {"symbol": PLAIN}),
            (R.UNKNOWN_PRICE_SOURCE, {"symbol": COMPOSITE}),
        ],
    ),
    "set_funding_policy": (
        m.SetFundingPolicy(symbol=99, interval_ns=0),
        [
            (R.UNKNOWN_SYMBOL, {"symbol": SETTLED}),
            (R.INVALID_POLICY, {"interval_ns": 60_000_000_000}),
            (R.SYMBOL_STATE_FORBIDS, {"symbol": PLAIN}),
            (R.UNKNOWN_PRICE_SOURCE, {"symbol": COMPOSITE}),
        ],
    ),
    "settle_funding where the engine does": (
        m.SettleFunding(symbol=99, payment_atoms_per_lot=0),
        [
            (R.UNKNOWN_SYMBOL, {"symbol": FUNDED}),
            (R.NO_MARK_PRICE, {"symbol": COMPOSITE}),
            (R.FUNDING_IS_COMPUTED, {"symbol": PLAIN}),
        ],
    ),
    "place_order while the mark is held": (
        order(POOR, COMPOSITE, BUY, 10, 100),
        [
            (R.INSUFFICIENT_MARGIN, {"account": RICH}),
            (R.MARK_HELD, {"flags": POST_ONLY}),
        ],
    ),
    "settle_funding": (
        m.SettleFunding(symbol=99, payment_atoms_per_lot=10**6),
        [
            (R.UNKNOWN_SYMBOL, {"symbol": SETTLED}),
            (R.SYMBOL_STATE_FORBIDS, {"symbol": UNMARKED}),
            (R.NO_MARK_PRICE, {"symbol": BOUNDED}),
            (R.VALUE_OUT_OF_RANGE, {"payment_atoms_per_lot": 0}),
        ],
    ),
    "list_asset": (
        m.ListAsset(asset=17, name="B", unit_parts=10, haircut_ppm=0),
        [(R.INVALID_ASSET, {"asset": 16})],
    ),
    "set_asset_price": (
        m.SetAssetPrice(asset=2, price_atoms=0),
        [
            (R.INVALID_AMOUNT, {"price_atoms": 5 * 10**17 + 1}),
            (R.UNKNOWN_ASSET, {"asset": 1, "price_atoms": 5 * 10**17}),
        ],
    ),
    "change_collateral": (
        m.ChangeCollateral(account=0, asset=2, change_parts=0),
        [
            (R.INVALID_ACCOUNT, {"account": POOR}),
            (R.INVALID_AMOUNT, {"change_parts": 1}),
            (R.UNKNOWN_ASSET, {"asset": 1}),
        ],
    ),
    "set_multi_asset": (
        m.SetMultiAsset(account=0, enabled=2),
        [
            (R.INVALID_ACCOUNT, {"account": FLAGGED}),
            (R.INVALID_MARGIN_MODE, {"enabled": 1}),
            (R.POOL_LIQUIDATING, {"account": POOR}),
        ],
    ),
    "withdraw": (
        m.Withdraw(account=0, amount_atoms=0),
        [
            (R.INVALID_ACCOUNT, {"account": FLAGGED}),
            (R.INVALID_AMOUNT, {"amount_atoms": 10**9}),
            (R.POOL_LIQUIDATING, {"account": RICH}),
        ],
    ),
}

#: What needs more than a wrong field is told by the tests named here.
ELSEWHERE = {
    R.INVALID_LEG: "test_a_leg_is_looked_at_before_the_state",
    R.MALFORMED_COMMAND: "test_malformed_command",
    R.OUT_OF_CAPACITY: "test_out_of_capacity",
    R.INSUFFICIENT_COLLATERAL: "test_collateral_leaves_as_far_as_it_is_held",
    R.WITHDRAWALS_STOPPED: "test_withdrawals_stopped_comes_before_insufficient_margin",
}


def send(engine: Engine, record: bytes) -> list[m.Event]:
    """Applies one record; its header is written here, as `stamp` refuses what is no command."""
    head = struct.pack("<Qq", engine.sequence + 1, 0)
    return decode_events(engine.apply(record[:8] + head + record[24:]))


def refusal(engine: Engine, record: bytes) -> R | None:
    """The reason why a record is refused, None if it is accepted; a refused one changes nothing."""
    before = engine.digest()
    result, *others = send(engine, record)
    if isinstance(result, m.Accepted):
        return None
    assert isinstance(result, m.Rejected)
    assert not others
    assert engine.digest() == before
    return R(result.reason)


def new_world(kind: str) -> Engine:
    engine = create_engine(kind)
    for command in WORLD:
        reason = refusal(engine, encode_command(command))
        assert reason is None, (command, reason)
    return engine


@pytest.mark.parametrize("kind", ENGINE_KINDS)
@pytest.mark.parametrize("name", CHAINS)
def test_of_several_reasons_the_smallest_number_is_given(name: str, kind: str) -> None:
    """Faults are repaired in the order of their reasons' numbers; the last repair makes the command acceptable."""
    engine = new_world(kind)
    command, steps = CHAINS[name]
    reasons = [reason for reason, _ in steps]
    assert reasons == sorted(reasons)
    for reason, repair in steps:
        assert refusal(engine, encode_command(command)) == reason
        command = msgspec.structs.replace(command, **repair)
    if name != "withdraw":  # which ends where withdrawals are stopped: see below
        assert refusal(engine, encode_command(command)) is None


@pytest.mark.parametrize("kind", ENGINE_KINDS)
def test_withdrawals_stopped_comes_before_insufficient_margin(kind: str) -> None:
    """WITHDRAWALS_STOPPED: RICH can withdraw nothing while UNCOVERED owes 65, and too much is too much afterwards."""
    engine = new_world(kind)
    assert engine.uncovered()
    too_much = encode_command(m.Withdraw(account=RICH, amount_atoms=10**9))
    little = encode_command(m.Withdraw(account=RICH, amount_atoms=1))
    assert refusal(engine, too_much) is R.WITHDRAWALS_STOPPED
    assert refusal(engine, little) is R.WITHDRAWALS_STOPPED
    assert refusal(engine, encode_command(m.Deposit(account=UNCOVERED, amount_atoms=70))) is None
    assert refusal(engine, too_much) is R.INSUFFICIENT_MARGIN
    assert refusal(engine, little) is None


@pytest.mark.parametrize("kind", ENGINE_KINDS)
def test_collateral_leaves_as_far_as_it_is_held(kind: str) -> None:
    """INSUFFICIENT_COLLATERAL: SKIPPED holds 20 parts, and takes them out when UNCOVERED's deficit is paid."""
    engine = new_world(kind)
    too_much = encode_command(m.ChangeCollateral(account=SKIPPED, asset=1, change_parts=-21))
    assert refusal(engine, too_much) is R.WITHDRAWALS_STOPPED
    assert refusal(engine, encode_command(m.Deposit(account=UNCOVERED, amount_atoms=70))) is None
    assert refusal(engine, too_much) is R.INSUFFICIENT_COLLATERAL
    all_of_it = m.ChangeCollateral(account=SKIPPED, asset=1, change_parts=-20)
    assert refusal(engine, encode_command(all_of_it)) is None


@pytest.mark.parametrize("kind", ENGINE_KINDS)
def test_malformed_command(kind: str) -> None:
    """MALFORMED_COMMAND: an unknown type or a wrong size is told before anything in the record is read."""
    engine = new_world(kind)
    wrong = encode_command(m.PlaceOrder(account=0, symbol=99, side=2))
    assert refusal(engine, wrong) is R.INVALID_ACCOUNT
    for type_number in (0, 14, 126, 127, 128, 0xFFFF):
        record = type_number.to_bytes(2, "little") + wrong[2:]
        assert refusal(engine, record) is R.MALFORMED_COMMAND
    for size in (len(wrong) - 8, len(wrong) + 8):
        body = wrong[4:].ljust(size - 4, b"\0")[: size - 4]
        record = wrong[:2] + size.to_bytes(2, "little") + body
        assert refusal(engine, record) is R.MALFORMED_COMMAND


#: An order of a list that is refused, whose client order id the refusal of the list names.
REFUSED_ENTRY = m.OrderEntry(
    symbol=PLAIN, side=BUY, flags=POST_ONLY, price_ticks=100, qty_lots=10**6, client_order_id=44
)


@pytest.mark.parametrize("kind", ENGINE_KINDS)
def test_a_rejection_names_the_command_and_the_clients_number(kind: str) -> None:
    """The event says which command was refused, and for orders the client's own number as it was given."""
    engine = new_world(kind)
    commands: list[tuple[m.Command, int, int]] = [
        (m.PlaceOrder(account=POOR, symbol=99, side=BUY, client_order_id=41), 7, 41),
        (m.CancelOrder(account=POOR, client_order_id=42), 8, 42),
        (m.AmendOrder(account=POOR, client_order_id=43, price_ticks=1), 10, 43),
        (m.CancelAll(account=POOR, symbol=99), 9, 0),
        (m.SetCountdown(account=POOR, timeout_ms=86_400_001), 16, 0),
        (m.PlaceOrders(account=POOR, orders=(), list_mode=1), 14, 0),
        (m.PlaceOrders(account=POOR, orders=(REFUSED_ENTRY,), list_mode=1), 14, 44),
        (m.SetSymbolState(account=POOR, symbol=99, state=1), 15, 0),
        (m.SetStpGroup(account=POOR, member_account=0), 17, 0),
        (m.SetMark(account=POOR, symbol=99, price_ticks=1), 11, 0),
    ]
    for command, number, client_order_id in commands:
        (event,) = send(engine, encode_command(command))
        assert isinstance(event, m.Rejected)
        assert (event.command, event.client_order_id) == (number, client_order_id)
        # An operator's command is nobody's.
        assert event.account == (0 if number in (11, 15, 17) else POOR)


@pytest.mark.parametrize("kind", ENGINE_KINDS)
def test_a_leg_is_looked_at_before_the_state(kind: str) -> None:
    """ACCT-08: the price band has a smaller number, but without a leg there is nothing to ask."""
    engine = new_world(kind)
    command = order(RICH, 1, BUY, 1, 10**12, leg=1)
    assert refusal(engine, encode_command(command)) == R.INVALID_LEG


def test_every_reason_has_a_test_here() -> None:
    """A new reason has to be told by a chain or by a test of its own."""
    told = {reason for _, steps in CHAINS.values() for reason, _ in steps} | ELSEWHERE.keys()
    assert told == set(R)
    assert all(name in globals() or sys.platform != "linux" for name in ELSEWHERE.values())


#: Run in a process of its own, whose memory is bounded when the engine stands: listings then find no room.
FILL_THE_CORE = """
import resource
from exchange.engine import create_engine
from exchange.protocol import messages as m
from exchange.protocol.records import decode_events, encode_command, stamp

def listing(symbol, sequence):
    command = m.ListSymbol(symbol=symbol, name="X", tick_size_e12=10**8, lot_size_e12=10**8, atoms_per_tick_lot=1,
                           initial_margin_ppm=100_000, exposure_limit_atoms=1, brackets=((0, 50_000, 0),))
    return stamp(encode_command(command), sequence, 0)

engine = create_engine("native")
records = [listing(number, number) for number in range(1, 20_001)]
spare = [bytes(100 + i % 400) for i in range(40_000)][::2]  # small blocks that are free, for the answers
pages = int(open("/proc/self/statm").read().split()[0])
most = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize(), most[1]))
for record in records:
    answer = engine.apply(record)
    if answer[0] == 129:  # rejected
        break
after = engine.apply(stamp(encode_command(m.AdvanceTime()), engine.sequence + 1, 0))
resource.setrlimit(resource.RLIMIT_AS, most)
room_again = engine.apply(listing(len(records), engine.sequence + 1))
print(decode_events(answer)[0].reason, *(type(decode_events(raw)[0]).__name__ for raw in (after, room_again)))
"""

if sys.platform == "linux":  # elsewhere the memory of a process cannot be bounded

    def test_out_of_capacity() -> None:
        """OUT_OF_CAPACITY: without memory a listing is refused, other commands go on, and with memory it is accepted.

        The native engine alone: the reference engine has no bounds of its own.
        """
        told = subprocess.run([sys.executable, "-c", FILL_THE_CORE], capture_output=True, text=True)
        assert told.returncode == 0, told.stderr
        assert told.stdout.split() == [str(int(R.OUT_OF_CAPACITY)), "Accepted", "Accepted"]
