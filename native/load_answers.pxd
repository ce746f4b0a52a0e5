"""What a load generator makes of the replies: read once, checked, counted.

Theory of operation.  A message is any number of msgpack arrays.  Of each the type and the request id are looked at, of
fills also who bought how many lots; the rest is stepped over.  A client's requests have consecutive ids, so its results
must come with exactly those: a smaller one came *twice*, a larger one says that some were *passed over*.
Private positions, arrays of type 127, are followed where a node sends them.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from native.wire cimport EVENT_ACCEPTED, EVENT_FILL, EVENT_REJECTED, FILL_ROLE_TAKER, SIDE_BUY

cdef enum:
    POSITION = 127
    CONTROL = 0
    MAX_REASONS = 256
    MAX_ACCOUNTS = 1 << 16     # whose positions are followed
    CONTROL_BYTES = 512
    # Elements of a fill's array: type, request, account, sequence, symbol, then
    AT_SIDE = 5
    AT_ROLE = 6
    AT_QTY_LOTS = 13

cdef struct Answers:           # of all clients
    uint64_t accepted
    uint64_t rejected
    uint64_t reasons[MAX_REASONS]
    uint64_t doubled           # results that came before
    uint64_t passed_over       # requests whose result did not come in its turn
    uint64_t disordered        # results whose place in the journal is not behind the one before
    uint64_t refused           # control messages with an error
    uint64_t unreadable        # messages that end in the middle or are none
    uint64_t events
    uint64_t notices           # events that answer nothing of ours
    uint64_t fills
    uint64_t taken_lots
    uint64_t made_lots
    uint64_t bought_lots
    uint64_t sold_lots
    uint64_t positions         # private positions seen
    uint64_t position_gaps     # those that did not go on where the account's events had ended
    uint64_t reply_bytes
    uint64_t control_size
    uint8_t control[CONTROL_BYTES]        # the last control message
    uint64_t next_number[MAX_ACCOUNTS]    # of an account's next event; 0: not told yet

cdef struct Expected:          # of one client
    uint64_t request_id        # of the next result
    uint64_t sequence          # of the last one

cdef struct Event:             # one array
    uint64_t type
    uint64_t request_id
    uint64_t account
    uint64_t sequence

# ------------------------------------------------------------------------------------------ reading msgpack

cdef inline uint64_t big_endian(const uint8_t* at, int size) noexcept nogil:
    cdef uint64_t value = 0
    cdef int i
    for i in range(size):
        value = value << 8 | at[i]
    return value

cdef inline const uint8_t* read_unsigned(const uint8_t* at, const uint8_t* end, uint64_t* value) noexcept nogil:
    """Behind an integer that is not negative; NULL where none stands."""
    cdef int size
    if at == NULL or at >= end:
        return NULL
    if at[0] <= 0x7F:
        value[0] = at[0]
        return at + 1
    if at[0] < 0xCC or at[0] > 0xCF:
        return NULL
    size = 1 << (at[0] - 0xCC)
    if end - at < 1 + size:
        return NULL
    value[0] = big_endian(at + 1, size)
    return at + 1 + size

cdef inline const uint8_t* read_array(const uint8_t* at, const uint8_t* end, uint64_t* length) noexcept nogil:
    """Behind the head of an array; NULL where none stands."""
    if at == NULL or at >= end:
        return NULL
    if at[0] & 0xF0 == 0x90:
        length[0] = at[0] & 0x0F
        return at + 1
    if at[0] == 0xDC and end - at >= 3:
        length[0] = big_endian(at + 1, 2)
        return at + 3
    return NULL

cdef inline int width_of(int head) noexcept nogil:
    """Bytes behind a head that are an integer or a float of their own, or the count of what follows; -1: unknown."""
    if 0xCC <= head <= 0xCF:
        return 1 << (head - 0xCC)
    if 0xD0 <= head <= 0xD3:
        return 1 << (head - 0xD0)
    if head == 0xC0 or head == 0xC2 or head == 0xC3:
        return 0
    if 0xC4 <= head <= 0xC6:
        return 1 << (head - 0xC4)
    if 0xD9 <= head <= 0xDB:
        return 1 << (head - 0xD9)
    if 0xDC <= head <= 0xDF:
        return 2 << (head & 1)
    return 4 << (head & 1) if head == 0xCA or head == 0xCB else -1

cdef inline const uint8_t* skip(const uint8_t* at, const uint8_t* end, uint64_t values) noexcept nogil:
    """Behind so many values, whatever they are; NULL where they do not end, or are of no kind that a node sends."""
    cdef int head, width
    cdef uint64_t size, count
    while values > 0:
        if at == NULL or at >= end:
            return NULL
        head = at[0]
        values -= 1
        size = width = 0
        if head <= 0x7F or head >= 0xE0:
            pass
        elif head <= 0x8F:
            values += 2 * (head & 0x0F)
        elif head <= 0x9F:
            values += head & 0x0F
        elif head <= 0xBF:
            size = head & 0x1F
        else:
            width = width_of(head)
            if width < 0 or end - at < 1 + width:
                return NULL
            count = big_endian(at + 1, width)
            if 0xC4 <= head <= 0xC6 or 0xD9 <= head <= 0xDB:
                size = count
            elif head >= 0xDC:  # an array, or a map with a key to each value
                values += count if head <= 0xDD else 2 * count
        if <uint64_t>(end - at) < 1 + width + size:
            return NULL
        at += 1 + width + size
    return at

# ------------------------------------------------------------------------------------------ what arrays say

cdef inline const uint8_t* read_fill(
    const uint8_t* at, const uint8_t* end, uint64_t length, Answers* answers
) noexcept nogil:
    """The rest of a fill, from the element behind its sequence on."""
    cdef uint64_t side = 0, role = 0, lots = 0
    at = read_unsigned(skip(at, end, AT_SIDE - 4), end, &side)
    at = read_unsigned(skip(at, end, AT_ROLE - AT_SIDE - 1), end, &role)
    at = read_unsigned(skip(at, end, AT_QTY_LOTS - AT_ROLE - 1), end, &lots)
    answers.fills += 1
    if role == FILL_ROLE_TAKER:
        answers.taken_lots += lots
    else:
        answers.made_lots += lots
    if side == SIDE_BUY:
        answers.bought_lots += lots
    else:
        answers.sold_lots += lots
    return skip(at, end, length - AT_QTY_LOTS - 1)

cdef inline const uint8_t* read_position(const uint8_t* at, const uint8_t* end, Answers* answers) noexcept nogil:
    """The rest of a position: the number of an account's next event, which must be the one that we have counted to."""
    cdef uint64_t account = 0, number = 0
    at = read_unsigned(read_unsigned(at, end, &account), end, &number)
    if at == NULL or account >= MAX_ACCOUNTS:
        return at
    answers.positions += 1
    if answers.next_number[account] != 0 and answers.next_number[account] != number:
        answers.position_gaps += 1
    answers.next_number[account] = number
    return at

