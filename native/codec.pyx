"""msgpack from clients to command records and event records to msgpack, without a Python object per field.

Theory of operation.  At import every message of the table becomes a ``shape``: the record with all defaults in
it and, for each element of the wire array, where in the record it goes and what it may be.  Decoding a command
is then: copy the template, read one value per slot, check its range, store it.  At each byte exactly one kind
of value is wanted, and anything else ends the decoding with a ``fault`` (byte, what was wanted); nothing
recurses and nothing is allocated by a length that a client claims, so neither depth nor length can be a bomb:
the memory used is bounded by the records of the commands that were really read.  What a fault says in words,
and the same codec in plain Python, is in ``exchange.protocol``.
"""

import sys

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport (
    INT64_MAX, INT64_MIN, UINT32_MAX,
    int8_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t,
)
from libc.string cimport memchr, memcpy

from native.buffer cimport buffer_reserve, buffer_t
from native.counters cimport COUNTER_SLOTS, count_commands, count_event
from native.doors cimport CODEC_DOOR, codec_door_t
from native.packing cimport write_big_endian, write_signed, write_unsigned
from native.wire cimport (
    EVENT_ACCEPTED, EVENT_REJECTED, FIRST_EVENT, MAX_BRACKETS, MAX_LIST_ORDERS, MAX_NAME_BYTES,
    wire_bracket, wire_command_header, wire_event_header, wire_order,
)

from exchange.protocol import layout

cdef enum:
    LEADING = 2  # array elements before the slots: type and request id
    POSITION = 127  # first element of a position, [127, account, number]
    POSITION_HEAD = 0x93  # an array of three
    MAX_SLOTS = 40
    MAX_TEMPLATE_BYTES = 512
    MAX_TYPES = 256
    # A name of broken bytes is sent with a three-byte replacement character for each.
    MAX_NAME_WIRE_BYTES = 2 + 3 * MAX_NAME_BYTES
    MAX_INTEGER_WIRE_BYTES = 9
    MAX_BRACKETS_WIRE_BYTES = 3 + MAX_BRACKETS * (1 + 3 * MAX_INTEGER_WIRE_BYTES)
    MAX_EVENT_WIRE_BYTES = 3 + MAX_SLOTS * MAX_INTEGER_WIRE_BYTES + MAX_NAME_WIRE_BYTES + MAX_BRACKETS_WIRE_BYTES
    # Below this the work is shorter than getting the GIL back from a busy thread (up to 5 ms) may take.
    NOGIL_BYTES = 16384

cdef enum slot_kind:
    SLOT_U8
    SLOT_U16
    SLOT_U32
    SLOT_U64
    SLOT_I32
    SLOT_I64
    SLOT_NAME  # from here on no integers
    SLOT_BRACKETS
    SLOT_ORDERS

cdef enum wanted:
    WANTED_NOTHING = 0
    WANTED_MESSAGE
    WANTED_NUMBER
    WANTED_LENGTH
    WANTED_REQUEST_ID
    WANTED_INTEGER
    WANTED_NAME
    WANTED_BRACKETS
    WANTED_BRACKET
    WANTED_BRACKET_INTEGER
    WANTED_END
    WANTED_ORDERS
    WANTED_ORDER
    WANTED_ORDER_INTEGER
    WANTED_POSITION
    WANTED_RECORD  # when encoding: not a record of an event
    WANTED_MEMORY

cdef struct slot_t:
    slot_kind kind
    uint16_t offset        # in the record
    uint16_t count_offset  # of the record's count, for brackets and orders
    int64_t lowest
    uint64_t highest

cdef struct shape_t:
    uint16_t size          # of the record, without its list; 0: no message has this number
    uint16_t room          # what it may grow to with its list
    uint16_t required      # slots that must be sent
    uint16_t slot_count
    slot_t slots[MAX_SLOTS]
    uint8_t template[MAX_TEMPLATE_BYTES]

cdef struct reader_t:
    const uint8_t* begin
    const uint8_t* at
    const uint8_t* end

cdef struct integer_t:     # any integer of msgpack: -2^63 .. 2^64-1
    uint64_t bits
    bint negative

cdef struct position_t:    # where the events that follow stand in their account's stream
    uint64_t index         # of the event that follows
    uint64_t account
    uint64_t number

