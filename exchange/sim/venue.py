"""Where simulated agents trade: the same few words for a running node over ZeroMQ and for an engine in this process.

Agents act in *desks*: a desk is one connection that trades for many accounts.  Everything is lock-step: `trade`
returns when all commands of the desk are carried out, and `hear` when everything that they caused has arrived, so a
run depends on its seed and on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Protocol

from exchange.client.sync import AdminClient, Client
from exchange.engine import Engine
from exchange.errors import Rejected
from exchange.protocol.messages import Command, Event, PlaceOrder
from exchange.protocol.records import decode_events, encode_command, encode_commands, stamp


class Venue(Protocol):
    """What a simulated market needs of an exchange."""

    def open_desk(self, desk: str, accounts: Sequence[int]) -> None:
        """A connection that trades for these accounts."""

    def operate(self, command: Command) -> None:
        """A command of the operator's door; raises Rejected if it is refused."""

    def trade(self, desk: str, commands: Sequence[Command]) -> None:
        """Carries out a desk's commands in order; one that is refused does not stop the others."""

    def hear(self) -> list[Event]:
        """What happened to the accounts of all desks since the last time; per account in order."""

    def digest(self) -> str:
        """The digest of the exchange's state."""


class EngineVenue:
    """An engine in this process, with a clock that only counts.  ``batches`` is its journal."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.batches: list[bytes] = []
        self._heard: list[Event] = []

    def open_desk(self, desk: str, accounts: Sequence[int]) -> None:
        """Nothing to do: there are no connections."""

    def operate(self, command: Command) -> None:
        result, *_ = self._apply(encode_command(command))
        reason = getattr(result, "reason", None)
        if reason is not None:
            raise Rejected.of(reason, command)

    def trade(self, desk: str, commands: Sequence[Command]) -> None:
        if commands:
            self._apply(encode_commands(commands))

    def hear(self) -> list[Event]:
        heard, self._heard = self._heard, []
        return heard

    def digest(self) -> str:
        return self.engine.digest()

    def _apply(self, commands: bytes) -> list[Event]:
        sequence = self.engine.sequence + 1
        batch = stamp(commands, sequence, sequence)
        self.batches.append(batch)
        events = decode_events(self.engine.apply(batch))
        self._heard += [event for event in events if event.account]
        return events


class NodeVenue:
    """A node in another process, reached over ZeroMQ: one client for each desk, and the operator's."""

    def __init__(self, orders: str, admin: str) -> None:
        self._orders = orders
        self._admin = AdminClient(admin)
        self._desks: dict[str, Client] = {}

    def open_desk(self, desk: str, accounts: Sequence[int]) -> None:
        client = self._desks[desk] = Client(self._orders)
        for account in accounts:
            client.login(account)

    def operate(self, command: Command) -> None:
        self._admin.send(command)

    def trade(self, desk: str, commands: Sequence[Command]) -> None:
        client = self._desks[desk]
        for are_orders, group in groupby(commands, lambda command: isinstance(command, PlaceOrder)):
            if are_orders:
                client.place_many([order for order in group if isinstance(order, PlaceOrder)])
            else:
                send_each(client, group)

    def hear(self) -> list[Event]:
        events: list[Event] = []
        for client in self._desks.values():
            # An answer comes after every event that was caused before the question.
            client.funds()
            events += client.poll()
        return events

    def digest(self) -> str:
        return str(self._admin.status()["digest"])

    def close(self) -> None:
        """Closes all connections; orders and positions stay."""
        for client in self._desks.values():
            client.close()
        self._admin.close()


def send_each(client: Client, commands: Iterable[Command]) -> None:
    """Sends commands one by one; a refusal is an event like others, and the sender hears of it."""
    for command in commands:
        try:
            client.send(command)
        except Rejected:
            continue
