"""A situation as an exchange: an engine in which one account holds just that, and nobody else offers anything.

The positions are written into a canonical state as they are, because no sequence of orders would lead to any wallet and
any average entry; from there on the engine does everything.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from exchange.calculator.situation import Held, Offered, Situation
from exchange.errors import ConfigError, Rejected
from exchange.protocol import messages as m
from exchange.protocol.messages import Command
from exchange.protocol.records import decode_events, encode_command, stamp
from exchange.protocol.schema import Leg, OrderFlag, OrderType, Side, TimeInForce
from exchange.reference import canonical, ledger
from exchange.reference.engine import ReferenceEngine
from exchange.reference.state import ISOLATED, State
from exchange.risk import SymbolPolicy
from exchange.units import from_atoms, leverage_to_ppm, to_atoms

ACCOUNT, WORLD = 1, 2
WORLD_WALLET_ATOMS = 1 << 60
ATOM = Decimal("1e-8")


def engine_of(situation: Situation) -> ReferenceEngine:
    """The engine; ConfigError where the situation cannot be."""
    listed = ReferenceEngine()
    for policy in situation.symbols:
        carry_out(listed, policy.to_command())
        if policy.name in situation.marks:
            carry_out(listed, mark_command(policy, situation.marks[policy.name]))
    state = canonical.restore(listed.snapshot())
    state.account(WORLD).cross.balance_atoms = WORLD_WALLET_ATOMS
    state.account(ACCOUNT).cross.balance_atoms = to_atoms(situation.wallet)
    for held in situation.positions:
        hold(state, held, situation.policy(held.symbol))
    engine = ReferenceEngine()
    engine.restore(canonical.snapshot(state), 0, 0)
    return engine


def carry_out(engine: ReferenceEngine, command: Command) -> None:
    """A command of the making; its refusal is a mistake in what was given."""
    record = stamp(encode_command(command), engine.sequence + 1, 0)
    (first, *_) = decode_events(engine.apply(record))
    if isinstance(first, m.Rejected):
        raise ConfigError(f"{type(command).__name__}: {Rejected.of(first.reason, 'it cannot be')}")


def mark_command(policy: SymbolPolicy, price: Decimal) -> m.SetMark:
    return m.SetMark(symbol=policy.symbol, price_ticks=policy.units.price_to_ticks(price))


def hold(state: State, held: Held, policy: SymbolPolicy) -> None:
    """Gives the account the position, and the other side of it to the world."""
    position = state.position(ACCOUNT, policy.symbol, Leg.NET)
    lots = policy.units.qty_to_lots(held.size) * (1 if held.side == "long" else -1)
    value = entry_value_atoms(held)
    if held.leverage is not None:
        position.own_rate_ppm = leverage_to_ppm(held.leverage)
        if position.own_rate_ppm < policy.bracket_rows()[0][2]:
            most = policy.bracket_rows()[0][2]
            raise ConfigError(
                f"{held.symbol}: leverage {held.leverage} is a rate of {position.own_rate_ppm} ppm; "
                f"wanted at least the first bracket's, {most}"
            )
    position.mode = ISOLATED if held.mode == "isolated" else position.mode
    state.move_position(position, lots, value)
    other = state.position(WORLD, policy.symbol, Leg.NET)
    state.move_position(other, other.lots - lots, other.entry_value_atoms - value)
    if held.mode == "isolated":
        set_aside(state, held, policy, abs(value))


def entry_value_atoms(held: Held) -> int:
    """E (ACCT-02) of an average entry; what is less than an atom is rounded up, as in ACCT-03."""
    value = held.size * held.entry * (1 if held.side == "long" else -1)
    return int((value / ATOM).to_integral_value(ROUND_CEILING))


def set_aside(state: State, held: Held, policy: SymbolPolicy, value_atoms: int) -> None:
    """ACCT-05: the margin of an isolated position comes out of the wallet: as given, or as opening it asks."""
    position = state.position(ACCOUNT, policy.symbol, Leg.NET)
    wallet, pool = position.owner.cross, position.isolated
    before = wallet.balance_atoms
    if held.margin is None:
        wallet.balance_atoms = WORLD_WALLET_ATOMS  # to learn what it asks, whatever there is
        ledger.book_isolated_opening(position, value_atoms)
    else:
        pool.balance_atoms = to_atoms(held.margin)
    wallet.balance_atoms = before - pool.balance_atoms
    if wallet.balance_atoms < 0:
        raise ConfigError(
            f"{held.symbol}: an isolated margin of {from_atoms(pool.balance_atoms):f} comes out of the wallet, "
            f"which has {from_atoms(before):f}; give a larger wallet, or a smaller margin"
        )


def order_command(offered: Offered, policy: SymbolPolicy) -> m.PlaceOrder:
    """The order as the account would send it."""
    is_market = offered.price is None
    return m.PlaceOrder(
        symbol=policy.symbol,
        side=Side.BUY if offered.side == "buy" else Side.SELL,
        order_type=OrderType.MARKET if is_market else OrderType.LIMIT,
        time_in_force=TimeInForce.IOC if is_market else TimeInForce.GTC,
        flags=OrderFlag.REDUCE_ONLY if offered.reduce_only else 0,
        price_ticks=0 if offered.price is None else policy.units.price_to_ticks(offered.price),
        qty_lots=policy.units.qty_to_lots(offered.size),
    )