cdef struct fault_t:
    wanted wanted
    Py_ssize_t position
    int number
    int item
    int part
    int entry

cdef struct replies_t:     # which request each sequence answers
    uint64_t first_sequence
    uint64_t count
    uint64_t* request_ids
    bint actor_known
    uint64_t actor_sequence  # of the last result event seen,
    uint32_t actor           # and whose command that was

cdef shape_t SHAPES[MAX_TYPES]
cdef shape_t ORDER_SHAPE   # of an order in a list


# ------------------------------------------------------------------------------------------- the shapes

cdef int make_shapes() except -1:
    """Fills ``SHAPES`` from the table, once, at import."""
    kinds = {
        "u8": SLOT_U8, "u16": SLOT_U16, "u32": SLOT_U32, "u64": SLOT_U64, "i32": SLOT_I32,
        "i64": SLOT_I64, "name": SLOT_NAME, "brackets": SLOT_BRACKETS, "orders": SLOT_ORDERS,
    }
    if sys.byteorder != "little":
        raise ImportError("exchange needs a little-endian machine: records are written as they lie in memory")
    for number, entry in layout.LAYOUTS.items():
        if number >= MAX_TYPES:
            raise ImportError(f"{entry.message.name} needs a larger MAX_TYPES in native/codec.pyx")
        make_shape(&SHAPES[number], entry, kinds)
    make_shape(&ORDER_SHAPE, layout.ORDER_LAYOUT, kinds)
    if layout.POSITION != POSITION or SHAPES[POSITION].size != 0:
        raise ImportError("the number of a position has to be free in the table, and the same in native/codec.pyx")
    if ORDER_SHAPE.size != sizeof(wire_order):
        raise ImportError("an order of the table and wire_order differ: generate and build again")
    return 0


cdef int make_shape(shape_t* shape, object entry, dict kinds) except -1:
    size = len(entry.template)
    if size > MAX_TEMPLATE_BYTES or len(entry.items) > MAX_SLOTS:
        raise ImportError(f"{entry.message.name} needs larger MAX_ constants in native/codec.pyx")
    shape.size = shape.room = size
    shape.required = entry.required
    shape.slot_count = len(entry.items)
    memcpy(shape.template, <const uint8_t*>(<bytes>entry.template), size)
    for index, item in enumerate(entry.items):
        shape.slots[index] = make_slot(item, kinds[item.kind])
        if shape.slots[index].kind == SLOT_ORDERS:
            shape.room += MAX_LIST_ORDERS * sizeof(wire_order)
    return 0


cdef slot_t make_slot(object item, slot_kind kind):
    cdef slot_t slot
    slot.kind = kind
    slot.offset = item.offset
    slot.count_offset = max(item.count_offset, 0)
    slot.lowest = 0
    slot.highest = 0
    if kind < SLOT_NAME:
        slot.lowest, slot.highest = layout.integer_range(item.kind)
    return slot


# ---------------------------------------------------------------------------------- reading msgpack values

cdef inline bint read_integer(reader_t* reader, integer_t* value) noexcept nogil:
    """Reads an integer, or leaves the reader where it is and says no."""
    cdef uint8_t head
    cdef int size, i
    cdef uint64_t bits = 0
    if reader.at >= reader.end:
        return False
    head = reader.at[0]
    if head <= 0x7F or head >= 0xE0:
        value.bits = <uint64_t>(<int64_t>(<int8_t>head))
        value.negative = head >= 0xE0
        reader.at += 1
        return True
    if head < 0xCC or head > 0xD3:
        return False
    size = 1 << (head & 3)
    if reader.end - reader.at <= size:
        return False
    for i in range(1, size + 1):
        bits = bits << 8 | reader.at[i]
    value.negative = head >= 0xD0 and (bits >> (8 * size - 1)) != 0
    if value.negative and size < 8:
        bits |= ~<uint64_t>0 << 8 * size
    value.bits = bits
    reader.at += 1 + size
    return True


cdef inline bint fits(integer_t value, int64_t lowest, uint64_t highest) noexcept nogil:
    if value.negative:
        return <int64_t>value.bits >= lowest
    return value.bits <= highest


