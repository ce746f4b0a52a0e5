"""Who paid what in a liquidation, to the atom, and the proof that nothing is missing.

At a mark that stands still an exchange of lots for money moves worth from one to another and makes none: a seller below
the mark loses to the buyer what the buyer gains.  So the changes of everybody who took part in a turn, at the mark, sum
to zero.  Each is added up twice: from the amounts that the events say were paid, and from what the events say was left
of everybody's balances and positions (`books`).  The two have to agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from exchange.errors import CorruptionError
from exchange.explain.books import Books
from exchange.protocol.messages import (
    AdlRanked,
    BalanceChanged,
    Event,
    Fill,
    FundChanged,
    LiquidationSettled,
)
from exchange.protocol.schema import BalanceCause, FillRole, FundCause, Side


class Part(StrEnum):
    """The part that somebody played in a liquidation."""

    LIQUIDATED = "liquidated"
    MAKER = "maker"
    COUNTERPARTY = "counterparty"
    OTHER = "other"
    FUND = "fund"
    FEES = "fees"


class Item(StrEnum):
    """What somebody's change is made of."""

    PRICE = "price against the mark"
    TRADING_FEE = "trading fee"
    LIQUIDATION_FEE = "liquidation fee"
    FUND_PAYMENT = "from the fund at bankruptcy"
    FUND_COVER = "from the fund for the deficit"
    DELEVERAGED = "deleveraging against the mark"
    OTHER = "other"


#: Somebody: the part played, and the number of the account or fund (0 for the fee account).
Who = tuple[Part, int]

FUND_ITEMS = {
    FundCause.LIQUIDATION_FEE: Item.LIQUIDATION_FEE,
    FundCause.LIQUIDATION_DEFICIT: Item.FUND_PAYMENT,
    FundCause.DEFICIT_COVER: Item.FUND_COVER,
}


class Account(msgspec.Struct):
    """What changed for one who took part, item by item."""

    items: dict[Item, int] = msgspec.field(default_factory=dict)
    lots: dict[int, int] = msgspec.field(default_factory=dict)  # taken over, by symbol

    @property
    def change_atoms(self) -> int:
        return sum(self.items.values())

    def add(self, item: Item, atoms: int) -> None:
        if atoms:
            self.items[item] = self.items.get(item, 0) + atoms


class Sums:
    """Adds up who paid what, turn by turn."""

    def __init__(self, account: int) -> None:
        self.account = account
        self.by_who: dict[Who, Account] = {}
        self.proven_turns = 0
        self._parts: dict[int, Part] = {account: Part.LIQUIDATED}

    @property
    def total_atoms(self) -> int:
        """Zero, if nothing is missing."""
        return sum(account.change_atoms for account in self.by_who.values())

    def of(self, part: Part) -> dict[int, Account]:
        """Those who played a part, by number."""
        return {who[1]: account for who, account in sorted(self.by_who.items()) if who[0] == part}

    def begin(self, events: Iterable[Event], books: Books) -> Before:
        """Notes what everybody who takes part in a turn has before it."""
        events = list(events)
        for event in events:
            if isinstance(event, Fill | AdlRanked):
                self._assign(event)  # a payment may be told before the fill that it belongs to
        accounts = {e.account for e in events if isinstance(e, Fill | BalanceChanged)}
        worths = {account: books.worth(account) for account in sorted(accounts)}
        return Before(worths, dict(books.funds), books.fees_atoms, self.changes())

    def changes(self) -> dict[Who, int]:
        return {who: account.change_atoms for who, account in self.by_who.items()}

    def add(self, event: Event, books: Books) -> None:
        """One event of a turn, after the books have read it (they know the mark)."""
        match event:
            case Fill():
                self._add_fill(event, books.mark_value(event.symbol))
            case LiquidationSettled():
                account = self._account(event.account)
                account.add(Item.LIQUIDATION_FEE, -event.liquidation_fee_atoms)
                account.add(Item.FUND_PAYMENT, event.fund_paid_atoms)
            case BalanceChanged():
                by_others = event.cause == BalanceCause.HAIRCUT
                self._account(event.account).add(
                    Item.DELEVERAGED if by_others else Item.FUND_COVER,
                    event.wallet_change_atoms + event.margin_change_atoms,
                )
            case FundChanged():
                fund = self.by_who.setdefault((Part.FUND, event.fund), Account())
                fund.add(FUND_ITEMS.get(FundCause(event.cause), Item.OTHER), event.change_atoms)

    def _assign(self, event: Fill | AdlRanked) -> None:
        """The part of an account is the first that it is told to play."""
        if isinstance(event, AdlRanked):
            self._parts.setdefault(event.account, Part.COUNTERPARTY)
        elif event.role == FillRole.MAKER:
            self._parts.setdefault(event.account, Part.MAKER)

    def _add_fill(self, event: Fill, mark_value: int) -> None:
        by_adl = event.role in (FillRole.DELEVERAGED, FillRole.ADL_COUNTERPARTY)
        sign = 1 if event.side == Side.BUY else -1
        account = self._account(event.account)
        account.add(
            Item.DELEVERAGED if by_adl else Item.PRICE,
            sign * (event.qty_lots * mark_value - event.value_atoms),
        )
        account.add(Item.TRADING_FEE, -event.fee_atoms)
        account.lots[event.symbol] = account.lots.get(event.symbol, 0) + sign * event.qty_lots
        if event.fee_atoms:
            fees = self.by_who.setdefault((Part.FEES, 0), Account())
            fees.add(Item.TRADING_FEE, event.fee_atoms)

    def _account(self, number: int) -> Account:
        part = self._parts.get(number, Part.OTHER)
        return self.by_who.setdefault((part, number), Account())

    def finish(self, before: Before, books: Books) -> None:
        """Compares what was added up with what the books say; CorruptionError where they differ."""
        for (part, number), account in self.by_who.items():
            added = account.change_atoms - before.changes.get((part, number), 0)
            if part == Part.FUND:
                booked = books.funds.get(number, 0) - before.funds.get(number, 0)
            elif part == Part.FEES:
                booked = books.fees_atoms - before.fees_atoms
            else:
                worth = books.worth(number)
                booked = worth - before.worths.get(number, worth)
            if added != booked:
                raise CorruptionError(
                    f"{part.value} {number}: the amounts of the events add up to {added} atoms, "
                    f"the balances that they name to {booked}"
                )
        if self.total_atoms:
            raise CorruptionError(
                f"what everybody paid and got adds up to {self.total_atoms} atoms, not to 0"
            )
        self.proven_turns += 1


class Before(msgspec.Struct, frozen=True):
    """What there was before a turn: worths, funds, fees, and the sums so far."""

    worths: dict[int, int]
    funds: dict[int, int]
    fees_atoms: int
    changes: dict[Who, int]
