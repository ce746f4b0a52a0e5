"""The configuration of a node: one TOML file, checked when it is read, with a default for everything.

Whatever is wrong is an error that names the file, the field, what came and what was wanted; a key that nobody reads is
wrong too.  The defaults are a file themselves, ``exchange/data/exchange.toml``, which explains every setting.  Symbols
are read by ``exchange.risk.load``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from exchange.engine import ENGINE_KINDS
from exchange.errors import ConfigError, PolicyError, UnitsError
from exchange.gateway.limits import SessionLimits
from exchange.gateway.security.guard import ConnectionLimits
from exchange.gateway.security.sockets import SocketLimits
from exchange.gateway.server import Bounds
from exchange.journal import MIN_SEGMENT_BYTES, Durability
from exchange.ops.log import LogConfig
from exchange.ops.log_events import Level
from exchange.protocol.schema import MAX_AMOUNT_ATOMS, MAX_PRICE_TICKS
from exchange.risk import FundNumbers, SymbolPolicy, WarningPolicy, load_policy
from exchange.units import from_atoms, to_atoms, to_decimal

DEFAULT_NAME = "the default configuration"


class JournalConfig(msgspec.Struct, frozen=True):
    durability: Durability
    sync_interval_ms: int
    segment_bytes: int


class SnapshotConfig(msgspec.Struct, frozen=True):
    every_commands: int = 1_000_000  # 0: only when the node stops, or the operator asks
    keep: int = 2


class Endpoints(msgspec.Struct, frozen=True):
    """Where the doors of the node are."""

    orders: str
    market_data: str
    admin: str

    def as_dict(self) -> dict[str, str]:
        return msgspec.structs.asdict(self)


class Limits(msgspec.Struct, frozen=True):
    """What bounds the node's memory, and what a session may ask for; of rates and in flight 0 is no bound."""

    max_message_bytes: int
    max_commands_per_message: int
    max_sessions: int
    receive_high_water: int
    send_high_water: int
    market_data_high_water: int
    remembered_bytes: int
    max_held_bytes: int
    orders_per_second: int
    orders_burst: int
    frames_per_second: int
    frames_burst: int
    max_in_flight: int

    def of_sessions(self) -> SessionLimits:
        return SessionLimits(
            max_commands=self.max_commands_per_message,
            orders_per_second=self.orders_per_second,
            orders_burst=self.orders_burst,
            frames_per_second=self.frames_per_second,
            frames_burst=self.frames_burst,
            max_in_flight=self.max_in_flight,
        )

    def bounds(self) -> Bounds:
        return Bounds(
            max_message_bytes=self.max_message_bytes,
            receive_high_water=self.receive_high_water,
            send_high_water=self.send_high_water,
            market_data_high_water=self.market_data_high_water,
        )


class SecurityConfig(msgspec.Struct, frozen=True):
    """Who may connect, and how a connection has to behave; the meanings are in ``exchange/data/exchange.toml``."""

    keys: Path | None = None
    insecure_bind: bool = False
    max_connections: int = 10_000
    max_connections_per_address: int = 4_096
    max_subscriptions: int = 2_000
    handshake_ms: int = 5_000
    silence_ms: int = 40_000

    def connection_limits(self) -> ConnectionLimits:
        return ConnectionLimits(
            total=self.max_connections,
            per_address=self.max_connections_per_address,
            subscriptions=self.max_subscriptions,
        )

    def socket_limits(self) -> SocketLimits:
        return SocketLimits(handshake_ms=self.handshake_ms, silence_ms=self.silence_ms)


class MetricsConfig(msgspec.Struct, frozen=True):
    """Where metrics and health are told over HTTP."""

    listen: str = ""  # host:port; empty: nowhere
    healthy_within_ms: int = 2000  # the loop turns when it is asked to, or the node is not healthy


class Config(msgspec.Struct, frozen=True):
    """Everything that a node is started with."""

    data: Path
    engine: str
    journal: JournalConfig
    endpoints: Endpoints
    limits: Limits
    symbols: tuple[SymbolPolicy, ...]
    fund_atoms: dict[int, int]  # deposited first, by number of the fund
    mark_ticks: dict[int, int]  # set at the listing, by number of the symbol
    warnings: WarningPolicy = WarningPolicy()
    loop: str = "auto"  # of the node: native where it can be had, or plain
    security: SecurityConfig = SecurityConfig()
    drain_seconds: int = 2
    logging: LogConfig = LogConfig()
    metrics: MetricsConfig = MetricsConfig()
    snapshots: SnapshotConfig = SnapshotConfig()


# ---------------------------------------------------------------------------------- what a setting may be

Check = Callable[[Any], Any]  # returns the value, or raises ValueError that says what was wanted


def text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text that is not empty")
    return value


def one_of(*names: str) -> Check:
    def check(value: Any) -> str:
        if value not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return str(value)

    return check


