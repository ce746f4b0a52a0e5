"""Both publishers as one: each call goes to the readable and to the compiled one, and they must answer the same."""

from __future__ import annotations

from typing import Any

from exchange.gateway import publisher as readable
from exchange.gateway.interest import Interest
from exchange.gateway.publishing import native_market_data
from exchange.gateway.statistics import StatisticsDesk as ReadableDesk

NATIVE = native_market_data()
assert NATIVE is not None, "the core is not built: run `make build`"


class TwinDesk:
    """The last 24 hours, counted twice."""

    def __init__(self) -> None:
        self.desks = (ReadableDesk(), NATIVE.StatisticsDesk())

    def feed(self, events: bytes) -> None:
        for desk in self.desks:
            desk.feed(events)


class Twin:
    """What a publisher can do, done by both; subscriptions are told to one Interest each."""

    def __init__(
        self, epoch: int, statistics: TwinDesk | None = None, *, heeds_interest: bool = False
    ) -> None:
        self.epoch = epoch
        self.interests = (Interest(), Interest()) if heeds_interest else (None, None)
        desks = (statistics or TwinDesk()).desks
        self.publishers = (
            readable.Publisher(epoch, desks[0], self.interests[0]),
            NATIVE.Publisher(epoch, desks[1], self.interests[1]),
        )

    def take(self, message: bytes) -> None:
        """A message that tells of a subscription."""
        for interest in self.interests:
            interest.take(message)

    def load(self, *arguments: Any) -> None:
        for publisher in self.publishers:
            publisher.load(*arguments)

    @property
    def next_due_ns(self) -> int:
        readable_ns, compiled_ns = (publisher.next_due_ns for publisher in self.publishers)
        assert readable_ns == compiled_ns
        return readable_ns

    def __getattr__(self, name: str) -> Any:
        def both(*arguments: Any, **named: Any) -> Any:
            answers = []
            for publisher in self.publishers:
                try:
                    answers.append(getattr(publisher, name)(*arguments, **named))
                except KeyError as error:
                    answers.append(repr(error))
            assert answers[0] == answers[1], (name, arguments)
            if isinstance(answers[0], str) and name != "public_name":
                raise KeyError(*arguments)
            return answers[0]

        return both