cdef inline bint read_length(reader_t* reader, bint array, uint32_t* length) noexcept nogil:
    """Reads the head of an array or of a string."""
    cdef uint8_t head
    cdef int size, i
    if reader.at >= reader.end:
        return False
    head = reader.at[0]
    if array and head & 0xF0 == 0x90:
        length[0] = head & 0x0F
        reader.at += 1
        return True
    if not array and head & 0xE0 == 0xA0:
        length[0] = head & 0x1F
        reader.at += 1
        return True
    if array and (head == 0xDC or head == 0xDD):
        size = 2 << (head - 0xDC)
    elif not array and 0xD9 <= head <= 0xDB:
        size = 1 << (head - 0xD9)
    else:
        return False
    if reader.end - reader.at <= size:
        return False
    length[0] = 0
    for i in range(1, size + 1):
        length[0] = length[0] << 8 | reader.at[i]
    reader.at += 1 + size
    return True


# ------------------------------------------------------------------------------------ msgpack to records

cdef inline bint fail(fault_t* fault, wanted what, reader_t* reader, const uint8_t* at) noexcept nogil:
    fault.wanted = what
    fault.position = at - reader.begin
    return False


cdef bint is_text(const uint8_t* raw, Py_ssize_t size) noexcept with gil:
    try:
        raw[:size].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


cdef bint read_name(reader_t* reader, const slot_t* slot, uint8_t* record, fault_t* fault) noexcept nogil:
    cdef const uint8_t* start = reader.at
    cdef uint32_t length
    if (
        not read_length(reader, False, &length)
        or length > MAX_NAME_BYTES
        or reader.end - reader.at < <Py_ssize_t>length
        or memchr(reader.at, 0, length) != NULL
        or not is_text(reader.at, length)
    ):
        return fail(fault, WANTED_NAME, reader, start)
    memcpy(record + slot.offset, reader.at, length)
    reader.at += length
    return True


cdef bint read_brackets(reader_t* reader, const slot_t* slot, uint8_t* record, fault_t* fault) noexcept nogil:
    cdef const uint8_t* start = reader.at
    cdef uint32_t count, i
    if not read_length(reader, True, &count) or count > MAX_BRACKETS:
        return fail(fault, WANTED_BRACKETS, reader, start)
    for i in range(count):
        if not read_bracket(reader, <wire_bracket*>(record + slot.offset) + i, fault):
            return False
    record[slot.count_offset] = <uint8_t>count
    return True


cdef bint read_bracket(reader_t* reader, wire_bracket* bracket, fault_t* fault) noexcept nogil:
    cdef const uint8_t* start = reader.at
    cdef uint32_t length
    cdef int64_t values[3]
    cdef integer_t value
    if not read_length(reader, True, &length) or length != 3:
        return fail(fault, WANTED_BRACKET, reader, start)
    for part in range(3):
        start = reader.at
        if not read_integer(reader, &value) or not (
            fits(value, INT64_MIN, INT64_MAX) if part == 0 else fits(value, 0, UINT32_MAX)
        ):
            fault.part = part
            return fail(fault, WANTED_BRACKET_INTEGER, reader, start)
        values[part] = <int64_t>value.bits
    bracket.floor_atoms = values[0]
    bracket.maintenance_ppm = <uint32_t>values[1]
    bracket.initial_ppm = <uint32_t>values[2]
    return True


cdef inline void store(uint8_t* to, slot_kind kind, uint64_t bits) noexcept nogil:
    # Records are packed, so their fields have no alignment: copy, the compiler makes it one move.
    if kind == SLOT_U8:
        to[0] = <uint8_t>bits
    elif kind == SLOT_U16:
        memcpy(to, &bits, 2)
    elif kind == SLOT_U32 or kind == SLOT_I32:
        memcpy(to, &bits, 4)
    else:
        memcpy(to, &bits, 8)


cdef inline bint read_number(
    reader_t* reader, const slot_t* slot, uint8_t* record, wanted what, fault_t* fault
) noexcept nogil:
    cdef const uint8_t* start = reader.at
    cdef integer_t value
    if not read_integer(reader, &value) or not fits(value, slot.lowest, slot.highest):
        return fail(fault, what, reader, start)
    store(record + slot.offset, slot.kind, value.bits)
    return True


