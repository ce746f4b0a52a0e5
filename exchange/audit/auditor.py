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

from exchange.audit.auctions import AuctionAudit
from exchange.audit.balances import BalanceAudit
from exchange.audit.brackets import bracket_problems
from exchange.audit.charges import ChargeAudit
from exchange.audit.collateral import CollateralAudit
from exchange.audit.context import Context, PlacedList, Violation, Wanted
from exchange.audit.decisions import DecisionAudit
from exchange.audit.expiry import ExpiryAudit
from exchange.audit.fills import FillAudit
from exchange.audit.funding import FundingAudit
from exchange.audit.funds import FundAudit
from exchange.audit.legs import LegAudit
from exchange.audit.liquidations import LiquidationAudit
from exchange.audit.lists import ListAudit
from exchange.audit.live_orders import Placed
from exchange.audit.orders import OrderAudit
from exchange.audit.policies import PolicyAudit
from exchange.audit.prices import PriceAudit
from exchange.audit.requirement import pool_standing
from exchange.audit.state import PoolKey, State, Symbol, cross_pool
from exchange.audit.waiting import WaitingAudit
from exchange.audit.warnings import WarningAudit
from exchange.errors import ProtocolError
from exchange.protocol.messages import AmendOrder, Event, ListSymbol, OrderEntry, PlaceOrders
from exchange.protocol.records import START, decode_commands, encode_events, iter_records
from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    COMMAND_HEADER,
    EVENT_BY_NAME,
    EVENT_HEADER,
    EVENTS,
    CancelReason,
    ListMode,
    OrderPlace,
)

LIST_SYMBOL = COMMAND_BY_NAME["list_symbol"].number
PLACE_MESSAGE = COMMAND_BY_NAME["place_order"]
PLACE = PLACE_MESSAGE.number
PLACE_LAYOUT = struct.Struct("<" + COMMAND_HEADER.body_format + PLACE_MESSAGE.body_format)
PLACE_FIELDS = [field.name for field in COMMAND_HEADER.fields + PLACE_MESSAGE.fields]
AT_SEQUENCE, AT_ORDER = PLACE_FIELDS.index("sequence"), len(COMMAND_HEADER.fields)
#: Commands that are read as objects: rare enough, and their records are not all of one size.
READ_WHOLE = {LIST_SYMBOL, *(COMMAND_BY_NAME[n].number for n in ("place_orders", "amend_order"))}
ACCEPTED = EVENT_BY_NAME["accepted"].number
REJECTED = EVENT_BY_NAME["rejected"].number
CANCELLED = EVENT_BY_NAME["order_cancelled"].number
AT_CANCEL_REASON = [field.name for field in EVENT_BY_NAME["order_cancelled"].fields].index("reason")
#: Per event: account, sequence and then the fields of the table, stepping over type and size.
LAYOUTS = {
    m.number: struct.Struct("<4x" + EVENT_HEADER.body_format[2:] + m.body_format) for m in EVENTS
}

#: Cancellations of several orders at once, which have an order.
IN_TURN = (
    CancelReason.CANCEL_ALL,
    CancelReason.COUNTDOWN,
    CancelReason.LIQUIDATION,
    CancelReason.SYMBOL_SETTLED,
)

Handler = Callable[..., None]


