"""The reference engine: takes command records one after the other and gives back the records of their events.

Order of work for one command: what is due expires, funding that is due is paid, then the command is checked, accepted
or rejected, and has its effect; then the liquidation queue is worked off and triggers are looked at, until both rest.
Nothing comes in but the commands: no clock, no chance, no other input.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from exchange.errors import SequenceError
from exchange.protocol.messages import Command
from exchange.protocol.preview import PreviewView
from exchange.protocol.records import COMMAND_CODECS
from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    COMMAND_HEADER,
    COMMANDS,
    MAX_ACCOUNT,
    RejectReason,
)
from exchange.protocol.views import (
    AccountView,
    AssetView,
    BookView,
    CollateralView,
    OrderView,
    PositionView,
    SymbolView,
)
from exchange.reference import (
    accounts,
    amending,
    canonical,
    collateral,
    composite,
    funding,
    funds,
    lists,
    operations,
    orders,
    placing,
    policies,
    states,
    times,
    triggers,
    views,
    warnings,
)
from exchange.reference.context import Context
from exchange.reference.pocket import pocket_state
from exchange.reference.single import SingleCalls
from exchange.reference.state import State, fund_balance
from exchange.whatif import preview

HEADER = struct.Struct("<" + COMMAND_HEADER.body_format)

COMMAND_BY_NUMBER = {message.number: message for message in COMMANDS}

Handler = Callable[[Context, Any], None]


HANDLERS: dict[str, Handler] = {
    "deposit": accounts.deposit,
    "withdraw": accounts.withdraw,
    "deposit_fund": operations.deposit_fund,
    "set_margin_mode": accounts.set_margin_mode,
    "change_isolated_margin": accounts.change_isolated_margin,
    "set_auto_margin": accounts.set_auto_margin,
    "set_position_mode": accounts.set_position_mode,
    "place_order": placing.place_order,
    "place_orders": lists.place_orders,
    "cancel_order": orders.cancel_order,
    "cancel_all": orders.cancel_all,
    "amend_order": amending.amend_order,
    "set_countdown": orders.set_countdown,
    "set_stp_group": orders.set_stp_group,
    "set_symbol_state": states.set_symbol_state,
    "set_adl_policy": operations.set_adl_policy,
    "set_mark": operations.set_mark,
    "settle_funding": operations.settle_funding,
    "set_risk_limits": policies.set_risk_limits,
    "set_margin_warnings": warnings.set_margin_warnings,
    "set_fund_policy": funds.set_fund_policy,
    "advance_time": composite.advance_time,
    "set_mark_policy": composite.set_mark_policy,
    "set_price": composite.set_price,
    "set_funding_policy": funding.set_funding_policy,
    "set_asset_price": collateral.set_asset_price,
    "change_collateral": collateral.change_collateral,
    "set_multi_asset": collateral.set_multi_asset,
}


#: Commands whose body is part of the canonical state as given, or is read where its brackets are.
READ_RAW: dict[int, Callable[[Context, bytes], None]] = {
    operations.LIST_SYMBOL: operations.list_symbol,
    policies.SET_BRACKETS: policies.set_brackets,
    collateral.LIST_ASSET: collateral.list_asset,
}
HANDLER_BY_NUMBER = {COMMAND_BY_NAME[name].number: handle for name, handle in HANDLERS.items()}


class ReferenceEngine(SingleCalls):
    """The exchange as a pure function over its commands, made to be read.

    >>> from exchange.reference.engine import ReferenceEngine
    >>> engine = ReferenceEngine()
    >>> engine.sequence, engine.accounts(), engine.uncovered()
    (0, [], False)
    """

    def __init__(self) -> None:
        self.sequence = 0
        self.timestamp_ns = 0
        self._ctx = Context()

    # --------------------------------------------------------------------------------------- commands

    def apply(self, commands: bytes) -> bytes:
        """Carries out a batch of command records and gives the records of their events.

        Raises ``SequenceError`` if a sequence is not the last one + 1, or the bytes are cut short; then nothing
        of the batch is carried out.
        """
        records = list(self._records(commands))
        for number, account, record in records:
            self._carry_out(number, account, record)
        return self._ctx.events.take()

    def _records(self, commands: bytes) -> Iterator[tuple[int, int, bytes]]:
        """(type, account, record) of each command, after the whole batch was found to be in order."""
        commands = bytes(commands)
        offset, expected = 0, self.sequence
        while offset < len(commands):
            if offset + HEADER.size > len(commands):
                raise SequenceError(
                    f"a command header of {HEADER.size} bytes was wanted at byte {offset}, "
                    f"{len(commands) - offset} bytes came: the batch is cut short"
                )
            number, size, account, sequence, _ = HEADER.unpack_from(commands, offset)
            if size < HEADER.size or offset + size > len(commands):
                raise SequenceError(
                    f"a command of {size} bytes was announced at byte {offset} "
                    f"of a batch of {len(commands)}: the batch is cut short"
                )
            expected += 1
            if sequence != expected:
                raise SequenceError(
                    f"sequence {expected} was wanted, {sequence} came: commands are applied once, "
                    "in order and without gaps"
                )
            yield number, account, commands[offset : offset + size]
            offset += size

    def _carry_out(self, number: int, account: int, record: bytes) -> None:
        """One command: its one result event, what has expired, its other events, then what follows from them."""
        ctx = self._ctx
        self.sequence += 1
        self.timestamp_ns = max(self.timestamp_ns, HEADER.unpack_from(record)[4])
        ctx.timestamp_ns = self.timestamp_ns
        ctx.events.begin(self.sequence)
        times.expire(ctx)
        funding.pass_funding(ctx)
        ctx.events.set_aside()
        message = COMMAND_BY_NUMBER.get(number)
        if message is not None and message.sender == "admin":
            account = 0  # the operator's commands are nobody's
        if message is None or not is_right_size(number, record):
            ctx.reject(number, account, RejectReason.MALFORMED_COMMAND)
        elif number in READ_RAW:
            READ_RAW[number](ctx, record[HEADER.size :])
        else:
            HANDLER_BY_NUMBER[number](ctx, COMMAND_CODECS[number].unpack(record))
        triggers.settle_down(ctx)
        collateral.settle_debts(ctx)
        warnings.warn(ctx)

    # ------------------------------------------------------------------------------------------ state

    def snapshot(self) -> bytes:
        """The canonical state (docs/reference/state.md)."""
        return canonical.snapshot(self._ctx.state)

    def digest(self) -> str:
        """BLAKE2b-128 of the canonical state, in hex: equal digests, equal exchanges."""
        return hashlib.blake2b(self.snapshot(), digest_size=16).hexdigest()

    def restore(self, state: bytes, sequence: int, timestamp_ns: int) -> None:
        """Takes over a canonical state; only an engine that has done nothing yet can."""
        if self.sequence or self.snapshot() != canonical.snapshot(State()):
            raise ValueError(
                f"an empty engine was wanted, this one is at sequence {self.sequence}: "
                "restore into a new engine"
            )
        self._ctx.state = canonical.restore(bytes(state))
        self.sequence, self.timestamp_ns = sequence, timestamp_ns

    def pocket(
        self, account: int, lots: dict[int, int], *, liquidity: bool = True
    ) -> tuple[ReferenceEngine, list[tuple[int, int]]]:
        """An engine in which the account can act alone (WHAT-IF), and the sides of books that are cut short: none."""
        _require_account(account)
        copy = ReferenceEngine()
        copy._ctx.state = pocket_state(self._ctx.state, account, liquidity=liquidity)
        copy.sequence, copy.timestamp_ns = self.sequence, self.timestamp_ns
        return copy, []

    def preview(self, account: int, steps: Sequence[Command], timestamp_ns: int = 0) -> PreviewView:
        """Where the account would stand after these steps, and what each would come to (exchange.whatif)."""
        return preview(self, account, steps, timestamp_ns)

    # ---------------------------------------------------------------------------------------- queries

    def account(self, account: int) -> AccountView:
        """An account and its cross pool; zeros for one that never appeared."""
        _require_account(account)
        return views.account_view(self._ctx.state, account)

    def accounts(self) -> list[int]:
        """The accounts that are not all default, ascending."""
        return views.account_numbers(self._ctx.state)

    def positions(self, account: int) -> list[PositionView]:
        """The account on each symbol where something is set, held or open."""
        _require_account(account)
        return views.position_views(self._ctx.state, account)

    def open_orders(self, account: int) -> list[OrderView]:
        """The account's live orders in canonical order: those that rest, then those that wait for a trigger."""
        _require_account(account)
        return views.order_views(self._ctx.state, account)

    def book(self, symbol: int, depth: int = 0) -> BookView:
        """The price levels of a symbol, best first; raises ``KeyError`` if it is not listed."""
        return views.book_view(self._ctx.state.symbols[symbol], depth)

    def collateral(self, account: int) -> list[CollateralView]:
        """What the account holds of collateral assets, by asset."""
        _require_account(account)
        return views.collateral_views(self._ctx.state, account)

    def assets(self) -> list[AssetView]:
        """The listed collateral assets, by number."""
        return [views.asset_view(asset) for asset in self._ctx.state.assets.values()]

    def symbols(self) -> list[SymbolView]:
        """The listed symbols, by number."""
        return [views.symbol_view(symbol) for symbol in self._ctx.state.symbols.values()]

    def fund(self, fund: int) -> int:
        """What an insurance fund holds."""
        return fund_balance(self._ctx.state, fund)

    def funds(self) -> dict[int, int]:
        """The insurance funds that hold anything, by number."""
        return {fund: balance for fund, balance in sorted(self._ctx.state.funds.items()) if balance}

    def fees_atoms(self) -> int:
        """What the fee account holds."""
        return self._ctx.state.fees_atoms

    def uncovered(self) -> bool:
        """Whether withdrawals are stopped because a deficit is uncovered (ADL-03)."""
        return any(pool.uncovered for pool in self._ctx.state.pools())


def is_right_size(number: int, record: bytes) -> bool:
    """A record is as long as its type says, a list of orders as long as its count says."""
    return len(record) == COMMAND_CODECS[number].wanted_size(record, 0, len(record))


def _require_account(account: int) -> None:
    if not 1 <= account <= MAX_ACCOUNT:
        raise KeyError(f"account numbers are 1 .. {MAX_ACCOUNT}; this is {account}")
