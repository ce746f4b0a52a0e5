"""The scenario runner itself: numbers are exact, keys are known, and what does not come as told is said in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exchange.errors import ScenarioError
from exchange.sim.scenario import main_run, parse_scenario, run_scenario
from exchange.sim.scenario_file import parse_duration_ns, parse_time_ns

HEAD = """
symbols:
  X: {tick: 0.5, lot: 0.01, initial_margin: 0.1, brackets: [[0, 0.05]]}
  Y.Z: {tick: 1, lot: 1, leverage: 10, brackets: [[0, 0.05]]}
steps:
- deposit: {account: a, amount: 1000}
- deposit: {account: b, amount: 1000}
- mark: {symbol: X, price: 100}
- mark: {symbol: Y.Z, price: 100}
"""


def failures(steps: str, kind: str = "reference") -> list[str]:
    """What fails when these steps follow the head."""
    return [failure.text for failure in run_scenario(parse_scenario(HEAD + steps), kind).failures]


def error(steps: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        failures(steps)
    return str(caught.value)


def test_every_step_of_the_format(engine_kind: str) -> None:
    steps = """
- fund: {name: shared, amount: 5}
- fund: {name: other, amount: 1}
- order: {account: a, symbol: X, side: buy, quantity: 1, price: 99.5, client_order_id: bid}
- amend: {account: a, client_order_id: bid, price: 100, quantity: 2}
- cancel: {account: a, client_order_id: bid}
- order: {account: a, symbol: Y.Z, side: sell, quantity: 3, price: 101, post_only: true, client_order_id: 7}
- amend: {account: a, client_order_id: 7, quantity: 2}
- order: {account: b, symbol: Y.Z, side: buy, quantity: 1, type: market}
- order: {account: b, symbol: Y.Z, side: sell, quantity: 1, price: 101, reduce_only: true, client_order_id: r}
- order: {account: a, symbol: Y.Z, side: sell, quantity: 1, price: 90, self_trade: cancel_maker, time_in_force: ioc}
- cancel_all: {account: b, symbol: Y.Z, side: sell}
- cancel_all: {account: a}
- trade: {buyer: a, seller: b, symbol: X, quantity: 2, price: 100.5}
- margin_mode: {account: b, symbol: X, mode: isolated, leverage: 5}
- margin_mode: {account: b, symbol: X, mode: cross, initial_margin: 0.25}
- margin_mode: {account: b, symbol: X, mode: isolated}
- isolated_margin: {account: b, symbol: X, change: 3.5}
- funding: {symbol: X, per_unit: 0.5}
- withdraw: {account: a, amount: 2.25}
- order: {account: a, symbol: X, side: sell, quantity: 2, price: 120, display: 1, expires: 5s, client_order_id: ice}
- amend: {account: a, client_order_id: ice, display: 0.5, expires: at 200s}
- order: {account: a, symbol: X, side: sell, type: stop_limit, trigger: 90, price: 89, quantity: 1}
- order: {account: a, symbol: X, side: sell, type: trailing_stop, trigger_by: last, callback_rate: 0.1,
    close_position: true, client_order_id: t}
- amend: {account: a, client_order_id: t, callback_rate: 0.2}
- order: {account: b, symbol: X, side: sell, quantity: 1, price: 100, post_only: true, slide: true, client_order_id: s}
- orders: {account: b, mode: all_or_nothing, orders: [{symbol: X, side: buy, quantity: 1, price: 80, post_only: true}]}
- orders:
    account: b
    orders:
    - {symbol: X, side: buy, quantity: 1, price: 80}
    - {symbol: X, side: buy, quantity: 0, price: 80}
