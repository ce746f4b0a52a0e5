"""Fills as their events tell them: both sides recomputed to the atom (ACCT-03..05), and who may trade at all."""

from __future__ import annotations

from exchange.audit.auctions import AuctionAudit
from exchange.audit.context import Context, PlacedList
from exchange.audit.liquidations import LiquidationAudit
from exchange.audit.lists import ListAudit
from exchange.audit.orders import OrderAudit
from exchange.audit.prices import PriceAudit
from exchange.audit.requirement import (
    available,
    ceil_ppm,
    initial_rate,
    notional_of,
    pool_standing,
)
from exchange.audit.state import Holding, cross_pool
from exchange.audit.waiting import WaitingAudit
from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    FillRole,
    ListMode,
    OrderFlag,
    Side,
    SymbolState,
    TimeInForce,
)

AMEND = COMMAND_BY_NAME["amend_order"].number
MAKER, TAKER = int(FillRole.MAKER), int(FillRole.TAKER)
LIQUIDATED, DELEVERAGED = int(FillRole.LIQUIDATED), int(FillRole.DELEVERAGED)
COUNTERPARTY = int(FillRole.ADL_COUNTERPARTY)
AUCTION, SETTLEMENT = int(FillRole.AUCTION), int(FillRole.SETTLEMENT)
ROLE_PAIRS = {
    (MAKER, TAKER),
    (MAKER, LIQUIDATED),
    (DELEVERAGED, COUNTERPARTY),
    (AUCTION, AUCTION),
}
#: Fills at a price that others may watch.
TRADES = (MAKER, TAKER, LIQUIDATED, AUCTION)
#: Those whose own order trades, with a fee.
ORDERLY = (MAKER, TAKER, AUCTION)

#: What the two sides of a trade have in common: trade id, symbol, price, quantity, value.
Terms = tuple[int, int, int, int, int]


