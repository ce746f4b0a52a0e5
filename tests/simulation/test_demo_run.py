"""The demonstration, end to end: a node in its own process, agents over ZeroMQ, checks, table, picture, numbers."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exchange.config import load_config
from exchange.counterfactual import compare_policies
from exchange.engine import create_engine
from exchange.replay import replay_journal
from exchange.sim import demo
from exchange.sim.market import demo_policy, run_market
from exchange.sim.venue import EngineVenue

ARGUMENTS = ("--quick", "--accounts", "120", "--seed", "3")


class Demo(msgspec.Struct):
    """One run: what it printed, and its two files."""

    exit_code: int
    printed: str
    report: dict[str, Any]
    picture: bytes
    node: Path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    out: Path = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr(
            "builtins.print", lambda *words, **_: printed.append(" ".join(map(str, words)))
        )
        exit_code = demo.main([*ARGUMENTS, "--keep-journal", "--out", str(out)])
    return Demo(
        exit_code,
        "\n".join(printed),
        msgspec.json.decode((out / "report.json").read_bytes()),
        (out / "cascade.png").read_bytes(),
        out / "node",
    )


def test_every_check_holds(run: Demo) -> None:
    assert run.exit_code == 0
    assert [check["holds"] for check in run.report["checks"]] == [True] * 3


def test_the_journal_that_is_kept_replays_to_the_same_state_in_both_engines(run: Demo) -> None:
    summary = replay_journal(run.node, verify=True)
    assert (summary.digest, summary.sequence) == (
        run.report["run"]["digest"],
        run.report["run"]["sequence"],
    )


def test_the_same_day_counted_for_other_policies_is_the_same_day(run: Demo) -> None:
    """Two programs count the journal's own world; with a fund that is large enough nobody bears another's loss."""
    large = {"funds": {"shared": {"times": 1000}}}
    outcome = compare_policies(run.node, {"large": large})["large"]
    totals, own, changed = run.report["totals"], outcome.own.tally, outcome.changed.tally
    assert (own.ended_whole, own.ended_in_part, own.adl_fills, own.rejected) == (
        totals["liquidations_full"],
        totals["liquidations_partial"],
        totals["adl_fills"],
        totals["rejected"],
    )
    assert (own.book_atoms, own.adl_atoms, own.adl_haircut_atoms) == (
        totals["liquidated_atoms"],
        totals["adl_atoms"],
        totals["adl_haircut_atoms"],
    )
    assert (own.fund_paid_atoms, own.fund_fees_atoms) == (
        totals["fund_drawn_atoms"],
        totals["fund_fees_atoms"],
    )
    assert own.commands == totals["commands"]
    assert outcome.snapshots > 0  # of the node, whose digests the replay has
    assert changed.adl_haircut_atoms == 0
    assert changed.adl_atoms < own.adl_atoms


def test_a_kept_journal_is_not_overwritten(run: Demo) -> None:
    with pytest.raises(demo.DemoError, match="is there already: remove it, or name another --out"):
        demo.main([*ARGUMENTS, "--keep-journal", "--out", str(run.node.parent)])


def test_the_day_is_a_cascade(run: Demo) -> None:
    totals = run.report["totals"]
    assert totals["liquidations_full"] > 10
    assert totals["fund_draws"] > 0
    assert totals["adl_fills"] > 0
    assert run.report["loss_beyond_margin_atoms"] > 0


def test_the_fund_is_what_came_in_less_what_went_out(run: Demo) -> None:
    totals, series = run.report["totals"], run.report["run"]
    balance = totals["fund_paid_in_atoms"] + totals["fund_fees_atoms"] - totals["fund_drawn_atoms"]
    assert series["samples"][-1]["fund_atoms"] == balance >= 0
    assert series["fund_moves"][-1]["balance_atoms"] == balance
    assert sum(move["change_atoms"] for move in series["fund_moves"]) == balance


def test_closings_add_up_to_the_totals(run: Demo) -> None:
    totals, closings = run.report["totals"], run.report["run"]["closings"]
    by_adl = sum(c["notional_atoms"] for c in closings if c["by_adl"])
    by_book = sum(c["notional_atoms"] for c in closings if not c["by_adl"])
    assert (by_adl, by_book) == (totals["adl_atoms"], totals["liquidated_atoms"])


def test_isolated_twins_keep_what_was_not_their_margin(run: Demo) -> None:
    isolated, cross = run.report["modes"]["isolated"], run.report["modes"]["cross"]
    assert isolated["accounts"] == cross["accounts"] == 60
    # The margin is at most 1 / 1.3 of what was put in; fees of the opening come on top of it.
    assert isolated["worst_loss"] < 0.85
    assert isolated["worst_loss"] < cross["worst_loss"] <= 1.0
    assert isolated["liquidated"] > cross["liquidated"] > 0


def test_twins_put_in_the_same(run: Demo) -> None:
    fates = run.report["run"]["fates"]
    for first in range(1001, 1121, 2):
        one, other = fates[str(first)], fates[str(first + 1)]
        assert one["put_in_atoms"] == other["put_in_atoms"]
        assert {one["margin_mode"], other["margin_mode"]} == {0, 1}


def test_most_accounts_live_until_the_fall_begins(run: Demo) -> None:
    first = min(run.report["run"]["closings"], key=lambda closing: closing["time_ns"])
    assert first["time_ns"] >= run.report["first_ns"] + 10 * 60 * 10**9


def test_picture_is_a_large_png(run: Demo) -> None:
    assert run.picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", run.picture[16:24])
    assert width > 1000
    assert height > 1000


def test_table_names_what_a_trader_asks_for(run: Demo) -> None:
    for words in (
        "orders",
        "fills",
        "liquidations",
        "loss beyond margin",
        "fund draws",
        "ADL fills",
    ):
        assert f"  {words} " in run.printed
    for words in ("median loss", "worst loss", "isolated", "cross"):
        assert words in run.printed


def test_same_seed_gives_the_same_state_on_a_node_and_on_an_engine(run: Demo) -> None:
    """Over ZeroMQ or not, with a wall clock or a counter: the agents' seed decides, and nothing else."""
    digest = play_in_process(*ARGUMENTS)
    assert run.report["run"]["digest"] == digest
    assert play_in_process(*ARGUMENTS[:-1], "4") != digest


def play_in_process(*arguments: str) -> str:
    plan = demo.make_plan(demo.parser().parse_args(arguments))
    venue = EngineVenue(create_engine("native"))
    policy = demo_policy(load_config().symbols[0])
    run_market(venue, policy, plan.setup, plan.path, plan.calm_steps)
    return venue.digest()


def test_marks_per_minute_must_fit_the_corners_of_a_bar() -> None:
    options = demo.parser().parse_args(["--marks-per-minute", "6"])
    with pytest.raises(demo.DemoError, match="6; wanted a multiple of 4"):
        demo.make_plan(options)


def test_what_is_not_installed_is_said_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "NEEDED", {"no_such_package": "to test"})
    with pytest.raises(demo.DemoError, match="no_such_package is not installed, needed to test"):
        demo.main([*ARGUMENTS])


def test_a_node_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "node.toml").mkdir()
    with pytest.raises(OSError, match=r"node\.toml"), demo.running_node(tmp_path):
        pass
    with (tmp_path / "log").open("w+") as log:
        log.write("exchange: the port is taken\n")
        with pytest.raises(demo.DemoError, match="the port is taken"):
            demo.read_endpoints("", log)
