"""What clients can do, each method awaited: the one source of both kinds of client.

``python -m exchange.client.generate`` writes ``methods_sync`` from this file: the same methods, names, options and
texts, without ``await``.  How an ask gets to the node and back is the client's (``aio``, ``sync``); what it says and
how its reply is read is ``asks``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar, Unpack

from exchange.client.asks import (
    Asks,
    Changes,
    Funds,
    Listed,
    OrderOptions,
    SymbolLike,
    SymbolNotListed,
)
from exchange.client.order_options import to_code
from exchange.client.requests import Ask
from exchange.client.results import CancelResult, CommandResult, ListResult, OrderResult
from exchange.client.step_builders import StepBuilders
from exchange.errors import Rejected
from exchange.gateway.feed import BookSnapshot, OrdersSnapshot, Statistics
from exchange.protocol.messages import Command, Fill, ListSymbol, PlaceOrder
from exchange.protocol.preview import PreviewView
from exchange.protocol.schema import (
    AdlPolicy,
    Leg,
    ListMode,
    MarginMode,
    PositionMode,
    Side,
    SymbolState,
)
from exchange.protocol.views import (
    AccountView,
    AssetView,
    CollateralView,
    OrderView,
    PositionView,
)
from exchange.units import Number, to_decimal

P = ParamSpec("P")
T = TypeVar("T")


class AsyncMethods(ABC):
    """What both doors have: symbols, books, questions about accounts, and any command."""

    _ask: Asks

    @abstractmethod
    async def _run(self, ask: Ask[T]) -> T:
        """Sends an ask, waits for its replies, and gives what they come to."""

    async def _do(self, build: Callable[P, Ask[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Builds an ask, once more if a symbol was listed meanwhile, and runs it."""
        try:
            ask = build(*args, **kwargs)
        except SymbolNotListed:
            await self._learn_symbols()
            ask = build(*args, **kwargs)
        return await self._run(ask)

    @property
    def account_number(self) -> int:
        """The account that this client trades for; 0 before a login."""
        return self._ask.account

    async def _learn_symbols(self) -> None:
        self._ask.learn_symbols(await self._run(self._ask.get_symbols()))

    async def _listed(self, symbol: SymbolLike) -> Listed:
        try:
            return self._ask.listed(symbol)
        except SymbolNotListed:
            await self._learn_symbols()
            return self._ask.listed(symbol)

    async def symbols(self) -> dict[str, Listed]:
        """The listed symbols by name: their views, marks included, and their units."""
        await self._learn_symbols()
        return dict(self._ask.symbols)

    async def book(self, symbol: SymbolLike, depth: int = 0, interval_ms: int = 0) -> BookSnapshot:
        """The book now, best prices first; with a depth only so many levels of each side.

        It joins the topic ``book``, or with ``interval_ms`` (10, 100 or 1000) the conflated one.
        """
        return await self._do(self._ask.get_book, symbol, depth, interval_ms)

    async def book_orders(self, symbol: SymbolLike) -> OrdersSnapshot:
        """The resting orders as the public sees them: best prices first, at one price who came first."""
        return await self._do(self._ask.get_book_orders, symbol)

    async def statistics(self, symbol: SymbolLike) -> Statistics:
        """The last 24 hours, open interest and mark."""
        return await self._do(self._ask.get_statistics, symbol)

    async def funds(self) -> Funds:
        """The insurance funds, the fees taken in, and whether a deficit is uncovered."""
        return await self._do(self._ask.get_funds)

    async def collateral(self, account: int | None = None) -> list[CollateralView]:
        """What an account holds of collateral assets, and what that counts (COLL-02)."""
        return await self._do(self._ask.get_collateral, account or self.account_number)

    async def assets(self) -> list[AssetView]:
        """The collateral assets that are listed."""
        return await self._do(self._ask.get_assets)

    async def positions(self, account: int | None = None) -> list[PositionView]:
        """Positions, margin settings and symbols with orders."""
        return await self._do(self._ask.get_positions, account or self.account_number)

    async def open_orders(
        self, symbol: SymbolLike | None = None, *, account: int | None = None
    ) -> list[OrderView]:
        """Orders that rest and orders that wait for a trigger."""
        return await self._do(self._ask.get_open_orders, account or self.account_number, symbol)

    async def fills(self, limit: int = 100, *, account: int | None = None) -> list[Fill]:
        """The newest fills that the node remembers, oldest first."""
        return await self._do(self._ask.get_fills, account or self.account_number, limit)

    async def account(self, account: int | None = None) -> AccountView:
        """Wallet, equity, margins and what is available."""
        return await self._do(self._ask.get_account, account or self.account_number)

    async def preview(
        self, steps: Iterable[Command] = (), *, account: int | None = None
    ) -> PreviewView:
        """What if: where the account would stand after these steps, and what each would come to; nothing is done.

        Steps are commands, as the ``..._order`` and ``..._step`` methods build them.
        """
        return await self._do(self._ask.preview, account or self.account_number, list(steps))

    async def send(self, command: Command) -> CommandResult:
        """Any command, in ticks, lots and atoms, for any account that this connection is logged in for."""
        return await self._do(self._ask.command, command)

    async def send_many(self, commands: Iterable[Command]) -> list[CommandResult | Rejected]:
        """Many commands in one message: for each, in order, its result or its rejection (returned, not raised)."""
        return await self._do(self._ask.send_many, list(commands))


