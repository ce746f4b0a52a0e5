"""The counterparties of a deleveraging: who, in which place, for how much, and what it cost them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from exchange.explain.source import Names, money, shown
from exchange.explain.tables import table
from exchange.protocol.messages import AdlRanked, Event, Fill
from exchange.protocol.schema import AdlPolicy, FillRole

HEADS = ("trade", "counterparty", "quantity", "for", "a unit", "realised", "wallet")
RANK_HEADS = ("rank", "profit", "leverage")
COST_HEAD = "cost at the mark"

#: Who comes first, and what each gets, in a sentence.
WHO_FIRST = {
    AdlPolicy.QUEUE: (
        "Most profit on most leverage gives first; each gets the exact value of its lots: [ADL-01, ADL-02]"
    ),
    AdlPolicy.PRO_RATA_BY_EQUITY: (
        "Each gives by the equity of its pool, who has fewest lots for it first; each gets the exact value of its "
        "lots: [ADL-05, ADL-02]"
    ),
    AdlPolicy.NET_EXPOSURE_AWARE: (
        "Who is not left with more at risk gives first, and of those most profit on most leverage; each gets the "
        "exact value of its lots: [ADL-05, ADL-02]"
    ),
    AdlPolicy.MARK_PRICED: (
        "Most profit on most leverage gives first, at the mark, as far as profits pay for the deficit: [ADL-05]"
    ),
}


def deleveraging_lines(events: list[Event], names: Names) -> Iterator[str]:
    """ADL-01, ADL-02, ADL-05: the counterparties in the order in which they gave."""
    ranked = [e for e in events if isinstance(e, AdlRanked)]
    gave = [e for e in ranked if e.trade_id or e.haircut_atoms]
    if not gave:
        return
    fills = {
        e.trade_id: e for e in events if isinstance(e, Fill) and e.role == FillRole.ADL_COUNTERPARTY
    }
    rows = [
        [
            *fill_cells(event, fills.get(event.trade_id), names),
            *rank_cells(event),
            *(cell for _, cell in deciding(event)),
            money(event.haircut_atoms),
        ]
        for event in gave
    ]
    heads = (*HEADS, *RANK_HEADS, *(head for head, _ in deciding(gave[0])), COST_HEAD)
    yield WHO_FIRST[AdlPolicy(gave[0].policy)]
    yield from ("  " + line for line in table(heads, rows, left=(1,)))
    for event in ranked:
        if event not in gave:
            yield (
                f"  {names.account(event.account)}, rank {event.rank}, was passed over: giving would have left it "
                "below zero, or its part was no whole lot."
            )


def fill_cells(event: AdlRanked, fill: Fill | None, names: Names) -> list[str]:
    """What a counterparty gave; dashes where it paid of its profit and gave no lots."""
    if fill is None:
        return ["-", names.account(event.account), *["-"] * 5]
    return [
        str(fill.trade_id),
        names.account(fill.account),
        names.quantity(fill.symbol, fill.qty_lots),
        money(fill.value_atoms),
        names.lot_price(fill.symbol, fill.value_atoms, fill.qty_lots),
        money(fill.realised_atoms),
        money(fill.wallet_atoms),
    ]


def rank_cells(event: AdlRanked) -> list[str]:
    """Rank, profit and leverage of a counterparty."""
    return [
        f"{event.rank} of {event.candidates}",
        money(event.unrealised_atoms),
        quotient(Fraction(event.notional_atoms, event.equity_atoms)),
    ]


def deciding(event: AdlRanked) -> Iterator[tuple[str, str]]:
    """What the policy ranks by, beside profit and leverage: heads and cells."""
    if event.policy == AdlPolicy.PRO_RATA_BY_EQUITY:
        yield "equity", money(event.equity_atoms)
        return
    if event.policy == AdlPolicy.NET_EXPOSURE_AWARE:
        yield "net exposure", money(event.net_notional_atoms)
    yield "score", quotient(score(event))


def score(event: AdlRanked) -> Fraction:
    """ADL-01: profit on its entry times leverage; a loser's divided by it."""
    profit, leverage = event.unrealised_atoms, Fraction(event.notional_atoms, event.equity_atoms)
    on_entry = Fraction(profit, max(1, event.entry_value_atoms))
    if profit > 0:
        return on_entry * leverage
    return on_entry / leverage if leverage else Fraction(0)


def quotient(value: Fraction) -> str:
    return shown(Decimal(value.numerator * 10_000 // value.denominator).scaleb(-4))