cdef bint read_orders(reader_t* reader, const slot_t* slot, uint8_t* record, fault_t* fault) noexcept nogil:
    """Reads the list that ends a record, for which there is room, and writes its length and the record's."""
    cdef const uint8_t* start = reader.at
    cdef uint32_t count, i
    if not read_length(reader, True, &count) or count > MAX_LIST_ORDERS:
        return fail(fault, WANTED_ORDERS, reader, start)
    for i in range(count):
        if not read_order(reader, record + slot.offset + i * sizeof(wire_order), fault):
            fault.entry = i
            return False
    record[slot.count_offset] = <uint8_t>count
    (<wire_command_header*>record).size += <uint16_t>(count * sizeof(wire_order))
    return True


cdef bint read_order(reader_t* reader, uint8_t* order, fault_t* fault) noexcept nogil:
    cdef const uint8_t* start = reader.at
    cdef uint32_t length, i
    if not read_length(reader, True, &length) or not ORDER_SHAPE.required <= length <= ORDER_SHAPE.slot_count:
        return fail(fault, WANTED_ORDER, reader, start)
    memcpy(order, ORDER_SHAPE.template, sizeof(wire_order))
    for i in range(length):
        if not read_number(reader, &ORDER_SHAPE.slots[i], order, WANTED_ORDER_INTEGER, fault):
            fault.part = i
            return False
    return True


cdef inline bint read_slot(reader_t* reader, const slot_t* slot, uint8_t* record, fault_t* fault) noexcept nogil:
    if slot.kind < SLOT_NAME:
        return read_number(reader, slot, record, WANTED_INTEGER, fault)
    if slot.kind == SLOT_NAME:
        return read_name(reader, slot, record, fault)
    if slot.kind == SLOT_BRACKETS:
        return read_brackets(reader, slot, record, fault)
    return read_orders(reader, slot, record, fault)


cdef shape_t* read_start(reader_t* reader, bint events, uint32_t* length, fault_t* fault) noexcept nogil:
    """Reads array length and type; NULL where they are not those of a message."""
    cdef const uint8_t* start = reader.at
    cdef const uint8_t* type_start
    cdef integer_t number
    cdef shape_t* shape
    if not read_length(reader, True, length) or length[0] == 0:
        fail(fault, WANTED_MESSAGE, reader, start)
        return NULL
    type_start = reader.at
    if (
        not read_integer(reader, &number)
        or not fits(number, 0, MAX_TYPES - 1)
        or SHAPES[number.bits].size == 0
        or (number.bits >= FIRST_EVENT) != events
    ):
        fail(fault, WANTED_NUMBER, reader, type_start)
        return NULL
    fault.number = <int>number.bits
    shape = &SHAPES[number.bits]
    if not LEADING + shape.required <= <int64_t>length[0] <= LEADING + shape.slot_count:
        fail(fault, WANTED_LENGTH, reader, start)
        return NULL
    return shape


cdef inline bint read_rest(
    reader_t* reader, const shape_t* shape, uint32_t length, uint8_t* record, uint64_t* request_id, fault_t* fault
) noexcept nogil:
    """Reads what follows the type: the request id, and the fields into a record for which there is room."""
    cdef const uint8_t* start = reader.at
    cdef uint32_t i
    cdef integer_t number
    if not read_integer(reader, &number) or number.negative:
        return fail(fault, WANTED_REQUEST_ID, reader, start)
    request_id[0] = number.bits
    memcpy(record, shape.template, shape.size)
    for i in range(length - LEADING):
        if not read_slot(reader, &shape.slots[i], record, fault):
            fault.item = i
            return False
    return True


cdef bint read_message(reader_t* reader, bint events, buffer_t* records, buffer_t* ids, fault_t* fault) noexcept nogil:
    """Appends the record and the request id of one message."""
    cdef uint32_t length
    cdef uint8_t* record
    cdef shape_t* shape = read_start(reader, events, &length, fault)
    if shape == NULL:
        return False
    if buffer_reserve(records, shape.room) < 0 or buffer_reserve(ids, sizeof(uint64_t)) < 0:
        return fail(fault, WANTED_MEMORY, reader, reader.at)
    record = records.bytes + records.used
    if not read_rest(reader, shape, length, record, <uint64_t*>(ids.bytes + ids.used), fault):
        return False
    records.used += (<wire_command_header*>record).size
    ids.used += sizeof(uint64_t)
    return True


