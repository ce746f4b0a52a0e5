"""The lane: commands from the sockets to the engine and events back, without a Python object and without the GIL.

Theory of operation.  The loop of a node is Python (exchange/node.py, exchange/gateway), and this is not another one: it is
the same loop for its common case.  A frame that is nothing but well-formed commands, of a session that is logged in for
all their accounts, by the traders' door, is read from libzmq straight into the batch's buffer.  Every other frame is
*handed up*: the batch so far is carried out first, then Python does with the frame what it always does, so that rules
exist once and in one order.  What Python changes of its sessions it tells (``joined``, ``left``, ``note``, ...), and the
mirror of them here follows.

A batch is stamped, journaled, applied, and its events are written behind one another into one letter for each client
concerned (native/mail.pxd).  Letters wait, in the order of the journal and in one line with those of Python, until the
journal has released their sequence, and so does what the public is told, which leaves after them.

The GIL is released for all of it and taken for what is handed up, when something up there is due, and when the wake end
can be read: that is a signal, a ``stop``, or the journal that has something to release.  With durability ``interval`` and
``off`` the frames of the journal are written here as well; ``always`` takes the GIL once a batch, to hand it over.
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset, strcmp
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, clockid_t, timespec
from posix.unistd cimport read

from native.buffer cimport buffer_free, buffer_reserve, buffer_t
from native.counters cimport (
    COUNT_BYTES_IN, COUNT_BYTES_OUT, COUNT_FRAMES_IN, COUNT_FRAMES_OUT, COUNT_MUTED, COUNT_PUBLICATIONS,
    COUNTER_SLOTS, STAGE_APPLY, STAGE_DECODE,
    STAGE_JOURNAL, STAGE_RECEIVE, STAGE_SEND, STAGE_TELL, count_commands, count_events, counter_slot, observe,
)
from native.doors cimport (
    APPLIED, CODEC_DOOR, ENGINE_DOOR, MARKET_DATA_DOOR, codec_door_t, engine_door_t, market_data_door_t, publication_t,
)
from native.event_log cimport EventLog, log_append
from native.journal_frame cimport frame_head, frame_head_t, frame_pwrite, frame_tables_make
from native.mail cimport (
    USER_ROOM,
    client_add, client_find, client_join, client_leave, client_remove, client_t, listener_t, listeners_of,
    listeners_t, mail_close, mail_open, mail_reap, mail_t, mail_touch, may_send,
)
from native.outbox cimport (
    held_t, outbox_add, outbox_close, outbox_has, outbox_is_empty, outbox_oldest, outbox_settle, outbox_t, outbox_take,
    publication_add, publication_next,
)
from native.packing cimport write_array, write_unsigned
from native.units cimport imin, rarely, usually
from native.wire cimport COMMAND_PLACE_ORDERS, FIRST_EVENT, wire_command_header, wire_event_header, wire_place_orders_head
from native.zmq_api cimport (
    EHOSTUNREACH, ZMQ_DONTWAIT, ZMQ_EVENTS, ZMQ_POLLIN, ZMQ_SNDMORE, ZmqApi, zmq_api_load, zmq_api_socket, zmq_msg_t,
)

cdef extern from "poll.h" nogil:
    int POLLIN
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd* items, unsigned long count, int timeout_ms)

cdef enum:
    POSITION = 127                     # in front of an account's first event in a letter: [127, account, number]
    POSITION_ROOM = 16
    ZMQ_SRCFD = 2                      # of zmq_msg_get: the number of the connection

cdef enum:                             # places in the list of what is waited for
    WAKE
    MARKET_DATA
    ADMIN
    ORDERS
    ITEMS

cdef enum:                             # what became of a letter
    SENT_TAKEN
    SENT_TOO_SLOW
    SENT_GONE

cdef struct origin_t:                  # of one command of the batch
    client_t* sender
    uint64_t request_id

cdef struct rate_t:                    # so many a second (exchange/gateway/limits.py)
    int64_t interval_ns
    int64_t room_ns


cdef class Tail:
    """Where the journal goes on (exchange/journal.py); whoever has the GIL or is the lane's thread may look."""

    cdef public int file
    cdef public uint64_t offset, limit, next_sequence, written_up_to, synced_up_to


