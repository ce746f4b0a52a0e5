"""The same command in two worlds: which refused it, and where they first part."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping

from exchange.counterfactual.outcome import Difference, Example, Refusals
from exchange.counterfactual.rewrite import HEADER, PLACE_ORDERS
from exchange.counterfactual.tally import ACCEPTED
from exchange.peek import EVENT_START, event_number, field_reader
from exchange.protocol.layout import COUNTED
from exchange.protocol.messages import Event
from exchange.protocol.records import EVENT_CODECS
from exchange.protocol.schema import MESSAGE_BY_NUMBER, RejectReason
from exchange.units import SymbolUnits, from_atoms, plain

MOST_EXAMPLES = 200
MOST_FIELDS = 6  # of an event, in words
ENTRY_REJECTED = event_number("entry_rejected")
SEQUENCE_OFFSET = 8
SEQUENCE = struct.Struct("<Q")
read_reason = field_reader("rejected", "reason")
read_entry = field_reader("entry_rejected", "index", "reason")
#: What an account feels, or everybody sees of the market; a fund's balance and the engine's reckoning are not in it.
FELT = frozenset(
    event_number(name)
    for name in (
        *("accepted", "rejected", "entry_accepted", "entry_rejected"),
        *("fill", "balance_changed", "collateral_changed", "margin_mode_changed"),
        *("order_rested", "order_cancelled", "order_amended", "order_reduced", "order_triggered"),
        *("liquidation_started", "liquidation_ended", "deficit_uncovered", "mark_changed"),
    )
)
#: Numbers that each world counts for itself.
OWN_NUMBERS = frozenset(("sequence", "order_id", "trade_id"))
#: A batch of events, and the part of it that is one command's.
Slice = tuple[bytes, int, int]


class Comparer:
    """Lays the results of the two worlds beside each other, command by command."""

    def __init__(self, units: Mapping[int, SymbolUnits]) -> None:
        self._units = units  # by symbol, for prices and quantities in words
        self.first: Difference | None = None
        self.first_felt: Difference | None = None
        self.examples: list[Example] = []
        self._refusals: Counter[tuple[int, int, int]] = Counter()

    def compare(
        self,
        number: int,
        record: bytes,
        own: Slice,
        changed: Slice,
        *,
        same_command: bool,
        shift: int,
    ) -> None:
        """Takes one command of the journal: its record, and what came of it in each world.

        ``shift``: by how much its sequence is higher in the changed world.
        """
        self._take_refusals(number, record, own, changed)
        if self.first_felt is None and same_command:
            self._look_for_difference(number, record, own, changed, shift)

    def refusals(self) -> list[Refusals]:
        """Refused commands by kind and reasons, the most frequent first."""
        rows = [
            Refusals(command_name(number), reason_name(own), reason_name(changed), count)
            for (number, own, changed), count in self._refusals.items()
        ]
        return sorted(rows, key=lambda row: (-row.count, row))

    # ---- refusals

    def _take_refusals(self, number: int, record: bytes, own: Slice, changed: Slice) -> None:
        if number == PLACE_ORDERS:
            self._take_list(number, record, own, changed)
            return
        reasons = reason_of(own), reason_of(changed)
        if any(reasons):
            self._take_pair(number, record, *reasons)

    def _take_list(self, number: int, record: bytes, own: Slice, changed: Slice) -> None:
        """The orders of a list one by one: a list that is refused whole is all of them refused."""
        count = record[HEADER.size + 1]
        own_reasons, changed_reasons = entry_reasons(own), entry_reasons(changed)
        for index in range(max(1, count)):
            pair = (
                own_reasons.get(index, reason_of(own)),
                changed_reasons.get(index, reason_of(changed)),
            )
            if any(pair):
                self._take_pair(number, record, *pair)

    def _take_pair(self, number: int, record: bytes, own: int, changed: int) -> None:
        self._refusals[number, own, changed] += 1
        if (own == 0) == (changed == 0) or len(self.examples) >= MOST_EXAMPLES:
            return
        _, _, account, sequence, timestamp_ns = HEADER.unpack_from(record)
        self.examples.append(
            Example(
                sequence,
                timestamp_ns,
                account,
                command_name(number),
                reason_name(own),
                reason_name(changed),
            )
        )

    # ---- where the worlds part

    def _look_for_difference(
        self, number: int, record: bytes, own: Slice, changed: Slice, shift: int
    ) -> None:
        ours, theirs = own[0][own[1] : own[2]], changed[0][changed[1] : changed[2]]
        if shift:
            theirs = with_sequence(theirs, HEADER.unpack_from(record)[3])
        if ours == theirs:
            return
        _, _, account, sequence, timestamp_ns = HEADER.unpack_from(record)

        def difference(mine: list[Event], other: list[Event]) -> Difference | None:
            told = first_difference(mine, other, self._units)
            if told is None:
                return None
            return Difference(sequence, timestamp_ns, account, command_name(number), *told)

        mine, other = decode(ours), decode(theirs)
        if self.first is None:
            self.first = difference(mine, other)
        self.first_felt = difference(felt(mine), felt(other))


def reason_of(events: Slice) -> int:
    """Why a command was refused; 0: it was not."""
    data, begin, _ = events
    if EVENT_START.unpack_from(data, begin)[0] == ACCEPTED:
        return 0
    return int(read_reason(data, begin)[0])


def entry_reasons(events: Slice) -> dict[int, int]:
    """Why orders of a list were refused, by index."""
    data, begin, end = events
    reasons = {}
    while begin < end:
        number, size, _, _ = EVENT_START.unpack_from(data, begin)
        if number == ENTRY_REJECTED:
            index, reason = read_entry(data, begin)
            reasons[index] = reason
        begin += size
    return reasons


def with_sequence(events: bytes, sequence: int) -> bytes:
    """The events of one command under another sequence."""
    data = bytearray(events)
    begin = 0
    while begin < len(data):
        SEQUENCE.pack_into(data, begin + SEQUENCE_OFFSET, sequence)
        begin += EVENT_START.unpack_from(data, begin)[1]
    return bytes(data)


def decode(events: bytes) -> list[Event]:
    begin, decoded = 0, []
    while begin < len(events):
        number, size, _, _ = EVENT_START.unpack_from(events, begin)
        decoded.append(EVENT_CODECS[number].unpack(events, begin))
        begin += size
    return decoded


def felt(events: list[Event]) -> list[Event]:
    return [event for event in events if event.number in FELT]


# ------------------------------------------------------------------------------------------------ in words


def first_difference(
    own: list[Event], changed: list[Event], units: Mapping[int, SymbolUnits]
) -> tuple[str, str] | None:
    """The first event of two lists that differs, in words; None: only counts of the engines differ."""
    for index in range(max(len(own), len(changed))):
        mine = own[index] if index < len(own) else None
        other = changed[index] if index < len(changed) else None
        if mine is not None and other is not None and mine.number == other.number:
            fields = [f for f in fields_of(mine) if getattr(mine, f) != getattr(other, f)]
            fields = [f for f in fields if f not in OWN_NUMBERS]
            if not fields:
                continue
            return tell(mine, units, fields), tell(other, units, fields)
        return tell(mine, units), tell(other, units)
    return None


def fields_of(event: Event) -> list[str]:
    fields = MESSAGE_BY_NUMBER[event.number].fields
    return ["account", *(field.name for field in fields if field.name not in COUNTED)]


def tell(
    event: Event | None, units: Mapping[int, SymbolUnits], fields: list[str] | None = None
) -> str:
    """An event in words, with some of its fields, or with those that say what it is."""
    if event is None:
        return "nothing more"
    message = MESSAGE_BY_NUMBER[event.number]
    chosen = fields if fields is not None else [f for f in fields_of(event) if f not in OWN_NUMBERS]
    who = f" of account {event.account}" if event.account else ""
    parts = [
        f"{plain_name(name)} {value_of(event, name, units)}"
        for name in chosen
        if name not in ("account", "timestamp_ns", "client_order_id", "command")
        and (fields is not None or getattr(event, name))
    ]
    if len(parts) > MOST_FIELDS:
        parts = [*parts[:MOST_FIELDS], f"and {len(parts) - MOST_FIELDS} more"]
    return f"{message.name}{who}: {', '.join(parts)}" if parts else f"{message.name}{who}"


def plain_name(field: str) -> str:
    if field.endswith("_ticks"):
        field = f"{field.removesuffix('_ticks').removesuffix('_price').removesuffix('price')} price"
    return field.removesuffix("_atoms").removesuffix("_lots").replace("_", " ").strip()


def value_of(event: Event, name: str, units: Mapping[int, SymbolUnits]) -> str:
    """A field as people read it: codes by name, money, prices and quantities in units of the assets."""
    value = getattr(event, name)
    if name.endswith("_atoms"):
        return f"{from_atoms(value):,f}"
    own = units.get(getattr(event, "symbol", 0))
    if own is not None and name.endswith("_ticks"):
        return f"{plain(own.ticks_to_price(value)):,f}"
    if own is not None and name.endswith("_lots"):
        return f"{plain(own.lots_to_qty(value)):,f}"
    if own is not None and name == "symbol":
        return own.name
    fields = MESSAGE_BY_NUMBER[event.number].fields
    field = next((field for field in fields if field.name == name), None)
    if field is not None and field.enum is not None and value in set(field.enum):
        return field.enum(value).name.lower()
    return str(value)


def command_name(number: int) -> str:
    known = MESSAGE_BY_NUMBER.get(number)
    return known.name if known else f"command {number}"


def reason_name(reason: int) -> str:
    return RejectReason(reason).name.lower() if reason else ""
