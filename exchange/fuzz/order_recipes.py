"""The fuzzer's orders: of every type, alone and in lists, and everything that changes them afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from exchange.audit.live_orders import Order, Waiting
from exchange.audit.requirement import available
from exchange.audit.state import Account
from exchange.fuzz.choices import STEP_NS, Chooser
from exchange.protocol.messages import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    Command,
    Deposit,
    ListSymbol,
    OrderEntry,
    PlaceOrder,
    PlaceOrders,
    SetCountdown,
)
from exchange.protocol.schema import (
    MAX_LIST_ORDERS,
    MAX_PRICE_TICKS,
    MAX_QTY_LOTS,
    MAX_TIMEOUT_MS,
    ListMode,
    OrderFlag,
    OrderType,
    Side,
    TimeInForce,
    TriggerBy,
)

GTC, IOC, FOK, GTD = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD
POST_ONLY, REDUCE_ONLY = OrderFlag.POST_ONLY, OrderFlag.REDUCE_ONLY
SLIDE, CLOSE_POSITION = OrderFlag.SLIDE, OrderFlag.CLOSE_POSITION
LIMIT_TYPES = (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT)
TRIGGER_TYPES = tuple(kind for kind in OrderType if kind > OrderType.MARKET)
ENTRY_FIELDS = OrderEntry.__struct_fields__


class OrderRecipes(Chooser):
    """One method for each kind of command about orders."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.named: list[PlaceOrder] = []  # orders with a client order id, which may come again

    # -------------------------------------------------------------------------------------- single orders

    def order(self) -> Command:
        """Mostly an order that trades: at or through the other side's best."""
        random = self.random
        listing, account = self.pick_symbol(), self.pick_account()
        owner = self.state.accounts.get(account)
        if owner is not None and random.random() < 0.8 and available(owner) <= 0:
            return self.relief(owner)
        return self.trading_order(account, listing)

    def trading_order(self, account: int, listing: ListSymbol) -> PlaceOrder:
        random = self.random
        leg = self.pick_leg(account)
        side = self.pick_side(leg)
        holding = self.holding(account, listing.symbol, leg)
        reduce_only = bool(holding and holding.lots and random.random() < 0.25)
        if holding and holding.lots and (reduce_only or random.random() < 0.3):
            side = Side.SELL if holding.lots > 0 else Side.BUY
        if random.random() < 0.01:
            reduce_only = True
        order_type = OrderType.MARKET if random.random() < 0.15 else OrderType.LIMIT
        tif = random.choice((GTC,) * 8 + (IOC, IOC, FOK))
        if order_type is OrderType.MARKET and tif is GTC and random.random() < 0.95:
            tif = random.choice((IOC, IOC, IOC, FOK))
        post_only = tif is GTC and random.random() < 0.08
        price = self.price(listing, side)
        lots = self.held_lots(holding, reduce_only)
        order = PlaceOrder(
            account=account,
            symbol=listing.symbol,
            leg=leg,
            side=side,
            order_type=order_type,
            time_in_force=tif,
            self_trade=random.choice((0, 0, 1, 2, 3)),
            flags=POST_ONLY * post_only + REDUCE_ONLY * reduce_only,
            price_ticks=0 if order_type is OrderType.MARKET else price,
            qty_lots=min(MAX_QTY_LOTS, lots or self.quantity(account, listing, price)),
            client_order_id=self.next_client_order_id(),
        )
        return self.remember(self.dress(order, price))

    def dress(self, order: PlaceOrder, price: int) -> PlaceOrder:
        """What else an order may say: slices, an end, a slide, a worst price."""
        random = self.random
        changes: dict[str, Any] = {}
        rests = order.order_type == OrderType.LIMIT and order.time_in_force == GTC
        if rests and random.random() < 0.12:
            changes |= {"time_in_force": GTD, "expires_ns": self.soon_ns()}
        if (rests and random.random() < 0.15) or random.random() < 0.003:
            parts = random.choice((1, 2, 2, 3, 5, 10))
            changes["display_lots"] = max(1, order.qty_lots // parts)
        if (order.flags & POST_ONLY and random.random() < 0.4) or random.random() < 0.003:
            changes["flags"] = order.flags | SLIDE
        if order.order_type == OrderType.MARKET and random.random() < 0.2:
            changes["price_ticks"] = price
        return msgspec.structs.replace(order, **changes)

    def remember(self, order: PlaceOrder) -> PlaceOrder:
        if order.client_order_id:
            self.named = [*self.named[-40:], order]
        return order

    def relief(self, owner: Account) -> Command:
        """What somebody does who has nothing available: close, cancel, or bring money."""
        random = self.random
        held = [holding for holding in owner.holdings.values() if holding.lots]
        choice = random.random()
        if not held or choice < 0.25:
            share = random.choice((10, 50, 100, 200))
            return Deposit(
                account=owner.number, amount_atoms=max(1, self.world.stake_atoms * share // 100)
            )
        if choice < 0.35:
            return CancelAll(account=owner.number)
        holding = random.choice(held)
        if choice < 0.5 and holding.symbol.number in self.stake_lots:
            return self.stop(owner.number, holding.symbol.policy)
        side = Side.SELL if holding.lots > 0 else Side.BUY
        is_market = random.random() < 0.3
        return PlaceOrder(
            account=owner.number,
            symbol=holding.symbol.number,
            leg=holding.leg,
            side=side,
            order_type=OrderType.MARKET if is_market else OrderType.LIMIT,
            time_in_force=IOC if is_market else random.choice((GTC, GTC, IOC)),
            flags=random.choice((0, REDUCE_ONLY)),
            price_ticks=0 if is_market else self.price(holding.symbol.policy, side),
            qty_lots=min(
                MAX_QTY_LOTS, max(1, abs(holding.lots) * random.choice((1, 2, 4, 4)) // 4)
            ),
        )

    def quote(self) -> Command:
        """A resting order near the mark by the one who is rich, so that others find somebody."""
        return self.quote_of(self.random.choice(self.world.accounts[:2]), self.pick_symbol())

    def quote_of(self, account: int, listing: ListSymbol) -> PlaceOrder:
        random = self.random
        leg = self.pick_leg(account)
        side = self.pick_side(leg)
        mark = self.mark_of(listing.symbol)
        away = max(1, mark * random.choice((1, 2, 5, 10, 50, 200)) // 1_000)
        price = mark - away if side is Side.BUY else mark + away
        lots = max(1, self.stake_lots[listing.symbol] * random.randint(1, 30) // 10)
        order = PlaceOrder(
            account=account,
            symbol=listing.symbol,
            leg=leg,
            side=side,
            self_trade=random.choice((0, 1, 2, 3)),
            flags=POST_ONLY if random.random() < 0.3 else 0,
            price_ticks=min(MAX_PRICE_TICKS, max(1, price)),
            qty_lots=min(MAX_QTY_LOTS, lots),
            client_order_id=self.next_client_order_id(),
        )
        return self.remember(self.dress(order, price))

    def conditional(self) -> Command:
        """An order that waits for a price near the one that there is."""
        return self.remember(self.stop(self.pick_account(), self.pick_symbol()))

    def stop(self, account: int, listing: ListSymbol, side: int | None = None) -> PlaceOrder:
        """Of any trigger type; mostly to close what there is, and mostly not reached yet."""
        random = self.random
        leg = self.pick_leg(account)
        holding = self.holding(account, listing.symbol, leg)
        lots = holding.lots if holding else 0
        closes = bool(lots) and random.random() < 0.6
        if side is None:
            side = self.pick_side(leg)
            if closes:
                side = Side.SELL if lots > 0 else Side.BUY
        kind = random.choice(TRIGGER_TYPES)
        trigger_by = random.choice((TriggerBy.MARK, TriggerBy.MARK, TriggerBy.LAST))
        is_limit = kind in LIMIT_TYPES
        fields = self.trigger_fields(kind, side, trigger_by, listing)
        price = fields.get("trigger_ticks") or self.mark_of(listing.symbol)
        limit = min(MAX_PRICE_TICKS, max(1, self.near(price, 50)))
        tif = random.choice((GTC, GTC, GTC, GTD, IOC, FOK) if is_limit else (IOC, IOC, IOC, FOK))
        flags = REDUCE_ONLY if closes and random.random() < 0.5 else 0
        if (closes and not is_limit and random.random() < 0.4) or random.random() < 0.004:
            flags |= CLOSE_POSITION
        if is_limit and tif in (GTC, GTD) and random.random() < 0.15:
            flags |= POST_ONLY | (SLIDE if random.random() < 0.5 else 0)
        is_whole = flags & CLOSE_POSITION and random.random() < 0.97
        quantity = self.held_lots(holding, closes) or self.quantity(account, listing, price)
        order = PlaceOrder(
            account=account,
            symbol=listing.symbol,
            leg=leg,
            side=side,
            order_type=kind,
            time_in_force=tif,
            self_trade=random.choice((0, 0, 1, 2, 3)),
            flags=flags,
            price_ticks=limit if is_limit or random.random() < 0.15 else 0,
            qty_lots=0 if is_whole else min(MAX_QTY_LOTS, quantity),
            client_order_id=self.next_client_order_id(),
            trigger_by=trigger_by,
            expires_ns=self.soon_ns() if tif is GTD else 0,
            **fields,
        )
        if is_limit and tif in (GTC, GTD) and order.qty_lots > 0 and random.random() < 0.15:
            order = msgspec.structs.replace(
                order, display_lots=max(1, order.qty_lots // random.choice((2, 3, 5)))
            )
        return order

    def trigger_fields(
        self, kind: OrderType, side: int, trigger_by: int, listing: ListSymbol
    ) -> dict[str, int]:
        """What sets it off: a step or a leap away, on the side from which it is not reached yet."""
        random = self.random
        watched = (
            self.last_of(listing.symbol)
            if trigger_by == TriggerBy.LAST
            else self.mark_of(listing.symbol)
        )
        if kind is OrderType.TRAILING_STOP:
            if random.random() < 0.5:
                return {"callback_ppm": random.choice((1, 1_000, 10_000, 50_000, 300_000, 999_999))}
            return {
                "callback_ticks": max(1, watched * random.choice((1, 5, 20, 100, 600)) // 1_000)
            }
        away = max(1, watched * random.choice((0, 1, 5, 10, 30, 100, 300)) // 1_000)
        is_profit = kind in (OrderType.TAKE_PROFIT_MARKET, OrderType.TAKE_PROFIT_LIMIT)
        rises = (side == Side.BUY) != is_profit
        if random.random() < 0.06:
            away = random.choice((0, -1, -away))
        return {"trigger_ticks": max(1, watched + away if rises else watched - away)}

    def repeat(self) -> Command:
        """An order with a client order id once more: as it was, or with another content."""
        random = self.random
        if not self.named:
            return self.order()
        order = random.choice(self.named)
        if random.random() < 0.3:
            return msgspec.structs.replace(order, qty_lots=min(MAX_QTY_LOTS, order.qty_lots + 1))
        if random.random() < 0.1:
            return msgspec.structs.replace(order, self_trade=1 - min(1, order.self_trade))
        return order

    # ---------------------------------------------------------------------------------------------- lists

    def list_of_orders(self) -> Command:
        """Several orders in one command, alone or linked."""
        random = self.random
        account, listing = self.pick_account(), self.pick_symbol()
        mode = random.choice(tuple(ListMode))
        if random.random() < 0.25:
            mode = ListMode.ENTRY_WITH_EXITS
        orders = {
            ListMode.EACH: self.each,
            ListMode.ALL_OR_NOTHING: self.all_or_nothing,
            ListMode.ONE_CANCELS_OTHER: self.one_cancels_other,
            ListMode.ENTRY_WITH_EXITS: self.entry_with_exits,
        }[mode](account, listing)
        if random.random() < 0.04:
            mode = random.choice(tuple(ListMode))
        if random.random() < 0.01:
            orders = []
        return PlaceOrders(account=account, list_mode=mode, orders=tuple(map(entry_of, orders)))

    def each(self, account: int, listing: ListSymbol) -> Sequence[PlaceOrder]:
        count = self.random.choice((1, 2, 2, 3, 4, 6))
        return [self.any_order(account) for _ in range(count)]

    def any_order(self, account: int) -> PlaceOrder:
        listing = self.pick_symbol()
        make = self.random.choice((self.trading_order, self.quote_of, self.stop))
        return make(account, listing)

    def all_or_nothing(self, account: int, listing: ListSymbol) -> Sequence[PlaceOrder]:
        """Quotes on both sides, and triggers."""
        orders = []
        for _ in range(self.random.choice((1, 2, 2, 3, 5))):
            order = self.quote_of(account, self.pick_symbol())
            share = self.random.choice((1, 5, 20))
            lots = max(1, order.qty_lots // share)
            quote = msgspec.structs.replace(
                order,
                flags=order.flags | POST_ONLY,
                qty_lots=lots,
                display_lots=min(order.display_lots, lots),
            )
            orders.append(quote if self.random.random() < 0.7 else self.stop(account, listing))
        return orders

    def one_cancels_other(self, account: int, listing: ListSymbol) -> Sequence[PlaceOrder]:
        """A quote and a stop, or two stops, mostly of one side."""
        first = self.stop(account, listing)
        if self.random.random() < 0.4:
            second = self.stop(account, listing, first.side)
        else:
            second = self.quote_of(account, listing)
            if second.time_in_force not in (GTC, GTD):
                second = msgspec.structs.replace(second, time_in_force=GTC)
        orders = [first, self.beside(first, second)]
        self.random.shuffle(orders)
        return orders

    def entry_with_exits(self, account: int, listing: ListSymbol) -> Sequence[PlaceOrder]:
        """An order, and a stop or take-profit or both for what it fills."""
        random = self.random
        entry = self.trading_order(account, listing)
        if random.random() < 0.2:
            entry = self.stop(account, listing)
        keep = ~(REDUCE_ONLY | CLOSE_POSITION)
        lots = max(1, entry.qty_lots)
        entry = msgspec.structs.replace(entry, flags=entry.flags & keep, qty_lots=lots)
        exits = []
        for _ in range(random.choice((1, 2, 2))):
            order = self.stop(account, listing, 1 - min(1, entry.side))
            closes = order.order_type not in LIMIT_TYPES and random.random() < 0.4
            flags = order.flags & keep | (CLOSE_POSITION if closes else REDUCE_ONLY)
            exits.append(
                msgspec.structs.replace(
                    self.beside(entry, order),
                    flags=flags,
                    qty_lots=0 if closes else max(1, lots * random.choice((1, 2, 2, 3)) // 2),
                    time_in_force=GTC if order.time_in_force == GTD else order.time_in_force,
                    expires_ns=0,
                    display_lots=0,
                )
            )
        return [entry, *exits]

    def flood(self) -> Command:
        """As many orders as a list takes, each with a name and gone at once: older names are forgotten."""
        account, listing = self.random.choice(self.world.accounts), self.pick_symbol()
        mark = self.mark_of(listing.symbol)
        orders = []
        for _ in range(MAX_LIST_ORDERS):
            self.client_order_id += 1
            orders.append(
                OrderEntry(
                    symbol=listing.symbol,
                    side=Side.BUY,
                    time_in_force=IOC,
                    flags=0,
                    price_ticks=max(1, mark // 2),
                    qty_lots=listing.min_qty_lots,
                    client_order_id=self.client_order_id,
                )
            )
        return PlaceOrders(account=account, orders=tuple(orders))

    # ------------------------------------------------------------------------------------- what comes after

    def amend(self) -> Command:
        """Something new of one of the newest orders; now and then of none."""
        random = self.random
        order = self.pick_order()
        if order is None or random.random() < 0.03:
            return AmendOrder(
                account=self.pick_account(), order_id=random.randint(0, 50), price_ticks=5
            )
        changes = self.changes_of(order)
        by_client = order.client_order_id and random.random() < 0.5
        return AmendOrder(
            account=order.account if random.random() < 0.98 else self.pick_account(),
            order_id=0 if by_client else order.order_id,
            client_order_id=order.client_order_id if by_client else 0,
            **changes,
        )

    def changes_of(self, order: Order | Waiting) -> dict[str, int]:
        """New fields: mostly price and quantity, of what waits mostly its trigger, now and then what it has not."""
        random, symbol = self.random, order.holding.symbol
        waits = isinstance(order, Waiting)
        changes: dict[str, int] = {}
        if random.random() < (0.2 if waits else 0.6):
            price = self.price(symbol.policy, order.side)
            changes["price_ticks"] = random.choice((price, price, order.price, -1))
            if changes["price_ticks"] == -1 and random.random() < 0.98:
                changes["price_ticks"] = price
        if random.random() < (0.3 if waits else 0.6):
            changes["qty_lots"] = max(
                1, order.open_lots * random.choice((1, 2, 4, 4, 5, 8, 40)) // 4
            )
        if random.random() < (0.5 if isinstance(order, Order) and order.iceberg else 0.02):
            changes["display_lots"] = max(
                1, order.open_lots * random.choice((1, 2, 4, 8, 12)) // 10
            )
        terms = self.state.terms.get(order.order_id)
        if random.random() < (0.5 if terms and terms.expires_ns else 0.02):
            changes["expires_ns"] = self.soon_ns()
        if isinstance(order, Waiting):
            changes |= self.new_trigger(order)
        elif random.random() < 0.01:
            changes["trigger_ticks"] = self.mark_of(symbol.number)
        return changes

    def new_trigger(self, order: Waiting) -> dict[str, int]:
        if self.random.random() < 0.3:
            return {}
        kind = OrderType(order.order_type)
        if self.random.random() < 0.04:
            kind = self.random.choice(TRIGGER_TYPES)
        return self.trigger_fields(kind, order.side, order.trigger_by, order.holding.symbol.policy)

    def cancel(self) -> Command:
        random = self.random
        order = self.pick_order()
        if order is None or random.random() < 0.1:
            return CancelOrder(
                account=self.pick_account(), order_id=random.randint(0, 50), client_order_id=3
            )
        by_client = order.client_order_id and random.random() < 0.5
        return CancelOrder(
            account=order.account,
            order_id=0 if by_client else order.order_id,
            client_order_id=order.client_order_id if by_client else 0,
        )

    def cancel_all(self) -> Command:
        random = self.random
        listing = self.pick_symbol()
        return CancelAll(
            account=self.pick_account(),
            symbol=random.choice((0, listing.symbol, listing.symbol, 999)),
            side=random.choice((0, 1, 2, 2, 2, 3)),
        )

    def countdown(self) -> Command:
        """Mostly so short that it runs out."""
        steps = self.random.choice((0, 1, 2, 5, 10, 40, 500))
        timeout_ms = steps * STEP_NS // 10**6
        if self.random.random() < 0.05:
            timeout_ms = self.random.choice((MAX_TIMEOUT_MS, MAX_TIMEOUT_MS + 1))
        return SetCountdown(account=self.pick_account(), timeout_ms=timeout_ms)


def entry_of(order: PlaceOrder) -> OrderEntry:
    """The order without its account, as a list has it."""
    return OrderEntry(**{name: getattr(order, name) for name in ENTRY_FIELDS})
