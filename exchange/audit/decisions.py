"""What a liquidation tells of its decisions (LIQ-10): every size, limit and share again, from the rules' own words."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from exchange.audit.charges import ChargeAudit, bearing_of
from exchange.audit.context import Context
from exchange.audit.requirement import (
    bankruptcy_value,
    maintenance_of_holding,
    notional_of,
    part_of,
    pool_standing,
    share_of,
)
from exchange.audit.state import Holding
from exchange.protocol.messages import ListSymbol
from exchange.protocol.schema import (
    MAX_PRICE_TICKS,
    PPM,
    ClosingLimit,
    ClosingSize,
    LiquidationMode,
    Side,
)

#: What an event says at most of a number that only explains a decision.
MOST_TOLD = 2**63 - 1


@dataclass(slots=True)
class Sent:
    """A closing order that is in the book's loop."""

    order_id: int
    holding: Holding
    side: int
    limit: int
    lots: int  # that are left of it


class DecisionAudit:
    """Follows the records that explain a liquidation, and holds the closing orders to them."""

    def __init__(self, context: Context, charges: ChargeAudit) -> None:
        self.context = context
        self.charges = charges
        self.state = context.state
        #: The size and limit that were told last: position, lots, limit; None once its order is sent.
        self.told: tuple[str, int, int] | None = None
        self.sent: Sent | None = None  # until the engine's next decision
        self.positions: set[Holding] = set()  # told in this command
        self.shrunk: dict[
            int, int
        ] = {}  # by closing order: the lots that the fund bears of the next fill
        self.shares: dict[Holding, int] = {}  # told in this command: V of what is deleveraged
        self.paid: dict[Holding, tuple[int, int]] = {}  # and who is charged first, with how much
        self.covered: dict[Holding, int] = {}  # paid in this deficit stage

    def on_position(
        self,
        account: int,
        symbol: int,
        leg: int,
        pool_symbol: int,
        bracket: int,
        lots: int,
        entry: int,
        mark: int,
        notional: int,
        unrealised: int,
        maintenance: int,
        share: int,
        value: int,
    ) -> None:
        holding = self.state.holding(account, symbol, leg)
        self.order_over()
        self.positions.add(holding)
        if holding.pool not in self.state.flagged:
            self.context.report("LIQ-10", f"pool {holding.pool} is told without being flagged")
        equity, _, _ = pool_standing(self.state, holding.pool)
        worth = notional_of(holding)
        wanted_share = share_of(self.state, holding, equity)
        wanted = (
            holding.pool[1],
            bisect_right(holding.symbol.floors, worth) - 1,
            holding.lots,
            holding.entry,
            holding.symbol.mark,
            worth,
            holding.unrealised,
            maintenance_of_holding(holding),
            wanted_share,
            bankruptcy_value(holding, wanted_share),
        )
        came = (
            *(pool_symbol, bracket, lots, entry, mark, notional),
            *(unrealised, maintenance, share, value),
        )
        self.context.expect("LIQ-10", f"position of {holding.place}", wanted, came)

    def on_sized(self, account: int, symbol: int, leg: int, *fields: int) -> None:
        context, holding = self.context, self.state.holding(account, symbol, leg)
        context.liquidating = context.is_engine_acting = True
        self.order_over()
        self.told = (holding.place, fields[12], fields[18])
        if not holding.lots or not holding.symbol.mark:
            context.report("LIQ-10", f"{holding.place} is closed without need")
            return
        for other in self.state.pool_holdings(holding.pool):
            if other not in self.positions:
                context.report("LIQ-10", f"{other.place} was not told, of pool {holding.pool}")
        equity, maintenance, _ = pool_standing(self.state, holding.pool)
        policy = holding.symbol.policy
        limit = limit_of(self, holding, equity)
        size = size_of(holding, equity, maintenance)
        wanted = (
            *(policy.fund, policy.liquidation_mode, size[0], limit[0]),
            *(holding.lots, equity, maintenance, *size[1:], *limit[1:]),
        )
        context.expect("LIQ-10", f"how {holding.place} is closed", wanted, fields)

    def on_order(self, sent: Sent) -> None:
        """A closing order is sent: it is the one that was told last."""
        came = (sent.holding.place, sent.lots, sent.limit)
        self.context.expect("LIQ-10", "the closing order", self.told, came)
        self.told, self.sent = None, sent

    def on_shrunk(
        self,
        account: int,
        symbol: int,
        leg: int,
        order_id: int,
        price: int,
        offered: int,
        lots: int,
        budget: int,
        shortfall: int,
        budget_by: int,
        charged: int,
    ) -> None:
        """LIQ-07: the fund bears the most lots that its budget covers, and fewer than were offered."""
        self.shrunk[order_id] = lots
        holding = self.state.holding(account, symbol, leg)
        equity, _, _ = pool_standing(self.state, holding.pool)
        share = share_of(self.state, holding, equity)
        value = bankruptcy_value(holding, share)
        proceeds = abs(holding.lots) * price * holding.symbol.m
        short = value - proceeds if holding.lots > 0 else proceeds - value
        if short <= 0 or lots >= offered:
            self.context.report(
                "LIQ-07", f"closing order {order_id} is shrunk from {offered} to {lots} for nothing"
            )
            return
        bearing = bearing_of(self.charges, holding)
        below_zero = min(short, max(0, -share))
        wanted = bearing.of_a_fill(abs(holding.lots), below_zero, short, symbol)
        self.context.expect(
            "LIQ-07",
            f"(lots, budget, shortfall, bound, symbol charged) of closing order {order_id}",
            (*wanted[:2], min(wanted[2], MOST_TOLD), *wanted[3:]),
            (lots, budget, shortfall, budget_by, charged),
        )

    def on_fill(self, order_id: int, lots: int) -> None:
        """A closing order fills: where it was shrunk, with as many lots as the fund bears."""
        if self.sent is not None and self.sent.order_id == order_id:
            self.sent.lots -= lots
        wanted = self.shrunk.pop(order_id, lots)
        self.context.expect("LIQ-07", f"lots that closing order {order_id} fills", wanted, lots)

    def order_over(self) -> None:
        """A closing order that is not filled whole found no price inside its limit, or was told what stopped it."""
        sent, self.sent = self.sent, None
        if sent is None or not sent.lots:
            return
        best = sent.holding.symbol.sides[1 - sent.side].best()
        if best is None or (best < sent.limit if sent.side == Side.SELL else best > sent.limit):
            return
        if self.shrunk.get(sent.order_id) != 0:
            self.context.report("LIQ-07", f"closing order {sent.order_id} stops in front of {best}")

    def on_share(
        self,
        account: int,
        symbol: int,
        leg: int,
        fund: int,
        lots: int,
        equity: int,
        maintenance: int,
        share: int,
        budget: int,
        paid: int,
        value: int,
        budget_by: int,
        charged: int,
    ) -> None:
        """FUND-02: what stands for a position of a pool below zero, and what of that the fund pays."""
        self.order_over()
        holding = self.state.holding(account, symbol, leg)
        wanted_equity, wanted_maintenance, _ = pool_standing(self.state, holding.pool)
        if wanted_equity >= 0:
            self.context.report("FUND-02", f"pool {holding.pool} is not below zero")
        self.charges.ask(holding)
        claim, covered = self.charges.claim(holding), self.covered.get(holding, 0)
        wanted_share = share_of(self.state, holding, wanted_equity - covered) + covered
        wanted_paid = max(0, min(claim.atoms, -wanted_share))
        wanted = (
            *(claim.symbol.policy.fund, holding.lots, wanted_equity, wanted_maintenance),
            *(wanted_share, claim.atoms, wanted_paid),
            bankruptcy_value(holding, wanted_share + wanted_paid),
            *(claim.limited_by, claim.symbol.number),
        )
        came = (fund, lots, equity, maintenance, share, budget, paid, value, budget_by, charged)
        self.shares[holding], self.paid[holding] = value, (charged, paid)
        self.context.expect("FUND-02", f"deficit of {holding.place}", wanted, came)

    def on_stage(self, holding: Holding, value: int) -> None:
        """A position is deleveraged: at the value that was told."""
        told = self.shares.pop(holding, None)
        self.context.expect("FUND-02", f"V of {holding.place} as told", value, told)

    def finish(self) -> None:
        """A size with a limit was told for an order that is then sent."""
        if self.told is not None and self.told[2]:
            self.context.report("LIQ-10", f"the closing order {self.told} was told and not sent")
        self.told = self.sent = None
        self.positions.clear()
        self.shrunk.clear()
        self.shares.clear()
        self.paid.clear()
        self.covered.clear()


