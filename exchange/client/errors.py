"""What goes wrong between a client and its node: who hears of it knows what happened, or what is not known.

::

    ClientTimeout           no answer in time; what was sent may have been carried out
    ├── NotSent             nothing was sent: nothing happened
    └── OutcomeUnknown      the connection was lost, and whether these commands were carried out cannot be known
    RequestRefused          the node did not take the request: nothing happened
    ├── NotLoggedIn
    ├── RetryLater          a limit, or the node has too much to do: come back in so many milliseconds
    └── SessionLost         events were lost on the way to this client
        └── EventsMissed    they are not remembered any more either: ask for the state of the account
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exchange.errors import ExchangeError
from exchange.gateway.connection import Code
from exchange.protocol.messages import Command


class ClientTimeout(ExchangeError):
    """The node did not answer in time.  A command that was sent may have been carried out all the same."""

    def __init__(self, message: str, commands: Sequence[Command] = ()) -> None:
        super().__init__(message)
        #: Those that were not answered.
        self.commands = tuple(commands)


class NotSent(ClientTimeout):
    """There was no connection in time: nothing was sent, and nothing happened."""


class OutcomeUnknown(ClientTimeout):
    """The connection was lost, and it cannot be known whether these commands were carried out: look before repeating.

    It is raised where the node does not remember all that happened in between, or where it was started anew, and the
    command is none that may be sent twice.
    """


class RequestRefused(ExchangeError):
    """The node did not take a request: its bytes, arguments, or the session were not right.  Nothing happened."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class NotLoggedIn(RequestRefused):
    """The session is not logged in for the account."""


class RetryLater(RequestRefused):
    """A limit was reached, or the node has too much to do.  It may be taken after ``retry_after_ms``."""

    retry_after_ms = 0


class SessionLost(RequestRefused):
    """The client read too slowly and the node dropped events."""


class EventsMissed(SessionLost):
    """Events of ``account`` were missed and are not remembered any more: ask for account, positions and orders."""

    def __init__(self, account: int, why: str) -> None:
        super().__init__(Code.SESSION_LOST, f"events of account {account} were missed: {why}")
        self.account = account


REFUSED_BY_CODE: dict[str, type[RequestRefused]] = {
    "not_logged_in": NotLoggedIn,
    "session_lost": SessionLost,
    "rate_limited": RetryLater,
    "too_many_in_flight": RetryLater,
    "overloaded": RetryLater,
    "disk_full": RetryLater,
}


def refusal(body: dict[str, Any]) -> RequestRefused:
    """The exception for the body of a refusal.

    >>> refusal({"error": "overloaded", "message": "too much to do", "retry_after_ms": 100}).retry_after_ms
    100
    """
    code, message = str(body["error"]), str(body.get("message", ""))
    refused = REFUSED_BY_CODE.get(code, RequestRefused)(code, message)
    if isinstance(refused, RetryLater):
        refused.retry_after_ms = int(body.get("retry_after_ms", 0))
    return refused