class AsyncTraderMethods(StepBuilders, AsyncMethods):
    """What a trader does: orders, money and margin of one account."""

    async def login(self, account: int) -> None:
        """Trades for this account from now on; the events of accounts logged in for before keep coming too."""
        await self._run(self._ask.login(account))
        self._ask.account = account

    # ---- orders

    async def limit(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number,
        price: Number,
        **options: Unpack[OrderOptions],
    ) -> OrderResult:
        """A limit order; good till cancelled unless ``time_in_force`` says "ioc" or "fok", or it ``expires``."""
        return await self._do(self._ask.limit, symbol, side, quantity, price, **options)

    async def market(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number,
        **options: Unpack[OrderOptions],
    ) -> OrderResult:
        """A market order: takes what is there, up to a ``worst_price``; the rest is cancelled."""
        return await self._do(self._ask.market, symbol, side, quantity, **options)

    async def place(self, order: PlaceOrder) -> OrderResult:
        """An order in ticks and lots."""
        return await self._do(self._ask.place, order)

    async def place_many(self, orders: Iterable[PlaceOrder]) -> list[OrderResult | Rejected]:
        """Many orders in one message: for each, in order, its result or its rejection (returned, not raised)."""
        return await self._do(self._ask.place_many, list(orders))

    async def stop(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number | None,
        trigger: Number,
        price: Number | None = None,
        **options: Unpack[OrderOptions],
    ) -> OrderResult:
        """Sells when the price falls to the trigger, buys when it rises to it; with a price as a limit order."""
        return await self._do(self._ask.stop, symbol, side, quantity, trigger, price, **options)

    async def take_profit(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number | None,
        trigger: Number,
        price: Number | None = None,
        **options: Unpack[OrderOptions],
    ) -> OrderResult:
        """Sells when the price rises to the trigger, buys when it falls to it; with a price as a limit order."""
        return await self._do(
            self._ask.take_profit, symbol, side, quantity, trigger, price, **options
        )

    async def trailing_stop(
        self,
        symbol: SymbolLike,
        side: Side | str,
        quantity: Number | None,
        *,
        callback: Number | None = None,
        callback_rate: Number | None = None,
        **options: Unpack[OrderOptions],
    ) -> OrderResult:
        """A stop that follows the best price at a distance, or at a share of that price."""
        return await self._do(
            self._ask.trailing_stop, symbol, side, quantity, callback, callback_rate, options
        )

    async def place_orders(
        self, orders: Iterable[PlaceOrder], *, all_or_nothing: bool = False
    ) -> ListResult:
        """Up to 64 orders in one command: each with its own result, or all of them or none."""
        mode = ListMode.ALL_OR_NOTHING if all_or_nothing else ListMode.EACH
        return await self._do(self._ask.place_orders, list(orders), mode)

    async def one_cancels_other(self, first: PlaceOrder, second: PlaceOrder) -> ListResult:
        """Two orders of one symbol: what trades or goes off first cancels the other."""
        return await self._do(self._ask.place_orders, [first, second], ListMode.ONE_CANCELS_OTHER)

    async def entry_with_exits(self, entry: PlaceOrder, *exits: PlaceOrder) -> ListResult:
        """An order, and one or two stops or take-profits for what it fills; reduce-only or close-position."""
        return await self._do(self._ask.place_orders, [entry, *exits], ListMode.ENTRY_WITH_EXITS)

    async def amend(
        self,
        symbol: SymbolLike,
        order_id: int = 0,
        *,
        client_order_id: int = 0,
        **changes: Unpack[Changes],
    ) -> OrderResult:
        """A new price, total quantity, display, expiry, trigger or distance.

        A smaller quantity at the same price keeps its place in the queue.
        """
        return await self._do(self._ask.amend, symbol, order_id, client_order_id, changes)

    async def cancel(self, order_id: int = 0, *, client_order_id: int = 0) -> CancelResult:
        return await self._do(self._ask.cancel, order_id, client_order_id=client_order_id)

    async def cancel_all(
        self, symbol: SymbolLike | None = None, side: Side | str | None = None
    ) -> CancelResult:
        """Cancels all orders, or those of one symbol, or of one side."""
        return await self._do(self._ask.cancel_all, symbol, side)

    async def set_countdown(self, timeout_s: Number) -> CommandResult:
        """Cancels all orders when the time is up, unless it is set again before; 0 takes it back."""
        return await self._do(self._ask.set_countdown, timeout_s)

    # ---- money and margin

    async def deposit(self, amount: Number) -> CommandResult:
        return await self._do(self._ask.deposit, amount)

    async def withdraw(self, amount: Number) -> CommandResult:
        return await self._do(self._ask.withdraw, amount)

    async def set_position_mode(self, mode: PositionMode | str) -> CommandResult:
        """One-way, or hedge: a long and a short position on each symbol; with nothing open only (ACCT-08)."""
        return await self._do(self._ask.set_position_mode, mode)

    async def set_margin_mode(
        self,
        symbol: SymbolLike,
        mode: MarginMode | str,
        leverage: Number | None = None,
        leg: Leg | str = Leg.NET,
    ) -> CommandResult:
        """Cross or isolated; without a leverage the rate stays as it is."""
        return await self._do(self._ask.set_margin_mode, symbol, mode, leverage, leg)

    async def change_collateral(self, asset: int, change_parts: int) -> CommandResult:
        """Brings parts of a collateral asset in, or, below 0, takes them out (COLL-03)."""
        return await self._do(self._ask.change_collateral, asset, change_parts)

    async def set_multi_asset(self, enabled: bool = True) -> CommandResult:
        """Whether the account's collateral assets count for its cross pool (COLL-02)."""
        return await self._do(self._ask.set_multi_asset, enabled)

    async def set_auto_margin(
        self, symbol: SymbolLike, enabled: bool = True, leg: Leg | str = Leg.NET
    ) -> CommandResult:
        """Whether the wallet adds margin to an isolated position before it would be liquidated (ACCT-09).

        All margin that is added is at risk with the position.
        """
        return await self._do(self._ask.set_auto_margin, symbol, enabled, leg)

    async def set_leverage(
        self, symbol: SymbolLike, leverage: Number, leg: Leg | str = Leg.NET
    ) -> CommandResult:
        """The leverage of new positions and orders on a symbol; the margin mode stays as it is."""
        number = (await self._listed(symbol)).view.symbol
        place = (number, to_code(Leg, leg))
        modes = {
            (position.symbol, position.leg): position.margin_mode
            for position in await self.positions()
        }
        return await self.set_margin_mode(
            number, MarginMode(modes.get(place, MarginMode.CROSS)), leverage, leg
        )

    async def add_isolated_margin(
        self, symbol: SymbolLike, amount: Number, leg: Leg | str = Leg.NET
    ) -> CommandResult:
        """Moves money from the wallet to the isolated position."""
        return await self._do(
            self._ask.change_isolated_margin, symbol, to_decimal("amount", amount), leg
        )

    async def remove_isolated_margin(
        self, symbol: SymbolLike, amount: Number, leg: Leg | str = Leg.NET
    ) -> CommandResult:
        """Moves money from the isolated position back to the wallet."""
        return await self._do(
            self._ask.change_isolated_margin, symbol, -to_decimal("amount", amount), leg
        )