cdef class Lane:
    """The lane of one node.

    Args:
        engine: a native engine; its ``door`` is used.
        codec: the door of the native codec.
        publisher: the native publisher; its ``door`` is used.
        streams: the native event log.
        orders, admin, market_data: the sockets, made and bound in Python.
        wake_fileno: what can be read when there is something to look up for.
        upstairs: the rest of the node (exchange/gateway/lane.py).
        counters: the array of what the node counts (native/counters.pxd).
        commands: numbers of the commands that the traders' door takes.
        placing: numbers of those that bring or change orders.
        max_clients, max_orders, max_held_bytes, round_bytes: the node's bounds.
        order_rate, frame_rate, max_in_flight: those of a session; of a rate (interval_ns, room_ns), zeros: none.
        clock: what to ask for the time in Python; None: the system's.

    Raises ImportError where libzmq's functions cannot be had, MemoryError.
    """

    cdef ZmqApi zmq
    cdef engine_door_t* engine
    cdef codec_door_t* codec
    cdef market_data_door_t* publisher
    cdef EventLog* streams
    cdef readonly Tail tail
    cdef public bint writes_journal    # whether the tail is the journal's, and frames may be written here
    cdef object kept                   # what lives as long as the pointers into it
    cdef object upstairs
    cdef object clock
    cdef Py_buffer counters
    cdef uint64_t* slots
    cdef uint64_t since_ns             # when the stage that is being timed began
    cdef void* sockets[ITEMS]
    cdef pollfd items[ITEMS]           # what is waited for; of a socket the number that libzmq gave it
    cdef bint was_used[ITEMS]          # so that its number may say nothing of what came
    cdef bint ready[ITEMS]
    cdef bint takes[FIRST_EVENT]
    cdef bint places[FIRST_EVENT]
    cdef rate_t order_rate, frame_rate
    cdef uint64_t max_in_flight
    cdef bint has_limits
    cdef int64_t max_orders
    cdef uint64_t max_held_bytes
    cdef int64_t round_bytes

    cdef mail_t mail
    cdef outbox_t outbox
    cdef zmq_msg_t peer, payload, surplus
    cdef int parts                     # of the message received last, its routing id not counted
    cdef int64_t message_bytes
    cdef bint more                     # the last round ended at its bound: there may be more

    cdef buffer_t batch                # command records
    cdef buffer_t origins              # an origin_t for each
    cdef uint64_t count
    cdef uint64_t batches              # carried out so far
    cdef list handed                   # frames for Python, in order
    cdef bint has_handed

    # What the lane and Python both move; it is Python's while the lane looks up.
    cdef uint64_t next_sequence
    cdef int64_t timestamp_ns
    cdef bint has_stamped              # since Python was told of these two
    cdef uint64_t released_up_to
    cdef uint64_t held_up              # sequence of the oldest that Python's outbox holds; all ones: it is empty
    cdef uint64_t held_up_bytes
    cdef int64_t due_ns                # when something up there is due; INT64_MAX: never
    cdef bint takes_nothing            # every frame is Python's
    cdef bint is_overloaded            # so much waits for the disk that Python has to choose
    cdef bint stopping
    cdef bint looks                    # this round something happened up there, or is due
    cdef bint reading                  # whether there was room for more from clients

    def __cinit__(self):
        memset(&self.mail, 0, sizeof(mail_t))
        memset(&self.outbox, 0, sizeof(outbox_t))
        memset(&self.batch, 0, sizeof(buffer_t))
        memset(&self.origins, 0, sizeof(buffer_t))
        self.zmq.msg_close = NULL
        self.slots = NULL
        self.tail = Tail()
        self.reading = True

    def __init__(
        self, *, engine, codec, publisher, streams, orders, admin, market_data, int wake_fileno, upstairs, counters, commands,
        placing, uint64_t max_clients, int64_t max_orders, uint64_t max_held_bytes, int64_t round_bytes, uint64_t seed,
        order_rate, frame_rate, uint64_t max_in_flight, clock=None,
    ):
        zmq_api_load(&self.zmq)
        self.zmq.msg_init(&self.peer)
        self.zmq.msg_init(&self.payload)
        self.zmq.msg_init(&self.surplus)
        engine_door, public_door = engine.door(), publisher.door()
        self.kept = (engine, engine_door, codec, publisher, public_door, streams, orders, admin, market_data)
        self.engine = <engine_door_t*>PyCapsule_GetPointer(engine_door, ENGINE_DOOR)
        self.publisher = <market_data_door_t*>PyCapsule_GetPointer(public_door, MARKET_DATA_DOOR)
        self.streams = <EventLog*><uintptr_t>streams.address()
        self.codec = <codec_door_t*>PyCapsule_GetPointer(codec, CODEC_DOOR)
        if not mail_open(&self.mail, max_clients, seed):
            raise MemoryError
        PyObject_GetBuffer(counters, &self.counters, PyBUF_WRITABLE)
        if self.counters.len != COUNTER_SLOTS * sizeof(uint64_t):
            raise ValueError(f"wanted {COUNTER_SLOTS} counters of 8 bytes, got {self.counters.len} bytes")
        self.slots = <uint64_t*>self.counters.buf
        self.upstairs = upstairs
        self.clock = clock
        self.max_orders = max_orders
        self.max_held_bytes = max_held_bytes
        self.round_bytes = round_bytes
        for number in range(FIRST_EVENT):
            self.takes[number] = number in commands
            self.places[number] = number in placing
        self.order_rate.interval_ns, self.order_rate.room_ns = order_rate
        self.frame_rate.interval_ns, self.frame_rate.room_ns = frame_rate
        self.max_in_flight = max_in_flight
        self.has_limits = self.order_rate.interval_ns or self.frame_rate.interval_ns or max_in_flight
        memset(self.items, 0, sizeof(self.items))
        self.items[WAKE].fd = wake_fileno
        for place, socket in ((MARKET_DATA, market_data), (ADMIN, admin), (ORDERS, orders)):
            self.sockets[place] = zmq_api_socket(socket)
            self.items[place].fd = socket.fd
            self.was_used[place] = True
        for place in range(ITEMS):
            self.items[place].events = POLLIN
        self.handed = []

    def __dealloc__(self):
        mail_close(&self.mail)
        outbox_close(&self.outbox)
        buffer_free(&self.batch)
        buffer_free(&self.origins)
        if self.slots != NULL:
            PyBuffer_Release(&self.counters)
        if self.zmq.msg_close != NULL:
            self.zmq.msg_close(&self.peer)
            self.zmq.msg_close(&self.payload)
            self.zmq.msg_close(&self.surplus)

    # ------------------------------------------------------------------------------- what Python tells of sessions

    def opened(self, bytes peer not None, bytes user not None):
        """A session at the traders' door has begun, by a client with this public key; empty without encryption."""
        cdef client_t* client = client_add(&self.mail, peer, len(peer))
        if client == NULL:
            raise MemoryError("the lane has no room for a session")
        if len(user) >= USER_ROOM:
            raise ValueError(f"wanted a public key of less than {USER_ROOM} bytes, came {len(user)}")
        memset(client.user, 0, USER_ROOM)
        memcpy(client.user, <const char*>user, len(user))

    def joined(self, bytes peer not None, uint32_t account, bint sends):
        """Events of the account go to the session from now on, and whether it ``sends`` commands of it."""
        if not client_join(&self.mail, self.client_of(peer), account, sends):
            raise MemoryError("the lane has no room for a login")

    def left(self, bytes peer not None, uint32_t account):
        """They do not any more."""
        client_leave(&self.mail, self.client_of(peer), account)

    def note(
        self, bytes peer not None, *, bint may_command, bint is_lost, bint by_courier, uint64_t key, int64_t muted_until_ns
    ):
        """How the session stands now."""
        cdef client_t* client = self.client_of(peer)
        client.may_command = may_command
        client.is_lost = is_lost
        client.by_courier = by_courier
        client.key = key
        client.muted_until_ns = muted_until_ns

    def ended(self, bytes peer not None):
        """It is over; what was on its way to it is still tried."""
        client_remove(&self.mail, self.client_of(peer))

    def times_of(self, bytes peer not None):
        """When the last frame of it came here, and the last letter left; nanoseconds of the monotonic clock."""
        cdef client_t* client = self.client_of(peer)
        return client.heard_ns, client.sent_ns

    cdef client_t* client_of(self, bytes peer) except NULL:
        cdef client_t* client = client_find(&self.mail, peer, len(peer))
        if client == NULL:
            raise KeyError(f"the lane was not told of a session of {peer.hex()}")
        return client

    @property
    def held_bytes(self):
        """Bytes of letters that wait here for the journal."""
        return self.outbox.bytes

    # ------------------------------------------------------------------------------------------------ the loop

    def run(self):
        """Serves until Python says that it stops; then everything taken is done, and what may leave has left."""
        self.look()
        with nogil:
            while not self.stopping:
                self.turn()

    def release(self):
        """Lets leave what the journal has released by now."""
        self.look()
        with nogil:
            self.let_go()

    cdef int turn(self) except -1 nogil:
        """One round: wait, take, carry out, tell."""
        cdef uint64_t held_bytes = self.outbox.bytes + self.held_up_bytes
        cdef bint with_clients = held_bytes < self.max_held_bytes
        if rarely(with_clients != self.reading):
            self.note_reading(with_clients)
        self.looks = False
        self.wait(with_clients)
        if self.stopping:
            return 0
        self.is_overloaded = held_bytes > self.max_held_bytes // 2
        self.more = False
        if with_clients and self.ready[ORDERS]:
            self.drain_orders()
        if with_clients and self.ready[ADMIN]:
            self.drain_admin()
        if self.count:
            self.carry_out()
        if self.has_handed:
            self.hand_up()
        if self.ready[MARKET_DATA]:
            self.welcome()
        if <int64_t>self.since_ns >= self.due_ns:
            self.looks = True
        if self.looks:
            self.tend()
        self.tell_due()
        self.let_go()
        if self.looks:
            self.look_up()
        if self.mail.removed != NULL:
            mail_reap(&self.mail)
        return 0

    cdef int wait(self, bint with_clients) except -1 nogil:
        """Returns when there is something to do, and looks up where somebody there wants that.

        The number of a socket can be read when something came since libzmq looked last, and libzmq looks whenever the
        socket is used.  So a socket that was used is asked before the wait, and one that was not need not be.
        """
        cdef int place, outcome
        cdef int last = ITEMS if with_clients else ADMIN
        cdef bint is_ready = False
        for place in range(MARKET_DATA, last):
            self.ready[place] = self.was_used[place] and self.has_input(place)
            is_ready = is_ready or self.ready[place]
        outcome = poll(self.items, last, 0 if is_ready else self.timeout_ms())
        self.since_ns = self.ns_of(CLOCK_MONOTONIC)
        if outcome < 0 and errno != EINTR:
            self.fail(b"waiting for")
        for place in range(MARKET_DATA, last):
            if outcome > 0 and self.items[place].revents and not self.ready[place]:
                # Where it is not orders that come it is looked at twice: Python would be asked for nothing.
                self.was_used[place] = True
                self.ready[place] = place == ORDERS or self.has_input(place)
        if outcome < 0 or (outcome > 0 and self.items[WAKE].revents):
            self.come_up()
        return 0

    cdef int has_input(self, int place) except -1 nogil:
        """Whether a message can be taken from a socket.  Where not, its number can be read once that changes."""
        cdef int events = 0
        cdef size_t size = sizeof(int)
        while self.zmq.getsockopt(self.sockets[place], ZMQ_EVENTS, &events, &size) < 0:
            if self.zmq.error() != EINTR:
                self.fail(b"asking for what came from")
        self.was_used[place] = events & ZMQ_POLLIN
        return events & ZMQ_POLLIN

    cdef long timeout_ms(self) except? -2 nogil:
        """How long to wait: until something up there or for the public is due, and not at all where frames were left."""
        cdef int64_t public_due_ns = self.publisher.next_due_ns(self.publisher.feed)
        cdef int64_t left_ns = INT64_MAX
        if self.more:
            return 0
        if self.due_ns == INT64_MAX and public_due_ns == INT64_MAX:
            return -1
        if self.due_ns != INT64_MAX:
            left_ns = self.due_ns - self.ns_of(CLOCK_MONOTONIC)
        if public_due_ns != INT64_MAX:
            left_ns = imin(left_ns, public_due_ns - self.now_ns())
        return (left_ns + 999999) // 1000000 if left_ns > 0 else 0

    # ------------------------------------------------------------------------------------------------ receiving

    cdef int receive(self, void* socket) except -1 nogil:
        """Takes one message: its routing id, its first part, and how many there are.  0: none is there."""
        cdef zmq_msg_t* to = &self.payload
        if not self.receive_part(&self.peer, socket):
            return 0
        self.parts = 0
        self.message_bytes = self.zmq.msg_size(&self.peer)
        if not self.zmq.msg_more(&self.peer):
            return 1
        while True:
            # A message arrives whole, so its other parts are there.
            if not self.receive_part(to, socket):
                self.fail(b"receiving a part from")
            self.parts += 1
            self.message_bytes += self.zmq.msg_size(to)
            if not self.zmq.msg_more(to):
                return 1
            to = &self.surplus

    cdef inline int receive_part(self, zmq_msg_t* to, void* socket) except -1 nogil:
        while self.zmq.msg_receive(to, socket, ZMQ_DONTWAIT) < 0:
            if self.zmq.error() == EAGAIN:
                return 0
            if self.zmq.error() != EINTR:
                self.fail(b"receiving from")
        return 1

    cdef int drain_orders(self) except -1 nogil:
        """Takes what traders sent until nothing is left or the bound is reached."""
        cdef int64_t left = self.round_bytes
        self.was_used[ORDERS] = True
        while left > 0:
            if not self.receive(self.sockets[ORDERS]):
                return 0
            left -= self.message_bytes
            if not self.take():
                self.keep_for_python(ORDERS)
        self.more = True
        return 0

    cdef int drain_admin(self) except -1 nogil:
        cdef int64_t left = self.round_bytes
        self.was_used[ADMIN] = True
        while left > 0:
            if not self.receive(self.sockets[ADMIN]):
                return 0
            left -= self.message_bytes
            self.keep_for_python(ADMIN)
        self.more = True
        return 0

    cdef int take(self) except -1 nogil:
        """Adds the commands of the frame to the batch; 0 if it is not of the kind that the lane takes."""
        cdef client_t* client = self.sender()
        if client == NULL:
            return 0
        client.heard_ns = self.since_ns
        if rarely(client.muted_until_ns > <int64_t>self.since_ns):
            self.slots[<int>COUNT_MUTED] += 1
            return 1
        if not self.may_take(client):
            return 0
        if rarely(self.has_handed):
            # Frames before it wait for Python, and may change what its session may.
            self.hand_up()
            client = self.sender()
            if client == NULL or not self.may_take(client):
                return 0
        return self.read_commands(client)

    cdef inline client_t* sender(self) noexcept nogil:
        """Who sent the frame; NULL where Python has told of nobody, or of another user under this routing id."""
        cdef client_t* client = client_find(
            &self.mail, <const uint8_t*>self.zmq.msg_data(&self.peer), self.zmq.msg_size(&self.peer)
        )
        cdef const char* user
        if client != NULL and client.user[0]:
            user = self.zmq.msg_gets(&self.peer, b"User-Id")
            if user == NULL or strcmp(user, client.user):
                return NULL
        return client

    cdef inline bint may_take(self, const client_t* client) noexcept nogil:
        """Whether its frame may be the lane's."""
        return (
            client.may_command and not client.is_handed_up and self.parts == 1
            and not self.takes_nothing and not self.is_overloaded and self.streams.epoch != 0
        )

    cdef int read_commands(self, client_t* client) except -1 nogil:
        """All commands of the frame, or none."""
        cdef const uint8_t* at = <const uint8_t*>self.zmq.msg_data(&self.payload)
        cdef const uint8_t* end = at + self.zmq.msg_size(&self.payload)
        cdef size_t used = self.batch.used
        cdef uint64_t count = self.count
        cdef int64_t orders = 0
        cdef int64_t placed = 0
        cdef int64_t work
        cdef origin_t* origin
        cdef wire_command_header* header
        if at == end:
            return 0
        while at < end:
            if buffer_reserve(&self.batch, self.codec.command_room) < 0 or buffer_reserve(&self.origins, sizeof(origin_t)) < 0:
                self.no_memory()
            header = <wire_command_header*>(self.batch.bytes + self.batch.used)
            origin = <origin_t*>(self.origins.bytes + self.origins.used)
            at = self.codec.read_command(at, end, <uint8_t*>header, &origin.request_id)
            if rarely(at == NULL):
                break
            work = orders_of(header)
            orders += work
            placed += work if self.places[header.type] else 0
            if rarely(orders > self.max_orders or not self.takes[header.type]
                      or not may_send(&self.mail, client, header.account)):
                at = NULL
                break
            origin.sender = client
            self.batch.used += header.size
            self.origins.used += sizeof(origin_t)
            self.count += 1
        if usually(at != NULL) and (not self.has_limits or self.allow(client, self.count - count, placed)):
            self.slots[<int>COUNT_FRAMES_IN] += 1
            self.slots[<int>COUNT_BYTES_IN] += self.zmq.msg_size(&self.payload)
            return 1
        self.batch.used = used
        self.origins.used = count * sizeof(origin_t)
        self.count = count
        return 0

    cdef bint allow(self, client_t* client, uint64_t count, int64_t placed) noexcept nogil:
        """Takes a frame out of what its session may send; where that is too much nothing is taken, and Python refuses."""
        cdef int64_t now_ns = <int64_t>self.since_ns
        cdef int64_t frames_up_to_ns = taken_up_to(&self.frame_rate, client.frames_up_to_ns, 1, now_ns)
        cdef int64_t orders_up_to_ns = client.orders_up_to_ns
        if self.max_in_flight and client.in_flight + client.in_flight_up + count > self.max_in_flight:
            return False
        if placed:
            orders_up_to_ns = taken_up_to(&self.order_rate, orders_up_to_ns, placed, now_ns)
        if frames_up_to_ns < 0 or orders_up_to_ns < 0:
            return False
        client.frames_up_to_ns = frames_up_to_ns
        client.orders_up_to_ns = orders_up_to_ns
        client.in_flight += count
        client.in_batch += count
        return True

    # ------------------------------------------------------------------------------------------------ looking up

    cdef int keep_for_python(self, int door) except -1 nogil:
        """Sets the frame aside for Python, after all that came before it is carried out."""
        cdef client_t* client
        if self.count:
            self.carry_out()
        if door == ORDERS:
            client = self.sender()
            if client != NULL:
                client.is_handed_up = True
        self.has_handed = True
        with gil:
            self.handed.append((
                door == ADMIN,
                self.bytes_of(&self.peer),
                self.bytes_of(&self.payload) if self.parts == 1 else None,
                self.zmq.msg_get(&self.peer, ZMQ_SRCFD),
                self.user_of(&self.peer),
            ))
        return 0

    cdef str user_of(self, zmq_msg_t* message):
        """The public key that it came with; empty without encryption."""
        cdef const char* user = self.zmq.msg_gets(message, b"User-Id")
        return (<bytes>user).decode() if user != NULL else ""

    cdef bytes bytes_of(self, zmq_msg_t* message):
        return PyBytes_FromStringAndSize(<const char*>self.zmq.msg_data(message), self.zmq.msg_size(message))

    cdef int hand_up(self) except -1 nogil:
        """Has Python do what it does with frames."""
        cdef client_t* client
        with gil:
            frames = self.handed
            self.handed = []
            self.has_handed = False
            for _, peer, *_ in frames:
                client = client_find(&self.mail, <bytes>peer, len(<bytes>peer))
                if client != NULL:
                    client.is_handed_up = False
            self.tell_stamps()
            if self.has_limits:
                self.note_used(self.upstairs.handle_limited(frames, self.since_ns, self.used_of(frames)))
            else:
                self.upstairs.handle(frames, self.since_ns)
            self.look()
        self.looks = True
        return 0

    cdef int note_used(self, list used) except -1:
        """What clients used of their limits, Python's part included."""
        cdef client_t* client
        for peer, orders_up_to_ns, frames_up_to_ns, in_flight in used:
            client = self.client_of(peer)
            client.orders_up_to_ns = orders_up_to_ns
            client.frames_up_to_ns = frames_up_to_ns
            client.in_flight_up = in_flight
        return 0

    cdef list used_of(self, list frames):
        """What the senders of frames used of their limits here."""
        cdef client_t* client
        used = {}
        for by_admin, peer, *_ in frames:
            client = NULL if by_admin else client_find(&self.mail, <bytes>peer, len(<bytes>peer))
            if client != NULL:
                used[peer] = (peer, client.orders_up_to_ns, client.frames_up_to_ns, client.in_flight)
        return list(used.values())

    cdef int come_up(self) except -1 nogil:
        """For signals, a stop, and what the journal has released."""
        cdef char wakes[4096]
        if self.items[WAKE].revents:
            while read(self.items[WAKE].fd, wakes, sizeof(wakes)) == sizeof(wakes):
                pass
        with gil:
            PyErr_CheckSignals()
            self.look()
        self.looks = True
        return 0

    cdef int tend(self) except -1 with gil:
        """Has Python do what sessions need without asking."""
        if self.more or not self.reading:
            self.upstairs.note_unread()
        self.tell_stamps()
        self.upstairs.tend()
        self.look()
        return 0

    cdef int look_up(self) except -1 with gil:
        """Has Python do what can wait until the end of a round."""
        self.tell_stamps()
        self.upstairs.look_up()
        self.look()
        return 0

    cdef int tell_stamps(self) except -1:
        """Before Python looks at the time, or stamps commands itself."""
        if self.has_stamped:
            self.upstairs.resume(self.next_sequence - 1, self.timestamp_ns)
            self.has_stamped = False
        return 0

    cdef int look(self) except -1:
        """Reads how things stand up there; whatever was done, it may have used the sockets."""
        cdef int place
        for place in range(ITEMS):
            self.was_used[place] = True
        self.tell_stamps()
        standing = self.upstairs.standing()
        self.stopping = standing.stopping
        self.takes_nothing = standing.takes_nothing
        self.next_sequence = standing.last_sequence + 1
        self.timestamp_ns = standing.timestamp_ns
        self.released_up_to = standing.released_up_to
        self.held_up = <uint64_t>-1 if standing.oldest_held is None else standing.oldest_held
        self.held_up_bytes = standing.held_bytes
        self.due_ns = INT64_MAX
        if standing.patience_ms is not None:
            self.due_ns = self.ns_of(CLOCK_MONOTONIC) + <int64_t>standing.patience_ms * 1000000
        return 0

    cdef int note_reading(self, bint reading) except -1 with gil:
        """Has it logged that nothing is taken from clients, or that they are read from again."""
        self.reading = reading
        self.upstairs.note_reading()
        return 0

    cdef int welcome(self) except -1 with gil:
        """Has new subscribers told how their topics stand."""
        self.upstairs.welcome()
        self.look()
        return 0

    # ------------------------------------------------------------------------------------------------ carrying out

    cdef int carry_out(self) except -1 nogil:
        """From commands to letters: the way of every batch, as in exchange/node.py."""
        cdef const char* events
        cdef int64_t event_bytes
        self.lap(STAGE_RECEIVE)
        self.stamp()
        self.lap(STAGE_DECODE)
        self.write_down(self.next_sequence - self.count)
        self.lap(STAGE_JOURNAL)
        if self.engine.apply(self.engine.core, <const char*>self.batch.bytes, self.batch.used, &events, &event_bytes) != APPLIED:
            self.broken(b"")
        self.lap(STAGE_APPLY)
        self.address(<const uint8_t*>events, event_bytes)
        self.hold_letters()
        self.lap(STAGE_TELL)
        self.let_go()
        self.tell_public(<const uint8_t*>events, event_bytes)
        count_commands(self.slots, self.batch.bytes, self.batch.used)
        count_events(self.slots, <const uint8_t*>events, event_bytes, self.timestamp_ns)
        self.engine.forget_events(self.engine.core)
        self.batch.used = self.origins.used = self.count = 0
        return 0

    cdef int stamp(self) except -1 nogil:
        """Consecutive sequences, and one time for all, which never runs backwards."""
        cdef uint8_t* at = self.batch.bytes
        cdef uint8_t* end = at + self.batch.used
        cdef wire_command_header* header
        cdef int64_t now_ns = self.now_ns()
        if now_ns > self.timestamp_ns:
            self.timestamp_ns = now_ns
        self.has_stamped = True
        while at < end:
            header = <wire_command_header*>at
            header.sequence = self.next_sequence
            header.timestamp_ns = self.timestamp_ns
            self.next_sequence += 1
            at += header.size
        return 0

    cdef int64_t now_ns(self) except? -1 nogil:
        if self.clock is not None:
            with gil:
                return self.clock()
        return self.ns_of(CLOCK_REALTIME)

    cdef inline int64_t ns_of(self, clockid_t clock) noexcept nogil:
        cdef timespec now
        clock_gettime(clock, &now)
        return <int64_t>now.tv_sec * 1000000000 + now.tv_nsec

    cdef inline void lap(self, counter_slot stage) noexcept nogil:
        """A stage is over, and the next one begins."""
        cdef uint64_t now_ns = self.ns_of(CLOCK_MONOTONIC)
        observe(self.slots, stage, now_ns - self.since_ns)
        self.since_ns = now_ns

    cdef int write_down(self, uint64_t first_sequence) except -1 nogil:
        """Journals the batch, as one frame; what is not a plain write into the segment is Python's."""
        cdef uint64_t size = sizeof(frame_head_t) + self.batch.used
        cdef frame_head_t head
        if self.writes_journal and self.tail.offset + size <= self.tail.limit:
            head = frame_head(
                self.batch.bytes, <uint32_t>self.batch.used, <uint32_t>self.count, first_sequence, self.tail.synced_up_to)
            # Where it fails Python tries the same at the same place, and says what it was.
            if frame_pwrite(self.tail.file, &head, sizeof(head), self.batch.bytes, self.batch.used, self.tail.offset) == 0:
                if (self.tail.offset ^ (self.tail.offset + size)) >> 20:
                    self.looks = True  # once in a while: is there a segment to go on in?
                self.tail.offset += size
                self.tail.written_up_to += self.count
                self.tail.next_sequence += self.count
                self.released_up_to = self.tail.written_up_to
                return 0
        with gil:
            self.released_up_to, self.takes_nothing = self.upstairs.append(
                first_sequence, self.count, self.timestamp_ns,
                PyBytes_FromStringAndSize(<const char*>self.batch.bytes, self.batch.used))
        return 0

    cdef int broken(self, bytes events) except -1 with gil:
        """Has Python say what is wrong with the engine, or with the publisher that was given these events."""
        self.upstairs.fail(events, self.next_sequence - 1, self.timestamp_ns)
        raise AssertionError(f"engine and publisher took no batch from command {self.next_sequence - self.count} on")

    # ------------------------------------------------------------------------------------------------ the public

    cdef int tell_public(self, const uint8_t* events, int64_t event_bytes) except -1 nogil:
        """What a batch means to the public: sent at once, or held behind the letters that are."""
        cdef publication_t publication
        cdef buffer_t held
        cdef size_t at = 0
        cdef bint at_once = outbox_is_empty(&self.outbox) and self.released_up_to >= self.next_sequence - 1
        if self.publisher.follow(self.publisher.feed, events, event_bytes, self.next_sequence - 1, self.timestamp_ns) != 0:
            with gil:
                self.broken(PyBytes_FromStringAndSize(<const char*>events, event_bytes))
        memset(&held, 0, sizeof(buffer_t))
        while self.publisher.next(self.publisher.feed, &at, &publication):
            if at_once:
                self.publish(publication)
            elif not publication_add(&held, &publication):
                self.no_memory()
        if held.used:
            self.hold(NULL, held)
        return 0

    cdef int tell_due(self) except -1 nogil:
        """What conflated topics have kept back for long enough.  Python tells it, behind all that waits by now."""
        cdef int64_t due_ns = self.publisher.next_due_ns(self.publisher.feed)
        if rarely(due_ns != INT64_MAX) and self.now_ns() >= due_ns:
            with gil:
                self.upstairs.tell_due()
                self.look()
        return 0

    cdef int publish_held(self, buffer_t* held) except -1 nogil:
        cdef publication_t publication
        cdef size_t at = 0
        while publication_next(held, &at, &publication):
            self.publish(publication)
        buffer_free(held)
        return 0

    cdef int publish(self, publication_t publication) except -1 nogil:
        """To all subscribers; who is too slow misses it, and sees that in the sequence."""
        cdef void* socket = self.sockets[MARKET_DATA]
        self.was_used[MARKET_DATA] = True
        while self.zmq.send(socket, publication.topic, publication.topic_bytes, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0:
            if self.zmq.error() != EINTR:
                self.fail(b"publishing to")
        while self.zmq.send(socket, publication.payload, publication.payload_bytes, ZMQ_DONTWAIT) < 0:
            if self.zmq.error() != EINTR:
                self.fail(b"publishing to")
        self.slots[<int>COUNT_PUBLICATIONS] += 1
        self.slots[<int>COUNT_BYTES_OUT] += publication.payload_bytes
        return 0

    # ------------------------------------------------------------------------------------------------ addressing

    cdef int address(self, const uint8_t* at, int64_t left) except -1 nogil:
        """Writes every event into the letters of those whose it is: exchange/gateway/replies.py says who that is."""
        cdef const uint8_t* end = at + left
        cdef wire_command_header* command = <wire_command_header*>self.batch.bytes
        cdef origin_t* origin = <origin_t*>self.origins.bytes
        cdef const wire_event_header* event
        cdef listeners_t* listeners
        cdef bint is_reply
        cdef uint64_t number
        cdef uint32_t i
        self.batches += 1
        while at < end:
            event = <const wire_event_header*>at
            while command.sequence != event.sequence:
                command = <wire_command_header*>(<uint8_t*>command + command.size)
                origin += 1
            if event.account != 0:
                is_reply = event.account == command.account
                number = log_append(
                    self.streams, at, origin.sender.key if is_reply else 0, origin.request_id if is_reply else 0)
                listeners = listeners_of(&self.mail, event.account)
                for i in range(listeners.count):
                    self.write(
                        &listeners.items[i], at, number,
                        origin.request_id if is_reply and listeners.items[i].client == origin.sender else 0)
            at += event.size
        return 0

    cdef inline int write(
        self, listener_t* listener, const uint8_t* event, uint64_t number, uint64_t request_id
    ) except -1 nogil:
        """Adds an event to a letter; in front of an account's first one its number in the account's stream."""
        cdef client_t* client = listener.client
        cdef buffer_t* letter = &client.letter
        cdef uint8_t* to
        if buffer_reserve(letter, POSITION_ROOM + self.codec.event_room) < 0 or not mail_touch(&self.mail, client):
            self.no_memory()
        to = letter.bytes + letter.used
        if listener.batch != self.batches:
            listener.batch = self.batches
            to = write_array(to, 3)
            to = write_unsigned(to, POSITION)
            to = write_unsigned(to, (<const wire_event_header*>event).account)
            to = write_unsigned(to, number)
        letter.used = self.codec.write_event(to, event, request_id) - letter.bytes
        return 0

    # ------------------------------------------------------------------------------------------------ sending

    cdef int hold_letters(self) except -1 nogil:
        """Puts the letters of the batch into the outbox."""
        cdef client_t* client
        cdef uint32_t i
        for i in range(self.mail.touched_count):
            client = self.mail.touched[i]
            client.is_touched = False
            if client.is_lost:
                client.letter.used = 0
                client.in_flight -= client.in_batch
                client.in_batch = 0
                continue
            self.hold(client, client.letter)
            memset(&client.letter, 0, sizeof(buffer_t))
        self.mail.touched_count = 0
        return 0

    cdef int hold(self, client_t* client, buffer_t letter) except -1 nogil:
        """At the end of the queue, until the journal has released the batch; it is the outbox's from here on."""
        cdef held_t held
        held.sequence = self.next_sequence - 1
        held.client = client
        held.letter = letter
        held.commands = client.in_batch if client != NULL else 0
        if not outbox_add(&self.outbox, held):
            self.no_memory()
        if client != NULL:
            client.letters_held += 1
            client.in_batch = 0
        return 0

    cdef int let_go(self) except -1 nogil:
        """Sends what the journal has released, Python's letters and the lane's in the order in which they were held."""
        cdef outbox_t* outbox = &self.outbox
        cdef bint sends = outbox_has(outbox, self.released_up_to)
        if sends:
            self.since_ns = self.ns_of(CLOCK_MONOTONIC)
        while outbox_has(outbox, self.released_up_to):
            if rarely(self.held_up < outbox_oldest(outbox)):
                self.release_up(outbox_oldest(outbox) - 1)
                continue
            self.deliver(outbox_take(outbox))
        if sends:
            self.lap(STAGE_SEND)
        outbox_settle(outbox)
        if self.held_up <= self.released_up_to:
            self.release_up(self.released_up_to)
        return 0

    cdef int release_up(self, uint64_t up_to) except -1 nogil:
        with gil:
            self.upstairs.release(up_to)
            self.look()
        return 0

    cdef int deliver(self, held_t held) except -1 nogil:
        """Sends one letter.  Who lost its session hears nothing more of its events: a part would mislead."""
        cdef client_t* client = held.client
        cdef buffer_t letter = held.letter
        if client == NULL:
            return self.publish_held(&letter)
        client.letters_held -= 1
        client.in_flight -= held.commands
        if rarely(client.by_courier):
            self.deliver_by_courier(client, &letter)
        elif not client.is_lost:
            self.deliver_to(client, &letter)
        letter.used = 0
        if client.letter.bytes == NULL:
            client.letter = letter
        else:
            buffer_free(&letter)
        return 0

    cdef int deliver_to(self, client_t* client, const buffer_t* letter) except -1 nogil:
        cdef int outcome = self.send(client, letter.bytes, letter.used)
        self.slots[<int>COUNT_FRAMES_OUT] += 1
        self.slots[<int>COUNT_BYTES_OUT] += letter.used
        client.sent_ns = self.since_ns
        if rarely(outcome != SENT_TAKEN) and not client.is_removed:
            with gil:
                self.upstairs.undelivered(client.id[:client.id_bytes], outcome == SENT_GONE)
                self.look()
            self.looks = True
        return 0

    cdef int deliver_by_courier(self, client_t* client, const buffer_t* letter) except -1 with gil:
        """To a session that is owed a replay first."""
        self.upstairs.deliver(client.id[:client.id_bytes], letter.bytes[:letter.used])
        self.look()
        return 0

    cdef int send(self, client_t* client, const uint8_t* payload, size_t size) except -1 nogil:
        cdef void* socket = self.sockets[ORDERS]
        self.was_used[ORDERS] = True
        cdef zmq_msg_t message
        while self.zmq.send(socket, client.id, client.id_bytes, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0:
            if self.zmq.error() == EAGAIN:
                return SENT_TOO_SLOW
            if self.zmq.error() == EHOSTUNREACH:
                return SENT_GONE
            if self.zmq.error() != EINTR:
                self.fail(b"sending to")
        if self.zmq.msg_init_size(&message, size) < 0:
            self.no_memory()
        memcpy(self.zmq.msg_data(&message), payload, size)
        while self.zmq.msg_send(&message, socket, ZMQ_DONTWAIT) < 0:
            if self.zmq.error() != EINTR:
                self.fail(b"sending to")
        return SENT_TAKEN

    # ------------------------------------------------------------------------------------------------ what goes wrong

    cdef int fail(self, const char* doing) except -1 with gil:
        raise OSError(self.zmq.error(), f"{(<bytes>doing).decode()} a client: {self.zmq.error_text(self.zmq.error()).decode()}")

    cdef int no_memory(self) except -1 with gil:
        raise MemoryError("the system gives no memory for a batch")


cdef inline int64_t taken_up_to(const rate_t* rate, int64_t up_to_ns, int64_t count, int64_t now_ns) noexcept nogil:
    """Until when all that was taken is worked off, with so much more; -1: that has to wait (Rate.take in limits.py)."""
    cdef int64_t cost_ns = count * rate.interval_ns
    cdef int64_t end_ns = (up_to_ns if up_to_ns > now_ns else now_ns) + cost_ns
    if end_ns - now_ns > (cost_ns if cost_ns > rate.room_ns else rate.room_ns):
        return -1
    return end_ns


cdef inline int64_t orders_of(const wire_command_header* header) noexcept nogil:
    """The work in a command: one, or one for each order of a list."""
    cdef int64_t orders
    if header.type != COMMAND_PLACE_ORDERS:
        return 1
    orders = (<const wire_place_orders_head*>header).order_count
    return orders if orders else 1


frame_tables_make()
