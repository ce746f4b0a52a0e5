"""Pools live as the table of their life says, and the picture shows all of it."""

from __future__ import annotations

from typing import Any

from exchange.protocol import messages as m
from exchange.protocol import pool_page
from exchange.protocol.pool_life import BY_EVENT, CHANGES, STAGE_PROSE, PoolLives, Stage


def started(symbol: int = 0, account: int = 7) -> m.Event:
    return m.LiquidationStarted(account=account, symbol=symbol, equity_atoms=1, maintenance_atoms=2)


def ended(symbol: int = 0, account: int = 7) -> m.Event:
    return m.LiquidationEnded(account=account, symbol=symbol, equity_atoms=2, maintenance_atoms=2)


def filled_in(event: type[m.Event], **fields: Any) -> m.Event:
    """An event of account 7 whose other fields are 0."""
    zeros = dict.fromkeys(event.__struct_fields__, 0)
    return event(**{**zeros, "account": 7, **fields})


def uncovered(shortfall: int) -> m.Event:
    return filled_in(m.DeficitUncovered, symbol=1, shortfall_atoms=shortfall)


SHARED = filled_in(m.DeficitShared, symbol=1)
TURN = filled_in(m.LiquidationPosition, symbol=1, pool_symbol=0)


def test_a_liquidation_from_beginning_to_end() -> None:
    lives = PoolLives()
    assert lives.read([started(), TURN, filled_in(m.LiquidationSized, symbol=1)]) == []
    assert lives.stages == {(7, 0, 0): Stage.LIQUIDATED}
    assert lives.read([SHARED, uncovered(3)]) == []
    assert lives.stages == {(7, 0, 0): Stage.UNCOVERED}
    assert lives.read([TURN, SHARED, uncovered(0), ended()]) == []
    assert lives.stages == {}


def test_a_fund_that_paid_it_all_leaves_nothing_uncovered() -> None:
    lives = PoolLives()
    assert lives.read([started(), TURN, SHARED, uncovered(0)]) == []
    assert lives.stages == {(7, 0, 0): Stage.SHORT}


def test_a_pool_is_its_account_and_its_symbol() -> None:
    lives = PoolLives()
    assert lives.read([started(symbol=2), started(), ended(symbol=2)]) == []
    assert lives.stages == {(7, 0, 0): Stage.LIQUIDATED}


def test_what_the_table_does_not_have_is_told() -> None:
    assert PoolLives().read([ended()]) == [
        "pool (7, 0, 0) is sound: liquidation_ended has no place there"
    ]
    lives = PoolLives()
    assert lives.read([started(), started()]) == [
        "pool (7, 0, 0) is liquidated: liquidation_started has no place there"
    ]
    (wrong,) = lives.read([filled_in(m.DeficitShared, account=8, symbol=1)])
    assert wrong.endswith("is not of account 7, whose turn it is")


def test_the_picture_has_a_place_for_every_stage_and_a_way_for_every_change() -> None:
    diagram = pool_page.diagram()
    picture = diagram.render()
    assert pool_page.PLACES.keys() == STAGE_PROSE.keys() == set(Stage)
    assert pool_page.ARROWS.keys() == set(diagram.ways())
    assert all(f">{stage}</text>" in picture for stage in Stage)
    assert len(BY_EVENT) == len(CHANGES)
