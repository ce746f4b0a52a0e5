"""LIQ: the queue of pools below maintenance, and the orders by which the engine closes their positions.

Theory of operation.  Fills, marks, funding and transfers only put pools into the queue.  After the command has
had its effect the queue is worked off: the pool that is nearest to ruin first, through the book inside what the
fund bears, then, below zero, by the fund and by deleveraging.  What that does to other pools joins the queue.
"""

from __future__ import annotations

from dataclasses import dataclass

from exchange.protocol.schema import (
    BalanceCause,
    CancelReason,
    FillRole,
    FundCause,
    LiquidationMode,
    SelfTradePrevention,
)
from exchange.reference import (
    bankruptcy,
    charging,
    deleveraging,
    funds,
    ledger,
    margin,
    matching,
    telling,
)
from exchange.reference.arithmetic import as_int64, ppm_ceil
from exchange.reference.cancelling import cancel_each
from exchange.reference.context import Context
from exchange.reference.order import IOC, REDUCE_ONLY, Order
from exchange.reference.state import CROSS, OPEN, Pool, Position, State


def drain(ctx: Context) -> None:
    """Works off the queue until it is empty."""
    while ctx.queue:
        pool = next_pool(ctx)
        liquidate(ctx, pool)
        # Only now does it leave: its own fills have not brought it back (Context.check).
        del ctx.queue[pool.key]


def next_pool(ctx: Context) -> Pool:
    """LIQ-01: the smallest equity / MM, cross-multiplied; ties by account, then symbol, then leg."""
    state = ctx.state
    pools = iter(ctx.queue.values())  # by account, symbol, leg
    first = next(pools)
    equity, maintenance = margin.equity_atoms(state, first), margin.maintenance_atoms(state, first)
    for pool in pools:
        e, mm = margin.equity_atoms(state, pool), margin.maintenance_atoms(state, pool)
        if is_nearer_to_ruin(e, mm, equity, maintenance):
            first, equity, maintenance = pool, e, mm
    return first


def is_nearer_to_ruin(equity_a: int, maintenance_a: int, equity_b: int, maintenance_b: int) -> bool:
    """LIQ-01: equity / MM of a is below that of b; without a requirement a pool counts as last."""
    if maintenance_a == 0 or maintenance_b == 0:
        return maintenance_a > maintenance_b
    return equity_a * maintenance_b < equity_b * maintenance_a


def is_safe(state: State, pool: Pool) -> bool:
    """LIQ-02: there is no position left, or equity is at or above maintenance."""
    return not margin.is_below_maintenance(state, pool)


def liquidate(ctx: Context, pool: Pool) -> None:
    """LIQ-02: one pool, from the queue to its end or to where nothing more can be done now."""
    if is_safe(ctx.state, pool):
        end(ctx, pool)
        return
    if not pool.liquidating:
        if add_margin(ctx, pool):
            return
        start(ctx, pool)
    telling.write_positions(ctx, pool)
    note(ctx, pool)
    telling.write_charged(ctx, pool)
    close_through_book(ctx, pool)
    deleveraging.cover_deficit(ctx, pool)
    if is_safe(ctx.state, pool):
        end(ctx, pool)
    else:
        note(ctx, pool)


def note(ctx: Context, pool: Pool) -> None:
    """FUND-01: a cross pool's deficit as it stands is charged to symbols."""
    if not pool.symbol:
        charging.note(ctx.state, ctx.state.accounts[pool.account])


def add_margin(ctx: Context, pool: Pool) -> bool:
    """ACCT-09: the wallet lifts the pool towards initial margin, if it is asked to and can at least to maintenance."""
    owner = ctx.state.accounts[pool.account]
    if not pool.symbol or owner.cross.liquidating:
        return False
    position = owner.positions[pool.symbol, pool.leg]
    if not position.auto_margin:
        return False
    equity = margin.equity_atoms(ctx.state, pool)
    wanted = margin.initial_of_position(position) - equity
    moved = min(wanted, margin.withdrawable_atoms(owner))
    if equity + moved < margin.maintenance_atoms(ctx.state, pool):
        return False
    ledger.move_margin(ctx, position, moved, BalanceCause.AUTO_MARGIN)
    return True