class AsyncOperatorMethods(AsyncMethods):
    """What the operator does: listings, marks, states of symbols, funding, funds."""

    async def list_symbol(self, listing: ListSymbol) -> CommandResult:
        """Lists a symbol; ``exchange.risk.SymbolPolicy.to_command`` makes a listing of human numbers."""
        result = await self._do(self._ask.list_symbol, listing)
        await self._learn_symbols()
        return result

    async def set_mark(self, symbol: SymbolLike, price: Number) -> CommandResult:
        """Moves the mark price; whoever is below maintenance then is liquidated before this returns."""
        return await self._do(self._ask.set_mark, symbol, price)

    async def set_mark_policy(self, symbol: SymbolLike, **policy: int) -> CommandResult:
        """A composite mark from now on; fields as in the command, ``enabled=0`` for one that is set by hand again."""
        return await self._do(self._ask.set_mark_policy, symbol, **policy)

    async def set_price(
        self, symbol: SymbolLike, price: Number, *, source: int = 0
    ) -> CommandResult:
        """A price from outside, the index (0) or of a feed (1 and up); a composite mark follows before this returns."""
        return await self._do(self._ask.set_price, symbol, price, source)

    async def set_funding_policy(self, symbol: SymbolLike, **policy: int) -> CommandResult:
        """The engine computes and settles the rate from now on; fields as in the command, ``enabled=0`` to stop it."""
        return await self._do(self._ask.set_funding_policy, symbol, **policy)

    async def settle_funding(self, symbol: SymbolLike, per_unit: Number) -> CommandResult:
        """Longs pay shorts so much for each unit of the base asset; negative: shorts pay longs."""
        return await self._do(self._ask.settle_funding, symbol, per_unit)

    async def set_symbol_state(
        self, symbol: SymbolLike, state: SymbolState | str, price: Number | None = None
    ) -> CommandResult:
        """Opens, halts or closes a symbol, calls an auction, or settles it at a final mark."""
        return await self._do(self._ask.set_symbol_state, symbol, state, price)

    async def set_brackets(
        self,
        symbol: SymbolLike,
        initial_margin: Number,
        brackets: Sequence[Sequence[Number]],
    ) -> CommandResult:
        """Puts another bracket table in force: rows of notional floor, maintenance and initial rate (optional).

        It holds at once, for what is open, too: whoever is below maintenance by it is liquidated before this returns.
        """
        return await self._do(self._ask.set_brackets, symbol, initial_margin, brackets)

    async def set_risk_limits(
        self,
        symbol: SymbolLike,
        position_limit: Number | None = None,
        open_interest_limit: Number | None = None,
        margin_scaling: tuple[Number, Number] | None = None,
    ) -> CommandResult:
        """Caps in money at mark; what is None is not capped from now on.  They hold for what comes (MARGIN-11).

        ``position_limit`` is for an account with its orders, ``open_interest_limit`` for all together;
        ``margin_scaling`` is the open interest from which initial margin rises, and that at which it is 100 %.
        """
        limits = (position_limit, open_interest_limit, margin_scaling)
        return await self._do(self._ask.set_risk_limits, symbol, *limits)

    async def set_fund_policy(
        self,
        symbol: SymbolLike,
        cap: Number | None = None,
        second_fund: int | None = None,
        second_cap: Number | None = None,
        window_s: Number | None = None,
        window_cap: Number | None = None,
    ) -> CommandResult:
        """Caps what insurance funds pay for a symbol; what is None has no cap from now on (FUND-01).

        ``cap`` is for its own fund in total, ``second_fund`` pays where that may not, up to ``second_cap`` in
        total; ``window_cap`` is for both within ``window_s`` seconds.  What was paid before does not count.
        """
        caps = (cap, second_fund, second_cap, window_s, window_cap)
        return await self._do(self._ask.set_fund_policy, symbol, *caps)

    async def set_margin_warnings(self, levels: Sequence[Number] = ("0.8", "0.9")) -> CommandResult:
        """At which parts of its equity a pool's maintenance margin is warned of: up to four, rising; none: never.

        Accounts get a `MarginWarning` each time a pool of theirs reaches one (MARGIN-10).
        """
        return await self._do(self._ask.set_margin_warnings, levels)

    async def set_stp_group(self, account: int, group: int) -> CommandResult:
        """Accounts of one group do not trade with each other; 0 takes an account out."""
        return await self._do(self._ask.set_stp_group, account, group)

    async def set_adl_policy(self, symbol: SymbolLike, policy: AdlPolicy | str) -> CommandResult:
        """Says who gives how much where a position of the symbol is auto-deleveraged, and at which price (ADL-05)."""
        return await self._do(self._ask.set_adl_policy, symbol, policy)

    async def list_asset(
        self, asset: int, name: str, unit_parts: int, haircut: Number
    ) -> CommandResult:
        """Lists a collateral asset, 1 .. 16, or gives a listed one another haircut (COLL-01)."""
        return await self._do(self._ask.list_asset, asset, name, unit_parts, haircut)

    async def set_asset_price(self, asset: int, price: Number) -> CommandResult:
        """The price of one unit of a collateral asset; whoever counts on it is checked (COLL-02)."""
        return await self._do(self._ask.set_asset_price, asset, price)

    async def deposit_fund(self, fund: int, amount: Number) -> CommandResult:
        return await self._do(self._ask.deposit_fund, fund, amount)

    async def advance_time(self) -> CommandResult:
        return await self._do(self._ask.advance_time)

    async def status(self) -> dict[str, Any]:
        """Sequence, what of it is durable, digest, sessions, endpoints."""
        return await self._do(self._ask.question, "get_status")

    async def drain(self, seconds: int | None = None) -> int:
        """Ends the node gently: for so many seconds, which it returns, cancels pass and nothing is placed."""
        arguments = {} if seconds is None else {"seconds": seconds}
        return int((await self._do(self._ask.question, "drain", **arguments))["seconds"])

    async def reload_keys(self) -> dict[str, Any]:
        """Has the node read its list of keys again: how many are authorised, which are gone, how many it cut."""
        return await self._do(self._ask.question, "reload_keys")

    async def take_snapshot(self) -> str:
        """Writes a snapshot now and returns its path."""
        return str((await self._do(self._ask.question, "take_snapshot"))["path"])
