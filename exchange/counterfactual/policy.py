"""A policy file: what is to be different, in the units and with the keys of a venue's own configuration.

::

    [funds]
    shared = 1_200_000                  # what the operator pays in first; or { times = 10 }, of every payment

    [symbols."*"]                       # every symbol of the journal
    liquidation = { draw_cap = 5_000, adl = "pro_rata_by_equity" }

    [symbols.BTC-PERP]                  # one symbol, on top of that
    slippage_cap = "none"               # takes a bound away
    margin_mode = "isolated"            # of every account; or of margin_accounts = "1001-1600" alone

What a file does not name stays as it was.  A file that cannot be is refused before anything is run.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from exchange.config import parse_warnings
from exchange.counterfactual.keys import (
    FIXED,
    FUND_KEYS,
    GROUPS,
    KEYS,
    NONE,
    ONLY_CHANGED,
    OWN_KEYS,
)
from exchange.counterfactual.survey import Listed, Survey, table_of
from exchange.engine import Engine, create_engine
from exchange.errors import ConfigError, PolicyError, UnitsError
from exchange.protocol.messages import COMMAND_CLASSES, Command, Rejected, SetMarginWarnings
from exchange.protocol.records import decode_events, encode_command, stamp
from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    MAX_ACCOUNT,
    MAX_AMOUNT_ATOMS,
    MESSAGE_BY_NUMBER,
    REJECT_PROSE,
    MarginMode,
    RejectReason,
)
from exchange.risk import FundNumbers, SymbolPolicy
from exchange.risk.load import symbol_policy, symbol_tables
from exchange.units import from_atoms, from_ppm, to_atoms, to_decimal

SECTIONS = ("funds", "symbols", "warnings")
EVERY = "*"
MODES = ("cross", "isolated")
AS_IT_WAS = "as it was"


class Change(msgspec.Struct, frozen=True):
    """One thing that is different, as people read it."""

    where: str
    key: str
    was: str
    now: str


class FundChange(msgspec.Struct, frozen=True):
    """What the operator pays into a fund: another first payment, or every payment times something."""

    atoms: int | None = None
    times: Decimal | None = None

    def amount(self, atoms: int, is_first: bool) -> int:
        """What becomes of a payment; 0: it is not made.

        >>> FundChange(times=Decimal("0.5")).amount(7, is_first=False)
        3
        """
        if self.times is not None:
            return min(int(atoms * self.times), MAX_AMOUNT_ATOMS)
        return self.atoms if is_first and self.atoms is not None else atoms


class SymbolChange(msgspec.Struct):
    """What is different of a symbol."""

    fields: dict[str, dict[str, Any]] = {}  # command -> field -> value
    margin_mode: MarginMode | None = None
    accounts: tuple[range, ...] | None = None  # whose margin mode; None: everybody's

    def apply(self, command: Command) -> Command:
        """The command with what is given, or itself."""
        fields = self.fields.get(MESSAGE_BY_NUMBER[command.number].name)
        if not fields or not getattr(command, "enabled", 1):
            return command
        return msgspec.structs.replace(command, **fields)

    def sent_behind_listing(self, symbol: int) -> list[Command]:
        """What carries a given key and is no listing: sent once, behind the listing."""
        sent: list[Command] = []
        for name, fields in self.fields.items():
            if name != "list_symbol" and name not in ONLY_CHANGED:
                make: Callable[..., Command] = COMMAND_CLASSES[COMMAND_BY_NAME[name].number]
                sent.append(make(symbol=symbol, **fields))
        return sent

    def concerns(self, account: int) -> bool:
        """Whether the margin mode of this account is to be another."""
        return self.accounts is None or any(account in some for some in self.accounts)


class Policy(msgspec.Struct):
    """A policy file, checked against the journal that it is for."""

    symbols: dict[int, SymbolChange] = {}
    funds: dict[int, FundChange] = {}
    warnings: SetMarginWarnings | None = None  # in the place of all the operator's
    changes: list[Change] = []


# ---------------------------------------------------------------------------------------------- reading


def load_policy_file(path: Path, survey: Survey, fund_names: Mapping[int, str]) -> Policy:
    """Reads a policy file for a journal.

    Raises:
        PolicyError: names file, key, what came and what was wanted.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: not TOML: {error}") from None
    try:
        return read_policy(tables, survey, fund_names)
    except PolicyError as error:
        raise PolicyError(f"{path}: {error}") from None