- state: {symbol: Y.Z, state: halted}
- stp_group: {account: a, group: 7}
- countdown: {account: b, timeout: 1h}
- countdown: {account: a, timeout: never}
- time: {advance: 90s}
- raw: {command: place_orders, account: 1, list_mode: 0, orders: [{symbol: 1, side: 1, price_ticks: 300, qty_lots: 1}]}
- raw: {command: cancel_order, account: 3, order_id: 9, reject: unknown_order}
- raw: {bytes: '090018000100000000000000000000000000000000000000', reject: malformed_command}
- expect:
    positions: {a.X: 2, b.X: -2, a.Y.Z: -1, b.Y.Z: 1}
    trades: [[b, a, Y.Z, 1, 101], [a, b, X, 2, 100.5]]
    mode: {b.X: isolated, a.X: cross}
    orders: {a.X: [[sell, 2, 120], [sell, 0.01, 150]], b.X: [[buy, 1, 80], [buy, 1, 80], [sell, 1, 100]]}
    waiting: {a.X: [[sell, stop_limit, 1, 90], [sell, trailing_stop, 0, 80]]}
    shown: {a.X: [[sell, 1, 120]]}
    open_orders: {a.X: 4}
    levels: {X: [[[80, 2]], [[100, 1], [120, 1], [150, 0.01]]]}
    entries: [accepted, accepted, invalid_quantity, accepted]
    slices: [[a, X, sell, 1, 120]]
    states: {X: open, Y.Z: halted}
    last: {X: 100.5, Y.Z: 101}
    stp_groups: {a: 7, b: 0}
    countdowns: {a: null, b: 3600}
    triggered: []
    indications: []
    auctions: []
    settled: []
    wallets: {a: 996.75, b: 946.5}
    isolated_margin: {b.X: 54.5}
    funds: {shared: 5, other: 1}
    fees: 0
    best: {X: [80, 100], Y.Z: [null, null]}
    open_interest: {X: 2, Y.Z: 1}
    realised: {a.X: 0, nobody.X: 0}
    liquidation_price: {nobody.X: null}
    withdrawals_stopped: false
    note: a pays 1 of funding and 2.25; b's pool is 25 % of 200, 3.5 that were added and 1 of funding
