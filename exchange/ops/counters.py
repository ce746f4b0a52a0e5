"""What a node counts, as plain integers in one array: nothing is paid for a metric that nobody asks for.

Theory of operation.  A slot is an unsigned number of 64 bits; which is which says the table below, and
native/counters.pxd says the same to the compiled loop, which fills the same array.  One thread writes a slot, so
nothing is locked; who reads (exchange/ops/metrics.py) sees each number whole.

A *histogram* counts values by their number of bits: bucket ``b`` has those below ``2 ** b`` that are not in the one
before it, so a value costs two additions, and a percentile is right within a factor of two.  An *amount* is 128 bits
in two slots, low half first: money of a large venue passes 64 bits within days.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from time import perf_counter_ns

from exchange.peek import EVENT_START, event_number, field_reader
from exchange.protocol.records import NATIVE, Buffer, iter_starts
from exchange.protocol.schema import MESSAGE_BY_NUMBER

HISTOGRAM_BUCKETS = 40  # values of so many bits; what has more counts in the last
HISTOGRAM_SLOTS = 48  # the buckets, then the sum of the values
SYMBOLS_COUNTED = 1024  # whose marks' times are kept

COUNT_MESSAGES = 0  # 256: commands and events by number
COUNT_REJECTS = 256  # 256: by reason, the orders of lists included
COUNT_REFUSALS = 512  # 64: by place of the code in ``Counters.refusal_codes``
MAX_REFUSAL_CODES = 64
COUNT_FILLS = 576  # 8: by role
COUNT_FILL_VALUES = 584  # 16: low and high half of the value in atoms, by role
COUNT_DEFICITS = 600  # 2: what was told as uncovered, in atoms
COUNT_HAIRCUTS = 602  # 2: what auto-deleveraging cost counterparties against the mark, in atoms
COUNT_BYTES_IN = 604
COUNT_BYTES_OUT = 605
COUNT_FRAMES_IN = 606
COUNT_FRAMES_OUT = 607
COUNT_PUBLICATIONS = 608
COUNT_LOST = 609  # sessions that read too slowly
COUNT_GONE = 610  # replies to peers that are no longer there
COUNT_MUTED = 611  # frames dropped unread
COUNT_MUTINGS = 612  # times that a session was muted
COUNT_SNAPSHOTS = 613  # written; Python's alone, like the next
COUNT_SNAPSHOTS_FAILED = 614
ROUND_COMMANDS = 640  # histograms from here on, of HISTOGRAM_SLOTS each
STAGE_RECEIVE = 688
STAGE_DECODE = 736
STAGE_JOURNAL = 784
STAGE_APPLY = 832
STAGE_TELL = 880
STAGE_SEND = 928
SYNC = 976
MARK_TIMES = 1024  # SYMBOLS_COUNTED: when the mark was set last, nanoseconds since the epoch
COUNTER_SLOTS = 2048

#: The way of a round, in its order: what happens to frames between the sockets and the sockets.
STAGES = {
    "receive": STAGE_RECEIVE,
    "decode": STAGE_DECODE,
    "journal": STAGE_JOURNAL,
    "apply": STAGE_APPLY,
    "tell": STAGE_TELL,
    "send": STAGE_SEND,
}
HALF = 1 << 64

read_fill = field_reader("fill", "role", "value_atoms")
read_mark = field_reader("mark_changed", "symbol")
read_deficit = field_reader("deficit_uncovered", "shortfall_atoms")
read_haircut = field_reader("adl_ranked", "haircut_atoms")
REASON_READERS = {
    event_number(name): field_reader(name, "reason") for name in ("rejected", "entry_rejected")
}
FILL, MARK = event_number("fill"), event_number("mark_changed")
DEFICIT, RANKED = event_number("deficit_uncovered"), event_number("adl_ranked")


class Counters:
    """The array, and what Python does with it.

    >>> counters = Counters()
    >>> counters.observe(SYNC, 1000)
    >>> [(bound, count) for bound, count in counters.buckets(SYNC) if count], counters.sum_of(SYNC)
    ([(1023, 1)], 1000)
    """

    def __init__(self) -> None:
        self.slots = array("Q", bytes(8 * COUNTER_SLOTS))
        self.refusal_codes: dict[str, int] = {}  # code -> its slot, in the order of appearance

    # ---- counting

    def add(self, slot: int, count: int = 1) -> None:
        self.slots[slot] += count

    def observe(self, histogram: int, value: int) -> None:
        """Counts one value of a histogram, which is not negative."""
        self.slots[histogram + min(value.bit_length(), HISTOGRAM_BUCKETS - 1)] += 1
        self.slots[histogram + HISTOGRAM_BUCKETS] += value

    def refuse(self, code: str) -> None:
        """Counts a refusal."""
        slot = self.refusal_codes.get(code)
        if slot is None:
            slot = COUNT_REFUSALS + min(len(self.refusal_codes), MAX_REFUSAL_CODES - 1)
            self.refusal_codes[code] = slot
        self.slots[slot] += 1

    def count_batch(self, commands: Buffer, events: Buffer, timestamp_ns: int) -> None:
        """Counts the commands of a batch, and the events that they came to."""
        if NATIVE is not None:
            NATIVE.count_batch(self.slots, commands, events, timestamp_ns)
        else:
            self.count_batch_python(commands, events, timestamp_ns)

    def count_batch_python(self, commands: Buffer, events: Buffer, timestamp_ns: int) -> None:
        """``count_batch`` without the compiled core."""
        count = 0
        for number, _, _ in iter_starts(commands):
            self.slots[COUNT_MESSAGES + number] += 1
            count += 1
        self.observe(ROUND_COMMANDS, count)
        offset = 0
        while offset < len(events):
            number, size, _, _ = EVENT_START.unpack_from(events, offset)
            self.slots[COUNT_MESSAGES + number] += 1
            self._count_event(number, events, offset, timestamp_ns)
            offset += size

    def _count_event(self, number: int, events: Buffer, offset: int, timestamp_ns: int) -> None:
        if number == FILL:
            role, value_atoms = read_fill(events, offset)
            self.slots[COUNT_FILLS + role] += 1
            self._add_amount(COUNT_FILL_VALUES + 2 * role, value_atoms)
        elif reader := REASON_READERS.get(number):
            self.slots[COUNT_REJECTS + reader(events, offset)[0]] += 1
        elif number == MARK:
            (symbol,) = read_mark(events, offset)
            if symbol < SYMBOLS_COUNTED:
                self.slots[MARK_TIMES + symbol] = timestamp_ns
        elif number == DEFICIT:
            self._add_amount(COUNT_DEFICITS, *read_deficit(events, offset))
        elif number == RANKED:
            self._add_amount(COUNT_HAIRCUTS, max(0, *read_haircut(events, offset)))

    def _add_amount(self, slot: int, atoms: int) -> None:
        low = self.slots[slot] + atoms
        self.slots[slot] = low % HALF
        self.slots[slot + 1] += low // HALF

    # ---- reading

    def __getitem__(self, slot: int) -> int:
        return self.slots[slot]

    def amount_atoms(self, slot: int) -> int:
        return self.slots[slot] + self.slots[slot + 1] * HALF

    def buckets(self, histogram: int) -> Iterator[tuple[int, int]]:
        """The largest value of each bucket, and how many values are in it."""
        for bits in range(HISTOGRAM_BUCKETS):
            yield (1 << bits) - 1, self.slots[histogram + bits]

    def sum_of(self, histogram: int) -> int:
        return self.slots[histogram + HISTOGRAM_BUCKETS]

    def refusals(self) -> dict[str, int]:
        """How many requests were refused, by code."""
        return {code: self.slots[slot] for code, slot in dict(self.refusal_codes).items()}

    def messages(self, sender_is_engine: bool) -> dict[str, int]:
        """How many events (or commands) there were of each kind, by name, those without any included."""
        return {
            message.name: self.slots[COUNT_MESSAGES + number]
            for number, message in MESSAGE_BY_NUMBER.items()
            if (number >= 128) == sender_is_engine
        }


class Laps:
    """A stopwatch of one round: what each stage took goes into its histogram."""

    def __init__(self, counters: Counters) -> None:
        self._slots = counters.slots
        self._since_ns = 0

    def start(self, since_ns: int) -> None:
        """A round begins, at this time of ``time.perf_counter_ns``."""
        self._since_ns = since_ns

    def lap(self, stage: int) -> None:
        """A stage is over, and the next one begins."""
        # ``observe`` in one piece: several times a round, a call costs as much as what it does.
        now_ns = perf_counter_ns()
        took_ns = now_ns - self._since_ns
        self._since_ns = now_ns
        bits = took_ns.bit_length()
        slots = self._slots
        slots[stage + (bits if bits < HISTOGRAM_BUCKETS else HISTOGRAM_BUCKETS - 1)] += 1
        slots[stage + HISTOGRAM_BUCKETS] += took_ns
