"""What each account was told lately, so that a client that comes back misses nothing.  No I/O.

Theory of operation.  The events of an account are numbered 1, 2, 3, ... in the order in which they happened, whoever
caused them; numbers depend on nothing but the journal.  The log remembers the last events of all accounts together, in
one bound of bytes: the oldest goes when there is no room, whosever it is, and nothing that is done here takes longer
the more is remembered.

An event that was the reply to a command also remembers whose command it was: the key of the client, and the request id.
Both are told only to a session with that key.

Numbers are worth what the journal is: an *epoch* says since when they were counted without a break.  It is the time of
the first command, or that of the snapshot from which the count had to start anew, plus that snapshot's sequence: so no
two counts share one, and a node that starts from the same files gives the same again.

``native/event_log.pxd`` is the same in C, for a loop without Python objects; ``open_log`` chooses.

>>> from exchange.protocol.messages import MarkChanged, BalanceChanged
>>> from exchange.protocol.records import encode_events
>>> log = EventLog(most_bytes=1 << 20)
>>> log.feed(encode_events([BalanceChanged(account=7, sequence=n, symbol=0, leg=0, cause=0, wallet_change_atoms=5,
...     margin_change_atoms=0, wallet_atoms=5, margin_atoms=0) for n in (1, 2)]), 1, [7, 7], [3, 3], [11, 12])
>>> log.number(7), [(entry.key, entry.request_id) for entry in log.read(7, 2, most=10, up_to_sequence=2)]
(2, [(3, 12)])
"""

from __future__ import annotations

import importlib
import struct
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple, Protocol, cast

from exchange.peek import EVENT_START, event_number, field_reader

FILL = event_number("fill")
RESULTS = (event_number("accepted"), event_number("rejected"))
#: Beside the record itself; it is rounded up to eight bytes.
ENTRY_BYTES = 32
FIRST_TIME = field_reader("accepted", "timestamp_ns")  # where rejected has it too
HEAD = struct.Struct("<QQ")  # of what is kept on disk: epoch, accounts that follow
BASE = struct.Struct("<IQ")  # account, and how many of its events are not kept any more
ORIGIN = struct.Struct("<QQ")  # in front of each record: key, request id


class Forgotten(LookupError):
    """An event that is not remembered any more."""


class Entry(NamedTuple):
    """An event of an account, and whose reply it was."""

    record: bytes
    key: int
    request_id: int

    @property
    def sequence(self) -> int:
        return int(EVENT_START.unpack_from(self.record)[3])


class Memory(Protocol):
    """What the node needs of an event log: this one's in Python, or the compiled one's."""

    epoch: int
    used_bytes: int

    def number(self, account: int) -> int: ...
    def remembers(self, account: int, number: int) -> bool: ...
    def feed(
        self,
        events: bytes,
        first_sequence: int = 0,
        accounts: Sequence[int] = (),
        keys: Sequence[int] = (),
        request_ids: Sequence[int] = (),
    ) -> None: ...
    def read(
        self, account: int, number: int, most: int, up_to_sequence: int
    ) -> Sequence[Entry]: ...
    def fills(self, account: int, limit: int) -> list[bytes]: ...
    def dump(self) -> bytes: ...
    def load(self, kept: bytes) -> None: ...


def open_log(most_bytes: int) -> Memory:
    """An event log: the compiled one where it is built and the system gives its address space; else this one."""
    try:
        native = importlib.import_module("exchange._native.streams")
        return cast(Memory, native.StreamLog(most_bytes, Entry, Forgotten))
    except (ModuleNotFoundError, MemoryError):
        return EventLog(most_bytes)


class Stream:
    """The events of one account that are remembered, and how many there were."""

    __slots__ = ("entries", "fills", "number")

    def __init__(self, number: int = 0) -> None:
        self.number = number  # of the last event
        self.entries: deque[Entry] = deque()
        self.fills: deque[Entry] = deque()

    @property
    def first(self) -> int:
        """The number of the oldest event that is remembered, or of the next one."""
        return self.number - len(self.entries) + 1