class FillAudit:
    """Recomputes every fill, and pairs the two sides of each trade."""

    def __init__(
        self,
        context: Context,
        orders: OrderAudit,
        waiting: WaitingAudit,
        lists: ListAudit,
        auctions: AuctionAudit,
        liquidations: LiquidationAudit,
        prices: PriceAudit,
    ) -> None:
        self.context = context
        self.state = context.state
        self.orders = orders
        self.waiting = waiting
        self.lists = lists
        self.auctions = auctions
        self.liquidations = liquidations
        self.prices = prices
        self.last_trade_id = 0
        self.first: tuple[Terms, int, int, int] | None = (
            None  # terms, side, role, account of the first side
        )
        self.interest = 0  # before the trade that is being read
        self.rebate: tuple[int, int] | None = None  # of the maker: by its rate, and what it got

    def on_fill(
        self,
        account: int,
        symbol: int,
        side: int,
        role: int,
        mode: int,
        leg: int,
        trade_id: int,
        order_id: int,
        client_order_id: int,
        price: int,
        lots: int,
        value: int,
        open_lots: int,
        position: int,
        entry: int,
        realised: int,
        fee: int,
        wallet: int,
        margin: int,
    ) -> None:
        context, holding = self.context, self.state.holding(account, symbol, leg)
        if role == SETTLEMENT:
            context.expect("MATCH-12", "(trade, order) settled", (0, 0), (trade_id, order_id))
            context.expect("MATCH-12", "value", lots * holding.symbol.mark_value, value)
        else:
            if self.first is None:
                self.interest = holding.symbol.interest
            self.pair((trade_id, symbol, price, lots, value), side, role, account)
        if price:
            context.expect(
                "MATCH-01", f"value of trade {trade_id}", lots * price * holding.symbol.m, value
            )
        if mode != holding.isolated:
            context.report("ACCT-01", f"{holding.place} trades in another mode than was set")
        self.before(holding, side, role, trade_id, order_id, price, lots, value, open_lots)
        signed = lots if side == Side.BUY else -lots
        if role in ORDERLY:
            self.check_enlarging(holding, signed, role)
        came = (position, entry, realised, fee, wallet, margin)
        lots_before = holding.lots
        self.settle(holding, signed, role, value, came, unfinished=open_lots > 0)
        self.check_caps(holding, signed, role)
        self.check_rebate(role, fee)
        if role == TAKER:
            self.prices.on_taker(holding, lots_before)
        context.touch(holding)
        self.orders.legs.check_position(holding)
        if role in TRADES:
            self.waiting.on_last(holding.symbol, price)
            if role in (TAKER, AUCTION):
                holding.symbol.market_last = price
            self.lists.on_fill(order_id, lots, role)
        elif role == COUNTERPARTY:
            self.liquidations.after_counterparty(holding)
        elif role == SETTLEMENT:
            self.auctions.on_settlement(holding, position)

    def before(
        self,
        holding: Holding,
        side: int,
        role: int,
        trade_id: int,
        order_id: int,
        price: int,
        lots: int,
        value: int,
        open_lots: int,
    ) -> None:
        """What an order may do, before its fill is settled."""
        context, number = self.context, holding.symbol.number
        if role in TRADES:
            context.expect_state(number, (SymbolState.OPEN,), f"trade {trade_id} happens")
        if role in (MAKER, AUCTION):
            order = self.orders.known(order_id, holding.account, price if role == MAKER else None)
            if order is not None:
                self.orders.fill_resting(order, holding, side, lots, open_lots)
                if role == AUCTION:
                    self.auctions.check_fill(order, price, lots)
        elif role == TAKER:
            self.orders.float_down(order_id, lots, open_lots)
            self.check_taker(order_id)
        elif role != SETTLEMENT:
            self.liquidations.before_fill(
                holding, side, role, trade_id, order_id, price, lots, value, open_lots
            )

    def check_taker(self, order_id: int) -> None:
        """MATCH-04, MATCH-14: a post-only order never takes, and a list that is all or nothing never trades."""
        context = self.context
        if context.acting is not None and context.acting.flags & OrderFlag.POST_ONLY:
            context.report("MATCH-04", f"post-only order {order_id} takes")
        wanted = context.wanted
        if isinstance(wanted, PlacedList) and wanted.mode == ListMode.ALL_OR_NOTHING:
            context.report("MATCH-14", f"order {order_id} of an all-or-nothing list trades")

    def pair(self, terms: Terms, side: int, role: int, account: int) -> None:
        """Two fills make a trade: opposite sides, same terms, fitting roles, different accounts (I27)."""
        context = self.context
        if self.first is None:
            context.expect("MATCH-01", "the next trade id", self.last_trade_id + 1, terms[0])
            self.last_trade_id = terms[0]
            self.first = (terms, side, role, account)
            return
        first_terms, first_side, first_role, first_account = self.first
        self.first = None
        if terms != first_terms or side == first_side or (first_role, role) not in ROLE_PAIRS:
            context.report(
                "MATCH-01", f"the sides of trade {terms[0]} do not fit: {first_terms} and {terms}"
            )
        accounts = self.state.accounts
        # The engine's own orders and deleveraging know no groups; but nobody stands on both sides of anything.
        is_own = accounts[account].is_own(accounts[first_account]) and role in ORDERLY
        if account == first_account or is_own:
            context.report(
                "I27",
                f"account {account} trades with {first_account}, its own, in trade {terms[0]}",
            )

    def check_enlarging(self, holding: Holding, signed: int, role: int) -> None:
        """I18, I19: who is below initial margin may not enlarge a position (MARGIN-07, MARGIN-07b)."""
        context, lots = self.context, holding.lots
        after = lots + signed
        if lots and (lots > 0) == (after > 0) and abs(after) <= abs(lots):
            return
        if after == 0:
            return
        if role == MAKER and self.asked_before():
            return  # a fill-or-kill asks its makers before the first fill, and not again
        if role == TAKER and (context.command == AMEND or holding in context.orders_touched):
            return  # an amendment has its own test; and a taker is asked once, not at each fill
        if role != MAKER and holding.symbol.limits.upper >= 0:
            return  # the other side of the trade was settled, and may have raised the rate since it was asked
        short = available(holding.owner)
        if short < 0:
            context.report(
                "I19",
                f"{holding.place} enlarges its position to {after} lots though {-short} atoms are missing",
            )

    def check_caps(self, holding: Holding, signed: int, role: int) -> None:
        """I34, MARGIN-11: no trade raises open interest above its cap, no order of its own a taker above his."""
        symbol, lots = holding.symbol, holding.lots
        position_cap, interest_cap, _, _ = symbol.limits
        enlarges = lots * signed > 0
        if role == TAKER and enlarges and 0 <= position_cap < notional_of(holding):
            self.context.report(
                "I34",
                f"account {holding.account} takes {lots} lots of symbol {symbol.number}, "
                f"{notional_of(holding)} atoms of at most {position_cap}",
            )
        is_over = 0 <= interest_cap < symbol.interest * symbol.mark_value
        if (
            self.first is None
            and role != SETTLEMENT
            and is_over
            and symbol.interest > self.interest
        ):
            self.context.report(
                "I34",
                f"open interest of symbol {symbol.number} rises to {symbol.interest * symbol.mark_value} atoms, "
                f"at most {interest_cap}",
            )

    def asked_before(self) -> bool:
        context = self.context
        if (
            context.command == AMEND and not self.waiting.has_triggered
        ) or context.is_engine_acting:
            return False
        return context.acting is None or context.acting.time_in_force == TimeInForce.FOK

    # --------------------------------------------------------------------------------------- settlement

    def settle(
        self,
        holding: Holding,
        signed: int,
        role: int,
        value: int,
        came: tuple[int, int, int, int, int, int],
        *,
        unfinished: bool,
    ) -> None:
        """Works out the fill and compares position, entry value, profit, fee, wallet and margin."""
        context, state = self.context, self.state
        wallet, margin = holding.owner.wallet, holding.margin
        pieces = split_fill(holding, signed, value)
        realised = 0
        for closing, piece_lots, piece_value in pieces:
            if closing:
                profit, returned = self.close(holding, piece_lots, piece_value, role)
                realised += profit
                wallet += returned[0]
                margin += returned[1]
            else:
                entry = holding.entry + (piece_value if piece_lots > 0 else -piece_value)
                state.set_position(holding, holding.lots + piece_lots, entry)
                worth = pool_standing(state, cross_pool(holding.account))[0]
                moved = opening_margin(holding, piece_value, worth)
                wallet -= moved
                margin += moved
            state.set_money(holding, holding.owner, wallet, margin)
        fee = self.fee(holding, signed, value, role, came[3] if unfinished else None, came[3])
        wallet -= fee[0]
        margin -= fee[1]
        wanted = (holding.lots, holding.entry, realised, sum(fee), wallet, margin)
        if wanted != came:
            context.report(
                "I3",
                f"a fill of {holding.place} settles to "
                f"(position, entry value, realised, fee, wallet, margin) {wanted}, the event says {came}",
            )
            state.set_position(holding, came[0], came[1])
        state.set_money(holding, holding.owner, came[4], came[5])
        state.fees += came[3]
        state.money += came[3]

    def close(
        self, holding: Holding, signed: int, value: int, role: int
    ) -> tuple[int, tuple[int, int]]:
        """ACCT-03, ACCT-05: closes part of a position; (realised, (to the wallet, to the margin))."""
        whole, closed = abs(holding.lots), abs(signed)
        released = -(-holding.entry * closed // whole)
        realised = (-value if signed > 0 else value) - released
        margin = holding.margin
        if not holding.isolated:
            returned = (realised, 0)
        elif closed == whole and role != LIQUIDATED:
            returned = (margin + realised, -margin)
            if margin + realised < 0:
                self.context.report(
                    "I5",
                    f"account {holding.account} loses {-realised} on an isolated position backed by {margin}",
                )
        elif role in (LIQUIDATED, DELEVERAGED):
            returned = (0, realised)
        else:
            share = margin * closed // whole
            net = share + realised
            returned = (net, -share) if net >= 0 else (0, realised)
        self.state.set_position(holding, holding.lots + signed, holding.entry - released)
        return realised, returned

    def fee(
        self, holding: Holding, signed: int, value: int, role: int, came: int | None, told: int
    ) -> tuple[int, int]:
        """ACCT-04: what wallet and isolated margin pay; a fee never causes a deficit.

        A taker with lots left keeps what they may lose, which its limit tells and the events do not: where less
        than could be paid came, what came is believed.
        """
        policy = holding.symbol.policy
        if role == MAKER:
            fee = ceil_ppm(value, policy.maker_fee_ppm)
        elif role == TAKER:
            fee = ceil_ppm(value, policy.taker_fee_ppm)
        elif role == AUCTION:
            fee = ceil_ppm(value, max(0, policy.maker_fee_ppm))
        else:
            return 0, 0
        if fee <= 0:
            return self.believed_rebate(fee, told) if role == MAKER else fee, 0
        from_wallet = min(fee, max(0, pool_standing(self.state, cross_pool(holding.account))[0]))
        believed = role == TAKER and came is not None and came >= 0
        if not holding.isolated:
            return (min(from_wallet, came) if believed and came is not None else from_wallet), 0
        if not holding.lots or (holding.lots > 0) != (signed > 0):
            return from_wallet, 0
        worth = pool_standing(self.state, holding.own_pool)[0]
        from_margin = min(fee - from_wallet, max(0, worth))
        if believed and came is not None:
            from_margin = max(0, min(from_margin, came - from_wallet))
        return from_wallet, from_margin

    def believed_rebate(self, by_rate: int, told: int) -> int:
        """What a maker says that it got, of what its rate gives; the taker's side will tell (check_rebate)."""
        got = max(by_rate, min(told, 0))
        self.rebate = (by_rate, got)
        return got

    def check_rebate(self, role: int, fee: int) -> None:
        """ACCT-04: a rebate is at most what the taker of the trade paid; who is liquidated pays nothing."""
        if self.rebate is None or role not in (TAKER, LIQUIDATED):
            return
        by_rate, came = self.rebate
        self.rebate = None
        self.context.expect("I22", "the maker's rebate", max(by_rate, -fee), came)

    def finish(self) -> None:
        if self.first is not None:
            self.context.report("MATCH-01", f"trade {self.first[0][0]} has one side only")
            self.first = None


def split_fill(holding: Holding, signed: int, value: int) -> list[tuple[bool, int, int]]:
    """A fill as (whether it closes, signed lots, value): one piece, or two where the position flips (ACCT-03)."""
    lots = holding.lots
    if lots == 0 or (lots > 0) == (signed > 0):
        return [(False, signed, value)]
    if abs(signed) <= abs(lots):
        return [(True, signed, value)]
    # Only fills at a price can flip, so the value divides by the lots.
    closed = value * abs(lots) // abs(signed)
    return [(True, -lots, closed), (False, signed + lots, value - closed)]


def opening_margin(holding: Holding, value: int, worth: int) -> int:
    """ACCT-05: what opening for this value moves to the isolated pool from a cross pool that is worth this."""
    if not holding.isolated:
        return 0
    want = ceil_ppm(value, initial_rate(holding, notional_of(holding)))
    return min(want, max(0, worth))