"""
    assert failures(steps, engine_kind) == []


def test_a_failed_expectation_says_what_was_wanted_and_what_came() -> None:
    assert failures(
        "- expect: {wallets: {a: 999.5}, best: {X: [1, null]}, liquidating: {a: true}}"
    ) == [
        "wallets of a: wanted 999.5, came 1000",
        "best of X: wanted [1, null], came [null, null]",
        "liquidating of a: wanted true, came false",
    ]


def test_a_step_has_to_be_accepted_unless_it_says_otherwise() -> None:
    assert failures("- withdraw: {account: a, amount: 1001}") == [
        "wanted accepted, came rejected: insufficient_margin"
    ]
    assert failures("- withdraw: {account: a, amount: 1, reject: insufficient_margin}") == [
        "wanted rejected: insufficient_margin, came accepted",
        "the state changed, though the command has to be rejected",
    ]
    assert failures("- withdraw: {account: a, amount: 1001, reject: invalid_amount}") == [
        "wanted rejected: invalid_amount, came rejected: insufficient_margin"
    ]


@pytest.mark.parametrize(
    ("step", "wanted"),
    (
        (
            "- order: {account: a, symbol: X, side: buy, quantity: 1, price: 100, trigger_price: 5}",
            "unknown key trigger_price; known are account, symbol, side",
        ),
        (
            "- order: {account: a, symbol: X, side: buy, quantity: 1, type: stop_limit, trigger: 5}",
            "a stop-limit order needs a price",
        ),
        (
            "- order: {account: a, symbol: X, side: buy, type: stop_market, trigger: 5}",
            "the key quantity is missing; only close_position goes without",
        ),
        (
            "- order: {account: a, symbol: X, side: buy, quantity: 1, price: 1, expires: tomorrow}",
            "wanted a duration like 60s",
        ),
        (
            "- order: {account: a, symbol: X, side: buy, quantity: 1, type: stop_market, trigger: 5.2}",
            "price 5.2 is not a multiple of the tick 0.5",
        ),
        (
            "- order: {account: a, symbol: X, side: buy, quantity: 1, price: 100, type: fence}",
            "has limit, market, stop_market",
        ),
        (
            "- order: {account: a, symbol: X, side: buy, quantity: 1, price: 100, time_in_force: day}",
            "has gtc, ioc, fok, gtd",
        ),
        ("- orders: {account: a, orders: 5}", "orders: wanted a list of orders"),
        (
            "- orders: {account: a, orders: [{account: b, symbol: X, side: buy, quantity: 1, price: 1}]}",
            "unknown key account",
        ),
        ("- orders: {account: a, mode: all, orders: []}", "mode is all; this exchange has each"),
        ("- state: {symbol: X, state: closed}", "this exchange has open, pre_open, auction"),
        ("- countdown: {account: a, timeout: 1us}", "not a whole number of milliseconds"),
        ("- stp_group: {account: a, group: x}", "wanted a whole number"),
        (
            "- order: {account: a, symbol: X, side: up, quantity: 1, price: 100}",
            "side is up; this exchange has buy, sell",
        ),
        ("- order: {account: a, symbol: X, side: buy, quantity: 1}", "a limit order needs a price"),
        (
            "- order: {account: a, symbol: X, side: buy, quantity: 1, price: 100, post_only: 1}",
            "wanted true or false",
        ),
        (
            "- order: {account: a, symbol: X, side: buy, quantity: 1, price: 100.3}",
            "not a multiple of the tick 0.5 (X)",
        ),
        (
            "- order: {account: a, symbol: X, side: buy, quantity: 0.015, price: 100}",
            "not a multiple of the lot 0.01",
        ),
        (
            "- order: {account: a, symbol: W, side: buy, quantity: 1, price: 100}",
            "unknown symbol W; known are X, Y.Z",
        ),
        (
            "- order: {account: a, symbol: X, side: buy, quantity: 1, price: 1, reject: because}",
            "unknown reject reason",
        ),
        (
            "- order: {account: a, symbol: X, side: buy, quantity: 1, price: 1, size: 1}",
            "unknown key size; known are",
        ),
        (
            "- deposit: {account: a, amount: 0.000000001}",
            "amount 1E-9 is not a multiple of the smallest unit",
        ),
        ("- deposit: {account: a}", "the key amount is missing"),
        ("- deposit: {account: a, amount: lots}", "is not a number"),
        ("- deposit: 5", "wanted keys in braces"),
        ("- deposits: {account: a, amount: 5}", "unknown step deposits; known are fund, deposit"),
        ("- {deposit: {account: a, amount: 5}, note: x}", "wanted one kind and its keys"),
        ("- deposit: {account: a, amount: 5, amount: 6}", "the key 'amount' is given twice"),
        ("- expect: {wallet: {a: 5}}", "unknown expectation wallet; known are positions"),
        ("- expect: {wallets: 5}", "wanted names and values in braces"),
        ("- expect: {positions: {a: 5}}", "wanted account.symbol"),
        ("- time: {advance: 5 minutes}", "wanted a duration like 60s"),
        ("- time: {advance: 60}", "wanted a duration like 60s"),
        ("- time: {advance: 0.5ns}", "not a whole number of nanoseconds"),
        (
            "- margin_mode: {account: a, symbol: X, mode: isolated, leverage: 5, initial_margin: 0.2}",
            "came both",
        ),
        ("- margin_mode: {account: a, symbol: X, mode: hedge}", "has cross, isolated"),
        ("- cancel: {account: a}", "named by client_order_id or by order_id"),
        ("- amend: {account: a, order_id: 5, quantity: 1}", "name its symbol"),
        ("- funding: {symbol: X, per_unit: 0.00000001}", "not a multiple of 2^-32 atoms per lot"),
        ("- raw: {command: fly}", "wanted command: one of list_symbol"),
        (
            "- raw: {command: deposit, account: 1, amount_atoms: 1.5}",
            "amount_atoms is Decimal('1.5')",
        ),
        (
            "- raw: {command: deposit, account: 1, amount_atoms: 9223372036854775808}",
            "wanted an integer",
        ),
        ("- raw: {bytes: xyz}", "wanted hexadecimal digits"),
    ),
    ids=lambda value: str(value)[:60],
)
def test_a_step_that_cannot_be_read_says_which_key_and_what_is_wanted(
    step: str, wanted: str
) -> None:
    told = error(step)
    assert wanted in told
    assert "\n" not in told
    assert told.startswith("scenario: ")


@pytest.mark.parametrize(
    ("text", "wanted"),
    (
        ("steps: [", "line 1"),
        ("just words", "wanted a mapping with name"),
        ("steps: []\nsymbol: {}", "line 2: unknown key symbol; known are name"),
        ("name: x\nname: y\nsteps: []", "line 2: the key name is given twice"),
        ("name: x", "wanted steps"),
        ("symbols: {X: 5}\nsteps: []", "symbols: X: wanted {tick: 1"),
        (
            "symbols: {X: {tick: 1, lot: 1, brackets: [[0, 0.1]]}}\nsteps: []",
            "initial_margin or leverage",
        ),
        (
            "symbols: {X: {tick: 1, lot: 1, leverage: 5, bracket: 1}}\nsteps: []",
            "unknown key bracket",
        ),
        (
            "symbols: {X: {tick: 1, lot: 1, leverage: 20, brackets: [[0, 0.1]]}}\nsteps: []",
            "at least the first bracket",
        ),
        ("pace: 5\nsteps: []", "pace: wanted a duration like 60s"),
        ("accounts: {a: 0}\nsteps: []", "accounts: wanted a number 1 .. 16777215 for a"),
        ("accounts: {a: 1, b: 1}\nsteps: []", "a number of its own"),
        ("funds: {shared: 1}\nsteps: []", "shared is fund 0"),
    ),
    ids=lambda value: str(value)[:40],
)
def test_a_file_that_cannot_be_read_says_where(text: str, wanted: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text)
    assert wanted in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_are_what_one_reads() -> None:
    """0.1 + 0.2 is 0.3 here; 010 is ten, yes and on are names, and large numbers keep every digit."""
    steps = """
