"""Adversarial command streams: seeded, and biased so that orders trade, pools fail, funds are drawn and ADL follows.

Theory of operation.  Chosen blindly, nearly all commands are refused and nothing happens.  So the generator looks at
the state that the auditor rebuilds (positions, resting orders, what is available) and aims: sizes at what an account
can just bear or just not, prices at the other side's best, marks at where somebody's margin ends.  The stream that
comes of it is a plain list of commands: it replays without the generator.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import msgspec

from exchange.audit.requirement import available, pool_standing
from exchange.audit.state import Account, Holding, Order, State
from exchange.fuzz.worlds import World, make_world
from exchange.protocol.messages import (
    AdvanceTime,
    AmendOrder,
    CancelAll,
    CancelOrder,
    ChangeIsolatedMargin,
    Command,
    Deposit,
    DepositFund,
    ListSymbol,
    PlaceOrder,
    SetMarginMode,
    SetMark,
    SettleFunding,
    Withdraw,
)
from exchange.protocol.records import START, encode_command
from exchange.protocol.schema import (
    MAX_AMOUNT_ATOMS,
    MAX_PRICE_TICKS,
    MAX_QTY_LOTS,
    OrderType,
    Side,
    TimeInForce,
)

GTC, IOC, FOK = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK
EDGES = (
    0,
    1,
    -1,
    2,
    7,
    255,
    2**31 - 1,
    2**32 - 1,
    10**12,
    10**12 + 1,
    10**18,
    10**18 + 1,
    2**63 - 1,
    -(2**63),
)


class Generator:
    """Makes one command after the other, looking at the state that the ones before have led to."""

    def __init__(self, seed: int, state: State) -> None:
        self.random = Random(seed)
        self.state = state
        self.world: World = make_world(self.random)
        self.opening = self.make_opening()
        self.client_order_id = 0
        self.made = 0
        self.recipes = self.make_recipes()

    def make_opening(self) -> list[Command]:
        """What has to happen before anybody can trade."""
        world = self.world
        opening: list[Command] = list(world.listings)
        opening += [
            SetMark(symbol=listing.symbol, price_ticks=mark)
            for listing, mark in zip(world.listings, world.marks, strict=True)
        ]
        for index, account in enumerate(world.accounts):
            # The first is rich and quotes: without somebody who can bear it, nothing would trade.
            share = (100, 20)[index] if index < 2 else self.random.choice((1, 1, 1, 2, 10))
            opening.append(Deposit(account=account, amount_atoms=world.stake_atoms * share))
        if world.fund_share:
            opening += [
                DepositFund(
                    fund=fund, amount_atoms=max(1, int(world.stake_atoms * world.fund_share))
                )
                for fund in sorted({listing.fund for listing in world.listings})
            ]
        if self.random.random() < 0.3:
            self.random.shuffle(opening)  # some will act before a mark, or before a listing
        opening.reverse()
        return opening

    def make_recipes(self) -> tuple[list[Callable[[], Command]], list[int]]:
        weighted: list[tuple[Callable[[], Command], int]] = [
            (self.order, 56),
            (self.quote, 14),
            (self.mark, 9),
            (self.amend, 6),
            (self.cancel, 3),
            (self.cancel_all, 1),
            (self.deposit, 4),
            (self.rescue, 2),
            (self.withdraw, 2),
            (self.deposit_fund, 1),
            (self.margin_mode, 4),
            (self.isolated_margin, 3),
            (self.funding, 1),
            (self.nonsense, 3),
            (self.list_again, 1),
        ]
        return [recipe for recipe, _ in weighted], [weight for _, weight in weighted]

    def next_record(self) -> bytes:
        """The next command as a record without sequence and time; rarely one that is no command at all."""
        record = encode_command(self.next())
        if self.random.random() > 0.002:
            return record
        number, size = self.random.choice(
            ((99, 24), (2, 24), (7, len(record) + 8), (0, 24), (127, 40))
        )
        return START.pack(number, size) + record[4:].ljust(size - 4, b"\x01")[: size - 4]

    def next(self) -> Command:
        """The next command of the stream."""
        self.made += 1
        if self.opening:
            return self.opening.pop()
        (recipe,) = self.random.choices(*self.recipes)
        return recipe()

    # ------------------------------------------------------------------------------------------ choices

    def pick_account(self) -> int:
        random = self.random
        if random.random() < 0.01:
            return random.choice((0, 1 << 24, 4_242))
        return random.choice(self.world.accounts)

    def pick_symbol(self) -> tuple[int, ListSymbol]:
        index = self.random.randrange(len(self.world.listings))
        return index, self.world.listings[index]

    def holding(self, account: int, symbol: int) -> Holding | None:
        owner = self.state.accounts.get(account)
        return owner.holdings.get(symbol) if owner else None

    def pick_order(self) -> Order | None:
        if not self.state.orders:
            return None
        orders = self.state.orders
        # Any of the newest few: cheap, and where the action is.
        step = self.random.randrange(min(len(orders), 12))
        for order_id in reversed(orders):
            if step == 0:
                return orders[order_id]
            step -= 1
        return None

    def mark_of(self, symbol: int) -> int:
        known = self.state.symbols.get(symbol)
        return known.mark if known and known.mark else 1

    # ------------------------------------------------------------------------------------------- orders

    def order(self) -> Command:
        """Mostly an order that trades: at or through the other side's best."""
        random = self.random
        index, listing = self.pick_symbol()
        account = self.pick_account()
        owner = self.state.accounts.get(account)
        if owner is not None and random.random() < 0.8 and available(owner) <= 0:
            return self.relief(owner)
        side = random.choice((Side.BUY, Side.SELL))
        holding = self.holding(account, listing.symbol)
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
        return PlaceOrder(
            account=account,
            symbol=listing.symbol,
            side=side,
            order_type=order_type,
            time_in_force=tif,
            self_trade=random.choice((0, 0, 1, 2, 3)),
            flags=1 * post_only + 2 * reduce_only,
            price_ticks=0 if order_type is OrderType.MARKET else price,
            qty_lots=min(MAX_QTY_LOTS, lots or self.quantity(account, index, listing, price)),
            client_order_id=self.next_client_order_id(),
        )

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
        side = Side.SELL if holding.lots > 0 else Side.BUY
        is_market = random.random() < 0.3
        return PlaceOrder(
            account=owner.number,
            symbol=holding.symbol.number,
            side=side,
            order_type=OrderType.MARKET if is_market else OrderType.LIMIT,
            time_in_force=IOC if is_market else random.choice((GTC, GTC, IOC)),
            flags=random.choice((0, 2)),
            price_ticks=0 if is_market else self.price(holding.symbol.policy, side),
            qty_lots=min(
                MAX_QTY_LOTS, max(1, abs(holding.lots) * random.choice((1, 2, 4, 4)) // 4)
            ),
        )

    def quote(self) -> Command:
        """A resting order near the mark by the one who is rich, so that others find somebody."""
        random = self.random
        index, listing = self.pick_symbol()
        side = random.choice((Side.BUY, Side.SELL))
        mark = self.mark_of(listing.symbol)
        away = max(1, mark * random.choice((1, 2, 5, 10, 50, 200)) // 1_000)
        price = mark - away if side is Side.BUY else mark + away
        return PlaceOrder(
            account=random.choice(self.world.accounts[:2]),
            symbol=listing.symbol,
            side=side,
            self_trade=random.choice((0, 1, 2, 3)),
            flags=1 if random.random() < 0.3 else 0,
            price_ticks=min(MAX_PRICE_TICKS, max(1, price)),
            qty_lots=min(
                MAX_QTY_LOTS, max(1, self.world.lots[index] * random.randint(1, 30) // 10)
            ),
            client_order_id=self.next_client_order_id(),
        )

    def price(self, listing: ListSymbol, side: int) -> int:
        """The other side's best, the mark, somewhere near, or somewhere absurd."""
        random = self.random
        mark = self.mark_of(listing.symbol)
        choice = random.random()
        if choice > 0.97:
            return random.choice(
                (1, 2, mark * 2, mark // 2, mark * 10, MAX_PRICE_TICKS, MAX_PRICE_TICKS + 1, 0)
            )
        best = None
        if choice < 0.5 and listing.symbol in self.state.symbols:
            best = self.state.symbols[listing.symbol].sides[1 - side].best()
        if best is not None:
            price = best + random.choice((0, 0, 0, 1, -1))
        else:
            spread = max(2, mark // random.choice((10, 50, 200)))
            price = mark + random.randint(-spread, spread)
        band = listing.price_band_ppm
        if band >= 0 and random.random() < 0.95:
            price = max(
                mark - mark * band // 1_000_000, min(price, mark + mark * band // 1_000_000)
            )
        return min(MAX_PRICE_TICKS, max(1, price))

    def held_lots(self, holding: Holding | None, reduce_only: bool) -> int:
        """A quantity measured at the position, to close some, all, or more of it; 0: measured otherwise."""
        if holding and holding.lots and (reduce_only or self.random.random() < 0.25):
            return max(1, abs(holding.lots) * self.random.choice((1, 2, 4, 4, 6, 8, 12)) // 4)
        return 0

    def quantity(self, account: int, index: int, listing: ListSymbol, price: int) -> int:
        """What the account can just bear, with the leverage that it has."""
        random = self.random
        if random.random() < 0.01:
            return random.choice((0, -1, MAX_QTY_LOTS, MAX_QTY_LOTS + 1))
        lots = (
            self.bearable_lots(account, listing, price)
            * random.choice((1, 2, 3, 5, 7, 8, 9, 9, 10, 11))
            // 10
        )
        if lots < 1:
            lots = self.world.lots[index] * random.randint(1, 5) // 20
        if random.random() < 0.8:
            lots = max(
                lots, -(-listing.min_notional_atoms // (max(1, price) * listing.atoms_per_tick_lot))
            )
        if random.random() < 0.97:
            lots = max(listing.min_qty_lots, min(lots, listing.max_qty_lots))
        return min(MAX_QTY_LOTS, max(1, lots))

    def bearable_lots(self, account: int, listing: ListSymbol, price: int) -> int:
        """About as many lots as the account's available money opens at this price."""
        owner, symbol = self.state.accounts.get(account), self.state.symbols.get(listing.symbol)
        if owner is None or symbol is None or not symbol.mark:
            return 0
        free = max(0, available(owner))
        holding = owner.holdings.get(listing.symbol)
        least = holding.rate_ppm if holding else listing.initial_margin_ppm
        lots = 0
        for initial, floor in zip(symbol.initials, symbol.floors, strict=True):
            if lots and lots * symbol.mark_value < floor:
                break
            per_lot = (
                max(price, symbol.mark)
                * symbol.m
                * (max(least, initial) + listing.taker_fee_ppm)
                // 1_000_000
            )
            lots = free // max(1, per_lot + abs(price - symbol.mark) * symbol.m)
        return lots

    def next_client_order_id(self) -> int:
        if self.random.random() < 0.7:
            return 0
        if self.random.random() < 0.1:
            return self.random.randint(1, 5)
        self.client_order_id += 1
        return self.client_order_id

    def amend(self) -> Command:
        """A new price or quantity for one of the newest orders; now and then for none."""
        random = self.random
        order = self.pick_order()
        if order is None or random.random() < 0.03:
            return AmendOrder(
                account=self.pick_account(), order_id=random.randint(0, 50), price_ticks=5
            )
        symbol = order.holding.symbol
        price = order.price
        if random.random() < 0.6:
            price = self.price(symbol.policy, order.side)
        lots = 0
        if random.random() < 0.6:
            lots = max(1, order.open_lots * random.choice((1, 2, 4, 4, 5, 8, 40)) // 4)
        by_client = order.client_order_id and random.random() < 0.5
        return AmendOrder(
            account=order.account if random.random() < 0.98 else self.pick_account(),
            order_id=0 if by_client else order.order_id,
            client_order_id=order.client_order_id if by_client else 0,
            price_ticks=random.choice((0, price, price, -1 if random.random() < 0.02 else price)),
            qty_lots=lots,
        )

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
        _, listing = self.pick_symbol()
        return CancelAll(
            account=self.pick_account(),
            symbol=random.choice((0, listing.symbol, listing.symbol, 999)),
            side=random.choice((0, 1, 2, 2, 2, 3)),
        )

    # -------------------------------------------------------------------------------------------- money

    def deposit(self) -> Command:
        """Mostly to those who have nothing left."""
        random = self.random
        poor = [n for n in self.world.accounts if self.wallet(n) <= self.world.stake_atoms // 10]
        account = random.choice(poor) if poor and random.random() < 0.8 else self.pick_account()
        share = random.choice((1, 10, 50, 100, 200))
        return Deposit(account=account, amount_atoms=max(1, self.world.stake_atoms * share // 100))

    def rescue(self) -> Command:
        """Brings a pool that is being liquidated to its maintenance: just, an atom short, or an atom more."""
        pools = sorted(self.state.flagged)
        if not pools:
            return self.mark()
        pool = self.random.choice(pools)
        equity, maintenance, _ = pool_standing(self.state, pool)
        missing = maintenance - equity + self.random.choice((0, 0, -1, 1))
        if missing <= 0 or missing > MAX_AMOUNT_ATOMS:
            return self.mark()
        account, symbol = pool
        if symbol:
            return ChangeIsolatedMargin(account=account, symbol=symbol, change_atoms=missing)
        return Deposit(account=account, amount_atoms=missing)

    def wallet(self, account: int) -> int:
        owner = self.state.accounts.get(account)
        return owner.wallet if owner else 0

    def withdraw(self) -> Command:
        random = self.random
        account = self.pick_account()
        owner = self.state.accounts.get(account)
        most = max(1, min(owner.wallet, available(owner, weight_ppm=0))) if owner else 1
        return Withdraw(
            account=account,
            amount_atoms=most * random.choice((1, 5, 9, 10)) // 10 + random.choice((0, 0, 1)),
        )

    def deposit_fund(self) -> Command:
        listing = self.random.choice(self.world.listings)
        amount = int(self.world.stake_atoms * self.world.fund_share)
        return DepositFund(
            fund=listing.fund, amount_atoms=amount or self.random.choice((0, 1, 1, 7))
        )

    def margin_mode(self) -> Command:
        random = self.random
        _, listing = self.pick_symbol()
        first = listing.brackets[0][2] or listing.brackets[0][1]
        rates = (
            0,
            0,
            listing.initial_margin_ppm,
            first,
            first,
            20_000,
            200_000,
            1_000_000,
            first - 1,
            1_000_001,
        )
        return SetMarginMode(
            account=self.pick_account(),
            symbol=listing.symbol,
            margin_mode=random.choice((0, 1, 1, 1)),
            initial_margin_ppm=random.choice(rates),
        )

    def isolated_margin(self) -> Command:
        random = self.random
        isolated = [
            holding
            for symbol in self.state.symbols.values()
            for holding in symbol.holders.values()
            if holding.isolated
        ]
        if not isolated or random.random() < 0.1:
            _, listing = self.pick_symbol()
            return ChangeIsolatedMargin(
                account=self.pick_account(), symbol=listing.symbol, change_atoms=1
            )
        holding = random.choice(isolated)
        if random.random() < 0.5:
            change = max(0, available(holding.owner)) * random.choice((1, 5, 10, 11)) // 10
        else:
            change = -holding.margin * random.choice((1, 3, 5, 9)) // 10
        return ChangeIsolatedMargin(
            account=holding.account,
            symbol=holding.symbol.number,
            change_atoms=change + random.choice((0, 0, 1)),
        )

    # -------------------------------------------------------------------------------- marks and funding

    def mark(self) -> Command:
        """A step, a leap, a crash, or to just where somebody's margin ends."""
        random = self.random
        _, listing = self.pick_symbol()
        mark = self.mark_of(listing.symbol)
        if random.random() < self.world.calm:
            change = random.randint(-30, 30)
        else:
            change = random.choice(
                (-990, -600, -300, -150, -100, -60, 60, 100, 150, 300, 1_000, 5_000)
            )
        price = mark + mark * change // 1_000
        if random.random() < 0.3:
            price = self.ruin_price(listing.symbol, price)
        elif random.random() < 0.2:
            price = self.home_price(listing)
        if random.random() < 0.01:
            price = random.choice((0, -1, 1, MAX_PRICE_TICKS, MAX_PRICE_TICKS + 1))
        elif random.random() < 0.98:
            price = max(1, min(price, MAX_PRICE_TICKS))
        return SetMark(symbol=listing.symbol, price_ticks=price)

    def ruin_price(self, number: int, otherwise: int) -> int:
        """Where some holder's isolated margin, or a part of its wallet, is used up."""
        symbol = self.state.symbols.get(number)
        if symbol is None or not symbol.holders:
            return otherwise
        holding = self.random.choice(list(symbol.holders.values()))
        backing = holding.margin if holding.isolated else max(0, holding.owner.wallet)
        return (holding.entry - backing) // (holding.lots * symbol.m) + self.random.randint(-1, 1)

    def home_price(self, listing: ListSymbol) -> int:
        """Back to where the world began: what leapt away must not stay there."""
        return self.world.marks[self.world.listings.index(listing)]

    def funding(self) -> Command:
        random = self.random
        _, listing = self.pick_symbol()
        one = self.mark_of(listing.symbol) * listing.atoms_per_tick_lot
        payment = one * random.choice((0, 1, -1, 5, -5, 50, -50)) // random.choice((1_000, 100_000))
        if random.random() < 0.02:
            payment = random.choice(EDGES)
        return SettleFunding(
            symbol=listing.symbol,
            payment_atoms_per_lot=max(-(2**63), min(payment, 2**63 - 1)),
            payment_fraction_q32=random.choice((0, 0, 1 << 31, 1, (1 << 32) - 1)),
        )

    # ----------------------------------------------------------------------------------------- nonsense

    def nonsense(self) -> Command:
        """A sensible command with one field at an edge of its kind."""
        random = self.random
        recipe = random.choice(
            (self.order, self.order, self.order, self.amend, self.mark, self.deposit, self.withdraw)
            + (self.margin_mode, self.isolated_margin, self.funding, self.deposit_fund, self.time)
        )
        command = recipe()
        names = [
            name for name in command.__struct_fields__ if name not in ("sequence", "timestamp_ns")
        ]
        return with_edge(command, random.choice(names), random)

    def time(self) -> Command:
        return AdvanceTime()

    def list_again(self) -> Command:
        """A listing that may not be: its number is taken, or one of its fields is at an edge."""
        random = self.random
        listing = random.choice(self.world.listings)
        if random.random() < 0.2:
            return listing
        fresh = msgspec.structs.replace(listing, symbol=777)
        if random.random() < 0.3:
            return msgspec.structs.replace(fresh, brackets=random.choice(WRONG_BRACKETS))
        names = [
            name
            for name in fresh.__struct_fields__
            if name.endswith(("_e12", "_ppm", "_lots", "_atoms", "_lot"))
        ]
        # With an exposure limit that cannot fit, no further symbol joins a world by chance.
        full = msgspec.structs.replace(fresh, exposure_limit_atoms=1 << 60)
        return with_edge(full, random.choice((*names, "symbol", "liquidation_mode")), random)


WRONG_BRACKETS: tuple[tuple[tuple[int, int, int], ...], ...] = (
    (),
    ((1, 1_000, 0),),
    ((0, 0, 0),),
    ((0, 5_000, 4_000),),
    ((0, 5_000, 0), (1_000_000, 4_000, 0)),
    ((0, 5_000, 0), (0, 6_000, 0)),
    ((0, 5_000, 0), (7, 6_000, 0)),
    ((0, 1_000_001, 0),),
    ((0, 5_000, 9_000), (1_000_000, 6_000, 8_000)),
)


def with_edge(command: Command, name: str, random: Random) -> Command:
    """The command with this field at an edge, where the record can hold it."""
    value = random.choice(EDGES)
    kind = FIELD_KINDS.get((command.number, name))
    if kind is None:
        return command
    lowest, highest = kind
    return msgspec.structs.replace(command, **{name: max(lowest, min(value, highest))})


def _field_kinds() -> dict[tuple[int, str], tuple[int, int]]:
    from exchange.protocol.layout import integer_range
    from exchange.protocol.schema import COMMAND_HEADER, COMMANDS

    return {
        (message.number, field.name): integer_range(field.kind)
        for message in COMMANDS
        for field in (*COMMAND_HEADER.fields, *message.fields)
        if field.kind not in ("name", "brackets", "orders")
    }


FIELD_KINDS = _field_kinds()