def whole(least: int, most: int) -> Check:
    def check(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"a whole number {least} .. {most}")
        return value

    return check


def yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def folder_or_none(value: Any) -> Path | None:
    if not isinstance(value, str):
        raise ValueError('a folder, or "" for none')
    return Path(value) if value else None


def endpoint(value: Any) -> str:
    wanted = ValueError('"tcp://host:port" with a port 1 .. 65535 or *, or "ipc://path"')
    scheme, _, address = value.partition("://") if isinstance(value, str) else ("", "", "")
    host, _, port = address.rpartition(":")
    if scheme == "ipc" and address:
        return str(value)
    if scheme != "tcp" or not host:
        raise wanted
    if port != "*" and not (port.isdecimal() and 1 <= int(port) <= 65535):
        raise wanted
    return str(value)


def any_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError('a text, "" for none')
    return value


def http_address(value: Any) -> str:
    wanted = ValueError('"host:port" with a port 1 .. 65535 or *, or "" for none')
    if value == "":
        return ""
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not host or "/" in host:
        raise wanted
    if port != "*" and not (port.isdecimal() and 1 <= int(port) <= 65535):
        raise wanted
    return str(value)


GIB = 1 << 30
LOOPS = ("auto", "plain", "native")
LEVELS = tuple(level.name.lower() for level in Level)
SETTINGS: dict[str, dict[str, Check]] = {
    "node": {
        "data": text,
        "engine": one_of(*ENGINE_KINDS),
        "loop": one_of(*LOOPS),
        "drain_seconds": whole(0, 3600),
    },
    "journal": {
        "durability": one_of(*Durability),
        "sync_interval_ms": whole(1, 60_000),
        "segment_bytes": whole(MIN_SEGMENT_BYTES, GIB),
    },
    "snapshots": {"every_commands": whole(0, 1 << 40), "keep": whole(1, 1000)},
    "endpoints": {"orders": endpoint, "market_data": endpoint, "admin": endpoint},
    "limits": {
        "max_message_bytes": whole(1024, GIB),
        "max_commands_per_message": whole(1, 1_000_000),
        "max_sessions": whole(1, 1_000_000),
        "receive_high_water": whole(1, 10_000_000),
        "send_high_water": whole(1, 10_000_000),
        "market_data_high_water": whole(1, 10_000_000),
        "remembered_bytes": whole(1 << 16, 16 * GIB),
        "max_held_bytes": whole(1024, 64 * GIB),
        "orders_per_second": whole(0, 1_000_000_000),
        "orders_burst": whole(0, 1_000_000),
        "frames_per_second": whole(0, 1_000_000_000),
        "frames_burst": whole(0, 1_000_000),
        "max_in_flight": whole(0, 1_000_000_000),
    },
    "security": {
        "keys": folder_or_none,
        "insecure_bind": yes_or_no,
        "max_connections": whole(0, 1_000_000),
        "max_connections_per_address": whole(0, 1_000_000),
        "max_subscriptions": whole(0, 1_000_000),
        "handshake_ms": whole(100, 600_000),
        "silence_ms": whole(1000, 3_600_000),
    },
    "logging": {"format": one_of("text", "json"), "level": one_of(*LEVELS), "file": any_text},
    "metrics": {"listen": http_address, "healthy_within_ms": whole(1, 600_000)},
}
MARKET_SECTIONS = ("symbols", "funds", "marks", "warnings")


# ---------------------------------------------------------------------------------------------- reading


def default_text() -> str:
    """The default configuration, as a file to start one's own from."""
    return resources.files("exchange").joinpath("data/exchange.toml").read_text()


def load_config(path: Path | None = None) -> Config:
    """Reads a configuration file over the defaults, or the defaults alone.

    >>> load_config().symbols[0].name
    'BTC-PERP'

    Raises:
        ConfigError: names file, field, value and what was wanted.
    """
    defaults = tomllib.loads(default_text(), parse_float=Decimal)
    if path is None:
        return parse_config(defaults, DEFAULT_NAME)
    try:
        given = tomllib.loads(path.read_text(), parse_float=Decimal)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}; name a file, or leave --config out"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    return parse_config(merge(defaults, given), str(path))


def override(
    config: Config, data: Path | None, durability: str | None, engine: str | None
) -> Config:
    """The same configuration with what the command line says instead."""
    journal = config.journal
    if durability is not None:
        journal = msgspec.structs.replace(journal, durability=Durability(durability))
    return msgspec.structs.replace(
        config, data=data or config.data, journal=journal, engine=engine or config.engine
    )