def start(ctx: Context, pool: Pool) -> None:
    """LIQ-02: the orders of the pool are cancelled, then only the engine trades for it."""
    orders = ctx.state.accounts[pool.account].orders()
    of_pool = [order for order in orders if ctx.state.position_of(order).pool is pool]
    cancel_each(ctx, of_pool, CancelReason.LIQUIDATION)
    pool.liquidating = True
    pool.warned = len(ctx.state.warning_levels_ppm)  # this says more than any of them (MARGIN-10)
    write_stage(ctx, pool, "liquidation_started")


def end(ctx: Context, pool: Pool) -> None:
    """LIQ-02: flag, drawn amount and uncovered mark are removed."""
    if not pool.symbol:
        ctx.state.accounts[pool.account].charged.clear()
    if not pool.liquidating:
        return
    pool.liquidating = False
    pool.uncovered = False
    pool.drawn_atoms = 0
    write_stage(ctx, pool, "liquidation_ended")


def write_stage(ctx: Context, pool: Pool, name: str) -> None:
    ctx.events.write(
        name,
        pool.account,
        symbol=pool.symbol,
        leg=pool.leg,
        equity_atoms=margin.equity_atoms(ctx.state, pool),
        maintenance_atoms=margin.maintenance_atoms(ctx.state, pool),
    )


# ------------------------------------------------------------------------------------------- the book stage


def close_through_book(ctx: Context, pool: Pool) -> None:
    """LIQ-02, LIQ-03: closing orders, for the eligible position with the largest MM, while there is one."""
    spent: list[Position] = []  # those that are no longer eligible
    while not is_safe(ctx.state, pool):
        position = largest_position(ctx.state, pool, spent)
        if position is None:
            return
        if not close_some(ctx, pool, position):
            spent.append(position)


def largest_position(state: State, pool: Pool, spent: list[Position]) -> Position | None:
    """LIQ-03: the position with the largest MM; of equals the smaller symbol, then leg."""
    eligible = [p for p in margin.positions_of(state, pool) if p not in spent]
    return max(eligible, key=margin.maintenance_of_position, default=None)


def close_some(ctx: Context, pool: Pool, position: Position) -> bool:
    """One closing order, where the symbol trades; whether the position may be given another in this turn."""
    state, symbol = ctx.state, position.symbol
    equity = margin.equity_atoms(state, pool)
    size = bankruptcy.closing_size(state, position, pool)
    lots = size.lots
    value = bankruptcy.bankruptcy_value(position, bankruptcy.share_atoms(state, position))
    bearing = charging.bearing(ctx, position)
    limit = bankruptcy.closing_limit(position, value, bearing)
    telling.write_sized(ctx, position, size, limit, bearing.claim.symbol)
    if symbol.state != OPEN or limit.price_ticks < 1:
        return False
    order = Order(
        account=pool.account,
        symbol=symbol.number,
        leg=position.leg,
        side=position.closing_side,
        price_ticks=limit.price_ticks,
        open_lots=lots,
        order_id=state.take_order_id(),
        time_in_force=IOC,
        self_trade=SelfTradePrevention.CANCEL_MAKER,
        flags=REDUCE_ONLY,
    )
    write_closing_order(ctx, pool, order, value)
    matching.match(
        ctx, matching.Taker(order, limit.price_ticks, ClosingOrder(ctx, position, order.order_id))
    )
    is_whole = order.filled_lots == lots
    return (
        symbol.liquidation_mode == LiquidationMode.TARGET
        and equity > 0
        and not size.was_cut
        and is_whole
    )


def write_closing_order(ctx: Context, pool: Pool, order: Order, value: int) -> None:
    ctx.events.write(
        "liquidation_order",
        pool.account,
        symbol=order.symbol,
        side=order.side,
        leg=order.leg,
        order_id=order.order_id,
        price_ticks=order.price_ticks,
        qty_lots=order.open_lots,
        mark_ticks=ctx.state.symbols[order.symbol].mark_ticks,
        bankruptcy_value_atoms=value,
        equity_atoms=margin.equity_atoms(ctx.state, pool),
        maintenance_atoms=margin.maintenance_atoms(ctx.state, pool),
    )


