"""What a node counts: plain integers in one array, which Python reads when somebody asks for metrics.

The same table is in exchange/ops/counters.py, which says what each is; a test compares the two.  One thread writes a
slot and nobody locks: a reader sees each number whole, and two of them perhaps an instant apart.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from native.wire cimport *

cdef extern from *:
    """
    static inline int exchange_bit_length(unsigned long long value) {
        return value ? 64 - __builtin_clzll(value) : 0;
    }
    """
    int bit_length "exchange_bit_length"(uint64_t value) noexcept nogil

cdef enum:
    HISTOGRAM_BUCKETS = 40             # values of so many bits; what has more counts in the last
    HISTOGRAM_SLOTS = 48               # the buckets, then the sum of the values
    SYMBOLS_COUNTED = 1024             # whose marks' times are kept

cdef enum counter_slot:
    COUNT_MESSAGES = 0                 # 256: commands and events by number
    COUNT_REJECTS = 256                # 256: by reason, the orders of lists included
    COUNT_REFUSALS = 512               # 64: by place of the code, written by Python alone
    COUNT_FILLS = 576                  # 8: by role
    COUNT_FILL_VALUES = 584            # 16: low and high half of the value in atoms, by role
    COUNT_DEFICITS = 600               # 2: what was told as uncovered, in atoms
    COUNT_HAIRCUTS = 602               # 2: what auto-deleveraging cost counterparties against the mark, in atoms
    COUNT_BYTES_IN = 604
    COUNT_BYTES_OUT = 605
    COUNT_FRAMES_IN = 606
    COUNT_FRAMES_OUT = 607
    COUNT_PUBLICATIONS = 608
    COUNT_LOST = 609                   # sessions that read too slowly
    COUNT_GONE = 610                   # replies to peers that are no longer there
    COUNT_MUTED = 611                  # frames dropped unread
    COUNT_MUTINGS = 612                # times that a session was muted, written by Python alone
    ROUND_COMMANDS = 640               # histograms from here on, of HISTOGRAM_SLOTS each
    STAGE_RECEIVE = 688
    STAGE_DECODE = 736
    STAGE_JOURNAL = 784
    STAGE_APPLY = 832
    STAGE_TELL = 880
    STAGE_SEND = 928
    SYNC = 976
    MARK_TIMES = 1024                  # SYMBOLS_COUNTED: when the mark was set last, nanoseconds since the epoch
    COUNTER_SLOTS = 2048

cdef inline void observe(uint64_t* slots, counter_slot histogram, uint64_t value) noexcept nogil:
    """Counts a value by its number of bits."""
    cdef int bits = bit_length(value)
    slots[<int>histogram + (bits if bits < HISTOGRAM_BUCKETS else HISTOGRAM_BUCKETS - 1)] += 1
    slots[<int>histogram + HISTOGRAM_BUCKETS] += value

cdef inline void count_amount(uint64_t* slots, int at, int64_t atoms) noexcept nogil:
    """Adds an amount, which is not negative, to a sum of 128 bits."""
    slots[at] += <uint64_t>atoms
    if slots[at] < <uint64_t>atoms:
        slots[at + 1] += 1

cdef inline void count_event(uint64_t* slots, const uint8_t* record, int64_t timestamp_ns) noexcept nogil:
    """One event record of the engine."""
    cdef const wire_event_header* header = <const wire_event_header*>record
    slots[COUNT_MESSAGES + header.type] += 1
    if header.type == EVENT_FILL:
        slots[COUNT_FILLS + ((<const wire_fill*>record).role & 7)] += 1
        count_amount(
            slots, COUNT_FILL_VALUES + 2 * ((<const wire_fill*>record).role & 7), (<const wire_fill*>record).value_atoms
        )
    elif header.type == EVENT_REJECTED:
        slots[COUNT_REJECTS + ((<const wire_rejected*>record).reason & 255)] += 1
    elif header.type == EVENT_ENTRY_REJECTED:
        slots[COUNT_REJECTS + ((<const wire_entry_rejected*>record).reason & 255)] += 1
    elif header.type == EVENT_MARK_CHANGED:
        if (<const wire_mark_changed*>record).symbol < SYMBOLS_COUNTED:
            slots[MARK_TIMES + (<const wire_mark_changed*>record).symbol] = <uint64_t>timestamp_ns
    elif header.type == EVENT_DEFICIT_UNCOVERED:
        count_amount(slots, COUNT_DEFICITS, (<const wire_deficit_uncovered*>record).shortfall_atoms)
    elif header.type == EVENT_ADL_RANKED:
        if (<const wire_adl_ranked*>record).haircut_atoms > 0:
            count_amount(slots, COUNT_HAIRCUTS, (<const wire_adl_ranked*>record).haircut_atoms)

cdef inline void count_events(
    uint64_t* slots, const uint8_t* records, size_t size, int64_t timestamp_ns
) noexcept nogil:
    """The events of a batch, as the engine gave them."""
    cdef const uint8_t* end = records + size
    while records < end:
        count_event(slots, records, timestamp_ns)
        records += (<const wire_event_header*>records).size

cdef inline void count_commands(uint64_t* slots, const uint8_t* records, size_t size) noexcept nogil:
    """The commands of a batch, and the size of the batch."""
    cdef const uint8_t* end = records + size
    cdef uint64_t commands = 0
    while records < end:
        slots[COUNT_MESSAGES + (<const wire_command_header*>records).type] += 1
        records += (<const wire_command_header*>records).size
        commands += 1
    observe(slots, ROUND_COMMANDS, commands)
