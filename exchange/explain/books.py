"""Every wallet, position, mark and fund as the events tell them: what the sums of an explanation are proven against.

An event says what it left behind: wallet, isolated margin, position, entry value, a fund's balance.  These books keep
that and nothing else, so what they say of a change is independent of the amounts that the same events say were paid.
What collateral assets count for is no balance: the engine's own figures of a pool say it (`follow`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from exchange.audit.requirement import maintenance_of
from exchange.audit.state import Symbol
from exchange.peek import EVENT_START
from exchange.protocol.messages import Event, ListSymbol
from exchange.protocol.records import EVENT_CODECS, decode_commands
from exchange.protocol.schema import COMMAND_BY_NAME, EVENT_BY_NAME, MarginMode

LIST_SYMBOL = COMMAND_BY_NAME["list_symbol"].number


class Pool(msgspec.Struct, frozen=True, order=True):
    """A collateral pool: an account's cross pool, or what backs one isolated position."""

    account: int
    symbol: int = 0  # of the isolated position; 0: the cross pool
    leg: int = 0


class Holding(msgspec.Struct):
    """A position of an account on a symbol; in hedge mode, one of its legs."""

    symbol: int
    leg: int
    lots: int = 0
    entry_atoms: int = 0
    margin_atoms: int = 0
    isolated: bool = False


class Standing(msgspec.Struct, frozen=True):
    """What a pool is worth and needs."""

    equity_atoms: int
    maintenance_atoms: int

    def less(self, other: Standing) -> Standing:
        return Standing(
            self.equity_atoms - other.equity_atoms, self.maintenance_atoms - other.maintenance_atoms
        )

    def plus(self, other: Standing) -> Standing:
        return Standing(
            self.equity_atoms + other.equity_atoms, self.maintenance_atoms + other.maintenance_atoms
        )


def pool_of(account: int, holding: Holding) -> Pool:
    """The pool that backs a position."""
    return Pool(account, holding.symbol, holding.leg) if holding.isolated else Pool(account)


class Books:
    """Balances and positions of everybody, after every event."""

    def __init__(self) -> None:
        self.wallets: dict[int, int] = {}
        self.holdings: dict[int, dict[tuple[int, int], Holding]] = {}  # by account; symbol and leg
        self.symbols: dict[int, Symbol] = {}
        self.funds: dict[int, int] = {}
        self.fees_atoms = 0
        self.assets: dict[int, tuple[str, int]] = {}  # name, parts of a unit
        self._feeders: dict[int, Callable[[Any], None]] = {
            EVENT_BY_NAME[name].number: feeder
            for name, feeder in {
                "fill": self._on_fill,
                "liquidation_settled": self._on_money,
                "balance_changed": self._on_money,
                "margin_mode_changed": self._on_mode,
                "mark_changed": self._on_mark,
                "fund_changed": self._on_fund,
                "brackets_changed": self._on_brackets,
                "asset_listed": self._on_asset,
            }.items()
        }

    def list_symbol(self, record: bytes) -> None:
        """Reads the policy of a listing that was accepted."""
        (command,) = decode_commands(record)
        assert isinstance(command, ListSymbol), command
        self.symbols[command.symbol] = Symbol(command)

    def feed_raw(self, events: bytes) -> None:
        """Reads the events of a command that nobody looks at any closer."""
        offset = 0
        while offset < len(events):
            number, size, _, _ = EVENT_START.unpack_from(events, offset)
            feeder = self._feeders.get(number)
            if feeder is not None:
                feeder(EVENT_CODECS[number].unpack(events, offset))
            offset += size

    def feed(self, event: Event) -> None:
        """Reads one event."""
        feeder = self._feeders.get(event.number)
        if feeder is not None:
            feeder(event)

    def holding(self, account: int, symbol: int, leg: int = 0) -> Holding:
        owned = self.holdings.setdefault(account, {})
        found = owned.get((symbol, leg))
        if found is None:
            found = owned[symbol, leg] = Holding(symbol, leg)
        return found

    def positions(self, pool: Pool) -> Iterator[Holding]:
        """The open positions that a pool backs."""
        for holding in self.holdings.get(pool.account, {}).values():
            if holding.lots and pool_of(pool.account, holding) == pool:
                yield holding

    def mark_value(self, symbol: int) -> int:
        """Atoms of one lot at the mark."""
        return self.symbols[symbol].mark_value

    def unrealised(self, holding: Holding) -> int:
        return holding.lots * self.mark_value(holding.symbol) - holding.entry_atoms

    def worth(self, account: int) -> int:
        """Everything that an account has, its positions at the mark."""
        total = self.wallets.get(account, 0)
        for holding in self.holdings.get(account, {}).values():
            total += holding.margin_atoms
            if holding.lots:
                total += self.unrealised(holding)
        return total

    def standing(self, pool: Pool) -> Standing:
        """MARGIN-02, MARGIN-03: equity and maintenance of a pool at this moment."""
        if pool.symbol:
            equity = self.holding(pool.account, pool.symbol, pool.leg).margin_atoms
        else:
            equity = self.wallets.get(pool.account, 0)
        maintenance = 0
        for holding in self.positions(pool):
            equity += self.unrealised(holding)
            worth = abs(holding.lots) * self.mark_value(holding.symbol)
            maintenance += maintenance_of(self.symbols[holding.symbol], worth)
        return Standing(equity, maintenance)

    # ------------------------------------------------------------------------------------- the events

    def _on_fill(self, event: Any) -> None:
        holding = self.holding(event.account, event.symbol, getattr(event, "leg", 0))
        holding.lots = event.position_lots
        holding.entry_atoms = event.entry_value_atoms
        holding.isolated = event.margin_mode == MarginMode.ISOLATED
        holding.margin_atoms = event.margin_atoms
        self.wallets[event.account] = event.wallet_atoms
        self.fees_atoms += event.fee_atoms

    def _on_money(self, event: Any) -> None:
        self.wallets[event.account] = event.wallet_atoms
        if event.symbol:
            leg = getattr(event, "leg", 0)
            self.holding(event.account, event.symbol, leg).margin_atoms = event.margin_atoms

    def _on_mode(self, event: Any) -> None:
        holding = self.holding(event.account, event.symbol, event.leg)
        holding.isolated = event.margin_mode == MarginMode.ISOLATED

    def _on_mark(self, event: Any) -> None:
        symbol = self.symbols[event.symbol]
        symbol.mark = event.price_ticks
        symbol.mark_value = event.price_ticks * symbol.m

    def _on_fund(self, event: Any) -> None:
        self.funds[event.fund] = event.balance_atoms

    def _on_brackets(self, event: Any) -> None:
        before = self.symbols[event.symbol]
        symbol = Symbol(msgspec.structs.replace(before.policy, brackets=event.brackets))
        symbol.mark, symbol.mark_value = before.mark, before.mark_value
        self.symbols[event.symbol] = symbol

    def _on_asset(self, event: Any) -> None:
        self.assets[event.asset] = (event.name, event.unit_parts)