cdef bint read_position(reader_t* reader, buffer_t* ids, buffer_t* positions, fault_t* fault) noexcept nogil:
    """Reads [127, account, number], which says where the next event of an account stands in its stream."""
    cdef const uint8_t* start = reader.at
    cdef integer_t account, number
    cdef position_t* position
    reader.at += 2
    if (
        not read_integer(reader, &account)
        or not fits(account, 0, UINT32_MAX)
        or not read_integer(reader, &number)
        or number.negative
    ):
        return fail(fault, WANTED_POSITION, reader, start)
    if buffer_reserve(positions, sizeof(position_t)) < 0:
        return fail(fault, WANTED_MEMORY, reader, start)
    position = <position_t*>(positions.bytes + positions.used)
    position.index = ids.used // sizeof(uint64_t)
    position.account = account.bits
    position.number = number.bits
    positions.used += sizeof(position_t)
    return True


cdef inline bint is_position(reader_t* reader) noexcept nogil:
    return reader.end - reader.at >= 2 and reader.at[0] == POSITION_HEAD and reader.at[1] == POSITION


cdef void read_messages(
    reader_t* reader, bint events, int64_t most, buffer_t* records, buffer_t* ids, buffer_t* positions, fault_t* fault
) noexcept nogil:
    while reader.at < reader.end:
        if events and is_position(reader):
            if not read_position(reader, ids, positions, fault):
                return
            continue
        if most == 0:
            fail(fault, WANTED_END, reader, reader.at)
            return
        if not read_message(reader, events, records, ids, fault):
            return
        most -= 1


