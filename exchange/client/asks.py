"""What every method of a client asks of the node, and how its reply is read.  Shared by sync and asyncio, no I/O.

People write quantities, prices and amounts as decimals (``"0.25"``, ``Decimal``, int); here they become lots, ticks
and atoms, exactly or not at all.  Floats are refused: 0.1 is not a tenth.  Orders are in ``order_asks``.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from exchange.client.order_asks import OrderAsks
from exchange.client.order_options import (
    Changes,
    Listed,
    OrderOptions,
    SymbolLike,
    SymbolNotListed,
    to_code,
)
from exchange.client.reading import body_of, views_of
from exchange.client.requests import Ask, Question, Reply, ask_one
from exchange.client.results import CommandResult
from exchange.errors import UnitsError
from exchange.gateway.feed import BookSnapshot, OrdersSnapshot, Statistics
from exchange.protocol import messages
from exchange.protocol.messages import Command, Fill, ListSymbol
from exchange.protocol.preview import PreviewView
from exchange.protocol.schema import AdlPolicy, Leg, MarginMode, PositionMode, SymbolState
from exchange.protocol.views import (
    AccountView,
    AssetView,
    CollateralView,
    OrderView,
    PositionView,
    SymbolView,
)
from exchange.protocol.wire import encode_command_wire
from exchange.units import Number, leverage_to_ppm, to_atoms, to_decimal, to_ppm

__all__ = [
    "Asks",
    "Changes",
    "Funds",
    "Listed",
    "OrderOptions",
    "SymbolLike",
    "SymbolNotListed",
]

Q32 = 1 << 32


class Funds(msgspec.Struct, frozen=True):
    """What the exchange itself holds."""

    funds: dict[int, int]  # number -> balance_atoms
    fees_atoms: int
    uncovered: bool


def to_bracket(row: Sequence[Number]) -> messages.Bracket:
    """[notional floor, maintenance rate, initial rate (optional)] in the engine's integers.

    >>> to_bracket([1_000, "0.05"])
    (100000000000, 50000, 0)
    """
    floor, maintenance, *initial = row
    return to_atoms(floor), to_ppm(maintenance), to_ppm(initial[0]) if initial else 0


def ns_of(what: str, seconds: Number) -> int:
    """Seconds in nanoseconds, exactly.

    >>> ns_of("window_s", "0.5")
    500000000
    """
    ns = to_decimal(what, seconds) * 10**9
    if ns != int(ns):
        raise UnitsError(f"{what} {seconds} is not a whole number of nanoseconds")
    return int(ns)


def atoms_or_none(amount: Number | None) -> int:
    """A bound in atoms; -1 where there is none."""
    return -1 if amount is None else to_atoms(amount)


class Asks(OrderAsks):
    """Builds asks for one account: orders, money, questions, and what the operator does."""

    # ---- money and margin

    def deposit(self, amount: Number) -> Ask[CommandResult]:
        return self.command(messages.Deposit(amount_atoms=to_atoms(amount)))

    def withdraw(self, amount: Number) -> Ask[CommandResult]:
        return self.command(messages.Withdraw(amount_atoms=to_atoms(amount)))

    def set_margin_mode(
        self,
        symbol: SymbolLike,
        mode: MarginMode | str,
        leverage: Number | None = None,
        leg: Leg | str = Leg.NET,
    ) -> Ask[CommandResult]:
        return self.command(
            messages.SetMarginMode(
                symbol=self.number_of(symbol),
                leg=to_code(Leg, leg),
                margin_mode=to_code(MarginMode, mode),
                initial_margin_ppm=0 if leverage is None else leverage_to_ppm(leverage),
            )
        )

    def change_isolated_margin(
        self, symbol: SymbolLike, change: Decimal, leg: Leg | str = Leg.NET
    ) -> Ask[CommandResult]:
        return self.command(
            messages.ChangeIsolatedMargin(
                symbol=self.number_of(symbol),
                leg=to_code(Leg, leg),
                change_atoms=to_atoms(change),
            )
        )

    def set_auto_margin(
        self, symbol: SymbolLike, enabled: bool, leg: Leg | str = Leg.NET
    ) -> Ask[CommandResult]:
        return self.command(
            messages.SetAutoMargin(
                symbol=self.number_of(symbol), leg=to_code(Leg, leg), enabled=int(enabled)
            )
        )

    def set_position_mode(self, mode: PositionMode | str) -> Ask[CommandResult]:
        return self.command(messages.SetPositionMode(position_mode=to_code(PositionMode, mode)))

    def change_collateral(self, asset: int, change_parts: int) -> Ask[CommandResult]:
        return self.command(messages.ChangeCollateral(asset=asset, change_parts=change_parts))

    def set_multi_asset(self, enabled: bool) -> Ask[CommandResult]:
        return self.command(messages.SetMultiAsset(enabled=int(enabled)))

    # ---- questions

    def login(self, account: int) -> Ask[dict[str, Any]]:
        return ask_one(Question("login", {"account": account}), body_of)

    def ping(self) -> Ask[dict[str, Any]]:
        return ask_one(Question("ping", {}), body_of)

    def get_symbols(self) -> Ask[Sequence[SymbolView]]:
        return ask_one(
            Question("get_symbols", {}), lambda reply: views_of(reply, "symbols", list[SymbolView])
        )

    def get_account(self, account: int) -> Ask[AccountView]:
        return ask_one(
            Question("get_account", {"account": account}),
            lambda reply: views_of(reply, None, AccountView),
        )

    def get_positions(self, account: int) -> Ask[list[PositionView]]:
        question = Question("get_positions", {"account": account})
        return ask_one(question, lambda reply: views_of(reply, "positions", list[PositionView]))

    def get_collateral(self, account: int) -> Ask[list[CollateralView]]:
        question = Question("get_collateral", {"account": account})
        return ask_one(question, lambda reply: views_of(reply, "collateral", list[CollateralView]))

    def get_assets(self) -> Ask[list[AssetView]]:
        return ask_one(
            Question("get_assets", {}), lambda reply: views_of(reply, "assets", list[AssetView])
        )

    def get_open_orders(
        self, account: int, symbol: SymbolLike | None = None
    ) -> Ask[list[OrderView]]:
        number = 0 if symbol is None else self.number_of(symbol)
        question = Question("get_open_orders", {"account": account, "symbol": number})
        return ask_one(question, lambda reply: views_of(reply, "open_orders", list[OrderView]))

    def get_fills(self, account: int, limit: int) -> Ask[list[Fill]]:
        question = Question("get_fills", {"account": account, "limit": limit})
        return ask_one(question, lambda reply: views_of(reply, "fills", list[Fill]))

    def preview(self, account: int, steps: Sequence[Command]) -> Ask[PreviewView]:
        sent = (msgspec.structs.replace(s, account=s.account or account) for s in steps)
        payload = b"".join(encode_command_wire(step, 0) for step in sent)
        question = Question("preview", {"account": account, "steps": payload.hex()})
        return ask_one(question, lambda reply: views_of(reply, None, PreviewView))

    def get_book(
        self, symbol: SymbolLike, depth: int = 0, interval_ms: int = 0
    ) -> Ask[BookSnapshot]:
        about = {"symbol": self.number_of(symbol), "depth": depth, "interval_ms": interval_ms}
        question = Question("get_book", about)
        return ask_one(question, lambda reply: views_of(reply, None, BookSnapshot))

    def get_book_orders(self, symbol: SymbolLike) -> Ask[OrdersSnapshot]:
        question = Question("get_book_orders", {"symbol": self.number_of(symbol)})
        return ask_one(question, lambda reply: views_of(reply, None, OrdersSnapshot))

    def get_statistics(self, symbol: SymbolLike) -> Ask[Statistics]:
        question = Question("get_statistics", {"symbol": self.number_of(symbol)})
        return ask_one(question, lambda reply: views_of(reply, None, Statistics))

    def get_funds(self) -> Ask[Funds]:
        def read(reply: Reply) -> Funds:
            body = body_of(reply)
            return Funds(dict(body["funds"]), body["fees_atoms"], body["uncovered"])

        return ask_one(Question("get_funds", {}), read)

    # ---- the operator's

    def list_symbol(self, listing: ListSymbol) -> Ask[CommandResult]:
        return self.command(listing)

    def set_mark(self, symbol: SymbolLike, price: Number) -> Ask[CommandResult]:
        listed = self.listed(symbol)
        ticks = listed.units.price_to_ticks(price)
        return self.command(messages.SetMark(symbol=listed.view.symbol, price_ticks=ticks))

    def set_mark_policy(self, symbol: SymbolLike, **policy: int) -> Ask[CommandResult]:
        return self.command(messages.SetMarkPolicy(symbol=self.number_of(symbol), **policy))

    def set_funding_policy(self, symbol: SymbolLike, **policy: int) -> Ask[CommandResult]:
        return self.command(messages.SetFundingPolicy(symbol=self.number_of(symbol), **policy))

    def set_price(self, symbol: SymbolLike, price: Number, source: int) -> Ask[CommandResult]:
        listed = self.listed(symbol)
        ticks = listed.units.price_to_ticks(price)
        return self.command(
            messages.SetPrice(symbol=listed.view.symbol, source=source, price_ticks=ticks)
        )

    def settle_funding(self, symbol: SymbolLike, per_unit: Number) -> Ask[CommandResult]:
        """Longs pay ``per_unit`` for each unit of the base asset; what is below 2^-32 atom a lot is rounded down."""
        listed = self.listed(symbol)
        per_lot = to_decimal("per_unit", per_unit) * listed.units.lot_size
        numerator, denominator = (per_lot * 10**8).as_integer_ratio()
        atoms, fraction = divmod(numerator * Q32 // denominator, Q32)
        return self.command(
            messages.SettleFunding(
                symbol=listed.view.symbol,
                payment_atoms_per_lot=atoms,
                payment_fraction_q32=fraction,
            )
        )

    def set_symbol_state(
        self, symbol: SymbolLike, state: SymbolState | str, price: Number | None = None
    ) -> Ask[CommandResult]:
        listed = self.listed(symbol)
        return self.command(
            messages.SetSymbolState(
                symbol=listed.view.symbol,
                state=to_code(SymbolState, state),
                price_ticks=0 if price is None else listed.units.price_to_ticks(price),
            )
        )

    def set_brackets(
        self,
        symbol: SymbolLike,
        initial_margin: Number,
        brackets: Sequence[Sequence[Number]],
    ) -> Ask[CommandResult]:
        return self.command(
            messages.SetBrackets(
                symbol=self.number_of(symbol),
                initial_margin_ppm=to_ppm(initial_margin),
                brackets=tuple(map(to_bracket, brackets)),
            )
        )

    def set_risk_limits(
        self,
        symbol: SymbolLike,
        position_limit: Number | None = None,
        open_interest_limit: Number | None = None,
        margin_scaling: tuple[Number, Number] | None = None,
    ) -> Ask[CommandResult]:
        lower, upper = margin_scaling or (None, None)
        return self.command(
            messages.SetRiskLimits(
                symbol=self.number_of(symbol),
                position_limit_atoms=atoms_or_none(position_limit),
                open_interest_limit_atoms=atoms_or_none(open_interest_limit),
                oi_scaling_lower_atoms=atoms_or_none(lower),
                oi_scaling_upper_atoms=atoms_or_none(upper),
            )
        )

    def set_fund_policy(
        self,
        symbol: SymbolLike,
        cap: Number | None = None,
        second_fund: int | None = None,
        second_cap: Number | None = None,
        window_s: Number | None = None,
        window_cap: Number | None = None,
    ) -> Ask[CommandResult]:
        has_second = second_fund is not None or second_cap is not None
        return self.command(
            messages.SetFundPolicy(
                symbol=self.number_of(symbol),
                cap_atoms=atoms_or_none(cap),
                second_fund=second_fund or 0,
                second_cap_atoms=atoms_or_none(second_cap) if has_second else 0,
                window_ns=0 if window_s is None else ns_of("window_s", window_s),
                window_cap_atoms=atoms_or_none(window_cap),
            )
        )

    def set_margin_warnings(self, levels: Sequence[Number]) -> Ask[CommandResult]:
        if len(levels) > 4:
            raise UnitsError(f"wanted at most 4 warning levels, came {len(levels)}")
        first, second, third, fourth = (*map(to_ppm, levels), 0, 0, 0, 0)[:4]
        return self.command(
            messages.SetMarginWarnings(
                first_level_ppm=first,
                second_level_ppm=second,
                third_level_ppm=third,
                fourth_level_ppm=fourth,
            )
        )

    def set_stp_group(self, account: int, group: int) -> Ask[CommandResult]:
        return self.command(messages.SetStpGroup(member_account=account, stp_group=group))

    def set_adl_policy(self, symbol: SymbolLike, policy: AdlPolicy | str) -> Ask[CommandResult]:
        number = self.number_of(symbol)
        return self.command(messages.SetAdlPolicy(symbol=number, policy=to_code(AdlPolicy, policy)))

    def list_asset(
        self, asset: int, name: str, unit_parts: int, haircut: Number
    ) -> Ask[CommandResult]:
        return self.command(
            messages.ListAsset(
                asset=asset, name=name, unit_parts=unit_parts, haircut_ppm=to_ppm(haircut)
            )
        )

    def set_asset_price(self, asset: int, price: Number) -> Ask[CommandResult]:
        return self.command(messages.SetAssetPrice(asset=asset, price_atoms=to_atoms(price)))

    def deposit_fund(self, fund: int, amount: Number) -> Ask[CommandResult]:
        return self.command(messages.DepositFund(fund=fund, amount_atoms=to_atoms(amount)))

    def advance_time(self) -> Ask[CommandResult]:
        return self.command(messages.AdvanceTime())

    def question(self, name: str, **arguments: int) -> Ask[dict[str, Any]]:
        return ask_one(Question(name, arguments), body_of)
