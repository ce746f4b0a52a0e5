"""A journal under another policy: nothing changed changes nothing, and what is changed comes out as by hand."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exchange.cli import ERROR, OK, main
from exchange.counterfactual import compare_policies, counterparts
from exchange.counterfactual.outcome import Outcome, Standing
from exchange.counterfactual.policy import read_policy
from exchange.counterfactual.run import Reading, Worlds, run
from exchange.counterfactual.show import CHANGED, OWN
from exchange.counterfactual.survey import read_survey
from exchange.counterfactual.tally import MOST_POINTS, Curve
from exchange.engine import create_engine
from exchange.errors import PolicyError
from exchange.explain.source import Source
from exchange.journal import Journal
from exchange.protocol import messages as m
from exchange.protocol.records import decode_commands, decode_events, iter_starts
from exchange.protocol.schema import MarginMode, OrderType, Side, TimeInForce
from exchange.recovery import take_engine_snapshot
from exchange.replay import ReplayDiffers, replay_journal
from exchange.sim.scenario import load_scenario, run_scenario
from exchange.snapshot import Snapshot, state_digest, write_snapshot
from exchange.units import to_atoms

HERE = Path(__file__).parent
SCENARIOS = HERE.parent / "scenarios"
SEEDS = range(300, 308)
BTC = 1


def atoms(amount: int) -> int:
    return to_atoms(amount)


def by_name(outcome: Outcome) -> dict[str, tuple[Standing, Standing]]:
    """Where those that fared otherwise ended, as it was and changed."""
    found = (*outcome.accounts.gained_most, *outcome.accounts.lost_most)
    return {outcome.account_names[c.account]: (c.own, c.changed) for c in found}


# ------------------------------------------------------------------------------------------ nothing is changed


def same_in_both(source: Source) -> None:
    heard = {OWN: (b"", b""), CHANGED: (b"", b"")}

    def listen(world: str, commands: bytes, events: bytes) -> None:
        before = heard[world]
        heard[world] = (before[0] + commands, before[1] + events)

    survey = read_survey(source, lambda text: None)
    ((outcome, _),) = run(source, {CHANGED: read_policy({}, survey)}, survey, listen=listen)
    assert heard[OWN] == heard[CHANGED]
    assert outcome.identical
    assert outcome.own == outcome.changed
    assert not outcome.refused(own=True, changed=False) + outcome.refused(own=False, changed=True)
    engine = create_engine("native")
    for frame in source.frames(lambda text: None):
        engine.apply(frame.commands)
    assert outcome.own.digest == engine.digest()


@pytest.mark.parametrize("seed", SEEDS)
def test_an_empty_policy_gives_the_same_commands_events_and_state(worlds: Any, seed: int) -> None:
    """Hostile streams: lists, links, hedges, lost orders, client order ids used twice."""
    same_in_both(worlds.fuzzed(seed, 1500))


def test_an_empty_policy_changes_no_story() -> None:
    for path in sorted(SCENARIOS.glob("*.yaml")):
        same_in_both(Source.open(path))


def test_the_own_world_is_the_journals(tmp_path: Path) -> None:
    result = run_scenario(load_scenario(HERE / "a-larger-fund.yaml"))
    journal = Journal(tmp_path / "journal")
    journal.append(result.commands, 1, len(result.records))
    journal.close()
    engine = create_engine("native")
    half = [offset for _, offset, _ in iter_starts(result.commands)][6]
    engine.apply(result.commands[:half])  # a snapshot inside of a frame
    write_snapshot(tmp_path / "snapshots", take_engine_snapshot(engine))
    source = Source.open(tmp_path)
    survey = read_survey(source, lambda text: None)
    policy = read_policy({"funds": {"shared": 50}}, survey)
    reading = Reading(snapshots=tmp_path / "snapshots")
    ((outcome, _),) = run(source, {CHANGED: policy}, survey, reading)
    assert outcome.snapshots == 1
    assert outcome.own.digest == replay_journal(tmp_path).digest


def test_a_snapshot_that_says_otherwise_stops_it(tmp_path: Path) -> None:
    """The journal of one story beside the snapshot of another."""
    stories = [
        load_scenario(HERE / f"{name}.yaml") for name in ("a-larger-fund", "a-wallet-at-stake")
    ]
    other, story = (run_scenario(scenario) for scenario in stories)
    engine = create_engine("native")
    engine.apply(other.commands)
    write_snapshot(tmp_path, take_engine_snapshot(engine))
    source = Source.of_commands(story.commands, len(story.records))
    survey = read_survey(source, lambda text: None)
    with pytest.raises(ReplayDiffers, match="the journal's snapshot has"):
        run(source, {CHANGED: read_policy({}, survey)}, survey, Reading(snapshots=tmp_path))


def test_a_snapshot_that_no_engine_reads_is_passed_over(tmp_path: Path) -> None:
    """As of a version that wrote its state in another way."""
    story = run_scenario(load_scenario(HERE / "a-larger-fund.yaml"))
    engine = create_engine("native")
    engine.apply(story.commands)
    snapshot = take_engine_snapshot(engine)
    state = b"????" + snapshot.state[4:]
    digest = state_digest(state)
    write_snapshot(tmp_path, Snapshot(snapshot.sequence, snapshot.timestamp_ns, digest, state))
    source = Source.of_commands(story.commands, len(story.records))
    survey = read_survey(source, lambda text: None)
    policies = {CHANGED: read_policy({}, survey)}
    ((outcome, _),) = run(source, policies, survey, Reading(snapshots=tmp_path))
    assert outcome.snapshots == 0


@pytest.mark.parametrize("seed", (301, 303))
def test_how_the_journal_is_cut_into_frames_changes_nothing(worlds: Any, seed: int) -> None:
    whole = worlds.fuzzed(seed, 900)
    (frame,) = whole.frames(lambda text: None)
    records = [frame.commands[at : at + size] for _, at, size in iter_starts(frame.commands)]
    times = [int.from_bytes(record[16:24], "little") for record in records]
    policy = {"symbols": {"*": {"leverage": 1, "margin_mode": "isolated"}}}
    outcomes = [
        worlds.outcome(worlds.of_records(records, times.__getitem__, size), policy)
        for size in (0, 1, 7)
    ]
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert outcomes[0].first_felt is not None


@pytest.mark.parametrize(
    "tables",
    (
        {"symbols": {"*": {"margin_mode": "isolated"}}},
        {"symbols": {"*": {"margin_mode": "cross"}}},
        {"symbols": {"*": {"leverage": 1}}},
        {"symbols": {"*": {"liquidation": {"mode": "full", "adl": "mark_priced"}}}},
    ),
    ids=("isolated", "cross", "leverage", "liquidation"),
)
def test_both_worlds_are_right_in_hostile_journals(worlds: Any, tables: dict[str, Any]) -> None:
    """The reference engine and the auditor read along in both."""
    outcome = worlds.outcome(worlds.fuzzed(310, 700), tables, verify=True)
    assert outcome.verified
    # What the engines refused is told of, to the command: of lists that are refused whole each order is.
    lists = sum(row.count for row in outcome.refusals if row.command == "place_orders")
    for name, put_in in (("own", 0), ("changed", outcome.put_in_refused)):
        refused = sum(
            row.count
            for row in outcome.refusals
            if row.command != "place_orders" and getattr(row, name)
        )
        rejected = getattr(outcome, name).tally.rejected - put_in
        assert refused <= rejected <= refused + lists


def test_no_money_appears_or_vanishes_in_either_world(worlds: Any) -> None:
    """What accounts made, what the funds made and the fees sum to nothing, to the atom.

    Where collateral was sold, what it brought then is not what it is worth now: such streams are passed over.
    """
    sums = []
    for seed in range(300, 320):
        source = worlds.fuzzed(seed, 700)
        survey = read_survey(source, lambda text: None)
        policy = read_policy({"symbols": {"*": {"leverage": 1}}}, survey)
        both = Worlds({CHANGED: policy}, survey, Reading())
        (frame,) = source.frames(lambda text: None)
        both.take(frame.commands)
        for side in (both.own, both.branches[0].side):
            world = side.finish()
            if side.follower.sold_collateral:
                continue
            made = sum(standing.result_atoms for standing in side.standings.values())
            funds = world.tally.fund_atoms - world.tally.fund_by_cause.get("deposit", 0)
            sums.append(made + funds + world.fees_atoms)
    assert len(sums) > 15
    assert not any(sums)


# ------------------------------------------------------------------------------------------ redone by hand


def test_a_larger_fund_takes_the_place_of_a_deleveraging(worlds: Any) -> None:
    """Long 10 at 100 on 100, mark 85, best bid 85: bankrupt at 90, so 5 a piece are missing, 50 in all.

    As it was: the fund is empty, nobody sells below 90; the short gives its 10 at 90: 10 x (100 - 90) = 100 where the
    mark says 150.  It then takes its 1,100 out.  With a fund of 50: sold at 85, the fund pays 900 - 850 = 50; the short
    keeps its 10 with a profit of 150, which it cannot take out; the bid is filled, so it cannot be cancelled.
    """
    outcome = worlds.outcome(worlds.story("a-larger-fund"), {"funds": {"shared": 50}}, verify=True)
    own, changed = outcome.own.tally, outcome.changed.tally
    assert (own.adl_fills, own.adl_atoms, own.adl_haircut_atoms) == (1, atoms(900), atoms(50))
    assert (own.adl_accounts, own.adl_counterparties) == (1, 1)
    assert (own.book_fills, own.fund_paid_atoms, own.fund_atoms) == (0, 0, 0)
    assert (changed.adl_fills, changed.adl_atoms, changed.adl_haircut_atoms) == (0, 0, 0)
    assert (changed.book_fills, changed.book_atoms) == (1, atoms(850))
    assert changed.fund_by_cause == {"deposit": atoms(50), "liquidation_deficit": -atoms(50)}
    assert (changed.fund_paid_atoms, changed.fund_end, changed.fund_lowest) == (
        *(atoms(50), {0: 0}, {0: 0}),
    )
    for tally in (own, changed):
        assert (tally.liquidations_cross, tally.liquidations_isolated) == (1, 0)
        assert (tally.ended_whole, tally.ended_in_part, tally.below_zero) == (1, 0, 1)
        assert tally.closed[BTC].positions == 1
    assert (outcome.put_in, outcome.rewritten, outcome.left_out) == (1, 0, 0)
    assert by_name(outcome) == {
        "short": (
            Standing(equity_atoms=0, result_atoms=atoms(100)),
            Standing(equity_atoms=atoms(1150), result_atoms=atoms(150)),
        )
    }
    assert (outcome.accounts.better, outcome.accounts.same) == (1, 2)
    assert [(r.command, r.own, r.changed, r.count) for r in outcome.refusals] == [
        ("cancel_order", "", "unknown_order", 1),
        ("withdraw", "", "insufficient_margin", 1),
    ]
    assert [example.sequence for example in outcome.examples] == [10, 11]
    assert outcome.first is not None
    assert outcome.first_felt is not None
    assert (outcome.first.sequence, outcome.first.command) == (9, "set_mark")
    assert "budget 0" in outcome.first.own
    assert "budget 50" in outcome.first.changed
    assert "role deleveraged" in outcome.first_felt.own
    assert "price 85" in outcome.first_felt.changed


def test_isolated_in_place_of_cross_saves_the_wallet(worlds: Any) -> None:
    """Long 50 at 100 with 1,000; the mark goes to 92 and then to 80.

    Cross: at 80 all 1,000 are gone.  Isolated: opening sets 50 x 100 x 10 % = 500 aside; at 92 that is 500 - 400 =
    100, below 5 % of 4,600 = 230, so d buys the 50 at 92, and 100 of the pool come back: 400 are lost.  d now holds
    what it would have taken its bid away from, and loses 50 x 12 = 600 at 80.
    """
    policy = {"symbols": {"BTC": {"margin_mode": "isolated", "margin_accounts": "1"}}}
    outcome = worlds.outcome(worlds.story("a-wallet-at-stake"), policy, verify=True)
    assert by_name(outcome) == {
        "a": (
            Standing(equity_atoms=0, result_atoms=-atoms(1000), liquidations=1),
            Standing(equity_atoms=atoms(600), result_atoms=-atoms(400), liquidations=1),
        ),
        "d": (
            Standing(equity_atoms=atoms(10_000), result_atoms=0),
            Standing(equity_atoms=atoms(9_400), result_atoms=-atoms(600)),
        ),
    }
    own, changed = outcome.own.tally, outcome.changed.tally
    assert (own.liquidations_cross, own.liquidations_isolated) == (1, 0)
    assert (changed.liquidations_cross, changed.liquidations_isolated) == (0, 1)
    assert (own.book_atoms, changed.book_atoms) == (50 * atoms(80), 50 * atoms(92))
    assert (own.below_zero, changed.below_zero) == (0, 0)
    assert outcome.put_in == 1


def test_cross_in_place_of_isolated_is_the_story_told_backwards(
    worlds: Any, tmp_path: Path
) -> None:
    """The same story with the account isolated by its own wish: under cross it is the first world again."""
    text = (HERE / "a-wallet-at-stake.yaml").read_text()
    wish = "- margin_mode: {account: a, symbol: BTC, mode: isolated}\n"
    path = tmp_path / "isolated.yaml"
    text = text.replace("- trade:", wish + "- trade:")
    path.write_text(
        text.replace(
            "client_order_id: 1}\n- mark", "client_order_id: 1, reject: unknown_order}\n- mark"
        )
    )
    outcome = worlds.outcome(Source.open(path), {"symbols": {"BTC": {"margin_mode": "cross"}}})
    assert {name: c.result_atoms for name, (_, c) in by_name(outcome).items()} == {
        "a": -atoms(1000),
        "d": 0,
    }
    assert (outcome.put_in, outcome.rewritten) == (0, 1)


def test_everybody_isolated_is_told_so_before_its_first_order_of_each_symbol_and_leg(
    worlds: Any,
) -> None:
    commands = [
        listing(),
        m.ListSymbol(**{**fields_of(listing()), "symbol": 2, "name": "ETH"}),
        m.SetMark(account=0, symbol=1, price_ticks=100),
        m.SetMark(account=0, symbol=2, price_ticks=100),
        *(m.Deposit(account=a, amount_atoms=atoms(1000)) for a in (1, 2)),
        m.SetPositionMode(account=2, position_mode=1),
        limit(1, Side.BUY, 1, 90),
        limit(1, Side.BUY, 1, 91),
        limit(1, Side.BUY, 1, 91, symbol=2),
        limit(2, Side.SELL, 1, 120, leg=2),
        limit(2, Side.BUY, 1, 80, leg=1),
        limit(
            2, Side.BUY, 1, 80
        ),  # no leg in hedge mode: refused in both worlds, and so is what is put in
        limit(2, Side.BUY, 1, 80),
    ]
    source = worlds.of(commands)
    heard: list[m.Command] = []

    def listen(world: str, commands: bytes, events: bytes) -> None:
        if world == CHANGED:
            heard.extend(decode(commands))

    outcome = worlds.outcome(source, {"symbols": {"*": {"margin_mode": "isolated"}}}, listen=listen)
    told = [(c.account, c.symbol, c.leg) for c in heard if isinstance(c, m.SetMarginMode)]
    assert told == [(1, 1, 0), (1, 2, 0), (2, 1, 2), (2, 1, 1), (2, 1, 0), (2, 1, 0)]
    assert all(
        c.margin_mode == MarginMode.ISOLATED for c in heard if isinstance(c, m.SetMarginMode)
    )
    assert outcome.put_in == len(told)
    assert outcome.refused(own=True, changed=True) == 2
    assert outcome.refused(own=False, changed=True) == 0


def test_warnings_may_come_earlier(worlds: Any) -> None:
    """Long 10 at 100 on 110; at 95 equity is 60 over 47.5, which is 79 %: warned of at 70 %, not yet at 80 %."""
    commands = [
        listing(),
        m.SetMarginWarnings(account=0),
        m.SetMark(account=0, symbol=BTC, price_ticks=100),
        *(m.Deposit(account=a, amount_atoms=atoms(110)) for a in (1, 2)),
        limit(2, Side.SELL, 10, 100),
        limit(1, Side.BUY, 10, 100),
        m.SetMark(account=0, symbol=BTC, price_ticks=95),
    ]
    outcome = worlds.outcome(worlds.of(commands), {"warnings": {"levels": ["0.7"]}})
    assert (outcome.own.tally.warnings, outcome.changed.tally.warnings) == (0, 1)
    assert (outcome.rewritten, outcome.put_in) == (1, 1)


# --------------------------------------------------------------------------------- orders find their counterparts


def listing(**other: Any) -> m.ListSymbol:
    values: dict[str, Any] = {
        "account": 0,
        "symbol": BTC,
        "name": "BTC",
        "tick_size_e12": 10**12,
        "lot_size_e12": 10**12,
        "atoms_per_tick_lot": 10**8,
        "initial_margin_ppm": 100_000,
        "brackets": ((0, 50_000, 0),),
    }
    return m.ListSymbol(**{**values, **other})


def fields_of(command: m.ListSymbol) -> dict[str, Any]:
    return {name: getattr(command, name) for name in command.__struct_fields__}


def decode(commands: bytes) -> list[m.Command]:
    return decode_commands(commands)


def limit(account: int, side: Side, lots: int, ticks: int, **other: Any) -> m.PlaceOrder:
    values: dict[str, Any] = {
        "account": account,
        "symbol": BTC,
        "side": int(side),
        "order_type": int(OrderType.LIMIT),
        "time_in_force": int(TimeInForce.GTC),
        "price_ticks": ticks,
        "qty_lots": lots,
    }
    return m.PlaceOrder(**{**values, **other})


def market(*commands: m.Command) -> list[m.Command]:
    """A market at 100 with 1,000 for accounts 1 and 2, and then these commands."""
    return [
        listing(),
        m.SetMark(account=0, symbol=BTC, price_ticks=100),
        m.Deposit(account=1, amount_atoms=atoms(1000)),
        m.Deposit(account=2, amount_atoms=atoms(1000)),
        *commands,
    ]


#: With leverage 1, 20 at 90 need 1,800 of the 1,000 that account 1 has: refused.
NO_LEVERAGE = {"symbols": {"BTC": {"leverage": 1}}}


def orders_left(
    worlds: Any, commands: list[m.Command], tables: Any = NO_LEVERAGE
) -> tuple[Any, list[int], Outcome]:
    """Prices of account 1's orders at the end, as it was and changed."""
    batches: dict[str, bytes] = {OWN: b"", CHANGED: b""}

    def listen(world: str, commands: bytes, events: bytes) -> None:
        batches[world] += commands

    outcome = worlds.outcome(worlds.of(commands), tables, listen=listen)
    left = []
    for world in (OWN, CHANGED):
        engine = create_engine("native")
        engine.apply(batches[world])
        left.append(sorted(order.price_ticks for order in engine.open_orders(1)))
    return left[0], left[1], outcome


