"""The orders that are sent: tapes of messages, ready but for the numbers that differ from one playing to the next.

Integers have a fixed width here, though not the shortest that msgpack knows, so that commands of a kind have one size
and a request id has one place.  A *patch* is where 4 bytes of a message are written, and what is added to the request
id of the message's first command to get them: 0 for the first command's own id, less for the id of a command before.

Three streams:

* ``quotes``: an account rests orders far from each other's side and cancels them; nothing trades, nothing is left.
* ``trades``: half of it is quotes, the other half pairs of orders that meet, of two accounts in turns.
* ``mixed``: the workload of ``exchange bench core``: new orders, cancels, moves and trades of 1,000 accounts.  It names
  orders by the ids that a fresh engine gives, so it is for one client and a node that has had no order before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from exchange.bench import core
from exchange.protocol import messages, schema
from exchange.protocol.records import decode_commands

Patch = tuple[int, int]
Message = tuple[bytes, list[Patch]]
Tape = list[Message]

FIRST_ID = 1 << 16  # from here on 4 bytes are needed anyway
ID_AT = 3  # of a command: behind the array's head, its number and the head of the id
CYCLE = 64  # commands of one playing of `quotes` and `trades`
DEPTH = 16  # orders that rest meanwhile
FAR_TICKS = 100  # from the mark to the first of them
PLACE, CANCEL, AMEND = (
    schema.COMMAND_BY_NAME[name] for name in ("place_order", "cancel_order", "amend_order")
)
WIDTHS = {1: b"\xcc", 2: b"\xcd", 4: b"\xce", 8: b"\xcf"}
#: Bytes of the fields whose values vary from order to order; all others are written as msgpack would.
FIELD_WIDTHS = {
    "account": 2,
    "price_ticks": 4,
    "qty_lots": 2,
    "order_id": 4,
    "client_order_id": 8,
}


class Command(msgspec.Struct, frozen=True):
    """One command with its own patches, to be put into a message."""

    number: int
    data: bytes
    patches: Sequence[Patch] = ()


def fixed(value: int, width: int) -> bytes:
    """An unsigned integer in so many bytes.

    >>> fixed(7, 2).hex()
    'cd0007'
    """
    return WIDTHS[width] + value.to_bytes(width, "big")


def command(kind: schema.Message, account: int, last: str, **values: int) -> bytes:
    """A command with all of its fields up to ``last``; those without a value have the table's default.

    >>> command(CANCEL, 7, "order_id", order_id=5).hex()
    '9408ce00000000cd0007ce00000005'
    """
    names = [field.name for field in kind.fields]
    fields = kind.fields[: names.index(last) + 1]
    parts = [bytes([0x90 + 3 + len(fields), kind.number]), fixed(0, 4), fixed(account, 2)]
    for field in fields:
        value: Any = values.get(field.name, field.default or 0)
        width = FIELD_WIDTHS.get(field.name)
        parts.append(fixed(value, width) if width else msgspec.msgpack.encode(value))
    return b"".join(parts)


# ------------------------------------------------------------------------------------------ quotes and trades


def placed(account: int, salt: int, **values: int) -> Command:
    """A limit order under a client order id made of the salt and its request id."""
    data = command(
        PLACE,
        account,
        "client_order_id",
        symbol=core.SYMBOL,
        client_order_id=salt << 32,
        **values,
    )
    return Command(PLACE.number, data, ((ID_AT, 0), (len(data) - 4, 0)))


def cancelled(account: int, salt: int, before: int) -> Command:
    """Cancels the order placed by the command that stands so many before this one."""
    data = command(CANCEL, account, "client_order_id", client_order_id=salt << 32)
    return Command(CANCEL.number, data, ((ID_AT, 0), (len(data) - 4, -before)))


def far_order(account: int, salt: int, number: int) -> Command:
    """A small order that nobody reaches, on both sides in turns."""
    side = number % 2
    away = FAR_TICKS + number
    price = core.MARK_TICKS - away if side == schema.Side.BUY else core.MARK_TICKS + away
    return placed(account, salt, side=side, price_ticks=price, qty_lots=1 + number)


def quotes(account: int, salt: int, count: int = CYCLE) -> list[Command]:
    """So many commands that place orders and cancel them again, ``DEPTH`` of them resting meanwhile."""
    orders = count // 2
    commands: list[Command] = []
    places: list[int] = []  # where in the commands each order is placed
    for number in range(orders + DEPTH):
        if number < orders:
            places.append(len(commands))
            commands.append(far_order(account, salt, number))
        if 0 <= number - DEPTH < orders:
            commands.append(cancelled(account, salt, len(commands) - places[number - DEPTH]))
    return commands


def pair(seller: int, buyer: int, salt: int) -> list[Command]:
    """Two orders that meet at the mark; the second cancels what its own account may have left there."""
    price = core.MARK_TICKS
    return [
        placed(seller, salt, side=schema.Side.SELL, price_ticks=price, qty_lots=1),
        placed(
            buyer,
            salt,
            side=schema.Side.BUY,
            time_in_force=schema.TimeInForce.IOC,
            self_trade=schema.SelfTradePrevention.CANCEL_MAKER,
            price_ticks=price,
            qty_lots=1,
        ),
    ]


def trades(accounts: Sequence[int], salt: int) -> list[Command]:
    """Quotes of one account, then pairs of two in both directions, so that positions stay where they are."""
    first, second = accounts
    pairs = CYCLE // 8
    return [
        *quotes(first, salt, CYCLE // 2),
        *(order for _ in range(pairs) for order in pair(first, second, salt)),
        *(order for _ in range(pairs) for order in pair(second, first, salt)),
    ]


# ------------------------------------------------------------------------------------------------- mixed

#: What a command of the workload is on the wire: its last field, and those that it names.
MIXED_FIELDS = {
    PLACE.number: ("qty_lots", ("symbol", "side", "time_in_force", "price_ticks", "qty_lots")),
    CANCEL.number: ("order_id", ("order_id",)),
    AMEND.number: ("price_ticks", ("order_id", "client_order_id", "price_ticks")),
}


def mixed(records: Iterable[bytes]) -> list[Command]:
    """Command records of a workload as they are sent."""
    commands = []
    for record in records:
        (decoded,) = decode_commands(record)
        kind = schema.MESSAGE_BY_NUMBER[decoded.number]
        last, names = MIXED_FIELDS[kind.number]
        values = {name: int(getattr(decoded, name)) for name in names}
        data = command(kind, decoded.account, last, **values)
        commands.append(Command(kind.number, data, ((ID_AT, 0),)))
    return commands


def mixed_commands(file: Path) -> list[Command]:
    """The commands of a workload file."""
    return mixed(core.translate(file.read_bytes()))


#: An acceptance with all its integers at full width, and where the request id stands in it.
ACCEPTED = b"".join(
    (bytes([0x98, 0xCC, 0x80]), fixed(0, 4), fixed(1, 2), fixed(1, 4), fixed(1, 8), b"\7")
    + (fixed(1, 4), b"\0")
)
ACCEPTED_ID_AT = 4


def padded_reply(size: int) -> tuple[bytes, int]:
    """A reply of about this size that can be read, and where its request id stands.

    >>> len(padded_reply(200)[0])
    200
    """
    filler = size - len(ACCEPTED) - 9
    if filler < 0:
        return ACCEPTED, ACCEPTED_ID_AT
    event = bytes([0x95, 0xCC, 0x82, 0, 0, 0, 0xC5]) + filler.to_bytes(2, "big") + bytes(filler)
    return ACCEPTED + event, ACCEPTED_ID_AT


# ------------------------------------------------------------------------------------------------- tapes


def tape(commands: Sequence[Command], batch: int) -> Tape:
    """Messages of so many commands each; what is left over at the end is not sent.

    >>> [len(data) for data, _ in tape(quotes(1, 0), 32)]
    [984, 840]
    """
    return [message(commands[at : at + batch]) for at in range(0, len(commands) - batch + 1, batch)]


def message(commands: Iterable[Command]) -> Message:
    data = bytearray()
    patches = []
    for place, each in enumerate(commands):
        patches += [(len(data) + at, place + add) for at, add in each.patches]
        data += each.data
    return bytes(data), patches


def in_cycles(commands: Sequence[Command], batch: int) -> Sequence[Command]:
    """As many playings as whole messages need.

    >>> len(in_cycles(quotes(1, 0), 64)), len(in_cycles(quotes(1, 0), 96))
    (64, 192)
    """
    times = 1
    while times * len(commands) % batch:
        times += 1
    return list(commands) * times


def accounts_of(client: int, stream: str) -> list[int]:
    """Who trades through a client: one account for quotes, two for trades, all of the workload for ``mixed``."""
    if stream == "mixed":
        return list(range(1, 1001))
    return [1 + client] if stream == "quotes" else [1 + 2 * client, 2 + 2 * client]


def setup() -> list[messages.Command]:
    """What the operator does first: a symbol with fees and brackets, and its mark."""
    return [
        core.listing(),
        messages.SetMark(symbol=core.SYMBOL, price_ticks=core.MARK_TICKS),
    ]
