"""Policies: what an operator writes becomes the listing command, or an error that names field, value and bound."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from typing import Any

import pytest

from exchange.engine import Engine
from exchange.errors import PolicyError
from exchange.protocol import messages as m
from exchange.protocol.records import decode_events, encode_command, stamp
from exchange.risk import FundNumbers, SymbolPolicy, load_policy

TOML = """
[[symbols]]
name = "BTC-PERP"
tick = 0.1
lot = 0.001
leverage = 20
brackets = [[0, 0.004, 0.008], [50_000, 0.01], [250_000, 0.02, 0.04]]
taker_fee = 0.0005
maker_fee = -0.0001
price_band = 0.1
upnl_weight = 0.5
min_quantity = 0.002
max_quantity = 100
min_notional = 5
max_open_orders = 50
exposure_limit = 1_000_000
slippage_cap = 0.05

[symbols.liquidation]
mode = "target"
fee = 0.005
fraction = 0.25
buffer = 0.1
min_notional = 100
max_notional = 5000
draw_cap = 250

[[symbols]]
name = "THIN-PERP"
symbol = 7
tick = 0.01
lot = 1
initial_margin = 0.5
brackets = [[0, 0.25]]
fund = "thin"
"""


def load(text: str) -> list[SymbolPolicy]:
    return load_policy(tomllib.loads(text, parse_float=Decimal))


def test_a_file_becomes_listings_field_by_field() -> None:
    bitcoin, thin = (policy.to_command() for policy in load(TOML))
    assert bitcoin == m.ListSymbol(
        symbol=1,
        name="BTC-PERP",
        tick_size_e12=10**11,
        lot_size_e12=10**9,
        atoms_per_tick_lot=10**4,
        initial_margin_ppm=50_000,
        taker_fee_ppm=500,
        maker_fee_ppm=-100,
        price_band_ppm=100_000,
        upnl_weight_ppm=500_000,
        min_qty_lots=2,
        max_qty_lots=100_000,
        min_notional_atoms=5 * 10**8,
        max_open_orders=50,
        exposure_limit_atoms=10**14,
        fund=0,
        slippage_cap_ppm=50_000,
        liquidation_mode=2,
        liquidation_fee_ppm=5_000,
        liquidation_fraction_ppm=250_000,
        liquidation_buffer_ppm=100_000,
        liquidation_min_notional_atoms=10**10,
        liquidation_max_notional_atoms=5 * 10**11,
        draw_cap_atoms=25 * 10**9,
        brackets=(
            (0, 4_000, 8_000),
            (5 * 10**12, 10_000, 0),
            (25 * 10**12, 20_000, 40_000),
        ),
    )
    assert (thin.symbol, thin.fund, thin.price_band_ppm, thin.slippage_cap_ppm) == (7, 1, -1, -1)
    assert (thin.min_qty_lots, thin.max_qty_lots, thin.draw_cap_atoms) == (1, 10**12, -1)


def test_a_deleveraging_policy_is_a_command_of_its_own() -> None:
    """ADL-05: what differs from what a listing begins with, and nothing else."""
    thin = TOML.replace("draw_cap = 250", 'draw_cap = 250\nadl = "net_exposure_aware"')
    assert thin != TOML
    bitcoin, other = load(thin)
    assert bitcoin.policy_commands() == [m.SetAdlPolicy(symbol=1, policy=2)]
    assert other.policy_commands() == []
    with pytest.raises(PolicyError, match=r"liquidation.adl is nobody; wanted one of queue, "):
        load(TOML.replace("draw_cap = 250", 'draw_cap = 250\nadl = "nobody"'))


def test_a_policy_of_funds_is_a_command_of_its_own() -> None:
    """FUND-01: the second fund by name, the window in seconds."""
    table = '{cap = 100, second_fund = "thin", second_cap = 2.5, window = 3600, window_cap = 50}'
    bitcoin, thin = load(TOML.replace("max_open_orders = 50", f"fund_policy = {table}"))
    assert bitcoin.policy_commands() == [
        m.SetFundPolicy(
            symbol=1,
            cap_atoms=10**10,
            second_fund=1,
            second_cap_atoms=25 * 10**7,
            window_ns=3600 * 10**9,
            window_cap_atoms=5 * 10**9,
        )
    ]
    assert thin.policy_commands() == []


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("{cap = -1}", "fund_policy.cap is -1; wanted 0 .. 10"),
        ("{cap = 0.000000001}", "fund_policy.cap is 1E-9; wanted whole atoms"),
        ("{second_cap = 5}", "fund_policy.second_cap is 5; wanted a second_fund beside it"),
        ("{second_fund = 4, second_cap = 0}", "fund_policy.second_cap is 0; wanted above 0"),
        ("{second_fund = -4}", "fund_policy.second_fund is -4; wanted 0 .. 2"),
        ('{second_fund = "shared"}', "another fund than the symbol's own"),
        ("{window = 5}", "fund_policy.window is 5; wanted given together with window_cap"),
        ("{window = 0, window_cap = 5}", "fund_policy.window is 0 s; wanted whole nanoseconds, 1"),
        ("{windows = 5}", "fund_policy: unknown key windows"),
        ("5", "fund_policy is 5; wanted"),
    ],
)
def test_a_wrong_policy_of_funds_says_what_was_wanted(table: str, said: str) -> None:
    with pytest.raises(PolicyError) as error:
        load(TOML.replace("max_open_orders = 50", f"fund_policy = {table}"))
    assert str(error.value).startswith("BTC-PERP: ")
    assert said in str(error.value)


def test_a_mark_policy_is_read_in_seconds() -> None:
    """MARK-02: a table of its own under the symbol, and a command beside the listing."""
    text = TOML.replace(
        "[symbols.liquidation]", "mark = {max_feeds = 3, max_age = 2.5}\n\n[symbols.liquidation]"
    )
    bitcoin, thin = load(text)
    assert bitcoin.policy_commands() == [
        m.SetMarkPolicy(symbol=1, max_feeds=3, max_age_ns=2_500_000_000, ema_ns=150 * 10**9)
    ]
    assert thin.policy_commands() == []


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("{max_feeds = 17}", "BTC-PERP: mark.max_feeds is 17; wanted 0 .. 16"),
        (
            "{max_age = 0}",
            "BTC-PERP: mark.max_age is 0 s; wanted whole nanoseconds, 1 .. 1000000000000000",
        ),
        ("{ema = 0.0000000001}", "BTC-PERP: mark.ema is 1E-10 s; wanted whole nanoseconds, 0 .."),
        ("{age = 1}", "BTC-PERP: mark: unknown key age"),
        ("5", "BTC-PERP: mark is 5; wanted"),
    ],
)
def test_a_wrong_mark_policy_says_what_was_wanted(table: str, said: str) -> None:
    text = TOML.replace("[symbols.liquidation]", f"mark = {table}\n\n[symbols.liquidation]")
    with pytest.raises(PolicyError) as error:
        load(text)
    assert str(error.value).startswith(said)


FUNDING_TOML = TOML.replace(
    "[symbols.liquidation]",
    "mark = {max_feeds = 3}\nfunding = {interval = 3600, interest = 0.0000125}\n\n[symbols.liquidation]",
)


def test_a_funding_policy_is_read_in_seconds_and_fractions() -> None:
    """FUNDING-02: sent behind the mark policy, whose index it needs."""
    bitcoin, thin = load(FUNDING_TOML)
    assert bitcoin.policy_commands() == [
        m.SetMarkPolicy(symbol=1, max_feeds=3),
        m.SetFundingPolicy(symbol=1, interval_ns=3600 * 10**9, interest_ppb=12_500),
    ]
    assert thin.policy_commands() == []


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            "{interval = 0}",
            "BTC-PERP: funding.interval is 0 s; wanted whole nanoseconds, 1000000 ..",
        ),
        ("{sample = 7}", "BTC-PERP: funding.sample is 7 s; wanted a part of the interval, 28800 s"),
        ("{interest = -1.1}", "BTC-PERP: funding.interest is -1.1; wanted -1 .. 1"),
        ("{clamp = -0.1}", "BTC-PERP: funding.clamp is -0.1; wanted 0 .. 1"),
        ("{max_rate = 2}", "BTC-PERP: funding.max_rate is 2; wanted 0 .. 1"),
        ("{max_rate = 0.0000000001}", "BTC-PERP: funding.max_rate: rate 1E-10 is not a multiple"),
        ("{impact_notional = 0}", "BTC-PERP: funding.impact_notional is 0; wanted 0.00000001 .."),
        ("{impact_notional = 1e-9}", "BTC-PERP: funding.impact_notional: amount 1E-9 is not"),
        ("{rate = 1}", "BTC-PERP: funding: unknown key rate"),
        ("5", "BTC-PERP: funding is 5; wanted"),
    ],
)
def test_a_wrong_funding_policy_says_what_was_wanted(table: str, said: str) -> None:
    text = FUNDING_TOML.replace("{interval = 3600, interest = 0.0000125}", table)
    with pytest.raises(PolicyError) as error:
        load(text)
    assert str(error.value).startswith(said)


def test_a_funding_policy_needs_an_index_and_room_below_initial_margin() -> None:
    """FUNDING-02: without a composite mark there is no index; where both margins are one, every rate is 0."""
    with pytest.raises(PolicyError, match="funding is there without mark; wanted a composite mark"):
        load(FUNDING_TOML.replace("mark = {max_feeds = 3}\n", ""))
    flat = FUNDING_TOML.replace("[0, 0.004, 0.008]", "[0, 0.004]")
    with pytest.raises(
        PolicyError, match="brackets is a first maintenance rate of 4000 ppm; wanted"
    ):
        load(flat)


def test_engines_list_what_was_loaded(engine: Engine) -> None:
    for sequence, policy in enumerate(load(TOML), start=1):
        raw = engine.apply(stamp(encode_command(policy.to_command()), sequence, 0))
        assert isinstance(decode_events(raw)[0], m.Accepted)
    assert [(s.symbol, s.name, s.fund) for s in engine.symbols()] == [
        (1, "BTC-PERP", 0),
        (7, "THIN-PERP", 1),
    ]


def test_funds_are_numbered_as_they_appear() -> None:
    funds = FundNumbers()
    load_policy(tomllib.loads(TOML, parse_float=Decimal), funds)
    assert funds.by_name == {"shared": 0, "thin": 1}
    assert funds.name(1) == "thin"


GOOD: dict[str, Any] = {
    "name": "X",
    "tick": 1,
    "lot": "0.01",
    "initial_margin": "0.1",
    "brackets": [[0, "0.05"]],
}


@pytest.mark.parametrize(
    ("change", "wanted"),
    (
        ({"tick": 0.1}, "parse_float=Decimal"),
        ({"tick": 0}, "tick size 0"),
        ({"tick": "0.00000001"}, "not a multiple of the smallest unit"),
        ({"tick": "x"}, "tick 'x' is not a number"),
        ({"name": ""}, "1 .. 16 bytes"),
        ({"name": "A" * 17}, "1 .. 16 bytes"),
        ({"symbol": 0}, "symbol is 0; wanted 1 .. 65535"),
        ({"symbol": "1.5"}, "symbol is 1.5; wanted a whole number"),
        ({"leverage": 10}, "or leverage; one of the two"),
        ({"initial_margin": "1.1"}, "initial_margin is 1.1; wanted above 0, at most 1"),
        ({"initial_margin": "0.04"}, "at least the first bracket's rate"),
        ({"initial_margin": "0.0000001"}, "rate 1E-7 is not a multiple of one part per million"),
        ({"taker_fee": "0.11"}, r"taker_fee is 0.11; wanted 0 .. 0.1"),
        ({"taker_fee": "-0.01"}, r"taker_fee is -0.01; wanted 0 .. 0.1"),
        ({"maker_fee": "-0.01"}, "maker_fee is -0.01; wanted 0 .. 0.1"),
        ({"price_band": 1}, "price_band is 1; wanted 0 .. 0.999999"),
        ({"slippage_cap": -1}, "slippage_cap is -1; wanted 0 .. 0.999999"),
        ({"upnl_weight": 2}, "upnl_weight is 2; wanted 0 .. 1"),
        ({"min_quantity": "0.001"}, "quantity 0.001 is not a multiple of the lot 0.01"),
        ({"min_quantity": 5, "max_quantity": 4}, "min_quantity .. max_quantity is 500 .. 400"),
        ({"min_notional": -1}, "min_notional is -1; wanted 0 or more"),
        ({"max_open_orders": 0}, "max_open_orders is 0"),
        ({"exposure_limit": 10**11}, "exposure_limit"),
        ({"fund": -1}, "fund is -1"),
        ({"brackets": []}, "brackets is"),
        ({"brackets": [[0]]}, "bracket"),
        ({"brackets": [[1, "0.05"]]}, "a first floor of 0"),
        ({"brackets": [[0, "0.05", "0.04"]]}, "0 < maintenance <= initial <= 1"),
        ({"brackets": [[0, "0.05"], [0, "0.06"]]}, "a floor above"),
        ({"brackets": [[0, "0.05"], [100, "0.04"]]}, "rates not below"),
        ({"brackets": [[0, "0.05"], ["0.00000001", "0.06"]]}, "whole atoms"),
        ({"brackets": [[0, "0.05"]] * 17}, "1 .. 16 brackets"),
        ({"liquidation": {"mode": "gentle"}}, "wanted full, fraction or target"),
        ({"liquidation": {"fee": "0.2"}}, "liquidation.fee is 0.2; wanted 0 .. 0.1"),
        ({"liquidation": {"fraction": 0}}, "liquidation.fraction is 0"),
        ({"liquidation": {"buffer": 2}}, "liquidation.buffer is 2"),
        ({"liquidation": {"max_notional": 0}}, "liquidation.max_notional is 0"),
        ({"liquidation": {"draw_cap": -1}}, "liquidation.draw_cap is -1; wanted 0 or more"),
        ({"liquidation": {"speed": 1}}, "unknown key speed; known are mode, adl, fee"),
        ({"liquidation": 5}, "liquidation is 5"),
        ({"ticks": 1}, "unknown key ticks; known are name, symbol, tick"),
    ),
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_number_is_named_with_its_bound(change: dict[str, Any], wanted: str) -> None:
    with pytest.raises(PolicyError, match=wanted):
        load_policy({"symbols": [GOOD | change]})


@pytest.mark.parametrize("key", ("tick", "lot", "brackets", "name", "initial_margin"))
def test_what_is_missing_is_named(key: str) -> None:
    with pytest.raises(PolicyError, match=key):
        load_policy({"symbols": [{k: v for k, v in GOOD.items() if k != key}]})


def test_symbols_may_be_tables_by_name() -> None:
    table = {key: value for key, value in GOOD.items() if key != "name"}
    assert [policy.name for policy in load_policy({"symbols": {"A": table, "B": table}})] == [
        "A",
        "B",
    ]
    with pytest.raises(PolicyError, match="array of tables"):
        load_policy({"symbols": 5})
    with pytest.raises(PolicyError, match="no table"):
        load_policy({"symbols": {"A": 5}})


def test_numbers_and_names_are_used_once() -> None:
    with pytest.raises(PolicyError, match="symbol name X is used twice"):
        load_policy({"symbols": [GOOD, GOOD]})
    with pytest.raises(PolicyError, match="symbol number 2 is used twice"):
        load_policy({"symbols": [GOOD | {"symbol": 2}, GOOD | {"name": "Y"}]})


def test_exposure_limits_of_all_symbols_fit_together() -> None:
    big = {"exposure_limit": 6 * 10**9}
    with pytest.raises(PolicyError, match="set exposure_limit lower"):
        load_policy({"symbols": [GOOD | big, GOOD | big | {"name": "Y"}]})