def test_a_cancel_by_number_finds_the_order_that_was_meant(worlds: Any) -> None:
    """The first order is refused without leverage, so the second is number 1 there, and 2 as it was."""
    commands = market(
        limit(1, Side.BUY, 20, 90),
        limit(1, Side.BUY, 5, 91),
        limit(1, Side.BUY, 5, 92),
        m.CancelOrder(account=1, order_id=2),
    )
    own, changed, outcome = orders_left(worlds, commands)
    assert (own, changed) == ([90, 92], [92])
    assert (outcome.orders.only_own, outcome.orders.named_nothing) == (1, 0)
    assert [(r.command, r.changed) for r in outcome.refusals] == [
        ("place_order", "insufficient_margin")
    ]


def test_a_cancel_of_an_order_that_was_refused_hits_no_other(worlds: Any) -> None:
    commands = market(
        limit(1, Side.BUY, 20, 90),
        limit(1, Side.BUY, 5, 91),
        m.CancelOrder(account=1, order_id=1),
    )
    own, changed, outcome = orders_left(worlds, commands)
    assert (own, changed) == ([91], [91])
    assert outcome.orders.named_nothing == 1
    assert {(r.command, r.changed) for r in outcome.refusals} == {
        ("place_order", "insufficient_margin"),
        ("cancel_order", "unknown_order"),
    }


