"""A market without sockets: an engine, a publisher that sees only its events, and what a subscriber makes of it."""

from __future__ import annotations

from twin import Twin

from exchange.bootstrap import missing_commands
from exchange.client.market_data import decode_update
from exchange.client.order_mirror import OrderMirror
from exchange.config import load_config
from exchange.engine import Engine, create_engine
from exchange.gateway.feed import OrderAction, OrdersDelta
from exchange.gateway.publisher import Publication
from exchange.protocol.messages import Command, Deposit, PlaceOrder
from exchange.protocol.records import encode_commands
from exchange.protocol.schema import SelfTradePrevention, Side
from exchange.sequencer import Sequencer

BTC = "BTC-PERP"


class Market:
    """An engine, and a publisher that sees only its events."""

    def __init__(self) -> None:
        self.engine: Engine = create_engine("native")
        self.publisher = Twin(epoch=1)
        self.sequencer = Sequencer(clock=lambda: 1)
        self.apply(*missing_commands(load_config(), self.engine).commands)

    def start_anew(self) -> None:
        """A publisher that knows nothing but the engine's state, as after a restart."""
        self.publisher = Twin(epoch=self.publisher.epoch + 1)
        self.publisher.load(self.engine, self.engine.sequence)

    def published(self, *commands: Command) -> list[Publication]:
        batch = self.sequencer.stamp(encode_commands(commands), len(commands))
        return self.publisher.publications(batch, self.engine.apply(batch.commands))

    def apply(self, *commands: Command) -> list[object]:
        return [decode_update(topic, payload) for topic, payload in self.published(*commands)]


def one_symbol() -> tuple[Market, OrderMirror]:
    """A market with money in it, and a subscriber's copy of its orders."""
    market, mirror = Market(), OrderMirror(1)
    market.apply(*(Deposit(account=account, amount_atoms=10**14) for account in (1, 2, 3)))
    mirror.load(market.publisher.orders_snapshot(1))
    return market, mirror


def place(account: int, side: Side, price_ticks: int, qty_lots: int, **more: int) -> PlaceOrder:
    return PlaceOrder(
        account=account,
        symbol=1,
        side=side,
        price_ticks=price_ticks,
        qty_lots=qty_lots,
        self_trade=SelfTradePrevention.DECREMENT,
        **more,
    )


def changes_of(updates: list[object]) -> list[tuple[str, int, int, int]]:
    """Action, order id, price and what the order shows afterwards."""
    (delta,) = (update for update in updates if isinstance(update, OrdersDelta))
    return [
        (OrderAction(c.action).name, c.order_id, c.price_ticks, c.qty_lots) for c in delta.changes
    ]
