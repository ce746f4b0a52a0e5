"""The door to the event log: what the node asks of it between two rounds, and its address for a loop in C.

It does what ``EventLog`` of exchange/gateway/event_log.py does, byte for byte, and is described there.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy

from native.event_log cimport (
    LOG_ENTRY_BYTES, NEAR, EventLog, LogAccount, LogEntry, log_account, log_append, log_back, log_close, log_cost, log_entry,
    log_find, log_header, log_number, log_open, log_read, log_remembers,
)
from native.wire cimport EVENT_ACCEPTED, EVENT_REJECTED, FIRST_EVENT, MAX_ACCOUNT, wire_accepted, wire_event_header

cdef enum:
    CHUNK = 4096   # events looked at together when a piece is read

cdef packed struct Head:       # of what is kept on disk
    int64_t epoch
    uint64_t account_count

cdef packed struct Base:
    uint32_t account
    uint64_t number            # of its last event that is not kept any more

cdef packed struct Origin:
    uint64_t key
    uint64_t request_id


cdef class StreamLog:
    """The events of all accounts, the oldest forgotten first, in one bound of bytes.

    Raises MemoryError where the system does not give the address space.  ``entry`` makes what ``read`` gives of a
    record, a key and a request id; ``forgotten`` is what it raises.
    """

    cdef EventLog log
    cdef object entry, forgotten

    def __cinit__(self, uint64_t most_bytes, entry not None, forgotten not None):
        self.entry = entry
        self.forgotten = forgotten
        if not log_open(&self.log, most_bytes):
            raise MemoryError("the system does not give the address space of the event log")

    def __dealloc__(self):
        log_close(&self.log)

    def address(self):
        """Where the C struct is, as a number: for a loop that appends to it without the GIL, in the node's thread."""
        return <uintptr_t>&self.log

    @property
    def epoch(self):
        return self.log.epoch

    @epoch.setter
    def epoch(self, int64_t epoch):
        self.log.epoch = epoch

    @property
    def used_bytes(self):
        return self.log.end - self.log.begin

    def number(self, uint32_t account):
        """The number of the account's last event; 0 before its first."""
        return log_number(&self.log, account)

    def remembers(self, uint32_t account, uint64_t number):
        """Whether this event and all later ones of the account could be read, now."""
        return account <= MAX_ACCOUNT and log_remembers(&self.log, account, number)

    # ---- adding

    def feed(
        self, bytes events not None, uint64_t first_sequence=0, accounts=(), keys=(), request_ids=()
    ):
        """Takes what an engine gave.  For the commands from ``first_sequence`` on: account, key and request id."""
        cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(events)
        cdef const uint8_t* end = at + len(events)
        cdef const wire_event_header* header
        cdef uint64_t index, key, request_id
        cdef uint64_t count = len(accounts)
        if self.log.epoch == 0:
            self.log.epoch = first_time(at, end)
        while at < end:
            header = event_at(at, end)
            if header.account != 0:
                key = request_id = 0
                index = header.sequence - first_sequence
                if header.sequence >= first_sequence and index < count and accounts[index] == header.account:
                    key = keys[index]
                    request_id = request_ids[index]
                log_append(&self.log, at, key, request_id)
            at += header.size

    # ---- reading

    def read(self, uint32_t account, uint64_t number, most, uint64_t up_to_sequence):
        """The account's events from this number on: about ``most``, none that a later command caused.

        Raises what the log was made with where that event is forgotten, or never was.
        """
        cdef list entries = []
        cdef uint64_t places[CHUNK]
        cdef uint64_t wanted = min(most, CHUNK)
        cdef uint64_t last_sequence = 0
        cdef wire_event_header header
        cdef int count, i
        if not self.remembers(account, number):
            raise self.forgotten(f"event {number} of account {account} is not remembered")
        while True:
            count = self.gather(account, number, wanted, places)
            for i in range(count):
                header = log_header(&self.log, places[i])
                if header.sequence > up_to_sequence or (len(entries) >= most and header.sequence != last_sequence):
                    return entries
                last_sequence = header.sequence
                entries.append(self.entry_at(places[i], header.size))
            if count == 0:
                return entries
            number += count
            if len(entries) >= most:
                wanted = NEAR  # the rest of one command's

    cdef int gather(self, uint32_t account, uint64_t number, uint64_t wanted, uint64_t* places) except -1:
        """The places of up to so many events from a number that is remembered, or is the next one."""
        cdef uint64_t last = log_number(&self.log, account)
        cdef uint64_t place
        cdef int count, i
        if number > last:
            return 0
        count = <int>min(wanted, last - number + 1)
        place = log_find(&self.log, account, number + count - 1)
        for i in range(count - 1, -1, -1):
            assert place != 0, "events of an account are forgotten oldest first"
            places[i] = place
            place = log_back(&self.log, place, log_entry(&self.log, place).previous)
        return count

    cdef object entry_at(self, uint64_t place, uint64_t size):
        cdef LogEntry entry = log_entry(&self.log, place)
        return self.entry(self.record_at(place, size), entry.key, entry.request_id)

    cdef bytes record_at(self, uint64_t place, uint64_t size):
        cdef bytes record = PyBytes_FromStringAndSize(NULL, size)
        log_read(&self.log, place + LOG_ENTRY_BYTES, PyBytes_AS_STRING(record), size)
        return record

    def fills(self, uint32_t account, limit):
        """The newest fills of an account that are remembered, oldest first."""
        cdef list records = []
        cdef uint64_t place = self.log.accounts[account].fill if account <= MAX_ACCOUNT else 0
        if place < self.log.begin:
            return records
        while place != 0 and len(records) < limit:
            records.append(self.record_at(place, log_header(&self.log, place).size))
            place = log_back(&self.log, place, log_entry(&self.log, place).fill)
        records.reverse()
        return records

    # ---- on disk

    def dump(self):
        """Everything, as bytes that ``load`` understands."""
        cdef list parts
        cdef uint64_t size = self.count_remembered()
        cdef uint64_t place = self.log.begin
        cdef uint32_t account
        cdef bytes entries = PyBytes_FromStringAndSize(NULL, size)
        cdef char* to = PyBytes_AS_STRING(entries)
        cdef wire_event_header header
        cdef LogEntry entry
        cdef Head head
        head.epoch = self.log.epoch
        head.account_count = self.log.used_count
        parts = [PyBytes_FromStringAndSize(<char*>&head, sizeof(Head))]
        for account in sorted([self.log.used[i] for i in range(self.log.used_count)]):
            parts.append(self.base_of(account))
        while place < self.log.end:
            header = log_header(&self.log, place)
            entry = log_entry(&self.log, place)
            memcpy(to, &entry.key, sizeof(Origin))
            log_read(&self.log, place + LOG_ENTRY_BYTES, to + sizeof(Origin), header.size)
            to += sizeof(Origin) + header.size
            place += log_cost(header.size)
        parts.append(entries)
        return b"".join(parts)

    cdef uint64_t count_remembered(self) except? 0:
        """Counts each account's events that are remembered; returns their bytes on disk."""
        cdef uint64_t place = self.log.begin
        cdef uint64_t size = 0
        cdef wire_event_header header
        cdef uint32_t i
        for i in range(self.log.used_count):
            self.log.accounts[self.log.used[i]].counted = 0
        while place < self.log.end:
            header = log_header(&self.log, place)
            self.log.accounts[header.account].counted += 1
            size += sizeof(Origin) + header.size
            place += log_cost(header.size)
        return size

    cdef bytes base_of(self, uint32_t account):
        cdef Base base
        cdef LogAccount* line = self.log.accounts + account
        base.account = account
        base.number = line.number - line.counted
        return PyBytes_FromStringAndSize(<char*>&base, sizeof(Base))

    def load(self, bytes kept not None):
        """What ``dump`` gave, into an empty log; of more than there is room for, the last.

        Raises ValueError where it is something else.
        """
        cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(kept)
        cdef const uint8_t* end = at + len(kept)
        cdef const wire_event_header* header
        cdef Head head
        cdef Base base
        cdef Origin origin
        if end - at < <Py_ssize_t>sizeof(Head):
            raise ValueError("wanted the head of an event log, came fewer bytes")
        memcpy(&head, at, sizeof(Head))
        at += sizeof(Head)
        if <uint64_t>(end - at) // sizeof(Base) < head.account_count:
            raise ValueError(f"wanted the numbers of {head.account_count} accounts, came fewer bytes")
        self.log.epoch = head.epoch
        for _ in range(head.account_count):
            memcpy(&base, at, sizeof(Base))
            at += sizeof(Base)
            if base.account > MAX_ACCOUNT:
                raise ValueError(f"wanted an account 1 .. {MAX_ACCOUNT}, came {base.account}")
            log_account(&self.log, base.account).number = base.number
        while at < end:
            if end - at < <Py_ssize_t>sizeof(Origin):
                raise ValueError("wanted an event, came fewer bytes")
            memcpy(&origin, at, sizeof(Origin))
            at += sizeof(Origin)
            header = event_at(at, end)
            log_append(&self.log, at, origin.key, origin.request_id)
            at += header.size


cdef const wire_event_header* event_at(const uint8_t* at, const uint8_t* end) except NULL:
    cdef const wire_event_header* header = <const wire_event_header*>at
    if (
        end - at < <Py_ssize_t>sizeof(wire_event_header)
        or header.type < FIRST_EVENT
        or header.size < sizeof(wire_event_header)
        or header.size > end - at
        or header.account > MAX_ACCOUNT
    ):
        raise ValueError("wanted whole event records")
    return header


cdef int64_t first_time(const uint8_t* at, const uint8_t* end):
    """The time of the first of these events, which is a result where an engine gave them; 0 where it is not."""
    cdef const wire_event_header* header = <const wire_event_header*>at
    if end - at < <Py_ssize_t>sizeof(wire_accepted) or (header.type != EVENT_ACCEPTED and header.type != EVENT_REJECTED):
        return 0
    return (<const wire_accepted*>at).timestamp_ns
