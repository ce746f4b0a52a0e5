"""MARGIN-11: caps on what an account, and what all together may hold of a symbol.  Pure.

Resting orders count as if they opened, so what is counted only falls by fills, and nothing that was admitted passes a
cap by trading.
"""

from __future__ import annotations

from enum import Enum

from exchange.protocol.schema import CancelReason, RejectReason
from exchange.reference.margin import Trial, other_lots
from exchange.reference.order import Order
from exchange.reference.prices import effective_terms, would_trade
from exchange.reference.state import Position, State


class Cap(Enum):
    """A cap that an order would pass: why it is rejected, or, where it goes off, cancelled."""

    POSITION = (RejectReason.POSITION_LIMIT, CancelReason.POSITION_LIMIT)
    OPEN_INTEREST = (RejectReason.OPEN_INTEREST_LIMIT, CancelReason.OPEN_INTEREST_LIMIT)

    @property
    def reject(self) -> RejectReason:
        return self.value[0]

    @property
    def cancel(self) -> CancelReason:
        return self.value[1]


def is_exempt(trial: Trial) -> bool:
    """MARGIN-11: what only reduces; and an amend that asks for no more lots, and only waits."""
    if trial.reduce_only:
        return True
    removed, symbol = trial.removed, trial.position.symbol
    only_waits = not would_trade(symbol, trial.side, trial.price_ticks)
    if removed is not None and trial.lots <= removed.open_lots and only_waits:
        return True
    reducible = trial.position.reducible_lots(trial.side)
    return other_lots(trial) + trial.lots <= reducible


def cap_passed(trial: Trial) -> Cap | None:
    """MARGIN-11: the cap that an order would pass, the position's before that of open interest."""
    position, symbol = trial.position, trial.position.symbol
    limits = symbol.limits
    if is_exempt(trial):
        return None
    held = 0 if position.reducible_lots(trial.side) else abs(position.lots)
    own = held + other_lots(trial) + trial.lots
    if 0 <= limits.position_atoms < symbol.notional_atoms(own):
        return Cap.POSITION
    if limits.open_interest_atoms >= 0:
        resting = sum(
            order.open_lots
            for order in symbol.book.unsorted()
            if order.side == trial.side and not order.reduce_only and order is not trial.removed
        )
        lots = symbol.open_interest_lots() + resting + trial.lots
        if symbol.notional_atoms(lots) > limits.open_interest_atoms:
            return Cap.OPEN_INTEREST
    return None


def cap_of(state: State, order: Order) -> Cap | None:
    """MARGIN-11 of an order that is about to act; one with nothing to trade is not asked (MATCH-02)."""
    limit, lots = effective_terms(state, order)
    if not lots:
        return None
    return cap_passed(Trial(state.position_of(order), order.side, lots, limit, order.reduce_only))


def interest_lots(buyer: Position, seller: Position, lots: int) -> int:
    """MARGIN-11, in an auction: how many of these lots may trade without raising open interest above its cap."""
    symbol = buyer.symbol
    cap = symbol.limits.open_interest_atoms
    if cap < 0:
        return lots
    room = max(0, cap // symbol.notional_atoms(1) - symbol.open_interest_lots())
    closing = max(0, -buyer.lots) + max(0, seller.lots)
    return min(lots, closing + room)
