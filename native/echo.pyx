"""A bare libzmq server: answers every command with bytes of the size that the exchange answers it with, and does nothing else.

Theory of operation.  It is the floor that the gateway is compared with (exchange/bench/gateway): one ROUTER, one thread
that blocks in ``zmq_msg_recv``, no accounts, no book, no journal.  Of a command it looks at the type, at its second
byte, to know both sizes, and copies the request id into the reply, so that whoever measures can check that each
request was answered once.  Request ids therefore have a fixed form: an unsigned integer of 32 bits (0xCE), right after the type.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from cpython.exc cimport PyErr_CheckSignals

from native.zmq_api cimport (
    EAGAIN, EHOSTUNREACH, EINTR, ZMQ_DONTWAIT, ZMQ_SNDMORE, ZmqApi, zmq_api_bytes, zmq_api_load, zmq_api_socket, zmq_msg_t,
)

cdef enum:
    ID_AT = 3            # of a command: behind the head of the array, its type and 0xCE
    ID_BYTES = 4
    MAX_COMMAND = 128    # commands have numbers below

cdef struct Answer:
    uint32_t command_bytes   # 0: nothing is known of this command
    uint32_t reply_bytes
    uint32_t id_at           # in the reply
    const uint8_t* reply

cdef ZmqApi zmq


cdef size_t reply_size(const Answer* answers, const uint8_t* at, size_t left) noexcept nogil:
    """How long the reply to a message of commands is; 0 if it is not made of known commands."""
    cdef size_t size = 0
    cdef const Answer* answer
    while left >= ID_AT + ID_BYTES:
        answer = &answers[at[1] & (MAX_COMMAND - 1)]
        if answer.command_bytes == 0 or answer.command_bytes > left:
            return 0
        size += answer.reply_bytes
        at += answer.command_bytes
        left -= answer.command_bytes
    return size if left == 0 else 0


cdef void write_reply(const Answer* answers, const uint8_t* at, const uint8_t* end, uint8_t* to) noexcept nogil:
    cdef const Answer* answer
    while at < end:
        answer = &answers[at[1] & (MAX_COMMAND - 1)]
        memcpy(to, answer.reply, answer.reply_bytes)
        memcpy(to + answer.id_at, at + ID_AT, ID_BYTES)
        to += answer.reply_bytes
        at += answer.command_bytes


cdef int answer_one(const Answer* answers, void* router, zmq_msg_t* peer) noexcept nogil:
    """Waits for one message and answers it; -1 with the error of libzmq, or 0."""
    cdef zmq_msg_t message, reply
    cdef const uint8_t* start
    cdef size_t size
    if zmq.msg_receive(peer, router, 0) < 0:
        return -1
    zmq.msg_init(&message)
    if zmq.msg_receive(&message, router, ZMQ_DONTWAIT) < 0:  # the parts of a message come together
        return -1
    start = zmq_api_bytes(&zmq, &message)
    size = reply_size(answers, start, zmq.msg_size(&message))
    if size > 0 and zmq.msg_init_size(&reply, size) == 0:
        write_reply(answers, start, start + zmq.msg_size(&message), <uint8_t*>zmq.msg_data(&reply))
        if zmq.msg_send(peer, router, ZMQ_SNDMORE) < 0 or zmq.msg_send(&reply, router, 0) < 0:
            zmq.msg_close(&reply)
            zmq.msg_close(&message)
            return -1
    zmq.msg_close(&message)
    return 0


def serve(router not None, list shapes not None):
    """Answers until a signal raises or the context of ``router`` is closed.

    Each of ``shapes`` is (command number, bytes of the command, the reply, where in the reply the 4 bytes of the request
    id stand).  What is not made of such commands gets no answer.  Raises OSError for what libzmq does not forgive.
    """
    cdef Answer answers[MAX_COMMAND]
    cdef void* socket = zmq_api_socket(router)
    cdef zmq_msg_t peer
    cdef int outcome, error
    cdef Answer* answer
    for number in range(MAX_COMMAND):
        answers[number].command_bytes = 0
    for number, command_bytes, reply, id_at in shapes:
        if not 0 <= number < MAX_COMMAND or command_bytes < ID_AT + ID_BYTES or not 0 <= id_at <= len(reply) - ID_BYTES:
            raise ValueError(f"command {number} of {command_bytes} bytes with an id at byte {id_at} cannot be answered")
        answer = &answers[<int>number]
        answer.command_bytes, answer.reply_bytes, answer.id_at = command_bytes, len(reply), id_at
        answer.reply = <const uint8_t*>(<bytes>reply)  # lives as long as `shapes`
    zmq.msg_init(&peer)
    try:
        while True:
            with nogil:
                outcome = 0
                while outcome == 0:
                    outcome = answer_one(answers, socket, &peer)
                error = zmq.error()
            if error != EAGAIN and error != EHOSTUNREACH and error != EINTR:
                raise OSError(error, zmq.error_text(error).decode())
            PyErr_CheckSignals()
    finally:
        zmq.msg_close(&peer)


zmq_api_load(&zmq)
