"""Where the commands come from: a journal's folder, or a scenario file; replayed one command at a time."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from exchange.engine import Engine, create_engine
from exchange.errors import ExchangeError
from exchange.protocol.records import iter_starts
from exchange.protocol.schema import COMMAND_HEADER, MESSAGE_BY_NUMBER, Leg
from exchange.recovery import Say, journal_folder, with_progress
from exchange.segments import Frame, last_sequence, scan, segment_paths
from exchange.units import E12, SymbolUnits, from_atoms, from_ppb

#: Type, size, account, sequence and time of a command.
HEADER = struct.Struct("<" + COMMAND_HEADER.body_format)
SCENARIO_SUFFIXES = (".yaml", ".yml")


class Step(msgspec.Struct, frozen=True):
    """One command and everything that came of it."""

    number: int
    account: int
    sequence: int
    timestamp_ns: int
    record: bytes
    events: bytes

    @property
    def command(self) -> str:
        """The command's name in the table; its number where it has none."""
        known = MESSAGE_BY_NUMBER.get(self.number)
        return known.name if known else f"command {self.number}"


class Source:
    """A journal that can be replayed as often as one likes, from its first command.

    Raises:
        ExchangeError: the journal does not begin with command 1; FileNotFoundError: there is none.
    """

    def __init__(self, frames: Callable[[], Iterable[Frame]], last: int) -> None:
        self._frames, self.last_sequence = frames, last
        self.account_names: dict[int, str] = {}
        self.fund_names: dict[int, str] = {0: "shared"}

    @staticmethod
    def open(path: Path) -> Source:
        """The journal in a folder, or the commands of a scenario file, with its names."""
        if path.suffix in SCENARIO_SUFFIXES:
            return Source._of_scenario(path)
        folder = journal_folder(path)
        first = int(segment_paths(folder)[0].stem)
        if first != 1:
            raise ExchangeError(
                f"{folder}: the journal starts at command {first}; wanted one from command 1"
            )
        return Source(lambda: scan(folder), last_sequence(folder))

    @staticmethod
    def of_commands(commands: bytes, count: int) -> Source:
        """Stamped commands from the first one on."""
        frames = [Frame(1, count, commands, 0, Path(), 0)] if count else []
        return Source(lambda: frames, count)

    @staticmethod
    def _of_scenario(path: Path) -> Source:
        from exchange.sim.scenario import load_scenario, run_scenario  # few need it

        result = run_scenario(load_scenario(path))
        if not result.passed:
            raise ExchangeError(f"{path}: the scenario does not hold: {result.failures[0]}")
        source = Source.of_commands(result.commands, len(result.records))
        source.account_names = result.names.account_names
        source.fund_names |= {number: name for name, number in result.names.funds.items()}
        return source

    def frames(self, say: Say) -> Iterator[Frame]:
        """The frames of the journal; says once a second how far they got."""
        return with_progress(self._frames(), self.last_sequence, say)

    def replay(self, say: Say) -> Iterator[tuple[Engine, Step]]:
        """Every command with its events, and the engine as it is just after it."""
        engine = create_engine("native")
        for frame in self.frames(say):
            for _, offset, size in iter_starts(frame.commands):
                record = frame.commands[offset : offset + size]
                number, _, account, sequence, timestamp_ns = HEADER.unpack_from(record)
                events = engine.apply(record)
                yield engine, Step(number, account, sequence, timestamp_ns, record, events)

    def account_name(self, account: int) -> str:
        """What an account is called: by a scenario's name, or by its number."""
        return self.account_names.get(account, f"account {account}")

    def fund_name(self, fund: int) -> str:
        return f"fund {self.fund_names.get(fund, str(fund))}"

    def account_number(self, text: str) -> int:
        """The number of an account that somebody names; ExchangeError if it is none."""
        for number, name in self.account_names.items():
            if name == text:
                return number
        if not text.isdecimal():
            named = ", ".join(self.account_names.values())
            wanted = f"a number, or one of {named}" if named else "a number"
            raise ExchangeError(f"--account {text}: there is no such account; wanted {wanted}")
        return int(text)