def test_a_number_that_was_never_given_hits_no_other(worlds: Any) -> None:
    """An order that only the changed world takes has number 2 there; as it was nobody had 2 yet."""
    commands = market(
        limit(1, Side.BUY, 5, 91),
        limit(1, Side.BUY, 200, 90),  # needs 1,800 at a tenth
        m.CancelOrder(account=1, order_id=2),
    )
    own, changed, outcome = orders_left(worlds, commands, {"symbols": {"BTC": {"leverage": 20}}})
    assert (own, changed) == ([91], [90, 91])
    assert outcome.orders.only_changed == 1
    assert outcome.refused(own=True, changed=True) == 1


def test_an_amend_by_number_finds_the_order_that_was_meant(worlds: Any) -> None:
    commands = market(
        limit(1, Side.BUY, 20, 90),
        limit(1, Side.BUY, 5, 91),
        m.AmendOrder(account=1, order_id=2, price_ticks=80),
    )
    own, changed, _ = orders_left(worlds, commands)
    assert (own, changed) == ([80, 90], [80])


def test_a_client_order_id_means_the_last_order_that_was_taken_under_it(worlds: Any) -> None:
    """As it was the first order under 7 is filled and the id used again, long after it was remembered.

    Without leverage the seller is refused, so the first order rests on, and the second under 7 is a duplicate.  The
    cancel meant the second: the first stays.
    """
    many = [
        command
        for number in range(100, 300)
        for command in (
            limit(1, Side.BUY, 1, 50, client_order_id=number),
            m.CancelOrder(account=1, client_order_id=number),
        )
    ]
    commands = market(
        limit(1, Side.BUY, 1, 91, client_order_id=7),
        limit(2, Side.SELL, 40, 91, time_in_force=int(TimeInForce.IOC)),
        *many,
        limit(1, Side.BUY, 1, 88, client_order_id=7),
        m.CancelOrder(account=1, client_order_id=7),
    )
    own, changed, outcome = orders_left(worlds, commands)
    assert (own, changed) == ([], [91])
    assert outcome.orders.named_nothing == 1


