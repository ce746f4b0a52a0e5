"""Adversarial command streams: seeded, and biased so that orders trade, pools fail, funds are drawn and ADL follows.

Theory of operation.  Chosen blindly, nearly all commands are refused and nothing happens.  So the generator looks at
the state that the auditor rebuilds (positions, resting orders, what is available) and aims: sizes at what an account
can just bear or just not, prices at the other side's best, triggers beside what they watch, marks at where somebody's
margin ends.  Symbols that were halted open again, and settled ones are replaced.  The stream that comes of it is a
plain list of commands: it replays without the generator.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from exchange.audit.legs import has_something_open
from exchange.audit.requirement import available, pool_standing
from exchange.audit.state import State
from exchange.fuzz.choices import STEP_NS
from exchange.fuzz.collateral_recipes import CollateralRecipes
from exchange.fuzz.worlds import MAX_REPLACED, make_brackets
from exchange.protocol.layout import integer_range
from exchange.protocol.messages import (
    AdvanceTime,
    ChangeIsolatedMargin,
    Command,
    Deposit,
    DepositFund,
    ListSymbol,
    PlaceOrders,
    SetAdlPolicy,
    SetAutoMargin,
    SetBrackets,
    SetFundingPolicy,
    SetFundPolicy,
    SetMarginMode,
    SetMarginWarnings,
    SetMark,
    SetMarkPolicy,
    SetPositionMode,
    SetPrice,
    SetRiskLimits,
    SetStpGroup,
    SetSymbolState,
    SettleFunding,
    Withdraw,
)
from exchange.protocol.records import START, encode_command
from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    COMMAND_HEADER,
    COMMANDS,
    MAX_AMOUNT_ATOMS,
    MAX_PRICE_TICKS,
    ORDER_FIELDS,
    AdlPolicy,
    PositionMode,
    SymbolState,
)

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


CLOSED = (SymbolState.PRE_OPEN, SymbolState.AUCTION, SymbolState.CANCEL_ONLY, SymbolState.HALTED)


class Generator(CollateralRecipes):
    """Makes one command after the other, looking at the state that the ones before have led to."""

    def __init__(self, seed: int, state: State) -> None:
        super().__init__(seed, state)
        self.coming = self.make_opening()
        self.recipes = self.make_recipes()
        self.replaced = 0

    def make_opening(self) -> list[Command]:
        """What has to happen before anybody can trade, last first."""
        world = self.world
        opening: list[Command] = list(world.listings)
        opening += [SetMark(symbol=symbol, price_ticks=mark) for symbol, mark in self.marks.items()]
        for index, account in enumerate(world.accounts):
            # The first is rich and quotes: without somebody who can bear it, nothing would trade.
            share = (100, 20)[index] if index < 2 else self.random.choice((1, 1, 1, 2, 10))
            opening.append(Deposit(account=account, amount_atoms=world.stake_atoms * share))
            if self.random.random() < world.hedge_share:
                opening.append(SetPositionMode(account=account, position_mode=PositionMode.HEDGE))
        if world.fund_share:
            opening += [
                DepositFund(
                    fund=fund, amount_atoms=max(1, int(world.stake_atoms * world.fund_share))
                )
                for fund in sorted({listing.fund for listing in world.listings})
            ]
        if self.random.random() < 0.5:
            opening.append(self.margin_warnings())
        if self.random.random() < 0.3:
            opening += [self.mark_policy_of(listing.symbol) for listing in world.listings]
            if self.random.random() < 0.7:
                opening += [self.funding_policy_of(listing.symbol) for listing in world.listings]
        if self.random.random() < 0.15:
            opening += [self.fund_policy_of(listing) for listing in world.listings]
        if self.random.random() < 0.3:
            self.random.shuffle(opening)  # some will act before a mark, or before a listing
        opening.reverse()
        return opening

    def make_recipes(self) -> tuple[list[Callable[[], Command]], list[int]]:
        weighted: list[tuple[Callable[[], Command], int]] = [
            (self.order, 90),
            (self.quote, 30),
            (self.conditional, 30),
            (self.list_of_orders, 18),
            (self.repeat, 3),
            (self.mark, 22),
            (self.amend, 16),
            (self.cancel, 5),
            (self.cancel_all, 2),
            (self.countdown, 3),
            (self.deposit, 8),
            (self.rescue, 4),
            (self.withdraw, 4),
            (self.deposit_fund, 2),
            (self.margin_mode, 8),
            (self.isolated_margin, 6),
            (self.auto_margin, 4),
            (self.position_mode, 2),
            (self.funding, 2),
            (self.mark_policy, 2),
            (self.funding_policy, 2),
            (self.symbol_state, 4),
            (self.stp_group, 2),
            (self.adl_policy, 2),
            (self.brackets, 2),
            (self.limits, 1),
            (self.fund_policy, 2),
            (self.margin_warnings, 1),
            (self.list_asset, 1),
            (self.asset_price, 5),
            (self.change_collateral, 7),
            (self.multi_asset, 4),
            (self.time, 2),
            (self.nonsense, 6),
            (self.list_again, 2),
        ]
        if self.random.random() < 0.1:
            weighted.append((self.flood, 3))
        return [recipe for recipe, _ in weighted], [weight for _, weight in weighted]

    def next_record(self) -> bytes:
        """The next command as a record without sequence and time; rarely one that is no command at all."""
        command = self.next()
        record = encode_command(command)
        if self.random.random() > 0.002:
            return record
        if isinstance(command, PlaceOrders) and self.random.random() < 0.5:
            return self.too_long(record)
        number, size = self.random.choice(
            ((99, 24), (2, 24), (7, len(record) + 8), (0, 24), (127, 40), (14, 26), (14, 99))
        )
        return START.pack(number, size) + record[4:].ljust(size - 4, b"\x01")[: size - 4]

    @staticmethod
    def too_long(record: bytes) -> bytes:
        """A list of more orders than there may be, of the size that fits its count."""
        count, fixed = 65, COMMAND_BY_NAME["place_orders"].size
        each = COMMAND_BY_NAME["place_order"].size - COMMAND_HEADER.size
        size = fixed + count * each
        head = record[4 : fixed - 1] + bytes([count])
        return START.pack(int.from_bytes(record[:2], "little"), size) + head.ljust(
            size - 4, b"\x01"
        )

    def next(self) -> Command:
        """The next command of the stream."""
        self.made += 1
        if self.coming:
            return self.coming.pop()
        closed = [number for number in self.trading() if not self.state.symbols[number].is_open]
        if closed and self.random.random() < 0.06:
            return SetSymbolState(symbol=self.random.choice(closed), state=SymbolState.OPEN)
        (recipe,) = self.random.choices(*self.recipes)
        return recipe()

    def trading(self) -> list[int]:
        """Symbols that are listed and not settled."""
        return [
            listing.symbol
            for listing in self.listings
            if listing.symbol in self.state.symbols
            and self.state.symbols[listing.symbol].state != SymbolState.SETTLED
        ]

    # ------------------------------------------------------------------------------------------ the operator

    def symbol_state(self) -> Command:
        """Closes, opens, calls an auction, settles; what is settled is replaced by a new symbol."""
        random = self.random
        listing = self.pick_symbol()
        known = self.state.symbols.get(listing.symbol)
        present = known.state if known else SymbolState.OPEN
        if random.random() < 0.1 and present != SymbolState.SETTLED:
            return self.settle(listing)
        if present == SymbolState.SETTLED and random.random() < 0.5:
            return SetSymbolState(
                symbol=listing.symbol, state=present, price_ticks=self.home_price(listing)
            )
        wanted = random.choice(CLOSED) if present == SymbolState.OPEN else SymbolState.OPEN
        if random.random() < 0.3:
            wanted = random.choice(tuple(SymbolState))
        price = 0
        if wanted == SymbolState.SETTLED or random.random() < 0.03:
            price = random.choice((0, self.mark_of(listing.symbol), MAX_PRICE_TICKS + 1))
        return SetSymbolState(symbol=listing.symbol, state=wanted, price_ticks=price)

    def settle(self, listing: ListSymbol) -> Command:
        """At a price near the mark, mostly; another symbol takes its place."""
        price = max(1, min(MAX_PRICE_TICKS, self.near(self.mark_of(listing.symbol), 20)))
        if self.replaced >= MAX_REPLACED:
            return SetSymbolState(symbol=listing.symbol, state=SymbolState.HALTED)
        self.replaced += 1
        number = 700 + self.replaced
        fresh = msgspec.structs.replace(listing, symbol=number, name=f"S{number}")
        self.listings[self.listings.index(listing)] = fresh
        self.marks[number] = self.marks[listing.symbol]
        self.stake_lots[number] = self.stake_lots[listing.symbol]
        self.coming += [SetMark(symbol=number, price_ticks=self.marks[number]), fresh]
        return SetSymbolState(symbol=listing.symbol, state=SymbolState.SETTLED, price_ticks=price)

    def stp_group(self) -> Command:
        return SetStpGroup(
            member_account=self.pick_account(), stp_group=self.random.choice((0, 1, 1, 2))
        )

    def adl_policy(self) -> Command:
        policy = self.random.choice((*AdlPolicy, *AdlPolicy, *AdlPolicy, len(AdlPolicy)))
        return SetAdlPolicy(symbol=self.pick_symbol().symbol, policy=policy)

    def brackets(self) -> Command:
        """Another table while positions are open: harder, milder, the listed one again, or one that may not be."""
        random = self.random
        listing = self.pick_symbol()
        rows, rate = listing.brackets, listing.initial_margin_ppm
        choice = random.random()
        if choice < 0.1:
            rows = random.choice(WRONG_BRACKETS)
        elif choice < 0.75:
            rows = make_brackets(random, self.world.stake_atoms)
            rate = random.choice((rate, 10_000, 50_000, 333_334, 1_000_000))
            if random.random() < 0.9:
                rate = max(rate, rows[0][2] or rows[0][1])
        return SetBrackets(symbol=listing.symbol, initial_margin_ppm=rate, brackets=rows)

    def limits(self) -> Command:
        """Caps about what is held and open, and a scale that open interest moves on; or none of them."""
        random = self.random
        listing = self.pick_symbol()
        symbol = self.state.symbols.get(listing.symbol)
        most = self.world.stake_atoms * random.choice((1, 3, 10, 30))
        interest = symbol.interest * symbol.mark_value if symbol else most
        caps = (-1, 0, most, most // 3, interest, interest + 1, interest * 5 // 4)
        position, all_positions = random.choice(caps), random.choice(caps)
        lower = random.choice((0, interest * 4 // 5, interest, most // 2))
        upper = lower + random.choice((1, most, interest // 2 + 1))
        if (
            random.random() < 0.6
        ):  # whoever cannot open never fails, and failures are what a stream is after
            position = all_positions = -1
        if random.random() < 0.7:
            lower = upper = -1
        elif random.random() < 0.05:
            upper = random.choice((-1, lower, 0, 1 << 61))
        return SetRiskLimits(
            symbol=listing.symbol,
            position_limit_atoms=position,
            open_interest_limit_atoms=all_positions,
            oi_scaling_lower_atoms=min(lower, 1 << 60),
            oi_scaling_upper_atoms=upper,
        )

    def fund_policy(self) -> Command:
        return self.fund_policy_of(self.pick_symbol())

    def fund_policy_of(self, listing: ListSymbol) -> Command:
        """Caps about what a liquidation draws, windows about as long as a few commands; or none of them."""
        random = self.random
        if random.random() < 0.1:
            return SetFundPolicy(symbol=listing.symbol)
        stake = self.world.stake_atoms
        caps = (-1, -1, -1, 0, 1, stake // 100, stake // 20, stake // 2, stake, stake * 2)
        second_cap = random.choice((0, 0, *caps))
        steps = random.choice((0, 0, 0, 1, 16, 100, 5_000))
        window = random.choice((steps * STEP_NS, steps * STEP_NS + 7, steps * STEP_NS, 17, 10**17))
        has_window = window > 0 if random.random() < 0.97 else window == 0
        numbers = [other.fund for other in self.listings if other.fund != listing.fund]
        second = random.choice((*numbers, 77 if listing.fund else 78))
        if not second_cap:
            second = 0
        if random.random() < 0.03:
            second = random.choice((listing.fund, 1, (1 << 32) - 1))
        return SetFundPolicy(
            symbol=listing.symbol,
            cap_atoms=random.choice(caps),
            second_fund=second,
            second_cap_atoms=second_cap,
            window_ns=window,
            window_cap_atoms=random.choice(caps[3:]) if has_window else -1,
        )

    def margin_warnings(self) -> Command:
        """Levels near to liquidation and far from it, close together, in a wrong order, or none."""
        random = self.random
        levels = random.choice(WARNING_LEVELS)
        if random.random() < 0.2:
            levels = tuple(sorted(random.sample(range(1, 1_000_000), 4)))
        first, second, third, fourth = (*levels, 0, 0, 0, 0)[:4]
        return SetMarginWarnings(
            first_level_ppm=first,
            second_level_ppm=second,
            third_level_ppm=third,
            fourth_level_ppm=fourth,
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
        account, symbol, leg = pool
        if symbol:
            return ChangeIsolatedMargin(
                account=account, symbol=symbol, leg=leg, change_atoms=missing
            )
        return Deposit(account=account, amount_atoms=missing)

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
        listing = self.random.choice(self.listings)
        amount = int(self.world.stake_atoms * self.world.fund_share)
        return DepositFund(
            fund=listing.fund, amount_atoms=amount or self.random.choice((0, 1, 1, 7))
        )

    def margin_mode(self) -> Command:
        random = self.random
        listing = self.pick_symbol()
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
        account = self.pick_account()
        return SetMarginMode(
            account=account,
            symbol=listing.symbol,
            leg=self.pick_leg(account),
            margin_mode=random.choice((0, 1, 1, 1)),
            initial_margin_ppm=random.choice(rates),
        )

    def auto_margin(self) -> Command:
        """Mostly of somebody who has an isolated position, and mostly on."""
        random = self.random
        holders = [h for symbol in self.state.symbols.values() for h in symbol.holders.values()]
        isolated = [holding for holding in holders if holding.isolated]
        enabled = random.choice((1, 1, 1, 1, 0, 2))
        if isolated and random.random() < 0.8:
            holding = random.choice(isolated)
            return SetAutoMargin(
                account=holding.account,
                symbol=holding.symbol.number,
                leg=holding.leg,
                enabled=enabled,
            )
        account = self.pick_account()
        return SetAutoMargin(
            account=account,
            symbol=self.pick_symbol().symbol,
            leg=self.pick_leg(account),
            enabled=enabled,
        )

    def position_mode(self) -> Command:
        """Mostly of somebody who may: with nothing open."""
        random, accounts = self.random, self.state.accounts
        idle = [n for n, a in accounts.items() if not has_something_open(a)]
        account = random.choice(idle) if idle and random.random() < 0.8 else self.pick_account()
        return SetPositionMode(account=account, position_mode=random.choice((0, 1, 1, 1, 2)))

    def isolated_margin(self) -> Command:
        random = self.random
        isolated = [
            holding
            for symbol in self.state.symbols.values()
            for holding in symbol.holders.values()
            if holding.isolated
        ]
        if not isolated or random.random() < 0.1:
            listing, account = self.pick_symbol(), self.pick_account()
            return ChangeIsolatedMargin(
                account=account,
                symbol=listing.symbol,
                leg=self.pick_leg(account),
                change_atoms=1,
            )
        holding = random.choice(isolated)
        if random.random() < 0.5:
            change = max(0, available(holding.owner)) * random.choice((1, 5, 10, 11)) // 10
        else:
            change = -holding.margin * random.choice((1, 3, 5, 9)) // 10
        return ChangeIsolatedMargin(
            account=holding.account,
            symbol=holding.symbol.number,
            leg=holding.leg,
            change_atoms=change + random.choice((0, 0, 1)),
        )

    # -------------------------------------------------------------------------------- marks and funding

    def mark(self) -> Command:
        """The mark set by hand; or, of a composite one, a price from outside."""
        random = self.random
        listing = self.pick_symbol()
        price = self.next_mark(listing)
        known = self.state.symbols.get(listing.symbol)
        composite = known.composite if known else None
        if random.random() < (0.03 if composite else 0.97):
            return SetMark(symbol=listing.symbol, price_ticks=price)
        feeds = composite.max_feeds if composite else 1
        source = random.choice((0, random.randint(0, feeds), min(feeds + 1, 255)))
        return SetPrice(symbol=listing.symbol, source=source, price_ticks=price)

    def next_mark(self, listing: ListSymbol) -> int:
        """A step, a leap, a crash, or to just where somebody's margin ends."""
        random = self.random
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
        return max(-(2**63), min(price, 2**63 - 1))

    def mark_policy(self) -> Command:
        """Composite from now on, with other numbers, or by hand again."""
        command = self.mark_policy_of(self.pick_symbol().symbol)
        if self.random.random() < 0.3:
            return msgspec.structs.replace(command, enabled=0)
        return command

    def mark_policy_of(self, symbol: int) -> SetMarkPolicy:
        """Prices that grow old within a few commands, or hardly ever."""
        random = self.random
        return SetMarkPolicy(
            symbol=symbol,
            max_feeds=random.choice((0, 1, 1, 3, 16)),
            max_age_ns=random.choice((1, 20, 100, 1_000, 100_000)) * STEP_NS,
            ema_ns=random.choice((0, 1, 10 * STEP_NS, 1_000 * STEP_NS, 10**15)),
        )

    def funding_policy(self) -> Command:
        """The engine settles from now on, with other numbers, or by hand again; mostly where there is an index."""
        composite = [n for n in self.trading() if self.state.symbols[n].composite is not None]
        symbol = self.pick_symbol().symbol
        if composite and self.random.random() < 0.9:
            symbol = self.random.choice(composite)
        command = self.funding_policy_of(symbol)
        if self.random.random() < 0.2:
            return msgspec.structs.replace(command, enabled=0)
        return command

    def funding_policy_of(self, symbol: int) -> SetFundingPolicy:
        """Intervals of a few commands, or of many; premiums of one lot, or of more than there is."""
        random = self.random
        sample_ns = random.choice((1, 1, 2, 7, 30, 500)) * STEP_NS
        stake = self.world.stake_atoms
        return SetFundingPolicy(
            symbol=symbol,
            interval_ns=sample_ns * random.choice((1, 2, 3, 8, 60)),
            sample_ns=sample_ns,
            interest_ppb=random.choice((0, 100_000, -100_000, 12_500, 7, 50_000_000)),
            clamp_ppb=random.choice((0, 500_000, 500_000, 3, 10**9)),
            max_rate_ppb=random.choice((0, 1_000_000, 40_000_000, 10**9, 10**9)),
            impact_notional_atoms=max(1, stake * random.choice((0, 1, 10, 100, 10_000)) // 100),
        )

    def ruin_price(self, number: int, otherwise: int) -> int:
        """Where some holder's isolated margin, or a part of its wallet, is used up."""
        symbol = self.state.symbols.get(number)
        if symbol is None or not symbol.holders:
            return otherwise
        holding = self.random.choice(list(symbol.holders.values()))
        backing = holding.margin if holding.isolated else max(0, holding.owner.wallet)
        return (holding.entry - backing) // (holding.lots * symbol.m) + self.random.randint(-1, 1)

    def funding(self) -> Command:
        random = self.random
        listing = self.pick_symbol()
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
            (self.order, self.order, self.conditional, self.conditional, self.amend, self.mark)
            + (self.list_of_orders, self.list_of_orders, self.symbol_state, self.countdown)
            + (self.deposit, self.withdraw, self.margin_mode, self.isolated_margin, self.funding)
            + (self.auto_margin,)
            + (
                self.deposit_fund,
                self.stp_group,
                self.time,
                self.brackets,
                self.mark_policy,
                self.funding_policy,
                self.adl_policy,
                self.limits,
                self.fund_policy,
                self.margin_warnings,
            )
            + (self.list_asset, self.asset_price, self.change_collateral, self.multi_asset)
        )
        command = recipe()
        if isinstance(command, PlaceOrders) and command.orders and random.random() < 0.7:
            return self.nonsense_entry(command)
        names = [
            name
            for name in command.__struct_fields__
            if name not in ("sequence", "timestamp_ns", "orders")
        ]
        return with_edge(command, random.choice(names), random)

    def nonsense_entry(self, command: PlaceOrders) -> Command:
        """One field of one order of a list at an edge."""
        orders = list(command.orders)
        index = self.random.randrange(len(orders))
        field = self.random.choice(ORDER_FIELDS)
        lowest, highest = integer_range(field.kind)
        value = max(lowest, min(self.random.choice(EDGES), highest))
        changes: dict[str, Any] = {field.name: value}
        orders[index] = msgspec.structs.replace(orders[index], **changes)
        return msgspec.structs.replace(command, orders=tuple(orders))

    def time(self) -> Command:
        return AdvanceTime()

    def list_again(self) -> Command:
        """A listing that may not be: its number is taken, or one of its fields is at an edge."""
        random = self.random
        listing = random.choice(self.listings)
        if random.random() < 0.2:
            return listing
        fresh = msgspec.structs.replace(listing, symbol=60_000)
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


#: Of maintenance margin in equity; a 0 in front of another, one twice, and 100 % may not be.
WARNING_LEVELS: tuple[tuple[int, ...], ...] = (
    (800_000, 900_000),
    (800_000, 900_000),
    (500_000, 700_000, 900_000, 990_000),
    (999_998, 999_999),
    (1,),
    (100, 10_000, 300_000),
    (),
    (0, 800_000),
    (800_000, 800_000),
    (900_000, 1_000_000),
)


def with_edge(command: Command, name: str, random: Random) -> Command:
    """The command with this field at an edge, where the record can hold it."""
    value = random.choice(EDGES)
    kind = FIELD_KINDS.get((command.number, name))
    if kind is None:
        return command
    lowest, highest = kind
    return msgspec.structs.replace(command, **{name: max(lowest, min(value, highest))})


FIELD_KINDS = {
    (message.number, field.name): integer_range(field.kind)
    for message in COMMANDS
    for field in (*COMMAND_HEADER.fields, *message.fields)
    if field.kind not in ("name", "brackets", "orders")
}
