"""An engine with one symbol and traders whose credit never ends, and its book as a subscriber of market data sees it.

Theory of operation.  Recordings do not say whose an order is.  Buys belong to odd account numbers and sells to even
ones, so no order ever meets its own account; how many accounts share the orders is the caller's choice.  Every command
goes through the engine alone, because what the next one has to be can depend on what the last one did (an order that is
already filled cannot be amended).  The records are kept, so that the same stream can be applied again in batches,
against a clock.
"""

from __future__ import annotations

from typing import NamedTuple

from exchange.client.book_mirror import BookMirror
from exchange.client.market_data import decode_update
from exchange.engine import Engine, create_engine
from exchange.errors import CorruptionError
from exchange.flow.lines import FlowError
from exchange.flow.recording import Maker
from exchange.gateway.feed import BookDelta
from exchange.gateway.publishing import create_publisher
from exchange.peek import EVENT_START, event_number, field_reader
from exchange.protocol import messages, schema
from exchange.protocol.records import count_records, encode_command, encode_commands, stamp
from exchange.protocol.schema import (
    REJECT_PROSE,
    FillRole,
    OrderType,
    RejectReason,
    Side,
    SymbolState,
    TimeInForce,
)
from exchange.sequencer import Batch

SYMBOL = 1
ACCEPTED, REJECTED, FILL, CANCELLED, UNCROSSED = map(
    event_number, ("accepted", "rejected", "fill", "order_cancelled", "auction_uncrossed")
)
read_accepted = field_reader("accepted", "order_id")
read_rejected = field_reader("rejected", "reason")
read_fill = field_reader("fill", "role", "order_id", "price_ticks", "qty_lots", "open_lots")
read_cancelled = field_reader("order_cancelled", "order_id", "open_lots")
read_uncrossed = field_reader("auction_uncrossed", "price_ticks", "qty_lots")


class Order:
    """An order of the recording as the engine has it."""

    __slots__ = (
        "account",
        "filled_lots",
        "live",
        "name",
        "order_id",
        "price_ticks",
        "side",
        "total_lots",
    )

    def __init__(
        self, name: str, account: int, side: Side, price_ticks: int, total_lots: int
    ) -> None:
        self.name = name  # its id in the recording
        self.order_id = 0
        self.account = account
        self.side = side
        self.price_ticks = price_ticks
        self.total_lots = total_lots
        self.filled_lots = 0
        self.live = True

    @property
    def open_lots(self) -> int:
        return self.total_lots - self.filled_lots


class Hit(NamedTuple):
    """A fill as the aggressor sees it: which resting order of the recording, at what price, for how much."""

    maker: Maker
    price_ticks: int


class Outcome:
    """What the engine did with one command."""

    __slots__ = ("auction_fills", "auction_ticks", "cancelled_lots", "hits", "order_id", "reason")

    def __init__(self) -> None:
        self.order_id = 0
        self.reason = 0  # why it was rejected; 0: it was accepted
        self.hits: list[Hit] = []
        self.cancelled_lots = 0
        self.auction_ticks = 0  # price of the auction that it led to; 0: none
        self.auction_fills: list[Maker] = []  # buy and sell of each fill in turn


def listing() -> messages.ListSymbol:
    """A perpetual with fees and brackets: an atom a tick and lot, and no filter that a recorded order could meet."""
    return messages.ListSymbol(
        symbol=SYMBOL,
        name="RECORDED",
        tick_size_e12=10**12,
        lot_size_e12=10**4,
        atoms_per_tick_lot=1,
        initial_margin_ppm=100_000,
        taker_fee_ppm=500,
        maker_fee_ppm=200,
        max_open_orders=(1 << 32) - 1,
        exposure_limit_atoms=schema.MAX_EXPOSURE_ATOMS,
        brackets=(
            (0, 5_000, 10_000),
            (1_000_000_000, 10_000, 20_000),
            (10_000_000_000, 25_000, 50_000),
        ),
    )


