"""Position modes and legs as the events tell them (ACCT-08)."""

from __future__ import annotations

from exchange.audit.context import Context
from exchange.audit.state import Account, Holding
from exchange.protocol.schema import Leg, OrderFlag, PositionMode, Side


class LegAudit:
    """No leg without its mode, none turned around, and no change of mode with something open."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.state = context.state

    def on_position_mode(self, account: int, mode: int) -> None:
        owner = self.state.account(account)
        if mode != owner.hedge and has_something_open(owner):
            self.context.report(
                "ACCT-08", f"account {account} changes its position mode with something open"
            )
        owner.hedge = mode == PositionMode.HEDGE

    def check_leg(self, holding: Holding) -> None:
        """What is traded, ordered or set is of a leg that the account has."""
        if (holding.leg != Leg.NET) != holding.owner.hedge:
            self.context.report("ACCT-08", f"{holding.place} does not fit the position mode")

    def check_order(self, holding: Holding, side: int, flags: int) -> None:
        """An order against its leg says that it only reduces."""
        self.check_leg(holding)
        closes = (holding.leg, side) in ((Leg.LONG, Side.SELL), (Leg.SHORT, Side.BUY))
        if closes and not flags & OrderFlag.REDUCE_ONLY:
            self.context.report("ACCT-08", f"an order against {holding.place} may open")

    def check_position(self, holding: Holding) -> None:
        """A long leg is never short, a short one never long."""
        self.check_leg(holding)
        if (holding.leg == Leg.LONG and holding.lots < 0) or (
            holding.leg == Leg.SHORT and holding.lots > 0
        ):
            self.context.report("ACCT-08", f"{holding.place} is at {holding.lots} lots")


def has_something_open(owner: Account) -> bool:
    return any(h.lots or h.orders or h.waiting for h in owner.holdings.values())
