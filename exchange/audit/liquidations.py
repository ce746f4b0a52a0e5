"""Liquidation, fund and deleveraging as their events tell them (LIQ, FUND, ADL; I5..I17)."""

from __future__ import annotations

from exchange.audit.charges import ChargeAudit, bearing_of
from exchange.audit.context import Context
from exchange.audit.decisions import DecisionAudit, Sent
from exchange.audit.deleveraging import Stage
from exchange.audit.funds import FundAudit
from exchange.audit.requirement import (
    bankruptcy_value,
    ceil_ppm,
    part_of,
    pool_standing,
    share_of,
)
from exchange.audit.state import Holding, PoolKey
from exchange.protocol.schema import PPM, AdlPolicy, FillRole, FundCause, Side, SymbolState


class Closing:
    """A closing order of the engine."""

    __slots__ = ("holding", "limit", "lots", "side")

    def __init__(self, holding: Holding, side: int, limit: int, lots: int) -> None:
        self.holding, self.side, self.limit, self.lots = holding, side, limit, lots


class LiquidationAudit:
    """Follows each liquidation: why it began, what it cost whom, and in which order."""

    def __init__(
        self, context: Context, decisions: DecisionAudit, funds: FundAudit, charges: ChargeAudit
    ) -> None:
        self.context = context
        self.charges = charges
        self.funds = funds
        self.state = context.state
        self.decisions = decisions
        self.closing: dict[int, Closing] = {}
        self.offered: set[Holding] = set()  # positions that had a closing order in this command
        self.bankruptcy_part = 0  # of the liquidated fill that waits for its settlement
        self.settling: tuple[Holding, int, int, int] | None = (
            None  # holding, trade id, value, surplus
        )
        self.fund_moved = 0  # by fee or deficit since that fill
        self.wanted_charges: dict[int, int] = {}  # of that fill: what is to be charged to whom
        self.charged: dict[int, int] = {}  # and what was, so far
        self.cover: tuple[int, int] | None = None  # symbol, paid; waits for the pool's side of it
        self.stage: Stage | None = None

    # -------------------------------------------------------------------------------- begin and end

    def on_started(
        self, account: int, symbol: int, leg: int, equity: int, maintenance: int
    ) -> None:
        context, pool = self.context, (account, symbol, leg)
        context.liquidating = context.is_engine_acting = True
        self.state.account(account)
        self.expect_standing(pool, equity, maintenance)
        if pool in self.state.flagged:
            context.report("I32", f"the liquidation of pool {pool} begins twice")
        if equity >= maintenance:
            context.report(
                "MARGIN-08",
                f"pool {pool} is liquidated at equity {equity}, maintenance {maintenance}",
            )
        for holding in self.state.accounts[account].holdings.values():
            if holding.pool == pool and (holding.orders or holding.waiting):
                context.report(
                    "LIQ-02", f"pool {pool} is liquidated before its orders are cancelled"
                )
        self.state.flagged.add(pool)
        self.state.drawn[pool] = 0
        context.pools.add(pool)

    def on_order(
        self,
        account: int,
        symbol: int,
        side: int,
        leg: int,
        order_id: int,
        limit: int,
        lots: int,
        mark: int,
        bankruptcy: int,
        equity: int,
        maintenance: int,
    ) -> None:
        context, holding = self.context, self.state.holding(account, symbol, leg)
        context.liquidating = context.is_engine_acting = True
        context.expect_state(symbol, (SymbolState.OPEN,), f"closing order {order_id} is sent")
        if order_id <= self.state.last_order_id:
            context.report("LIQ-06", f"closing order {order_id} has an id that was given before")
        self.state.last_order_id = max(order_id, self.state.last_order_id)
        self.offered.add(holding)
        self.decisions.on_order(Sent(order_id, holding, side, limit, lots))
        if holding.pool not in self.state.flagged:
            context.report("I7", f"pool {holding.pool} is closed without being flagged")
        self.expect_standing(holding.pool, equity, maintenance)
        context.expect("LIQ-06", f"mark of symbol {symbol}", holding.symbol.mark, mark)
        if (
            not holding.lots
            or side != (Side.SELL if holding.lots > 0 else Side.BUY)
            or lots > abs(holding.lots)
        ):
            context.report(
                "I10",
                f"a closing order of {lots} lots, side {side}, for a position of {holding.lots}",
            )
            return
        wanted = bankruptcy_value(holding, share_of(self.state, holding, equity))
        context.expect("LIQ-05", f"bankruptcy value of {holding.place}", wanted, bankruptcy)
        self.check_slippage(holding, limit)
        self.closing[order_id] = Closing(holding, side, limit, lots)

    def check_slippage(self, holding: Holding, limit: int) -> None:
        cap, mark = holding.symbol.policy.slippage_cap_ppm, holding.symbol.mark
        if cap < 0:
            return
        too_far = (
            limit * PPM < mark * (PPM - cap)
            if holding.lots > 0
            else limit * PPM > mark * (PPM + cap)
        )
        if too_far:
            self.context.report(
                "LIQ-06",
                f"a closing limit of {limit} is further from the mark {mark} than {cap} ppm",
            )

    def on_ended(self, account: int, symbol: int, leg: int, equity: int, maintenance: int) -> None:
        context, pool = self.context, (account, symbol, leg)
        self.decisions.order_over()
        self.expect_standing(pool, equity, maintenance)
        if pool not in self.state.flagged:
            context.report("I7", f"the liquidation of pool {pool} ends without having begun")
        if pool_standing(self.state, pool)[2] and equity < maintenance:
            context.report(
                "MARGIN-08", f"pool {pool} is let go at equity {equity}, maintenance {maintenance}"
            )
        self.state.flagged.discard(pool)
        self.state.uncovered.discard(pool)
        self.state.drawn.pop(pool, None)
        self.charges.on_ended(account, symbol)
        self.finish_stage()
        context.pools.add(pool)

    def expect_standing(self, pool: PoolKey, equity: int, maintenance: int) -> None:
        wanted = pool_standing(self.state, pool)[:2]
        self.context.expect(
            "I20", f"(equity, maintenance) of pool {pool}", wanted, (equity, maintenance)
        )

    # ---------------------------------------------------------------------------------------- fills

    def before_fill(
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
        """A fill of a closing order or of deleveraging, before it is settled."""
        reducible = holding.lots if side == Side.SELL else -holding.lots
        if reducible < lots:
            self.context.report("I10", f"{lots} lots are closed for a position of {holding.lots}")
            return
        if role == FillRole.LIQUIDATED:
            self.before_closing_fill(holding, trade_id, order_id, price, lots, value, open_lots)
        elif role == FillRole.DELEVERAGED:
            self.before_deleveraging(holding, trade_id, lots, value)
        else:
            self.before_counterparty(holding, trade_id, lots)

    def before_closing_fill(
        self,
        holding: Holding,
        trade_id: int,
        order_id: int,
        price: int,
        lots: int,
        value: int,
        open_lots: int,
    ) -> None:
        context, order = self.context, self.closing.get(order_id)
        if order is None or order.holding is not holding:
            context.report("LIQ-06", f"trade {trade_id} closes a position without a closing order")
            return
        beyond = price < order.limit if order.side == Side.SELL else price > order.limit
        if beyond:
            context.report(
                "LIQ-06", f"trade {trade_id} at {price} is beyond the closing limit {order.limit}"
            )
        order.lots -= lots
        self.decisions.on_fill(order_id, lots)
        context.expect("LIQ-06", f"lots left of closing order {order_id}", order.lots, open_lots)
        is_long = holding.lots > 0
        equity, _, _ = pool_standing(self.state, holding.pool)
        whole_value = bankruptcy_value(holding, share_of(self.state, holding, equity))
        self.bankruptcy_part = part_of(whole_value, lots, abs(holding.lots), is_long=is_long)
        surplus = value - self.bankruptcy_part if is_long else self.bankruptcy_part - value
        at_mark = lots * holding.symbol.mark_value
        lost = max(0, at_mark - value if is_long else value - at_mark)
        self.expect_charges(holding, trade_id, max(0, -surplus), lost)
        self.settling = (holding, trade_id, value, surplus)
        self.fund_moved = 0

    def expect_charges(self, holding: Holding, trade_id: int, short: int, lost: int) -> None:
        """I12, I13: what a fill lost against the mark is charged to its symbol, the rest was below zero before."""
        self.wanted_charges, self.charged = {}, {}
        if not short:
            return
        bearing, own = bearing_of(self.charges, holding), min(short, lost)
        own_room = bearing.own - (short - own if bearing.tied else 0)
        if short - own > bearing.claim.atoms or own > max(0, own_room):
            self.context.report(
                "I12", f"trade {trade_id} is {short} atoms short, more than the funds may pay"
            )
        for symbol, atoms in ((bearing.claim.symbol, short - own), (holding.symbol, own)):
            if atoms:
                charged = self.wanted_charges.get(symbol.number, 0)
                self.wanted_charges[symbol.number] = charged + atoms
        if not holding.isolated:
            self.charges.settle(holding.owner, bearing.claim.symbol.number, short - own)

    def on_settled(
        self,
        account: int,
        symbol: int,
        leg: int,
        fund: int,
        trade_id: int,
        bankruptcy: int,
        fee: int,
        paid: int,
        wallet: int,
        margin: int,
    ) -> None:
        """I9, I11: the fund pays exactly what is short; the fee never exceeds what is left."""
        context = self.context
        if self.settling is None:
            context.report("LIQ-07", f"trade {trade_id} is settled without a fill")
            return
        holding, fill_trade_id, value, surplus = self.settling
        self.settling = None
        policy = holding.symbol.policy
        wanted_fee = max(0, min(ceil_ppm(value, policy.liquidation_fee_ppm), surplus))
        came = (trade_id, account, symbol, leg, fund, bankruptcy)
        wanted = (fill_trade_id, *holding.own_pool, policy.fund, self.bankruptcy_part)
        context.expect(
            "LIQ-07", "(trade, account, symbol, leg, fund, bankruptcy value) settled", wanted, came
        )
        context.expect("I11", f"liquidation fee of trade {trade_id}", wanted_fee, fee)
        context.expect("I9", f"what the fund pays for trade {trade_id}", max(0, -surplus), paid)
        context.expect(
            "I13", f"what the fund moved for trade {trade_id}", fee - paid, self.fund_moved
        )
        context.expect(
            "I13", f"who is charged for trade {trade_id}", self.wanted_charges, self.charged
        )
        self.settle_money(holding, paid - fee, wallet, margin)
        for number, atoms in self.charged.items():
            self.draw(holding, number, atoms)

    def settle_money(self, holding: Holding, change: int, wallet: int, margin: int) -> None:
        """LIQ-07, LIQ-08: fee and fund payment meet the pool; what an emptied isolated pool has goes to the wallet."""
        owner = holding.owner
        wanted_wallet, wanted_margin = owner.wallet, holding.margin
        if not holding.isolated:
            wanted_wallet += change
        elif holding.lots:
            wanted_margin += change
        else:
            if wanted_margin + change < 0:
                self.context.report(
                    "I5", f"an isolated pool of account {owner.number} ends below zero"
                )
            wanted_wallet, wanted_margin = wanted_wallet + wanted_margin + change, 0
        self.context.expect(
            "I3",
            f"(wallet, margin) of account {owner.number}",
            (wanted_wallet, wanted_margin),
            (wallet, margin),
        )
        self.state.set_money(holding, owner, wallet, margin)
        self.context.touch(holding)

    def draw(self, holding: Holding, charged: int, paid: int) -> None:
        """I12: what one liquidation draws from the funds stays within the cap of the symbol that is charged."""
        drawn = self.state.drawn.get(holding.pool, 0) + paid
        self.state.drawn[holding.pool] = drawn
        cap = self.state.symbols[charged].policy.draw_cap_atoms
        if 0 <= cap < drawn:
            self.context.report(
                "I12", f"pool {holding.pool} has drawn {drawn} atoms of at most {cap}"
            )

    # ------------------------------------------------------------------------------------ the fund

    def on_fund(self, fund: int, symbol: int, cause: int, change: int) -> None:
        """A fund moved for a liquidation: it has to be a fund of the symbol that caused it (I13)."""
        if cause in (FundCause.LIQUIDATION_FEE, FundCause.LIQUIDATION_DEFICIT):
            self.fund_moved += change
            if cause == FundCause.LIQUIDATION_DEFICIT:
                self.charged[symbol] = self.charged.get(symbol, 0) - change
            else:
                settled = self.settling[0].symbol.number if self.settling else 0
                self.context.expect("I13", "the symbol that the fee is of", settled, symbol)
        elif cause == FundCause.DEFICIT_COVER:
            paid = self.cover[1] if self.cover and self.cover[0] == symbol else 0
            self.cover = (symbol, paid - change)
        if change < 0:
            self.funds.on_payment(fund, symbol, -change)
        else:
            own = self.state.symbols[symbol].policy.fund
            self.context.expect("I13", "the fund that takes the fee", own, fund)

    def before_cover(self, holding: Holding, wallet_change: int, margin_change: int) -> None:
        """FUND-02: the fund pays into a pool below zero, at most this position's share of what is missing."""
        context, paid = self.context, wallet_change + margin_change
        equity, _, _ = pool_standing(self.state, holding.pool)
        missing = -share_of(self.state, holding, equity)
        if holding.pool not in self.state.flagged or missing <= 0:
            context.report(
                "FUND-02", f"the fund covers pool {holding.pool}, which is not below zero"
            )
        told = self.decisions.paid.pop(holding, (0, 0))
        context.expect("FUND-02", f"what the fund pays for pool {holding.pool}", told[1], paid)
        if self.cover is None or self.cover[1] != paid:
            context.report("I9", f"pool {holding.pool} is paid {paid}, the fund says {self.cover}")
        else:
            context.expect("I13", "the symbol charged for a deficit", told[0], self.cover[0])
            self.charges.settle(holding.owner, self.cover[0], 0 if holding.isolated else paid)
            self.draw(holding, self.cover[0], paid)
        self.cover = None
        covered = self.decisions.covered.get(holding, 0)
        self.decisions.covered[holding] = covered + paid

    # -------------------------------------------------------------------------------- deleveraging

    def on_policy(self, account: int, symbol: int, policy: int) -> None:
        self.state.symbols[symbol].adl_policy = AdlPolicy(policy)

    def on_ranked(
        self,
        account: int,
        symbol: int,
        leg: int,
        deleveraged: int,
        deleveraged_leg: int,
        *told: int,
    ) -> None:
        """ADL-01, ADL-05: the counterparty whose turn it is, with all that it is ranked by."""
        context, holding = self.context, self.state.holding(deleveraged, symbol, deleveraged_leg)
        if not holding.lots:
            context.report("I16", f"{holding.place} is deleveraged without a position")
            return
        stage = self.stage
        if stage is None or stage.holding is not holding or not stage.ranked:
            stage = self.stage = self.begin_stage(holding)
        turn = stage.ranked.pop(0) if stage.ranked else None
        if turn is None or (turn.holding.account, turn.holding.leg) != (account, leg):
            whose = turn.holding.account if turn else "nobody"
            context.report("I16", f"account {account} is ranked where {whose} should be")
            return
        stage.telling = turn
        policy, trade_id, *rest = told
        wanted = [turn.rank, stage.candidates, turn.profit, turn.notional, turn.entry]
        wanted += [max(1, turn.equity), turn.net, turn.lots, turn.haircut]
        context.expect("ADL-05", f"policy of symbol {symbol}", int(stage.policy), policy)
        context.expect("I16", f"rank of account {account} and what it gives", wanted, rest)
        if bool(trade_id) != bool(turn.lots):
            context.report("ADL-05", f"account {account} gives {turn.lots} in trade {trade_id}")

    def before_haircut(self, holding: Holding, change: int) -> None:
        """I15, I16: at the mark, each winner pays its part and the pool that is closed receives their sum."""
        stage = self.stage
        if stage is None or stage.policy != AdlPolicy.MARK_PRICED:
            self.context.report("ADL-05", f"account {holding.account} pays {-change} to nobody")
            return
        wanted = stage.missing
        if holding is not stage.holding:
            turn, stage.telling = stage.telling, None
            wanted = -turn.haircut if turn is not None and turn.holding is holding else 0
        elif not stage.ranked:
            stage.missing = 0
        self.context.expect("I15", f"haircut of account {holding.account}", wanted, change)

    def before_deleveraging(self, holding: Holding, trade_id: int, lots: int, value: int) -> None:
        """ADL-02: the part of V for these lots, so that the parts add up to V."""
        stage = self.stage
        if stage is None or stage.holding is not holding or not stage.givers:
            self.context.report("I16", f"trade {trade_id} deleverages out of its turn")
            return
        turn = stage.givers[0]
        came, wanted = (lots, value), (turn.lots, turn.value)
        self.context.expect("I15", f"(lots, value) of deleveraging {trade_id}", wanted, came)

    def begin_stage(self, holding: Holding) -> Stage:
        """I14, ADL-01: book and fund are spent; the other side is ranked as it stands now."""
        context, state = self.context, self.state
        paid = self.decisions.covered.pop(holding, 0)
        equity, _, _ = pool_standing(state, holding.pool)
        share = share_of(state, holding, equity - paid)
        if holding.pool not in state.flagged or equity - paid >= 0:
            context.report("I14", f"pool {holding.pool} is deleveraged at equity {equity - paid}")
        self.charges.ask(holding)
        if share + paid < 0 and self.charges.claim(holding).atoms > 0:
            context.report(
                "I14", f"pool {holding.pool} is deleveraged though its fund could still pay"
            )
        if holding.lots > 0 and holding not in self.offered and holding.symbol.is_open:
            # A long has a closing limit at any equity; a short that is bankrupt below one tick had none.
            context.report(
                "I14", f"pool {holding.pool} is deleveraged without having asked the book"
            )
        value = bankruptcy_value(holding, share + paid)
        self.decisions.on_stage(holding, value)
        stage = Stage(state, holding, value)
        haircuts = sum(turn.haircut for turn in stage.turns)
        if stage.left == 0:
            context.expect("I15", "haircuts for the whole position", -share - paid, haircuts)
        return stage

    def before_counterparty(self, holding: Holding, trade_id: int, lots: int) -> None:
        """I16: nobody before this one in the ranking could have borne it."""
        context, stage = self.context, self.stage
        turn = stage.givers.pop(0) if stage is not None and stage.givers else None
        if turn is None or turn.holding is not holding:
            context.report("I16", f"account {holding.account} is deleveraged out of its turn")
        elif stage is not None and stage.policy == AdlPolicy.MARK_PRICED and stage.missing:
            context.report("I15", f"trade {trade_id} closes before {stage.missing} atoms were paid")

    def after_counterparty(self, holding: Holding) -> None:
        """I16: nobody ends below zero by giving."""
        equity, _, _ = pool_standing(self.state, holding.pool)
        if equity < 0:
            self.context.report(
                "I16", f"account {holding.account} is deleveraged to an equity of {equity}"
            )

    def on_uncovered(
        self, account: int, symbol: int, leg: int, remaining: int, shortfall: int
    ) -> None:
        """ADL-03: nobody is left who could have taken the rest."""
        context, holding = self.context, self.state.holding(account, symbol, leg)
        equity, _, _ = pool_standing(self.state, holding.pool)
        context.expect("ADL-03", f"position left of account {account}", holding.lots, remaining)
        context.expect("ADL-03", f"shortfall of account {account}", max(0, -equity), shortfall)
        stage = self.stage
        if stage is None or stage.holding is not holding:
            stage = self.begin_stage(holding)
        if stage.givers or stage.left != abs(remaining):
            givers = ", ".join(str(turn.holding.account) for turn in stage.givers) or "nobody"
            context.report(
                "ADL-03",
                f"{abs(remaining)} lots are reported uncovered, not {stage.left}; asked could have been {givers}",
            )
        self.stage = None
        if equity < 0:
            self.state.uncovered.add(holding.pool)

    def finish_stage(self) -> None:
        """ADL-05: everybody who was to be asked was asked."""
        stage, self.stage = self.stage, None
        if stage is not None and (stage.givers or stage.ranked or stage.left):
            self.context.report(
                "ADL-03", f"the deleveraging of account {stage.holding.account} ends half-way"
            )

    def finish(self) -> None:
        if not self.context.liquidating and self.cover is None:
            return
        if self.settling is not None:
            self.context.report("LIQ-07", f"trade {self.settling[1]} is not settled")
        if self.cover is not None:
            self.context.report("I9", f"a fund paid {self.cover[1]} to nobody")
        self.finish_stage()
        self.settling = self.cover = None
        self.closing.clear()
        self.offered.clear()
