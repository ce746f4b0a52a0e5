"""Subscribers that keep up: reads market data from several sockets and counts it, in one thread."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp

from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree

from native.zmq_api cimport (
    EAGAIN, EINTR, ZMQ_DONTWAIT, ZMQ_POLLIN, ZmqApi, zmq_api_bytes, zmq_api_load, zmq_api_socket, zmq_msg_t, zmq_pollitem_t,
)

from native.load_answers cimport read_unsigned

cdef enum:
    BURST = 1000  # messages of one socket before the next is looked at
    TOPICS = 256  # whose sequence is followed

cdef struct Topic:
    uint64_t name    # a hash of it; 0: not used
    uint64_t sequence

cdef struct Heard:
    uint64_t messages
    uint64_t size
    uint64_t gaps    # messages that are missing between two that came
    Topic topics[TOPICS]

cdef ZmqApi zmq


cdef uint64_t hashed(const uint8_t* at, size_t size) noexcept nogil:
    """FNV-1a, never 0."""
    cdef uint64_t name = <uint64_t>0xCBF29CE484222325
    cdef size_t i
    for i in range(size):
        name = (name ^ at[i]) * <uint64_t>1099511628211
    return name | 1


cdef void follow(Heard* heard, uint64_t topic, const uint8_t* at, size_t size) noexcept nogil:
    """A payload is a map that begins with the epoch and the sequence: 8X a5 "epoch" N a8 "sequence" N."""
    cdef const uint8_t* end = at + size
    cdef uint64_t epoch = 0, sequence = 0
    cdef Topic* known = &heard.topics[topic % TOPICS]
    if size < 8 or memcmp(at + 1, b"\xa5epoch", 6) != 0:
        return
    at = read_unsigned(at + 7, end, &epoch)
    if at == NULL or end - at < 10 or memcmp(at, b"\xa8sequence", 9) != 0 or read_unsigned(at + 9, end, &sequence) == NULL:
        return
    if known.name == topic and sequence > known.sequence + 1:
        heard.gaps += sequence - known.sequence - 1
    if known.name == 0 or known.name == topic:
        known.name, known.sequence = topic, sequence


cdef int drain(void* socket, Heard* heard) noexcept nogil:
    """Reads what is there, up to a bound: 0, or -1 with the error of libzmq."""
    cdef zmq_msg_t part
    cdef uint64_t topic
    cdef int parts, more, _count
    for _count in range(BURST):
        topic, parts, more = 0, 0, 1
        while more:
            zmq.msg_init(&part)
            if zmq.msg_receive(&part, socket, ZMQ_DONTWAIT) < 0:
                return 0 if zmq.error() == EAGAIN else -1
            heard.size += zmq.msg_size(&part)
            if parts == 0:
                topic = hashed(zmq_api_bytes(&zmq, &part), zmq.msg_size(&part))
            else:
                follow(heard, topic, zmq_api_bytes(&zmq, &part), zmq.msg_size(&part))
            more = zmq.msg_more(&part)
            parts += 1
            zmq.msg_close(&part)
        heard.messages += 1
    return 0


def listen(list sockets not None, stop, int look_ms=50):
    """Counts [messages, bytes, gaps] for each socket until ``stop()``, asked all ``look_ms``, says so and nothing is left.

    A gap is a message that is missing in the sequence of its topic.
    """
    cdef int count = len(sockets), index, ready = 1, error
    cdef zmq_pollitem_t* items = <zmq_pollitem_t*>PyMem_RawCalloc(count + 1, sizeof(zmq_pollitem_t))
    cdef Heard* heard = <Heard*>PyMem_RawCalloc(count + 1, sizeof(Heard))
    cdef bint stopping = False
    try:
        if items == NULL or heard == NULL:
            raise MemoryError
        for index in range(count):
            items[index].socket, items[index].events = zmq_api_socket(sockets[index]), ZMQ_POLLIN
        while ready > 0 or not stopping:
            with nogil:
                ready = zmq.poll(items, count, look_ms)
                for index in range(count if ready > 0 else 0):
                    if items[index].revents and drain(items[index].socket, &heard[index]) < 0:
                        ready = -1
                        break
                error = zmq.error()
            if ready < 0 and error != EINTR:
                raise OSError(error, zmq.error_text(error).decode())
            PyErr_CheckSignals()
            stopping = stopping or stop()
        return [[heard[index].messages, heard[index].size, heard[index].gaps] for index in range(count)]
    finally:
        PyMem_RawFree(items)
        PyMem_RawFree(heard)


zmq_api_load(&zmq)
