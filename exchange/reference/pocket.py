"""A pocket venue: a copy of the exchange in which one account can act and nobody else can fail (WHAT-IF).

Everybody else becomes a *stand-in* that is good for what it has offered: cross margin, a wallet that nothing empties, a
profit that deleveraging never uses up, no orders that wait, and no liquidation.  The native engine copies only what the
account could meet and comes to the same answers; here the whole venue is copied, which is slow and plain.
"""

from __future__ import annotations

from exchange.reference import canonical
from exchange.reference.adl import STAND_IN_ATOMS
from exchange.reference.state import CROSS, Account, State


def pocket_state(state: State, account: int, *, liquidity: bool) -> State:
    """The venue as the account meets it; without liquidity nobody else has an order in any book."""
    copy = canonical.restore(canonical.snapshot(state))
    for symbol in copy.symbols.values():
        symbol.funding = None  # nobody knows what the premium will be
    for other in list(copy.accounts.values()):
        if other.number != account:
            make_stand_in(copy, other)
            if not liquidity:
                take_orders_out(copy, other)
    return copy


def make_stand_in(state: State, account: Account) -> None:
    """Good for everything: what rests stays, what waits goes."""
    account.stands_in = True
    account.cross.balance_atoms = STAND_IN_ATOMS
    account.cross.liquidating = False
    for position in account.positions.values():
        position.mode, position.own_rate_ppm = CROSS, 0
        position.isolated.balance_atoms = 0
        position.isolated.liquidating = False
        for order in list(position.waiting.values()):
            state.unwait(order)


def take_orders_out(state: State, account: Account) -> None:
    for position in account.positions.values():
        for order in list(position.orders):
            state.unrest(order)