cdef tuple decode(object payload, bint events, int64_t most):
    cdef Py_buffer view
    cdef buffer_t records, ids, positions
    cdef reader_t reader
    cdef fault_t fault
    records.bytes = ids.bytes = positions.bytes = NULL
    records.used = records.room = ids.used = ids.room = positions.used = positions.room = 0
    fault.wanted = WANTED_NOTHING
    fault.position = fault.number = fault.item = fault.part = fault.entry = 0
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        reader.begin = reader.at = <const uint8_t*>view.buf
        reader.end = reader.begin + view.len
        if view.len > NOGIL_BYTES:
            with nogil:
                read_messages(&reader, events, most, &records, &ids, &positions, &fault)
        else:
            read_messages(&reader, events, most, &records, &ids, &positions, &fault)
        if fault.wanted != WANTED_NOTHING:
            raise_fault(payload, fault, events)
        return (
            PyBytes_FromStringAndSize(<const char*>records.bytes, records.used),
            [(<uint64_t*>ids.bytes)[i] for i in range(ids.used // sizeof(uint64_t))],
            list_of(&positions),
        )
    finally:
        PyBuffer_Release(&view)
        PyMem_RawFree(records.bytes)
        PyMem_RawFree(ids.bytes)
        PyMem_RawFree(positions.bytes)


cdef list list_of(buffer_t* positions):
    cdef position_t* at = <position_t*>positions.bytes
    return [(at[i].index, at[i].account, at[i].number) for i in range(positions.used // sizeof(position_t))]


cdef int raise_fault(object payload, fault_t fault, bint events) except -1:
    if fault.wanted == WANTED_MEMORY:
        raise MemoryError
    raise layout.refusal(
        bytes(payload),
        layout.Fault(
            layout.Wanted(fault.wanted), fault.position, fault.number, fault.item, fault.part, events,
            fault.entry,
        ),
    )


def decode_commands(payload not None, int max_commands=4096):
    """Command records and request ids of the msgpack arrays in ``payload``, all or none.

    Returns (records: bytes, request_ids: list[int]).  Raises ValueError that names the byte, what was wanted
    there and what came, if anything is not a command of the table or there are more than ``max_commands``.
    """
    return decode(payload, False, max(max_commands, 0))[:2]


def decode_events(payload not None):
    """Event records and request ids of the msgpack arrays in ``payload``: the client's side.

    Positions are stepped over.  Returns (records: bytes, request_ids: list[int]).  Raises ValueError like
    ``decode_commands``.
    """
    return decode(payload, True, INT64_MAX)[:2]


def decode_stream(payload not None):
    """The same with the positions in between, each as (index of the event that follows, account, its number).

    Returns (records: bytes, request_ids: list[int], positions: list[tuple[int, int, int]]).
    """
    return decode(payload, True, INT64_MAX)


# ------------------------------------------------------------------------------------ records to msgpack

cdef uint8_t* write_name(uint8_t* to, const uint8_t* raw) noexcept with gil:
    # Only a record that no client can send holds broken text; the receiver must be able to read it anyway.
    cdef bytes text = (<bytes>raw[:MAX_NAME_BYTES]).partition(b"\0")[0].decode("utf-8", "replace").encode()
    cdef Py_ssize_t size = len(text)
    if size <= 0x1F:
        to[0] = <uint8_t>(0xA0 | size)
        to += 1
    else:
        to = write_big_endian(to, 0xD9, size, 1)
    memcpy(to, <const uint8_t*>text, size)
    return to + size


cdef uint8_t* write_brackets(uint8_t* to, const wire_bracket* brackets, int count) noexcept nogil:
    cdef int i
    if count <= 0x0F:
        to[0] = <uint8_t>(0x90 | count)
        to += 1
    else:
        to = write_big_endian(to, 0xDC, count, 2)
    for i in range(count):
        to[0] = 0x93
        to = write_signed(to + 1, brackets[i].floor_atoms)
        to = write_unsigned(to, brackets[i].maintenance_ppm)
        to = write_unsigned(to, brackets[i].initial_ppm)
    return to


cdef inline uint8_t* write_slot(uint8_t* to, const slot_t* slot, const uint8_t* record) noexcept nogil:
    cdef const uint8_t* at = record + slot.offset
    cdef uint16_t u16
    cdef uint32_t u32
    cdef uint64_t u64
    if slot.kind == SLOT_I64 or slot.kind == SLOT_U64:
        memcpy(&u64, at, 8)
        return write_signed(to, <int64_t>u64) if slot.kind == SLOT_I64 else write_unsigned(to, u64)
    if slot.kind == SLOT_U32 or slot.kind == SLOT_I32:
        memcpy(&u32, at, 4)
        return write_unsigned(to, u32) if slot.kind == SLOT_U32 else write_signed(to, <int32_t>u32)
    if slot.kind == SLOT_U8:
        return write_unsigned(to, at[0])
    if slot.kind == SLOT_U16:
        memcpy(&u16, at, 2)
        return write_unsigned(to, u16)
    if slot.kind == SLOT_BRACKETS:
        return write_brackets(to, <const wire_bracket*>at, min(record[slot.count_offset], MAX_BRACKETS))
    return write_name(to, at)


cdef inline bint is_event(const uint8_t* at, size_t left) noexcept nogil:
    """Whether a whole event record of the table starts here."""
    cdef const wire_event_header* header = <const wire_event_header*>at
    return (
        left >= sizeof(wire_event_header)
        and FIRST_EVENT <= header.type < MAX_TYPES
        and SHAPES[header.type].size != 0
        and header.size == SHAPES[header.type].size
        and header.size <= left
    )


cdef inline uint64_t request_of(replies_t* replies, const wire_event_header* header) noexcept nogil:
    """The request that an event answers; 0 for an event of another account than the one that commanded."""
    cdef uint64_t index = header.sequence - replies.first_sequence
    if header.type == EVENT_ACCEPTED or header.type == EVENT_REJECTED:
        replies.actor_known = True
        replies.actor_sequence = header.sequence
        replies.actor = header.account
    elif replies.actor_known and replies.actor_sequence == header.sequence and replies.actor != header.account:
        return 0
    if header.sequence < replies.first_sequence or index >= replies.count:
        return 0
    return replies.request_ids[index]


cdef inline uint8_t* write_event(uint8_t* to, const uint8_t* record, uint64_t request_id) noexcept nogil:
    """Writes one event into at least MAX_EVENT_WIRE_BYTES of room; returns the end."""
    cdef const wire_event_header* header = <const wire_event_header*>record
    cdef const shape_t* shape = &SHAPES[header.type]
    cdef int elements = LEADING + shape.slot_count
    cdef int i
    if elements <= 0x0F:
        to[0] = <uint8_t>(0x90 | elements)
        to += 1
    else:
        to = write_big_endian(to, 0xDC, elements, 2)
    to = write_unsigned(to, header.type)
    to = write_unsigned(to, request_id)
    for i in range(shape.slot_count):
        to = write_slot(to, &shape.slots[i], record)
    return to


cdef wanted write_events(
    const uint8_t* at, size_t left, replies_t* replies, buffer_t* wire
) noexcept nogil:
    cdef const wire_event_header* header
    cdef uint8_t* start
    while left > 0:
        if not is_event(at, left):
            return WANTED_RECORD
        if buffer_reserve(wire, MAX_EVENT_WIRE_BYTES) < 0:
            return WANTED_MEMORY
        header = <const wire_event_header*>at
        start = wire.bytes + wire.used
        wire.used += write_event(start, at, request_of(replies, header)) - start
        left -= header.size
        at += header.size
    return WANTED_NOTHING


cdef int replies_open(replies_t* replies, uint64_t first_sequence, list request_ids) except -1:
    cdef Py_ssize_t i = 0
    replies.first_sequence = first_sequence
    replies.count = len(request_ids)
    replies.actor_known = False
    replies.actor_sequence = 0
    replies.actor = 0
    replies.request_ids = <uint64_t*>PyMem_RawMalloc(sizeof(uint64_t) * (replies.count + 1))
    if replies.request_ids == NULL:
        raise MemoryError
    try:
        for i in range(len(request_ids)):
            replies.request_ids[i] = request_ids[i]
    except OverflowError:
        PyMem_RawFree(replies.request_ids)
        raise layout.request_id_error(request_ids[i]) from None
    except BaseException:
        PyMem_RawFree(replies.request_ids)
        raise
    return 0


cdef int raise_not_events(object records) except -1:
    """Says which byte is not the start of an event, in the words of the reader of records."""
    from exchange.protocol.records import decode_events as decode_event_records

    decode_event_records(bytes(records))
    raise AssertionError("the two readers of records disagree on what an event is")


def encode_events(records not None, uint64_t first_sequence, list request_ids not None):
    """The msgpack arrays of the event records that an engine gave.

    Events of sequence s answer request ``request_ids[s - first_sequence]``, or 0 where there is none or the
    event is of another account than the command was.  Raises ValueError if a record is not an event.
    """
    cdef Py_buffer view
    cdef buffer_t wire
    cdef replies_t replies
    cdef wanted outcome
    wire.bytes = NULL
    wire.used = wire.room = 0
    replies_open(&replies, first_sequence, request_ids)
    try:
        PyObject_GetBuffer(records, &view, PyBUF_SIMPLE)
        try:
            if view.len > NOGIL_BYTES:
                with nogil:
                    outcome = write_events(<const uint8_t*>view.buf, view.len, &replies, &wire)
            else:
                outcome = write_events(<const uint8_t*>view.buf, view.len, &replies, &wire)
            if outcome == WANTED_MEMORY:
                raise MemoryError
            if outcome != WANTED_NOTHING:
                raise_not_events(records)
            return PyBytes_FromStringAndSize(<const char*>wire.bytes, wire.used)
        finally:
            PyBuffer_Release(&view)
    finally:
        PyMem_RawFree(wire.bytes)
        PyMem_RawFree(replies.request_ids)


def encode_event_list(records not None, uint64_t first_sequence, list request_ids not None):
    """Each event as (account, sequence, type, msgpack array), to be routed without decoding it again.

    Arguments and errors as in ``encode_events``.
    """
    cdef Py_buffer view
    cdef replies_t replies
    cdef uint8_t wire[MAX_EVENT_WIRE_BYTES]
    cdef const uint8_t* at
    cdef const wire_event_header* header
    cdef size_t left
    cdef Py_ssize_t size
    cdef bytes message
    cdef list events = []
    replies_open(&replies, first_sequence, request_ids)
    try:
        PyObject_GetBuffer(records, &view, PyBUF_SIMPLE)
        try:
            at = <const uint8_t*>view.buf
            left = view.len
            while left > 0:
                if not is_event(at, left):
                    raise_not_events(records)
                header = <const wire_event_header*>at
                size = write_event(wire, at, request_of(&replies, header)) - wire
                message = PyBytes_FromStringAndSize(<const char*>wire, size)
                events.append((header.account, header.sequence, header.type, message))
                left -= header.size
                at += header.size
            return events
        finally:
            PyBuffer_Release(&view)
    finally:
        PyMem_RawFree(replies.request_ids)


# ------------------------------------------------------------------------------------------ the sequencer

def stamp(commands not None, uint64_t sequence, int64_t timestamp_ns):
    """The batch of command records with consecutive sequences from ``sequence`` and one time for all.

    Raises ValueError if the bytes are not whole command records.
    """
    cdef bytes stamped = copy_of(commands)
    cdef uint8_t* at = <uint8_t*>stamped
    cdef uint8_t* end = at + len(stamped)
    cdef wire_command_header* header
    while at < end:
        header = <wire_command_header*>at
        if (
            end - at < <Py_ssize_t>sizeof(wire_command_header)
            or header.type >= FIRST_EVENT
            or header.size < sizeof(wire_command_header)
            or header.size > end - at
        ):
            raise_not_commands(commands)
        header.sequence = sequence
        header.timestamp_ns = timestamp_ns
        sequence += 1
        at += header.size
    return stamped


# ------------------------------------------------------------------------------------------- what is counted

def count_batch(slots not None, commands not None, events not None, int64_t timestamp_ns):
    """Counts the commands of a batch and the events that they came to (exchange/ops/counters.py).

    Raises ValueError if the bytes are not whole records, or the slots not as many as there are counters.
    """
    cdef Py_buffer counted, given, came
    PyObject_GetBuffer(slots, &counted, PyBUF_WRITABLE)
    try:
        if counted.len != COUNTER_SLOTS * <Py_ssize_t>sizeof(uint64_t):
            raise ValueError(f"wanted {COUNTER_SLOTS} counters of 8 bytes, came {counted.len} bytes")
        PyObject_GetBuffer(commands, &given, PyBUF_SIMPLE)
        try:
            if not are_commands(<const uint8_t*>given.buf, <size_t>given.len):
                raise_not_commands(commands)
            count_commands(<uint64_t*>counted.buf, <const uint8_t*>given.buf, <size_t>given.len)
        finally:
            PyBuffer_Release(&given)
        PyObject_GetBuffer(events, &came, PyBUF_SIMPLE)
        try:
            if not count_checked_events(
                <uint64_t*>counted.buf, <const uint8_t*>came.buf, <size_t>came.len, timestamp_ns
            ):
                raise_not_events(events)
        finally:
            PyBuffer_Release(&came)
    finally:
        PyBuffer_Release(&counted)


cdef bint are_commands(const uint8_t* at, size_t left) noexcept nogil:
    cdef const wire_command_header* header
    while left:
        header = <const wire_command_header*>at
        if left < sizeof(wire_command_header) or header.type >= FIRST_EVENT:
            return False
        if header.size < sizeof(wire_command_header) or header.size > left:
            return False
        at += header.size
        left -= header.size
    return True


cdef bint count_checked_events(uint64_t* slots, const uint8_t* at, size_t left, int64_t timestamp_ns) noexcept nogil:
    cdef size_t size
    while left:
        if not is_event(at, left):
            return False
        count_event(slots, at, timestamp_ns)
        size = (<const wire_event_header*>at).size
        at += size
        left -= size
    return True


cdef bytes copy_of(object data):
    """The bytes of ``data`` in an object of our own that may be written until it is handed out."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return PyBytes_FromStringAndSize(<const char*>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)


cdef int raise_not_commands(object commands) except -1:
    from exchange.protocol.records import stamp_python

    stamp_python(bytes(commands), 1, 0)
    raise AssertionError("the two readers of records disagree on what a command is")


# ------------------------------------------------------------------------------- the door to compiled modules

cdef const uint8_t* read_command(
    const uint8_t* at, const uint8_t* end, uint8_t* record, uint64_t* request_id
) noexcept nogil:
    cdef reader_t reader
    cdef fault_t fault
    cdef uint32_t length
    cdef shape_t* shape
    reader.begin = reader.at = at
    reader.end = end
    shape = read_start(&reader, False, &length, &fault)
    if shape == NULL or not read_rest(&reader, shape, length, record, request_id, &fault):
        return NULL
    return reader.at


cdef uint8_t* write_one_event(uint8_t* to, const uint8_t* record, uint64_t request_id) noexcept nogil:
    return write_event(to, record, request_id)


cdef codec_door_t DOOR


def door():
    """The codec in C, for compiled modules (native/doors.pxd)."""
    DOOR.command_room = max(SHAPES[number].room for number in range(FIRST_EVENT))
    DOOR.event_room = MAX_EVENT_WIRE_BYTES
    DOOR.read_command = read_command
    DOOR.write_event = write_one_event
    return PyCapsule_New(&DOOR, CODEC_DOOR, NULL)


make_shapes()