class Names:
    """Prices, quantities and money as people write them."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.symbols: dict[int, SymbolUnits] = {}
        self.assets: dict[int, tuple[str, int]] = {}  # name, parts of a unit

    def asset(self, number: int) -> str:
        return self.assets[number][0]

    def parts(self, asset: int, parts: int) -> str:
        """A quantity of a collateral asset, to eight decimals, rounded down."""
        return shown(Decimal(parts * 10**8 // self.assets[asset][1]).scaleb(-8))

    def learn(self, engine: Engine) -> None:
        """Reads name and steps of every listed symbol."""
        for view in engine.symbols():
            tick, lot = E12 * view.tick_size_e12, E12 * view.lot_size_e12
            self.symbols[view.symbol] = SymbolUnits(tick, lot, view.name)

    def symbol(self, number: int) -> str:
        return self.symbols[number].name

    def price(self, symbol: int, ticks: int) -> str:
        """A price in quote units, with no more decimals than the tick needs."""
        return shown(self.symbols[symbol].ticks_to_price(ticks))

    def quantity(self, symbol: int, lots: int) -> str:
        return shown(self.symbols[symbol].lots_to_qty(lots))

    def lot_price(self, symbol: int, value_atoms: int, lots: int) -> str:
        """The price that a value of so many lots comes to, with four decimals more than the tick has."""
        if not lots:
            return "-"
        units = self.symbols[symbol]
        quantity = units.lots_to_qty(abs(lots))
        price = from_atoms(value_atoms) / quantity
        exponent = units.tick_size.normalize().as_tuple().exponent
        assert isinstance(exponent, int)
        return shown(price.quantize(Decimal(1).scaleb(min(0, exponent) - 4)))

    def account(self, number: int) -> str:
        return self.source.account_name(number)

    def fund(self, number: int) -> str:
        return self.source.fund_name(number)

    def position(self, symbol: int, leg: int) -> str:
        """What a position is called: by its symbol, and in hedge mode by its leg."""
        return f"{self.symbol(symbol)} {Leg(leg).name.lower()}" if leg else self.symbol(symbol)

    def pool(self, symbol: int, leg: int) -> str:
        """What a collateral pool is called."""
        return f"isolated {self.position(symbol, leg)}" if symbol else "cross"


def shown(value: Decimal) -> str:
    """A decimal with separators of thousands, and without zeros that say nothing.

    >>> shown(Decimal("1234.50"))
    '1,234.5'
    """
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(atoms: int) -> str:
    """Atoms as an amount, to the atom.

    >>> money(-123456789012)
    '-1,234.56789012'
    """
    return shown(from_atoms(atoms))


def percent(ppb: int) -> str:
    """A rate in per cent, exactly.

    >>> percent(7_500_000), percent(-12_500)
    ('0.75 %', '-0.00125 %')
    """
    return f"{shown(100 * from_ppb(ppb))} %"


def ratio(part: int, whole: int) -> str:
    """part / whole with four decimals, rounded down; a dash without a whole.

    >>> ratio(3, 4), ratio(-1, 3), ratio(1, 0)
    ('0.75', '-0.3334', '-')
    """
    if whole == 0:
        return "-"
    return shown(Decimal(part * 10_000 // whole).scaleb(-4))


def clock(timestamp_ns: int) -> str:
    """A time in UTC, to the millisecond; small ones, as scenarios have, in seconds.

    >>> clock(1_500_000_000), clock(1_760_130_000_123_456_789)
    ('1.5s', '2025-10-10 21:00:00.123')
    """
    from datetime import UTC, datetime, timedelta

    if timestamp_ns < 86_400 * 10**9:
        return shown(Decimal(timestamp_ns).scaleb(-9)) + "s"
    seconds, rest = divmod(timestamp_ns, 10**9)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{rest // 10**6:03}"


def plain(value: Any) -> Any:
    """Anything of msgspec as lists, maps, texts and integers."""
    return msgspec.to_builtins(value)