def test_an_order_that_only_the_changed_world_took_is_cancelled_by_its_client_order_id(
    worlds: Any,
) -> None:
    commands = market(
        limit(1, Side.BUY, 200, 90, client_order_id=7),
        m.CancelOrder(account=1, client_order_id=7),
    )
    own, changed, outcome = orders_left(worlds, commands, {"symbols": {"BTC": {"leverage": 20}}})
    assert (own, changed) == ([], [])
    assert outcome.refused(own=True, changed=False) == 2


def test_orders_of_a_list_are_paired_entry_by_entry(worlds: Any) -> None:
    def entry(lots: int, ticks: int) -> m.OrderEntry:
        return m.OrderEntry(symbol=BTC, side=int(Side.BUY), qty_lots=lots, price_ticks=ticks)

    commands = market(
        m.PlaceOrders(account=1, orders=(entry(20, 90), entry(2, 91), entry(2, 92))),
        m.CancelOrder(account=1, order_id=3),
    )
    own, changed, outcome = orders_left(worlds, commands)
    assert (own, changed) == ([90, 91], [91])
    assert [(r.command, r.own, r.changed, r.count) for r in outcome.refusals] == [
        ("place_orders", "", "insufficient_margin", 1)
    ]


class Ledger:
    """Who placed what in one world, read from its events alone: the oracle of what a name means."""

    def __init__(self) -> None:
        self.placed: dict[int, tuple[int, int]] = {}  # order id -> command and entry
        self.last: dict[tuple[int, int], int] = {}  # account and client order id -> order id
        self.reached: dict[
            int, int
        ] = {}  # sequence of a cancel or amend that was taken -> order id

    def feed(self, commands: list[m.Command], events: list[m.Event]) -> None:
        naming = {c.sequence: c for c in commands if isinstance(c, m.CancelOrder | m.AmendOrder)}
        for event in events:
            if isinstance(event, m.Accepted) and event.command == m.PlaceOrder.number:
                self._place(event.account, event.sequence, 0, event.order_id, event.client_order_id)
            elif isinstance(event, m.EntryAccepted):
                ids = event.order_id, event.client_order_id
                self._place(event.account, event.sequence, event.index, *ids)
            elif isinstance(event, m.Accepted) and event.sequence in naming:
                self.reached[event.sequence] = event.order_id

    def _place(self, account: int, sequence: int, index: int, order_id: int, client: int) -> None:
        self.placed.setdefault(order_id, (sequence, index))
        if client:
            self.last[account, client] = order_id


