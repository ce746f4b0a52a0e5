"""What each account was told lately, as C: the twin of exchange/gateway/event_log.py, for a loop without Python objects.

Theory of operation.  Events stand one behind the other in a ring of bytes, each with an entry in front of it; the
oldest goes when there is no room.  A *place* in the log is the number of bytes that were written before it, so it only
grows, never comes twice, and is forgotten when it is below that of the oldest; bytes may wrap round the end of the
ring in the middle of anything.  Nothing is written into what was written once, so adding an event touches the account's
line, the end of the ring and the oldest entry, and no other memory.

An entry knows where the account's event before it is.  Those whose number is divisible by 64 also know the one 64
before, those divisible by 4096 the one 4096 before; a fill knows the fill before.  So the event with a number is found
in a few hundred steps, however much is remembered, and a piece of a replay costs what it has.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from native.memory cimport memory_release, memory_reserve
from native.wire cimport EVENT_FILL, MAX_ACCOUNT, wire_event_header

cdef enum:
    LOG_ENTRY_BYTES = 32       # of an entry; exchange/gateway/event_log.py counts the same
    NEAR = 64
    FAR = 4096
    LOG_UNIT = 8               # records are rounded up to it, links count in it

cdef struct LogEntry:          # the record follows
    uint32_t previous          # how far back the account's event before is, in units; 0: there is none
    uint32_t near              # the one NEAR before, where the number is divisible by it
    uint32_t far               # the one FAR before
    uint32_t fill              # of a fill: the account's fill before
    uint64_t key               # whose reply it was; 0: nobody's
    uint64_t request_id

cdef struct LogAccount:
    uint64_t number            # of its last event
    uint64_t last              # places: of that,
    uint64_t near              # of the last whose number is divisible by NEAR,
    uint64_t far               # by FAR,
    uint64_t fill              # and of the last fill; 0: there is none
    uint32_t is_used           # whether it is among those that have a line
    uint32_t counted           # scratch of whoever goes through all of the log

cdef struct EventLog:
    int64_t epoch
    uint8_t* ring
    uint64_t ring_bytes
    uint64_t begin             # the place of the oldest
    uint64_t end               # where the next one goes
    uint64_t begin_at          # the same in the ring
    uint64_t end_at
    LogAccount* accounts       # by number
    uint32_t* used             # the accounts that have a line, in the order in which they came
    uint32_t used_count

cdef inline bint log_open(EventLog* log, uint64_t most_bytes) noexcept nogil:
    """Reserves the room; False if the system does not give it.  Pages cost memory when they are first written."""
    log.epoch = 0
    log.ring_bytes = most_bytes - most_bytes % LOG_UNIT
    log.begin = log.end = LOG_UNIT                 # place 0 is none
    log.begin_at = log.end_at = 0
    log.used_count = 0
    log.ring = <uint8_t*>memory_reserve(log.ring_bytes)
    log.accounts = <LogAccount*>memory_reserve(<uint64_t>(MAX_ACCOUNT + 1) * sizeof(LogAccount))
    log.used = <uint32_t*>memory_reserve(<uint64_t>(MAX_ACCOUNT + 1) * sizeof(uint32_t))
    return log.ring != NULL and log.accounts != NULL and log.used != NULL

cdef inline void log_close(EventLog* log) noexcept nogil:
    memory_release(log.ring, log.ring_bytes)
    memory_release(log.accounts, <uint64_t>(MAX_ACCOUNT + 1) * sizeof(LogAccount))
    memory_release(log.used, <uint64_t>(MAX_ACCOUNT + 1) * sizeof(uint32_t))
    log.ring = NULL

# ------------------------------------------------------------------------------------------------ the ring

cdef inline uint64_t log_cost(uint64_t record_bytes) noexcept nogil:
    return LOG_ENTRY_BYTES + (record_bytes + LOG_UNIT - 1) // LOG_UNIT * LOG_UNIT

cdef inline uint64_t ring_after(EventLog* log, uint64_t at, uint64_t size) noexcept nogil:
    """So far behind in the ring; a division would cost as much as all else here."""
    at += size
    return at if at < log.ring_bytes else at - log.ring_bytes

cdef inline void ring_write(EventLog* log, uint64_t at, const void* data, uint64_t size) noexcept nogil:
    cdef uint64_t first = log.ring_bytes - at
    if size <= first:
        memcpy(log.ring + at, data, size)
        return
    memcpy(log.ring + at, data, first)
    memcpy(log.ring, <const uint8_t*>data + first, size - first)

cdef inline void ring_read(EventLog* log, uint64_t at, void* to, uint64_t size) noexcept nogil:
    cdef uint64_t first = log.ring_bytes - at
    if size <= first:
        memcpy(to, log.ring + at, size)
        return
    memcpy(to, log.ring + at, first)
    memcpy(<uint8_t*>to + first, log.ring, size - first)

cdef inline void log_read(EventLog* log, uint64_t place, void* to, uint64_t size) noexcept nogil:
    """Copies what stands at a place that is remembered."""
    ring_read(log, (place - LOG_UNIT) % log.ring_bytes, to, size)

cdef inline LogEntry log_entry(EventLog* log, uint64_t place) noexcept nogil:
    cdef LogEntry entry
    log_read(log, place, &entry, sizeof(LogEntry))
    return entry

cdef inline wire_event_header log_header(EventLog* log, uint64_t place) noexcept nogil:
    cdef wire_event_header header
    log_read(log, place + LOG_ENTRY_BYTES, &header, sizeof(wire_event_header))
    return header

cdef inline uint32_t link_to(EventLog* log, uint64_t place) noexcept nogil:
    """How far back a place is from the end; 0 where it is forgotten already."""
    return <uint32_t>((log.end - place) // LOG_UNIT) if place >= log.begin else 0

# ------------------------------------------------------------------------------------------------- adding

cdef inline LogAccount* log_account(EventLog* log, uint32_t account) noexcept nogil:
    """The line of an account, which it gets with its first event."""
    cdef LogAccount* line = log.accounts + account
    if not line.is_used:
        line.is_used = True
        log.used[log.used_count] = account
        log.used_count += 1
    return line

cdef inline void log_forget_oldest(EventLog* log) noexcept nogil:
    cdef wire_event_header header
    cdef uint64_t cost
    ring_read(log, ring_after(log, log.begin_at, LOG_ENTRY_BYTES), &header, sizeof(wire_event_header))
    cost = log_cost(header.size)
    log.begin += cost
    log.begin_at = ring_after(log, log.begin_at, cost)

cdef inline uint64_t log_append(EventLog* log, const uint8_t* record, uint64_t key, uint64_t request_id) noexcept nogil:
    """Remembers one event record of an account from 1 to MAX_ACCOUNT; returns its number in the account's stream."""
    cdef const wire_event_header* header = <const wire_event_header*>record
    cdef LogAccount* line = log_account(log, header.account)
    cdef uint64_t cost = log_cost(header.size)
    cdef LogEntry entry
    line.number += 1
    if cost > log.ring_bytes:
        log.begin = log.end
        log.begin_at = log.end_at
        return line.number
    while log.end + cost - log.begin > log.ring_bytes:
        log_forget_oldest(log)
    entry.previous = link_to(log, line.last)
    entry.near = entry.far = entry.fill = 0
    entry.key = key
    entry.request_id = request_id
    line.last = log.end
    if line.number % NEAR == 0:
        entry.near = link_to(log, line.near)
        line.near = log.end
        if line.number % FAR == 0:
            entry.far = link_to(log, line.far)
            line.far = log.end
    if header.type == EVENT_FILL:
        entry.fill = link_to(log, line.fill)
        line.fill = log.end
    ring_write(log, log.end_at, &entry, sizeof(LogEntry))
    ring_write(log, ring_after(log, log.end_at, LOG_ENTRY_BYTES), record, header.size)
    log.end_at = ring_after(log, log.end_at, cost)
    log.end += cost
    return line.number

