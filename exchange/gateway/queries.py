"""Answers to what clients ask: accounts, positions, orders, books, symbols, funds, fills.

An answer is made after every command that came before the question was applied, and leaves when those are durable, so
it never shows what a crash could still take back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from exchange.engine import Engine
from exchange.errors import CorruptionError
from exchange.gateway.connection import Code, Query, encode_control
from exchange.gateway.event_log import Memory
from exchange.gateway.feed import INTERVALS_MS
from exchange.gateway.greeting import VERSIONS, Hello, Login
from exchange.gateway.publishing import MarketPublisher
from exchange.gateway.sessions import Session, Sessions
from exchange.protocol import wire
from exchange.protocol.preview import MAX_STEPS
from exchange.protocol.records import decode_commands, decode_events
from exchange.protocol.schema import MAX_ACCOUNT

Arguments = TypeVar("Arguments", bound=msgspec.Struct)
Answer = Mapping[str, Any] | msgspec.Struct
MAX_FILLS = 10_000  # in one answer


class QueryError(Exception):
    """A query that cannot be answered: code and message go to the client."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class NoArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Of queries that need none."""


class OfAccount(msgspec.Struct, forbid_unknown_fields=True):
    account: int | None = (
        None  # may be left out by a session that is logged in for one account only
    )


class OfFills(OfAccount, forbid_unknown_fields=True):
    limit: int = 100


class OfOpenOrders(OfAccount, forbid_unknown_fields=True):
    symbol: int = 0  # 0: all


class OfPreview(OfAccount, forbid_unknown_fields=True):
    steps: str = ""  # commands as in a message of commands, one after the other, in hexadecimal


class OfSymbol(msgspec.Struct, forbid_unknown_fields=True):
    symbol: int


class OfBook(OfSymbol, forbid_unknown_fields=True):
    depth: int = 0  # 0: all levels
    interval_ms: int = 0  # 0: to join the topic book; else the conflated one of this interval


