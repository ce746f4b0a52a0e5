"""One turn of a liquidation, step by step: orders, positions, size, limit, fills, deficit, deleveraging, end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from exchange.explain.adl import deleveraging_lines
from exchange.explain.cases import Case
from exchange.explain.follow import Told
from exchange.explain.source import Names, money, ratio
from exchange.explain.tables import table
from exchange.protocol.messages import (
    DeficitCharged,
    DeficitShared,
    DeficitUncovered,
    Event,
    Fill,
    LiquidationEnded,
    LiquidationOrder,
    LiquidationPosition,
    LiquidationSettled,
    LiquidationShrunk,
    LiquidationSized,
    LiquidationStarted,
    OrderCancelled,
)
from exchange.protocol.schema import (
    BudgetLimit,
    CancelReason,
    ClosingLimit,
    ClosingSize,
    FillRole,
    LiquidationMode,
    OrderPlace,
    Side,
)

PLACES = {
    OrderPlace.TAKER: "on its way into the book",
    OrderPlace.BOOK: "in the book",
    OrderPlace.WAITING: "waiting for its trigger",
}


def tell_turn(turn: Told, case: Case, names: Names) -> Iterator[str]:
    """The lines of a turn."""
    teller = Teller(turn, case, names)
    yield from teller.beginning()
    yield from teller.orders()
    yield from teller.deficit()
    yield from teller.end()


class Teller:
    """The events of one turn, sorted by what they tell."""

    def __init__(self, turn: Told, case: Case, names: Names) -> None:
        self.turn, self.case, self.names = turn, case, names
        self.events = turn.events

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    # ---------------------------------------------------------------------------------- the beginning

    def beginning(self) -> Iterator[str]:
        """LIQ-01, LIQ-02, LIQ-03, LIQ-05: orders, flag, and what the pool holds."""
        names = self.names
        started = self.of(LiquidationStarted)
        if started:
            yield from self.cancelled()
            (flag,) = started
            yield (
                f"  The pool is flagged: equity {money(flag.equity_atoms)} is below maintenance "
                f"{money(flag.maintenance_atoms)}. From here on only the engine trades for it. [LIQ-02]"
            )
            yield from self.why_first()
        positions = self.of(LiquidationPosition)
        if positions:
            yield "  What it holds, and what each position is worth in bankruptcy: [LIQ-03, LIQ-05]"
            yield from ("    " + line for line in position_table(positions, names))
        yield from self.charged()
        if len(positions) > 1:
            largest = max(positions, key=lambda p: p.maintenance_atoms)
            yield (
                f"  Closed first is the largest maintenance: {names.position(largest.symbol, largest.leg)}, "
                f"{money(largest.maintenance_atoms)}. [LIQ-03]"
            )

    def charged(self) -> Iterator[str]:
        """FUND-01: by whose move the pool came below zero."""
        charges = self.of(DeficitCharged)
        if charges:
            parts = [f"{money(c.charged_atoms)} by {self.names.symbol(c.symbol)}" for c in charges]
            yield f"  What it is below zero is charged to whose mark or funding did it: {', '.join(parts)}. [FUND-01]"

    def cancelled(self) -> Iterator[str]:
        reasons = (CancelReason.LIQUIDATION, CancelReason.LINKED)
        start = next(i for i, e in enumerate(self.events) if isinstance(e, LiquidationStarted))
        orders = [e for e in self.events[:start] if isinstance(e, OrderCancelled)]
        gone = [e for e in orders if e.reason in reasons]
        if not gone:
            yield "  The pool has no orders to cancel. [LIQ-02]"
            return
        yield "  First its orders are cancelled, so that nothing of them fills any more: [LIQ-02]"
        for event in gone:
            side = "buy" if event.side == Side.BUY else "sell"
            quantity = self.names.quantity(event.symbol, event.open_lots)
            price = f" at {self.names.price(event.symbol, event.price_ticks)}"
            yield (
                f"    order {event.order_id}: {side} {quantity} {self.names.symbol(event.symbol)}"
                f"{price if event.price_ticks else ''}, {PLACES[OrderPlace(event.place)]}"
            )

    def why_first(self) -> Iterator[str]:
        """LIQ-01: the pools that the same command brought below maintenance, and had their turn later."""
        new = [o for o in self.turn.others if o.first_sequence == self.turn.sequence]
        if not new:
            yield "  No other pool had to wait for it. [LIQ-01]"
            return
        own = ratio(self.case.equity_atoms, self.case.maintenance_atoms)
        yield (
            f"  {len(new)} more had their turn after it; nearest to ruin goes first, and this one had {own} of its "
            "maintenance. [LIQ-01]"
        )
        for other in new[:5]:
            whose = (
                f"{self.names.account(other.account)}, {self.names.pool(other.symbol, other.leg)}"
            )
            had = ratio(other.equity_atoms, other.maintenance_atoms)
            yield f"    liquidation {other.number}, {whose}: {had} when its turn came"

    # --------------------------------------------------------------------------------- closing orders

    def orders(self) -> Iterator[str]:
        """LIQ-04, LIQ-06, LIQ-07: every closing order: why so large, why this limit, what it got."""
        starts = [i for i, e in enumerate(self.events) if isinstance(e, LiquidationSized)]
        for start, stop in zip(starts, [*starts[1:], self.first_of_deficit()], strict=False):
            yield from self.order(self.events[start], self.events[start + 1 : stop])

    def first_of_deficit(self) -> int:
        kinds = (DeficitShared, LiquidationEnded)
        return next(
            (i for i, e in enumerate(self.events) if isinstance(e, kinds)), len(self.events)
        )

    def order(self, sized: Any, events: list[Event]) -> Iterator[str]:
        names, symbol = self.names, sized.symbol
        verb = "sell" if sized.position_lots > 0 else "buy"
        orders = [e for e in events if isinstance(e, LiquidationOrder)]
        quantity = names.quantity(symbol, sized.qty_lots)
        name = f"order {orders[0].order_id}" if orders else "no order"
        yield f"  Closing {names.position(symbol, sized.leg)}: {verb} {quantity}, {name}"
        yield f"    Size. {size_sentence(sized, names)} [LIQ-04]"
        yield f"    Limit. {limit_sentence(sized, names)} [LIQ-06]"
        if not orders:
            return
        yield from self.fills(sized, orders[0], events)

    def fills(self, sized: Any, order: LiquidationOrder, events: list[Event]) -> Iterator[str]:
        names, symbol = self.names, sized.symbol
        rows, filled = [], 0
        for row in fill_rows(events, symbol, self.case.account, names):
            rows.append(row[1])
            filled += row[0]
        if rows:
            heads = ["trade", "with", "quantity", "price", "value", "bankrupt value", "above it"]
            heads += ["fee to fund", "fund pays", "wallet", "margin"]
            yield "    Fills, each against the bankruptcy value of its lots: [LIQ-07]"
            yield from ("      " + line for line in table(heads, rows, left=(1,)))
        for event in events:
            if isinstance(event, LiquidationShrunk):
                yield f"    {shrunk_sentence(event, names, sized.charged)} [LIQ-07]"
        left = order.qty_lots - filled
        if left:
            stopped = any(isinstance(e, LiquidationShrunk) and not e.qty_lots for e in events)
            verb = "bids" if sized.position_lots > 0 else "offers"
            why = (
                "the fund could not bear the next one"
                if stopped
                else f"nobody {verb} {names.price(symbol, order.price_ticks)} or better"
            )
            yield f"    Not filled: {names.quantity(symbol, left)}; {why}."

    # ------------------------------------------------------------------------------ deficit and end

    def deficit(self) -> Iterator[str]:
        """FUND-02, ADL-01..03: what was left below zero, and who bore it."""
        starts = [i for i, e in enumerate(self.events) if isinstance(e, DeficitShared)]
        if not starts:
            return
        yield "  The book is spent and equity is below zero: the deficit stage. [FUND-02]"
        for start, stop in zip(starts, [*starts[1:], len(self.events)], strict=True):
            yield from self.share(self.events[start], self.events[start + 1 : stop])

    def share(self, shared: Any, events: list[Event]) -> Iterator[str]:
        names, symbol = self.names, shared.symbol
        name = names.position(symbol, shared.leg)
        yield (
            f"    {name}, {names.quantity(symbol, shared.position_lots)}: of the pool's equity "
            f"{money(shared.equity_atoms)} its share is {money(shared.share_atoms)}."
        )
        if shared.paid_atoms:
            yield (
                f"      {names.fund(shared.fund)}, for {names.symbol(shared.charged)}, may pay "
                f"{money(shared.budget_atoms)}{bound_by(shared)} and pays "
                f"{money(shared.paid_atoms)} into the pool."
            )
        elif shared.share_atoms < 0:
            yield (
                f"      {names.fund(shared.fund)}, for {names.symbol(shared.charged)}, may pay nothing"
                f"{bound_by(shared)}."
            )
        yield (
            f"      The whole position goes to the other side for {money(shared.bankruptcy_value_atoms)}, "
            f"{names.lot_price(symbol, shared.bankruptcy_value_atoms, shared.position_lots)} a unit."
        )
        yield from ("      " + line for line in deleveraging_lines(events, names))
        for event in events:
            if isinstance(event, DeficitUncovered):
                yield (
                    f"      Nobody is left for {names.quantity(symbol, event.remaining_lots)}: the pool is "
                    f"{money(event.shortfall_atoms)} below zero, and withdrawals stop until it is not. [ADL-03]"
                )

    def end(self) -> Iterator[str]:
        """LIQ-02, LIQ-08: let go, or left flagged."""
        for event in self.of(LiquidationEnded):
            why = "it is at or above maintenance" if event.maintenance_atoms else "it holds nothing"
            yield (
                f"  The pool is let go: {why}, with equity {money(event.equity_atoms)} over "
                f"{money(event.maintenance_atoms)}. [LIQ-02]"
            )
            yield from self.released()
            return
        after = self.turn.after
        yield (
            f"  The pool stays flagged with equity {money(after.equity_atoms)} over {money(after.maintenance_atoms)}, "
            "and is looked at again when its mark moves. [LIQ-02]"
        )

    def released(self) -> Iterator[str]:
        """LIQ-08: the last event of an isolated pool that is closed leaves nothing in it."""
        if not self.case.symbol:
            return
        last = [e for e in self.events if isinstance(e, Fill | LiquidationSettled)]
        own = [e for e in last if e.account == self.case.account]
        if own and not own[-1].margin_atoms:
            yield (
                f"  What was left of the isolated pool went to the wallet, which now has "
                f"{money(own[-1].wallet_atoms)}. [LIQ-08]"
            )


# ------------------------------------------------------------------------------------------------ sentences


def position_table(positions: list[LiquidationPosition], names: Names) -> list[str]:
    heads = ["symbol", "position", "entry value", "mark", "notional", "profit", "bracket"]
    heads += ["maintenance", "share of equity", "bankrupt at", "a unit"]
    rows = [
        [
            names.position(p.symbol, p.leg),
            names.quantity(p.symbol, p.position_lots),
            money(p.entry_value_atoms),
            names.price(p.symbol, p.mark_ticks),
            money(p.notional_atoms),
            money(p.unrealised_atoms),
            str(p.bracket + 1),
            money(p.maintenance_atoms),
            money(p.share_atoms),
            money(p.bankruptcy_value_atoms),
            names.lot_price(p.symbol, p.bankruptcy_value_atoms, p.position_lots),
        ]
        for p in positions
    ]
    return table(heads, rows, left=(0,))


def size_sentence(sized: LiquidationSized, names: Names) -> str:
    """LIQ-04: why a closing order has so many lots."""
    symbol = sized.symbol

    def quantity(lots: int) -> str:
        return names.quantity(symbol, lots)

    whole, asked = quantity(abs(sized.position_lots)), quantity(sized.asked_lots)
    mode = mode_sentence(sized, names)
    why: dict[int, Callable[[], str]] = {
        ClosingSize.EQUITY_GONE: lambda: (
            f"Equity {money(sized.equity_atoms)} is not above zero, so everything goes: {whole}."
        ),
        ClosingSize.FULL: lambda: mode,
        ClosingSize.FRACTION: lambda: mode,
        ClosingSize.TARGET: lambda: mode,
        ClosingSize.NO_GAIN: lambda: mode,
        ClosingSize.LEAST: lambda: (
            f"{mode} That is a smaller piece than is ever made: {quantity(sized.least_lots)}."
        ),
        ClosingSize.WHOLE: lambda: f"{mode} That, or the smallest piece, is all there is: {whole}.",
        ClosingSize.REST: lambda: (
            f"{mode} What would be left is worth less than the smallest piece, so all of it goes: {whole}."
        ),
        ClosingSize.MOST: lambda: (
            f"{mode} One order may close {quantity(sized.most_lots)} at most, which cuts it."
        ),
    }
    assert asked  # said by the mode
    return why[sized.sized_by]()


def mode_sentence(sized: LiquidationSized, names: Names) -> str:
    """What the symbol's liquidation mode asks for."""
    whole = names.quantity(sized.symbol, abs(sized.position_lots))
    asked = names.quantity(sized.symbol, sized.asked_lots)
    if sized.mode == LiquidationMode.FULL:
        return f"The symbol closes whole positions: {whole}."
    if sized.mode == LiquidationMode.FRACTION:
        return f"The symbol closes a fraction of the position at a time: {asked} of {whole}."
    if sized.gain_atoms_per_lot <= 0 and sized.sized_by == ClosingSize.NO_GAIN:
        return f"Closing at the mark would bring the pool no nearer to maintenance, so all of it goes: {whole}."
    one = names.quantity(sized.symbol, 1)
    return (
        f"The pool is {money(sized.missing_atoms)} short of maintenance with its buffer; closing {one} at the mark "
        f"brings it {money(sized.gain_atoms_per_lot)} nearer; {money(sized.missing_atoms)} / "
        f"{money(sized.gain_atoms_per_lot)}, rounded up to whole lots, is {asked} of {whole}."
    )


