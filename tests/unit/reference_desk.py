"""A desk for tests of the reference engine: commands in, typed events out, in numbers that can be redone by hand.

Unless a test says otherwise one lot at one tick is worth one atom, so that 3 lots at 100 are 300 atoms.
"""

from __future__ import annotations

from typing import Any, TypeVar

from exchange.protocol import messages as m
from exchange.protocol.records import decode_events, encode_command, stamp
from exchange.protocol.schema import CancelReason, FillRole, RejectReason
from exchange.protocol.views import PositionView
from exchange.reference.engine import ReferenceEngine

BUY, SELL = 0, 1
GTC, IOC, FOK = 0, 1, 2
CROSS, ISOLATED = 0, 1
POST_ONLY, REDUCE_ONLY = 1, 2

E = TypeVar("E")


class Desk:
    """One engine and the sequence of what it was told."""

    def __init__(self) -> None:
        self.engine = ReferenceEngine()

    # ---------------------------------------------------------------------------------- commands

    def send(self, command: Any) -> list[Any]:
        """Applies one command and gives its events."""
        sequence = self.engine.sequence + 1
        return decode_events(self.engine.apply(stamp(encode_command(command), sequence, sequence)))

    def do(self, command: Any) -> list[Any]:
        """Applies one command that must be accepted; the events after the first."""
        first, *rest = self.send(command)
        assert isinstance(first, m.Accepted), (command, RejectReason(first.reason).name)
        return rest

    def refuse(self, command: Any) -> str:
        """Applies one command that must be rejected and change nothing; the reason's name."""
        before = self.engine.digest(), self.engine.accounts()
        events = self.send(command)
        assert len(events) == 1 and isinstance(events[0], m.Rejected), events
        assert (self.engine.digest(), self.engine.accounts()) == before
        return RejectReason(events[0].reason).name.lower()

    def list(self, symbol: int = 1, **policy: Any) -> None:
        settings: dict[str, Any] = {
            "name": f"S{symbol}",
            "tick_size_e12": 10**8,
            "lot_size_e12": 10**8,
            "atoms_per_tick_lot": 1,
            "initial_margin_ppm": 100_000,
            "brackets": ((0, 50_000, 0),),
        }
        self.do(m.ListSymbol(symbol=symbol, **settings | policy))

    def deposit(self, account: int, amount: int) -> list[Any]:
        return self.do(m.Deposit(account=account, amount_atoms=amount))

    def mark(self, price: int, symbol: int = 1) -> list[Any]:
        return self.do(m.SetMark(symbol=symbol, price_ticks=price))

    def isolate(self, account: int, symbol: int = 1, rate: int = 0) -> list[Any]:
        return self.do(
            m.SetMarginMode(
                account=account, symbol=symbol, margin_mode=ISOLATED, initial_margin_ppm=rate
            )
        )

    def order(self, account: int, side: int, lots: int, price: int = 0, **more: Any) -> list[Any]:
        return self.do(order(account, side, lots, price, **more))

    def trade(
        self, buyer: int, seller: int, lots: int, price: int, symbol: int = 1
    ) -> tuple[m.Fill, m.Fill]:
        """The seller's order rests, the buyer's takes it: (maker's fill, taker's fill)."""
        self.order(seller, SELL, lots, price, symbol=symbol)
        maker, taker = fills(self.order(buyer, BUY, lots, price, symbol=symbol))
        return maker, taker

    # ----------------------------------------------------------------------------------- answers

    def wallet(self, account: int) -> int:
        return self.engine.account(account).wallet_atoms

    def position(self, account: int, symbol: int = 1) -> PositionView:
        return next(p for p in self.engine.positions(account) if p.symbol == symbol)

    def holding(self, account: int, symbol: int = 1) -> tuple[int, int]:
        """(signed lots, signed entry value); zeros if there is none."""
        for p in self.engine.positions(account):
            if p.symbol == symbol:
                return p.position_lots, p.entry_value_atoms
        return 0, 0


def order(account: int, side: int, lots: int, price: int = 0, **more: Any) -> m.PlaceOrder:
    """A limit order or, without a price, an immediate market order."""
    settings: dict[str, Any] = {"symbol": 1}
    if not price:
        settings |= {"order_type": 1, "time_in_force": IOC}
    return m.PlaceOrder(
        account=account, side=side, qty_lots=lots, price_ticks=price, **settings | more
    )


def only(events: list[Any], kind: type[E]) -> list[E]:
    """The events of one type."""
    return [event for event in events if isinstance(event, kind)]


def fills(events: list[Any], role: FillRole | None = None) -> list[m.Fill]:
    return [fill for fill in only(events, m.Fill) if role is None or fill.role == role]


def cancelled(events: list[Any]) -> list[tuple[int, str, int]]:
    """(order id, reason, open lots) of each cancelled order."""
    return [
        (event.order_id, CancelReason(event.reason).name.lower(), event.open_lots)
        for event in only(events, m.OrderCancelled)
    ]


def names(events: list[Any]) -> list[str]:
    """The types of events, in order."""
    return [type(event).__name__ for event in events]