@pytest.mark.parametrize("seed", range(320, 330))
def test_a_name_never_reaches_an_order_that_another_command_placed(worlds: Any, seed: int) -> None:
    """Two books of who placed what, kept from events alone, say what every cancel and amend should have meant."""
    source = worlds.fuzzed(seed, 1200)
    own, changed = Ledger(), Ledger()
    (frame,) = source.frames(lambda text: None)
    meant: dict[int, tuple[int, int] | None] = {}
    engine = create_engine("native")
    for _, at, size in iter_starts(frame.commands):
        record = frame.commands[at : at + size]
        events = decode_events(engine.apply(record))
        known = decode_known(record)
        own.feed(known, events)
        for command in known:
            if not isinstance(command, m.CancelOrder | m.AmendOrder):
                continue
            named = command.order_id or own.last.get((command.account, command.client_order_id), 0)
            meant[command.sequence] = own.placed.get(named)
            if not command.order_id and not named:
                del meant[command.sequence]  # whatever has the id

    def listen(world: str, commands: bytes, events: bytes) -> None:
        if world == CHANGED:
            records = [commands[at : at + size] for _, at, size in iter_starts(commands)]
            known = [command for record in records for command in decode_known(record)]
            changed.feed(known, decode_events(events))

    outcome = worlds.outcome(source, {"symbols": {"*": {"leverage": 1}}}, listen=listen)
    assert outcome.put_in == outcome.left_out == 0  # so both count commands alike
    assert outcome.orders.only_own
    reached = {s: changed.placed[order_id] for s, order_id in changed.reached.items()}
    wrong = {s: at for s, at in reached.items() if s in meant and meant[s] != at}
    assert not wrong
    # And what was meant is reached, where it still lives: as often as not, for a stream of chance.
    assert sum(s in reached for s in own.reached) > 5