def limit_sentence(sized: LiquidationSized, names: Names) -> str:
    """LIQ-06: why a closing order may go so far and no further."""
    if sized.limited_by == ClosingLimit.NO_TRADING:
        return "The symbol does not trade at the moment: the position waits."
    symbol = sized.symbol
    is_long = sized.position_lots > 0
    bound = "at least" if is_long else "at most"
    one = names.quantity(symbol, 1)
    parts = [
        f"One lot ({one}) is bankrupt at {money(sized.lot_value_atoms)}, so it needs {bound} "
        f"{names.price(symbol, sized.bankruptcy_ticks)}"
    ]
    payer = names.fund(sized.fund)
    if sized.charged != symbol:
        payer += f", with those of {names.symbol(sized.charged)} for what is below zero,"
    if sized.budget_atoms:
        parts.append(
            f"{payer} may pay {money(sized.budget_atoms)}{bound_by(sized)}, which would carry one lot "
            f"{carried(sized, names)}"
        )
    else:
        parts.append(f"{payer} may pay nothing{bound_by(sized)}")
    if sized.cap_ticks:
        parts.append(f"the slippage cap ends at {names.price(symbol, sized.cap_ticks)}")
    price = names.price(symbol, sized.price_ticks)
    if not sized.price_ticks:
        return "; ".join(parts) + ". No price would do, so no order is sent."
    decided = {
        ClosingLimit.BANKRUPTCY: "bankruptcy decides",
        ClosingLimit.FUND: "the fund decides",
        ClosingLimit.SLIPPAGE_CAP: "the slippage cap decides",
        ClosingLimit.PRICE_RANGE: "the range of prices decides",
    }[ClosingLimit(sized.limited_by)]
    return "; ".join(parts) + f". Limit {price}: {decided}."


