"""The counterparties of a deleveraging: who, in which place, for how much, and what it cost them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from exchange.explain.source import Names, money, shown
from exchange.explain.tables import table
from exchange.protocol.messages import AdlRanked, Event, Fill
from exchange.protocol.schema import FillRole

HEADS = (
    *("trade", "counterparty", "quantity", "for", "a unit", "realised", "wallet"),
    *("rank", "profit", "leverage", "score", "cost at the mark"),
)


def deleveraging_lines(events: list[Event], names: Names) -> Iterator[str]:
    """ADL-01, ADL-02: the counterparties in the order in which they gave."""
    given = [e for e in events if isinstance(e, Fill) and e.role == FillRole.ADL_COUNTERPARTY]
    if not given:
        return
    ranked = [e for e in events if isinstance(e, AdlRanked)]
    by_trade = {e.trade_id: e for e in ranked}
    rows = [
        [
            str(fill.trade_id),
            names.account(fill.account),
            names.quantity(fill.symbol, fill.qty_lots),
            money(fill.value_atoms),
            names.lot_price(fill.symbol, fill.value_atoms, fill.qty_lots),
            money(fill.realised_atoms),
            money(fill.wallet_atoms),
            *rank_cells(by_trade[fill.trade_id]),
        ]
        for fill in given
    ]
    yield "Most profit on most leverage gives first; each gets the exact value of its lots: [ADL-01, ADL-02]"
    yield from ("  " + line for line in table(HEADS, rows, left=(1,)))
    for event in ranked:
        if event.trade_id:
            continue
        yield (
            f"  {names.account(event.account)}, rank {event.rank}, was passed over: giving would have left it "
            "below zero, or its part was no whole lot."
        )


def rank_cells(event: AdlRanked) -> list[str]:
    """Rank, profit, leverage and score of a counterparty."""
    return [
        f"{event.rank} of {event.candidates}",
        money(event.unrealised_atoms),
        quotient(Fraction(event.notional_atoms, event.equity_atoms)),
        quotient(score(event)),
        money(event.haircut_atoms),
    ]


def score(event: AdlRanked) -> Fraction:
    """ADL-01: profit on its entry times leverage; a loser's divided by it."""
    profit, leverage = event.unrealised_atoms, Fraction(event.notional_atoms, event.equity_atoms)
    on_entry = Fraction(profit, max(1, event.entry_value_atoms))
    if profit > 0:
        return on_entry * leverage
    return on_entry / leverage if leverage else Fraction(0)


def quotient(value: Fraction) -> str:
    return shown(Decimal(value.numerator * 10_000 // value.denominator).scaleb(-4))
