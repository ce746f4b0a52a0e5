"""What a scenario expects of insurance funds: what they might have paid, and what they did."""

from __future__ import annotations

from typing import Any

from exchange.protocol.messages import (
    DeficitCharged,
    DeficitShared,
    FundChanged,
    LiquidationShrunk,
    LiquidationSized,
)
from exchange.protocol.schema import BudgetLimit, FundCause
from exchange.sim.scenario_desk import Desk
from exchange.units import from_atoms


def budgets(desk: Desk) -> Any:
    """[account, symbol, what the funds might have paid, what bounds that] wherever a liquidation asked (FUND-01)."""
    return [
        [
            desk.names.account_name(event.account),
            desk.names.symbol_name(event.symbol),
            from_atoms(event.budget_atoms),
            BudgetLimit(event.budget_by).name.lower(),
        ]
        for event in desk.recent
        if isinstance(event, LiquidationSized | LiquidationShrunk | DeficitShared)
    ]


def charged(desk: Desk) -> Any:
    """[account, symbol, what of the account's deficit is charged to it] as liquidations are taken up (FUND-01)."""
    return [
        [
            desk.names.account_name(event.account),
            desk.names.symbol_name(event.symbol),
            from_atoms(event.charged_atoms),
        ]
        for event in desk.recent
        if isinstance(event, DeficitCharged)
    ]


def fund_changes(desk: Desk) -> Any:
    """[fund, symbol, why, change] of each change of a fund other than a deposit."""
    return [
        [
            desk.names.fund_name(event.fund),
            desk.names.symbol_name(event.symbol),
            FundCause(event.cause).name.lower(),
            from_atoms(event.change_atoms),
        ]
        for event in desk.recent
        if isinstance(event, FundChanged) and event.cause != FundCause.DEPOSIT
    ]
