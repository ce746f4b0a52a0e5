"""What a frame from a client means, without any socket or session in it.

Theory of operation.  A frame is either one *control message*, the msgpack array ``[0, request_id, "name", {args}]``, or
any number of *commands* one after the other (exchange/protocol/wire.py).  ``read_frame`` turns the bytes of a frame
into a ``Query``, ``Commands`` or a ``Refusal``; bytes that mean nothing end here, they are answered and never reach the
journal.  A frame is taken whole or refused whole.  Whether a session may do what a frame asks for is the matter of
exchange/gateway/sessions.py.

Which commands and queries there are at all depends on the *door* that the session came through: traders' or operator's.
"""

from __future__ import annotations

import struct
from enum import StrEnum
from typing import Any

import msgspec

from exchange.protocol import wire
from exchange.protocol.records import iter_starts
from exchange.protocol.schema import COMMAND_BY_NAME, MESSAGE_BY_NUMBER

CONTROL = 0
PLACE_ORDERS = COMMAND_BY_NAME["place_orders"].number
#: Commands that bring new orders or change them: what limits of orders count, and what has to wait in an overload.
PLACING = frozenset(
    COMMAND_BY_NAME[n].number for n in ("place_order", "place_orders", "amend_order")
)
AT_ORDER_COUNT = (
    COMMAND_BY_NAME["place_orders"].size - 1
)  # the last byte in front of a list's orders
ACCOUNT = struct.Struct("<4xI")  # of a record's header, after type and size
#: First bytes of a control message: a small msgpack array, the first thing in it the integer 0.
CONTROL_STARTS = tuple(bytes([0x90 | size, CONTROL]) for size in range(1, 16))
#: Arguments are plain values or a list of numbers: nothing nests deeper, so nothing can be too deep to be read.
CONTROL_DECODER = msgspec.msgpack.Decoder(
    tuple[int, int, str, dict[str, int | str | bool | list[int] | None]]
)


class Code(StrEnum):
    """Why the node did not take a request; nothing of it was carried out or journaled."""

    MALFORMED = "malformed"
    NOT_LOGGED_IN = "not_logged_in"
    WRONG_DOOR = "wrong_door"
    UNKNOWN_QUERY = "unknown_query"
    INVALID_ARGUMENTS = "invalid_arguments"
    UNKNOWN_SYMBOL = "unknown_symbol"
    UNSUPPORTED_VERSION = "unsupported_version"
    READ_ONLY = "read_only"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate_limited"
    TOO_MANY_IN_FLIGHT = "too_many_in_flight"
    OVERLOADED = "overloaded"
    DISK_FULL = "disk_full"
    SNAPSHOT_FAILED = "snapshot_failed"
    TOO_MANY_SESSIONS = "too_many_sessions"
    SESSION_LOST = "session_lost"
    SESSION_CLOSED = "session_closed"
    DRAINING = "draining"


class Door(msgspec.Struct, frozen=True):
    """Which commands and queries a socket takes, and whether one has to log in first."""

    name: str
    sender: str  # of the commands taken, as the message table names it
    needs_login: bool
    public_queries: frozenset[str]
    account_queries: frozenset[str]

    def may_send(self, number: int) -> bool:
        return MESSAGE_BY_NUMBER[number].sender == self.sender

    def wrong_sender(self, number: int) -> str:
        """What is wrong with a command that may not be sent here."""
        message = MESSAGE_BY_NUMBER[number]
        return f"{message.name} is a command of the {message.sender}'s door, this is the {self.sender}'s"


PUBLIC_QUERIES = frozenset(
    {
        "ping",
        "get_symbols",
        "get_book",
        "get_book_orders",
        "get_statistics",
        "get_funds",
        "get_assets",
    }
)
ACCOUNT_QUERIES = frozenset(
    {"get_account", "get_positions", "get_collateral", "get_open_orders", "get_fills", "preview"}
)
#: Of the session itself; every door has them.
SESSION_QUERIES = frozenset({"hello", "login", "logout"})
TRADERS_DOOR = Door("orders", "trader", True, PUBLIC_QUERIES, ACCOUNT_QUERIES)