def merge(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings given, with defaults for those left out; the market sections are taken from one file."""
    merged = dict(given)
    for section in SETTINGS:
        table = given.get(section, {})
        merged[section] = {**defaults[section], **table} if isinstance(table, Mapping) else table
    if "symbols" not in given:
        merged = {**{section: defaults[section] for section in MARKET_SECTIONS}, **merged}
    return merged


def parse_config(tables: Mapping[str, Any], source: str) -> Config:
    """Checks the tables of a whole configuration; ``source`` is named in errors."""
    unknown = [key for key in tables if key not in (*SETTINGS, *MARKET_SECTIONS)]
    if unknown:
        known = ", ".join((*SETTINGS, *MARKET_SECTIONS))
        raise ConfigError(f"{source}: unknown section {unknown[0]}; there are {known}")
    settings = {section: check_section(section, tables[section], source) for section in SETTINGS}
    funds = FundNumbers()
    try:
        symbols = tuple(load_policy(tables, funds))
    except PolicyError as error:
        raise ConfigError(f"{source}: {error}") from None
    return Config(
        data=Path(settings["node"]["data"]),
        engine=settings["node"]["engine"],
        loop=settings["node"]["loop"],
        journal=msgspec.convert(settings["journal"], JournalConfig),
        endpoints=Endpoints(**settings["endpoints"]),
        limits=Limits(**settings["limits"]),
        security=SecurityConfig(**settings["security"]),
        symbols=symbols,
        fund_atoms=parse_funds(tables.get("funds", {}), funds, source),
        mark_ticks=parse_marks(tables.get("marks", {}), symbols, source),
        warnings=parse_warnings(tables.get("warnings", {}), source),
        drain_seconds=settings["node"]["drain_seconds"],
        logging=LogConfig(**settings["logging"]),
        metrics=MetricsConfig(**settings["metrics"]),
        snapshots=SnapshotConfig(**settings["snapshots"]),
    )


def check_section(section: str, table: Any, source: str) -> dict[str, Any]:
    known = SETTINGS[section]
    if not isinstance(table, Mapping):
        raise ConfigError(f"{source}: {section} is {table!r}; wanted a table [{section}]")
    for key in table:
        if key not in known:
            raise ConfigError(
                f"{source}: unknown key {section}.{key}; there are {', '.join(known)}"
            )
    values = {}
    for key, check in known.items():
        try:
            values[key] = check(table[key])
        except ValueError as wanted:
            raise ConfigError(
                f"{source}: {section}.{key} is {table[key]!r}; wanted {wanted}"
            ) from None
    return values


def parse_funds(table: Any, funds: FundNumbers, source: str) -> dict[int, int]:
    """First deposits by number of the fund; a fund must be one that a symbol names, or shared."""
    atoms = {}
    for name, amount in check_table("funds", table, source).items():
        if name not in funds.by_name:
            known = ", ".join(funds.by_name)
            raise ConfigError(
                f"{source}: funds.{name}: no symbol has this fund; wanted one of {known}"
            )
        atoms[funds.number(name)] = exact(
            f"{source}: funds.{name}", amount, to_atoms, MAX_AMOUNT_ATOMS, from_atoms
        )
    return atoms


def parse_marks(table: Any, symbols: tuple[SymbolPolicy, ...], source: str) -> dict[int, int]:
    """First marks by number of the symbol."""
    by_name = {policy.name: policy for policy in symbols}
    ticks = {}
    for name, price in check_table("marks", table, source).items():
        if name not in by_name:
            raise ConfigError(
                f"{source}: marks.{name}: no such symbol; wanted one of {', '.join(by_name) or 'none'}"
            )
        units = by_name[name].units
        ticks[by_name[name].symbol] = exact(
            f"{source}: marks.{name}",
            price,
            units.price_to_ticks,
            MAX_PRICE_TICKS,
            units.ticks_to_price,
        )
    return ticks


def parse_warnings(table: Any, source: str) -> WarningPolicy:
    """At which parts of its equity a pool's maintenance margin is warned of."""
    table = check_table("warnings", table, source)
    for key in table:
        if key != "levels":
            raise ConfigError(f"{source}: unknown key warnings.{key}; there is levels")
    levels = table.get("levels", [])
    if not isinstance(levels, list):
        raise ConfigError(f"{source}: warnings.levels is {levels!r}; wanted a list like [0.8, 0.9]")
    try:
        policy = WarningPolicy(tuple(to_decimal("warnings.levels", level) for level in levels))
        policy.to_command()
    except (PolicyError, UnitsError) as error:
        raise ConfigError(f"{source}: {error}") from None
    return policy


def check_table(section: str, table: Any, source: str) -> Mapping[str, Any]:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{source}: {section} is {table!r}; wanted a table [{section}]")
    return table


def exact(
    field: str, value: Any, convert: Callable[[Any], int], most: int, back: Callable[[int], Decimal]
) -> int:
    """A positive decimal of the file in the engine's integers."""
    try:
        number = convert(value)
    except UnitsError as error:
        raise ConfigError(f"{field}: {error}") from None
    if not 1 <= number <= most:
        raise ConfigError(f"{field} is {value}; wanted {back(1)} .. {back(most)}")
    return number
