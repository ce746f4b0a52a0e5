"""Subscribers that keep up: reads market data from several sockets and counts it, in one thread."""

from libc.stdint cimport uint64_t

from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree

from native.zmq_api cimport (
    EAGAIN, EINTR, ZMQ_DONTWAIT, ZMQ_POLLIN, ZmqApi, zmq_api_load, zmq_api_socket, zmq_msg_t, zmq_pollitem_t,
)

cdef enum:
    BURST = 1000  # messages of one socket before the next is looked at

cdef ZmqApi zmq


cdef int drain(void* socket, uint64_t* messages, uint64_t* size) noexcept nogil:
    """Reads what is there, up to a bound: 0, or -1 with the error of libzmq."""
    cdef zmq_msg_t part
    cdef int more, _count
    for _count in range(BURST):
        more = 1
        while more:
            zmq.msg_init(&part)
            if zmq.msg_receive(&part, socket, ZMQ_DONTWAIT) < 0:
                return 0 if zmq.error() == EAGAIN else -1
            size[0] += zmq.msg_size(&part)
            more = zmq.msg_more(&part)
            zmq.msg_close(&part)
        messages[0] += 1
    return 0


def listen(list sockets not None, stop, int look_ms=50):
    """Counts [messages, bytes] for each socket, until ``stop()``, which is asked all ``look_ms``, and nothing is left."""
    cdef int count = len(sockets), index, ready = 1, error
    cdef zmq_pollitem_t* items = <zmq_pollitem_t*>PyMem_RawCalloc(count + 1, sizeof(zmq_pollitem_t))
    cdef uint64_t* counts = <uint64_t*>PyMem_RawCalloc(2 * count + 1, sizeof(uint64_t))
    cdef bint stopping = False
    try:
        if items == NULL or counts == NULL:
            raise MemoryError
        for index in range(count):
            items[index].socket, items[index].events = zmq_api_socket(sockets[index]), ZMQ_POLLIN
        while ready > 0 or not stopping:
            with nogil:
                ready = zmq.poll(items, count, look_ms)
                for index in range(count if ready > 0 else 0):
                    if items[index].revents and drain(items[index].socket, &counts[2 * index], &counts[2 * index + 1]) < 0:
                        ready = -1
                        break
                error = zmq.error()
            if ready < 0 and error != EINTR:
                raise OSError(error, zmq.error_text(error).decode())
            PyErr_CheckSignals()
            stopping = stopping or stop()
        return [[counts[2 * index], counts[2 * index + 1]] for index in range(count)]
    finally:
        PyMem_RawFree(items)
        PyMem_RawFree(counts)


zmq_api_load(&zmq)