class Commands(msgspec.Struct, frozen=True):
    """Commands as the engine wants them, still without sequence and time."""

    records: bytes
    request_ids: list[int]
    accounts: list[int]  # whose events the replies are; 0 where the operator commands
    numbers: frozenset[int]  # which commands there are among them
    placed: int  # orders that are placed or amended, each of a list counted


class Query(msgspec.Struct, frozen=True):
    """A question of state, or what concerns the session itself, which is answered by the same way."""

    request_id: int
    name: str
    arguments: dict[str, Any]


class Refusal(msgspec.Struct, frozen=True):
    """Why a frame was not taken; one answer for each request that could be read.

    >>> refusal = Refusal([5], Code.OVERLOADED, "too much to do", {"retry_after_ms": 100})
    >>> msgspec.msgpack.decode(refusal.encode()[0])
    [0, 5, {'error': 'overloaded', 'message': 'too much to do', 'retry_after_ms': 100}]
    """

    request_ids: list[int]
    code: Code
    message: str
    details: dict[str, Any] = {}

    def encode(self) -> list[bytes]:
        body = {"error": self.code, "message": self.message, **self.details}
        return [encode_control(request_id, body) for request_id in self.request_ids or [0]]


def encode_control(request_id: int, body: object) -> bytes:
    return msgspec.msgpack.encode((CONTROL, request_id, body))


def encode_heartbeat(sequence: int) -> bytes:
    """What tells a client that the node is there; it wants no answer."""
    return encode_control(0, {"heartbeat": sequence})


def is_control(payload: bytes) -> bool:
    return payload.startswith(CONTROL_STARTS)


def read_frame(payload: bytes, door: Door, max_commands: int) -> Commands | Query | Refusal:
    """What one frame asks for, or why it cannot be understood."""
    return (
        read_control(payload, door)
        if is_control(payload)
        else read_commands(payload, door, max_commands)
    )


def read_commands(payload: bytes, door: Door, max_commands: int) -> Commands | Refusal:
    try:
        records, request_ids = wire.decode_commands(payload, max_commands)
    except ValueError as error:
        return Refusal([], Code.MALFORMED, f"not a message of this exchange: {error}")
    if not request_ids:
        return Refusal([], Code.MALFORMED, "wanted at least one command, came an empty message")
    starts = list(iter_starts(records))
    placed = [
        orders_in(records, number, offset) for number, offset, _ in starts if number in PLACING
    ]
    work = sum(placed) + len(starts) - len(placed)
    if work > max_commands:
        text = f"wanted at most {max_commands} orders in a message, those of lists included, came {work}"
        return Refusal(request_ids, Code.MALFORMED, f"{text}: send them in several")
    # An operator's commands act for no account, whatever their header says.
    accounts = [
        ACCOUNT.unpack_from(records, offset)[0] * door.needs_login for _, offset, _ in starts
    ]
    numbers = frozenset(number for number, _, _ in starts)
    return Commands(records, request_ids, accounts, numbers, sum(placed))


def orders_in(records: bytes, number: int, offset: int) -> int:
    """The work in a command that places orders: one, or one for each order of a list."""
    return max(1, records[offset + AT_ORDER_COUNT]) if number == PLACE_ORDERS else 1


def read_control(payload: bytes, door: Door) -> Query | Refusal:
    try:
        _, request_id, name, arguments = CONTROL_DECODER.decode(payload)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        wanted = 'wanted one [0, request_id, "name", {args}] and nothing after it'
        return Refusal([], Code.MALFORMED, f"{wanted}: {error}")
    known = SESSION_QUERIES | door.public_queries | door.account_queries
    if name not in known:
        there_are = ", ".join(sorted(known))
        return Refusal(
            [request_id], Code.UNKNOWN_QUERY, f"no query {name!r:.80} here; there are {there_are}"
        )
    return Query(request_id, name, arguments)
