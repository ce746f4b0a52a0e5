"""The commands of the changed world: those of the journal, with what the policy puts in their place.

A command that the policy says nothing of goes as it is.  Others are changed, left out, or followed by one that the
journal has not:

* what carries a policy (a listing, a bracket table, caps) has the fields that are given;
* what carries a given key and is no listing is also sent behind the listing;
* the operator's payments into a fund are other amounts; one of 0 is left out;
* levels of warnings stand in every command that sets some, and are also sent behind the first listing;
* with a margin mode, every ``set_margin_mode`` says that mode, and an account that is to be isolated is told so
  before its first order on a symbol and leg.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from exchange.counterfactual.policy import FundChange, Policy, SymbolChange
from exchange.counterfactual.survey import (
    CARRIER_NUMBERS,
    DEPOSIT_FUND,
    LIST_SYMBOL,
    SET_MARGIN_WARNINGS,
    Survey,
)
from exchange.protocol.layout import COMMAND_HEADER_BYTES, place_fields
from exchange.protocol.messages import (
    Command,
    DepositFund,
    ListSymbol,
    SetMarginMode,
    SetMarginWarnings,
)
from exchange.protocol.records import COMMAND_CODECS, encode_command
from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    COMMAND_HEADER,
    ORDER_BYTES,
    ORDER_FIELDS,
    MarginMode,
)

SET_MARGIN_MODE = COMMAND_BY_NAME["set_margin_mode"].number
PLACE_ORDER = COMMAND_BY_NAME["place_order"].number
PLACE_ORDERS = COMMAND_BY_NAME["place_orders"].number
SYMBOL = struct.Struct("<I")  # first field of an order, and of all that carries a policy
CLIENT_ID = struct.Struct("<Q")
#: Of each field in an order.
OFFSETS = {field.name: offset for field, offset in place_fields(ORDER_FIELDS)}
HEADER = struct.Struct("<" + COMMAND_HEADER.body_format)
ACCOUNT_OFFSET, SYMBOL_OFFSET = 4, COMMAND_HEADER_BYTES
ACCOUNT = struct.Struct("<I")
#: An account's position on a symbol: account, symbol, leg.
Place = tuple[int, int, int]


class Rewritten(msgspec.Struct, frozen=True):
    """What is sent in the place of a command, in order; the records still have to be stamped."""

    before: tuple[bytes, ...] = ()
    record: bytes = b""  # empty: nothing is sent for the command itself
    behind: tuple[bytes, ...] = ()


class Rewriter:
    """Puts the policy into the commands of a journal, one after the other."""

    def __init__(self, policy: Policy, survey: Survey) -> None:
        self._symbols, self._funds, self._warnings = policy.symbols, policy.funds, policy.warnings
        self._unpaid = {
            number: change.atoms
            for number, change in policy.funds.items()
            if number not in survey.fund_atoms and change.atoms
        }
        self._paid: set[int] = set()  # funds whose first payment was seen
        self._listed: set[int] = set()
        self._told: set[Place] = set()
        self._sets_modes = any(c.margin_mode is not None for c in policy.symbols.values())
        numbers: set[int] = set()
        if policy.funds:
            numbers |= {DEPOSIT_FUND, LIST_SYMBOL}
        if policy.warnings is not None:
            numbers |= {SET_MARGIN_WARNINGS, LIST_SYMBOL}
        if any(change.fields for change in policy.symbols.values()):
            numbers |= CARRIER_NUMBERS
        if self._sets_modes:
            numbers |= {SET_MARGIN_MODE, PLACE_ORDER, PLACE_ORDERS}
        self._numbers = frozenset(numbers)

    def rewrite(self, number: int, record: bytes, accepted: bool) -> Rewritten | None:
        """What is sent instead of a command, and beside it; None: the command as it is.

        ``accepted``: whether the journal's own world took the command.
        """
        if number not in self._numbers:
            return None
        if number in (PLACE_ORDER, PLACE_ORDERS):
            return self._before_orders(number, record)
        command = COMMAND_CODECS[number].unpack(record)
        if isinstance(command, DepositFund):
            return self._payment(command) if accepted else None
        if isinstance(command, SetMarginMode):
            return self._mode(command)
        if isinstance(command, SetMarginWarnings) and self._warnings is not None:
            return Rewritten(record=encode_command(stamped_as(self._warnings, command)))
        return self._carrier(command, accepted)

    def refused(self, record: bytes) -> None:
        """One of the commands that were put in was refused: it is tried again before the next order."""
        command = COMMAND_CODECS[HEADER.unpack_from(record)[0]].unpack(record)
        if isinstance(command, SetMarginMode):
            self._told.discard((command.account, command.symbol, command.leg))

    # ---- what carries a policy

    def _carrier(self, command: Command, accepted: bool) -> Rewritten | None:
        symbol: int = getattr(command, "symbol")  # noqa: B009 - the union of all commands has none
        change = self._symbols.get(symbol, SymbolChange())
        changed = change.apply(command)
        behind: list[Command] = []
        if isinstance(command, ListSymbol) and accepted and symbol not in self._listed:
            if self._warnings is not None and not self._listed:
                behind.append(self._warnings)
            self._listed.add(symbol)
            behind += [*change.sent_behind_listing(symbol), *self._first_payments()]
        if changed == command and not behind:
            return None
        return Rewritten(
            record=encode_command(changed),
            behind=tuple(encode_command(stamped_as(c, command)) for c in behind),
        )

    def _first_payments(self) -> Iterator[Command]:
        """Payments into funds that the journal never pays into: behind the first listing."""
        for fund, atoms in self._unpaid.items():
            yield DepositFund(fund=fund, amount_atoms=atoms)
        self._unpaid = {}

    def _payment(self, command: DepositFund) -> Rewritten | None:
        change = self._funds.get(command.fund, FundChange())
        is_first = command.fund not in self._paid
        self._paid.add(command.fund)
        atoms = change.amount(command.amount_atoms, is_first)
        if atoms == command.amount_atoms:
            return None
        if atoms == 0:
            return Rewritten()
        return Rewritten(
            record=encode_command(msgspec.structs.replace(command, amount_atoms=atoms))
        )

    # ---- margin modes

    def _mode_of(self, account: int, symbol: int) -> MarginMode | None:
        """The mode that the account is to have on the symbol, where the policy says one."""
        change = self._symbols.get(symbol)
        if change is None or change.margin_mode is None or not change.concerns(account):
            return None
        return change.margin_mode

    def _mode(self, command: SetMarginMode) -> Rewritten | None:
        mode = self._mode_of(command.account, command.symbol)
        if mode is None or mode == command.margin_mode:
            return None
        return Rewritten(
            record=encode_command(msgspec.structs.replace(command, margin_mode=int(mode)))
        )

    def _before_orders(self, number: int, record: bytes) -> Rewritten | None:
        """Who is to be isolated is told so before its first order: accounts begin in cross mode."""
        (account,) = ACCOUNT.unpack_from(record, ACCOUNT_OFFSET)
        told: list[bytes] = []
        for symbol, leg in order_places(number, record):
            place = (account, symbol, leg)
            if place in self._told or self._mode_of(account, symbol) != MarginMode.ISOLATED:
                continue
            self._told.add(place)
            _, _, _, sequence, timestamp_ns = HEADER.unpack_from(record)
            told.append(
                encode_command(
                    SetMarginMode(
                        account=account,
                        sequence=sequence,
                        timestamp_ns=timestamp_ns,
                        symbol=symbol,
                        leg=leg,
                        margin_mode=int(MarginMode.ISOLATED),
                    )
                )
            )
        return Rewritten(before=tuple(told), record=record) if told else None


def stamped_as(command: Command, other: Command) -> Command:
    """The command at the time of another."""
    return msgspec.structs.replace(
        command, sequence=other.sequence, timestamp_ns=other.timestamp_ns
    )


def orders_at(number: int, record: bytes) -> range:
    """Where the orders of a command that places some begin."""
    begin = COMMAND_HEADER_BYTES
    if number == PLACE_ORDERS:
        begin = COMMAND_BY_NAME["place_orders"].size
    return range(begin, len(record) - ORDER_BYTES + 1, ORDER_BYTES)


def order_places(number: int, record: bytes) -> Iterator[tuple[int, int]]:
    """Symbol and leg of each of these orders."""
    for at in orders_at(number, record):
        yield SYMBOL.unpack_from(record, at)[0], record[at + OFFSETS["leg"]]


def client_order_ids(number: int, record: bytes) -> Iterator[int]:
    """Their client order ids, those of 0 apart."""
    for at in orders_at(number, record):
        (client_id,) = CLIENT_ID.unpack_from(record, at + OFFSETS["client_order_id"])
        if client_id:
            yield client_id
