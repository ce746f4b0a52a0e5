"""A trader with a mind of its own: override what you want to hear of, and say what to do.  No I/O.

Theory of operation.  A bot is told one thing after the other and answers each with commands, which `do` collects.
Whoever drives it - ``bot_runner`` on a node, the demonstration's market in this process, a test by hand - sends them,
together and in order, and tells nothing else before they are answered.  So a bot never decides on a position that its
own last command has changed already; it needs no locks; and what it does depends on what it was told and on nothing
else.  The order of what is told: own events as they happened (`on_event`, and for a fill then `on_fill`), then trades,
marks and then each book that changed, once, then the timer.

>>> class Buyer(Bot):
...     symbols = ("BTC-PERP",)
...     def on_trade(self, symbol, trade):
...         self.do(CancelAll(symbol=trade.symbol))
>>> from exchange.gateway.feed import Trade
>>> buyer = Buyer(account=7)
>>> trade = Trade(epoch=1, sequence=1, engine_sequence=1, timestamp_ns=0, symbol=1, trade_id=1, side=0,
...     price_ticks=600_000, qty_lots=5, liquidation=False, auction=False)
>>> buyer.see_trade("BTC-PERP", trade)
[CancelAll(account=7, symbol=1, side=2, sequence=0, timestamp_ns=0)]
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Unpack

import msgspec

from exchange.client.asks import Asks, Changes, OrderOptions, SymbolLike
from exchange.client.book_mirror import BookMirror
from exchange.client.errors import RequestRefused
from exchange.client.step_builders import StepBuilders
from exchange.gateway.feed import Trade
from exchange.protocol.messages import CancelAll, Command, Event, Fill
from exchange.protocol.schema import Side
from exchange.protocol.views import AccountView, PositionView, SymbolView
from exchange.units import Number, SymbolUnits

__all__ = ["Bot", "CancelAll"]


class Bot(StepBuilders):
    """One account that acts by itself.

    The builders of a client (``limit_order``, ``amend_step``, ...) are there, for ``do``.
    """

    #: Whose trades, marks and books it wants to hear of.
    symbols: Sequence[str] = ()
    #: How often ``on_timer`` is called; 0: never.
    timer_s: float = 0.0

    def __init__(self, account: int) -> None:
        self.account = account
        self.wallet_atoms = 0  # as last told
        self.is_finished = False
        self._ask = Asks(account)
        self._held: dict[tuple[int, int], int] = {}  # symbol, leg -> signed lots
        self._marks: dict[int, Decimal] = {}
        self._commands: list[Command] = []

    # ---- what it hears: override these

    def on_start(self) -> None:
        """It is connected, and wallet and positions are known."""

    def on_event(self, event: Event) -> None:
        """Something happened to its account; rejections of its own commands, too."""

    def on_fill(self, fill: Fill) -> None:
        """An order of its account traded; its position is the new one already."""

    def on_trade(self, symbol: str, trade: Trade) -> None:
        """Somebody traded a symbol that it follows."""

    def on_book(self, symbol: str, book: BookMirror) -> None:
        """The book of a symbol that it follows has changed; several changes at once are told once."""

    def on_mark(self, symbol: str, price: Decimal) -> None:
        """The mark of a symbol that it follows has moved."""

    def on_timer(self) -> None:
        """Its time has come again."""

    def on_reconnect(self, missed: bool) -> None:
        """The connection was lost and is there again.

        What happened in between was told, or is about to be; with ``missed`` it was not: wallet and positions are
        asked for anew, what orders it has the bot should find out.
        """

    def on_refused(self, commands: Sequence[Command], refused: RequestRefused) -> None:
        """The node did not take these commands; nothing of them happened.  Raises it, unless overridden."""
        raise refused

    # ---- what it does

    def do(self, *commands: Command) -> None:
        """Commands to send when this call is over, together and in order; they act for the bot's account."""
        self._commands += [
            msgspec.structs.replace(command, account=command.account or self.account)
            for command in commands
        ]

    def limit(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number,
        price: Number,
        **options: Unpack[OrderOptions],
    ) -> None:
        """A limit order."""
        self.do(self.limit_order(symbol, side, quantity, price, **options))

    def market(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number,
        **options: Unpack[OrderOptions],
    ) -> None:
        """A market order."""
        self.do(self.market_order(symbol, side, quantity, **options))

    def amend(
        self,
        symbol: SymbolLike,
        order_id: int = 0,
        *,
        client_order_id: int = 0,
        **changes: Unpack[Changes],
    ) -> None:
        """A new price, quantity, trigger ... of an order."""
        self.do(self.amend_step(symbol, order_id, client_order_id=client_order_id, **changes))

    def cancel(self, order_id: int = 0, *, client_order_id: int = 0) -> None:
        """An order goes."""
        self.do(self.cancel_step(order_id, client_order_id=client_order_id))

    def cancel_all(self, symbol: SymbolLike | None = None, side: Side | str | None = None) -> None:
        """All orders go, or those of a symbol and a side."""
        self.do(self.cancel_all_step(symbol, side))

    def finish(self) -> None:
        """Ends the run, after what was said to do is done."""
        self.is_finished = True

    # ---- what it knows

    def held_lots(self, symbol: SymbolLike) -> int:
        """Its position, + long, both legs together."""
        number = self._ask.number_of(symbol)
        return sum(lots for (held, _), lots in self._held.items() if held == number)

    def mark(self, symbol: SymbolLike) -> Decimal | None:
        """The mark price of a symbol, as last told; None if there is none yet."""
        listed = self._ask.listed(symbol)
        return self._marks.get(listed.view.symbol, listed.mark)

    def units(self, symbol: SymbolLike) -> SymbolUnits:
        """Ticks and lots of a symbol, to decimals and back."""
        return self._ask.listed(symbol).units

    # ---- the side of whoever drives it: each call gives the commands that it made the bot want

    def learn(self, symbols: Sequence[SymbolView]) -> None:
        """What is listed."""
        self._ask.learn_symbols(symbols)

    def load(self, account: AccountView, positions: Sequence[PositionView]) -> None:
        """How the account stands."""
        self.wallet_atoms = account.wallet_atoms
        self._held = {(p.symbol, p.leg): p.position_lots for p in positions}

    def start(self) -> list[Command]:
        self.on_start()
        return self.take_commands()

    def hear(self, event: Event) -> list[Command]:
        self.wallet_atoms = getattr(event, "wallet_atoms", self.wallet_atoms)
        if isinstance(event, Fill):
            self._held[event.symbol, event.leg] = event.position_lots
        self.on_event(event)
        if isinstance(event, Fill):
            self.on_fill(event)
        return self.take_commands()

    def see_trade(self, symbol: str, trade: Trade) -> list[Command]:
        self.on_trade(symbol, trade)
        return self.take_commands()

    def see_mark(self, symbol: str, price_ticks: int) -> list[Command]:
        price = self.units(symbol).ticks_to_price(price_ticks)
        self._marks[self._ask.number_of(symbol)] = price
        self.on_mark(symbol, price)
        return self.take_commands()

    def see_book(self, symbol: str, book: BookMirror) -> list[Command]:
        self.on_book(symbol, book)
        return self.take_commands()

    def tick(self) -> list[Command]:
        self.on_timer()
        return self.take_commands()

    def come_back(self, missed: bool) -> list[Command]:
        self.on_reconnect(missed)
        return self.take_commands()

    def refuse(self, commands: Sequence[Command], refused: RequestRefused) -> list[Command]:
        self.on_refused(commands, refused)
        return self.take_commands()

    def take_commands(self) -> list[Command]:
        """What it wants to be sent, once."""
        commands, self._commands = self._commands, []
        return commands
