"""Events out: packs each event as a record of the table, in the order in which things happen."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeAlias

from exchange.protocol.schema import EVENT_HEADER, EVENTS

#: What stands in a field; of a field of many numbers (brackets) all of them, one after the other.
Value: TypeAlias = int | bytes | tuple[int, ...]
_Packer = Callable[[int, int, dict[str, Value]], bytes]


def _make_packer(number: int, size: int, body_format: str, names: list[str]) -> _Packer:
    """A function (account, sequence, fields) -> record bytes for one type of event."""
    pack = struct.Struct("<" + EVENT_HEADER.body_format + body_format).pack

    def packer(account: int, sequence: int, fields: dict[str, Value]) -> bytes:
        assert len(fields) == len(names), (names, fields)
        return pack(number, size, account, sequence, *[fields[name] for name in names])

    def wide_packer(account: int, sequence: int, fields: dict[str, Value]) -> bytes:
        assert len(fields) == len(names), (names, fields)
        values: list[int | bytes] = []
        for name in names:
            value = fields[name]
            values.extend(value if isinstance(value, tuple) else (value,))
        return pack(number, size, account, sequence, *values)

    return wide_packer if "brackets" in names else packer


PACKERS: dict[str, _Packer] = {
    message.name: _make_packer(
        message.number, message.size, message.body_format, [field.name for field in message.fields]
    )
    for message in EVENTS
}


class EventWriter:
    """Collects the events of a batch of commands."""

    def __init__(self) -> None:
        self.sequence = 0  # of the command that is being carried out
        self._records: list[bytes] = []
        self._command_from = 0  # where the records of this command begin
        self._aside: list[bytes] = []  # what happened before its result, told after it

    def begin(self, sequence: int) -> None:
        """A command begins: its events carry this sequence."""
        self.sequence = sequence
        self._command_from = len(self._records)

    def write(self, name: str, account: int, /, **fields: Value) -> None:
        """Appends one event; every field of its type must be named."""
        self._records.append(PACKERS[name](account, self.sequence, fields))

    def set_aside(self) -> None:
        """What the command has written so far is told after its result: that is always its first event."""
        self._aside = self._records[self._command_from :]
        del self._records[self._command_from :]

    def write_result(self, name: str, account: int, /, **fields: Value) -> None:
        """Appends the one result of the command, and then what was set aside."""
        assert len(self._records) == self._command_from, name
        self.write(name, account, **fields)
        self._records += self._aside
        self._aside = []

    def take(self) -> bytes:
        """The records so far, which are then forgotten."""
        records = b"".join(self._records)
        self._records.clear()
        return records