class Queries:
    """The table of queries, and what they look at.  ``about`` tells a client of the node: endpoints, version;
    ``now_ns`` the time that a command would get.
    """

    def __init__(
        self,
        engine: Engine,
        publisher: MarketPublisher,
        log: Memory,
        sessions: Sessions,
        about: Callable[[], dict[str, Any]],
        now_ns: Callable[[], int],
        max_message_bytes: int = 1 << 20,
    ) -> None:
        self._now_ns = now_ns
        self._run = now_ns()  # another number each time that the node is started
        self._engine = engine
        self._publisher = publisher
        self._log = log
        self._max_message_bytes = max_message_bytes
        self._sessions = sessions
        self._about = about
        self._answers: dict[str, Callable[[Session, dict[str, Any]], Answer]] = {
            "hello": self._hello,
            "login": self._login,
            "logout": self._logout,
            "ping": self._ping,
            "get_symbols": self._get_symbols,
            "get_book": self._get_book,
            "get_book_orders": self._get_book_orders,
            "get_statistics": self._get_statistics,
            "get_funds": self._get_funds,
            "get_account": self._get_account,
            "get_positions": self._get_positions,
            "get_collateral": self._get_collateral,
            "get_assets": self._get_assets,
            "get_open_orders": self._get_open_orders,
            "get_fills": self._get_fills,
            "preview": self._preview,
        }

    def add(self, name: str, answer: Callable[[Session, dict[str, Any]], Answer]) -> None:
        """One more query: the operator's door has its own."""
        self._answers[name] = answer

    def answer(self, session: Session, query: Query) -> bytes:
        """The reply to one query, its error included."""
        try:
            return encode_control(
                query.request_id, self._answers[query.name](session, query.arguments)
            )
        except QueryError as error:
            return encode_control(query.request_id, {"error": error.code, "message": error.message})

    def _hello(self, session: Session, arguments: dict[str, Any]) -> Answer:
        hello = msgspec.convert(arguments, Hello)
        self._sessions.say_hello(session, hello)
        limits = msgspec.structs.asdict(self._sessions.limits)
        limits["max_commands_per_message"] = limits.pop("max_commands")
        return {
            "version": max(set(hello.versions) & set(VERSIONS)),
            "node": f"exchange/{self._about()['version']}",
            "run": self._run,
            "heartbeat_ms": hello.heartbeat_ms,
            "limits": {"max_message_bytes": self._max_message_bytes, **limits},
        }

    def _login(self, session: Session, arguments: dict[str, Any]) -> Answer:
        """From here on: everything before was carried out, and nothing after it yet (reception.sort_frames)."""
        login = msgspec.convert(arguments, Login)
        number = self._log.number(login.account)
        after = number if login.after is None else login.after
        missed = login.epoch not in (0, self._log.epoch) and login.after is not None
        missed = missed or not self._log.remembers(login.account, after + 1)
        session.replay_from = self._engine.sequence
        is_behind = after < number and not missed
        self._sessions.login(session, login, after + 1 if is_behind else None)
        return {
            "account": login.account,
            "sequence": self._engine.sequence,
            "number": number,
            "epoch": self._log.epoch,
            "missed": missed,
        }

    def _logout(self, session: Session, arguments: dict[str, Any]) -> Answer:
        read_arguments(NoArguments, arguments)
        self._sessions.end(session)
        return {}

    def _ping(self, session: Session, arguments: dict[str, Any]) -> Answer:
        read_arguments(NoArguments, arguments)
        return {
            "sequence": self._engine.sequence,
            "timestamp_ns": self._engine.timestamp_ns,
            **self._about(),
        }

    def _get_symbols(self, session: Session, arguments: dict[str, Any]) -> Answer:
        read_arguments(NoArguments, arguments)
        return {"symbols": self._engine.symbols()}

    def _get_book(self, session: Session, arguments: dict[str, Any]) -> Answer:
        wanted = read_arguments(OfBook, arguments)
        if wanted.depth < 0:
            raise QueryError(
                Code.INVALID_ARGUMENTS, f"depth: wanted 0 (all) or more levels, got {wanted.depth}"
            )
        if wanted.interval_ms not in (0, *INTERVALS_MS):
            raise QueryError(
                Code.INVALID_ARGUMENTS,
                f"interval_ms: wanted one of {INTERVALS_MS}, or 0, got {wanted.interval_ms}",
            )
        return of_symbol(
            wanted.symbol,
            lambda: self._publisher.snapshot(wanted.symbol, wanted.depth, wanted.interval_ms),
        )

    def _get_book_orders(self, session: Session, arguments: dict[str, Any]) -> Answer:
        wanted = read_arguments(OfSymbol, arguments)
        return of_symbol(wanted.symbol, lambda: self._publisher.orders_snapshot(wanted.symbol))

    def _get_statistics(self, session: Session, arguments: dict[str, Any]) -> Answer:
        wanted = read_arguments(OfSymbol, arguments)
        return of_symbol(wanted.symbol, lambda: self._publisher.statistics(wanted.symbol))

    def _get_funds(self, session: Session, arguments: dict[str, Any]) -> Answer:
        read_arguments(NoArguments, arguments)
        return {
            "funds": [
                [fund, balance_atoms]
                for fund, balance_atoms in sorted(self._engine.funds().items())
            ],
            "fees_atoms": self._engine.fees_atoms(),
            "uncovered": self._engine.uncovered(),
        }

    def _get_account(self, session: Session, arguments: dict[str, Any]) -> Answer:
        return self._engine.account(account_of(session, read_arguments(OfAccount, arguments)))

    def _get_positions(self, session: Session, arguments: dict[str, Any]) -> Answer:
        return {
            "positions": self._engine.positions(
                account_of(session, read_arguments(OfAccount, arguments))
            )
        }

    def _get_collateral(self, session: Session, arguments: dict[str, Any]) -> Answer:
        account = account_of(session, read_arguments(OfAccount, arguments))
        return {"collateral": self._engine.collateral(account)}

    def _get_assets(self, session: Session, arguments: dict[str, Any]) -> Answer:
        read_arguments(NoArguments, arguments)
        return {"assets": self._engine.assets()}

    def _get_open_orders(self, session: Session, arguments: dict[str, Any]) -> Answer:
        wanted = read_arguments(OfOpenOrders, arguments)
        orders = self._engine.open_orders(account_of(session, wanted))
        return {"open_orders": [order for order in orders if wanted.symbol in (0, order.symbol)]}

    def _get_fills(self, session: Session, arguments: dict[str, Any]) -> Answer:
        wanted = read_arguments(OfFills, arguments)
        if wanted.limit < 1:
            raise QueryError(
                Code.INVALID_ARGUMENTS, f"limit: wanted 1 or more fills, got {wanted.limit}"
            )
        records = self._log.fills(account_of(session, wanted), min(wanted.limit, MAX_FILLS))
        return {"fills": decode_events(b"".join(records))}

    def _preview(self, session: Session, arguments: dict[str, Any]) -> Answer:
        wanted = read_arguments(OfPreview, arguments)
        account = account_of(session, wanted)
        try:
            records, _ = wire.decode_commands(bytes.fromhex(wanted.steps), MAX_STEPS)
            return self._engine.preview(account, decode_commands(records), self._now_ns())
        except ValueError as error:
            raise QueryError(Code.INVALID_ARGUMENTS, f"steps: {error}") from None
        except (MemoryError, CorruptionError) as error:
            # Of the pocket venue; the exchange itself is as it was and goes on.
            raise QueryError(Code.INVALID_ARGUMENTS, f"steps cannot be tried: {error}") from None


def read_arguments(kind: type[Arguments], arguments: dict[str, Any]) -> Arguments:
    try:
        return msgspec.convert(arguments, kind)
    except msgspec.ValidationError as error:
        raise QueryError(Code.INVALID_ARGUMENTS, f"{error}") from None


def of_symbol(symbol: int, answer: Callable[[], Answer]) -> Answer:
    """An answer about a symbol, or the refusal where it is not listed."""
    try:
        return answer()
    except KeyError:
        raise QueryError(Code.UNKNOWN_SYMBOL, f"no symbol {symbol} is listed") from None


def account_of(session: Session, wanted: OfAccount) -> int:
    """The account asked for: one that the session may see, or the only one it is logged in for."""
    account = wanted.account
    if account is None and len(session.accounts) == 1:
        return next(iter(session.accounts))
    if account is None:
        raise QueryError(
            Code.INVALID_ARGUMENTS,
            f"account: say which, this session has {len(session.accounts)} logins",
        )
    if not 1 <= account <= MAX_ACCOUNT:
        raise QueryError(
            Code.INVALID_ARGUMENTS, f"account: wanted 1 .. {MAX_ACCOUNT}, got {account}"
        )
    if session.door.needs_login and account not in session.accounts:
        raise QueryError(
            Code.NOT_LOGGED_IN, f"not logged in for account {account}: log in for it first"
        )
    return account