def decode_known(record: bytes) -> list[m.Command]:
    """The command of a record; none where it is of no known form, and so refused in any world."""
    try:
        return decode(record)
    except ValueError:
        return []


def test_what_both_worlds_are_done_with_is_forgotten(
    worlds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a look at the living after every command the outcome is the same."""
    source = worlds.fuzzed(304, 600)
    tables = {"symbols": {"*": {"leverage": 1}}}
    wanted = worlds.outcome(source, tables)
    monkeypatch.setattr(counterparts, "FIRST_LIMIT", 1)
    (frame,) = source.frames(lambda text: None)
    records = [frame.commands[at : at + size] for _, at, size in iter_starts(frame.commands)]
    times = [int.from_bytes(record[16:24], "little") for record in records]
    found = worlds.outcome(worlds.of_records(records, times.__getitem__, 5), tables)
    assert found.changed == wanted.changed
    assert found.refusals == wanted.refusals


def test_a_repeated_client_order_id_keeps_its_counterpart() -> None:
    """Sent again, an id gives the first order again; that must not become another's counterpart."""
    pairs = counterparts.Counterparts()
    pairs.pair(1, {0: (4, 7)}, {0: (3, 7)})
    pairs.pair(1, {0: (4, 7)}, {0: (9, 7)})
    record = counterparts.naming(bytes(40), 4)
    assert counterparts.NAMED.unpack_from(pairs.translate(record, 1), 24)[0] == 3


# -------------------------------------------------------------------------------------------- the command line


def test_text_json_picture_and_a_journal_that_can_be_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "fund.toml"
    policy.write_text("[funds]\nshared = 50\n")
    story = str(HERE / "a-larger-fund.yaml")
    kept = tmp_path / "kept"
    picture = tmp_path / "two.png"
    options = ["--with", str(policy), "--verify", "--plot", str(picture), "--keep", str(kept)]
    assert main(["replay", story, *options]) == OK
    text = capsys.readouterr().out
    for line in (
        "11 commands, as it was and under fund",
        "  fund shared  paid in first  nothing -> 50",
        "  closed against the other side                   900                  0               -900",
        "refused: 0 as it was alone, 2 in the changed world alone, 0 in both",
        "  command 10 (withdraw) of short: taken -> insufficient_margin",
        "  short                                     100                150                +50  0 -> 0",
        "verified: in every world both engines gave the same events, every invariant holds",
    ):
        assert line in text.splitlines()
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["replay", str(kept), "--json"]) == OK
    replayed = json.loads(capsys.readouterr().out)
    assert main(["replay", story, "--with", str(policy), "--json"]) == OK
    told = json.loads(capsys.readouterr().out)
    assert told["changed"]["digest"] == replayed["digest"]
    assert told["changed"]["sequence"] == replayed["sequence"] == 12
    assert told["own"]["tally"]["adl_atoms"] == atoms(900)
    assert main(["explain", str(kept), "--list"]) == OK
    assert main(["replay", story, "--with", str(policy), "--keep", str(kept)]) == ERROR
    assert "there is a journal already" in capsys.readouterr().err


