"""What a policy file may say, and what is said to one that cannot be: before anything is run."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exchange.config import load_config
from exchange.counterfactual.keys import CARRIERS, FIXED, KEYS, OWN_KEYS
from exchange.counterfactual.policy import (
    Change,
    FundChange,
    flatten,
    leave_groups,
    load_policy_file,
    read_policy,
)
from exchange.counterfactual.survey import Listed, Survey, read_survey, table_of
from exchange.errors import PolicyError
from exchange.explain.source import Source
from exchange.protocol import messages as m
from exchange.protocol.schema import AdlPolicy, MarginMode
from exchange.risk import FundNumbers
from exchange.risk.load import (
    FUND_DECIMALS,
    FUNDING_KEYS,
    LIQUIDATION_KEYS,
    MARK_KEYS,
    SYMBOL_KEYS,
    symbol_policy,
)
from exchange.units import to_atoms

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "tests" / "scenarios").glob("*.yaml"))
BTC = "BTC-PERP"


def survey() -> Survey:
    """The default symbol with a mark policy, and a second one."""
    listing = load_config().symbols[0].to_command()
    second = m.ListSymbol(
        **{
            **{name: getattr(listing, name) for name in listing.__struct_fields__},
            "symbol": 2,
            "name": "ETH-PERP",
            "fund": 3,
            "exposure_limit_atoms": 1 << 56,
        }
    )
    policies = [m.SetMarkPolicy(symbol=1, max_feeds=3), m.SetFundingPolicy(symbol=1)]
    return Survey({1: Listed(listing, policies), 2: Listed(second)}, {0: to_atoms(1000)})


def read(text: str) -> Any:
    return read_policy(tomllib.loads(text, parse_float=Decimal), survey())


def fields(text: str, symbol: int = 1) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(text).symbols[symbol].fields
    return found


# ------------------------------------------------------------------------------------------------ what it says

GIVEN = (
    ("leverage = 10", {"list_symbol": {"initial_margin_ppm": 100_000}}),
    ("initial_margin = 0.2", {"list_symbol": {"initial_margin_ppm": 200_000}}),
    ("taker_fee = 0.001", {"list_symbol": {"taker_fee_ppm": 1000}}),
    ("maker_fee = -0.0001", {"list_symbol": {"maker_fee_ppm": -100}}),
    ("price_band = 'none'", {"list_symbol": {"price_band_ppm": -1}}),
    ("upnl_weight = 0", {"list_symbol": {"upnl_weight_ppm": 0}}),
    ("min_quantity = 0.01", {"list_symbol": {"min_qty_lots": 10}}),
    ("max_quantity = 2", {"list_symbol": {"max_qty_lots": 2000}}),
    ("min_notional = 10", {"list_symbol": {"min_notional_atoms": 10**9}}),
    ("max_open_orders = 7", {"list_symbol": {"max_open_orders": 7}}),
    ("exposure_limit = 1_000", {"list_symbol": {"exposure_limit_atoms": 10**11}}),
    ("fund = 3", {"list_symbol": {"fund": 3}}),
    ("slippage_cap = 0.02", {"list_symbol": {"slippage_cap_ppm": 20_000}}),
    ("liquidation.mode = 'full'", {"list_symbol": {"liquidation_mode": 0}}),
    ("liquidation.fee = 0.01", {"list_symbol": {"liquidation_fee_ppm": 10_000}}),
    ("liquidation.fraction = 0.5", {"list_symbol": {"liquidation_fraction_ppm": 500_000}}),
    ("liquidation.buffer = 0.1", {"list_symbol": {"liquidation_buffer_ppm": 100_000}}),
    (
        "liquidation.min_notional = 6",
        {"list_symbol": {"liquidation_min_notional_atoms": 6 * 10**8}},
    ),
    (
        "liquidation.max_notional = 9",
        {"list_symbol": {"liquidation_max_notional_atoms": 9 * 10**8}},
    ),
    ("liquidation.draw_cap = 5", {"list_symbol": {"draw_cap_atoms": 5 * 10**8}}),
    ("liquidation.adl = 'mark_priced'", {"set_adl_policy": {"policy": AdlPolicy.MARK_PRICED}}),
    ("liquidation.adl = 'queue'", {"set_adl_policy": {"policy": 0}}),
    ("position_limit = 100", {"set_risk_limits": {"position_limit_atoms": 10**10}}),
    ("open_interest_limit = 'none'", {"set_risk_limits": {"open_interest_limit_atoms": -1}}),
    (
        "margin_scaling = [1, 2]",
        {"set_risk_limits": {"oi_scaling_lower_atoms": 10**8, "oi_scaling_upper_atoms": 2 * 10**8}},
    ),
    ("fund_policy.cap = 7", {"set_fund_policy": {"cap_atoms": 7 * 10**8}}),
    (
        "fund_policy.second_fund = 3",
        {"set_fund_policy": {"second_fund": 3, "second_cap_atoms": -1}},
    ),
    (
        "fund_policy = { second_fund = 3, second_cap = 5 }",
        {"set_fund_policy": {"second_fund": 3, "second_cap_atoms": 5 * 10**8}},
    ),
    (
        "fund_policy = { window = 60, window_cap = 9 }",
        {"set_fund_policy": {"window_ns": 60 * 10**9, "window_cap_atoms": 9 * 10**8}},
    ),
    ("mark.max_feeds = 2", {"set_mark_policy": {"max_feeds": 2}}),
    ("funding.interval = 3600", {"set_funding_policy": {"interval_ns": 3600 * 10**9}}),
    ("funding.sample = 30", {"set_funding_policy": {"sample_ns": 30 * 10**9}}),
    ("funding.interest = 0.0002", {"set_funding_policy": {"interest_ppb": 200_000}}),
    ("funding.clamp = 0.001", {"set_funding_policy": {"clamp_ppb": 10**6}}),
    ("funding.max_rate = 0.01", {"set_funding_policy": {"max_rate_ppb": 10**7}}),
    ("funding.impact_notional = 5", {"set_funding_policy": {"impact_notional_atoms": 5 * 10**8}}),
    ("mark.max_age = 0.5", {"set_mark_policy": {"max_age_ns": 500_000_000}}),
    ("mark.ema = 60", {"set_mark_policy": {"ema_ns": 60 * 10**9}}),
)


@pytest.mark.parametrize(("line", "wanted"), GIVEN, ids=lambda value: str(value).split(" ")[0])
def test_a_key_is_the_fields_that_carry_it(line: str, wanted: dict[str, dict[str, Any]]) -> None:
    found = fields(f"[symbols.{BTC}]\n{line}\n")
    found.pop("set_brackets", None)  # carries the margin rate too
    assert found == wanted


def test_every_key_is_tried_here() -> None:
    tried = {key for line, _ in GIVEN for key in flatten(tomllib.loads(line), "")} | {"brackets"}
    assert tried == set(KEYS)


def test_every_key_of_a_configuration_can_be_changed() -> None:
    """Who teaches a configuration a new key of a symbol writes a line into the table, too."""
    inner = {
        "liquidation": LIQUIDATION_KEYS,
        "mark": MARK_KEYS,
        "funding": FUNDING_KEYS,
        "fund_policy": ("second_fund", *FUND_DECIMALS),
    }
    known = {
        f"{key}.{name}" if name else key for key in SYMBOL_KEYS for name in inner.get(key, ("",))
    }
    assert set(KEYS) == known - set(FIXED)
    assert not set(OWN_KEYS) & known


def test_brackets_replace_the_listings_and_every_later_table() -> None:
    policy = read(f"[symbols.{BTC}]\nbrackets = [[0, 0.01], [1_000, 0.02, 0.04]]\n")
    rows = ((0, 10_000, 0), (to_atoms(1000), 20_000, 40_000))
    change = policy.symbols[1]
    assert change.fields == {"list_symbol": {"brackets": rows}, "set_brackets": {"brackets": rows}}
    later = m.SetBrackets(symbol=1, initial_margin_ppm=70_000, brackets=((0, 5, 0),))
    assert change.apply(later) == m.SetBrackets(symbol=1, initial_margin_ppm=70_000, brackets=rows)
    assert change.sent_behind_listing(1) == []


def test_caps_and_queues_are_also_sent_behind_the_listing() -> None:
    policy = read('[symbols."*"]\nposition_limit = 5\nliquidation = { adl = "mark_priced" }\n')
    for number in (1, 2):
        assert policy.symbols[number].sent_behind_listing(number) == [
            m.SetRiskLimits(symbol=number, position_limit_atoms=to_atoms(5)),
            m.SetAdlPolicy(symbol=number, policy=AdlPolicy.MARK_PRICED),
        ]


def test_what_is_said_of_one_symbol_stands_above_what_is_said_of_all() -> None:
    text = f'[symbols.{BTC}]\nleverage = 5\n[symbols."*"]\ninitial_margin = 0.5\ntaker_fee = 0\n'
    assert fields(text, 1)["list_symbol"] == {"initial_margin_ppm": 200_000, "taker_fee_ppm": 0}
    assert fields(text, 2)["list_symbol"] == {"initial_margin_ppm": 500_000, "taker_fee_ppm": 0}


def test_symbols_may_be_an_array_as_in_a_configuration() -> None:
    assert fields(f'[[symbols]]\nname = "{BTC}"\ntaker_fee = 0\n') == {
        "list_symbol": {"taker_fee_ppm": 0}
    }


def test_a_mark_policy_that_is_switched_off_stays_off() -> None:
    change = read(f"[symbols.{BTC}]\nmark.ema = 60\n").symbols[1]
    off = m.SetMarkPolicy(symbol=1, enabled=0)
    assert change.apply(off) == off
    on = m.SetMarkPolicy(symbol=1, max_feeds=9)
    assert change.apply(on) == m.SetMarkPolicy(symbol=1, max_feeds=9, ema_ns=60 * 10**9)


def test_margin_modes_of_some_accounts() -> None:
    text = f'[symbols.{BTC}]\nmargin_mode = "isolated"\nmargin_accounts = "7, 1001-1600"\n'
    change = read(text).symbols[1]
    assert change.margin_mode == MarginMode.ISOLATED
    assert [change.concerns(a) for a in (6, 7, 8, 1000, 1001, 1600, 1601)] == [
        *(False, True, False, False, True, True, False),
    ]


def test_funds_are_named_by_name_or_number_and_paid_otherwise() -> None:
    names = {1: "other", 3: "thin"}
    policy = read_policy({"funds": {"shared": 5, "thin": 7}}, survey(), names)
    assert policy.funds == {0: FundChange(atoms=to_atoms(5)), 3: FundChange(atoms=to_atoms(7))}
    assert read("[funds]\n3 = 8\n").funds == {3: FundChange(atoms=to_atoms(8))}
    assert read("[funds]\nshared = { times = 0.5 }\n").funds == {
        0: FundChange(times=Decimal("0.5"))
    }


def test_what_the_funds_may_pay_stands_on_what_the_journal_says() -> None:
    """A window alone cannot be; with the cap that the journal gave it can."""
    found = survey()
    first = m.SetFundPolicy(
        symbol=1,
        cap_atoms=5,
        second_fund=3,
        second_cap_atoms=-1,
        window_ns=10**9,
        window_cap_atoms=7,
    )
    found.symbols[1].policies.append(first)
    policy = read_policy({"symbols": {BTC: {"fund_policy": {"window": 2}}}}, found)
    assert policy.symbols[1].apply(first) == m.SetFundPolicy(
        symbol=1,
        cap_atoms=5,
        second_fund=3,
        second_cap_atoms=-1,
        window_ns=2 * 10**9,
        window_cap_atoms=7,
    )
    assert policy.changes == [Change(BTC, "fund_policy.window", "1", "2")]
    with pytest.raises(PolicyError, match="wanted given together with window_cap"):
        read_policy({"symbols": {BTC: {"fund_policy": {"window": 2}}}}, survey())


def test_warnings_are_told_with_what_was() -> None:
    found = survey()
    assert read("[warnings]\nlevels = []\n").changes == [Change("warnings", "levels", "none", "[]")]
    found.warnings = m.SetMarginWarnings()
    policy = read_policy({"warnings": {"levels": ["0.5"]}}, found)
    assert policy.changes == [Change("warnings", "levels", "[0.8, 0.9]", "[0.5]")]


def test_changes_are_told_with_what_was() -> None:
    text = (
        f"[funds]\nshared = 5\n[symbols.{BTC}]\nslippage_cap = 'none'\nliquidation.draw_cap = 9\n"
    )
    assert read(text).changes == [
        Change("fund shared", "paid in first", "1,000", "5"),
        Change(BTC, "slippage_cap", "0.15", "none"),
        Change(BTC, "liquidation.draw_cap", "none", "9"),
    ]


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_listing_read_back_as_a_table_is_the_listing(path: Path) -> None:
    """So that what a policy does not name stays as it was, to the last part per million."""
    found = read_survey(Source.open(path), lambda text: None)
    for number, listed in found.symbols.items():
        table = table_of(listed)
        leave_groups(table, ())
        policy = symbol_policy(listed.name, table, number, FundNumbers())
        assert policy.to_command() == m.ListSymbol(
            **{
                **{name: getattr(listed.listing, name) for name in m.ListSymbol.__struct_fields__},
                "account": 0,
                "sequence": 0,
                "timestamp_ns": 0,
            }
        )


def test_the_policies_of_the_page_can_be_read() -> None:
    page = (ROOT / "docs" / "counterfactuals.md").read_text()
    blocks = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        assert read(block).changes


# ------------------------------------------------------------------------------------------- what cannot be

WRONG = (
    ("[warnings]\nlevels = [0.9, 0.8]", "warnings.levels is [0.9, 0.8]; wanted up to 4 that rise"),
    ("[warnings]\nlevel = [0.9]", "unknown key warnings.level; there is levels"),
    ("[fund]\nshared = 1", "unknown section fund; a policy has funds, symbols, warnings"),
    ("funds = 3", "funds is 3; wanted a table"),
    ("[funds]\nmajors = 1", "there is no fund majors in this journal; there are shared, 3"),
    ("[funds]\nshared = -1", "funds.shared is -1; wanted 0 or more"),
    ("[funds]\nshared = 'lots'", "funds.shared: amount 'lots' is not a number"),
    ("[funds]\nshared = 0.000000001", "is not a multiple of the smallest unit"),
    ("[funds]\nshared = { factor = 2 }", "wanted an amount, or { times = 2 }"),
    ("[funds]\n3 = { times = 2 }", "the operator pays nothing into it; name the payment instead"),
    (
        "[symbols.DOGE]\ntaker_fee = 0",
        'no symbol DOGE in this journal; there are: BTC-PERP, ETH-PERP; or "*"',
    ),
    (
        "[symbols.BTC-PERP]\ntick = 1",
        "tick cannot be changed; the journal's orders are written in it",
    ),
    ("[symbols.BTC-PERP]\ntaker = 1", "unknown key taker; known are initial_margin, leverage"),
    ("[symbols.BTC-PERP]\nliquidation.fees = 1", "unknown key liquidation.fees"),
    (
        "[symbols.BTC-PERP]\ntaker_fee = 'none'",
        'taker_fee is "none"; only these can be: price_band',
    ),
    ("[symbols.BTC-PERP]\ntaker_fee = 0.5", "BTC-PERP: taker_fee is 0.5; wanted 0 .. 0.1"),
    (
        "[symbols.BTC-PERP]\ntaker_fee = 0.00000001",
        "taker_fee: rate 1E-8 is not a multiple of one part per million",
    ),
    ("[symbols.BTC-PERP]\nleverage = 5\ninitial_margin = 0.2", "are given; wanted one of the two"),
    (
        "[symbols.BTC-PERP]\nleverage = 500",
        "initial_margin is 2000; wanted at least the first bracket's rate",
    ),
    ("[symbols.BTC-PERP]\nbrackets = [[5, 0.01]]", "a first floor of 5; wanted a first floor of 0"),
    (
        "[symbols.BTC-PERP]\nliquidation.mode = 'some'",
        "liquidation.mode is some; wanted full, fraction or target",
    ),
    (
        "[symbols.BTC-PERP]\nliquidation.adl = 'luck'",
        "liquidation.adl is luck; wanted one of queue",
    ),
    ("[symbols.BTC-PERP]\nfund = 9", "there is no fund 9 in this journal"),
    ("[symbols.ETH-PERP]\nmark.ema = 9", "mark.ema is given; its mark is set by hand"),
    (
        "[symbols.ETH-PERP]\nfunding.interest = 0",
        "funding.interest is given; its funding is settled by hand",
    ),
    ("[symbols.BTC-PERP]\nmargin_mode = 'both'", "margin_mode is 'both'; wanted cross or isolated"),
    (
        "[symbols.BTC-PERP]\nmargin_accounts = '1'",
        "margin_accounts is given; wanted margin_mode with it",
    ),
    (
        "[symbols.BTC-PERP]\nmargin_mode = 'cross'\nmargin_accounts = 'all'",
        'wanted numbers, as in "7, 1001-1600"',
    ),
    (
        "[symbols.BTC-PERP]\nmargin_mode = 'cross'\nmargin_accounts = '9-3'",
        "margin_accounts has 9-3; wanted 1 .. 16777215",
    ),
    (
        "[symbols.'*']\nexposure_limit = 11_000_000_000",
        "ETH-PERP: the exchange would refuse list_symbol with these numbers: value_out_of_range",
    ),
)


@pytest.mark.parametrize(("text", "wanted"), WRONG, ids=lambda value: value.replace("\n", " ")[:44])
def test_a_policy_that_cannot_be_says_what_was_wanted_and_what_came(text: str, wanted: str) -> None:
    with pytest.raises(PolicyError) as error:
        read(text)
    assert wanted in str(error.value)


def test_a_table_set_later_that_does_not_fit_is_found_before_it_is_run() -> None:
    """A rate below what a later table of the journal asks for would be refused on the way."""
    found = survey()
    later = m.SetBrackets(symbol=1, initial_margin_ppm=500_000, brackets=((0, 400_000, 0),))
    found.symbols[1].policies.append(later)
    with pytest.raises(PolicyError, match="would refuse set_brackets with these numbers"):
        read_policy({"symbols": {BTC: {"leverage": 20}}}, found)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    with pytest.raises(PolicyError, match=r"policy.toml: cannot be read"):
        load_policy_file(path, survey(), {})
    path.write_text("[symbols\n")
    with pytest.raises(PolicyError, match=r"policy.toml: not TOML"):
        load_policy_file(path, survey(), {})
    path.write_text("[nothing]\n")
    with pytest.raises(PolicyError, match=r"policy.toml: unknown section nothing"):
        load_policy_file(path, survey(), {})


def test_the_table_names_commands_that_an_operator_sends() -> None:
    assert set(CARRIERS) == {
        *("list_symbol", "set_brackets", "set_risk_limits", "set_adl_policy", "set_mark_policy"),
        *("set_fund_policy", "set_funding_policy"),
    }
