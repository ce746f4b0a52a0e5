"""A desk for tests of the reference engine: commands in, typed events out, in numbers that can be redone by hand.

Unless a test says otherwise one lot at one tick is worth one atom, so that 3 lots at 100 are 300 atoms.
"""

from __future__ import annotations

from typing import Any, TypeVar

from exchange.protocol import messages as m
from exchange.protocol.records import decode_events, encode_command, stamp
from exchange.protocol.schema import CancelReason, FillRole, OrderType, RejectReason, SymbolState
from exchange.protocol.views import OrderView, PositionView
from exchange.reference.engine import ReferenceEngine

BUY, SELL = 0, 1
GTC, IOC, FOK, GTD = 0, 1, 2, 3
CROSS, ISOLATED = 0, 1
POST_ONLY, REDUCE_ONLY, SLIDE, CLOSE_POSITION = 1, 2, 4, 8
MARK, LAST = 0, 1
STOP, STOP_LIMIT = OrderType.STOP_MARKET, OrderType.STOP_LIMIT
PROFIT, PROFIT_LIMIT = OrderType.TAKE_PROFIT_MARKET, OrderType.TAKE_PROFIT_LIMIT
TRAILING = OrderType.TRAILING_STOP
LIMIT_TYPES = (OrderType.LIMIT, STOP_LIMIT, PROFIT_LIMIT)

E = TypeVar("E")


class Desk:
    """One engine and the sequence of what it was told."""

    def __init__(self) -> None:
        self.engine = ReferenceEngine()
        self.time_ns = 0  # 0: time is the sequence

    # ---------------------------------------------------------------------------------- commands

    def send(self, command: Any) -> list[Any]:
        """Applies one command and gives its events."""
        sequence = self.engine.sequence + 1
        record = stamp(encode_command(command), sequence, self.time_ns or sequence)
        return decode_events(self.engine.apply(record))

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

    def waits(self, account: int, side: int, lots: int, kind: int, **more: Any) -> list[Any]:
        """An order that waits for its trigger; the price is 0 where more does not say."""
        return self.do(waiting(account, side, lots, kind, **more))

    def state(self, state: SymbolState, symbol: int = 1, price: int = 0) -> list[Any]:
        return self.do(m.SetSymbolState(symbol=symbol, state=state, price_ticks=price))

    def amend(self, account: int, order_id: int, **change: int) -> list[Any]:
        return self.do(m.AmendOrder(account=account, order_id=order_id, **change))

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

    def live(self, account: int) -> dict[int, OrderView]:
        """The live orders of an account by order id."""
        return {view.order_id: view for view in self.engine.open_orders(account)}

    def book(self, symbol: int = 1) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """(bids, offers) as (price, lots shown), best first."""
        book = self.engine.book(symbol)
        bids, offers = ([(v.price_ticks, v.qty_lots) for v in s] for s in (book.bids, book.asks))
        return bids, offers

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


def waiting(account: int, side: int, lots: int, kind: int, **more: Any) -> m.PlaceOrder:
    """An order with a trigger; immediate, unless it has a limit."""
    settings = {"order_type": kind, "time_in_force": GTC if kind in LIMIT_TYPES else IOC}
    return m.PlaceOrder(account=account, symbol=1, side=side, qty_lots=lots, **settings | more)


def entry(side: int, lots: int, price: int = 0, **more: Any) -> m.OrderEntry:
    """An order of a list: limit, or with a type of its own."""
    settings: dict[str, Any] = {"symbol": 1}
    kind = more.get("order_type", OrderType.LIMIT)
    if kind not in LIMIT_TYPES:
        settings["time_in_force"] = IOC
    return m.OrderEntry(side=side, qty_lots=lots, price_ticks=price, **settings | more)


def place_list(account: int, mode: int, *orders: m.OrderEntry) -> m.PlaceOrders:
    return m.PlaceOrders(account=account, list_mode=mode, orders=orders)


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