@dataclass(slots=True)
class ClosingOrder:
    """LIQ-07: what a fill of the closing order costs against bankruptcy, and who pays."""

    ctx: Context
    position: Position
    order_id: int

    def value(self) -> int:
        """V of this moment."""
        return bankruptcy.bankruptcy_value(
            self.position, bankruptcy.share_atoms(self.ctx.state, self.position)
        )

    def affordable_lots(self, lots: int, price_ticks: int) -> int:
        """LIQ-07: the most lots whose shortfall against bankruptcy the fund's budget covers."""
        position = self.position
        whole = abs(position.lots)
        proceeds = position.symbol.value_atoms(whole, price_ticks)
        shortfall = self.value() - proceeds if position.lots > 0 else proceeds - self.value()
        if shortfall <= 0:
            return lots
        below_zero = max(0, -bankruptcy.share_atoms(self.ctx.state, position))
        bearing = charging.bearing(self.ctx, position)
        borne = bearing.lots(whole, min(shortfall, below_zero), shortfall)
        if borne.lots >= lots:
            return lots
        charged = bearing.claim.symbol if borne.of_claim else position.symbol
        telling.write_shrunk(
            self.ctx,
            position,
            order_id=self.order_id,
            price_ticks=price_ticks,
            offered_lots=lots,
            qty_lots=borne.lots,
            budget_atoms=borne.budget.atoms,
            shortfall_atoms=as_int64(borne.shortfall),
            budget_by=borne.budget.limited_by,
            charged=charged.number,
        )
        return borne.lots

    def settle(
        self, ctx: Context, taker: Order, lots: int, price_ticks: int, trade_id: int
    ) -> None:
        """LIQ-07: the liquidated side of a fill: realised, then fee or fund payment, then LIQ-08."""
        position, symbol = self.position, self.position.symbol
        is_long = position.lots > 0
        part = bankruptcy.part_of_value(self.value(), lots, abs(position.lots), is_long=is_long)
        value = symbol.value_atoms(lots, price_ticks)
        surplus = value - part if is_long else part - value
        below_mark = symbol.notional_atoms(lots) - value
        lost = max(0, below_mark if is_long else -below_mark)
        realised = ledger.settle_forced_close(ctx.state, position, lots, value)
        ledger.write_fill(
            ctx,
            position,
            ledger.Settled(realised),
            role=FillRole.LIQUIDATED,
            side=taker.side,
            trade_id=trade_id,
            qty_lots=lots,
            value_atoms=value,
            order_id=taker.order_id,
            price_ticks=price_ticks,
            open_lots=taker.open_lots,
        )
        fee = max(0, min(ppm_ceil(value, symbol.liquidation_fee_ppm), surplus))
        paid = max(0, -surplus)
        self.pay(ctx, fee, paid, min(paid, lost))
        ledger.return_left_margin(position)
        ctx.events.write(
            "liquidation_settled",
            position.owner.number,
            symbol=symbol.number,
            leg=position.leg,
            fund=symbol.fund,
            trade_id=trade_id,
            bankruptcy_value_atoms=part,
            liquidation_fee_atoms=fee,
            fund_paid_atoms=paid,
            wallet_atoms=position.owner.cross.balance_atoms,
            margin_atoms=position.isolated.balance_atoms,
        )

    def pay(self, ctx: Context, fee: int, paid: int, lost: int) -> None:
        """LIQ-07: the fee goes from the pool to the fund, or funds pay the shortfall into the pool.

        What the fill lost against the mark is charged to its symbol, the rest was below zero before.
        """
        position, pool, symbol = self.position, self.position.pool, self.position.symbol
        cause = charging.claim(ctx, position).symbol
        pool.balance_atoms += paid - fee
        if fee:
            ctx.change_fund(symbol.fund, symbol.number, FundCause.LIQUIDATION_FEE, fee)
        if position.mode == CROSS and paid > lost:
            charging.settle_charge(position.owner, cause.number, paid - lost)
        parts = [(symbol, paid)] if cause is symbol else [(cause, paid - lost), (symbol, lost)]
        for charged, atoms in parts:
            if atoms:
                funds.pay(ctx, charged, pool, atoms, FundCause.LIQUIDATION_DEFICIT)
