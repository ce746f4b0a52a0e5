"""Whether a measured node did what it was measured for: a run whose answers are wrong has no figures.

Every request must be answered once and in its order, what is bought must be sold, and the node's state at the end must
be that of its journal replayed from the first command.  Of the mixed workload every event is compared with what an
engine of our own says to the same commands.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from exchange.bench import core
from exchange.bench.gateway import orders
from exchange.engine import Engine, create_engine
from exchange.errors import CorruptionError
from exchange.peek import EVENT_START, event_number
from exchange.protocol import messages, records, wire
from exchange.recovery import journal_folder, replay
from exchange.segments import scan

#: Counts of a run that must be 0, and what it means where they are not.
MUST_BE_NONE = {
    "lost": "requests without an answer",
    "doubled": "results that came twice",
    "passed_over": "requests whose result did not come in its turn",
    "disordered": "results whose place in the journal is not behind the one before",
    "refused": "messages that the node refused",
    "unreadable": "messages that are not whole",
    "position_gaps": "private positions that do not go on where the events before ended",
}
STAMPED = (event_number("accepted"), event_number("rejected"))
SEQUENCE = struct.Struct("<Q")
AT_SEQUENCE = 8
AT_TIME = 16
NO_TIME = bytes(8)


class WrongAnswer(CorruptionError):
    """The node answered wrongly; the message says what was wanted and what came."""


class Checked(msgspec.Struct):
    """What was checked of a node, to be told with its figures."""

    acknowledged: int = 0
    fills: int = 0
    sequence: int = 0
    digest: str = ""


def check_run(name: str, result: Mapping[str, Any], *, of_exchange: bool) -> None:
    """Raises WrongAnswer where a run was not answered as it should be.

    An echo knows neither places in a journal nor accounts, so only what it was asked is looked at.
    """
    names = list(MUST_BE_NONE) if of_exchange else ["lost", "doubled", "passed_over", "unreadable"]
    for wrong in names:
        if result[wrong]:
            control = (
                f"; the last control message: {result['control']}" if result["control"] else ""
            )
            raise WrongAnswer(
                f"{name}: {result[wrong]} {MUST_BE_NONE[wrong]}, wanted none{control}"
            )
    if not of_exchange:
        return
    for one, other in (("bought_lots", "sold_lots"), ("taken_lots", "made_lots")):
        if result[one] != result[other]:
            raise WrongAnswer(
                f"{name}: {one} {result[one]}, {other} {result[other]}, wanted as many"
            )


def check_accepted(name: str, result: Mapping[str, Any]) -> None:
    """Of quotes and trades nothing may be rejected."""
    if result["rejected"]:
        raise WrongAnswer(f"{name}: {result['rejected']} rejected (by reason: {result['reasons']})")


def check_journal(name: str, data: Path, status: Mapping[str, Any], commands: int) -> Checked:
    """The journal has every acknowledged command once, and replayed ends where the node ended."""
    engine = create_engine("native")
    replay(engine, scan(journal_folder(data)), lambda commands, events: None)
    if engine.sequence != commands:
        raise WrongAnswer(
            f"{name}: {commands} commands were acknowledged, the journal has {engine.sequence}"
        )
    if (engine.sequence, engine.digest()) != (status["sequence"], status["digest"]):
        raise WrongAnswer(
            f"{name}: the node ended at {status['sequence']} {status['digest']}, its journal replayed at "
            f"{engine.sequence} {engine.digest()}"
        )
    return Checked(sequence=engine.sequence, digest=engine.digest())


# --------------------------------------------------------------------------------------- the mixed workload


def mixed_engine(deposit_atoms: int) -> Engine:
    """An engine as a node has it before the workload: listed, and everybody funded."""
    engine = create_engine("native")
    first = [
        *orders.setup(),
        *(
            messages.Deposit(account=account, amount_atoms=deposit_atoms)
            for account in orders.accounts_of(0, "mixed")
        ),
    ]
    engine.apply(records.stamp(records.encode_commands(first), 1, 1))
    return engine


def mixed_batches(engine: Engine, file: Path, commands: int, batch: int) -> list[bytes]:
    stream = list(core.translate(file.read_bytes()))[:commands]
    return core.in_batches(stream, engine.sequence, batch)


def replies_of(file: Path, deposit_atoms: int, commands: int) -> list[bytes]:
    """What is sent for each of the first commands, to whoever hears of all accounts."""
    engine = mixed_engine(deposit_atoms)
    batches = mixed_batches(engine, file, commands, 1)
    return [
        wire.encode_events(engine.apply(batch), engine.sequence, [orders.FIRST_ID])
        for batch in batches
    ]


def expected_events(file: Path, deposit_atoms: int, commands: int) -> bytes:
    """What an engine alone says to the first commands of a workload, for the accounts that trade."""
    engine = mixed_engine(deposit_atoms)
    first = engine.sequence + 1
    batches = mixed_batches(engine, file, commands, 256)
    return plain(b"".join(engine.apply(batch) for batch in batches), first)


def plain(events: bytes, first_sequence: int) -> bytes:
    """Events of accounts, with places counted from ``first_sequence`` and without times."""
    kept = bytearray()
    offset = 0
    while offset < len(events):
        number, size, account, sequence = EVENT_START.unpack_from(events, offset)
        if account:
            start = len(kept)
            kept += events[offset : offset + size]
            SEQUENCE.pack_into(kept, start + AT_SEQUENCE, sequence - first_sequence)
            if number in STAMPED:
                kept[start + AT_TIME : start + AT_TIME + 8] = NO_TIME
        offset += size
    return bytes(kept)


def check_mixed(name: str, kept: bytes, file: Path, deposit_atoms: int, commands: int) -> None:
    """Every event that the client was sent is the engine's own, in its order."""
    came, _ = wire.decode_events(kept)
    _, _, _, first = EVENT_START.unpack_from(came)
    came = plain(came, first)
    wanted = expected_events(file, deposit_atoms, commands)
    if came != wanted:
        raise WrongAnswer(f"{name}: {first_difference(came, wanted)}")


def first_difference(came: bytes, wanted: bytes) -> str:
    """The first event that is another one, as both sides have it."""
    pairs: Sequence[tuple[Any, Any]] = list(
        zip(records.decode_events(came), records.decode_events(wanted), strict=False)
    )
    for one, other in pairs:
        if one != other:
            return f"wanted {other}, came {one}"
    return f"wanted {len(wanted)} bytes of events, came {len(came)}"
