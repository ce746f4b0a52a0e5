"""What the configuration lists and the journal has not: as commands, journaled like everybody else's.

A configuration speaks once.  A symbol that is not listed is listed, with its first mark; an empty journal also gets the
first deposits of the funds, and the levels of warnings.  A symbol that is listed keeps the policy that it was listed
with, since every replay has to find it again; if the file says something else by now, a note tells.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec

from exchange.config import Config
from exchange.engine import Engine
from exchange.errors import ConfigError
from exchange.protocol.messages import Command, DepositFund, Event, ListSymbol, Rejected, SetMark
from exchange.protocol.records import encode_command
from exchange.protocol.schema import COMMAND_BY_NAME, COMMAND_HEADER, REJECT_PROSE, RejectReason

#: The canonical state up to its listings (docs/reference/state.md): magic, order id, trade id, fees, deposits; then a
#: count.
STATE_START = struct.Struct("<4sQQqq")
COUNT = struct.Struct("<I")
#: What follows a listing there: mark, last trade, state.
AFTER_LISTING = struct.Struct("<qqB")
COMMAND_HEADER_BYTES = struct.calcsize("<" + COMMAND_HEADER.body_format)
LISTING_BYTES = COMMAND_BY_NAME["list_symbol"].size - COMMAND_HEADER_BYTES
SYMBOL = struct.Struct("<I")  # first field of a listing


class Missing(msgspec.Struct, frozen=True):
    """Commands to carry out, and what to tell the operator."""

    commands: list[Command]
    notes: list[str]

    def check(self, events: Sequence[Event]) -> None:
        """Raises ConfigError if the engine refused one of the commands."""
        for event in events:
            if isinstance(event, Rejected):
                reason = RejectReason(event.reason)
                refused = next(
                    command for command in self.commands if command.number == event.command
                )
                raise ConfigError(
                    f"the engine refuses {refused} of the configuration: {reason.name.lower()}: {REJECT_PROSE[reason]}"
                )


def missing_commands(config: Config, engine: Engine) -> Missing:
    """What has to be done so that everything in the configuration is there."""
    commands: list[Command] = []
    notes: list[str] = []
    listed = listings_in(engine.snapshot()) if engine.sequence else {}
    for policy in config.symbols:
        listing = policy.to_command()
        if policy.symbol not in listed:
            commands.append(listing)
            if policy.symbol in config.mark_ticks:
                commands.append(
                    SetMark(symbol=policy.symbol, price_ticks=config.mark_ticks[policy.symbol])
                )
            commands += policy.policy_commands()
        elif body_of(listing) != listed[policy.symbol]:
            notes.append(
                f"{policy.name}: the configuration differs from what symbol {policy.symbol} was listed "
                f"with; the change is not applied, the listing stands"
            )
    if not engine.sequence:
        deposits = config.fund_atoms.items()
        commands += [DepositFund(fund=fund, amount_atoms=atoms) for fund, atoms in deposits]
        if config.warnings.levels:
            commands.append(config.warnings.to_command())
    return Missing(commands, notes)


def body_of(listing: ListSymbol) -> bytes:
    return encode_command(listing)[COMMAND_HEADER_BYTES:]


def listings_in(state: bytes) -> dict[int, bytes]:
    """The listings in a canonical state, by number: what each symbol was listed with."""
    at = STATE_START.size
    (count,) = COUNT.unpack_from(state, at)
    at += COUNT.size
    listings = {}
    for _ in range(count):
        body = state[at : at + LISTING_BYTES]
        listings[SYMBOL.unpack_from(body)[0]] = body
        at += LISTING_BYTES + AFTER_LISTING.size
    return listings
