"""``exchange funds``: what each insurance fund paid and earned for each symbol, from a journal's first command on.

An engine says again what the journal's commands did; the figures are sums of its ``fund_changed`` events.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from exchange.engine import create_engine
from exchange.errors import ExchangeError
from exchange.protocol.messages import Event, FundChanged, SymbolListed
from exchange.protocol.records import decode_events
from exchange.protocol.schema import FundCause
from exchange.recovery import journal_folder, replay
from exchange.segments import scan, segment_paths
from exchange.units import from_atoms


class Totals(msgspec.Struct):
    """Changes of funds by (fund, symbol, cause); symbol 0: the operator's money."""

    names: dict[int, str] = msgspec.field(default_factory=dict)
    changes: Counter[tuple[int, int, int]] = msgspec.field(default_factory=Counter)

    def add(self, events: Iterable[Event]) -> None:
        """Reads events.

        >>> totals = Totals()
        >>> totals.add([FundChanged(fund=0, symbol=0, cause=1, change_atoms=5 * 10**8, balance_atoms=5 * 10**8),
        ...             FundChanged(fund=0, symbol=7, cause=4, change_atoms=-2 * 10**8, balance_atoms=3 * 10**8)])
        >>> print(totals.as_text())
        fund  symbol                 fees          residue             paid           change
        0     deposits                                                                     5
        0     7                         0                0                2               -2
        0     balance                                                                      3
        """
        for event in events:
            if isinstance(event, SymbolListed):
                self.names[event.symbol] = event.name
            elif isinstance(event, FundChanged):
                self.changes[event.fund, event.symbol, event.cause] += event.change_atoms

    def rows(self) -> list[dict[str, int]]:
        """For each fund and symbol: liquidation fees, residue of funding, what was paid, and all together."""
        rows = []
        for fund, symbol in sorted({key[:2] for key in self.changes}):
            by = {cause: self.changes[fund, symbol, cause] for cause in FundCause}
            paid = by[FundCause.LIQUIDATION_DEFICIT] + by[FundCause.DEFICIT_COVER]
            rows.append(
                {
                    "fund": fund,
                    "symbol": symbol,
                    "fees_atoms": by[FundCause.LIQUIDATION_FEE],
                    "residue_atoms": by[FundCause.FUNDING_RESIDUE],
                    "paid_atoms": -paid,
                    "change_atoms": sum(by.values()),
                }
            )
        return rows

    def as_text(self) -> str:
        """A table, with the balance of each fund below its rows."""
        lines = [f"{'fund':<6}{'symbol':<10}" + _cells(HEADS)]
        rows = self.rows()
        for at, row in enumerate(rows):
            fund = row["fund"]
            figures = [_money(row[f"{head}_atoms"]) for head in HEADS]
            if not row["symbol"]:
                figures[:3] = ["", "", ""]
            name = (
                self.names.get(row["symbol"], str(row["symbol"])) if row["symbol"] else "deposits"
            )
            lines.append(f"{fund:<6}{name:<10}" + _cells(figures))
            if at + 1 == len(rows) or rows[at + 1]["fund"] != fund:
                balance = sum(r["change_atoms"] for r in rows if r["fund"] == fund)
                lines.append(f"{fund:<6}{'balance':<10}" + _cells(["", "", "", _money(balance)]))
        return "\n".join(lines)


HEADS = ("fees", "residue", "paid", "change")


def _cells(cells: Sequence[str]) -> str:
    return "".join(f"{cell:>17}" for cell in cells)


def _money(atoms: int) -> str:
    return f"{from_atoms(atoms):,f}"


def totals_of(path: Path, engine_kind: str = "native") -> Totals:
    """Adds up a journal folder, or the one in a data folder.

    Raises:
        ExchangeError: it does not start at command 1, so that what came before is not known.
    """
    folder, totals = journal_folder(path), Totals()
    first = int(segment_paths(folder)[0].stem)
    if first != 1:
        raise ExchangeError(f"{folder}: the journal starts at command {first}; wanted command 1")
    replay(
        create_engine(engine_kind),
        scan(folder),
        lambda commands, events: totals.add(decode_events(events)),
    )
    return totals


def main(argv: Sequence[str]) -> int:
    """Prints the table, or one line of JSON."""
    parser = argparse.ArgumentParser(
        prog="exchange funds", description="What funds paid and earned for each symbol."
    )
    parser.add_argument("journal", type=Path, help="folder of a journal, or a node's data folder")
    parser.add_argument("--json", action="store_true", help="the rows as one line of JSON")
    options = parser.parse_args(argv)
    totals = totals_of(options.journal)
    print(msgspec.json.encode(totals.rows()).decode() if options.json else totals.as_text())
    return 0