def test_several_policies_are_each_what_they_are_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    story = str(HERE / "a-larger-fund.yaml")
    paths = {name: tmp_path / f"{name}.toml" for name in ("small", "large", "nothing")}
    paths["small"].write_text("[funds]\nshared = 20\n")
    paths["large"].write_text("[funds]\nshared = 50\n")
    paths["nothing"].write_text("")
    alone = []
    for path in paths.values():
        assert main(["replay", story, "--with", str(path), "--json"]) == OK
        alone.append(capsys.readouterr().out)
    all_of_them = [option for path in paths.values() for option in ("--with", str(path))]
    assert main(["replay", story, *all_of_them, "--json"]) == OK
    assert capsys.readouterr().out == "".join(alone)
    picture, kept = tmp_path / "three.svg", tmp_path / "kept"
    options = ["--plot", str(picture), "--keep", str(kept), "--verify"]
    assert main(["replay", story, *all_of_them, *options]) == OK
    text = capsys.readouterr().out.splitlines()
    assert text[0] == "11 commands, as it was and under 3 other policies"
    deleveraged = next(line.split() for line in text if "closed against the other side" in line)
    # 20 pay for 4 of the 10 that are sold at 85, 5 a piece; the short gives the other 6 at 90.
    assert deleveraged[-4:] == ["900", "540", "0", "900"]
    assert [line for line in text if line.startswith("== ")] == [
        *("== small", "== large", "== nothing"),
    ]
    assert "<svg" in picture.read_text()[:1000]
    for path, line in zip(paths, alone, strict=True):
        assert main(["replay", str(kept / path), "--json"]) == OK
        assert (
            json.loads(capsys.readouterr().out)["digest"] == json.loads(line)["changed"]["digest"]
        )