def carried(sized: LiquidationSized, names: Names) -> str:
    """How far the fund's budget would carry one lot."""
    if sized.fund_ticks < 1 and sized.position_lots > 0:
        return "to any price"
    return f"to {names.price(sized.symbol, sized.fund_ticks)}"


def bound_by(event: LiquidationSized | LiquidationShrunk | DeficitShared) -> str:
    """FUND-01: the cap that left less than the funds hold."""
    cap = {
        BudgetLimit.HOLDINGS: "",
        BudgetLimit.SYMBOL_CAP: "what the symbol may still cost it in all",
        BudgetLimit.DRAW_CAP: "what is left of the cap of one liquidation",
        BudgetLimit.WINDOW_CAP: "what is left of the cap of the window",
        BudgetLimit.DEFICIT: "",  # all that is asked of it
    }[BudgetLimit(event.budget_by)]
    return f" ({cap})" if cap else ""


def shrunk_sentence(event: LiquidationShrunk, names: Names, cause: int) -> str:
    """LIQ-07: what the funds could not bear; ``cause`` is charged for what was below zero before."""
    symbol = event.symbol
    bears = names.quantity(symbol, event.qty_lots) if event.qty_lots else "none"
    what = f"the whole position is {money(event.shortfall_atoms)} short of bankruptcy"
    if cause != symbol:
        what = f"{names.symbol(event.charged)} is charged {money(event.shortfall_atoms)} for the whole position"
    return (
        f"At {names.price(symbol, event.price_ticks)} a maker would take {names.quantity(symbol, event.offered_lots)}, "
        f"but there {what} and the fund may pay "
        f"{money(event.budget_atoms)}{bound_by(event)}: it bears {bears}."
    )


def fill_rows(
    events: list[Event], symbol: int, account: int, names: Names
) -> Iterator[tuple[int, list[str]]]:
    """(lots, cells) of each fill of a closing order."""
    fills = {(e.trade_id, e.role): e for e in events if isinstance(e, Fill)}
    for event in events:
        if not isinstance(event, LiquidationSettled) or event.account != account:
            continue
        fill = fills[event.trade_id, FillRole.LIQUIDATED]
        maker = fills[event.trade_id, FillRole.MAKER]
        above = fill.value_atoms - event.bankruptcy_value_atoms
        if fill.side == Side.BUY:
            above = -above
        yield (
            fill.qty_lots,
            [
                str(fill.trade_id),
                names.account(maker.account),
                names.quantity(symbol, fill.qty_lots),
                names.price(symbol, fill.price_ticks),
                money(fill.value_atoms),
                money(event.bankruptcy_value_atoms),
                money(above),
                money(event.liquidation_fee_atoms),
                money(event.fund_paid_atoms),
                money(event.wallet_atoms),
                money(event.margin_atoms),
            ],
        )