# ------------------------------------------------------------------------------------------------ finding

cdef inline uint64_t log_number(EventLog* log, uint32_t account) noexcept nogil:
    """The number of the account's last event; 0 before its first."""
    return log.accounts[account].number if account <= MAX_ACCOUNT else 0

cdef inline uint64_t log_back(EventLog* log, uint64_t place, uint32_t link) noexcept nogil:
    """The place that a link of the entry at `place` leads to; 0 where that is none, or forgotten."""
    cdef uint64_t to = place - <uint64_t>link * LOG_UNIT
    return to if link != 0 and to >= log.begin else 0

cdef inline uint64_t log_find(EventLog* log, uint32_t account, uint64_t number) noexcept nogil:
    """The place of an account's event; 0 where it is forgotten, or never was."""
    cdef LogAccount* line = log.accounts + account
    cdef uint64_t at = line.number
    cdef uint64_t place = line.last
    if number < 1 or number > at:
        return 0
    if at - at % FAR >= number:
        at -= at % FAR
        place = line.far
    elif at - at % NEAR >= number:
        at -= at % NEAR
        place = line.near
    if place < log.begin:
        return 0
    while place and at % FAR == 0 and at >= number + FAR:
        place = log_back(log, place, log_entry(log, place).far)
        at -= FAR
    while place and at % NEAR == 0 and at >= number + NEAR:
        place = log_back(log, place, log_entry(log, place).near)
        at -= NEAR
    while place and at > number:
        place = log_back(log, place, log_entry(log, place).previous)
        at -= 1
    return place

cdef inline bint log_remembers(EventLog* log, uint32_t account, uint64_t number) noexcept nogil:
    """Whether this event and all later ones of the account can be read, now."""
    return number == log_number(log, account) + 1 or log_find(log, account, number) != 0
