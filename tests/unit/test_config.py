"""A configuration is right, or an error names file, field, value and what was wanted."""

from __future__ import annotations

from pathlib import Path

import pytest

from exchange.bootstrap import missing_commands
from exchange.config import default_text, load_config, override
from exchange.engine import create_engine
from exchange.errors import ConfigError
from exchange.journal import Durability
from exchange.protocol.records import encode_commands
from exchange.sequencer import Sequencer

SYMBOL = """
[[symbols]]
name = "ETH-PERP"
tick = 0.01
lot = 0.001
leverage = 10
brackets = [[0, 0.01]]
fund = "majors"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "exchange.toml"
    path.write_text(text)
    return path


def test_without_a_file_there_is_a_perpetual_to_trade() -> None:
    config = load_config()
    (policy,) = config.symbols
    listing = policy.to_command()
    assert (listing.name, listing.tick_size_e12, listing.lot_size_e12) == (
        "BTC-PERP",
        10**11,
        10**9,
    )
    assert len(listing.brackets) == 12
    assert listing.brackets[0] == (0, 4000, 8000)
    assert config.fund_atoms == {0: 1_000_000 * 10**8}
    assert config.mark_ticks == {1: 600_000}
    assert config.journal.durability is Durability.ALWAYS


def test_the_default_brackets_keep_the_published_maintenance_amounts() -> None:
    """cum_k = cum_(k-1) + floor_k (r_k - r_(k-1)): the amounts that the source publishes beside the rates."""
    amounts, total, previous = [], 0, 0
    for floor_atoms, maintenance_ppm, _ in load_config().symbols[0].to_command().brackets:
        total += floor_atoms * (maintenance_ppm - previous) // 10**6
        previous = maintenance_ppm
        amounts.append(total // 10**8)
    published = [
        0,
        50,
        950,
        11_450,
        131_450,
        481_450,
        2_981_450,
        14_481_450,
        26_481_450,
        41_481_450,
    ]
    assert amounts == [*published, 121_481_450, 421_481_450]


def test_the_printed_default_is_the_default(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, default_text())) == load_config()


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "[limits]\nmax_sessions = 3\n"))
    assert config.limits.max_sessions == 3
    assert config.limits.send_high_water == load_config().limits.send_high_water
    assert config.symbols == load_config().symbols


def test_symbols_of_ones_own_come_without_the_default_funds_and_marks(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, SYMBOL))
    assert [policy.name for policy in config.symbols] == ["ETH-PERP"]
    assert (config.fund_atoms, config.mark_ticks) == ({}, {})
    more = '[funds]\nmajors = 5.5\n[marks]\nETH-PERP = "2000.01"\n' + SYMBOL
    config = load_config(write(tmp_path, more))
    assert config.fund_atoms == {1: 550_000_000}
    assert config.mark_ticks == {1: 200_001}


def test_the_command_line_wins_over_the_file() -> None:
    config = override(load_config(), Path("/tmp/x"), "off", "reference")
    assert (config.data, config.journal.durability, config.engine) == (
        Path("/tmp/x"),
        Durability.OFF,
        "reference",
    )
    assert override(load_config(), None, None, None) == load_config()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[node]\nengin = 'native'", "unknown key node.engin; there are data, engine"),
        ("[nodes]\nengine = 'native'", "unknown section nodes; there are node, journal"),
        ("node = 3", "node is 3; wanted a table"),
        ("[node]\nengine = 'fast'", "node.engine is 'fast'; wanted one of native, reference"),
        (
            "[journal]\ndurability = true",
            "journal.durability is True; wanted one of always, interval, off",
        ),
        (
            "[journal]\nsync_interval_ms = 0",
            "journal.sync_interval_ms is 0; wanted a whole number 1 .. 60000",
        ),
        (
            "[limits]\nmax_sessions = 1.5",
            "limits.max_sessions is Decimal('1.5'); wanted a whole number 1 .. 1000000",
        ),
        ("[limits]\nmax_sessions = true", "limits.max_sessions is True; wanted a whole number"),
        (
            "[endpoints]\norders = 'localhost:5555'",
            "endpoints.orders is 'localhost:5555'; wanted \"tcp://host:port\"",
        ),
        ("[endpoints]\norders = 'tcp://x:99999'", "endpoints.orders is 'tcp://x:99999'; wanted"),
        ("[endpoints]\nadmin = 5557", "endpoints.admin is 5557; wanted"),
        ("[funds]\nother = 5", "funds.other: no symbol has this fund; wanted one of shared"),
        ("[funds]\nshared = 0", "funds.shared is 0; wanted 1E-8 .. "),
        ("[funds]\nshared = 0.000000001", "funds.shared: amount"),
        ("[funds]\nshared = 'much'", "funds.shared: amount 'much' is not a number"),
        ("[marks]\nDOGE = 1", "marks.DOGE: no such symbol; wanted one of BTC-PERP"),
        (
            "[marks]\nBTC-PERP = 60000.05",
            "marks.BTC-PERP: price 60000.05 is not a multiple of the tick 0.1 (BTC-PERP)",
        ),
        ("[marks]\nBTC-PERP = -1", "marks.BTC-PERP is -1; wanted 0.1 .. "),
        ("[warnings]\nlevels = [0.9, 0.8]", "warnings.levels is [0.9, 0.8]; wanted up to 4 that"),
        ("[warnings]\nlevels = [0.5, 1]", "warnings.levels is [0.5, 1]; wanted up to 4 that rise"),
        ("[warnings]\nlevels = 0.8", "warnings.levels is Decimal"),
        ("[warnings]\nlevels = ['much']", "warnings.levels 'much' is not a number"),
        ("[warnings]\nlevels = [0.00000001]", "rate 1E-8 is not"),
        ("[warnings]\nlevel = [0.8]", "unknown key warnings.level; there is levels"),
        ("funds = 3", "funds is 3; wanted a table [funds]"),
        (SYMBOL.replace("tick = 0.01", "tick = 0"), "ETH-PERP"),
        (SYMBOL.replace("leverage", "leverge"), "ETH-PERP: unknown key leverge"),
        (SYMBOL + "taker_fee = 0.2", "ETH-PERP: taker_fee is 0.2; wanted 0 .. 0.1"),
        ("[node", "not TOML"),
    ],
)
def test_errors_name_file_field_value_and_bound(tmp_path: Path, text: str, error: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert error in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_config(tmp_path / "nothing.toml")


def test_a_venue_of_several_symbols_starts_again(tmp_path: Path) -> None:
    """What is listed already is found in the state, however many symbols stand before it."""
    second = SYMBOL.replace("ETH", "SOL") + "liquidation = { adl = 'mark_priced' }"
    config = load_config(write(tmp_path, SYMBOL + second))
    engine = create_engine("reference")
    first = missing_commands(config, engine).commands
    assert [type(command).__name__ for command in first] == [
        "ListSymbol",
        "ListSymbol",
        "SetAdlPolicy",
    ]
    engine.apply(Sequencer(clock=lambda: 1).stamp(encode_commands(first), len(first)).commands)
    again = missing_commands(config, engine)
    assert (again.commands, again.notes) == ([], [])