- deposit: {account: yes, amount: 0.1}
- deposit: {account: yes, amount: 0.2}
- deposit: {account: on, amount: 010}
- deposit: {account: 12, amount: 1_000.5}
- deposit: {account: big, amount: 1234567890.12345678}
- expect: {wallets: {yes: 0.3, on: 10, 12: 1000.5, big: 1234567890.12345678}}
"""
    assert failures(steps) == []


def test_accounts_count_from_one_as_they_appear_or_as_the_file_says() -> None:
    scenario = parse_scenario(
        "accounts: {late: 5}\nsteps:\n- deposit: {account: x, amount: 1}\n- deposit: {account: late, amount: 1}\n"
        "- raw: {command: deposit, account: 6, amount_atoms: 1}\n"
        "- raw: {command: deposit, account: 5, amount_atoms: 1}\n"
        "- expect: {wallets: {x: 1.00000001, late: 1.00000001}}"
    )
    assert run_scenario(scenario, "reference").failures == ()


@pytest.mark.parametrize(
    ("text", "ns"),
    (("60s", 60 * 10**9), ("1ms", 10**6), ("2h", 7200 * 10**9), ("1.5us", 1500), ("7ns", 7)),
)
def test_durations(text: str, ns: int) -> None:
    assert parse_duration_ns(text) == ns


def test_times_count_from_now_or_from_the_start() -> None:
    assert parse_time_ns("2s", 10**9) == 3 * 10**9
    assert parse_time_ns("at 2s", 10**9) == 2 * 10**9


def test_with_a_pace_each_command_comes_later_than_the_one_before() -> None:
    """An order placed at 60 ms that lives for 15 ms is there at 70 ms, and gone at 80 ms."""
    text = "pace: 10ms" + HEAD.replace("- deposit: {account: b, amount: 1000}\n", "")
    steps = """
- order: {account: a, symbol: X, side: buy, quantity: 1, price: 99, expires: 15ms}
- time: {advance: 0s}
- expect: {open_orders: {a.X: 1}}
- time: {advance: 0s}
- expect: {open_orders: {a.X: 0}, cancelled: [[a, X, buy, 1, expired]]}
"""
    assert run_scenario(parse_scenario(text + steps), "reference").failures == ()


def test_time_advances_for_what_follows() -> None:
    from exchange.protocol.records import decode_commands

    result = run_scenario(
        parse_scenario(HEAD + "- time: {advance: 2h}\n- withdraw: {account: a, amount: 1}"),
        "reference",
    )
    times = [command.timestamp_ns for command in decode_commands(result.commands)]
    assert times[-3:] == [0, 7200 * 10**9, 7200 * 10**9]


def test_the_command_line_tells_files_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad, broken = (tmp_path / f"{name}.yaml" for name in ("good", "bad", "broken"))
    good.write_text(HEAD)
    bad.write_text(HEAD + "- expect: {wallets: {a: 1}}\n")
    broken.write_text("steps: [\n")
    assert main_run([good], "reference", False) == 0
    assert capsys.readouterr().out == f"ok    {good}\n"
    assert main_run([good, bad], "reference", False) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[:2] == [f"ok    {good}", f"FAIL  {bad}"]
    assert told[2].strip() == "step 5 (line 10) expect: wallets of a: wanted 1, came 1000"
    assert main_run([broken, good], "reference", False) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"ERROR {broken}: line 2")
    assert captured.err.count("\n") == 1
    assert captured.out == f"ok    {good}\n"
    assert main_run([tmp_path / "none.yaml"], "reference", False) == 2


def test_the_command_line_speaks_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, broken = tmp_path / "bad.yaml", tmp_path / "broken.yaml"
    bad.write_text("name: told\n" + HEAD + "- expect: {wallets: {a: 1}}\n")
    broken.write_text("steps: 5\n")
    assert main_run([bad, broken], "reference", True) == 2
    first, second = json.loads(capsys.readouterr().out)
    assert (first["name"], first["passed"], first["engine"]) == ("told", False, "reference")
    assert first["failures"][0]["text"] == "wallets of a: wanted 1, came 1000"
    assert second["passed"] is False
    assert "wanted steps" in second["error"]