def placed_of(entry: OrderEntry) -> Placed:
    return Placed(*(getattr(entry, name) for name in Placed._fields))


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
        self._wanted: dict[int, Wanted] = {}  # by sequence
        self._legs = LegAudit(self._context)
        self._orders = OrderAudit(self._context, self._legs)
        self._lists = ListAudit(self._context, self._orders)
        self._waiting = WaitingAudit(self._context, self._orders, self._lists)
        self._expiry = ExpiryAudit(self._context)
        self._auctions = AuctionAudit(self._context)
        self._prices = PriceAudit(self._context)
        self._funding = FundingAudit(self._context)
        self._collateral = CollateralAudit(self._context)
        self._charges = ChargeAudit(self._context)
        self._decisions = DecisionAudit(self._context, self._charges)
        self._funds = FundAudit(self._context)
        self._liquidations = LiquidationAudit(
            self._context, self._decisions, self._funds, self._charges
        )
        self._balances = BalanceAudit(
            self._context, self._liquidations, self._collateral, self._legs
        )
        self._fills = FillAudit(
            self._context,
            self._orders,
            self._waiting,
            self._lists,
            self._auctions,
            self._liquidations,
            self._prices,
        )
        self._policies_audit = PolicyAudit(self._context)
        self._warnings = WarningAudit(self._context)
        self._is_open = False  # whether a command is being read
        self._refused_alone = False  # whether it has no event but its rejection
        self._handlers = self._make_handlers()

    def _make_handlers(self) -> dict[int, Handler]:
        by_name: dict[str, Handler] = {
            "order_rested": self._orders.on_rested,
            "order_cancelled": self._on_cancelled,
            "order_amended": self._orders.on_amended,
            "order_reduced": self._orders.on_reduced,
            "order_shown": self._orders.on_shown,
            "order_waiting": self._waiting.on_waiting,
            "order_triggered": self._waiting.on_triggered,
            "entry_accepted": self._on_entry_accepted,
            "entry_rejected": self._on_entry_rejected,
            "symbol_state_changed": self._auctions.on_state,
            "auction_indicated": self._auctions.on_indicated,
            "auction_uncrossed": self._auctions.on_uncrossed,
            "countdown_set": self._expiry.on_countdown,
            "stp_group_set": self._on_stp_group,
            "brackets_changed": self._policies_audit.on_brackets,
            "risk_limits_changed": self._policies_audit.on_limits,
            "fund_policy_set": self._funds.on_policy,
            "deficit_charged": self._charges.on_charged,
            "margin_warnings_set": self._warnings.on_levels,
            "margin_warning": self._warnings.on_warning,
            "asset_listed": self._collateral.on_asset,
            "asset_price_changed": self._collateral.on_price,
            "collateral_changed": self._collateral.on_collateral,
            "multi_asset_set": self._collateral.on_multi_asset,
            "fill": self._fills.on_fill,
            "liquidation_settled": self._liquidations.on_settled,
            "balance_changed": self._balances.on_balance,
            "fund_changed": lambda account, *fields: self._balances.on_fund(*fields),
            "symbol_listed": self._on_listed,
            "mark_changed": self._on_mark,
            "mark_policy_set": self._prices.on_policy,
            "price_set": self._prices.on_price,
            "mark_hold_changed": self._prices.on_hold,
            "funding_settled": self._on_funding,
            "funding_policy_set": self._funding.on_policy,
            "funding_rate": self._funding.on_rate,
            "margin_mode_changed": self._balances.on_margin_mode,
            "auto_margin_set": self._balances.on_auto_margin,
            "position_mode_changed": self._legs.on_position_mode,
            "liquidation_started": self._on_liquidation_started,
            "liquidation_order": self._liquidations.on_order,
            "liquidation_ended": self._liquidations.on_ended,
            "deficit_uncovered": self._liquidations.on_uncovered,
            "adl_policy_set": self._liquidations.on_policy,
            "adl_ranked": self._liquidations.on_ranked,
            "liquidation_position": self._decisions.on_position,
            "liquidation_sized": self._decisions.on_sized,
            "liquidation_shrunk": self._decisions.on_shrunk,
            "deficit_shared": self._decisions.on_share,
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

    def follow(self, commands: bytes, events: bytes | Iterable[Event]) -> list[Violation]:
        """Reads commands and what came of them, and gives what is newly found wrong.

        The same as `feed_commands` and then `feed`.

        Raises:
            ProtocolError: a record of ``events`` is no event.
        """
        known = len(self.violations)
        self.feed_commands(commands)
        self.feed(events)
        return self.violations[known:]

    def feed_commands(self, commands: bytes) -> None:
        """Reads stamped commands, before their events: policies, and what orders asked for."""
        for number, record in iter_records(commands):
            if number == PLACE and len(record) == PLACE_LAYOUT.size:
                raw = PLACE_LAYOUT.unpack_from(record)
                self._wanted[raw[AT_SEQUENCE]] = Placed(*raw[AT_ORDER:])
            elif number in READ_WHOLE:
                self._feed_whole(bytes(record))

    def _feed_whole(self, record: bytes) -> None:
        try:
            (command,) = decode_commands(record)
        except ValueError:
            return  # malformed: the engine refuses it
        match command:
            case ListSymbol():
                self._policies[command.sequence] = command
            case PlaceOrders():
                orders = tuple(map(placed_of, command.orders))
                self._wanted[command.sequence] = PlacedList(command.list_mode, orders)
            case AmendOrder():
                self._wanted[command.sequence] = command

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
            elif self._funding.is_due(number, fields):
                self._expiry.settle()
                self._refused_alone = False
            elif number != CANCELLED or not self._expiry.is_by_time(fields[AT_CANCEL_REASON]):
                self._begin_effect(number)
                self._policies_audit.before(number, fields)
            self._warnings.before(number)
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
            context.pools.add(cross_pool(account.number))
            context.pools.update(holding.own_pool for holding in account.holdings.values())
            context.orders_touched.update(account.holdings.values())
        context.symbols.update(state.symbols)
        self._warnings.finish()
        self._test_pools()
        self._test_symbols()
        context.watched.update(state.symbols)
        self._waiting.finish()
        self._orders.finish()
        self._test_sums()
        context.begin(context.sequence)

    # --------------------------------------------------------------------------------- frame of a command

    def _begin_command(self, sequence: int, number: int) -> None:
        context = self._context
        last = context.sequence
        context.begin(sequence)
        self._charges.begin()
        if sequence != last + 1:
            context.report(
                "I30", f"command {last + 1} is missing: the next event is of command {sequence}"
            )
        if number not in (ACCEPTED, REJECTED):
            context.report("MATCH-01", f"the first event is of type {number}, not a result")
        self._is_open = True
        self._refused_alone = number == REJECTED
        context.wanted = self._wanted.pop(sequence, None)

    def _begin_effect(self, number: int) -> None:
        """The first event of what the command itself does: what time does is over."""
        context = self._context
        self._expiry.settle()
        self._funding.settle()
        self._prices.pass_time()
        if self._funding.has_settled:
            self._refused_alone = (
                False  # who pays may be liquidated, whatever became of the command
            )
        elif context.command < 0:
            context.report("I18", f"a rejected command has an event of type {number}")
            self._refused_alone = False
        elif context.command == PLACE and context.is_repeat:
            context.report("MATCH-08", f"a repeated order has an event of type {number}")

    def _finish_command(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._expiry.settle()
        self._funding.settle()
        if self._refused_alone:
            return  # nothing was touched
        self._waiting.finish()
        self._fills.finish()
        self._decisions.finish()
        self._liquidations.finish()
        self._balances.finish()
        self._prices.finish()
        self._collateral.finish()
        self._auctions.finish()
        self._lists.finish()
        self._orders.finish()
        self._warnings.finish()
        self._test_pools()
        self._test_symbols()
        state = self._context.state
        state.forget_terms()
        if state.fees < 0:
            self._context.report("I22", f"rebates have cost {-state.fees} more than fees brought")
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
        self._pass_time(timestamp_ns)
        wanted = context.wanted
        if command == PLACE:
            self._on_placed(account, order_id, wanted if isinstance(wanted, Placed) else None)
        elif isinstance(wanted, AmendOrder):
            self._on_amend(order_id, wanted)

    def _on_rejected(
        self, account: int, timestamp_ns: int, command: int, reason: int, client_order_id: int
    ) -> None:
        self._context.command = -1
        self._pass_time(timestamp_ns)

    def _pass_time(self, timestamp_ns: int) -> None:
        context = self._context
        if timestamp_ns < context.now_ns:
            context.report("I30", f"time goes back from {context.now_ns} to {timestamp_ns}")
        context.now_ns = timestamp_ns
        self._expiry.begin(timestamp_ns)
        self._funding.begin()

    def _on_placed(self, account: int, order_id: int, terms: Placed | None) -> None:
        """An order was accepted, alone or in a list."""
        self._lists.on_result(account, order_id, terms)
        if terms is not None and not self._context.is_repeat:
            self._expiry.schedule_order(order_id, terms.expires_ns)

    def _on_amend(self, order_id: int, wanted: AmendOrder) -> None:
        """What an amendment changes and its events do not tell."""
        state = self._context.state
        terms = state.terms.get(order_id)
        if terms is None:
            return
        if wanted.callback_ticks or wanted.callback_ppm:
            terms = terms._replace(
                callback_ticks=wanted.callback_ticks, callback_ppm=wanted.callback_ppm
            )
        state.terms[order_id] = terms._replace(
            display_lots=wanted.display_lots or terms.display_lots,
            expires_ns=wanted.expires_ns or terms.expires_ns,
        )
        self._expiry.schedule_order(order_id, wanted.expires_ns)

    def _on_entry_accepted(
        self, account: int, index: int, order_id: int, client_order_id: int
    ) -> None:
        self._between_entries()
        self._lists.on_entry_accepted(account, index, order_id, client_order_id)
        terms = self._context.state.terms.get(order_id)
        if terms is not None:
            self._expiry.schedule_order(order_id, terms.expires_ns)

    def _on_entry_rejected(
        self, account: int, index: int, reason: int, client_order_id: int
    ) -> None:
        self._between_entries()
        self._lists.on_entry_rejected(account, index, reason, client_order_id)

    def _between_entries(self) -> None:
        """Each order of a list works off its own triggers before the next one's result."""
        wanted = self._context.wanted
        if not isinstance(wanted, PlacedList) or wanted.mode == ListMode.EACH:
            self._waiting.settle()
            self._orders.last_cancelled.clear()

    def _on_cancelled(
        self,
        account: int,
        symbol: int,
        side: int,
        place: int,
        reason: int,
        order_id: int,
        client_order_id: int,
        price: int,
        open_lots: int,
    ) -> None:
        state = self._context.state
        order = (
            state.waiting.get(order_id)
            if place == OrderPlace.WAITING
            else state.orders.get(order_id)
        )
        if order is not None and reason in IN_TURN:
            self._orders.check_turn(order, reason)
        self._expiry.on_cancelled(account, order_id, reason)
        if self._context.command < 0:
            self._refused_alone = False
        if place == OrderPlace.WAITING:
            self._waiting.on_cancelled(order_id, account, reason, open_lots)
        else:
            self._orders.on_cancelled(account, symbol, place, reason, order_id, price, open_lots)
        self._lists.on_cancelled(order_id, reason)

    def _on_stp_group(self, account: int, stp_group: int) -> None:
        self._context.state.account(account).stp_group = stp_group

    def _on_listed(self, account: int, symbol: int, name: bytes) -> None:
        policy = self._policies.pop(self._context.sequence, None)
        if policy is None or policy.symbol != symbol:
            raise ProtocolError(
                f"symbol {symbol} is listed; feed_commands its list_symbol before, it holds the policy"
            )
        for problem in bracket_problems(policy.brackets, policy.initial_margin_ppm):
            self._context.report("I21", f"symbol {symbol}: {problem}")
        self._context.state.symbols[symbol] = Symbol(policy)

    def _on_funding(self, account: int, symbol: int, *payment_per_lot: int) -> None:
        self._funding.on_settled(symbol, *payment_per_lot)
        self._balances.on_funding(symbol, *payment_per_lot)

    def _on_liquidation_started(
        self, account: int, symbol: int, leg: int, equity: int, maintenance: int
    ) -> None:
        self._liquidations.on_started(account, symbol, leg, equity, maintenance)
        self._warnings.on_started(account, symbol, leg)

    def _on_mark(self, account: int, number: int, price: int) -> None:
        context = self._context
        if context.liquidating:
            context.report("LIQ-09", f"the mark of symbol {number} moves within a liquidation")
        symbol = context.state.symbols[number]
        self._prices.on_mark(symbol, price)
        symbol.mark = price
        self._charges.on_mark(symbol, (price * symbol.m) - symbol.mark_value)
        symbol.mark_value = price * symbol.m
        self._auctions.on_mark(number)
        context.watched.add(number)
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
        owner = context.state.accounts[pool[0]]
        if not pool[1] and owner.wallet < 0 < owner.counted:
            context.report(
                "COLL-04", f"account {owner.number} owes {-owner.wallet} beside assets that count"
            )
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