cdef inline void read_control(const uint8_t* start, const uint8_t* end, Answers* answers) noexcept nogil:
    """Keeps a control message; one that holds the word error is a refusal."""
    cdef size_t size = min(<size_t>(end - start), <size_t>CONTROL_BYTES)
    cdef size_t i
    memcpy(answers.control, start, size)
    answers.control_size = size
    for i in range(size - 5 if size > 5 else 0):
        if start[i] == 0xA5 and start[i + 1] == 101 and start[i + 2] == 114 and start[i + 3] == 114:  # "\xa5err"
            answers.refused += 1
            return

cdef inline bint is_next_result(Event* event, Expected* expected, Answers* answers) noexcept nogil:
    """Whether an event is the result of a request that was waited for; counts what is wrong with it."""
    if event.type != EVENT_ACCEPTED and event.type != EVENT_REJECTED or event.request_id == 0:
        return False
    if event.request_id < expected.request_id:
        answers.doubled += 1
        return False
    answers.passed_over += event.request_id - expected.request_id
    expected.request_id = event.request_id + 1
    if event.sequence <= expected.sequence:
        answers.disordered += 1
    expected.sequence = event.sequence
    return True

cdef inline const uint8_t* read_event(
    const uint8_t* at, const uint8_t* end, uint64_t length, Event* event, Answers* answers
) noexcept nogil:
    """The rest of an event's array, from its account on."""
    cdef uint64_t reason = 0
    at = read_unsigned(at, end, &event.account)
    at = read_unsigned(at, end, &event.sequence)
    answers.events += 1
    if event.request_id == 0:
        answers.notices += 1
    if event.account < MAX_ACCOUNTS and answers.next_number[event.account] != 0:
        answers.next_number[event.account] += 1
    if event.type == EVENT_FILL:
        return read_fill(at, end, length, answers)
    if event.type == EVENT_REJECTED:
        at = read_unsigned(skip(at, end, 2), end, &reason)  # behind time and command
        answers.reasons[reason & (MAX_REASONS - 1)] += 1
        return skip(at, end, length - 7)
    return skip(at, end, length - 4)
