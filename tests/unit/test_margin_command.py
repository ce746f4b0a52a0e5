"""``exchange margin``: public worked examples of large venues, what is printed, and how mistakes are told.

The figures of other venues are facts from their public pages; where their formula is another one, the test says so and
names both numbers.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exchange.cli import main

#: Brackets of Binance USD-M futures at the time of its example (the deductions follow from them).
BINANCE = """
wallet = 1_535_443.01
[marks]
ETHUSDT = 1_335.18
BTCUSDT = 31_967.27
[[positions]]
symbol = "ETHUSDT"
side = "long"
size = 3_683.979
entry = 1_456.84
[[positions]]
symbol = "BTCUSDT"
side = "long"
size = 109.488
entry = 32_481.98
[[symbols]]
name = "ETHUSDT"
tick = 0.01
lot = 0.001
initial_margin = 0.1
brackets = [[0, 0.005], [10_000, 0.0065], [100_000, 0.01], [500_000, 0.02], [1_000_000, 0.05], [2_000_000, 0.1]]
[[symbols]]
name = "BTCUSDT"
tick = 0.01
lot = 0.001
initial_margin = 0.1
brackets = [[0, 0.004], [50_000, 0.005], [250_000, 0.01], [1_000_000, 0.025]]
"""
#: One flat maintenance rate, as in the examples of Bybit and BitMEX.
FLAT = """
[[symbols]]
name = "{name}"
tick = 0.1
lot = 0.001
leverage = {leverage}
brackets = [[0, {rate}]]
"""


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """The JSON of a calculation."""
    assert main(["margin", "--json", *map(str, arguments)]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def positions(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {position["symbol"]: position for position in found["now"]["positions"]}


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    path = tmp_path / "symbols.toml"
    path.write_text(FLAT.format(name="X", leverage=50, rate="0.005"))
    return path


def test_binance_cross_with_two_positions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """MARGIN-03, MARGIN-09: binance.com, How to Calculate Liquidation Price of USD-M Futures Contracts.

    Published: maintenance margins 356,512.508 and 71,200.81144, unrealised -448,192.89 and -56,354.57, liquidation
    prices 1,153.26 and 26,316.89.  The same formula, so the same numbers; the price shown here is the first whole tick
    below 1,153.2599.
    """
    path = tmp_path / "binance.toml"
    path.write_text(BINANCE)
    found = positions(answer(capsys, path))
    eth, btc = found["ETHUSDT"], found["BTCUSDT"]
    assert eth["maintenance_margin"].startswith("356512.508")
    assert btc["maintenance_margin"].startswith("71200.81144")
    assert round(Decimal(eth["unrealised"]), 2) == Decimal("-448192.89")
    assert round(Decimal(btc["unrealised"]), 2) == Decimal("-56354.57")
    assert (eth["liquidation_price"], btc["liquidation_price"]) == ("1153.25", "26316.89")


@pytest.mark.parametrize(
    ("name", "published", "ours"),
    [("ETHUSDT", "1114.78", "1114.78"), ("BTCUSDT", "18778.73", "18778.72")],
)
def test_binance_isolated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, published: str, ours: str
) -> None:
    """MARGIN-09: the same example with the whole wallet as isolated margin of one position (other PnL and MM are 0)."""
    path = tmp_path / "binance.toml"
    kept = "ETHUSDT" if name == "ETHUSDT" else "BTCUSDT"
    head, *tables = BINANCE.split("[[positions]]")
    last, symbols = tables[1].split("[[symbols]]", 1)
    chosen = next(table for table in (tables[0], last) if kept in table)
    isolated = f'{chosen}mode = "isolated"\nmargin = 1_535_443.01\n'
    path.write_text(f"{head}[[positions]]{isolated}[[symbols]]{symbols}")
    shown = positions(answer(capsys, path))[name]["liquidation_price"]
    assert shown == ours
    assert 0 <= Decimal(published) - Decimal(shown) <= Decimal("0.01")


def test_bybit_isolated_long(flat: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """MARGIN-09, LIQ-05: bybit.com help, Liquidation Price (USDT Contract) and Bankruptcy Price (USDT Contract).

    Published for 1 BTC at 20,000, 50x, MMR 0.5 %: initial margin 400, liquidation at 20,000 - (400 - 100) = 19,700.  It
    takes maintenance margin on the entry value (100); here it is on the value at the mark, 0.5 % of about 19,700 =
    98.5, so 400 + p - 20,000 < 0.005 p, p < 19,698.49.
    """
    found = answer(
        capsys, "--symbols", flat, "--symbol", "X", "--side", "long", "--size", 1,
        "--entry", 20_000, "--mode", "isolated", "--wallet", 1_000,
    )  # fmt: skip
    position = positions(found)["X"]
    assert position["initial_margin"] == "400"
    assert position["maintenance_margin"] == "100"
    assert position["liquidation_price"] == "19698.4"
    assert position["bankruptcy_price"] == "19600"


def test_bybit_bankruptcy_price(flat: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """LIQ-05: published for a long of 1 BTC at 10,000, 50x: 10,000 x (1 - 2 %) = 9,800.  The same here."""
    found = answer(
        capsys, "--symbols", flat, "--symbol", "X", "--side", "long", "--size", 1,
        "--entry", 10_000, "--mode", "isolated", "--wallet", 200,
    )  # fmt: skip
    assert positions(found)["X"]["bankruptcy_price"] == "9800"


def test_bitmex_cross(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """MARGIN-09, LIQ-05: bitmex.com, Isolated Margin Examples: a wallet of 10,000, 20 at 1,000, 50x cross.

    Published: initial margin 2 % = 400, maintenance margin 1 % = 200, available 9,600, liquidation and bankruptcy
    prices 510 and 500.  Maintenance margin there is on the entry value: 10 a contract above 500.  Here it falls with
    the mark: 10,000 + 20 (p - 1,000) < 0.2 p, p < 505.05.
    """
    path = tmp_path / "symbols.toml"
    path.write_text(FLAT.format(name="ETHUSDT", leverage=50, rate="0.01"))
    found = answer(
        capsys, "--symbols", path, "--symbol", "ETHUSDT", "--side", "long", "--size", 20,
        "--entry", 1_000, "--wallet", 10_000,
    )  # fmt: skip
    position, (pool,) = positions(found)["ETHUSDT"], found["now"]["pools"]
    assert (position["initial_margin"], position["maintenance_margin"]) == ("400", "200")
    assert pool["available"] == "9600"
    assert (position["liquidation_price"], position["bankruptcy_price"]) == ("505", "500")


# ------------------------------------------------------------------------------------------ what is printed


def test_a_table_of_a_position_with_an_order_and_a_mark(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--side", "short", "--size", "0.5", "--entry", "60000", "--mode", "isolated"]
    orders = ["--order", "BTC-PERP buy 0.1 59000", "--order", "BTC-PERP sell 2 60000"]
    more = ["--wallet", "2000", *orders, "--then-mark", "BTC-PERP=62000"]
    assert main(["margin", *arguments, *more]) == 0
    text = capsys.readouterr().out
    assert "62749.1" in text and "distance, %" in text
    assert "buy 0.1 BTC-PERP at 59000: accepted" in text
    refused = "refused: the collateral pool would end below its initial margin"
    assert f"sell 2 BTC-PERP at 60000: {refused}" in text
    assert "it is assumed: a mark moves" in text


def test_orders_ask_for_margin_and_json_has_now_and_after(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = answer(capsys, "--wallet", 1_000, "--order", "BTC-PERP buy 0.1 60000")
    (now,), (after,) = found["now"]["pools"], found["after"]["pools"]
    assert (now["available"], after["available"], found["open"]) == ("1000", "700", None)


def test_a_file_of_json_is_read_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = {"symbol": "BTC-PERP", "side": "long", "size": 0.5, "entry": 60_000}
    path = tmp_path / "situation.json"
    path.write_text(json.dumps({"wallet": 2_000, "positions": [held]}))
    position = positions(answer(capsys, path, "--mark", "BTC-PERP=59000"))["BTC-PERP"]
    assert position["unrealised"] == "-500"
    assert position["liquidation_price"] == "56224.8"
    assert position["liquidation_distance_percent"] == "-4.70"
    assert (position["fee_opened_as_taker"], position["fee_closed_at_mark"]) == ("15", "14.75")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to calculate"),
        (["--side", "long"], "--size is missing"),
        (
            ["--side", "long", "--size", "x", "--entry", "1"],
            "positions[0].size 'x' is not a number",
        ),
        (["--side", "long", "--size", "-1", "--entry", "1"], "wanted a number above 0"),
        (["--side", "long", "--size", "0.0001", "--entry", "1"], "is not a multiple of the lot"),
        (
            ["--side", "long", "--size", "1", "--entry", "1", "--symbol", "Y"],
            "symbol 'Y' is not known",
        ),
        (["--side", "long", "--size", "1", "--entry", "9", "--leverage", "500"], "wanted at least"),
        (["--side", "long", "--size", "1", "--entry", "9", "--mode", "isolated"], "give a larger"),
        (["--order", "BTC-PERP buy"], 'wanted "SYMBOL buy|sell SIZE [PRICE]"'),
        (["--order", "BTC-PERP up 1 5"], "orders[0].side is 'up'; wanted buy or sell"),
        (["--order", "BTC-PERP buy 1"], "price is missing"),
        (["--order", "BTC-PERP buy 1 5", "--then-mark", "5"], "wanted SYMBOL=PRICE"),
        (["no-such-file.toml"], "cannot be read"),
        (["--connect", "tcp://127.0.0.1:1"], "--account is missing"),
        (["--symbols", "no-such-file.toml", "--order", "X buy 1 5"], "cannot be read"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_was_wanted(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["margin", *arguments]) == 2
    errors = capsys.readouterr().err
    assert said in errors and errors.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("walet = 5", "unknown key walet; there are wallet, marks, positions, orders, symbols"),
        ("positions = 5", "positions is 5; wanted an array of tables"),
        ("[[positions]]\nsymbol = 5", "positions[0].symbol is 5; wanted a name"),
        ('[[positions]]\nsymbol = "BTC-PERP"\nsides = "long"', "unknown key sides"),
        ("wallet = nonsense", "neither TOML nor JSON"),
    ],
)
def test_a_mistake_in_a_file_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    path = tmp_path / "situation.toml"
    path.write_text(text)
    assert main(["margin", str(path)]) == 2
    assert said in capsys.readouterr().err


def test_two_positions_of_a_symbol_are_one_too_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = '[[positions]]\nsymbol = "BTC-PERP"\nside = "long"\nsize = 1\nentry = 5\n'
    path = tmp_path / "situation.toml"
    path.write_text(row * 2)
    assert main(["margin", str(path)]) == 2
    assert "BTC-PERP is there twice" in capsys.readouterr().err


def test_the_page_shows_what_the_calculator_prints(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "what-if.md").read_text("utf-8")
    command, shown = re.findall(
        r"```sh\nexchange margin (.*?)\n```\n\n```text\n(.*?)```", page, flags=re.DOTALL
    )[0]
    assert main(["margin", *command.split()]) == 0
    assert capsys.readouterr().out == shown


def test_the_file_of_the_page_can_be_calculated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "what-if.md").read_text("utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    path = tmp_path / "situation.toml"
    path.write_text(text)
    found = answer(capsys, path)
    assert [pool["balance"] for pool in found["now"]["pools"]] == ["3400", "1600"]
    assert [step["accepted"] for step in found["steps"]] == [True]
