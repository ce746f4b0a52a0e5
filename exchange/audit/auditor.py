"""The auditor itself: reads records, frames commands, and tests pools and sums when a command is over.

Theory of operation.  Events are read once, in order; each updates the rebuilt state and is checked against it as it
comes (a fill against the rules of settlement, a closing order against bankruptcy, and so on).  What holds between
commands only - conservation of money, no pool below maintenance unless flagged - is checked when the sequence
number moves on, for the pools and symbols that the command touched.  `Auditor.check` does the same for all of them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any

from exchange.audit.balances import BalanceAudit
from exchange.audit.context import Context, Placed, Violation
from exchange.audit.fills import PLACE, FillAudit
from exchange.audit.liquidations import LiquidationAudit
from exchange.audit.orders import OrderAudit
from exchange.audit.requirement import pool_standing
from exchange.audit.state import PoolKey, State, Symbol
from exchange.errors import ProtocolError
from exchange.protocol.messages import Event, ListSymbol
from exchange.protocol.records import START, decode_commands, encode_events, iter_records
from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    COMMAND_HEADER,
    EVENT_BY_NAME,
    EVENT_HEADER,
    EVENTS,
)

LIST_SYMBOL = COMMAND_BY_NAME["list_symbol"].number
PLACE_MESSAGE = COMMAND_BY_NAME["place_order"]
PLACE_BYTES = PLACE_MESSAGE.size
PLACE_LAYOUT = struct.Struct("<" + COMMAND_HEADER.body_format + PLACE_MESSAGE.body_format)
PLACE_FIELDS = [field.name for field in COMMAND_HEADER.fields + PLACE_MESSAGE.fields]
AT_SEQUENCE, AT_TIME_IN_FORCE, AT_QTY_LOTS = map(
    PLACE_FIELDS.index, ("sequence", "time_in_force", "qty_lots")
)
LIST_BYTES = COMMAND_BY_NAME["list_symbol"].size
ACCEPTED = EVENT_BY_NAME["accepted"].number
REJECTED = EVENT_BY_NAME["rejected"].number
#: Per event: account, sequence and then the fields of the table, stepping over type and size.
LAYOUTS = {
    m.number: struct.Struct("<4x" + EVENT_HEADER.body_format[2:] + m.body_format) for m in EVENTS
}

Handler = Callable[..., None]


class Auditor:
    """Reads events and finds whatever breaks the rules.

    Feed whole commands at a time, from the first one on, and each listing by `feed_commands` before its events: only
    the command tells a symbol's policy.  Feeding all commands lets it check more (fill-or-kill, orders' quantities).

    Attributes:
        violations: what was found, oldest first; at most a thousand.
    """

    def __init__(self) -> None:
        self._context = Context()
        self._policies: dict[int, ListSymbol] = {}  # by sequence
        self._placed: dict[int, Placed] = {}  # by sequence
        self._orders = OrderAudit(self._context)
        self._liquidations = LiquidationAudit(self._context)
        self._balances = BalanceAudit(self._context, self._liquidations)
        self._fills = FillAudit(self._context, self._orders, self._liquidations)
        self._is_open = False  # whether a command is being read
        self._refused_alone = False  # whether it has no event but its rejection
        self._handlers = self._make_handlers()

    def _make_handlers(self) -> dict[int, Handler]:
        by_name: dict[str, Handler] = {
            "order_rested": self._orders.on_rested,
            "order_cancelled": self._orders.on_cancelled,
            "order_amended": self._orders.on_amended,
            "order_reduced": self._orders.on_reduced,
            "fill": self._fills.on_fill,
            "liquidation_settled": self._liquidations.on_settled,
            "balance_changed": self._balances.on_balance,
            "fund_changed": lambda account, *fields: self._balances.on_fund(*fields),
            "symbol_listed": self._on_listed,
            "mark_changed": self._on_mark,
            "funding_settled": lambda account, *fields: self._balances.on_funding(*fields),
            "margin_mode_changed": self._balances.on_margin_mode,
            "liquidation_started": self._liquidations.on_started,
            "liquidation_order": self._liquidations.on_order,
            "liquidation_ended": self._liquidations.on_ended,
            "deficit_uncovered": self._liquidations.on_uncovered,
            "accepted": self._on_accepted,
            "rejected": self._on_rejected,
        }
        return {EVENT_BY_NAME[name].number: handler for name, handler in by_name.items()}

    # ------------------------------------------------------------------------------------ what is public

    @property
    def violations(self) -> list[Violation]:
        return self._context.violations

    @property
    def state(self) -> State:
        """Accounts, positions, orders and funds as the events have told them."""
        return self._context.state

    def feed_commands(self, commands: bytes) -> None:
        """Reads stamped commands, before their events: policies, and what orders asked for."""
        for number, record in iter_records(commands):
            if number == LIST_SYMBOL and len(record) == LIST_BYTES:
                (listing,) = decode_commands(record)
                assert isinstance(listing, ListSymbol)
                self._policies[listing.sequence] = listing
            elif number == PLACE and len(record) == PLACE_BYTES:
                raw = PLACE_LAYOUT.unpack_from(record)
                self._placed[raw[AT_SEQUENCE]] = Placed(raw[AT_TIME_IN_FORCE], raw[AT_QTY_LOTS])

    def feed(self, events: bytes | Iterable[Event]) -> None:
        """Reads the events of whole commands.

        Raises:
            ProtocolError: a record is not an event, or a symbol is listed whose command was not fed.
        """
        raw = events if isinstance(events, bytes) else encode_events(events)
        context = self._context
        offset, end = 0, len(raw)
        while offset < end:
            number, size = START.unpack_from(raw, offset) if end - offset >= START.size else (0, 0)
            layout = LAYOUTS.get(number)
            if layout is None or layout.size != size or size > end - offset:
                raise ProtocolError(
                    f"byte {offset}: wanted the record of an event, came type {number}"
                )
            account, sequence, *fields = layout.unpack_from(raw, offset)
            offset += size
            if sequence != context.sequence:
                self._finish_command()
                self._begin_command(sequence, number)
            elif number in (ACCEPTED, REJECTED):
                context.report("MATCH-01", "a second result event")
            elif context.command < 0:
                context.report("I18", f"a rejected command has an event of type {number}")
                self._refused_alone = False
            try:
                self._handlers[number](account, *fields)
            except KeyError as error:
                context.report(
                    "I3", f"an event of type {number} speaks of something unknown: {error}"
                )
        self._finish_command()

    def check(self) -> None:
        """Tests every pool, every sum and every book, whether touched or not."""
        context, state = self._context, self._context.state
        for account in state.accounts.values():
            context.pools.add((account.number, 0))
            context.pools.update(
                (account.number, h.symbol.number) for h in account.holdings.values()
            )
            context.orders_touched.update(account.holdings.values())
        context.symbols.update(state.symbols)
        self._test_pools()
        self._test_symbols()
        self._orders.finish()
        self._test_sums()
        context.begin(context.sequence)

    # --------------------------------------------------------------------------------- frame of a command

    def _begin_command(self, sequence: int, number: int) -> None:
        context = self._context
        last = context.sequence
        context.begin(sequence)
        if sequence != last + 1:
            context.report(
                "I30", f"command {last + 1} is missing: the next event is of command {sequence}"
            )
        if number not in (ACCEPTED, REJECTED):
            context.report("MATCH-01", f"the first event is of type {number}, not a result")
        self._is_open = True
        self._refused_alone = number == REJECTED
        context.placed = self._placed.pop(sequence, None)

    def _finish_command(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        if self._refused_alone:
            return  # nothing was touched
        self._fills.finish()
        self._liquidations.finish()
        self._balances.finish()
        self._orders.finish()
        self._test_pools()
        self._test_symbols()
        state = self._context.state
        if state.money != state.paid_in:
            self._context.report(
                "I1", f"{state.paid_in} atoms were paid in, all balances add up to {state.money}"
            )

    def _on_accepted(
        self, account: int, timestamp_ns: int, command: int, order_id: int, client_order_id: int
    ) -> None:
        context = self._context
        context.command = command
        context.actor = account
        if context.placed is not None:
            self._orders.floating[order_id] = context.placed.qty_lots

    def _on_rejected(
        self, account: int, timestamp_ns: int, command: int, reason: int, client_order_id: int
    ) -> None:
        self._context.command = -1

    def _on_listed(self, account: int, symbol: int, name: bytes) -> None:
        policy = self._policies.pop(self._context.sequence, None)
        if policy is None or policy.symbol != symbol:
            raise ProtocolError(
                f"symbol {symbol} is listed; feed_commands its list_symbol before, it holds the policy"
            )
        self._context.state.symbols[symbol] = Symbol(policy)

    def _on_mark(self, account: int, number: int, price: int) -> None:
        context = self._context
        if context.liquidating:
            context.report("LIQ-09", f"the mark of symbol {number} moves within a liquidation")
        symbol = context.state.symbols[number]
        symbol.mark = price
        symbol.mark_value = price * symbol.m
        context.symbols.add(number)
        context.pools.update(holding.pool for holding in symbol.holders.values())

    # --------------------------------------------------------------------------- when a command is over

    def _test_pools(self) -> None:
        context, state = self._context, self._context.state
        flagged = state.flagged
        for pool in context.pools:
            equity, maintenance, has_position = pool_standing(state, pool)
            if equity >= maintenance and has_position:
                if pool in flagged:
                    context.report(
                        "I7",
                        f"pool {pool} is flagged at equity {equity}, maintenance {maintenance}",
                    )
            elif has_position:
                self._test_weak_pool(pool, equity, maintenance)
            else:
                self._test_empty_pool(pool, equity)

    def _test_weak_pool(self, pool: PoolKey, equity: int, maintenance: int) -> None:
        context, state = self._context, self._context.state
        if pool not in state.flagged:
            context.report(
                "I7", f"pool {pool} is not flagged at equity {equity}, maintenance {maintenance}"
            )
        elif equity < 0 and pool not in state.uncovered:
            context.report(
                "I8", f"pool {pool} is at {equity} though nothing was reported uncovered"
            )

    def _test_empty_pool(self, pool: PoolKey, balance: int) -> None:
        context = self._context
        if pool in context.state.flagged:
            context.report("I7", f"pool {pool} is flagged without a position")
        if balance < 0:
            context.report("I4", f"pool {pool} holds {balance} without a position")
        if balance and pool[1]:
            context.report(
                "ACCT-05", f"the isolated pool {pool} holds {balance} without a position"
            )

    def _test_symbols(self) -> None:
        context, symbols = self._context, self._context.state.symbols
        for number in context.symbols:
            symbol = symbols[number]
            if symbol.net_lots:
                context.report("I2", f"positions of symbol {number} sum to {symbol.net_lots} lots")
            limit = symbol.policy.exposure_limit_atoms
            at_limit = symbol.gross_entry + 2 * symbol.open_value * symbol.m
            at_mark = (symbol.gross_lots + 2 * symbol.open_lots) * symbol.mark_value
            if max(at_limit, at_mark) > limit:
                context.report(
                    "I34",
                    f"exposure of symbol {number}: {at_limit} and {at_mark} of at most {limit}",
                )

    def _test_sums(self) -> None:
        """I20: what was added up event by event is the sum of what is there."""
        context, state = self._context, self._context.state
        money: int = state.fees + sum(state.funds.values())
        nets: dict[int, Any] = dict.fromkeys(state.symbols, 0)
        for account in state.accounts.values():
            money += account.wallet
            for holding in account.holdings.values():
                money += holding.margin - holding.entry
                nets[holding.symbol.number] += holding.lots
        context.expect("I20", "all balances", money, state.money)
        context.expect("I1", "all balances, against what was paid in", state.paid_in, money)
        for number, net in nets.items():
            context.expect("I2", f"the sum of positions of symbol {number}", 0, net)
