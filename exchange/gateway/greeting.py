"""What a client says of itself: the version it speaks, the heartbeats it wants, the accounts it is there for."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec

from exchange.gateway.connection import Code, Query, Refusal
from exchange.protocol.schema import MAX_ACCOUNT

VERSIONS = (1,)  # of the wire that this node speaks
MIN_HEARTBEAT_MS = 100
MAX_HEARTBEAT_MS = 600_000
MAX_CLIENT = (1 << 64) - 1
Greeting = TypeVar("Greeting", bound=msgspec.Struct)
AtLeast0 = Annotated[int, msgspec.Meta(ge=0)]


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first thing that a client may say; one that does not speaks version 1 and gets no heartbeats."""

    versions: list[int]
    client: str = ""  # name and version of its program, for people who read logs
    heartbeat_ms: int = 0


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For which account a session is there, and how."""

    account: Annotated[int, msgspec.Meta(ge=1, le=MAX_ACCOUNT)]
    read_only: bool = False
    cancel_on_disconnect: bool = False
    after: AtLeast0 | None = None  # number of the last event that the client saw
    epoch: AtLeast0 = 0  # of that number; 0: not said
    client: int = 0  # the same over all reconnects of one client; 0: none


HELLO_WANTED = (
    f'{{"versions": [{", ".join(map(str, VERSIONS))}], "client": "name/1.2", '
    f'"heartbeat_ms": 0 | {MIN_HEARTBEAT_MS} .. {MAX_HEARTBEAT_MS}}}'
)
LOGIN_WANTED = (
    f'{{"account": 1 .. {MAX_ACCOUNT}, "read_only": bool, "cancel_on_disconnect": bool, "after": number, '
    f'"epoch": epoch, "client": 0 .. 2^64-1}}, all but the account optional'
)


def read_hello(query: Query) -> Hello | Refusal:
    """What a hello says; refused where there is no version that both speak."""
    hello = convert(query.arguments, Hello)
    if hello is None or not (
        hello.heartbeat_ms == 0 or MIN_HEARTBEAT_MS <= hello.heartbeat_ms <= MAX_HEARTBEAT_MS
    ):
        return wrong_arguments(query, HELLO_WANTED)
    if not set(hello.versions) & set(VERSIONS):
        text = f"this node speaks versions {list(VERSIONS)} of the protocol, asked for were {hello.versions!s:.80}"
        return Refusal(
            [query.request_id], Code.UNSUPPORTED_VERSION, text, {"versions": list(VERSIONS)}
        )
    return hello


def read_login(query: Query) -> Login | Refusal:
    login = convert(query.arguments, Login)
    if login is None or not 0 <= login.client <= MAX_CLIENT:
        return wrong_arguments(query, LOGIN_WANTED)
    return login


def convert(arguments: dict[str, Any], kind: type[Greeting]) -> Greeting | None:
    try:
        return msgspec.convert(arguments, kind)
    except msgspec.ValidationError:
        return None


def wrong_arguments(query: Query, wanted: str) -> Refusal:
    text = f"{query.name}: wanted {wanted}, got {query.arguments!s:.80}"
    return Refusal([query.request_id], Code.INVALID_ARGUMENTS, text)
