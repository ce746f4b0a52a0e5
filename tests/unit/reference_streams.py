"""Random streams of all commands for the reference engine: small numbers, so that everything meets everything."""

from __future__ import annotations

from random import Random
from typing import Any

from exchange.protocol import messages as m
from exchange.protocol.schema import ListMode, OrderFlag, OrderType, SymbolState, TimeInForce
from exchange.reference.order import LIMIT_TYPES, STOPS, LinkRole, Order
from exchange.reference.state import State

ACCOUNTS = (1, 2, 3, 4, 5)
SYMBOLS = (1, 2)
STATES = (
    SymbolState.PRE_OPEN,
    SymbolState.AUCTION,
    SymbolState.AUCTION,
    SymbolState.CANCEL_ONLY,
    SymbolState.HALTED,
)
POST_ONLY, REDUCE_ONLY = OrderFlag.POST_ONLY, OrderFlag.REDUCE_ONLY
SLIDE, CLOSE = OrderFlag.SLIDE, OrderFlag.CLOSE_POSITION
GTD = TimeInForce.GTD


class Stream:
    """Commands one after the other, of a seed; it looks at the state, so that many of them are accepted."""

    def __init__(self, seed: int, state: State) -> None:
        self.random = Random(seed)
        self.state = state
        self.now_ns = 1_000
        self.settles = self.random.random() < 0.2
        self.placed: list[m.PlaceOrder] = []

    def opening(self) -> list[Any]:
        draw = self.random
        listings = [self.listing(symbol) for symbol in SYMBOLS]
        marks = [m.SetMark(symbol=symbol, price_ticks=100) for symbol in SYMBOLS]
        money = [
            m.Deposit(account=account, amount_atoms=draw.choice((400, 2_000, 9_000)))
            for account in ACCOUNTS
        ]
        fund = m.DepositFund(fund=0, amount_atoms=draw.choice((5, 500)))
        trade = [
            m.PlaceOrder(account=1, symbol=1, side=side, price_ticks=100, qty_lots=1)
            for side in (1, 1, 0)
        ]
        trade[2] = m.PlaceOrder(account=2, symbol=1, side=0, price_ticks=100, qty_lots=1)
        return [*listings, *marks, *money, fund, *trade]

    def listing(self, symbol: int) -> m.ListSymbol:
        draw = self.random
        taker, maker = draw.choice(((0, 0), (500, 200), (5_000, -400)))
        return m.ListSymbol(
            symbol=symbol,
            name=f"S{symbol}",
            tick_size_e12=10**8,
            lot_size_e12=10**8,
            atoms_per_tick_lot=1,
            initial_margin_ppm=100_000,
            brackets=((0, 50_000, 0),),
            taker_fee_ppm=taker,
            maker_fee_ppm=maker,
            price_band_ppm=draw.choice((-1, -1, 60_000)),
            max_open_orders=draw.choice((6, 200)),
            min_notional_atoms=draw.choice((0, 0, 150)) if symbol == 2 else 0,
            liquidation_mode=draw.randrange(3),
            liquidation_fee_ppm=draw.choice((0, 5_000)),
            slippage_cap_ppm=draw.choice((-1, 100_000)),
            exposure_limit_atoms=draw.choice((200_000, 1 << 50)),
        )

    def next(self) -> Any:
        """The next command; time goes on before it."""
        self.now_ns += (
            10**6 if self.random.random() < 0.02 else self.random.choice((0, 1, 1, 5, 20))
        )
        kinds = (
            (self.place, 30),
            (self.place_list, 18),
            (self.set_mark, 16),
            (self.amend, 14),
            (self.cancel, 4),
            (self.cancel_all, 1),
            (self.symbol_state, 5),
            (self.countdown, 2),
            (self.group, 1),
            (self.margin_mode, 3),
            (self.money, 4),
            (self.funding, 1),
            (m.AdvanceTime, 3),
        )
        chosen = self.random.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])
        return chosen[0]()

    # ------------------------------------------------------------------------------------------ orders

    def account(self) -> int:
        return self.random.choice(ACCOUNTS)

    def symbol(self) -> int:
        return self.random.choice((1, 1, 2))

    def mark_of(self, symbol: int) -> int:
        listed = self.state.symbols.get(symbol)
        return listed.mark_ticks if listed else 100

    def price(self, symbol: int) -> int:
        return max(1, self.mark_of(symbol) + self.random.randint(-6, 6))

    def terms(self, account: int, symbol: int, **forced: int) -> dict[str, int]:
        """An order of the account on the symbol, mostly one that may be."""
        draw = self.random
        kind = forced.get("order_type", draw.choice((0, 0, 0, 0, 1, 2, 3, 4, 5, 6)))
        is_limit = kind in LIMIT_TYPES
        tif = draw.choice((0, 0, 0, 0, 1, 2, 3)) if is_limit else draw.choice((1, 1, 2))
        tif = forced.get("time_in_force", tif)
        rests = is_limit and tif in (TimeInForce.GTC, GTD)
        lots = draw.choice((1, 2, 3, 5, 9, 9, 30, 60))
        side = forced.get("side", draw.randrange(2))
        flags = 0
        if draw.random() < 0.3:  # what reduces, where there is something to reduce
            held = self.state.position(account, symbol, 0).lots if symbol in SYMBOLS else 0
            side = forced.get("side", int(held > 0)) if held or draw.random() < 0.2 else side
            flags = REDUCE_ONLY if held else 0
        if rests:
            flags |= draw.choice((0, 0, 0, POST_ONLY, POST_ONLY | SLIDE))
        terms = {
            "symbol": symbol,
            "side": side,
            "order_type": kind,
            "time_in_force": tif,
            "self_trade": draw.randrange(4),
            "flags": flags,
            "price_ticks": self.price(symbol) if is_limit or draw.random() < 0.2 else 0,
            "qty_lots": lots,
            "client_order_id": draw.choice((0, 0, draw.randint(1, 300))),
            "display_lots": draw.randint(1, lots) if rests and draw.random() < 0.3 else 0,
            "expires_ns": self.now_ns + draw.randint(1, 200) if tif == GTD else 0,
        }
        terms |= self.trigger(kind, side, symbol)
        if kind in (2, 4, 6) and flags & REDUCE_ONLY and draw.random() < 0.5:
            terms |= {"flags": CLOSE, "qty_lots": 0}
        if draw.random() < 0.04:
            self.spoil(terms)
        return terms | forced

    def spoil(self, terms: dict[str, int]) -> None:
        """Makes an order that cannot be, or that can by chance."""
        name = self.random.choice(list(terms))
        bytes_of = {"symbol": 4, "flags": 4, "callback_ppm": 4}
        small = ("side", "order_type", "time_in_force", "self_trade", "trigger_by")
        most = 255 if name in small else 256 ** bytes_of.get(name, 7) - 1
        terms[name] = min(most, self.random.choice((0, 1, 7, 64, 10**12 + 1)))

    def trigger(self, kind: int, side: int, symbol: int) -> dict[str, int]:
        draw = self.random
        if kind < OrderType.STOP_MARKET:
            return {}
        listed = self.state.symbols.get(symbol)
        last = listed.last_ticks if listed else 0
        by_last = draw.randrange(2) if last else int(draw.random() < 0.05)
        if kind == OrderType.TRAILING_STOP:
            distance = draw.choice(
                ({"callback_ticks": draw.randint(1, 5)}, {"callback_ppm": draw.choice((9_999, 1))})
            )
            return distance | {"trigger_by": by_last}
        watched = last if by_last else self.mark_of(symbol)
        away = draw.randint(1, 6) if draw.random() < 0.95 else -1
        rises = (kind in STOPS) == (side == 0)
        return {
            "trigger_by": by_last,
            "trigger_ticks": max(1, watched + (away if rises else -away)),
        }

    def place(self) -> Any:
        if self.placed and self.random.random() < 0.05:
            return self.random.choice(self.placed)  # once more
        account = self.account()
        order = m.PlaceOrder(account=account, **self.terms(account, self.symbol()))
        self.placed.append(order)
        return order

    def place_list(self) -> Any:
        draw, account, symbol = self.random, self.account(), self.symbol()
        mode = draw.choice(list(ListMode))
        if mode == ListMode.ONE_CANCELS_OTHER:
            other = draw.choice((0, 0, 0, 2, 6))
            entries = [
                self.terms(account, symbol, order_type=0, time_in_force=0)
                if other == 0
                else self.terms(account, symbol, order_type=other),
                self.terms(account, symbol, order_type=draw.randint(2, 6)),
            ]
            draw.shuffle(entries)
        elif mode == ListMode.ENTRY_WITH_EXITS:
            entry = self.terms(account, symbol)
            entry["flags"] &= POST_ONLY | SLIDE
            entry["qty_lots"] = entry["qty_lots"] or 3
            exits = [self.exit(account, entry) for _ in range(draw.randint(1, 2))]
            entries = [entry, *exits]
        elif mode == ListMode.ALL_OR_NOTHING:
            entries = [self.kept(account, symbol) for _ in range(draw.randint(1, 4))]
        else:
            entries = [self.terms(account, self.symbol()) for _ in range(draw.randint(1, 5))]
        orders = tuple(m.OrderEntry(**entry) for entry in entries)
        return m.PlaceOrders(account=account, list_mode=mode, orders=orders)

    def exit(self, account: int, entry: dict[str, int]) -> dict[str, int]:
        draw, kind = self.random, self.random.randint(2, 6)
        tif = draw.choice((0, 1, 2)) if kind in LIMIT_TYPES else draw.choice((1, 2))
        side, symbol = 1 - (entry["side"] & 1), min(entry["symbol"], 2)
        made = self.terms(account, symbol, order_type=kind, time_in_force=tif, side=side)
        if draw.random() < 0.3 and kind in (2, 4, 6):
            return made | {"flags": CLOSE, "qty_lots": 0}
        made["flags"] |= REDUCE_ONLY
        made["qty_lots"] = made["qty_lots"] or 3
        return made

    def kept(self, account: int, symbol: int) -> dict[str, int]:
        """An order that does not act at once."""
        if self.random.random() < 0.5:
            return self.terms(account, symbol, order_type=self.random.choice((2, 3, 6)))
        made = self.terms(account, symbol, order_type=0, time_in_force=0)
        away = self.random.randint(-1, 5)
        price = self.mark_of(symbol) + (away if made["side"] else -away)
        return made | {"flags": POST_ONLY | self.random.choice((0, SLIDE)), "price_ticks": price}

    # ------------------------------------------------------------------------------------ live orders

    def live_order(self) -> Order | None:
        live = [*self.state.orders.values(), *self.state.waiting.values()]
        return self.random.choice(live) if live else None

    def amend(self) -> Any:
        draw, order = self.random, self.live_order()
        symbol = order.symbol if order else 1
        change = {
            "price_ticks": self.price(symbol),
            "qty_lots": draw.choice((1, 4, 8, 12, 40)),
            "display_lots": draw.randint(1, 4),
            "expires_ns": self.now_ns + draw.randint(1, 100),
            "trigger_ticks": self.price(symbol),
            "callback_ticks": draw.randint(1, 5),
            "callback_ppm": draw.choice((5_000, 50_000)),
        }
        names = list(change)
        if order and draw.random() < 0.85:
            names = fields_of(order)
        chosen = draw.sample(names, min(len(names), draw.choice((1, 1, 2))))
        return m.AmendOrder(
            account=order.account if order else 1,
            order_id=order.order_id if order else 1,
            **{name: change[name] for name in chosen},
        )

    def cancel(self) -> Any:
        order = self.live_order()
        if order is None or self.random.random() < 0.1:
            return m.CancelOrder(account=self.account(), client_order_id=5)
        return m.CancelOrder(account=order.account, order_id=order.order_id)

    def cancel_all(self) -> Any:
        symbol, side = self.random.choice((0, 1)), self.random.randrange(3)
        return m.CancelAll(account=self.account(), symbol=symbol, side=side)

    def countdown(self) -> Any:
        return m.SetCountdown(account=self.account(), timeout_ms=self.random.choice((0, 1)))

    def group(self) -> Any:
        group = self.random.choice((0, 1, 1, 2))
        return m.SetStpGroup(member_account=self.account(), stp_group=group)

    # ------------------------------------------------------------------------------------- the operator

    def set_mark(self) -> Any:
        symbol = self.symbol()
        step = self.random.choice((-14, -6, -3, -2, -1, 1, 2, 3, 6, 14))
        price = min(160, max(60, self.mark_of(symbol) + step))
        return m.SetMark(symbol=symbol, price_ticks=price)

    def symbol_state(self) -> Any:
        symbol = self.symbol()
        if self.settles and self.random.random() < 0.1:
            price = self.mark_of(symbol) + self.random.randint(-9, 9)
            return m.SetSymbolState(symbol=symbol, state=SymbolState.SETTLED, price_ticks=price)
        state = self.random.choice(STATES)
        if self.state.symbols[symbol].state != SymbolState.OPEN and self.random.random() < 0.8:
            state = SymbolState.OPEN
        return m.SetSymbolState(symbol=symbol, state=state)

    def margin_mode(self) -> Any:
        return m.SetMarginMode(
            account=self.account(),
            symbol=self.symbol(),
            margin_mode=self.random.choice((0, 0, 1)),
            initial_margin_ppm=self.random.choice((0, 50_000, 200_000)),
        )

    def money(self) -> Any:
        amount, account = self.random.choice((10, 100, 1_000)), self.account()
        if self.random.random() < 0.3:
            return m.Withdraw(account=account, amount_atoms=amount)
        if self.random.random() < 0.4:
            symbol = self.symbol()
            return m.ChangeIsolatedMargin(account=account, symbol=symbol, change_atoms=amount)
        return m.Deposit(account=account, amount_atoms=amount)

    def funding(self) -> Any:
        per_lot = self.random.choice((-1, 1, 2))
        return m.SettleFunding(symbol=self.symbol(), payment_atoms_per_lot=per_lot)


def fields_of(order: Order) -> list[str]:
    """What can be amended of this order."""
    names = ["price_ticks"] * order.is_limit_type + ["display_lots"] * order.is_iceberg
    if order.link_role != LinkRole.EXIT and not order.closes_position:
        names.append("qty_lots")
    if order.expires_ns:
        names.append("expires_ns")
    if order.trigger_ticks and order.armed:
        names.append("trigger_ticks")
    if order.order_type == OrderType.TRAILING_STOP:
        names.append("callback_ticks" if order.callback_ticks else "callback_ppm")
    return names
