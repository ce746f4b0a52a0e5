"""Money that moves other than by fills: payments, margin, funding, funds (I3, I13, I17, I29)."""

from __future__ import annotations

from exchange.audit.collateral import CollateralAudit
from exchange.audit.context import Context
from exchange.audit.legs import LegAudit
from exchange.audit.liquidations import LiquidationAudit
from exchange.audit.requirement import (
    available,
    initial_of,
    maintenance_of_holding,
    notional_of,
)
from exchange.audit.state import Account, Holding, cross_pool
from exchange.protocol.schema import BalanceCause, FundCause, SymbolState

Q32 = 1 << 32


class BalanceAudit:
    """Every change of a balance has one entry, and the entries add up."""

    def __init__(
        self,
        context: Context,
        liquidations: LiquidationAudit,
        collateral: CollateralAudit,
        legs: LegAudit,
    ) -> None:
        self.context = context
        self.state = context.state
        self.liquidations = liquidations
        self.collateral = collateral
        self.legs = legs
        #: What each position still has to pay for the funding under way.
        self.funding_due: dict[Holding, int] = {}
        self.funding_paid = 0
        self.switched: Holding | None = None  # whose margin mode this command set

    def on_balance(
        self,
        account: int,
        symbol: int,
        leg: int,
        cause: int,
        wallet_change: int,
        margin_change: int,
        wallet: int,
        margin: int,
    ) -> None:
        context, owner = self.context, self.state.account(account)
        holding = self.state.holding(account, symbol, leg) if symbol else None
        if cause == BalanceCause.FUND_COVER and holding is not None:
            self.liquidations.before_cover(holding, wallet_change, margin_change)
        elif cause == BalanceCause.HAIRCUT and holding is not None:
            self.liquidations.before_haircut(holding, wallet_change + margin_change)
        wanted = (owner.wallet + wallet_change, (holding.margin if holding else 0) + margin_change)
        context.expect("I3", f"(wallet, margin) of account {account}", wanted, (wallet, margin))
        self.state.set_money(holding, owner, wallet, margin)
        if holding is not None and cause == BalanceCause.FUNDING:
            context.touch_pools(holding)
        elif holding is not None:
            context.touch(holding)
        context.touch_wallet(owner)
        self.check_cause(owner, holding, cause, wallet_change, margin_change)

    def check_cause(
        self,
        owner: Account,
        holding: Holding | None,
        cause: int,
        wallet_change: int,
        margin_change: int,
    ) -> None:
        """What a cause may move: in from outside, out, between the pools, or against others."""
        context = self.context
        if cause == BalanceCause.DEPOSIT:
            self.state.paid_in += wallet_change
            is_right = holding is None and wallet_change > 0
        elif cause == BalanceCause.WITHDRAWAL:
            self.state.paid_in += wallet_change
            is_right = holding is None and wallet_change < 0
            self.check_withdrawal(owner)
        elif cause == BalanceCause.CONVERSION:
            self.state.paid_in += wallet_change
            is_right = holding is None and self.collateral.on_brought(wallet_change)
        elif cause == BalanceCause.ISOLATED_MARGIN:
            is_right = (
                holding is not None and holding.isolated and wallet_change + margin_change == 0
            )
            self.check_isolated_margin(holding, margin_change)
        elif cause == BalanceCause.AUTO_MARGIN:
            is_right = holding is not None and holding.isolated and wallet_change == -margin_change
            self.check_auto_margin(holding, margin_change)
        elif cause == BalanceCause.MARGIN_MODE:
            is_right = holding is not None and wallet_change + margin_change == 0
        elif cause == BalanceCause.FUNDING:
            is_right = self.pool_alone(holding, wallet_change, margin_change)
            due = self.funding_due.pop(holding, 0) if holding is not None else 0
            if holding is not None:
                self.liquidations.charges.on_funding(holding, wallet_change + margin_change)
            self.funding_paid -= wallet_change + margin_change
            context.expect(
                "I17", f"funding of account {owner.number}", -due, wallet_change + margin_change
            )
        else:
            is_right = self.pool_alone(holding, wallet_change, margin_change)
        if not is_right:
            context.report(
                "I6",
                f"{BalanceCause(cause).name.lower()} moves wallet {wallet_change}, margin {margin_change}",
            )

    def pool_alone(self, holding: Holding | None, wallet_change: int, margin_change: int) -> bool:
        """I6: the pool of the position moves, and no other."""
        if holding is None:
            return False
        return (wallet_change if holding.isolated else margin_change) == 0

    def check_withdrawal(self, owner: Account) -> None:
        """ACCT-07: unrealised profit never leaves, and nobody leaves while a deficit is uncovered."""
        context, pool = self.context, cross_pool(owner.number)
        if self.state.uncovered:
            context.report(
                "ADL-03",
                f"account {owner.number} withdraws while {len(self.state.uncovered)} pools are uncovered",
            )
        if pool in self.state.flagged:
            context.report(
                "I7", f"account {owner.number} withdraws from a pool that is being liquidated"
            )
        left = min(owner.wallet, available(owner, weight_ppm=0))
        if left < 0:
            context.report("I18", f"account {owner.number} withdraws {-left} atoms too much")

    def check_isolated_margin(self, holding: Holding | None, change: int) -> None:
        """ACCT-06: added from what is available, removed down to initial margin."""
        if holding is None or not holding.lots:
            self.context.report("ACCT-06", "isolated margin moves without a position")
            return
        if change > 0:
            short = -available(holding.owner)
        else:
            needed = initial_of(holding, notional_of(holding))
            short = max(needed - holding.margin - min(0, holding.unrealised), -holding.margin)
        if short > 0:
            self.context.report(
                "I18", f"account {holding.account} moves isolated margin, {short} atoms are missing"
            )

    def on_auto_margin(self, account: int, symbol: int, leg: int, enabled: int) -> None:
        holding = self.state.holding(account, symbol, leg)
        holding.auto_margin = bool(enabled)
        self.legs.check_leg(holding)

    def check_auto_margin(self, holding: Holding | None, moved: int) -> None:
        """ACCT-09: asked for, below maintenance, what initial margin needs or all there is, and to maintenance."""
        context = self.context
        if holding is None or not holding.lots:
            context.report("ACCT-09", "margin is added without a position")
            return
        before = holding.margin + holding.unrealised - moved
        maintenance = maintenance_of_holding(holding)
        pools = {holding.own_pool, cross_pool(holding.account)}
        if not holding.auto_margin or before >= maintenance or pools & self.state.flagged:
            context.report("ACCT-09", f"{moved} atoms are added to {holding.place} unasked")
        owner = holding.owner
        spare = min(owner.wallet, available(owner, weight_ppm=0))  # after it
        missing = initial_of(holding, notional_of(holding)) - before - moved
        if moved <= 0 or missing < 0 or before + moved < maintenance or (missing and spare):
            context.report(
                "ACCT-09", f"{moved} atoms are added to {holding.place}: {missing} are missing then"
            )
        if spare < 0:
            context.report("I18", f"account {owner.number} adds margin, {-spare} atoms are missing")

    def on_fund(self, fund: int, symbol: int, cause: int, change: int, balance: int) -> None:
        context = self.context
        context.expect(
            "I3", f"balance of fund {fund}", self.state.funds.get(fund, 0) + change, balance
        )
        if balance < 0:
            context.report("I12", f"fund {fund} is at {balance}")
        self.state.money += balance - self.state.funds.get(fund, 0)
        self.state.funds[fund] = balance
        if cause == FundCause.DEPOSIT:
            self.state.paid_in += change
        elif cause == FundCause.FUNDING_RESIDUE:
            context.expect("I29", "what rounding leaves of the funding", self.funding_paid, change)
            if change < 0:
                context.report(
                    "I29", f"rounding of the funding takes {-change} atoms from fund {fund}"
                )
            self.funding_paid = 0
        else:
            self.liquidations.on_fund(fund, symbol, cause, change)

    def on_funding(self, symbol: int, atoms_per_lot: int, fraction_q32: int) -> None:
        """FUNDING-01: what each position has to pay, rounded up."""
        if self.state.symbols[symbol].state == SymbolState.SETTLED:
            self.context.report("MATCH-12", f"funding of symbol {symbol}, which is settled")
        self.finish_funding()
        rate = atoms_per_lot * Q32 + fraction_q32
        self.funding_due = {
            holding: payment
            for holding in self.state.symbols[symbol].holders.values()
            if (payment := -(-holding.lots * rate // Q32))
        }
        for holding in self.state.symbols[symbol].holders.values():
            self.context.touch_pools(holding)

    def on_margin_mode(
        self,
        account: int,
        symbol: int,
        leg: int,
        mode: int,
        initial_margin_ppm: int,
        own_rate_ppm: int,
    ) -> None:
        holding = self.state.holding(account, symbol, leg)
        if (holding.isolated, holding.rate_ppm) != (bool(mode), initial_margin_ppm):
            self.switched = holding
        holding.isolated = bool(mode)
        holding.own_rate_ppm = own_rate_ppm
        self.context.expect(
            "ACCT-01", f"rate of account {account}", holding.rate_ppm, initial_margin_ppm
        )
        self.state.sort_holding(holding)
        self.legs.check_leg(holding)
        self.context.touch(holding)
        self.context.pools.add(holding.own_pool)

    def finish_funding(self) -> None:
        """FUNDING-01: a settlement is over: everybody has paid, and what rounding left has gone to the fund."""
        for due, payment in self.funding_due.items():
            self.context.report("FUNDING-01", f"{due.place} does not pay its funding of {payment}")
        if self.funding_paid:
            self.context.report("I29", f"{self.funding_paid} atoms of funding went nowhere")
        self.funding_due = {}
        self.funding_paid = 0

    def finish(self) -> None:
        context = self.context
        self.finish_funding()
        holding, self.switched = self.switched, None
        if holding is not None and not context.liquidating and (holding.lots or holding.orders):
            self.check_switch(holding)

    def check_switch(self, holding: Holding) -> None:
        """ACCT-01: a switch with something open leaves every pool at its initial margin."""
        context, account = self.context, holding.account
        if not holding.isolated and holding.margin:
            context.report(
                "ACCT-01",
                f"account {account} keeps {holding.margin} atoms of isolated margin in cross mode",
            )
        short = -available(holding.owner)
        if holding.isolated and holding.lots:
            needed = initial_of(holding, notional_of(holding))
            short = max(short, needed - holding.margin - min(0, holding.unrealised))
        if short > 0:
            context.report(
                "I18", f"account {account} switches its margin mode, {short} atoms are missing"
            )