class EventLog:
    """The events of all accounts, the oldest forgotten first."""

    def __init__(self, most_bytes: int) -> None:
        self.epoch = 0
        self.used_bytes = 0
        self._most_bytes = most_bytes
        self._streams: dict[int, Stream] = {}
        self._order: deque[Stream] = deque()  # whose each remembered event is, oldest first

    def number(self, account: int) -> int:
        """The number of the account's last event; 0 before its first."""
        stream = self._streams.get(account)
        return stream.number if stream else 0

    def remembers(self, account: int, number: int) -> bool:
        """Whether this event and all later ones of the account could be read, now."""
        stream = self._streams.get(account) or Stream()
        return stream.first <= number <= stream.number + 1

    def feed(
        self,
        events: bytes,
        first_sequence: int = 0,
        accounts: Sequence[int] = (),
        keys: Sequence[int] = (),
        request_ids: Sequence[int] = (),
    ) -> None:
        """Takes what an engine gave.  For the commands from ``first_sequence`` on: account, key and request id."""
        if not self.epoch:
            self.epoch = first_time(events)
        offset = 0
        while offset < len(events):
            _, size, account, sequence = EVENT_START.unpack_from(events, offset)
            if account:
                index = sequence - first_sequence
                is_reply = 0 <= index < len(accounts) and accounts[index] == account
                key, request_id = (keys[index], request_ids[index]) if is_reply else (0, 0)
                self._append(account, Entry(events[offset : offset + size], key, request_id))
            offset += size

    def _append(self, account: int, entry: Entry) -> None:
        stream = self._streams.get(account)
        if stream is None:
            stream = self._streams[account] = Stream()
        stream.number += 1
        self.used_bytes += cost_of(entry.record)
        stream.entries.append(entry)
        if is_fill(entry.record):
            stream.fills.append(entry)
        self._order.append(stream)
        while self.used_bytes > self._most_bytes:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        stream = self._order.popleft()
        entry = stream.entries.popleft()
        self.used_bytes -= cost_of(entry.record)
        if is_fill(entry.record):
            stream.fills.popleft()

    def read(self, account: int, number: int, most: int, up_to_sequence: int) -> Sequence[Entry]:
        """The account's events from this number on: about ``most``, none that a later command caused.

        The events of one command stay together, so that a reply is never in two pieces.

        Raises:
            Forgotten: that event is not remembered any more, or there was none with this number yet.
        """
        stream = self._streams.get(account) or Stream()
        if not self.remembers(account, number):
            raise Forgotten(
                f"event {number} of account {account}: {stream.first} and later are remembered"
            )
        entries: list[Entry] = []
        last_sequence = 0
        for entry in islice(stream.entries, number - stream.first, None):
            sequence = entry.sequence
            if sequence > up_to_sequence or (len(entries) >= most and sequence != last_sequence):
                break
            last_sequence = sequence
            entries.append(entry)
        return entries

    def fills(self, account: int, limit: int) -> list[bytes]:
        """The newest fills of an account that are remembered, oldest first."""
        stream = self._streams.get(account) or Stream()
        newest = list(islice(reversed(stream.fills), limit))
        return [entry.record for entry in reversed(newest)]

    def dump(self) -> bytes:
        """Everything, as bytes that ``load`` understands."""
        accounts = sorted(self._streams.items())
        parts = [HEAD.pack(self.epoch, len(accounts))]
        parts += [BASE.pack(account, stream.first - 1) for account, stream in accounts]
        # Deques are slow in the middle: each stream is gone through once, side by side.
        readers = {stream: iter(stream.entries) for _, stream in accounts}
        for stream in self._order:
            entry = next(readers[stream])
            parts += [ORIGIN.pack(entry.key, entry.request_id), entry.record]
        return b"".join(parts)

    def load(self, kept: bytes) -> None:
        """What ``dump`` gave, into an empty log; of more than there is room for, the last."""
        self.epoch, count = HEAD.unpack_from(kept)
        offset = HEAD.size
        for _ in range(count):
            account, base = BASE.unpack_from(kept, offset)
            self._streams[account] = Stream(base)
            offset += BASE.size
        while offset < len(kept):
            key, request_id = ORIGIN.unpack_from(kept, offset)
            offset += ORIGIN.size
            _, size, account, _ = EVENT_START.unpack_from(kept, offset)
            self._append(account, Entry(kept[offset : offset + size], key, request_id))
            offset += size


def first_time(events: bytes) -> int:
    """The time of the first of these events, which is a result where an engine gave them; 0 where it is not."""
    is_result = events and EVENT_START.unpack_from(events)[0] in RESULTS
    return int(FIRST_TIME(events, 0)[0]) if is_result else 0


def is_fill(record: bytes) -> bool:
    return record[0] | record[1] << 8 == FILL


def cost_of(record: bytes) -> int:
    """What an event takes of the bound."""
    return ENTRY_BYTES + (len(record) + 7) // 8 * 8