def test_a_program_asks_for_a_row_of_sizes() -> None:
    """How much of the 900 that are deleveraged without a fund is left with more and more of the 50 that are missing."""
    sizes = {str(size): {"funds": {"shared": size}} for size in (0, 10, 25, 49, 50, 1000)}
    found = compare_policies(HERE / "a-larger-fund.yaml", sizes)
    # Each 5 pay for one lot sold at 85; the others are given at 90.  Of 49 the last 4 go into the pool of the last lot,
    # which is then given at 86.
    assert [outcome.changed.tally.adl_atoms for outcome in found.values()] == [
        atoms(value) for value in (900, 720, 450, 86, 0, 0)
    ]
    assert {outcome.own.tally.adl_atoms for outcome in found.values()} == {atoms(900)}
    with pytest.raises(PolicyError, match=r"policy odd: funds.shared is -1"):
        compare_policies(HERE / "a-larger-fund.yaml", {"odd": {"funds": {"shared": -1}}})


def test_a_null_policy_is_said_to_change_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "nothing.toml"
    policy.write_text("")
    assert main(["replay", str(HERE / "a-larger-fund.yaml"), "--with", str(policy)]) == OK
    text = capsys.readouterr().out
    assert "  nothing is changed" in text.splitlines()
    assert "the two worlds are the same: every event, and the state at the end" in text


@pytest.mark.parametrize(
    ("options", "wanted"),
    (
        (["--plot", "x.png"], "--plot and --keep want --with"),
        (["--with", "nowhere.toml"], "cannot be read"),
        (["--with", "POLICY", "--plot", "x.gif"], "ends in .png or .svg"),
        (["--with", "POLICY", "--top", "-1"], "wanted 0 or more"),
        (["--with", "POLICY", "--with", "POLICY"], "policy.toml has the same name"),
    ),
)
def test_options_that_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], wanted: str
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("")
    given = [str(policy) if option == "POLICY" else option for option in options]
    assert main(["replay", str(HERE / "a-larger-fund.yaml"), *given]) == ERROR
    assert wanted in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted((HERE.parents[1] / "examples" / "policies").glob("*.toml")))
def test_example_policies_are_for_the_journal_of_the_demonstration(path: Path, worlds: Any) -> None:
    """They name what the default symbol has; the numbers of a run are in docs/counterfactuals.md."""
    from exchange.config import load_config
    from exchange.counterfactual.policy import load_policy_file
    from exchange.sim.market import demo_policy

    policy = demo_policy(load_config().symbols[0])
    paid = m.DepositFund(account=0, fund=0, amount_atoms=atoms(120_000))
    source = worlds.of([policy.to_command(), paid])
    survey = read_survey(source, lambda text: None)
    assert load_policy_file(path, survey, {}).changes


# ------------------------------------------------------------------------------------------------ the curves


def test_a_curve_stays_short_and_ends_where_it_ended() -> None:
    curve = Curve()
    for time_ns in range(100_000):
        curve.add(time_ns, time_ns * 3)
    points = curve.until(200_000)
    assert len(points) <= MOST_POINTS + 1
    assert points[0] == (0, 0)
    assert points[-1] == (200_000, 99_999 * 3)
    assert points == sorted(points)


def test_a_short_curve_keeps_every_point() -> None:
    curve = Curve()
    for time_ns, value in ((5, 1), (7, 2), (7, 3)):
        curve.add(time_ns, value)
    assert curve.until(9) == [(5, 1), (7, 3), (9, 3)]


def test_decimal_numbers_of_a_factor_round_down() -> None:
    from exchange.counterfactual.policy import FundChange

    assert FundChange(times=Decimal("0.1")).amount(19, is_first=True) == 1
