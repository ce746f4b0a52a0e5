"""ACCT-08: hedge mode, in which an account has a long and a short position on a symbol, each a leg of its own."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from exchange.protocol.messages import OrderEntry, PlaceOrder
from exchange.protocol.schema import Leg, PositionMode
from exchange.reference.order import BUY, REDUCE_ONLY, SELL
from exchange.reference.state import State

Given = TypeVar("Given", PlaceOrder, OrderEntry)

LEGS = {PositionMode.ONE_WAY: (Leg.NET,), PositionMode.HEDGE: (Leg.LONG, Leg.SHORT)}
CLOSING = ((Leg.LONG, SELL), (Leg.SHORT, BUY))


def as_it_counts(terms: Given) -> Given:
    """ACCT-08: an order against its leg is reduce-only, whether it says so or not."""
    if (terms.leg, terms.side) not in CLOSING:
        return terms
    return msgspec.structs.replace(terms, flags=terms.flags | REDUCE_ONLY)


def fits_mode(state: State, account: int, leg: int) -> bool:
    """ACCT-08: whether the account has this leg in its position mode."""
    return leg in LEGS[state.account(account).position_mode]
