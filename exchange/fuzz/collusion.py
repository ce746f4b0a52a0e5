"""Accounts that work together against the exchange: hostile plays, between the ordinary commands of a world.

    python -m exchange.fuzz --collusion --seed 7 --commands 1000000

Theory of operation.  Two to four accounts of a world are a coalition.  A *play* is a script of a few commands, each
made when its turn comes, from what the events have told by then: trade with each other at prices far from the mark,
get one of them liquidated into the other's orders, take the winner's profit out, change mode, leverage or margin just
before the engine steps in.  Ordinary commands of the others, marks among them, come between.  In a *sealed* world
only the coalition trades, so that whatever it gains must have come from a fund.  `coalition` judges, and the auditor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from exchange.audit.requirement import available, initial_of, notional_of, pool_standing
from exchange.audit.state import State
from exchange.fuzz.choices import STEP_NS
from exchange.fuzz.generator import Generator
from exchange.protocol.messages import (
    AdvanceTime,
    CancelAll,
    ChangeIsolatedMargin,
    Command,
    Deposit,
    DepositFund,
    ListSymbol,
    PlaceOrder,
    SetFundingPolicy,
    SetFundPolicy,
    SetMarginMode,
    SetMark,
    SetMarkPolicy,
    SetPrice,
    SetSymbolState,
    SettleFunding,
    Withdraw,
)
from exchange.protocol.schema import (
    MAX_AMOUNT_ATOMS,
    MAX_PRICE_TICKS,
    MAX_QTY_LOTS,
    LiquidationMode,
    OrderFlag,
    Side,
    TimeInForce,
)

GTC, IOC = TimeInForce.GTC, TimeInForce.IOC
REDUCE_ONLY = OrderFlag.REDUCE_ONLY

#: What the operator does in a sealed world, too.
OF_PRICES = (
    SetMark,
    SettleFunding,
    SetSymbolState,
    SetMarkPolicy,
    SetPrice,
    SetFundingPolicy,
)

Play = Iterator[Command]


class Collusion(Generator):
    """A world with a coalition in it."""

    def __init__(self, seed: int, state: State) -> None:
        super().__init__(seed, state)
        random = self.random
        accounts = list(self.world.accounts)
        # The first quotes for everybody: it is nobody's accomplice.
        self.members = random.sample(
            accounts[1:], min(len(accounts) - 1, random.choice((2, 2, 3, 4)))
        )
        self.strangers = [account for account in accounts if account not in self.members]
        self.sealed = random.random() < 0.4
        self.listings = [self.honest(listing) for listing in self.listings]
        self.world = msgspec.structs.replace(self.world, listings=tuple(self.listings))
        self.coming = self.make_opening()
        self.playing: list[Play] = []
        self.plays: tuple[Callable[[], Play], ...] = (
            self.wash,
            self.self_liquidation,
            self.pump_and_withdraw,
            self.dodge,
            self.cancel_and_withdraw,
            self.dust,
            self.spoof,
            self.cross_symbols,
            self.funding_squeeze,
            self.premium_squeeze,
        )

    def honest(self, listing: ListSymbol) -> ListSymbol:
        """A policy that an operator would choose: fees that margin can bear, caps of what funds pay."""
        random = self.random
        taker = min(listing.taker_fee_ppm, listing.initial_margin_ppm // 10)
        return msgspec.structs.replace(
            listing,
            taker_fee_ppm=taker,
            maker_fee_ppm=max(-taker, min(listing.maker_fee_ppm, taker)),
            max_open_orders=200,
            min_notional_atoms=0,
            min_qty_lots=1,
            draw_cap_atoms=random.choice((-1, 0, 1, self.world.stake_atoms // 50)),
            slippage_cap_ppm=random.choice((-1, 20_000, 100_000, 500_000)),
            fund=random.choice((0, listing.symbol & 0xFF)),
            liquidation_mode=random.choice(tuple(LiquidationMode)),
        )

    def fund_policy_of(self, listing: ListSymbol) -> Command:
        """Mostly a window that two or three liquidations of the coalition's own exhaust."""
        policy = super().fund_policy_of(listing)
        if self.random.random() < 0.3:
            return policy
        return SetFundPolicy(
            symbol=listing.symbol,
            window_ns=1_000 * STEP_NS,
            window_cap_atoms=self.world.stake_atoms // self.random.choice((10, 50, 200)),
        )

    # ------------------------------------------------------------------------------------ the next command

    def next(self) -> Command:
        if self.coming or self.random.random() < 0.35:
            return self.ordinary()
        self.made += 1
        while True:
            if not self.playing or (len(self.playing) < 3 and self.random.random() < 0.1):
                self.playing.append(self.random.choice(self.plays)())
            play = self.random.choice(self.playing)
            command = next(play, None)
            if command is not None:
                return command
            self.playing.remove(play)

    def ordinary(self) -> Command:
        """What happens in any world; in a sealed one the others only move the marks."""
        command = super().next()
        if not self.sealed or isinstance(command, Deposit | DepositFund | ListSymbol):
            return command
        if isinstance(command, OF_PRICES):
            return command
        if getattr(command, "account", 0) in self.members:
            return command
        return self.mark() if self.random.random() < 0.3 else CancelAll(account=self.member())

    # ------------------------------------------------------------------------------------------- what they need

    def member(self, other_than: int = 0) -> int:
        return self.random.choice([m for m in self.members if m != other_than] or self.members)

    def market(self) -> ListSymbol:
        return self.pick_symbol()

    def far(self, listing: ListSymbol) -> int:
        """A price that nobody honest would trade at, inside the band."""
        mark = self.mark_of(listing.symbol)
        price = (
            mark
            * self.random.choice((100, 300, 500, 800, 950, 1_050, 1_200, 2_000, 5_000))
            // 1_000
        )
        if listing.price_band_ppm >= 0:
            reach = mark * listing.price_band_ppm // 1_000_000
            price = max(mark - reach, min(price, mark + reach))
        return max(1, min(price, MAX_PRICE_TICKS))

    def close_by(self, listing: ListSymbol) -> int:
        return max(1, min(self.near(self.mark_of(listing.symbol), 100), MAX_PRICE_TICKS))

    def most_lots(self, account: int, listing: ListSymbol, price: int) -> int:
        return max(1, min(self.bearable_lots(account, listing, price), MAX_QTY_LOTS))

    def rest(
        self, account: int, listing: ListSymbol, side: int, lots: int, price: int, flags: int = 0
    ) -> Command:
        return self.limit(account, listing, side, lots, price, GTC, flags)

    def take(
        self, account: int, listing: ListSymbol, side: int, lots: int, price: int, flags: int = 0
    ) -> Command:
        return self.limit(account, listing, side, lots, price, IOC, flags)

    def limit(
        self,
        account: int,
        listing: ListSymbol,
        side: int,
        lots: int,
        price: int,
        tif: int,
        flags: int,
    ) -> Command:
        return PlaceOrder(
            account=account,
            symbol=listing.symbol,
            side=side,
            order_type=0,
            time_in_force=tif,
            self_trade=self.random.choice((0, 1, 3)),
            flags=flags,
            price_ticks=price,
            qty_lots=max(1, min(lots, MAX_QTY_LOTS)),
        )

    def all_out(self, account: int) -> Command:
        """Takes out what may leave, an atom more, or what only looks as if it might."""
        owner = self.state.accounts.get(account)
        amount = 1
        if owner is not None:
            spare = min(owner.wallet, available(owner, weight_ppm=0))
            looks = self.random.choice(
                (owner.wallet, available(owner), available(owner, weight_ppm=10**6))
            )
            amount = self.random.choice((spare, spare, spare, spare + 1, looks))
        return Withdraw(account=account, amount_atoms=max(1, min(amount, MAX_AMOUNT_ATOMS)))

    def stake(self, account: int) -> Command:
        share = self.random.choice((1, 10, 50, 100))
        return Deposit(account=account, amount_atoms=max(1, self.world.stake_atoms * share // 100))

    def at_the_edge(self, account: int, listing: ListSymbol) -> Command:
        """A mark at which the account is just below, at, or just above maintenance, or bankrupt."""
        holding = self.holding(account, listing.symbol)
        symbol = self.state.symbols.get(listing.symbol)
        if holding is None or symbol is None or not holding.lots:
            return self.mark()
        equity, maintenance, _ = pool_standing(self.state, holding.pool)
        goal = maintenance if self.random.random() < 0.5 else 0
        ticks = (equity - goal) // (holding.lots * symbol.m) if equity > goal else 0
        price = (
            symbol.mark - ticks + self.random.choice((-1, 0, 1)) * (1 if holding.lots > 0 else -1)
        )
        if self.random.random() < 0.2:
            price -= holding.lots // abs(holding.lots) * (symbol.mark // 20)
        return SetMark(symbol=listing.symbol, price_ticks=max(1, min(price, MAX_PRICE_TICKS)))

    def mode(self, account: int, listing: ListSymbol, isolated: int | None = None) -> Command:
        first = listing.brackets[0][2] or listing.brackets[0][1]
        return SetMarginMode(
            account=account,
            symbol=listing.symbol,
            margin_mode=self.random.choice((0, 1)) if isolated is None else isolated,
            initial_margin_ppm=self.random.choice(
                (0, first, listing.initial_margin_ppm, 1_000_000)
            ),
        )

    def open_pair(self, listing: ListSymbol, loser: int, winner: int, price: int) -> Play:
        """The two take opposite sides of each other, as large as the loser bears."""
        side = self.random.choice((Side.BUY, Side.SELL))
        lots = self.most_lots(loser, listing, price)
        yield self.rest(winner, listing, 1 - side, lots, price)
        yield self.take(loser, listing, side, lots, price)

    # ------------------------------------------------------------------------------------------------ plays

    def wash(self) -> Play:
        """Trades with each other far from the mark, there and back: profit for one, loss for the other."""
        listing, one = self.market(), self.member()
        other = self.member(one)
        side = self.random.choice((Side.BUY, Side.SELL))
        for at in (side, 1 - side):
            price = self.far(listing)
            lots = self.most_lots(one, listing, price)
            yield self.rest(other, listing, 1 - at, lots, price)
            yield self.take(one, listing, at, lots, price)
        yield self.all_out(self.member())

    def self_liquidation(self) -> Play:
        """One is liquidated into the other's bids, which lie as deep as the fund would pay for."""
        listing, loser = self.market(), self.member()
        winner = self.member(loser)
        yield self.stake(loser)
        if self.random.random() < 0.5:
            yield self.mode(loser, listing, 1)
        yield from self.open_pair(listing, loser, winner, self.close_by(listing))
        yield self.all_out(loser)
        yield CancelAll(account=winner)
        holding = self.holding(loser, listing.symbol)
        lots = abs(holding.lots) if holding else 0
        if holding is None or not lots:
            return
        closing = Side.BUY if holding.lots > 0 else Side.SELL
        for _ in range(self.random.randint(1, 4)):
            yield self.rest(
                winner,
                listing,
                closing,
                max(1, lots // self.random.randint(1, 3)),
                self.far(listing),
            )
        if self.random.random() < 0.5:
            # Without any move of the mark: a loss by trading brings it below.
            yield self.take(loser, listing, closing, 1, self.far(listing))
        for _ in range(self.random.randint(1, 3)):
            yield self.at_the_edge(loser, listing)
        yield self.all_out(winner)

    def pump_and_withdraw(self) -> Play:
        """Pushes what looks like profit, and takes out what it allows."""
        listing, one = self.market(), self.member()
        other = self.member(one)
        yield from self.open_pair(listing, other, one, self.close_by(listing))
        for _ in range(3):
            yield from self.open_pair(listing, other, self.member(other), self.far(listing))
            yield self.all_out(one)
            yield self.at_the_edge(other, listing)
            yield self.all_out(one)
            yield self.take(one, listing, self.random.choice((0, 1)), 1, self.far(listing))
            yield self.all_out(other)

    def dodge(self) -> Play:
        """Changes mode, rate or margin just before the engine would step in, and back just after."""
        listing, one = self.market(), self.member()
        yield from self.open_pair(listing, one, self.member(one), self.close_by(listing))
        for _ in range(self.random.randint(2, 5)):
            yield self.at_the_edge(one, listing)
            yield self.mode(one, listing)
            holding = self.holding(one, listing.symbol)
            if holding is not None and holding.lots and holding.isolated:
                spare = holding.margin + min(0, holding.unrealised)
                spare -= initial_of(holding, notional_of(holding))
                change = self.random.choice(
                    (-spare, -spare - 1, 1, max(1, available(holding.owner)))
                )
                if change:
                    yield ChangeIsolatedMargin(
                        account=one, symbol=listing.symbol, change_atoms=change
                    )
            yield self.all_out(one)
            yield self.mode(one, listing)

    def cancel_and_withdraw(self) -> Play:
        """Orders that hold margin go, money leaves, the mark moves: in every order of the three."""
        listing, one = self.market(), self.member()
        other = self.member(one)
        yield from self.open_pair(listing, one, other, self.close_by(listing))
        moves: list[Callable[[], Command]] = [
            lambda: CancelAll(account=one),
            lambda: self.all_out(one),
            lambda: self.at_the_edge(one, listing),
            lambda: self.rest(
                one,
                listing,
                self.random.choice((0, 1)),
                self.most_lots(one, listing, 1),
                self.far(listing),
            ),
            lambda: self.all_out(other),
        ]
        for _ in range(2):
            self.random.shuffle(moves)
            for move in moves:
                yield move()

    def dust(self) -> Play:
        """A liquidated pool is brought just above maintenance, acts, and takes the money out again."""
        listing, one = self.market(), self.member()
        yield from self.open_pair(listing, one, self.member(one), self.close_by(listing))
        yield self.at_the_edge(one, listing)
        for _ in range(4):
            flagged = sorted(pool for pool in self.state.flagged if pool[0] in self.members)
            if not flagged:
                return
            pool = self.random.choice(flagged)
            equity, maintenance, _ = pool_standing(self.state, pool)
            missing = maintenance - equity + self.random.choice((-1, 0, 0, 1))
            if not 1 <= missing <= MAX_AMOUNT_ATOMS:
                missing = 1
            if pool[1] and self.random.random() < 0.7:
                yield ChangeIsolatedMargin(account=pool[0], symbol=pool[1], change_atoms=missing)
            else:
                yield Deposit(account=pool[0], amount_atoms=missing)
            yield self.all_out(pool[0])
            yield self.take(pool[0], listing, self.random.choice((0, 1)), 1, self.far(listing))

    def spoof(self) -> Play:
        """Reduce-only orders that need no margin, and a position that goes away or turns under them."""
        listing, one = self.market(), self.member()
        other = self.member(one)
        yield from self.open_pair(listing, one, other, self.close_by(listing))
        holding = self.holding(one, listing.symbol)
        if holding is None or not holding.lots:
            return
        closing = Side.SELL if holding.lots > 0 else Side.BUY
        lots = abs(holding.lots)
        for _ in range(self.random.randint(1, 3)):
            yield self.rest(one, listing, closing, lots, self.far(listing), REDUCE_ONLY)
        yield self.take(one, listing, closing, lots * self.random.choice((1, 2)), self.far(listing))
        yield self.take(other, listing, 1 - closing, lots, self.far(listing))
        yield self.at_the_edge(one, listing)
        yield self.take(other, listing, 1 - closing, lots, self.far(listing), REDUCE_ONLY)

    def cross_symbols(self) -> Play:
        """One pool with two symbols and two funds: what one symbol loses, the other's fund must not pay."""
        one = self.member()
        other = self.member(one)
        for listing in self.listings[:2]:
            yield self.mode(one, listing, 0)
            yield from self.open_pair(listing, one, other, self.close_by(listing))
        yield self.all_out(one)
        for listing in self.listings[:2]:
            yield self.rest(
                other,
                listing,
                self.random.choice((0, 1)),
                self.most_lots(other, listing, 1),
                self.far(listing),
            )
            yield self.at_the_edge(one, listing)
        yield self.all_out(other)

    def premium_squeeze(self) -> Play:
        """A friend's orders stand far from the index while a premium is measured, and the position is paid for it."""
        listing, one = self.market(), self.member()
        other = self.member(one)
        yield from self.open_pair(listing, one, other, self.close_by(listing))
        yield self.funding_policy_of(listing.symbol)
        holding = self.holding(one, listing.symbol)
        if holding is None or not holding.lots:
            return
        side = Side.BUY if holding.lots < 0 else Side.SELL
        lots = self.most_lots(other, listing, 1)
        yield self.rest(other, listing, side, lots, self.far(listing))
        for _ in range(self.random.choice((1, 3, 10))):
            yield AdvanceTime()
        yield self.all_out(other)
        yield self.take(one, listing, side, abs(holding.lots), self.close_by(listing))

    def funding_squeeze(self) -> Play:
        """Large on both sides when funding comes, gone right after."""
        listing, one = self.market(), self.member()
        other = self.member(one)
        yield from self.open_pair(listing, one, other, self.close_by(listing))
        yield self.funding()
        yield self.all_out(one)
        yield self.all_out(other)
        price = self.close_by(listing)
        holding = self.holding(one, listing.symbol)
        if holding is not None and holding.lots:
            side = Side.SELL if holding.lots > 0 else Side.BUY
            yield self.rest(other, listing, 1 - side, abs(holding.lots), price)
            yield self.take(one, listing, side, abs(holding.lots), price)