def read_policy(
    tables: Mapping[str, Any], survey: Survey, fund_names: Mapping[int, str] | None = None
) -> Policy:
    """The tables of a policy file, checked against what the journal lists."""
    for section in tables:
        if section not in SECTIONS:
            refuse(f"unknown section {section}", f"a policy has {', '.join(SECTIONS)}")
    names = {0: "shared", **(fund_names or {})}
    policy = Policy()
    read_funds(tables.get("funds", {}), policy, survey, names)
    if "warnings" in tables:
        read_warnings(tables["warnings"], policy, survey)
    for number, table in given_tables(tables.get("symbols", {}), survey).items():
        read_symbol(number, table, policy, survey, names)
    try_out(policy, survey)
    return policy


def refuse(came: str, wanted: str) -> NoReturn:
    raise PolicyError(f"{came}; {wanted}")


def read_funds(table: Any, policy: Policy, survey: Survey, names: Mapping[int, str]) -> None:
    if not isinstance(table, Mapping):
        refuse(f"funds is {table!r}", "wanted a table [funds]")
    for name, value in table.items():
        number = fund_number(name, survey, names)
        was = survey.fund_atoms.get(number)
        change = fund_change(f"funds.{name}", value)
        if change.times is not None and was is None:
            refuse(
                f"funds.{name}: the operator pays nothing into it",
                f"name the payment instead, as in {name} = 1_000",
            )
        if change.times is None and not survey.symbols:
            refuse(f"funds.{name}: the journal lists no symbol", "there is nothing to cover")
        policy.funds[number] = change
        told = "nothing" if was is None else f"{from_atoms(was):,f}"
        now = money(change.amount(was or 0, is_first=True))
        if change.times is not None:
            now += f", and all that follows times {change.times:f}"
        policy.changes.append(Change(f"fund {name}", "paid in first", told, now))


def read_warnings(table: Any, policy: Policy, survey: Survey) -> None:
    try:
        policy.warnings = parse_warnings(table, "[warnings]").to_command()
    except ConfigError as error:
        raise PolicyError(f"{error}") from None
    was = told_levels(survey.warnings)
    policy.changes.append(Change("warnings", "levels", was, told_levels(policy.warnings)))


def told_levels(command: SetMarginWarnings | None) -> str:
    """The levels that a command sets, as a configuration has them.

    >>> told_levels(SetMarginWarnings(first_level_ppm=800_000, second_level_ppm=0))
    '[0.8]'
    """
    if command is None:
        return NONE
    levels = (
        command.first_level_ppm,
        command.second_level_ppm,
        command.third_level_ppm,
        command.fourth_level_ppm,
    )
    return told([from_ppm(level) for level in levels if level])


def money(atoms: int) -> str:
    return f"{from_atoms(atoms):,f}"


def fund_number(name: Any, survey: Survey, names: Mapping[int, str]) -> int:
    """The fund that somebody names, by its number or, where names are known, by name."""
    known = survey.fund_numbers()
    for number in sorted(known):
        if name in (names.get(number), number, str(number)):
            return number
    called = ", ".join(names.get(number, str(number)) for number in sorted(known))
    refuse(f"there is no fund {name} in this journal", f"there are {called}")


def fund_change(where: str, value: Any) -> FundChange:
    if not isinstance(value, Mapping):
        return FundChange(atoms=amount(where, value, to_atoms, MAX_AMOUNT_ATOMS))
    if list(value) != ["times"]:
        refuse(f"{where} is {dict(value)}", "wanted an amount, or { times = 2 }")
    return FundChange(times=amount(f"{where}.times", value["times"], exactly, 10**9))


def exactly(value: Any) -> Decimal:
    return to_decimal("factor", value)


def amount(where: str, value: Any, convert: Any, most: int) -> Any:
    """A number of 0 or more, converted."""
    if isinstance(value, float):
        refuse(f"{where} is the float {value}", "read the file with parse_float=Decimal")
    try:
        number = convert(value)
    except UnitsError as error:
        raise PolicyError(f"{where}: {error}") from None
    if not 0 <= number <= most:
        refuse(f"{where} is {value}", "wanted 0 or more, within what the exchange can count")
    return number


