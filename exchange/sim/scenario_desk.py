"""What a scenario's expectations are read from: the engine, the names, and what happened since the last of them."""

from __future__ import annotations

from exchange.engine import Engine
from exchange.protocol.messages import Event, Fill
from exchange.protocol.schema import Leg, MarginMode
from exchange.protocol.views import PositionView
from exchange.sim.scenario_names import Names


class Desk:
    """What expectations are read from: the engine, the names, and the events since the last expectation."""

    def __init__(self, engine: Engine, names: Names) -> None:
        self.engine = engine
        self.names = names
        self.realised: dict[tuple[int, int], int] = {}  # by account and symbol, since the start
        self.recent: list[Event] = []

    def watch(self, events: list[Event]) -> None:
        """Takes note of the events of a step."""
        for event in events:
            if isinstance(event, Fill):
                key = (event.account, event.symbol)
                self.realised[key] = self.realised.get(key, 0) + event.realised_atoms
        self.recent.extend(events)

    def position(self, account: int, symbol: int, leg: int = Leg.NET) -> PositionView | None:
        """The engine's picture of account, symbol and leg; None where there is nothing."""
        views = self.engine.positions(account)
        return next((v for v in views if (v.symbol, v.leg) == (symbol, leg)), None)

    def isolated_flags(self, account: int) -> list[bool]:
        views = self.engine.positions(account)
        return [view.liquidating for view in views if view.margin_mode == MarginMode.ISOLATED]