def opening_commands(accounts: int, mark_ticks: int) -> bytes:
    """Lists the symbol, sets its mark, and gives each account its share of all the money that there may be."""
    share_atoms = schema.MAX_AMOUNT_ATOMS // accounts
    commands: list[messages.Command] = [
        listing(),
        messages.SetMark(symbol=SYMBOL, price_ticks=mark_ticks),
        *(messages.Deposit(account=n, amount_atoms=share_atoms) for n in range(1, accounts + 1)),
    ]
    return stamp(encode_commands(commands), 1, 0)


class Venue:
    """Takes the orders of a recording one by one; tells what was hit, and shows the book."""

    def __init__(self, engine_kind: str, *, margin: bool, accounts: int, mark_ticks: int) -> None:
        self.engine: Engine = create_engine(engine_kind, margin=margin)
        self.opening = opening_commands(accounts, mark_ticks)
        self.records: list[bytes] = []  # what was applied after the opening
        self.mirror = BookMirror(SYMBOL)
        self._publisher = create_publisher(epoch=1)
        self._pairs = accounts // 2
        self._placed = 0
        self._orders: dict[int, Order] = {}  # by the engine's id: whatever rests, or may
        self._publish(self.opening, count_records(self.opening), self.engine.apply(self.opening))
        self.mirror.load(self._publisher.snapshot(SYMBOL))

    # ---------------------------------------------------------------------------------------- orders

    def add(
        self, name: str, side: Side, price_ticks: int, qty_lots: int, t_ns: int
    ) -> tuple[Order, Outcome]:
        """A good-till-cancel limit order."""
        order = Order(name, self._next_account(side), side, price_ticks, qty_lots)
        command = messages.PlaceOrder(
            account=order.account,
            symbol=SYMBOL,
            side=side,
            price_ticks=price_ticks,
            qty_lots=qty_lots,
        )
        return order, self._enter(order, command, t_ns)

    def take(self, side: Side, price_ticks: int, qty_lots: int, t_ns: int) -> Outcome:
        """An immediate-or-cancel limit order."""
        order = Order("", self._next_account(side), side, price_ticks, qty_lots)
        command = messages.PlaceOrder(
            account=order.account,
            symbol=SYMBOL,
            side=side,
            order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.IOC,
            price_ticks=price_ticks,
            qty_lots=qty_lots,
        )
        return self._enter(order, command, t_ns)

    def cancel(self, order: Order, t_ns: int) -> Outcome:
        """Cancels an order; one that is gone already is refused as unknown."""
        command = messages.CancelOrder(account=order.account, order_id=order.order_id)
        return self._send(command, t_ns, RejectReason.UNKNOWN_ORDER)

    def reduce(self, order: Order, qty_lots: int, t_ns: int) -> Outcome:
        """Takes ``qty_lots`` off what is open; the order keeps its place."""
        if qty_lots >= order.open_lots:
            return self.cancel(order, t_ns)
        return self._amend(order, order.price_ticks, order.total_lots - qty_lots, t_ns)

    def replace(
        self, order: Order, price_ticks: int, qty_lots: int, t_ns: int
    ) -> tuple[Order, Outcome]:
        """Gives an order a new price and open quantity, at the back of the queue; it may trade.

        To the engine that is an amend, except where the price is the same and the quantity no larger: such an amend
        keeps its place, so the order is cancelled and placed anew.
        """
        if price_ticks != order.price_ticks or qty_lots > order.open_lots:
            return order, self._amend(order, price_ticks, qty_lots + order.filled_lots, t_ns)
        self.cancel(order, t_ns)
        return self.add(order.name, order.side, price_ticks, qty_lots, t_ns)

    def set_state(self, state: SymbolState, t_ns: int) -> Outcome:
        """The operator's: collect orders, or open; to open a book that crosses itself is an auction."""
        return self._send(messages.SetSymbolState(symbol=SYMBOL, state=state), t_ns)

    def _next_account(self, side: Side) -> int:
        account: int = 2 * (self._placed % self._pairs) + 1 + side
        self._placed += 1
        return account

    def _enter(self, order: Order, command: messages.PlaceOrder, t_ns: int) -> Outcome:
        # The id that it will have: the engine counts orders, and none of these is refused.
        order.order_id = self._placed
        self._orders[order.order_id] = order
        outcome = self._send(command, t_ns)
        if outcome.order_id != order.order_id:
            raise CorruptionError(
                f"order ids count placements: wanted {order.order_id}, the engine gave {outcome.order_id}"
            )
        return outcome

    def _amend(self, order: Order, price_ticks: int, total_lots: int, t_ns: int) -> Outcome:
        order.price_ticks, order.total_lots = price_ticks, total_lots
        return self._send(
            messages.AmendOrder(
                account=order.account,
                order_id=order.order_id,
                price_ticks=price_ticks,
                qty_lots=total_lots,
            ),
            t_ns,
        )

    # ------------------------------------------------------------------------------- commands and events

    def _send(self, command: messages.Command, t_ns: int, may_be: int = 0) -> Outcome:
        """Applies one command; a rejection other than the one that ``may_be`` is an error."""
        record = stamp(encode_command(command), self.engine.sequence + 1, t_ns)
        self.records.append(record)
        events = self.engine.apply(record)
        outcome = self._read(events)
        if outcome.reason not in (0, may_be):
            reason = RejectReason(outcome.reason)
            raise FlowError(
                f"the recording needs {command}, which the engine refuses: {REJECT_PROSE[reason]}; credit is as "
                "large as the engine can count, with --margin off it does not matter"
            )
        self._publish(record, 1, events)
        return outcome

    def _read(self, events: bytes) -> Outcome:
        outcome, at = Outcome(), 0
        while at < len(events):
            number, size, _, _ = EVENT_START.unpack_from(events, at)
            if number == ACCEPTED:
                (outcome.order_id,) = read_accepted(events, at)
            elif number == FILL:
                self._read_fill(outcome, *read_fill(events, at))
            elif number == CANCELLED:
                order_id, outcome.cancelled_lots = read_cancelled(events, at)
                self._orders.pop(order_id).live = False
            elif number == UNCROSSED:
                outcome.auction_ticks, _ = read_uncrossed(events, at)
            elif number == REJECTED:
                (outcome.reason,) = read_rejected(events, at)
            at += size
        return outcome

    def _read_fill(
        self,
        outcome: Outcome,
        role: int,
        order_id: int,
        price_ticks: int,
        qty_lots: int,
        open_lots: int,
    ) -> None:
        order = self._orders[order_id]
        order.filled_lots += qty_lots
        if role == FillRole.MAKER:
            outcome.hits.append(Hit(Maker(order.name, qty_lots), price_ticks))
        elif role == FillRole.AUCTION:
            outcome.auction_fills.append(Maker(order.name, qty_lots))
        if open_lots == 0:
            self._orders.pop(order_id).live = False

    def _publish(self, commands: bytes, count: int, events: bytes) -> None:
        """Market data of these events, sent and read: the mirror knows the book from nothing else."""
        sequence = self.engine.sequence
        batch = Batch(sequence - count + 1, count, self.engine.timestamp_ns, commands)
        for topic, payload in self._publisher.publications(batch, events):
            if topic.startswith(b"book."):
                update = decode_update(topic, payload)
                assert isinstance(update, BookDelta)
                self.mirror.apply(update)

    def check_mirror(self) -> None:
        """The subscriber's book and the engine's are one and the same."""
        book = self.engine.book(SYMBOL)
        if (self.mirror.bids, self.mirror.asks) != (book.bids, book.asks):
            raise CorruptionError(
                f"after command {self.engine.sequence} the book made of market data is not the engine's book"
            )