# ---------------------------------------------------------------------------------------------- symbols


def given_tables(symbols: Any, survey: Survey) -> dict[int, dict[str, Any]]:
    """What is given of each symbol: what is said of all, and on top of it what is said of it alone."""
    given: dict[int, dict[str, Any]] = {}
    tables = symbol_tables(symbols)
    for name, table in sorted(tables, key=lambda item: item[0] != EVERY):
        for number in numbers_of(name, survey):
            flat = flatten(table, name)
            above = given.setdefault(number, {})
            for key in flat:  # two keys that say the same: what is said of the symbol alone holds
                if key in KEYS:
                    above.pop(KEYS[key].replaces, None)
            above.update(flat)
    return given


def numbers_of(name: str, survey: Survey) -> Iterable[int]:
    if name == EVERY:
        return list(survey.symbols)
    number = survey.by_name(name)
    if number is None:
        known = ", ".join(listed.name for listed in survey.symbols.values()) or "none"
        refuse(
            f"there is no symbol {name} in this journal",
            f'there are: {known}; or "{EVERY}" for all',
        )
    return [number]


def flatten(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The keys of a symbol's table, those of its inner tables as ``liquidation.fee``."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if key == "name":
            continue
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": given for inner, given in value.items()}
        else:
            flat[key] = value
    for key in flat:
        if key in FIXED:
            refuse(f"{where}: {key} cannot be changed", "the journal's orders are written in it")
        if key not in KEYS and key not in OWN_KEYS:
            known = ", ".join((*KEYS, *OWN_KEYS))
            refuse(f"{where}: unknown key {key}", f"known are {known}")
        if flat[key] == NONE and not (key in KEYS and KEYS[key].may_be_none):
            none = ", ".join(key for key, row in KEYS.items() if row.may_be_none)
            refuse(f'{where}: {key} is "none"', f"only these can be: {none}")
        if key in KEYS and KEYS[key].replaces in flat:
            refuse(f"{where}: {key} and {KEYS[key].replaces} are given", "wanted one of the two")
    return flat


def read_symbol(
    number: int, given: dict[str, Any], policy: Policy, survey: Survey, names: Mapping[int, str]
) -> None:
    listed = survey.symbols[number]
    change = SymbolChange()
    read_margin_mode(given, change, listed.name, policy)
    keys = [key for key in given if key in KEYS]
    if keys:
        for key in FUND_KEYS:
            if given.get(key, NONE) != NONE:
                given[key] = fund_number(given[key], survey, names)
        before, table = table_of(listed), table_of(listed)
        leave_groups(table, keys)
        for key in keys:
            require_carrier(key, listed)
            put(table, key, given[key])
        commands = commands_of(symbol_policy(listed.name, table, number, FundNumbers()))
        for key in keys:
            take_key(key, commands, change)
            policy.changes.append(
                Change(listed.name, key, told_before(before, key), told(find(table, key)))
            )
    policy.symbols[number] = change


def require_carrier(key: str, listed: Listed) -> None:
    """PolicyError where only a command of the journal could carry the key, and it has none."""
    for name, _ in KEYS[key].carriers:
        what_else = ONLY_CHANGED.get(name, "")
        if what_else and listed.first(COMMAND_BY_NAME[name].number) is None:
            refuse(f"{listed.name}: {key} is given", what_else)


def leave_groups(table: dict[str, Any], keys: Iterable[str]) -> None:
    """Takes out the inner tables that no key is about: what the journal has of them stays as it is, unchecked."""
    about = {key.partition(".")[0] for key in keys}
    for group, needed_by in GROUPS.items():
        if not about & set(needed_by):
            table.pop(group, None)


def put(table: dict[str, Any], path: str, value: Any) -> None:
    """Writes one key into a symbol's table; "none" takes it out."""
    table.pop(KEYS[path].replaces, None)
    outer, _, key = path.rpartition(".")
    inner = table.setdefault(outer, {}) if outer else table
    if value == NONE:
        inner.pop(key, None)
    else:
        inner[key] = value


def find(table: Mapping[str, Any], path: str) -> Any:
    outer, _, key = path.rpartition(".")
    return (table.get(outer, {}) if outer else table).get(key)


def told_before(table: Mapping[str, Any], key: str) -> str:
    """What a key was; where the journal says it in another way, that."""
    other = KEYS[key].replaces
    if other and find(table, key) is None:
        return f"{other} {told(find(table, other))}"
    return told(find(table, key))


def told(value: Any) -> str:
    """A value of a table, as people write it.

    >>> told(None), told([[Decimal(0), Decimal("0.05")]]), told(Decimal(5000))
    ('none', '[[0, 0.05]]', '5,000')
    """
    if value is None:
        return NONE
    if isinstance(value, list | tuple):
        return f"[{', '.join(told(part) for part in value)}]"
    if isinstance(value, Decimal):
        return f"{value:,f}"
    return f"{value:,}" if isinstance(value, int) else f"{value}"


def commands_of(policy: SymbolPolicy) -> dict[str, Command]:
    """The commands that a policy comes to, by name."""
    commands = [policy.to_command(), *policy.policy_commands()]
    return {MESSAGE_BY_NUMBER[command.number].name: command for command in commands}


def take_key(key: str, commands: Mapping[str, Command], change: SymbolChange) -> None:
    """What the policy says of one key, in the fields of every command that carries it."""
    for name, field in KEYS[key].carriers:
        # A table is the listing's: what the symbol has been given since is the same policy.
        source = commands.get(name, commands["list_symbol"] if name == "set_brackets" else None)
        default = next(f.default for f in COMMAND_BY_NAME[name].fields if f.name == field)
        value = default if source is None else getattr(source, field)
        change.fields.setdefault(name, {})[field] = value


def read_margin_mode(
    given: Mapping[str, Any], change: SymbolChange, name: str, policy: Policy
) -> None:
    mode = given.get("margin_mode")
    if mode is None:
        if "margin_accounts" in given:
            refuse(f"{name}: margin_accounts is given", "wanted margin_mode with it")
        return
    if mode not in MODES:
        refuse(f"{name}: margin_mode is {mode!r}", f"wanted {' or '.join(MODES)}")
    change.margin_mode = MarginMode[mode.upper()]
    who = "everybody"
    if "margin_accounts" in given:
        change.accounts = account_ranges(given["margin_accounts"], name)
        who = f"accounts {given['margin_accounts']}"
    policy.changes.append(Change(name, "margin_mode", "as each account chose", f"{mode}, {who}"))


def account_ranges(value: Any, name: str) -> tuple[range, ...]:
    """Accounts as people list them.

    >>> account_ranges("7, 1001-1003", "BTC-PERP")
    (range(7, 8), range(1001, 1004))
    """
    ranges = []
    for part in str(value).split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            refuse(f"{name}: margin_accounts is {value!r}", 'wanted numbers, as in "7, 1001-1600"')
        begin, end = int(first), int(last or first)
        if not 1 <= begin <= end <= MAX_ACCOUNT:
            refuse(f"{name}: margin_accounts has {part.strip()}", f"wanted 1 .. {MAX_ACCOUNT}")
        ranges.append(range(begin, end + 1))
    return tuple(ranges)


# ------------------------------------------------------------------------------------------ tried before it is run


def try_out(policy: Policy, survey: Survey) -> None:
    """PolicyError for a command that the exchange would refuse: the journal's own were taken."""
    engine = create_engine("native")
    for number, listed in survey.symbols.items():
        change = policy.symbols.get(number, SymbolChange())
        behind = change.sent_behind_listing(number)
        later = [change.apply(command) for command in listed.policies]
        for command in (change.apply(listed.listing), *behind, *later):
            reason = refusal(engine, command)
            if reason is not None:
                name = MESSAGE_BY_NUMBER[command.number].name
                raise PolicyError(
                    f"{listed.name}: the exchange would refuse {name} with these numbers: "
                    f"{reason.name.lower()}: {REJECT_PROSE[reason]}"
                )


def refusal(engine: Engine, command: Command) -> RejectReason | None:
    record = stamp(encode_command(command), engine.sequence + 1, engine.timestamp_ns)
    for event in decode_events(engine.apply(record)):
        if isinstance(event, Rejected):
            return RejectReason(event.reason)
    return None
