"""Makes a failing stream small: delta debugging on commands, then on their numbers.

The smallest list of commands that still fails in the same way is what a person wants to read, and what becomes a
scenario file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from exchange.protocol.messages import Command, PlaceOrders
from exchange.protocol.records import decode_commands, encode_command

#: Whether a stream still fails in the way that is being looked for.
Fails = Callable[[Sequence[bytes]], bool]


def shrink(records: Sequence[bytes], fails: Fails) -> list[bytes]:
    """The commands without which it would not fail, in their order.

    >>> shrink([b"a", b"b", b"c", b"d"], lambda kept: b"b" in kept and b"d" in kept)
    [b'b', b'd']
    """
    kept = list(records)
    chunk = max(1, len(kept) // 2)
    while True:
        kept, was_smaller = drop_chunks(kept, chunk, fails)
        if chunk == 1 and not was_smaller:
            return kept
        chunk = max(1, min(chunk // 2, len(kept) // 2))


def drop_chunks(records: list[bytes], chunk: int, fails: Fails) -> tuple[list[bytes], bool]:
    """Tries to do without each chunk, from the end, where most of what is not needed stands."""
    kept = records
    start = len(kept) - chunk
    while start > -chunk:
        without = kept[: max(0, start)] + kept[start + chunk :]
        if len(without) < len(kept) and fails(without):
            kept = without
        start -= chunk
    return kept, len(kept) < len(records)


#: Numbers that may be made smaller without becoming another story.
SIMPLER = (
    "qty_lots",
    "amount_atoms",
    "change_atoms",
    "client_order_id",
    "self_trade",
    "flags",
    "initial_margin_ppm",
    "display_lots",
    "expires_ns",
    "price_ticks",
    "trigger_ticks",
    "callback_ticks",
    "callback_ppm",
    "trigger_by",
    "timeout_ms",
)


def simplify(records: Sequence[bytes], fails: Fails) -> list[bytes]:
    """Rounds numbers and shortens lists where the stream fails all the same: 70,000 reads better than 69,847."""
    kept = list(records)
    for index in range(len(kept)):
        kept = shorten(kept, index, fails)
        for name in SIMPLER:
            for candidate in simpler_records(kept[index], name):
                changed = [*kept[:index], candidate, *kept[index + 1 :]]
                if fails(changed):
                    kept = changed
                    break
    return kept


def shorten(records: list[bytes], index: int, fails: Fails) -> list[bytes]:
    """Leaves out orders of a list that it fails without, the last first."""
    kept, command = records, decoded(records[index])
    if not isinstance(command, PlaceOrders):
        return kept
    for at in reversed(range(len(command.orders))):
        orders = command.orders[:at] + command.orders[at + 1 :]
        shorter = msgspec.structs.replace(command, orders=orders)
        changed = [*kept[:index], encode_command(shorter), *kept[index + 1 :]]
        if fails(changed):
            kept, command = changed, shorter
    return kept


def decoded(record: bytes) -> Command | None:
    try:
        (command,) = decode_commands(record)
    except ValueError:
        return None
    return command


def simpler_records(record: bytes, name: str) -> list[bytes]:
    """The same command with one field smaller or rounder, simplest first; of a list, a field of one of its orders."""
    command = decoded(record)
    if isinstance(command, PlaceOrders):
        simpler = []
        for at, entry in enumerate(command.orders):
            for number in simpler_numbers(getattr(entry, name, 0)):
                changed = msgspec.structs.replace(entry, **{name: number})
                orders = (*command.orders[:at], changed, *command.orders[at + 1 :])
                simpler.append(encode_command(msgspec.structs.replace(command, orders=orders)))
        return simpler
    if command is None:
        return []
    numbers = simpler_numbers(getattr(command, name, 0))
    return [encode_command(msgspec.structs.replace(command, **{name: n})) for n in numbers]


def simpler_numbers(value: int) -> list[int]:
    """Smaller and rounder numbers of the same sign, simplest first.

    >>> simpler_numbers(-690)
    [0, -1, -600]
    """
    if not value:
        return []
    sign = -1 if value < 0 else 1
    digits = len(str(abs(value)))
    wanted = [0, sign, *(sign * (abs(value) // 10**k * 10**k) for k in range(digits - 1, 0, -1))]
    return sorted({number for number in wanted if abs(number) < abs(value)}, key=abs)