def size_of(holding: Holding, equity: int, maintenance: int) -> tuple[int, ...]:
    """LIQ-04: (what decided it, missing, gain of a lot, asked, least, most, lots)."""
    policy, whole, unit = holding.symbol.policy, abs(holding.lots), holding.symbol.mark_value
    least = -(-policy.liquidation_min_notional_atoms // unit)
    bound = policy.liquidation_max_notional_atoms
    most = 0 if bound < 0 else max(1, bound // unit)
    if equity <= 0:
        return (ClosingSize.EQUITY_GONE, 0, 0, whole, least, most, whole)
    why, missing, gain, asked = asked_of(holding, policy, equity, maintenance)
    lots = asked
    if least > lots:
        why, lots = ClosingSize.LEAST, least
    if lots > whole:
        why, lots = ClosingSize.WHOLE, whole
    left = (whole - lots) * unit
    if 0 < left < policy.liquidation_min_notional_atoms:
        why, lots = ClosingSize.REST, whole
    if most and lots > most:
        why, lots = ClosingSize.MOST, most
    return (why, missing, gain, min(asked, whole), least, most, lots)


def asked_of(
    holding: Holding, policy: ListSymbol, equity: int, maintenance: int
) -> tuple[int, int, int, int]:
    """LIQ-04: (what decided it, missing, gain of a lot, lots) by the mode alone."""
    whole = abs(holding.lots)
    if policy.liquidation_mode == LiquidationMode.FULL:
        return (ClosingSize.FULL, 0, 0, whole)
    if policy.liquidation_mode == LiquidationMode.FRACTION:
        return (ClosingSize.FRACTION, 0, 0, -(-whole * policy.liquidation_fraction_ppm // PPM))
    buffered = PPM + policy.liquidation_buffer_ppm
    rate = holding.symbol.rates[bisect_right(holding.symbol.floors, notional_of(holding)) - 1]
    gain = holding.symbol.mark_value * (buffered * rate - PPM * policy.liquidation_fee_ppm)
    missing = buffered * maintenance - PPM * equity
    told = (min(-(-missing // PPM), MOST_TOLD), gain // PPM**2)
    if gain <= 0:
        return (ClosingSize.NO_GAIN, *told, whole)
    return (ClosingSize.TARGET, *told, max(1, -(-missing * PPM // gain)))


def limit_of(audit: DecisionAudit, holding: Holding, equity: int) -> tuple[int, ...]:
    """LIQ-06: (what decided it, V of a lot, budget, limits by bankruptcy, fund and cap, limit, bound, charged)."""
    symbol, is_long = holding.symbol, holding.lots > 0
    value = bankruptcy_value(holding, share_of(audit.state, holding, equity))
    one = part_of(value, 1, abs(holding.lots), is_long=is_long)
    bearing = bearing_of(audit.charges, holding)
    below_zero = one - symbol.mark_value if is_long else symbol.mark_value - one
    budget, budget_by = bearing.of_one_lot(max(0, below_zero))
    cap = symbol.policy.slippage_cap_ppm
    if is_long:
        alone, funded = -(-one // symbol.m), -(-(one - budget) // symbol.m)
        capped = -(-symbol.mark * (PPM - cap) // PPM) if cap >= 0 else 0
        limit = max(1, funded, capped)
    else:
        alone, funded = one // symbol.m, (one + budget) // symbol.m
        capped = symbol.mark * (PPM + cap) // PPM if cap >= 0 else 0
        limit = max(0, min(MAX_PRICE_TICKS, funded, *((capped,) if cap >= 0 else ())))
    ranged = max(1, funded) if is_long else min(MAX_PRICE_TICKS, funded)
    why = ClosingLimit.FUND if budget else ClosingLimit.BANKRUPTCY
    if ranged != funded:
        why = ClosingLimit.PRICE_RANGE
    if cap >= 0 and (capped > ranged if is_long else capped < ranged):
        why = ClosingLimit.SLIPPAGE_CAP
    if not symbol.is_open:
        why, limit = ClosingLimit.NO_TRADING, 0
    return (
        *(why, one, budget, alone, funded, capped, limit),
        *(budget_by, bearing.claim.symbol.number),
    )
